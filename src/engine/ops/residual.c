#include "engine/ops/residual.h"

#include <stdio.h>
#include <string.h>

#include "engine/ops/element.h"
#include "engine/ops/epilogue.h"

/* ---- shapes -------------------------------------------------------------------------------- */

bool nnd_residual_fits(const nnd_op_ctx *c, int rank, const int64_t *dims)
{
    const nnd_tensor *z = nnd_residual_of(c);
    return z && z->rank == rank && memcmp(z->dims, dims, (size_t)rank * sizeof(*dims)) == 0;
}

/* The addition as a node of its own. */
typedef struct addition {
    nnd_graph_node node;
    const nnd_tensor *in[2];
    nnd_op_ctx c;
} addition;

static void addition_of(const nnd_op_ctx *c, const nnd_tensor *own, addition *a)
{
    const int64_t opset = 14;
    const nnd_op *add = nnd_op_find("", "Add", opset);
    a->node = (nnd_graph_node){.name = c->node->name,
                               .domain = "",
                               .type = "Add",
                               .opset = opset,
                               .op = add,
                               .input_count = 2,
                               .formal_count = 2};
    a->in[0] = own;
    a->in[1] = nnd_residual_of(c);
    a->c = *c;
    a->c.node = &a->node;
    a->c.op = add;
    a->c.in = a->in;
    a->c.in_count = 2;
    a->c.step = NULL;
}

static void write_shape(const nnd_tensor *t, char *text, size_t size)
{
    size_t used = 0;
    text[0] = 0;
    for (int i = 0; i < t->rank && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%lld", i ? "x" : "",
                                 (long long)t->dims[i]);
}

nnd_status nnd_residual_output(nnd_op_ctx *c, int rank, const int64_t *dims)
{
    const nnd_dtype dtype = c->in[0]->dtype;
    const nnd_tensor *z = nnd_residual_of(c);
    NND_TRY(nnd_op_output(c, 0, dtype, rank, dims));
    if (!z) return NND_OK;
    NND_TRY(nnd_op_expect(c, 3, 1u << dtype));
    addition a;
    nnd_tensor own = c->out[0];
    int64_t sum[NND_MAX_RANK];
    addition_of(c, &own, &a);
    if (nnd_op_broadcast(&a.c, 0, 2, &rank, sum) == NND_OK)
        return nnd_op_output(c, 0, dtype, rank, sum);
    nnd_error_clear();
    char result[NND_MAX_RANK * 21], added[NND_MAX_RANK * 21];
    write_shape(&own, result, sizeof(result));
    write_shape(z, added, sizeof(added));
    return nnd_op_fail(c, NND_E_SHAPE,
                       "its result of the shape %s and what is added to it, of the shape %s, do "
                       "not broadcast; give the model inputs of sizes at which they do",
                       result, added);
}

/* ---- run ----------------------------------------------------------------------------------- */

static nnd_status activation_tile(void *user, size_t index, int lane)
{
    const nnd_op_ctx *c = user;
    const nnd_tensor *y = &c->out[0];
    size_t begin = index * NND_OP_GRAIN, total = (size_t)nnd_tensor_count(y);
    size_t end = total - begin < NND_OP_GRAIN ? total : begin + NND_OP_GRAIN;
    (void)lane;
    if (y->dtype == NND_F32) {
        nnd_act act = nnd_epilogue_act(c->node);
        float *data = (float *)y->data + begin;
        nnd_act_apply(&act, data, data, end - begin);
        return NND_OK;
    }
    for (size_t i = begin; i < end; i++)
        nnd_set(y, i, (double)nnd_epilogue_apply(c->node, (float)nnd_get(y, i)));
    return NND_OK;
}

nnd_status nnd_residual_run(nnd_op_ctx *c, const nnd_tensor *own,
                            nnd_status (*layer)(nnd_op_ctx *c))
{
    addition a;
    nnd_op_ctx first = *c;
    nnd_tensor y = *own;
    void *memory = NULL;
    size_t count = (size_t)nnd_tensor_count(&c->out[0]);
    if (count == 0) return NND_OK;
    y.data = c->out[0].data; /* in place, unless the result is what is repeated */
    if ((size_t)nnd_tensor_count(&y) != count) {
        y.data = memory = nnd_alloc_aligned(nnd_tensor_bytes(&y) + 1, NND_KERNEL_ALIGN);
        if (!memory)
            return nnd_op_fail(c, NND_E_OUT_OF_MEMORY, "no memory for what is added to later");
    }
    first.out = &y;
    first.out_count = 1;
    nnd_status status = layer(&first);
    addition_of(c, &y, &a);
    if (status == NND_OK) status = a.c.op->run(&a.c);
    nnd_free_aligned(memory);
    if (status != NND_OK || c->node->epilogue == NND_EPILOGUE_NONE) return status;
    return nnd_op_for(c, nnd_op_tiles(count), activation_tile, c);
}
