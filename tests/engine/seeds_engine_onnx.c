/*
 * Writes the seeds of the fuzz target fuzz_engine_onnx into the folder argv[1]: one tiny model per
 * corner of the format (raw tensors, attributes, sub-graphs with captures) and one per family of
 * operators.
 */
#include <stdio.h>

#include "onnx_writer.h"

static const char *folder;

static int save(const char *name, nnd_str *graph, int64_t opset)
{
    char path[1024];
    nnd_str model = {0};
    ow_model(&model, graph, opset);
    snprintf(path, sizeof(path), "%s/%s.onnx", folder, name);
    FILE *f = fopen(path, "wb");
    if (!f) {
        perror(path);
        return 1;
    }
    fwrite(model.data, 1, model.size, f);
    fclose(f);
    nnd_str_free(&model);
    return 0;
}

static void open_graph(nnd_str *g, int elem, int rank, const int64_t *dims)
{
    ow_value(g, OW_INPUT, "x", elem, rank, dims, NULL);
}

static const int64_t picture[4] = {1, 2, 6, 6}, matrix[2] = {3, 4}, two[2] = {2, 2},
                     kernel[4] = {2, 2, 3, 3};

static int save_unary(const char *type, nnd_str *attrs, int rank, const int64_t *dims,
                      int64_t opset)
{
    nnd_str g = {0};
    open_graph(&g, OW_F32, rank, dims);
    ow_node(&g, type, "x", "y", attrs);
    ow_value(&g, OW_OUTPUT, "y", OW_F32, 0, NULL, NULL);
    return save(type, &g, opset);
}

/* An operator whose second input is a list of integers. */
static int save_list(const char *type, const char *inputs, int rank, const int64_t *dims,
                     const int64_t *list, int64_t count, nnd_str *attrs)
{
    nnd_str g = {0};
    open_graph(&g, OW_F32, rank, dims);
    ow_initializer(&g, "list", OW_I64, 1, &count, list, (size_t)count * sizeof(*list));
    ow_node(&g, type, inputs, "y", attrs);
    ow_value(&g, OW_OUTPUT, "y", OW_F32, 0, NULL, NULL);
    return save(type, &g, 18);
}

static int save_conv(void)
{
    float w[36] = {0.5f, -1.0f, 2.0f};
    const int64_t pads[4] = {1, 1, 1, 1};
    nnd_str g = {0}, a = {0};
    open_graph(&g, OW_F32, 4, picture);
    ow_initializer(&g, "w", OW_F32, 4, kernel, w, sizeof(w));
    ow_attr_ints(&a, "pads", pads, 4);
    ow_node(&g, "Conv", "x,w", "a", &a);
    ow_node(&g, "Relu", "a", "b", NULL);
    ow_attr_text(&a, "auto_pad", "SAME_UPPER");
    ow_node(&g, "ConvTranspose", "b,w", "y", &a);
    ow_value(&g, OW_OUTPUT, "y", OW_F32, 4, picture, NULL);
    return save("conv", &g, 13);
}

static int save_branches(void)
{
    nnd_str g = {0}, then_graph = {0}, else_graph = {0}, a = {0};
    const int64_t one[1] = {1};
    ow_value(&g, OW_INPUT, "x", OW_F32, 2, matrix, NULL);
    ow_value(&g, OW_INPUT, "c", OW_BOOL, 1, one, NULL);
    ow_node(&then_graph, "Neg", "x", "t", NULL);
    ow_value(&then_graph, OW_OUTPUT, "t", OW_F32, 2, matrix, NULL);
    ow_node(&else_graph, "Abs", "x", "e", NULL);
    ow_value(&else_graph, OW_OUTPUT, "e", OW_F32, 2, matrix, NULL);
    ow_attr_graph(&a, "then_branch", &then_graph);
    ow_attr_graph(&a, "else_branch", &else_graph);
    ow_node(&g, "If", "c", "y", &a);
    ow_value(&g, OW_OUTPUT, "y", OW_F32, 2, matrix, NULL);
    return save("if", &g, 13);
}

