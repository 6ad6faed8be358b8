/*
 * Networks that begin by sorting the pixels of the picture into more channels of a smaller one
 * (SpaceToDepth, or strided Slices that a Concat puts together: "Focus", "stem") read and write it
 * several times before the first convolution. That convolution can read the picture itself: with a
 * window, stride and padding so many times as large.
 *
 * Only for pictures of a few channels: with many, a larger stride would keep Winograd away.
 */
#include <string.h>

#include "engine/ops/op.h"
#include "engine/passes/match.h"
#include "engine/passes/pass.h"

enum { MOST_CHANNELS = 4, MOST_STEP = 4, SPATIAL = 2 };

/* What the convolution reads: channel i is channel i % channels of the picture, and of that the
   pixels that begin at first[i / channels] and lie `step` apart, both ways. */
typedef struct sorting {
    uint32_t picture;
    int64_t step, channels;
    int64_t first[MOST_STEP * MOST_STEP][SPATIAL];
} sorting;

/* ---- the pixels ------------------------------------------------------------------------------ */

/* Height or width of a picture that every run has; −1 = can differ. */
static int64_t extent(const nnd_graph *g, uint32_t value, int axis)
{
    const nnd_graph_value *v = &g->values[value];
    if (g->nominal_exact && v->nominal_rank == 2 + SPATIAL) return v->nominal[2 + axis];
    return v->rank == 2 + SPATIAL ? v->dims[2 + axis] : -1;
}

/* Where an odd row would be left over, the operators have an error to tell. */
static bool divides(const nnd_graph *g, const sorting *s)
{
    for (int axis = 0; axis < SPATIAL; axis++) {
        int64_t size = extent(g, s->picture, axis);
        if (size < 1 || size % s->step != 0) return false;
    }
    return true;
}

/* Every step-th pixel from `first` on along height or width, up to the end; *ok = false for any
   other Slice. */
static nnd_status read_slice(nnd_graph *g, const nnd_graph_node *n, int64_t *first, int64_t *step,
                             bool *ok)
{
    static const char *const names[] = {"starts", "ends", "axes", "steps"};
    int64_t lists[NND_COUNT(names)][SPATIAL];
    size_t counts[NND_COUNT(names)];
    for (size_t k = 0; k < NND_COUNT(names); k++)
        NND_TRY(nnd_match_ints(g, n, k + 1, names[k], lists[k], SPATIAL, &counts[k]));
    *ok = counts[0] > 0 && counts[0] <= SPATIAL;
    for (size_t k = 1; k < NND_COUNT(names); k++)
        *ok = *ok && counts[k] == counts[0];
    for (size_t i = 0; *ok && i < counts[0]; i++) {
        int64_t axis = lists[2][i] < 0 ? lists[2][i] + SPATIAL : lists[2][i] - 2;
        *ok = axis >= 0 && axis < SPATIAL && step[axis] == 1 && lists[0][i] >= 0 &&
              lists[0][i] < MOST_STEP && lists[1][i] >= INT32_MAX && lists[3][i] > 1 &&
              lists[3][i] <= MOST_STEP;
        if (!*ok) break;
        first[axis] = lists[0][i];
        step[axis] = lists[3][i];
    }
    return NND_OK;
}

/* One operand of the Concat: one Slice along both, or one behind the other. */
static nnd_status read_piece(nnd_graph *g, uint32_t value, size_t at, sorting *s, bool *ok)
{
    int64_t step[SPATIAL] = {1, 1}, *first = s->first[at];
    *ok = true;
    first[0] = first[1] = 0;
    for (int k = 0; *ok && k < SPATIAL && (step[0] == 1 || step[1] == 1); k++) {
        const nnd_graph_node *slice = nnd_match_maker(g, value, "Slice");
        *ok = slice && nnd_match_rank(g, value) == 2 + SPATIAL;
        if (*ok) NND_TRY(read_slice(g, slice, first, step, ok));
        if (*ok) value = slice->inputs[0];
    }
    if (at == 0) {
        s->picture = value;
        s->step = step[0];
    }
    *ok = *ok && value == s->picture && step[0] == s->step && step[1] == s->step && s->step > 1 &&
          first[0] < s->step && first[1] < s->step;
    return NND_OK;
}

