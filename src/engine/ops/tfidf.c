/* TfIdfVectorizer: how often runs of items (n-grams), with gaps between them or not, occur. */
#include <string.h>

#include "base/hash.h"
#include "engine/ops/lookup.h"

/* Made by prepare. An n-gram is a run of items of the pool. */
typedef struct grams {
    nnd_tensor pool;
    size_t count;   /* n-grams */
    size_t *begin;  /* in the pool */
    size_t *length; /* items */
    const int64_t *column;
    int64_t width;        /* columns */
    const float *weights; /* per n-gram; NULL = all 1 */
    int mode;             /* 'F' counts, 'I' occurs, 'B' both: count times weight */
    int64_t shortest, longest, gap;
    size_t slot_count;
    uint32_t *slots;
} grams;

static void release(void *state)
{
    grams *g = state;
    if (!g) return;
    nnd_free(g->begin);
    nnd_free(g->length);
    nnd_free(g->slots);
    nnd_free(g);
}

/* Items begin, begin + step, … of t as one number. */
static uint64_t hash_run(const nnd_tensor *t, size_t begin, size_t step, size_t length)
{
    uint64_t mixed = length;
    for (size_t i = 0; i < length; i++) {
        uint64_t pair[2] = {mixed, nnd_hash_element(t, begin + i * step)};
        mixed = nnd_hash64(pair, sizeof(pair));
    }
    return mixed;
}

static bool same_run(const grams *g, size_t gram, const nnd_tensor *t, size_t begin, size_t step,
                     size_t length)
{
    bool same = g->length[gram] == length;
    for (size_t i = 0; same && i < length; i++)
        same = nnd_same_element(&g->pool, g->begin[gram] + i, t, begin + i * step);
    return same;
}

static size_t slot_of(const grams *g, const nnd_tensor *t, size_t begin, size_t step, size_t length)
{
    size_t slot = (size_t)hash_run(t, begin, step, length) & (g->slot_count - 1);
    while (g->slots[slot] && !same_run(g, g->slots[slot] - 1, t, begin, step, length))
        slot = (slot + 1) & (g->slot_count - 1);
    return slot;
}

static nnd_status malformed(const nnd_graph_node *n, const char *what)
{
    nnd_error_set(NND_E_FORMAT, "TfIdfVectorizer: %s", what);
    nnd_error_set_node(n->name, NULL);
    return NND_E_FORMAT;
}

static nnd_status read_pool(const nnd_graph_node *n, grams *g)
{
    const nnd_attr *strings = nnd_node_attr(n, "pool_strings");
    const nnd_attr *ints = nnd_node_attr(n, "pool_int64s");
    bool texts = strings && strings->kind == NND_ATTR_STRINGS;
    if (!texts && (!ints || ints->kind != NND_ATTR_INTS)) return malformed(n, "there is no pool");
    int64_t count = (int64_t)(texts ? strings->count : ints->count);
    return nnd_tensor_init(&g->pool, texts ? NND_STRING : NND_I64, 1, &count,
                           texts ? (void *)strings->u.strings : (void *)ints->u.ints);
}

/* ngram_counts[k] says where the n-grams of k + 1 items begin in the pool. */
static nnd_status cut_pool(const nnd_graph_node *n, grams *g)
{
    size_t lengths, columns, weights, items = (size_t)nnd_tensor_count(&g->pool);
    const int64_t *counts = nnd_node_ints(n, "ngram_counts", &lengths);
    g->column = nnd_node_ints(n, "ngram_indexes", &columns);
    g->weights = nnd_node_floats(n, "weights", &weights);
    g->begin = nnd_calloc(items + 1, sizeof(size_t));
    g->length = nnd_calloc(items + 1, sizeof(size_t));
    if (!g->begin || !g->length) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for n-grams");
    for (size_t k = 0; k < lengths; k++) {
        int64_t from = counts[k], to = k + 1 < lengths ? counts[k + 1] : (int64_t)items;
        if (from < 0 || from > to || to > (int64_t)items || (size_t)(to - from) % (k + 1))
            return malformed(n, "ngram_counts does not fit the pool");
        for (int64_t at = from; at < to; at += (int64_t)k + 1) {
            g->begin[g->count] = (size_t)at;
            g->length[g->count++] = k + 1;
        }
    }
    if (columns != g->count || (g->weights && weights != g->count))
        return malformed(n, "ngram_indexes and weights do not fit the pool");
    for (size_t i = 0; i < columns; i++) {
        if (g->column[i] < 0 || g->column[i] > INT32_MAX) return malformed(n, "an index is bad");
        if (g->column[i] >= g->width) g->width = g->column[i] + 1;
    }
    return NND_OK;
}

