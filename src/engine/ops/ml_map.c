/* ai.onnx.ml: from keys to values (LabelEncoder, CategoryMapper), and to columns (OneHotEncoder,
   DictVectorizer, ZipMap). */
#include <string.h>

#include "engine/ops/lookup.h"
#include "engine/ops/ml.h"

static nnd_status malformed(const nnd_graph_node *n, const char *what)
{
    nnd_error_set(NND_E_FORMAT, "%s: %s", n->type, what);
    nnd_error_set_node(n->name, NULL);
    return NND_E_FORMAT;
}

/* The first of several attributes that is there. */
static nnd_status any_vector(const nnd_graph_node *n, const char *const *names, nnd_tensor *out)
{
    out->rank = -1;
    for (; *names && out->rank < 0; names++)
        NND_TRY(nnd_ml_vector(n, *names, out));
    return NND_OK;
}

/* ---- LabelEncoder, CategoryMapper ----------------------------------------------------------- */

/* One direction of a mapping. */
typedef struct mapping {
    nnd_tensor values;
    nnd_lookup keys;
    union {
        int64_t i;
        float f;
        nnd_string s;
    } fallback;
    const void *otherwise; /* value of what has no key */
} mapping;

typedef struct mapper {
    size_t count; /* 1, or 2 when it works both ways */
    mapping way[2];
} mapper;

static void mapper_release(void *state)
{
    mapper *m = state;
    for (size_t i = 0; m && i < m->count; i++)
        nnd_lookup_fini(&m->way[i].keys);
    nnd_free(m);
}

static nnd_status mapper_new(nnd_graph_node *n, mapper **out)
{
    *out = n->state = nnd_calloc(1, sizeof(**out));
    return n->state ? NND_OK : nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for labels");
}

/* The value for unknown keys: an attribute by the type of the values, else the standard's. */
static void read_fallback(const nnd_graph_node *n, mapping *w)
{
    const nnd_attr *text = nnd_node_attr(n, "default_string");
    const nnd_attr *whole = nnd_node_attr(n, "default_tensor");
    w->fallback.i = 0;
    w->otherwise = &w->fallback;
    if (whole && whole->kind == NND_ATTR_TENSOR && whole->u.tensor->dtype == w->values.dtype &&
        nnd_tensor_count(whole->u.tensor) == 1) {
        w->otherwise = whole->u.tensor->data;
    } else if (w->values.dtype == NND_STRING) {
        w->fallback.s =
            text && text->kind == NND_ATTR_STRING ? text->u.s : (nnd_string){"_Unused", 7};
    } else if (1u << w->values.dtype & NND_FLOATS) {
        float f = nnd_node_float(n, "default_float", -0.0f);
        nnd_dtype_set(w->values.dtype, &w->fallback, 0, (double)f);
    } else {
        nnd_dtype_set(w->values.dtype, &w->fallback, 0,
                      (double)nnd_node_int(n, "default_int64", -1));
        if (w->values.dtype == NND_I64) w->fallback.i = nnd_node_int(n, "default_int64", -1);
    }
}

static nnd_status add_way(nnd_graph_node *n, mapper *m, const nnd_tensor *keys,
                          const nnd_tensor *values)
{
    mapping *w = &m->way[m->count];
    if (keys->rank < 0 || values->rank < 0 || nnd_tensor_count(keys) != nnd_tensor_count(values) ||
        !nnd_op_element(keys->dtype) || !nnd_op_element(values->dtype))
        return malformed(n, "keys and values do not fit each other");
    NND_TRY(nnd_lookup_init(&w->keys, keys));
    m->count++;
    w->values = *values;
    read_fallback(n, w);
    return NND_OK;
}

/* Strings stand for their positions, and the other way round. */
static nnd_status add_positions(nnd_graph_node *n, mapper *m, const nnd_tensor *strings,
                                nnd_graph *graph)
{
    nnd_tensor positions;
    int64_t *items = nnd_arena_calloc(&graph->arena, (size_t)strings->dims[0] + 1, sizeof(*items));
    if (!items) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for labels");
    for (int64_t i = 0; i < strings->dims[0]; i++)
        items[i] = i;
    NND_TRY(nnd_tensor_init(&positions, NND_I64, 1, strings->dims, items));
    NND_TRY(add_way(n, m, strings, &positions));
    return add_way(n, m, &positions, strings);
}

static nnd_status encoder_prepare(nnd_graph *graph, nnd_graph_node *n)
{
    static const char *const key_names[] = {"keys_tensor", "keys_strings", "keys_int64s",
                                            "keys_floats", NULL};
    static const char *const value_names[] = {"values_tensor", "values_strings", "values_int64s",
                                              "values_floats", NULL};
    mapper *m;
    nnd_tensor keys, values;
    NND_TRY(mapper_new(n, &m));
    if (n->opset < 2) {
        NND_TRY(nnd_ml_vector(n, "classes_strings", &keys));
        if (keys.rank != 1 || keys.dtype != NND_STRING) return malformed(n, "there are no classes");
        return add_positions(n, m, &keys, graph);
    }
    NND_TRY(any_vector(n, key_names, &keys));
    NND_TRY(any_vector(n, value_names, &values));
    return add_way(n, m, &keys, &values);
}

