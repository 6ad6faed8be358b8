/* What a plain host offers to workflows: model files by name, secrets from the environment. */
#include "nodes/nodes_internal.h"

#include "base/port_status.h"
#include "base/str.h"
#include "base/vec.h"
#include "nndeploy/catalog.h"
#include "port/port.h"

#include <string.h>

/* One per base folder, kept until the process ends: plans may outlive whoever made the services. */
typedef struct host {
    struct host *next;
    char *base_dir;
} host;

static host *hosts;
static nnd_port_mutex hosts_lock = NND_PORT_MUTEX_INIT;

typedef NND_VEC(char *) folder_list;

static void folders_free(folder_list *folders)
{
    for (size_t i = 0; i < folders->count; i++)
        nnd_free(folders->items[i]);
    nnd_vec_free(folders);
}

static void folders_add(folder_list *folders, char *take_path)
{
    if (take_path && nnd_vec_push(folders, take_path)) return;
    nnd_free(take_path);
}

/* In the order in which they are searched. Without memory some are left out. Whether the last one
   is the user's cache. */
static bool collect_folders(const host *h, folder_list *folders)
{
    char *list = NULL, *program = NULL, *cache = NULL;
    if (nnd_port_env_dup("NNDEPLOY_MODELS", &list) == 0) {
        const char *rest = list, *folder;
        for (size_t n; (folder = nnd_path_list_next(&rest, &n)) != NULL;)
            folders_add(folders, nnd_strdup_n(folder, n));
    }
    if (h->base_dir[0]) {
        folders_add(folders, nnd_strf("%s/models", h->base_dir));
        folders_add(folders, nnd_strf("%s/../models", h->base_dir));
    }
    if (nnd_port_path_executable(&program) == 0) {
        char *slash = strrchr(program, '/');
        if (slash) {
            *slash = '\0';
            folders_add(folders, nnd_strf("%s/../share/nndeploy/models", program));
        }
    }
    nnd_port_free(list);
    nnd_port_free(program);
    if (nnd_model_cache_default_folder(&cache) != NND_OK) {
        nnd_error_clear();
        return false;
    }
    size_t count = folders->count;
    folders_add(folders, cache);
    return folders->count > count;
}

static bool is_file(const char *path)
{
    nnd_port_file_info info;
    return nnd_port_file_stat(path, &info) == 0 && info.is_file;
}

/* <folder>/<name>.onnx, <folder>/<name>/<name>.onnx or <folder>/<name>/model.onnx. */
static char *find_spelling(const char *folder, const char *name)
{
    for (int i = 0; i < 3; i++) {
        char *path = i == 0   ? nnd_strf("%s/%s.onnx", folder, name)
                     : i == 1 ? nnd_strf("%s/%s/%s.onnx", folder, name, name)
                              : nnd_strf("%s/%s/model.onnx", folder, name);
        if (path && is_file(path)) return path;
        nnd_free(path);
    }
    return NULL;
}

/* Catalogue names have '-', files often '_' in its place. */
static char *find_in(const char *folder, const char *name)
{
    char *path = find_spelling(folder, name);
    char *other = path ? NULL : nnd_strdup(name);
    for (char *p = other; p && *p; p++)
        if (*p == '-') *p = '_';
    if (other && strcmp(other, name) != 0) path = find_spelling(folder, other);
    nnd_free(other);
    return path;
}

/* A catalogue name is a single word: it never walks through folders. */
static bool name_is_plain(const char *name)
{
    return name[0] && name[0] != '.' && !strpbrk(name, "/\\:");
}

/* Digests of files that did not change since they were read: compiling asks for a model more than
   once, and reading a large one takes its time. */
typedef struct known_digest {
    char path[1024];
    nnd_port_file_info info;
    char text[NND_SHA256_TEXT];
} known_digest;

enum { KNOWN_DIGESTS = 32 };
static known_digest digests[KNOWN_DIGESTS];
static size_t digest_next;
static nnd_port_mutex digests_lock = NND_PORT_MUTEX_INIT;

static bool is_same_file(const known_digest *known, const char *path,
                         const nnd_port_file_info *info)
{
    return known->info.id == info->id && known->info.size == info->size &&
           known->info.mtime == info->mtime && strcmp(known->path, path) == 0;
}

