/*
 * First pass: a scope per graph and an actor per leaf node, workflow input and workflow output,
 * with their parameters and declared ports. Sub-graphs disappear here; flow.map and flow.loop
 * leave their entry and exit actors.
 */
#include <string.h>

#include "base/str.h"
#include "workflow/compile/compile.h"
#include "workflow/registry.h"

/* ---- ports ------------------------------------------------------------------------------- */

struct nnd_port_list {
    nnd_arena *arena;
    NND_VEC(wf_plan_port) in, out;
};

static nnd_status add_port(nnd_arena *arena, wf_plan_port *port, const char *name, const char *type,
                           const char *text, uint32_t flags)
{
    memset(port, 0, sizeof(*port));
    port->name = nnd_arena_strdup(arena, name);
    port->expr = nnd_arena_strdup(arena, type);
    port->text = nnd_arena_strdup(arena, text ? text : "");
    port->flags = flags;
    nnd_spec_init(&port->spec);
    port->memory.device = nnd_device_cpu();
    if (!port->name || !port->expr || !port->text)
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory for port '%s'", name);
    return NND_OK;
}

static nnd_status list_add(nnd_port_list *l, bool input, const char *name, const char *type,
                           const char *text, uint32_t flags)
{
    if (!l || !name || !name[0] || !type)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "a port needs a name and a type");
    NND_TRY(wf_type_check(type, false));
    for (size_t i = 0; i < (input ? l->in.count : l->out.count); i++)
        if (strcmp((input ? l->in.items : l->out.items)[i].name, name) == 0)
            return nnd_error_set(NND_E_EXISTS, "two %s ports are called '%s'",
                                 input ? "input" : "output", name);
    wf_plan_port port;
    NND_TRY(add_port(l->arena, &port, name, type, text, flags));
    if (!(input ? nnd_vec_push(&l->in, port) : nnd_vec_push(&l->out, port)))
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory for port '%s'", name);
    return NND_OK;
}

nnd_status nnd_port_list_add_input(nnd_port_list *l, const char *name, const char *type,
                                   const char *text, uint32_t flags)
{
    return list_add(l, true, name, type, text, flags);
}

nnd_status nnd_port_list_add_output(nnd_port_list *l, const char *name, const char *type,
                                    const char *text, uint32_t flags)
{
    return list_add(l, false, name, type, text, flags);
}

void *wf_arena_or_error(nnd_arena *arena, size_t count, size_t size, nnd_status *status)
{
    void *block = nnd_arena_calloc(arena, count ? count : 1, size);
    if (!block) *status = nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory");
    return block;
}

/* Moves collected ports into the plan. */
static nnd_status adopt_ports(nnd_plan *plan, nnd_port_list *l, wf_plan_actor *actor)
{
    nnd_status status = NND_OK;
    actor->in_count = (uint32_t)l->in.count;
    actor->out_count = (uint32_t)l->out.count;
    actor->in = wf_arena_or_error(&plan->arena, l->in.count, sizeof(wf_plan_port), &status);
    actor->out = wf_arena_or_error(&plan->arena, l->out.count, sizeof(wf_plan_port), &status);
    actor->ports_known = status == NND_OK;
    if (status == NND_OK) {
        nnd_vec_copy(actor->in, l->in.items, l->in.count * sizeof(wf_plan_port));
        nnd_vec_copy(actor->out, l->out.items, l->out.count * sizeof(wf_plan_port));
    } else {
        actor->in_count = actor->out_count = 0;
    }
    return status;
}

static void free_ports(nnd_port_list *l)
{
    nnd_vec_free(&l->in);
    nnd_vec_free(&l->out);
}

static nnd_status static_ports(const nnd_node_type *type, nnd_port_list *l)
{
    for (size_t i = 0; i < type->inputs.count; i++) {
        const nnd_port *p = wf_port_at(&type->inputs, i);
        NND_TRY(nnd_port_list_add_input(l, p->name, p->type, p->text, p->flags));
    }
    for (size_t i = 0; i < type->outputs.count; i++) {
        const nnd_port *p = wf_port_at(&type->outputs, i);
        NND_TRY(nnd_port_list_add_output(l, p->name, p->type, p->text, p->flags));
    }
    return NND_OK;
}

/* ---- diagnostics ------------------------------------------------------------------------- */

