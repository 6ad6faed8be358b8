/* Requests: binding memory without copies, running, stopping, measuring. */
#include "infer/backends/openvino/openvino.h"

#include "infer/backends/vendor/vendor.h"

#include <string.h>

/* Where the results of an output of fixed shape go: two, because one of them may be on its way
   back as an input (nnd_request_alias). */
enum { KEPT_VALUES = 2 };

typedef struct output_slot {
    nnd_value *kept[KEPT_VALUES];
    nnd_ov_tensor *tensor; /* of the run under way */
} output_slot;

typedef struct openvino_request {
    const nnd_openvino_model *model;
    const nnd_ov_variant *variant;
    nnd_ov_request *request;
    nnd_value **packed; /* inputs of the run under way that had to be made dense */
    output_slot *outputs;
    bool has_run;
} openvino_request;

/* ---- life --------------------------------------------------------------------------------- */

void nnd_ov_close(void *request)
{
    openvino_request *r = request;
    if (r->request) r->model->lib->api.ov_infer_request_free(r->request);
    for (size_t i = 0; r->outputs && i < r->model->output_count; i++) {
        for (int k = 0; k < KEPT_VALUES; k++)
            nnd_value_unref(r->outputs[i].kept[k]);
    }
    nnd_free(r->outputs);
    nnd_free(r->packed);
    nnd_free(r);
}

nnd_status nnd_ov_open(void *model, const nnd_request_options *options, void **request)
{
    nnd_openvino_model *m = model;
    openvino_request *r = nnd_calloc(1, sizeof *r);
    if (!r) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a request");
    r->model = m;
    r->packed = nnd_calloc(m->input_count + 1, sizeof(nnd_value *));
    r->outputs = nnd_calloc(m->output_count + 1, sizeof *r->outputs);
    nnd_status status = r->packed && r->outputs
                            ? nnd_ov_variant_get(m, options->threads, options->profile, &r->variant)
                            : nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a request");
    if (status == NND_OK) {
        nnd_ov_status result =
            m->lib->api.ov_compiled_model_create_infer_request(r->variant->compiled, &r->request);
        if (result)
            status = nnd_ov_fail(m->lib, result, NND_E_BACKEND, "cannot make a request", m->name);
    }
    if (status != NND_OK) {
        nnd_ov_close(r);
        return status;
    }
    *request = r;
    return NND_OK;
}

/* ---- memory ------------------------------------------------------------------------------- */

/* Our memory as the library sees it. The port decides whether it is a scalar: a vector of one
   element is as good as that. */
static nnd_ov_status wrap_tensor(const openvino_request *r, const nnd_model_port *port,
                                 const nnd_tensor *t, nnd_ov_tensor **out)
{
    static char nothing[64]; /* for tensors without elements; not NULL */
    int64_t dims[NND_MAX_RANK + 1] = {0};
    nnd_ov_shape shape = {port->rank == 0 ? 0 : t->rank, dims};
    for (int64_t d = 0; d < shape.rank; d++)
        dims[d] = t->dims[d];
    return r->model->lib->api.ov_tensor_create_from_host_ptr(r->model->lib->types[t->dtype], shape,
                                                             t->data ? t->data : nothing, out);
}

static nnd_status set_input(openvino_request *r, size_t index, nnd_value *value, nnd_cancel *cancel)
{
    const nnd_openvino_model *m = r->model;
    const nnd_model_port *port = &m->ports[index];
    const nnd_tensor *t = NULL;
    nnd_ov_tensor *tensor = NULL;
    NND_TRY(nnd_vendor_dense_tensor(value, port->name, cancel, &t, &r->packed[index]));
    nnd_ov_status result = wrap_tensor(r, port, t, &tensor);
    if (!result)
        result = m->lib->api.ov_infer_request_set_input_tensor_by_index(r->request, index, tensor);
    if (tensor) m->lib->api.ov_tensor_free(tensor);
    if (result) return nnd_ov_fail(m->lib, result, NND_E_BACKEND, port->name, m->name);
    return NND_OK;
}

static bool has_fixed_shape(const nnd_model_port *port)
{
    for (int d = 0; d < port->rank; d++) {
        if (port->dims[d].value < 0) return false;
    }
    return port->rank >= 0;
}

