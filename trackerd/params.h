/* SPDX-License-Identifier: MIT */
/*
 * The text that PARAMETER_REQ answers (client-protocol 3.15, cluster-protocol
 * 1.3): the settings storages and clients take from the tracker. Pure.
 */
#ifndef TRACKERD_PARAMS_H
#define TRACKERD_PARAMS_H

#include "base/str.h"
#include "trackerd/conf.h"

#define PARAMS_MAX 1024

/* ip_width: cf_ip_width. */
void params_print(const struct tracker_conf *cf, unsigned ip_width,
    struct strbuf *out);

#endif
