-- Columns of every table of samples, in both databases. A line
-- "--include sample_columns.sql" stands for this file (tools/embed-schema.sh).
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
