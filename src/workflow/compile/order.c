/*
 * Fourth pass: which ports must be fed, which actors matter, cycles, constants, and the order of
 * work.
 *
 * Credits. Every packet that goes into an actor comes out of each of its ports as at least one
 * packet or GAP before the actor takes the next one, so two paths between the same two actors never
 * differ in what they hold back: the skew of reconverging paths is zero, and the one packet that
 * flow.delay runs ahead with sits on an edge that has room for it. A capacity of one is therefore
 * enough everywhere, and every capacity is at least one.
 */
#include <string.h>

#include "base/str.h"
#include "workflow/compile/compile.h"

static bool is_delay(const wf_plan_actor *a)
{
    return a->kind == WF_ACTOR_NODE && a->type && strcmp(a->type->type, "flow.delay") == 0;
}

/* ---- required inputs and fallbacks ------------------------------------------------------- */

static nnd_status check_inputs(wf_compiler *c)
{
    for (size_t i = 0; i < c->plan->actors.count; i++) {
        const wf_plan_actor *a = &c->plan->actors.items[i];
        if (a->standby || a->bypass || a->mute) continue;
        for (uint32_t k = 0; k < a->in_count; k++) {
            const wf_plan_port *p = &a->in[k];
            if (p->edge_count == 0 && !(p->flags & NND_PORT_OPTIONAL))
                NND_TRY(wf_report_actor(c, a, NND_SEVERITY_ERROR, NND_E_VALIDATION,
                                        "unconnected-input", p->name, NULL,
                                        "nothing is connected to the required input '%s' (%s)",
                                        p->name, p->type ? p->type : p->expr));
            if (p->edge_count > 1 && !(p->flags & NND_PORT_VARIADIC))
                NND_TRY(wf_report_actor(c, a, NND_SEVERITY_ERROR, NND_E_EXISTS, "two-edges",
                                        p->name, NULL, "input '%s' has %u edges, it takes one",
                                        p->name, p->edge_count));
        }
    }
    return NND_OK;
}

static nnd_status types_fit(const char *wanted, const char *given, bool *fit)
{
    wf_bindings none = {NULL, 0, 0};
    wf_match match = WF_MATCH_NO;
    nnd_status status = wf_type_match(wanted, given, &none, &match);
    wf_bindings_fini(&none);
    *fit = match != WF_MATCH_NO;
    return status;
}

static nnd_status check_fallbacks(wf_compiler *c)
{
    for (size_t i = 0; i < c->plan->actors.count; i++) {
        const wf_plan_actor *a = &c->plan->actors.items[i];
        if (a->fallback == WF_NONE) continue;
        const wf_plan_actor *f = &c->plan->actors.items[a->fallback];
        bool fit = a->in_count == f->in_count && a->out_count == f->out_count;
        for (uint32_t k = 0; fit && k < a->in_count; k++)
            NND_TRY(types_fit(f->in[k].expr, a->in[k].type, &fit));
        for (uint32_t k = 0; fit && k < a->out_count; k++)
            NND_TRY(types_fit(a->out[k].type, f->out[k].type, &fit));
        bool wired = false;
        for (uint32_t k = 0; k < f->in_count; k++)
            wired |= f->in[k].edge_count > 0;
        for (uint32_t k = 0; k < f->out_count; k++)
            wired |= f->out[k].edge_count > 0;
        if (!fit || wired)
            NND_TRY(wf_report_actor(c, a, NND_SEVERITY_ERROR, NND_E_TYPE, "bad-fallback", NULL,
                                    NULL,
                                    wired ? "fallback '%s' must not have edges of its own"
                                          : "fallback '%s' has other ports than this node",
                                    f->path));
        if (f->fallback != WF_NONE)
            NND_TRY(wf_report_actor(c, f, NND_SEVERITY_ERROR, NND_E_UNSUPPORTED, "bad-fallback",
                                    NULL, NULL, "a fallback cannot have a fallback"));
    }
    return NND_OK;
}

/* ---- reach ------------------------------------------------------------------------------- */

