/*
 * Recognises attention that was written out:
 *
 *     MatMul(Softmax(scores), V),   scores = MatMul(Q, Kᵀ) and around it, from the inside out, each
 *                                   at most once but for the first:
 *         · c, / c                  also on Q or on Kᵀ, as in √c on both
 *         + bias
 *         Where(mask, scores, c)    or Where(mask, c, scores)
 *         + mask
 *
 * Between softmax and V there may stand Where(IsNaN(w), 0, w). Transpositions of Q, K, V and of the
 * result become orders in which the fused node reads and writes. Nobody else may read what lies
 * between the two products: it would have to be computed twice.
 */
#include <string.h>

#include "engine/ops/attention.h"
#include "engine/passes/match.h"
#include "engine/passes/pass.h"

enum { Q, K, V, BIAS, CHOICE, MASK, INPUTS };
enum { MAX_DIMS = 4, MAX_STRIPPED = 6 };
/* What may still come, from the outside in. */
typedef enum stage { AT_MASK, AT_CHOICE, AT_BIAS, AT_SCALE } stage;

typedef struct pattern {
    int rank;
    uint32_t scores; /* as the softmax reads them */
    uint32_t inputs[INPUTS];
    int64_t perm[V + 1][MAX_DIMS];
    double scale;
    float fill;
    bool inverted, nan_is_zero;
} pattern;

/* ---- pieces -------------------------------------------------------------------------------- */

/* A product of two computed matrices. */
static nnd_graph_node *product(nnd_graph *g, uint32_t value)
{
    nnd_graph_node *n = nnd_match_binary(g, value, "MatMul");
    return n && !n->epilogue ? n : NULL;
}

static bool has_one_reader(const nnd_graph *g, uint32_t value)
{
    return nnd_graph_single_reader(g, value) != NND_NO_ID;
}

/* The operand beside a number: `by` is what the number multiplies it by. NND_NO_ID = other node. */
static nnd_status scaled(nnd_graph *g, uint32_t value, uint32_t *operand, double *by)
{
    float number;
    bool is = false;
    *operand = NND_NO_ID;
    const nnd_graph_node *n = nnd_match_binary(g, value, "Mul");
    bool divides = !n && (n = nnd_match_binary(g, value, "Div"));
    if (!n || n->opset < 7) return NND_OK;
    for (size_t k = 2; k-- > 0 && !is;) {
        if (divides && !k) break;
        NND_TRY(nnd_match_number(g, n->inputs[k], &number, &is));
        if (is) *operand = n->inputs[1 - k];
    }
    if (!is || !nnd_match_same_rank(g, *operand, value) || (divides && number == 0.0f)) {
        *operand = NND_NO_ID;
        return NND_OK;
    }
    *by = divides ? 1.0 / (double)number : (double)number;
    return NND_OK;
}

/* A term of that type that adds no dimension. */
static bool fits(const nnd_graph *g, const pattern *p, uint32_t term, nnd_dtype dtype)
{
    if (term == NND_NO_ID || g->values[term].dtype != dtype) return false;
    int rank = nnd_match_rank(g, term);
    return rank >= 0 && rank <= p->rank;
}

/* Goes to where an operand comes from, through transpositions and, when `scale` is given, factors.
 */
static nnd_status strip(nnd_graph *g, uint32_t *value, int rank, int64_t *perm, double *scale)
{
    for (int i = 0; i < MAX_STRIPPED; i++) {
        int64_t inner[NND_MAX_RANK], both[MAX_DIMS];
        int inner_rank;
        uint32_t operand = NND_NO_ID;
        double by = 1.0;
        const nnd_graph_node *n = nnd_match_maker(g, *value, "Transpose");
        if (n && nnd_match_perm(g, n, inner, &inner_rank) && inner_rank == rank) {
            for (int d = 0; d < rank; d++)
                both[d] = inner[perm[d]];
            memcpy(perm, both, (size_t)rank * sizeof(*perm));
            *value = n->inputs[0];
            continue;
        }
        if (scale) NND_TRY(scaled(g, *value, &operand, &by));
        if (operand == NND_NO_ID) break;
        *value = operand;
        *scale *= by;
    }
    return NND_OK;
}

/* ---- scores -------------------------------------------------------------------------------- */

static nnd_status match_scores(nnd_graph *g, uint32_t value, stage at, pattern *p, bool *ok);

