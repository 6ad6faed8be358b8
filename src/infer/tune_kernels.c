/*
 * Measuring kernels of the built-in engine inside of the model: it is loaded once with the engine's
 * own choices and once per kernel, with that kernel in every node that can take it. All of them run
 * in turns under the profiler; what counts is the shortest time of each node, summed over the nodes
 * of a shape.
 */
#include "infer/tuning.h"

#include "base/str.h"
#include "infer/compare.h"
#include "infer/infer.h"

#include <math.h>
#include <string.h>

#define CLEARLY 0.9               /* of the time of the engine's own choice */
#define TURN    INT64_C(30000000) /* ns of one variant's turn */
enum { MAX_VARIANTS = 8, LEAST_TURNS = 3, MOST_TURNS = 100 };

/* The model with one way of choosing kernels; the first is the engine's own. */
typedef struct variant {
    const char *kernels; /* "own", "winograd" */
    nnd_model *model;
    nnd_request *request;
    nnd_json_doc *steps;  /* the profile after the first run */
    size_t runs;          /* under the profiler */
    double *total, *best; /* ms per step: of all runs so far, and the least mean of a turn */
} variant;

typedef struct comparison {
    const nnd_tune_options *o;
    int threads;
    int64_t end;
    size_t count, step_count;
    variant variants[MAX_VARIANTS];
} comparison;

static nnd_status no_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for tuning");
}

static bool ends_tuning(nnd_status status)
{
    return status == NND_E_CANCELLED || status == NND_E_TIMEOUT || status == NND_E_OUT_OF_MEMORY;
}

/* ---- one variant ----------------------------------------------------------------------------- */

static void variant_close(variant *v)
{
    nnd_request_destroy(v->request);
    nnd_model_unref(v->model);
    nnd_json_destroy(v->steps);
    nnd_free(v->total);
    nnd_free(v->best);
    *v = (variant){0};
}

static nnd_status read_profile(const variant *v, nnd_json_doc **out)
{
    nnd_json_writer *w = NULL;
    char *text = NULL;
    size_t size = 0;
    NND_TRY(nnd_json_writer_create(0, &w));
    nnd_status status = nnd_request_profile(v->request, w);
    if (status == NND_OK) status = nnd_json_writer_take(w, &text, &size);
    nnd_json_writer_destroy(w);
    if (status == NND_OK) status = nnd_json_parse(text, size, NULL, out);
    nnd_free(text);
    return status;
}

/* Runs, and notes what each step has taken since the profile was read last. */
static nnd_status measure(const comparison *c, variant *v, size_t least, int64_t until)
{
    nnd_json_doc *doc = NULL;
    size_t runs = 0;
    do {
        NND_TRY(nnd_request_run(v->request, c->o->cancel));
        runs++;
    } while (runs < least || nnd_clock_now() < until);
    NND_TRY(read_profile(v, &doc));
    v->runs += runs;
    for (size_t i = 0; i < c->step_count; i++) {
        const nnd_json *step = nnd_json_at(nnd_json_root(doc), i);
        double total = nnd_json_number(nnd_json_get(step, "ms"), 0) * (double)v->runs;
        v->best[i] = fmin(v->best[i], (total - v->total[i]) / (double)runs);
        v->total[i] = total;
    }
    nnd_json_destroy(doc);
    return NND_OK;
}

static const char *text_of(const variant *v, size_t step, const char *key)
{
    return nnd_json_string(nnd_json_get(nnd_json_at(nnd_json_root(v->steps), step), key), "");
}

