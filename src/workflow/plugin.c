/* The host's function table, and loading plug-ins through it. */
#include "nndeploy/plugin.h"

#include <ctype.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"
#include "port/port.h"
#include "workflow/plugin_file.h"
#include "workflow/registry.h"

/* ---- the table --------------------------------------------------------------------------- */

static const nnd_host host_table = {
    .struct_size = sizeof(nnd_host),
    .abi_version = NND_ABI_VERSION,
    .version = NND_VERSION,
    .error_set = nnd_error_set,
    .error_wrap = nnd_error_wrap,
    .error_set_node = nnd_error_set_node,
    .error_clear = nnd_error_clear,
    .status_name = nnd_status_name,
    .alloc = nnd_alloc,
    .calloc = nnd_calloc,
    .realloc = nnd_realloc,
    .free = nnd_free,
    .strdup = nnd_strdup,
    .log = nnd_log,
    .json_get_type = nnd_json_get_type,
    .json_count = nnd_json_count,
    .json_at = nnd_json_at,
    .json_key_at = nnd_json_key_at,
    .json_get = nnd_json_get,
    .json_bool = nnd_json_bool,
    .json_number = nnd_json_number,
    .json_int = nnd_json_int,
    .json_string = nnd_json_string,
    .json_begin_object = nnd_json_begin_object,
    .json_end_object = nnd_json_end_object,
    .json_begin_array = nnd_json_begin_array,
    .json_end_array = nnd_json_end_array,
    .json_key = nnd_json_key,
    .json_put_null = nnd_json_put_null,
    .json_put_bool = nnd_json_put_bool,
    .json_put_int = nnd_json_put_int,
    .json_put_number = nnd_json_put_number,
    .json_put_string = nnd_json_put_string,
    .clock_now = nnd_clock_now,
    .cancel_check = nnd_cancel_check,
    .parallel_for = nnd_parallel_for,
    .device_cpu = nnd_device_cpu,
    .device_find = nnd_device_find,
    .device_name = nnd_device_name,
    .buffer_create = nnd_buffer_create,
    .buffer_wrap = nnd_buffer_wrap,
    .buffer_ref = nnd_buffer_ref,
    .buffer_unref = nnd_buffer_unref,
    .buffer_data = nnd_buffer_data,
    .buffer_size = nnd_buffer_size,
    .buffer_kind = nnd_buffer_kind,
    .buffer_export_fd = nnd_buffer_export_fd,
    .buffer_copy = nnd_buffer_copy,
    .copy_count = nnd_copy_count,
    .stream_call = nnd_stream_call,
    .device_sim_data = nnd_device_sim_data,
    .dtype_name = nnd_dtype_name,
    .dtype_bits = nnd_dtype_bits,
    .dtype_get = nnd_dtype_get,
    .dtype_set = nnd_dtype_set,
    .tensor_init = nnd_tensor_init,
    .tensor_count = nnd_tensor_count,
    .tensor_bytes = nnd_tensor_bytes,
    .tensor_is_dense = nnd_tensor_is_dense,
    .tensor_copy = nnd_tensor_copy,
    .image_init = nnd_image_init,
    .image_copy = nnd_image_copy,
    .value_ref = nnd_value_ref,
    .value_unref = nnd_value_unref,
    .value_type_name = nnd_value_type_name,
    .value_is = nnd_value_is,
    .value_header = nnd_value_header,
    .value_set_header = nnd_value_set_header,
    .value_with_header = nnd_value_with_header,
    .value_payload = nnd_value_payload,
    .value_edit = nnd_value_edit,
    .value_writable = nnd_value_writable,
    .value_buffer = nnd_value_buffer,
    .value_tensor = nnd_value_tensor,
    .value_image = nnd_value_image,
    .value_audio = nnd_value_audio,
    .value_detections = nnd_value_detections,
    .value_keypoints = nnd_value_keypoints,
    .value_mask = nnd_value_mask,
    .value_tracks = nnd_value_tracks,
    .value_classes = nnd_value_classes,
    .value_geometry = nnd_value_geometry,
    .value_text = nnd_value_text,
    .value_as_bool = nnd_value_as_bool,
    .value_as_int = nnd_value_as_int,
    .value_as_float = nnd_value_as_float,
    .value_as_bytes = nnd_value_as_bytes,
    .value_create = nnd_value_create,
    .value_from_tensor = nnd_value_from_tensor,
    .value_from_image = nnd_value_from_image,
    .value_new_tensor = nnd_value_new_tensor,
    .value_new_image = nnd_value_new_image,
    .value_new_audio = nnd_value_new_audio,
    .value_new_detections = nnd_value_new_detections,
    .value_new_keypoints = nnd_value_new_keypoints,
    .value_new_mask = nnd_value_new_mask,
    .value_new_tracks = nnd_value_new_tracks,
    .value_new_classes = nnd_value_new_classes,
    .value_set_class = nnd_value_set_class,
    .value_new_geometry = nnd_value_new_geometry,
    .value_new_text = nnd_value_new_text,
    .value_new_bool = nnd_value_new_bool,
    .value_new_int = nnd_value_new_int,
    .value_new_float = nnd_value_new_float,
    .value_new_bytes = nnd_value_new_bytes,
    .value_new_list = nnd_value_new_list,
    .value_list_count = nnd_value_list_count,
    .value_list_at = nnd_value_list_at,
    .value_new_record = nnd_value_new_record,
    .value_record_set = nnd_value_record_set,
    .value_record_get = nnd_value_record_get,
    .pack_u32 = nnd_pack_u32,
    .pack_u64 = nnd_pack_u64,
    .pack_i64 = nnd_pack_i64,
    .pack_f64 = nnd_pack_f64,
    .pack_bytes = nnd_pack_bytes,
    .pack_string = nnd_pack_string,
    .pack_buffer = nnd_pack_buffer,
    .pack_value = nnd_pack_value,
    .unpack_u32 = nnd_unpack_u32,
    .unpack_u64 = nnd_unpack_u64,
    .unpack_i64 = nnd_unpack_i64,
    .unpack_f64 = nnd_unpack_f64,
    .unpack_bytes = nnd_unpack_bytes,
    .unpack_string = nnd_unpack_string,
    .unpack_buffer = nnd_unpack_buffer,
    .unpack_value = nnd_unpack_value,
    .params_bool = nnd_params_bool,
    .params_int = nnd_params_int,
    .params_float = nnd_params_float,
    .params_text = nnd_params_text,
    .params_enum = nnd_params_enum,
    .params_numbers = nnd_params_numbers,
    .params_string_count = nnd_params_string_count,
    .params_string_at = nnd_params_string_at,
    .params_json = nnd_params_json,
    .params_is_set = nnd_params_is_set,
    .port_list_add_input = nnd_port_list_add_input,
    .port_list_add_output = nnd_port_list_add_output,
    .spec_init = nnd_spec_init,
    .negotiation_params = nnd_negotiation_params,
    .negotiation_prepared = nnd_negotiation_prepared,
    .negotiation_input_count = nnd_negotiation_input_count,
    .negotiation_input = nnd_negotiation_input,
    .negotiation_device = nnd_negotiation_device,
    .negotiation_accept = nnd_negotiation_accept,
    .negotiation_produce = nnd_negotiation_produce,
    .prepare_params = nnd_prepare_params,
    .prepare_io = nnd_prepare_io,
    .prepare_device = nnd_prepare_device,
    .prepare_cancel = nnd_prepare_cancel,
    .prepare_find_model = nnd_prepare_find_model,
    .prepare_input_count = nnd_prepare_input_count,
    .prepare_input_name = nnd_prepare_input_name,
    .prepare_output_count = nnd_prepare_output_count,
    .prepare_output_name = nnd_prepare_output_name,
    .shared_get = nnd_shared_get,
    .shared_release = nnd_shared_release,
    .ctx_params = nnd_ctx_params,
    .ctx_prepared = nnd_ctx_prepared,
    .ctx_state = nnd_ctx_state,
    .ctx_input = nnd_ctx_input,
    .ctx_input_count = nnd_ctx_input_count,
    .ctx_input_at = nnd_ctx_input_at,
    .ctx_take_input = nnd_ctx_take_input,
    .ctx_output_is_used = nnd_ctx_output_is_used,
    .ctx_alloc = nnd_ctx_alloc,
    .ctx_alloc_tensor = nnd_ctx_alloc_tensor,
    .ctx_alloc_image = nnd_ctx_alloc_image,
    .ctx_emit = nnd_ctx_emit,
    .ctx_end = nnd_ctx_end,
    .ctx_io = nnd_ctx_io,
    .ctx_cancel = nnd_ctx_cancel,
    .ctx_device = nnd_ctx_device,
    .ctx_stream = nnd_ctx_stream,
    .ctx_sequence = nnd_ctx_sequence,
    .ctx_random = nnd_ctx_random,
    .ctx_threads = nnd_ctx_threads,
    .ctx_progress = nnd_ctx_progress,
    .ctx_node_path = nnd_ctx_node_path,
    .io_resolve_read = nnd_io_resolve_read,
    .io_resolve_write = nnd_io_resolve_write,
    .io_read_file = nnd_io_read_file,
    .io_write_file = nnd_io_write_file,
    .io_list = nnd_io_list,
    .io_make_dir = nnd_io_make_dir,
    .io_check_host = nnd_io_check_host,
    .io_check_device = nnd_io_check_device,
    .io_safe_name = nnd_io_safe_name,
    .prepare_keep = nnd_prepare_keep,
    .buffer_wait = nnd_buffer_wait,
    .tensor_describe = nnd_tensor_describe,
    .sched_charge = nnd_sched_charge,
    .sched_threads = nnd_sched_threads,
    .prepare_find_variant = nnd_prepare_find_variant,
};

