/* A changed ONNX file: what is not changed is copied as it stands. */
#include "infer/quantize/internal.h"

#include <string.h>

/* Field numbers of onnx.proto. */
enum {
    MODEL_IR = 1,
    MODEL_GRAPH = 7,
    GRAPH_NODE = 1,
    GRAPH_INITIALIZER = 5,
    GRAPH_INPUT = 11,
    GRAPH_OUTPUT = 12,
    GRAPH_VALUE_INFO = 13,
    VALUE_NAME = 1
};
/* The version of the format that came with operator set 13. */
enum { MINIMUM_IR = 7 };

nnd_status quant_name(nnd_quantize *q, const char *base, const char *suffix, const char **out)
{
    char *text = nnd_strf("%s%s", base, suffix);
    for (int i = 2; text && (nnd_map_get(&q->names, text) || nnd_map_get(&q->new_names, text));
         i++) {
        nnd_free(text);
        text = nnd_strf("%s%s.%d", base, suffix, i);
    }
    *out = text ? nnd_arena_strdup(&q->naming, text) : NULL;
    nnd_free(text);
    return *out ? nnd_map_put(&q->new_names, *out, q, NULL) : quant_no_memory();
}

nnd_status quant_put_node(quant_file *f, const nnd_onnx_new_node *node)
{
    for (size_t i = 0; i < NND_COUNT(node->inputs) && node->inputs[i]; i++)
        NND_TRY(nnd_map_put(&f->used, node->inputs[i], f, NULL));
    NND_TRY(nnd_map_put(&f->written, node->output, f, NULL));
    nnd_onnx_put_node(&f->nodes, node);
    return f->nodes.failed ? quant_no_memory() : NND_OK;
}

nnd_status quant_put_constant(quant_file *f, const char *name, nnd_dtype dtype, int rank,
                              const int64_t *dims, const void *data)
{
    nnd_tensor t;
    nnd_str proto = {0};
    union {
        const void *in;
        void *out;
    } cast = {data};
    NND_TRY(nnd_tensor_init(&t, dtype, rank, dims, cast.out));
    nnd_onnx_put_tensor(&proto, name, &t);
    nnd_pb_put_message(&f->constants, GRAPH_INITIALIZER, &proto);
    return f->constants.failed ? quant_no_memory() : NND_OK;
}

/* ---- what stays ---------------------------------------------------------------------------- */

bool quant_is_read(const quant_file *f, const char *name)
{
    const nnd_onnx_outline *o = &f->q->outline;
    for (size_t i = 0; i < o->outputs.count; i++)
        if (strcmp(o->outputs.items[i], name) == 0) return true;
    return nnd_map_get(&f->used, name) || nnd_map_get(&o->captured, name);
}

/* Elements in another file come into this one. */
static nnd_status keep_constant(quant_file *f, const nnd_onnx_constant *c)
{
    if (c->is_external)
        return quant_put_constant(f, c->name, c->tensor.dtype, c->tensor.rank, c->tensor.dims,
                                  c->tensor.data);
    nnd_pb_put_bytes(&f->constants, GRAPH_INITIALIZER, c->bytes.data, c->bytes.size);
    return f->constants.failed ? quant_no_memory() : NND_OK;
}

static nnd_status keep_constants(quant_file *f)
{
    const nnd_onnx_outline *o = &f->q->outline;
    for (size_t i = 0; i < o->constants.count; i++) {
        const nnd_onnx_constant *c = &o->constants.items[i];
        if (!c->is_initializer || nnd_map_get(&f->written, c->name) || !quant_is_read(f, c->name))
            continue;
        NND_TRY(keep_constant(f, c));
        NND_TRY(nnd_map_put(&f->written, c->name, f, NULL));
    }
    return NND_OK;
}

/* The name in a ValueInfoProto. */
static bool value_is_in(nnd_pb_bytes value, const nnd_map *map)
{
    nnd_pb_field f;
    bool bad = false;
    nnd_pb_bytes name = {0};
    while (nnd_pb_next(&value, &f, &bad))
        if (f.number == VALUE_NAME) name = f.bytes;
    return name.size && nnd_map_get_n(map, (const char *)name.data, name.size);
}

/* Types of values that are gone would be types of nothing, and inputs that have a default would be
   no constants. */
static bool field_stays(const quant_file *f, const nnd_pb_field *field)
{
    if (field->number == GRAPH_NODE || field->number == GRAPH_INITIALIZER) return false;
    if (field->number == GRAPH_OUTPUT) return !f->q->hide_outputs;
    if (field->number == GRAPH_INPUT) return !value_is_in(field->bytes, &f->q->outline.constant_at);
    return field->number != GRAPH_VALUE_INFO || value_is_in(field->bytes, &f->written);
}

/* ---- the whole ----------------------------------------------------------------------------- */

static void put_graph(quant_file *f, nnd_str *out)
{
    nnd_pb_bytes left = f->q->outline.graph;
    nnd_str graph = {0};
    nnd_pb_field field;
    bool bad = false;
    if (f->nodes.size) nnd_str_add_n(&graph, f->nodes.data, f->nodes.size);
    for (const uint8_t *begin = left.data; nnd_pb_next(&left, &field, &bad); begin = left.data)
        if (field_stays(f, &field))
            nnd_str_add_n(&graph, (const char *)begin, (size_t)(left.data - begin));
    if (f->constants.size) nnd_str_add_n(&graph, f->constants.data, f->constants.size);
    nnd_pb_put_message(out, MODEL_GRAPH, &graph);
}

static void put_model(quant_file *f, nnd_str *out)
{
    const nnd_onnx_outline *o = &f->q->outline;
    nnd_pb_bytes left = o->file;
    nnd_pb_field field;
    bool bad = false;
    nnd_pb_put_int(out, MODEL_IR,
                   (uint64_t)(o->ir_version < MINIMUM_IR ? MINIMUM_IR : o->ir_version));
    for (const uint8_t *begin = left.data; nnd_pb_next(&left, &field, &bad); begin = left.data)
        if (field.number != MODEL_IR && field.number != MODEL_GRAPH)
            nnd_str_add_n(out, (const char *)begin, (size_t)(left.data - begin));
    put_graph(f, out);
}

nnd_status quant_file_finish(quant_file *f)
{
    nnd_str *out = &f->q->result;
    nnd_str_free(out);
    NND_TRY(keep_constants(f));
    put_model(f, out);
    if (out->failed) return quant_no_memory();
    if (out->size <= INT32_MAX) return NND_OK;
    return nnd_error_set(NND_E_LIMIT,
                         "the new model would have %zu bytes; an ONNX file that holds its weights "
                         "may have 2 GiB: split the model, or exclude less",
                         out->size);
}

void quant_file_fini(quant_file *f)
{
    nnd_str_free(&f->nodes);
    nnd_str_free(&f->constants);
    nnd_map_fini(&f->used);
    nnd_map_fini(&f->written);
}