static nnd_status category_prepare(nnd_graph *graph, nnd_graph_node *n)
{
    mapper *m;
    nnd_tensor strings, ints;
    (void)graph;
    NND_TRY(mapper_new(n, &m));
    NND_TRY(nnd_ml_vector(n, "cats_strings", &strings));
    NND_TRY(nnd_ml_vector(n, "cats_int64s", &ints));
    NND_TRY(add_way(n, m, &strings, &ints));
    return add_way(n, m, &ints, &strings);
}

static const mapping *way_of(const nnd_op_ctx *c)
{
    const mapper *m = c->node->state;
    for (size_t i = 0; m && i < m->count; i++)
        if (m->way[i].keys.keys.dtype == c->in[0]->dtype) return &m->way[i];
    return NULL;
}

static nnd_status map_infer(nnd_op_ctx *c)
{
    const nnd_tensor *x;
    NND_TRY(nnd_op_need(c, 0, &x));
    if (!c->node->state) return NND_E_AGAIN; /* asked before prepare */
    const mapping *w = way_of(c);
    if (!w) return nnd_op_fail(c, NND_E_TYPE, "there are no keys of %s", nnd_dtype_name(x->dtype));
    return nnd_op_output(c, 0, w->values.dtype, x->rank, x->dims);
}

static nnd_status map_run(nnd_op_ctx *c)
{
    const mapping *w = way_of(c);
    size_t size = nnd_op_element(w->values.dtype);
    char *to = c->out[0].data;
    for (size_t i = 0; i < (size_t)nnd_tensor_count(c->in[0]); i++) {
        size_t at = nnd_lookup_find(&w->keys, c->in[0], i);
        const void *from =
            at == NND_LOOKUP_NONE ? w->otherwise : (const char *)w->values.data + at * size;
        memcpy(to + i * size, from, size);
    }
    return NND_OK;
}

/* ---- OneHotEncoder -------------------------------------------------------------------------- */

static nnd_status categories_prepare(nnd_graph *graph, nnd_graph_node *n)
{
    static const char *const names[] = {"cats_strings", "cats_int64s", "string_vocabulary",
                                        "int64_vocabulary", NULL};
    mapper *m;
    nnd_tensor keys;
    (void)graph;
    NND_TRY(mapper_new(n, &m));
    NND_TRY(any_vector(n, names, &keys));
    return add_way(n, m, &keys, &keys);
}

static nnd_status one_hot_infer(nnd_op_ctx *c)
{
    const mapper *m = c->node->state;
    const nnd_tensor *x;
    int64_t dims[NND_MAX_RANK + 1];
    NND_TRY(nnd_op_need(c, 0, &x));
    NND_TRY(nnd_op_expect(c, 0, NND_ML_NUMBERS | 1u << NND_STRING));
    if (!m) return NND_E_AGAIN;
    if ((x->dtype == NND_STRING) != (m->way[0].values.dtype == NND_STRING))
        return nnd_op_fail(c, NND_E_TYPE, "the categories are of another type");
    if (x->rank == NND_MAX_RANK) return nnd_op_fail(c, NND_E_UNSUPPORTED, "too many dimensions");
    memcpy(dims, x->dims, sizeof(x->dims));
    dims[x->rank] = nnd_tensor_count(&m->way[0].values);
    return nnd_op_output(c, 0, NND_F32, x->rank + 1, dims);
}

/* Element i as a key: numbers of other types are whole ones of i64. */
static size_t find_category(const nnd_lookup *l, const nnd_tensor *x, size_t i)
{
    if (x->dtype == l->keys.dtype) return nnd_lookup_find(l, x, i);
    double v = nnd_dtype_get(x->dtype, x->data, i);
    if (!(v > -9e18 && v < 9e18)) return NND_LOOKUP_NONE;
    int64_t whole = (int64_t)v;
    nnd_tensor key = {.dtype = NND_I64, .data = &whole};
    return nnd_lookup_find(l, &key, 0);
}

static nnd_status one_hot_run(nnd_op_ctx *c)
{
    const mapper *m = c->node->state;
    bool zeros = nnd_node_int(c->node, "zeros", 1) != 0;
    size_t width = (size_t)nnd_tensor_count(&m->way[0].values);
    float *to = c->out[0].data;
    memset(to, 0, nnd_tensor_bytes(&c->out[0]));
    for (size_t i = 0; i < (size_t)nnd_tensor_count(c->in[0]); i++) {
        size_t at = find_category(&m->way[0].keys, c->in[0], i);
        if (at != NND_LOOKUP_NONE) to[i * width + at] = 1;
        if (at == NND_LOOKUP_NONE && !zeros)
            return nnd_op_fail(c, NND_E_NOT_FOUND, "element %zu is no category", i);
    }
    return NND_OK;
}

/* ---- maps ---------------------------------------------------------------------------------- */

