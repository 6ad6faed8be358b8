/*
 * Any bytes as a safetensors file: every tensor that is found lies in the bytes and can be read.
 * Build with -DNND_BUILD_FUZZ=ON and clang.
 */
#include "engine/ir/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nnd_safetensors st;
    volatile uint8_t sum = 0;
    if (nnd_safetensors_open(&st, data, size, "fuzz") == NND_OK) {
        const nnd_json *root = nnd_json_root(st.header);
        for (size_t i = 0; i < nnd_json_count(root); i++) {
            nnd_tensor t;
            if (nnd_safetensors_find(&st, nnd_json_key_at(root, i), &t) != NND_OK) continue;
            for (size_t k = 0; k < nnd_tensor_bytes(&t); k++)
                sum = (uint8_t)(sum + ((const uint8_t *)t.data)[k]);
        }
        nnd_safetensors_close(&st);
    }
    nnd_error_clear();
    return 0;
}
