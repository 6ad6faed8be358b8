/* Where models are on this machine. */
#include "catalog/catalog_internal.h"

#include "base/hash.h"
#include "base/port_status.h"
#include "base/str.h"
#include "base/user_folder.h"
#include "base/vec.h"
#include "port/port.h"

#include <string.h>

/* ---- the user's folders ------------------------------------------------------------------ */

nnd_status nnd_model_cache_default_folder(char **path)
{
    char *found = NULL;
    NND_TRY(nnd_path_below_variable("NNDEPLOY_CACHE", "models", &found));
    if (!found) NND_TRY(nnd_user_cache_path("models", &found));
    if (!found)
        return nnd_error_set(NND_E_MISSING,
                             "no folder for models is known; name one in NNDEPLOY_CACHE");
    *path = found;
    return NND_OK;
}

/* ---- mirrors ----------------------------------------------------------------------------- */

typedef NND_VEC(char *) text_list;

static nnd_status add_mirror(text_list *list, const char *text, size_t size)
{
    while (size && (*text == ' ' || *text == '\t'))
        text++, size--;
    while (size && strchr(" \t\r/", text[size - 1]) && !(size == 1 && text[0] == '/'))
        size--;
    if (!size || *text == '#') return NND_OK;
    char *copy = nnd_strdup_n(text, size);
    if (!copy) return cat_no_memory();
    if (cat_is_url(copy) && !cat_is_web_url(copy)) {
        nnd_status status = nnd_error_set(NND_E_INVALID_ARGUMENT,
                                          "'%.200s' cannot be a mirror: it has to be a folder, or "
                                          "a URL that begins with https:// or http://",
                                          copy);
        nnd_free(copy);
        return status;
    }
    if (nnd_vec_push(list, copy)) return NND_OK;
    nnd_free(copy);
    return cat_no_memory();
}

static nnd_status add_parts(text_list *list, const char *text, char separator)
{
    for (;;) {
        const char *end = strchr(text, separator);
        size_t size = end ? (size_t)(end - text) : strlen(text);
        NND_TRY(add_mirror(list, text, size));
        if (!end) return NND_OK;
        text = end + 1;
    }
}

static nnd_status read_settings(text_list *list, const char *path)
{
    enum { LARGEST_SETTINGS = 1 << 20 };
    char *text = NULL;
    size_t size = 0;
    int rc = nnd_port_file_read(path, LARGEST_SETTINGS, &text, &size);
    if (rc == NND_PORT_E_NOT_FOUND || rc == NND_PORT_E_NOT_DIR) return NND_OK;
    if (rc == NND_PORT_E_ACCESS) {
        /* Whoever runs in the environment of somebody else has no mirrors of their own. */
        nnd_log(NND_LOG_WARN, "catalog", "no access to the list of mirrors '%s': it is left out",
                path);
        return NND_OK;
    }
    NND_TRY(nnd_error_from_port(rc, "cannot read mirrors from", path));
    nnd_status status = add_parts(list, text, '\n');
    nnd_port_free(text);
    return status == NND_OK ? status : nnd_error_wrap(status, "in the file '%s'", path);
}

static nnd_status add_settings(text_list *list)
{
    char *path = NULL;
    nnd_status status = nnd_user_settings_path("mirrors", &path);
    if (status == NND_OK && path) status = read_settings(list, path);
    nnd_free(path);
    return status;
}

/* Models that are installed with the program come last. */
static nnd_status add_installed(text_list *list)
{
    char *program = NULL;
    if (nnd_port_path_executable(&program) != 0) return NND_OK;
    char *slash = strrchr(program, '/');
    if (slash) *slash = '\0';
    char *folder = slash ? nnd_strf("%s/../share/nndeploy/models", program) : NULL;
    nnd_status status = slash && !folder ? cat_no_memory() : NND_OK;
    if (folder && nnd_port_dir_exists(folder)) status = add_mirror(list, folder, strlen(folder));
    nnd_free(folder);
    nnd_port_free(program);
    return status;
}

