/*
 * Operators on one thread in every instruction set of this machine, each against the reference in
 * the same run, on a picture of 320 × 180: small enough that other programs seldom come in between
 * even the slowest one and that memory does not hide the arithmetic.
 *
 *   bench_ops_kernels [FILTER]
 *
 * Prints a line per operator with the reference's best milliseconds and how many times faster the
 * others are; FILTER keeps the operators whose name contains it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/isa.h"
#include "nndeploy/ops.h"

#define WIDTH  320
#define HEIGHT 180
#define ROUNDS 41 /* of every instruction set, in turns */

typedef struct bench_case bench_case;
typedef struct bench_data {
    nnd_image src, dst;
    nnd_tensor tensor;
} bench_data;

struct bench_case {
    const char *name;
    nnd_status (*run)(const bench_case *c, bench_data *d);
    nnd_pixel_format from, to;
    nnd_dtype src_dtype, dst_dtype;
    int dst_width, dst_height;
    int option; /* filter, kernel side or element type, as the operator says */
};

/* ---- operators ------------------------------------------------------------------------- */

static nnd_status run_convert(const bench_case *c, bench_data *d)
{
    (void)c;
    return nnd_image_convert(&d->dst, &d->src, NULL);
}

static nnd_status run_resize(const bench_case *c, bench_data *d)
{
    nnd_resize_options options = NND_RESIZE_OPTIONS_INIT;
    options.filter = (nnd_filter)c->option;
    return nnd_image_resize(&d->dst, &d->src, &options);
}

static nnd_status run_blur(const bench_case *c, bench_data *d)
{
    nnd_blur_options options = NND_BLUR_OPTIONS_INIT;
    options.kernel_width = options.kernel_height = c->option;
    return nnd_image_blur(&d->dst, &d->src, &options);
}

static nnd_status run_warp(const bench_case *c, bench_data *d)
{
    (void)c;
    static const double turned[6] = {0.96, 0.26, 5, -0.26, 0.96, 45};
    return nnd_image_warp_affine(&d->dst, &d->src, turned, NULL, NULL);
}

static nnd_status run_warp_nearest(const bench_case *c, bench_data *d)
{
    (void)c;
    static const double turned[6] = {0.96, 0.26, 5, -0.26, 0.96, 45};
    nnd_warp_options options = NND_WARP_OPTIONS_INIT;
    options.filter = NND_FILTER_NEAREST;
    return nnd_image_warp_affine(&d->dst, &d->src, turned, &options, NULL);
}

static nnd_status run_perspective(const bench_case *c, bench_data *d)
{
    (void)c;
    static const double leaning[9] = {0.95, 0.12, 1, -0.08, 1.05, 10, 4e-4, -2e-4, 1};
    return nnd_image_warp_perspective(&d->dst, &d->src, leaning, NULL);
}

static nnd_status run_flip(const bench_case *c, bench_data *d)
{
    (void)c;
    return nnd_image_flip(&d->dst, &d->src, NND_FLIP_HORIZONTAL);
}

static nnd_status run_turn(const bench_case *c, bench_data *d)
{
    return nnd_image_rotate(&d->dst, &d->src, c->option);
}

static nnd_status run_to_space(const bench_case *c, bench_data *d)
{
    return nnd_image_to_space(&d->dst, &d->src, (nnd_color_space)c->option);
}

static nnd_status run_from_space(const bench_case *c, bench_data *d)
{
    return nnd_image_from_space(&d->dst, &d->src, (nnd_color_space)c->option);
}

/* Rows of `option` elements. */
static nnd_status run_softmax(const bench_case *c, bench_data *d)
{
    nnd_tensor rows = d->tensor;
    rows.rank = 2;
    rows.dims[0] = nnd_tensor_count(&d->tensor) / c->option;
    rows.dims[1] = c->option;
    rows.strides[0] = c->option;
    rows.strides[1] = 1;
    nnd_tensor shares = rows;
    shares.data = d->dst.data[0];
    return nnd_softmax(&shares, &rows);
}

