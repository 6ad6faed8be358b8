/* Calling a node's callbacks: open, process with its error policy, flush, set_param, close. */
#include <string.h>

#include "workflow/exec/exec.h"

static const nnd_node_type *type_of(const wf_actor *a)
{
    bool hollow = a->plan->bypass || a->plan->mute || a->plan->kind != WF_ACTOR_NODE;
    return hollow ? NULL : a->plan->type;
}

/* A callback may return anything; what is no status of ours is its defect. */
static nnd_status checked(nnd_status status, const char *callback)
{
    if (status <= NND_OK && status >= NND_E_INTERNAL) return status;
    return nnd_error_set(NND_E_INTERNAL, "%s returned %d, which is no status", callback,
                         (int)status);
}

/* ---- open and close ---------------------------------------------------------------------- */

nnd_status wf_node_open(wf_actor *a)
{
    const nnd_node_type *type = type_of(a);
    if (!type || a->plan->dead) return NND_OK;
    nnd_status status = NND_OK;
    nnd_error_clear();
    if (type->open) {
        a->ctx.active = true;
        status = checked(type->open(&a->ctx, &a->ctx.state), "open");
        a->ctx.active = false;
    }
    a->opened = status == NND_OK;
    if (!a->opened) a->ctx.state = NULL;
    return status;
}

void wf_node_close(wf_actor *a)
{
    if (!a->opened) return;
    a->opened = false;
    const nnd_node_type *type = type_of(a);
    if (type->close) {
        a->ctx.active = true;
        type->close(&a->ctx, a->ctx.state);
        a->ctx.active = false;
    }
    a->ctx.state = NULL;
}

nnd_status wf_node_set_params(wf_actor *a, nnd_params *params, const char *name)
{
    const nnd_node_type *type = type_of(a);
    wf_params_unref(a->ctx.params);
    a->ctx.params = params;
    if (!type || !type->set_param || !a->opened) return NND_OK;
    a->ctx.active = true;
    nnd_status status = checked(type->set_param(&a->ctx, name), "set_param");
    a->ctx.active = false;
    return status;
}

/* ---- one call ---------------------------------------------------------------------------- */

static void drop_staged(nnd_ctx *ctx)
{
    for (size_t i = 0; i < ctx->staged.count; i++)
        nnd_value_unref(ctx->staged.items[i].value);
    nnd_vec_clear(&ctx->staged);
}

/* Sends what waited for the call's success. */
static nnd_status commit_staged(nnd_ctx *ctx)
{
    nnd_status status = NND_OK;
    for (size_t i = 0; i < ctx->staged.count; i++) {
        wf_staged *s = &ctx->staged.items[i];
        int64_t key = nnd_value_header(s->value)->sequence;
        nnd_status sent = wf_send(ctx->owner, s->port, s->value, key, key);
        if (sent != NND_OK && sent != NND_E_CLOSED && status == NND_OK) status = sent;
    }
    nnd_vec_clear(&ctx->staged);
    return status;
}

static nnd_status wait_inputs(nnd_ctx *ctx)
{
    uint32_t count = ctx->input_first[ctx->owner->plan->in_count];
    for (uint32_t i = 0; i < count; i++)
        if (ctx->inputs[i]) NND_TRY(wf_wait_value(ctx->run, ctx->inputs[i], ctx->stream));
    return NND_OK;
}

/* Work queued on a stream may read the inputs after process has returned. */
static nnd_status retire_inputs(nnd_ctx *ctx)
{
    if (!ctx->stream) return NND_OK;
    uint32_t count = ctx->input_first[ctx->owner->plan->in_count];
    for (uint32_t i = 0; i < count; i++) {
        if (!ctx->inputs[i] || !nnd_value_buffer(ctx->inputs[i])) continue;
        NND_TRY(wf_retire(ctx->run, ctx->stream, nnd_value_ref(ctx->inputs[i])));
    }
    return NND_OK;
}

