/* Loading: read, bind, optimise, prepare, plan. */
#include "engine/runtime/model.h"
#include "engine/runtime/shared_arena.h"

#include <string.h>

#include "engine/ir/ir.h"
#include "engine/ops/brought.h"
#include "engine/ops/op.h"
#include "engine/runtime/bind.h"
#include "engine/runtime/expand.h"
#include "port/port.h"

static const uint64_t DEFAULT_MAX_WEIGHTS = (uint64_t)64 << 30;
static const uint64_t DEFAULT_MAX_ARENA = (uint64_t)16 << 30;

static nnd_status out_of_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the model");
}

/* ---- ports --------------------------------------------------------------------------------- */

static void fill_port(nnd_engine_port *port, const nnd_graph_value *v)
{
    *port = (nnd_engine_port){.name = v->name, .type = v->type, .dtype = v->dtype, .rank = v->rank};
    for (int i = 0; i < v->rank; i++) {
        port->dims[i].value = v->dims[i];
        port->dims[i].symbol = v->dims[i] < 0 ? v->symbols[i] : NULL;
    }
}

/* Ports are taken before the passes: they keep the names and types that the file gives them. */
static nnd_status make_ports(nnd_engine_model *m)
{
    const nnd_graph *g = m->graph;
    m->input_count = g->input_count;
    m->output_count = g->output_count;
    m->inputs = nnd_calloc(m->input_count + 1, sizeof(*m->inputs));
    m->outputs = nnd_calloc(m->output_count + 1, sizeof(*m->outputs));
    if (!m->inputs || !m->outputs) return out_of_memory();
    for (size_t i = 0; i < m->input_count; i++)
        fill_port(&m->inputs[i], &g->values[g->inputs[i]]);
    for (size_t i = 0; i < m->output_count; i++)
        fill_port(&m->outputs[i], &g->values[g->outputs[i]]);
    return NND_OK;
}

nnd_status nnd_engine_port_check(const nnd_engine_port *p, const char *what, const nnd_tensor *t)
{
    char text[160];
    if (p->dtype != NND_DTYPE_INVALID && t->dtype != p->dtype)
        return nnd_error_set(NND_E_TYPE, "%s '%s' wants %s, got %s", what, p->name,
                             nnd_dtype_name(p->dtype), nnd_dtype_name(t->dtype));
    /* Callers often give one element as a vector where the model wants a scalar. */
    if (p->rank == 0 && nnd_tensor_count(t) == 1) return NND_OK;
    if (p->rank >= 0 && t->rank != p->rank)
        return nnd_error_set(NND_E_SHAPE, "%s '%s' has rank %d, got %s", what, p->name, p->rank,
                             nnd_tensor_describe(t, text, sizeof(text)));
    for (int i = 0; i < p->rank; i++)
        if (p->dims[i].value >= 0 && p->dims[i].value != t->dims[i])
            return nnd_error_set(NND_E_SHAPE, "%s '%s': dimension %d is %lld, got %s", what,
                                 p->name, i, (long long)p->dims[i].value,
                                 nnd_tensor_describe(t, text, sizeof(text)));
    return NND_OK;
}

/* ---- plan at the declared shapes ----------------------------------------------------------- */

static bool declared_inputs(const nnd_engine_model *m, nnd_tensor *inputs)
{
    for (size_t i = 0; i < m->input_count; i++) {
        const nnd_engine_port *p = &m->inputs[i];
        int64_t dims[NND_MAX_RANK];
        if (p->rank < 0) return false;
        for (int k = 0; k < p->rank; k++) {
            if (p->dims[k].value < 0) return false;
            dims[k] = p->dims[k].value;
        }
        if (nnd_tensor_init(&inputs[i], p->dtype, p->rank, dims, NULL) != NND_OK) return false;
    }
    return true;
}

void nnd_engine_port_refine(nnd_engine_port *p, const nnd_plan *plan, uint32_t value)
{
    const nnd_slot *s = &plan->slots[value];
    if (!s->known) return;
    p->dtype = s->tensor.dtype;
    p->rank = s->tensor.rank;
    for (int k = 0; k < p->rank; k++)
        p->dims[k] = (nnd_engine_dim){s->tensor.dims[k], NULL};
}

