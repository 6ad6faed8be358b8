/* tune: which backend, with how many threads and in which precision, runs a model fastest here. */
#include "cli/model_inputs.h"

#include "infer/tuning.h"
#include "nndeploy/sched.h"
#include "nodes/infer/plan_models.h"

#include <stdlib.h>
#include <string.h>

/* A model to be tuned. */
typedef struct target {
    char *path;
    nnd_str nodes;          /* of the workflow, with commas; empty for a model */
    NND_VEC(char *) shapes; /* per input, as --shape has them; NULL = as the model says */
} target;

typedef struct tuning_job {
    cli *c;
    nnd_cancel *cancel;
    char *file; /* the tuning file */
    NND_VEC(target) targets;
    NND_VEC(char *) texts; /* owns what the lists below point to */
    NND_VEC(const char *) backends;
    NND_VEC(int) threads;
    NND_VEC(nnd_tuning *) results; /* per target */
    nnd_str skipped;               /* nodes whose backend is fixed */
} tuning_job;

/* ---- what the command line says ---------------------------------------------------------- */

static int read_lists(tuning_job *j)
{
    char *backends = nnd_strdup(cli_text(j->c, "backends", ""));
    if (!backends || !nnd_vec_push(&j->texts, backends)) {
        nnd_free(backends);
        return cli_fail(j->c, cli_no_memory(), NULL);
    }
    for (char *p = backends; *p;) {
        char *end = p + strcspn(p, ",");
        bool last = *end == '\0';
        *end = '\0';
        if (!*p) return cli_usage(j->c, "option '--backends': names with commas between them");
        if (!nnd_vec_push(&j->backends, p)) return cli_fail(j->c, cli_no_memory(), NULL);
        p = last ? end : end + 1;
    }
    for (const char *p = cli_text(j->c, "threads", ""); *p;) {
        char *end = NULL;
        long n = strtol(p, &end, 10);
        if (end == p || n < 1 || n > nnd_sched_threads() || (*end && *end != ','))
            return cli_usage(j->c, "option '--threads': numbers from 1 to %d with commas between",
                             nnd_sched_threads());
        if (!nnd_vec_push(&j->threads, (int)n)) return cli_fail(j->c, cli_no_memory(), NULL);
        p = *end ? end + 1 : end;
    }
    return CLI_OK;
}

static int find_tuning_file(tuning_job *j)
{
    nnd_status status = cli_apply_tuning(j->c);
    if (status == NND_OK) status = nnd_tuning_path(&j->file);
    if (status != NND_OK) return cli_fail(j->c, status, NULL);
    if (j->file) return CLI_OK;
    return cli_usage(j->c, "there is no place for the tuning file; name one with --tuning FILE");
}

/* ---- what is tuned ----------------------------------------------------------------------- */

static nnd_status add_target(tuning_job *j, char *take_path, target **out)
{
    target t = {.path = take_path};
    if (!take_path || !nnd_vec_push(&j->targets, t)) {
        nnd_free(take_path);
        return cli_no_memory();
    }
    *out = &nnd_vec_last(&j->targets);
    return NND_OK;
}

/* The sizes that a workflow lets a model's input have, where all of them are known. */
static nnd_status add_shape(target *t, const nnd_spec *spec)
{
    nnd_str s = {0};
    char *text = NULL;
    bool known = spec->rank > 0;
    for (int i = 0; i < spec->rank; i++) {
        known = known && spec->dims[i] >= 0;
        nnd_str_printf(&s, "%s%lld", i ? "," : "", (long long)spec->dims[i]);
    }
    nnd_status status = known ? nnd_str_take(&s, &text, NULL) : NND_OK;
    nnd_str_free(&s);
    NND_TRY(status);
    if (nnd_vec_push(&t->shapes, text)) return NND_OK;
    nnd_free(text);
    return cli_no_memory();
}

static nnd_status add_node(void *user, const nnd_plan_model *model)
{
    tuning_job *j = user;
    target *t = NULL;
    if (model->backend[0] && strcmp(model->backend, "auto") != 0) {
        nnd_str_printf(&j->skipped, "%s%s", j->skipped.size ? ", " : "", model->node);
        return NND_OK;
    }
    for (size_t i = 0; i < j->targets.count && !t; i++)
        if (strcmp(j->targets.items[i].path, model->path) == 0) t = &j->targets.items[i];
    if (!t) {
        NND_TRY(add_target(j, nnd_strdup(model->path), &t));
        for (size_t i = 0; i < model->input_count; i++)
            NND_TRY(add_shape(t, &model->inputs[i]));
    }
    nnd_str_printf(&t->nodes, "%s%s", t->nodes.size ? "," : "", model->node);
    return t->nodes.failed ? cli_no_memory() : NND_OK;
}

