/* Ports of catalogued models: what the catalogue says of those of the file that a workflow runs. */
#ifndef NND_NODES_INFER_PORT_NAMES_H
#define NND_NODES_INFER_PORT_NAMES_H

#include "nndeploy/catalog.h"

/* Zero-initialised: nothing is said of any port. */
typedef struct nnd_port_names {
    nnd_model_cache *cache;
    const nnd_catalog_variant *variant; /* NULL = of no port */
} nnd_port_names;

/* For a model as a workflow names it and the file that was found for it. The catalogue counts when
   the file is, byte by byte, one of its own. Fini in any case. */
nnd_status nnd_port_names_init(nnd_port_names *names, const char *model, const char *path);
void nnd_port_names_fini(nnd_port_names *names);
/* What the catalogue says of a port of the file; NULL = nothing. */
const nnd_catalog_port *nnd_port_names_find(const nnd_port_names *names, const char *own);

#endif
