/*
 * nndeploy/workflow.h: node types, workflow documents, compiled plans and runs.
 *
 * Sections: 1 ports and parameters · 2 node types · 3 what callbacks are given · 4 registry ·
 *           5 files, hosts and devices (nnd_io) · 6 diagnostics · 7 documents · 8 plans · 9 runs
 *
 * Part of nndeploy, Apache-2.0. Compiles alone as C11 and C++17.
 */
#ifndef NNDEPLOY_WORKFLOW_H
#define NNDEPLOY_WORKFLOW_H

#include "nndeploy/data.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- 1 ports and parameters ------------------------------------------------------------ */

enum {
    NND_PORT_OPTIONAL = 1u << 0, /* need not be connected */
    NND_PORT_VARIADIC = 1u << 1  /* takes any number of edges, in file order */
};
/* type: a value type name, "any", "list<T>", "a|b", or a type variable "$T": all ports of a node
   with the same variable carry the same type. */
typedef struct nnd_port {
    const char *name;
    const char *type;
    const char *text; /* one line for people */
    uint32_t flags;
} nnd_port;
/* clang-format off */
#define NND_PORT(name, type, text)          {name, type, text, 0}
#define NND_PORT_OPT(name, type, text)      {name, type, text, NND_PORT_OPTIONAL}
#define NND_PORT_MANY(name, type, text)     {name, type, text, NND_PORT_VARIADIC}
/* clang-format on */

typedef enum nnd_param_kind {
    NND_PARAM_KIND_BOOL = 1,
    NND_PARAM_KIND_INT,
    NND_PARAM_KIND_FLOAT,
    NND_PARAM_KIND_ENUM,
    NND_PARAM_KIND_TEXT,    /* any string */
    NND_PARAM_KIND_FILE,    /* a path that nnd_io resolves */
    NND_PARAM_KIND_MODEL,   /* a catalogue name or a path */
    NND_PARAM_KIND_NUMBERS, /* an array of numbers, or one number for all */
    NND_PARAM_KIND_STRINGS, /* an array of strings */
    NND_PARAM_KIND_JSON     /* anything */
} nnd_param_kind;
enum {
    NND_PARAM_REQUIRED = 1u << 0, /* no default: the file must give it */
    NND_PARAM_SECRET = 1u << 1,   /* never saved, shown or logged; given as {"$secret": NAME} */
    NND_PARAM_STATIC = 1u << 2,   /* read by prepare or resolve_ports: cannot change during a run */
    NND_PARAM_ADVANCED = 1u << 3  /* folded away in forms */
};
typedef struct nnd_param {
    const char *name;
    nnd_param_kind kind;
    uint32_t flags;
    double number;           /* default of BOOL (0/1), INT, FLOAT */
    const char *string;      /* default of the other kinds; NUMBERS, STRINGS, JSON as JSON text */
    double minimum, maximum; /* INT, FLOAT, each element of NUMBERS; both 0 = no bounds */
    const char *values;      /* ENUM: "a|b|c" */
    const char *unit;        /* "px", "ms", "" */
    const char *text;        /* one line for people */
    const char *widget;      /* hint for forms, NULL = by kind; "color", "slider", "code", … */
} nnd_param;
/* clang-format off */
#define NND_PARAM_INT(name, def, min, max, unit, text)   {name, NND_PARAM_KIND_INT, 0, def, NULL, min, max, NULL, unit, text, NULL}
#define NND_PARAM_FLOAT(name, def, min, max, unit, text) {name, NND_PARAM_KIND_FLOAT, 0, def, NULL, min, max, NULL, unit, text, NULL}
#define NND_PARAM_BOOL(name, def, text)                  {name, NND_PARAM_KIND_BOOL, 0, def, NULL, 0, 0, NULL, "", text, NULL}
#define NND_PARAM_ENUM(name, def, values, text)          {name, NND_PARAM_KIND_ENUM, 0, 0, def, 0, 0, values, "", text, NULL}
#define NND_PARAM_TEXT(name, def, text)                  {name, NND_PARAM_KIND_TEXT, 0, 0, def, 0, 0, NULL, "", text, NULL}
#define NND_PARAM_FILE(name, def, text)                  {name, NND_PARAM_KIND_FILE, 0, 0, def, 0, 0, NULL, "", text, NULL}
#define NND_PARAM_MODEL(name, flags, text)               {name, NND_PARAM_KIND_MODEL, flags, 0, "", 0, 0, NULL, "", text, NULL}
#define NND_PARAM_NUMBERS(name, def, min, max, unit, text) {name, NND_PARAM_KIND_NUMBERS, 0, 0, def, min, max, NULL, unit, text, NULL}
#define NND_PARAM_STRINGS(name, def, text)               {name, NND_PARAM_KIND_STRINGS, 0, 0, def, 0, 0, NULL, "", text, NULL}
#define NND_PARAM_JSON(name, def, text)                  {name, NND_PARAM_KIND_JSON, 0, 0, def, 0, 0, NULL, "", text, NULL}
/* clang-format on */

