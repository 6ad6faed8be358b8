/*
 * nndeploy/plugin.h: node types and value types in shared objects.
 *
 * Sections: 1 the host's table · 2 the plug-in · 3 entry
 *
 * A plug-in is a shared object that exports nnd_plugin_v1. It links nothing of nndeploy: whatever
 * it needs comes through the host's table, so one file works with every host from 1.0 on. Build
 * it against this folder of headers; inside it, call `host->error_set(…)` where library code would
 * call `nnd_error_set(…)`.
 *
 *     static const nnd_host *host;
 *     … node types whose callbacks call host->… …
 *     static const nnd_node_type *const nodes[] = {&my_node};
 *     static const nnd_plugin plugin = {
 *         .struct_size = sizeof(nnd_plugin), .abi_version = NND_ABI_VERSION, .name = "my",
 *         .version = "1.2.0", .licence = "Apache-2.0", .nodes = NND_ARRAY(nodes)};
 *     NND_PLUGIN_EXPORT const nnd_plugin *nnd_plugin_v1(const nnd_host *h)
 *     {
 *         host = h;
 *         return &plugin;
 *     }
 *
 * Part of nndeploy, Apache-2.0. Compiles alone as C11 and C++17.
 */
#ifndef NNDEPLOY_PLUGIN_H
#define NNDEPLOY_PLUGIN_H

#include "nndeploy/workflow.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- 1 the host's table ---------------------------------------------------------------- */

/* Every entry is the library function nnd_<entry> and has its documentation. Entries are only ever
   appended: one may be used when struct_size covers it, which NND_HOST_HAS tells for those that
   came after 1.0. Valid for the life of the process. */
