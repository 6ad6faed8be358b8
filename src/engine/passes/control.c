/*
 * Takes the nodes of sub-graphs into the graph around them: the branch of an If whose condition is
 * constant, and the rounds of a Loop that has few and whose number is known. What was computed in a
 * sub-graph, with a plan of its own and copies at the border, is then a part of the whole, and the
 * other passes see it.
 */
#include <string.h>

#include "engine/ops/op.h"
#include "engine/passes/match.h"
#include "engine/passes/pass.h"

/* A Loop is written out up to so many rounds and nodes, and when its constants are small: each
   round may keep what it makes of them. All Loops together no more than double a graph that is not
   small.
 */
enum { MAX_ROUNDS = 64, MAX_LOOP_NODES = 4096, FREE_NODES = 4096 };
static const uint64_t MAX_LOOP_CONSTANTS = 4 << 20;
enum { IDENTITY_OPSET = 14, UNSQUEEZE_OPSET = 11, CONCAT_OPSET = 13 };

static nnd_status out_of_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to take in a sub-graph");
}

/* ---- the new list of nodes ------------------------------------------------------------------- */

typedef struct inliner {
    nnd_graph *g;
    size_t count, capacity;
    nnd_graph_node *nodes;
    size_t budget; /* nodes that Loops may still add */
} inliner;

static nnd_status append(inliner *s, const nnd_graph_node *n)
{
    if (s->count == s->capacity) {
        size_t capacity = s->capacity * 2 + 16;
        nnd_graph_node *nodes = nnd_realloc(s->nodes, capacity * sizeof(*nodes));
        if (!nodes) return out_of_memory();
        s->nodes = nodes;
        s->capacity = capacity;
    }
    s->nodes[s->count++] = *n;
    return NND_OK;
}

/* A node that no sub-graph had; with the attribute axis = 0 when that is asked for as a list
   ("axes") or a number ("axis"). */
static nnd_status append_new(inliner *s, const char *type, int64_t opset, const char *axis,
                             const nnd_graph_node *like, size_t count, const uint32_t *inputs,
                             uint32_t output)
{
    const int64_t zero = 0;
    nnd_graph_node n = {.name = like->name,
                        .domain = "",
                        .opset = opset,
                        .op = nnd_op_find("", type, opset),
                        .output_count = 1};
    if (!n.op) return nnd_error_set(NND_E_INTERNAL, "there is no operator '%s'", type);
    n.outputs = nnd_arena_calloc(&s->g->arena, 1, sizeof(*n.outputs));
    if (!n.outputs) return out_of_memory();
    n.outputs[0] = output;
    NND_TRY(nnd_match_become(s->g, &n, n.op, count, inputs));
    if (axis && strcmp(axis, "axes") == 0) NND_TRY(nnd_node_add_ints(s->g, &n, axis, &zero, 1));
    if (axis && strcmp(axis, "axis") == 0) NND_TRY(nnd_node_add_int(s->g, &n, axis, 0));
    return append(s, &n);
}

/* ---- one body -------------------------------------------------------------------------------- */

/* A sub-graph on its way out: which value of the graph each of its values is. */
typedef struct body {
    nnd_graph *from;
    uint32_t *to; /* NND_NO_ID = none yet */
} body;

static nnd_status body_init(body *b, nnd_graph *from)
{
    b->from = from;
    b->to = nnd_alloc((from->value_count + 1) * sizeof(*b->to));
    if (!b->to) return out_of_memory();
    memset(b->to, 0xff, (from->value_count + 1) * sizeof(*b->to));
    for (size_t i = 0; i < from->capture_count; i++)
        b->to[from->captures[i].inner] = from->captures[i].outer;
    return NND_OK;
}

