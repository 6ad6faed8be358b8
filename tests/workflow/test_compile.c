/* Compiling: what is wrong is told with its place, all at once; what the plan says of itself. */
#include "port/port.h"
#include "workflow/support.h"

typedef struct wanted {
    const char *code, *node, *port;
} wanted;

static void expect_errors(nnd_registry *r, const char *text, const wanted *errors, size_t count)
{
    nnd_diagnostics *diags = NULL;
    nnd_plan *plan = NULL;
    assert_ok(nnd_diagnostics_create(&diags));
    nnd_status status = t_try_compile(r, text, diags, &plan);
    if (status != NND_E_VALIDATION || nnd_diagnostics_error_count(diags) != count) {
        char *report = nnd_diagnostics_to_string(diags);
        fprintf(stderr, "%s\n%s", text, report);
        nnd_free(report);
    }
    assert_status(status, NND_E_VALIDATION);
    assert_int_equal(nnd_diagnostics_error_count(diags), count);
    for (size_t i = 0, k = 0; i < nnd_diagnostics_count(diags); i++) {
        const nnd_diagnostic *d = nnd_diagnostics_at(diags, i);
        if (d->severity != NND_SEVERITY_ERROR) continue;
        assert_string_equal(d->code, errors[k].code);
        if (errors[k].node) assert_string_equal(d->node, errors[k].node);
        if (errors[k].port) assert_string_equal(d->port, errors[k].port);
        assert_true(d->message[0] != '\0');
        assert_true(d->line > 0);
        k++;
    }
    /* the thread's record tells the first one */
    nnd_error *e = nnd_error_take();
    assert_non_null(e);
    assert_int_equal(nnd_error_status(e), NND_E_VALIDATION);
    nnd_error_destroy(e);
    nnd_diagnostics_destroy(diags);
}

/* ---- nodes with opinions ----------------------------------------------------------------- */

static nnd_status picky_negotiate(nnd_negotiation *n)
{
    (void)n;
    return nnd_error_set(NND_E_SHAPE, "needs 640 x 480");
}
static const nnd_node_type t_picky = {.struct_size = sizeof(nnd_node_type),
                                      .type = "t.picky",
                                      .version = 1,
                                      .category = "test",
                                      .title = "picky",
                                      .text = "",
                                      .inputs = NND_ARRAY(t_in),
                                      .outputs = NND_ARRAY(t_out),
                                      .negotiate = picky_negotiate,
                                      .process = t_inc_process};

static const nnd_param required_params[] = {
    {"by", NND_PARAM_KIND_INT, NND_PARAM_REQUIRED, 0, NULL, 0, 0, NULL, "", "step", NULL},
};
static const nnd_node_type t_required = {.struct_size = sizeof(nnd_node_type),
                                         .type = "t.required",
                                         .version = 1,
                                         .category = "test",
                                         .title = "required",
                                         .text = "",
                                         .inputs = NND_ARRAY(t_in),
                                         .outputs = NND_ARRAY(t_out),
                                         .params = NND_ARRAY(required_params),
                                         .process = t_inc_process};

static nnd_status lost_prepare(nnd_prepare *p, void **prepared)
{
    char *path = NULL;
    (void)prepared;
    return nnd_prepare_find_model(p, "no-such-model", &path);
}
static const nnd_node_type t_lost = {.struct_size = sizeof(nnd_node_type),
                                     .type = "t.lost",
                                     .version = 1,
                                     .category = "test",
                                     .title = "lost",
                                     .text = "",
                                     .inputs = NND_ARRAY(t_in),
                                     .outputs = NND_ARRAY(t_out),
                                     .prepare = lost_prepare,
                                     .process = t_inc_process};

/* As many outputs as the parameter says. */
static const nnd_param fan_params[] = {
    {"n", NND_PARAM_KIND_INT, NND_PARAM_STATIC, 2, NULL, 1, 9, NULL, "", "", NULL}};
