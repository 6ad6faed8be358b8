/*
 * Any bytes as an ncnn .param file: what we read of it before the library does. Whatever is
 * accepted has inputs, outputs and names for all of them.
 */
#include <stdlib.h>

#include "infer/backends/ncnn/param.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nnd_ncnn_param param = {0};
    if (nnd_ncnn_param_read(&param, (const char *)data, size) == NND_OK) {
        if (!param.inputs.count || !param.outputs.count) abort();
        for (size_t i = 0; i < param.inputs.count; i++)
            if (!param.inputs.items[i].name[0]) abort();
        for (size_t i = 0; i < param.outputs.count; i++)
            if (!param.outputs.items[i][0]) abort();
    }
    nnd_ncnn_param_fini(&param);
    nnd_error_clear();
    return 0;
}
