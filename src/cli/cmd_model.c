/* inspect, infer and bench model: models without a workflow. */
#include "cli/model_inputs.h"
#include "cli/values.h"

#include "base/port_status.h"
#include "nndeploy/sched.h"
#include "port/port.h"

#include <stdlib.h>
#include <string.h>

static int interrupted_or(cli *c, nnd_status status)
{
    if (cli_watch_interrupted()) status = nnd_error_set(NND_E_CANCELLED, "interrupted");
    return cli_fail(c, status, NULL);
}

/* ---- inspect -----------------------------------------------------------------------------------
 */

static nnd_status inspect_doc(const nnd_model *model, nnd_json_doc **out)
{
    nnd_json_writer *w = NULL;
    char *text = NULL;
    size_t size = 0;
    NND_TRY(nnd_json_writer_create(0, &w));
    nnd_status status = nnd_model_inspect(model, w);
    if (status == NND_OK) status = nnd_json_writer_take(w, &text, &size);
    nnd_json_writer_destroy(w);
    if (status == NND_OK) status = nnd_json_parse(text, size, NULL, out);
    nnd_free(text);
    return status;
}

static void print_ports(const char *title, const nnd_model *model, bool outputs)
{
    cli_table table = {.columns = 2};
    size_t count = outputs ? nnd_model_output_count(model) : nnd_model_input_count(model);
    char text[256];
    printf("\n%s:\n", title);
    for (size_t i = 0; i < count; i++) {
        const nnd_model_port *port =
            outputs ? nnd_model_output(model, i) : nnd_model_input(model, i);
        cli_table_add(&table, port->name);
        cli_table_addf(&table, "%s%s", cli_model_port_text(port, text, sizeof text),
                       port->optional ? " (optional)" : "");
    }
    cli_table_print(&table, "  ");
}

static void print_operators(const nnd_json *operators)
{
    cli_table table = {.columns = 2, .right = 2u};
    if (!nnd_json_count(operators)) return;
    puts("\nOperators:");
    for (size_t i = 0; i < nnd_json_count(operators); i++) {
        cli_table_add(&table, nnd_json_key_at(operators, i));
        cli_table_addf(&table, "%.0f", nnd_json_number(nnd_json_at(operators, i), 0));
    }
    cli_table_print(&table, "  ");
}

static void print_passes(const nnd_json *passes)
{
    cli_table table = {.columns = 2};
    if (!nnd_json_count(passes)) return;
    puts("\nPasses:");
    for (size_t i = 0; i < nnd_json_count(passes); i++) {
        const nnd_json *pass = nnd_json_at(passes, i);
        double changes = nnd_json_number(nnd_json_get(pass, "changes"), 0);
        cli_table_add(&table, nnd_json_string(nnd_json_get(pass, "name"), ""));
        if (nnd_json_bool(nnd_json_get(pass, "on"), true))
            cli_table_addf(&table, "%.0f change%s", changes, changes == 1 ? "" : "s");
        else
            cli_table_add(&table, "off");
    }
    cli_table_print(&table, "  ");
}

static void print_bytes(const char *title, const nnd_json *number)
{
    char text[32];
    if (!number) return;
    cli_bytes_text((uint64_t)nnd_json_number(number, 0), text);
    printf("%s %s\n", title, text);
}

static void print_inspection(const nnd_model *model, const nnd_json *root)
{
    const nnd_json *memory = nnd_json_get(root, "memory");
    double flops = nnd_json_number(nnd_json_get(root, "flops"), 0);
    printf("backend     %s\n", nnd_model_backend(model));
    if (nnd_json_get(root, "producer"))
        printf("producer    %s %s\n", nnd_json_string(nnd_json_get(root, "producer"), ""),
               nnd_json_string(nnd_json_get(root, "producer_version"), ""));
    if (nnd_json_get(root, "parameters"))
        printf("parameters  %.0f\n", nnd_json_number(nnd_json_get(root, "parameters"), 0));
    print_bytes("weights    ", nnd_json_get(root, "weight_bytes"));
    if (flops > 0) printf("flops       %.4g M\n", flops / 1e6);
    print_bytes("arena      ", nnd_json_get(memory, "arena_bytes"));
    print_bytes("unshared   ", nnd_json_get(memory, "without_sharing_bytes"));
    print_ports("Inputs", model, false);
    print_ports("Outputs", model, true);
    print_operators(nnd_json_get(root, "operators"));
    print_passes(nnd_json_get(root, "passes"));
}

