-- What a tracker remembers of its cluster, with its history.

-- Groups.
CREATE TABLE grp (
	-- group name
	name TEXT PRIMARY KEY,
	-- port of its storages
	storage_port INTEGER NOT NULL,
	-- store paths of each storage
	store_path_count INTEGER NOT NULL,
	-- directories of each level below a store path
	subdir_count_per_path INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Storages.
CREATE TABLE storage (
	-- its group
	grp TEXT NOT NULL,
	-- storage id, or the address where ids are not used
	id TEXT NOT NULL,
	-- address
	ip TEXT NOT NULL,
	-- state number (0 INIT ... 7 ACTIVE)
	status INTEGER NOT NULL,
	-- version it reported
	version TEXT NOT NULL,
	-- port
	port INTEGER NOT NULL,
	-- store paths
	store_path_count INTEGER NOT NULL,
	-- directories of each level below a store path
	subdir_count_per_path INTEGER NOT NULL,
	-- smaller is preferred
	upload_priority INTEGER NOT NULL,
	-- first joined, Unix seconds
	join_time INTEGER NOT NULL,
	-- last started, Unix seconds
	up_time INTEGER NOT NULL,
	-- who fills it, '' nobody
	src_id TEXT NOT NULL,
	-- up to which moment its source fills it, Unix seconds
	sync_until INTEGER NOT NULL,
	-- everything older than this is there, Unix seconds
	last_synced INTEGER NOT NULL,
	-- Unix seconds
	last_heart_beat INTEGER NOT NULL,
	-- how far it has read the list of changes, bytes
	changelog_offset INTEGER NOT NULL,
	PRIMARY KEY (grp, id)
) STRICT, WITHOUT ROWID;

-- Space of each store path as last reported.
CREATE TABLE storage_path (
	-- group of the storage
	grp TEXT NOT NULL,
	-- the storage
	id TEXT NOT NULL,
	-- number of the path
	path INTEGER NOT NULL,
	-- capacity in MiB
	total_mb INTEGER NOT NULL,
	-- free in MiB
	free_mb INTEGER NOT NULL,
	PRIMARY KEY (grp, id, path),
	FOREIGN KEY (grp, id) REFERENCES storage (grp, id)
		ON DELETE CASCADE ON UPDATE CASCADE
) STRICT, WITHOUT ROWID;

-- Up to which moment one storage has everything of another.
CREATE TABLE stamp (
	-- their group
	grp TEXT NOT NULL,
	-- who sends
	src TEXT NOT NULL,
	-- who receives
	dst TEXT NOT NULL,
	-- Unix seconds
	time INTEGER NOT NULL,
	PRIMARY KEY (grp, src, dst)
) STRICT, WITHOUT ROWID;

-- Every change of a storage's state.
CREATE TABLE status_log (
	-- in order
	seq INTEGER PRIMARY KEY,
	-- Unix milliseconds
	at_ms INTEGER NOT NULL,
	-- group
	grp TEXT NOT NULL,
	-- storage
	id TEXT NOT NULL,
	-- state number before, -1 none
	old INTEGER NOT NULL,
	-- state number after, -1 none
	new INTEGER NOT NULL,
	-- a few words: "join", "beat"
	reason TEXT NOT NULL
) STRICT;

-- Lines of the list of changes that storages read (addresses, groups).
CREATE TABLE change_log (
	-- in order
	seq INTEGER PRIMARY KEY,
	-- one line without its newline
	line TEXT NOT NULL
) STRICT;

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

-- Small facts: clean stop, last roll-up of the samples.
CREATE TABLE mark (
	-- what
	key TEXT PRIMARY KEY,
	-- its value
	value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

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

-- Storages with their state as a word and the space of all paths.
CREATE VIEW storages AS
SELECT
	s.grp,
	s.id,
	s.ip,
	CASE s.status
		WHEN 0 THEN 'INIT' WHEN 1 THEN 'WAIT_SYNC' WHEN 2 THEN 'SYNCING'
		WHEN 3 THEN 'IP_CHANGED' WHEN 4 THEN 'DELETED'
		WHEN 5 THEN 'OFFLINE' WHEN 6 THEN 'ONLINE' WHEN 7 THEN 'ACTIVE'
		WHEN 9 THEN 'RECOVERY' ELSE 'NONE' END AS status,
	s.version,
	s.port,
	sum(p.total_mb) AS total_mb,
	sum(p.free_mb) AS free_mb,
	s.join_time,
	s.up_time,
	s.last_heart_beat,
	s.last_synced
FROM storage s LEFT JOIN storage_path p ON p.grp = s.grp AND p.id = s.id
GROUP BY s.grp, s.id;
