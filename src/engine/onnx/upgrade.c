#include "engine/onnx/upgrade.h"

#include "engine/onnx/outline.h"
#include "engine/onnx/write.h"

#include <string.h>

/* Field numbers of onnx.proto. */
enum {
    MODEL_GRAPH = 7,
    MODEL_OPSET = 8,
    OPSET_DOMAIN = 1,
    OPSET_VERSION = 2,
    GRAPH_NODE = 1,
    GRAPH_INITIALIZER = 5,
    NODE_INPUT = 1,
    NODE_OUTPUT = 2,
    NODE_NAME = 3,
    NODE_OP = 4,
    NODE_ATTRIBUTE = 5,
    ATTRIBUTE_NAME = 1
};
enum { OLDEST = 7, MAX_INPUTS = 8, MAX_VALUES = 64 };

typedef struct upgrade {
    nnd_onnx_outline outline;
    nnd_map names; /* every tensor's, old and new */
    nnd_str nodes, constants;
} upgrade;

/* A node on its way: what is not changed here is copied. */
typedef struct draft {
    const nnd_onnx_outline_node *node;
    const char *op;
    const char *inputs[MAX_INPUTS];
    size_t input_count;
    const char *output;
    const char *drop[4]; /* attributes; NULL = no more */
    nnd_str attributes;  /* new ones, as fields of a NodeProto */
} draft;

static nnd_status no_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to bring a model to operator set %d",
                         NND_ONNX_UPGRADED);
}

/* ---- pieces ------------------------------------------------------------------------------ */

static nnd_status fresh_name(upgrade *u, const char *base, const char *suffix, const char **out)
{
    char *text = nnd_strf("%s.%s", base, suffix);
    for (int i = 2; text && nnd_map_get(&u->names, text); i++) {
        nnd_free(text);
        text = nnd_strf("%s.%s.%d", base, suffix, i);
    }
    *out = text ? nnd_arena_strdup(&u->outline.arena, text) : NULL;
    nnd_free(text);
    return *out ? nnd_map_put(&u->names, *out, u, NULL) : no_memory();
}

/* A new constant, as the next input of the node. */
static nnd_status add_constant(upgrade *u, draft *d, const char *suffix, nnd_dtype dtype, int rank,
                               size_t count, void *data)
{
    const int64_t dims[1] = {(int64_t)count};
    nnd_tensor t;
    nnd_str proto = {0};
    const char *name;
    NND_TRY(fresh_name(u, d->output, suffix, &name));
    NND_TRY(nnd_tensor_init(&t, dtype, rank, dims, data));
    nnd_onnx_put_tensor(&proto, name, &t);
    nnd_pb_put_message(&u->constants, GRAPH_INITIALIZER, &proto);
    d->inputs[d->input_count++] = name;
    return NND_OK;
}

static bool is_dropped(const draft *d, nnd_pb_bytes attribute)
{
    nnd_pb_field f;
    nnd_pb_bytes name = {0};
    bool bad = false;
    while (nnd_pb_next(&attribute, &f, &bad))
        if (f.number == ATTRIBUTE_NAME) name = f.bytes;
    for (size_t i = 0; i < NND_COUNT(d->drop) && d->drop[i]; i++)
        if (nnd_pb_is_text(name, d->drop[i])) return true;
    return false;
}

static void put_draft(upgrade *u, draft *d)
{
    nnd_str s = {0};
    nnd_pb_bytes left = d->node->bytes;
    nnd_pb_field f;
    bool bad = false;
    for (size_t i = 0; i < d->input_count; i++)
        nnd_pb_put_text(&s, NODE_INPUT, d->inputs[i]);
    nnd_pb_put_text(&s, NODE_OUTPUT, d->output);
    for (const uint8_t *begin = left.data; nnd_pb_next(&left, &f, &bad); begin = left.data) {
        const bool ours = f.number == NODE_INPUT || f.number == NODE_OUTPUT || f.number == NODE_OP;
        if (ours || (f.number == NODE_ATTRIBUTE && is_dropped(d, f.bytes))) continue;
        nnd_str_add_n(&s, (const char *)begin, (size_t)(left.data - begin));
    }
    nnd_pb_put_text(&s, NODE_OP, d->op);
    if (d->attributes.size) nnd_str_add_n(&s, d->attributes.data, d->attributes.size);
    s.failed |= d->attributes.failed;
    nnd_str_free(&d->attributes);
    nnd_pb_put_message(&u->nodes, GRAPH_NODE, &s);
}

