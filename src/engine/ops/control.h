/* What operators with bodies share: values that live from one iteration to the next, and results
   that are stacked over the iterations. */
#ifndef NND_ENGINE_OPS_CONTROL_H
#define NND_ENGINE_OPS_CONTROL_H

#include "engine/ops/op.h"

/* A value with memory of its own. */
typedef struct nnd_kept {
    nnd_tensor tensor;
    void *memory; /* NULL when it lies in a box */
    nnd_value *box;
} nnd_kept;

/* Replaces what was kept before. */
nnd_status nnd_kept_set(nnd_kept *kept, const nnd_body_input *value);
void nnd_kept_clear(nnd_kept *kept);
static inline nnd_body_input nnd_kept_input(const nnd_kept *kept)
{
    return (nnd_body_input){&kept->tensor, kept->box};
}

/* Tensors of one type and shape, one behind the other. */
typedef struct nnd_stack {
    char *bytes;
    size_t used, capacity;
    nnd_tensor first; /* type and shape of each */
    int64_t count;
} nnd_stack;

nnd_status nnd_stack_push(const nnd_op_ctx *c, nnd_stack *s, const nnd_body_input *value);
/* Zeros in place of `count` tensors; there is one tensor at least. */
nnd_status nnd_stack_pad(const nnd_op_ctx *c, nnd_stack *s, int64_t count);
/* Output i = the stack along `axis` of the result, from last to first when reversed. What is
   declared stands for the shape of a tensor when there is none. */
nnd_status nnd_stack_put(nnd_op_ctx *c, size_t i, const nnd_stack *s,
                         const nnd_graph_value *declared, int64_t axis, bool reversed);
void nnd_stack_clear(nnd_stack *s);

#endif
