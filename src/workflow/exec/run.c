/* Inside of a run that is shared by mechanics and session: errors, events, boundary actors. */
#include <string.h>

#include "workflow/exec/exec.h"

#define ERRORS_KEPT 1000

/* ---- errors and events ------------------------------------------------------------------- */

void wf_event(nnd_run *run, nnd_event_kind kind, const wf_actor *a, nnd_status status,
              nnd_value *value, const char *text, double done, double total)
{
    if (!run->on_event) return;
    nnd_event e = {sizeof(e), kind,  a ? a->plan->path : "", nnd_clock_now(), a ? a->ctx.key : -1,
                   done,      total, text ? text : "",       value,           status};
    run->on_event(run->event_user, &e);
}

/* The thread's record with the node's place on it; made when the node left none. */
static nnd_error *take_record(const wf_actor *a, nnd_status status)
{
    nnd_error *error = nnd_error_take();
    if (!error) {
        nnd_error_set(status, "%s (the node gave no message)", nnd_status_text(status));
        error = nnd_error_take();
    } else if (nnd_error_status(error) != status) {
        nnd_error_restore(error);
        nnd_error_destroy(error);
        nnd_error_wrap(status, "%s", nnd_status_text(status));
        error = nnd_error_take();
    }
    if (!error || !a) return error;
    nnd_error_restore(error);
    nnd_error_set_node(a->plan->path, NULL);
    if (a->plan->kind != WF_ACTOR_INPUT) nnd_error_set_packet(a->ctx.key);
    nnd_error_destroy(error);
    return nnd_error_take();
}

bool wf_is_fatal(const wf_actor *a)
{
    wf_on_error_kind kind = a->plan->on_error;
    return kind != WF_ON_ERROR_SKIP && kind != WF_ON_ERROR_ISOLATE && kind != WF_ON_ERROR_RESTART;
}

void wf_fail(wf_actor *a, nnd_status status, bool fatal)
{
    nnd_run *run = a->run;
    nnd_error *error = take_record(a, status);
    a->stats.failed++;
    wf_event(run, NND_EVENT_ERROR, a, status, NULL, error ? nnd_error_message(error) : NULL, 0, 0);
    nnd_port_mutex_lock(&run->lock);
    if (fatal && run->failure == NND_OK) run->failure = status;
    if (error && run->errors.count < ERRORS_KEPT && nnd_vec_push(&run->errors, error)) {
        error = NULL;
    } else {
        run->errors_left_out++;
    }
    nnd_port_mutex_unlock(&run->lock);
    nnd_error_destroy(error);
}

/* ---- around a call ----------------------------------------------------------------------- */

static void add_trace(wf_actor *a, int64_t begin, int64_t end)
{
    wf_trace_item item = {a->index, a->ctx.key, begin, end};
    nnd_port_mutex_lock(&a->run->lock);
    (void)nnd_vec_push(&a->run->trace, item); /* without memory the trace has a hole */
    nnd_port_mutex_unlock(&a->run->lock);
}

void wf_begin_call(wf_actor *a)
{
    nnd_run *run = a->run;
    wf_event(run, NND_EVENT_NODE_BEGIN, a, NND_OK, NULL, NULL, 0, 0);
    nnd_port_mutex_lock(&run->lock);
    run->current = a;
    nnd_port_mutex_unlock(&run->lock);
    a->began = nnd_clock_now();
}

void wf_end_call(wf_actor *a)
{
    nnd_run *run = a->run;
    int64_t now = nnd_clock_now(), spent = now - a->began;
    nnd_port_mutex_lock(&run->lock);
    run->current = NULL;
    nnd_port_mutex_unlock(&run->lock);
    a->stats.total_ns += spent;
    if (spent < a->stats.min_ns) a->stats.min_ns = spent;
    if (spent > a->stats.max_ns) a->stats.max_ns = spent;
    if (run->tracing) add_trace(a, a->began, now);
    wf_event(run, NND_EVENT_NODE_END, a, NND_OK, NULL, NULL, 0, 0);
}

