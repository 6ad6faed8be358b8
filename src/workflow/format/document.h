/*
 * A workflow document in memory: what nnd_workflow_parse makes, the builder API edits,
 * nnd_workflow_save_text writes and the compiler reads. Strings belong to the document
 * (nnd_alloc); JSON values that we do not interpret are kept as canonical one-line JSON texts.
 */
#ifndef NND_WORKFLOW_DOCUMENT_H
#define NND_WORKFLOW_DOCUMENT_H

#include "nndeploy/workflow.h"

/* Bounds of one document with everything that its `ref`s bring in. They are far beyond what people
   draw and keep hostile files fast. */
enum {
    WF_MAX_TEXT = 64 << 20, /* bytes of one file */
    WF_MAX_DEPTH = 32,      /* graphs inside graphs */
    WF_MAX_NODES = 50000,
    WF_MAX_EDGES = 200000,
    WF_MAX_PORTS = 4096,      /* elements of one list of inputs, outputs, parameters or ports */
    WF_MAX_FIELDS = 4096,     /* members of one object */
    WF_MAX_REFS = 1024,       /* files read for `ref` */
    WF_MAX_DIAGNOSTICS = 1000 /* of one list; what comes after is counted only */
};

typedef struct wf_place {
    uint32_t line, column; /* 0 = made by API */
} wf_place;

/* A member that is kept as it is: unknown fields, ui, x-…, and parameter values. */
typedef struct wf_field {
    char *name;
    char *json;
    wf_place place;
} wf_field;
typedef struct wf_fields {
    wf_field *items;
    size_t count, capacity;
} wf_fields;

/* "ports" of a node whose ports are dynamic. */
typedef struct wf_port {
    char *name;
    char *type;
    wf_fields extra;
    wf_place place;
} wf_port;

/* Boundary of a graph. */
typedef struct wf_input {
    char *name;
    char *type;      /* "any" when absent */
    wf_fields extra; /* title, widget, default, … */
    wf_place place;
} wf_input;
typedef struct wf_output {
    char *name;
    char *from_node, *from_port; /* "@", input name: passed through */
    wf_fields extra;
    wf_place place;
} wf_output;

/* A promoted parameter of a graph: {"name": "score", "to": ["dec", "score"]}. */
typedef struct wf_promoted {
    char *name;
    char *to_node, *to_param;
    wf_fields extra;
    wf_place place;
} wf_promoted;

/* flow.loop: what goes from an output of the body to an input of its next turn. */
typedef struct wf_carry {
    char *in, *out;
    wf_fields extra;
    wf_place place;
} wf_carry;

typedef enum wf_policy {
    WF_POLICY_BLOCK = 0,
    WF_POLICY_DROP_OLDEST,
    WF_POLICY_DROP_NEWEST,
    WF_POLICY_LATEST,
    WF_POLICY_FAULT
} wf_policy;

typedef struct wf_edge {
    char *from_node, *from_port; /* "@" = input of the graph */
    char *to_node, *to_port;
    bool is_param; /* "kind": "param": to_port is a parameter */
    int64_t queue; /* packets, 0 = default */
    int64_t bytes; /* 0 = no limit */
    double age_ms; /* 0 = no limit */
    wf_policy policy;
    wf_fields extra;
    wf_place place;
} wf_edge;

typedef struct wf_graph wf_graph;

typedef struct wf_node {
    char *id;
    char *type;       /* "image.resize", without version */
    int version;      /* 0 = newest */
    wf_fields params; /* values by name, in canonical order when saved */
    bool has_ports;
    wf_port *in_ports, *out_ports;
    size_t in_port_count, out_port_count;
    wf_fields ports_extra; /* further members of "ports" */
    char *title;           /* NULL = none */
    char *device;          /* NULL = the consumer's choice */
    char *on_error; /* JSON text: "fail_graph" | "skip" | {"retry": n} | {"fallback": "node"} …,
                       NULL */
    char *input_policy; /* JSON text, NULL */
    double deadline_ms; /* 0 = none */
    bool bypass, mute;
    /* Sub-graph nodes. */
    wf_graph *graph; /* embedded, or loaded from ref; NULL = none */
    char *ref;       /* path as written, NULL = embedded */
    wf_carry *carry; /* flow.loop */
    size_t carry_count;
    char *count; /* flow.loop: JSON (number or {"$input": name}), NULL */
    char *until; /* flow.loop: name of a bool output of the body, NULL */
    wf_fields extra;
    wf_place place;
} wf_node;