/* An immutable snapshot of one node's parameters, all present with their types. Getters return the
   default-constructed value ("" / 0 / NULL) for a name or kind that the node does not declare. */
typedef struct nnd_params nnd_params;
NND_API bool nnd_params_bool(const nnd_params *p, const char *name);
NND_API int64_t nnd_params_int(const nnd_params *p, const char *name);
NND_API double nnd_params_float(const nnd_params *p, const char *name);
/* TEXT, ENUM, FILE, MODEL; borrowed. */
NND_API const char *nnd_params_text(const nnd_params *p, const char *name);
NND_API int nnd_params_enum(const nnd_params *p, const char *name); /* index into values, −1 */
/* Copies up to `max` numbers, returns how many the parameter has. */
NND_API size_t nnd_params_numbers(const nnd_params *p, const char *name, double *out, size_t max);
NND_API size_t nnd_params_string_count(const nnd_params *p, const char *name);
NND_API const char *nnd_params_string_at(const nnd_params *p, const char *name, size_t index);
NND_API const nnd_json *nnd_params_json(const nnd_params *p, const char *name);
/* True when the workflow (or the run) gave the value, false when it is the default. */
NND_API bool nnd_params_is_set(const nnd_params *p, const char *name);

/* ---- 2 node types ---------------------------------------------------------------------- */

enum {
    NND_NODE_PURE = 1u << 0,      /* same inputs and parameters give the same outputs: cacheable */
    NND_NODE_STATEFUL = 1u << 1,  /* packets depend on earlier ones */
    NND_NODE_BLOCKING = 1u << 2,  /* waits for devices or networks: gets a thread of its own */
    NND_NODE_REENTRANT = 1u << 3, /* process may run for several packets at once */
    NND_NODE_INPLACE = 1u << 4,   /* output 0 may be input 0 made writable */
    NND_NODE_BATCHABLE = 1u << 5, /* process accepts a batch */
    NND_NODE_SOURCE = 1u << 6,    /* process is called without input until it ends its outputs */
    NND_NODE_SINK = 1u << 7,      /* runs for its effect, also when no output of it is used */
    NND_NODE_RANDOM = 1u << 8     /* draws from nnd_ctx_random */
};

typedef struct nnd_ctx nnd_ctx;                 /* one node in one run */
typedef struct nnd_prepare nnd_prepare;         /* one node of one plan while it is compiled */
typedef struct nnd_port_list nnd_port_list;     /* output of resolve_ports */
typedef struct nnd_negotiation nnd_negotiation; /* one node while specs flow through the graph */

/* A node type: static and constant. Callbacks may be NULL except process. */
typedef struct nnd_node_type {
    size_t struct_size;   /* = sizeof(nnd_node_type) */
    const char *type;     /* "image.resize" */
    int version;          /* from 1 */
    const char *category; /* "image/geometry" */
    const char *title;    /* "Resize" */
    const char *text;     /* what it does, a paragraph */
    nnd_array inputs;     /* of nnd_port */
    nnd_array outputs;    /* of nnd_port */
    nnd_array params;     /* of nnd_param */
    uint32_t flags;       /* NND_NODE_… */
    /* For nodes whose ports depend on parameters or on the model: replaces inputs and outputs.
       Called while loading and compiling; io may be NULL (then only the parameters count). */
    nnd_status (*resolve_ports)(const nnd_params *params, nnd_prepare *prepare,
                                nnd_port_list *ports);
    /* Given what is known of the inputs, says what the outputs will be and what memory it takes. */
    nnd_status (*negotiate)(nnd_negotiation *negotiation);
    /* Once per compiled plan; *prepared is constant and shared by all runs and threads. */
    nnd_status (*prepare)(nnd_prepare *prepare, void **prepared);
    void (*release)(void *prepared);
    /* Once per run. */
    nnd_status (*open)(nnd_ctx *ctx, void **state);
    void (*close)(nnd_ctx *ctx, void *state);
    /* Once per packet (or per call of a SOURCE). */
    nnd_status (*process)(nnd_ctx *ctx);
    /* All inputs ended: emit what is left. */
    nnd_status (*flush)(nnd_ctx *ctx);
    /* From another thread: make a process that is under way return soon. */
    void (*cancel)(nnd_ctx *ctx);
    /* A parameter has changed at a packet boundary; only needed when state depends on it. */
    nnd_status (*set_param)(nnd_ctx *ctx, const char *name);
} nnd_node_type;

