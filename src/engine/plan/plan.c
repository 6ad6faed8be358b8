/* Making a plan: shapes and what can be computed ahead, then lives, then places. */
#include "engine/plan/plan.h"

#include <string.h>

#include "base/size.h"
#include "engine/plan/memory.h"
#include "engine/plan/work.h"

/* Results of shape arithmetic are small and cheap; anything else is left to the run. */
enum { FOLD_BYTES = 64 * 1024, FOLD_BYTES_IN_ALL = 64 << 20, NO_STEP = UINT32_MAX };
#define FOLD_FLOPS 1e7

typedef struct planner {
    nnd_plan *plan;
    nnd_graph *graph;
    const nnd_plan_options *options;
    bool shapes_only;      /* no kernels, and only small constants are looked into */
    bool is_branch;        /* elements of captures that are known stay so, for the plan's life */
    const nnd_tensor **in; /* scratch for one node's inputs and outputs */
    nnd_tensor *out;
} planner;

static nnd_status out_of_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the execution plan");
}

/* ---- shapes -------------------------------------------------------------------------------- */

static void init_slots(planner *p, const nnd_tensor *inputs)
{
    nnd_graph *g = p->graph;
    for (uint32_t i = 0; i < g->value_count; i++) {
        nnd_slot *s = &p->plan->slots[i];
        s->root = i;
        s->first = s->last = NO_STEP;
        if (!g->values[i].is_constant) continue;
        s->kind = NND_SLOT_CONSTANT;
        s->known = true;
        s->tensor = g->values[i].constant;
    }
    for (uint32_t i = 0; i < g->input_count + g->capture_count; i++) {
        uint32_t id = i < g->input_count ? g->inputs[i] : g->captures[i - g->input_count].inner;
        nnd_slot *s = &p->plan->slots[id];
        if (s->kind == NND_SLOT_CONSTANT) continue;
        if (p->is_branch && inputs[i].data) {
            *s = (nnd_slot){.kind = NND_SLOT_CONSTANT, .known = true, .tensor = inputs[i]};
            s->root = id;
            s->first = s->last = NO_STEP;
            continue;
        }
        s->kind = NND_SLOT_INPUT;
        s->index = i;
        s->known = inputs[i].dtype != NND_DTYPE_INVALID; /* else it is no tensor */
        s->tensor = inputs[i];
        s->tensor.data = NULL;
        s->tensor.buffer = NULL;
    }
}

/* Fills the context of a node; false when an input's shape is not known. */
static bool gather(planner *p, const nnd_graph_node *n, nnd_op_ctx *c)
{
    bool known = true;
    *c = (nnd_op_ctx){.node = n,
                      .op = n->op,
                      .in_count = n->input_count,
                      .in = p->in,
                      .out_count = n->output_count,
                      .out = p->out};
    memset(p->out, 0, n->output_count * sizeof(*p->out));
    for (size_t k = 0; k < n->input_count; k++) {
        p->in[k] = NULL;
        if (n->inputs[k] == NND_NO_ID) continue;
        const nnd_slot *s = &p->plan->slots[n->inputs[k]];
        known = known && s->known;
        p->in[k] = &s->tensor;
    }
    return known;
}

static bool may_fold(const planner *p, const nnd_graph_node *n, const nnd_op_ctx *c)
{
    const uint32_t flags = n->op->flags;
    if (flags & (NND_OP_RANDOM | NND_OP_DYNAMIC | NND_OP_PLANNED) ||
        n->formal_count != n->input_count)
        return false;
    for (size_t k = 0; k < n->input_count && !(flags & NND_OP_SHAPE_ONLY); k++) {
        if (n->inputs[k] == NND_NO_ID) continue;
        const nnd_slot *s = &p->plan->slots[n->inputs[k]];
        if (!s->tensor.data && nnd_tensor_count(&s->tensor) != 0) return false;
        if (p->shapes_only && nnd_tensor_bytes(&s->tensor) > NND_NOMINAL_BYTES) return false;
    }
    size_t bytes = 0;
    for (size_t k = 0; k < n->output_count; k++) {
        if (p->out[k].dtype == NND_STRING) return false;
        bytes += nnd_tensor_bytes(&p->out[k]);
    }
    if (bytes > FOLD_BYTES || p->plan->folded_bytes + bytes > FOLD_BYTES_IN_ALL) return false;
    return !n->op->flops || n->op->flops(c) <= FOLD_FLOPS;
}

/* Tensors without elements are known, and have no memory: operators may still want to point to it.
 */
static void lend_memory(planner *p, const nnd_graph_node *n, bool lend)
{
    static uint64_t nothing[8];
    for (size_t k = 0; k < n->input_count; k++) {
        if (n->inputs[k] == NND_NO_ID) continue;
        nnd_tensor *t = &p->plan->slots[n->inputs[k]].tensor;
        if (nnd_tensor_count(t) == 0 && (!t->data || t->data == nothing))
            t->data = lend ? nothing : NULL;
    }
}