/* Loads, and runs once: that one does not count. */
static nnd_status variant_open(comparison *c, variant *v, const char *kernels)
{
    nnd_model_options options = NND_MODEL_OPTIONS_INIT;
    nnd_request_options request = NND_REQUEST_OPTIONS_INIT;
    char *config = nnd_strf("kernels=\"%s\"", kernels); /* plug-ins name theirs as they like */
    if (!config) return no_memory();
    options.backend = nnd_backend_builtin.name;
    options.config = config;
    options.threads = c->threads;
    options.cancel = c->o->cancel;
    request.profile = true;
    v->kernels = kernels;
    nnd_status status = nnd_model_load(c->o->path, &options, &v->model);
    nnd_free(config);
    NND_TRY(status);
    NND_TRY(nnd_request_create(v->model, &request, &v->request));
    NND_TRY(
        nnd_compare_bind(v->request, v->model, c->o->input_names, c->o->inputs, c->o->input_count));
    NND_TRY(nnd_request_run(v->request, c->o->cancel));
    NND_TRY(read_profile(v, &v->steps));
    v->runs = 1;
    size_t count = nnd_json_count(nnd_json_root(v->steps));
    if (c->count == 0) c->step_count = count;
    v->total = nnd_calloc(c->step_count + 1, sizeof *v->total);
    v->best = nnd_calloc(c->step_count + 1, sizeof *v->best);
    if (!v->total || !v->best) return no_memory();
    for (size_t i = 0; i < c->step_count; i++) {
        const nnd_json *step = nnd_json_at(nnd_json_root(v->steps), i);
        v->total[i] = nnd_json_number(nnd_json_get(step, "ms"), 0);
        v->best[i] = INFINITY;
    }
    return NND_OK;
}

/* ---- which variants there are ---------------------------------------------------------------- */

/* Whether the outputs are those of the engine's own choices, within the tolerance. */
static nnd_status agrees(const comparison *c, const variant *v, bool *out)
{
    static const nnd_tolerance anything_finite = {0, 1e300};
    *out = true;
    for (size_t i = 0; i < nnd_model_output_count(v->model) && *out; i++) {
        const char *name = nnd_model_output(v->model, i)->name;
        nnd_value *ours = NULL, *other = NULL;
        nnd_difference d;
        nnd_status status = nnd_request_output(c->variants[0].request, name, &ours);
        if (status == NND_OK) status = nnd_request_output(v->request, name, &other);
        if (status == NND_OK) nnd_difference_of(other, ours, anything_finite, &d);
        nnd_value_unref(ours);
        nnd_value_unref(other);
        NND_TRY(status);
        *out = nnd_difference_is_none(&d) && (d.max_abs <= 1e-6 || d.relative <= c->o->tolerance);
    }
    return NND_OK;
}

/* Whether a step is computed by what the variant stands for: "engine" is none of those kernels that
   stand beside it. */
static bool took(const variant *v, size_t step)
{
    const nnd_json *names = nnd_json_get(nnd_json_at(nnd_json_root(v->steps), step), "kernels");
    const char *kernel = text_of(v, step, "kernel");
    bool offered = false, other = false;
    for (size_t i = 0; i < nnd_json_count(names); i++) {
        const char *name = nnd_json_string(nnd_json_at(names, i), "");
        offered = offered || strcmp(name, v->kernels) == 0;
        other = other || strcmp(name, kernel) == 0;
    }
    return strcmp(kernel, v->kernels) == 0 ||
           (offered && !other && strcmp(v->kernels, "engine") == 0);
}

/* The same steps as the engine's own, and another kernel in one of them. */
static bool is_different(const comparison *c, const variant *v)
{
    bool other = false;
    if (nnd_json_count(nnd_json_root(v->steps)) != c->step_count) return false;
    for (size_t i = 0; i < c->step_count; i++)
        other =
            other || strcmp(text_of(v, i, "kernel"), text_of(&c->variants[0], i, "kernel")) != 0;
    return other;
}

static nnd_status add_variant(comparison *c, const char *kernels)
{
    variant *v = &c->variants[c->count];
    bool good = false;
    nnd_status status = variant_open(c, v, kernels);
    if (status == NND_OK && is_different(c, v)) status = agrees(c, v, &good);
    if (status == NND_OK && good) {
        c->count++;
        return NND_OK;
    }
    variant_close(v);
    if (status == NND_OK || ends_tuning(status)) return status;
    nnd_error_clear(); /* a kernel that fails is none to choose */
    return NND_OK;
}

/* Every kernel that some node could take. */
static nnd_status add_variants(comparison *c)
{
    const char *tried[MAX_VARIANTS];
    size_t count = 0;
    for (size_t i = 0; i < c->step_count; i++) {
        const nnd_json *step = nnd_json_at(nnd_json_root(c->variants[0].steps), i);
        const nnd_json *kernels = nnd_json_get(step, "kernels");
        for (size_t k = 0; k < nnd_json_count(kernels); k++) {
            const char *name = nnd_json_string(nnd_json_at(kernels, k), "");
            size_t at = 0;
            while (at < count && strcmp(tried[at], name) != 0)
                at++;
            if (at < count || count == MAX_VARIANTS - 1) continue;
            tried[count++] = name;
            NND_TRY(add_variant(c, name));
        }
    }
    return NND_OK;
}

