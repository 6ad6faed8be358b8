/* Where values lie: no copies on the host, shared memory, transfers to the simulated accelerator.
 */
#include "workflow/support.h"

static const nnd_port t_tensor_in[] = {NND_PORT("in", "tensor", "")};
static const nnd_port t_tensor_out[] = {NND_PORT("out", "tensor", "")};

/* Makes a tensor of 4 floats from a number. */
static nnd_status make_process(nnd_ctx *ctx)
{
    nnd_value *value = NULL;
    int64_t dims[1] = {4}, n = t_int(nnd_ctx_input(ctx, 0));
    NND_TRY(nnd_ctx_alloc_tensor(ctx, 0, NND_F32, 1, dims, &value));
    float *data = nnd_value_tensor(value)->data;
    for (int i = 0; i < 4; i++)
        data[i] = (float)n;
    return nnd_ctx_emit(ctx, 0, value);
}
static const nnd_node_type t_make = {.struct_size = sizeof(nnd_node_type),
                                     .type = "t.make",
                                     .version = 1,
                                     .category = "test",
                                     .title = "make",
                                     .text = "",
                                     .inputs = NND_ARRAY(t_in),
                                     .outputs = NND_ARRAY(t_tensor_out),
                                     .process = make_process};

/* Doubles in place. */
static nnd_status twice_process(nnd_ctx *ctx)
{
    nnd_value *value = NULL;
    NND_TRY(nnd_value_writable(nnd_ctx_take_input(ctx, 0), &value));
    const nnd_tensor *t = nnd_value_tensor(value);
    for (int i = 0; i < 4; i++)
        ((float *)t->data)[i] *= 2;
    return nnd_ctx_emit(ctx, 0, value);
}
static const nnd_node_type t_twice = {.struct_size = sizeof(nnd_node_type),
                                      .type = "t.twice",
                                      .version = 1,
                                      .category = "test",
                                      .title = "twice",
                                      .text = "",
                                      .inputs = NND_ARRAY(t_tensor_in),
                                      .outputs = NND_ARRAY(t_tensor_out),
                                      .flags = NND_NODE_INPLACE,
                                      .process = twice_process};

/* Adds 1 on the accelerator: queued work on device memory. */
typedef struct job {
    nnd_value *in, *out;
} job;
static nnd_status add_on_device(void *user)
{
    job *j = user;
    const float *in = nnd_device_sim_data(nnd_value_buffer(j->in));
    float *out = nnd_device_sim_data(nnd_value_buffer(j->out));
    for (int i = 0; i < 4; i++)
        out[i] = in[i] + 1;
    nnd_value_unref(j->in);
    nnd_value_unref(j->out);
    nnd_free(j);
    return NND_OK;
}
static nnd_status dev_process(nnd_ctx *ctx)
{
    int64_t dims[1] = {4};
    nnd_value *out = NULL;
    NND_TRY(nnd_ctx_alloc_tensor(ctx, 0, NND_F32, 1, dims, &out));
    job *j = nnd_alloc(sizeof(*j));
    if (!j) {
        nnd_value_unref(out);
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory");
    }
    j->in = nnd_value_ref(nnd_ctx_input(ctx, 0));
    j->out = nnd_value_ref(out);
    nnd_status status = nnd_stream_call(nnd_ctx_stream(ctx), add_on_device, j);
    if (status != NND_OK) {
        nnd_value_unref(j->in);
        nnd_value_unref(j->out);
        nnd_free(j);
        nnd_value_unref(out);
        return status;
    }
    return nnd_ctx_emit(ctx, 0, out);
}
static nnd_status dev_negotiate(nnd_negotiation *n)
{
    nnd_spec spec;
    nnd_spec_init(&spec);
    spec.device = nnd_negotiation_device(n);
    spec.memory_kinds = 1u << NND_MEM_DEVICE;
    NND_TRY(nnd_negotiation_accept(n, 0, &spec));
    return nnd_negotiation_produce(n, 0, &spec);
}
static const nnd_node_type t_dev = {.struct_size = sizeof(nnd_node_type),
                                    .type = "t.dev",
                                    .version = 1,
                                    .category = "test",
                                    .title = "dev",
                                    .text = "",
                                    .inputs = NND_ARRAY(t_tensor_in),
                                    .outputs = NND_ARRAY(t_tensor_out),
                                    .negotiate = dev_negotiate,
                                    .process = dev_process};

