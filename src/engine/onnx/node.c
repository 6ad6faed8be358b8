/* NodeProto and AttributeProto; nodes that call a model-local function become its body, and a
   Gradient the derivatives. */
#include <stdio.h>
#include <string.h>

#include "engine/onnx/gradient.h"
#include "engine/onnx/onnx.h"
#include "engine/onnx/scope.h"
#include "engine/ops/op.h"

enum {
    N_INPUT = 1,
    N_OUTPUT = 2,
    N_NAME = 3,
    N_TYPE = 4,
    N_ATTRIBUTE = 5,
    N_DOMAIN = 7,
    N_OVERLOAD = 8
};
enum {
    A_NAME = 1,
    A_F = 2,
    A_I = 3,
    A_S = 4,
    A_T = 5,
    A_G = 6,
    A_FLOATS = 7,
    A_INTS = 8,
    A_STRINGS = 9,
    A_TYPE = 20,
    A_REFERENCE = 21
};

static nnd_status out_of_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the model's graph");
}

/* ---- attributes ---------------------------------------------------------------------------- */

/* Elements of a repeated scalar field over all its occurrences. */
static bool count_items(nnd_pb_bytes message, uint32_t number, unsigned width, size_t *out)
{
    nnd_pb_field f;
    bool bad = false;
    size_t n = 0, more;
    while (nnd_pb_next(&message, &f, &bad)) {
        if (f.number != number) continue;
        if (!nnd_pb_packed_count(&f, width, &more)) return false;
        n += more;
    }
    *out = n;
    return !bad;
}

static float float_of_bits(uint64_t bits)
{
    uint32_t low = (uint32_t)bits;
    float f;
    memcpy(&f, &low, sizeof(f));
    return f;
}

static nnd_status read_ints(nnd_graph *g, nnd_pb_bytes message, nnd_attr *a)
{
    nnd_pb_field f;
    bool bad = false;
    if (!count_items(message, A_INTS, 0, &a->count)) return nnd_onnx_malformed("an attribute");
    a->u.ints = nnd_arena_calloc(&g->arena, a->count ? a->count : 1, sizeof(int64_t));
    if (!a->u.ints) return out_of_memory();
    size_t n = 0;
    while (nnd_pb_next(&message, &f, &bad)) {
        if (f.number != A_INTS) continue;
        uint64_t value = f.bits;
        if (f.type != NND_PB_LEN) a->u.ints[n++] = (int64_t)value;
        while (f.bytes.size && n < a->count) {
            if (!nnd_pb_varint(&f.bytes, &value)) return nnd_onnx_malformed("an attribute");
            a->u.ints[n++] = (int64_t)value;
        }
    }
    return NND_OK;
}

static nnd_status read_floats(nnd_graph *g, nnd_pb_bytes message, nnd_attr *a)
{
    nnd_pb_field f;
    bool bad = false;
    if (!count_items(message, A_FLOATS, 4, &a->count)) return nnd_onnx_malformed("an attribute");
    a->u.floats = nnd_arena_calloc(&g->arena, a->count ? a->count : 1, sizeof(float));
    if (!a->u.floats) return out_of_memory();
    size_t n = 0;
    while (nnd_pb_next(&message, &f, &bad)) {
        if (f.number != A_FLOATS) continue;
        if (f.type != NND_PB_LEN) {
            a->u.floats[n++] = float_of_bits(f.bits);
        } else if (f.bytes.size) {
            memcpy(a->u.floats + n, f.bytes.data, f.bytes.size);
            n += f.bytes.size / 4;
        }
    }
    return NND_OK;
}

static nnd_status copy_string(nnd_graph *g, nnd_pb_bytes bytes, nnd_string *out)
{
    out->text =
        nnd_arena_strdup_n(&g->arena, bytes.size ? (const char *)bytes.data : "", bytes.size);
    out->size = bytes.size;
    return out->text ? NND_OK : out_of_memory();
}

static nnd_status read_string_list(nnd_graph *g, nnd_pb_bytes message, nnd_attr *a)
{
    nnd_pb_field f;
    bool bad = false;
    nnd_pb_bytes again = message;
    while (nnd_pb_next(&again, &f, &bad))
        a->count += f.number == A_STRINGS && f.type == NND_PB_LEN;
    a->u.strings = nnd_arena_calloc(&g->arena, a->count ? a->count : 1, sizeof(nnd_string));
    if (!a->u.strings) return out_of_memory();
    size_t n = 0;
    while (nnd_pb_next(&message, &f, &bad))
        if (f.number == A_STRINGS && f.type == NND_PB_LEN)
            NND_TRY(copy_string(g, f.bytes, &a->u.strings[n++]));
    return NND_OK;
}

