/*
 * The built-in engine next to ONNX Runtime, in one run: plain calls of the library's C functions
 * with its default options and a number of threads on one side, nndeploy's requests on the other.
 *
 *     bench_engine_onnxruntime [OPTIONS] MODEL.onnx...
 *     --threads 1,2   --seconds S (per row)   --skip-memory   --cpu-time
 *
 * Runs alternate in short blocks; the first run of a block is not counted, because the other side
 * has left its data in the caches and its threads may still spin. A row counts only when all
 * outputs are equal within |a − b| ≤ 1e-4 + 1e-3·max|b|. Load time (from the file to a session that
 * can run) and peak memory (of a process that loads and runs) come from child processes, one per
 * measurement. Ratios are ONNX Runtime ÷ ours for times (larger is better for us), ours ÷ ONNX
 * Runtime for memory.
 *
 * --cpu-time counts the processor time of the process instead of the clock on the wall: with one
 * thread, that is what a quiet machine would show, whatever else runs on this one.
 *
 * The library is the one of NNDEPLOY_ONNXRUNTIME or of the system; without it nothing is measured.
 */
#include "infer/backends/onnxruntime/ort.h"
#include "nndeploy/infer.h"
#include "port/port.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_RUNS = 4000, BLOCK = 6, MAX_PORTS = 32, MAX_THREADS = 8, CHILDREN = 2 };

static void must(nnd_status status)
{
    if (status == NND_OK) return;
    nnd_error *error = nnd_error_take();
    fprintf(stderr, "%s: %s\n", nnd_status_name(status), error ? nnd_error_message(error) : "");
    nnd_error_destroy(error);
    exit(1);
}

static void ort_must(const nnd_ort_api *api, OrtStatus *status)
{
    if (!status) return;
    fprintf(stderr, "onnxruntime: %s\n", api->GetErrorMessage(status));
    exit(1);
}

/* ---- the two sides ------------------------------------------------------------------------- */

typedef struct ours {
    nnd_model *model;
    nnd_request *request;
} ours;

typedef struct theirs {
    const nnd_ort_library *lib;
    OrtSession *session;
    OrtIoBinding *binding;
    OrtValue *inputs[MAX_PORTS];
} theirs;

/* What both sides are asked to do: the names of the ports and the values of the inputs. */
enum { NAME = 128 };
typedef struct task {
    char path[1024];
    int threads;
    size_t input_count, output_count;
    char input_names[MAX_PORTS][NAME], output_names[MAX_PORTS][NAME];
    nnd_value *inputs[MAX_PORTS];
} task;

static void ours_open(ours *o, const char *path, int threads)
{
    nnd_model_options options = NND_MODEL_OPTIONS_INIT;
    options.backend = "builtin";
    options.threads = threads;
    must(nnd_model_load(path, &options, &o->model));
    must(nnd_request_create(o->model, NULL, &o->request));
}

static void ours_close(ours *o)
{
    nnd_request_destroy(o->request);
    nnd_model_unref(o->model);
}

static void ours_bind(const ours *o, const task *t)
{
    for (size_t i = 0; i < t->input_count; i++)
        must(nnd_request_bind_input(o->request, t->input_names[i], t->inputs[i]));
}

/* As a program would use it: the first element of every result is looked at. */
static double ours_run(const ours *o, const task *t)
{
    double sum = 0;
    must(nnd_request_run(o->request, NULL));
    for (size_t i = 0; i < t->output_count; i++) {
        nnd_value *y;
        must(nnd_request_output(o->request, t->output_names[i], &y));
        sum += (double)*(const unsigned char *)nnd_value_tensor(y)->data;
        nnd_value_unref(y);
    }
    return sum;
}

static void theirs_open(theirs *o, const char *path, int threads)
{
    const nnd_ort_api *api = o->lib->api;
    OrtSessionOptions *options = NULL;
    ort_must(api, api->CreateSessionOptions(&options));
    ort_must(api, api->SetIntraOpNumThreads(options, threads));
    ort_must(api, api->CreateSession(o->lib->env, path, options, &o->session));
    api->ReleaseSessionOptions(options);
}

