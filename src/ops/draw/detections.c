/*
 * Detections on a picture: boxes first, then points, then labels, so that no text is crossed by a
 * line.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ops/draw/canvas.h"
#include "ops/draw/font.h"

#define LABEL_BYTES  160
#define BLACK        0x000000u
#define WHITE        0xFFFFFFu
#define BY_CLASS     0xFFFFFFFFu
#define LIGHT_ENOUGH 140u /* luminance from which black text reads better than white */

/* Hues a golden section apart never meet soon; brightness alternates on top. */
uint32_t nnd_palette_color(int64_t id)
{
    static const double levels[3][2] = {
        {0.78, 1.0}, {0.9, 0.8}, {0.5, 1.0}}; /* saturation, value */
    const uint64_t n = id < 0 ? 0 : (uint64_t)id;
    double hue = (double)(n % 1000003) * 0.61803398874989485 + 0.33;
    hue = (hue - floor(hue)) * 6;
    const double saturation = levels[n % 3][0], value = levels[n % 3][1];
    uint32_t color = 0;
    for (int c = 0; c < 3; c++) { /* each channel is a trapezoid over the circle of hues */
        const double k = fmod(5 - 2 * c + hue, 6);
        const double ramp = fmax(0, fmin(1, fmin(k, 4 - k)));
        color = color << 8 | (uint32_t)((value - value * saturation * ramp) * 255 + 0.5);
    }
    return color;
}

typedef struct drawing {
    nnd_image *image;
    const nnd_detections *detections;
    const nnd_draw_options *options;
    float thickness, text_size;
} drawing;

static bool is_drawable(const nnd_detection *d)
{
    return isfinite(d->x1) && isfinite(d->y1) && isfinite(d->x2) && isfinite(d->y2);
}

static uint32_t color_of(const drawing *g, const nnd_detection *d)
{
    if (g->options->color != BY_CLASS) return g->options->color & 0xFFFFFFu;
    return nnd_palette_color(d->track_id >= 0 ? d->track_id : d->class_id);
}

/* "label #track 0.93", each part where it is known and wanted. */
static void write_label(const drawing *g, const nnd_detection *d, char text[LABEL_BYTES])
{
    const nnd_detections *all = g->detections;
    size_t used = 0;
    text[0] = 0;
    if (g->options->labels) {
        if (d->label >= 0 && (size_t)d->label < all->label_count && all->labels[d->label]) {
            const char *label = all->labels[d->label];
            size_t size = strlen(label), most = LABEL_BYTES - 40;
            if (size > most) { /* cut between characters */
                for (size = most; size > 0 && ((unsigned char)label[size] & 0xC0) == 0x80; size--) {
                }
            }
            memcpy(text, label, size);
            used = size;
        } else if (d->class_id >= 0) {
            used += (size_t)snprintf(text, LABEL_BYTES, "class %d", (int)d->class_id);
        }
        if (d->track_id >= 0)
            used += (size_t)snprintf(text + used, LABEL_BYTES - used, "%s#%lld", used ? " " : "",
                                     (long long)d->track_id);
    }
    if (g->options->scores && isfinite(d->score)) {
        /* Hundredths by hand: printf would follow the locale's decimal sign. */
        const double limited = fmin(fmax(d->score, -1e6), 1e6);
        const long hundredths = lround(fabs(limited) * 100);
        snprintf(text + used, LABEL_BYTES - used, "%s%s%ld.%02ld", used ? " " : "",
                 limited < 0 && hundredths ? "-" : "", hundredths / 100, hundredths % 100);
    } else {
        text[used] = 0;
    }
}

static float limit(float v, float low, float high)
{
    return v > high ? fmaxf(low, high) : v < low ? low : v;
}

/* Above the box, else inside its top; always inside the picture as far as it fits. */
static nnd_status draw_label(const drawing *g, const nnd_detection *d)
{
    char text[LABEL_BYTES];
    write_label(g, d, text);
    if (!text[0]) return NND_OK;
    const nnd_font *font = g->options->font;
    float width, ascent, descent;
    NND_TRY(nnd_text_measure(font, g->text_size, text, &width, &ascent, &descent));
    const float margin = ceilf(g->text_size / 6), half = g->thickness / 2;
    const float full_width = ceilf(width) + 2 * margin, height = ceilf(ascent + descent) + margin;
    float top = floorf(d->y1 - half) - height;
    if (top < 0) top = floorf(d->y1 - half);
    const float left = limit(floorf(d->x1 - half), 0, (float)g->image->width - full_width);
    top = limit(top, 0, (float)g->image->height - height);
    const uint32_t color = color_of(g, d);
    NND_TRY(nnd_draw_rect(g->image, left, top, left + full_width, top + height, 0, color));
    return nnd_draw_text(g->image, font, left + margin, top + margin / 2 + ceilf(ascent),
                         g->text_size, nnd_color_luminance(color) >= LIGHT_ENOUGH ? BLACK : WHITE,
                         text);
}

static nnd_status draw_points(const drawing *g, size_t index)
{
    const nnd_detections *all = g->detections;
    const size_t per_item = (size_t)all->points_per_item;
    const uint32_t color = color_of(g, &all->items[index]);
    for (size_t i = 0; i < per_item; i++) {
        const nnd_point *p = &all->points[index * per_item + i];
        if (!isfinite(p->x) || !isfinite(p->y)) continue;
        NND_TRY(nnd_draw_circle(g->image, p->x, p->y, g->thickness * 0.9f + 0.5f, 0, WHITE));
        NND_TRY(nnd_draw_circle(g->image, p->x, p->y, g->thickness * 0.9f, 0, color));
    }
    return NND_OK;
}

static nnd_status draw_all(const drawing *g)
{
    const nnd_detections *all = g->detections;
    for (size_t i = 0; i < all->count; i++) {
        const nnd_detection *d = &all->items[i];
        if (is_drawable(d))
            NND_TRY(
                nnd_draw_rect(g->image, d->x1, d->y1, d->x2, d->y2, g->thickness, color_of(g, d)));
    }
    for (size_t i = 0; g->options->points && all->points && i < all->count; i++)
        NND_TRY(draw_points(g, i));
    /* The best come first in a list, so they are drawn last. */
    for (size_t i = all->count; i-- > 0;)
        if (is_drawable(&all->items[i])) NND_TRY(draw_label(g, &all->items[i]));
    return NND_OK;
}

nnd_status nnd_draw_detections(nnd_image *image, const nnd_detections *detections,
                               const nnd_draw_options *options)
{
    static const nnd_draw_options defaults = NND_DRAW_OPTIONS_INIT;
    if (!options) options = &defaults;
    NND_OPS_CHECK_OPTIONS(options, nnd_draw_options);
    nnd_canvas canvas; /* checks the image also when there is nothing to draw */
    NND_TRY(nnd_canvas_open(&canvas, image, BLACK));
    if (!detections || (detections->count && !detections->items))
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "no detections");
    if (!(options->thickness >= 0 && options->thickness < 1e4f) ||
        !(options->text_size >= 0 && options->text_size <= NND_FONT_MAX_SIZE))
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "thickness %g or text_size %g is out of range",
                             (double)options->thickness, (double)options->text_size);
    const float side = (float)(image->width < image->height ? image->width : image->height);
    const drawing g = {
        .image = image,
        .detections = detections,
        .options = options,
        .thickness = options->thickness > 0 ? options->thickness : limit(roundf(side / 250), 1, 12),
        .text_size =
            options->text_size >= 1 ? options->text_size : limit(roundf(side / 32), 10, 64),
    };
    return draw_all(&g);
}
