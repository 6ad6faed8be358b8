/*
 * What the files of the command share.
 *
 * Sections: 1 exit codes · 2 tables · 3 one invocation · 4 arguments · 5 results and failures ·
 *           6 host · 7 watching · 8 text tables
 *
 * One table (commands.c) describes every sub-command with its operands and options; dispatch, help,
 * completion and the documentation are made from it.
 */
#ifndef NND_CLI_CLI_H
#define NND_CLI_CLI_H

#include "base/str.h"
#include "base/vec.h"
#include "nndeploy/workflow.h"

#include <stdio.h>

/* ---- 1 exit codes ------------------------------------------------------------------------ */

enum {
    CLI_OK = 0,
    CLI_USAGE = 2,   /* the command line is wrong */
    CLI_INVALID = 3, /* a file or value that was given is wrong */
    CLI_FAILED = 4,  /* the run failed */
    CLI_MISSING = 5, /* a model, plug-in, file, backend or secret is not there */
    CLI_CANCELLED = 130
};

/* ---- 2 tables ---------------------------------------------------------------------------- */

typedef enum cli_kind {
    CLI_FLAG = 0, /* an option without value */
    CLI_TEXT,
    CLI_INT,    /* between minimum and maximum */
    CLI_NUMBER, /* between minimum and maximum */
    CLI_CHOICE, /* one of choices */
    CLI_FILE,
    CLI_FOLDER,
    CLI_PAIR, /* NAME=VALUE */
    CLI_NODE_TYPE,
    CLI_BACKEND,
    CLI_COMMAND
} cli_kind;

enum { CLI_REQUIRED = 1u << 0, CLI_REPEAT = 1u << 1 };

/* An option (name without dashes) or an operand (name in capitals). */
typedef struct cli_arg {
    const char *name;
    cli_kind kind;
    uint32_t flags;
    const char *value;       /* stands for the value in help, "NAME=FILE" */
    double minimum, maximum; /* INT, NUMBER */
    const char *choices;     /* CHOICE: "a|b|c" */
    const char *text;        /* one line for people */
} cli_arg;

typedef struct cli cli;
typedef struct cli_command {
    const char *name;     /* one or two words, "bench model" */
    const char *text;     /* one line */
    const char *details;  /* paragraphs, each line at most 78 bytes; may be NULL */
    const char *examples; /* lines; may be NULL */
    const cli_arg *operands;
    size_t operand_count;
    const cli_arg *options; /* besides cli_common_options */
    size_t option_count;
    int (*run)(cli *c);
} cli_command;

extern const cli_command cli_commands[];
extern const size_t cli_command_count;
extern const cli_arg cli_common_options[]; /* every command has them */
extern const size_t cli_common_option_count;

/* The command with this name, NULL when there is none. */
const cli_command *cli_command_find(const char *name);
/* The option of a command by its name without dashes; command NULL: the common ones only. */
const cli_arg *cli_option_find(const cli_command *command, const char *name);

int cli_run_run(cli *c);
int cli_run_validate(cli *c);
int cli_run_fmt(cli *c);
int cli_run_diff(cli *c);
int cli_run_schema(cli *c);
int cli_run_nodes(cli *c);
int cli_run_backends(cli *c);
int cli_run_devices(cli *c);
int cli_run_inspect(cli *c);
int cli_run_infer(cli *c);
int cli_run_compare_models(cli *c);
int cli_run_bench_model(cli *c);
int cli_run_conformance(cli *c);
int cli_run_tune(cli *c);
int cli_run_quantize(cli *c);
int cli_run_models_list(cli *c);
int cli_run_models_pull(cli *c);
int cli_run_models_check(cli *c);
int cli_run_models_where(cli *c);
int cli_run_eval(cli *c);
int cli_run_completion(cli *c);
int cli_run_help(cli *c);
int cli_run_version(cli *c);

/* ---- 3 one invocation -------------------------------------------------------------------- */

typedef struct cli_given {
    const cli_arg *arg;
    const char *value; /* borrowed from the command line; NULL for flags */
} cli_given;

struct cli {
    const cli_command *command; /* NULL until it is known */
    NND_VEC(cli_given) options; /* in the order of the command line */
    NND_VEC(const char *) operands;
    bool json;
    bool running;         /* failures from now on are those of the run, not of what was given */
    const char *document; /* file that findings without a file are about; may be NULL */
    nnd_json_writer *w;   /* the result while it is made */
};

/* ---- 4 arguments ------------------------------------------------------------------------- */

/* Reads the command line into c; CLI_OK, or CLI_USAGE after having said what is wrong. */
int cli_parse(cli *c, int argc, char **argv);
bool cli_has(const cli *c, const char *option);
/* The last value of an option; the fallback when it was not given. */
const char *cli_text(const cli *c, const char *option, const char *fallback);
int64_t cli_int(const cli *c, const char *option, int64_t fallback);
double cli_number(const cli *c, const char *option, double fallback);
/* Values of a repeated option: NULL beyond the last. */
const char *cli_nth(const cli *c, const char *option, size_t index);
size_t cli_count(const cli *c, const char *option);
const char *cli_operand(const cli *c, size_t index); /* NULL when it was not given */
/* Splits NAME=VALUE at the longest name of the list that fits, so that names may contain '='.
   Returns the name's index, or -1 after having reported the usage error. */
