/* Small node types and helpers for tests of compiling and running workflows. */
#ifndef NND_TEST_WORKFLOW_SUPPORT_H
#define NND_TEST_WORKFLOW_SUPPORT_H

#include <stdatomic.h>

#include "nndeploy/workflow.h"
#include "support/test.h"

#if defined(__GNUC__)
#define T_UNUSED __attribute__((unused))
#else
#define T_UNUSED
#endif

/* ---- node types -------------------------------------------------------------------------- */

static int64_t t_int(const nnd_value *value)
{
    int64_t n = -1;
    (void)nnd_value_as_int(value, &n);
    return n;
}

static nnd_status t_emit_int(nnd_ctx *ctx, size_t output, int64_t n)
{
    nnd_value *value = NULL;
    NND_TRY(nnd_value_new_int(n, &value));
    return nnd_ctx_emit(ctx, output, value);
}

static const nnd_port t_in[] = {NND_PORT("in", "int", "")};
static const nnd_port t_two_in[] = {NND_PORT("a", "int", ""), NND_PORT("b", "int", "")};
static const nnd_port t_opt_in[] = {NND_PORT("a", "int", ""), NND_PORT_OPT("b", "int", "")};
static const nnd_port t_out[] = {NND_PORT("out", "int", "")};
static const nnd_param t_by[] = {NND_PARAM_INT("by", 1, -1000000, 1000000, "", "")};

static nnd_status t_inc_process(nnd_ctx *ctx)
{
    return t_emit_int(ctx, 0,
                      t_int(nnd_ctx_input(ctx, 0)) + nnd_params_int(nnd_ctx_params(ctx), "by"));
}
static const nnd_node_type t_inc = {.struct_size = sizeof(nnd_node_type),
                                    .type = "t.inc",
                                    .version = 1,
                                    .category = "test",
                                    .title = "inc",
                                    .text = "in + by",
                                    .inputs = NND_ARRAY(t_in),
                                    .outputs = NND_ARRAY(t_out),
                                    .params = NND_ARRAY(t_by),
                                    .flags = NND_NODE_PURE,
                                    .process = t_inc_process};

static nnd_status t_mul_process(nnd_ctx *ctx)
{
    return t_emit_int(ctx, 0,
                      t_int(nnd_ctx_input(ctx, 0)) * nnd_params_int(nnd_ctx_params(ctx), "by"));
}
static const nnd_node_type t_mul = {.struct_size = sizeof(nnd_node_type),
                                    .type = "t.mul",
                                    .version = 1,
                                    .category = "test",
                                    .title = "mul",
                                    .text = "in × by",
                                    .inputs = NND_ARRAY(t_in),
                                    .outputs = NND_ARRAY(t_out),
                                    .params = NND_ARRAY(t_by),
                                    .flags = NND_NODE_PURE,
                                    .process = t_mul_process};

static nnd_status t_add_process(nnd_ctx *ctx)
{
    int64_t b = nnd_ctx_input(ctx, 1) ? t_int(nnd_ctx_input(ctx, 1)) : 1000;
    return t_emit_int(ctx, 0, t_int(nnd_ctx_input(ctx, 0)) + b);
}
static const nnd_node_type t_add = {.struct_size = sizeof(nnd_node_type),
                                    .type = "t.add",
                                    .version = 1,
                                    .category = "test",
                                    .title = "add",
                                    .text = "a + b",
                                    .inputs = NND_ARRAY(t_two_in),
                                    .outputs = NND_ARRAY(t_out),
                                    .flags = NND_NODE_PURE,
                                    .process = t_add_process};
static const nnd_node_type t_addopt = {.struct_size = sizeof(nnd_node_type),
                                       .type = "t.addopt",
                                       .version = 1,
                                       .category = "test",
                                       .title = "add",
                                       .text = "a + b, b missing counts 1000",
                                       .inputs = NND_ARRAY(t_opt_in),
                                       .outputs = NND_ARRAY(t_out),
                                       .flags = NND_NODE_PURE,
                                       .process = t_add_process};

