/* Measuring models, the file that keeps what was found, and "auto", which goes by it. */
#include "infer_support.h"

#include "infer/tuning.h"

#include <stdatomic.h>
#include <utime.h>

/* Backends that differ in what tuning has to tell apart. Each reads ".toy" files and gives y = x.
 */
typedef struct toy {
    const char *name;
    const char *version;
    int64_t sleep; /* ns of a run on one thread; on two it takes half */
    float error;   /* y = x + error · x */
    bool available, broken;
    const char *precisions;
} toy;
enum { STEADY, QUICK, WRONG, GONE, BROKEN, TOYS };
static toy toys[TOYS] = {
    [STEADY] = {"steady", "1", 30000000, 0, true, false, "f16"},
    [QUICK] = {"quick", "1", 4000000, 0.001f, true, false, NULL},
    [WRONG] = {"wrong", "1", 0, 0.5f, true, false, NULL},
    [GONE] = {"gone", "1", 0, 0, false, false, NULL},
    [BROKEN] = {"broken", "1", 0, 0, true, true, NULL},
};
static atomic_int loads, runs, opened_threads;
static char folder[256], tuning_file[512];

typedef struct toy_model {
    const toy *kind;
    int threads;
    bool half;
} toy_model;

static nnd_status load_toy(int which, const nnd_model_options *options, void **model)
{
    const void *bytes;
    size_t size;
    void (*release)(void *);
    void *handle;
    atomic_fetch_add(&loads, 1);
    if (toys[which].broken) return nnd_error_set(NND_E_BACKEND, "it does not start");
    NND_TRY(
        options->open_file(options->open_user, "weights.bin", &bytes, &size, &release, &handle));
    release(handle);
    toy_model *m = nnd_calloc(1, sizeof *m);
    if (!m) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory");
    m->kind = &toys[which];
    m->threads = options->threads;
    m->half = options->precision && strcmp(options->precision, "f16") == 0;
    *model = m;
    return NND_OK;
}

static void toy_unload(void *model)
{
    nnd_free(model);
}

static size_t toy_port_count(const void *model, bool outputs)
{
    (void)model, (void)outputs;
    return 1;
}

static const nnd_model_port *toy_port(const void *model, bool outputs, size_t index)
{
    static const nnd_model_port ports[2] = {
        {.size = sizeof(nnd_model_port),
         .name = "x",
         .dtype = NND_F32,
         .rank = 1,
         .dims = {{4, NULL}}},
        {.size = sizeof(nnd_model_port),
         .name = "y",
         .dtype = NND_F32,
         .rank = 1,
         .dims = {{4, NULL}}},
    };
    (void)model, (void)index;
    return &ports[outputs];
}

static nnd_status toy_open(void *model, const nnd_request_options *options, void **request)
{
    atomic_store(&opened_threads, options->threads);
    *request = model;
    return NND_OK;
}

static void toy_close(void *request)
{
    (void)request;
}

static nnd_status toy_run(void *request, nnd_value *const *inputs, nnd_value **outputs,
                          nnd_cancel *cancel)
{
    const toy_model *m = request;
    (void)cancel;
    atomic_fetch_add(&runs, 1);
    nnd_port_sleep(m->kind->sleep / (m->threads > 1 ? 2 : 1));
    NND_TRY(nnd_value_new_tensor(NND_F32, 1, (int64_t[]){4}, &outputs[0]));
    for (int i = 0; i < 4; i++)
        ((float *)nnd_value_tensor(outputs[0])->data)[i] =
            floats_of(inputs[0])[i] * (1 + m->kind->error + (m->half ? 0.2f : 0));
    return NND_OK;
}

static void probe_toy(int which, nnd_backend_status *status)
{
    status->name = toys[which].name;
    status->available = toys[which].available;
    snprintf(status->version, sizeof status->version, "%s", toys[which].version);
    snprintf(status->reason, sizeof status->reason, "not here");
}

#define TOY(which)                                                                                 \
    static void probe_##which(nnd_backend_status *status)                                          \
    {                                                                                              \
        probe_toy(which, status);                                                                  \
    }                                                                                              \
    static nnd_status load_##which(const void *bytes, size_t size, const char *path,               \
                                   const nnd_model_options *options, void **model)                 \
    {                                                                                              \
        (void)bytes, (void)size, (void)path;                                                       \
        return load_toy(which, options, model);                                                    \
    }