static nnd_status fan_ports(const nnd_params *params, nnd_prepare *prepare, nnd_port_list *ports)
{
    (void)prepare;
    NND_TRY(nnd_port_list_add_input(ports, "in", "int", "", 0));
    for (int64_t i = 0; i < nnd_params_int(params, "n"); i++) {
        char name[16];
        snprintf(name, sizeof(name), "out%d", (int)i);
        NND_TRY(nnd_port_list_add_output(ports, name, "int", "", 0));
    }
    return NND_OK;
}
static nnd_status fan_process(nnd_ctx *ctx)
{
    for (int64_t i = 0; i < nnd_params_int(nnd_ctx_params(ctx), "n"); i++)
        NND_TRY(t_emit_int(ctx, (size_t)i, t_int(nnd_ctx_input(ctx, 0)) + i));
    return NND_OK;
}
static const nnd_node_type t_fan = {.struct_size = sizeof(nnd_node_type),
                                    .type = "t.fan",
                                    .version = 1,
                                    .category = "test",
                                    .title = "fan",
                                    .text = "",
                                    .params = NND_ARRAY(fan_params),
                                    .resolve_ports = fan_ports,
                                    .process = fan_process};

/* Its ports depend on something that is not there. */
static nnd_status blind_ports(const nnd_params *params, nnd_prepare *prepare, nnd_port_list *ports)
{
    char *path = NULL;
    (void)params;
    (void)ports;
    return nnd_prepare_find_model(prepare, "no-such-model", &path);
}
static const nnd_node_type t_blind = {.struct_size = sizeof(nnd_node_type),
                                      .type = "t.blind",
                                      .version = 1,
                                      .category = "test",
                                      .title = "blind",
                                      .text = "",
                                      .resolve_ports = blind_ports,
                                      .process = t_inc_process};

static nnd_registry *registry(void)
{
    nnd_registry *r = t_registry();
    assert_ok(nnd_registry_add(r, &t_picky));
    assert_ok(nnd_registry_add(r, &t_required));
    assert_ok(nnd_registry_add(r, &t_lost));
    assert_ok(nnd_registry_add(r, &t_fan));
    assert_ok(nnd_registry_add(r, &t_blind));
    return r;
}

/* ---- errors ------------------------------------------------------------------------------ */

static void test_all_at_once(void **state)
{
    (void)state;
    nnd_registry *r = registry();
    const wanted prepare[] = {{"prepare", "a", NULL}, {"prepare", "b", NULL}};
    expect_errors(r,
                  T_DOC(T_NODE("a", "t.lost") "," T_NODE("b", "t.lost"),
                        T_EDGE("@", "x", "a", "in") "," T_EDGE("a", "out", "b", "in"), "b"),
                  prepare, 2);
    const wanted negotiate[] = {{"negotiate", "a", NULL}, {"negotiate", "b", NULL}};
    expect_errors(r,
                  T_DOC(T_NODE("a", "t.picky") "," T_NODE("b", "t.picky"),
                        T_EDGE("@", "x", "a", "in") "," T_EDGE("a", "out", "b", "in"), "b"),
                  negotiate, 2);
    nnd_registry_unref(r);
}

/* With this override there is one error, at this parameter. */
static void assert_one_error(nnd_registry *r, const char *text, const char *set, const char *port)
{
    nnd_diagnostics *diags = NULL;
    nnd_plan *plan = NULL;
    nnd_compile_options o = NND_COMPILE_OPTIONS_INIT;
    nnd_workflow *wf = t_parse(text);
    assert_ok(nnd_diagnostics_create(&diags));
    o.registry = r;
    o.set = &set;
    o.set_count = 1;
    assert_status(nnd_plan_compile(wf, &o, diags, &plan), NND_E_VALIDATION);
    assert_int_equal(nnd_diagnostics_count(diags), 1);
    assert_string_equal(nnd_diagnostics_at(diags, 0)->port, port);
    nnd_error_clear();
    nnd_diagnostics_destroy(diags);
    nnd_workflow_destroy(wf);
}

