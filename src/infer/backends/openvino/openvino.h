/* What the files of the OpenVINO backend share. */
#ifndef NND_INFER_OPENVINO_H
#define NND_INFER_OPENVINO_H

#include "infer/backends/openvino/onnx_file.h"
#include "infer/backends/openvino/ov_abi.h"
#include "infer/infer.h"

/* The library, once it was found; it stays loaded until the process ends, because its threads do.
   One core serves all models, as its makers intend. */
typedef struct nnd_ov_library {
    nnd_port_module *module;
    nnd_ov_api api;
    nnd_ov_core *core;
    char version[64];
    char path[256];
    char devices[256];
    nnd_ov_type types[NND_DTYPE_COUNT]; /* what the library calls our element types */
    bool has_type[NND_DTYPE_COUNT];
} nnd_ov_library;

/* NULL with the reason when it is not there; asked anew each time until it is. Any thread. */
const nnd_ov_library *nnd_ov_library_get(char *reason, size_t size);
/* Our name of an element type; NND_DTYPE_INVALID when we have none. */
nnd_dtype nnd_ov_dtype(const nnd_ov_library *lib, nnd_ov_type type);
/* Sets the error record: what failed and what the library said about it. A result of NND_E_BACKEND
   becomes NND_E_UNSUPPORTED when the words say so. */
nnd_status nnd_ov_fail(const nnd_ov_library *lib, nnd_ov_status result, nnd_status status,
                       const char *what, const char *name);

/* A model compiled for a number of threads, with or without measuring. */
typedef struct nnd_ov_variant {
    struct nnd_ov_variant *next;
    int threads;
    bool profile;
    nnd_ov_compiled *compiled;
} nnd_ov_variant;

typedef struct nnd_ov_config {
    char *device;
    char *cache_dir;
    char *weights;
    char *precision;
    int hint;
    int64_t threads;
    int64_t streams;
    bool profile;
} nnd_ov_config;

typedef struct nnd_openvino_model {
    const nnd_ov_library *lib;
    char *name;
    nnd_ov_config config;
    nnd_ov_model *model;
    nnd_model_port *ports; /* inputs, then outputs */
    size_t input_count, output_count;
    char **texts; /* names and symbols of the ports */
    size_t text_count;
    nnd_port_mutex lock; /* of the variants */
    nnd_ov_variant *variants;
    /* the weights of an IR model */
    void (*weights_release)(void *handle);
    void *weights_handle;
    bool has_weights;
} nnd_openvino_model;

/* Takes the element types, shapes and names of the model's ports; `file` is what an ONNX file says
   about them, NULL for other formats. */
nnd_status nnd_ov_take_ports(nnd_openvino_model *m, const nnd_onnx_file *file);
/* The compiled form for that many threads (0 = the model's). Borrowed from the model. */
nnd_status nnd_ov_variant_get(nnd_openvino_model *m, int threads, bool profile,
                              const nnd_ov_variant **out);

nnd_status nnd_ov_load(const void *bytes, size_t size, const char *path,
                       const nnd_model_options *options, void **model);
void nnd_ov_unload(void *model);
nnd_status nnd_ov_open(void *model, const nnd_request_options *options, void **request);
void nnd_ov_close(void *request);
nnd_status nnd_ov_run(void *request, nnd_value *const *inputs, nnd_value **outputs,
                      nnd_cancel *cancel);
nnd_status nnd_ov_profile_write(void *request, nnd_json_writer *w);

#endif
