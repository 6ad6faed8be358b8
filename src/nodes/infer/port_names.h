/* Ports of catalogued models: workflows know them by the names of the catalogue, whatever a variant
   calls them in its files. */
#ifndef NND_NODES_INFER_PORT_NAMES_H
#define NND_NODES_INFER_PORT_NAMES_H

#include "nndeploy/catalog.h"

/* Zero-initialised: every port has its own name. */
typedef struct nnd_port_names {
    nnd_model_cache *cache;
    const nnd_catalog_variant *variant; /* NULL = no other names */
} nnd_port_names;

/* For a model as a workflow names it and the file that was found for it. The catalogue counts when
   the file is, byte by byte, one of its own. Fini in any case. */
nnd_status nnd_port_names_init(nnd_port_names *names, const char *model, const char *path);
void nnd_port_names_fini(nnd_port_names *names);
/* What workflows call a port. Borrowed from either side. */
const char *nnd_port_names_of(const nnd_port_names *names, const char *own);
/* What an output's numbers are offsets from; NULL = they are none. */
const nnd_catalog_priors *nnd_port_names_priors(const nnd_port_names *names, const char *own);

#endif
