/*
 * The executor. Mechanics (edges, actors, what one step does) know nothing of scheduling; a
 * scheduler decides which ready actor steps next. The serial scheduler runs all of them on one
 * thread at a time, in a fixed order.
 *
 * Rules that every actor keeps:
 *  - Packets on an edge have sequence numbers that never fall. `bound` of an edge says which
 *    numbers can no longer come, so a join knows when it need not wait.
 *  - An actor is ready when its inputs agree on a sequence number and every output edge has room.
 *  - Whatever happens to a packet, wf_packet_done ends it: each output gets a value or a GAP for
 *    that number and the bounds move on. There is no other way out.
 *  - What one call puts out may overfill an edge; the actor then waits until there is room again.
 */
#ifndef NND_WORKFLOW_EXEC_H
#define NND_WORKFLOW_EXEC_H

#include "base/vec.h"
#include "port/port.h"
#include "workflow/compile/plan.h"

typedef struct wf_actor wf_actor;

/* ---- edge.c ------------------------------------------------------------------------------ */

/* A value, or a GAP (value NULL) for all numbers from key to last. */
typedef struct wf_packet {
    nnd_value *value;
    int64_t key, last;
    int64_t born;   /* only on edges with an age limit */
    uint64_t bytes; /* only on edges with a byte limit */
} wf_packet;

typedef struct wf_edge_state {
    const wf_plan_edge *plan;
    wf_actor *from, *to;
    wf_packet *ring; /* `room` is a power of two or 0 */
    uint32_t head, count, room;
    uint32_t values; /* packets in the ring that are no GAPs */
    uint64_t bytes;
    int64_t bound;      /* numbers below it will not come any more */
    bool ended;         /* by the producer */
    bool closed;        /* by the consumer: what comes is thrown away */
    nnd_value *current; /* sticky edges: the constant, NULL = GAP */
    bool has_current;
    uint64_t passed, gaps, dropped, dropped_by_age;
    uint32_t peak;
} wf_edge_state;

bool wf_edge_has_room(const wf_edge_state *e);
/* Takes over packet.value also on failure. NND_E_DROPPED counts as success for the producer and is
   only told to statistics; NND_E_FULL comes from the policy `fault`, NND_E_CLOSED when the
   consumer is gone. */
nnd_status wf_edge_push(wf_edge_state *e, wf_packet packet);
const wf_packet *wf_edge_head(const wf_edge_state *e); /* NULL when empty */
/* Removes the head; the caller owns its value. */
wf_packet wf_edge_pop(wf_edge_state *e);
/* Takes GAPs up to `last` from the front. */
void wf_edge_skip_gaps(wf_edge_state *e, int64_t last);
/* Turns what is older than the age limit into GAPs. */
void wf_edge_expire(wf_edge_state *e);
void wf_edge_end(wf_edge_state *e);
void wf_edge_close(wf_edge_state *e);
void wf_edge_state_fini(wf_edge_state *e);

/* ---- actors ------------------------------------------------------------------------------ */

typedef struct wf_staged {
    uint32_t port;
    nnd_value *value;
} wf_staged;

/* What a node's callbacks see (nnd_ctx of the public header). */
struct nnd_ctx {
    nnd_run *run;
    wf_actor *actor; /* whose callbacks run */
    wf_actor *owner; /* whose edges are used: differs for a fallback */
    nnd_params *params;
    void *state;
    nnd_value **inputs;    /* of all ports, one behind the other */
    uint32_t *input_first; /* per port; one more entry at the end */
    uint32_t *emitted;     /* per output port, in this call */
    nnd_header header;     /* for what is put out */
    int64_t key, last;     /* the packet's number; last > key for a range of GAPs */
    bool counting;         /* numbers are given one by one: sources and flush */
    bool active;           /* inside open, process, flush, close or set_param */
    bool keep_inputs;      /* another attempt may need them */
    bool staging;          /* outputs wait until the call has succeeded */
    NND_VEC(wf_staged) staged;
    nnd_status emit_status; /* first failure of an emit: the call cannot succeed any more */
    nnd_error *emit_error;
    bool end_asked;
    nnd_cancel *cancel; /* the run's, or a child with the node's deadline */
    nnd_stream *stream;
    uint64_t random;
};