/* Constants go over with their memory. */
static nnd_status move_constants(nnd_graph *g, body *b)
{
    for (uint32_t i = 0; i < b->from->value_count; i++) {
        nnd_graph_value *v = &b->from->values[i];
        if (!v->is_constant || b->to[i] != NND_NO_ID) continue;
        NND_TRY(nnd_graph_add_value(g, NULL, &b->to[i]));
        void *owned = v->owned;
        v->owned = NULL;
        NND_TRY(nnd_graph_set_constant(g, b->to[i], &v->constant, owned));
        g->values[b->to[i]].held = v->held;
    }
    return NND_OK;
}

/* A tensor attribute of the body is one of the graph around then. Those that a function was called
   with may belong to a graph further out. */
static void move_attributes(nnd_graph *g, const body *b, nnd_attr *attrs, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        if (attrs[k].kind != NND_ATTR_TENSOR || attrs[k].home != b->from) continue;
        attrs[k].holder = b->to[attrs[k].holder];
        attrs[k].home = g;
    }
}

/* A node's own lists, with values of the graph around. Attributes that are constants stay where
   their elements are. */
static nnd_status copy_node(inliner *s, body *b, const nnd_graph_node *n)
{
    nnd_graph_node copy = *n;
    nnd_arena *arena = &s->g->arena;
    copy.inputs = nnd_arena_calloc(arena, n->input_count, sizeof(*copy.inputs));
    copy.outputs = nnd_arena_calloc(arena, n->output_count, sizeof(*copy.outputs));
    copy.attrs = nnd_arena_calloc(arena, n->attr_count, sizeof(*copy.attrs));
    if (!copy.inputs || !copy.outputs || !copy.attrs) return out_of_memory();
    if (n->attr_count) memcpy(copy.attrs, n->attrs, n->attr_count * sizeof(*copy.attrs));
    move_attributes(s->g, b, copy.attrs, copy.attr_count);
    for (size_t k = 0; k < n->input_count; k++)
        copy.inputs[k] = n->inputs[k] == NND_NO_ID ? NND_NO_ID : b->to[n->inputs[k]];
    for (size_t k = 0; k < n->output_count; k++) {
        uint32_t id = n->outputs[k];
        copy.outputs[k] = NND_NO_ID;
        if (id == NND_NO_ID) continue;
        if (b->to[id] == NND_NO_ID) {
            NND_TRY(nnd_graph_add_value(s->g, NULL, &b->to[id]));
            s->g->values[b->to[id]].dtype = b->from->values[id].dtype;
        }
        copy.outputs[k] = b->to[id];
    }
    return append(s, &copy);
}

static nnd_status copy_nodes(inliner *s, body *b)
{
    for (size_t i = 0; i < b->from->node_count; i++)
        NND_TRY(copy_node(s, b, &b->from->nodes[i]));
    return NND_OK;
}

/* Output `index` of the body will be the value `outer` (NND_NO_ID = nobody wants it): at once when
   a node of the body makes it, else by a copy that `hand_out` adds. */
static void aim_output(body *b, size_t index, uint32_t outer)
{
    uint32_t id = b->from->outputs[index];
    if (b->from->values[id].producer != NND_NO_ID && b->to[id] == NND_NO_ID) b->to[id] = outer;
}

static nnd_status hand_out(inliner *s, const body *b, const nnd_graph_node *n, size_t index,
                           uint32_t outer)
{
    uint32_t id = b->to[b->from->outputs[index]];
    if (outer == NND_NO_ID || id == outer) return NND_OK;
    return append_new(s, "Identity", IDENTITY_OPSET, NULL, n, 1, &id, outer);
}

/* The graph keeps a sub-graph whose nodes it has: names and lists are there. */
static void retire(nnd_graph *g, nnd_graph *child)
{
    nnd_graph **at = &g->children;
    while (*at && *at != child)
        at = &(*at)->sibling;
    if (*at) *at = child->sibling;
    child->sibling = g->retired;
    g->retired = child;
}

