/* Scan: a body over the slices of its inputs. */
#include <string.h>

#include "engine/ops/control.h"

/* One input that is cut into slices. */
typedef struct sliced {
    nnd_tensor whole, slice;
    int axis;
    bool reversed;
    void *memory; /* of a slice that does not lie in one piece; else NULL */
} sliced;

typedef struct scan {
    nnd_op_ctx *c;
    nnd_graph *body;
    size_t states, inputs, outputs;
    size_t first; /* the node's input that is the first state */
    nnd_kept *now, *next;
    sliced *in;
    nnd_stack *out;
    nnd_body_input *args;
} scan;

static nnd_status out_of_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a scan");
}

static void scan_fini(scan *s)
{
    for (size_t k = 0; s->now && k < s->states; k++)
        nnd_kept_clear(&s->now[k]);
    for (size_t k = 0; s->next && k < s->states; k++)
        nnd_kept_clear(&s->next[k]);
    for (size_t k = 0; s->in && k < s->inputs; k++)
        nnd_free_aligned(s->in[k].memory);
    for (size_t k = 0; s->out && k < s->outputs; k++)
        nnd_stack_clear(&s->out[k]);
    nnd_free(s->now);
    nnd_free(s->next);
    nnd_free(s->in);
    nnd_free(s->out);
    nnd_free(s->args);
}

static nnd_status scan_init(scan *s, nnd_op_ctx *c, size_t first)
{
    nnd_graph *body = nnd_node_graph(c->node, "body");
    int64_t inputs = nnd_node_int(c->node, "num_scan_inputs", 0);
    size_t given = c->node->formal_count > first ? c->node->formal_count - first : 0;
    *s = (scan){.c = c, .body = body, .first = first};
    if (!body || inputs < 1 || (uint64_t)inputs > given || body->input_count != given ||
        body->output_count < given - (size_t)inputs || c->out_count > body->output_count)
        return nnd_op_fail(c, NND_E_FORMAT, "the body does not fit the node");
    s->inputs = (size_t)inputs;
    s->states = given - s->inputs;
    s->outputs = body->output_count - s->states;
    s->now = nnd_calloc(s->states + 1, sizeof(*s->now));
    s->next = nnd_calloc(s->states + 1, sizeof(*s->next));
    s->in = nnd_calloc(s->inputs + 1, sizeof(*s->in));
    s->out = nnd_calloc(s->outputs + 1, sizeof(*s->out));
    s->args = nnd_calloc(given + 1, sizeof(*s->args));
    return s->now && s->next && s->in && s->out && s->args ? NND_OK : out_of_memory();
}

/* ---- slices -------------------------------------------------------------------------------- */

/* Item k of an attribute that lists one number per scan input or output; 0 when it is not there. */
static nnd_status listed(const nnd_op_ctx *c, const char *attr, size_t k, size_t count,
                         int64_t *out)
{
    size_t n;
    const int64_t *list = nnd_node_ints(c->node, attr, &n);
    *out = list && k < n ? list[k] : 0;
    if (!list || n == count) return NND_OK;
    return nnd_op_fail(c, NND_E_FORMAT, "%s has %zu items for %zu tensors", attr, n, count);
}

static nnd_status sliced_init(const nnd_op_ctx *c, sliced *s, const nnd_tensor *whole, int64_t axis,
                              bool reversed)
{
    int64_t dims[NND_MAX_RANK];
    int rank = 0;
    if (!nnd_op_element(whole->dtype))
        return nnd_op_fail(c, NND_E_TYPE, "a scanned input is no tensor of whole bytes");
    s->whole = *whole;
    s->reversed = reversed;
    NND_TRY(nnd_op_axis(c, axis, whole->rank, &s->axis));
    for (int i = 0; i < whole->rank; i++)
        if (i != s->axis) dims[rank++] = whole->dims[i];
    NND_TRY(nnd_tensor_init(&s->slice, whole->dtype, rank, dims, NULL));
    if (nnd_op_span(whole, 0, s->axis) == 1 || s->memory) return NND_OK;
    s->memory = nnd_alloc_aligned(nnd_tensor_bytes(&s->slice) + 1, 64);
    return s->memory ? NND_OK : out_of_memory();
}

static void cut_slice(sliced *s, int64_t at)
{
    const nnd_tensor *x = &s->whole;
    int64_t extent = x->dims[s->axis], k = s->reversed ? extent - 1 - at : at;
    size_t outer = (size_t)nnd_op_span(x, 0, s->axis);
    size_t piece = (size_t)nnd_op_span(x, s->axis + 1, x->rank) * nnd_op_element(x->dtype);
    char *from = (char *)x->data + (size_t)k * piece;
    s->slice.data = s->memory ? s->memory : from;
    for (size_t o = 0; s->memory && piece && o < outer; o++)
        memcpy((char *)s->memory + o * piece, from + o * (size_t)extent * piece, piece);
}

