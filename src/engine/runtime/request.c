/* One thread's side of a model: bound inputs, activations, results. */
#include <string.h>

#include "data/value.h"
#include "engine/runtime/exec.h"
#include "engine/runtime/model.h"
#include "engine/runtime/shared_arena.h"

typedef struct bound_input {
    bool is_bound;
    nnd_tensor tensor; /* dtype INVALID when it is no tensor */
    nnd_buffer *held;  /* keeps the caller's memory, or our copy of a strided tensor */
    nnd_value *box;    /* a list, a record or a gap */
} bound_input;

typedef struct output {
    nnd_buffer *own; /* memory that the request brings */
    bool is_bound;
    nnd_tensor bound; /* memory that the caller brings */
    nnd_buffer *held;
    nnd_tensor result; /* dtype INVALID when it is no tensor */
    nnd_buffer *texts; /* of a result of strings: `own` holds those of the run */
    nnd_value *box;
} output;

struct nnd_engine_request {
    nnd_engine_model *model;
    bound_input *inputs;
    output *outputs;
    nnd_tensor *signature; /* scratch: descriptions of the inputs */
    const nnd_tensor **in; /* scratch: pointers to the inputs */
    nnd_value **boxes;     /* scratch: what is no tensor among them */
    nnd_value *empty;      /* stands for optional inputs that are not bound */
    void **memory;         /* scratch: memory of the outputs */
    nnd_plan_cache cache;
    const nnd_plan *pinned; /* plan of the latest run, which those of sub-graphs must not replace */
    nnd_exec exec;
    nnd_exec_env env;
    nnd_block arena;
    bool has_result;
    bool profile;
    const nnd_plan *profiled; /* plan that the profile counts */
    int64_t *step_ns;
    uint64_t runs;
};

static nnd_status out_of_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for an inference request");
}

nnd_status nnd_engine_request_create(nnd_engine_model *model, nnd_engine_request **out)
{
    *out = NULL;
    nnd_engine_request *r = nnd_calloc(1, sizeof(*r));
    if (!r) return out_of_memory();
    r->model = nnd_engine_model_ref(model);
    r->cache.options = model->plan_options;
    r->cache.limit = nnd_plan_cache_limit(model->graph);
    r->env.cache = &r->cache;
    r->inputs = nnd_calloc(model->input_count + 1, sizeof(*r->inputs));
    r->outputs = nnd_calloc(model->output_count + 1, sizeof(*r->outputs));
    r->signature = nnd_calloc(model->input_count + 1, sizeof(*r->signature));
    r->in = nnd_calloc(model->input_count + 1, sizeof(*r->in));
    r->boxes = nnd_calloc(model->input_count + 1, sizeof(*r->boxes));
    r->memory = nnd_calloc(model->output_count + 1, sizeof(*r->memory));
    if (!r->inputs || !r->outputs || !r->signature || !r->in || !r->boxes || !r->memory ||
        nnd_value_new_gap(NULL, &r->empty) != NND_OK) {
        nnd_engine_request_destroy(r);
        return out_of_memory();
    }
    *out = r;
    return NND_OK;
}

void nnd_engine_request_destroy(nnd_engine_request *r)
{
    if (!r) return;
    nnd_exec_fini(&r->exec);
    nnd_plan_cache_fini(&r->cache);
    for (size_t i = 0; r->inputs && i < r->model->input_count; i++) {
        nnd_buffer_unref(r->inputs[i].held);
        nnd_value_unref(r->inputs[i].box);
    }
    for (size_t i = 0; r->outputs && i < r->model->output_count; i++) {
        nnd_buffer_unref(r->outputs[i].own);
        nnd_buffer_unref(r->outputs[i].held);
        nnd_buffer_unref(r->outputs[i].texts);
        nnd_value_unref(r->outputs[i].box);
    }
    nnd_value_unref(r->empty);
    nnd_arena_fini(&r->env.text);
    nnd_block_fini(&r->arena);
    nnd_block_fini(&r->env.lanes);
    nnd_free(r->inputs);
    nnd_free(r->outputs);
    nnd_free(r->signature);
    nnd_free(r->in);
    nnd_free(r->boxes);
    nnd_free(r->memory);
    nnd_free(r->step_ns);
    nnd_engine_model_unref(r->model);
    nnd_free(r);
}

