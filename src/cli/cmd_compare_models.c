/* compare-models: one model on two backends, or two files of one model. */
#include "cli/model_inputs.h"

#include "infer/compare.h"

#include <math.h>
#include <string.h>

typedef struct comparison {
    cli *c;
    nnd_cancel *cancel;
    char *paths[2];
    char *specs[2]; /* "builtin" and "passes=0" of "builtin:passes=0", cut at the colon */
    const char *backends[2], *configs[2];
    nnd_model *models[2];
    nnd_request *requests[2];
    cli_model_inputs inputs;
    nnd_tolerance tolerance;
    nnd_difference *outputs; /* per output of the first model */
    bool equal;
    nnd_divergence divergence;
} comparison;

/* ---- what is compared -------------------------------------------------------------------- */

static nnd_status take_spec(comparison *m, int which, const char *text, size_t size)
{
    m->specs[which] = nnd_strdup_n(text, size);
    if (!m->specs[which]) return cli_no_memory();
    char *colon = strchr(m->specs[which], ':');
    if (colon) *colon = '\0';
    m->backends[which] = m->specs[which];
    m->configs[which] = colon ? colon + 1 : NULL;
    return NND_OK;
}

/* "A,B"; one name counts for both when there are two files. */
static int read_backends(comparison *m)
{
    const char *text = cli_text(m->c, "backends", NULL);
    if (!text && cli_operand(m->c, 1)) text = "auto";
    if (!text)
        return cli_usage(m->c, "name two backends, --backends builtin,onnxruntime, or two files");
    size_t first = strcspn(text, ",");
    const char *second = text[first] ? text + first + 1 : text;
    size_t size = strlen(second);
    if (second == text && !cli_operand(m->c, 1))
        return cli_usage(m->c, "option '--backends': one file needs two of them, A,B");
    if (!first || !size || (second != text && strchr(second, ',')))
        return cli_usage(m->c, "option '--backends': '%s' should be A,B", text);
    nnd_status status = take_spec(m, 0, text, first);
    if (status == NND_OK) status = take_spec(m, 1, second, size);
    return status == NND_OK ? CLI_OK : cli_fail(m->c, status, NULL);
}

static nnd_status load_side(comparison *m, int which)
{
    nnd_model_options options = NND_MODEL_OPTIONS_INIT;
    NND_TRY(cli_model_find(m->c, cli_operand(m->c, 1) ? (size_t)which : 0, m->backends[which],
                           &m->paths[which]));
    options.backend = m->backends[which];
    options.config = m->configs[which];
    options.threads = (int)cli_int(m->c, "threads", 0);
    options.cancel = m->cancel;
    cli_watch_progress("loading", which, 2);
    return nnd_model_load(m->paths[which], &options, &m->models[which]);
}

static nnd_status run_side(comparison *m, int which)
{
    cli_watch_progress("running", which, 2);
    m->c->running = false; /* an input that does not fit is no failure of the run */
    NND_TRY(nnd_request_create(m->models[which], NULL, &m->requests[which]));
    NND_TRY(nnd_compare_bind(m->requests[which], m->models[which], m->inputs.names,
                             m->inputs.values, m->inputs.count));
    m->c->running = true;
    return nnd_request_run(m->requests[which], m->cancel);
}

static int prepare(comparison *m)
{
    cli *c = m->c;
    m->tolerance = NND_TOLERANCE_DEFAULT;
    m->tolerance.rtol = cli_number(c, "rtol", m->tolerance.rtol);
    m->tolerance.atol = cli_number(c, "atol", m->tolerance.atol);
    int code = read_backends(m);
    if (code != CLI_OK) return code;
    nnd_status status = cli_watch_begin(c, &m->cancel);
    if (status == NND_OK) status = load_side(m, 0);
    if (status == NND_OK) status = load_side(m, 1);
    if (status != NND_OK) return cli_fail_work(c, status);
    code = cli_model_inputs_init(c, m->models[0], &m->inputs);
    if (code != CLI_OK) return code;
    status = cli_model_inputs_random(m->models[0], &m->inputs, (uint64_t)cli_int(c, "seed", 0));
    return status == NND_OK ? CLI_OK : cli_fail_work(c, status);
}

/* ---- comparing --------------------------------------------------------------------------- */

