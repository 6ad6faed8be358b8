/* The activation that a pass has put on a node, for kernels and for the reference. */
#ifndef NND_ENGINE_OPS_EPILOGUE_H
#define NND_ENGINE_OPS_EPILOGUE_H

#include "engine/kernels/kernels.h"
#include "engine/ops/op.h"

static inline nnd_act nnd_epilogue_act(const nnd_graph_node *n)
{
    static const nnd_act_kind kinds[] = {
        [NND_EPILOGUE_NONE] = NND_ACT_NONE,
        [NND_EPILOGUE_RELU] = NND_ACT_RELU,
        [NND_EPILOGUE_CLIP] = NND_ACT_CLIP,
        [NND_EPILOGUE_LEAKY_RELU] = NND_ACT_LEAKY_RELU,
        [NND_EPILOGUE_SIGMOID] = NND_ACT_SIGMOID,
        [NND_EPILOGUE_SILU] = NND_ACT_SILU,
        [NND_EPILOGUE_HARD_SWISH] = NND_ACT_HARD_SWISH,
        [NND_EPILOGUE_HARD_SIGMOID] = NND_ACT_HARD_SIGMOID,
        [NND_EPILOGUE_TANH] = NND_ACT_TANH,
        [NND_EPILOGUE_GELU] = NND_ACT_GELU,
        [NND_EPILOGUE_GELU_TANH] = NND_ACT_GELU_TANH,
    };
    return (nnd_act){kinds[n->epilogue], n->epilogue_a, n->epilogue_b};
}

static inline float nnd_epilogue_apply(const nnd_graph_node *n, float x)
{
    if (n->epilogue == NND_EPILOGUE_NONE) return x;
    nnd_act act = nnd_epilogue_act(n);
    float y;
    nnd_act_apply(&act, &x, &y, 1);
    return y;
}

#endif
