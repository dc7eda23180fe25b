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
--include sample_columns.sql
) STRICT, WITHOUT ROWID;

-- The same columns, one row a minute (at_ms: its start), made from the finer
-- table; kept 14 days. Counters: last value; gauges: as sample_10s says.
CREATE TABLE sample_1m (
--include sample_columns.sql
) STRICT, WITHOUT ROWID;

-- The same columns, one row a hour (at_ms: its start), made from the finer
-- table; kept 400 days. Counters: last value; gauges: as sample_10s says.
CREATE TABLE sample_1h (
--include sample_columns.sql
) STRICT, WITHOUT ROWID;

-- The same columns, one row a day (at_ms: its start), made from the finer
-- table; kept ten years. Counters: last value; gauges: as sample_10s says.
CREATE TABLE sample_1d (
--include sample_columns.sql
) STRICT, WITHOUT ROWID;

-- What changed, when, to whom, why.
CREATE TABLE event (
	-- in the order in which they happened
	id INTEGER PRIMARY KEY,
	-- when, Unix milliseconds
	at_ms INTEGER NOT NULL,
	-- "FD-STATE-01"
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
