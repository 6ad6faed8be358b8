/* com.microsoft's IsAllFinite: whether no element of any input is infinite or no number. */
#include <math.h>

#include "engine/ops/element.h"

static nnd_status infer(nnd_op_ctx *c)
{
    for (size_t i = 0; i < c->in_count; i++)
        NND_TRY(nnd_op_expect(c, i, NND_FLOATS));
    if (nnd_node_int(c->node, "isinf_only", 0) && nnd_node_int(c->node, "isnan_only", 0))
        return nnd_op_fail(c, NND_E_INVALID_ARGUMENT,
                           "isinf_only and isnan_only exclude each other");
    return nnd_op_output(c, 0, NND_BOOL, 0, NULL);
}

static nnd_status run(nnd_op_ctx *c)
{
    const bool infinite = !nnd_node_int(c->node, "isnan_only", 0);
    const bool nan = !nnd_node_int(c->node, "isinf_only", 0);
    bool fine = true;
    for (size_t i = 0; i < c->in_count && fine; i++) {
        const size_t count = (size_t)nnd_tensor_count(c->in[i]);
        for (size_t k = 0; k < count && fine; k++) {
            const double v = nnd_get(c->in[i], k);
            fine = !((infinite && isinf(v)) || (nan && isnan(v)));
        }
    }
    *(uint8_t *)c->out[0].data = fine;
    return NND_OK;
}

static const nnd_op ops[] = {
    {"com.microsoft", "IsAllFinite", 1, 0, 1, -1, 1, 1, 0, infer, run, .variant = 0},
};
const nnd_op_family nnd_ops_finite = {ops, NND_COUNT(ops)};
