-- The catalogue of one storage: everything that can be asked about its files.
-- It follows the log (storage.db) and can always be made again from the disks
-- and the log with `fdfs-meta adopt`. Tables are not an interface; the views
-- files, meta, deleted, events, samples are.

-- One row for each file that exists.
CREATE TABLE file (
	-- sequence number of the operation that created it; files found on
	-- disk by `fdfs-meta adopt` have negative ones in order of creation
	id INTEGER PRIMARY KEY,
	-- remote file name, M00/00/00/...
	name TEXT NOT NULL UNIQUE,
	-- number of the store path
	path INTEGER NOT NULL,
	-- both directories as a number, 256 * high + low
	dir INTEGER NOT NULL,
	-- bytes
	size INTEGER NOT NULL,
	-- crc32 of the content, NULL when it has changed since
	crc INTEGER,
	-- Unix milliseconds
	created_ms INTEGER NOT NULL,
	-- last change of the content, Unix milliseconds
	modified_ms INTEGER NOT NULL,
	-- 0 normal, 1 appender, 2 slave, 3 trunk, 4 link
	type INTEGER NOT NULL,
	-- extension in lower case, '' none
	ext TEXT NOT NULL,
	-- id or address of the storage that took the upload
	source TEXT NOT NULL,
	-- address of the client, '' not known (adopted)
	client TEXT NOT NULL,
	-- original name: the value of the configured metadata key
	orig TEXT,
	-- last check of the content, Unix milliseconds
	verified_ms INTEGER,
	-- its result: 0 as it should be, else an errno
	verify_result INTEGER,
	-- last operation applied to this row
	last_seq INTEGER NOT NULL
) STRICT;

-- Arrives nearly in order: cheap.
CREATE INDEX file_created ON file (created_ms);
-- Few values.
CREATE INDEX file_ext ON file (ext);
-- For the largest files; small ones are not in it.
CREATE INDEX file_large ON file (size) WHERE size >= 1048576;

-- User metadata. For each key configured as indexed there is an index
-- "attr_by:KEY" on value, made and dropped at start.
CREATE TABLE attr (
	-- whose
	file INTEGER NOT NULL REFERENCES file (id)
		ON DELETE CASCADE ON UPDATE CASCADE,
	-- name
	key TEXT NOT NULL,
	-- value
	value TEXT NOT NULL,
	PRIMARY KEY (file, key)
) STRICT, WITHOUT ROWID;

-- Files that were deleted, for the configured time.
CREATE TABLE tombstone (
	-- sequence number of the delete
	id INTEGER PRIMARY KEY,
	-- remote file name
	name TEXT NOT NULL,
	-- Unix milliseconds
	deleted_ms INTEGER NOT NULL,
	-- address of the client or peer that asked
	deleted_by TEXT NOT NULL,
	-- of the file, as in table file; NULL when it was not known
	file INTEGER,
	-- as in table file, here and below
	size INTEGER,
	crc INTEGER,
	created_ms INTEGER,
	type INTEGER,
	ext TEXT,
	source TEXT,
	client TEXT,
	orig TEXT
) STRICT;

CREATE INDEX tombstone_name ON tombstone (name);

-- Files and bytes that exist, by store path, extension and day of creation.
CREATE TABLE usage_day (
	-- number of the store path
	path INTEGER NOT NULL,
	-- extension
	ext TEXT NOT NULL,
	-- days since 1970, UTC
	day INTEGER NOT NULL,
	-- files that exist
	files INTEGER NOT NULL,
	-- their bytes
	bytes INTEGER NOT NULL,
	PRIMARY KEY (path, ext, day)
) STRICT, WITHOUT ROWID;

-- The same by size: class n holds sizes from 2^(n-1) to 2^n - 1; 0: empty.
CREATE TABLE usage_size (
	-- binary digits of the size
	class INTEGER PRIMARY KEY,
	-- files that exist
	files INTEGER NOT NULL,
	-- their bytes
	bytes INTEGER NOT NULL
) STRICT;

-- The same by directory.
CREATE TABLE usage_dir (
	-- number of the store path
	path INTEGER NOT NULL,
	-- 256 * high + low
	dir INTEGER NOT NULL,
	-- files that exist
	files INTEGER NOT NULL,
	-- their bytes
	bytes INTEGER NOT NULL,
	PRIMARY KEY (path, dir)
) STRICT, WITHOUT ROWID;