/* What the plan knows better than the file. */
static void refine_outputs(nnd_engine_model *m)
{
    for (size_t i = 0; i < m->output_count; i++)
        nnd_engine_port_refine(&m->outputs[i], m->plan, m->graph->outputs[i]);
}

/* Types that the file does not say, from the shapes that the passes went by. Sizes stay open. */
static void name_outputs(nnd_engine_model *m)
{
    for (size_t i = 0; i < m->output_count; i++) {
        const nnd_graph_value *v = &m->graph->values[m->graph->outputs[i]];
        nnd_engine_port *p = &m->outputs[i];
        if (v->nominal_rank < 0 || p->dtype != NND_DTYPE_INVALID) continue;
        p->dtype = v->nominal_dtype;
        p->rank = v->nominal_rank;
        for (int k = 0; k < p->rank; k++)
            p->dims[k] = (nnd_engine_dim){-1, NULL};
    }
}

static nnd_status plan_declared(nnd_engine_model *m)
{
    nnd_tensor *inputs = nnd_calloc(m->input_count + 1, sizeof(*inputs));
    if (!inputs) return out_of_memory();
    nnd_status status = NND_OK;
    if (declared_inputs(m, inputs))
        status = nnd_plan_create(m->graph, inputs, &m->plan_options, &m->plan);
    nnd_free(inputs);
    nnd_error *ignored = status == NND_OK ? nnd_error_take() : NULL;
    nnd_error_destroy(ignored);
    if (m->plan) refine_outputs(m);
    return status;
}

/* Constants that the passes have replaced. */
static void drop_unused_constants(nnd_graph *g)
{
    nnd_graph_index(g);
    for (uint32_t i = 0; i < g->value_count; i++)
        if (g->values[i].is_constant && !g->values[i].uses && !g->values[i].held)
            nnd_graph_release_constant(g, i);
}

/* What is still read from the file has to be aligned: planners and operators read it directly. */
static nnd_status align_constants(nnd_graph *g)
{
    for (nnd_graph *child = g->children; child; child = child->sibling)
        NND_TRY(align_constants(child));
    for (uint32_t i = 0; i < g->value_count; i++) {
        const nnd_tensor *aligned;
        if (g->values[i].uses) NND_TRY(nnd_graph_constant(g, i, &aligned));
    }
    return NND_OK;
}

/* Weights that have been packed are not read again: their pages of the file need not stay, nor the
   memory of those that passes have computed. Done from time to time, so that the peak is not twice
   the weights; the second, which looks through all of the program's memory, a few times. */
enum { FORGET_BYTES = 2 << 20, TRIM_BYTES = 8 << 20 };
typedef struct source {
    const nnd_engine_model *m;
    const void *bytes;
    size_t size;
    uint64_t forgotten, trimmed; /* packed bytes then */
} source;

static void forget_files(const source *s)
{
    nnd_port_map_forget(s->bytes, s->size);
    for (size_t i = 0; i < s->m->onnx.external_count; i++) {
        const nnd_buffer *file = s->m->onnx.externals[i].buffer;
        nnd_port_map_forget(nnd_buffer_data(file), nnd_buffer_size(file));
    }
}

static void forget_packed(void *user)
{
    source *s = user;
    uint64_t packed = nnd_packed_bytes(s->m->packed);
    if (packed - s->forgotten >= FORGET_BYTES) {
        s->forgotten = packed;
        forget_files(s);
    }
    if (packed - s->trimmed >= TRIM_BYTES + packed / 4) {
        s->trimmed = packed;
        nnd_port_trim_memory();
    }
}

/* ---- cached weights ------------------------------------------------------------------------ */

/* What operators of plug-ins make of constants is not for us to keep. */
static bool has_custom_operators(const nnd_graph *g)
{
    for (const nnd_graph *child = g->children; child; child = child->sibling)
        if (has_custom_operators(child)) return true;
    for (size_t i = 0; i < g->node_count; i++)
        if (nnd_op_is_custom(g->nodes[i].op)) return true;
    return false;
}

