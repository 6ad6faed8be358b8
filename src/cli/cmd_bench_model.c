/* bench model: how fast a model runs. */
#include "cli/model_inputs.h"
#include "cli/profile.h"

#include "nndeploy/sched.h"
#include "port/port.h"

#include <stdlib.h>

typedef struct bench {
    cli *c;
    nnd_cancel *cancel;
    nnd_model *model;
    nnd_request *request;
    cli_model_inputs inputs;
    int64_t *times; /* ns, sorted at the end */
    size_t runs;
    double load_ms, first_ms;
    uint64_t bytes_before;   /* the process's peak before the model was there */
    uint64_t peak_bytes;     /* after the runs: measuring peaks takes memory as well */
    nnd_json_doc *inspected; /* NULL when the backend does not tell */
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

static double peak_mib(const bench *b)
{
    return (double)b->peak_bytes / (1024.0 * 1024.0);
}

static int threads_of(const bench *b)
{
    int threads = nnd_model_threads(b->model);
    return threads ? threads : nnd_sched_threads();
}

/* What the backend says of the model's memory, from "weight_bytes" to "predicted_bytes". */
static void inspect_memory(bench *b)
{
    nnd_json_writer *w = NULL;
    nnd_status status = nnd_json_writer_create(0, &w);
    if (status == NND_OK) status = nnd_model_inspect(b->model, w);
    if (status == NND_OK)
        status = cli_json_reread(w, &b->inspected);
    else
        nnd_json_writer_destroy(w);
    if (status != NND_OK) nnd_error_clear(); /* the figures are an extra */
}

/* 0 = the backend does not tell, or open shapes do not let it. */
static int64_t inspected_bytes(const bench *b, const char *key)
{
    if (!b->inspected) return 0;
    return (int64_t)nnd_json_number(nnd_json_get(nnd_json_root(b->inspected), key), 0);
}

/* How much the peak has grown since before the model was loaded. */
static uint64_t measured_bytes(const bench *b)
{
    return b->peak_bytes > b->bytes_before ? b->peak_bytes - b->bytes_before : 0;
}

static void memory_json(const bench *b, nnd_json_writer *w)
{
    static const char *const keys[] = {"weight_bytes", "packed_bytes", "mapped_bytes",
                                       "resident_bytes", "predicted_bytes"};
    nnd_json_key(w, "memory");
    nnd_json_begin_object(w);
    for (size_t i = 0; i < NND_COUNT(keys); i++)
        if (inspected_bytes(b, keys[i]) > 0) cli_json_int(w, keys[i], inspected_bytes(b, keys[i]));
    cli_json_int(w, "measured_bytes", (int64_t)measured_bytes(b));
    nnd_json_end_object(w);
}

static int bench_json(const bench *b, const cli_profile *profile)
{
    nnd_json_writer *w = cli_json_begin(b->c, "bench_model");
    if (!w) return cli_fail(b->c, NND_E_OUT_OF_MEMORY, NULL);
    cli_json_text(w, "model", cli_operand(b->c, 0));
    cli_json_text(w, "backend", nnd_model_backend(b->model));
    cli_json_text(w, "choice", nnd_model_choice(b->model));
    cli_json_int(w, "threads", threads_of(b));
    cli_json_int(w, "runs", (int64_t)b->runs);
    cli_json_int(w, "warmup", cli_int(b->c, "warmup", 3));
    cli_json_number(w, "load_ms", b->load_ms);
    cli_json_number(w, "first_ms", b->first_ms);
    cli_json_number(w, "min_ms", percentile(b, 0));
    cli_json_number(w, "median_ms", percentile(b, 0.5));
    cli_json_number(w, "mean_ms", mean_ms(b));
    cli_json_number(w, "p95_ms", percentile(b, 0.95));
    cli_json_number(w, "max_ms", percentile(b, 1));
    cli_json_number(w, "peak_mib", peak_mib(b));
    memory_json(b, w);
    if (profile) cli_profile_json(profile, w);
    return cli_json_end(b->c, CLI_OK);
}

static void print_memory(const bench *b)
{
    char measured[32], predicted[32], packed[32], mapped[32];
    cli_bytes_text(measured_bytes(b), measured);
    cli_bytes_text((uint64_t)inspected_bytes(b, "predicted_bytes"), predicted);
    cli_bytes_text((uint64_t)inspected_bytes(b, "packed_bytes"), packed);
    cli_bytes_text((uint64_t)inspected_bytes(b, "mapped_bytes"), mapped);
    printf("the model took %s", measured);
    if (inspected_bytes(b, "predicted_bytes") > 0)
        printf(", predicted %s, of which packed weights %s", predicted, packed);
    if (inspected_bytes(b, "mapped_bytes") > 0) printf("; %s are mapped and shared", mapped);
    putchar('\n');
}

static void bench_text(const bench *b, const cli_profile *profile)
{
    int threads = threads_of(b);
    printf("backend %s (%s), %d thread%s, %zu run%s\n", nnd_model_backend(b->model),
           nnd_model_choice(b->model), threads, threads == 1 ? "" : "s", b->runs,
           b->runs == 1 ? "" : "s");
    printf("min %.3f ms, median %.3f ms, p95 %.3f ms, max %.3f ms\n", percentile(b, 0),
           percentile(b, 0.5), percentile(b, 0.95), percentile(b, 1));
    printf("load %.1f ms, first run %.1f ms, peak memory %.1f MiB\n", b->load_ms, b->first_ms,
           peak_mib(b));
    print_memory(b);
    if (profile) cli_profile_print(profile);
}

static int prepare_bench(bench *b)
{
    cli *c = b->c;
    nnd_request_options options = NND_REQUEST_OPTIONS_INIT;
    b->runs = (size_t)cli_int(c, "runs", 30);
    nnd_status status = cli_watch_begin(c, &b->cancel);
    b->bytes_before = nnd_port_peak_memory();
    int64_t begin = nnd_clock_now();
    if (status == NND_OK) status = cli_model_load(c, b->cancel, &b->model);
    b->load_ms = (double)(nnd_clock_now() - begin) / 1e6;
    if (status != NND_OK) return cli_fail_work(c, status);
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
    return status == NND_OK ? CLI_OK : cli_fail_work(c, status);
}

static int bench_model(bench *b)
{
    cli_profile profile = {0};
    bool wanted = cli_has(b->c, "profile");
    int code = prepare_bench(b);
    if (code != CLI_OK) return code;
    b->c->running = true;
    nnd_status status = measure(b);
    b->peak_bytes = nnd_port_peak_memory();
    if (status == NND_OK) inspect_memory(b);
    if (status == NND_OK && wanted)
        status = cli_profile_take(b->request, threads_of(b), b->cancel, &profile);
    cli_watch_end();
    if (status != NND_OK)
        code = cli_fail_work(b->c, status);
    else if (b->c->json)
        code = bench_json(b, wanted ? &profile : NULL);
    else
        bench_text(b, wanted ? &profile : NULL);
    cli_profile_fini(&profile);
    return code;
}

int cli_run_bench_model(cli *c)
{
    bench b = {.c = c};
    int code = bench_model(&b);
    cli_watch_end();
    nnd_free(b.times);
    nnd_json_destroy(b.inspected);
    cli_model_inputs_fini(&b.inputs);
    nnd_request_destroy(b.request);
    nnd_model_unref(b.model);
    return code;
}