/* ---- 3 what callbacks are given -------------------------------------------------------- */

/* What is known of the values on an edge at compile time. */
typedef struct nnd_spec {
    size_t size;                /* = sizeof(nnd_spec) */
    nnd_dtype dtype;            /* tensor, image; NND_DTYPE_INVALID = unknown */
    int32_t rank;               /* tensor; −1 = unknown */
    int64_t dims[NND_MAX_RANK]; /* −1 = unknown */
    nnd_layout layout;
    nnd_pixel_format format;   /* image; NND_PIX_NONE = unknown */
    int32_t width, height;     /* image; 0 = unknown */
    uint32_t memory_kinds;     /* bits 1u << nnd_memory_kind: produced / accepted */
    nnd_device *device;        /* NULL = cpu */
    size_t alignment, padding; /* bytes the consumer needs; 0 = default */
} nnd_spec;
NND_API void nnd_spec_init(nnd_spec *spec); /* everything unknown, host memory on the cpu */

NND_API const nnd_params *nnd_negotiation_params(const nnd_negotiation *n);
NND_API const void *nnd_negotiation_prepared(const nnd_negotiation *n);
NND_API size_t nnd_negotiation_input_count(const nnd_negotiation *n);
/* Never NULL. */
NND_API const nnd_spec *nnd_negotiation_input(const nnd_negotiation *n, size_t port);
/* The device the node was asked to run on ("device" in the file); never NULL. */
NND_API nnd_device *nnd_negotiation_device(const nnd_negotiation *n);
NND_API nnd_status nnd_negotiation_accept(nnd_negotiation *n, size_t input, const nnd_spec *wanted);
NND_API nnd_status nnd_negotiation_produce(nnd_negotiation *n, size_t output, const nnd_spec *spec);

/* resolve_ports: port strings are copied. */
NND_API nnd_status nnd_port_list_add_input(nnd_port_list *l, const char *name, const char *type,
                                           const char *text, uint32_t flags);
NND_API nnd_status nnd_port_list_add_output(nnd_port_list *l, const char *name, const char *type,
                                            const char *text, uint32_t flags);

typedef struct nnd_io nnd_io;
NND_API const nnd_params *nnd_prepare_params(const nnd_prepare *p);
NND_API nnd_io *nnd_prepare_io(const nnd_prepare *p); /* borrowed */
NND_API nnd_device *nnd_prepare_device(const nnd_prepare *p);
NND_API nnd_cancel *nnd_prepare_cancel(const nnd_prepare *p); /* may be NULL */
/* Path of a model's main file by catalogue name or path, through the host's resolver and the io
   policy. The caller frees it (nnd_free). NND_E_MISSING names how to get it. */
NND_API nnd_status nnd_prepare_find_model(const nnd_prepare *p, const char *model, char **path);
/* Which file of a model a node wants. NULL and "" = whatever; everything is borrowed. */
typedef struct nnd_model_wish {
    size_t size;           /* = sizeof(nnd_model_wish) */
    const char *name;      /* "latin-ocr", or "latin-ocr@int8": that variant and no other */
    const char *sha256;    /* hex, as the workflow pins it: counts for the variant that it is of */
    const char *backend;   /* the variant has to be for it; "auto" as NULL */
    const char *precision; /* a variant of that precision goes before others */
} nnd_model_wish;
/* nnd_prepare_find_model for a node that knows its backend and precision. wish->sha256 is not
   looked at: the workflow says it. *as_wished (may be NULL): the file itself is of the wished
   precision. */
NND_API nnd_status nnd_prepare_find_variant(const nnd_prepare *p, const nnd_model_wish *wish,
                                            char **path, bool *as_wished);
/* Keeps an object (taken, also when this fails) until the compile that is under way has ended, well
   or not: what resolve_ports has loaded is still there when prepare asks for it. */
NND_API nnd_status nnd_prepare_keep(nnd_prepare *p, void *take_object,
                                    void (*destroy)(void *object));
/* The dynamic ports as resolved for this node (so that process knows what index is what). */
NND_API size_t nnd_prepare_input_count(const nnd_prepare *p);
NND_API const char *nnd_prepare_input_name(const nnd_prepare *p, size_t port);
NND_API size_t nnd_prepare_output_count(const nnd_prepare *p);
NND_API const char *nnd_prepare_output_name(const nnd_prepare *p, size_t port);
/* An object shared by all nodes, plans and runs of the process under a content key (model weights,
   fonts): the first caller makes it, the last user's release destroys it. */
