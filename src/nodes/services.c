/* What a plain host offers to workflows: model files by name, secrets from the environment. */
#include "nodes/nodes_internal.h"

#include "base/port_status.h"
#include "base/str.h"
#include "base/vec.h"
#include "nodes/variant.h"
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

/* How a model's files may be called in a folder of models. */
typedef struct spelling {
    const char *name;    /* of the model */
    const char *stem;    /* the name, or that of a variant: "latin-ocr-int8" */
    const char *formats; /* suffixes, "xml onnx" */
} spelling;

/* <folder>/<stem>.onnx, <folder>/<name>/<stem>.onnx or <folder>/<stem>/model.onnx. */
static char *find_format(const char *folder, const char *name, const char *stem, const char *suffix,
                         int n)
{
    for (int i = 0; i < 3; i++) {
        char *path = i == 0   ? nnd_strf("%s/%s.%.*s", folder, stem, n, suffix)
                     : i == 1 ? nnd_strf("%s/%s/%s.%.*s", folder, name, stem, n, suffix)
                              : nnd_strf("%s/%s/model.%.*s", folder, stem, n, suffix);
        if (path && is_file(path)) return path;
        nnd_free(path);
    }
    return NULL;
}

static char *find_spelling(const char *folder, const spelling *s)
{
    char *path = NULL;
    for (const char *p = s->formats; *p && !path;) {
        size_t n = strcspn(p, " ");
        path = find_format(folder, s->name, s->stem, p, (int)n);
        p += n + strspn(p + n, " ");
    }
    return path;
}

static char *with_underscores(const char *text)
{
    char *copy = nnd_strdup(text);
    for (char *p = copy; p && *p; p++)
        if (*p == '-') *p = '_';
    return copy;
}

/* Catalogue names have '-', files often '_' in its place. */
static char *find_in(const char *folder, const spelling *s)
{
    char *path = find_spelling(folder, s);
    if (path || !strchr(s->stem, '-')) return path;
    char *name = with_underscores(s->name), *stem = with_underscores(s->stem);
    const spelling other = {name, stem, s->formats};
    if (name && stem) path = find_spelling(folder, &other);
    nnd_free(name);
    nnd_free(stem);
    return path;
}

/* A catalogue name is a single word, and so is a variant's behind '@': they never walk through
   folders. */
