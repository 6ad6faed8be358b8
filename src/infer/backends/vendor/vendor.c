#include "infer/backends/vendor/vendor.h"

#include "base/str.h"

#include <stdio.h>
#include <string.h>

/* ---- finding a library -------------------------------------------------------------------- */

typedef struct finder {
    const nnd_vendor_search *search;
    nnd_port_module *module;
    char *path; /* of what was opened */
    size_t path_size;
    nnd_str tried; /* what the loader said, one after the other */
} finder;

static bool open_file(finder *f, const char *file)
{
    char words[256];
    if (nnd_port_module_open(file, &f->module, words, sizeof words) == 0) {
        snprintf(f->path, f->path_size, "%s", file);
        return true;
    }
    /* Loaders begin most of their messages with the name. */
    size_t n = strlen(file);
    const char *said = strncmp(words, file, n) == 0 && words[n] == ':' ? words + n + 1 : words;
    said += strspn(said, " ");
    nnd_str_printf(&f->tried, "%s%s: %s", f->tried.size ? "; " : "", file, said);
    return false;
}

/* libx.so itself, else the last of its versions by name: libx.so.2.10 has a link libx.so beside it
   wherever several versions are installed. */
static char *library_in(const char *folder, const char *name)
{
    nnd_port_dir_list list = {0};
    const char *found = NULL;
    size_t n = strlen(name);
    if (nnd_port_dir_read(folder, &list)) return NULL;
    for (size_t i = 0; i < list.count; i++) {
        if (strncmp(list.names[i], name, n) != 0) continue;
        if (list.names[i][n] != '\0' && list.names[i][n] != '.') continue;
        found = list.names[i];
        if (found[n] == '\0') break;
    }
    char *path = found ? nnd_strf("%s/%s", folder, found) : NULL;
    nnd_port_dir_list_free(&list);
    return path;
}

static bool open_in_folder(finder *f, const char *folder)
{
    char *path = library_in(folder, f->search->name);
    bool opened = path && open_file(f, path);
    nnd_free(path);
    return opened;
}

static bool open_below(finder *f, const char *folder)
{
    if (open_in_folder(f, folder)) return true;
    for (const char *const *below = f->search->below; *below; below++) {
        char *path = nnd_strf("%s/%s", folder, *below);
        bool opened = path && nnd_port_dir_exists(path) && open_in_folder(f, path);
        nnd_free(path);
        if (opened) return true;
    }
    if (!f->tried.size)
        nnd_str_printf(&f->tried, "there is no %s in '%s'", f->search->name, folder);
    return false;
}

static bool open_anywhere(finder *f)
{
    for (const char *const *name = f->search->loader_names; *name; name++) {
        if (open_file(f, *name)) return true;
    }
    for (const char *const *folder = f->search->known_folders; *folder; folder++) {
        if (nnd_port_dir_exists(*folder) && open_in_folder(f, *folder)) return true;
    }
    return false;
}

bool nnd_vendor_open(const nnd_vendor_search *search, nnd_port_module **out, char *path,
                     size_t path_size, char *reason, size_t reason_size)
{
    finder f = {.search = search, .path = path, .path_size = path_size};
    char *named = NULL;
    bool opened;
    (void)nnd_port_env_dup(search->variable, &named);
    bool is_named = named && named[0];
    if (is_named)
        opened = nnd_port_dir_exists(named) ? open_below(&f, named) : open_file(&f, named);
    else
        opened = open_anywhere(&f);
    if (opened)
        *out = f.module;
    else
        snprintf(reason, reason_size, "%s%s%s; %s", is_named ? search->variable : "",
                 is_named ? ": " : "", f.tried.data ? f.tried.data : "not found", search->advice);
    nnd_str_free(&f.tried);
    nnd_port_free(named);
    return opened;
}

