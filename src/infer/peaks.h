/* What this machine can do at most: the measure for a profile. */
#ifndef NND_INFER_PEAKS_H
#define NND_INFER_PEAKS_H

#include "nndeploy/infer.h"

/* A loop that reads and writes `bytes` in all, over and over. */
typedef struct nnd_peak_memory {
    uint64_t bytes;
    double gbs; /* 10⁹ bytes per second, read and written together */
} nnd_peak_memory;

enum { NND_PEAK_LEVELS = 3 };
typedef struct nnd_peaks {
    const char *isa;                         /* in force */
    int threads;                             /* that took part */
    double f32;                              /* GFLOP/s of multiply-adds in single precision */
    double int8;                             /* 10⁹ operations per second of products of 8 bits */
    nnd_peak_memory memory[NND_PEAK_LEVELS]; /* ascending: second-level cache … main memory */
} nnd_peaks;

/* Measures with the ISA in force and at most `threads` threads (0 = the whole budget); takes about
   a quarter of a second and 64 to 128 MiB. NND_E_CANCELLED, NND_E_OUT_OF_MEMORY. */
nnd_status nnd_peaks_measure(int threads, const nnd_cancel *cancel, nnd_peaks *out);
/* GB/s that work on so many bytes can hope for: those of the nearest measured size. */
double nnd_peaks_bandwidth(const nnd_peaks *peaks, double bytes);

#endif
