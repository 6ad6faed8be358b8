/* The list of all node types, and what several families need. */
#include "nodes/nodes_internal.h"

#include "port/port.h"

#include <stdlib.h>
#include <string.h>

static const nnd_node_type *const all_types[] = {
    &nnd_node_io_read_image,       &nnd_node_io_read_folder,      &nnd_node_io_write_image,
    &nnd_node_io_read_tensor,      &nnd_node_io_write_tensor,     &nnd_node_io_read_text,
    &nnd_node_io_write_text,       &nnd_node_const_bool,          &nnd_node_const_int,
    &nnd_node_const_float,         &nnd_node_const_text,          &nnd_node_const_tensor,
    &nnd_node_image_resize,        &nnd_node_image_letterbox,     &nnd_node_image_crop,
    &nnd_node_image_pad,           &nnd_node_image_flip,          &nnd_node_image_rotate,
    &nnd_node_image_convert,       &nnd_node_image_blur,          &nnd_node_image_threshold,
    &nnd_node_image_normalise,     &nnd_node_image_warp_affine,   &nnd_node_image_warp_perspective,
    &nnd_node_image_crop_boxes,    &nnd_node_image_to_tensor,     &nnd_node_image_from_tensor,
    &nnd_node_image_decode,        &nnd_node_image_encode,        &nnd_node_detect_decode_ssd,
    &nnd_node_detect_decode_yunet, &nnd_node_detect_decode_yolox, &nnd_node_detect_nms,
    &nnd_node_detect_filter,       &nnd_node_detect_components,   &nnd_node_classify_top_k,
    &nnd_node_tensor_softmax,      &nnd_node_draw_detections,     &nnd_node_draw_text,
    &nnd_node_infer_model,         &nnd_node_text_lines,
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

/* ---- what families share ----------------------------------------------------------------- */

const nnd_image *nnd_node_image(nnd_ctx *ctx, size_t port)
{
    const nnd_value *value = nnd_ctx_input(ctx, port);
    const nnd_image *image = value ? nnd_value_image(value) : NULL;
    if (!image)
        nnd_error_set(NND_E_TYPE, "input %zu wants an image, got %s", port,
                      value ? nnd_value_type_name(value) : "nothing");
    return image;
}

const nnd_tensor *nnd_node_tensor(nnd_ctx *ctx, size_t port)
{
    const nnd_value *value = nnd_ctx_input(ctx, port);
    const nnd_tensor *tensor = value ? nnd_value_tensor(value) : NULL;
    if (!tensor)
        nnd_error_set(NND_E_TYPE, "input %zu wants a tensor, got %s", port,
                      value ? nnd_value_type_name(value) : "nothing");
    return tensor;
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

nnd_status nnd_node_labels_prepare(const nnd_prepare *prepare, nnd_node_labels *out)
{
    const char *path = nnd_params_text(nnd_prepare_params(prepare), "labels");
    void *bytes = NULL;
    size_t size = 0;
    if (!path[0]) return NND_OK;
    if (!nnd_prepare_io(prepare))
        return nnd_error_set(NND_E_PERMISSION, "labels '%s': files are not allowed here", path);
    NND_TRY(nnd_io_read_file(nnd_prepare_io(prepare), path, &bytes, &size));
    nnd_status status = nnd_labels_parse(bytes, size, &out->names, &out->count);
    nnd_free(bytes);
    return status == NND_OK ? status : nnd_error_wrap(status, "labels '%s'", path);
}

void nnd_node_labels_fini(nnd_node_labels *labels)
{
    nnd_labels_free(labels->names, labels->count);
}
