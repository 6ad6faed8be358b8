/*
 * Second pass: edges between actors. Every consuming port looks backward through the boundaries of
 * sub-graphs until it meets the output of an actor.
 */
#include <string.h>

#include "base/str.h"
#include "workflow/compile/compile.h"

typedef struct wf_source {
    bool found;
    uint32_t actor, port;
} wf_source;

nnd_status wf_add_edge(wf_compiler *c, const wf_plan_edge *edge)
{
    if (!nnd_vec_push(&c->plan->edges, *edge))
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory for an edge");
    return NND_OK;
}

/* ---- where a value comes from ------------------------------------------------------------ */

/* Takes over the queue settings of a document edge that the template does not have yet: what is
   written nearest to the consumer wins. */
static void merge_settings(wf_plan_edge *to, const wf_edge *from)
{
    if (to->capacity == 0 && from->queue > 0) to->capacity = (uint32_t)from->queue;
    if (to->max_bytes == 0 && from->bytes > 0) to->max_bytes = (uint64_t)from->bytes;
    if (to->max_age == 0 && from->age_ms > 0)
        to->max_age = from->age_ms < 9e12 ? (int64_t)(from->age_ms * 1e6) : INT64_MAX / 2;
    if (to->policy == WF_POLICY_BLOCK) to->policy = from->policy;
}

static nnd_status check_settings(wf_compiler *c, const wf_scope *scope, const wf_edge *edge)
{
    if (edge->queue >= 0 && edge->queue <= WF_QUEUE_MAX && edge->bytes >= 0 && edge->age_ms >= 0)
        return NND_OK;
    return wf_report(c->diags, NND_SEVERITY_ERROR, NND_E_LIMIT, "bad-queue", scope->file,
                     edge->place, edge->to_node, edge->to_port, NULL,
                     "queue must be 1 to %d packets, bytes and age not negative", WF_QUEUE_MAX);
}

static uint32_t find_port(const wf_plan_port *ports, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(ports[i].name, name) == 0) return i;
    return WF_NONE;
}

static nnd_status report_unknown_port(wf_compiler *c, const wf_scope *scope, wf_place place,
                                      const wf_plan_actor *actor, const char *port, bool output)
{
    nnd_suggest suggest;
    nnd_suggest_begin(&suggest, port);
    const wf_plan_port *ports = output ? actor->out : actor->in;
    for (uint32_t i = 0; i < (output ? actor->out_count : actor->in_count); i++)
        nnd_suggest_offer(&suggest, ports[i].name);
    return wf_report(c->diags, NND_SEVERITY_ERROR, NND_E_NOT_FOUND, "unknown-port", scope->file,
                     place, actor->path, port, suggest.best, "there is no %s port '%s'",
                     output ? "output" : "input", port);
}

static const struct wf_child *find_child(const wf_scope *scope, const char *id)
{
    for (size_t i = 0; i < scope->graph->node_count; i++)
        if (strcmp(scope->graph->nodes[i].id, id) == 0) return &scope->children[i];
    return NULL;
}

static nnd_status report_unknown_node(wf_compiler *c, const wf_scope *scope, wf_place place,
                                      const char *id)
{
    nnd_suggest suggest;
    nnd_suggest_begin(&suggest, id);
    for (size_t i = 0; i < scope->graph->node_count; i++)
        nnd_suggest_offer(&suggest, scope->graph->nodes[i].id);
    return wf_report(c->diags, NND_SEVERITY_ERROR, NND_E_NOT_FOUND, "unknown-node", scope->file,
                     place, id, NULL, suggest.best, "there is no node '%s'", id);
}

/* An output of an actor whose ports follow from the document; none when the actor is wrong. */
static wf_source port_of(const wf_compiler *c, uint32_t actor, uint32_t index)
{
    return (wf_source){c->plan->actors.items[actor].ports_known, actor, index};
}

static nnd_status find_source(wf_compiler *c, const wf_scope *scope, const char *id,
                              const char *port, wf_place place, wf_plan_edge *settings,
                              unsigned hops, wf_source *out);

