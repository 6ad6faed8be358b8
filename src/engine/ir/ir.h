/*
 * What the files of this folder share: the object behind nndeploy/ir.h, and its saved form.
 *
 * A graph by hand is held in the same envelope as one that was read from ONNX, so that the rest of
 * the engine sees no difference.
 */
#ifndef NND_ENGINE_IR_IR_H
#define NND_ENGINE_IR_IR_H

#include "base/str.h"
#include "engine/onnx/onnx.h"
#include "nndeploy/ir.h"

#define NND_IR_SUFFIX         ".nnd.json"
#define NND_IR_WEIGHTS_SUFFIX ".safetensors"
#define NND_IR_FORMAT         "nndeploy-graph/1"

struct nnd_ir_graph {
    nnd_ir *ir;
    nnd_graph *graph;
    int depth; /* 0 = the main one */
    bool used; /* as the attribute of a node */
};

struct nnd_ir {
    nnd_onnx_model source; /* graph, imports, counts, mapped weight files */
    nnd_buffer *bytes;     /* of the ONNX file that constants point into; may be NULL */
    nnd_ir_graph main;
    nnd_str problems; /* "\n  …" each */
    size_t problem_count;
    nnd_status broken; /* OUT_OF_MEMORY, LIMIT: nothing can be said about the graph any more */
    bool borrow;       /* while loading: elements of tensors stay where they are */
    uint32_t line;     /* while loading: of the file, for complaints; 0 = none */
};

/* An ir without a graph or imports; the reader of a file fills them. */
nnd_status nnd_ir_create_empty(nnd_ir **out);
/* Remembers a complaint and says it at once: NND_E_FORMAT. */
nnd_status nnd_ir_problem(nnd_ir *ir, const char *format, ...) NND_PRINTF(2, 3);
/* OK, or one error with all complaints. */
nnd_status nnd_ir_report(const nnd_ir *ir);

/* Whether bytes are a saved graph and not an ONNX model. */
bool nnd_ir_is_saved(const void *bytes, size_t size);
/* Reads the saved form; ir is empty, but for source.open, open_user and max_weight_bytes. */
nnd_status nnd_ir_read(nnd_ir *ir, const void *bytes, size_t size);

/* "sequence(map(i64,f32))"; false without a known dtype. And back; false when it is none. */
bool nnd_ir_type_text(const nnd_engine_type *type, nnd_dtype dtype, nnd_str *out);
bool nnd_ir_type_parse(const char *text, nnd_engine_type *type, nnd_dtype *dtype);

#endif
