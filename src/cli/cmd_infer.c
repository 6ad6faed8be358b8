/* infer: a model on tensors. */
#include "cli/model_inputs.h"
#include "cli/values.h"

#include "base/port_status.h"
#include "nndeploy/sched.h"
#include "port/port.h"

#include <string.h>

/* ---- results ----------------------------------------------------------------------------- */

typedef struct result_file {
    char *file; /* within the output folder */
    void *bytes;
    size_t size;
} result_file;

typedef struct infer_job {
    cli *c;
    nnd_cancel *cancel;
    nnd_model *model;
    nnd_request *request;
    cli_model_inputs inputs;
    nnd_json_writer *list; /* outputs.json */
    NND_VEC(result_file) files;
} infer_job;

static bool name_is_taken(const infer_job *j, const char *file)
{
    for (size_t i = 0; i < j->files.count; i++)
        if (strcmp(j->files.items[i].file, file) == 0) return true;
    return strcmp(file, "outputs.json") == 0;
}

/* A free name, "scores.npy", then "scores_2.npy" and so on. */
static char *free_name(const infer_job *j, const char *name, const char *suffix)
{
    char safe[224];
    nnd_io_safe_name(name, safe, sizeof safe);
    char *file = nnd_strf("%s.%s", safe, suffix);
    for (int i = 2; file && name_is_taken(j, file); i++) {
        nnd_free(file);
        file = nnd_strf("%s_%d.%s", safe, i, suffix);
    }
    return file;
}

static nnd_status encode_tensor(const char *name, const nnd_tensor *t, const char **suffix,
                                void **bytes, size_t *size)
{
    *suffix = "npy";
    nnd_status status = nnd_npy_write(t, bytes, size);
    if (status != NND_E_UNSUPPORTED) return status;
    *suffix = "pb";
    return cli_tensor_proto(t, name, bytes, size);
}

static void list_tensor(infer_job *j, const char *name, const char *file, const nnd_tensor *t)
{
    nnd_json_begin_object(j->list);
    cli_json_text(j->list, "name", name);
    cli_json_text(j->list, "file", file);
    cli_json_text(j->list, "dtype", nnd_dtype_name(t->dtype));
    nnd_json_key(j->list, "shape");
    nnd_json_set_inline(j->list, true);
    nnd_json_begin_array(j->list);
    for (int i = 0; i < t->rank; i++)
        nnd_json_put_int(j->list, t->dims[i]);
    nnd_json_end_array(j->list);
    nnd_json_set_inline(j->list, false);
    nnd_json_end_object(j->list);
}

static nnd_status add_tensor(infer_job *j, const char *name, const nnd_tensor *t)
{
    const char *suffix = NULL;
    result_file file = {0};
    nnd_status status = encode_tensor(name, t, &suffix, &file.bytes, &file.size);
    if (status != NND_OK) return nnd_error_wrap(status, "output '%s'", name);
    file.file = free_name(j, name, suffix);
    if (file.file && nnd_vec_push(&j->files, file)) {
        list_tensor(j, name, file.file, t);
        return NND_OK;
    }
    nnd_free(file.file);
    nnd_free(file.bytes);
    return cli_no_memory();
}

static nnd_status add_output(infer_job *j, const char *name, const nnd_value *value);

/* `take_name` is freed; NULL: no memory. */
static nnd_status add_part(infer_job *j, char *take_name, const nnd_value *value)
{
    if (!take_name) return cli_no_memory();
    nnd_status status = add_output(j, take_name, value);
    nnd_free(take_name);
    return status;
}

/* Sequences become one file per element, "NAME.0", "NAME.1", …, maps "NAME.keys" and "NAME.values";
   an optional that is empty has no file. */
static nnd_status add_output(infer_job *j, const char *name, const nnd_value *value)
{
    if (nnd_value_tensor(value)) return add_tensor(j, name, nnd_value_tensor(value));
    for (size_t i = 0; i < nnd_value_list_count(value); i++)
        NND_TRY(add_part(j, nnd_strf("%s.%zu", name, i), nnd_value_list_at(value, i)));
    for (size_t i = 0; i < nnd_value_record_count(value); i++)
        NND_TRY(add_part(j, nnd_strf("%s.%s", name, nnd_value_record_name(value, i)),
                         nnd_value_record_at(value, i)));
    return NND_OK;
}

static nnd_status collect_outputs(infer_job *j)
{
    NND_TRY(nnd_json_writer_create(2, &j->list));
    nnd_json_begin_array(j->list);
    for (size_t i = 0; i < nnd_model_output_count(j->model); i++) {
        nnd_value *value = NULL;
        const char *name = nnd_model_output(j->model, i)->name;
        NND_TRY(nnd_request_output(j->request, name, &value));
        nnd_status status = value ? add_output(j, name, value) : NND_OK;
        nnd_value_unref(value);
        NND_TRY(status);
    }
    nnd_json_end_array(j->list);
    result_file index = {nnd_strdup("outputs.json"), NULL, 0};
    char *text = NULL;
    nnd_status status =
        index.file ? nnd_json_writer_take(j->list, &text, &index.size) : cli_no_memory();
    index.bytes = text;
    if (status == NND_OK && !nnd_vec_push(&j->files, index)) status = cli_no_memory();
    if (status != NND_OK) {
        nnd_free(index.file);
        nnd_free(text);
    }
    return status;
}