static void move_attributes_below(nnd_graph *g, const body *b, nnd_graph *child)
{
    for (size_t i = 0; i < child->node_count; i++)
        move_attributes(g, b, child->nodes[i].attrs, child->nodes[i].attr_count);
    for (nnd_graph *inner = child->children; inner; inner = inner->sibling)
        move_attributes_below(g, b, inner);
}

/* Sub-graphs of the body become sub-graphs of the graph. */
static void adopt(nnd_graph *g, const body *b)
{
    nnd_graph *child = b->from->children;
    b->from->children = NULL;
    while (child) {
        nnd_graph *next = child->sibling;
        for (size_t i = 0; i < child->capture_count; i++)
            child->captures[i].outer = b->to[child->captures[i].outer];
        move_attributes_below(g, b, child);
        child->parent = g;
        child->sibling = g->children;
        g->children = child;
        child = next;
    }
}

/* ---- If -------------------------------------------------------------------------------------- */

static nnd_status read_flag(nnd_graph *g, uint32_t id, bool *known, bool *flag)
{
    const nnd_tensor *t;
    NND_TRY(nnd_graph_constant(g, id, &t));
    *known = t && t->data && t->dtype == NND_BOOL && nnd_tensor_count(t) == 1;
    *flag = *known && *(const uint8_t *)t->data != 0;
    return NND_OK;
}

static nnd_status take_branch(inliner *s, const nnd_graph_node *n, body *b)
{
    NND_TRY(move_constants(s->g, b));
    for (size_t k = 0; k < n->output_count; k++)
        aim_output(b, k, n->outputs[k]);
    NND_TRY(copy_nodes(s, b));
    adopt(s->g, b);
    for (size_t k = 0; k < n->output_count; k++)
        NND_TRY(hand_out(s, b, n, k, n->outputs[k]));
    return NND_OK;
}

static nnd_status try_if(inliner *s, const nnd_graph_node *n, bool *done)
{
    bool known, yes;
    NND_TRY(read_flag(s->g, n->inputs[0], &known, &yes));
    nnd_graph *taken = nnd_node_graph(n, yes ? "then_branch" : "else_branch");
    nnd_graph *other = nnd_node_graph(n, yes ? "else_branch" : "then_branch");
    if (!known || !taken || taken->input_count || taken->output_count != n->output_count)
        return NND_OK;
    nnd_graph_index(taken);
    body b;
    NND_TRY(body_init(&b, taken));
    nnd_status status = take_branch(s, n, &b);
    nnd_free(b.to);
    if (status != NND_OK) return status;
    retire(s->g, taken);
    if (other) retire(s->g, other);
    *done = true;
    return NND_OK;
}

/* ---- Loop ------------------------------------------------------------------------------------ */

/* A Loop that will be written out. */
typedef struct rounds {
    const nnd_graph_node *n;
    body b;
    size_t count, carried, scans;
    uint32_t *values; /* carried values as the next round gets them */
    uint32_t *items;  /* scan k of round i: at k · count + i */
    uint32_t yes;     /* the condition, a constant */
} rounds;

/* The condition that a round leaves is the one it got, or a constant that says yes. */
static nnd_status goes_on(nnd_graph *g, nnd_graph *from, bool *yes)
{
    uint32_t id = from->outputs[0];
    nnd_graph_node *maker;
    bool known;
    while ((maker = nnd_match_maker(from, id, "Identity")))
        id = maker->inputs[0];
    *yes = id == from->inputs[1];
    if (*yes) return NND_OK;
    NND_TRY(read_flag(from, id, &known, yes));
    for (size_t i = 0; i < from->capture_count && !known; i++)
        if (from->captures[i].inner == id)
            NND_TRY(read_flag(g, from->captures[i].outer, &known, yes));
    return NND_OK;
}