/* `option` boxes of eight classes, most of which stay. */
static nnd_status run_nms(const bench_case *c, bench_data *d)
{
    const uint8_t *noise = d->src.data[0];
    nnd_value *boxes, *kept;
    NND_TRY(nnd_value_new_detections((size_t)c->option, 0, NULL, 0, &boxes));
    nnd_detections *in = nnd_value_edit(boxes);
    for (size_t i = 0; i < in->count; i++, noise += 8) {
        nnd_detection *box = &in->items[i];
        box->x1 = (float)(noise[0] * 256 + noise[1]) / 32;
        box->y1 = (float)(noise[2] * 256 + noise[3]) / 32;
        box->x2 = box->x1 + (float)noise[4] / 4;
        box->y2 = box->y1 + (float)noise[5] / 4;
        box->score = (float)noise[6] / 255;
        box->class_id = noise[7] & 7;
    }
    const nnd_status status = nnd_detections_nms(in, 0.5f, true, 0, &kept);
    nnd_value_unref(boxes);
    if (status == NND_OK) nnd_value_unref(kept);
    return status;
}

/* The heads of detection models on scores of noise, of which a few anchors in a thousand pass, as
   on a picture. `option` is the side of the model's picture. */
static nnd_tensor part_of(const bench_data *d, int64_t rows, int64_t columns)
{
    nnd_tensor part = d->tensor;
    part.rank = 3;
    part.dims[0] = 1;
    part.dims[1] = rows;
    part.dims[2] = columns;
    part.strides[0] = rows * columns;
    part.strides[1] = columns;
    part.strides[2] = 1;
    return part;
}

static nnd_decode_boxes_options decode_options(const bench_case *c, float score)
{
    nnd_decode_boxes_options options = NND_DECODE_BOXES_OPTIONS_INIT;
    options.width = options.height = c->option;
    options.score = score;
    return options;
}

static int64_t cells_of(const bench_case *c, int stride)
{
    return (int64_t)(c->option / stride) * (c->option / stride);
}

static nnd_status run_ssd(const bench_case *c, bench_data *d, int64_t anchors, int64_t classes)
{
    const nnd_tensor scores = part_of(d, anchors, classes), boxes = part_of(d, anchors, 4);
    const nnd_decode_boxes_options options = decode_options(c, 1 - 0.002f / (float)(classes - 1));
    nnd_value *out;
    NND_TRY(nnd_decode_ssd(&scores, &boxes, 0, &options, &out));
    nnd_value_unref(out);
    return NND_OK;
}

static nnd_status run_ssd_faces(const bench_case *c, bench_data *d)
{
    return run_ssd(c, d, 4420, 2);
}

static nnd_status run_ssd_classes(const bench_case *c, bench_data *d)
{
    return run_ssd(c, d, 3000, 91);
}

static nnd_status run_yunet(const bench_case *c, bench_data *d)
{
    static const int strides[] = {8, 16, 32};
    const nnd_decode_boxes_options options = decode_options(c, 0.97f);
    nnd_tensor part[4][NND_COUNT(strides)];
    const nnd_tensor *view[4][NND_COUNT(strides)];
    for (size_t i = 0; i < NND_COUNT(strides); i++)
        for (int k = 0; k < 4; k++) {
            part[k][i] = part_of(d, cells_of(c, strides[i]), k < 2 ? 1 : k == 2 ? 4 : 10);
            if (k == 1) part[k][i].data = (float *)d->tensor.data + cells_of(c, strides[i]);
            view[k][i] = &part[k][i];
        }
    nnd_value *out;
    NND_TRY(nnd_decode_yunet(view[0], view[1], view[2], view[3], strides, NND_COUNT(strides),
                             &options, &out));
    nnd_value_unref(out);
    return NND_OK;
}

