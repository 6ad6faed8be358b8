#include "engine/ops/moe.h"

#include <math.h>
#include <string.h>

#include "engine/ops/element.h"
#include "engine/ops/panels.h"
#include "engine/ops/real.h"
#include "engine/packed/packed.h"

enum { GRAIN = 16 }; /* tokens or slots of a tile */

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* ---- products ------------------------------------------------------------------------------- */

typedef enum form { PACKED, CODES, PANELS } form;

/* Rows of one expert times one of its matrices. */
typedef struct part {
    form form;
    size_t which, expert, first, rows; /* matrix; slots */
    size_t first_tile;                 /* of the loop's tiles */
    size_t packed_at;                  /* bytes of the packed weights in front of it */
    union {
        nnd_gemm gemm;     /* PACKED */
        nnd_panels panels; /* PANELS */
    } u;
} part;

typedef struct job {
    const nnd_op_ctx *c;
    const nnd_moe *m;
    const nnd_moe_step *s;
    nnd_real x, logits, shares, bias[NND_MOE_MATRICES], y;
    float *out;
    float *operand, *sums, *result; /* of all slots of the turn */
    size_t token, tokens;           /* the turn's first one and how many they are */
    uint32_t *chosen;               /* [tokens·top], and its weight */
    float *weight;
    size_t *slot_of; /* [tokens·top]: where such a pair lies */
    size_t *pair_at; /* the other way round */
    size_t *begin;   /* [experts + 1]: slots of an expert */
    part *parts;
    size_t part_count;
} job;

/* The product whose tile it is. */
static const part *part_of(const job *j, size_t tile)
{
    size_t low = 0, high = j->part_count;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (j->parts[middle].first_tile <= tile)
            low = middle;
        else
            high = middle;
    }
    return &j->parts[low];
}

static bool few_rows(const nnd_moe_matrix *w, size_t rows)
{
    return w->bits && rows <= NND_MOE_FEW_ROWS;
}

/* A row of codes with its scaling, for which `scratch` has 2·blocks values. */
static nnd_nbits_column codes_at(const nnd_moe_matrix *w, size_t expert, size_t row, float *scratch)
{
    const float *scale = scratch;
    const uint8_t *zeros = w->zeros ? w->zeros->data : NULL;
    const size_t per_byte = 8 / w->bits, at = expert * w->n + row;
    const unsigned mask = (1u << w->bits) - 1u;
    if (zeros) zeros += (w->blocked ? at : expert) * w->zero_row;
    for (size_t b = 0; b < w->blocks; b++) {
        size_t i = w->blocked ? b : row;
        unsigned zero = 1u << (w->bits - 1);
        if (zeros) zero = (unsigned)zeros[i / per_byte] >> (i % per_byte * w->bits) & mask;
        scratch[w->blocks + b] = (float)zero;
    }
    if (w->scales->dtype == NND_F32)
        scale = (const float *)w->scales->data + at * w->blocks;
    else
        for (size_t b = 0; b < w->blocks; b++)
            scratch[b] = (float)nnd_get(w->scales, at * w->blocks + b);
    return (nnd_nbits_column){.bits = (int)w->bits,
                              .blocks = w->blocks,
                              .bytes = w->bytes,
                              .q = (const uint8_t *)w->weights->data + at * w->blocks * w->bytes,
                              .scale = scale,
                              .zero = scratch + w->blocks};
}

typedef struct source {
    const nnd_moe_matrix *w;
    size_t expert;
} source;

static void unpack_row(const void *user, size_t row, void *scratch, float *y)
{
    const source *s = user;
    const nnd_moe_matrix *w = s->w;
    if (w->bits) {
        nnd_nbits_column codes = codes_at(w, s->expert, row, scratch);
        nnd_nbits_unpack(&codes, w->block, w->k, y);
        return;
    }
    size_t at = (s->expert * w->n + row) * w->k;
    const uint16_t *halves = w->weights->data;
    if (w->weights->dtype == NND_F32)
        memcpy(y, (const float *)w->weights->data + at, w->k * sizeof(*y));
    else if (w->weights->dtype == NND_F16)
        nnd_f16_to_f32(halves + at, y, w->k);
    else
        nnd_bf16_to_f32(halves + at, y, w->k);
}

