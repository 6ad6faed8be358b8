/* Running a gallery workflow on a picture, and comparing boxes with reference results. */
#ifndef NND_TEST_GOLDEN_H
#define NND_TEST_GOLDEN_H

#include "support/test.h"

#include "nndeploy/nndeploy.h"

/* Path below a root, in a static buffer. */
static inline const char *path_in(const char *root, const char *name)
{
    static char paths[4][1024];
    static int next;
    char *path = paths[next++ & 3];
    snprintf(path, sizeof paths[0], "%s/%s", root, name);
    return path;
}

static inline void *read_bytes(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("cannot open %s", path);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    *size = (size_t)ftell(f);
    rewind(f);
    void *bytes = malloc(*size + 1);
    assert_int_equal(fread(bytes, 1, *size, f), *size);
    fclose(f);
    return bytes;
}

static inline nnd_value *read_picture(const char *path)
{
    size_t size = 0;
    nnd_value *image = NULL;
    void *bytes = read_bytes(path, &size);
    assert_ok(nnd_image_decode(bytes, size, NULL, &image));
    free(bytes);
    return image;
}

static inline void print_diagnostics(const nnd_diagnostics *diags)
{
    char *text = nnd_diagnostics_to_string(diags);
    if (text && text[0]) fprintf(stderr, "%s", text);
    nnd_free(text);
}

/* Compiles a workflow of the gallery; files may be read in its folder and in the test data. */
static inline nnd_plan *compile_workflow(const char *name, const char *const *set, size_t set_count)
{
    const char *roots[] = {path_in(NND_SOURCE_DIR, "workflows"),
                           test_data_dir() ? test_data_dir() : NND_SOURCE_DIR};
    nnd_io_policy policy = NND_IO_POLICY_INIT;
    nnd_compile_options options = NND_COMPILE_OPTIONS_INIT;
    nnd_services services;
    nnd_diagnostics *diags = NULL;
    nnd_workflow *wf = NULL;
    nnd_plan *plan = NULL;
    nnd_io *io = NULL;
    policy.base_dir = roots[0];
    policy.read_roots = roots;
    policy.read_root_count = 2;
    assert_ok(nnd_io_create(&policy, &io));
    assert_ok(nnd_nodes_services(roots[0], &services));
    assert_ok(nnd_diagnostics_create(&diags));
    nnd_status status = nnd_workflow_load(path_in(NND_SOURCE_DIR, name), io, diags, &wf);
    if (status != NND_OK) print_diagnostics(diags);
    assert_ok(status);
    options.registry = nnd_nodes_registry();
    options.io = io;
    options.services = &services;
    options.set = set;
    options.set_count = set_count;
    status = nnd_plan_compile(wf, &options, diags, &plan);
    if (status != NND_OK) print_diagnostics(diags);
    assert_ok(status);
    nnd_workflow_destroy(wf);
    nnd_diagnostics_destroy(diags);
    nnd_io_unref(io);
    return plan;
}

/* Runs a plan once on one picture; the result is a record. */
static inline nnd_value *run_on_picture(nnd_plan *plan, nnd_value *picture)
{
    nnd_value *inputs = NULL, *outputs = NULL;
    assert_ok(nnd_value_new_record(&inputs));
    assert_ok(nnd_value_record_set(inputs, "image", picture));
    assert_ok(nnd_workflow_run(plan, NULL, inputs, &outputs));
    nnd_value_unref(inputs);
    return outputs;
}

/* Index of the box that overlaps by at least 0.9 and scores the same within 0.02; −1 = none. */
static inline int find_box(const nnd_detections *d, const double box[4], double score,
                           const char *label)
{
    nnd_detection wanted = {
        .x1 = (float)box[0], .y1 = (float)box[1], .x2 = (float)box[2], .y2 = (float)box[3]};
    for (size_t i = 0; i < d->count; i++) {
        const nnd_detection *item = &d->items[i];
        bool same_label =
            !label || (item->label >= 0 && strcmp(d->labels[item->label], label) == 0);
        if (same_label && nnd_box_iou(item, &wanted) >= 0.9f && item->score > score - 0.02 &&
            item->score < score + 0.02)
            return (int)i;
    }
    return -1;
}

#endif
