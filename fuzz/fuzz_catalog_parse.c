/* Catalogues from outside: nothing but a clean refusal, or a catalogue that keeps its promises. */
#include "catalog/catalog_internal.h"

#include "base/str.h"

#include <stdlib.h>
#include <string.h>

static void check_file(const nnd_catalog_file *file)
{
    if (!cat_is_file_name(file->name) || strstr(file->name, "/.") || file->name[0] == '.' ||
        strlen(file->sha256) != 64 || file->size == 0)
        abort();
    for (size_t i = 0; i < file->url_count; i++) {
        char *url = cat_url_expand(file->urls[i]);
        if (url && strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0) abort();
        nnd_free(url);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nnd_catalog *catalog = NULL;
    if (nnd_catalog_parse((const char *)data, size, "fuzz", &catalog) != NND_OK) return 0;
    for (size_t i = 0; i < nnd_catalog_count(catalog); i++) {
        const nnd_catalog_model *model = nnd_catalog_at(catalog, i);
        if (nnd_catalog_find(catalog, model->name) != model) abort();
        for (size_t v = 0; v < model->variant_count; v++) {
            const nnd_catalog_variant *variant = nnd_catalog_variant_at(model, v);
            if (strcmp(nnd_catalog_main_file(variant)->role, "model") != 0) abort();
            for (size_t f = 0; f < variant->file_count; f++)
                check_file(nnd_catalog_file_at(variant, f));
        }
    }
    nnd_catalog_destroy(catalog);
    return 0;
}
