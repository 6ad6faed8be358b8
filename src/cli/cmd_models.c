/* models list, where and check: what there is, where it is, and whether it is whole. */
#include "cli/models.h"

#include "nndeploy/nodes.h"
#include "port/port.h"

#include <string.h>

/* ---- what is shared ---------------------------------------------------------------------- */

typedef NND_VEC(const char *) text_list;

/* The mirrors of the command line, then the folders of models, in which the cache is one. */
static nnd_status add_mirrors(const cli *c, char *const *folders, size_t count, const char *cache,
                              text_list *list)
{
    for (size_t i = 0; i < cli_count(c, "mirror"); i++)
        if (!nnd_vec_push(list, cli_nth(c, "mirror", i))) return cli_no_memory();
    for (size_t i = 0; i < count; i++) {
        if (strcmp(folders[i], cache) == 0 || !nnd_port_dir_exists(folders[i])) continue;
        if (!nnd_vec_push(list, folders[i])) return cli_no_memory();
    }
    return NND_OK;
}

static nnd_status open_cache(const cli *c, const char *folder, cli_models *m)
{
    nnd_model_cache_options options = NND_MODEL_CACHE_OPTIONS_INIT;
    text_list mirrors = {0};
    char **folders = NULL;
    size_t count = 0;
    nnd_status status = nnd_nodes_model_folders(".", &folders, &count);
    if (status == NND_OK) status = add_mirrors(c, folders, count, folder, &mirrors);
    options.catalog = m->catalog;
    options.folder = folder;
    options.mirrors = mirrors.items;
    options.mirror_count = mirrors.count;
    if (status == NND_OK) status = nnd_model_cache_create(&options, &m->cache);
    for (size_t i = 0; i < count; i++)
        nnd_free(folders[i]);
    nnd_free(folders);
    nnd_vec_free(&mirrors);
    return status;
}

nnd_status cli_models_open(const cli *c, cli_models *m)
{
    const char *file = cli_text(c, "catalog", NULL), *cache = cli_text(c, "cache", NULL);
    char *folder = NULL;
    if (file) NND_TRY(nnd_catalog_load(file, &m->catalog));
    if (cache)
        folder = nnd_strf("%s/models", cache);
    else
        NND_TRY(nnd_model_cache_default_folder(&folder));
    nnd_status status = folder ? open_cache(c, folder, m) : cli_no_memory();
    nnd_free(folder);
    return status;
}

void cli_models_close(cli_models *m)
{
    nnd_model_cache_destroy(m->cache);
    nnd_catalog_destroy(m->catalog);
}

nnd_status cli_models_find(const cli_models *m, const char *name, const nnd_catalog_model **out)
{
    const nnd_catalog *catalog = nnd_model_cache_catalog(m->cache);
    *out = nnd_catalog_find(catalog, name);
    if (*out) return NND_OK;
    const char *near = nnd_catalog_suggest(catalog, name);
    if (near)
        return nnd_error_set(NND_E_NOT_FOUND,
                             "the catalogue has no model '%.80s' (did you mean '%s'?)", name, near);
    return nnd_error_set(NND_E_NOT_FOUND,
                         "the catalogue has no model '%.80s'; 'nndeploy models list' shows what "
                         "it has",
                         name);
}

static bool is_asked_for(const cli *c, const char *option, const char *has)
{
    const char *wanted = cli_text(c, option, "");
    return !wanted[0] || !has[0] || strcmp(wanted, has) == 0;
}

/* As the options say, among those that answer the word behind '@'. */
static const nnd_catalog_variant *pick(const cli *c, const nnd_catalog_model *model,
                                       const char *word)
{
    if (!word)
        return nnd_catalog_pick(model, cli_text(c, "backend", NULL), cli_text(c, "precision", NULL),
                                cli_text(c, "device", NULL));
    for (size_t i = 0; i < model->variant_count; i++) {
        const nnd_catalog_variant *v = nnd_catalog_variant_at(model, i);
        if (nnd_catalog_variant_answers(v, word) && is_asked_for(c, "backend", v->backend) &&
            is_asked_for(c, "precision", v->precision) && is_asked_for(c, "device", v->device))
            return v;
    }
    return NULL;
}