-- By client and day: what exists of what it created that day, and what it
-- did that day (its own operations, not those that came from peers).
CREATE TABLE usage_client (
	-- address
	client TEXT NOT NULL,
	-- days since 1970, UTC
	day INTEGER NOT NULL,
	-- files created that day that exist
	files INTEGER NOT NULL,
	-- their bytes
	bytes INTEGER NOT NULL,
	-- files created
	uploads INTEGER NOT NULL,
	-- content bytes of these
	upload_bytes INTEGER NOT NULL,
	-- appends, modifications, truncations
	changes INTEGER NOT NULL,
	-- content bytes of these
	change_bytes INTEGER NOT NULL,
	-- metadata changes, renames, links
	others INTEGER NOT NULL,
	-- files deleted
	deletes INTEGER NOT NULL,
	PRIMARY KEY (client, day)
) STRICT, WITHOUT ROWID;

-- How far into the log the catalogue is; moves with what it applies.
CREATE TABLE cursor (
	-- there is one row
	id INTEGER PRIMARY KEY CHECK (id = 1),
	-- everything up to this operation is applied
	seq INTEGER NOT NULL,
	-- mark log_id of the log it follows, '' none yet
	log_id TEXT NOT NULL,
	-- when it moved last, Unix milliseconds
	moved_ms INTEGER NOT NULL
) STRICT;

INSERT INTO cursor (id, seq, log_id, moved_ms) VALUES (1, 0, '', 0);

-- Runs of `fdfs-meta verify`.
CREATE TABLE verify_run (
	-- number of the run
	id INTEGER PRIMARY KEY,
	-- Unix milliseconds
	started_ms INTEGER NOT NULL,
	-- Unix milliseconds, NULL while it runs or when it was stopped
	ended_ms INTEGER,
	-- its filters, as typed
	what TEXT NOT NULL,
	-- last file looked at, to go on from there
	last_file INTEGER,
	-- files looked at
	files INTEGER NOT NULL DEFAULT 0,
	-- bytes read
	bytes INTEGER NOT NULL DEFAULT 0,
	-- findings
	bad INTEGER NOT NULL DEFAULT 0
) STRICT;

-- What a run found wrong.
CREATE TABLE verify_finding (
	-- which run
	run INTEGER NOT NULL REFERENCES verify_run (id) ON DELETE CASCADE,
	-- remote file name
	name TEXT NOT NULL,
	-- "missing", "size", "crc", "unknown", "orphan meta"
	what TEXT NOT NULL,
	-- as it should be
	expected TEXT,
	-- as it is
	found TEXT,
	-- Unix milliseconds
	at_ms INTEGER NOT NULL,
	-- what was done about it, NULL nothing
	repaired TEXT,
	PRIMARY KEY (run, name, what)
) STRICT, WITHOUT ROWID;

