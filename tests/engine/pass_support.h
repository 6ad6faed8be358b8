/*
 * Before and after a pass: builds a small graph twice, runs a pass on one of them, and compares
 * what both compute.
 *
 *     static void build(pass_test *t) { pt_output(t, pt_node(t, "Neg", 1, pt_x(t, …))); }
 *     pass_result r = pt_compare(build, nnd_pass_identity, 0);
 */
#ifndef NND_TESTS_PASS_SUPPORT_H
#define NND_TESTS_PASS_SUPPORT_H

#include <math.h>
#include <string.h>

#include "engine/packed/packed.h"
#include "engine/passes/pass.h"
#include "engine/plan/plan.h"
#include "engine/runtime/bind.h"
#include "engine/runtime/exec.h"
#include "support/test.h"

enum { PT_INPUTS = 4, PT_OUTPUTS = 8 };

typedef struct pass_test {
    nnd_graph *g;
    uint32_t seed;
    int64_t opset;
    int variant; /* for the builder */
} pass_test;

static inline float pt_random(pass_test *t)
{
    t->seed = t->seed * 1664525u + 1013904223u;
    return (float)(t->seed >> 8) / 8388608.0f - 1.0f;
}

static inline uint32_t pt_input(pass_test *t, const char *name, int rank, const int64_t *dims)
{
    uint32_t id;
    assert_ok(nnd_graph_add_input(t->g, name, NND_F32, rank, dims, &id));
    return id;
}

/* Random numbers in [−1, 1). */
static inline uint32_t pt_weights(pass_test *t, int rank, const int64_t *dims)
{
    nnd_tensor shape;
    uint32_t id;
    assert_ok(nnd_tensor_init(&shape, NND_F32, rank, dims, NULL));
    size_t n = (size_t)nnd_tensor_count(&shape);
    float *data = nnd_calloc(n + 1, sizeof(*data));
    assert_non_null(data);
    for (size_t i = 0; i < n; i++)
        data[i] = pt_random(t);
    shape.data = data;
    assert_ok(nnd_graph_add_constant(t->g, NULL, &shape, &id));
    nnd_free(data);
    return id;
}

static inline uint32_t pt_number(pass_test *t, float number)
{
    nnd_tensor one;
    uint32_t id;
    assert_ok(nnd_tensor_init(&one, NND_F32, 0, NULL, &number));
    assert_ok(nnd_graph_add_constant(t->g, NULL, &one, &id));
    return id;
}

static inline uint32_t pt_ints(pass_test *t, size_t n, const int64_t *items)
{
    nnd_tensor list;
    uint32_t id;
    int64_t count = (int64_t)n;
    assert_ok(nnd_tensor_init(&list, NND_I64, 1, &count, (void *)(uintptr_t)items));
    assert_ok(nnd_graph_add_constant(t->g, NULL, &list, &id));
    return id;
}

static inline nnd_graph_node *pt_node_of(pass_test *t, const char *type, size_t n,
                                         const uint32_t *in)
{
    nnd_graph_node *made;
    assert_ok(nnd_graph_add_node(t->g, "", type, t->opset, NULL, n, in, 1, NULL, &made));
    return made;
}

static inline uint32_t pt_unary(pass_test *t, const char *type, uint32_t x)
{
    return pt_node_of(t, type, 1, &x)->outputs[0];
}

static inline uint32_t pt_binary(pass_test *t, const char *type, uint32_t a, uint32_t b)
{
    const uint32_t in[2] = {a, b};
    return pt_node_of(t, type, 2, in)->outputs[0];
}

static inline uint32_t pt_transpose(pass_test *t, uint32_t x, int rank, const int64_t *perm)
{
    nnd_graph_node *n = pt_node_of(t, "Transpose", 1, &x);
    assert_ok(nnd_node_add_ints(t->g, n, "perm", perm, (size_t)rank));
    return n->outputs[0];
}

static inline void pt_output(pass_test *t, uint32_t value)
{
    assert_ok(nnd_graph_add_output(t->g, value));
}

typedef void (*pt_build)(pass_test *t);

static inline nnd_graph *pt_graph(pt_build build, int64_t opset, int variant)
{
    pass_test t = {.seed = 17, .opset = opset, .variant = variant};
    assert_ok(nnd_graph_create(NULL, "g", &t.g));
    build(&t);
    assert_ok(nnd_graph_bind(t.g));
    nnd_graph_index(t.g);
    return t.g;
}

static inline void pt_packed(void *user)
{
    (void)user;
}

typedef struct pt_options {
    nnd_gang *gang;     /* NULL = the calling thread only */
    bool odd;           /* every few elements one that is no usual number */
    size_t arena_bytes; /* out: of the plan */
    uint64_t flops;     /* out: of the plan */
} pt_options;

static inline float pt_element(pass_test *t, bool odd)
{
    static const float odd_ones[8] = {NAN, INFINITY, -INFINITY, 0.0f, -0.0f, 1e-41f, 3e38f, -90.0f};
    float usual = 4.0f * pt_random(t);
    return odd && t->seed % 5 == 0 ? odd_ones[t->seed >> 20 & 7] : usual;
}

/* The outputs at the declared shapes for inputs that depend on their position only. Freed with
   nnd_free. */
