#include "io/nbd_export.h"

#include <errno.h>
#include <inttypes.h>

#define BLOCK_MIN_LIMIT_BYTES (64 << 10)        /* the protocol's */
#define DATA_MAX_BYTES (32 << 20)               /* what every server takes that says nothing */
#define ZERO_MAX_BYTES (1ull << 30)             /* a multiple of any block; the protocol ends at 4 GiB - 1 */
#define BLOCK_MAX_FLOOR_BYTES 4096              /* endpoint.h: a page can be moved at once */
#define BLOCK_PREFERRED_DEFAULT_BYTES (4 << 10) /* the protocol's default */

void nbd_export_read(struct nbd_handle *handle, struct nbd_export *ret_export)
{
        *ret_export = (struct nbd_export){
            .size_bytes = nbd_get_size(handle),
            .block_min_bytes = nbd_get_block_size(handle, LIBNBD_SIZE_MINIMUM),
            .block_preferred_bytes = nbd_get_block_size(handle, LIBNBD_SIZE_PREFERRED),
            .block_max_bytes = nbd_get_block_size(handle, LIBNBD_SIZE_MAXIMUM),
            .read_only = nbd_is_read_only(handle),
            .can_flush = nbd_can_flush(handle),
            .can_fua = nbd_can_fua(handle),
            .can_zero = nbd_can_zero(handle),
            .can_multi_conn = nbd_can_multi_conn(handle),
            .can_extents = nbd_can_meta_context(handle, LIBNBD_CONTEXT_BASE_ALLOCATION),
        };
}

static int nonsense(struct kc_error *err, const char *what, int64_t value)
{
        return kc_error_set(
            err, -EPROTO, KC_CLASS_PROTOCOL, "export: the server says %s %" PRId64, what, value);
}

static int64_t least(int64_t a, int64_t b)
{
        return a < b ? a : b;
}

static int check_blocks(const struct nbd_export *export, struct endpoint_info *info, struct kc_error *err)
{
        int64_t min = export->block_min_bytes, preferred = export->block_preferred_bytes,
                max = export->block_max_bytes;
        int64_t floor;

        if (min == 0)
                min = 1;
        if (min < 0 || min > BLOCK_MIN_LIMIT_BYTES || (min & (min - 1)) != 0)
                return nonsense(err, "minimum block", min);
        if (preferred == 0)
                preferred = min > BLOCK_PREFERRED_DEFAULT_BYTES ? min : BLOCK_PREFERRED_DEFAULT_BYTES;
        if (preferred < min || preferred > UINT32_MAX)
                return nonsense(err, "preferred block", preferred);
        if (max == 0)
                max = DATA_MAX_BYTES;
        if (max < min || max > UINT32_MAX)
                return nonsense(err, "maximum block", max);
        max = least(max, DATA_MAX_BYTES);
        max -= max % min;
        floor = min > BLOCK_MAX_FLOOR_BYTES ? min : BLOCK_MAX_FLOOR_BYTES;
        /* A small export may say that it takes no more than its size, which no request exceeds anyway. */
        if (max < floor && export->block_max_bytes < export->size_bytes)
                return nonsense(err, "maximum block", export->block_max_bytes);
        info->block_min_bytes = (uint32_t)min;
        info->block_preferred_bytes = (uint32_t)preferred;
        info->block_max_bytes = (uint32_t)(max < floor ? floor : max);
        return 0;
}

int nbd_export_check(const struct nbd_export *export, enum io_access access,
    const struct provider_config *config, struct endpoint_info *ret_info, struct kc_error *err)
{
        struct endpoint_info info = {.kind = IO_KIND_NBD};
        uint64_t keep_ns;
        int result;

        if (export->size_bytes < 0)
                return nonsense(err, "size", export->size_bytes);
        if (export->read_only < 0 || export->can_flush < 0 || export->can_fua < 0 || export->can_zero < 0 ||
            export->can_multi_conn < 0 || export->can_extents < 0)
                return kc_error_set(err, -EPROTO, KC_CLASS_PROTOCOL, "export: the server gave no flags");
        result = check_blocks(export, &info, err);
        if (result < 0)
                return result;
        if ((access & IO_ACCESS_WRITE) != 0 && export->read_only > 0)
                return kc_error_set(err, -EROFS, KC_CLASS_PERMISSION, "export: it is read-only");
        info.size_bytes = (uint64_t) export->size_bytes;
        info.read_only = export->read_only > 0;
        info.can_flush = export->can_flush > 0;
        info.can_fua = export->can_fua > 0;
        info.can_extents = export->can_extents > 0;
        info.can_unmap = export->can_zero > 0;
        info.multi_conn = export->can_multi_conn > 0;
        info.zero_max_bytes = export->can_zero > 0 ? ZERO_MAX_BYTES : 0;
        keep_ns = info.multi_conn ? config->idle_keep_multi_ns : config->idle_keep_single_ns;
        info.keep_idle_ms = keep_ns / 1000000 > UINT32_MAX ? UINT32_MAX : (uint32_t)(keep_ns / 1000000);
        *ret_info = info;
        return 0;
}
