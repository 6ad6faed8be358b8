/* Values on the command line: what goes into a workflow and what comes out of it. */
#ifndef NND_CLI_VALUES_H
#define NND_CLI_VALUES_H

#include "cli/cli.h"

/* ---- inputs ------------------------------------------------------------------------------ */

/* One thing that the user named: a packet, or an element of a list. */
typedef struct cli_source {
    char *text; /* a path when is_file, else the value itself */
    bool is_file;
    const char *as; /* how it is read: "image", "tensor", "text", "json" or "bytes" */
} cli_source;

typedef struct cli_input {
    const char *name; /* borrowed from the workflow */
    const char *type;
    bool is_list; /* list<…>: all sources make one packet */
    NND_VEC(cli_source) sources;
    nnd_value *first; /* read ahead, so that a bad file is found before models are loaded */
} cli_input;

typedef struct cli_inputs {
    cli_input *items;
    size_t count;
    size_t packets; /* of the run; 0 = the workflow has no inputs */
} cli_inputs;

/* Sorts --input into the inputs of the workflow: opens folders, checks that files are there and
   that nothing is missing, reads what comes first. The input `fed` (NULL = none) may be missing:
   the caller has its own values for it. CLI_OK or, after having reported, an exit code. Call
   cli_inputs_fini in any case; the workflow must stay as long. */
int cli_inputs_init(cli *c, const nnd_workflow *wf, const char *fed, cli_inputs *inputs);
void cli_inputs_fini(cli_inputs *inputs);
/* The value of an input for a packet; the caller owns it. NULL with NND_OK: the input is left
   open. */
nnd_status cli_inputs_read(cli_inputs *inputs, size_t input, size_t packet, nnd_value **out);

/* ---- outputs ----------------------------------------------------------------------------- */

typedef struct cli_result {
    char *path;  /* NULL: to be printed */
    void *bytes; /* of the file, nnd_free */
    size_t size;
    char *text; /* for people, or JSON */
    const char *type;
    char *about; /* "f32[1,10]", "rgb 640×480" */
} cli_result;

typedef struct cli_output {
    const char *name;    /* borrowed from the workflow */
    const char *pattern; /* of --output; NULL = print */
    NND_VEC(cli_result) results;
    bool closed;
} cli_output;

typedef struct cli_outputs {
    cli_output *items;
    size_t count;
    const char **folders; /* of the files, for the io policy */
    size_t folder_count;
    NND_VEC(char *) texts; /* owns the folders' names */
} cli_outputs;

/* Sorts --output; checks suffixes and folders. As cli_inputs_init. */
int cli_outputs_init(cli *c, const nnd_workflow *wf, cli_outputs *outputs);
void cli_outputs_fini(cli_outputs *outputs);
/* Files of several packets need {n} in their name. CLI_OK or a usage error. */
int cli_outputs_check_packets(cli *c, const cli_outputs *outputs, size_t packets);
/* Keeps a result in the form in which it will be written or printed. */
nnd_status cli_outputs_add(const cli *c, cli_output *output, const nnd_value *value);
/* Writes all files; when one fails those that are new are taken away again. */
nnd_status cli_outputs_write(const cli_outputs *outputs);

/* A value for people: text that may have many lines and ends with one. */
void cli_show_value(const char *name, const nnd_value *value, nnd_str *out);
/* "rgb 640×480", "f32[1,10]", "3 detections"; "" when there is nothing to say. */
void cli_describe_value(const nnd_value *value, nnd_str *out);

/* ---- tensors for models ------------------------------------------------------------------ */

/* The bytes of an ONNX TensorProto (onnx.proto: dims = 1, data_type = 2, string_data = 6, name = 8,
   raw_data = 9), for element types that .npy lacks. nnd_free. NND_E_UNSUPPORTED for the few types
   that ONNX lacks. */
nnd_status cli_tensor_proto(const nnd_tensor *t, const char *name, void **bytes, size_t *size);

#endif