static inline void pt_run_with(nnd_graph *g, pt_options *options, nnd_tensor *out)
{
    nnd_tensor in[PT_INPUTS];
    const nnd_tensor *given[PT_INPUTS];
    void *memory[PT_OUTPUTS];
    pass_test t = {.seed = 99};
    nnd_plan *plan;
    assert_true(g->input_count <= PT_INPUTS && g->output_count <= PT_OUTPUTS);
    for (size_t i = 0; i < g->input_count; i++) {
        const nnd_graph_value *v = &g->values[g->inputs[i]];
        assert_ok(nnd_tensor_init(&in[i], v->dtype, v->rank, v->dims, NULL));
        size_t n = (size_t)nnd_tensor_count(&in[i]);
        float *data = nnd_calloc(n + 1, sizeof(*data));
        for (size_t k = 0; data && k < n; k++)
            data[k] = pt_element(&t, options->odd);
        in[i].data = data;
        given[i] = &in[i];
    }
    nnd_packed *packed;
    assert_ok(nnd_packed_create(&packed));
    assert_ok(nnd_graph_prepare(g, packed, pt_packed, NULL));
    nnd_plan_cache cache = {.options = {false, (uint64_t)1 << 30}};
    nnd_exec_env env = {.cache = &cache, .gang = options->gang};
    nnd_exec exec = {0};
    assert_ok(nnd_plan_create(g, in, &cache.options, &plan));
    options->arena_bytes = plan->arena_bytes;
    options->flops = plan->flops;
    for (size_t i = 0; i < g->output_count; i++) {
        const nnd_slot *slot = &plan->slots[g->outputs[i]];
        out[i] = slot->tensor;
        memory[i] = out[i].data = NULL;
        if (slot->known) memory[i] = out[i].data = nnd_calloc(1, nnd_tensor_bytes(&out[i]) + 64);
    }
    void *arena = nnd_alloc_aligned(plan->arena_bytes + 1, 64);
    memset(arena, 0xff, plan->arena_bytes);
    assert_ok(nnd_exec_run(&exec, plan, &env, given, NULL, memory, arena));
    for (size_t i = 0; i < g->output_count; i++) {
        const nnd_tensor *made = &exec.values[g->outputs[i]];
        void *data = out[i].data ? out[i].data : nnd_calloc(1, nnd_tensor_bytes(made) + 64);
        out[i] = *made; /* of a dynamic value nothing was known before */
        out[i].data = data;
        memcpy(data, made->data, nnd_tensor_bytes(made));
    }
    nnd_exec_fini(&exec);
    nnd_plan_cache_fini(&cache);
    nnd_arena_fini(&env.text);
    nnd_block_fini(&env.lanes);
    nnd_plan_destroy(plan);
    nnd_graph_release(g);
    nnd_packed_destroy(packed);
    nnd_free_aligned(arena);
    for (size_t i = 0; i < g->input_count; i++)
        nnd_free(in[i].data);
}

static inline void pt_run(nnd_graph *g, nnd_tensor *out)
{
    pt_options options = {0};
    pt_run_with(g, &options, out);
}

static inline size_t pt_count(const nnd_graph *g, const char *type)
{
    size_t n = 0;
    for (size_t i = 0; i < g->node_count; i++)
        n += strcmp(g->nodes[i].type, type) == 0;
    return n;
}

/* |a − b| ≤ tolerance·(1 + |b|), everything finite, shapes and types equal. */
static inline void pt_assert_close(const nnd_tensor *a, const nnd_tensor *b, double tolerance)
{
    assert_int_equal(a->dtype, b->dtype);
    assert_int_equal(a->rank, b->rank);
    assert_memory_equal(a->dims, b->dims, (size_t)a->rank * sizeof(a->dims[0]));
    for (size_t i = 0; i < (size_t)nnd_tensor_count(a); i++) {
        double x = nnd_dtype_get(a->dtype, a->data, i), y = nnd_dtype_get(b->dtype, b->data, i);
        if (!(fabs(x - y) <= tolerance * (1 + fabs(y))))
            fail_msg("element %zu is %.9g instead of %.9g", i, x, y);
    }
}

/* Runs the pass on a second copy and compares the outputs of both; returns that copy, and how many
   changes there were. tolerance 0 = the same bits (zeros may differ in sign). */
static inline nnd_graph *pt_compare(pt_build build, int64_t opset, int variant, nnd_pass_fn pass,
                                    double tolerance, size_t *changes)
{
    nnd_tensor before[PT_OUTPUTS], after[PT_OUTPUTS];
    nnd_graph *plain = pt_graph(build, opset, variant), *passed = pt_graph(build, opset, variant);
    *changes = 0;
    assert_ok(nnd_passes_shapes(passed));
    assert_ok(pass(passed, changes));
    size_t dead = 0;
    assert_ok(nnd_pass_dead_code(passed, &dead));
    pt_run(plain, before);
    pt_run(passed, after);
    assert_int_equal(plain->output_count, passed->output_count);
    for (size_t i = 0; i < plain->output_count; i++) {
        pt_assert_close(&after[i], &before[i], tolerance);
        nnd_free(before[i].data);
        nnd_free(after[i].data);
    }
    nnd_graph_destroy(plain);
    return passed;
}

#endif
