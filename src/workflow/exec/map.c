/* flow.map: SPLIT takes lists apart, JOIN puts the body's answers together again. */
#include <string.h>

#include "workflow/exec/exec.h"

/* ---- SPLIT ------------------------------------------------------------------------------- */

/* Number of elements of the packet; all lists must agree. */
static nnd_status element_count(wf_actor *a, size_t *count)
{
    bool first = true;
    for (uint32_t p = 0; p < a->plan->in_count; p++) {
        if (!a->plan->over[p]) continue;
        const nnd_value *list = a->ctx.inputs[a->ctx.input_first[p]];
        if (!nnd_value_is(list, "list")) {
            nnd_error_set(NND_E_TYPE, "flow.map wants a list, got %s", nnd_value_type_name(list));
            nnd_error_set_node(NULL, a->plan->in[p].name);
            return NND_E_TYPE;
        }
        size_t n = nnd_value_list_count(list);
        if (!first && n != *count) {
            nnd_error_set(NND_E_SHAPE, "the lists of flow.map have %zu and %zu elements", *count,
                          n);
            nnd_error_set_node(NULL, a->plan->in[p].name);
            return NND_E_SHAPE;
        }
        *count = n;
        first = false;
    }
    return NND_OK;
}

static nnd_status send_element(wf_actor *a, uint32_t port, nnd_value *value, size_t index)
{
    if (a->plan->out[port].edge_count == 0) return NND_OK;
    int64_t key = a->next_key;
    nnd_value *element = NULL;
    if (value && !(nnd_value_header(value)->flags & NND_VALUE_GAP)) {
        nnd_header h = a->ctx.header;
        h.group_parent = a->ctx.key;
        h.group_index = (int32_t)index;
        h.sequence = key;
        NND_TRY(nnd_value_with_header(value, &h, &element));
    }
    nnd_status status = wf_send(a, port, element, key, key);
    if (status == NND_E_CLOSED) status = NND_OK;
    for (uint32_t k = 0; k < a->plan->out[port].edge_count; k++)
        wf_out_edge(a, port, k)->bound = key + 1;
    return status;
}

static nnd_status split(wf_actor *a)
{
    size_t count = 0;
    NND_TRY(element_count(a, &count));
    uint32_t count_port = a->plan->out_count - 1;
    nnd_value *number = NULL;
    NND_TRY(nnd_value_new_int((int64_t)count, &number));
    nnd_status status = nnd_value_set_header(number, &a->ctx.header);
    if (status != NND_OK) {
        nnd_value_unref(number);
        return status;
    }
    a->ctx.emitted[count_port] = 1;
    status = wf_send(a, count_port, number, a->ctx.key, a->ctx.key);
    if (status != NND_OK && status != NND_E_CLOSED) return status;
    for (size_t i = 0; i < count; i++) {
        for (uint32_t p = 0; p < a->plan->in_count; p++) {
            nnd_value *value =
                a->plan->in[p].edge_count ? a->ctx.inputs[a->ctx.input_first[p]] : NULL;
            if (a->plan->over[p]) value = nnd_value_list_at(value, i);
            NND_TRY(send_element(a, p, value, i));
        }
        a->next_key++;
    }
    a->stats.packets++;
    return NND_OK;
}

nnd_status wf_split_step(wf_actor *a)
{
    nnd_status status = split(a);
    if (status == NND_OK) return NND_OK;
    bool fatal = wf_is_fatal(a);
    wf_fail(a, status, fatal);
    return fatal ? status : NND_OK; /* nothing was sent: the count becomes a GAP */
}

/* ---- JOIN -------------------------------------------------------------------------------- */

static uint32_t count_port(const wf_actor *a)
{
    return a->plan->in_count - 1;
}

/* Every edge has said all it has for the list under way. */
static bool list_complete(const wf_actor *a)
{
    for (uint32_t p = 0; p < count_port(a); p++) {
        for (uint32_t k = 0; k < a->plan->in[p].edge_count; k++) {
            const wf_edge_state *e = wf_in_edge(a, p, k);
            const wf_packet *head = wf_edge_head(e);
            if (e->plan->sticky) {
                if (!e->has_current && a->join.end > a->join.begin) return false;
            } else if (head ? head->key < a->join.end : !e->ended && e->bound < a->join.end) {
                return false;
            }
        }
    }
    return true;
}

