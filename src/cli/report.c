/* What the command says: results as JSON, failures on stderr. */
#include "cli/cli.h"

#include <string.h>

void cli_json_text(nnd_json_writer *w, const char *key, const char *value)
{
    nnd_json_key(w, key);
    nnd_json_put_string(w, value);
}

void cli_json_int(nnd_json_writer *w, const char *key, int64_t value)
{
    nnd_json_key(w, key);
    nnd_json_put_int(w, value);
}

void cli_json_number(nnd_json_writer *w, const char *key, double value)
{
    nnd_json_key(w, key);
    nnd_json_put_number(w, value);
}

void cli_json_bool(nnd_json_writer *w, const char *key, bool value)
{
    nnd_json_key(w, key);
    nnd_json_put_bool(w, value);
}

nnd_status cli_json_raw(nnd_json_writer *w, const char *text, size_t size)
{
    nnd_json_doc *doc = NULL;
    NND_TRY(nnd_json_parse(text, size, NULL, &doc));
    nnd_json_put_json(w, nnd_json_root(doc));
    nnd_json_destroy(doc);
    return NND_OK;
}

nnd_status cli_json_reread(nnd_json_writer *w, nnd_json_doc **out)
{
    char *text = NULL;
    size_t size = 0;
    nnd_status status = w ? nnd_json_writer_take(w, &text, &size) : cli_no_memory();
    nnd_json_writer_destroy(w);
    if (status == NND_OK) status = nnd_json_parse(text, size, NULL, out);
    nnd_free(text);
    return status;
}

nnd_json_writer *cli_json_begin(cli *c, const char *name)
{
    char schema[64];
    snprintf(schema, sizeof schema, "nndeploy.%s/1", name);
    nnd_json_writer_destroy(c->w);
    c->w = NULL;
    if (nnd_json_writer_create(2, &c->w) != NND_OK) return NULL;
    nnd_json_begin_object(c->w);
    cli_json_text(c->w, "schema", schema);
    return c->w;
}

static nnd_status print_json(nnd_json_writer *w)
{
    char *text = NULL;
    size_t size = 0;
    NND_TRY(nnd_json_writer_take(w, &text, &size));
    fwrite(text, 1, size, stdout);
    fputc('\n', stdout);
    nnd_free(text);
    return NND_OK;
}

int cli_json_end(cli *c, int code)
{
    nnd_json_end_object(c->w);
    nnd_status status = print_json(c->w);
    return status == NND_OK ? code : cli_fail(c, status, NULL);
}

/* ---- failures ---------------------------------------------------------------------------- */

static void put_place(nnd_json_writer *w, const nnd_error *error)
{
    nnd_json_key(w, "place");
    nnd_json_begin_object(w);
    if (nnd_error_file(error)[0]) cli_json_text(w, "file", nnd_error_file(error));
    if (nnd_error_line(error)) {
        cli_json_int(w, "line", nnd_error_line(error));
        cli_json_int(w, "column", nnd_error_column(error));
    }
    if (nnd_error_node(error)[0]) cli_json_text(w, "node", nnd_error_node(error));
    if (nnd_error_port(error)[0]) cli_json_text(w, "port", nnd_error_port(error));
    if (nnd_error_packet(error) >= 0) cli_json_int(w, "packet", nnd_error_packet(error));
    nnd_json_end_object(w);
}

static void put_error_fields(nnd_json_writer *w, const nnd_error *error)
{
    cli_json_text(w, "status", nnd_status_name(nnd_error_status(error)));
    cli_json_text(w, "message", nnd_error_message(error));
    put_place(w, error);
}

/* The object that stands on stdout in place of a result. */
static void print_error_json(int code, const nnd_error *error, nnd_status status,
                             const char *message, const nnd_diagnostics *diags)
{
    nnd_json_writer *w = NULL;
    if (nnd_json_writer_create(2, &w) != NND_OK) return;
    nnd_json_begin_object(w);
    cli_json_text(w, "schema", "nndeploy.error/1");
    cli_json_int(w, "exit_code", code);
    nnd_json_key(w, "error");
    nnd_json_begin_object(w);
    if (error) {
        put_error_fields(w, error);
    } else {
        cli_json_text(w, "status", nnd_status_name(status));
        cli_json_text(w, "message", message);
        nnd_json_key(w, "place");
        nnd_json_begin_object(w);
        nnd_json_end_object(w);
    }
    nnd_json_key(w, "causes");
    nnd_json_begin_array(w);
    for (const nnd_error *cause = error ? nnd_error_cause(error) : NULL; cause;
         cause = nnd_error_cause(cause)) {
        nnd_json_begin_object(w);
        put_error_fields(w, cause);
        nnd_json_end_object(w);
    }
    nnd_json_end_array(w);
    if (nnd_diagnostics_count(diags)) {
        nnd_json_key(w, "diagnostics");
        nnd_diagnostics_to_json(diags, w);
    }
    nnd_json_end_object(w);
    nnd_json_end_object(w);
    print_json(w);
    nnd_json_writer_destroy(w);
}