typedef struct nnd_host {
    size_t struct_size;  /* as the host was built */
    int abi_version;     /* NND_ABI_VERSION of the host */
    const char *version; /* of the host, "1.0.0" */

    /* base.h */
    nnd_status (*error_set)(nnd_status status, const char *format, ...) NND_PRINTF(2, 3);
    nnd_status (*error_wrap)(nnd_status status, const char *format, ...) NND_PRINTF(2, 3);
    void (*error_set_node)(const char *node_path, const char *port);
    void (*error_clear)(void);
    const char *(*status_name)(nnd_status status);
    void *(*alloc)(size_t size);
    void *(*calloc)(size_t count, size_t size);
    void *(*realloc)(void *block, size_t size);
    void (*free)(void *block);
    char *(*strdup)(const char *text);
    void (*log)(nnd_log_level level, const char *room, const char *format, ...) NND_PRINTF(3, 4);
    nnd_json_type (*json_get_type)(const nnd_json *json);
    size_t (*json_count)(const nnd_json *json);
    const nnd_json *(*json_at)(const nnd_json *json, size_t index);
    const char *(*json_key_at)(const nnd_json *json, size_t index);
    const nnd_json *(*json_get)(const nnd_json *json, const char *key);
    bool (*json_bool)(const nnd_json *json, bool fallback);
    double (*json_number)(const nnd_json *json, double fallback);
    bool (*json_int)(const nnd_json *json, int64_t *out);
    const char *(*json_string)(const nnd_json *json, const char *fallback);
    void (*json_begin_object)(nnd_json_writer *w);
    void (*json_end_object)(nnd_json_writer *w);
    void (*json_begin_array)(nnd_json_writer *w);
    void (*json_end_array)(nnd_json_writer *w);
    void (*json_key)(nnd_json_writer *w, const char *key);
    void (*json_put_null)(nnd_json_writer *w);
    void (*json_put_bool)(nnd_json_writer *w, bool value);
    void (*json_put_int)(nnd_json_writer *w, int64_t value);
    void (*json_put_number)(nnd_json_writer *w, double value);
    void (*json_put_string)(nnd_json_writer *w, const char *text);

    /* sched.h */
    int64_t (*clock_now)(void);
    nnd_status (*cancel_check)(const nnd_cancel *token);
    nnd_status (*parallel_for)(size_t tiles, int max_threads, nnd_tile_fn fn, void *user,
                               const nnd_cancel *cancel);

    /* device.h */
    nnd_device *(*device_cpu)(void);
    nnd_status (*device_find)(const char *name, nnd_device **out);
    const char *(*device_name)(const nnd_device *device);
    nnd_status (*buffer_create)(const nnd_buffer_desc *desc, nnd_buffer **out);
    nnd_status (*buffer_wrap)(void *data, size_t bytes, void (*release)(void *user, void *data),
                              void *user, nnd_buffer **out);
    nnd_buffer *(*buffer_ref)(nnd_buffer *buffer);
    void (*buffer_unref)(nnd_buffer *buffer);
    void *(*buffer_data)(const nnd_buffer *buffer);
    size_t (*buffer_size)(const nnd_buffer *buffer);
    nnd_memory_kind (*buffer_kind)(const nnd_buffer *buffer);
    nnd_status (*buffer_export_fd)(const nnd_buffer *buffer, int *fd, size_t *offset);
    nnd_status (*buffer_copy)(nnd_buffer *dst, size_t dst_offset, nnd_buffer *src,
                              size_t src_offset, size_t bytes, nnd_stream *stream);
    void (*copy_count)(uint64_t bytes);
    nnd_status (*stream_call)(nnd_stream *stream, nnd_status (*fn)(void *user), void *user);
    void *(*device_sim_data)(const nnd_buffer *buffer);

    /* data.h */
    const char *(*dtype_name)(nnd_dtype dtype);
    unsigned (*dtype_bits)(nnd_dtype dtype);
    double (*dtype_get)(nnd_dtype dtype, const void *data, size_t index);
    void (*dtype_set)(nnd_dtype dtype, void *data, size_t index, double value);
    nnd_status (*tensor_init)(nnd_tensor *t, nnd_dtype dtype, int rank, const int64_t *dims,
                              void *data);
    int64_t (*tensor_count)(const nnd_tensor *t);
    size_t (*tensor_bytes)(const nnd_tensor *t);
    bool (*tensor_is_dense)(const nnd_tensor *t);
    nnd_status (*tensor_copy)(nnd_tensor *dst, const nnd_tensor *src);
    nnd_status (*image_init)(nnd_image *image, nnd_pixel_format format, nnd_dtype dtype, int width,
                             int height, size_t row_align, void *data, size_t *bytes);
    nnd_status (*image_copy)(nnd_image *dst, const nnd_image *src);
    nnd_value *(*value_ref)(nnd_value *value);
    void (*value_unref)(nnd_value *value);
    const char *(*value_type_name)(const nnd_value *value);
    bool (*value_is)(const nnd_value *value, const char *type_name);
    const nnd_header *(*value_header)(const nnd_value *value);
    nnd_status (*value_set_header)(nnd_value *value, const nnd_header *header);
    nnd_status (*value_with_header)(nnd_value *value, const nnd_header *header, nnd_value **out);
    const void *(*value_payload)(const nnd_value *value, const char *type_name);
    void *(*value_edit)(nnd_value *value);
    nnd_status (*value_writable)(nnd_value *take_value, nnd_value **out);
    nnd_buffer *(*value_buffer)(const nnd_value *value);
    const nnd_tensor *(*value_tensor)(const nnd_value *value);
    const nnd_image *(*value_image)(const nnd_value *value);
    const nnd_audio *(*value_audio)(const nnd_value *value);
    const nnd_detections *(*value_detections)(const nnd_value *value);
    const nnd_keypoints *(*value_keypoints)(const nnd_value *value);
    const nnd_mask *(*value_mask)(const nnd_value *value);
    const nnd_tracks *(*value_tracks)(const nnd_value *value);
    const nnd_classes *(*value_classes)(const nnd_value *value);
    const nnd_geometry *(*value_geometry)(const nnd_value *value);
    const nnd_text *(*value_text)(const nnd_value *value);
    bool (*value_as_bool)(const nnd_value *value, bool *out);
    bool (*value_as_int)(const nnd_value *value, int64_t *out);
    bool (*value_as_float)(const nnd_value *value, double *out);
    bool (*value_as_bytes)(const nnd_value *value, const void **data, size_t *size);
    nnd_status (*value_create)(const char *type_name, nnd_value **out);
    nnd_status (*value_from_tensor)(const nnd_tensor *t, nnd_value **out);
    nnd_status (*value_from_image)(const nnd_image *image, nnd_value **out);
    nnd_status (*value_new_tensor)(nnd_dtype dtype, int rank, const int64_t *dims, nnd_value **out);
    nnd_status (*value_new_image)(nnd_pixel_format format, nnd_dtype dtype, int width, int height,
                                  nnd_value **out);
    nnd_status (*value_new_audio)(nnd_dtype dtype, int sample_rate, int channels, int64_t frames,
                                  nnd_value **out);
    nnd_status (*value_new_detections)(size_t count, int points_per_item, const char *const *labels,
                                       size_t label_count, nnd_value **out);
    nnd_status (*value_new_keypoints)(size_t count, int points_per_item, nnd_value **out);
    nnd_status (*value_new_mask)(nnd_dtype dtype, bool is_alpha, int width, int height,
                                 nnd_value **out);
    nnd_status (*value_new_tracks)(size_t count, nnd_value **out);
    nnd_status (*value_new_classes)(size_t count, nnd_value **out);
    nnd_status (*value_set_class)(nnd_value *classes, size_t index, int class_id, float score,
                                  const char *label);
    nnd_status (*value_new_geometry)(const nnd_geometry *g, nnd_value **out);
    nnd_status (*value_new_text)(const char *text, size_t size, nnd_value **out);
    nnd_status (*value_new_bool)(bool value, nnd_value **out);
    nnd_status (*value_new_int)(int64_t value, nnd_value **out);
    nnd_status (*value_new_float)(double value, nnd_value **out);
    nnd_status (*value_new_bytes)(const void *data, size_t size, nnd_value **out);
    nnd_status (*value_new_list)(nnd_value *const *items, size_t count, nnd_value **out);
    size_t (*value_list_count)(const nnd_value *list);
    nnd_value *(*value_list_at)(const nnd_value *list, size_t index);
    nnd_status (*value_new_record)(nnd_value **out);
    nnd_status (*value_record_set)(nnd_value *record, const char *name, nnd_value *value);
    nnd_value *(*value_record_get)(const nnd_value *record, const char *name);
    nnd_status (*pack_u32)(nnd_packer *p, uint32_t v);
    nnd_status (*pack_u64)(nnd_packer *p, uint64_t v);
    nnd_status (*pack_i64)(nnd_packer *p, int64_t v);
    nnd_status (*pack_f64)(nnd_packer *p, double v);
    nnd_status (*pack_bytes)(nnd_packer *p, const void *data, size_t size);
    nnd_status (*pack_string)(nnd_packer *p, const char *text);
    nnd_status (*pack_buffer)(nnd_packer *p, nnd_buffer *buffer, size_t offset, size_t size);
    nnd_status (*pack_value)(nnd_packer *p, const nnd_value *value);
    nnd_status (*unpack_u32)(nnd_unpacker *u, uint32_t *v);
    nnd_status (*unpack_u64)(nnd_unpacker *u, uint64_t *v);
    nnd_status (*unpack_i64)(nnd_unpacker *u, int64_t *v);
    nnd_status (*unpack_f64)(nnd_unpacker *u, double *v);
    nnd_status (*unpack_bytes)(nnd_unpacker *u, const void **data, size_t *size);
    nnd_status (*unpack_string)(nnd_unpacker *u, char **text);
    nnd_status (*unpack_buffer)(nnd_unpacker *u, nnd_buffer **buffer, size_t *offset, size_t *size);
    nnd_status (*unpack_value)(nnd_unpacker *u, nnd_value **out);

    /* workflow.h */
    bool (*params_bool)(const nnd_params *p, const char *name);
    int64_t (*params_int)(const nnd_params *p, const char *name);
    double (*params_float)(const nnd_params *p, const char *name);
    const char *(*params_text)(const nnd_params *p, const char *name);
    int (*params_enum)(const nnd_params *p, const char *name);
    size_t (*params_numbers)(const nnd_params *p, const char *name, double *out, size_t max);
    size_t (*params_string_count)(const nnd_params *p, const char *name);
    const char *(*params_string_at)(const nnd_params *p, const char *name, size_t index);
    const nnd_json *(*params_json)(const nnd_params *p, const char *name);
    bool (*params_is_set)(const nnd_params *p, const char *name);
    nnd_status (*port_list_add_input)(nnd_port_list *l, const char *name, const char *type,
                                      const char *text, uint32_t flags);
    nnd_status (*port_list_add_output)(nnd_port_list *l, const char *name, const char *type,
                                       const char *text, uint32_t flags);
    void (*spec_init)(nnd_spec *spec);
    const nnd_params *(*negotiation_params)(const nnd_negotiation *n);
    const void *(*negotiation_prepared)(const nnd_negotiation *n);
    size_t (*negotiation_input_count)(const nnd_negotiation *n);
    const nnd_spec *(*negotiation_input)(const nnd_negotiation *n, size_t port);
    nnd_device *(*negotiation_device)(const nnd_negotiation *n);
    nnd_status (*negotiation_accept)(nnd_negotiation *n, size_t input, const nnd_spec *wanted);
    nnd_status (*negotiation_produce)(nnd_negotiation *n, size_t output, const nnd_spec *spec);
    const nnd_params *(*prepare_params)(const nnd_prepare *p);
    nnd_io *(*prepare_io)(const nnd_prepare *p);
    nnd_device *(*prepare_device)(const nnd_prepare *p);
    nnd_cancel *(*prepare_cancel)(const nnd_prepare *p);
    nnd_status (*prepare_find_model)(const nnd_prepare *p, const char *model, char **path);
    size_t (*prepare_input_count)(const nnd_prepare *p);
    const char *(*prepare_input_name)(const nnd_prepare *p, size_t port);
    size_t (*prepare_output_count)(const nnd_prepare *p);
    const char *(*prepare_output_name)(const nnd_prepare *p, size_t port);
    nnd_status (*shared_get)(const char *key, nnd_status (*make)(void *user, void **object),
                             void *user, void (*destroy)(void *object), void **out);
    void (*shared_release)(const char *key, void *object);
    const nnd_params *(*ctx_params)(const nnd_ctx *ctx);
    const void *(*ctx_prepared)(const nnd_ctx *ctx);
    void *(*ctx_state)(const nnd_ctx *ctx);
    nnd_value *(*ctx_input)(const nnd_ctx *ctx, size_t port);
    size_t (*ctx_input_count)(const nnd_ctx *ctx, size_t port);
    nnd_value *(*ctx_input_at)(const nnd_ctx *ctx, size_t port, size_t index);
    nnd_value *(*ctx_take_input)(nnd_ctx *ctx, size_t port);
    bool (*ctx_output_is_used)(const nnd_ctx *ctx, size_t port);
    nnd_status (*ctx_alloc)(nnd_ctx *ctx, size_t output, const nnd_value_desc *desc,
                            nnd_value **out);
    nnd_status (*ctx_alloc_tensor)(nnd_ctx *ctx, size_t output, nnd_dtype dtype, int rank,
                                   const int64_t *dims, nnd_value **out);
    nnd_status (*ctx_alloc_image)(nnd_ctx *ctx, size_t output, nnd_pixel_format format,
                                  nnd_dtype dtype, int width, int height, nnd_value **out);
    nnd_status (*ctx_emit)(nnd_ctx *ctx, size_t output, nnd_value *take_value);
    void (*ctx_end)(nnd_ctx *ctx);
    nnd_io *(*ctx_io)(const nnd_ctx *ctx);
    nnd_cancel *(*ctx_cancel)(const nnd_ctx *ctx);
    nnd_device *(*ctx_device)(const nnd_ctx *ctx);
    nnd_stream *(*ctx_stream)(const nnd_ctx *ctx);
    int64_t (*ctx_sequence)(const nnd_ctx *ctx);
    uint64_t (*ctx_random)(nnd_ctx *ctx);
    int (*ctx_threads)(const nnd_ctx *ctx);
    void (*ctx_progress)(nnd_ctx *ctx, double done, double total, const char *text);
    const char *(*ctx_node_path)(const nnd_ctx *ctx);
    nnd_status (*io_resolve_read)(nnd_io *io, const char *path, char **real);
    nnd_status (*io_resolve_write)(nnd_io *io, const char *path, char **real);
    nnd_status (*io_read_file)(nnd_io *io, const char *path, void **bytes, size_t *size);
    nnd_status (*io_write_file)(nnd_io *io, const char *path, const void *bytes, size_t size);
    nnd_status (*io_list)(nnd_io *io, const char *path, char ***names, size_t *count);
    nnd_status (*io_make_dir)(nnd_io *io, const char *path);
    nnd_status (*io_check_host)(nnd_io *io, const char *host);
    nnd_status (*io_check_device)(nnd_io *io, const char *device);
    const char *(*io_safe_name)(const char *text, char *name, size_t size);
    nnd_status (*prepare_keep)(nnd_prepare *p, void *take_object, void (*destroy)(void *object));

    /* for inference backends */
    nnd_status (*buffer_wait)(nnd_buffer *buffer, const nnd_cancel *cancel);
    const char *(*tensor_describe)(const nnd_tensor *t, char *text, size_t size);
    void (*sched_charge)(int threads);
    int (*sched_threads)(void);
    nnd_status (*prepare_find_variant)(const nnd_prepare *p, const nnd_model_wish *wish,
                                       char **path, bool *as_wished);
} nnd_host;
/* Whether the running host has an entry that was appended after 1.0. */
#define NND_HOST_HAS(host, entry)                                                                  \
    ((host)->struct_size >= offsetof(nnd_host, entry) + sizeof((host)->entry))