nnd_status cli_models_variant(const cli *c, const cli_models *m, const char *name,
                              const nnd_catalog_model **model, const nnd_catalog_variant **variant)
{
    const char *at = strchr(name, '@');
    char *plain = nnd_strdup_n(name, strcspn(name, "@"));
    if (!plain) return cli_no_memory();
    nnd_status status = cli_models_find(m, plain, model);
    nnd_free(plain);
    NND_TRY(status);
    *variant = pick(c, *model, at ? at + 1 : NULL);
    if (*variant) return NND_OK;
    char *words = nnd_catalog_variant_words(*model);
    nnd_error_set(NND_E_NOT_FOUND, "model '%s' has no such variant; it has: %s", (*model)->name,
                  words ? words : "");
    nnd_free(words);
    return NND_E_NOT_FOUND;
}

uint64_t cli_models_size(const nnd_catalog_variant *variant)
{
    uint64_t size = 0;
    for (size_t i = 0; i < variant->file_count; i++)
        size += nnd_catalog_file_at(variant, i)->size;
    return size;
}

void cli_models_variant_text(const nnd_catalog_variant *variant, char *text, size_t size)
{
    snprintf(text, size, "%s%s%s%s%s", variant->backend, variant->backend[0] ? " " : "",
             variant->device, variant->device[0] ? " " : "", variant->precision);
}

void cli_models_variant_json(nnd_json_writer *w, const nnd_catalog_variant *variant)
{
    cli_json_text(w, "backend", variant->backend);
    cli_json_text(w, "device", variant->device);
    cli_json_text(w, "precision", variant->precision);
}

/* The file of a variant where a workflow would find it, NULL when it would not. */
static char *find(const cli_models *m, const nnd_catalog_model *model,
                  const nnd_catalog_variant *variant, const nnd_catalog_file *file)
{
    char *path = NULL;
    if (nnd_model_cache_find(m->cache, model, variant, file, &path) != NND_OK) nnd_error_clear();
    return path;
}

/* ---- list -------------------------------------------------------------------------------- */

static bool is_wanted(const cli *c, const nnd_catalog_model *model)
{
    const char *task = cli_text(c, "task", NULL);
    return !task || strcmp(task, model->task) == 0;
}

static void list_variant_json(const cli_models *m, const nnd_catalog_model *model,
                              const nnd_catalog_variant *variant, nnd_json_writer *w)
{
    char *path = find(m, model, variant, NULL);
    nnd_json_begin_object(w);
    cli_models_variant_json(w, variant);
    cli_json_int(w, "size", (int64_t)cli_models_size(variant));
    cli_json_bool(w, "present", path != NULL);
    nnd_json_key(w, "path");
    nnd_json_put_string(w, path);
    nnd_json_end_object(w);
    nnd_free(path);
}

static int list_json(cli *c, const cli_models *m)
{
    const nnd_catalog *catalog = nnd_model_cache_catalog(m->cache);
    nnd_json_writer *w = cli_json_begin(c, "models_list");
    if (!w) return cli_fail(c, NND_E_OUT_OF_MEMORY, NULL);
    nnd_json_key(w, "models");
    nnd_json_begin_array(w);
    for (size_t i = 0; i < nnd_catalog_count(catalog); i++) {
        const nnd_catalog_model *model = nnd_catalog_at(catalog, i);
        if (!is_wanted(c, model)) continue;
        nnd_json_begin_object(w);
        cli_json_text(w, "name", model->name);
        cli_json_text(w, "task", model->task);
        cli_json_text(w, "licence", model->licence);
        cli_json_text(w, "note", model->note);
        nnd_json_key(w, "variants");
        nnd_json_begin_array(w);
        for (size_t v = 0; v < model->variant_count; v++)
            list_variant_json(m, model, nnd_catalog_variant_at(model, v), w);
        nnd_json_end_array(w);
        nnd_json_end_object(w);
    }
    nnd_json_end_array(w);
    return cli_json_end(c, CLI_OK);
}

