/* Options as text, and strict conversions of single values. */
#include "base/options.h"

#include <string.h>

#include "base/number.h"
#include "base/str.h"

bool nnd_parse_int(const char *text, int64_t *out)
{
    bool negative = *text == '-';
    if (*text == '-' || *text == '+') text++;
    if (*text < '0' || *text > '9') return false;
    /* Collected on the negative side, which reaches one further. */
    int64_t value = 0;
    for (; *text >= '0' && *text <= '9'; text++) {
        int digit = *text - '0';
        if (value < (INT64_MIN + digit) / 10) return false;
        value = value * 10 - digit;
    }
    if (*text || (!negative && value == INT64_MIN)) return false;
    *out = negative ? value : -value;
    return true;
}

bool nnd_parse_double(const char *text, double *out)
{
    size_t size = strlen(text);
    double value;
    if (size == 0 || nnd_number_read(text, size, &value) != size || !nnd_number_is_finite(value))
        return false;
    *out = value;
    return true;
}

bool nnd_parse_bool(const char *text, bool *out)
{
    int at = nnd_parse_choice(text, "false|true|0|1|off|on|no|yes");
    if (at < 0) return false;
    *out = at & 1;
    return true;
}

int nnd_parse_choice(const char *text, const char *choices)
{
    size_t size = strlen(text);
    int position = 0;
    if (size == 0 || strchr(text, '|')) return -1;
    for (const char *at = choices; *at; position++) {
        size_t length = strcspn(at, "|");
        if (length == size && memcmp(at, text, size) == 0) return position;
        at += length;
        if (*at) at++;
    }
    return -1;
}

static nnd_status unknown_option(const nnd_option *options, size_t count, const char *name,
                                 const char *where)
{
    nnd_suggest near;
    nnd_str known = {0};
    nnd_suggest_begin(&near, name);
    for (size_t i = 0; i < count; i++) {
        nnd_suggest_offer(&near, options[i].name);
        nnd_str_printf(&known, "%s%s", i ? ", " : "", options[i].name);
    }
    if (near.best)
        nnd_error_set(NND_E_INVALID_ARGUMENT, "%s: unknown option '%s'; did you mean '%s'?", where,
                      name, near.best);
    else
        nnd_error_set(NND_E_INVALID_ARGUMENT, "%s: unknown option '%s'; known are: %s", where, name,
                      known.data ? known.data : "none");
    nnd_str_free(&known);
    return NND_E_INVALID_ARGUMENT;
}

static nnd_status bad_value(const nnd_option *o, const char *value, const char *where)
{
    char low[NND_NUMBER_TEXT], high[NND_NUMBER_TEXT];
    nnd_number_write(o->min, low);
    nnd_number_write(o->max, high);
    nnd_str s = {0};
    switch (o->kind) {
    case NND_OPTION_KIND_BOOL:
        nnd_str_add(&s, "true or false");
        break;
    case NND_OPTION_KIND_INT:
        nnd_str_printf(&s, "an integer from %s to %s", low, high);
        break;
    case NND_OPTION_KIND_FLOAT:
        nnd_str_printf(&s, "a number from %s to %s", low, high);
        break;
    case NND_OPTION_KIND_ENUM:
        nnd_str_printf(&s, "one of %s", o->choices);
        break;
    case NND_OPTION_KIND_STRING:
        nnd_str_add(&s, "text");
        break;
    }
    nnd_error_set(NND_E_INVALID_ARGUMENT, "%s: option '%s' wants %s%s%s%s", where, o->name,
                  s.data ? s.data : "another value", value ? ", not '" : "", value ? value : "",
                  value ? "'" : "");
    nnd_str_free(&s);
    return NND_E_INVALID_ARGUMENT;
}

static bool store_int(const nnd_option *o, const char *value, void *field)
{
    int64_t number;
    if (!nnd_parse_int(value, &number)) return false;
    if ((double)number < o->min || (double)number > o->max) return false;
    memcpy(field, &number, sizeof(number));
    return true;
}

static bool store_float(const nnd_option *o, const char *value, void *field)
{
    double number;
    if (!nnd_parse_double(value, &number) || number < o->min || number > o->max) return false;
    memcpy(field, &number, sizeof(number));
    return true;
}

