/*
 * The part of OpenVINO's C ABI that this backend uses, declared by ourselves so that nothing of it
 * is needed to build. Functions are looked up by name in the library that was opened.
 * tests/infer/check_ov_abi.sh compares signatures and structs with the official headers where they
 * are installed.
 *
 * Element types are not declared: their numbers differ between releases, so the library is asked
 * (library.c).
 */
#ifndef NND_INFER_OPENVINO_ABI_H
#define NND_INFER_OPENVINO_ABI_H

#include <stddef.h>
#include <stdint.h>

typedef struct nnd_ov_core nnd_ov_core;
typedef struct nnd_ov_model nnd_ov_model;
typedef struct nnd_ov_compiled nnd_ov_compiled;
typedef struct nnd_ov_request nnd_ov_request;
typedef struct nnd_ov_tensor nnd_ov_tensor;
typedef struct nnd_ov_port nnd_ov_port;

typedef struct nnd_ov_version {
    const char *build;
    const char *description;
} nnd_ov_version;

typedef struct nnd_ov_devices {
    char **names;
    size_t count;
} nnd_ov_devices;

typedef struct nnd_ov_shape {
    int64_t rank;
    int64_t *dims;
} nnd_ov_shape;

/* From min to max, both included; open dimensions and ranks have two different ends. */
typedef struct nnd_ov_dimension {
    int64_t min, max;
} nnd_ov_dimension;

typedef struct nnd_ov_partial_shape {
    nnd_ov_dimension rank;
    nnd_ov_dimension *dims;
} nnd_ov_partial_shape;

typedef struct nnd_ov_profile_step {
    unsigned status;
    int64_t real_us, cpu_us;
    const char *name;
    const char *kernel;
    const char *op;
} nnd_ov_profile_step;

typedef struct nnd_ov_profile {
    nnd_ov_profile_step *steps;
    size_t count;
} nnd_ov_profile;

enum { NND_OV_OK = 0, NND_OV_NOT_READY = -9, NND_OV_INVALID_C_PARAM = -14 };
enum { NND_OV_STEP_EXECUTED = 2 };

typedef int nnd_ov_status;
typedef unsigned nnd_ov_type;