/* The tensor becomes an unnamed constant of the graph, which then owns its memory. */
static nnd_status read_tensor_attr(nnd_onnx_model *m, nnd_graph *g, nnd_pb_bytes bytes, nnd_attr *a)
{
    nnd_tensor t;
    void *owned;
    uint32_t id;
    NND_TRY(nnd_onnx_read_tensor(m, &g->arena, bytes, &t, &owned, NULL));
    nnd_status status = nnd_graph_add_value(g, NULL, &id);
    if (status != NND_OK) {
        nnd_free_aligned(owned);
        return status;
    }
    NND_TRY(nnd_graph_set_constant(g, id, &t, owned));
    g->values[id].held = true;
    a->home = g;
    a->holder = id;
    a->u.tensor = nnd_arena_calloc(&g->arena, 1, sizeof(nnd_tensor));
    if (!a->u.tensor) return out_of_memory();
    *a->u.tensor = t;
    return NND_OK;
}

nnd_status nnd_onnx_align_tensors(nnd_graph *g, nnd_attr *attrs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const nnd_tensor *aligned;
        if (attrs[i].kind != NND_ATTR_TENSOR || attrs[i].reference) continue;
        NND_TRY(nnd_graph_constant(g, attrs[i].holder, &aligned));
        *attrs[i].u.tensor = *aligned;
    }
    return NND_OK;
}

/* The attribute's kind: what the file says, or by the field that is there (early files lack it). */
static nnd_attr_kind kind_of(nnd_pb_bytes message, uint64_t *type)
{
    static const nnd_attr_kind by_type[] = {NND_ATTR_NONE,   NND_ATTR_FLOAT,  NND_ATTR_INT,
                                            NND_ATTR_STRING, NND_ATTR_TENSOR, NND_ATTR_GRAPH,
                                            NND_ATTR_FLOATS, NND_ATTR_INTS,   NND_ATTR_STRINGS};
    static const nnd_attr_kind by_field[] = {
        NND_ATTR_NONE,   NND_ATTR_NONE,  NND_ATTR_FLOAT,  NND_ATTR_INT,  NND_ATTR_STRING,
        NND_ATTR_TENSOR, NND_ATTR_GRAPH, NND_ATTR_FLOATS, NND_ATTR_INTS, NND_ATTR_STRINGS};
    nnd_pb_field f;
    bool bad = false;
    nnd_attr_kind guess = NND_ATTR_NONE;
    *type = 0;
    while (nnd_pb_next(&message, &f, &bad)) {
        if (f.number == A_TYPE) *type = f.bits;
        if (f.number < NND_COUNT(by_field) && by_field[f.number]) guess = by_field[f.number];
    }
    if (*type == 0) return guess;
    return *type < NND_COUNT(by_type) ? by_type[*type] : NND_ATTR_OTHER;
}

static nnd_status read_body(nnd_onnx_model *m, nnd_graph *g, nnd_pb_bytes bytes, int depth,
                            nnd_attr *a)
{
    nnd_graph *body;
    NND_TRY(nnd_graph_create(g, a->name, &body));
    a->u.graph = body; /* owned by g from here on, also when reading fails */
    return nnd_onnx_read_graph(m, bytes, body, depth + 1);
}

/* A reference to an attribute of the function that is being expanded. false = leave it out. */
static bool resolve_reference(const nnd_onnx_model *m, nnd_attr *a)
{
    const char *name = a->name, *reference = a->reference;
    for (size_t i = 0; m->scope && i < m->scope->attr_count; i++)
        if (strcmp(m->scope->attrs[i].name, a->reference) == 0) {
            *a = m->scope->attrs[i];
            a->name = name;
            a->reference = reference;
            return true;
        }
    return false;
}

