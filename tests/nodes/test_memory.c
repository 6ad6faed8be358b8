/* Compiling and running with memory that runs out at every allocation in turn: an error each time,
   nothing lost, and the same result once there is enough. */
#include "nodes/nodes_support.h"

#include "support/oom.h"

static char folder[512];

static int begin(void **state)
{
    (void)state;
    char models[1024];
    make_folder(folder, sizeof folder);
    put_text(path_in(folder, "labels.txt"), "a\nb\nc\n");
    snprintf(models, sizeof models, "%s/models", NND_SOURCE_DIR);
    return setenv("NNDEPLOY_MODELS", models, 1);
}

static int finish(void **state)
{
    (void)state;
    remove_folder(folder);
    return 0;
}

/* Every family of nodes that makes something of its own. */
static nnd_workflow *build(bool with_model)
{
    bench b;
    bench_begin(&b, NULL);
    assert_ok(nnd_workflow_add_input(b.wf, "image", "image"));
    bench_node(&b, "ink", "image.threshold", "kind='adaptive';window=15");
    bench_node(&b, "find", "detect.components",
               "min_fill=0;max_fill=1;min_height=1;max_aspect=100");
    bench_node(&b, "cut", "image.crop_boxes", "width=32;height=32");
    bench_node(&b, "draw", "draw.detections", NULL);
    bench_node(&b, "pre", "image.to_tensor", "width=32;height=32;order='gray'");
    bench_link(&b, "@", "image", "ink", "image");
    bench_link(&b, "ink", "image", "find", "image");
    bench_link(&b, "@", "image", "cut", "image");
    bench_link(&b, "find", "detections", "cut", "detections");
    bench_link(&b, "@", "image", "draw", "image");
    bench_link(&b, "find", "detections", "draw", "detections");
    bench_link(&b, "@", "image", "pre", "image");
    assert_ok(nnd_workflow_add_output(b.wf, "crops", "cut", "crops"));
    assert_ok(nnd_workflow_add_output(b.wf, "drawn", "draw", "image"));
    if (with_model) {
        bench_node(&b, "net", "infer.model", "model='digits-32'");
        bench_node(&b, "best", "classify.top_k", "k=2;labels='labels.txt'");
        bench_link(&b, "pre", "tensor", "net", "image");
        bench_link(&b, "net", "logits", "best", "scores");
        assert_ok(nnd_workflow_add_output(b.wf, "best", "best", "classes"));
    } else {
        assert_ok(nnd_workflow_add_output(b.wf, "tensor", "pre", "tensor"));
    }
    return b.wf;
}

static nnd_status compile_and_run(const nnd_workflow *wf, nnd_io *io, const nnd_value *in,
                                  nnd_value **out)
{
    nnd_compile_options options = NND_COMPILE_OPTIONS_INIT;
    nnd_services services;
    nnd_plan *plan = NULL;
    options.registry = nnd_nodes_registry();
    options.io = io;
    options.services = &services;
    nnd_status status = nnd_nodes_services(NULL, &services);
    if (status == NND_OK) status = nnd_plan_compile(wf, &options, NULL, &plan);
    if (status == NND_OK) status = nnd_workflow_run(plan, NULL, in, out);
    nnd_plan_unref(plan);
    return status;
}

/* step > 1 tries only some of the many places. */
static void try_all(bool with_model, long step)
{
    nnd_value *in = record_of("image", test_picture(NND_PIX_RGB, 40, 30), NULL, NULL), *out = NULL;
    nnd_workflow *wf = build(with_model);
    nnd_io *io = io_below(folder);
    assert_ok(compile_and_run(wf, io, in, &out)); /* what a process keeps is there now */
    nnd_value_unref(out);
    oom_begin();
    for (long n = 0;; n += step) {
        out = NULL;
        oom_fail_after(n);
        nnd_status status = compile_and_run(wf, io, in, &out);
        bool hit = oom_hit();
        oom_never();
        if (status != NND_OK && status != NND_E_OUT_OF_MEMORY && status != NND_E_VALIDATION)
            fail_msg("allocation %ld: %s: %s", n, nnd_status_name(status), nnd_app_error());
        if (status == NND_OK) assert_non_null(nnd_value_record_get(out, "drawn"));
        nnd_value_unref(out);
        nnd_error_clear();
        if (!with_model && oom_live_blocks() != 0)
            fail_msg("allocation %ld leaves %ld blocks", n, oom_live_blocks());
        if (!hit) {
            assert_ok(status);
            break;
        }
    }
    oom_end();
    nnd_io_unref(io);
    nnd_workflow_destroy(wf);
    nnd_value_unref(in);
}

static void nodes_survive_lack_of_memory(void **state)
{
    (void)state;
    try_all(false, 1);
}

static void models_in_workflows_survive_lack_of_memory(void **state)
{
    (void)state;
    try_all(true, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_survive_lack_of_memory),
        cmocka_unit_test(models_in_workflows_survive_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, begin, finish);
}