/* One line per variant; what belongs to the model stands in its first one. */
static void list_variant(const cli_models *m, const nnd_catalog_model *model, size_t index,
                         cli_table *table)
{
    const nnd_catalog_variant *variant = nnd_catalog_variant_at(model, index);
    char text[220], size[32];
    char *path = find(m, model, variant, NULL);
    cli_models_variant_text(variant, text, sizeof text);
    cli_bytes_text(cli_models_size(variant), size);
    cli_table_add(table, index ? "" : model->name);
    cli_table_add(table, index ? "" : model->task);
    cli_table_add(table, index ? "" : model->licence);
    cli_table_add(table, text);
    cli_table_add(table, size);
    cli_table_add(table, path ? "yes" : "no");
    nnd_free(path);
}

static int list_text(const cli *c, const cli_models *m)
{
    static const char *const heads[] = {"MODEL", "TASK", "LICENCE", "VARIANT", "SIZE", "PRESENT"};
    const nnd_catalog *catalog = nnd_model_cache_catalog(m->cache);
    cli_table table = {.columns = NND_COUNT(heads), .right = 1u << 4};
    for (size_t i = 0; i < NND_COUNT(heads); i++)
        cli_table_add(&table, heads[i]);
    for (size_t i = 0; i < nnd_catalog_count(catalog); i++) {
        const nnd_catalog_model *model = nnd_catalog_at(catalog, i);
        for (size_t v = 0; v < model->variant_count && is_wanted(c, model); v++)
            list_variant(m, model, v, &table);
    }
    cli_table_print(&table, "");
    return CLI_OK;
}

int cli_run_models_list(cli *c)
{
    cli_models m = {0};
    nnd_status status = cli_models_open(c, &m);
    int code = status != NND_OK ? cli_fail(c, status, NULL)
               : c->json        ? list_json(c, &m)
                                : list_text(c, &m);
    cli_models_close(&m);
    return code;
}

/* ---- where ------------------------------------------------------------------------------- */

static void where_model_json(const cli_models *m, const nnd_catalog_model *model,
                             const nnd_catalog_variant *variant, nnd_json_writer *w)
{
    nnd_json_begin_object(w);
    cli_json_text(w, "name", model->name);
    cli_models_variant_json(w, variant);
    nnd_json_key(w, "files");
    nnd_json_begin_array(w);
    for (size_t i = 0; i < variant->file_count; i++) {
        const nnd_catalog_file *file = nnd_catalog_file_at(variant, i);
        char *path = find(m, model, variant, file);
        nnd_json_begin_object(w);
        cli_json_text(w, "role", file->role);
        cli_json_text(w, "name", file->name);
        nnd_json_key(w, "path");
        nnd_json_put_string(w, path);
        nnd_json_end_object(w);
        nnd_free(path);
    }
    nnd_json_end_array(w);
    nnd_json_end_object(w);
}

/* Paths alone, a line for each: scripts read them. */
static nnd_status where_model_text(const cli_models *m, const nnd_catalog_model *model,
                                   const nnd_catalog_variant *variant)
{
    for (size_t i = 0; i < variant->file_count; i++) {
        char *path = NULL;
        const nnd_catalog_file *file = nnd_catalog_file_at(variant, i);
        NND_TRY(nnd_model_cache_find(m->cache, model, variant, file, &path));
        printf("%s\n", path);
        nnd_free(path);
    }
    return NND_OK;
}

static int where_places(const cli_models *m)
{
    cli_table table = {.columns = 2};
    cli_table_add(&table, "cache");
    cli_table_add(&table, nnd_model_cache_folder(m->cache));
    for (size_t i = 0; i < nnd_model_cache_mirror_count(m->cache); i++) {
        cli_table_add(&table, "mirror");
        cli_table_add(&table, nnd_model_cache_mirror_at(m->cache, i));
    }
    cli_table_print(&table, "");
    return CLI_OK;
}

static void begin_where_json(const cli_models *m, nnd_json_writer *w)
{
    cli_json_text(w, "cache", nnd_model_cache_folder(m->cache));
    nnd_json_key(w, "mirrors");
    nnd_json_begin_array(w);
    for (size_t i = 0; i < nnd_model_cache_mirror_count(m->cache); i++)
        nnd_json_put_string(w, nnd_model_cache_mirror_at(m->cache, i));
    nnd_json_end_array(w);
    nnd_json_key(w, "models");
    nnd_json_begin_array(w);
}