static bool store_bool(const char *value, void *field)
{
    bool truth = true;
    if (value && !nnd_parse_bool(value, &truth)) return false;
    memcpy(field, &truth, sizeof(truth));
    return true;
}

static bool store_choice(const nnd_option *o, const char *value, void *field)
{
    int position = nnd_parse_choice(value, o->choices);
    if (position < 0) return false;
    memcpy(field, &position, sizeof(position));
    return true;
}

static nnd_status store_text(const char *value, char **field)
{
    char *copy = nnd_strdup(value);
    if (!copy) return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory for an option");
    nnd_free(*field);
    *field = copy;
    return NND_OK;
}

static nnd_status store(const nnd_option *o, const char *value, const char *where, void *target)
{
    void *field = (char *)target + o->offset;
    bool fits = false;
    if (o->kind == NND_OPTION_KIND_BOOL)
        fits = store_bool(value, field);
    else if (!value)
        fits = false;
    else if (o->kind == NND_OPTION_KIND_INT)
        fits = store_int(o, value, field);
    else if (o->kind == NND_OPTION_KIND_FLOAT)
        fits = store_float(o, value, field);
    else if (o->kind == NND_OPTION_KIND_ENUM)
        fits = store_choice(o, value, field);
    else
        return store_text(value, field);
    return fits ? NND_OK : bad_value(o, value, where);
}

nnd_status nnd_options_set(const nnd_option *options, size_t count, const char *name,
                           const char *value, const char *where, void *target)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(options[i].name, name) == 0) return store(&options[i], value, where, target);
    return unknown_option(options, count, name, where);
}

/* Copies the next piece up to one of `stops` and moves on to it. A piece in double quotes ends at
   the next quote, and whatever follows it up to the stop is an error. */
static nnd_status next_piece(const char **at, const char *stops, const char *where, nnd_str *out)
{
    nnd_str_clear(out);
    if (**at == '"') {
        const char *end = strchr(*at + 1, '"');
        if (!end || (end[1] && !strchr(stops, end[1])))
            return nnd_error_set(NND_E_INVALID_ARGUMENT, "%s: unbalanced quote in the options",
                                 where);
        nnd_str_add_n(out, *at + 1, (size_t)(end - *at - 1));
        *at = end + 1;
    } else {
        size_t size = strcspn(*at, stops);
        nnd_str_add_n(out, *at, size);
        *at += size;
    }
    return out->failed ? nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory for options") : NND_OK;
}

static nnd_status parse_pairs(const nnd_option *options, size_t count, const char *text,
                              const char *where, void *target, nnd_str *name, nnd_str *value)
{
    for (const char *at = text; *at;) {
        bool has_value;
        NND_TRY(next_piece(&at, "=,;", where, name));
        has_value = *at == '=';
        if (has_value) {
            at++;
            NND_TRY(next_piece(&at, ",;", where, value));
        }
        if (*at) at++;
        if (name->size == 0) {
            if (has_value)
                return nnd_error_set(NND_E_INVALID_ARGUMENT, "%s: '=%s' lacks the option's name",
                                     where, value->data);
            continue; /* an empty piece, as in "a=1,,b=2" */
        }
        NND_TRY(nnd_options_set(options, count, name->data, has_value ? value->data : NULL, where,
                                target));
    }
    return NND_OK;
}

nnd_status nnd_options_parse(const nnd_option *options, size_t count, const char *text,
                             const char *where, void *target)
{
    nnd_str name = {0}, value = {0};
    if (!text) return NND_OK;
    nnd_status status = parse_pairs(options, count, text, where, target, &name, &value);
    nnd_str_free(&name);
    nnd_str_free(&value);
    return status;
}

void nnd_options_fini(const nnd_option *options, size_t count, void *target)
{
    for (size_t i = 0; i < count; i++) {
        if (options[i].kind != NND_OPTION_KIND_STRING) continue;
        char **field = (char **)(void *)((char *)target + options[i].offset);
        nnd_free(*field);
        *field = NULL;
    }
}