static nnd_status cannot(const nnd_onnx_outline_node *n, const char *why)
{
    return nnd_error_set(NND_E_UNSUPPORTED,
                         "%s '%s' cannot be brought to operator set %d: %s; convert the model with "
                         "the tool that made it",
                         n->op,
                         n->name[0]        ? n->name
                         : n->output_count ? n->outputs[0]
                                           : "",
                         NND_ONNX_UPGRADED, why);
}

/* ---- operators --------------------------------------------------------------------------- */

/* The integers of an attribute become an input; nothing when the node has it as one already. */
static nnd_status ints_to_input(upgrade *u, draft *d, const char *name, bool is_required)
{
    int64_t values[MAX_VALUES];
    size_t count = 0;
    if (!nnd_onnx_outline_ints(d->node, name, values, MAX_VALUES, &count))
        return is_required ? cannot(d->node, "a setting is missing or too long") : NND_OK;
    return add_constant(u, d, name, NND_I64, 1, count, values);
}

static nnd_status axes_form(upgrade *u, draft *d)
{
    d->drop[0] = "axes";
    d->drop[1] = "split";
    if (d->input_count != 1) return NND_OK;
    return ints_to_input(u, d, strcmp(d->op, "Split") == 0 ? "split" : "axes", false);
}

static nnd_status clip(upgrade *u, draft *d)
{
    float low = nnd_onnx_outline_float(d->node, "min", -3.402823466e38f);
    float high = nnd_onnx_outline_float(d->node, "max", 3.402823466e38f);
    d->drop[0] = "min";
    d->drop[1] = "max";
    NND_TRY(add_constant(u, d, "min", NND_F32, 0, 1, &low));
    return add_constant(u, d, "max", NND_F32, 0, 1, &high);
}

static nnd_status pad(upgrade *u, draft *d)
{
    float value = nnd_onnx_outline_float(d->node, "value", 0);
    d->drop[0] = "pads";
    d->drop[1] = "value";
    NND_TRY(ints_to_input(u, d, "pads", true));
    return add_constant(u, d, "value", NND_F32, 0, 1, &value);
}

static nnd_status slice(upgrade *u, draft *d)
{
    d->drop[0] = "starts";
    d->drop[1] = "ends";
    d->drop[2] = "axes";
    NND_TRY(ints_to_input(u, d, "starts", true));
    NND_TRY(ints_to_input(u, d, "ends", true));
    return ints_to_input(u, d, "axes", false);
}

static void put_text_attribute(nnd_str *s, const char *name, const char *value)
{
    enum { ATTRIBUTE_STRING = 4, ATTRIBUTE_TYPE = 20, TYPE_STRING = 3 };
    nnd_str attribute = {0};
    nnd_pb_put_text(&attribute, ATTRIBUTE_NAME, name);
    nnd_pb_put_text(&attribute, ATTRIBUTE_STRING, value);
    nnd_pb_put_int(&attribute, ATTRIBUTE_TYPE, TYPE_STRING);
    nnd_pb_put_message(s, NODE_ATTRIBUTE, &attribute);
}

/* Upsample of set 9, and Resize of set 10: X, scales. */
static nnd_status resize(draft *d)
{
    if (d->input_count != 2) return cannot(d->node, "its scales are no input");
    d->op = "Resize";
    d->inputs[2] = d->inputs[1];
    d->inputs[1] = "";
    d->input_count = 3;
    put_text_attribute(&d->attributes, "coordinate_transformation_mode", "asymmetric");
    put_text_attribute(&d->attributes, "nearest_mode", "floor");
    return NND_OK;
}