static nnd_status map_vectors(const nnd_op_ctx *c, const nnd_value *map, const nnd_tensor **keys,
                              const nnd_tensor **values)
{
    const nnd_value *k = map ? nnd_value_record_get(map, "keys") : NULL;
    const nnd_value *v = map ? nnd_value_record_get(map, "values") : NULL;
    *keys = k ? nnd_value_tensor(k) : NULL;
    *values = v ? nnd_value_tensor(v) : NULL;
    if (*keys && *values && (*keys)->rank == 1 && (*values)->rank == 1 &&
        (*keys)->dims[0] == (*values)->dims[0] && nnd_op_element((*values)->dtype))
        return NND_OK;
    return nnd_op_fail(c, NND_E_TYPE, "the input is no map");
}

/* The values of a map in the order of a vocabulary; keys that are not there give 0 or "". */
static nnd_status dict_run(nnd_op_ctx *c)
{
    const mapper *m = c->node->state;
    const nnd_tensor *keys, *values;
    NND_TRY(map_vectors(c, nnd_op_box(c, 0), &keys, &values));
    const nnd_lookup *l = &m->way[0].keys;
    if (keys->dtype != l->keys.dtype)
        return nnd_op_fail(c, NND_E_TYPE, "the vocabulary is of another type than the keys");
    int64_t dims[2] = {1, nnd_tensor_count(&l->keys)};
    NND_TRY(nnd_op_make_output(c, 0, values->dtype, 2, dims));
    size_t size = nnd_op_element(values->dtype);
    char *to = c->out[0].data;
    for (int64_t i = 0; to && values->dtype == NND_STRING && i < dims[1]; i++)
        ((nnd_string *)(void *)to)[i] = (nnd_string){"", 0};
    for (size_t i = 0; to && i < (size_t)keys->dims[0]; i++) {
        size_t at = nnd_lookup_find(l, keys, i);
        if (at != NND_LOOKUP_NONE)
            memcpy(to + at * size, (const char *)values->data + i * size, size);
    }
    return NND_OK;
}

static nnd_status make_map(const nnd_tensor *labels, const float *scores, nnd_value **out)
{
    nnd_tensor row;
    nnd_value *keys = NULL, *values = NULL;
    union {
        const float *in;
        void *out;
    } cast = {scores};
    NND_TRY(nnd_tensor_init(&row, NND_F32, 1, labels->dims, cast.out));
    NND_TRY(nnd_op_copy_value(labels, &keys));
    nnd_status status = nnd_op_copy_value(&row, &values);
    if (status == NND_OK) return nnd_engine_map_create(keys, values, out);
    nnd_value_unref(keys);
    return status;
}

static nnd_status zip_run(nnd_op_ctx *c)
{
    static const char *const names[] = {"classlabels_strings", "classlabels_int64s", NULL};
    nnd_tensor labels;
    const nnd_tensor *x;
    NND_TRY(nnd_op_need(c, 0, &x));
    NND_TRY(nnd_op_expect(c, 0, 1u << NND_F32));
    NND_TRY(any_vector(c->node, names, &labels));
    if (labels.rank != 1 || x->rank < 1 || x->rank > 2 || x->dims[x->rank - 1] != labels.dims[0])
        return nnd_op_fail(c, NND_E_SHAPE, "the labels do not fit the input");
    size_t rows = x->rank == 2 ? (size_t)x->dims[0] : 1, width = (size_t)labels.dims[0], made = 0;
    nnd_value **items = nnd_calloc(rows + 1, sizeof(nnd_value *));
    if (!items) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for maps");
    nnd_status status = NND_OK;
    while (made < rows && status == NND_OK) {
        status = make_map(&labels, (const float *)x->data + made * width, &items[made]);
        made += status == NND_OK;
    }
    if (status == NND_OK) status = nnd_op_put_list(c, 0, items, rows);
    for (size_t i = 0; i < made; i++)
        nnd_value_unref(items[i]);
    nnd_free(items);
    return status;
}

enum { BOXES = NND_OP_DYNAMIC | NND_OP_BOXES };
static const nnd_op ops[] = {
    {NND_ML, "LabelEncoder", 1, 0, 1, 1, 1, 1, NND_OP_PLANNED, map_infer, map_run, encoder_prepare,
     mapper_release, .variant = 0},
    {NND_ML, "CategoryMapper", 1, 0, 1, 1, 1, 1, NND_OP_PLANNED, map_infer, map_run,
     category_prepare, mapper_release, .variant = 0},
    {NND_ML, "OneHotEncoder", 1, 0, 1, 1, 1, 1, NND_OP_PLANNED, one_hot_infer, one_hot_run,
     categories_prepare, mapper_release, .variant = 0},
    {NND_ML, "DictVectorizer", 1, 0, 1, 1, 1, 1, BOXES, nnd_op_not_ahead, dict_run,
     categories_prepare, mapper_release, .variant = 0},
    {NND_ML, "ZipMap", 1, 0, 1, 1, 1, 1, BOXES, nnd_op_not_ahead, zip_run, .variant = 0},
};
const nnd_op_family nnd_ops_ml_map = {ops, NND_COUNT(ops)};
