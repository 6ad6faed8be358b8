/* quantize: a float model with integer or half-precision weights, and what that costs. */
#include "cli/calibrate.h"
#include "cli/model_inputs.h"

#include "base/port_status.h"
#include "port/port.h"

#include <math.h>
#include <string.h>

enum { DEFAULT_CHECKS = 16, TABLE_ROWS = 20 };

typedef struct quantize_job {
    cli *c;
    nnd_cancel *cancel;
    nnd_quantize *q;
    char *path;
    const char **exclude;
    const void *bytes;
    size_t size;
} quantize_job;

/* ---- what was asked for -------------------------------------------------------------------- */

static bool wants(const cli *c, const char *option, const char *value)
{
    return strcmp(cli_text(c, option, ""), value) == 0;
}

static const char *const methods[] = {[NND_RANGE_MIN_MAX] = "min-max",
                                      [NND_RANGE_PERCENTILE] = "percentile",
                                      [NND_RANGE_ENTROPY] = "entropy",
                                      [NND_RANGE_MSE] = "mse",
                                      [NND_RANGE_AUTO] = "auto"};

static nnd_range_method method_of(const cli *c)
{
    int method = NND_RANGE_AUTO;
    for (int i = 0; i < (int)NND_COUNT(methods); i++)
        if (wants(c, "method", methods[i])) method = i;
    return (nnd_range_method)method;
}

static nnd_status options_of(quantize_job *j, nnd_quantize_options *o)
{
    cli *c = j->c;
    const size_t count = cli_count(c, "exclude");
    j->exclude = nnd_calloc(count + 1, sizeof *j->exclude);
    if (!j->exclude) return cli_no_memory();
    for (size_t i = 0; i < count; i++)
        j->exclude[i] = cli_nth(c, "exclude", i);
    *o = (nnd_quantize_options){
        .weights = wants(c, "weights", "f16")    ? NND_WEIGHTS_F16
                   : wants(c, "weights", "bf16") ? NND_WEIGHTS_BF16
                                                 : NND_WEIGHTS_I8,
        .method = method_of(c),
        .percentile = cli_number(c, "percentile", 99.99),
        .signed_activations = wants(c, "activations", "s8"),
        .per_tensor = cli_has(c, "per-tensor"),
        .equalise = !cli_has(c, "no-equalize"),
        .correct_bias = !cli_has(c, "no-bias-correction"),
        .seven_bits = cli_has(c, "seven-bits"),
        .keep_first = cli_has(c, "keep-first"),
        .keep_last = cli_has(c, "keep-last"),
        .exclude = j->exclude,
        .exclude_count = count,
        .least_sqnr = cli_number(c, "min-sqnr", 0),
        .check_samples = (size_t)cli_int(c, "check", DEFAULT_CHECKS),
        .threads = (int)cli_int(c, "threads", 0),
        .cancel = j->cancel,
    };
    return NND_OK;
}

static int check_usage(cli *c)
{
    const bool int8 = wants(c, "weights", "") || wants(c, "weights", "int8");
    const bool samples = cli_has(c, "calibrate");
    if (int8 && !samples)
        return cli_usage(c, "int8 needs samples: --calibrate DIR, a folder of .npy files, or of "
                            "pictures with --workflow");
    if (!samples && cli_has(c, "workflow"))
        return cli_usage(c, "--workflow prepares the pictures of --calibrate; name a folder");
    if (!int8 && cli_has(c, "min-sqnr"))
        return cli_usage(c, "--min-sqnr is for int8: other weights leave no layer out");
    if (cli_has(c, "min-sqnr") && cli_int(c, "check", DEFAULT_CHECKS) == 0)
        return cli_usage(c, "--min-sqnr needs samples that measure: --check N");
    if (cli_has(c, "percentile") && !wants(c, "method", "percentile"))
        return cli_usage(c, "--percentile is for --method percentile");
    return CLI_OK;
}

/* A long run should not find at its end that it has nowhere to write to, nor write over what it
   reads. */
