/* Questions to a parsed JSON document. */
#include "base/json.h"

#include <math.h>
#include <string.h>

#include "base/options.h"

#define LARGEST_EXACT 9007199254740991.0 /* 2^53 - 1 */

void nnd_json_destroy(nnd_json_doc *doc)
{
    if (!doc) return;
    nnd_arena arena = doc->arena; /* the document lies in its own arena */
    nnd_arena_fini(&arena);
}

const nnd_json *nnd_json_root(const nnd_json_doc *doc)
{
    return doc ? &doc->root : NULL;
}

nnd_json_type nnd_json_get_type(const nnd_json *json)
{
    return json ? (nnd_json_type)json->type : NND_JSON_NULL;
}

static bool is(const nnd_json *json, nnd_json_type type)
{
    return json && json->type == type;
}

uint32_t nnd_json_line(const nnd_json *json)
{
    return json ? json->line : 0;
}

uint32_t nnd_json_column(const nnd_json *json)
{
    return json ? json->column : 0;
}

size_t nnd_json_count(const nnd_json *json)
{
    return is(json, NND_JSON_ARRAY) || is(json, NND_JSON_OBJECT) ? json->size : 0;
}

const nnd_json *nnd_json_at(const nnd_json *json, size_t index)
{
    if (index >= nnd_json_count(json)) return NULL;
    return json->type == NND_JSON_ARRAY ? &json->u.items[index] : &json->u.members[index].value;
}

static const nnd_json_member *member_at(const nnd_json *json, size_t index)
{
    return is(json, NND_JSON_OBJECT) && index < json->size ? &json->u.members[index] : NULL;
}

const char *nnd_json_key_at(const nnd_json *json, size_t index)
{
    const nnd_json_member *member = member_at(json, index);
    return member ? member->key : NULL;
}

size_t nnd_json_key_size(const nnd_json *json, size_t index)
{
    const nnd_json_member *member = member_at(json, index);
    return member ? member->key_size : 0;
}

void nnd_json_key_place(const nnd_json *json, size_t index, uint32_t *line, uint32_t *column)
{
    const nnd_json_member *member = member_at(json, index);
    *line = member ? member->line : 0;
    *column = member ? member->column : 0;
}

int nnd_json_compare_keys(const char *a, size_t a_size, const char *b, size_t b_size)
{
    int order = memcmp(a, b, a_size < b_size ? a_size : b_size);
    return order ? order : (a_size > b_size) - (a_size < b_size);
}

const nnd_json *nnd_json_get(const nnd_json *json, const char *key)
{
    if (!is(json, NND_JSON_OBJECT) || !key) return NULL;
    size_t size = strlen(key);
    const nnd_json_member *members = json->u.members;
    if (json->size <= NND_JSON_SMALL_OBJECT) {
        for (size_t i = 0; i < json->size; i++)
            if (members[i].key_size == size && memcmp(members[i].key, key, size) == 0)
                return &members[i].value;
        return NULL;
    }
    const uint32_t *index = nnd_json_index(json);
    size_t low = 0, high = json->size;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const nnd_json_member *m = &members[index[middle]];
        int order = nnd_json_compare_keys(key, size, m->key, m->key_size);
        if (order == 0) return &m->value;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

bool nnd_json_bool(const nnd_json *json, bool fallback)
{
    return is(json, NND_JSON_BOOL) ? json->truth : fallback;
}

double nnd_json_number(const nnd_json *json, double fallback)
{
    return is(json, NND_JSON_NUMBER) ? json->u.number : fallback;
}

bool nnd_json_int(const nnd_json *json, int64_t *out)
{
    if (is(json, NND_JSON_NUMBER)) {
        double value = json->u.number;
        if (fabs(value) > LARGEST_EXACT || value != floor(value)) return false;
        *out = (int64_t)value;
        return true;
    }
    if (!is(json, NND_JSON_STRING)) return false;
    const char *text = json->u.text;
    return text[0] != '+' && strlen(text) == json->size && nnd_parse_int(text, out);
}

const char *nnd_json_string(const nnd_json *json, const char *fallback)
{
    return is(json, NND_JSON_STRING) ? json->u.text : fallback;
}

size_t nnd_json_string_size(const nnd_json *json)
{
    return is(json, NND_JSON_STRING) ? json->size : 0;
}
