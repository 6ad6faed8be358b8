/* Fences: one result that many parties may wait for. */
#include "device/device_internal.h"
#include "port/port.h"

struct nnd_fence {
    _Atomic uint32_t refs;
    _Atomic uint32_t claimed; /* somebody signals or has signalled */
    _Atomic uint32_t done;    /* status and record are final */
    _Atomic uint32_t changes; /* futex word: counts everything a waiter should look at */
    nnd_status status;
    nnd_error *record; /* of a failure; may be NULL */
};

/* A waiter looks again after this time at the latest: at a deadline that was moved meanwhile, at
   the number of holders. */
#define LOOK_AGAIN_NS INT64_C(50000000)

nnd_status nnd_fence_create(nnd_fence **out)
{
    if (!out) return nnd_error_set(NND_E_INVALID_ARGUMENT, "nnd_fence_create: out is NULL");
    *out = nnd_calloc(1, sizeof **out);
    if (!*out) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a fence");
    atomic_init(&(*out)->refs, 1);
    return NND_OK;
}

nnd_fence *nnd_fence_ref(nnd_fence *fence)
{
    if (fence) atomic_fetch_add_explicit(&fence->refs, 1, memory_order_relaxed);
    return fence;
}

void nnd_fence_unref(nnd_fence *fence)
{
    if (!fence || atomic_fetch_sub_explicit(&fence->refs, 1, memory_order_acq_rel) != 1) return;
    nnd_error_destroy(fence->record);
    nnd_free(fence);
}

/* A copy of this thread's record when it belongs to the status; the record stays. */
static nnd_error *copy_record(nnd_status status)
{
    nnd_error *record = nnd_error_take();
    if (!record) return NULL;
    nnd_error_restore(record);
    if (nnd_error_status(record) == status) return record;
    nnd_error_destroy(record);
    return NULL;
}

static void tell_waiters(nnd_fence *fence)
{
    atomic_fetch_add(&fence->changes, 1);
    nnd_port_futex_wake(&fence->changes, UINT32_MAX);
}

void nnd_fence_signal(nnd_fence *fence, nnd_status status)
{
    if (!fence || atomic_exchange(&fence->claimed, 1)) return;
    /* A waiter may let go of the last reference as soon as it sees the result. */
    nnd_fence_ref(fence);
    fence->status = status;
    fence->record = status == NND_OK ? NULL : copy_record(status);
    atomic_store(&fence->done, 1);
    tell_waiters(fence);
    nnd_fence_unref(fence);
}

bool nnd_fence_is_signalled(const nnd_fence *fence)
{
    return !fence || atomic_load(&fence->done);
}

static nnd_status fence_result(const nnd_fence *fence)
{
    if (fence->status == NND_OK) return NND_OK;
    if (!fence->record)
        return nnd_error_set(fence->status, "the work behind a fence failed: %s",
                             nnd_status_text(fence->status));
    nnd_error_restore(fence->record);
    return fence->status;
}

static void wake_waiters(void *user)
{
    tell_waiters(user);
}

static int64_t next_look(const nnd_cancel *cancel)
{
    int64_t look = nnd_port_now() + LOOK_AGAIN_NS;
    int64_t deadline = nnd_cancel_deadline(cancel);
    return deadline < look ? deadline : look;
}

nnd_status nnd_fence_wait(nnd_fence *fence, const nnd_cancel *cancel)
{
    if (!fence) return NND_OK;
    if (atomic_load(&fence->done)) return fence_result(fence);
    /* Registering changes nothing that a reader of the token can see. Without memory for it the
       next look notices the cancellation. */
    nnd_cancel *token = (nnd_cancel *)cancel;
    uint64_t callback = nnd_cancel_on(token, wake_waiters, fence);
    nnd_status stopped = NND_OK;
    for (;;) {
        uint32_t changes = atomic_load(&fence->changes);
        if (atomic_load(&fence->done)) break;
        stopped = nnd_cancel_check(cancel);
        if (stopped != NND_OK) break;
        nnd_port_futex_wait(&fence->changes, changes,
                            cancel ? next_look(cancel) : NND_PORT_FOREVER);
    }
    nnd_cancel_forget(token, callback);
    if (stopped == NND_OK) return fence_result(fence);
    return nnd_error_set(stopped, stopped == NND_E_TIMEOUT
                                      ? "the deadline passed while waiting for a fence"
                                      : "cancelled while waiting for a fence");
}

nnd_status nnd_fence_wait_held(nnd_fence *fence)
{
    for (;;) {
        uint32_t changes = atomic_load(&fence->changes);
        if (atomic_load(&fence->done)) return fence_result(fence);
        if (atomic_load(&fence->refs) == 1)
            return nnd_error_set(NND_E_CLOSED,
                                 "a stream waited for a fence that was given up unsignalled");
        nnd_port_futex_wait(&fence->changes, changes, nnd_port_now() + LOOK_AGAIN_NS);
    }
}

/* ---- failures of streams ------------------------------------------------------------------- */

void nnd_stream_failure_note(nnd_stream_failure *failure, nnd_status status)
{
    if (status == NND_OK || failure->status != NND_OK) return;
    failure->status = status;
    failure->record = copy_record(status);
}

void nnd_stream_failure_clear(nnd_stream_failure *failure)
{
    nnd_error_destroy(failure->record);
    *failure = (nnd_stream_failure){NND_OK, NULL};
}

void nnd_stream_failure_signal(const nnd_stream_failure *failure, nnd_fence *fence)
{
    if (failure->record) nnd_error_restore(failure->record);
    nnd_fence_signal(fence, failure->status);
}
