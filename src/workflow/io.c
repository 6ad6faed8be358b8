/*
 * nnd_io: the only door from a workflow to the file system, hosts and devices.
 *
 * A path is joined to the base folder, must not contain "..", and is resolved (links and all)
 * before it is compared with the roots, which were resolved when the policy was made. Outside of
 * the roots the answer is always "not permitted", whether or not something exists there.
 */
#include <ctype.h>
#include <stdatomic.h>
#include <string.h>

#include "base/port_status.h"
#include "base/str.h"
#include "nndeploy/workflow.h"
#include "port/port.h"

#define DEFAULT_READ_LIMIT ((uint64_t)4 << 30)
#define NAME_LIMIT         200u

typedef struct string_list {
    char **items;
    size_t count;
} string_list;

struct nnd_io {
    atomic_uint refs;
    char *base;
    string_list read_roots, write_roots, hosts, devices;
    uint64_t max_read, quota;
    nnd_port_mutex lock;
    uint64_t written; /* guarded by lock */
};

/* ---- lists ------------------------------------------------------------------------------- */

static void list_free(string_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        nnd_free(l->items[i]);
    nnd_free(l->items);
}

static nnd_status list_copy(string_list *l, const char *const *items, size_t count, bool roots)
{
    l->items = nnd_calloc(count + 1, sizeof(char *));
    if (!l->items) return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory");
    for (size_t i = 0; i < count; i++) {
        char *item = NULL;
        if (!items || !items[i])
            return nnd_error_set(NND_E_INVALID_ARGUMENT, "an entry of the io policy is NULL");
        if (roots) {
            int error = nnd_port_path_real(items[i], &item);
            if (error) return nnd_error_from_port(error, "cannot use the io root", items[i]);
        } else {
            item = nnd_strdup(items[i]);
            if (!item) return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory");
        }
        l->items[l->count++] = item;
    }
    return NND_OK;
}

/* ---- life -------------------------------------------------------------------------------- */

static nnd_status init_io(nnd_io *io, const nnd_io_policy *p)
{
    int error = p->base_dir ? nnd_port_path_real(p->base_dir, &io->base)
                            : nnd_port_path_current_dir(&io->base);
    if (error) return nnd_error_from_port(error, "cannot use the folder", p->base_dir);
    io->max_read = p->max_read_bytes ? p->max_read_bytes : DEFAULT_READ_LIMIT;
    io->quota = p->write_quota;
    NND_TRY(list_copy(&io->read_roots, p->read_roots, p->read_root_count, true));
    NND_TRY(list_copy(&io->write_roots, p->write_roots, p->write_root_count, true));
    NND_TRY(list_copy(&io->hosts, p->hosts, p->host_count, false));
    return list_copy(&io->devices, p->devices, p->device_count, false);
}

nnd_status nnd_io_create(const nnd_io_policy *policy, nnd_io **out)
{
    nnd_io_policy p = NND_IO_POLICY_INIT;
    if (!policy || !out || policy->size < sizeof(size_t))
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "nnd_io needs a policy with its size set");
    memcpy(&p, policy, policy->size < sizeof(p) ? policy->size : sizeof(p));
    nnd_io *io = nnd_calloc(1, sizeof(*io));
    if (!io) return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory");
    atomic_init(&io->refs, 1);
    if (nnd_port_mutex_init(&io->lock) != 0) {
        nnd_free(io);
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no mutex");
    }
    nnd_status status = init_io(io, &p);
    if (status != NND_OK) {
        nnd_io_unref(io);
        return status;
    }
    *out = io;
    return NND_OK;
}

nnd_io *nnd_io_ref(nnd_io *io)
{
    if (io) atomic_fetch_add_explicit(&io->refs, 1, memory_order_relaxed);
    return io;
}

void nnd_io_unref(nnd_io *io)
{
    if (!io || atomic_fetch_sub_explicit(&io->refs, 1, memory_order_acq_rel) != 1) return;
    list_free(&io->read_roots);
    list_free(&io->write_roots);
    list_free(&io->hosts);
    list_free(&io->devices);
    nnd_port_mutex_fini(&io->lock);
    nnd_free(io->base);
    nnd_free(io);
}

/* ---- paths ------------------------------------------------------------------------------- */

