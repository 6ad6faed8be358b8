/* The user's folders, by the customs of the system. */
#include "base/user_folder.h"

#include "base/port_status.h"
#include "base/str.h"
#include "port/port.h"

typedef struct place {
    const char *variable, *folder; /* the folder lies below the variable */
} place;

nnd_status nnd_path_below_variable(const char *variable, const char *rest, char **path)
{
    char *folder = NULL;
    if (*path) return NND_OK;
    int rc = nnd_port_env_dup(variable, &folder);
    if (rc == NND_PORT_E_NOT_FOUND) return NND_OK;
    NND_TRY(nnd_error_from_port(rc, "cannot read the variable", variable));
    bool is_set = folder[0] != '\0';
    if (is_set) *path = nnd_strf("%s/%s", folder, rest);
    nnd_port_free(folder);
    if (is_set && !*path) return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory for a path");
    return NND_OK;
}

/* The first place whose variable is set. */
static nnd_status first_of(const place *places, size_t count, const char *rest, char **out)
{
    *out = NULL;
    for (size_t i = 0; i < count; i++) {
        char *below = nnd_strf("%s%s", places[i].folder, rest);
        if (!below) return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory for a path");
        nnd_status status = nnd_path_below_variable(places[i].variable, below, out);
        nnd_free(below);
        NND_TRY(status);
    }
    return NND_OK;
}

nnd_status nnd_user_cache_path(const char *rest, char **out)
{
#if defined(_WIN32)
    static const place places[] = {{"LOCALAPPDATA", "nndeploy/"},
                                   {"USERPROFILE", "AppData/Local/nndeploy/"}};
#elif defined(__APPLE__)
    static const place places[] = {{"HOME", "Library/Caches/nndeploy/"}};
#else
    static const place places[] = {{"XDG_CACHE_HOME", "nndeploy/"}, {"HOME", ".cache/nndeploy/"}};
#endif
    return first_of(places, NND_COUNT(places), rest, out);
}

nnd_status nnd_user_settings_path(const char *rest, char **out)
{
#if defined(_WIN32)
    static const place places[] = {{"APPDATA", "nndeploy/"}};
#elif defined(__APPLE__)
    static const place places[] = {{"HOME", "Library/Application Support/nndeploy/"}};
#else
    static const place places[] = {{"XDG_CONFIG_HOME", "nndeploy/"}, {"HOME", ".config/nndeploy/"}};
#endif
    return first_of(places, NND_COUNT(places), rest, out);
}
