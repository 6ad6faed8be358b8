/* Fifth pass: devices, then the prepare callbacks; and what those callbacks may ask. */
#include <string.h>

#include "base/str.h"
#include "workflow/compile/compile.h"

/* ---- what nodes ask ---------------------------------------------------------------------- */

const nnd_params *nnd_prepare_params(const nnd_prepare *p)
{
    return p->params;
}

nnd_io *nnd_prepare_io(const nnd_prepare *p)
{
    return p->plan->io;
}

nnd_device *nnd_prepare_device(const nnd_prepare *p)
{
    return p->actor->device;
}

nnd_cancel *nnd_prepare_cancel(const nnd_prepare *p)
{
    return p->cancel;
}

size_t nnd_prepare_input_count(const nnd_prepare *p)
{
    return p->actor->in_count;
}

const char *nnd_prepare_input_name(const nnd_prepare *p, size_t port)
{
    return port < p->actor->in_count ? p->actor->in[port].name : "";
}

size_t nnd_prepare_output_count(const nnd_prepare *p)
{
    return p->actor->out_count;
}

const char *nnd_prepare_output_name(const nnd_prepare *p, size_t port)
{
    return port < p->actor->out_count ? p->actor->out[port].name : "";
}

/* What the document, or a file that one of its sub-graphs refers to, says about a model. */
static const char *find_pin(const wf_graph *graph, const char *model)
{
    const char *json = wf_fields_get(&graph->models, model);
    for (size_t i = 0; i < graph->node_count && !json; i++)
        if (graph->nodes[i].graph) json = find_pin(graph->nodes[i].graph, model);
    return json;
}

static const char *find_pin_of(const nnd_workflow *wf, const char *model)
{
    const char *json = wf_fields_get(&wf->models, model);
    return json ? json : find_pin(&wf->root, model);
}

/* The checksum that the workflow pins for a model; copied, NULL when it pins none. A pin of
   "latin-ocr@int8" goes before one of "latin-ocr". */
static nnd_status pinned_sha256(const nnd_workflow *wf, const char *model, char **out)
{
    *out = NULL;
    if (!wf) return NND_OK;
    const char *json = find_pin_of(wf, model), *at = strchr(model, '@');
    if (!json && at) {
        char *name = nnd_strdup_n(model, (size_t)(at - model));
        if (!name) return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory");
        json = find_pin_of(wf, name);
        nnd_free(name);
    }
    if (!json) return NND_OK;
    nnd_json_doc *doc = NULL;
    NND_TRY(nnd_json_parse(json, strlen(json), NULL, &doc));
    const char *sha = nnd_json_string(nnd_json_get(nnd_json_root(doc), "sha256"), NULL);
    *out = nnd_strdup(sha);
    bool failed = sha && !*out;
    nnd_json_destroy(doc);
    return failed ? nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory") : NND_OK;
}

/* A file that the workflow names itself is checked here; one that the host finds, by the host. */
static nnd_status check_pin(const nnd_workflow *wf, const char *model, const char *path)
{
    uint8_t digest[NND_SHA256_SIZE];
    char text[NND_SHA256_TEXT];
    char *wanted = NULL;
    NND_TRY(pinned_sha256(wf, model, &wanted));
    if (!wanted) return NND_OK;
    nnd_status status = nnd_sha256_file(path, digest);
    if (status == NND_OK) {
        nnd_sha256_text(digest, text);
        if (!nnd_sha256_text_equal(text, wanted))
            status = nnd_error_set(NND_E_FORMAT,
                                   "model '%s' is not the file that the workflow pins: its sha256 "
                                   "is %s, wanted %s",
                                   model, text, wanted);
    }
    nnd_free(wanted);
    return status;
}

static nnd_status ask_host(const nnd_prepare *p, const nnd_model_wish *given, char **path,
                           bool *as_wished)
{
    const nnd_services *services = &p->plan->services;
    nnd_model_wish wish = *given;
    char *sha = NULL;
    NND_TRY(pinned_sha256(p->wf, wish.name, &sha));
    wish.sha256 = sha;
    nnd_error_clear();
    nnd_status status = services->find_variant
                            ? services->find_variant(services->user, &wish, path, as_wished)
                            : services->find_model(services->user, wish.name, sha, path);
    nnd_free(sha);
    return status;
}

