/* --output: results become files when the whole run has succeeded. */
#include "cli/values.h"

#include "base/port_status.h"
#include "nndeploy/ops.h"
#include "port/port.h"

#include <string.h>

#define COUNTER "{n}"

/* ---- what was asked for ------------------------------------------------------------------ */

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) return nnd_strdup(".");
    return slash == path ? nnd_strdup("/") : nnd_strdup_n(path, (size_t)(slash - path));
}

static nnd_status add_folder(cli_outputs *outputs, const char *name, const char *path)
{
    char *folder = folder_of(path);
    if (!folder || !nnd_vec_push(&outputs->texts, folder)) {
        nnd_free(folder);
        return cli_no_memory();
    }
    outputs->folders[outputs->folder_count++] = folder;
    if (nnd_port_dir_exists(path))
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "output '%s': '%s' is a folder", name, path);
    if (strstr(folder, COUNTER))
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "output '%s': " COUNTER " belongs into the file's name, not into "
                             "its folder",
                             name);
    if (!nnd_port_dir_exists(folder))
        return nnd_error_set(NND_E_NOT_FOUND, "output '%s': there is no folder '%s'", name, folder);
    return NND_OK;
}

static int collect(cli *c, cli_outputs *outputs, const char **names)
{
    for (size_t i = 0; i < outputs->count; i++)
        names[i] = outputs->items[i].name;
    for (size_t i = 0; i < cli_count(c, "output"); i++) {
        const char *path = NULL;
        int index =
            cli_split_pair(c, "output", cli_nth(c, "output", i), names, outputs->count, &path);
        if (index < 0) return CLI_USAGE;
        cli_output *output = &outputs->items[index];
        if (!path[0]) return cli_usage(c, "option '--output': no file for '%s'", output->name);
        if (output->pattern)
            return cli_usage(c, "option '--output': '%s' is given twice", output->name);
        output->pattern = path;
        nnd_status status = add_folder(outputs, output->name, path);
        if (status != NND_OK) return cli_fail(c, status, NULL);
    }
    return CLI_OK;
}

int cli_outputs_init(cli *c, const nnd_workflow *wf, cli_outputs *outputs)
{
    *outputs = (cli_outputs){0};
    size_t count = nnd_workflow_output_count(wf);
    const char **names = nnd_calloc(count + 1, sizeof *names);
    outputs->items = nnd_calloc(count + 1, sizeof *outputs->items);
    outputs->folders = nnd_calloc(cli_count(c, "output") + 1, sizeof *outputs->folders);
    int code = CLI_OK;
    if (names && outputs->items && outputs->folders) {
        outputs->count = count;
        for (size_t i = 0; i < count; i++)
            outputs->items[i].name = nnd_workflow_output_name(wf, i);
        code = collect(c, outputs, names);
    } else {
        code = cli_fail(c, cli_no_memory(), NULL);
    }
    nnd_free(names);
    return code;
}

int cli_outputs_check_packets(cli *c, const cli_outputs *outputs, size_t packets)
{
    for (size_t i = 0; i < outputs->count && packets > 1; i++) {
        const char *pattern = outputs->items[i].pattern;
        if (pattern && !strstr(pattern, COUNTER))
            return cli_usage(c,
                             "output '%s' has %zu values: put " COUNTER
                             " into the file name '%s', it becomes their number",
                             outputs->items[i].name, packets, pattern);
    }
    return CLI_OK;
}

static void result_fini(cli_result *r)
{
    nnd_free(r->path);
    nnd_free(r->bytes);
    nnd_free(r->text);
    nnd_free(r->about);
}

void cli_outputs_fini(cli_outputs *outputs)
{
    for (size_t i = 0; i < outputs->count; i++) {
        for (size_t k = 0; k < outputs->items[i].results.count; k++)
            result_fini(&outputs->items[i].results.items[k]);
        nnd_vec_free(&outputs->items[i].results);
    }
    for (size_t i = 0; i < outputs->texts.count; i++)
        nnd_free(outputs->texts.items[i]);
    nnd_vec_free(&outputs->texts);
    nnd_free(outputs->folders);
    nnd_free(outputs->items);
    *outputs = (cli_outputs){0};
}

/* ---- results ----------------------------------------------------------------------------- */

static nnd_status json_text(const nnd_value *value, char **text, size_t *size)
{
    nnd_json_writer *w = NULL;
    NND_TRY(nnd_json_writer_create(2, &w));
    nnd_status status = nnd_value_to_json(value, w);
    if (status == NND_OK) status = nnd_json_writer_take(w, text, size);
    nnd_json_writer_destroy(w);
    return status;
}

static nnd_status copy_bytes(const void *data, size_t size, void **out, size_t *out_size)
{
    *out = nnd_alloc(size ? size : 1);
    if (!*out) return cli_no_memory();
    if (size) memcpy(*out, data, size);
    *out_size = size;
    return NND_OK;
}