static int inspection_json(cli *c, const nnd_model *model, const nnd_json *root)
{
    nnd_json_writer *w = cli_json_begin(c, "inspect");
    if (!w) return cli_fail(c, NND_E_OUT_OF_MEMORY, NULL);
    cli_json_text(w, "backend", nnd_model_backend(model));
    for (size_t i = 0; i < nnd_json_count(root); i++) {
        if (strcmp(nnd_json_key_at(root, i), "backend") == 0) continue;
        nnd_json_key(w, nnd_json_key_at(root, i));
        nnd_json_put_json(w, nnd_json_at(root, i));
    }
    return cli_json_end(c, CLI_OK);
}

int cli_run_inspect(cli *c)
{
    nnd_cancel *cancel = NULL;
    nnd_model *model = NULL;
    nnd_json_doc *doc = NULL;
    int code = CLI_OK;
    nnd_status status = cli_watch_begin(c, &cancel);
    if (status == NND_OK) status = cli_model_load(c, cancel, &model);
    if (status == NND_OK) status = inspect_doc(model, &doc);
    cli_watch_end();
    if (status != NND_OK)
        code = interrupted_or(c, status);
    else if (c->json)
        code = inspection_json(c, model, nnd_json_root(doc));
    else
        print_inspection(model, nnd_json_root(doc));
    nnd_json_destroy(doc);
    nnd_model_unref(model);
    return code;
}

/* ---- infer: results ----------------------------------------------------------------------------
 */

typedef struct result_file {
    char *file; /* within the output folder */
    void *bytes;
    size_t size;
} result_file;

typedef struct infer_job {
    cli *c;
    nnd_cancel *cancel;
    nnd_model *model;
    nnd_request *request;
    cli_model_inputs inputs;
    nnd_json_writer *list; /* outputs.json */
    NND_VEC(result_file) files;
} infer_job;

static bool name_is_taken(const infer_job *j, const char *file)
{
    for (size_t i = 0; i < j->files.count; i++)
        if (strcmp(j->files.items[i].file, file) == 0) return true;
    return strcmp(file, "outputs.json") == 0;
}

/* A free name, "scores.npy", then "scores_2.npy" and so on. */
static char *free_name(const infer_job *j, const char *name, const char *suffix)
{
    char safe[224];
    nnd_io_safe_name(name, safe, sizeof safe);
    char *file = nnd_strf("%s.%s", safe, suffix);
    for (int i = 2; file && name_is_taken(j, file); i++) {
        nnd_free(file);
        file = nnd_strf("%s_%d.%s", safe, i, suffix);
    }
    return file;
}

static nnd_status encode_tensor(const char *name, const nnd_tensor *t, const char **suffix,
                                void **bytes, size_t *size)
{
    *suffix = "npy";
    nnd_status status = nnd_npy_write(t, bytes, size);
    if (status != NND_E_UNSUPPORTED) return status;
    *suffix = "pb";
    return cli_tensor_proto(t, name, bytes, size);
}

static void list_tensor(infer_job *j, const char *name, const char *file, const nnd_tensor *t)
{
    nnd_json_begin_object(j->list);
    cli_json_text(j->list, "name", name);
    cli_json_text(j->list, "file", file);
    cli_json_text(j->list, "dtype", nnd_dtype_name(t->dtype));
    nnd_json_key(j->list, "shape");
    nnd_json_set_inline(j->list, true);
    nnd_json_begin_array(j->list);
    for (int i = 0; i < t->rank; i++)
        nnd_json_put_int(j->list, t->dims[i]);
    nnd_json_end_array(j->list);
    nnd_json_set_inline(j->list, false);
    nnd_json_end_object(j->list);
}

