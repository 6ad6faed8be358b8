/*
 * nndeploy/ops.h: operators as plain functions on views of images and tensors.
 *
 * Sections: 1 common · 2 image · 3 geometry · 4 codec · 5 draw · 6 detect · 7 classify
 *
 * Rules that hold for every function here, unless its comment says otherwise:
 * - The caller provides the destination: a view with memory behind it (nnd_image_init,
 *   nnd_tensor_init, nnd_value_new_image, …) whose size and format say what is wanted. Destination
 *   and source must not overlap.
 * - Functions keep no state; they may run in any thread, also at once on the same source.
 * - `options` may be NULL for the defaults of its …_INIT. Rows are spread over `threads` threads
 *   of the process's budget (1 = the caller only, 0 = the whole budget); the resulting bits depend
 *   neither on the number of threads nor on the instruction set that is used.
 * - Errors: NND_E_INVALID_ARGUMENT for a missing pointer or an option out of range, NND_E_SHAPE for
 *   sizes that do not fit each other, NND_E_TYPE for an element type and NND_E_UNSUPPORTED for a
 *   pixel format that the operator does not take, NND_E_LIMIT beyond NND_IMAGE_MAX_SIDE,
 *   NND_E_OUT_OF_MEMORY for the few rows of scratch, and what `cancel` reports. After a failure the
 *   destination's contents are undefined.
 * - Coordinates put pixel edges on integers and pixel centres at +0.5, as in nnd_geometry.
 *
 * Part of nndeploy, Apache-2.0. Compiles alone as C11 and C++17.
 */
#ifndef NNDEPLOY_OPS_H
#define NNDEPLOY_OPS_H

#include "nndeploy/data.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- 1 common -------------------------------------------------------------------------- */

/* A rectangle of whole pixels. All zero means "the whole picture" where an option says so. */
typedef struct nnd_rect {
    int32_t x, y, width, height;
} nnd_rect;

typedef enum nnd_filter {
    NND_FILTER_NEAREST = 0, /* floor(x · scale): OpenCV's INTER_NEAREST */
    /* the pixel under the centre, the later one on an edge: Pillow's NEAREST */
    NND_FILTER_NEAREST_CENTRE = 1,
    NND_FILTER_BILINEAR = 2,
    NND_FILTER_BICUBIC = 3, /* a = −0.75 */
    NND_FILTER_AREA = 4,    /* mean of the covered area when shrinking, OpenCV's INTER_AREA */
    NND_FILTER_LANCZOS = 5  /* 8 taps, OpenCV's INTER_LANCZOS4 */
} nnd_filter;
/* "nearest", "nearest-centre", "bilinear", "bicubic", "area", "lanczos". */
NND_API const char *nnd_filter_name(nnd_filter filter);
/* NND_E_INVALID_ARGUMENT with the list of names. */
NND_API nnd_status nnd_filter_from_name(const char *name, nnd_filter *out);

typedef enum nnd_border {
    NND_BORDER_CONSTANT = 0,
    NND_BORDER_REPLICATE = 1, /* aaa|abcd|ddd */
    NND_BORDER_REFLECT = 2,   /* dcb|abcd|cba: the edge pixel is not repeated */
    NND_BORDER_SYMMETRIC = 3  /* cba|abcd|dcb */
} nnd_border;

/* ---- 2 image --------------------------------------------------------------------------- */

/* Resizing. Same format and dtype on both sides; interleaved formats of u8, u16 and f32; of NV12,
   I420 and YUYV luma and chroma each on their own. Sample positions are ((i + 0.5) · src/dst − 0.5)
   with the edge pixel repeated, as in OpenCV. u8 pixels stay within 1 level of OpenCV's result
   (NEAREST: equal). antialias widens bilinear and bicubic kernels when shrinking (as Pillow and
   PyTorch's antialias=True; bicubic then uses a = −0.5 as they do). */