static nnd_status run_yolox(const bench_case *c, bench_data *d)
{
    static const int strides[] = {8, 16, 32};
    const nnd_decode_boxes_options options = decode_options(c, 0.99f);
    const int64_t cells = cells_of(c, 8) + cells_of(c, 16) + cells_of(c, 32);
    const nnd_tensor output = part_of(d, cells, 85);
    nnd_value *out;
    NND_TRY(nnd_decode_yolox(&output, strides, NND_COUNT(strides), &options, &out));
    nnd_value_unref(out);
    return NND_OK;
}

static nnd_status run_normalise(const bench_case *c, bench_data *d)
{
    (void)c;
    static const double mean[4] = {0.4, 0.5, 0.6, 0}, std[4] = {0.2, 0.3, 0.4, 1};
    return nnd_image_normalise(&d->dst, &d->src, 1.0 / 255, mean, std);
}

static nnd_status run_to_tensor(const bench_case *c, bench_data *d)
{
    (void)c;
    return nnd_image_to_tensor(&d->tensor, &d->src, NULL, NULL);
}

static nnd_status run_from_tensor(const bench_case *c, bench_data *d)
{
    nnd_from_tensor_options options = NND_FROM_TENSOR_OPTIONS_INIT;
    options.order = c->to;
    return nnd_image_from_tensor(&d->dst, &d->tensor, &options);
}

