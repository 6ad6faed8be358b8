/* A model as JSON, for `inspect`. */
#include <stdio.h>
#include <string.h>

#include "engine/ops/brought.h"
#include "engine/runtime/model.h"

static void put_key_string(nnd_json_writer *w, const char *key, const char *text)
{
    nnd_json_key(w, key);
    nnd_json_put_string(w, text);
}

static void put_key_int(nnd_json_writer *w, const char *key, uint64_t value)
{
    nnd_json_key(w, key);
    nnd_json_put_int(w, (int64_t)value);
}

static void write_port(const nnd_engine_port *p, nnd_json_writer *w)
{
    nnd_json_begin_object(w);
    nnd_json_set_inline(w, true);
    put_key_string(w, "name", p->name);
    put_key_string(w, "dtype", nnd_dtype_name(p->dtype));
    nnd_json_key(w, "shape");
    if (p->rank < 0) {
        nnd_json_put_null(w);
    } else {
        nnd_json_begin_array(w);
        for (int i = 0; i < p->rank; i++) {
            if (p->dims[i].value >= 0)
                nnd_json_put_int(w, p->dims[i].value);
            else
                nnd_json_put_string(w, p->dims[i].symbol);
        }
        nnd_json_end_array(w);
    }
    nnd_json_end_object(w);
    nnd_json_set_inline(w, false);
}

/* How often each operator occurs, in the order of first occurrence. */
static void write_operators(const nnd_graph *g, nnd_json_writer *w)
{
    nnd_json_begin_object(w);
    for (size_t i = 0; i < g->node_count; i++) {
        size_t count = 0;
        bool seen = false;
        for (size_t k = 0; k < g->node_count; k++) {
            bool same = strcmp(g->nodes[k].type, g->nodes[i].type) == 0;
            seen = seen || (same && k < i);
            count += same;
        }
        if (!seen) put_key_int(w, g->nodes[i].type, count);
    }
    nnd_json_end_object(w);
}

static void write_values(const nnd_graph *g, const uint32_t *ids, size_t count, nnd_json_writer *w)
{
    nnd_json_begin_array(w);
    for (size_t i = 0; i < count; i++)
        nnd_json_put_string(w, ids[i] == NND_NO_ID ? "" : g->values[ids[i]].name);
    nnd_json_end_array(w);
}

/* What the node could be computed with, and whether a measurement has decided. */
static void write_choice(const nnd_op_choice *choice, nnd_json_writer *w)
{
    put_key_string(w, "kernel_shape", choice->shape);
    nnd_json_key(w, "kernels");
    nnd_json_begin_array(w);
    for (size_t i = 0; i < choice->count; i++)
        nnd_json_put_string(w, choice->kernels[i]);
    nnd_json_end_array(w);
    nnd_json_key(w, "kernel_measured");
    nnd_json_put_bool(w, choice->is_measured);
}

static const nnd_plan_step *find_step(const nnd_plan *plan, size_t node)
{
    for (size_t i = 0; plan && i < plan->step_count; i++)
        if (plan->steps[i].node == node) return &plan->steps[i];
    return NULL;
}

static void write_result_shape(const nnd_plan *plan, const nnd_graph_node *n, nnd_json_writer *w)
{
    const nnd_slot *out = n->outputs[0] == NND_NO_ID ? NULL : &plan->slots[n->outputs[0]];
    if (!out || !out->known) return;
    nnd_json_key(w, "shape");
    nnd_json_begin_array(w);
    for (int d = 0; d < out->tensor.rank; d++)
        nnd_json_put_int(w, out->tensor.dims[d]);
    nnd_json_end_array(w);
}

static void write_node(const nnd_engine_model *m, const nnd_plan *plan, size_t index,
                       nnd_json_writer *w)
{
    const nnd_graph_node *n = &m->graph->nodes[index];
    const nnd_plan_step *step = find_step(plan, index);
    const nnd_op_choice *choice = n->choice;
    nnd_json_begin_object(w);
    nnd_json_set_inline(w, true);
    put_key_string(w, "name", n->name);
    put_key_string(w, "op", n->type);
    const char *domain = n->op ? nnd_brought_own(n->op)->domain : n->domain;
    if (domain[0]) put_key_string(w, "domain", domain);
    nnd_json_key(w, "inputs");
    write_values(m->graph, n->inputs, n->input_count, w);
    nnd_json_key(w, "outputs");
    write_values(m->graph, n->outputs, n->output_count, w);
    if (step || choice) put_key_string(w, "kernel", step ? step->kernel : choice->kernel);
    if (choice) write_choice(choice, w);
    if (step && step->flops) put_key_int(w, "flops", step->flops);
    if (step) write_result_shape(plan, n, w);
    nnd_json_end_object(w);
    nnd_json_set_inline(w, false);
}

/* Operators of other domains by their full name: some repeat those of ai.onnx. The forms that the
   layout pass chooses bear their operator's name. */
static void write_kinds(const nnd_pass_stats *stats, nnd_json_writer *w)
{
    nnd_json_begin_object(w);
    for (size_t i = 0; i < stats->kind_count; i++) {
        const nnd_op *op = nnd_brought_own(stats->kinds[i].op);
        static const char *const forms[] = {"", " (blocks in)", " (blocks out)", " (blocks)"};
        char name[128];
        if (!stats->kinds[i].more) continue;
        int form =
            (op->flags & NND_OP_BLOCKED_IN ? 1 : 0) + (op->flags & NND_OP_BLOCKED_OUT ? 2 : 0);
        snprintf(name, sizeof(name), "%s%s%s%s", op->domain, op->domain[0] ? "." : "", op->name,
                 forms[form]);
        nnd_json_key(w, name);
        nnd_json_put_int(w, stats->kinds[i].more);
    }
    nnd_json_end_object(w);
}

