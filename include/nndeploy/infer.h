/*
 * nndeploy/infer.h: one inference API over many backends.
 *
 * Sections: 1 ports · 2 models · 3 requests · 4 stored values · 5 hooks ·
 *           6 backends
 *
 * Part of nndeploy, Apache-2.0. Compiles alone as C11 and C++17.
 */
#ifndef NNDEPLOY_INFER_H
#define NNDEPLOY_INFER_H

#include "nndeploy/ir.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- 1 ports --------------------------------------------------------------------------- */

/* One input or output of a model. Borrowed from the model.

   The value at a port is a "tensor", for a sequence a "list" of tensors or maps, for a map a
   "record" of two vectors of equal length, "keys" (i64 or string) and "values". An optional input
   that is empty is left unbound or bound to a gap value (nnd_value_new_gap); an optional output
   that is empty comes as a gap value. */
typedef struct nnd_model_port {
    size_t size; /* sizeof(nnd_model_port) of the library that made it */
    const char *name;
    nnd_port_kind kind;
    bool optional;
    nnd_dtype dtype; /* of the tensor, of a sequence's elements or of a map's values */
    int32_t rank;    /* −1 = unknown */
    nnd_dim dims[NND_MAX_RANK];
    nnd_port_kind element; /* of a sequence: TENSOR or MAP */
    nnd_dtype key;         /* of a map or of a sequence's maps; INVALID = unknown */
} nnd_model_port;

/* ---- 2 models -------------------------------------------------------------------------- */

/* Immutable, reference-counted; weights are held once, however many requests there are. Any
   thread. */
typedef struct nnd_model nnd_model;

typedef struct nnd_model_options {
    size_t size;           /* = sizeof(nnd_model_options) */
    const char *backend;   /* "auto" (NULL): as tuned, else the first that fits; "builtin", … */
    const char *device;    /* NULL = the backend's default */
    const char *precision; /* NULL = as the model is; "f32", "f16", "bf16", "int8" */
    int threads;           /* for requests that do not say; 0 = the process's budget */
    const char *config; /* "key=value key=value" for the backend; unknown keys are errors that list
                           the known ones */
    /* Opens a further file of the model (external data, .bin beside .param): name is relative to
       the model's folder and has passed the check for "..". bytes are nnd_alloc'ed or mapped:
       release frees them. NULL = the file system, restricted to the model's folder. */
    nnd_status (*open_file)(void *user, const char *name, const void **bytes, size_t *size,
                            void (**release)(void *handle), void **handle);
    void *open_user;
    nnd_cancel *cancel; /* stops loading */
} nnd_model_options;
/* clang-format off */
#define NND_MODEL_OPTIONS_INIT {sizeof(nnd_model_options), NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL}
/* clang-format on */

/* NND_E_NOT_FOUND, NND_E_FORMAT (malformed), NND_E_UNSUPPORTED (one message that lists everything
   the backend cannot do and why), NND_E_MISSING (backend not installed, and how to get it). */
NND_API nnd_status nnd_model_load(const char *path, const nnd_model_options *options,
                                  nnd_model **out);
/* The bytes must stay until the model is destroyed. Models with external data need open_file. */
NND_API nnd_status nnd_model_load_memory(const void *bytes, size_t size,
                                         const nnd_model_options *options, nnd_model **out);
/* A model of a graph that was built or loaded (ir.h), on the backend "builtin". Takes the graph
   over, also on failure: print or save it before. Errors as nnd_ir_check; NND_E_SHAPE and
   NND_E_TYPE with the node's name. */
NND_API nnd_status nnd_model_from_ir(nnd_ir *take_ir, const nnd_model_options *options,
                                     nnd_model **out);
NND_API nnd_model *nnd_model_ref(nnd_model *model);
NND_API void nnd_model_unref(nnd_model *model);
NND_API const char *nnd_model_backend(const nnd_model *model); /* the one that was chosen */
/* Why that one, for people: "as asked for", "the first that reads it", "tuned: 1.9 ms with 2
   threads, …". Never NULL. */