TOY(STEADY)
TOY(QUICK)
TOY(WRONG)
TOY(GONE)
TOY(BROKEN)

static nnd_backend tables[TOYS];

static int begin(void **state)
{
    (void)state;
    static void (*const probes[TOYS])(nnd_backend_status *) = {
        probe_STEADY, probe_QUICK, probe_WRONG, probe_GONE, probe_BROKEN};
    static nnd_status (*const loaders[TOYS])(const void *, size_t, const char *,
                                             const nnd_model_options *, void **) = {
        load_STEADY, load_QUICK, load_WRONG, load_GONE, load_BROKEN};
    for (int i = 0; i < TOYS; i++) {
        tables[i] = (nnd_backend){.struct_size = sizeof(nnd_backend),
                                  .name = toys[i].name,
                                  .formats = "toy",
                                  .probe = probes[i],
                                  .load = loaders[i],
                                  .unload = toy_unload,
                                  .port_count = toy_port_count,
                                  .port = toy_port,
                                  .open = toy_open,
                                  .close = toy_close,
                                  .run = toy_run,
                                  .precisions = toys[i].precisions};
        assert_ok(nnd_backend_register(&tables[i]));
    }
    make_folder(folder, sizeof folder);
    snprintf(tuning_file, sizeof tuning_file, "%s/deep/tuning.json", folder);
    assert_ok(nnd_tuning_set_path(tuning_file));
    return nnd_sched_set_threads(2);
}

static int finish(void **state)
{
    (void)state;
    char command[320];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    nnd_tuning_set_path(NULL);
    return system(command);
}

/* Fresh files before every test. */
static int fresh(void **state)
{
    (void)state;
    put_file(in_folder(folder, "m.toy"), "a model", 7);
    put_file(in_folder(folder, "weights.bin"), "weights", 7);
    nnd_port_file_remove(tuning_file);
    /* Without sleep all runs that may be made are made at once. */
    toys[STEADY].sleep = toys[QUICK].sleep = 0;
    toys[QUICK].version = "1";
    toys[QUICK].available = true;
    toys[QUICK].broken = false;
    return 0;
}

/* ---- helpers ------------------------------------------------------------------------------ */

static nnd_status tune_with(const char *const *backends, size_t count, double tolerance,
                            nnd_tuning *tuning)
{
    static const char *const names[] = {"x"};
    nnd_value *x = tensor_of(1, (int64_t[]){4}, (float[]){1, 2, 3, 4});
    nnd_tune_options options = {.path = in_folder(folder, "m.toy"),
                                .backends = backends,
                                .backend_count = count,
                                .tolerance = tolerance,
                                .budget = 3000000000,
                                .input_names = names,
                                .inputs = &x,
                                .input_count = 1};
    nnd_status status = nnd_tune_model(&options, tuning);
    nnd_value_unref(x);
    return status;
}

/* Tunes m.toy on all backends and writes the file. Which trial is the best does not depend on how
   busy this machine is: 'quick' on two threads. */
static void tune_toys(void)
{
    nnd_tuning *tuning = NULL;
    assert_ok(nnd_tuning_create(&tuning));
    assert_ok(tune_with(NULL, 0, 0.01, tuning));
    nnd_tuning_entry *entry = &tuning->entries.items[0];
    for (size_t i = 0; i < entry->trials.count; i++) {
        nnd_tuning_trial *t = &entry->trials.items[i];
        bool quick = strcmp(t->backend, "quick") == 0;
        t->median_ms = (quick ? 8.0 : 60.0) / (double)t->threads;
        if (quick && t->threads == 2) entry->choice = (int64_t)i;
    }
    assert_ok(nnd_tuning_save(tuning, tuning_file));
    nnd_tuning_unref(tuning);
}

static const nnd_tuning_trial *trial_of(const nnd_tuning_entry *entry, const char *backend,
                                        const char *precision, int threads)
{
    for (size_t i = 0; i < entry->trials.count; i++) {
        const nnd_tuning_trial *t = &entry->trials.items[i];
        if (strcmp(t->backend, backend) == 0 && strcmp(t->precision, precision) == 0 &&
            t->threads == threads)
            return t;
    }
    fail_msg("no trial of %s", backend);
    return NULL;
}