/* An input of the graph: what feeds it from outside. */
static nnd_status find_boundary(wf_compiler *c, const wf_scope *scope, const char *port,
                                wf_place place, wf_plan_edge *settings, unsigned hops,
                                wf_source *out)
{
    const wf_graph *g = scope->graph;
    uint32_t index = 0;
    nnd_suggest suggest;
    nnd_suggest_begin(&suggest, port);
    while (index < g->input_count && strcmp(g->inputs[index].name, port) != 0)
        nnd_suggest_offer(&suggest, g->inputs[index++].name);
    if (index == g->input_count)
        return wf_report(c->diags, NND_SEVERITY_ERROR, NND_E_NOT_FOUND, "unknown-input",
                         scope->file, place, scope->node ? scope->node->id : NULL, port,
                         suggest.best, "the graph has no input '%s'", port);
    if (!scope->parent || scope->kind != WF_ACTOR_NODE) {
        uint32_t actor = scope->parent ? scope->entry : c->plan->inputs[index];
        *out = port_of(c, actor, scope->parent ? index : 0);
        return NND_OK;
    }
    const wf_graph *outer = scope->parent->graph;
    for (size_t i = 0; i < outer->edge_count; i++) {
        const wf_edge *e = &outer->edges[i];
        if (e->is_param || strcmp(e->to_node, scope->node->id) != 0 ||
            strcmp(e->to_port, port) != 0)
            continue;
        merge_settings(settings, e);
        return find_source(c, scope->parent, e->from_node, e->from_port, e->place, settings,
                           hops + 1, out);
    }
    return NND_OK; /* not connected outside */
}

/* An output of a sub-graph node: what feeds it from inside. */
static nnd_status find_inner(wf_compiler *c, const wf_scope *inner, const char *port,
                             wf_place place, wf_plan_edge *settings, unsigned hops, wf_source *out)
{
    const wf_graph *g = inner->graph;
    uint32_t index = 0;
    nnd_suggest suggest;
    nnd_suggest_begin(&suggest, port);
    while (index < g->output_count && strcmp(g->outputs[index].name, port) != 0)
        nnd_suggest_offer(&suggest, g->outputs[index++].name);
    if (index == g->output_count)
        return wf_report(c->diags, NND_SEVERITY_ERROR, NND_E_NOT_FOUND, "unknown-port",
                         inner->parent->file, place, inner->node->id, port, suggest.best,
                         "there is no output port '%s'", port);
    if (inner->kind == WF_ACTOR_SPLIT) {
        *out = port_of(c, inner->exit, index);
        return NND_OK;
    }
    if (inner->kind == WF_ACTOR_LOOP) {
        *out = port_of(c, inner->exit, (uint32_t)g->input_count + index);
        return NND_OK;
    }
    const wf_output *o = &g->outputs[index];
    return find_source(c, inner, o->from_node, o->from_port, o->place, settings, hops + 1, out);
}

static nnd_status find_source(wf_compiler *c, const wf_scope *scope, const char *id,
                              const char *port, wf_place place, wf_plan_edge *settings,
                              unsigned hops, wf_source *out)
{
    out->found = false;
    if (hops > 2 * WF_DEPTH_MAX + 2 * c->scopes.count)
        return wf_report(c->diags, NND_SEVERITY_ERROR, NND_E_VALIDATION, "cycle", scope->file,
                         place, scope->node ? scope->node->id : NULL, port, NULL,
                         "an output of the sub-graph feeds itself without a node between");
    if (strcmp(id, "@") == 0) return find_boundary(c, scope, port, place, settings, hops, out);
    const struct wf_child *child = find_child(scope, id);
    if (!child) return report_unknown_node(c, scope, place, id);
    if (child->scope) return find_inner(c, child->scope, port, place, settings, hops, out);
    if (child->actor == WF_NONE) return NND_OK; /* too deep: reported */
    const wf_plan_actor *actor = &c->plan->actors.items[child->actor];
    uint32_t index = find_port(actor->out, actor->out_count, port);
    if (index == WF_NONE)
        return actor->ports_known ? report_unknown_port(c, scope, place, actor, port, true)
                                  : NND_OK;
    *out = (wf_source){true, child->actor, index};
    return NND_OK;
}

/* ---- edges into one actor ---------------------------------------------------------------- */

static nnd_status connect_port(wf_compiler *c, const wf_scope *scope, const char *id,
                               const char *port, wf_plan_edge edge)
{
    wf_source source = {false, 0, 0};
    NND_TRY(find_source(c, scope, id, port, edge.place, &edge, 0, &source));
    if (!source.found) return NND_OK;
    edge.from = source.actor;
    edge.from_port = source.port;
    if (edge.policy == WF_POLICY_LATEST) edge.capacity = 1;
    if (edge.capacity == 0) edge.capacity = WF_QUEUE_DEFAULT;
    edge.memory.device = nnd_device_cpu();
    return wf_add_edge(c, &edge);
}

