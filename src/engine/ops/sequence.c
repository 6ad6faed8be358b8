/* Sequences and optionals. */
#include <string.h>

#include "engine/ops/op.h"

static nnd_status out_of_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a sequence");
}

/* A position from input i in a list of `count`, counted from the end when negative. The end itself
   is one when `end` says so. */
static nnd_status position_in(const nnd_op_ctx *c, size_t i, size_t count, bool end, size_t *out)
{
    NND_TRY(nnd_op_expect(c, i, 1u << NND_I32 | 1u << NND_I64));
    if (nnd_tensor_count(c->in[i]) != 1)
        return nnd_op_fail(c, NND_E_SHAPE, "the position is no scalar");
    int64_t at = nnd_op_int_at(c->in[i], 0), n = (int64_t)count;
    if (at < -n || at >= n + end)
        return nnd_op_fail(c, NND_E_SHAPE, "position %lld is outside of a sequence of %lld",
                           (long long)at, (long long)n);
    *out = (size_t)(at < 0 ? at + n : at);
    return NND_OK;
}

static nnd_status put_scalar(nnd_op_ctx *c, nnd_dtype dtype, int64_t value)
{
    NND_TRY(nnd_op_make_output(c, 0, dtype, 0, NULL));
    if (dtype == NND_BOOL && c->out[0].data) *(uint8_t *)c->out[0].data = value != 0;
    if (dtype == NND_I64 && c->out[0].data) *(int64_t *)c->out[0].data = value;
    return NND_OK;
}

/* ---- making and changing ------------------------------------------------------------------- */

static nnd_status empty_run(nnd_op_ctx *c)
{
    return nnd_op_put_list(c, 0, NULL, 0);
}

static nnd_status construct_run(nnd_op_ctx *c)
{
    size_t made = 0;
    nnd_status status = NND_OK;
    nnd_value **items = nnd_calloc(c->in_count + 1, sizeof(nnd_value *));
    if (!items) return out_of_memory();
    while (made < c->in_count && status == NND_OK) {
        status = nnd_op_value_in(c, made, &items[made]);
        made += status == NND_OK;
    }
    if (status == NND_OK) status = nnd_op_put_list(c, 0, items, made);
    for (size_t i = 0; i < made; i++)
        nnd_value_unref(items[i]);
    nnd_free(items);
    return status;
}

/* Output 0 = the list with `add` at a position (NULL: without the item there). */
static nnd_status put_changed(nnd_op_ctx *c, const nnd_value *list, size_t at, nnd_value *add)
{
    size_t count = nnd_value_list_count(list), n = 0;
    nnd_value **items = nnd_calloc(count + 2, sizeof(nnd_value *));
    if (!items) return out_of_memory();
    for (size_t i = 0; i <= count; i++) {
        if (i == at && add) items[n++] = add;
        if (i < count && (add || i != at)) items[n++] = nnd_value_list_at(list, i);
    }
    nnd_status status = nnd_op_put_list(c, 0, items, n);
    nnd_free(items);
    return status;
}

static nnd_status insert_run(nnd_op_ctx *c)
{
    nnd_value *list, *item;
    NND_TRY(nnd_op_list_in(c, 0, &list));
    size_t at = nnd_value_list_count(list);
    if (nnd_op_in(c, 2)) NND_TRY(position_in(c, 2, at, true, &at));
    NND_TRY(nnd_op_value_in(c, 1, &item));
    nnd_status status = put_changed(c, list, at, item);
    nnd_value_unref(item);
    return status;
}

static nnd_status erase_run(nnd_op_ctx *c)
{
    nnd_value *list;
    NND_TRY(nnd_op_list_in(c, 0, &list));
    size_t count = nnd_value_list_count(list), at = count ? count - 1 : 0;
    if (nnd_op_in(c, 1)) NND_TRY(position_in(c, 1, count, false, &at));
    if (!count) return nnd_op_fail(c, NND_E_SHAPE, "the sequence is empty");
    return put_changed(c, list, at, NULL);
}

/* ---- reading ------------------------------------------------------------------------------- */

static nnd_status at_run(nnd_op_ctx *c)
{
    nnd_value *list;
    size_t at;
    NND_TRY(nnd_op_list_in(c, 0, &list));
    NND_TRY(nnd_op_need(c, 1, &(const nnd_tensor *){NULL}));
    NND_TRY(position_in(c, 1, nnd_value_list_count(list), false, &at));
    return nnd_op_put(c, 0, nnd_value_ref(nnd_value_list_at(list, at)));
}