nnd_status wf_report_record(wf_compiler *c, const wf_plan_actor *actor, const char *code,
                            nnd_status status, const char *doing)
{
    if (status == NND_E_OUT_OF_MEMORY || status == NND_E_CANCELLED) return status;
    nnd_error *error = nnd_error_take();
    nnd_str text = {0};
    for (const nnd_error *e = error; e; e = nnd_error_cause(e)) {
        if (text.size) nnd_str_add(&text, "; because: ");
        nnd_str_add(&text, nnd_error_message(e));
    }
    if (!text.size) nnd_str_add(&text, nnd_status_text(status));
    const char *port = error && nnd_error_port(error)[0] ? nnd_error_port(error) : NULL;
    nnd_status reported = text.failed ? nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory")
                                      : wf_report_actor(c, actor, NND_SEVERITY_ERROR, status, code,
                                                        port, NULL, "%s: %s", doing, text.data);
    nnd_str_free(&text);
    nnd_error_destroy(error);
    return reported;
}

/* ---- actors ------------------------------------------------------------------------------ */

static nnd_status add_actor(wf_compiler *c, wf_actor_kind kind, const char *prefix, const char *id,
                            uint32_t *index)
{
    wf_plan_actor actor = {.kind = kind,
                           .fallback = WF_NONE,
                           .partner = WF_NONE,
                           .until = WF_NONE,
                           .count_port = WF_NONE,
                           .count = -1,
                           .device = nnd_device_cpu()};
    nnd_str path = {0};
    nnd_str_printf(&path, "%s%s", prefix, id);
    actor.path = path.failed ? NULL : nnd_arena_strdup(&c->plan->arena, path.data);
    nnd_str_free(&path);
    if (!actor.path || !nnd_vec_push(&c->plan->actors, actor))
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory for node '%s'", id);
    *index = (uint32_t)(c->plan->actors.count - 1);
    return NND_OK;
}

/* Parameters of a leaf. The values of promoted names of a sub-graph node are no parameters. */
static nnd_status make_params(wf_compiler *c, const wf_scope *scope, const wf_node *node,
                              wf_plan_actor *actor)
{
    wf_givens givens = {NULL, 0, 0};
    wf_field *fields = NULL;
    nnd_status status = wf_collect_givens(c, scope, node, &givens);
    if (status == NND_OK) {
        fields = nnd_alloc((givens.count + 1) * sizeof(*fields));
        if (!fields) status = nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory");
    }
    if (status == NND_OK) {
        size_t count = 0;
        for (size_t i = 0; i < givens.count; i++) {
            bool promoted = false;
            for (size_t k = 0; node->graph && k < node->graph->param_count; k++)
                promoted |= strcmp(node->graph->params[k].name, givens.items[i].field.name) == 0;
            if (!promoted) fields[count++] = givens.items[i].field;
        }
        wf_params_source source = {
            .type = actor->type,
            .node = actor->path,
            .file = scope->file,
            .given = fields,
            .given_count = count,
            .io = c->options->io,
            .services = c->plan->has_services ? &c->plan->services : NULL,
            .place = node->place,
        };
        status = wf_params_make(&source, c->diags, &actor->params);
        if (status == NND_E_VALIDATION) status = NND_OK; /* reported; go on without */
    }
    nnd_free(fields);
    nnd_vec_free(&givens);
    return status;
}

static nnd_status parse_on_error(wf_compiler *c, const wf_node *node, wf_plan_actor *actor)
{
    if (!node->on_error) return NND_OK;
    nnd_json_doc *doc = NULL;
    nnd_status status = nnd_json_parse(node->on_error, strlen(node->on_error), NULL, &doc);
    if (status == NND_E_OUT_OF_MEMORY) return status;
    const nnd_json *root = status == NND_OK ? nnd_json_root(doc) : NULL;
    const char *name = nnd_json_string(root, "");
    int64_t n = 0;
    bool good = true;
    if (strcmp(name, "fail_graph") == 0)
        actor->on_error = WF_ON_ERROR_FAIL;
    else if (strcmp(name, "skip") == 0)
        actor->on_error = WF_ON_ERROR_SKIP;
    else if (strcmp(name, "isolate") == 0)
        actor->on_error = WF_ON_ERROR_ISOLATE;
    else if (strcmp(name, "restart") == 0 || nnd_json_get(root, "restart"))
        actor->on_error = WF_ON_ERROR_RESTART;
    else if (nnd_json_get(root, "fallback"))
        actor->on_error = WF_ON_ERROR_FALLBACK;
    else if (nnd_json_int(nnd_json_get(root, "retry"), &n) && n >= 0 && n <= 1000000) {
        actor->on_error = WF_ON_ERROR_RETRY;
        actor->retries = (uint32_t)n;
    } else
        good = false;
    nnd_json_destroy(doc);
    if (good) return NND_OK;
    nnd_error_clear();
    return wf_report_actor(c, actor, NND_SEVERITY_ERROR, NND_E_INVALID_ARGUMENT, "bad-on-error",
                           NULL, NULL,
                           "on_error must be \"fail_graph\", \"skip\", \"isolate\", \"restart\", "
                           "{\"retry\": n} or {\"fallback\": \"node\"}");
}

