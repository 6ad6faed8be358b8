/*
 * com.microsoft's MoEGroupRouter: experts chosen by groups (https://arxiv.org/abs/2412.19437,
 * section 2.1.2), for the MoE operators to read as logits. With its other two outputs it chooses
 * nothing and gives the scores of all experts.
 */
#include <math.h>
#include <string.h>

#include "engine/kernels/kernels.h"
#include "engine/ops/moe_route.h"
#include "engine/ops/real.h"

enum { LOGITS, BIAS, PROJECTION, INPUTS };
enum { PROBS, SCORES, SHARES };

typedef struct router {
    size_t tokens, experts, width; /* width: features that are projected, 0 = none */
    size_t groups, chosen_groups, of_group, top;
    float sentinel;
    bool chooses;
} router;

static nnd_status read_choice(const nnd_op_ctx *c, router *r)
{
    int64_t groups = nnd_node_int(c->node, "n_group", 1);
    int64_t chosen = nnd_node_int(c->node, "topk_group", 1);
    int64_t of_group = nnd_node_int(c->node, "group_topk", 2);
    int64_t top = nnd_node_int(c->node, "top_k", 0), experts = (int64_t)r->experts;
    bool whole = groups > 0 && experts % groups == 0;
    if (!whole || chosen < 1 || chosen > groups || of_group < 1 || top < 1 || top > experts)
        return nnd_op_fail(
            c, NND_E_SHAPE, "%lld of %lld experts in %lld of %lld groups cannot be chosen",
            (long long)top, (long long)experts, (long long)chosen, (long long)groups);
    r->groups = (size_t)groups;
    r->chosen_groups = (size_t)chosen;
    r->of_group = (size_t)(of_group < experts / groups ? of_group : experts / groups);
    int64_t there = experts / groups * chosen; /* of the groups that are chosen */
    r->top = (size_t)(top < there ? top : there);
    return NND_OK;
}

static nnd_status read_router(const nnd_op_ctx *c, router *r)
{
    const nnd_tensor *x, *bias, *w = nnd_op_in(c, PROJECTION);
    NND_TRY(nnd_op_expect(c, LOGITS, 1u << NND_F32 | 1u << NND_F16 | 1u << NND_BF16));
    NND_TRY(nnd_op_expect(c, BIAS, 1u << NND_F32));
    x = c->in[LOGITS];
    bias = c->in[BIAS];
    if (w) NND_TRY(nnd_op_expect(c, PROJECTION, 1u << x->dtype));
    if (x->rank < 1 || bias->rank != 1 || bias->dims[0] < 1 || bias->dims[0] > NND_MOST_EXPERTS)
        return nnd_op_fail(c, NND_E_SHAPE, "there is no bias for each of 1 to %d experts",
                           NND_MOST_EXPERTS);
    *r = (router){.tokens = (size_t)nnd_op_span(x, 0, x->rank - 1),
                  .experts = (size_t)bias->dims[0],
                  .sentinel = nnd_node_float(c->node, "router_sentinel", -10000.0f),
                  .chooses = c->node->output_count < 2 || c->node->outputs[PROBS] != NND_NO_ID};
    int64_t last = x->dims[x->rank - 1];
    if (w && (x->rank != 2 || w->rank != 2 || w->dims[0] != bias->dims[0] || w->dims[1] != last))
        return nnd_op_fail(c, NND_E_SHAPE, "the projection does not fit the activations");
    if (!w && last != bias->dims[0])
        return nnd_op_fail(c, NND_E_SHAPE, "there are logits of %lld experts", (long long)last);
    r->width = w ? (size_t)last : 0;
    NND_TRY(read_choice(c, r));
    if (r->chooses && (w || c->node->output_count > 1))
        return nnd_op_fail(c, NND_E_FORMAT, "router_probs is given without all scores only");
    if (!r->chooses && (r->groups != 1 || r->chosen_groups != 1))
        return nnd_op_fail(c, NND_E_FORMAT, "all scores are given for a single group only");
    return NND_OK;
}

static nnd_status router_infer(nnd_op_ctx *c)
{
    router r;
    NND_TRY(read_router(c, &r));
    int64_t dims[2] = {(int64_t)r.tokens, (int64_t)r.experts};
    NND_TRY(nnd_op_output(c, PROBS, c->in[LOGITS]->dtype, 2, dims));
    NND_TRY(nnd_op_output(c, SCORES, NND_F32, 2, dims));
    return nnd_op_output(c, SHARES, NND_F32, 2, dims);
}