/* One operand is a term, the other one the scores. */
static nnd_status match_sum(nnd_graph *g, const nnd_graph_node *n, stage at, pattern *p, bool *ok)
{
    for (size_t k = 0; k < 2 && !*ok; k++) {
        pattern trial = *p;
        uint32_t term = n->inputs[1 - k];
        if (!fits(g, p, term, NND_F32)) continue;
        trial.inputs[at == AT_MASK ? MASK : BIAS] = term;
        NND_TRY(match_scores(g, n->inputs[k], at == AT_MASK ? AT_CHOICE : AT_SCALE, &trial, ok));
        if (*ok) *p = trial;
    }
    return NND_OK;
}

static nnd_status match_choice(nnd_graph *g, const nnd_graph_node *n, pattern *p, bool *ok)
{
    if (n->formal_count != 3 || !fits(g, p, n->inputs[0], NND_BOOL)) return NND_OK;
    for (size_t k = 1; k < 3 && !*ok; k++) {
        pattern trial = *p;
        bool is;
        NND_TRY(nnd_match_number(g, n->inputs[3 - k], &trial.fill, &is));
        if (!is || !fits(g, p, n->inputs[3 - k], NND_F32)) continue;
        trial.inputs[CHOICE] = n->inputs[0];
        trial.inverted = k == 2;
        NND_TRY(match_scores(g, n->inputs[k], AT_BIAS, &trial, ok));
        if (*ok) *p = trial;
    }
    return NND_OK;
}

static nnd_status match_product(nnd_graph *g, const nnd_graph_node *n, pattern *p, bool *ok)
{
    if (nnd_match_rank(g, n->inputs[0]) != p->rank || nnd_match_rank(g, n->inputs[1]) != p->rank)
        return NND_OK;
    p->inputs[Q] = n->inputs[0];
    p->inputs[K] = n->inputs[1];
    p->perm[K][p->rank - 1] = p->rank - 2;
    p->perm[K][p->rank - 2] = p->rank - 1;
    NND_TRY(strip(g, &p->inputs[Q], p->rank, p->perm[Q], &p->scale));
    NND_TRY(strip(g, &p->inputs[K], p->rank, p->perm[K], &p->scale));
    *ok = true;
    return NND_OK;
}

static nnd_status match_scores(nnd_graph *g, uint32_t value, stage at, pattern *p, bool *ok)
{
    *ok = false;
    if (value == NND_NO_ID || !has_one_reader(g, value) ||
        !nnd_match_same_rank(g, value, p->scores))
        return NND_OK;
    const nnd_graph_node *n = product(g, value);
    if (n) return match_product(g, n, p, ok);
    if (at <= AT_BIAS && (n = nnd_match_binary(g, value, "Add")) && n->opset >= 7)
        return match_sum(g, n, at, p, ok);
    if (at <= AT_CHOICE && (n = nnd_match_maker(g, value, "Where")))
        return match_choice(g, n, p, ok);
    for (int i = 0; i < MAX_STRIPPED; i++) {
        uint32_t operand;
        double by = 1.0;
        NND_TRY(scaled(g, value, &operand, &by));
        if (operand == NND_NO_ID || !has_one_reader(g, operand)) return NND_OK;
        p->scale *= by;
        value = operand;
        if ((n = product(g, value))) return match_product(g, n, p, ok);
    }
    return NND_OK;
}

/* ---- softmax and values -------------------------------------------------------------------- */

/* The softmax behind Where(IsNaN(w), 0, w), whose three readers are all there are. */
static nnd_status guarded_softmax(nnd_graph *g, uint32_t value, uint32_t *weights)
{
    const nnd_graph_node *n = nnd_match_maker(g, value, "Where");
    bool zero = false;
    float number = 1.0f;
    *weights = NND_NO_ID;
    if (!n || n->formal_count != 3 || !has_one_reader(g, value)) return NND_OK;
    const nnd_graph_node *test = nnd_match_maker(g, n->inputs[0], "IsNaN");
    uint32_t w = n->inputs[2];
    if (!test || test->inputs[0] != w || !has_one_reader(g, n->inputs[0])) return NND_OK;
    NND_TRY(nnd_match_number(g, n->inputs[1], &number, &zero));
    bool ours = g->values[w].uses == 2 && !nnd_graph_is_output(g, w);
    if (zero && number == 0.0f && ours && nnd_match_same_rank(g, w, value)) *weights = w;
    return NND_OK;
}

static bool is_over_keys(const nnd_graph *g, const nnd_graph_node *softmax)
{
    int rank = nnd_match_rank(g, softmax->inputs[0]);
    int64_t axis = nnd_node_int(softmax, "axis", softmax->opset < 13 ? 1 : -1);
    return rank > 0 && (axis == -1 || axis == rank - 1);
}