static bool is_separator(char c)
{
#if defined(_WIN32)
    return c == '/' || c == '\\';
#else
    return c == '/';
#endif
}

static bool has_dot_dot(const char *path)
{
    for (const char *p = path; *p;) {
        const char *end = p;
        while (*end && !is_separator(*end))
            end++;
        if (end - p == 2 && p[0] == '.' && p[1] == '.') return true;
        p = *end ? end + 1 : end;
    }
    return false;
}

/* Windows tells files apart without regard to case, others do not. */
static bool same_path_char(char a, char b)
{
#if defined(_WIN32)
    return tolower((unsigned char)a) == tolower((unsigned char)b);
#else
    return a == b;
#endif
}

static bool is_below(const char *real, const char *root)
{
    size_t n = strlen(root);
    while (n > 1 && is_separator(root[n - 1]))
        n--;
    for (size_t i = 0; i < n; i++)
        if (!real[i] || !same_path_char(real[i], root[i])) return false;
    return real[n] == '\0' || is_separator(real[n]) || is_separator(root[n - 1]);
}

static bool allowed(const string_list *roots, const char *real)
{
    for (size_t i = 0; i < roots->count; i++)
        if (is_below(real, roots->items[i])) return true;
    return false;
}

static nnd_status refuse(const string_list *roots, const char *path, const char *verb)
{
    nnd_str text = {0};
    for (size_t i = 0; i < roots->count; i++)
        nnd_str_printf(&text, "%s'%s'", i ? ", " : "", roots->items[i]);
    nnd_status status =
        nnd_error_set(NND_E_PERMISSION, "'%s' may not be %s: it lies outside of %s", path, verb,
                      text.size ? text.data : "everything that is allowed (no folder is)");
    nnd_str_free(&text);
    return status;
}

/* base + path, without looking at the disk. */
static nnd_status join(const nnd_io *io, const char *path, char **out)
{
    if (!io || !path || !path[0])
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "no path is given, or files are not allowed");
    if (has_dot_dot(path))
        return nnd_error_set(NND_E_PERMISSION, "'%s': a path must not contain \"..\"", path);
    *out = nnd_port_path_is_absolute(path) ? nnd_strdup(path) : nnd_strf("%s/%s", io->base, path);
    return *out ? NND_OK : nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory");
}

/* Cuts the last component off; false when there is none left to cut. */
static bool cut_last(char *path)
{
    size_t n = strlen(path);
    while (n > 1 && is_separator(path[n - 1]))
        n--;
    while (n > 0 && !is_separator(path[n - 1]))
        n--;
    while (n > 1 && is_separator(path[n - 1]))
        n--;
    if (n == 0 || (n == 1 && path[1] == '\0')) return false;
    path[n] = '\0';
    return true;
}

/* The real path of the deepest folder of `path` that exists. */
static nnd_status existing_parent(const char *path, char **real)
{
    char *copy = nnd_strdup(path);
    if (!copy) return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory");
    int error = NND_PORT_E_NOT_FOUND;
    while (error && cut_last(copy))
        error = nnd_port_path_real(copy, real);
    nnd_free(copy);
    return error ? nnd_error_from_port(error, "cannot resolve", path) : NND_OK;
}

static nnd_status resolve_existing(const string_list *roots, const char *joined, const char *path,
                                   const char *verb, char **real)
{
    int error = nnd_port_path_real(joined, real);
    if (error == 0) {
        if (allowed(roots, *real)) return NND_OK;
        nnd_port_free(*real);
        *real = NULL;
        refuse(roots, path, verb);
        return NND_E_PERMISSION;
    }
    /* What is not there may only be called missing where looking is allowed. */
    char *parent = NULL;
    nnd_status status = existing_parent(joined, &parent);
    if (status == NND_E_OUT_OF_MEMORY) return status;
    bool visible = status == NND_OK && allowed(roots, parent);
    nnd_free(parent);
    if (visible) return nnd_error_from_port(error, "cannot find", path);
    return refuse(roots, path, verb);
}

nnd_status nnd_io_resolve_read(nnd_io *io, const char *path, char **real)
{
    char *joined = NULL;
    NND_TRY(join(io, path, &joined));
    nnd_status status = resolve_existing(&io->read_roots, joined, path, "read", real);
    nnd_free(joined);
    return status;
}

