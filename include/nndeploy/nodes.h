/*
 * nndeploy/nodes.h: the node library, and the short way to run a workflow file.
 *
 * Sections: 1 node types and services · 2 the short way
 *
 * Part of nndeploy, Apache-2.0. Compiles alone as C11 and C++17.
 */
#ifndef NNDEPLOY_NODES_H
#define NNDEPLOY_NODES_H

#include "nndeploy/workflow.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- 1 node types and services --------------------------------------------------------- */

/* Adds every built-in node type to a registry. */
NND_API nnd_status nnd_nodes_register(nnd_registry *registry);
/* A registry of the process with every built-in node type, made on first use. Borrowed; NULL
   without memory. Any thread. */
NND_API nnd_registry *nnd_nodes_registry(void);

/* Services of a plain host: model names are looked up in the folders of NNDEPLOY_MODELS
   (separated as in PATH), in models/ beside the workflow and beside the installed binary, and in
   the user's cache; secrets come from the environment (NNDEPLOY_SECRET_<NAME>). base_dir (may be NULL) is
   the folder of the workflow; the strings behind `out` live until the process ends. */
NND_API nnd_status nnd_nodes_services(const char *base_dir, nnd_services *out);
/* The folders that these services look into, in order, whether or not they exist: what a host lets
   workflows read besides their own files. Free each and the array. */
NND_API nnd_status nnd_nodes_model_folders(const char *base_dir, char ***folders, size_t *count);

/* ---- 2 the short way ------------------------------------------------------------------- */

/* A workflow file, compiled and ready: what most programs need, over the calls of workflow.h. Its
   nodes may read files below the workflow's folder and the current folder, and write below the
   current folder. One thread at a time; several apps of one file share their models. */
typedef struct nnd_app nnd_app;
/* Loads and compiles. set (may be NULL): "node.param=JSON" texts that replace parameters of the
   file. The error lists everything that is wrong with the workflow. */
NND_API nnd_status nnd_app_open(const char *path, const char *const *set, size_t set_count, nnd_app **out);
/* Gives an input of the next run a value (a reference is taken; NULL takes it back) or the content
   of a file, read as the input's type says: image from JPEG, PNG, BMP; tensor from .npy; text. */
NND_API nnd_status nnd_app_set(nnd_app *app, const char *input, nnd_value *value);
NND_API nnd_status nnd_app_set_file(nnd_app *app, const char *input, const char *path);
/* Runs once on the inputs that are set; they stay set. cancel may be NULL. */
NND_API nnd_status nnd_app_run(nnd_app *app, nnd_cancel *cancel);
/* A result of the last run, borrowed until the next one; NULL when there is none of that name. */
NND_API nnd_value *nnd_app_get(const nnd_app *app, const char *output);
/* All results as JSON text (nnd_free): pictures and tensors by their description. */
NND_API nnd_status nnd_app_get_json(const nnd_app *app, char **json);
NND_API void nnd_app_close(nnd_app *app); /* takes NULL */
/* This thread's error as a text for people, place and causes included; "" when there is none.
   Valid until the next call in this thread. */
NND_API const char *nnd_app_error(void);

/* Reads a file as a value of a port type ("image", "tensor", "text", "bytes"; "any": by the file's
   suffix). The file is the host's: no policy applies. */
NND_API nnd_status nnd_value_read_file(const char *path, const char *type, nnd_value **out);
/* Writes a value: images by the suffix (.jpg .png .bmp), tensors as .npy, texts as they are, bytes as they are, all
   else as JSON. The file appears when it is complete. */
NND_API nnd_status nnd_value_write_file(const nnd_value *value, const char *path);

#ifdef __cplusplus
}
#endif
#endif
