/* Builds a model by API, prints and saves it, and runs it: y = softmax(x · w + b).
   build_model FOLDER writes FOLDER/classify.nnd.json and FOLDER/classify.safetensors. */
#include <nndeploy/nndeploy.h>
#include <stdio.h>

static nnd_status add_constant(nnd_ir_graph *g, const char *name, int rank, const int64_t *dims,
                               float *elements)
{
    nnd_tensor t;
    NND_TRY(nnd_tensor_init(&t, NND_F32, rank, dims, elements));
    return nnd_ir_add_constant(g, name, &t);
}

static nnd_status build(nnd_ir *ir)
{
    float w[] = {1, 0, -1, 0, 1, 1}, b[] = {0.5f, 0, 0};
    nnd_ir_type x = {.dtype = NND_F32, .rank = 2, .dims = {{-1, "batch"}, {2, NULL}}};
    const char *gemm_in[] = {"x", "w", "b"}, *logits[] = {"logits"}, *y[] = {"y"};
    nnd_ir_attribute axis[] = {NND_IR_INT("axis", -1)};
    nnd_ir_graph *g = nnd_ir_main(ir);
    NND_TRY(nnd_ir_add_input(g, "x", &x));
    NND_TRY(add_constant(g, "w", 2, (int64_t[]){2, 3}, w));
    NND_TRY(add_constant(g, "b", 1, (int64_t[]){3}, b));
    nnd_ir_node gemm = {.op = "Gemm", .inputs = gemm_in, .outputs = logits};
    gemm.input_count = 3;
    gemm.output_count = 1;
    NND_TRY(nnd_ir_add_node(g, &gemm));
    nnd_ir_node softmax = {.op = "Softmax", .inputs = logits, .outputs = y, .attributes = axis};
    softmax.input_count = softmax.output_count = softmax.attribute_count = 1;
    NND_TRY(nnd_ir_add_node(g, &softmax));
    return nnd_ir_add_output(g, "y", NULL);
}

static nnd_status show(nnd_ir *ir, const char *folder)
{
    char path[1024], *text = NULL;
    NND_TRY(nnd_ir_check(ir));
    NND_TRY(nnd_ir_print(ir, &text));
    fputs(text, stdout);
    nnd_free(text);
    snprintf(path, sizeof path, "%s/classify.nnd.json", folder);
    return nnd_ir_save(ir, path);
}

static nnd_status run(nnd_model *model)
{
    nnd_request *request = NULL;
    nnd_value *x = NULL, *y = NULL;
    nnd_status status = nnd_request_create(model, NULL, &request);
    if (status == NND_OK) status = nnd_value_new_tensor(NND_F32, 2, (int64_t[]){1, 2}, &x);
    if (status == NND_OK) {
        float *elements = nnd_value_tensor(x)->data;
        elements[0] = 2;
        elements[1] = 1;
        status = nnd_request_bind_input(request, "x", x);
    }
    if (status == NND_OK) status = nnd_request_run(request, NULL);
    if (status == NND_OK) status = nnd_request_output(request, "y", &y);
    if (status == NND_OK) {
        const float *p = nnd_value_tensor(y)->data;
        printf("y = %.4f %.4f %.4f\n", (double)p[0], (double)p[1], (double)p[2]);
    }
    nnd_value_unref(y);
    nnd_value_unref(x);
    nnd_request_destroy(request);
    return status;
}

int main(int argc, char **argv)
{
    nnd_ir *ir = NULL;
    nnd_model *model = NULL;
    if (argc != 2) return fprintf(stderr, "usage: build_model FOLDER\n"), 2;
    nnd_status status = nnd_ir_create("classify", 17, &ir);
    if (status == NND_OK) status = build(ir);
    if (status == NND_OK) status = show(ir, argv[1]);
    if (status == NND_OK)
        status = nnd_model_from_ir(ir, NULL, &model); /* takes the graph over */
    else
        nnd_ir_destroy(ir);
    if (status == NND_OK) status = run(model);
    if (status != NND_OK) fprintf(stderr, "%s\n", nnd_app_error());
    nnd_model_unref(model);
    return status == NND_OK ? 0 : 1;
}