/* Whether the folder has an entry of that name (a link that leads nowhere is one). */
static nnd_status has_entry(const char *folder, const char *name, bool *found)
{
    nnd_port_dir_list list = {NULL, 0};
    int error = nnd_port_dir_read(folder, &list);
    if (error) return nnd_error_from_port(error, "cannot look into the folder", folder);
    *found = false;
    for (size_t i = 0; i < list.count; i++)
        *found |= strcmp(list.names[i], name) == 0;
    nnd_port_dir_list_free(&list);
    return NND_OK;
}

/* A new file: its folder has to exist below a root. */
static nnd_status resolve_new(nnd_io *io, char *joined, const char *path, char **real)
{
    size_t n = strlen(joined);
    while (n > 0 && is_separator(joined[n - 1]))
        joined[--n] = '\0';
    size_t start = n;
    while (start > 0 && !is_separator(joined[start - 1]))
        start--;
    char *name = nnd_strdup(joined + start), *folder = NULL;
    if (!name) return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory");
    nnd_status status = NND_OK;
    if (!name[0] || strcmp(name, ".") == 0)
        status = nnd_error_set(NND_E_INVALID_ARGUMENT, "'%s' names no file", path);
    joined[start > 1 ? start - 1 : start] = '\0';
    if (status == NND_OK)
        status = resolve_existing(&io->write_roots, joined, path, "written", &folder);
    bool dangling = false;
    if (status == NND_OK) status = has_entry(folder, name, &dangling);
    if (status == NND_OK && dangling)
        status = nnd_error_set(NND_E_PERMISSION,
                               "'%s' may not be written: it is a link that leads nowhere", path);
    if (status == NND_OK) {
        bool slash = folder[0] && is_separator(folder[strlen(folder) - 1]);
        *real = nnd_strf("%s%s%s", folder, slash ? "" : "/", name);
        if (!*real) status = nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory");
    }
    nnd_free(folder);
    nnd_free(name);
    return status;
}

nnd_status nnd_io_resolve_write(nnd_io *io, const char *path, char **real)
{
    char *joined = NULL, *found = NULL;
    NND_TRY(join(io, path, &joined));
    nnd_status status;
    if (nnd_port_path_real(joined, &found) == 0) {
        status =
            allowed(&io->write_roots, found) ? NND_OK : refuse(&io->write_roots, path, "written");
        if (status == NND_OK)
            *real = found;
        else
            nnd_free(found);
    } else {
        status = resolve_new(io, joined, path, real);
    }
    nnd_free(joined);
    return status;
}

/* ---- files ------------------------------------------------------------------------------- */

nnd_status nnd_io_read_file(nnd_io *io, const char *path, void **bytes, size_t *size)
{
    char *real = NULL, *data = NULL;
    NND_TRY(nnd_io_resolve_read(io, path, &real));
    nnd_port_file_info info;
    nnd_status status = NND_OK;
    int error = nnd_port_file_stat(real, &info);
    if (error)
        status = nnd_error_from_port(error, "cannot read", path);
    else if (!info.is_file)
        status = nnd_error_set(NND_E_PERMISSION, "'%s' is not a regular file", path);
    else if (info.size > io->max_read)
        status = nnd_error_set(NND_E_LIMIT, "'%s' has %llu bytes; at most %llu may be read", path,
                               (unsigned long long)info.size, (unsigned long long)io->max_read);
    if (status == NND_OK) {
        size_t limit = io->max_read < SIZE_MAX ? (size_t)io->max_read : SIZE_MAX - 1;
        error = nnd_port_file_read(real, limit, &data, size);
        if (error) status = nnd_error_from_port(error, "cannot read", path);
    }
    nnd_free(real);
    if (status == NND_OK) *bytes = data;
    return status;
}

static nnd_status take_quota(nnd_io *io, const char *path, uint64_t size)
{
    nnd_status status = NND_OK;
    nnd_port_mutex_lock(&io->lock);
    if (io->quota && size > io->quota - io->written)
        status = nnd_error_set(NND_E_LIMIT,
                               "writing %llu bytes to '%s' would exceed the quota of %llu bytes",
                               (unsigned long long)size, path, (unsigned long long)io->quota);
    else
        io->written += size;
    nnd_port_mutex_unlock(&io->lock);
    return status;
}