static void write_passes(const nnd_engine_model *m, nnd_json_writer *w)
{
    nnd_json_begin_array(w);
    for (size_t i = 0; i < NND_PASS_COUNT; i++) {
        nnd_engine_pass pass = nnd_engine_pass_at(i);
        const nnd_pass_stats *stats = &m->report.passes[pass];
        nnd_json_begin_object(w);
        nnd_json_set_inline(w, true);
        put_key_string(w, "name", nnd_engine_pass_name(pass));
        nnd_json_key(w, "on");
        nnd_json_put_bool(w, (m->passes >> pass & 1u) != 0);
        put_key_int(w, "changes", stats->changes);
        put_key_int(w, "nodes_before", stats->nodes_before);
        put_key_int(w, "nodes_after", (uint64_t)((int64_t)stats->nodes_before - stats->removed));
        nnd_json_key(w, "ms");
        nnd_json_put_number(w, (double)stats->ns * 1e-6);
        nnd_json_key(w, "operators");
        write_kinds(stats, w);
        nnd_json_end_object(w);
        nnd_json_set_inline(w, false);
    }
    nnd_json_end_array(w);
    if (!m->report.dump) return;
    put_key_string(w, "dump_after", nnd_engine_pass_name((nnd_engine_pass)m->report.dump_after));
    put_key_string(w, "dump", m->report.dump);
}

static const char *domain_name(const nnd_engine_opset *opset)
{
    return opset->domain[0] ? opset->domain : "ai.onnx";
}

/* Some tools import ONNX's own domain under both of its names: what it is first says. */
static void write_opsets(const nnd_engine_model_info *info, nnd_json_writer *w)
{
    nnd_json_begin_object(w);
    for (size_t i = 0; i < info->opset_count; i++) {
        const char *name = domain_name(&info->opsets[i]);
        size_t first = 0;
        while (strcmp(domain_name(&info->opsets[first]), name) != 0)
            first++;
        if (first == i) put_key_int(w, name, (uint64_t)info->opsets[i].version);
    }
    nnd_json_end_object(w);
}

static void write_info(const nnd_engine_model *m, const nnd_plan *plan, nnd_json_writer *w)
{
    nnd_engine_model_info info;
    nnd_engine_model_info_of(m, plan, &info);
    put_key_string(w, "format", "onnx");
    put_key_string(w, "producer", info.producer);
    put_key_string(w, "producer_version", info.producer_version);
    put_key_string(w, "graph", info.graph_name);
    put_key_int(w, "ir_version", (uint64_t)info.ir_version);
    nnd_json_key(w, "opsets");
    write_opsets(&info, w);
    nnd_json_key(w, "metadata");
    nnd_json_begin_object(w);
    for (size_t i = 0; i < info.metadata_count; i++)
        put_key_string(w, info.metadata[2 * i], info.metadata[2 * i + 1]);
    nnd_json_end_object(w);
    put_key_int(w, "nodes_in_file", info.nodes_in_file);
    put_key_int(w, "parameters", info.parameters);
    put_key_int(w, "weight_bytes", info.weight_bytes);
    put_key_int(w, "packed_bytes", info.packed_bytes);
    put_key_int(w, "mapped_bytes", info.mapped_bytes);
    put_key_int(w, "resident_bytes", info.resident_bytes);
    put_key_int(w, "predicted_bytes", info.predicted_bytes);
    put_key_int(w, "flops", info.flops);
}

/* As declared, or as the plan knows them. */
static void write_ports(const nnd_engine_port *ports, const uint32_t *values, size_t count,
                        const nnd_plan *plan, nnd_json_writer *w)
{
    nnd_json_begin_array(w);
    for (size_t i = 0; i < count; i++) {
        nnd_engine_port port = ports[i];
        if (plan) nnd_engine_port_refine(&port, plan, values[i]);
        write_port(&port, w);
    }
    nnd_json_end_array(w);
}

static void write_model(const nnd_engine_model *m, const nnd_plan *plan, nnd_json_writer *w)
{
    nnd_json_begin_object(w);
    write_info(m, plan, w);
    nnd_json_key(w, "inputs");
    write_ports(m->inputs, m->graph->inputs, m->input_count, plan, w);
    nnd_json_key(w, "outputs");
    write_ports(m->outputs, m->graph->outputs, m->output_count, plan, w);
    nnd_json_key(w, "operators");
    write_operators(m->graph, w);
    nnd_json_key(w, "passes");
    write_passes(m, w);
    nnd_json_key(w, "nodes");
    nnd_json_begin_array(w);
    for (size_t i = 0; i < m->graph->node_count; i++)
        write_node(m, plan, i, w);
    nnd_json_end_array(w);
    nnd_json_key(w, "memory");
    if (plan)
        nnd_plan_write(plan, w);
    else
        nnd_json_put_null(w);
    nnd_json_end_object(w);
}

nnd_status nnd_engine_model_describe(const nnd_engine_model *m, const nnd_tensor *shapes,
                                     nnd_json_writer *w)
{
    nnd_plan *plan = NULL;
    for (size_t i = 0; shapes && i < m->input_count; i++)
        if (shapes[i].dtype != NND_DTYPE_INVALID || !m->inputs[i].type.optional)
            NND_TRY(nnd_engine_port_check(&m->inputs[i], "input", &shapes[i]));
    if (shapes) NND_TRY(nnd_plan_create(m->graph, shapes, &m->plan_options, &plan));
    write_model(m, plan ? plan : m->plan, w);
    nnd_plan_destroy(plan);
    return NND_OK;
}
