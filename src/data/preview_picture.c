/*
 * Previews as pictures: images as small RGB, masks in colours, tensors as gray tiles, audio as a
 * wave. All are made of sampled points, so the cost does not grow with the payload.
 */
#include <math.h>
#include <string.h>

#include "data/float_bits.h"
#include "data/image.h"
#include "data/preview.h"
#include "data/tensor.h"
#include "data/value.h"

enum { MAX_SIDE = 512, MAX_TILES = 16, MAX_TILE_SIDE = 128, WAVE_WIDTH = 512, WAVE_HEIGHT = 128 };

/* Sides of a picture that keeps the ratio and fits max_side. */
static void fit(int64_t width, int64_t height, int max_side, int *out_width, int *out_height)
{
    int64_t longest = width > height ? width : height;
    if (longest > max_side) {
        width = width * max_side / longest;
        height = height * max_side / longest;
    }
    *out_width = (int)(width > 0 ? width : 1);
    *out_height = (int)(height > 0 ? height : 1);
}

/* A new value of its own for filling; NULL pixels never happen in host memory. */
static nnd_status make_picture(nnd_pixel_format format, int width, int height, nnd_value **value,
                               nnd_image *image)
{
    NND_TRY(nnd_value_new_image(format, NND_U8, width, height, value));
    *image = *nnd_value_image(*value);
    return NND_OK;
}

static uint8_t to_u8(double v)
{
    return v <= 0.0 || nnd_f64_is_nan(v) ? 0 : v >= 255.0 ? 255 : (uint8_t)(v + 0.5);
}

/* ---- images ---- */

static void yuv_to_rgb(const nnd_image *image, double y, double u, double v, uint8_t rgb[3])
{
    double luma = y, cb = u - 128.0, cr = v - 128.0;
    if (image->range == NND_RANGE_LIMITED) {
        luma = (y - 16.0) * 255.0 / 219.0;
        cb *= 255.0 / 224.0;
        cr *= 255.0 / 224.0;
    }
    bool hd = image->matrix == NND_MATRIX_BT709;
    double kr = hd ? 0.2126 : 0.299, kb = hd ? 0.0722 : 0.114;
    double kg = 1.0 - kr - kb;
    rgb[0] = to_u8(luma + 2.0 * (1.0 - kr) * cr);
    rgb[1] = to_u8(luma - 2.0 * (1.0 - kb) * kb / kg * cb - 2.0 * (1.0 - kr) * kr / kg * cr);
    rgb[2] = to_u8(luma + 2.0 * (1.0 - kb) * cb);
}

static void read_yuv(const nnd_image *image, int x, int y, uint8_t rgb[3])
{
    const uint8_t *luma_row = image->data[0] + y * image->stride[0];
    if (image->format == NND_PIX_YUYV) {
        const uint8_t *pair = luma_row + x / 2 * 4;
        yuv_to_rgb(image, pair[x % 2 * 2], pair[1], pair[3], rgb);
        return;
    }
    const uint8_t *chroma = image->data[1] + y / 2 * image->stride[1];
    if (image->format == NND_PIX_NV12) {
        yuv_to_rgb(image, luma_row[x], chroma[x / 2 * 2], chroma[x / 2 * 2 + 1], rgb);
    } else {
        const uint8_t *cr = image->data[2] + y / 2 * image->stride[2];
        yuv_to_rgb(image, luma_row[x], chroma[x / 2], cr[x / 2], rgb);
    }
}

static void read_pixel(const nnd_image *image, int x, int y, uint8_t rgb[3])
{
    int channels = nnd_pixel_format_channels(image->format);
    if (channels == 0) {
        read_yuv(image, x, y, rgb);
        return;
    }
    const uint8_t *row = image->data[0] + y * image->stride[0];
    double scale = image->dtype == NND_U8 ? 1.0 : image->dtype == NND_U16 ? 1.0 / 257.0 : 255.0;
    bool swapped = image->format == NND_PIX_BGR || image->format == NND_PIX_BGRA;
    for (int c = 0; c < 3; c++) {
        int channel = channels == 1 ? 0 : swapped ? 2 - c : c;
        rgb[c] = to_u8(nnd_dtype_get(image->dtype, row, (size_t)(x * channels + channel)) * scale);
    }
}

