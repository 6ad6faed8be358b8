/* The folders that a model's `config` names. */
#ifndef NND_NODES_INFER_CONFIG_FOLDERS_H
#define NND_NODES_INFER_CONFIG_FOLDERS_H

#include "nndeploy/workflow.h"

/* The same config with the folders that backends write to (builtin's cache, openvino's cache_dir)
   as the policy of the run resolves them; nnd_free it. NND_E_PERMISSION when it does not cover one.
 */
nnd_status nnd_config_folders(nnd_io *io, const char *config, char **out);

#endif
