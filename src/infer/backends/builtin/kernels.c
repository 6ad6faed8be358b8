#include "infer/backends/builtin/kernels.h"

#include <string.h>

static nnd_status make_room(nnd_builtin_kernels *k, size_t count)
{
    k->items = nnd_calloc(count + 1, sizeof *k->items);
    return k->items ? NND_OK : nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a model");
}

static void refuse(const char *model)
{
    nnd_error *error = nnd_error_take();
    nnd_log(NND_LOG_WARN, "infer", "tuning file: a kernel for model '%s' is not used: %s", model,
            error ? nnd_error_message(error) : "it is unknown");
    nnd_error_destroy(error);
}

/* As 'nndeploy tune' has measured. */
static nnd_status take_tuned(nnd_builtin_kernels *k, const char *path, const void *bytes,
                             size_t size)
{
    nnd_tuning_find_kernels(path, bytes, size, &k->tuned);
    NND_TRY(make_room(k, k->tuned.count));
    for (size_t i = 0; i < k->tuned.count; i++) {
        const nnd_tuning_kernel *from = &k->tuned.items[i];
        nnd_engine_kernel kernel = {from->op, from->shape, from->kernel};
        if (nnd_engine_kernel_check(&kernel) == NND_OK)
            k->items[k->count++] = kernel;
        else
            refuse(path ? path : "in memory");
    }
    return NND_OK;
}

/* Wherever the kernel can. */
static nnd_status take_named(nnd_builtin_kernels *k, const char *name)
{
    nnd_engine_kernel kernel = {"*", "*", name};
    nnd_status status = nnd_engine_kernel_check(&kernel);
    if (status != NND_OK)
        return nnd_error_wrap(status, "kernels=%s is neither 'tuned' nor 'own' nor a kernel", name);
    NND_TRY(make_room(k, 1));
    k->items[k->count++] = kernel;
    return NND_OK;
}

nnd_status nnd_builtin_kernels_find(const char *choice, const char *path, const void *bytes,
                                    size_t size, nnd_builtin_kernels *out)
{
    *out = (nnd_builtin_kernels){0};
    nnd_status status = NND_OK;
    if (!choice || strcmp(choice, "tuned") == 0)
        status = bytes ? take_tuned(out, path, bytes, size) : NND_OK;
    else if (strcmp(choice, "own") != 0)
        status = take_named(out, choice);
    if (status != NND_OK) nnd_builtin_kernels_fini(out);
    return status;
}

void nnd_builtin_kernels_fini(nnd_builtin_kernels *k)
{
    nnd_free(k->items);
    nnd_tuned_kernels_fini(&k->tuned);
    *k = (nnd_builtin_kernels){0};
}
