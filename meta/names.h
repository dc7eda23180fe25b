/* SPDX-License-Identifier: MIT */
/* What a FastDFS file name says, as the catalogue wants it. Pure. */
#ifndef META_NAMES_H
#define META_NAMES_H

#include "meta/catalogue.h"

/* The name_reader of the daemons and tools. 0, or -EINVAL when the remote
 * name is none (client-protocol 4.1). */
int names_read(struct span name, struct name_facts *out);

#endif
