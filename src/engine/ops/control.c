/* If and Loop: sub-graphs run with plans of their own. */
#include <string.h>

#include "base/size.h"
#include "engine/ops/control.h"
#include "engine/runtime/exec.h"

nnd_status nnd_op_not_ahead(nnd_op_ctx *c)
{
    (void)c;
    return NND_E_AGAIN;
}

/* ---- what is kept and stacked -------------------------------------------------------------- */

static nnd_status out_of_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a loop");
}

void nnd_kept_clear(nnd_kept *k)
{
    nnd_free_aligned(k->memory);
    nnd_value_unref(k->box);
    *k = (nnd_kept){0};
}

nnd_status nnd_kept_set(nnd_kept *k, const nnd_body_input *value)
{
    const nnd_tensor *t = value->tensor;
    size_t bytes = value->box ? 0 : nnd_tensor_bytes(t);
    void *memory = value->box ? NULL : nnd_alloc_aligned(bytes + 1, 64);
    if (!memory && !value->box) return out_of_memory();
    if (bytes) memcpy(memory, t->data, bytes);
    nnd_kept_clear(k);
    *k = (nnd_kept){*t, memory, nnd_value_ref(value->box)};
    if (memory) k->tensor.data = memory;
    return NND_OK;
}

/* Room for more bytes behind those that are there. */
static nnd_status grow(const nnd_op_ctx *c, nnd_stack *s, size_t bytes)
{
    uint64_t limit = c->exec->env->cache->options.max_arena_bytes;
    if (bytes > limit || s->used > limit - bytes || s->used + bytes > SIZE_MAX / 4)
        return nnd_op_fail(c, NND_E_LIMIT, "a scanned output grows beyond %llu bytes",
                           (unsigned long long)limit);
    if (bytes <= s->capacity - s->used) return NND_OK;
    size_t capacity = (s->used + bytes) * 2;
    char *grown = nnd_realloc(s->bytes, capacity);
    if (!grown) return out_of_memory();
    s->bytes = grown;
    s->capacity = capacity;
    return NND_OK;
}

nnd_status nnd_stack_push(const nnd_op_ctx *c, nnd_stack *s, const nnd_body_input *value)
{
    const nnd_tensor *t = value->tensor;
    if (!nnd_op_element(t->dtype))
        return nnd_op_fail(c, NND_E_TYPE, "a scanned output is no tensor of whole bytes");
    bool same = s->first.dtype == t->dtype && s->first.rank == t->rank &&
                memcmp(s->first.dims, t->dims, (size_t)t->rank * sizeof(t->dims[0])) == 0;
    if (s->count == 0) s->first = *t;
    if (s->count > 0 && !same)
        return nnd_op_fail(c, NND_E_SHAPE, "a scanned output changes its shape");
    size_t bytes = nnd_tensor_bytes(t);
    NND_TRY(grow(c, s, bytes));
    if (bytes) memcpy(s->bytes + s->used, t->data, bytes);
    s->used += bytes;
    s->count++;
    return NND_OK;
}

nnd_status nnd_stack_pad(const nnd_op_ctx *c, nnd_stack *s, int64_t count)
{
    size_t each = nnd_tensor_bytes(&s->first), bytes;
    if (!nnd_size_mul(each, (size_t)count, &bytes)) bytes = SIZE_MAX;
    NND_TRY(grow(c, s, bytes));
    if (bytes) memset(s->bytes + s->used, 0, bytes);
    s->used += bytes;
    s->count += count;
    return NND_OK;
}

nnd_status nnd_stack_put(nnd_op_ctx *c, size_t i, const nnd_stack *s,
                         const nnd_graph_value *declared, int64_t axis, bool reversed)
{
    int64_t dims[NND_MAX_RANK];
    int rank = (s->count ? s->first.rank : declared->rank > 0 ? declared->rank : 0) + 1, at, n = 0;
    if (rank > NND_MAX_RANK) return nnd_op_fail(c, NND_E_UNSUPPORTED, "too many dimensions");
    NND_TRY(nnd_op_axis(c, axis, rank, &at));
    for (int k = 0; k < rank; k++) {
        int64_t known = s->count ? s->first.dims[n] : declared->dims[n];
        dims[k] = k == at ? s->count : known > 0 ? known : 0;
        n += k != at;
    }
    nnd_dtype dtype = s->count ? s->first.dtype : declared->dtype ? declared->dtype : NND_F32;
    NND_TRY(nnd_op_make_output(c, i, dtype, rank, dims));
    if (i >= c->out_count || !c->out[i].data || !s->used) return NND_OK;
    size_t outer = (size_t)nnd_op_span(&c->out[i], 0, at), count = (size_t)s->count;
    size_t piece = (size_t)nnd_op_span(&c->out[i], at + 1, rank) * nnd_op_element(dtype);
    for (size_t t = 0; t < count; t++) {
        const char *from = s->bytes + (reversed ? count - 1 - t : t) * outer * piece;
        for (size_t o = 0; o < outer; o++)
            memcpy((char *)c->out[i].data + (o * count + t) * piece, from + o * piece, piece);
    }
    return NND_OK;
}

void nnd_stack_clear(nnd_stack *s)
{
    nnd_free(s->bytes);
    *s = (nnd_stack){0};
}

/* ---- If ------------------------------------------------------------------------------------- */