static nnd_status length_run(nnd_op_ctx *c)
{
    nnd_value *list;
    NND_TRY(nnd_op_list_in(c, 0, &list));
    return put_scalar(c, NND_I64, (int64_t)nnd_value_list_count(list));
}

/* ---- SplitToSequence ----------------------------------------------------------------------- */

/* Where each piece begins on the axis; the last entry is the end. */
static nnd_status read_split(const nnd_op_ctx *c, int64_t extent, int64_t **begins, size_t *count)
{
    const nnd_tensor *split = nnd_op_in(c, 1);
    int64_t chunk = 1;
    bool listed = split && split->rank == 1;
    if (split) NND_TRY(nnd_op_expect(c, 1, 1u << NND_I32 | 1u << NND_I64));
    if (split && split->rank > 1) return nnd_op_fail(c, NND_E_SHAPE, "the split is no vector");
    if (split && !listed) chunk = nnd_op_int_at(split, 0);
    if (chunk <= 0) return nnd_op_fail(c, NND_E_SHAPE, "the split is %lld", (long long)chunk);
    *count = listed ? (size_t)split->dims[0] : (size_t)(extent / chunk + (extent % chunk != 0));
    *begins = nnd_calloc(*count + 1, sizeof(int64_t));
    if (!*begins) return out_of_memory();
    int64_t at = 0;
    for (size_t i = 0; i < *count; i++) {
        int64_t n = listed ? nnd_op_int_at(split, i) : chunk;
        if (n < 0 || (listed && n > extent - at))
            return nnd_op_fail(c, NND_E_SHAPE, "the split does not fill a dimension of %lld",
                               (long long)extent);
        (*begins)[i] = at;
        at = n < extent - at ? at + n : extent;
    }
    (*begins)[*count] = at;
    if (at != extent)
        return nnd_op_fail(c, NND_E_SHAPE, "the split does not fill a dimension of %lld",
                           (long long)extent);
    return NND_OK;
}

static nnd_status make_piece(const nnd_op_ctx *c, int axis, int64_t begin, int64_t end, bool keep,
                             nnd_value **out)
{
    const nnd_tensor *x = c->in[0];
    size_t inner = (size_t)nnd_op_span(x, axis + 1, x->rank) * nnd_op_element(x->dtype);
    size_t run = (size_t)(end - begin) * inner, outer = (size_t)nnd_op_span(x, 0, axis);
    nnd_buffer_desc desc = NND_BUFFER_DESC_INIT;
    int64_t dims[NND_MAX_RANK];
    int rank = 0;
    nnd_tensor t;
    for (int i = 0; i < x->rank; i++)
        if (i != axis || keep) dims[rank++] = i == axis ? end - begin : x->dims[i];
    NND_TRY(nnd_tensor_init(&t, x->dtype, rank, dims, NULL));
    desc.bytes = nnd_tensor_bytes(&t);
    NND_TRY(nnd_buffer_create(&desc, &t.buffer));
    t.data = nnd_buffer_data(t.buffer);
    const char *from = (const char *)x->data + (size_t)begin * inner;
    for (size_t o = 0; o < outer && run; o++)
        memcpy((char *)t.data + o * run, from + o * (size_t)x->dims[axis] * inner, run);
    nnd_status status = nnd_value_from_tensor(&t, out);
    nnd_buffer_unref(t.buffer);
    return status;
}

/* The standard has `keepdims` count only without a split. PyTorch's exporter writes unbind as a
   split of the number 1 without the dimension, though, and other engines take it at its word. */
static bool keeps_dimension(const nnd_op_ctx *c)
{
    const nnd_tensor *split = nnd_op_in(c, 1);
    bool ones = !split || (split->rank == 0 && nnd_op_int_at(split, 0) == 1);
    return !ones || nnd_node_int(c->node, "keepdims", 1) != 0;
}

