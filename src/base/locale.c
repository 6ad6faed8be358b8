/* Texts by key, filled from JSON files. */
#include "base/locale.h"

#include <string.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/port_status.h"
#include "base/str.h"
#include "port/port.h"

enum { LARGEST_FILE = 16 * 1024 * 1024 };

struct nnd_locale {
    char language[16];
    nnd_map texts;
    nnd_arena arena; /* the texts themselves */
};

void nnd_locale_language(char out[16])
{
    static const char *const names[] = {"NNDEPLOY_LANG", "LC_ALL", "LC_MESSAGES", "LANG"};
    char value[64] = "";
    for (size_t i = 0; i < NND_COUNT(names) && !value[0]; i++)
        nnd_port_env_copy(names[i], value, sizeof(value));
    size_t size = strcspn(value, "_.-@");
    bool is_word = size >= 2 && size < 16;
    for (size_t i = 0; i < size; i++) {
        if (value[i] >= 'A' && value[i] <= 'Z') value[i] = (char)(value[i] - 'A' + 'a');
        if (value[i] < 'a' || value[i] > 'z') is_word = false;
    }
    value[size] = '\0';
    if (!is_word || strcmp(value, "posix") == 0) strcpy(value, "en");
    memcpy(out, value, strlen(value) + 1);
}

nnd_status nnd_locale_create(const char *language, nnd_locale **out)
{
    size_t size = strlen(language);
    if (size == 0 || size >= sizeof((*out)->language) || strpbrk(language, "/\\."))
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "'%s' is no language code", language);
    nnd_locale *locale = nnd_calloc(1, sizeof(*locale));
    if (!locale) return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory for a locale");
    memcpy(locale->language, language, size + 1);
    *out = locale;
    return NND_OK;
}

void nnd_locale_destroy(nnd_locale *locale)
{
    if (!locale) return;
    nnd_map_fini(&locale->texts);
    nnd_arena_fini(&locale->arena);
    nnd_free(locale);
}

static nnd_status fail_at(const nnd_json *value, const char *file, const char *key)
{
    nnd_error_set(NND_E_FORMAT, "the text for '%s' has to be a string or an object of strings",
                  key);
    nnd_error_set_place(file, nnd_json_line(value), nnd_json_column(value));
    return NND_E_FORMAT;
}

/* `key` holds the dotted prefix; its length is the same again on return. */
static nnd_status add_members(nnd_locale *locale, const nnd_json *object, const char *file,
                              nnd_str *key)
{
    size_t prefix = key->size;
    for (size_t i = 0; i < nnd_json_count(object); i++) {
        const nnd_json *value = nnd_json_at(object, i);
        if (prefix) nnd_str_add_char(key, '.');
        nnd_str_add(key, nnd_json_key_at(object, i));
        if (key->failed) return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory for a locale");
        if (nnd_json_get_type(value) == NND_JSON_OBJECT) {
            NND_TRY(add_members(locale, value, file, key));
        } else if (nnd_json_get_type(value) == NND_JSON_STRING) {
            char *text = nnd_arena_strdup(&locale->arena, nnd_json_string(value, ""));
            if (!text) return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory for a locale");
            NND_TRY(nnd_map_put(&locale->texts, key->data, text, NULL));
        } else {
            return fail_at(value, file, key->data);
        }
        key->size = prefix;
        key->data[prefix] = '\0';
    }
    return NND_OK;
}

nnd_status nnd_locale_load_text(nnd_locale *locale, const char *json, size_t size, const char *file)
{
    nnd_json_doc *doc;
    NND_TRY(nnd_json_parse(json, size, file, &doc));
    const nnd_json *root = nnd_json_root(doc);
    nnd_str key = {0};
    nnd_status status = nnd_json_get_type(root) == NND_JSON_OBJECT
                            ? add_members(locale, root, file, &key)
                            : fail_at(root, file, "the whole file");
    nnd_str_free(&key);
    nnd_json_destroy(doc);
    return status;
}

nnd_status nnd_locale_load(nnd_locale *locale, const char *path)
{
    char *text;
    size_t size;
    int rc = nnd_port_file_read(path, LARGEST_FILE, &text, &size);
    if (rc) return nnd_error_from_port(rc, "cannot read locale file", path);
    nnd_status status = nnd_locale_load_text(locale, text, size, path);
    nnd_free(text);
    return status;
}

nnd_status nnd_locale_load_folder(nnd_locale *locale, const char *folder)
{
    char *path = nnd_strf("%s/%s.json", folder, locale->language);
    if (!path) return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory for a path");
    nnd_status status = nnd_port_file_exists(path) ? nnd_locale_load(locale, path) : NND_OK;
    nnd_free(path);
    return status;
}

const char *nnd_locale_language_of(const nnd_locale *locale)
{
    return locale->language;
}

const char *nnd_locale_text(const nnd_locale *locale, const char *key, const char *fallback)
{
    const char *text = locale ? nnd_map_get(&locale->texts, key) : NULL;
    return text ? text : fallback;
}

size_t nnd_locale_count(const nnd_locale *locale)
{
    return locale->texts.count;
}

const char *nnd_locale_key_at(const nnd_locale *locale, size_t index)
{
    return index < locale->texts.count ? locale->texts.entries[index].key : NULL;
}
