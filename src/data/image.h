/*
 * Image views, inside the room: plane arithmetic and checks of views that others made.
 */
#ifndef NND_DATA_IMAGE_H
#define NND_DATA_IMAGE_H

#include "nndeploy/data.h"

size_t nnd_image_row_bytes(const nnd_image *image, int plane); /* without padding */
int32_t nnd_image_rows(const nnd_image *image, int plane);
/* Format, element type, size and strides are sane (strides may be negative). */
nnd_status nnd_image_check(const nnd_image *image);
/* The bytes that a plane of a checked image touches, relative to its first pixel: [low, high). */
void nnd_image_plane_extent(const nnd_image *image, int plane, int64_t *low, int64_t *high);

#endif
