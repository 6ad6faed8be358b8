/*
 * nndeploy/nodes.h: the node library, and the short way to run a workflow file.
 *
 * Sections: 1 node types and services · 2 the short way · 3 texts in other languages
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
/* nnd_registry_load_plugin, which also makes the inference backends of the plug-in known to the
   process (extensions of kind "infer.backend/1": a nnd_backend). */
NND_API nnd_status nnd_nodes_load_plugin(nnd_registry *registry, const char *path);

/* Services of a plain host: model names are looked up in the folders of NNDEPLOY_MODELS
   (separated as in PATH), in models/ beside the workflow and beside the installed binary, in the
   user's cache, and in mirrors that are folders (catalog.h); secrets come from the environment
   (NNDEPLOY_SECRET_<NAME>). Of a catalogued model comes the variant for the node's backend, best of
   its precision; "name@int8" is that variant. base_dir (may be NULL) is the folder of the workflow;
   the strings behind `out` live until the process ends. */
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
NND_API nnd_status nnd_app_open(const char *path, const char *const *set, size_t set_count,
                                nnd_app **out);
/* Gives an input of the next run a value (a reference is taken; NULL takes it back) or the content
   of a file, read as the input's type says: image from JPEG, PNG, WebP, JPEG 2000, BMP, PNM; tensor
   from .npy; text. */
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
/* Writes a value: images by the suffix (.jpg .png .bmp), tensors as .npy, texts as they are,
   bytes as they are, all else as JSON. The file appears when it is complete. */
NND_API nnd_status nnd_value_write_file(const nnd_value *value, const char *path);

/* ---- 3 texts in other languages -------------------------------------------------------- */

/* What people read about node types, in their language. English is in the descriptors; the files
   of locale/ are part of the library; a plug-in's host adds those of the plug-in. Keys:
     category.<category>
     node.<type>.title, node.<type>.text
     node.<type>.port.in.<port>.text, node.<type>.port.out.<port>.text
     node.<type>.param.<parameter>.text, node.<type>.param.<parameter>.value.<value of an enum>
   node.<type>@<version>.… comes first for versions after 1. In a file they may be nested objects.
   Look-ups take NULL for texts (English), give borrowed strings that are never NULL, and may come
   from any thread as long as nobody adds. */
typedef struct nnd_node_texts nnd_node_texts;
/* language: "zh"; NULL = the user's, by NNDEPLOY_LANG, LC_ALL, LC_MESSAGES or LANG. A language
   without a file has the English texts. NND_E_INVALID_ARGUMENT for what is no language code. */
NND_API nnd_status nnd_node_texts_create(const char *language, nnd_node_texts **out);
NND_API void nnd_node_texts_destroy(nnd_node_texts *texts); /* takes NULL */
/* Adds texts in this table's language; later ones replace earlier ones. file (may be NULL) names
   the source in errors. NND_E_FORMAT with the place; then nothing has been added. */
NND_API nnd_status nnd_node_texts_add(nnd_node_texts *texts, const char *json, size_t size,
                                      const char *file);
NND_API const char *nnd_node_texts_language(const nnd_node_texts *texts);
NND_API const char *nnd_node_texts_title(const nnd_node_texts *texts, const nnd_node_type *type);
NND_API const char *nnd_node_texts_text(const nnd_node_texts *texts, const nnd_node_type *type);
NND_API const char *nnd_node_texts_category(const nnd_node_texts *texts, const nnd_node_type *type);
NND_API const char *nnd_node_texts_port(const nnd_node_texts *texts, const nnd_node_type *type,
                                        bool is_output, const nnd_port *port);
NND_API const char *nnd_node_texts_param(const nnd_node_texts *texts, const nnd_node_type *type,
                                         const nnd_param *param);
/* The name of an enum's value for people; the value itself when it has none. */
NND_API const char *nnd_node_texts_value(const nnd_node_texts *texts, const nnd_node_type *type,
                                         const nnd_param *param, const char *value);
/* Any key; fallback (may be NULL) when there is no such text. */
NND_API const char *nnd_node_texts_get(const nnd_node_texts *texts, const char *key,
                                       const char *fallback);

#ifdef __cplusplus
}
#endif
#endif
