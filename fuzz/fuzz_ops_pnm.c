/* Any bytes behind the signature of a PNM file: decoded within small limits or refused. The first
   byte chooses the options, the second one the kind. */
#include <stdlib.h>
#include <string.h>

#include "nndeploy/ops.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4) return 0;
    nnd_decode_options options = NND_DECODE_OPTIONS_INIT;
    options.format = data[0] & 1 ? NND_PIX_NONE : NND_PIX_RGB;
    options.keep_16_bit = (data[0] & 2) != 0;
    options.as_stored = (data[0] & 4) != 0;
    options.max_side = 512;
    options.max_pixels = 64 * 1024;
    uint8_t *file = malloc(size); /* its exact size, for the address sanitizer */
    if (!file) return 0;
    memcpy(file, data, size);
    file[0] = 'P';
    if (data[1] < '1' || data[1] > '6') file[1] = (uint8_t)('1' + data[1] % 6);
    file[2] = '\n';
    nnd_image_file_info info = {.size = sizeof(info)};
    nnd_value *value;
    const nnd_status known = nnd_image_decode_info(file, size, &info);
    if (nnd_image_decode(file, size, &options, &value) == NND_OK) {
        const nnd_image *image = nnd_value_image(value);
        if (known != NND_OK || image->width != info.width || image->height != info.height) abort();
        nnd_value_unref(value);
    }
    free(file);
    return 0;
}
