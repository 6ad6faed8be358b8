/* What the commands 'models …' share. */
#ifndef NND_CLI_MODELS_H
#define NND_CLI_MODELS_H

#include "cli/cli.h"
#include "nndeploy/catalog.h"

/* The catalogue, cache and mirrors that an invocation works with. Zero-initialised. */
typedef struct cli_models {
    nnd_catalog *catalog; /* of --catalog; else NULL */
    nnd_model_cache *cache;
} cli_models;

/* Mirrors are those of --mirror, the folders in which workflows look for models, and those that
   the environment and the settings name. Close it in any case. */
nnd_status cli_models_open(const cli *c, cli_models *m);
void cli_models_close(cli_models *m);
/* The model of this name. */
nnd_status cli_models_find(const cli_models *m, const char *name, const nnd_catalog_model **out);
/* The model of NAME or NAME@VARIANT, and its variant that --backend, --precision and --device ask
   for. */
nnd_status cli_models_variant(const cli *c, const cli_models *m, const char *name,
                              const nnd_catalog_model **model, const nnd_catalog_variant **variant);
/* Bytes of all files of a variant. */
uint64_t cli_models_size(const nnd_catalog_variant *variant);
/* "ncnn f32": backend, device and precision as far as they are said. */
void cli_models_variant_text(const nnd_catalog_variant *variant, char *text, size_t size);
/* Writes backend, device and precision. */
void cli_models_variant_json(nnd_json_writer *w, const nnd_catalog_variant *variant);

#endif
