/*
 * What the ncnn backend reads from a .param file itself: the names of inputs and outputs, and
 * whether the file is what it claims to be. The library trusts its files: a count that is too
 * small, a name that nobody produces or a list that is too short make it read and write beyond its
 * memory. So every file passes here first.
 */
#ifndef NND_INFER_NCNN_PARAM_H
#define NND_INFER_NCNN_PARAM_H

#include "base/arena.h"
#include "base/map.h"
#include "base/vec.h"
#include "nndeploy/base.h"

typedef struct nnd_ncnn_input {
    const char *name;
    /* What the layers that read it need, 0 = unknown: the number of channels of a picture, or of
       elements altogether. The library does not compare. */
    int channels;
    int64_t elements;
    bool is_index;    /* whole numbers: rows of a table (Embed) */
    bool is_borrowed; /* only layers read it that leave its memory alone */
} nnd_ncnn_input;

typedef struct nnd_ncnn_param {
    nnd_arena arena; /* of the names */
    NND_VEC(nnd_ncnn_input) inputs;
    NND_VEC(const char *) outputs; /* blobs that no layer reads, in the order of the file */
    nnd_map types;                 /* of layers */
} nnd_ncnn_param;

/* Fills a zeroed param; fini also after a failure. NND_E_FORMAT with the line. */
nnd_status nnd_ncnn_param_read(nnd_ncnn_param *param, const char *text, size_t size);
void nnd_ncnn_param_fini(nnd_ncnn_param *param);

#endif
