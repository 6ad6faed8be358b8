/* Bringing the files of a model into the cache, whichever source has them. */
#include "catalog/catalog_internal.h"

#include "base/port_status.h"
#include "base/str.h"
#include "port/port.h"

#include <string.h>

#define MS ((int64_t)1000000)

/* ---- one file ---------------------------------------------------------------------------- */

void cat_job_report(const cat_job *job, const char *source, uint64_t done, bool resumed,
                    bool finished)
{
    nnd_pull_event event = {job->model, job->file, source, done, resumed, finished};
    if (job->options->progress) job->options->progress(job->options->user, &event);
}

void cat_job_drop_part(const cat_job *job)
{
    nnd_port_file_remove(job->part);
    nnd_port_file_remove(job->origin);
}

uint64_t cat_job_left(const cat_job *job)
{
    nnd_port_file_info info;
    if (nnd_port_file_stat(job->part, &info) != 0) return 0;
    if (info.is_file && info.size <= job->file->size) return info.size;
    cat_job_drop_part(job);
    return 0;
}

nnd_status cat_job_finish(const cat_job *job, const char *source)
{
    bool same = false;
    NND_TRY(cat_compare(job->part, job->file, &same));
    if (!same) {
        cat_job_drop_part(job);
        return nnd_error_set(NND_E_FORMAT,
                             "it has other bytes than the catalogue names (sha256 differs)");
    }
    int rc = nnd_port_file_rename(job->part, job->path);
    NND_TRY(nnd_error_from_port(rc, "cannot write", job->path));
    nnd_port_file_remove(job->origin);
    cat_job_report(job, source, job->file->size, false, true);
    return NND_OK;
}

static nnd_status copy_bytes(const cat_job *job, const char *from, FILE *in, FILE *out)
{
    enum { BLOCK = 256 * 1024 };
    char *block = nnd_alloc(BLOCK);
    if (!block) return cat_no_memory();
    uint64_t done = 0;
    nnd_status status = NND_OK;
    while (status == NND_OK && done < job->file->size) {
        uint64_t left = job->file->size - done;
        size_t wanted = left < BLOCK ? (size_t)left : BLOCK;
        size_t got = fread(block, 1, wanted, in);
        if (nnd_cancel_check(job->options->cancel) != NND_OK)
            status = nnd_error_set(nnd_cancel_check(job->options->cancel), "it was cancelled");
        else if (got != wanted)
            status = nnd_error_set(NND_E_IO, "cannot read '%s'", from);
        else if (fwrite(block, 1, got, out) != got)
            status = nnd_error_set(NND_E_IO, "cannot write '%s' (is the disk full?)", job->part);
        done += got;
        if (status == NND_OK) cat_job_report(job, from, done, false, false);
    }
    nnd_free(block);
    return status;
}

/* A part that a download left is dropped: reading the whole from a folder is quicker. */
static nnd_status copy_file(const cat_job *job, const char *from)
{
    FILE *in = NULL, *out = NULL;
    cat_job_drop_part(job);
    NND_TRY(nnd_error_from_port(nnd_port_file_open(from, "rb", &in), "cannot read", from));
    int rc = nnd_port_file_open(job->part, "wb", &out);
    nnd_status status = nnd_error_from_port(rc, "cannot write", job->part);
    if (status == NND_OK) {
        status = copy_bytes(job, from, in, out);
        rc = status == NND_OK ? nnd_port_file_sync(out) : 0;
        if (fclose(out) != 0 && rc == 0) rc = NND_PORT_E_IO;
        if (rc) status = nnd_error_from_port(rc, "cannot write", job->part);
        if (status != NND_OK) cat_job_drop_part(job);
    }
    fclose(in);
    return status == NND_OK ? cat_job_finish(job, from) : status;
}

/* ---- sources ----------------------------------------------------------------------------- */

/* What each source said, for the one error in the end. */
typedef struct attempts {
    nnd_str text;
    size_t count;
    nnd_status status; /* of the first source that had something to say beyond "not here" */
} attempts;

/* Whether there is no use in asking the next source. */
static bool ends_everything(nnd_status status)
{
    return status == NND_OK || status == NND_E_CANCELLED || status == NND_E_OUT_OF_MEMORY;
}

static void note(attempts *a, const char *source, nnd_status status)
{
    nnd_error *error = nnd_error_take();
    nnd_str_printf(&a->text, "%s%s: %s", a->count ? "; " : "", source,
                   error ? nnd_error_message(error) : nnd_status_text(status));
    nnd_error_destroy(error);
    a->count++;
    if (a->status == NND_OK || a->status == NND_E_NOT_FOUND) a->status = status;
}

static nnd_status from_folder(const cat_job *job, const char *folder)
{
    char *path = cat_find_in(folder, job->model, job->file);
    if (!path)
        return nnd_error_set(NND_E_NOT_FOUND, "the folder has no '%s/%s' of %llu bytes",
                             job->model->name, job->file->name,
                             (unsigned long long)job->file->size);
    nnd_status status = copy_file(job, path);
    nnd_free(path);
    return status;
}

