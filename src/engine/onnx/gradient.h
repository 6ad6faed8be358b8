/*
 * The operator Gradient of ai.onnx.preview.training: while a model is read, the node becomes
 * ordinary nodes that compute the derivatives (reverse mode). gradient.c walks over the part of the
 * graph that is differentiated, gradient_rules.c has the rule of each operator.
 *
 * Sections: 1 the node · 2 what a rule sees · 3 nodes that rules emit
 */
#ifndef NND_ENGINE_ONNX_GRADIENT_H
#define NND_ENGINE_ONNX_GRADIENT_H

#include "engine/onnx/onnx.h"

/* ---- 1 the node -------------------------------------------------------------------------- */

/* A Gradient node as the file has it, names translated into the scope at hand. */
typedef struct nnd_gradient_call {
    const char *name;
    size_t input_count, output_count, attr_count;
    const char *const *inputs, *const *outputs;
    const nnd_attr *attrs;
} nnd_gradient_call;

bool nnd_gradient_is(const char *domain, const char *type);
/* Appends the nodes that stand for the call. Of a `y` with several elements it is the derivative of
   their sum. Where the inputs are others than the tensors named by xs and zs, the nodes between
   these and y are repeated for them. NND_E_UNSUPPORTED with all operators that have no rule,
   NND_E_FORMAT for a malformed call. */
nnd_status nnd_gradient_expand(nnd_onnx_model *model, nnd_graph *graph,
                               const nnd_gradient_call *call);

/* ---- 2 what a rule sees ------------------------------------------------------------------ */

typedef struct nnd_gradient {
    nnd_onnx_model *model;
    nnd_graph *graph;
    const char *name;    /* of the Gradient node */
    nnd_status status;   /* of the first step that failed; the others do nothing then */
    nnd_graph_node node; /* whose rule runs: a copy, since emitting moves the graph's nodes */
    size_t value_count;  /* of the tables: the values there were before */
    uint8_t *marks;
    uint32_t *actual;  /* value → the one that stands for it at the given inputs */
    uint32_t *adjoint; /* value → derivative of y by it, NND_NO_ID = none so far */
} nnd_gradient;

/* Adds the derivatives by the inputs of d->node, given those by its outputs. */
typedef void (*nnd_gradient_rule)(nnd_gradient *d);
/* NULL = there is none. *flat: the derivative is zero wherever there is one (comparisons, rounding,
   shapes, integers), so nothing goes through and no rule is wanted. */
nnd_gradient_rule nnd_gradient_find_rule(const nnd_graph_node *node, bool *flat);

uint32_t nnd_gradient_in(const nnd_gradient *d, size_t i);  /* NND_NO_ID = absent */
uint32_t nnd_gradient_out(const nnd_gradient *d, size_t i); /* likewise */
/* Derivative of y by output i, of its shape; NND_NO_ID = y does not depend on it. A rule runs only
   when there is one by some output: the first, unless the node is a Split. */
uint32_t nnd_gradient_of(const nnd_gradient *d, size_t i);
/* Whether the derivative by input i is asked for. */
bool nnd_gradient_wants(const nnd_gradient *d, size_t i);
/* Adds a part of it, which has the input's shape. */
void nnd_gradient_give(nnd_gradient *d, size_t i, uint32_t part);
/* The rule cannot: "'pads' …". */
void nnd_gradient_refuse(nnd_gradient *d, const char *why);

/* ---- 3 nodes that rules emit ------------------------------------------------------------- */

/* The only output; NND_NO_ID once something has failed. */
uint32_t nnd_gradient_emit(nnd_gradient *d, const char *type, size_t input_count,
                           const uint32_t *inputs);
/* A node like d->node with other inputs; its outputs go to out[0 … output_count−1]. */
void nnd_gradient_repeat(nnd_gradient *d, size_t input_count, const uint32_t *inputs,
                         size_t output_count, uint32_t *out);
/* Several outputs: Split. */
void nnd_gradient_emit_many(nnd_gradient *d, const char *type, size_t input_count,
                            const uint32_t *inputs, size_t output_count, uint32_t *out);
/* Attributes of the node emitted last. */
void nnd_gradient_int(nnd_gradient *d, const char *name, int64_t v);
void nnd_gradient_ints(nnd_gradient *d, const char *name, const int64_t *v, size_t count);
void nnd_gradient_string(nnd_gradient *d, const char *name, const char *v);
/* Constants: i64[count], and a scalar of the element type of `like`. */
uint32_t nnd_gradient_list(nnd_gradient *d, const int64_t *v, size_t count);
uint32_t nnd_gradient_number(nnd_gradient *d, double v, uint32_t like);
/* Every element `v`, in the shape and of the type of `like`. */
uint32_t nnd_gradient_fill(nnd_gradient *d, double v, uint32_t like);

#endif