typedef struct nnd_resize_options {
    size_t size; /* = sizeof(nnd_resize_options) */
    nnd_filter filter;
    bool antialias;
    int threads;
    const nnd_cancel *cancel;
} nnd_resize_options;
/* clang-format off */
#define NND_RESIZE_OPTIONS_INIT {sizeof(nnd_resize_options), NND_FILTER_BILINEAR, false, 1, NULL}
/* clang-format on */
NND_API nnd_status nnd_image_resize(nnd_image *dst, const nnd_image *src,
                                    const nnd_resize_options *options);

/* A view of a part of `src`: no copy, the same buffer. The rectangle must lie inside; for formats
   with subsampled chroma x and y must be even (YUYV: x). geometry (may be NULL): part → src. */
NND_API nnd_status nnd_image_crop_view(const nnd_image *src, nnd_rect rect, nnd_image *view,
                                       nnd_geometry *geometry);
/* Copies the part of `src` at (rect.x, rect.y) that has dst's size. rect.width and height must be
   dst's. */
NND_API nnd_status nnd_image_crop(nnd_image *dst, const nnd_image *src, nnd_rect rect,
                                  nnd_geometry *geometry);

/* How a picture is made to fit another size. */
typedef enum nnd_fit {
    NND_FIT_STRETCH = 0,   /* both sides scaled on their own */
    NND_FIT_LETTERBOX = 1, /* keeps the ratio, all of the source visible, rest is padding */
    NND_FIT_COVER = 2,     /* keeps the ratio, no padding, what sticks out is cut off */
    NND_FIT_NONE = 3       /* no scaling: cut off or padded */
} nnd_fit;
typedef enum nnd_align { NND_ALIGN_CENTRE = 0, NND_ALIGN_TOP_LEFT = 1 } nnd_align;

/* Where the source goes: `content` is the destination's part that shows pixels of the source, the
   rest is padding; `geometry` maps the destination to the source. roi: the part of the source that
   is looked at (all zero = all of it). Letterbox rounds the scaled size to whole pixels. */
NND_API nnd_status nnd_fit_plan(nnd_fit fit, nnd_align align, int src_width, int src_height,
                                nnd_rect roi, int dst_width, int dst_height, nnd_rect *content,
                                nnd_geometry *geometry);

/* Fits `src` into `dst` by nnd_fit_plan. Interleaved formats. value: padding per channel, in levels
   of the image (u8 0…255, u16 0…65535, f32 as stored). geometry (may be NULL): dst → src. */
typedef struct nnd_letterbox_options {
    size_t size; /* = sizeof(nnd_letterbox_options) */
    nnd_fit fit;
    nnd_align align;
    nnd_filter filter;
    bool antialias;
    double value[4];
    int threads;
    const nnd_cancel *cancel;
} nnd_letterbox_options;
/* clang-format off */
#define NND_LETTERBOX_OPTIONS_INIT                                                                 \
    {sizeof(nnd_letterbox_options), NND_FIT_LETTERBOX, NND_ALIGN_CENTRE, NND_FILTER_BILINEAR,      \
     false, {0, 0, 0, 0}, 1, NULL}
/* clang-format on */
NND_API nnd_status nnd_image_letterbox(nnd_image *dst, const nnd_image *src,
                                       const nnd_letterbox_options *options,
                                       nnd_geometry *geometry);

/* Fills an image, or a part of it (all zero = all), with one colour. Interleaved formats. */
NND_API nnd_status nnd_image_fill(nnd_image *dst, nnd_rect rect, const double value[4]);
/* Puts `src` at (left, top) of the larger `dst` and fills what is around it. Interleaved formats;
   value may be NULL = zeros. */
NND_API nnd_status nnd_image_pad(nnd_image *dst, const nnd_image *src, int left, int top,
                                 nnd_border border, const double value[4]);

/* Flips and quarter turns: interleaved formats, NV12 and I420 (YUYV: convert first). */
typedef enum nnd_flip {
    NND_FLIP_HORIZONTAL = 1,
    NND_FLIP_VERTICAL = 2,
    NND_FLIP_BOTH = 3
} nnd_flip;
NND_API nnd_status nnd_image_flip(nnd_image *dst, const nnd_image *src, nnd_flip flip);
/* degrees clockwise: 0, 90, 180, 270 or their negatives; dst has swapped sides for 90 and 270. */
NND_API nnd_status nnd_image_rotate(nnd_image *dst, const nnd_image *src, int degrees);
/* Makes a picture upright by its EXIF orientation 1…8; dst has swapped sides for 5…8. geometry (may
   be NULL): dst → src. */
