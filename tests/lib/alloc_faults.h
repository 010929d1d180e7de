/* Allocations that fail when told to: the program's own calloc, reallocarray and mmap stand in for libc's.
 * One program, one thread; include it in one file. */
#ifndef TEST_ALLOC_FAULTS_H
#define TEST_ALLOC_FAULTS_H

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static int alloc_fail_at; /* 1: the next one fails, 2: the one after it, …; 0: none */

static bool alloc_fails(void)
{
        if (alloc_fail_at == 0 || --alloc_fail_at > 0)
                return false;
        errno = ENOMEM;
        return true;
}

void *calloc(size_t n, size_t bytes)
{
        void *volatile none = NULL; /* or the compiler makes it a call of calloc */
        void *memory = alloc_fails() || (bytes > 0 && n > SIZE_MAX / bytes) ? NULL : realloc(none, n * bytes);

        return memory != NULL ? memset(memory, 0, n * bytes) : NULL;
}

void *reallocarray(void *memory, size_t n, size_t bytes)
{
        return alloc_fails() || (bytes > 0 && n > SIZE_MAX / bytes) ? NULL : realloc(memory, n * bytes);
}

/* ThreadSanitizer's own start-up does not survive a stand-in for mmap. */
#ifdef __SANITIZE_THREAD__
#define ALLOC_FAULTS_MMAP 0
#else
#define ALLOC_FAULTS_MMAP 1

void *mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset)
{
        if (alloc_fails())
                return MAP_FAILED;
        return (void *)syscall(SYS_mmap, address, bytes, protection, flags, fd, offset);
}
#endif

#endif
