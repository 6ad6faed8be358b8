#include "engine/ops/ml_forest.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"

static nnd_status malformed(const nnd_graph_node *n, const char *what)
{
    nnd_error_set(NND_E_FORMAT, "%s: %s", n->type, what);
    nnd_error_set_node(n->name, NULL);
    return NND_E_FORMAT;
}

static nnd_status out_of_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for trees");
}

static double number_at(const nnd_tensor *t, size_t i)
{
    return nnd_dtype_get(t->dtype, t->data, i);
}

/* A list of numbers with that many items. */
static bool has_items(const nnd_tensor *t, size_t count)
{
    return t->rank == 1 && (size_t)t->dims[0] == count && t->dtype != NND_STRING;
}

static nnd_status make_nodes(nnd_forest *f, size_t nodes, size_t roots, size_t weights)
{
    if (nodes >= UINT32_MAX / 2 || weights >= UINT32_MAX / 2)
        return nnd_error_set(NND_E_LIMIT, "the trees have too many nodes");
    f->nodes = nnd_calloc(nodes + 1, sizeof(*f->nodes));
    f->roots = nnd_calloc(roots + 1, sizeof(*f->roots));
    f->weights = nnd_calloc(weights + 1, sizeof(*f->weights));
    return f->nodes && f->roots && f->weights ? NND_OK : out_of_memory();
}

void nnd_forest_fini(nnd_forest *f)
{
    nnd_free(f->nodes);
    nnd_free(f->roots);
    nnd_free(f->weights);
    nnd_free(f->members);
    nnd_free(f->steps);
    nnd_free(f->trees);
    *f = (nnd_forest){0};
}

static nnd_status set_feature(const nnd_graph_node *n, nnd_forest *f, nnd_forest_node *node,
                              int64_t feature)
{
    if (feature < 0 || feature > INT32_MAX) return malformed(n, "a feature is out of range");
    node->feature = (uint32_t)feature;
    if (feature >= f->features) f->features = feature + 1;
    return NND_OK;
}

/* ---- TreeEnsemble --------------------------------------------------------------------------- */

typedef struct lists {
    nnd_tensor features, modes, splits, yes, no, yes_leaf, no_leaf, missing;
    nnd_tensor roots, targets, weights, members;
} lists;

static nnd_status read_lists(const nnd_graph_node *n, lists *l)
{
    const struct {
        const char *name;
        nnd_tensor *to;
    } all[] = {{"nodes_featureids", &l->features}, {"nodes_modes", &l->modes},
               {"nodes_splits", &l->splits},       {"nodes_truenodeids", &l->yes},
               {"nodes_falsenodeids", &l->no},     {"nodes_trueleafs", &l->yes_leaf},
               {"nodes_falseleafs", &l->no_leaf},  {"nodes_missing_value_tracks_true", &l->missing},
               {"tree_roots", &l->roots},          {"leaf_targetids", &l->targets},
               {"leaf_weights", &l->weights},      {"membership_values", &l->members}};
    for (size_t i = 0; i < NND_COUNT(all); i++)
        NND_TRY(nnd_ml_vector(n, all[i].name, all[i].to));
    size_t nodes = l->features.rank == 1 ? (size_t)l->features.dims[0] : 0;
    size_t leaves = l->targets.rank == 1 ? (size_t)l->targets.dims[0] : 0;
    bool fits = has_items(&l->features, nodes) && has_items(&l->modes, nodes) &&
                has_items(&l->splits, nodes) && has_items(&l->yes, nodes) &&
                has_items(&l->no, nodes) && has_items(&l->yes_leaf, nodes) &&
                has_items(&l->no_leaf, nodes) && has_items(&l->weights, leaves) &&
                l->roots.rank == 1 && (l->missing.rank < 0 || has_items(&l->missing, nodes));
    return fits ? NND_OK : malformed(n, "the lists of nodes have different lengths");
}

/* A branch leads to a node or to a leaf; leaves lie behind the nodes here. */
static bool child_of(const lists *l, const nnd_tensor *to, const nnd_tensor *is_leaf, size_t i,
                     uint32_t *out)
{
    bool leaf = nnd_op_int_at(is_leaf, i) != 0;
    int64_t at = nnd_op_int_at(to, i), nodes = l->features.dims[0];
    if (at < 0 || at >= (leaf ? l->targets.dims[0] : nodes)) return false;
    *out = (uint32_t)(leaf ? nodes + at : at);
    return true;
}

