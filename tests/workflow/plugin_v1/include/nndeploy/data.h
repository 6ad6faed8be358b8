/*
 * nndeploy/data.h: what travels on edges: values and their payloads.
 *
 * Sections: 1 element types · 2 tensors · 3 images · 4 geometry · 5 other payloads ·
 *           6 value types · 7 values · 8 making values · 9 JSON and files · 10 packing
 *
 * Part of nndeploy, Apache-2.0. Compiles alone as C11 and C++17.
 */
#ifndef NNDEPLOY_DATA_H
#define NNDEPLOY_DATA_H

#include "nndeploy/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- 1 element types ------------------------------------------------------------------- */

/* The numbers are part of the wire format and never change. Sub-byte types are packed, the first
   element in the low bits, rows not padded. Strings are held as nnd_string elements. */
/* clang-format off */
typedef enum nnd_dtype {
    NND_DTYPE_INVALID = 0,
    NND_F64 = 1, NND_F32 = 2, NND_F16 = 3, NND_BF16 = 4,
    NND_F8E4M3FN = 5, NND_F8E4M3FNUZ = 6, NND_F8E5M2 = 7, NND_F8E5M2FNUZ = 8, NND_F8E8M0 = 9,
    NND_F4E2M1 = 10,
    NND_I64 = 11, NND_I32 = 12, NND_I16 = 13, NND_I8 = 14, NND_I4 = 15, NND_I2 = 16,
    NND_U64 = 17, NND_U32 = 18, NND_U16 = 19, NND_U8 = 20, NND_U4 = 21, NND_U2 = 22,
    NND_BOOL = 23, NND_STRING = 24, NND_C64 = 25, NND_C128 = 26,
    NND_DTYPE_COUNT = 27
} nnd_dtype;
/* clang-format on */
NND_API const char *nnd_dtype_name(nnd_dtype dtype); /* "f32", "u8", "f8e4m3fn", … */
/* NND_DTYPE_INVALID if unknown; also takes NumPy names. */
NND_API nnd_dtype nnd_dtype_from_name(const char *name);
/* 32; 4 for i4; 8·sizeof(nnd_string) for strings. */
NND_API unsigned nnd_dtype_bits(nnd_dtype dtype);
/* Bytes for `count` elements; NND_E_OVERFLOW when that does not fit size_t. */
NND_API nnd_status nnd_dtype_bytes(nnd_dtype dtype, uint64_t count, size_t *out);
/* One element by value, through double (integers: exact up to 2^53; rounding to nearest even,
   saturating for float8 E4M3FN and integers). index counts elements. */
NND_API double nnd_dtype_get(nnd_dtype dtype, const void *data, size_t index);
NND_API void nnd_dtype_set(nnd_dtype dtype, void *data, size_t index, double value);
/* Converts a packed run of elements between any two numeric types, by the rules of nnd_dtype_set
   (to float8 and float4: saturating, as ONNX Cast does by default); integers of 64 bits are
   exact among each other and rounded once to floats. The runs must not overlap. NND_E_TYPE for
   strings. */
NND_API nnd_status nnd_dtype_convert(nnd_dtype from, const void *src, nnd_dtype to, void *dst,
                                     size_t count);

/* A string element: bytes owned by the tensor's buffer, NUL-terminated, any content. */
typedef struct nnd_string {
    const char *text;
    size_t size;
} nnd_string;

/* ---- 2 tensors ------------------------------------------------------------------------- */

#define NND_MAX_RANK 8
typedef enum nnd_layout {
    NND_LAYOUT_ANY = 0,
    NND_LAYOUT_NCHW,
    NND_LAYOUT_NHWC,
    NND_LAYOUT_NC,
    NND_LAYOUT_NCHW8C,
    NND_LAYOUT_NCHW16C
} nnd_layout;
NND_API const char *nnd_layout_name(nnd_layout layout); /* "any", "NCHW", … */

/* A view of a tensor. Plain data: copying the struct copies the view, not the elements; `buffer`
   is borrowed unless a function says that it takes a reference. */
typedef struct nnd_tensor {
    nnd_dtype dtype;
    nnd_layout layout;
    int32_t rank; /* 0 = scalar */
    int64_t dims[NND_MAX_RANK];
    int64_t strides[NND_MAX_RANK]; /* in elements; sub-byte types and strings are always dense */
    void *data;                    /* first element in host memory; NULL when only on a device */
    nnd_buffer *buffer;            /* may be NULL for a view of the caller's memory */
    size_t offset;                 /* bytes from the buffer's start to the first element */
} nnd_tensor;
/* Fills a dense row-major view over `data` (may be NULL). NND_E_SHAPE for a negative dimension or
   rank outside 0…8, NND_E_OVERFLOW when the size does not fit. */
