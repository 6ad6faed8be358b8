/*
 * flow.delay. On edges out of a cycle it answers packet n with value n−1 when packet n has come. On
 * edges inside its cycle it runs ahead: what comes after packet n leaves with packet n, because the
 * cycle cannot make packet n+1 without it.
 */
#include "workflow/exec/exec.h"

static nnd_status send_where(wf_actor *a, bool hold, nnd_value *value, int64_t key)
{
    const wf_plan_port *p = &a->plan->out[0];
    nnd_value *stamped = NULL;
    if (value) {
        nnd_header h = a->ctx.header;
        h.sequence = key;
        NND_TRY(nnd_value_with_header(value, &h, &stamped));
    }
    nnd_status status = NND_OK;
    for (uint32_t k = 0; k < p->edge_count && status == NND_OK; k++) {
        wf_edge_state *e = wf_out_edge(a, 0, k);
        if (e->plan->hold != hold) continue;
        wf_packet packet = {nnd_value_ref(stamped), key, key, 0, 0};
        status = wf_edge_push(e, packet);
        if (status == NND_E_CLOSED) status = NND_OK;
    }
    nnd_value_unref(stamped);
    return status;
}

/* prepare has made the initial value (NULL: a GAP). */
nnd_status wf_delay_open(wf_actor *a)
{
    a->held[0] = nnd_value_ref(a->plan->prepared);
    a->ctx.header = (nnd_header){.pts = NND_NO_TIME, .wall = NND_NO_TIME, .group_parent = -1};
    return send_where(a, true, a->held[0], 0);
}

nnd_status wf_delay_step(wf_actor *a)
{
    nnd_value *in = a->ctx.inputs[0];
    a->ctx.inputs[0] = NULL;
    nnd_status status = send_where(a, false, a->held[0], a->ctx.key);
    nnd_value_unref(a->held[0]);
    a->held[0] = in;
    if (status == NND_OK) status = send_where(a, true, in, a->ctx.last + 1);
    a->ctx.emitted[0] = 1; /* both kinds of edges have got theirs */
    a->stats.packets++;
    return status;
}