/* Before the passes, which may replace nodes. The files describe all of the graph. */
static void open_cache(nnd_engine_model *m, const source *from, const nnd_engine_options *o)
{
    size_t count = m->onnx.external_count + 1;
    nnd_packed_key key;
    if (!o->cache || !o->cache[0] || has_custom_operators(m->graph)) return;
    nnd_packed_source *files = nnd_alloc(count * sizeof(*files));
    if (!files) return; /* a cache can be done without */
    files[0] = (nnd_packed_source){from->bytes, from->size};
    for (size_t i = 1; i < count; i++) {
        const nnd_buffer *file = m->onnx.externals[i - 1].buffer;
        files[i] = (nnd_packed_source){nnd_buffer_data(file), nnd_buffer_size(file)};
    }
    const nnd_packed_origin origin = {.files = files,
                                      .file_count = count,
                                      .passes = m->passes,
                                      .kernels = o->kernels,
                                      .kernel_count = o->kernel_count,
                                      .bf16 = o->bf16};
    nnd_packed_key_of(&origin, &key);
    nnd_free(files);
    nnd_packed_open(m->packed, o->cache, o->max_cache_bytes, &key, m->name);
}

/* ---- loading ------------------------------------------------------------------------------- */

/* A graph that was built or loaded becomes the model's; the shell is given back. */
static void take_ir(nnd_engine_model *m, nnd_ir *ir)
{
    m->onnx = ir->source;
    if (ir->bytes) {
        m->bytes = ir->bytes;
        ir->bytes = NULL;
    }
    ir->source = (nnd_onnx_model){0};
    nnd_ir_destroy(ir);
}

static nnd_status read_saved(nnd_engine_model *m, const void *bytes, size_t size)
{
    nnd_ir *ir;
    NND_TRY(nnd_ir_create_empty(&ir));
    ir->source.open = m->onnx.open;
    ir->source.open_user = m->onnx.open_user;
    ir->source.max_weight_bytes = m->onnx.max_weight_bytes;
    nnd_status status = nnd_ir_read(ir, bytes, size);
    take_ir(m, ir);
    return status;
}

static void index_all(nnd_graph *g)
{
    for (nnd_graph *child = g->children; child; child = child->sibling)
        index_all(child);
    nnd_graph_index(g);
}

static void forget_shapes(nnd_graph *g)
{
    for (nnd_graph *child = g->children; child; child = child->sibling)
        forget_shapes(child);
    g->nominal_exact = false;
    for (size_t i = 0; i < g->value_count; i++)
        g->values[i].nominal_rank = -1;
}

/* Before the passes, so that they leave alone what a kernel of somebody else takes. What they make
   is offered after them. The shapes are forgotten: passes wait for their own. */
static nnd_status offer_nodes(nnd_graph *g)
{
    index_all(g);
    NND_TRY(nnd_passes_shapes(g));
    NND_TRY(nnd_passes_body_shapes(g));
    NND_TRY(nnd_brought_bind(g));
    forget_shapes(g);
    return NND_OK;
}

/* From the graph as it was read to operators that are ready to run. */
static nnd_status build(nnd_engine_model *m, const nnd_engine_options *o, source *from)
{
    bool offers = !o->only_own_kernels && nnd_brought_any();
    if (offers) NND_TRY(offer_nodes(m->graph));
    NND_TRY(nnd_packed_create(&m->packed));
    if (from->size >= FORGET_BYTES) forget_files(from); /* what reading the file has touched */
    if (from->bytes && !offers) open_cache(m, from, o);
    NND_TRY(nnd_passes_run(m->graph, m->passes, &m->report));
    if (offers) NND_TRY(nnd_passes_body_shapes(m->graph));
    if (offers) NND_TRY(nnd_brought_bind(m->graph));
    name_outputs(m);
    drop_unused_constants(m->graph);
    if (!from->bytes && m->bytes) {
        from->bytes = nnd_buffer_data(m->bytes);
        from->size = nnd_buffer_size(m->bytes);
    }
    if (from->size >= FORGET_BYTES) forget_files(from); /* what the passes have made copies of */
    NND_TRY(nnd_graph_prepare(m->graph, m->packed, forget_packed, from));
    nnd_packed_seal(m->packed);
    return NND_OK;
}

/* The choices are looked into while the model is built, and forgotten again. */
static nnd_status build_by_choice(nnd_engine_model *m, const nnd_engine_options *o, source *from)
{
    nnd_choices choices = {.items = o->kernels, .count = o->kernel_count};
    choices.fates = nnd_calloc(choices.count + 1, sizeof(*choices.fates));
    if (!choices.fates) return out_of_memory();
    m->graph->choices = &choices;
    nnd_status status = build(m, o, from);
    m->graph->choices = NULL;
    if (status == NND_OK) nnd_choices_report(&choices, m->name);
    nnd_free(choices.fates);
    return status;
}

