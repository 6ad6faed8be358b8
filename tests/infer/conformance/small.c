#include "small.h"

nnd_status bench_load(bench *b, const char *backend, nnd_str *graph, int64_t opset)
{
    *b = (bench){0};
    ow_model(&b->bytes, graph, opset);
    nnd_model_options options = NND_MODEL_OPTIONS_INIT;
    options.backend = backend;
    nnd_status status = nnd_model_load_memory(b->bytes.data, b->bytes.size, &options, &b->model);
    if (status == NND_OK) status = nnd_request_create(b->model, NULL, &b->request);
    if (status != NND_OK) bench_close(b);
    return status;
}

void bench_close(bench *b)
{
    nnd_request_destroy(b->request);
    nnd_model_unref(b->model);
    nnd_str_free(&b->bytes);
    *b = (bench){0};
}

void graph_unary(nnd_str *graph, const char *op, int element, int rank, const int64_t *dims)
{
    static const char *const symbols[] = {"d0", "d1", "d2", "d3"};
    ow_value(graph, OW_INPUT, "x", element, rank, dims, symbols);
    ow_node(graph, op, "x", "y", NULL);
    ow_value(graph, OW_OUTPUT, "y", element, rank, dims, symbols);
}

void graph_add_bias(nnd_str *graph)
{
    static const char *const symbols[] = {"n", NULL};
    static const float b[3] = {1, 2, 3};
    ow_initializer(graph, "b", OW_F32, 1, DIMS(3), b, sizeof b);
    ow_value(graph, OW_INPUT, "x", OW_F32, 2, DIMS(-1, 3), symbols);
    ow_node(graph, "Add", "x,b", "y", NULL);
    ow_value(graph, OW_OUTPUT, "y", OW_F32, 2, DIMS(-1, 3), symbols);
}

nnd_value *tensor_f32(int rank, const int64_t *dims, const float *values)
{
    nnd_value *value = NULL;
    if (nnd_value_new_tensor(NND_F32, rank, dims, &value) != NND_OK) return NULL;
    const nnd_tensor *t = nnd_value_tensor(value);
    if (nnd_tensor_count(t) > 0) memcpy(t->data, values, nnd_tensor_bytes(t));
    return value;
}

bool is_f32(const nnd_value *value, int rank, const int64_t *dims, const float *values)
{
    const nnd_tensor *t = value ? nnd_value_tensor(value) : NULL;
    bool same = t && t->dtype == NND_F32 && t->rank == rank;
    for (int d = 0; same && d < rank; d++)
        same = t->dims[d] == dims[d];
    for (size_t i = 0; same && i < (size_t)nnd_tensor_count(t); i++)
        same = ((const float *)t->data)[i] == values[i];
    return same;
}

nnd_status run_xy(nnd_request *request, nnd_value *x, nnd_value **y)
{
    *y = NULL;
    NND_TRY(nnd_request_bind_input(request, "x", x));
    NND_TRY(nnd_request_run(request, NULL));
    return nnd_request_output(request, "y", y);
}

bool failed_with(nnd_status got, nnd_status wanted, const char *word)
{
    nnd_error *error = nnd_error_take();
    bool right = got == wanted && error && strstr(nnd_error_message(error), word);
    if (!right && error) (void)nnd_error_restore(error);
    nnd_error_destroy(error);
    return right;
}
