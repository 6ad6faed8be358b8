/* eval: the workflow runs as one session over the samples; results find theirs by number. */
#include "cli/eval.h"

#include "nndeploy/nodes.h"
#include "nndeploy/ops.h"
#include "nndeploy/sched.h"
#include "port/port.h"

#include <string.h>

/* A sample on its way through the workflow. */
typedef struct pushed_sample {
    size_t index;
    int width, height;
    bool answered;
} pushed_sample;

typedef struct driver {
    eval *e;
    cli_session *s;
    nnd_run *run;
    cli_inputs *inputs; /* besides the picture; NULL = none */
    const char *image, *result;
    NND_VEC(pushed_sample) pushed; /* by sequence number */
} driver;

/* ---- opening ----------------------------------------------------------------------------- */

nnd_status eval_open(eval *e, const eval_options *options)
{
    e->options = *options;
    e->dataset.folder = options->dataset;
    if (!nnd_port_dir_exists(options->dataset))
        return nnd_error_set(NND_E_NOT_FOUND, "there is no folder '%s'", options->dataset);
    if (options->labels) NND_TRY(eval_read_names(options->labels, &e->dataset.labels));
    return options->measure->scan(&e->dataset, options->truth);
}

void eval_fini(eval *e)
{
    eval_dataset_fini(&e->dataset);
    for (size_t i = 0; i < e->rows.count; i++)
        nnd_free(e->rows.items[i].name);
    nnd_vec_free(&e->rows);
    nnd_vec_free(&e->figures);
    nnd_vec_free(&e->classes);
    nnd_overlap_fini(&e->overlap);
    nnd_precision_destroy(e->precision);
    nnd_str_free(&e->details);
    nnd_free(e->example);
    nnd_free(e->chosen);
}

/* ---- which input, which output ----------------------------------------------------------- */

const char *eval_image_input(const nnd_workflow *wf, const char *wanted)
{
    for (size_t i = 0; i < nnd_workflow_input_count(wf); i++) {
        const char *name = nnd_workflow_input_name(wf, i), *type = nnd_workflow_input_type(wf, i);
        if (wanted ? strcmp(name, wanted) == 0 : strcmp(type, "image") == 0) return name;
    }
    if (wanted)
        nnd_error_set(NND_E_INVALID_ARGUMENT, "the workflow has no input '%s'", wanted);
    else
        nnd_error_set(NND_E_INVALID_ARGUMENT, "no input of the workflow takes an image");
    return NULL;
}

static bool fits(const eval_measure *m, const char *type)
{
    for (size_t i = 0; i < NND_COUNT(m->results); i++)
        if (nnd_str_equal(type, m->results[i])) return true;
    return false;
}

static nnd_status find_result(driver *d, const nnd_plan *plan)
{
    const eval_measure *m = d->e->options.measure;
    const char *wanted = d->e->options.result;
    for (size_t i = 0; i < nnd_plan_output_count(plan) && !d->result; i++) {
        const char *name = nnd_plan_output_name(plan, i), *type = nnd_plan_output_type(plan, i);
        if (wanted ? strcmp(name, wanted) == 0 : fits(m, type)) d->result = name;
    }
    if (d->result) return NND_OK;
    if (wanted)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "the workflow has no output '%s'", wanted);
    return nnd_error_set(NND_E_INVALID_ARGUMENT, "no output of the workflow is of type %s%s%s",
                         m->results[0], m->results[1] ? " or " : "",
                         m->results[1] ? m->results[1] : "");
}

/* ---- the session ------------------------------------------------------------------------- */

/* What must not be blamed on a sample. */
static bool is_fatal(nnd_status status)
{
    return status == NND_E_OUT_OF_MEMORY || status == NND_E_CANCELLED;
}

/* Keeps the error as the sample's problem. */
static nnd_status blame(eval_sample *s, nnd_status status)
{
    if (status == NND_OK || is_fatal(status)) return status;
    nnd_error *error = nnd_error_take();
    char *text = error ? nnd_error_to_string(error) : NULL;
    nnd_error_destroy(error);
    status = eval_set_problem(s, "%s", text ? text : nnd_status_text(status));
    nnd_free(text);
    return status;
}

