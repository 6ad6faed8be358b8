/*
 * Any bytes as an ONNX file: what the backends openvino and opencv-dnn read of it themselves,
 * before the library does. What one of them accepts has a name for every port.
 */
#include <stdlib.h>

#include "infer/backends/openvino/onnx_file.h"
#include "onnx_ports.h"

static void read_for_openvino(const uint8_t *data, size_t size)
{
    nnd_onnx_file file = {0};
    if (nnd_onnx_file_read(&file, data, size) == NND_OK) {
        for (size_t i = 0; i < file.inputs.count; i++)
            if (!file.inputs.items[i].name) abort();
        for (size_t i = 0; i < file.outputs.count; i++)
            if (!file.outputs.items[i].name) abort();
    }
    nnd_onnx_file_fini(&file);
}

static void read_for_opencv(const uint8_t *data, size_t size)
{
    const nnd_host *host = nnd_host_table();
    opencv_ports ports = {.model = "fuzz"};
    if (opencv_ports_read(host, &ports, data, size) == NND_OK) {
        for (size_t i = 0; i < ports.input_count + ports.output_count; i++)
            if (!ports.items[i].name || ports.items[i].rank > NND_MAX_RANK) abort();
    }
    opencv_ports_fini(host, &ports);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_for_openvino(data, size);
    read_for_opencv(data, size);
    nnd_error_clear();
    return 0;
}
