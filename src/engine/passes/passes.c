/* The list of passes: their names, their order, and who calls them. */
#include "engine/passes/pass.h"

#include <string.h>

#include "base/options.h"
#include "base/str.h"
#include "nndeploy/sched.h"

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
    [NND_PASS_COMMON] = {"common", nnd_pass_common},
    [NND_PASS_SCALE] = {"scale", nnd_pass_scale},
    [NND_PASS_NORMALIZATION] = {"normalization", nnd_pass_normalization},
    [NND_PASS_GELU] = {"gelu", nnd_pass_gelu},
    [NND_PASS_TRANSPOSE] = {"transpose", nnd_pass_transpose},
    [NND_PASS_RESHAPE] = {"reshape", nnd_pass_reshape},
    [NND_PASS_ATTENTION] = {"attention", nnd_pass_attention},
    [NND_PASS_HALF] = {"half", nnd_pass_half},
    [NND_PASS_PRODUCT] = {"product", nnd_pass_product},
    [NND_PASS_CONTROL] = {"control", nnd_pass_control},
    [NND_PASS_SEQUENCE] = {"sequence", nnd_pass_sequence},
    [NND_PASS_ELEMENTWISE] = {"elementwise", nnd_pass_elementwise},
};

/* Bits keep their meaning for ever, so the order is a list of its own. In front of all rounds comes
   the type to compute in, behind them the layout and what goes by it. */
static const nnd_engine_pass order[] = {
    NND_PASS_QDQ,       NND_PASS_CONSTANT_FOLDING,
    NND_PASS_CONTROL,   NND_PASS_SEQUENCE,
    NND_PASS_IDENTITY,  NND_PASS_COMMON,
    NND_PASS_RESHAPE,   NND_PASS_TRANSPOSE,
    NND_PASS_BATCHNORM, NND_PASS_PAD,
    NND_PASS_SCALE,     NND_PASS_NORMALIZATION,
    NND_PASS_ATTENTION, NND_PASS_ACTIVATION,
    NND_PASS_GELU,      NND_PASS_DEAD_CODE,
    NND_PASS_RESIDUAL,  NND_PASS_PRODUCT,
};
static const nnd_engine_pass last[] = {NND_PASS_LAYOUT, NND_PASS_ELEMENTWISE};
_Static_assert(1 + NND_COUNT(order) + NND_COUNT(last) == NND_PASS_COUNT,
               "every pass has its place");

/* One pass may open work for an earlier one; two rounds find nearly everything. */
enum { MAX_ROUNDS = 3 };

/* ---- names --------------------------------------------------------------------------------- */

const char *nnd_engine_pass_name(nnd_engine_pass pass)
{
    return (unsigned)pass < NND_PASS_COUNT ? passes[pass].name : "unknown";
}

nnd_engine_pass nnd_engine_pass_at(size_t position)
{
    if (position == 0) return NND_PASS_HALF;
    if (position <= NND_COUNT(order)) return order[position - 1];
    size_t behind = position - NND_COUNT(order) - 1;
    return last[behind < NND_COUNT(last) ? behind : NND_COUNT(last) - 1];
}

static nnd_status unknown_pass(const char *name)
{
    nnd_suggest near;
    nnd_suggest_begin(&near, name);
    for (int i = 0; i < NND_PASS_COUNT; i++)
        nnd_suggest_offer(&near, passes[i].name);
    return nnd_error_set(
        NND_E_INVALID_ARGUMENT,
        "there is no pass '%s'%s%s%s; 'nndeploy inspect MODEL --passes' lists them", name,
        near.best ? "; did you mean '" : "", near.best ? near.best : "", near.best ? "'?" : "");
}

nnd_status nnd_engine_pass_find(const char *name, nnd_engine_pass *out)
{
    for (int i = 0; i < NND_PASS_COUNT; i++) {
        if (strcmp(passes[i].name, name) != 0) continue;
        *out = (nnd_engine_pass)i;
        return NND_OK;
    }
    return unknown_pass(name);
}

/* One word of a list: all, default, none, NAME or no-NAME. */
static nnd_status apply_word(const char *word, uint32_t *set)
{
    nnd_engine_pass pass;
    if (strcmp(word, "all") == 0) {
        *set = NND_PASSES_ALL;
    } else if (strcmp(word, "default") == 0) {
        *set = NND_PASSES_DEFAULT;
    } else if (strcmp(word, "none") == 0) {
        *set = 0;
    } else if (strncmp(word, "no-", 3) == 0) {
        NND_TRY(nnd_engine_pass_find(word + 3, &pass));
        *set &= ~(1u << pass);
    } else {
        NND_TRY(nnd_engine_pass_find(word, &pass));
        *set |= 1u << pass;
    }
    return NND_OK;
}