static int list_workflow(tuning_job *j)
{
    cli *c = j->c;
    const char *path = cli_operand(c, 0);
    char *folder = NULL;
    nnd_io *io = NULL;
    nnd_workflow *wf = NULL;
    nnd_plan *plan = NULL;
    nnd_diagnostics *diags = NULL;
    if (cli_count(c, "input") || cli_count(c, "shape"))
        return cli_usage(c, "--input and --shape are for a MODEL; a workflow knows its shapes");
    c->document = path;
    nnd_status status = nnd_diagnostics_create(&diags);
    if (status == NND_OK) status = cli_folder_of(path, &folder);
    if (status == NND_OK) status = cli_io_create(c, folder, NULL, 0, &io);
    if (status == NND_OK) status = cli_workflow_load(path, io, diags, &wf);
    if (status == NND_OK)
        status = cli_plan_compile(c, wf, folder, io, NND_RUN_DEFAULT, j->cancel, diags, &plan);
    if (status == NND_OK) status = nnd_plan_each_model(plan, add_node, j);
    int code = status == NND_OK ? CLI_OK : cli_fail(c, status, plan ? NULL : diags);
    nnd_plan_unref(plan);
    nnd_workflow_destroy(wf);
    nnd_io_unref(io);
    nnd_free(folder);
    nnd_diagnostics_destroy(diags);
    return code;
}

static int list_targets(tuning_job *j)
{
    char *path = NULL;
    target *t;
    const char *name = cli_operand(j->c, 0);
    nnd_registry *registry = NULL;
    nnd_status status = cli_registry(j->c, &registry);
    if (status != NND_OK) return cli_fail(j->c, status, NULL);
    const nnd_backend *engine = nnd_backend_find("builtin"); /* its *.nnd.json are models */
    bool is_graph = engine && nnd_backend_reads(engine, name);
    if (strcmp(name, "-") == 0 || (nnd_str_ends_with(name, ".json") && !is_graph))
        return list_workflow(j);
    status = cli_model_find(j->c, 0, NULL, &path);
    if (status == NND_OK) status = add_target(j, path, &t);
    return status == NND_OK ? CLI_OK : cli_fail(j->c, status, NULL);
}

/* ---- tuning one model -------------------------------------------------------------------- */

static nnd_status load_with(const tuning_job *j, const char *path, const char *backend,
                            nnd_model **out)
{
    nnd_model_options options = NND_MODEL_OPTIONS_INIT;
    char *name = nnd_strdup_n(backend, strcspn(backend, ":"));
    if (!name) return cli_no_memory();
    options.backend = name;
    options.cancel = j->cancel;
    nnd_status status = nnd_model_load(path, &options, out);
    nnd_free(name);
    return status;
}

/* With the first backend that can: the model is asked for its inputs only. */
static nnd_status load_any(const tuning_job *j, const char *path, nnd_model **out)
{
    nnd_status status = NND_OK;
    for (size_t i = 0; i < j->backends.count; i++) {
        status = load_with(j, path, j->backends.items[i], out);
        if (status == NND_OK || nnd_cancel_check(j->cancel) != NND_OK) return status;
    }
    for (size_t i = 0; !j->backends.count && nnd_backend_at(i); i++) {
        const nnd_backend *backend = nnd_backend_at(i);
        nnd_backend_status probe = {.size = sizeof probe};
        nnd_model *model = NULL;
        backend->probe(&probe);
        if (!probe.available || !nnd_backend_reads(backend, path)) continue;
        nnd_status tried = load_with(j, path, backend->name, &model);
        if (tried == NND_OK) {
            *out = model;
            return NND_OK;
        }
        status = tried;
        if (nnd_cancel_check(j->cancel) != NND_OK) return status;
    }
    /* Nothing reads it: the usual way says so best. */
    return status == NND_OK ? load_with(j, path, "auto", out) : status;
}

static int make_inputs(tuning_job *j, const target *t, const nnd_model *model,
                       cli_model_inputs *inputs)
{
    int code = cli_model_inputs_init(j->c, model, inputs);
    if (code != CLI_OK) return code;
    for (size_t i = 0; i < t->shapes.count && i < inputs->count; i++)
        inputs->shapes[i] = t->shapes.items[i];
    nnd_status status = cli_model_inputs_random(model, inputs, (uint64_t)cli_int(j->c, "seed", 0));
    return status == NND_OK ? CLI_OK : cli_fail_work(j->c, status);
}