static void begin_emits(nnd_ctx *ctx)
{
    memset(ctx->emitted, 0, (ctx->owner->plan->out_count + 1) * sizeof(uint32_t));
    ctx->emit_status = NND_OK;
    nnd_error_destroy(ctx->emit_error);
    ctx->emit_error = NULL;
    nnd_error_clear();
}

/* A failed emit fails the call, also when the node did not look at the status. */
static nnd_status emit_result(nnd_ctx *ctx, nnd_status status)
{
    if (status == NND_E_CLOSED && wf_outputs_all_closed(ctx->owner)) status = NND_OK;
    if (status != NND_OK || ctx->emit_status == NND_OK) return status;
    if (ctx->emit_error) return nnd_error_restore(ctx->emit_error);
    return ctx->emit_status;
}

static void note_lateness(wf_actor *a, int64_t begin)
{
    int64_t spent = nnd_clock_now() - begin;
    if (spent <= a->plan->deadline_ns) return;
    a->stats.late++;
    wf_event(a->run, NND_EVENT_PROGRESS, a, NND_E_TIMEOUT, NULL, "deadline_ms was missed",
             (double)spent * 1e-6, (double)a->plan->deadline_ns * 1e-6);
}

static nnd_status call_process(wf_actor *a)
{
    nnd_ctx *ctx = &a->ctx;
    begin_emits(ctx);
    NND_TRY(wait_inputs(ctx));
    int64_t begin = a->plan->deadline_ns ? nnd_clock_now() : 0;
    if (begin) nnd_cancel_set_deadline(ctx->cancel, begin + a->plan->deadline_ns);
    wf_begin_call(a);
    ctx->active = true;
    nnd_status status = checked(a->plan->type->process(ctx), "process");
    ctx->active = false;
    wf_end_call(a);
    if (begin) {
        nnd_cancel_set_deadline(ctx->cancel, NND_NO_DEADLINE);
        note_lateness(a, begin);
    }
    status = emit_result(ctx, status);
    nnd_status retired = retire_inputs(ctx);
    if (status == NND_OK) status = retired;
    if (status == NND_OK) return commit_staged(ctx);
    drop_staged(ctx);
    return status;
}

/* ---- error policies ---------------------------------------------------------------------- */

/* The fallback node works on the packet of its principal. */
static nnd_status call_fallback(wf_actor *a)
{
    wf_actor *f = &a->run->actors[a->plan->fallback];
    if (!f->opened && type_of(f)) return nnd_error_set(NND_E_STATE, "the fallback is not open");
    nnd_ctx own = f->ctx;
    f->ctx.owner = a;
    f->ctx.inputs = a->ctx.inputs;
    f->ctx.input_first = a->ctx.input_first;
    f->ctx.emitted = a->ctx.emitted;
    f->ctx.header = a->ctx.header;
    f->ctx.key = a->ctx.key;
    f->ctx.last = a->ctx.last;
    f->ctx.counting = a->ctx.counting;
    f->ctx.staging = true;
    f->ctx.keep_inputs = false;
    nnd_status status = call_process(f);
    f->ctx.owner = own.owner;
    f->ctx.inputs = own.inputs;
    f->ctx.input_first = own.input_first;
    f->ctx.emitted = own.emitted;
    f->ctx.counting = false;
    if (status == NND_OK) return NND_OK;
    bool fatal = f->plan->on_error == WF_ON_ERROR_FAIL;
    wf_fail(f, status, fatal);
    return fatal ? status : NND_OK;
}

static nnd_status restart_node(wf_actor *a)
{
    wf_node_close(a);
    nnd_status status = wf_node_open(a);
    if (status != NND_OK) wf_fail(a, status, true);
    return status;
}