const nnd_host *nnd_host_table(void)
{
    return &host_table;
}

/* ---- descriptors in the size we know ----------------------------------------------------- */

/* A plug-in may have been built with larger (newer) structs; copies have exactly our size. */
typedef struct loaded_plugin {
    nnd_port_module *module;
    const nnd_plugin *plugin;
    const nnd_node_type **types; /* what the registry gets */
    size_t type_count;
    NND_VEC(void *) copies;
    bool pinned; /* value types are registered for ever, and so the file stays */
} loaded_plugin;

/* Files whose value types are known to the whole process. */
static struct {
    nnd_port_mutex lock;
    nnd_port_module **items;
    size_t count, capacity;
} pinned_modules = {NND_PORT_MUTEX_INIT, NULL, 0, 0};

static void keep_loaded(nnd_port_module *module)
{
    nnd_port_mutex_lock(&pinned_modules.lock);
    (void)nnd_vec_push(&pinned_modules, module); /* without memory nobody remembers the handle */
    nnd_port_mutex_unlock(&pinned_modules.lock);
}

static void unload(void *object)
{
    loaded_plugin *p = object;
    for (size_t i = 0; i < p->copies.count; i++)
        nnd_free(p->copies.items[i]);
    nnd_vec_free(&p->copies);
    nnd_free((void *)p->types);
    if (p->module && p->pinned)
        keep_loaded(p->module);
    else if (p->module)
        nnd_port_module_close(p->module);
    nnd_free(p);
}

