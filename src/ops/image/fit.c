#include "ops/image/fit.h"

#include <math.h>

/* A resized picture of more pixels per side is refused; only COVER can come near. */
#define NND_FIT_MAX_SIDE (1 << 24)

static double clamp_side(double side)
{
    const double whole = floor(side + 0.5);
    return whole < 1 ? 1 : whole;
}

static nnd_axis_size place_axis(int src, double scaled, int dst, nnd_align align, int32_t *at,
                                int32_t *shown)
{
    nnd_axis_size size = {src, (int)scaled, 0, 0};
    size.count = size.dst < dst ? size.dst : dst;
    const bool centre = align == NND_ALIGN_CENTRE;
    size.from = centre ? (size.dst - size.count) / 2 : 0;
    *at = centre ? (dst - size.count) / 2 : 0;
    *shown = size.count;
    return size;
}

nnd_status nnd_fit_layout_init(nnd_fit_layout *layout, nnd_fit fit, nnd_align align, nnd_rect roi,
                               int dst_width, int dst_height)
{
    const double x_scale = (double)dst_width / roi.width, y_scale = (double)dst_height / roi.height;
    double width = dst_width, height = dst_height;
    if (align != NND_ALIGN_CENTRE && align != NND_ALIGN_TOP_LEFT)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "unknown alignment %d", (int)align);
    switch (fit) {
    case NND_FIT_STRETCH:
        break;
    case NND_FIT_LETTERBOX:
    case NND_FIT_COVER:
        if ((fit == NND_FIT_LETTERBOX) == (x_scale <= y_scale))
            height = clamp_side(roi.height * x_scale);
        else
            width = clamp_side(roi.width * y_scale);
        break;
    case NND_FIT_NONE:
        width = roi.width;
        height = roi.height;
        break;
    default:
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "unknown fit %d", (int)fit);
    }
    if (width > NND_FIT_MAX_SIDE || height > NND_FIT_MAX_SIDE)
        return nnd_error_set(NND_E_LIMIT,
                             "covering %d x %d with %d x %d needs a scaling that is too large",
                             dst_width, dst_height, (int)roi.width, (int)roi.height);
    layout->x =
        place_axis(roi.width, width, dst_width, align, &layout->content.x, &layout->content.width);
    layout->y = place_axis(roi.height, height, dst_height, align, &layout->content.y,
                           &layout->content.height);
    return NND_OK;
}

void nnd_fit_layout_geometry(const nnd_fit_layout *layout, nnd_rect roi, int src_width,
                             int src_height, int dst_width, int dst_height, nnd_geometry *geometry)
{
    const double sx = (double)layout->x.src / layout->x.dst,
                 sy = (double)layout->y.src / layout->y.dst;
    *geometry = (nnd_geometry){
        .m = {sx, 0, roi.x + (layout->x.from - layout->content.x) * sx, 0, sy,
              roi.y + (layout->y.from - layout->content.y) * sy},
        .source_width = src_width,
        .source_height = src_height,
        .width = dst_width,
        .height = dst_height,
    };
}

nnd_status nnd_fit_roi(nnd_rect roi, int width, int height, nnd_rect *out)
{
    *out = nnd_ops_rect_is_empty(roi) ? (nnd_rect){0, 0, width, height} : roi;
    return nnd_ops_check_rect(*out, width, height, "region of interest");
}

static nnd_status check_side(int width, int height, const char *name)
{
    if (width < 1 || height < 1)
        return nnd_error_set(NND_E_SHAPE, "%s: empty picture %d x %d", name, width, height);
    if (width > NND_IMAGE_MAX_SIDE || height > NND_IMAGE_MAX_SIDE)
        return nnd_error_set(NND_E_LIMIT, "%s: picture %d x %d, sides may have %d pixels", name,
                             width, height, NND_IMAGE_MAX_SIDE);
    return NND_OK;
}

nnd_status nnd_fit_plan(nnd_fit fit, nnd_align align, int src_width, int src_height, nnd_rect roi,
                        int dst_width, int dst_height, nnd_rect *content, nnd_geometry *geometry)
{
    nnd_fit_layout layout;
    NND_TRY(check_side(src_width, src_height, "source"));
    NND_TRY(check_side(dst_width, dst_height, "destination"));
    NND_TRY(nnd_fit_roi(roi, src_width, src_height, &roi));
    NND_TRY(nnd_fit_layout_init(&layout, fit, align, roi, dst_width, dst_height));
    if (content) *content = layout.content;
    if (geometry)
        nnd_fit_layout_geometry(&layout, roi, src_width, src_height, dst_width, dst_height,
                                geometry);
    return NND_OK;
}