/* Marks what can be reached from the marked actors, along or against the edges. */
static nnd_status spread(const nnd_plan *plan, bool *mark, bool backward, bool with_feedback)
{
    NND_VEC(uint32_t) stack = {0};
    for (uint32_t i = 0; i < plan->actors.count; i++)
        if (mark[i] && !nnd_vec_push(&stack, i)) goto no_memory;
    while (stack.count) {
        const wf_plan_actor *a = &plan->actors.items[nnd_vec_pop(&stack)];
        uint32_t ports = backward ? a->in_count : a->out_count;
        for (uint32_t p = 0; p <= ports; p++) {
            if (p == ports && !backward) break;
            const wf_plan_port *port = p == ports ? NULL : (backward ? &a->in[p] : &a->out[p]);
            const uint32_t *list = port ? port->edges : a->param_edges;
            uint32_t count = port ? port->edge_count : a->param_edge_count;
            for (uint32_t k = 0; k < count; k++) {
                const wf_plan_edge *e = &plan->edges.items[list[k]];
                uint32_t next = backward ? e->from : e->to;
                if (mark[next] || (e->feedback && !with_feedback)) continue;
                mark[next] = true;
                if (!nnd_vec_push(&stack, next)) goto no_memory;
            }
        }
    }
    nnd_vec_free(&stack);
    return NND_OK;
no_memory:
    nnd_vec_free(&stack);
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory");
}

/* Actors from which no output and no sink can be reached do no work that anybody sees. */
static nnd_status prune(wf_compiler *c)
{
    nnd_plan *plan = c->plan;
    nnd_status status = NND_OK;
    bool *live = wf_arena_or_error(&c->arena, plan->actors.count, sizeof(bool), &status);
    NND_TRY(status);
    for (size_t i = 0; i < plan->actors.count; i++) {
        const wf_plan_actor *a = &plan->actors.items[i];
        live[i] = a->kind == WF_ACTOR_OUTPUT || (!a->standby && (a->flags & NND_NODE_SINK));
    }
    NND_TRY(spread(plan, live, true, true));
    for (size_t i = 0; i < plan->actors.count; i++) {
        const wf_plan_actor *a = &plan->actors.items[i];
        if (a->kind == WF_ACTOR_INPUT) live[i] = true;
        if (live[i] && a->fallback != WF_NONE) live[a->fallback] = true;
    }
    for (size_t i = 0; i < plan->actors.count; i++) {
        wf_plan_actor *a = &plan->actors.items[i];
        a->dead = !live[i];
        if (live[i] || strchr(a->path, '/') || a->kind == WF_ACTOR_JOIN) continue;
        NND_TRY(wf_report_actor(c, a, NND_SEVERITY_WARNING, NND_OK, "unused-node", NULL, NULL,
                                "no output of it is used: it will not run"));
    }
    for (size_t i = 0; i < plan->edges.count; i++) {
        wf_plan_edge *e = &plan->edges.items[i];
        e->dead = !live[e->from] || !live[e->to];
    }
    return wf_link_edges(plan);
}

/* ---- cycles ------------------------------------------------------------------------------ */

/* An edge that a topological order may ignore. */
static bool is_back_edge(const nnd_plan *plan, const wf_plan_edge *e)
{
    return e->dead || e->feedback || (e->hold && is_delay(&plan->actors.items[e->from]));
}

/* Kahn's algorithm over all edges but those that may go backward; with delays_cut also without
   what leaves a flow.delay. removed actors do not count. Returns how many were ordered. */