/* outputs.json comes last, so who sees it can trust in the files that it names. */
static nnd_status write_files(const infer_job *j, const char *folder)
{
    nnd_status status =
        nnd_error_from_port(nnd_port_dir_create(folder), "cannot make the folder", folder);
    for (size_t i = 0; i < j->files.count && status == NND_OK; i++) {
        char *path = nnd_strf("%s/%s", folder, j->files.items[i].file);
        if (!path) return cli_no_memory();
        int rc = nnd_port_file_write_atomic(path, j->files.items[i].bytes, j->files.items[i].size);
        status = nnd_error_from_port(rc, "cannot write", path);
        nnd_free(path);
    }
    return status;
}

/* ---- the command ------------------------------------------------------------------------- */

static int report_missing(cli *c, const nnd_model *model, const cli_model_inputs *inputs)
{
    nnd_str missing = {0};
    char text[256];
    int code = CLI_OK;
    for (size_t i = 0; i < inputs->count; i++) {
        const nnd_model_port *port = nnd_model_input(model, i);
        if (inputs->values[i] || port->optional) continue;
        nnd_str_printf(&missing, "%s'%s' %s", missing.size ? ", " : "", port->name,
                       cli_model_port_text(port, text, sizeof text));
    }
    if (missing.size)
        code =
            cli_usage(c, "the model needs %s; give --input NAME=FILE, or --random", missing.data);
    nnd_str_free(&missing);
    return code;
}

static int prepare_infer(infer_job *j)
{
    cli *c = j->c;
    nnd_request_options options = NND_REQUEST_OPTIONS_INIT;
    nnd_status status = cli_watch_begin(c, &j->cancel);
    cli_watch_progress("loading", 0, 0);
    if (status == NND_OK) status = cli_model_load(c, j->cancel, &j->model);
    if (status != NND_OK) return cli_fail_work(c, status);
    int code = cli_model_inputs_init(c, j->model, &j->inputs);
    if (code == CLI_OK && !cli_has(c, "random")) code = report_missing(c, j->model, &j->inputs);
    if (code != CLI_OK) return code;
    if (cli_has(c, "random"))
        status = cli_model_inputs_random(j->model, &j->inputs, (uint64_t)cli_int(c, "seed", 0));
    options.threads = (int)cli_int(c, "threads", 0);
    if (status == NND_OK) status = nnd_request_create(j->model, &options, &j->request);
    if (status == NND_OK) status = cli_model_inputs_bind(&j->inputs, j->request);
    return status == NND_OK ? CLI_OK : cli_fail_work(c, status);
}

static int print_files(const infer_job *j, const char *folder, double milliseconds)
{
    const result_file *index = &nnd_vec_last(&j->files);
    if (!j->c->json) {
        for (size_t i = 0; i < j->files.count; i++)
            printf("%s/%s\n", folder, j->files.items[i].file);
        return CLI_OK;
    }
    nnd_json_writer *w = cli_json_begin(j->c, "infer");
    if (!w) return cli_fail(j->c, NND_E_OUT_OF_MEMORY, NULL);
    cli_json_text(w, "backend", nnd_model_backend(j->model));
    cli_json_text(w, "folder", folder);
    cli_json_number(w, "milliseconds", milliseconds);
    nnd_json_key(w, "outputs");
    nnd_status status = cli_json_raw(w, index->bytes, index->size);
    return status == NND_OK ? cli_json_end(j->c, CLI_OK) : cli_fail(j->c, status, NULL);
}

static int infer(infer_job *j)
{
    cli *c = j->c;
    const char *folder = cli_text(c, "output-dir", ".");
    int code = prepare_infer(j);
    if (code != CLI_OK) return code;
    c->running = true;
    cli_watch_progress("running", 0, 0);
    int64_t begin = nnd_clock_now();
    nnd_status status = nnd_request_run(j->request, j->cancel);
    double milliseconds = (double)(nnd_clock_now() - begin) / 1e6;
    if (status == NND_OK) status = collect_outputs(j);
    cli_watch_end();
    if (status == NND_OK) status = write_files(j, folder);
    if (status != NND_OK) return cli_fail_work(c, status);
    return print_files(j, folder, milliseconds);
}

int cli_run_infer(cli *c)
{
    infer_job j = {.c = c};
    int code = infer(&j);
    cli_watch_end();
    for (size_t i = 0; i < j.files.count; i++) {
        nnd_free(j.files.items[i].file);
        nnd_free(j.files.items[i].bytes);
    }
    nnd_vec_free(&j.files);
    nnd_json_writer_destroy(j.list);
    cli_model_inputs_fini(&j.inputs);
    nnd_request_destroy(j.request);
    nnd_model_unref(j.model);
    return code;
}
