/* What the files of the infer room share: models and requests over one backend. */
#ifndef NND_INFER_INFER_H
#define NND_INFER_INFER_H

#include "nndeploy/infer.h"
#include "port/port.h"

struct nnd_model {
    _Atomic uint32_t holders;
    const nnd_backend *backend;
    void *impl;       /* the backend's model */
    char *name;       /* path, or "model in memory"; for messages */
    nnd_port_map map; /* of the file; empty for memory models */
    int threads;      /* default of requests */
    bool is_tuned;    /* threads is where the model is fastest: more would only slow it down */
    char *choice;     /* why this backend */
};

/* Backends that are part of the library, in the order in which "auto" tries them. */
extern const nnd_backend nnd_backend_builtin;
extern const nnd_backend nnd_backend_onnxruntime;
extern const nnd_backend nnd_backend_openvino;
extern const nnd_backend nnd_backend_ncnn;

/* The backend "builtin" with a graph instead of a file's bytes; takes the graph over. */
nnd_status nnd_builtin_load_ir(nnd_ir *take_ir, const nnd_model_options *options, void **model);

/* Position of a port by name; NND_E_NOT_FOUND with the names that exist. */
nnd_status nnd_model_port_index(const nnd_model *model, bool outputs, const char *name,
                                size_t *out);
/* Maps `name`, a file of the model in `folder` (a real path): what open_file does when the host
   brings none. NND_E_PERMISSION when its real path lies outside of the folder, NND_E_MISSING when
   it is not there. */
nnd_status nnd_model_open_beside(const char *folder, const char *name, const void **bytes,
                                 size_t *size, void (**release)(void *handle), void **handle);
/* "f32[1,3,h,w]" of a model's port into text; returns text. */
const char *nnd_model_port_describe(const nnd_model_port *port, char *text, size_t size);

#endif
