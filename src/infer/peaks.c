#include "infer/peaks.h"

#include <math.h>

#include "base/isa.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/peak.h"

/* Each figure is the best of as many loops as begin within this time. */
#define BUDGET_NS 50000000

/* Work for a gang: every tile does the same, each lane in memory of its own. Tiles outnumber
   threads, so that one which comes late costs little. */
typedef struct peak_job {
    nnd_peak_fn arithmetic; /* NULL: memory */
    size_t rounds;
    float *memory;
    size_t floats; /* that one lane reads, and as many that it writes */
} peak_job;

enum { TILES_PER_THREAD = 4, ARITHMETIC_ROUNDS = 20000, TILE_BYTES = 8 << 20 };

static nnd_status peak_tile(void *user, size_t index, int lane)
{
    const peak_job *j = user;
    (void)index;
    if (j->arithmetic) {
        (void)j->arithmetic(j->rounds);
        return NND_OK;
    }
    float *x = j->memory + (size_t)lane * 2 * j->floats, *y = x + j->floats;
    const float scale = 0.5f, shift = 1.0f;
    for (size_t i = 0; i < j->rounds; i++)
        nnd_scale_shift_channel(NND_KERNEL_NCHW, x, &scale, &shift, y, 1, j->floats, 0, 1, NULL);
    return NND_OK;
}

/* Seconds of the fastest loop. */
static nnd_status best_seconds(nnd_gang *gang, size_t tiles, peak_job *job,
                               const nnd_cancel *cancel, double *out)
{
    int64_t stop = nnd_clock_now() + BUDGET_NS, best = INT64_MAX;
    do {
        int64_t begin = nnd_clock_now();
        NND_TRY(nnd_gang_for(gang, tiles, peak_tile, job, cancel));
        int64_t took = nnd_clock_now() - begin;
        if (took < best) best = took;
    } while (nnd_clock_now() < stop);
    *out = (double)(best > 0 ? best : 1) * 1e-9;
    return NND_OK;
}

static nnd_status measure_arithmetic(nnd_gang *gang, nnd_peak_fn fn, const nnd_cancel *cancel,
                                     double *out)
{
    size_t tiles = TILES_PER_THREAD * (size_t)nnd_gang_size(gang);
    peak_job job = {.arithmetic = fn, .rounds = ARITHMETIC_ROUNDS};
    double seconds, operations = fn(ARITHMETIC_ROUNDS) * (double)tiles;
    NND_TRY(best_seconds(gang, tiles, &job, cancel, &seconds));
    *out = operations / seconds * 1e-9;
    return NND_OK;
}

static nnd_status measure_memory(nnd_gang *gang, float *memory, nnd_peak_memory *level,
                                 const nnd_cancel *cancel)
{
    size_t tiles = TILES_PER_THREAD * (size_t)nnd_gang_size(gang);
    size_t lanes = (size_t)nnd_gang_size(gang);
    peak_job job = {.memory = memory,
                    .floats = (size_t)level->bytes / sizeof(float) / 2 / lanes,
                    .rounds =
                        level->bytes / lanes < TILE_BYTES ? TILE_BYTES * lanes / level->bytes : 1};
    double seconds;
    NND_TRY(best_seconds(gang, tiles, &job, cancel, &seconds));
    level->gbs = (double)(job.floats * tiles * job.rounds * 2 * sizeof(float)) / seconds * 1e-9;
    return NND_OK;
}

static nnd_status measure(nnd_gang *gang, float *memory, const nnd_cancel *cancel, nnd_peaks *out)
{
    NND_TRY(measure_arithmetic(gang, nnd_peak_f32, cancel, &out->f32));
    NND_TRY(measure_arithmetic(gang, nnd_peak_int8, cancel, &out->int8));
    for (size_t i = 0; i < NND_PEAK_LEVELS; i++)
        NND_TRY(measure_memory(gang, memory, &out->memory[i], cancel));
    return NND_OK;
}

/* Second-level caches belong to cores, so a level grows with the threads. */
static void choose_sizes(nnd_peaks *p)
{
    uint64_t near = (uint64_t)(p->threads < 16 ? p->threads : 16) << 18;
    p->memory[0].bytes = near;
    p->memory[1].bytes = 8 * near;
    p->memory[2].bytes = 32 * near < 64u << 20 ? 64u << 20 : 32 * near;
}

static nnd_status measure_with(nnd_gang *gang, const nnd_cancel *cancel, nnd_peaks *out)
{
    *out = (nnd_peaks){.isa = nnd_isa_name(nnd_isa_current()), .threads = nnd_gang_size(gang)};
    choose_sizes(out);
    size_t most = (size_t)out->memory[NND_PEAK_LEVELS - 1].bytes;
    float *memory = nnd_alloc_aligned(most, NND_KERNEL_ALIGN);
    if (!memory) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to measure the machine with");
    for (size_t i = 0; i < most / sizeof(float); i++)
        memory[i] = 1.0f;
    nnd_status status = measure(gang, memory, cancel, out);
    nnd_free_aligned(memory);
    return status;
}

nnd_status nnd_peaks_measure(int threads, const nnd_cancel *cancel, nnd_peaks *out)
{
    nnd_gang *gang;
    NND_TRY(nnd_gang_acquire(threads, &gang));
    nnd_status status = measure_with(gang, cancel, out);
    nnd_gang_release(gang);
    return status;
}

double nnd_peaks_bandwidth(const nnd_peaks *peaks, double bytes)
{
    size_t i = 0;
    /* On a logarithmic scale: past the geometric mean of two sizes the larger one is nearer. */
    while (i + 1 < NND_PEAK_LEVELS &&
           bytes > sqrt((double)peaks->memory[i].bytes * (double)peaks->memory[i + 1].bytes))
        i++;
    return peaks->memory[i].gbs;
}