static nnd_status from_mirror(const cat_job *job, const char *mirror)
{
    if (!cat_is_url(mirror)) return from_folder(job, mirror);
    char *url = nnd_strf("%s/%s/%s", mirror, job->model->name, job->file->name);
    if (!url) return cat_no_memory();
    nnd_status status = cat_fetch(job, url);
    nnd_free(url);
    return status;
}

static nnd_status try_sources(const nnd_model_cache *cache, const cat_job *job, attempts *a)
{
    for (size_t i = 0; i < cache->mirror_count; i++) {
        nnd_status status = from_mirror(job, cache->mirrors[i]);
        if (ends_everything(status)) return status;
        note(a, cache->mirrors[i], status);
    }
    for (size_t i = 0; i < job->file->url_count; i++) {
        nnd_status status = cat_fetch(job, job->file->urls[i]);
        if (ends_everything(status)) return status;
        note(a, job->file->urls[i], status);
    }
    return NND_E_NOT_FOUND;
}

static nnd_status get_file(const nnd_model_cache *cache, const cat_job *job)
{
    attempts a = {0};
    nnd_status status = try_sources(cache, job, &a);
    if (!ends_everything(status)) {
        status = a.status == NND_OK || a.status == NND_E_NOT_FOUND || a.status == NND_E_PERMISSION
                     ? NND_E_MISSING
                 : a.status == NND_E_CLOSED || a.status == NND_E_AGAIN ? NND_E_IO
                                                                       : a.status;
        nnd_error_set(
            status, "cannot get '%s' of model '%s': %s", job->file->name, job->model->name,
            a.text.data ? a.text.data : "the catalogue knows no address for it; name a mirror");
    }
    nnd_str_free(&a.text);
    return status;
}

/* ---- a variant --------------------------------------------------------------------------- */

/* Waits until no other process, and no other thread, pulls this model. */
static nnd_status lock_model(const char *path, const nnd_pull_options *options,
                             nnd_port_file_lock **out)
{
    for (;;) {
        int rc = nnd_port_file_lock_try(path, out);
        if (rc != NND_PORT_E_AGAIN) return nnd_error_from_port(rc, "cannot lock", path);
        nnd_status status = nnd_cancel_check(options->cancel);
        if (status != NND_OK)
            return nnd_error_set(status, "cancelled while another process pulls the same model");
        nnd_port_sleep(50 * MS);
    }
}

static nnd_status make_folder_of(const char *path)
{
    char *folder = nnd_strdup_n(path, (size_t)(strrchr(path, '/') - path));
    if (!folder) return cat_no_memory();
    nnd_status status =
        nnd_error_from_port(nnd_port_dir_create(folder), "cannot make the folder", folder);
    nnd_free(folder);
    return status;
}

static nnd_status pull_file(const nnd_model_cache *cache, cat_job *job)
{
    nnd_model_file_state state = NND_MODEL_FILE_MISSING;
    NND_TRY(nnd_model_cache_check(cache, job->model, job->file, true, &state));
    if (state == NND_MODEL_FILE_PRESENT) {
        cat_job_report(job, "", job->file->size, false, true);
        return NND_OK;
    }
    job->path = cat_path_in(cache->folder, job->model, job->file, false);
    job->part = job->path ? nnd_strf("%s.part", job->path) : NULL;
    job->origin = job->part ? nnd_strf("%s-origin", job->part) : NULL;
    nnd_status status = job->origin ? make_folder_of(job->path) : cat_no_memory();
    if (status == NND_OK) status = get_file(cache, job);
    nnd_free(job->path);
    nnd_free(job->part);
    nnd_free(job->origin);
    return status;
}

static nnd_status pull_locked(const nnd_model_cache *cache, const nnd_catalog_model *model,
                              const nnd_catalog_variant *variant, const nnd_pull_options *options)
{
    for (size_t i = 0; i < variant->file_count; i++) {
        cat_job job = {.model = model, .options = options};
        job.file = nnd_catalog_file_at(variant, i);
        NND_TRY(pull_file(cache, &job));
    }
    return NND_OK;
}

static nnd_pull_options complete(const nnd_pull_options *given)
{
    nnd_pull_options o = NND_PULL_OPTIONS_INIT;
    if (given) o = *given;
    if (o.connect_seconds <= 0) o.connect_seconds = 20;
    if (o.stall_seconds <= 0) o.stall_seconds = 30;
    if (o.retries == 0) o.retries = 4;
    if (o.retries < 0) o.retries = 0;
    if (o.pause_ms <= 0) o.pause_ms = 500;
    return o;
}

nnd_status nnd_model_cache_pull(const nnd_model_cache *cache, const nnd_catalog_model *model,
                                const nnd_catalog_variant *variant, const nnd_pull_options *options)
{
    if (!cache || !model || !variant || (options && options->size < sizeof *options))
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "nnd_model_cache_pull needs cache, model and variant, and options "
                             "with their size set");
    const nnd_pull_options all = complete(options);
    nnd_port_file_lock *lock = NULL;
    /* A name that no file of a model can have. */
    char *path = nnd_strf("%s/%s/.lock", cache->folder, model->name);
    nnd_status status = path ? make_folder_of(path) : cat_no_memory();
    if (status == NND_OK) status = lock_model(path, &all, &lock);
    nnd_free(path);
    if (status == NND_OK) status = pull_locked(cache, model, variant, &all);
    nnd_port_file_unlock(lock);
    return status;
}