-- Status samples, one row for each subject every ten seconds; kept a day.
-- Counters are as reported, NULL what a subject does not have.
CREATE TABLE sample_10s (
	-- what it is about: storage id, group, store path, "self"
	subject TEXT NOT NULL,
	-- when, Unix milliseconds
	at_ms INTEGER NOT NULL,
	-- upload, count tried since the counters began
	total_upload_count INTEGER,
	-- upload, count done since the counters began
	success_upload_count INTEGER,
	-- append, count tried since the counters began
	total_append_count INTEGER,
	-- append, count done since the counters began
	success_append_count INTEGER,
	-- modify, count tried since the counters began
	total_modify_count INTEGER,
	-- modify, count done since the counters began
	success_modify_count INTEGER,
	-- truncate, count tried since the counters began
	total_truncate_count INTEGER,
	-- truncate, count done since the counters began
	success_truncate_count INTEGER,
	-- set meta, count tried since the counters began
	total_set_meta_count INTEGER,
	-- set meta, count done since the counters began
	success_set_meta_count INTEGER,
	-- delete, count tried since the counters began
	total_delete_count INTEGER,
	-- delete, count done since the counters began
	success_delete_count INTEGER,
	-- download, count tried since the counters began
	total_download_count INTEGER,
	-- download, count done since the counters began
	success_download_count INTEGER,
	-- get meta, count tried since the counters began
	total_get_meta_count INTEGER,
	-- get meta, count done since the counters began
	success_get_meta_count INTEGER,
	-- create link, count tried since the counters began
	total_create_link_count INTEGER,
	-- create link, count done since the counters began
	success_create_link_count INTEGER,
	-- delete link, count tried since the counters began
	total_delete_link_count INTEGER,
	-- delete link, count done since the counters began
	success_delete_link_count INTEGER,
	-- upload, bytes tried since the counters began
	total_upload_bytes INTEGER,
	-- upload, bytes done since the counters began
	success_upload_bytes INTEGER,
	-- append, bytes tried since the counters began
	total_append_bytes INTEGER,
	-- append, bytes done since the counters began
	success_append_bytes INTEGER,
	-- modify, bytes tried since the counters began
	total_modify_bytes INTEGER,
	-- modify, bytes done since the counters began
	success_modify_bytes INTEGER,
	-- download, bytes tried since the counters began
	total_download_bytes INTEGER,
	-- download, bytes done since the counters began
	success_download_bytes INTEGER,
	-- sync in, bytes tried since the counters began
	total_sync_in_bytes INTEGER,
	-- sync in, bytes done since the counters began
	success_sync_in_bytes INTEGER,
	-- sync out, bytes tried since the counters began
	total_sync_out_bytes INTEGER,
	-- sync out, bytes done since the counters began
	success_sync_out_bytes INTEGER,
	-- file open, count tried since the counters began
	total_file_open_count INTEGER,
	-- file open, count done since the counters began
	success_file_open_count INTEGER,
	-- file read, count tried since the counters began
	total_file_read_count INTEGER,
	-- file read, count done since the counters began
	success_file_read_count INTEGER,
	-- file write, count tried since the counters began
	total_file_write_count INTEGER,
	-- file write, count done since the counters began
	success_file_write_count INTEGER,
	-- Unix seconds of the last operation of its own
	last_source_update INTEGER,
	-- Unix seconds of the last operation from a peer
	last_sync_update INTEGER,
	-- Unix seconds up to which a peer has sent
	last_synced_timestamp INTEGER,
	-- Unix seconds of the last beat
	last_heart_beat_time INTEGER,
	-- connections there is memory for
	alloc_conns INTEGER,
	-- connections open; the largest of the bucket
	current_conns INTEGER,
	-- most connections there ever were
	max_conns INTEGER,
	-- state number of a storage
	status INTEGER,
	-- store paths
	path_count INTEGER,
	-- capacity in MiB
	total_mb INTEGER,
	-- free in MiB; the smallest of the bucket
	free_mb INTEGER,
	-- free beyond the reserve in MiB; the smallest of the bucket
	usable_mb INTEGER,
	-- files that exist
	files INTEGER,
	-- their bytes
	bytes INTEGER,
	-- storages of a group or cluster
	storage_count INTEGER,
	-- of these, active; the smallest of the bucket
	active_count INTEGER,
	-- operations a peer still waits for; the largest of the bucket
	behind_ops INTEGER,
	-- their content bytes; the largest of the bucket
	behind_bytes INTEGER,
	-- age of the oldest of them; the largest of the bucket
	behind_ms INTEGER,
	-- operations the catalogue has not applied; the largest
	catalogue_waiting INTEGER,
	-- age of the oldest of them; the largest of the bucket
	catalogue_behind_ms INTEGER,
	-- transactions of the writer since start
	commits INTEGER,
	-- writes committed since start
	commit_writes INTEGER,
	-- writes that failed since start
	commit_failed INTEGER,
	-- nanoseconds spent in commits since start
	commit_ns INTEGER,
	-- writes waiting for the writer; the largest of the bucket
	commit_queued INTEGER,
	-- requests served since start
	requests INTEGER,
	-- of these, answered with an error
	errors INTEGER,
	-- failed reads of a disk since start
	read_errors INTEGER,
	-- failed writes of a disk since start
	write_errors INTEGER,
	-- processor time of the program since start
	cpu_user_ms INTEGER,
	-- processor time in the kernel since start
	cpu_system_ms INTEGER,
	-- resident memory in KiB; the largest of the bucket
	rss_kb INTEGER,
	-- open descriptors; the largest of the bucket
	open_files INTEGER,
	PRIMARY KEY (subject, at_ms)
) STRICT, WITHOUT ROWID;