static void give_quota_back(nnd_io *io, uint64_t size)
{
    nnd_port_mutex_lock(&io->lock);
    io->written -= size;
    nnd_port_mutex_unlock(&io->lock);
}

nnd_status nnd_io_write_file(nnd_io *io, const char *path, const void *bytes, size_t size)
{
    char *real = NULL;
    NND_TRY(nnd_io_resolve_write(io, path, &real));
    nnd_port_file_info info;
    nnd_status status = NND_OK;
    if (nnd_port_file_stat(real, &info) == 0 && !info.is_file)
        status = nnd_error_set(NND_E_PERMISSION, "'%s' is not a regular file", path);
    if (status == NND_OK) status = take_quota(io, path, size);
    if (status == NND_OK) {
        int error = nnd_port_file_write_atomic(real, bytes, size);
        if (error) {
            give_quota_back(io, size);
            status = nnd_error_from_port(error, "cannot write", path);
        }
    }
    nnd_free(real);
    return status;
}

nnd_status nnd_io_list(nnd_io *io, const char *path, char ***names, size_t *count)
{
    char *real = NULL;
    NND_TRY(nnd_io_resolve_read(io, path, &real));
    nnd_port_dir_list list = {NULL, 0};
    int error = nnd_port_dir_read(real, &list);
    nnd_free(real);
    if (error) return nnd_error_from_port(error, "cannot list the folder", path);
    *names = list.names; /* the list's memory is nnd_alloc's */
    *count = list.count;
    return NND_OK;
}

nnd_status nnd_io_make_dir(nnd_io *io, const char *path)
{
    char *joined = NULL, *real = NULL;
    NND_TRY(join(io, path, &joined));
    nnd_status status = NND_OK;
    if (nnd_port_path_real(joined, &real) != 0) {
        status = existing_parent(joined, &real);
        if (status == NND_OK && !allowed(&io->write_roots, real))
            status = refuse(&io->write_roots, path, "made");
        int error = status == NND_OK ? nnd_port_dir_create(joined) : 0;
        if (error) status = nnd_error_from_port(error, "cannot make the folder", path);
    } else if (!allowed(&io->write_roots, real)) {
        status = refuse(&io->write_roots, path, "made");
    } else if (!nnd_port_dir_exists(real)) {
        status = nnd_error_set(NND_E_EXISTS, "'%s' exists and is no folder", path);
    }
    nnd_free(real);
    nnd_free(joined);
    return status;
}

/* ---- hosts and devices ------------------------------------------------------------------- */

static bool equal_ignoring_case(const char *a, const char *b)
{
    while (*a && tolower((unsigned char)*a) == tolower((unsigned char)*b))
        a++, b++;
    return *a == *b;
}

nnd_status nnd_io_check_host(nnd_io *io, const char *host)
{
    for (size_t i = 0; io && host && i < io->hosts.count; i++)
        if (equal_ignoring_case(io->hosts.items[i], host)) return NND_OK;
    return nnd_error_set(NND_E_PERMISSION, "talking to host '%s' is not allowed here",
                         host ? host : "");
}

nnd_status nnd_io_check_device(nnd_io *io, const char *device)
{
    if (device && strcmp(device, "cpu") == 0) return NND_OK;
    for (size_t i = 0; io && device && i < io->devices.count; i++)
        if (strcmp(io->devices.items[i], "*") == 0 || strcmp(io->devices.items[i], device) == 0)
            return NND_OK;
    return nnd_error_set(NND_E_PERMISSION, "using device '%s' is not allowed here",
                         device ? device : "");
}

/* ---- names ------------------------------------------------------------------------------- */

const char *nnd_io_safe_name(const char *text, char *name, size_t size)
{
    size_t n = 0, limit = size > NAME_LIMIT + 1 ? NAME_LIMIT : (size ? size - 1 : 0);
    for (; text && text[n] && n < limit; n++) {
        unsigned char c = (unsigned char)text[n];
        bool safe = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '.' || c == '_' || c == '-';
        name[n] = safe ? (char)c : '_';
    }
    if (size == 0) return name;
    name[n] = '\0';
    if (n == 0 && limit > 0) {
        name[0] = '_';
        name[1] = '\0';
    }
    if (strcmp(name, ".") == 0) name[0] = '_';
    if (strcmp(name, "..") == 0) name[0] = name[1] = '_';
    return name;
}
