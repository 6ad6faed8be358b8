/* Resize and Upsample: nearest, linear, cubic in any number of dimensions, one axis at a time. */
#include <math.h>
#include <string.h>

#include "engine/kernels/kernels.h"
#include "engine/ops/blocked.h"
#include "engine/ops/blocks.h"

typedef enum coordinate {
    HALF_PIXEL,
    HALF_PIXEL_SYMMETRIC,
    PYTORCH_HALF_PIXEL,
    ALIGN_CORNERS,
    ASYMMETRIC,
    CROP_AND_RESIZE,
    TF_HALF_PIXEL_FOR_NN
} coordinate;
typedef enum method { NEAREST, LINEAR, CUBIC } method;

typedef struct resizing {
    method method;
    coordinate coordinate;
    bool antialias, exclude_outside;
    double cubic_a, outside;
    const char *nearest;
    int rank;
    int64_t in[NND_MAX_RANK], out[NND_MAX_RANK];
    double scale[NND_MAX_RANK], roi[2 * NND_MAX_RANK];
    double true_length[NND_MAX_RANK]; /* in · scale, not rounded */
} resizing;

/* ---- attributes ---------------------------------------------------------------------------- */

static nnd_status pick(const nnd_op_ctx *c, const char *value, const char *const *names,
                       size_t count, int *out)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(value, names[i]) == 0) {
            *out = (int)i;
            return NND_OK;
        }
    return nnd_op_fail(c, NND_E_UNSUPPORTED, "the mode '%s' is not known", value);
}

static nnd_status read_modes(const nnd_op_ctx *c, resizing *r)
{
    static const char *const methods[] = {"nearest", "linear", "cubic"};
    static const char *const coordinates[] = {
        "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel",  "align_corners",
        "asymmetric", "tf_crop_and_resize",   "tf_half_pixel_for_nn"};
    const nnd_graph_node *n = c->node;
    bool old = c->op->variant == 1 || n->opset < 11;
    const char *mode = nnd_node_string(n, "mode", "nearest");
    int m, k;
    if (strcmp(mode, "bilinear") == 0) mode = "linear";
    NND_TRY(pick(c, mode, methods, NND_COUNT(methods), &m));
    NND_TRY(pick(
        c, nnd_node_string(n, "coordinate_transformation_mode", old ? "asymmetric" : "half_pixel"),
        coordinates, NND_COUNT(coordinates), &k));
    r->method = (method)m;
    r->coordinate = (coordinate)k;
    r->nearest = nnd_node_string(n, "nearest_mode", old ? "floor" : "round_prefer_floor");
    r->cubic_a = (double)nnd_node_float(n, "cubic_coeff_a", -0.75f);
    r->outside = (double)nnd_node_float(n, "extrapolation_value", 0.0f);
    r->antialias = nnd_node_int(n, "antialias", 0) != 0;
    r->exclude_outside = nnd_node_int(n, "exclude_outside", 0) != 0;
    return NND_OK;
}

/* Axes that scales, sizes and roi speak of. */
static nnd_status read_axes(const nnd_op_ctx *c, int *axes, size_t *count)
{
    size_t n;
    const int64_t *list = nnd_node_ints(c->node, "axes", &n);
    uint32_t set;
    *count = (size_t)c->in[0]->rank;
    for (int i = 0; i < c->in[0]->rank; i++)
        axes[i] = i;
    if (!list) return NND_OK;
    NND_TRY(nnd_op_axes(c, list, n, c->in[0]->rank, &set));
    for (size_t i = 0; i < n; i++)
        axes[i] = (int)(list[i] < 0 ? list[i] + c->in[0]->rank : list[i]);
    *count = n;
    return NND_OK;
}