/* clang-format off */
#define NND_OV_FUNCTIONS(F) \
    F(nnd_ov_status, ov_get_openvino_version, (nnd_ov_version *version)) \
    F(void, ov_version_free, (nnd_ov_version *version)) \
    F(const char *, ov_get_error_info, (nnd_ov_status status)) \
    F(void, ov_free, (const char *text)) \
    F(nnd_ov_status, ov_core_create, (nnd_ov_core **core)) \
    F(nnd_ov_status, ov_core_get_available_devices, (const nnd_ov_core *core, nnd_ov_devices *devices)) \
    F(void, ov_available_devices_free, (nnd_ov_devices *devices)) \
    F(nnd_ov_status, ov_core_read_model, (const nnd_ov_core *core, const char *path, const char *weights, nnd_ov_model **model)) \
    F(nnd_ov_status, ov_core_read_model_from_memory_buffer, (const nnd_ov_core *core, const char *bytes, const size_t size, const nnd_ov_tensor *weights, nnd_ov_model **model)) \
    F(nnd_ov_status, ov_core_compile_model, (const nnd_ov_core *core, const nnd_ov_model *model, const char *device, const size_t property_words, nnd_ov_compiled **compiled, ...)) \
    F(void, ov_model_free, (nnd_ov_model *model)) \
    F(nnd_ov_status, ov_model_inputs_size, (const nnd_ov_model *model, size_t *count)) \
    F(nnd_ov_status, ov_model_outputs_size, (const nnd_ov_model *model, size_t *count)) \
    F(nnd_ov_status, ov_model_const_input_by_index, (const nnd_ov_model *model, const size_t index, nnd_ov_port **port)) \
    F(nnd_ov_status, ov_model_const_output_by_index, (const nnd_ov_model *model, const size_t index, nnd_ov_port **port)) \
    F(nnd_ov_status, ov_model_const_input_by_name, (const nnd_ov_model *model, const char *name, nnd_ov_port **port)) \
    F(nnd_ov_status, ov_model_const_output_by_name, (const nnd_ov_model *model, const char *name, nnd_ov_port **port)) \
    F(void, ov_output_const_port_free, (nnd_ov_port *port)) \
    F(nnd_ov_status, ov_port_get_any_name, (const nnd_ov_port *port, char **name)) \
    F(nnd_ov_status, ov_port_get_partial_shape, (const nnd_ov_port *port, nnd_ov_partial_shape *shape)) \
    F(nnd_ov_status, ov_port_get_element_type, (const nnd_ov_port *port, nnd_ov_type *type)) \
    F(void, ov_partial_shape_free, (nnd_ov_partial_shape *shape)) \
    F(nnd_ov_status, ov_compiled_model_create_infer_request, (const nnd_ov_compiled *compiled, nnd_ov_request **request)) \
    F(void, ov_compiled_model_free, (nnd_ov_compiled *compiled)) \
    F(nnd_ov_status, ov_infer_request_set_input_tensor_by_index, (nnd_ov_request *request, const size_t index, const nnd_ov_tensor *tensor)) \
    F(nnd_ov_status, ov_infer_request_set_output_tensor_by_index, (nnd_ov_request *request, const size_t index, const nnd_ov_tensor *tensor)) \
    F(nnd_ov_status, ov_infer_request_get_output_tensor_by_index, (const nnd_ov_request *request, const size_t index, nnd_ov_tensor **tensor)) \
    F(nnd_ov_status, ov_infer_request_infer, (nnd_ov_request *request)) \
    F(nnd_ov_status, ov_infer_request_start_async, (nnd_ov_request *request)) \
    F(nnd_ov_status, ov_infer_request_wait, (nnd_ov_request *request)) \
    F(nnd_ov_status, ov_infer_request_wait_for, (nnd_ov_request *request, const int64_t timeout_ms)) \
    F(nnd_ov_status, ov_infer_request_cancel, (nnd_ov_request *request)) \
    F(nnd_ov_status, ov_infer_request_get_profiling_info, (const nnd_ov_request *request, nnd_ov_profile *profile)) \
    F(void, ov_profiling_info_list_free, (nnd_ov_profile *profile)) \
    F(void, ov_infer_request_free, (nnd_ov_request *request)) \
    F(nnd_ov_status, ov_tensor_create, (const nnd_ov_type type, const nnd_ov_shape shape, nnd_ov_tensor **tensor)) \
    F(nnd_ov_status, ov_tensor_create_from_host_ptr, (const nnd_ov_type type, const nnd_ov_shape shape, void *data, nnd_ov_tensor **tensor)) \
    F(nnd_ov_status, ov_tensor_get_shape, (const nnd_ov_tensor *tensor, nnd_ov_shape *shape)) \
    F(nnd_ov_status, ov_tensor_get_element_type, (const nnd_ov_tensor *tensor, nnd_ov_type *type)) \
    F(nnd_ov_status, ov_tensor_get_byte_size, (const nnd_ov_tensor *tensor, size_t *bytes)) \
    F(nnd_ov_status, ov_tensor_data, (const nnd_ov_tensor *tensor, void **data)) \
    F(void, ov_tensor_free, (nnd_ov_tensor *tensor)) \
    F(nnd_ov_status, ov_shape_free, (nnd_ov_shape *shape))
/* Of later releases; may be absent. */
#define NND_OV_LATER_FUNCTIONS(F) \
    F(const char *, ov_get_last_err_msg, (void))
/* clang-format on */

typedef struct nnd_ov_api {
#define NND_OV_MEMBER(result, name, params) result(*name) params;
    NND_OV_FUNCTIONS(NND_OV_MEMBER)
    NND_OV_LATER_FUNCTIONS(NND_OV_MEMBER)
#undef NND_OV_MEMBER
} nnd_ov_api;

#endif
