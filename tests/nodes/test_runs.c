/* Whole runs: models that plans share, threads, the simulated accelerator, a second process. */
#include "nodes/nodes_support.h"

#include <stdatomic.h>
#include <sys/wait.h>

#include "nndeploy/infer.h"
#include "nndeploy/wire.h"
#include "port/port.h"

static char folder[512];

static int begin(void **state)
{
    (void)state;
    char models[1024];
    make_folder(folder, sizeof folder);
    snprintf(models, sizeof models, "%s/models", NND_SOURCE_DIR);
    return setenv("NNDEPLOY_MODELS", models, 1);
}

static int finish(void **state)
{
    (void)state;
    remove_folder(folder);
    return 0;
}

/* ---- a backend that counts: y = x ----------------------------------------------------------- */

static atomic_int loaded, loads, requests;

static void count_probe(nnd_backend_status *status)
{
    status->name = "count";
    status->available = true;
}

static nnd_status count_load(const void *bytes, size_t size, const char *path,
                             const nnd_model_options *options, void **model)
{
    (void)bytes, (void)size, (void)path, (void)options;
    atomic_fetch_add(&loads, 1);
    atomic_fetch_add(&loaded, 1);
    *model = &loaded;
    return NND_OK;
}

static void count_unload(void *model)
{
    (void)model;
    atomic_fetch_sub(&loaded, 1);
}

static size_t count_ports(const void *model, bool outputs)
{
    (void)model, (void)outputs;
    return 1;
}

static const nnd_model_port *count_port(const void *model, bool outputs, size_t index)
{
    static const nnd_model_port ports[2] = {
        {.size = sizeof(nnd_model_port),
         .name = "x",
         .kind = NND_PORT_TENSOR,
         .dtype = NND_F32,
         .rank = -1,
         .dims = {{0, NULL}}},
        {.size = sizeof(nnd_model_port),
         .name = "y",
         .kind = NND_PORT_TENSOR,
         .dtype = NND_F32,
         .rank = -1,
         .dims = {{0, NULL}}},
    };
    (void)model, (void)index;
    return &ports[outputs];
}

static nnd_status count_open(void *model, const nnd_request_options *options, void **request)
{
    (void)model, (void)options;
    atomic_fetch_add(&requests, 1);
    *request = &requests;
    return NND_OK;
}

static void count_close(void *request)
{
    (void)request;
    atomic_fetch_sub(&requests, 1);
}

static nnd_status count_run(void *request, nnd_value *const *inputs, nnd_value **outputs,
                            nnd_cancel *cancel)
{
    (void)request, (void)cancel;
    outputs[0] = nnd_value_ref(inputs[0]);
    return NND_OK;
}

static const nnd_backend counting = {
    .struct_size = sizeof(nnd_backend),
    .name = "count",
    .formats = "count",
    .probe = count_probe,
    .load = count_load,
    .unload = count_unload,
    .port_count = count_ports,
    .port = count_port,
    .open = count_open,
    .close = count_close,
    .run = count_run,
};

/* Two nodes of one model, one of them inside a map. */
static const char shared_flow[] =
    "{\"format\":\"nndeploy/"
    "1\",\"name\":\"shared\",\"inputs\":[{\"name\":\"x\",\"type\":\"tensor\"},"
    "{\"name\":\"xs\",\"type\":\"list<tensor>\"}],"
    "\"outputs\":[{\"name\":\"y\",\"from\":[\"net\",\"y\"]},{\"name\":\"ys\",\"from\":[\"each\","
    "\"y\"]}],"
    "\"nodes\":[{\"id\":\"net\",\"type\":\"infer.model@1\",\"params\":{\"model\":\"m.count\"}},"
    "{\"id\":\"each\",\"type\":\"flow.map@1\",\"graph\":{"
    "\"inputs\":[{\"name\":\"x\",\"type\":\"tensor\"}],"
    "\"outputs\":[{\"name\":\"y\",\"from\":[\"net\",\"y\"]}],"
    "\"nodes\":[{\"id\":\"net\",\"type\":\"infer.model@1\",\"params\":{\"model\":\"m.count\"}}],"
    "\"edges\":[{\"from\":[\"@\",\"x\"],\"to\":[\"net\",\"x\"]}]}}],"
    "\"edges\":[{\"from\":[\"@\",\"x\"],\"to\":[\"net\",\"x\"]},"
    "{\"from\":[\"@\",\"xs\"],\"to\":[\"each\",\"x\"]}]}";

