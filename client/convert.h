/* From the schema's messages to the library's structs.
 *
 * What comes out borrows from the message. Owns nothing but what says so. Thread: the client's. */
#ifndef CLIENT_CONVERT_H
#define CLIENT_CONVERT_H

#include <stdbool.h>

#include "kc_limits.h"
#include "kcopy.h"
#include "kcopy.pb-c.h"

/* KCOPY_CLASS_INTERNAL for a class that this library does not know. */
enum kcopy_class convert_class(Kcopy__V1__ErrorClass error_class);
struct kcopy_endpoint_error convert_error(const Kcopy__V1__EndpointError *error);
/* "EIO" for -EIO; "" when there is none. */
const char *convert_errno_name(int code);
/* A negative errno for what the server calls it; where it has no name, one that suits the class. */
int convert_errno(const char *name, Kcopy__V1__ErrorClass error_class);
void convert_destination(
    const Kcopy__V1__DestinationResult *message, struct kcopy_destination_result *ret_destination);

/* KCOPY_CONTINUE, KCOPY_IGNORE_ERROR or 0. */
unsigned convert_on_error(Kcopy__V1__ErrorPolicy policy);
struct kcopy_planned_device convert_planned(const Kcopy__V1__PlannedDevice *planned);

struct convert_completion {
        struct kcopy_result result;
        struct kcopy_destination_result destinations[KC_DESTINATIONS_MAX];
        struct kcopy_sector_range bad_ranges[KC_BAD_RANGES_MAX];
};
/* False: the completion contradicts itself (states, indexes, bits without errors, errors without bits). */
bool convert_completion(const Kcopy__V1__Completion *message, struct convert_completion *ret_completion);

#endif
