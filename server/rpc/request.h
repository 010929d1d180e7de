/* From a Copy or Zero message to the engine's copy_spec: what can be checked without the engine is checked
 * here. Owns nothing. Pure. */
#ifndef RPC_REQUEST_H
#define RPC_REQUEST_H

#include "copy/engine.h"
#include "kcopy.pb-c.h"

/* A Copy (`from` set) or Zero (`from` NULL, is_copy false) as it came. */
struct request {
        bool is_copy;
        const ProtobufCBinaryData *context;
        const Kcopy__V1__IoRegion *from;
        size_t n_to;
        Kcopy__V1__IoRegion *const *to;
        const Kcopy__V1__JobOptions *options; /* may be NULL: the defaults */
};

/* `options` stand in for those the message does not have; may be NULL. */
struct request request_of_copy(const Kcopy__V1__Copy *copy, const Kcopy__V1__JobOptions *options);
struct request request_of_zero(const Kcopy__V1__Zero *zero);

/* True and *ret_spec, the caller's to hand to the engine; or false and *ret_refusal. */
bool request_spec(
    const struct request *request, struct copy_spec **ret_spec, struct engine_refusal *ret_refusal);
/* A device name as such: not empty, not too long. */
bool request_check_name(const char *field, const char *name, struct engine_refusal *ret_refusal);

#endif
