#include "cli/calibrate.h"

#include "base/port_status.h"
#include "cli/eval.h"
#include "nndeploy/nodes.h"
#include "nndeploy/ops.h"
#include "nodes/infer/plan_models.h"
#include "port/port.h"

#include <string.h>

enum { MAX_DEPTH = 8, DEFAULT_LIMIT = 100 };

typedef struct calibration {
    cli *c;
    nnd_quantize *q;
    const char *model_path;
    nnd_cancel *cancel;
    size_t limit;
    NND_VEC(char *) files; /* pictures, .npy files, or folders with one for each input */
    const char *current;
    cli_session session;
    cli_inputs inputs;
    NND_VEC(char *) nodes; /* of the workflow, that run the model */
    nnd_error *error;      /* of the quantiser, while the workflow runs */
    nnd_port_mutex lock;
} calibration;

/* ---- files --------------------------------------------------------------------------------- */

static nnd_status add_file(calibration *k, char *take_path)
{
    if (take_path && nnd_vec_push(&k->files, take_path)) return NND_OK;
    nnd_free(take_path);
    return cli_no_memory();
}

static bool is_picture(const char *path)
{
    return nnd_image_codec_from_name(path) != NND_CODEC_NONE;
}

static bool is_tensor(const char *path)
{
    return nnd_str_ends_with(path, ".npy");
}

static nnd_status scan(calibration *k, const char *folder, bool (*fits)(const char *path),
                       int depth);

/* Folders of pictures are looked through to the bottom. For a model with several inputs a folder in
   the folder is a sample. */
static nnd_status scan_entry(calibration *k, const char *path, bool (*fits)(const char *path),
                             int depth)
{
    const bool many = !fits(".npy") ? false : nnd_model_input_count(nnd_quantize_model(k->q)) > 1;
    char *copy = NULL;
    if (nnd_port_dir_exists(path)) {
        if (many) return (copy = nnd_strdup(path)) ? add_file(k, copy) : cli_no_memory();
        return depth < MAX_DEPTH ? scan(k, path, fits, depth + 1) : NND_OK;
    }
    if (many || !fits(path)) return NND_OK;
    copy = nnd_strdup(path);
    return copy ? add_file(k, copy) : cli_no_memory();
}

static nnd_status scan(calibration *k, const char *folder, bool (*fits)(const char *path),
                       int depth)
{
    nnd_port_dir_list list = {0};
    NND_TRY(nnd_error_from_port(nnd_port_dir_read(folder, &list), "cannot list folder", folder));
    nnd_status status = NND_OK;
    for (size_t i = 0; i < list.count && status == NND_OK; i++) {
        if (list.names[i][0] == '.') continue;
        char *path = nnd_strf("%s/%s", folder, list.names[i]);
        status = path ? scan_entry(k, path, fits, depth) : cli_no_memory();
        nnd_free(path);
    }
    nnd_port_dir_list_free(&list);
    return status;
}

/* All files, or as many as are wanted, evenly spread: classes follow each other in folders. */
static void spread(calibration *k)
{
    const size_t all = k->files.count;
    if (all <= k->limit) return;
    size_t kept = 0;
    for (size_t i = 0; i < all; i++) {
        char *file = k->files.items[i];
        const size_t wanted = (size_t)((double)kept * (double)all / (double)k->limit);
        if (kept < k->limit && i == wanted)
            k->files.items[kept++] = file;
        else
            nnd_free(file);
    }
    k->files.count = kept;
}

static nnd_status collect(calibration *k, bool (*fits)(const char *path), const char *what)
{
    cli *c = k->c;
    for (size_t i = 0; i < cli_count(c, "calibrate"); i++) {
        const char *path = cli_nth(c, "calibrate", i);
        const bool folder = nnd_port_dir_exists(path);
        if (!folder && !nnd_port_file_exists(path))
            return nnd_error_set(NND_E_NOT_FOUND, "option '--calibrate': there is no '%s'", path);
        const size_t before = k->files.count;
        NND_TRY(folder ? scan(k, path, fits, 0) : scan_entry(k, path, fits, 0));
        if (k->files.count == before)
            return nnd_error_set(NND_E_NOT_FOUND, "option '--calibrate': '%s' holds no %s", path,
                                 what);
    }
    spread(k);
    return NND_OK;
}

/* ---- tensors ------------------------------------------------------------------------------- */

