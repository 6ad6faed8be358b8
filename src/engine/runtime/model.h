/* The model behind engine.h, for the files of this folder. */
#ifndef NND_ENGINE_RUNTIME_MODEL_H
#define NND_ENGINE_RUNTIME_MODEL_H

#include <stdatomic.h>

#include "engine/engine.h"
#include "engine/onnx/onnx.h"
#include "engine/packed/packed.h"
#include "engine/passes/pass.h"
#include "engine/plan/plan.h"

struct nnd_engine_model {
    atomic_uint holders;
    nnd_buffer *bytes; /* the file; NULL when the caller keeps it */
    nnd_onnx_model onnx;
    nnd_graph *graph; /* = onnx.graph */
    size_t input_count, output_count;
    nnd_engine_port *inputs, *outputs;
    uint32_t passes;
    nnd_pass_report report;
    nnd_plan_options plan_options;
    nnd_plan *plan; /* at the declared shapes; NULL when they are open */
    nnd_packed *packed;
    char *name;
    bool shared_arena, bf16;
};

/* Whether the tensor is what the port declares; `what` is "input" or "output". NND_E_TYPE,
   NND_E_SHAPE. */
nnd_status nnd_engine_port_check(const nnd_engine_port *port, const char *what,
                                 const nnd_tensor *t);
/* The port of a value as the plan knows it, which may be better than what is declared. */
void nnd_engine_port_refine(nnd_engine_port *port, const nnd_plan *plan, uint32_t value);
/* nnd_engine_model_get_info at the shapes of a plan; NULL = they are not known. */
void nnd_engine_model_info_of(const nnd_engine_model *m, const nnd_plan *plan,
                              nnd_engine_model_info *out);

#endif
