#include "nodes/variant.h"

#include "base/str.h"
#include "nndeploy/infer.h"

#include <string.h>

/* NULL = the wish leaves the choice. */
static const char *wished_backend(const nnd_model_wish *wish)
{
    const char *name = wish->backend;
    return name && name[0] && strcmp(name, "auto") != 0 ? name : NULL;
}

bool nnd_variant_is_of_precision(const nnd_catalog_variant *variant, const nnd_model_wish *wish)
{
    return wish->precision && wish->precision[0] &&
           strcmp(variant->precision, wish->precision) == 0;
}

/* A variant that says no backend, or a framework whose backend is not here, is for everybody who
   reads its file. */
static bool is_for(const nnd_catalog_variant *variant, const char *name)
{
    if (strcmp(variant->backend, name) == 0) return true;
    if (nnd_backend_find(variant->backend)) return false;
    const nnd_backend *backend = nnd_backend_find(name);
    return backend ? nnd_backend_reads(backend, nnd_catalog_main_file(variant)->name)
                   : !variant->backend[0];
}

static bool is_for_an_available_one(const nnd_catalog_variant *variant)
{
    for (size_t i = 0; nnd_backend_at(i); i++) {
        const nnd_backend *backend = nnd_backend_at(i);
        nnd_backend_status probe = {.size = sizeof probe};
        if (!is_for(variant, backend->name)) continue;
        backend->probe(&probe);
        if (probe.available) return true;
    }
    return false;
}

/* Each of them outweighs all those below it. */
enum { OF_PRECISION = 8, PINNED = 4, BEST = 3, GOOD = 2, ALLOWED = 1 };

/* 0 = does not suit. `best` is what another variant has reached: looking for libraries takes time,
   and is left when it cannot change the choice. */
static int score(const nnd_catalog_variant *variant, const nnd_model_wish *wish, bool is_pinned,
                 int best)
{
    const char *backend = wished_backend(wish);
    int more =
        (is_pinned ? PINNED : 0) + (nnd_variant_is_of_precision(variant, wish) ? OF_PRECISION : 0);
    if (backend) {
        if (!is_for(variant, backend)) return 0;
        return more + (strcmp(variant->backend, backend) == 0 ? BEST : GOOD);
    }
    if (is_for(variant, "builtin")) return more + BEST;
    if (is_pinned) return more + GOOD;
    return more + GOOD > best && is_for_an_available_one(variant) ? more + GOOD : ALLOWED;
}

const nnd_catalog_variant *nnd_variant_choose(const nnd_catalog_model *model, const char *word,
                                              const nnd_model_wish *wish)
{
    const bool has_pin = wish->sha256 && wish->sha256[0];
    const nnd_catalog_variant *pinned =
        has_pin ? nnd_catalog_pick_sha256(model, wish->sha256) : NULL;
    const nnd_catalog_variant *chosen = NULL;
    int best = 0;
    for (size_t i = 0; i < model->variant_count; i++) {
        const nnd_catalog_variant *variant = nnd_catalog_variant_at(model, i);
        if (word[0] && !nnd_catalog_variant_answers(variant, word)) continue;
        int reached = score(variant, wish, pinned && variant == pinned, best);
        if (reached <= best) continue;
        best = reached;
        chosen = variant;
    }
    return chosen;
}

nnd_status nnd_variant_none(const nnd_catalog_model *model, const char *word,
                            const nnd_model_wish *wish)
{
    const char *backend = wished_backend(wish);
    char *words = nnd_catalog_variant_words(model);
    nnd_status status = nnd_error_set(
        NND_E_MISSING, "model '%s' has no variant%s%s%s%s%s%s; it has: %s", model->name,
        word[0] ? " '" : "", word, word[0] ? "'" : "", backend ? " for the backend '" : "",
        backend ? backend : "", backend ? "'" : "", words ? words : "");
    nnd_free(words);
    return status;
}

const char *nnd_variant_formats(const nnd_model_wish *wish)
{
    const char *name = wished_backend(wish);
    const nnd_backend *backend = name ? nnd_backend_find(name) : NULL;
    return backend ? backend->formats : "onnx";
}
