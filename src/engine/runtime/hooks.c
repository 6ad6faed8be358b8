#include "engine/hooks.h"

static nnd_engine_hooks registered;

void nnd_engine_set_hooks(const nnd_engine_hooks *hooks)
{
    registered = hooks ? *hooks : (nnd_engine_hooks){0};
}

const nnd_engine_hooks *nnd_engine_get_hooks(void)
{
    return &registered;
}