/* Lets through what is divisible by `by`. */
static nnd_status t_filter_process(nnd_ctx *ctx)
{
    int64_t by = nnd_params_int(nnd_ctx_params(ctx), "by");
    if (by == 0 || t_int(nnd_ctx_input(ctx, 0)) % by != 0) return NND_OK;
    return nnd_ctx_emit(ctx, 0, nnd_ctx_take_input(ctx, 0));
}
static const nnd_node_type t_filter = {.struct_size = sizeof(nnd_node_type),
                                       .type = "t.filter",
                                       .version = 1,
                                       .category = "test",
                                       .title = "filter",
                                       .text = "",
                                       .inputs = NND_ARRAY(t_in),
                                       .outputs = NND_ARRAY(t_out),
                                       .params = NND_ARRAY(t_by),
                                       .process = t_filter_process};

/* Puts out 0 … in−1. */
static nnd_status t_range_process(nnd_ctx *ctx)
{
    int64_t n = t_int(nnd_ctx_input(ctx, 0));
    for (int64_t i = 0; i < n; i++)
        NND_TRY(t_emit_int(ctx, 0, i));
    return NND_OK;
}
static const nnd_node_type t_range = {.struct_size = sizeof(nnd_node_type),
                                      .type = "t.range",
                                      .version = 1,
                                      .category = "test",
                                      .title = "range",
                                      .text = "",
                                      .inputs = NND_ARRAY(t_in),
                                      .outputs = NND_ARRAY(t_out),
                                      .process = t_range_process};

static atomic_int t_const_calls;
static nnd_status t_const_process(nnd_ctx *ctx)
{
    atomic_fetch_add(&t_const_calls, 1);
    return t_emit_int(ctx, 0, nnd_params_int(nnd_ctx_params(ctx), "by"));
}
static const nnd_node_type t_const = {.struct_size = sizeof(nnd_node_type),
                                      .type = "t.const",
                                      .version = 1,
                                      .category = "test",
                                      .title = "const",
                                      .text = "",
                                      .outputs = NND_ARRAY(t_out),
                                      .params = NND_ARRAY(t_by),
                                      .process = t_const_process};

/* A source of `by` numbers. */
static nnd_status t_count_open(nnd_ctx *ctx, void **state)
{
    (void)ctx;
    *state = nnd_calloc(1, sizeof(int64_t));
    return *state ? NND_OK : nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory");
}
static void t_count_close(nnd_ctx *ctx, void *state)
{
    (void)ctx;
    nnd_free(state);
}
static nnd_status t_source_process(nnd_ctx *ctx)
{
    int64_t *next = nnd_ctx_state(ctx);
    if (*next >= nnd_params_int(nnd_ctx_params(ctx), "by")) {
        nnd_ctx_end(ctx);
        return NND_OK;
    }
    return t_emit_int(ctx, 0, (*next)++);
}
static const nnd_node_type t_source = {.struct_size = sizeof(nnd_node_type),
                                       .type = "t.source",
                                       .version = 1,
                                       .category = "test",
                                       .title = "source",
                                       .text = "",
                                       .outputs = NND_ARRAY(t_out),
                                       .params = NND_ARRAY(t_by),
                                       .flags = NND_NODE_SOURCE | NND_NODE_STATEFUL,
                                       .open = t_count_open,
                                       .close = t_count_close,
                                       .process = t_source_process};

/* Gives the sum of everything at the end. */
static nnd_status t_sum_process(nnd_ctx *ctx)
{
    *(int64_t *)nnd_ctx_state(ctx) += t_int(nnd_ctx_input(ctx, 0));
    return NND_OK;
}
static nnd_status t_sum_flush(nnd_ctx *ctx)
{
    return t_emit_int(ctx, 0, *(int64_t *)nnd_ctx_state(ctx));
}
static const nnd_node_type t_sum = {.struct_size = sizeof(nnd_node_type),
                                    .type = "t.sum",
                                    .version = 1,
                                    .category = "test",
                                    .title = "sum",
                                    .text = "",
                                    .inputs = NND_ARRAY(t_in),
                                    .outputs = NND_ARRAY(t_out),
                                    .flags = NND_NODE_STATEFUL,
                                    .open = t_count_open,
                                    .close = t_count_close,
                                    .process = t_sum_process,
                                    .flush = t_sum_flush};

