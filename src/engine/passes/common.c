/*
 * Computes once what is computed twice: nodes of one operator with equal attributes and inputs
 * become one, in one sweep in order of execution, so that whole equal chains fall together. Small
 * constants of equal content count as one value.
 *
 * A table under a keyed hash, so that no file can choose its collisions.
 */
#include <string.h>

#include "base/hash.h"
#include "data/float_bits.h"
#include "engine/ops/op.h"
#include "engine/passes/pass.h"

/* Larger constants are compared by who they are, not by content: hashing weights would cost more
   than it finds. */
enum { SMALL_CONSTANT = 1024 };

typedef struct sweep {
    nnd_graph *g;
    uint32_t *same; /* value → the value that stands for it */
    uint32_t *table;
    uint64_t *hashes; /* of the nodes or values in the table, by id */
    size_t capacity;  /* power of two, at least twice what goes in */
} sweep;

/* ---- equality ------------------------------------------------------------------------------ */

/* As bits: 0 and -0 differ, a NaN equals itself. */
static bool equal_floats(float a, float b)
{
    return nnd_f32_to_bits(a) == nnd_f32_to_bits(b);
}

static bool equal_attrs(const nnd_attr *a, const nnd_attr *b)
{
    if (strcmp(a->name, b->name) != 0 || a->kind != b->kind || a->count != b->count) return false;
    switch (a->kind) {
    case NND_ATTR_INT:
        return a->u.i == b->u.i;
    case NND_ATTR_FLOAT:
        return equal_floats(a->u.f, b->u.f);
    case NND_ATTR_STRING:
        return a->u.s.size == b->u.s.size && memcmp(a->u.s.text, b->u.s.text, a->u.s.size) == 0;
    case NND_ATTR_INTS:
        return !a->count || memcmp(a->u.ints, b->u.ints, a->count * sizeof(*a->u.ints)) == 0;
    case NND_ATTR_FLOATS:
        return !a->count || memcmp(a->u.floats, b->u.floats, a->count * sizeof(*a->u.floats)) == 0;
    default:
        return false;
    }
}

/* Both are asked for the same outputs; their number alone can matter (Split). */
static bool equal_outputs(const nnd_graph_node *a, const nnd_graph_node *b)
{
    if (a->output_count != b->output_count) return false;
    for (size_t k = 0; k < a->output_count; k++)
        if ((a->outputs[k] == NND_NO_ID) != (b->outputs[k] == NND_NO_ID)) return false;
    return true;
}

static bool equal_nodes(const nnd_graph_node *a, const nnd_graph_node *b)
{
    if (a->op != b->op || a->opset != b->opset || a->input_count != b->input_count ||
        a->formal_count != b->formal_count || a->attr_count != b->attr_count)
        return false;
    if (a->epilogue != b->epilogue || !equal_outputs(a, b)) return false;
    if (!equal_floats(a->epilogue_a, b->epilogue_a) || !equal_floats(a->epilogue_b, b->epilogue_b))
        return false;
    if (a->input_count && memcmp(a->inputs, b->inputs, a->input_count * sizeof(*a->inputs)) != 0)
        return false;
    for (size_t i = 0; i < a->attr_count; i++)
        if (!equal_attrs(&a->attrs[i], &b->attrs[i])) return false;
    return true;
}

static bool equal_constants(const nnd_graph_value *a, const nnd_graph_value *b)
{
    return a->dtype == b->dtype && a->rank == b->rank &&
           memcmp(a->constant.dims, b->constant.dims, (size_t)a->rank * sizeof(a->dims[0])) == 0 &&
           memcmp(a->constant.data, b->constant.data, nnd_tensor_bytes(&a->constant)) == 0;
}

/* ---- hashes -------------------------------------------------------------------------------- */

static void mix(uint64_t *h, const void *data, size_t size)
{
    uint64_t pair[2] = {*h, nnd_hash64(data, size)};
    *h = nnd_hash64(pair, sizeof(pair));
}

/* Of everything that equal_nodes looks at: different nodes of one hash would be compared with each
   other, each with each. */
static uint64_t hash_node(const nnd_graph_node *n)
{
    uint64_t h = 0;
    const uint64_t head[4] = {(uint64_t)(uintptr_t)n->op, n->attr_count, n->formal_count,
                              (uint64_t)n->epilogue};
    mix(&h, head, sizeof(head));
    mix(&h, &n->epilogue_a, sizeof(n->epilogue_a));
    mix(&h, &n->epilogue_b, sizeof(n->epilogue_b));
    for (size_t k = 0; k < n->output_count; k++)
        h = h * 3 + (n->outputs[k] == NND_NO_ID);
    mix(&h, &n->output_count, sizeof(n->output_count));
    mix(&h, n->inputs, n->input_count * sizeof(*n->inputs));
    for (size_t i = 0; i < n->attr_count; i++) {
        const nnd_attr *a = &n->attrs[i];
        mix(&h, a->name, strlen(a->name));
        if (a->kind == NND_ATTR_INT) mix(&h, &a->u.i, sizeof(a->u.i));
        if (a->kind == NND_ATTR_FLOAT) mix(&h, &a->u.f, sizeof(a->u.f));
        if (a->kind == NND_ATTR_STRING) mix(&h, a->u.s.text, a->u.s.size);
        if (a->kind == NND_ATTR_INTS) mix(&h, a->u.ints, a->count * sizeof(*a->u.ints));
        if (a->kind == NND_ATTR_FLOATS) mix(&h, a->u.floats, a->count * sizeof(*a->u.floats));
    }
    return h;
}