-- The same columns, one row a minute (at_ms: its start), made from the finer
-- table; kept 14 days. Counters: last value; gauges: as sample_10s says.
CREATE TABLE sample_1m (
	subject TEXT NOT NULL,
	at_ms INTEGER NOT NULL,
	total_upload_count INTEGER,
	success_upload_count INTEGER,
	total_append_count INTEGER,
	success_append_count INTEGER,
	total_modify_count INTEGER,
	success_modify_count INTEGER,
	total_truncate_count INTEGER,
	success_truncate_count INTEGER,
	total_set_meta_count INTEGER,
	success_set_meta_count INTEGER,
	total_delete_count INTEGER,
	success_delete_count INTEGER,
	total_download_count INTEGER,
	success_download_count INTEGER,
	total_get_meta_count INTEGER,
	success_get_meta_count INTEGER,
	total_create_link_count INTEGER,
	success_create_link_count INTEGER,
	total_delete_link_count INTEGER,
	success_delete_link_count INTEGER,
	total_upload_bytes INTEGER,
	success_upload_bytes INTEGER,
	total_append_bytes INTEGER,
	success_append_bytes INTEGER,
	total_modify_bytes INTEGER,
	success_modify_bytes INTEGER,
	total_download_bytes INTEGER,
	success_download_bytes INTEGER,
	total_sync_in_bytes INTEGER,
	success_sync_in_bytes INTEGER,
	total_sync_out_bytes INTEGER,
	success_sync_out_bytes INTEGER,
	total_file_open_count INTEGER,
	success_file_open_count INTEGER,
	total_file_read_count INTEGER,
	success_file_read_count INTEGER,
	total_file_write_count INTEGER,
	success_file_write_count INTEGER,
	last_source_update INTEGER,
	last_sync_update INTEGER,
	last_synced_timestamp INTEGER,
	last_heart_beat_time INTEGER,
	alloc_conns INTEGER,
	current_conns INTEGER,
	max_conns INTEGER,
	status INTEGER,
	path_count INTEGER,
	total_mb INTEGER,
	free_mb INTEGER,
	usable_mb INTEGER,
	files INTEGER,
	bytes INTEGER,
	storage_count INTEGER,
	active_count INTEGER,
	behind_ops INTEGER,
	behind_bytes INTEGER,
	behind_ms INTEGER,
	catalogue_waiting INTEGER,
	catalogue_behind_ms INTEGER,
	commits INTEGER,
	commit_writes INTEGER,
	commit_failed INTEGER,
	commit_ns INTEGER,
	commit_queued INTEGER,
	requests INTEGER,
	errors INTEGER,
	read_errors INTEGER,
	write_errors INTEGER,
	cpu_user_ms INTEGER,
	cpu_system_ms INTEGER,
	rss_kb INTEGER,
	open_files INTEGER,
	PRIMARY KEY (subject, at_ms)
) STRICT, WITHOUT ROWID;