NND_API nnd_status nnd_image_orient(nnd_image *dst, const nnd_image *src, int orientation,
                                    nnd_geometry *geometry);

/* Converts between all pixel formats and between u8, u16 and f32 (u8 = u16/257 = f32·255,
   rounded and clamped). dst and src have one size. YUV is read and written by the view's matrix
   and range; chroma is read by its nearest sample and written as the mean of the pixels it
   covers. Gray is 0.299 R + 0.587 G + 0.114 B, or the luma of YUV brought to full range. A
   missing alpha becomes opaque. u8 results are within 1 level of OpenCV's (BT.601 limited YUV →
   RGB, RGB → gray). Between NV12 and I420 with equal matrix and range samples are moved
   unchanged. */
typedef struct nnd_convert_options {
    size_t size; /* = sizeof(nnd_convert_options) */
    int threads;
    const nnd_cancel *cancel;
} nnd_convert_options;
/* clang-format off */
#define NND_CONVERT_OPTIONS_INIT {sizeof(nnd_convert_options), 1, NULL}
/* clang-format on */
NND_API nnd_status nnd_image_convert(nnd_image *dst, const nnd_image *src,
                                     const nnd_convert_options *options);

/* Colour spaces without a pixel format of their own: u8, three channels, held in an image of format
   RGB whose channels are those of the space. Ranges as in OpenCV: HSV 0…179, 0…255, 0…255; YCrCb
   full range BT.601. Interleaved u8 formats on the other side. */
typedef enum nnd_color_space { NND_SPACE_HSV = 1, NND_SPACE_YCRCB = 2 } nnd_color_space;
NND_API nnd_status nnd_image_to_space(nnd_image *dst, const nnd_image *src, nnd_color_space space);
NND_API nnd_status nnd_image_from_space(nnd_image *dst, const nnd_image *src,
                                        nnd_color_space space);

/* dst = (src · scale − mean) / std per channel, f32 image of the same format; src u8, u16 or f32,
   interleaved, in the levels that are stored. */
NND_API nnd_status nnd_image_normalise(nnd_image *dst, const nnd_image *src, double scale,
                                       const double mean[4], const double std[4]);

/* Two levels: dst = max_value where the pixel is above the threshold, else 0 (`invert`: the
   other way round). GRAY u8. used (may be NULL): the threshold that was applied, −1 for the two
   kinds that look at the block × block pixels around each pixel:
   ADAPTIVE, as OpenCV: above is more than their mean, rounded to a level, minus `offset`; beyond
   the picture its edge repeats.
   LOCAL: above is a value − offset ≥ the exact mean of those of them that lie in the picture;
   with `invert`, value + offset ≤ that mean gives max_value. So foreground of either kind stands
   out by at least `offset` > 0. */
typedef enum nnd_threshold_kind {
    NND_THRESHOLD_FIXED = 0,
    NND_THRESHOLD_OTSU = 1,
    NND_THRESHOLD_ADAPTIVE = 2,
    NND_THRESHOLD_LOCAL = 3
} nnd_threshold_kind;
typedef struct nnd_threshold_options {
    size_t size; /* = sizeof(nnd_threshold_options) */
    nnd_threshold_kind kind;
    bool invert;
    uint8_t max_value;
    int value;     /* FIXED: 0…255 */
    int block;     /* ADAPTIVE, LOCAL: odd, 3…255 */
    double offset; /* ADAPTIVE, LOCAL */
} nnd_threshold_options;
/* clang-format off */
#define NND_THRESHOLD_OPTIONS_INIT                                                                 \
    {sizeof(nnd_threshold_options), NND_THRESHOLD_FIXED, false, 255, 127, 11, 2.0}
