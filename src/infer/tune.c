/*
 * Measuring what runs a model fastest. First every candidate gets a share of the time; then those
 * that are near the best run in turns, so that a machine that becomes slower or faster meanwhile
 * does so for all of them.
 */
#include "infer/tuning.h"

#include "base/map.h"
#include "base/port_status.h"
#include "base/str.h"
#include "infer/compare.h"
#include "infer/infer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEAR_THE_BEST 1.25              /* who gets into the final */
#define AS_GOOD       1.03              /* differences below this are noise */
#define FIRST_SHARE   0.5               /* of the time, for the first look at everybody */
#define BATCH         INT64_C(50000000) /* ns of one candidate's turn in the final */
#define KERNEL_SHARE  0.3               /* of the time, for kernels, where there is a choice */
enum { MAX_FINALISTS = 4, MAX_RUNS = 500, LEAST_TURNS = 3 };

typedef NND_VEC(int64_t) sample_list;

typedef struct tuner {
    const nnd_tune_options *o;
    nnd_tuning *tuning;
    nnd_tuning_entry *entry;
    char *real, *folder; /* of the model */
    nnd_map opened;      /* names of its further files */
    /* What the reference gave, per output. */
    bool has_reference;
    NND_VEC(nnd_value *) reference;
    NND_VEC(char *) outputs;
    int64_t end;
} tuner;

/* A candidate that is loaded. */
typedef struct runner {
    nnd_model *model;
    nnd_request *request;
    sample_list samples;
} runner;

static nnd_status no_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for tuning");
}

static nnd_status keep_text(tuner *t, const char *text, const char **out)
{
    *out = nnd_arena_strdup(&t->tuning->arena, text);
    return *out ? NND_OK : no_memory();
}

static void say(const tuner *t, const char *text, size_t done)
{
    if (t->o->progress)
        t->o->progress(t->o->user, text, (double)done, (double)t->entry->trials.count);
}

/* ---- candidates -------------------------------------------------------------------------- */

static nnd_status add_trials(tuner *t, const nnd_backend *backend, const char *precision,
                             const char *config)
{
    nnd_backend_status probe = {.size = sizeof probe};
    nnd_tuning_trial trial = {.backend = backend->name, .reason = ""};
    backend->probe(&probe);
    NND_TRY(keep_text(t, probe.version, &trial.version));
    NND_TRY(keep_text(t, precision, &trial.precision));
    NND_TRY(keep_text(t, config, &trial.config));
    for (size_t i = 0; i < t->o->thread_count; i++) {
        trial.threads = t->o->threads[i];
        if (!nnd_vec_push(&t->entry->trials, trial)) return no_memory();
    }
    int most = nnd_sched_threads();
    for (int n = 1; !t->o->thread_count && n <= most; n = n < most && 2 * n > most ? most : 2 * n) {
        trial.threads = n;
        if (!nnd_vec_push(&t->entry->trials, trial)) return no_memory();
    }
    return NND_OK;
}

/* In the model's own precision, then in those that the backend offers. */
static nnd_status add_backend(tuner *t, const nnd_backend *backend)
{
    const char *list = nnd_backend_precisions(backend);
    NND_TRY(add_trials(t, backend, "", ""));
    while (*list) {
        char word[16];
        size_t n = strcspn(list, " ");
        snprintf(word, sizeof word, "%.*s", (int)n, list);
        if (n) NND_TRY(add_trials(t, backend, word, ""));
        list += n;
        list += strspn(list, " ");
    }
    return NND_OK;
}

/* "openvino" or "builtin:passes=none". */
static nnd_status add_named(tuner *t, const char *spec)
{
    const char *colon = strchr(spec, ':');
    char *name = nnd_strdup_n(spec, colon ? (size_t)(colon - spec) : strlen(spec));
    const nnd_backend *backend = nnd_backend_find(name);
    nnd_backend_status probe = {.size = sizeof probe};
    nnd_status status = name ? NND_OK : no_memory();
    if (backend) backend->probe(&probe);
    if (name && !backend)
        status = nnd_error_set(NND_E_NOT_FOUND,
                               "there is no backend '%s'; 'nndeploy backends' "
                               "lists them",
                               name);
    else if (backend && !probe.available)
        status =
            nnd_error_set(NND_E_MISSING, "backend '%s' is not available: %s", name, probe.reason);
    nnd_free(name);
    NND_TRY(status);
    return colon ? add_trials(t, backend, "", colon + 1) : add_backend(t, backend);
}

