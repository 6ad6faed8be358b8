/* A plug-in with an operator of its own: com.example.ScaledMish, y = x · tanh(ln(1 + e^(beta·x))),
   elementwise on f32, with the attribute "beta" (1 when it is not given). Models that have such
   nodes run on the built-in engine once the plug-in is loaded. */
#include <math.h>
#include <nndeploy/infer.h>
#include <nndeploy/plugin.h>

static nnd_status mish_infer(nnd_operator_call *call)
{
    const nnd_tensor *x = call->inputs[0];
    if (x->dtype != NND_F32)
        return call->tools->error_set(call, NND_E_TYPE, "ScaledMish takes f32 tensors only");
    return call->tools->describe_output(call, 0, x->dtype, x->rank, x->dims);
}

enum { GRAIN = 4096 }; /* elements of a tile: fixed, so that results never depend on threads */

typedef struct mish_work {
    const float *x;
    float *y;
    size_t count;
    float beta;
} mish_work;

static nnd_status mish_tile(void *user, size_t tile, int lane)
{
    const mish_work *work = user;
    size_t end = (tile + 1) * GRAIN < work->count ? (tile + 1) * GRAIN : work->count;
    (void)lane;
    for (size_t i = tile * GRAIN; i < end; i++) {
        float x = work->x[i], bx = work->beta * x;
        float softplus = bx > 20 ? bx : log1pf(expf(bx));
        work->y[i] = x * tanhf(softplus);
    }
    return NND_OK;
}

static nnd_status mish_run(nnd_operator_call *call)
{
    mish_work work = {.x = call->inputs[0]->data,
                      .y = call->outputs[0].data,
                      .count = 1,
                      .beta = call->tools->attribute_float(call, "beta", 1.0f)};
    for (int i = 0; i < call->inputs[0]->rank; i++)
        work.count *= (size_t)call->inputs[0]->dims[i];
    if (!work.y) return NND_OK; /* nobody reads it */
    return call->tools->parallel_for(call, (work.count + GRAIN - 1) / GRAIN, mish_tile, &work);
}

static const nnd_operator mish = {
    .struct_size = sizeof(nnd_operator),
    .domain = "com.example",
    .name = "ScaledMish",
    .since = 1,
    .min_inputs = 1,
    .max_inputs = 1,
    .min_outputs = 1,
    .max_outputs = 1,
    .flags = NND_OPERATOR_INPLACE,
    .infer = mish_infer,
    .run = mish_run,
};

static const nnd_extension extensions[] = {{"engine.operator/1", &mish}};
static const nnd_plugin plugin = {
    .struct_size = sizeof(nnd_plugin),
    .abi_version = NND_ABI_VERSION,
    .name = "demo-mish",
    .version = "1.0.0",
    .licence = "Apache-2.0",
    .extensions = NND_ARRAY(extensions),
};

NND_PLUGIN_EXPORT const nnd_plugin *nnd_plugin_v1(const nnd_host *host)
{
    (void)host; /* an operator gets its tools with every call */
    return &plugin;
}
