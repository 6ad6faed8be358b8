/*
 * PNG by libpng. A walk of our own over the chunks finds size, transparency and orientation before
 * the library starts; the library takes its memory from our allocator and reports errors by a
 * callback that jumps back to the one guarded function.
 */
#include <setjmp.h>
#include <string.h>

#include <png.h>

#include "base/bytes.h"
#include "ops/codec/codec.h"

#define SIGNATURE_BYTES 8
#define MAX_CHUNK_BYTES (8u * 1024 * 1024) /* of memory for one ancillary chunk */

/* ---- header ---- */

typedef struct png_header {
    uint32_t width, height;
    uint8_t bits, color;
    bool transparent; /* by alpha channel or tRNS */
    int orientation;
} png_header;

static nnd_status damaged(const char *what)
{
    return nnd_error_set(NND_E_FORMAT, "damaged PNG: %s", what);
}

static nnd_status read_ihdr(nnd_bytes *b, png_header *h)
{
    const uint32_t length = nnd_bytes_u32be(b);
    const uint8_t *name = nnd_bytes_take(b, 4);
    if (!name || length != 13 || memcmp(name, "IHDR", 4) != 0)
        return damaged("it does not begin with its header");
    h->width = nnd_bytes_u32be(b);
    h->height = nnd_bytes_u32be(b);
    h->bits = nnd_bytes_u8(b);
    h->color = nnd_bytes_u8(b);
    nnd_bytes_skip(b, 3 + 4); /* methods, check sum */
    if (!nnd_bytes_ok(b)) return damaged("the header ends early");
    if (h->width == 0 || h->height == 0 || h->width > INT32_MAX || h->height > INT32_MAX)
        return damaged("an impossible size");
    return NND_OK;
}

static nnd_status read_header(const uint8_t *bytes, size_t size, png_header *h)
{
    memset(h, 0, sizeof(*h));
    h->orientation = 1;
    nnd_bytes b = nnd_bytes_of(bytes, size);
    nnd_bytes_skip(&b, SIGNATURE_BYTES);
    NND_TRY(read_ihdr(&b, h));
    h->transparent = (h->color & PNG_COLOR_MASK_ALPHA) != 0;
    while (nnd_bytes_left(&b) >= 8) {
        const uint32_t length = nnd_bytes_u32be(&b);
        const uint8_t *name = nnd_bytes_take(&b, 4), *body = nnd_bytes_take(&b, length);
        if (!body) break; /* the decoder says more about it */
        if (memcmp(name, "tRNS", 4) == 0) h->transparent = true;
        if (memcmp(name, "eXIf", 4) == 0) h->orientation = nnd_exif_orientation(body, length);
        if (memcmp(name, "IEND", 4) == 0) break;
        nnd_bytes_skip(&b, 4);
    }
    return NND_OK;
}

nnd_status nnd_png_info(const uint8_t *bytes, size_t size, nnd_image_file_info *out)
{
    png_header h;
    NND_TRY(read_header(bytes, size, &h));
    out->width = (int32_t)h.width;
    out->height = (int32_t)h.height;
    out->channels = h.transparent ? 4 : h.color & PNG_COLOR_MASK_COLOR ? 3 : 1;
    out->bits = h.bits == 16 ? 16 : 8;
    out->orientation = h.orientation;
    return NND_OK;
}

/* ---- what both directions share ---- */

typedef struct png_guard {
    jmp_buf jump;
    nnd_status status;
    bool no_memory;
    nnd_status kind; /* of the library's own errors */
} png_guard;

