/* SPDX-License-Identifier: MIT */
#include "storaged/handlers.h"

static const struct handler *const handlers[256] = {
	[CMD_upload_file] = &handle_upload,
	[CMD_upload_appender_file] = &handle_upload_appender,
	[CMD_upload_slave_file] = &handle_upload_slave,
	[CMD_append_file] = &handle_append,
	[CMD_modify_file] = &handle_modify,
	[CMD_truncate_file] = &handle_truncate,
	[CMD_regenerate_appender_filename] = &handle_regenerate,
	[CMD_delete_file] = &handle_delete,
	[CMD_set_metadata] = &handle_set_metadata,
	[CMD_get_metadata] = &handle_get_metadata,
	[CMD_query_file_info] = &handle_file_info,
	[CMD_download_file] = &handle_download,
	[CMD_fetch_one_path_binlog] = &handle_path_binlog,
	[CMD_report_server_id] = &handle_server_id,
	[CMD_sync_create] = &handle_sync_create,
	[CMD_sync_update] = &handle_sync_update,
	[CMD_sync_delete] = &handle_sync_delete,
	[CMD_sync_create_link] = &handle_sync_link,
	[CMD_sync_append] = &handle_sync_append,
	[CMD_sync_modify] = &handle_sync_modify,
	[CMD_sync_truncate] = &handle_sync_truncate,
	[CMD_sync_rename] = &handle_sync_rename,
};

const struct handler *handler_of(uint8_t command)
{
	return handlers[command];
}
