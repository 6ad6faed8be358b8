/*
 * Resizing row by row: a plan for one pair of sizes, and the making of one destination row from
 * source rows that a function delivers.
 */
#ifndef NND_OPS_RESAMPLE_H
#define NND_OPS_RESAMPLE_H

#include "ops/image/axis.h"
#include "ops/image/carve.h"
#include "ops/kernels/kernels.h"

typedef enum nnd_resample_mode {
    NND_RESAMPLE_COPY,     /* nearest filters */
    NND_RESAMPLE_BILINEAR, /* u8, two taps each way */
    NND_RESAMPLE_FIXED,    /* u8, Q14 weights, up to NND_KERNEL_MAX_TAPS */
    NND_RESAMPLE_FLOAT
} nnd_resample_mode;

typedef struct nnd_resampler {
    nnd_resample_mode mode;
    int src_width, dst_width; /* dst_width: of the part that is made */
    int channels;
    nnd_dtype dtype;
    nnd_axis x, y;
    int16_t *x_fixed, *y_fixed; /* Q14; BILINEAR: Q15 weights of the right and lower sample */
    nnd_bilinear_columns columns;
    nnd_nearest_columns nearest;
    int32_t *offset; /* BILINEAR: byte offsets of the left pixels; COPY: the windows */
    uint8_t *index;  /* COPY: places in the windows */
    size_t safe;     /* FIXED: see columns_u8 */
    const nnd_ops_kernels *kernels;
} nnd_resampler;

/* dtype u8, u16 or f32; 1 to 4 channels. x and y say which part of the resized picture is made.
   After a failure there is nothing to free. */
nnd_status nnd_resampler_init(nnd_resampler *r, nnd_axis_size x, nnd_axis_size y, int channels,
                              nnd_dtype dtype, nnd_filter filter, bool antialias);
void nnd_resampler_fini(nnd_resampler *r);
/* How many rows at a time must stay valid when the row function delivers them. */
int nnd_resampler_rows(const nnd_resampler *r);

/* Delivers source row y. */
typedef const void *(*nnd_source_row_fn)(void *user, int y);

typedef struct nnd_resample_scratch {
    int16_t *fixed;
    float *sum, *levels; /* FLOAT: of the source's width, of the destination's */
    const uint8_t **rows;
} nnd_resample_scratch;
void nnd_resample_carve(nnd_resample_scratch *scratch, const nnd_resampler *r, nnd_carve *carve);
/* Row y of the part that is made. */
void nnd_resample_row(const nnd_resampler *r, const nnd_resample_scratch *scratch, int y, void *dst,
                      nnd_source_row_fn source, void *user);

#endif