static void on_error(png_structp png, png_const_charp text)
{
    png_guard *guard = png_get_error_ptr(png);
    if (guard->status == NND_OK)
        guard->status = guard->no_memory
                            ? nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a PNG codec")
                            : nnd_error_set(guard->kind, "PNG: %s", text);
    longjmp(guard->jump, 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
    (void)png; /* an oddity in data that the pixels do not depend on */
    (void)text;
}

static png_voidp on_alloc(png_structp png, png_alloc_size_t size)
{
    png_guard *guard = png_get_mem_ptr(png);
    void *block = nnd_alloc(size);
    if (!block) guard->no_memory = true;
    return block;
}

static void on_free(png_structp png, png_voidp block)
{
    (void)png;
    nnd_free(block);
}

/* Ends the guarded function with a status of ours. */
static void stop(png_structp png, nnd_status status)
{
    png_guard *guard = png_get_error_ptr(png);
    guard->status = status;
    longjmp(guard->jump, 1);
}

/* ---- decoding ---- */

typedef struct png_reader {
    png_guard guard; /* first: all callbacks get it */
    png_structp png;
    png_infop info;
    const nnd_codec_request *request;
    png_header header;
    size_t pos;
    nnd_value *value;
    nnd_image *image;
} png_reader;

static void on_read(png_structp png, png_bytep to, size_t size)
{
    png_reader *r = png_get_io_ptr(png);
    if (size > r->request->size - r->pos) png_error(png, "the file ends early");
    memcpy(to, r->request->bytes + r->pos, size);
    r->pos += size;
}

/* Chunks that say nothing about the pixels are not even unpacked: text, profiles. */
static void skip_extras(png_structp png)
{
#ifdef PNG_HANDLE_AS_UNKNOWN_SUPPORTED
    static const png_byte names[] = "iCCP\0tEXt\0zTXt\0iTXt\0sPLT\0eXIf";
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, names, sizeof(names) / 5);
#endif
    png_set_user_limits(png, NND_IMAGE_MAX_SIDE, NND_IMAGE_MAX_SIDE);
    png_set_chunk_malloc_max(png, MAX_CHUNK_BYTES);
    png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_WARN_DISCARD);
}

static bool holds_numbers(const png_header *h)
{
    return h->color == PNG_COLOR_TYPE_PALETTE || (h->color == PNG_COLOR_TYPE_GRAY && h->bits <= 8);
}

/* Sets the library's transformations up for a format near to the wish and returns it. */
static nnd_pixel_format choose_output(png_reader *r, nnd_dtype dtype)
{
    png_structp png = r->png;
    const nnd_pixel_format wish = r->request->format;
    const bool color = (r->header.color & PNG_COLOR_MASK_COLOR) != 0;
    const bool wants_alpha = wish == NND_PIX_NONE || wish == NND_PIX_RGBA || wish == NND_PIX_BGRA;
    if (r->request->as_stored && holds_numbers(&r->header)) {
        png_set_packing(png); /* a byte per number */
        return NND_PIX_GRAY;
    }
    const bool has_alpha =
        png_get_valid(png, r->info, PNG_INFO_tRNS) || (r->header.color & PNG_COLOR_MASK_ALPHA) != 0;
    png_set_expand(png); /* palette to RGB, small grays to 8 bits, tRNS to alpha */
    if (r->header.bits == 16) {
        if (dtype == NND_U8) png_set_scale_16(png);
#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        else
            png_set_swap(png);
#endif
    }
    if (has_alpha && !wants_alpha) png_set_strip_alpha(png);
    const bool alpha = has_alpha && wants_alpha;
    if (!color && !alpha && (wish == NND_PIX_NONE || wish == NND_PIX_GRAY)) return NND_PIX_GRAY;
    if (!color) png_set_gray_to_rgb(png);
    const bool blue_first = wish == NND_PIX_BGR || wish == NND_PIX_BGRA;
    if (blue_first) png_set_bgr(png);
    if (alpha) return blue_first ? NND_PIX_BGRA : NND_PIX_RGBA;
    return blue_first ? NND_PIX_BGR : NND_PIX_RGB;
}

static nnd_status prepare_output(png_reader *r)
{
    const nnd_dtype dtype = r->header.bits == 16 && r->request->keep_16_bit ? NND_U16 : NND_U8;
    const nnd_pixel_format format = choose_output(r, dtype);
    return nnd_codec_new_image(r->request, format, dtype, png_get_image_width(r->png, r->info),
                               png_get_image_height(r->png, r->info), &r->value);
}