static int save_loop(void)
{
    nnd_str g = {0}, body = {0}, a = {0};
    const int64_t three = 3;
    ow_value(&g, OW_INPUT, "x", OW_F32, 2, two, NULL);
    ow_initializer(&g, "n", OW_I64, 0, NULL, &three, sizeof(three));
    ow_value(&body, OW_INPUT, "i", OW_I64, 0, NULL, NULL);
    ow_value(&body, OW_INPUT, "go", OW_BOOL, 0, NULL, NULL);
    ow_value(&body, OW_INPUT, "v", OW_F32, 2, two, NULL);
    ow_node(&body, "Identity", "go", "go2", NULL);
    ow_node(&body, "Add", "v,x", "v2", NULL);
    ow_node(&body, "Neg", "v2", "s", NULL);
    ow_value(&body, OW_OUTPUT, "go2", OW_BOOL, 0, NULL, NULL);
    ow_value(&body, OW_OUTPUT, "v2", OW_F32, 2, two, NULL);
    ow_value(&body, OW_OUTPUT, "s", OW_F32, 2, two, NULL);
    ow_attr_graph(&a, "body", &body);
    ow_node(&g, "Loop", "n,,x", "y,z", &a);
    ow_value(&g, OW_OUTPUT, "y", OW_F32, 2, two, NULL);
    ow_value(&g, OW_OUTPUT, "z", OW_F32, 0, NULL, NULL);
    return save("loop", &g, 13);
}

static int save_lists(void)
{
    nnd_str a = {0};
    const int64_t shape[3] = {2, 3, -1}, axes[1] = {-1}, pads[4] = {1, 0, -1, 2}, reps[2] = {2, 3};
    const int64_t index[2] = {1, -1}, sizes[2] = {1, 2};
    int bad = save_list("Reshape", "x,list", 2, matrix, shape, 3, NULL);
    bad += save_list("ReduceSum", "x,list", 2, matrix, axes, 1, NULL);
    bad += save_list("Pad", "x,list", 2, matrix, pads, 4, NULL);
    bad += save_list("Tile", "x,list", 2, matrix, reps, 2, NULL);
    bad += save_list("Gather", "x,list", 2, matrix, index, 2, NULL);
    bad += save_list("Slice", "x,list,list,list", 2, matrix, index, 2, NULL);
    bad += save_list("Resize", "x,,,list", 2, matrix, sizes, 2, NULL);
    ow_attr_int(&a, "axis", 1);
    bad += save_list("TopK", "x,list", 2, matrix, axes, 1, &a);
    bad += save_list("Expand", "x,list", 2, matrix, shape, 3, NULL);
    return bad;
}

/* Derivatives of a small network, by other inputs than its own, and derivatives of these. */
static int save_gradient(void)
{
    const int64_t k[2] = {2, 2};
    nnd_str g = {0}, a = {0};
    open_graph(&g, OW_F32, 4, picture);
    ow_value(&g, OW_INPUT, "w", OW_F32, 4, kernel, NULL);
    ow_node(&g, "Conv", "x,w", "h", NULL);
    ow_attr_ints(&a, "kernel_shape", k, 2);
    ow_node(&g, "MaxPool", "h", "m", &a);
    ow_node(&g, "Softmax", "m", "s", NULL);
    ow_node(&g, "MatMul", "s,m", "p", NULL);
    ow_attr_texts(&a, "xs", "x,w");
    ow_attr_text(&a, "y", "p");
    ow_node_of(&g, "ai.onnx.preview.training", "Gradient", "x,w", "dx,dw", &a);
    ow_attr_texts(&a, "xs", "w");
    ow_attr_texts(&a, "zs", "x");
    ow_attr_text(&a, "y", "dx");
    ow_node_of(&g, "ai.onnx.preview.training", "Gradient", "dw,x", "y", &a);
    ow_value(&g, OW_OUTPUT, "y", OW_F32, 4, kernel, NULL);
    return save("gradient", &g, 13);
}

int main(int argc, char **argv)
{
    nnd_str a = {0};
    const int64_t k[2] = {2, 2};
    if (argc != 2) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    folder = argv[1];
    int bad = save_gradient() + save_conv() + save_branches() + save_loop() + save_lists();
    ow_attr_ints(&a, "kernel_shape", k, 2);
    bad += save_unary("MaxPool", &a, 4, picture, 12);
    ow_attr_int(&a, "axis", 0);
    bad += save_unary("Softmax", &a, 2, matrix, 11);
    ow_attr_text(&a, "equation", "ij->ji");
    bad += save_unary("Einsum", &a, 2, matrix, 13);
    ow_attr_int(&a, "to", 7);
    bad += save_unary("Cast", &a, 2, matrix, 13);
    bad += save_unary("NonZero", NULL, 2, matrix, 13);
    bad += save_unary("Transpose", NULL, 4, picture, 13);
    return bad != 0;
}