/* ---- binding ------------------------------------------------------------------------------- */

static bool is_aligned(const nnd_tensor *t)
{
    size_t bytes = nnd_dtype_bits(t->dtype) / 8;
    return (uintptr_t)t->data % (bytes >= 8 ? 8 : bytes ? bytes : 1) == 0;
}

/* A dense, aligned copy of a tensor that cannot be read in place. */
static nnd_status copy_input(bound_input *in, const nnd_tensor *t)
{
    nnd_buffer_desc desc = NND_BUFFER_DESC_INIT;
    nnd_tensor dense;
    NND_TRY(nnd_tensor_init(&dense, t->dtype, t->rank, t->dims, NULL));
    desc.bytes = nnd_tensor_bytes(&dense);
    nnd_buffer *buffer;
    NND_TRY(nnd_buffer_create(&desc, &buffer));
    dense.data = nnd_buffer_data(buffer);
    nnd_status status = NND_OK;
    if (t->data && nnd_tensor_is_dense(t))
        memcpy(dense.data, t->data, desc.bytes);
    else
        status = nnd_tensor_copy(&dense, t);
    if (status != NND_OK) {
        nnd_buffer_unref(buffer);
        return status;
    }
    nnd_copy_count(desc.bytes);
    in->tensor = dense;
    in->held = buffer;
    return NND_OK;
}

nnd_status nnd_engine_request_bind_input(nnd_engine_request *r, size_t index, const nnd_tensor *t)
{
    if (index >= r->model->input_count)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "the model has %zu inputs, there is no input %zu",
                             r->model->input_count, index);
    bound_input *in = &r->inputs[index];
    if (t) {
        NND_TRY(nnd_engine_port_check(&r->model->inputs[index], "input", t));
        if (!t->data && nnd_tensor_count(t) > 0)
            return nnd_error_set(NND_E_INVALID_ARGUMENT, "input '%s' has no host memory",
                                 r->model->inputs[index].name);
    }
    nnd_buffer_unref(in->held);
    nnd_value_unref(in->box);
    *in = (bound_input){0};
    if (!t) return NND_OK;
    if (nnd_tensor_is_dense(t) && is_aligned(t)) {
        in->tensor = *t;
        in->held = t->buffer ? nnd_buffer_ref(t->buffer) : NULL;
    } else {
        NND_TRY(copy_input(in, t));
    }
    in->is_bound = true;
    return NND_OK;
}

/* The kinds of value that a port takes besides tensors. */
static bool takes(const nnd_engine_type *type, const nnd_value *value)
{
    if (nnd_value_is(value, "gap")) return type->optional;
    return (type->kind == NND_KIND_SEQUENCE && nnd_value_is(value, "list")) ||
           (type->kind == NND_KIND_MAP && nnd_value_is(value, "record"));
}

nnd_status nnd_engine_request_bind_value(nnd_engine_request *r, size_t index, nnd_value *value)
{
    const nnd_tensor *t = value ? nnd_value_tensor(value) : NULL;
    if (index >= r->model->input_count || !value || (t && !r->model->inputs[index].type.kind))
        return nnd_engine_request_bind_input(r, index, t);
    const nnd_engine_port *port = &r->model->inputs[index];
    if (!takes(&port->type, value))
        return nnd_error_set(NND_E_TYPE, "input '%s' takes no value of type %s", port->name,
                             nnd_value_type_name(value));
    nnd_value *box;
    NND_TRY(nnd_box_import(value, &box));
    (void)nnd_engine_request_bind_input(r, index, NULL);
    r->inputs[index].box = box;
    r->inputs[index].is_bound = true;
    return NND_OK;
}

