/* Loading the saved form. What the JSON says goes through the calls of nndeploy/ir.h, so that a
   file and a program meet the same checks, and every complaint is collected with its line. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/ir/ir.h"
#include "engine/ir/safetensors.h"
#include "engine/runtime/file.h"

typedef struct loader {
    nnd_ir *ir;
    nnd_safetensors weights;
} loader;

static nnd_status out_of_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to load a graph");
}

/* A complaint is remembered and reading goes on; anything else ends it. */
static nnd_status go_on(nnd_status status)
{
    return status == NND_E_FORMAT ? NND_OK : status;
}

/* ---- JSON ---------------------------------------------------------------------------------- */

static nnd_status complain(loader *l, const nnd_json *at, const char *what)
{
    if (at) l->ir->line = nnd_json_line(at);
    return nnd_ir_problem(l->ir, "%s", what);
}

/* A text without NUL, or NULL. */
static const char *text_of(const nnd_json *json)
{
    const char *text = nnd_json_string(json, NULL);
    return text && strlen(text) == nnd_json_string_size(json) ? text : NULL;
}

/* An object whose members are all among `keys`, separated by blanks. */
static nnd_status want_object(loader *l, const nnd_json *json, const char *what, const char *keys)
{
    if (nnd_json_get_type(json) != NND_JSON_OBJECT) return complain(l, json, what);
    nnd_status status = NND_OK;
    for (size_t i = 0; i < nnd_json_count(json); i++) {
        const char *key = nnd_json_key_at(json, i);
        size_t n = strlen(key);
        bool known = false;
        for (const char *p = keys; *p && !known; p += strspn(p, " ")) {
            size_t word = strcspn(p, " ");
            known = word == n && memcmp(p, key, n) == 0;
            p += word;
        }
        if (known) continue;
        l->ir->line = nnd_json_line(nnd_json_at(json, i));
        status = nnd_ir_problem(l->ir, "unknown field '%s'; there are: %s", key, keys);
    }
    return status;
}

typedef nnd_status (*item_reader)(loader *l, nnd_ir_graph *graph, const nnd_json *item);

/* Hands every item of an optional list to its reader. */
static nnd_status each(loader *l, nnd_ir_graph *graph, const nnd_json *object, const char *key,
                       item_reader read)
{
    const nnd_json *list = nnd_json_get(object, key);
    if (!list) return NND_OK;
    if (nnd_json_get_type(list) != NND_JSON_ARRAY)
        return go_on(complain(l, list, "a list is wanted here"));
    for (size_t i = 0; i < nnd_json_count(list); i++) {
        l->ir->line = nnd_json_line(nnd_json_at(list, i));
        NND_TRY(go_on(read(l, graph, nnd_json_at(list, i))));
    }
    return NND_OK;
}

/* ---- types --------------------------------------------------------------------------------- */

static nnd_status read_shape(loader *l, const nnd_json *shape, nnd_ir_type *out)
{
    size_t rank = nnd_json_count(shape);
    if (nnd_json_get_type(shape) != NND_JSON_ARRAY || rank > NND_MAX_RANK)
        return complain(l, shape, "a shape is a list of at most 8 dimensions");
    out->rank = (int32_t)rank;
    for (size_t i = 0; i < rank; i++) {
        const nnd_json *dim = nnd_json_at(shape, i);
        nnd_json_type type = nnd_json_get_type(dim);
        out->dims[i] = (nnd_dim){-1, NULL};
        if (type == NND_JSON_NULL) continue;
        if (type == NND_JSON_STRING)
            out->dims[i].symbol = text_of(dim);
        else if (!nnd_json_int(dim, &out->dims[i].value) || out->dims[i].value < 0)
            return complain(l, dim, "a dimension is a count, a name, or null");
        if (type == NND_JSON_STRING && !out->dims[i].symbol)
            return complain(l, dim, "a dimension's name is a text without NUL");
    }
    return NND_OK;
}

