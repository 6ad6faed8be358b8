/* If and Loop: sub-graphs run with plans of their own. */
#include <string.h>

#include "engine/ops/op.h"

static nnd_status not_ahead(nnd_op_ctx *c)
{
    (void)c;
    return NND_E_AGAIN;
}

static nnd_status copy_output(nnd_op_ctx *c, size_t index, const nnd_tensor *t)
{
    NND_TRY(nnd_op_make_output(c, index, t->dtype, t->rank, t->dims));
    size_t bytes = nnd_tensor_bytes(t);
    if (bytes && index < c->out_count && c->out[index].data)
        memcpy(c->out[index].data, t->data, bytes);
    return NND_OK;
}

static nnd_status take_output(void *user, size_t index, const nnd_tensor *t)
{
    return copy_output(user, index, t);
}

static nnd_status if_run(nnd_op_ctx *c)
{
    NND_TRY(nnd_op_expect(c, 0, 1u << NND_BOOL));
    if (nnd_tensor_count(c->in[0]) != 1)
        return nnd_op_fail(c, NND_E_SHAPE, "the condition is no scalar");
    bool yes = *(const uint8_t *)c->in[0]->data != 0;
    nnd_graph *body = nnd_node_graph(c->node, yes ? "then_branch" : "else_branch");
    if (!body || body->input_count || body->output_count != c->out_count)
        return nnd_op_fail(c, NND_E_FORMAT, "the branch does not fit the node");
    return nnd_op_run_body(c, body, NULL, nnd_op_captures(c, body), take_output, c);
}

/* ---- Loop ---------------------------------------------------------------------------------- */

/* A tensor with memory of its own. */
typedef struct kept {
    nnd_tensor tensor;
    void *memory;
} kept;

/* Outputs that are stacked over the iterations. */
typedef struct scan {
    char *bytes;
    size_t used, capacity;
    nnd_tensor first; /* shape of one iteration */
    int64_t count;
} scan;

typedef struct loop {
    nnd_op_ctx *c;
    size_t carried, scans;
    kept *now, *next; /* condition, then carried values */
    scan *scan;
} loop;

static nnd_status keep(kept *k, const nnd_tensor *t)
{
    size_t bytes = nnd_tensor_bytes(t);
    void *memory = nnd_alloc_aligned(bytes + 1, 64);
    if (!memory) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a loop");
    if (bytes) memcpy(memory, t->data, bytes);
    nnd_free_aligned(k->memory);
    k->memory = memory;
    k->tensor = *t;
    k->tensor.data = memory;
    return NND_OK;
}

static nnd_status append(const nnd_op_ctx *c, scan *s, const nnd_tensor *t)
{
    size_t bytes = nnd_tensor_bytes(t);
    bool same = s->first.dtype == t->dtype && s->first.rank == t->rank &&
                memcmp(s->first.dims, t->dims, (size_t)t->rank * sizeof(t->dims[0])) == 0;
    if (s->count == 0) s->first = *t;
    if (s->count > 0 && !same)
        return nnd_op_fail(c, NND_E_SHAPE, "a scanned output changes its shape");
    if (bytes > s->capacity - s->used) {
        if (s->capacity > SIZE_MAX / 4 || bytes > SIZE_MAX / 4)
            return nnd_op_fail(c, NND_E_LIMIT, "a scanned output grows too large");
        size_t capacity = (s->capacity + bytes) * 2;
        char *grown = nnd_realloc(s->bytes, capacity);
        if (!grown) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a loop");
        s->bytes = grown;
        s->capacity = capacity;
    }
    if (bytes) memcpy(s->bytes + s->used, t->data, bytes);
    s->used += bytes;
    s->count++;
    return NND_OK;
}

static nnd_status take_iteration(void *user, size_t index, const nnd_tensor *t)
{
    loop *l = user;
    if (index <= l->carried) return keep(&l->next[index], t);
    return append(l->c, &l->scan[index - l->carried - 1], t);
}

static nnd_status iterate(loop *l, nnd_graph *body, int64_t trips)
{
    nnd_op_ctx *c = l->c;
    const nnd_tensor **inputs = nnd_calloc(l->carried + 2, sizeof(*inputs));
    nnd_status status =
        inputs ? NND_OK : nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a loop");
    nnd_tensor number;
    for (int64_t i = 0; i < trips && status == NND_OK; i++) {
        if (!*(const uint8_t *)l->now[0].memory) break;
        status = nnd_cancel_check(c->cancel);
        if (status == NND_OK) status = nnd_tensor_init(&number, NND_I64, 0, NULL, &i);
        inputs[0] = &number;
        for (size_t k = 0; k <= l->carried; k++)
            inputs[k + 1] = &l->now[k].tensor;
        if (status == NND_OK)
            status = nnd_op_run_body(c, body, inputs, nnd_op_captures(c, body), take_iteration, l);
        if (status == NND_OK &&
            (l->next[0].tensor.dtype != NND_BOOL || nnd_tensor_count(&l->next[0].tensor) != 1))
            status = nnd_op_fail(c, NND_E_TYPE, "the body's condition is no boolean scalar");
        kept *swap = l->now;
        l->now = l->next;
        l->next = swap;
    }
    nnd_free(inputs);
    return status;
}

