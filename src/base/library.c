#include "base/library.h"

#include <string.h>

static nnd_status open_named(const nnd_library_wish *wish, const char *file, nnd_port_module **out)
{
    char reason[300] = "";
    if (nnd_port_module_open(file, out, reason, sizeof reason) == 0) return NND_OK;
    return nnd_error_set(NND_E_MISSING, "%s names '%s', which cannot be loaded: %s", wish->variable,
                         file, reason);
}

static nnd_status open_library(const nnd_library_wish *wish, nnd_port_module **out)
{
    char *chosen = NULL;
    if (nnd_port_env_dup(wish->variable, &chosen) == 0 && chosen[0]) {
        nnd_status status = open_named(wish, chosen, out);
        nnd_port_free(chosen);
        return status;
    }
    nnd_port_free(chosen);
    for (size_t i = 0; i < wish->name_count; i++)
        if (nnd_port_module_open(wish->names[i], out, NULL, 0) == 0) return NND_OK;
    return nnd_error_set(NND_E_MISSING,
                         "%s, and no '%s' is installed (Debian: %s); install it, or name its file "
                         "in %s",
                         wish->purpose, wish->names[0], wish->package, wish->variable);
}

nnd_status nnd_library_load(const nnd_library_wish *wish, nnd_port_module **out)
{
    nnd_port_module *module = NULL;
    NND_TRY(open_library(wish, &module));
    for (size_t i = 0; i < wish->function_count; i++) {
        void *symbol = nnd_port_module_symbol(module, wish->functions[i].name);
        if (!symbol) {
            nnd_port_module_close(module);
            return nnd_error_set(NND_E_MISSING, "%s, and the library that was found lacks '%s'",
                                 wish->purpose, wish->functions[i].name);
        }
        memcpy(wish->functions[i].slot, &symbol, sizeof symbol);
    }
    *out = module;
    return NND_OK;
}
