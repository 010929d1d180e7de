/* What the sessions share (rpc.h), as rpc/ itself sees it. */
#ifndef RPC_PRIVATE_H
#define RPC_PRIVATE_H

#include "base/list.h"
#include "budget.h"
#include "base/idmap.h"
#include "rpc/rpc.h"

#define KC_CLIENT_NAME_MAX_BYTES 64u

struct rpc {
        struct rpc_config config;
        struct kc_list sessions;
        struct kc_list dirty;    /* sessions to be flushed before the loop sleeps */
        struct kc_list watchers; /* struct watch */
        unsigned n_sessions;
        uint64_t next_session;
        bool draining;           /* no new jobs */
        bool stopped;            /* what is still cancelled is the server's doing */
        struct kc_idmap jobs;    /* job id → struct slot, of all sessions */
        struct kc_budget unpack; /* holds one request while it is dispatched */
        struct kc_budget build;  /* holds one message while it is packed */
        struct engine_observer observer;
        uv_prepare_t prepare;
        uint64_t started_ns;
        void (*on_closed)(void *arg);
        void *closed_arg;
};

/* A session is gone. */
void rpc_session_end(struct rpc *rpc);
/* No session has a job any more. */
void rpc_jobs_end(struct rpc *rpc);

#endif