/* One line of JSON per sample, in the order of their results. */
static nnd_status write_details(eval *e, const eval_sample *s, nnd_json_writer *w)
{
    char *text = NULL;
    size_t size = 0;
    if (s->problem) cli_json_text(w, "problem", s->problem);
    nnd_json_end_object(w);
    NND_TRY(nnd_json_writer_take(w, &text, &size));
    nnd_str_add_n(&e->details, text, size);
    nnd_str_add_char(&e->details, '\n');
    nnd_free(text);
    return e->details.failed ? cli_no_memory() : NND_OK;
}

/* Measures a sample; result NULL when it has a problem already. */
static nnd_status measure(eval *e, eval_sample *s, const nnd_value *result, int width, int height)
{
    nnd_json_writer *w = NULL;
    nnd_status status = NND_OK;
    if (e->options.details) {
        NND_TRY(nnd_json_writer_create(0, &w));
        nnd_json_begin_object(w);
        cli_json_text(w, "sample", s->name);
    }
    if (result) {
        status = e->options.measure->add(e, s, result, width, height, w);
        e->measured += status == NND_OK;
        status = blame(s, status);
    }
    if (status == NND_OK && w) status = write_details(e, s, w);
    nnd_json_writer_destroy(w);
    return status;
}

static nnd_status take_answer(driver *d, const nnd_value *value)
{
    const int64_t number = nnd_value_header(value)->sequence;
    if (!fits(d->e->options.measure, nnd_value_type_name(value)))
        return nnd_error_set(NND_E_TYPE, "output '%s' is %s, which %s does not measure", d->result,
                             nnd_value_type_name(value), d->e->options.measure->name);
    if (number < 0 || (size_t)number >= d->pushed.count || d->pushed.items[number].answered)
        return nnd_error_set(NND_E_TYPE, "output '%s' gives more than one result for a picture",
                             d->result);
    pushed_sample *p = &d->pushed.items[number];
    p->answered = true;
    return measure(d->e, &d->e->dataset.samples.items[p->index], value, p->width, p->height);
}

/* Takes the results that are there, and those that nobody asked for, which would fill up. */
static nnd_status take_answers(driver *d)
{
    for (size_t i = 0; i < nnd_plan_output_count(d->s->plan); i++) {
        const char *output = nnd_plan_output_name(d->s->plan, i);
        for (;;) {
            nnd_value *value = NULL;
            nnd_status status = nnd_run_pop(d->run, output, &value);
            if (status == NND_E_AGAIN || status == NND_E_CLOSED) break;
            NND_TRY(status);
            if (strcmp(output, d->result) == 0) status = take_answer(d, value);
            nnd_value_unref(value);
            NND_TRY(status);
        }
    }
    nnd_error_clear();
    return NND_OK;
}

static nnd_status push_others(driver *d)
{
    for (size_t i = 0; d->inputs && i < d->inputs->count; i++) {
        nnd_value *value = NULL;
        if (strcmp(d->inputs->items[i].name, d->image) == 0) continue;
        NND_TRY(cli_inputs_read(d->inputs, i, 0, &value));
        nnd_status status = value ? nnd_run_push(d->run, d->inputs->items[i].name, value) : NND_OK;
        nnd_value_unref(value);
        NND_TRY(status);
    }
    return NND_OK;
}

static nnd_status push_sample(driver *d, size_t index)
{
    eval_sample *s = &d->e->dataset.samples.items[index];
    nnd_value *value = NULL;
    nnd_status status = NND_OK;
    if (!s->problem) {
        char *path = nnd_strf("%s/%s", d->e->dataset.folder, s->name);
        if (!path) return cli_no_memory();
        status = blame(s, nnd_value_read_file(path, "image", &value));
        nnd_free(path);
    }
    if (status != NND_OK || !value) return status == NND_OK ? measure(d->e, s, NULL, 0, 0) : status;
    const nnd_image *image = nnd_value_image(value);
    const pushed_sample pushed = {index, image->width, image->height, false};
    status =
        nnd_vec_push(&d->pushed, pushed) ? nnd_run_push(d->run, d->image, value) : cli_no_memory();
    nnd_value_unref(value);
    return status == NND_OK ? push_others(d) : status;
}