NND_API const char *nnd_model_choice(const nnd_model *model);
/* Threads of requests that do not say; 0 = the process's budget. */
NND_API int nnd_model_threads(const nnd_model *model);
NND_API size_t nnd_model_input_count(const nnd_model *model);
NND_API const nnd_model_port *nnd_model_input(const nnd_model *model, size_t index);
NND_API size_t nnd_model_output_count(const nnd_model *model);
NND_API const nnd_model_port *nnd_model_output(const nnd_model *model, size_t index);
/* What `nndeploy inspect` prints: ops, parameters, FLOPs, memory plan, passes. */
NND_API nnd_status nnd_model_inspect(const nnd_model *model, nnd_json_writer *w);
/* The same planned for other shapes than the declared ones: dtype and shape of every input, in
   order, elements are not read; dtype NND_DTYPE_INVALID = an optional input that is not given.
   NND_E_UNSUPPORTED when the backend cannot tell, NND_E_SHAPE, NND_E_TYPE. */
NND_API nnd_status nnd_model_inspect_at(const nnd_model *model, const nnd_tensor *shapes,
                                        nnd_json_writer *w);

/* ---- 3 requests ------------------------------------------------------------------------ */

/* One thread's use of a model: its own activations. Not thread-safe; make one per thread. Holds a
   reference on the model. */
typedef struct nnd_request nnd_request;
typedef struct nnd_request_options {
    size_t size;  /* = sizeof(nnd_request_options) */
    int threads;  /* 0 = the model's; a tuned model uses no more than it is fastest with */
    bool profile; /* keep per-operator times */
} nnd_request_options;
/* clang-format off */
#define NND_REQUEST_OPTIONS_INIT {sizeof(nnd_request_options), 0, false}
/* clang-format on */

NND_API nnd_status nnd_request_create(nnd_model *model, const nnd_request_options *options,
                                      nnd_request **out);
NND_API void nnd_request_destroy(nnd_request *request); /* takes NULL; waits for a run under way */
/* Binds a value (its own reference is taken) until it is bound anew; NULL unbinds an optional
   input. Checked here: name, dtype (NND_E_TYPE), shape (NND_E_SHAPE), with both sides in the
   text. A dense tensor in memory that the backend reads is used without a copy. */
NND_API nnd_status nnd_request_bind_input(nnd_request *request, const char *name, nnd_value *value);
/* The result goes into this tensor value (it must fit exactly when the run ends); NULL = the
   request allocates. Tensors of numbers only: else NND_E_UNSUPPORTED. */
NND_API nnd_status nnd_request_bind_output(nnd_request *request, const char *name,
                                           nnd_value *value);
/* After each run the output becomes the next run's input, without a copy (state, KV cache). The
   input must be bound for the first run. */
NND_API nnd_status nnd_request_alias(nnd_request *request, const char *output, const char *input);
/* Starts on another thread of the budget; wait returns the result. */
NND_API nnd_status nnd_request_start(nnd_request *request, nnd_cancel *cancel);
NND_API nnd_status nnd_request_wait(nnd_request *request, const nnd_cancel *cancel);
/* In this thread. Stops between tiles of a kernel when the token is cancelled or its deadline
   passes. */
NND_API nnd_status nnd_request_run(nnd_request *request, nnd_cancel *cancel);
/* The result of the last run, owned by the caller; valid for as long as it is held, also when
   the request runs again. */
NND_API nnd_status nnd_request_output(nnd_request *request, const char *name, nnd_value **out);
/* Per-operator times of the last run (options.profile). */
NND_API nnd_status nnd_request_profile(nnd_request *request, nnd_json_writer *w);

/* ---- 4 stored values ------------------------------------------------------------------- */

/* A value from the bytes of an ONNX TensorProto, SequenceProto, MapProto or OptionalProto, the form
   in which test cases and other tools store inputs and outputs. `port` says which it is; NULL: a
   tensor. NND_E_FORMAT, NND_E_UNSUPPORTED (sparse tensors). Any thread. */
NND_API nnd_status nnd_value_from_onnx(const void *bytes, size_t size, const nnd_model_port *port,
                                       nnd_value **out);

/* ---- 5 hooks --------------------------------------------------------------------------- */

/* What some operators need and the built-in engine leaves to the program, so that it stays free of
   other libraries. A hook that is NULL makes the operator NND_E_UNSUPPORTED when it runs. Hooks are
   called by any thread, several at a time. */
