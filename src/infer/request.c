/* Requests: binding by name, checks that hold for every backend, aliases, start and wait. */
#include "infer/infer.h"

#include <string.h>

enum { NO_ALIAS = -1 };

struct nnd_request {
    nnd_model *model;
    void *impl; /* the backend's request */
    size_t input_count, output_count;
    nnd_value **inputs;  /* bound, NULL = not */
    nnd_value **bound;   /* output memory of the caller, NULL = the backend's */
    nnd_value **results; /* of the last run */
    int64_t *alias;      /* per output: input it feeds, NO_ALIAS */
    /* start and wait */
    nnd_port_mutex lock;
    nnd_port_cond ended;
    bool running;
    bool started; /* once: there is something to wait for */
    nnd_cancel *cancel;
    nnd_status status;
    nnd_error *error;
};

/* ---- life -------------------------------------------------------------------------------- */

static nnd_status request_init(nnd_request *r, nnd_model *model, const nnd_request_options *options)
{
    r->input_count = nnd_model_input_count(model);
    r->output_count = nnd_model_output_count(model);
    r->inputs = nnd_calloc(r->input_count + 1, sizeof(nnd_value *));
    r->bound = nnd_calloc(r->output_count + 1, sizeof(nnd_value *));
    r->results = nnd_calloc(r->output_count + 1, sizeof(nnd_value *));
    r->alias = nnd_calloc(r->output_count + 1, sizeof(int64_t));
    if (!r->inputs || !r->bound || !r->results || !r->alias)
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a request");
    for (size_t i = 0; i < r->output_count; i++)
        r->alias[i] = NO_ALIAS;
    nnd_request_options effective = *options;
    if (effective.threads == 0 || (model->is_tuned && effective.threads > model->threads))
        effective.threads = model->threads;
    return model->backend->open(model->impl, &effective, &r->impl);
}

nnd_status nnd_request_create(nnd_model *model, const nnd_request_options *options,
                              nnd_request **out)
{
    static const nnd_request_options defaults = NND_REQUEST_OPTIONS_INIT;
    if (!model || !out)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "nnd_request_create: model and out are required");
    if (!options) options = &defaults;
    if (options->size != sizeof *options || options->threads < 0)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "nnd_request_options: wrong size or negative threads");
    nnd_request *r = nnd_calloc(1, sizeof *r);
    if (!r) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a request");
    if (nnd_port_mutex_init(&r->lock)) {
        nnd_free(r);
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a request");
    }
    if (nnd_port_cond_init(&r->ended)) {
        nnd_port_mutex_fini(&r->lock);
        nnd_free(r);
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a request");
    }
    r->model = nnd_model_ref(model);
    nnd_status status = request_init(r, model, options);
    if (status != NND_OK) {
        nnd_request_destroy(r);
        return status;
    }
    *out = r;
    return NND_OK;
}

static void wait_until_idle(nnd_request *r)
{
    nnd_port_mutex_lock(&r->lock);
    while (r->running)
        nnd_port_cond_wait(&r->ended, &r->lock, NND_PORT_FOREVER);
    nnd_port_mutex_unlock(&r->lock);
}

static void unref_all(nnd_value **values, size_t count)
{
    for (size_t i = 0; values && i < count; i++)
        nnd_value_unref(values[i]);
    nnd_free(values);
}

void nnd_request_destroy(nnd_request *r)
{
    if (!r) return;
    wait_until_idle(r);
    if (r->impl) r->model->backend->close(r->impl);
    unref_all(r->inputs, r->input_count);
    unref_all(r->bound, r->output_count);
    unref_all(r->results, r->output_count);
    nnd_free(r->alias);
    nnd_cancel_unref(r->cancel);
    nnd_error_destroy(r->error);
    nnd_port_cond_fini(&r->ended);
    nnd_port_mutex_fini(&r->lock);
    nnd_model_unref(r->model);
    nnd_free(r);
}

/* ---- binding ----------------------------------------------------------------------------- */

static nnd_status require_idle(nnd_request *r, const char *what)
{
    nnd_port_mutex_lock(&r->lock);
    bool running = r->running;
    nnd_port_mutex_unlock(&r->lock);
    if (!running) return NND_OK;
    return nnd_error_set(NND_E_STATE, "%s: the request is running; wait for it first", what);
}

