/*
 * Pictures from and to bytes: which codec, limits, orientation and the wanted pixel format. The
 * codecs themselves only move pixels.
 */
#include "ops/codec/codec.h"

#include <string.h>

#include "base/size.h"

#define CANCEL_ROWS 16

/* ---- names ---- */

/* P1 … P6 and a blank or a comment. */
static bool is_pnm(const uint8_t *bytes, size_t size)
{
    return size >= 3 && bytes[0] == 'P' && bytes[1] >= '1' && bytes[1] <= '6' &&
           (bytes[2] == ' ' || bytes[2] == '#' || (bytes[2] >= '\t' && bytes[2] <= '\r'));
}

/* The signature box of a JP2 file, or the two markers that begin a code stream. */
static bool is_jpeg_2000(const uint8_t *bytes, size_t size)
{
    static const uint8_t box[12] = {0, 0, 0, 12, 'j', 'P', ' ', ' ', '\r', '\n', 0x87, '\n'};
    static const uint8_t stream[4] = {0xFF, 0x4F, 0xFF, 0x51};
    return (size >= sizeof(box) && memcmp(bytes, box, sizeof(box)) == 0) ||
           (size >= sizeof(stream) && memcmp(bytes, stream, sizeof(stream)) == 0);
}

nnd_image_codec nnd_image_codec_probe(const void *bytes, size_t size)
{
    static const uint8_t png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
    static const uint8_t jpeg[3] = {0xFF, 0xD8, 0xFF};
    if (!bytes) return NND_CODEC_NONE;
    if (size >= sizeof(jpeg) && memcmp(bytes, jpeg, sizeof(jpeg)) == 0) return NND_CODEC_JPEG;
    if (size >= sizeof(png) && memcmp(bytes, png, sizeof(png)) == 0) return NND_CODEC_PNG;
    if (size >= 2 && memcmp(bytes, "BM", 2) == 0) return NND_CODEC_BMP;
    if (is_pnm(bytes, size)) return NND_CODEC_PNM;
    if (size >= 12 && memcmp(bytes, "RIFF", 4) == 0 &&
        memcmp((const uint8_t *)bytes + 8, "WEBP", 4) == 0)
        return NND_CODEC_WEBP;
    if (is_jpeg_2000(bytes, size)) return NND_CODEC_JPEG_2000;
    return NND_CODEC_NONE;
}

/* Kinds of pictures that are known by sight only; NULL for anything else. */
static const char *foreign_kind(const void *bytes, size_t size)
{
    static const struct {
        const char *name, *begin;
        size_t size;
    } kinds[] = {
        {"TIFF", "II*\0", 4},
        {"TIFF", "MM\0*", 4},
        {"GIF", "GIF8", 4},
        {"PAM", "P7\n", 3},
    };
    for (size_t i = 0; i < NND_COUNT(kinds); i++)
        if (size >= kinds[i].size && memcmp(bytes, kinds[i].begin, kinds[i].size) == 0)
            return kinds[i].name;
    return NULL;
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
    static const struct {
        const char *name;
        nnd_image_codec codec;
    } suffixes[] = {
        {"jpg", NND_CODEC_JPEG},      {"jpeg", NND_CODEC_JPEG},     {"png", NND_CODEC_PNG},
        {"bmp", NND_CODEC_BMP},       {"webp", NND_CODEC_WEBP},     {"pnm", NND_CODEC_PNM},
        {"ppm", NND_CODEC_PNM},       {"pgm", NND_CODEC_PNM},       {"pbm", NND_CODEC_PNM},
        {"jp2", NND_CODEC_JPEG_2000}, {"j2k", NND_CODEC_JPEG_2000}, {"j2c", NND_CODEC_JPEG_2000},
        {"jpc", NND_CODEC_JPEG_2000},
    };
    const char *dot = path ? strrchr(path, '.') : NULL;
    if (!dot) return NND_CODEC_NONE;
    for (size_t i = 0; i < NND_COUNT(suffixes); i++)
        if (suffix_is(dot + 1, suffixes[i].name)) return suffixes[i].codec;
    return NND_CODEC_NONE;
}

bool nnd_image_codec_writes(nnd_image_codec codec)
{
    return codec == NND_CODEC_JPEG || codec == NND_CODEC_PNG || codec == NND_CODEC_BMP;
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

static const struct {
    nnd_status (*info)(const uint8_t *bytes, size_t size, nnd_image_file_info *out);
    nnd_status (*decode)(const nnd_codec_request *request, nnd_value **out);
} readers[] = {
    [NND_CODEC_JPEG] = {nnd_jpeg_info, nnd_jpeg_decode},
    [NND_CODEC_PNG] = {nnd_png_info, nnd_png_decode},
    [NND_CODEC_BMP] = {nnd_bmp_info, nnd_bmp_decode},
    [NND_CODEC_PNM] = {nnd_pnm_info, nnd_pnm_decode},
    [NND_CODEC_WEBP] = {nnd_webp_info, nnd_webp_decode},
    [NND_CODEC_JPEG_2000] = {nnd_jp2_info, nnd_jp2_decode},
};

static nnd_status check_bytes(const void *bytes, size_t size)
{
    if (!bytes) return nnd_error_set(NND_E_INVALID_ARGUMENT, "no bytes to decode");
    if (nnd_image_codec_probe(bytes, size) != NND_CODEC_NONE) return NND_OK;
    const char *kind = foreign_kind(bytes, size);
    if (kind)
        return nnd_error_set(
            NND_E_UNSUPPORTED,
            "%s pictures are not read: save it as PNG, JPEG, JPEG 2000, WebP, BMP or PNM", kind);
    return nnd_error_set(
        NND_E_FORMAT, "%zu bytes that are neither JPEG, JPEG 2000, PNG, WebP, BMP nor PNM", size);
}

nnd_status nnd_image_decode_info(const void *bytes, size_t size, nnd_image_file_info *out)
{
    if (!out || out->size != sizeof(*out))
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "the info's size field must be sizeof(nnd_image_file_info)");
    NND_TRY(check_bytes(bytes, size));
    nnd_image_file_info info = {.size = sizeof(info), .orientation = 1};
    info.codec = nnd_image_codec_probe(bytes, size);
    NND_TRY(readers[info.codec].info(bytes, size, &info));
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
    NND_TRY(readers[info.codec].decode(&request, &value));
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
    if (!nnd_image_codec_writes(options->codec))
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
