/* SPDX-License-Identifier: MIT */
/* fdfs-meta: questions to the metadata of a FastDFS cluster. */
#include "cli/meta.h"

int main(int argc, char **argv)
{
	return run_program(&meta_program, argc, argv);
}
