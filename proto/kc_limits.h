/* Limits that both ends of a connection hold each other to (DESIGN 3 and 4). */
#ifndef KC_LIMITS_H
#define KC_LIMITS_H

#define KC_DEFAULT_TCP_PORT 10810
#define KC_PROTOCOL_VERSION 1u

#define KC_PAGE_BYTES 4096u
#define KC_SECTOR_BYTES 512u

#define KC_FRAME_MAX_BYTES 65536u /* body of one frame, either way */
#define KC_FRAME_BEFORE_HELLO_MAX_BYTES 4096u
#define KC_FRAME_HEADER_MAX_BYTES 5u      /* a varint32 */
#define KC_UNPACK_BUDGET_BYTES (1u << 20) /* heap that one frame may unpack to */
#define KC_FIELDS_MAX 8192u               /* fields in one request, all levels together */
#define KC_REPLY_FIELDS_MAX 32768u        /* in one frame of the server's: as many as it can hold */
#define KC_DEPTH_MAX 8u                   /* nested messages */

#define KC_DESTINATIONS_MAX 64u
#define KC_BATCH_JOBS_MAX 512u /* jobs in one CopyMany; the frame's limit holds as well */
#define KC_CONTEXT_MAX_BYTES 64u
#define KC_DEVICE_NAME_MAX_BYTES 4096u
#define KC_JOB_KEY_MAX_BYTES 128u
#define KC_IDENTITY_MAX_BYTES 192u       /* of a device */
#define KC_MESSAGE_MAX_BYTES 256u        /* text in an error */
#define KC_BAD_RANGES_MAX 1024u          /* in one completion */
#define KC_LIST_PAGE_MAX 64u             /* entries in one page of a list */
#define KC_PROGRESS_INTERVAL_MIN_MS 100u /* who asks for less gets this */

#define KC_DEFAULT_RESERVATION_PAGES 4096u /* 16 MiB, what a client asks for that does not care */

#endif