static nnd_status list_candidates(tuner *t)
{
    for (size_t i = 0; i < t->o->backend_count; i++)
        NND_TRY(add_named(t, t->o->backends[i]));
    for (size_t i = 0; !t->o->backend_count && nnd_backend_at(i); i++) {
        const nnd_backend *backend = nnd_backend_at(i);
        nnd_backend_status probe = {.size = sizeof probe};
        if (!nnd_backend_reads(backend, t->o->path)) continue;
        backend->probe(&probe);
        if (probe.available) NND_TRY(add_backend(t, backend));
    }
    if (t->entry->trials.count) return NND_OK;
    return nnd_error_set(NND_E_UNSUPPORTED, "no backend that is available here reads '%s'",
                         t->o->path);
}

/* ---- loading and comparing --------------------------------------------------------------- */

/* Opens a file beside the model and remembers that it is part of it. */
static nnd_status open_and_note(void *user, const char *name, const void **bytes, size_t *size,
                                void (**release)(void *handle), void **handle)
{
    tuner *t = user;
    NND_TRY(nnd_map_put(&t->opened, name, t, NULL));
    return nnd_model_open_beside(t->folder, name, bytes, size, release, handle);
}

/* What an earlier tuning has found about kernels must not show in this one. */
static const char *config_of(const nnd_tuning_trial *trial)
{
    if (trial->config[0]) return trial->config;
    return strcmp(trial->backend, nnd_backend_builtin.name) == 0 ? "kernels=own" : NULL;
}

static nnd_status runner_open(tuner *t, nnd_tuning_trial *trial, runner *r)
{
    nnd_model_options options = NND_MODEL_OPTIONS_INIT;
    options.backend = trial->backend;
    options.precision = trial->precision[0] ? trial->precision : NULL;
    options.config = config_of(trial);
    options.threads = (int)trial->threads;
    options.open_file = open_and_note;
    options.open_user = t;
    options.cancel = t->o->cancel;
    int64_t begin = nnd_clock_now();
    NND_TRY(nnd_model_load(t->o->path, &options, &r->model));
    trial->load_ms = (double)(nnd_clock_now() - begin) / 1e6;
    NND_TRY(nnd_request_create(r->model, NULL, &r->request));
    return nnd_compare_bind(r->request, r->model, t->o->input_names, t->o->inputs,
                            t->o->input_count);
}

static void runner_close(runner *r)
{
    nnd_request_destroy(r->request);
    nnd_model_unref(r->model);
    nnd_vec_free(&r->samples);
    *r = (runner){0};
}

static nnd_status keep_reference(tuner *t, const runner *r)
{
    for (size_t i = 0; i < nnd_model_output_count(r->model); i++) {
        const char *name = nnd_model_output(r->model, i)->name;
        nnd_value *value = NULL;
        NND_TRY(nnd_request_output(r->request, name, &value));
        if (!nnd_vec_push(&t->reference, value)) {
            nnd_value_unref(value);
            return no_memory();
        }
        char *copy = nnd_strdup(name);
        if (!copy || !nnd_vec_push(&t->outputs, copy)) {
            nnd_free(copy);
            return no_memory();
        }
    }
    t->has_reference = true;
    return NND_OK;
}

/* The output of that name, else the one at the same place; NULL with NND_OK when there is none. */
static nnd_status matching_output(const runner *r, const char *name, size_t index, size_t count,
                                  nnd_value **out)
{
    size_t here = nnd_model_output_count(r->model), at = here;
    *out = NULL;
    for (size_t i = 0; i < here && at == here; i++)
        if (strcmp(nnd_model_output(r->model, i)->name, name) == 0) at = i;
    if (at == here && here == count) at = index;
    return at < here ? nnd_request_output(r->request, nnd_model_output(r->model, at)->name, out)
                     : NND_OK;
}

/* How far the outputs are from the reference; what cannot be measured so (strings, what is not
   finite) has to be equal. */