/* clang-format on */
NND_API nnd_status nnd_image_threshold(nnd_image *dst, const nnd_image *src,
                                       const nnd_threshold_options *options, int *used);

/* Blurs. Kernel sizes are odd, 1…255; edges repeat by REFLECT or REPLICATE. Interleaved u8 and f32.
   sigma ≤ 0 means OpenCV's fixed kernels up to size 7 and 0.3 ((size − 1)/2 − 1) + 0.8 beyond. */
typedef enum nnd_blur_kind { NND_BLUR_BOX = 0, NND_BLUR_GAUSSIAN = 1 } nnd_blur_kind;
typedef struct nnd_blur_options {
    size_t size; /* = sizeof(nnd_blur_options) */
    nnd_blur_kind kind;
    int kernel_width, kernel_height;
    double sigma_x, sigma_y;
    nnd_border border;
    int threads;
    const nnd_cancel *cancel;
} nnd_blur_options;
/* clang-format off */
#define NND_BLUR_OPTIONS_INIT                                                                      \
    {sizeof(nnd_blur_options), NND_BLUR_GAUSSIAN, 3, 3, 0, 0, NND_BORDER_REFLECT, 1, NULL}
/* clang-format on */
NND_API nnd_status nnd_image_blur(nnd_image *dst, const nnd_image *src,
                                  const nnd_blur_options *options);

/* Connected groups of non-zero pixels of a GRAY u8 image, numbered from 1 in the order in which a
   row-by-row scan first meets them. labels (may be NULL): i32 tensor [height, width], 0 = no group.
   The list is allocated, the caller frees it with nnd_free; item i describes label i + 1. More than
   max_components groups is NND_E_LIMIT. */
typedef struct nnd_component {
    nnd_rect box;
    int32_t area; /* pixels */
    int32_t reserved;
    double cx, cy; /* centre of gravity; a single pixel (0,0) has (0.5, 0.5) */
} nnd_component;
typedef struct nnd_components_options {
    size_t size;      /* = sizeof(nnd_components_options) */
    int connectivity; /* 4 or 8 */
    int max_components;
} nnd_components_options;
/* clang-format off */
#define NND_COMPONENTS_OPTIONS_INIT {sizeof(nnd_components_options), 8, 1 << 20}
/* clang-format on */
NND_API nnd_status nnd_image_components(const nnd_image *src, const nnd_components_options *options,
                                        nnd_tensor *labels, nnd_component **list, size_t *count);

/* The fused preprocessing of models: in one pass over the rows, without a full image in between,
   takes `roi` of an image of any format, fits it to the tensor's size, brings the channels into
   `order`, computes (x · scale − mean) / std and writes f32, f16 or u8 (rounded, clamped) in the
   tensor's layout: NCHW or NHWC (tag of the tensor; ANY is read as NCHW), rank 4 [N,C,H,W] where
   item `batch` is written, or rank 3 without N. Any strides with dense rows.
   x is on the scale 0…255 whatever the image's dtype (u16/257, f32·255). u8 images give exactly
   what convert, letterbox and normalise give one after the other: interpolated levels are rounded
   to u8. pad: colour of the padding in the output order, also on the scale 0…255.
   order: RGB, BGR, RGBA, BGRA or GRAY; its channel count is the tensor's C.
   geometry (may be NULL): the tensor's picture → src. */
typedef struct nnd_to_tensor_options {
    size_t size;  /* = sizeof(nnd_to_tensor_options) */
    nnd_rect roi; /* all zero = the whole picture */
    nnd_fit fit;
    nnd_align align;
    nnd_filter filter;
    bool antialias;
    nnd_pixel_format order;
    double scale;
    double mean[4], std[4]; /* per output channel; std not 0 */
    double pad[4];
    int64_t batch;
    int threads;
    const nnd_cancel *cancel;
} nnd_to_tensor_options;
/* clang-format off */
#define NND_TO_TENSOR_OPTIONS_INIT                                                                 \
    {sizeof(nnd_to_tensor_options), {0, 0, 0, 0}, NND_FIT_STRETCH, NND_ALIGN_CENTRE,               \
     NND_FILTER_BILINEAR, false, NND_PIX_RGB, 1.0 / 255.0, {0, 0, 0, 0}, {1, 1, 1, 1},             \
     {0, 0, 0, 0}, 0, 1, NULL}