static nnd_status topological(wf_compiler *c, bool delays_cut, const bool *removed, uint32_t *order,
                              uint32_t *count, uint32_t *degree)
{
    const nnd_plan *plan = c->plan;
    uint32_t n = (uint32_t)plan->actors.count, head = 0, tail = 0;
    memset(degree, 0, n * sizeof(*degree));
    for (size_t i = 0; i < plan->edges.count; i++) {
        const wf_plan_edge *e = &plan->edges.items[i];
        bool cut = delays_cut && is_delay(&plan->actors.items[e->from]);
        if (!is_back_edge(plan, e) && !cut && !removed[e->from]) degree[e->to]++;
    }
    for (uint32_t i = 0; i < n; i++)
        if (degree[i] == 0 && !removed[i]) order[tail++] = i;
    while (head < tail) {
        uint32_t i = order[head++];
        const wf_plan_actor *a = &plan->actors.items[i];
        if (delays_cut && is_delay(a)) continue;
        for (uint32_t p = 0; p < a->out_count; p++) {
            for (uint32_t k = 0; k < a->out[p].edge_count; k++) {
                const wf_plan_edge *e = &plan->edges.items[a->out[p].edges[k]];
                if (is_back_edge(plan, e) || removed[e->to]) continue;
                if (--degree[e->to] == 0) order[tail++] = e->to;
            }
        }
    }
    *count = tail;
    return NND_OK;
}

/* Predecessor of `i` among the actors that could not be ordered. */
static uint32_t stuck_predecessor(const nnd_plan *plan, uint32_t i, const uint32_t *degree,
                                  const bool *removed)
{
    for (size_t k = 0; k < plan->edges.count; k++) {
        const wf_plan_edge *e = &plan->edges.items[k];
        if (e->to == i && !is_back_edge(plan, e) && degree[e->from] > 0 && !removed[e->from] &&
            !is_delay(&plan->actors.items[e->from]))
            return e->from;
    }
    return WF_NONE;
}

/* Names the nodes of one cycle among the stuck actors and removes them. */
static nnd_status report_cycle(wf_compiler *c, const uint32_t *degree, bool *removed,
                               uint32_t *trail)
{
    const nnd_plan *plan = c->plan;
    uint32_t n = (uint32_t)plan->actors.count, at = 0, length = 0;
    while (at < n && (degree[at] == 0 || removed[at]))
        at++;
    uint32_t *seen = nnd_calloc(n, sizeof(uint32_t)); /* position in trail + 1 */
    if (!seen) return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory");
    while (at != WF_NONE && !seen[at]) {
        trail[length++] = at;
        seen[at] = length;
        at = stuck_predecessor(plan, at, degree, removed);
    }
    uint32_t first = at == WF_NONE ? 0 : seen[at] - 1;
    nnd_free(seen);
    nnd_str text = {0};
    for (uint32_t i = length; i-- > first;) { /* the trail runs against the edges */
        nnd_str_printf(&text, "%s → ", plan->actors.items[trail[i]].path);
        removed[trail[i]] = true;
    }
    nnd_str_add(&text, plan->actors.items[trail[length - 1]].path);
    nnd_status status =
        text.failed ? nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory")
                    : wf_report_actor(c, &plan->actors.items[trail[first]], NND_SEVERITY_ERROR,
                                      NND_E_VALIDATION, "cycle", NULL, "flow.delay",
                                      "these nodes wait for each other: %s; only flow.delay may "
                                      "close a cycle",
                                      text.data);
    nnd_str_free(&text);
    return status;
}

/* What lies on a cycle through this flow.delay; false when it is on none. */
static nnd_status find_component(wf_compiler *c, uint32_t delay, bool *forward, bool *backward,
                                 bool *cyclic)
{
    size_t n = c->plan->actors.count;
    memset(forward, 0, n * sizeof(bool));
    memset(backward, 0, n * sizeof(bool));
    forward[delay] = backward[delay] = true;
    NND_TRY(spread(c->plan, forward, false, false));
    NND_TRY(spread(c->plan, backward, true, false));
    size_t members = 0;
    for (size_t i = 0; i < n; i++)
        members += forward[i] && backward[i];
    *cyclic = members > 1;
    const wf_plan_actor *d = &c->plan->actors.items[delay];
    for (uint32_t p = 0; p < d->out_count; p++) /* straight into itself */
        for (uint32_t k = 0; k < d->out[p].edge_count; k++)
            *cyclic |= c->plan->edges.items[d->out[p].edges[k]].to == delay;
    return NND_OK;
}

