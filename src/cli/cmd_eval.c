/* eval: accuracy of a workflow over a folder whose truth is known. */
#include "cli/eval.h"

#include "base/port_status.h"
#include "port/port.h"

#include <math.h>
#include <string.h>

typedef struct eval_job {
    cli *c;
    cli_session session;
    cli_inputs inputs;
    nnd_cancel *cancel;
    eval e;
} eval_job;

/* ---- what was asked for ------------------------------------------------------------------ */

static eval_options options_of(const cli *c)
{
    const char *metric = cli_text(c, "metric", "");
    return (eval_options){.measure = eval_measure_find(metric),
                          .dataset = cli_text(c, "dataset", "."),
                          .truth = cli_text(c, "truth", NULL),
                          .labels = cli_text(c, "labels", NULL),
                          .image = cli_text(c, "image", NULL),
                          .result = cli_text(c, "result", NULL),
                          .limit = (size_t)cli_int(c, "limit", 0),
                          .ignore = (int)cli_int(c, "ignore", 255),
                          .details = cli_has(c, "output")};
}

/* A long run should not find at its end that it has nowhere to write to. */
static int check_output(cli *c)
{
    const char *path = cli_text(c, "output", NULL);
    char *folder = NULL;
    if (!path) return CLI_OK;
    if (nnd_port_dir_exists(path)) return cli_usage(c, "option '--output': '%s' is a folder", path);
    nnd_status status = nnd_folder_of(path, "cannot write the samples to", &folder);
    nnd_free(folder);
    return status == NND_OK ? CLI_OK : cli_fail(c, status, NULL);
}

/* Constant values of the other inputs. */
static int read_inputs(eval_job *j)
{
    const nnd_workflow *wf = j->session.wf;
    const char *image = eval_image_input(wf, cli_text(j->c, "image", NULL));
    if (!image) return cli_fail(j->c, NND_E_INVALID_ARGUMENT, NULL);
    int code = cli_inputs_init(j->c, wf, image, &j->inputs);
    if (code != CLI_OK) return code;
    if (j->inputs.packets > 1)
        return cli_usage(j->c, "option '--input': an input has one value for all samples");
    for (size_t i = 0; i < j->inputs.count; i++)
        if (strcmp(j->inputs.items[i].name, image) == 0 && j->inputs.items[i].sources.count)
            return cli_usage(j->c, "option '--input': '%s' takes the samples", image);
    return CLI_OK;
}

/* ---- the result -------------------------------------------------------------------------- */

static const eval_sample *broken_at(const eval *e, size_t i)
{
    const eval_sample *s = &e->dataset.samples.items[e->chosen[i]];
    return s->problem ? s : NULL;
}

static void put_number(nnd_json_writer *w, const char *key, double value, bool is_count)
{
    nnd_json_key(w, key);
    if (isnan(value))
        nnd_json_put_null(w);
    else if (is_count)
        nnd_json_put_int(w, (int64_t)value);
    else
        nnd_json_put_number(w, value);
}

static void put_classes(const eval *e, nnd_json_writer *w)
{
    const char *const *heads = e->options.measure->row_heads;
    nnd_json_key(w, "classes");
    nnd_json_begin_array(w);
    for (size_t i = 0; i < e->rows.count; i++) {
        const eval_row *row = &e->rows.items[i];
        nnd_json_begin_object(w);
        cli_json_text(w, "name", row->name);
        cli_json_int(w, heads[0], (int64_t)row->count);
        for (size_t k = 1; k < 3 && heads[k]; k++)
            put_number(w, heads[k], row->values[k - 1], false);
        nnd_json_end_object(w);
    }
    nnd_json_end_array(w);
}

static void put_result(const eval_job *j, nnd_json_writer *w)
{
    const eval *e = &j->e;
    cli_json_text(w, "workflow", nnd_workflow_name(j->session.wf));
    cli_json_text(w, "dataset", e->dataset.folder);
    cli_json_text(w, "metric", e->options.measure->name);
    cli_json_int(w, "samples", (int64_t)e->dataset.samples.count);
    cli_json_int(w, "tried", (int64_t)e->chosen_count);
    cli_json_int(w, "measured", (int64_t)e->measured);
    nnd_json_key(w, "figures");
    nnd_json_begin_object(w);
    for (size_t i = 0; i < e->figures.count; i++)
        put_number(w, e->figures.items[i].name, e->figures.items[i].value,
                   e->figures.items[i].is_count);
    nnd_json_end_object(w);
    put_classes(e, w);
    nnd_json_key(w, "broken");
    nnd_json_begin_array(w);
    for (size_t i = 0; i < e->chosen_count; i++) {
        const eval_sample *s = broken_at(e, i);
        if (!s) continue;
        nnd_json_begin_object(w);
        cli_json_text(w, "sample", s->name);
        cli_json_text(w, "problem", s->problem);
        nnd_json_end_object(w);
    }
    nnd_json_end_array(w);
    cli_json_number(w, "milliseconds", e->milliseconds);
}