struct wf_graph {
    wf_input *inputs;
    size_t input_count;
    wf_output *outputs;
    size_t output_count;
    wf_promoted *params;
    size_t param_count;
    wf_node *nodes;
    size_t node_count;
    wf_edge *edges;
    size_t edge_count;
    char *file;          /* the file of a `ref`, for messages; NULL = the document's own */
    wf_fields models;    /* pins that a `ref` file brings along; empty for embedded graphs */
    char *requires_json; /* of a `ref` file; NULL for embedded graphs */
    wf_fields extra;     /* unknown fields of an embedded graph */
};

struct nnd_workflow {
    char *name;
    char *file; /* NULL = made by API or from memory */
    wf_graph root;
    char *requires_json; /* "requires": {"nndeploy", "plugins", "features"} as JSON text, NULL */
    char *run_mode;      /* "serial" …; NULL = default */
    wf_fields run_extra; /* further members of "run" */
    wf_fields models;    /* catalogue name → {"sha256": …} as JSON text */
    char *ui;            /* JSON text, NULL */
    wf_fields extra;     /* title, description, unknown and x-… fields */
};

/* Finds a node by id in one graph, by path ("sub/node") through sub-graphs; NULL if there is none.
 */
wf_node *wf_graph_find(const wf_graph *graph, const char *id);
wf_node *wf_document_find(const nnd_workflow *wf, const char *path);
const char *wf_fields_get(const wf_fields *fields, const char *name); /* JSON text or NULL */

/* Life. The fini functions free what is inside and leave zeros. */
void wf_fields_fini(wf_fields *fields);
void wf_graph_fini(wf_graph *graph);
void wf_node_fini(wf_node *node);
void wf_edge_fini(wf_edge *edge);
void wf_output_fini(wf_output *output);
void wf_promoted_fini(wf_promoted *promoted);
nnd_status wf_fields_set(wf_fields *fields, const char *name, const char *json, wf_place place);
/* The same for a name that is known to be new. */
nnd_status wf_fields_add(wf_fields *fields, const char *name, const char *json, wf_place place);
bool wf_fields_remove(wf_fields *fields, const char *name);
bool wf_id_is_valid(const char *id);          /* [A-Za-z_][A-Za-z0-9_-]{0,63} */
const char *wf_policy_name(wf_policy policy); /* "block", "drop_oldest", … */
/* "image.resize@1": size of the name and version (0 = none given); false when it is no node type.
 */
bool wf_type_split(const char *text, size_t *name_size, int *version);
/* Whether a version "1.2.3" is within a range such as ">=1.0", ">=1.2 <2", "=1.0.0"; a bare number
   means "at least". *valid is false when `range` is none. */
bool wf_version_satisfies(const char *version, const char *range, bool *valid);

/* JSON texts inside a document: one line, object keys sorted by bytes, so that equal values have
   equal texts. */
nnd_status wf_json_text(const nnd_json *json, char **out);
nnd_status wf_json_canonical(const char *text, char **out); /* NND_E_FORMAT when it is no JSON */
nnd_status wf_put_sorted(nnd_json_writer *w, const nnd_json *json);
nnd_status wf_put_text(nnd_json_writer *w, const char *json_text);

/* nnd_workflow_validate; overrides_follow: the compiler looks at REQUIRED parameters itself, when
   it knows what `set` gives them. */
nnd_status wf_validate(const nnd_workflow *wf, nnd_registry *registry, bool overrides_follow,
                       nnd_diagnostics *diags);

/* Reports one diagnostic; message and suggestion are copied. Defined beside nnd_diagnostics. */
nnd_status wf_report(nnd_diagnostics *diags, nnd_severity severity, nnd_status status,
                     const char *code, const char *file, wf_place place, const char *node,
                     const char *port, const char *suggestion, const char *format, ...)
    NND_PRINTF(10, 11);
/* True when further diagnostics would only be counted: looking for suggestions is not worth it. */
bool wf_diagnostics_full(const nnd_diagnostics *diags);
/* Makes the first error, in file order, that came after the list had `before` entries this
   thread's error record; returns NND_E_VALIDATION. */
nnd_status wf_diagnostics_fail(const nnd_diagnostics *diags, size_t before);

#endif
