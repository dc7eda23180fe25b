-- The log of operations of one storage: what a reply waits for, and what
-- every follower (the catalogue, the peers) is made from.

-- One row an operation, in the order in which they were committed. The last
-- row is never trimmed, so that the numbers and running totals go on.
CREATE TABLE operation (
	-- sequence number, never used twice: the last row is never trimmed.
	-- (AUTOINCREMENT would promise the same for a second page a commit.)
	seq INTEGER PRIMARY KEY,
	-- when it was recorded here, Unix time in milliseconds
	at_ms INTEGER NOT NULL,
	-- C create, A append, M modify, T truncate, D delete, U set metadata,
	-- R rename, L link
	op TEXT NOT NULL CHECK (length(op) = 1),
	-- 1: it came from a peer and is not sent on
	replica INTEGER NOT NULL,
	-- Unix seconds at the source of the operation
	source_time INTEGER NOT NULL,
	-- remote file name, M00/00/00/...; of a rename the new name
	name TEXT NOT NULL,
	-- size of the file afterwards
	size INTEGER NOT NULL,
	-- append, modify: where; truncate: the size before
	offset INTEGER NOT NULL,
	-- content bytes the operation carried
	bytes INTEGER NOT NULL,
	-- crc32 of the file (create, rename) or of the bytes carried
	crc INTEGER NOT NULL,
	-- address of who asked for it
	client TEXT NOT NULL,
	-- set metadata: the packed text now in force; rename: the old name;
	-- link: the target
	extra BLOB,
	-- sum of bytes of every operation up to and including this one
	bytes_total INTEGER NOT NULL
) STRICT;

-- Who reads the log and how far they are.
CREATE TABLE follower (
	-- "catalogue", or the id of a peer
	name TEXT PRIMARY KEY,
	-- everything up to this sequence number is done
	seq INTEGER NOT NULL,
	-- when it moved last, Unix milliseconds
	moved_ms INTEGER NOT NULL,
	-- 0, or the errno of the last failure
	error INTEGER NOT NULL DEFAULT 0,
	-- the last failure in words
	error_text TEXT,
	-- when that was, Unix milliseconds
	error_ms INTEGER
) STRICT, WITHOUT ROWID;

-- Operations that one follower could not take and that are tried again.
CREATE TABLE parked (
	-- who could not take it
	follower TEXT NOT NULL REFERENCES follower (name) ON DELETE CASCADE,
	-- which operation
	seq INTEGER NOT NULL,
	-- errno of the last try
	error INTEGER NOT NULL,
	-- how often it was tried
	tries INTEGER NOT NULL,
	-- when it is tried next, Unix milliseconds
	next_ms INTEGER NOT NULL,
	PRIMARY KEY (follower, seq)
) STRICT, WITHOUT ROWID;

-- Small facts: log_id (made once, tells two logs apart), clean_stop,
-- identities of the store paths, counters at the last start.
CREATE TABLE mark (
	-- what
	key TEXT PRIMARY KEY,
	-- its value
	value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO mark (key, value) VALUES ('log_id', lower(hex(randomblob(8))));

-- The interface of the log for people and tools.
CREATE VIEW operations AS
SELECT
	seq,
	strftime('%Y-%m-%dT%H:%M:%S', at_ms / 1000, 'unixepoch')
		|| printf('.%03dZ', at_ms % 1000) AS at,
	at_ms,
	op,
	CASE op
		WHEN 'C' THEN 'create' WHEN 'A' THEN 'append'
		WHEN 'M' THEN 'modify' WHEN 'T' THEN 'truncate'
		WHEN 'D' THEN 'delete' WHEN 'U' THEN 'metadata'
		WHEN 'R' THEN 'rename' WHEN 'L' THEN 'link' ELSE op
	END AS what,
	replica,
	source_time,
	name AS remote,
	size,
	offset,
	bytes,
	printf('%08x', crc) AS crc,
	client,
	CASE op WHEN 'R' THEN CAST(extra AS TEXT)
		WHEN 'L' THEN CAST(extra AS TEXT) END AS other,
	extra,
	bytes_total
FROM operation;
