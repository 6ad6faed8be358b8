/* Actors: when they are ready, what they take, and how every packet ends. */
#include <string.h>

#include "workflow/exec/exec.h"
#include "workflow/flow/flow.h"

/* ---- edges of an actor ------------------------------------------------------------------- */

wf_edge_state *wf_in_edge(const wf_actor *a, uint32_t port, uint32_t k)
{
    return &a->run->edges[a->plan->in[port].edges[k]];
}

wf_edge_state *wf_out_edge(const wf_actor *a, uint32_t port, uint32_t k)
{
    return &a->run->edges[a->plan->out[port].edges[k]];
}

wf_edge_state *wf_param_edge(const wf_actor *a, uint32_t k)
{
    return &a->run->edges[a->plan->param_edges[k]];
}

bool wf_outputs_have_room(const wf_actor *a)
{
    for (uint32_t p = 0; p < a->plan->out_count; p++)
        for (uint32_t k = 0; k < a->plan->out[p].edge_count; k++)
            if (!wf_edge_has_room(wf_out_edge(a, p, k))) return false;
    return true;
}

bool wf_outputs_all_closed(const wf_actor *a)
{
    bool any = false;
    for (uint32_t p = 0; p < a->plan->out_count; p++) {
        for (uint32_t k = 0; k < a->plan->out[p].edge_count; k++) {
            any = true;
            if (!wf_out_edge(a, p, k)->closed) return false;
        }
    }
    return any;
}

/* ---- agreement of inputs ----------------------------------------------------------------- */

typedef struct wf_sync_state {
    bool any_driver; /* something that is not sticky */
    bool any_head;
    bool all_ended; /* of what drives */
    bool sticky_ready;
    int64_t key; /* smallest number at a head */
} wf_sync_state;

/* Held edges drive only when nothing else does. */
static bool is_driver(const wf_edge_state *e, bool holds_drive)
{
    return !e->plan->sticky && (holds_drive || !e->plan->hold);
}

static void look_at(wf_sync_state *s, wf_edge_state *e, bool holds_drive)
{
    if (e->plan->sticky) {
        s->sticky_ready &= e->has_current;
        return;
    }
    if (!is_driver(e, holds_drive)) return;
    s->any_driver = true;
    wf_edge_expire(e);
    const wf_packet *head = wf_edge_head(e);
    if (head) {
        if (!s->any_head || head->key < s->key) s->key = head->key;
        s->any_head = true;
        s->all_ended = false;
    } else if (!e->ended) {
        s->all_ended = false;
    }
}

/* Whether the edge can say what it has for number `key`. */
static bool knows(const wf_edge_state *e, int64_t key)
{
    if (e->plan->sticky || e->count || e->ended) return true;
    return !e->plan->hold && e->bound > key;
}

/* In ports that take part: not what comes back from a loop's body. */
static bool takes_part(const wf_actor *a, uint32_t port)
{
    const wf_plan_actor *p = a->plan;
    return p->kind != WF_ACTOR_LOOP || port < p->body_inputs || port == p->count_port;
}

static wf_sync_state survey(wf_actor *a, bool holds_drive)
{
    wf_sync_state s = {false, false, true, true, 0};
    for (uint32_t p = 0; p < a->plan->in_count; p++)
        for (uint32_t k = 0; takes_part(a, p) && k < a->plan->in[p].edge_count; k++)
            look_at(&s, wf_in_edge(a, p, k), holds_drive);
    for (uint32_t k = 0; k < a->plan->param_edge_count; k++)
        look_at(&s, wf_param_edge(a, k), holds_drive);
    return s;
}

wf_sync wf_actor_sync(wf_actor *a, int64_t *key)
{
    wf_sync_state s = survey(a, false);
    if (!s.any_driver) s = survey(a, true);
    if (!s.sticky_ready) return WF_SYNC_WAIT;
    if (!s.any_driver) { /* a constant */
        *key = 0;
        if (!a->fired || a->dirty) return WF_SYNC_READY;
        return wf_run_draining(a->run) ? WF_SYNC_END : WF_SYNC_WAIT;
    }
    if (!s.any_head) return s.all_ended ? WF_SYNC_END : WF_SYNC_WAIT;
    *key = s.key;
    for (uint32_t p = 0; p < a->plan->in_count; p++)
        for (uint32_t k = 0; takes_part(a, p) && k < a->plan->in[p].edge_count; k++)
            if (!knows(wf_in_edge(a, p, k), s.key)) return WF_SYNC_WAIT;
    for (uint32_t k = 0; k < a->plan->param_edge_count; k++)
        if (!knows(wf_param_edge(a, k), s.key)) return WF_SYNC_WAIT;
    return WF_SYNC_READY;
}