/* What is wrong with a node is said once: its edges are not wrong because of it. */
static void test_one_error_for_one_mistake(void **state)
{
    (void)state;
    nnd_registry *r = registry();
    const wanted blind[] = {{"ports", "b", NULL}};
    expect_errors(r,
                  T_DOC(T_NODE("a", "t.inc") "," T_NODE("b", "t.blind") "," T_NODE("c", "t.inc"),
                        T_EDGE("@", "x", "a", "in") "," T_EDGE("a", "out", "b", "in") "," T_EDGE(
                            "b", "out", "c", "in"),
                        "c"),
                  blind, 1);
    const char *fan = T_DOC("{'id':'b','type':'t.fan','params':{'n':2}}," T_NODE("c", "t.inc"),
                            T_EDGE("@", "x", "b", "in") "," T_EDGE("b", "out1", "c", "in"), "c");
    assert_one_error(r, fan, "b.n=99", "n");
    const char *map =
        "{'format':'nndeploy/1','name':'t','inputs':[{'name':'x','type':'list<int>'}],"
        "'outputs':[{'name':'y','from':['m','o']}],"
        "'nodes':[{'id':'m','type':'flow.map','graph':{"
        "'inputs':[{'name':'i','type':'int'}],"
        "'outputs':[{'name':'o','from':['a','out']}],"
        "'nodes':[{'id':'a','type':'t.inc'}],"
        "'edges':[{'from':['@','i'],'to':['a','in']}]}}],"
        "'edges':[{'from':['@','x'],'to':['m','i']}]}";
    assert_one_error(r, map, "m.over=7", "over");
    nnd_registry_unref(r);
}

static void test_structure(void **state)
{
    (void)state;
    nnd_registry *r = registry();
    const wanted endless[] = {{"endless-cycle", "d", NULL}};
    expect_errors(r,
                  "{'format':'nndeploy/1','name':'t','outputs':[{'name':'y','from':['a','out']}],"
                  "'nodes':[{'id':'a','type':'t.inc'},"
                  "{'id':'d','type':'flow.delay','params':{'initial':0}}],"
                  "'edges':[{'from':['a','out'],'to':['d','in']},"
                  "{'from':['d','out'],'to':['a','in']}]}",
                  endless, 1);
    const wanted source[] = {{"source-in-body", "m/s", NULL}};
    expect_errors(
        r,
        "{'format':'nndeploy/1','name':'t','inputs':[{'name':'x','type':'list<int>'}],"
        "'outputs':[{'name':'y','from':['m','o']}],"
        "'nodes':[{'id':'m','type':'flow.map','graph':{"
        "'inputs':[{'name':'i','type':'int'}],'outputs':[{'name':'o','from':['a','out']}],"
        "'nodes':[{'id':'s','type':'t.source'},{'id':'a','type':'t.add'}],"
        "'edges':[{'from':['@','i'],'to':['a','a']},"
        "{'from':['s','out'],'to':['a','b']}]}}],"
        "'edges':[{'from':['@','x'],'to':['m','i']}]}",
        source, 1);
    const wanted fallback[] = {{"bad-fallback", "a", NULL}};
    expect_errors(
        r,
        T_DOC("{'id':'a','type':'t.inc','on_error':{'fallback':'b'}}," T_NODE("b", "t.add"),
              T_EDGE("@", "x", "a", "in"), "a"),
        fallback, 1);
    nnd_registry_unref(r);
}

static void test_unused_nodes_are_told(void **state)
{
    (void)state;
    nnd_registry *r = registry();
    nnd_diagnostics *diags = NULL;
    nnd_plan *plan = NULL;
    assert_ok(nnd_diagnostics_create(&diags));
    assert_ok(
        t_try_compile(r,
                      T_DOC(T_NODE("a", "t.inc") "," T_NODE("b", "t.lost"),
                            T_EDGE("@", "x", "a", "in") "," T_EDGE("a", "out", "b", "in"), "a"),
                      diags, &plan)); /* b is not even prepared */
    bool told = false;
    for (size_t i = 0; i < nnd_diagnostics_count(diags); i++)
        told |= strcmp(nnd_diagnostics_at(diags, i)->code, "unused-node") == 0 &&
                strcmp(nnd_diagnostics_at(diags, i)->node, "b") == 0;
    assert_true(told);
    nnd_diagnostics_destroy(diags);
    nnd_plan_unref(plan);
    nnd_registry_unref(r);
}

/* ---- dynamic ports, overrides, modes, hash ------------------------------------------------- */

static nnd_plan *compile_with(const char *text, nnd_run_mode mode, const char *const *set,
                              size_t set_count, nnd_status expected)
{
    nnd_registry *r = registry();
    nnd_workflow *wf = t_parse(text);
    nnd_compile_options o = NND_COMPILE_OPTIONS_INIT;
    nnd_plan *plan = NULL;
    o.registry = r;
    o.mode = mode;
    o.set = set;
    o.set_count = set_count;
    assert_status(nnd_plan_compile(wf, &o, NULL, &plan), expected);
    nnd_error_clear();
    nnd_workflow_destroy(wf);
    nnd_registry_unref(r);
    return plan;
}