static void plans_and_maps_share_one_model(void **state)
{
    (void)state;
    nnd_app *a = NULL, *b = NULL;
    nnd_value *x = f32_value(1, (int64_t[]){1}, (float[]){7}), *xs = NULL, *none = NULL;
    assert_ok(nnd_backend_register(&counting));
    put_text(path_in(folder, "m.count"), "weights");
    put_text(path_in(folder, "shared.json"), shared_flow);
    assert_ok(nnd_app_open(path_in(folder, "shared.json"), NULL, 0, &a));
    assert_ok(nnd_app_open(path_in(folder, "shared.json"), NULL, 0, &b));
    assert_int_equal(atomic_load(&loads), 1);
    assert_int_equal(atomic_load(&loaded), 1);
    assert_ok(nnd_value_new_list((nnd_value *[]){x, x, x}, 3, &xs));
    assert_ok(nnd_value_new_list(NULL, 0, &none));
    assert_ok(nnd_app_set(a, "x", x));
    assert_ok(nnd_app_set(a, "xs", xs));
    assert_ok(nnd_app_run(a, NULL));
    assert_int_equal(nnd_value_list_count(nnd_app_get(a, "ys")), 3);
    assert_ok(nnd_app_set(a, "xs", none));
    assert_ok(nnd_app_run(a, NULL));
    assert_true(nnd_value_is(nnd_app_get(a, "ys"), "list"));
    assert_int_equal(nnd_value_list_count(nnd_app_get(a, "ys")), 0);
    assert_int_equal(atomic_load(&loads), 1);
    assert_int_equal(atomic_load(&requests), 0); /* they live as long as a run */
    nnd_app_close(a);
    assert_int_equal(atomic_load(&loaded), 1);
    nnd_app_close(b);
    assert_int_equal(atomic_load(&loaded), 0); /* nothing is kept behind the last plan */
    nnd_value_unref(x);
    nnd_value_unref(xs);
    nnd_value_unref(none);
}

/* Compiling that ends between the ports and prepare lets go of the model that told the ports. */
static void a_failed_compile_keeps_no_model(void **state)
{
    (void)state;
    static const char flow[] = "{\"format\":\"nndeploy/1\",\"name\":\"wrong\","
                               "\"inputs\":[{\"name\":\"x\",\"type\":\"image\"}],"
                               "\"outputs\":[{\"name\":\"y\",\"from\":[\"net\",\"y\"]}],"
                               "\"nodes\":[{\"id\":\"net\",\"type\":\"infer.model@1\",\"params\":{"
                               "\"model\":\"m.count\"}}],"
                               "\"edges\":[{\"from\":[\"@\",\"x\"],\"to\":[\"net\",\"x\"]}]}";
    nnd_app *app = NULL;
    int before = atomic_load(&loads);
    put_text(path_in(folder, "m.count"), "weights");
    put_text(path_in(folder, "wrong.json"), flow);
    assert_fails(nnd_app_open(path_in(folder, "wrong.json"), NULL, 0, &app), NND_E_VALIDATION,
                 "image");
    assert_int_equal(atomic_load(&loads), before + 1); /* the ports were asked for */
    assert_int_equal(atomic_load(&loaded), 0);
}

/* ---- threads ------------------------------------------------------------------------------ */

typedef struct reader {
    nnd_plan *plan;
    nnd_value *inputs;
    nnd_value *outputs;
    nnd_status status;
} reader;

static void read_sheet(void *arg)
{
    reader *r = arg;
    r->status = nnd_workflow_run(r->plan, NULL, r->inputs, &r->outputs);
}

