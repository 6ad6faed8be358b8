/*
 * Makes one node of several that compute element by element, where nobody else reads what is
 * between them: x·Sigmoid(a·x + b), say, goes over memory once. A group grows from its last node
 * backwards and takes that node's place.
 *
 * Only nodes whose results have the size of the group's result belong to it, or small ones would be
 * computed again for every element that they are repeated for. And what a group reads lives until
 * its last node runs: where other nodes run in between, a node joins only when the arena does not
 * become larger by that, as far as one group can tell. All groups together are planned: if the
 * arena is larger than without them, it is tried with what cannot cost anything, then without.
 */
#include <string.h>

#include "base/str.h"
#include "engine/ops/brought.h"
#include "engine/ops/elementwise.h"
#include "engine/passes/pass.h"
#include "engine/plan/plan.h"

typedef struct fuser {
    nnd_graph *g;
    nnd_dtype *types; /* of the values, as far as they can be known */
    uint32_t *like;   /* value → a value that has the same size at any shape */
    bool *takes;      /* nodes that may be parts */
    bool *lasting;    /* values that live as long as the graph: inputs, captures, constants */
    bool careful;     /* nothing waits, be it ever so small */
} fuser;

typedef struct group {
    uint32_t root;
    size_t count, input_count, candidate_count;
    uint32_t parts[NND_MAX_PARTS]; /* from the root backwards */
    uint32_t inputs[NND_MAX_PART_INPUTS];
    uint32_t candidates[NND_MAX_PART_INPUTS]; /* nodes that make an input */
} group;

/* ---- what is known ahead --------------------------------------------------------------------- */

static bool is_one_number(const nnd_graph *g, uint32_t id)
{
    const nnd_graph_value *v = &g->values[id];
    return v->is_constant && v->constant.rank <= 1 && nnd_tensor_count(&v->constant) == 1;
}

/* The result of a part: in size like the one operand that is not a number, if there is one. */
static uint32_t like_of(const fuser *f, const nnd_graph_node *n)
{
    uint32_t like = NND_NO_ID;
    for (size_t k = 0; k < n->formal_count; k++) {
        if (n->inputs[k] == NND_NO_ID || is_one_number(f->g, n->inputs[k])) continue;
        uint32_t own = f->like[n->inputs[k]];
        if (like != NND_NO_ID && like != own) return n->outputs[0];
        like = own;
    }
    return like == NND_NO_ID ? n->outputs[0] : like;
}

static nnd_status look_around(fuser *f)
{
    nnd_graph *g = f->g;
    for (uint32_t i = 0; i < g->value_count; i++) {
        const nnd_graph_value *v = &g->values[i];
        f->types[i] = v->dtype == NND_DTYPE_INVALID ? v->nominal_dtype : v->dtype;
        f->like[i] = i;
        f->lasting[i] = v->producer == NND_NO_ID;
    }
    for (uint32_t i = 0; i < g->node_count; i++) {
        const nnd_graph_node *n = &g->nodes[i];
        NND_TRY(nnd_elementwise_takes(g, n, f->types, &f->takes[i]));
        if (!f->takes[i]) continue;
        if (!nnd_elementwise_is_last(n)) f->types[n->outputs[0]] = NND_F32;
        f->like[n->outputs[0]] = like_of(f, n);
        f->takes[i] = !nnd_brought_for(n->op, n->opset);
    }
    return NND_OK;
}

/* ---- one group ------------------------------------------------------------------------------- */

static bool same_size(const fuser *f, uint32_t a, uint32_t b)
{
    const nnd_graph_value *x = &f->g->values[a], *y = &f->g->values[b];
    if (f->like[a] == f->like[b]) return true;
    return x->nominal_rank >= 0 && x->nominal_rank == y->nominal_rank &&
           memcmp(x->nominal, y->nominal, (size_t)x->nominal_rank * sizeof(*x->nominal)) == 0;
}

/* Nothing has to wait in memory for the group's last node: no other node runs before that, or what
   the node reads is there until then in any case. */
