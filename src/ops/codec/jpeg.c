/*
 * JPEG by libjpeg-turbo. The library reports errors by a callback that must not return: it jumps
 * back to the one guarded function, whose state lives in a struct outside of its frame, and the
 * caller cleans up. Its warnings about missing or broken data count as errors.
 */
#include <setjmp.h>
#include <stdio.h> /* jpeglib.h needs FILE */
#include <string.h>

#include <jerror.h>
#include <jpeglib.h>

#include "ops/codec/codec.h"

/* A file has one scan, or about ten when it is progressive. Each costs a pass over the whole
   picture, so thousands of empty ones would keep a decoder busy for hours. */
#define MAX_SCANS 200
/* Working memory: coefficients of a progressive picture (2 bytes for up to 4 components with
   padding to blocks) and a fixed part. */
#define BASE_MEMORY      (32L * 1024 * 1024)
#define MEMORY_PER_PIXEL 16

typedef struct jpeg_guard {
    struct jpeg_error_mgr manager; /* first: libjpeg hands back its address */
    jmp_buf jump;
    nnd_status status;
    bool decoding;
} jpeg_guard;

static nnd_status status_of_code(const jpeg_guard *guard, int code)
{
    switch (code) {
    case JERR_OUT_OF_MEMORY:
        return NND_E_OUT_OF_MEMORY;
    case JERR_NO_BACKING_STORE:
    case JERR_IMAGE_TOO_BIG:
    case JERR_WIDTH_OVERFLOW:
        return NND_E_LIMIT;
    case JERR_SOF_UNSUPPORTED:
    case JERR_ARITH_NOTIMPL:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_BAD_PRECISION:
    case JERR_CCIR601_NOTIMPL:
        return NND_E_UNSUPPORTED;
    default:
        return guard->decoding ? NND_E_FORMAT : NND_E_INTERNAL;
    }
}

static void on_error(j_common_ptr info)
{
    jpeg_guard *guard = (jpeg_guard *)(void *)info->err;
    char text[JMSG_LENGTH_MAX];
    guard->manager.format_message(info, text);
    guard->status = nnd_error_set(status_of_code(guard, guard->manager.msg_code), "JPEG: %s", text);
    longjmp(guard->jump, 1);
}

/* Level −1 is a warning: the library would invent what is missing. Harmless oddities pass. */
static void on_message(j_common_ptr info, int level)
{
    if (level >= 0) return;
    switch (info->err->msg_code) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_MUST_RESYNC:
    case JWRN_BOGUS_PROGRESSION:
        on_error(info);
        break;
    default:
        break;
    }
}

static void on_output(j_common_ptr info)
{
    (void)info; /* nothing goes to stderr */
}

static void guard_init(jpeg_guard *guard, bool decoding)
{
    memset(guard, 0, sizeof(*guard));
    jpeg_std_error(&guard->manager);
    guard->manager.error_exit = on_error;
    guard->manager.emit_message = on_message;
    guard->manager.output_message = on_output;
    guard->decoding = decoding;
}

/* ---- decoding ---- */

typedef struct jpeg_reader {
    jpeg_guard guard;
    struct jpeg_progress_mgr progress;
    struct jpeg_decompress_struct info;
    const nnd_codec_request *request; /* NULL = header only */
    nnd_value *value;
    nnd_image *image;
    uint8_t *cmyk; /* one row of four channels, when the file is CMYK */
} jpeg_reader;

/* Called between rows of blocks, also while the scans of a progressive file are read. */
static void on_progress(j_common_ptr common)
{
    j_decompress_ptr info = (j_decompress_ptr)common;
    jpeg_reader *r = info->client_data;
    if (info->input_scan_number > MAX_SCANS) {
        r->guard.status = nnd_error_set(
            NND_E_LIMIT, "JPEG: more than %d scans: save the picture again", MAX_SCANS);
        longjmp(r->guard.jump, 1);
    }
    r->guard.status = nnd_codec_check_cancel(r->request, 0);
    if (r->guard.status != NND_OK) longjmp(r->guard.jump, 1);
}

static void reader_open(jpeg_reader *r, const uint8_t *bytes, size_t size)
{
    jpeg_create_decompress(&r->info);
    r->info.client_data = r;
    jpeg_mem_src(&r->info, bytes, (unsigned long)size);
    jpeg_read_header(&r->info, TRUE);
}

static nnd_status info_guarded(jpeg_reader *r, const uint8_t *bytes, size_t size)
{
    if (setjmp(r->guard.jump)) return r->guard.status;
    reader_open(r, bytes, size);
    return NND_OK;
}