/* Loads m.toy with these options; how it was chosen must hold the words. */
static void expect_choice(const nnd_model_options *options, const char *backend, int threads,
                          const char *words)
{
    nnd_model *model = NULL;
    assert_ok(nnd_model_load(in_folder(folder, "m.toy"), options, &model));
    assert_string_equal(nnd_model_backend(model), backend);
    assert_int_equal(nnd_model_threads(model), threads);
    if (!strstr(nnd_model_choice(model), words))
        fail_msg("'%s' is not in '%s'", words, nnd_model_choice(model));
    nnd_model_unref(model);
}

static int warnings;
static char warning[1024];

static void catch_warning(void *user, nnd_log_level level, const char *room, const char *line)
{
    (void)user, (void)room;
    if (level != NND_LOG_WARN) return;
    warnings++;
    snprintf(warning, sizeof warning, "%s", line);
}

/* ---- measuring ---------------------------------------------------------------------------- */

static void the_fastest_that_agrees_is_chosen(void **state)
{
    (void)state;
    nnd_tuning *tuning = NULL;
    toys[STEADY].sleep = 60000000;
    toys[QUICK].sleep = 4000000;
    assert_ok(nnd_tuning_create(&tuning));
    assert_ok(tune_with(NULL, 0, 0.01, tuning));
    assert_int_equal(tuning->entries.count, 1);
    const nnd_tuning_entry *entry = &tuning->entries.items[0];
    /* steady, steady f16, quick, wrong, broken; on one thread and on two */
    assert_int_equal(entry->trials.count, 10);
    const nnd_tuning_trial *best = &entry->trials.items[entry->choice];
    assert_string_equal(best->backend, "quick");
    assert_true(best->runs >= 1 && best->median_ms >= best->min_ms && best->min_ms >= 2);
    assert_float_equal(best->error, 0.001, 1e-5);
    const nnd_tuning_trial *reference = trial_of(entry, "steady", "", 1);
    assert_true(reference->accepted);
    assert_float_equal(reference->error, 0, 0);
    const nnd_tuning_trial *half = trial_of(entry, "steady", "f16", 2);
    assert_false(half->accepted);
    assert_float_equal(half->error, 0.2, 1e-3);
    const nnd_tuning_trial *wrong = trial_of(entry, "wrong", "", 1);
    assert_false(wrong->accepted);
    assert_non_null(strstr(wrong->reason, "'y'"));
    const nnd_tuning_trial *broken = trial_of(entry, "broken", "", 1);
    assert_false(broken->accepted);
    assert_non_null(strstr(broken->reason, "does not start"));
    assert_int_equal(entry->files.count, 2);
    assert_string_equal(entry->files.items[0].name, "m.toy");
    assert_string_equal(entry->files.items[1].name, "weights.bin");
    assert_string_equal(entry->inputs.items[0].type, "f32[4]");
    nnd_tuning_unref(tuning);
}

static void backends_and_tolerance_are_the_users(void **state)
{
    (void)state;
    static const char *const named[] = {"wrong", "quick"}, *const gone[] = {"gone"},
                             *const none[] = {"nosuch"}, *const broken[] = {"broken"};
    nnd_tuning *tuning = NULL;
    assert_ok(nnd_tuning_create(&tuning));
    assert_ok(tune_with(named, 2, 0.01, tuning)); /* the first is the reference */
    assert_string_equal(
        tuning->entries.items[0].trials.items[tuning->entries.items[0].choice].backend, "wrong");
    assert_false(trial_of(&tuning->entries.items[0], "quick", "", 2)->accepted);
    assert_ok(tune_with(named, 2, 0.5, tuning));
    assert_true(trial_of(&tuning->entries.items[1], "quick", "", 2)->accepted);
    assert_fails(tune_with(gone, 1, 0.01, tuning), NND_E_MISSING, "gone", "not here");
    assert_fails(tune_with(none, 1, 0.01, tuning), NND_E_NOT_FOUND, "nosuch");
    assert_fails(tune_with(broken, 1, 0.01, tuning), NND_E_UNSUPPORTED, "broken", "does not start");
    assert_int_equal(tuning->entries.count, 2); /* failures leave nothing */
    nnd_tuning_unref(tuning);
}

