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

/* Tables of plug-ins may be older, and shorter, than today's. */
const char *nnd_backend_precisions(const nnd_backend *backend)
{
    bool has = backend->struct_size >= offsetof(nnd_backend, precisions) + sizeof(char *);
    return has && backend->precisions ? backend->precisions : "";
}

/* ---- formats ----------------------------------------------------------------------------- */

static bool same_suffix(const char *a, const char *b, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        char x = a[i] >= 'A' && a[i] <= 'Z' ? (char)(a[i] - 'A' + 'a') : a[i];
        if (x != b[i]) return false;
    }
    return true;
}

/* Whether `name` ends in "." and one of the formats, which may have a dot in them ("nnd.json"). */
static bool format_listed(const char *formats, const char *name)
{
    size_t size = strlen(name);
    for (const char *p = formats; *p;) {
        size_t word = strcspn(p, " ");
        if (word && word < size && name[size - word - 1] == '.' &&
            same_suffix(name + size - word, p, word))
            return true;
        p += word;
        p += strspn(p, " ");
    }
    return false;
}

bool nnd_backend_reads(const nnd_backend *backend, const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    const char *name = slash ? slash + 1 : path;
    return format_listed(backend->formats, name && strchr(name, '.') ? name : ".onnx");
}

/* ---- plug-ins ---------------------------------------------------------------------------- */

nnd_status nnd_backend_register(const nnd_backend *backend)
{
    if (!backend || backend->struct_size < offsetof(nnd_backend, precisions) || !backend->name ||
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
