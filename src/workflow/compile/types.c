/*
 * Third pass: the type of every port. Types flow along the edges until nothing changes; a variable
 * that is still free then takes the type its consumer wants, and becomes "any" at last.
 */
#include <string.h>

#include "workflow/compile/compile.h"

static nnd_status resolve_port(wf_compiler *c, wf_plan_port *port, const wf_bindings *bindings,
                               bool final, bool *changed)
{
    char *text = NULL;
    bool complete = true;
    NND_TRY(wf_type_substitute(port->expr, bindings, &complete, &text));
    nnd_status status = NND_OK;
    if ((complete || final) && (!port->type || strcmp(port->type, text) != 0)) {
        port->type = nnd_arena_strdup(&c->plan->arena, text);
        if (!port->type) status = nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory");
        *changed = true;
    }
    nnd_free(text);
    return status;
}

static nnd_status resolve_actor(wf_compiler *c, wf_plan_actor *actor, const wf_bindings *bindings,
                                bool final, bool *changed)
{
    for (uint32_t i = 0; i < actor->in_count; i++)
        NND_TRY(resolve_port(c, &actor->in[i], bindings, final, changed));
    for (uint32_t i = 0; i < actor->out_count; i++)
        NND_TRY(resolve_port(c, &actor->out[i], bindings, final, changed));
    return NND_OK;
}

/* One sweep over the edges: binds the consumers' variables (forward), or the producers' from what
   their consumers want (backward, for cycles through flow.delay). */
static nnd_status sweep(wf_compiler *c, wf_bindings *bindings, bool backward, bool *changed)
{
    nnd_plan *plan = c->plan;
    for (size_t i = 0; i < plan->edges.count; i++) {
        const wf_plan_edge *e = &plan->edges.items[i];
        if (e->param) continue;
        wf_plan_actor *from = &plan->actors.items[e->from], *to = &plan->actors.items[e->to];
        wf_plan_port *out = &from->out[e->from_port], *in = &to->in[e->to_port];
        wf_match match = WF_MATCH_NO;
        if (!backward && out->type) {
            NND_TRY(wf_type_match(in->expr, out->type, &bindings[e->to], &match));
            NND_TRY(resolve_actor(c, to, &bindings[e->to], false, changed));
        } else if (backward && !out->type && in->type) {
            NND_TRY(wf_type_match(out->expr, in->type, &bindings[e->from], &match));
            NND_TRY(resolve_actor(c, from, &bindings[e->from], false, changed));
        }
    }
    return NND_OK;
}

static nnd_status settle(wf_compiler *c, wf_bindings *bindings)
{
    nnd_plan *plan = c->plan;
    bool changed = true;
    for (size_t i = 0; i < plan->actors.count; i++)
        NND_TRY(resolve_actor(c, &plan->actors.items[i], &bindings[i], false, &changed));
    /* Every round that changes something resolves at least one port, so this ends. */
    while (changed) {
        changed = false;
        NND_TRY(sweep(c, bindings, false, &changed));
        if (!changed) NND_TRY(sweep(c, bindings, true, &changed));
    }
    for (size_t i = 0; i < plan->actors.count; i++)
        NND_TRY(resolve_actor(c, &plan->actors.items[i], &bindings[i], true, &changed));
    return NND_OK;
}

static nnd_status check_edge(wf_compiler *c, wf_plan_edge *e, wf_bindings *bindings)
{
    const wf_plan_actor *from = &c->plan->actors.items[e->from],
                        *to = &c->plan->actors.items[e->to];
    const wf_plan_port *out = &from->out[e->from_port], *in = &to->in[e->to_port];
    wf_match match = WF_MATCH_YES;
    NND_TRY(wf_type_match(in->expr, out->type, bindings, &match));
    e->check = match == WF_MATCH_RUN;
    if (match != WF_MATCH_NO) return NND_OK;
    return wf_report(c->diags, NND_SEVERITY_ERROR, NND_E_TYPE, "type-mismatch", to->file, e->place,
                     to->path, in->name, NULL, "wants %s, but output '%s' of %s '%s' gives %s",
                     in->type, out->name, wf_actor_kind_name(from->kind), from->path, out->type);
}

/* Values that a parameter edge can carry. */
static nnd_status check_param_edge(wf_compiler *c, const wf_plan_edge *e)
{
    const wf_plan_actor *from = &c->plan->actors.items[e->from],
                        *to = &c->plan->actors.items[e->to];
    const char *type = from->out[e->from_port].type;
    wf_bindings none = {NULL, 0, 0};
    wf_match match = WF_MATCH_NO;
    NND_TRY(wf_type_match("bool|int|float|text|list<any>|record", type, &none, &match));
    wf_bindings_fini(&none);
    if (match != WF_MATCH_NO) return NND_OK;
    return wf_report(c->diags, NND_SEVERITY_ERROR, NND_E_TYPE, "type-mismatch", to->file, e->place,
                     to->path, e->param, NULL,
                     "parameter '%s' cannot be fed with %s (from '%s' of '%s')", e->param, type,
                     from->out[e->from_port].name, from->path);
}

static void mark_exact(wf_plan_port *ports, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        ports[i].exact = nnd_value_type_find(ports[i].type);
}

nnd_status wf_compile_types(wf_compiler *c)
{
    nnd_plan *plan = c->plan;
    nnd_status status = NND_OK;
    wf_bindings *bindings =
        wf_arena_or_error(&c->arena, plan->actors.count, sizeof(*bindings), &status);
    NND_TRY(status);
    status = settle(c, bindings);
    for (size_t i = 0; i < plan->edges.count && status == NND_OK; i++) {
        wf_plan_edge *e = &plan->edges.items[i];
        status = e->param ? check_param_edge(c, e) : check_edge(c, e, &bindings[e->to]);
    }
    for (size_t i = 0; i < plan->actors.count; i++) {
        wf_bindings_fini(&bindings[i]);
        if (status != NND_OK) continue;
        mark_exact(plan->actors.items[i].in, plan->actors.items[i].in_count);
        mark_exact(plan->actors.items[i].out, plan->actors.items[i].out_count);
    }
    return status;
}
