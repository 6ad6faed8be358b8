/* Helpers of the tests of hand-made graphs: scratch files, running, comparing. */
#ifndef NND_TESTS_IR_SUPPORT_H
#define NND_TESTS_IR_SUPPORT_H

#include "engine_support.h"
#include "nndeploy/ir.h"

/* A fresh folder; fixed buffer. */
static inline const char *scratch_folder(void)
{
    static char folder[600];
    char *temp = NULL;
    assert_int_equal(nnd_port_path_temp_dir(&temp), 0);
    snprintf(folder, sizeof(folder), "%s/nnd-ir-%lld", temp, (long long)nnd_clock_now());
    nnd_port_free(temp);
    assert_int_equal(nnd_port_dir_create(folder), 0);
    return folder;
}

/* y = relu(x · wᵀ + b), x f32[batch, 3], w f32[2, 3]; named as in a file. */
static inline nnd_ir *build_linear(void)
{
    static float w[6] = {1, 2, 3, -1, -2, -3}, b[2] = {0.5f, 0.25f};
    nnd_ir *ir;
    nnd_tensor wt, bt;
    nnd_ir_type x = {.dtype = NND_F32, .rank = 2, .dims = {{-1, "batch"}, {3, NULL}}};
    assert_ok(nnd_ir_create("linear", 17, &ir));
    nnd_ir_graph *g = nnd_ir_main(ir);
    assert_ok(nnd_tensor_init(&wt, NND_F32, 2, (int64_t[]){2, 3}, w));
    assert_ok(nnd_tensor_init(&bt, NND_F32, 1, (int64_t[]){2}, b));
    assert_ok(nnd_ir_add_input(g, "x", &x));
    assert_ok(nnd_ir_add_constant(g, "w", &wt));
    assert_ok(nnd_ir_add_constant(g, "b", &bt));
    nnd_ir_attribute attributes[] = {NND_IR_INT("transB", 1)};
    const char *in[] = {"x", "w", "b"}, *hidden[] = {"h"}, *out[] = {"y"};
    assert_ok(nnd_ir_add_node(g, &(nnd_ir_node){.op = "Gemm",
                                                .name = "dense",
                                                .inputs = in,
                                                .input_count = 3,
                                                .outputs = hidden,
                                                .output_count = 1,
                                                .attributes = attributes,
                                                .attribute_count = 1}));
    assert_ok(nnd_ir_add_node(
        g,
        &(nnd_ir_node){
            .op = "Relu", .inputs = hidden, .input_count = 1, .outputs = out, .output_count = 1}));
    assert_ok(nnd_ir_add_output(g, "y", NULL));
    return ir;
}

/* The message of the error at hand, which is then cleared; fixed buffer. */
static inline const char *error_text(void)
{
    static char text[8192];
    nnd_error *e = nnd_error_take();
    snprintf(text, sizeof(text), "%s", e ? nnd_error_message(e) : "");
    nnd_error_destroy(e);
    return text;
}

static inline void write_text(const char *path, const char *text)
{
    assert_int_equal(nnd_port_file_write_atomic(path, text, strlen(text)), 0);
}

#endif
