#include "engine/passes/pass.h"

static const struct {
    const char *name;
    nnd_pass_fn run;
} passes[NND_PASS_COUNT] = {
    [NND_PASS_QDQ] = {"qdq", nnd_pass_qdq},
    [NND_PASS_CONSTANT_FOLDING] = {"constant-folding", nnd_pass_constant_folding},
    [NND_PASS_IDENTITY] = {"identity", nnd_pass_identity},
    [NND_PASS_BATCHNORM] = {"batchnorm", nnd_pass_batchnorm},
    [NND_PASS_ACTIVATION] = {"activation", nnd_pass_activation},
    [NND_PASS_DEAD_CODE] = {"dead-code", nnd_pass_dead_code},
    [NND_PASS_RESIDUAL] = {"residual", nnd_pass_residual},
    [NND_PASS_LAYOUT] = {"layout", nnd_pass_layout},
    [NND_PASS_PAD] = {"pad", nnd_pass_pad},
};

/* One pass may open work for an earlier one; two rounds find nearly everything. */
enum { MAX_ROUNDS = 3 };

const char *nnd_engine_pass_name(nnd_engine_pass pass)
{
    return (unsigned)pass < NND_PASS_COUNT ? passes[pass].name : "unknown";
}

static nnd_status run_pass(nnd_graph *graph, uint32_t set, int pass, size_t *changes, size_t *sum)
{
    size_t n = 0;
    if (!(set >> pass & 1u)) return NND_OK;
    NND_TRY(passes[pass].run(graph, &n));
    changes[pass] += n;
    *sum += n;
    return NND_OK;
}

nnd_status nnd_passes_run(nnd_graph *graph, uint32_t set, size_t *changes)
{
    for (nnd_graph *child = graph->children; child; child = child->sibling)
        NND_TRY(nnd_passes_run(child, set, changes));
    nnd_graph_index(graph);
    for (int round = 0; round < MAX_ROUNDS; round++) {
        size_t sum = 0;
        for (int i = 0; i < NND_PASS_COUNT; i++)
            if (i != NND_PASS_LAYOUT) NND_TRY(run_pass(graph, set, i, changes, &sum));
        /* What the first round leaves is simple enough to find shapes for. */
        if (round == 0) NND_TRY(nnd_passes_shapes(graph));
        if (!sum && round > 0) break;
    }
    size_t last = 0;
    return run_pass(graph, set, NND_PASS_LAYOUT, changes, &last);
}
