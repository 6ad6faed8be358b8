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
    double value;
    uint32_t feature;
    uint32_t next[2];      /* nodes when the answer is no, yes; a leaf leads to itself */
    uint32_t begin, count; /* LEAF: of weights; MEMBER: of members */
    uint8_t branch;        /* nnd_branch */
    bool nan_is_yes;
} nnd_forest_node;

typedef struct nnd_forest_weight {
    uint32_t target;
    double weight;
} nnd_forest_weight;

/* A node as rows of f32 read it. All four comparisons become y ≤ value with y = x or −x, and NaN
   always goes to no: where it has to go to yes, the question is turned round. */
typedef struct nnd_forest_step {
    float value; /* NaN at leaves */
    uint32_t feature;
    uint32_t next; /* the step of no; that of yes lies behind it. A leaf leads to itself */
    uint32_t sign; /* what the bits of x are xored with; at a leaf: its node */
} nnd_forest_step;

typedef struct nnd_forest_tree {
    uint32_t step;          /* its first */
    uint32_t shallow, deep; /* branches on the shortest and on the longest way to a leaf */
} nnd_forest_tree;

typedef struct nnd_forest {
    size_t node_count, root_count, weight_count, member_count;
    nnd_forest_node *nodes;
    uint32_t *roots;
    nnd_forest_weight *weights;
    double *members;
    int64_t features;  /* the largest that is read, + 1 */
    nnd_branch branch; /* of all nodes but leaves; LEAF when they differ */
    /* NULL when a node asks something else or has several ways to it */
    nnd_forest_step *steps;
    nnd_forest_tree *trees; /* as many as roots */
} nnd_forest;

/* From the attributes of TreeEnsemble (opset 5). */
nnd_status nnd_forest_read(const nnd_graph_node *n, nnd_forest *f);
/* From those of TreeEnsembleRegressor and TreeEnsembleClassifier; prefix: "target" or "class",
   before _treeids, _nodeids, _ids and _weights. */
nnd_status nnd_forest_read_old(const nnd_graph_node *n, const char *prefix, nnd_forest *f);
void nnd_forest_fini(nnd_forest *f);
/* Walks through trees that go together, so that they wait for memory together: rows through one
   tree, or one row through several. */
enum { NND_FOREST_WALKS = 8 };
typedef struct nnd_forest_rows {
    nnd_dtype dtype; /* f32 or f64 */
    const void *data;
    size_t stride; /* elements from the row of a walk to that of the next; 0 = all see the same */
} nnd_forest_rows;
/* Called by the readers when all nodes are there: what a walk needs beside them. */
nnd_status nnd_forest_lay_out(nnd_forest *f);
/* at: the trees of `count` ≤ NND_FOREST_WALKS walks, and then their leaves. False when a tree has a
   cycle. */
bool nnd_forest_walk(const nnd_forest *f, const nnd_forest_rows *x, size_t count, uint32_t *at);

#endif