/* Until set 12 all dimensions from `axis` on were one. */
static nnd_status softmax(upgrade *u, draft *d)
{
    const char *x = d->inputs[0], *y = d->output, *shape, *flat, *result;
    const int64_t axis = nnd_onnx_outline_int(d->node, "axis", 1);
    d->drop[0] = "axis";
    NND_TRY(fresh_name(u, y, "shape", &shape));
    NND_TRY(fresh_name(u, y, "flat", &flat));
    NND_TRY(fresh_name(u, y, "result", &result));
    const nnd_onnx_new_node parts[] = {
        {"Shape", "", shape, {x}, shape, NULL, 0},
        {"Flatten", "", flat, {x}, flat, "axis", axis},
        {"Reshape", "", y, {result, shape}, y, NULL, 0},
    };
    nnd_onnx_put_node(&u->nodes, &parts[0]);
    nnd_onnx_put_node(&u->nodes, &parts[1]);
    d->inputs[0] = flat;
    d->output = result;
    put_draft(u, d);
    nnd_onnx_put_node(&u->nodes, &parts[2]);
    return NND_OK;
}

/* Sets 7 to 12 mean the same as 13 with these. */
static bool means_the_same(const char *op)
{
    static const char *const ops[] = {"Abs",
                                      "Acos",
                                      "Add",
                                      "And",
                                      "ArgMax",
                                      "ArgMin",
                                      "Asin",
                                      "Atan",
                                      "AveragePool",
                                      "Cast",
                                      "Ceil",
                                      "Concat",
                                      "Constant",
                                      "ConstantOfShape",
                                      "Conv",
                                      "ConvTranspose",
                                      "Cos",
                                      "CumSum",
                                      "DepthToSpace",
                                      "DequantizeLinear",
                                      "Div",
                                      "Elu",
                                      "Equal",
                                      "Erf",
                                      "Exp",
                                      "Expand",
                                      "EyeLike",
                                      "Flatten",
                                      "Floor",
                                      "GRU",
                                      "Gather",
                                      "GatherElements",
                                      "GatherND",
                                      "Gemm",
                                      "GlobalAveragePool",
                                      "GlobalMaxPool",
                                      "Greater",
                                      "HardSigmoid",
                                      "Identity",
                                      "InstanceNormalization",
                                      "IsNaN",
                                      "LRN",
                                      "LSTM",
                                      "LeakyRelu",
                                      "Less",
                                      "Log",
                                      "LpNormalization",
                                      "MatMul",
                                      "Max",
                                      "MaxPool",
                                      "Mean",
                                      "Min",
                                      "Mod",
                                      "Mul",
                                      "Neg",
                                      "NonMaxSuppression",
                                      "NonZero",
                                      "Not",
                                      "OneHot",
                                      "Or",
                                      "PRelu",
                                      "Pow",
                                      "QuantizeLinear",
                                      "RNN",
                                      "Range",
                                      "Reciprocal",
                                      "ReduceL1",
                                      "ReduceL2",
                                      "ReduceLogSum",
                                      "ReduceLogSumExp",
                                      "ReduceMax",
                                      "ReduceMean",
                                      "ReduceMin",
                                      "ReduceProd",
                                      "ReduceSumSquare",
                                      "Relu",
                                      "Reshape",
                                      "Round",
                                      "ScatterElements",
                                      "ScatterND",
                                      "Selu",
                                      "Shape",
                                      "Sigmoid",
                                      "Sign",
                                      "Sin",
                                      "Size",
                                      "Softplus",
                                      "Softsign",
                                      "SpaceToDepth",
                                      "Sqrt",
                                      "Sub",
                                      "Sum",
                                      "Tan",
                                      "Tanh",
                                      "ThresholdedRelu",
                                      "Tile",
                                      "Transpose",
                                      "Where",
                                      "Xor"};
    for (size_t i = 0; i < NND_COUNT(ops); i++)
        if (strcmp(op, ops[i]) == 0) return true;
    return false;
}

typedef enum change { SAME, CHANGED, WRITTEN, UNKNOWN } change;

static bool is_one_of(const char *op, const char *const *names)
{
    for (; *names; names++)
        if (strcmp(op, *names) == 0) return true;
    return false;
}

/* What a change before set 13 has not reached any more, besides means_the_same. */
static bool is_settled(const char *op, int64_t from)
{
    static const char *const since_9[] = {"BatchNormalization", NULL};
    static const char *const since_10[] = {"Slice", NULL};
    static const char *const since_11[] = {"Clip", "Pad", "Resize", "TopK", NULL};
    return (from >= 9 && is_one_of(op, since_9)) || (from >= 10 && is_one_of(op, since_10)) ||
           (from >= 11 && is_one_of(op, since_11)) || means_the_same(op);
}