static nnd_status read_concat(nnd_graph *g, const nnd_graph_node *n, sorting *s, bool *ok)
{
    int64_t axis = nnd_node_int(n, "axis", 1);
    *ok = (axis == 1 || axis == 1 - 2 - SPATIAL) && n->input_count <= NND_COUNT(s->first);
    for (size_t k = 0; *ok && k < n->input_count; k++)
        NND_TRY(read_piece(g, n->inputs[k], k, s, ok));
    *ok = *ok && (int64_t)n->input_count == s->step * s->step;
    return NND_OK;
}

static bool read_operator(const nnd_graph *g, const nnd_graph_node *n, sorting *s)
{
    s->picture = n->inputs[0];
    s->step = nnd_node_int(n, "blocksize", 0);
    if (s->step < 2 || s->step > MOST_STEP || nnd_match_rank(g, s->picture) != 2 + SPATIAL)
        return false;
    for (int64_t i = 0; i < s->step * s->step; i++) {
        s->first[i][0] = i / s->step;
        s->first[i][1] = i % s->step;
    }
    return true;
}

/* ---- the convolution ------------------------------------------------------------------------- */

/* An attribute that is not there, or has `count` numbers of this range. */
static bool list_is(const nnd_graph_node *n, const char *name, size_t count, int64_t low,
                    int64_t high)
{
    size_t there;
    const int64_t *list = nnd_node_ints(n, name, &there);
    for (size_t i = 0; list && i < there; i++)
        if (list[i] < low || list[i] > high) return false;
    return !list || there == count;
}

/* Lists that fit the weights (running the model says what is wrong with others), no groups, no
   dilation, and a padding of its own. */
static bool is_usual(const nnd_graph_node *n, const nnd_tensor *w)
{
    size_t count;
    const int64_t *window = nnd_node_ints(n, "kernel_shape", &count);
    bool fits =
        !window || (count == SPATIAL && memcmp(window, w->dims + 2, sizeof(int64_t[2])) == 0);
    return fits && nnd_node_int(n, "group", 1) == 1 && list_is(n, "dilations", SPATIAL, 1, 1) &&
           list_is(n, "strides", SPATIAL, 1, MOST_STEP) &&
           list_is(n, "pads", 2 * SPATIAL, 0, INT16_MAX) &&
           strcmp(nnd_node_string(n, "auto_pad", "NOTSET"), "NOTSET") == 0;
}

/* The constant weights of such a Conv for these channels, else NULL. */
static nnd_status read_conv(nnd_graph *g, const nnd_graph_node *n, sorting *s,
                            const nnd_tensor **weights)
{
    const nnd_tensor *w;
    *weights = NULL;
    NND_TRY(nnd_match_floats(g, n->inputs[1], &w));
    if (!w || w->rank != 2 + SPATIAL || nnd_tensor_count(w) < 1 || !is_usual(n, w)) return NND_OK;
    s->channels = w->dims[1] / (s->step * s->step);
    if (s->channels >= 1 && s->channels <= MOST_CHANNELS &&
        w->dims[1] == s->channels * s->step * s->step)
        *weights = w;
    return NND_OK;
}

/* Each weight goes to the tap that sees the same pixel. Pixels that are taken twice add up, those
   that are not taken have 0. */
static void spread(const sorting *s, const nnd_tensor *w, const int64_t *dims, float *to)
{
    const float *from = w->data;
    for (int64_t o = 0; o < w->dims[0]; o++)
        for (int64_t i = 0; i < w->dims[1]; i++) {
            const int64_t *first = s->first[i / s->channels];
            float *plane = to + (o * dims[1] + i % s->channels) * dims[2] * dims[3];
            for (int64_t y = 0; y < w->dims[2]; y++)
                for (int64_t x = 0; x < w->dims[3]; x++)
                    plane[(y * s->step + first[0]) * dims[3] + x * s->step + first[1]] += *from++;
        }
}