/* clang-format on */
NND_API nnd_status nnd_image_to_tensor(nnd_tensor *dst, const nnd_image *src,
                                       const nnd_to_tensor_options *options,
                                       nnd_geometry *geometry);

/* The way back: x = (t · std + mean) / scale, rounded and clamped into dst (u8, u16 or f32 in the
   format's own scale, interleaved). The tensor (f32, f16 or u8) has the channels of `order`, which
   are brought into dst's; height and width are dst's. */
typedef struct nnd_from_tensor_options {
    size_t size; /* = sizeof(nnd_from_tensor_options) */
    nnd_pixel_format order;
    double scale;
    double mean[4], std[4];
    int64_t batch;
    int threads;
    const nnd_cancel *cancel;
} nnd_from_tensor_options;
/* clang-format off */
#define NND_FROM_TENSOR_OPTIONS_INIT                                                               \
    {sizeof(nnd_from_tensor_options), NND_PIX_RGB, 1.0 / 255.0, {0, 0, 0, 0}, {1, 1, 1, 1}, 0, 1, NULL}
/* clang-format on */
NND_API nnd_status nnd_image_from_tensor(nnd_image *dst, const nnd_tensor *src,
                                         const nnd_from_tensor_options *options);

/* ---- 3 geometry ------------------------------------------------------------------------ */

/* Affine matrices are double[6], row-major 2×3; perspective ones double[9], row-major 3×3. */

/* The affine map that takes three points to three points. NND_E_SHAPE when they lie on a line. */
NND_API nnd_status nnd_affine_from_points(const double from[6], const double to[6], double out[6]);
/* The map of rotation, uniform scale and shift that takes `count` ≥ 2 points nearest to others in
   the least-squares sense (Umeyama 1991, without reflection): face alignment. x, y pairs. */
NND_API nnd_status nnd_similarity_from_points(const double *from, const double *to, size_t count,
                                              double out[6]);
/* Rotation by `degrees` counter-clockwise (y points down) about a centre, with a scale. */
NND_API void nnd_affine_rotation(double cx, double cy, double degrees, double scale, double out[6]);
/* NND_E_SHAPE if the map has no inverse. */
NND_API nnd_status nnd_affine_invert(const double m[6], double out[6]);
/* Turns a matrix between pictures whose pixel centres lie on integers (OpenCV, PyTorch's
   align_corners) into one for edges on integers, which everything here uses. */
NND_API void nnd_affine_from_centres(const double m[6], double out[6]);
/* The perspective map that takes four points to four points. NND_E_SHAPE when three of one side lie
   on a line. */
NND_API nnd_status nnd_perspective_from_points(const double from[8], const double to[8],
                                               double out[9]);
/* NND_E_SHAPE if the map has no inverse. */
NND_API nnd_status nnd_perspective_invert(const double m[9], double out[9]);
NND_API void nnd_perspective_from_centres(const double m[9], double out[9]);

/* Warps: every destination pixel takes the source at the mapped place. `m` maps src → dst, or
   dst → src when `inverse`. Filters NEAREST (the pixel that holds the mapped centre) and
   BILINEAR (positions exact to 2⁻¹⁵ pixel; OpenCV rounds to 2⁻⁵); borders CONSTANT (value blends
   at the edge) and REPLICATE. Interleaved formats, u8, u16, f32. */
typedef struct nnd_warp_options {
    size_t size; /* = sizeof(nnd_warp_options) */
    bool inverse;
    nnd_filter filter;
    nnd_border border;
    double value[4]; /* in levels of the image */
    int threads;
    const nnd_cancel *cancel;
} nnd_warp_options;
/* clang-format off */
#define NND_WARP_OPTIONS_INIT                                                                      \
    {sizeof(nnd_warp_options), false, NND_FILTER_BILINEAR, NND_BORDER_CONSTANT, {0, 0, 0, 0}, 1, NULL}
