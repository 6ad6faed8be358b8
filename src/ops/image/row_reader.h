/*
 * Rows of an image of any format as interleaved u8 or f32 pixels: what resampling and conversion
 * read. Rows that are in that form already are handed out in place.
 */
#ifndef NND_OPS_ROW_READER_H
#define NND_OPS_ROW_READER_H

#include "ops/image/carve.h"
#include "ops/kernels/kernels.h"
#include "ops/ops_common.h"

typedef struct nnd_row_reader {
    nnd_image image;
    nnd_rect roi;
    nnd_pixel_format format; /* of the rows: RGB, BGR, GRAY or with alpha as the source */
    nnd_dtype dtype;         /* of the rows: NND_U8 or NND_F32 */
    float gain;              /* f32 rows: stored level · gain */
    int channels;
    bool direct;      /* rows need no conversion */
    size_t row_bytes; /* of a converted row, one more pixel included */
    const nnd_ops_kernels *kernels;
    nnd_yuv_coef yuv;
    int16_t gray_weight[3];
} nnd_row_reader;

/* Rows suited for pixels of the format `wanted`: gray when it is GRAY, else the source's own
   interleaved format, or RGB or BGR (whichever is nearer to `wanted`) of a YUV source. dtype NND_U8
   needs a u8 image; with NND_F32 levels are multiplied by gain. */
void nnd_row_reader_init(nnd_row_reader *reader, const nnd_image *image, nnd_rect roi,
                         nnd_pixel_format wanted, nnd_dtype dtype, double gain);

/* A window of converted rows, one per thread. */
typedef struct nnd_row_cache {
    const nnd_row_reader *reader;
    int slots;
    int *tag; /* row held by each slot, −1 = none */
    uint8_t *rows;
    size_t slot_bytes;
    uint8_t *luma, *chroma, *color; /* rows in between */
    float *wide, *plane[3];         /* of deep colour on its way to gray */
} nnd_row_cache;

/* Takes the memory for `slots` rows out of the scratch. */
void nnd_row_cache_carve(nnd_row_cache *cache, const nnd_row_reader *reader, int slots,
                         nnd_carve *carve);
void nnd_row_cache_reset(nnd_row_cache *cache);
/* Row y of the region; stays valid until `slots` other rows were asked for in ascending order. */
const void *nnd_row_cache_get(nnd_row_cache *cache, int y);

/* YUV ↔ RGB of a picture's matrix and range. */
nnd_yuv_coef nnd_yuv_coef_of(const nnd_image *image);

/* channel[k]: which channel of `from` is channel k of `to`; −1 = opaque alpha. Gray spreads. Going
   from colour to GRAY is not a matter of channels: `from` must be GRAY then. */
void nnd_channel_map(nnd_pixel_format from, nnd_pixel_format to, int channel[4]);

#endif