/* Wants memory that another process could map. */
static atomic_int t_share_kind;
static nnd_status share_negotiate(nnd_negotiation *n)
{
    nnd_spec spec;
    nnd_spec_init(&spec);
    spec.memory_kinds = 1u << NND_MEM_SHARED;
    spec.alignment = 4096;
    return nnd_negotiation_accept(n, 0, &spec);
}
static nnd_status share_process(nnd_ctx *ctx)
{
    nnd_buffer *buffer = nnd_value_buffer(nnd_ctx_input(ctx, 0));
    atomic_store(&t_share_kind, (int)nnd_buffer_kind(buffer));
    return nnd_ctx_emit(ctx, 0, nnd_ctx_take_input(ctx, 0));
}
static const nnd_node_type t_share = {.struct_size = sizeof(nnd_node_type),
                                      .type = "t.share",
                                      .version = 1,
                                      .category = "test",
                                      .title = "share",
                                      .text = "",
                                      .inputs = NND_ARRAY(t_tensor_in),
                                      .outputs = NND_ARRAY(t_tensor_out),
                                      .negotiate = share_negotiate,
                                      .process = share_process};

static nnd_plan *compile(const char *text)
{
    nnd_registry *r = t_registry();
    const nnd_node_type *const more[] = {&t_make, &t_twice, &t_dev, &t_share};
    for (size_t i = 0; i < NND_COUNT(more); i++)
        assert_ok(nnd_registry_add(r, more[i]));
    nnd_plan *plan = NULL;
    nnd_diagnostics *diags = NULL;
    assert_ok(nnd_diagnostics_create(&diags));
    assert_ok(t_try_compile(r, text, diags, &plan));
    nnd_diagnostics_destroy(diags);
    nnd_registry_unref(r);
    return plan;
}

static void expect_floats(nnd_run *run, float wanted)
{
    nnd_value *value = NULL;
    assert_ok(nnd_run_pop(run, "y", &value));
    const nnd_tensor *t = nnd_value_tensor(value);
    assert_non_null(t);
    assert_non_null(t->data);
    for (int i = 0; i < 4; i++)
        assert_true(((const float *)t->data)[i] == wanted);
    nnd_value_unref(value);
}

static void test_linear_host_workflow_copies_nothing(void **state)
{
    (void)state;
    nnd_plan *plan =
        compile(T_DOC(T_NODE("m", "t.make") "," T_NODE("a", "t.twice") "," T_NODE(
                          "b", "t.twice") "," T_NODE("c", "t.any"),
                      T_EDGE("@", "x", "m", "in") "," T_EDGE("m", "out", "a", "in") "," T_EDGE(
                          "a", "out", "b", "in") "," T_EDGE("b", "out", "c", "in"),
                      "c"));
    assert_int_equal(nnd_plan_transfer_count(plan), 0);
    nnd_run *run = t_run(plan);
    nnd_copy_stats before, after;
    assert_ok(t_push(run, "x", 1));
    expect_floats(run, 4);
    nnd_copy_get_stats(&before);
    for (int i = 0; i < 50; i++) {
        assert_ok(t_push(run, "x", i));
        expect_floats(run, (float)i * 4);
    }
    nnd_copy_get_stats(&after);
    assert_int_equal(after.copies, before.copies);
    assert_int_equal(after.allocations, before.allocations); /* the pool gives them again */
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
}