#define FULL   WIDTH, HEIGHT
#define TURNED HEIGHT, WIDTH
static const bench_case cases[] = {
    {"blur rgb u8, 5", run_blur, NND_PIX_RGB, NND_PIX_RGB, NND_U8, NND_U8, FULL, 5},
    {"blur rgb f32, 5", run_blur, NND_PIX_RGB, NND_PIX_RGB, NND_F32, NND_F32, FULL, 5},
    {"blur gray u8, 31", run_blur, NND_PIX_GRAY, NND_PIX_GRAY, NND_U8, NND_U8, FULL, 31},
    {"rgb to nv12", run_convert, NND_PIX_RGB, NND_PIX_NV12, NND_U8, NND_U8, FULL, 0},
    {"bgra to i420", run_convert, NND_PIX_BGRA, NND_PIX_I420, NND_U8, NND_U8, FULL, 0},
    {"rgb to yuyv", run_convert, NND_PIX_RGB, NND_PIX_YUYV, NND_U8, NND_U8, FULL, 0},
    {"nv12 to rgb", run_convert, NND_PIX_NV12, NND_PIX_RGB, NND_U8, NND_U8, FULL, 0},
    {"yuyv to rgb", run_convert, NND_PIX_YUYV, NND_PIX_RGB, NND_U8, NND_U8, FULL, 0},
    {"rgb to gray", run_convert, NND_PIX_RGB, NND_PIX_GRAY, NND_U8, NND_U8, FULL, 0},
    {"bgra to rgb", run_convert, NND_PIX_BGRA, NND_PIX_RGB, NND_U8, NND_U8, FULL, 0},
    {"gray to rgba", run_convert, NND_PIX_GRAY, NND_PIX_RGBA, NND_U8, NND_U8, FULL, 0},
    {"flip rgb u8", run_flip, NND_PIX_RGB, NND_PIX_RGB, NND_U8, NND_U8, FULL, 0},
    {"flip rgb f32", run_flip, NND_PIX_RGB, NND_PIX_RGB, NND_F32, NND_F32, FULL, 0},
    {"flip rgba u16", run_flip, NND_PIX_RGBA, NND_PIX_RGBA, NND_U16, NND_U16, FULL, 0},
    {"turn gray u8", run_turn, NND_PIX_GRAY, NND_PIX_GRAY, NND_U8, NND_U8, TURNED, 90},
    {"turn gray u16", run_turn, NND_PIX_GRAY, NND_PIX_GRAY, NND_U16, NND_U16, TURNED, 90},
    {"turn rgb u8", run_turn, NND_PIX_RGB, NND_PIX_RGB, NND_U8, NND_U8, TURNED, 90},
    {"turn rgba u8", run_turn, NND_PIX_RGBA, NND_PIX_RGBA, NND_U8, NND_U8, TURNED, 270},
    {"turn rgb u16", run_turn, NND_PIX_RGB, NND_PIX_RGB, NND_U16, NND_U16, TURNED, 90},
    {"turn rgba u16", run_turn, NND_PIX_RGBA, NND_PIX_RGBA, NND_U16, NND_U16, TURNED, 90},
    {"turn rgb f32", run_turn, NND_PIX_RGB, NND_PIX_RGB, NND_F32, NND_F32, TURNED, 90},
    {"rgb to hsv", run_to_space, NND_PIX_RGB, NND_PIX_RGB, NND_U8, NND_U8, FULL, NND_SPACE_HSV},
    {"bgra to hsv", run_to_space, NND_PIX_BGRA, NND_PIX_RGB, NND_U8, NND_U8, FULL, NND_SPACE_HSV},
    {"hsv to rgb", run_from_space, NND_PIX_RGB, NND_PIX_RGB, NND_U8, NND_U8, FULL, NND_SPACE_HSV},
    {"rgb to ycrcb", run_to_space, NND_PIX_RGB, NND_PIX_RGB, NND_U8, NND_U8, FULL, NND_SPACE_YCRCB},
    {"ycrcb to bgra", run_from_space, NND_PIX_RGB, NND_PIX_BGRA, NND_U8, NND_U8, FULL,
     NND_SPACE_YCRCB},
    {"softmax, rows of 1000", run_softmax, NND_PIX_GRAY, NND_PIX_GRAY, NND_F32, NND_F32, FULL,
     1000},
    {"softmax, rows of 10", run_softmax, NND_PIX_GRAY, NND_PIX_GRAY, NND_F32, NND_F32, FULL, 10},
    {"nms, 1000 boxes", run_nms, NND_PIX_GRAY, NND_PIX_GRAY, NND_U8, NND_U8, FULL, 1000},
    {"decode ssd, 4420 anchors of 2 classes", run_ssd_faces, NND_PIX_GRAY, NND_PIX_GRAY, NND_F32,
     NND_F32, FULL, 320},
    {"decode ssd, 3000 anchors of 91 classes", run_ssd_classes, NND_PIX_GRAY, NND_PIX_GRAY, NND_F32,
     NND_F32, FULL, 300},
    {"decode yunet, 320 x 320", run_yunet, NND_PIX_GRAY, NND_PIX_GRAY, NND_F32, NND_F32, FULL, 320},
    {"decode yolox, 416 x 416, 80 classes", run_yolox, NND_PIX_GRAY, NND_PIX_GRAY, NND_F32, NND_F32,
     FULL, 416},
    {"resize gray u8 to 120 x 75, nearest", run_resize, NND_PIX_GRAY, NND_PIX_GRAY, NND_U8, NND_U8,
     120, 75, NND_FILTER_NEAREST},
    {"resize rgb u8 to 480 x 270, nearest", run_resize, NND_PIX_RGB, NND_PIX_RGB, NND_U8, NND_U8,
     480, 270, NND_FILTER_NEAREST},
    {"resize rgb f32 to 480 x 270, nearest", run_resize, NND_PIX_RGB, NND_PIX_RGB, NND_F32, NND_F32,
     480, 270, NND_FILTER_NEAREST},
    {"warp rgb u8, nearest", run_warp_nearest, NND_PIX_RGB, NND_PIX_RGB, NND_U8, NND_U8, FULL, 0},
    {"rgb u8 to bgr f32", run_convert, NND_PIX_RGB, NND_PIX_BGR, NND_U8, NND_F32, FULL, 0},
    {"rgb f32 to bgr u16", run_convert, NND_PIX_RGB, NND_PIX_BGR, NND_F32, NND_U16, FULL, 0},
    {"normalise rgb u8", run_normalise, NND_PIX_RGB, NND_PIX_RGB, NND_U8, NND_F32, FULL, 0},
    {"resize rgb u8 to 120 x 75, bilinear", run_resize, NND_PIX_RGB, NND_PIX_RGB, NND_U8, NND_U8,
     120, 75, NND_FILTER_BILINEAR},
    {"resize rgb u16 to 120 x 75, bilinear", run_resize, NND_PIX_RGB, NND_PIX_RGB, NND_U16, NND_U16,
     120, 75, NND_FILTER_BILINEAR},
    {"resize rgb f32 to 120 x 75, bilinear", run_resize, NND_PIX_RGB, NND_PIX_RGB, NND_F32, NND_F32,
     120, 75, NND_FILTER_BILINEAR},
    {"resize gray f32 to 480 x 270, bilinear", run_resize, NND_PIX_GRAY, NND_PIX_GRAY, NND_F32,
     NND_F32, 480, 270, NND_FILTER_BILINEAR},
    {"resize gray u16 to 480 x 270, bicubic", run_resize, NND_PIX_GRAY, NND_PIX_GRAY, NND_U16,
     NND_U16, 480, 270, NND_FILTER_BICUBIC},
    {"resize rgba f32 to 120 x 75, lanczos", run_resize, NND_PIX_RGBA, NND_PIX_RGBA, NND_F32,
     NND_F32, 120, 75, NND_FILTER_LANCZOS},
    {"resize yuyv to 120 x 75, bilinear", run_resize, NND_PIX_YUYV, NND_PIX_YUYV, NND_U8, NND_U8,
     120, 75, NND_FILTER_BILINEAR},
    {"warp rgb u8", run_warp, NND_PIX_RGB, NND_PIX_RGB, NND_U8, NND_U8, FULL, 0},
    {"warp gray u16", run_warp, NND_PIX_GRAY, NND_PIX_GRAY, NND_U16, NND_U16, FULL, 0},
    {"warp rgb u16", run_warp, NND_PIX_RGB, NND_PIX_RGB, NND_U16, NND_U16, FULL, 0},
    {"warp rgb f32", run_warp, NND_PIX_RGB, NND_PIX_RGB, NND_F32, NND_F32, FULL, 0},
    {"perspective rgba f32", run_perspective, NND_PIX_RGBA, NND_PIX_RGBA, NND_F32, NND_F32, FULL,
     0},
    {"to_tensor bgr u8", run_to_tensor, NND_PIX_BGR, NND_PIX_RGB, NND_U8, NND_F32, 160, 160,
     NND_F32},
    {"to_tensor bgr f32", run_to_tensor, NND_PIX_BGR, NND_PIX_RGB, NND_F32, NND_F32, 160, 160,
     NND_F32},
    {"from_tensor f32 to rgb u8", run_from_tensor, NND_PIX_RGB, NND_PIX_RGB, NND_U8, NND_U8, FULL,
     NND_F32},
    {"from_tensor f16 to bgra u8", run_from_tensor, NND_PIX_BGRA, NND_PIX_BGRA, NND_U8, NND_U8,
     FULL, NND_F16},
    {"from_tensor f32 to gray u16", run_from_tensor, NND_PIX_GRAY, NND_PIX_GRAY, NND_U16, NND_U16,
     FULL, NND_F32},
};

