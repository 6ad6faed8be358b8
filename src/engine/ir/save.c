/* Saving: the graph as JSON, its constants as safetensors. The form is described in
   docs/schema/graph.schema.json. */
#include <math.h>
#include <string.h>

#include "base/port_status.h"
#include "engine/ir/ir.h"
#include "engine/ir/safetensors.h"
#include "port/port.h"

typedef struct saver {
    nnd_json_writer *w;
    nnd_arena arena; /* names of tensors, elements of strings */
    nnd_safetensors_item *items;
    size_t count, capacity;
    char id[NND_KEY128_TEXT]; /* of all items; they are complete once the graph is written */
} saver;

static nnd_status out_of_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to save a graph");
}

static void put_text(saver *s, const char *key, const char *text)
{
    nnd_json_key(s->w, key);
    nnd_json_put_string(s->w, text);
}

/* ---- tensors ------------------------------------------------------------------------------- */

/* Each string as its length, 4 bytes little endian, and its bytes. */
static nnd_status pack_strings(saver *s, const nnd_tensor *t, nnd_tensor *out)
{
    const nnd_string *items = t->data;
    size_t count = (size_t)nnd_tensor_count(t), size = 0, at = 0;
    for (size_t i = 0; i < count; i++) {
        if (items[i].size > UINT32_MAX || size > SIZE_MAX / 2 - items[i].size)
            return nnd_error_set(NND_E_LIMIT, "a string is too long to be saved");
        size += 4 + items[i].size;
    }
    uint8_t *bytes = nnd_arena_alloc(&s->arena, size ? size : 1);
    if (!bytes) return out_of_memory();
    for (size_t i = 0; i < count; i++) {
        for (unsigned k = 0; k < 4; k++)
            bytes[at++] = (uint8_t)(items[i].size >> 8 * k);
        if (items[i].size) memcpy(bytes + at, items[i].text, items[i].size);
        at += items[i].size;
    }
    return nnd_tensor_init(out, NND_U8, 1, (int64_t[]){(int64_t)size}, bytes);
}

/* What the format has no type for lies there as bytes, and the graph says what it is. */
static nnd_status pack(saver *s, const nnd_tensor *t, nnd_tensor *out)
{
    if (t->dtype == NND_STRING) return pack_strings(s, t, out);
    if (!nnd_safetensors_dtype(t->dtype))
        return nnd_tensor_init(out, NND_U8, 1, (int64_t[]){(int64_t)nnd_tensor_bytes(t)}, t->data);
    return nnd_tensor_init(out, t->dtype, t->rank, t->dims, t->data);
}

static nnd_status grow(saver *s)
{
    if (s->count < s->capacity) return NND_OK;
    size_t wanted = s->capacity ? 2 * s->capacity : 64;
    nnd_safetensors_item *bigger = nnd_realloc(s->items, wanted * sizeof(*bigger));
    if (!bigger) return out_of_memory();
    s->items = bigger;
    s->capacity = wanted;
    return NND_OK;
}

/* Names of tensors are unique: the main graph's constants have their own, unless those could be
   taken for the others', which are numbered. */
static nnd_status add_item(saver *s, const char *name, bool own_name, const nnd_tensor *t,
                           const char **key)
{
    NND_TRY(grow(s));
    nnd_safetensors_item *item = &s->items[s->count];
    NND_TRY(pack(s, t, &item->tensor));
    if (own_name && name[0] != '@' && strcmp(name, "__metadata__") != 0) {
        item->name = name;
    } else {
        nnd_str text = {0};
        nnd_str_printf(&text, "@%zu/%s", s->count, name);
        item->name = text.failed ? NULL : nnd_arena_strdup_n(&s->arena, text.data, text.size);
        nnd_str_free(&text);
    }
    if (!item->name) return out_of_memory();
    *key = item->name;
    s->count++;
    return NND_OK;
}