static nnd_status batch_normalisation(draft *d)
{
    d->drop[0] = "spatial";
    if (nnd_onnx_outline_int(d->node, "spatial", 1)) return NND_OK;
    return cannot(d->node, "it normalises each place for itself");
}

/* CHANGED: the draft is to be written; WRITTEN: it has been. */
static nnd_status change_node(upgrade *u, draft *d, change *out)
{
    static const char *const with_axes[] = {"Squeeze", "Unsqueeze", "ReduceSum", NULL};
    static const char *const softmaxes[] = {"Softmax", "LogSoftmax", NULL};
    static const char *const scaled[] = {"Upsample", "Resize", NULL};
    const char *op = d->op;
    if (is_settled(op, u->outline.opset)) return NND_OK;
    *out = CHANGED;
    if (is_one_of(op, with_axes)) return axes_form(u, d);
    if (is_one_of(op, softmaxes)) {
        /* -1 is the default of today. */
        if (nnd_onnx_outline_int(d->node, "axis", 1) == -1) return NND_OK;
        *out = WRITTEN;
        return softmax(u, d);
    }
    if (strcmp(op, "Clip") == 0) return clip(u, d);
    if (strcmp(op, "Pad") == 0) return pad(u, d);
    if (strcmp(op, "Slice") == 0) return slice(u, d);
    if (is_one_of(op, scaled)) return resize(d);
    if (strcmp(op, "BatchNormalization") == 0) return batch_normalisation(d);
    d->drop[0] = "ratio";
    if (strcmp(op, "Dropout") != 0 || d->node->output_count != 1) *out = UNKNOWN;
    return NND_OK;
}

/* Several outputs of a Split: written with the draft's inputs, attributes and all outputs. */
static nnd_status split(upgrade *u, draft *d)
{
    const nnd_onnx_outline_node *n = d->node;
    nnd_pb_bytes left = n->bytes;
    nnd_pb_field f;
    bool bad = false;
    nnd_str rest = {0}, s = {0};
    NND_TRY(axes_form(u, d));
    for (const uint8_t *begin = left.data; nnd_pb_next(&left, &f, &bad); begin = left.data)
        if (f.number != NODE_ATTRIBUTE || !is_dropped(d, f.bytes))
            nnd_str_add_n(&rest, (const char *)begin, (size_t)(left.data - begin));
    const nnd_pb_bytes again = {(const uint8_t *)rest.data, rest.size};
    if (!rest.failed)
        nnd_onnx_put_node_again(&s, again, d->inputs, d->input_count, n->outputs, n->output_count);
    if (s.size) nnd_str_add_n(&u->nodes, s.data, s.size);
    u->nodes.failed |= rest.failed || s.failed;
    nnd_str_free(&rest);
    nnd_str_free(&s);
    return NND_OK;
}

static nnd_status upgrade_node(upgrade *u, const nnd_onnx_outline_node *n)
{
    draft d = {.node = n, .op = n->op};
    change what = SAME;
    if (!n->domain[0]) {
        if (!n->output_count) return cannot(n, "it has no output");
        /* Room for the inputs that are added; operators of more inputs get none. */
        for (size_t i = 0; i < n->input_count && i + 3 < MAX_INPUTS; i++)
            d.inputs[d.input_count++] = n->inputs[i];
        d.output = n->outputs[0];
        if (strcmp(n->op, "Split") == 0) return split(u, &d);
        const nnd_status status = change_node(u, &d, &what);
        if (status != NND_OK) nnd_str_free(&d.attributes);
        NND_TRY(status);
    }
    if (what == UNKNOWN) return cannot(n, "the operator is not known here");
    if (what != SAME && n->output_count != 1 && n->outputs[1][0])
        return cannot(n, "it has several outputs");
    if (what == CHANGED) put_draft(u, &d);
    if (what == SAME) nnd_pb_put_bytes(&u->nodes, GRAPH_NODE, n->bytes.data, n->bytes.size);
    return u->nodes.failed || u->constants.failed ? no_memory() : NND_OK;
}

/* ---- the whole --------------------------------------------------------------------------- */

