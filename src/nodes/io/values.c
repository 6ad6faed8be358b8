/* Tensors and texts from and to files, constants. */
#include "nodes/nodes_internal.h"

static nnd_status emit_once(nnd_ctx *ctx, nnd_value *take_value)
{
    NND_TRY(nnd_ctx_emit(ctx, 0, take_value));
    nnd_ctx_end(ctx);
    return NND_OK;
}

#define FILE_PARAM(about)                                                                          \
    {                                                                                              \
        "path", NND_PARAM_KIND_FILE, NND_PARAM_REQUIRED, 0, "", 0, 0, NULL, "", about, NULL        \
    }

/* ---- io.read_tensor, io.write_tensor ----------------------------------------------------- */

static nnd_status read_tensor_process(nnd_ctx *ctx)
{
    const char *path = nnd_params_text(nnd_ctx_params(ctx), "path");
    nnd_io *io = NULL;
    void *bytes = NULL;
    size_t size = 0;
    nnd_value *value = NULL;
    NND_TRY(nnd_node_io(ctx, path, &io));
    NND_TRY(nnd_io_read_file(io, path, &bytes, &size));
    nnd_status status = nnd_npy_parse(bytes, size, &value);
    nnd_free(bytes);
    if (status != NND_OK) return nnd_error_wrap(status, "cannot read tensor '%s'", path);
    return emit_once(ctx, value);
}

static const nnd_port tensor_out[] = {NND_PORT("tensor", "tensor", "the tensor")};
static const nnd_param read_tensor_params[] = {FILE_PARAM("NumPy file, .npy")};
const nnd_node_type nnd_node_io_read_tensor = {
    .struct_size = sizeof(nnd_node_type),
    .type = "io.read_tensor",
    .version = 1,
    .category = "io",
    .title = "Read tensor",
    .text = "Reads a NumPy .npy file and puts its tensor out once.",
    .outputs = NND_ARRAY(tensor_out),
    .params = NND_ARRAY(read_tensor_params),
    .flags = NND_NODE_SOURCE,
    .process = read_tensor_process,
};

static nnd_status write_tensor_process(nnd_ctx *ctx)
{
    const char *path = nnd_params_text(nnd_ctx_params(ctx), "path");
    const nnd_tensor *tensor = nnd_node_tensor(ctx, 0);
    nnd_io *io = NULL;
    void *bytes = NULL;
    size_t size = 0;
    if (!tensor) return NND_E_TYPE;
    NND_TRY(nnd_node_io(ctx, path, &io));
    NND_TRY(nnd_npy_write(tensor, &bytes, &size));
    nnd_status status = nnd_io_write_file(io, path, bytes, size);
    nnd_free(bytes);
    return status;
}

static const nnd_port tensor_in[] = {NND_PORT("tensor", "tensor", "the tensor")};
static const nnd_param write_tensor_params[] = {FILE_PARAM("file to write, .npy")};
const nnd_node_type nnd_node_io_write_tensor = {
    .struct_size = sizeof(nnd_node_type),
    .type = "io.write_tensor",
    .version = 1,
    .category = "io",
    .title = "Write tensor",
    .text = "Writes a tensor as a NumPy .npy file; a later packet replaces it.",
    .inputs = NND_ARRAY(tensor_in),
    .params = NND_ARRAY(write_tensor_params),
    .flags = NND_NODE_SINK,
    .process = write_tensor_process,
};

/* ---- io.read_text, io.write_text --------------------------------------------------------- */

static nnd_status read_text_process(nnd_ctx *ctx)
{
    const char *path = nnd_params_text(nnd_ctx_params(ctx), "path");
    nnd_io *io = NULL;
    void *bytes = NULL;
    size_t size = 0;
    nnd_value *value = NULL;
    NND_TRY(nnd_node_io(ctx, path, &io));
    NND_TRY(nnd_io_read_file(io, path, &bytes, &size));
    nnd_status status = nnd_value_new_text(bytes, size, &value);
    nnd_free(bytes);
    if (status != NND_OK) return nnd_error_wrap(status, "cannot read text '%s'", path);
    return emit_once(ctx, value);
}

static const nnd_port text_out[] = {NND_PORT("text", "text", "the file's content")};
static const nnd_param read_text_params[] = {FILE_PARAM("text file, UTF-8")};
const nnd_node_type nnd_node_io_read_text = {
    .struct_size = sizeof(nnd_node_type),
    .type = "io.read_text",
    .version = 1,
    .category = "io",
    .title = "Read text",
    .text = "Reads a UTF-8 text file and puts it out once.",
    .outputs = NND_ARRAY(text_out),
    .params = NND_ARRAY(read_text_params),
    .flags = NND_NODE_SOURCE,
    .process = read_text_process,
};

static nnd_status value_to_text(const nnd_value *value, char **text, size_t *size)
{
    nnd_json_writer *w = NULL;
    NND_TRY(nnd_json_writer_create(2, &w));
    nnd_status status = nnd_value_to_json(value, w);
    if (status == NND_OK) status = nnd_json_writer_take(w, text, size);
    nnd_json_writer_destroy(w);
    return status;
}