/* Bytes of constants that a round reads. */
static uint64_t constant_bytes(const nnd_graph *g, const nnd_graph *from)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < from->value_count; i++)
        if (from->values[i].is_constant) sum += nnd_tensor_bytes(&from->values[i].constant);
    for (size_t i = 0; i < from->capture_count; i++) {
        const nnd_graph_value *outer = &g->values[from->captures[i].outer];
        if (outer->is_constant && !from->values[from->captures[i].inner].is_constant)
            sum += nnd_tensor_bytes(&outer->constant);
    }
    return sum;
}

/* How many rounds a Loop has; 0 when that is not known, or it is not to be written out. */
static nnd_status count_rounds(const inliner *s, const nnd_graph_node *n, nnd_graph *from,
                               size_t *count)
{
    const nnd_tensor *trips;
    bool yes = true, known = true;
    *count = 0;
    size_t carried = n->formal_count > 2 ? n->formal_count - 2 : 0;
    if (!from || n->formal_count < 2 || from->children || from->input_count != carried + 2 ||
        from->output_count < carried + 1 || n->output_count > from->output_count - 1)
        return NND_OK;
    for (size_t k = 0; k < carried; k++)
        if (n->inputs[k + 2] == NND_NO_ID) return NND_OK;
    NND_TRY(nnd_graph_constant(s->g, n->inputs[0], &trips));
    if (!trips || !trips->data || trips->dtype != NND_I64 || nnd_tensor_count(trips) != 1)
        return NND_OK;
    int64_t most = *(const int64_t *)trips->data;
    if (most < 1 || most > MAX_ROUNDS) return NND_OK;
    size_t added = (size_t)most * (from->node_count + n->output_count);
    if (added > MAX_LOOP_NODES || added > s->budget) return NND_OK;
    if (constant_bytes(s->g, from) > MAX_LOOP_CONSTANTS / (uint64_t)most) return NND_OK;
    if (n->inputs[1] != NND_NO_ID) NND_TRY(read_flag(s->g, n->inputs[1], &known, &yes));
    if (!known || !yes) return NND_OK;
    nnd_graph_index(from);
    NND_TRY(goes_on(s->g, from, &yes));
    if (yes) *count = (size_t)most;
    return NND_OK;
}

static nnd_status begin_round(inliner *s, rounds *r, int64_t number)
{
    nnd_graph *from = r->b.from;
    nnd_tensor t;
    uint32_t id;
    NND_TRY(nnd_tensor_init(&t, NND_I64, 0, NULL, &number));
    NND_TRY(nnd_graph_add_constant(s->g, NULL, &t, &id));
    for (size_t i = 0; i < from->node_count; i++)
        for (size_t k = 0; k < from->nodes[i].output_count; k++)
            if (from->nodes[i].outputs[k] != NND_NO_ID)
                r->b.to[from->nodes[i].outputs[k]] = NND_NO_ID;
    r->b.to[from->inputs[0]] = id;
    r->b.to[from->inputs[1]] = r->yes;
    for (size_t k = 0; k < r->carried; k++)
        r->b.to[from->inputs[k + 2]] = r->values[k];
    return NND_OK;
}

/* Each with a dimension of 1 in front, so that Concat stacks them. */
static nnd_status keep_scans(inliner *s, rounds *r, size_t number)
{
    for (size_t k = 0; k < r->scans; k++) {
        uint32_t *item = &r->items[k * r->count + number];
        uint32_t id = r->b.to[r->b.from->outputs[1 + r->carried + k]];
        if (r->n->outputs[r->carried + k] == NND_NO_ID) continue;
        NND_TRY(nnd_graph_add_value(s->g, NULL, item));
        NND_TRY(append_new(s, "Unsqueeze", UNSQUEEZE_OPSET, "axes", r->n, 1, &id, *item));
    }
    return NND_OK;
}

