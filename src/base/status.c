/* Status names and texts, version, and the mapping from results of port. */
#include "nndeploy/base.h"

#include "base/port_status.h"
#include "base/str.h"
#include "port/port.h"

#include <string.h>

static const struct {
    const char *name;
    const char *text;
} statuses[] = {
    {"NND_OK", "success"},
    {"NND_E_INVALID_ARGUMENT", "invalid argument"},
    {"NND_E_OUT_OF_MEMORY", "out of memory"},
    {"NND_E_NOT_FOUND", "not found"},
    {"NND_E_EXISTS", "exists already"},
    {"NND_E_PERMISSION", "not allowed"},
    {"NND_E_IO", "input/output error"},
    {"NND_E_FORMAT", "malformed data"},
    {"NND_E_UNSUPPORTED", "not supported"},
    {"NND_E_TYPE", "wrong type"},
    {"NND_E_SHAPE", "wrong shape"},
    {"NND_E_LIMIT", "limit exceeded"},
    {"NND_E_OVERFLOW", "size overflow"},
    {"NND_E_CANCELLED", "cancelled"},
    {"NND_E_TIMEOUT", "timed out"},
    {"NND_E_CLOSED", "closed"},
    {"NND_E_FULL", "queue full"},
    {"NND_E_DROPPED", "dropped by policy"},
    {"NND_E_AGAIN", "nothing there yet"},
    {"NND_E_STATE", "not allowed in this state"},
    {"NND_E_MISSING", "missing resource"},
    {"NND_E_BACKEND", "backend failure"},
    {"NND_E_VALIDATION", "workflow is not valid"},
    {"NND_E_INTERNAL", "internal error"},
};

static bool is_known(nnd_status status)
{
    return (int)status <= 0 && (int)status > -(int)NND_COUNT(statuses);
}

const char *nnd_status_name(nnd_status status)
{
    return is_known(status) ? statuses[-(int)status].name : "NND_E_UNKNOWN";
}

const char *nnd_status_text(nnd_status status)
{
    return is_known(status) ? statuses[-(int)status].text : "unknown error";
}

const char *nnd_version(void)
{
    return NND_VERSION;
}

int nnd_abi_version(void)
{
    return NND_ABI_VERSION;
}

nnd_status nnd_status_from_port(int port_error)
{
    switch (port_error) {
    case NND_PORT_OK:
        return NND_OK;
    case NND_PORT_E_INVALID:
        return NND_E_INVALID_ARGUMENT;
    case NND_PORT_E_MEMORY:
        return NND_E_OUT_OF_MEMORY;
    case NND_PORT_E_NOT_FOUND:
        return NND_E_NOT_FOUND;
    case NND_PORT_E_EXISTS:
        return NND_E_EXISTS;
    case NND_PORT_E_UNSUPPORTED:
    case NND_PORT_E_NOT_FILE:
        return NND_E_UNSUPPORTED;
    case NND_PORT_E_LIMIT:
        return NND_E_LIMIT;
    case NND_PORT_E_TIMEOUT:
        return NND_E_TIMEOUT;
    case NND_PORT_E_CLOSED:
        return NND_E_CLOSED;
    case NND_PORT_E_AGAIN:
        return NND_E_AGAIN;
    default:
        /* Access rights of the system are not a policy of ours (NND_E_PERMISSION). */
        return NND_E_IO;
    }
}

nnd_status nnd_error_from_port(int port_error, const char *what, const char *name)
{
    nnd_status status = nnd_status_from_port(port_error);
    if (status == NND_OK) return NND_OK;
    if (name)
        return nnd_error_set(status, "%s '%s': %s", what, name, nnd_port_error_text(port_error));
    return nnd_error_set(status, "%s: %s", what, nnd_port_error_text(port_error));
}

const char *nnd_path_list_next(const char **list, size_t *size)
{
    const char *entry = *list + strspn(*list, NND_PORT_LIST_SEPARATOR);
    *size = strcspn(entry, NND_PORT_LIST_SEPARATOR);
    *list = entry + *size;
    return *size ? entry : NULL;
}

nnd_status nnd_folder_of(const char *path, const char *what, char **out)
{
    const char *slash = strrchr(path, '/');
    char *text =
        slash ? nnd_strdup_n(path, slash == path ? 1 : (size_t)(slash - path)) : nnd_strdup(".");
    if (!text) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a path");
    int rc = nnd_port_path_real(text, out);
    nnd_free(text);
    return nnd_error_from_port(rc, what, path);
}
