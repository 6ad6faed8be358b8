/* Models from files: the file and its external data are mapped. */
#include <string.h>

#include "base/port_status.h"
#include "base/str.h"
#include "engine/runtime/file.h"
#include "port/port.h"

typedef struct mapped {
    nnd_port_map map;
} mapped;

static void unmap(void *user, void *data)
{
    mapped *m = user;
    (void)data;
    nnd_port_map_close(&m->map);
    nnd_free(m);
}

nnd_status nnd_engine_map_file(const char *path, nnd_buffer **out)
{
    static const char nothing[1];
    mapped *m = nnd_calloc(1, sizeof(*m));
    if (!m) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to open '%s'", path);
    int result = nnd_port_map_open(path, &m->map);
    if (result != 0) {
        nnd_free(m);
        return nnd_error_from_port(result, "cannot open the file", path);
    }
    union {
        const void *in;
        void *out;
    } cast = {m->map.data ? (const void *)m->map.data : nothing};
    nnd_status status = nnd_buffer_wrap(cast.out, m->map.size, unmap, m, out);
    if (status != NND_OK) unmap(m, NULL);
    return status;
}

/* Opens external data beside the model, unless a link leads out of its folder. */
nnd_status nnd_engine_open_beside(void *user, const char *relative, nnd_buffer **out)
{
    const char *folder = user;
    char *path = nnd_strf("%s/%s", folder, relative);
    char *real = NULL, *real_folder = NULL;
    nnd_status status = path ? NND_OK : nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a path");
    if (status == NND_OK) {
        int result = nnd_port_path_real(path, &real);
        if (result == 0) result = nnd_port_path_real(folder, &real_folder);
        if (result != 0) status = nnd_error_from_port(result, "cannot open the file", path);
    }
    if (status == NND_OK) {
        size_t n = strlen(real_folder);
        bool root = n && real_folder[n - 1] == '/';
        if (strncmp(real, real_folder, n) != 0 || (!root && real[n] != '/'))
            status = nnd_error_set(NND_E_PERMISSION,
                                   "'%s' is a link that leads out of the model's folder", relative);
    }
    if (status == NND_OK) status = nnd_engine_map_file(real, out);
    nnd_port_free(real);
    nnd_port_free(real_folder);
    nnd_free(path);
    return status;
}

nnd_status nnd_engine_folder(const char *path, char **out)
{
    const char *slash = strrchr(path, '/');
    *out = slash ? nnd_strdup_n(path, slash == path ? 1 : (size_t)(slash - path)) : nnd_strdup(".");
    return *out ? NND_OK : nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a path");
}

nnd_status nnd_engine_model_load_file(const char *path, const nnd_engine_options *options,
                                      nnd_engine_model **out)
{
    nnd_engine_options o = NND_ENGINE_OPTIONS_INIT;
    if (options) memcpy(&o, options, options->size < sizeof(o) ? options->size : sizeof(o));
    *out = NULL;
    nnd_buffer *buffer;
    NND_TRY(nnd_engine_map_file(path, &buffer));
    char *folder = NULL;
    nnd_status status = nnd_engine_folder(path, &folder);
    if (!o.open) {
        o.open = nnd_engine_open_beside;
        o.open_user = folder;
    }
    if (!o.name) o.name = path;
    if (status == NND_OK) status = nnd_engine_model_load(buffer, &o, out);
    nnd_free(folder);
    nnd_buffer_unref(buffer);
    return status;
}
