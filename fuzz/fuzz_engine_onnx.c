/*
 * Any bytes as an ONNX model: loading and one run on zeros; listing its tensors, and loading it
 * again with the first of them made visible. Build with -DNND_BUILD_FUZZ=ON and
 * clang; seeds in corpus/engine_onnx are written by tests/engine/seeds_engine_onnx.c.
 */
#include <string.h>

#include "engine/engine.h"
#include "engine/onnx/expose.h"

static nnd_status no_file(void *user, const char *relative, nnd_buffer **out)
{
    (void)user;
    (void)out;
    return nnd_error_set(NND_E_NOT_FOUND, "no file '%s' here", relative);
}

/* Binds zeros to every input; open dimensions become 3. false when one is too large or odd. */
static bool bind_zeros(nnd_engine_model *model, nnd_engine_request *request)
{
    static uint64_t zeros[1 << 13];
    for (size_t i = 0; i < nnd_engine_model_input_count(model); i++) {
        const nnd_engine_port *p = nnd_engine_model_input(model, i);
        int64_t dims[NND_MAX_RANK];
        nnd_tensor t;
        if (p->rank < 0 || p->dtype == NND_DTYPE_INVALID || p->dtype == NND_STRING) return false;
        for (int k = 0; k < p->rank; k++)
            dims[k] = p->dims[k].value < 0 ? 3 : p->dims[k].value;
        if (nnd_tensor_init(&t, p->dtype, p->rank, dims, zeros) != NND_OK) return false;
        if (nnd_tensor_bytes(&t) > sizeof(zeros)) return false;
        if (nnd_engine_request_bind_input(request, i, &t) != NND_OK) return false;
    }
    return true;
}

static void expose_first(const uint8_t *data, size_t size, const nnd_engine_options *options)
{
    nnd_onnx_tensors tensors = {0};
    nnd_engine_model *model;
    void *bytes = NULL;
    size_t longer;
    if (nnd_onnx_tensors_read(&tensors, data, size) == NND_OK && tensors.items.count &&
        nnd_onnx_expose(data, size, &tensors.items.items[0].tensor, 1, &bytes, &longer) == NND_OK &&
        nnd_engine_model_load_memory(bytes, longer, options, &model) == NND_OK)
        nnd_engine_model_unref(model);
    nnd_free(bytes);
    nnd_onnx_tensors_fini(&tensors);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nnd_engine_options options = NND_ENGINE_OPTIONS_INIT;
    nnd_engine_model *model;
    nnd_engine_request *request;
    nnd_cancel *deadline;
    options.open = no_file;
    options.max_arena_bytes = 1 << 24;
    options.max_weight_bytes = 1 << 24;
    if (nnd_engine_model_load_memory(data, size, &options, &model) == NND_OK) {
        if (nnd_engine_request_create(model, &request) == NND_OK) {
            if (nnd_cancel_create(NULL, &deadline) == NND_OK) {
                nnd_cancel_set_deadline(deadline, nnd_clock_now() + 500000000);
                if (bind_zeros(model, request)) (void)!nnd_engine_request_run(request, 1, deadline);
                nnd_cancel_unref(deadline);
            }
            nnd_engine_request_destroy(request);
        }
        nnd_engine_model_unref(model);
    }
    expose_first(data, size, &options);
    nnd_error_clear();
    return 0;
}
