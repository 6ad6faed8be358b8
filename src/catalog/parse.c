/* From JSON to a catalogue. Everything is checked here, so that nobody else has to. */
#include "catalog/catalog_internal.h"

#include "base/hash.h"
#include "base/port_status.h"
#include "base/str.h"
#include "port/port.h"

#include <stdlib.h>
#include <string.h>

#define FORMAT "nndeploy-catalog/1"

/* Larger than any catalogue of models by name. */
#define LARGEST_CATALOGUE ((size_t)16 << 20)
/* Larger than any model that a device holds; sums of sizes cannot overflow. */
#define LARGEST_FILE  ((int64_t)1 << 44)
#define LARGEST_SCALE 1e6
/* Pixels and variances of priors. */
#define SMALLEST_PRIOR 1e-3
#define LARGEST_PRIOR  65536.0
enum {
    MOST_VARIANTS = 32,
    MOST_FILES = 64,
    MOST_PORTS = 256,
    MOST_URLS = 32,
    MOST_PRIORS = 16,
    MOST_CHANNELS = 1024
};

typedef struct parser {
    nnd_catalog *catalog;
    const char *file;
} parser;

/* ---- pieces ------------------------------------------------------------------------------ */

static nnd_status wrong(const parser *p, const nnd_json *at, const char *format, ...)
    NND_PRINTF(3, 4);
static nnd_status wrong(const parser *p, const nnd_json *at, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    nnd_error_setv(NND_E_FORMAT, format, args);
    va_end(args);
    nnd_error_set_place(p->file, nnd_json_line(at), nnd_json_column(at));
    return NND_E_FORMAT;
}

