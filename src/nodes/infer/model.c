/* infer.model: one node over every backend. Its ports are those of the model. */
#include "nodes/nodes_internal.h"

#include "base/port_status.h"
#include "base/str.h"
#include "infer/infer.h"
#include "infer/tuning.h"
#include "nodes/infer/config_folders.h"
#include "nodes/infer/plan_models.h"
#include "nodes/infer/port_form.h"
#include "nodes/infer/port_names.h"
#include "nodes/infer/priors.h"
#include "workflow/compile/plan.h"

#include <string.h>

/* ---- shared models ------------------------------------------------------------------------ */

/* A model in use by plans of this process. Plans with the same file and options share it. */
typedef struct shared_model {
    nnd_model *model;
    nnd_port_names names;            /* what the catalogue says of its ports */
    nnd_port_form *inputs, *outputs; /* as workflows and as the file have them */
    char *key;
    char *path; /* real path */
} shared_model;

/* What loading one needs; lives on the stack of whoever asks. */
typedef struct load_request {
    const nnd_prepare *prepare;
    const char *path;
    const char *precision; /* what the backend has to be told */
    char *folder;          /* real path */
} load_request;

/* A file beside the model: the policy has to cover it, and it lies in the model's folder. */
static nnd_status open_beside(void *user, const char *name, const void **bytes, size_t *size,
                              void (**release)(void *handle), void **handle)
{
    const load_request *request = user;
    char *wanted = nnd_strf("%s/%s", request->folder, name), *real = NULL;
    if (!wanted) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a path");
    nnd_status status = nnd_io_resolve_read(nnd_prepare_io(request->prepare), wanted, &real);
    nnd_free(real);
    nnd_free(wanted);
    NND_TRY(status);
    return nnd_model_open_beside(request->folder, name, bytes, size, release, handle);
}

static nnd_status make_model(void *user, void **object)
{
    load_request *request = user;
    const nnd_params *p = nnd_prepare_params(request->prepare);
    nnd_io *io = nnd_prepare_io(request->prepare);
    nnd_model_options options = NND_MODEL_OPTIONS_INIT;
    char *real = NULL, *config = NULL;
    nnd_model *model = NULL;
    if (io) NND_TRY(nnd_config_folders(io, nnd_params_text(p, "config"), &config));
    options.backend = nnd_params_text(p, "backend");
    options.precision = request->precision;
    options.config = io ? config : nnd_params_text(p, "config");
    options.cancel = nnd_prepare_cancel(request->prepare);
    /* A file that the policy covers reads its external data through the policy; one that the host
       found elsewhere (a catalogue) through the backend's own check of the folder. */
    if (io && nnd_io_resolve_read(io, request->path, &real) == NND_OK) {
        char *slash = strrchr(real, '/');
        if (slash) *slash = '\0';
        request->folder = real;
        options.open_file = open_beside;
        options.open_user = request;
    } else {
        nnd_error_clear();
    }
    nnd_status status = nnd_model_load(request->path, &options, &model);
    nnd_free(real);
    nnd_free(config);
    request->folder = NULL;
    if (status == NND_OK) *object = model;
    return status;
}

static void destroy_model(void *object)
{
    nnd_model_unref(object);
}

/* Once the tuning file has changed, "auto" may mean another backend, and the built-in engine other
   kernels. */
static uint64_t tuning_of(const char *backend)
{
    bool reads = !backend[0] || strcmp(backend, "auto") == 0 || strcmp(backend, "builtin") == 0;
    return reads ? nnd_tuning_stamp() : 0;
}

static nnd_status key_of(const nnd_params *p, const char *precision, const char *real, char **out)
{
    nnd_port_file_info info;
    const char *backend = nnd_params_text(p, "backend");
    NND_TRY(nnd_error_from_port(nnd_port_file_stat(real, &info), "cannot open model", real));
    *out =
        nnd_strf("infer.model|%s|%llu|%llu|%lld|%s|%llu|%s|%s", real, (unsigned long long)info.id,
                 (unsigned long long)info.size, (long long)info.mtime, backend,
                 (unsigned long long)tuning_of(backend), precision, nnd_params_text(p, "config"));
    return *out ? NND_OK : nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a model");
}

static nnd_status real_path(const char *path, char **out)
{
    char *real = NULL;
    NND_TRY(nnd_error_from_port(nnd_port_path_real(path, &real), "cannot open model", path));
    *out = nnd_strdup(real);
    nnd_port_free(real);
    return *out ? NND_OK : nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a path");
}

