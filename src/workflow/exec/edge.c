/* Edges: bounded queues of packets with a policy for when they are full. */
#include <string.h>

#include "workflow/exec/exec.h"

static wf_packet *packet_at(const wf_edge_state *e, uint32_t i)
{
    return &e->ring[(e->head + i) & (e->room - 1)];
}

const wf_packet *wf_edge_head(const wf_edge_state *e)
{
    return e->count ? packet_at(e, 0) : NULL;
}

static bool drops(const wf_edge_state *e)
{
    return e->plan->policy == WF_POLICY_DROP_OLDEST || e->plan->policy == WF_POLICY_DROP_NEWEST ||
           e->plan->policy == WF_POLICY_LATEST;
}

/* A packet larger than the byte limit passes when it is alone, so nothing waits for ever. */
static bool is_full(const wf_edge_state *e, uint64_t more)
{
    if (drops(e)) {
        if (e->values >= e->plan->capacity) return true;
    } else if (e->count >= e->plan->capacity) {
        return true;
    }
    return e->plan->max_bytes && e->values &&
           (e->bytes >= e->plan->max_bytes || more > e->plan->max_bytes - e->bytes);
}

bool wf_edge_has_room(const wf_edge_state *e)
{
    if (e->closed || e->plan->sticky || drops(e) || e->plan->policy == WF_POLICY_FAULT) return true;
    return !is_full(e, 1);
}

static uint64_t value_bytes(const nnd_value *value)
{
    uint64_t bytes = 0;
    const nnd_buffer *buffer = nnd_value_buffer(value);
    if (buffer) bytes = nnd_buffer_size(buffer);
    for (size_t i = 0; nnd_value_is(value, "list") && i < nnd_value_list_count(value); i++)
        bytes += value_bytes(nnd_value_list_at(value, i));
    return bytes ? bytes : 1;
}

static nnd_status grow(wf_edge_state *e)
{
    if (e->count < e->room) return NND_OK;
    if (e->room > UINT32_MAX / 2)
        return nnd_error_set(NND_E_LIMIT, "an edge holds too many packets");
    uint32_t room = e->room ? e->room * 2 : 4;
    wf_packet *ring = nnd_alloc((size_t)room * sizeof(*ring));
    if (!ring) return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory for packets");
    for (uint32_t i = 0; i < e->count; i++)
        ring[i] = *packet_at(e, i);
    nnd_free(e->ring);
    e->ring = ring;
    e->head = 0;
    e->room = room;
    return NND_OK;
}

/* The oldest value becomes a GAP, melted with the one before it, so that GAPs take no room. */
static void drop_oldest(wf_edge_state *e, uint64_t *counter)
{
    uint32_t i = 0;
    while (i < e->count && !packet_at(e, i)->value)
        i++;
    if (i == e->count) return;
    wf_packet *p = packet_at(e, i);
    nnd_value_unref(p->value);
    e->bytes -= p->bytes;
    e->values--;
    (*counter)++;
    *p = (wf_packet){NULL, p->key, p->last, 0, 0};
    /* All before it are GAPs too: one range replaces them. */
    p->key = packet_at(e, 0)->key;
    e->head = (e->head + i) & (e->room - 1);
    e->count -= i;
}

static nnd_status push_sticky(wf_edge_state *e, wf_packet packet)
{
    nnd_value_unref(e->current);
    e->current = packet.value;
    e->has_current = true;
    if (packet.value)
        e->passed++;
    else
        e->gaps++;
    if (e->to->plan->constant) e->to->dirty = true;
    wf_wake(e->to->run, e->to);
    return NND_OK;
}

/* Applies the policy to a value that finds the edge full; packet.value NULL afterwards means that
   it was dropped. */
static nnd_status make_room(wf_edge_state *e, wf_packet *packet)
{
    switch (e->plan->policy) {
    case WF_POLICY_DROP_OLDEST:
    case WF_POLICY_LATEST:
        while (e->values && is_full(e, packet->bytes))
            drop_oldest(e, &e->dropped);
        return NND_OK;
    case WF_POLICY_DROP_NEWEST:
        nnd_value_unref(packet->value);
        packet->value = NULL;
        packet->bytes = 0;
        e->dropped++;
        return NND_OK;
    case WF_POLICY_FAULT:
        nnd_value_unref(packet->value);
        return nnd_error_set(NND_E_FULL,
                             "the edge to '%s' is full (%u packets) and its policy is \"fault\"",
                             e->to->plan->path, e->plan->capacity);
    case WF_POLICY_BLOCK:
        break; /* the producer waits after this call */
    }
    return NND_OK;
}

nnd_status wf_edge_push(wf_edge_state *e, wf_packet packet)
{
    if (e->closed) {
        nnd_value_unref(packet.value);
        return NND_E_CLOSED;
    }
    if (e->plan->sticky) return push_sticky(e, packet);
    if (e->plan->max_age) packet.born = nnd_clock_now();
    if (packet.value && e->plan->max_bytes) packet.bytes = value_bytes(packet.value);
    if (packet.value && is_full(e, packet.bytes)) NND_TRY(make_room(e, &packet));
    wf_packet *tail = e->count ? packet_at(e, e->count - 1) : NULL;
    if (!packet.value && tail && !tail->value && drops(e)) {
        tail->last = packet.last;
    } else {
        nnd_status status = grow(e);
        if (status != NND_OK) {
            nnd_value_unref(packet.value);
            return status;
        }
        e->count++;
        *packet_at(e, e->count - 1) = packet;
    }
    if (packet.value) {
        e->values++;
        e->bytes += packet.bytes;
        e->passed++;
    } else {
        e->gaps++;
    }
    if (e->peak < e->values) e->peak = e->values;
    if (e->bound < packet.key) e->bound = packet.key;
    wf_wake(e->to->run, e->to);
    return NND_OK;
}

wf_packet wf_edge_pop(wf_edge_state *e)
{
    wf_packet packet = *packet_at(e, 0);
    e->head = (e->head + 1) & (e->room - 1);
    e->count--;
    e->bytes -= packet.bytes;
    if (packet.value) e->values--;
    wf_wake(e->from->run, e->from);
    return packet;
}

void wf_edge_skip_gaps(wf_edge_state *e, int64_t last)
{
    while (e->count && !packet_at(e, 0)->value && packet_at(e, 0)->key <= last) {
        if (packet_at(e, 0)->last > last) {
            packet_at(e, 0)->key = last + 1;
            return;
        }
        (void)wf_edge_pop(e);
    }
}

void wf_edge_expire(wf_edge_state *e)
{
    if (!e->plan->max_age || !e->values) return;
    int64_t now = nnd_clock_now();
    for (;;) {
        uint32_t i = 0;
        while (i < e->count && !packet_at(e, i)->value)
            i++;
        if (i == e->count || now - packet_at(e, i)->born <= e->plan->max_age) return;
        drop_oldest(e, &e->dropped_by_age);
        wf_wake(e->from->run, e->from);
    }
}

void wf_edge_end(wf_edge_state *e)
{
    if (e->ended) return;
    e->ended = true;
    wf_wake(e->to->run, e->to);
}

void wf_edge_close(wf_edge_state *e)
{
    if (e->closed) return;
    e->closed = true;
    while (e->count)
        nnd_value_unref(wf_edge_pop(e).value);
    wf_wake(e->from->run, e->from);
}

void wf_edge_state_fini(wf_edge_state *e)
{
    for (uint32_t i = 0; i < e->count; i++)
        nnd_value_unref(packet_at(e, i)->value);
    nnd_value_unref(e->current);
    nnd_free(e->ring);
    memset(e, 0, sizeof(*e));
}
