/* nnd_npy_parse on any bytes; what it accepts is written and read again. */
#include <stdlib.h>

#include "nndeploy/data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nnd_value *v, *again;
    void *bytes;
    size_t written;
    if (nnd_npy_parse(data, size, &v) != NND_OK) return 0;
    if (nnd_npy_write(nnd_value_tensor(v), &bytes, &written) != NND_OK) abort();
    if (nnd_npy_parse(bytes, written, &again) != NND_OK) abort();
    nnd_value_unref(again);
    nnd_value_unref(v);
    nnd_free(bytes);
    return 0;
}
