/* nnd_plan_compile: the passes in order. */
#include <string.h>

#include "base/str.h"
#include "workflow/compile/compile.h"

static nnd_status copy_options(nnd_plan *plan, const nnd_compile_options *o)
{
    plan->registry = nnd_registry_ref(o->registry);
    plan->io = o->io ? nnd_io_ref(o->io) : NULL;
    if (o->services) {
        size_t size =
            o->services->size < sizeof(plan->services) ? o->services->size : sizeof(plan->services);
        memcpy(&plan->services, o->services, size);
        plan->has_services = true;
    }
    return NND_OK;
}

static nnd_run_mode mode_of(const nnd_workflow *wf, const nnd_compile_options *o)
{
    if (o->mode != NND_RUN_DEFAULT) return o->mode;
    if (nnd_str_equal(wf->run_mode, "task")) return NND_RUN_TASK;
    if (nnd_str_equal(wf->run_mode, "pipeline")) return NND_RUN_PIPELINE;
    return NND_RUN_SERIAL;
}

typedef nnd_status (*wf_pass)(wf_compiler *c);

/* Each group runs to its end, so that everything wrong at one level is reported together. */
static nnd_status run_passes(wf_compiler *c)
{
    static const wf_pass passes[] = {wf_check_overrides,  wf_compile_flatten, wf_compile_connect,
                                     wf_compile_types,    wf_compile_order,   wf_compile_prepare,
                                     wf_compile_negotiate};
    /* After which passes an error ends compiling: what follows needs what came before. */
    static const bool stop[] = {false, false, true, false, true, true, true};
    for (size_t i = 0; i < NND_COUNT(passes); i++) {
        NND_TRY(passes[i](c));
        if (stop[i] && nnd_diagnostics_error_count(c->diags)) return NND_E_VALIDATION;
    }
    return NND_OK;
}

/* The error record of a failed compile: the first error, and how many there are. */
static nnd_status summarize(const nnd_diagnostics *diags)
{
    size_t errors = nnd_diagnostics_error_count(diags);
    for (size_t i = 0; i < nnd_diagnostics_count(diags); i++) {
        const nnd_diagnostic *d = nnd_diagnostics_at(diags, i);
        if (d->severity != NND_SEVERITY_ERROR) continue;
        nnd_error_set(NND_E_VALIDATION, errors > 1 ? "%s (and %zu more)" : "%s", d->message,
                      errors - 1);
        nnd_error_set_node(d->node, d->port[0] ? d->port : NULL);
        nnd_error_set_place(d->file[0] ? d->file : NULL, d->line, d->column);
        return NND_E_VALIDATION;
    }
    return nnd_error_set(NND_E_VALIDATION, "the workflow has errors");
}

static nnd_status compile_into(nnd_plan *plan, const nnd_workflow *wf, const nnd_compile_options *o,
                               nnd_diagnostics *diags)
{
    NND_TRY(copy_options(plan, o));
    plan->name = nnd_arena_strdup(&plan->arena, wf->name ? wf->name : "");
    plan->file = wf->file ? nnd_arena_strdup(&plan->arena, wf->file) : NULL;
    if (!plan->name || (wf->file && !plan->file))
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory");
    plan->mode = mode_of(wf, o);
    nnd_status status = wf_validate(wf, o->registry, o->set_count > 0, diags);
    if (status != NND_OK) return status;
    wf_compiler c = {.plan = plan, .wf = wf, .options = o, .diags = diags};
    status = run_passes(&c);
    for (size_t i = 0; i < c.kept.count; i++)
        c.kept.items[i].destroy(c.kept.items[i].object);
    nnd_vec_free(&c.kept);
    nnd_vec_free(&c.scopes);
    nnd_arena_fini(&c.arena);
    if (status == NND_OK) wf_plan_compute_hash(plan);
    return status;
}

nnd_status nnd_plan_compile(const nnd_workflow *wf, const nnd_compile_options *options,
                            nnd_diagnostics *diags, nnd_plan **out)
{
    nnd_compile_options o = NND_COMPILE_OPTIONS_INIT;
    if (!wf || !options || !out || !options->registry || options->size < sizeof(size_t))
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "a workflow and options with a registry are needed");
    memcpy(&o, options, options->size < sizeof(o) ? options->size : sizeof(o));
    nnd_diagnostics *own = NULL;
    if (!diags) NND_TRY(nnd_diagnostics_create(&own));
    nnd_plan *plan = nnd_calloc(1, sizeof(*plan));
    if (!plan) {
        nnd_diagnostics_destroy(own);
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory for the plan");
    }
    atomic_init(&plan->refs, 1);
    nnd_diagnostics *used = diags ? diags : own;
    size_t before = nnd_diagnostics_error_count(used);
    nnd_status status = before ? NND_E_VALIDATION : compile_into(plan, wf, &o, used);
    if (status == NND_E_VALIDATION) status = summarize(used);
    nnd_diagnostics_destroy(own);
    if (status != NND_OK) {
        nnd_plan_unref(plan);
        return status;
    }
    *out = plan;
    return NND_OK;
}