NND_API nnd_status nnd_shared_get(const char *key, nnd_status (*make)(void *user, void **object),
                                  void *user, void (*destroy)(void *object), void **out);
NND_API void nnd_shared_release(const char *key, void *object);

/* In open, process, flush, close. Ports count from 0 in descriptor (or resolved) order. */
NND_API const nnd_params *nnd_ctx_params(const nnd_ctx *ctx); /* snapshot for this packet */
NND_API const void *nnd_ctx_prepared(const nnd_ctx *ctx);
NND_API void *nnd_ctx_state(const nnd_ctx *ctx);
/* The packet's value: borrowed; NULL when the port is not connected or the packet is a GAP. */
NND_API nnd_value *nnd_ctx_input(const nnd_ctx *ctx, size_t port);
NND_API size_t nnd_ctx_input_count(const nnd_ctx *ctx, size_t port); /* edges on a variadic port */
NND_API nnd_value *nnd_ctx_input_at(const nnd_ctx *ctx, size_t port, size_t index);
/* Takes the input's reference away from the packet (for nnd_value_writable); NULL as above. */
NND_API nnd_value *nnd_ctx_take_input(nnd_ctx *ctx, size_t port);
NND_API bool nnd_ctx_output_is_used(const nnd_ctx *ctx, size_t port);
/* What a node wants to put out; the run places it as the consumer needs (kind, alignment, pool).
   type "tensor": dtype, rank, dims. type "image": format, dtype, width, height. */
typedef struct nnd_value_desc {
    size_t size; /* = sizeof(nnd_value_desc) */
    const char *type;
    nnd_dtype dtype;
    int32_t rank;
    int64_t dims[NND_MAX_RANK];
    nnd_layout layout;
    nnd_pixel_format format;
    int32_t width, height;
} nnd_value_desc;
NND_API nnd_status nnd_ctx_alloc(nnd_ctx *ctx, size_t output, const nnd_value_desc *desc,
                                 nnd_value **out);
NND_API nnd_status nnd_ctx_alloc_tensor(nnd_ctx *ctx, size_t output, nnd_dtype dtype, int rank,
                                        const int64_t *dims, nnd_value **out);
NND_API nnd_status nnd_ctx_alloc_image(nnd_ctx *ctx, size_t output, nnd_pixel_format format,
                                       nnd_dtype dtype, int width, int height, nnd_value **out);
/* Puts a value out; takes over the reference, also on failure. The header is taken from the
   packet being processed unless the node has set pts or sequence itself. May be called none, one
   or many times per packet and port. NND_E_CLOSED when the consumer is gone. */
NND_API nnd_status nnd_ctx_emit(nnd_ctx *ctx, size_t output, nnd_value *take_value);
/* A SOURCE says that no more will come; other nodes end when their inputs do. */
NND_API void nnd_ctx_end(nnd_ctx *ctx);
NND_API nnd_io *nnd_ctx_io(const nnd_ctx *ctx);
NND_API nnd_cancel *nnd_ctx_cancel(const nnd_ctx *ctx); /* never NULL */
NND_API nnd_device *nnd_ctx_device(const nnd_ctx *ctx);
NND_API nnd_stream *nnd_ctx_stream(const nnd_ctx *ctx); /* NULL on the cpu */
NND_API int64_t nnd_ctx_sequence(const nnd_ctx *ctx);
NND_API uint64_t nnd_ctx_random(nnd_ctx *ctx);   /* seeded per run and node: repeatable */
NND_API int nnd_ctx_threads(const nnd_ctx *ctx); /* how many threads the node may use, ≥ 1 */
NND_API void nnd_ctx_progress(nnd_ctx *ctx, double done, double total, const char *text);
NND_API const char *nnd_ctx_node_path(const nnd_ctx *ctx); /* "sub/node" */

/* ---- 4 registry ------------------------------------------------------------------------ */

/* A set of node types and the plug-ins that brought them. Thread-safe; must outlive the plans made
   with it (plans hold a reference). */
typedef struct nnd_registry nnd_registry;
NND_API nnd_status nnd_registry_create(nnd_registry **out); /* with the flow.* and transfer kinds */
NND_API nnd_registry *nnd_registry_ref(nnd_registry *r);
NND_API void nnd_registry_unref(nnd_registry *r);
/* Checks the descriptor (names, duplicate ports, defaults within bounds). NND_E_EXISTS for the same
   type and version. */
