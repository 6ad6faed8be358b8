/* Unique: different elements, or different slices along an axis, with where they occur. */
#include <string.h>

#include "engine/ops/blocks.h"

/* The items that are compared: `count` slices of `inner` elements in `outer` pieces. */
typedef struct items {
    const nnd_tensor *x;
    nnd_class in;
    bool whole; /* no axis: every element is an item */
    int axis;
    size_t count, outer, inner;
} items;

static nnd_status read_items(const nnd_op_ctx *c, items *s)
{
    const nnd_tensor *x;
    NND_TRY(nnd_op_expect(c, 0, NND_NUMBERS | 1u << NND_BOOL | 1u << NND_STRING));
    NND_TRY(nnd_op_need(c, 0, &x));
    const nnd_attr *axis = nnd_node_attr(c->node, "axis");
    *s = (items){.x = x, .in = nnd_class_of(x->dtype), .whole = !axis, .outer = 1, .inner = 1};
    s->count = (size_t)nnd_tensor_count(x);
    if (!axis) return NND_OK;
    NND_TRY(nnd_op_axis(c, nnd_node_int(c->node, "axis", 0), x->rank, &s->axis));
    s->count = (size_t)x->dims[s->axis];
    s->outer = (size_t)nnd_op_span(x, 0, s->axis);
    s->inner = (size_t)nnd_op_span(x, s->axis + 1, x->rank);
    return NND_OK;
}

static int compare_strings(const nnd_string *a, const nnd_string *b)
{
    size_t n = a->size < b->size ? a->size : b->size;
    int order = n ? memcmp(a->text, b->text, n) : 0;
    return order ? order : (a->size > b->size) - (a->size < b->size);
}

/* NaN equals NaN and comes after all numbers. */
static int compare_elements(const items *s, size_t a, size_t b)
{
    nnd_block_memory ma, mb;
    if (s->x->dtype == NND_STRING) {
        const nnd_string *strings = s->x->data;
        return compare_strings(&strings[a], &strings[b]);
    }
    if (s->in <= NND_IN_F64) {
        double p = nnd_dtype_get(s->x->dtype, s->x->data, a);
        double q = nnd_dtype_get(s->x->dtype, s->x->data, b);
        if (p != p || q != q) return (p != p) - (q != q);
        return (p > q) - (p < q);
    }
    const void *p = nnd_block_load(s->in, s->x->dtype, s->x->data, a, 1, 1, &ma);
    const void *q = nnd_block_load(s->in, s->x->dtype, s->x->data, b, 1, 1, &mb);
    if (s->in == NND_IN_U64) {
        uint64_t u = *(const uint64_t *)p, v = *(const uint64_t *)q;
        return (u > v) - (u < v);
    }
    int64_t i = *(const int64_t *)p, k = *(const int64_t *)q;
    return (i > k) - (i < k);
}

static int compare_items(const items *s, size_t a, size_t b)
{
    for (size_t o = 0; o < s->outer; o++)
        for (size_t i = 0; i < s->inner; i++) {
            size_t base = o * s->count * s->inner + i;
            int order = compare_elements(s, base + a * s->inner, base + b * s->inner);
            if (order) return order;
        }
    return 0;
}

/* Stable merge sort of item numbers; `spare` has as much room. */
static nnd_status sort_items(const items *s, const nnd_op_ctx *c, size_t *list, size_t *spare)
{
    for (size_t run = 1; run < s->count; run *= 2) {
        NND_TRY(nnd_cancel_check(c->cancel));
        for (size_t from = 0; from < s->count; from += 2 * run) {
            size_t middle = from + run < s->count ? from + run : s->count;
            size_t end = middle + run < s->count ? middle + run : s->count;
            size_t a = from, b = middle;
            for (size_t i = from; i < end; i++) {
                bool left = b == end || (a < middle && compare_items(s, list[a], list[b]) <= 0);
                spare[i] = left ? list[a++] : list[b++];
            }
        }
        memcpy(list, spare, s->count * sizeof(*list));
    }
    return NND_OK;
}

/* What is found: per different item its first place and how often it is there. */
typedef struct found {
    size_t *list;   /* items in order, equal ones by place */
    size_t *first;  /* per result: item */
    size_t *group;  /* per item: result */
    int64_t *times; /* per result */
    size_t count;
} found;