/* ---- comparing ------------------------------------------------------------------------------- */

static nnd_status take_turns(comparison *c)
{
    for (size_t turn = 0; turn < MOST_TURNS; turn++) {
        if (turn >= LEAST_TURNS && nnd_clock_now() >= c->end) break;
        for (size_t i = 0; i < c->count; i++)
            NND_TRY(measure(c, &c->variants[i], 2, nnd_clock_now() + TURN));
    }
    return NND_OK;
}

/* What all nodes of a shape take together. */
static double time_of(const comparison *c, const variant *v, const char *shape)
{
    double sum = 0;
    for (size_t i = 0; i < c->step_count; i++)
        if (strcmp(text_of(v, i, "kernel_shape"), shape) == 0) sum += v->best[i];
    return sum;
}

static bool is_first_of_shape(const comparison *c, size_t step)
{
    const char *shape = text_of(&c->variants[0], step, "kernel_shape");
    if (!shape[0]) return false;
    for (size_t i = 0; i < step; i++)
        if (strcmp(text_of(&c->variants[0], i, "kernel_shape"), shape) == 0) return false;
    return true;
}

static nnd_status keep(nnd_arena *arena, nnd_tuning_entry *entry, nnd_tuning_kernel kernel)
{
    kernel.op = nnd_arena_strdup(arena, kernel.op);
    kernel.shape = nnd_arena_strdup(arena, kernel.shape);
    kernel.kernel = nnd_arena_strdup(arena, kernel.kernel);
    kernel.instead_of = nnd_arena_strdup(arena, kernel.instead_of);
    if (!kernel.op || !kernel.shape || !kernel.kernel || !kernel.instead_of) return no_memory();
    return nnd_vec_push(&entry->kernels, kernel) ? NND_OK : no_memory();
}

static nnd_status choose(const comparison *c, size_t step, nnd_arena *arena,
                         nnd_tuning_entry *entry)
{
    const variant *own = &c->variants[0], *winner = own;
    const char *shape = text_of(own, step, "kernel_shape");
    double own_ms = time_of(c, own, shape), best = own_ms * CLEARLY;
    for (size_t i = 1; i < c->count; i++) {
        const variant *v = &c->variants[i];
        double ms = time_of(c, v, shape);
        if (!took(v, step) || !(ms < best)) continue;
        best = ms;
        winner = v;
    }
    if (winner == own || strcmp(winner->kernels, text_of(own, step, "kernel")) == 0) return NND_OK;
    return keep(arena, entry,
                (nnd_tuning_kernel){.op = text_of(own, step, "op"),
                                    .shape = shape,
                                    .kernel = winner->kernels,
                                    .instead_of = text_of(own, step, "kernel"),
                                    .ms = best,
                                    .instead_of_ms = own_ms});
}

static nnd_status compare(comparison *c, nnd_arena *arena, nnd_tuning_entry *entry)
{
    NND_TRY(variant_open(c, &c->variants[0], "own"));
    c->count = 1;
    NND_TRY(add_variants(c));
    if (c->count > 1) NND_TRY(take_turns(c));
    for (size_t i = 0; i < c->step_count && c->count > 1; i++)
        if (is_first_of_shape(c, i)) NND_TRY(choose(c, i, arena, entry));
    entry->has_kernels = true;
    return NND_OK;
}

nnd_status nnd_tune_kernels(const nnd_tune_options *options, int threads, int64_t end,
                            nnd_arena *arena, nnd_tuning_entry *entry)
{
    comparison c = {.o = options, .threads = threads, .end = end};
    if (nnd_clock_now() >= end) return NND_OK;
    nnd_status status = compare(&c, arena, entry);
    for (size_t i = 0; i < MAX_VARIANTS; i++)
        variant_close(&c.variants[i]);
    if (status == NND_OK || ends_tuning(status)) return status;
    nnd_error_clear();
    return NND_OK;
}
