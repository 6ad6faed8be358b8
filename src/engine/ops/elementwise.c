#include "engine/ops/elementwise.h"

#include <string.h>

#include "engine/ops/rows.h"

/*
 * A strip is as long as all its rows together may take of the first-level cache. Runs of the result
 * in which every operand is regular (moves along, or stays) and that are long enough are cut into
 * strips by themselves; where runs are short, a strip is several of them, and operands that are
 * repeated are laid out for it first.
 */
enum {
    CACHE_FLOATS = 6144,
    MIN_STRIP = 256,
    MAX_STRIP = 2048,
    LONG_RUN = 256,
    MIN_TILE = 4096, /* elements */
    MAX_ARGS = 3
};

/* ---- which nodes --------------------------------------------------------------------------- */

static bool is(const nnd_graph_node *n, const char *type)
{
    return !n->domain[0] && strcmp(n->type, type) == 0;
}

/* Limits of Clip: absent or one constant element. */
static bool has_constant_limits(const nnd_graph *g, const nnd_graph_node *n)
{
    for (size_t k = 1; k < n->formal_count; k++) {
        if (n->inputs[k] == NND_NO_ID) continue;
        const nnd_graph_value *v = &g->values[n->inputs[k]];
        if (!v->is_constant || v->dtype != NND_F32 || nnd_tensor_count(&v->constant) != 1)
            return false;
    }
    return true;
}

/* Vectors of slopes have a meaning of their own. */
static bool has_plain_slope(const nnd_graph *g, const nnd_graph_node *n)
{
    const nnd_graph_value *v = &g->values[n->inputs[1]];
    return v->is_constant && v->constant.rank != 1;
}

bool nnd_elementwise_is_first(const nnd_graph_node *n)
{
    return is(n, "DequantizeLinear");
}

bool nnd_elementwise_is_last(const nnd_graph_node *n)
{
    return is(n, "QuantizeLinear");
}

nnd_status nnd_elementwise_takes(nnd_graph *g, const nnd_graph_node *n, const nnd_dtype *types,
                                 bool *takes)
{
    *takes = false;
    if (n->dead || !n->op || n->op->flags & NND_OP_BROUGHT || n->input_count != n->formal_count ||
        n->formal_count < 1 || n->formal_count > MAX_ARGS || n->output_count != 1 ||
        n->outputs[0] == NND_NO_ID || n->epilogue != NND_EPILOGUE_NONE)
        return NND_OK;
    bool where = is(n, "Where"), clip = is(n, "Clip");
    if (nnd_elementwise_is_first(n) || nnd_elementwise_is_last(n)) {
        *takes = n->inputs[0] != NND_NO_ID && n->inputs[1] != NND_NO_ID &&
                 nnd_quant_row_can(g, n, types);
        return NND_OK;
    }
    for (size_t k = 0; k < n->formal_count; k++) {
        uint32_t id = n->inputs[k];
        if (id == NND_NO_ID && clip && k > 0) continue;
        if (id == NND_NO_ID || types[id] != (where && k == 0 ? NND_BOOL : NND_F32)) return NND_OK;
    }
    if (clip) {
        *takes = nnd_unary_row_can(n->op) && has_constant_limits(g, n);
    } else if (nnd_binary_row_can(n)) {
        bool wants = nnd_binary_row_wants_constant(n->op);
        *takes = !wants || g->values[n->inputs[1]].is_constant;
    } else if (is(n, "PRelu")) {
        *takes = has_plain_slope(g, n);
    } else {
        *takes = where || (nnd_unary_row_can(n->op) && n->formal_count == 1);
    }
    return NND_OK;
}

/* ---- shapes -------------------------------------------------------------------------------- */

/* Where a value comes from: part i is i, input k is NND_MAX_PARTS + k. */
static int source_of(const nnd_graph_node *n, size_t parts, uint32_t id)
{
    for (size_t i = 0; i < parts; i++)
        if (n->parts[i].outputs[0] == id) return (int)i;
    for (size_t k = 0; k < n->input_count; k++)
        if (n->inputs[k] == id) return NND_MAX_PARTS + (int)k;
    return -1;
}