static char *plan_json(nnd_plan *plan)
{
    nnd_json_writer *w = NULL;
    char *text = NULL;
    assert_ok(nnd_json_writer_create(0, &w));
    assert_ok(nnd_plan_to_json(plan, w));
    assert_ok(nnd_json_writer_take(w, &text, NULL));
    nnd_json_writer_destroy(w);
    return text;
}

static void test_dynamic_ports(void **state)
{
    (void)state;
    const char *text =
        "{'format':'nndeploy/1','name':'t','inputs':[{'name':'x','type':'int'}],"
        "'outputs':[{'name':'y','from':['a','out']}],'nodes':[{'id':'f','type':'t.fan',"
        "'params':{'n':3}},{'id':'a','type':'t.add'}],'edges':[{'from':['@','x'],'to':['f','in']},"
        "{'from':['f','out1'],'to':['a','a']},{'from':['f','out2'],'to':['a','b']}]}";
    nnd_plan *plan = compile_with(text, NND_RUN_DEFAULT, NULL, 0, NND_OK);
    nnd_run *run = t_run(plan);
    assert_ok(t_push(run, "x", 10));
    assert_pops(run, "y", 23);
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
    const char *const fewer[] = {"f.n=2"}; /* out2 is gone then */
    assert_null(compile_with(text, NND_RUN_DEFAULT, fewer, 1, NND_E_VALIDATION));
}

static void test_overrides(void **state)
{
    (void)state;
    const char *text =
        "{'format':'nndeploy/1','name':'t','inputs':[{'name':'x','type':'int'}],"
        "'outputs':[{'name':'y','from':['s','o']}],'params':[{'name':'step','to':['s','by']}],"
        "'nodes':[{'id':'s','type':'flow.graph','params':{'by':5},'graph':{"
        "'inputs':[{'name':'i','type':'int'}],'outputs':[{'name':'o','from':['a','out']}],"
        "'params':[{'name':'by','to':['a','by']}],'nodes':[{'id':'a','type':'t.inc'}],"
        "'edges':[{'from':['@','i'],'to':['a','in']}]}}],"
        "'edges':[{'from':['@','x'],'to':['s','i']}]}";
    static const struct {
        const char *set[2];
        size_t count;
        int64_t result;
    } cases[] = {
        {{NULL}, 0, 5},
        {{"s/a.by=7"}, 1, 7},
        {{"s.by=8"}, 1, 8},
        {{"@.step=9"}, 1, 9},
        {{"s/a.by=7", "s/a.by=6"}, 2, 6},
    };
    for (size_t i = 0; i < NND_COUNT(cases); i++) {
        nnd_plan *plan = compile_with(text, NND_RUN_DEFAULT, cases[i].set, cases[i].count, NND_OK);
        nnd_run *run = t_run(plan);
        assert_ok(t_push(run, "x", 0));
        assert_pops(run, "y", cases[i].result);
        nnd_run_destroy(run);
        nnd_plan_unref(plan);
    }
    static const char *const bad[] = {"s/a.by",      "nobody.by=1", "s/a.nope=1",
                                      "s/a.by=text", "=",           ""};
    for (size_t i = 0; i < NND_COUNT(bad); i++)
        assert_null(compile_with(text, NND_RUN_DEFAULT, &bad[i], 1, NND_E_VALIDATION));
}

/* A word is a text without quotes; what only looks like JSON is not taken for one. */
static void test_override_with_a_bare_word(void **state)
{
    (void)state;
    const char *text = "{'format':'nndeploy/1','name':'t','inputs':[{'name':'x','type':'int'}],"
                       "'outputs':[{'name':'y','from':['f','out']}],"
                       "'nodes':[{'id':'f','type':'t.fail'}],"
                       "'edges':[{'from':['@','x'],'to':['f','in']}]}";
    static const char *const good[] = {"f.how=silent", "f.how=\"silent\""};
    static const char *const bad[] = {"f.how=loud",        "f.how=[silent", "f.how=silent thing",
                                      "f.how=\"silent",    "f.how=true",    "f.at=silent",
                                      "f.how=silent\"y\"", "f.how="};
    for (size_t i = 0; i < NND_COUNT(good); i++) {
        nnd_plan *plan = compile_with(text, NND_RUN_DEFAULT, &good[i], 1, NND_OK);
        nnd_run *run = t_run(plan);
        assert_status(t_push(run, "x", 2), NND_E_IO);
        nnd_run_destroy(run);
        nnd_plan_unref(plan);
    }
    for (size_t i = 0; i < NND_COUNT(bad); i++)
        assert_null(compile_with(text, NND_RUN_DEFAULT, &bad[i], 1, NND_E_VALIDATION));
}

