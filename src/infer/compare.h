/*
 * Where two backends, or two files of one model, begin to disagree: the tensors between the
 * operators of an ONNX model are made outputs, on both sides, and compared in order of execution.
 */
#ifndef NND_INFER_COMPARE_H
#define NND_INFER_COMPARE_H

#include "infer/difference.h"
#include "nndeploy/infer.h"

typedef struct nnd_compare_side {
    const char *path;
    const char *backend; /* as in nnd_model_options */
    const char *config;  /* may be NULL */
} nnd_compare_side;

typedef struct nnd_compare_options {
    nnd_compare_side sides[2];
    size_t input_count;
    const char *const *input_names;
    nnd_value *const *inputs; /* NULL = not given */
    nnd_tolerance tolerance;
    int threads;
    size_t window; /* tensors that are visible in one run, at least 2; memory grows with it */
    nnd_cancel *cancel;
    void (*progress)(void *user, size_t done, size_t total); /* tensors; may be NULL */
    void *user;
} nnd_compare_options;

/* The first operator whose result differs although those before it agree. */
typedef struct nnd_divergence {
    bool found;
    char *op, *node, *tensor; /* when found; node may be "" */
    nnd_difference difference;
    char reason[256];  /* when not found */
    size_t tensors;    /* between operators, present on both sides */
    size_t looked_at;  /* of them */
    size_t unreadable; /* of those: a backend cannot give them out */
} nnd_divergence;

/* Looks at up to `window` tensors at once, evenly spread over what is left, then between the last
   one that agrees and the first one that differs, until these are neighbours: two runs for 4096
   operators with a window of 64. Fails when a file cannot be read, on cancel and without memory. */
nnd_status nnd_compare_locate(const nnd_compare_options *options, nnd_divergence *out);
void nnd_divergence_fini(nnd_divergence *d);

/* Binds by name; what the model does not know by name goes to the input at the same place. */
nnd_status nnd_compare_bind(nnd_request *request, const nnd_model *model, const char *const *names,
                            nnd_value *const *values, size_t count);

#endif