static nnd_status split_run(nnd_op_ctx *c)
{
    int axis;
    size_t count = 0, made = 0;
    int64_t *begins = NULL;
    nnd_value **items = NULL;
    const nnd_tensor *x = c->in[0];
    if (!nnd_op_element(x->dtype)) return nnd_op_expect(c, 0, 0);
    NND_TRY(nnd_op_axis(c, nnd_node_int(c->node, "axis", 0), x->rank, &axis));
    nnd_status status = read_split(c, x->dims[axis], &begins, &count);
    bool keep = status != NND_OK || keeps_dimension(c);
    if (status == NND_OK) {
        items = nnd_calloc(count + 1, sizeof(nnd_value *));
        status = items ? NND_OK : out_of_memory();
    }
    while (made < count && status == NND_OK) {
        status = make_piece(c, axis, begins[made], begins[made + 1], keep, &items[made]);
        made += status == NND_OK;
    }
    if (status == NND_OK) status = nnd_op_put_list(c, 0, items, count);
    for (size_t i = 0; i < made; i++)
        nnd_value_unref(items[i]);
    nnd_free(items);
    nnd_free(begins);
    return status;
}

/* ---- ConcatFromSequence -------------------------------------------------------------------- */

/* The tensors of a list; with a new axis each gets a dimension of 1 there. */
static nnd_status list_tensors(const nnd_op_ctx *c, const nnd_value *list, nnd_tensor *tensors,
                               const nnd_tensor **in)
{
    bool new_axis = nnd_node_int(c->node, "new_axis", 0) != 0;
    for (size_t i = 0; i < nnd_value_list_count(list); i++) {
        const nnd_tensor *t = nnd_value_tensor(nnd_value_list_at(list, i));
        if (!t) return nnd_op_fail(c, NND_E_TYPE, "item %zu of the sequence is no tensor", i);
        tensors[i] = *t;
        in[i] = &tensors[i];
        if (!new_axis) continue;
        int axis, n = 0;
        int64_t dims[NND_MAX_RANK + 1];
        NND_TRY(nnd_op_axis(c, nnd_node_int(c->node, "axis", 0), t->rank + 1, &axis));
        for (int k = 0; k <= t->rank; k++)
            dims[k] = k == axis ? 1 : t->dims[n++];
        NND_TRY(nnd_tensor_init(&tensors[i], t->dtype, t->rank + 1, dims, t->data));
    }
    return NND_OK;
}

/* Concat has the same attribute: it does the work. */
static nnd_status concat_run(nnd_op_ctx *c)
{
    nnd_value *list;
    NND_TRY(nnd_op_list_in(c, 0, &list));
    size_t count = nnd_value_list_count(list);
    if (!count) return nnd_op_fail(c, NND_E_SHAPE, "the sequence is empty");
    nnd_tensor *tensors = nnd_calloc(count, sizeof(*tensors));
    const nnd_tensor **in = nnd_calloc(count, sizeof(*in));
    nnd_status status = tensors && in ? list_tensors(c, list, tensors, in) : out_of_memory();
    nnd_op_ctx sub = *c;
    nnd_tensor joined = {0};
    sub.out = &joined;
    sub.op = nnd_op_find("", "Concat", 13);
    sub.in = in;
    sub.in_count = count;
    if (status == NND_OK) status = sub.op->infer(&sub);
    if (status == NND_OK) status = nnd_op_make_output(c, 0, joined.dtype, joined.rank, joined.dims);
    joined.data = c->out[0].data;
    if (status == NND_OK && joined.data) status = sub.op->run(&sub);
    nnd_free(in);
    nnd_free(tensors);
    return status;
}

/* ---- SequenceMap --------------------------------------------------------------------------- */

typedef struct map_state {
    nnd_value **items; /* output k's item i is at [k · count + i] */
    size_t count, at;
} map_state;

static nnd_status take_mapped(void *user, size_t index, const nnd_body_input *output)
{
    map_state *m = user;
    nnd_value **to = &m->items[index * m->count + m->at];
    if (!output->box) return nnd_op_copy_value(output->tensor, to);
    *to = nnd_value_ref(output->box);
    return NND_OK;
}

