#include "infer/difference.h"

#include "base/str.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Sums over all elements of a value, lists included. */
typedef struct sums {
    double aa, bb, ab, dd;
    double worst; /* how far the worst element is beyond its tolerance */
    nnd_tolerance tolerance;
} sums;

static void refuse(nnd_difference *d, const char *a, const char *b)
{
    d->comparable = false;
    snprintf(d->reason, sizeof d->reason, "%.70s and %.70s", a, b);
}

/* ---- elements ---------------------------------------------------------------------------- */

static void note(nnd_difference *d, sums *s, double excess, double a, double b)
{
    if (d->at >= 0 && !(excess > s->worst)) return;
    s->worst = excess;
    d->at = (int64_t)d->count;
    d->a = a;
    d->b = b;
}

static void add_number(nnd_difference *d, sums *s, double a, double b)
{
    if (isfinite(a) && isfinite(b)) {
        double gap = fabs(a - b), larger = fmax(fabs(a), fabs(b));
        double excess = gap - (s->tolerance.atol + s->tolerance.rtol * fabs(b));
        s->aa += a * a;
        s->bb += b * b;
        s->ab += a * b;
        s->dd += gap * gap;
        if (gap > 0) note(d, s, excess, a, b);
        d->max_abs = fmax(d->max_abs, gap);
        if (gap > 0) d->max_rel = fmax(d->max_rel, gap / larger);
        d->differing += excess > 0;
    } else if (!(a == b || (isnan(a) && isnan(b)))) {
        note(d, s, INFINITY, a, b);
        d->differing++;
    }
    d->count++;
}

/* Position of a row-major index in a tensor, which may have strides. */
static size_t position(const nnd_tensor *t, size_t index)
{
    int64_t at = 0;
    for (int i = t->rank - 1; i >= 0; i--) {
        at += (int64_t)(index % (size_t)t->dims[i]) * t->strides[i];
        index /= (size_t)t->dims[i];
    }
    return (size_t)at;
}

static bool equal_strings(const nnd_tensor *a, const nnd_tensor *b, size_t i)
{
    const nnd_string *x = (const nnd_string *)a->data + i, *y = (const nnd_string *)b->data + i;
    return x->size == y->size && (x->size == 0 || memcmp(x->text, y->text, x->size) == 0);
}

/* Real and imaginary parts are numbers of their own. */
static nnd_dtype part_of(nnd_dtype dtype)
{
    return dtype == NND_C64 ? NND_F32 : dtype == NND_C128 ? NND_F64 : dtype;
}

static void add_elements(nnd_difference *d, sums *s, const nnd_tensor *a, const nnd_tensor *b)
{
    size_t n = (size_t)nnd_tensor_count(a);
    bool dense = nnd_tensor_is_dense(a) && nnd_tensor_is_dense(b);
    size_t parts = part_of(a->dtype) == a->dtype ? 1 : 2;
    for (size_t i = 0; i < n; i++) {
        size_t x = dense ? i : position(a, i), y = dense ? i : position(b, i);
        if (a->dtype == NND_STRING) {
            double other = equal_strings(a, b, i) ? 0 : NAN;
            add_number(d, s, 0, other);
            continue;
        }
        for (size_t k = 0; k < parts; k++)
            add_number(d, s, nnd_dtype_get(part_of(a->dtype), a->data, x * parts + k),
                       nnd_dtype_get(part_of(b->dtype), b->data, y * parts + k));
    }
}

/* ---- values ------------------------------------------------------------------------------ */

static bool on_host(const nnd_value *value, const nnd_tensor *t)
{
    nnd_buffer *buffer = nnd_value_buffer(value);
    if (buffer && nnd_buffer_wait(buffer, NULL) != NND_OK) return false;
    return t->data || nnd_tensor_count(t) == 0;
}

static void add_tensors(nnd_difference *d, sums *s, const nnd_value *va, const nnd_value *vb)
{
    const nnd_tensor *a = nnd_value_tensor(va), *b = nnd_value_tensor(vb);
    char left[128], right[128];
    bool same = a->dtype == b->dtype && a->rank == b->rank;
    for (int i = 0; same && i < a->rank; i++)
        same = a->dims[i] == b->dims[i];
    if (!same)
        refuse(d, nnd_tensor_describe(a, left, sizeof left),
               nnd_tensor_describe(b, right, sizeof right));
    else if (!on_host(va, a) || !on_host(vb, b))
        refuse(d, "elements in the memory of a device", "the host");
    else
        add_elements(d, s, a, b);
}

static void add_values(nnd_difference *d, sums *s, const nnd_value *a, const nnd_value *b);

static void add_records(nnd_difference *d, sums *s, const nnd_value *a, const nnd_value *b)
{
    if (nnd_value_record_count(a) != nnd_value_record_count(b))
        refuse(d, "a record", "a record of another size");
    for (size_t i = 0; i < nnd_value_record_count(a) && d->comparable; i++) {
        const nnd_value *other = nnd_value_record_get(b, nnd_value_record_name(a, i));
        if (other)
            add_values(d, s, nnd_value_record_at(a, i), other);
        else
            refuse(d, nnd_value_record_name(a, i), "a record without it");
    }
}

static void add_values(nnd_difference *d, sums *s, const nnd_value *a, const nnd_value *b)
{
    bool lists = nnd_value_is(a, "list") && nnd_value_is(b, "list");
    if (!d->comparable) return;
    if (nnd_value_tensor(a) && nnd_value_tensor(b)) {
        add_tensors(d, s, a, b);
    } else if (lists && nnd_value_list_count(a) == nnd_value_list_count(b)) {
        for (size_t i = 0; i < nnd_value_list_count(a); i++)
            add_values(d, s, nnd_value_list_at(a, i), nnd_value_list_at(b, i));
    } else if (nnd_value_is(a, "record") && nnd_value_is(b, "record")) {
        add_records(d, s, a, b);
    } else if (nnd_value_is(a, "gap") && nnd_value_is(b, "gap")) {
        return; /* two optionals, both empty */
    } else {
        refuse(d, lists ? "a list" : nnd_value_type_name(a),
               lists ? "a list of another length" : nnd_value_type_name(b));
    }
}

void nnd_difference_of(const nnd_value *a, const nnd_value *b, nnd_tolerance tolerance,
                       nnd_difference *out)
{
    sums s = {.tolerance = tolerance};
    *out = (nnd_difference){.comparable = true, .at = -1};
    if (a && b)
        add_values(out, &s, a, b);
    else if (a || b)
        refuse(out, a ? "a value" : "nothing", b ? "a value" : "nothing");
    out->relative = s.dd > 0 ? sqrt(s.dd) / sqrt(s.bb) : 0;
    out->cosine = s.aa > 0 && s.bb > 0 ? s.ab / (sqrt(s.aa) * sqrt(s.bb)) : s.aa == s.bb;
}

bool nnd_difference_is_none(const nnd_difference *d)
{
    return d->comparable && d->differing == 0;
}
