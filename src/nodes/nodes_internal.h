/* Every node type of the library, by file. Each file holds a family; nodes.c lists them all. */
#ifndef NND_NODES_INTERNAL_H
#define NND_NODES_INTERNAL_H

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
/* classify/, draw/, infer/, text/ */
extern const nnd_node_type nnd_node_classify_top_k, nnd_node_tensor_softmax;
extern const nnd_node_type nnd_node_draw_detections, nnd_node_draw_text;
extern const nnd_node_type nnd_node_infer_model;
extern const nnd_node_type nnd_node_text_lines;

/* ---- what families share ----------------------------------------------------------------- */

/* The image on an input port; NULL with an error naming the port when there is none. */
const nnd_image *nnd_node_image(nnd_ctx *ctx, size_t port);
const nnd_tensor *nnd_node_tensor(nnd_ctx *ctx, size_t port);
/* Geometry of an optional input; NULL when it is not connected. */
const nnd_geometry *nnd_node_geometry(nnd_ctx *ctx, size_t port);
nnd_status nnd_node_emit_geometry(nnd_ctx *ctx, size_t port, const nnd_geometry *geometry);
/* Fills out[0 … count) from a NUMBERS parameter: one number counts for all. NND_E_SHAPE when there
   is another number of them. */
nnd_status nnd_node_numbers(const nnd_params *params, const char *name, double *out, size_t count);
/* 0xRRGGBB from "#RRGGBB" or "RRGGBB"; NND_E_INVALID_ARGUMENT otherwise. */
nnd_status nnd_node_color(const nnd_params *params, const char *name, uint32_t *out);

/* Labels named by a parameter: a file of lines, or the strings themselves. */
typedef struct nnd_node_labels {
    char **names;
    size_t count;
} nnd_node_labels;
/* Reads parameter "labels" (FILE): an empty path gives none. */
nnd_status nnd_node_labels_prepare(const nnd_prepare *prepare, nnd_node_labels *out);
void nnd_node_labels_fini(nnd_node_labels *labels);

/* Filter and fit choices as the parameters spell them. */
#define NND_NODE_FILTERS "nearest|nearest-centre|bilinear|bicubic|area|lanczos"
#define NND_NODE_FITS    "stretch|letterbox|cover|none"

#endif
