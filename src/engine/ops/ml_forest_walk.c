/* How rows walk through trees. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "engine/ops/ml_forest.h"

/* ---- steps ---------------------------------------------------------------------------------- */

/* The largest f32 ≤ v. */
static float at_most(double v)
{
    if (isnan(v) || isinf(v)) return (float)v;
    if (v > (double)FLT_MAX) return FLT_MAX;
    if (v < -(double)FLT_MAX) return -INFINITY;
    float f = (float)v;
    return (double)f > v ? nextafterf(f, -INFINITY) : f;
}

/* The largest f32 < v. NaN, to which nothing compares, when there is none. */
static float below(double v)
{
    float f = at_most(v);
    if ((double)f < v || isnan(f)) return f;
    return isinf(f) && f < 0 ? NAN : nextafterf(f, -INFINITY);
}

static nnd_branch opposite(nnd_branch branch)
{
    switch (branch) {
    case NND_BRANCH_LEQ:
        return NND_BRANCH_GT;
    case NND_BRANCH_LT:
        return NND_BRANCH_GTE;
    case NND_BRANCH_GTE:
        return NND_BRANCH_LT;
    default:
        return NND_BRANCH_LEQ;
    }
}

/* The question alone. With `round` it is the opposite one, which a number answers with yes where
   the node says no; NaN still gets a no. */
static nnd_forest_step question(const nnd_forest_node *node, bool round)
{
    nnd_forest_step s = {.feature = node->feature};
    nnd_branch branch = round ? opposite((nnd_branch)node->branch) : (nnd_branch)node->branch;
    bool greater = branch == NND_BRANCH_GT || branch == NND_BRANCH_GTE;
    bool or_equal = branch == NND_BRANCH_LEQ || branch == NND_BRANCH_GTE;
    double value = greater ? -node->value : node->value;
    s.sign = greater ? UINT32_C(1) << 31 : 0;
    s.value = or_equal ? at_most(value) : below(value);
    /* Nothing compares to NaN, so the node says no to every number. */
    if (isnan(value) && round) s.value = INFINITY;
    return s;
}

static bool has_order(const nnd_forest_node *node)
{
    return node->branch <= NND_BRANCH_GT || node->branch == NND_BRANCH_LEAF;
}

/* Lays the tree of a root out behind `used` steps, level by level. False when a node has no step.
   A node with several ways to it would have several steps: a cycle has no end then and needs more
   steps than there are nodes. */
static bool lay_tree(nnd_forest *f, uint32_t root, size_t *used, nnd_forest_tree *tree)
{
    size_t at = *used, level_end = at + 1;
    if (at >= f->node_count) return false;
    *tree = (nnd_forest_tree){(uint32_t)at, UINT32_MAX, 0};
    f->steps[(*used)++].next = root; /* a step that waits holds its node */
    for (uint32_t level = 0; at < *used; at++) {
        if (at == level_end) {
            level++;
            level_end = *used;
        }
        uint32_t number = f->steps[at].next;
        const nnd_forest_node *node = &f->nodes[number];
        if (!has_order(node)) return false;
        if (node->branch == NND_BRANCH_LEAF) {
            f->steps[at] = (nnd_forest_step){.value = NAN, .next = (uint32_t)at, .sign = number};
            if (tree->shallow > level) tree->shallow = level;
            tree->deep = level;
            continue;
        }
        if (f->node_count - *used < 2) return false;
        bool round = node->nan_is_yes;
        f->steps[at] = question(node, round);
        f->steps[at].next = (uint32_t)*used;
        f->steps[(*used)++].next = node->next[round];
        f->steps[(*used)++].next = node->next[!round];
    }
    return true;
}

static nnd_status lay_steps(nnd_forest *f)
{
    f->steps = nnd_calloc(f->node_count + 1, sizeof(*f->steps));
    f->trees = nnd_calloc(f->root_count + 1, sizeof(*f->trees));
    if (!f->steps || !f->trees) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for trees");
    size_t used = 0, t = 0;
    while (t < f->root_count && lay_tree(f, f->roots[t], &used, &f->trees[t]))
        t++;
    if (t < f->root_count) {
        nnd_free(f->steps);
        f->steps = NULL;
    }
    return NND_OK;
}

/* Leaves lead to themselves, so that rows may reach theirs at different times. */
nnd_status nnd_forest_lay_out(nnd_forest *f)
{
    int only = -1;
    for (size_t i = 0; i < f->node_count; i++) {
        nnd_forest_node *node = &f->nodes[i];
        if (node->branch == NND_BRANCH_LEAF)
            node->next[0] = node->next[1] = (uint32_t)i;
        else
            only = only < 0 || only == node->branch ? node->branch : NND_BRANCH_LEAF;
    }
    f->branch = only < 0 ? NND_BRANCH_LEQ : (nnd_branch)only;
    return lay_steps(f);
}

/* Each walk goes down by one. Nothing here branches on the data: where a row goes cannot be
   foretold. Returns 0 when all were at their leaves. */
static inline uint32_t step_all(const nnd_forest_step *steps, const nnd_forest_rows *rows,
                                size_t count, uint32_t *at)
{
    const float *data = rows->data;
    uint32_t moved = 0;
    for (size_t i = 0; i < count; i++, data += rows->stride) {
        const nnd_forest_step *s = &steps[at[i]];
        uint32_t bits;
        float y;
        memcpy(&bits, &data[s->feature], sizeof(bits));
        bits ^= s->sign;
        memcpy(&y, &bits, sizeof(y));
        uint32_t next = s->next + (y <= s->value);
        moved |= next ^ at[i];
        at[i] = next;
    }
    return moved;
}