typedef struct nnd_infer_hooks {
    size_t size; /* = sizeof(nnd_infer_hooks) */
    void *user;
    /* ImageDecoder: the bytes of a picture's file → a new tensor value u8[height,width,channels].
       pixel_format: "RGB", "BGR" or "Grayscale" (one channel). */
    nnd_status (*decode_image)(void *user, const void *bytes, size_t size, const char *pixel_format,
                               nnd_value **out);
    /* RegexFullMatch: matches[i] = the whole of texts[i] matches the pattern (RE2 syntax). */
    nnd_status (*match_regex)(void *user, const char *pattern, const nnd_string *texts,
                              size_t count, bool *matches);
    /* Tokenizer: found(to, i, begin, end) for every match of the pattern (RE2 syntax; the leftmost
       ones, of these the longest) in texts[i] that is not empty, in order and without overlaps;
       what `found` returns unless it is NND_OK ends the search. Texts are UTF-8. */
    nnd_status (*find_regex)(void *user, const char *pattern, const nnd_string *texts, size_t count,
                             nnd_status (*found)(void *to, size_t i, size_t begin, size_t end),
                             void *to);
} nnd_infer_hooks;
/* Process-wide, before models run; NULL = none. The node library registers its codecs for
   decode_image and PCRE2 for match_regex and find_regex unless there are such already.
   NND_E_INVALID_ARGUMENT for another size. */
NND_API nnd_status nnd_infer_set_hooks(const nnd_infer_hooks *hooks);
NND_API const nnd_infer_hooks *nnd_infer_get_hooks(void); /* borrowed; without hooks: all NULL */

/* ---- 6 backends ------------------------------------------------------------------------ */

typedef struct nnd_backend_status {
    size_t size;      /* = sizeof(nnd_backend_status), set by the caller */
    const char *name; /* "builtin", "onnxruntime" */
    bool available;
    char version[64];
    char library[256]; /* path of what was loaded, "" = inside */
    char devices[256]; /* space-separated */
    char reason[512];  /* why it is not available, and how to get it */
} nnd_backend_status;

/* Implemented by a backend; const. model and request objects are the backend's own. */
typedef struct nnd_backend {
    size_t struct_size; /* = sizeof(nnd_backend) */
    const char *name;
    const char *formats; /* file suffixes, "onnx" or "xml onnx" */
    /* Looks for the library and devices; never fails, says why not. */
    void (*probe)(nnd_backend_status *status);
    /* path may be NULL (memory model). bytes are valid until unload. */
    nnd_status (*load)(const void *bytes, size_t size, const char *path,
                       const nnd_model_options *options, void **model);
    void (*unload)(void *model);
    size_t (*port_count)(const void *model, bool outputs);
    const nnd_model_port *(*port)(const void *model, bool outputs, size_t index);
    nnd_status (*inspect)(const void *model, nnd_json_writer *w); /* may be NULL */
    nnd_status (*open)(void *model, const nnd_request_options *options, void **request);
    void (*close)(void *request);
    /* inputs and outputs by port index; NULL input = not given; an output that is not NULL is
       bound memory, else the backend stores a new value there. */
    nnd_status (*run)(void *request, nnd_value *const *inputs, nnd_value **outputs,
                      nnd_cancel *cancel);
    nnd_status (*profile)(void *request, nnd_json_writer *w); /* may be NULL */
    /* Precisions beside the model's own, as in nnd_model_options: "f16 bf16"; may be NULL. */
    const char *precisions;
    nnd_status (*inspect_at)(const void *model, const nnd_tensor *shapes,
                             nnd_json_writer *w); /* one per input; may be NULL */
} nnd_backend;

/* Adds a backend (from a plug-in); static storage. NND_E_EXISTS for the same name. */
NND_API nnd_status nnd_backend_register(const nnd_backend *backend);
NND_API size_t nnd_backend_count(void);
NND_API const nnd_backend *nnd_backend_at(size_t index); /* in the order of "auto" */
NND_API const nnd_backend *nnd_backend_find(const char *name);
/* "" when it offers none. */
NND_API const char *nnd_backend_precisions(const nnd_backend *backend);
/* Whether the backend reads files with the suffix of `path`; NULL and no suffix mean ".onnx". */
NND_API bool nnd_backend_reads(const nnd_backend *backend, const char *path);

#ifdef __cplusplus
}
#endif
#endif
