/* Parameter snapshots. Each value is reference-counted on its own, so that a snapshot with one
   parameter changed shares all the others. */
#include "workflow/format/params.h"

#include "base/number.h"
#include "base/options.h"
#include "base/str.h"
#include "workflow/registry.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

typedef struct pvalue {
    _Atomic uint32_t holders;
    bool set;        /* given by the workflow or the run, not the default */
    int64_t integer; /* BOOL, INT; ENUM: position */
    double number;   /* FLOAT */
    char *text;      /* ENUM, TEXT, FILE, MODEL; canonical JSON of NUMBERS, STRINGS, JSON */
    double *numbers;
    size_t count;      /* of numbers or strings */
    nnd_json_doc *doc; /* STRINGS and JSON: the strings are read from it */
} pvalue;

struct nnd_params {
    _Atomic uint32_t holders;
    const nnd_node_type *type;
    pvalue *values[]; /* one per declared parameter */
};

/* What conversions need besides the JSON. */
typedef struct source {
    nnd_io *io;
    const nnd_services *services;
    bool check_only;
} source;

/* ---- life -------------------------------------------------------------------------------- */

static nnd_status no_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for parameters");
}

static void pvalue_unref(pvalue *v)
{
    if (!v || atomic_fetch_sub_explicit(&v->holders, 1, memory_order_acq_rel) != 1) return;
    nnd_free(v->text);
    nnd_free(v->numbers);
    nnd_json_destroy(v->doc);
    nnd_free(v);
}

static pvalue *pvalue_create(void)
{
    pvalue *v = nnd_calloc(1, sizeof *v);
    if (v) v->holders = 1;
    return v;
}

nnd_params *wf_params_ref(nnd_params *params)
{
    if (params) atomic_fetch_add_explicit(&params->holders, 1, memory_order_relaxed);
    return params;
}