/* Two consumers: the one that writes gets its own copy. */
static void test_fan_out_keeps_values_apart(void **state)
{
    (void)state;
    nnd_plan *plan = compile(
        "{'format':'nndeploy/1','name':'t','inputs':[{'name':'x','type':'int'}],"
        "'outputs':[{'name':'y','from':['a','out']},{'name':'z','from':['m','out']}],"
        "'nodes':[{'id':'m','type':'t.make'},{'id':'a','type':'t.twice'}],"
        "'edges':[{'from':['@','x'],'to':['m','in']},{'from':['m','out'],'to':['a','in']}]}");
    nnd_run *run = t_run(plan);
    assert_ok(t_push(run, "x", 3));
    nnd_value *z = NULL;
    expect_floats(run, 6);
    assert_ok(nnd_run_pop(run, "z", &z));
    assert_true(((const float *)nnd_value_tensor(z)->data)[0] == 3);
    nnd_value_unref(z);
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
}

#define T_ON_DEVICE                                                                                \
    T_DOC(T_NODE("m", "t.make") ",{'id':'d1','type':'t.dev','device':'sim:0'},"                    \
                                "{'id':'d2','type':'t.dev','device':'sim:0'}," T_NODE("h",         \
                                                                                      "t.twice"),  \
          T_EDGE("@", "x", "m", "in") "," T_EDGE("m", "out", "d1", "in") "," T_EDGE(               \
              "d1", "out", "d2", "in") "," T_EDGE("d2", "out", "h", "in"),                         \
          "h")

static void test_middle_on_the_accelerator(void **state)
{
    (void)state;
    assert_ok(nnd_device_enable_simulated(2, 1000));
    nnd_plan *plan = compile(T_ON_DEVICE);
    assert_int_equal(nnd_plan_transfer_count(plan), 2); /* in and out, none between d1 and d2 */
    nnd_run *run = t_run(plan);
    nnd_copy_stats before, after;
    nnd_copy_get_stats(&before);
    for (int i = 0; i < 40; i++) {
        assert_ok(t_push(run, "x", i));
        expect_floats(run, ((float)i + 2) * 2);
    }
    nnd_copy_get_stats(&after);
    assert_int_equal(after.transfers - before.transfers, 40 * 2);
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
}

/* Two consumers on one device share a transfer; another device needs its own. */
static void test_transfers_are_shared(void **state)
{
    (void)state;
    assert_ok(nnd_device_enable_simulated(2, 1000));
    nnd_plan *plan = compile(
        "{'format':'nndeploy/1','name':'t','inputs':[{'name':'x','type':'int'}],"
        "'outputs':[{'name':'y','from':['d1','out']},{'name':'z','from':['d2','out']},"
        "{'name':'w','from':['d3','out']}],'nodes':[{'id':'m','type':'t.make'},"
        "{'id':'d1','type':'t.dev','device':'sim:0'},{'id':'d2','type':'t.dev','device':'sim:0'},"
        "{'id':'d3','type':'t.dev','device':'sim:1'}],"
        "'edges':[{'from':['@','x'],'to':['m','in']},{'from':['m','out'],'to':['d1','in']},"
        "{'from':['m','out'],'to':['d2','in']},{'from':['m','out'],'to':['d3','in']}]}");
    assert_int_equal(nnd_plan_transfer_count(plan), 2 + 3);
    nnd_json_writer *w = NULL;
    char *text = NULL;
    assert_ok(nnd_json_writer_create(2, &w));
    assert_ok(nnd_plan_to_json(plan, w));
    assert_ok(nnd_json_writer_take(w, &text, NULL));
    nnd_json_writer_destroy(w);
    nnd_json_doc *doc = NULL;
    assert_ok(nnd_json_parse(text, strlen(text), NULL, &doc));
    assert_int_equal(nnd_json_count(nnd_json_get(nnd_json_root(doc), "transfers")), 5);
    assert_string_equal(nnd_json_string(nnd_json_get(nnd_json_root(doc), "scheduled_as"), ""),
                        "serial");
    nnd_json_destroy(doc);
    nnd_free(text);
    nnd_run *run = t_run(plan);
    assert_ok(t_push(run, "x", 5));
    expect_floats(run, 6);
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
}

