/* What the node library does for the built-in engine. */
#ifndef NND_NODES_INFER_HOOKS_H
#define NND_NODES_INFER_HOOKS_H

/* Registers the codecs as the decoder of pictures of ImageDecoder operators. */
void nnd_nodes_register_infer_hooks(void);

#endif
