#include "engine/ops/choice.h"

#include <string.h>

#include "base/str.h"
#include "engine/ops/brought.h"

const char nnd_choice_engine[] = "engine";

enum { LISTED = 4 }; /* choices that a warning names; the rest is counted */

/* The operators that have a choice, with all of their kernels. */
static const struct {
    const char *op;
    const char *kernels[4];
} known[] = {{"Conv", {"direct", "depthwise", "winograd"}}};

static bool is_everywhere(const nnd_engine_kernel *k)
{
    return strcmp(k->shape, "*") == 0;
}

static bool is_for(const nnd_engine_kernel *k, const char *op)
{
    return strcmp(k->op, "*") == 0 || strcmp(k->op, op) == 0;
}

nnd_status nnd_engine_kernel_check(const nnd_engine_kernel *k)
{
    nnd_str names = {0};
    if (strcmp(k->kernel, nnd_choice_engine) == 0 || nnd_brought_named(k->op, k->kernel))
        return NND_OK;
    for (size_t i = 0; i < NND_COUNT(known); i++) {
        if (!is_for(k, known[i].op)) continue;
        for (size_t n = 0; n < NND_COUNT(known[i].kernels) && known[i].kernels[n]; n++) {
            if (strcmp(known[i].kernels[n], k->kernel) == 0) {
                nnd_str_free(&names);
                return NND_OK;
            }
            nnd_str_printf(&names, "%s%s", n ? ", " : "", known[i].kernels[n]);
        }
    }
    bool any = strcmp(k->op, "*") == 0;
    nnd_status status =
        any          ? nnd_error_set(NND_E_INVALID_ARGUMENT,
                                     "there is no kernel '%s' to choose; there are: %s", k->kernel,
                            names.data ? names.data : "none")
        : names.size ? nnd_error_set(NND_E_INVALID_ARGUMENT,
                                     "operator '%s' has no kernel '%s' to choose; it has: %s",
                                     k->op, k->kernel, names.data)
                     : nnd_error_set(NND_E_INVALID_ARGUMENT,
                                     "operator '%s' has no kernels to choose from", k->op);
    nnd_str_free(&names);
    return status;
}

static bool can(const nnd_op_choice *choice, const char *kernel)
{
    for (size_t i = 0; i < choice->count; i++)
        if (strcmp(choice->kernels[i], kernel) == 0) return true;
    return false;
}

static nnd_choices *choices_of(const nnd_graph *graph)
{
    while (graph->parent)
        graph = graph->parent;
    return graph->choices;
}

const char *nnd_choices_measured(const nnd_graph *graph, const char *op,
                                 const nnd_op_choice *choice)
{
    nnd_choices *choices = choices_of(graph);
    for (size_t i = 0; choices && i < choices->count; i++) {
        const nnd_engine_kernel *k = &choices->items[i];
        if (!is_for(k, op) || strcmp(k->shape, choice->shape) != 0) continue;
        bool able = can(choice, k->kernel);
        choices->fates[i] = able ? NND_CHOICE_TAKEN : NND_CHOICE_CANNOT;
        if (able) return k->kernel;
    }
    return NULL;
}

const char *nnd_choices_find(const nnd_graph *graph, const char *op, const nnd_op_choice *choice)
{
    const nnd_choices *choices = choices_of(graph);
    const char *found = nnd_choices_measured(graph, op, choice);
    for (size_t i = 0; choices && !found && i < choices->count; i++) {
        const nnd_engine_kernel *k = &choices->items[i];
        if (is_for(k, op) && is_everywhere(k) && can(choice, k->kernel)) found = k->kernel;
    }
    return found;
}

void nnd_choices_report(const nnd_choices *choices, const char *model)
{
    nnd_str text = {0};
    size_t count = 0;
    for (size_t i = 0; i < choices->count; i++) {
        const nnd_engine_kernel *k = &choices->items[i];
        if (choices->fates[i] == NND_CHOICE_TAKEN || is_everywhere(k)) continue;
        if (count++ >= LISTED) continue;
        nnd_str_printf(&text, "; '%s' for %s %s: %s", k->kernel, k->op, k->shape,
                       choices->fates[i] == NND_CHOICE_CANNOT ? "it cannot do this shape"
                                                              : "no node has this shape");
    }
    if (count > LISTED) nnd_str_printf(&text, "; and %zu more", count - LISTED);
    if (count)
        nnd_log(NND_LOG_WARN, "engine",
                "model '%s': %zu measured kernel%s not used, the engine chooses itself%s", model,
                count, count == 1 ? " is" : "s are", text.data ? text.data : "");
    nnd_str_free(&text);
}
