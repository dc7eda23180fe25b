/* SPDX-License-Identifier: MIT */
/* LAYERS: net proto base */
/* The asking side, against a peer that answers from a script. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "net/client.h"
#include "test/unit/net_test.h"

/* Takes one request and answers with these bytes, then maybe hangs up. */
struct peer {
	int listening;
	uint16_t port;
	pthread_t thread;
	uint8_t answer[8192];
	size_t n;
	bool hang_up;
	sem_t leave;
	struct header head; /* of the request */
	uint8_t body[8192];
};

static void *peer_main(void *arg)
{
	struct peer *p = arg;
	uint8_t head[HEADER_SIZE];
	int fd = accept4(p->listening, NULL, NULL, SOCK_CLOEXEC);

	if (take(fd, head, sizeof(head)) == (ssize_t)sizeof(head)) {
		p->head = header_get(head);
		take(fd, p->body,
		    size_min((size_t)p->head.length, sizeof(p->body)));
	}
	for (size_t i = 0; i < p->n; i++)
		(void)send(fd, p->answer + i, 1, MSG_NOSIGNAL);
	if (!p->hang_up)
		gate_wait(&p->leave);
	close(fd);
	return NULL;
}

static struct addr peer_start(struct peer *p)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t n = sizeof(sa);
	struct addr a = { .family = 4, .ip = { 127, 0, 0, 1 } };

	sem_init(&p->leave, 0, 0);
	p->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(p->listening, (struct sockaddr *)&sa, n), 0);
	assert_int_equal(listen(p->listening, 1), 0);
	getsockname(p->listening, (struct sockaddr *)&sa, &n);
	a.port = ntohs(sa.sin_port);
	assert_int_equal(pthread_create(&p->thread, NULL, peer_main, p), 0);
	return a;
}

static void peer_end(struct peer *p)
{
	sem_post(&p->leave);
	pthread_join(p->thread, NULL);
	close(p->listening);
	sem_destroy(&p->leave);
}

static void will_answer(struct peer *p, uint8_t command, uint8_t status,
    uint64_t announced, const void *body, size_t n)
{
	memset(p, 0, sizeof(*p));
	header_put(p->answer, announced, command, status);
	if (n)
		memcpy(p->answer + HEADER_SIZE, body, n);
	p->n = HEADER_SIZE + n;
}

static struct peer p;

static struct client *call_up(unsigned io_ms)
{
	struct addr a = peer_start(&p);
	struct client *c;

	assert_int_equal(client_open(&a, NULL, 5000, io_ms, &c), 0);
	assert_int_equal(client_peer(c)->port, a.port);
	assert_int_equal(client_local(c)->ip[0], 127);
	return c;
}

static void hang_up(struct client *c)
{
	client_close(c);
	peer_end(&p);
}

static void test_call_brings_the_whole_answer(void **state)
{
	struct client *c;
	char buf[64];
	struct client_reply got = { buf, sizeof(buf), 0 };

	(void)state;
	will_answer(&p, CMD_RESPONSE, 0, 6, "answer", 6);
	c = call_up(60000);
	assert_int_equal(client_call(c, 77, "question", 8, &got), 0);
	assert_int_equal(got.n, 6);
	assert_memory_equal(buf, "answer", 6);
	hang_up(c);
	assert_int_equal(p.head.command, 77);
	assert_int_equal(p.head.length, 8);
	assert_memory_equal(p.body, "question", 8);
}

static void test_status_of_the_peer_comes_back(void **state)
{
	struct client *c;
	char buf[8];
	struct client_reply got = { buf, sizeof(buf), 9 };

	(void)state;
	will_answer(&p, CMD_RESPONSE, ENOENT, 0, NULL, 0);
	c = call_up(60000);
	assert_int_equal(client_call(c, 77, NULL, 0, &got), ENOENT);
	assert_int_equal(got.n, 0);
	hang_up(c);
}

static int call_with(uint8_t command, uint64_t announced, size_t n, bool up)
{
	struct client *c;
	char body[64] = "";
	char buf[32];
	struct client_reply got = { buf, sizeof(buf), 0 };
	int rc;

	will_answer(&p, command, 0, announced, body, n);
	p.hang_up = up;
	c = call_up(60000);
	rc = client_call(c, 77, NULL, 0, &got);
	hang_up(c);
	return rc;
}

static void test_answers_that_are_none_are_refused(void **state)
{
	(void)state;
	assert_int_equal(call_with(99, 0, 0, false), -EPROTO);
	assert_int_equal(call_with(CMD_RESPONSE, UINT64_MAX, 0, false),
	    -EPROTO);
	assert_int_equal(call_with(CMD_RESPONSE, 33, 0, false), -EMSGSIZE);
	assert_int_equal(call_with(CMD_RESPONSE, 32, 31, true), -ECONNRESET);
}