/* clang-format on */
/* geometry (may be NULL): dst → src. */
NND_API nnd_status nnd_image_warp_affine(nnd_image *dst, const nnd_image *src, const double m[6],
                                         const nnd_warp_options *options, nnd_geometry *geometry);
NND_API nnd_status nnd_image_warp_perspective(nnd_image *dst, const nnd_image *src,
                                              const double m[9], const nnd_warp_options *options);

/* A rectangle turned by `degrees` clockwise on the screen about its centre. */
typedef struct nnd_rotated_rect {
    double cx, cy, width, height, degrees;
} nnd_rotated_rect;
/* The map from a dst_width × dst_height picture of the rectangle's inside to the picture that holds
   the rectangle: for warps with `inverse`, and as a geometry. NND_E_SHAPE for an empty side. */
NND_API nnd_status nnd_rotated_rect_to_affine(const nnd_rotated_rect *rect, int dst_width,
                                              int dst_height, double out[6]);
/* Warps the rectangle's inside into all of dst; options->inverse is ignored. */
NND_API nnd_status nnd_image_crop_rotated(nnd_image *dst, const nnd_image *src,
                                          const nnd_rotated_rect *rect,
                                          const nnd_warp_options *options, nnd_geometry *geometry);

/* ---- 4 codec --------------------------------------------------------------------------- */

/* JPEG (libjpeg-turbo), PNG (libpng) and BMP (uncompressed kinds) from and to memory; PNM (P1 to
   P6), WebP (without animation; libwebp is loaded for the first one, NND_E_MISSING without it) and
   JPEG 2000 (by OpenJPEG, likewise) from memory only. JPEG 2000 means JP2 files and raw code
   streams: gray, RGB and sYCC of 1 to 16 bits, with and without alpha, palettes. Hostile bytes give
   NND_E_FORMAT, NND_E_LIMIT or NND_E_UNSUPPORTED, never a crash; memory is bounded by the limits,
   and so is the number of scans of a JPEG. CMYK becomes RGB; transparency is dropped when the
   wanted format has none. */
typedef enum nnd_image_codec {
    NND_CODEC_NONE = 0,
    NND_CODEC_JPEG = 1,
    NND_CODEC_PNG = 2,
    NND_CODEC_BMP = 3,
    NND_CODEC_PNM = 4,
    NND_CODEC_WEBP = 5,
    NND_CODEC_JPEG_2000 = 6
} nnd_image_codec;
/* Tells by the first bytes. */
NND_API nnd_image_codec nnd_image_codec_probe(const void *bytes, size_t size);
typedef struct nnd_image_file_info {
    size_t size; /* = sizeof(nnd_image_file_info), set by the caller */
    nnd_image_codec codec;
    int32_t width, height; /* as stored */
    int32_t channels;      /* 1, 3 or 4 */
    int32_t bits;          /* 8 or 16 */
    int32_t orientation;   /* EXIF 1…8; 1 when absent */
} nnd_image_file_info;
/* Reads the header only. */
NND_API nnd_status nnd_image_decode_info(const void *bytes, size_t size, nnd_image_file_info *out);
typedef struct nnd_decode_options {
    size_t size;             /* = sizeof(nnd_decode_options) */
    nnd_pixel_format format; /* NONE = RGB or GRAY or RGBA as stored */
    bool upright;            /* apply the EXIF orientation */
    bool keep_16_bit;        /* PNG, PNM and JPEG 2000 of more than 8 bits become u16 */
    int32_t max_side;        /* 0 = NND_IMAGE_MAX_SIDE */
    uint64_t max_pixels;     /* 0 = 256 million */
    const nnd_cancel *cancel;
    /* PNG with a palette or small grays, and gray PNM: the numbers in the file as GRAY, not colours
       or levels, as masks of classes need them. Other files are decoded as ever. */
    bool as_stored;
} nnd_decode_options;
/* clang-format off */
#define NND_DECODE_OPTIONS_INIT {sizeof(nnd_decode_options), NND_PIX_RGB, true, false, 0, 0, NULL, false}
/* clang-format on */
/* Makes a new image value. A JPEG that ends early is NND_E_FORMAT. options may be NULL. */
NND_API nnd_status nnd_image_decode(const void *bytes, size_t size,
                                    const nnd_decode_options *options, nnd_value **out);