nnd_status nnd_preview_image(const void *payload, nnd_value **out)
{
    const nnd_image *image = payload;
    if (!image->data[0]) {
        return nnd_error_set(NND_E_STATE, "the image is not in host memory");
    }
    NND_TRY(nnd_bulk_wait(image->buffer));
    nnd_image made;
    int width, height;
    fit(image->width, image->height, MAX_SIDE, &width, &height);
    NND_TRY(make_picture(NND_PIX_RGB, width, height, out, &made));
    for (int y = 0; y < height; y++) {
        int from_y = (int)((int64_t)y * image->height / height);
        for (int x = 0; x < width; x++) {
            int from_x = (int)((int64_t)x * image->width / width);
            read_pixel(image, from_x, from_y, made.data[0] + y * made.stride[0] + 3 * x);
        }
    }
    return NND_OK;
}

/* ---- masks ---- */

/* Neighbouring class numbers get colours far apart: the golden ratio steps around the circle of
   hues. Class 0, the background by custom, is black. */
static void class_colour(uint32_t id, uint8_t rgb[3])
{
    if (id == 0) {
        memset(rgb, 0, 3);
        return;
    }
    double hue = fmod((double)id * 0.6180339887498949, 1.0) * 6.0;
    for (int c = 0; c < 3; c++) {
        double distance = fabs(fmod(hue + 6.0 - 2.0 * c, 6.0) - 3.0);
        double level = distance - 1.0;
        rgb[c] = to_u8(60.0 + 195.0 * (level < 0.0 ? 0.0 : level > 1.0 ? 1.0 : level));
    }
}

nnd_status nnd_preview_mask(const void *payload, nnd_value **out)
{
    const nnd_mask *mask = payload;
    if (!mask->data) return nnd_error_set(NND_E_STATE, "the mask is not in host memory");
    NND_TRY(nnd_bulk_wait(mask->buffer));
    nnd_image made;
    int width, height;
    fit(mask->width, mask->height, MAX_SIDE, &width, &height);
    NND_TRY(make_picture(mask->is_alpha ? NND_PIX_GRAY : NND_PIX_RGB, width, height, out, &made));
    for (int y = 0; y < height; y++) {
        const char *row =
            (const char *)mask->data + (int64_t)y * mask->height / height * mask->stride;
        uint8_t *to = made.data[0] + y * made.stride[0];
        for (int x = 0; x < width; x++) {
            double v = nnd_dtype_get(mask->dtype, row, (size_t)((int64_t)x * mask->width / width));
            if (mask->is_alpha) {
                to[x] = to_u8(mask->dtype == NND_F32 ? v * 255.0 : v);
            } else {
                class_colour((uint32_t)v, to + 3 * x);
            }
        }
    }
    return NND_OK;
}

/* ---- tensors ---- */

/* A tensor seen as planes of height × width; strides in elements. */
typedef struct plane_view {
    const nnd_tensor *t;
    const char *data;
    int64_t planes, height, width;
} plane_view;

/* Element (plane, y, x); the planes count through all leading dimensions. */
static double plane_get(const plane_view *view, int64_t plane, int64_t y, int64_t x)
{
    const nnd_tensor *t = view->t;
    int64_t at = x * t->strides[t->rank - 1];
    if (t->rank > 1) at += y * t->strides[t->rank - 2];
    for (int axis = t->rank - 3; axis >= 0; axis--) {
        at += plane % t->dims[axis] * t->strides[axis];
        plane /= t->dims[axis];
    }
    /* Negative strides reach in front of the first element; sub-byte types are always dense. */
    int64_t item = (int64_t)(nnd_dtype_bits(t->dtype) / 8);
    if (item == 0) return nnd_dtype_get(t->dtype, view->data, (size_t)at);
    return nnd_dtype_get(t->dtype, view->data + at * item, 0);
}

static void draw_tile(const plane_view *view, int64_t plane, int width, int height, double low,
                      double scale, uint8_t *to, int64_t stride)
{
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            double v = plane_get(view, plane, (int64_t)y * view->height / height,
                                 (int64_t)x * view->width / width);
            to[y * stride + x] = to_u8((v - low) * scale);
        }
    }
}

