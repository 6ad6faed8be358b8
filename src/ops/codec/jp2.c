/*
 * JPEG 2000, JP2 files and raw code streams, through OpenJPEG, which is loaded when the first such
 * picture comes. Read only. The headers are read here first (jp2_header.h); the library reads from
 * memory by callbacks, and what it says goes into the error record.
 */
#include <stdio.h>
#include <string.h>

#include "base/library.h"
#include "ops/codec/codec.h"
#include "ops/codec/jp2_header.h"
#include "ops/codec/openjpeg_abi.h"

/* ---- the library ---- */

typedef struct library {
    nnd_port_module *module;
    nnd_opj_stream_create_fn stream_create;
    nnd_opj_stream_destroy_fn stream_destroy;
    nnd_opj_stream_set_read_fn stream_set_read;
    nnd_opj_stream_set_skip_fn stream_set_skip;
    nnd_opj_stream_set_seek_fn stream_set_seek;
    nnd_opj_stream_set_user_fn stream_set_user;
    nnd_opj_stream_set_length_fn stream_set_length;
    nnd_opj_create_decompress_fn create_decompress;
    nnd_opj_destroy_codec_fn destroy_codec;
    nnd_opj_set_handler_fn set_error_handler;
    nnd_opj_default_parameters_fn default_parameters;
    nnd_opj_setup_decoder_fn setup_decoder;
    nnd_opj_read_header_fn read_header;
    nnd_opj_decode_fn decode;
    nnd_opj_end_decompress_fn end_decompress;
    nnd_opj_image_destroy_fn image_destroy;
} library;

#if defined(_WIN32)
static const char *const system_names[] = {"libopenjp2-7.dll", "openjp2.dll"};
#elif defined(__APPLE__)
static const char *const system_names[] = {"libopenjp2.7.dylib", "libopenjp2.dylib"};
#else
static const char *const system_names[] = {"libopenjp2.so.7"};
#endif

static nnd_port_mutex openjpeg_lock = NND_PORT_MUTEX_INIT;
static library openjpeg;

static nnd_status load_library(library *lib)
{
    const nnd_library_function functions[] = {
        {"opj_stream_create", &lib->stream_create},
        {"opj_stream_destroy", &lib->stream_destroy},
        {"opj_stream_set_read_function", &lib->stream_set_read},
        {"opj_stream_set_skip_function", &lib->stream_set_skip},
        {"opj_stream_set_seek_function", &lib->stream_set_seek},
        {"opj_stream_set_user_data", &lib->stream_set_user},
        {"opj_stream_set_user_data_length", &lib->stream_set_length},
        {"opj_create_decompress", &lib->create_decompress},
        {"opj_destroy_codec", &lib->destroy_codec},
        {"opj_set_error_handler", &lib->set_error_handler},
        {"opj_set_default_decoder_parameters", &lib->default_parameters},
        {"opj_setup_decoder", &lib->setup_decoder},
        {"opj_read_header", &lib->read_header},
        {"opj_decode", &lib->decode},
        {"opj_end_decompress", &lib->end_decompress},
        {"opj_image_destroy", &lib->image_destroy},
    };
    const nnd_library_wish wish = {
        "JPEG 2000 pictures need OpenJPEG",
        "NNDEPLOY_LIBOPENJP2",
        system_names,
        NND_COUNT(system_names),
        "libopenjp2-7",
        functions,
        NND_COUNT(functions),
    };
    return nnd_library_load(&wish, &lib->module);
}

/* What failed is tried again: it may be installed meanwhile. */
static nnd_status get_library(const library **out)
{
    nnd_status status = NND_OK;
    nnd_port_mutex_lock(&openjpeg_lock);
    if (!openjpeg.module) status = load_library(&openjpeg);
    nnd_port_mutex_unlock(&openjpeg_lock);
    *out = &openjpeg;
    return status;
}

nnd_status nnd_jp2_info(const uint8_t *bytes, size_t size, nnd_image_file_info *out)
{
    nnd_jp2_header header;
    NND_TRY(nnd_jp2_read_header(bytes, size, &header));
    out->width = (int32_t)header.width;
    out->height = (int32_t)header.height;
    out->channels = header.channels == 2 ? 4 : header.channels;
    out->bits = header.bits > 8 ? 16 : 8;
    return NND_OK;
}

