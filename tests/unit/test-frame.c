/* Frames: whole bodies come out whatever the pieces are that they come in, and nothing else does.
 * links: kc_proto */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "frame.h"

#define LIMIT 300u

struct fixture {
        uint8_t *buf; /* exactly as large as it must be, so that ASan sees the byte beyond */
        struct kc_frame_reader reader;
};

static int setup(void **state)
{
        struct fixture *f = calloc(1, sizeof(*f));

        f->buf = malloc(LIMIT + KC_FRAME_HEADER_MAX_BYTES);
        kc_frame_reader_init(&f->reader, f->buf, LIMIT + KC_FRAME_HEADER_MAX_BYTES, LIMIT);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;

        free(f->buf);
        free(f);
        return 0;
}

static void feed(struct fixture *f, const void *data, size_t bytes)
{
        size_t room_bytes;
        uint8_t *room = kc_frame_reader_room(&f->reader, &room_bytes);

        assert_true(bytes <= room_bytes);
        memcpy(room, data, bytes);
        kc_frame_reader_fed(&f->reader, bytes);
}

static int next(struct fixture *f, const uint8_t **ret_body, uint32_t *ret_bytes)
{
        return kc_frame_reader_next(&f->reader, ret_body, ret_bytes);
}

/* Frames of 0, 1, … LIMIT bytes in pieces of `piece` bytes. */
static void check_pieces(struct fixture *f, size_t piece)
{
        static uint8_t stream[(LIMIT + 1) * (LIMIT + 8)];
        size_t bytes = 0, at = 0;
        uint32_t expected = 0, got;
        const uint8_t *body;

        for (uint32_t i = 0; i <= LIMIT; i++) {
                bytes += kc_frame_header(stream + bytes, i);
                memset(stream + bytes, (int)i, i);
                bytes += i;
        }
        while (at < bytes) {
                size_t room_bytes, n = bytes - at;

                kc_frame_reader_room(&f->reader, &room_bytes);
                assert_int_not_equal(room_bytes, 0);
                n = n < piece ? n : piece;
                n = n < room_bytes ? n : room_bytes;
                feed(f, stream + at, n);
                at += n;
                while (next(f, &body, &got) == 1) {
                        assert_int_equal(got, expected);
                        for (uint32_t i = 0; i < got; i++)
                                assert_int_equal(body[i], (uint8_t)expected);
                        expected++;
                }
        }
        assert_int_equal(expected, LIMIT + 1);
}

static void bodies_come_out_whole_in_whatever_pieces_they_come(void **state)
{
        for (size_t piece = 1; piece <= LIMIT + KC_FRAME_HEADER_MAX_BYTES; piece += piece < 8 ? 1 : 37)
                check_pieces(*state, piece);
}

static void a_frame_over_the_limit_is_an_error_before_its_body_comes(void **state)
{
        struct fixture *f = *state;
        const uint8_t *body = NULL;
        uint32_t bytes = 7;
        uint8_t header[KC_FRAME_HEADER_MAX_BYTES];

        feed(f, header, kc_frame_header(header, LIMIT + 1));
        assert_int_equal(next(f, &body, &bytes), -EMSGSIZE);
        assert_null(body);
        assert_int_equal(bytes, 7);
}

static void a_raised_limit_holds_for_what_is_in_the_buffer(void **state)
{
        struct fixture *f = *state;
        const uint8_t *body;
        uint32_t bytes;

        kc_frame_reader_limit(&f->reader, 2);
        feed(f,
            "\x03"
            "abc",
            4);
        assert_int_equal(next(f, &body, &bytes), -EMSGSIZE);
        kc_frame_reader_limit(&f->reader, 3);
        assert_int_equal(next(f, &body, &bytes), 1);
        assert_memory_equal(body, "abc", 3);
}

static void a_length_that_is_no_varint32_is_an_error(void **state)
{
        struct fixture *f = *state;
        const uint8_t *body;
        uint32_t bytes;

        feed(f, "\xff\xff\xff\xff", 4);
        assert_int_equal(next(f, &body, &bytes), 0);
        feed(f, "\x80", 1);
        assert_int_equal(next(f, &body, &bytes), -EPROTO);
        setup(state);
        feed(*state, "\xff\xff\xff\xff\x1f", 5);
        assert_int_equal(next(*state, &body, &bytes), -EPROTO);
        teardown((void *[]){f});
}

static void headers_have_the_length_that_was_foretold(void **state)
{
        static const uint32_t sizes[] = {0, 1, 127, 128, 16383, 16384, 65536, UINT32_MAX};
        uint8_t header[KC_FRAME_HEADER_MAX_BYTES];

        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
                assert_int_equal(kc_frame_header(header, sizes[i]), kc_frame_header_bytes(sizes[i]));
        assert_int_equal(kc_frame_header_bytes(127), 1);
        assert_int_equal(kc_frame_header_bytes(128), 2);
        assert_int_equal(kc_frame_header_bytes(UINT32_MAX), 5);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(
                bodies_come_out_whole_in_whatever_pieces_they_come, setup, teardown),
            cmocka_unit_test_setup_teardown(
                a_frame_over_the_limit_is_an_error_before_its_body_comes, setup, teardown),
            cmocka_unit_test_setup_teardown(a_raised_limit_holds_for_what_is_in_the_buffer, setup, teardown),
            cmocka_unit_test_setup_teardown(a_length_that_is_no_varint32_is_an_error, setup, teardown),
            cmocka_unit_test(headers_have_the_length_that_was_foretold),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