typedef struct nnd_encode_options {
    size_t size; /* = sizeof(nnd_encode_options) */
    nnd_image_codec codec;
    int quality;     /* JPEG 1…100 */
    int compression; /* PNG 0…9 */
} nnd_encode_options;
/* clang-format off */
#define NND_ENCODE_OPTIONS_INIT {sizeof(nnd_encode_options), NND_CODEC_PNG, 92, 6}
/* clang-format on */
/* Any pixel format (converted when the codec lacks it; u16 stays u16 in PNG only, f32 becomes u8);
   bytes are freed with nnd_free. JPEG halves the chroma below quality 90; BMP has 24 bits. */
NND_API nnd_status nnd_image_encode(const nnd_image *image, const nnd_encode_options *options,
                                    void **bytes, size_t *size);
/* By a file name's suffix: jpg jpeg png bmp webp pnm ppm pgm pbm jp2 j2k j2c jpc; NONE otherwise.
 */
NND_API nnd_image_codec nnd_image_codec_from_name(const char *path);
/* Whether nnd_image_encode makes such files: JPEG, PNG, BMP. */
NND_API bool nnd_image_codec_writes(nnd_image_codec codec);

/* ---- 5 draw ---------------------------------------------------------------------------- */

/* Drawing into interleaved u8 images (RGB BGR GRAY RGBA BGRA), anti-aliased, clipped to the image.
   Coordinates as in detections: float pixels, edges on integers. Colours are 0xRRGGBB. */
typedef struct nnd_font nnd_font;
/* Font by file path, or NULL: the first that exists of NNDEPLOY_FONT and the usual system
   places, else an embedded Latin bitmap font (always there). Thread-safe afterwards. */
NND_API nnd_status nnd_font_create(const char *path, nnd_font **out);
/* From bytes that must stay while the font lives (how nodes pass files through their nnd_io). */
NND_API nnd_status nnd_font_create_memory(const void *bytes, size_t size, nnd_font **out);
NND_API void nnd_font_destroy(nnd_font *font);
NND_API const char *nnd_font_name(const nnd_font *font);
NND_API nnd_status nnd_draw_line(nnd_image *image, float x1, float y1, float x2, float y2,
                                 float thickness, uint32_t color);
/* Outlines; filled where thickness ≤ 0. */
NND_API nnd_status nnd_draw_rect(nnd_image *image, float x1, float y1, float x2, float y2,
                                 float thickness, uint32_t color);
NND_API nnd_status nnd_draw_circle(nnd_image *image, float x, float y, float radius,
                                   float thickness, uint32_t color);
/* UTF-8; (x, y) is the left end of the base line, size in pixels, 1…2048; font NULL = embedded.
   Unknown glyphs become a box. */
NND_API nnd_status nnd_draw_text(nnd_image *image, const nnd_font *font, float x, float y,
                                 float size, uint32_t color, const char *text);
NND_API nnd_status nnd_text_measure(const nnd_font *font, float size, const char *text,
                                    float *width, float *ascent, float *descent);
typedef struct nnd_draw_options {
    size_t size;          /* = sizeof(nnd_draw_options) */
    const nnd_font *font; /* NULL = embedded */
    float thickness;      /* 0 = by the image's size */
    float text_size;      /* 0 = by the image's size */
    bool labels, scores, points;
    uint32_t color; /* 0xRRGGBB; 0xFFFFFFFF = by class */
} nnd_draw_options;
/* clang-format off */
#define NND_DRAW_OPTIONS_INIT {sizeof(nnd_draw_options), NULL, 0, 0, true, true, true, 0xFFFFFFFFu}
/* clang-format on */
NND_API nnd_status nnd_draw_detections(nnd_image *image, const nnd_detections *detections,
                                       const nnd_draw_options *options);
/* A colour that differs well from its neighbours, for a class or track id. */
NND_API uint32_t nnd_palette_color(int64_t id);