static int check_output(quantize_job *j)
{
    cli *c = j->c;
    const char *path = cli_text(c, "output", "");
    char *folder = NULL, *real = NULL, *model = NULL;
    if (nnd_port_dir_exists(path)) return cli_usage(c, "option '--output': '%s' is a folder", path);
    nnd_status status = nnd_folder_of(path, "cannot write the model to", &folder);
    nnd_port_free(folder);
    if (status != NND_OK) return cli_fail(c, status, NULL);
    const bool same = nnd_port_path_real(path, &real) == 0 &&
                      nnd_port_path_real(j->path, &model) == 0 && strcmp(real, model) == 0;
    nnd_port_free(real);
    nnd_port_free(model);
    return same ? cli_usage(c, "option '--output': '%s' is the model itself", path) : CLI_OK;
}

/* ---- the result ---------------------------------------------------------------------------- */

static const char *kind_name(nnd_quantized_kind kind)
{
    return kind == NND_QUANTIZED_WEIGHT       ? "weight"
           : kind == NND_QUANTIZED_ACTIVATION ? "activation"
                                              : "output";
}

/* Infinity, which JSON lacks, is null beside measured: true. */
static void put_figure(nnd_json_writer *w, const char *key, double value, bool is_known)
{
    nnd_json_key(w, key);
    if (is_known && isfinite(value))
        nnd_json_put_number(w, value);
    else
        nnd_json_put_null(w);
}

static void put_tensor(nnd_json_writer *w, const nnd_quantized_tensor *t)
{
    nnd_json_begin_object(w);
    cli_json_text(w, "kind", kind_name(t->kind));
    cli_json_text(w, "tensor", t->tensor);
    cli_json_text(w, "node", t->node);
    cli_json_text(w, "op", t->op);
    cli_json_number(w, "low", t->low);
    cli_json_number(w, "high", t->high);
    cli_json_number(w, "scale", t->scale);
    cli_json_int(w, "zero_point", t->zero);
    cli_json_int(w, "channels", (int64_t)t->channels);
    cli_json_bool(w, "measured", t->is_measured);
    put_figure(w, "sqnr", t->sqnr, t->is_measured);
    put_figure(w, "cosine", t->cosine, t->is_measured);
    nnd_json_end_object(w);
}

static int result_json(const quantize_job *j)
{
    cli *c = j->c;
    nnd_json_writer *w = cli_json_begin(c, "quantize");
    if (!w) return cli_fail(c, NND_E_OUT_OF_MEMORY, NULL);
    cli_json_text(w, "model", j->path);
    cli_json_text(w, "output", cli_text(c, "output", ""));
    cli_json_text(w, "weights", cli_text(c, "weights", "int8"));
    cli_json_text(w, "method", methods[nnd_quantize_method(j->q)]);
    cli_json_int(w, "samples", (int64_t)nnd_quantize_sample_count(j->q));
    cli_json_int(w, "bytes_before", (int64_t)nnd_quantize_size_before(j->q));
    cli_json_int(w, "bytes_after", (int64_t)j->size);
    cli_json_bool(w, "upgraded", nnd_quantize_is_upgraded(j->q));
    put_figure(w, "output_sqnr", nnd_quantize_output_sqnr(j->q), true);
    nnd_json_key(w, "tensors");
    nnd_json_begin_array(w);
    for (size_t i = 0; i < nnd_quantize_tensor_count(j->q); i++)
        put_tensor(w, nnd_quantize_tensor_at(j->q, i));
    nnd_json_end_array(w);
    nnd_json_key(w, "kept");
    nnd_json_begin_array(w);
    for (size_t i = 0; i < nnd_quantize_kept_count(j->q); i++) {
        const nnd_quantize_kept *k = nnd_quantize_kept_at(j->q, i);
        nnd_json_begin_object(w);
        cli_json_text(w, "node", k->node);
        cli_json_text(w, "op", k->op);
        cli_json_text(w, "tensor", k->tensor);
        cli_json_text(w, "reason", k->reason);
        nnd_json_end_object(w);
    }
    nnd_json_end_array(w);
    return cli_json_end(c, CLI_OK);
}

static void add_row(cli_table *table, const nnd_quantized_tensor *t)
{
    cli_table_add(table, t->tensor);
    cli_table_add(table, kind_name(t->kind));
    cli_table_add(table, t->op);
    if (t->kind == NND_QUANTIZED_OUTPUT)
        cli_table_add(table, "");
    else
        cli_table_addf(table, "%.4g … %.4g", t->low, t->high);
    if (!t->is_measured) {
        cli_table_add(table, "-");
        cli_table_add(table, "-");
        return;
    }
    cli_table_addf(table, isfinite(t->sqnr) ? "%.1f" : "exact", t->sqnr);
    cli_table_addf(table, "%.6f", t->cosine);
}