static nnd_status fill_common(wf_compiler *c, const wf_scope *scope, const wf_node *node,
                              wf_plan_actor *actor)
{
    actor->file = scope->file;
    actor->place = node->place;
    actor->bypass = node->bypass;
    actor->mute = node->mute;
    if (node->device && node->device[0]) {
        actor->device_name = nnd_arena_strdup(&c->plan->arena, node->device);
        if (!actor->device_name) return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory");
    }
    double ms = node->deadline_ms;
    if (ms > 0) actor->deadline_ns = ms < 9e12 ? (int64_t)(ms * 1e6) : INT64_MAX / 2;
    return parse_on_error(c, node, actor);
}

/* *known = false when the node itself cannot tell, which is reported. */
static nnd_status resolve_dynamic_ports(wf_compiler *c, wf_plan_actor *actor, nnd_port_list *l,
                                        bool *known)
{
    nnd_prepare prepare = {c, c->plan, actor, actor->params, c->options->cancel, c->wf};
    nnd_error_clear();
    nnd_status status = actor->type->resolve_ports(actor->params, &prepare, l);
    *known = status == NND_OK;
    if (*known) return NND_OK;
    return wf_report_record(c, actor, "ports", status, "cannot tell the node's ports");
}

static nnd_status add_leaf(wf_compiler *c, const wf_scope *scope, const wf_node *node,
                           uint32_t *index)
{
    NND_TRY(add_actor(c, WF_ACTOR_NODE, scope->prefix, node->id, index));
    wf_plan_actor *actor = &c->plan->actors.items[*index];
    NND_TRY(fill_common(c, scope, node, actor));
    actor->type = nnd_registry_find(c->plan->registry, node->type, node->version);
    if (!actor->type)
        return wf_report_actor(c, actor, NND_SEVERITY_ERROR, NND_E_MISSING, "unknown-type", NULL,
                               NULL, "node type '%s' is not known here; which plug-in has it?",
                               node->type);
    actor->flags = actor->type->flags;
    NND_TRY(make_params(c, scope, node, actor));
    if (!actor->params) return NND_OK;
    nnd_port_list ports = {.arena = &c->plan->arena};
    bool known = true;
    nnd_status status = actor->type->resolve_ports ? resolve_dynamic_ports(c, actor, &ports, &known)
                                                   : static_ports(actor->type, &ports);
    if (status == NND_OK && known) status = adopt_ports(c->plan, &ports, actor);
    free_ports(&ports);
    return status;
}

/* ---- sub-graphs -------------------------------------------------------------------------- */

static bool is_type(const wf_node *node, const char *type)
{
    return strcmp(node->type, type) == 0;
}

/* "T" as declared, or a variable named after the port when nothing is declared. */
static const char *boundary_type(nnd_arena *arena, const char *declared, const char *side,
                                 size_t index)
{
    if (declared && strcmp(declared, "any") != 0) return nnd_arena_strdup(arena, declared);
    nnd_str name = {0};
    nnd_str_printf(&name, "$%s%zu", side, index);
    char *copy = name.failed ? NULL : nnd_arena_strdup(arena, name.data);
    nnd_str_free(&name);
    return copy;
}

static const char *list_of(nnd_arena *arena, const char *type)
{
    nnd_str text = {0};
    nnd_str_printf(&text, "list<%s>", type);
    char *copy = text.failed ? NULL : nnd_arena_strdup(arena, text.data);
    nnd_str_free(&text);
    return copy;
}

