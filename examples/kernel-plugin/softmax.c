/* A plug-in with a kernel for an operator that exists: Softmax along the last axis of f32 tensors,
   in double precision. Every model that the built-in engine loads afterwards uses it; `nndeploy
   bench model --profile` shows it as "demo.softmax". */
#include <math.h>
#include <nndeploy/infer.h>
#include <nndeploy/plugin.h>

/* The last axis, or one that is so counted from the front; before version 13 Softmax flattens its
   input, which is another function. */
static bool softmax_supports(const nnd_operator_call *call)
{
    const nnd_tensor *x = call->inputs[0];
    int64_t axis = call->tools->attribute_int(call, "axis", -1);
    return x->rank > 0 && (axis == -1 || axis == x->rank - 1);
}

static nnd_status softmax_row(void *user, size_t row, int lane)
{
    const nnd_operator_call *call = user;
    const nnd_tensor *in = call->inputs[0];
    size_t count = (size_t)in->dims[in->rank - 1];
    const float *x = (const float *)in->data + row * count;
    float *y = (float *)call->outputs[0].data + row * count, most = x[0];
    double sum = 0;
    (void)lane;
    for (size_t i = 1; i < count; i++)
        if (x[i] > most) most = x[i];
    for (size_t i = 0; i < count; i++)
        sum += exp((double)x[i] - (double)most);
    for (size_t i = 0; i < count; i++)
        y[i] = (float)(exp((double)x[i] - (double)most) / sum);
    return NND_OK;
}

static nnd_status softmax_run(nnd_operator_call *call)
{
    const nnd_tensor *x = call->inputs[0];
    size_t rows = 1;
    for (int i = 0; i + 1 < x->rank; i++)
        rows *= (size_t)x->dims[i];
    if (x->dims[x->rank - 1] == 0 || !call->outputs[0].data) return NND_OK;
    return call->tools->parallel_for(call, rows, softmax_row, call);
}

static const nnd_kernel softmax = {
    .struct_size = sizeof(nnd_kernel),
    .domain = "",
    .op = "Softmax",
    .name = "demo.softmax",
    .since = 13,
    .dtypes = UINT64_C(1) << NND_F32,
    .supports = softmax_supports,
    .run = softmax_run,
};

static const nnd_extension extensions[] = {{"engine.kernel/1", &softmax}};
static const nnd_plugin plugin = {
    .struct_size = sizeof(nnd_plugin),
    .abi_version = NND_ABI_VERSION,
    .name = "demo-softmax",
    .version = "1.0.0",
    .licence = "Apache-2.0",
    .extensions = NND_ARRAY(extensions),
};

NND_PLUGIN_EXPORT const nnd_plugin *nnd_plugin_v1(const nnd_host *host)
{
    (void)host; /* a kernel gets its tools with every call */
    return &plugin;
}
