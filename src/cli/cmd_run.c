/* run: a workflow from the command line. */
#include "cli/session.h"
#include "cli/values.h"

#include "base/port_status.h"
#include "nndeploy/ops.h"
#include "nndeploy/sched.h"
#include "port/port.h"

#include <string.h>

typedef struct job {
    cli *c;
    cli_session session;
    nnd_cancel *cancel;
    cli_inputs inputs;
    cli_outputs outputs;
    nnd_run *run;
    size_t pushed;
    double milliseconds;
} job;

/* ---- before the run ---------------------------------------------------------------------- */

static nnd_run_mode mode_of(const cli *c)
{
    const char *mode = cli_text(c, "mode", "");
    if (strcmp(mode, "serial") == 0) return NND_RUN_SERIAL;
    if (strcmp(mode, "task") == 0) return NND_RUN_TASK;
    return strcmp(mode, "pipeline") == 0 ? NND_RUN_PIPELINE : NND_RUN_DEFAULT;
}

/* The plan knows what the outputs are: a name that no picture can have is refused before work. */
static int check_output_types(job *j)
{
    for (size_t i = 0; i < nnd_plan_output_count(j->session.plan) && i < j->outputs.count; i++) {
        const char *pattern = j->outputs.items[i].pattern;
        if (!pattern || strcmp(nnd_plan_output_type(j->session.plan, i), "image") != 0) continue;
        if (nnd_image_codec_writes(nnd_image_codec_from_name(pattern))) continue;
        if (nnd_str_ends_with(pattern, ".json")) continue;
        return cli_usage(j->c, "output '%s' is an image: '%s' should end in .jpg, .png or .bmp",
                         j->outputs.items[i].name, pattern);
    }
    return CLI_OK;
}

/* ---- the run ----------------------------------------------------------------------------- */

static void on_event(void *user, const nnd_event *event)
{
    const job *j = user;
    /* A node's own measure is better than nothing when packets cannot be counted. */
    if (event->kind == NND_EVENT_PROGRESS && j->inputs.packets <= 1)
        cli_watch_progress("running", event->done, event->total);
}

static nnd_status create_run(job *j)
{
    cli *c = j->c;
    nnd_run_options options = NND_RUN_OPTIONS_INIT;
    double seconds = cli_number(c, "deadline", 0);
    options.io = j->session.io;
    options.cancel = j->cancel;
    if (seconds > 0) options.deadline_ns = nnd_clock_now() + (int64_t)(seconds * 1e9);
    options.seed = (uint64_t)cli_int(c, "seed", 0);
    options.threads = (int)cli_int(c, "threads", 0);
    options.on_event = on_event;
    options.user = j;
    options.trace = cli_has(c, "trace");
    return nnd_run_create(j->session.plan, &options, &j->run);
}

/* Takes what is there; *moved when there was something. */
static nnd_status take_results(job *j, bool *moved)
{
    for (size_t i = 0; i < j->outputs.count; i++) {
        cli_output *output = &j->outputs.items[i];
        while (!output->closed) {
            nnd_value *value = NULL;
            nnd_status status = nnd_run_pop(j->run, output->name, &value);
            if (status == NND_E_AGAIN) break;
            if (status == NND_E_CLOSED) {
                output->closed = true;
                break;
            }
            NND_TRY(status);
            *moved = true;
            status = cli_outputs_add(j->c, output, value);
            nnd_value_unref(value);
            NND_TRY(status);
        }
    }
    return NND_OK;
}

/* Failures while a file of the user is read are those of the input, not of the run. */
static nnd_status push_packet(job *j, size_t packet)
{
    for (size_t i = 0; i < j->inputs.count; i++) {
        nnd_value *value = NULL;
        j->c->running = false;
        NND_TRY(cli_inputs_read(&j->inputs, i, packet, &value));
        j->c->running = true;
        if (!value) continue;
        nnd_status status = nnd_run_push(j->run, j->inputs.items[i].name, value);
        nnd_value_unref(value);
        NND_TRY(status);
    }
    j->pushed++;
    return NND_OK;
}

static nnd_status work(job *j)
{
    bool moved = true;
    for (size_t i = 0; i < j->inputs.packets; i++) {
        if (j->inputs.packets > 1)
            cli_watch_progress("running", (double)i, (double)j->inputs.packets);
        NND_TRY(push_packet(j, i));
        NND_TRY(take_results(j, &moved));
    }
    NND_TRY(nnd_run_end(j->run, NULL));
    while (moved) {
        moved = false;
        NND_TRY(take_results(j, &moved));
    }
    NND_TRY(nnd_run_drain(j->run));
    NND_TRY(take_results(j, &moved));
    return nnd_run_close(j->run);
}