static nnd_status make_forms(const shared_model *m, bool is_input, size_t count,
                             nnd_port_form **out)
{
    nnd_port_form *forms = nnd_calloc(count + 1, sizeof *forms);
    if (!forms) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a model's ports");
    *out = forms;
    for (size_t i = 0; i < count; i++) {
        const nnd_model_port *own =
            is_input ? nnd_model_input(m->model, i) : nnd_model_output(m->model, i);
        NND_TRY(nnd_port_form_init(&forms[i], nnd_port_names_find(&m->names, own->name), own));
    }
    return NND_OK;
}

static nnd_status get_forms(shared_model *m)
{
    NND_TRY(make_forms(m, true, nnd_model_input_count(m->model), &m->inputs));
    return make_forms(m, false, nnd_model_output_count(m->model), &m->outputs);
}

/* On failure the caller frees what has been set. */
static nnd_status get_model(const nnd_prepare *prepare, shared_model *m)
{
    const nnd_params *p = nnd_prepare_params(prepare);
    const nnd_model_wish wish = {.size = sizeof wish,
                                 .name = nnd_params_text(p, "model"),
                                 .backend = nnd_params_text(p, "backend"),
                                 .precision = nnd_params_text(p, "precision")};
    char *path = NULL;
    void *object = NULL;
    bool as_wished = false;
    NND_TRY(nnd_prepare_find_variant(prepare, &wish, &path, &as_wished));
    /* An int8 file is int8 as it is; f32 still forbids a backend to compute with less. */
    bool is_done = as_wished && strcmp(wish.precision, "f32") != 0;
    load_request request = {prepare, path, is_done ? "" : wish.precision, NULL};
    nnd_status status = real_path(path, &m->path);
    if (status == NND_OK) status = key_of(p, request.precision, m->path, &m->key);
    if (status == NND_OK)
        status = nnd_shared_get(m->key, make_model, &request, destroy_model, &object);
    nnd_free(path);
    m->model = object;
    if (status == NND_OK) status = nnd_port_names_init(&m->names, wish.name, m->path);
    return status == NND_OK ? get_forms(m) : status;
}

static void close_model(void *model)
{
    shared_model *m = model;
    if (m->model) nnd_shared_release(m->key, m->model);
    nnd_port_names_fini(&m->names);
    nnd_free(m->inputs);
    nnd_free(m->outputs);
    nnd_free(m->key);
    nnd_free(m->path);
    nnd_free(m);
}

static nnd_status open_model(const nnd_prepare *prepare, shared_model **out)
{
    shared_model *m = nnd_calloc(1, sizeof *m);
    if (!m) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a model");
    nnd_status status = get_model(prepare, m);
    if (status != NND_OK) {
        close_model(m);
        return status;
    }
    *out = m;
    return NND_OK;
}

/* ---- ports -------------------------------------------------------------------------------- */

static const char *port_type(const nnd_model_port *port)
{
    if (port->kind == NND_PORT_SEQUENCE)
        return port->element == NND_PORT_MAP ? "list<record>" : "list<tensor>";
    return port->kind == NND_PORT_MAP ? "record" : "tensor";
}

static nnd_status list_ports(const shared_model *m, nnd_port_list *list)
{
    char text[160];
    for (size_t i = 0; i < nnd_model_input_count(m->model); i++) {
        const nnd_model_port *port = &m->inputs[i].seen;
        nnd_model_port_describe(port, text, sizeof text);
        NND_TRY(nnd_port_list_add_input(list, port->name, port_type(port), text,
                                        port->optional ? NND_PORT_OPTIONAL : 0));
    }
    for (size_t i = 0; i < nnd_model_output_count(m->model); i++) {
        const nnd_model_port *port = &m->outputs[i].seen;
        nnd_model_port_describe(port, text, sizeof text);
        NND_TRY(nnd_port_list_add_output(list, port->name, port_type(port), text, 0));
    }
    return NND_OK;
}

/* The model stays until compiling ends, so that prepare, which comes later, finds it loaded. */
static nnd_status model_resolve_ports(const nnd_params *params, nnd_prepare *prepare,
                                      nnd_port_list *list)
{
    if (!prepare) return NND_OK; /* the ports that the file has saved count */
    shared_model *m = NULL;
    (void)params;
    NND_TRY(open_model(prepare, &m));
    nnd_status status = list_ports(m, list);
    nnd_status kept = nnd_prepare_keep(prepare, m, close_model);
    return status == NND_OK ? kept : status;
}

/* ---- what is known at compile time --------------------------------------------------------- */