/* ---- using -------------------------------------------------------------------------------- */

static void auto_goes_by_the_file(void **state)
{
    (void)state;
    nnd_model_options options = NND_MODEL_OPTIONS_INIT;
    expect_choice(NULL, "steady", 0, "first");
    tune_toys();
    atomic_store(&runs, 0);
    atomic_store(&loads, 0);
    expect_choice(NULL, "quick", 2, "tuned");
    assert_int_equal(atomic_load(&runs), 0); /* loading measures nothing */
    assert_int_equal(atomic_load(&loads), 1);
    options.backend = "auto";
    expect_choice(&options, "quick", 2, "tuned");
    options.threads = 1; /* what was asked for stays */
    expect_choice(&options, "quick", 1, "tuned");
    options.threads = 0;
    options.backend = "steady";
    expect_choice(&options, "steady", 0, "asked");
    options.backend = NULL;
    options.precision = "f32"; /* options are for one backend: nobody guesses which */
    expect_choice(&options, "steady", 0, "first");
    assert_ok(nnd_tuning_set_path("off"));
    expect_choice(NULL, "steady", 0, "first");
    assert_ok(nnd_tuning_set_path(tuning_file));
}

/* A run may use fewer threads than a tuned model, and never more. */
static void requests_use_no_more_threads_than_is_good(void **state)
{
    (void)state;
    nnd_model *model = NULL;
    tune_toys();
    assert_ok(nnd_model_load(in_folder(folder, "m.toy"), NULL, &model));
    static const int asked[] = {0, 1, 2, 8}, got[] = {2, 1, 2, 2};
    for (size_t i = 0; i < NND_COUNT(asked); i++) {
        nnd_request_options options = NND_REQUEST_OPTIONS_INIT;
        nnd_request *request = NULL;
        options.threads = asked[i];
        assert_ok(nnd_request_create(model, &options, &request));
        assert_int_equal(atomic_load(&opened_threads), got[i]);
        nnd_request_destroy(request);
    }
    nnd_model_unref(model);
}

static void set_time(const char *path, time_t when)
{
    assert_int_equal(utime(path, &(struct utimbuf){when, when}), 0);
}

/* The content is the key; time and place only save reading it. */
static void other_content_is_another_model(void **state)
{
    (void)state;
    tune_toys();
    put_file(in_folder(folder, "m.toy"), "a model", 7);
    set_time(in_folder(folder, "m.toy"), 1000000);
    set_time(in_folder(folder, "weights.bin"), 1000000);
    expect_choice(NULL, "quick", 2, "tuned");
    put_file(in_folder(folder, "m.toy"), "b model", 7);
    expect_choice(NULL, "steady", 0, "first");
    put_file(in_folder(folder, "m.toy"), "a model", 7);
    put_file(in_folder(folder, "weights.bin"), "WEIGHTS", 7);
    expect_choice(NULL, "steady", 0, "first");
    nnd_port_file_remove(in_folder(folder, "weights.bin"));
    nnd_model *model = NULL;
    assert_status(nnd_model_load(in_folder(folder, "m.toy"), NULL, &model), NND_E_MISSING);
}

static void what_is_no_longer_true_is_not_used(void **state)
{
    (void)state;
    tune_toys();
    toys[QUICK].version = "2";
    expect_choice(NULL, "steady", 0, "tuned with quick 1, and here is 2");
    toys[QUICK].version = "1";
    toys[QUICK].available = false;
    expect_choice(NULL, "steady", 0, "not available");
    toys[QUICK].available = true;
    nnd_log_set_sink(catch_warning, NULL);
    warnings = 0;
    toys[QUICK].broken = true; /* there, and yet it fails: the fixed order helps */
    expect_choice(NULL, "steady", 0, "first");
    nnd_log_set_sink(NULL, NULL);
    assert_int_equal(warnings, 1);
    assert_non_null(strstr(warning, "quick"));
    toys[QUICK].broken = false;
    expect_choice(NULL, "quick", 2, "tuned");
}

/* The tuning file as it is now. */
static char text[1 << 16];

