/* What the files of the onnxruntime backend share: the library, models, values. */
#ifndef NND_INFER_ONNXRUNTIME_ORT_H
#define NND_INFER_ONNXRUNTIME_ORT_H

#include "infer/backends/onnxruntime/ort_abi.h"
#include "infer/infer.h"

/* ---- the library (library.c) --------------------------------------------------------------- */

/* The library that was found, one per process; it stays until the process ends. Immutable. */
typedef struct nnd_ort_library {
    const nnd_ort_api *api;
    uint32_t api_version; /* of the table: what may be called */
    char version[64];     /* of the library, "1.17.3" */
    char path[256];       /* as it was opened */
    nnd_port_module *module;
    OrtEnv *env;
    OrtAllocator *allocator; /* the library's own, for texts and arrays that it hands out */
    OrtMemoryInfo *cpu;
    char **providers; /* "CPUExecutionProvider", … */
    int provider_count;
    bool shares_memory; /* our allocator is registered: option allocator=nndeploy */
} nnd_ort_library;

/* Finds and opens the library at the first call that succeeds. NND_E_MISSING with the reason and
   how to get it. Any thread. */
nnd_status nnd_ort_library_get(const nnd_ort_library **out);

/* Turns a failure of the library into an error record "<what>: <its text>" and frees it; NND_OK for
   NULL. */
nnd_status nnd_ort_check(const nnd_ort_library *library, OrtStatus *status, const char *what);

/* ---- sessions (session.c, options.c) ------------------------------------------------------- */

/* A model. Results that the library allocated hold it, too: their memory may belong to the
   session. */
typedef struct nnd_ort_model {
    const nnd_ort_library *library;
    _Atomic uint32_t holders;
    OrtSession *session;
    int charged;           /* threads of its pool that count against the budget */
    nnd_model_port *ports; /* inputs, then outputs */
    size_t input_count, output_count;
} nnd_ort_model;

void nnd_ort_model_unref(nnd_ort_model *model);

/* The session options that the public options ask for; the caller releases *out. pool: threads that
   the session's pool will start. NND_E_UNSUPPORTED for providers that the library lacks. */
nnd_status nnd_ort_options_make(const nnd_ort_library *library, const nnd_model_options *options,
                                OrtSessionOptions **out, int *pool);

/* ---- values (values.c) --------------------------------------------------------------------- */

nnd_dtype nnd_ort_dtype_from(unsigned element); /* NND_DTYPE_INVALID when we lack it */

/* A value of the library over a dense host tensor (or list of them), without a copy except for
   strings and sequences, which the library keeps its own way. rank_zero: a vector of one element
   goes in as a scalar. */
nnd_status nnd_ort_value_from(const nnd_ort_library *library, const nnd_value *value,
                              bool rank_zero, OrtValue **out);
/* The other way: takes `from` over, also on failure. The bytes stay where they are; strings are
   copied. */
nnd_status nnd_ort_value_take(nnd_ort_model *model, OrtValue *from, nnd_value **out);

/* ---- deadlines (watchdog.c) ---------------------------------------------------------------- */

/* Calls fn(user) once, in a thread of its own, when nnd_clock_now() reaches `deadline`. The entry
   belongs to the caller; leave returns when fn is not running and will not run. enter without
   memory or threads does nothing: the run then ends late. */
typedef struct nnd_ort_watch {
    int64_t deadline;
    void (*fn)(void *user);
    void *user;
    bool entered;
    struct nnd_ort_watch *next;
} nnd_ort_watch;
void nnd_ort_watch_enter(nnd_ort_watch *watch, int64_t deadline, void (*fn)(void *user),
                         void *user);
void nnd_ort_watch_leave(nnd_ort_watch *watch);

/* ---- requests (request.c) ------------------------------------------------------------------ */

nnd_status nnd_ort_request_open(void *model, const nnd_request_options *options, void **request);
void nnd_ort_request_close(void *request);
nnd_status nnd_ort_request_run(void *request, nnd_value *const *inputs, nnd_value **outputs,
                               nnd_cancel *cancel);

#endif