static nnd_status add_tensor(infer_job *j, const char *name, const nnd_tensor *t)
{
    const char *suffix = NULL;
    result_file file = {0};
    nnd_status status = encode_tensor(name, t, &suffix, &file.bytes, &file.size);
    if (status != NND_OK) return nnd_error_wrap(status, "output '%s'", name);
    file.file = free_name(j, name, suffix);
    if (file.file && nnd_vec_push(&j->files, file)) {
        list_tensor(j, name, file.file, t);
        return NND_OK;
    }
    nnd_free(file.file);
    nnd_free(file.bytes);
    return cli_no_memory();
}

/* Sequences become one file per element, "NAME.0", "NAME.1", … */
static nnd_status add_output(infer_job *j, const char *name, const nnd_value *value)
{
    if (nnd_value_tensor(value)) return add_tensor(j, name, nnd_value_tensor(value));
    if (!nnd_value_is(value, "list"))
        return nnd_error_set(NND_E_UNSUPPORTED, "output '%s' is a %s, which has no file form", name,
                             nnd_value_type_name(value));
    for (size_t i = 0; i < nnd_value_list_count(value); i++) {
        char *element = nnd_strf("%s.%zu", name, i);
        if (!element) return cli_no_memory();
        nnd_status status = add_output(j, element, nnd_value_list_at(value, i));
        nnd_free(element);
        NND_TRY(status);
    }
    return NND_OK;
}

static nnd_status collect_outputs(infer_job *j)
{
    NND_TRY(nnd_json_writer_create(2, &j->list));
    nnd_json_begin_array(j->list);
    for (size_t i = 0; i < nnd_model_output_count(j->model); i++) {
        nnd_value *value = NULL;
        const char *name = nnd_model_output(j->model, i)->name;
        NND_TRY(nnd_request_output(j->request, name, &value));
        nnd_status status = value ? add_output(j, name, value) : NND_OK;
        nnd_value_unref(value);
        NND_TRY(status);
    }
    nnd_json_end_array(j->list);
    result_file index = {nnd_strdup("outputs.json"), NULL, 0};
    char *text = NULL;
    nnd_status status =
        index.file ? nnd_json_writer_take(j->list, &text, &index.size) : cli_no_memory();
    index.bytes = text;
    if (status == NND_OK && !nnd_vec_push(&j->files, index)) status = cli_no_memory();
    if (status != NND_OK) {
        nnd_free(index.file);
        nnd_free(text);
    }
    return status;
}

/* outputs.json comes last, so who sees it can trust in the files that it names. */
static nnd_status write_files(const infer_job *j, const char *folder)
{
    nnd_status status =
        nnd_error_from_port(nnd_port_dir_create(folder), "cannot make the folder", folder);
    for (size_t i = 0; i < j->files.count && status == NND_OK; i++) {
        char *path = nnd_strf("%s/%s", folder, j->files.items[i].file);
        if (!path) return cli_no_memory();
        int rc = nnd_port_file_write_atomic(path, j->files.items[i].bytes, j->files.items[i].size);
        status = nnd_error_from_port(rc, "cannot write", path);
        nnd_free(path);
    }
    return status;
}

/* ---- infer: the command ------------------------------------------------------------------------
 */

static int report_missing(cli *c, const nnd_model *model, const cli_model_inputs *inputs)
{
    nnd_str missing = {0};
    char text[256];
    int code = CLI_OK;
    for (size_t i = 0; i < inputs->count; i++) {
        const nnd_model_port *port = nnd_model_input(model, i);
        if (inputs->values[i] || port->optional) continue;
        nnd_str_printf(&missing, "%s'%s' %s", missing.size ? ", " : "", port->name,
                       cli_model_port_text(port, text, sizeof text));
    }
    if (missing.size)
        code =
            cli_usage(c, "the model needs %s; give --input NAME=FILE, or --random", missing.data);
    nnd_str_free(&missing);
    return code;
}