static size_t read_text(void)
{
    FILE *f = fopen(tuning_file, "rb");
    assert_non_null(f);
    size_t size = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[size] = '\0';
    return size;
}

/* Replaces the first occurrence; the result is malloc'ed. */
static char *replaced(const char *in, const char *from, const char *to)
{
    const char *at = strstr(in, from);
    assert_non_null(at);
    char *out = malloc(strlen(in) + strlen(to) + 1);
    sprintf(out, "%.*s%s%s", (int)(at - in), in, to, at + strlen(from));
    return out;
}

static void results_of_other_machines_are_not_used(void **state)
{
    (void)state;
    static const char *const from[] = {"\"cores\": ", "\"isa\": \"", "\"cpu\": \"",
                                       "\"nndeploy\": \""};
    static const char *const to[] = {"\"cores\": 9", "\"isa\": \"x", "\"cpu\": \"x",
                                     "\"nndeploy\": \"x"};
    static const char *const words[] = {"another machine", "another machine", "another machine",
                                        "measures anew"};
    tune_toys();
    read_text();
    for (size_t i = 0; i < NND_COUNT(from); i++) {
        char *other = replaced(text, from[i], to[i]);
        put_file(tuning_file, other, strlen(other));
        expect_choice(NULL, "steady", 0, words[i]);
        free(other);
    }
}

/* ---- the file ----------------------------------------------------------------------------- */

static void a_damaged_file_is_warned_about_once(void **state)
{
    (void)state;
    tune_toys();
    size_t size = read_text();
    char *later = replaced(text, "tuning/1", "tuning/2");
    const char *bad[] = {"",    "{", "[]", "{\"schema\": 7}", "{\"schema\": \"nndeploy.tuning/1\"}",
                         later, text};
    nnd_log_set_sink(catch_warning, NULL);
    for (size_t i = 0; i < NND_COUNT(bad); i++) {
        bool last = i + 1 == NND_COUNT(bad); /* cut in the middle */
        put_file(tuning_file, bad[i], last ? size / 2 : strlen(bad[i]));
        set_time(tuning_file, (time_t)(2000000 + i));
        warnings = 0;
        expect_choice(NULL, "steady", 0, "first");
        expect_choice(NULL, "steady", 0, "first");
        assert_int_equal(warnings, 1);
        assert_non_null(strstr(warning, tuning_file));
    }
    put_file(tuning_file, text, size);
    warnings = 0;
    expect_choice(NULL, "quick", 2, "tuned");
    assert_int_equal(warnings, 0);
    nnd_log_set_sink(NULL, NULL);
    free(later);
}

/* Every prefix, and every value replaced by one of another kind, is read or refused with a place.
 */
static void any_file_is_read_or_refused(void **state)
{
    (void)state;
    static const char *const kinds[] = {"null", "true", "-1",    "\"text\"",
                                        "[]",   "{}",   "1e400", "0.5"};
    tune_toys();
    size_t size = read_text();
    for (size_t n = 0; n < size; n++) {
        nnd_tuning *tuning = NULL;
        nnd_status status = nnd_tuning_parse(text, n, "t.json", &tuning);
        if (n + 2 < size) assert_status(status, NND_E_FORMAT);
        nnd_tuning_unref(tuning);
    }
    for (const char *at = strstr(text, "\": "); at; at = strstr(at + 1, "\": ")) {
        const char *value = at + 3;
        size_t n = strcspn(value, ",\n");
        if (*value == '{' || *value == '[') continue;
        for (size_t k = 0; k < NND_COUNT(kinds); k++) {
            nnd_tuning *tuning = NULL;
            char *other = malloc(size + 16);
            sprintf(other, "%.*s%s%s", (int)(value - text), text, kinds[k], value + n);
            nnd_error_clear();
            nnd_status status = nnd_tuning_parse(other, strlen(other), "t.json", &tuning);
            assert_true(status == NND_OK || status == NND_E_FORMAT);
            if (status != NND_OK) assert_error_has((const char *const[]){"t.json", NULL});
            nnd_tuning_unref(tuning);
            free(other);
        }
    }
}