NND_API nnd_status nnd_tensor_init(nnd_tensor *t, nnd_dtype dtype, int rank, const int64_t *dims,
                                   void *data);
NND_API int64_t nnd_tensor_count(const nnd_tensor *t); /* elements; 1 for a scalar */
NND_API size_t nnd_tensor_bytes(const nnd_tensor *t);  /* bytes of the dense form */
NND_API bool nnd_tensor_is_dense(const nnd_tensor *t);
/* Copies elements into the dense or strided `dst` of the same dtype and dims; not counted, the
   caller knows whether it is a copy of a payload. NND_E_TYPE for strings (nnd_value_set_string
   copies one), NND_E_SHAPE for other dims, NND_E_STATE when elements are not in host memory. */
NND_API nnd_status nnd_tensor_copy(nnd_tensor *dst, const nnd_tensor *src);
/* "f32[1,3,240,320]" into text; returns text. */
NND_API const char *nnd_tensor_describe(const nnd_tensor *t, char *text, size_t size);

/* ---- 3 images -------------------------------------------------------------------------- */

/* clang-format off */
typedef enum nnd_pixel_format {
    NND_PIX_NONE = 0,
    /* Interleaved: u8, u16, f32. */
    NND_PIX_RGB = 1, NND_PIX_BGR = 2, NND_PIX_GRAY = 3, NND_PIX_RGBA = 4, NND_PIX_BGRA = 5,
    /* YUV: u8 only. */
    NND_PIX_NV12 = 6, NND_PIX_I420 = 7, NND_PIX_YUYV = 8
} nnd_pixel_format;
/* clang-format on */
typedef enum nnd_color_range { NND_RANGE_LIMITED = 0, NND_RANGE_FULL = 1 } nnd_color_range;
typedef enum nnd_color_matrix { NND_MATRIX_BT601 = 0, NND_MATRIX_BT709 = 1 } nnd_color_matrix;
NND_API const char *nnd_pixel_format_name(nnd_pixel_format format); /* "rgb", "nv12", … */
NND_API nnd_pixel_format nnd_pixel_format_from_name(const char *name);
NND_API int nnd_pixel_format_planes(nnd_pixel_format format);
NND_API int nnd_pixel_format_channels(nnd_pixel_format format); /* interleaved formats; 0 for YUV */

#define NND_IMAGE_MAX_SIDE 65535
/* A view of an image; the same rules as nnd_tensor. NV12: plane 0 Y, plane 1 interleaved UV of
   ceil(w/2) × ceil(h/2) pairs. I420: Y, U, V. YUYV: width rounded up to even. */
typedef struct nnd_image {
    nnd_pixel_format format;
    nnd_dtype dtype;         /* u8, u16 or f32 (f32: 0…1 by convention) */
    int32_t width, height;   /* pixels, 1 … NND_IMAGE_MAX_SIDE */
    nnd_color_range range;   /* YUV only */
    nnd_color_matrix matrix; /* YUV only */
    uint8_t *data[3];        /* per plane, first pixel of the top row; NULL when only on a device */
    int64_t stride[3];       /* bytes from row to row; may be negative in host memory */
    nnd_buffer *buffer;      /* borrowed, may be NULL; on a device the planes follow each other
                                from its start, stride × rows each */
} nnd_image;
/* Fills a view over one block with rows aligned to row_align bytes (power of two, 0 = 1);
   data may be NULL to ask for the size only. bytes may be NULL. */
NND_API nnd_status nnd_image_init(nnd_image *image, nnd_pixel_format format, nnd_dtype dtype,
                                  int width, int height, size_t row_align, void *data,
                                  size_t *bytes);
NND_API size_t nnd_image_pixel_bytes(const nnd_image *image);            /* interleaved formats */
NND_API nnd_status nnd_image_copy(nnd_image *dst, const nnd_image *src); /* same format and size */

/* ---- 4 geometry ------------------------------------------------------------------------ */

/* How a picture made from a source relates to it: a point (x, y) of the made picture lies at
   (m[0]x + m[1]y + m[2], m[3]x + m[4]y + m[5]) in the source. Pixel edges are integers: the
   picture covers [0,width) × [0,height), pixel centres lie at +0.5. */