nnd_status nnd_elementwise_part(const nnd_op_ctx *c, size_t i, nnd_part_memory *m, nnd_op_ctx *part)
{
    const nnd_graph_node *n = &c->node->parts[i];
    for (size_t k = 0; k < n->input_count; k++) {
        int from = n->inputs[k] == NND_NO_ID ? -1 : source_of(c->node, i, n->inputs[k]);
        m->in[k] = from < 0                ? NULL
                   : from >= NND_MAX_PARTS ? c->in[from - NND_MAX_PARTS]
                                           : &m->made[from];
    }
    *part = (nnd_op_ctx){.node = n,
                         .op = n->op,
                         .in_count = n->input_count,
                         .in = m->in,
                         .out_count = 1,
                         .out = &m->made[i]};
    m->made[i] = (nnd_tensor){0};
    return n->op->infer(part);
}

static nnd_status elementwise_infer(nnd_op_ctx *c)
{
    nnd_part_memory m;
    nnd_op_ctx part;
    if (c->node->part_count == 0) return nnd_op_fail(c, NND_E_FORMAT, "it has no parts");
    for (size_t i = 0; i < c->node->part_count; i++)
        NND_TRY(nnd_elementwise_part(c, i, &m, &part));
    const nnd_tensor *last = &m.made[c->node->part_count - 1];
    return nnd_op_output(c, 0, last->dtype, last->rank, last->dims);
}

/* ---- the program --------------------------------------------------------------------------- */

/* An operand in a strip: moves along, the same element for all of it, the same run again and again,
   or one element per run. The last two are laid out in a row of the lane's scratch. */
typedef enum form { DENSE, SCALAR, REPEATED, SPREAD } form;

typedef struct leaf {
    size_t input;
    size_t bytes; /* of an element */
    form form;
    size_t strides[NND_MAX_RANK]; /* over the result's dimensions, in elements */
    int row;                      /* REPEATED, SPREAD */
} leaf;

typedef enum step_kind { UNARY, BINARY, PRELU, WHERE, QUANTIZE, DEQUANTIZE } step_kind;

typedef struct step {
    step_kind kind;
    union {
        nnd_unary_row unary;
        nnd_binary_row binary;
        nnd_quant_row quant;
    } u;
    size_t arg_count;
    int args[MAX_ARGS]; /* step i is i, leaf k is NND_MAX_PARTS + k */
    bool scalar;        /* one element per strip */
    int row;            /* −1 = the result itself */
} step;

typedef struct program {
    int rank; /* of the result, dimensions merged */
    size_t dims[NND_MAX_RANK];
    /* The result is `planes` times `runs` runs of `run` elements. A strip is `strip_runs` of them,
       or `strip` elements of a single one. */
    size_t planes, runs, run, strip_runs, strip, strips_per_plane, strips, strips_per_tile;
    int outer;           /* dimensions in front of the plane */
    size_t result_bytes; /* of an element */
    size_t leaf_count, step_count, row_count, row_floats;
    leaf leaves[NND_MAX_PART_INPUTS];
    step steps[NND_MAX_PARTS];
} program;

/* Strides of an operand over the result; 0 where it is repeated. */
static void strides_of(const nnd_tensor *t, const nnd_tensor *y, size_t *strides)
{
    size_t next = 1;
    for (int d = y->rank - 1; d >= 0; d--) {
        int own = d - (y->rank - t->rank);
        bool moves = own >= 0 && t->dims[own] != 1;
        strides[d] = moves ? next : 0;
        if (moves) next *= (size_t)t->dims[own];
    }
}

/* Dimensions that all operands allow it for become one. */
static void merge(program *p, const nnd_tensor *y)
{
    int kept = 0;
    for (int d = 0; d < y->rank; d++) {
        size_t size = (size_t)y->dims[d];
        if (size == 1) continue;
        bool joins = kept > 0;
        for (size_t k = 0; k < p->leaf_count && joins; k++)
            joins = p->leaves[k].strides[kept - 1] == p->leaves[k].strides[d] * size;
        if (!joins) kept++;
        p->dims[kept - 1] = joins ? p->dims[kept - 1] * size : size;
        for (size_t k = 0; k < p->leaf_count; k++)
            p->leaves[k].strides[kept - 1] = p->leaves[k].strides[d];
    }
    p->rank = kept;
}

static void choose_forms(program *p)
{
    bool single = p->rank < 2 || p->dims[p->rank - 1] >= LONG_RUN;
    p->run = p->rank ? p->dims[p->rank - 1] : 1;
    p->runs = single ? 1 : p->dims[p->rank - 2];
    p->outer = p->rank - (single ? 1 : 2);
    p->planes = 1;
    for (int d = 0; d < p->outer; d++)
        p->planes *= p->dims[d];
    for (size_t k = 0; k < p->leaf_count; k++) {
        leaf *l = &p->leaves[k];
        bool moves = p->rank && l->strides[p->rank - 1];
        bool along = !single && l->strides[p->rank - 2];
        l->form = moves ? (single || along ? DENSE : REPEATED) : along ? SPREAD : SCALAR;
        l->row = -1;
        if (l->form == REPEATED || l->form == SPREAD) l->row = (int)p->row_count++;
    }
}