static void test_peer_that_says_nothing_is_not_awaited_for_ever(void **state)
{
	struct client *c;
	char buf[8];
	struct client_reply got = { buf, sizeof(buf), 0 };

	(void)state;
	memset(&p, 0, sizeof(p));
	c = call_up(20);
	assert_int_equal(client_call(c, 77, NULL, 0, &got), -ETIMEDOUT);
	hang_up(c);
}

static void *abort_it(void *arg)
{
	client_abort(arg);
	return NULL;
}

static void test_wait_may_be_ended_from_another_thread(void **state)
{
	struct client *c;
	pthread_t t;
	char buf[8];
	struct client_reply got = { buf, sizeof(buf), 0 };

	(void)state;
	memset(&p, 0, sizeof(p));
	c = call_up(60000);
	assert_int_equal(pthread_create(&t, NULL, abort_it, c), 0);
	assert_true(client_call(c, 77, NULL, 0, &got) < 0);
	pthread_join(t, NULL);
	hang_up(c);
}

static void test_nobody_there_is_an_error(void **state)
{
	struct addr a;
	struct client *c;

	(void)state;
	memset(&p, 0, sizeof(p));
	a = peer_start(&p);
	assert_int_equal(client_open(&a, NULL, 5000, 5000, &c), 0);
	hang_up(c);
	assert_int_equal(client_open(&a, NULL, 5000, 5000, &c), -ECONNREFUSED);
}

static void test_source_address_may_be_chosen(void **state)
{
	struct addr from = { .family = 4, .ip = { 127, 0, 0, 7 }, .port = 9 };
	struct addr a;
	struct client *c;

	(void)state;
	memset(&p, 0, sizeof(p));
	a = peer_start(&p);
	assert_int_equal(client_open(&a, &from, 5000, 5000, &c), 0);
	assert_int_equal(client_local(c)->ip[3], 7);
	assert_true(client_local(c)->port != 9);
	hang_up(c);
}

static void test_messages_are_asked_and_told(void **state)
{
	struct msg_group_name in = { .group = "group1" };
	union {
		struct msg_file_info is16;
		struct msg_file_info46 is46;
	} out;
	uint8_t body[70] = { [7] = 5, [15] = 7, [24] = ':', ':', '1' };
	struct client *c;

	(void)state;
	for (int i = 0; i < 2; i++) {
		size_t n = i ? 70 : 40;

		will_answer(&p, CMD_RESPONSE, 0, n, body, n);
		c = call_up(60000);
		assert_int_equal(client_ask(c, 77, &MSG(group_name), &in,
		                     &MSG(file_info), &out),
		    0);
		/* Told by its length. */
		assert_ptr_equal(client_dialect(c),
		    i ? &MSG(file_info46) : &MSG(file_info));
		assert_int_equal(i ? out.is46.size : out.is16.size, 5);
		assert_string_equal(i ? out.is46.ip : out.is16.ip, "::1");
		hang_up(c);
		assert_int_equal(p.head.length, 16);
		assert_memory_equal(p.body, "group1\0\0\0\0\0\0\0\0\0\0", 16);
	}
}

static void test_answer_of_a_wrong_length_is_no_message(void **state)
{
	struct msg_file_info46 out;
	struct client *c;

	(void)state;
	will_answer(&p, CMD_RESPONSE, 0, 5, "short", 5);
	c = call_up(60000);
	assert_int_equal(client_ask(c, CMD_query_file_info, NULL, NULL,
	                     &MSG(file_info), &out),
	    -EPROTO);
	hang_up(c);
}

static void test_file_is_sent_behind_its_head(void **state)
{
	char path[] = "/tmp/fdfs-unit-XXXXXX";
	int fd = mkstemp(path);
	struct client *c;
	uint64_t n;

	(void)state;
	unlink(path);
	assert_int_equal(write(fd, "0123456789", 10), 10);
	will_answer(&p, CMD_RESPONSE, 0, 0, NULL, 0);
	c = call_up(60000);
	assert_int_equal(client_send_head(c, 11, 0, 10, "abc", 3), 0);
	assert_int_equal(client_send_file(c, fd, 2, 7), 0);
	assert_int_equal(client_recv_head(c, &n), 0);
	/* More than there is. */
	assert_int_equal(client_send_file(c, fd, 8, 7), -EIO);
	hang_up(c);
	close(fd);
	assert_memory_equal(p.body, "abc2345678", 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_call_brings_the_whole_answer),
		cmocka_unit_test(test_status_of_the_peer_comes_back),
		cmocka_unit_test(test_answers_that_are_none_are_refused),
		cmocka_unit_test(
		    test_peer_that_says_nothing_is_not_awaited_for_ever),
		cmocka_unit_test(test_wait_may_be_ended_from_another_thread),
		cmocka_unit_test(test_nobody_there_is_an_error),
		cmocka_unit_test(test_source_address_may_be_chosen),
		cmocka_unit_test(test_messages_are_asked_and_told),
		cmocka_unit_test(test_answer_of_a_wrong_length_is_no_message),
		cmocka_unit_test(test_file_is_sent_behind_its_head),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