static int prepare_infer(infer_job *j)
{
    cli *c = j->c;
    nnd_request_options options = NND_REQUEST_OPTIONS_INIT;
    nnd_status status = cli_watch_begin(c, &j->cancel);
    cli_watch_progress("loading", 0, 0);
    if (status == NND_OK) status = cli_model_load(c, j->cancel, &j->model);
    if (status != NND_OK) return interrupted_or(c, status);
    int code = cli_model_inputs_init(c, j->model, &j->inputs);
    if (code == CLI_OK && !cli_has(c, "random")) code = report_missing(c, j->model, &j->inputs);
    if (code != CLI_OK) return code;
    if (cli_has(c, "random"))
        status = cli_model_inputs_random(j->model, &j->inputs, (uint64_t)cli_int(c, "seed", 0));
    options.threads = (int)cli_int(c, "threads", 0);
    if (status == NND_OK) status = nnd_request_create(j->model, &options, &j->request);
    if (status == NND_OK) status = cli_model_inputs_bind(&j->inputs, j->request);
    return status == NND_OK ? CLI_OK : interrupted_or(c, status);
}

static int print_files(const infer_job *j, const char *folder, double milliseconds)
{
    const result_file *index = &nnd_vec_last(&j->files);
    if (!j->c->json) {
        for (size_t i = 0; i < j->files.count; i++)
            printf("%s/%s\n", folder, j->files.items[i].file);
        return CLI_OK;
    }
    nnd_json_writer *w = cli_json_begin(j->c, "infer");
    if (!w) return cli_fail(j->c, NND_E_OUT_OF_MEMORY, NULL);
    cli_json_text(w, "backend", nnd_model_backend(j->model));
    cli_json_text(w, "folder", folder);
    cli_json_number(w, "milliseconds", milliseconds);
    nnd_json_key(w, "outputs");
    nnd_status status = cli_json_raw(w, index->bytes, index->size);
    return status == NND_OK ? cli_json_end(j->c, CLI_OK) : cli_fail(j->c, status, NULL);
}

static int infer(infer_job *j)
{
    cli *c = j->c;
    const char *folder = cli_text(c, "output-dir", ".");
    int code = prepare_infer(j);
    if (code != CLI_OK) return code;
    c->running = true;
    cli_watch_progress("running", 0, 0);
    int64_t begin = nnd_clock_now();
    nnd_status status = nnd_request_run(j->request, j->cancel);
    double milliseconds = (double)(nnd_clock_now() - begin) / 1e6;
    if (status == NND_OK) status = collect_outputs(j);
    cli_watch_end();
    if (status == NND_OK) status = write_files(j, folder);
    if (status != NND_OK) return interrupted_or(c, status);
    return print_files(j, folder, milliseconds);
}

int cli_run_infer(cli *c)
{
    infer_job j = {.c = c};
    int code = infer(&j);
    cli_watch_end();
    for (size_t i = 0; i < j.files.count; i++) {
        nnd_free(j.files.items[i].file);
        nnd_free(j.files.items[i].bytes);
    }
    nnd_vec_free(&j.files);
    nnd_json_writer_destroy(j.list);
    cli_model_inputs_fini(&j.inputs);
    nnd_request_destroy(j.request);
    nnd_model_unref(j.model);
    return code;
}

/* ---- bench model -------------------------------------------------------------------------------
 */

