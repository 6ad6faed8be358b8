/*
 * Writes small ONNX models by hand, for tests and for the seeds of the fuzz target:
 *
 *     nnd_str graph = {0}, attrs = {0}, model = {0};
 *     ow_value(&graph, OW_INPUT, "x", 1, 2, (int64_t[]){2, 3}, NULL);
 *     ow_attr_int(&attrs, "axis", 1);
 *     ow_node(&graph, "Softmax", "x", "y", &attrs);
 *     ow_value(&graph, OW_OUTPUT, "y", 1, 2, (int64_t[]){2, 3}, NULL);
 *     ow_model(&model, &graph, 13);
 */
#ifndef NND_TESTS_ENGINE_ONNX_WRITER_H
#define NND_TESTS_ENGINE_ONNX_WRITER_H

#include <string.h>

#include "base/str.h"

enum { OW_INPUT = 11, OW_OUTPUT = 12, OW_VALUE_INFO = 13 };
enum { OW_F32 = 1, OW_U8 = 2, OW_I8 = 3, OW_U16 = 4, OW_I16 = 5, OW_I64 = 7, OW_BOOL = 9 };

static inline void ow_varint(nnd_str *s, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        nnd_str_add_char(s, (char)(v | 0x80));
    nnd_str_add_char(s, (char)v);
}

static inline void ow_int(nnd_str *s, uint32_t field, uint64_t v)
{
    ow_varint(s, (uint64_t)field << 3);
    ow_varint(s, v);
}

static inline void ow_bytes(nnd_str *s, uint32_t field, const void *data, size_t size)
{
    ow_varint(s, (uint64_t)field << 3 | 2);
    ow_varint(s, size);
    nnd_str_add_n(s, data, size);
}

static inline void ow_text(nnd_str *s, uint32_t field, const char *text)
{
    ow_bytes(s, field, text, strlen(text));
}

/* Moves the content of `part` into `s` as a sub-message and empties it. */
static inline void ow_message(nnd_str *s, uint32_t field, nnd_str *part)
{
    ow_bytes(s, field, part->data ? part->data : "", part->size);
    nnd_str_free(part);
}

/* A tensor-typed value. A dimension below 0 is written by the name in `symbols`; rank −1 = a shape
   that is not told. */
static inline void ow_value(nnd_str *graph, uint32_t field, const char *name, int elem, int rank,
                            const int64_t *dims, const char *const *symbols)
{
    nnd_str info = {0}, type = {0}, tensor = {0}, shape = {0}, dim = {0};
    for (int i = 0; i < rank; i++) {
        if (dims[i] >= 0)
            ow_int(&dim, 1, (uint64_t)dims[i]);
        else
            ow_text(&dim, 2, symbols[i]);
        ow_message(&shape, 1, &dim);
    }
    ow_int(&tensor, 1, (uint64_t)elem);
    if (rank >= 0) ow_message(&tensor, 2, &shape);
    ow_message(&type, 1, &tensor);
    ow_text(&info, 1, name);
    ow_message(&info, 2, &type);
    ow_message(graph, field, &info);
}

static inline void ow_tensor(nnd_str *out, const char *name, int elem, int rank,
                             const int64_t *dims, const void *data, size_t bytes)
{
    for (int i = 0; i < rank; i++)
        ow_int(out, 1, (uint64_t)dims[i]);
    ow_int(out, 2, (uint64_t)elem);
    ow_text(out, 8, name);
    ow_bytes(out, 9, data, bytes);
}

static inline void ow_initializer(nnd_str *graph, const char *name, int elem, int rank,
                                  const int64_t *dims, const void *data, size_t bytes)
{
    nnd_str t = {0};
    ow_tensor(&t, name, elem, rank, dims, data, bytes);
    ow_message(graph, 5, &t);
}

/* An initialiser whose elements are in another file. */
static inline void ow_external(nnd_str *graph, const char *name, int elem, int rank,
                               const int64_t *dims, const char *location, const char *offset)
{
    nnd_str t = {0}, entry = {0};
    for (int i = 0; i < rank; i++)
        ow_int(&t, 1, (uint64_t)dims[i]);
    ow_int(&t, 2, (uint64_t)elem);
    ow_text(&t, 8, name);
    ow_text(&entry, 1, "location");
    ow_text(&entry, 2, location);
    ow_message(&t, 13, &entry);
    ow_text(&entry, 1, "offset");
    ow_text(&entry, 2, offset);
    ow_message(&t, 13, &entry);
    ow_int(&t, 14, 1);
    ow_message(graph, 5, &t);
}

static inline void ow_attr_int(nnd_str *attrs, const char *name, int64_t v)
{
    nnd_str a = {0};
    ow_text(&a, 1, name);
    ow_int(&a, 3, (uint64_t)v);
    ow_int(&a, 20, 2);
    ow_message(attrs, 5, &a);
}