NND_API nnd_status nnd_registry_add(nnd_registry *r, const nnd_node_type *type);
/* Version 0: the newest. */
NND_API const nnd_node_type *nnd_registry_find(const nnd_registry *r, const char *type,
                                               int version);
NND_API size_t nnd_registry_count(const nnd_registry *r);
/* Sorted by type, version. */
NND_API const nnd_node_type *nnd_registry_at(const nnd_registry *r, size_t index);
/* How a node of an older version becomes one of a newer: a changed meaning is a new version of the
   type beside the old one, with a migration. */
typedef struct nnd_migration {
    size_t struct_size; /* = sizeof(nnd_migration) */
    const char *type;   /* "image.resize" */
    int from_version, to_version;
    const char *text; /* what changes, one line for people */
    /* Writes the new "params" object (begin … end) from the old one (an object, maybe empty; values
       may be forms such as {"$input": "x"}). */
    nnd_status (*params)(const nnd_json *params, nnd_json_writer *w);
} nnd_migration;
/* Borrowed: must live as long as the registry. NND_E_EXISTS for the same type and from_version. */
NND_API nnd_status nnd_registry_add_migration(nnd_registry *r, const nnd_migration *migration);
/* Plug-ins, see plugin.h. One clear message for a file that is none, is truncated, wants a newer
   host or brings a type that exists. */
NND_API nnd_status nnd_registry_load_plugin(nnd_registry *r, const char *path);
/* What plug-ins bring beside node types (nnd_extension of plugin.h), in the order of loading: hosts
   look for the kinds that they know. false beyond the last. The entries live as long as the
   process. */
NND_API bool nnd_registry_extension(const nnd_registry *r, size_t index, const char **kind,
                                    const void **extension);
/* Everything about one type as JSON (what editor, help, docs and stubs are made from). */
NND_API nnd_status nnd_node_type_to_json(const nnd_node_type *type, nnd_json_writer *w);

/* ---- 5 files, hosts and devices (nnd_io) ----------------------------------------------- */

/* What a run may touch. Every path from a workflow goes through here: symbolic links are resolved
   before the check. Reference-counted, thread-safe. */
typedef struct nnd_io_policy {
    size_t size;                   /* = sizeof(nnd_io_policy) */
    const char *base_dir;          /* relative paths start here; NULL = current folder */
    const char *const *read_roots; /* folders (or single files) that may be read */
    size_t read_root_count;
    const char *const *write_roots;
    size_t write_root_count;
    const char *const *hosts; /* host names a node may talk to */
    size_t host_count;
    const char *const *devices; /* device names, "*" = all */
    size_t device_count;
    uint64_t max_read_bytes; /* per file, 0 = 4 GiB */
    uint64_t write_quota;    /* bytes per nnd_io, 0 = no limit */
} nnd_io_policy;
/* clang-format off */
#define NND_IO_POLICY_INIT {sizeof(nnd_io_policy), NULL, NULL, 0, NULL, 0, NULL, 0, NULL, 0, 0, 0}
/* clang-format on */
NND_API nnd_status nnd_io_create(const nnd_io_policy *policy, nnd_io **out);
NND_API nnd_io *nnd_io_ref(nnd_io *io);
NND_API void nnd_io_unref(nnd_io *io);
/* The real path when the policy allows reading (or writing) it. NND_E_PERMISSION names the roots,
   NND_E_NOT_FOUND the path. Freed by nnd_free. */
NND_API nnd_status nnd_io_resolve_read(nnd_io *io, const char *path, char **real);
NND_API nnd_status nnd_io_resolve_write(nnd_io *io, const char *path, char **real);
/* The whole file; bytes are freed with nnd_free. */
NND_API nnd_status nnd_io_read_file(nnd_io *io, const char *path, void **bytes, size_t *size);
/* Atomic: a temporary file beside it, then renamed; on failure nothing is left. */
NND_API nnd_status nnd_io_write_file(nnd_io *io, const char *path, const void *bytes, size_t size);
/* Names in a folder, sorted by bytes; free each and the array. */
NND_API nnd_status nnd_io_list(nnd_io *io, const char *path, char ***names, size_t *count);
/* With parents, below a write root. */
NND_API nnd_status nnd_io_make_dir(nnd_io *io, const char *path);
NND_API nnd_status nnd_io_check_host(nnd_io *io, const char *host);
NND_API nnd_status nnd_io_check_device(nnd_io *io, const char *device);
/* A name from a model or a packet made safe as a file name: [^A-Za-z0-9._-] becomes _, never
   empty, ".", "..", or longer than 200 bytes. Writes at most size bytes, returns name. */
NND_API const char *nnd_io_safe_name(const char *text, char *name, size_t size);