static nnd_status note_names(upgrade *u)
{
    const nnd_onnx_outline *o = &u->outline;
    for (size_t i = 0; i < o->nodes.count; i++)
        for (size_t k = 0; k < o->nodes.items[i].output_count; k++)
            NND_TRY(nnd_map_put(&u->names, o->nodes.items[i].outputs[k], u, NULL));
    for (size_t i = 0; i < o->constants.count; i++)
        NND_TRY(nnd_map_put(&u->names, o->constants.items[i].name, u, NULL));
    for (size_t i = 0; i < o->inputs.count; i++)
        NND_TRY(nnd_map_put(&u->names, o->inputs.items[i], u, NULL));
    return NND_OK;
}

static bool is_default_opset(nnd_pb_bytes opset)
{
    nnd_pb_field f;
    nnd_pb_bytes domain = {0};
    bool bad = false;
    while (nnd_pb_next(&opset, &f, &bad))
        if (f.number == OPSET_DOMAIN) domain = f.bytes;
    return !domain.size || nnd_pb_is_text(domain, "ai.onnx");
}

static void put_graph(upgrade *u, nnd_str *out)
{
    nnd_pb_bytes left = u->outline.graph;
    nnd_pb_field f;
    nnd_str graph = {0};
    bool bad = false;
    if (u->nodes.size) nnd_str_add_n(&graph, u->nodes.data, u->nodes.size);
    for (const uint8_t *begin = left.data; nnd_pb_next(&left, &f, &bad); begin = left.data)
        if (f.number != GRAPH_NODE)
            nnd_str_add_n(&graph, (const char *)begin, (size_t)(left.data - begin));
    if (u->constants.size) nnd_str_add_n(&graph, u->constants.data, u->constants.size);
    nnd_pb_put_message(out, MODEL_GRAPH, &graph);
}

static void put_model(upgrade *u, nnd_str *out)
{
    nnd_pb_bytes left = u->outline.file;
    nnd_pb_field f;
    nnd_str opset = {0};
    bool bad = false;
    for (const uint8_t *begin = left.data; nnd_pb_next(&left, &f, &bad); begin = left.data)
        if (f.number != MODEL_GRAPH && (f.number != MODEL_OPSET || !is_default_opset(f.bytes)))
            nnd_str_add_n(out, (const char *)begin, (size_t)(left.data - begin));
    nnd_pb_put_int(&opset, OPSET_VERSION, NND_ONNX_UPGRADED);
    nnd_pb_put_message(out, MODEL_OPSET, &opset);
    put_graph(u, out);
}

static nnd_status upgrade_model(upgrade *u, nnd_str *out)
{
    const nnd_onnx_outline *o = &u->outline;
    if (o->opset >= NND_ONNX_UPGRADED) return NND_OK;
    if (o->opset < OLDEST)
        return nnd_error_set(NND_E_UNSUPPORTED,
                             "operator set %lld is too old to be brought to %d; convert the model "
                             "with the tool that made it",
                             (long long)o->opset, NND_ONNX_UPGRADED);
    if (o->has_inner_nodes)
        return nnd_error_set(NND_E_UNSUPPORTED,
                             "a model of operator set %lld with sub-graphs or functions cannot be "
                             "brought to %d; convert it with the tool that made it",
                             (long long)o->opset, NND_ONNX_UPGRADED);
    NND_TRY(note_names(u));
    for (size_t i = 0; i < o->nodes.count; i++)
        NND_TRY(upgrade_node(u, &o->nodes.items[i]));
    put_model(u, out);
    return out->failed ? no_memory() : NND_OK;
}

nnd_status nnd_onnx_upgrade(const void *bytes, size_t size, void **out, size_t *out_size)
{
    upgrade u = {0};
    nnd_str model = {0};
    char *text = NULL;
    *out = NULL;
    nnd_status status = nnd_onnx_outline_read_names(&u.outline, bytes, size);
    if (status == NND_OK) status = upgrade_model(&u, &model);
    if (status == NND_OK && model.size) {
        status = nnd_str_take(&model, &text, out_size);
        if (status == NND_OK) *out = text;
    }
    nnd_str_free(&model);
    nnd_str_free(&u.nodes);
    nnd_str_free(&u.constants);
    nnd_map_fini(&u.names);
    nnd_onnx_outline_fini(&u.outline);
    return status;
}