/* What the workflow swallowed has a problem, too. */
static nnd_status name_missing(driver *d)
{
    for (size_t i = 0; i < d->pushed.count; i++) {
        eval_sample *s = &d->e->dataset.samples.items[d->pushed.items[i].index];
        if (d->pushed.items[i].answered) continue;
        NND_TRY(eval_set_problem(s, "the workflow gave no result for it"));
        NND_TRY(measure(d->e, s, NULL, 0, 0));
    }
    return NND_OK;
}

static nnd_status work(driver *d)
{
    const eval *e = d->e;
    for (size_t i = 0; i < e->chosen_count; i++) {
        cli_watch_progress("measuring", (double)i, (double)e->chosen_count);
        NND_TRY(push_sample(d, e->chosen[i]));
        NND_TRY(take_answers(d));
    }
    NND_TRY(nnd_run_drain(d->run));
    NND_TRY(take_answers(d));
    NND_TRY(nnd_run_close(d->run));
    return name_missing(d);
}

/* ---- the whole --------------------------------------------------------------------------- */

/* All samples, or as many as are wanted, evenly spread: classes follow each other in folders. */
static nnd_status choose(eval *e)
{
    const size_t all = e->dataset.samples.count, limit = e->options.limit;
    const size_t count = limit && limit < all ? limit : all;
    e->chosen = nnd_calloc(count + 1, sizeof *e->chosen);
    if (!e->chosen) return cli_no_memory();
    for (size_t i = 0; i < count; i++)
        e->chosen[i] = (size_t)((double)i * (double)all / (double)count);
    e->chosen_count = count;
    return NND_OK;
}

size_t eval_broken(const eval *e)
{
    size_t broken = 0;
    for (size_t i = 0; i < e->chosen_count; i++)
        broken += e->dataset.samples.items[e->chosen[i]].problem != NULL;
    return broken;
}

static nnd_status refuse_nothing(const eval *e)
{
    if (e->measured) return NND_OK;
    const eval_sample *s = &e->dataset.samples.items[e->chosen[0]];
    return nnd_error_set(NND_E_FORMAT, "none of %zu samples can be measured; '%s': %s",
                         e->chosen_count, s->name, s->problem ? s->problem : "");
}

/* A failure of the run says which picture it was about. */
static nnd_status name_sample(const driver *d, nnd_status status)
{
    nnd_error *error = nnd_error_take();
    const int64_t number = error ? nnd_error_packet(error) : -1;
    if (error) nnd_error_restore(error);
    nnd_error_destroy(error);
    if (number < 0 || (size_t)number >= d->pushed.count) return status;
    return nnd_error_wrap(status, "sample '%s'",
                          d->e->dataset.samples.items[d->pushed.items[number].index].name);
}

static nnd_status run_session(driver *d, nnd_cancel *cancel)
{
    nnd_run_options options = NND_RUN_OPTIONS_INIT;
    options.io = d->s->io;
    options.cancel = cancel;
    options.threads = (int)cli_int(d->s->c, "threads", 0);
    NND_TRY(nnd_run_create(d->s->plan, &options, &d->run));
    d->s->c->running = true;
    nnd_status status = work(d);
    if (status != NND_OK) return name_sample(d, cli_session_failure(d->s, d->run, cancel, status));
    d->s->c->running = false;
    return status;
}

nnd_status eval_run(eval *e, cli_session *s, cli_inputs *inputs, nnd_cancel *cancel)
{
    driver d = {.e = e, .s = s, .inputs = inputs};
    d.image = eval_image_input(s->wf, e->options.image);
    if (!d.image) return NND_E_INVALID_ARGUMENT;
    NND_TRY(find_result(&d, s->plan));
    NND_TRY(choose(e));
    if (e->options.measure->begin) NND_TRY(e->options.measure->begin(e));
    const int64_t begin = nnd_clock_now();
    nnd_status status = run_session(&d, cancel);
    e->milliseconds = (double)(nnd_clock_now() - begin) / 1e6;
    nnd_run_destroy(d.run);
    nnd_vec_free(&d.pushed);
    NND_TRY(status);
    NND_TRY(refuse_nothing(e));
    return e->options.measure->end(e);
}
