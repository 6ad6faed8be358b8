/*
 * Runs as sessions. In serial mode the work happens inside push, pop and drain: whoever calls first
 * becomes the worker and steps actors without holding the lock; others leave their request under
 * the lock and wait.
 */
#include <string.h>

#include "workflow/exec/exec.h"

#define INBOX_ROOM 8u

/* ---- create and destroy ------------------------------------------------------------------ */

static void on_cancel(void *user)
{
    nnd_run *run = user;
    nnd_port_mutex_lock(&run->lock);
    wf_actor *a = run->current;
    if (a && a->plan->kind == WF_ACTOR_NODE && a->plan->type->cancel && a->opened)
        a->plan->type->cancel(&a->ctx);
    nnd_port_cond_broadcast(&run->changed);
    nnd_port_mutex_unlock(&run->lock);
}

static nnd_status init_run(nnd_run *run, const nnd_run_options *o)
{
    nnd_plan *plan = run->plan;
    run->io = nnd_io_ref(o->io ? o->io : plan->io);
    run->seed = o->seed;
    run->threads = o->threads;
    run->on_event = o->on_event;
    run->event_user = o->user;
    run->tracing = o->trace;
    NND_TRY(nnd_cancel_create(o->cancel, &run->cancel));
    if (o->deadline_ns) nnd_cancel_set_deadline(run->cancel, o->deadline_ns);
    NND_TRY(nnd_pool_create(plan->pool_bytes, &run->pool));
    run->actors = nnd_calloc(plan->actors.count + 1, sizeof(*run->actors));
    run->edges = nnd_calloc(plan->edges.count + 1, sizeof(*run->edges));
    run->inboxes = nnd_calloc((size_t)plan->input_count + 1, sizeof(*run->inboxes));
    run->outlets = nnd_calloc((size_t)plan->output_count + 1, sizeof(*run->outlets));
    run->hints = nnd_calloc((size_t)plan->live_count / 64 + 1, sizeof(uint64_t));
    if (!run->actors || !run->edges || !run->inboxes || !run->outlets || !run->hints)
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory for a run");
    for (size_t i = 0; i < plan->edges.count; i++) {
        const wf_plan_edge *e = &plan->edges.items[i];
        run->edges[i].plan = e;
        run->edges[i].from = &run->actors[e->from];
        run->edges[i].to = &run->actors[e->to];
    }
    for (uint32_t i = 0; i < plan->actors.count; i++)
        NND_TRY(wf_actor_init(&run->actors[i], run, i));
    for (uint32_t s = 0; s < plan->live_count; s++) {
        run->actors[plan->by_rank[s]].slot = s;
        wf_wake(run, &run->actors[plan->by_rank[s]]);
    }
    for (uint32_t i = 0; i < plan->input_count; i++) {
        run->inboxes[i].room = INBOX_ROOM;
        run->inboxes[i].items = nnd_calloc(INBOX_ROOM, sizeof(wf_packet));
        if (!run->inboxes[i].items)
            return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory for a run");
    }
    run->cancel_hook = nnd_cancel_on(run->cancel, on_cancel, run);
    return run->cancel_hook ? NND_OK
                            : nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory for a run");
}

static bool is_delay(const wf_actor *a)
{
    return a->held && a->plan->kind == WF_ACTOR_NODE;
}

static nnd_status open_nodes(nnd_run *run)
{
    for (uint32_t i = 0; i < run->plan->actors.count; i++) {
        wf_actor *a = &run->actors[i];
        nnd_status status = wf_node_open(a);
        if (status == NND_OK && is_delay(a)) status = wf_delay_open(a);
        if (status == NND_OK) continue;
        nnd_error *error = nnd_error_take();
        if (error)
            nnd_error_restore(error);
        else
            nnd_error_set(status, "%s", nnd_status_text(status));
        nnd_error_destroy(error);
        nnd_error_set_node(a->plan->path, NULL);
        return status;
    }
    return NND_OK;
}