static void put_shape(saver *s, int rank, const int64_t *dims, const char *const *symbols)
{
    nnd_json_key(s->w, "shape");
    nnd_json_begin_array(s->w);
    for (int i = 0; i < rank; i++) {
        if (dims[i] >= 0)
            nnd_json_put_int(s->w, dims[i]);
        else
            nnd_json_put_string(s->w, symbols ? symbols[i] : NULL);
    }
    nnd_json_end_array(s->w);
}

/* "tensor", and what its bytes are when the file of tensors cannot say it. */
static nnd_status put_tensor(saver *s, const char *name, bool own_name, const nnd_tensor *t)
{
    const char *key;
    NND_TRY(add_item(s, name, own_name, t, &key));
    if (!own_name || strcmp(key, name) != 0) put_text(s, "tensor", key);
    if (nnd_safetensors_dtype(t->dtype)) return NND_OK;
    put_text(s, "type", nnd_dtype_name(t->dtype));
    put_shape(s, t->rank, t->dims, NULL);
    return NND_OK;
}

/* ---- attributes ---------------------------------------------------------------------------- */

/* JSON has no infinities, no NaN, and canonical JSON no −0. */
static void put_float(saver *s, float value)
{
    if (isnan(value))
        nnd_json_put_string(s->w, "nan");
    else if (isinf(value))
        nnd_json_put_string(s->w, value < 0 ? "-inf" : "inf");
    else if (value == 0 && signbit(value))
        nnd_json_put_string(s->w, "-0");
    else
        nnd_json_put_float(s->w, value);
}

/* Bytes that are no text become hexadecimal digits. */
static nnd_status put_string(saver *s, const nnd_string *string)
{
    nnd_str hex = {0};
    if (nnd_utf8_valid(string->text, string->size)) {
        nnd_json_put_string_n(s->w, string->text, string->size);
        return NND_OK;
    }
    for (size_t i = 0; i < string->size; i++)
        nnd_str_printf(&hex, "%02x", (unsigned)(uint8_t)string->text[i]);
    if (hex.failed) {
        nnd_str_free(&hex);
        return out_of_memory();
    }
    nnd_json_begin_object(s->w);
    put_text(s, "hex", hex.data);
    nnd_json_end_object(s->w);
    nnd_str_free(&hex);
    return NND_OK;
}

static nnd_status put_list(saver *s, const nnd_attr *a)
{
    static const char *const keys[] = {
        [NND_ATTR_INTS] = "ints", [NND_ATTR_FLOATS] = "floats", [NND_ATTR_STRINGS] = "strings"};
    nnd_status status = NND_OK;
    nnd_json_key(s->w, keys[a->kind]);
    nnd_json_begin_array(s->w);
    for (size_t i = 0; i < a->count && status == NND_OK; i++) {
        if (a->kind == NND_ATTR_INTS)
            nnd_json_put_int(s->w, a->u.ints[i]);
        else if (a->kind == NND_ATTR_FLOATS)
            put_float(s, a->u.floats[i]);
        else
            status = put_string(s, &a->u.strings[i]);
    }
    nnd_json_end_array(s->w);
    return status;
}

static nnd_status put_graph(saver *s, const nnd_graph *g);

static nnd_status put_attribute(saver *s, const nnd_graph_node *n, const nnd_attr *a)
{
    switch (a->kind) {
    case NND_ATTR_INT:
        nnd_json_key(s->w, "int");
        nnd_json_put_int(s->w, a->u.i);
        return NND_OK;
    case NND_ATTR_FLOAT:
        nnd_json_key(s->w, "float");
        put_float(s, a->u.f);
        return NND_OK;
    case NND_ATTR_STRING:
        nnd_json_key(s->w, "string");
        return put_string(s, &a->u.s);
    case NND_ATTR_TENSOR:
        return put_tensor(s, a->name, false, a->u.tensor);
    case NND_ATTR_GRAPH:
        nnd_json_key(s->w, "graph");
        return put_graph(s, a->u.graph);
    case NND_ATTR_INTS:
    case NND_ATTR_FLOATS:
    case NND_ATTR_STRINGS:
        return put_list(s, a);
    default:
        return nnd_error_set(NND_E_UNSUPPORTED,
                             "the attribute '%s' of the %s node '%s' is of a kind that cannot be "
                             "saved",
                             a->name, n->type, n->name);
    }
}

