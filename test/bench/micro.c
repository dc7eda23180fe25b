/* SPDX-License-Identifier: MIT */
/*
 * micro: what single functions of ours cost. Each row runs a function often
 * enough to fill a tenth of a second, five times, and reports the fastest:
 * nanoseconds, instructions (all threads, user space; the steadier of the two
 * on a busy machine) and, where bytes are worked on, their rate.
 */
#include "base/clock.h"
#include "base/mailbox.h"
#include "base/str.h"
#include "base/sum.h"
#include "meta/db.h"
#include "meta/oplog.h"
#include "meta/writer.h"
#include "proto/command.h"
#include "proto/fileid.h"
#include "proto/framer.h"
#include "proto/kv.h"
#include "proto/msg.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROUNDS    5
#define ROUND_NS  (MONO_SEC / 10)
#define BLOCK     ((size_t)256 * 1024)
#define IN_FLIGHT 512

static const char sample_name[] =
    "M00/02/03/Ck0BC2sClVeAANVyAAAAEp9nn5g136.txt";
static const char sample_meta[] =
    "ext_name\002jpg\001file_size\002115120\001height\00280\001"
    "width\002160\001author\002somebody";

struct micro {
	uint8_t *block;
	uint8_t request[128];
	size_t request_len;
	char dir[128]; /* for databases; removed at the end */
	uint64_t sink; /* results go here, so that no call is left out */
	int failed;
};

struct row {
	const char *name;
	void (*run)(struct micro *m, uint64_t n, size_t arg);
	size_t arg;
	uint64_t bytes; /* worked on by one call; 0: not a matter of bytes */
};

static void run_crc32(struct micro *m, uint64_t n, size_t len)
{
	uint32_t crc = 0;

	for (uint64_t i = 0; i < n; i++)
		crc = sum_crc32(crc, m->block, len);
	m->sink += crc;
}

/* Puts a request of a command before the zeroes of m->request. */
static void make_request(struct micro *m, uint8_t code, const void *body,
    size_t n)
{
	memset(m->request, 0, sizeof(m->request));
	header_put(m->request, n, code, 0);
	memcpy(m->request + HEADER_SIZE, body, n);
	m->request_len = HEADER_SIZE + n;
}

static void run_framer(struct micro *m, uint64_t n, size_t pieces)
{
	struct msg_file_ref ref = {
		.group = "group1",
		.name = { sample_name, sizeof(sample_name) - 1 },
	};
	uint8_t body[96];
	const ssize_t len =
	    msg_encode(&MSG(file_ref), &ref, body, sizeof(body));
	struct framer f;

	if (len < 0) {
		m->failed = (int)len;
		return;
	}
	make_request(m, CMD_delete_file, body, (size_t)len);
	framer_init(&f, BY_STORAGE);
	for (uint64_t i = 0; i < n; i++) {
		const size_t step = m->request_len / pieces;
		enum framer_event event = FRAMER_MORE;

		for (size_t at = 0; at < m->request_len;) {
			const size_t left = m->request_len - at;

			at += framer_feed(&f, m->request + at,
			    left < 2 * step ? left : step, &event);
		}
		if (event != FRAMER_REQUEST)
			m->failed = -EBADMSG;
		m->sink += f.held.n;
	}
	framer_fini(&f);
}

static void run_decode_file_ref(struct micro *m, uint64_t n, size_t arg)
{
	char body[16 + sizeof(sample_name) - 1] = "group1";
	struct msg_file_ref out;

	(void)arg;
	memcpy(body + 16, sample_name, sizeof(sample_name) - 1);
	for (uint64_t i = 0; i < n; i++) {
		if (msg_decode(&MSG(file_ref), body, sizeof(body), &out, NULL) <
		    0)
			m->failed = -EBADMSG;
		m->sink += out.name.n;
	}
}

static void run_encode_file_ref(struct micro *m, uint64_t n, size_t arg)
{
	struct msg_file_ref in = {
		.group = "group1",
		.name = { sample_name, sizeof(sample_name) - 1 },
	};
	uint8_t body[96];

	(void)arg;
	for (uint64_t i = 0; i < n; i++)
		m->sink += (uint64_t)msg_encode(&MSG(file_ref), &in, body,
		    sizeof(body));
}

