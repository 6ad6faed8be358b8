#include "engine/runtime/exec.h"

#include <string.h>

#include "base/size.h"

static nnd_status out_of_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for activations");
}

/* ---- values -------------------------------------------------------------------------------- */

static nnd_status allocate(nnd_exec *x, uint32_t value)
{
    size_t bytes = nnd_tensor_bytes(&x->values[value]), padded;
    if (bytes > x->env->cache->options.max_arena_bytes || !nnd_size_add(bytes, 64, &padded))
        return nnd_error_set(NND_E_LIMIT, "a tensor of %zu bytes is beyond the limit of %llu",
                             bytes, (unsigned long long)x->env->cache->options.max_arena_bytes);
    nnd_free_aligned(x->owned[value]);
    x->owned[value] = nnd_alloc_aligned(padded, 64);
    if (!x->owned[value]) return out_of_memory();
    x->values[value].data = x->owned[value];
    return NND_OK;
}

/* Points every value of known place at its memory. */
static void place_values(nnd_exec *x, const nnd_tensor *const *inputs, nnd_value *const *boxes,
                         void *const *outputs)
{
    const nnd_plan *plan = x->plan;
    for (uint32_t i = 0; i < plan->graph->value_count; i++) {
        const nnd_slot *s = &plan->slots[i];
        x->values[i] = s->tensor;
        size_t shift;
        const nnd_slot *r = &plan->slots[nnd_plan_root(plan, i, &shift)];
        if (r->kind == NND_SLOT_INPUT) {
            x->values[i].data = inputs[r->index]->data;
            if (boxes && boxes[r->index]) {
                x->boxes[i] = nnd_value_ref(boxes[r->index]);
                x->boxed = true;
            }
        }
        /* An empty output has no memory, and values that are all empty have no arena. */
        if (r->kind == NND_SLOT_OUTPUT && outputs[r->index])
            x->values[i].data = (char *)outputs[r->index] + shift;
        if (r->kind == NND_SLOT_ARENA && x->arena) x->values[i].data = x->arena + r->offset + shift;
    }
}

/* ---- one step ------------------------------------------------------------------------------ */

/* Pointers to a node's inputs and outputs; small nodes use the stack. */
enum { FEW = 16 };
typedef struct operands {
    const nnd_tensor *few_in[FEW];
    nnd_tensor few_out[FEW];
    const nnd_tensor **in;
    nnd_tensor *out;
} operands;

static void operands_fini(operands *o)
{
    if (o->in != o->few_in) nnd_free(o->in);
    if (o->out != o->few_out) nnd_free(o->out);
}

static nnd_status operands_init(operands *o, nnd_exec *x, const nnd_graph_node *n)
{
    o->in = n->input_count <= FEW ? o->few_in : nnd_calloc(n->input_count, sizeof(*o->in));
    o->out = n->output_count <= FEW ? o->few_out : nnd_calloc(n->output_count, sizeof(*o->out));
    if (!o->in || !o->out) {
        operands_fini(o);
        return out_of_memory();
    }
    for (size_t k = 0; k < n->input_count; k++)
        o->in[k] = n->inputs[k] == NND_NO_ID ? NULL : &x->values[n->inputs[k]];
    for (size_t k = 0; k < n->output_count; k++) {
        o->out[k] = (nnd_tensor){0};
        if (n->outputs[k] != NND_NO_ID) o->out[k] = x->values[n->outputs[k]];
    }
    return NND_OK;
}

static nnd_status reserve_lanes(nnd_exec *x, nnd_op_ctx *c)
{
    if (!c->lane_bytes) return NND_OK;
    int lanes = x->env->gang ? nnd_gang_size(x->env->gang) : 1;
    c->lane_stride = (c->lane_bytes + 127u) & ~(size_t)63u;
    NND_TRY(nnd_block_reserve(&x->env->lanes, c->lane_stride * (size_t)lanes));
    c->lanes = x->env->lanes.data;
    return NND_OK;
}