/* Sets of members end with NaN, in the order of the nodes that ask for one. */
static nnd_status read_members(const nnd_graph_node *n, const lists *l, nnd_forest *f)
{
    size_t count = l->members.rank == 1 ? (size_t)l->members.dims[0] : 0, at = 0;
    f->members = nnd_calloc(count + 1, sizeof(*f->members));
    if (!f->members) return out_of_memory();
    for (size_t i = 0; i < count; i++)
        f->members[i] = number_at(&l->members, i);
    f->member_count = count;
    for (size_t i = 0; i < (size_t)l->features.dims[0]; i++) {
        nnd_forest_node *node = &f->nodes[i];
        if (node->branch != NND_BRANCH_MEMBER) continue;
        if (at >= count) return malformed(n, "there are fewer sets of members than nodes with one");
        node->begin = (uint32_t)at;
        while (at < count && !isnan(f->members[at]))
            at++;
        node->count = (uint32_t)at - node->begin;
        at++;
    }
    return NND_OK;
}

nnd_status nnd_forest_read(const nnd_graph_node *n, nnd_forest *f)
{
    lists l;
    NND_TRY(read_lists(n, &l));
    size_t nodes = (size_t)l.features.dims[0], leaves = (size_t)l.targets.dims[0];
    NND_TRY(make_nodes(f, nodes + leaves, (size_t)l.roots.dims[0], leaves));
    f->node_count = nodes + leaves;
    f->weight_count = leaves;
    for (size_t i = 0; i < nodes; i++) {
        nnd_forest_node *node = &f->nodes[i];
        int64_t mode = nnd_op_int_at(&l.modes, i);
        if (mode < 0 || mode > NND_BRANCH_MEMBER ||
            !child_of(&l, &l.yes, &l.yes_leaf, i, &node->next[1]) ||
            !child_of(&l, &l.no, &l.no_leaf, i, &node->next[0]))
            return malformed(n, "a node has an unknown mode or leads nowhere");
        node->branch = (uint8_t)mode;
        node->value = number_at(&l.splits, i);
        node->nan_is_yes = l.missing.rank == 1 && nnd_op_int_at(&l.missing, i) != 0;
        NND_TRY(set_feature(n, f, node, nnd_op_int_at(&l.features, i)));
    }
    for (size_t i = 0; i < leaves; i++) {
        int64_t target = nnd_op_int_at(&l.targets, i);
        if (target < 0 || target >= UINT32_MAX) return malformed(n, "a target is out of range");
        f->nodes[nodes + i] =
            (nnd_forest_node){.branch = NND_BRANCH_LEAF, .begin = (uint32_t)i, .count = 1};
        f->weights[i] = (nnd_forest_weight){(uint32_t)target, number_at(&l.weights, i)};
    }
    for (; f->root_count < (size_t)l.roots.dims[0]; f->root_count++) {
        int64_t root = nnd_op_int_at(&l.roots, f->root_count);
        if (root < 0 || root >= (int64_t)nodes) return malformed(n, "a root is no node");
        f->roots[f->root_count] = (uint32_t)root;
    }
    NND_TRY(read_members(n, &l, f));
    return nnd_forest_lay_out(f);
}

/* ---- TreeEnsembleRegressor, TreeEnsembleClassifier ------------------------------------------- */

/* Nodes by the numbers of their tree and of themselves. */
typedef struct node_table {
    const nnd_tensor *trees, *ids;
    size_t slot_count;
    uint32_t *slots; /* index + 1; 0 = free */
} node_table;

static size_t slot_of(const node_table *t, int64_t tree, int64_t id)
{
    int64_t pair[2] = {tree, id};
    size_t slot = (size_t)nnd_hash64(pair, sizeof(pair)) & (t->slot_count - 1);
    while (t->slots[slot] && (nnd_op_int_at(t->trees, t->slots[slot] - 1) != tree ||
                              nnd_op_int_at(t->ids, t->slots[slot] - 1) != id))
        slot = (slot + 1) & (t->slot_count - 1);
    return slot;
}