static nnd_status check_known(const nnd_model_port *port, const nnd_spec *spec)
{
    if (spec->dtype != NND_DTYPE_INVALID && spec->dtype != port->dtype)
        return nnd_error_set(NND_E_TYPE, "the model's input '%s' wants %s, and gets %s", port->name,
                             nnd_dtype_name(port->dtype), nnd_dtype_name(spec->dtype));
    if (spec->rank >= 0 && port->rank >= 0 && spec->rank != port->rank)
        return nnd_error_set(NND_E_SHAPE, "the model's input '%s' has %d dimensions, and gets %d",
                             port->name, port->rank, spec->rank);
    for (int d = 0; d < spec->rank && d < port->rank; d++) {
        int64_t wanted = port->dims[d].value, got = spec->dims[d];
        if (wanted >= 0 && got >= 0 && wanted != got)
            return nnd_error_set(NND_E_SHAPE,
                                 "dimension %d of the model's input '%s' is %lld, and gets %lld", d,
                                 port->name, (long long)wanted, (long long)got);
    }
    return NND_OK;
}

static nnd_status model_negotiate(nnd_negotiation *n)
{
    const shared_model *m = nnd_negotiation_prepared(n);
    if (!m) return NND_OK;
    for (size_t i = 0; i < nnd_model_input_count(m->model); i++) {
        nnd_spec wanted;
        NND_TRY(check_known(&m->inputs[i].seen, nnd_negotiation_input(n, i)));
        nnd_spec_init(&wanted);
        wanted.memory_kinds |= 1u << NND_MEM_SHARED | 1u << NND_MEM_PINNED;
        NND_TRY(nnd_negotiation_accept(n, i, &wanted));
    }
    for (size_t i = 0; i < nnd_model_output_count(m->model); i++) {
        const nnd_model_port *port = &m->outputs[i].seen;
        nnd_spec made;
        nnd_spec_init(&made);
        if (port->kind == NND_PORT_TENSOR) {
            made.dtype = port->dtype;
            made.rank = port->rank;
            for (int d = 0; d < port->rank; d++)
                made.dims[d] = port->dims[d].value;
        }
        NND_TRY(nnd_negotiation_produce(n, i, &made));
    }
    return NND_OK;
}

/* ---- life and work ------------------------------------------------------------------------- */

static nnd_status model_prepare(nnd_prepare *prepare, void **prepared)
{
    shared_model *m = NULL;
    NND_TRY(open_model(prepare, &m));
    *prepared = m;
    return NND_OK;
}

static nnd_status model_open(nnd_ctx *ctx, void **state)
{
    const shared_model *m = nnd_ctx_prepared(ctx);
    nnd_request_options options = NND_REQUEST_OPTIONS_INIT;
    nnd_request *request = NULL;
    options.threads = nnd_ctx_threads(ctx);
    NND_TRY(nnd_request_create(m->model, &options, &request));
    *state = request;
    return NND_OK;
}

static void model_close(nnd_ctx *ctx, void *state)
{
    (void)ctx;
    nnd_request_destroy(state);
}

static nnd_status bind_input(const nnd_port_form *form, nnd_request *request, nnd_value *value)
{
    nnd_value *own = NULL;
    if (value) NND_TRY(nnd_port_form_to_file(form, value, &own));
    nnd_status status = nnd_request_bind_input(request, form->own->name, own);
    nnd_value_unref(own);
    return status;
}

static nnd_status bind_packet(nnd_ctx *ctx, const shared_model *m, nnd_request *request)
{
    for (size_t i = 0; i < nnd_model_input_count(m->model); i++)
        NND_TRY(bind_input(&m->inputs[i], request, nnd_ctx_input(ctx, i)));
    return NND_OK;
}

/* The request keeps nothing of the packet: its memory is free for the next one. */
static void unbind_packet(const nnd_model *model, nnd_request *request)
{
    for (size_t i = 0; i < nnd_model_input_count(model); i++)
        (void)nnd_request_bind_input(request, nnd_model_input(model, i)->name, NULL);
}

static nnd_status make_corners(nnd_ctx *ctx, const nnd_catalog_port *port, const nnd_value *offsets,
                               nnd_value **out)
{
    const nnd_tensor *picture = nnd_value_tensor(nnd_ctx_input(ctx, 0));
    if (!picture || picture->rank != 4)
        return nnd_error_set(NND_E_SHAPE, "the priors of '%s' need a picture of 4 dimensions",
                             port->port);
    return nnd_priors_apply(port->priors, picture->dims[3], picture->dims[2],
                            nnd_value_tensor(offsets), out);
}

/* An output as workflows know it; takes the value, NULL on failure. */
static nnd_status finish_output(nnd_ctx *ctx, const shared_model *m, size_t index,
                                nnd_value **value)
{
    const nnd_port_form *form = &m->outputs[index];
    const nnd_catalog_port *port = nnd_port_names_find(&m->names, form->own->name);
    nnd_value *seen = NULL, *corners = NULL;
    nnd_status status = nnd_port_form_from_file(form, *value, &seen);
    nnd_value_unref(*value);
    *value = seen;
    if (status != NND_OK || !port || !port->priors) return status;
    status = make_corners(ctx, port, seen, &corners);
    nnd_value_unref(seen);
    *value = corners;
    return status;
}