nnd_status nnd_engine_passes_parse(const char *text, uint32_t *out)
{
    int64_t bits;
    if (nnd_parse_int(text, &bits)) {
        if (bits < 0 || bits > NND_PASSES_ALL)
            return nnd_error_set(NND_E_INVALID_ARGUMENT,
                                 "passes: %s is no bit set of passes; the largest is %u", text,
                                 (unsigned)NND_PASSES_ALL);
        *out = (uint32_t)bits;
        return NND_OK;
    }
    /* A list that begins by taking away starts with what would run without it. */
    uint32_t set = strncmp(text, "no-", 3) == 0 ? NND_PASSES_DEFAULT : 0;
    for (const char *p = text;; p++) {
        char word[64];
        size_t n = strcspn(p, "+");
        if (n >= sizeof(word)) n = sizeof(word) - 1;
        memcpy(word, p, n);
        word[n] = '\0';
        nnd_status status = apply_word(word, &set);
        if (status != NND_OK) return nnd_error_wrap(status, "passes=%s", text);
        p += strcspn(p, "+");
        if (!*p) break;
    }
    *out = set;
    return NND_OK;
}

/* ---- running ------------------------------------------------------------------------------- */

typedef struct driver {
    nnd_graph *graph;
    uint32_t set;
    nnd_pass_report *report;
    nnd_pass_census now, next; /* of the graph as it is, and after the pass under way */
} driver;

static nnd_status dump(driver *d)
{
    nnd_free(d->report->dump);
    d->report->dump = nnd_graph_print(d->graph);
    if (d->report->dump) return NND_OK;
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the graph as text");
}

static nnd_status run_pass(driver *d, nnd_engine_pass pass, bool first, size_t *sum)
{
    nnd_pass_stats *stats = &d->report->passes[pass];
    size_t n = 0, nodes = d->graph->node_count;
    if (first) stats->nodes_before += nodes;
    if (!(d->set >> pass & 1u)) return NND_OK;
    int64_t start = nnd_clock_now();
    NND_TRY(passes[pass].run(d->graph, &n));
    stats->ns += nnd_clock_now() - start;
    stats->changes += n;
    stats->removed += (int64_t)nodes - (int64_t)d->graph->node_count;
    *sum += n;
    bool wanted = d->report->dump_after == (int)pass && !d->graph->parent;
    if (wanted && (n || !d->report->dump)) NND_TRY(dump(d));
    if (!n) return NND_OK;
    NND_TRY(nnd_pass_census_take(&d->next, d->graph));
    NND_TRY(nnd_pass_census_compare(&d->now, &d->next, stats));
    nnd_pass_census old = d->now;
    d->now = d->next;
    d->next = old;
    return NND_OK;
}

/* The main graph and all below it at once, before anything looks at them one by one. */
static nnd_status run_first(driver *d)
{
    size_t sum = 0;
    nnd_graph_index(d->graph);
    NND_TRY(nnd_pass_census_take(&d->now, d->graph));
    return run_pass(d, NND_PASS_HALF, true, &sum);
}

static nnd_status run_rounds(driver *d)
{
    nnd_graph_index(d->graph);
    NND_TRY(nnd_pass_census_take(&d->now, d->graph));
    for (int round = 0; round < MAX_ROUNDS; round++) {
        size_t sum = 0;
        for (size_t i = 0; i < NND_COUNT(order); i++)
            NND_TRY(run_pass(d, order[i], round == 0, &sum));
        /* What the first round leaves is simple enough to find shapes for. */
        if (round == 0) NND_TRY(nnd_passes_shapes(d->graph));
        if (!sum && round > 0) break;
    }
    return NND_OK;
}

static nnd_status run_last(driver *d)
{
    size_t sum = 0;
    nnd_graph_index(d->graph);
    NND_TRY(nnd_pass_census_take(&d->now, d->graph));
    for (size_t i = 0; i < NND_COUNT(last); i++)
        NND_TRY(run_pass(d, last[i], true, &sum));
    return NND_OK;
}

/* One stage over a graph and all below it, those first. */
static nnd_status run_stage(nnd_graph *graph, nnd_status (*stage)(driver *d), uint32_t set,
                            nnd_pass_report *report)
{
    driver d = {.graph = graph, .set = set, .report = report};
    nnd_status status = NND_OK;
    for (nnd_graph *child = graph->children; child && status == NND_OK; child = child->sibling)
        status = run_stage(child, stage, set, report);
    if (status == NND_OK) status = stage(&d);
    nnd_free(d.now.kinds);
    nnd_free(d.next.kinds);
    return status;
}

/* The last ones come when no sub-graph is taken in any more: they are done once per node. */
nnd_status nnd_passes_run(nnd_graph *graph, uint32_t set, nnd_pass_report *report)
{
    driver d = {.graph = graph, .set = set, .report = report};
    nnd_status status = run_first(&d);
    nnd_free(d.now.kinds);
    nnd_free(d.next.kinds);
    if (status == NND_OK) status = run_stage(graph, run_rounds, set, report);
    return status == NND_OK ? run_stage(graph, run_last, set, report) : status;
}