/* ---- taking packets ---------------------------------------------------------------------- */

/* Takes what the edge has for `key`: a reference, or NULL and how far the GAP goes. */
static nnd_value *take_at(wf_edge_state *e, int64_t key, int64_t *gap_last)
{
    if (e->plan->sticky) return nnd_value_ref(e->current);
    const wf_packet *head = wf_edge_head(e);
    if (!head) {
        int64_t last = e->ended || e->plan->hold ? INT64_MAX : e->bound - 1;
        if (*gap_last > last) *gap_last = last;
        return NULL;
    }
    if (e->plan->hold) return wf_edge_pop(e).value;
    if (head->key > key) {
        if (*gap_last > head->key - 1) *gap_last = head->key - 1;
        return NULL;
    }
    if (head->value) {
        *gap_last = key;
        return wf_edge_pop(e).value;
    }
    if (*gap_last > head->last) *gap_last = head->last;
    return NULL; /* a GAP; removed when the range is known */
}

static nnd_status check_type(wf_actor *a, uint32_t port, wf_edge_state *e, const nnd_value *value)
{
    if (!value || !e->plan->check || wf_port_accepts(&a->plan->in[port], value)) return NND_OK;
    nnd_error_set(NND_E_TYPE, "wants %s, got %s from '%s'", a->plan->in[port].type,
                  nnd_value_type_name(value), e->from->plan->path);
    nnd_error_set_node(NULL, a->plan->in[port].name);
    return NND_E_TYPE;
}

void wf_release_inputs(nnd_ctx *ctx)
{
    const wf_plan_actor *p = ctx->actor->plan;
    if (!ctx->inputs) return;
    for (uint32_t i = 0; i < ctx->input_first[p->in_count]; i++) {
        nnd_value_unref(ctx->inputs[i]);
        ctx->inputs[i] = NULL;
    }
}

static void skip_gaps(wf_actor *a, int64_t last)
{
    for (uint32_t p = 0; p < a->plan->in_count; p++)
        for (uint32_t k = 0; takes_part(a, p) && k < a->plan->in[p].edge_count; k++)
            if (!wf_in_edge(a, p, k)->plan->hold) wf_edge_skip_gaps(wf_in_edge(a, p, k), last);
    for (uint32_t k = 0; k < a->plan->param_edge_count; k++)
        wf_edge_skip_gaps(wf_param_edge(a, k), last);
}

/* Applies what parameter edges have for this number; without a value the last one stays. */
static nnd_status take_params(wf_actor *a, int64_t key, int64_t *gap_last)
{
    nnd_status result = NND_OK;
    for (uint32_t k = 0; k < a->plan->param_edge_count; k++) {
        wf_edge_state *e = wf_param_edge(a, k);
        if (e->plan->sticky && a->fired && !a->dirty) continue; /* has been applied */
        nnd_value *value = take_at(e, key, gap_last);
        if (!value) continue;
        nnd_params *changed = NULL;
        nnd_status status = wf_wait_value(a->run, value, NULL);
        if (status == NND_OK)
            status = wf_params_with_value(a->ctx.params, e->plan->param, value, &changed);
        nnd_value_unref(value);
        if (status == NND_OK) status = wf_node_set_params(a, changed, e->plan->param);
        if (status != NND_OK && result == NND_OK) {
            nnd_error_set_node(NULL, e->plan->param);
            result = status;
        }
    }
    return result;
}

