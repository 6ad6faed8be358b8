/* What the engine leaves to its host, so that it stays free of third-party code. */
#ifndef NND_ENGINE_HOOKS_H
#define NND_ENGINE_HOOKS_H

#include "nndeploy/data.h"

/* The same as nnd_infer_hooks (infer.h). */
typedef struct nnd_engine_hooks {
    void *user;
    nnd_status (*decode_image)(void *user, const void *bytes, size_t size, const char *pixel_format,
                               nnd_value **out);
    nnd_status (*match_regex)(void *user, const char *pattern, const nnd_string *texts,
                              size_t count, bool *matches);
    nnd_status (*find_regex)(void *user, const char *pattern, const nnd_string *texts, size_t count,
                             nnd_status (*found)(void *to, size_t i, size_t begin, size_t end),
                             void *to);
} nnd_engine_hooks;

/* Process-wide; not while a model runs. NULL = none. */
void nnd_engine_set_hooks(const nnd_engine_hooks *hooks);
const nnd_engine_hooks *nnd_engine_get_hooks(void);

#endif