static void two_threads_run_one_plan(void **state)
{
    (void)state;
    nnd_plan *plan = compile_workflow("workflows/read-digits.json", NULL, 0);
    nnd_value *inputs = record_of(
        "image", read_picture(path_in(NND_SOURCE_DIR, "examples/media/sheet.png")), NULL, NULL);
    reader readers[2] = {{plan, inputs, NULL, NND_OK}, {plan, inputs, NULL, NND_OK}};
    nnd_port_thread *threads[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(nnd_port_thread_create("reader", read_sheet, &readers[i], &threads[i]), 0);
    for (int i = 0; i < 2; i++)
        nnd_port_thread_join(threads[i]);
    for (int i = 0; i < 2; i++) {
        assert_ok(readers[i].status);
        const nnd_text *text = nnd_value_text(nnd_value_record_get(readers[i].outputs, "text"));
        assert_non_null(strstr(text->text, "9136 768 03\n"));
        assert_non_null(strstr(text->text, "9876543210\n"));
        nnd_value_unref(readers[i].outputs);
    }
    nnd_value_unref(inputs);
    nnd_plan_unref(plan);
}

/* ---- the accelerator ---------------------------------------------------------------------- */

static const nnd_port tensor_in[] = {NND_PORT("in", "tensor", "")};
static const nnd_port tensor_out[] = {NND_PORT("out", "tensor", "")};

typedef struct device_job {
    nnd_value *in, *out;
} device_job;

static void job_free(device_job *job)
{
    nnd_value_unref(job->in);
    nnd_value_unref(job->out);
    nnd_free(job);
}

/* 1 − x, on the accelerator. */
static nnd_status invert_on_device(void *user)
{
    device_job *job = user;
    const float *in = nnd_device_sim_data(nnd_value_buffer(job->in));
    float *out = nnd_device_sim_data(nnd_value_buffer(job->out));
    for (int64_t i = 0; in && out && i < nnd_tensor_count(nnd_value_tensor(job->in)); i++)
        out[i] = 1 - in[i];
    job_free(job);
    return NND_OK;
}

static nnd_status invert_process(nnd_ctx *ctx)
{
    const nnd_tensor *t = nnd_value_tensor(nnd_ctx_input(ctx, 0));
    nnd_value *out = NULL;
    NND_TRY(nnd_ctx_alloc_tensor(ctx, 0, NND_F32, t->rank, t->dims, &out));
    device_job *job = nnd_calloc(1, sizeof *job);
    if (!job) {
        nnd_value_unref(out);
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a job");
    }
    job->in = nnd_value_ref(nnd_ctx_input(ctx, 0));
    job->out = nnd_value_ref(out);
    nnd_status status = nnd_stream_call(nnd_ctx_stream(ctx), invert_on_device, job);
    if (status == NND_OK) return nnd_ctx_emit(ctx, 0, out);
    job_free(job);
    nnd_value_unref(out);
    return status;
}

static nnd_status invert_negotiate(nnd_negotiation *n)
{
    nnd_spec spec;
    nnd_spec_init(&spec);
    spec.device = nnd_negotiation_device(n);
    spec.memory_kinds = 1u << NND_MEM_DEVICE;
    NND_TRY(nnd_negotiation_accept(n, 0, &spec));
    return nnd_negotiation_produce(n, 0, &spec);
}

static const nnd_node_type invert_type = {
    .struct_size = sizeof(nnd_node_type),
    .type = "t.invert",
    .version = 1,
    .category = "test",
    .title = "Invert",
    .text = "1 − x",
    .inputs = NND_ARRAY(tensor_in),
    .outputs = NND_ARRAY(tensor_out),
    .negotiate = invert_negotiate,
    .process = invert_process,
};

static size_t listed_transfers(const nnd_plan *plan)
{
    nnd_json_writer *w = NULL;
    nnd_json_doc *doc = NULL;
    char *text = NULL;
    size_t size = 0;
    assert_ok(nnd_json_writer_create(0, &w));
    assert_ok(nnd_plan_to_json(plan, w));
    assert_ok(nnd_json_writer_take(w, &text, &size));
    assert_ok(nnd_json_parse(text, size, "plan", &doc));
    size_t count = nnd_json_count(nnd_json_get(nnd_json_root(doc), "transfers"));
    nnd_json_destroy(doc);
    nnd_free(text);
    nnd_json_writer_destroy(w);
    return count;
}

static nnd_registry *registry_with(const nnd_node_type *type)
{
    nnd_registry *registry = NULL;
    assert_ok(nnd_registry_create(&registry));
    assert_ok(nnd_nodes_register(registry));
    assert_ok(nnd_registry_add(registry, type));
    return registry;
}

/* Twice the digit recogniser around two steps on the accelerator: 1 − (1 − logits). */
static void a_middle_on_the_accelerator_moves_as_planned(void **state)
{
    (void)state;
    enum { PACKETS = 10 };
    assert_ok(nnd_device_enable_simulated(1, 1000));
    nnd_io_policy policy = NND_IO_POLICY_INIT;
    const char *devices[] = {"sim:0"};
    nnd_io *io = NULL;
    policy.devices = devices;
    policy.device_count = 1;
    assert_ok(nnd_io_create(&policy, &io));
    bench b;
    bench_begin(&b, io);
    b.registry = registry_with(&invert_type);
    assert_ok(nnd_workflow_add_input(b.wf, "image", "image"));
    bench_node(&b, "pre", "image.to_tensor",
               "width=32;height=32;order='gray';scale=0.00392156862745098");
    bench_node(&b, "net", "infer.model", "model='digits-32'");
    bench_node(&b, "d1", "t.invert", NULL);
    bench_node(&b, "d2", "t.invert", NULL);
    bench_node(&b, "best", "classify.top_k", "k=11");
    bench_node(&b, "plain", "classify.top_k", "k=11");
    assert_ok(nnd_workflow_set_field(b.wf, "d1", "device", "\"sim:0\""));
    assert_ok(nnd_workflow_set_field(b.wf, "d2", "device", "\"sim:0\""));
    bench_link(&b, "@", "image", "pre", "image");
    bench_link(&b, "pre", "tensor", "net", "image");
    bench_link(&b, "net", "logits", "d1", "in");
    bench_link(&b, "d1", "out", "d2", "in");
    bench_link(&b, "d2", "out", "best", "scores");
    bench_link(&b, "net", "logits", "plain", "scores");
    assert_ok(nnd_workflow_add_output(b.wf, "moved", "best", "classes"));
    assert_ok(nnd_workflow_add_output(b.wf, "plain", "plain", "classes"));
    nnd_status status = bench_compile(&b);
    print_diagnostics(b.diags);
    assert_ok(status);
    assert_int_equal(nnd_plan_transfer_count(b.plan), 2); /* in and out, none in between */
    assert_int_equal(listed_transfers(b.plan), 2);
    nnd_run *run = NULL;
    nnd_value *picture = test_picture(NND_PIX_RGB, 40, 40), *moved = NULL, *plain = NULL;
    nnd_copy_stats before, after;
    assert_ok(nnd_run_create(b.plan, NULL, &run));
    nnd_copy_get_stats(&before);
    for (int i = 0; i < PACKETS; i++) {
        assert_ok(nnd_run_push(run, "image", picture));
        assert_ok(nnd_run_pop(run, "moved", &moved));
        assert_ok(nnd_run_pop(run, "plain", &plain));
        const nnd_classes *m = nnd_value_classes(moved), *p = nnd_value_classes(plain);
        for (size_t k = 0; k < 3; k++) {
            assert_int_equal(m->items[k].class_id, p->items[k].class_id);
            assert_float_equal(m->items[k].score, p->items[k].score, 1e-5);
        }
        nnd_value_unref(moved);
        nnd_value_unref(plain);
    }
    nnd_copy_get_stats(&after);
    assert_int_equal(after.transfers - before.transfers, 2 * PACKETS);
    assert_int_equal(after.copies - before.copies, 2 * PACKETS); /* and nothing else is copied */
    nnd_run_destroy(run);
    nnd_value_unref(picture);
    nnd_registry *registry = b.registry;
    bench_end(&b);
    nnd_registry_unref(registry);
    nnd_io_unref(io);
}

/* ---- a second process --------------------------------------------------------------------- */

static nnd_wire *peer; /* of the node below */

/* Sends the picture away and puts out what comes back. */
static nnd_status ship_process(nnd_ctx *ctx)
{
    nnd_wire_message message;
    NND_TRY(nnd_wire_send_value(peer, 0, 0, nnd_ctx_input(ctx, 0)));
    NND_TRY(nnd_wire_receive(peer, nnd_ctx_cancel(ctx), &message));
    nnd_value *value = nnd_value_ref(message.value);
    nnd_wire_message_fini(&message);
    return nnd_ctx_emit(ctx, 0, value);
}

static nnd_status ship_negotiate(nnd_negotiation *n)
{
    nnd_spec spec;
    nnd_spec_init(&spec);
    spec.memory_kinds = 1u << NND_MEM_SHARED;
    NND_TRY(nnd_negotiation_accept(n, 0, &spec));
    return nnd_negotiation_produce(n, 0, &spec);
}

static const nnd_port ship_in[] = {NND_PORT("in", "image", "")};
static const nnd_port ship_out[] = {NND_PORT("out", "image", "")};
static const nnd_node_type ship_type = {
    .struct_size = sizeof(nnd_node_type),
    .type = "t.ship",
    .version = 1,
    .category = "test",
    .title = "Ship",
    .text = "Through a second process.",
    .inputs = NND_ARRAY(ship_in),
    .outputs = NND_ARRAY(ship_out),
    .negotiate = ship_negotiate,
    .process = ship_process,
};

/* The child returns each value, and 0 when it has copied nothing. */
static void echo_and_exit(int fd)
{
    nnd_wire *wire = NULL;
    nnd_wire_message message;
    nnd_copy_stats before, after;
    if (nnd_wire_open_fd(fd, NULL, &wire) != NND_OK) _exit(1);
    nnd_copy_get_stats(&before);
    nnd_status status = NND_OK;
    while (status == NND_OK && (status = nnd_wire_receive(wire, NULL, &message)) == NND_OK) {
        status = nnd_wire_send_value(wire, message.channel, message.id, message.value);
        nnd_wire_message_fini(&message);
    }
    nnd_copy_get_stats(&after);
    _exit(status == NND_E_CLOSED && after.copies == before.copies ? 0 : 2);
}

static pid_t start_echo(void)
{
    int fds[2];
    assert_ok(nnd_wire_pair(fds));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(fds[0]);
        echo_and_exit(fds[1]);
    }
    close(fds[1]);
    assert_ok(nnd_wire_open_fd(fds[0], NULL, &peer));
    return child;
}