nnd_status nnd_engine_request_bind_output(nnd_engine_request *r, size_t index, const nnd_tensor *t)
{
    if (index >= r->model->output_count)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "the model has %zu outputs, there is no output %zu",
                             r->model->output_count, index);
    output *o = &r->outputs[index];
    if (t) {
        const nnd_engine_port *port = &r->model->outputs[index];
        if (port->type.kind || port->type.optional || port->dtype == NND_STRING)
            return nnd_error_set(NND_E_UNSUPPORTED,
                                 "output '%s': only tensors of numbers can be written to bound "
                                 "memory",
                                 port->name);
        NND_TRY(nnd_engine_port_check(port, "output", t));
        if (!nnd_tensor_is_dense(t) || !is_aligned(t) || (!t->data && nnd_tensor_count(t) > 0))
            return nnd_error_set(NND_E_INVALID_ARGUMENT, "output '%s' wants dense host memory",
                                 r->model->outputs[index].name);
    }
    nnd_buffer_unref(o->held);
    o->held = t && t->buffer ? nnd_buffer_ref(t->buffer) : NULL;
    o->is_bound = t != NULL;
    if (t) o->bound = *t;
    r->has_result = false;
    return NND_OK;
}

/* ---- running ------------------------------------------------------------------------------- */

/* Memory for a result of that description: the caller's or our own. */
static nnd_status output_memory(nnd_engine_request *r, size_t i, const nnd_tensor *want)
{
    output *o = &r->outputs[i];
    o->result = *want;
    if (o->is_bound) {
        char got[160];
        const char *name = r->model->outputs[i].name;
        bool same =
            o->bound.rank == want->rank &&
            memcmp(o->bound.dims, want->dims, (size_t)want->rank * sizeof(want->dims[0])) == 0;
        if (o->bound.dtype != want->dtype)
            return nnd_error_set(NND_E_TYPE, "output '%s' is %s, the bound memory is %s", name,
                                 nnd_dtype_name(want->dtype), nnd_dtype_name(o->bound.dtype));
        if (!same)
            return nnd_error_set(NND_E_SHAPE, "output '%s' is %s and does not fit the bound memory",
                                 name, nnd_tensor_describe(want, got, sizeof(got)));
        o->result.data = o->bound.data;
        o->result.buffer = o->bound.buffer;
        o->result.offset = o->bound.offset;
        return NND_OK;
    }
    size_t bytes = nnd_tensor_bytes(want);
    if (!o->own || nnd_buffer_holders(o->own) != 1 || nnd_buffer_size(o->own) < bytes) {
        nnd_buffer_desc desc = NND_BUFFER_DESC_INIT;
        desc.bytes = bytes;
        nnd_buffer_unref(o->own);
        o->own = NULL;
        NND_TRY(nnd_buffer_create(&desc, &o->own));
    }
    o->result.data = nnd_buffer_data(o->own);
    o->result.buffer = o->own;
    o->result.offset = 0;
    return NND_OK;
}

static nnd_status find_plan(nnd_engine_request *r, const nnd_plan **out)
{
    nnd_engine_model *m = r->model;
    for (size_t i = 0; i < m->input_count; i++) {
        bool is_bound = r->inputs[i].is_bound;
        if (!is_bound && !m->inputs[i].type.optional)
            return nnd_error_set(NND_E_STATE, "input '%s' of the model is not bound",
                                 m->inputs[i].name);
        r->in[i] = &r->inputs[i].tensor;
        r->boxes[i] = is_bound ? r->inputs[i].box : r->empty;
        r->signature[i] = r->inputs[i].tensor;
    }
    if (m->plan && nnd_plan_matches(m->plan, m->graph, r->signature)) {
        *out = m->plan;
        return NND_OK;
    }
    nnd_plan *plan;
    NND_TRY(nnd_plan_cache_get(&r->cache, m->graph, r->signature, &plan));
    if (r->pinned) nnd_plan_cache_unpin(&r->cache, r->pinned);
    r->pinned = plan;
    *out = plan;
    return NND_OK;
}