static void run_decode_storage(struct micro *m, uint64_t n, size_t arg)
{
	static const uint8_t body[487];
	struct msg_storage_record out;

	(void)arg;
	for (uint64_t i = 0; i < n; i++) {
		if (msg_decode(&MSG(storage_record), body, sizeof(body), &out,
		        NULL) < 0)
			m->failed = -EBADMSG;
		m->sink += (uint64_t)out.total_mb;
	}
}

static void run_fileid_parse(struct micro *m, uint64_t n, size_t arg)
{
	const struct span name = { sample_name, sizeof(sample_name) - 1 };
	struct fileid_name out;

	(void)arg;
	for (uint64_t i = 0; i < n; i++) {
		if (fileid_parse(name, &out) < 0)
			m->failed = -EINVAL;
		m->sink += out.id.crc;
	}
}

static void run_fileid_make(struct micro *m, uint64_t n, size_t arg)
{
	const struct fileid_place place = { 0, 2, 3 };
	const struct span ext = { "jpg", 3 };
	struct fileid id = { .source = 0x0201014d, .time = 1795331415 };
	char name[FILEID_NAME_LEN + 1];

	(void)arg;
	for (uint64_t i = 0; i < n; i++) {
		id.size_field = fileid_size_field(4096, false, (uint32_t)i);
		fileid_make(&id, place, ext, (uint32_t)i, name);
		m->sink += (uint8_t)name[20];
	}
}

static void run_kv(struct micro *m, uint64_t n, size_t arg)
{
	const struct span text = { sample_meta, sizeof(sample_meta) - 1 };
	char packed[sizeof(sample_meta)] = { 0 };
	struct kv_list list;

	(void)arg;
	for (uint64_t i = 0; i < n; i++) {
		if (kv_parse(text, &list) < 0) {
			m->failed = -ENOMEM;
			return;
		}
		kv_sort(&list);
		if (kv_packed_size(&list) <= sizeof(packed))
			kv_pack(&list, packed);
		m->sink += (uint8_t)packed[0];
		kv_list_fini(&list);
	}
}

/* Jobs that go round until enough have come home. */
struct loop {
	struct mailbox home;
	struct micro *micro;
	void (*start)(struct loop *loop, size_t i);
	struct crew *crew;
	struct writer *writer;
	uint64_t to_start;
	uint64_t to_finish;
};

struct loop_job {
	struct job job;
	struct loop *loop;
};

static void loop_job_finished(struct loop *loop, size_t i, int rc)
{
	if (rc < 0)
		loop->micro->failed = rc;
	loop->to_finish--;
	if (loop->to_start > 0) {
		loop->to_start--;
		loop->start(loop, i);
	}
}

/* Keeps so many jobs out until n have come home. */
static void loop_run(struct loop *loop, uint64_t n, size_t in_flight)
{
	struct pollfd fd = { .fd = loop->home.fd, .events = POLLIN };

	loop->to_start = n;
	loop->to_finish = n;
	for (size_t i = 0; i < in_flight && loop->to_start > 0; i++) {
		loop->to_start--;
		loop->start(loop, i);
	}
	while (loop->to_finish > 0) {
		(void)poll(&fd, 1, -1);
		(void)mailbox_run(&loop->home);
	}
}

static struct loop_job crew_jobs[IN_FLIGHT];

static void crew_job_done(struct job *job)
{
	struct loop_job *j = (struct loop_job *)job;

	loop_job_finished(j->loop, (size_t)(j - crew_jobs), 0);
}

static void crew_job_start(struct loop *loop, size_t i)
{
	struct loop_job *j = &crew_jobs[i];

	j->loop = loop;
	j->job.home = &loop->home;
	j->job.run = job_go_home;
	j->job.done = crew_job_done;
	crew_submit(loop->crew, &j->job);
}

