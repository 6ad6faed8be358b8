/* NonMaxSuppression over boxes per class and batch. */
#include <stdlib.h>

#include "engine/ops/blocks.h"

typedef struct box {
    float y1, x1, y2, x2;
} box;

typedef struct picked {
    float score;
    int64_t index;
} picked;

static int by_score(const void *a, const void *b)
{
    const picked *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? 1 : -1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static box read_box(const float *p, bool centered)
{
    if (centered) return (box){p[1] - p[3] / 2, p[0] - p[2] / 2, p[1] + p[3] / 2, p[0] + p[2] / 2};
    return (box){p[0] < p[2] ? p[0] : p[2], p[1] < p[3] ? p[1] : p[3], p[0] < p[2] ? p[2] : p[0],
                 p[1] < p[3] ? p[3] : p[1]};
}

static float overlap(const box *a, const box *b)
{
    float top = a->y1 > b->y1 ? a->y1 : b->y1, bottom = a->y2 < b->y2 ? a->y2 : b->y2;
    float left = a->x1 > b->x1 ? a->x1 : b->x1, right = a->x2 < b->x2 ? a->x2 : b->x2;
    float common = bottom > top && right > left ? (bottom - top) * (right - left) : 0;
    float sum = (a->y2 - a->y1) * (a->x2 - a->x1) + (b->y2 - b->y1) * (b->x2 - b->x1) - common;
    return sum > 0 ? common / sum : 0;
}

static double scalar(const nnd_op_ctx *c, size_t i, double fallback)
{
    const nnd_tensor *t = nnd_op_in(c, i);
    return t && t->data && nnd_tensor_count(t) > 0 ? nnd_dtype_get(t->dtype, t->data, 0) : fallback;
}

typedef struct search {
    const nnd_op_ctx *c;
    int64_t boxes, classes, batches, limit;
    float iou, threshold;
    bool has_threshold, centered;
    picked *list;   /* candidates of one class */
    int64_t *found; /* triples */
    size_t count;
} search;

static bool suppressed(const search *s, const float *boxes, size_t first, int64_t index)
{
    box mine = read_box(boxes + 4 * index, s->centered);
    for (size_t k = first; k < s->count; k++) {
        box other = read_box(boxes + 4 * s->found[3 * k + 2], s->centered);
        if (overlap(&mine, &other) > s->iou) return true;
    }
    return false;
}

static void one_class(search *s, int64_t batch, int64_t class_index)
{
    const float *boxes = (const float *)s->c->in[0]->data + batch * s->boxes * 4;
    const float *scores =
        (const float *)s->c->in[1]->data + (batch * s->classes + class_index) * s->boxes;
    size_t n = 0, first = s->count;
    for (int64_t i = 0; i < s->boxes; i++)
        if (!s->has_threshold || scores[i] > s->threshold) s->list[n++] = (picked){scores[i], i};
    qsort(s->list, n, sizeof(*s->list), by_score);
    for (size_t i = 0; i < n && (int64_t)(s->count - first) < s->limit; i++) {
        if (suppressed(s, boxes, first, s->list[i].index)) continue;
        int64_t *to = s->found + 3 * s->count++;
        to[0] = batch;
        to[1] = class_index;
        to[2] = s->list[i].index;
    }
}

static nnd_status check(const nnd_op_ctx *c)
{
    NND_TRY(nnd_op_expect(c, 0, 1u << NND_F32));
    NND_TRY(nnd_op_expect(c, 1, 1u << NND_F32));
    const nnd_tensor *b = c->in[0], *s = c->in[1];
    if (b->rank != 3 || s->rank != 3 || b->dims[2] != 4 || b->dims[0] != s->dims[0] ||
        b->dims[1] != s->dims[2])
        return nnd_op_fail(c, NND_E_SHAPE, "boxes [N,B,4] and scores [N,C,B] do not match");
    return NND_OK;
}

static nnd_status nms_run(nnd_op_ctx *c)
{
    NND_TRY(check(c));
    search s = {.c = c,
                .batches = c->in[1]->dims[0],
                .classes = c->in[1]->dims[1],
                .boxes = c->in[1]->dims[2]};
    double limit = scalar(c, 2, 0);
    s.limit = limit > (double)s.boxes ? s.boxes : (int64_t)limit;
    s.iou = (float)scalar(c, 3, 0);
    s.has_threshold = nnd_op_in(c, 4) != NULL;
    s.threshold = (float)scalar(c, 4, 0);
    s.centered = nnd_node_int(c->node, "center_point_box", 0) != 0;
    size_t most = (size_t)(s.batches * s.classes) * (size_t)(s.limit > 0 ? s.limit : 0);
    s.list = nnd_calloc((size_t)s.boxes + 1, sizeof(*s.list));
    s.found = nnd_calloc(most + 1, 3 * sizeof(*s.found));
    nnd_status status =
        s.list && s.found ? NND_OK : nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for NMS");
    for (int64_t b = 0; b < s.batches && status == NND_OK; b++)
        for (int64_t k = 0; k < s.classes && status == NND_OK; k++) {
            one_class(&s, b, k);
            status = nnd_cancel_check(c->cancel);
        }
    int64_t dims[2] = {(int64_t)s.count, 3};
    if (status == NND_OK) status = nnd_op_make_output(c, 0, NND_I64, 2, dims);
    for (size_t i = 0; i < 3 * s.count && status == NND_OK; i++)
        ((int64_t *)c->out[0].data)[i] = s.found[i];
    nnd_free(s.list);
    nnd_free(s.found);
    return status;
}

static nnd_status nms_infer(nnd_op_ctx *c)
{
    NND_TRY(check(c));
    return NND_E_AGAIN;
}

static const nnd_op ops[] = {
    {"", "NonMaxSuppression", 10, 0, 2, 5, 1, 1, NND_OP_DYNAMIC, nms_infer, nms_run, .variant = 0},
};
const nnd_op_family nnd_ops_nms = {ops, NND_COUNT(ops)};
