/*
 * Random acyclic workflows of up to 200 nodes against an oracle that computes each packet by
 * itself, without queues: block edges of any capacity must give exactly its results.
 */
#include "workflow/support.h"

#define NODES   200
#define PACKETS 12

typedef enum kind { K_INC, K_MUL, K_FILTER, K_ADD, K_ADDOPT, K_DELAY, K_MERGE, KINDS } kind;
typedef struct node {
    kind kind;
    int from[2]; /* −1 = workflow input */
    int by;
    int queue;
} node;

static uint32_t seed;
static int draw(int n)
{
    seed = seed * 1664525u + 1013904223u;
    return (int)((seed >> 8) % (uint32_t)n);
}

/* ---- the oracle: value of every node for one packet after the other; absent = GAP ---------- */

typedef struct cell {
    bool present;
    int64_t n;
} cell;

static cell oracle_node(const node *v, cell a, cell b, cell *memory)
{
    cell none = {false, 0}, out = a;
    switch (v->kind) {
    case K_INC:
        out.n = a.n + v->by;
        return a.present ? out : none;
    case K_MUL:
        out.n = (a.n * v->by) % 1000003;
        return a.present ? out : none;
    case K_FILTER:
        return a.present && a.n % v->by == 0 ? a : none;
    case K_ADD:
        out.n = (a.n + b.n) % 1000003;
        return a.present && b.present ? out : none;
    case K_ADDOPT:
        out.n = (a.n + (b.present ? b.n : 1000)) % 1000003;
        return a.present ? out : none;
    case K_DELAY:
        out = *memory;
        *memory = a;
        return out;
    default:
        return a.present ? a : b; /* merge */
    }
}

static void oracle(const node *nodes, int count, cell results[PACKETS])
{
    static cell memory[NODES], cells[NODES];
    for (int i = 0; i < count; i++)
        memory[i] = (cell){true, nodes[i].by};
    for (int p = 0; p < PACKETS; p++) {
        for (int i = 0; i < count; i++) {
            cell in[2];
            for (int k = 0; k < 2; k++)
                in[k] = nodes[i].from[k] < 0 ? (cell){true, p} : cells[nodes[i].from[k]];
            cells[i] = oracle_node(&nodes[i], in[0], in[1], &memory[i]);
        }
        results[p] = cells[count - 1];
    }
}

/* ---- the same as a workflow -------------------------------------------------------------- */

static nnd_status mod_mul_process(nnd_ctx *ctx)
{
    return t_emit_int(ctx, 0,
                      (t_int(nnd_ctx_input(ctx, 0)) * nnd_params_int(nnd_ctx_params(ctx), "by")) %
                          1000003);
}
static const nnd_node_type r_mul = {.struct_size = sizeof(nnd_node_type),
                                    .type = "r.mul",
                                    .version = 1,
                                    .category = "test",
                                    .title = "mul",
                                    .text = "",
                                    .inputs = NND_ARRAY(t_in),
                                    .outputs = NND_ARRAY(t_out),
                                    .params = NND_ARRAY(t_by),
                                    .process = mod_mul_process};

static nnd_status mod_add_process(nnd_ctx *ctx)
{
    int64_t b = nnd_ctx_input(ctx, 1) ? t_int(nnd_ctx_input(ctx, 1)) : 1000;
    return t_emit_int(ctx, 0, (t_int(nnd_ctx_input(ctx, 0)) + b) % 1000003);
}
static const nnd_node_type r_add = {.struct_size = sizeof(nnd_node_type),
                                    .type = "r.add",
                                    .version = 1,
                                    .category = "test",
                                    .title = "add",
                                    .text = "",
                                    .inputs = NND_ARRAY(t_two_in),
                                    .outputs = NND_ARRAY(t_out),
                                    .process = mod_add_process};
static const nnd_node_type r_addopt = {.struct_size = sizeof(nnd_node_type),
                                       .type = "r.addopt",
                                       .version = 1,
                                       .category = "test",
                                       .title = "add",
                                       .text = "",
                                       .inputs = NND_ARRAY(t_opt_in),
                                       .outputs = NND_ARRAY(t_out),
                                       .process = mod_add_process};