typedef struct wf_actor_stats {
    uint64_t packets, gaps, failed, late, retried;
    int64_t total_ns, min_ns, max_ns;
} wf_actor_stats;

/* flow.map's end: the list under way. */
typedef struct wf_join_state {
    bool active;
    int64_t begin, end; /* element numbers of the list */
    nnd_header header;
} wf_join_state;

/* flow.loop: the packet that turns. */
typedef struct wf_loop_state {
    bool active;
    int64_t turn, turns;
    int64_t body_key; /* number of this turn's packets */
} wf_loop_state;

typedef NND_VEC(nnd_value *) wf_values;

struct wf_actor {
    const wf_plan_actor *plan;
    uint32_t index; /* in the plan */
    uint32_t slot;  /* in plan->by_rank */
    nnd_run *run;
    nnd_ctx ctx;
    bool opened;
    bool finished;
    bool fired;       /* constants: has been called */
    bool dirty;       /* constants: call again */
    int64_t next_key; /* sources, flow.map elements, flow.loop turns: the next number */
    wf_values *items; /* JOIN: per output the elements so far */
    nnd_value **held; /* LOOP: what the body's inputs get this turn; flow.delay: the last value */
    wf_join_state join;
    wf_loop_state loop;
    wf_actor_stats stats;
    int64_t began; /* of the call under way */
};

typedef enum wf_sync { WF_SYNC_WAIT = 0, WF_SYNC_READY, WF_SYNC_END } wf_sync;

/* actor.c */
nnd_status wf_actor_init(wf_actor *a, nnd_run *run, uint32_t index);
void wf_actor_fini(wf_actor *a);
/* Whether a step can be made now. *key orders ready actors: the oldest first. */
bool wf_actor_ready(wf_actor *a, int64_t *key);
/* One step; a failure is the run's. */
nnd_status wf_actor_step(wf_actor *a);
/* Do the inputs agree on a number? For LOOP the feedback edges do not take part. */
wf_sync wf_actor_sync(wf_actor *a, int64_t *key);
/* Takes the packets of number `key` into ctx.inputs; false when the node is not to be called
   (a required input is a GAP). ctx.key and ctx.last are set. */
bool wf_actor_gather(wf_actor *a, int64_t key, nnd_status *status);
bool wf_outputs_have_room(const wf_actor *a);
bool wf_outputs_all_closed(const wf_actor *a);
/* The single end of every packet. status: what the node (or the mechanics) said; a failure has
   been recorded by wf_fail. */
void wf_packet_done(wf_actor *a);
/* Ends the outputs, closes the inputs; nothing steps here any more. */
void wf_actor_finish(wf_actor *a);
void wf_release_inputs(nnd_ctx *ctx);
/* Sends a value (taken over) or a GAP to all edges of a port. */
nnd_status wf_send(wf_actor *a, uint32_t port, nnd_value *value, int64_t key, int64_t last);
wf_edge_state *wf_in_edge(const wf_actor *a, uint32_t port, uint32_t k);
wf_edge_state *wf_out_edge(const wf_actor *a, uint32_t port, uint32_t k);
wf_edge_state *wf_param_edge(const wf_actor *a, uint32_t k);

/* node.c: calling a node's callbacks */
nnd_status wf_node_open(wf_actor *a);
void wf_node_close(wf_actor *a);
nnd_status wf_node_call(wf_actor *a); /* process, with on_error; the packet is gathered */
nnd_status wf_node_flush(wf_actor *a);
/* New parameters from the host, at a packet boundary. Takes over `params`. */
nnd_status wf_node_set_params(wf_actor *a, nnd_params *params, const char *name);

/* delay.c, map.c, loop.c, transfer.c */
nnd_status wf_delay_open(wf_actor *a);
nnd_status wf_delay_step(wf_actor *a);
nnd_status wf_split_step(wf_actor *a);
bool wf_join_ready(wf_actor *a, int64_t *key);
nnd_status wf_join_step(wf_actor *a);
bool wf_loop_ready(wf_actor *a, int64_t *key);
nnd_status wf_loop_step(wf_actor *a);
nnd_status wf_transfer_value(nnd_run *run, nnd_value *take_value, const wf_memory *target,
                             nnd_value **out);
