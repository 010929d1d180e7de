/* The blocking half of opening a local device: descriptor, geometry, identity.
 *
 * A path is looked up once (O_PATH); its type is checked on that descriptor before anything is opened that
 * could have effects (tapes, watchdogs, FIFOs), and the real open goes through it.
 * May block for as long as a dead device likes: pool threads only. */
#ifndef IO_FILE_PROBE_H
#define IO_FILE_PROBE_H

#include "io/endpoint.h"
#include "io/file_way.h"

#define FILE_BLOCK_MAX_BYTES (32u << 20)
#define FILE_ZERO_MAX_BYTES (1ull << 30)

struct file_wanted {
        const char *path;
        enum io_access access;
        bool may_create;
        bool extra; /* opened on another lane already: without O_EXCL, which a device grants only once */
};

/* What was found; owns its descriptors and its name. */
struct file_found {
        int fd;                    /* -1: absent */
        int dir_fd;                /* of the directory where it will be created; -1 unless absent */
        char *name;                /* in that directory; NULL unless absent */
        enum file_way way;         /* of `fd` */
        struct endpoint_info info; /* keep_idle_ms is the caller's to fill */
        uint64_t busy_number;      /* not found: the block device that somebody has; or 0 */
};

/* Returns 0 and *ret_found, or negative errno with `err` filled (-EBUSY: and ret_found->busy_number). */
int file_probe(const struct file_wanted *wanted, struct file_found *ret_found, struct kc_error *err);
void file_found_done(struct file_found *found);

#endif
