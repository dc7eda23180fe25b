/* SPDX-License-Identifier: MIT */
/*
 * The input is a configuration file. It is read twice: both times the same
 * comes out, every value is one its row allows, and what is printed is plain
 * lines. Inputs that name devices or processes are skipped.
 */
#include <string.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/macros.h"
#include "test/fuzz/fuzz.h"

#define ERR_MAX 512

struct target {
	bool on;
	int64_t count, clamped, strict, back, at, word;
	uint64_t bytes;
	const char *path, *secret;
	struct conf_list hosts;
	struct conf_reserve reserve;
};

#define AT(member) offsetof(struct target, member)

static const struct conf_key keys[] = {
	{ "", "on", CONF_BOOL, AT(on), "true", 0, 0, NULL, 0, "a switch" },
	{ "", "count", CONF_INT, AT(count), "7", 0, 0, NULL, CONF_LIVE,
	    "any number" },
	{ "", "clamped", CONF_INT, AT(clamped), "3", 1, 256, NULL, 0,
	    "a number in a range" },
	{ "", "back", CONF_INT, AT(back), "5", 1, 9, NULL, CONF_DEFAULT,
	    "a number that falls back" },
	{ "", "strict", CONF_INT, AT(strict), "5", 1, 9, NULL, CONF_FATAL,
	    "a number that must fit" },
	{ "", "bytes", CONF_BYTES, AT(bytes), "256K", 4096, 1 << 30, NULL, 0,
	    "a size" },
	{ "", "path", CONF_STR, AT(path), "/var/lib", 0, 0, NULL, 0, "a path" },
	{ "http", "secret", CONF_STR, AT(secret), NULL, 0, 0, NULL, CONF_SECRET,
	    "a secret" },
	{ "", "host", CONF_LIST, AT(hosts), NULL, 0, 0, NULL, 0, "hosts" },
	{ "", "at", CONF_TIME, AT(at), "02:00", 0, 0, NULL, 0, "a time" },
	{ "", "reserve", CONF_RESERVE, AT(reserve), "20%", 0, 0, NULL, 0,
	    "space" },
	{ "", "word", CONF_WORD, AT(word), "one", 0, 0, "one|two|three", 0,
	    "a word" },
	{ "", "old", CONF_OBSOLETE, 0, NULL, 0, 0, NULL, 0, "nothing" },
};

static char path[64];

static void remove_file(void)
{
	unlink(path);
}

static void write_file(const uint8_t *data, size_t n)
{
	static int fd = -1;

	if (fd < 0) {
		strcpy(path, "/tmp/fuzz_conf.XXXXXX");
		fd = mkstemp(path);
		promise(fd >= 0, "a temporary file can be made");
		atexit(remove_file);
		log_to_stderr(false);
	}
	promise(ftruncate(fd, 0) == 0 && fs_pwrite_all(fd, data, n, 0) == 0,
	    "the temporary file can be written");
}

static void check_values(const struct target *t)
{
	promise(t->clamped >= 1 && t->clamped <= 256, "clamped to its range");
	promise(t->back >= 1 && t->back <= 9, "or back to the default");
	promise(t->strict >= 1 && t->strict <= 9, "or refused");
	promise(t->bytes >= 4096 && t->bytes <= 1 << 30, "sizes as well");
	promise(t->at >= 0 && t->at < 24 * 60, "a time is of the day");
	promise(t->word >= 0 && t->word < 3, "a word is one of them");
	promise(t->path && strlen(t->path) <= CONF_VALUE_MAX, "text is cut");
	promise(t->secret && t->hosts.count <= 200000, "and always there");
	promise(t->reserve.percent >= 0 && t->reserve.percent <= 100,
	    "percent are percent");
}

/* Gives what was printed, or the error (free). */
static char *load(void)
{
	struct target t;
	struct conf_file *cf;
	char err[ERR_MAX] = "";
	char *text = NULL;
	size_t n = 0;
	FILE *out;

	memset(&t, 0, sizeof(t));
	if (conf_read(path, &cf, err, sizeof(err)) < 0) {
		promise(err[0] != 0 && !strchr(err, '\n'),
		    "an error is one sentence");
		return strdup(err);
	}
	conf_know(cf, "", "store_path#");
	if (conf_apply(cf, keys, ARRAY_LEN(keys), &t, err, sizeof(err)) < 0) {
		promise(err[0] != 0 && !strchr(err, '\n'),
		    "an error is one sentence");
		conf_free(cf);
		return strdup(err);
	}
	check_values(&t);
	out = open_memstream(&text, &n);
	promise(out != NULL, "there is memory");
	conf_print(out, cf, keys, ARRAY_LEN(keys), &t);
	fclose(out);
	conf_free(cf);
	for (size_t i = 0; i < n; i++)
		promise((unsigned char)text[i] >= ' ' || text[i] == '\n' ||
		            text[i] == '\t',
		    "what is printed is plain lines");
	return text;
}

static bool names(const uint8_t *data, size_t n, const char *what)
{
	return memmem(data, n, what, strlen(what)) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *a;
	char *b;

	if (names(data, n, "dev") || names(data, n, "proc") ||
	    names(data, n, "sys"))
		return 0;
	write_file(data, n);
	a = load();
	b = load();
	promise(a && b && strcmp(a, b) == 0, "the same file means the same");
	free(a);
	free(b);
	return 0;
}