/* A vector of one element is as good as a scalar: many callers have no scalars. */
static bool shape_fits(const nnd_model_port *port, const nnd_tensor *t)
{
    if (port->rank < 0 || (port->rank == 0 && nnd_tensor_count(t) == 1)) return true;
    bool fits = port->rank == t->rank;
    for (int d = 0; fits && d < port->rank; d++)
        fits = port->dims[d].value < 0 || port->dims[d].value == t->dims[d];
    return fits;
}

/* A tensor that can stand at a port: dtype, rank and the fixed dimensions agree. */
static nnd_status check_tensor(const nnd_model *model, const nnd_model_port *port,
                               const nnd_value *value, const char *what)
{
    const nnd_tensor *t = nnd_value_tensor(value);
    char wanted[256], given[256];
    nnd_model_port_describe(port, wanted, sizeof wanted);
    if (!t)
        return nnd_error_set(NND_E_TYPE,
                             "model '%s', %s '%s': wants a tensor %s, got a value of type %s",
                             model->name, what, port->name, wanted, nnd_value_type_name(value));
    nnd_tensor_describe(t, given, sizeof given);
    if (port->dtype != NND_DTYPE_INVALID && t->dtype != port->dtype)
        return nnd_error_set(
            NND_E_TYPE, "model '%s', %s '%s': wants %s, got %s (convert it to %s first)",
            model->name, what, port->name, wanted, given, nnd_dtype_name(port->dtype));
    if (!shape_fits(port, t))
        return nnd_error_set(NND_E_SHAPE, "model '%s', %s '%s': wants %s, got %s", model->name,
                             what, port->name, wanted, given);
    return NND_OK;
}

static nnd_status wrong_kind(const nnd_model *model, const nnd_model_port *port,
                             const nnd_value *value, const char *detail)
{
    char wanted[256];
    return nnd_error_set(NND_E_TYPE, "model '%s', input '%s': wants a %s, got a %s%s", model->name,
                         port->name, nnd_model_port_describe(port, wanted, sizeof wanted),
                         nnd_value_type_name(value), detail);
}

/* A record of two vectors of equal length. */
static nnd_status check_map(const nnd_model *model, const nnd_model_port *port,
                            const nnd_value *value)
{
    const nnd_value *keys = nnd_value_record_get(value, "keys");
    const nnd_value *values = nnd_value_record_get(value, "values");
    const nnd_tensor *k = keys ? nnd_value_tensor(keys) : NULL;
    const nnd_tensor *v = values ? nnd_value_tensor(values) : NULL;
    bool fits = k && v && k->rank == 1 && v->rank == 1 && k->dims[0] == v->dims[0] &&
                (port->key == NND_DTYPE_INVALID || k->dtype == port->key) &&
                (port->dtype == NND_DTYPE_INVALID || v->dtype == port->dtype);
    return fits ? NND_OK
                : wrong_kind(model, port, value,
                             ", which is no record of the vectors 'keys' and 'values' of these "
                             "types");
}

static nnd_status check_list(const nnd_model *model, const nnd_model_port *port,
                             const nnd_value *value)
{
    for (size_t i = 0; i < nnd_value_list_count(value); i++) {
        const nnd_value *item = nnd_value_list_at(value, i);
        const nnd_tensor *t = nnd_value_tensor(item);
        if (port->element == NND_PORT_MAP) {
            NND_TRY(check_map(model, port, item));
            continue;
        }
        if (!t) return wrong_kind(model, port, value, " of other things than tensors");
        if (port->dtype != NND_DTYPE_INVALID && t->dtype != port->dtype)
            return wrong_kind(model, port, value, " of tensors of another element type");
    }
    return NND_OK;
}

static nnd_status check_input(const nnd_model *model, const nnd_model_port *port,
                              const nnd_value *value)
{
    if (port->optional && nnd_value_is(value, "gap")) return NND_OK;
    if (port->kind == NND_PORT_SEQUENCE && nnd_value_is(value, "list"))
        return check_list(model, port, value);
    if (port->kind == NND_PORT_MAP && nnd_value_is(value, "record"))
        return check_map(model, port, value);
    if (port->kind == NND_PORT_TENSOR) return check_tensor(model, port, value, "input");
    return wrong_kind(model, port, value, "");
}

