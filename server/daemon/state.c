/* The folder for what outlives the daemon (state.h). */
#include "daemon/state.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

int state_open(const char *path, int *ret_fd, struct kc_error *err)
{
        int fd, r;

        if (mkdir(path, 0700) < 0 && errno != EEXIST) {
                r = -errno;
                return kc_error_set(
                    err, r, kc_class_of_errno(r), "--state: %s: cannot be created: %s", path, strerror(-r));
        }
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) {
                r = -errno;
                return kc_error_set(err, r, kc_class_of_errno(r), "--state: %s: %s", path, strerror(-r));
        }
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
                r = -errno;
                close(fd);
                return kc_error_set(err, r, KC_CLASS_BUSY, "--state: %s: %s", path,
                    r == -EWOULDBLOCK ? "another kcopyd uses it; name another folder" : strerror(-r));
        }
        *ret_fd = fd;
        return 0;
}

void state_close(int fd)
{
        if (fd >= 0)
                close(fd);
}
