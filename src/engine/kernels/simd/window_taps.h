/* Which taps of a window lie inside the input, along one axis. */
#ifndef NND_ENGINE_KERNELS_SIMD_WINDOW_TAPS_H
#define NND_ENGINE_KERNELS_SIMD_WINDOW_TAPS_H

#include "engine/kernels/set.h"

/* Taps [first, end) that fall inside [0, extent) from `origin` on. */
typedef struct tap_range {
    int64_t first, end;
} tap_range;

static inline tap_range taps_inside(int64_t origin, int64_t extent, int64_t taps, int64_t dilation)
{
    int64_t first = origin < 0 ? -origin : 0;
    int64_t end = extent > origin ? extent - origin : 0;
    if (dilation > 1) { /* divisions are worth a branch here */
        first = nnd_ceil_div(first, dilation);
        end = nnd_ceil_div(end, dilation);
    }
    end = NND_MIN(end, taps);
    return (tap_range){NND_MIN(first, end), end};
}

/* Rows, and columns, of the window from `origin` on that an average divides by. */
static inline int64_t average_rows(const nnd_window_args *p, int64_t origin)
{
    int64_t before = p->count_include_pad ? p->pad_top : 0;
    int64_t behind = p->count_include_pad ? p->pad_bottom : 0;
    tap_range in =
        taps_inside(origin + before, p->in_h + before + behind, p->kernel_h, p->dilation_h);
    return in.end - in.first;
}

static inline int64_t average_columns(const nnd_window_args *p, int64_t origin)
{
    int64_t before = p->count_include_pad ? p->pad_left : 0;
    int64_t behind = p->count_include_pad ? p->pad_right : 0;
    tap_range in =
        taps_inside(origin + before, p->in_w + before + behind, p->kernel_w, p->dilation_w);
    return in.end - in.first;
}

#endif