static nnd_status read_type(loader *l, const nnd_json *json, nnd_ir_type *out)
{
    static const nnd_port_kind kinds[] = {[NND_KIND_TENSOR] = NND_PORT_TENSOR,
                                          [NND_KIND_SEQUENCE] = NND_PORT_SEQUENCE,
                                          [NND_KIND_MAP] = NND_PORT_MAP};
    const nnd_json *text = nnd_json_get(json, "type"), *shape = nnd_json_get(json, "shape");
    nnd_engine_type type = {0};
    *out = (nnd_ir_type){.rank = -1};
    if (text && (!text_of(text) || !nnd_ir_type_parse(text_of(text), &type, &out->dtype)))
        return complain(l, text, "unknown type");
    out->kind = kinds[type.kind];
    out->element = kinds[type.element];
    out->key = type.key;
    out->optional = type.optional;
    return shape ? read_shape(l, shape, out) : NND_OK;
}

static nnd_status read_value(loader *l, const nnd_json *item, const char **name, nnd_ir_type *type)
{
    NND_TRY(want_object(l, item, "a value is an object", "name type shape"));
    *name = text_of(nnd_json_get(item, "name"));
    if (!*name) return complain(l, item, "a value needs a 'name'");
    return read_type(l, item, type);
}

static nnd_status read_input(loader *l, nnd_ir_graph *graph, const nnd_json *item)
{
    const char *name;
    nnd_ir_type type;
    NND_TRY(read_value(l, item, &name, &type));
    return nnd_ir_add_input(graph, name, &type);
}

static nnd_status read_output(loader *l, nnd_ir_graph *graph, const nnd_json *item)
{
    const char *name;
    nnd_ir_type type;
    NND_TRY(read_value(l, item, &name, &type));
    return nnd_ir_add_output(graph, name, &type);
}

static nnd_status read_hint(loader *l, nnd_ir_graph *graph, const nnd_json *item)
{
    const char *name;
    nnd_ir_type type;
    NND_TRY(read_value(l, item, &name, &type));
    return nnd_ir_set_type(graph, name, &type);
}

/* ---- tensors ------------------------------------------------------------------------------- */