static nnd_status read_sample(const calibration *k, const char *path, nnd_value **values)
{
    const nnd_model *model = nnd_quantize_model(k->q);
    if (!nnd_port_dir_exists(path)) return nnd_value_read_file(path, "tensor", &values[0]);
    for (size_t i = 0; i < nnd_model_input_count(model); i++) {
        const nnd_model_port *port = nnd_model_input(model, i);
        char safe[224];
        nnd_io_safe_name(port->name, safe, sizeof safe);
        char *file = nnd_strf("%s/%s.npy", path, safe);
        if (!file) return cli_no_memory();
        const bool there = nnd_port_file_exists(file);
        nnd_status status =
            there || !port->optional ? nnd_value_read_file(file, "tensor", &values[i]) : NND_OK;
        nnd_free(file);
        NND_TRY(status);
    }
    return NND_OK;
}

static nnd_status add_tensors(calibration *k)
{
    const size_t count = nnd_model_input_count(nnd_quantize_model(k->q));
    nnd_value **values = nnd_calloc(count + 1, sizeof(nnd_value *));
    nnd_status status = values ? NND_OK : cli_no_memory();
    for (size_t i = 0; i < k->files.count && status == NND_OK; i++) {
        cli_watch_progress("calibrating", (double)i, (double)k->files.count);
        status = read_sample(k, k->files.items[i], values);
        if (status == NND_OK) status = nnd_quantize_add(k->q, k->files.items[i], values);
        for (size_t n = 0; n < count; n++) {
            nnd_value_unref(values[n]);
            values[n] = NULL;
        }
    }
    nnd_free(values);
    return status;
}

/* ---- a workflow ---------------------------------------------------------------------------- */

/*
 * The built-in backend with an ear on it: the workflow's nodes that run the model get it by name,
 * so what reaches them is seen wherever they stand, in sub-graphs and loops too. One calibration at
 * a time in a process.
 */
static calibration *listening;
static const nnd_backend *heard;

static void listener_probe(nnd_backend_status *status)
{
    heard->probe(status);
    status->name = "calibrate";
}

static nnd_status listener_run(void *request, nnd_value *const *inputs, nnd_value **outputs,
                               nnd_cancel *cancel)
{
    calibration *k = listening;
    nnd_port_mutex_lock(&k->lock);
    nnd_status status = NND_OK;
    if (nnd_quantize_sample_count(k->q) < k->limit)
        status = nnd_quantize_add(k->q, k->current, inputs);
    if (status != NND_OK && !k->error) {
        k->error = nnd_error_take();
        if (k->error) nnd_error_restore(k->error);
    }
    nnd_port_mutex_unlock(&k->lock);
    NND_TRY(status);
    return heard->run(request, inputs, outputs, cancel);
}

static nnd_status listen(calibration *k)
{
    static nnd_backend listener;
    listening = k;
    if (heard) return NND_OK;
    heard = nnd_backend_find("builtin");
    if (!heard) return nnd_error_set(NND_E_MISSING, "the built-in engine is not there");
    listener = *heard;
    listener.struct_size = sizeof listener;
    listener.name = "calibrate";
    listener.probe = listener_probe;
    listener.run = listener_run;
    return nnd_backend_register(&listener);
}

static nnd_status note_node(void *user, const nnd_plan_model *model)
{
    calibration *k = user;
    if (strcmp(model->path, k->model_path) != 0) return NND_OK;
    char *node = nnd_strdup(model->node);
    if (node && nnd_vec_push(&k->nodes, node)) return NND_OK;
    nnd_free(node);
    return cli_no_memory();
}

/* Compiles twice: which nodes run the model is known only then. */
static int prepare_workflow(calibration *k)
{
    cli *c = k->c;
    cli_session *s = &k->session;
    nnd_status status = cli_session_compile(s, NULL, 0, NND_RUN_SERIAL, k->cancel);
    if (status == NND_OK) status = nnd_plan_each_model(s->plan, note_node, k);
    if (status == NND_OK && !k->nodes.count)
        status = nnd_error_set(NND_E_NOT_FOUND, "workflow '%s' does not run the model '%s'",
                               cli_text(c, "workflow", ""), k->model_path);
    if (status == NND_OK) status = listen(k);
    for (size_t i = 0; i < k->nodes.count && status == NND_OK; i++)
        status = nnd_workflow_set_param(s->wf, k->nodes.items[i], "backend", "\"calibrate\"");
    if (status == NND_OK) {
        nnd_plan_unref(s->plan);
        s->plan = NULL;
        status = cli_session_compile(s, NULL, 0, NND_RUN_SERIAL, k->cancel);
    }
    return status == NND_OK ? CLI_OK : cli_fail(c, status, s->plan ? NULL : s->diags);
}

static nnd_status drop_results(const calibration *k, nnd_run *run)
{
    for (size_t i = 0; i < nnd_plan_output_count(k->session.plan); i++)
        for (;;) {
            nnd_value *value = NULL;
            nnd_status status = nnd_run_pop(run, nnd_plan_output_name(k->session.plan, i), &value);
            if (status == NND_E_AGAIN || status == NND_E_CLOSED) break;
            NND_TRY(status);
            nnd_value_unref(value);
        }
    nnd_error_clear();
    return NND_OK;
}

