/*
 * What the picture codecs share: the request a decoder gets, the limits it must ask for before it
 * allocates, and the growing block that encoders write to. jpeg.c, png.c, webp.c and jp2.c are the
 * only files that know the libraries.
 */
#ifndef NND_OPS_CODEC_H
#define NND_OPS_CODEC_H

#include "ops/ops_common.h"

#define NND_CODEC_MAX_PIXELS (256u * 1000 * 1000)

typedef struct nnd_codec_request {
    const uint8_t *bytes;
    size_t size;
    nnd_pixel_format format; /* a wish; NONE = as stored */
    bool keep_16_bit;
    bool as_stored; /* numbers of palettes and small grays */
    int32_t max_side;
    uint64_t max_pixels;
    const nnd_cancel *cancel;
} nnd_codec_request;

/* A block that grows; a failed growth is remembered and leaves the block valid. */
typedef struct nnd_codec_sink {
    uint8_t *data;
    size_t size, capacity;
    bool failed;
} nnd_codec_sink;

/* Makes sure that `extra` more bytes fit. */
bool nnd_codec_sink_reserve(nnd_codec_sink *sink, size_t extra);
void nnd_codec_sink_write(nnd_codec_sink *sink, const void *bytes, size_t size);

/* NND_E_LIMIT when a picture of this size is not wanted, NND_E_FORMAT when a side is 0. */
nnd_status nnd_codec_check_size(const nnd_codec_request *request, uint64_t width, uint64_t height);
/* The same, then a new image value. */
nnd_status nnd_codec_new_image(const nnd_codec_request *request, nnd_pixel_format format,
                               nnd_dtype dtype, uint32_t width, uint32_t height, nnd_value **out);
/* Asks the token every few rows. */
nnd_status nnd_codec_check_cancel(const nnd_codec_request *request, uint32_t row);

/* Each codec: header, pixels (in an interleaved format of its choice, near to the wish) and
   encoder. The encoder gets a checked interleaved image of u8 or (PNG) u16. */
nnd_status nnd_jpeg_info(const uint8_t *bytes, size_t size, nnd_image_file_info *out);
nnd_status nnd_jpeg_decode(const nnd_codec_request *request, nnd_value **out);
nnd_status nnd_jpeg_encode(const nnd_image *image, int quality, nnd_codec_sink *sink);

nnd_status nnd_png_info(const uint8_t *bytes, size_t size, nnd_image_file_info *out);
nnd_status nnd_png_decode(const nnd_codec_request *request, nnd_value **out);
nnd_status nnd_png_encode(const nnd_image *image, int compression, nnd_codec_sink *sink);

nnd_status nnd_bmp_info(const uint8_t *bytes, size_t size, nnd_image_file_info *out);
nnd_status nnd_bmp_decode(const nnd_codec_request *request, nnd_value **out);
nnd_status nnd_bmp_encode(const nnd_image *image, nnd_codec_sink *sink);

nnd_status nnd_pnm_info(const uint8_t *bytes, size_t size, nnd_image_file_info *out);
nnd_status nnd_pnm_decode(const nnd_codec_request *request, nnd_value **out);

nnd_status nnd_webp_info(const uint8_t *bytes, size_t size, nnd_image_file_info *out);
nnd_status nnd_webp_decode(const nnd_codec_request *request, nnd_value **out);

nnd_status nnd_jp2_info(const uint8_t *bytes, size_t size, nnd_image_file_info *out);
nnd_status nnd_jp2_decode(const nnd_codec_request *request, nnd_value **out);

/* Orientation 1…8 in a TIFF block (the body of PNG's eXIf); 1 when absent or damaged. */
int nnd_exif_orientation(const uint8_t *tiff, size_t size);
/* The same for a whole JPEG file: looks for the Exif segment before the first scan. */
int nnd_exif_orientation_of_jpeg(const uint8_t *bytes, size_t size);

#endif
