/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into FastDFS's storage where a test lets it recover a store path.
 * Some builds of 6.16 send the first question of a recovery, GET_STATUS (71),
 * with a body length that was never set: it is whatever lies on the stack,
 * the lower half of an address there (as a system call trace shows). The
 * question is then lost whoever the tracker is. Here it gets its length.
 *
 * The lower half of an address may be negative; then nothing is sent at all.
 * So all stacks are made to lie where it is positive.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_SIZE   10
#define COMMAND_AT  8
#define GET_STATUS  71
#define GROUP_SIZE  16
#define ADDRESS_MAX 64
#define UNLIKELY    (1 << 20)
#define STACK_SIZE  ((size_t)1 << 20)

__attribute__((constructor)) static void place_main_stack(int argc, char **argv)
{
	int here = argc;

	if ((uintptr_t)&here & 0x80000000U)
		execv("/proc/self/exe", argv);
}

int pthread_create(pthread_t *out, const pthread_attr_t *attr,
    void *(*run)(void *), void *arg)
{
	static int (*real)(pthread_t *, const pthread_attr_t *,
	    void *(*)(void *), void *);
	pthread_attr_t own;
	void *stack;
	int state = PTHREAD_CREATE_JOINABLE;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
	if (attr)
		pthread_attr_getdetachstate(attr, &state);
	stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT | MAP_STACK, -1, 0);
	if (stack == MAP_FAILED)
		return real(out, attr, run, arg);
	pthread_attr_init(&own);
	pthread_attr_setstack(&own, stack, STACK_SIZE);
	pthread_attr_setdetachstate(&own, state);
	return real(out, &own, run, arg);
}

ssize_t sendto(int fd, const void *data, size_t n, int flags,
    const struct sockaddr *to, socklen_t to_size)
{
	static ssize_t (*real)(int, const void *, size_t, int,
	    const struct sockaddr *, socklen_t);
	const uint8_t *head = data;
	uint8_t whole[HEAD_SIZE + GROUP_SIZE + ADDRESS_MAX];
	size_t address;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "sendto");
	if (to || n < UNLIKELY || head[COMMAND_AT] != GET_STATUS)
		return real(fd, data, n, flags, to, to_size);
	address = strnlen((const char *)head + HEAD_SIZE + GROUP_SIZE,
	    ADDRESS_MAX - 1);
	memcpy(whole, data, HEAD_SIZE + GROUP_SIZE + address);
	memset(whole, 0, COMMAND_AT);
	whole[7] = (uint8_t)(GROUP_SIZE + address);
	if (real(fd, whole, HEAD_SIZE + GROUP_SIZE + address, flags, NULL, 0) <
	    0)
		return -1;
	return (ssize_t)n;
}

ssize_t send(int fd, const void *data, size_t n, int flags)
{
	return sendto(fd, data, n, flags, NULL, 0);
}