static void theirs_bind(theirs *o, const task *t)
{
    static const unsigned types[] = {[NND_F32] = NND_ORT_F32,
                                     [NND_I64] = NND_ORT_I64,
                                     [NND_I32] = NND_ORT_I32,
                                     [NND_U8] = NND_ORT_U8,
                                     [NND_BOOL] = NND_ORT_BOOL};
    const nnd_ort_api *api = o->lib->api;
    ort_must(api, api->CreateIoBinding(o->session, &o->binding));
    for (size_t i = 0; i < t->input_count; i++) {
        const nnd_tensor *x = nnd_value_tensor(t->inputs[i]);
        ort_must(api, api->CreateTensorWithDataAsOrtValue(o->lib->cpu, x->data, nnd_tensor_bytes(x),
                                                          x->dims, (size_t)x->rank, types[x->dtype],
                                                          &o->inputs[i]));
        ort_must(api, api->BindInput(o->binding, t->input_names[i], o->inputs[i]));
    }
    for (size_t i = 0; i < t->output_count; i++)
        ort_must(api, api->BindOutputToDevice(o->binding, t->output_names[i], o->lib->cpu));
}

static void theirs_close(theirs *o, const task *t)
{
    const nnd_ort_api *api = o->lib->api;
    for (size_t i = 0; i < t->input_count; i++)
        api->ReleaseValue(o->inputs[i]);
    api->ReleaseIoBinding(o->binding);
    api->ReleaseSession(o->session);
}

static double theirs_run(const theirs *o)
{
    const nnd_ort_api *api = o->lib->api;
    OrtValue **results = NULL;
    size_t count = 0;
    double sum = 0;
    ort_must(api, api->RunWithBinding(o->session, NULL, o->binding));
    ort_must(api, api->GetBoundOutputValues(o->binding, o->lib->allocator, &results, &count));
    for (size_t i = 0; i < count; i++) {
        void *data = NULL;
        ort_must(api, api->GetTensorMutableData(results[i], &data));
        sum += (double)*(const unsigned char *)data;
        api->ReleaseValue(results[i]);
    }
    ort_must(api, api->AllocatorFree(o->lib->allocator, results));
    return sum;
}

/* ---- inputs -------------------------------------------------------------------------------- */

/* <folder of the model>/ref/ref.json, where real models keep an input to try them with. */
static nnd_json_doc *reference_of(const char *path)
{
    char file[1024], *text = NULL;
    size_t size;
    const char *slash = strrchr(path, '/');
    nnd_json_doc *doc = NULL;
    snprintf(file, sizeof file, "%.*sref/ref.json", slash ? (int)(slash - path + 1) : 0, path);
    if (nnd_port_file_read(file, (size_t)1 << 24, &text, &size) != 0) return NULL;
    if (nnd_json_parse(text, size, file, &doc) != NND_OK) must(NND_E_FORMAT);
    nnd_port_free(text);
    return doc;
}

static nnd_value *reference_input(const nnd_json_doc *doc, const char *path, const char *name,
                                  nnd_dtype dtype)
{
    const nnd_json *list = doc ? nnd_json_get(nnd_json_root(doc), "inputs") : NULL;
    for (size_t i = 0; i < nnd_json_count(list); i++) {
        const nnd_json *entry = nnd_json_at(list, i), *shape = nnd_json_get(entry, "shape");
        if (strcmp(nnd_json_string(nnd_json_get(entry, "name"), ""), name) != 0) continue;
        int64_t dims[NND_MAX_RANK] = {0};
        int rank = (int)nnd_json_count(shape);
        for (int d = 0; d < rank && d < NND_MAX_RANK; d++)
            if (!nnd_json_int(nnd_json_at(shape, (size_t)d), &dims[d])) must(NND_E_FORMAT);
        nnd_value *x;
        char file[1024], *bytes;
        size_t size;
        must(nnd_value_new_tensor(dtype, rank, dims, &x));
        const char *slash = strrchr(path, '/');
        snprintf(file, sizeof file, "%.*sref/%s", slash ? (int)(slash - path + 1) : 0, path,
                 nnd_json_string(nnd_json_get(entry, "file"), ""));
        if (nnd_port_file_read(file, (size_t)1 << 31, &bytes, &size) != 0) must(NND_E_NOT_FOUND);
        const nnd_tensor *t = nnd_value_tensor(x);
        if (size != nnd_tensor_bytes(t)) must(NND_E_SHAPE);
        memcpy(t->data, bytes, size);
        nnd_port_free(bytes);
        return x;
    }
    return NULL;
}