static nnd_status enlarge_weights(nnd_graph *g, const sorting *s, const nnd_tensor *w, uint32_t *id)
{
    const int64_t dims[4] = {w->dims[0], s->channels, w->dims[2] * s->step, w->dims[3] * s->step};
    size_t bytes = (size_t)nnd_tensor_count(w) * sizeof(float);
    nnd_tensor t;
    float *data = nnd_alloc_aligned(bytes, 64);
    if (!data) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a convolution's weights");
    memset(data, 0, bytes);
    spread(s, w, dims, data);
    nnd_status status = nnd_tensor_init(&t, NND_F32, 4, dims, data);
    if (status == NND_OK) status = nnd_graph_add_value(g, NULL, id);
    if (status == NND_OK) return nnd_graph_set_constant(g, *id, &t, data);
    nnd_free_aligned(data);
    return status;
}

/* The list of the attribute, or that of its default, times the step. */
static void enlarge_list(const nnd_graph_node *n, const char *name, int64_t number, size_t count,
                         int64_t step, int64_t *out)
{
    size_t there;
    const int64_t *list = nnd_node_ints(n, name, &there);
    for (size_t i = 0; i < count; i++)
        out[i] = (list ? list[i] : number) * step;
}

static nnd_status rewrite(nnd_graph *g, nnd_graph_node *n, const sorting *s, const nnd_tensor *w)
{
    int64_t strides[SPATIAL], pads[2 * SPATIAL], window[SPATIAL];
    uint32_t weights;
    enlarge_list(n, "strides", 1, SPATIAL, s->step, strides);
    enlarge_list(n, "pads", 0, NND_COUNT(pads), s->step, pads);
    for (int axis = 0; axis < SPATIAL; axis++)
        window[axis] = w->dims[2 + axis] * s->step;
    NND_TRY(enlarge_weights(g, s, w, &weights));
    uint32_t *inputs = nnd_arena_calloc(&g->arena, n->input_count, sizeof(*inputs));
    if (!inputs) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the model's graph");
    memcpy(inputs, n->inputs, n->input_count * sizeof(*inputs));
    inputs[0] = s->picture;
    inputs[1] = weights;
    n->attr_count = 0; /* no group, no dilation */
    NND_TRY(nnd_node_add_ints(g, n, "kernel_shape", window, SPATIAL));
    NND_TRY(nnd_node_add_ints(g, n, "strides", strides, SPATIAL));
    NND_TRY(nnd_node_add_ints(g, n, "pads", pads, NND_COUNT(pads)));
    n->inputs = inputs;
    return NND_OK;
}

/* ---- the pass -------------------------------------------------------------------------------- */

static nnd_status try_conv(nnd_graph *g, nnd_graph_node *n, bool *done)
{
    sorting s = {0};
    const nnd_tensor *weights = NULL;
    if (!nnd_match_is(n, "Conv") || n->formal_count < 2 || n->inputs[1] == NND_NO_ID) return NND_OK;
    if (nnd_graph_single_reader(g, n->inputs[0]) == NND_NO_ID) return NND_OK;
    nnd_graph_node *concat = nnd_match_maker(g, n->inputs[0], "Concat"), *sorter = concat;
    if (concat) {
        NND_TRY(read_concat(g, concat, &s, done));
    } else {
        sorter = nnd_match_maker(g, n->inputs[0], "SpaceToDepth");
        *done = sorter && read_operator(g, sorter, &s);
    }
    *done = *done && divides(g, &s);
    if (*done) NND_TRY(read_conv(g, n, &s, &weights));
    *done = weights != NULL;
    if (!weights) return NND_OK;
    NND_TRY(rewrite(g, n, &s, weights));
    sorter->dead = true; /* its Slices are dead code, unless somebody else reads them */
    return NND_OK;
}

nnd_status nnd_pass_space_to_depth(nnd_graph *g, size_t *changes)
{
    nnd_graph_index(g);
    for (size_t i = 0; i < g->node_count; i++) {
        bool done = false;
        NND_TRY(try_conv(g, &g->nodes[i], &done));
        *changes += done;
    }
    nnd_graph_index(g);
    return NND_OK;
}
