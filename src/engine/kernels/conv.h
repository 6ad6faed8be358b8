/* The convolution plan and its algorithms. Private to the kernels folder. */
#ifndef NND_ENGINE_KERNELS_CONV_H
#define NND_ENGINE_KERNELS_CONV_H

#include "engine/kernels/set.h"

/*
 * How the kernel's taps of one axis find their input when each output step is a unit step: inputs
 * are sorted by their position modulo the stride ("phase"), only phases that some tap uses are
 * kept. Tap t of output o then reads element o + index[t] of phase slot[t]. Where dilation moves
 * the taps far apart, each one has a phase of its own: t·dilation, with index 0.
 */
typedef struct nnd_conv_axis {
    int64_t slots;  /* phases in use */
    int64_t reach;  /* largest index */
    int64_t *phase; /* [slots], room for [taps] */
    int64_t *slot;  /* [taps] */
    int64_t *index; /* [taps] */
} nnd_conv_axis;

/* What the register tile reads of a group: channels up to the end of a block, whole blocks, the
   rest. Groups whose first channels lie in the same lane of a block read alike. */
typedef struct nnd_conv_reads {
    nnd_tile_segment segments[NND_TILE_SEGMENTS];
    int64_t planes; /* that the group has a part of */
} nnd_conv_reads;

typedef struct nnd_conv_direct {
    /* The shape worked on: that of the descriptor, or the pixels as one row for a 1×1 kernel. */
    int64_t in_h, in_w, out_h, out_w;
    /* Output pixels from the first one of a plane on, in the picture that they are a part of. */
    int64_t first_pixel, row_step, column_step, spatial;
    bool blocked_in;  /* rows of the register tile step over blocks of channels */
    bool blocked_out; /* whole vectors go to NCHWc */
    bool copies;      /* the tile's input is copied to scratch: padding, strides, NCHW, bf16 */
    bool joins; /* rows of a tile are one row: each tap has a copy of its own, as in a product */
    bool skips; /* taps that see padding only are neither copied nor multiplied */
    const nnd_bf16_tile *bf16; /* the copy and the weights are pairs in bf16; NULL = f32 */
    int64_t halves;            /* channels per float of both: 2 in bf16 */
    bool shares;               /* blocks of the output have channels of several groups */
    int64_t bundle; /* groups of a tile, until a block ends with a group; 1 when none shares */
    int64_t bundles;
    int64_t depth;           /* input channels of a group */
    int64_t planes;          /* of the input that a group has a part of, at most */
    int64_t k;               /* rows of packed weights: depth × taps / halves */
    int64_t out_depth;       /* output channels of a group */
    int64_t vectors, panels; /* of the output that a group has a part of, at most */
    nnd_conv_axis rows, columns;
    /* Input geometry as the register tile sees it, in floats. */
    int64_t row_slot, column_slot; /* from one phase of the copy to the next */
    int64_t row_pitch, plane;
    int64_t lanes;        /* channels per pixel */
    int64_t pixel;        /* floats per pixel */
    int64_t reads_period; /* of groups */
    nnd_conv_reads *reads;
    ptrdiff_t *taps;
    float *foreign; /* as in nnd_tile_args: of each group of a bundle, then of the last group */
    int64_t *numbers;
    /* Work list: batch × bundles × panel parts × row parts × column parts. */
    int64_t panel_parts, row_parts, column_parts;
} nnd_conv_direct;

typedef struct nnd_conv_winograd {
    int64_t in_blocks, out_blocks, panels;
    int64_t tiles_h, tiles_w, tiles; /* of 4×4 outputs; of all images */
    int64_t chunks, chunk_tiles;     /* the latter of the largest chunk */
    int64_t panels_per_tile;         /* of the work list */
    ptrdiff_t *taps;
    nnd_tile_segment segments[2];
} nnd_conv_winograd;

struct nnd_conv {
    nnd_conv_desc desc;
    nnd_conv_algorithm algorithm;
    const nnd_kernel_set *set;
    int64_t out_h, out_w;
    bool clamps; /* the activation is [low, high] */
    float low, high;
    size_t tiles, packed_bytes, lane_bytes, workspace_bytes;
    int stages;
    int64_t planes, planes_per_tile, row_parts; /* depthwise */
    nnd_conv_direct direct;
    nnd_conv_winograd winograd;
};

/* Sizes, groups and overflow, as nnd_conv_create reports them, and the extent of the output. */
nnd_status nnd_conv_check(const nnd_conv_desc *d, int64_t *out_h, int64_t *out_w);

bool nnd_conv_bf16_can(const nnd_conv_desc *desc);
nnd_status nnd_conv_direct_plan(nnd_conv *conv);
void nnd_conv_direct_free(nnd_conv *conv);
void nnd_conv_direct_pack(const nnd_conv *conv, const float *weights, const float *bias,
                          float *packed);
void nnd_conv_direct_run(const nnd_conv *conv, const nnd_conv_args *args, size_t tile,
                         float *scratch);

bool nnd_conv_depthwise_can(const nnd_conv_desc *desc);
void nnd_conv_depthwise_plan(nnd_conv *conv);
void nnd_conv_depthwise_pack(const nnd_conv *conv, const float *weights, const float *bias,
                             float *packed);
void nnd_conv_depthwise_run(const nnd_conv *conv, const nnd_conv_args *args, size_t tile,
                            float *scratch);

bool nnd_conv_winograd_can(const nnd_conv_desc *desc, const nnd_kernel_set *set);
/* By a static model of costs: shape and vector width only, never a trial. */
bool nnd_conv_winograd_pays(const nnd_conv_desc *desc, const nnd_kernel_set *set, int64_t out_h,
                            int64_t out_w);
nnd_status nnd_conv_winograd_plan(nnd_conv *conv);
void nnd_conv_winograd_free(nnd_conv *conv);
void nnd_conv_winograd_pack(const nnd_conv *conv, const float *weights, const float *bias,
                            float *packed);
size_t nnd_conv_winograd_tiles(const nnd_conv *conv, int stage);
void nnd_conv_winograd_run(const nnd_conv *conv, const nnd_conv_args *args, int stage, size_t tile);

#endif