/* The running library's table (for hosts that load plug-ins by other means). Static storage. */
NND_API const nnd_host *nnd_host_table(void);

/* ---- 2 the plug-in --------------------------------------------------------------------- */

/* Something a plug-in brings beside nodes and value types. Hosts skip kinds that they do not
   know. */
typedef struct nnd_extension {
    const char *kind;      /* "infer.backend/1" */
    const void *extension; /* what that kind says */
} nnd_extension;

/* Static and constant, as everything that it points to. */
typedef struct nnd_plugin {
    size_t struct_size;    /* = sizeof(nnd_plugin) */
    int abi_version;       /* = NND_ABI_VERSION of the headers it was built with */
    const char *name;      /* [a-z][a-z0-9_-]*, what "requires" in workflows names */
    const char *version;   /* "1.2.0" */
    const char *licence;   /* SPDX, "Apache-2.0" */
    nnd_array nodes;       /* of const nnd_node_type * */
    nnd_array value_types; /* of const nnd_value_type *; the file then stays loaded for ever */
    nnd_array extensions;  /* of nnd_extension */
} nnd_plugin;

/* ---- 3 entry --------------------------------------------------------------------------- */

/* The symbol that is looked up. Returns NULL when the plug-in cannot work here, after
   host->error_set with the reason. */
typedef const nnd_plugin *(*nnd_plugin_entry)(const nnd_host *host);
#define NND_PLUGIN_SYMBOL "nnd_plugin_v1"

#if defined(_WIN32)
#define NND_PLUGIN_EXPORT_ATTRIBUTE __declspec(dllexport)
#elif defined(__GNUC__)
#define NND_PLUGIN_EXPORT_ATTRIBUTE __attribute__((visibility("default")))
#else
#define NND_PLUGIN_EXPORT_ATTRIBUTE
#endif
#ifdef __cplusplus
#define NND_PLUGIN_EXPORT extern "C" NND_PLUGIN_EXPORT_ATTRIBUTE
#else
#define NND_PLUGIN_EXPORT NND_PLUGIN_EXPORT_ATTRIBUTE
#endif

#ifdef __cplusplus
}
#endif
#endif
