/*
 * Parameter snapshots: made from a node type and the values of a document, changed copy by copy.
 * A snapshot is immutable and reference-counted; any thread may read it.
 */
#ifndef NND_WORKFLOW_PARAMS_H
#define NND_WORKFLOW_PARAMS_H

#include "base/hash.h"
#include "workflow/format/document.h"

/* Where a snapshot's values come from. */
typedef struct wf_params_source {
    const nnd_node_type *type;
    const char *node;      /* path, for messages */
    const char *file;      /* of the document part that holds the node, may be NULL */
    const wf_field *given; /* values of the file; a later one of the same name wins */
    size_t given_count;
    nnd_io *io;                   /* for {"$file": …}; NULL = such values are errors */
    const nnd_services *services; /* for {"$secret": …}; NULL = such values are errors */
    bool check_only;              /* do not read files or secrets: their forms are enough */
    wf_place place;               /* of the node, for a value that is missing */
} wf_params_source;

/* Reports every problem (unknown name, wrong kind, out of bounds, missing REQUIRED value) to diags
   and then returns NND_E_VALIDATION. A value {"$input": …} counts as given and leaves the default
   in the snapshot: the compiler turns it into a parameter edge. */
nnd_status wf_params_make(const wf_params_source *source, nnd_diagnostics *diags, nnd_params **out);
nnd_params *wf_params_ref(nnd_params *params);
void wf_params_unref(nnd_params *params); /* takes NULL */

/* A copy with one parameter changed. The error names the parameter, the value and what is allowed;
   NND_E_NOT_FOUND for an unknown name, NND_E_TYPE for a wrong kind, NND_E_LIMIT out of bounds. */
nnd_status wf_params_with_json(const nnd_params *params, const char *name, const char *json,
                               nnd_io *io, const nnd_services *services, nnd_params **out);
/* The same from a value on a parameter edge: bool, int, float, text, list of numbers or texts. */
nnd_status wf_params_with_value(const nnd_params *params, const char *name, const nnd_value *value,
                                nnd_params **out);

/* The declaration of a parameter, NULL if the type has none of that name. Works on any item_size.
 */
const nnd_param *wf_param_find(const nnd_node_type *type, const char *name);
/* Whether a declared default is one that the parameter itself would take (that of a REQUIRED number
   is not looked at). The kind must be a known one, string and values present as the kind needs. */
nnd_status wf_param_check_default(const nnd_param *p);
/* Whether a JSON text is {"$input": "x"}; then *input is a copy of x (nnd_free). */
nnd_status wf_param_input_ref(const char *json, bool *is_ref, char **input);
/* Adds names and values to a hash; secrets count by name only. */
void wf_params_hash(const nnd_params *params, nnd_hash128 *hash);

#endif