bool wf_run_is_busy(const nnd_run *run)
{
    nnd_port_mutex *lock = (nnd_port_mutex *)(uintptr_t)&run->lock;
    nnd_port_mutex_lock(lock);
    bool busy = run->worker != 0;
    nnd_port_mutex_unlock(lock);
    return busy;
}

bool wf_run_draining(nnd_run *run)
{
    nnd_port_mutex_lock(&run->lock);
    bool draining = run->phase != WF_PHASE_OPEN;
    nnd_port_mutex_unlock(&run->lock);
    return draining;
}

/* ---- workflow inputs --------------------------------------------------------------------- */

static wf_inbox *inbox_of(const wf_actor *a)
{
    for (uint32_t i = 0; i < a->run->plan->input_count; i++)
        if (a->run->plan->inputs[i] == a->index) return &a->run->inboxes[i];
    return NULL;
}

bool wf_input_ready(wf_actor *a)
{
    nnd_port_mutex_lock(&a->run->lock);
    const wf_inbox *box = inbox_of(a);
    bool ready = box->count || box->ended;
    nnd_port_mutex_unlock(&a->run->lock);
    return ready;
}

nnd_status wf_input_step(wf_actor *a)
{
    nnd_run *run = a->run;
    wf_packet packet = {NULL, 0, 0, 0, 0};
    nnd_port_mutex_lock(&run->lock);
    wf_inbox *box = inbox_of(a);
    bool some = box->count > 0;
    if (some) {
        packet = box->items[box->head];
        box->head = (box->head + 1) % box->room;
        box->count--;
        nnd_port_cond_broadcast(&run->changed);
    }
    nnd_port_mutex_unlock(&run->lock);
    if (!some) {
        wf_actor_finish(a);
        return NND_OK;
    }
    a->ctx.key = a->ctx.last = packet.key;
    a->ctx.emitted[0] = 1;
    a->stats.packets++;
    nnd_status status = wf_send(a, 0, packet.value, packet.key, packet.last);
    if (status == NND_E_CLOSED) status = NND_OK;
    if (status != NND_OK) wf_fail(a, status, true);
    wf_packet_done(a);
    return status;
}

/* ---- workflow outputs -------------------------------------------------------------------- */

static wf_outlet *outlet_of(const wf_actor *a)
{
    for (uint32_t i = 0; i < a->run->plan->output_count; i++)
        if (a->run->plan->outputs[i] == a->index) return &a->run->outlets[i];
    return NULL;
}

static bool make_room(wf_outlet *o)
{
    if (o->head + o->count < o->room) return true;
    if (o->head > o->room / 2) {
        memmove(o->items, o->items + o->head, o->count * sizeof(*o->items));
        o->head = 0;
        return true;
    }
    size_t room = o->room ? o->room * 2 : 8;
    nnd_value **grown = nnd_realloc(o->items, room * sizeof(*grown));
    if (!grown) return false;
    o->items = grown;
    o->room = room;
    return true;
}

nnd_status wf_output_put(wf_actor *a, nnd_value *take_value)
{
    nnd_run *run = a->run;
    nnd_status status = wf_wait_value(run, take_value, NULL);
    if (status == NND_OK) {
        wf_event(run, NND_EVENT_OUTPUT, a, NND_OK, take_value, NULL, 0, 0);
        nnd_port_mutex_lock(&run->lock);
        wf_outlet *o = outlet_of(a);
        if (make_room(o))
            o->items[o->head + o->count++] = take_value;
        else
            status = NND_E_OUT_OF_MEMORY;
        nnd_port_cond_broadcast(&run->changed);
        nnd_port_mutex_unlock(&run->lock);
        if (status != NND_OK) nnd_error_set(status, "out of memory for a result");
    }
    if (status != NND_OK) {
        nnd_value_unref(take_value);
        wf_fail(a, status, true);
    }
    return status;
}

void wf_output_end(wf_actor *a)
{
    nnd_port_mutex_lock(&a->run->lock);
    outlet_of(a)->ended = true;
    nnd_port_cond_broadcast(&a->run->changed);
    nnd_port_mutex_unlock(&a->run->lock);
}
