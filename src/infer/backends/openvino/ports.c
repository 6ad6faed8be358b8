/* The ports of a model: types and shapes from the library, names from the file where it has them.
 */
#include "infer/backends/openvino/openvino.h"

#include <stdio.h>
#include <string.h>

static nnd_status no_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a model's ports");
}

/* Keeps a copy as long as the model lives. */
static const char *keep_text(nnd_openvino_model *m, const char *text)
{
    char *copy = nnd_strdup(text);
    if (copy) m->texts[m->text_count++] = copy;
    return copy;
}

static nnd_status port_at(const nnd_openvino_model *m, bool output, size_t index, nnd_ov_port **out)
{
    const nnd_ov_api *ov = &m->lib->api;
    nnd_ov_status result = output ? ov->ov_model_const_output_by_index(m->model, index, out)
                                  : ov->ov_model_const_input_by_index(m->model, index, out);
    return result ? nnd_ov_fail(m->lib, result, NND_E_BACKEND, "cannot see its ports", m->name)
                  : NND_OK;
}

static nnd_status take_type(const nnd_openvino_model *m, const nnd_ov_port *port, bool output,
                            size_t index, nnd_model_port *out)
{
    nnd_ov_type type = 0;
    nnd_ov_status result = m->lib->api.ov_port_get_element_type(port, &type);
    if (result)
        return nnd_ov_fail(m->lib, result, NND_E_BACKEND, "cannot see the type of a port", m->name);
    out->dtype = nnd_ov_dtype(m->lib, type);
    if (out->dtype != NND_DTYPE_INVALID) return NND_OK;
    return nnd_error_set(NND_E_UNSUPPORTED,
                         "OpenVINO, model '%s': %s %zu has an element type that this backend "
                         "cannot pass (strings, types below 8 bits, types known at run time only)",
                         m->name, output ? "output" : "input", index);
}

static nnd_status take_shape(const nnd_openvino_model *m, const nnd_ov_port *port,
                             nnd_model_port *out)
{
    nnd_ov_partial_shape shape = {0};
    nnd_ov_status result = m->lib->api.ov_port_get_partial_shape(port, &shape);
    if (result)
        return nnd_ov_fail(m->lib, result, NND_E_BACKEND, "cannot see the shape of a port",
                           m->name);
    nnd_status status = NND_OK;
    if (shape.rank.min != shape.rank.max)
        out->rank = -1;
    else if (shape.rank.min < 0 || shape.rank.min > NND_MAX_RANK)
        status = nnd_error_set(NND_E_UNSUPPORTED,
                               "OpenVINO, model '%s': a port has %lld dimensions, more than %d",
                               m->name, (long long)shape.rank.min, NND_MAX_RANK);
    else
        out->rank = (int32_t)shape.rank.min;
    for (int d = 0; status == NND_OK && d < out->rank; d++) {
        bool fixed = shape.dims[d].min == shape.dims[d].max && shape.dims[d].min >= 0;
        out->dims[d].value = fixed ? shape.dims[d].min : -1;
    }
    m->lib->api.ov_partial_shape_free(&shape);
    return status;
}

/* Any one of the port's names; a port without names is called by its position. */
static nnd_status take_any_name(nnd_openvino_model *m, const nnd_ov_port *port, bool output,
                                size_t index, nnd_model_port *out)
{
    char place[32], *name = NULL;
    nnd_ov_status result = m->lib->api.ov_port_get_any_name(port, &name);
    snprintf(place, sizeof place, "%s%zu", output ? "output" : "input", index);
    out->name = keep_text(m, result || !name || !name[0] ? place : name);
    if (!result) m->lib->api.ov_free(name);
    return out->name ? NND_OK : no_memory();
}

static nnd_status take_port(nnd_openvino_model *m, bool output, size_t index, nnd_model_port *out)
{
    nnd_ov_port *port = NULL;
    out->size = sizeof *out;
    out->kind = NND_PORT_TENSOR;
    NND_TRY(port_at(m, output, index, &port));
    nnd_status status = take_type(m, port, output, index, out);
    if (status == NND_OK) status = take_shape(m, port, out);
    if (status == NND_OK) status = take_any_name(m, port, output, index, out);
    m->lib->api.ov_output_const_port_free(port);
    return status;
}

/* ---- names of the file -------------------------------------------------------------------- */

/* The library keeps all names of a port, so the port that answers to the file's name is the one at
   this place when both have the same first name. */
static bool is_name_of(const nnd_openvino_model *m, bool output, const nnd_model_port *port,
                       const char *name)
{
    const nnd_ov_api *ov = &m->lib->api;
    nnd_ov_port *found = NULL;
    char *any = NULL;
    nnd_ov_status result = output ? ov->ov_model_const_output_by_name(m->model, name, &found)
                                  : ov->ov_model_const_input_by_name(m->model, name, &found);
    if (result) return false;
    bool same = ov->ov_port_get_any_name(found, &any) == NND_OV_OK && strcmp(any, port->name) == 0;
    if (any) ov->ov_free(any);
    ov->ov_output_const_port_free(found);
    return same;
}

static nnd_status name_port(nnd_openvino_model *m, bool output, const nnd_onnx_port *from,
                            nnd_model_port *port)
{
    if (!is_name_of(m, output, port, from->name)) return NND_OK;
    const char *name = keep_text(m, from->name);
    if (!name) return no_memory();
    port->name = name;
    for (int d = 0; d < port->rank && port->rank == from->rank; d++) {
        if (port->dims[d].value >= 0 || !from->symbols[d]) continue;
        port->dims[d].symbol = keep_text(m, from->symbols[d]);
        if (!port->dims[d].symbol) return no_memory();
    }
    return NND_OK;
}

/* Inputs that nothing reads may be gone in the library's model, and then places do not agree. */
static nnd_status name_ports(nnd_openvino_model *m, const nnd_onnx_file *file)
{
    for (size_t i = 0; i < m->input_count && m->input_count == file->inputs.count; i++)
        NND_TRY(name_port(m, false, &file->inputs.items[i], &m->ports[i]));
    for (size_t i = 0; i < m->output_count && m->output_count == file->outputs.count; i++)
        NND_TRY(name_port(m, true, &file->outputs.items[i], &m->ports[m->input_count + i]));
    return NND_OK;
}

nnd_status nnd_ov_take_ports(nnd_openvino_model *m, const nnd_onnx_file *file)
{
    const nnd_ov_api *ov = &m->lib->api;
    nnd_ov_status result = ov->ov_model_inputs_size(m->model, &m->input_count);
    if (!result) result = ov->ov_model_outputs_size(m->model, &m->output_count);
    if (result) return nnd_ov_fail(m->lib, result, NND_E_BACKEND, "cannot see its ports", m->name);
    size_t count = m->input_count + m->output_count;
    m->ports = nnd_calloc(count + 1, sizeof *m->ports);
    /* At most two names and a symbol per dimension for each. */
    m->texts = nnd_calloc(count + 1, (NND_MAX_RANK + 2) * sizeof *m->texts);
    if (!m->ports || !m->texts) return no_memory();
    for (size_t i = 0; i < m->input_count; i++)
        NND_TRY(take_port(m, false, i, &m->ports[i]));
    for (size_t i = 0; i < m->output_count; i++)
        NND_TRY(take_port(m, true, i, &m->ports[m->input_count + i]));
    return file ? name_ports(m, file) : NND_OK;
}