/* ---- reading from memory ---- */

typedef struct source {
    const nnd_codec_request *request;
    size_t at;
    nnd_status stopped; /* by the cancel token */
    char message[160];  /* the library's first complaint */
} source;

static size_t read_bytes(void *to, size_t size, void *user)
{
    source *s = user;
    const size_t left = s->request->size - s->at;
    if (s->stopped == NND_OK) s->stopped = nnd_codec_check_cancel(s->request, 0);
    if (left == 0 || s->stopped != NND_OK) return (size_t)-1;
    if (size > left) size = left;
    memcpy(to, s->request->bytes + s->at, size);
    s->at += size;
    return size;
}

static int64_t skip_bytes(int64_t size, void *user)
{
    source *s = user;
    const size_t left = s->request->size - s->at;
    if (size < 0 || (left == 0 && size > 0)) return -1;
    if ((uint64_t)size > left) size = (int64_t)left;
    s->at += (size_t)size;
    return size;
}

static int seek_byte(int64_t position, void *user)
{
    source *s = user;
    if (position < 0 || (uint64_t)position > s->request->size) return 0;
    s->at = (size_t)position;
    return 1;
}

static void keep_message(const char *text, void *user)
{
    source *s = user;
    if (s->message[0] || !text) return;
    snprintf(s->message, sizeof(s->message), "%s", text);
    s->message[strcspn(s->message, "\r\n")] = '\0';
    for (char *c = s->message; *c; c++)
        if (*c < ' ' || *c > '~') *c = '?';
}

static nnd_status failed(const source *s)
{
    if (s->stopped != NND_OK) return s->stopped; /* has its error record */
    return nnd_error_set(NND_E_FORMAT, "damaged JPEG 2000: %s",
                         s->message[0] ? s->message : "the pixels cannot be read");
}

/* ---- pixels ---- */

/* One channel of the picture: where its samples lie, and what they mean. */
typedef struct plane {
    const nnd_opj_component *component;
    uint32_t first_x, first_y; /* number of its first sample, counted from the grid's origin */
    int32_t low, most;         /* level = sample − low, 0 … most */
} plane;

typedef struct picture {
    const nnd_jp2_header *header;
    plane colours[3], alpha;
    int colour_count; /* 1 or 3 */
    bool has_alpha, premultiplied, is_ycc;
    int32_t white; /* of the result */
} picture;

static nnd_status set_plane(const picture *p, const nnd_opj_component *c, plane *out)
{
    if (!c->data || c->w == 0 || c->h == 0 || c->dx == 0 || c->dy == 0 || c->prec == 0 ||
        c->prec > NND_JP2_MAX_BITS)
        return nnd_error_set(NND_E_FORMAT, "damaged JPEG 2000: a component has no pixels");
    out->component = c;
    out->first_x = nnd_jp2_first(p->header->x0, c->dx);
    out->first_y = nnd_jp2_first(p->header->y0, c->dy);
    out->low = c->sgnd ? -(int32_t)(1u << (c->prec - 1)) : 0;
    out->most = (int32_t)((1u << c->prec) - 1);
    return NND_OK;
}

/* Which components are colours and which is the alpha. A code stream does not say: the last of two
   or four is. */
static nnd_status set_planes(picture *p, const nnd_opj_image *image)
{
    const uint32_t count = image->numcomps;
    uint32_t alpha = count % 2 == 0 ? count - 1 : count;
    if (count == 0 || count > NND_JP2_MAX_COMPONENTS)
        return nnd_error_set(NND_E_FORMAT, "damaged JPEG 2000: %u components", count);
    for (uint32_t i = count; i-- > 0;)
        if (image->comps[i].alpha) alpha = i;
    if (count == 3 && alpha < count)
        return nnd_error_set(NND_E_UNSUPPORTED, "JPEG 2000 of two colours and an alpha channel");
    p->has_alpha = alpha < count;
    if (p->has_alpha) {
        NND_TRY(set_plane(p, &image->comps[alpha], &p->alpha));
        p->premultiplied = image->comps[alpha].alpha == NND_OPJ_ALPHA_PREMULTIPLIED;
    }
    for (uint32_t i = 0; i < count; i++)
        if (i != alpha) NND_TRY(set_plane(p, &image->comps[i], &p->colours[p->colour_count++]));
    return NND_OK;
}

