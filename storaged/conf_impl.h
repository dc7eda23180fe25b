/* SPDX-License-Identifier: MIT */
/*
 * What the files of the storage's configuration share. Main thread.
 */
#ifndef STORAGED_CONF_IMPL_H
#define STORAGED_CONF_IMPL_H

#include "storaged/conf.h"

extern const struct conf_key storage_keys[];
extern const size_t storage_keys_n;

/* What no single row can say: addresses, trackers, store paths, names. Fills
 * the second half of the struct. -EINVAL and the like with a sentence. */
int storage_conf_check(struct storage_conf *c, char *err, size_t cap);

/* One warning for each key that is set to something a user would miss. */
void storage_conf_tell_lost(struct conf_file *cf);

#endif