/* ---- 6 diagnostics --------------------------------------------------------------------- */

typedef enum nnd_severity { NND_SEVERITY_WARNING = 1, NND_SEVERITY_ERROR = 2 } nnd_severity;
typedef struct nnd_diagnostic {
    nnd_severity severity;
    nnd_status status;
    const char *code; /* stable, "unknown-param" */
    const char *message;
    const char *file;       /* "" = the document itself */
    uint32_t line, column;  /* 0 = unknown */
    const char *node;       /* path, "" = none */
    const char *port;       /* port or parameter, "" = none */
    const char *suggestion; /* "" = none */
} nnd_diagnostic;
typedef struct nnd_diagnostics nnd_diagnostics;
NND_API nnd_status nnd_diagnostics_create(nnd_diagnostics **out);
NND_API void nnd_diagnostics_destroy(nnd_diagnostics *d);
NND_API size_t nnd_diagnostics_count(const nnd_diagnostics *d);
NND_API size_t nnd_diagnostics_error_count(const nnd_diagnostics *d);
/* In the order of the file. */
NND_API const nnd_diagnostic *nnd_diagnostics_at(const nnd_diagnostics *d, size_t index);
NND_API nnd_status nnd_diagnostics_to_json(const nnd_diagnostics *d, nnd_json_writer *w);
/* "file:12:9: error: node 'net': … (did you mean …?)\n" per line; nnd_free. */
NND_API char *nnd_diagnostics_to_string(const nnd_diagnostics *d);

/* ---- 7 documents ----------------------------------------------------------------------- */

/* A workflow as its file has it; unknown fields and node types are kept. One thread at a time. */
typedef struct nnd_workflow nnd_workflow;
NND_API nnd_status nnd_workflow_create(const char *name, nnd_workflow **out);
NND_API void nnd_workflow_destroy(nnd_workflow *wf);
/* Reads format 1. Errors of form go to `diags` (may be NULL): all of them, with places; the status
   is then NND_E_VALIDATION (NND_E_FORMAT when the text is not JSON). io (may be NULL: no files)
   reads the sub-graphs that `ref` names. */
NND_API nnd_status nnd_workflow_parse(const char *text, size_t size, const char *file, nnd_io *io,
                                      nnd_diagnostics *diags, nnd_workflow **out);
NND_API nnd_status nnd_workflow_load(const char *path, nnd_io *io, nnd_diagnostics *diags,
                                     nnd_workflow **out);
/* Canonical text: key order, numbers, indentation; parse(save(x)) = x and save is a fixed point. */
NND_API nnd_status nnd_workflow_save_text(const nnd_workflow *wf, char **text, size_t *size);
NND_API nnd_status nnd_workflow_save(const nnd_workflow *wf, const char *path); /* atomic */
/* Building by API. Values are JSON texts. Node paths go into sub-graphs: "sub/node". "@" is the
   graph's boundary. */
NND_API nnd_status nnd_workflow_add_input(nnd_workflow *wf, const char *name, const char *type);
NND_API nnd_status nnd_workflow_add_output(nnd_workflow *wf, const char *name, const char *node,
                                           const char *port);
/* "image.resize" or "image.resize@1". */
NND_API nnd_status nnd_workflow_add_node(nnd_workflow *wf, const char *id, const char *type);
/* Removes its edges, too. */
NND_API nnd_status nnd_workflow_remove_node(nnd_workflow *wf, const char *path);
NND_API nnd_status nnd_workflow_set_param(nnd_workflow *wf, const char *node, const char *param,
                                          const char *json);
/* Any field of a node other than id, type and params: title, device, on_error, ports, graph, … and
   "x-…"; "null" removes it. */
NND_API nnd_status nnd_workflow_set_field(nnd_workflow *wf, const char *node, const char *field,
                                          const char *json);
/* Both ends in the same graph; "@" as from_node ("sub/@" inside a sub-graph) is its input. */
NND_API nnd_status nnd_workflow_connect(nnd_workflow *wf, const char *from_node,
                                        const char *from_port, const char *to_node,
                                        const char *to_port);
/* The same for an edge that feeds a parameter. */
NND_API nnd_status nnd_workflow_connect_param(nnd_workflow *wf, const char *from_node,
                                              const char *from_port, const char *to_node,
                                              const char *to_param);
NND_API const char *nnd_workflow_name(const nnd_workflow *wf);
NND_API size_t nnd_workflow_input_count(const nnd_workflow *wf);
NND_API const char *nnd_workflow_input_name(const nnd_workflow *wf, size_t index);
NND_API const char *nnd_workflow_input_type(const nnd_workflow *wf, size_t index);
NND_API size_t nnd_workflow_output_count(const nnd_workflow *wf);
NND_API const char *nnd_workflow_output_name(const nnd_workflow *wf, size_t index);
/* Everything that can be known without running: types, names, parameters, cycles, references,
   edges, placeholders. NND_E_VALIDATION when there is at least one error. */