typedef struct bench {
    cli *c;
    nnd_cancel *cancel;
    nnd_model *model;
    nnd_request *request;
    cli_model_inputs inputs;
    int64_t *times; /* ns, sorted at the end */
    size_t runs;
    double load_ms, first_ms;
} bench;

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static nnd_status measure(bench *b)
{
    size_t warmup = (size_t)cli_int(b->c, "warmup", 3);
    size_t total = warmup + b->runs;
    for (size_t i = 0; i < total; i++) {
        cli_watch_progress(i < warmup ? "warming up" : "measuring", (double)i, (double)total);
        int64_t begin = nnd_clock_now();
        NND_TRY(nnd_request_run(b->request, b->cancel));
        int64_t end = nnd_clock_now();
        if (i == 0) b->first_ms = (double)(end - begin) / 1e6;
        if (i >= warmup) b->times[i - warmup] = end - begin;
    }
    qsort(b->times, b->runs, sizeof *b->times, by_time);
    return NND_OK;
}

/* The value below which a share of the runs lies. */
static double percentile(const bench *b, double share)
{
    size_t index = (size_t)(share * (double)(b->runs - 1) + 0.5);
    return (double)b->times[index] / 1e6;
}

static double mean_ms(const bench *b)
{
    double sum = 0;
    for (size_t i = 0; i < b->runs; i++)
        sum += (double)b->times[i];
    return sum / 1e6 / (double)b->runs;
}

static nnd_status profile_doc(const bench *b, nnd_json_doc **out)
{
    nnd_json_writer *w = NULL;
    char *text = NULL;
    size_t size = 0;
    NND_TRY(nnd_json_writer_create(0, &w));
    nnd_status status = nnd_request_profile(b->request, w);
    if (status == NND_OK) status = nnd_json_writer_take(w, &text, &size);
    nnd_json_writer_destroy(w);
    if (status == NND_OK) status = nnd_json_parse(text, size, NULL, out);
    nnd_free(text);
    return status;
}

static double step_ms(const nnd_json *step)
{
    return nnd_json_number(nnd_json_get(step, "ms"), 0);
}

static void print_profile(const nnd_json *steps)
{
    cli_table table = {.columns = 6, .right = 0x38u};
    static const char *const heads[] = {"OPERATOR", "NAME", "KERNEL", "ms", "%", "GFLOP/s"};
    double total = 0;
    for (size_t i = 0; i < nnd_json_count(steps); i++)
        total += step_ms(nnd_json_at(steps, i));
    for (size_t i = 0; i < NND_COUNT(heads); i++)
        cli_table_add(&table, heads[i]);
    for (size_t i = 0; i < nnd_json_count(steps); i++) {
        const nnd_json *step = nnd_json_at(steps, i);
        double ms = step_ms(step), flops = nnd_json_number(nnd_json_get(step, "flops"), 0);
        cli_table_add(&table, nnd_json_string(nnd_json_get(step, "op"), ""));
        cli_table_add(&table, nnd_json_string(nnd_json_get(step, "name"), ""));
        cli_table_add(&table, nnd_json_string(nnd_json_get(step, "kernel"), ""));
        cli_table_addf(&table, "%.4f", ms);
        cli_table_addf(&table, "%.1f", total > 0 ? ms / total * 100 : 0);
        if (flops > 0 && ms > 0)
            cli_table_addf(&table, "%.1f", flops / ms / 1e6);
        else
            cli_table_add(&table, "");
    }
    putchar('\n');
    cli_table_print(&table, "");
}

static double peak_mib(void)
{
    return (double)nnd_port_peak_memory() / (1024.0 * 1024.0);
}