static void on_progress(void *user, const char *text, double done, double total)
{
    (void)user;
    cli_watch_progress(text, done, total);
}

static nnd_status measure(tuning_job *j, const target *t, const cli_model_inputs *inputs)
{
    nnd_tuning *result = NULL;
    nnd_tune_options options = {
        .path = t->path,
        .backends = j->backends.items,
        .backend_count = j->backends.count,
        .threads = j->threads.items,
        .thread_count = j->threads.count,
        .tolerance = cli_number(j->c, "tolerance", 0.01),
        .budget = (int64_t)(cli_number(j->c, "time-budget", 20) * 1e9),
        .input_names = inputs->names,
        .inputs = inputs->values,
        .input_count = inputs->count,
        .cancel = j->cancel,
        .progress = on_progress,
    };
    NND_TRY(nnd_tuning_create(&result));
    nnd_status status = nnd_tune_model(&options, result);
    if (status == NND_OK) status = nnd_tuning_save(result, j->file);
    if (status == NND_OK && nnd_vec_push(&j->results, result)) return NND_OK;
    nnd_tuning_unref(result);
    return status == NND_OK ? cli_no_memory() : status;
}

static int tune_target(tuning_job *j, const target *t)
{
    nnd_model *model = NULL;
    cli_model_inputs inputs = {0};
    cli_watch_progress("loading", 0, 0);
    nnd_status status = load_any(j, t->path, &model);
    int code = status == NND_OK ? make_inputs(j, t, model, &inputs) : cli_fail_work(j->c, status);
    /* The names are the model's. */
    if (code == CLI_OK) {
        status = measure(j, t, &inputs);
        code = status == NND_OK ? CLI_OK : cli_fail_work(j->c, status);
    }
    cli_model_inputs_fini(&inputs);
    nnd_model_unref(model);
    return code;
}

/* ---- telling ----------------------------------------------------------------------------- */

static void print_entry(const nnd_tuning_entry *entry)
{
    static const char *const heads[] = {"",          "BACKEND", "PRECISION", "CONFIG", "THREADS",
                                        "median ms", "min ms",  "load ms",   "error",  ""};
    cli_table table = {.columns = NND_COUNT(heads), .right = 0x1f0u};
    for (size_t i = 0; i < NND_COUNT(heads); i++)
        cli_table_add(&table, heads[i]);
    for (size_t i = 0; i < entry->trials.count; i++) {
        const nnd_tuning_trial *t = &entry->trials.items[i];
        cli_table_add(&table, (int64_t)i == entry->choice ? "*" : "");
        cli_table_add(&table, t->backend);
        cli_table_add(&table, t->precision[0] ? t->precision : "-");
        cli_table_add(&table, t->config[0] ? t->config : "-");
        cli_table_addf(&table, "%d", (int)t->threads);
        cli_table_addf(&table, t->runs ? "%.3f" : "-", t->median_ms);
        cli_table_addf(&table, t->runs ? "%.3f" : "-", t->min_ms);
        cli_table_addf(&table, t->load_ms > 0 ? "%.1f" : "-", t->load_ms);
        cli_table_addf(&table, t->load_ms > 0 ? "%.2g" : "-", t->error);
        cli_table_add(&table, t->reason);
    }
    cli_table_print(&table, "");
}

/* Kernels of the built-in engine that are better than its own choice. */
static void print_kernels(const nnd_tuning_entry *entry)
{
    static const char *const heads[] = {"OPERATOR", "KERNEL", "ms", "INSTEAD OF", "ms", "SHAPE"};
    cli_table table = {.columns = NND_COUNT(heads), .right = 0x14u};
    if (!entry->has_kernels) return;
    if (!entry->kernels.count) {
        puts("kernels of builtin: its own choices are the best");
        return;
    }
    for (size_t i = 0; i < NND_COUNT(heads); i++)
        cli_table_add(&table, heads[i]);
    for (size_t i = 0; i < entry->kernels.count; i++) {
        const nnd_tuning_kernel *k = &entry->kernels.items[i];
        cli_table_add(&table, k->op);
        cli_table_add(&table, k->kernel);
        cli_table_addf(&table, "%.4f", k->ms);
        cli_table_add(&table, k->instead_of);
        cli_table_addf(&table, "%.4f", k->instead_of_ms);
        cli_table_add(&table, k->shape);
    }
    puts("kernels of builtin that are better than its own choice:");
    cli_table_print(&table, "");
}

