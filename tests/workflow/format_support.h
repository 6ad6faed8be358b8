/* What the tests of the workflow format share: node types, parsing, saving, looking problems up. */
#ifndef NND_TEST_WORKFLOW_FORMAT_H
#define NND_TEST_WORKFLOW_FORMAT_H

#include "support/test.h"

#include "base/str.h"
#include "nndeploy/workflow.h"
#include "port/port.h"
#include "support/oom.h"

/* ---- node types -------------------------------------------------------------------------- */

static nnd_status format_process(nnd_ctx *ctx)
{
    (void)ctx;
    return NND_OK;
}

static const nnd_port format_image_in[] = {NND_PORT("image", "image", "a picture")};
static const nnd_port format_image_out[] = {NND_PORT("image", "image", "a picture")};
static const nnd_param format_filter_params[] = {
    NND_PARAM_INT("width", 640, 1, 16384, "px", "target width"),
    NND_PARAM_FLOAT("sigma", 0.5, 0, 10, "", "strength"),
    NND_PARAM_BOOL("fast", 1, "be quick"),
    NND_PARAM_ENUM("filter", "bilinear", "nearest|bilinear|bicubic", "interpolation"),
    NND_PARAM_TEXT("label", "none", "a text"),
    NND_PARAM_FILE("path", "", "a file"),
    NND_PARAM_MODEL("model", 0, "a model"),
    NND_PARAM_NUMBERS("mean", "[0, 0, 0]", 0, 255, "", "per channel"),
    NND_PARAM_STRINGS("names", "[\"a\", \"b\"]", "labels"),
    NND_PARAM_JSON("anything", "null", "free"),
    NND_PARAM_INT("big", 0, 0, 0, "", "no bounds"),
    {"key", NND_PARAM_KIND_TEXT, NND_PARAM_SECRET, 0, "", 0, 0, NULL, "", "a secret", NULL},
    {"fixed", NND_PARAM_KIND_INT, NND_PARAM_STATIC, 3, NULL, 0, 9, NULL, "", "static", NULL},
};
static const nnd_node_type format_filter = {
    .struct_size = sizeof(nnd_node_type),
    .type = "test.filter",
    .version = 1,
    .category = "test",
    .title = "Filter",
    .text = "Makes a picture from a picture.",
    .inputs = NND_ARRAY(format_image_in),
    .outputs = NND_ARRAY(format_image_out),
    .params = NND_ARRAY(format_filter_params),
    .process = format_process,
};
#if defined(__GNUC__)
__attribute__((unused))
#endif
static const nnd_node_type format_filter2 = {
    .struct_size = sizeof(nnd_node_type),
    .type = "test.filter",
    .version = 2,
    .category = "test",
    .title = "Filter",
    .text = "Makes a picture from a picture.",
    .inputs = NND_ARRAY(format_image_in),
    .outputs = NND_ARRAY(format_image_out),
    .params = NND_ARRAY(format_filter_params),
    .process = format_process,
};

static const nnd_port format_join_in[] = {
    NND_PORT("left", "tensor|image", "one"),
    NND_PORT_OPT("right", "list<image>", "other"),
    NND_PORT_MANY("more", "$T", "any number"),
};
static const nnd_port format_join_out[] = {
    NND_PORT("text", "text", "what was seen"),
    NND_PORT("same", "$T", "of the kind that came"),
};
static const nnd_param format_join_params[] = {
    {"need", NND_PARAM_KIND_TEXT, NND_PARAM_REQUIRED, 0, "", 0, 0, NULL, "", "must be given", NULL},
};
static const nnd_node_type format_join = {
    .struct_size = sizeof(nnd_node_type),
    .type = "test.join",
    .version = 1,
    .category = "test",
    .title = "Join",
    .text = "Looks at several things.",
    .inputs = NND_ARRAY(format_join_in),
    .outputs = NND_ARRAY(format_join_out),
    .params = NND_ARRAY(format_join_params),
    .process = format_process,
};

static inline nnd_registry *format_registry(void)
{
    nnd_registry *r = NULL;
    assert_ok(nnd_registry_create(&r));
    assert_ok(nnd_registry_add(r, &format_filter));
    assert_ok(nnd_registry_add(r, &format_join));
    return r;
}

/* ---- documents --------------------------------------------------------------------------- */

static inline nnd_workflow *parse_text_ok(const char *text)
{
    nnd_workflow *wf = NULL;
    assert_ok(nnd_workflow_parse(text, strlen(text), NULL, NULL, NULL, &wf));
    return wf;
}

static inline char *save_text_ok(const nnd_workflow *wf)
{
    char *text = NULL;
    size_t size = 0;
    assert_ok(nnd_workflow_save_text(wf, &text, &size));
    assert_int_equal(strlen(text), size);
    return text;
}

/* The changes between two documents as JSON; the caller frees it. */
static inline char *diff_text(const nnd_workflow *a, const nnd_workflow *b, bool with_ui)
{
    nnd_json_writer *w = NULL;
    char *text = NULL;
    assert_ok(nnd_json_writer_create(0, &w));
    assert_ok(nnd_workflow_diff(a, b, with_ui, w));
    assert_ok(nnd_json_writer_take(w, &text, NULL));
    nnd_json_writer_destroy(w);
    return text;
}

static inline void assert_same(const nnd_workflow *a, const nnd_workflow *b)
{
    char *text = diff_text(a, b, true);
    bool equal = strstr(text, "\"equal\":true") != NULL;
    if (!equal) fprintf(stderr, "%s\n", text);
    nnd_free(text);
    assert_true(equal);
}

/* ---- problems ---------------------------------------------------------------------------- */

static inline const nnd_diagnostic *find_code(const nnd_diagnostics *d, const char *code)
{
    for (size_t i = 0; i < nnd_diagnostics_count(d); i++)
        if (strcmp(nnd_diagnostics_at(d, i)->code, code) == 0) return nnd_diagnostics_at(d, i);
    return NULL;
}

static inline size_t count_code(const nnd_diagnostics *d, const char *code)
{
    size_t count = 0;
    for (size_t i = 0; i < nnd_diagnostics_count(d); i++)
        count += strcmp(nnd_diagnostics_at(d, i)->code, code) == 0;
    return count;
}

static inline void print_problems(const nnd_diagnostics *d)
{
    char *text = nnd_diagnostics_to_string(d);
    fprintf(stderr, "%s", text ? text : "");
    nnd_free(text);
}

/* ---- files ------------------------------------------------------------------------------- */

/* A file below the build folder, for tests that need some. */
static inline const char *put_file(const char *name, const char *text)
{
    static char path[512];
    assert_int_equal(nnd_port_dir_create(NND_BINARY_DIR "/format"), 0);
    snprintf(path, sizeof path, "%s/format/%s", NND_BINARY_DIR, name);
    assert_int_equal(nnd_port_file_write_atomic(path, text, strlen(text)), 0);
    return path;
}

static inline nnd_io *format_io(void)
{
    static const char *const roots[] = {NND_BINARY_DIR "/format"};
    nnd_io_policy policy = NND_IO_POLICY_INIT;
    nnd_io *io = NULL;
    put_file("exists.txt", "hello");
    policy.base_dir = roots[0];
    policy.read_roots = roots;
    policy.read_root_count = 1;
    assert_ok(nnd_io_create(&policy, &io));
    return io;
}

#endif
