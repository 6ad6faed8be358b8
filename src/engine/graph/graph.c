#include "engine/graph/graph.h"

#include <stdio.h>
#include <string.h>

/* ---- names: open addressing, ids only, the strings belong to the values ------------------ */

struct nnd_names {
    size_t capacity; /* power of two */
    size_t count;
    uint32_t *slots; /* value id, NND_NO_ID = empty */
};

static uint64_t hash_text(const char *text)
{
    uint64_t h = 14695981039346656037u;
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 1099511628211u;
    return h ^ (h >> 29);
}

static size_t slot_of(const nnd_graph *g, const char *name)
{
    const nnd_names *n = g->names;
    size_t i = (size_t)hash_text(name) & (n->capacity - 1);
    while (n->slots[i] != NND_NO_ID && strcmp(g->values[n->slots[i]].name, name) != 0)
        i = (i + 1) & (n->capacity - 1);
    return i;
}

static bool names_grow(nnd_graph *g)
{
    nnd_names *n = g->names;
    size_t capacity = n->capacity ? n->capacity * 2 : 64;
    uint32_t *slots = nnd_alloc(capacity * sizeof(*slots));
    if (!slots) return false;
    memset(slots, 0xff, capacity * sizeof(*slots));
    uint32_t *old = n->slots;
    size_t old_capacity = n->capacity;
    n->slots = slots;
    n->capacity = capacity;
    for (size_t i = 0; i < old_capacity; i++)
        if (old[i] != NND_NO_ID) slots[slot_of(g, g->values[old[i]].name)] = old[i];
    nnd_free(old);
    return true;
}

uint32_t nnd_graph_find_value(const nnd_graph *g, const char *name)
{
    if (!name || !name[0] || !g->names->capacity) return NND_NO_ID;
    return g->names->slots[slot_of(g, name)];
}

/* ---- creation ------------------------------------------------------------------------------ */

static nnd_status out_of_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the model's graph");
}

nnd_status nnd_graph_create(nnd_graph *parent, const char *name, nnd_graph **out)
{
    *out = NULL;
    nnd_graph *g = nnd_calloc(1, sizeof(*g));
    if (!g) return out_of_memory();
    g->names = nnd_calloc(1, sizeof(*g->names));
    if (!g->names) {
        nnd_free(g);
        return out_of_memory();
    }
    g->parent = parent;
    g->name = nnd_arena_strdup_n(&g->arena, name ? name : "", name ? strlen(name) : 0);
    if (!g->name) {
        nnd_graph_destroy(g);
        return out_of_memory();
    }
    if (parent) {
        g->sibling = parent->children;
        parent->children = g;
    }
    *out = g;
    return NND_OK;
}

static void destroy_all(nnd_graph *first)
{
    while (first) {
        nnd_graph *next = first->sibling;
        nnd_graph_destroy(first);
        first = next;
    }
}

void nnd_graph_destroy(nnd_graph *g)
{
    if (!g) return;
    destroy_all(g->children);
    destroy_all(g->retired);
    for (size_t i = 0; i < g->value_count; i++)
        nnd_free_aligned(g->values[i].owned);
    nnd_free(g->values);
    nnd_free(g->nodes);
    nnd_free(g->inputs);
    nnd_free(g->outputs);
    nnd_free(g->captures);
    nnd_free(g->names->slots);
    nnd_free(g->names);
    nnd_arena_fini(&g->arena);
    nnd_free(g);
}

/* Makes room for one more element in a table that doubles. */
static bool grow(void **table, size_t count, size_t *capacity, size_t item)
{
    if (count < *capacity) return true;
    size_t wanted = *capacity ? *capacity * 2 : 16;
    if (wanted > UINT32_MAX || wanted > SIZE_MAX / item) return false;
    void *bigger = nnd_realloc(*table, wanted * item);
    if (!bigger) return false;
    *table = bigger;
    *capacity = wanted;
    return true;
}