bool nnd_vendor_symbols(nnd_port_module *module, const nnd_vendor_symbol *symbols, size_t count,
                        void *table, char *reason, size_t reason_size)
{
    enum { NAMED = 3 };
    nnd_str missing = {0};
    size_t absent = 0;
    for (size_t i = 0; i < count; i++) {
        void *symbol = nnd_port_module_symbol(module, symbols[i].name);
        /* A function pointer has the size and form of an object pointer wherever there are
           loadable modules. */
        memcpy((char *)table + symbols[i].offset, &symbol, sizeof symbol);
        if (!symbol && absent++ < NAMED)
            nnd_str_printf(&missing, "%s%s", absent > 1 ? ", " : "", symbols[i].name);
    }
    if (absent > NAMED) nnd_str_printf(&missing, " and %zu more", absent - NAMED);
    if (absent)
        snprintf(reason, reason_size, "the library lacks %s",
                 missing.data ? missing.data : "functions that are needed");
    nnd_str_free(&missing);
    return absent == 0;
}

/* ---- options ------------------------------------------------------------------------------ */

nnd_status nnd_vendor_config(const nnd_option *options, size_t count, const char *text,
                             const char *where, void *target)
{
    char *list = nnd_strdup(text ? text : ""), *end = list;
    if (!list) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for options");
    bool quoted = false;
    for (const char *p = list; *p; p++) {
        if (*p == '"') quoted = !quoted;
        bool gap = *p == ' ' && !quoted;
        if (!gap)
            *end++ = *p;
        else if (end != list && end[-1] != ',' && p[1] != '\0')
            *end++ = ',';
    }
    while (end != list && end[-1] == ',')
        end--;
    *end = '\0';
    nnd_status status = nnd_options_parse(options, count, list, where, target);
    nnd_free(list);
    return status;
}

/* ---- tensors ------------------------------------------------------------------------------ */

nnd_status nnd_vendor_host_tensor(nnd_value *value, const char *port, nnd_cancel *cancel,
                                  const nnd_tensor **out)
{
    const nnd_tensor *t = nnd_value_tensor(value);
    nnd_buffer *buffer = nnd_value_buffer(value);
    if (!t)
        return nnd_error_set(NND_E_TYPE, "input '%s': wants a tensor, got a value of type %s", port,
                             nnd_value_type_name(value));
    if (buffer) NND_TRY(nnd_buffer_wait(buffer, cancel));
    if (!t->data && nnd_tensor_count(t) > 0)
        return nnd_error_set(NND_E_UNSUPPORTED,
                             "input '%s' lies in the memory of device '%s'; bring it to the host "
                             "first (a workflow does so by itself)",
                             port, buffer ? nnd_device_name(nnd_buffer_device(buffer)) : "?");
    *out = t;
    return NND_OK;
}

nnd_status nnd_vendor_dense_tensor(nnd_value *value, const char *port, nnd_cancel *cancel,
                                   const nnd_tensor **out, nnd_value **packed)
{
    const nnd_tensor *t = NULL;
    NND_TRY(nnd_vendor_host_tensor(value, port, cancel, &t));
    *out = t;
    if (nnd_tensor_is_dense(t)) return NND_OK;
    NND_TRY(nnd_value_new_tensor(t->dtype, t->rank, t->dims, packed));
    nnd_tensor *dense = nnd_value_edit(*packed);
    nnd_status status = nnd_tensor_copy(dense, t);
    if (status != NND_OK) {
        nnd_value_unref(*packed);
        *packed = NULL;
        return status;
    }
    nnd_copy_count(nnd_tensor_bytes(dense));
    *out = dense;
    return NND_OK;
}

/* ---- text --------------------------------------------------------------------------------- */

void nnd_vendor_tidy(const char *text, char *out, size_t size)
{
    size_t n = 0;
    bool gap = false;
    for (; *text && n + 2 < size; text++) {
        bool blank = (unsigned char)*text <= ' ';
        if (!blank && gap && n) out[n++] = ' ';
        if (!blank) out[n++] = *text;
        gap = blank;
    }
    n = nnd_utf8_valid_prefix(out, n);
    out[n] = '\0';
}
