/*
 * Pooling plans and the walk over their tiles.
 *
 * In NCHW, rows of a few pixels leave most of a vector empty. Small planes are gathered, one in
 * each lane, in blocks of NCHWc on the stack, and the kernel for these does them.
 */
#include "engine/kernels/set.h"

#define TILE_WORK  (1 << 20) /* window cells per tile */
#define SMALL_WORK (1 << 15)
#define TILE_PARTS 16
#define SMALL_AREA 256 /* pixels of planes that are gathered */
#define FEW_TAPS   25  /* of their windows; larger ones are joined by doubling in less time */
#define MOST_LANES 16

static nnd_status check_axis(const char *axis, int64_t in, int64_t out, int64_t kernel,
                             int64_t stride, int64_t dilation, int64_t pad, int64_t pad_end)
{
    const int64_t limit = INT32_MAX;
    const int64_t sizes[] = {in, out, kernel, stride, dilation, pad + 1, pad_end + 1};
    for (size_t i = 0; i < NND_COUNT(sizes); i++) {
        if (sizes[i] < 1 || sizes[i] > limit)
            return nnd_error_set(NND_E_SHAPE, "pooling: a size along %s is out of range", axis);
    }
    /* Each window must hold an input cell; with dilation a hole may swallow a short axis. */
    for (int64_t o = 0; o < out; o++) {
        int64_t first = o * stride - pad;
        int64_t skip = first < 0 ? nnd_ceil_div(-first, dilation) : 0;
        if (skip >= kernel || first + skip * dilation >= in)
            return nnd_error_set(NND_E_SHAPE, "pooling: output %lld along %s sees only padding",
                                 (long long)o, axis);
    }
    return NND_OK;
}

/* By the plane's shape alone: a plane has the same bits among others and by itself. */
static bool gathering_pays(const nnd_pool_desc *d, const nnd_kernel_set *set)
{
    return d->layout == NND_KERNEL_NCHW && set->tile_planar && set->block <= MOST_LANES &&
           d->in_h * d->in_w <= SMALL_AREA && d->out_h * d->out_w <= SMALL_AREA &&
           d->kernel_h * d->kernel_w <= FEW_TAPS;
}

nnd_status nnd_pool_plan(const nnd_pool_desc *d, nnd_pool *out)
{
    nnd_pool pool = {.desc = *d, .set = nnd_kernel_set_current()};
    if (d->batch < 1 || d->channels < 1 || d->batch > INT32_MAX || d->channels > INT32_MAX)
        return nnd_error_set(NND_E_SHAPE, "pooling: batch %lld, %lld channels", (long long)d->batch,
                             (long long)d->channels);
    NND_TRY(check_axis("the height", d->in_h, d->out_h, d->kernel_h, d->stride_h, d->dilation_h,
                       d->pad_top, d->pad_bottom));
    NND_TRY(check_axis("the width", d->in_w, d->out_w, d->kernel_w, d->stride_w, d->dilation_w,
                       d->pad_left, d->pad_right));
    pool.plane_lanes = d->layout == NND_KERNEL_NCHWC ? pool.set->block : 1;
    pool.planes = d->batch * nnd_ceil_div(d->channels, pool.plane_lanes);
    double work = (double)(d->out_h * d->out_w) * (double)(d->kernel_h * d->kernel_w) *
                  (double)pool.plane_lanes;
    double total = work * (double)pool.planes;
    double target = NND_MIN((double)TILE_WORK, NND_MAX((double)SMALL_WORK, total / TILE_PARTS));
    pool.row_parts = NND_MIN(d->out_h, (int64_t)(work / target) + 1);
    pool.planes_per_tile = 1;
    if (work < target) {
        pool.row_parts = 1;
        pool.planes_per_tile = NND_MIN(pool.planes, (int64_t)(target / work));
    }
    if (gathering_pays(d, pool.set)) {
        pool.gathers = true;
        pool.row_parts = 1;
        pool.planes_per_tile = nnd_round_up(pool.planes_per_tile, pool.set->block);
    }
    *out = pool;
    return NND_OK;
}

size_t nnd_pool_tiles(const nnd_pool *pool)
{
    return (size_t)(nnd_ceil_div(pool->planes, pool->planes_per_tile) * pool->row_parts);
}

/* `planes` planes of the arguments, a block at a time. */
static void run_gathered(const nnd_pool *pool, const nnd_window_args *args, int64_t planes)
{
    float x[SMALL_AREA * MOST_LANES], y[SMALL_AREA * MOST_LANES];
    const nnd_pool_desc *d = &pool->desc;
    size_t in = (size_t)(d->in_h * d->in_w), out = (size_t)(d->out_h * d->out_w);
    nnd_window_args block = *args;
    block.x = x;
    block.y = y;
    for (int64_t plane = 0; plane < planes; plane += pool->set->block) {
        size_t lanes = (size_t)NND_MIN(planes - plane, (int64_t)pool->set->block);
        pool->set->to_nchwc(args->x + (size_t)plane * in, in, x, lanes, in);
        pool->set->pool[d->kind][NND_KERNEL_NCHWC](&block, 1);
        pool->set->to_nchw(y, args->y + (size_t)plane * out, out, lanes, out);
    }
}

void nnd_pool_run_tile(const nnd_pool *pool, const float *x, float *y, size_t tile)
{
    const nnd_pool_desc *d = &pool->desc;
    int64_t lanes = pool->plane_lanes;
    int64_t part = (int64_t)tile % pool->row_parts;
    int64_t first = (int64_t)tile / pool->row_parts * pool->planes_per_tile;
    int64_t end = NND_MIN(pool->planes, first + pool->planes_per_tile);
    nnd_window_args w = {
        .x = x + first * d->in_h * d->in_w * lanes,
        .y = y + first * d->out_h * d->out_w * lanes,
        .in_h = d->in_h,
        .in_w = d->in_w,
        .out_h = d->out_h,
        .out_w = d->out_w,
        .kernel_h = d->kernel_h,
        .kernel_w = d->kernel_w,
        .stride_h = d->stride_h,
        .stride_w = d->stride_w,
        .dilation_h = d->dilation_h,
        .dilation_w = d->dilation_w,
        .pad_top = d->pad_top,
        .pad_left = d->pad_left,
        .pad_bottom = d->pad_bottom,
        .pad_right = d->pad_right,
        .row_begin = nnd_part(d->out_h, pool->row_parts, part),
        .row_end = nnd_part(d->out_h, pool->row_parts, part + 1),
        .count_include_pad = d->count_include_pad,
    };
    if (pool->gathers)
        run_gathered(pool, &w, end - first);
    else
        pool->set->pool[d->kind][d->layout](&w, end - first);
}