/* Ends after `by` packets. */
static nnd_status t_first_process(nnd_ctx *ctx)
{
    int64_t *count = nnd_ctx_state(ctx);
    if (++*count >= nnd_params_int(nnd_ctx_params(ctx), "by")) nnd_ctx_end(ctx);
    return nnd_ctx_emit(ctx, 0, nnd_ctx_take_input(ctx, 0));
}
static const nnd_node_type t_first = {.struct_size = sizeof(nnd_node_type),
                                      .type = "t.first",
                                      .version = 1,
                                      .category = "test",
                                      .title = "first",
                                      .text = "",
                                      .inputs = NND_ARRAY(t_in),
                                      .outputs = NND_ARRAY(t_out),
                                      .params = NND_ARRAY(t_by),
                                      .flags = NND_NODE_STATEFUL,
                                      .open = t_count_open,
                                      .close = t_count_close,
                                      .process = t_first_process};

/* in < by */
static const nnd_port t_bool_out[] = {NND_PORT("out", "bool", "")};
static nnd_status t_less_process(nnd_ctx *ctx)
{
    nnd_value *value = NULL;
    NND_TRY(nnd_value_new_bool(
        t_int(nnd_ctx_input(ctx, 0)) < nnd_params_int(nnd_ctx_params(ctx), "by"), &value));
    return nnd_ctx_emit(ctx, 0, value);
}
static const nnd_node_type t_less = {.struct_size = sizeof(nnd_node_type),
                                     .type = "t.less",
                                     .version = 1,
                                     .category = "test",
                                     .title = "less",
                                     .text = "",
                                     .inputs = NND_ARRAY(t_in),
                                     .outputs = NND_ARRAY(t_bool_out),
                                     .params = NND_ARRAY(t_by),
                                     .process = t_less_process};

/* Fails when the input equals `at`. */
static const nnd_param t_at[] = {
    NND_PARAM_INT("at", 2, -1, 1000000, "", ""),
    NND_PARAM_ENUM("how", "error", "error|silent|null|wrong_type|no_status|twice", ""),
};
static atomic_int t_fail_calls;
static nnd_status t_fail_process(nnd_ctx *ctx)
{
    atomic_fetch_add(&t_fail_calls, 1);
    const nnd_params *p = nnd_ctx_params(ctx);
    int64_t n = t_int(nnd_ctx_input(ctx, 0));
    if (n != nnd_params_int(p, "at")) return t_emit_int(ctx, 0, n);
    const char *how = nnd_params_text(p, "how");
    if (strcmp(how, "silent") == 0) return NND_E_IO;
    if (strcmp(how, "null") == 0) {
        (void)nnd_ctx_emit(ctx, 0, NULL);
        return NND_OK;
    }
    if (strcmp(how, "wrong_type") == 0) {
        nnd_value *value = NULL;
        NND_TRY(nnd_value_new_text("x", SIZE_MAX, &value));
        (void)nnd_ctx_emit(ctx, 0, value);
        return NND_OK;
    }
    if (strcmp(how, "no_status") == 0) return (nnd_status)4711;
    if (strcmp(how, "twice") == 0) { /* puts something out, then fails */
        NND_TRY(t_emit_int(ctx, 0, 77));
        return nnd_error_set(NND_E_BACKEND, "after an emit");
    }
    nnd_error_set(NND_E_IO, "the disk is gone");
    return nnd_error_wrap(NND_E_BACKEND, "number %lld", (long long)n);
}
static const nnd_node_type t_fail = {.struct_size = sizeof(nnd_node_type),
                                     .type = "t.fail",
                                     .version = 1,
                                     .category = "test",
                                     .title = "fail",
                                     .text = "",
                                     .inputs = NND_ARRAY(t_in),
                                     .outputs = NND_ARRAY(t_out),
                                     .params = NND_ARRAY(t_at),
                                     .process = t_fail_process};