static bool name_is_plain(const char *name)
{
    const char *at = strchr(name, '@');
    return name[0] && name[0] != '.' && !strpbrk(name, "/\\:") && (!at || (at > name && at[1]));
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

/* ---- looking for a model ----------------------------------------------------------------- */

/* One call of find_variant. */
typedef struct search {
    const nnd_model_wish *wish;
    char *name;       /* without the variant's word */
    const char *word; /* what stands behind '@'; "" = nothing */
    char *stem;       /* of files of the wished variant, "latin-ocr-int8"; NULL = none wished */
    bool wants_plain; /* files that are called like the model count */
    nnd_model_cache *cache;
    const nnd_catalog_model *model;     /* NULL = not in the catalogue */
    const nnd_catalog_variant *variant; /* NULL = none suits */
} search;

static void search_fini(search *s)
{
    nnd_free(s->name);
    nnd_free(s->stem);
    nnd_model_cache_destroy(s->cache);
}

/* A file under the model's plain name stands for the variant that comes without asking for one. */
static bool plain_is_wanted(const search *s)
{
    nnd_model_wish plain = *s->wish;
    plain.precision = plain.sha256 = NULL;
    if (!s->variant) return !s->word[0];
    return s->variant == nnd_variant_choose(s->model, "", &plain) ||
           (!s->word[0] && !nnd_variant_is_of_precision(s->variant, s->wish));
}

static nnd_status search_init(search *s, const nnd_model_wish *wish)
{
    const char *at = strchr(wish->name, '@');
    const char *precision = wish->precision ? wish->precision : "";
    *s = (search){.wish = wish, .word = at ? at + 1 : ""};
    const char *called = s->word[0] ? s->word : precision;
    s->name = nnd_strdup_n(wish->name, strcspn(wish->name, "@"));
    if (s->name && called[0]) s->stem = nnd_strf("%s-%s", s->name, called);
    if (!s->name || (called[0] && !s->stem))
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to look for a model");
    /* Who has no cache may still have folders of models; that it cannot be had is told later. */
    if (nnd_model_cache_create(NULL, &s->cache) == NND_OK)
        s->model = nnd_catalog_find(nnd_model_cache_catalog(s->cache), s->name);
    else
        nnd_error_clear();
    if (s->model) s->variant = nnd_variant_choose(s->model, s->word, wish);
    s->wants_plain = plain_is_wanted(s);
    return NND_OK;
}

/* *as_wished: the name of the file says the wished precision. */
static char *search_folder(const search *s, const char *folder, bool *as_wished)
{
    const char *formats = nnd_variant_formats(s->wish);
    const spelling own = {s->name, s->stem, formats}, plain = {s->name, s->name, formats};
    char *path = s->stem ? find_in(folder, &own) : NULL;
    *as_wished = path && !s->word[0];
    return path || !s->wants_plain ? path : find_in(folder, &plain);
}

/* A pin counts for the variant that it is of. When another one is wished, that has to be the one of
   the catalogue. */
static nnd_status check_pin(const search *s, const char *path)
{
    char text[NND_SHA256_TEXT];
    const char *wanted = s->wish->sha256;
    if (!wanted || !wanted[0]) return NND_OK;
    NND_TRY(nnd_nodes_digest(path, text));
    if (nnd_sha256_text_equal(text, wanted)) return NND_OK;
    if (s->variant && nnd_catalog_pick_sha256(s->model, wanted) &&
        strcmp(text, nnd_catalog_main_file(s->variant)->sha256) == 0)
        return NND_OK;
    return nnd_error_set(NND_E_FORMAT,
                         "model '%s': '%s' is not the file that the workflow pins (sha256 %s, "
                         "wanted %s)",
                         s->wish->name, path, text, wanted);
}

/* Sets the record for a model that is neither in a folder nor in the catalogue. */
static nnd_status not_found(const search *s, const folder_list *folders)
{
    const nnd_catalog *builtin = nnd_catalog_builtin();
    const char *near = builtin ? nnd_catalog_suggest(builtin, s->name) : NULL;
    const char *formats = nnd_variant_formats(s->wish);
    nnd_str where = {0};
    for (size_t i = 0; i < folders->count; i++)
        nnd_str_printf(&where, "%s%s", i ? ", " : "", folders->items[i]);
    nnd_status status = nnd_error_set(
        NND_E_MISSING,
        "model '%s' was not found%s%s%s: put it as '%s.%.*s' into one of %s, or name its folder in "
        "NNDEPLOY_MODELS",
        s->wish->name, near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "",
        s->word[0] ? s->stem : s->name, (int)strcspn(formats, " "), formats,
        where.data ? where.data : "(no folders)");
    nnd_str_free(&where);
    return status;
}

/* A file of the cache, or of a mirror that is a folder: always the bytes of the catalogue. */
static nnd_status check_catalogued(const search *s, const nnd_catalog_file *file, const char *path)
{
    char text[NND_SHA256_TEXT], word[200];
    NND_TRY(nnd_nodes_digest(path, text));
    if (strcmp(text, file->sha256) == 0) return NND_OK;
    bool is_first = s->variant == nnd_catalog_variant_at(s->model, 0);
    nnd_catalog_variant_word(s->variant, word, sizeof word);
    return nnd_error_set(NND_E_FORMAT,
                         "model '%s': the file '%s' is damaged; 'nndeploy models pull %s%s%s' "
                         "brings it again",
                         s->model->name, path, s->model->name, is_first ? "" : "@",
                         is_first ? "" : word);
}

/* What a backend computes with: the model's own file, and its weights where they lie apart. */
static nnd_status check_files(const search *s)
{
    for (size_t i = 0; i < s->variant->file_count; i++) {
        const nnd_catalog_file *file = nnd_catalog_file_at(s->variant, i);
        char *path = NULL;
        if (strcmp(file->role, "model") != 0 && strcmp(file->role, "weights") != 0) continue;
        NND_TRY(nnd_model_cache_find(s->cache, s->model, s->variant, file, &path));
        nnd_status status = check_catalogued(s, file, path);
        nnd_free(path);
        NND_TRY(status);
    }
    return NND_OK;
}

/* NND_E_NOT_FOUND, without a record, when the catalogue has no such name. */
static nnd_status find_in_catalogue(search *s, char **path)
{
    const char *pin = s->wish->sha256;
    if (!s->cache) NND_TRY(nnd_model_cache_create(NULL, &s->cache));
    if (!s->model) return NND_E_NOT_FOUND;
    if (pin && pin[0] && !nnd_catalog_pick_sha256(s->model, pin))
        return nnd_error_set(NND_E_MISSING,
                             "the workflow pins a file of model '%s' that the catalogue does not "
                             "have (sha256 %s); name the folder that has it in NNDEPLOY_MODELS",
                             s->model->name, pin);
    if (!s->variant) return nnd_variant_none(s->model, s->word, s->wish);
    NND_TRY(check_files(s));
    return nnd_model_cache_find(s->cache, s->model, s->variant, NULL, path);
}

/* Folders of the user go before the catalogue, and that before the user's cache as a folder: what
   lies there under the name of a catalogued model has to be that model. */
static nnd_status search_run(search *s, const folder_list *folders, bool has_cache, char **found,
                             bool *as_wished)
{
    nnd_status status = NND_E_NOT_FOUND;
    for (size_t i = 0; i + has_cache < folders->count && !*found; i++)
        *found = search_folder(s, folders->items[i], as_wished);
    if (!*found) status = find_in_catalogue(s, found);
    if (!*found && has_cache && (status == NND_E_NOT_FOUND || status == NND_E_MISSING))
        *found = search_folder(s, folders->items[folders->count - 1], as_wished);
    if (*found) return check_pin(s, *found);
    return status == NND_E_NOT_FOUND ? not_found(s, folders) : status;
}

static nnd_status find_variant(void *user, const nnd_model_wish *wish, char **path, bool *as_wished)
{
    folder_list folders = {0};
    search s;
    char *found = NULL;
    if (!name_is_plain(wish->name))
        return nnd_error_set(NND_E_MISSING, "there is no readable model file '%s'", wish->name);
    nnd_status status = search_init(&s, wish);
    if (status == NND_OK) {
        bool has_cache = collect_folders(user, &folders);
        status = search_run(&s, &folders, has_cache, &found, as_wished);
        folders_free(&folders);
    }
    if (status == NND_OK && s.variant && nnd_variant_is_of_precision(s.variant, wish))
        *as_wished = true;
    search_fini(&s);
    if (status != NND_OK) {
        nnd_free(found);
        return status;
    }
    *path = found;
    return NND_OK;
}

static nnd_status find_model(void *user, const char *name, const char *sha256, char **path)
{
    const nnd_model_wish wish = {.size = sizeof wish, .name = name, .sha256 = sha256};
    bool as_wished = false;
    return find_variant(user, &wish, path, &as_wished);
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
    *out = (nnd_services){sizeof *out, h, find_model, find_secret, find_variant};
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