static nnd_status make_table(grams *g)
{
    g->slot_count = 16;
    while (g->slot_count < g->count * 2)
        g->slot_count *= 2;
    g->slots = nnd_calloc(g->slot_count, sizeof(*g->slots));
    if (!g->slots) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for n-grams");
    for (size_t i = 0; i < g->count; i++) {
        size_t slot = slot_of(g, &g->pool, g->begin[i], 1, g->length[i]);
        if (!g->slots[slot]) g->slots[slot] = (uint32_t)i + 1;
    }
    return NND_OK;
}

static nnd_status prepare(nnd_graph *graph, nnd_graph_node *n)
{
    (void)graph;
    const char *mode = nnd_node_string(n, "mode", "");
    grams *g = nnd_calloc(1, sizeof(*g));
    if (!g) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for n-grams");
    n->state = g; /* released with the graph, also when something below fails */
    g->mode = strcmp(mode, "TF") == 0      ? 'F'
              : strcmp(mode, "IDF") == 0   ? 'I'
              : strcmp(mode, "TFIDF") == 0 ? 'B'
                                           : 0;
    if (!g->mode) return malformed(n, "the mode is none of TF, IDF and TFIDF");
    g->shortest = nnd_node_int(n, "min_gram_length", 1);
    g->longest = nnd_node_int(n, "max_gram_length", 1);
    g->gap = nnd_node_int(n, "max_skip_count", 0);
    if (g->shortest < 1 || g->longest < g->shortest || g->gap < 0)
        return malformed(n, "the lengths of n-grams make no sense");
    NND_TRY(read_pool(n, g));
    NND_TRY(cut_pool(n, g));
    return make_table(g);
}

static nnd_status infer(nnd_op_ctx *c)
{
    const grams *g = c->node->state;
    const nnd_tensor *x;
    NND_TRY(nnd_op_need(c, 0, &x));
    NND_TRY(nnd_op_expect(c, 0, 1u << NND_I32 | 1u << NND_I64 | 1u << NND_STRING));
    if (!g) return NND_E_AGAIN; /* asked before prepare */
    if ((x->dtype == NND_STRING) != (g->pool.dtype == NND_STRING))
        return nnd_op_fail(c, NND_E_TYPE, "the pool holds items of another type");
    if (x->rank < 1 || x->rank > 2)
        return nnd_op_fail(c, NND_E_SHAPE, "the input has rank %d", x->rank);
    int64_t dims[2] = {x->dims[0], g->width};
    return nnd_op_output(c, 0, NND_F32, x->rank, x->rank == 1 ? dims + 1 : dims);
}

static void count_row(const grams *g, const nnd_tensor *row, float *out)
{
    size_t count = (size_t)nnd_tensor_count(row);
    for (int64_t n = g->shortest; n <= g->longest && (size_t)n <= count; n++) {
        size_t gaps = n == 1 ? 0 : (size_t)g->gap, length = (size_t)n;
        for (size_t step = 1; step <= gaps + 1 && (length - 1) <= (count - 1) / step; step++)
            for (size_t i = 0; i + (length - 1) * step < count; i++) {
                uint32_t found = g->slots[slot_of(g, row, i, step, length)];
                if (found) out[g->column[found - 1]] += 1;
            }
    }
    for (size_t i = 0; i < g->count && g->mode != 'F'; i++) {
        float *v = &out[g->column[i]];
        float weight = g->weights ? g->weights[i] : 1;
        if (*v > 0) *v = g->mode == 'I' ? weight : *v * weight;
    }
}

static nnd_status run(nnd_op_ctx *c)
{
    const grams *g = c->node->state;
    const nnd_tensor *x = c->in[0];
    size_t rows = x->rank == 2 ? (size_t)x->dims[0] : 1;
    int64_t items = x->dims[x->rank - 1];
    size_t size = nnd_op_element(x->dtype);
    nnd_tensor row;
    int64_t *wide = NULL;
    nnd_status status = NND_OK;
    if (c->out[0].data) memset(c->out[0].data, 0, nnd_tensor_bytes(&c->out[0]));
    if (x->dtype == NND_I32) {
        wide = nnd_calloc((size_t)items + 1, sizeof(*wide));
        if (!wide) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for n-grams");
    }
    for (size_t r = 0; r < rows && items && c->out[0].data && status == NND_OK; r++) {
        char *from = (char *)x->data + r * (size_t)items * size;
        for (int64_t i = 0; wide && i < items; i++)
            wide[i] = ((const int32_t *)(const void *)from)[i];
        status =
            nnd_tensor_init(&row, wide ? NND_I64 : x->dtype, 1, &items, wide ? (void *)wide : from);
        if (status == NND_OK) status = nnd_cancel_check(c->cancel);
        if (status == NND_OK) count_row(g, &row, (float *)c->out[0].data + r * (size_t)g->width);
    }
    nnd_free(wide);
    return status;
}

static const nnd_op ops[] = {
    {"", "TfIdfVectorizer", 9, 0, 1, 1, 1, 1, NND_OP_PLANNED, infer, run, prepare, release,
     .variant = 0},
};
const nnd_op_family nnd_ops_tfidf = {ops, NND_COUNT(ops)};
