/*
 * What our adapter over ONNX Runtime costs: the same library, model, input and number of threads,
 * once through nndeploy's requests and once by plain calls of the library's C functions, in turns
 * in one process. Prints medians, the overhead (target: at most 2 %) and the copies that were
 * counted (target: none).
 *
 *     bench_infer_ort_overhead [model.onnx [threads [runs]]]
 *
 * Without a model: bench-models/mobilenet_v2.onnx below NNDEPLOY_TEST_DATA. The library is the one
 * of NNDEPLOY_ONNXRUNTIME or of the system.
 */
#include "infer/backends/onnxruntime/ort.h"
#include "nndeploy/infer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_RUNS = 2000, WARM_UP = 5 };

/* ---- the plain program --------------------------------------------------------------------- */

typedef struct plain {
    const nnd_ort_api *api;
    OrtSession *session;
    OrtValue *input;
    const char *input_name, *output_name;
} plain;

static void plain_must(const nnd_ort_api *api, OrtStatus *status)
{
    if (!status) return;
    fprintf(stderr, "plain: %s\n", api->GetErrorMessage(status));
    exit(1);
}

static void plain_open(plain *p, const nnd_ort_library *lib, const char *path,
                       const nnd_model *model, const nnd_tensor *x, int threads)
{
    OrtSessionOptions *options = NULL;
    const nnd_ort_api *api = p->api = lib->api;
    char *bytes;
    size_t size;
    plain_must(api, api->CreateSessionOptions(&options));
    plain_must(api, api->SetIntraOpNumThreads(options, threads));
    plain_must(api, api->SetInterOpNumThreads(options, 1));
    plain_must(api, api->SetSessionGraphOptimizationLevel(options, NND_ORT_OPTIMIZE_ALL));
    if (nnd_port_file_read(path, (size_t)1 << 31, &bytes, &size) != 0) exit(1);
    plain_must(api, api->CreateSessionFromArray(lib->env, bytes, size, options, &p->session));
    nnd_port_free(bytes);
    api->ReleaseSessionOptions(options);
    plain_must(api,
               api->CreateTensorWithDataAsOrtValue(lib->cpu, x->data, nnd_tensor_bytes(x), x->dims,
                                                   (size_t)x->rank, NND_ORT_F32, &p->input));
    p->input_name = nnd_model_input(model, 0)->name;
    p->output_name = nnd_model_output(model, 0)->name;
}

static void plain_run(plain *p, OrtIoBinding *binding, const OrtMemoryInfo *cpu)
{
    const nnd_ort_api *api = p->api;
    plain_must(api, api->BindInput(binding, p->input_name, p->input));
    plain_must(api, api->BindOutputToDevice(binding, p->output_name, cpu));
    plain_must(api, api->RunWithBinding(p->session, NULL, binding));
}

/* The result's bytes are looked at as a program would, then let go. */
static float plain_first(plain *p, const nnd_ort_library *lib, OrtIoBinding *binding)
{
    const nnd_ort_api *api = p->api;
    OrtValue **results = NULL;
    size_t count = 0;
    void *data = NULL;
    plain_must(api, api->GetBoundOutputValues(binding, lib->allocator, &results, &count));
    plain_must(api, api->GetTensorMutableData(results[0], &data));
    float first = *(const float *)data;
    for (size_t i = 0; i < count; i++)
        api->ReleaseValue(results[i]);
    plain_must(api, api->AllocatorFree(lib->allocator, results));
    api->ClearBoundInputs(binding);
    api->ClearBoundOutputs(binding);
    return first;
}

/* ---- ours ---------------------------------------------------------------------------------- */

static void must(nnd_status status)
{
    if (status == NND_OK) return;
    nnd_error *error = nnd_error_take();
    fprintf(stderr, "%s: %s\n", nnd_status_name(status), error ? nnd_error_message(error) : "");
    nnd_error_destroy(error);
    exit(1);
}

static float ours_run(nnd_request *request, const nnd_model *model, nnd_value *x)
{
    nnd_value *y;
    must(nnd_request_bind_input(request, nnd_model_input(model, 0)->name, x));
    must(nnd_request_run(request, NULL));
    must(nnd_request_output(request, nnd_model_output(model, 0)->name, &y));
    float first = *(const float *)nnd_value_tensor(y)->data;
    nnd_value_unref(y);
    return first;
}

/* ---- measuring ----------------------------------------------------------------------------- */

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double median_us(int64_t *times, int count)
{
    qsort(times, (size_t)count, sizeof *times, by_time);
    return (double)times[count / 2] * 1e-3;
}

