/* The inside of a stream, for streams and copies. */
#ifndef NND_DEVICE_STREAM_H
#define NND_DEVICE_STREAM_H

#include "nndeploy/device.h"

struct nnd_stream {
    nnd_device *device;
    void *impl; /* the device's */
};

#endif