/* ---- measuring ------------------------------------------------------------------------- */

static void stop(const char *name, nnd_status status)
{
    fprintf(stderr, "%s: %s\n", name, nnd_status_text(status));
    exit(4);
}

static void *filled(size_t bytes, nnd_dtype dtype)
{
    uint8_t *p = nnd_alloc_aligned(bytes, 64);
    uint32_t state = 1;
    if (!p) stop("memory", NND_E_OUT_OF_MEMORY);
    for (size_t i = 0; i < bytes; i++) {
        state = state * 1664525u + 1013904223u;
        p[i] = (uint8_t)(state >> 24);
    }
    for (size_t i = 0; dtype == NND_F32 && i < bytes / 4; i++)
        ((float *)(void *)p)[i] = (float)p[4 * i] / 255;
    for (size_t i = 0; dtype == NND_F16 && i < bytes / 2; i++)
        ((uint16_t *)(void *)p)[i] = (uint16_t)(0x3400 + p[2 * i]);
    return p;
}

static nnd_status make_image(nnd_image *image, nnd_pixel_format format, nnd_dtype dtype, int width,
                             int height)
{
    size_t bytes = 0;
    NND_TRY(nnd_image_init(image, format, dtype, width, height, 0, NULL, &bytes));
    return nnd_image_init(image, format, dtype, width, height, 0, filled(bytes, dtype), NULL);
}