/* Memory of an earlier run that nobody looks at any more, or new one. */
static nnd_status take_kept(openvino_request *r, size_t index, nnd_value **out)
{
    const nnd_model_port *port = &r->model->ports[r->model->input_count + index];
    int64_t dims[NND_MAX_RANK] = {0};
    nnd_value **slot = &r->outputs[index].kept[0];
    for (int k = 0; k < KEPT_VALUES; k++) {
        nnd_value *kept = r->outputs[index].kept[k];
        if (kept && nnd_value_holders(kept) == 1 &&
            nnd_buffer_holders(nnd_value_buffer(kept)) == 1) {
            *out = nnd_value_ref(kept);
            return NND_OK;
        }
        if (!kept) slot = &r->outputs[index].kept[k];
    }
    for (int d = 0; d < port->rank; d++)
        dims[d] = port->dims[d].value;
    NND_TRY(nnd_value_new_tensor(port->dtype, port->rank, dims, out));
    nnd_value_unref(*slot);
    *slot = nnd_value_ref(*out);
    return NND_OK;
}

/* Memory that the library makes as large as the result turns out to be. Fresh for each run, since
   the result of the last one may still be held. */
static nnd_ov_status growing_tensor(const openvino_request *r, const nnd_model_port *port,
                                    nnd_ov_tensor **out)
{
    int64_t dims[NND_MAX_RANK + 1] = {0};
    nnd_ov_shape shape = {port->rank, dims};
    for (int d = 0; d < port->rank; d++)
        dims[d] = port->dims[d].value < 0 ? 0 : port->dims[d].value;
    return r->model->lib->api.ov_tensor_create(r->model->lib->types[port->dtype], shape, out);
}

static nnd_status set_output(openvino_request *r, size_t index, nnd_value **value)
{
    const nnd_openvino_model *m = r->model;
    const nnd_model_port *port = &m->ports[m->input_count + index];
    output_slot *slot = &r->outputs[index];
    nnd_ov_status result;
    if (!*value && has_fixed_shape(port)) NND_TRY(take_kept(r, index, value));
    if (*value)
        result = wrap_tensor(r, port, nnd_value_tensor(*value), &slot->tensor);
    else if (port->rank >= 0)
        result = growing_tensor(r, port, &slot->tensor);
    else
        return NND_OK; /* not even the rank is known: the library's own memory */
    if (!result)
        result = m->lib->api.ov_infer_request_set_output_tensor_by_index(r->request, index,
                                                                         slot->tensor);
    if (result) return nnd_ov_fail(m->lib, result, NND_E_BACKEND, port->name, m->name);
    return NND_OK;
}

static nnd_status set_tensors(openvino_request *r, nnd_value *const *inputs, nnd_value **outputs,
                              nnd_cancel *cancel)
{
    for (size_t i = 0; i < r->model->input_count; i++)
        NND_TRY(set_input(r, i, inputs[i], cancel));
    for (size_t i = 0; i < r->model->output_count; i++)
        NND_TRY(set_output(r, i, &outputs[i]));
    return NND_OK;
}

/* ---- running ------------------------------------------------------------------------------ */

static void stop(void *user)
{
    openvino_request *r = user;
    (void)r->model->lib->api.ov_infer_request_cancel(r->request);
}

/* A cancelled token stops the run at once; deadlines, which call nobody, and a token without
   memory for the call are looked at now and then. */
static nnd_ov_status infer_until(openvino_request *r, nnd_cancel *cancel)
{
    enum { LOOK_EVERY_MS = 5 };
    const nnd_ov_api *ov = &r->model->lib->api;
    nnd_ov_status result = ov->ov_infer_request_start_async(r->request);
    if (result) return result;
    uint64_t id = nnd_cancel_on(cancel, stop, r);
    do {
        result = ov->ov_infer_request_wait_for(r->request, LOOK_EVERY_MS);
        if (result == NND_OV_NOT_READY && nnd_cancel_check(cancel) != NND_OK) {
            stop(r);
            result = ov->ov_infer_request_wait(r->request);
        }
    } while (result == NND_OV_NOT_READY);
    nnd_cancel_forget(cancel, id);
    return result;
}