static int run_failed(job *j, nnd_status status)
{
    status = cli_session_failure(&j->session, j->run, j->cancel, status);
    return cli_fail(j->c, status, j->session.plan ? NULL : j->session.diags);
}

/* ---- after the run ----------------------------------------------------------------------- */

static nnd_status trace_to_file(const job *j, const char *path)
{
    nnd_json_writer *w = NULL;
    char *text = NULL;
    size_t size = 0;
    NND_TRY(nnd_json_writer_create(0, &w));
    nnd_status status = nnd_run_trace_to_json(j->run, w);
    if (status == NND_OK) status = nnd_json_writer_take(w, &text, &size);
    nnd_json_writer_destroy(w);
    NND_TRY(status);
    int rc = nnd_port_file_write_atomic(path, text, size);
    nnd_free(text);
    return nnd_error_from_port(rc, "cannot write the trace", path);
}

static nnd_status stats_doc(const job *j, nnd_json_doc **out)
{
    nnd_json_writer *w = NULL;
    NND_TRY(nnd_json_writer_create(0, &w));
    nnd_status status = nnd_run_stats_to_json(j->run, w);
    if (status == NND_OK) return cli_json_reread(w, out);
    nnd_json_writer_destroy(w);
    return status;
}

static void print_stats(const nnd_json *stats)
{
    cli_table table = {.columns = 5, .right = 0x1eu};
    static const char *const heads[] = {"NODE", "PACKETS", "TOTAL ms", "MIN ms", "MAX ms"};
    static const char *const keys[] = {"ms_total", "ms_min", "ms_max"};
    const nnd_json *nodes = nnd_json_get(stats, "nodes");
    for (size_t i = 0; i < NND_COUNT(heads); i++)
        cli_table_add(&table, heads[i]);
    for (size_t i = 0; i < nnd_json_count(nodes); i++) {
        const nnd_json *node = nnd_json_at(nodes, i);
        cli_table_add(&table, nnd_json_string(nnd_json_get(node, "node"), ""));
        cli_table_addf(&table, "%.0f", nnd_json_number(nnd_json_get(node, "packets"), 0));
        for (size_t k = 0; k < NND_COUNT(keys); k++)
            cli_table_addf(&table, "%.3f", nnd_json_number(nnd_json_get(node, keys[k]), 0));
    }
    cli_table_print(&table, "");
    printf("copies %.0f, between devices %.0f, bytes %.0f\n",
           nnd_json_number(nnd_json_get(stats, "copies"), 0),
           nnd_json_number(nnd_json_get(stats, "transfers"), 0),
           nnd_json_number(nnd_json_get(stats, "bytes"), 0));
}

/* Packets that nodes with on_error were allowed to lose. */
static void warn_about_errors(const job *j)
{
    size_t count = nnd_run_error_count(j->run);
    for (size_t i = 0; i < count && i < 10; i++) {
        char *text = nnd_error_to_string(nnd_run_error_at(j->run, i));
        if (text) cli_warn("%s", text);
        nnd_free(text);
    }
    if (count > 10) cli_warn("and %zu more", count - 10);
}

static nnd_status print_text(const job *j)
{
    nnd_json_doc *stats = NULL;
    for (size_t i = 0; i < j->outputs.count; i++) {
        const cli_output *output = &j->outputs.items[i];
        if (!output->results.count) printf("%s: nothing\n", output->name);
        for (size_t k = 0; k < output->results.count; k++) {
            const cli_result *r = &output->results.items[k];
            if (r->path)
                printf("%s: %s%s%s -> %s\n", output->name, r->type, r->about[0] ? " " : "",
                       r->about, r->path);
            else
                fputs(r->text, stdout);
        }
    }
    if (!cli_has(j->c, "stats")) return NND_OK;
    NND_TRY(stats_doc(j, &stats));
    putchar('\n');
    print_stats(nnd_json_root(stats));
    printf("%zu packet%s in %.1f ms\n", j->pushed, j->pushed == 1 ? "" : "s", j->milliseconds);
    nnd_json_destroy(stats);
    return NND_OK;
}

static nnd_status put_output(nnd_json_writer *w, const cli_output *output)
{
    nnd_json_key(w, output->name);
    nnd_json_begin_array(w);
    for (size_t k = 0; k < output->results.count; k++) {
        const cli_result *r = &output->results.items[k];
        nnd_json_begin_object(w);
        cli_json_text(w, "type", r->type);
        if (r->about[0]) cli_json_text(w, "about", r->about);
        if (r->path) cli_json_text(w, "file", r->path);
        if (r->text) {
            nnd_json_key(w, "value");
            NND_TRY(cli_json_raw(w, r->text, strlen(r->text)));
        }
        nnd_json_end_object(w);
    }
    nnd_json_end_array(w);
    return NND_OK;
}

