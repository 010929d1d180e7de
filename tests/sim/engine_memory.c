#include "sim/engine_memory.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void *memory_malloc(size_t bytes);
void *memory_calloc(size_t n, size_t bytes);
void *memory_realloc(void *old, size_t bytes);
void *memory_reallocarray(void *old, size_t n, size_t bytes);
char *memory_strdup(const char *text);
void *memory_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
int memory_munmap(void *memory, size_t bytes);
void memory_free(void *memory);

/* What is held, by address: open addressing, never more than half full. */
struct block {
        void *at;            /* NULL: none */
        size_t mapped_bytes; /* 0: of the heap */
};

static struct {
        unsigned long n_asked, fails_from, fails_until; /* the first one is number 1 */
        struct block *blocks;
        size_t n_held, room; /* a power of two */
} memory;

static size_t place_of(const void *at)
{
        return (size_t)(((uintptr_t)at >> 4) * 0x9e3779b97f4a7c15ull >> 20) & (memory.room - 1);
}

static struct block *find(const void *at)
{
        size_t place = place_of(at);

        while (memory.blocks[place].at != at && memory.blocks[place].at != NULL)
                place = (place + 1) & (memory.room - 1);
        return &memory.blocks[place];
}

static void grow(void)
{
        struct block *old = memory.blocks;
        size_t n = memory.room;

        memory.room = n ? 2 * n : 1024;
        memory.blocks = calloc(memory.room, sizeof *memory.blocks);
        assert(memory.blocks != NULL);
        for (size_t i = 0; i < n; i++)
                if (old[i].at != NULL)
                        *find(old[i].at) = old[i];
        free(old);
}

static void *held(void *got, size_t mapped_bytes)
{
        if (got == NULL)
                return NULL;
        if (memory.n_held >= memory.room / 2)
                grow();
        memory.n_held++;
        *find(got) = (struct block){got, mapped_bytes};
        return got;
}

/* Those behind it that would not be found any more move up. */
static void not_held(const void *at)
{
        struct block *block = find(at);
        size_t hole = (size_t)(block - memory.blocks), place = hole;

        assert(block->at != NULL);
        block->at = NULL;
        memory.n_held--;
        for (;;) {
                size_t home;

                place = (place + 1) & (memory.room - 1);
                if (memory.blocks[place].at == NULL)
                        return;
                home = place_of(memory.blocks[place].at);
                if (((place - home) & (memory.room - 1)) < ((place - hole) & (memory.room - 1)))
                        continue;
                memory.blocks[hole] = memory.blocks[place];
                memory.blocks[place].at = NULL;
                hole = place;
        }
}

void engine_memory_begin(unsigned long at, unsigned long n)
{
        memory.n_asked = 0;
        memory.fails_from = at;
        memory.fails_until = at + n;
}

unsigned long engine_memory_asked(void)
{
        return memory.n_asked;
}

size_t engine_memory_held(void)
{
        return memory.n_held;
}

void engine_memory_drop(void)
{
        for (size_t i = 0; i < memory.room; i++) {
                struct block *block = &memory.blocks[i];

                if (block->at != NULL && block->mapped_bytes > 0)
                        munmap(block->at, block->mapped_bytes);
                else
                        free(block->at);
                block->at = NULL;
        }
        memory.n_held = 0;
}

/* ---- the engine's calls */

static bool fails(void)
{
        memory.n_asked++;
        if (memory.n_asked < memory.fails_from || memory.n_asked >= memory.fails_until)
                return false;
        errno = ENOMEM;
        return true;
}

void *memory_malloc(size_t bytes)
{
        return fails() ? NULL : held(malloc(bytes), 0);
}

void *memory_calloc(size_t n, size_t bytes)
{
        return fails() ? NULL : held(calloc(n, bytes), 0);
}

void *memory_reallocarray(void *old, size_t n, size_t bytes)
{
        void *got;

        if (fails())
                return NULL;
        if (old)
                not_held(old);
        got = reallocarray(old, n, bytes);
        assert(got != NULL); /* libc's own memory is not what is tested */
        return held(got, 0);
}

void *memory_realloc(void *old, size_t bytes)
{
        return memory_reallocarray(old, 1, bytes);
}

char *memory_strdup(const char *text)
{
        return fails() ? NULL : held(strdup(text), 0);
}

void *memory_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
        void *got = fails() ? MAP_FAILED : mmap(at, bytes, protection, flags, fd, offset);

        if (got != MAP_FAILED)
                held(got, bytes);
        return got;
}

int memory_munmap(void *at, size_t bytes)
{
        not_held(at);
        return munmap(at, bytes);
}

/* What a harness has allocated may come here too: a spec passes to the engine. */
void memory_free(void *at)
{
        if (at != NULL && memory.room > 0 && find(at)->at == at)
                not_held(at);
        free(at);
}