/* Rows for what is between the steps: a row is free again behind the last step that reads it, which
   may write over it, unless it needs a single element of it to the end. */
static void choose_rows(program *p)
{
    size_t last[NND_MAX_PARTS] = {0};
    int holder[NND_MAX_PARTS]; /* of row first + r: the step whose result it holds */
    int first = (int)p->row_count, count = 0;
    for (size_t i = 0; i < p->step_count; i++)
        for (size_t k = 0; k < p->steps[i].arg_count; k++)
            if (p->steps[i].args[k] < NND_MAX_PARTS) last[p->steps[i].args[k]] = i;
    for (size_t i = 0; i < p->step_count; i++) {
        step *s = &p->steps[i];
        s->row = -1;
        if (i + 1 == p->step_count) break;
        int r = 0;
        for (; r < count; r++) {
            bool stays = p->steps[holder[r]].scalar && !s->scalar;
            if (last[holder[r]] < i || (last[holder[r]] == i && !stays)) break;
        }
        if (r == count) count++;
        holder[r] = (int)i;
        s->row = first + r;
    }
    p->row_count += (size_t)count;
}

/* Strips and tiles; how they are cut depends on the shapes only. */
static void cut(program *p)
{
    size_t most = CACHE_FLOATS / (p->row_count + 2) / 16 * 16;
    if (most > MAX_STRIP) most = MAX_STRIP;
    if (most < MIN_STRIP) most = MIN_STRIP;
    if (p->runs == 1) {
        p->strip_runs = 1;
        p->strip = p->run < most ? p->run : most;
        p->strips_per_plane = (p->run + p->strip - 1) / p->strip;
    } else {
        p->strip_runs = p->run < most ? most / p->run : 1;
        if (p->runs && p->strip_runs > p->runs) p->strip_runs = p->runs;
        p->strip = p->strip_runs * p->run;
        p->strips_per_plane = (p->runs + p->strip_runs - 1) / p->strip_runs;
    }
    size_t tile = NND_OP_GRAIN / p->step_count;
    if (tile < MIN_TILE) tile = MIN_TILE;
    p->row_floats = (p->strip + 15) / 16 * 16;
    p->strips = p->planes * p->strips_per_plane;
    p->strips_per_tile = p->strip < tile ? tile / p->strip : 1;
}

static step_kind kind_of(const nnd_graph_node *n)
{
    if (is(n, "PRelu")) return PRELU;
    if (is(n, "Where")) return WHERE;
    if (nnd_elementwise_is_first(n)) return DEQUANTIZE;
    if (nnd_elementwise_is_last(n)) return QUANTIZE;
    return nnd_binary_row_can(n) ? BINARY : UNARY;
}

static nnd_status add_step(program *p, const nnd_op_ctx *c, const nnd_op_ctx *part, int *leaf_of)
{
    step *s = &p->steps[p->step_count];
    const nnd_graph_node *n = part->node;
    *s = (step){.kind = kind_of(n), .scalar = false};
    s->arg_count = s->kind == WHERE ? 3 : s->kind == PRELU || s->kind == BINARY ? 2 : 1;
    if (s->kind == BINARY) nnd_binary_row_init(part, &s->u.binary);
    if (s->kind == UNARY) NND_TRY(nnd_unary_row_init(part, &s->u.unary));
    if (s->kind == QUANTIZE || s->kind == DEQUANTIZE) nnd_quant_row_init(part, &s->u.quant);
    for (size_t k = 0; k < s->arg_count; k++) {
        bool again = k == 1 && s->kind == BINARY && s->u.binary.squares;
        int from = source_of(c->node, p->step_count, n->inputs[again ? 0 : k]);
        if (from < 0) return nnd_op_fail(c, NND_E_INTERNAL, "an operand of a part is not there");
        if (from >= NND_MAX_PARTS) {
            size_t input = (size_t)(from - NND_MAX_PARTS);
            if (leaf_of[input] < 0) {
                leaf_of[input] = (int)p->leaf_count;
                p->leaves[p->leaf_count++] =
                    (leaf){.input = input, .bytes = nnd_op_element(c->in[input]->dtype)};
            }
            from = NND_MAX_PARTS + leaf_of[input];
        }
        s->args[k] = from;
    }
    p->step_count++;
    return NND_OK;
}