/* Runs a node whose inputs are all known; its outputs become constants of the plan. */
static nnd_status fold(planner *p, const nnd_graph_node *n, nnd_op_ctx *c)
{
    for (size_t k = 0; k < n->output_count; k++) {
        if (n->outputs[k] == NND_NO_ID) continue;
        size_t bytes = nnd_tensor_bytes(&p->out[k]);
        p->out[k].data = nnd_arena_calloc(&p->plan->folded, bytes + 1, 1);
        if (!p->out[k].data) return out_of_memory();
        p->plan->folded_bytes += bytes;
    }
    lend_memory(p, n, true);
    nnd_status status = n->op->run(c);
    lend_memory(p, n, false);
    if (status != NND_OK) return status;
    for (size_t k = 0; k < n->output_count; k++) {
        if (n->outputs[k] == NND_NO_ID) continue;
        nnd_slot *s = &p->plan->slots[n->outputs[k]];
        s->kind = NND_SLOT_CONSTANT;
        s->known = true;
        s->tensor = p->out[k];
    }
    return NND_OK;
}

/* What one run computes, reads and writes, for the profile. */
static void count_work(const nnd_op_ctx *c, nnd_plan_step *step)
{
    step->flops = (uint64_t)nnd_work_flops(c);
    for (size_t k = 0; k < c->out_count; k++)
        if (c->node->outputs[k] != NND_NO_ID) step->bytes_written += nnd_tensor_bytes(&c->out[k]);
    if (c->op->flags & NND_OP_SHAPE_ONLY) return;
    /* Of what it picks from, a picking operator reads no more than it writes. */
    size_t first = c->op->flags & NND_OP_PICKS ? 1 : 0;
    if (first) step->bytes_read = step->bytes_written;
    for (size_t k = first; k < c->in_count; k++)
        if (c->in[k]) step->bytes_read += nnd_tensor_bytes(c->in[k]);
}

static nnd_status plan_kernels(nnd_op_ctx *c, nnd_plan_step *step)
{
    if (step->branch) {
        c->workspace_bytes = step->branch->arena_bytes;
        c->lane_bytes = step->branch->lane_bytes;
        c->kernel = "branch";
    }
    nnd_status status = c->op->plan ? c->op->plan(c) : NND_OK;
    if (status != NND_OK) {
        nnd_error_set_node(c->node->name, NULL); /* kernels do not know it */
        return status;
    }
    step->joined = c->joined;
    step->apart = c->apart;
    step->apart_offset = c->apart_offset;
    step->op_step = c->step;
    step->kernel = c->kernel ? c->kernel : "reference";
    step->workspace_bytes = c->workspace_bytes;
    step->lane_bytes = c->lane_bytes;
    count_work(c, step);
    if (step->branch) step->flops = step->branch->flops;
    return NND_OK;
}

static void step_fini(const nnd_plan *plan, nnd_plan_step *step)
{
    const nnd_op *op = plan->graph->nodes[step->node].op;
    if (op->unplan && step->op_step) op->unplan(step->op_step);
    nnd_plan_destroy(step->branch);
}

static void mark_dynamic(planner *p, const nnd_graph_node *n)
{
    for (size_t k = 0; k < n->output_count; k++)
        if (n->outputs[k] != NND_NO_ID) p->plan->slots[n->outputs[k]].kind = NND_SLOT_DYNAMIC;
}

/* No single result beyond the limit, whether it lies in the arena, in an output or on its own. */
static nnd_status check_sizes(const planner *p, const nnd_op_ctx *c)
{
    for (size_t k = 0; k < c->out_count; k++) {
        size_t bytes = nnd_tensor_bytes(&c->out[k]);
        if (bytes > p->options->max_arena_bytes)
            return nnd_op_fail(c, NND_E_LIMIT, "output %zu would have %zu bytes, the limit is %llu",
                               k, bytes, (unsigned long long)p->options->max_arena_bytes);
    }
    return NND_OK;
}

/* ---- branches ------------------------------------------------------------------------------ */

enum { PLANNED_DEPTH = 8 };
static nnd_status plan_sub_graph(const planner *p, nnd_graph *body, const nnd_tensor *captures,
                                 nnd_plan **out);

/* The branch that an If surely takes, NULL when nothing says which, or it does not fit. Shapes that
   are only likely do not: another branch may give another number of dimensions. */
