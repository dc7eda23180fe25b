/* SPDX-License-Identifier: MIT */
/*
 * A mailbox is a locked list and an eventfd. The eventfd is written only when
 * the list was empty, so a burst of jobs costs one wake-up. The owner clears
 * the eventfd before it takes the list: a job posted in between is taken at
 * once, and at worst causes one more, empty, round.
 */
#include "base/mailbox.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/str.h"

struct crew {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct job *head;
	struct job **tail;
	size_t idle;  /* workers in pthread_cond_wait */
	size_t woken; /* of these, signalled and not yet running */
	bool ending;
	size_t n;
	pthread_t threads[];
};

int mailbox_init(struct mailbox *m)
{
	m->head = NULL;
	m->tail = &m->head;
	m->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (m->fd < 0)
		return -errno;
	pthread_mutex_init(&m->lock, NULL);
	return 0;
}

void mailbox_fini(struct mailbox *m)
{
	close(m->fd);
	m->fd = -1;
	pthread_mutex_destroy(&m->lock);
}

void mailbox_post(struct mailbox *m, struct job *job)
{
	const uint64_t one = 1;
	bool was_empty;

	job->next = NULL;
	pthread_mutex_lock(&m->lock);
	was_empty = !m->head;
	*m->tail = job;
	m->tail = &job->next;
	pthread_mutex_unlock(&m->lock);
	/* Only a counter at its limit refuses, and then the box is signalled
	 * anyway. */
	while (
	    was_empty && write(m->fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

struct job *mailbox_take(struct mailbox *m)
{
	struct job *list;
	uint64_t count;

	while (read(m->fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
	pthread_mutex_lock(&m->lock);
	list = m->head;
	m->head = NULL;
	m->tail = &m->head;
	pthread_mutex_unlock(&m->lock);
	return list;
}

size_t mailbox_run(struct mailbox *m)
{
	struct job *job = mailbox_take(m);
	size_t n = 0;

	for (; job; n++) {
		struct job *next = job->next;

		job->next = NULL;
		job->done(job);
		job = next;
	}
	return n;
}

void mailbox_wait(struct mailbox *m)
{
	struct pollfd p = { m->fd, POLLIN, 0 };

	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		;
}

void job_go_home(struct job *job)
{
	mailbox_post(job->home, job);
}

/* With the lock held: waits for a job; NULL when the crew ends. */
static struct job *crew_next(struct crew *c)
{
	struct job *job;

	while (!c->head && !c->ending) {
		c->idle++;
		pthread_cond_wait(&c->work, &c->lock);
		c->idle--;
		if (c->woken > 0)
			c->woken--;
	}
	job = c->head;
	if (!job)
		return NULL;
	c->head = job->next;
	if (!c->head)
		c->tail = &c->head;
	job->next = NULL;
	return job;
}

static void *crew_main(void *arg)
{
	struct crew *c = arg;
	struct job *job;

	pthread_mutex_lock(&c->lock);
	while ((job = crew_next(c))) {
		pthread_mutex_unlock(&c->lock);
		job->run(job);
		pthread_mutex_lock(&c->lock);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

/* Starts c->n .. workers; on failure those that started stay counted. */
static int crew_start(struct crew *c, size_t workers, const char *name)
{
	sigset_t all;
	sigset_t kept;
	int rc = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &kept);
	while (c->n < workers && rc == 0) {
		char label[16];

		rc = pthread_create(&c->threads[c->n], NULL, crew_main, c);
		if (rc != 0)
			break;
		snprintf(label, sizeof(label), "%.10s-%zu", name, c->n);
		pthread_setname_np(c->threads[c->n], label);
		c->n++;
	}
	pthread_sigmask(SIG_SETMASK, &kept, NULL);
	return -rc;
}

int crew_new(size_t workers, const char *name, struct crew **out)
{
	struct crew *c =
	    xcalloc(1, sizeof(*c) + workers * sizeof(c->threads[0]));
	int rc;

	c->tail = &c->head;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->work, NULL);
	rc = crew_start(c, workers, name);
	if (rc < 0) {
		crew_free(c);
		return rc;
	}
	*out = c;
	return 0;
}

void crew_submit(struct crew *c, struct job *job)
{
	bool wake;

	job->next = NULL;
	pthread_mutex_lock(&c->lock);
	*c->tail = job;
	c->tail = &job->next;
	wake = c->idle > c->woken;
	c->woken += wake;
	pthread_mutex_unlock(&c->lock);
	if (wake)
		pthread_cond_signal(&c->work);
}

void crew_free(struct crew *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	c->ending = true;
	pthread_cond_broadcast(&c->work);
	pthread_mutex_unlock(&c->lock);
	for (size_t i = 0; i < c->n; i++)
		pthread_join(c->threads[i], NULL);
	pthread_cond_destroy(&c->work);
	pthread_mutex_destroy(&c->lock);
	free(c);
}
