/* Every node type of the library, by file. Each file holds a family; nodes.c lists them all. */
#ifndef NND_NODES_INTERNAL_H
#define NND_NODES_INTERNAL_H

#include "base/hash.h"
#include "nndeploy/infer.h"
#include "nndeploy/nodes.h"
#include "nndeploy/ops.h"

/* io/ */
extern const nnd_node_type nnd_node_io_read_image, nnd_node_io_read_folder, nnd_node_io_write_image;
extern const nnd_node_type nnd_node_io_read_tensor, nnd_node_io_write_tensor, nnd_node_io_read_text,
    nnd_node_io_write_text;
extern const nnd_node_type nnd_node_const_bool, nnd_node_const_int, nnd_node_const_float,
    nnd_node_const_text, nnd_node_const_tensor;
/* image/ */
extern const nnd_node_type nnd_node_image_resize, nnd_node_image_letterbox, nnd_node_image_crop,
    nnd_node_image_pad;
extern const nnd_node_type nnd_node_image_flip, nnd_node_image_rotate, nnd_node_image_convert,
    nnd_node_image_blur, nnd_node_image_threshold, nnd_node_image_normalise;
extern const nnd_node_type nnd_node_image_warp_affine, nnd_node_image_warp_perspective,
    nnd_node_image_crop_boxes;
extern const nnd_node_type nnd_node_image_to_tensor, nnd_node_image_from_tensor;
extern const nnd_node_type nnd_node_image_decode, nnd_node_image_encode;
/* detect/ */
extern const nnd_node_type nnd_node_detect_decode_ssd, nnd_node_detect_decode_yunet,
    nnd_node_detect_decode_yolox;
extern const nnd_node_type nnd_node_detect_nms, nnd_node_detect_filter, nnd_node_detect_components;
/* classify/, draw/, infer/, text/, ocr/ */
extern const nnd_node_type nnd_node_classify_top_k, nnd_node_tensor_softmax;
extern const nnd_node_type nnd_node_draw_detections, nnd_node_draw_text;
extern const nnd_node_type nnd_node_infer_model;
extern const nnd_node_type nnd_node_text_lines;
extern const nnd_node_type nnd_node_ocr_lines, nnd_node_ocr_line, nnd_node_ocr_ctc;

/* ---- what families share ----------------------------------------------------------------- */

/* The image on an input port; NULL with an error naming the port when there is none. */
const nnd_image *nnd_node_image(nnd_ctx *ctx, size_t port);
const nnd_tensor *nnd_node_tensor(nnd_ctx *ctx, size_t port);
const nnd_detections *nnd_node_detections(nnd_ctx *ctx, size_t port);
/* Geometry of an optional input; NULL when it is not connected. */
const nnd_geometry *nnd_node_geometry(nnd_ctx *ctx, size_t port);
nnd_status nnd_node_emit_geometry(nnd_ctx *ctx, size_t port, const nnd_geometry *geometry);
/* Fills out[0 … count) from a NUMBERS parameter: one number counts for all. NND_E_SHAPE when there
   is another number of them. */
nnd_status nnd_node_numbers(const nnd_params *params, const char *name, double *out, size_t count);
/* A colour per channel from a NUMBERS parameter, for an image of that format: one number counts for
   all channels, else there are as many as the format has. */
nnd_status nnd_node_levels(const nnd_params *params, const char *name, nnd_pixel_format format,
                           double out[4]);
/* 0xRRGGBB from "#RRGGBB" or "RRGGBB"; NND_E_INVALID_ARGUMENT otherwise. */
nnd_status nnd_node_color(const nnd_params *params, const char *name, uint32_t *out);

/* Ends a process: the value goes out on port 0 when all went well, else it goes away. */
nnd_status nnd_node_finish(nnd_ctx *ctx, nnd_status status, nnd_value *take_value);
/* The run's files; NND_E_PERMISSION naming `path` when the host allows none. */
nnd_status nnd_node_io(nnd_ctx *ctx, const char *path, nnd_io **out);
/* A file that a parameter names, while a plan is prepared; nnd_free. `what` is for the message. */
nnd_status nnd_node_prepare_file(nnd_prepare *prepare, const char *what, const char *path,
                                 void **bytes, size_t *size);

/* What prepare keeps for nodes with a parameter "labels" (FILE): its lines, none without a path.
   The two functions are callbacks of node types. */
typedef struct nnd_node_labels {
    char **names;
    size_t count;
} nnd_node_labels;
nnd_status nnd_node_labels_prepare(nnd_prepare *prepare, void **prepared);
void nnd_node_labels_release(void *prepared);

/* sha256 of a file as hex text; remembered as long as the file does not change. */
nnd_status nnd_nodes_digest(const char *path, char text[NND_SHA256_TEXT]);

/* Filter and fit choices as the parameters spell them. */
#define NND_NODE_FILTERS "nearest|nearest-centre|bilinear|bicubic|area|lanczos"
#define NND_NODE_FITS    "stretch|letterbox|cover|none"

#endif