/* Waits until it is cancelled. */
static atomic_int t_hang_inside;
static nnd_status t_hang_process(nnd_ctx *ctx)
{
    atomic_store(&t_hang_inside, 1);
    nnd_status status;
    while ((status = nnd_cancel_check(nnd_ctx_cancel(ctx))) == NND_OK) {}
    return status;
}
static const nnd_node_type t_hang = {.struct_size = sizeof(nnd_node_type),
                                     .type = "t.hang",
                                     .version = 1,
                                     .category = "test",
                                     .title = "hang",
                                     .text = "",
                                     .inputs = NND_ARRAY(t_in),
                                     .outputs = NND_ARRAY(t_out),
                                     .process = t_hang_process};

static atomic_int t_sink_calls;
static nnd_status t_sink_process(nnd_ctx *ctx)
{
    (void)ctx;
    atomic_fetch_add(&t_sink_calls, 1);
    return NND_OK;
}
static const nnd_node_type t_sink = {.struct_size = sizeof(nnd_node_type),
                                     .type = "t.sink",
                                     .version = 1,
                                     .category = "test",
                                     .title = "sink",
                                     .text = "",
                                     .inputs = NND_ARRAY(t_in),
                                     .flags = NND_NODE_SINK,
                                     .process = t_sink_process};

static const nnd_port t_any_in[] = {NND_PORT("in", "any", "")};
static const nnd_port t_any_out[] = {NND_PORT("out", "any", "")};
static nnd_status t_pass_process(nnd_ctx *ctx)
{
    return nnd_ctx_emit(ctx, 0, nnd_ctx_take_input(ctx, 0));
}
static const nnd_node_type t_any = {.struct_size = sizeof(nnd_node_type),
                                    .type = "t.any",
                                    .version = 1,
                                    .category = "test",
                                    .title = "any",
                                    .text = "",
                                    .inputs = NND_ARRAY(t_any_in),
                                    .outputs = NND_ARRAY(t_any_out),
                                    .process = t_pass_process};

static const nnd_node_type *const t_types[] = {
    &t_inc, &t_mul,   &t_add,  &t_addopt, &t_filter, &t_range, &t_const, &t_source,
    &t_sum, &t_first, &t_less, &t_fail,   &t_hang,   &t_sink,  &t_any,
};

static T_UNUSED nnd_registry *t_registry(void)
{
    nnd_registry *r = NULL;
    assert_ok(nnd_registry_create(&r));
    for (size_t i = 0; i < NND_COUNT(t_types); i++)
        assert_ok(nnd_registry_add(r, t_types[i]));
    return r;
}

/* ---- documents --------------------------------------------------------------------------- */

/* Single quotes in the text stand for double ones. */
static T_UNUSED char *t_json(const char *text)
{
    char *copy = nnd_strdup(text);
    for (char *p = copy; p && *p; p++)
        if (*p == '\'') *p = '"';
    return copy;
}

static T_UNUSED nnd_workflow *t_parse(const char *text)
{
    nnd_workflow *wf = NULL;
    char *json = t_json(text);
    assert_non_null(json);
    nnd_diagnostics *diags = NULL;
    assert_ok(nnd_diagnostics_create(&diags));
    nnd_status status = nnd_workflow_parse(json, strlen(json), NULL, NULL, diags, &wf);
    if (status != NND_OK) {
        char *report = nnd_diagnostics_to_string(diags);
        fprintf(stderr, "%s\n%s\n", report, json);
        nnd_free(report);
    }
    assert_ok(status);
    nnd_diagnostics_destroy(diags);
    nnd_free(json);
    return wf;
}