/* An object that has no other fields than these; names that begin with "x-" are free. */
static nnd_status check_fields(const parser *p, const nnd_json *object, const char *what,
                               const char *const *names, size_t count)
{
    if (nnd_json_get_type(object) != NND_JSON_OBJECT)
        return wrong(p, object, "%s has to be an object", what);
    for (size_t i = 0; i < nnd_json_count(object); i++) {
        const char *key = nnd_json_key_at(object, i);
        bool known = nnd_str_starts_with(key, "x-");
        for (size_t k = 0; k < count && !known; k++)
            known = strcmp(key, names[k]) == 0;
        if (known) continue;
        const char *near = nnd_suggest_from(key, names, count);
        nnd_status status =
            wrong(p, nnd_json_at(object, i), "%s has no field '%.60s'%s%s%s", what, key,
                  near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
        uint32_t line = 0, column = 0;
        nnd_json_key_place(object, i, &line, &column);
        nnd_error_set_place(p->file, line, column);
        return status;
    }
    return NND_OK;
}

enum { OPTIONAL = 1 };

/* A text field; "" when it is optional and absent. */
static nnd_status get_text(parser *p, const nnd_json *object, const char *field, unsigned flags,
                           const char **out)
{
    const nnd_json *value = nnd_json_get(object, field);
    const char *text = nnd_json_string(value, NULL);
    if (!value && flags & OPTIONAL) {
        *out = "";
        return NND_OK;
    }
    if (!text || !text[0] || strlen(text) != nnd_json_string_size(value))
        return wrong(p, value ? value : object, "'%s' has to be a text that is not empty", field);
    *out = nnd_arena_strdup(&p->catalog->arena, text);
    return *out ? NND_OK : cat_no_memory();
}

/* A word such as a backend's or a role's name. */
static nnd_status get_word(parser *p, const nnd_json *object, const char *field, unsigned flags,
                           const char **out)
{
    *out = "";
    NND_TRY(get_text(p, object, field, flags, out));
    if (!(*out)[0] || cat_is_name(*out)) return NND_OK;
    return wrong(p, nnd_json_get(object, field),
                 "'%s' has to be a word of letters, digits, '.', '_' and '-'", field);
}

static nnd_status get_list(const parser *p, const nnd_json *object, const char *field, size_t least,
                           size_t most, const nnd_json **out)
{
    const nnd_json *list = nnd_json_get(object, field);
    size_t count = nnd_json_count(list);
    if (nnd_json_get_type(list) != NND_JSON_ARRAY || count < least || count > most)
        return wrong(p, list ? list : object, "'%s' has to be a list of %zu to %zu elements", field,
                     least, most);
    *out = list;
    return NND_OK;
}

static nnd_status make_array(parser *p, size_t count, size_t size, void *out)
{
    void *items = nnd_arena_calloc(&p->catalog->arena, count, size);
    memcpy(out, &items, sizeof items);
    return items ? NND_OK : cat_no_memory();
}

/* ---- files ------------------------------------------------------------------------------- */

static nnd_status read_urls(parser *p, const nnd_json *object, nnd_catalog_file *file)
{
    const nnd_json *list = NULL;
    const char **urls = NULL;
    NND_TRY(get_list(p, object, "urls", 0, MOST_URLS, &list));
    file->url_count = nnd_json_count(list);
    NND_TRY(make_array(p, file->url_count, sizeof *urls, &urls));
    for (size_t i = 0; i < file->url_count; i++) {
        const nnd_json *item = nnd_json_at(list, i);
        const char *url = nnd_json_string(item, "");
        bool whole = strlen(url) == nnd_json_string_size(item);
        if (!whole || (!cat_is_web_url(url) && !cat_is_github(url)))
            return wrong(p, item,
                         "a URL has to be https://…, http://… or "
                         "github:OWNER/REPOSITORY@COMMIT/PATH with a commit of 40 digits");
        urls[i] = nnd_arena_strdup(&p->catalog->arena, url);
        if (!urls[i]) return cat_no_memory();
    }
    file->urls = urls;
    return NND_OK;
}

static nnd_status read_file(parser *p, const nnd_json *object, nnd_catalog_file *file)
{
    static const char *const fields[] = {"role", "name", "sha256", "size", "urls"};
    const nnd_json *size = nnd_json_get(object, "size");
    int64_t bytes = 0;
    NND_TRY(check_fields(p, object, "a file", fields, NND_COUNT(fields)));
    NND_TRY(get_word(p, object, "role", 0, &file->role));
    NND_TRY(get_text(p, object, "name", 0, &file->name));
    if (!cat_is_file_name(file->name))
        return wrong(p, nnd_json_get(object, "name"),
                     "'%.80s' cannot be the name of a file: letters, digits, '.', '_', '-', '+', "
                     "and '/' between folders are allowed, and it has to stay in its folder",
                     file->name);
    NND_TRY(get_text(p, object, "sha256", 0, &file->sha256));
    if (strlen(file->sha256) != NND_SHA256_TEXT - 1 ||
        strspn(file->sha256, "0123456789abcdef") != NND_SHA256_TEXT - 1)
        return wrong(p, nnd_json_get(object, "sha256"),
                     "'sha256' has to be 64 digits of 0-9 and a-f");
    if (nnd_json_get_type(size) != NND_JSON_NUMBER || !nnd_json_int(size, &bytes) || bytes < 1 ||
        bytes > LARGEST_FILE)
        return wrong(p, size ? size : object, "'size' has to be the number of bytes, at least 1");
    file->size = (uint64_t)bytes;
    return read_urls(p, object, file);
}

/* ---- variants ---------------------------------------------------------------------------- */

static nnd_status get_number(const parser *p, const nnd_json *value, const nnd_json *around,
                             double *out)
{
    *out = nnd_json_number(value, 0);
    if (nnd_json_get_type(value) == NND_JSON_NUMBER && *out >= SMALLEST_PRIOR &&
        *out <= LARGEST_PRIOR)
        return NND_OK;
    return wrong(p, value ? value : around, "a number of priors has to be %g to %g", SMALLEST_PRIOR,
                 LARGEST_PRIOR);
}

static nnd_status read_level(parser *p, const nnd_json *object, nnd_catalog_level *level)
{
    static const char *const fields[] = {"step", "sizes"};
    const nnd_json *list = NULL;
    double *sizes = NULL;
    NND_TRY(check_fields(p, object, "a level of priors", fields, NND_COUNT(fields)));
    NND_TRY(get_number(p, nnd_json_get(object, "step"), object, &level->step));
    if (level->step < 1)
        return wrong(p, nnd_json_get(object, "step"), "'step' has to be at least one pixel");
    NND_TRY(get_list(p, object, "sizes", 1, MOST_PRIORS, &list));
    level->size_count = nnd_json_count(list);
    NND_TRY(make_array(p, level->size_count, sizeof *sizes, &sizes));
    for (size_t i = 0; i < level->size_count; i++)
        NND_TRY(get_number(p, nnd_json_at(list, i), list, &sizes[i]));
    level->sizes = sizes;
    return NND_OK;
}

static nnd_status read_priors(parser *p, const nnd_json *object, const nnd_catalog_priors **out)
{
    static const char *const fields[] = {"levels", "variances"};
    const nnd_json *levels = NULL, *variances = NULL;
    nnd_catalog_priors *priors = NULL;
    nnd_catalog_level *made = NULL;
    if (!object) return NND_OK;
    NND_TRY(check_fields(p, object, "'priors'", fields, NND_COUNT(fields)));
    NND_TRY(get_list(p, object, "levels", 1, MOST_PRIORS, &levels));
    NND_TRY(get_list(p, object, "variances", 2, 2, &variances));
    NND_TRY(make_array(p, 1, sizeof *priors, &priors));
    priors->level_count = nnd_json_count(levels);
    NND_TRY(make_array(p, priors->level_count, sizeof *made, &made));
    for (size_t i = 0; i < priors->level_count; i++)
        NND_TRY(read_level(p, nnd_json_at(levels, i), &made[i]));
    NND_TRY(get_number(p, nnd_json_at(variances, 0), variances, &priors->center_variance));
    NND_TRY(get_number(p, nnd_json_at(variances, 1), variances, &priors->size_variance));
    priors->levels = made;
    *out = priors;
    return NND_OK;
}

/* Scale and offset are read alike: a number, or a list with one per channel. */
typedef struct factor {
    const char *field;
    double usual, least; /* `least` itself is not allowed */
    double *all;         /* for every channel */
    double **each;       /* stays NULL unless there is a list */
} factor;

static nnd_status check_factor(const parser *p, const nnd_json *value, const factor *f)
{
    const double number = nnd_json_number(value, 0);
    if (nnd_json_get_type(value) == NND_JSON_NUMBER && number > f->least && number <= LARGEST_SCALE)
        return NND_OK;
    return wrong(p, value, "'%s' has to be a number above %g and at most %g, or a list of such",
                 f->field, f->least, LARGEST_SCALE);
}

static nnd_status read_factor(parser *p, const nnd_json *object, const factor *f, size_t *count)
{
    const nnd_json *value = nnd_json_get(object, f->field), *list = NULL;
    *f->all = f->usual;
    if (!value) return NND_OK;
    if (nnd_json_get_type(value) != NND_JSON_ARRAY) {
        NND_TRY(check_factor(p, value, f));
        *f->all = nnd_json_number(value, 0);
        return NND_OK;
    }
    NND_TRY(get_list(p, object, f->field, 1, MOST_CHANNELS, &list));
    if (*count && *count != nnd_json_count(list))
        return wrong(p, list, "two lists, 'scale' and 'offset', need as many elements");
    *count = nnd_json_count(list);
    NND_TRY(make_array(p, *count, sizeof **f->each, f->each));
    for (size_t i = 0; i < *count; i++) {
        NND_TRY(check_factor(p, nnd_json_at(list, i), f));
        (*f->each)[i] = nnd_json_number(nnd_json_at(list, i), 0);
    }
    return NND_OK;
}

/* Where one of both is a list, the other one is made one too. */
static nnd_status spread(parser *p, const factor *f, size_t count)
{
    if (!count || *f->each) return NND_OK;
    NND_TRY(make_array(p, count, sizeof **f->each, f->each));
    for (size_t i = 0; i < count; i++)
        (*f->each)[i] = *f->all;
    return NND_OK;
}

static nnd_status read_factors(parser *p, const nnd_json *object, nnd_catalog_port *port)
{
    double *scales = NULL, *offsets = NULL;
    const factor scale = {"scale", 1, 0, &port->scale, &scales};
    const factor offset = {"offset", 0, -LARGEST_SCALE, &port->offset, &offsets};
    NND_TRY(read_factor(p, object, &scale, &port->channel_count));
    NND_TRY(read_factor(p, object, &offset, &port->channel_count));
    if (port->channel_count && !strchr(port->layout, 'C'))
        return wrong(p, object,
                     "a list of one number per channel needs a 'layout' with the channels, C");
    NND_TRY(spread(p, &scale, port->channel_count));
    NND_TRY(spread(p, &offset, port->channel_count));
    port->scales = scales;
    port->offsets = offsets;
    return NND_OK;
}

static bool has_twins(const char *letters)
{
    for (; *letters; letters++)
        if (strchr(letters + 1, *letters)) return true;
    return false;
}

static nnd_status read_port(parser *p, const char *name, const nnd_json *object,
                            nnd_catalog_port *port)
{
    static const char *const fields[] = {"name", "layout", "dtype", "scale", "offset", "priors"};
    const char *dtype = "";
    NND_TRY(check_fields(p, object, "a port", fields, NND_COUNT(fields)));
    port->port = nnd_arena_strdup(&p->catalog->arena, name);
    if (!port->port) return cat_no_memory();
    NND_TRY(get_text(p, object, "name", OPTIONAL, &port->name));
    if (!port->name[0]) port->name = port->port;
    NND_TRY(get_text(p, object, "layout", OPTIONAL, &port->layout));
    size_t letters = strspn(port->layout, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    if (letters > NND_MAX_RANK || port->layout[letters] || has_twins(port->layout))
        return wrong(p, nnd_json_get(object, "layout"),
                     "'layout' has to be up to %d different capital letters, one per dimension",
                     NND_MAX_RANK);
    NND_TRY(get_word(p, object, "dtype", OPTIONAL, &dtype));
    port->dtype = dtype[0] ? nnd_dtype_from_name(dtype) : NND_DTYPE_INVALID;
    if (dtype[0] && strcmp(nnd_dtype_name(port->dtype), dtype) != 0)
        return wrong(p, nnd_json_get(object, "dtype"), "'%.40s' is no element type", dtype);
    NND_TRY(read_factors(p, object, port));
    return read_priors(p, nnd_json_get(object, "priors"), &port->priors);
}

/* Two ports with one name would hide each other. */
static nnd_status check_port_names(const parser *p, const nnd_json *object, const cat_variant *v)
{
    for (size_t i = 0; i < v->pub.port_count; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(v->ports[i].name, v->ports[k].name) == 0)
                return wrong(p, nnd_json_at(object, i), "the name '%.60s' is given to two ports",
                             v->ports[i].name);
    return NND_OK;
}

static nnd_status read_ports(parser *p, const nnd_json *variant, cat_variant *v)
{
    const nnd_json *object = nnd_json_get(variant, "io");
    if (!object) return NND_OK;
    if (nnd_json_get_type(object) != NND_JSON_OBJECT || nnd_json_count(object) > MOST_PORTS)
        return wrong(p, object, "'io' has to be an object: up to %d port names and what they are",
                     MOST_PORTS);
    v->pub.port_count = nnd_json_count(object);
    NND_TRY(make_array(p, v->pub.port_count, sizeof *v->ports, &v->ports));
    for (size_t i = 0; i < v->pub.port_count; i++) {
        const char *name = nnd_json_key_at(object, i);
        if (!name[0] || strlen(name) != nnd_json_key_size(object, i))
            return wrong(p, nnd_json_at(object, i), "a port needs a name");
        NND_TRY(read_port(p, name, nnd_json_at(object, i), &v->ports[i]));
    }
    return check_port_names(p, object, v);
}

static nnd_status read_variant(parser *p, const nnd_json *object, cat_variant *v)
{
    static const char *const fields[] = {"backend", "precision", "device", "files", "io"};
    const nnd_json *files = NULL;
    size_t main_files = 0;
    NND_TRY(check_fields(p, object, "a variant", fields, NND_COUNT(fields)));
    NND_TRY(get_word(p, object, "backend", OPTIONAL, &v->pub.backend));
    NND_TRY(get_word(p, object, "precision", 0, &v->pub.precision));
    NND_TRY(get_word(p, object, "device", OPTIONAL, &v->pub.device));
    NND_TRY(get_list(p, object, "files", 1, MOST_FILES, &files));
    v->pub.file_count = nnd_json_count(files);
    NND_TRY(make_array(p, v->pub.file_count, sizeof *v->files, &v->files));
    for (size_t i = 0; i < v->pub.file_count; i++) {
        NND_TRY(read_file(p, nnd_json_at(files, i), &v->files[i]));
        main_files += strcmp(v->files[i].role, "model") == 0;
    }
    if (main_files != 1)
        return wrong(p, files, "exactly one file of a variant has the role 'model'; here %zu have",
                     main_files);
    return read_ports(p, object, v);
}

/* ---- models ------------------------------------------------------------------------------ */

/* Variants share a folder: a name there means one content. Names that differ in case only would
   be one file on some systems. */
static bool same_name(const char *a, const char *b)
{
    for (; *a && *b; a++, b++) {
        char x = *a >= 'A' && *a <= 'Z' ? (char)(*a + 32) : *a;
        char y = *b >= 'A' && *b <= 'Z' ? (char)(*b + 32) : *b;
        if (x != y) return false;
    }
    return *a == *b;
}

static const nnd_catalog_file *find_clash(const cat_model *m, const cat_variant *before,
                                          const nnd_catalog_file *file)
{
    for (const cat_variant *v = m->variants; v <= before; v++)
        for (size_t i = 0; i < v->pub.file_count; i++) {
            const nnd_catalog_file *other = &v->files[i];
            if (other == file) return NULL;
            bool same = strcmp(other->name, file->name) == 0 && v != before &&
                        strcmp(other->sha256, file->sha256) == 0 && other->size == file->size;
            if (!same && same_name(other->name, file->name)) return other;
        }
    return NULL;
}

static nnd_status check_file_names(const parser *p, const nnd_json *variant, const cat_model *m,
                                   const cat_variant *v)
{
    for (size_t i = 0; i < v->pub.file_count; i++)
        if (find_clash(m, v, &v->files[i]))
            return wrong(p, nnd_json_at(nnd_json_get(variant, "files"), i),
                         "the model has two different files with the name '%s'", v->files[i].name);
    return NND_OK;
}

static nnd_status read_model(parser *p, const char *name, const nnd_json *object, cat_model *m)
{
    static const char *const fields[] = {"task", "licence", "note", "variants"};
    const nnd_json *variants = NULL;
    NND_TRY(check_fields(p, object, "a model", fields, NND_COUNT(fields)));
    m->pub.name = nnd_arena_strdup(&p->catalog->arena, name);
    if (!m->pub.name) return cat_no_memory();
    NND_TRY(get_word(p, object, "task", 0, &m->pub.task));
    NND_TRY(get_text(p, object, "licence", 0, &m->pub.licence));
    NND_TRY(get_text(p, object, "note", OPTIONAL, &m->pub.note));
    NND_TRY(get_list(p, object, "variants", 1, MOST_VARIANTS, &variants));
    m->pub.variant_count = nnd_json_count(variants);
    NND_TRY(make_array(p, m->pub.variant_count, sizeof *m->variants, &m->variants));
    for (size_t i = 0; i < m->pub.variant_count; i++) {
        const nnd_json *variant = nnd_json_at(variants, i);
        NND_TRY(read_variant(p, variant, &m->variants[i]));
        NND_TRY(check_file_names(p, variant, m, &m->variants[i]));
    }
    return NND_OK;
}

static int compare_models(const void *a, const void *b)
{
    return strcmp(((const cat_model *)a)->pub.name, ((const cat_model *)b)->pub.name);
}

static nnd_status read_catalogue(parser *p, const nnd_json *root)
{
    static const char *const fields[] = {"format", "models"};
    const nnd_json *format = nnd_json_get(root, "format"), *models = nnd_json_get(root, "models");
    NND_TRY(check_fields(p, root, "a catalogue", fields, NND_COUNT(fields)));
    if (strcmp(nnd_json_string(format, ""), FORMAT) != 0)
        return wrong(p, format ? format : root, "'format' has to be \"" FORMAT "\"");
    if (nnd_json_get_type(models) != NND_JSON_OBJECT)
        return wrong(p, models ? models : root, "'models' has to be an object: names and models");
    p->catalog->count = nnd_json_count(models);
    NND_TRY(make_array(p, p->catalog->count, sizeof(cat_model), &p->catalog->models));
    for (size_t i = 0; i < p->catalog->count; i++) {
        const nnd_json *model = nnd_json_at(models, i);
        const char *name = nnd_json_key_at(models, i);
        if (strlen(name) != nnd_json_key_size(models, i) || !cat_is_name(name))
            return wrong(p, model,
                         "'%.80s' cannot be the name of a model: letters, digits, '.', '_' and "
                         "'-' are allowed, 64 at most",
                         name);
        nnd_status status = read_model(p, name, model, &p->catalog->models[i]);
        if (status != NND_OK) return nnd_error_wrap(status, "model '%s'", name);
    }
    if (p->catalog->count)
        qsort(p->catalog->models, p->catalog->count, sizeof(cat_model), compare_models);
    return NND_OK;
}

nnd_status nnd_catalog_parse(const char *text, size_t size, const char *file, nnd_catalog **out)
{
    nnd_json_doc *doc = NULL;
    if (!text || !out)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "nnd_catalog_parse: text and out are required");
    NND_TRY(nnd_json_parse(text, size, file, &doc));
    parser p = {nnd_calloc(1, sizeof(nnd_catalog)), file};
    nnd_status status = p.catalog ? read_catalogue(&p, nnd_json_root(doc)) : cat_no_memory();
    nnd_json_destroy(doc);
    if (status != NND_OK) {
        nnd_catalog_destroy(p.catalog);
        return status;
    }
    *out = p.catalog;
    return NND_OK;
}

nnd_status nnd_catalog_load(const char *path, nnd_catalog **out)
{
    char *text = NULL;
    size_t size = 0;
    if (!path || !out)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "nnd_catalog_load: path and out are required");
    int rc = nnd_port_file_read(path, LARGEST_CATALOGUE, &text, &size);
    NND_TRY(nnd_error_from_port(rc, "cannot read catalogue", path));
    nnd_status status = nnd_catalog_parse(text, size, path, out);
    nnd_port_free(text);
    return status;
}