bool wf_actor_gather(wf_actor *a, int64_t key, nnd_status *status)
{
    nnd_ctx *ctx = &a->ctx;
    const wf_plan_actor *p = a->plan;
    bool complete = true, any = false, any_data = false, have_header = false;
    int64_t gap_last = INT64_MAX;
    *status = take_params(a, key, &gap_last);
    memset(&ctx->header, 0, sizeof(ctx->header));
    ctx->header = (nnd_header){.pts = NND_NO_TIME, .wall = NND_NO_TIME, .group_parent = -1};
    for (uint32_t port = 0; port < p->in_count; port++) {
        for (uint32_t k = 0; takes_part(a, port) && k < p->in[port].edge_count; k++) {
            wf_edge_state *e = wf_in_edge(a, port, k);
            nnd_value *value = take_at(e, key, &gap_last);
            ctx->inputs[ctx->input_first[port] + k] = value;
            any_data = true;
            any |= value != NULL;
            if (!value && !(p->in[port].flags & NND_PORT_OPTIONAL)) complete = false;
            if (value && !have_header && !e->plan->sticky && !e->plan->hold) {
                ctx->header = *nnd_value_header(value);
                have_header = true;
            }
            nnd_status typed = check_type(a, port, e, value);
            if (*status == NND_OK) *status = typed;
        }
    }
    if (any || gap_last == INT64_MAX || gap_last < key) gap_last = key;
    skip_gaps(a, gap_last);
    ctx->key = key;
    ctx->last = gap_last;
    ctx->header.sequence = key;
    ctx->header.flags &= ~(uint32_t)NND_VALUE_GAP;
    return complete && (any || !any_data);
}

/* ---- putting packets --------------------------------------------------------------------- */

nnd_status wf_send(wf_actor *a, uint32_t port, nnd_value *value, int64_t key, int64_t last)
{
    const wf_plan_port *p = &a->plan->out[port];
    nnd_status result = p->edge_count ? NND_E_CLOSED : NND_OK;
    for (uint32_t k = 0; k < p->edge_count; k++) {
        wf_packet packet = {nnd_value_ref(value), key, last, 0, 0};
        nnd_status status = wf_edge_push(wf_out_edge(a, port, k), packet);
        if (status == NND_E_CLOSED) continue;
        if (status != NND_OK) {
            result = status;
            break;
        }
        result = NND_OK;
    }
    nnd_value_unref(value);
    return result;
}

/* What goes into the body of a map or loop has numbers of its own. */
static bool goes_into_body(const wf_plan_actor *p, uint32_t port)
{
    return (p->kind == WF_ACTOR_SPLIT && port + 1 < p->out_count) ||
           (p->kind == WF_ACTOR_LOOP && port < p->body_inputs);
}

void wf_packet_done(wf_actor *a)
{
    nnd_ctx *ctx = &a->ctx;
    for (uint32_t p = 0; p < a->plan->out_count; p++) {
        if (goes_into_body(a->plan, p)) continue;
        if (ctx->emitted[p] == 0) {
            /* Without memory for a GAP the bound alone says that nothing comes. */
            if (wf_send(a, p, NULL, ctx->key, ctx->last) == NND_E_OUT_OF_MEMORY) nnd_error_clear();
            a->stats.gaps++;
        }
        for (uint32_t k = 0; k < a->plan->out[p].edge_count; k++) {
            wf_edge_state *e = wf_out_edge(a, p, k);
            int64_t bound = ctx->last == INT64_MAX ? INT64_MAX : ctx->last + 1;
            if (e->bound < bound) e->bound = bound;
            if (!e->plan->sticky) wf_wake(a->run, e->to);
        }
        ctx->emitted[p] = 0;
    }
    wf_release_inputs(ctx);
    wf_wake(a->run, a);
}

void wf_actor_finish(wf_actor *a)
{
    if (a->finished) return;
    a->finished = true;
    for (uint32_t p = 0; p < a->plan->out_count; p++)
        for (uint32_t k = 0; k < a->plan->out[p].edge_count; k++)
            wf_edge_end(wf_out_edge(a, p, k));
    for (uint32_t p = 0; p < a->plan->in_count; p++)
        for (uint32_t k = 0; k < a->plan->in[p].edge_count; k++)
            wf_edge_close(wf_in_edge(a, p, k));
    for (uint32_t k = 0; k < a->plan->param_edge_count; k++)
        wf_edge_close(wf_param_edge(a, k));
    if (a->plan->kind == WF_ACTOR_OUTPUT) wf_output_end(a);
}

/* ---- steps ------------------------------------------------------------------------------- */

