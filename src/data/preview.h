/*
 * Pictures and texts that show a payload to a person; every result is bounded in size.
 */
#ifndef NND_DATA_PREVIEW_H
#define NND_DATA_PREVIEW_H

#include "nndeploy/data.h"

nnd_status nnd_preview_tensor(const void *payload, nnd_value **out);
nnd_status nnd_preview_image(const void *payload, nnd_value **out);
nnd_status nnd_preview_mask(const void *payload, nnd_value **out);
nnd_status nnd_preview_audio(const void *payload, nnd_value **out);
nnd_status nnd_preview_detections(const void *payload, nnd_value **out);
nnd_status nnd_preview_keypoints(const void *payload, nnd_value **out);
nnd_status nnd_preview_tracks(const void *payload, nnd_value **out);
nnd_status nnd_preview_classes(const void *payload, nnd_value **out);
nnd_status nnd_preview_geometry(const void *payload, nnd_value **out);
nnd_status nnd_preview_text(const void *payload, nnd_value **out);
nnd_status nnd_preview_bytes(const void *payload, nnd_value **out);
nnd_status nnd_preview_list(const void *payload, nnd_value **out);
nnd_status nnd_preview_record(const void *payload, nnd_value **out);

#endif
