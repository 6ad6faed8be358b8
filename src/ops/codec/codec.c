/*
 * Pictures from and to bytes: which codec, limits, orientation and the wanted pixel format. The
 * codecs themselves only move pixels.
 */
#include "ops/codec/codec.h"

#include <string.h>

#include "base/size.h"

#define CANCEL_ROWS 16

/* ---- names ---- */

nnd_image_codec nnd_image_codec_probe(const void *bytes, size_t size)
{
    static const uint8_t png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
    static const uint8_t jpeg[3] = {0xFF, 0xD8, 0xFF};
    if (!bytes) return NND_CODEC_NONE;
    if (size >= sizeof(jpeg) && memcmp(bytes, jpeg, sizeof(jpeg)) == 0) return NND_CODEC_JPEG;
    if (size >= sizeof(png) && memcmp(bytes, png, sizeof(png)) == 0) return NND_CODEC_PNG;
    if (size >= 2 && memcmp(bytes, "BM", 2) == 0) return NND_CODEC_BMP;
    return NND_CODEC_NONE;
}

static bool suffix_is(const char *suffix, const char *name)
{
    for (; *suffix && *name; suffix++, name++) {
        const char c = *suffix >= 'A' && *suffix <= 'Z' ? (char)(*suffix - 'A' + 'a') : *suffix;
        if (c != *name) return false;
    }
    return *suffix == *name;
}

nnd_image_codec nnd_image_codec_from_name(const char *path)
{
    const char *dot = path ? strrchr(path, '.') : NULL;
    if (!dot) return NND_CODEC_NONE;
    if (suffix_is(dot + 1, "jpg") || suffix_is(dot + 1, "jpeg")) return NND_CODEC_JPEG;
    if (suffix_is(dot + 1, "png")) return NND_CODEC_PNG;
    if (suffix_is(dot + 1, "bmp")) return NND_CODEC_BMP;
    return NND_CODEC_NONE;
}

/* ---- what codecs call ---- */

bool nnd_codec_sink_reserve(nnd_codec_sink *sink, size_t extra)
{
    size_t needed;
    if (sink->failed || !nnd_size_add(sink->size, extra, &needed)) {
        sink->failed = true;
        return false;
    }
    if (needed <= sink->capacity) return true;
    size_t capacity = sink->capacity < 4096 ? 4096 : sink->capacity;
    while (capacity < needed)
        capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;
    uint8_t *data = nnd_realloc(sink->data, capacity);
    if (!data) {
        sink->failed = true;
        return false;
    }
    sink->data = data;
    sink->capacity = capacity;
    return true;
}

void nnd_codec_sink_write(nnd_codec_sink *sink, const void *bytes, size_t size)
{
    if (size == 0 || !nnd_codec_sink_reserve(sink, size)) return;
    memcpy(sink->data + sink->size, bytes, size);
    sink->size += size;
}

nnd_status nnd_codec_check_size(const nnd_codec_request *request, uint64_t width, uint64_t height)
{
    if (width == 0 || height == 0)
        return nnd_error_set(NND_E_FORMAT, "the picture has no pixels (%llu x %llu)",
                             (unsigned long long)width, (unsigned long long)height);
    const uint64_t side = (uint64_t)request->max_side;
    if (width > side || height > side)
        return nnd_error_set(NND_E_LIMIT,
                             "the picture is %llu x %llu, sides may have %llu pixels: raise "
                             "max_side or scale the file down",
                             (unsigned long long)width, (unsigned long long)height,
                             (unsigned long long)side);
    if (width * height > request->max_pixels)
        return nnd_error_set(NND_E_LIMIT,
                             "the picture has %llu pixels, %llu are allowed: raise max_pixels or "
                             "scale the file down",
                             (unsigned long long)(width * height),
                             (unsigned long long)request->max_pixels);
    return NND_OK;
}

nnd_status nnd_codec_new_image(const nnd_codec_request *request, nnd_pixel_format format,
                               nnd_dtype dtype, uint32_t width, uint32_t height, nnd_value **out)
{
    NND_TRY(nnd_codec_check_size(request, width, height));
    return nnd_value_new_image(format, dtype, (int)width, (int)height, out);
}