static bool has_graph(const nnd_graph_node *n)
{
    for (size_t i = 0; i < n->attr_count; i++)
        if (n->attrs[i].kind == NND_ATTR_GRAPH) return true;
    return false;
}

static nnd_status put_attributes(saver *s, const nnd_graph_node *n)
{
    if (!n->attr_count) return NND_OK;
    nnd_json_key(s->w, "attributes");
    nnd_json_begin_object(s->w);
    for (size_t i = 0; i < n->attr_count; i++) {
        if (nnd_node_attr(n, n->attrs[i].name) != &n->attrs[i]) continue; /* the first one counts */
        nnd_json_key(s->w, n->attrs[i].name);
        nnd_json_begin_object(s->w);
        NND_TRY(put_attribute(s, n, &n->attrs[i]));
        nnd_json_end_object(s->w);
    }
    nnd_json_end_object(s->w);
    return NND_OK;
}

/* ---- nodes and graphs ---------------------------------------------------------------------- */

static void put_names(saver *s, const char *key, const nnd_graph *g, const uint32_t *ids,
                      size_t count)
{
    nnd_json_key(s->w, key);
    nnd_json_begin_array(s->w);
    for (size_t i = 0; i < count; i++)
        nnd_json_put_string(s->w, ids[i] == NND_NO_ID ? "" : g->values[ids[i]].name);
    nnd_json_end_array(s->w);
}

static nnd_status put_node(saver *s, const nnd_graph *g, const nnd_graph_node *n)
{
    bool one_line = !has_graph(n);
    if (one_line) nnd_json_set_inline(s->w, true);
    nnd_json_begin_object(s->w);
    put_text(s, "op", n->type);
    if (n->domain[0]) put_text(s, "domain", n->domain);
    nnd_json_key(s->w, "opset");
    nnd_json_put_int(s->w, n->opset);
    put_text(s, "name", n->name);
    put_names(s, "inputs", g, n->inputs, n->formal_count);
    put_names(s, "outputs", g, n->outputs, n->output_count);
    NND_TRY(put_attributes(s, n));
    nnd_json_end_object(s->w);
    if (one_line) nnd_json_set_inline(s->w, false);
    return NND_OK;
}

static void put_value(saver *s, const nnd_graph_value *v)
{
    nnd_str type = {0};
    nnd_json_begin_object(s->w);
    put_text(s, "name", v->name);
    if (nnd_ir_type_text(&v->type, v->dtype, &type) && type.data) put_text(s, "type", type.data);
    if (v->rank >= 0) put_shape(s, v->rank, v->dims, v->symbols);
    nnd_json_end_object(s->w);
    nnd_str_free(&type);
}

static void put_ports(saver *s, const char *key, const nnd_graph *g, const uint32_t *ids,
                      size_t count)
{
    nnd_json_key(s->w, key);
    nnd_json_begin_array(s->w);
    for (size_t i = 0; i < count; i++) {
        nnd_json_set_inline(s->w, true);
        put_value(s, &g->values[ids[i]]);
        nnd_json_set_inline(s->w, false);
    }
    nnd_json_end_array(s->w);
}

/* What a value is to the file: constants and results of nodes with a type get a line of their own;
   captured values and elements of attributes belong elsewhere. */
enum { PLAIN = 0, ELSEWHERE = 1 };

static void mark(const nnd_graph *g, uint8_t *marks)
{
    for (size_t i = 0; i < g->capture_count; i++)
        marks[g->captures[i].inner] = ELSEWHERE;
    for (size_t i = 0; i < g->input_count; i++)
        marks[g->inputs[i]] = ELSEWHERE;
}