static void names_stay_in_the_models_folder(void **state)
{
    (void)state;
    static const char *const names[] = {"../w", "a/../../w", "/etc/passwd", "", "c:\\\\w", ".."};
    tune_toys();
    read_text();
    for (size_t i = 0; i < NND_COUNT(names); i++) {
        nnd_tuning *tuning = NULL;
        char *other = replaced(text, "weights.bin", names[i]);
        assert_fails(nnd_tuning_parse(other, strlen(other), "t.json", &tuning), NND_E_FORMAT,
                     "t.json", "name");
        free(other);
    }
}

/* What is said about other models and machines stays, kernels included; the same is replaced. */
static void saving_keeps_the_rest(void **state)
{
    (void)state;
    nnd_tuning *tuning = NULL;
    tune_toys();
    read_text();
    char *other = replaced(text, "\"cores\": ", "\"cores\": 9");
    char *with = replaced(other, "\"kernels\": []",
                          "\"kernels\": [{\"op\": \"Conv\", \"shape\": \"s\", \"kernel\": \"k\"}]");
    put_file(tuning_file, with, strlen(with));
    put_file(in_folder(folder, "m.toy"), "another", 7);
    tune_toys();
    tune_toys();
    assert_ok(nnd_tuning_read(tuning_file, &tuning));
    assert_int_equal(tuning->entries.count, 2);
    assert_int_equal(tuning->entries.items[0].kernels.count, 1);
    assert_string_equal(tuning->entries.items[0].kernels.items[0].kernel, "k");
    nnd_tuning_unref(tuning);
    read_text();
    free(with);
    with = replaced(text, "\"kernels\": []",
                    "\"kernels\": [{\"op\": \"Gemm\", \"shape\": \"s\", \"kernel\": \"k\"}]");
    put_file(tuning_file, with, strlen(with));
    tune_toys();
    assert_ok(nnd_tuning_read(tuning_file, &tuning));
    assert_string_equal(tuning->entries.items[1].kernels.items[0].op, "Gemm");
    nnd_tuning_unref(tuning);
    free(other);
    free(with);
}

static void a_file_that_cannot_be_read_is_left_alone(void **state)
{
    (void)state;
    nnd_tuning *tuning = NULL;
    tune_toys();
    put_file(tuning_file, "{\"schema\": \"nndeploy.tuning/9\"}", 31);
    assert_ok(nnd_tuning_create(&tuning));
    assert_ok(tune_with(NULL, 0, 0.01, tuning));
    assert_fails(nnd_tuning_save(tuning, tuning_file), NND_E_UNSUPPORTED, tuning_file, "tuning/9");
    nnd_tuning_unref(tuning);
    assert_int_equal(read_text(), 31);
}

static void the_file_in_force_is_found(void **state)
{
    (void)state;
    char *path = NULL;
    assert_ok(nnd_tuning_set_path(NULL));
    assert_int_equal(nnd_port_env_set("NNDEPLOY_TUNING", NULL), 0);
    assert_int_equal(nnd_port_env_set("XDG_CACHE_HOME", "/cache"), 0);
    assert_ok(nnd_tuning_path(&path));
    assert_string_equal(path, "/cache/nndeploy/tuning.json");
    nnd_free(path);
    /* Empty is unset. */
    assert_int_equal(nnd_port_env_set("NNDEPLOY_TUNING", ""), 0);
    assert_int_equal(nnd_port_env_set("XDG_CACHE_HOME", ""), 0);
    assert_int_equal(nnd_port_env_set("HOME", "/home/me"), 0);
    assert_ok(nnd_tuning_path(&path));
    assert_string_equal(path, "/home/me/.cache/nndeploy/tuning.json");
    nnd_free(path);
    assert_int_equal(nnd_port_env_set("NNDEPLOY_TUNING", "/here.json"), 0);
    assert_ok(nnd_tuning_path(&path));
    assert_string_equal(path, "/here.json");
    nnd_free(path);
    assert_ok(nnd_tuning_set_path("off"));
    assert_ok(nnd_tuning_path(&path));
    assert_null(path);
    assert_int_equal(nnd_port_env_set("NNDEPLOY_TUNING", "off"), 0);
    assert_ok(nnd_tuning_set_path(tuning_file));
}

/* ---- threads ------------------------------------------------------------------------------- */

