/*
 * flow.loop. One outer packet turns at a time: turn 0 gets the outer inputs, each later turn the
 * carried outputs of the turn before it; the outputs of the last turn leave.
 */
#include "workflow/exec/exec.h"

static wf_edge_state *feedback_edge(const wf_actor *a, uint32_t output)
{
    return wf_in_edge(a, a->plan->body_inputs + output, 0);
}

/* Every output of the body has answered this turn. */
static bool turn_complete(const wf_actor *a)
{
    for (uint32_t o = 0; o < a->plan->body_outputs; o++) {
        const wf_edge_state *e = feedback_edge(a, o);
        if (e->plan->sticky ? !e->has_current : (!e->ended && e->bound <= a->loop.body_key))
            return false;
    }
    return true;
}

bool wf_loop_ready(wf_actor *a, int64_t *key)
{
    if (a->loop.active) {
        *key = a->ctx.key;
        return turn_complete(a) && wf_outputs_have_room(a);
    }
    return wf_outputs_have_room(a) && wf_actor_sync(a, key) != WF_SYNC_WAIT;
}

static nnd_status send_turn(wf_actor *a)
{
    int64_t key = a->next_key++;
    a->loop.body_key = key;
    for (uint32_t i = 0; i < a->plan->body_inputs; i++) {
        if (a->plan->out[i].edge_count == 0) continue;
        nnd_value *value = NULL;
        if (a->held[i]) {
            nnd_header h = a->ctx.header;
            h.group_parent = a->ctx.key;
            h.group_index = (int32_t)a->loop.turn;
            h.sequence = key;
            NND_TRY(nnd_value_with_header(a->held[i], &h, &value));
        }
        nnd_status status = wf_send(a, i, value, key, key);
        if (status != NND_OK && status != NND_E_CLOSED) return status;
        for (uint32_t k = 0; k < a->plan->out[i].edge_count; k++)
            wf_out_edge(a, i, k)->bound = key + 1;
    }
    return NND_OK;
}

static void hold(wf_actor *a, uint32_t input, nnd_value *take_value)
{
    nnd_value_unref(a->held[input]);
    a->held[input] = take_value;
}

/* How often to turn: the number in the file or the one on the count port; −1 = until. */
static nnd_status count_turns(wf_actor *a)
{
    const wf_plan_actor *p = a->plan;
    a->loop.turns = p->count;
    if (p->count_port == WF_NONE || p->in[p->count_port].edge_count == 0) return NND_OK;
    const nnd_value *value = a->ctx.inputs[a->ctx.input_first[p->count_port]];
    int64_t count = 0;
    if (!nnd_value_as_int(value, &count) || count < 0 || count > p->max_turns) {
        nnd_error_set(NND_E_LIMIT, "the number of turns must be 0 to %lld (max_turns)",
                      (long long)p->max_turns);
        nnd_error_set_node(NULL, "count");
        return NND_E_LIMIT;
    }
    a->loop.turns = count;
    return NND_OK;
}

static void end_packet(wf_actor *a)
{
    for (uint32_t i = 0; i < a->plan->body_inputs; i++)
        hold(a, i, NULL);
    a->loop.active = false;
    wf_packet_done(a);
}

static nnd_status fail_packet(wf_actor *a, nnd_status status)
{
    bool fatal = wf_is_fatal(a);
    wf_fail(a, status, fatal);
    end_packet(a);
    return fatal ? status : NND_OK;
}

static nnd_status begin_packet(wf_actor *a, int64_t key)
{
    nnd_status status = NND_OK;
    nnd_error_clear();
    bool call = wf_actor_gather(a, key, &status);
    a->fired = true;
    a->dirty = false;
    if (status == NND_OK && call) status = count_turns(a);
    if (status != NND_OK) return fail_packet(a, status);
    if (!call || a->loop.turns == 0) {
        wf_packet_done(a);
        return NND_OK;
    }
    for (uint32_t i = 0; i < a->plan->body_inputs; i++) {
        bool fed = a->plan->in[i].edge_count > 0;
        hold(a, i, fed ? nnd_value_ref(a->ctx.inputs[a->ctx.input_first[i]]) : NULL);
    }
    wf_release_inputs(&a->ctx);
    a->loop.active = true;
    a->loop.turn = 0;
    status = send_turn(a);
    return status == NND_OK ? NND_OK : fail_packet(a, status);
}

/* The last value that a body output gave for this turn; the caller owns it, NULL = GAP. */
static nnd_value *take_answer(wf_actor *a, uint32_t output)
{
    wf_edge_state *e = feedback_edge(a, output);
    if (e->plan->sticky) return nnd_value_ref(e->current);
    nnd_value *last = NULL;
    while (e->count && wf_edge_head(e)->key <= a->loop.body_key) {
        if (!wf_edge_head(e)->value) {
            wf_edge_skip_gaps(e, a->loop.body_key);
            continue;
        }
        nnd_value_unref(last);
        last = wf_edge_pop(e).value;
    }
    return last;
}

static nnd_status send_results(wf_actor *a, nnd_value **answers)
{
    for (uint32_t o = 0; o < a->plan->body_outputs; o++) {
        uint32_t port = a->plan->body_inputs + o;
        if (!answers[o] || a->plan->out[port].edge_count == 0) continue;
        nnd_header h = a->ctx.header;
        nnd_value *value = NULL;
        NND_TRY(nnd_value_with_header(answers[o], &h, &value));
        a->ctx.emitted[port] = 1;
        nnd_status status = wf_send(a, port, value, a->ctx.key, a->ctx.key);
        if (status != NND_OK && status != NND_E_CLOSED) return status;
    }
    return NND_OK;
}

static nnd_status next_turn(wf_actor *a, nnd_value **answers)
{
    const wf_plan_actor *p = a->plan;
    bool done = false;
    if (p->until != WF_NONE && answers[p->until]) (void)nnd_value_as_bool(answers[p->until], &done);
    a->loop.turn++;
    if (a->loop.turns >= 0 && a->loop.turn >= a->loop.turns) done = true;
    if (done) {
        nnd_status status = send_results(a, answers);
        if (status != NND_OK) return fail_packet(a, status);
        a->stats.packets++;
        end_packet(a);
        return NND_OK;
    }
    if (a->loop.turn >= p->max_turns)
        return fail_packet(a, nnd_error_set(NND_E_LIMIT,
                                            "still not done after %lld turns "
                                            "(max_turns)",
                                            (long long)p->max_turns));
    for (uint32_t i = 0; i < p->body_inputs; i++)
        if (p->carry[i] != WF_NONE) hold(a, i, nnd_value_ref(answers[p->carry[i]]));
    nnd_status status = send_turn(a);
    return status == NND_OK ? NND_OK : fail_packet(a, status);
}

nnd_status wf_loop_step(wf_actor *a)
{
    if (!a->loop.active) {
        int64_t key = 0;
        wf_sync sync = wf_actor_sync(a, &key);
        if (sync == WF_SYNC_WAIT) return NND_OK;
        if (sync == WF_SYNC_READY) return begin_packet(a, key);
        wf_actor_finish(a);
        return NND_OK;
    }
    uint32_t count = a->plan->body_outputs;
    nnd_value **answers = nnd_calloc((size_t)count + 1, sizeof(*answers));
    if (!answers) return fail_packet(a, nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory"));
    for (uint32_t o = 0; o < count; o++)
        answers[o] = take_answer(a, o);
    nnd_status status = next_turn(a, answers);
    for (uint32_t o = 0; o < count; o++)
        nnd_value_unref(answers[o]);
    nnd_free(answers);
    wf_wake(a->run, a);
    return status;
}