/* ---- iterations ---------------------------------------------------------------------------- */

static nnd_status take(void *user, size_t index, const nnd_body_input *output)
{
    scan *s = user;
    if (index < s->states) return nnd_kept_set(&s->next[index], output);
    return nnd_stack_push(s->c, &s->out[index - s->states], output);
}

static nnd_status iterate(scan *s, int64_t trips)
{
    for (int64_t at = 0; at < trips; at++) {
        NND_TRY(nnd_cancel_check(s->c->cancel));
        for (size_t k = 0; k < s->states; k++)
            s->args[k] = nnd_kept_input(&s->now[k]);
        for (size_t k = 0; k < s->inputs; k++) {
            cut_slice(&s->in[k], at);
            s->args[s->states + k] = (nnd_body_input){&s->in[k].slice, NULL};
        }
        NND_TRY(nnd_op_run_body(s->c, s->body, s->args, take, s));
        nnd_kept *swap = s->now;
        s->now = s->next;
        s->next = swap;
    }
    return NND_OK;
}

static nnd_status put_kept(nnd_op_ctx *c, size_t i, const nnd_kept *k)
{
    if (k->box) return nnd_op_put(c, i, nnd_value_ref(k->box));
    NND_TRY(nnd_op_make_output(c, i, k->tensor.dtype, k->tensor.rank, k->tensor.dims));
    size_t bytes = nnd_tensor_bytes(&k->tensor);
    if (bytes && i < c->out_count && c->out[i].data) memcpy(c->out[i].data, k->memory, bytes);
    return NND_OK;
}

/* ---- opset 9 and later --------------------------------------------------------------------- */

static nnd_status start(scan *s, int64_t *trips)
{
    nnd_op_ctx *c = s->c;
    const nnd_tensor *t;
    for (size_t k = 0; k < s->states; k++) {
        NND_TRY(nnd_op_need(c, k, &t));
        NND_TRY(nnd_kept_set(&s->now[k], &(nnd_body_input){t, nnd_op_box(c, k)}));
    }
    for (size_t k = 0; k < s->inputs; k++) {
        int64_t axis, direction;
        NND_TRY(nnd_op_need(c, s->states + k, &t));
        NND_TRY(listed(c, "scan_input_axes", k, s->inputs, &axis));
        NND_TRY(listed(c, "scan_input_directions", k, s->inputs, &direction));
        NND_TRY(sliced_init(c, &s->in[k], t, axis, direction != 0));
        int64_t extent = t->dims[s->in[k].axis];
        if (k && extent != *trips)
            return nnd_op_fail(c, NND_E_SHAPE, "the scanned inputs have different lengths");
        *trips = extent;
    }
    return NND_OK;
}

static nnd_status deliver(scan *s)
{
    for (size_t k = 0; k < s->states; k++)
        NND_TRY(put_kept(s->c, k, &s->now[k]));
    for (size_t k = 0; k < s->outputs; k++) {
        int64_t axis, direction;
        NND_TRY(listed(s->c, "scan_output_axes", k, s->outputs, &axis));
        NND_TRY(listed(s->c, "scan_output_directions", k, s->outputs, &direction));
        const nnd_graph_value *declared = &s->body->values[s->body->outputs[s->states + k]];
        NND_TRY(nnd_stack_put(s->c, s->states + k, &s->out[k], declared, axis, direction != 0));
    }
    return NND_OK;
}

static nnd_status scan_run(nnd_op_ctx *c)
{
    scan s;
    int64_t trips = 0;
    nnd_status status = scan_init(&s, c, 0);
    if (status == NND_OK) status = start(&s, &trips);
    if (status == NND_OK) status = iterate(&s, trips);
    if (status == NND_OK) status = deliver(&s);
    scan_fini(&s);
    return status;
}

/* ---- opset 8: a batch, each entry with a length of its own ---------------------------------- */

/* Entry b of a tensor's first dimension. */
static nnd_status entry_of(const nnd_tensor *t, int64_t b, nnd_tensor *out)
{
    NND_TRY(nnd_tensor_init(out, t->dtype, t->rank - 1, t->dims + 1, NULL));
    out->data = (char *)t->data + (size_t)b * nnd_tensor_bytes(out);
    return NND_OK;
}

static nnd_status check_batch(const scan *s, int64_t *batch, int64_t *longest)
{
    const nnd_op_ctx *c = s->c;
    for (size_t k = 0; k < s->states + s->inputs; k++) {
        const nnd_tensor *t;
        NND_TRY(nnd_op_need(c, s->first + k, &t));
        bool scanned = k >= s->states;
        if (t->rank < 1 + scanned || !nnd_op_element(t->dtype) || (k && t->dims[0] != *batch) ||
            (k > s->states && t->dims[1] != *longest))
            return nnd_op_fail(c, NND_E_SHAPE, "input %zu does not fit the others", s->first + k);
        *batch = t->dims[0];
        if (scanned) *longest = t->dims[1];
    }
    return NND_OK;
}