NND_API nnd_status nnd_workflow_validate(const nnd_workflow *wf, nnd_registry *registry,
                                         nnd_diagnostics *diags);
/* Brings nodes of old versions to the newest version that migrations lead to, step by step, in
   embedded sub-graphs too (files of `ref` are left alone). Each changed node is a warning
   "migrated" with what changed; a node with a newer version but no way there is a warning
   "no-migration". Only this call changes versions. On failure the document is as it was.
   *changed (may be NULL): how many nodes. */
NND_API nnd_status nnd_workflow_migrate(nnd_workflow *wf, nnd_registry *registry,
                                        nnd_diagnostics *diags, size_t *changed);
/* Semantic difference (nodes, edges, parameters; not layout in ui unless with_ui) as JSON:
   {"equal": bool, "changes": [{"kind","path","before","after"}]}. */
NND_API nnd_status nnd_workflow_diff(const nnd_workflow *a, const nnd_workflow *b, bool with_ui,
                                     nnd_json_writer *w);
/* JSON schema (2020-12) of the file format for the node types in the registry. */
NND_API nnd_status nnd_workflow_schema(nnd_registry *registry, nnd_json_writer *w);

/* ---- 8 plans --------------------------------------------------------------------------- */

typedef enum nnd_run_mode {
    NND_RUN_DEFAULT = 0,
    NND_RUN_SERIAL = 1,
    NND_RUN_TASK = 2,
    NND_RUN_PIPELINE = 3
} nnd_run_mode;

/* What the host offers to a workflow. Members are only ever appended: those that `size` does not
   cover count as NULL. */
typedef struct nnd_services {
    size_t size; /* = sizeof(nnd_services) */
    void *user;
    /* Model name (or path that is none in the file system) → path of its main file (nnd_alloc).
       sha256 (hex) as the workflow pins it, or NULL. */
    nnd_status (*find_model)(void *user, const char *name, const char *sha256, char **path);
    /* Value of a secret (nnd_alloc). */
    nnd_status (*find_secret)(void *user, const char *name, char **value);
    /* find_model for one of several variants; NULL: find_model is asked, which knows of none.
     *as_wished: the file itself is of the wished precision, nobody has to convert it. */
    nnd_status (*find_variant)(void *user, const nnd_model_wish *wish, char **path,
                               bool *as_wished);
} nnd_services;

typedef struct nnd_plan nnd_plan;
typedef struct nnd_compile_options {
    size_t size;                  /* = sizeof(nnd_compile_options) */
    nnd_registry *registry;       /* required */
    nnd_io *io;                   /* NULL = no files at all */
    const nnd_services *services; /* copied; may be NULL */
    nnd_run_mode mode;            /* DEFAULT = as the file says */
    nnd_cancel *cancel;           /* may be NULL */
    /* "node.param=JSON" overrides, in order. A single word that begins with a letter and is no
       JSON is a text: "net.backend=openvino". */
    const char *const *set;
    size_t set_count;
} nnd_compile_options;
/* clang-format off */
#define NND_COMPILE_OPTIONS_INIT {sizeof(nnd_compile_options), NULL, NULL, NULL, NND_RUN_DEFAULT, NULL, NULL, 0}
/* clang-format on */
/* Validates, resolves, negotiates, inserts transfers, prepares the nodes. The plan is immutable,
   shared by any number of runs and threads, and independent of the document afterwards. */
NND_API nnd_status nnd_plan_compile(const nnd_workflow *wf, const nnd_compile_options *options,
                                    nnd_diagnostics *diags, nnd_plan **out);
NND_API nnd_plan *nnd_plan_ref(nnd_plan *plan);
NND_API void nnd_plan_unref(nnd_plan *plan);
/* Nodes in order, edges with memory kind, transfers, pools, plan hash. */
NND_API nnd_status nnd_plan_to_json(const nnd_plan *plan, nnd_json_writer *w);
NND_API size_t nnd_plan_input_count(const nnd_plan *plan);
NND_API const char *nnd_plan_input_name(const nnd_plan *plan, size_t index);
NND_API const char *nnd_plan_input_type(const nnd_plan *plan, size_t index);
NND_API size_t nnd_plan_output_count(const nnd_plan *plan);
NND_API const char *nnd_plan_output_name(const nnd_plan *plan, size_t index);
NND_API const char *nnd_plan_output_type(const nnd_plan *plan, size_t index);
/* How many copies between memory spaces a packet takes. */
NND_API size_t nnd_plan_transfer_count(const nnd_plan *plan);