static void number_groups(const items *s, found *f)
{
    for (size_t i = 0; i < s->count; i++) {
        if (i == 0 || compare_items(s, f->list[i - 1], f->list[i]) != 0) {
            f->first[f->count] = f->list[i];
            f->times[f->count++] = 0;
        }
        f->times[f->count - 1]++;
        f->group[f->list[i]] = f->count - 1;
    }
}

/* In the order in which they occur instead; `list` is free to be used by now. */
static void reorder(const items *s, found *f, int64_t *times)
{
    size_t next = 0, *place = f->list;
    for (size_t i = 0; i < s->count; i++)
        if (f->first[f->group[i]] == i) {
            place[f->group[i]] = next;
            times[next++] = f->times[f->group[i]];
        }
    memcpy(f->times, times, f->count * sizeof(*times));
    for (size_t i = 0; i < s->count; i++)
        f->group[i] = place[f->group[i]];
    for (size_t i = s->count; i-- > 0;)
        f->first[f->group[i]] = i;
}

static nnd_status deliver(nnd_op_ctx *c, const items *s, const found *f)
{
    int64_t dims[NND_MAX_RANK], n = (int64_t)f->count, all = (int64_t)s->count;
    size_t size = nnd_op_element(s->x->dtype);
    memcpy(dims, s->x->dims, sizeof(dims));
    dims[s->whole ? 0 : s->axis] = n;
    NND_TRY(nnd_op_make_output(c, 0, s->x->dtype, s->whole ? 1 : s->x->rank, dims));
    NND_TRY(nnd_op_make_output(c, 1, NND_I64, 1, &n));
    NND_TRY(nnd_op_make_output(c, 2, NND_I64, 1, &all));
    NND_TRY(nnd_op_make_output(c, 3, NND_I64, 1, &n));
    for (size_t o = 0; o < s->outer && c->out[0].data; o++)
        for (size_t i = 0; i < f->count; i++)
            memcpy((char *)c->out[0].data + (o * f->count + i) * s->inner * size,
                   (const char *)s->x->data + (o * s->count + f->first[i]) * s->inner * size,
                   s->inner * size);
    for (size_t k = 1; k < c->out_count && k < 4; k++) {
        int64_t *to = c->out[k].data;
        for (size_t i = 0; to && i < (k == 2 ? s->count : f->count); i++)
            to[i] = k == 1 ? (int64_t)f->first[i] : k == 2 ? (int64_t)f->group[i] : f->times[i];
    }
    return NND_OK;
}

static nnd_status unique_run(nnd_op_ctx *c)
{
    items s;
    found f = {0};
    NND_TRY(read_items(c, &s));
    size_t *spare = nnd_calloc(s.count + 1, sizeof(*spare));
    int64_t *times = nnd_calloc(s.count + 1, sizeof(*times));
    f.list = nnd_calloc(s.count + 1, sizeof(*f.list));
    f.first = nnd_calloc(s.count + 1, sizeof(*f.first));
    f.group = nnd_calloc(s.count + 1, sizeof(*f.group));
    f.times = nnd_calloc(s.count + 1, sizeof(*f.times));
    bool ok = spare && times && f.list && f.first && f.group && f.times;
    nnd_status status =
        ok ? NND_OK : nnd_op_fail(c, NND_E_OUT_OF_MEMORY, "no memory to sort the elements");
    for (size_t i = 0; ok && i < s.count; i++)
        f.list[i] = i;
    if (status == NND_OK) status = sort_items(&s, c, f.list, spare);
    if (status == NND_OK) {
        number_groups(&s, &f);
        if (!nnd_node_int(c->node, "sorted", 1)) reorder(&s, &f, times);
        status = deliver(c, &s, &f);
    }
    nnd_free(spare);
    nnd_free(times);
    nnd_free(f.list);
    nnd_free(f.first);
    nnd_free(f.group);
    nnd_free(f.times);
    return status;
}

static nnd_status unique_infer(nnd_op_ctx *c)
{
    items s;
    NND_TRY(read_items(c, &s));
    return NND_E_AGAIN;
}

static const nnd_op ops[] = {
    {"", "Unique", 11, 0, 1, 1, 1, 4, NND_OP_DYNAMIC, unique_infer, unique_run, .variant = 0},
};
const nnd_op_family nnd_ops_unique = {ops, NND_COUNT(ops)};
