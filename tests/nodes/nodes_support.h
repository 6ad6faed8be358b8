/* Workflows of one node, made by API: every port of the type is an input or output of the workflow.
 */
#ifndef NND_TESTS_NODES_SUPPORT_H
#define NND_TESTS_NODES_SUPPORT_H

#include <sys/stat.h>
#include <unistd.h>

#include "nodes/golden.h"

typedef struct bench {
    nnd_workflow *wf;
    nnd_diagnostics *diags; /* of the last compile */
    nnd_plan *plan;
    nnd_io *io; /* borrowed */
    nnd_registry *registry;
} bench;

/* ---- error texts -------------------------------------------------------------------------- */

static inline void assert_text_has(const char *text, const char *const *words)
{
    assert_non_null(text);
    for (; *words; words++)
        if (!strstr(text, *words)) fail_msg("'%s' is not in: %s", *words, text);
}

/* The call fails as expected, and its message holds every one of the words. */
#define assert_fails(expr, status, ...)                                                            \
    do {                                                                                           \
        nnd_error_clear();                                                                         \
        assert_status(expr, status);                                                               \
        assert_text_has(nnd_app_error(), (const char *const[]){__VA_ARGS__, NULL});                \
    } while (0)

/* ---- files -------------------------------------------------------------------------------- */

static inline void make_folder(char *path, size_t size)
{
    const char *base = getenv("TMPDIR");
    char pattern[512], *real;
    snprintf(pattern, sizeof pattern, "%s/nnd-test-XXXXXX", base && base[0] ? base : "/tmp");
    assert_non_null(mkdtemp(pattern));
    real = realpath(pattern, NULL);
    snprintf(path, size, "%s", real);
    free(real);
}

static inline void remove_folder(const char *path)
{
    char command[600];
    snprintf(command, sizeof command, "rm -r '%s'", path);
    assert_int_equal(system(command), 0);
}

static inline void put_file(const char *path, const void *bytes, size_t size)
{
    FILE *f = fopen(path, "wb");
    if (!f) fail_msg("cannot write %s", path);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    fclose(f);
}

static inline void put_text(const char *path, const char *text)
{
    put_file(path, text, strlen(text));
}

static inline bool file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* Reads and writes below `folder` only. */
static inline nnd_io *io_below(const char *folder)
{
    nnd_io_policy policy = NND_IO_POLICY_INIT;
    nnd_io *io = NULL;
    policy.base_dir = folder;
    policy.read_roots = policy.write_roots = &folder;
    policy.read_root_count = policy.write_root_count = 1;
    assert_ok(nnd_io_create(&policy, &io));
    return io;
}

/* ---- the workflow ------------------------------------------------------------------------- */

static inline void bench_begin(bench *b, nnd_io *io)
{
    *b = (bench){.io = io, .registry = nnd_nodes_registry()};
    assert_ok(nnd_workflow_create("test", &b->wf));
}

/* Single quotes in JSON stand for double ones. */
static inline void bench_set(bench *b, const char *node, const char *param, const char *json)
{
    char text[2048];
    snprintf(text, sizeof text, "%s", json);
    for (char *p = text; *p; p++)
        if (*p == '\'') *p = '"';
    assert_ok(nnd_workflow_set_param(b->wf, node, param, text));
}

/* Adds a node; params: "name=json;name=json", single quotes as above. */
static inline void bench_node(bench *b, const char *id, const char *type, const char *params)
{
    assert_ok(nnd_workflow_add_node(b->wf, id, type));
    while (params && *params) {
        char name[64], json[1024];
        size_t n = strcspn(params, "="), m = strcspn(params + n + 1, ";");
        snprintf(name, sizeof name, "%.*s", (int)n, params);
        snprintf(json, sizeof json, "%.*s", (int)m, params + n + 1);
        bench_set(b, id, name, json);
        params += n + 1 + m;
        params += *params == ';';
    }
}

static inline void bench_link(bench *b, const char *from, const char *from_port, const char *to,
                              const char *to_port)
{
    assert_ok(nnd_workflow_connect(b->wf, from, from_port, to, to_port));
}

/* A workflow input for each port that `given` (record, may be NULL) has, an output for each port.
 */