static nnd_value *random_input(const nnd_model_port *port)
{
    int64_t dims[NND_MAX_RANK];
    uint32_t seed = 12345;
    nnd_value *x;
    for (int d = 0; d < port->rank; d++)
        dims[d] = port->dims[d].value > 0 ? port->dims[d].value : 1;
    must(nnd_value_new_tensor(port->dtype, port->rank, dims, &x));
    const nnd_tensor *t = nnd_value_tensor(x);
    memset(t->data, 0, nnd_tensor_bytes(t));
    for (size_t i = 0; t->dtype == NND_F32 && i < (size_t)nnd_tensor_count(t); i++) {
        seed = seed * 1664525u + 1013904223u;
        ((float *)t->data)[i] = (float)(seed >> 8) / 8388608.0f - 1.0f;
    }
    return x;
}

static void task_init(task *t, const nnd_model *model, const char *path, int threads)
{
    nnd_json_doc *doc = reference_of(path);
    *t = (task){.threads = threads};
    snprintf(t->path, sizeof t->path, "%s", path);
    for (size_t i = 0; i < nnd_model_input_count(model) && t->input_count < MAX_PORTS; i++) {
        const nnd_model_port *port = nnd_model_input(model, i);
        nnd_value *x = reference_input(doc, path, port->name, port->dtype);
        if (!x && port->optional) continue;
        t->inputs[t->input_count] = x ? x : random_input(port);
        snprintf(t->input_names[t->input_count++], NAME, "%s", port->name);
    }
    for (size_t i = 0; i < nnd_model_output_count(model) && i < MAX_PORTS; i++)
        snprintf(t->output_names[t->output_count++], NAME, "%s", nnd_model_output(model, i)->name);
    nnd_json_destroy(doc);
}

static void task_fini(task *t)
{
    for (size_t i = 0; i < t->input_count; i++)
        nnd_value_unref(t->inputs[i]);
}

/* ---- comparing ----------------------------------------------------------------------------- */

static double at(nnd_dtype dtype, const void *data, size_t i)
{
    switch (dtype) {
    case NND_F32:
        return (double)((const float *)data)[i];
    case NND_I64:
        return (double)((const int64_t *)data)[i];
    case NND_I32:
        return (double)((const int32_t *)data)[i];
    default:
        return (double)((const unsigned char *)data)[i];
    }
}

/* Largest |a − b| / (1e-4 + 1e-3·max|b|) over all outputs: at most 1 counts as equal. */
static double difference(const ours *a, const theirs *b, const task *t)
{
    const nnd_ort_api *api = b->lib->api;
    OrtValue **results = NULL;
    size_t count = 0;
    double worst = 0;
    (void)ours_run(a, t);
    ort_must(api, api->RunWithBinding(b->session, NULL, b->binding));
    ort_must(api, api->GetBoundOutputValues(b->binding, b->lib->allocator, &results, &count));
    for (size_t i = 0; i < count; i++) {
        nnd_value *y;
        void *data = NULL;
        double largest = 0, apart = 0;
        must(nnd_request_output(a->request, t->output_names[i], &y));
        ort_must(api, api->GetTensorMutableData(results[i], &data));
        const nnd_tensor *y_tensor = nnd_value_tensor(y);
        for (size_t k = 0; k < (size_t)nnd_tensor_count(y_tensor); k++) {
            double ya = at(y_tensor->dtype, y_tensor->data, k);
            double yb = at(y_tensor->dtype, data, k);
            if (!isfinite(ya) || !isfinite(yb)) apart = INFINITY;
            largest = fmax(largest, fabs(yb));
            apart = fmax(apart, fabs(ya - yb));
        }
        worst = fmax(worst, apart / (1e-4 + 1e-3 * largest));
        nnd_value_unref(y);
        api->ReleaseValue(results[i]);
    }
    ort_must(api, api->AllocatorFree(b->lib->allocator, results));
    return worst;
}

/* ---- timing -------------------------------------------------------------------------------- */