nnd_status nnd_run_create(nnd_plan *plan, const nnd_run_options *options, nnd_run **out)
{
    if (!plan || !out) return nnd_error_set(NND_E_INVALID_ARGUMENT, "a run needs a plan");
    nnd_run_options o = NND_RUN_OPTIONS_INIT;
    if (options) memcpy(&o, options, options->size < sizeof(o) ? options->size : sizeof(o));
    nnd_run *run = nnd_calloc(1, sizeof(*run));
    if (!run) return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory for a run");
    if (nnd_port_mutex_init(&run->lock) != 0) {
        nnd_free(run);
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no mutex for a run");
    }
    if (nnd_port_cond_init(&run->changed) != 0) {
        nnd_port_mutex_fini(&run->lock);
        nnd_free(run);
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no condition variable for a run");
    }
    run->plan = nnd_plan_ref(plan);
    atomic_init(&run->changes_waiting, false);
    nnd_copy_get_stats(&run->copies_at_start);
    nnd_status status = init_run(run, &o);
    if (status == NND_OK) status = open_nodes(run);
    if (status != NND_OK) {
        nnd_error *error = nnd_error_take(); /* closing may replace the record */
        nnd_run_destroy(run);
        if (error) nnd_error_restore(error);
        nnd_error_destroy(error);
        return status;
    }
    *out = run;
    return NND_OK;
}

/* Waits until no other thread works; the lock is held. */
static void wait_for_worker(nnd_run *run)
{
    while (run->worker && run->worker != nnd_port_thread_id())
        nnd_port_cond_wait(&run->changed, &run->lock, NND_PORT_FOREVER);
}

static void close_nodes(nnd_run *run)
{
    for (size_t i = run->plan->actors.count; run->actors && i-- > 0;)
        if (run->actors[i].plan) wf_node_close(&run->actors[i]);
    for (size_t i = 0; i < run->stream_count; i++)
        (void)nnd_stream_synchronize(run->streams[i].stream, NULL);
    wf_retire_done(run, true);
}

static void free_boxes(nnd_run *run)
{
    for (uint32_t i = 0; run->inboxes && i < run->plan->input_count; i++) {
        wf_inbox *b = &run->inboxes[i];
        for (uint32_t k = 0; k < b->count; k++)
            nnd_value_unref(b->items[(b->head + k) % b->room].value);
        nnd_free(b->items);
    }
    for (uint32_t i = 0; run->outlets && i < run->plan->output_count; i++) {
        wf_outlet *o = &run->outlets[i];
        for (size_t k = 0; k < o->count; k++)
            nnd_value_unref(o->items[o->head + k]);
        nnd_free(o->items);
    }
    nnd_free(run->inboxes);
    nnd_free(run->outlets);
}

static void free_changes(nnd_run *run)
{
    for (size_t i = 0; i < run->changes.count; i++) {
        nnd_free(run->changes.items[i].name);
        nnd_free(run->changes.items[i].json);
    }
    nnd_vec_clear(&run->changes);
}

void nnd_run_destroy(nnd_run *run)
{
    if (!run) return;
    nnd_port_mutex_lock(&run->lock);
    bool working = run->worker != 0 || run->phase != WF_PHASE_CLOSED;
    nnd_port_mutex_unlock(&run->lock);
    if (working && run->cancel) nnd_cancel_request(run->cancel);
    if (run->cancel_hook) nnd_cancel_forget(run->cancel, run->cancel_hook);
    nnd_port_mutex_lock(&run->lock);
    wait_for_worker(run);
    nnd_port_mutex_unlock(&run->lock);
    close_nodes(run);
    for (size_t i = 0; run->actors && i < run->plan->actors.count; i++)
        wf_actor_fini(&run->actors[i]);
    for (size_t i = 0; run->edges && i < run->plan->edges.count; i++)
        wf_edge_state_fini(&run->edges[i]);
    nnd_free(run->actors);
    nnd_free(run->edges);
    nnd_free(run->hints);
    free_boxes(run);
    free_changes(run);
    nnd_vec_free(&run->changes);
    for (size_t i = 0; i < run->stream_count; i++)
        nnd_stream_destroy(run->streams[i].stream);
    nnd_free(run->streams);
    nnd_vec_free(&run->retired);
    for (size_t i = 0; i < run->errors.count; i++)
        nnd_error_destroy(run->errors.items[i]);
    nnd_vec_free(&run->errors);
    nnd_vec_free(&run->trace);
    nnd_pool_destroy(run->pool);
    nnd_cancel_unref(run->cancel);
    nnd_io_unref(run->io);
    nnd_plan_unref(run->plan);
    nnd_port_cond_fini(&run->changed);
    nnd_port_mutex_fini(&run->lock);
    nnd_free(run);
}

/* ---- working ----------------------------------------------------------------------------- */