/* No bytes: the graph is there already. */
static nnd_status load(nnd_engine_model *m, const void *bytes, size_t size,
                       const nnd_engine_options *o)
{
    if (nnd_ir_is_saved(bytes, size))
        NND_TRY(read_saved(m, bytes, size));
    else if (!m->onnx.graph)
        NND_TRY(nnd_onnx_read(&m->onnx, bytes, size));
    m->graph = m->onnx.graph;
    NND_TRY(make_ports(m));
    m->graph->bf16 = m->bf16;
    NND_TRY(nnd_graph_expand(m->graph));
    NND_TRY(nnd_graph_bind(m->graph));
    source from = {.m = m, .bytes = bytes, .size = size};
    NND_TRY(build_by_choice(m, o, &from));
    NND_TRY(align_constants(m->graph));
    return plan_declared(m);
}

static nnd_status check_kernels(const nnd_engine_options *o)
{
    for (size_t i = 0; i < o->kernel_count; i++)
        NND_TRY(nnd_engine_kernel_check(&o->kernels[i]));
    return NND_OK;
}

static nnd_status want_dump(nnd_engine_model *m, const char *name)
{
    nnd_engine_pass pass;
    if (!name || !name[0]) return NND_OK;
    NND_TRY(nnd_engine_pass_find(name, &pass));
    m->report.dump_after = (int)pass;
    return NND_OK;
}

/* From a file's bytes, or from `ir`, which is taken over. */
static nnd_status create(nnd_buffer *buffer, const void *bytes, size_t size, nnd_ir *ir,
                         const nnd_engine_options *options, nnd_engine_model **out)
{
    nnd_engine_options o = NND_ENGINE_OPTIONS_INIT;
    if (options) memcpy(&o, options, options->size < sizeof(o) ? options->size : sizeof(o));
    *out = NULL;
    nnd_engine_model *m = nnd_calloc(1, sizeof(*m));
    if (!m) {
        nnd_ir_destroy(ir);
        return out_of_memory();
    }
    atomic_init(&m->holders, 1);
    if (buffer) m->bytes = nnd_buffer_ref(buffer);
    if (ir) take_ir(m, ir);
    m->passes = o.passes;
    m->shared_arena = o.shared_arena;
    m->bf16 = o.bf16;
    if (m->shared_arena) nnd_shared_arena_join();
    m->report = (nnd_pass_report)NND_PASS_REPORT_INIT;
    m->onnx.open = o.open;
    m->onnx.open_user = o.open_user;
    m->onnx.max_weight_bytes = o.max_weight_bytes ? o.max_weight_bytes : DEFAULT_MAX_WEIGHTS;
    m->plan_options.separate_tensors = o.separate_tensors;
    m->plan_options.max_arena_bytes = o.max_arena_bytes ? o.max_arena_bytes : DEFAULT_MAX_ARENA;
    m->name = nnd_strdup(o.name ? o.name : "model");
    nnd_status status = m->name ? NND_OK : out_of_memory();
    if (status == NND_OK) status = want_dump(m, o.dump_after);
    if (status == NND_OK) status = check_kernels(&o);
    if (status == NND_OK) status = load(m, bytes, size, &o);
    if (status != NND_OK) {
        if (o.name) nnd_error_set_place(o.name, 0, 0);
        nnd_engine_model_unref(m);
        return status;
    }
    *out = m;
    return NND_OK;
}

nnd_status nnd_engine_model_load(nnd_buffer *bytes, const nnd_engine_options *options,
                                 nnd_engine_model **out)
{
    return create(bytes, nnd_buffer_data(bytes), nnd_buffer_size(bytes), NULL, options, out);
}

nnd_status nnd_engine_model_load_memory(const void *bytes, size_t size,
                                        const nnd_engine_options *options, nnd_engine_model **out)
{
    return create(NULL, bytes, size, NULL, options, out);
}

