/*
 * Names inside the body of a model-local function: while a call is expanded, the body's names are
 * translated to those of the caller, and its attribute references to the caller's attributes.
 */
#ifndef NND_ENGINE_ONNX_SCOPE_H
#define NND_ENGINE_ONNX_SCOPE_H

#include "engine/onnx/onnx.h"

typedef struct nnd_onnx_name_pair {
    const char *formal, *actual;
} nnd_onnx_name_pair;

struct nnd_onnx_scope {
    const nnd_onnx_scope *caller;
    int depth;
    const char *prefix; /* of names that are the body's own */
    size_t pair_count;
    nnd_onnx_name_pair *pairs;
    size_t attr_count;
    const nnd_attr *attrs;
    size_t opset_count;
    nnd_engine_opset *opsets;
};

/* The name that `text` stands for in the scope at hand; "" stays "". */
nnd_status nnd_onnx_scoped_name(const nnd_onnx_model *model, nnd_graph *graph, nnd_pb_bytes text,
                                const char **out);
/* Imported version of a domain in the scope at hand, 0 = none. */
int64_t nnd_onnx_opset(const nnd_onnx_model *model, const char *domain);
nnd_status nnd_onnx_read_opset(nnd_arena *arena, nnd_pb_bytes message, nnd_engine_opset *out);
const nnd_onnx_function *nnd_onnx_find_function(const nnd_onnx_model *model, const char *domain,
                                                const char *name, const char *overload);
/* The attributes that a message has as `field`; those that refer to nothing are left out. */
nnd_status nnd_onnx_read_attributes(nnd_onnx_model *model, nnd_graph *graph, nnd_pb_bytes message,
                                    uint32_t field, int depth, nnd_attr **attrs, size_t *count);
/* Operators read attributes directly: their elements have to be aligned. */
nnd_status nnd_onnx_align_tensors(nnd_graph *graph, nnd_attr *attrs, size_t count);
/* Appends the function's body in place of a call. */
nnd_status nnd_onnx_expand(nnd_onnx_model *model, nnd_graph *graph, int depth,
                           const nnd_onnx_function *function, const char *call_name,
                           size_t input_count, const char *const *inputs, size_t output_count,
                           const char *const *outputs, const nnd_attr *attrs, size_t attr_count);

#endif