static nnd_status infer(openvino_request *r, nnd_cancel *cancel)
{
    const nnd_openvino_model *m = r->model;
    int others = strcmp(m->config.device, "CPU") == 0 ? r->variant->threads - 1 : 0;
    nnd_sched_charge(others);
    nnd_ov_status result =
        cancel ? infer_until(r, cancel) : m->lib->api.ov_infer_request_infer(r->request);
    nnd_sched_charge(-others);
    if (!result) return NND_OK;
    nnd_status stopped = nnd_cancel_check(cancel);
    if (stopped != NND_OK) return nnd_error_set(stopped, "model '%s': stopped", m->name);
    return nnd_ov_fail(m->lib, result, NND_E_BACKEND, "the run failed", m->name);
}

/* ---- results ------------------------------------------------------------------------------ */

typedef struct foreign_memory {
    const nnd_ov_api *api;
    nnd_ov_tensor *tensor;
} foreign_memory;

static void foreign_release(void *user, void *data)
{
    foreign_memory *memory = user;
    (void)data;
    memory->api->ov_tensor_free(memory->tensor);
    nnd_free(memory);
}

/* The library's memory as a value that keeps it alive. Takes the tensor over, also on failure. */
static nnd_status wrap_result(const openvino_request *r, nnd_ov_tensor *tensor, nnd_tensor *view,
                              size_t bytes, nnd_value **out)
{
    nnd_buffer *buffer = NULL;
    foreign_memory *memory = nnd_calloc(1, sizeof *memory);
    if (!memory) {
        r->model->lib->api.ov_tensor_free(tensor);
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a result");
    }
    *memory = (foreign_memory){&r->model->lib->api, tensor};
    nnd_status status = nnd_buffer_wrap(view->data, bytes, foreign_release, memory, &buffer);
    if (status != NND_OK) {
        foreign_release(memory, NULL);
        return status;
    }
    view->buffer = buffer;
    status = nnd_value_from_tensor(view, out);
    nnd_buffer_unref(buffer);
    return status;
}

static nnd_status copy_result(const nnd_tensor *view, nnd_value **out)
{
    NND_TRY(nnd_value_new_tensor(view->dtype, view->rank, view->dims, out));
    nnd_tensor *to = nnd_value_edit(*out);
    if (!nnd_tensor_count(view)) return NND_OK;
    nnd_copy_count(nnd_tensor_bytes(to));
    return nnd_tensor_copy(to, view);
}

/* Shape, type and place of what the library wrote. */
static nnd_status view_result(const openvino_request *r, const nnd_model_port *port,
                              const nnd_ov_tensor *tensor, nnd_tensor *view, size_t *bytes)
{
    const nnd_ov_api *ov = &r->model->lib->api;
    nnd_ov_shape shape = {0};
    void *data = NULL;
    nnd_ov_status result = ov->ov_tensor_get_shape(tensor, &shape);
    /* The C API has no words for the shape of a scalar. */
    if (result && result != NND_OV_INVALID_C_PARAM)
        return nnd_ov_fail(r->model->lib, result, NND_E_BACKEND, port->name, r->model->name);
    int64_t rank = result ? 0 : shape.rank;
    nnd_status status =
        rank > NND_MAX_RANK
            ? nnd_error_set(NND_E_UNSUPPORTED, "output '%s' has more than %d dimensions",
                            port->name, NND_MAX_RANK)
            : nnd_tensor_init(view, port->dtype, (int)rank, shape.dims, NULL);
    if (!result) (void)ov->ov_shape_free(&shape);
    NND_TRY(status);
    result = ov->ov_tensor_get_byte_size(tensor, bytes);
    if (!result && *bytes) result = ov->ov_tensor_data(tensor, &data);
    if (result)
        return nnd_ov_fail(r->model->lib, result, NND_E_BACKEND, port->name, r->model->name);
    view->data = data;
    return NND_OK;
}

static bool same_shape(const nnd_model_port *port, const nnd_tensor *bound, const nnd_tensor *is)
{
    if (port->rank == 0) return nnd_tensor_count(bound) == 1;
    bool same = bound->rank == is->rank;
    for (int d = 0; same && d < is->rank; d++)
        same = bound->dims[d] == is->dims[d];
    return same;
}

