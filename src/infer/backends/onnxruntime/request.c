/* Requests: one IO binding and one set of run options each. */
#include "infer/backends/onnxruntime/ort.h"

#include <string.h>

typedef struct ort_request {
    nnd_ort_model *model;
    OrtIoBinding *binding;
    OrtRunOptions *run_options; /* carries the flag that stops a run */
    nnd_value **used;           /* per input: what is bound, the given value or its dense copy */
} ort_request;

void nnd_ort_request_close(void *request)
{
    ort_request *r = request;
    const nnd_ort_api *api = r->model->library->api;
    if (r->binding) api->ReleaseIoBinding(r->binding);
    if (r->run_options) api->ReleaseRunOptions(r->run_options);
    nnd_ort_model_unref(r->model);
    nnd_free(r->used);
    nnd_free(r);
}

/* The pool of threads belongs to the session, so a request that wants another number of threads
   than its model gets the model's. */
nnd_status nnd_ort_request_open(void *model, const nnd_request_options *options, void **request)
{
    nnd_ort_model *m = model;
    const nnd_ort_library *lib = m->library;
    if (options->profile)
        return nnd_error_set(NND_E_UNSUPPORTED,
                             "backend onnxruntime keeps no times per operator in a request");
    ort_request *r = nnd_calloc(1, sizeof *r);
    if (!r) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a request");
    r->model = m;
    atomic_fetch_add_explicit(&m->holders, 1, memory_order_relaxed);
    r->used = nnd_calloc(m->input_count + 1, sizeof *r->used);
    nnd_status status =
        r->used ? NND_OK : nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a request");
    if (status == NND_OK)
        status = nnd_ort_check(lib, lib->api->CreateIoBinding(m->session, &r->binding),
                               "cannot make a binding");
    if (status == NND_OK)
        status =
            nnd_ort_check(lib, lib->api->CreateRunOptions(&r->run_options), "cannot make options");
    if (status != NND_OK) {
        nnd_ort_request_close(r);
        return status;
    }
    *request = r;
    return NND_OK;
}

/* ---- inputs -------------------------------------------------------------------------------- */

/* A dense tensor in host memory that stands for the value: itself, or a copy of one with gaps. */
static nnd_status make_dense(nnd_value *value, const char *port, nnd_cancel *cancel,
                             nnd_value **out)
{
    const nnd_tensor *t = nnd_value_tensor(value);
    nnd_buffer *buffer = nnd_value_buffer(value);
    *out = NULL;
    if (buffer) NND_TRY(nnd_buffer_wait(buffer, cancel));
    if (t && !t->data && nnd_tensor_count(t) > 0)
        return nnd_error_set(NND_E_UNSUPPORTED,
                             "input '%s' lies in the memory of device '%s'; bring it to the host "
                             "first (a workflow does so by itself)",
                             port, buffer ? nnd_device_name(nnd_buffer_device(buffer)) : "?");
    if (!t || nnd_tensor_is_dense(t)) {
        *out = nnd_value_ref(value);
        return NND_OK;
    }
    nnd_value *dense = NULL;
    NND_TRY(nnd_value_new_tensor(t->dtype, t->rank, t->dims, &dense));
    nnd_status status = nnd_tensor_copy(nnd_value_edit(dense), t);
    if (status != NND_OK) {
        nnd_value_unref(dense);
        return status;
    }
    nnd_copy_count(nnd_tensor_bytes(t));
    *out = dense;
    return NND_OK;
}

static nnd_status bind_inputs(ort_request *r, nnd_value *const *inputs, nnd_cancel *cancel)
{
    const nnd_ort_model *m = r->model;
    const nnd_ort_library *lib = m->library;
    for (size_t i = 0; i < m->input_count; i++) {
        OrtValue *value = NULL;
        if (!inputs[i]) continue;
        NND_TRY(make_dense(inputs[i], m->ports[i].name, cancel, &r->used[i]));
        NND_TRY(nnd_ort_value_from(lib, r->used[i], m->ports[i].rank == 0, &value));
        /* The binding holds the library's value on its own. */
        nnd_status status = nnd_ort_check(
            lib, lib->api->BindInput(r->binding, m->ports[i].name, value), "cannot bind an input");
        lib->api->ReleaseValue(value);
        NND_TRY(status);
    }
    return nnd_ort_check(lib, lib->api->SynchronizeBoundInputs(r->binding), "inputs");
}

/* ---- outputs ------------------------------------------------------------------------------- */

static nnd_status bind_outputs(ort_request *r, nnd_value *const *outputs)
{
    const nnd_ort_model *m = r->model;
    const nnd_ort_library *lib = m->library;
    for (size_t i = 0; i < m->output_count; i++) {
        const nnd_model_port *port = &m->ports[m->input_count + i];
        OrtValue *value = NULL;
        if (!outputs[i]) {
            NND_TRY(nnd_ort_check(lib,
                                  lib->api->BindOutputToDevice(r->binding, port->name, lib->cpu),
                                  "cannot bind an output"));
            continue;
        }
        if (port->dtype == NND_STRING)
            return nnd_error_set(NND_E_UNSUPPORTED,
                                 "output '%s': onnxruntime keeps strings its own way; they cannot "
                                 "be bound to memory",
                                 port->name);
        NND_TRY(nnd_ort_value_from(lib, outputs[i], port->rank == 0, &value));
        nnd_status status = nnd_ort_check(lib, lib->api->BindOutput(r->binding, port->name, value),
                                          "cannot bind an output");
        lib->api->ReleaseValue(value);
        NND_TRY(status);
    }
    return NND_OK;
}