int cli_usage(cli *c, const char *format, ...)
{
    nnd_str message = {0};
    va_list args;
    va_start(args, format);
    nnd_str_vprintf(&message, format, args);
    va_end(args);
    const char *text = message.data ? message.data : "wrong command line";
    const char *name = c->command ? c->command->name : NULL;
    fprintf(stderr, "nndeploy%s%s: %s\n", name ? " " : "", name ? name : "", text);
    fprintf(stderr, "'nndeploy help%s%s' shows how it is used.\n", name ? " " : "",
            name ? name : "");
    if (c->json) print_error_json(CLI_USAGE, NULL, NND_E_INVALID_ARGUMENT, text, NULL);
    nnd_str_free(&message);
    return CLI_USAGE;
}

/* Statuses that say "something that should be there is not". NOT_FOUND in a list of findings is
   that only where a node or the compiler looked for a file or device, else it is a wrong name. */
static bool is_missing_resource(const nnd_diagnostic *d)
{
    static const char *const lookups[] = {"prepare", "device", "ref", "file", "ports"};
    if (d->severity != NND_SEVERITY_ERROR) return false;
    /* A type that no known name resembles belongs to a plug-in; else the name is misspelt. */
    if (strcmp(d->code, "unknown-type") == 0) return !d->suggestion[0];
    if (d->status == NND_E_MISSING) return true;
    if (d->status != NND_E_NOT_FOUND) return false;
    for (size_t i = 0; i < NND_COUNT(lookups); i++)
        if (strcmp(d->code, lookups[i]) == 0) return true;
    return false;
}

static bool only_resources_are_missing(const nnd_diagnostics *diags)
{
    for (size_t i = 0; i < nnd_diagnostics_count(diags); i++) {
        const nnd_diagnostic *d = nnd_diagnostics_at(diags, i);
        if (d->severity == NND_SEVERITY_ERROR && !is_missing_resource(d)) return false;
    }
    return true;
}

int cli_exit_code(const cli *c, nnd_status status, const nnd_diagnostics *diags)
{
    if (nnd_diagnostics_error_count(diags))
        return only_resources_are_missing(diags) ? CLI_MISSING : CLI_INVALID;
    switch (status) {
    case NND_OK:
        return CLI_OK;
    case NND_E_CANCELLED:
        return CLI_CANCELLED;
    case NND_E_MISSING:
    case NND_E_NOT_FOUND:
        return CLI_MISSING;
    case NND_E_OUT_OF_MEMORY:
    case NND_E_IO:
    case NND_E_TIMEOUT:
    case NND_E_BACKEND:
    case NND_E_INTERNAL:
        return CLI_FAILED;
    default:
        return c->running ? CLI_FAILED : CLI_INVALID;
    }
}

/* "file:12:9: error: node 'net': …" per finding; those without a file are of the document. */
void cli_print_diagnostics(const cli *c, const nnd_diagnostics *diags)
{
    for (size_t i = 0; i < nnd_diagnostics_count(diags); i++) {
        const nnd_diagnostic *d = nnd_diagnostics_at(diags, i);
        const char *file = d->file[0] ? d->file : c->document ? c->document : "";
        if (file[0]) fprintf(stderr, "%s:", file);
        if (d->line) fprintf(stderr, "%u:%u:", (unsigned)d->line, (unsigned)d->column);
        if (file[0] || d->line) fputc(' ', stderr);
        fputs(d->severity == NND_SEVERITY_ERROR ? "error: " : "warning: ", stderr);
        if (d->node[0]) fprintf(stderr, "node '%s'%s", d->node, d->port[0] ? ", " : ": ");
        if (d->port[0]) fprintf(stderr, "'%s': ", d->port);
        fputs(d->message, stderr);
        if (d->suggestion[0]) fprintf(stderr, " (did you mean '%s'?)", d->suggestion);
        fputc('\n', stderr);
    }
}

int cli_fail(cli *c, nnd_status status, const nnd_diagnostics *diags)
{
    nnd_error *error = nnd_error_take();
    int code = cli_exit_code(c, status, diags);
    cli_watch_end();
    cli_print_diagnostics(c, diags);
    if (nnd_diagnostics_error_count(diags)) {
        size_t n = nnd_diagnostics_error_count(diags);
        fprintf(stderr, "nndeploy: %zu error%s\n", n, n == 1 ? "" : "s");
    } else if (code == CLI_CANCELLED) {
        fputs("nndeploy: cancelled\n", stderr);
    } else {
        char *text = error ? nnd_error_to_string(error) : NULL;
        fprintf(stderr, "nndeploy: error: %s\n", text ? text : nnd_status_text(status));
        nnd_free(text);
    }
    if (c->json) print_error_json(code, error, status, nnd_status_text(status), diags);
    nnd_error_destroy(error);
    return code;
}

int cli_fail_work(cli *c, nnd_status status)
{
    if (cli_watch_interrupted()) status = nnd_error_set(NND_E_CANCELLED, "interrupted");
    return cli_fail(c, status, NULL);
}

void cli_warn(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("nndeploy: warning: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}