nnd_status nnd_graph_add_value(nnd_graph *g, const char *name, uint32_t *out)
{
    bool named = name && name[0];
    if (named && nnd_graph_find_value(g, name) != NND_NO_ID)
        return nnd_error_set(NND_E_EXISTS, "the value '%s' is defined twice", name);
    if (!grow((void **)&g->values, g->value_count, &g->value_capacity, sizeof(*g->values)))
        return out_of_memory();
    nnd_graph_value *v = &g->values[g->value_count];
    memset(v, 0, sizeof(*v));
    v->rank = -1;
    v->nominal_rank = -1;
    v->producer = v->reader = NND_NO_ID;
    v->name = nnd_arena_strdup_n(&g->arena, named ? name : "", named ? strlen(name) : 0);
    if (!v->name) return out_of_memory();
    if (named && g->names->count * 2 >= g->names->capacity && !names_grow(g))
        return out_of_memory();
    uint32_t id = (uint32_t)g->value_count++;
    if (named) {
        g->names->slots[slot_of(g, name)] = id;
        g->names->count++;
    }
    *out = id;
    return NND_OK;
}

nnd_status nnd_graph_resolve(nnd_graph *g, const char *name, uint32_t *out)
{
    *out = nnd_graph_find_value(g, name);
    if (*out != NND_NO_ID) return NND_OK;
    if (!g->parent) return nnd_error_set(NND_E_NOT_FOUND, "no value is called '%s'", name);
    uint32_t outer;
    NND_TRY(nnd_graph_resolve(g->parent, name, &outer));
    NND_TRY(nnd_graph_add_value(g, name, out));
    nnd_graph_value *inner = &g->values[*out];
    const nnd_graph_value *source = &g->parent->values[outer];
    inner->dtype = source->dtype;
    if (source->is_constant) {
        inner->is_constant = true;
        inner->constant = source->constant;
        inner->rank = source->rank;
        memcpy(inner->dims, source->dims, sizeof(inner->dims));
    }
    if (!grow((void **)&g->captures, g->capture_count, &g->capture_capacity, sizeof(nnd_capture)))
        return out_of_memory();
    g->captures[g->capture_count++] = (nnd_capture){outer, *out};
    return NND_OK;
}

nnd_status nnd_graph_add_input(nnd_graph *g, const char *name, nnd_dtype dtype, int rank,
                               const int64_t *dims, uint32_t *out)
{
    if (rank > NND_MAX_RANK)
        return nnd_error_set(NND_E_UNSUPPORTED, "input '%s' has rank %d; at most %d is supported",
                             name, rank, NND_MAX_RANK);
    uint32_t id;
    NND_TRY(nnd_graph_add_value(g, name, &id));
    if (!grow((void **)&g->inputs, g->input_count, &g->input_capacity, sizeof(uint32_t)))
        return out_of_memory();
    nnd_graph_value *v = &g->values[id];
    v->dtype = dtype;
    v->rank = rank;
    for (int i = 0; i < rank; i++)
        v->dims[i] = dims[i];
    g->inputs[g->input_count++] = id;
    if (out) *out = id;
    return NND_OK;
}

nnd_status nnd_graph_add_output(nnd_graph *g, uint32_t value)
{
    if (!grow((void **)&g->outputs, g->output_count, &g->output_capacity, sizeof(uint32_t)))
        return out_of_memory();
    g->outputs[g->output_count++] = value;
    g->values[value].is_output = true;
    return NND_OK;
}

nnd_status nnd_graph_set_constant(nnd_graph *g, uint32_t value, const nnd_tensor *t,
                                  void *take_data)
{
    nnd_graph_value *v = &g->values[value];
    nnd_free_aligned(v->owned);
    v->owned = take_data;
    v->is_constant = true;
    v->constant = *t;
    v->dtype = t->dtype;
    v->rank = t->rank;
    memcpy(v->dims, t->dims, sizeof(v->dims));
    return NND_OK;
}

