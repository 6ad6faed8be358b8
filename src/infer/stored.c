/* Values in the form in which ONNX stores them. */
#include "engine/onnx/onnx.h"
#include "infer/infer.h"

static nnd_engine_kind kind_of(nnd_port_kind kind)
{
    return kind == NND_PORT_SEQUENCE ? NND_KIND_SEQUENCE
           : kind == NND_PORT_MAP    ? NND_KIND_MAP
                                     : NND_KIND_TENSOR;
}

nnd_status nnd_value_from_onnx(const void *bytes, size_t size, const nnd_model_port *port,
                               nnd_value **out)
{
    nnd_engine_type type = {NND_KIND_TENSOR, NND_KIND_TENSOR, NND_DTYPE_INVALID, false};
    if ((!bytes && size) || !out)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "nnd_value_from_onnx: bytes and out are required");
    if (port)
        type = (nnd_engine_type){kind_of(port->kind), NND_KIND_TENSOR, port->key, port->optional};
    return nnd_onnx_read_value(bytes, size, &type, out);
}