/* Device memory goes through control flow without coming home in between. */
static void test_loop_on_the_accelerator(void **state)
{
    (void)state;
    assert_ok(nnd_device_enable_simulated(2, 1000));
    nnd_plan *plan =
        compile("{'format':'nndeploy/1','name':'t','inputs':[{'name':'x','type':'int'}],"
                "'outputs':[{'name':'y','from':['l','o']}],'nodes':[{'id':'m','type':'t.make'},"
                "{'id':'d0','type':'t.dev','device':'sim:0'},"
                "{'id':'l','type':'flow.loop','count':5,'carry':[{'in':'i','out':'o'}],"
                "'graph':{'inputs':[{'name':'i','type':'tensor'}],'outputs':[{'name':'o','from':['"
                "d','out']}],"
                "'nodes':[{'id':'d','type':'t.dev','device':'sim:0'}],"
                "'edges':[{'from':['@','i'],'to':['d','in']}]}}],"
                "'edges':[{'from':['@','x'],'to':['m','in']},{'from':['m','out'],'to':['d0','in']},"
                "{'from':['d0','out'],'to':['l','i']}]}");
    assert_int_equal(nnd_plan_transfer_count(plan), 2);
    nnd_run *run = t_run(plan);
    assert_ok(t_push(run, "x", 5));
    expect_floats(run, 11);
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
}

static void test_shared_memory_where_asked(void **state)
{
    (void)state;
    nnd_plan *plan =
        compile(T_DOC(T_NODE("m", "t.make") "," T_NODE("s", "t.share"),
                      T_EDGE("@", "x", "m", "in") "," T_EDGE("m", "out", "s", "in"), "s"));
    assert_int_equal(nnd_plan_transfer_count(plan), 0); /* it is made there in the first place */
    nnd_run *run = t_run(plan);
    nnd_copy_stats before, after;
    nnd_copy_get_stats(&before);
    assert_ok(t_push(run, "x", 5));
    expect_floats(run, 5);
    nnd_copy_get_stats(&after);
    assert_int_equal(after.copies, before.copies);
    assert_int_equal(atomic_load(&t_share_kind), NND_MEM_SHARED);
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
}

static void test_device_that_does_not_exist(void **state)
{
    (void)state;
    nnd_registry *r = t_registry();
    assert_ok(nnd_registry_add(r, &t_make));
    nnd_plan *plan = NULL;
    nnd_diagnostics *diags = NULL;
    assert_ok(nnd_diagnostics_create(&diags));
    assert_status(t_try_compile(r,
                                T_DOC("{'id':'m','type':'t.make','device':'npu:7'}",
                                      T_EDGE("@", "x", "m", "in"), "m"),
                                diags, &plan),
                  NND_E_VALIDATION);
    assert_string_equal(nnd_diagnostics_at(diags, 0)->node, "m");
    nnd_diagnostics_destroy(diags);
    assert_ok(nnd_device_enable_simulated(2, 1000));
    assert_ok(nnd_diagnostics_create(&diags)); /* a node that knows nothing of devices */
    assert_status(t_try_compile(r,
                                T_DOC("{'id':'m','type':'t.make','device':'sim:0'}",
                                      T_EDGE("@", "x", "m", "in"), "m"),
                                diags, &plan),
                  NND_E_VALIDATION);
    assert_int_equal(nnd_diagnostics_at(diags, 0)->status, NND_E_UNSUPPORTED);
    nnd_diagnostics_destroy(diags);
    nnd_registry_unref(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear_host_workflow_copies_nothing),
        cmocka_unit_test(test_fan_out_keeps_values_apart),
        cmocka_unit_test(test_middle_on_the_accelerator),
        cmocka_unit_test(test_transfers_are_shared),
        cmocka_unit_test(test_loop_on_the_accelerator),
        cmocka_unit_test(test_shared_memory_where_asked),
        cmocka_unit_test(test_device_that_does_not_exist),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