/* A REQUIRED parameter may get its value from an override alone. */
static void test_override_gives_a_required_parameter(void **state)
{
    (void)state;
    const char *text = "{'format':'nndeploy/1','name':'t','inputs':[{'name':'x','type':'int'}],"
                       "'outputs':[{'name':'y','from':['a','out']}],"
                       "'nodes':[{'id':'a','type':'t.required'}],"
                       "'edges':[{'from':['@','x'],'to':['a','in']}]}";
    const char *const given[] = {"a.by=4"}, *const other[] = {"a.bye=4"};
    nnd_plan *plan = compile_with(text, NND_RUN_DEFAULT, given, 1, NND_OK);
    nnd_run *run = t_run(plan);
    assert_ok(t_push(run, "x", 1));
    assert_pops(run, "y", 5);
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
    assert_null(compile_with(text, NND_RUN_DEFAULT, NULL, 0, NND_E_VALIDATION));
    assert_null(compile_with(text, NND_RUN_DEFAULT, other, 1, NND_E_VALIDATION));
}

/* The mode only schedules: same results, and the plan says what works through it. */
static void test_modes(void **state)
{
    (void)state;
    static const nnd_run_mode modes[] = {NND_RUN_SERIAL, NND_RUN_TASK, NND_RUN_PIPELINE};
    static const char *const names[] = {"\"mode\":\"serial\"", "\"mode\":\"task\"",
                                        "\"mode\":\"pipeline\""};
    for (size_t i = 0; i < NND_COUNT(modes); i++) {
        nnd_plan *plan = compile_with(T_DOC(T_NODE("a", "t.inc"), T_EDGE("@", "x", "a", "in"), "a"),
                                      modes[i], NULL, 0, NND_OK);
        char *json = plan_json(plan);
        assert_non_null(strstr(json, names[i]));
        assert_non_null(strstr(json, "\"scheduled_as\":\"serial\""));
        nnd_free(json);
        nnd_run *run = t_run(plan);
        for (int k = 0; k < 20; k++)
            assert_ok(t_push(run, "x", k));
        for (int k = 0; k < 20; k++)
            assert_pops(run, "y", k + 1);
        nnd_run_destroy(run);
        nnd_plan_unref(plan);
    }
}

static void plan_hash(const char *text, const char *set, char out[40])
{
    nnd_plan *plan = compile_with(text, NND_RUN_DEFAULT, &set, set ? 1 : 0, NND_OK);
    char *json = plan_json(plan);
    const char *hash = strstr(json, "\"hash\":\"");
    assert_non_null(hash);
    memcpy(out, hash + 8, 32);
    out[32] = '\0';
    nnd_free(json);
    nnd_plan_unref(plan);
}

/* ---- models through the host ------------------------------------------------------------- */

static char found_name[64], found_sha[64];

static nnd_status find_model(void *user, const char *name, const char *sha256, char **path)
{
    assert_string_equal(user, "host");
    snprintf(found_name, sizeof(found_name), "%s", name);
    snprintf(found_sha, sizeof(found_sha), "%s", sha256 ? sha256 : "");
    *path = nnd_strdup("/models/there.onnx");
    return *path ? NND_OK : nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory");
}
static nnd_status model_prepare(nnd_prepare *p, void **prepared)
{
    char *path = NULL;
    NND_TRY(nnd_prepare_find_model(p, "there", &path));
    *prepared = path;
    return NND_OK;
}
static const nnd_node_type t_model = {.struct_size = sizeof(nnd_node_type),
                                      .type = "t.model",
                                      .version = 1,
                                      .category = "test",
                                      .title = "model",
                                      .text = "",
                                      .inputs = NND_ARRAY(t_in),
                                      .outputs = NND_ARRAY(t_out),
                                      .prepare = model_prepare,
                                      .release = nnd_free,
                                      .process = t_inc_process};

