/* SPDX-License-Identifier: MIT */
/*
 * An event loop: libevent base, mailbox, timers, signals, listening. A loop
 * belongs to the thread that runs it; only loop_stop and posting to its
 * mailbox are for other threads.
 */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/mailbox.h"

struct loop;
struct event_base;
struct timer;
struct listener;

int loop_new(struct loop **out); /* 0 or -errno */
void loop_free(struct loop *l);
struct mailbox *loop_mailbox(struct loop *l);
struct event_base *loop_base(struct loop *l); /* for net/ only */

/* Runs in the calling thread until loop_stop. */
void loop_run(struct loop *l);
/* Runs in a thread of its own, signals blocked; loop_join waits for it. */
int loop_start(struct loop *l, const char *thread_name);
void loop_join(struct loop *l);
void loop_stop(struct loop *l); /* any thread */

/* Called after each turn, when every ready event of the turn was handled:
 * the place to pass on what the turn collected in one go. */
void loop_at_turn_end(struct loop *l, void (*fn)(void *arg), void *arg);

/* fn(arg) every ms milliseconds, first after ms. */
struct timer *loop_every(struct loop *l, unsigned ms, void (*fn)(void *arg),
    void *arg);
void timer_set(struct timer *t, unsigned ms);
void timer_free(struct timer *t);

/* fn(arg) in the loop's thread when the signal arrives. */
int loop_on_signal(struct loop *l, int signo, void (*fn)(void *arg), void *arg);

/* Accepts on the address; fn owns the (non-blocking, close-on-exec)
 * descriptor. backlog 1024. -EADDRINUSE, -EADDRNOTAVAIL, -EACCES ... */
int loop_listen(struct loop *l, const struct addr *at,
    void (*fn)(void *arg, int fd, const struct addr *peer), void *arg,
    struct listener **out);
/* The port really taken (asked for 0). */
uint16_t listener_port(const struct listener *ln);
void listener_free(struct listener *ln);

#endif
