/* Memory that starts as zeroes. */
#ifndef KC_ALLOC_H
#define KC_ALLOC_H

#include <stdlib.h>
#include <string.h>

/* As calloc(1, bytes), for what comes and goes with every small job: glibc's calloc (before 2.41) passes its
 * cache of free memory by (2 % of the control thread's instructions for a 4 KiB job). Free with free(). */
static inline void *kc_zalloc(size_t bytes)
{
        void *p = malloc(bytes);

        __asm__("" : "+r"(p)); /* else the compiler makes a calloc of it */
        return p ? memset(p, 0, bytes) : NULL;
}

#endif