nnd_status nnd_engine_model_load_ir(nnd_ir *ir, const nnd_engine_options *options,
                                    nnd_engine_model **out)
{
    nnd_status status = nnd_ir_report(ir);
    if (status == NND_OK && !ir->source.graph->output_count)
        status = nnd_error_set(NND_E_FORMAT, "the graph has no outputs");
    if (status == NND_OK) return create(NULL, NULL, 0, ir, options, out);
    nnd_ir_destroy(ir);
    *out = NULL;
    return status;
}

nnd_engine_model *nnd_engine_model_ref(nnd_engine_model *m)
{
    if (m) atomic_fetch_add_explicit(&m->holders, 1, memory_order_relaxed);
    return m;
}

void nnd_engine_model_unref(nnd_engine_model *m)
{
    if (!m || atomic_fetch_sub_explicit(&m->holders, 1, memory_order_acq_rel) != 1) return;
    if (m->shared_arena) nnd_shared_arena_leave();
    nnd_plan_destroy(m->plan);
    if (m->graph) nnd_graph_release(m->graph);
    nnd_packed_destroy(m->packed);
    nnd_pass_report_fini(&m->report);
    nnd_onnx_fini(&m->onnx);
    nnd_buffer_unref(m->bytes);
    nnd_free(m->inputs);
    nnd_free(m->outputs);
    nnd_free(m->name);
    nnd_free(m);
}

size_t nnd_engine_model_input_count(const nnd_engine_model *m)
{
    return m->input_count;
}

size_t nnd_engine_model_output_count(const nnd_engine_model *m)
{
    return m->output_count;
}

const nnd_engine_port *nnd_engine_model_input(const nnd_engine_model *m, size_t index)
{
    return index < m->input_count ? &m->inputs[index] : NULL;
}

const nnd_engine_port *nnd_engine_model_output(const nnd_engine_model *m, size_t index)
{
    return index < m->output_count ? &m->outputs[index] : NULL;
}

static uint64_t resident_bytes(const nnd_graph *g)
{
    uint64_t sum = 0;
    for (const nnd_graph *child = g->children; child; child = child->sibling)
        sum += resident_bytes(child);
    for (size_t i = 0; i < g->value_count; i++)
        if (g->values[i].is_constant && g->values[i].uses && g->values[i].constant.data)
            sum += nnd_tensor_bytes(&g->values[i].constant);
    return sum;
}

/* Everything that a run at the plan's shapes touches. */
static uint64_t predicted_bytes(const nnd_engine_model *m, const nnd_plan *plan)
{
    uint64_t sum = resident_bytes(m->graph) + nnd_packed_bytes(m->packed) + plan->arena_bytes +
                   plan->lane_bytes + plan->folded_bytes;
    for (size_t i = 0; i < m->graph->input_count; i++)
        sum += nnd_tensor_bytes(&plan->slots[m->graph->inputs[i]].tensor);
    for (size_t i = 0; i < m->graph->output_count; i++)
        sum += nnd_tensor_bytes(&plan->slots[m->graph->outputs[i]].tensor);
    return sum;
}

void nnd_engine_model_get_info(const nnd_engine_model *m, nnd_engine_model_info *out)
{
    nnd_engine_model_info_of(m, m->plan, out);
}

void nnd_engine_model_info_of(const nnd_engine_model *m, const nnd_plan *plan,
                              nnd_engine_model_info *out)
{
    const nnd_onnx_model *o = &m->onnx;
    *out = (nnd_engine_model_info){
        .producer = o->producer,
        .producer_version = o->producer_version,
        .graph_name = m->graph->name,
        .doc = o->doc,
        .ir_version = o->ir_version,
        .model_version = o->model_version,
        .opset_count = o->opset_count,
        .opsets = o->opsets,
        .metadata_count = o->metadata_count,
        .metadata = o->metadata,
        .nodes_in_file = o->node_count,
        .nodes = m->graph->node_count,
        .parameters = o->parameters,
        .weight_bytes = o->weight_bytes,
        .packed_bytes = nnd_packed_bytes(m->packed),
        .mapped_bytes = nnd_packed_mapped_bytes(m->packed),
        .flops = plan ? plan->flops : 0,
        .arena_bytes = plan ? plan->arena_bytes : 0,
        .resident_bytes = resident_bytes(m->graph),
        .predicted_bytes = plan ? predicted_bytes(m, plan) : 0,
    };
}
