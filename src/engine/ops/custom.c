/* Operators that a program or plug-in brings, behind the same table as our own. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "engine/ops/call.h"
#include "port/port.h"

enum { MAX_OPERATORS = 1024 };

typedef struct custom_op {
    nnd_op row; /* first: rows are all that the engine knows */
    const nnd_operator *op;
} custom_op;

/* Entries never change or go: readers need only the count. */
static nnd_port_mutex list_lock = NND_PORT_MUTEX_INIT;
static custom_op list[MAX_OPERATORS];
static atomic_size_t list_count;

#define HAS(op, member) NND_TABLE_HAS(op, nnd_operator, member)

/* ---- the tools ----------------------------------------------------------------------------- */

static const nnd_graph_node *node_of(const nnd_operator_call *call)
{
    return ((const nnd_op_origin *)call->host)->node;
}

static int64_t attribute_int(const nnd_operator_call *call, const char *name, int64_t fallback)
{
    return nnd_node_int(node_of(call), name, fallback);
}

static float attribute_float(const nnd_operator_call *call, const char *name, float fallback)
{
    return nnd_node_float(node_of(call), name, fallback);
}

static const char *attribute_string(const nnd_operator_call *call, const char *name,
                                    const char *fallback)
{
    return nnd_node_string(node_of(call), name, fallback);
}

static const int64_t *attribute_ints(const nnd_operator_call *call, const char *name, size_t *count)
{
    return nnd_node_ints(node_of(call), name, count);
}

static const float *attribute_floats(const nnd_operator_call *call, const char *name, size_t *count)
{
    return nnd_node_floats(node_of(call), name, count);
}

static const nnd_tensor *attribute_tensor(const nnd_operator_call *call, const char *name)
{
    const nnd_attr *a = nnd_node_attr(node_of(call), name);
    return a && a->kind == NND_ATTR_TENSOR ? a->u.tensor : NULL;
}

static nnd_status describe_output(nnd_operator_call *call, size_t index, nnd_dtype dtype, int rank,
                                  const int64_t *dims)
{
    nnd_op_origin *from = call->host;
    if (!from->ctx || call->outputs)
        return nnd_error_set(NND_E_STATE, "outputs are described in infer only");
    if (!nnd_dtype_bits(dtype))
        return nnd_op_fail(from->ctx, NND_E_TYPE, "output %zu has an unknown type", index);
    return nnd_op_output(from->ctx, index, dtype, rank, dims);
}

static nnd_status parallel_for(const nnd_operator_call *call, size_t tiles, nnd_tile_fn fn,
                               void *user)
{
    const nnd_op_origin *from = call->host;
    if (from->ctx) return nnd_op_for(from->ctx, tiles, fn, user);
    return nnd_gang_for(NULL, tiles, fn, user, call->cancel);
}

static nnd_status set_error(const nnd_operator_call *call, nnd_status status, const char *format,
                            ...)
{
    nnd_str text = {0};
    va_list args;
    va_start(args, format);
    nnd_str_vprintf(&text, format, args);
    va_end(args);
    nnd_error_set(status, "%s", text.data ? text.data : "the operator failed");
    nnd_error_set_node(call->node, NULL);
    nnd_str_free(&text);
    return status;
}

const nnd_operator_tools nnd_op_tools = {
    .struct_size = sizeof(nnd_operator_tools),
    .attribute_int = attribute_int,
    .attribute_float = attribute_float,
    .attribute_string = attribute_string,
    .attribute_ints = attribute_ints,
    .attribute_floats = attribute_floats,
    .attribute_tensor = attribute_tensor,
    .describe_output = describe_output,
    .parallel_for = parallel_for,
    .error_set = set_error,
};

/* ---- the row's functions ------------------------------------------------------------------- */

static const nnd_operator *op_of(const nnd_op *row)
{
    return ((const custom_op *)row)->op;
}

nnd_operator_call nnd_op_call(nnd_op_origin *from)
{
    nnd_op_ctx *c = from->ctx;
    return (nnd_operator_call){.struct_size = sizeof(nnd_operator_call),
                               .tools = &nnd_op_tools,
                               .node = from->node->name,
                               .input_count = c->in_count,
                               .inputs = c->in,
                               .output_count = c->out_count,
                               .host = from};
}

static nnd_status custom_infer(nnd_op_ctx *c)
{
    nnd_op_origin from = {c->node, c};
    nnd_operator_call call = nnd_op_call(&from);
    for (size_t i = 0; i < c->out_count; i++)
        c->out[i].dtype = NND_DTYPE_INVALID;
    NND_TRY(op_of(c->op)->infer(&call));
    for (size_t i = 0; i < c->out_count; i++)
        if (c->out[i].dtype == NND_DTYPE_INVALID)
            return nnd_op_fail(c, NND_E_TYPE, "the operator did not describe its output %zu", i);
    return NND_OK;
}

static nnd_status custom_run(nnd_op_ctx *c)
{
    nnd_op_origin from = {c->node, c};
    nnd_operator_call call = nnd_op_call(&from);
    call.outputs = c->out;
    call.state = c->node->state;
    call.workspace = c->workspace;
    call.cancel = c->cancel;
    return op_of(c->op)->run(&call);
}

static nnd_status custom_plan(nnd_op_ctx *c)
{
    nnd_op_origin from = {c->node, c};
    nnd_operator_call call = nnd_op_call(&from);
    call.outputs = c->out;
    call.state = c->node->state;
    c->kernel = "plug-in";
    if (!HAS(op_of(c->op), plan)) return NND_OK;
    return op_of(c->op)->plan(&call, &c->workspace_bytes);
}