static void print_tensors(const quantize_job *j)
{
    static const char *const heads[] = {"TENSOR", "KIND", "OPERATOR", "RANGE", "SQNR dB", "COSINE"};
    const size_t count = nnd_quantize_tensor_count(j->q);
    const size_t shown = cli_has(j->c, "all") || count <= TABLE_ROWS ? count : TABLE_ROWS;
    cli_table table = {.columns = NND_COUNT(heads), .right = 0x30u};
    for (size_t i = 0; i < NND_COUNT(heads); i++)
        cli_table_add(&table, heads[i]);
    for (size_t i = 0; i < shown; i++)
        add_row(&table, nnd_quantize_tensor_at(j->q, i));
    cli_table_print(&table, "");
    if (shown < count) printf("… and %zu better ones (--all shows them)\n", count - shown);
}

static void print_kept(const quantize_job *j)
{
    const size_t count = nnd_quantize_kept_count(j->q);
    if (count) printf("\nstays float:\n");
    for (size_t i = 0; i < count; i++) {
        const nnd_quantize_kept *k = nnd_quantize_kept_at(j->q, i);
        printf("  %s%s'%s': %s\n", k->op, k->op[0] ? " " : "", k->node[0] ? k->node : k->tensor,
               k->reason);
    }
}

static void print_result(const quantize_job *j)
{
    const cli *c = j->c;
    char before[32], after[32];
    const char *output = cli_text(c, "output", ""), *workflow = cli_text(c, "workflow", NULL);
    print_tensors(j);
    print_kept(j);
    cli_bytes_text(nnd_quantize_size_before(j->q), before);
    cli_bytes_text(j->size, after);
    printf("\n%s: %s, was %s; %zu samples\n", output, after, before,
           nnd_quantize_sample_count(j->q));
    const double sqnr = nnd_quantize_output_sqnr(j->q);
    if (wants(c, "weights", "") || wants(c, "weights", "int8"))
        printf("ranges: %s\n", methods[nnd_quantize_method(j->q)]);
    if (isfinite(sqnr)) printf("its outputs keep %.1f dB\n", sqnr);
    if (nnd_quantize_is_upgraded(j->q)) puts("its operator set is 13 now");
    printf("\ncheck it:\n  nndeploy compare-models %s %s --rtol 0.05 --atol 0.05\n", j->path,
           output);
    printf("  nndeploy eval %s --dataset DIR --metric METRIC --set 'NODE.model=\"%s\"'\n",
           workflow ? workflow : "WORKFLOW", output);
}

/* ---- the command --------------------------------------------------------------------------- */

static int quantize(quantize_job *j)
{
    cli *c = j->c;
    nnd_quantize_options options;
    int code = check_usage(c);
    if (code != CLI_OK) return code;
    nnd_status status = cli_model_find(c, 0, "builtin", &j->path);
    if (status != NND_OK) return cli_fail(c, status, NULL);
    code = check_output(j);
    if (code != CLI_OK) return code;
    status = cli_watch_begin(c, &j->cancel);
    cli_watch_progress("loading", 0, 0);
    if (status == NND_OK) status = options_of(j, &options);
    if (status == NND_OK) status = nnd_quantize_create(j->path, &options, &j->q);
    if (status != NND_OK) return cli_fail_work(c, status);
    if (cli_has(c, "calibrate")) code = cli_calibrate(c, j->q, j->path, j->cancel);
    if (code != CLI_OK) return code;
    cli_watch_progress("quantising", 0, 0);
    status = nnd_quantize_finish(j->q, &j->bytes, &j->size);
    if (status == NND_OK)
        status = nnd_error_from_port(
            nnd_port_file_write_atomic(cli_text(c, "output", ""), j->bytes, j->size),
            "cannot write the model", cli_text(c, "output", ""));
    cli_watch_end();
    if (status != NND_OK) return cli_fail_work(c, status);
    if (c->json) return result_json(j);
    print_result(j);
    return CLI_OK;
}

int cli_run_quantize(cli *c)
{
    quantize_job j = {.c = c};
    int code = quantize(&j);
    cli_watch_end();
    nnd_quantize_destroy(j.q);
    nnd_free(j.path);
    nnd_free(j.exclude);
    return code;
}