static nnd_value *make_input(const nnd_model *model)
{
    const nnd_model_port *port = nnd_model_input(model, 0);
    int64_t dims[NND_MAX_RANK];
    nnd_value *x;
    for (int d = 0; d < port->rank; d++)
        dims[d] = port->dims[d].value > 0 ? port->dims[d].value : 1;
    must(nnd_value_new_tensor(NND_F32, port->rank, dims, &x));
    const nnd_tensor *t = nnd_value_tensor(x);
    for (size_t i = 0; i < (size_t)nnd_tensor_count(t); i++)
        ((float *)t->data)[i] = (float)(i % 255) / 255.0f;
    return x;
}

/* The order within a pair changes from pair to pair, so that neither side always runs into what the
   other has left in the caches. */
static void measure(const nnd_ort_library *lib, plain *p, nnd_request *request,
                    const nnd_model *model, nnd_value *x, int runs)
{
    static int64_t ours[MAX_RUNS], plainly[MAX_RUNS], differences[MAX_RUNS];
    OrtIoBinding *binding = NULL;
    nnd_copy_stats before = {0}, after;
    float a = 0, b = 0;
    plain_must(p->api, p->api->CreateIoBinding(p->session, &binding));
    for (int i = -WARM_UP; i < runs; i++) {
        if (i == 0) nnd_copy_get_stats(&before);
        for (int side = 0; side < 2; side++) {
            int64_t start = nnd_clock_now();
            bool our_turn = ((i + WARM_UP) & 1) == side;
            if (our_turn) {
                a = ours_run(request, model, x);
            } else {
                plain_run(p, binding, lib->cpu);
                b = plain_first(p, lib, binding);
            }
            if (i >= 0) (our_turn ? ours : plainly)[i] = nnd_clock_now() - start;
        }
    }
    nnd_copy_get_stats(&after);
    p->api->ReleaseIoBinding(binding);
    /* Within a pair the load of the machine is about the same: the median of the differences holds
       where medians of the two sides drift apart. */
    for (int i = 0; i < runs; i++)
        differences[i] = ours[i] - plainly[i];
    double our_us = median_us(ours, runs), plain_us = median_us(plainly, runs);
    double more_us = median_us(differences, runs);
    printf("plain C     median %9.1f us, best %9.1f us\n", plain_us, (double)plainly[0] * 1e-3);
    printf("nndeploy    median %9.1f us, best %9.1f us\n", our_us, (double)ours[0] * 1e-3);
    double our_best = (double)ours[0], plain_best = (double)plainly[0];
    printf("overhead    median of the differences %+.1f us = %+.2f %%, of the best %+.2f %% "
           "(target: at most 2 %%)\n",
           more_us, more_us / plain_us * 100, (our_best / plain_best - 1) * 100);
    printf("copies      %llu in %d runs (target: 0); results %s\n",
           (unsigned long long)(after.copies - before.copies), runs, a == b ? "equal" : "DIFFER");
}

int main(int argc, char **argv)
{
    char path[1024];
    const char *data = getenv("NNDEPLOY_TEST_DATA");
    const nnd_ort_library *lib;
    nnd_model *model;
    nnd_request *request;
    plain p;
    int threads = argc > 2 ? atoi(argv[2]) : 1, runs = argc > 3 ? atoi(argv[3]) : 200;
    if (nnd_ort_library_get(&lib) != NND_OK || (argc < 2 && !data)) {
        printf("skipped: %s\n", argc < 2 && !data ? "NNDEPLOY_TEST_DATA is not set"
                                                  : "ONNX Runtime is not installed");
        return 0;
    }
    if (runs < 1 || runs > MAX_RUNS) runs = MAX_RUNS;
    snprintf(path, sizeof path, "%s/bench-models/mobilenet_v2.onnx", data ? data : "");
    if (argc > 1) snprintf(path, sizeof path, "%s", argv[1]);
    nnd_model_options options = NND_MODEL_OPTIONS_INIT;
    options.backend = "onnxruntime";
    options.threads = threads;
    must(nnd_model_load(path, &options, &model));
    must(nnd_request_create(model, NULL, &request));
    nnd_value *x = make_input(model);
    plain_open(&p, lib, path, model, nnd_value_tensor(x), threads);
    const char *name = strrchr(path, '/');
    printf("%s, onnxruntime %s, %d thread%s, %d runs each, in turns\n", name ? name + 1 : path,
           lib->version, threads, threads == 1 ? "" : "s", runs);
    measure(lib, &p, request, model, x, runs);
    p.api->ReleaseValue(p.input);
    p.api->ReleaseSession(p.session);
    nnd_value_unref(x);
    nnd_request_destroy(request);
    nnd_model_unref(model);
    return 0;
}