/* Parameter changes of the host reach their nodes between two packets. */
static nnd_status apply_changes(nnd_run *run)
{
    if (!atomic_load_explicit(&run->changes_waiting, memory_order_acquire)) return NND_OK;
    nnd_port_mutex_lock(&run->lock);
    wf_change *items = run->changes.items;
    size_t count = run->changes.count;
    run->changes.items = NULL;
    run->changes.count = run->changes.capacity = 0;
    atomic_store(&run->changes_waiting, false);
    nnd_port_mutex_unlock(&run->lock);
    nnd_status result = NND_OK;
    for (size_t i = 0; i < count; i++) {
        wf_actor *a = &run->actors[items[i].actor];
        nnd_params *changed = NULL;
        nnd_error_clear();
        nnd_status status =
            wf_params_with_json(a->ctx.params, items[i].name, items[i].json, run->io,
                                run->plan->has_services ? &run->plan->services : NULL, &changed);
        if (status == NND_OK) status = wf_node_set_params(a, changed, items[i].name);
        if (status != NND_OK && result == NND_OK) {
            nnd_error_set_node(NULL, items[i].name);
            wf_fail(a, status, true);
            result = status;
        }
        if (a->plan->constant) {
            a->dirty = true;
            wf_wake(run, a);
        }
        nnd_free(items[i].name);
        nnd_free(items[i].json);
    }
    nnd_free(items);
    return result;
}

/* Why the work cannot go on, as a failure of the run. */
static nnd_status check_cancel(nnd_run *run)
{
    nnd_status status = nnd_cancel_check(run->cancel);
    if (status == NND_OK) return NND_OK;
    nnd_error_set(status, status == NND_E_TIMEOUT ? "the run's deadline has passed"
                                                  : "the run was cancelled");
    nnd_error *error = nnd_error_take();
    nnd_port_mutex_lock(&run->lock);
    if (run->failure == NND_OK) run->failure = status;
    if (error && nnd_vec_push(&run->errors, error)) error = NULL;
    nnd_port_mutex_unlock(&run->lock);
    nnd_error_destroy(error);
    return status;
}

/* Steps actors until none is ready, the run fails, or `outlet` (may be NULL) has something. The
   lock is not held; the caller is the worker. */
static void work(nnd_run *run, bool with_sources, const wf_outlet *outlet)
{
    for (;;) {
        if (apply_changes(run) != NND_OK || check_cancel(run) != NND_OK) return;
        if (outlet) {
            nnd_port_mutex_lock(&run->lock);
            bool enough = outlet->count > 0 || outlet->ended;
            nnd_port_mutex_unlock(&run->lock);
            if (enough) return;
        }
        wf_actor *a = wf_serial_next(run, with_sources);
        if (!a) return;
        if (wf_actor_step(a) != NND_OK) return;
    }
}

/* Becomes the worker; the lock is held on entry and on return. */
static void work_locked(nnd_run *run, bool with_sources, const wf_outlet *outlet)
{
    run->worker = nnd_port_thread_id();
    do {
        run->poked = false;
        for (uint32_t i = 0; i < run->plan->input_count; i++)
            wf_wake(run, &run->actors[run->plan->inputs[i]]);
        nnd_port_mutex_unlock(&run->lock);
        work(run, with_sources, outlet);
        nnd_error_clear();
        nnd_port_mutex_lock(&run->lock);
    } while (run->poked && run->failure == NND_OK && !(outlet && outlet->count));
    run->worker = 0;
    nnd_port_cond_broadcast(&run->changed);
}

/* ---- states ------------------------------------------------------------------------------ */

static nnd_status inside_callback(const nnd_run *run)
{
    if (run->worker != nnd_port_thread_id()) return NND_OK;
    return nnd_error_set(NND_E_STATE, "a run must not be called from its own callbacks");
}

/* Makes the run's first failure this thread's record. */
static nnd_status report_failure(const nnd_run *run)
{
    for (size_t i = 0; i < run->errors.count; i++)
        if (nnd_error_status(run->errors.items[i]) == run->failure)
            return nnd_error_restore(run->errors.items[i]);
    return nnd_error_set(run->failure, "the run has failed: %s", nnd_status_text(run->failure));
}

/* The common part of the state table: callbacks, closed, failed. */
static nnd_status check_state(const nnd_run *run)
{
    NND_TRY(inside_callback(run));
    if (run->phase == WF_PHASE_CLOSED) return nnd_error_set(NND_E_STATE, "the run is closed");
    return run->failure != NND_OK ? report_failure(run) : NND_OK;
}

static bool all_finished(const nnd_run *run)
{
    for (uint32_t s = 0; s < run->plan->live_count; s++)
        if (!run->actors[run->plan->by_rank[s]].finished) return false;
    return true;
}