static void replace(nnd_value **slot, nnd_value *value)
{
    nnd_value_ref(value);
    nnd_value_unref(*slot);
    *slot = value;
}

nnd_status nnd_request_bind_input(nnd_request *r, const char *name, nnd_value *value)
{
    size_t i;
    NND_TRY(require_idle(r, "nnd_request_bind_input"));
    NND_TRY(nnd_model_port_index(r->model, false, name, &i));
    const nnd_model_port *port = r->model->backend->port(r->model->impl, false, i);
    if (value) NND_TRY(check_input(r->model, port, value));
    replace(&r->inputs[i], value && nnd_value_is(value, "gap") ? NULL : value);
    return NND_OK;
}

nnd_status nnd_request_bind_output(nnd_request *r, const char *name, nnd_value *value)
{
    size_t i;
    NND_TRY(require_idle(r, "nnd_request_bind_output"));
    NND_TRY(nnd_model_port_index(r->model, true, name, &i));
    if (value) {
        const nnd_model_port *port = r->model->backend->port(r->model->impl, true, i);
        if (port->kind != NND_PORT_TENSOR || port->optional || port->dtype == NND_STRING)
            return nnd_error_set(NND_E_UNSUPPORTED,
                                 "model '%s', output '%s': only tensors of numbers can be written "
                                 "to bound memory",
                                 r->model->name, name);
        NND_TRY(check_tensor(r->model, port, value, "output"));
        const nnd_tensor *t = nnd_value_tensor(value);
        if (!nnd_tensor_is_dense(t) || !t->data)
            return nnd_error_set(NND_E_UNSUPPORTED,
                                 "model '%s', output '%s': bound memory must be a dense tensor in "
                                 "host memory",
                                 r->model->name, name);
        if (r->alias[i] != NO_ALIAS)
            return nnd_error_set(NND_E_STATE,
                                 "model '%s', output '%s' is aliased to an input and cannot be "
                                 "bound as well",
                                 r->model->name, name);
    }
    replace(&r->bound[i], value);
    return NND_OK;
}

nnd_status nnd_request_alias(nnd_request *r, const char *output, const char *input)
{
    size_t o, i;
    NND_TRY(require_idle(r, "nnd_request_alias"));
    NND_TRY(nnd_model_port_index(r->model, true, output, &o));
    NND_TRY(nnd_model_port_index(r->model, false, input, &i));
    const nnd_model_port *from = r->model->backend->port(r->model->impl, true, o);
    const nnd_model_port *to = r->model->backend->port(r->model->impl, false, i);
    bool fits =
        from->dtype == to->dtype && (from->rank < 0 || to->rank < 0 || from->rank == to->rank);
    for (int d = 0; fits && d < from->rank && d < to->rank; d++)
        fits = from->dims[d].value < 0 || to->dims[d].value < 0 ||
               from->dims[d].value == to->dims[d].value;
    if (!fits)
        return nnd_error_set(
            NND_E_SHAPE, "model '%s': output '%s' can never become input '%s': their types differ",
            r->model->name, output, input);
    if (r->bound[o])
        return nnd_error_set(NND_E_STATE, "model '%s', output '%s' is bound to memory already",
                             r->model->name, output);
    r->alias[o] = (int64_t)i;
    return NND_OK;
}

/* ---- running ----------------------------------------------------------------------------- */

static nnd_status check_inputs(const nnd_request *r)
{
    for (size_t i = 0; i < r->input_count; i++) {
        const nnd_model_port *port = r->model->backend->port(r->model->impl, false, i);
        if (!r->inputs[i] && !port->optional)
            return nnd_error_set(NND_E_INVALID_ARGUMENT, "model '%s': input '%s' has no value",
                                 r->model->name, port->name);
    }
    return NND_OK;
}

/* One run in this thread. The results of the run before are let go first: unless somebody holds
   them, the backend writes into their memory again. */