static nnd_status apply_scales(const nnd_op_ctx *c, const nnd_tensor *scales, const int *axes,
                               size_t count, resizing *r)
{
    size_t n;
    const float *list = nnd_node_floats(c->node, "scales", &n);
    if (scales) n = (size_t)nnd_tensor_count(scales);
    if (n != count) return nnd_op_fail(c, NND_E_SHAPE, "%zu scales for %zu axes", n, count);
    for (size_t i = 0; i < count; i++) {
        double s = scales ? nnd_dtype_get(scales->dtype, scales->data, i) : (double)list[i];
        /* In f32, as exporters and other engines do: 10 times 0.7 is 7. */
        double length = (double)((float)r->in[axes[i]] * (float)s);
        if (!(s > 0) || length > 1e9) return nnd_op_fail(c, NND_E_SHAPE, "a scale is %g", s);
        r->scale[axes[i]] = s;
        r->true_length[axes[i]] = length;
        r->out[axes[i]] = (int64_t)floor(length);
    }
    return NND_OK;
}

static nnd_status apply_sizes(const nnd_op_ctx *c, const nnd_tensor *sizes, const int *axes,
                              size_t count, resizing *r)
{
    const char *policy = nnd_node_string(c->node, "keep_aspect_ratio_policy", "stretch");
    bool larger = strcmp(policy, "not_smaller") == 0, smaller = strcmp(policy, "not_larger") == 0;
    double common = 0;
    if ((size_t)nnd_tensor_count(sizes) != count)
        return nnd_op_fail(c, NND_E_SHAPE, "there are not %zu sizes", count);
    for (size_t i = 0; i < count; i++) {
        int64_t want = nnd_op_int_at(sizes, i);
        if (want < 0 || want > INT32_MAX || r->in[axes[i]] == 0)
            return nnd_op_fail(c, NND_E_SHAPE, "a size is %lld", (long long)want);
        double s = (double)want / (double)r->in[axes[i]];
        r->out[axes[i]] = want;
        r->scale[axes[i]] = s;
        if (i == 0 || (larger && s > common) || (smaller && s < common)) common = s;
    }
    for (size_t i = 0; i < count; i++) {
        int a = axes[i];
        if (larger || smaller) {
            r->scale[a] = common;
            r->out[a] = (int64_t)floor((double)r->in[a] * common + 0.5);
        }
        r->true_length[a] = (double)r->out[a];
    }
    return NND_OK;
}

static nnd_status read_resizing(const nnd_op_ctx *c, resizing *r)
{
    const nnd_tensor *x, *scales = NULL, *sizes = NULL, *roi = NULL;
    int axes[NND_MAX_RANK];
    size_t count;
    NND_TRY(nnd_op_need(c, 0, &x));
    *r = (resizing){.rank = x->rank};
    for (int i = 0; i < x->rank; i++) {
        r->in[i] = r->out[i] = x->dims[i];
        r->scale[i] = r->roi[x->rank + i] = 1.0;
        r->true_length[i] = (double)x->dims[i];
    }
    NND_TRY(read_modes(c, r));
    NND_TRY(read_axes(c, axes, &count));
    bool three = c->op->variant == 0 && c->node->opset >= 11; /* X, roi, scales, sizes */
    size_t at = three ? 2 : 1;
    if (nnd_op_in(c, at) && nnd_tensor_count(c->in[at]) > 0) NND_TRY(nnd_op_known(c, at, &scales));
    if (three && nnd_op_in(c, 3) && nnd_tensor_count(c->in[3]) > 0)
        NND_TRY(nnd_op_known(c, 3, &sizes));
    if (r->coordinate == CROP_AND_RESIZE) {
        NND_TRY(nnd_op_known(c, 1, &roi));
        if ((size_t)nnd_tensor_count(roi) != 2 * count)
            return nnd_op_fail(c, NND_E_SHAPE, "roi does not have two values per axis");
        for (size_t i = 0; i < count; i++) {
            r->roi[axes[i]] = nnd_dtype_get(roi->dtype, roi->data, i);
            r->roi[x->rank + axes[i]] = nnd_dtype_get(roi->dtype, roi->data, count + i);
        }
    }
    return sizes ? apply_sizes(c, sizes, axes, count, r) : apply_scales(c, scales, axes, count, r);
}