static void test_models_come_from_the_host(void **state)
{
    (void)state;
    nnd_registry *r = registry();
    assert_ok(nnd_registry_add(r, &t_model));
    nnd_workflow *wf =
        t_parse("{'format':'nndeploy/1','name':'t','inputs':[{'name':'x','type':'int'}],"
                "'outputs':[{'name':'y','from':['m','out']}],'nodes':[{'id':'m','type':'t.model'}],"
                "'edges':[{'from':['@','x'],'to':['m','in']}],"
                "'models':{'there':{'sha256':"
                "'0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef'}}}");
    nnd_services services = {sizeof(services), (void *)(uintptr_t) "host", find_model, NULL, NULL};
    nnd_compile_options o = NND_COMPILE_OPTIONS_INIT;
    nnd_plan *plan = NULL;
    o.registry = r;
    o.services = &services;
    assert_ok(nnd_plan_compile(wf, &o, NULL, &plan));
    assert_string_equal(found_name, "there");
    assert_memory_equal(found_sha, "0123456789abcdef", 16);
    nnd_plan_unref(plan);
    nnd_workflow_destroy(wf);
    nnd_registry_unref(r);
}

static char found_backend[64];

static nnd_status find_variant(void *user, const nnd_model_wish *wish, char **path, bool *as_wished)
{
    assert_int_equal(wish->size, sizeof(*wish));
    assert_false(*as_wished);
    snprintf(found_backend, sizeof(found_backend), "%s", wish->backend ? wish->backend : "");
    *as_wished = true;
    return find_model(user, wish->name, wish->sha256, path);
}

static bool was_as_wished;

static nnd_status variant_prepare(nnd_prepare *p, void **prepared)
{
    nnd_model_wish wish = {.size = sizeof(wish), .name = "there@int8", .backend = "toy"};
    char *path = NULL;
    wish.size--;
    assert_int_equal(nnd_prepare_find_variant(p, &wish, &path, NULL), NND_E_INVALID_ARGUMENT);
    wish.size++;
    NND_TRY(nnd_prepare_find_variant(p, &wish, &path, &was_as_wished));
    *prepared = path;
    return NND_OK;
}

/* Compiles a workflow with these pins whose node wants "there@int8" for the backend "toy". */
static void ask_for_a_variant(const nnd_services *services, const char *pins)
{
    nnd_registry *r = registry();
    nnd_node_type type = t_model;
    char text[1024];
    type.prepare = variant_prepare;
    assert_ok(nnd_registry_add(r, &type));
    snprintf(text, sizeof(text),
             "{'format':'nndeploy/1','name':'t','inputs':[{'name':'x','type':'int'}],"
             "'outputs':[{'name':'y','from':['m','out']}],'nodes':[{'id':'m','type':'t.model'}],"
             "'edges':[{'from':['@','x'],'to':['m','in']}],'models':{%s}}",
             pins);
    nnd_workflow *wf = t_parse(text);
    nnd_compile_options o = NND_COMPILE_OPTIONS_INIT;
    nnd_plan *plan = NULL;
    o.registry = r;
    o.services = services;
    found_backend[0] = '\0';
    assert_ok(nnd_plan_compile(wf, &o, NULL, &plan));
    assert_string_equal(found_name, "there@int8");
    nnd_plan_unref(plan);
    nnd_workflow_destroy(wf);
    nnd_registry_unref(r);
}

static void test_variants_come_from_the_host(void **state)
{
    (void)state;
    nnd_services services = {sizeof(services), (void *)(uintptr_t) "host", find_model, NULL,
                             find_variant};
    ask_for_a_variant(&services, "'there':{'sha256':'aa'}");
    assert_string_equal(found_backend, "toy");
    assert_string_equal(found_sha, "aa");
    assert_true(was_as_wished);
    ask_for_a_variant(&services, "'there':{'sha256':'aa'},'there@int8':{'sha256':'bb'}");
    assert_string_equal(found_sha, "bb");
    ask_for_a_variant(&services, "'other':{'sha256':'aa'}");
    assert_string_equal(found_sha, "");
    /* A host of before knows of no variants. */
    services.size = offsetof(nnd_services, find_variant);
    ask_for_a_variant(&services, "'there':{'sha256':'aa'}");
    assert_string_equal(found_backend, "");
    assert_string_equal(found_sha, "aa");
    assert_false(was_as_wished);
}