/* Of a JP2 file the library says it; a code stream whose second and third component are coarser
   than the first can mean nothing else. */
static bool is_ycc(const picture *p, const nnd_opj_image *image)
{
    if (p->colour_count != 3) return false;
    const nnd_opj_component *y = p->colours[0].component, *b = p->colours[1].component,
                            *r = p->colours[2].component;
    const bool coarser = b->dx * b->dy > y->dx * y->dy && b->dx == r->dx && b->dy == r->dy;
    return image->color_space == NND_OPJ_SYCC || (!p->header->has_boxes && coarser);
}

/* The row of the plane's samples that pixels of row y show. */
static const int32_t *plane_row(const picture *p, const plane *from, uint32_t y)
{
    const nnd_opj_component *c = from->component;
    const uint32_t first = nnd_jp2_first(p->header->y0, p->header->dy);
    const uint64_t at = ((uint64_t)first + y) * p->header->dy / c->dy;
    uint64_t row = at > from->first_y ? at - from->first_y : 0;
    if (row >= c->h) row = c->h - 1;
    return c->data + row * c->w;
}

static int32_t level_of(const plane *from, int64_t sample, int32_t white)
{
    const int64_t most = from->most;
    int64_t level = sample - from->low;
    level = level < 0 ? 0 : level > most ? most : level;
    return (int32_t)(most == white ? level : (level * white + most / 2) / most);
}

/* A row of the plane as levels 0 … white, one for each pixel; coarse samples are repeated. */
static void levels_row(const picture *p, const plane *from, uint32_t y, int32_t *levels)
{
    const nnd_opj_component *c = from->component;
    const int32_t *row = plane_row(p, from, y);
    const uint32_t step = p->header->dx, first = nnd_jp2_first(p->header->x0, step);
    for (uint32_t x = 0; x < p->header->width; x++) {
        const uint64_t at =
            c->dx == step ? (uint64_t)first + x : ((uint64_t)first + x) * step / c->dx;
        uint64_t column = at > from->first_x ? at - from->first_x : 0;
        if (column >= c->w) column = c->w - 1;
        levels[x] = level_of(from, row[column], p->white);
    }
}

static int32_t clamp_16(int64_t scaled, int32_t white)
{
    if (scaled < 0) return 0;
    scaled = (scaled + 0x8000) >> 16;
    return scaled > white ? white : (int32_t)scaled;
}

/* sYCC (IEC 61966-2-1, amendment 1) to RGB with 16 bits behind the point; the zero of chroma is in
   the middle of its samples. */
static void ycc_to_rgb(const picture *p, int32_t *const levels[3])
{
    const plane *chroma = &p->colours[1];
    const int32_t white = p->white, middle_sample = chroma->low + chroma->most / 2 + 1;
    const int32_t middle = level_of(chroma, middle_sample, white);
    for (uint32_t x = 0; x < p->header->width; x++) {
        const int64_t luma = (int64_t)levels[0][x] * 65536;
        const int64_t blue = levels[1][x] - middle, red = levels[2][x] - middle;
        levels[0][x] = clamp_16(luma + 91881 * red, white);
        levels[1][x] = clamp_16(luma - 22553 * blue - 46802 * red, white);
        levels[2][x] = clamp_16(luma + 116130 * blue, white);
    }
}

static void divide_by_alpha(int32_t *colour, const int32_t *alpha, uint32_t width, int32_t white)
{
    for (uint32_t x = 0; x < width; x++) {
        const int64_t a = alpha[x], level = a ? ((int64_t)colour[x] * white + a / 2) / a : 0;
        colour[x] = (int32_t)(level > white ? white : level);
    }
}

/* Interleaves; gray with alpha becomes RGBA. */
static void store_row(const picture *p, int32_t *const levels[4], const nnd_image *image,
                      uint32_t y)
{
    const int channels = nnd_pixel_format_channels(image->format);
    void *row = nnd_ops_row(image, 0, (int32_t)y);
    for (int c = 0; c < channels; c++) {
        const int32_t *from = levels[c == 3 ? 3 : p->colour_count == 3 ? c : 0];
        for (size_t x = 0, at = (size_t)c; x < p->header->width; x++, at += (size_t)channels)
            if (image->dtype == NND_U16)
                ((uint16_t *)row)[at] = (uint16_t)from[x];
            else
                ((uint8_t *)row)[at] = (uint8_t)from[x];
    }
}

