#include "engine/ops/window.h"

#include <string.h>

#include "base/size.h"

/* Large enough for any picture, small enough that no sum of products overflows. */
static const int64_t MAX_EXTENT = (int64_t)1 << 31;

static nnd_status read_list(const nnd_op_ctx *c, const char *name, int count, int64_t fallback,
                            int64_t least, int64_t *out)
{
    size_t n;
    const int64_t *list = nnd_node_ints(c->node, name, &n);
    if (list && n != (size_t)count)
        return nnd_op_fail(c, NND_E_SHAPE, "%s has %zu values, %d are wanted", name, n, count);
    for (int i = 0; i < count; i++) {
        out[i] = list ? list[i] : fallback;
        if (out[i] < least || out[i] > MAX_EXTENT)
            return nnd_op_fail(c, NND_E_SHAPE, "%s has the impossible value %lld", name,
                               (long long)out[i]);
    }
    return NND_OK;
}

static int64_t ceil_div(int64_t a, int64_t b)
{
    return a >= 0 ? (a + b - 1) / b : -(-a / b);
}

/* Padding and output extent of one dimension. */
static nnd_status fit(const nnd_op_ctx *c, nnd_window *w, int i, const char *auto_pad)
{
    int64_t reach = (w->kernel[i] - 1) * w->dilation[i] + 1;
    bool same = strncmp(auto_pad, "SAME_", 5) == 0;
    if (same) {
        w->out[i] = ceil_div(w->in[i], w->stride[i]);
        int64_t pad = (w->out[i] - 1) * w->stride[i] + reach - w->in[i];
        if (pad < 0) pad = 0;
        bool lower = strcmp(auto_pad, "SAME_LOWER") == 0;
        w->begin[i] = lower ? pad - pad / 2 : pad / 2;
        w->end[i] = pad - w->begin[i];
        return NND_OK;
    }
    if (strcmp(auto_pad, "VALID") == 0) w->begin[i] = w->end[i] = 0;
    int64_t room = w->in[i] + w->begin[i] + w->end[i] - reach;
    if (room < 0)
        return nnd_op_fail(c, NND_E_SHAPE,
                           "the window (%lld) is larger than the padded input (%lld)",
                           (long long)reach, (long long)(room + reach));
    w->out[i] = room / w->stride[i] + 1;
    if (w->ceil_mode) {
        w->out[i] = ceil_div(room, w->stride[i]) + 1;
        /* The last window has to start inside the input or the padding before it. */
        if ((w->out[i] - 1) * w->stride[i] >= w->in[i] + w->begin[i]) w->out[i]--;
    }
    return NND_OK;
}

nnd_status nnd_window_read(const nnd_op_ctx *c, const int64_t *kernel, nnd_window *w)
{
    const nnd_tensor *x = c->in[0];
    int64_t pads[2 * NND_MAX_SPATIAL] = {0};
    *w = (nnd_window){.spatial = x->rank - 2};
    if (w->spatial < 1 || w->spatial > NND_MAX_SPATIAL)
        return nnd_op_fail(c, NND_E_SHAPE, "the input has rank %d, 3 to 5 are supported", x->rank);
    if (kernel)
        memcpy(w->kernel, kernel, (size_t)w->spatial * sizeof(*kernel));
    else
        NND_TRY(read_list(c, "kernel_shape", w->spatial, 0, 1, w->kernel));
    NND_TRY(read_list(c, "strides", w->spatial, 1, 1, w->stride));
    NND_TRY(read_list(c, "dilations", w->spatial, 1, 1, w->dilation));
    NND_TRY(read_list(c, "pads", 2 * w->spatial, 0, 0, pads));
    w->ceil_mode = nnd_node_int(c->node, "ceil_mode", 0) != 0;
    const char *auto_pad = nnd_node_string(c->node, "auto_pad", "NOTSET");
    for (int i = 0; i < w->spatial; i++) {
        w->in[i] = x->dims[i + 2];
        w->begin[i] = pads[i];
        w->end[i] = pads[i + w->spatial];
        if (w->in[i] > MAX_EXTENT || w->kernel[i] < 1 || w->kernel[i] > MAX_EXTENT)
            return nnd_op_fail(c, NND_E_SHAPE, "dimension %d is too large", i + 2);
        NND_TRY(fit(c, w, i, auto_pad));
    }
    return NND_OK;
}

bool nnd_conv_groups(const nnd_graph_node *n, int64_t each, int64_t *groups, int64_t *channels)
{
    *groups = nnd_node_int(n, "group", 1);
    if (*groups >= 1 && nnd_i64_mul(each, *groups, channels)) return true;
    *channels = 0;
    return false;
}