/* ---- push and end ------------------------------------------------------------------------ */

static nnd_status find_input(const nnd_run *run, const char *name, uint32_t *index)
{
    for (uint32_t i = 0; i < run->plan->input_count; i++) {
        if (name && strcmp(run->plan->actors.items[run->plan->inputs[i]].path, name) == 0) {
            *index = i;
            return NND_OK;
        }
    }
    return nnd_error_set(NND_E_NOT_FOUND, "the workflow has no input '%s'", name ? name : "");
}

/* Gives the value its number; a new reference in *out. */
static nnd_status number_value(wf_inbox *box, nnd_value *value, nnd_value **out, int64_t *key)
{
    nnd_header h = *nnd_value_header(value);
    *out = nnd_value_ref(value);
    if (h.sequence >= box->next_key) {
        *key = h.sequence;
        return NND_OK;
    }
    if (h.sequence != 0) {
        nnd_value_unref(*out);
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "sequence %lld comes after %lld; numbers must rise",
                             (long long)h.sequence, (long long)box->next_key - 1);
    }
    nnd_value_unref(*out);
    h.sequence = *key = box->next_key;
    return nnd_value_with_header(value, &h, out);
}

/* Works or waits until the inbox has room; the lock is held. */
static nnd_status wait_for_room(nnd_run *run, const wf_inbox *box, const char *input)
{
    while (box->count == box->room) {
        if (run->worker) {
            nnd_port_cond_wait(&run->changed, &run->lock, NND_PORT_FOREVER);
        } else {
            work_locked(run, false, NULL);
            if (box->count == box->room && run->failure == NND_OK)
                return nnd_error_set(NND_E_FULL,
                                     "input '%s' is %u packets ahead of what the workflow can use; "
                                     "push the other inputs first",
                                     input, box->count);
        }
        NND_TRY(check_state(run));
        if (box->ended) return nnd_error_set(NND_E_CLOSED, "input '%s' has ended", input);
    }
    return NND_OK;
}

static nnd_status push_locked(nnd_run *run, uint32_t index, nnd_value *value)
{
    wf_inbox *box = &run->inboxes[index];
    const wf_actor *a = &run->actors[run->plan->inputs[index]];
    NND_TRY(check_state(run));
    if (box->ended) return nnd_error_set(NND_E_CLOSED, "input '%s' has ended", a->plan->path);
    bool gap = (nnd_value_header(value)->flags & NND_VALUE_GAP) != 0;
    if (!gap && !wf_port_accepts(&a->plan->out[0], value))
        return nnd_error_set(NND_E_TYPE, "input '%s' takes %s, not %s", a->plan->path,
                             a->plan->out[0].type, nnd_value_type_name(value));
    NND_TRY(wait_for_room(run, box, a->plan->path));
    wf_packet packet = {NULL, 0, 0, 0, 0};
    NND_TRY(number_value(box, value, &packet.value, &packet.key));
    if (gap) {
        nnd_value_unref(packet.value);
        packet.value = NULL;
    }
    packet.last = packet.key;
    box->next_key = packet.key + 1;
    box->items[(box->head + box->count++) % box->room] = packet;
    run->poked = true; /* the worker looks at the inboxes before it leaves */
    if (run->worker) return NND_OK;
    work_locked(run, false, NULL);
    return run->failure != NND_OK ? report_failure(run) : NND_OK;
}

nnd_status nnd_run_push(nnd_run *run, const char *input, nnd_value *value)
{
    uint32_t index = 0;
    if (!run || !value)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "push needs a run and a value");
    NND_TRY(find_input(run, input, &index));
    nnd_port_mutex_lock(&run->lock);
    nnd_status status = push_locked(run, index, value);
    nnd_port_mutex_unlock(&run->lock);
    return status;
}

static void end_inputs(nnd_run *run, uint32_t only)
{
    bool all = true;
    for (uint32_t i = 0; i < run->plan->input_count; i++) {
        if (only == WF_NONE || only == i) run->inboxes[i].ended = true;
        all &= run->inboxes[i].ended;
    }
    if (all && run->phase == WF_PHASE_OPEN) {
        run->phase = WF_PHASE_DRAINING;
        for (uint32_t s = 0; s < run->plan->live_count && !run->worker; s++)
            wf_wake(run, &run->actors[run->plan->by_rank[s]]);
    }
}