static void build_shipping(bench *b)
{
    bench_begin(b, NULL);
    b->registry = registry_with(&ship_type);
    assert_ok(nnd_workflow_add_input(b->wf, "image", "image"));
    bench_node(b, "small", "image.resize", "width=320;height=240");
    bench_node(b, "ship", "t.ship", NULL);
    bench_node(b, "turn", "image.flip", NULL);
    bench_node(b, "pre", "image.to_tensor", "width=64;height=64");
    bench_link(b, "@", "image", "small", "image");
    bench_link(b, "small", "image", "ship", "in");
    bench_link(b, "ship", "out", "turn", "image");
    bench_link(b, "ship", "out", "pre", "image");
    assert_ok(nnd_workflow_add_output(b->wf, "turned", "turn", "image"));
    assert_ok(nnd_workflow_add_output(b->wf, "tensor", "pre", "tensor"));
    nnd_status status = bench_compile(b);
    print_diagnostics(b->diags);
    assert_ok(status);
}

static void check_turned(nnd_value *picture, const nnd_value *turned)
{
    nnd_value *small = NULL, *wanted = NULL;
    assert_ok(nnd_value_new_image(NND_PIX_RGB, NND_U8, 320, 240, &small));
    assert_ok(nnd_value_new_image(NND_PIX_RGB, NND_U8, 320, 240, &wanted));
    assert_ok(nnd_image_resize(nnd_value_edit(small), nnd_value_image(picture), NULL));
    assert_ok(nnd_image_flip(nnd_value_edit(wanted), nnd_value_image(small), NND_FLIP_HORIZONTAL));
    assert_true(same_image(nnd_value_image(turned), nnd_value_image(wanted)));
    nnd_value_unref(small);
    nnd_value_unref(wanted);
}