bool wf_join_ready(wf_actor *a, int64_t *key)
{
    const wf_edge_state *count = wf_in_edge(a, count_port(a), 0);
    const wf_packet *head = wf_edge_head(count);
    *key = a->join.active ? a->ctx.key : (head ? head->key : 0);
    if (!a->join.active) return (head && wf_outputs_have_room(a)) || (!head && count->ended);
    if (list_complete(a)) return true;
    for (uint32_t p = 0; p < count_port(a); p++) {
        for (uint32_t k = 0; k < a->plan->in[p].edge_count; k++) {
            const wf_packet *element = wf_edge_head(wf_in_edge(a, p, k));
            if (element && element->key < a->join.end) return true;
        }
    }
    return false;
}

static void begin_list(wf_actor *a)
{
    wf_packet packet = wf_edge_pop(wf_in_edge(a, count_port(a), 0));
    a->ctx.key = packet.key;
    a->ctx.last = packet.last;
    if (!packet.value) { /* no list: a GAP goes through */
        wf_packet_done(a);
        return;
    }
    int64_t count = 0;
    (void)nnd_value_as_int(packet.value, &count);
    a->ctx.header = *nnd_value_header(packet.value);
    nnd_value_unref(packet.value);
    a->join.active = true;
    a->join.begin = a->join.end;
    a->join.end += count;
}

/* Takes the elements that are there; GAPs are left out of the list. */
static nnd_status collect(wf_actor *a)
{
    for (uint32_t p = 0; p < count_port(a); p++) {
        for (uint32_t k = 0; k < a->plan->in[p].edge_count; k++) {
            wf_edge_state *e = wf_in_edge(a, p, k);
            while (e->count && wf_edge_head(e)->key < a->join.end) {
                if (!wf_edge_head(e)->value) {
                    wf_edge_skip_gaps(e, a->join.end - 1);
                    continue;
                }
                nnd_value *value = wf_edge_pop(e).value;
                if (nnd_vec_push(&a->items[p], value)) continue;
                nnd_value_unref(value);
                return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory for a list");
            }
        }
    }
    return NND_OK;
}

/* A body output that does not depend on the elements stands for each of them. */
static nnd_status repeat_constant(wf_actor *a, uint32_t port)
{
    for (uint32_t k = 0; k < a->plan->in[port].edge_count; k++) {
        wf_edge_state *e = wf_in_edge(a, port, k);
        if (!e->plan->sticky || !e->current) continue;
        for (int64_t i = a->join.begin; i < a->join.end; i++) {
            if (!nnd_vec_push(&a->items[port], e->current))
                return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory for a list");
            nnd_value_ref(e->current);
        }
    }
    return NND_OK;
}

static nnd_status send_list(wf_actor *a, uint32_t port)
{
    wf_values *items = &a->items[port];
    NND_TRY(repeat_constant(a, port));
    nnd_value *list = NULL;
    NND_TRY(nnd_value_new_list(items->items, items->count, &list));
    for (size_t i = 0; i < items->count; i++)
        nnd_value_unref(items->items[i]);
    nnd_vec_clear(items);
    nnd_status status = nnd_value_set_header(list, &a->ctx.header);
    if (status != NND_OK) {
        nnd_value_unref(list);
        return status;
    }
    a->ctx.emitted[port] = 1;
    status = wf_send(a, port, list, a->ctx.key, a->ctx.key);
    return status == NND_E_CLOSED ? NND_OK : status;
}

nnd_status wf_join_step(wf_actor *a)
{
    nnd_status status = NND_OK;
    if (!a->join.active) {
        if (!wf_edge_head(wf_in_edge(a, count_port(a), 0))) {
            wf_actor_finish(a);
            return NND_OK;
        }
        begin_list(a);
        if (!a->join.active) return NND_OK;
    }
    status = collect(a);
    if (status == NND_OK && list_complete(a)) {
        for (uint32_t p = 0; p < a->plan->out_count && status == NND_OK; p++)
            status = send_list(a, p);
        a->join.active = false;
        a->stats.packets++;
        wf_packet_done(a);
    }
    wf_wake(a->run, a);
    if (status != NND_OK) wf_fail(a, status, true);
    return status;
}