/* Rows of codes times the operands of few slots. */
static void dot_tile(const job *j, const part *p, const float *bias, float *y, size_t tile,
                     float *scratch)
{
    const nnd_moe_matrix *w = &j->m->fc[p->which];
    size_t first = tile * NND_PANEL_COLUMNS, until = smaller(first + NND_PANEL_COLUMNS, w->n);
    for (size_t n = first; n < until; n++) {
        nnd_nbits_column codes = codes_at(w, p->expert, n, scratch);
        float dots[NND_MOE_FEW_ROWS];
        codes.a = j->operand + p->first * w->k;
        codes.sums = j->sums + p->first * w->blocks;
        codes.rows = p->rows;
        codes.a_row = w->k;
        nnd_nbits_dot(&codes, dots);
        for (size_t i = 0; i < p->rows; i++)
            y[i * w->n + n] = dots[i] + (bias ? bias[n] : 0.0f);
    }
}

static nnd_status product_tile(void *user, size_t index, int lane)
{
    const job *j = user;
    const part *p = part_of(j, index);
    const nnd_moe_matrix *w = &j->m->fc[p->which];
    size_t slots = j->tokens * j->m->routing.top, tile = index - p->first_tile;
    const float *a = j->operand + p->first * w->k, *bias = j->bias[p->which].data;
    /* FC3's results lie behind those of FC1. */
    float *y =
        j->result + (p->which == NND_FC3 ? slots * j->m->fc[NND_FC1].n : 0) + p->first * w->n;
    char *scratch = nnd_op_lane(j->c, lane);
    if (bias) bias += p->expert * w->n;
    if (p->form == PACKED) {
        const nnd_packed_blob *packed = j->c->node->state;
        nnd_gemm_args args = {.a = a, .bias = bias, .c = y};
        args.packed_b = (const float *)(const void *)((const char *)packed->data + p->packed_at);
        nnd_gemm_run_tile(&p->u.gemm, &args, tile, scratch);
    } else if (p->form == CODES) {
        dot_tile(j, p, bias, y, tile, (float *)(void *)scratch);
    } else {
        source from = {w, p->expert};
        nnd_panels_args args = {.a = a, .bias = bias, .c = y, .column = unpack_row, .user = &from};
        return nnd_panels_run_tile(&p->u.panels, &args, tile, j->c->cancel, scratch,
                                   scratch + nnd_moe_scaling_bytes(w));
    }
    return NND_OK;
}

static nnd_status plan_part(const job *j, part *p, size_t *tiles)
{
    const nnd_moe *m = j->m;
    const nnd_moe_matrix *w = &m->fc[p->which];
    if (p->form == CODES) {
        *tiles = (w->n + NND_PANEL_COLUMNS - 1) / NND_PANEL_COLUMNS;
    } else if (p->form == PANELS) {
        NND_TRY(nnd_panels_plan(p->rows, w->n, w->k, &p->u.panels));
        *tiles = nnd_panels_tiles(&p->u.panels);
    } else {
        size_t bytes;
        p->packed_at = 0;
        for (size_t i = 0; i <= p->which; i++) {
            if (!m->fc[i].weights) continue;
            NND_TRY(nnd_moe_packed_bytes(&m->fc[i], j->c->node->packed, &bytes));
            p->packed_at += bytes * (i == p->which ? p->expert : m->routing.experts);
        }
        NND_TRY(nnd_moe_gemm(w, p->rows, j->c->node->packed, &p->u.gemm));
        *tiles = nnd_gemm_tiles(&p->u.gemm);
    }
    return NND_OK;
}

/* Adds the products of the turn's rows with a matrix. */
static nnd_status add_parts(job *j, size_t which, size_t *tiles)
{
    const nnd_moe_matrix *w = &j->m->fc[which];
    for (size_t e = 0; e < j->m->routing.experts && w->weights; e++) {
        size_t all = j->begin[e + 1] - j->begin[e], more;
        for (size_t row = 0; row < all; row += NND_PANEL_ROWS) {
            part *p = &j->parts[j->part_count++];
            *p = (part){.which = which,
                        .expert = e,
                        .first = j->begin[e] + row,
                        .rows = smaller(all - row, NND_PANEL_ROWS),
                        .first_tile = *tiles};
            p->form = j->c->node->state ? PACKED : few_rows(w, all) ? CODES : PANELS;
            NND_TRY(plan_part(j, p, &more));
            *tiles += more;
        }
    }
    return NND_OK;
}

