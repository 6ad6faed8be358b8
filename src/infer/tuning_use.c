/* The tuning file in force, and what it says about a model that is being loaded. */
#include "infer/tuning.h"

#include "base/isa.h"
#include "base/port_status.h"
#include "base/str.h"
#include "base/user_folder.h"
#include "infer/infer.h"

#include <stdio.h>
#include <string.h>

/* The file as it was read last; read again when it is another one or has changed. */
static nnd_port_mutex lock = NND_PORT_MUTEX_INIT;
static char *chosen_path; /* of nnd_tuning_set_path */
static struct {
    char *path;
    nnd_port_file_info info;
    nnd_tuning *tuning; /* NULL: there is none, or it cannot be read */
} cache;

/* ---- which file -------------------------------------------------------------------------- */

nnd_status nnd_tuning_set_path(const char *path)
{
    char *copy = nnd_strdup(path);
    if (path && !copy) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a path");
    nnd_port_mutex_lock(&lock);
    char *old = chosen_path;
    chosen_path = copy;
    nnd_port_mutex_unlock(&lock);
    nnd_free(old);
    return NND_OK;
}

nnd_status nnd_tuning_path(char **out)
{
    char *named = NULL;
    nnd_port_mutex_lock(&lock);
    bool is_set = chosen_path != NULL;
    char *path = nnd_strdup(chosen_path);
    nnd_port_mutex_unlock(&lock);
    if (!is_set && nnd_port_env_dup("NNDEPLOY_TUNING", &named) == 0) {
        is_set = named[0] != '\0';
        if (is_set) path = nnd_strdup(named);
        nnd_port_free(named);
    }
    if (is_set && !path) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a path");
    if (!is_set) NND_TRY(nnd_user_cache_path("tuning.json", &path));
    if (path && strcmp(path, "off") == 0) {
        nnd_free(path);
        path = NULL;
    }
    *out = path;
    return NND_OK;
}

/* ---- the file in force ------------------------------------------------------------------- */

static bool is_unchanged(const char *path, const nnd_port_file_info *info)
{
    return cache.path && strcmp(cache.path, path) == 0 && cache.info.id == info->id &&
           cache.info.size == info->size && cache.info.mtime == info->mtime;
}

/* Once for each state of the file: a model should not fail because its tuning cannot be read. */
static void warn_about(const char *path)
{
    nnd_error *error = nnd_error_take();
    char *text = error ? nnd_error_to_string(error) : NULL;
    nnd_log(NND_LOG_WARN, "infer", "tuning file '%s' is not used: %s; 'nndeploy tune' makes one",
            path, text ? text : "it cannot be read");
    nnd_free(text);
    nnd_error_destroy(error);
}

/* The lock is held; takes path. */
static void refill(char *take_path, const nnd_port_file_info *info)
{
    nnd_tuning *tuning = NULL;
    nnd_status status = nnd_tuning_read(take_path, &tuning);
    if (status == NND_E_OUT_OF_MEMORY) { /* says nothing about the file: try again next time */
        nnd_error_clear();
        nnd_free(take_path);
        take_path = NULL;
    } else if (status != NND_OK) {
        warn_about(take_path);
    }
    nnd_free(cache.path);
    nnd_tuning_unref(cache.tuning);
    cache.path = take_path;
    cache.info = *info;
    cache.tuning = tuning;
}

/* With a reference for the caller; NULL when there is no file that can be read. */
static nnd_tuning *current_tuning(void)
{
    char *path = NULL;
    nnd_port_file_info info;
    if (nnd_tuning_path(&path) != NND_OK) {
        nnd_error_clear();
        return NULL;
    }
    if (!path || nnd_port_file_stat(path, &info) != 0) {
        nnd_free(path);
        return NULL;
    }
    nnd_port_mutex_lock(&lock);
    if (is_unchanged(path, &info))
        nnd_free(path);
    else
        refill(path, &info);
    nnd_tuning *tuning = nnd_tuning_ref(cache.tuning);
    nnd_port_mutex_unlock(&lock);
    return tuning;
}

uint64_t nnd_tuning_stamp(void)
{
    char *path = NULL;
    nnd_port_file_info info;
    nnd_hash128 h;
    nnd_hash128_init(&h, 0);
    if (nnd_tuning_path(&path) != NND_OK) nnd_error_clear();
    nnd_hash128_add_str(&h, path);
    if (path && nnd_port_file_stat(path, &info) == 0) {
        nnd_hash128_add(&h, &info.id, sizeof info.id);
        nnd_hash128_add(&h, &info.size, sizeof info.size);
        nnd_hash128_add(&h, &info.mtime, sizeof info.mtime);
    }
    nnd_free(path);
    return nnd_hash128_end(&h).lo;
}