static nnd_graph *sure_branch(const planner *p, const nnd_op_ctx *c)
{
    const nnd_tensor *condition = c->in_count ? c->in[0] : NULL;
    const nnd_graph *main_graph = p->graph;
    int depth = 0;
    for (; main_graph->parent; main_graph = main_graph->parent)
        depth++;
    if (!(c->op->flags & NND_OP_BRANCHES) || depth >= PLANNED_DEPTH) return NULL;
    if (p->shapes_only && !main_graph->nominal_exact) return NULL;
    if (!condition || !condition->data || condition->dtype != NND_BOOL ||
        nnd_tensor_count(condition) != 1)
        return NULL;
    bool yes = *(const uint8_t *)condition->data != 0;
    nnd_graph *body = nnd_node_graph(c->node, yes ? "then_branch" : "else_branch");
    if (!body || body->input_count || body->output_count != c->out_count) return NULL;
    for (size_t k = 0; k < c->out_count; k++)
        if (c->node->outputs[k] == NND_NO_ID) return NULL;
    return body;
}

/* Describes the results; NND_E_AGAIN when one is not known ahead. */
static nnd_status describe_results(nnd_op_ctx *c, const nnd_plan *branch)
{
    for (size_t k = 0; k < c->out_count; k++) {
        const nnd_slot *s = &branch->slots[branch->graph->outputs[k]];
        if (!s->known) return NND_E_AGAIN;
        NND_TRY(nnd_op_output(c, k, s->tensor.dtype, s->tensor.rank, s->tensor.dims));
    }
    return NND_OK;
}

/* Shapes of the results of a branch, and its plan. NND_E_AGAIN when it has to wait for the run. */
static nnd_status plan_branch(const planner *p, nnd_op_ctx *c, nnd_plan **out)
{
    nnd_graph *body = sure_branch(p, c);
    if (!body) return NND_E_AGAIN;
    size_t at = nnd_node_captures(c->node, body);
    nnd_tensor *captures = nnd_calloc(body->capture_count + 1, sizeof(*captures));
    if (!captures) return out_of_memory();
    for (size_t i = 0; i < body->capture_count; i++)
        captures[i] = *c->in[at + i];
    nnd_status status = plan_sub_graph(p, body, captures, out);
    nnd_free(captures);
    if (status == NND_OK) status = describe_results(c, *out);
    if (status == NND_OK) return NND_OK;
    nnd_plan_destroy(*out);
    *out = NULL;
    return status;
}

/* Whether all results of a branch are constants of its plan; they become ours. */
static nnd_status fold_branch(planner *p, const nnd_op_ctx *c, const nnd_plan *branch, bool *folded)
{
    size_t bytes = 0;
    *folded = true;
    for (size_t k = 0; k < c->out_count; k++) {
        const nnd_tensor *t = &branch->slots[branch->graph->outputs[k]].tensor;
        *folded = *folded && t->data && t->dtype != NND_STRING;
        bytes += nnd_tensor_bytes(&c->out[k]);
    }
    if (bytes > FOLD_BYTES || p->plan->folded_bytes + bytes > FOLD_BYTES_IN_ALL) *folded = false;
    for (size_t k = 0; k < c->out_count && *folded; k++) {
        nnd_slot *s = &p->plan->slots[c->node->outputs[k]];
        const nnd_tensor *t = &branch->slots[branch->graph->outputs[k]].tensor;
        size_t size = nnd_tensor_bytes(t);
        s->tensor = c->out[k];
        s->tensor.data = nnd_arena_calloc(&p->plan->folded, size + 1, 1);
        if (!s->tensor.data) return out_of_memory();
        memcpy(s->tensor.data, t->data, size);
        s->kind = NND_SLOT_CONSTANT;
        s->known = true;
        p->plan->folded_bytes += size;
    }
    return NND_OK;
}

/* ---- one node ------------------------------------------------------------------------------ */

/* Shapes, by the operator or by the plan of its branch. */
static nnd_status infer(const planner *p, nnd_op_ctx *c, nnd_plan **branch)
{
    if (c->op->flags & NND_OP_BRANCHES) return plan_branch(p, c, branch);
    return c->op->flags & NND_OP_DYNAMIC ? NND_E_AGAIN : c->op->infer(c);
}

/* A step of known shapes: folded, or with memory for its results and a plan of its kernel. */
static nnd_status plan_known(planner *p, const nnd_graph_node *n, nnd_op_ctx *c, nnd_plan **branch)
{
    nnd_plan *plan = p->plan;
    nnd_plan_step *step = &plan->steps[plan->step_count];
    bool folded = false;
    NND_TRY(check_sizes(p, c));
    if (may_fold(p, n, c)) return fold(p, n, c);
    if (*branch) NND_TRY(fold_branch(p, c, *branch, &folded));
    if (folded) return NND_OK;
    for (size_t k = 0; k < n->output_count; k++) {
        if (n->outputs[k] == NND_NO_ID) continue;
        nnd_slot *s = &plan->slots[n->outputs[k]];
        s->kind = p->options->separate_tensors ? NND_SLOT_DYNAMIC : NND_SLOT_ARENA;
        s->known = true;
        s->tensor = p->out[k];
    }
    plan->step_count++; /* before the kernels: whoever destroys the plan frees op_step and branch */
    step->branch = *branch;
    *branch = NULL;
    if (p->shapes_only) return NND_OK;
    NND_TRY(plan_kernels(c, step));
    plan->flops += step->flops;
    if (step->lane_bytes > plan->lane_bytes) plan->lane_bytes = step->lane_bytes;
    return NND_OK;
}

