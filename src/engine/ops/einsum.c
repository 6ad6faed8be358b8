/*
 * Einsum: any number of operands, repeated letters, ellipsis; one sum over all letters. Two
 * operands of f32 whose letters make them a batch of matrix products go through the packed kernel;
 * one operand of f32 is moved and summed by rows.
 */
#include <string.h>

#include "base/size.h"
#include "engine/kernels/kernels.h"
#include "engine/ops/blocks.h"

enum {
    MAX_OPERANDS = 8,
    MAX_LETTERS = 24,
    LONG_SUM = 1 << 16 /* terms after which somebody may have stopped the run */
};

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

/* ---- as products of matrices ------------------------------------------------------------------
 */

/* Loops over a strided array, outermost first. */
typedef struct walk {
    int rank;
    int64_t dims[MAX_LETTERS], strides[MAX_LETTERS];
    size_t total;
} walk;

/* y[batch][m][n] = Σ a[batch][m][k]·b[batch][k][n]; what does not lie that way is copied first. */
typedef struct product {
    nnd_gemm gemm;
    size_t batches, m, n, k;
    walk a, b, y; /* over what is copied: strides are those of the tensors */
    bool copies_a, copies_b, copies_y;
    size_t a_at, b_at, y_at, packed_at; /* in the workspace, in bytes */
} product;

static void walk_add(walk *w, const loops *l, int letter, int64_t stride)
{
    w->dims[w->rank] = l->extent[letter];
    w->strides[w->rank++] = stride;
    w->total *= (size_t)l->extent[letter];
}

/* What a letter stands for; letters of extent 1 for nothing. */
enum { BATCH, ROWS, COLUMNS, SUMMED, NOTHING, OTHER };
static int role_of(const loops *l, int letter)
{
    bool a = l->stride[0][letter] != 0, b = l->stride[1][letter] != 0, kept = letter < l->kept;
    if (l->extent[letter] == 1) return NOTHING;
    if (a && b) return kept ? BATCH : SUMMED;
    return !kept ? OTHER : a ? ROWS : COLUMNS;
}

/* No operand has a letter twice: its strides would have been added up. */
static bool has_diagonal(const nnd_op_ctx *c, size_t k)
{
    const char *p = nnd_node_string(c->node, "equation", "");
    bool seen[128] = {false};
    for (; k; p++)
        k -= *p == ',';
    for (; *p && *p != ',' && *p != '-'; p++) {
        if (!is_letter(*p)) continue;
        if (seen[(int)*p]) return true;
        seen[(int)*p] = true;
    }
    return false;
}

/* Adds the letters of a role to the walks that they belong to, in the order of the result. */
static size_t add_role(const loops *l, int role, product *p)
{
    size_t extent = 1, y_stride[MAX_LETTERS], step = 1;
    for (int i = l->kept - 1; i >= 0; i--) {
        y_stride[i] = step;
        step *= (size_t)l->extent[i];
    }
    for (int i = 0; i < l->count; i++) {
        if (role_of(l, i) != role) continue;
        extent *= (size_t)l->extent[i];
        if (role != COLUMNS) walk_add(&p->a, l, i, l->stride[0][i]);
        if (role != ROWS) walk_add(&p->b, l, i, l->stride[1][i]);
        if (role != SUMMED) walk_add(&p->y, l, i, (int64_t)y_stride[i]);
    }
    return extent;
}

static bool is_dense(const walk *w)
{
    int64_t step = 1;
    for (int i = w->rank - 1; i >= 0; i--) {
        if (w->strides[i] != step) return false;
        step *= w->dims[i];
    }
    return true;
}

static bool make_product(const nnd_op_ctx *c, const loops *l, product *p)
{
    *p = (product){.a.total = 1, .b.total = 1, .y.total = 1};
    if (c->in_count != 2 || c->in[0]->dtype != NND_F32) return false;
    if (has_diagonal(c, 0) || has_diagonal(c, 1)) return false;
    for (int i = 0; i < l->count; i++)
        if (role_of(l, i) == OTHER || l->extent[i] == 0) return false;
    p->batches = add_role(l, BATCH, p);
    p->m = add_role(l, ROWS, p);
    /* A lies as [batch][m][k], B as [batch][k][n]. */
    p->k = add_role(l, SUMMED, p);
    p->n = add_role(l, COLUMNS, p);
    p->copies_a = !is_dense(&p->a);
    p->copies_b = !is_dense(&p->b);
    p->copies_y = !is_dense(&p->y);
    return true;
}