/* The same of a blocked input, which is seen as NCHW; channels must stay as they are. */
static nnd_status read_any(const nnd_op_ctx *c, resizing *r)
{
    if (!(c->op->flags & NND_OP_BLOCKED_IN)) return read_resizing(c, r);
    enum { MOST = 4 };
    int64_t channels = nnd_node_int(c->node, "channels", 0);
    NND_TRY(nnd_blocked_check(c, 0, channels));
    nnd_tensor x = nnd_blocked_logical(c->in[0], channels);
    const nnd_tensor *in[MOST] = {&x};
    nnd_op_ctx plain = *c;
    for (size_t i = 1; i < c->in_count && i < MOST; i++)
        in[i] = c->in[i];
    plain.in = in;
    NND_TRY(read_resizing(&plain, r));
    if (r->out[0] == r->in[0] && r->out[1] == r->in[1]) return NND_OK;
    return nnd_op_fail(c, NND_E_UNSUPPORTED, "batch and channels cannot be resized in blocks");
}

static nnd_status resize_infer(nnd_op_ctx *c)
{
    resizing r;
    NND_TRY(nnd_op_expect(c, 0, NND_NUMBERS));
    NND_TRY(read_any(c, &r));
    if (c->op->flags & NND_OP_BLOCKED_OUT) return nnd_blocked_output(c, r.out);
    return nnd_op_output(c, 0, c->in[0]->dtype, r.rank, r.out);
}

/* ---- one axis: which source elements with which weights make a result element --------------- */

typedef struct taps {
    size_t per_output;
    int64_t *index; /* −1 = outside: the extrapolation value */
    double *weight;
} taps;

static double source_of(const resizing *r, int d, int64_t o)
{
    double x = (double)o, scale = r->scale[d], in = (double)r->in[d], out = r->true_length[d];
    switch (r->coordinate) {
    case HALF_PIXEL:
        return (x + 0.5) / scale - 0.5;
    case HALF_PIXEL_SYMMETRIC: {
        double adjustment = (double)r->out[d] / out, center = in / 2;
        return center * (1 - adjustment) + (x + 0.5) / scale - 0.5;
    }
    case PYTORCH_HALF_PIXEL:
        return r->out[d] > 1 ? (x + 0.5) / scale - 0.5 : 0.0;
    case ALIGN_CORNERS:
        return out > 1 ? x * (in - 1) / (out - 1) : 0.0;
    case CROP_AND_RESIZE: {
        double start = r->roi[d], end = r->roi[r->rank + d];
        if (out <= 1) return 0.5 * (start + end) * (in - 1);
        return start * (in - 1) + x * (end - start) * (in - 1) / (out - 1);
    }
    case TF_HALF_PIXEL_FOR_NN:
        return (x + 0.5) / scale;
    default:
        return x / scale;
    }
}

/* Rounding decides here, so it has to be that of f32: 2 over 0.4 is 5, not a little less. */
static double nearest_source(const resizing *r, int d, int64_t o)
{
    float x = (float)o, scale = (float)r->scale[d];
    switch (r->coordinate) {
    case HALF_PIXEL:
        return (double)((x + 0.5f) / scale - 0.5f);
    case TF_HALF_PIXEL_FOR_NN:
        return (double)((x + 0.5f) / scale);
    case ASYMMETRIC:
        return (double)(x / scale);
    default:
        return source_of(r, d, o);
    }
}

static int64_t nearest_of(const resizing *r, double x)
{
    if (strcmp(r->nearest, "floor") == 0) return (int64_t)floor(x);
    if (strcmp(r->nearest, "ceil") == 0) return (int64_t)ceil(x);
    if (strcmp(r->nearest, "round_prefer_ceil") == 0) return (int64_t)floor(x + 0.5);
    return (int64_t)ceil(x - 0.5);
}

