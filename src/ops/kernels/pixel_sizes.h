/*
 * One loop for each size of pixel, so that every copy is one of a constant size.
 */
#ifndef NND_OPS_PIXEL_SIZES_H
#define NND_OPS_PIXEL_SIZES_H

/* `loop(n)` is "case n: … break;". */
#define NND_FOR_PIXEL_SIZE(bytes, loop)                                                            \
    switch (bytes) {                                                                               \
        loop(1) loop(2) loop(3) loop(4) loop(6) loop(8) loop(12) loop(16)                          \
    }

#endif
