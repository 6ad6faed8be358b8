#include "nodes/infer/hooks.h"

#include <string.h>

#include "nndeploy/infer.h"
#include "nndeploy/ops.h"
#include "nodes/infer/regex/regex.h"

/* Luma by the weights of ITU-R BT.601 in 16 bits, from what the picture shows as RGB: the luma that
   a JPEG stores can lie outside of what its colours can show. */
static void gray_row(const uint8_t *rgb, uint8_t *gray, int32_t width)
{
    for (int32_t x = 0; x < width; x++, rgb += 3)
        gray[x] = (uint8_t)((rgb[0] * 19595u + rgb[1] * 38470u + rgb[2] * 7471u + 0x8000u) >> 16);
}

/* The picture's rows as a dense tensor u8[height,width,channels]. */
static nnd_status to_tensor(const nnd_image *image, bool gray, nnd_value **out)
{
    int64_t dims[3] = {image->height, image->width, gray ? 1 : 3};
    size_t row = (size_t)image->width * (size_t)dims[2];
    NND_TRY(nnd_value_new_tensor(NND_U8, 3, dims, out));
    uint8_t *to = nnd_value_tensor(*out)->data;
    for (int32_t y = 0; y < image->height; y++, to += row) {
        const uint8_t *from = image->data[0] + (int64_t)y * image->stride[0];
        if (gray)
            gray_row(from, to, image->width);
        else
            memcpy(to, from, row);
    }
    return NND_OK;
}

static nnd_status decode(void *user, const void *bytes, size_t size, const char *pixel_format,
                         nnd_value **out)
{
    nnd_decode_options options = NND_DECODE_OPTIONS_INIT;
    nnd_value *picture = NULL;
    (void)user;
    options.upright = false;
    options.format = strcmp(pixel_format, "BGR") == 0 ? NND_PIX_BGR : NND_PIX_RGB;
    NND_TRY(nnd_image_decode(bytes, size, &options, &picture));
    nnd_status status =
        to_tensor(nnd_value_image(picture), strcmp(pixel_format, "Grayscale") == 0, out);
    nnd_value_unref(picture);
    return status;
}

static nnd_status match(void *user, const char *pattern, const nnd_string *texts, size_t count,
                        bool *matches)
{
    (void)user;
    return nnd_regex_full_match(pattern, texts, count, matches);
}

static nnd_status find(void *user, const char *pattern, const nnd_string *texts, size_t count,
                       nnd_regex_found_fn found, void *to)
{
    (void)user;
    return nnd_regex_find(pattern, texts, count, found, to);
}

/* Each of them unless the program has its own. */
void nnd_nodes_register_infer_hooks(void)
{
    nnd_infer_hooks hooks = *nnd_infer_get_hooks();
    if (hooks.decode_image && hooks.match_regex && hooks.find_regex) return;
    if (!hooks.decode_image) hooks.decode_image = decode;
    if (!hooks.match_regex) hooks.match_regex = match;
    if (!hooks.find_regex) hooks.find_regex = find;
    (void)nnd_infer_set_hooks(&hooks);
}