static nnd_status take_output(openvino_request *r, size_t index, nnd_value **value)
{
    const nnd_openvino_model *m = r->model;
    const nnd_model_port *port = &m->ports[m->input_count + index];
    output_slot *slot = &r->outputs[index];
    nnd_tensor view = {0};
    size_t bytes = 0;
    bool is_own = slot->tensor == NULL;
    if (is_own) {
        nnd_ov_status result = m->lib->api.ov_infer_request_get_output_tensor_by_index(
            r->request, index, &slot->tensor);
        if (result) return nnd_ov_fail(m->lib, result, NND_E_BACKEND, port->name, m->name);
    }
    NND_TRY(view_result(r, port, slot->tensor, &view, &bytes));
    if (*value) {
        char given[128], is[128];
        if (same_shape(port, nnd_value_tensor(*value), &view)) return NND_OK;
        return nnd_error_set(NND_E_SHAPE, "model '%s', output '%s': bound to %s, the result is %s",
                             m->name, port->name,
                             nnd_tensor_describe(nnd_value_tensor(*value), given, sizeof given),
                             nnd_tensor_describe(&view, is, sizeof is));
    }
    if (is_own || !bytes) return copy_result(&view, value);
    nnd_ov_tensor *tensor = slot->tensor;
    slot->tensor = NULL;
    return wrap_result(r, tensor, &view, bytes, value);
}

/* Lets go of everything that belonged to the run. */
static void end_run(openvino_request *r)
{
    for (size_t i = 0; i < r->model->output_count; i++) {
        if (r->outputs[i].tensor) r->model->lib->api.ov_tensor_free(r->outputs[i].tensor);
        r->outputs[i].tensor = NULL;
    }
    for (size_t i = 0; i < r->model->input_count; i++) {
        nnd_value_unref(r->packed[i]);
        r->packed[i] = NULL;
    }
}

nnd_status nnd_ov_run(void *request, nnd_value *const *inputs, nnd_value **outputs,
                      nnd_cancel *cancel)
{
    openvino_request *r = request;
    nnd_status status = set_tensors(r, inputs, outputs, cancel);
    if (status == NND_OK) status = infer(r, cancel);
    for (size_t i = 0; status == NND_OK && i < r->model->output_count; i++)
        status = take_output(r, i, &outputs[i]);
    end_run(r);
    r->has_run = status == NND_OK;
    return status;
}

/* ---- measuring ---------------------------------------------------------------------------- */

static void write_step(const nnd_ov_profile_step *step, nnd_json_writer *w)
{
    nnd_json_begin_object(w);
    nnd_json_key(w, "name");
    nnd_json_put_string(w, step->name ? step->name : "");
    nnd_json_key(w, "op");
    nnd_json_put_string(w, step->op ? step->op : "");
    nnd_json_key(w, "kernel");
    nnd_json_put_string(w, step->kernel ? step->kernel : "");
    nnd_json_key(w, "ms");
    nnd_json_put_number(w, (double)step->real_us * 1e-3);
    nnd_json_end_object(w);
}

nnd_status nnd_ov_profile_write(void *request, nnd_json_writer *w)
{
    openvino_request *r = request;
    const nnd_openvino_model *m = r->model;
    nnd_ov_profile profile = {0};
    if (!r->variant->profile || !r->has_run)
        return nnd_error_set(NND_E_STATE,
                             "model '%s': nothing was measured; open the request with profile and "
                             "run it first",
                             m->name);
    nnd_ov_status result = m->lib->api.ov_infer_request_get_profiling_info(r->request, &profile);
    if (result) return nnd_ov_fail(m->lib, result, NND_E_BACKEND, "cannot see its times", m->name);
    nnd_json_begin_array(w);
    for (size_t i = 0; i < profile.count; i++) {
        if (profile.steps[i].status == NND_OV_STEP_EXECUTED) write_step(&profile.steps[i], w);
    }
    nnd_json_end_array(w);
    m->lib->api.ov_profiling_info_list_free(&profile);
    return NND_OK;
}
