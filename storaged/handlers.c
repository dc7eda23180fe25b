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
};

const struct handler *handler_of(uint8_t command)
{
	return handlers[command];
}
