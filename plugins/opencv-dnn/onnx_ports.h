/*
 * What the plug-in reads from an ONNX file itself: names, element types and shapes of its ports.
 * OpenCV keeps neither the order of inputs nor symbols nor types, and it takes weights that lie in
 * other files for empty ones.
 */
#ifndef NND_OPENCV_ONNX_PORTS_H
#define NND_OPENCV_ONNX_PORTS_H

#include "nndeploy/infer.h"
#include "nndeploy/plugin.h"

typedef struct opencv_ports {
    const char *model;     /* its name in messages; borrowed */
    nnd_model_port *items; /* inputs, then outputs; texts are owned */
    size_t input_count, output_count;
    bool has_external; /* some weights lie in further files */
} opencv_ports;

/* Fills ports that are zeroed but for the name; fini also after a failure. Inputs that are weights
   are left out. NND_E_FORMAT for what is no ONNX model. */
nnd_status opencv_ports_read(const nnd_host *host, opencv_ports *ports, const void *bytes,
                             size_t size);
void opencv_ports_fini(const nnd_host *host, opencv_ports *ports);

#endif