-- The same columns, one row a hour (at_ms: its start), made from the finer
-- table; kept 400 days. Counters: last value; gauges: as sample_10s says.
CREATE TABLE sample_1h (
	subject TEXT NOT NULL,
	at_ms INTEGER NOT NULL,
	total_upload_count INTEGER,
	success_upload_count INTEGER,
	total_append_count INTEGER,
	success_append_count INTEGER,
	total_modify_count INTEGER,
	success_modify_count INTEGER,
	total_truncate_count INTEGER,
	success_truncate_count INTEGER,
	total_set_meta_count INTEGER,
	success_set_meta_count INTEGER,
	total_delete_count INTEGER,
	success_delete_count INTEGER,
	total_download_count INTEGER,
	success_download_count INTEGER,
	total_get_meta_count INTEGER,
	success_get_meta_count INTEGER,
	total_create_link_count INTEGER,
	success_create_link_count INTEGER,
	total_delete_link_count INTEGER,
	success_delete_link_count INTEGER,
	total_upload_bytes INTEGER,
	success_upload_bytes INTEGER,
	total_append_bytes INTEGER,
	success_append_bytes INTEGER,
	total_modify_bytes INTEGER,
	success_modify_bytes INTEGER,
	total_download_bytes INTEGER,
	success_download_bytes INTEGER,
	total_sync_in_bytes INTEGER,
	success_sync_in_bytes INTEGER,
	total_sync_out_bytes INTEGER,
	success_sync_out_bytes INTEGER,
	total_file_open_count INTEGER,
	success_file_open_count INTEGER,
	total_file_read_count INTEGER,
	success_file_read_count INTEGER,
	total_file_write_count INTEGER,
	success_file_write_count INTEGER,
	last_source_update INTEGER,
	last_sync_update INTEGER,
	last_synced_timestamp INTEGER,
	last_heart_beat_time INTEGER,
	alloc_conns INTEGER,
	current_conns INTEGER,
	max_conns INTEGER,
	status INTEGER,
	path_count INTEGER,
	total_mb INTEGER,
	free_mb INTEGER,
	usable_mb INTEGER,
	files INTEGER,
	bytes INTEGER,
	storage_count INTEGER,
	active_count INTEGER,
	behind_ops INTEGER,
	behind_bytes INTEGER,
	behind_ms INTEGER,
	catalogue_waiting INTEGER,
	catalogue_behind_ms INTEGER,
	commits INTEGER,
	commit_writes INTEGER,
	commit_failed INTEGER,
	commit_ns INTEGER,
	commit_queued INTEGER,
	requests INTEGER,
	errors INTEGER,
	read_errors INTEGER,
	write_errors INTEGER,
	cpu_user_ms INTEGER,
	cpu_system_ms INTEGER,
	rss_kb INTEGER,
	open_files INTEGER,
	PRIMARY KEY (subject, at_ms)
) STRICT, WITHOUT ROWID;

-- The same columns, one row a day (at_ms: its start), made from the finer
-- table; kept ten years. Counters: last value; gauges: as sample_10s says.
CREATE TABLE sample_1d (
	subject TEXT NOT NULL,
	at_ms INTEGER NOT NULL,
	total_upload_count INTEGER,
	success_upload_count INTEGER,
	total_append_count INTEGER,
	success_append_count INTEGER,
	total_modify_count INTEGER,
	success_modify_count INTEGER,
	total_truncate_count INTEGER,
	success_truncate_count INTEGER,
	total_set_meta_count INTEGER,
	success_set_meta_count INTEGER,
	total_delete_count INTEGER,
	success_delete_count INTEGER,
	total_download_count INTEGER,
	success_download_count INTEGER,
	total_get_meta_count INTEGER,
	success_get_meta_count INTEGER,
	total_create_link_count INTEGER,
	success_create_link_count INTEGER,
	total_delete_link_count INTEGER,
	success_delete_link_count INTEGER,
	total_upload_bytes INTEGER,
	success_upload_bytes INTEGER,
	total_append_bytes INTEGER,
	success_append_bytes INTEGER,
	total_modify_bytes INTEGER,
	success_modify_bytes INTEGER,
	total_download_bytes INTEGER,
	success_download_bytes INTEGER,
	total_sync_in_bytes INTEGER,
	success_sync_in_bytes INTEGER,
	total_sync_out_bytes INTEGER,
	success_sync_out_bytes INTEGER,
	total_file_open_count INTEGER,
	success_file_open_count INTEGER,
	total_file_read_count INTEGER,
	success_file_read_count INTEGER,
	total_file_write_count INTEGER,
	success_file_write_count INTEGER,
	last_source_update INTEGER,
	last_sync_update INTEGER,
	last_synced_timestamp INTEGER,
	last_heart_beat_time INTEGER,
	alloc_conns INTEGER,
	current_conns INTEGER,
	max_conns INTEGER,
	status INTEGER,
	path_count INTEGER,
	total_mb INTEGER,
	free_mb INTEGER,
	usable_mb INTEGER,
	files INTEGER,
	bytes INTEGER,
	storage_count INTEGER,
	active_count INTEGER,
	behind_ops INTEGER,
	behind_bytes INTEGER,
	behind_ms INTEGER,
	catalogue_waiting INTEGER,
	catalogue_behind_ms INTEGER,
	commits INTEGER,
	commit_writes INTEGER,
	commit_failed INTEGER,
	commit_ns INTEGER,
	commit_queued INTEGER,
	requests INTEGER,
	errors INTEGER,
	read_errors INTEGER,
	write_errors INTEGER,
	cpu_user_ms INTEGER,
	cpu_system_ms INTEGER,
	rss_kb INTEGER,
	open_files INTEGER,
	PRIMARY KEY (subject, at_ms)
) STRICT, WITHOUT ROWID;