typedef struct times {
    double min, median; /* ms */
} times;

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static times summary(int64_t *ns, int count)
{
    qsort(ns, (size_t)count, sizeof *ns, by_time);
    return (times){(double)ns[0] * 1e-6, (double)ns[count / 2] * 1e-6};
}

static bool use_cpu_time;

static int64_t now(void)
{
    if (!use_cpu_time) return nnd_clock_now();
    return (int64_t)((double)clock() * (1e9 / CLOCKS_PER_SEC));
}

/* ONNX Runtime's threads look for work for tens of milliseconds after a run; on a machine with as
   many processors as threads they would take ours away. Waits until nothing in this process
   computes, a second at most. */
static void settle(void)
{
    for (int i = 0; i < 100; i++) {
        clock_t before = clock();
        nnd_port_sleep(10 * 1000000);
        if (clock() - before < (clock_t)CLOCKS_PER_SEC / 1000) return;
    }
}

static void alternate(const ours *a, const theirs *b, const task *t, double seconds, times *of_ours,
                      times *of_theirs)
{
    static int64_t ns[2][MAX_RUNS];
    int count = 0;
    int64_t end = nnd_clock_now() + (int64_t)(seconds * 1e9);
    while (count + BLOCK <= MAX_RUNS && (count < 2 * BLOCK || nnd_clock_now() < end)) {
        for (int side = 0; side < 2; side++) {
            for (int i = -1; i < BLOCK; i++) {
                int64_t start = now();
                volatile double used = side ? theirs_run(b) : ours_run(a, t);
                (void)used;
                if (i >= 0) ns[side][count + i] = now() - start;
            }
            settle();
        }
        count += BLOCK;
    }
    *of_ours = summary(ns[0], count);
    *of_theirs = summary(ns[1], count);
}

/* ---- load time and memory, in a process of their own ---------------------------------------- */

typedef struct footprint {
    double load_ms, peak_mib;
} footprint;

static void must_io(size_t done, size_t wanted, const char *file)
{
    if (done == wanted) return;
    fprintf(stderr, "%s: cannot be read or written\n", file);
    exit(1);
}

/* The task as a file for the children, which so need no second loader to know the ports. */
static void task_write(const task *t, const char *file)
{
    FILE *f = fopen(file, "wb");
    must_io(f != NULL, 1, file);
    must_io(fwrite(t, sizeof *t, 1, f), 1, file);
    for (size_t i = 0; i < t->input_count; i++) {
        nnd_tensor x = *nnd_value_tensor(t->inputs[i]);
        size_t bytes = nnd_tensor_bytes(&x);
        must_io(fwrite(&x, sizeof x, 1, f), 1, file);
        must_io(fwrite(x.data, 1, bytes, f), bytes, file);
    }
    must_io(fclose(f) == 0, 1, file);
}

static void task_read(task *t, const char *file)
{
    FILE *f = fopen(file, "rb");
    must_io(f != NULL, 1, file);
    must_io(fread(t, sizeof *t, 1, f), 1, file);
    for (size_t i = 0; i < t->input_count; i++) {
        nnd_tensor x;
        must_io(fread(&x, sizeof x, 1, f), 1, file);
        must(nnd_value_new_tensor(x.dtype, x.rank, x.dims, &t->inputs[i]));
        const nnd_tensor *to = nnd_value_tensor(t->inputs[i]);
        must_io(fread(to->data, 1, nnd_tensor_bytes(to), f), nnd_tensor_bytes(to), file);
    }
    fclose(f);
}

/* The child: loads, runs a few times, leaves the figures in `out`. */
static int child(const char *side, const char *task_file, const char *out)
{
    bool our_side = strcmp(side, "ours") == 0;
    footprint f;
    ours a;
    theirs b = {0};
    task t;
    task_read(&t, task_file);
    if (!our_side) must(nnd_ort_library_get(&b.lib));
    int64_t start = nnd_clock_now();
    if (our_side)
        ours_open(&a, t.path, t.threads);
    else
        theirs_open(&b, t.path, t.threads);
    f.load_ms = (double)(nnd_clock_now() - start) * 1e-6;
    if (our_side)
        ours_bind(&a, &t);
    else
        theirs_bind(&b, &t);
    for (int i = 0; i < 3; i++)
        (void)(our_side ? ours_run(&a, &t) : theirs_run(&b));
    f.peak_mib = (double)nnd_port_peak_memory() / 1048576.0;
    if (our_side)
        ours_close(&a);
    else
        theirs_close(&b, &t);
    task_fini(&t);
    FILE *file = fopen(out, "wb");
    must_io(file != NULL, 1, out);
    must_io(fwrite(&f, sizeof f, 1, file), 1, out);
    must_io(fclose(file) == 0, 1, out);
    return 0;
}