static nnd_status multiply(job *j, bool second)
{
    size_t tiles = 0;
    j->part_count = 0;
    NND_TRY(add_parts(j, second ? NND_FC2 : NND_FC1, &tiles));
    if (!second) NND_TRY(add_parts(j, NND_FC3, &tiles));
    return nnd_op_for(j->c, tiles, product_tile, j);
}

/* ---- the other steps ------------------------------------------------------------------------ */

static size_t slots_of(const job *j)
{
    return j->tokens * j->m->routing.top;
}

static nnd_status route_tile(void *user, size_t tile, int lane)
{
    const job *j = user;
    const nnd_routing *r = &j->m->routing;
    size_t until = smaller((tile + 1) * GRAIN, j->tokens);
    (void)lane;
    for (size_t t = tile * GRAIN; t < until; t++) {
        size_t row = (j->token + t) * r->experts, at = t * r->top;
        nnd_route(r, j->logits.data + row, j->shares.data ? j->shares.data + row : NULL,
                  j->chosen + at, j->weight + at);
    }
    return NND_OK;
}

/* Sorts the pairs by their expert, the tokens of each in order. */
static void group(job *j)
{
    size_t pairs = slots_of(j), experts = j->m->routing.experts;
    memset(j->begin, 0, (experts + 1) * sizeof(*j->begin));
    for (size_t i = 0; i < pairs; i++)
        j->begin[j->chosen[i] + 1]++;
    for (size_t e = 0; e < experts; e++)
        j->begin[e + 1] += j->begin[e];
    for (size_t i = 0; i < pairs; i++) {
        size_t slot = j->begin[j->chosen[i]]++;
        j->slot_of[i] = slot;
        j->pair_at[slot] = i;
    }
    memmove(j->begin + 1, j->begin, experts * sizeof(*j->begin));
    j->begin[0] = 0;
}

/* Puts a row where the product reads it, in the order that it wants. */
static void put_operand(const job *j, size_t slot, const nnd_moe_matrix *w, const float *row)
{
    size_t expert = j->chosen[j->pair_at[slot]];
    float *to = j->operand + slot * w->k;
    if (few_rows(w, j->begin[expert + 1] - j->begin[expert]))
        nnd_nbits_arrange((int)w->bits, w->block, row, w->k, to, j->sums + slot * w->blocks);
    else
        memcpy(to, row, w->k * sizeof(*to));
}

static nnd_status gather_tile(void *user, size_t tile, int lane)
{
    const job *j = user;
    size_t until = smaller((tile + 1) * GRAIN, slots_of(j));
    (void)lane;
    for (size_t slot = tile * GRAIN; slot < until; slot++) {
        size_t token = j->token + j->pair_at[slot] / j->m->routing.top;
        put_operand(j, slot, &j->m->fc[NND_FC1], j->x.data + token * j->m->hidden);
    }
    return NND_OK;
}

static float swiglu(const nnd_moe *m, float gate, float linear)
{
    float g = gate > m->limit ? m->limit : gate;
    float l = linear > m->limit ? m->limit : linear < -m->limit ? -m->limit : linear;
    return g / (1.0f + expf(-m->alpha * g)) * (l + m->beta);
}

/* `row` becomes the experts' inner features; `third` are those of FC3, or NULL. */
static void activate(const nnd_moe *m, float *row, const float *third)
{
    static const nnd_act acts[] = {[NND_MOE_RELU] = {.kind = NND_ACT_RELU},
                                   [NND_MOE_GELU] = {.kind = NND_ACT_GELU_TANH},
                                   [NND_MOE_SILU] = {.kind = NND_ACT_SILU, .alpha = 1.0f}};
    size_t n = m->inner;
    if (m->act == NND_MOE_SWIGLU) {
        for (size_t i = 0; i < n; i++) {
            bool pairs = m->fusion == 1;
            float gate = row[pairs ? 2 * i : i];
            row[i] = swiglu(m, gate, third ? third[i] : row[pairs ? 2 * i + 1 : n + i]);
        }
        return;
    }
    if (m->act != NND_MOE_IDENTITY) nnd_act_apply(&acts[m->act], row, row, n);
    for (size_t i = 0; i < n && third; i++)
        row[i] *= third[i];
}

static nnd_status activate_tile(void *user, size_t tile, int lane)
{
    const job *j = user;
    const nnd_moe *m = j->m;
    size_t slots = slots_of(j), until = smaller((tile + 1) * GRAIN, slots);
    (void)lane;
    for (size_t slot = tile * GRAIN; slot < until; slot++) {
        float *row = j->result + slot * m->fc[NND_FC1].n;
        const float *third = j->result + slots * m->fc[NND_FC1].n + slot * m->inner;
        activate(m, row, m->fc[NND_FC3].weights ? third : NULL);
        put_operand(j, slot, &m->fc[NND_FC2], row);
    }
    return NND_OK;
}