static nnd_status make_outputs(nnd_exec *x, const nnd_graph_node *n, nnd_op_ctx *c)
{
    for (size_t k = 0; k < n->output_count; k++) {
        if (n->outputs[k] == NND_NO_ID) continue;
        x->values[n->outputs[k]] = c->out[k];
        NND_TRY(allocate(x, n->outputs[k]));
        c->out[k].data = x->values[n->outputs[k]].data;
    }
    return NND_OK;
}

/* Only operators that say so get what is no tensor. */
static nnd_status refuse_boxes(const nnd_op_ctx *c)
{
    for (size_t k = 0; k < c->in_count; k++)
        if (nnd_op_box(c, k))
            return nnd_op_fail(c, NND_E_TYPE, "input %zu is a %s, not a tensor", k,
                               nnd_value_type_name(nnd_op_box(c, k)));
    return NND_OK;
}

/* A step whose shapes were not known: everything that a plan would have done, now. */
static nnd_status run_dynamic(nnd_exec *x, const nnd_graph_node *n, nnd_op_ctx *c)
{
    if (x->boxed && n->op->flags & NND_OP_HANDS_ON && nnd_op_box(c, 0))
        return nnd_op_put(c, 0, nnd_value_ref(nnd_op_box(c, 0)));
    if (x->boxed && !(n->op->flags & NND_OP_BOXES)) NND_TRY(refuse_boxes(c));
    if (n->op->flags & NND_OP_DYNAMIC) return n->op->run(c);
    nnd_status status = n->op->infer(c);
    if (status == NND_E_AGAIN)
        return nnd_op_fail(c, NND_E_INTERNAL, "the shape of the result stays unknown");
    NND_TRY(status);
    NND_TRY(make_outputs(x, n, c));
    if (n->op->plan) NND_TRY(n->op->plan(c));
    nnd_block workspace = {0};
    status = c->workspace_bytes ? nnd_block_reserve(&workspace, c->workspace_bytes) : NND_OK;
    c->workspace = workspace.data;
    if (status == NND_OK) status = reserve_lanes(x, c);
    if (status == NND_OK) status = n->op->run(c);
    nnd_block_fini(&workspace);
    if (n->op->unplan && c->step) n->op->unplan(c->step);
    return status;
}

static nnd_status run_static(nnd_exec *x, const nnd_plan_step *step, const nnd_graph_node *n,
                             nnd_op_ctx *c)
{
    for (size_t k = 0; k < n->output_count; k++) {
        uint32_t id = n->outputs[k];
        if (id == NND_NO_ID || x->plan->slots[id].kind != NND_SLOT_DYNAMIC) continue;
        NND_TRY(allocate(x, id));
        c->out[k].data = x->values[id].data;
    }
    if (step->apart) return NND_OK; /* the results are there */
    c->step = step->op_step;
    c->lane_bytes = step->lane_bytes;
    c->workspace_bytes = step->workspace_bytes;
    if (step->workspace_bytes) c->workspace = x->arena + step->workspace_offset;
    NND_TRY(reserve_lanes(x, c));
    return step->branch ? nnd_exec_branch(c, step->branch) : n->op->run(c);
}

static nnd_status run_step(nnd_exec *x, const nnd_plan_step *step)
{
    const nnd_graph_node *n = &x->plan->graph->nodes[step->node];
    operands o;
    NND_TRY(operands_init(&o, x, n));
    nnd_op_ctx c = {.node = n,
                    .op = n->op,
                    .in_count = n->input_count,
                    .in = o.in,
                    .out_count = n->output_count,
                    .out = o.out,
                    .gang = x->env->gang,
                    .cancel = x->env->cancel,
                    .exec = x};
    x->node = step->node;
    nnd_status status = step->dynamic ? run_dynamic(x, n, &c) : run_static(x, step, n, &c);
    operands_fini(&o);
    for (uint32_t i = 0; i < step->free_count; i++) {
        uint32_t id = x->plan->frees[step->free_begin + i];
        nnd_free_aligned(x->owned[id]);
        x->owned[id] = NULL;
        nnd_value_unref(x->boxes[id]);
        x->boxes[id] = NULL;
    }
    return status;
}