typedef struct job {
    const nnd_op_ctx *c;
    router r;
    nnd_real x, bias, projection, probs;
    float *chosen;          /* what PROBS becomes */
    float *scores, *shares; /* NULL = not wanted */
} job;

/* Sum of the best of a group. */
static float group_score(const router *r, const float *scores, uint32_t *index)
{
    float sum = 0;
    nnd_top_few(scores, r->experts / r->groups, r->of_group, false, index);
    for (size_t i = 0; i < r->of_group; i++)
        sum += scores[index[i]];
    return sum;
}

/* Hides the experts of all but the best groups. */
static void choose_groups(const router *r, float *scores)
{
    size_t extent = r->experts / r->groups;
    float best[NND_MOST_EXPERTS];
    uint32_t index[NND_MOST_EXPERTS];
    bool kept[NND_MOST_EXPERTS] = {false};
    for (size_t g = 0; g < r->groups; g++)
        best[g] = group_score(r, scores + g * extent, index);
    nnd_top_few(best, r->groups, r->chosen_groups, false, index);
    for (size_t g = 0; g < r->chosen_groups; g++)
        kept[index[g]] = true;
    for (size_t e = 0; e < r->experts; e++)
        if (!kept[e / extent]) scores[e] = -INFINITY;
}

static void choose(const router *r, const float *shares, float *scores, float *y)
{
    uint32_t index[NND_MOST_EXPERTS];
    if (r->chosen_groups < r->groups) choose_groups(r, scores);
    nnd_top_few(scores, r->experts, r->top, false, index);
    for (size_t e = 0; e < r->experts; e++)
        y[e] = r->sentinel;
    for (size_t i = 0; i < r->top; i++) {
        float share = shares[index[i]];
        y[index[i]] = logf(share < 1e-20f ? 1e-20f : share);
    }
}

static float logit_of(const job *j, size_t token, size_t expert)
{
    const router *r = &j->r;
    if (!r->width) return j->x.data[token * r->experts + expert];
    const float *a = j->x.data + token * r->width, *w = j->projection.data + expert * r->width;
    double sum = 0;
    for (size_t i = 0; i < r->width; i++)
        sum += (double)a[i] * (double)w[i];
    return (float)sum;
}

static nnd_status token_tile(void *user, size_t token, int lane)
{
    const job *j = user;
    const router *r = &j->r;
    float shares[NND_MOST_EXPERTS], scores[NND_MOST_EXPERTS];
    size_t bytes = r->experts * sizeof(float), row = token * r->experts;
    (void)lane;
    for (size_t e = 0; e < r->experts; e++) {
        shares[e] = 1.0f / (1.0f + expf(-logit_of(j, token, e)));
        scores[e] = shares[e] + j->bias.data[e];
    }
    if (j->scores) memcpy(j->scores + row, scores, bytes);
    if (j->shares) memcpy(j->shares + row, shares, bytes);
    if (r->chooses) choose(r, shares, scores, j->chosen + row);
    return NND_OK;
}

static float *data_of(const nnd_op_ctx *c, size_t output)
{
    return output < c->out_count ? c->out[output].data : NULL;
}

static nnd_status route(nnd_op_ctx *c, job *j)
{
    NND_TRY(nnd_real_read(c->in[LOGITS], &j->x));
    NND_TRY(nnd_real_read(c->in[BIAS], &j->bias));
    NND_TRY(nnd_real_read(nnd_op_in(c, PROJECTION), &j->projection));
    NND_TRY(nnd_real_result(&c->out[PROBS], j->r.chooses, &j->probs, &j->chosen));
    j->scores = data_of(c, SCORES);
    j->shares = data_of(c, SHARES);
    NND_TRY(nnd_op_for(c, j->r.tokens, token_tile, j));
    return nnd_real_write(&c->out[PROBS], &j->probs);
}

static nnd_status router_run(nnd_op_ctx *c)
{
    job j = {.c = c};
    NND_TRY(read_router(c, &j.r));
    nnd_status status = route(c, &j);
    nnd_real_free(&j.x);
    nnd_real_free(&j.bias);
    nnd_real_free(&j.projection);
    nnd_real_free(&j.probs);
    return status;
}

static const nnd_op ops[] = {
    {"com.microsoft", "MoEGroupRouter", 1, 0, 2, INPUTS, 1, 3, 0, router_infer, router_run,
     .variant = 0},
};
const nnd_op_family nnd_ops_moe_router = {ops, NND_COUNT(ops)};