static const struct {
    const char *type, *ports[2], *param;
} table[KINDS] = {
    {"t.inc", {"in", NULL}, "by"},      {"r.mul", {"in", NULL}, "by"},
    {"t.filter", {"in", NULL}, "by"},   {"r.add", {"a", "b"}, NULL},
    {"r.addopt", {"a", "b"}, NULL},     {"flow.delay", {"in", NULL}, "initial"},
    {"flow.merge", {"in", "in"}, NULL},
};

static void add_edge(nnd_workflow *wf, int from, int to, const char *port)
{
    char from_id[16], to_id[16];
    snprintf(from_id, sizeof(from_id), "n%d", from);
    snprintf(to_id, sizeof(to_id), "n%d", to);
    assert_ok(from < 0 ? nnd_workflow_connect(wf, "@", "x", to_id, port)
                       : nnd_workflow_connect(wf, from_id, "out", to_id, port));
}

static nnd_workflow *build(const node *nodes, int count)
{
    nnd_workflow *wf = NULL;
    char id[16], json[32];
    assert_ok(nnd_workflow_create("random", &wf));
    assert_ok(nnd_workflow_add_input(wf, "x", "int"));
    for (int i = 0; i < count; i++) {
        snprintf(id, sizeof(id), "n%d", i);
        assert_ok(nnd_workflow_add_node(wf, id, table[nodes[i].kind].type));
        snprintf(json, sizeof(json), "%d", nodes[i].by);
        if (table[nodes[i].kind].param)
            assert_ok(nnd_workflow_set_param(wf, id, table[nodes[i].kind].param, json));
        for (int k = 0; k < 2; k++)
            if (table[nodes[i].kind].ports[k])
                add_edge(wf, nodes[i].from[k], i, table[nodes[i].kind].ports[k]);
    }
    snprintf(id, sizeof(id), "n%d", count - 1);
    assert_ok(nnd_workflow_add_output(wf, "y", id, "out"));
    return wf;
}

static void compare(nnd_registry *r, const node *nodes, int count, bool all_at_once)
{
    cell wanted[PACKETS];
    oracle(nodes, count, wanted);
    nnd_workflow *wf = build(nodes, count);
    nnd_compile_options o = NND_COMPILE_OPTIONS_INIT;
    nnd_plan *plan = NULL;
    o.registry = r;
    assert_ok(nnd_plan_compile(wf, &o, NULL, &plan));
    nnd_workflow_destroy(wf);
    nnd_run *run = t_run(plan);
    for (int p = 0; p < PACKETS; p++) {
        assert_ok(t_push(run, "x", p));
        if (!all_at_once && wanted[p].present) assert_pops(run, "y", wanted[p].n);
    }
    assert_ok(nnd_run_drain(run));
    for (int p = 0; p < PACKETS && all_at_once; p++)
        if (wanted[p].present) assert_pops(run, "y", wanted[p].n);
    int64_t n;
    assert_status(t_pop(run, "y", &n), NND_E_CLOSED);
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
}

static void test_random_workflows(void **state)
{
    (void)state;
    nnd_registry *r = t_registry();
    assert_ok(nnd_registry_add(r, &r_mul));
    assert_ok(nnd_registry_add(r, &r_add));
    assert_ok(nnd_registry_add(r, &r_addopt));
    static node nodes[NODES];
    for (int round = 0; round < 60; round++) {
        seed = (uint32_t)round * 7919u + 1u;
        int count = 1 + draw(round < 50 ? 40 : NODES);
        for (int i = 0; i < count; i++) {
            node *v = &nodes[i];
            v->kind = (kind)draw(KINDS);
            v->by = 1 + draw(5);
            for (int k = 0; k < 2; k++)
                v->from[k] = i == 0 || draw(8) == 0 ? -1 : i - 1 - draw(i < 12 ? i : 12);
        }
        compare(r, nodes, count, round % 2);
    }
    nnd_registry_unref(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_workflows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