-- What changed, when, to whom, why.
CREATE TABLE event (
	-- in the order in which they happened
	id INTEGER PRIMARY KEY,
	-- when, Unix milliseconds
	at_ms INTEGER NOT NULL,
	-- "FD-STATE-01"; fdfs-meta explain CODE
	code TEXT NOT NULL,
	-- 0 info, 1 warning, 2 critical
	severity INTEGER NOT NULL,
	-- storage id, group, store path, "cluster"
	subject TEXT NOT NULL,
	-- one sentence
	text TEXT NOT NULL
) STRICT;

CREATE INDEX event_at ON event (at_ms);

-- Small facts: group, last roll-up of the samples, indexed keys.
CREATE TABLE mark (
	-- what
	key TEXT PRIMARY KEY,
	-- its value
	value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Every file. Fast by remote, created_ms, ext, and size from 1 MiB up.
CREATE VIEW files AS
SELECT
	(SELECT value FROM mark WHERE key = 'group') || '/' || f.name AS id,
	coalesce(f.orig, substr(f.name, 11)) AS name,
	f.size,
	strftime('%Y-%m-%dT%H:%M:%SZ', f.created_ms / 1000, 'unixepoch')
		AS created,
	strftime('%Y-%m-%dT%H:%M:%SZ', f.modified_ms / 1000, 'unixepoch')
		AS modified,
	CASE f.type
		WHEN 0 THEN 'normal' WHEN 1 THEN 'appender' WHEN 2 THEN 'slave'
		WHEN 3 THEN 'trunk' WHEN 4 THEN 'link' END AS type,
	f.ext,
	CASE WHEN f.crc IS NOT NULL THEN printf('%08x', f.crc) END AS crc,
	f.source,
	f.client,
	f.orig AS original,
	f.name AS remote,
	(SELECT value FROM mark WHERE key = 'group') AS grp,
	f.path,
	printf('%02X/%02X', f.dir / 256, f.dir % 256) AS dir,
	f.created_ms,
	f.modified_ms,
	strftime('%Y-%m-%dT%H:%M:%SZ', f.verified_ms / 1000, 'unixepoch')
		AS verified,
	f.verify_result,
	f.id AS seq,
	f.last_seq
FROM file f;

-- User metadata, one row a name.
CREATE VIEW meta AS
SELECT
	(SELECT value FROM mark WHERE key = 'group') || '/' || f.name AS id,
	f.name AS remote,
	a.key,
	a.value
FROM attr a JOIN file f ON f.id = a.file;

-- Deleted files.
CREATE VIEW deleted AS
SELECT
	(SELECT value FROM mark WHERE key = 'group') || '/' || name AS id,
	coalesce(orig, substr(name, 11)) AS name,
	size,
	strftime('%Y-%m-%dT%H:%M:%SZ', created_ms / 1000, 'unixepoch')
		AS created,
	strftime('%Y-%m-%dT%H:%M:%SZ', deleted_ms / 1000, 'unixepoch')
		AS deleted,
	deleted_by,
	ext,
	source,
	client,
	name AS remote,
	created_ms,
	deleted_ms,
	id AS seq
FROM tombstone;

-- Status samples of every step; at_ms is the start of the step.
CREATE VIEW samples AS
SELECT 10000 AS step_ms, * FROM sample_10s
UNION ALL SELECT 60000, * FROM sample_1m
UNION ALL SELECT 3600000, * FROM sample_1h
UNION ALL SELECT 86400000, * FROM sample_1d;

-- Events with their time and severity as words.
CREATE VIEW events AS
SELECT
	id,
	strftime('%Y-%m-%dT%H:%M:%S', at_ms / 1000, 'unixepoch')
		|| printf('.%03dZ', at_ms % 1000) AS at,
	at_ms,
	code,
	CASE severity WHEN 0 THEN 'info' WHEN 1 THEN 'warn' ELSE 'crit' END
		AS severity,
	subject,
	text
FROM event;