static bool is_over(const nnd_params *params, const char *name, size_t index)
{
    size_t count = nnd_params_string_count(params, "over");
    for (size_t i = 0; i < count; i++)
        if (nnd_str_equal(nnd_params_string_at(params, "over", i), name)) return true;
    return count == 0 && index == 0;
}

static nnd_status check_over(wf_compiler *c, const wf_node *node, const wf_plan_actor *actor)
{
    for (size_t i = 0; i < nnd_params_string_count(actor->params, "over"); i++) {
        const char *name = nnd_params_string_at(actor->params, "over", i);
        nnd_suggest suggest;
        nnd_suggest_begin(&suggest, name);
        bool found = false;
        for (size_t k = 0; k < node->graph->input_count; k++) {
            found |= strcmp(node->graph->inputs[k].name, name) == 0;
            nnd_suggest_offer(&suggest, node->graph->inputs[k].name);
        }
        if (!found)
            NND_TRY(wf_report_actor(c, actor, NND_SEVERITY_ERROR, NND_E_NOT_FOUND, "unknown-port",
                                    "over", suggest.best, "the graph has no input '%s'", name));
    }
    if (node->graph->input_count == 0)
        NND_TRY(wf_report_actor(c, actor, NND_SEVERITY_ERROR, NND_E_INVALID_ARGUMENT,
                                "map-without-input", NULL, NULL,
                                "flow.map needs an input to take the elements from"));
    return NND_OK;
}

/* flow.map: [SPLIT] → body → [JOIN], and an edge that carries the number of elements. */
static nnd_status add_map(wf_compiler *c, wf_scope *outer, wf_scope *scope, const wf_node *node)
{
    nnd_arena *arena = &c->plan->arena;
    NND_TRY(add_actor(c, WF_ACTOR_SPLIT, outer->prefix, node->id, &scope->entry));
    NND_TRY(add_actor(c, WF_ACTOR_JOIN, outer->prefix, node->id, &scope->exit));
    wf_plan_actor *split = &c->plan->actors.items[scope->entry];
    wf_plan_actor *join = &c->plan->actors.items[scope->exit];
    split->partner = scope->exit;
    join->partner = scope->entry;
    NND_TRY(fill_common(c, outer, node, split));
    join->file = split->file;
    join->place = split->place;
    split->type = nnd_registry_find(c->plan->registry, "flow.map", node->version);
    if (!split->type)
        return wf_report_actor(c, split, NND_SEVERITY_ERROR, NND_E_MISSING, "unknown-type", NULL,
                               NULL, "this version of flow.map is not known");
    NND_TRY(make_params(c, outer, node, split));
    if (!split->params) return NND_OK;
    NND_TRY(check_over(c, node, split));
    const wf_graph *g = node->graph;
    nnd_status status = NND_OK;
    split->over = wf_arena_or_error(arena, g->input_count, sizeof(bool), &status);
    NND_TRY(status);
    nnd_port_list ports = {.arena = arena};
    for (size_t i = 0; i < g->input_count && status == NND_OK; i++) {
        const char *type = boundary_type(arena, g->inputs[i].type, "in", i);
        split->over[i] = is_over(split->params, g->inputs[i].name, i);
        const char *outside = type && split->over[i] ? list_of(arena, type) : type;
        if (!type || !outside) status = nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory");
        uint32_t flags = split->over[i] ? 0 : NND_PORT_OPTIONAL;
        if (status == NND_OK)
            status = nnd_port_list_add_input(&ports, g->inputs[i].name, outside, NULL, flags);
        if (status == NND_OK)
            status = nnd_port_list_add_output(&ports, g->inputs[i].name, type, NULL, 0);
    }
    if (status == NND_OK) status = nnd_port_list_add_output(&ports, "#count", "int", NULL, 0);
    if (status == NND_OK) status = adopt_ports(c->plan, &ports, split);
    nnd_vec_clear(&ports.in);
    nnd_vec_clear(&ports.out);
    for (size_t i = 0; i < g->output_count && status == NND_OK; i++) {
        const char *type = boundary_type(arena, NULL, "out", i);
        const char *outside = type ? list_of(arena, type) : NULL;
        if (!outside) status = nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory");
        if (status == NND_OK)
            status = nnd_port_list_add_input(&ports, g->outputs[i].name, type, NULL, 0);
        if (status == NND_OK)
            status = nnd_port_list_add_output(&ports, g->outputs[i].name, outside, NULL, 0);
    }
    if (status == NND_OK) status = nnd_port_list_add_input(&ports, "#count", "int", NULL, 0);
    if (status == NND_OK) status = adopt_ports(c->plan, &ports, join);
    free_ports(&ports);
    return status;
}

