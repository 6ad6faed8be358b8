/* Hooks of the program, handed on to the built-in engine. */
#include "engine/hooks.h"
#include "infer/infer.h"

static nnd_infer_hooks registered = {.size = sizeof(nnd_infer_hooks)};

nnd_status nnd_infer_set_hooks(const nnd_infer_hooks *hooks)
{
    static const nnd_infer_hooks none = {.size = sizeof(nnd_infer_hooks)};
    if (!hooks) hooks = &none;
    if (hooks->size != sizeof *hooks)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "nnd_infer_hooks has the wrong size");
    registered = *hooks;
    nnd_engine_set_hooks(&(nnd_engine_hooks){hooks->user, hooks->decode_image, hooks->match_regex,
                                             hooks->find_regex});
    return NND_OK;
}

const nnd_infer_hooks *nnd_infer_get_hooks(void)
{
    return &registered;
}
