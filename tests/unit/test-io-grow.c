/* Files that grow under several hands at once.
 * links: kc_io kc_base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/io-fixture.h"

#define N_HANDS 4u

/* Each hand has the file open for itself and wants another size, so that no lane serialises them. */
static void what_one_made_longer_no_other_cuts(void **state)
{
        struct waited_req reqs[N_HANDS];
        struct endpoint *hands[N_HANDS];
        struct lane lane;
        const char *path;
        int fd;

        lane_init(&lane, PROVIDER_LOCAL_AUTO);
        path = make_file(&lane, "long", 4096, NULL);
        fd = open(path, O_RDWR | O_CLOEXEC);
        for (unsigned i = 0; i < N_HANDS; i++)
                hands[i] = lane_open(&lane, path, IO_ACCESS_READ_WRITE, 0);
        for (unsigned round = 0; round < 3000; round++) {
                struct stat st;

                assert_int_equal(ftruncate(fd, 4096), 0);
                for (unsigned i = 0; i < N_HANDS; i++)
                        req_start(hands[i], &reqs[i], IO_RESIZE, IO_GROW_ONLY, 0,
                            8192 + 4096 * ((round + i) % N_HANDS), NULL);
                for (unsigned i = 0; i < N_HANDS; i++) {
                        lane_run_until(&lane, &reqs[i].done);
                        assert_int_equal(reqs[i].req.status, 0);
                }
                assert_int_equal(fstat(fd, &st), 0);
                assert_int_equal(st.st_size, 8192 + 4096 * (N_HANDS - 1));
        }
        for (unsigned i = 0; i < N_HANDS; i++)
                lane_close(&lane, hands[i]);
        close(fd);
        lane_done(&lane);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(what_one_made_longer_no_other_cuts),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