static bool keeps_memory(const fuser *f, const group *gr, uint32_t node)
{
    const nnd_graph_node *n = &f->g->nodes[node], *root = &f->g->nodes[gr->root];
    /* Bytes that wait are a quarter of what would, unless that had the place of an output. */
    if (nnd_elementwise_is_first(n) && !f->g->values[root->outputs[0]].is_output && !f->careful)
        return true;
    uint32_t between = gr->root - node;
    for (size_t i = 0; i < gr->count; i++)
        between -= gr->parts[i] > node;
    /* Floats wait beside the bytes that are made of them, which cannot take their place. */
    if (f->careful && nnd_elementwise_is_last(root)) between++;
    for (size_t k = 0; between && k < n->formal_count; k++) {
        uint32_t id = n->inputs[k];
        if (id != NND_NO_ID && !f->lasting[id] && !f->g->values[id].is_output &&
            f->g->values[id].reader < gr->root)
            return false;
    }
    return true;
}

static size_t find(const uint32_t *list, size_t count, uint32_t id)
{
    size_t i = 0;
    while (i < count && list[i] != id)
        i++;
    return i;
}

/* Takes the node into the group; false when there is no room. */
static bool join(const fuser *f, group *gr, uint32_t node)
{
    const nnd_graph_node *n = &f->g->nodes[node];
    group with = *gr;
    if (with.count == NND_MAX_PARTS) return false;
    with.parts[with.count++] = node;
    size_t at = find(with.inputs, with.input_count, n->outputs[0]);
    if (at < with.input_count) with.inputs[at] = with.inputs[--with.input_count];
    for (size_t k = 0; k < n->formal_count; k++) {
        uint32_t id = n->inputs[k];
        if (id == NND_NO_ID || find(with.inputs, with.input_count, id) < with.input_count) continue;
        if (with.input_count == NND_MAX_PART_INPUTS) return false;
        with.inputs[with.input_count++] = id;
        uint32_t maker = f->g->values[id].producer;
        if (maker != NND_NO_ID && f->takes[maker] && !nnd_elementwise_is_last(&f->g->nodes[maker]))
            with.candidates[with.candidate_count++] = maker;
    }
    *gr = with;
    return true;
}

/* Readers of the value that are in the group. */
static uint32_t reads_within(const fuser *f, const group *gr, uint32_t value)
{
    uint32_t reads = 0;
    for (size_t i = 0; i < gr->count; i++) {
        const nnd_graph_node *n = &f->g->nodes[gr->parts[i]];
        for (size_t k = 0; k < n->formal_count; k++)
            reads += n->inputs[k] == value;
    }
    return reads;
}

/* Candidates are looked at from the last one backwards: whoever may read the result of one has been
   decided about then. */
static void grow(const fuser *f, group *gr)
{
    (void)join(f, gr, gr->root);
    while (gr->candidate_count) {
        size_t at = 0;
        for (size_t i = 1; i < gr->candidate_count; i++)
            if (gr->candidates[i] > gr->candidates[at]) at = i;
        uint32_t node = gr->candidates[at], out = f->g->nodes[node].outputs[0];
        gr->candidates[at] = gr->candidates[--gr->candidate_count];
        const nnd_graph_value *v = &f->g->values[out];
        if (!v->is_output && v->uses == reads_within(f, gr, out) &&
            same_size(f, out, f->g->nodes[gr->root].outputs[0]) && keeps_memory(f, gr, node))
            (void)join(f, gr, node);
    }
}

/* ---- one node instead ------------------------------------------------------------------------ */

static nnd_status out_of_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the elementwise pass");
}

/* "Mul,Add,Tanh" */
static nnd_status name_parts(nnd_graph *g, nnd_graph_node *n)
{
    nnd_str s = {0};
    char *text = NULL;
    for (size_t i = 0; i < n->part_count; i++)
        nnd_str_printf(&s, "%s%s", i ? "," : "", n->parts[i].type);
    NND_TRY(nnd_str_take(&s, &text, NULL));
    nnd_status status = nnd_node_add_string(g, n, "ops", text);
    nnd_free(text);
    return status;
}