static nnd_status plan_node(planner *p, uint32_t index)
{
    nnd_plan *plan = p->plan, *branch = NULL;
    const nnd_graph_node *n = &p->graph->nodes[index];
    nnd_op_ctx c;
    nnd_plan_step *step = &plan->steps[plan->step_count];
    *step = (nnd_plan_step){.node = index};
    nnd_status status = gather(p, n, &c) ? infer(p, &c, &branch) : NND_E_AGAIN;
    if (status == NND_E_AGAIN) {
        step->dynamic = true;
        step->kernel = "reference";
        mark_dynamic(p, n);
        plan->step_count++;
        return NND_OK;
    }
    if (status == NND_OK) status = plan_known(p, n, &c, &branch);
    nnd_plan_destroy(branch);
    return status;
}

/* Steps whose results only fed shape computations, or nothing, are dropped again. */
static nnd_status drop_idle_steps(planner *p)
{
    nnd_plan *plan = p->plan;
    bool *needed = nnd_calloc(p->graph->value_count + 1, sizeof(*needed));
    if (!needed) return out_of_memory();
    for (size_t i = 0; i < p->graph->output_count; i++)
        needed[p->graph->outputs[i]] = true;
    size_t kept = plan->step_count;
    for (size_t i = plan->step_count; i-- > 0;) {
        const nnd_graph_node *n = &p->graph->nodes[plan->steps[i].node];
        bool reads = false;
        for (size_t k = 0; k < n->output_count; k++)
            reads = reads || (n->outputs[k] != NND_NO_ID && needed[n->outputs[k]]);
        if (!reads) {
            plan->flops -= plan->steps[i].flops;
            step_fini(plan, &plan->steps[i]);
            continue;
        }
        for (size_t k = 0; k < n->input_count; k++)
            if (n->inputs[k] != NND_NO_ID) needed[n->inputs[k]] = true;
        plan->steps[--kept] = plan->steps[i];
    }
    plan->step_count -= kept;
    memmove(plan->steps, plan->steps + kept, plan->step_count * sizeof(*plan->steps));
    nnd_free(needed);
    return NND_OK;
}

/* ---- lives and sharing --------------------------------------------------------------------- */

uint32_t nnd_plan_root(const nnd_plan *plan, uint32_t id, size_t *shift)
{
    *shift = 0;
    for (; plan->slots[id].root != id; id = plan->slots[id].root)
        *shift += plan->slots[id].shift;
    return id;
}

static uint32_t root_of(const nnd_plan *plan, uint32_t id)
{
    size_t shift;
    return nnd_plan_root(plan, id, &shift);
}

static void live(nnd_plan *plan, uint32_t id, uint32_t step)
{
    nnd_slot *s = &plan->slots[id];
    if (s->first == NO_STEP) s->first = s->last = step;
    if (step > s->last) s->last = step;
}

static void find_lives(planner *p)
{
    nnd_plan *plan = p->plan;
    for (uint32_t i = 0; i < plan->step_count; i++) {
        const nnd_graph_node *n = &p->graph->nodes[plan->steps[i].node];
        for (size_t k = 0; k < n->input_count; k++)
            if (n->inputs[k] != NND_NO_ID) live(plan, n->inputs[k], i);
        for (size_t k = 0; k < n->output_count; k++)
            if (n->outputs[k] != NND_NO_ID) live(plan, n->outputs[k], i);
    }
    for (size_t i = 0; i < p->graph->output_count; i++)
        live(plan, p->graph->outputs[i], (uint32_t)plan->step_count);
}

/* `child` takes over the memory of `parent`'s group, whose life grows by the child's. */
static void share(nnd_plan *plan, uint32_t child, uint32_t parent)
{
    uint32_t root = nnd_plan_root(plan, parent, &plan->slots[child].shift);
    plan->slots[child].root = root;
    if (plan->slots[child].last > plan->slots[root].last)
        plan->slots[root].last = plan->slots[child].last;
}

/* Views of values in the arena cost nothing; a view of anything else is a copy, because inputs
   and constants may not be handed out as outputs. */
