/*
 * Any bytes as a stored ONNX value of every kind: what is accepted is a whole value, which can be
 * packed.
 */
#include <stdlib.h>

#include "nndeploy/infer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const nnd_port_kind kinds[] = {NND_PORT_TENSOR, NND_PORT_SEQUENCE, NND_PORT_MAP};
    for (size_t i = 0; i < 2 * NND_COUNT(kinds); i++) {
        nnd_model_port port = {
            .size = sizeof port, .kind = kinds[i / 2], .optional = i % 2, .rank = -1};
        nnd_value *value = NULL;
        void *bytes = NULL;
        size_t packed = 0;
        if (nnd_value_from_onnx(data, size, &port, &value) == NND_OK) {
            if (!value) abort();
            if (nnd_value_pack(value, &bytes, &packed) != NND_OK && !nnd_value_is(value, "gap"))
                abort();
            nnd_free(bytes);
        }
        nnd_value_unref(value);
        nnd_error_clear();
    }
    return 0;
}