static int bench_json(const bench *b, const nnd_json *profile)
{
    nnd_json_writer *w = cli_json_begin(b->c, "bench_model");
    if (!w) return cli_fail(b->c, NND_E_OUT_OF_MEMORY, NULL);
    cli_json_text(w, "model", cli_operand(b->c, 0));
    cli_json_text(w, "backend", nnd_model_backend(b->model));
    int threads = (int)cli_int(b->c, "threads", 0);
    cli_json_int(w, "threads", threads ? threads : nnd_sched_threads());
    cli_json_int(w, "runs", (int64_t)b->runs);
    cli_json_int(w, "warmup", cli_int(b->c, "warmup", 3));
    cli_json_number(w, "load_ms", b->load_ms);
    cli_json_number(w, "first_ms", b->first_ms);
    cli_json_number(w, "min_ms", percentile(b, 0));
    cli_json_number(w, "median_ms", percentile(b, 0.5));
    cli_json_number(w, "mean_ms", mean_ms(b));
    cli_json_number(w, "p95_ms", percentile(b, 0.95));
    cli_json_number(w, "max_ms", percentile(b, 1));
    cli_json_number(w, "peak_mib", peak_mib());
    if (profile) {
        nnd_json_key(w, "profile");
        nnd_json_put_json(w, profile);
    }
    return cli_json_end(b->c, CLI_OK);
}

static void bench_text(const bench *b, const nnd_json *profile)
{
    int threads = (int)cli_int(b->c, "threads", 0);
    printf("backend %s, %d thread%s, %zu run%s\n", nnd_model_backend(b->model),
           threads ? threads : nnd_sched_threads(),
           (threads ? threads : nnd_sched_threads()) == 1 ? "" : "s", b->runs,
           b->runs == 1 ? "" : "s");
    printf("min %.3f ms, median %.3f ms, p95 %.3f ms, max %.3f ms\n", percentile(b, 0),
           percentile(b, 0.5), percentile(b, 0.95), percentile(b, 1));
    printf("load %.1f ms, first run %.1f ms, peak memory %.1f MiB\n", b->load_ms, b->first_ms,
           peak_mib());
    if (profile) print_profile(profile);
}

static int prepare_bench(bench *b)
{
    cli *c = b->c;
    nnd_request_options options = NND_REQUEST_OPTIONS_INIT;
    b->runs = (size_t)cli_int(c, "runs", 30);
    nnd_status status = cli_watch_begin(c, &b->cancel);
    int64_t begin = nnd_clock_now();
    if (status == NND_OK) status = cli_model_load(c, b->cancel, &b->model);
    b->load_ms = (double)(nnd_clock_now() - begin) / 1e6;
    if (status != NND_OK) return interrupted_or(c, status);
    int code = cli_model_inputs_init(c, b->model, &b->inputs);
    if (code != CLI_OK) return code;
    options.threads = (int)cli_int(c, "threads", 0);
    options.profile = cli_has(c, "profile");
    b->times = nnd_calloc(b->runs, sizeof *b->times);
    status = b->times ? NND_OK : cli_no_memory();
    if (status == NND_OK)
        status = cli_model_inputs_random(b->model, &b->inputs, (uint64_t)cli_int(c, "seed", 0));
    if (status == NND_OK) status = nnd_request_create(b->model, &options, &b->request);
    if (status == NND_OK) status = cli_model_inputs_bind(&b->inputs, b->request);
    return status == NND_OK ? CLI_OK : interrupted_or(c, status);
}

static int bench_model(bench *b)
{
    nnd_json_doc *profile = NULL;
    int code = prepare_bench(b);
    if (code != CLI_OK) return code;
    b->c->running = true;
    nnd_status status = measure(b);
    cli_watch_end();
    if (status == NND_OK && cli_has(b->c, "profile")) status = profile_doc(b, &profile);
    if (status != NND_OK)
        code = interrupted_or(b->c, status);
    else if (b->c->json)
        code = bench_json(b, profile ? nnd_json_root(profile) : NULL);
    else
        bench_text(b, profile ? nnd_json_root(profile) : NULL);
    nnd_json_destroy(profile);
    return code;
}

int cli_run_bench_model(cli *c)
{
    bench b = {.c = c};
    int code = bench_model(&b);
    cli_watch_end();
    nnd_free(b.times);
    cli_model_inputs_fini(&b.inputs);
    nnd_request_destroy(b.request);
    nnd_model_unref(b.model);
    return code;
}