static bool find_node(const node_table *t, int64_t tree, int64_t id, uint32_t *out)
{
    uint32_t found = t->slots[slot_of(t, tree, id)];
    *out = found - 1;
    return found != 0;
}

static nnd_status table_init(const nnd_graph_node *n, node_table *t, const nnd_tensor *trees,
                             const nnd_tensor *ids)
{
    size_t count = (size_t)ids->dims[0];
    *t = (node_table){trees, ids, 16, NULL};
    while (t->slot_count < count * 2)
        t->slot_count *= 2;
    t->slots = nnd_calloc(t->slot_count, sizeof(*t->slots));
    if (!t->slots) return out_of_memory();
    for (size_t i = 0; i < count; i++) {
        size_t slot = slot_of(t, nnd_op_int_at(trees, i), nnd_op_int_at(ids, i));
        if (t->slots[slot]) return malformed(n, "two nodes have the same number");
        t->slots[slot] = (uint32_t)i + 1;
    }
    return NND_OK;
}

/* Floats, or what newer opsets give as a tensor. */
static nnd_status read_numbers(const nnd_graph_node *n, const char *name, nnd_tensor *out)
{
    char longer[64];
    snprintf(longer, sizeof(longer), "%.40s_as_tensor", name);
    NND_TRY(nnd_ml_vector(n, name, out));
    return out->rank < 0 || !nnd_tensor_count(out) ? nnd_ml_vector(n, longer, out) : NND_OK;
}

static bool branch_of(nnd_string mode, uint8_t *out)
{
    static const char *const names[] = {"BRANCH_LEQ", "BRANCH_LT",  "BRANCH_GTE", "BRANCH_GT",
                                        "BRANCH_EQ",  "BRANCH_NEQ", "",           "LEAF"};
    for (size_t i = 0; i < NND_COUNT(names); i++)
        if (names[i][0] && mode.size == strlen(names[i]) &&
            memcmp(mode.text, names[i], mode.size) == 0) {
            *out = (uint8_t)i;
            return true;
        }
    return false;
}

typedef struct old_lists {
    nnd_tensor trees, ids, features, values, modes, yes, no, missing;
    nnd_tensor leaf_trees, leaf_nodes, targets, weights;
} old_lists;

static nnd_status read_old_lists(const nnd_graph_node *n, const char *prefix, old_lists *l)
{
    const struct {
        const char *name;
        nnd_tensor *to;
    } nodes[] = {{"nodes_treeids", &l->trees},
                 {"nodes_nodeids", &l->ids},
                 {"nodes_featureids", &l->features},
                 {"nodes_modes", &l->modes},
                 {"nodes_truenodeids", &l->yes},
                 {"nodes_falsenodeids", &l->no},
                 {"nodes_missing_value_tracks_true", &l->missing}},
      leaves[] = {{"treeids", &l->leaf_trees}, {"nodeids", &l->leaf_nodes}, {"ids", &l->targets}};
    char name[64];
    for (size_t i = 0; i < NND_COUNT(nodes); i++)
        NND_TRY(nnd_ml_vector(n, nodes[i].name, nodes[i].to));
    for (size_t i = 0; i < NND_COUNT(leaves); i++) {
        snprintf(name, sizeof(name), "%.20s_%.20s", prefix, leaves[i].name);
        NND_TRY(nnd_ml_vector(n, name, leaves[i].to));
    }
    snprintf(name, sizeof(name), "%.20s_weights", prefix);
    NND_TRY(read_numbers(n, name, &l->weights));
    NND_TRY(read_numbers(n, "nodes_values", &l->values));
    size_t count = l->ids.rank == 1 ? (size_t)l->ids.dims[0] : 0;
    size_t ends = l->targets.rank == 1 ? (size_t)l->targets.dims[0] : 0;
    bool modes =
        l->modes.rank == 1 && l->modes.dtype == NND_STRING && (size_t)l->modes.dims[0] == count;
    bool missing = l->missing.rank < 0 || !l->missing.dims[0] || has_items(&l->missing, count);
    bool fits = has_items(&l->ids, count) && has_items(&l->trees, count) &&
                has_items(&l->features, count) && has_items(&l->values, count) &&
                has_items(&l->yes, count) && has_items(&l->no, count) && modes && missing &&
                has_items(&l->targets, ends) && has_items(&l->leaf_trees, ends) &&
                has_items(&l->leaf_nodes, ends) && has_items(&l->weights, ends);
    return fits ? NND_OK : malformed(n, "the lists of nodes have different lengths");
}