static void run_hand_off(struct micro *m, uint64_t n, size_t in_flight)
{
	struct loop loop = { .micro = m, .start = crew_job_start };

	m->failed = mailbox_init(&loop.home);
	if (m->failed < 0)
		return;
	m->failed = crew_new(2, "micro", &loop.crew);
	if (m->failed == 0)
		loop_run(&loop, n, in_flight);
	crew_free(loop.crew);
	mailbox_fini(&loop.home);
}

/* An upload as the log sees it. */
struct log_write {
	struct op_write write;
	struct loop *loop;
	char name[FILEID_NAME_LEN + 1];
};

static struct log_write log_writes[IN_FLIGHT];

static void log_write_done(struct job *job)
{
	struct log_write *w = (struct log_write *)job;

	loop_job_finished(w->loop, (size_t)(w - log_writes), job->rc);
}

static void log_write_start(struct loop *loop, size_t i)
{
	struct log_write *w = &log_writes[i];
	struct job *job = &w->write.write.job;

	memset(w, 0, sizeof(*w));
	op_write_init(&w->write);
	w->loop = loop;
	job->home = &loop->home;
	job->done = log_write_done;
	(void)snprintf(w->name, sizeof(w->name),
	    "M00/02/03/%027" PRIu64 "136.jpg", loop->to_finish);
	w->write.op = (struct op){
		.at = clock_wall(),
		.code = OP_CREATE,
		.source_time = clock_wall_sec(),
		.name = span_of(w->name),
		.size = 4096,
		.bytes = 4096,
		.crc = (uint32_t)loop->to_finish,
		.client = span_of("127.0.0.1"),
	};
	writer_submit(loop->writer, &w->write.write);
}

static void run_writer(struct micro *m, uint64_t n, size_t in_flight, bool full)
{
	struct loop loop = { .micro = m, .start = log_write_start };
	char err[DB_ERR_MAX];
	char path[160];
	struct db *db;

	(void)snprintf(path, sizeof(path), "%s/%s.db", m->dir,
	    full ? "full" : "process");
	m->failed = db_open(DB_LOG, path, full, &db, err);
	if (m->failed < 0) {
		(void)fprintf(stderr, "micro: %s\n", err);
		return;
	}
	m->failed = mailbox_init(&loop.home);
	if (m->failed < 0) {
		db_close(db);
		return;
	}
	m->failed = writer_start(db, NULL, NULL, &loop.writer);
	if (m->failed == 0) {
		loop_run(&loop, n, in_flight);
		writer_stop(loop.writer);
	}
	mailbox_fini(&loop.home);
}

static void run_writer_process(struct micro *m, uint64_t n, size_t in_flight)
{
	run_writer(m, n, in_flight, false);
}

static void run_writer_full(struct micro *m, uint64_t n, size_t in_flight)
{
	run_writer(m, n, in_flight, true);
}

static const struct row rows[] = {
	{ "crc32, 4 KiB", run_crc32, 4096, 4096 },
	{ "crc32, 256 KiB", run_crc32, BLOCK, BLOCK },
	{ "framer, delete in one piece", run_framer, 1, 0 },
	{ "framer, delete in five pieces", run_framer, 5, 0 },
	{ "decode file reference", run_decode_file_ref, 0, 0 },
	{ "encode file reference", run_encode_file_ref, 0, 0 },
	{ "decode storage record", run_decode_storage, 0, 0 },
	{ "file id, parse", run_fileid_parse, 0, 0 },
	{ "file id, make", run_fileid_make, 0, 0 },
	{ "metadata, parse, sort, pack", run_kv, 0, 0 },
	{ "hand-off and back, 1 out", run_hand_off, 1, 0 },
	{ "hand-off and back, 64 out", run_hand_off, 64, 0 },
	{ "log row, process, 1 out", run_writer_process, 1, 0 },
	{ "log row, process, 8 out", run_writer_process, 8, 0 },
	{ "log row, process, 64 out", run_writer_process, 64, 0 },
	{ "log row, process, 512 out", run_writer_process, 512, 0 },
	{ "log row, full, 1 out", run_writer_full, 1, 0 },
	{ "log row, full, 8 out", run_writer_full, 8, 0 },
	{ "log row, full, 64 out", run_writer_full, 64, 0 },
	{ "log row, full, 512 out", run_writer_full, 512, 0 },
};

