/* What a pass did to a graph: which operators there are more and fewer of. */
#include <string.h>

#include "engine/ops/op.h"
#include "engine/passes/pass.h"

void nnd_pass_report_fini(nnd_pass_report *report)
{
    for (int i = 0; i < NND_PASS_COUNT; i++)
        nnd_free(report->passes[i].kinds);
    nnd_free(report->dump);
    *report = (nnd_pass_report)NND_PASS_REPORT_INIT;
}

/* The open-addressing table of a census: operators are rows of const tables, so that their address
   is their name. At least twice as large as there are operators, it never fills. */
static nnd_pass_kind *slot_of(const nnd_pass_census *c, const nnd_op *op)
{
    size_t mask = c->capacity - 1;
    size_t i = (size_t)((uintptr_t)op / sizeof(*op) * 0x9e3779b97f4a7c15u >> 20) & mask;
    while (c->kinds[i].op && c->kinds[i].op != op)
        i = (i + 1) & mask;
    return &c->kinds[i];
}

nnd_status nnd_pass_census_take(nnd_pass_census *c, const nnd_graph *g)
{
    if (!c->kinds) {
        c->capacity = 1;
        while (c->capacity < 2 * nnd_op_count())
            c->capacity *= 2;
        c->kinds = nnd_calloc(c->capacity, sizeof(*c->kinds));
        if (!c->kinds) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to count operators");
    }
    memset(c->kinds, 0, c->capacity * sizeof(*c->kinds));
    for (size_t i = 0; i < g->node_count; i++) {
        const nnd_op *op = g->nodes[i].op;
        if (!op) continue;
        nnd_pass_kind *kind = slot_of(c, op);
        kind->op = op;
        kind->more++;
    }
    return NND_OK;
}

/* The versions of an operator are one kind; its form for channels in blocks is another. */
static bool same_kind(const nnd_op *a, const nnd_op *b)
{
    return a == b || (((a->flags ^ b->flags) & NND_OP_BLOCKED) == 0 &&
                      strcmp(a->name, b->name) == 0 && strcmp(a->domain, b->domain) == 0);
}

static nnd_status add(nnd_pass_stats *stats, const nnd_op *op, int64_t more)
{
    for (size_t i = 0; i < stats->kind_count; i++) {
        if (!same_kind(stats->kinds[i].op, op)) continue;
        stats->kinds[i].more += more;
        return NND_OK;
    }
    nnd_pass_kind *bigger =
        nnd_realloc(stats->kinds, (stats->kind_count + 1) * sizeof(*stats->kinds));
    if (!bigger) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to count operators");
    stats->kinds = bigger;
    bigger[stats->kind_count++] = (nnd_pass_kind){op, more};
    return NND_OK;
}

nnd_status nnd_pass_census_compare(const nnd_pass_census *before, const nnd_pass_census *after,
                                   nnd_pass_stats *stats)
{
    for (size_t i = 0; i < before->capacity; i++) {
        const nnd_pass_kind *old = &before->kinds[i];
        if (!old->op) continue;
        int64_t more = slot_of(after, old->op)->more - old->more;
        if (more) NND_TRY(add(stats, old->op, more));
    }
    for (size_t i = 0; i < after->capacity; i++) {
        const nnd_pass_kind *new = &after->kinds[i];
        if (new->op && !slot_of(before, new->op)->op) NND_TRY(add(stats, new->op, new->more));
    }
    return NND_OK;
}