nnd_status nnd_graph_add_constant(nnd_graph *g, const char *name, const nnd_tensor *t,
                                  uint32_t *out)
{
    size_t bytes = nnd_tensor_bytes(t);
    void *copy = nnd_alloc_aligned(bytes ? bytes : 1, 64);
    if (!copy) return out_of_memory();
    if (bytes) memcpy(copy, t->data, bytes);
    nnd_tensor own = *t;
    own.data = copy;
    uint32_t id;
    nnd_status status = nnd_graph_add_value(g, name, &id);
    if (status != NND_OK) {
        nnd_free_aligned(copy);
        return status;
    }
    *out = id;
    return nnd_graph_set_constant(g, id, &own, copy);
}

nnd_status nnd_graph_add_node(nnd_graph *g, const char *domain, const char *type, int64_t opset,
                              const char *name, size_t input_count, const uint32_t *inputs,
                              size_t output_count, const char *const *output_names,
                              nnd_graph_node **out)
{
    if (!grow((void **)&g->nodes, g->node_count, &g->node_capacity, sizeof(*g->nodes)))
        return out_of_memory();
    nnd_graph_node node = {.opset = opset,
                           .input_count = input_count,
                           .formal_count = input_count,
                           .output_count = output_count};
    node.domain = nnd_arena_strdup_n(&g->arena, domain, strlen(domain));
    node.type = nnd_arena_strdup_n(&g->arena, type, strlen(type));
    char made_up[96];
    if (!name || !name[0]) {
        snprintf(made_up, sizeof(made_up), "%.64s_%zu", type, g->node_count);
        name = made_up;
    }
    node.name = nnd_arena_strdup_n(&g->arena, name, strlen(name));
    node.inputs = nnd_arena_calloc(&g->arena, input_count, sizeof(uint32_t));
    node.outputs = nnd_arena_calloc(&g->arena, output_count, sizeof(uint32_t));
    if (!node.domain || !node.type || !node.name || !node.inputs || !node.outputs)
        return out_of_memory();
    if (input_count) memcpy(node.inputs, inputs, input_count * sizeof(uint32_t));
    for (size_t i = 0; i < output_count; i++) {
        if (output_names && (!output_names[i] || !output_names[i][0])) {
            node.outputs[i] = NND_NO_ID;
            continue;
        }
        NND_TRY(nnd_graph_add_value(g, output_names ? output_names[i] : NULL, &node.outputs[i]));
        g->values[node.outputs[i]].producer = (uint32_t)g->node_count;
    }
    g->nodes[g->node_count] = node;
    *out = &g->nodes[g->node_count++];
    return NND_OK;
}

nnd_status nnd_graph_append(nnd_graph *g, const nnd_graph_node *node)
{
    if (!grow((void **)&g->nodes, g->node_count, &g->node_capacity, sizeof(*g->nodes)))
        return out_of_memory();
    g->nodes[g->node_count++] = *node;
    return NND_OK;
}

/* ---- attributes ---------------------------------------------------------------------------- */

static nnd_status add_attr(nnd_graph *g, nnd_graph_node *node, const char *name, nnd_attr_kind kind,
                           nnd_attr **out)
{
    nnd_attr *bigger = nnd_arena_calloc(&g->arena, node->attr_count + 1, sizeof(*bigger));
    char *copy = nnd_arena_strdup_n(&g->arena, name, strlen(name));
    if (!bigger || !copy) return out_of_memory();
    if (node->attr_count) memcpy(bigger, node->attrs, node->attr_count * sizeof(*bigger));
    node->attrs = bigger;
    *out = &bigger[node->attr_count++];
    (*out)->name = copy;
    (*out)->kind = kind;
    return NND_OK;
}

nnd_status nnd_node_add_int(nnd_graph *g, nnd_graph_node *node, const char *name, int64_t v)
{
    nnd_attr *a;
    NND_TRY(add_attr(g, node, name, NND_ATTR_INT, &a));
    a->u.i = v;
    return NND_OK;
}

nnd_status nnd_node_add_float(nnd_graph *g, nnd_graph_node *node, const char *name, float v)
{
    nnd_attr *a;
    NND_TRY(add_attr(g, node, name, NND_ATTR_FLOAT, &a));
    a->u.f = v;
    return NND_OK;
}

