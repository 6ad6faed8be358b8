/*
 * nndeploy/nodes.h: the node library.
 *
 * Part of nndeploy, Apache-2.0. Compiles alone as C11 and C++17.
 */
#ifndef NNDEPLOY_NODES_H
#define NNDEPLOY_NODES_H

#include "nndeploy/workflow.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Adds every built-in node type to a registry. */
NND_API nnd_status nnd_nodes_register(nnd_registry *registry);
/* A registry of the process with every built-in node type, made on first use. Borrowed; NULL
   without memory. Any thread. */
NND_API nnd_registry *nnd_nodes_registry(void);

/* Services of a plain host: model names are looked up in the folders of NNDEPLOY_MODELS
   (separated as in PATH), in models/ beside the workflow and beside the installed binary, and in
   the user's cache; secrets come from the environment (NNDEPLOY_SECRET_<NAME>). base_dir (may be NULL) is
   the folder of the workflow; the strings behind `out` live until the process ends. */
NND_API nnd_status nnd_nodes_services(const char *base_dir, nnd_services *out);

#ifdef __cplusplus
}
#endif
#endif
