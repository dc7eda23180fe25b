/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzz target over every file of the directories given, so that each
 * find stays a test with any compiler.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "test/fuzz/fuzz.h"

#define INPUT_MAX (1U << 20)

static int is_input(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

/* Gives how many inputs were run, or -1. */
static int replay(const char *dir)
{
	struct dirent **names;
	const int n = scandir(dir, &names, is_input, alphasort);

	if (n < 0) {
		perror(dir);
		return -1;
	}
	for (int i = 0; i < n; i++) {
		char path[4096];
		char *data;
		ssize_t size;

		snprintf(path, sizeof(path), "%s/%s", dir, names[i]->d_name);
		free(names[i]);
		size = fs_read_file(path, INPUT_MAX, &data);
		if (size < 0) {
			fprintf(stderr, "%s cannot be read\n", path);
			exit(1);
		}
		LLVMFuzzerTestOneInput((const uint8_t *)data, (size_t)size);
		free(data);
	}
	free(names);
	return n;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const int n = replay(argv[i]);

		if (n < 0)
			return 1;
		printf("replay: %d inputs of %s\n", n, argv[i]);
	}
	return 0;
}
