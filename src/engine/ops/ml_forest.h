/* Decision trees in the one form to which all operators with trees are brought. */
#ifndef NND_ENGINE_OPS_ML_FOREST_H
#define NND_ENGINE_OPS_ML_FOREST_H

#include "engine/ops/ml.h"

typedef enum nnd_branch {
    NND_BRANCH_LEQ = 0, /* x ≤ value goes to yes; the numbers are those of TreeEnsemble */
    NND_BRANCH_LT,
    NND_BRANCH_GTE,
    NND_BRANCH_GT,
    NND_BRANCH_EQ,
    NND_BRANCH_NEQ,
    NND_BRANCH_MEMBER, /* one of values begin … begin + count − 1 */
    NND_BRANCH_LEAF
} nnd_branch;

typedef struct nnd_forest_node {
    nnd_branch branch;
    bool nan_is_yes;
    uint32_t yes, no;      /* nodes */
    uint32_t begin, count; /* LEAF: of weights; MEMBER: of members */
    int64_t feature;
    double value;
} nnd_forest_node;

typedef struct nnd_forest_weight {
    uint32_t target;
    double weight;
} nnd_forest_weight;

typedef struct nnd_forest {
    size_t node_count, root_count, weight_count, member_count;
    nnd_forest_node *nodes;
    uint32_t *roots;
    nnd_forest_weight *weights;
    double *members;
    int64_t features; /* the largest that is read, + 1 */
} nnd_forest;

/* From the attributes of TreeEnsemble (opset 5). */
nnd_status nnd_forest_read(const nnd_graph_node *n, nnd_forest *f);
/* From those of TreeEnsembleRegressor and TreeEnsembleClassifier; prefix: "target" or "class",
   before _treeids, _nodeids, _ids and _weights. */
nnd_status nnd_forest_read_old(const nnd_graph_node *n, const char *prefix, nnd_forest *f);
void nnd_forest_fini(nnd_forest *f);
/* The leaf that the row reaches from a root; NULL when the tree has a cycle. */
const nnd_forest_node *nnd_forest_leaf(const nnd_forest *f, uint32_t root, const nnd_tensor *x,
                                       size_t row);

#endif
