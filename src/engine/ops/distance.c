/* com.microsoft's CDist: distances between all rows of two matrices. */
#include <math.h>
#include <string.h>

#include "engine/ops/element.h"

static nnd_status distance_infer(nnd_op_ctx *c)
{
    const char *metric = nnd_node_string(c->node, "metric", "sqeuclidean");
    NND_TRY(nnd_op_expect(c, 0, NND_FLOATS));
    NND_TRY(nnd_op_expect(c, 1, 1u << c->in[0]->dtype));
    const nnd_tensor *a = c->in[0], *b = c->in[1];
    if (a->rank != 2 || b->rank != 2 || a->dims[1] != b->dims[1])
        return nnd_op_fail(c, NND_E_SHAPE, "the operands are no matrices of equally long rows");
    if (strcmp(metric, "sqeuclidean") != 0 && strcmp(metric, "euclidean") != 0)
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "the metric '%s' is not supported", metric);
    int64_t dims[2] = {a->dims[0], b->dims[0]};
    return nnd_op_output(c, 0, a->dtype, 2, dims);
}

static nnd_status distance_row(void *user, size_t row, int lane)
{
    const nnd_op_ctx *c = user;
    const nnd_tensor *a = c->in[0], *b = c->in[1], *y = &c->out[0];
    size_t n = (size_t)a->dims[1], rows = (size_t)b->dims[0];
    bool root = strcmp(nnd_node_string(c->node, "metric", "sqeuclidean"), "euclidean") == 0;
    (void)lane;
    for (size_t k = 0; k < rows; k++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++) {
            double d = nnd_get(a, row * n + i) - nnd_get(b, k * n + i);
            sum += d * d;
        }
        nnd_set(y, row * rows + k, root ? sqrt(sum) : sum);
    }
    return NND_OK;
}

static nnd_status distance_run(nnd_op_ctx *c)
{
    if (nnd_tensor_count(&c->out[0]) == 0) return NND_OK;
    return nnd_op_for(c, (size_t)c->in[0]->dims[0], distance_row, c);
}

static double distance_flops(const nnd_op_ctx *c)
{
    return 3.0 * (double)nnd_tensor_count(c->in[0]) * (double)c->in[1]->dims[0];
}

static const nnd_op ops[] = {
    {"com.microsoft", "CDist", 1, 0, 2, 2, 1, 1, 0, distance_infer, distance_run,
     .flops = distance_flops},
};
const nnd_op_family nnd_ops_distance = {ops, NND_COUNT(ops)};
