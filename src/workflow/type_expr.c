/* Port type expressions: reading, matching, substituting. */
#include "workflow/type_expr.h"

#include "base/str.h"
#include "base/vec.h"

#include <string.h>

enum { MAX_NESTING = 16, MAX_SIZE = 512 };

/* A piece of an expression's text. */
typedef struct span {
    const char *text;
    size_t size;
} span;

static span span_of(const char *text)
{
    return (span){text, strlen(text)};
}

static bool span_is(span s, const char *text)
{
    return s.size == strlen(text) && memcmp(s.text, text, s.size) == 0;
}

/* Cuts the first alternative of "a|b|…" off (bars inside <> do not count). */
static span cut_alternative(span *rest)
{
    size_t i = 0, nesting = 0;
    for (; i < rest->size; i++) {
        char c = rest->text[i];
        if (c == '|' && nesting == 0) break;
        if (c == '<') nesting++;
        if (c == '>' && nesting > 0) nesting--;
    }
    span first = {rest->text, i};
    size_t used = i < rest->size ? i + 1 : i;
    *rest = (span){rest->text + used, rest->size - used};
    return first;
}

static bool has_alternatives(span s)
{
    span rest = s;
    return cut_alternative(&rest).size < s.size;
}

/* "list<T>": the T. */
static bool list_element(span s, span *element)
{
    if (s.size < 6 || memcmp(s.text, "list<", 5) != 0 || s.text[s.size - 1] != '>') return false;
    *element = (span){s.text + 5, s.size - 6};
    return true;
}

/* ---- checking ---------------------------------------------------------------------------- */

typedef struct checker {
    const char *whole;
    const char *at;
    bool known_only;
} checker;

static nnd_status wrong(const checker *c, const char *what)
{
    return nnd_error_set(NND_E_FORMAT, "port type '%s', at character %zu: %s", c->whole,
                         (size_t)(c->at - c->whole) + 1, what);
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-' || c == '/';
}

static nnd_status check_name(checker *c)
{
    char name[64];
    const char *start = c->at;
    if (*c->at == '$') c->at++;
    while (is_name_char(*c->at))
        c->at++;
    size_t size = (size_t)(c->at - start);
    if (size == 0 || (size == 1 && *start == '$')) return wrong(c, "a type name is missing");
    if (size >= sizeof name) return wrong(c, "the name is longer than 63 characters");
    memcpy(name, start, size);
    name[size] = '\0';
    if (!c->known_only || name[0] == '$' || strcmp(name, "any") == 0) return NND_OK;
    if (nnd_value_type_find(name)) return NND_OK;
    c->at = start;
    return wrong(c, "there is no value type of that name");
}

static nnd_status check_alternatives(checker *c, int nesting)
{
    if (nesting > MAX_NESTING) return wrong(c, "lists are nested too deep");
    for (;;) {
        if (strncmp(c->at, "list<", 5) == 0) {
            c->at += 5;
            NND_TRY(check_alternatives(c, nesting + 1));
            if (*c->at != '>') return wrong(c, "'>' is missing");
            c->at++;
        } else {
            NND_TRY(check_name(c));
        }
        if (*c->at != '|') return NND_OK;
        c->at++;
    }
}

nnd_status wf_type_check(const char *expr, bool known_only)
{
    checker c = {expr, expr, known_only};
    if (memchr(expr, '\0', MAX_SIZE + 1) == NULL)
        return nnd_error_set(NND_E_FORMAT, "a port type of more than %d characters", MAX_SIZE);
    NND_TRY(check_alternatives(&c, 0));
    return *c.at ? wrong(&c, "unexpected character") : NND_OK;
}

bool wf_type_has_variables(const char *expr)
{
    return strchr(expr, '$') != NULL;
}

/* ---- bindings ---------------------------------------------------------------------------- */

void wf_bindings_fini(wf_bindings *bindings)
{
    for (size_t i = 0; i < bindings->count; i++) {
        nnd_free(bindings->items[i].name);
        nnd_free(bindings->items[i].type);
    }
    nnd_vec_free(bindings);
}

static const char *bound_type(const wf_bindings *bindings, span name)
{
    for (size_t i = 0; i < bindings->count; i++)
        if (span_is(name, bindings->items[i].name)) return bindings->items[i].type;
    return NULL;
}

const char *wf_bindings_get(const wf_bindings *bindings, const char *name)
{
    return bound_type(bindings, span_of(name));
}

static nnd_status bind(wf_bindings *bindings, span name, span type)
{
    struct wf_binding b = {nnd_strdup_n(name.text, name.size), nnd_strdup_n(type.text, type.size)};
    if (!b.name || !b.type || !nnd_vec_push(bindings, b)) {
        nnd_free(b.name);
        nnd_free(b.type);
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a type variable");
    }
    return NND_OK;
}