int cli_split_pair(cli *c, const char *option, const char *pair, const char *const *names,
                   size_t count, const char **value);

/* ---- 5 results and failures -------------------------------------------------------------- */

/* Reports a wrong command line, returns CLI_USAGE. */
int cli_usage(cli *c, const char *format, ...) NND_PRINTF(2, 3);
/* Reports this thread's error record, returns the exit code that it means. diags may be NULL: its
   entries are reported too. */
int cli_fail(cli *c, nnd_status status, const nnd_diagnostics *diags);
/* The same for work under a watch: what failed because of Ctrl-C was cancelled. */
int cli_fail_work(cli *c, nnd_status status);
/* The exit code of a failure. */
int cli_exit_code(const cli *c, nnd_status status, const nnd_diagnostics *diags);
/* Prints warnings and errors of the list on stderr, one line each. */
void cli_print_diagnostics(const cli *c, const nnd_diagnostics *diags);
/* A line on stderr, "nndeploy: warning: …". */
void cli_warn(const char *format, ...) NND_PRINTF(1, 2);
/* Begins the JSON result {"schema": "nndeploy.<name>/1", …; NULL without memory. */
nnd_json_writer *cli_json_begin(cli *c, const char *name);
/* Ends and prints it; returns the exit code. */
int cli_json_end(cli *c, int code);
void cli_json_text(nnd_json_writer *w, const char *key, const char *value);
void cli_json_int(nnd_json_writer *w, const char *key, int64_t value);
void cli_json_number(nnd_json_writer *w, const char *key, double value);
void cli_json_bool(nnd_json_writer *w, const char *key, bool value);
/* What was written so far as a document that can be read. Destroys the writer; w may be NULL. */
nnd_status cli_json_reread(nnd_json_writer *w, nnd_json_doc **out);
/* Writes a finished JSON text as a value. */
nnd_status cli_json_raw(nnd_json_writer *w, const char *text, size_t size);
static inline nnd_status cli_no_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory");
}

/* ---- 6 host ------------------------------------------------------------------------------ */

/* The registry with all built-in types and those of --plugin. Borrowed. */
nnd_status cli_registry(const cli *c, nnd_registry **out);
/* Applies --threads to the process. */
nnd_status cli_apply_threads(const cli *c);
/* Makes the file of --tuning the one in force. */
nnd_status cli_apply_tuning(const cli *c);
/* The folder of a workflow file; the current one for "-". Freed with nnd_free. */
nnd_status cli_folder_of(const char *path, char **out);
/* What a workflow may touch when the user runs it from the command line: reads below its own
   folder, the current one, the folders of models and every --allow; writes below the current
   folder, the folders of --output files and every --allow; no hosts; all devices. */
nnd_status cli_io_create(const cli *c, const char *base_dir, const char *const *write_dirs,
                         size_t write_dir_count, nnd_io **out);
/* Reads a workflow; "-" is standard input. */
nnd_status cli_workflow_load(const char *path, nnd_io *io, nnd_diagnostics *diags,
                             nnd_workflow **out);
/* Compiles with the services of a plain host and every --set. */
nnd_status cli_plan_compile(const cli *c, const nnd_workflow *wf, const char *folder, nnd_io *io,
                            nnd_run_mode mode, nnd_cancel *cancel, nnd_diagnostics *diags,
                            nnd_plan **out);
/* A whole file; nnd_port_free. The error names it. */
nnd_status cli_read_file(const char *path, char **data, size_t *size);
/* The same, where "-" is standard input. */
nnd_status cli_read_source(const char *path, char **text, size_t *size);

/* ---- 7 watching -------------------------------------------------------------------------- */

/* While a watch is on, Ctrl-C cancels the token (a second one ends the process at once), and a
   line on a terminal shows how far the work is once it takes more than a second. One at a time. */
nnd_status cli_watch_begin(const cli *c, nnd_cancel **out);
void cli_watch_end(void); /* also wipes the line; harmless when none is on */
/* What is done now; text must be static. Any thread. total 0 = unknown. */
void cli_watch_progress(const char *text, double done, double total);
bool cli_watch_interrupted(void);

/* ---- 8 text tables ----------------------------------------------------------------------- */

/* Cells are copied; columns whose bit is set in `right` are aligned right. */
typedef struct cli_table {
    size_t columns;
    uint32_t right;
    NND_VEC(char *) cells;
} cli_table;
void cli_table_add(cli_table *t, const char *cell);
void cli_table_addf(cli_table *t, const char *format, ...) NND_PRINTF(2, 3);
void cli_table_write(const cli_table *t, const char *indent, nnd_str *out);
void cli_table_print(cli_table *t, const char *indent); /* on stdout, then frees the cells */
void cli_table_free(cli_table *t);
/* "1.5 MB" */
void cli_bytes_text(uint64_t bytes, char text[32]);

#endif