static nnd_status check_outputs(tuner *t, const runner *r, nnd_tuning_trial *trial)
{
    static const nnd_tolerance anything_finite = {0, 1e300};
    if (!t->has_reference) NND_TRY(keep_reference(t, r));
    trial->accepted = true;
    for (size_t i = 0; i < t->reference.count; i++) {
        nnd_value *value = NULL;
        nnd_difference d;
        NND_TRY(matching_output(r, t->outputs.items[i], i, t->reference.count, &value));
        nnd_difference_of(value, t->reference.items[i], anything_finite, &d);
        nnd_value_unref(value);
        bool tiny = d.max_abs <= 1e-6;
        if (!tiny && !(d.relative <= trial->error)) trial->error = d.relative;
        if (nnd_difference_is_none(&d) && (tiny || d.relative <= t->o->tolerance)) continue;
        trial->accepted = false;
        char *reason = nnd_strf("output '%s': %s", t->outputs.items[i],
                                d.comparable ? "differs from the reference" : d.reason);
        nnd_status status = reason ? keep_text(t, reason, &trial->reason) : no_memory();
        nnd_free(reason);
        return status;
    }
    return NND_OK;
}

/* ---- measuring --------------------------------------------------------------------------- */

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void summarise(nnd_tuning_trial *trial, sample_list *samples)
{
    size_t n = samples->count;
    if (!n) return;
    qsort(samples->items, n, sizeof *samples->items, by_time);
    trial->runs = (int64_t)n;
    trial->min_ms = (double)samples->items[0] / 1e6;
    trial->median_ms = (double)(samples->items[(n - 1) / 2] + samples->items[n / 2]) / 2e6;
}

/* Runs until `until`, at least once and at most so many times. */
static nnd_status take_samples(tuner *t, runner *r, int64_t until, size_t most)
{
    for (size_t i = 0; i < most; i++) {
        int64_t begin = nnd_clock_now();
        NND_TRY(nnd_request_run(r->request, t->o->cancel));
        int64_t end = nnd_clock_now();
        if (!nnd_vec_push(&r->samples, end - begin)) return no_memory();
        if (end >= until) break;
    }
    return NND_OK;
}

static nnd_status try_one(tuner *t, nnd_tuning_trial *trial, int64_t slice)
{
    runner r = {0};
    int64_t until = nnd_clock_now() + slice;
    nnd_status status = runner_open(t, trial, &r);
    if (status == NND_OK) status = nnd_request_run(r.request, t->o->cancel);
    if (status == NND_OK) status = check_outputs(t, &r, trial);
    if (status == NND_OK && trial->accepted) status = take_samples(t, &r, until, MAX_RUNS);
    summarise(trial, &r.samples);
    runner_close(&r);
    return status;
}

static bool ends_tuning(nnd_status status)
{
    return status == NND_E_CANCELLED || status == NND_E_TIMEOUT || status == NND_E_OUT_OF_MEMORY;
}

/* A candidate that fails is no failure of tuning: its reason is part of the result. */
static nnd_status note_failure(tuner *t, nnd_tuning_trial *trial)
{
    nnd_error *error = nnd_error_take();
    trial->accepted = false;
    nnd_status status =
        keep_text(t, error ? nnd_error_message(error) : "it failed", &trial->reason);
    nnd_error_destroy(error);
    return status;
}

static nnd_status try_all(tuner *t)
{
    size_t count = t->entry->trials.count;
    int64_t begin = nnd_clock_now(),
            end = begin + (int64_t)(FIRST_SHARE * (double)(t->end - begin));
    for (size_t i = 0; i < count; i++) {
        nnd_tuning_trial *trial = &t->entry->trials.items[i];
        int64_t left = end - nnd_clock_now();
        say(t, "measuring", i);
        if (t->has_reference && nnd_clock_now() >= t->end) {
            trial->reason = "not measured: the time was up";
            continue;
        }
        nnd_status status = try_one(t, trial, left > 0 ? left / (int64_t)(count - i) : 0);
        if (ends_tuning(status)) return status;
        if (status != NND_OK) NND_TRY(note_failure(t, trial));
    }
    return NND_OK;
}

/* ---- the final --------------------------------------------------------------------------- */

static double best_median(const nnd_tuning_entry *entry)
{
    double best = INFINITY;
    for (size_t i = 0; i < entry->trials.count; i++)
        if (entry->trials.items[i].accepted) best = fmin(best, entry->trials.items[i].median_ms);
    return best;
}