typedef struct nnd_geometry {
    double m[6];
    int32_t source_width, source_height;
    int32_t width, height; /* of the made picture */
} nnd_geometry;
NND_API void nnd_geometry_identity(nnd_geometry *g, int width, int height);
/* outer: made → middle, inner: middle → source; result: made → source. out may be one of them. */
NND_API void nnd_geometry_compose(nnd_geometry *out, const nnd_geometry *outer,
                                  const nnd_geometry *inner);
NND_API void nnd_geometry_to_source(const nnd_geometry *g, double x, double y, double *sx,
                                    double *sy);
/* The other way round. NND_E_SHAPE if singular. */
NND_API nnd_status nnd_geometry_from_source(const nnd_geometry *g, double sx, double sy, double *x,
                                            double *y);

/* ---- 5 other payloads ------------------------------------------------------------------ */

/* All of these are plain structs that live inside a value; arrays and strings belong to it. */

typedef struct nnd_audio {
    nnd_dtype dtype;     /* i16 or f32 (−1…1) */
    int32_t sample_rate; /* Hz */
    int32_t channels;
    int64_t frames; /* samples per channel */
    void *data;     /* interleaved */
    nnd_buffer *buffer;
} nnd_audio;

/* Boxes are float pixels of the source picture: x1 y1 x2 y2, half-open. */
typedef struct nnd_detection {
    float x1, y1, x2, y2;
    float score;
    int32_t class_id; /* −1 = none */
    int64_t track_id; /* −1 = none */
    int32_t label;    /* index into labels, −1 = none */
    int32_t reserved;
} nnd_detection;
typedef struct nnd_point {
    float x, y;
    float score; /* −1 = none */
} nnd_point;
typedef struct nnd_detections {
    size_t count;
    nnd_detection *items;
    int32_t points_per_item; /* 0 = no keypoints */
    nnd_point *points;       /* count × points_per_item */
    size_t label_count;
    const char **labels;
    int32_t source_width, source_height;
} nnd_detections;

/* Keypoints without boxes: `count` sets of `points_per_item` points. */
typedef struct nnd_keypoints {
    size_t count;
    int32_t points_per_item;
    nnd_point *points;
    int32_t source_width, source_height;
} nnd_keypoints;

/* Per-pixel class (u8 or u16) or alpha (u8, f32 0…1) of a picture. */
typedef struct nnd_mask {
    nnd_dtype dtype;
    bool is_alpha;
    int32_t width, height;
    int64_t stride; /* bytes */
    void *data;
    size_t label_count;
    const char **labels;
    nnd_buffer *buffer;
    nnd_geometry geometry; /* mask → source picture */
} nnd_mask;

typedef struct nnd_track {
    int64_t id;
    nnd_detection box;
    int32_t state;       /* 0 tentative, 1 confirmed, 2 lost */
    int32_t age, misses; /* frames */
    float vx, vy;        /* pixels per frame */
} nnd_track;
typedef struct nnd_tracks {
    size_t count;
    nnd_track *items;
    size_t label_count;
    const char **labels;
    int32_t source_width, source_height;
} nnd_tracks;

/* Result of a classifier, best first. */
typedef struct nnd_class_score {
    int32_t class_id;
    float score;
    const char *label; /* may be NULL */
} nnd_class_score;
typedef struct nnd_classes {
    size_t count;
    nnd_class_score *items;
} nnd_classes;

typedef enum nnd_finish {
    NND_FINISH_NONE = 0,
    NND_FINISH_STOP,
    NND_FINISH_LENGTH,
    NND_FINISH_CANCELLED,
    NND_FINISH_ERROR
} nnd_finish;
/* A text or a piece of one (delta): valid UTF-8. */
typedef struct nnd_text {
    const char *text; /* NUL-terminated */
    size_t size;      /* bytes */
    size_t token_count;
    const int32_t *tokens;
    uint64_t request_id;
    nnd_finish finish;
    bool is_delta;
} nnd_text;

/* ---- 6 value types --------------------------------------------------------------------- */

typedef struct nnd_value nnd_value;
typedef struct nnd_packer nnd_packer; /* section 10 */
typedef struct nnd_unpacker nnd_unpacker;

/* A payload type. Built-in names: tensor image audio detections keypoints mask tracks classes
   geometry text bool int float bytes list record. Registered once per process, static. */
