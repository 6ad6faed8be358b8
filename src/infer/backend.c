/* The list of backends: those that are inside, then those that plug-ins brought. */
#include "infer/infer.h"

#include <string.h>

enum { MAX_BACKENDS = 64 };

static nnd_port_mutex list_lock = NND_PORT_MUTEX_INIT;
static const nnd_backend *list[MAX_BACKENDS] = {&nnd_backend_builtin, &nnd_backend_onnxruntime,
                                                &nnd_backend_openvino, &nnd_backend_ncnn};
static size_t list_count = 4;

size_t nnd_backend_count(void)
{
    nnd_port_mutex_lock(&list_lock);
    size_t count = list_count;
    nnd_port_mutex_unlock(&list_lock);
    return count;
}

const nnd_backend *nnd_backend_at(size_t index)
{
    nnd_port_mutex_lock(&list_lock);
    const nnd_backend *backend = index < list_count ? list[index] : NULL;
    nnd_port_mutex_unlock(&list_lock);
    return backend;
}

const nnd_backend *nnd_backend_find(const char *name)
{
    for (size_t i = 0; name; i++) {
        const nnd_backend *backend = nnd_backend_at(i);
        if (!backend) return NULL;
        if (strcmp(backend->name, name) == 0) return backend;
    }
    return NULL;
}

nnd_status nnd_backend_register(const nnd_backend *backend)
{
    if (!backend || backend->struct_size < sizeof(nnd_backend) || !backend->name ||
        !backend->formats || !backend->probe || !backend->load || !backend->unload ||
        !backend->port_count || !backend->port || !backend->open || !backend->close ||
        !backend->run)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "backend '%s': its table is incomplete or of another version",
                             backend && backend->name ? backend->name : "?");
    nnd_port_mutex_lock(&list_lock);
    bool exists = false, fits = list_count < MAX_BACKENDS;
    for (size_t i = 0; i < list_count && !exists; i++)
        exists = strcmp(list[i]->name, backend->name) == 0;
    if (!exists && fits) list[list_count++] = backend;
    nnd_port_mutex_unlock(&list_lock);
    if (exists)
        return nnd_error_set(NND_E_EXISTS, "a backend named '%s' exists already", backend->name);
    if (!fits)
        return nnd_error_set(NND_E_LIMIT, "no more than %d backends can be registered",
                             MAX_BACKENDS);
    return NND_OK;
}