/* ---- matching ---------------------------------------------------------------------------- */

static nnd_status match_any(span expr, span actual, wf_bindings *bindings, wf_match *match);

/* Neither side has alternatives. */
static nnd_status match_one(span expr, span actual, wf_bindings *bindings, wf_match *match)
{
    span inside, element;
    *match = WF_MATCH_NO;
    if (expr.size && expr.text[0] == '$') {
        const char *bound = bound_type(bindings, expr);
        if (bound) return match_any(span_of(bound), actual, bindings, match);
        *match = WF_MATCH_YES;
        return span_is(actual, "any") ? NND_OK : bind(bindings, expr, actual);
    }
    if (span_is(expr, "any")) {
        *match = WF_MATCH_YES;
    } else if (span_is(actual, "any")) {
        *match = WF_MATCH_RUN;
    } else if (list_element(expr, &inside)) {
        if (list_element(actual, &element)) return match_any(inside, element, bindings, match);
        if (span_is(actual, "list")) *match = WF_MATCH_RUN; /* of unknown elements */
    } else if (span_is(expr, "list")) {
        *match =
            span_is(actual, "list") || list_element(actual, &element) ? WF_MATCH_YES : WF_MATCH_NO;
    } else if (expr.size == actual.size && memcmp(expr.text, actual.text, expr.size) == 0) {
        *match = WF_MATCH_YES;
    }
    return NND_OK;
}

/* One actual type against all alternatives of the expression: the best counts. */
static nnd_status match_alternatives(span expr, span actual, wf_bindings *bindings, wf_match *match)
{
    wf_match best = WF_MATCH_NO;
    while (expr.size && best != WF_MATCH_YES) {
        wf_match one;
        NND_TRY(match_one(cut_alternative(&expr), actual, bindings, &one));
        if (one > best) best = one;
    }
    *match = best;
    return NND_OK;
}

/* Every alternative of the actual type: all YES is YES, all NO is NO, else it depends. */
static nnd_status match_any(span expr, span actual, wf_bindings *bindings, wf_match *match)
{
    size_t yes = 0, no = 0, all = 0;
    if (expr.size && expr.text[0] == '$' && !has_alternatives(expr) && !bound_type(bindings, expr))
        return match_one(expr, actual, bindings, match); /* binds the union as a whole */
    while (actual.size) {
        wf_match one;
        NND_TRY(match_alternatives(expr, cut_alternative(&actual), bindings, &one));
        all++;
        yes += one == WF_MATCH_YES;
        no += one == WF_MATCH_NO;
    }
    *match = yes == all && all ? WF_MATCH_YES : no == all ? WF_MATCH_NO : WF_MATCH_RUN;
    return NND_OK;
}

nnd_status wf_type_match(const char *expr, const char *actual, wf_bindings *bindings,
                         wf_match *match)
{
    wf_match found;
    NND_TRY(match_any(span_of(expr), span_of(actual), bindings, &found));
    *match = found;
    return NND_OK;
}

nnd_status wf_type_substitute(const char *expr, const wf_bindings *bindings, bool *complete,
                              char **out)
{
    nnd_str s = {0};
    bool all = true;
    nnd_str_add(&s, "");
    for (const char *p = expr; *p;) {
        if (*p != '$') {
            nnd_str_add_char(&s, *p++);
            continue;
        }
        const char *start = p++;
        while (is_name_char(*p))
            p++;
        const char *type = bound_type(bindings, (span){start, (size_t)(p - start)});
        all = all && type;
        nnd_str_add(&s, type ? type : "any");
    }
    if (complete) *complete = all;
    return nnd_str_take(&s, out, NULL);
}

/* ---- values ------------------------------------------------------------------------------ */

static bool accepts_any(span actual, const nnd_value *value);

static bool accepts_one(span actual, const nnd_value *value)
{
    span element;
    if (span_is(actual, "any")) return true;
    if (!list_element(actual, &element)) return span_is(actual, nnd_value_type_name(value));
    if (!nnd_value_is(value, "list")) return false;
    for (size_t i = 0; i < nnd_value_list_count(value); i++)
        if (!accepts_any(element, nnd_value_list_at(value, i))) return false;
    return true;
}

static bool accepts_any(span actual, const nnd_value *value)
{
    while (actual.size)
        if (accepts_one(cut_alternative(&actual), value)) return true;
    return false;
}

bool wf_type_accepts(const char *actual, const nnd_value *value)
{
    return accepts_any(span_of(actual), value);
}