static bool reserve(size_t *at, size_t elements, bool wanted, size_t *total)
{
    size_t bytes;
    *at = *total;
    return !wanted ||
           (nnd_size_mul(elements, sizeof(float), &bytes) && nnd_size_add(*at, bytes, total) &&
            nnd_size_align(*total, NND_KERNEL_ALIGN, total));
}

static nnd_status einsum_plan(nnd_op_ctx *c)
{
    loops l;
    product p;
    NND_TRY(read_loops(c, &l));
    if (!make_product(c, &l, &p)) return NND_OK;
    const nnd_gemm_desc d = {
        .m = (int64_t)p.m, .n = (int64_t)p.n, .k = (int64_t)p.k, .alpha = 1.0f};
    NND_TRY(nnd_gemm_plan(&d, &p.gemm));
    size_t bytes = nnd_gemm_packed_bytes(&p.gemm);
    bool fits = nnd_size_align(bytes, NND_KERNEL_ALIGN, &bytes) &&
                reserve(&p.a_at, p.a.total, p.copies_a, &bytes) &&
                reserve(&p.b_at, p.b.total, p.copies_b, &bytes) &&
                reserve(&p.y_at, p.y.total, p.copies_y, &bytes);
    if (!fits) return nnd_op_fail(c, NND_E_OVERFLOW, "the operands are too large");
    product *kept = nnd_alloc(sizeof(*kept));
    if (!kept) return nnd_op_fail(c, NND_E_OUT_OF_MEMORY, "no memory for the plan");
    *kept = p;
    c->step = kept;
    c->workspace_bytes = bytes;
    c->lane_bytes = nnd_gemm_lane_bytes(&p.gemm);
    c->kernel = "gemm";
    return NND_OK;
}

static void einsum_unplan(void *step)
{
    nnd_free(step);
}

typedef struct product_job {
    const nnd_op_ctx *c;
    const product *p;
    nnd_gemm_args args;
    const float *b;
    float *packed;
    const walk *walk; /* copying */
    const float *from;
    float *to;
    bool scatters;
} product_job;

/* Runs of the innermost loop per tile of a copy. */
static size_t runs_per_tile(const walk *w)
{
    size_t inner = w->rank ? (size_t)w->dims[w->rank - 1] : 1;
    return inner < NND_OP_GRAIN ? NND_OP_GRAIN / inner : 1;
}

static nnd_status copy_tile(void *user, size_t index, int lane)
{
    const product_job *j = user;
    const walk *w = j->walk;
    int last = w->rank - 1;
    size_t inner = (size_t)w->dims[last], step = (size_t)w->strides[last];
    size_t begin = index * runs_per_tile(w), end = begin + runs_per_tile(w);
    (void)lane;
    for (size_t run = begin; run < end && run < w->total / inner; run++) {
        size_t at = 0, left = run;
        for (int i = last - 1; i >= 0; left /= (size_t)w->dims[i], i--)
            at += left % (size_t)w->dims[i] * (size_t)w->strides[i];
        for (size_t i = 0; i < inner && !j->scatters; i++)
            j->to[run * inner + i] = j->from[at + i * step];
        for (size_t i = 0; i < inner && j->scatters; i++)
            j->to[at + i * step] = j->from[run * inner + i];
    }
    return NND_OK;
}

static nnd_status copy(product_job *j, const walk *w, const float *from, float *to, bool scatters)
{
    j->walk = w;
    j->from = from;
    j->to = to;
    j->scatters = scatters;
    size_t runs = w->total / (size_t)w->dims[w->rank - 1], per_tile = runs_per_tile(w);
    return nnd_op_for(j->c, (runs + per_tile - 1) / per_tile, copy_tile, j);
}

static nnd_status gemm_tile(void *user, size_t index, int lane)
{
    const product_job *j = user;
    nnd_gemm_run_tile(&j->p->gemm, &j->args, index, nnd_op_lane(j->c, lane));
    return NND_OK;
}

static nnd_status pack_tile(void *user, size_t index, int lane)
{
    const product_job *j = user;
    (void)lane;
    nnd_gemm_pack_b_tile(&j->p->gemm, j->b, j->packed, index);
    return NND_OK;
}

static float *place(const nnd_op_ctx *c, size_t at)
{
    return (float *)((uintptr_t)c->workspace + at);
}