static void pictures_pass_a_second_process_without_copies(void **state)
{
    (void)state;
    pid_t child = start_echo();
    bench b;
    nnd_run *run = NULL;
    nnd_value *picture = test_picture(NND_PIX_RGB, 640, 480), *turned = NULL, *tensor = NULL;
    nnd_copy_stats before, after;
    build_shipping(&b);
    assert_ok(nnd_run_create(b.plan, NULL, &run));
    nnd_copy_get_stats(&before);
    for (int i = 0; i < 20; i++) {
        assert_ok(nnd_run_push(run, "image", picture));
        assert_ok(nnd_run_pop(run, "turned", &turned));
        assert_ok(nnd_run_pop(run, "tensor", &tensor));
        if (i == 19) check_turned(picture, turned);
        nnd_value_unref(turned);
        nnd_value_unref(tensor);
    }
    nnd_copy_get_stats(&after);
    assert_int_equal(after.copies - before.copies, 0);
    nnd_run_destroy(run);
    nnd_wire_close(peer);
    int result = -1;
    assert_true(waitpid(child, &result, 0) == child);
    assert_true(WIFEXITED(result) && WEXITSTATUS(result) == 0);
    nnd_wire_destroy(peer);
    peer = NULL;
    nnd_value_unref(picture);
    nnd_registry *registry = b.registry;
    bench_end(&b);
    nnd_registry_unref(registry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_pass_a_second_process_without_copies), /* forks: first */
        cmocka_unit_test(plans_and_maps_share_one_model),
        cmocka_unit_test(a_failed_compile_keeps_no_model),
        cmocka_unit_test(a_middle_on_the_accelerator_moves_as_planned),
        cmocka_unit_test(two_threads_run_one_plan),
    };
    return cmocka_run_group_tests(tests, begin, finish);
}
