#include "io/nbd_setup.h"

#include <errno.h>

/* libnbd was told something impossible, or is out of memory. */
static int setup_failed(struct kc_error *err)
{
        int code = nbd_get_errno();

        return kc_error_set(
            err, code != 0 ? -code : -ENOMEM, KC_CLASS_INTERNAL, "libnbd: %s", nbd_get_error());
}

static int set_tls(struct nbd_handle *handle, const struct nbd_uri *uri)
{
        if (nbd_set_tls(handle, uri->tls ? LIBNBD_TLS_REQUIRE : LIBNBD_TLS_DISABLE) < 0)
                return -1;
        if (!uri->tls)
                return 0;
        if (uri->tls_user != NULL && nbd_set_tls_username(handle, uri->tls_user) < 0)
                return -1;
        if (uri->tls_psk_file != NULL && nbd_set_tls_psk_file(handle, uri->tls_psk_file) < 0)
                return -1;
        if (uri->tls_certificates != NULL && nbd_set_tls_certificates(handle, uri->tls_certificates) < 0)
                return -1;
        return nbd_set_tls_verify_peer(handle, uri->tls_verify_peer);
}

int nbd_setup(const struct nbd_uri *uri, struct nbd_handle **ret_handle, struct kc_error *err)
{
        struct nbd_handle *handle;
        int result;

        handle = nbd_create();
        if (handle == NULL)
                return setup_failed(err);
        /* Option mode: an export that is refused keeps its reason. Full info: the server's own name for the
         * export, so that aliases of one are seen as one. The buffer of a read need not be cleared before it:
         * the range map of nbd_cover.h shows that the answer covered it. */
        if (nbd_set_opt_mode(handle, true) < 0 || nbd_set_full_info(handle, true) < 0 ||
            nbd_set_request_structured_replies(handle, true) < 0 ||
            nbd_add_meta_context(handle, LIBNBD_CONTEXT_BASE_ALLOCATION) < 0 ||
            nbd_set_strict_mode(handle, LIBNBD_STRICT_MASK) < 0 ||
            nbd_set_pread_initialize(handle, false) < 0 ||
            nbd_set_export_name(handle, uri->export_name) < 0 || set_tls(handle, uri) < 0) {
                result = setup_failed(err);
                nbd_close(handle);
                return result;
        }
        *ret_handle = handle;
        return 0;
}