static nnd_status run_product(nnd_op_ctx *c)
{
    const product *p = c->step;
    product_job j = {.c = c, .p = p, .packed = c->workspace};
    const float *a = c->in[0]->data, *b = c->in[1]->data;
    float *y = p->copies_y ? place(c, p->y_at) : c->out[0].data;
    if (p->copies_a) {
        NND_TRY(copy(&j, &p->a, a, place(c, p->a_at), false));
        a = place(c, p->a_at);
    }
    if (p->copies_b) {
        NND_TRY(copy(&j, &p->b, b, place(c, p->b_at), false));
        b = place(c, p->b_at);
    }
    for (size_t i = 0; i < p->batches; i++) {
        j.b = b + i * p->k * p->n;
        j.args = (nnd_gemm_args){
            .a = a + i * p->m * p->k, .packed_b = j.packed, .c = y + i * p->m * p->n};
        NND_TRY(nnd_op_for(c, nnd_gemm_pack_tiles(&p->gemm), pack_tile, &j));
        NND_TRY(nnd_op_for(c, nnd_gemm_tiles(&p->gemm), gemm_tile, &j));
    }
    return p->copies_y ? copy(&j, &p->y, y, c->out[0].data, true) : NND_OK;
}

/* ---- one operand
 * ----------------------------------------------------------------------------------
 */

enum {
    SUM_ROW = 4096, /* elements summed in f32 before they go to a sum in double */
    SHORT_ROW = 8,  /* shorter ones are not worth a call for each term */
    LONG_ROW = 512  /* those of a tile, so that memory is read in long pieces */
};

/* y[kept] = Σ x[kept, summed]; y is dense. */
typedef struct single {
    const nnd_op_ctx *c;
    walk kept, summed;
    const float *x;
    float *y;
    size_t inner; /* of the last kept loop */
    int64_t step;
    size_t per_tile; /* results; runs of the last kept loop where they are columns */
} single;

/* A loop that goes on where the one around it stops is a part of it. */
static void walk_join(walk *w, int64_t extent, int64_t stride)
{
    w->total *= (size_t)extent;
    if (extent == 1) return;
    if (w->rank && w->strides[w->rank - 1] == extent * stride) {
        w->dims[w->rank - 1] *= extent;
        w->strides[w->rank - 1] = stride;
        return;
    }
    w->dims[w->rank] = extent;
    w->strides[w->rank++] = stride;
}

/* Where step `index` through the outermost `rank` loops begins. */
static size_t walk_at(const walk *w, int rank, size_t index)
{
    size_t at = 0;
    for (int i = rank - 1; i >= 0; index /= (size_t)w->dims[i], i--)
        at += index % (size_t)w->dims[i] * (size_t)w->strides[i];
    return at;
}

/* n results that lie side by side in x: term after term is added to all of them. */
static nnd_status add_rows(const single *s, const float *x, float *y, size_t n)
{
    memset(y, 0, n * sizeof(*y));
    for (size_t k = 0; k < s->summed.total; k++) {
        if (k % SUM_ROW == 0) NND_TRY(nnd_cancel_check(s->c->cancel));
        const float *row = x + walk_at(&s->summed, s->summed.rank, k);
        nnd_binary_apply(NND_BINARY_ADD, NND_BINARY_BOTH, y, row, y, n, NULL);
    }
    return NND_OK;
}

/* One result, the terms of which lie `step` apart in runs of `count`. */
static nnd_status sum_terms(const single *s, const float *x, float *y)
{
    int last = s->summed.rank - 1;
    size_t count = (size_t)s->summed.dims[last], step = (size_t)s->summed.strides[last];
    double total = 0;
    for (size_t run = 0; run < s->summed.total / count; run++) {
        const float *row = x + walk_at(&s->summed, last, run);
        for (size_t i = 0; i < count; i += SUM_ROW) {
            size_t n = count - i < SUM_ROW ? count - i : SUM_ROW;
            float part;
            if (i % LONG_SUM == 0) NND_TRY(nnd_cancel_check(s->c->cancel));
            if (step == 1 && n >= SHORT_ROW) {
                nnd_reduce_rows(NND_ROW_SUM, row + i, &part, 1, n);
                total += (double)part;
                continue;
            }
            for (size_t k = i; k < i + n; k++)
                total += (double)row[k * step];
        }
    }
    *y = (float)total;
    return NND_OK;
}

static bool adds_rows(const single *s)
{
    return s->summed.rank && s->step == 1 && s->inner >= SHORT_ROW;
}

/* n results of one run of the last kept loop. */
static nnd_status single_run(const single *s, const float *x, float *y, size_t n)
{
    const walk *w = &s->summed;
    if (w->rank == 0 && s->step == 1) {
        memcpy(y, x, n * sizeof(*y));
        return NND_OK;
    }
    if (w->rank == 0) {
        for (size_t i = 0; i < n; i++)
            y[i] = x[i * (size_t)s->step];
        return NND_OK;
    }
    if (adds_rows(s)) return add_rows(s, x, y, n);
    if (w->rank == 1 && w->strides[0] == 1 && s->step == w->dims[0] && s->step <= SUM_ROW) {
        nnd_reduce_rows(NND_ROW_SUM, x, y, n, (size_t)w->dims[0]);
        return NND_OK;
    }
    for (size_t i = 0; i < n; i++)
        NND_TRY(sum_terms(s, x + i * (size_t)s->step, y + i));
    return NND_OK;
}