/* Data edges of the document that end at node `id`, into `actor`. */
static nnd_status connect_data(wf_compiler *c, const wf_scope *scope, const char *id,
                               uint32_t actor)
{
    for (size_t i = 0; i < scope->graph->edge_count; i++) {
        const wf_edge *e = &scope->graph->edges[i];
        if (e->is_param || strcmp(e->to_node, id) != 0) continue;
        NND_TRY(check_settings(c, scope, e));
        const wf_plan_actor *a = &c->plan->actors.items[actor];
        uint32_t port = find_port(a->in, a->in_count, e->to_port);
        if (port == WF_NONE) {
            if (a->ports_known)
                NND_TRY(report_unknown_port(c, scope, e->place, a, e->to_port, false));
            continue;
        }
        wf_plan_edge edge = {.to = actor, .to_port = port, .place = e->place};
        merge_settings(&edge, e);
        NND_TRY(connect_port(c, scope, e->from_node, e->from_port, edge));
    }
    return NND_OK;
}

/* Parameter edges to (id, param) in this graph and, through promoted parameters, outside of it. */
static nnd_status connect_param_edges(wf_compiler *c, const wf_scope *scope, const char *id,
                                      const char *outer_param, uint32_t actor, const char *param)
{
    for (size_t i = 0; i < scope->graph->edge_count; i++) {
        const wf_edge *e = &scope->graph->edges[i];
        if (!e->is_param || strcmp(e->to_node, id) != 0 || strcmp(e->to_port, outer_param) != 0)
            continue;
        NND_TRY(check_settings(c, scope, e));
        wf_plan_edge edge = {.to = actor, .to_port = WF_NONE, .param = param, .place = e->place};
        merge_settings(&edge, e);
        NND_TRY(connect_port(c, scope, e->from_node, e->from_port, edge));
    }
    if (!scope->parent) return NND_OK;
    for (size_t i = 0; i < scope->graph->param_count; i++) {
        const wf_promoted *p = &scope->graph->params[i];
        if (strcmp(p->to_node, id) == 0 && strcmp(p->to_param, outer_param) == 0)
            NND_TRY(connect_param_edges(c, scope->parent, scope->node->id, p->name, actor, param));
    }
    return NND_OK;
}

/* Values of the form {"$input": x}. Only the last value that was given counts. */
static nnd_status connect_input_refs(wf_compiler *c, const wf_scope *scope, const wf_node *node,
                                     uint32_t actor)
{
    wf_givens givens = {NULL, 0, 0};
    nnd_status status = wf_collect_givens(c, scope, node, &givens);
    for (size_t i = 0; i < givens.count && status == NND_OK; i++) {
        const wf_given *g = &givens.items[i];
        bool is_ref = false, overruled = false;
        char *input = NULL;
        for (size_t k = i + 1; k < givens.count; k++)
            overruled |= strcmp(givens.items[k].field.name, g->field.name) == 0;
        if (overruled) continue;
        status = wf_param_input_ref(g->field.json, &is_ref, &input);
        if (status == NND_OK && is_ref) {
            const nnd_param *param =
                wf_param_find(c->plan->actors.items[actor].type, g->field.name);
            wf_plan_edge edge = {.to = actor,
                                 .to_port = WF_NONE,
                                 .param = param ? param->name : NULL,
                                 .place = g->field.place};
            if (param) status = connect_port(c, g->scope, "@", input, edge);
        }
        nnd_free(input);
    }
    nnd_vec_free(&givens);
    return status;
}

static nnd_status connect_params(wf_compiler *c, const wf_scope *scope, const wf_node *node,
                                 uint32_t actor)
{
    const nnd_node_type *type = c->plan->actors.items[actor].type;
    if (!type) return NND_OK;
    for (size_t i = 0; i < type->params.count; i++) {
        const nnd_param *p =
            (const nnd_param *)((const char *)type->params.items + i * type->params.item_size);
        size_t before = c->plan->edges.count;
        NND_TRY(connect_param_edges(c, scope, node->id, p->name, actor, p->name));
        if ((p->flags & NND_PARAM_STATIC) && c->plan->edges.count > before)
            NND_TRY(wf_report_actor(c, &c->plan->actors.items[actor], NND_SEVERITY_ERROR,
                                    NND_E_UNSUPPORTED, "static-param", p->name, NULL,
                                    "parameter '%s' is fixed when the workflow is compiled; an "
                                    "edge cannot feed it",
                                    p->name));
    }
    return connect_input_refs(c, scope, node, actor);
}