/* Outputs that the plan writes in place get their memory before the run. */
static nnd_status prepare_outputs(nnd_engine_request *r, const nnd_plan *plan)
{
    const nnd_graph *g = plan->graph;
    for (size_t i = 0; i < g->output_count; i++) {
        size_t shift;
        const nnd_slot *root = &plan->slots[nnd_plan_root(plan, g->outputs[i], &shift)];
        r->memory[i] = NULL;
        if (root->kind != NND_SLOT_OUTPUT || root->index != i) continue;
        NND_TRY(output_memory(r, i, &plan->slots[g->outputs[i]].tensor));
        r->memory[i] = r->outputs[i].result.data;
    }
    return NND_OK;
}

/* The texts of a run die with it: the result gets its own. */
static nnd_status keep_texts(output *o)
{
    const nnd_string *items = o->result.data;
    size_t count = (size_t)nnd_tensor_count(&o->result);
    NND_TRY(nnd_string_table_create(count, &o->texts));
    for (size_t i = 0; i < count; i++)
        if (items[i].size) NND_TRY(nnd_string_table_set(o->texts, i, items[i].text, items[i].size));
    o->result.data = nnd_buffer_data(o->texts);
    o->result.buffer = o->texts;
    return NND_OK;
}

static nnd_status collect_box(nnd_engine_request *r, size_t i, nnd_value *box)
{
    output *o = &r->outputs[i];
    o->result = (nnd_tensor){0};
    if (o->is_bound)
        return nnd_error_set(NND_E_TYPE, "output '%s' is a %s and does not fit the bound memory",
                             r->model->outputs[i].name, nnd_value_type_name(box));
    return nnd_box_export(box, &o->box);
}

/* What was not written in place is copied out: dynamic results, inputs or constants handed on,
   values that lie in another output's memory. */
static nnd_status collect_outputs(nnd_engine_request *r, const nnd_plan *plan)
{
    const nnd_graph *g = plan->graph;
    for (size_t i = 0; i < g->output_count; i++) {
        const nnd_tensor *value = &r->exec.values[g->outputs[i]];
        nnd_value *box = r->exec.boxes[g->outputs[i]];
        if (box && !nnd_value_tensor(box)) {
            NND_TRY(collect_box(r, i, box));
            continue;
        }
        if (!r->memory[i]) {
            NND_TRY(output_memory(r, i, value));
            size_t bytes = nnd_tensor_bytes(value);
            if (bytes) memcpy(r->outputs[i].result.data, value->data, bytes);
        }
        if (value->dtype == NND_STRING) NND_TRY(keep_texts(&r->outputs[i]));
    }
    return NND_OK;
}

static void drop_results(nnd_engine_request *r)
{
    for (size_t i = 0; i < r->model->output_count; i++) {
        nnd_buffer_unref(r->outputs[i].texts);
        nnd_value_unref(r->outputs[i].box);
        r->outputs[i].texts = NULL;
        r->outputs[i].box = NULL;
    }
    r->has_result = false;
}

static nnd_status start_profile(nnd_engine_request *r, const nnd_plan *plan)
{
    r->env.step_ns = NULL;
    if (!r->profile) return NND_OK;
    if (r->profiled != plan) {
        nnd_free(r->step_ns);
        r->step_ns = nnd_calloc(plan->step_count + 1, sizeof(*r->step_ns));
        r->profiled = r->step_ns ? plan : NULL;
        r->runs = 0;
        if (!r->step_ns) return out_of_memory();
    }
    r->env.step_ns = r->step_ns;
    r->runs++;
    return NND_OK;
}

static nnd_status run_plan(nnd_engine_request *r, const nnd_plan *plan, int threads,
                           const nnd_cancel *cancel)
{
    NND_TRY(nnd_block_reserve(&r->arena, plan->arena_bytes));
    NND_TRY(start_profile(r, plan));
    nnd_gang *gang = NULL;
    if (threads != 1) NND_TRY(nnd_gang_acquire(threads, &gang));
    r->env.gang = gang;
    r->env.cancel = cancel;
    r->env.draws = 0;
    nnd_status status =
        nnd_exec_run(&r->exec, plan, &r->env, r->in, r->boxes, r->memory, r->arena.data);
    nnd_gang_release(gang);
    r->env.gang = NULL;
    if (status == NND_OK) status = collect_outputs(r, plan);
    nnd_exec_drop_boxes(&r->exec);
    nnd_arena_fini(&r->env.text);
    return status;
}

