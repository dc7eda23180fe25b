-- A log of schema version 1 with operations, its first four trimmed, as
-- the program of that version left it: for test_migrate.c.
PRAGMA application_id = 1178881095;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
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
INSERT INTO "follower" VALUES('catalogue',11,1795331779123,0,NULL,NULL);
CREATE TABLE mark (
	-- what
	key TEXT PRIMARY KEY,
	-- its value
	value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "mark" VALUES('clean_stop','1795331780000');
INSERT INTO "mark" VALUES('log_id','00112233aabbccdd');
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
INSERT INTO "operation" VALUES(5,1795331773123,'C',0,1795331773,'M00/00/00/f0.txt',100,0,100,1863068561,'10.0.0.9',NULL,800);
INSERT INTO "operation" VALUES(6,1795331774123,'C',1,1795331774,'M00/00/00/f1.txt',1000,0,1000,1863068561,'10.0.0.9',NULL,1800);
INSERT INTO "operation" VALUES(7,1795331775123,'U',0,1795331775,'M00/00/00/f2.txt',0,0,0,1863068561,'10.0.0.9',X'617574686F72026C696E',1800);
INSERT INTO "operation" VALUES(8,1795331776123,'A',0,1795331776,'M00/00/00/f3.txt',50,0,50,1863068561,'10.0.0.9',NULL,1850);
INSERT INTO "operation" VALUES(9,1795331777123,'C',1,1795331777,'M00/00/00/f4.txt',2000,0,2000,1863068561,'10.0.0.9',NULL,3850);
INSERT INTO "operation" VALUES(10,1795331778123,'D',0,1795331778,'M00/00/00/f5.txt',0,0,0,1863068561,'10.0.0.9',NULL,3850);
INSERT INTO "operation" VALUES(11,1795331779123,'C',0,1795331779,'M00/00/00/f6.txt',10,0,10,1863068561,'10.0.0.9',NULL,3860);
INSERT INTO "operation" VALUES(12,1795331780123,'T',1,1795331780,'M00/00/00/f7.txt',0,0,0,1863068561,'10.0.0.9',NULL,3860);
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
COMMIT;
