/* SPDX-License-Identifier: MIT */
/* Files of the catalogue as rows of output. Main thread only. */
#ifndef CLI_FILES_H
#define CLI_FILES_H

#include "cli/dbs.h"
#include "cli/out.h"

enum files_column {
	FILES_ID,
	FILES_SIZE,
	FILES_CREATED,
	FILES_NAME,
	FILES_STATUS,
	FILES_TYPE,
	FILES_EXT,
	FILES_CRC,
	FILES_MODIFIED,
	FILES_SOURCE,
	FILES_CLIENT,
	FILES_GROUP,
	FILES_PATH,
	FILES_DIR,
	FILES_VERIFIED,
	FILES_VERIFY_RESULT,
	FILES_DELETED,
	FILES_DELETED_BY,
	FILES_SEQ,
	FILES_META,
	FILES_COLUMNS
};

extern const struct out_column files_columns[FILES_COLUMNS];

/* Prints one file; metadata is read only when its column is shown. False:
 * stop. */
bool files_print(struct out *out, struct db *db, const struct file_row *row);

#endif