typedef struct nnd_value_type {
    size_t struct_size; /* = sizeof(nnd_value_type) */
    const char *name;
    size_t payload_size; /* bytes of the payload struct, zeroed by the maker */
    void (*destroy)(void *payload);
    /* Deep copy into the zeroed `to`; buffers may be shared when share_buffers (a header clone). */
    nnd_status (*clone)(const void *payload, void *to, bool share_buffers);
    nnd_status (*to_json)(const void *payload, nnd_json_writer *w);
    /* Makes a picture or text that shows the payload to a person; may be NULL. */
    nnd_status (*preview)(const void *payload, nnd_value **out);
    /* Flat form for the wire; NULL = the type cannot leave the process. */
    nnd_status (*pack)(const void *payload, nnd_packer *packer);
    nnd_status (*unpack)(void *payload, nnd_unpacker *unpacker);
    /* The buffer that holds the payload's bulk data (borrowed); NULL function or result = none. */
    nnd_buffer *(*buffer)(const void *payload);
} nnd_value_type;
/* NND_E_EXISTS for another one of that name. */
NND_API nnd_status nnd_value_type_register(const nnd_value_type *type);
NND_API const nnd_value_type *nnd_value_type_find(const char *name); /* NULL if unknown */
NND_API size_t nnd_value_type_count(void);
NND_API const nnd_value_type *nnd_value_type_at(size_t index);

/* ---- 7 values -------------------------------------------------------------------------- */

enum {
    NND_VALUE_FIRST = 1u << 0,
    NND_VALUE_LAST = 1u << 1,
    NND_VALUE_GAP = 1u << 2,
    NND_VALUE_DISCONT = 1u << 3,
    NND_VALUE_EOS = 1u << 4,
    NND_VALUE_KEY = 1u << 5
};
#define NND_NO_TIME INT64_MIN
typedef struct nnd_header {
    int64_t pts;  /* ns, monotonic within a stream; NND_NO_TIME */
    int64_t wall; /* ns since 1970 UTC; NND_NO_TIME */
    uint32_t stream;
    uint32_t epoch;       /* raised when a stream restarts */
    int64_t sequence;     /* packet number within the epoch */
    int64_t group_parent; /* sequence of the packet this was split from, −1 = none */
    int32_t group_index;
    uint32_t flags; /* NND_VALUE_… */
} nnd_header;

/* Immutable, reference-counted, thread-safe in its count. */
NND_API nnd_value *nnd_value_ref(nnd_value *value); /* takes NULL */
NND_API void nnd_value_unref(nnd_value *value);     /* takes NULL */
NND_API uint32_t nnd_value_holders(const nnd_value *value);
NND_API const nnd_value_type *nnd_value_get_type(const nnd_value *value);
NND_API const char *nnd_value_type_name(const nnd_value *value); /* "image"; "gap" for a GAP */
NND_API bool nnd_value_is(const nnd_value *value, const char *type_name);
NND_API const nnd_header *nnd_value_header(const nnd_value *value);
/* The payload struct when the type matches, else NULL. Borrowed. */
NND_API const void *nnd_value_payload(const nnd_value *value, const char *type_name);
NND_API const nnd_tensor *nnd_value_tensor(const nnd_value *value);
NND_API const nnd_image *nnd_value_image(const nnd_value *value);
NND_API const nnd_audio *nnd_value_audio(const nnd_value *value);
NND_API const nnd_detections *nnd_value_detections(const nnd_value *value);
NND_API const nnd_keypoints *nnd_value_keypoints(const nnd_value *value);
NND_API const nnd_mask *nnd_value_mask(const nnd_value *value);
NND_API const nnd_tracks *nnd_value_tracks(const nnd_value *value);
NND_API const nnd_classes *nnd_value_classes(const nnd_value *value);
NND_API const nnd_geometry *nnd_value_geometry(const nnd_value *value);
NND_API const nnd_text *nnd_value_text(const nnd_value *value);
/* Scalars; int also reads bool, float also reads int and bool. false when it is another type. */
NND_API bool nnd_value_as_bool(const nnd_value *value, bool *out);
NND_API bool nnd_value_as_int(const nnd_value *value, int64_t *out);
NND_API bool nnd_value_as_float(const nnd_value *value, double *out);
NND_API bool nnd_value_as_bytes(const nnd_value *value, const void **data, size_t *size);
/* The buffer that holds the payload's bulk data, NULL when there is none. Borrowed. */
NND_API nnd_buffer *nnd_value_buffer(const nnd_value *value);