static void load_often(void *arg)
{
    atomic_int *failures = arg;
    char path[512];
    snprintf(path, sizeof path, "%s/m.toy", folder);
    for (int i = 0; i < 50; i++) {
        nnd_model *model = NULL;
        nnd_status status = nnd_model_load(path, NULL, &model);
        const char *backend = status == NND_OK ? nnd_model_backend(model) : "";
        if (strcmp(backend, "quick") != 0 && strcmp(backend, "steady") != 0)
            atomic_fetch_add(failures, 1);
        nnd_model_unref(model);
    }
}

/* Loading while the file is replaced finds the old one or the new one. */
static void the_file_may_change_while_models_load(void **state)
{
    (void)state;
    nnd_port_thread *threads[3];
    atomic_int failures = 0;
    tune_toys();
    size_t size = read_text();
    for (size_t i = 0; i < NND_COUNT(threads); i++)
        assert_int_equal(nnd_port_thread_create("load", load_often, &failures, &threads[i]), 0);
    for (int i = 0; i < 50; i++) {
        char *other = replaced(text, "\"cores\": ", "\"cores\": 9");
        bool odd = i % 2;
        assert_int_equal(
            nnd_port_file_write_atomic(tuning_file, odd ? other : text, odd ? strlen(other) : size),
            0);
        free(other);
    }
    for (size_t i = 0; i < NND_COUNT(threads); i++)
        nnd_port_thread_join(threads[i]);
    assert_int_equal(atomic_load(&failures), 0);
}

/* ---- lack of memory ------------------------------------------------------------------------ */

static nnd_status tune_and_load(nnd_tuning **kept)
{
    nnd_model *model = NULL;
    nnd_tuning *again = NULL;
    NND_TRY(nnd_tuning_save(*kept, tuning_file));
    NND_TRY(nnd_tuning_read(tuning_file, &again));
    nnd_tuning_unref(again);
    NND_TRY(nnd_model_load(in_folder(folder, "m.toy"), NULL, &model));
    nnd_model_unref(model);
    return NND_OK;
}

static void lack_of_memory_is_survived(void **state)
{
    (void)state;
    nnd_tuning *tuning = NULL;
    assert_ok(nnd_tuning_create(&tuning));
    assert_ok(tune_with(NULL, 0, 0.01, tuning));
    assert_ok(tune_and_load(&tuning));
    for (long n = 0;; n++) {
        /* What the process keeps of the file was allocated before: it is let go of first. */
        assert_ok(nnd_tuning_set_path("off"));
        assert_ok(nnd_tuning_set_path(tuning_file));
        oom_fail_after(n);
        nnd_status status = tune_and_load(&tuning);
        bool hit = oom_hit();
        oom_never();
        nnd_error_clear();
        if (!hit) {
            assert_ok(status);
            break;
        }
        assert_true(status == NND_OK || status == NND_E_OUT_OF_MEMORY);
    }
    nnd_tuning_unref(tuning);
}

int main(void)
{
    oom_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_fastest_that_agrees_is_chosen, fresh),
        cmocka_unit_test_setup(backends_and_tolerance_are_the_users, fresh),
        cmocka_unit_test_setup(auto_goes_by_the_file, fresh),
        cmocka_unit_test_setup(requests_use_no_more_threads_than_is_good, fresh),
        cmocka_unit_test_setup(other_content_is_another_model, fresh),
        cmocka_unit_test_setup(what_is_no_longer_true_is_not_used, fresh),
        cmocka_unit_test_setup(results_of_other_machines_are_not_used, fresh),
        cmocka_unit_test_setup(a_damaged_file_is_warned_about_once, fresh),
        cmocka_unit_test_setup(any_file_is_read_or_refused, fresh),
        cmocka_unit_test_setup(names_stay_in_the_models_folder, fresh),
        cmocka_unit_test_setup(saving_keeps_the_rest, fresh),
        cmocka_unit_test_setup(a_file_that_cannot_be_read_is_left_alone, fresh),
        cmocka_unit_test_setup(the_file_in_force_is_found, fresh),
        cmocka_unit_test_setup(the_file_may_change_while_models_load, fresh),
        cmocka_unit_test_setup(lack_of_memory_is_survived, fresh),
    };
    return cmocka_run_group_tests(tests, begin, finish);
}