nnd_status nnd_jpeg_info(const uint8_t *bytes, size_t size, nnd_image_file_info *out)
{
    jpeg_reader reader;
    memset(&reader, 0, sizeof(reader));
    guard_init(&reader.guard, true);
    reader.info.err = &reader.guard.manager;
    const nnd_status status = info_guarded(&reader, bytes, size);
    if (status == NND_OK) {
        out->width = (int32_t)reader.info.image_width;
        out->height = (int32_t)reader.info.image_height;
        out->channels = reader.info.jpeg_color_space == JCS_GRAYSCALE ? 1 : 3;
        out->bits = 8;
        out->orientation = nnd_exif_orientation_of_jpeg(bytes, size);
    }
    jpeg_destroy_decompress(&reader.info);
    return status;
}

/* The pixel format that libjpeg writes: the wanted one where it can, CMYK by way of RGB. */
static nnd_pixel_format choose_output(j_decompress_ptr info, nnd_pixel_format wish)
{
    if (info->jpeg_color_space == JCS_CMYK || info->jpeg_color_space == JCS_YCCK) {
        info->out_color_space = JCS_CMYK;
        return NND_PIX_RGB;
    }
    if (wish == NND_PIX_NONE)
        wish = info->jpeg_color_space == JCS_GRAYSCALE ? NND_PIX_GRAY : NND_PIX_RGB;
    switch (wish) {
    case NND_PIX_GRAY:
        info->out_color_space = JCS_GRAYSCALE;
        return wish;
    case NND_PIX_BGR:
        info->out_color_space = JCS_EXT_BGR;
        return wish;
    case NND_PIX_RGBA:
        info->out_color_space = JCS_EXT_RGBA;
        return wish;
    case NND_PIX_BGRA:
        info->out_color_space = JCS_EXT_BGRA;
        return wish;
    default:
        info->out_color_space = JCS_EXT_RGB;
        return NND_PIX_RGB;
    }
}

static uint8_t scale_255(unsigned a, unsigned b)
{
    return (uint8_t)((a * b + 127) / 255);
}

/* Adobe stores CMYK inverted: 255 is no ink. */
static void cmyk_to_rgb(const uint8_t *from, uint8_t *to, uint32_t count, bool inverted)
{
    const unsigned flip = inverted ? 0 : 255;
    for (uint32_t x = 0; x < count; x++, from += 4, to += 3) {
        const unsigned key = from[3] ^ flip;
        to[0] = scale_255(from[0] ^ flip, key);
        to[1] = scale_255(from[1] ^ flip, key);
        to[2] = scale_255(from[2] ^ flip, key);
    }
}

static nnd_status prepare_output(jpeg_reader *r)
{
    j_decompress_ptr info = &r->info;
    NND_TRY(nnd_codec_check_size(r->request, info->image_width, info->image_height));
    const nnd_pixel_format format = choose_output(info, r->request->format);
    const uint64_t memory =
        (uint64_t)info->image_width * info->image_height * MEMORY_PER_PIXEL + BASE_MEMORY;
    info->mem->max_memory_to_use =
        memory > INT32_MAX && sizeof(long) == 4 ? INT32_MAX : (long)memory;
    info->dct_method = JDCT_ISLOW;
    NND_TRY(nnd_codec_new_image(r->request, format, NND_U8, info->image_width, info->image_height,
                                &r->value));
    r->image = nnd_value_edit(r->value);
    if (info->out_color_space == JCS_CMYK) {
        r->cmyk = nnd_alloc((size_t)info->image_width * 4);
        if (!r->cmyk) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a row of CMYK");
    }
    return NND_OK;
}

static nnd_status decode_guarded(jpeg_reader *r)
{
    if (setjmp(r->guard.jump)) return r->guard.status;
    reader_open(r, r->request->bytes, r->request->size);
    NND_TRY(prepare_output(r));
    r->progress.progress_monitor = on_progress;
    r->info.progress = &r->progress;
    jpeg_start_decompress(&r->info);
    while (r->info.output_scanline < r->info.output_height) {
        const uint32_t y = r->info.output_scanline;
        NND_TRY(nnd_codec_check_cancel(r->request, y));
        uint8_t *row = nnd_ops_row(r->image, 0, y);
        JSAMPROW target = r->cmyk ? r->cmyk : row;
        jpeg_read_scanlines(&r->info, &target, 1);
        if (r->cmyk) cmyk_to_rgb(r->cmyk, row, r->info.output_width, r->info.saw_Adobe_marker);
    }
    jpeg_finish_decompress(&r->info); /* reads up to the end marker */
    return NND_OK;
}