static nnd_status no_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory for a plug-in");
}

static nnd_status keep_copy(loaded_plugin *p, void *copy)
{
    if (copy && nnd_vec_push(&p->copies, copy)) return NND_OK;
    nnd_free(copy);
    return no_memory();
}

/* An array whose elements have our size; `least` is what version 1 had. */
static nnd_status fit_array(loaded_plugin *p, nnd_array *array, size_t least, const char *what)
{
    if (array->count == 0 || array->item_size == least) return NND_OK;
    if (array->item_size < least || !array->items)
        return nnd_error_set(NND_E_FORMAT,
                             "its array of %s has elements of %zu bytes, at least "
                             "%zu are needed",
                             what, array->item_size, least);
    char *copy = nnd_calloc(array->count, least);
    NND_TRY(keep_copy(p, copy));
    for (size_t i = 0; i < array->count; i++)
        memcpy(copy + i * least, (const char *)array->items + i * array->item_size, least);
    array->items = copy;
    array->item_size = least;
    return NND_OK;
}

static nnd_status fit_type(loaded_plugin *p, const nnd_node_type *type, const nnd_node_type **out)
{
    if (!type) return nnd_error_set(NND_E_FORMAT, "one of its node types is NULL");
    if (type->struct_size < sizeof(*type))
        return nnd_error_set(NND_E_FORMAT,
                             "one of its node types says it has %zu bytes, version 1 "
                             "has %zu",
                             type->struct_size, sizeof(*type));
    nnd_node_type *copy = nnd_alloc(sizeof(*copy));
    if (copy) *copy = *type;
    NND_TRY(keep_copy(p, copy));
    copy->struct_size = sizeof(*copy);
    /* Bits from 24 up are the host's own. */
    copy->flags &= 0x00ffffffu;
    NND_TRY(fit_array(p, &copy->inputs, sizeof(nnd_port), "inputs"));
    NND_TRY(fit_array(p, &copy->outputs, sizeof(nnd_port), "outputs"));
    NND_TRY(fit_array(p, &copy->params, sizeof(nnd_param), "parameters"));
    *out = copy;
    return NND_OK;
}