static nnd_status prepare(const bench_case *c, bench_data *d)
{
    const int channels = nnd_pixel_format_channels(c->to);
    const int64_t dims[3] = {channels > 0 ? channels : 1, c->dst_height, c->dst_width};
    NND_TRY(make_image(&d->src, c->from, c->src_dtype, WIDTH, HEIGHT));
    NND_TRY(make_image(&d->dst, c->to, c->dst_dtype, c->dst_width, c->dst_height));
    const bool is_head = c->run == run_ssd_faces || c->run == run_ssd_classes ||
                         c->run == run_yunet || c->run == run_yolox;
    if (c->run == run_softmax || is_head) {
        const int64_t count = is_head ? 3549 * 85 : WIDTH * HEIGHT / 1000 * 1000;
        float *levels = filled(4 * (size_t)count, NND_F32);
        for (int64_t i = 0; is_head && i + 1 < count; i++) /* 256 levels would be too few */
            levels[i] = (levels[i] * 255 + levels[i + 1]) / 256;
        return nnd_tensor_init(&d->tensor, NND_F32, 1, &count, levels);
    }
    if (c->run != run_to_tensor && c->run != run_from_tensor) return NND_OK;
    const nnd_dtype dtype = (nnd_dtype)c->option;
    const size_t count = (size_t)(dims[0] * dims[1] * dims[2]);
    return nnd_tensor_init(&d->tensor, dtype, 3, dims,
                           filled(count * nnd_dtype_bits(dtype) / 8, dtype));
}

static void measure(const bench_case *c)
{
    static const nnd_isa isas[] = {NND_ISA_REFERENCE, NND_ISA_AVX2, NND_ISA_AVX512, NND_ISA_NEON};
    double best[NND_COUNT(isas)] = {0};
    bench_data d = {0};
    nnd_status status = prepare(c, &d);
    if (status != NND_OK) stop(c->name, status);
    for (int round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < NND_COUNT(isas); i++) {
            if (nnd_isa_force(nnd_isa_detected()) != NND_OK || !nnd_isa_has(isas[i])) continue;
            status = nnd_isa_force(isas[i]);
            const int64_t start = nnd_clock_now();
            if (status == NND_OK) status = c->run(c, &d);
            const double ms = (double)(nnd_clock_now() - start) / 1e6;
            if (status != NND_OK) stop(c->name, status);
            if (best[i] == 0 || ms < best[i]) best[i] = ms;
        }
    printf("%-44s %8.3f ms", c->name, best[0]);
    for (size_t i = 1; i < NND_COUNT(isas); i++)
        if (best[i] > 0) printf("  %s %5.2f x", nnd_isa_name(isas[i]), best[0] / best[i]);
    printf("\n");
    nnd_free_aligned(d.src.data[0]);
    nnd_free_aligned(d.dst.data[0]);
    nnd_free_aligned(d.tensor.data);
}

int main(int argc, char **argv)
{
    for (size_t i = 0; i < NND_COUNT(cases); i++)
        if (argc < 2 || strstr(cases[i].name, argv[1])) measure(&cases[i]);
    return 0;
}
