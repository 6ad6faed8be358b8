/* The list of all node types, and what several families need. */
#include "nodes/infer/hooks.h"
#include "nodes/nodes_internal.h"

#include "port/port.h"

#include <stdlib.h>
#include <string.h>

static const nnd_node_type *const all_types[] = {
    &nnd_node_io_read_image,
    &nnd_node_io_read_folder,
    &nnd_node_io_write_image,
    &nnd_node_io_read_tensor,
    &nnd_node_io_write_tensor,
    &nnd_node_io_read_text,
    &nnd_node_io_write_text,
    &nnd_node_const_bool,
    &nnd_node_const_int,
    &nnd_node_const_float,
    &nnd_node_const_text,
    &nnd_node_const_tensor,
    &nnd_node_image_resize,
    &nnd_node_image_letterbox,
    &nnd_node_image_crop,
    &nnd_node_image_pad,
    &nnd_node_image_flip,
    &nnd_node_image_rotate,
    &nnd_node_image_convert,
    &nnd_node_image_blur,
    &nnd_node_image_threshold,
    &nnd_node_image_normalise,
    &nnd_node_image_warp_affine,
    &nnd_node_image_warp_perspective,
    &nnd_node_image_crop_boxes,
    &nnd_node_image_to_tensor,
    &nnd_node_image_from_tensor,
    &nnd_node_image_decode,
    &nnd_node_image_encode,
    &nnd_node_detect_decode_ssd,
    &nnd_node_detect_decode_yunet,
    &nnd_node_detect_decode_yolox,
    &nnd_node_detect_nms,
    &nnd_node_detect_filter,
    &nnd_node_detect_components,
    &nnd_node_classify_top_k,
    &nnd_node_tensor_softmax,
    &nnd_node_draw_detections,
    &nnd_node_draw_text,
    &nnd_node_infer_model,
    &nnd_node_text_lines,
    &nnd_node_ocr_lines,
    &nnd_node_ocr_line,
    &nnd_node_ocr_ctc,
};

nnd_status nnd_nodes_register(nnd_registry *registry)
{
    for (size_t i = 0; i < NND_COUNT(all_types); i++)
        NND_TRY(nnd_registry_add(registry, all_types[i]));
    return NND_OK;
}

static nnd_registry *shared_registry;
static nnd_port_once shared_once = NND_PORT_ONCE_INIT;

static void release_registry(void)
{
    nnd_registry_unref(shared_registry);
    shared_registry = NULL;
}

static void make_registry(void)
{
    nnd_registry *registry = NULL;
    nnd_nodes_register_infer_hooks();
    if (nnd_registry_create(&registry) != NND_OK) return;
    if (nnd_nodes_register(registry) != NND_OK) {
        nnd_registry_unref(registry);
        return;
    }
    shared_registry = registry;
    atexit(release_registry);
}

nnd_registry *nnd_nodes_registry(void)
{
    nnd_port_once_run(&shared_once, make_registry);
    return shared_registry;
}

nnd_status nnd_nodes_load_plugin(nnd_registry *registry, const char *path)
{
    const char *kind = NULL;
    const void *extension = NULL;
    NND_TRY(nnd_registry_load_plugin(registry, path));
    for (size_t i = 0; nnd_registry_extension(registry, i, &kind, &extension); i++) {
        const nnd_backend *backend = extension;
        if (strcmp(kind, "engine.operator/1") == 0) NND_TRY(nnd_operator_register(extension));
        if (strcmp(kind, "engine.kernel/1") == 0) NND_TRY(nnd_kernel_register(extension));
        if (strcmp(kind, "infer.backend/1") != 0) continue;
        if (backend->name && nnd_backend_find(backend->name) == backend) continue;
        NND_TRY(nnd_backend_register(backend));
    }
    return NND_OK;
}

/* ---- what families share ----------------------------------------------------------------- */

static void complain(const nnd_value *value, size_t port, const char *wanted)
{
    nnd_error_set(NND_E_TYPE, "input %zu wants %s, got %s", port, wanted,
                  value ? nnd_value_type_name(value) : "nothing");
}

const nnd_image *nnd_node_image(nnd_ctx *ctx, size_t port)
{
    const nnd_value *value = nnd_ctx_input(ctx, port);
    const nnd_image *image = value ? nnd_value_image(value) : NULL;
    if (!image) complain(value, port, "an image");
    return image;
}

const nnd_tensor *nnd_node_tensor(nnd_ctx *ctx, size_t port)
{
    const nnd_value *value = nnd_ctx_input(ctx, port);
    const nnd_tensor *tensor = value ? nnd_value_tensor(value) : NULL;
    if (!tensor) complain(value, port, "a tensor");
    return tensor;
}

