/* SPDX-License-Identifier: MIT */
/* fdfs: files in and out of a FastDFS cluster. */
#include "cli/fdfs.h"

int main(int argc, char **argv)
{
	return run_program(&fdfs_program, argc, argv);
}
