/* SPDX-License-Identifier: MIT */
/* Which function answers which command of this daemon. */
#ifndef STORAGED_HANDLERS_H
#define STORAGED_HANDLERS_H

#include "storaged/op.h"

extern const struct handler handle_upload;
extern const struct handler handle_upload_appender;
extern const struct handler handle_upload_slave;
extern const struct handler handle_append;
extern const struct handler handle_modify;
extern const struct handler handle_truncate;
extern const struct handler handle_regenerate;
extern const struct handler handle_delete;
extern const struct handler handle_set_metadata;
extern const struct handler handle_get_metadata;
extern const struct handler handle_file_info;
extern const struct handler handle_download;
extern const struct handler handle_path_binlog; /* rebuild_serve.c */
extern const struct handler handle_server_id;
extern const struct handler handle_sync_create;
extern const struct handler handle_sync_update;
extern const struct handler handle_sync_delete;
extern const struct handler handle_sync_link;
extern const struct handler handle_sync_append;
extern const struct handler handle_sync_modify;
extern const struct handler handle_sync_truncate;
extern const struct handler handle_sync_rename;

/* Brings a window of a download into memory (conn.h). */
enum conn_take download_window(struct conn *c, int fd, off_t at, size_t n);

#endif