/* A token's answers, weighted. */
static nnd_status combine_tile(void *user, size_t tile, int lane)
{
    const job *j = user;
    size_t top = j->m->routing.top, hidden = j->m->hidden;
    size_t until = smaller((tile + 1) * GRAIN, j->tokens);
    (void)lane;
    for (size_t t = tile * GRAIN; t < until; t++) {
        float *y = j->out + (j->token + t) * hidden;
        for (size_t k = t * top; k < (t + 1) * top; k++) {
            const float *answer = j->result + j->slot_of[k] * hidden, share = j->weight[k];
            for (size_t i = 0; i < hidden; i++)
                y[i] += share * answer[i];
        }
    }
    return NND_OK;
}

static nnd_status take_turn(job *j)
{
    const nnd_op_ctx *c = j->c;
    size_t slots = (slots_of(j) + GRAIN - 1) / GRAIN, tokens = (j->tokens + GRAIN - 1) / GRAIN;
    NND_TRY(nnd_op_for(c, tokens, route_tile, j));
    group(j);
    NND_TRY(nnd_op_for(c, slots, gather_tile, j));
    NND_TRY(multiply(j, false));
    NND_TRY(nnd_op_for(c, slots, activate_tile, j));
    NND_TRY(multiply(j, true));
    return nnd_op_for(c, tokens, combine_tile, j);
}

/* ---- the run --------------------------------------------------------------------------- */

/* Lists of what a turn sorts; the rows are in the workspace. */
static nnd_status make_lists(job *j)
{
    size_t slots = j->s->turn * j->m->routing.top, experts = j->m->routing.experts;
    j->operand = j->c->workspace;
    j->sums = j->operand + slots * j->s->operand;
    j->result = j->sums + slots * j->s->sums;
    size_t parts = 2 * (smaller(experts, slots) + slots / NND_PANEL_ROWS);
    j->chosen = nnd_calloc(slots, sizeof(*j->chosen));
    j->weight = nnd_calloc(slots, sizeof(*j->weight));
    j->slot_of = nnd_calloc(slots, sizeof(*j->slot_of));
    j->pair_at = nnd_calloc(slots, sizeof(*j->pair_at));
    j->begin = nnd_calloc(experts + 1, sizeof(*j->begin));
    j->parts = nnd_calloc(parts, sizeof(*j->parts));
    if (j->chosen && j->weight && j->slot_of && j->pair_at && j->begin && j->parts) return NND_OK;
    return nnd_op_fail(j->c, NND_E_OUT_OF_MEMORY, "no memory to sort the tokens");
}

static nnd_status compute(nnd_op_ctx *c, job *j)
{
    const nnd_moe *m = j->m;
    NND_TRY(nnd_real_read(m->x, &j->x));
    NND_TRY(nnd_real_read(m->logits, &j->logits));
    NND_TRY(nnd_real_read(m->shares, &j->shares));
    for (size_t i = 0; i < NND_MOE_MATRICES; i++)
        NND_TRY(nnd_real_read(m->fc[i].bias, &j->bias[i]));
    NND_TRY(nnd_real_result(&c->out[0], true, &j->y, &j->out));
    NND_TRY(make_lists(j));
    for (j->token = 0; j->token < m->tokens; j->token += j->tokens) {
        j->tokens = smaller(j->s->turn, m->tokens - j->token);
        NND_TRY(take_turn(j));
    }
    return nnd_real_write(&c->out[0], &j->y);
}

nnd_status nnd_moe_compute(nnd_op_ctx *c, const nnd_moe *m)
{
    job j = {.c = c, .m = m, .s = c->step};
    nnd_status status = compute(c, &j);
    nnd_real_free(&j.x);
    nnd_real_free(&j.logits);
    nnd_real_free(&j.shares);
    for (size_t i = 0; i < NND_MOE_MATRICES; i++)
        nnd_real_free(&j.bias[i]);
    nnd_real_free(&j.y);
    nnd_free(j.chosen);
    nnd_free(j.weight);
    nnd_free(j.slot_of);
    nnd_free(j.pair_at);
    nnd_free(j.begin);
    nnd_free(j.parts);
    return status;
}