/* An output that is an input of the model unchanged comes back as the input's own memory: it then
   is the same value. */
static nnd_value *same_memory(const ort_request *r, const OrtValue *result)
{
    const nnd_ort_api *api = r->model->library->api;
    void *data = NULL;
    unsigned kind = 0;
    OrtStatus *status = api->GetValueType(result, &kind);
    if (!status && kind == NND_ORT_KIND_TENSOR)
        status = api->GetTensorMutableData((OrtValue *)(uintptr_t)result, &data);
    if (status) api->ReleaseStatus(status); /* strings have no such memory */
    for (size_t i = 0; data && i < r->model->input_count; i++) {
        const nnd_tensor *t = r->used[i] ? nnd_value_tensor(r->used[i]) : NULL;
        if (t && t->data == data && nnd_tensor_count(t) > 0) return r->used[i];
    }
    return NULL;
}

/* Takes `result` over. */
static nnd_status store_output(ort_request *r, OrtValue *result, nnd_value **output)
{
    const nnd_ort_api *api = r->model->library->api;
    nnd_value *input = same_memory(r, result);
    if (!*output && !input) return nnd_ort_value_take(r->model, result, output);
    nnd_status status = NND_OK;
    if (!*output) {
        *output = nnd_value_ref(input);
    } else if (input) {
        /* Bound memory is to be filled, whatever the library made of it. */
        const nnd_tensor *to = nnd_value_tensor(*output), *from = nnd_value_tensor(input);
        if (nnd_tensor_bytes(to) != nnd_tensor_bytes(from))
            status = nnd_error_set(NND_E_SHAPE, "a bound output does not fit the result");
        else if (to->data != from->data)
            memcpy(to->data, from->data, nnd_tensor_bytes(from));
        nnd_copy_count(nnd_tensor_bytes(from));
    }
    api->ReleaseValue(result);
    return status;
}

static nnd_status take_outputs(ort_request *r, nnd_value **outputs)
{
    const nnd_ort_library *lib = r->model->library;
    OrtValue **results = NULL;
    size_t count = 0;
    nnd_status status = NND_OK;
    NND_TRY(nnd_ort_check(lib, lib->api->SynchronizeBoundOutputs(r->binding), "outputs"));
    NND_TRY(nnd_ort_check(
        lib, lib->api->GetBoundOutputValues(r->binding, lib->allocator, &results, &count),
        "no results"));
    for (size_t i = 0; i < count; i++) {
        if (status == NND_OK && i < r->model->output_count)
            status = store_output(r, results[i], &outputs[i]);
        else
            lib->api->ReleaseValue(results[i]);
    }
    if (results)
        (void)nnd_ort_check(lib, lib->api->AllocatorFree(lib->allocator, results), "memory");
    return status;
}

/* ---- running ------------------------------------------------------------------------------- */

static void stop_run(void *user)
{
    const ort_request *r = user;
    const nnd_ort_api *api = r->model->library->api;
    OrtStatus *status = api->RunOptionsSetTerminate(r->run_options);
    if (status) api->ReleaseStatus(status);
}

/* The library looks at the flag between operators. */
static nnd_status run_stoppable(ort_request *r, nnd_cancel *cancel)
{
    const nnd_ort_library *lib = r->model->library;
    nnd_ort_watch watch;
    NND_TRY(nnd_ort_check(lib, lib->api->RunOptionsUnsetTerminate(r->run_options), "options"));
    uint64_t id = cancel ? nnd_cancel_on(cancel, stop_run, r) : 0;
    nnd_ort_watch_enter(&watch, cancel ? nnd_cancel_deadline(cancel) : NND_NO_DEADLINE, stop_run,
                        r);
    nnd_status status =
        nnd_ort_check(lib, lib->api->RunWithBinding(r->model->session, r->run_options, r->binding),
                      "the run failed");
    nnd_ort_watch_leave(&watch);
    if (id) nnd_cancel_forget(cancel, id);
    nnd_status stopped = nnd_cancel_check(cancel);
    if (status != NND_OK && stopped != NND_OK)
        return nnd_error_set(stopped, "the run was stopped by its cancel token or deadline");
    return status;
}

nnd_status nnd_ort_request_run(void *request, nnd_value *const *inputs, nnd_value **outputs,
                               nnd_cancel *cancel)
{
    ort_request *r = request;
    const nnd_ort_api *api = r->model->library->api;
    nnd_status status = bind_inputs(r, inputs, cancel);
    if (status == NND_OK) status = bind_outputs(r, outputs);
    if (status == NND_OK) status = run_stoppable(r, cancel);
    if (status == NND_OK) status = take_outputs(r, outputs);
    /* What was bound is let go: a pool may use the memory for the next packet, and results that
       somebody holds must not be written again. */
    api->ClearBoundInputs(r->binding);
    api->ClearBoundOutputs(r->binding);
    for (size_t i = 0; i < r->model->input_count; i++) {
        nnd_value_unref(r->used[i]);
        r->used[i] = NULL;
    }
    return status;
}