static nnd_status make_program(const nnd_op_ctx *c, program *p)
{
    nnd_part_memory m;
    nnd_op_ctx part;
    int leaf_of[NND_MAX_PART_INPUTS];
    memset(leaf_of, -1, sizeof(leaf_of));
    memset(p, 0, sizeof(*p));
    for (size_t i = 0; i < c->node->part_count; i++) {
        NND_TRY(nnd_elementwise_part(c, i, &m, &part));
        NND_TRY(add_step(p, c, &part, leaf_of));
    }
    const nnd_tensor *y = &c->out[0];
    p->result_bytes = nnd_op_element(y->dtype);
    if (nnd_tensor_count(y) == 0 || p->step_count == 0) return NND_OK;
    for (size_t k = 0; k < p->leaf_count; k++)
        strides_of(c->in[p->leaves[k].input], y, p->leaves[k].strides);
    merge(p, y);
    choose_forms(p);
    for (size_t i = 0; i < p->step_count; i++) {
        step *s = &p->steps[i];
        s->scalar = i + 1 < p->step_count;
        for (size_t k = 0; k < s->arg_count && s->scalar; k++)
            s->scalar = s->args[k] < NND_MAX_PARTS
                            ? p->steps[s->args[k]].scalar
                            : p->leaves[s->args[k] - NND_MAX_PARTS].form == SCALAR;
    }
    choose_rows(p);
    cut(p);
    return NND_OK;
}

static size_t lane_bytes(const program *p)
{
    return p->row_count * p->row_floats * sizeof(float);
}

/* ---- a strip ------------------------------------------------------------------------------- */

/* What a lane knows while it goes over the strips of a tile. */
typedef struct walk {
    const program *p;
    const nnd_op_ctx *c;
    float *rows;
    size_t plane;                              /* of the bases */
    const char *bases[NND_MAX_PART_INPUTS];    /* leaves, at the plane */
    const char *laid_out[NND_MAX_PART_INPUTS]; /* REPEATED: the base that the row is of */
    const void *values[NND_MAX_PART_INPUTS];   /* leaves, in the strip */
} walk;

static float *row_at(const walk *w, int row)
{
    return w->rows + (size_t)row * w->p->row_floats;
}

static void enter_plane(walk *w, size_t plane)
{
    const program *p = w->p;
    size_t index[NND_MAX_RANK], left = plane;
    for (int d = p->outer - 1; d >= 0; d--) {
        index[d] = left % p->dims[d];
        left /= p->dims[d];
    }
    w->plane = plane;
    for (size_t k = 0; k < p->leaf_count; k++) {
        const leaf *l = &p->leaves[k];
        size_t at = 0;
        for (int d = 0; d < p->outer; d++)
            at += index[d] * l->strides[d];
        w->bases[k] = (const char *)w->c->in[l->input]->data + at * l->bytes;
    }
}

/* The run at `from`, as often as a strip can have it. */
static void lay_out_runs(const program *p, size_t bytes, const char *from, char *to)
{
    size_t run = p->run * bytes;
    for (size_t r = 0; r < p->strip_runs; r++)
        memcpy(to + r * run, from, run);
}

/* Element r for all of run r. */
static void spread_elements(const program *p, size_t bytes, const char *from, size_t runs, char *to)
{
    for (size_t r = 0; r < runs; r++) {
        if (bytes == 1) {
            memset(to + r * p->run, from[r], p->run);
            continue;
        }
        float value = ((const float *)(const void *)from)[r], *y = (float *)(void *)to;
        for (size_t i = 0; i < p->run; i++)
            y[r * p->run + i] = value;
    }
}

/* Where the leaves are for the strip that begins at element `at` of its plane. */
static void load_leaves(walk *w, size_t at, size_t n)
{
    const program *p = w->p;
    for (size_t k = 0; k < p->leaf_count; k++) {
        const leaf *l = &p->leaves[k];
        const char *base = w->bases[k];
        if (l->form == DENSE || l->form == SCALAR) {
            w->values[k] = l->form == DENSE ? base + at * l->bytes : base;
            continue;
        }
        char *row = (char *)row_at(w, l->row);
        if (l->form == SPREAD)
            spread_elements(p, l->bytes, base + at / p->run * l->bytes, n / p->run, row);
        else if (w->laid_out[k] != base)
            lay_out_runs(p, l->bytes, base, row);
        w->laid_out[k] = base; /* REPEATED: it is the same in every strip */
        w->values[k] = row;
    }
}