static nnd_status fit_types(loaded_plugin *p)
{
    const nnd_array *nodes = &p->plugin->nodes;
    if (nodes->count == 0) return NND_OK;
    if (!nodes->items || nodes->item_size != sizeof(nnd_node_type *))
        return nnd_error_set(NND_E_FORMAT, "its array of nodes does not hold pointers");
    p->types = nnd_calloc(nodes->count, sizeof(*p->types));
    if (!p->types) return no_memory();
    for (size_t i = 0; i < nodes->count; i++) {
        const nnd_node_type *type = ((const nnd_node_type *const *)nodes->items)[i];
        NND_TRY(fit_type(p, type, &p->types[i]));
        NND_TRY(wf_node_type_check(p->types[i]));
        p->type_count++;
    }
    return NND_OK;
}

/* ---- loading ----------------------------------------------------------------------------- */

static nnd_status check_plugin(const nnd_plugin *plugin)
{
    if (plugin->struct_size < sizeof(*plugin))
        return nnd_error_set(NND_E_FORMAT, "its description has %zu bytes, version 1 has %zu",
                             plugin->struct_size, sizeof(*plugin));
    if (plugin->abi_version > NND_ABI_VERSION)
        return nnd_error_set(NND_E_UNSUPPORTED,
                             "it wants interface version %d, this is %d (%s); "
                             "a newer nndeploy is needed",
                             plugin->abi_version, NND_ABI_VERSION, NND_VERSION);
    if (plugin->abi_version < 1)
        return nnd_error_set(NND_E_FORMAT, "it gives the interface version %d",
                             plugin->abi_version);
    if (!plugin->name || !plugin->name[0] || !plugin->version || !plugin->licence)
        return nnd_error_set(NND_E_FORMAT, "it has no name, version or licence");
    for (const char *c = plugin->name; *c; c++)
        if (!islower((unsigned char)*c) && !isdigit((unsigned char)*c) && *c != '-' && *c != '_')
            return nnd_error_set(NND_E_FORMAT,
                                 "its name '%s' has other characters than a-z, 0-9, "
                                 "- and _",
                                 plugin->name);
    return NND_OK;
}

static nnd_status check_value_types(const nnd_array *array)
{
    if (array->count && (!array->items || array->item_size != sizeof(nnd_value_type *)))
        return nnd_error_set(NND_E_FORMAT, "its array of value types does not hold pointers");
    for (size_t i = 0; i < array->count; i++) {
        const nnd_value_type *type = ((const nnd_value_type *const *)array->items)[i];
        if (!type || type->struct_size < sizeof(*type) || !type->name)
            return nnd_error_set(NND_E_FORMAT, "value type %zu of it is not complete", i);
        const nnd_value_type *known = nnd_value_type_find(type->name);
        if (known && known != type)
            return nnd_error_set(NND_E_EXISTS, "its value type '%s' exists already", type->name);
    }
    return NND_OK;
}

/* What hosts take from them, backends for example, may be in use until the process ends: the file
   stays loaded. */
