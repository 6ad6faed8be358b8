/* Model-local functions: a call becomes a copy of the body under names of its own. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "engine/onnx/scope.h"

enum { P_INPUT = 4, P_OUTPUT = 5, P_NODE = 7, P_OPSET = 9, P_DEFAULT = 11 };

static nnd_status out_of_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a model-local function");
}

nnd_status nnd_onnx_scoped_name(const nnd_onnx_model *m, nnd_graph *g, nnd_pb_bytes text,
                                const char **out)
{
    const nnd_onnx_scope *scope = m->scope;
    NND_TRY(nnd_onnx_string(&g->arena, text, out));
    if (!scope || !(*out)[0]) return NND_OK;
    for (size_t i = 0; i < scope->pair_count; i++)
        if (strcmp(scope->pairs[i].formal, *out) == 0) {
            *out = scope->pairs[i].actual;
            return NND_OK;
        }
    size_t prefix = strlen(scope->prefix), size = strlen(*out);
    char *joined = nnd_arena_calloc(&g->arena, prefix + size + 1, 1);
    if (!joined) return out_of_memory();
    memcpy(joined, scope->prefix, prefix);
    memcpy(joined + prefix, *out, size);
    *out = joined;
    return NND_OK;
}

int64_t nnd_onnx_opset(const nnd_onnx_model *m, const char *domain)
{
    const nnd_onnx_scope *scope = m->scope;
    if (strcmp(domain, "ai.onnx") == 0) domain = "";
    for (size_t i = 0; scope && i < scope->opset_count; i++)
        if (strcmp(scope->opsets[i].domain, domain) == 0) return scope->opsets[i].version;
    for (size_t i = 0; i < m->opset_count; i++)
        if (strcmp(m->opsets[i].domain, domain) == 0) return m->opsets[i].version;
    return 0;
}

nnd_status nnd_onnx_read_opset(nnd_arena *arena, nnd_pb_bytes message, nnd_engine_opset *out)
{
    nnd_pb_field f;
    bool bad = false;
    nnd_pb_bytes domain = {0};
    uint64_t version = 0;
    while (nnd_pb_next(&message, &f, &bad)) {
        if (f.number == 1) domain = f.bytes;
        if (f.number == 2) version = f.bits;
    }
    if (bad || version > INT32_MAX) return nnd_onnx_malformed("an opset import");
    NND_TRY(nnd_onnx_string(arena, domain, &out->domain));
    if (strcmp(out->domain, "ai.onnx") == 0) out->domain = "";
    out->version = (int64_t)version;
    return NND_OK;
}

const nnd_onnx_function *nnd_onnx_find_function(const nnd_onnx_model *m, const char *domain,
                                                const char *name, const char *overload)
{
    for (size_t i = 0; i < m->function_count; i++) {
        const nnd_onnx_function *f = &m->functions[i];
        if (strcmp(f->name, name) == 0 && strcmp(f->domain, domain) == 0 &&
            strcmp(f->overload, overload) == 0)
            return f;
    }
    return NULL;
}

/* Pairs the k-th formal name with the k-th actual one; what the caller left out is "". */
static nnd_status add_pair(nnd_graph *g, nnd_onnx_scope *scope, nnd_pb_bytes formal, size_t k,
                           size_t count, const char *const *actual, const char *left_out)
{
    nnd_onnx_name_pair *pair = &scope->pairs[scope->pair_count];
    NND_TRY(nnd_onnx_string(&g->arena, formal, &pair->formal));
    pair->actual = k < count && actual[k][0] ? actual[k] : left_out;
    if (pair->actual) scope->pair_count++;
    return NND_OK;
}