#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

/* Counts user-space instructions of this and later threads; -1: cannot. */
static int open_instructions(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_HW_INSTRUCTIONS,
		.inherit = 1,
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};

	return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}

static uint64_t read_instructions(int fd)
{
	uint64_t count = 0;

	if (fd < 0 || read(fd, &count, sizeof(count)) != sizeof(count))
		return 0;
	return count;
}

struct result {
	uint64_t ns;
	uint64_t instructions;
};

static struct result run_once(struct micro *m, const struct row *row,
    uint64_t n, int counter)
{
	const uint64_t instructions = read_instructions(counter);
	const mono_t start = clock_mono();
	struct result r;

	row->run(m, n, row->arg);
	r.ns = clock_mono() - start;
	r.instructions = read_instructions(counter) - instructions;
	return r;
}

static void print_row(const struct row *row, struct result best, uint64_t n,
    bool json)
{
	const double ns = (double)best.ns / (double)n;
	const double instructions = (double)best.instructions / (double)n;

	if (json) {
		(void)printf("{\"name\": \"%s\", \"ns\": %.1f, "
		             "\"instructions\": %.0f, \"bytes\": %" PRIu64
		             "}\n",
		    row->name, ns, instructions, row->bytes);
		return;
	}
	(void)printf("%-32s %12.1f", row->name, ns);
	if (best.instructions > 0)
		(void)printf(" %12.0f", instructions);
	else
		(void)printf(" %12s", "-");
	if (row->bytes > 0)
		(void)printf(" %9.2f", (double)row->bytes / ns);
	(void)putchar('\n');
}

static int run_row(struct micro *m, const struct row *row, int counter,
    bool json)
{
	struct result best = { 0 };
	uint64_t n = 1;

	do {
		best = run_once(m, row, n, counter);
		if (m->failed < 0)
			return m->failed;
		if (best.ns < ROUND_NS)
			n *= best.ns < ROUND_NS / 16 ? 8 : 2;
	} while (best.ns < ROUND_NS);
	for (int i = 1; i < ROUNDS; i++) {
		const struct result r = run_once(m, row, n, counter);

		if (r.ns < best.ns)
			best = r;
	}
	if (m->failed == 0)
		print_row(row, best, n, json);
	return m->failed;
}

static int micro_init(struct micro *m)
{
	const char *tmp = getenv("TMPDIR");

	if (!tmp)
		tmp = "/tmp";
	(void)snprintf(m->dir, sizeof(m->dir), "%s/fdfs-micro-XXXXXX", tmp);
	if (!mkdtemp(m->dir)) {
		(void)fprintf(stderr,
		    "micro: cannot make a directory in %s: %s\n", tmp,
		    strerror(errno));
		return -EIO;
	}
	m->block = calloc(1, BLOCK);
	return m->block ? 0 : -ENOMEM;
}

/* Removes the databases and what SQLite put beside them. */
static void micro_free(struct micro *m)
{
	const struct dirent *e;
	DIR *d;

	free(m->block);
	d = opendir(m->dir);

	while (d && (e = readdir(d)))
		(void)unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		(void)closedir(d);
	(void)rmdir(m->dir);
}

/* Usage: micro [--json] [WORD], where WORD is part of the rows' names. */
int main(int argc, char **argv)
{
	struct micro m = { 0 };
	bool json = false;
	const char *word = "";
	int counter;
	int rc;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			json = true;
		else
			word = argv[i];
	}
	rc = micro_init(&m);
	counter = open_instructions();
	if (!json && rc == 0)
		(void)printf("%-32s %12s %12s %9s\n", "", "ns", "instructions",
		    "GB/s");
	for (size_t i = 0; i < N_ROWS && rc == 0; i++) {
		if (strstr(rows[i].name, word))
			rc = run_row(&m, &rows[i], counter, json);
		if (rc < 0)
			(void)fprintf(stderr, "micro: %s: %s\n", rows[i].name,
			    strerror(-rc));
	}
	if (counter >= 0)
		close(counter);
	micro_free(&m);
	return rc < 0 ? 1 : 0;
}