nnd_status nnd_node_add_string(nnd_graph *g, nnd_graph_node *node, const char *name, const char *v)
{
    nnd_attr *a;
    NND_TRY(add_attr(g, node, name, NND_ATTR_STRING, &a));
    a->u.s = (nnd_string){nnd_arena_strdup_n(&g->arena, v, strlen(v)), strlen(v)};
    return a->u.s.text ? NND_OK : out_of_memory();
}

nnd_status nnd_node_add_ints(nnd_graph *g, nnd_graph_node *node, const char *name, const int64_t *v,
                             size_t count)
{
    nnd_attr *a;
    NND_TRY(add_attr(g, node, name, NND_ATTR_INTS, &a));
    a->u.ints = nnd_arena_calloc(&g->arena, count, sizeof(*v));
    if (!a->u.ints) return out_of_memory();
    if (count) memcpy(a->u.ints, v, count * sizeof(*v));
    a->count = count;
    return NND_OK;
}

nnd_status nnd_node_add_graph(nnd_graph *g, nnd_graph_node *node, const char *name, nnd_graph *body)
{
    nnd_attr *a;
    NND_TRY(add_attr(g, node, name, NND_ATTR_GRAPH, &a));
    a->u.graph = body;
    return NND_OK;
}

nnd_status nnd_graph_close_node(nnd_graph *g, nnd_graph_node *node)
{
    size_t captures = 0;
    for (size_t i = 0; i < node->attr_count; i++)
        if (node->attrs[i].kind == NND_ATTR_GRAPH)
            captures += node->attrs[i].u.graph->capture_count;
    if (!captures) return NND_OK;
    uint32_t *inputs = nnd_arena_calloc(&g->arena, node->input_count + captures, sizeof(uint32_t));
    if (!inputs) return out_of_memory();
    if (node->input_count) memcpy(inputs, node->inputs, node->input_count * sizeof(uint32_t));
    size_t n = node->input_count;
    for (size_t i = 0; i < node->attr_count; i++) {
        if (node->attrs[i].kind != NND_ATTR_GRAPH) continue;
        const nnd_graph *body = node->attrs[i].u.graph;
        for (size_t k = 0; k < body->capture_count; k++)
            inputs[n++] = body->captures[k].outer;
    }
    node->inputs = inputs;
    node->input_count = n;
    return NND_OK;
}

const nnd_attr *nnd_node_attr(const nnd_graph_node *node, const char *name)
{
    for (size_t i = 0; i < node->attr_count; i++)
        if (strcmp(node->attrs[i].name, name) == 0) return &node->attrs[i];
    return NULL;
}

int64_t nnd_node_int(const nnd_graph_node *node, const char *name, int64_t fallback)
{
    const nnd_attr *a = nnd_node_attr(node, name);
    return a && a->kind == NND_ATTR_INT ? a->u.i : fallback;
}

float nnd_node_float(const nnd_graph_node *node, const char *name, float fallback)
{
    const nnd_attr *a = nnd_node_attr(node, name);
    return a && a->kind == NND_ATTR_FLOAT ? a->u.f : fallback;
}

const char *nnd_node_string(const nnd_graph_node *node, const char *name, const char *fallback)
{
    const nnd_attr *a = nnd_node_attr(node, name);
    return a && a->kind == NND_ATTR_STRING ? a->u.s.text : fallback;
}

const int64_t *nnd_node_ints(const nnd_graph_node *node, const char *name, size_t *count)
{
    const nnd_attr *a = nnd_node_attr(node, name);
    bool found = a && a->kind == NND_ATTR_INTS;
    *count = found ? a->count : 0;
    return found ? a->u.ints : NULL;
}

const float *nnd_node_floats(const nnd_graph_node *node, const char *name, size_t *count)
{
    const nnd_attr *a = nnd_node_attr(node, name);
    bool found = a && a->kind == NND_ATTR_FLOATS;
    *count = found ? a->count : 0;
    return found ? a->u.floats : NULL;
}

nnd_graph *nnd_node_graph(const nnd_graph_node *node, const char *name)
{
    const nnd_attr *a = nnd_node_attr(node, name);
    return a && a->kind == NND_ATTR_GRAPH ? a->u.graph : NULL;
}