static nnd_status read_attribute(nnd_onnx_model *m, nnd_graph *g, nnd_pb_bytes message, int depth,
                                 nnd_attr *a)
{
    nnd_pb_field f;
    bool bad = false;
    nnd_pb_bytes left = message, name = {0}, reference = {0}, payload = {0};
    uint64_t i = 0, bits = 0, type;
    a->kind = kind_of(message, &type);
    while (nnd_pb_next(&left, &f, &bad)) {
        if (f.number == A_NAME) name = f.bytes;
        if (f.number == A_REFERENCE) reference = f.bytes;
        if (f.number == A_I) i = f.bits;
        if (f.number == A_F) bits = f.bits;
        if (f.number == A_S && a->kind == NND_ATTR_STRING) payload = f.bytes;
        if (f.number == A_T && a->kind == NND_ATTR_TENSOR) payload = f.bytes;
        if (f.number == A_G && a->kind == NND_ATTR_GRAPH) payload = f.bytes;
    }
    if (bad) return nnd_onnx_malformed("an attribute ends in the middle of a field");
    NND_TRY(nnd_onnx_string(&g->arena, name, &a->name));
    if (reference.size) {
        NND_TRY(nnd_onnx_string(&g->arena, reference, &a->reference));
        if (!resolve_reference(m, a)) a->kind = NND_ATTR_NONE;
        return NND_OK;
    }
    switch (a->kind) {
    case NND_ATTR_INT:
        a->u.i = (int64_t)i;
        return NND_OK;
    case NND_ATTR_FLOAT:
        a->u.f = float_of_bits(bits);
        return NND_OK;
    case NND_ATTR_STRING:
        return copy_string(g, payload, &a->u.s);
    case NND_ATTR_TENSOR:
        return read_tensor_attr(m, g, payload, a);
    case NND_ATTR_GRAPH:
        return read_body(m, g, payload, depth, a);
    case NND_ATTR_INTS:
        return read_ints(g, message, a);
    case NND_ATTR_FLOATS:
        return read_floats(g, message, a);
    case NND_ATTR_STRINGS:
        return read_string_list(g, message, a);
    default:
        return NND_OK;
    }
}

/* ---- nodes --------------------------------------------------------------------------------- */

/* The lists and strings of a NodeProto, names already translated into the enclosing scope. */
typedef struct node_fields {
    nnd_pb_bytes name, type, domain, overload;
    size_t input_count, output_count;
    const char **inputs, **outputs;
} node_fields;

static nnd_status read_fields(nnd_onnx_model *m, nnd_graph *g, nnd_pb_bytes message, node_fields *n)
{
    nnd_pb_field f;
    bool bad = false;
    nnd_pb_bytes left = message;
    *n = (node_fields){0};
    while (nnd_pb_next(&left, &f, &bad)) {
        n->input_count += f.number == N_INPUT;
        n->output_count += f.number == N_OUTPUT;
        if (f.number == N_NAME) n->name = f.bytes;
        if (f.number == N_TYPE) n->type = f.bytes;
        if (f.number == N_DOMAIN) n->domain = f.bytes;
        if (f.number == N_OVERLOAD) n->overload = f.bytes;
    }
    if (bad) return nnd_onnx_malformed("a node ends in the middle of a field");
    n->inputs = nnd_arena_calloc(&g->arena, n->input_count + 1, sizeof(char *));
    n->outputs = nnd_arena_calloc(&g->arena, n->output_count + 1, sizeof(char *));
    if (!n->inputs || !n->outputs) return out_of_memory();
    size_t in = 0, out = 0;
    while (nnd_pb_next(&message, &f, &bad)) {
        if (f.number == N_INPUT) NND_TRY(nnd_onnx_scoped_name(m, g, f.bytes, &n->inputs[in++]));
        if (f.number == N_OUTPUT) NND_TRY(nnd_onnx_scoped_name(m, g, f.bytes, &n->outputs[out++]));
    }
    return NND_OK;
}

nnd_status nnd_onnx_read_attributes(nnd_onnx_model *m, nnd_graph *g, nnd_pb_bytes message,
                                    uint32_t field, int depth, nnd_attr **attrs, size_t *kept)
{
    nnd_pb_field f;
    bool bad = false;
    nnd_pb_bytes again = message;
    size_t count = 0;
    while (nnd_pb_next(&again, &f, &bad))
        count += f.number == field;
    *kept = 0;
    *attrs = nnd_arena_calloc(&g->arena, count ? count : 1, sizeof(nnd_attr));
    if (!*attrs) return out_of_memory();
    while (nnd_pb_next(&message, &f, &bad)) {
        if (f.number != field) continue;
        nnd_attr a = {0};
        NND_TRY(read_attribute(m, g, f.bytes, depth, &a));
        if (a.kind != NND_ATTR_NONE) (*attrs)[(*kept)++] = a;
    }
    return NND_OK;
}

