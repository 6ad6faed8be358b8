#include "nodes/infer/config_folders.h"

#include <string.h>

#include "base/str.h"

static const char *const options[] = {"cache", "cache_dir"};

static bool is_folder_option(const char *pair, size_t key)
{
    for (size_t i = 0; i < NND_COUNT(options); i++)
        if (strlen(options[i]) == key && strncmp(options[i], pair, key) == 0) return true;
    return false;
}

/* Up to the blank or comma behind a pair; those in quotes belong to it. */
static size_t pair_length(const char *text)
{
    bool quoted = false;
    size_t n = 0;
    for (; text[n] && (quoted || !strchr(" ,;", text[n])); n++)
        quoted = quoted != (text[n] == '"');
    return n;
}

/* Appends key="real path". `value` is quoted or plain. */
static nnd_status add_folder(nnd_io *io, const char *key, size_t key_size, const char *value,
                             size_t size, nnd_str *out)
{
    bool quoted = size >= 2 && value[0] == '"' && value[size - 1] == '"';
    char *path = quoted ? nnd_strdup_n(value + 1, size - 2) : nnd_strdup_n(value, size), *real;
    if (!path) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for options");
    nnd_status status = nnd_io_resolve_write(io, path, &real);
    nnd_free(path);
    NND_TRY(status);
    if (strchr(real, '"'))
        status =
            nnd_error_set(NND_E_INVALID_ARGUMENT, "the folder '%s' has a quote in its name", real);
    else
        nnd_str_printf(out, "%.*s=\"%s\"", (int)key_size, key, real);
    nnd_free(real);
    return status;
}

static nnd_status resolve_pairs(nnd_io *io, const char *config, nnd_str *out)
{
    for (const char *p = config; *p;) {
        size_t n = pair_length(p), key = 0;
        while (key < n && p[key] != '=')
            key++;
        if (key < n && is_folder_option(p, key))
            NND_TRY(add_folder(io, p, key, p + key + 1, n - key - 1, out));
        else
            nnd_str_add_n(out, p, n);
        p += n;
        if (*p) nnd_str_add_char(out, *p++);
    }
    return NND_OK;
}

nnd_status nnd_config_folders(nnd_io *io, const char *config, char **out)
{
    nnd_str text = {0};
    nnd_status status = resolve_pairs(io, config, &text);
    if (status == NND_OK) status = nnd_str_take(&text, out, NULL);
    nnd_str_free(&text);
    return status == NND_OK ? NND_OK : nnd_error_wrap(status, "config of the model");
}
