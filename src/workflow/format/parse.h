/* What the files that read a workflow share. */
#ifndef NND_WORKFLOW_PARSE_H
#define NND_WORKFLOW_PARSE_H

#include "workflow/format/document.h"

/* What a document has used of its limits, with all its files. */
typedef struct wf_budget {
    size_t nodes, edges, refs;
} wf_budget;

/* One file being read. Sub-graph files have a reader of their own, linked to the outer one. */
typedef struct wf_reader {
    nnd_io *io;
    nnd_diagnostics *diags;
    const char *file; /* as shown in diagnostics, NULL = from memory */
    char *real;       /* real path of the file, NULL = from memory */
    const struct wf_reader *outer;
    const char *prefix; /* path of the node that refers to this file, "" = the document */
    wf_budget *budget;
    wf_fields *models; /* where "models" goes */
    size_t errors;     /* reported by this reader */
} wf_reader;

wf_place wf_place_of(const nnd_json *json);
wf_place wf_place_of_key(const nnd_json *object, size_t index);
/* Reports an error at a place; returns NND_OK, or NND_E_OUT_OF_MEMORY. */
nnd_status wf_bad(wf_reader *r, wf_place place, const char *node, const char *port,
                  const char *code, const char *format, ...) NND_PRINTF(6, 7);
/* An unknown member: kept in `extra`, and reported as a warning unless its name begins with "x-".
 */
nnd_status wf_keep_unknown(wf_reader *r, const nnd_json *object, size_t index, const char *node,
                           wf_fields *extra, const char *const *known, size_t known_count);
/* A member whose name is known, kept as it is. */
nnd_status wf_keep(const nnd_json *object, size_t index, wf_fields *fields);
/* Whether an object is small enough and has no names with NUL characters; reported otherwise. */
nnd_status wf_check_members(wf_reader *r, const nnd_json *object, const char *node, bool *good);
/* A string member (else reported): copied into *slot. */
nnd_status wf_read_string(wf_reader *r, const nnd_json *object, size_t index, const char *node,
                          char **slot);
/* A pair ["node", "port"]. */
nnd_status wf_read_pair(wf_reader *r, const nnd_json *json, const char *node, const char *what,
                        char **first, char **second);
nnd_status wf_read_copy(const char *text, char **slot);

/* "inputs", "outputs", "nodes", "edges", "params" of a graph: true when the member was one of
   them (its status in *status). path: of the node that holds the graph, "" = the document. */
bool wf_read_graph_member(wf_reader *r, const nnd_json *object, size_t index, const char *path,
                          wf_graph *graph, nnd_status *status);
/* What can only be seen when a graph is whole: duplicate names, ids that edges need. */
nnd_status wf_check_graph(wf_reader *r, const char *path, wf_graph *graph);
/* Loads the file that a node's "ref" names into node->graph. */
nnd_status wf_read_ref(wf_reader *r, const char *path, wf_node *node, wf_place place);
/* One member of a node other than "id". */
nnd_status wf_read_node_member(wf_reader *r, const nnd_json *json, size_t i, const char *path,
                               wf_node *node);
nnd_status wf_read_document(wf_reader *r, const nnd_json *root, nnd_workflow *wf);

#endif