static void share_views(planner *p)
{
    for (uint32_t i = 0; i < p->plan->step_count; i++) {
        nnd_plan_step *step = &p->plan->steps[i];
        const nnd_graph_node *n = &p->graph->nodes[step->node];
        if (step->dynamic || !(n->op->flags & NND_OP_VIEW) || n->outputs[0] == NND_NO_ID) continue;
        const nnd_slot *in = &p->plan->slots[n->inputs[0]], *out = &p->plan->slots[n->outputs[0]];
        if (in->kind != NND_SLOT_ARENA || out->kind != NND_SLOT_ARENA) continue;
        share(p->plan, n->outputs[0], n->inputs[0]);
        step->bytes_read = step->bytes_written = 0;
    }
}

/* Whether all results of a step can lie in its first input: each has to begin with a line of
   memory, as any other value does. */
static bool may_lie_in_input(const planner *p, const nnd_plan_step *step, const nnd_graph_node *n)
{
    size_t at = step->apart_offset;
    if (!step->apart || step->dynamic || p->plan->slots[n->inputs[0]].kind != NND_SLOT_ARENA)
        return false;
    for (size_t k = 0; k < n->output_count; k++) {
        if (n->outputs[k] == NND_NO_ID || at % NND_MEMORY_ALIGN) return false;
        const nnd_slot *out = &p->plan->slots[n->outputs[k]];
        size_t bytes = nnd_tensor_bytes(&out->tensor);
        if (out->kind != NND_SLOT_ARENA || out->root != n->outputs[k] || !bytes) return false;
        at += bytes;
    }
    return true;
}

/* Results that are pieces of an input stay where they are in it. */
static void share_parts(planner *p)
{
    for (uint32_t i = 0; i < p->plan->step_count; i++) {
        const nnd_plan_step *step = &p->plan->steps[i];
        const nnd_graph_node *n = &p->graph->nodes[step->node];
        size_t at = step->apart_offset;
        if (!may_lie_in_input(p, step, n)) continue;
        for (size_t k = 0; k < n->output_count; k++) {
            nnd_slot *out = &p->plan->slots[n->outputs[k]];
            share(p->plan, n->outputs[k], n->inputs[0]);
            out->shift += at;
            at += nnd_tensor_bytes(&out->tensor);
        }
    }
}

/* Inputs of a joining operator are made where they belong in its result, whose life begins with the
   first of them. Each has to be whole lines of memory. */
static void share_joined(planner *p)
{
    nnd_plan *plan = p->plan;
    for (uint32_t i = 0; i < plan->step_count; i++) {
        const nnd_graph_node *n = &p->graph->nodes[plan->steps[i].node];
        size_t at = 0, bytes = 0;
        if (!plan->steps[i].joined || n->outputs[0] == NND_NO_ID) continue;
        nnd_slot *whole = &plan->slots[n->outputs[0]];
        for (size_t k = 0; k < n->input_count && whole->kind == NND_SLOT_ARENA; k++, at += bytes) {
            nnd_slot *part = &plan->slots[n->inputs[k]];
            bytes = nnd_tensor_bytes(&part->tensor);
            if (part->kind != NND_SLOT_ARENA || part->root != n->inputs[k] || !bytes ||
                bytes % NND_MEMORY_ALIGN || at % NND_MEMORY_ALIGN)
                continue;
            part->root = n->outputs[0];
            part->shift = at;
            if (part->first < whole->first) whole->first = part->first;
            if (part->last > whole->last) whole->last = part->last;
        }
    }
}

/* Whether the plan put the results of a step where their bytes are. */
static bool lies_in_input(const nnd_plan *plan, const nnd_plan_step *step, const nnd_graph_node *n)
{
    size_t from, to;
    if (n->outputs[0] == NND_NO_ID || plan->slots[n->outputs[0]].root == n->outputs[0])
        return false;
    return nnd_plan_root(plan, n->inputs[0], &from) == nnd_plan_root(plan, n->outputs[0], &to) &&
           to == from + step->apart_offset;
}

/* What lies where it belongs is neither read nor written. */
static void count_unmoved(planner *p)
{
    for (uint32_t i = 0; i < p->plan->step_count; i++) {
        nnd_plan_step *step = &p->plan->steps[i];
        const nnd_graph_node *n = &p->graph->nodes[step->node];
        for (size_t k = 0; k < n->input_count && step->joined; k++) {
            const nnd_slot *part = &p->plan->slots[n->inputs[k]];
            if (part->root != n->outputs[0]) continue;
            step->bytes_read -= nnd_tensor_bytes(&part->tensor);
            step->bytes_written -= nnd_tensor_bytes(&part->tensor);
        }
        step->apart = step->apart && lies_in_input(p->plan, step, n);
        if (step->apart) step->bytes_read = step->bytes_written = 0;
    }
}