static nnd_status encode_image(const nnd_image *image, const char *path, void **bytes, size_t *size)
{
    nnd_encode_options options = NND_ENCODE_OPTIONS_INIT;
    options.codec = nnd_image_codec_from_name(path);
    if (!nnd_image_codec_writes(options.codec))
        return nnd_error_set(NND_E_UNSUPPORTED,
                             "an image is written as .jpg, .jpeg, .png or .bmp; '%s' is none of "
                             "these",
                             path);
    return nnd_image_encode(image, &options, bytes, size);
}

static nnd_status encode(const nnd_value *value, const char *path, void **bytes, size_t *size)
{
    const void *plain = NULL;
    size_t plain_size = 0;
    char *text = NULL;
    bool json = nnd_str_ends_with(path, ".json");
    if (nnd_value_image(value) && !json)
        return encode_image(nnd_value_image(value), path, bytes, size);
    if (nnd_value_tensor(value) && nnd_str_ends_with(path, ".pb"))
        return cli_tensor_proto(nnd_value_tensor(value), "", bytes, size);
    if (nnd_value_tensor(value) && !json)
        return nnd_npy_write(nnd_value_tensor(value), bytes, size);
    if (nnd_value_text(value) && !json)
        return copy_bytes(nnd_value_text(value)->text, nnd_value_text(value)->size, bytes, size);
    if (nnd_value_as_bytes(value, &plain, &plain_size) && !json)
        return copy_bytes(plain, plain_size, bytes, size);
    NND_TRY(json_text(value, &text, size));
    text[*size] = '\n'; /* in place of the final NUL, which a file does not need */
    ++*size;
    *bytes = text;
    return NND_OK;
}

static char *numbered_path(const char *pattern, size_t number)
{
    nnd_str path = {0};
    char *out = NULL;
    const char *at;
    while ((at = strstr(pattern, COUNTER)) != NULL) {
        nnd_str_add_n(&path, pattern, (size_t)(at - pattern));
        nnd_str_printf(&path, "%zu", number);
        pattern = at + strlen(COUNTER);
    }
    nnd_str_add(&path, pattern);
    nnd_str_take_quiet(&path, &out);
    return out;
}

static nnd_status make_result(const cli *c, const cli_output *output, const nnd_value *value,
                              cli_result *r)
{
    nnd_str about = {0};
    size_t size = 0;
    r->type = nnd_value_type_name(value);
    cli_describe_value(value, &about);
    NND_TRY(nnd_str_take(&about, &r->about, NULL));
    if (output->pattern) {
        r->path = numbered_path(output->pattern, output->results.count);
        if (!r->path) return cli_no_memory();
        nnd_status status = encode(value, r->path, &r->bytes, &r->size);
        return status == NND_OK ? status
                                : nnd_error_wrap(status, "output '%s' cannot become '%s'",
                                                 output->name, r->path);
    }
    if (c->json) return json_text(value, &r->text, &size);
    nnd_str text = {0};
    cli_show_value(output->name, value, &text);
    return nnd_str_take(&text, &r->text, NULL);
}

nnd_status cli_outputs_add(const cli *c, cli_output *output, const nnd_value *value)
{
    cli_result r = {0};
    nnd_status status = make_result(c, output, value, &r);
    if (status == NND_OK && !nnd_vec_push(&output->results, r)) status = cli_no_memory();
    if (status != NND_OK) result_fini(&r);
    return status;
}

/* ---- files ------------------------------------------------------------------------------- */

static nnd_status write_results(const cli_outputs *outputs, bool *existed, size_t *written)
{
    for (size_t i = 0; i < outputs->count; i++) {
        for (size_t k = 0; k < outputs->items[i].results.count; k++) {
            const cli_result *r = &outputs->items[i].results.items[k];
            if (!r->path) continue;
            existed[*written] = nnd_port_file_exists(r->path);
            int rc = nnd_port_file_write_atomic(r->path, r->bytes, r->size);
            if (rc) return nnd_error_from_port(rc, "cannot write", r->path);
            ++*written;
        }
    }
    return NND_OK;
}

static void take_back(const cli_outputs *outputs, const bool *existed, size_t written)
{
    size_t at = 0;
    for (size_t i = 0; i < outputs->count; i++) {
        for (size_t k = 0; k < outputs->items[i].results.count; k++) {
            const cli_result *r = &outputs->items[i].results.items[k];
            if (!r->path) continue;
            if (at >= written) return;
            if (!existed[at++]) nnd_port_file_remove(r->path);
        }
    }
}

nnd_status cli_outputs_write(const cli_outputs *outputs)
{
    size_t count = 0, written = 0;
    for (size_t i = 0; i < outputs->count; i++)
        count += outputs->items[i].results.count;
    bool *existed = nnd_calloc(count + 1, sizeof *existed);
    if (!existed) return cli_no_memory();
    nnd_status status = write_results(outputs, existed, &written);
    if (status != NND_OK) take_back(outputs, existed, written);
    nnd_free(existed);
    return status;
}
