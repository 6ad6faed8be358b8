/* Any bytes behind the signature of a PNG file: decoded within small limits or refused, and what
   was decoded can be encoded again. The first byte chooses the options. */
#include <stdlib.h>
#include <string.h>

#include "nndeploy/ops.h"

static void encode_again(const nnd_image *image)
{
    nnd_encode_options options = NND_ENCODE_OPTIONS_INIT;
    void *bytes;
    size_t size;
    options.codec = NND_CODEC_PNG;
    options.compression = 1;
    if (nnd_image_encode(image, &options, &bytes, &size) != NND_OK) abort();
    if (nnd_image_codec_probe(bytes, size) != NND_CODEC_PNG) abort();
    nnd_free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t signature[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
    static const nnd_pixel_format formats[8] = {NND_PIX_NONE, NND_PIX_RGB,  NND_PIX_BGR,
                                                NND_PIX_GRAY, NND_PIX_RGBA, NND_PIX_BGRA,
                                                NND_PIX_NV12, NND_PIX_YUYV};
    if (size < 1 + sizeof(signature)) return 0;
    nnd_decode_options options = NND_DECODE_OPTIONS_INIT;
    options.format = formats[data[0] & 7];
    options.upright = (data[0] & 8) != 0;
    options.keep_16_bit = (data[0] & 16) != 0;
    options.max_side = 512;
    options.max_pixels = 64 * 1024;
    uint8_t *file = malloc(size - 1); /* its exact size, for the address sanitizer */
    if (!file) return 0;
    memcpy(file, data + 1, size - 1);
    memcpy(file, signature, sizeof(signature));
    nnd_image_file_info info = {.size = sizeof(info)};
    nnd_value *value;
    const nnd_status known = nnd_image_decode_info(file, size - 1, &info);
    if (nnd_image_decode(file, size - 1, &options, &value) == NND_OK) {
        if (known != NND_OK) abort();
        encode_again(nnd_value_image(value));
        nnd_value_unref(value);
    }
    free(file);
    return 0;
}
