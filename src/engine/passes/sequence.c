/*
 * Follows tensors through sequences that are put together in the graph: whoever takes an item, the
 * number of items, or all of them as one tensor, gets it from where the items were made.
 */
#include <string.h>

#include "engine/ops/op.h"
#include "engine/passes/match.h"
#include "engine/passes/pass.h"

/* Longer ones stay: looking one up takes as many steps. */
enum { MAX_ITEMS = 128, MAX_STEPS = 4 * MAX_ITEMS };
enum { IDENTITY_OPSET = 14, CONCAT_OPSET = 13 };

typedef struct items {
    size_t count;
    uint32_t ids[MAX_ITEMS];
} items;

/* The constant position in input k of a node; an absent one is the end. *ok = false when it is not
   known, or outside of [0, most]. */
static nnd_status read_position(nnd_graph *g, const nnd_graph_node *n, size_t k, size_t count,
                                size_t most, size_t *at, bool *ok)
{
    const nnd_tensor *t;
    *at = most;
    *ok = true;
    if (k >= n->formal_count || n->inputs[k] == NND_NO_ID) return NND_OK;
    NND_TRY(nnd_graph_constant(g, n->inputs[k], &t));
    *ok = t && t->data && (t->dtype == NND_I64 || t->dtype == NND_I32) && nnd_tensor_count(t) == 1;
    if (!*ok) return NND_OK;
    int64_t position = nnd_op_int_at(t, 0);
    if (position < 0) position += (int64_t)count;
    *ok = position >= 0 && position <= (int64_t)most;
    if (*ok) *at = (size_t)position;
    return NND_OK;
}

static nnd_status insert(nnd_graph *g, const nnd_graph_node *n, items *list, bool *ok)
{
    size_t at;
    *ok = list->count < MAX_ITEMS && n->inputs[1] != NND_NO_ID;
    if (*ok) NND_TRY(read_position(g, n, 2, list->count, list->count, &at, ok));
    if (!*ok) return NND_OK;
    memmove(list->ids + at + 1, list->ids + at, (list->count - at) * sizeof(*list->ids));
    list->ids[at] = n->inputs[1];
    list->count++;
    return NND_OK;
}

/* What a sequence begins with. */
static bool begin(const nnd_graph_node *n, items *list)
{
    list->count = 0;
    if (n->domain[0] || n->dead) return false;
    if (strcmp(n->type, "SequenceEmpty") == 0) return true;
    if (!nnd_match_is(n, "SequenceConstruct") || n->formal_count > MAX_ITEMS) return false;
    for (size_t k = 0; k < n->formal_count; k++)
        if (n->inputs[k] == NND_NO_ID) return false;
    list->count = n->formal_count;
    memcpy(list->ids, n->inputs, n->formal_count * sizeof(*list->ids));
    return true;
}

/* The items of a sequence; *ok = false when they are not known here. */
static nnd_status find_items(nnd_graph *g, uint32_t value, items *list, bool *ok)
{
    const nnd_graph_node *chain[MAX_ITEMS];
    size_t length = 0;
    *ok = false;
    for (size_t step = 0; step < MAX_STEPS; step++) {
        uint32_t id = value == NND_NO_ID ? NND_NO_ID : g->values[value].producer;
        if (id == NND_NO_ID) return NND_OK;
        const nnd_graph_node *n = &g->nodes[id];
        bool passes = nnd_match_is(n, "Identity"), inserts = nnd_match_is(n, "SequenceInsert");
        if (!passes && !inserts) {
            *ok = begin(n, list);
            break;
        }
        if (inserts && length == MAX_ITEMS) return NND_OK;
        if (inserts) chain[length++] = n;
        value = n->inputs[0];
    }
    while (*ok && length > 0)
        NND_TRY(insert(g, chain[--length], list, ok));
    return NND_OK;
}

static nnd_status take_item(nnd_graph *g, nnd_graph_node *n, const items *list, bool *done)
{
    size_t at;
    bool ok;
    if (!list->count || n->formal_count != 2 || n->inputs[1] == NND_NO_ID) return NND_OK;
    NND_TRY(read_position(g, n, 1, list->count, list->count - 1, &at, &ok));
    if (!ok) return NND_OK;
    *done = true;
    return nnd_match_replace(g, n, "Identity", IDENTITY_OPSET, 1, &list->ids[at]);
}

static nnd_status take_length(nnd_graph *g, nnd_graph_node *n, const items *list, bool *done)
{
    int64_t count = (int64_t)list->count;
    nnd_tensor t;
    uint32_t id;
    NND_TRY(nnd_tensor_init(&t, NND_I64, 0, NULL, &count));
    NND_TRY(nnd_graph_add_constant(g, NULL, &t, &id));
    *done = true;
    return nnd_match_replace(g, n, "Identity", IDENTITY_OPSET, 1, &id);
}

static nnd_status take_all(nnd_graph *g, nnd_graph_node *n, const items *list, bool *done)
{
    int64_t axis = nnd_node_int(n, "axis", 0);
    if (!list->count || nnd_node_int(n, "new_axis", 0) != 0) return NND_OK;
    NND_TRY(nnd_match_replace(g, n, "Concat", CONCAT_OPSET, list->count, list->ids));
    *done = true;
    return nnd_node_add_int(g, n, "axis", axis);
}

static nnd_status try_node(nnd_graph *g, nnd_graph_node *n, bool *done)
{
    static const struct {
        const char *type;
        nnd_status (*take)(nnd_graph *g, nnd_graph_node *n, const items *list, bool *done);
    } takers[] = {
        {"SequenceAt", take_item},
        {"SequenceLength", take_length},
        {"ConcatFromSequence", take_all},
    };
    items list;
    bool ok;
    for (size_t i = 0; i < NND_COUNT(takers); i++) {
        if (!nnd_match_is(n, takers[i].type)) continue;
        NND_TRY(find_items(g, n->inputs[0], &list, &ok));
        return ok ? takers[i].take(g, n, &list, done) : NND_OK;
    }
    return NND_OK;
}

nnd_status nnd_pass_sequence(nnd_graph *g, size_t *changes)
{
    nnd_graph_index(g);
    for (size_t i = 0; i < g->node_count; i++) {
        bool done = false;
        NND_TRY(try_node(g, &g->nodes[i], &done));
        *changes += done;
    }
    nnd_graph_index(g);
    return NND_OK;
}