static uint64_t hash_constant(const nnd_graph_value *v)
{
    uint64_t h = (uint64_t)v->dtype << 8 | (uint64_t)v->rank;
    mix(&h, v->constant.dims, (size_t)v->rank * sizeof(v->dims[0]));
    mix(&h, v->constant.data, nnd_tensor_bytes(&v->constant));
    return h;
}

/* ---- the sweep ----------------------------------------------------------------------------- */

static bool same_thing(const sweep *s, bool nodes, uint32_t a, uint32_t b)
{
    return nodes ? equal_nodes(&s->g->nodes[a], &s->g->nodes[b])
                 : equal_constants(&s->g->values[a], &s->g->values[b]);
}

/* The earlier one that equals `id`, or `id` itself, which is in the table from now on. */
static uint32_t find_or_add(sweep *s, bool nodes, uint32_t id, uint64_t hash)
{
    size_t i = (size_t)hash & (s->capacity - 1);
    for (; s->table[i] != NND_NO_ID; i = (i + 1) & (s->capacity - 1))
        if (s->hashes[s->table[i]] == hash && same_thing(s, nodes, s->table[i], id))
            return s->table[i];
    s->table[i] = id;
    s->hashes[id] = hash;
    return id;
}

static void clear_table(sweep *s)
{
    memset(s->table, 0xff, s->capacity * sizeof(*s->table));
}

static void merge_constants(sweep *s)
{
    clear_table(s);
    for (uint32_t i = 0; i < s->g->value_count; i++) {
        const nnd_graph_value *v = &s->g->values[i];
        if (!v->is_constant || !v->uses || !v->constant.data || v->dtype == NND_STRING ||
            nnd_tensor_bytes(&v->constant) > SMALL_CONSTANT)
            continue;
        s->same[i] = find_or_add(s, false, i, hash_constant(v));
    }
}

static bool is_function(const nnd_graph_node *n)
{
    if (!n->op || n->op->flags & (NND_OP_RANDOM | NND_OP_BOXES)) return false;
    for (size_t i = 0; i < n->attr_count; i++) {
        nnd_attr_kind kind = n->attrs[i].kind;
        if (kind != NND_ATTR_INT && kind != NND_ATTR_FLOAT && kind != NND_ATTR_STRING &&
            kind != NND_ATTR_INTS && kind != NND_ATTR_FLOATS)
            return false;
    }
    return true;
}

/* An output of the graph keeps its own memory and name. */
static bool makes_output(const nnd_graph *g, const nnd_graph_node *n)
{
    for (size_t k = 0; k < n->output_count; k++)
        if (n->outputs[k] != NND_NO_ID && nnd_graph_is_output(g, n->outputs[k])) return true;
    return false;
}

/* A captured constant stays: the sub-graph reads the very elements of the value it names. */
static uint32_t stand_in(const sweep *s, uint32_t value, bool captured)
{
    if (value == NND_NO_ID || (captured && s->g->values[value].is_constant)) return value;
    return s->same[value];
}

static void merge_nodes(sweep *s, size_t *changes)
{
    clear_table(s);
    for (uint32_t i = 0; i < s->g->node_count; i++) {
        nnd_graph_node *n = &s->g->nodes[i];
        for (size_t k = 0; k < n->input_count; k++)
            n->inputs[k] = stand_in(s, n->inputs[k], k >= n->formal_count);
        if (!is_function(n) || makes_output(s->g, n)) continue;
        uint32_t first = find_or_add(s, true, i, hash_node(n));
        if (first == i) continue;
        for (size_t k = 0; k < n->output_count; k++)
            if (n->outputs[k] != NND_NO_ID) s->same[n->outputs[k]] = s->g->nodes[first].outputs[k];
        n->dead = true;
        (*changes)++;
    }
    for (nnd_graph *child = s->g->children; child; child = child->sibling)
        for (size_t i = 0; i < child->capture_count; i++)
            child->captures[i].outer = stand_in(s, child->captures[i].outer, true);
}

nnd_status nnd_pass_common(nnd_graph *g, size_t *changes)
{
    nnd_graph_index(g);
    size_t most = g->value_count > g->node_count ? g->value_count : g->node_count;
    sweep s = {.g = g, .capacity = 16};
    while (s.capacity < 2 * most)
        s.capacity *= 2;
    s.same = nnd_calloc(most + 1, sizeof(*s.same));
    s.hashes = nnd_calloc(most + 1, sizeof(*s.hashes));
    s.table = nnd_calloc(s.capacity, sizeof(*s.table));
    bool ok = s.same && s.hashes && s.table;
    for (uint32_t i = 0; ok && i < g->value_count; i++)
        s.same[i] = i;
    if (ok) merge_constants(&s);
    if (ok) merge_nodes(&s, changes);
    nnd_free(s.same);
    nnd_free(s.hashes);
    nnd_free(s.table);
    nnd_graph_index(g);
    return ok ? NND_OK : nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the pass 'common'");
}