/* Marks the edges by which delays run ahead of the rest of their cycle. */
static nnd_status mark_cycle(wf_compiler *c, uint32_t delay, bool *forward, bool *backward)
{
    bool cyclic, driven = false;
    NND_TRY(find_component(c, delay, forward, backward, &cyclic));
    if (!cyclic) return NND_OK;
    for (size_t i = 0; i < c->plan->edges.count; i++) {
        wf_plan_edge *e = &c->plan->edges.items[i];
        bool from_in = forward[e->from] && backward[e->from];
        bool to_in = forward[e->to] && backward[e->to];
        if (e->dead || e->feedback || !to_in) continue;
        if (!from_in)
            driven = true;
        else if (e->from == delay)
            e->hold = true;
    }
    for (size_t i = 0; i < c->plan->actors.count; i++)
        if (forward[i] && backward[i]) c->plan->actors.items[i].in_cycle = true;
    if (driven) return NND_OK;
    return wf_report_actor(c, &c->plan->actors.items[delay], NND_SEVERITY_ERROR, NND_E_VALIDATION,
                           "endless-cycle", NULL, NULL,
                           "nothing from outside comes into this cycle: it would turn for ever");
}

static nnd_status find_cycles(wf_compiler *c, uint32_t *order, uint32_t *degree, bool *removed)
{
    uint32_t n = (uint32_t)c->plan->actors.count, ordered = 0, gone = 0;
    for (;;) {
        NND_TRY(topological(c, true, removed, order, &ordered, degree));
        gone = 0;
        for (uint32_t i = 0; i < n; i++)
            gone += removed[i];
        if (ordered + gone >= n) return NND_OK;
        NND_TRY(report_cycle(c, degree, removed, order));
    }
}

/* ---- constants and holds ----------------------------------------------------------------- */

/* Whether something drives the actor anew for every packet, and whether only held edges do. */
static bool has_driver(const nnd_plan *plan, const wf_plan_actor *a, bool *all_hold)
{
    bool any = false;
    *all_hold = true;
    for (uint32_t p = 0; p <= a->in_count; p++) {
        const uint32_t *list = p < a->in_count ? a->in[p].edges : a->param_edges;
        uint32_t count = p < a->in_count ? a->in[p].edge_count : a->param_edge_count;
        for (uint32_t k = 0; k < count; k++) {
            const wf_plan_edge *e = &plan->edges.items[list[k]];
            if (e->sticky || e->feedback) continue;
            any = true;
            *all_hold &= e->hold;
        }
    }
    return any;
}

/* Sets constant, sticky and hold in topological order. */
static void mark_flow(nnd_plan *plan, const uint32_t *order, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        wf_plan_actor *a = &plan->actors.items[order[i]];
        if (a->dead || a->standby || a->kind == WF_ACTOR_INPUT) continue;
        bool all_hold;
        bool driven = has_driver(plan, a, &all_hold);
        a->constant = !driven && !(a->flags & NND_NODE_SOURCE);
        if (a->kind == WF_ACTOR_JOIN) a->constant = plan->actors.items[a->partner].constant;
        for (uint32_t p = 0; p < a->out_count; p++) {
            bool into_body =
                a->kind == WF_ACTOR_SPLIT || (a->kind == WF_ACTOR_LOOP && p < a->body_inputs);
            for (uint32_t k = 0; k < a->out[p].edge_count; k++) {
                wf_plan_edge *e = &plan->edges.items[a->out[p].edges[k]];
                e->sticky = a->constant && !into_body;
                if (driven && all_hold && a->in_cycle && !is_delay(a) &&
                    plan->actors.items[e->to].in_cycle)
                    e->hold = true;
            }
        }
    }
}

/* A body is fed by its map or loop alone: a source of its own would never fall in step. */
static nnd_status check_bodies(wf_compiler *c)
{
    for (size_t s = 0; s < c->scopes.count; s++) {
        const wf_scope *scope = c->scopes.items[s];
        bool inside = false;
        for (const wf_scope *o = scope; o; o = o->parent)
            inside |= o->kind != WF_ACTOR_NODE;
        for (size_t i = 0; inside && i < scope->graph->node_count; i++) {
            uint32_t index = scope->children[i].actor;
            if (scope->children[i].scope || index == WF_NONE) continue;
            const wf_plan_actor *a = &c->plan->actors.items[index];
            if (!a->dead && (a->flags & NND_NODE_SOURCE))
                NND_TRY(wf_report_actor(c, a, NND_SEVERITY_ERROR, NND_E_UNSUPPORTED,
                                        "source-in-body", NULL, NULL,
                                        "a source cannot be inside flow.map or flow.loop"));
        }
    }
    return NND_OK;
}

