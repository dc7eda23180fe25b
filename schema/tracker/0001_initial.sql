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
