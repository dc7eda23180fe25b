-- Replication: exact totals of what peers are sent, the state of each pair of
-- storages, and the list of what one of them could not take.

-- Own operations (replica = 0) up to and including this one, and the content
-- bytes that they carried: what waits for a peer is two subtractions, and the
-- first operation that does is found by halving.
ALTER TABLE operation ADD COLUMN own_total INTEGER NOT NULL DEFAULT 0;
ALTER TABLE operation ADD COLUMN own_bytes INTEGER NOT NULL DEFAULT 0;

UPDATE operation SET own_total = t.n, own_bytes = t.bytes
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
	follower TEXT NOT NULL REFERENCES follower (name)
		ON DELETE CASCADE ON UPDATE CASCADE,
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

-- One row for each member of the group that this storage sends to. What waits
-- are own operations behind its cursor and, until it is filled, the files not
-- yet walked; what is parked is counted apart.
CREATE VIEW peers AS
WITH place AS (
	SELECT
		f.*,
		-- totals at the cursor, also when its own row was trimmed
		coalesce((SELECT o.own_total FROM operation o
			WHERE o.seq <= f.seq ORDER BY o.seq DESC LIMIT 1),
			(SELECT o.own_total - (o.replica = 0) FROM operation o
			ORDER BY o.seq LIMIT 1), 0) AS ops_at,
		coalesce((SELECT o.own_bytes FROM operation o
			WHERE o.seq <= f.seq ORDER BY o.seq DESC LIMIT 1),
			(SELECT o.own_bytes - o.bytes * (o.replica = 0)
			FROM operation o ORDER BY o.seq LIMIT 1), 0)
			AS bytes_at,
		iif(f.filled, 0, max(f.fill_files_all - f.fill_files, 0))
			AS fill_rest,
		iif(f.filled, 0, max(f.fill_bytes_all - f.fill_bytes, 0))
			AS fill_rest_bytes
	FROM follower f
	WHERE f.name <> 'catalogue'
),
count AS (
	SELECT
		p.*,
		coalesce((SELECT o.own_total FROM operation o
			ORDER BY o.seq DESC LIMIT 1), 0) - p.ops_at AS ops,
		coalesce((SELECT o.own_bytes FROM operation o
			ORDER BY o.seq DESC LIMIT 1), 0) - p.bytes_at AS bytes,
		-- the first own operation behind the cursor: the first row
		-- whose total is above that at the cursor, by halving
		(WITH RECURSIVE half (lo, hi) AS (
			SELECT p.seq, (SELECT max(seq) FROM operation)
			UNION ALL
			SELECT
				iif(coalesce((SELECT o.own_total
					FROM operation o
					WHERE o.seq <= (lo + hi) / 2
					ORDER BY o.seq DESC LIMIT 1), 0)
					> p.ops_at, lo, (lo + hi) / 2),
				iif(coalesce((SELECT o.own_total
					FROM operation o
					WHERE o.seq <= (lo + hi) / 2
					ORDER BY o.seq DESC LIMIT 1), 0)
					> p.ops_at, (lo + hi) / 2, hi)
			FROM half WHERE hi - lo > 1
		)
		SELECT o.at_ms FROM operation o
		WHERE o.seq = (SELECT min(hi) FROM half)
			AND o.own_total > p.ops_at) AS oldest_ms
	FROM place p
)
SELECT
	name AS peer,
	address,
	state AS phase,
	strftime('%Y-%m-%dT%H:%M:%SZ', state_ms / 1000, 'unixepoch')
		AS phase_since,
	max(ops, 0) + fill_rest AS waiting_ops,
	max(bytes, 0) + fill_rest_bytes AS waiting_bytes,
	strftime('%Y-%m-%dT%H:%M:%SZ', oldest_ms / 1000, 'unixepoch')
		AS oldest,
	oldest_ms,
	-- of the first copy, while it lasts
	CASE WHEN filled = 0 AND fill_bytes_all > 0
			THEN min(100 * fill_bytes / fill_bytes_all, 100)
		WHEN filled = 0 AND fill_files_all > 0
			THEN min(100 * fill_files / fill_files_all, 100)
		END AS percent,
	rate_ops,
	rate_bytes,
	(SELECT count(*) FROM parked k WHERE k.follower = count.name)
		AS parked,
	errors,
	error_text AS last_error,
	strftime('%Y-%m-%dT%H:%M:%SZ', error_ms / 1000, 'unixepoch')
		AS last_error_at,
	seq,
	moved_ms,
	sent_ops,
	sent_bytes,
	source,
	filled,
	until
FROM count;

-- What waits for a peer, one row an operation of the log and one a parked
-- file (parked = 1, with what went wrong). Give a peer and a limit: it is as
-- long as the backlog.
CREATE VIEW waiting AS
SELECT
	f.name AS peer,
	o.name AS remote,
	o.op,
	o.seq,
	strftime('%Y-%m-%dT%H:%M:%SZ', o.at_ms / 1000, 'unixepoch') AS at,
	o.at_ms,
	o.size,
	o.bytes,
	0 AS parked,
	NULL AS error,
	NULL AS tries,
	NULL AS next_try
FROM follower f JOIN operation o ON o.seq > f.seq AND o.replica = 0
WHERE f.name <> 'catalogue'
UNION ALL
SELECT
	k.follower,
	k.name,
	k.op,
	k.seq,
	strftime('%Y-%m-%dT%H:%M:%SZ', k.source_time, 'unixepoch'),
	k.source_time * 1000,
	NULL,
	NULL,
	1,
	k.error_text,
	k.tries,
	strftime('%Y-%m-%dT%H:%M:%SZ', k.next_ms / 1000, 'unixepoch')
FROM parked k;