static nnd_status put_constants(saver *s, const nnd_graph *g, const uint8_t *marks)
{
    nnd_json_key(s->w, "constants");
    nnd_json_begin_array(s->w);
    for (size_t i = 0; i < g->value_count; i++) {
        const nnd_graph_value *v = &g->values[i];
        if (!v->is_constant || marks[i] == ELSEWHERE || !v->name[0]) continue;
        nnd_json_set_inline(s->w, true);
        nnd_json_begin_object(s->w);
        put_text(s, "name", v->name);
        NND_TRY(put_tensor(s, v->name, !g->parent, &v->constant));
        nnd_json_end_object(s->w);
        nnd_json_set_inline(s->w, false);
    }
    nnd_json_end_array(s->w);
    return NND_OK;
}

static void put_hints(saver *s, const nnd_graph *g, uint8_t *marks)
{
    for (size_t i = 0; i < g->output_count; i++)
        marks[g->outputs[i]] = ELSEWHERE;
    nnd_json_key(s->w, "values");
    nnd_json_begin_array(s->w);
    for (size_t i = 0; i < g->value_count; i++) {
        const nnd_graph_value *v = &g->values[i];
        bool typed = v->dtype != NND_DTYPE_INVALID || v->rank >= 0;
        if (v->is_constant || marks[i] == ELSEWHERE || !v->name[0] || !typed) continue;
        nnd_json_set_inline(s->w, true);
        put_value(s, v);
        nnd_json_set_inline(s->w, false);
    }
    nnd_json_end_array(s->w);
}

static nnd_status put_members(saver *s, const nnd_graph *g, uint8_t *marks)
{
    mark(g, marks);
    put_text(s, "name", g->name);
    put_ports(s, "inputs", g, g->inputs, g->input_count);
    NND_TRY(put_constants(s, g, marks));
    nnd_json_key(s->w, "nodes");
    nnd_json_begin_array(s->w);
    for (size_t i = 0; i < g->node_count; i++)
        NND_TRY(put_node(s, g, &g->nodes[i]));
    nnd_json_end_array(s->w);
    put_ports(s, "outputs", g, g->outputs, g->output_count);
    put_hints(s, g, marks);
    return NND_OK;
}

static nnd_status put_graph(saver *s, const nnd_graph *g)
{
    uint8_t *marks = nnd_calloc(g->value_count + 1, 1);
    if (!marks) return out_of_memory();
    nnd_json_begin_object(s->w);
    nnd_status status = put_members(s, g, marks);
    nnd_json_end_object(s->w);
    nnd_free(marks);
    return status;
}

/* ---- the document -------------------------------------------------------------------------- */

static void put_optional(saver *s, const char *key, const char *text)
{
    if (text && text[0]) put_text(s, key, text);
}

static void put_envelope(saver *s, const nnd_onnx_model *m)
{
    put_text(s, "format", NND_IR_FORMAT);
    put_optional(s, "producer", m->producer);
    put_optional(s, "producer_version", m->producer_version);
    put_optional(s, "doc", m->doc);
    if (m->ir_version) {
        nnd_json_key(s->w, "ir_version");
        nnd_json_put_int(s->w, m->ir_version);
    }
    if (m->model_version) {
        nnd_json_key(s->w, "model_version");
        nnd_json_put_int(s->w, m->model_version);
    }
    nnd_json_key(s->w, "opsets");
    nnd_json_begin_array(s->w);
    for (size_t i = 0; i < m->opset_count; i++) {
        nnd_json_set_inline(s->w, true);
        nnd_json_begin_object(s->w);
        put_text(s, "domain", m->opsets[i].domain);
        nnd_json_key(s->w, "version");
        nnd_json_put_int(s->w, m->opsets[i].version);
        nnd_json_end_object(s->w);
        nnd_json_set_inline(s->w, false);
    }
    nnd_json_end_array(s->w);
    nnd_json_key(s->w, "metadata");
    nnd_json_begin_array(s->w);
    for (size_t i = 0; i < m->metadata_count; i++) {
        nnd_json_set_inline(s->w, true);
        nnd_json_begin_array(s->w);
        nnd_json_put_string(s->w, m->metadata[2 * i]);
        nnd_json_put_string(s->w, m->metadata[2 * i + 1]);
        nnd_json_end_array(s->w);
        nnd_json_set_inline(s->w, false);
    }
    nnd_json_end_array(s->w);
}