static nnd_status map_item(nnd_op_ctx *c, nnd_graph *body, nnd_body_input *inputs, map_state *m)
{
    for (size_t k = 0; k < body->input_count; k++) {
        nnd_value *box = nnd_op_box(c, k);
        inputs[k] = (nnd_body_input){c->in[k], NULL};
        if (!box || !nnd_value_is(box, "list")) continue;
        nnd_value *item = nnd_value_list_at(box, m->at);
        if (!item) return nnd_op_fail(c, NND_E_SHAPE, "the sequences have different lengths");
        if (!nnd_value_tensor(item)) return nnd_op_fail(c, NND_E_TYPE, "an item is no tensor");
        inputs[k] = (nnd_body_input){nnd_value_tensor(item), item};
    }
    NND_TRY(nnd_cancel_check(c->cancel));
    return nnd_op_run_body(c, body, inputs, take_mapped, m);
}

static nnd_status map_run(nnd_op_ctx *c)
{
    nnd_value *list;
    nnd_graph *body = nnd_node_graph(c->node, "body");
    NND_TRY(nnd_op_list_in(c, 0, &list));
    map_state m = {.count = nnd_value_list_count(list)};
    size_t outputs = c->out_count, total;
    if (!body || body->input_count != c->node->formal_count || body->output_count != outputs)
        return nnd_op_fail(c, NND_E_FORMAT, "the body does not fit the node");
    for (size_t k = 0; k < body->input_count; k++)
        NND_TRY(nnd_op_need(c, k, &(const nnd_tensor *){NULL}));
    total = outputs * m.count;
    m.items = nnd_calloc(total + 1, sizeof(nnd_value *));
    nnd_body_input *inputs = nnd_calloc(body->input_count + 1, sizeof(*inputs));
    nnd_status status = m.items && inputs ? NND_OK : out_of_memory();
    for (; m.at < m.count && status == NND_OK; m.at++)
        status = map_item(c, body, inputs, &m);
    for (size_t k = 0; k < outputs && status == NND_OK; k++)
        status = nnd_op_put_list(c, k, m.items + k * m.count, m.count);
    for (size_t i = 0; m.items && i < total; i++)
        nnd_value_unref(m.items[i]);
    nnd_free(inputs);
    nnd_free(m.items);
    return status;
}

/* ---- optionals ----------------------------------------------------------------------------- */

static bool is_empty(const nnd_op_ctx *c)
{
    const nnd_value *box = nnd_op_box(c, 0);
    return !nnd_op_in(c, 0) || (box && nnd_value_is(box, "gap"));
}

static nnd_status optional_run(nnd_op_ctx *c)
{
    nnd_value *value;
    NND_TRY(nnd_op_in(c, 0) ? nnd_op_value_in(c, 0, &value) : nnd_value_new_gap(NULL, &value));
    return nnd_op_put(c, 0, value);
}

static nnd_status has_element_run(nnd_op_ctx *c)
{
    return put_scalar(c, NND_BOOL, !is_empty(c));
}

static nnd_status get_element_run(nnd_op_ctx *c)
{
    nnd_value *value;
    if (is_empty(c)) return nnd_op_fail(c, NND_E_STATE, "the optional is empty");
    NND_TRY(nnd_op_value_in(c, 0, &value));
    return nnd_op_put(c, 0, value);
}

#define ROW(name, since, in0, in1, out1, run)                                                      \
    {                                                                                              \
        "", name, since, 0, in0, in1, 1, out1, NND_OP_DYNAMIC | NND_OP_BOXES, nnd_op_not_ahead,    \
            run, .variant = 0                                                                      \
    }
static const nnd_op ops[] = {
    ROW("SequenceEmpty", 11, 0, 0, 1, empty_run),
    ROW("SequenceConstruct", 11, 1, -1, 1, construct_run),
    ROW("SequenceInsert", 11, 2, 3, 1, insert_run),
    ROW("SequenceErase", 11, 1, 2, 1, erase_run),
    ROW("SequenceAt", 11, 2, 2, 1, at_run),
    ROW("SequenceLength", 11, 1, 1, 1, length_run),
    ROW("SplitToSequence", 11, 1, 2, 1, split_run),
    ROW("ConcatFromSequence", 11, 1, 1, 1, concat_run),
    ROW("SequenceMap", 17, 1, -1, -1, map_run),
    ROW("Optional", 15, 0, 1, 1, optional_run),
    ROW("OptionalHasElement", 15, 0, 1, 1, has_element_run),
    ROW("OptionalGetElement", 15, 1, 1, 1, get_element_run),
};
const nnd_op_family nnd_ops_sequence = {ops, NND_COUNT(ops)};