/* The same in memory that is ours for this run only. */
static nnd_status run_shared(nnd_engine_request *r, const nnd_plan *plan, int threads,
                             const nnd_cancel *cancel)
{
    nnd_shared_block *block;
    NND_TRY(nnd_shared_arena_borrow(&block));
    r->arena = block->arena;
    r->env.lanes = block->lanes;
    nnd_status status = run_plan(r, plan, threads, cancel);
    block->arena = r->arena; /* it may have grown */
    block->lanes = r->env.lanes;
    r->arena = r->env.lanes = (nnd_block){0};
    nnd_shared_arena_give_back(block);
    return status;
}

nnd_status nnd_engine_request_run(nnd_engine_request *r, int threads, const nnd_cancel *cancel)
{
    const nnd_plan *plan;
    drop_results(r);
    NND_TRY(find_plan(r, &plan));
    NND_TRY(prepare_outputs(r, plan));
    nnd_status status = r->model->shared_arena ? run_shared(r, plan, threads, cancel)
                                               : run_plan(r, plan, threads, cancel);
    r->has_result = status == NND_OK;
    return status;
}

static nnd_status find_result(const nnd_engine_request *r, size_t index, const output **out)
{
    if (index >= r->model->output_count)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "the model has %zu outputs, there is no output %zu",
                             r->model->output_count, index);
    if (!r->has_result)
        return nnd_error_set(NND_E_STATE, "there is no result: run the request first");
    *out = &r->outputs[index];
    return NND_OK;
}

nnd_status nnd_engine_request_output(const nnd_engine_request *r, size_t index, nnd_tensor *out)
{
    const output *o;
    NND_TRY(find_result(r, index, &o));
    if (o->box)
        return nnd_error_set(NND_E_TYPE, "output '%s' is a %s, not a tensor",
                             r->model->outputs[index].name, nnd_value_type_name(o->box));
    *out = o->result;
    return NND_OK;
}

nnd_status nnd_engine_request_output_value(const nnd_engine_request *r, size_t index,
                                           nnd_value **out)
{
    const output *o;
    NND_TRY(find_result(r, index, &o));
    if (!o->box) return nnd_value_from_tensor(&o->result, out);
    *out = nnd_value_ref(o->box);
    return NND_OK;
}

size_t nnd_engine_request_bytes(const nnd_engine_request *r)
{
    return r->arena.bytes + r->env.lanes.bytes;
}

/* ---- profile ------------------------------------------------------------------------------- */

void nnd_engine_request_set_profile(nnd_engine_request *r, bool on)
{
    r->profile = on;
    r->profiled = NULL;
    r->runs = 0;
}

size_t nnd_engine_request_profile_count(const nnd_engine_request *r)
{
    return r->profiled ? r->profiled->step_count : 0;
}

nnd_status nnd_engine_request_profile_step(const nnd_engine_request *r, size_t index,
                                           nnd_engine_step_profile *out)
{
    if (!r->profiled || index >= r->profiled->step_count)
        return nnd_error_set(NND_E_NOT_FOUND, "the profile has no step %zu", index);
    const nnd_plan_step *step = &r->profiled->steps[index];
    const nnd_graph_node *n = &r->profiled->graph->nodes[step->node];
    uint32_t in = n->input_count ? n->inputs[0] : NND_NO_ID;
    const nnd_op_choice *choice = n->choice;
    *out = (nnd_engine_step_profile){.name = n->name,
                                     .op = n->type,
                                     .kernel = step->kernel,
                                     .dtype = in == NND_NO_ID ? NND_DTYPE_INVALID
                                                              : r->profiled->slots[in].tensor.dtype,
                                     .runs = r->runs,
                                     .ns = r->step_ns[index],
                                     .flops = step->flops,
                                     .bytes_read = step->bytes_read,
                                     .bytes_written = step->bytes_written};
    if (!choice) return NND_OK;
    out->shape = choice->shape;
    out->kernels = choice->kernels;
    out->kernel_count = choice->count;
    return NND_OK;
}