/* ---- machine and model --------------------------------------------------------------------- */

nnd_status nnd_tuning_this_machine(nnd_arena *arena, nnd_tuning_machine *out)
{
    char name[64];
    out->cpu = nnd_arena_strdup(arena, nnd_port_cpu_name(name, sizeof name));
    out->isa = nnd_isa_name(nnd_isa_current());
    out->cores = nnd_port_cpu_count();
    out->nndeploy = nnd_version();
    return out->cpu ? NND_OK : nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for tuning");
}

static bool is_this_machine(const nnd_tuning_machine *m)
{
    char name[64];
    return strcmp(m->cpu, nnd_port_cpu_name(name, sizeof name)) == 0 &&
           strcmp(m->isa, nnd_isa_name(nnd_isa_current())) == 0 && m->cores == nnd_port_cpu_count();
}

static bool has_digest(const nnd_tuning_file *file, const void *bytes, size_t size)
{
    nnd_sha256 h;
    uint8_t digest[NND_SHA256_SIZE];
    char text[NND_SHA256_TEXT];
    nnd_sha256_init(&h);
    nnd_sha256_add(&h, bytes, size);
    nnd_sha256_end(&h, digest);
    nnd_sha256_text(digest, text);
    return strcmp(text, file->sha256) == 0;
}

/* The model that is being loaded. */
typedef struct subject {
    const char *path; /* real path, NULL = in memory */
    const char *folder;
    int64_t mtime;
    const void *bytes;
    size_t size;
    const nnd_model_options *options;
} subject;

static bool is_main_file(const nnd_tuning_file *file, const subject *s)
{
    if (file->size != s->size) return false;
    if (s->path && file->mtime == s->mtime && strcmp(file->path, s->path) == 0) return true;
    return has_digest(file, s->bytes, s->size);
}

/* A further file, looked at without opening it when its time is the recorded one. */
static bool is_further_file(const nnd_tuning_file *file, const subject *s)
{
    nnd_port_file_info info;
    uint8_t digest[NND_SHA256_SIZE];
    char text[NND_SHA256_TEXT];
    if (!s->folder) return false;
    char *path = nnd_strf("%s/%s", s->folder, file->name);
    bool same = path && nnd_port_file_stat(path, &info) == 0 && info.size == file->size;
    if (same && info.mtime != file->mtime) {
        same = nnd_sha256_file(path, digest) == NND_OK;
        if (same) nnd_sha256_text(digest, text);
        same = same && strcmp(text, file->sha256) == 0;
    }
    nnd_free(path);
    return same;
}

static bool is_model(const nnd_tuning_entry *entry, const subject *s)
{
    bool same = is_main_file(&entry->files.items[0], s);
    for (size_t i = 1; i < entry->files.count && same; i++)
        same = is_further_file(&entry->files.items[i], s);
    return same;
}

/* ---- choosing ------------------------------------------------------------------------------ */

/* The fastest accepted trial with so many threads; else the choice. */
static const nnd_tuning_trial *best_trial(const nnd_tuning_entry *entry, int threads)
{
    const nnd_tuning_trial *best = NULL;
    for (size_t i = 0; threads > 0 && i < entry->trials.count; i++) {
        const nnd_tuning_trial *t = &entry->trials.items[i];
        if (!t->accepted || t->threads != threads) continue;
        if (!best || t->median_ms < best->median_ms) best = t;
    }
    return best ? best : &entry->trials.items[entry->choice];
}

/* Whether the trial still holds; else why not. */
static const nnd_backend *usable_backend(const nnd_tuning_entry *entry,
                                         const nnd_tuning_trial *trial, char **why)
{
    const nnd_backend *backend = nnd_backend_find(trial->backend);
    nnd_backend_status probe = {.size = sizeof probe};
    if (strcmp(entry->machine.nndeploy, nnd_version()) != 0) {
        *why = nnd_strf("tuned with nndeploy %s; 'nndeploy tune' measures anew",
                        entry->machine.nndeploy);
        return NULL;
    }
    if (backend) backend->probe(&probe);
    if (!backend || !probe.available) {
        *why = nnd_strf("tuned for %s, which is not available", trial->backend);
        return NULL;
    }
    if (strcmp(probe.version, trial->version) == 0) return backend;
    *why = nnd_strf("tuned with %s %s, and here is %s; 'nndeploy tune' measures anew",
                    trial->backend, trial->version, probe.version);
    return NULL;
}