/* With w the result goes there, and a model that is nowhere counts in *missing only. */
static nnd_status where_model(const cli *c, const cli_models *m, const char *name,
                              nnd_json_writer *w, bool *missing)
{
    const nnd_catalog_model *model = NULL;
    const nnd_catalog_variant *variant = NULL;
    NND_TRY(cli_models_variant(c, m, name, &model, &variant));
    if (!w) return where_model_text(m, model, variant);
    char *path = find(m, model, variant, NULL);
    *missing |= !path;
    nnd_free(path);
    where_model_json(m, model, variant, w);
    return NND_OK;
}

static int where(cli *c, const cli_models *m)
{
    nnd_json_writer *w = c->json ? cli_json_begin(c, "models_where") : NULL;
    bool missing = false;
    if (c->json && !w) return cli_fail(c, NND_E_OUT_OF_MEMORY, NULL);
    if (w) begin_where_json(m, w);
    if (!w && c->operands.count == 0) return where_places(m);
    for (size_t i = 0; i < c->operands.count; i++) {
        nnd_status status = where_model(c, m, cli_operand(c, i), w, &missing);
        if (status != NND_OK) return cli_fail(c, status, NULL);
    }
    if (!w) return CLI_OK;
    nnd_json_end_array(w);
    return cli_json_end(c, missing ? CLI_MISSING : CLI_OK);
}

int cli_run_models_where(cli *c)
{
    cli_models m = {0};
    nnd_status status = cli_models_open(c, &m);
    int code = status == NND_OK ? where(c, &m) : cli_fail(c, status, NULL);
    cli_models_close(&m);
    return code;
}

/* ---- check ------------------------------------------------------------------------------- */

typedef struct check {
    const cli_models *m;
    nnd_cancel *cancel;
    nnd_json_writer *w; /* NULL: a table */
    cli_table table;
    size_t present, missing, damaged;
} check;

static nnd_status check_file(check *k, const nnd_catalog_model *model, const nnd_catalog_file *file)
{
    nnd_model_file_state state = NND_MODEL_FILE_MISSING;
    char *path = NULL;
    nnd_status status = nnd_cancel_check(k->cancel);
    if (status != NND_OK) return nnd_error_set(status, "interrupted");
    cli_watch_progress(model->name, 0, 0);
    NND_TRY(nnd_model_cache_check(k->m->cache, model, file, true, &state));
    NND_TRY(nnd_model_cache_path(k->m->cache, model, file, &path));
    if (state == NND_MODEL_FILE_PRESENT)
        k->present++;
    else if (state == NND_MODEL_FILE_DAMAGED)
        k->damaged++;
    else
        k->missing++;
    if (k->w) {
        nnd_json_begin_object(k->w);
        cli_json_text(k->w, "model", model->name);
        cli_json_text(k->w, "file", file->name);
        cli_json_text(k->w, "path", path);
        cli_json_text(k->w, "state", nnd_model_file_state_name(state));
        nnd_json_end_object(k->w);
    } else {
        cli_table_add(&k->table, model->name);
        cli_table_add(&k->table, file->name);
        cli_table_add(&k->table, nnd_model_file_state_name(state));
    }
    nnd_free(path);
    return NND_OK;
}

static nnd_status has_trace(const check *k, const nnd_catalog_model *model,
                            const nnd_catalog_file *file, bool *has)
{
    nnd_model_file_state state = NND_MODEL_FILE_MISSING;
    NND_TRY(nnd_model_cache_check(k->m->cache, model, file, false, &state));
    *has |= state != NND_MODEL_FILE_MISSING;
    return NND_OK;
}

/* Variants may share files, labels for example. Each is looked at once. */
static bool was_checked(const nnd_catalog_model *model, const bool *checked, size_t count,
                        const nnd_catalog_file *file)
{
    for (size_t v = 0; v < count; v++) {
        const nnd_catalog_variant *variant = nnd_catalog_variant_at(model, v);
        for (size_t f = 0; checked[v] && f < variant->file_count; f++)
            if (strcmp(nnd_catalog_file_at(variant, f)->name, file->name) == 0) return true;
    }
    return false;
}