static nnd_status match_weights(nnd_graph *g, uint32_t value, pattern *p, bool *ok)
{
    uint32_t weights = value, guarded;
    NND_TRY(guarded_softmax(g, value, &guarded));
    p->nan_is_zero = guarded != NND_NO_ID;
    if (p->nan_is_zero) weights = guarded;
    const nnd_graph_node *softmax = nnd_match_maker(g, weights, "Softmax");
    if (!softmax || !is_over_keys(g, softmax)) return NND_OK;
    if (!p->nan_is_zero && !has_one_reader(g, weights)) return NND_OK;
    p->scores = softmax->inputs[0];
    const nnd_graph_value *s = &g->values[p->scores];
    if (s->dtype != NND_F32 || s->nominal_rank != p->rank) return NND_OK;
    return match_scores(g, p->scores, AT_MASK, p, ok);
}

static nnd_status match(nnd_graph *g, const nnd_graph_node *last, pattern *p, bool *ok)
{
    int rank = nnd_match_rank(g, last->outputs[0]);
    *ok = false;
    if (rank < 2 || rank > MAX_DIMS || last->epilogue) return NND_OK;
    *p = (pattern){.rank = rank, .scale = 1.0, .fill = -1.0f};
    for (int i = 0; i < INPUTS; i++)
        p->inputs[i] = NND_NO_ID;
    for (int i = 0; i < rank; i++)
        p->perm[Q][i] = p->perm[K][i] = p->perm[V][i] = i;
    p->inputs[V] = last->inputs[1];
    if (nnd_match_rank(g, p->inputs[V]) != rank) return NND_OK;
    NND_TRY(match_weights(g, last->inputs[0], p, ok));
    return *ok ? strip(g, &p->inputs[V], rank, p->perm[V], NULL) : NND_OK;
}

/* ---- rewriting ----------------------------------------------------------------------------- */

/* The transposition that alone reads the result and leaves its last dimension where it is. */
static nnd_graph_node *transposed(nnd_graph *g, const nnd_graph_node *last, int rank, int64_t *perm)
{
    int found;
    uint32_t reader = nnd_graph_single_reader(g, last->outputs[0]);
    if (reader == NND_NO_ID || !nnd_match_perm(g, &g->nodes[reader], perm, &found)) return NULL;
    return found == rank && perm[rank - 1] == rank - 1 ? &g->nodes[reader] : NULL;
}

static bool is_natural(const int64_t *perm, int rank)
{
    for (int i = 0; i < rank; i++)
        if (perm[i] != i) return false;
    return true;
}

static nnd_status add_perm(nnd_graph *g, nnd_graph_node *n, const char *name, const int64_t *perm,
                           int rank)
{
    return is_natural(perm, rank) ? NND_OK : nnd_node_add_ints(g, n, name, perm, (size_t)rank);
}

static nnd_status fuse(nnd_graph *g, nnd_graph_node *last, const pattern *p)
{
    int64_t perm[NND_MAX_RANK];
    nnd_graph_node *n = transposed(g, last, p->rank, perm);
    bool moved = n != NULL;
    size_t count = INPUTS;
    while (count > V + 1 && p->inputs[count - 1] == NND_NO_ID)
        count--;
    if (!moved) n = last;
    NND_TRY(nnd_match_become(g, n, &nnd_op_fused_attention, count, p->inputs));
    if (moved) last->dead = true;
    if (moved) NND_TRY(add_perm(g, n, "perm_y", perm, p->rank));
    NND_TRY(add_perm(g, n, "perm_q", p->perm[Q], p->rank));
    NND_TRY(add_perm(g, n, "perm_k", p->perm[K], p->rank));
    NND_TRY(add_perm(g, n, "perm_v", p->perm[V], p->rank));
    NND_TRY(nnd_node_add_float(g, n, "scale", (float)p->scale));
    if (p->inputs[CHOICE] != NND_NO_ID) {
        NND_TRY(nnd_node_add_float(g, n, "fill", p->fill));
        if (p->inverted) NND_TRY(nnd_node_add_int(g, n, "inverted", 1));
    }
    return p->nan_is_zero ? nnd_node_add_int(g, n, "nan_is_zero", 1) : NND_OK;
}

nnd_status nnd_pass_attention(nnd_graph *g, size_t *changes)
{
    nnd_graph_index(g);
    for (size_t i = 0; i < g->node_count; i++) {
        nnd_graph_node *n = &g->nodes[i];
        pattern p;
        bool ok;
        if (!nnd_match_is_binary(n, "MatMul")) continue;
        NND_TRY(match(g, n, &p, &ok));
        if (!ok) continue;
        NND_TRY(fuse(g, n, &p));
        (*changes)++;
    }
    nnd_graph_index(g);
    return NND_OK;
}