static void add_number(cli_table *table, double value)
{
    if (isnan(value))
        cli_table_add(table, "-");
    else
        cli_table_addf(table, "%.4f", value);
}

static void print_classes(const eval *e)
{
    const char *const *heads = e->options.measure->row_heads;
    cli_table table = {.columns = heads[2] ? 4u : 3u, .right = 0xeu};
    if (!e->rows.count) return;
    putchar('\n');
    cli_table_add(&table, "class");
    for (size_t k = 0; k < 3 && heads[k]; k++)
        cli_table_add(&table, heads[k]);
    for (size_t i = 0; i < e->rows.count; i++) {
        const eval_row *row = &e->rows.items[i];
        cli_table_add(&table, row->name);
        cli_table_addf(&table, "%llu", (unsigned long long)row->count);
        for (size_t k = 1; k < 3 && heads[k]; k++)
            add_number(&table, row->values[k - 1]);
    }
    cli_table_print(&table, "");
}

static void print_result(const eval_job *j)
{
    const eval *e = &j->e;
    cli_table table = {.columns = 2, .right = 2u};
    for (size_t i = 0; i < e->figures.count; i++) {
        const eval_figure *f = &e->figures.items[i];
        cli_table_add(&table, f->name);
        if (f->is_count)
            cli_table_addf(&table, "%.0f", f->value);
        else
            add_number(&table, f->value);
    }
    cli_table_add(&table, "measured");
    cli_table_addf(&table, "%zu", e->measured);
    cli_table_print(&table, "");
    if (cli_has(j->c, "classes")) print_classes(e);
}

/* Samples without a figure are named, and results that can never be right. */
static void warn_about_samples(const eval *e)
{
    size_t named = 0, broken = eval_broken(e);
    for (size_t i = 0; i < e->chosen_count && named < 10; i++) {
        const eval_sample *s = broken_at(e, i);
        if (!s) continue;
        cli_warn("'%s': %s", s->name, s->problem);
        named++;
    }
    if (broken > named) cli_warn("and %zu more", broken - named);
    if (broken)
        cli_warn("%zu of %zu samples could not be measured; the figures are of the others", broken,
                 e->chosen_count);
    if (e->example && !e->any_known)
        cli_warn("no label of the results is a class of the data set, '%s' for example; --labels "
                 "gives the data set's names of the class ids",
                 e->example);
}

static int deliver(eval_job *j)
{
    cli *c = j->c;
    const eval *e = &j->e;
    const char *path = cli_text(c, "output", NULL);
    nnd_status status = NND_OK;
    cli_watch_end();
    if (c->json) {
        nnd_json_writer *w = cli_json_begin(c, "eval");
        if (w) put_result(j, w);
        status = w ? NND_OK : NND_E_OUT_OF_MEMORY;
    }
    if (status == NND_OK && path)
        status =
            nnd_error_from_port(nnd_port_file_write_atomic(path, e->details.data, e->details.size),
                                "cannot write the samples", path);
    if (status != NND_OK) return cli_fail(c, status, NULL);
    warn_about_samples(e);
    const int code = eval_broken(e) && !cli_has(c, "skip-broken") ? CLI_INVALID : CLI_OK;
    if (c->json) return cli_json_end(c, code);
    print_result(j);
    return code;
}

/* ---- the command ------------------------------------------------------------------------- */

static int eval_work(eval_job *j)
{
    cli *c = j->c;
    const eval_options options = options_of(c);
    int code = cli_session_load(c, cli_operand(c, 0), &j->session);
    if (code == CLI_OK) code = check_output(c);
    if (code == CLI_OK) code = read_inputs(j);
    if (code != CLI_OK) return code;
    nnd_status status = cli_watch_begin(c, &j->cancel);
    cli_watch_progress("looking for samples", 0, 0);
    if (status == NND_OK) status = eval_open(&j->e, &options);
    if (status != NND_OK) return cli_fail_work(c, status);
    status = cli_session_compile(&j->session, NULL, 0, NND_RUN_DEFAULT, j->cancel);
    if (status != NND_OK) {
        status = cli_session_failure(&j->session, NULL, j->cancel, status);
        return cli_fail(c, status, j->session.plan ? NULL : j->session.diags);
    }
    cli_print_diagnostics(c, j->session.diags);
    status = eval_run(&j->e, &j->session, &j->inputs, j->cancel);
    return status == NND_OK ? deliver(j) : cli_fail_work(c, status);
}

int cli_run_eval(cli *c)
{
    eval_job j = {.c = c};
    int code = eval_work(&j);
    cli_watch_end();
    eval_fini(&j.e);
    cli_inputs_fini(&j.inputs);
    cli_session_fini(&j.session);
    return code;
}