/* "nodes" and "edges" of a document with one input x:int and one output y from NODE.out. */
#define T_DOC(nodes, edges, last)                                                                  \
    "{'format':'nndeploy/1','name':'t','inputs':[{'name':'x','type':'int'}],"                      \
    "'outputs':[{'name':'y','from':['" last "','out']}],'nodes':[" nodes "],'edges':[" edges "]}"
#define T_NODE(id, type)             "{'id':'" id "','type':'" type "'}"
#define T_NODE_P(id, type, p)        "{'id':'" id "','type':'" type "','params':{" p "}}"
#define T_EDGE(a, ap, b, bp)         "{'from':['" a "','" ap "'],'to':['" b "','" bp "']}"
#define T_EDGE_X(a, ap, b, bp, more) "{'from':['" a "','" ap "'],'to':['" b "','" bp "']," more "}"

static T_UNUSED nnd_status t_try_compile(nnd_registry *r, const char *text, nnd_diagnostics *diags,
                                         nnd_plan **plan)
{
    nnd_workflow *wf = t_parse(text);
    nnd_compile_options o = NND_COMPILE_OPTIONS_INIT;
    o.registry = r;
    nnd_status status = nnd_plan_compile(wf, &o, diags, plan);
    nnd_workflow_destroy(wf);
    return status;
}

static T_UNUSED nnd_plan *t_compile(const char *text)
{
    nnd_registry *r = t_registry();
    nnd_plan *plan = NULL;
    nnd_diagnostics *diags = NULL;
    assert_ok(nnd_diagnostics_create(&diags));
    nnd_status status = t_try_compile(r, text, diags, &plan);
    if (status != NND_OK) {
        char *report = nnd_diagnostics_to_string(diags);
        fprintf(stderr, "%s", report);
        nnd_free(report);
    }
    assert_ok(status);
    nnd_diagnostics_destroy(diags);
    nnd_registry_unref(r);
    return plan;
}

/* ---- runs -------------------------------------------------------------------------------- */

static T_UNUSED nnd_run *t_run(nnd_plan *plan)
{
    nnd_run *run = NULL;
    assert_ok(nnd_run_create(plan, NULL, &run));
    return run;
}

static T_UNUSED nnd_status t_push(nnd_run *run, const char *input, int64_t n)
{
    nnd_value *value = NULL;
    assert_ok(nnd_value_new_int(n, &value));
    nnd_status status = nnd_run_push(run, input, value);
    nnd_value_unref(value);
    return status;
}

/* The next number of an output. */
static T_UNUSED nnd_status t_pop(nnd_run *run, const char *output, int64_t *n)
{
    nnd_value *value = NULL;
    NND_TRY(nnd_run_pop(run, output, &value));
    *n = t_int(value);
    nnd_value_unref(value);
    return NND_OK;
}

#define assert_pops(run, output, n)                                                                \
    do {                                                                                           \
        int64_t popped_ = -999;                                                                    \
        assert_ok(t_pop(run, output, &popped_));                                                   \
        assert_int_equal(popped_, n);                                                              \
    } while (0)

/* Compiles, pushes numbers to x, drains, and compares all numbers of y. */
static T_UNUSED void t_expect(const char *text, const int64_t *in, size_t in_count,
                              const int64_t *out, size_t out_count)
{
    nnd_plan *plan = t_compile(text);
    nnd_run *run = t_run(plan);
    for (size_t i = 0; i < in_count; i++)
        assert_ok(t_push(run, "x", in[i]));
    assert_ok(nnd_run_drain(run));
    for (size_t i = 0; i < out_count; i++)
        assert_pops(run, "y", out[i]);
    int64_t more = 0;
    nnd_status end = t_pop(run, "y", &more);
    if (end == NND_OK) fprintf(stderr, "surplus result %lld\n", (long long)more);
    assert_status(end, NND_E_CLOSED);
    assert_ok(nnd_run_close(run));
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
}
#define T_IN(...) (const int64_t[]){__VA_ARGS__}, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)

#endif