static footprint in_child(const char *self, const char *side, const task *t)
{
    char task_file[1100], out[1100];
    footprint best = {INFINITY, INFINITY};
    snprintf(task_file, sizeof task_file, "%s.task", self);
    snprintf(out, sizeof out, "%s.result", self);
    task_write(t, task_file);
    for (int i = 0; i < CHILDREN; i++) {
        const char *argv[] = {self, "--child", side, task_file, out, NULL};
        nnd_port_spawn spawn = {.argv = argv};
        nnd_port_process *process;
        footprint f;
        int code = 1;
        must_io(nnd_port_process_spawn(&spawn, &process) == 0, 1, self);
        int rc = nnd_port_process_wait(process, nnd_clock_now() + (int64_t)120e9, &code);
        nnd_port_process_destroy(process);
        must_io(rc == 0 && code == 0, 1, t->path);
        FILE *file = fopen(out, "rb");
        must_io(file != NULL, 1, out);
        must_io(fread(&f, sizeof f, 1, file), 1, out);
        fclose(file);
        best.load_ms = fmin(best.load_ms, f.load_ms);
        best.peak_mib = fmin(best.peak_mib, f.peak_mib);
    }
    remove(task_file);
    remove(out);
    return best;
}

/* ---- the table ----------------------------------------------------------------------------- */

typedef struct settings {
    const char *self;
    int threads[MAX_THREADS];
    int thread_count;
    double seconds;
    bool memory;
} settings;

/* Logarithms of ratios, summed up over the rows that count. */
typedef struct mean {
    double sum;
    int count;
    double worst;
} mean;

enum { ALL, USUAL, LOAD, PEAK, MEANS };
typedef struct totals {
    mean means[MEANS];
    int rows, equal, slower;
} totals;

static void mean_add(mean *m, double ratio)
{
    if (!m->count || ratio < m->worst) m->worst = ratio;
    m->sum += log(ratio);
    m->count++;
}

static const char *base_name(const char *path, char *text, size_t size)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    int length = (int)strcspn(name, ".");
    if (strcmp(name, "model.onnx") == 0) { /* a folder per model */
        const char *begin = slash;
        while (begin > path && begin[-1] != '/')
            begin--;
        name = begin;
        length = (int)(slash - begin);
    }
    snprintf(text, size, "%.*s%s", length, name, strstr(name, ".external.") ? " (ext)" : "");
    return text;
}

/* Nets whose time is one operator's, or that are large plain 3×3 stacks: one target leaves them
 * out. */
static bool is_usual(const char *name)
{
    static const char *const special[] = {"alexnet", "googlenet", "inception_v1", "zfnet", "vgg"};
    for (size_t i = 0; i < NND_COUNT(special); i++)
        if (strstr(name, special[i])) return false;
    return true;
}

static void row(const settings *s, const nnd_ort_library *lib, const char *path, int threads,
                totals *sum)
{
    char name[96];
    ours a;
    theirs b = {.lib = lib};
    task t;
    times mine, other;
    base_name(path, name, sizeof name);
    ours_open(&a, path, threads);
    theirs_open(&b, path, threads);
    task_init(&t, a.model, path, threads);
    ours_bind(&a, &t);
    theirs_bind(&b, &t);
    double apart = difference(&a, &b, &t);
    alternate(&a, &b, &t, s->seconds, &mine, &other);
    theirs_close(&b, &t);
    ours_close(&a);
    double ratio = other.min / mine.min;
    printf("%-26s %d  %8.2f %8.2f  %8.2f %8.2f  %5.2f", name, threads, mine.min, mine.median,
           other.min, other.median, ratio);
    sum->rows++;
    if (apart <= 1.0) {
        sum->equal++;
        sum->slower += ratio < 1.0;
        mean_add(&sum->means[ALL], ratio);
        if (is_usual(name)) mean_add(&sum->means[USUAL], ratio);
    }
    if (s->memory && threads == s->threads[0]) {
        footprint f = in_child(s->self, "ours", &t), g = in_child(s->self, "theirs", &t);
        printf("  %7.1f %7.1f %5.2f  %6.0f %6.0f %5.2f", f.load_ms, g.load_ms,
               f.load_ms / g.load_ms, f.peak_mib, g.peak_mib, f.peak_mib / g.peak_mib);
        if (apart <= 1.0) {
            mean_add(&sum->means[LOAD], f.load_ms / g.load_ms);
            mean_add(&sum->means[PEAK], f.peak_mib / g.peak_mib);
        }
    }
    printf(apart <= 1.0 ? "\n" : "  outputs differ: %.3g × the tolerance, not counted\n", apart);
    fflush(stdout);
    task_fini(&t);
}