static nnd_status length_of(const scan *s, int64_t b, int64_t longest, int64_t *out)
{
    const nnd_tensor *lengths = nnd_op_in(s->c, 0);
    *out = longest;
    if (!lengths) return NND_OK;
    NND_TRY(nnd_op_expect(s->c, 0, 1u << NND_I64));
    if (b < nnd_tensor_count(lengths)) *out = nnd_op_int_at(lengths, (size_t)b);
    if (b < nnd_tensor_count(lengths) && *out > 0 && *out <= longest) return NND_OK;
    return nnd_op_fail(s->c, NND_E_SHAPE, "a sequence has no length between 1 and %lld",
                       (long long)longest);
}

static nnd_status run_entry(scan *s, int64_t b, int64_t longest, nnd_stack *finals)
{
    const nnd_tensor *const *in = s->c->in + s->first;
    int64_t length, direction;
    nnd_tensor t;
    NND_TRY(length_of(s, b, longest, &length));
    for (size_t k = 0; k < s->states; k++) {
        NND_TRY(entry_of(in[k], b, &t));
        NND_TRY(nnd_kept_set(&s->now[k], &(nnd_body_input){&t, NULL}));
    }
    for (size_t k = 0; k < s->inputs; k++) {
        NND_TRY(entry_of(in[s->states + k], b, &t));
        t.dims[0] = length; /* what lies behind is padding */
        NND_TRY(listed(s->c, "directions", k, s->inputs, &direction));
        NND_TRY(sliced_init(s->c, &s->in[k], &t, 0, direction != 0));
    }
    NND_TRY(iterate(s, length));
    for (size_t k = 0; k < s->outputs; k++)
        NND_TRY(nnd_stack_pad(s->c, &s->out[k], longest - length));
    for (size_t k = 0; k < s->states; k++) {
        nnd_body_input final = nnd_kept_input(&s->now[k]);
        NND_TRY(nnd_stack_push(s->c, &finals[k], &final));
    }
    return NND_OK;
}

/* A stack of all iterations of all entries becomes [batch, longest, …]. */
static nnd_status put_batch(const scan *s, size_t k, int64_t batch, int64_t longest)
{
    const nnd_stack *stack = &s->out[k];
    int64_t dims[NND_MAX_RANK] = {batch, longest};
    int rank = stack->first.rank + 2;
    size_t i = s->states + k;
    if (rank > NND_MAX_RANK) return nnd_op_fail(s->c, NND_E_UNSUPPORTED, "too many dimensions");
    for (int d = 2; d < rank; d++)
        dims[d] = stack->first.dims[d - 2];
    NND_TRY(nnd_op_make_output(s->c, i, stack->first.dtype, rank, dims));
    if (i < s->c->out_count && s->c->out[i].data && stack->used)
        memcpy(s->c->out[i].data, stack->bytes, stack->used);
    return NND_OK;
}

static nnd_status run_batch(scan *s, nnd_stack *finals)
{
    int64_t batch = 0, longest = 0;
    NND_TRY(check_batch(s, &batch, &longest));
    if (!batch || !longest) return nnd_op_fail(s->c, NND_E_SHAPE, "there is nothing to scan");
    for (int64_t b = 0; b < batch; b++)
        NND_TRY(run_entry(s, b, longest, finals));
    for (size_t k = 0; k < s->states; k++)
        NND_TRY(nnd_stack_put(s->c, k, &finals[k], NULL, 0, false));
    for (size_t k = 0; k < s->outputs; k++)
        NND_TRY(put_batch(s, k, batch, longest));
    return NND_OK;
}

static nnd_status batch_run(nnd_op_ctx *c)
{
    scan s;
    nnd_status status = scan_init(&s, c, 1);
    nnd_stack *finals = status == NND_OK ? nnd_calloc(s.states + 1, sizeof(*finals)) : NULL;
    if (status == NND_OK) status = finals ? run_batch(&s, finals) : out_of_memory();
    for (size_t k = 0; finals && k < s.states; k++)
        nnd_stack_clear(&finals[k]);
    nnd_free(finals);
    scan_fini(&s);
    return status;
}

enum { FLAGS = NND_OP_DYNAMIC | NND_OP_BOXES };
static const nnd_op ops[] = {
    {"", "Scan", 8, 8, 0, -1, 1, -1, FLAGS, nnd_op_not_ahead, batch_run, .variant = 0},
    {"", "Scan", 9, 0, 1, -1, 1, -1, FLAGS, nnd_op_not_ahead, scan_run, .variant = 0},
};
const nnd_op_family nnd_ops_scan = {ops, NND_COUNT(ops)};