/* True when input k of the step dies with it and nothing else of the node lies in its memory. */
static bool can_take_over(planner *p, uint32_t index, const nnd_graph_node *n, size_t k)
{
    const nnd_plan *plan = p->plan;
    uint32_t in = n->inputs[k], root;
    if (in == NND_NO_ID || plan->slots[in].kind != NND_SLOT_ARENA) return false;
    const nnd_tensor *from = &plan->slots[in].tensor, *to = &plan->slots[n->outputs[0]].tensor;
    if (from->dtype != to->dtype || from->rank != to->rank ||
        memcmp(from->dims, to->dims, (size_t)to->rank * sizeof(to->dims[0])) != 0)
        return false;
    root = root_of(plan, in);
    if (plan->slots[root].last != index) return false;
    for (size_t i = 0; i < n->input_count; i++)
        if (i != k && n->inputs[i] != NND_NO_ID && root_of(plan, n->inputs[i]) == root)
            return false;
    return true;
}

/* The input to write over, input_count = none: of several the one that is there longest, whose
   memory may be that of an output from its first step to its last. */
static size_t chosen_to_take_over(planner *p, uint32_t index, const nnd_graph_node *n)
{
    const nnd_slot *slots = p->plan->slots;
    size_t end = n->op->flags & NND_OP_INPLACE_ANY ? n->input_count : n->input_count > 0;
    size_t best = n->input_count;
    uint32_t since = NO_STEP;
    for (size_t k = 0; k < end; k++) {
        if (!can_take_over(p, index, n, k)) continue;
        uint32_t first = slots[root_of(p->plan, n->inputs[k])].first;
        if (first < since) best = k;
        if (first < since) since = first;
    }
    return best;
}

static void share_in_place(planner *p)
{
    for (uint32_t i = 0; i < p->plan->step_count; i++) {
        const nnd_plan_step *step = &p->plan->steps[i];
        const nnd_graph_node *n = &p->graph->nodes[step->node];
        const uint32_t flags = n->op->flags & (NND_OP_INPLACE | NND_OP_INPLACE_ANY);
        if (step->dynamic || !flags || n->outputs[0] == NND_NO_ID) continue;
        nnd_slot *out = &p->plan->slots[n->outputs[0]];
        if (out->kind != NND_SLOT_ARENA || out->root != n->outputs[0]) continue;
        size_t k = chosen_to_take_over(p, i, n);
        if (k < n->input_count) share(p->plan, n->outputs[0], n->inputs[k]);
    }
}

/* A group lies in the memory of a graph output that is all of it. */
static void place_outputs(planner *p)
{
    for (uint32_t i = 0; i < p->graph->output_count; i++) {
        const nnd_tensor *y = &p->plan->slots[p->graph->outputs[i]].tensor;
        nnd_slot *root = &p->plan->slots[root_of(p->plan, p->graph->outputs[i])];
        if (root->kind != NND_SLOT_ARENA) continue;
        if (nnd_tensor_bytes(y) != nnd_tensor_bytes(&root->tensor)) continue;
        root->kind = NND_SLOT_OUTPUT;
        root->index = i;
    }
}

/* ---- places -------------------------------------------------------------------------------- */

static nnd_status place_arena(planner *p)
{
    nnd_plan *plan = p->plan;
    size_t most = p->graph->value_count + plan->step_count, n = 0;
    nnd_memory_item *items = nnd_calloc(most ? most : 1, sizeof(*items));
    if (!items) return out_of_memory();
    for (uint32_t i = 0; i < p->graph->value_count; i++) {
        const nnd_slot *s = &plan->slots[i];
        if (s->kind == NND_SLOT_ARENA && s->root == i && s->first != NO_STEP)
            items[n++] = (nnd_memory_item){nnd_tensor_bytes(&s->tensor), s->first, s->last, 0};
    }
    for (uint32_t i = 0; i < plan->step_count; i++)
        if (plan->steps[i].workspace_bytes)
            items[n++] = (nnd_memory_item){plan->steps[i].workspace_bytes, i, i, 0};
    nnd_status status = nnd_memory_assign(items, n, &plan->arena_bytes);
    n = 0;
    for (uint32_t i = 0; i < p->graph->value_count && status == NND_OK; i++) {
        nnd_slot *s = &plan->slots[i];
        if (s->kind == NND_SLOT_ARENA && s->root == i && s->first != NO_STEP)
            s->offset = items[n++].offset;
    }
    for (uint32_t i = 0; i < plan->step_count && status == NND_OK; i++)
        if (plan->steps[i].workspace_bytes) plan->steps[i].workspace_offset = items[n++].offset;
    nnd_free(items);
    return status;
}