/* The second model's name of an output: the same, else what stands at the same place. */
static const char *output_name(const comparison *m, size_t index)
{
    const char *name = nnd_model_output(m->models[0], index)->name;
    size_t count = nnd_model_output_count(m->models[1]);
    for (size_t i = 0; i < count; i++)
        if (strcmp(nnd_model_output(m->models[1], i)->name, name) == 0) return name;
    bool paired = count == nnd_model_output_count(m->models[0]);
    return paired ? nnd_model_output(m->models[1], index)->name : NULL;
}

static nnd_status compare_outputs(comparison *m)
{
    size_t count = nnd_model_output_count(m->models[0]);
    m->outputs = nnd_calloc(count + 1, sizeof *m->outputs);
    if (!m->outputs) return cli_no_memory();
    m->equal = true;
    for (size_t i = 0; i < count; i++) {
        nnd_value *a = NULL, *b = NULL;
        const char *other = output_name(m, i);
        nnd_status status =
            nnd_request_output(m->requests[0], nnd_model_output(m->models[0], i)->name, &a);
        if (status == NND_OK && other) status = nnd_request_output(m->requests[1], other, &b);
        nnd_difference_of(a, b, m->tolerance, &m->outputs[i]);
        nnd_value_unref(a);
        nnd_value_unref(b);
        NND_TRY(status);
        if (!nnd_difference_is_none(&m->outputs[i])) m->equal = false;
    }
    return NND_OK;
}

static void on_progress(void *user, size_t done, size_t total)
{
    (void)user;
    cli_watch_progress("searching", (double)done, (double)total);
}

static nnd_status locate(comparison *m)
{
    nnd_compare_options options = {
        .input_count = m->inputs.count,
        .input_names = m->inputs.names,
        .inputs = m->inputs.values,
        .tolerance = m->tolerance,
        .threads = (int)cli_int(m->c, "threads", 0),
        .window = (size_t)cli_int(m->c, "window", 64),
        .cancel = m->cancel,
        .progress = on_progress,
    };
    for (int i = 0; i < 2; i++)
        options.sides[i] =
            (nnd_compare_side){m->paths[i], nnd_model_backend(m->models[i]), m->configs[i]};
    return nnd_compare_locate(&options, &m->divergence);
}

/* ---- telling ----------------------------------------------------------------------------- */

static void print_outputs(const comparison *m)
{
    static const char *const heads[] = {"OUTPUT", "max abs", "max rel", "cosine", "differing", ""};
    cli_table table = {.columns = 6, .right = 0x1eu};
    for (size_t i = 0; i < NND_COUNT(heads); i++)
        cli_table_add(&table, heads[i]);
    for (size_t i = 0; i < nnd_model_output_count(m->models[0]); i++) {
        const nnd_difference *d = &m->outputs[i];
        cli_table_add(&table, nnd_model_output(m->models[0], i)->name);
        if (!d->comparable) {
            for (int k = 0; k < 4; k++)
                cli_table_add(&table, "-");
            cli_table_add(&table, d->reason);
            continue;
        }
        cli_table_addf(&table, "%.3g", d->max_abs);
        cli_table_addf(&table, "%.3g", d->max_rel);
        cli_table_addf(&table, "%.9f", d->cosine);
        cli_table_addf(&table, "%llu of %llu", (unsigned long long)d->differing,
                       (unsigned long long)d->count);
        cli_table_add(&table, d->differing ? "differs" : "equal");
    }
    cli_table_print(&table, "");
}

static void print_divergence(const nnd_divergence *d)
{
    const nnd_difference *v = &d->difference;
    if (!d->found) {
        printf("\nno first operator: %s\n", d->reason);
        return;
    }
    printf("\nfirst operator that differs: %s", d->op);
    if (d->node[0]) printf(" '%s'", d->node);
    printf(", tensor '%s'\n", d->tensor);
    if (!v->comparable) {
        printf("  %s\n", v->reason);
    } else {
        printf("  max abs %.3g, max rel %.3g, cosine %.9f, %llu of %llu elements differ\n",
               v->max_abs, v->max_rel, v->cosine, (unsigned long long)v->differing,
               (unsigned long long)v->count);
        printf("  worst at element %lld: %.9g and %.9g\n", (long long)v->at, v->a, v->b);
    }
    printf("  looked at %zu of %zu tensors between operators", d->looked_at, d->tensors);
    if (d->unreadable) printf(", %zu could not be read", d->unreadable);
    putchar('\n');
}

