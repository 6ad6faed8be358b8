#include "nodes/infer/port_names.h"

#include "base/hash.h"
#include "base/str.h"
#include "nodes/infer/port_form.h"
#include "nodes/nodes_internal.h"
#include "port/port.h"

#include <string.h>

/* Whether the variant is anything but what its file says. */
static bool is_special(const nnd_catalog_variant *variant)
{
    for (size_t i = 0; i < variant->port_count; i++) {
        const nnd_catalog_port *port = nnd_catalog_port_at(variant, i);
        if (port->priors || strcmp(port->port, port->name) != 0 || nnd_port_form_is_special(port))
            return true;
    }
    return false;
}

/* Reading a file for its digest takes its time: only when size and need of it speak for it. */
static nnd_status is_file_of(const nnd_catalog_variant *variant, const char *path, bool *is)
{
    char text[NND_SHA256_TEXT];
    nnd_port_file_info info;
    const nnd_catalog_file *file = nnd_catalog_main_file(variant);
    *is = is_special(variant) && nnd_port_file_stat(path, &info) == 0 && info.size == file->size;
    if (!*is) return NND_OK;
    NND_TRY(nnd_nodes_digest(path, text));
    *is = strcmp(text, file->sha256) == 0;
    return NND_OK;
}

nnd_status nnd_port_names_init(nnd_port_names *names, const char *model, const char *path)
{
    *names = (nnd_port_names){NULL, NULL};
    if (strpbrk(model, "/\\:")) return NND_OK;
    NND_TRY(nnd_model_cache_create(NULL, &names->cache));
    char *name = nnd_strdup_n(model, strcspn(model, "@"));
    if (!name) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a model's name");
    const nnd_catalog_model *entry = nnd_catalog_find(nnd_model_cache_catalog(names->cache), name);
    nnd_free(name);
    for (size_t i = 0; entry && i < entry->variant_count && !names->variant; i++) {
        const nnd_catalog_variant *variant = nnd_catalog_variant_at(entry, i);
        bool is = false;
        NND_TRY(is_file_of(variant, path, &is));
        if (is) names->variant = variant;
    }
    return NND_OK;
}

void nnd_port_names_fini(nnd_port_names *names)
{
    nnd_model_cache_destroy(names->cache);
    *names = (nnd_port_names){NULL, NULL};
}

const nnd_catalog_port *nnd_port_names_find(const nnd_port_names *names, const char *own)
{
    for (size_t i = 0; names->variant && i < names->variant->port_count; i++) {
        const nnd_catalog_port *port = nnd_catalog_port_at(names->variant, i);
        if (strcmp(port->name, own) == 0) return port;
    }
    return NULL;
}