static nnd_status single_tile(void *user, size_t index, int lane)
{
    const single *s = user;
    size_t begin = index * s->per_tile, end = begin + s->per_tile;
    (void)lane;
    if (end > s->kept.total) end = s->kept.total;
    for (size_t o = begin, n; o < end; o += n) {
        size_t run = o / s->inner, i = o % s->inner;
        n = s->inner - i < end - o ? s->inner - i : end - o;
        const float *x = s->x + walk_at(&s->kept, s->kept.rank - 1, run) + i * (size_t)s->step;
        NND_TRY(single_run(s, x, s->y + o, n));
    }
    return NND_OK;
}

/* Runs that begin side by side are columns: a tile transposes some of them. */
static nnd_status transpose_tile(void *user, size_t index, int lane)
{
    const single *s = user;
    size_t columns = (size_t)s->kept.dims[s->kept.rank - 2];
    size_t begin = index * s->per_tile, end = begin + s->per_tile;
    (void)lane;
    if (end > s->kept.total / s->inner) end = s->kept.total / s->inner;
    for (size_t run = begin, count; run < end; run += count) {
        size_t matrix = run / columns, first = run % columns;
        count = columns - first < end - run ? columns - first : end - run;
        nnd_transpose_strip(s->x + walk_at(&s->kept, s->kept.rank - 2, matrix), (size_t)s->step,
                            s->y + matrix * columns * s->inner, s->inner, s->inner, first, count);
    }
    return NND_OK;
}

static nnd_status run_single(nnd_op_ctx *c, const loops *l)
{
    single s = {.c = c, .x = c->in[0]->data, .y = c->out[0].data, .inner = 1, .step = 1};
    s.kept.total = s.summed.total = 1;
    for (int i = 0; i < l->count; i++)
        walk_join(i < l->kept ? &s.kept : &s.summed, l->extent[i], l->stride[0][i]);
    int rank = s.kept.rank;
    if (rank) {
        s.inner = (size_t)s.kept.dims[rank - 1];
        s.step = s.kept.strides[rank - 1];
    }
    bool columns = s.summed.rank == 0 && rank > 1 && s.step != 1 && s.kept.strides[rank - 2] == 1;
    size_t parts = columns ? s.kept.total / s.inner : s.kept.total;
    size_t work = columns ? s.inner : s.summed.total;
    s.per_tile = work < NND_OP_GRAIN ? NND_OP_GRAIN / work : 1;
    if (adds_rows(&s) && s.per_tile < LONG_ROW) s.per_tile = LONG_ROW;
    return nnd_op_for(c, (parts + s.per_tile - 1) / s.per_tile,
                      columns ? transpose_tile : single_tile, &s);
}

/* ---- any sum ------------------------------------------------------------------------------------
 */

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
            if (s % LONG_SUM == LONG_SUM - 1) NND_TRY(nnd_cancel_check(j->c->cancel));
            double factor = 1;
            uint64_t whole = 1;
            for (size_t k = 0; k < l->operands; k++) {
                const nnd_tensor *x = j->c->in[k];
                if (integer)
                    whole *= (uint64_t)nnd_op_int_at(x, (size_t)base[k]);
                else
                    factor *= nnd_dtype_get(x->dtype, x->data, (size_t)base[k]);
            }
            sum += factor;
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
    if (c->step) return run_product(c);
    job j = {.c = c, .terms = 1, .total = (size_t)nnd_tensor_count(&c->out[0])};
    NND_TRY(read_loops(c, &j.l));
    for (int i = j.l.kept; i < j.l.count; i++)
        if (!nnd_size_mul(j.terms, (size_t)j.l.extent[i], &j.terms))
            return nnd_op_fail(c, NND_E_OVERFLOW, "a sum has too many terms");
    if (!j.total) return NND_OK;
    if (c->in_count == 1 && c->in[0]->dtype == NND_F32 && j.terms) return run_single(c, &j.l);
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
    {"", "Einsum", 12, 0, 1, -1, 1, 1, 0, einsum_infer, einsum_run, .plan = einsum_plan,
     .unplan = einsum_unplan, .flops = einsum_flops},
};
const nnd_op_family nnd_ops_einsum = {ops, NND_COUNT(ops)};