static inline void ow_attr_float(nnd_str *attrs, const char *name, float v)
{
    nnd_str a = {0};
    ow_text(&a, 1, name);
    ow_varint(&a, 2u << 3 | 5);
    nnd_str_add_n(&a, (const char *)&v, sizeof(v));
    ow_int(&a, 20, 1);
    ow_message(attrs, 5, &a);
}

static inline void ow_attr_ints(nnd_str *attrs, const char *name, const int64_t *v, size_t count)
{
    nnd_str a = {0};
    ow_text(&a, 1, name);
    for (size_t i = 0; i < count; i++)
        ow_int(&a, 8, (uint64_t)v[i]);
    ow_int(&a, 20, 7);
    ow_message(attrs, 5, &a);
}

static inline void ow_attr_floats(nnd_str *attrs, const char *name, const float *v, size_t count)
{
    nnd_str a = {0};
    ow_text(&a, 1, name);
    ow_bytes(&a, 7, v, count * sizeof(*v));
    ow_int(&a, 20, 6);
    ow_message(attrs, 5, &a);
}

/* texts: with commas between them. */
static inline void ow_attr_texts(nnd_str *attrs, const char *name, const char *texts)
{
    nnd_str a = {0};
    ow_text(&a, 1, name);
    for (; *texts; texts += strcspn(texts, ","), texts += *texts == ',')
        ow_bytes(&a, 9, texts, strcspn(texts, ","));
    ow_int(&a, 20, 8);
    ow_message(attrs, 5, &a);
}

/* The same with texts that have commas in them, or are empty. */
static inline void ow_attr_text_list(nnd_str *attrs, const char *name, const char *const *texts,
                                     size_t count)
{
    nnd_str a = {0};
    ow_text(&a, 1, name);
    for (size_t i = 0; i < count; i++)
        ow_text(&a, 9, texts[i]);
    ow_int(&a, 20, 8);
    ow_message(attrs, 5, &a);
}

static inline void ow_attr_text(nnd_str *attrs, const char *name, const char *text)
{
    nnd_str a = {0};
    ow_text(&a, 1, name);
    ow_text(&a, 4, text);
    ow_int(&a, 20, 3);
    ow_message(attrs, 5, &a);
}

/* tensor: as ow_tensor wrote it; is emptied. */
static inline void ow_attr_tensor(nnd_str *attrs, const char *name, nnd_str *tensor)
{
    nnd_str a = {0};
    ow_text(&a, 1, name);
    ow_message(&a, 5, tensor);
    ow_int(&a, 20, 4);
    ow_message(attrs, 5, &a);
}

static inline void ow_attr_graph(nnd_str *attrs, const char *name, nnd_str *graph)
{
    nnd_str a = {0};
    ow_text(&a, 1, name);
    ow_message(&a, 6, graph);
    ow_int(&a, 20, 5);
    ow_message(attrs, 5, &a);
}

/* inputs and outputs: names with commas between them; attrs may be NULL and is emptied. */
static inline void ow_names(nnd_str *node, uint32_t field, const char *names)
{
    while (*names) {
        size_t n = strcspn(names, ",");
        ow_bytes(node, field, names, n);
        names += n + (names[n] == ',');
    }
}

static inline void ow_node_of(nnd_str *graph, const char *domain, const char *type,
                              const char *inputs, const char *outputs, nnd_str *attrs)
{
    nnd_str node = {0};
    ow_names(&node, 1, inputs);
    ow_names(&node, 2, outputs);
    ow_text(&node, 3, outputs);
    ow_text(&node, 4, type);
    if (attrs && attrs->data) nnd_str_add_n(&node, attrs->data, attrs->size);
    if (attrs) nnd_str_free(attrs);
    if (domain[0]) ow_text(&node, 7, domain);
    ow_message(graph, 1, &node);
}

static inline void ow_node(nnd_str *graph, const char *type, const char *inputs,
                           const char *outputs, nnd_str *attrs)
{
    ow_node_of(graph, "", type, inputs, outputs, attrs);
}

/* The envelope; empties the graph. */
static inline void ow_model(nnd_str *model, nnd_str *graph, int64_t opset)
{
    nnd_str import = {0};
    ow_int(model, 1, 8);
    ow_text(model, 2, "nndeploy tests");
    ow_message(model, 7, graph);
    ow_int(&import, 2, (uint64_t)opset);
    ow_message(model, 8, &import);
    ow_text(&import, 1, "com.microsoft");
    ow_int(&import, 2, 1);
    ow_message(model, 8, &import);
    ow_text(&import, 1, "ai.onnx.ml");
    ow_int(&import, 2, 3);
    ow_message(model, 8, &import);
}

#endif