static nnd_status write_rounds(inliner *s, rounds *r)
{
    const nnd_graph_node *n = r->n;
    nnd_graph *from = r->b.from;
    uint8_t yes = 1;
    nnd_tensor t;
    NND_TRY(nnd_tensor_init(&t, NND_BOOL, 0, NULL, &yes));
    NND_TRY(nnd_graph_add_constant(s->g, NULL, &t, &r->yes));
    NND_TRY(move_constants(s->g, &r->b));
    for (size_t k = 0; k < r->carried; k++)
        r->values[k] = n->inputs[k + 2];
    for (size_t i = 0; i < r->count; i++) {
        bool last = i + 1 == r->count;
        NND_TRY(begin_round(s, r, (int64_t)i));
        for (size_t k = 0; last && k < r->carried && k < n->output_count; k++)
            aim_output(&r->b, k + 1, n->outputs[k]);
        NND_TRY(copy_nodes(s, &r->b));
        NND_TRY(keep_scans(s, r, i));
        for (size_t k = 0; k < r->carried; k++)
            r->values[k] = r->b.to[from->outputs[k + 1]];
    }
    for (size_t k = 0; k < r->carried && k < n->output_count; k++)
        NND_TRY(hand_out(s, &r->b, n, k + 1, n->outputs[k]));
    for (size_t k = 0; k < r->scans; k++)
        if (n->outputs[r->carried + k] != NND_NO_ID)
            NND_TRY(append_new(s, "Concat", CONCAT_OPSET, "axis", n, r->count,
                               r->items + k * r->count, n->outputs[r->carried + k]));
    return NND_OK;
}

static nnd_status try_loop(inliner *s, const nnd_graph_node *n, bool *done)
{
    nnd_graph *from = nnd_node_graph(n, "body");
    rounds r = {.n = n, .carried = n->formal_count > 2 ? n->formal_count - 2 : 0};
    NND_TRY(count_rounds(s, n, from, &r.count));
    if (!r.count) return NND_OK;
    r.scans = n->output_count > r.carried ? n->output_count - r.carried : 0;
    r.values = nnd_calloc(r.carried + 1, sizeof(*r.values));
    r.items = nnd_calloc(r.scans * r.count + 1, sizeof(*r.items));
    nnd_status status = r.values && r.items ? body_init(&r.b, from) : out_of_memory();
    if (status == NND_OK) status = write_rounds(s, &r);
    nnd_free(r.b.to);
    nnd_free(r.items);
    nnd_free(r.values);
    if (status != NND_OK) return status;
    s->budget -= r.count * (from->node_count + n->output_count);
    retire(s->g, from);
    *done = true;
    return NND_OK;
}

/* ---- the pass -------------------------------------------------------------------------------- */

static nnd_status try_node(inliner *s, const nnd_graph_node *n, bool *done)
{
    bool ours = n->op && !n->op->domain[0];
    if (ours && strcmp(n->op->name, "If") == 0) return try_if(s, n, done);
    if (ours && strcmp(n->op->name, "Loop") == 0) return try_loop(s, n, done);
    return NND_OK;
}

static nnd_status sweep(inliner *s, size_t *changes)
{
    for (size_t i = 0; i < s->g->node_count; i++) {
        const nnd_graph_node *n = &s->g->nodes[i];
        bool done = false;
        NND_TRY(try_node(s, n, &done));
        if (!done) NND_TRY(append(s, n));
        *changes += done;
    }
    return NND_OK;
}

nnd_status nnd_pass_control(nnd_graph *g, size_t *changes)
{
    nnd_graph_index(g);
    if (!g->children) return NND_OK;
    inliner s = {.g = g, .budget = FREE_NODES + g->node_count};
    size_t taken = 0;
    nnd_status status = sweep(&s, &taken);
    if (status == NND_OK && taken) {
        nnd_graph_node *old = g->nodes;
        g->nodes = s.nodes;
        g->node_count = s.count;
        g->node_capacity = s.capacity;
        s.nodes = old;
        *changes += taken;
    }
    nnd_free(s.nodes);
    nnd_graph_index(g);
    return status;
}