static nnd_status make_text(saver *s, const nnd_ir *ir, const char *weights, char **text,
                            size_t *size)
{
    NND_TRY(nnd_json_writer_create(2, &s->w));
    nnd_json_begin_object(s->w);
    put_envelope(s, &ir->source);
    nnd_json_key(s->w, "graph");
    nnd_status status = put_graph(s, ir->source.graph);
    if (status == NND_OK && s->count) {
        nnd_safetensors_sort(s->items, s->count, s->id);
        put_text(s, "weights", weights);
        put_text(s, "weights_id", s->id);
    }
    nnd_json_end_object(s->w);
    if (status == NND_OK) status = nnd_json_writer_take(s->w, text, size);
    if (status == NND_OK) (*text)[(*size)++] = '\n'; /* in the place of the NUL */
    nnd_json_writer_destroy(s->w);
    return status;
}

/* Constants may be larger than what memory has room for twice: they are streamed into a file
   beside, which then takes the place of the old one. */
static nnd_status write_weights(saver *s, const char *path)
{
    FILE *file = NULL;
    char *part = nnd_strf("%s.part", path);
    if (!part) return out_of_memory();
    nnd_status status =
        nnd_error_from_port(nnd_port_file_open(part, "wb", &file), "cannot write", part);
    if (status == NND_OK) {
        status = nnd_safetensors_write(s->items, s->count, s->id, file);
        if (status == NND_OK)
            status = nnd_error_from_port(nnd_port_file_sync(file), "cannot write", part);
        if (fclose(file) != 0 && status == NND_OK)
            status = nnd_error_set(NND_E_IO, "cannot write '%s'", part);
        if (status == NND_OK)
            status = nnd_error_from_port(nnd_port_file_rename(part, path), "cannot write", path);
        if (status != NND_OK) (void)nnd_port_file_remove(part);
    }
    nnd_free(part);
    return status;
}

bool nnd_ir_is_path(const char *path)
{
    return path && nnd_str_ends_with(path, NND_IR_SUFFIX);
}

static nnd_status save(saver *s, const nnd_ir *ir, const char *path, const char *weights)
{
    const char *slash = strrchr(weights, '/');
    char *text = NULL;
    size_t size;
    NND_TRY(make_text(s, ir, slash ? slash + 1 : weights, &text, &size));
    nnd_status status = s->count ? write_weights(s, weights) : NND_OK;
    if (status == NND_OK)
        status =
            nnd_error_from_port(nnd_port_file_write_atomic(path, text, size), "cannot write", path);
    nnd_free(text);
    return status;
}

nnd_status nnd_ir_save(const nnd_ir *ir, const char *path)
{
    saver s = {0};
    if (!nnd_ir_is_path(path))
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "a graph is saved as '<name>" NND_IR_SUFFIX "', not as '%s'",
                             path ? path : "");
    /* The name stands in the file, where only plain ones are allowed. */
    const char *slash = strrchr(path, '/');
    if (strpbrk(slash ? slash + 1 : path, ":\\"))
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "the file name of a graph has no ':' and no '\\': '%s'", path);
    NND_TRY(nnd_ir_report(ir));
    char *stem = nnd_strdup_n(path, strlen(path) - strlen(NND_IR_SUFFIX));
    char *weights = stem ? nnd_strf("%s" NND_IR_WEIGHTS_SUFFIX, stem) : NULL;
    nnd_status status = weights ? save(&s, ir, path, weights) : out_of_memory();
    nnd_free(weights);
    nnd_free(stem);
    nnd_free(s.items);
    nnd_arena_fini(&s.arena);
    return status;
}