/* A value that may be written: the same object when value and buffer have one holder, else a copy
   (counted). Takes over the caller's reference, also on failure. */
NND_API nnd_status nnd_value_writable(nnd_value *take_value, nnd_value **out);
/* Payload of a value that has one holder, for filling it before it is published; else NULL. */
NND_API void *nnd_value_edit(nnd_value *value);
/* A new value with another header and the same (shared) payload. */
NND_API nnd_status nnd_value_with_header(nnd_value *value, const nnd_header *header,
                                         nnd_value **out);
/* Header access for a value with one holder (NND_E_STATE otherwise). */
NND_API nnd_status nnd_value_set_header(nnd_value *value, const nnd_header *header);

/* ---- 8 making values ------------------------------------------------------------------- */

/* Nodes do not call these for bulk data; they ask their run (nnd_ctx_alloc). All results have one
   holder, a header of no time and sequence 0, and are owned by the caller. */
NND_API nnd_status nnd_value_create(const char *type_name, nnd_value **out); /* zeroed payload */
/* Takes a reference on `buffer` (not NULL); t->data and offset as they are. */
NND_API nnd_status nnd_value_from_tensor(const nnd_tensor *t, nnd_value **out);
NND_API nnd_status nnd_value_from_image(const nnd_image *image, nnd_value **out);
/* Allocates dense memory. String tensors start with empty strings; see nnd_value_set_string. */
NND_API nnd_status nnd_value_new_tensor(nnd_dtype dtype, int rank, const int64_t *dims,
                                        nnd_value **out);
NND_API nnd_status nnd_value_new_image(nnd_pixel_format format, nnd_dtype dtype, int width,
                                       int height, nnd_value **out);
NND_API nnd_status nnd_value_set_string(nnd_value *tensor_value, size_t index, const char *text,
                                        size_t size);
NND_API nnd_status nnd_value_new_audio(nnd_dtype dtype, int sample_rate, int channels,
                                       int64_t frames, nnd_value **out);
/* The items are zeroed, their ids −1. */
NND_API nnd_status nnd_value_new_detections(size_t count, int points_per_item,
                                            const char *const *labels, size_t label_count,
                                            nnd_value **out);
NND_API nnd_status nnd_value_new_keypoints(size_t count, int points_per_item, nnd_value **out);
NND_API nnd_status nnd_value_new_mask(nnd_dtype dtype, bool is_alpha, int width, int height,
                                      nnd_value **out);
NND_API nnd_status nnd_value_new_tracks(size_t count, nnd_value **out);
NND_API nnd_status nnd_value_new_classes(size_t count, nnd_value **out);
NND_API nnd_status nnd_value_set_class(nnd_value *classes, size_t index, int class_id, float score,
                                       const char *label);
/* Replaces the labels of detections, a mask or tracks by copies (one holder only). */
NND_API nnd_status nnd_value_set_labels(nnd_value *value, const char *const *labels,
                                        size_t label_count);
NND_API nnd_status nnd_value_new_geometry(const nnd_geometry *g, nnd_value **out);
/* NND_E_FORMAT if not UTF-8; size SIZE_MAX = NUL-terminated. */
NND_API nnd_status nnd_value_new_text(const char *text, size_t size, nnd_value **out);
/* Replaces the token ids of a text by copies (one holder only). */
NND_API nnd_status nnd_value_set_tokens(nnd_value *text_value, const int32_t *tokens,
                                        size_t token_count);
NND_API nnd_status nnd_value_new_bool(bool value, nnd_value **out);
NND_API nnd_status nnd_value_new_int(int64_t value, nnd_value **out);
NND_API nnd_status nnd_value_new_float(double value, nnd_value **out);
NND_API nnd_status nnd_value_new_bytes(const void *data, size_t size, nnd_value **out); /* copies */
NND_API nnd_status nnd_value_new_gap(const nnd_header *header, nnd_value **out);
/* A list holds a reference on each item. */
NND_API nnd_status nnd_value_new_list(nnd_value *const *items, size_t count, nnd_value **out);
NND_API size_t nnd_value_list_count(const nnd_value *list);
NND_API nnd_value *nnd_value_list_at(const nnd_value *list, size_t index); /* borrowed */
/* A record maps names to values, in the order of insertion; set replaces (one holder only). */
NND_API nnd_status nnd_value_new_record(nnd_value **out);
/* Takes a reference of the value. */
NND_API nnd_status nnd_value_record_set(nnd_value *record, const char *name, nnd_value *value);
NND_API nnd_value *nnd_value_record_get(const nnd_value *record, const char *name); /* borrowed */
NND_API size_t nnd_value_record_count(const nnd_value *record);
NND_API const char *nnd_value_record_name(const nnd_value *record, size_t index);
NND_API nnd_value *nnd_value_record_at(const nnd_value *record, size_t index);

