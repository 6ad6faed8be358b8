#include "engine/ops/real.h"

#include <string.h>

#include "base/size.h"

static nnd_status allocate(const nnd_tensor *t, nnd_real *out)
{
    size_t bytes;
    if (!nnd_size_mul((size_t)nnd_tensor_count(t), sizeof(float), &bytes) || bytes > SIZE_MAX - 64)
        return nnd_error_set(NND_E_OVERFLOW, "a tensor is too large to be converted");
    out->owned = nnd_alloc_aligned(bytes + 1, 64);
    if (!out->owned) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to convert a tensor");
    out->data = out->owned;
    return NND_OK;
}

nnd_status nnd_real_read(const nnd_tensor *t, nnd_real *out)
{
    *out = (nnd_real){0};
    if (!t) return NND_OK;
    out->data = t->data;
    if (t->dtype == NND_F32) return NND_OK;
    NND_TRY(allocate(t, out));
    nnd_status status =
        nnd_dtype_convert(t->dtype, t->data, NND_F32, out->owned, (size_t)nnd_tensor_count(t));
    if (status != NND_OK) nnd_real_free(out);
    return status;
}

void nnd_real_free(nnd_real *r)
{
    nnd_free_aligned(r->owned);
    *r = (nnd_real){0};
}

nnd_status nnd_real_result(nnd_tensor *t, bool always, nnd_real *out, float **data)
{
    *out = (nnd_real){0};
    *data = NULL;
    if (!t->data && !always) return NND_OK;
    if (t->data && t->dtype == NND_F32) {
        *data = t->data;
        memset(*data, 0, nnd_tensor_bytes(t));
        return NND_OK;
    }
    NND_TRY(allocate(t, out));
    memset(out->owned, 0, (size_t)nnd_tensor_count(t) * sizeof(float));
    *data = out->owned;
    return NND_OK;
}

nnd_status nnd_real_write(nnd_tensor *t, nnd_real *r)
{
    nnd_status status = NND_OK;
    if (r->owned && t->data)
        status =
            nnd_dtype_convert(NND_F32, r->owned, t->dtype, t->data, (size_t)nnd_tensor_count(t));
    nnd_real_free(r);
    return status;
}