static nnd_status connect_fallback(wf_compiler *c, const wf_scope *scope, const wf_node *node,
                                   uint32_t actor)
{
    wf_plan_actor *a = &c->plan->actors.items[actor];
    if (a->on_error != WF_ON_ERROR_FALLBACK) return NND_OK;
    nnd_json_doc *doc = NULL;
    NND_TRY(nnd_json_parse(node->on_error, strlen(node->on_error), NULL, &doc));
    const char *id = nnd_json_string(nnd_json_get(nnd_json_root(doc), "fallback"), "");
    const struct wf_child *child = find_child(scope, id);
    nnd_status status = NND_OK;
    if (!child || child->actor == WF_NONE || child->actor == actor) {
        status = wf_report_actor(c, a, NND_SEVERITY_ERROR, NND_E_NOT_FOUND, "bad-fallback", NULL,
                                 NULL, "fallback '%s' must be another plain node of the graph", id);
    } else {
        a->fallback = child->actor;
        c->plan->actors.items[child->actor].standby = true;
    }
    nnd_json_destroy(doc);
    return status;
}

/* ---- map and loop ------------------------------------------------------------------------ */

static nnd_status connect_body_outputs(wf_compiler *c, const wf_scope *scope, uint32_t first_port)
{
    const wf_graph *g = scope->graph;
    for (size_t i = 0; i < g->output_count; i++) {
        wf_plan_edge edge = {.to = scope->exit,
                             .to_port = first_port + (uint32_t)i,
                             .feedback = scope->kind == WF_ACTOR_LOOP,
                             .place = g->outputs[i].place};
        NND_TRY(connect_port(c, scope, g->outputs[i].from_node, g->outputs[i].from_port, edge));
    }
    return NND_OK;
}

static nnd_status connect_map(wf_compiler *c, const wf_scope *scope)
{
    const wf_plan_actor *split = &c->plan->actors.items[scope->entry];
    if (split->out_count == 0) return NND_OK; /* reported before */
    NND_TRY(connect_data(c, scope->parent, scope->node->id, scope->entry));
    NND_TRY(connect_body_outputs(c, scope, 0));
    wf_plan_edge count = {.from = scope->entry,
                          .from_port = (uint32_t)scope->graph->input_count,
                          .to = scope->exit,
                          .to_port = (uint32_t)scope->graph->output_count,
                          .capacity = WF_QUEUE_DEFAULT};
    count.memory.device = nnd_device_cpu();
    return wf_add_edge(c, &count);
}

static nnd_status connect_loop(wf_compiler *c, const wf_scope *scope)
{
    const wf_plan_actor *loop = &c->plan->actors.items[scope->entry];
    if (loop->in_count == 0 && loop->out_count == 0) return NND_OK;
    NND_TRY(connect_data(c, scope->parent, scope->node->id, scope->entry));
    NND_TRY(connect_body_outputs(c, scope, loop->body_inputs));
    if (loop->count_port == WF_NONE) return NND_OK;
    bool is_ref = false;
    char *input = NULL;
    NND_TRY(wf_param_input_ref(scope->node->count, &is_ref, &input));
    wf_plan_edge edge = {
        .to = scope->entry, .to_port = loop->count_port, .place = scope->node->place};
    nnd_status status = input ? connect_port(c, scope->parent, "@", input, edge) : NND_OK;
    nnd_free(input);
    return status;
}

/* ---- promoted parameters for nnd_run_set_param ------------------------------------------- */

static nnd_status add_promoted(wf_compiler *c, const wf_scope *scope)
{
    if (!scope->parent) return NND_OK;
    for (size_t i = 0; i < scope->graph->param_count; i++) {
        const char *id = scope->graph->params[i].to_node, *param = scope->graph->params[i].to_param;
        const wf_scope *s = scope;
        const struct wf_child *child = find_child(s, id);
        while (child && child->scope) { /* promoted through another level */
            const wf_graph *g = child->scope->graph;
            size_t k = 0;
            while (k < g->param_count && strcmp(g->params[k].name, param) != 0)
                k++;
            if (k == g->param_count) break;
            s = child->scope;
            param = g->params[k].to_param;
            child = find_child(s, g->params[k].to_node);
        }
        if (!child || child->scope || child->actor == WF_NONE) {
            NND_TRY(wf_report(c->diags, NND_SEVERITY_ERROR, NND_E_NOT_FOUND, "bad-promotion",
                              scope->file, scope->graph->params[i].place, id, param, NULL,
                              "promoted parameter '%s' leads to no node's parameter",
                              scope->graph->params[i].name));
            continue;
        }
        size_t size = strlen(scope->prefix);
        wf_plan_promoted p = {
            nnd_arena_strdup_n(&c->plan->arena, scope->prefix, size ? size - 1 : 0),
            nnd_arena_strdup(&c->plan->arena, scope->graph->params[i].name), child->actor,
            nnd_arena_strdup(&c->plan->arena, param)};
        if (!p.path || !p.name || !p.param || !nnd_vec_push(&c->plan->promoted, p))
            return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory");
    }
    return NND_OK;
}