/* What the node's on_error makes of a failure that has happened. */
static nnd_status handle_failure(wf_actor *a, nnd_status status)
{
    /* A cancelled run is no fault of the node. */
    if (nnd_cancel_check(a->run->cancel) != NND_OK) {
        wf_fail(a, status, true);
        return status;
    }
    memset(a->ctx.emitted, 0, (a->plan->out_count + 1) * sizeof(uint32_t));
    switch (a->plan->on_error) {
    case WF_ON_ERROR_SKIP:
    case WF_ON_ERROR_ISOLATE:
        wf_fail(a, status, false);
        return NND_OK;
    case WF_ON_ERROR_RESTART:
        wf_fail(a, status, false);
        return restart_node(a);
    case WF_ON_ERROR_FALLBACK:
        wf_fail(a, status, false);
        return call_fallback(a);
    case WF_ON_ERROR_FAIL:
    case WF_ON_ERROR_RETRY:
        break; /* attempts are used up */
    }
    wf_fail(a, status, true);
    return status;
}

static nnd_status bypass_packet(wf_actor *a)
{
    for (uint32_t o = 0; o < a->plan->out_count; o++) {
        uint32_t i = wf_bypass_input(a->plan, o);
        nnd_value *value = i == WF_NONE ? NULL : a->ctx.inputs[a->ctx.input_first[i]];
        if (!value || !a->plan->out[o].edge_count) continue;
        a->ctx.emitted[o] = 1;
        nnd_status status = wf_send(a, o, nnd_value_ref(value), a->ctx.key, a->ctx.key);
        if (status == NND_OK || status == NND_E_CLOSED) continue;
        wf_fail(a, status, true);
        return status;
    }
    return NND_OK;
}

/* Sources and flush give numbers themselves: the packet covers all that came out. */
static void close_range(nnd_ctx *ctx)
{
    if (ctx->last < ctx->key) ctx->last = ctx->key;
    ctx->actor->next_key = ctx->last + 1;
}

nnd_status wf_node_call(wf_actor *a)
{
    nnd_ctx *ctx = &a->ctx;
    const wf_plan_actor *p = a->plan;
    nnd_status status = NND_OK;
    if (p->mute || p->bypass) {
        if (p->bypass && !p->mute) status = bypass_packet(a);
        wf_packet_done(a);
        return status;
    }
    bool source = (p->flags & NND_NODE_SOURCE) != 0;
    ctx->counting = source;
    ctx->staging = p->on_error != WF_ON_ERROR_FAIL;
    ctx->keep_inputs = p->on_error == WF_ON_ERROR_RETRY || p->on_error == WF_ON_ERROR_FALLBACK;
    uint32_t left = p->on_error == WF_ON_ERROR_RETRY ? p->retries : 0;
    status = call_process(a);
    while (status != NND_OK && left-- > 0 && nnd_cancel_check(a->run->cancel) == NND_OK) {
        a->stats.retried++;
        status = call_process(a);
    }
    a->stats.packets++;
    if (status != NND_OK) status = handle_failure(a, status);
    bool nothing = true;
    for (uint32_t o = 0; o < p->out_count; o++)
        nothing &= ctx->emitted[o] == 0;
    if (source && nothing) {
        wf_wake(a->run, a); /* no number was used */
    } else {
        if (source) close_range(ctx);
        wf_packet_done(a);
    }
    ctx->counting = false;
    if (!source && ctx->end_asked && status == NND_OK) wf_actor_finish(a);
    return status;
}

nnd_status wf_node_flush(wf_actor *a)
{
    const nnd_node_type *type = type_of(a);
    if (!type || !type->flush || !a->opened) return NND_OK;
    nnd_ctx *ctx = &a->ctx;
    for (uint32_t o = 0; o < a->plan->out_count; o++)
        for (uint32_t k = 0; k < a->plan->out[o].edge_count; k++)
            if (ctx->key < wf_out_edge(a, o, k)->bound) ctx->key = wf_out_edge(a, o, k)->bound;
    ctx->counting = true;
    ctx->staging = false;
    ctx->header.sequence = ctx->key;
    begin_emits(ctx);
    wf_begin_call(a);
    ctx->active = true;
    nnd_status status = checked(type->flush(ctx), "flush");
    ctx->active = false;
    wf_end_call(a);
    ctx->counting = false;
    status = emit_result(ctx, status);
    if (status == NND_OK) return NND_OK;
    bool fatal = wf_is_fatal(a);
    wf_fail(a, status, fatal);
    return fatal ? status : NND_OK;
}