static nnd_status model_process(nnd_ctx *ctx)
{
    const shared_model *m = nnd_ctx_prepared(ctx);
    nnd_request *request = nnd_ctx_state(ctx);
    nnd_status status = bind_packet(ctx, m, request);
    if (status == NND_OK) status = nnd_request_run(request, nnd_ctx_cancel(ctx));
    unbind_packet(m->model, request);
    NND_TRY(status);
    for (size_t i = 0; i < nnd_model_output_count(m->model); i++) {
        nnd_value *value = NULL;
        if (!nnd_ctx_output_is_used(ctx, i)) continue;
        NND_TRY(nnd_request_output(request, nnd_model_output(m->model, i)->name, &value));
        NND_TRY(finish_output(ctx, m, i, &value));
        NND_TRY(nnd_ctx_emit(ctx, i, value));
    }
    return NND_OK;
}

/* ---- the models of a plan ------------------------------------------------------------------ */

/* What the edge that ends at an input carries; everything unknown when nothing is connected. */
static nnd_spec arriving(const nnd_plan *plan, const wf_plan_port *port)
{
    nnd_spec spec;
    nnd_spec_init(&spec);
    if (!port->edge_count) return spec;
    const wf_plan_edge *edge = &plan->edges.items[port->edges[0]];
    return plan->actors.items[edge->from].out[edge->from_port].spec;
}

static nnd_status tell_model(const nnd_plan *plan, const wf_plan_actor *actor,
                             nnd_status (*fn)(void *user, const nnd_plan_model *model), void *user)
{
    const shared_model *m = actor->prepared;
    size_t count = nnd_model_input_count(m->model);
    nnd_spec *specs = nnd_calloc(count + 1, sizeof *specs);
    if (!specs) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a list of models");
    for (size_t i = 0; i < count; i++) {
        specs[i] = arriving(plan, &actor->in[i]);
        nnd_port_form_spec_to_file(&m->inputs[i], &specs[i]);
    }
    nnd_plan_model model = {.node = actor->path,
                            .path = m->path,
                            .backend = nnd_params_text(actor->params, "backend"),
                            .model = m->model,
                            .inputs = specs,
                            .input_count = count};
    nnd_status status = fn(user, &model);
    nnd_free(specs);
    return status;
}

nnd_status nnd_plan_each_model(const nnd_plan *plan,
                               nnd_status (*fn)(void *user, const nnd_plan_model *model),
                               void *user)
{
    for (size_t i = 0; i < plan->actors.count; i++) {
        const wf_plan_actor *actor = &plan->actors.items[i];
        if (!actor->has_prepared || strcmp(actor->type->type, nnd_node_infer_model.type) != 0)
            continue;
        NND_TRY(tell_model(plan, actor, fn, user));
    }
    return NND_OK;
}

static const nnd_param model_params[] = {
    NND_PARAM_MODEL("model", NND_PARAM_REQUIRED | NND_PARAM_STATIC,
                    "name in the catalogue (name@int8: that variant), or a file"),
    {"backend", NND_PARAM_KIND_TEXT, NND_PARAM_STATIC, 0, "auto", 0, 0, NULL, "",
     "inference framework: auto, builtin, … ('nndeploy backends' lists them); auto = as 'nndeploy "
     "tune' found, else the first that reads the model; a model of the catalogue comes in the "
     "variant for it",
     NULL},
    {"precision", NND_PARAM_KIND_TEXT, NND_PARAM_STATIC | NND_PARAM_ADVANCED, 0, "", 0, 0, NULL, "",
     "arithmetic, and which variant of a model of the catalogue; empty = as the model is", NULL},
    {"config", NND_PARAM_KIND_TEXT, NND_PARAM_STATIC | NND_PARAM_ADVANCED, 0, "", 0, 0, NULL, "",
     "key=value pairs for the backend", NULL},
};
const nnd_node_type nnd_node_infer_model = {
    .struct_size = sizeof(nnd_node_type),
    .type = "infer.model",
    .version = 1,
    .category = "infer",
    .title = "Model",
    .text =
        "Runs a model. The ports are the model's inputs and outputs; the framework that runs it "
        "is chosen by 'backend' alone.",
    .params = NND_ARRAY(model_params),
    .flags = NND_NODE_PURE,
    .resolve_ports = model_resolve_ports,
    .negotiate = model_negotiate,
    .prepare = model_prepare,
    .release = close_model,
    .open = model_open,
    .close = model_close,
    .process = model_process,
};