nnd_status nnd_jpeg_decode(const nnd_codec_request *request, nnd_value **out)
{
    jpeg_reader reader;
    memset(&reader, 0, sizeof(reader));
    guard_init(&reader.guard, true);
    reader.info.err = &reader.guard.manager;
    reader.request = request;
    const nnd_status status = decode_guarded(&reader);
    jpeg_destroy_decompress(&reader.info);
    nnd_free(reader.cmyk);
    if (status != NND_OK) {
        nnd_value_unref(reader.value);
        return status;
    }
    *out = reader.value;
    return NND_OK;
}

/* ---- encoding ---- */

#define OUTPUT_CHUNK 16384

typedef struct jpeg_writer {
    jpeg_guard guard;
    struct jpeg_destination_mgr destination;
    struct jpeg_compress_struct info;
    const nnd_image *image;
    nnd_codec_sink *sink;
    uint8_t chunk[OUTPUT_CHUNK];
} jpeg_writer;

static void rewind_chunk(jpeg_writer *w)
{
    w->destination.next_output_byte = w->chunk;
    w->destination.free_in_buffer = OUTPUT_CHUNK;
}

static void destination_start(j_compress_ptr info)
{
    rewind_chunk(info->client_data);
}

static void flush_chunk(jpeg_writer *w, size_t size)
{
    nnd_codec_sink_write(w->sink, w->chunk, size);
    if (w->sink->failed) {
        w->guard.status = nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the JPEG's bytes");
        longjmp(w->guard.jump, 1);
    }
    rewind_chunk(w);
}

static boolean destination_empty(j_compress_ptr info)
{
    flush_chunk(info->client_data, OUTPUT_CHUNK); /* by contract the whole chunk is full */
    return TRUE;
}

static void destination_end(j_compress_ptr info)
{
    jpeg_writer *w = info->client_data;
    flush_chunk(w, OUTPUT_CHUNK - w->destination.free_in_buffer);
}

static J_COLOR_SPACE input_space(nnd_pixel_format format)
{
    switch (format) {
    case NND_PIX_GRAY:
        return JCS_GRAYSCALE;
    case NND_PIX_BGR:
        return JCS_EXT_BGR;
    case NND_PIX_RGBA:
        return JCS_EXT_RGBX;
    case NND_PIX_BGRA:
        return JCS_EXT_BGRX;
    default:
        return JCS_EXT_RGB;
    }
}

static nnd_status encode_guarded(jpeg_writer *w, int quality)
{
    if (setjmp(w->guard.jump)) return w->guard.status;
    j_compress_ptr info = &w->info;
    jpeg_create_compress(info);
    info->client_data = w;
    w->destination.init_destination = destination_start;
    w->destination.empty_output_buffer = destination_empty;
    w->destination.term_destination = destination_end;
    info->dest = &w->destination;
    info->image_width = (JDIMENSION)w->image->width;
    info->image_height = (JDIMENSION)w->image->height;
    info->in_color_space = input_space(w->image->format);
    info->input_components = nnd_ops_channels(w->image->format);
    jpeg_set_defaults(info);
    jpeg_set_quality(info, quality, TRUE);
    info->dct_method = JDCT_ISLOW;
    if (quality >= 90 && info->num_components == 3) /* 4:4:4; the default is 4:2:0 */
        info->comp_info[0].h_samp_factor = info->comp_info[0].v_samp_factor = 1;
    jpeg_start_compress(info, TRUE);
    while (info->next_scanline < info->image_height) {
        JSAMPROW row = nnd_ops_row(w->image, 0, info->next_scanline);
        jpeg_write_scanlines(info, &row, 1);
    }
    jpeg_finish_compress(info);
    return NND_OK;
}

nnd_status nnd_jpeg_encode(const nnd_image *image, int quality, nnd_codec_sink *sink)
{
    if (image->width > JPEG_MAX_DIMENSION || image->height > JPEG_MAX_DIMENSION)
        return nnd_error_set(NND_E_LIMIT, "%d x %d: sides of a JPEG may have %ld pixels, use PNG",
                             (int)image->width, (int)image->height, (long)JPEG_MAX_DIMENSION);
    jpeg_writer *w = nnd_calloc(1, sizeof(*w));
    if (!w) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a JPEG encoder");
    guard_init(&w->guard, false);
    w->info.err = &w->guard.manager;
    w->image = image;
    w->sink = sink;
    const nnd_status status = encode_guarded(w, quality);
    jpeg_destroy_compress(&w->info);
    nnd_free(w);
    return status;
}