static nnd_status check_extensions(loaded_plugin *p)
{
    const nnd_array *array = &p->plugin->extensions;
    if (array->count && (!array->items || array->item_size < sizeof(nnd_extension)))
        return nnd_error_set(NND_E_FORMAT, "its array of extensions has elements of %zu bytes",
                             array->item_size);
    for (size_t i = 0; i < array->count; i++) {
        const char *item = (const char *)array->items + i * array->item_size;
        const nnd_extension *extension = (const nnd_extension *)item;
        if (!extension->kind || !extension->extension)
            return nnd_error_set(NND_E_FORMAT, "extension %zu of it is not complete", i);
        p->pinned = true;
    }
    return NND_OK;
}

static nnd_status register_value_types(loaded_plugin *p)
{
    const nnd_array *array = &p->plugin->value_types;
    for (size_t i = 0; i < array->count; i++) {
        const nnd_value_type *type = ((const nnd_value_type *const *)array->items)[i];
        if (nnd_value_type_find(type->name) == type) continue;
        NND_TRY(nnd_value_type_register(type));
        p->pinned = true;
    }
    if (array->count) p->pinned = true;
    return NND_OK;
}

static nnd_status open_module(loaded_plugin *p, const char *path)
{
    char reason[512] = "";
    if (!nnd_port_file_exists(path)) return nnd_error_set(NND_E_NOT_FOUND, "there is no such file");
    if (!nnd_port_dir_exists(path)) NND_TRY(wf_plugin_file_check(path));
    /* A bare name would be searched in the system's library folders. */
    char *here = strpbrk(path, "/\\") ? nnd_strdup(path) : nnd_strf("./%s", path);
    if (!here) return no_memory();
    int rc = nnd_port_module_open(here, &p->module, reason, sizeof(reason));
    nnd_free(here);
    if (rc != 0) return nnd_error_set(NND_E_FORMAT, "it is no loadable module: %s", reason);
    void *symbol = nnd_port_module_symbol(p->module, NND_PLUGIN_SYMBOL);
    if (!symbol) return nnd_error_set(NND_E_FORMAT, "it does not export %s", NND_PLUGIN_SYMBOL);
    nnd_plugin_entry entry;
    memcpy(&entry, &symbol, sizeof(entry)); /* object to function pointer, as POSIX has it */
    nnd_error_clear();
    p->plugin = entry(&host_table);
    if (p->plugin) return NND_OK;
    nnd_error *why = nnd_error_take();
    nnd_status status =
        nnd_error_set(why ? nnd_error_status(why) : NND_E_UNSUPPORTED, "it cannot work here: %s",
                      why ? nnd_error_message(why) : "it returned nothing and gave no reason");
    nnd_error_destroy(why);
    return status;
}

static nnd_status load(loaded_plugin *p, nnd_registry *r, const char *path)
{
    NND_TRY(open_module(p, path));
    NND_TRY(check_plugin(p->plugin));
    if (wf_registry_plugin_version(r, p->plugin->name))
        return nnd_error_set(NND_E_EXISTS, "a plug-in '%s' is loaded already", p->plugin->name);
    NND_TRY(check_value_types(&p->plugin->value_types));
    NND_TRY(check_extensions(p));
    NND_TRY(fit_types(p));
    for (size_t i = 0; i < p->type_count; i++) {
        const nnd_node_type *known = nnd_registry_find(r, p->types[i]->type, p->types[i]->version);
        if (known)
            return nnd_error_set(NND_E_EXISTS, "its node type '%s@%d' exists already", known->type,
                                 known->version);
    }
    NND_TRY(register_value_types(p));
    wf_registry_owner owner = {p->plugin->name, p->plugin->version, p, unload,
                               p->plugin->extensions};
    return wf_registry_add_all(r, p->types, p->type_count, &owner);
}

nnd_status nnd_registry_load_plugin(nnd_registry *r, const char *path)
{
    if (!r || !path)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "a registry and a path are needed");
    loaded_plugin *p = nnd_calloc(1, sizeof(*p));
    if (!p) return no_memory();
    nnd_status status = load(p, r, path);
    if (status == NND_OK) return NND_OK;
    /* One message that names the file; what the module may have set goes before it is unloaded. */
    nnd_error *why = nnd_error_take();
    unload(p);
    status = nnd_error_set(status, "cannot load the plug-in '%s': %s", path,
                           why ? nnd_error_message(why) : nnd_status_text(status));
    nnd_error_destroy(why);
    return status;
}
