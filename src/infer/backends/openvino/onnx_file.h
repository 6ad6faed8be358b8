/*
 * What the OpenVINO backend reads from an ONNX file itself: the names that the file gives its
 * ports and their dimensions (the C API hands out any one of a port's names and no symbols), and
 * which further files it wants opened.
 */
#ifndef NND_INFER_OPENVINO_ONNX_FILE_H
#define NND_INFER_OPENVINO_ONNX_FILE_H

#include "base/arena.h"
#include "base/map.h"
#include "base/vec.h"
#include "nndeploy/data.h"

typedef struct nnd_onnx_port {
    const char *name;
    int rank; /* −1 = not given */
    const char *symbols[NND_MAX_RANK];
} nnd_onnx_port;

typedef struct nnd_onnx_file {
    nnd_arena arena;               /* of all texts */
    NND_VEC(nnd_onnx_port) inputs; /* without those that are weights */
    NND_VEC(nnd_onnx_port) outputs;
    nnd_map weights;   /* names of initializers */
    nnd_map externals; /* files of external data, as written */
} nnd_onnx_file;

/* Fills a zeroed file; fini also after a failure. NND_E_FORMAT for what is no ModelProto. */
nnd_status nnd_onnx_file_read(nnd_onnx_file *file, const void *bytes, size_t size);
void nnd_onnx_file_fini(nnd_onnx_file *file);

#endif