static nnd_status deliver(loop *l, const nnd_graph *body)
{
    for (size_t k = 0; k < l->carried; k++)
        NND_TRY(copy_output(l->c, k, &l->now[k + 1].tensor));
    for (size_t k = 0; k < l->scans; k++) {
        const scan *s = &l->scan[k];
        const nnd_graph_value *v = &body->values[body->outputs[1 + l->carried + k]];
        int64_t dims[NND_MAX_RANK] = {s->count};
        int rank = s->count ? s->first.rank : v->rank > 0 ? v->rank : 0;
        if (rank + 1 > NND_MAX_RANK)
            return nnd_op_fail(l->c, NND_E_UNSUPPORTED, "too many dimensions");
        for (int i = 0; i < rank; i++)
            dims[i + 1] = s->count ? s->first.dims[i] : v->dims[i] > 0 ? v->dims[i] : 0;
        nnd_dtype dtype = s->count ? s->first.dtype : v->dtype ? v->dtype : NND_F32;
        NND_TRY(nnd_op_make_output(l->c, l->carried + k, dtype, rank + 1, dims));
        nnd_tensor *out = &l->c->out[l->carried + k];
        if (s->used && out->data) memcpy(out->data, s->bytes, s->used);
    }
    return NND_OK;
}

static nnd_status start(loop *l)
{
    const nnd_tensor *condition = nnd_op_in(l->c, 1);
    uint8_t yes = 1;
    nnd_tensor always;
    NND_TRY(nnd_tensor_init(&always, NND_BOOL, 0, NULL, &yes));
    if (condition && (condition->dtype != NND_BOOL || nnd_tensor_count(condition) != 1))
        return nnd_op_fail(l->c, NND_E_TYPE, "the condition is no boolean scalar");
    NND_TRY(keep(&l->now[0], condition ? condition : &always));
    for (size_t k = 0; k < l->carried; k++) {
        const nnd_tensor *t;
        NND_TRY(nnd_op_need(l->c, k + 2, &t));
        NND_TRY(keep(&l->now[k + 1], t));
    }
    return NND_OK;
}

static nnd_status loop_run(nnd_op_ctx *c)
{
    nnd_graph *body = nnd_node_graph(c->node, "body");
    size_t carried = c->node->formal_count > 2 ? c->node->formal_count - 2 : 0;
    if (!body || body->input_count != carried + 2 || body->output_count < carried + 1 ||
        c->out_count > body->output_count - 1)
        return nnd_op_fail(c, NND_E_FORMAT, "the body does not fit the node");
    const nnd_tensor *most = nnd_op_in(c, 0);
    int64_t trips = most && nnd_tensor_count(most) == 1 ? nnd_op_int_at(most, 0) : INT64_MAX;
    loop l = {.c = c, .carried = carried, .scans = body->output_count - 1 - carried};
    kept *values = nnd_calloc(2 * (carried + 1), sizeof(*values));
    l.scan = nnd_calloc(l.scans + 1, sizeof(*l.scan));
    nnd_status status =
        values && l.scan ? NND_OK : nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a loop");
    if (values) {
        l.now = values;
        l.next = values + carried + 1;
    }
    if (status == NND_OK) status = start(&l);
    if (status == NND_OK) status = iterate(&l, body, trips);
    if (status == NND_OK) status = deliver(&l, body);
    for (size_t i = 0; values && i < 2 * (carried + 1); i++)
        nnd_free_aligned(values[i].memory);
    for (size_t i = 0; l.scan && i < l.scans; i++)
        nnd_free(l.scan[i].bytes);
    nnd_free(values);
    nnd_free(l.scan);
    return status;
}

static const nnd_op ops[] = {
    {"", "If", 1, 0, 1, 1, 1, -1, NND_OP_DYNAMIC, not_ahead, if_run, .variant = 0},
    {"", "Loop", 1, 0, 0, -1, 1, -1, NND_OP_DYNAMIC, not_ahead, loop_run, .variant = 0},
};
const nnd_op_family nnd_ops_control = {ops, NND_COUNT(ops)};