static nnd_status push_picture(calibration *k, nnd_run *run, const char *image)
{
    for (size_t i = 0; i < k->inputs.count; i++) {
        const char *name = k->inputs.items[i].name;
        nnd_value *value = NULL;
        NND_TRY(strcmp(name, image) == 0 ? nnd_value_read_file(k->current, "image", &value)
                                         : cli_inputs_read(&k->inputs, i, 0, &value));
        nnd_status status = value ? nnd_run_push(run, name, value) : NND_OK;
        nnd_value_unref(value);
        NND_TRY(status);
    }
    NND_TRY(nnd_run_drain(run));
    NND_TRY(drop_results(k, run));
    return nnd_run_close(run);
}

/* A run of its own for each picture, so that it is known what a failure is about. */
static nnd_status run_picture(calibration *k, const char *image)
{
    nnd_run_options options = NND_RUN_OPTIONS_INIT;
    nnd_run *run = NULL;
    options.io = k->session.io;
    options.cancel = k->cancel;
    options.threads = (int)cli_int(k->c, "threads", 0);
    NND_TRY(nnd_run_create(k->session.plan, &options, &run));
    nnd_status status = push_picture(k, run, image);
    if (status != NND_OK && !k->error) {
        k->c->running = nnd_run_error_count(run) > 0;
        status = nnd_error_wrap(cli_session_failure(&k->session, run, k->cancel, status),
                                "sample '%s'", k->current);
    }
    nnd_run_destroy(run);
    /* What the quantiser found wrong is a matter of the sample, not of the workflow. */
    return status != NND_OK && k->error ? nnd_error_restore(k->error) : status;
}

static nnd_status run_pictures(calibration *k, const char *image)
{
    for (size_t i = 0; i < k->files.count; i++) {
        if (nnd_quantize_sample_count(k->q) >= k->limit) break;
        cli_watch_progress("calibrating", (double)i, (double)k->files.count);
        k->current = k->files.items[i];
        NND_TRY(run_picture(k, image));
    }
    return NND_OK;
}

static int calibrate_by_workflow(calibration *k)
{
    cli *c = k->c;
    int code = cli_session_load(c, cli_text(c, "workflow", NULL), &k->session);
    if (code != CLI_OK) return code;
    const char *image = eval_image_input(k->session.wf, cli_text(c, "image", NULL));
    if (!image) return cli_fail(c, NND_E_INVALID_ARGUMENT, NULL);
    code = cli_inputs_init(c, k->session.wf, image, &k->inputs);
    if (code != CLI_OK) return code;
    if (k->inputs.packets > 1)
        return cli_usage(c, "option '--input': an input has one value for all samples");
    nnd_status status = collect(k, is_picture, "pictures");
    if (status != NND_OK) return cli_fail(c, status, NULL);
    code = prepare_workflow(k);
    if (code != CLI_OK) return code;
    status = run_pictures(k, image);
    if (status == NND_OK && !nnd_quantize_sample_count(k->q))
        status = nnd_error_set(NND_E_NOT_FOUND,
                               "the model was not run for any of %zu pictures: nothing reached it",
                               k->files.count);
    return status == NND_OK ? CLI_OK : cli_fail_work(c, status);
}

/* ---- the whole ----------------------------------------------------------------------------- */

static void calibration_fini(calibration *k)
{
    for (size_t i = 0; i < k->files.count; i++)
        nnd_free(k->files.items[i]);
    for (size_t i = 0; i < k->nodes.count; i++)
        nnd_free(k->nodes.items[i]);
    nnd_vec_free(&k->files);
    nnd_vec_free(&k->nodes);
    nnd_error_destroy(k->error);
    cli_inputs_fini(&k->inputs);
    cli_session_fini(&k->session);
}

int cli_calibrate(cli *c, nnd_quantize *q, const char *path, nnd_cancel *cancel)
{
    calibration k = {.c = c, .q = q, .cancel = cancel, .lock = NND_PORT_MUTEX_INIT};
    char *real = NULL;
    int code = CLI_OK;
    k.limit = (size_t)cli_int(c, "limit", DEFAULT_LIMIT);
    nnd_status status =
        nnd_error_from_port(nnd_port_path_real(path, &real), "cannot open model", path);
    k.model_path = real;
    if (status == NND_OK && cli_has(c, "workflow")) {
        code = calibrate_by_workflow(&k);
    } else {
        if (status == NND_OK) status = collect(&k, is_tensor, ".npy files");
        if (status == NND_OK) status = add_tensors(&k);
        if (status != NND_OK) code = cli_fail_work(c, status);
    }
    calibration_fini(&k);
    nnd_port_free(real);
    return code;
}
