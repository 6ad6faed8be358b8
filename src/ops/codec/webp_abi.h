/* The part of libwebp's C interface that we use, declared by ourselves so that neither building nor
   starting needs the library. tests/ops/check_webp_abi.sh compares it with the official header
   where one is installed. */
#ifndef NND_OPS_WEBP_ABI_H
#define NND_OPS_WEBP_ABI_H

#include <stddef.h>
#include <stdint.h>

#define NND_WEBP_ABI_VERSION 0x0200 /* the library compares the upper byte */

enum { NND_WEBP_OK = 0 }; /* VP8StatusCode */

typedef struct nnd_webp_features {
    int width, height, has_alpha, has_animation, format;
    uint32_t pad[5];
} nnd_webp_features;

typedef int (*nnd_webp_get_features_fn)(const uint8_t *bytes, size_t size,
                                        nnd_webp_features *features, int version);
typedef uint8_t *(*nnd_webp_decode_into_fn)(const uint8_t *bytes, size_t size, uint8_t *to,
                                            size_t to_size, int stride);

#endif