static nnd_status copy_output(nnd_op_ctx *c, size_t index, const nnd_body_input *value)
{
    const nnd_tensor *t = value->tensor;
    if (value->box) return nnd_op_put(c, index, nnd_value_ref(value->box));
    NND_TRY(nnd_op_make_output(c, index, t->dtype, t->rank, t->dims));
    size_t bytes = nnd_tensor_bytes(t);
    if (bytes && index < c->out_count && c->out[index].data)
        memcpy(c->out[index].data, t->data, bytes);
    return NND_OK;
}

static nnd_status take_output(void *user, size_t index, const nnd_body_input *output)
{
    return copy_output(user, index, output);
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
    return nnd_op_run_body(c, body, NULL, take_output, c);
}

/* ---- Loop ---------------------------------------------------------------------------------- */

typedef struct loop {
    nnd_op_ctx *c;
    size_t carried, scans;
    nnd_kept *now, *next; /* condition, then carried values */
    nnd_stack *scan;
} loop;

static bool is_condition(const nnd_tensor *t)
{
    return t->dtype == NND_BOOL && nnd_tensor_count(t) == 1;
}

static nnd_status take_iteration(void *user, size_t index, const nnd_body_input *output)
{
    loop *l = user;
    if (index <= l->carried) return nnd_kept_set(&l->next[index], output);
    return nnd_stack_push(l->c, &l->scan[index - l->carried - 1], output);
}

static nnd_status iterate(loop *l, nnd_graph *body, int64_t trips)
{
    nnd_op_ctx *c = l->c;
    nnd_body_input *inputs = nnd_calloc(l->carried + 2, sizeof(*inputs));
    nnd_status status = inputs ? NND_OK : out_of_memory();
    nnd_tensor number;
    for (int64_t i = 0; i < trips && status == NND_OK; i++) {
        if (!*(const uint8_t *)l->now[0].tensor.data) break;
        status = nnd_cancel_check(c->cancel);
        if (status == NND_OK) status = nnd_tensor_init(&number, NND_I64, 0, NULL, &i);
        inputs[0] = (nnd_body_input){&number, NULL};
        for (size_t k = 0; k <= l->carried; k++)
            inputs[k + 1] = nnd_kept_input(&l->now[k]);
        if (status == NND_OK) status = nnd_op_run_body(c, body, inputs, take_iteration, l);
        if (status == NND_OK && !is_condition(&l->next[0].tensor))
            status = nnd_op_fail(c, NND_E_TYPE, "the body's condition is no boolean scalar");
        nnd_kept *swap = l->now;
        l->now = l->next;
        l->next = swap;
    }
    nnd_free(inputs);
    return status;
}

static nnd_status deliver(loop *l, const nnd_graph *body)
{
    for (size_t k = 0; k < l->carried; k++)
        NND_TRY(copy_output(l->c, k, &(nnd_body_input){&l->now[k + 1].tensor, l->now[k + 1].box}));
    for (size_t k = 0; k < l->scans; k++)
        NND_TRY(nnd_stack_put(l->c, l->carried + k, &l->scan[k],
                              &body->values[body->outputs[1 + l->carried + k]], 0, false));
    return NND_OK;
}

static nnd_status start(loop *l)
{
    const nnd_tensor *condition = nnd_op_in(l->c, 1);
    uint8_t yes = 1;
    nnd_tensor always;
    NND_TRY(nnd_tensor_init(&always, NND_BOOL, 0, NULL, &yes));
    if (condition && !is_condition(condition))
        return nnd_op_fail(l->c, NND_E_TYPE, "the condition is no boolean scalar");
    NND_TRY(nnd_kept_set(&l->now[0], &(nnd_body_input){condition ? condition : &always, NULL}));
    for (size_t k = 0; k < l->carried; k++) {
        const nnd_tensor *t;
        NND_TRY(nnd_op_need(l->c, k + 2, &t));
        NND_TRY(nnd_kept_set(&l->now[k + 1], &(nnd_body_input){t, nnd_op_box(l->c, k + 2)}));
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
    nnd_kept *values = nnd_calloc(2 * (carried + 1), sizeof(*values));
    l.scan = nnd_calloc(l.scans + 1, sizeof(*l.scan));
    nnd_status status = values && l.scan ? NND_OK : out_of_memory();
    if (values) {
        l.now = values;
        l.next = values + carried + 1;
    }
    if (status == NND_OK) status = start(&l);
    if (status == NND_OK) status = iterate(&l, body, trips);
    if (status == NND_OK) status = deliver(&l, body);
    for (size_t i = 0; values && i < 2 * (carried + 1); i++)
        nnd_kept_clear(&values[i]);
    for (size_t i = 0; l.scan && i < l.scans; i++)
        nnd_stack_clear(&l.scan[i]);
    nnd_free(values);
    nnd_free(l.scan);
    return status;
}

static const nnd_op ops[] = {
    {"", "If", 1, 0, 1, 1, 1, -1, NND_OP_DYNAMIC | NND_OP_BOXES | NND_OP_BRANCHES, nnd_op_not_ahead,
     if_run, .variant = 0},
    {"", "Loop", 1, 0, 0, -1, 1, -1, NND_OP_DYNAMIC | NND_OP_BOXES, nnd_op_not_ahead, loop_run,
     .variant = 0},
};
const nnd_op_family nnd_ops_control = {ops, NND_COUNT(ops)};
