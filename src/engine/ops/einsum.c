/* Einsum: any number of operands, repeated letters, ellipsis; one sum over all letters. */
#include <string.h>

#include "engine/ops/blocks.h"

enum { MAX_OPERANDS = 8, MAX_LETTERS = 24 };

/* Every index letter becomes a loop; the result's letters come first, in their order. */
typedef struct loops {
    int count, kept;
    int64_t extent[MAX_LETTERS];
    char letter[MAX_LETTERS];
    size_t operands;
    int64_t stride[MAX_OPERANDS][MAX_LETTERS];
} loops;

/* Letters of one term; the dimensions of an ellipsis get the digits '0' … '7', aligned right. */
typedef struct term {
    int count;
    char letter[NND_MAX_RANK];
} term;

static nnd_status bad(const nnd_op_ctx *c)
{
    return nnd_op_fail(c, NND_E_SHAPE, "the equation '%s' does not fit the operands",
                       nnd_node_string(c->node, "equation", ""));
}

static bool is_letter(char ch)
{
    return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z');
}

/* Reads one term of a rank (−1: the result, whose ellipsis has `dots` dimensions). */
static bool read_term(const char **text, int rank, int dots, term *t)
{
    int letters = 0;
    const char *p = *text;
    for (const char *q = p; *q && *q != ',' && *q != '-'; q++)
        letters += is_letter(*q);
    *t = (term){0};
    int spread = rank < 0 ? dots : rank - letters;
    for (; *p && *p != ',' && *p != '-'; p++) {
        if (*p == ' ') continue;
        if (*p == '.') {
            if (p[1] != '.' || p[2] != '.' || spread < 0 || t->count + spread > NND_MAX_RANK)
                return false;
            p += 2;
            for (int i = 0; i < spread; i++)
                t->letter[t->count++] = (char)('0' + NND_MAX_RANK - spread + i);
            continue;
        }
        if (!is_letter(*p) || t->count == NND_MAX_RANK) return false;
        t->letter[t->count++] = *p;
    }
    *text = p;
    return rank < 0 || t->count == rank;
}

static int find(const loops *l, char letter)
{
    for (int i = 0; i < l->count; i++)
        if (l->letter[i] == letter) return i;
    return -1;
}

static bool add_operand(loops *l, const term *t, const nnd_tensor *x)
{
    int64_t stride = 1;
    for (int d = x->rank - 1; d >= 0; d--) {
        int i = find(l, t->letter[d]);
        if (i < 0 && l->count == MAX_LETTERS) return false;
        if (i < 0) {
            i = l->count++;
            l->letter[i] = t->letter[d];
            l->extent[i] = 1;
        }
        if (x->dims[d] != 1) {
            if (l->extent[i] != 1 && l->extent[i] != x->dims[d]) return false;
            l->extent[i] = x->dims[d];
            l->stride[l->operands][i] += stride;
        }
        stride *= x->dims[d];
    }
    l->operands++;
    return true;
}

/* The result's term: written, or the letters that occur once in alphabetical order. */
static bool result_term(const char *text, const loops *l, const int *uses, int dots, term *t)
{
    const char *arrow = strstr(text, "->");
    if (arrow) {
        arrow += 2;
        return read_term(&arrow, -1, dots, t) && !*arrow;
    }
    *t = (term){0};
    for (int ch = '0'; ch <= 'z'; ch++) {
        int i = find(l, (char)ch);
        if (i < 0 || (is_letter((char)ch) && uses[ch] != 1)) continue;
        if (t->count == NND_MAX_RANK) return false;
        t->letter[t->count++] = (char)ch;
    }
    return true;
}

static void move_to(loops *l, int from, int to)
{
    char letter = l->letter[from];
    int64_t extent = l->extent[from];
    l->letter[from] = l->letter[to];
    l->extent[from] = l->extent[to];
    l->letter[to] = letter;
    l->extent[to] = extent;
    for (size_t k = 0; k < l->operands; k++) {
        int64_t stride = l->stride[k][from];
        l->stride[k][from] = l->stride[k][to];
        l->stride[k][to] = stride;
    }
}