/* A file that the workflow names itself must be the one that it pins, too. */
static void test_a_named_file_is_checked(void **state)
{
    (void)state;
    static const char *const pins[] = {
        /* SHA-256 of "abc", in either case, then of something else */
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD",
        "ca7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"};
    char *folder = NULL;
    assert_int_equal(nnd_port_dir_create_temp("nnd-pin", &folder), 0);
    char file[1024], text[2048];
    snprintf(file, sizeof(file), "%s/there", folder);
    assert_int_equal(nnd_port_file_write_atomic(file, "abc", 3), 0);
    nnd_io_policy policy = NND_IO_POLICY_INIT;
    const char *roots[] = {folder};
    policy.base_dir = folder;
    policy.read_roots = roots;
    policy.read_root_count = 1;
    for (size_t i = 0; i < NND_COUNT(pins); i++) {
        nnd_registry *r = registry();
        nnd_compile_options o = NND_COMPILE_OPTIONS_INIT;
        nnd_plan *plan = NULL;
        nnd_io *io = NULL;
        assert_ok(nnd_io_create(&policy, &io));
        assert_ok(nnd_registry_add(r, &t_model));
        snprintf(text, sizeof(text),
                 "{'format':'nndeploy/1','name':'t','inputs':[{'name':'x','type':'int'}],"
                 "'outputs':[{'name':'y','from':['m','out']}],"
                 "'nodes':[{'id':'m','type':'t.model'}],"
                 "'edges':[{'from':['@','x'],'to':['m','in']}],"
                 "'models':{'there':{'sha256':'%s'}}}",
                 pins[i]);
        nnd_workflow *wf = t_parse(text);
        o.registry = r;
        o.io = io;
        nnd_status status = nnd_plan_compile(wf, &o, NULL, &plan);
        assert_int_equal(status, i < 2 ? NND_OK : NND_E_VALIDATION);
        nnd_error_clear();
        nnd_plan_unref(plan);
        nnd_workflow_destroy(wf);
        nnd_registry_unref(r);
        nnd_io_unref(io);
    }
    assert_int_equal(nnd_port_dir_remove_tree(folder), 0);
    nnd_port_free(folder);
}

static void test_hash(void **state)
{
    (void)state;
    const char *text = T_DOC(T_NODE("a", "t.inc"), T_EDGE("@", "x", "a", "in"), "a");
    char one[40], two[40];
    plan_hash(text, NULL, one);
    plan_hash(text, NULL, two);
    assert_string_equal(one, two);
    plan_hash(text, "a.by=2", two);
    assert_string_not_equal(one, two);
    plan_hash(T_DOC(T_NODE("a", "t.inc"), T_EDGE_X("@", "x", "a", "in", "'queue':3"), "a"), NULL,
              two);
    assert_string_not_equal(one, two);
}

static void test_bad_calls(void **state)
{
    (void)state;
    nnd_compile_options o = NND_COMPILE_OPTIONS_INIT;
    nnd_plan *plan = NULL;
    nnd_run *run = NULL;
    nnd_workflow *wf = t_parse(T_DOC(T_NODE("a", "t.inc"), T_EDGE("@", "x", "a", "in"), "a"));
    assert_status(nnd_plan_compile(wf, &o, NULL, &plan), NND_E_INVALID_ARGUMENT); /* no registry */
    assert_status(nnd_plan_compile(NULL, &o, NULL, &plan), NND_E_INVALID_ARGUMENT);
    assert_status(nnd_run_create(NULL, NULL, &run), NND_E_INVALID_ARGUMENT);
    nnd_run_destroy(NULL);
    nnd_plan_unref(NULL);
    nnd_workflow_destroy(wf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_at_once),
        cmocka_unit_test(test_one_error_for_one_mistake),
        cmocka_unit_test(test_structure),
        cmocka_unit_test(test_unused_nodes_are_told),
        cmocka_unit_test(test_dynamic_ports),
        cmocka_unit_test(test_overrides),
        cmocka_unit_test(test_override_with_a_bare_word),
        cmocka_unit_test(test_override_gives_a_required_parameter),
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_models_come_from_the_host),
        cmocka_unit_test(test_variants_come_from_the_host),
        cmocka_unit_test(test_a_named_file_is_checked),
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_bad_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
