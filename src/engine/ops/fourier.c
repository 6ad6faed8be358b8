/*
 * DFT and STFT.
 *
 * A transform of any length is O(n log n), in double: powers of two by the radix-2 algorithm of
 * Cooley and Tukey, other lengths as a convolution of the next power of two ≥ 2n − 1 (Bluestein,
 * "A linear filtering approach to the computation of the discrete Fourier transform", 1970).
 */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "engine/ops/element.h"

static const double PI = 3.14159265358979323846;
static const int64_t MAX_LENGTH = (int64_t)1 << 40;

/* ---- one transform -------------------------------------------------------------------------- */

typedef struct complex {
    double re, im;
} complex;

static complex times(complex a, complex b)
{
    return (complex){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

typedef struct transform {
    size_t n, m;     /* length; power of two ≥ n */
    bool inverse;    /* without the division by n */
    complex *roots;  /* m/2: exp(∓2πik/m) */
    complex *chirp;  /* n: exp(∓πik²/n), NULL for a power of two */
    complex *filter; /* m: transform of the conjugate chirp */
} transform;

static complex root(double turns, bool inverse)
{
    double angle = 2 * PI * turns;
    return (complex){cos(angle), inverse ? sin(angle) : -sin(angle)};
}

/* a[0 … m−1] in place, with roots for m. */
static void radix2(complex *a, size_t m, const complex *roots)
{
    for (size_t i = 1, j = 0; i < m; i++) {
        size_t bit = m >> 1;
        for (; j & bit; bit >>= 1)
            j ^= bit;
        j ^= bit;
        if (i < j) {
            complex t = a[i];
            a[i] = a[j];
            a[j] = t;
        }
    }
    for (size_t half = 1; half < m; half *= 2) {
        size_t step = m / (2 * half);
        for (size_t from = 0; from < m; from += 2 * half)
            for (size_t k = 0; k < half; k++) {
                complex odd = times(a[from + half + k], roots[k * step]);
                complex even = a[from + k];
                a[from + k] = (complex){even.re + odd.re, even.im + odd.im};
                a[from + half + k] = (complex){even.re - odd.re, even.im - odd.im};
            }
    }
}

static void transform_fini(transform *t)
{
    nnd_free(t->roots);
    nnd_free(t->chirp);
    nnd_free(t->filter);
}

static size_t power_above(size_t n)
{
    size_t m = 1;
    while (m < n)
        m *= 2;
    return m;
}

static void make_chirp(transform *t)
{
    size_t k2 = 0; /* k² mod 2n */
    for (size_t k = 0; k < t->n; k++) {
        t->chirp[k] = root((double)k2 / (double)(2 * t->n), t->inverse);
        k2 = (k2 + 2 * k + 1) % (2 * t->n);
    }
    t->filter[0] = t->chirp[0];
    for (size_t k = 1; k < t->n; k++)
        t->filter[k] = t->filter[t->m - k] = (complex){t->chirp[k].re, -t->chirp[k].im};
    radix2(t->filter, t->m, t->roots);
}

static nnd_status transform_init(transform *t, size_t n, bool inverse)
{
    bool power = (n & (n - 1)) == 0;
    *t = (transform){.n = n, .m = power ? n : power_above(2 * n - 1), .inverse = inverse};
    t->roots = nnd_calloc(t->m / 2 + 1, sizeof(*t->roots));
    if (!power) {
        t->chirp = nnd_calloc(t->n, sizeof(*t->chirp));
        t->filter = nnd_calloc(t->m, sizeof(*t->filter));
    }
    if (!t->roots || (!power && (!t->chirp || !t->filter))) {
        transform_fini(t);
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a Fourier transform");
    }
    /* Bluestein's inner transforms are forward ones. */
    for (size_t k = 0; k < t->m / 2; k++)
        t->roots[k] = root((double)k / (double)t->m, power && inverse);
    if (!power) make_chirp(t);
    return NND_OK;
}

/* a has m elements, of which the first n are the signal and then the result. */
static void transform_run(const transform *t, complex *a)
{
    if (!t->chirp) {
        radix2(a, t->m, t->roots);
        return;
    }
    for (size_t k = 0; k < t->n; k++)
        a[k] = times(a[k], t->chirp[k]);
    memset(a + t->n, 0, (t->m - t->n) * sizeof(*a));
    radix2(a, t->m, t->roots);
    /* The inverse transform as the conjugate of the forward one of the conjugate. */
    for (size_t k = 0; k < t->m; k++) {
        a[k] = times(a[k], t->filter[k]);
        a[k].im = -a[k].im;
    }
    radix2(a, t->m, t->roots);
    double scale = 1.0 / (double)t->m;
    for (size_t k = 0; k < t->n; k++) {
        complex v = {a[k].re * scale, -a[k].im * scale};
        a[k] = times(v, t->chirp[k]);
    }
}

/* ---- lines of a tensor ---------------------------------------------------------------------- */

/* What both operators do: lines of the input, spaced by `step` elements, become lines of the
   result. The last dimension of both holds one part (real) or two (complex). */
typedef struct job {
    const nnd_op_ctx *c;
    transform t;
    const nnd_tensor *window; /* STFT, or NULL */
    size_t in_parts, out_parts;
    size_t have, bins;       /* of the input, of the result */
    size_t inner, lines;     /* DFT: elements behind the axis; lines = outer·inner */
    size_t frames, hop, all; /* STFT: per signal; `all` = its length */
    bool hermitian;          /* the input is the first half of a conjugate-symmetric spectrum */
} job;

static void load(const job *j, complex *a, size_t from, size_t step)
{
    const nnd_tensor *x = j->c->in[0];
    size_t n = j->have < j->t.n ? j->have : j->t.n;
    memset(a, 0, j->t.m * sizeof(*a));
    for (size_t k = 0; k < n; k++) {
        size_t at = (from + k * step) * j->in_parts;
        double w = j->window ? nnd_get(j->window, k) : 1.0;
        a[k].re = nnd_get(x, at) * w;
        a[k].im = j->in_parts > 1 ? nnd_get(x, at + 1) * w : 0.0;
    }
    for (size_t k = j->t.n / 2 + 1; j->hermitian && k < j->t.n; k++)
        a[k] = (complex){a[j->t.n - k].re, -a[j->t.n - k].im};
}

static nnd_status line_tile(void *user, size_t line, int lane)
{
    const job *j = user;
    const nnd_tensor *y = &j->c->out[0];
    complex *a = nnd_op_lane(j->c, lane);
    size_t from, to, step = j->frames ? 1 : j->inner;
    if (j->frames) {
        from = line / j->frames * j->all + line % j->frames * j->hop;
        to = line * j->bins;
    } else {
        size_t outer = line / j->inner, k = line % j->inner;
        from = outer * j->have * j->inner + k;
        to = outer * j->bins * j->inner + k;
    }
    load(j, a, from, step);
    transform_run(&j->t, a);
    double scale = j->t.inverse ? 1.0 / (double)j->t.n : 1.0;
    for (size_t k = 0; k < j->bins; k++) {
        size_t at = (to + k * step) * j->out_parts;
        nnd_set(y, at, a[k].re * scale);
        if (j->out_parts > 1) nnd_set(y, at + 1, a[k].im * scale);
    }
    return NND_OK;
}

static nnd_status lane_bytes(const nnd_op_ctx *c, int64_t n, size_t *out)
{
    if (n < 1 || n > MAX_LENGTH)
        return nnd_op_fail(c, NND_E_SHAPE, "a transform of length %lld is impossible",
                           (long long)n);
    *out = power_above(2 * (size_t)n) * sizeof(complex);
    return NND_OK;
}

static nnd_status run_lines(nnd_op_ctx *c, job *j, size_t n, bool inverse)
{
    nnd_op_ctx own = *c;
    size_t bytes;
    void *memory;
    if (nnd_tensor_count(&c->out[0]) == 0) return NND_OK;
    NND_TRY(lane_bytes(c, (int64_t)n, &bytes));
    NND_TRY(transform_init(&j->t, n, inverse));
    j->c = &own;
    nnd_status status = nnd_op_need_lane(&own, bytes, &memory);
    if (status == NND_OK) {
        status = nnd_op_for(&own, j->lines, line_tile, j);
        nnd_free_aligned(memory);
    }
    j->c = c;
    transform_fini(&j->t);
    return status;
}

/* A scalar operand with known elements, or the fallback when it is absent. */
static nnd_status read_scalar(const nnd_op_ctx *c, size_t i, int64_t fallback, int64_t *out)
{
    const nnd_tensor *t = nnd_op_in(c, i);
    *out = fallback;
    if (!t) return NND_OK;
    NND_TRY(nnd_op_expect(c, i, 1u << NND_I32 | 1u << NND_I64));
    NND_TRY(nnd_op_known(c, i, &t));
    if (nnd_tensor_count(t) != 1) return nnd_op_fail(c, NND_E_SHAPE, "input %zu is no scalar", i);
    *out = nnd_op_int_at(t, 0);
    return NND_OK;
}

/* ---- DFT ------------------------------------------------------------------------------------ */

typedef struct dft {
    int axis;
    int64_t length, bins, parts;
    bool inverse, onesided;
} dft;

static nnd_status read_dft(const nnd_op_ctx *c, dft *d)
{
    int64_t axis;
    bool by_input = c->node->opset >= 20;
    NND_TRY(nnd_op_expect(c, 0, NND_FLOATS));
    const nnd_tensor *x = c->in[0];
    *d = (dft){.inverse = nnd_node_int(c->node, "inverse", 0) != 0,
               .onesided = nnd_node_int(c->node, "onesided", 0) != 0,
               .parts = 2};
    if (by_input)
        NND_TRY(read_scalar(c, 2, -2, &axis));
    else
        axis = nnd_node_int(c->node, "axis", 1);
    NND_TRY(nnd_op_axis(c, axis, x->rank, &d->axis));
    int64_t parts = x->rank ? x->dims[x->rank - 1] : 0;
    if (x->rank < 2 || d->axis == x->rank - 1 || (parts != 1 && parts != 2))
        return nnd_op_fail(c, NND_E_SHAPE, "the last dimension does not hold one or two parts");
    if (d->onesided && !d->inverse && parts != 1)
        return nnd_op_fail(c, NND_E_SHAPE, "only a real signal has a one-sided spectrum");
    bool real = d->onesided && d->inverse;
    int64_t have = x->dims[d->axis];
    NND_TRY(read_scalar(c, 1, real ? 2 * (have - 1) : have, &d->length));
    if (d->length < 1 || d->length > MAX_LENGTH)
        return nnd_op_fail(c, NND_E_SHAPE, "a transform of length %lld is impossible",
                           (long long)d->length);
    d->bins = d->onesided && !d->inverse ? d->length / 2 + 1 : d->length;
    if (real) d->parts = 1;
    return NND_OK;
}

static nnd_status dft_infer(nnd_op_ctx *c)
{
    dft d;
    int64_t dims[NND_MAX_RANK];
    NND_TRY(read_dft(c, &d));
    memcpy(dims, c->in[0]->dims, sizeof(dims));
    dims[d.axis] = d.bins;
    dims[c->in[0]->rank - 1] = d.parts;
    return nnd_op_output(c, 0, c->in[0]->dtype, c->in[0]->rank, dims);
}

static nnd_status dft_plan(nnd_op_ctx *c)
{
    dft d;
    NND_TRY(read_dft(c, &d));
    return lane_bytes(c, d.length, &c->lane_bytes);
}

static nnd_status dft_run(nnd_op_ctx *c)
{
    dft d;
    NND_TRY(read_dft(c, &d));
    const nnd_tensor *x = c->in[0];
    job j = {.in_parts = (size_t)x->dims[x->rank - 1],
             .out_parts = (size_t)d.parts,
             .have = (size_t)x->dims[d.axis],
             .bins = (size_t)d.bins,
             .inner = (size_t)nnd_op_span(x, d.axis + 1, x->rank - 1),
             .hermitian = d.inverse && d.onesided};
    j.lines = j.inner * (size_t)nnd_op_span(x, 0, d.axis);
    return run_lines(c, &j, (size_t)d.length, d.inverse);
}

/* ---- STFT ----------------------------------------------------------------------------------- */

enum { SIGNAL, STEP, WINDOW, LENGTH };

typedef struct stft {
    int64_t length, step, frames, bins, parts;
} stft;

static nnd_status read_stft(const nnd_op_ctx *c, stft *s)
{
    const nnd_tensor *window = nnd_op_in(c, WINDOW), *step;
    NND_TRY(nnd_op_expect(c, SIGNAL, NND_FLOATS));
    NND_TRY(nnd_op_need(c, STEP, &step));
    const nnd_tensor *x = c->in[SIGNAL];
    /* Exporters leave the last dimension of a real signal out. */
    s->parts = x->rank == 3 ? x->dims[2] : 1;
    if (x->rank < 2 || x->rank > 3 || (s->parts != 1 && s->parts != 2))
        return nnd_op_fail(c, NND_E_SHAPE, "the signal is not [batch, length, one or two parts]");
    if (window) {
        NND_TRY(nnd_op_expect(c, WINDOW, NND_FLOATS));
        if (window->rank != 1) return nnd_op_fail(c, NND_E_SHAPE, "the window is no vector");
    }
    NND_TRY(read_scalar(c, STEP, 0, &s->step));
    NND_TRY(read_scalar(c, LENGTH, window ? window->dims[0] : x->dims[1], &s->length));
    if (window && window->dims[0] != s->length)
        return nnd_op_fail(c, NND_E_SHAPE, "the window has %lld values, a frame %lld",
                           (long long)window->dims[0], (long long)s->length);
    if (s->step < 1 || s->length < 1 || s->length > x->dims[1])
        return nnd_op_fail(c, NND_E_SHAPE,
                           "frames of %lld, %lld apart, do not fit a signal of %lld",
                           (long long)s->length, (long long)s->step, (long long)x->dims[1]);
    bool onesided = nnd_node_int(c->node, "onesided", 1) != 0;
    if (onesided && s->parts != 1)
        return nnd_op_fail(c, NND_E_SHAPE, "only a real signal has a one-sided spectrum");
    s->frames = (x->dims[1] - s->length) / s->step + 1;
    s->bins = onesided ? s->length / 2 + 1 : s->length;
    return NND_OK;
}

static nnd_status stft_infer(nnd_op_ctx *c)
{
    stft s;
    NND_TRY(read_stft(c, &s));
    int64_t dims[4] = {c->in[0]->dims[0], s.frames, s.bins, 2};
    return nnd_op_output(c, 0, c->in[0]->dtype, 4, dims);
}

static nnd_status stft_plan(nnd_op_ctx *c)
{
    stft s;
    NND_TRY(read_stft(c, &s));
    return lane_bytes(c, s.length, &c->lane_bytes);
}

static nnd_status stft_run(nnd_op_ctx *c)
{
    stft s;
    NND_TRY(read_stft(c, &s));
    const nnd_tensor *x = c->in[0];
    job j = {.window = nnd_op_in(c, WINDOW),
             .in_parts = (size_t)s.parts,
             .out_parts = 2,
             .have = (size_t)s.length,
             .bins = (size_t)s.bins,
             .frames = (size_t)s.frames,
             .hop = (size_t)s.step,
             .all = (size_t)x->dims[1]};
    j.lines = (size_t)(x->dims[0] * s.frames);
    return run_lines(c, &j, (size_t)s.length, false);
}

static const nnd_op ops[] = {
    {"", "DFT", 17, 0, 1, 3, 1, 1, 0, dft_infer, dft_run, .plan = dft_plan},
    {"", "STFT", 17, 0, 2, 4, 1, 1, 0, stft_infer, stft_run, .plan = stft_plan},
};
const nnd_op_family nnd_ops_fourier = {ops, NND_COUNT(ops)};