static nnd_status store_pixels(const nnd_codec_request *request, const picture *p,
                               const nnd_image *image)
{
    const uint32_t width = p->header->width;
    int32_t *levels[4], *memory = nnd_calloc(width, sizeof(levels));
    nnd_status status = NND_OK;
    if (!memory) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a row of the picture");
    for (size_t c = 0; c < NND_COUNT(levels); c++)
        levels[c] = memory + c * width;
    for (uint32_t y = 0; y < p->header->height; y++) {
        status = nnd_codec_check_cancel(request, y);
        if (status != NND_OK) break;
        for (int c = 0; c < p->colour_count; c++)
            levels_row(p, &p->colours[c], y, levels[c]);
        if (p->has_alpha) levels_row(p, &p->alpha, y, levels[3]);
        for (int c = 0; p->premultiplied && c < p->colour_count; c++)
            divide_by_alpha(levels[c], levels[3], width, p->white);
        if (p->is_ycc) ycc_to_rgb(p, levels);
        store_row(p, levels, image, y);
    }
    nnd_free(memory);
    return status;
}

static nnd_status make_picture(const nnd_codec_request *request, const nnd_jp2_header *header,
                               const nnd_opj_image *image, nnd_value **out)
{
    picture p = {.header = header};
    const bool wide = request->keep_16_bit && header->bits > 8;
    NND_TRY(set_planes(&p, image));
    p.is_ycc = is_ycc(&p, image);
    p.white = wide ? 65535 : 255;
    const nnd_pixel_format format = p.has_alpha           ? NND_PIX_RGBA
                                    : p.colour_count == 3 ? NND_PIX_RGB
                                                          : NND_PIX_GRAY;
    nnd_value *value;
    NND_TRY(nnd_codec_new_image(request, format, wide ? NND_U16 : NND_U8, header->width,
                                header->height, &value));
    const nnd_status status = store_pixels(request, &p, nnd_value_image(value));
    if (status != NND_OK) {
        nnd_value_unref(value);
        return status;
    }
    *out = value;
    return NND_OK;
}

/* ---- decoding ---- */

static nnd_status run_library(const library *lib, source *s, nnd_opj_object *stream,
                              nnd_opj_object *codec, const nnd_jp2_header *header, nnd_value **out)
{
    nnd_opj_parameters parameters;
    nnd_opj_image *image = NULL;
    lib->stream_set_read(stream, read_bytes);
    lib->stream_set_skip(stream, skip_bytes);
    lib->stream_set_seek(stream, seek_byte);
    lib->stream_set_user(stream, s, NULL);
    lib->stream_set_length(stream, s->request->size);
    lib->set_error_handler(codec, keep_message, s);
    lib->default_parameters(&parameters);
    const bool decoded = lib->setup_decoder(codec, &parameters) &&
                         lib->read_header(stream, codec, &image) &&
                         lib->decode(codec, stream, image) && lib->end_decompress(codec, stream);
    nnd_status status = decoded ? make_picture(s->request, header, image, out) : failed(s);
    if (image) lib->image_destroy(image);
    return status;
}

nnd_status nnd_jp2_decode(const nnd_codec_request *request, nnd_value **out)
{
    enum { BUFFER = 64 * 1024 };
    const library *lib;
    nnd_jp2_header header;
    source s = {.request = request};
    NND_TRY(nnd_jp2_read_header(request->bytes, request->size, &header));
    NND_TRY(nnd_codec_check_size(request, header.width, header.height));
    NND_TRY(nnd_codec_check_cancel(request, 0));
    NND_TRY(get_library(&lib));
    nnd_opj_object *stream = lib->stream_create(BUFFER, 1);
    nnd_opj_object *codec =
        lib->create_decompress(header.has_boxes ? NND_OPJ_CODEC_JP2 : NND_OPJ_CODEC_J2K);
    const nnd_status status =
        stream && codec ? run_library(lib, &s, stream, codec, &header, out)
                        : nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to read JPEG 2000");
    if (codec) lib->destroy_codec(codec);
    if (stream) lib->stream_destroy(stream);
    return status;
}