/* Sources and the rest of the mechanics that need no agreement. */
static bool source_ready(wf_actor *a, int64_t *key)
{
    *key = a->next_key;
    return wf_outputs_have_room(a);
}

bool wf_actor_ready(wf_actor *a, int64_t *key)
{
    if (a->finished) return false;
    bool can_stop = wf_outputs_all_closed(a) && !(a->plan->flags & NND_NODE_SINK);
    if (can_stop) return true;
    if (a->plan->kind == WF_ACTOR_JOIN) return wf_join_ready(a, key);
    if (a->plan->kind == WF_ACTOR_LOOP) return wf_loop_ready(a, key);
    if (!wf_outputs_have_room(a)) return false;
    if (a->plan->kind == WF_ACTOR_INPUT) return wf_input_ready(a);
    if ((a->plan->flags & NND_NODE_SOURCE) && !a->plan->mute && !a->plan->bypass)
        return source_ready(a, key);
    return wf_actor_sync(a, key) != WF_SYNC_WAIT;
}

static nnd_status source_step(wf_actor *a)
{
    a->ctx.key = a->ctx.last = a->next_key;
    a->ctx.header = (nnd_header){.pts = NND_NO_TIME, .wall = NND_NO_TIME, .group_parent = -1};
    a->ctx.header.sequence = a->next_key;
    nnd_status status = wf_node_call(a);
    if (a->ctx.end_asked && status == NND_OK) wf_actor_finish(a);
    return status;
}

static nnd_status output_step(wf_actor *a)
{
    nnd_value *value = a->ctx.inputs[0];
    a->ctx.inputs[0] = NULL;
    a->stats.packets++;
    return wf_output_put(a, value);
}

static nnd_status transfer_step(wf_actor *a)
{
    nnd_value *value = a->ctx.inputs[0], *moved = NULL;
    a->ctx.inputs[0] = NULL;
    wf_begin_call(a);
    nnd_status status = wf_transfer_value(a->run, value, &a->plan->out[0].memory, &moved);
    wf_end_call(a);
    if (status == NND_OK) {
        a->ctx.emitted[0] = 1;
        status = wf_send(a, 0, moved, a->ctx.key, a->ctx.key);
        if (status == NND_E_CLOSED) status = NND_OK;
    }
    if (status != NND_OK) wf_fail(a, status, true);
    return status;
}

static nnd_status synchronous_step(wf_actor *a)
{
    int64_t key = 0;
    wf_sync sync = wf_actor_sync(a, &key);
    if (sync == WF_SYNC_WAIT) return NND_OK;
    if (sync == WF_SYNC_END) {
        nnd_status status = NND_OK;
        if (a->plan->kind == WF_ACTOR_NODE) status = wf_node_flush(a);
        wf_actor_finish(a);
        return status;
    }
    nnd_status status = NND_OK;
    nnd_error_clear();
    bool call = wf_actor_gather(a, key, &status);
    bool is_delay = (a->plan->flags & WF_NODE_SEES_GAPS) && !a->plan->bypass && !a->plan->mute;
    a->fired = true;
    a->dirty = false;
    if (status != NND_OK) {
        bool fatal = wf_is_fatal(a);
        wf_fail(a, status, fatal);
        if (!fatal) status = NND_OK;
    } else if (is_delay) {
        status = wf_delay_step(a);
        if (status != NND_OK) wf_fail(a, status, true);
    } else if (call) {
        switch (a->plan->kind) {
        case WF_ACTOR_OUTPUT:
            status = output_step(a);
            break;
        case WF_ACTOR_TRANSFER:
            status = transfer_step(a);
            break;
        case WF_ACTOR_SPLIT:
            status = wf_split_step(a);
            break;
        default:
            status = wf_node_call(a);
            break;
        }
        if (a->plan->kind == WF_ACTOR_NODE) return status; /* has ended its packet */
    }
    wf_packet_done(a);
    return status;
}

nnd_status wf_actor_step(wf_actor *a)
{
    if (wf_outputs_all_closed(a) && !(a->plan->flags & NND_NODE_SINK)) {
        wf_actor_finish(a);
        return NND_OK;
    }
    switch (a->plan->kind) {
    case WF_ACTOR_INPUT:
        return wf_input_step(a);
    case WF_ACTOR_JOIN:
        return wf_join_step(a);
    case WF_ACTOR_LOOP:
        return wf_loop_step(a);
    default:
        break;
    }
    if ((a->plan->flags & NND_NODE_SOURCE) && !a->plan->mute && !a->plan->bypass)
        return source_step(a);
    return synchronous_step(a);
}