static uint32_t find_output(const wf_graph *g, const char *name)
{
    for (size_t i = 0; i < g->output_count; i++)
        if (strcmp(g->outputs[i].name, name) == 0) return (uint32_t)i;
    return WF_NONE;
}

static uint32_t find_input(const wf_graph *g, const char *name)
{
    for (size_t i = 0; i < g->input_count; i++)
        if (strcmp(g->inputs[i].name, name) == 0) return (uint32_t)i;
    return WF_NONE;
}

static nnd_status loop_settings(wf_compiler *c, const wf_node *node, wf_plan_actor *loop)
{
    const wf_graph *g = node->graph;
    loop->max_turns = nnd_params_int(loop->params, "max_turns");
    for (size_t i = 0; i < node->carry_count; i++) {
        uint32_t in = find_input(g, node->carry[i].in), out = find_output(g, node->carry[i].out);
        if (in == WF_NONE || out == WF_NONE) {
            NND_TRY(wf_report(c->diags, NND_SEVERITY_ERROR, NND_E_NOT_FOUND, "unknown-port",
                              loop->file, node->carry[i].place, loop->path,
                              in == WF_NONE ? node->carry[i].in : node->carry[i].out, NULL,
                              "carry names an %s that the graph does not have",
                              in == WF_NONE ? "input" : "output"));
            continue;
        }
        loop->carry[in] = out;
    }
    if (node->until) {
        loop->until = find_output(g, node->until);
        if (loop->until == WF_NONE)
            NND_TRY(wf_report_actor(c, loop, NND_SEVERITY_ERROR, NND_E_NOT_FOUND, "unknown-port",
                                    node->until, NULL, "until names no output of the graph"));
    }
    if (!node->count) {
        if (!node->until)
            NND_TRY(wf_report_actor(c, loop, NND_SEVERITY_ERROR, NND_E_INVALID_ARGUMENT,
                                    "loop-without-end", NULL, "\"count\": 10",
                                    "flow.loop needs \"count\" or \"until\""));
        return NND_OK;
    }
    bool is_ref = false;
    char *input = NULL;
    NND_TRY(wf_param_input_ref(node->count, &is_ref, &input));
    nnd_free(input);
    if (is_ref) return NND_OK; /* connect.c feeds the count port */
    nnd_json_doc *doc = NULL;
    nnd_status status = nnd_json_parse(node->count, strlen(node->count), NULL, &doc);
    if (status == NND_E_OUT_OF_MEMORY) return status;
    int64_t count = -1;
    bool good = status == NND_OK && nnd_json_int(nnd_json_root(doc), &count) && count >= 0;
    nnd_json_destroy(doc);
    nnd_error_clear();
    loop->count = count;
    if (good && count <= loop->max_turns) return NND_OK;
    return wf_report_actor(c, loop, NND_SEVERITY_ERROR, good ? NND_E_LIMIT : NND_E_TYPE,
                           "bad-count", "count", NULL,
                           "count must be a number from 0 to max_turns (%lld), not %s",
                           (long long)loop->max_turns, node->count);
}

/* flow.loop: in ports are the graph's inputs, then what comes back from the body, then the count;
   out ports are what the body gets, then the results. */