static nnd_status collect_mirrors(const nnd_model_cache_options *options, text_list *list)
{
    char *variable = NULL;
    for (size_t i = 0; i < options->mirror_count; i++)
        NND_TRY(add_mirror(list, options->mirrors[i], strlen(options->mirrors[i])));
    if (nnd_port_env_dup("NNDEPLOY_MIRRORS", &variable) == 0) {
        nnd_status status = add_parts(list, variable, ';');
        nnd_port_free(variable);
        if (status != NND_OK) return nnd_error_wrap(status, "in NNDEPLOY_MIRRORS");
    }
    NND_TRY(add_settings(list));
    return add_installed(list);
}

/* ---- making one -------------------------------------------------------------------------- */

static nnd_status choose_catalogue(nnd_model_cache *cache, const nnd_catalog *given)
{
    char *path = NULL;
    cache->catalog = given;
    if (given) return NND_OK;
    if (nnd_port_env_dup("NNDEPLOY_CATALOG", &path) == 0 && path[0]) {
        nnd_status status = nnd_catalog_load(path, &cache->own_catalog);
        if (status != NND_OK) nnd_error_wrap(status, "NNDEPLOY_CATALOG names '%s'", path);
        nnd_port_free(path);
        cache->catalog = cache->own_catalog;
        return status;
    }
    nnd_port_free(path);
    cache->catalog = nnd_catalog_builtin();
    return cache->catalog ? NND_OK : cat_no_memory();
}

static nnd_status fill_cache(nnd_model_cache *cache, const nnd_model_cache_options *options)
{
    text_list list = {0};
    NND_TRY(choose_catalogue(cache, options->catalog));
    if (options->folder) {
        cache->folder = nnd_strdup(options->folder);
        if (!cache->folder) return cat_no_memory();
    } else {
        NND_TRY(nnd_model_cache_default_folder(&cache->folder));
    }
    nnd_status status = collect_mirrors(options, &list);
    cache->mirrors = list.items;
    cache->mirror_count = list.count;
    return status;
}

nnd_status nnd_model_cache_create(const nnd_model_cache_options *options, nnd_model_cache **out)
{
    static const nnd_model_cache_options defaults = NND_MODEL_CACHE_OPTIONS_INIT;
    if (!options) options = &defaults;
    if (!out || options->size < sizeof *options)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "nnd_model_cache_create needs out, and options with their size set");
    nnd_model_cache *cache = nnd_calloc(1, sizeof *cache);
    if (!cache) return cat_no_memory();
    nnd_status status = fill_cache(cache, options);
    if (status != NND_OK) {
        nnd_model_cache_destroy(cache);
        return status;
    }
    *out = cache;
    return NND_OK;
}

void nnd_model_cache_destroy(nnd_model_cache *cache)
{
    if (!cache) return;
    for (size_t i = 0; i < cache->mirror_count; i++)
        nnd_free(cache->mirrors[i]);
    nnd_free(cache->mirrors);
    nnd_free(cache->folder);
    nnd_catalog_destroy(cache->own_catalog);
    nnd_free(cache);
}

const nnd_catalog *nnd_model_cache_catalog(const nnd_model_cache *cache)
{
    return cache->catalog;
}

const char *nnd_model_cache_folder(const nnd_model_cache *cache)
{
    return cache->folder;
}

size_t nnd_model_cache_mirror_count(const nnd_model_cache *cache)
{
    return cache->mirror_count;
}

const char *nnd_model_cache_mirror_at(const nnd_model_cache *cache, size_t index)
{
    return index < cache->mirror_count ? cache->mirrors[index] : NULL;
}

/* ---- looking for files ------------------------------------------------------------------- */

char *cat_path_in(const char *root, const nnd_catalog_model *model, const nnd_catalog_file *file,
                  bool underscore)
{
    char *path = nnd_strf("%s/%s/%s", root, model->name, file->name);
    if (!path || !underscore) return path;
    char *name = path + strlen(root) + 1;
    for (size_t i = 0; model->name[i]; i++)
        if (name[i] == '-') name[i] = '_';
    return path;
}

static bool has_size(const char *path, uint64_t size)
{
    nnd_port_file_info info;
    return nnd_port_file_stat(path, &info) == 0 && info.is_file && info.size == size;
}

char *cat_find_in(const char *root, const nnd_catalog_model *model, const nnd_catalog_file *file)
{
    for (int underscore = 0; underscore < 2; underscore++) {
        char *path = cat_path_in(root, model, file, underscore);
        if (path && has_size(path, file->size)) return path;
        nnd_free(path);
    }
    return NULL;
}