/* The variants that the cache means to hold: those whose main file has left a trace; without one
   the first that has any file there. A model that was asked for by name is there in any case. */
static nnd_status choose_variants(const check *k, const nnd_catalog_model *model, bool is_asked_for,
                                  bool *chosen)
{
    bool any = false;
    for (size_t v = 0; v < model->variant_count; v++) {
        const nnd_catalog_variant *variant = nnd_catalog_variant_at(model, v);
        NND_TRY(has_trace(k, model, nnd_catalog_main_file(variant), &chosen[v]));
        any |= chosen[v];
    }
    for (size_t v = 0; v < model->variant_count && !any; v++) {
        const nnd_catalog_variant *variant = nnd_catalog_variant_at(model, v);
        for (size_t f = 0; f < variant->file_count; f++)
            NND_TRY(has_trace(k, model, nnd_catalog_file_at(variant, f), &chosen[v]));
        any = chosen[v];
    }
    chosen[0] |= is_asked_for && !any;
    return NND_OK;
}

static nnd_status check_model(check *k, const nnd_catalog_model *model, bool is_asked_for)
{
    bool *chosen = nnd_calloc(model->variant_count, sizeof *chosen);
    nnd_status status = chosen ? choose_variants(k, model, is_asked_for, chosen) : cli_no_memory();
    for (size_t v = 0; v < model->variant_count && status == NND_OK; v++) {
        const nnd_catalog_variant *variant = nnd_catalog_variant_at(model, v);
        if (!chosen[v]) continue;
        for (size_t f = 0; f < variant->file_count && status == NND_OK; f++) {
            const nnd_catalog_file *file = nnd_catalog_file_at(variant, f);
            if (!was_checked(model, chosen, v, file)) status = check_file(k, model, file);
        }
    }
    nnd_free(chosen);
    return status;
}

static nnd_status check_all(const cli *c, check *k)
{
    const nnd_catalog *catalog = nnd_model_cache_catalog(k->m->cache);
    const nnd_catalog_model *model = NULL;
    for (size_t i = 0; i < c->operands.count; i++) {
        NND_TRY(cli_models_find(k->m, cli_operand(c, i), &model));
        NND_TRY(check_model(k, model, true));
    }
    for (size_t i = 0; c->operands.count == 0 && i < nnd_catalog_count(catalog); i++)
        NND_TRY(check_model(k, nnd_catalog_at(catalog, i), false));
    return NND_OK;
}

static int finish_check(cli *c, check *k)
{
    int code = k->damaged ? CLI_INVALID : k->missing ? CLI_MISSING : CLI_OK;
    cli_watch_end();
    if (k->w) {
        nnd_json_end_array(k->w);
        cli_json_int(k->w, "present", (int64_t)k->present);
        cli_json_int(k->w, "missing", (int64_t)k->missing);
        cli_json_int(k->w, "damaged", (int64_t)k->damaged);
        return cli_json_end(c, code);
    }
    cli_table_print(&k->table, "");
    if (code != CLI_OK)
        fprintf(stderr,
                "nndeploy: error: %zu missing, %zu damaged; 'nndeploy models pull' brings "
                "them\n",
                k->missing, k->damaged);
    return code;
}

int cli_run_models_check(cli *c)
{
    cli_models m = {0};
    check k = {.m = &m, .table = {.columns = 3}};
    nnd_status status = cli_models_open(c, &m);
    if (status == NND_OK) status = cli_watch_begin(c, &k.cancel);
    if (status == NND_OK && c->json) {
        k.w = cli_json_begin(c, "models_check");
        if (k.w) nnd_json_key(k.w, "files");
        if (k.w) nnd_json_begin_array(k.w);
        if (!k.w) status = cli_no_memory();
    }
    if (status == NND_OK) status = check_all(c, &k);
    int code = status == NND_OK ? finish_check(c, &k) : cli_fail_work(c, status);
    cli_watch_end();
    cli_table_free(&k.table);
    cli_models_close(&m);
    return code;
}