static nnd_status unpack_strings(loader *l, const nnd_json *at, nnd_arena *arena,
                                 const nnd_tensor *packed, nnd_tensor *out)
{
    size_t count = (size_t)nnd_tensor_count(out), left = nnd_tensor_bytes(packed);
    const uint8_t *p = packed->data;
    if (count > left / 4) return complain(l, at, "a tensor has fewer strings than its shape says");
    nnd_string *items = nnd_arena_calloc(arena, count ? count : 1, sizeof(*items));
    if (!items) return out_of_memory();
    for (size_t i = 0; i < count; i++) {
        if (left < 4) return complain(l, at, "a tensor of strings ends too early");
        uint32_t size =
            (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
        p += 4;
        left -= 4;
        if (size > left) return complain(l, at, "a tensor of strings ends too early");
        items[i] = (nnd_string){nnd_arena_strdup_n(arena, (const char *)p, size), size};
        if (!items[i].text) return out_of_memory();
        p += size;
        left -= size;
    }
    out->data = items;
    return left ? complain(l, at, "a tensor of strings has bytes left over") : NND_OK;
}

/* The tensor that `json` names ("tensor", else `name`), read as its "type" and "shape" say. */
static nnd_status read_tensor(loader *l, const nnd_json *json, const char *name, nnd_arena *arena,
                              nnd_tensor *out)
{
    const nnd_json *key = nnd_json_get(json, "tensor");
    nnd_ir_type type;
    nnd_tensor stored;
    int64_t dims[NND_MAX_RANK];
    if (key) name = text_of(key);
    NND_TRY(read_type(l, json, &type));
    nnd_status status = name ? nnd_safetensors_find(&l->weights, name, &stored) : NND_E_NOT_FOUND;
    if (status == NND_E_NOT_FOUND)
        return nnd_ir_problem(l->ir, "there is no tensor '%s' among the weights", name ? name : "");
    NND_TRY(status);
    *out = stored;
    if (!nnd_json_get(json, "type")) return NND_OK;
    for (int i = 0; i < type.rank; i++)
        dims[i] = type.dims[i].value;
    if (type.kind != NND_PORT_TENSOR || stored.dtype != NND_U8 || stored.rank != 1 ||
        type.rank < 0 || nnd_tensor_init(out, type.dtype, type.rank, dims, stored.data) != NND_OK)
        return nnd_ir_problem(l->ir, "tensor '%s' is not stored as the bytes of that type", name);
    if (out->dtype == NND_STRING) return unpack_strings(l, json, arena, &stored, out);
    if (nnd_tensor_bytes(out) != nnd_tensor_bytes(&stored))
        return nnd_ir_problem(l->ir, "tensor '%s' has not the size of that type and shape", name);
    return NND_OK;
}

static nnd_status read_constant(loader *l, nnd_ir_graph *graph, const nnd_json *item)
{
    nnd_tensor t;
    NND_TRY(want_object(l, item, "a constant is an object", "name tensor type shape"));
    const char *name = text_of(nnd_json_get(item, "name"));
    if (!name) return complain(l, item, "a constant needs a 'name'");
    NND_TRY(read_tensor(l, item, name, &graph->graph->arena, &t));
    return nnd_ir_add_constant(graph, name, &t);
}

/* ---- attributes ---------------------------------------------------------------------------- */

static bool float_of(const nnd_json *json, float *out)
{
    static const struct {
        const char *text;
        float value;
    } special[] = {{"nan", NAN}, {"inf", INFINITY}, {"-inf", -INFINITY}, {"-0", -0.0f}};
    const char *text = text_of(json);
    for (size_t i = 0; text && i < NND_COUNT(special); i++)
        if (strcmp(text, special[i].text) == 0) {
            *out = special[i].value;
            return true;
        }
    if (nnd_json_get_type(json) != NND_JSON_NUMBER) return false;
    *out = (float)nnd_json_number(json, 0);
    return true;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A text, or {"hex": "…"} for bytes that are none. */
static bool string_of(const nnd_json *json, nnd_arena *scratch, nnd_string *out)
{
    const char *text = nnd_json_string(json, NULL);
    *out = (nnd_string){text, nnd_json_string_size(json)};
    if (text) return true;
    const nnd_json *member = nnd_json_get(json, "hex");
    const char *hex = nnd_json_string(member, NULL);
    size_t size = nnd_json_string_size(member);
    char *bytes = hex && nnd_json_count(json) == 1 && size % 2 == 0
                      ? nnd_arena_calloc(scratch, size / 2 + 1, 1)
                      : NULL;
    if (!bytes) return false;
    for (size_t i = 0; i < size; i += 2) {
        int high = hex_digit(hex[i]), low = hex_digit(hex[i + 1]);
        if (high < 0 || low < 0) return false;
        bytes[i / 2] = (char)(uint8_t)(high << 4 | low);
    }
    *out = (nnd_string){bytes, size / 2};
    return true;
}

static nnd_status read_list(loader *l, const nnd_json *list, nnd_arena *scratch,
                            nnd_ir_attribute *a)
{
    static const size_t sizes[] = {[NND_IR_ATTRIBUTE_INTS] = sizeof(int64_t),
                                   [NND_IR_ATTRIBUTE_FLOATS] = sizeof(float),
                                   [NND_IR_ATTRIBUTE_STRINGS] = sizeof(nnd_string)};
    if (nnd_json_get_type(list) != NND_JSON_ARRAY)
        return complain(l, list, "a list is wanted here");
    a->count = nnd_json_count(list);
    void *items = nnd_arena_calloc(scratch, a->count + 1, sizes[a->kind]);
    if (!items) return out_of_memory();
    for (size_t i = 0; i < a->count; i++) {
        const nnd_json *item = nnd_json_at(list, i);
        bool fine = a->kind == NND_IR_ATTRIBUTE_INTS ? nnd_json_int(item, (int64_t *)items + i)
                    : a->kind == NND_IR_ATTRIBUTE_FLOATS
                        ? float_of(item, (float *)items + i)
                        : string_of(item, scratch, (nnd_string *)items + i);
        if (!fine) return complain(l, item, "an item of the list is of another kind");
    }
    a->ints = items;
    a->floats = items;
    a->strings = items;
    return NND_OK;
}

static nnd_status read_graph(loader *l, nnd_ir_graph *graph, const nnd_json *json);

static nnd_status read_attribute(loader *l, nnd_ir_graph *graph, const nnd_json *json,
                                 nnd_arena *scratch, nnd_ir_attribute *a)
{
    static const char *const keys[] = {
        [NND_IR_ATTRIBUTE_INT] = "int",       [NND_IR_ATTRIBUTE_FLOAT] = "float",
        [NND_IR_ATTRIBUTE_STRING] = "string", [NND_IR_ATTRIBUTE_TENSOR] = "tensor",
        [NND_IR_ATTRIBUTE_GRAPH] = "graph",   [NND_IR_ATTRIBUTE_INTS] = "ints",
        [NND_IR_ATTRIBUTE_FLOATS] = "floats", [NND_IR_ATTRIBUTE_STRINGS] = "strings"};
    const nnd_json *value = NULL;
    for (int kind = NND_IR_ATTRIBUTE_INT; kind <= NND_IR_ATTRIBUTE_STRINGS && !value; kind++) {
        value = nnd_json_get(json, keys[kind]);
        a->kind = (nnd_ir_attribute_kind)kind;
    }
    if (!value || (nnd_json_count(json) != 1 && a->kind != NND_IR_ATTRIBUTE_TENSOR))
        return complain(l, json,
                        "an attribute is an object with one of: int, float, string, "
                        "tensor, graph, ints, floats, strings");
    nnd_tensor *tensor;
    switch (a->kind) {
    case NND_IR_ATTRIBUTE_INT:
        if (nnd_json_int(value, &a->i)) return NND_OK;
        break;
    case NND_IR_ATTRIBUTE_FLOAT:
        if (float_of(value, &a->f)) return NND_OK;
        break;
    case NND_IR_ATTRIBUTE_STRING:
        if (string_of(value, scratch, &a->s)) return NND_OK;
        break;
    case NND_IR_ATTRIBUTE_TENSOR:
        a->tensor = tensor = nnd_arena_calloc(scratch, 1, sizeof(*tensor));
        if (!tensor) return out_of_memory();
        NND_TRY(want_object(l, json, "an attribute", "tensor type shape"));
        return read_tensor(l, json, "", &graph->graph->arena, tensor);
    case NND_IR_ATTRIBUTE_GRAPH:
        NND_TRY(nnd_ir_add_body(graph, a->name, &a->graph));
        return read_graph(l, a->graph, value);
    default:
        return read_list(l, value, scratch, a);
    }
    return complain(l, value, "the value of an attribute is of another kind");
}

/* ---- nodes --------------------------------------------------------------------------------- */

static nnd_status read_names(loader *l, const nnd_json *node, const char *key, nnd_arena *scratch,
                             const char *const **names, size_t *count)
{
    const nnd_json *list = nnd_json_get(node, key);
    if (list && nnd_json_get_type(list) != NND_JSON_ARRAY)
        return complain(l, list, "a list of names is wanted here");
    *count = nnd_json_count(list);
    const char **items = nnd_arena_calloc(scratch, *count + 1, sizeof(*items));
    if (!items) return out_of_memory();
    for (size_t i = 0; i < *count; i++)
        if (!(items[i] = text_of(nnd_json_at(list, i))))
            return complain(l, list, "a list of names is wanted here");
    *names = items;
    return NND_OK;
}

static nnd_status read_attributes(loader *l, nnd_ir_graph *graph, const nnd_json *object,
                                  nnd_arena *scratch, nnd_ir_node *node)
{
    if (!object) return NND_OK;
    if (nnd_json_get_type(object) != NND_JSON_OBJECT)
        return complain(l, object, "'attributes' is an object");
    nnd_ir_attribute *items = nnd_arena_calloc(scratch, nnd_json_count(object) + 1, sizeof(*items));
    if (!items) return out_of_memory();
    for (size_t i = 0; i < nnd_json_count(object); i++) {
        items[i].name = nnd_json_key_at(object, i);
        if (strlen(items[i].name) != nnd_json_key_size(object, i))
            return complain(l, object, "the name of an attribute has a NUL in it");
        NND_TRY(read_attribute(l, graph, nnd_json_at(object, i), scratch, &items[i]));
    }
    node->attributes = items;
    node->attribute_count = nnd_json_count(object);
    return NND_OK;
}

static nnd_status read_node_with(loader *l, nnd_ir_graph *graph, const nnd_json *item,
                                 nnd_arena *scratch)
{
    nnd_ir_node node = {0};
    const nnd_json *domain = nnd_json_get(item, "domain"), *name = nnd_json_get(item, "name");
    const nnd_json *opset = nnd_json_get(item, "opset");
    NND_TRY(want_object(l, item, "a node is an object",
                        "op domain opset name inputs outputs attributes"));
    node.op = text_of(nnd_json_get(item, "op"));
    node.domain = domain ? text_of(domain) : "";
    node.name = name ? text_of(name) : "";
    if (!node.op || !node.domain || !node.name ||
        (opset && (!nnd_json_int(opset, &node.opset) || node.opset < 0)))
        return complain(l, item, "a node needs an 'op', and texts as 'domain' and 'name'");
    NND_TRY(read_names(l, item, "inputs", scratch, &node.inputs, &node.input_count));
    NND_TRY(read_names(l, item, "outputs", scratch, &node.outputs, &node.output_count));
    NND_TRY(read_attributes(l, graph, nnd_json_get(item, "attributes"), scratch, &node));
    l->ir->line = nnd_json_line(item);
    return nnd_ir_add_node(graph, &node);
}

static nnd_status read_node(loader *l, nnd_ir_graph *graph, const nnd_json *item)
{
    nnd_arena scratch = {0};
    nnd_status status = read_node_with(l, graph, item, &scratch);
    nnd_arena_fini(&scratch);
    return status;
}

static nnd_status read_graph(loader *l, nnd_ir_graph *graph, const nnd_json *json)
{
    NND_TRY(
        want_object(l, json, "a graph is an object", "name inputs constants nodes outputs values"));
    NND_TRY(each(l, graph, json, "constants", read_constant));
    NND_TRY(each(l, graph, json, "inputs", read_input));
    NND_TRY(each(l, graph, json, "nodes", read_node));
    NND_TRY(each(l, graph, json, "outputs", read_output));
    return each(l, graph, json, "values", read_hint);
}

/* ---- the document -------------------------------------------------------------------------- */

static nnd_status read_opset(loader *l, nnd_ir_graph *graph, const nnd_json *item)
{
    int64_t version;
    (void)graph;
    NND_TRY(want_object(l, item, "an operator set is an object", "domain version"));
    const char *domain = text_of(nnd_json_get(item, "domain"));
    if (!domain || !nnd_json_int(nnd_json_get(item, "version"), &version))
        return complain(l, item, "an operator set has a 'domain' and a 'version'");
    return nnd_ir_import(l->ir, domain, version);
}

static nnd_status read_metadata(loader *l, nnd_ir_graph *graph, const nnd_json *item)
{
    nnd_onnx_model *m = &l->ir->source;
    (void)graph;
    for (size_t i = 0; i < 2; i++) {
        const char *text = text_of(nnd_json_at(item, i));
        if (!text || nnd_json_count(item) != 2)
            return complain(l, item, "'metadata' is a list of pairs of texts");
        m->metadata[2 * m->metadata_count + i] = nnd_arena_strdup(&m->arena, text);
        if (!m->metadata[2 * m->metadata_count + i]) return out_of_memory();
    }
    m->metadata_count++;
    return NND_OK;
}

static nnd_status copy_text(loader *l, const nnd_json *root, const char *key, const char **out)
{
    const nnd_json *json = nnd_json_get(root, key);
    const char *text = json ? text_of(json) : "";
    if (!text) return go_on(complain(l, json, "a text is wanted here"));
    *out = nnd_arena_strdup(&l->ir->source.arena, text);
    return *out ? NND_OK : out_of_memory();
}

static nnd_status read_envelope(loader *l, const nnd_json *root)
{
    nnd_onnx_model *m = &l->ir->source;
    size_t pairs = nnd_json_count(nnd_json_get(root, "metadata"));
    m->metadata = nnd_arena_calloc(&m->arena, 2 * pairs + 1, sizeof(*m->metadata));
    if (!m->metadata) return out_of_memory();
    NND_TRY(copy_text(l, root, "producer", &m->producer));
    NND_TRY(copy_text(l, root, "producer_version", &m->producer_version));
    NND_TRY(copy_text(l, root, "doc", &m->doc));
    (void)nnd_json_int(nnd_json_get(root, "ir_version"), &m->ir_version);
    (void)nnd_json_int(nnd_json_get(root, "model_version"), &m->model_version);
    NND_TRY(each(l, NULL, root, "opsets", read_opset));
    return each(l, NULL, root, "metadata", read_metadata);
}

/* Both files are replaced one after the other; when that was cut off between them, the constants
   are those of another version, and nothing else would tell. */
static nnd_status check_weights(loader *l, const nnd_json *json, const char *path)
{
    const char *wanted = text_of(json), *id = nnd_safetensors_id(&l->weights);
    if (!json || (wanted && id && strcmp(wanted, id) == 0)) return NND_OK;
    if (!wanted) return complain(l, json, "'weights_id' is a text");
    l->ir->line = nnd_json_line(json);
    return nnd_ir_problem(l->ir,
                          "'%s' is not the file of constants that this graph was saved with (its "
                          "id is %.40s, wanted %.40s): save both again, or remove 'weights_id' "
                          "from the graph if they belong together",
                          path, id ? id : "missing", wanted);
}

static nnd_status open_weights(loader *l, const nnd_json *json, const nnd_json *id)
{
    const char *path = text_of(json);
    nnd_buffer *buffer;
    if (!json) return NND_OK;
    if (path) path = nnd_arena_strdup(&l->ir->source.arena, path);
    if (!path) return complain(l, json, "'weights' is the name of a file");
    NND_TRY(nnd_onnx_open_external(&l->ir->source, path, &buffer));
    NND_TRY(
        nnd_safetensors_open(&l->weights, nnd_buffer_data(buffer), nnd_buffer_size(buffer), path));
    return check_weights(l, id, path);
}

static nnd_status read_document(loader *l, const nnd_json *root)
{
    const char *format = text_of(nnd_json_get(root, "format"));
    const char *name = text_of(nnd_json_get(nnd_json_get(root, "graph"), "name"));
    if (!format || strcmp(format, NND_IR_FORMAT) != 0)
        return nnd_error_set(
            NND_E_FORMAT, "this is no saved graph: its 'format' is '%s', not '" NND_IR_FORMAT "'",
            format ? format : "");
    NND_TRY(go_on(want_object(l, root, "",
                              "format producer producer_version doc ir_version model_version "
                              "opsets metadata graph weights weights_id")));
    NND_TRY(nnd_graph_create(NULL, name, &l->ir->source.graph));
    l->ir->main.graph = l->ir->source.graph;
    NND_TRY(read_envelope(l, root));
    NND_TRY(open_weights(l, nnd_json_get(root, "weights"), nnd_json_get(root, "weights_id")));
    NND_TRY(go_on(read_graph(l, &l->ir->main, nnd_json_get(root, "graph"))));
    if (!l->ir->source.graph->output_count)
        (void)!nnd_ir_problem(l->ir, "the graph has no outputs");
    return nnd_ir_report(l->ir);
}

bool nnd_ir_is_saved(const void *bytes, size_t size)
{
    const char *p = bytes;
    size_t i = 0;
    while (i < size && (p[i] == ' ' || p[i] == '\n' || p[i] == '\r' || p[i] == '\t'))
        i++;
    /* The first byte of an ONNX model is the tag of a field; '{' would be a kind of field that
       does not exist, and so would blanks. */
    return i < size && p[i] == '{';
}

nnd_status nnd_ir_read(nnd_ir *ir, const void *bytes, size_t size)
{
    loader l = {.ir = ir};
    nnd_json_doc *doc;
    NND_TRY(nnd_json_parse(bytes, size, NULL, &doc));
    ir->borrow = true;
    nnd_status status = read_document(&l, nnd_json_root(doc));
    ir->borrow = false;
    ir->line = 0;
    nnd_safetensors_close(&l.weights);
    nnd_json_destroy(doc);
    return status;
}

/* ---- files --------------------------------------------------------------------------------- */

static nnd_status load(nnd_ir *ir, const char *path)
{
    nnd_onnx_model *m = &ir->source;
    char *folder = NULL;
    NND_TRY(nnd_engine_map_file(path, &ir->bytes));
    NND_TRY(nnd_engine_folder(path, &folder));
    const void *bytes = nnd_buffer_data(ir->bytes);
    size_t size = nnd_buffer_size(ir->bytes);
    m->open = nnd_engine_open_beside;
    m->open_user = folder;
    nnd_status status =
        nnd_ir_is_saved(bytes, size) ? nnd_ir_read(ir, bytes, size) : nnd_onnx_read(m, bytes, size);
    ir->main.graph = m->graph;
    m->open = NULL;
    m->open_user = NULL;
    nnd_free(folder);
    return status;
}

nnd_status nnd_ir_load(const char *path, nnd_ir **out)
{
    nnd_ir *ir;
    *out = NULL;
    if (!path) return nnd_error_set(NND_E_INVALID_ARGUMENT, "nnd_ir_load: a path is required");
    NND_TRY(nnd_ir_create_empty(&ir));
    nnd_status status = load(ir, path);
    if (status != NND_OK) {
        nnd_error_set_place(path, 0, 0);
        nnd_ir_destroy(ir);
        return status;
    }
    *out = ir;
    return NND_OK;
}