static nnd_status decode_guarded(png_reader *r)
{
    if (setjmp(r->guard.jump)) return r->guard.status;
    r->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &r->guard, on_error, on_warning,
                                      &r->guard, on_alloc, on_free);
    if (r->png) r->info = png_create_info_struct(r->png);
    if (!r->info) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a PNG decoder");
    skip_extras(r->png);
    png_set_read_fn(r->png, r, on_read);
    png_read_info(r->png, r->info);
    NND_TRY(prepare_output(r));
    r->image = nnd_value_edit(r->value);
    const int passes = png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
    if (png_get_rowbytes(r->png, r->info) !=
        nnd_image_pixel_bytes(r->image) * (size_t)r->image->width)
        return nnd_error_set(NND_E_INTERNAL, "PNG rows have an unexpected size");
    for (int pass = 0; pass < passes; pass++) {
        for (int y = 0; y < r->image->height; y++) {
            const nnd_status status = nnd_codec_check_cancel(r->request, (uint32_t)y);
            if (status != NND_OK) stop(r->png, status);
            png_read_row(r->png, nnd_ops_row(r->image, 0, y), NULL);
        }
    }
    png_read_end(r->png, NULL);
    return NND_OK;
}

nnd_status nnd_png_decode(const nnd_codec_request *request, nnd_value **out)
{
    png_reader r;
    memset(&r, 0, sizeof(r));
    r.guard.kind = NND_E_FORMAT;
    r.request = request;
    NND_TRY(read_header(request->bytes, request->size, &r.header));
    const nnd_status status = decode_guarded(&r);
    if (r.png) png_destroy_read_struct(&r.png, &r.info, NULL);
    if (status != NND_OK) {
        nnd_value_unref(r.value);
        return status;
    }
    *out = r.value;
    return NND_OK;
}

/* ---- encoding ---- */

typedef struct png_writer {
    png_guard guard; /* first: all callbacks get it */
    png_structp png;
    png_infop info;
    const nnd_image *image;
    nnd_codec_sink *sink;
} png_writer;

static void on_write(png_structp png, png_bytep bytes, size_t size)
{
    png_writer *w = png_get_io_ptr(png);
    nnd_codec_sink_write(w->sink, bytes, size);
    if (w->sink->failed)
        stop(png, nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the PNG's bytes"));
}

static void on_flush(png_structp png)
{
    (void)png;
}

static int color_type(nnd_pixel_format format)
{
    switch (nnd_ops_channels(format)) {
    case 1:
        return PNG_COLOR_TYPE_GRAY;
    case 3:
        return PNG_COLOR_TYPE_RGB;
    default:
        return PNG_COLOR_TYPE_RGB_ALPHA;
    }
}

static nnd_status encode_guarded(png_writer *w, int compression)
{
    if (setjmp(w->guard.jump)) return w->guard.status;
    const nnd_image *image = w->image;
    w->png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, &w->guard, on_error, on_warning,
                                       &w->guard, on_alloc, on_free);
    if (w->png) w->info = png_create_info_struct(w->png);
    if (!w->info) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a PNG encoder");
    png_set_write_fn(w->png, w, on_write, on_flush);
    png_set_compression_level(w->png, compression);
    png_set_IHDR(w->png, w->info, (png_uint_32)image->width, (png_uint_32)image->height,
                 image->dtype == NND_U16 ? 16 : 8, color_type(image->format), PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(w->png, w->info);
    if (image->format == NND_PIX_BGR || image->format == NND_PIX_BGRA) png_set_bgr(w->png);
#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (image->dtype == NND_U16) png_set_swap(w->png);
#endif
    for (int y = 0; y < image->height; y++)
        png_write_row(w->png, nnd_ops_row(image, 0, y));
    png_write_end(w->png, NULL);
    return NND_OK;
}

nnd_status nnd_png_encode(const nnd_image *image, int compression, nnd_codec_sink *sink)
{
    png_writer w;
    memset(&w, 0, sizeof(w));
    w.guard.kind = NND_E_INTERNAL;
    w.image = image;
    w.sink = sink;
    const nnd_status status = encode_guarded(&w, compression);
    if (w.png) png_destroy_write_struct(&w.png, &w.info);
    return status;
}