static double kernel_weight(const resizing *r, double t)
{
    double a = r->cubic_a;
    t = fabs(t);
    if (r->method == LINEAR) return t < 1 ? 1 - t : 0;
    if (t <= 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
    return t < 2 ? ((a * t - 5 * a) * t + 8 * a) * t - 4 * a : 0;
}

static int64_t clamp_index(int64_t i, int64_t extent)
{
    return i < 0 ? 0 : i >= extent ? extent - 1 : i;
}

static void interpolate(const resizing *r, int d, double x, int64_t *index, double *weight,
                        size_t n, double stretch)
{
    int64_t first = (int64_t)floor(x) - (int64_t)n / 2 + 1;
    double sum = 0;
    for (size_t k = 0; k < n; k++) {
        int64_t i = first + (int64_t)k;
        weight[k] = kernel_weight(r, ((double)i - x) / stretch);
        if (r->exclude_outside && (i < 0 || i >= r->in[d])) weight[k] = 0;
        index[k] = clamp_index(i, r->in[d]);
        sum += weight[k];
    }
    for (size_t k = 0; k < n && (stretch > 1 || r->exclude_outside) && sum != 0; k++)
        weight[k] /= sum;
}

static nnd_status make_taps(const resizing *r, int d, taps *t)
{
    double stretch = r->antialias && r->scale[d] < 1 ? 1 / r->scale[d] : 1.0;
    size_t reach = r->method == CUBIC ? 4 : 2;
    t->per_output = r->method == NEAREST ? 1
                    : stretch > 1        ? 2 * (size_t)ceil((double)(reach / 2) * stretch) + 2
                                         : reach;
    size_t n = (size_t)r->out[d] * t->per_output;
    t->index = nnd_calloc(n + 1, sizeof(*t->index));
    t->weight = nnd_calloc(n + 1, sizeof(*t->weight));
    if (!t->index || !t->weight) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to resize");
    for (int64_t o = 0; o < r->out[d]; o++) {
        double x = r->method == NEAREST ? nearest_source(r, d, o) : source_of(r, d, o);
        int64_t *index = t->index + (size_t)o * t->per_output;
        double *weight = t->weight + (size_t)o * t->per_output;
        bool outside = r->coordinate == CROP_AND_RESIZE && (x < 0 || x > (double)(r->in[d] - 1));
        if (outside) {
            for (size_t k = 0; k < t->per_output; k++)
                index[k] = -1;
        } else if (r->method == NEAREST) {
            index[0] = clamp_index(nearest_of(r, x), r->in[d]);
            weight[0] = 1;
        } else {
            interpolate(r, d, x, index, weight, t->per_output, stretch);
        }
    }
    return NND_OK;
}

/* ---- all axes ------------------------------------------------------------------------------ */

/* One axis of extent `in` becomes `out`: rows of `inner` floats are mixed. */
typedef struct axis_job {
    const float *from;
    float *to;
    size_t in, out, inner;
    const taps *t;
    float outside;
} axis_job;

static nnd_status axis_tile(void *user, size_t outer, int lane)
{
    const axis_job *j = user;
    const taps *t = j->t;
    (void)lane;
    for (size_t o = 0; o < j->out; o++) {
        float *to = j->to + (outer * j->out + o) * j->inner;
        const int64_t *index = t->index + o * t->per_output;
        const double *weight = t->weight + o * t->per_output;
        if (index[0] < 0) {
            for (size_t i = 0; i < j->inner; i++)
                to[i] = j->outside;
            continue;
        }
        const float *base = j->from + outer * j->in * j->inner;
        for (size_t i = 0; i < j->inner; i++) {
            double sum = 0;
            for (size_t k = 0; k < t->per_output; k++)
                if (weight[k] != 0)
                    sum += weight[k] * (double)base[(size_t)index[k] * j->inner + i];
            to[i] = (float)sum;
        }
    }
    return NND_OK;
}

/* Nearest copies elements of any type. */
typedef struct nearest_job {
    const resizing *r;
    const nnd_tensor *x, *y;
    const taps *taps;
    size_t row, size;
} nearest_job;

/* The elements of a row at these places, all of which are there; size: a constant. */
static inline void pick_elements(const char *from, const int64_t *index, size_t n, char *to,
                                 const size_t size)
{
    for (size_t i = 0; i < n; i++)
        memcpy(to + i * size, from + (size_t)index[i] * size, size);
}

static void pick_row(const char *from, const int64_t *index, size_t n, char *to, size_t size)
{
    if (size == 1)
        pick_elements(from, index, n, to, 1);
    else if (size == 2)
        pick_elements(from, index, n, to, 2);
    else if (size == 4)
        pick_elements(from, index, n, to, 4);
    else
        pick_elements(from, index, n, to, size);
}

static nnd_status nearest_tile(void *user, size_t index, int lane)
{
    const nearest_job *j = user;
    int last = j->r->rank - 1;
    size_t left = index, from = 0, stride = (size_t)j->r->in[last];
    bool outside = false;
    (void)lane;
    for (int d = last - 1; d >= 0; d--) {
        int64_t k = j->taps[d].index[left % (size_t)j->r->out[d]];
        left /= (size_t)j->r->out[d];
        outside = outside || k < 0;
        if (k >= 0) from += (size_t)k * stride;
        stride *= (size_t)j->r->in[d];
    }
    const int64_t *columns = j->taps[last].index;
    const char *row = (const char *)j->x->data + from * j->size;
    char *to = (char *)j->y->data + index * j->row * j->size;
    if (j->r->coordinate != CROP_AND_RESIZE) {
        pick_row(row, columns, j->row, to, j->size);
        return NND_OK;
    }
    for (size_t i = 0; i < j->row; i++) {
        if (outside || columns[i] < 0)
            nnd_dtype_set(j->y->dtype, to, i, j->r->outside);
        else
            memcpy(to + i * j->size, row + (size_t)columns[i] * j->size, j->size);
    }
    return NND_OK;
}

static nnd_status run_nearest(nnd_op_ctx *c, const resizing *r, const taps *t)
{
    nearest_job j = {.r = r,
                     .x = c->in[0],
                     .y = &c->out[0],
                     .taps = t,
                     .row = (size_t)r->out[r->rank - 1],
                     .size = nnd_op_element(c->in[0]->dtype)};
    return nnd_op_for(c, (size_t)nnd_tensor_count(j.y) / j.row, nearest_tile, &j);
}

/* Two float planes take turns; the first reads the input as f32, the last is stored as its type. */
static nnd_status run_separable(nnd_op_ctx *c, const resizing *r, const taps *t)
{
    int64_t dims[NND_MAX_RANK];
    size_t most = (size_t)nnd_tensor_count(c->in[0]), n = most;
    memcpy(dims, r->in, sizeof(dims));
    for (int d = 0; d < r->rank; d++) {
        n = n / (size_t)r->in[d] * (size_t)r->out[d];
        if (n > most) most = n;
    }
    float *a = nnd_alloc(most * sizeof(float)), *b = nnd_alloc(most * sizeof(float));
    nnd_status status = a && b ? NND_OK : nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to resize");
    if (status == NND_OK)
        status = nnd_dtype_convert(c->in[0]->dtype, c->in[0]->data, NND_F32, a,
                                   (size_t)nnd_tensor_count(c->in[0]));
    for (int d = 0; d < r->rank && status == NND_OK; d++) {
        bool changes =
            r->in[d] != r->out[d] || r->coordinate == CROP_AND_RESIZE || r->scale[d] != 1.0;
        if (!changes) continue;
        size_t outer = 1, inner = 1;
        for (int i = 0; i < d; i++)
            outer *= (size_t)dims[i];
        for (int i = d + 1; i < r->rank; i++)
            inner *= (size_t)dims[i];
        axis_job j = {.from = a,
                      .to = b,
                      .in = (size_t)r->in[d],
                      .out = (size_t)r->out[d],
                      .inner = inner,
                      .t = &t[d],
                      .outside = (float)r->outside};
        status = nnd_op_for(c, outer, axis_tile, &j);
        dims[d] = r->out[d];
        float *swap = a;
        a = b;
        b = swap;
    }
    if (status == NND_OK)
        status = nnd_dtype_convert(NND_F32, a, c->out[0].dtype, c->out[0].data,
                                   (size_t)nnd_tensor_count(&c->out[0]));
    nnd_free(a);
    nnd_free(b);
    return status;
}

/* ---- pictures: f32, only height and width change --------------------------------------------- */

/* The taps of both axes in the form that the kernels want; made once per plan. */
typedef struct picture {
    size_t in_h, in_w, out_h, out_w, lanes;
    size_t row_taps, column_taps;
    int32_t *index; /* of rows, then of columns */
    float *weight;
} picture;

static void picture_free(void *step)
{
    picture *p = step;
    if (!p) return;
    nnd_free(p->index);
    nnd_free(p->weight);
    nnd_free(p);
}

static bool is_picture(const nnd_op_ctx *c, const resizing *r)
{
    if (c->in[0]->dtype != NND_F32 || r->rank != 4 || r->coordinate == CROP_AND_RESIZE)
        return false;
    for (int d = 0; d < 2; d++)
        if (r->in[d] != r->out[d] || r->scale[d] != 1.0) return false;
    return nnd_tensor_count(&c->out[0]) > 0 && r->in[2] < INT32_MAX && r->in[3] < INT32_MAX;
}

static nnd_status picture_taps(const resizing *r, picture *p)
{
    taps t[2] = {{0}, {0}};
    nnd_status status = make_taps(r, 2, &t[0]);
    if (status == NND_OK) status = make_taps(r, 3, &t[1]);
    size_t rows = p->out_h * t[0].per_output, columns = p->out_w * t[1].per_output;
    if (status == NND_OK) {
        p->row_taps = t[0].per_output;
        p->column_taps = t[1].per_output;
        p->index = nnd_calloc(rows + columns, sizeof(*p->index));
        p->weight = nnd_calloc(rows + columns, sizeof(*p->weight));
        if (!p->index || !p->weight)
            status = nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to resize");
    }
    for (size_t i = 0; i < rows + columns && status == NND_OK; i++) {
        const taps *from = &t[i >= rows];
        size_t k = i < rows ? i : i - rows;
        p->index[i] = (int32_t)from->index[k];
        p->weight[i] = (float)from->weight[k];
    }
    for (int d = 0; d < 2; d++) {
        nnd_free(t[d].index);
        nnd_free(t[d].weight);
    }
    return status;
}

static nnd_status resize_plan(nnd_op_ctx *c)
{
    resizing r;
    NND_TRY(read_any(c, &r));
    if (!is_picture(c, &r)) return NND_OK;
    picture *p = nnd_calloc(1, sizeof(*p));
    if (!p) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to resize");
    *p = (picture){.in_h = (size_t)r.in[2],
                   .in_w = (size_t)r.in[3],
                   .out_h = (size_t)r.out[2],
                   .out_w = (size_t)r.out[3],
                   .lanes = c->op->flags & NND_OP_BLOCKED_IN ? (size_t)nnd_kernel_block() : 1};
    nnd_status status = picture_taps(&r, p);
    if (status != NND_OK) {
        picture_free(p);
        return status;
    }
    c->step = p;
    c->lane_bytes = p->in_w * p->lanes * sizeof(float);
    c->kernel = "picture";
    return NND_OK;
}

/* One output row of a plane: rows are mixed into scratch, then its pixels into the row. */
static void picture_row(const picture *p, const float *x, float *y, size_t o, float *scratch)
{
    const int32_t *rows = p->index + o * p->row_taps, *columns = p->index + p->out_h * p->row_taps;
    const float *row_weights = p->weight + o * p->row_taps;
    const float *column_weights = p->weight + p->out_h * p->row_taps;
    size_t pitch = p->in_w * p->lanes;
    const float *row = x + (size_t)rows[0] * pitch;
    if (p->row_taps > 1) {
        nnd_mix_rows(x, pitch, rows, row_weights, p->row_taps, scratch, pitch);
        row = scratch;
    }
    nnd_mix_pixels(row, p->lanes, columns, column_weights, p->column_taps, y, p->out_w);
}

typedef struct picture_job {
    const nnd_op_ctx *c;
    size_t parts; /* of each plane */
} picture_job;

static nnd_status picture_tile(void *user, size_t tile, int lane)
{
    const picture_job *j = user;
    const picture *p = j->c->step;
    size_t plane = tile / j->parts, part = tile % j->parts;
    const float *x = (const float *)j->c->in[0]->data + plane * p->in_h * p->in_w * p->lanes;
    float *y = (float *)j->c->out[0].data + plane * p->out_h * p->out_w * p->lanes;
    size_t end = p->out_h * (part + 1) / j->parts;
    for (size_t o = p->out_h * part / j->parts; o < end; o++)
        picture_row(p, x, y + o * p->out_w * p->lanes, o, nnd_op_lane(j->c, lane));
    return NND_OK;
}

static nnd_status run_picture(nnd_op_ctx *c)
{
    const picture *p = c->step;
    size_t planes = (size_t)nnd_op_span(c->in[0], 0, 2);
    size_t parts = nnd_op_tiles(p->out_h * p->out_w * p->lanes);
    picture_job j = {c, parts < p->out_h ? parts : p->out_h};
    return nnd_op_for(c, planes * j.parts, picture_tile, &j);
}

static nnd_status resize_run(nnd_op_ctx *c)
{
    resizing r;
    taps t[NND_MAX_RANK] = {{0}};
    if (c->step) return run_picture(c);
    NND_TRY(read_any(c, &r));
    if (nnd_tensor_count(&c->out[0]) == 0) return NND_OK;
    if (c->op->flags & NND_OP_PLANNED)
        return nnd_op_fail(c, NND_E_INTERNAL, "a blocked picture without a plan");
    if (r.rank == 0) {
        memcpy(c->out[0].data, c->in[0]->data, nnd_tensor_bytes(c->in[0]));
        return NND_OK;
    }
    nnd_status status = NND_OK;
    for (int d = 0; d < r.rank && status == NND_OK; d++)
        status = make_taps(&r, d, &t[d]);
    if (status == NND_OK) {
        status = r.method == NEAREST ? run_nearest(c, &r, t) : run_separable(c, &r, t);
    }
    for (int d = 0; d < r.rank; d++) {
        nnd_free(t[d].index);
        nnd_free(t[d].weight);
    }
    return status;
}

static const nnd_op ops[] = {
    {"", "Resize", 10, 0, 1, 4, 1, 1, 0, resize_infer, resize_run, .plan = resize_plan,
     .unplan = picture_free, .variant = 0},
    {"", "Upsample", 1, 9, 1, 2, 1, 1, 0, resize_infer, resize_run, .plan = resize_plan,
     .unplan = picture_free, .variant = 1},
};
#define BLOCKED(name, v)                                                                           \
    {                                                                                              \
        "", name, 1, 0, 1, 4, 1, 1, NND_OP_PLANNED | NND_OP_BLOCKED_IN | NND_OP_BLOCKED_OUT,       \
            resize_infer, resize_run, .plan = resize_plan, .unplan = picture_free, .variant = v    \
    }
static const nnd_op blocked_ops[] = {BLOCKED("Resize", 0), BLOCKED("Upsample", 1)};
const nnd_op_family nnd_ops_resize_blocked = {blocked_ops, NND_COUNT(blocked_ops)};
const nnd_op_family nnd_ops_resize = {ops, NND_COUNT(ops)};