static bool recall_digest(const char *path, const nnd_port_file_info *info,
                          char text[NND_SHA256_TEXT])
{
    bool found = false;
    nnd_port_mutex_lock(&digests_lock);
    for (size_t i = 0; i < KNOWN_DIGESTS && !found; i++) {
        found = is_same_file(&digests[i], path, info);
        if (found) memcpy(text, digests[i].text, NND_SHA256_TEXT);
    }
    nnd_port_mutex_unlock(&digests_lock);
    return found;
}

static void remember_digest(const char *path, const nnd_port_file_info *info,
                            const char text[NND_SHA256_TEXT])
{
    const size_t size = strlen(path) + 1;
    if (size > sizeof digests[0].path) return;
    nnd_port_mutex_lock(&digests_lock);
    known_digest *d = &digests[digest_next];
    digest_next = (digest_next + 1) % KNOWN_DIGESTS;
    memcpy(d->path, path, size);
    d->info = *info;
    memcpy(d->text, text, NND_SHA256_TEXT);
    nnd_port_mutex_unlock(&digests_lock);
}

nnd_status nnd_nodes_digest(const char *path, char text[NND_SHA256_TEXT])
{
    uint8_t digest[NND_SHA256_SIZE];
    nnd_port_file_info info = {0};
    bool is_seen = nnd_port_file_stat(path, &info) == 0 && info.is_file && info.id != 0;
    if (is_seen && recall_digest(path, &info, text)) return NND_OK;
    NND_TRY(nnd_sha256_file(path, digest));
    nnd_sha256_text(digest, text);
    if (is_seen) remember_digest(path, &info, text);
    return NND_OK;
}

static nnd_status check_sha256(const char *path, const char *name, const char *wanted)
{
    char text[NND_SHA256_TEXT];
    if (!wanted || !wanted[0]) return NND_OK;
    NND_TRY(nnd_nodes_digest(path, text));
    if (nnd_sha256_text_equal(text, wanted)) return NND_OK;
    return nnd_error_set(NND_E_FORMAT,
                         "model '%s': '%s' is not the file that the workflow pins (sha256 %s, "
                         "wanted %s)",
                         name, path, text, wanted);
}

/* Sets the record for a model that is neither in a folder nor in the catalogue. */
static nnd_status not_found(const folder_list *folders, const char *name, const char *near)
{
    nnd_str where = {0};
    for (size_t i = 0; i < folders->count; i++)
        nnd_str_printf(&where, "%s%s", i ? ", " : "", folders->items[i]);
    nnd_status status = nnd_error_set(
        NND_E_MISSING,
        "model '%s' was not found%s%s%s: put it as '%s.onnx' into one of %s, or name its folder in "
        "NNDEPLOY_MODELS",
        name, near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "", name,
        where.data ? where.data : "(no folders)");
    nnd_str_free(&where);
    return status;
}

/* A file of the cache, or of a mirror that is a folder: always the bytes of the catalogue. */
static nnd_status check_catalogued(const nnd_catalog_model *model, const nnd_catalog_file *file,
                                   const char *path)
{
    char text[NND_SHA256_TEXT];
    NND_TRY(nnd_nodes_digest(path, text));
    if (strcmp(text, file->sha256) == 0) return NND_OK;
    return nnd_error_set(NND_E_FORMAT,
                         "model '%s': the file '%s' is damaged; 'nndeploy models pull %s' brings "
                         "it again",
                         model->name, path, model->name);
}

static nnd_status find_variant(const nnd_model_cache *cache, const nnd_catalog_model *model,
                               const char *sha256, char **path)
{
    const bool is_pinned = sha256 && sha256[0];
    const nnd_catalog_variant *variant = is_pinned ? nnd_catalog_pick_sha256(model, sha256)
                                                   : nnd_catalog_pick(model, NULL, NULL, NULL);
    if (!variant)
        return nnd_error_set(NND_E_MISSING,
                             "the workflow pins a file of model '%s' that the catalogue does not "
                             "have (sha256 %s); name the folder that has it in NNDEPLOY_MODELS",
                             model->name, sha256);
    NND_TRY(nnd_model_cache_find(cache, model, variant, NULL, path));
    nnd_status status = check_catalogued(model, nnd_catalog_main_file(variant), *path);
    if (status != NND_OK) {
        nnd_free(*path);
        *path = NULL;
    }
    return status;
}