static const void *value_of(const walk *w, int source, bool *scalar)
{
    const program *p = w->p;
    if (source >= NND_MAX_PARTS) {
        *scalar = p->leaves[source - NND_MAX_PARTS].form == SCALAR;
        return w->values[source - NND_MAX_PARTS];
    }
    *scalar = p->steps[source].scalar;
    return row_at(w, p->steps[source].row);
}

static void run_step(const walk *w, const step *s, void *y, size_t n)
{
    const void *in[MAX_ARGS] = {NULL};
    bool scalar[MAX_ARGS] = {false};
    if (s->row >= 0) y = row_at(w, s->row);
    if (s->scalar) n = 1;
    for (size_t k = 0; k < s->arg_count; k++)
        in[k] = value_of(w, s->args[k], &scalar[k]);
    switch (s->kind) {
    case UNARY:
        nnd_unary_row_apply(&s->u.unary, in[0], y, n);
        break;
    case BINARY:
        nnd_binary_row_apply(&s->u.binary,
                             scalar[0] == scalar[1] ? NND_BINARY_BOTH
                             : scalar[0]            ? NND_BINARY_SCALAR_A
                                                    : NND_BINARY_SCALAR_B,
                             in[0], in[1], y, n);
        break;
    case PRELU:
        nnd_prelu_row_apply(in[0], !scalar[0], in[1], !scalar[1], y, n);
        break;
    case WHERE:
        nnd_where_row_apply(in[0], !scalar[0], in[1], !scalar[1], in[2], !scalar[2], y, n);
        break;
    case QUANTIZE:
        nnd_quantize_row_apply(&s->u.quant, in[0], y, n);
        break;
    case DEQUANTIZE:
        nnd_dequantize_row_apply(&s->u.quant, in[0], y, n);
        break;
    }
}

static nnd_status tile(void *user, size_t index, int lane)
{
    walk w = *(const walk *)user;
    const program *p = w.p;
    size_t strip = index * p->strips_per_tile, end = strip + p->strips_per_tile;
    w.rows = nnd_op_lane(w.c, lane);
    if (end > p->strips) end = p->strips;
    for (; strip < end; strip++) {
        size_t plane = strip / p->strips_per_plane, size = p->runs * p->run;
        size_t at = strip % p->strips_per_plane * p->strip;
        size_t n = size - at < p->strip ? size - at : p->strip;
        if (plane != w.plane) enter_plane(&w, plane);
        load_leaves(&w, at, n);
        for (size_t i = 0; i < p->step_count; i++)
            run_step(&w, &p->steps[i],
                     (char *)w.c->out[0].data + (plane * size + at) * p->result_bytes, n);
    }
    return NND_OK;
}

static nnd_status run_program(nnd_op_ctx *c, const program *p)
{
    void *memory = NULL;
    walk w = {.p = p, .c = c, .plane = SIZE_MAX};
    if (!p->strips) return NND_OK; /* nothing to make */
    if (p->row_count) NND_TRY(nnd_op_need_lane(c, lane_bytes(p), &memory));
    size_t tiles = (p->strips + p->strips_per_tile - 1) / p->strips_per_tile;
    nnd_status status = nnd_op_for(c, tiles, tile, &w);
    nnd_free_aligned(memory);
    return status;
}

/* ---- the operator -------------------------------------------------------------------------- */

static nnd_status elementwise_plan(nnd_op_ctx *c)
{
    program *p = nnd_alloc(sizeof(*p));
    if (!p) return nnd_op_fail(c, NND_E_OUT_OF_MEMORY, "no memory for the plan of strips");
    nnd_status status = make_program(c, p);
    if (status != NND_OK) {
        nnd_free(p);
        return status;
    }
    c->step = p;
    c->lane_bytes = lane_bytes(p);
    c->kernel = nnd_node_string(c->node, "ops", "");
    return NND_OK;
}

static nnd_status elementwise_run(nnd_op_ctx *c)
{
    program p;
    if (c->step) return run_program(c, c->step);
    NND_TRY(make_program(c, &p));
    return run_program(c, &p);
}

const nnd_op nnd_op_elementwise = {.domain = "",
                                   .name = "Elementwise",
                                   .since = 1,
                                   .min_inputs = 1,
                                   .max_inputs = -1,
                                   .min_outputs = 1,
                                   .max_outputs = 1,
                                   .flags = NND_OP_INPLACE_ANY,
                                   .infer = elementwise_infer,
                                   .run = elementwise_run,
                                   .plan = elementwise_plan,
                                   .unplan = nnd_free};