nnd_status nnd_codec_check_cancel(const nnd_codec_request *request, uint32_t row)
{
    if (!request->cancel || row % CANCEL_ROWS != 0) return NND_OK;
    const nnd_status status = nnd_cancel_check(request->cancel);
    return status == NND_OK ? status : nnd_error_set(status, "reading the picture was stopped");
}

/* ---- decoding ---- */

static nnd_status check_bytes(const void *bytes, size_t size)
{
    if (!bytes) return nnd_error_set(NND_E_INVALID_ARGUMENT, "no bytes to decode");
    if (nnd_image_codec_probe(bytes, size) == NND_CODEC_NONE)
        return nnd_error_set(NND_E_FORMAT, "%zu bytes that are neither JPEG nor PNG nor BMP", size);
    return NND_OK;
}

nnd_status nnd_image_decode_info(const void *bytes, size_t size, nnd_image_file_info *out)
{
    if (!out || out->size != sizeof(*out))
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "the info's size field must be sizeof(nnd_image_file_info)");
    NND_TRY(check_bytes(bytes, size));
    nnd_image_file_info info = {.size = sizeof(info), .orientation = 1};
    info.codec = nnd_image_codec_probe(bytes, size);
    if (info.codec == NND_CODEC_JPEG)
        NND_TRY(nnd_jpeg_info(bytes, size, &info));
    else if (info.codec == NND_CODEC_PNG)
        NND_TRY(nnd_png_info(bytes, size, &info));
    else
        NND_TRY(nnd_bmp_info(bytes, size, &info));
    *out = info;
    return NND_OK;
}

/* Replaces *value by its upright form. */
static nnd_status make_upright(nnd_value **value, int orientation)
{
    if (orientation <= 1) return NND_OK;
    const nnd_image *image = nnd_value_image(*value);
    const bool swapped = orientation >= 5;
    nnd_value *turned;
    NND_TRY(nnd_value_new_image(image->format, image->dtype, swapped ? image->height : image->width,
                                swapped ? image->width : image->height, &turned));
    const nnd_status status = nnd_image_orient(nnd_value_edit(turned), image, orientation, NULL);
    nnd_value_unref(status == NND_OK ? *value : turned);
    if (status == NND_OK) *value = turned;
    return status;
}

/* Replaces *value by its form in another pixel format. */
static nnd_status make_format(nnd_value **value, nnd_pixel_format format, const nnd_cancel *cancel)
{
    const nnd_image *image = nnd_value_image(*value);
    if (format == NND_PIX_NONE || format == image->format) return NND_OK;
    nnd_value *converted;
    NND_TRY(nnd_value_new_image(format, nnd_ops_is_yuv(format) ? NND_U8 : image->dtype,
                                image->width, image->height, &converted));
    nnd_convert_options options = NND_CONVERT_OPTIONS_INIT;
    options.cancel = cancel;
    const nnd_status status = nnd_image_convert(nnd_value_edit(converted), image, &options);
    nnd_value_unref(status == NND_OK ? *value : converted);
    if (status == NND_OK) *value = converted;
    return status;
}

static nnd_status check_decode_options(const nnd_decode_options *options)
{
    NND_OPS_CHECK_OPTIONS(options, nnd_decode_options);
    if (options->format != NND_PIX_NONE && nnd_pixel_format_planes(options->format) == 0)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "%d is not a pixel format",
                             (int)options->format);
    if (options->max_side < 0 || options->max_side > NND_IMAGE_MAX_SIDE)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "max_side is %d, expected 0…%d",
                             (int)options->max_side, NND_IMAGE_MAX_SIDE);
    return NND_OK;
}

static nnd_status decode_pixels(const nnd_codec_request *request, nnd_image_codec codec,
                                nnd_value **out)
{
    switch (codec) {
    case NND_CODEC_JPEG:
        return nnd_jpeg_decode(request, out);
    case NND_CODEC_PNG:
        return nnd_png_decode(request, out);
    default:
        return nnd_bmp_decode(request, out);
    }
}

