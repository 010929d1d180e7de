/* The simulator's io_provider and endpoints: the vtables of io/endpoint.h over simulated devices, with the
 * callback contract checked both ways.
 *
 * One provider per lane. What the engine does wrong (wrong lane, misaligned, beyond the maximum, after close,
 * a buffer touched while it is lent) is a failure of the world, not an assert, so that the seed is printed.
 *
 * Owns: its endpoints and pending opens. Borrows: world and devices. Thread: one; acts as its lane's actor.
 * Close: provider_sim_done, when no endpoint and no open is left (it says so if not). */
#ifndef SIM_ENDPOINT_SIM_H
#define SIM_ENDPOINT_SIM_H

#include "sim/device.h"

#define ENDPOINT_SIM_DISCONNECT_NS SECOND_NS

struct provider_sim {
        struct io_provider provider; /* first: the ops cast */
        struct world *world;
        unsigned lane_index; /* of its actor */
        struct device *devices;
        unsigned n_devices;
        unsigned n_endpoints, n_opens;
        struct kc_list endpoints, opens;
};

void provider_sim_init(struct provider_sim *provider, struct world *world, unsigned lane_index,
    struct device *devices, unsigned n_devices);
void provider_sim_done(struct provider_sim *provider);
/* The process that had it is dead, alone or with its kernel: its connections and descriptors go. */
void provider_sim_die(struct provider_sim *provider, bool kernel);
/* The other end of the connections to this device is gone: each is lost at once, or (`dark`) nothing comes
 * back over it any more. */
void provider_sim_cut(struct provider_sim *provider, struct device *device, bool dark);

#endif