static inline void walk_steps_of(const nnd_forest *f, const nnd_forest_rows *rows, size_t count,
                                 uint32_t *at)
{
    uint32_t level = 0, shallow = UINT32_MAX, deep = 0;
    for (size_t i = 0; i < count; i++) {
        const nnd_forest_tree *tree = &f->trees[at[i]];
        at[i] = tree->step;
        if (tree->shallow < shallow) shallow = tree->shallow;
        if (tree->deep > deep) deep = tree->deep;
    }
    for (; level < shallow; level++)
        (void)step_all(f->steps, rows, count, at);
    while (level < deep && step_all(f->steps, rows, count, at))
        level++;
    for (size_t i = 0; i < count; i++)
        at[i] = f->steps[at[i]].sign;
}

static void walk_steps(const nnd_forest *f, const nnd_forest_rows *rows, size_t count, uint32_t *at)
{
    if (count == NND_FOREST_WALKS)
        walk_steps_of(f, rows, NND_FOREST_WALKS, at);
    else
        walk_steps_of(f, rows, count, at);
}

/* ---- nodes ---------------------------------------------------------------------------------- */

static bool is_member(const nnd_forest *f, const nnd_forest_node *node, double x)
{
    for (uint32_t i = 0; i < node->count; i++)
        if (f->members[node->begin + i] == x) return true;
    return false;
}

static bool goes_to_yes(const nnd_forest *f, const nnd_forest_node *node, double x)
{
    switch (node->branch) {
    case NND_BRANCH_LEQ:
        return x <= node->value;
    case NND_BRANCH_LT:
        return x < node->value;
    case NND_BRANCH_GTE:
        return x >= node->value;
    case NND_BRANCH_GT:
        return x > node->value;
    case NND_BRANCH_EQ:
        return x == node->value;
    case NND_BRANCH_NEQ:
        return x != node->value;
    default:
        return is_member(f, node, x);
    }
}

/* Steps until nobody moves. Nothing in a step branches on the data: where a row goes cannot be
   foretold. A node that leads to itself and is no leaf looks like one here. */
#define WALK(name, YES)                                                                            \
    static inline bool name##_of(const nnd_forest *f, const nnd_forest_rows *rows, size_t count,   \
                                 uint32_t *at)                                                     \
    {                                                                                              \
        const nnd_forest_node *nodes = f->nodes;                                                   \
        const size_t stride = rows->stride;                                                        \
        uint32_t moved = 1;                                                                        \
        for (size_t n = 0; n <= f->node_count && moved; n++) {                                     \
            const double *data = rows->data;                                                       \
            moved = 0;                                                                             \
            for (size_t i = 0; i < count; i++, data += stride) {                                   \
                const nnd_forest_node *node = &nodes[at[i]];                                       \
                double x = data[node->feature];                                                    \
                uint32_t next = node->next[(YES) | (node->nan_is_yes & (x != x))];                 \
                moved |= next ^ at[i];                                                             \
                at[i] = next;                                                                      \
            }                                                                                      \
        }                                                                                          \
        return !moved;                                                                             \
    }                                                                                              \
    static bool name(const nnd_forest *f, const nnd_forest_rows *rows, size_t count, uint32_t *at) \
    {                                                                                              \
        if (count == NND_FOREST_WALKS) return name##_of(f, rows, NND_FOREST_WALKS, at);            \
        if (count == 1) return name##_of(f, rows, 1, at);                                          \
        return name##_of(f, rows, count, at);                                                      \
    }
WALK(walk_leq, x <= node->value)
WALK(walk_lt, x < node->value)

/* Where nodes ask different questions, their kind is a branch anyway: one after the other. */
static bool walk_alone(const nnd_forest *f, nnd_dtype dtype, const void *row, uint32_t *at)
{
    for (size_t n = 0; n <= f->node_count; n++) {
        const nnd_forest_node *node = &f->nodes[*at];
        if (node->branch == NND_BRANCH_LEAF) return true;
        double x = dtype == NND_F64 ? ((const double *)row)[node->feature]
                                    : (double)((const float *)row)[node->feature];
        bool yes = (node->nan_is_yes && isnan(x)) || goes_to_yes(f, node, x);
        *at = yes ? node->next[1] : node->next[0];
    }
    return false;
}

static bool walk_mixed(const nnd_forest *f, const nnd_forest_rows *x, size_t count, uint32_t *at)
{
    size_t pitch = x->stride * nnd_op_element(x->dtype);
    for (size_t i = 0; i < count; i++)
        if (!walk_alone(f, x->dtype, (const char *)x->data + i * pitch, &at[i])) return false;
    return true;
}

bool nnd_forest_walk(const nnd_forest *f, const nnd_forest_rows *x, size_t count, uint32_t *at)
{
    bool arrived, wide = x->dtype == NND_F64;
    if (!wide && f->steps && f->features) {
        walk_steps(f, x, count, at);
        return true;
    }
    for (size_t i = 0; i < count; i++)
        at[i] = f->roots[at[i]];
    if (!f->features) return true; /* no node asks: the roots are leaves, and rows may be empty */
    if (wide && f->branch == NND_BRANCH_LEQ)
        arrived = walk_leq(f, x, count, at);
    else if (wide && f->branch == NND_BRANCH_LT)
        arrived = walk_lt(f, x, count, at);
    else
        arrived = walk_mixed(f, x, count, at);
    for (size_t i = 0; i < count && arrived; i++)
        arrived = f->nodes[at[i]].branch == NND_BRANCH_LEAF;
    return arrived;
}