void wf_params_unref(nnd_params *params)
{
    if (!params || atomic_fetch_sub_explicit(&params->holders, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < params->type->params.count; i++)
        pvalue_unref(params->values[i]);
    nnd_free(params);
}

static nnd_params *params_create(const nnd_node_type *type)
{
    nnd_params *params =
        nnd_calloc(1, sizeof *params + type->params.count * sizeof params->values[0]);
    if (!params) return NULL;
    params->holders = 1;
    params->type = type;
    return params;
}

/* ---- conversion of one value ------------------------------------------------------------- */

static const char *json_kind(const nnd_json *json)
{
    static const char *const names[] = {"null",     "a bool",   "a number",
                                        "a string", "an array", "an object"};
    return names[nnd_json_get_type(json)];
}

static nnd_status wrong_kind(const nnd_param *p, const char *wanted, const char *got)
{
    return nnd_error_set(NND_E_TYPE, "parameter '%s' must be %s, not %s", p->name, wanted, got);
}

static bool has_bounds(const nnd_param *p)
{
    return p->minimum != 0 || p->maximum != 0;
}

static nnd_status check_bounds(const nnd_param *p, double value)
{
    if (!nnd_number_is_finite(value))
        return nnd_error_set(NND_E_LIMIT, "parameter '%s' must be a finite number", p->name);
    if (!has_bounds(p) || (value >= p->minimum && value <= p->maximum)) return NND_OK;
    return nnd_error_set(NND_E_LIMIT, "parameter '%s' = %.10g is out of bounds: %.10g … %.10g%s%s",
                         p->name, value, p->minimum, p->maximum, p->unit && p->unit[0] ? " " : "",
                         p->unit ? p->unit : "");
}

static nnd_status set_number(const nnd_param *p, double value, pvalue *v)
{
    NND_TRY(check_bounds(p, value));
    if (p->kind == NND_PARAM_KIND_INT) {
        if (value != floor(value))
            return nnd_error_set(NND_E_TYPE, "parameter '%s' must be a whole number, not %.17g",
                                 p->name, value);
        if (fabs(value) > 9007199254740991.0)
            return nnd_error_set(NND_E_TYPE,
                                 "parameter '%s': whole numbers beyond 2^53 are written as text, "
                                 "\"%.0f\"",
                                 p->name, value);
        v->integer = (int64_t)value;
    }
    v->number = value;
    return NND_OK;
}

static nnd_status set_integer(const nnd_param *p, int64_t value, pvalue *v)
{
    NND_TRY(check_bounds(p, (double)value));
    v->integer = value;
    v->number = (double)value;
    return NND_OK;
}

static nnd_status set_text(const nnd_param *p, const char *text, pvalue *v)
{
    if (p->kind == NND_PARAM_KIND_ENUM) {
        v->integer = nnd_parse_choice(text, p->values);
        if (v->integer < 0)
            return nnd_error_set(NND_E_LIMIT, "parameter '%s' = '%s' must be one of %s", p->name,
                                 text, p->values);
    }
    v->text = nnd_strdup(text);
    return v->text ? NND_OK : no_memory();
}

static nnd_status set_numbers(const nnd_param *p, const nnd_json *json, pvalue *v)
{
    bool single = nnd_json_get_type(json) == NND_JSON_NUMBER;
    if (!single && nnd_json_get_type(json) != NND_JSON_ARRAY)
        return wrong_kind(p, "an array of numbers, or one number", json_kind(json));
    size_t count = single ? 1 : nnd_json_count(json);
    v->numbers = nnd_calloc(count + 1, sizeof *v->numbers);
    if (!v->numbers) return no_memory();
    v->count = count;
    for (size_t i = 0; i < count; i++) {
        const nnd_json *item = single ? json : nnd_json_at(json, i);
        if (nnd_json_get_type(item) != NND_JSON_NUMBER)
            return wrong_kind(p, "an array of numbers", json_kind(item));
        v->numbers[i] = nnd_json_number(item, 0);
        NND_TRY(check_bounds(p, v->numbers[i]));
    }
    return wf_json_text(json, &v->text);
}

static nnd_status keep_json(const nnd_json *json, pvalue *v)
{
    NND_TRY(wf_json_text(json, &v->text));
    return nnd_json_parse(v->text, strlen(v->text), NULL, &v->doc);
}

static bool has_nul(const nnd_json *json)
{
    return strlen(nnd_json_string(json, "")) != nnd_json_string_size(json);
}

static nnd_status set_strings(const nnd_param *p, const nnd_json *json, pvalue *v)
{
    if (nnd_json_get_type(json) != NND_JSON_ARRAY)
        return wrong_kind(p, "an array of strings", json_kind(json));
    v->count = nnd_json_count(json);
    for (size_t i = 0; i < v->count; i++)
        if (nnd_json_get_type(nnd_json_at(json, i)) != NND_JSON_STRING)
            return wrong_kind(p, "an array of strings", json_kind(nnd_json_at(json, i)));
    for (size_t i = 0; i < v->count; i++)
        if (has_nul(nnd_json_at(json, i)))
            return wrong_kind(p, "an array of strings", "one with NUL characters");
    return keep_json(json, v);
}

static nnd_status set_json(const nnd_param *p, const nnd_json *json, pvalue *v)
{
    int64_t integer = 0;
    nnd_json_type type = nnd_json_get_type(json);
    switch (p->kind) {
    case NND_PARAM_KIND_BOOL:
        if (type != NND_JSON_BOOL) return wrong_kind(p, "true or false", json_kind(json));
        v->integer = nnd_json_bool(json, false);
        return NND_OK;
    case NND_PARAM_KIND_INT:
        if (nnd_json_int(json, &integer)) return set_integer(p, integer, v);
        if (type != NND_JSON_NUMBER) return wrong_kind(p, "a whole number", json_kind(json));
        return set_number(p, nnd_json_number(json, 0), v);
    case NND_PARAM_KIND_FLOAT:
        if (type != NND_JSON_NUMBER) return wrong_kind(p, "a number", json_kind(json));
        return set_number(p, nnd_json_number(json, 0), v);
    case NND_PARAM_KIND_ENUM:
    case NND_PARAM_KIND_TEXT:
    case NND_PARAM_KIND_FILE:
    case NND_PARAM_KIND_MODEL:
        if (type != NND_JSON_STRING) return wrong_kind(p, "a string", json_kind(json));
        if (has_nul(json)) return wrong_kind(p, "a string", "one with NUL characters");
        return set_text(p, nnd_json_string(json, ""), v);
    case NND_PARAM_KIND_NUMBERS:
        return set_numbers(p, json, v);
    case NND_PARAM_KIND_STRINGS:
        return set_strings(p, json, v);
    case NND_PARAM_KIND_JSON:
        return keep_json(json, v);
    }
    return nnd_error_set(NND_E_INTERNAL, "parameter '%s' has an unknown kind", p->name);
}

/* ---- value forms ------------------------------------------------------------------------- */

/* The x of {"<form>": "x"}; NULL when the value is not of that form. */
static const char *form_of(const nnd_json *json, const char *form)
{
    if (nnd_json_get_type(json) != NND_JSON_OBJECT || nnd_json_count(json) != 1) return NULL;
    return nnd_json_string(nnd_json_get(json, form), NULL);
}

nnd_status wf_param_input_ref(const char *text, bool *is_ref, char **input)
{
    nnd_json_doc *doc = NULL;
    *is_ref = false;
    if (!strstr(text, "$input")) return NND_OK;
    NND_TRY(nnd_json_parse(text, strlen(text), NULL, &doc));
    const char *name = form_of(nnd_json_root(doc), "$input");
    nnd_status status = NND_OK;
    if (name) {
        *is_ref = true;
        *input = nnd_strdup(name);
        if (!*input) status = no_memory();
    }
    nnd_json_destroy(doc);
    return status;
}

static nnd_status set_default(const nnd_param *p, pvalue *v);

static nnd_status set_secret(const nnd_param *p, const char *name, const source *s, pvalue *v)
{
    char *value = NULL;
    if (p->kind != NND_PARAM_KIND_TEXT || !(p->flags & NND_PARAM_SECRET))
        return nnd_error_set(NND_E_TYPE, "parameter '%s' does not take a secret", p->name);
    if (s->check_only) return set_text(p, "", v);
    if (!s->services || !s->services->find_secret)
        return nnd_error_set(NND_E_MISSING,
                             "parameter '%s' needs the secret '%s', and this host has none",
                             p->name, name);
    NND_TRY(s->services->find_secret(s->services->user, name, &value));
    nnd_status status = set_text(p, value ? value : "", v);
    nnd_free(value);
    return status;
}

static nnd_status set_file_content(const nnd_param *p, const char *path, const source *s, pvalue *v)
{
    void *bytes = NULL;
    size_t size = 0;
    nnd_json_doc *doc = NULL;
    if (!s->io)
        return nnd_error_set(
            NND_E_PERMISSION,
            "parameter '%s' is the content of '%s', and files are not allowed here", p->name, path);
    NND_TRY(nnd_io_read_file(s->io, path, &bytes, &size));
    nnd_status status;
    if (p->kind == NND_PARAM_KIND_TEXT) {
        bool plain = nnd_utf8_valid(bytes, size) && (size == 0 || !memchr(bytes, 0, size));
        v->text = plain ? nnd_strdup_n(bytes, size) : NULL;
        status = v->text ? NND_OK
                 : plain ? no_memory()
                         : nnd_error_set(NND_E_FORMAT, "parameter '%s': '%s' is not UTF-8 text",
                                         p->name, path);
    } else {
        status = nnd_json_parse(bytes, size, path, &doc);
        if (status == NND_OK) status = set_json(p, nnd_json_root(doc), v);
        nnd_json_destroy(doc);
    }
    nnd_free(bytes);
    return status;
}

static bool takes_file_content(const nnd_param *p)
{
    return p->kind == NND_PARAM_KIND_TEXT || p->kind == NND_PARAM_KIND_NUMBERS ||
           p->kind == NND_PARAM_KIND_STRINGS || p->kind == NND_PARAM_KIND_JSON;
}

static nnd_status set_from_file_form(const nnd_param *p, const char *path, const source *s,
                                     pvalue *v)
{
    if (p->kind == NND_PARAM_KIND_FILE || p->kind == NND_PARAM_KIND_MODEL)
        return set_text(p, path, v);
    if (!takes_file_content(p))
        return nnd_error_set(NND_E_TYPE, "parameter '%s' cannot be the content of a file", p->name);
    if (s->check_only) return set_default(p, v);
    return set_file_content(p, path, s, v);
}

/* {"$file": 5}: meant as a form, and broken. */
static nnd_status check_form(const nnd_param *p, const nnd_json *json)
{
    static const char *const forms[] = {"$file", "$secret", "$input"};
    if (nnd_json_get_type(json) != NND_JSON_OBJECT || nnd_json_count(json) != 1) return NND_OK;
    for (size_t i = 0; i < NND_COUNT(forms); i++) {
        const nnd_json *name = nnd_json_get(json, forms[i]);
        if (name && (nnd_json_get_type(name) != NND_JSON_STRING || has_nul(name)))
            return nnd_error_set(NND_E_TYPE, "parameter '%s': the value of %s must be a string",
                                 p->name, forms[i]);
    }
    return NND_OK;
}

static nnd_status set_given(const nnd_param *p, const nnd_json *json, const source *s, pvalue *v)
{
    NND_TRY(check_form(p, json));
    const char *file = form_of(json, "$file");
    const char *secret = form_of(json, "$secret");
    v->set = true;
    if (form_of(json, "$input")) return set_default(p, v);
    if (file) return set_from_file_form(p, file, s, v);
    if (secret) return set_secret(p, secret, s, v);
    if (p->flags & NND_PARAM_SECRET)
        return nnd_error_set(NND_E_VALIDATION,
                             "parameter '%s' is a secret: write {\"$secret\": \"NAME\"} instead of "
                             "its value",
                             p->name);
    return set_json(p, json, v);
}

static nnd_status set_default(const nnd_param *p, pvalue *v)
{
    nnd_json_doc *doc = NULL;
    switch (p->kind) {
    case NND_PARAM_KIND_BOOL:
    case NND_PARAM_KIND_INT:
    case NND_PARAM_KIND_FLOAT:
        v->number = p->number;
        v->integer = (int64_t)p->number;
        return NND_OK;
    case NND_PARAM_KIND_ENUM:
    case NND_PARAM_KIND_TEXT:
    case NND_PARAM_KIND_FILE:
    case NND_PARAM_KIND_MODEL:
        return set_text(p, p->string ? p->string : "", v);
    case NND_PARAM_KIND_NUMBERS:
    case NND_PARAM_KIND_STRINGS:
    case NND_PARAM_KIND_JSON:
        break;
    }
    NND_TRY(nnd_json_parse(p->string, strlen(p->string), NULL, &doc));
    nnd_status status = set_json(p, nnd_json_root(doc), v);
    nnd_json_destroy(doc);
    return status;
}

nnd_status wf_param_check_default(const nnd_param *p)
{
    pvalue *v = pvalue_create();
    if (!v) return no_memory();
    nnd_status status = set_default(p, v);
    if (status == NND_OK && !(p->flags & NND_PARAM_REQUIRED) &&
        (p->kind == NND_PARAM_KIND_INT || p->kind == NND_PARAM_KIND_FLOAT))
        status = set_number(p, p->number, v);
    pvalue_unref(v);
    return status;
}

static nnd_status make_value(const nnd_param *p, const char *json, const source *s, pvalue **out)
{
    pvalue *v = pvalue_create();
    nnd_json_doc *doc = NULL;
    if (!v) return no_memory();
    nnd_status status;
    if (json) {
        status = nnd_json_parse(json, strlen(json), NULL, &doc);
        if (status == NND_OK) status = set_given(p, nnd_json_root(doc), s, v);
        nnd_json_destroy(doc);
    } else if (p->flags & NND_PARAM_REQUIRED) {
        status = nnd_error_set(NND_E_VALIDATION, "parameter '%s' is required: %s", p->name,
                               p->text ? p->text : "");
    } else {
        status = set_default(p, v);
    }
    if (status != NND_OK) {
        pvalue_unref(v);
        return status;
    }
    *out = v;
    return NND_OK;
}

/* ---- snapshots --------------------------------------------------------------------------- */

const nnd_param *wf_param_find(const nnd_node_type *type, const char *name)
{
    for (size_t i = 0; i < type->params.count; i++) {
        const nnd_param *p = wf_param_at(&type->params, i);
        if (strcmp(p->name, name) == 0) return p;
    }
    return NULL;
}

static const char *suggest(const nnd_node_type *type, const char *name)
{
    nnd_suggest s;
    nnd_suggest_begin(&s, name);
    for (size_t i = 0; i < type->params.count; i++)
        nnd_suggest_offer(&s, wf_param_at(&type->params, i)->name);
    return s.best;
}

static nnd_status report_unknown(const wf_params_source *src, nnd_diagnostics *diags, bool *failed)
{
    for (size_t i = 0; i < src->given_count; i++) {
        const wf_field *f = &src->given[i];
        if (wf_param_find(src->type, f->name)) continue;
        *failed = true;
        NND_TRY(wf_report(diags, NND_SEVERITY_ERROR, NND_E_NOT_FOUND, "unknown-param", src->file,
                          f->place, src->node, f->name, suggest(src->type, f->name),
                          "'%s' has no parameter '%s'", src->type->type, f->name));
    }
    return NND_OK;
}

/* Turns this thread's error into a diagnostic; out of memory stays an error. */
static nnd_status report_value(const wf_params_source *src, nnd_diagnostics *diags,
                               nnd_status status, const nnd_param *p, wf_place place)
{
    if (status == NND_E_OUT_OF_MEMORY) return status;
    nnd_error *error = nnd_error_take();
    nnd_status reported =
        wf_report(diags, NND_SEVERITY_ERROR, status, "bad-param", src->file, place, src->node,
                  p->name, NULL, "%s", error ? nnd_error_message(error) : nnd_status_text(status));
    nnd_error_destroy(error);
    return reported;
}

static const wf_field *given_for(const wf_params_source *src, const char *name)
{
    for (size_t i = src->given_count; i-- > 0;)
        if (strcmp(src->given[i].name, name) == 0) return &src->given[i];
    return NULL;
}

nnd_status wf_params_make(const wf_params_source *src, nnd_diagnostics *diags, nnd_params **out)
{
    const source s = {src->io, src->services, src->check_only};
    bool failed = false;
    nnd_params *params = params_create(src->type);
    if (!params) return no_memory();
    nnd_status status = report_unknown(src, diags, &failed);
    for (size_t i = 0; i < src->type->params.count && status == NND_OK; i++) {
        const nnd_param *p = wf_param_at(&src->type->params, i);
        const wf_field *f = given_for(src, p->name);
        status = make_value(p, f ? f->json : NULL, &s, &params->values[i]);
        if (status == NND_OK) continue;
        failed = true;
        status = report_value(src, diags, status, p, f ? f->place : src->place);
    }
    if (status == NND_OK && failed) status = NND_E_VALIDATION;
    if (status != NND_OK) {
        wf_params_unref(params);
        return status;
    }
    *out = params;
    return NND_OK;
}

static nnd_status with_value(const nnd_params *params, size_t index, pvalue *take, nnd_params **out)
{
    nnd_params *copy = params_create(params->type);
    if (!copy) {
        pvalue_unref(take);
        return no_memory();
    }
    for (size_t i = 0; i < params->type->params.count; i++) {
        copy->values[i] = i == index ? take : params->values[i];
        if (i != index)
            atomic_fetch_add_explicit(&params->values[i]->holders, 1, memory_order_relaxed);
    }
    *out = copy;
    return NND_OK;
}

static nnd_status index_of(const nnd_params *params, const char *name, size_t *index)
{
    for (size_t i = 0; i < params->type->params.count; i++) {
        if (strcmp(wf_param_at(&params->type->params, i)->name, name) == 0) {
            *index = i;
            return NND_OK;
        }
    }
    const char *near = suggest(params->type, name);
    return nnd_error_set(NND_E_NOT_FOUND, "'%s' has no parameter '%s'%s%s%s", params->type->type,
                         name, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

nnd_status wf_params_with_json(const nnd_params *params, const char *name, const char *json,
                               nnd_io *io, const nnd_services *services, nnd_params **out)
{
    const source s = {io, services, false};
    size_t index;
    pvalue *v = NULL;
    NND_TRY(index_of(params, name, &index));
    NND_TRY(make_value(wf_param_at(&params->type->params, index), json, &s, &v));
    return with_value(params, index, v, out);
}

/* ---- from values of an edge -------------------------------------------------------------- */

static nnd_status list_to_json(const nnd_param *p, const nnd_value *list, pvalue *v)
{
    nnd_json_writer *w = NULL;
    nnd_json_doc *doc = NULL;
    char *text = NULL;
    size_t size = 0;
    NND_TRY(nnd_json_writer_create(0, &w));
    nnd_status status = nnd_value_to_json(list, w);
    if (status == NND_OK) status = nnd_json_writer_take(w, &text, &size);
    nnd_json_writer_destroy(w);
    if (status == NND_OK) status = nnd_json_parse(text, size, NULL, &doc);
    if (status == NND_OK) status = set_json(p, nnd_json_root(doc), v);
    nnd_json_destroy(doc);
    nnd_free(text);
    return status;
}

static nnd_status set_value(const nnd_param *p, const nnd_value *value, pvalue *v)
{
    int64_t integer = 0;
    double number = 0;
    bool flag = false;
    const nnd_text *text = nnd_value_text(value);
    v->set = true;
    switch (p->kind) {
    case NND_PARAM_KIND_BOOL:
        if (!nnd_value_as_bool(value, &flag)) break;
        v->integer = flag;
        return NND_OK;
    case NND_PARAM_KIND_INT:
        if (nnd_value_as_int(value, &integer)) return set_integer(p, integer, v);
        if (nnd_value_as_float(value, &number)) return set_number(p, number, v);
        break;
    case NND_PARAM_KIND_FLOAT:
        if (nnd_value_as_float(value, &number)) return set_number(p, number, v);
        break;
    case NND_PARAM_KIND_ENUM:
    case NND_PARAM_KIND_TEXT:
    case NND_PARAM_KIND_FILE:
    case NND_PARAM_KIND_MODEL:
        if (text) return set_text(p, text->text, v);
        break;
    case NND_PARAM_KIND_NUMBERS:
    case NND_PARAM_KIND_STRINGS:
    case NND_PARAM_KIND_JSON:
        return list_to_json(p, value, v);
    }
    return nnd_error_set(NND_E_TYPE, "parameter '%s' cannot take a value of type %s", p->name,
                         nnd_value_type_name(value));
}

nnd_status wf_params_with_value(const nnd_params *params, const char *name, const nnd_value *value,
                                nnd_params **out)
{
    size_t index;
    NND_TRY(index_of(params, name, &index));
    pvalue *v = pvalue_create();
    if (!v) return no_memory();
    nnd_status status = set_value(wf_param_at(&params->type->params, index), value, v);
    if (status != NND_OK) {
        pvalue_unref(v);
        return status;
    }
    return with_value(params, index, v, out);
}

void wf_params_hash(const nnd_params *params, nnd_hash128 *hash)
{
    for (size_t i = 0; i < params->type->params.count; i++) {
        const nnd_param *p = wf_param_at(&params->type->params, i);
        const pvalue *v = params->values[i];
        uint64_t bits = 0;
        nnd_hash128_add_str(hash, p->name);
        if (p->flags & NND_PARAM_SECRET) continue;
        memcpy(&bits, &v->number, sizeof bits);
        nnd_hash128_add_u64(hash, (uint64_t)v->integer);
        nnd_hash128_add_u64(hash, bits);
        nnd_hash128_add_str(hash, v->text);
    }
}

/* ---- getters ----------------------------------------------------------------------------- */

static const pvalue *find(const nnd_params *params, const char *name, uint32_t kinds)
{
    if (!params || !name) return NULL;
    for (size_t i = 0; i < params->type->params.count; i++) {
        const nnd_param *p = wf_param_at(&params->type->params, i);
        if (strcmp(p->name, name) == 0) return (kinds & (1u << p->kind)) ? params->values[i] : NULL;
    }
    return NULL;
}

enum {
    IS_NUMBER = 1u << NND_PARAM_KIND_INT | 1u << NND_PARAM_KIND_FLOAT,
    IS_TEXT = 1u << NND_PARAM_KIND_ENUM | 1u << NND_PARAM_KIND_TEXT | 1u << NND_PARAM_KIND_FILE |
              1u << NND_PARAM_KIND_MODEL,
    IS_ANYTHING = ~0u >> 1
};

bool nnd_params_bool(const nnd_params *params, const char *name)
{
    const pvalue *v = find(params, name, 1u << NND_PARAM_KIND_BOOL);
    return v && v->integer != 0;
}

int64_t nnd_params_int(const nnd_params *params, const char *name)
{
    const pvalue *v = find(params, name, 1u << NND_PARAM_KIND_INT);
    return v ? v->integer : 0;
}

double nnd_params_float(const nnd_params *params, const char *name)
{
    const pvalue *v = find(params, name, IS_NUMBER);
    return v ? v->number : 0;
}

const char *nnd_params_text(const nnd_params *params, const char *name)
{
    const pvalue *v = find(params, name, IS_TEXT);
    return v ? v->text : "";
}

int nnd_params_enum(const nnd_params *params, const char *name)
{
    const pvalue *v = find(params, name, 1u << NND_PARAM_KIND_ENUM);
    return v ? (int)v->integer : -1;
}

size_t nnd_params_numbers(const nnd_params *params, const char *name, double *out, size_t max)
{
    const pvalue *v = find(params, name, 1u << NND_PARAM_KIND_NUMBERS);
    if (!v) return 0;
    for (size_t i = 0; i < v->count && i < max; i++)
        out[i] = v->numbers[i];
    return v->count;
}

size_t nnd_params_string_count(const nnd_params *params, const char *name)
{
    const pvalue *v = find(params, name, 1u << NND_PARAM_KIND_STRINGS);
    return v ? v->count : 0;
}

const char *nnd_params_string_at(const nnd_params *params, const char *name, size_t index)
{
    const pvalue *v = find(params, name, 1u << NND_PARAM_KIND_STRINGS);
    if (!v || index >= v->count) return "";
    return nnd_json_string(nnd_json_at(nnd_json_root(v->doc), index), "");
}

const nnd_json *nnd_params_json(const nnd_params *params, const char *name)
{
    const pvalue *v = find(params, name, 1u << NND_PARAM_KIND_JSON);
    return v ? nnd_json_root(v->doc) : NULL;
}

bool nnd_params_is_set(const nnd_params *params, const char *name)
{
    const pvalue *v = find(params, name, IS_ANYTHING);
    return v && v->set;
}