static void put_errors(const job *j, nnd_json_writer *w)
{
    nnd_json_key(w, "errors");
    nnd_json_begin_array(w);
    for (size_t i = 0; i < nnd_run_error_count(j->run); i++) {
        const nnd_error *error = nnd_run_error_at(j->run, i);
        nnd_json_begin_object(w);
        cli_json_text(w, "status", nnd_status_name(nnd_error_status(error)));
        cli_json_text(w, "message", nnd_error_message(error));
        cli_json_text(w, "node", nnd_error_node(error));
        cli_json_int(w, "packet", nnd_error_packet(error));
        nnd_json_end_object(w);
    }
    nnd_json_end_array(w);
}

static nnd_status make_json(job *j, nnd_json_writer *w)
{
    cli_json_text(w, "workflow", nnd_workflow_name(j->session.wf));
    nnd_json_key(w, "outputs");
    nnd_json_begin_object(w);
    for (size_t i = 0; i < j->outputs.count; i++)
        NND_TRY(put_output(w, &j->outputs.items[i]));
    nnd_json_end_object(w);
    put_errors(j, w);
    cli_json_int(w, "packets", (int64_t)j->pushed);
    cli_json_number(w, "milliseconds", j->milliseconds);
    if (!cli_has(j->c, "stats")) return NND_OK;
    nnd_json_doc *stats = NULL;
    NND_TRY(stats_doc(j, &stats));
    nnd_json_key(w, "stats");
    nnd_json_put_json(w, nnd_json_root(stats));
    nnd_json_destroy(stats);
    return NND_OK;
}

static int deliver(job *j)
{
    cli *c = j->c;
    const char *trace = cli_text(c, "trace", NULL);
    size_t most = 0;
    cli_watch_end();
    for (size_t i = 0; i < j->outputs.count; i++)
        if (j->outputs.items[i].results.count > most) most = j->outputs.items[i].results.count;
    int code = cli_outputs_check_packets(c, &j->outputs, most);
    if (code != CLI_OK) return code;
    nnd_status status = NND_OK;
    /* The JSON is made before files appear, so that nothing can fail behind them. */
    if (c->json) {
        nnd_json_writer *w = cli_json_begin(c, "run");
        status = w ? make_json(j, w) : NND_E_OUT_OF_MEMORY;
    }
    if (status == NND_OK) status = cli_outputs_write(&j->outputs);
    if (status == NND_OK && trace) status = trace_to_file(j, trace);
    if (status == NND_OK && !c->json) status = print_text(j);
    if (status != NND_OK) return cli_fail(c, status, NULL);
    warn_about_errors(j);
    return c->json ? cli_json_end(c, CLI_OK) : CLI_OK;
}

static int run_job(job *j)
{
    cli *c = j->c;
    int code = cli_session_load(c, cli_operand(c, 0), &j->session);
    const nnd_workflow *wf = j->session.wf;
    if (code == CLI_OK) code = cli_inputs_init(c, wf, NULL, &j->inputs);
    if (code == CLI_OK) code = cli_outputs_init(c, wf, &j->outputs);
    if (code == CLI_OK) code = cli_outputs_check_packets(c, &j->outputs, j->inputs.packets);
    if (code != CLI_OK) return code;
    nnd_status status = cli_watch_begin(c, &j->cancel);
    if (status == NND_OK)
        status = cli_session_compile(&j->session, j->outputs.folders, j->outputs.folder_count,
                                     mode_of(c), j->cancel);
    if (status != NND_OK) return run_failed(j, status);
    code = check_output_types(j);
    if (code != CLI_OK) return code;
    cli_print_diagnostics(c, j->session.diags);
    int64_t begin = nnd_clock_now();
    cli_watch_progress("running", 0, 0);
    c->running = true;
    status = create_run(j);
    if (status == NND_OK) status = work(j);
    if (status != NND_OK) return run_failed(j, status);
    j->milliseconds = (double)(nnd_clock_now() - begin) / 1e6;
    return deliver(j);
}

int cli_run_run(cli *c)
{
    job j = {.c = c};
    int code = run_job(&j);
    nnd_run_destroy(j.run);
    cli_watch_end();
    cli_inputs_fini(&j.inputs);
    cli_outputs_fini(&j.outputs);
    cli_session_fini(&j.session);
    return code;
}
