-- Replication: exact totals of what peers are sent, the state of each pair of
-- storages, and the list of what one of them could not take.

-- Own operations (replica = 0) up to and including this one; with bytes_total,
-- which from now on counts the bytes of own operations only, the backlog of a
-- peer is two subtractions.
ALTER TABLE operation ADD COLUMN own_total INTEGER NOT NULL DEFAULT 0;

UPDATE operation SET own_total = t.n, bytes_total = t.bytes
FROM (
	SELECT seq,
		sum(replica = 0) OVER (ORDER BY seq) AS n,
		sum(bytes * (replica = 0)) OVER (ORDER BY seq) AS bytes
	FROM operation
) AS t
WHERE t.seq = operation.seq;

-- Where the peer listens, "ip:port"; '' for the catalogue.
ALTER TABLE follower ADD COLUMN address TEXT NOT NULL DEFAULT '';
-- What the sender does: down, wait, fill, log, synced; '' for the catalogue.
ALTER TABLE follower ADD COLUMN state TEXT NOT NULL DEFAULT '';
-- Since when, Unix milliseconds.
ALTER TABLE follower ADD COLUMN state_ms INTEGER NOT NULL DEFAULT 0;
-- 1: this storage is the one that fills the peer with the older files.
ALTER TABLE follower ADD COLUMN source INTEGER NOT NULL DEFAULT 0;
-- Up to which moment it does, Unix seconds at the tracker.
ALTER TABLE follower ADD COLUMN until INTEGER NOT NULL DEFAULT 0;
-- 1: the peer has been filled, or needs not be.
ALTER TABLE follower ADD COLUMN filled INTEGER NOT NULL DEFAULT 0;
-- The last file of the catalogue that was sent while filling.
ALTER TABLE follower ADD COLUMN fill_after TEXT NOT NULL DEFAULT '';
-- Files and bytes done while filling, and how many there were at its start.
ALTER TABLE follower ADD COLUMN fill_files INTEGER NOT NULL DEFAULT 0;
ALTER TABLE follower ADD COLUMN fill_files_all INTEGER NOT NULL DEFAULT 0;
ALTER TABLE follower ADD COLUMN fill_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE follower ADD COLUMN fill_bytes_all INTEGER NOT NULL DEFAULT 0;
-- Operations and content bytes that the peer has taken since the pair began.
ALTER TABLE follower ADD COLUMN sent_ops INTEGER NOT NULL DEFAULT 0;
ALTER TABLE follower ADD COLUMN sent_bytes INTEGER NOT NULL DEFAULT 0;
-- Operations and bytes a second, over the last ten seconds.
ALTER TABLE follower ADD COLUMN rate_ops INTEGER NOT NULL DEFAULT 0;
ALTER TABLE follower ADD COLUMN rate_bytes INTEGER NOT NULL DEFAULT 0;
-- Failures since the pair began.
ALTER TABLE follower ADD COLUMN errors INTEGER NOT NULL DEFAULT 0;

-- Files that one follower could not take and that are tried again: to try
-- means to make the peer's file as ours is then, so one row a file is enough.
-- (Nothing ever wrote the table of the first version.)
DROP TABLE parked;
CREATE TABLE parked (
	-- who could not take it
	follower TEXT NOT NULL REFERENCES follower (name) ON DELETE CASCADE,
	-- remote file name
	name TEXT NOT NULL,
	-- the first operation that failed, 0 while the peer is being filled
	seq INTEGER NOT NULL,
	-- what was to be done, a letter as in operation
	op TEXT NOT NULL,
	-- Unix seconds of that operation at its source
	source_time INTEGER NOT NULL,
	-- errno of the last try
	error INTEGER NOT NULL,
	-- the same in words
	error_text TEXT NOT NULL,
	-- how often it was tried
	tries INTEGER NOT NULL,
	-- when it failed first, Unix milliseconds
	since_ms INTEGER NOT NULL,
	-- when it is tried next, Unix milliseconds
	next_ms INTEGER NOT NULL,
	PRIMARY KEY (follower, name)
) STRICT, WITHOUT ROWID;