/* ---- 6 detect -------------------------------------------------------------------------- */

/* Decoders turn a model's tensors into boxes of the source picture: geometry (may be NULL =
   identity) maps the model's picture to the source, results are clipped to the source. An anchor
   gives at most one box, of its best class; boxes that are empty or not finite are left out; best
   first, ties in the model's order. Tensors are dense f32; a wrong shape is NND_E_SHAPE with what
   was expected. New values, labels copied. */
typedef struct nnd_decode_boxes_options {
    size_t size;               /* = sizeof(nnd_decode_boxes_options) */
    float score;               /* keep scores > this */
    int64_t max_candidates;    /* best first, 0 = all */
    const char *const *labels; /* by class id, may be NULL */
    size_t label_count;
    const nnd_geometry *geometry;
    int32_t width, height; /* the model's picture, pixels; 0 = as the geometry says */
} nnd_decode_boxes_options;
/* clang-format off */
#define NND_DECODE_BOXES_OPTIONS_INIT {sizeof(nnd_decode_boxes_options), 0.5f, 0, NULL, 0, NULL, 0, 0}
/* clang-format on */
/* SSD with priors inside the graph (UltraFace): scores [1,N,classes] with background class 0 (or
   −1 for none), boxes [1,N,4] x1 y1 x2 y2 in 0…1 of the model's picture. Class ids of the result
   do not count the background. */
NND_API nnd_status nnd_decode_ssd(const nnd_tensor *scores, const nnd_tensor *boxes, int background,
                                  const nnd_decode_boxes_options *options, nnd_value **out);
/* YuNet: per stride s a grid; score = sqrt(cls · obj), cx = (col + dx)s, w = exp(dw)s, five points
   (k + grid)s. cls, obj [1,N,1], bbox [1,N,4], kps [1,N,10] per stride. */
NND_API nnd_status nnd_decode_yunet(const nnd_tensor *const *cls, const nnd_tensor *const *obj,
                                    const nnd_tensor *const *bbox, const nnd_tensor *const *kps,
                                    const int *strides, size_t count,
                                    const nnd_decode_boxes_options *options, nnd_value **out);
/* YOLOX (Ge et al. 2021): [1,N,5+classes] over grids of strides 8, 16, 32; score = obj · class. */
NND_API nnd_status nnd_decode_yolox(const nnd_tensor *output, const int *strides,
                                    size_t stride_count, const nnd_decode_boxes_options *options,
                                    nnd_value **out);
/* Greedy non-maximum suppression; class_aware compares boxes of one class only; keeps the best
   first; max_count 0 = all. Points and labels stay with their boxes. */
NND_API nnd_status nnd_detections_nms(const nnd_detections *in, float iou, bool class_aware,
                                      int64_t max_count, nnd_value **out);
/* Intersection over union; 0 where a side is NaN. */
NND_API float nnd_box_iou(const nnd_detection *a, const nnd_detection *b);

/* ---- 7 classify ------------------------------------------------------------------------ */

/* Soft-max over the last dimension, f32, in place or not; stable for large inputs. In a row of n,
   an element d below the largest is within (6 + d + ln n) · 2⁻²⁴ of its exact share, and the same
   bits in every instruction set; +inf takes all, a row of −inf is spread evenly, NaN spreads to its
   row. */
NND_API nnd_status nnd_softmax(nnd_tensor *dst, const nnd_tensor *src);
/* The k best of a vector ([N] or [1,N] …), best first, ties by index. softmax: apply it first. */
NND_API nnd_status nnd_top_k(const nnd_tensor *scores, int k, bool softmax,
                             const char *const *labels, size_t label_count,
                             nnd_value **out_classes);
/* Lines of a text file as labels: LF or CRLF, UTF-8, empty lines at the end ignored. Freed by
   nnd_labels_free. */
NND_API nnd_status nnd_labels_parse(const void *bytes, size_t size, char ***labels, size_t *count);
NND_API void nnd_labels_free(char **labels, size_t count);

#ifdef __cplusplus
}
#endif
#endif