/* Whether a folder has all files of a variant; *path is then where the wanted one is. */
static bool has_variant(const char *root, const nnd_catalog_model *model,
                        const nnd_catalog_variant *variant, const nnd_catalog_file *wanted,
                        char **path)
{
    char *found = NULL;
    for (size_t i = 0; i < variant->file_count; i++) {
        const nnd_catalog_file *file = nnd_catalog_file_at(variant, i);
        char *one = cat_find_in(root, model, file);
        if (!one) {
            nnd_free(found);
            return false;
        }
        if (file == wanted)
            found = one;
        else
            nnd_free(one);
    }
    *path = found;
    return found != NULL;
}

nnd_status nnd_model_cache_path(const nnd_model_cache *cache, const nnd_catalog_model *model,
                                const nnd_catalog_file *file, char **path)
{
    char *made = cat_path_in(cache->folder, model, file, false);
    if (!made) return cat_no_memory();
    *path = made;
    return NND_OK;
}

nnd_status nnd_model_cache_find(const nnd_model_cache *cache, const nnd_catalog_model *model,
                                const nnd_catalog_variant *variant, const nnd_catalog_file *file,
                                char **path)
{
    if (!file) file = nnd_catalog_main_file(variant);
    if (has_variant(cache->folder, model, variant, file, path)) return NND_OK;
    for (size_t i = 0; i < cache->mirror_count; i++)
        if (!cat_is_url(cache->mirrors[i]) &&
            has_variant(cache->mirrors[i], model, variant, file, path))
            return NND_OK;
    if (variant == nnd_catalog_variant_at(model, 0))
        return nnd_error_set(NND_E_MISSING,
                             "model '%s' is not on this machine; 'nndeploy models pull %s' brings "
                             "it",
                             model->name, model->name);
    char word[200];
    nnd_catalog_variant_word(variant, word, sizeof word);
    return nnd_error_set(NND_E_MISSING,
                         "variant '%s' of model '%s' is not on this machine; 'nndeploy models pull "
                         "%s@%s' brings it",
                         word, model->name, model->name, word);
}

nnd_status cat_compare(const char *path, const nnd_catalog_file *file, bool *same)
{
    uint8_t digest[NND_SHA256_SIZE];
    char text[NND_SHA256_TEXT];
    NND_TRY(nnd_sha256_file(path, digest));
    nnd_sha256_text(digest, text);
    *same = strcmp(text, file->sha256) == 0;
    return NND_OK;
}

const char *nnd_model_file_state_name(nnd_model_file_state state)
{
    static const char *const names[] = {"missing", "partial", "damaged", "present"};
    return (size_t)state < NND_COUNT(names) ? names[state] : "unknown";
}

static nnd_status look_at(const char *path, const nnd_catalog_file *file, bool content,
                          nnd_model_file_state *state)
{
    nnd_port_file_info info;
    bool same = true;
    int rc = nnd_port_file_stat(path, &info);
    if (rc == NND_PORT_E_NOT_FOUND || rc == NND_PORT_E_NOT_DIR) {
        char *part = nnd_strf("%s.part", path);
        if (!part) return cat_no_memory();
        *state = nnd_port_file_exists(part) ? NND_MODEL_FILE_PARTIAL : NND_MODEL_FILE_MISSING;
        nnd_free(part);
        return NND_OK;
    }
    NND_TRY(nnd_error_from_port(rc, "cannot look at", path));
    same = info.is_file && info.size == file->size;
    if (same && content) NND_TRY(cat_compare(path, file, &same));
    *state = same ? NND_MODEL_FILE_PRESENT : NND_MODEL_FILE_DAMAGED;
    return NND_OK;
}

nnd_status nnd_model_cache_check(const nnd_model_cache *cache, const nnd_catalog_model *model,
                                 const nnd_catalog_file *file, bool content,
                                 nnd_model_file_state *state)
{
    char *path = NULL;
    NND_TRY(nnd_model_cache_path(cache, model, file, &path));
    nnd_status status = look_at(path, file, content, state);
    nnd_free(path);
    return status;
}