const nnd_detections *nnd_node_detections(nnd_ctx *ctx, size_t port)
{
    const nnd_value *value = nnd_ctx_input(ctx, port);
    const nnd_detections *detections = value ? nnd_value_detections(value) : NULL;
    if (!detections) complain(value, port, "detections");
    return detections;
}

const nnd_geometry *nnd_node_geometry(nnd_ctx *ctx, size_t port)
{
    const nnd_value *value = nnd_ctx_input(ctx, port);
    return value ? nnd_value_geometry(value) : NULL;
}

nnd_status nnd_node_emit_geometry(nnd_ctx *ctx, size_t port, const nnd_geometry *geometry)
{
    nnd_value *value = NULL;
    if (!nnd_ctx_output_is_used(ctx, port)) return NND_OK;
    NND_TRY(nnd_value_new_geometry(geometry, &value));
    return nnd_ctx_emit(ctx, port, value);
}

nnd_status nnd_node_numbers(const nnd_params *params, const char *name, double *out, size_t count)
{
    size_t given = nnd_params_numbers(params, name, out, count);
    if (given == count) return NND_OK;
    if (given != 1)
        return nnd_error_set(NND_E_SHAPE, "parameter '%s' has %zu numbers; 1 or %zu are wanted",
                             name, given, count);
    for (size_t i = 1; i < count; i++)
        out[i] = out[0];
    return NND_OK;
}

nnd_status nnd_node_levels(const nnd_params *params, const char *name, nnd_pixel_format format,
                           double out[4])
{
    size_t given = nnd_params_numbers(params, name, out, 4);
    size_t channels = (size_t)nnd_pixel_format_channels(format);
    if (given == 1) {
        out[1] = out[2] = out[3] = out[0];
        return NND_OK;
    }
    if (given == channels) return NND_OK;
    return nnd_error_set(NND_E_SHAPE, "parameter '%s' has %zu numbers; a %s picture wants 1 or %zu",
                         name, given, nnd_pixel_format_name(format), channels);
}

nnd_status nnd_node_color(const nnd_params *params, const char *name, uint32_t *out)
{
    const char *text = nnd_params_text(params, name);
    const char *digits = text[0] == '#' ? text + 1 : text;
    char *end = NULL;
    unsigned long value = strtoul(digits, &end, 16);
    if (strlen(digits) != 6 || strspn(digits, "0123456789abcdefABCDEF") != 6)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "parameter '%s' = '%s' is no colour '#RRGGBB'",
                             name, text);
    *out = (uint32_t)value;
    return NND_OK;
}

nnd_status nnd_node_finish(nnd_ctx *ctx, nnd_status status, nnd_value *take_value)
{
    if (status == NND_OK) return nnd_ctx_emit(ctx, 0, take_value);
    nnd_value_unref(take_value);
    return status;
}

nnd_status nnd_node_io(nnd_ctx *ctx, const char *path, nnd_io **out)
{
    *out = nnd_ctx_io(ctx);
    if (*out) return NND_OK;
    return nnd_error_set(NND_E_PERMISSION, "'%s': this host does not let workflows touch files",
                         path);
}

nnd_status nnd_node_prepare_file(nnd_prepare *prepare, const char *what, const char *path,
                                 void **bytes, size_t *size)
{
    nnd_io *io = nnd_prepare_io(prepare);
    if (!io)
        return nnd_error_set(NND_E_PERMISSION,
                             "%s '%s': this host does not let workflows touch files", what, path);
    return nnd_io_read_file(io, path, bytes, size);
}

nnd_status nnd_node_labels_prepare(nnd_prepare *prepare, void **prepared)
{
    const char *path = nnd_params_text(nnd_prepare_params(prepare), "labels");
    void *bytes = NULL;
    size_t size = 0;
    nnd_node_labels *labels = nnd_calloc(1, sizeof *labels);
    if (!labels) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for labels");
    nnd_status status = NND_OK;
    if (path[0]) status = nnd_node_prepare_file(prepare, "labels", path, &bytes, &size);
    if (status == NND_OK && path[0]) {
        status = nnd_labels_parse(bytes, size, &labels->names, &labels->count);
        if (status != NND_OK) nnd_error_wrap(status, "labels '%s'", path);
    }
    nnd_free(bytes);
    if (status != NND_OK) {
        nnd_node_labels_release(labels);
        return status;
    }
    *prepared = labels;
    return NND_OK;
}

void nnd_node_labels_release(void *prepared)
{
    nnd_node_labels *labels = prepared;
    nnd_labels_free(labels->names, labels->count);
    nnd_free(labels);
}