/* The range of the points that will be drawn. */
static void sample_range(const plane_view *view, int tiles, int width, int height, double *low,
                         double *high)
{
    *low = INFINITY;
    *high = -INFINITY;
    for (int plane = 0; plane < tiles; plane++) {
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                double v = plane_get(view, plane, (int64_t)y * view->height / height,
                                     (int64_t)x * view->width / width);
                if (!nnd_f64_is_finite(v)) continue;
                if (v < *low) *low = v;
                if (v > *high) *high = v;
            }
        }
    }
}

static nnd_status preview_planes(const plane_view *view, nnd_value **out)
{
    int tiles = view->planes < MAX_TILES ? (int)view->planes : MAX_TILES;
    int columns = 1, width, height;
    while (columns * columns < tiles)
        columns++;
    int rows = (tiles + columns - 1) / columns;
    fit(view->width, view->height, tiles == 1 ? MAX_SIDE : MAX_TILE_SIDE, &width, &height);
    double low, high;
    sample_range(view, tiles, width, height, &low, &high);
    double scale = high > low ? 255.0 / (high - low) : 0.0;
    nnd_image made;
    NND_TRY(make_picture(NND_PIX_GRAY, columns * width, rows * height, out, &made));
    memset(made.data[0], 0, (size_t)(made.stride[0] * made.height));
    for (int i = 0; i < tiles; i++) {
        uint8_t *to = made.data[0] + i / columns * height * made.stride[0] + i % columns * width;
        draw_tile(view, i, width, height, low, scale, to, made.stride[0]);
    }
    return NND_OK;
}

nnd_status nnd_preview_tensor(const void *payload, nnd_value **out)
{
    const nnd_tensor *t = &((const nnd_tensor_payload *)payload)->tensor;
    char text[128];
    const char *data = nnd_tensor_host(t);
    int64_t count = nnd_tensor_count(t);
    bool flat = t->rank < 2 || t->dims[t->rank - 1] < 2 || t->dims[t->rank - 2] < 2;
    if (!data || count == 0 || t->dtype == NND_STRING || (flat && count < 16)) {
        nnd_tensor_describe(t, text, sizeof(text));
        return nnd_value_new_text(text, SIZE_MAX, out);
    }
    NND_TRY(nnd_bulk_wait(t->buffer));
    plane_view view = {.t = t, .data = data};
    view.width = t->dims[t->rank - 1];
    view.height = t->rank > 1 ? t->dims[t->rank - 2] : 1;
    view.planes = count / (view.width * view.height);
    return preview_planes(&view, out);
}

/* ---- audio ---- */

nnd_status nnd_preview_audio(const void *payload, nnd_value **out)
{
    enum { SAMPLES_PER_COLUMN = 64 };
    const nnd_audio *audio = payload;
    if (!audio->data && audio->frames > 0) {
        return nnd_error_set(NND_E_STATE, "the samples are not in host memory");
    }
    NND_TRY(nnd_bulk_wait(audio->buffer));
    nnd_image made;
    NND_TRY(make_picture(NND_PIX_GRAY, WAVE_WIDTH, WAVE_HEIGHT, out, &made));
    memset(made.data[0], 255, (size_t)(made.stride[0] * WAVE_HEIGHT));
    double scale = audio->dtype == NND_I16 ? 1.0 / 32768.0 : 1.0;
    for (int x = 0; x < WAVE_WIDTH; x++) {
        int64_t first =
            audio->frames / WAVE_WIDTH * x + audio->frames % WAVE_WIDTH * x / WAVE_WIDTH;
        int64_t span = audio->frames / WAVE_WIDTH + 1;
        double low = 0.0, high = 0.0;
        for (int i = 0; i < SAMPLES_PER_COLUMN; i++) {
            int64_t frame = first + span * i / SAMPLES_PER_COLUMN;
            if (frame >= audio->frames) break;
            double v = nnd_dtype_get(audio->dtype, audio->data, (size_t)(frame * audio->channels));
            v = nnd_f64_is_nan(v) ? 0.0 : fmax(-1.0, fmin(1.0, v * scale));
            low = fmin(low, v);
            high = fmax(high, v);
        }
        int top = (int)((1.0 - high) * (WAVE_HEIGHT - 1) / 2.0);
        int bottom = (int)((1.0 - low) * (WAVE_HEIGHT - 1) / 2.0);
        for (int y = top; y <= bottom; y++)
            made.data[0][y * made.stride[0] + x] = 40;
    }
    return NND_OK;
}