static nnd_status write_text_process(nnd_ctx *ctx)
{
    const char *path = nnd_params_text(nnd_ctx_params(ctx), "path");
    const nnd_value *value = nnd_ctx_input(ctx, 0);
    const nnd_text *text = value ? nnd_value_text(value) : NULL;
    nnd_io *io = NULL;
    char *json = NULL;
    size_t size = 0;
    NND_TRY(nnd_node_io(ctx, path, &io));
    if (text) return nnd_io_write_file(io, path, text->text, text->size);
    NND_TRY(value_to_text(value, &json, &size));
    nnd_status status = nnd_io_write_file(io, path, json, size);
    nnd_free(json);
    return status;
}

static const nnd_port any_in[] = {NND_PORT("value", "any", "a text, or any value")};
static const nnd_param write_text_params[] = {FILE_PARAM("file to write")};
const nnd_node_type nnd_node_io_write_text = {
    .struct_size = sizeof(nnd_node_type),
    .type = "io.write_text",
    .version = 1,
    .category = "io",
    .title = "Write text",
    .text = "Writes a text as it is, any other value as JSON; a later packet replaces it.",
    .inputs = NND_ARRAY(any_in),
    .params = NND_ARRAY(write_text_params),
    .flags = NND_NODE_SINK,
    .process = write_text_process,
};

/* ---- constants --------------------------------------------------------------------------- */

static nnd_status const_bool_process(nnd_ctx *ctx)
{
    nnd_value *value = NULL;
    NND_TRY(nnd_value_new_bool(nnd_params_bool(nnd_ctx_params(ctx), "value"), &value));
    return nnd_ctx_emit(ctx, 0, value);
}

static nnd_status const_int_process(nnd_ctx *ctx)
{
    nnd_value *value = NULL;
    NND_TRY(nnd_value_new_int(nnd_params_int(nnd_ctx_params(ctx), "value"), &value));
    return nnd_ctx_emit(ctx, 0, value);
}

static nnd_status const_float_process(nnd_ctx *ctx)
{
    nnd_value *value = NULL;
    NND_TRY(nnd_value_new_float(nnd_params_float(nnd_ctx_params(ctx), "value"), &value));
    return nnd_ctx_emit(ctx, 0, value);
}

static nnd_status const_text_process(nnd_ctx *ctx)
{
    nnd_value *value = NULL;
    NND_TRY(nnd_value_new_text(nnd_params_text(nnd_ctx_params(ctx), "value"), SIZE_MAX, &value));
    return nnd_ctx_emit(ctx, 0, value);
}

static nnd_status const_tensor_process(nnd_ctx *ctx)
{
    nnd_value *value = NULL;
    NND_TRY(nnd_value_from_json(nnd_params_json(nnd_ctx_params(ctx), "value"), "tensor", &value));
    return nnd_ctx_emit(ctx, 0, value);
}

static const nnd_port bool_out[] = {NND_PORT("value", "bool", "the constant")};
static const nnd_port int_out[] = {NND_PORT("value", "int", "the constant")};
static const nnd_port float_out[] = {NND_PORT("value", "float", "the constant")};
static const nnd_port const_text_out[] = {NND_PORT("value", "text", "the constant")};
static const nnd_port const_tensor_out[] = {NND_PORT("value", "tensor", "the constant, f32")};
static const nnd_param bool_params[] = {NND_PARAM_BOOL("value", 0, "the constant")};
static const nnd_param int_params[] = {NND_PARAM_INT("value", 0, 0, 0, "", "the constant")};
static const nnd_param float_params[] = {NND_PARAM_FLOAT("value", 0, 0, 0, "", "the constant")};
static const nnd_param text_params[] = {NND_PARAM_TEXT("value", "", "the constant")};
static const nnd_param tensor_params[] = {
    NND_PARAM_JSON("value", "[0]", "nested arrays of numbers")};

#define CONSTANT(symbol, name, label, out_ports, the_params, callback)                             \
    const nnd_node_type symbol = {                                                                 \
        .struct_size = sizeof(nnd_node_type),                                                      \
        .type = name,                                                                              \
        .version = 1,                                                                              \
        .category = "io/constant",                                                                 \
        .title = label,                                                                            \
        .text = "Puts a constant out; it stands for every packet.",                                \
        .outputs = NND_ARRAY(out_ports),                                                           \
        .params = NND_ARRAY(the_params),                                                           \
        .flags = NND_NODE_PURE,                                                                    \
        .process = callback,                                                                       \
    }
CONSTANT(nnd_node_const_bool, "const.bool", "Bool", bool_out, bool_params, const_bool_process);
CONSTANT(nnd_node_const_int, "const.int", "Integer", int_out, int_params, const_int_process);
CONSTANT(nnd_node_const_float, "const.float", "Number", float_out, float_params,
         const_float_process);
CONSTANT(nnd_node_const_text, "const.text", "Text", const_text_out, text_params,
         const_text_process);
CONSTANT(nnd_node_const_tensor, "const.tensor", "Tensor", const_tensor_out, tensor_params,
         const_tensor_process);