static nnd_status add_loop(wf_compiler *c, wf_scope *outer, wf_scope *scope, const wf_node *node)
{
    nnd_arena *arena = &c->plan->arena;
    NND_TRY(add_actor(c, WF_ACTOR_LOOP, outer->prefix, node->id, &scope->entry));
    scope->exit = scope->entry;
    wf_plan_actor *loop = &c->plan->actors.items[scope->entry];
    NND_TRY(fill_common(c, outer, node, loop));
    loop->type = nnd_registry_find(c->plan->registry, "flow.loop", node->version);
    if (!loop->type)
        return wf_report_actor(c, loop, NND_SEVERITY_ERROR, NND_E_MISSING, "unknown-type", NULL,
                               NULL, "this version of flow.loop is not known");
    NND_TRY(make_params(c, outer, node, loop));
    if (!loop->params) return NND_OK;
    const wf_graph *g = node->graph;
    nnd_status status = NND_OK;
    loop->body_inputs = (uint32_t)g->input_count;
    loop->body_outputs = (uint32_t)g->output_count;
    loop->carry = wf_arena_or_error(arena, g->input_count, sizeof(uint32_t), &status);
    NND_TRY(status);
    for (size_t i = 0; i < g->input_count; i++)
        loop->carry[i] = WF_NONE;
    NND_TRY(loop_settings(c, node, loop));
    nnd_port_list ports = {.arena = arena};
    for (size_t i = 0; i < g->input_count && status == NND_OK; i++) {
        const char *type = boundary_type(arena, g->inputs[i].type, "in", i);
        if (!type) status = nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory");
        if (status == NND_OK)
            status =
                nnd_port_list_add_input(&ports, g->inputs[i].name, type, NULL, NND_PORT_OPTIONAL);
        if (status == NND_OK)
            status = nnd_port_list_add_output(&ports, g->inputs[i].name, type, NULL, 0);
    }
    for (size_t i = 0; i < g->output_count && status == NND_OK; i++) {
        const char *type = boundary_type(arena, i == loop->until ? "bool" : NULL, "out", i);
        nnd_str name = {0}; /* '#' keeps the names apart from the inputs' */
        nnd_str_printf(&name, "#%s", g->outputs[i].name);
        if (!type || name.failed) status = nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory");
        if (status == NND_OK) status = nnd_port_list_add_input(&ports, name.data, type, NULL, 0);
        if (status == NND_OK) status = nnd_port_list_add_output(&ports, name.data, type, NULL, 0);
        nnd_str_free(&name);
    }
    if (status == NND_OK && node->count && loop->count < 0) {
        loop->count_port = (uint32_t)ports.in.count;
        status = nnd_port_list_add_input(&ports, "#count", "int", NULL, 0);
    }
    if (status == NND_OK) status = adopt_ports(c->plan, &ports, loop);
    free_ports(&ports);
    return status;
}

/* A muted or bypassed sub-graph node: its body does not exist, only its ports do. */
static nnd_status add_hollow(wf_compiler *c, const wf_scope *outer, const wf_node *node,
                             uint32_t *index)
{
    NND_TRY(add_actor(c, WF_ACTOR_NODE, outer->prefix, node->id, index));
    wf_plan_actor *actor = &c->plan->actors.items[*index];
    NND_TRY(fill_common(c, outer, node, actor));
    nnd_port_list ports = {.arena = &c->plan->arena};
    nnd_status status = NND_OK;
    for (size_t i = 0; i < node->graph->input_count && status == NND_OK; i++)
        status = nnd_port_list_add_input(&ports, node->graph->inputs[i].name,
                                         node->graph->inputs[i].type, NULL, NND_PORT_OPTIONAL);
    for (size_t i = 0; i < node->graph->output_count && status == NND_OK; i++)
        status = nnd_port_list_add_output(&ports, node->graph->outputs[i].name, "any", NULL, 0);
    if (status == NND_OK) status = adopt_ports(c->plan, &ports, actor);
    free_ports(&ports);
    return status;
}

static nnd_status flatten_graph(wf_compiler *c, wf_scope *scope, unsigned depth);

static nnd_status new_scope(wf_compiler *c, wf_scope *parent, const wf_node *node,
                            const wf_graph *graph, wf_scope **out)
{
    nnd_status status = NND_OK;
    wf_scope *scope = wf_arena_or_error(&c->arena, 1, sizeof(*scope), &status);
    NND_TRY(status);
    scope->graph = graph;
    scope->parent = parent;
    scope->node = node;
    scope->entry = scope->exit = WF_NONE;
    scope->prefix = "";
    scope->file = graph->file ? nnd_arena_strdup(&c->plan->arena, graph->file)
                              : (parent ? parent->file : NULL);
    if (parent) {
        nnd_str prefix = {0};
        nnd_str_printf(&prefix, "%s%s/", parent->prefix, node->id);
        scope->prefix = prefix.failed ? NULL : nnd_arena_strdup(&c->arena, prefix.data);
        nnd_str_free(&prefix);
    }
    scope->children =
        wf_arena_or_error(&c->arena, graph->node_count, sizeof(*scope->children), &status);
    if (!scope->prefix || status != NND_OK || !nnd_vec_push(&c->scopes, scope))
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory");
    *out = scope;
    return NND_OK;
}

