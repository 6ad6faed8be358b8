/*
 * A network of OpenCV behind plain C functions: the only file with C++ in it is net.cpp, and no
 * exception leaves it. Failures are statuses with an error record that holds OpenCV's own message.
 */
#ifndef NND_OPENCV_NET_H
#define NND_OPENCV_NET_H

#include "onnx_ports.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Of the library that is loaded, "4.6.0". Static storage. */
const char *opencv_version(void);
/* "cpu opencl": devices that OpenCV's own engine can compute on here. */
void opencv_devices(char *text, size_t size);

typedef struct opencv_setup {
    const char *device; /* "cpu", "opencl" */
    bool half;          /* f16 arithmetic, opencl only */
    bool fusion;        /* of neighbouring layers */
} opencv_setup;

/* Not thread-safe; every request has its own. */
typedef struct opencv_net opencv_net;

/* Reads an ONNX model, all of whose inputs and outputs are tensors. NND_E_UNSUPPORTED for what
   OpenCV cannot do: it says so while it reads, or while it works out the shapes where they are
   known. */
nnd_status opencv_net_create(const nnd_host *host, const void *bytes, size_t size,
                             const opencv_setup *setup, const opencv_ports *ports,
                             opencv_net **out);
void opencv_net_destroy(opencv_net *net); /* takes NULL */

/* OpenCV copies the elements. They must be dense f32, with at least one element. */
nnd_status opencv_net_set_input(opencv_net *net, size_t index, const nnd_tensor *tensor);
/* Computes all outputs with at most `threads` threads of the host (0 = its budget). Looks at
   `cancel` (may be NULL) before every part of a parallel loop. */
nnd_status opencv_net_run(opencv_net *net, int threads, nnd_cancel *cancel);
/* A result of the last run, in OpenCV's memory until the next one. */
nnd_status opencv_net_output(opencv_net *net, size_t index, nnd_tensor *view);
/* Time of every layer of the last run: [{"name", "op", "ms"}]; fused ones took none. */
nnd_status opencv_net_profile(opencv_net *net, nnd_json_writer *w);

#ifdef __cplusplus
}
#endif
#endif