static nnd_status read_old_nodes(const nnd_graph_node *n, const old_lists *l, const node_table *t,
                                 nnd_forest *f)
{
    size_t count = (size_t)l->ids.dims[0];
    bool *is_child = nnd_calloc(count + 1, sizeof(*is_child));
    nnd_status status = is_child ? NND_OK : out_of_memory();
    for (size_t i = 0; i < count && status == NND_OK; i++) {
        nnd_forest_node *node = &f->nodes[i];
        int64_t tree = nnd_op_int_at(&l->trees, i);
        node->value = number_at(&l->values, i);
        node->nan_is_yes =
            l->missing.rank == 1 && l->missing.dims[0] && nnd_op_int_at(&l->missing, i);
        if (!branch_of(((const nnd_string *)l->modes.data)[i], &node->branch))
            status = malformed(n, "a node has an unknown mode");
        if (status != NND_OK || node->branch == NND_BRANCH_LEAF) continue;
        if (!find_node(t, tree, nnd_op_int_at(&l->yes, i), &node->next[1]) ||
            !find_node(t, tree, nnd_op_int_at(&l->no, i), &node->next[0])) {
            status = malformed(n, "a node leads nowhere");
            continue;
        }
        is_child[node->next[0]] = is_child[node->next[1]] = true;
        status = set_feature(n, f, node, nnd_op_int_at(&l->features, i));
    }
    for (size_t i = 0; i < count && status == NND_OK; i++)
        if (!is_child[i]) f->roots[f->root_count++] = (uint32_t)i;
    nnd_free(is_child);
    return status;
}

/* Weights are listed in any order: those of a leaf are brought together. */
static nnd_status read_old_leaves(const nnd_graph_node *n, const old_lists *l, const node_table *t,
                                  nnd_forest *f)
{
    size_t ends = (size_t)l->targets.dims[0];
    uint32_t begin = 0, at;
    for (size_t i = 0; i < ends; i++) {
        if (!find_node(t, nnd_op_int_at(&l->leaf_trees, i), nnd_op_int_at(&l->leaf_nodes, i),
                       &at) ||
            f->nodes[at].branch != NND_BRANCH_LEAF)
            return malformed(n, "a weight belongs to no leaf");
        f->nodes[at].count++;
    }
    for (size_t i = 0; i < f->node_count; i++) {
        f->nodes[i].begin = begin;
        begin += f->nodes[i].count;
        f->nodes[i].count = 0;
    }
    for (size_t i = 0; i < ends; i++) {
        int64_t target = nnd_op_int_at(&l->targets, i);
        if (target < 0 || target >= UINT32_MAX) return malformed(n, "a target is out of range");
        (void)find_node(t, nnd_op_int_at(&l->leaf_trees, i), nnd_op_int_at(&l->leaf_nodes, i), &at);
        f->weights[f->nodes[at].begin + f->nodes[at].count++] =
            (nnd_forest_weight){(uint32_t)target, number_at(&l->weights, i)};
    }
    return NND_OK;
}

nnd_status nnd_forest_read_old(const nnd_graph_node *n, const char *prefix, nnd_forest *f)
{
    old_lists l;
    node_table t = {0};
    NND_TRY(read_old_lists(n, prefix, &l));
    f->node_count = (size_t)l.ids.dims[0];
    f->weight_count = (size_t)l.targets.dims[0];
    NND_TRY(make_nodes(f, f->node_count, f->node_count, f->weight_count));
    nnd_status status = table_init(n, &t, &l.trees, &l.ids);
    if (status == NND_OK) status = read_old_nodes(n, &l, &t, f);
    if (status == NND_OK) status = read_old_leaves(n, &l, &t, f);
    if (status == NND_OK) status = nnd_forest_lay_out(f);
    nnd_free(t.slots);
    return status;
}