static inline void bench_single(bench *b, nnd_io *io, const char *type, const char *params,
                                const nnd_value *given)
{
    bench_begin(b, io);
    bench_node(b, "node", type, params);
    const nnd_node_type *t = nnd_registry_find(b->registry, type, 0);
    if (!t) fail_msg("there is no node type %s", type);
    const nnd_port *in = t->inputs.items, *out = t->outputs.items;
    for (size_t i = 0; i < t->inputs.count; i++) {
        if (!given || !nnd_value_record_get(given, in[i].name)) continue;
        assert_ok(nnd_workflow_add_input(b->wf, in[i].name, in[i].type));
        bench_link(b, "@", in[i].name, "node", in[i].name);
    }
    for (size_t i = 0; i < t->outputs.count; i++)
        assert_ok(nnd_workflow_add_output(b->wf, out[i].name, "node", out[i].name));
}

static inline nnd_status bench_compile(bench *b)
{
    nnd_compile_options options = NND_COMPILE_OPTIONS_INIT;
    nnd_services services;
    assert_ok(nnd_nodes_services(NULL, &services));
    assert_ok(nnd_diagnostics_create(&b->diags));
    options.registry = b->registry;
    options.io = b->io;
    options.services = &services;
    return nnd_plan_compile(b->wf, &options, b->diags, &b->plan);
}

static inline void bench_end(bench *b)
{
    nnd_plan_unref(b->plan);
    nnd_diagnostics_destroy(b->diags);
    nnd_workflow_destroy(b->wf);
}

/* Compiling fails; the diagnostics hold the words. */
static inline void bench_refuses(bench *b, nnd_status status, const char *const *words)
{
    nnd_status got = bench_compile(b);
    char *text = nnd_diagnostics_to_string(b->diags);
    if (got != status) fprintf(stderr, "%s", text);
    assert_status(got, status);
    assert_text_has(text, words);
    nnd_free(text);
}

static inline nnd_status bench_run(bench *b, const nnd_value *given, nnd_value **outputs)
{
    nnd_status status = bench_compile(b);
    if (status != NND_OK) print_diagnostics(b->diags);
    assert_ok(status);
    return nnd_workflow_run(b->plan, NULL, given, outputs);
}

/* ---- values ------------------------------------------------------------------------------- */

/* A record of one or two values; takes them over. */
static inline nnd_value *record_of(const char *a, nnd_value *take_a, const char *b,
                                   nnd_value *take_b)
{
    nnd_value *record = NULL;
    assert_ok(nnd_value_new_record(&record));
    if (a) assert_ok(nnd_value_record_set(record, a, take_a));
    if (b) assert_ok(nnd_value_record_set(record, b, take_b));
    nnd_value_unref(take_a);
    nnd_value_unref(take_b);
    return record;
}

/* One node on its inputs; NULL and the status when it fails. */
static inline nnd_status run_node(const char *type, const char *params, const nnd_value *given,
                                  nnd_value **outputs)
{
    bench b;
    *outputs = NULL;
    bench_single(&b, NULL, type, params, given);
    nnd_status status = bench_run(&b, given, outputs);
    bench_end(&b);
    return status;
}

/* A picture without symmetry. */
static inline nnd_value *test_picture(nnd_pixel_format format, int width, int height)
{
    nnd_value *value = NULL;
    assert_ok(nnd_value_new_image(format, NND_U8, width, height, &value));
    nnd_image *image = nnd_value_edit(value);
    int channels = nnd_pixel_format_channels(format);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width * channels; x++)
            image->data[0][y * image->stride[0] + x] = (uint8_t)(x * 7 + y * 13 + x * y % 31);
    return value;
}

static inline bool same_image(const nnd_image *a, const nnd_image *b)
{
    if (!a || !b || a->format != b->format || a->dtype != b->dtype || a->width != b->width ||
        a->height != b->height)
        return false;
    if (nnd_pixel_format_planes(a->format) != 1) return false;
    size_t row = (size_t)a->width * nnd_image_pixel_bytes(a);
    for (int y = 0; y < a->height; y++)
        if (memcmp(a->data[0] + y * a->stride[0], b->data[0] + y * b->stride[0], row) != 0)
            return false;
    return true;
}

static inline nnd_value *text_value(const char *text)
{
    nnd_value *value = NULL;
    assert_ok(nnd_value_new_text(text, SIZE_MAX, &value));
    return value;
}

static inline nnd_value *f32_value(int rank, const int64_t *dims, const float *data)
{
    nnd_value *value = NULL;
    assert_ok(nnd_value_new_tensor(NND_F32, rank, dims, &value));
    nnd_tensor *t = nnd_value_edit(value);
    memcpy(t->data, data, nnd_tensor_bytes(t));
    return value;
}

#endif