static void put_difference(nnd_json_writer *w, const nnd_difference *d)
{
    cli_json_bool(w, "equal", nnd_difference_is_none(d));
    cli_json_text(w, "reason", d->reason);
    cli_json_int(w, "count", (int64_t)d->count);
    cli_json_int(w, "differing", (int64_t)d->differing);
    cli_json_number(w, "max_abs", d->max_abs);
    cli_json_number(w, "max_rel", d->max_rel);
    cli_json_number(w, "cosine", d->cosine);
    cli_json_int(w, "at", d->at);
    cli_json_number(w, "a", d->a);
    cli_json_number(w, "b", d->b);
}

static void put_sides(const comparison *m, nnd_json_writer *w)
{
    nnd_json_key(w, "sides");
    nnd_json_begin_array(w);
    for (int i = 0; i < 2; i++) {
        nnd_json_begin_object(w);
        cli_json_text(w, "model", m->paths[i]);
        cli_json_text(w, "backend", nnd_model_backend(m->models[i]));
        cli_json_text(w, "config", m->configs[i] ? m->configs[i] : "");
        nnd_json_end_object(w);
    }
    nnd_json_end_array(w);
}

static void put_divergence(const comparison *m, nnd_json_writer *w)
{
    const nnd_divergence *d = &m->divergence;
    nnd_json_key(w, "first_divergent");
    if (d->found) {
        nnd_json_begin_object(w);
        cli_json_text(w, "op", d->op);
        cli_json_text(w, "node", d->node);
        cli_json_text(w, "tensor", d->tensor);
        put_difference(w, &d->difference);
        nnd_json_end_object(w);
    } else {
        nnd_json_put_null(w);
    }
    if (m->equal) return;
    nnd_json_key(w, "search");
    nnd_json_begin_object(w);
    cli_json_int(w, "tensors", (int64_t)d->tensors);
    cli_json_int(w, "looked_at", (int64_t)d->looked_at);
    cli_json_int(w, "unreadable", (int64_t)d->unreadable);
    cli_json_text(w, "reason", d->reason);
    nnd_json_end_object(w);
}

static int comparison_json(const comparison *m, int code)
{
    nnd_json_writer *w = cli_json_begin(m->c, "compare-models");
    if (!w) return cli_fail(m->c, NND_E_OUT_OF_MEMORY, NULL);
    cli_json_bool(w, "equal", m->equal);
    put_sides(m, w);
    cli_json_number(w, "rtol", m->tolerance.rtol);
    cli_json_number(w, "atol", m->tolerance.atol);
    nnd_json_key(w, "outputs");
    nnd_json_begin_array(w);
    for (size_t i = 0; i < nnd_model_output_count(m->models[0]); i++) {
        nnd_json_begin_object(w);
        cli_json_text(w, "name", nnd_model_output(m->models[0], i)->name);
        put_difference(w, &m->outputs[i]);
        nnd_json_end_object(w);
    }
    nnd_json_end_array(w);
    put_divergence(m, w);
    return cli_json_end(m->c, code);
}

static int compare(comparison *m)
{
    int code = prepare(m);
    if (code != CLI_OK) return code;
    nnd_status status = run_side(m, 0);
    if (status == NND_OK) status = run_side(m, 1);
    if (status == NND_OK) status = compare_outputs(m);
    if (status == NND_OK && !m->equal) status = locate(m);
    cli_watch_end();
    if (status != NND_OK) return cli_fail_work(m->c, status);
    code = m->equal ? CLI_OK : CLI_FAILED;
    if (m->c->json) return comparison_json(m, code);
    for (int i = 0; i < 2; i++)
        printf("%c  %s on %s%s%s\n", "ab"[i], m -> paths[i], nnd_model_backend(m->models[i]),
               m -> configs[i] ? ", " : "", m->configs[i] ? m->configs[i] : "");
    putchar('\n');
    print_outputs(m);
    if (!m->equal) print_divergence(&m->divergence);
    return code;
}

int cli_run_compare_models(cli *c)
{
    comparison m = {.c = c};
    int code = compare(&m);
    cli_watch_end();
    nnd_divergence_fini(&m.divergence);
    nnd_free(m.outputs);
    cli_model_inputs_fini(&m.inputs);
    for (int i = 0; i < 2; i++) {
        nnd_request_destroy(m.requests[i]);
        nnd_model_unref(m.models[i]);
        nnd_free(m.paths[i]);
        nnd_free(m.specs[i]);
    }
    return code;
}
