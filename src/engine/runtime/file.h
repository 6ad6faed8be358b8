/* Model files and what lies beside them. */
#ifndef NND_ENGINE_RUNTIME_FILE_H
#define NND_ENGINE_RUNTIME_FILE_H

#include "engine/engine.h"

/* The whole file, mapped. */
nnd_status nnd_engine_map_file(const char *path, nnd_buffer **out);
/* The folder that `path` lies in, "." for a bare name; nnd_free it. */
nnd_status nnd_engine_folder(const char *path, char **out);
/* nnd_engine_open_fn: a file in the folder `user`, unless a link leads out of it. */
nnd_status nnd_engine_open_beside(void *user, const char *relative, nnd_buffer **out);

#endif