/* After which step each dynamic value can be freed. */
static nnd_status list_frees(planner *p)
{
    nnd_plan *plan = p->plan;
    uint32_t *per_step = nnd_calloc(plan->step_count + 2, sizeof(uint32_t));
    if (!per_step) return out_of_memory();
    for (size_t i = 0; i < p->graph->value_count; i++) {
        const nnd_slot *s = &plan->slots[i];
        if (s->kind == NND_SLOT_DYNAMIC && s->last < plan->step_count) per_step[s->last]++;
    }
    uint32_t total = 0;
    for (size_t i = 0; i < plan->step_count; i++) {
        plan->steps[i].free_begin = total;
        total += per_step[i];
    }
    plan->frees = nnd_calloc(total ? total : 1, sizeof(uint32_t));
    plan->free_count = total;
    nnd_free(per_step);
    if (!plan->frees) return out_of_memory();
    for (uint32_t i = 0; i < p->graph->value_count; i++) {
        const nnd_slot *s = &plan->slots[i];
        if (s->kind != NND_SLOT_DYNAMIC || s->last >= plan->step_count) continue;
        nnd_plan_step *step = &plan->steps[s->last];
        plan->frees[step->free_begin + step->free_count++] = i;
    }
    return NND_OK;
}

/* ---- the whole plan ------------------------------------------------------------------------ */

/* Steps and shapes of all nodes. */
static nnd_status make_steps(planner *p, const nnd_tensor *inputs)
{
    nnd_plan *plan = p->plan;
    nnd_graph *g = p->graph;
    size_t most_in = 1, most_out = 1;
    for (size_t i = 0; i < g->node_count; i++) {
        if (g->nodes[i].input_count > most_in) most_in = g->nodes[i].input_count;
        if (g->nodes[i].output_count > most_out) most_out = g->nodes[i].output_count;
    }
    plan->input_count = g->input_count + g->capture_count;
    plan->slots = nnd_calloc(g->value_count + 1, sizeof(*plan->slots));
    plan->steps = nnd_calloc(g->node_count + 1, sizeof(*plan->steps));
    plan->inputs = nnd_calloc(plan->input_count + 1, sizeof(*plan->inputs));
    p->in = nnd_calloc(most_in, sizeof(*p->in));
    p->out = nnd_calloc(most_out, sizeof(*p->out));
    if (!plan->slots || !plan->steps || !plan->inputs || !p->in || !p->out) return out_of_memory();
    if (plan->input_count) memcpy(plan->inputs, inputs, plan->input_count * sizeof(*inputs));
    init_slots(p, inputs);
    for (uint32_t i = 0; i < g->node_count; i++)
        NND_TRY(plan_node(p, i));
    return NND_OK;
}

/* Ways to save copies: inputs of Concat are made in its result, pieces of a value stay in it. */
enum { JOINS = 1, PARTS = 2 };

/* Lives, sharing and places, anew. */
static nnd_status place(planner *p, int ways)
{
    for (uint32_t i = 0; i < p->graph->value_count; i++) {
        nnd_slot *s = &p->plan->slots[i];
        if (s->kind == NND_SLOT_OUTPUT) s->kind = NND_SLOT_ARENA;
        s->root = i;
        s->shift = 0;
        s->first = s->last = NO_STEP;
    }
    find_lives(p);
    share_views(p);
    if (ways & PARTS) share_parts(p);
    if (ways & JOINS) share_joined(p);
    share_in_place(p);
    place_outputs(p);
    return place_arena(p);
}

/* Both keep memory for longer than copies would: not when that makes the arena larger. */
static nnd_status place_all(planner *p)
{
    static const int orders[] = {JOINS | PARTS, JOINS, PARTS};
    nnd_plan *plan = p->plan;
    int ways = 0;
    NND_TRY(place(p, 0));
    for (size_t i = 0; i < plan->step_count; i++)
        ways |= (plan->steps[i].joined ? JOINS : 0) | (plan->steps[i].apart ? PARTS : 0);
    size_t copied = plan->arena_bytes;
    bool done = !ways;
    for (size_t i = 0; i < NND_COUNT(orders) && !done; i++) {
        if (orders[i] & ~ways) continue;
        NND_TRY(place(p, orders[i]));
        done = plan->arena_bytes <= copied;
    }
    if (!done) NND_TRY(place(p, 0));
    if (ways) count_unmoved(p);
    if (plan->arena_bytes <= p->options->max_arena_bytes) return NND_OK;
    return nnd_error_set(NND_E_LIMIT, "the model's activations need %zu bytes, the limit is %llu",
                         plan->arena_bytes, (unsigned long long)p->options->max_arena_bytes);
}

static nnd_status make(planner *p, const nnd_tensor *inputs)
{
    NND_TRY(make_steps(p, inputs));
    NND_TRY(drop_idle_steps(p));
    NND_TRY(place_all(p));
    return list_frees(p);
}