static void print_mean(const char *what, const mean *m, const char *target)
{
    if (m->count)
        printf("%-52s %5.2f over %d rows (target: %s)\n", what, exp(m->sum / m->count), m->count,
               target);
}

static void print_totals(const totals *sum)
{
    printf("\n%d rows, %d with equal outputs, %d of these slower than ONNX Runtime (target: 0)\n",
           sum->rows, sum->equal, sum->slower);
    print_mean("geometric mean of time ratios, all", &sum->means[ALL], "at least 1.3");
    print_mean("geometric mean without LRN nets and vgg", &sum->means[USUAL], "at least 1.15");
    print_mean("geometric mean of load time ratios", &sum->means[LOAD], "at most 0.5");
    print_mean("geometric mean of peak memory ratios", &sum->means[PEAK], "at most 0.6");
}

static void read_threads(settings *s, const char *list)
{
    s->thread_count = 0;
    for (const char *p = list; *p && s->thread_count < MAX_THREADS; p += strspn(p, ",")) {
        char *end;
        s->threads[s->thread_count++] = (int)strtol(p, &end, 10);
        if (end == p || s->threads[s->thread_count - 1] < 1) {
            fprintf(stderr, "--threads wants numbers like 1,2\n");
            exit(2);
        }
        p = end;
    }
}

int main(int argc, char **argv)
{
    settings s = {
        .self = argv[0], .threads = {1, 2}, .thread_count = 2, .seconds = 2, .memory = true};
    const nnd_ort_library *lib;
    totals sum = {0};
    if (argc == 5 && strcmp(argv[1], "--child") == 0) return child(argv[2], argv[3], argv[4]);
    int first = 1;
    for (; first < argc && argv[first][0] == '-'; first++) {
        if (strcmp(argv[first], "--threads") == 0 && first + 1 < argc)
            read_threads(&s, argv[++first]);
        else if (strcmp(argv[first], "--seconds") == 0 && first + 1 < argc)
            s.seconds = atof(argv[++first]);
        else if (strcmp(argv[first], "--skip-memory") == 0)
            s.memory = false;
        else if (strcmp(argv[first], "--cpu-time") == 0)
            use_cpu_time = true;
        else
            break;
    }
    if (first >= argc || argv[first][0] == '-') {
        fprintf(stderr,
                "usage: %s [--threads 1,2] [--seconds S] [--skip-memory] [--cpu-time] "
                "MODEL.onnx...\n",
                argv[0]);
        return 2;
    }
    if (nnd_ort_library_get(&lib) != NND_OK) {
        nnd_error *error = nnd_error_take();
        printf("skipped: %s\n", nnd_error_message(error));
        nnd_error_destroy(error);
        return 0;
    }
    printf(
        "nndeploy %s and ONNX Runtime %s; times in ms, ratios: time ONNX Runtime / ours, load and "
        "memory ours / ONNX Runtime\n\n",
        nnd_version(), lib->version);
    printf("%-26s %s  %8s %8s  %8s %8s  %5s  %7s %7s %5s  %6s %6s %5s\n", "model", "t", "ours min",
           "median", "ORT min", "median", "ratio", "load", "ORT", "ratio", "peak", "ORT", "ratio");
    for (; first < argc; first++)
        for (int i = 0; i < s.thread_count; i++)
            row(&s, lib, argv[first], s.threads[i], &sum);
    print_totals(&sum);
    return 0;
}
