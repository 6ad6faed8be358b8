/*
 * WebP through libwebp, which is loaded when the first such file comes. Read only; of animations
 * there is no first picture.
 */
#include <string.h>

#include "base/bytes.h"
#include "base/library.h"
#include "ops/codec/codec.h"
#include "ops/codec/webp_abi.h"

/* ---- the library ---- */

typedef struct library {
    nnd_port_module *module;
    nnd_webp_get_features_fn get_features;
    nnd_webp_decode_into_fn decode_rgb, decode_rgba;
} library;

#if defined(_WIN32)
static const char *const system_names[] = {"libwebp-7.dll", "libwebp.dll"};
#elif defined(__APPLE__)
static const char *const system_names[] = {"libwebp.7.dylib", "libwebp.dylib"};
#else
static const char *const system_names[] = {"libwebp.so.7"};
#endif

static nnd_port_mutex webp_lock = NND_PORT_MUTEX_INIT;
static library webp;

static nnd_status load_library(library *lib)
{
    const nnd_library_function functions[] = {
        {"WebPGetFeaturesInternal", &lib->get_features},
        {"WebPDecodeRGBInto", &lib->decode_rgb},
        {"WebPDecodeRGBAInto", &lib->decode_rgba},
    };
    const nnd_library_wish wish = {
        "WebP pictures need libwebp", "NNDEPLOY_LIBWEBP", system_names,
        NND_COUNT(system_names),      "libwebp7",         functions,
        NND_COUNT(functions),
    };
    return nnd_library_load(&wish, &lib->module);
}

/* What failed is tried again: it may be installed meanwhile. */
static nnd_status get_library(const library **out)
{
    nnd_status status = NND_OK;
    nnd_port_mutex_lock(&webp_lock);
    if (!webp.module) status = load_library(&webp);
    nnd_port_mutex_unlock(&webp_lock);
    *out = &webp;
    return status;
}

/* ---- header ---- */

/* Of the EXIF chunk; some writers put JPEG's signature before it. */
static int orientation_of(const uint8_t *bytes, size_t size)
{
    static const uint8_t signature[6] = {'E', 'x', 'i', 'f', 0, 0};
    nnd_bytes b = nnd_bytes_of(bytes, size);
    nnd_bytes_skip(&b, 12); /* RIFF, size, WEBP */
    while (nnd_bytes_left(&b) >= 8) {
        const uint8_t *name = nnd_bytes_take(&b, 4);
        const size_t length = nnd_bytes_u32le(&b);
        const uint8_t *body = nnd_bytes_take(&b, length);
        if (!body) break;
        if (memcmp(name, "EXIF", 4) == 0) {
            const bool is_signed =
                length >= sizeof(signature) && memcmp(body, signature, sizeof(signature)) == 0;
            const size_t skipped = is_signed ? sizeof(signature) : 0;
            return nnd_exif_orientation(body + skipped, length - skipped);
        }
        nnd_bytes_skip(&b, length & 1);
    }
    return 1;
}

static nnd_status get_features(const library *lib, const uint8_t *bytes, size_t size,
                               nnd_webp_features *features)
{
    memset(features, 0, sizeof(*features));
    if (lib->get_features(bytes, size, features, NND_WEBP_ABI_VERSION) != NND_WEBP_OK ||
        features->width < 1 || features->height < 1)
        return nnd_error_set(NND_E_FORMAT, "damaged WebP: the header cannot be read");
    if (features->has_animation)
        return nnd_error_set(NND_E_UNSUPPORTED,
                             "an animated WebP is not read: save the picture that is wanted");
    return NND_OK;
}

nnd_status nnd_webp_info(const uint8_t *bytes, size_t size, nnd_image_file_info *out)
{
    const library *lib;
    nnd_webp_features features;
    NND_TRY(get_library(&lib));
    NND_TRY(get_features(lib, bytes, size, &features));
    out->width = features.width;
    out->height = features.height;
    out->channels = features.has_alpha ? 4 : 3;
    out->bits = 8;
    out->orientation = orientation_of(bytes, size);
    return NND_OK;
}

/* ---- pixels ---- */

nnd_status nnd_webp_decode(const nnd_codec_request *request, nnd_value **out)
{
    const library *lib;
    nnd_webp_features features;
    nnd_value *value;
    NND_TRY(get_library(&lib));
    NND_TRY(get_features(lib, request->bytes, request->size, &features));
    NND_TRY(nnd_codec_check_cancel(request, 0));
    NND_TRY(nnd_codec_new_image(request, features.has_alpha ? NND_PIX_RGBA : NND_PIX_RGB, NND_U8,
                                (uint32_t)features.width, (uint32_t)features.height, &value));
    const nnd_image *image = nnd_value_image(value);
    const size_t stride = (size_t)image->stride[0];
    const size_t last = (size_t)image->width * (features.has_alpha ? 4 : 3);
    nnd_webp_decode_into_fn decode = features.has_alpha ? lib->decode_rgba : lib->decode_rgb;
    if (!decode(request->bytes, request->size, image->data[0],
                stride * (size_t)(image->height - 1) + last, (int)stride)) {
        nnd_value_unref(value);
        return nnd_error_set(NND_E_FORMAT, "damaged WebP: the pixels cannot be read");
    }
    *out = value;
    return NND_OK;
}
