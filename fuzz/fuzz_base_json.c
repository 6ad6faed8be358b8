/* Whatever parses must survive writing and parsing again with the same canonical text. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "nndeploy/base.h"

static char *write_document(const nnd_json_doc *doc, int indent, size_t *size)
{
    nnd_json_writer *w;
    char *text;
    if (nnd_json_writer_create(indent, &w) != NND_OK) abort();
    nnd_json_put_json(w, nnd_json_root(doc));
    if (nnd_json_writer_take(w, &text, size) != NND_OK) abort();
    nnd_json_writer_destroy(w);
    return text;
}

/* Every member is found by its key, unless the key holds a NUL. */
static void look_up(const nnd_json *json)
{
    for (size_t i = 0; i < nnd_json_count(json); i++) {
        const nnd_json *child = nnd_json_at(json, i);
        const char *key = nnd_json_key_at(json, i);
        if (key && strlen(key) == nnd_json_key_size(json, i) && nnd_json_get(json, key) != child)
            abort();
        look_up(child);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nnd_json_doc *doc = NULL, *again = NULL;
    if (nnd_json_parse((const char *)data, size, "input", &doc) != NND_OK) return 0;
    look_up(nnd_json_root(doc));
    for (int indent = 0; indent <= 2; indent += 2) {
        size_t first_size, second_size;
        char *first = write_document(doc, indent, &first_size);
        if (nnd_json_parse(first, first_size, "written", &again) != NND_OK) abort();
        char *second = write_document(again, indent, &second_size);
        if (first_size != second_size || memcmp(first, second, first_size) != 0) abort();
        nnd_json_destroy(again);
        nnd_free(first);
        nnd_free(second);
    }
    nnd_json_destroy(doc);
    return 0;
}