/* A Constant node with a tensor needs no operator: its output is the constant. */
static nnd_status append_constant(nnd_graph *g, const char *name, const nnd_attr *a)
{
    uint32_t id;
    NND_TRY(nnd_graph_add_value(g, name, &id));
    if (a->reference) return nnd_graph_set_constant(g, id, a->u.tensor, NULL);
    nnd_graph_value *holder = &g->values[a->holder];
    void *owned = holder->owned;
    holder->owned = NULL;
    return nnd_graph_set_constant(g, id, a->u.tensor, owned);
}

static bool is_tensor_constant(const node_fields *n, const char *domain, const char *type,
                               const nnd_attr *attrs, size_t attr_count)
{
    return !domain[0] && strcmp(type, "Constant") == 0 && attr_count == 1 &&
           attrs[0].kind == NND_ATTR_TENSOR && n->output_count == 1 && n->outputs[0][0];
}

static nnd_status append_node(nnd_onnx_model *m, nnd_graph *g, const node_fields *n,
                              const char *name, const char *domain, const char *type,
                              nnd_attr *attrs, size_t attr_count)
{
    if (is_tensor_constant(n, domain, type, attrs, attr_count))
        return append_constant(g, n->outputs[0], &attrs[0]);
    NND_TRY(nnd_onnx_align_tensors(g, attrs, attr_count));
    uint32_t *inputs = nnd_arena_calloc(&g->arena, n->input_count + 1, sizeof(uint32_t));
    if (!inputs) return out_of_memory();
    for (size_t i = 0; i < n->input_count; i++) {
        inputs[i] = NND_NO_ID;
        if (!n->inputs[i][0]) continue;
        nnd_status status = nnd_graph_resolve(g, n->inputs[i], &inputs[i]);
        if (status == NND_E_NOT_FOUND)
            return nnd_error_set(NND_E_FORMAT,
                                 "malformed ONNX: input '%s' of the %s node '%s' is not defined "
                                 "before it",
                                 n->inputs[i], type, name);
        NND_TRY(status);
    }
    nnd_graph_node *node;
    NND_TRY(nnd_graph_add_node(g, domain, type, nnd_onnx_opset(m, domain), name, n->input_count,
                               inputs, n->output_count, n->outputs, &node));
    node->attrs = attrs;
    node->attr_count = attr_count;
    return nnd_graph_close_node(g, node);
}

nnd_status nnd_onnx_read_node(nnd_onnx_model *m, nnd_pb_bytes message, nnd_graph *g, int depth)
{
    node_fields n;
    const char *name, *type, *domain, *overload;
    nnd_attr *attrs;
    size_t attr_count;
    if (g->node_count >= NND_ONNX_MAX_NODES)
        return nnd_error_set(NND_E_LIMIT, "the model has more than %d nodes", NND_ONNX_MAX_NODES);
    NND_TRY(read_fields(m, g, message, &n));
    NND_TRY(nnd_onnx_string(&g->arena, n.name, &name));
    NND_TRY(nnd_onnx_string(&g->arena, n.type, &type));
    NND_TRY(nnd_onnx_string(&g->arena, n.domain, &domain));
    NND_TRY(nnd_onnx_string(&g->arena, n.overload, &overload));
    if (strcmp(domain, "ai.onnx") == 0) domain = "";
    NND_TRY(nnd_onnx_read_attributes(m, g, message, N_ATTRIBUTE, depth, &attrs, &attr_count));
    if (nnd_gradient_is(domain, type))
        return nnd_gradient_expand(m, g,
                                   &(nnd_gradient_call){name, n.input_count, n.output_count,
                                                        attr_count, n.inputs, n.outputs, attrs});
    const nnd_onnx_function *function = nnd_onnx_find_function(m, domain, type, overload);
    if (!function || nnd_op_find(domain, type, nnd_onnx_opset(m, domain)))
        return append_node(m, g, &n, name, domain, type, attrs, attr_count);
    NND_TRY(nnd_onnx_align_tensors(g, attrs, attr_count));
    return nnd_onnx_expand(m, g, depth, function, name, n.input_count, n.inputs, n.output_count,
                           n.outputs, attrs, attr_count);
}
