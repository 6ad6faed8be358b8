/*
 * Loops that do nothing but the arithmetic of one kind of kernel, on registers: what they reach is
 * the ceiling that kernels are measured against.
 */
#ifndef NND_ENGINE_KERNELS_PEAK_H
#define NND_ENGINE_KERNELS_PEAK_H

#include <stddef.h>

/* Runs `rounds` rounds with the best instructions not above nnd_isa_current() and returns how many
   operations that were; a multiply-add counts as two. Any thread. */
double nnd_peak_f32(size_t rounds);
/* The same with products of 8-bit integers, summed in 32 bits. */
double nnd_peak_int8(size_t rounds);

/* One loop: the operations it did. */
typedef double (*nnd_peak_fn)(size_t rounds);
double nnd_peak_f32_reference(size_t rounds);
double nnd_peak_f32_avx2(size_t rounds);
double nnd_peak_f32_avx512(size_t rounds);
double nnd_peak_f32_neon(size_t rounds);
double nnd_peak_int8_reference(size_t rounds);
double nnd_peak_int8_avx2(size_t rounds);
double nnd_peak_int8_avx512(size_t rounds);
double nnd_peak_int8_avx512vnni(size_t rounds);
double nnd_peak_int8_neon(size_t rounds);

/* Independent sums: enough to hide the latency of a multiply-add on two units, few enough for 16
   registers. */
#define NND_PEAK_SUMS 12
/* What a loop's sums come to: looking at it keeps the compiler from dropping the loop. */
extern _Thread_local volatile float nnd_peak_sink;

/* Hides from the compiler that a value does not change, so that nothing moves out of the loop. */
#define NND_PEAK_TOUCH(class, value) __asm__("" : "+" class(value))

#endif