static void take_trial(const nnd_tuning_entry *entry, const nnd_tuning_trial *trial, int threads,
                       nnd_tuned *out)
{
    const nnd_backend *backend = usable_backend(entry, trial, &out->why);
    if (!backend) return;
    out->precision = nnd_strdup(trial->precision);
    out->config = nnd_strdup(trial->config);
    out->threads = threads > 0 ? threads : (int)trial->threads;
    out->why = nnd_strf("tuned: %.4g ms with %d thread%s, the best of %zu trials", trial->median_ms,
                        (int)trial->threads, trial->threads == 1 ? "" : "s", entry->trials.count);
    if (out->precision && out->config && out->why) out->backend = backend;
}

static void choose_from(const nnd_tuning *tuning, const subject *s, nnd_tuned *out)
{
    bool elsewhere = false;
    for (size_t i = 0; i < tuning->entries.count; i++) {
        const nnd_tuning_entry *entry = &tuning->entries.items[i];
        if (!is_this_machine(&entry->machine)) {
            elsewhere = elsewhere || (s->path && strcmp(entry->files.items[0].path, s->path) == 0);
            continue;
        }
        if (!is_model(entry, s)) continue;
        take_trial(entry, best_trial(entry, s->options->threads), s->options->threads, out);
        return;
    }
    if (elsewhere) out->why = nnd_strdup("tuned on another machine only");
}

/* Fills in what a path tells; the texts are the caller's, and may stay NULL. */
static void subject_open(subject *s, const char *path, char **real, char **folder)
{
    nnd_port_file_info info;
    if (!path || nnd_port_path_real(path, real) != 0 || nnd_port_file_stat(*real, &info) != 0 ||
        nnd_folder_of(*real, "cannot find the folder of model", folder) != NND_OK)
        return;
    s->path = *real;
    s->folder = *folder;
    s->mtime = info.mtime;
}

void nnd_tuning_choose(const char *path, const void *bytes, size_t size,
                       const nnd_model_options *options, nnd_tuned *out)
{
    subject s = {.bytes = bytes, .size = size, .options = options};
    char *real = NULL, *folder = NULL;
    *out = (nnd_tuned){0};
    nnd_tuning *tuning = current_tuning();
    if (!tuning) return;
    subject_open(&s, path, &real, &folder);
    choose_from(tuning, &s, out);
    nnd_error_clear();
    nnd_port_free(folder);
    nnd_port_free(real);
    nnd_tuning_unref(tuning);
}

void nnd_tuned_fini(nnd_tuned *tuned)
{
    nnd_free(tuned->precision);
    nnd_free(tuned->config);
    nnd_free(tuned->why);
    *tuned = (nnd_tuned){0};
}

/* ---- kernels ------------------------------------------------------------------------------- */

static const nnd_tuning_entry *entry_of(const nnd_tuning *tuning, const subject *s)
{
    for (size_t i = 0; i < tuning->entries.count; i++) {
        const nnd_tuning_entry *entry = &tuning->entries.items[i];
        if (entry->kernels.count && is_this_machine(&entry->machine) && is_model(entry, s))
            return entry;
    }
    return NULL;
}

void nnd_tuning_find_kernels(const char *path, const void *bytes, size_t size,
                             nnd_tuned_kernels *out)
{
    subject s = {.bytes = bytes, .size = size};
    char *real = NULL, *folder = NULL;
    *out = (nnd_tuned_kernels){.tuning = current_tuning()};
    if (!out->tuning) return;
    subject_open(&s, path, &real, &folder);
    const nnd_tuning_entry *entry = entry_of(out->tuning, &s);
    nnd_error_clear();
    nnd_port_free(folder);
    nnd_port_free(real);
    if (entry && strcmp(entry->machine.nndeploy, nnd_version()) != 0) {
        nnd_log(NND_LOG_WARN, "infer",
                "the kernels measured for model '%s' are not used: nndeploy %s has measured them; "
                "'nndeploy tune' measures anew",
                path ? path : "in memory", entry->machine.nndeploy);
        entry = NULL;
    }
    if (!entry) return;
    out->items = entry->kernels.items;
    out->count = entry->kernels.count;
}

void nnd_tuned_kernels_fini(nnd_tuned_kernels *kernels)
{
    nnd_tuning_unref(kernels->tuning);
    *kernels = (nnd_tuned_kernels){0};
}