/* ---- 9 JSON and files ------------------------------------------------------------------ */

/* A form for people and tests: scalars as JSON scalars, text as string, tensors as {dtype, shape,
   data up to 1024 elements, else min/max/mean}, images as {format, width, height}. */
NND_API nnd_status nnd_value_to_json(const nnd_value *value, nnd_json_writer *w);
/* From JSON by type name: what to_json writes in full is read back ("bool", "int", "float",
   "text", "bytes" as base64, "tensor" as that object or as nested arrays of f32, "detections",
   "keypoints", "tracks", "classes", "geometry", "record"); "list<T>"; "any" by the JSON type;
   "a|b" takes the first that fits. NND_E_TYPE or NND_E_SHAPE with line and column;
   NND_E_UNSUPPORTED for other types. */
NND_API nnd_status nnd_value_from_json(const nnd_json *json, const char *type, nnd_value **out);
/* An image of at most 512 pixels a side or a text of a few KiB; types without either show their
   JSON. */
NND_API nnd_status nnd_value_preview(const nnd_value *value, nnd_value **out);

/* NumPy .npy (format 1.0–3.0, C and Fortran order): parse copies the data; write makes dense C
   order. Types that NumPy lacks (bf16, float8, sub-byte, string) are NND_E_UNSUPPORTED. */
NND_API nnd_status nnd_npy_parse(const void *bytes, size_t size, nnd_value **out_tensor);
NND_API nnd_status nnd_npy_write(const nnd_tensor *t, void **bytes, size_t *size); /* nnd_free */

/* ---- 10 packing ------------------------------------------------------------------------- */

/* Flat little-endian form of payloads, for the wire, caches and files. A failed call makes all
   later ones fail; check the last. */
NND_API nnd_status nnd_pack_u32(nnd_packer *p, uint32_t v);
NND_API nnd_status nnd_pack_u64(nnd_packer *p, uint64_t v);
NND_API nnd_status nnd_pack_i64(nnd_packer *p, int64_t v);
NND_API nnd_status nnd_pack_f64(nnd_packer *p, double v);
NND_API nnd_status nnd_pack_bytes(nnd_packer *p, const void *data, size_t size); /* with length */
NND_API nnd_status nnd_pack_string(nnd_packer *p, const char *text);             /* NULL allowed */
/* Bulk memory: by reference when the packer's owner can share it, else its bytes. */
NND_API nnd_status nnd_pack_buffer(nnd_packer *p, nnd_buffer *buffer, size_t offset, size_t size);
NND_API nnd_status nnd_pack_value(nnd_packer *p, const nnd_value *value);
/* Readers check bounds; NND_E_FORMAT when the bytes end early. */
NND_API nnd_status nnd_unpack_u32(nnd_unpacker *u, uint32_t *v);
NND_API nnd_status nnd_unpack_u64(nnd_unpacker *u, uint64_t *v);
NND_API nnd_status nnd_unpack_i64(nnd_unpacker *u, int64_t *v);
NND_API nnd_status nnd_unpack_f64(nnd_unpacker *u, double *v);
/* The bytes are borrowed. */
NND_API nnd_status nnd_unpack_bytes(nnd_unpacker *u, const void **data, size_t *size);
NND_API nnd_status nnd_unpack_string(nnd_unpacker *u, char **text); /* nnd_free; may be NULL */
/* The caller owns the buffer. */
NND_API nnd_status nnd_unpack_buffer(nnd_unpacker *u, nnd_buffer **buffer, size_t *offset,
                                     size_t *size);
NND_API nnd_status nnd_unpack_value(nnd_unpacker *u, nnd_value **out);
/* A value as one block of bytes (nnd_free) and back: files, caches, fuzzing. */
NND_API nnd_status nnd_value_pack(const nnd_value *value, void **bytes, size_t *size);
NND_API nnd_status nnd_value_unpack(const void *bytes, size_t size, nnd_value **out);

#ifdef __cplusplus
}
#endif
#endif