static nnd_status replace(fuser *f, const group *gr)
{
    nnd_graph *g = f->g;
    nnd_graph_node *root = &g->nodes[gr->root];
    nnd_graph_node *parts = nnd_arena_calloc(&g->arena, gr->count, sizeof(*parts));
    uint32_t *inputs = nnd_arena_calloc(&g->arena, gr->input_count, sizeof(*inputs));
    if (!parts || !inputs) return out_of_memory();
    memcpy(inputs, gr->inputs, gr->input_count * sizeof(*inputs));
    for (size_t i = 0; i < gr->count; i++)
        parts[i] = g->nodes[gr->parts[gr->count - 1 - i]];
    nnd_graph_node whole = {.name = root->name,
                            .domain = "",
                            .type = nnd_op_elementwise.name,
                            .opset = root->opset,
                            .op = &nnd_op_elementwise,
                            .input_count = gr->input_count,
                            .formal_count = gr->input_count,
                            .inputs = inputs,
                            .output_count = 1,
                            .outputs = root->outputs,
                            .part_count = gr->count,
                            .parts = parts};
    NND_TRY(name_parts(g, &whole));
    for (size_t i = 0; i < gr->count; i++) {
        g->nodes[gr->parts[i]].dead = true;
        f->takes[gr->parts[i]] = false;
    }
    *root = whole;
    return NND_OK;
}

static nnd_status fuse_all(fuser *f, size_t *changes)
{
    for (uint32_t i = (uint32_t)f->g->node_count; i-- > 0;) {
        group gr = {.root = i};
        if (!f->takes[i]) continue;
        grow(f, &gr);
        if (gr.count < 2) continue;
        NND_TRY(replace(f, &gr));
        (*changes)++;
    }
    return NND_OK;
}

/* ---- the graph with and without ----------------------------------------------------------------
 */

/* Planning is not linear: larger graphs keep the groups that it finds one by one. */
enum { PLANNED_NODES = 4096 };

/* The nodes as they were. */
typedef struct backup {
    nnd_graph_node *nodes;
    size_t count, arena_bytes;
} backup;

static nnd_status keep_nodes(nnd_graph *g, backup *b)
{
    b->count = g->node_count;
    b->nodes = nnd_alloc((b->count + 1) * sizeof(*b->nodes));
    if (!b->nodes) return out_of_memory();
    memcpy(b->nodes, g->nodes, b->count * sizeof(*b->nodes));
    return nnd_plan_nominal_arena(g, &b->arena_bytes);
}

static void bring_back(nnd_graph *g, const backup *b)
{
    memcpy(g->nodes, b->nodes, b->count * sizeof(*b->nodes));
    g->node_count = b->count;
    nnd_graph_index(g);
}

/* Groups; *kept = false: the arena became larger by them, and they are gone again. */
static nnd_status try_groups(fuser *f, const backup *b, size_t *groups, bool *kept)
{
    size_t bytes = 0;
    *groups = 0;
    NND_TRY(fuse_all(f, groups));
    nnd_graph_index(f->g);
    if (*groups) NND_TRY(nnd_plan_nominal_arena(f->g, &bytes));
    *kept = bytes <= b->arena_bytes;
    if (*kept) return NND_OK;
    bring_back(f->g, b);
    *groups = 0;
    return look_around(f);
}

static bool finds_groups(const fuser *f)
{
    for (uint32_t i = 0; i < f->g->node_count; i++) {
        group gr = {.root = i};
        if (!f->takes[i]) continue;
        grow(f, &gr);
        if (gr.count > 1) return true;
    }
    return false;
}

static nnd_status fuse(fuser *f, size_t *changes)
{
    backup b = {0};
    size_t groups = 0;
    bool kept = false;
    NND_TRY(look_around(f));
    if (!finds_groups(f)) return NND_OK;
    if (f->g->node_count > PLANNED_NODES) return fuse_all(f, changes);
    nnd_status status = keep_nodes(f->g, &b);
    if (status == NND_OK) status = try_groups(f, &b, &groups, &kept);
    f->careful = true;
    if (status == NND_OK && !kept) status = try_groups(f, &b, &groups, &kept);
    nnd_free(b.nodes);
    *changes += groups;
    return status;
}

nnd_status nnd_pass_elementwise(nnd_graph *g, size_t *changes)
{
    nnd_graph_index(g);
    fuser f = {.g = g};
    f.types = nnd_calloc(g->value_count + 1, sizeof(*f.types));
    f.like = nnd_calloc(g->value_count + 1, sizeof(*f.like));
    f.lasting = nnd_calloc(g->value_count + 1, sizeof(*f.lasting));
    f.takes = nnd_calloc(g->node_count + 1, sizeof(*f.takes));
    bool ready = f.types && f.like && f.lasting && f.takes;
    nnd_status status = ready ? fuse(&f, changes) : out_of_memory();
    nnd_free(f.types);
    nnd_free(f.like);
    nnd_free(f.lasting);
    nnd_free(f.takes);
    nnd_graph_index(g);
    return status;
}