static nnd_status run_now(nnd_request *r, nnd_cancel *cancel)
{
    NND_TRY(check_inputs(r));
    for (size_t i = 0; i < r->output_count; i++)
        replace(&r->results[i], NULL);
    nnd_value **outputs = nnd_calloc(r->output_count + 1, sizeof *outputs);
    if (!outputs) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a run");
    for (size_t i = 0; i < r->output_count; i++)
        outputs[i] = nnd_value_ref(r->bound[i]);
    nnd_status status = nnd_cancel_check(cancel);
    if (status != NND_OK)
        nnd_error_set(status, "model '%s': stopped before it began", r->model->name);
    else
        status = r->model->backend->run(r->impl, r->inputs, outputs, cancel);
    for (size_t i = 0; i < r->output_count; i++) {
        if (status == NND_OK) {
            replace(&r->results[i], outputs[i]);
            if (r->alias[i] != NO_ALIAS) replace(&r->inputs[r->alias[i]], outputs[i]);
        }
        nnd_value_unref(outputs[i]);
    }
    nnd_free(outputs);
    return status;
}

nnd_status nnd_request_run(nnd_request *r, nnd_cancel *cancel)
{
    NND_TRY(require_idle(r, "nnd_request_run"));
    return run_now(r, cancel);
}

static void run_task(void *user)
{
    nnd_request *r = user;
    nnd_error_clear();
    nnd_status status = run_now(r, r->cancel);
    nnd_error *error = nnd_error_take();
    nnd_port_mutex_lock(&r->lock);
    r->status = status;
    nnd_error_destroy(r->error);
    r->error = error;
    r->running = false;
    nnd_port_cond_broadcast(&r->ended);
    nnd_port_mutex_unlock(&r->lock);
}

static void set_running(nnd_request *r, bool running)
{
    nnd_port_mutex_lock(&r->lock);
    r->running = r->started = running;
    nnd_port_mutex_unlock(&r->lock);
}

nnd_status nnd_request_start(nnd_request *r, nnd_cancel *cancel)
{
    NND_TRY(require_idle(r, "nnd_request_start"));
    NND_TRY(check_inputs(r));
    nnd_cancel_ref(cancel);
    nnd_cancel_unref(r->cancel);
    r->cancel = cancel;
    set_running(r, true);
    nnd_status status = nnd_sched_submit(run_task, r);
    if (status != NND_OK) set_running(r, false);
    return status;
}

nnd_status nnd_request_wait(nnd_request *r, const nnd_cancel *cancel)
{
    /* Cancelling the waiter does not cancel the run; a token has no waiting of its own, so it is
       looked at every few milliseconds. */
    const int64_t look_again = 2 * 1000 * 1000;
    nnd_status status = NND_OK;
    nnd_port_mutex_lock(&r->lock);
    bool started = r->started;
    while (r->running && (status = nnd_cancel_check(cancel)) == NND_OK)
        nnd_port_cond_wait(&r->ended, &r->lock,
                           cancel ? nnd_port_now() + look_again : NND_PORT_FOREVER);
    bool running = r->running;
    if (started && !running) status = r->status;
    nnd_port_mutex_unlock(&r->lock);
    if (!started)
        return nnd_error_set(NND_E_STATE,
                             "model '%s': nothing was started that could be waited for",
                             r->model->name);
    if (running)
        return nnd_error_set(status, "model '%s': waiting was stopped; the run goes on",
                             r->model->name);
    if (status != NND_OK && r->error) nnd_error_restore(r->error);
    return status;
}

nnd_status nnd_request_output(nnd_request *r, const char *name, nnd_value **out)
{
    size_t i;
    NND_TRY(require_idle(r, "nnd_request_output"));
    NND_TRY(nnd_model_port_index(r->model, true, name, &i));
    if (!r->results[i])
        return nnd_error_set(
            NND_E_STATE, "model '%s', output '%s': the request has not run, or its last run failed",
            r->model->name, name);
    *out = nnd_value_ref(r->results[i]);
    return NND_OK;
}

nnd_status nnd_request_profile(nnd_request *r, nnd_json_writer *w)
{
    NND_TRY(require_idle(r, "nnd_request_profile"));
    if (!r->model->backend->profile)
        return nnd_error_set(NND_E_UNSUPPORTED, "backend '%s' has no per-operator profile",
                             r->model->backend->name);
    return r->model->backend->profile(r->impl, w);
}