/* ---- ranks ------------------------------------------------------------------------------- */

static nnd_status set_ranks(wf_compiler *c, const uint32_t *order, uint32_t count)
{
    nnd_plan *plan = c->plan;
    uint32_t max_rank = 0;
    nnd_status status = NND_OK;
    for (uint32_t i = count; i-- > 0;) {
        wf_plan_actor *a = &plan->actors.items[order[i]];
        a->order = i;
        for (uint32_t p = 0; p < a->out_count; p++) {
            for (uint32_t k = 0; k < a->out[p].edge_count; k++) {
                const wf_plan_edge *e = &plan->edges.items[a->out[p].edges[k]];
                if (is_back_edge(plan, e)) continue;
                uint32_t next = plan->actors.items[e->to].rank + 1;
                if (a->rank < next) a->rank = next;
            }
        }
        if (max_rank < a->rank) max_rank = a->rank;
    }
    /* Counting sort by rank, then by order. */
    uint32_t *first = wf_arena_or_error(&c->arena, (size_t)max_rank + 2, sizeof(uint32_t), &status);
    plan->by_rank = wf_arena_or_error(&plan->arena, count, sizeof(uint32_t), &status);
    NND_TRY(status);
    for (uint32_t i = 0; i < count; i++) {
        const wf_plan_actor *a = &plan->actors.items[order[i]];
        if (!a->dead && !a->standby) first[a->rank + 1]++;
    }
    for (uint32_t r = 0; r <= max_rank; r++)
        first[r + 1] += first[r];
    plan->live_count = first[max_rank + 1];
    for (uint32_t i = 0; i < count; i++) {
        const wf_plan_actor *a = &plan->actors.items[order[i]];
        if (!a->dead && !a->standby) plan->by_rank[first[a->rank]++] = order[i];
    }
    return NND_OK;
}

nnd_status wf_compile_rank(wf_compiler *c)
{
    size_t n = c->plan->actors.count;
    nnd_status status = NND_OK;
    uint32_t *order = wf_arena_or_error(&c->arena, n, sizeof(uint32_t), &status);
    uint32_t *degree = wf_arena_or_error(&c->arena, n, sizeof(uint32_t), &status);
    bool *removed = wf_arena_or_error(&c->arena, n, sizeof(bool), &status);
    NND_TRY(status);
    uint32_t count = 0;
    NND_TRY(topological(c, false, removed, order, &count, degree));
    mark_flow(c->plan, order, count);
    return set_ranks(c, order, count);
}

nnd_status wf_compile_order(wf_compiler *c)
{
    nnd_plan *plan = c->plan;
    size_t n = plan->actors.count;
    nnd_status status = NND_OK;
    uint32_t *order = wf_arena_or_error(&c->arena, n, sizeof(uint32_t), &status);
    uint32_t *degree = wf_arena_or_error(&c->arena, n, sizeof(uint32_t), &status);
    bool *a = wf_arena_or_error(&c->arena, n, sizeof(bool), &status);
    bool *b = wf_arena_or_error(&c->arena, n, sizeof(bool), &status);
    NND_TRY(status);
    NND_TRY(check_inputs(c));
    NND_TRY(check_fallbacks(c));
    NND_TRY(find_cycles(c, order, degree, a));
    for (size_t i = 0; i < n; i++)
        if (a[i]) return NND_OK; /* reported; there is no order */
    NND_TRY(prune(c));
    for (uint32_t i = 0; i < n; i++)
        if (is_delay(&plan->actors.items[i]) && !plan->actors.items[i].dead)
            NND_TRY(mark_cycle(c, i, a, b));
    NND_TRY(check_bodies(c));
    return wf_compile_rank(c);
}