/* NND_E_NOT_FOUND, without a record, when the catalogue has no such name; *near is then the
   nearest one of the library's catalogue, or NULL. */
static nnd_status find_in_catalogue(const char *name, const char *sha256, char **path,
                                    const char **near)
{
    nnd_model_cache *cache = NULL;
    NND_TRY(nnd_model_cache_create(NULL, &cache));
    const nnd_catalog_model *model = nnd_catalog_find(nnd_model_cache_catalog(cache), name);
    nnd_status status = model ? find_variant(cache, model, sha256, path) : NND_E_NOT_FOUND;
    nnd_model_cache_destroy(cache);
    const nnd_catalog *builtin = model ? NULL : nnd_catalog_builtin();
    *near = builtin ? nnd_catalog_suggest(builtin, name) : NULL;
    return status;
}

/* Folders of the user go before the catalogue, and that before the user's cache as a folder: what
   lies there under the name of a catalogued model has to be that model. */
static nnd_status find_model(void *user, const char *name, const char *sha256, char **path)
{
    folder_list folders = {0};
    const char *near = NULL;
    char *found = NULL;
    nnd_status status = NND_E_NOT_FOUND;
    if (!name_is_plain(name))
        return nnd_error_set(NND_E_MISSING, "there is no readable model file '%s'", name);
    bool has_cache = collect_folders(user, &folders);
    for (size_t i = 0; i + has_cache < folders.count && !found; i++)
        found = find_in(folders.items[i], name);
    if (!found) status = find_in_catalogue(name, sha256, &found, &near);
    if (!found && has_cache && (status == NND_E_NOT_FOUND || status == NND_E_MISSING))
        found = find_in(folders.items[folders.count - 1], name);
    if (found)
        status = check_sha256(found, name, sha256);
    else if (status == NND_E_NOT_FOUND)
        status = not_found(&folders, name, near);
    folders_free(&folders);
    if (status != NND_OK) {
        nnd_free(found);
        return status;
    }
    *path = found;
    return NND_OK;
}

static nnd_status find_secret(void *user, const char *name, char **value)
{
    (void)user;
    char *variable = nnd_strf("NNDEPLOY_SECRET_%s", name);
    if (!variable) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a secret");
    char *found = NULL;
    int rc = nnd_port_env_dup(variable, &found);
    nnd_free(variable);
    if (rc == 0) {
        *value = nnd_strdup(found);
        nnd_port_free(found);
        return *value ? NND_OK : nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a secret");
    }
    return nnd_error_set(NND_E_MISSING,
                         "the secret '%s' is not set; put it into the environment as "
                         "NNDEPLOY_SECRET_%s",
                         name, name);
}

static host *host_for(const char *base_dir)
{
    nnd_port_mutex_lock(&hosts_lock);
    host *h = hosts;
    while (h && strcmp(h->base_dir, base_dir) != 0)
        h = h->next;
    if (!h && (h = nnd_calloc(1, sizeof *h)) != NULL) {
        h->base_dir = nnd_strdup(base_dir);
        if (h->base_dir) {
            h->next = hosts;
            hosts = h;
        } else {
            nnd_free(h);
            h = NULL;
        }
    }
    nnd_port_mutex_unlock(&hosts_lock);
    return h;
}

nnd_status nnd_nodes_services(const char *base_dir, nnd_services *out)
{
    if (!out) return nnd_error_set(NND_E_INVALID_ARGUMENT, "nnd_nodes_services: out is required");
    host *h = host_for(base_dir ? base_dir : "");
    if (!h) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for services");
    *out = (nnd_services){sizeof *out, h, find_model, find_secret};
    return NND_OK;
}

nnd_status nnd_nodes_model_folders(const char *base_dir, char ***folders, size_t *count)
{
    folder_list list = {0};
    if (!folders || !count)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "nnd_nodes_model_folders: folders and count are required");
    host *h = host_for(base_dir ? base_dir : "");
    if (!h) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for services");
    collect_folders(h, &list);
    *folders = list.items;
    *count = list.count;
    return NND_OK;
}
