/* Sub-graphs: If, Loop, Scan and SequenceMap run their bodies through here. */
#include "engine/runtime/exec.h"

#include <string.h>

enum { MAX_BODY_DEPTH = 12 };

static nnd_status out_of_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a sub-graph");
}

/* What one run of a body reads and writes. */
typedef struct body_run {
    size_t count;           /* inputs, then captures */
    nnd_tensor *descs;      /* their descriptions */
    const nnd_tensor **all; /* and elements */
    nnd_value **boxes;      /* borrowed */
    void **outputs;         /* memory of those that the plan writes directly */
} body_run;

static void body_run_fini(body_run *r, const nnd_graph *body)
{
    for (size_t i = 0; r->outputs && i < body->output_count; i++)
        nnd_free_aligned(r->outputs[i]);
    nnd_free(r->outputs);
    nnd_free(r->boxes);
    nnd_free(r->all);
    nnd_free(r->descs);
}

static nnd_status body_run_init(body_run *r, const nnd_op_ctx *c, const nnd_graph *body,
                                const nnd_body_input *inputs)
{
    r->count = body->input_count + body->capture_count;
    r->descs = nnd_calloc(r->count + 1, sizeof(*r->descs));
    r->all = nnd_calloc(r->count + 1, sizeof(*r->all));
    r->boxes = nnd_calloc(r->count + 1, sizeof(*r->boxes));
    r->outputs = nnd_calloc(body->output_count + 1, sizeof(*r->outputs));
    if (!r->descs || !r->all || !r->boxes || !r->outputs) return out_of_memory();
    size_t captures = nnd_node_captures(c->node, body);
    for (size_t i = 0; i < r->count; i++) {
        if (inputs && i < body->input_count) {
            r->all[i] = inputs[i].tensor;
            r->boxes[i] = inputs[i].box;
        } else {
            size_t k = captures + i - body->input_count;
            r->all[i] = c->in[k];
            r->boxes[i] = c->exec->boxes[c->node->inputs[k]];
        }
        r->descs[i] = *r->all[i];
    }
    return NND_OK;
}

/* Memory for the outputs that the plan writes directly. */
static nnd_status body_outputs(const nnd_plan *plan, void **outputs)
{
    for (size_t i = 0; i < plan->graph->value_count; i++) {
        const nnd_slot *s = &plan->slots[i];
        if (s->kind != NND_SLOT_OUTPUT) continue;
        outputs[s->index] = nnd_alloc_aligned(nnd_tensor_bytes(&s->tensor) + 64, 64);
        if (!outputs[s->index]) return out_of_memory();
    }
    return NND_OK;
}

static nnd_status run_plan(nnd_op_ctx *c, const nnd_plan *plan, body_run *r, nnd_body_take take,
                           void *user)
{
    nnd_block arena = {0};
    nnd_exec x = {0};
    nnd_graph *body = plan->graph;
    nnd_status status = body_outputs(plan, r->outputs);
    if (status == NND_OK) status = nnd_block_reserve(&arena, plan->arena_bytes);
    if (status == NND_OK)
        status = nnd_exec_run(&x, plan, c->exec->env, r->all, r->boxes, r->outputs, arena.data);
    for (size_t i = 0; i < body->output_count && status == NND_OK; i++) {
        uint32_t id = body->outputs[i];
        status = take(user, i, &(nnd_body_input){&x.values[id], x.boxes[id]});
    }
    nnd_exec_fini(&x);
    nnd_block_fini(&arena);
    return status;
}

nnd_status nnd_op_run_body(nnd_op_ctx *c, nnd_graph *body, const nnd_body_input *inputs,
                           nnd_body_take take, void *user)
{
    nnd_exec_env *env = c->exec->env;
    body_run r = {0};
    nnd_plan *plan = NULL;
    if (env->depth >= MAX_BODY_DEPTH)
        return nnd_op_fail(c, NND_E_LIMIT, "sub-graphs are nested more than %d deep",
                           MAX_BODY_DEPTH);
    nnd_status status = body_run_init(&r, c, body, inputs);
    env->depth++;
    if (status == NND_OK) status = nnd_plan_cache_get(env->cache, body, r.descs, &plan);
    if (status == NND_OK) {
        status = run_plan(c, plan, &r, take, user);
        nnd_plan_cache_unpin(env->cache, plan);
    }
    env->depth--;
    body_run_fini(&r, body);
    return status;
}

/* Writes to the results of the node, but for what the branch does not make in place. */
static nnd_status run_branch(nnd_op_ctx *c, const nnd_plan *plan, const body_run *r)
{
    nnd_exec x = {0};
    const nnd_graph *body = plan->graph;
    for (size_t i = 0; i < body->output_count; i++)
        r->outputs[i] = c->out[i].data;
    nnd_status status =
        nnd_exec_run(&x, plan, c->exec->env, r->all, r->boxes, r->outputs, c->workspace);
    for (size_t i = 0; i < body->output_count; i++) {
        const nnd_tensor *made = status == NND_OK ? &x.values[body->outputs[i]] : NULL;
        size_t bytes = made ? nnd_tensor_bytes(made) : 0;
        if (bytes && made->data != c->out[i].data) memcpy(c->out[i].data, made->data, bytes);
        r->outputs[i] = NULL; /* not ours */
    }
    nnd_exec_fini(&x);
    return status;
}

nnd_status nnd_exec_branch(nnd_op_ctx *c, const nnd_plan *plan)
{
    nnd_exec_env *env = c->exec->env;
    body_run r = {0};
    nnd_status status = body_run_init(&r, c, plan->graph, NULL);
    env->depth++;
    if (status == NND_OK) status = run_branch(c, plan, &r);
    env->depth--;
    body_run_fini(&r, plan->graph);
    return status;
}