nnd_status nnd_run_end(nnd_run *run, const char *input)
{
    uint32_t index = WF_NONE;
    if (!run) return nnd_error_set(NND_E_INVALID_ARGUMENT, "end needs a run");
    if (input) NND_TRY(find_input(run, input, &index));
    nnd_port_mutex_lock(&run->lock);
    nnd_status status = check_state(run);
    if (status == NND_OK) {
        end_inputs(run, index);
        run->poked = true;
        if (!run->worker) {
            work_locked(run, false, NULL);
            if (run->failure != NND_OK) status = report_failure(run);
        }
    }
    nnd_port_mutex_unlock(&run->lock);
    return status;
}

/* ---- pop --------------------------------------------------------------------------------- */

static nnd_status find_output(nnd_run *run, const char *name, wf_outlet **out)
{
    for (uint32_t i = 0; i < run->plan->output_count; i++) {
        if (name && strcmp(run->plan->actors.items[run->plan->outputs[i]].path, name) == 0) {
            *out = &run->outlets[i];
            return NND_OK;
        }
    }
    return nnd_error_set(NND_E_NOT_FOUND, "the workflow has no output '%s'", name ? name : "");
}

static nnd_status take_result(wf_outlet *o, nnd_value **out)
{
    *out = o->items[o->head++];
    if (--o->count == 0) o->head = 0;
    return NND_OK;
}

static nnd_status pop_locked(nnd_run *run, wf_outlet *o, nnd_value **out)
{
    NND_TRY(inside_callback(run));
    for (bool worked = false;; worked = true) {
        if (o->count) return take_result(o, out);
        if (o->ended && run->failure == NND_OK && run->phase != WF_PHASE_CLOSED)
            return nnd_error_set(NND_E_CLOSED, "the output has ended");
        NND_TRY(check_state(run));
        if (run->worker) {
            nnd_port_cond_wait(&run->changed, &run->lock, NND_PORT_FOREVER);
            worked = false;
            continue;
        }
        if (worked) return nnd_error_set(NND_E_AGAIN, "more input is needed first");
        work_locked(run, true, o);
    }
}

nnd_status nnd_run_pop(nnd_run *run, const char *output, nnd_value **out)
{
    wf_outlet *o = NULL;
    if (!run || !out) return nnd_error_set(NND_E_INVALID_ARGUMENT, "pop needs a run and a place");
    NND_TRY(find_output(run, output, &o));
    nnd_port_mutex_lock(&run->lock);
    nnd_status status = pop_locked(run, o, out);
    nnd_port_mutex_unlock(&run->lock);
    return status;
}

/* ---- parameters -------------------------------------------------------------------------- */

static nnd_status find_param(const nnd_run *run, const char *node, const char *param,
                             uint32_t *actor, const char **name)
{
    const nnd_plan *plan = run->plan;
    for (size_t i = 0; i < plan->promoted.count; i++) {
        const wf_plan_promoted *p = &plan->promoted.items[i];
        if (strcmp(p->path, node) != 0 || strcmp(p->name, param) != 0) continue;
        *actor = p->actor;
        *name = p->param;
        return NND_OK;
    }
    *actor = wf_plan_find(plan, node);
    *name = param;
    if (*actor == WF_NONE) return nnd_error_set(NND_E_NOT_FOUND, "there is no node '%s'", node);
    return NND_OK;
}

/* Checks the value now, so that the caller hears of it; it is applied between two packets. */
static nnd_status check_change(nnd_run *run, uint32_t actor, const char *name, const char *json)
{
    const wf_plan_actor *a = &run->plan->actors.items[actor];
    const nnd_param *p = wf_param_find(a->type, name);
    if (p && (p->flags & NND_PARAM_STATIC)) {
        nnd_error_set(NND_E_UNSUPPORTED, "parameter '%s' is fixed when the workflow is compiled",
                      name);
        nnd_error_set_node(a->path, name);
        return NND_E_UNSUPPORTED;
    }
    nnd_params *changed = NULL;
    nnd_status status =
        wf_params_with_json(a->params, name, json, run->io,
                            run->plan->has_services ? &run->plan->services : NULL, &changed);
    wf_params_unref(changed);
    if (status != NND_OK) nnd_error_set_node(a->path, name);
    return status;
}

static nnd_status set_param_locked(nnd_run *run, uint32_t actor, const char *name, const char *json)
{
    NND_TRY(check_state(run));
    wf_change change = {actor, nnd_strdup(name), nnd_strdup(json)};
    if (!change.name || !change.json || !nnd_vec_push(&run->changes, change)) {
        nnd_free(change.name);
        nnd_free(change.json);
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory");
    }
    atomic_store_explicit(&run->changes_waiting, true, memory_order_release);
    return NND_OK;
}

