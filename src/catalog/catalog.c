/* Looking things up in a catalogue. */
#include "catalog/catalog_internal.h"

#include "base/hash.h"
#include "base/str.h"
#include "port/port.h"

#include <stdio.h>
#include <string.h>

void nnd_catalog_destroy(nnd_catalog *catalog)
{
    if (!catalog) return;
    nnd_arena_fini(&catalog->arena);
    nnd_free(catalog);
}

const nnd_catalog *nnd_catalog_builtin(void)
{
    static nnd_port_mutex lock = NND_PORT_MUTEX_INIT;
    static nnd_catalog *builtin;
    nnd_port_mutex_lock(&lock);
    /* The text is ours and tested: only memory can be wanting, perhaps not the next time. */
    if (!builtin &&
        nnd_catalog_parse((const char *)nnd_catalog_builtin_text, nnd_catalog_builtin_size,
                          "models/catalog.json", &builtin) != NND_OK)
        builtin = NULL;
    const nnd_catalog *result = builtin;
    nnd_port_mutex_unlock(&lock);
    return result;
}

size_t nnd_catalog_count(const nnd_catalog *catalog)
{
    return catalog->count;
}

const nnd_catalog_model *nnd_catalog_at(const nnd_catalog *catalog, size_t index)
{
    return index < catalog->count ? &catalog->models[index].pub : NULL;
}

const nnd_catalog_model *nnd_catalog_find(const nnd_catalog *catalog, const char *name)
{
    size_t low = 0, high = catalog->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, catalog->models[middle].pub.name);
        if (order == 0) return &catalog->models[middle].pub;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const char *nnd_catalog_suggest(const nnd_catalog *catalog, const char *name)
{
    nnd_suggest near;
    nnd_suggest_begin(&near, name);
    for (size_t i = 0; i < catalog->count; i++)
        nnd_suggest_offer(&near, catalog->models[i].pub.name);
    return near.best;
}

const nnd_catalog_variant *nnd_catalog_variant_at(const nnd_catalog_model *model, size_t index)
{
    const cat_model *m = (const cat_model *)model;
    return index < model->variant_count ? &m->variants[index].pub : NULL;
}

const nnd_catalog_file *nnd_catalog_file_at(const nnd_catalog_variant *variant, size_t index)
{
    const cat_variant *v = (const cat_variant *)variant;
    return index < variant->file_count ? &v->files[index] : NULL;
}

const nnd_catalog_port *nnd_catalog_port_at(const nnd_catalog_variant *variant, size_t index)
{
    const cat_variant *v = (const cat_variant *)variant;
    return index < variant->port_count ? &v->ports[index] : NULL;
}

const nnd_catalog_file *nnd_catalog_main_file(const nnd_catalog_variant *variant)
{
    const cat_variant *v = (const cat_variant *)variant;
    size_t i = 0;
    while (strcmp(v->files[i].role, "model") != 0)
        i++;
    return &v->files[i];
}

const char *nnd_catalog_variant_word(const nnd_catalog_variant *variant, char *text, size_t size)
{
    snprintf(text, size, "%s%s%s%s%s", variant->backend, variant->backend[0] ? "-" : "",
             variant->device, variant->device[0] ? "-" : "", variant->precision);
    return text;
}

bool nnd_catalog_variant_answers(const nnd_catalog_variant *variant, const char *word)
{
    char text[200];
    return word[0] && (strcmp(word, nnd_catalog_variant_word(variant, text, sizeof text)) == 0 ||
                       strcmp(word, variant->backend) == 0 || strcmp(word, variant->device) == 0 ||
                       strcmp(word, variant->precision) == 0);
}

char *nnd_catalog_variant_words(const nnd_catalog_model *model)
{
    nnd_str words = {0};
    char text[200];
    for (size_t i = 0; i < model->variant_count; i++) {
        const nnd_catalog_variant *variant = nnd_catalog_variant_at(model, i);
        nnd_str_printf(&words, "%s%s", i ? ", " : "",
                       nnd_catalog_variant_word(variant, text, sizeof text));
    }
    return words.data;
}

/* How well a variant's word meets a wish: 2 as wished, 1 by not saying or not being asked, 0 not.
 */
static int match(const char *has, const char *wanted)
{
    if (!wanted || !wanted[0]) return 1;
    return strcmp(has, wanted) == 0 ? 2 : !has[0];
}

const nnd_catalog_variant *nnd_catalog_pick(const nnd_catalog_model *model, const char *backend,
                                            const char *precision, const char *device)
{
    const nnd_catalog_variant *best = NULL;
    int best_score = 0;
    for (size_t i = 0; i < model->variant_count; i++) {
        const nnd_catalog_variant *v = nnd_catalog_variant_at(model, i);
        int b = match(v->backend, backend), p = match(v->precision, precision);
        int score = b * p * match(v->device, device);
        if (score <= best_score) continue;
        best = v;
        best_score = score;
    }
    return best;
}

const nnd_catalog_variant *nnd_catalog_pick_sha256(const nnd_catalog_model *model,
                                                   const char *sha256)
{
    for (size_t i = 0; i < model->variant_count; i++) {
        const nnd_catalog_variant *v = nnd_catalog_variant_at(model, i);
        if (nnd_sha256_text_equal(nnd_catalog_main_file(v)->sha256, sha256)) return v;
    }
    return NULL;
}