/* ---- all --------------------------------------------------------------------------------- */

static nnd_status connect_scope(wf_compiler *c, const wf_scope *scope)
{
    NND_TRY(add_promoted(c, scope));
    if (scope->kind == WF_ACTOR_SPLIT) NND_TRY(connect_map(c, scope));
    if (scope->kind == WF_ACTOR_LOOP) NND_TRY(connect_loop(c, scope));
    for (size_t i = 0; i < scope->graph->node_count; i++) {
        uint32_t actor = scope->children[i].actor;
        if (actor == WF_NONE || scope->children[i].scope) continue;
        const wf_node *node = &scope->graph->nodes[i];
        NND_TRY(connect_data(c, scope, node->id, actor));
        NND_TRY(connect_params(c, scope, node, actor));
        NND_TRY(connect_fallback(c, scope, node, actor));
    }
    /* Edges whose consumer does not exist are found by nobody above. */
    for (size_t i = 0; i < scope->graph->edge_count; i++)
        if (!find_child(scope, scope->graph->edges[i].to_node))
            NND_TRY(report_unknown_node(c, scope, scope->graph->edges[i].place,
                                        scope->graph->edges[i].to_node));
    return NND_OK;
}

nnd_status wf_compile_connect(wf_compiler *c)
{
    for (size_t i = 0; i < c->scopes.count; i++)
        NND_TRY(connect_scope(c, c->scopes.items[i]));
    const wf_graph *g = c->root->graph;
    for (size_t i = 0; i < g->output_count; i++) {
        wf_plan_edge edge = {.to = c->plan->outputs[i], .to_port = 0, .place = g->outputs[i].place};
        NND_TRY(connect_port(c, c->root, g->outputs[i].from_node, g->outputs[i].from_port, edge));
    }
    return wf_link_edges(c->plan);
}

/* ---- edge lists -------------------------------------------------------------------------- */

static nnd_status append_index(nnd_arena *arena, uint32_t **list, uint32_t *count, uint32_t index)
{
    /* Grows by doubling; what is left behind in the arena is at most as large as the list. */
    if ((*count & (*count - 1)) == 0) {
        uint32_t *grown = nnd_arena_alloc(arena, (*count ? *count * 2 : 1) * sizeof(uint32_t));
        if (!grown) return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory for edges");
        nnd_vec_copy(grown, *list, *count * sizeof(uint32_t));
        *list = grown;
    }
    (*list)[(*count)++] = index;
    return NND_OK;
}

nnd_status wf_link_edges(nnd_plan *plan)
{
    for (size_t i = 0; i < plan->actors.count; i++) {
        wf_plan_actor *a = &plan->actors.items[i];
        for (uint32_t k = 0; k < a->in_count; k++)
            a->in[k].edge_count = 0;
        for (uint32_t k = 0; k < a->out_count; k++)
            a->out[k].edge_count = 0;
        a->param_edge_count = 0;
    }
    for (size_t i = 0; i < plan->edges.count; i++) {
        const wf_plan_edge *e = &plan->edges.items[i];
        if (e->dead) continue;
        wf_plan_actor *to = &plan->actors.items[e->to];
        wf_plan_port *from = &plan->actors.items[e->from].out[e->from_port];
        NND_TRY(append_index(&plan->arena, &from->edges, &from->edge_count, (uint32_t)i));
        if (e->param)
            NND_TRY(
                append_index(&plan->arena, &to->param_edges, &to->param_edge_count, (uint32_t)i));
        else
            NND_TRY(append_index(&plan->arena, &to->in[e->to_port].edges,
                                 &to->in[e->to_port].edge_count, (uint32_t)i));
    }
    return NND_OK;
}