nnd_status nnd_run_set_param(nnd_run *run, const char *node, const char *param, const char *json)
{
    uint32_t actor = 0;
    const char *name = NULL;
    if (!run || !node || !param || !json)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "set_param needs a node, a name and a value");
    NND_TRY(find_param(run, node, param, &actor, &name));
    nnd_port_mutex_lock(&run->lock);
    nnd_status status = check_state(run);
    nnd_port_mutex_unlock(&run->lock);
    NND_TRY(status);
    NND_TRY(check_change(run, actor, name, json));
    nnd_port_mutex_lock(&run->lock);
    status = set_param_locked(run, actor, name, json);
    nnd_port_mutex_unlock(&run->lock);
    return status;
}

/* ---- drain, cancel, close ---------------------------------------------------------------- */

/* Nothing is ready and not everything has ended: a defect, told instead of waiting for ever. */
static nnd_status report_stall(nnd_run *run)
{
    for (uint32_t s = 0; s < run->plan->live_count; s++) {
        const wf_actor *a = &run->actors[run->plan->by_rank[s]];
        if (!a->finished) {
            nnd_error_set(NND_E_INTERNAL, "the run does not come to an end");
            nnd_error_set_node(a->plan->path, NULL);
            break;
        }
    }
    return NND_E_INTERNAL;
}

static nnd_status drain_locked(nnd_run *run)
{
    NND_TRY(check_state(run));
    end_inputs(run, WF_NONE);
    for (;;) {
        wait_for_worker(run);
        NND_TRY(check_state(run));
        if (all_finished(run)) return NND_OK;
        for (uint32_t s = 0; s < run->plan->live_count; s++)
            wf_wake(run, &run->actors[run->plan->by_rank[s]]);
        work_locked(run, true, NULL);
        if (run->failure != NND_OK) return report_failure(run);
        if (!all_finished(run)) return report_stall(run);
    }
}

nnd_status nnd_run_drain(nnd_run *run)
{
    if (!run) return nnd_error_set(NND_E_INVALID_ARGUMENT, "drain needs a run");
    nnd_port_mutex_lock(&run->lock);
    nnd_status status = drain_locked(run);
    nnd_port_mutex_unlock(&run->lock);
    return status;
}

void nnd_run_cancel(nnd_run *run)
{
    if (run) nnd_cancel_request(run->cancel);
}

nnd_status nnd_run_close(nnd_run *run)
{
    if (!run) return nnd_error_set(NND_E_INVALID_ARGUMENT, "close needs a run");
    nnd_port_mutex_lock(&run->lock);
    nnd_status status = inside_callback(run);
    if (status == NND_OK) wait_for_worker(run);
    if (status == NND_OK && run->phase == WF_PHASE_CLOSED)
        status = nnd_error_set(NND_E_STATE, "the run is closed");
    if (status != NND_OK) {
        nnd_port_mutex_unlock(&run->lock);
        return status;
    }
    run->phase = WF_PHASE_CLOSED;
    run->worker = nnd_port_thread_id(); /* callbacks must not call back */
    nnd_port_mutex_unlock(&run->lock);
    close_nodes(run);
    nnd_error_clear();
    wf_event(run, NND_EVENT_RUN_END, NULL, run->failure, NULL, NULL, 0, 0);
    nnd_port_mutex_lock(&run->lock);
    run->worker = 0;
    nnd_port_cond_broadcast(&run->changed);
    status = run->failure != NND_OK ? report_failure(run) : NND_OK;
    nnd_port_mutex_unlock(&run->lock);
    return status;
}

/* ---- errors ------------------------------------------------------------------------------ */

size_t nnd_run_error_count(const nnd_run *run)
{
    nnd_port_mutex *lock = (nnd_port_mutex *)(uintptr_t)&run->lock;
    nnd_port_mutex_lock(lock);
    size_t count = run->errors.count;
    nnd_port_mutex_unlock(lock);
    return count;
}

const nnd_error *nnd_run_error_at(const nnd_run *run, size_t index)
{
    nnd_port_mutex *lock = (nnd_port_mutex *)(uintptr_t)&run->lock;
    nnd_port_mutex_lock(lock);
    const nnd_error *error = index < run->errors.count ? run->errors.items[index] : NULL;
    nnd_port_mutex_unlock(lock);
    return error;
}