/* ---- life -------------------------------------------------------------------------------- */

static nnd_status init_context(wf_actor *a)
{
    nnd_ctx *ctx = &a->ctx;
    const wf_plan_actor *p = a->plan;
    ctx->run = a->run;
    ctx->actor = ctx->owner = a;
    ctx->params = p->params ? wf_params_ref(p->params) : NULL;
    ctx->cancel = nnd_cancel_ref(a->run->cancel);
    ctx->input_first = nnd_calloc((size_t)p->in_count + 1, sizeof(uint32_t));
    ctx->emitted = nnd_calloc((size_t)p->out_count + 1, sizeof(uint32_t));
    if (!ctx->input_first || !ctx->emitted)
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory for node '%s'", p->path);
    for (uint32_t i = 0; i < p->in_count; i++)
        ctx->input_first[i + 1] = ctx->input_first[i] + p->in[i].edge_count;
    ctx->inputs = nnd_calloc((size_t)ctx->input_first[p->in_count] + 1, sizeof(nnd_value *));
    if (!ctx->inputs)
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory for node '%s'", p->path);
    nnd_hash128 h;
    nnd_hash128_init(&h, 7);
    nnd_hash128_add_u64(&h, a->run->seed);
    nnd_hash128_add_str(&h, p->path);
    ctx->random = nnd_hash128_end(&h).lo;
    return NND_OK;
}

static nnd_status init_special(wf_actor *a)
{
    const wf_plan_actor *p = a->plan;
    if (p->kind == WF_ACTOR_JOIN)
        a->items = nnd_calloc((size_t)p->out_count + 1, sizeof(*a->items));
    bool holds = p->kind == WF_ACTOR_LOOP || (p->flags & WF_NODE_SEES_GAPS);
    if (holds) a->held = nnd_calloc((size_t)p->body_inputs + 1, sizeof(*a->held));
    if ((p->kind == WF_ACTOR_JOIN && !a->items) || (holds && !a->held))
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory for node '%s'", p->path);
    return NND_OK;
}

nnd_status wf_actor_init(wf_actor *a, nnd_run *run, uint32_t index)
{
    a->plan = &run->plan->actors.items[index];
    a->index = index;
    a->slot = WF_NONE;
    a->run = run;
    a->stats.min_ns = INT64_MAX;
    if (a->plan->dead) {
        a->finished = true;
        return NND_OK;
    }
    NND_TRY(init_context(a));
    NND_TRY(init_special(a));
    if (a->plan->deadline_ns) {
        nnd_cancel *child = NULL;
        NND_TRY(nnd_cancel_create(run->cancel, &child));
        nnd_cancel_unref(a->ctx.cancel);
        a->ctx.cancel = child;
    }
    if (a->plan->device != nnd_device_cpu())
        NND_TRY(wf_run_stream(run, a->plan->device, &a->ctx.stream));
    return NND_OK;
}

void wf_actor_fini(wf_actor *a)
{
    nnd_ctx *ctx = &a->ctx;
    if (!a->plan) return;
    if (ctx->inputs) wf_release_inputs(ctx);
    for (size_t i = 0; i < ctx->staged.count; i++)
        nnd_value_unref(ctx->staged.items[i].value);
    nnd_vec_free(&ctx->staged);
    nnd_error_destroy(ctx->emit_error);
    nnd_free(ctx->inputs);
    nnd_free(ctx->input_first);
    nnd_free(ctx->emitted);
    wf_params_unref(ctx->params);
    nnd_cancel_unref(ctx->cancel);
    for (uint32_t i = 0; a->items && i < a->plan->out_count; i++) {
        for (size_t k = 0; k < a->items[i].count; k++)
            nnd_value_unref(a->items[i].items[k]);
        nnd_vec_free(&a->items[i]);
    }
    for (uint32_t i = 0; a->held && i <= a->plan->body_inputs; i++)
        nnd_value_unref(a->held[i]);
    nnd_free(a->items);
    nnd_free(a->held);
    memset(a, 0, sizeof(*a));
}