static nnd_status add_child(wf_compiler *c, wf_scope *scope, size_t i, unsigned depth)
{
    const wf_node *node = &scope->graph->nodes[i];
    scope->children[i].actor = WF_NONE;
    if (!node->graph) return add_leaf(c, scope, node, &scope->children[i].actor);
    if (node->bypass || node->mute) return add_hollow(c, scope, node, &scope->children[i].actor);
    if (depth >= WF_DEPTH_MAX)
        return wf_report(c->diags, NND_SEVERITY_ERROR, NND_E_LIMIT, "too-deep", scope->file,
                         node->place, node->id, NULL, NULL,
                         "sub-graphs are nested deeper than %d levels", WF_DEPTH_MAX);
    wf_scope *inner = NULL;
    NND_TRY(new_scope(c, scope, node, node->graph, &inner));
    scope->children[i].scope = inner;
    if (is_type(node, "flow.map")) {
        inner->kind = WF_ACTOR_SPLIT;
        NND_TRY(add_map(c, scope, inner, node));
    } else if (is_type(node, "flow.loop")) {
        inner->kind = WF_ACTOR_LOOP;
        NND_TRY(add_loop(c, scope, inner, node));
    }
    return flatten_graph(c, inner, depth + 1);
}

static nnd_status flatten_graph(wf_compiler *c, wf_scope *scope, unsigned depth)
{
    for (size_t i = 0; i < scope->graph->node_count; i++) {
        NND_TRY(nnd_cancel_check(c->options->cancel));
        NND_TRY(add_child(c, scope, i, depth));
    }
    return NND_OK;
}

/* ---- the workflow's own boundary --------------------------------------------------------- */

static nnd_status add_inputs(wf_compiler *c)
{
    const wf_graph *g = c->root->graph;
    nnd_plan *plan = c->plan;
    nnd_status status = NND_OK;
    plan->input_count = (uint32_t)g->input_count;
    plan->inputs = wf_arena_or_error(&plan->arena, g->input_count, sizeof(uint32_t), &status);
    NND_TRY(status);
    for (size_t i = 0; i < g->input_count; i++) {
        uint32_t index;
        NND_TRY(add_actor(c, WF_ACTOR_INPUT, "", g->inputs[i].name, &index));
        plan->inputs[i] = index;
        if (i == 0) c->root->entry = index;
        wf_plan_actor *actor = &plan->actors.items[index];
        actor->place = g->inputs[i].place;
        nnd_port_list ports = {.arena = &plan->arena};
        const char *type = g->inputs[i].type ? g->inputs[i].type : "any";
        status = nnd_port_list_add_output(&ports, g->inputs[i].name, type, NULL, 0);
        if (status == NND_OK) status = adopt_ports(plan, &ports, actor);
        free_ports(&ports);
        if (status != NND_OK)
            NND_TRY(wf_report_record(c, actor, "bad-type", status, "bad workflow input"));
    }
    return NND_OK;
}

static nnd_status add_outputs(wf_compiler *c)
{
    const wf_graph *g = c->root->graph;
    nnd_plan *plan = c->plan;
    nnd_status status = NND_OK;
    plan->output_count = (uint32_t)g->output_count;
    plan->outputs = wf_arena_or_error(&plan->arena, g->output_count, sizeof(uint32_t), &status);
    NND_TRY(status);
    for (size_t i = 0; i < g->output_count; i++) {
        uint32_t index;
        NND_TRY(add_actor(c, WF_ACTOR_OUTPUT, "", g->outputs[i].name, &index));
        plan->outputs[i] = index;
        wf_plan_actor *actor = &plan->actors.items[index];
        actor->place = g->outputs[i].place;
        nnd_port_list ports = {.arena = &plan->arena};
        status = nnd_port_list_add_input(&ports, g->outputs[i].name, "$T", NULL, 0);
        if (status == NND_OK) status = adopt_ports(plan, &ports, actor);
        free_ports(&ports);
        NND_TRY(status);
    }
    return NND_OK;
}

nnd_status wf_compile_flatten(wf_compiler *c)
{
    NND_TRY(new_scope(c, NULL, NULL, &c->wf->root, &c->root));
    NND_TRY(add_inputs(c));
    NND_TRY(flatten_graph(c, c->root, 0));
    return add_outputs(c);
}
