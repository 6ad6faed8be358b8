/* The tuning file: JSON in and out. */
#include "infer/tuning.h"

#include "base/port_status.h"
#include "base/str.h"
#include "port/port.h"

#include <string.h>

#define SCHEMA "nndeploy.tuning/1"
/* Far more than a machine's models need. */
#define FILE_LIMIT ((size_t)64 << 20)

static nnd_status no_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for tuning");
}

/* ---- life -------------------------------------------------------------------------------- */

nnd_status nnd_tuning_create(nnd_tuning **out)
{
    nnd_tuning *tuning = nnd_calloc(1, sizeof *tuning);
    if (!tuning) return no_memory();
    tuning->holders = 1;
    *out = tuning;
    return NND_OK;
}

nnd_tuning *nnd_tuning_ref(nnd_tuning *tuning)
{
    if (tuning) atomic_fetch_add_explicit(&tuning->holders, 1, memory_order_relaxed);
    return tuning;
}

void nnd_tuning_unref(nnd_tuning *tuning)
{
    if (!tuning || atomic_fetch_sub_explicit(&tuning->holders, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < tuning->entries.count; i++) {
        nnd_tuning_entry *entry = &tuning->entries.items[i];
        nnd_vec_free(&entry->files);
        nnd_vec_free(&entry->inputs);
        nnd_vec_free(&entry->trials);
        nnd_vec_free(&entry->kernels);
    }
    nnd_vec_free(&tuning->entries);
    nnd_arena_fini(&tuning->arena);
    nnd_free(tuning);
}

/* ---- reading fields ---------------------------------------------------------------------- */

typedef struct reader {
    nnd_tuning *tuning;
    const char *file;
} reader;

static nnd_status bad(const reader *r, const nnd_json *json, const char *what, const char *wanted)
{
    nnd_status status = nnd_error_set(NND_E_FORMAT, "'%s' should be %s", what, wanted);
    nnd_error_set_place(r->file, nnd_json_line(json), nnd_json_column(json));
    return status;
}

static nnd_status read_text(const reader *r, const nnd_json *object, const char *key,
                            const char **out)
{
    const nnd_json *json = nnd_json_get(object, key);
    const char *text = nnd_json_string(json, NULL);
    if (!text || strlen(text) != nnd_json_string_size(json))
        return bad(r, json ? json : object, key, "a text");
    *out = nnd_arena_strdup(&r->tuning->arena, text);
    return *out ? NND_OK : no_memory();
}

static nnd_status read_int(const reader *r, const nnd_json *object, const char *key, int64_t least,
                           int64_t *out)
{
    const nnd_json *json = nnd_json_get(object, key);
    if (nnd_json_int(json, out) && *out >= least) return NND_OK;
    return bad(r, json ? json : object, key, least > 0 ? "a positive integer" : "an integer");
}

/* null stands for an infinity, as JSON has none. */
static nnd_status read_number(const reader *r, const nnd_json *object, const char *key, double *out)
{
    const nnd_json *json = nnd_json_get(object, key);
    nnd_json_type type = nnd_json_get_type(json);
    *out = nnd_json_number(json, 1e300);
    if (json && (type == NND_JSON_NULL || (type == NND_JSON_NUMBER && *out >= 0))) return NND_OK;
    return bad(r, json ? json : object, key, "a number that is not negative");
}

static nnd_status read_bool(const reader *r, const nnd_json *object, const char *key, bool *out)
{
    const nnd_json *json = nnd_json_get(object, key);
    *out = nnd_json_bool(json, false);
    if (nnd_json_get_type(json) == NND_JSON_BOOL) return NND_OK;
    return bad(r, json ? json : object, key, "true or false");
}

static nnd_status find_member(const reader *r, const nnd_json *object, const char *key,
                              nnd_json_type type, const char *wanted, const nnd_json **out)
{
    *out = nnd_json_get(object, key);
    if (nnd_json_get_type(*out) == type) return NND_OK;
    return bad(r, *out ? *out : object, key, wanted);
}

/* ---- reading entries --------------------------------------------------------------------- */

static nnd_status read_machine(const reader *r, const nnd_json *entry, nnd_tuning_machine *out)
{
    const nnd_json *json;
    NND_TRY(find_member(r, entry, "machine", NND_JSON_OBJECT, "an object", &json));
    NND_TRY(read_text(r, json, "cpu", &out->cpu));
    NND_TRY(read_text(r, json, "isa", &out->isa));
    NND_TRY(read_int(r, json, "cores", 1, &out->cores));
    return read_text(r, json, "nndeploy", &out->nndeploy);
}

static bool is_digest(const char *text)
{
    return strlen(text) == NND_SHA256_TEXT - 1 && strspn(text, "0123456789abcdef") == strlen(text);
}

/* Names are looked up in the model's folder and must stay there. */
static bool stays_inside(const char *name)
{
    if (!name[0] || strpbrk(name, "\\:") || name[0] == '/') return false;
    for (const char *p = name; p; p = strchr(p, '/') ? strchr(p, '/') + 1 : NULL)
        if (p[0] == '.' && p[1] == '.' && (p[2] == '/' || !p[2])) return false;
    return true;
}

static nnd_status read_file(const reader *r, const nnd_json *json, nnd_tuning_entry *entry)
{
    nnd_tuning_file file = {0};
    int64_t size;
    NND_TRY(read_text(r, json, "name", &file.name));
    NND_TRY(read_text(r, json, "path", &file.path));
    NND_TRY(read_int(r, json, "size", 0, &size));
    NND_TRY(read_int(r, json, "mtime", INT64_MIN, &file.mtime));
    NND_TRY(read_text(r, json, "sha256", &file.sha256));
    if (!is_digest(file.sha256)) return bad(r, json, "sha256", "64 hex digits");
    if (!stays_inside(file.name)) return bad(r, json, "name", "a name below the model's folder");
    file.size = (uint64_t)size;
    return nnd_vec_push(&entry->files, file) ? NND_OK : no_memory();
}

static nnd_status read_input(const reader *r, const nnd_json *json, nnd_tuning_entry *entry)
{
    nnd_tuning_input input = {0};
    NND_TRY(read_text(r, json, "name", &input.name));
    NND_TRY(read_text(r, json, "type", &input.type));
    return nnd_vec_push(&entry->inputs, input) ? NND_OK : no_memory();
}

static nnd_status read_trial(const reader *r, const nnd_json *json, nnd_tuning_entry *entry)
{
    nnd_tuning_trial t = {0};
    NND_TRY(read_text(r, json, "backend", &t.backend));
    NND_TRY(read_text(r, json, "version", &t.version));
    NND_TRY(read_text(r, json, "precision", &t.precision));
    NND_TRY(read_text(r, json, "config", &t.config));
    NND_TRY(read_int(r, json, "threads", 1, &t.threads));
    NND_TRY(read_bool(r, json, "accepted", &t.accepted));
    NND_TRY(read_text(r, json, "reason", &t.reason));
    NND_TRY(read_number(r, json, "error", &t.error));
    NND_TRY(read_int(r, json, "runs", 0, &t.runs));
    NND_TRY(read_number(r, json, "load_ms", &t.load_ms));
    NND_TRY(read_number(r, json, "min_ms", &t.min_ms));
    NND_TRY(read_number(r, json, "median_ms", &t.median_ms));
    if (t.threads > 1024) return bad(r, json, "threads", "at most 1024");
    return nnd_vec_push(&entry->trials, t) ? NND_OK : no_memory();
}

static nnd_status read_kernel(const reader *r, const nnd_json *json, nnd_tuning_entry *entry)
{
    nnd_tuning_kernel kernel = {0};
    NND_TRY(read_text(r, json, "op", &kernel.op));
    NND_TRY(read_text(r, json, "shape", &kernel.shape));
    NND_TRY(read_text(r, json, "kernel", &kernel.kernel));
    kernel.instead_of = "";
    if (nnd_json_get(json, "instead_of")) {
        NND_TRY(read_text(r, json, "instead_of", &kernel.instead_of));
        NND_TRY(read_number(r, json, "ms", &kernel.ms));
        NND_TRY(read_number(r, json, "instead_of_ms", &kernel.instead_of_ms));
    }
    return nnd_vec_push(&entry->kernels, kernel) ? NND_OK : no_memory();
}

static nnd_status each(const reader *r, const nnd_json *object, const char *key,
                       nnd_status (*read)(const reader *r, const nnd_json *json,
                                          nnd_tuning_entry *entry),
                       nnd_tuning_entry *entry)
{
    const nnd_json *list;
    NND_TRY(find_member(r, object, key, NND_JSON_ARRAY, "an array", &list));
    for (size_t i = 0; i < nnd_json_count(list); i++)
        NND_TRY(read(r, nnd_json_at(list, i), entry));
    return NND_OK;
}

static nnd_status read_entry(const reader *r, const nnd_json *json)
{
    if (!nnd_vec_push(&r->tuning->entries, (nnd_tuning_entry){0})) return no_memory();
    nnd_tuning_entry *entry = &nnd_vec_last(&r->tuning->entries);
    NND_TRY(read_machine(r, json, &entry->machine));
    NND_TRY(each(r, json, "files", read_file, entry));
    NND_TRY(each(r, json, "inputs", read_input, entry));
    NND_TRY(each(r, json, "trials", read_trial, entry));
    NND_TRY(each(r, json, "kernels", read_kernel, entry));
    NND_TRY(read_int(r, json, "choice", 0, &entry->choice));
    if (!entry->files.count) return bad(r, json, "files", "a list of at least one file");
    if ((uint64_t)entry->choice >= entry->trials.count ||
        !entry->trials.items[entry->choice].accepted)
        return bad(r, json, "choice", "the position of an accepted trial");
    return NND_OK;
}

static nnd_status read_document(const reader *r, const nnd_json *root)
{
    const nnd_json *schema = nnd_json_get(root, "schema"), *entries;
    const char *name = nnd_json_string(schema, "");
    if (strcmp(name, SCHEMA) != 0) {
        if (!nnd_str_starts_with(name, "nndeploy.tuning/"))
            return bad(r, schema ? schema : root, "schema", "\"" SCHEMA "\"");
        nnd_status status = nnd_error_set(
            NND_E_UNSUPPORTED, "it has the form '%s', and this version knows '" SCHEMA "'", name);
        nnd_error_set_place(r->file, nnd_json_line(schema), nnd_json_column(schema));
        return status;
    }
    NND_TRY(find_member(r, root, "entries", NND_JSON_ARRAY, "an array", &entries));
    for (size_t i = 0; i < nnd_json_count(entries); i++)
        NND_TRY(read_entry(r, nnd_json_at(entries, i)));
    return NND_OK;
}

nnd_status nnd_tuning_parse(const char *text, size_t size, const char *file, nnd_tuning **out)
{
    nnd_json_doc *doc = NULL;
    reader r = {.file = file};
    NND_TRY(nnd_json_parse(text, size, file, &doc));
    nnd_status status = nnd_tuning_create(&r.tuning);
    if (status == NND_OK) status = read_document(&r, nnd_json_root(doc));
    nnd_json_destroy(doc);
    if (status != NND_OK) {
        nnd_tuning_unref(r.tuning);
        return status;
    }
    *out = r.tuning;
    return NND_OK;
}

nnd_status nnd_tuning_read(const char *path, nnd_tuning **out)
{
    char *text = NULL;
    size_t size = 0;
    NND_TRY(nnd_error_from_port(nnd_port_file_read(path, FILE_LIMIT, &text, &size),
                                "cannot read tuning file", path));
    nnd_status status = nnd_tuning_parse(text, size, path, out);
    nnd_port_free(text);
    return status;
}

/* ---- writing ----------------------------------------------------------------------------- */

static void put_text(nnd_json_writer *w, const char *key, const char *text)
{
    nnd_json_key(w, key);
    nnd_json_put_string(w, text);
}

static void put_int(nnd_json_writer *w, const char *key, int64_t value)
{
    nnd_json_key(w, key);
    nnd_json_put_int(w, value);
}

static void put_number(nnd_json_writer *w, const char *key, double value)
{
    nnd_json_key(w, key);
    nnd_json_put_number(w, value);
}

void nnd_tuning_trial_to_json(const nnd_tuning_trial *t, nnd_json_writer *w)
{
    nnd_json_begin_object(w);
    put_text(w, "backend", t->backend);
    put_text(w, "version", t->version);
    put_text(w, "precision", t->precision);
    put_text(w, "config", t->config);
    put_int(w, "threads", t->threads);
    nnd_json_key(w, "accepted");
    nnd_json_put_bool(w, t->accepted);
    put_text(w, "reason", t->reason);
    put_number(w, "error", t->error);
    put_int(w, "runs", t->runs);
    put_number(w, "load_ms", t->load_ms);
    put_number(w, "min_ms", t->min_ms);
    put_number(w, "median_ms", t->median_ms);
    nnd_json_end_object(w);
}

static void put_files(const nnd_tuning_entry *entry, nnd_json_writer *w)
{
    nnd_json_key(w, "files");
    nnd_json_begin_array(w);
    for (size_t i = 0; i < entry->files.count; i++) {
        const nnd_tuning_file *file = &entry->files.items[i];
        nnd_json_begin_object(w);
        put_text(w, "name", file->name);
        put_text(w, "path", file->path);
        put_int(w, "size", (int64_t)file->size);
        put_int(w, "mtime", file->mtime);
        put_text(w, "sha256", file->sha256);
        nnd_json_end_object(w);
    }
    nnd_json_end_array(w);
}

static void put_inputs(const nnd_tuning_entry *entry, nnd_json_writer *w)
{
    nnd_json_key(w, "inputs");
    nnd_json_begin_array(w);
    for (size_t i = 0; i < entry->inputs.count; i++) {
        nnd_json_begin_object(w);
        put_text(w, "name", entry->inputs.items[i].name);
        put_text(w, "type", entry->inputs.items[i].type);
        nnd_json_end_object(w);
    }
    nnd_json_end_array(w);
}

void nnd_tuning_kernel_to_json(const nnd_tuning_kernel *k, nnd_json_writer *w)
{
    nnd_json_begin_object(w);
    put_text(w, "op", k->op);
    put_text(w, "shape", k->shape);
    put_text(w, "kernel", k->kernel);
    if (k->instead_of[0]) {
        put_text(w, "instead_of", k->instead_of);
        put_number(w, "ms", k->ms);
        put_number(w, "instead_of_ms", k->instead_of_ms);
    }
    nnd_json_end_object(w);
}

static void put_kernels(const nnd_tuning_entry *entry, nnd_json_writer *w)
{
    nnd_json_key(w, "kernels");
    nnd_json_begin_array(w);
    for (size_t i = 0; entry && i < entry->kernels.count; i++)
        nnd_tuning_kernel_to_json(&entry->kernels.items[i], w);
    nnd_json_end_array(w);
}

/* kernels: the entry that says which, NULL = none. */
static void put_entry(const nnd_tuning_entry *entry, const nnd_tuning_entry *kernels,
                      nnd_json_writer *w)
{
    nnd_json_begin_object(w);
    nnd_json_key(w, "machine");
    nnd_json_begin_object(w);
    put_text(w, "cpu", entry->machine.cpu);
    put_text(w, "isa", entry->machine.isa);
    put_int(w, "cores", entry->machine.cores);
    put_text(w, "nndeploy", entry->machine.nndeploy);
    nnd_json_end_object(w);
    put_files(entry, w);
    put_inputs(entry, w);
    put_int(w, "choice", entry->choice);
    nnd_json_key(w, "trials");
    nnd_json_begin_array(w);
    for (size_t i = 0; i < entry->trials.count; i++)
        nnd_tuning_trial_to_json(&entry->trials.items[i], w);
    nnd_json_end_array(w);
    put_kernels(kernels, w);
    nnd_json_end_object(w);
}

/* The version is no part of the key: a new one measures anew, and the old result goes. */
static bool is_same_key(const nnd_tuning_entry *a, const nnd_tuning_entry *b)
{
    if (strcmp(a->machine.cpu, b->machine.cpu) != 0 || strcmp(a->machine.isa, b->machine.isa) != 0)
        return false;
    if (a->machine.cores != b->machine.cores || a->files.count != b->files.count) return false;
    for (size_t i = 0; i < a->files.count; i++)
        if (strcmp(a->files.items[i].sha256, b->files.items[i].sha256) != 0) return false;
    return true;
}

/* The entry about the same model and machine, NULL = none; takes NULL. */
static const nnd_tuning_entry *counterpart(const nnd_tuning *tuning, const nnd_tuning_entry *entry)
{
    for (size_t i = 0; tuning && i < tuning->entries.count; i++)
        if (is_same_key(&tuning->entries.items[i], entry)) return &tuning->entries.items[i];
    return NULL;
}

/* Whose kernels count when none were measured now: those of this version, if any. */
static const nnd_tuning_entry *kept_kernels(const nnd_tuning *old, const nnd_tuning_entry *entry)
{
    const nnd_tuning_entry *before = counterpart(old, entry);
    bool holds = before && strcmp(before->machine.nndeploy, entry->machine.nndeploy) == 0;
    return holds ? before : NULL;
}

static void put_merged(const nnd_tuning *old, const nnd_tuning *fresh, nnd_json_writer *w)
{
    for (size_t i = 0; old && i < old->entries.count; i++) {
        const nnd_tuning_entry *entry = &old->entries.items[i];
        if (!counterpart(fresh, entry)) put_entry(entry, entry, w);
    }
    for (size_t i = 0; i < fresh->entries.count; i++) {
        const nnd_tuning_entry *entry = &fresh->entries.items[i];
        put_entry(entry, entry->has_kernels ? entry : kept_kernels(old, entry), w);
    }
}

static nnd_status merged_text(const nnd_tuning *old, const nnd_tuning *fresh, nnd_str *out)
{
    nnd_json_writer *w = NULL;
    char *text = NULL;
    size_t size = 0;
    NND_TRY(nnd_json_writer_create(2, &w));
    nnd_json_begin_object(w);
    put_text(w, "schema", SCHEMA);
    nnd_json_key(w, "entries");
    nnd_json_begin_array(w);
    put_merged(old, fresh, w);
    nnd_json_end_array(w);
    nnd_json_end_object(w);
    nnd_status status = nnd_json_writer_take(w, &text, &size);
    nnd_json_writer_destroy(w);
    NND_TRY(status);
    nnd_str_add_n(out, text, size);
    nnd_str_add_char(out, '\n');
    nnd_free(text);
    return out->failed ? no_memory() : NND_OK;
}

static nnd_status make_folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path) return NND_OK;
    char *folder = nnd_strdup_n(path, (size_t)(slash - path));
    if (!folder) return no_memory();
    nnd_status status =
        nnd_error_from_port(nnd_port_dir_create(folder), "cannot make the folder", folder);
    nnd_free(folder);
    return status;
}

nnd_status nnd_tuning_save(const nnd_tuning *fresh, const char *path)
{
    nnd_tuning *old = NULL;
    nnd_str text = {0};
    if (nnd_port_file_exists(path)) {
        nnd_status status = nnd_tuning_read(path, &old);
        if (status != NND_OK)
            return nnd_error_wrap(status,
                                  "tuning file '%s' is left as it is, because it cannot be read; "
                                  "remove it, or name another one",
                                  path);
    }
    nnd_status status = merged_text(old, fresh, &text);
    nnd_tuning_unref(old);
    if (status == NND_OK) status = make_folder_of(path);
    if (status == NND_OK)
        status = nnd_error_from_port(nnd_port_file_write_atomic(path, text.data, text.size),
                                     "cannot write tuning file", path);
    nnd_str_free(&text);
    return status;
}
