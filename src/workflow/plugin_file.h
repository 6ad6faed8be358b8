/* Looks at a shared object before the system's loader does. */
#ifndef NND_WORKFLOW_PLUGIN_FILE_H
#define NND_WORKFLOW_PLUGIN_FILE_H

#include "nndeploy/base.h"

/* Whether everything that the headers of an ELF file name lies inside of it. The loader maps such
   files and would die of a bus error on one that was cut off. Other formats pass: their loaders
   check. NND_E_FORMAT says what is missing. */
nnd_status wf_plugin_file_check(const char *path);

#endif