nnd_status nnd_image_decode(const void *bytes, size_t size, const nnd_decode_options *options,
                            nnd_value **out)
{
    static const nnd_decode_options defaults = NND_DECODE_OPTIONS_INIT;
    if (!out) return nnd_error_set(NND_E_INVALID_ARGUMENT, "nowhere to put the picture");
    if (!options) options = &defaults;
    NND_TRY(check_decode_options(options));
    NND_TRY(check_bytes(bytes, size));
    nnd_image_file_info info = {.size = sizeof(info)};
    NND_TRY(nnd_image_decode_info(bytes, size, &info));
    const nnd_codec_request request = {
        .bytes = bytes,
        .size = size,
        .format = options->format,
        .keep_16_bit = options->keep_16_bit,
        .as_stored = options->as_stored,
        .max_side = options->max_side ? options->max_side : NND_IMAGE_MAX_SIDE,
        .max_pixels = options->max_pixels ? options->max_pixels : NND_CODEC_MAX_PIXELS,
        .cancel = options->cancel,
    };
    nnd_value *value;
    NND_TRY(nnd_codec_check_size(&request, (uint64_t)info.width, (uint64_t)info.height));
    NND_TRY(decode_pixels(&request, info.codec, &value));
    nnd_status status = options->upright ? make_upright(&value, info.orientation) : NND_OK;
    if (status == NND_OK) status = make_format(&value, options->format, options->cancel);
    if (status != NND_OK) {
        nnd_value_unref(value);
        return status;
    }
    *out = value;
    return NND_OK;
}

/* ---- encoding ---- */

/* The element type and format in which a codec takes the picture. */
static void codec_input(const nnd_image *image, nnd_image_codec codec, nnd_pixel_format *format,
                        nnd_dtype *dtype)
{
    *format = nnd_ops_is_yuv(image->format) ? NND_PIX_RGB : image->format;
    *dtype = codec == NND_CODEC_PNG && image->dtype == NND_U16 ? NND_U16 : NND_U8;
}

static nnd_status encode_pixels(const nnd_image *image, const nnd_encode_options *options,
                                nnd_codec_sink *sink)
{
    switch (options->codec) {
    case NND_CODEC_JPEG:
        return nnd_jpeg_encode(image, options->quality, sink);
    case NND_CODEC_PNG:
        return nnd_png_encode(image, options->compression, sink);
    default:
        return nnd_bmp_encode(image, sink);
    }
}

static nnd_status check_encode_options(const nnd_encode_options *options)
{
    NND_OPS_CHECK_OPTIONS(options, nnd_encode_options);
    if (options->codec < NND_CODEC_JPEG || options->codec > NND_CODEC_BMP)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "codec %d: use JPEG, PNG or BMP",
                             (int)options->codec);
    if (options->codec == NND_CODEC_JPEG && (options->quality < 1 || options->quality > 100))
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "JPEG quality is %d, expected 1…100",
                             options->quality);
    if (options->codec == NND_CODEC_PNG && (options->compression < 0 || options->compression > 9))
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "PNG compression is %d, expected 0…9",
                             options->compression);
    return NND_OK;
}

nnd_status nnd_image_encode(const nnd_image *image, const nnd_encode_options *options, void **bytes,
                            size_t *size)
{
    static const nnd_encode_options defaults = NND_ENCODE_OPTIONS_INIT;
    if (!bytes || !size) return nnd_error_set(NND_E_INVALID_ARGUMENT, "nowhere to put the bytes");
    if (!options) options = &defaults;
    NND_TRY(check_encode_options(options));
    NND_TRY(nnd_ops_check_image(image, "picture to encode"));
    nnd_pixel_format format;
    nnd_dtype dtype;
    codec_input(image, options->codec, &format, &dtype);
    nnd_value *converted = NULL;
    if (format != image->format || dtype != image->dtype) {
        NND_TRY(nnd_value_new_image(format, dtype, image->width, image->height, &converted));
        const nnd_status status = nnd_image_convert(nnd_value_edit(converted), image, NULL);
        if (status != NND_OK) {
            nnd_value_unref(converted);
            return status;
        }
        image = nnd_value_image(converted);
    }
    nnd_codec_sink sink = {NULL, 0, 0, false};
    nnd_status status = encode_pixels(image, options, &sink);
    nnd_value_unref(converted);
    if (status == NND_OK && sink.failed)
        status = nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the encoded picture");
    if (status != NND_OK) {
        nnd_free(sink.data);
        return status;
    }
    *bytes = sink.data;
    *size = sink.size;
    return NND_OK;
}