/* ---- 9 runs ---------------------------------------------------------------------------- */

typedef enum nnd_event_kind {
    NND_EVENT_NODE_BEGIN = 1,
    NND_EVENT_NODE_END,
    NND_EVENT_PROGRESS,
    NND_EVENT_ERROR,
    NND_EVENT_OUTPUT,
    NND_EVENT_RUN_END
} nnd_event_kind;
typedef struct nnd_event {
    size_t size;
    nnd_event_kind kind;
    const char *node; /* path, "" = the run */
    int64_t time;     /* nnd_clock_now */
    int64_t sequence;
    double done, total; /* PROGRESS */
    const char *text;
    nnd_value *value; /* OUTPUT; borrowed */
    nnd_status status;
} nnd_event;

typedef struct nnd_run nnd_run;
typedef struct nnd_run_options {
    size_t size;         /* = sizeof(nnd_run_options) */
    nnd_io *io;          /* NULL = the plan's */
    nnd_cancel *cancel;  /* parent of the run's token; may be NULL */
    int64_t deadline_ns; /* absolute nnd_clock_now time, 0 = none */
    uint64_t seed;       /* for nodes that draw random numbers */
    int threads;         /* 0 = the process's budget */
    /* Called from the thread that works; must not call back into the run. May be NULL. */
    void (*on_event)(void *user, const nnd_event *event);
    void *user;
    bool trace; /* keep per-node begin/end times for nnd_run_write_trace */
} nnd_run_options;
/* clang-format off */
#define NND_RUN_OPTIONS_INIT {sizeof(nnd_run_options), NULL, NULL, 0, 0, 0, NULL, NULL, false}
/* clang-format on */

/* A run is a session with its own node states. States: open → draining → closed; every call in
   every state has a defined result (docs/workflow.md has the table). push and pop may be called
   from different threads; in serial mode the work happens inside them. */
NND_API nnd_status nnd_run_create(nnd_plan *plan, const nnd_run_options *options, nnd_run **out);
/* Ends what is under way (cancelled), closes the nodes, frees; takes NULL. */
NND_API void nnd_run_destroy(nnd_run *run);
/* Gives a value to a workflow input; the run takes its own reference. Works or waits until there is
   room. A value without sequence number gets the next one of that input. */
NND_API nnd_status nnd_run_push(nnd_run *run, const char *input, nnd_value *value);
/* No more values on this input (NULL = on all). */
NND_API nnd_status nnd_run_end(nnd_run *run, const char *input);
/* The next value of an output, owned by the caller. NND_E_AGAIN when more input is needed first,
   NND_E_CLOSED after the last one, else the run's failure. GAPs are skipped. */
NND_API nnd_status nnd_run_pop(nnd_run *run, const char *output, nnd_value **out);
/* Changes a parameter ("node", "sub/node") from the next packet on. */
NND_API nnd_status nnd_run_set_param(nnd_run *run, const char *node, const char *param,
                                     const char *json);
/* Ends all inputs and works until everything has left (results stay for pop). */
NND_API nnd_status nnd_run_drain(nnd_run *run);
/* From any thread: process callbacks return soon, calls return NND_E_CANCELLED. */
NND_API void nnd_run_cancel(nnd_run *run);
/* Closes the nodes; later calls give NND_E_STATE (pop still hands out what is left). Reports the
   first failure. */
NND_API nnd_status nnd_run_close(nnd_run *run);
/* Failures so far, oldest first; borrowed until the run is destroyed. */
NND_API size_t nnd_run_error_count(const nnd_run *run);
NND_API const nnd_error *nnd_run_error_at(const nnd_run *run, size_t index);
/* {"nodes":[{"node","packets","ms_total","ms_min","ms_max"}],"edges":[…],"copies","transfers",
   "bytes"}. */
NND_API nnd_status nnd_run_stats_to_json(const nnd_run *run, nnd_json_writer *w);
/* Chrome trace events (also Perfetto) of a run with options.trace. */
NND_API nnd_status nnd_run_trace_to_json(const nnd_run *run, nnd_json_writer *w);

/* One shot: pushes the record's values, drains, and gives a record with one entry per output: the
   value, a list when there were several, nothing when there was none. */
NND_API nnd_status nnd_workflow_run(nnd_plan *plan, const nnd_run_options *options,
                                    const nnd_value *inputs, nnd_value **outputs);

#ifdef __cplusplus
}
#endif
#endif