static void print_result(const tuning_job *j)
{
    for (size_t i = 0; i < j->results.count; i++) {
        const target *t = &j->targets.items[i];
        const nnd_tuning_entry *entry = &j->results.items[i]->entries.items[0];
        const nnd_tuning_trial *best = &entry->trials.items[entry->choice];
        printf("%s%s%s%s%s\n", i ? "\n" : "", t->path, t->nodes.size ? " (" : "",
               t->nodes.size ? t->nodes.data : "", t->nodes.size ? ")" : "");
        print_entry(entry);
        printf("chosen: %s%s%s%s%s, %d thread%s\n", best->backend, best->precision[0] ? " " : "",
               best->precision, best->config[0] ? " " : "", best->config, (int)best->threads,
               best->threads == 1 ? "" : "s");
        print_kernels(entry);
    }
    if (j->results.count) printf("\nwritten to %s\n", j->file);
    if (j->skipped.size) printf("not tuned, since a backend is set: %s\n", j->skipped.data);
    if (!j->results.count && !j->skipped.size) puts("no model to tune");
}

static void put_kernels(const nnd_tuning_entry *entry, nnd_json_writer *w)
{
    nnd_json_key(w, "kernels");
    nnd_json_begin_array(w);
    for (size_t i = 0; i < entry->kernels.count; i++)
        nnd_tuning_kernel_to_json(&entry->kernels.items[i], w);
    nnd_json_end_array(w);
}

static void put_target(const target *t, const nnd_tuning_entry *entry, nnd_json_writer *w)
{
    nnd_json_begin_object(w);
    cli_json_text(w, "model", t->path);
    cli_json_text(w, "nodes", t->nodes.size ? t->nodes.data : "");
    cli_json_text(w, "sha256", entry->files.items[0].sha256);
    nnd_json_key(w, "inputs");
    nnd_json_begin_object(w);
    for (size_t i = 0; i < entry->inputs.count; i++)
        cli_json_text(w, entry->inputs.items[i].name, entry->inputs.items[i].type);
    nnd_json_end_object(w);
    cli_json_int(w, "choice", entry->choice);
    nnd_json_key(w, "trials");
    nnd_json_begin_array(w);
    for (size_t i = 0; i < entry->trials.count; i++)
        nnd_tuning_trial_to_json(&entry->trials.items[i], w);
    nnd_json_end_array(w);
    if (entry->has_kernels) put_kernels(entry, w);
    nnd_json_end_object(w);
}

static int result_json(const tuning_job *j)
{
    nnd_json_writer *w = cli_json_begin(j->c, "tune");
    if (!w) return cli_fail(j->c, NND_E_OUT_OF_MEMORY, NULL);
    cli_json_text(w, "file", j->file);
    cli_json_text(w, "skipped", j->skipped.size ? j->skipped.data : "");
    nnd_json_key(w, "models");
    nnd_json_begin_array(w);
    for (size_t i = 0; i < j->results.count; i++)
        put_target(&j->targets.items[i], &j->results.items[i]->entries.items[0], w);
    nnd_json_end_array(w);
    return cli_json_end(j->c, CLI_OK);
}

static int tune(tuning_job *j)
{
    nnd_status status = cli_watch_begin(j->c, &j->cancel);
    if (status != NND_OK) return cli_fail(j->c, status, NULL);
    int code = read_lists(j);
    if (code == CLI_OK) code = find_tuning_file(j);
    if (code == CLI_OK) code = list_targets(j);
    for (size_t i = 0; i < j->targets.count && code == CLI_OK; i++)
        code = tune_target(j, &j->targets.items[i]);
    cli_watch_end();
    if (code != CLI_OK) return code;
    if (j->c->json) return result_json(j);
    print_result(j);
    return CLI_OK;
}

int cli_run_tune(cli *c)
{
    tuning_job j = {.c = c};
    int code = tune(&j);
    cli_watch_end();
    for (size_t i = 0; i < j.targets.count; i++) {
        target *t = &j.targets.items[i];
        for (size_t k = 0; k < t->shapes.count; k++)
            nnd_free(t->shapes.items[k]);
        nnd_vec_free(&t->shapes);
        nnd_str_free(&t->nodes);
        nnd_free(t->path);
    }
    for (size_t i = 0; i < j.results.count; i++)
        nnd_tuning_unref(j.results.items[i]);
    for (size_t i = 0; i < j.texts.count; i++)
        nnd_free(j.texts.items[i]);
    nnd_vec_free(&j.targets);
    nnd_vec_free(&j.results);
    nnd_vec_free(&j.texts);
    nnd_vec_free(&j.backends);
    nnd_vec_free(&j.threads);
    nnd_str_free(&j.skipped);
    nnd_free(j.file);
    return code;
}