size_t nnd_node_captures(const nnd_graph_node *n, const nnd_graph *body)
{
    size_t at = n->formal_count;
    for (size_t i = 0; i < n->attr_count; i++) {
        const nnd_attr *a = &n->attrs[i];
        if (a->kind != NND_ATTR_GRAPH) continue;
        if (a->u.graph == body) break;
        at += a->u.graph->capture_count;
    }
    return at;
}

/* ---- rewriting ----------------------------------------------------------------------------- */

void nnd_graph_index(nnd_graph *g)
{
    size_t kept = 0;
    for (size_t i = 0; i < g->node_count; i++)
        if (!g->nodes[i].dead) g->nodes[kept++] = g->nodes[i];
    g->node_count = kept;
    for (size_t i = 0; i < g->value_count; i++) {
        g->values[i].producer = g->values[i].reader = NND_NO_ID;
        g->values[i].uses = 0;
        g->values[i].is_output = false;
    }
    for (size_t i = 0; i < kept; i++) {
        const nnd_graph_node *n = &g->nodes[i];
        for (size_t k = 0; k < n->input_count; k++) {
            if (n->inputs[k] == NND_NO_ID) continue;
            g->values[n->inputs[k]].uses++;
            g->values[n->inputs[k]].reader = (uint32_t)i;
        }
        for (size_t k = 0; k < n->output_count; k++)
            if (n->outputs[k] != NND_NO_ID) g->values[n->outputs[k]].producer = (uint32_t)i;
    }
    for (size_t i = 0; i < g->output_count; i++) {
        g->values[g->outputs[i]].uses++;
        g->values[g->outputs[i]].is_output = true;
    }
}

bool nnd_graph_allows_bf16(const nnd_graph *g)
{
    while (g->parent)
        g = g->parent;
    return g->bf16;
}

bool nnd_graph_is_output(const nnd_graph *g, uint32_t value)
{
    return g->values[value].is_output;
}

bool nnd_graph_is_input(const nnd_graph *g, uint32_t value)
{
    for (size_t i = 0; i < g->input_count; i++)
        if (g->inputs[i] == value) return true;
    return false;
}

static bool reads(const nnd_graph_node *n, uint32_t value)
{
    for (size_t k = 0; k < n->input_count; k++)
        if (n->inputs[k] == value) return true;
    return false;
}

uint32_t nnd_graph_single_reader(const nnd_graph *g, uint32_t value)
{
    if (g->values[value].uses != 1 || nnd_graph_is_output(g, value)) return NND_NO_ID;
    /* Where a pass has moved things since the index, the reader is another one. */
    uint32_t known = g->values[value].reader;
    if (known < g->node_count && reads(&g->nodes[known], value)) return known;
    uint32_t first = g->values[value].producer == NND_NO_ID ? 0 : g->values[value].producer + 1;
    for (uint32_t i = first; i < g->node_count; i++)
        if (reads(&g->nodes[i], value)) return i;
    return NND_NO_ID;
}

static size_t element_alignment(nnd_dtype dtype)
{
    size_t bytes = nnd_dtype_bits(dtype) / 8;
    return bytes >= 8 ? 8 : bytes ? bytes : 1;
}

nnd_status nnd_graph_constant(nnd_graph *g, uint32_t value, const nnd_tensor **out)
{
    *out = NULL;
    if (value == NND_NO_ID || !g->values[value].is_constant) return NND_OK;
    nnd_graph_value *v = &g->values[value];
    if (v->constant.data && (uintptr_t)v->constant.data % element_alignment(v->dtype) != 0) {
        size_t bytes = nnd_tensor_bytes(&v->constant);
        void *copy = nnd_alloc_aligned(bytes, 64);
        if (!copy) return out_of_memory();
        memcpy(copy, v->constant.data, bytes);
        v->constant.data = copy;
        v->owned = copy;
    }
    *out = &v->constant;
    return NND_OK;
}

void nnd_graph_release_constant(nnd_graph *g, uint32_t value)
{
    nnd_graph_value *v = &g->values[value];
    nnd_free_aligned(v->owned);
    v->owned = NULL;
    v->constant.data = NULL;
}