nnd_status nnd_prepare_find_model(const nnd_prepare *p, const char *model, char **path)
{
    const nnd_model_wish wish = {sizeof wish, model, NULL, NULL, NULL};
    return nnd_prepare_find_variant(p, &wish, path, NULL);
}

nnd_status nnd_prepare_find_variant(const nnd_prepare *p, const nnd_model_wish *wish, char **path,
                                    bool *as_wished)
{
    bool unused = false;
    if (!wish || wish->size < sizeof *wish)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "nnd_prepare_find_variant: a wish with its size set is required");
    const char *model = wish->name;
    if (!as_wished) as_wished = &unused;
    *as_wished = false;
    if (!model || !model[0])
        return nnd_error_set(NND_E_MISSING, "no model is named; set the parameter 'model'");
    const nnd_plan *plan = p->plan;
    nnd_status status = NND_E_NOT_FOUND;
    if (plan->io) {
        status = nnd_io_resolve_read(plan->io, model, path);
        if (status == NND_OK) {
            status = check_pin(p->wf, model, *path);
            if (status != NND_OK) {
                nnd_free(*path);
                *path = NULL;
            }
            return status;
        }
        bool is_path = strpbrk(model, "/\\") != NULL;
        if (status != NND_E_NOT_FOUND && (is_path || status != NND_E_PERMISSION)) return status;
    }
    if (plan->services.find_variant || plan->services.find_model)
        return ask_host(p, wish, path, as_wished);
    return nnd_error_set(NND_E_MISSING,
                         "model '%s' was not found: it is no readable file, and the host offers no "
                         "catalogue to look it up",
                         model);
}

nnd_status nnd_prepare_keep(nnd_prepare *p, void *take_object, void (*destroy)(void *object))
{
    wf_kept kept = {take_object, destroy};
    if (nnd_vec_push(&p->compiler->kept, kept)) return NND_OK;
    destroy(take_object);
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory");
}

/* ---- the pass ---------------------------------------------------------------------------- */

static nnd_status find_device(wf_compiler *c, wf_plan_actor *a)
{
    if (!a->device_name || strcmp(a->device_name, "cpu") == 0) return NND_OK;
    nnd_status status = c->plan->io ? nnd_io_check_device(c->plan->io, a->device_name) : NND_OK;
    if (status == NND_OK) status = nnd_device_find(a->device_name, &a->device);
    if (status != NND_OK) {
        a->device = nnd_device_cpu();
        return wf_report_record(c, a, "device", status, "cannot use the device");
    }
    if (a->device != nnd_device_cpu() && (!a->type || !a->type->negotiate))
        return wf_report_actor(c, a, NND_SEVERITY_ERROR, NND_E_UNSUPPORTED, "device", NULL, "cpu",
                               "nodes of this type run on the cpu only, not on '%s'",
                               a->device_name);
    return NND_OK;
}

static nnd_status prepare_actor(wf_compiler *c, wf_plan_actor *a)
{
    if (a->dead || a->bypass || a->mute || a->kind != WF_ACTOR_NODE || !a->type ||
        !a->type->prepare)
        return NND_OK;
    nnd_prepare prepare = {c, c->plan, a, a->params, c->options->cancel, c->wf};
    nnd_error_clear();
    nnd_status status = a->type->prepare(&prepare, &a->prepared);
    if (status == NND_OK) {
        a->has_prepared = true;
        return NND_OK;
    }
    a->prepared = NULL;
    return wf_report_record(c, a, "prepare", status, "cannot be prepared");
}

nnd_status wf_compile_prepare(wf_compiler *c)
{
    for (size_t i = 0; i < c->plan->actors.count; i++)
        if (!c->plan->actors.items[i].dead) NND_TRY(find_device(c, &c->plan->actors.items[i]));
    if (c->diags && nnd_diagnostics_error_count(c->diags)) return NND_OK;
    for (size_t i = 0; i < c->plan->actors.count; i++) {
        if (nnd_cancel_check(c->options->cancel) != NND_OK)
            return nnd_error_set(nnd_cancel_check(c->options->cancel), "compiling was cancelled");
        NND_TRY(prepare_actor(c, &c->plan->actors.items[i]));
    }
    return NND_OK;
}