/* ---- a whole run --------------------------------------------------------------------------- */

static nnd_status cancelled(nnd_status status, const nnd_graph_node *n)
{
    nnd_error_set(status, status == NND_E_TIMEOUT ? "the inference passed its deadline"
                                                  : "the inference was cancelled");
    nnd_error_set_node(n->name, NULL);
    return status;
}

nnd_status nnd_exec_run(nnd_exec *x, const nnd_plan *plan, nnd_exec_env *env,
                        const nnd_tensor *const *inputs, nnd_value *const *boxes,
                        void *const *outputs, void *arena)
{
    if (x->plan != plan) {
        nnd_exec_fini(x);
        x->values = nnd_calloc(plan->graph->value_count + 1, sizeof(*x->values));
        x->owned = nnd_calloc(plan->graph->value_count + 1, sizeof(*x->owned));
        x->boxes = nnd_calloc(plan->graph->value_count + 1, sizeof(nnd_value *));
        if (!x->values || !x->owned || !x->boxes) {
            nnd_exec_fini(x);
            return out_of_memory();
        }
        x->plan = plan;
        x->value_count = plan->graph->value_count;
    }
    nnd_exec_drop_boxes(x);
    x->env = env;
    x->arena = arena;
    place_values(x, inputs, boxes, outputs);
    for (size_t i = 0; i < plan->step_count; i++) {
        const nnd_plan_step *step = &plan->steps[i];
        const nnd_graph_node *n = &plan->graph->nodes[step->node];
        nnd_status status = nnd_cancel_check(env->cancel);
        if (status != NND_OK) return cancelled(status, n);
        int64_t start = env->step_ns && !env->depth ? nnd_clock_now() : 0;
        status = run_step(x, step);
        if (status == NND_E_CANCELLED || status == NND_E_TIMEOUT) return cancelled(status, n);
        if (status != NND_OK) return status;
        if (env->step_ns && !env->depth) env->step_ns[i] += nnd_clock_now() - start;
    }
    return NND_OK;
}

void nnd_exec_drop_boxes(nnd_exec *x)
{
    for (size_t i = 0; x->boxed && i < x->value_count; i++) {
        nnd_value_unref(x->boxes[i]);
        x->boxes[i] = NULL;
    }
    x->boxed = false;
}

void nnd_exec_fini(nnd_exec *x)
{
    nnd_exec_drop_boxes(x);
    for (size_t i = 0; x->owned && i < x->value_count; i++)
        nnd_free_aligned(x->owned[i]);
    nnd_free(x->values);
    nnd_free(x->owned);
    nnd_free(x->boxes);
    *x = (nnd_exec){0};
}

/* ---- outputs of dynamic operators ---------------------------------------------------------- */

nnd_status nnd_op_make_output(nnd_op_ctx *c, size_t i, nnd_dtype dtype, int rank,
                              const int64_t *dims)
{
    NND_TRY(nnd_op_output(c, i, dtype, rank, dims));
    if (i >= c->out_count || c->node->outputs[i] == NND_NO_ID) return NND_OK;
    uint32_t id = c->node->outputs[i];
    c->exec->values[id] = c->out[i];
    NND_TRY(allocate(c->exec, id));
    c->out[i].data = c->exec->values[id].data;
    memset(c->out[i].data, 0, nnd_tensor_bytes(&c->out[i]));
    return NND_OK;
}

uint64_t nnd_op_draw(nnd_op_ctx *c)
{
    return c->exec->env->draws++;
}