static nnd_status read_loops(const nnd_op_ctx *c, loops *l)
{
    const char *text = nnd_node_string(c->node, "equation", ""), *p = text;
    int uses[128] = {0}, dots = 0;
    term t;
    *l = (loops){0};
    if (c->in_count > MAX_OPERANDS) return bad(c);
    for (size_t k = 0; k < c->in_count; k++) {
        const nnd_tensor *x;
        NND_TRY(nnd_op_expect(c, k, NND_NUMBERS));
        NND_TRY(nnd_op_expect(c, k, 1u << c->in[0]->dtype));
        NND_TRY(nnd_op_need(c, k, &x));
        if (!read_term(&p, x->rank, 0, &t) || !add_operand(l, &t, x)) return bad(c);
        int spread = 0;
        for (int i = 0; i < t.count; i++) {
            uses[(int)t.letter[i]]++;
            spread += !is_letter(t.letter[i]);
        }
        dots = spread > dots ? spread : dots;
        if (*p == ',') p++;
    }
    if (*p && *p != '-') return bad(c);
    if (!result_term(text, l, uses, dots, &t)) return bad(c);
    for (int i = 0; i < t.count; i++) {
        int from = find(l, t.letter[i]);
        if (from < i) return bad(c);
        move_to(l, from, i);
    }
    l->kept = t.count;
    return NND_OK;
}

static nnd_status einsum_infer(nnd_op_ctx *c)
{
    loops l;
    NND_TRY(read_loops(c, &l));
    return nnd_op_output(c, 0, c->in[0]->dtype, l.kept, l.extent);
}

typedef struct job {
    const nnd_op_ctx *c;
    loops l;
    size_t terms, total, per_tile;
} job;

static nnd_status tile(void *user, size_t index, int lane)
{
    const job *j = user;
    const loops *l = &j->l;
    const nnd_tensor *y = &j->c->out[0];
    bool integer = nnd_class_of(y->dtype) > NND_IN_F64;
    size_t begin = index * j->per_tile, end = begin + j->per_tile;
    (void)lane;
    if (end > j->total) end = j->total;
    for (size_t o = begin; o < end; o++) {
        int64_t base[MAX_OPERANDS] = {0}, at[MAX_LETTERS] = {0}, left = (int64_t)o;
        double sum = 0;
        uint64_t total = 0;
        for (int i = l->kept - 1; i >= 0; left /= l->extent[i], i--)
            for (size_t k = 0; k < l->operands; k++)
                base[k] += left % l->extent[i] * l->stride[k][i];
        for (size_t s = 0; s < j->terms; s++) {
            double product = 1;
            uint64_t whole = 1;
            for (size_t k = 0; k < l->operands; k++) {
                const nnd_tensor *x = j->c->in[k];
                if (integer)
                    whole *= (uint64_t)nnd_op_int_at(x, (size_t)base[k]);
                else
                    product *= nnd_dtype_get(x->dtype, x->data, (size_t)base[k]);
            }
            sum += product;
            total += whole;
            for (int i = l->count - 1; i >= l->kept; i--) {
                bool wraps = ++at[i] == l->extent[i];
                for (size_t k = 0; k < l->operands; k++)
                    base[k] += l->stride[k][i] * (wraps ? 1 - l->extent[i] : 1);
                if (!wraps) break;
                at[i] = 0;
            }
        }
        nnd_block_memory m;
        m.u64[0] = total;
        if (integer)
            nnd_block_store(nnd_class_of(y->dtype), y->dtype, y->data, o, 1, &m);
        else
            nnd_dtype_set(y->dtype, y->data, o, sum);
    }
    return NND_OK;
}

static nnd_status einsum_run(nnd_op_ctx *c)
{
    job j = {.c = c, .terms = 1, .total = (size_t)nnd_tensor_count(&c->out[0])};
    NND_TRY(read_loops(c, &j.l));
    for (int i = j.l.kept; i < j.l.count; i++)
        j.terms *= (size_t)j.l.extent[i];
    if (!j.total) return NND_OK;
    j.per_tile = j.terms && j.terms < NND_OP_GRAIN ? NND_OP_GRAIN / j.terms : 1;
    return nnd_op_for(c, (j.total + j.per_tile - 1) / j.per_tile, tile, &j);
}

/* Every combination of the letters: one multiply-add per operand beyond the first. */
static double einsum_flops(const nnd_op_ctx *c)
{
    loops l;
    if (read_loops(c, &l) != NND_OK) return 0;
    double operations = l.operands > 1 ? 2.0 * (double)(l.operands - 1) : 1.0;
    for (int i = 0; i < l.count; i++)
        operations *= (double)l.extent[i];
    return operations;
}

static const nnd_op ops[] = {
    {"", "Einsum", 12, 0, 1, -1, 1, 1, 0, einsum_infer, einsum_run, .flops = einsum_flops},
};
const nnd_op_family nnd_ops_einsum = {ops, NND_COUNT(ops)};
