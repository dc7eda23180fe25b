/* SPDX-License-Identifier: MIT */
/*
 * The bridge between threads. A job is embedded in the object it works for;
 * passing the job passes the object. A mailbox takes jobs from any thread and
 * gives them to the one thread that owns it (through an eventfd an event loop
 * can watch); a crew takes jobs from any thread and runs them in its workers.
 */
#ifndef BASE_MAILBOX_H
#define BASE_MAILBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct mailbox;

struct job {
	struct job *next;
	void (*run)(struct job *job);  /* in a worker or the writer */
	void (*done)(struct job *job); /* back home */
	struct mailbox *home;
	int rc;
};

struct mailbox {
	pthread_mutex_t lock;
	struct job *head;
	struct job **tail;
	int fd; /* eventfd, readable when jobs wait */
};

int mailbox_init(struct mailbox *m); /* 0 or -errno */
void mailbox_fini(struct mailbox *m);
/* Any thread. Wakes the owner only when the box was empty. */
void mailbox_post(struct mailbox *m, struct job *job);
/* Owner only: takes everything that waits, in order, and clears the eventfd.
 * Run with mailbox_run, or walk the list. */
struct job *mailbox_take(struct mailbox *m);
/* Owner only: takes all and calls each job's done. Gives how many. */
size_t mailbox_run(struct mailbox *m);
/* Owner only, for a thread without a loop: returns when something waits. */
void mailbox_wait(struct mailbox *m);

/* Workers that share one queue. run() is called in a worker; it must itself
 * pass the job on (job_go_home) or keep it. */
struct crew;

int crew_new(size_t workers, const char *name, struct crew **out);
void crew_submit(struct crew *c, struct job *job);
/* Runs what is queued, then joins the workers. crew_free(NULL) is fine. */
void crew_free(struct crew *c);

/* Posts the job to its home. */
void job_go_home(struct job *job);

#endif