static nnd_status fill_scope(nnd_onnx_model *m, nnd_graph *g, const nnd_onnx_function *function,
                             nnd_onnx_scope *scope, size_t input_count, const char *const *inputs,
                             size_t output_count, const char *const *outputs)
{
    nnd_pb_bytes body = function->body;
    nnd_pb_field f;
    bool bad = false;
    size_t pairs = 0, opsets = 0, in = 0, out = 0;
    while (nnd_pb_next(&body, &f, &bad)) {
        pairs += f.number == P_INPUT || f.number == P_OUTPUT;
        opsets += f.number == P_OPSET;
    }
    if (bad) return nnd_onnx_malformed("a function ends in the middle of a field");
    scope->pairs = nnd_arena_calloc(&g->arena, pairs + 1, sizeof(*scope->pairs));
    scope->opsets = nnd_arena_calloc(&g->arena, opsets + 1, sizeof(*scope->opsets));
    if (!scope->pairs || !scope->opsets) return out_of_memory();
    body = function->body;
    while (nnd_pb_next(&body, &f, &bad)) {
        if (f.number == P_INPUT)
            NND_TRY(add_pair(g, scope, f.bytes, in++, input_count, inputs, ""));
        if (f.number == P_OUTPUT)
            NND_TRY(add_pair(g, scope, f.bytes, out++, output_count, outputs, NULL));
        if (f.number == P_OPSET)
            NND_TRY(nnd_onnx_read_opset(&g->arena, f.bytes, &scope->opsets[scope->opset_count++]));
    }
    (void)m;
    return NND_OK;
}

static bool has_attribute(const nnd_attr *attrs, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(attrs[i].name, name) == 0) return true;
    return false;
}

/* What the caller does not say has the value that the function says. */
static nnd_status add_defaults(nnd_onnx_model *m, nnd_graph *g, int depth,
                               const nnd_onnx_function *function, nnd_onnx_scope *scope)
{
    const size_t given = scope->attr_count;
    nnd_attr *defaults, *all;
    size_t count;
    NND_TRY(nnd_onnx_read_attributes(m, g, function->body, P_DEFAULT, depth, &defaults, &count));
    if (!count) return NND_OK;
    NND_TRY(nnd_onnx_align_tensors(g, defaults, count));
    all = nnd_arena_calloc(&g->arena, given + count, sizeof(*all));
    if (!all) return out_of_memory();
    if (given) memcpy(all, scope->attrs, given * sizeof(*all));
    for (size_t i = 0; i < count; i++)
        if (!has_attribute(all, given, defaults[i].name)) all[scope->attr_count++] = defaults[i];
    scope->attrs = all;
    return NND_OK;
}

nnd_status nnd_onnx_expand(nnd_onnx_model *m, nnd_graph *g, int depth,
                           const nnd_onnx_function *function, const char *call_name,
                           size_t input_count, const char *const *inputs, size_t output_count,
                           const char *const *outputs, const nnd_attr *attrs, size_t attr_count)
{
    nnd_onnx_scope scope = {.caller = m->scope, .attrs = attrs, .attr_count = attr_count};
    scope.depth = m->scope ? m->scope->depth + 1 : 1;
    if (scope.depth > NND_ONNX_MAX_DEPTH)
        return nnd_error_set(NND_E_LIMIT, "the function '%s' calls functions more than %d deep",
                             function->name, NND_ONNX_MAX_DEPTH);
    char prefix[96];
    snprintf(prefix, sizeof(prefix), "%.40s#%zu/", call_name, m->expanded_nodes++);
    scope.prefix = nnd_arena_strdup_n(&g->arena, prefix, strlen(prefix));
    if (!scope.prefix) return out_of_memory();
    NND_TRY(fill_scope(m, g, function, &scope, input_count, inputs, output_count, outputs));
    NND_TRY(add_defaults(m, g, depth, function, &scope));
    nnd_pb_bytes *nodes;
    size_t count;
    NND_TRY(nnd_onnx_order_nodes(function->body, P_NODE, &nodes, &count));
    const nnd_onnx_scope *outer = m->scope;
    m->scope = &scope;
    nnd_status status = NND_OK;
    for (size_t i = 0; i < count && status == NND_OK; i++) {
        if (++m->expanded_nodes > NND_ONNX_MAX_NODES)
            status =
                nnd_error_set(NND_E_LIMIT, "the model's functions expand to more than %d nodes",
                              NND_ONNX_MAX_NODES);
        else
            status = nnd_onnx_read_node(m, nodes[i], g, depth);
    }
    nnd_free(nodes);
    m->scope = outer;
    return status;
}