/* The fastest few that are near the best, in the order of the list. */
static size_t choose_finalists(const nnd_tuning_entry *entry, size_t finalists[MAX_FINALISTS])
{
    double limit = best_median(entry) * NEAR_THE_BEST;
    size_t count = 0;
    for (size_t i = 0; i < entry->trials.count; i++) {
        const nnd_tuning_trial *trial = &entry->trials.items[i];
        size_t faster = 0;
        if (!trial->accepted || !(trial->median_ms <= limit)) continue;
        for (size_t k = 0; k < entry->trials.count; k++)
            faster += entry->trials.items[k].accepted &&
                      (entry->trials.items[k].median_ms < trial->median_ms ||
                       (k < i && !(entry->trials.items[k].median_ms > trial->median_ms)));
        if (faster < MAX_FINALISTS) finalists[count++] = i;
    }
    return count;
}

/* A run that does not count comes first in each turn: the thread pools of the one before may still
   be spinning. */
static nnd_status take_turns(tuner *t, runner *runners, size_t count)
{
    for (size_t turn = 0; turn < LEAST_TURNS || nnd_clock_now() < t->end; turn++) {
        for (size_t i = 0; i < count; i++) {
            if (turn && nnd_clock_now() >= t->end) return NND_OK;
            NND_TRY(nnd_request_run(runners[i].request, t->o->cancel));
            NND_TRY(take_samples(t, &runners[i], nnd_clock_now() + BATCH, MAX_RUNS));
        }
        if (runners[0].samples.count >= MAX_RUNS) return NND_OK;
    }
    return NND_OK;
}

static nnd_status hold_final(tuner *t)
{
    size_t finalists[MAX_FINALISTS], count = choose_finalists(t->entry, finalists);
    runner runners[MAX_FINALISTS] = {{0}};
    nnd_status status = NND_OK;
    if (count < 2 || nnd_clock_now() >= t->end) return NND_OK;
    say(t, "comparing the best", t->entry->trials.count);
    for (size_t i = 0; i < count && status == NND_OK; i++)
        status = runner_open(t, &t->entry->trials.items[finalists[i]], &runners[i]);
    if (status == NND_OK) status = take_turns(t, runners, count);
    for (size_t i = 0; i < count; i++) {
        if (status == NND_OK) summarise(&t->entry->trials.items[finalists[i]], &runners[i].samples);
        runner_close(&runners[i]);
    }
    if (status == NND_OK || ends_tuning(status)) return status;
    nnd_error_clear(); /* not enough room for all at once, say: the first look counts */
    return NND_OK;
}

static nnd_status choose(tuner *t)
{
    nnd_tuning_entry *entry = t->entry;
    double limit = best_median(entry) * AS_GOOD;
    for (size_t i = 0; i < entry->trials.count; i++) {
        if (!entry->trials.items[i].accepted || !(entry->trials.items[i].median_ms <= limit))
            continue;
        entry->choice = (int64_t)i;
        return NND_OK;
    }
    const char *reason = entry->trials.items[0].reason;
    return nnd_error_set(NND_E_UNSUPPORTED, "no backend runs '%s' (%s: %s)", t->o->path,
                         entry->trials.items[0].backend, reason);
}

/* ---- kernels ----------------------------------------------------------------------------- */

static bool is_builtin(const nnd_tuning_trial *trial)
{
    return strcmp(trial->backend, nnd_backend_builtin.name) == 0 && !trial->config[0] &&
           !trial->precision[0];
}

/* Time that is left for kernels at the end, when the built-in engine is among the candidates. */
static int64_t kernel_time(const tuner *t)
{
    for (size_t i = 0; i < t->entry->trials.count; i++)
        if (is_builtin(&t->entry->trials.items[i]))
            return (int64_t)(KERNEL_SHARE * (double)t->o->budget);
    return 0;
}

/* With as many threads as are best for the engine. */
static nnd_status compare_kernels(tuner *t, int64_t end)
{
    const nnd_tuning_trial *best = NULL;
    for (size_t i = 0; i < t->entry->trials.count; i++) {
        const nnd_tuning_trial *trial = &t->entry->trials.items[i];
        if (!trial->accepted || !is_builtin(trial)) continue;
        if (!best || trial->median_ms < best->median_ms) best = trial;
    }
    if (!best) return NND_OK;
    say(t, "comparing kernels", t->entry->trials.count);
    return nnd_tune_kernels(t->o, (int)best->threads, end, &t->tuning->arena, t->entry);
}