/* Waits (cpu) or makes the stream wait (device) for the buffers of a value. */
nnd_status wf_wait_value(nnd_run *run, const nnd_value *value, nnd_stream *stream);
/* Keeps a value until the work queued on its stream so far is done. */
nnd_status wf_retire(nnd_run *run, nnd_stream *stream, nnd_value *take_value);
void wf_retire_done(nnd_run *run, bool wait);
nnd_status wf_run_stream(nnd_run *run, nnd_device *device, nnd_stream **out);

/* ---- run --------------------------------------------------------------------------------- */

typedef struct wf_inbox { /* guarded by run->lock */
    wf_packet *items;
    uint32_t head, count, room;
    int64_t next_key;
    bool ended;
} wf_inbox;

typedef struct wf_outlet { /* guarded by run->lock */
    nnd_value **items;
    size_t head, count, room;
    bool ended;
} wf_outlet;

typedef struct wf_change { /* of a parameter, by the host */
    uint32_t actor;
    char *name, *json;
} wf_change;

typedef struct wf_trace_item {
    uint32_t actor;
    int64_t key, begin, end;
} wf_trace_item;

typedef struct wf_retired {
    nnd_fence *fence;
    nnd_value *value;
} wf_retired;

typedef enum wf_phase { WF_PHASE_OPEN = 0, WF_PHASE_DRAINING, WF_PHASE_CLOSED } wf_phase;

struct nnd_run {
    nnd_plan *plan;
    nnd_io *io;
    nnd_cancel *cancel;
    uint64_t cancel_hook;
    uint64_t seed;
    int threads;
    void (*on_event)(void *user, const nnd_event *event);
    void *event_user;
    bool tracing;

    wf_actor *actors;
    wf_edge_state *edges;
    nnd_pool *pool;
    struct wf_device_stream {
        nnd_device *device;
        nnd_stream *stream;
    } * streams;
    size_t stream_count;
    NND_VEC(wf_retired) retired;

    uint64_t *hints; /* serial scheduler: bit per slot, "may be ready" */

    nnd_port_mutex lock; /* what follows, and nothing of the mechanics above */
    nnd_port_cond changed;
    uint64_t worker; /* thread that steps actors, 0 = none */
    bool poked;      /* inboxes have changed while somebody works */
    wf_phase phase;
    nnd_status failure; /* of the whole run, NND_OK = none */
    wf_inbox *inboxes;  /* per workflow input */
    wf_outlet *outlets;
    NND_VEC(wf_change) changes;
    atomic_bool changes_waiting;
    NND_VEC(nnd_error *) errors;
    uint64_t errors_left_out;
    NND_VEC(wf_trace_item) trace;
    wf_actor *current; /* whose callback runs, for cancel */
    uint64_t transfers, transfer_bytes;
    nnd_copy_stats copies_at_start;
};

/* run.c */
/* Records the thread's error (or makes one) as the actor's failure. fatal: the run fails too. */
void wf_fail(wf_actor *a, nnd_status status, bool fatal);
/* Whether a failure outside of process (parameters, flush, list lengths, …) is one of the run: then
   there is nothing to try again or to hand to a fallback. */
bool wf_is_fatal(const wf_actor *a);
void wf_event(nnd_run *run, nnd_event_kind kind, const wf_actor *a, nnd_status status,
              nnd_value *value, const char *text, double done, double total);
void wf_begin_call(wf_actor *a);
void wf_end_call(wf_actor *a);
bool wf_input_ready(wf_actor *a);
nnd_status wf_input_step(wf_actor *a);
nnd_status wf_output_put(wf_actor *a, nnd_value *take_value);
void wf_output_end(wf_actor *a);
bool wf_run_draining(nnd_run *run);
/* Whether a thread works on the run now: its statistics are then in flux. */
bool wf_run_is_busy(const nnd_run *run);

/* serial.c: the scheduler */
void wf_wake(nnd_run *run, const wf_actor *a);
wf_actor *wf_serial_next(nnd_run *run, bool with_sources);

#endif