static nnd_status custom_prepare(nnd_graph *g, nnd_graph_node *node)
{
    const nnd_operator *op = op_of(node->op);
    nnd_op_origin from = {node, NULL};
    const nnd_tensor **inputs;
    if (!HAS(op, prepare)) return NND_OK;
    inputs = nnd_calloc(node->formal_count + 1, sizeof(*inputs));
    if (!inputs) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for node '%s'", node->name);
    nnd_status status = NND_OK;
    for (size_t i = 0; i < node->formal_count && status == NND_OK; i++)
        status = nnd_graph_constant(g, node->inputs[i], &inputs[i]);
    nnd_operator_call call = {.struct_size = sizeof(call),
                              .tools = &nnd_op_tools,
                              .node = node->name,
                              .input_count = node->formal_count,
                              .inputs = inputs,
                              .output_count = node->output_count,
                              .host = &from};
    if (status == NND_OK) status = op->prepare(&call, &node->state);
    nnd_free(inputs);
    return status;
}

/* ---- the list ------------------------------------------------------------------------------ */

size_t nnd_op_custom_count(void)
{
    return atomic_load_explicit(&list_count, memory_order_acquire);
}

const nnd_op *nnd_op_custom_at(size_t index)
{
    return index < nnd_op_custom_count() ? &list[index].row : NULL;
}

const nnd_op *nnd_op_custom_find(const char *domain, const char *name, int64_t opset)
{
    for (size_t i = 0; i < nnd_op_custom_count(); i++) {
        const nnd_op *row = &list[i].row;
        if (strcmp(row->name, name) == 0 && strcmp(row->domain, domain) == 0 &&
            opset >= row->since && (row->until == 0 || opset <= row->until))
            return row;
    }
    return NULL;
}

static bool is_sound(const nnd_operator *op)
{
    return op && op->struct_size >= offsetof(nnd_operator, prepare) && op->domain && op->name &&
           op->name[0] && op->infer && op->run && op->since >= 1 && op->since <= INT16_MAX &&
           (op->until == 0 || (op->until >= op->since && op->until <= INT16_MAX)) &&
           op->min_inputs >= 0 && op->min_inputs <= INT16_MAX && op->max_inputs <= INT16_MAX &&
           (op->max_inputs < 0 || op->max_inputs >= op->min_inputs) && op->min_outputs >= 0 &&
           op->min_outputs <= INT16_MAX && op->max_outputs <= INT16_MAX &&
           (op->max_outputs < 0 || op->max_outputs >= op->min_outputs);
}

/* Another operator of that name in one of these versions. */
static bool is_taken(const nnd_operator *op)
{
    for (size_t i = 0; i < nnd_op_count(); i++) {
        const nnd_op *row = nnd_op_at(i);
        if (strcmp(row->name, op->name) == 0 && strcmp(row->domain, op->domain) == 0 &&
            (row->until == 0 || op->since <= row->until) &&
            (op->until == 0 || row->since <= op->until))
            return true;
    }
    return false;
}

static void fill(custom_op *entry, const nnd_operator *op)
{
    bool keeps = HAS(op, prepare) || HAS(op, plan); /* run needs them: no folding */
    entry->op = op;
    entry->row = (nnd_op){
        .domain = op->domain,
        .name = op->name,
        .since = (int16_t)op->since,
        .until = (int16_t)op->until,
        .min_inputs = (int16_t)op->min_inputs,
        .max_inputs = (int16_t)(op->max_inputs < 0 ? -1 : op->max_inputs),
        .min_outputs = (int16_t)op->min_outputs,
        .max_outputs = (int16_t)(op->max_outputs < 0 ? -1 : op->max_outputs),
        .flags = (op->flags & NND_OPERATOR_RANDOM ? NND_OP_RANDOM : 0u) |
                 (op->flags & NND_OPERATOR_INPLACE ? NND_OP_INPLACE : 0u) |
                 (keeps ? NND_OP_PLANNED : 0u),
        .infer = custom_infer,
        .run = custom_run,
        .plan = custom_plan,
        .prepare = custom_prepare,
        .release = HAS(op, release) ? op->release : NULL,
    };
}

/* With the lock held. */
static nnd_status append(const nnd_operator *op)
{
    size_t count = atomic_load_explicit(&list_count, memory_order_relaxed);
    for (size_t i = 0; i < count; i++)
        if (list[i].op == op) return NND_OK;
    if (is_taken(op))
        return nnd_error_set(NND_E_EXISTS, "there is an operator '%s.%s' already", op->domain,
                             op->name);
    if (count == MAX_OPERATORS)
        return nnd_error_set(NND_E_LIMIT, "no more than %d operators can be registered",
                             MAX_OPERATORS);
    fill(&list[count], op);
    atomic_store_explicit(&list_count, count + 1, memory_order_release);
    return NND_OK;
}

nnd_status nnd_operator_register(const nnd_operator *op)
{
    if (!is_sound(op))
        return nnd_error_set(
            NND_E_INVALID_ARGUMENT, "operator '%s': its table is incomplete or of another version",
            op && op->struct_size >= offsetof(nnd_operator, since) && op->name ? op->name : "?");
    if (!op->domain[0] || strcmp(op->domain, "ai.onnx") == 0)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "operator '%s': ONNX's own domain is not for others; choose one, "
                             "\"com.example\"",
                             op->name);
    nnd_port_mutex_lock(&list_lock);
    nnd_status status = append(op);
    nnd_port_mutex_unlock(&list_lock);
    return status;
}

bool nnd_op_is_custom(const nnd_op *op)
{
    return op->infer == custom_infer;
}