/* ---- the key ----------------------------------------------------------------------------- */

static nnd_status add_file(tuner *t, const char *name, const char *path, const char *shown)
{
    nnd_tuning_file file = {0};
    nnd_port_file_info info;
    uint8_t digest[NND_SHA256_SIZE];
    char text[NND_SHA256_TEXT];
    NND_TRY(nnd_error_from_port(nnd_port_file_stat(path, &info), "cannot read", path));
    NND_TRY(nnd_sha256_file(path, digest));
    nnd_sha256_text(digest, text);
    NND_TRY(keep_text(t, name, &file.name));
    NND_TRY(keep_text(t, shown, &file.path));
    NND_TRY(keep_text(t, text, &file.sha256));
    file.size = info.size;
    file.mtime = info.mtime;
    return nnd_vec_push(&t->entry->files, file) ? NND_OK : no_memory();
}

static nnd_status list_files(tuner *t)
{
    const char *slash = strrchr(t->real, '/');
    NND_TRY(add_file(t, slash ? slash + 1 : t->real, t->real, t->real));
    for (size_t i = 0; i < t->opened.count; i++) {
        const char *name = t->opened.entries[i].key;
        char *path = nnd_strf("%s/%s", t->folder, name);
        if (!path) return no_memory();
        /* A file that a backend asked for in vain is no part of the model. */
        nnd_status status = nnd_port_file_exists(path) ? add_file(t, name, path, "") : NND_OK;
        nnd_free(path);
        NND_TRY(status);
    }
    return NND_OK;
}

static nnd_status list_inputs(tuner *t)
{
    for (size_t i = 0; i < t->o->input_count; i++) {
        nnd_tuning_input input = {0};
        char text[128];
        const nnd_tensor *tensor = nnd_value_tensor(t->o->inputs[i]);
        if (!t->o->inputs[i]) continue;
        NND_TRY(keep_text(t, t->o->input_names[i], &input.name));
        NND_TRY(keep_text(t,
                          tensor ? nnd_tensor_describe(tensor, text, sizeof text)
                                 : nnd_value_type_name(t->o->inputs[i]),
                          &input.type));
        if (!nnd_vec_push(&t->entry->inputs, input)) return no_memory();
    }
    return NND_OK;
}

/* ---- all of it --------------------------------------------------------------------------- */

static nnd_status tune(tuner *t)
{
    NND_TRY(nnd_error_from_port(nnd_port_path_real(t->o->path, &t->real), "cannot open model",
                                t->o->path));
    NND_TRY(nnd_folder_of(t->real, "cannot find the folder of model", &t->folder));
    NND_TRY(nnd_tuning_this_machine(&t->tuning->arena, &t->entry->machine));
    NND_TRY(list_inputs(t));
    NND_TRY(list_candidates(t));
    int64_t end = t->end;
    t->end -= kernel_time(t);
    NND_TRY(try_all(t));
    NND_TRY(hold_final(t));
    NND_TRY(choose(t));
    NND_TRY(compare_kernels(t, end));
    return list_files(t);
}

nnd_status nnd_tune_model(const nnd_tune_options *options, nnd_tuning *tuning)
{
    tuner t = {.o = options, .tuning = tuning, .end = nnd_clock_now() + options->budget};
    if (!nnd_vec_push(&tuning->entries, (nnd_tuning_entry){0})) return no_memory();
    t.entry = &nnd_vec_last(&tuning->entries);
    nnd_status status = tune(&t);
    for (size_t i = 0; i < t.reference.count; i++)
        nnd_value_unref(t.reference.items[i]);
    for (size_t i = 0; i < t.outputs.count; i++)
        nnd_free(t.outputs.items[i]);
    nnd_vec_free(&t.reference);
    nnd_vec_free(&t.outputs);
    nnd_map_fini(&t.opened);
    nnd_port_free(t.folder);
    nnd_port_free(t.real);
    if (status == NND_OK) return NND_OK;
    nnd_vec_free(&t.entry->files);
    nnd_vec_free(&t.entry->inputs);
    nnd_vec_free(&t.entry->trials);
    nnd_vec_free(&t.entry->kernels);
    tuning->entries.count--;
    return status;
}
