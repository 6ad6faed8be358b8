/* Texts of node types in the user's language; the descriptors have the English ones. */
#include "base/locale.h"

#include "nndeploy/nodes.h"
#include "nodes/locale_files.h"

#include <stdio.h>
#include <string.h>

/* Longer keys are in no file, so that a name of any length simply has no translation. */
enum { LONGEST_KEY = 320 };

struct nnd_node_texts {
    nnd_locale *locale;
};

static nnd_status fill(nnd_locale *locale)
{
    const char *language = nnd_locale_language_of(locale);
    for (const nnd_locale_file *f = nnd_locale_files; f->language; f++)
        if (strcmp(f->language, language) == 0)
            NND_TRY(nnd_locale_load_text(locale, f->json, f->size, "locale"));
    return NND_OK;
}

nnd_status nnd_node_texts_create(const char *language, nnd_node_texts **out)
{
    char users[16];
    if (!out)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "nnd_node_texts_create: out is required");
    nnd_locale_language(users);
    nnd_node_texts *texts = nnd_calloc(1, sizeof *texts);
    if (!texts) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for texts");
    nnd_status status = nnd_locale_create(language ? language : users, &texts->locale);
    if (status == NND_OK) status = fill(texts->locale);
    if (status != NND_OK) {
        nnd_node_texts_destroy(texts);
        return status;
    }
    *out = texts;
    return NND_OK;
}

void nnd_node_texts_destroy(nnd_node_texts *texts)
{
    if (!texts) return;
    nnd_locale_destroy(texts->locale);
    nnd_free(texts);
}

nnd_status nnd_node_texts_add(nnd_node_texts *texts, const char *json, size_t size,
                              const char *file)
{
    if (!texts || !json)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "nnd_node_texts_add: texts and json are required");
    /* Into a table of its own first: a bad file changes nothing. */
    nnd_locale *check = NULL;
    NND_TRY(nnd_locale_create(nnd_locale_language_of(texts->locale), &check));
    nnd_status status = nnd_locale_load_text(check, json, size, file);
    nnd_locale_destroy(check);
    if (status != NND_OK) return status;
    return nnd_locale_load_text(texts->locale, json, size, file);
}

const char *nnd_node_texts_language(const nnd_node_texts *texts)
{
    return texts ? nnd_locale_language_of(texts->locale) : "en";
}

const char *nnd_node_texts_get(const nnd_node_texts *texts, const char *key, const char *fallback)
{
    return texts ? nnd_locale_text(texts->locale, key, fallback) : fallback;
}

/* The text for node.<type>.<rest>. A version after the first may have texts of its own under
   node.<type>@<version>. */
static const char *node_text(const nnd_node_texts *texts, const nnd_node_type *type,
                             const char *rest, const char *fallback)
{
    char key[LONGEST_KEY];
    const char *found = NULL;
    if (!texts) return fallback;
    int n = 0;
    if (type->version > 1) {
        n = snprintf(key, sizeof key, "node.%s@%d.%s", type->type, type->version, rest);
        if (n > 0 && (size_t)n < sizeof key) found = nnd_node_texts_get(texts, key, NULL);
    }
    if (found) return found;
    n = snprintf(key, sizeof key, "node.%s.%s", type->type, rest);
    return n > 0 && (size_t)n < sizeof key ? nnd_node_texts_get(texts, key, fallback) : fallback;
}

const char *nnd_node_texts_title(const nnd_node_texts *texts, const nnd_node_type *type)
{
    return node_text(texts, type, "title", type->title);
}

const char *nnd_node_texts_text(const nnd_node_texts *texts, const nnd_node_type *type)
{
    return node_text(texts, type, "text", type->text ? type->text : "");
}

const char *nnd_node_texts_category(const nnd_node_texts *texts, const nnd_node_type *type)
{
    char key[LONGEST_KEY];
    int n = snprintf(key, sizeof key, "category.%s", type->category);
    return n > 0 && (size_t)n < sizeof key ? nnd_node_texts_get(texts, key, type->category)
                                           : type->category;
}

const char *nnd_node_texts_port(const nnd_node_texts *texts, const nnd_node_type *type,
                                bool is_output, const nnd_port *port)
{
    char rest[LONGEST_KEY];
    const char *english = port->text ? port->text : "";
    int n = snprintf(rest, sizeof rest, "port.%s.%s.text", is_output ? "out" : "in", port->name);
    return n > 0 && (size_t)n < sizeof rest ? node_text(texts, type, rest, english) : english;
}

const char *nnd_node_texts_param(const nnd_node_texts *texts, const nnd_node_type *type,
                                 const nnd_param *param)
{
    char rest[LONGEST_KEY];
    const char *english = param->text ? param->text : "";
    int n = snprintf(rest, sizeof rest, "param.%s.text", param->name);
    return n > 0 && (size_t)n < sizeof rest ? node_text(texts, type, rest, english) : english;
}

const char *nnd_node_texts_value(const nnd_node_texts *texts, const nnd_node_type *type,
                                 const nnd_param *param, const char *value)
{
    char rest[LONGEST_KEY];
    int n = snprintf(rest, sizeof rest, "param.%s.value.%s", param->name, value);
    return n > 0 && (size_t)n < sizeof rest ? node_text(texts, type, rest, value) : value;
}