static nnd_status begin(planner *p, nnd_graph *graph)
{
    p->graph = graph;
    p->plan = nnd_calloc(1, sizeof(*p->plan));
    if (!p->plan) return out_of_memory();
    p->plan->graph = graph;
    return NND_OK;
}

static nnd_status plan_sub_graph(const planner *outer, nnd_graph *body, const nnd_tensor *captures,
                                 nnd_plan **out)
{
    planner p = {.options = outer->options, .shapes_only = outer->shapes_only, .is_branch = true};
    *out = NULL;
    NND_TRY(begin(&p, body));
    nnd_status status = p.shapes_only ? make_steps(&p, captures) : make(&p, captures);
    nnd_free(p.in);
    nnd_free(p.out);
    if (status == NND_OK)
        *out = p.plan;
    else
        nnd_plan_destroy(p.plan);
    return status;
}

nnd_status nnd_plan_nominal(nnd_graph *graph, const nnd_tensor *inputs)
{
    const nnd_plan_options options = {.max_arena_bytes = UINT64_MAX};
    planner p = {.options = &options, .shapes_only = true};
    NND_TRY(begin(&p, graph));
    nnd_status status = make_steps(&p, inputs);
    for (size_t i = 0; i < graph->value_count && status == NND_OK; i++) {
        const nnd_slot *s = &p.plan->slots[i];
        graph->values[i].nominal_rank = s->known ? s->tensor.rank : -1;
        if (s->known && graph->values[i].dtype == NND_DTYPE_INVALID)
            graph->values[i].dtype = s->tensor.dtype;
        graph->values[i].nominal_dtype = s->known ? s->tensor.dtype : NND_DTYPE_INVALID;
        memcpy(graph->values[i].nominal, s->tensor.dims, sizeof(s->tensor.dims));
    }
    nnd_free(p.in);
    nnd_free(p.out);
    nnd_plan_destroy(p.plan);
    return status;
}

/* Shapes of the inputs; false when one is not known. */
static bool nominal_inputs(const nnd_graph *g, nnd_tensor *inputs)
{
    for (size_t i = 0; i < g->input_count; i++) {
        const nnd_graph_value *v = &g->values[g->inputs[i]];
        if (v->nominal_rank < 0 || v->nominal_dtype == NND_DTYPE_INVALID ||
            nnd_tensor_init(&inputs[i], v->nominal_dtype, v->nominal_rank, v->nominal, NULL))
            return false;
    }
    return g->capture_count == 0;
}

nnd_status nnd_plan_nominal_arena(nnd_graph *graph, size_t *bytes)
{
    const nnd_plan_options options = {.max_arena_bytes = UINT64_MAX};
    planner p = {.options = &options, .shapes_only = true};
    nnd_tensor *inputs = nnd_calloc(graph->input_count + 1, sizeof(*inputs));
    *bytes = SIZE_MAX;
    if (!inputs) return out_of_memory();
    nnd_status status = NND_OK;
    if (nominal_inputs(graph, inputs)) {
        status = begin(&p, graph);
        if (status == NND_OK) status = make(&p, inputs);
        if (status == NND_OK) *bytes = p.plan->arena_bytes;
    }
    nnd_free(inputs);
    nnd_free(p.in);
    nnd_free(p.out);
    nnd_plan_destroy(p.plan);
    if (status == NND_E_OUT_OF_MEMORY) return status;
    nnd_error_clear(); /* a real plan will say it */
    return NND_OK;
}

nnd_status nnd_plan_create(nnd_graph *graph, const nnd_tensor *inputs,
                           const nnd_plan_options *options, nnd_plan **out)
{
    *out = NULL;
    planner p = {.options = options};
    NND_TRY(begin(&p, graph));
    nnd_status status = make(&p, inputs);
    nnd_free(p.in);
    nnd_free(p.out);
    if (status != NND_OK) {
        nnd_plan_destroy(p.plan);
        return status;
    }
    *out = p.plan;
    return NND_OK;
}

void nnd_plan_destroy(nnd_plan *plan)
{
    if (!plan) return;
    for (size_t i = 0; i < plan->step_count; i++)
        step_fini(plan, &plan->steps[i]);
    nnd_free(plan->slots);
    nnd_free(plan->steps);
    nnd_free(plan->frees);
    nnd_free(plan->inputs);
    nnd_arena_fini(&plan->folded);
    nnd_free(plan);
}

bool nnd_plan_matches(const nnd_plan *plan, const nnd_graph *graph, const nnd_tensor *inputs)
{
    if (plan->graph != graph) return false;
    for (size_t i = 0; i < plan->input_count; i++) {
        const nnd_tensor *a = &plan->inputs[i], *b = &inputs[i];
        if (a->dtype != b->dtype || a->rank != b->rank) return false;
        if (memcmp(a->dims, b->dims, (size_t)a->rank * sizeof(a->dims[0])) != 0) return false;
    }
    return true;
}
