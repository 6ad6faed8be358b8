/* --input: from what the user wrote to values of the workflow's inputs. */
#include "cli/values.h"

#include "nndeploy/nodes.h"
#include "nndeploy/ops.h"
#include "port/port.h"

#include <string.h>

/* ---- types ------------------------------------------------------------------------------- */

/* Whether a port type ("any", "a|b", "T") takes values of a type. */
static bool type_takes(const char *type, const char *name)
{
    size_t n = strlen(name);
    if (type[0] == '$') return true;
    for (const char *p = type; *p;) {
        size_t word = strcspn(p, "|");
        if (word == 3 && strncmp(p, "any", 3) == 0) return true;
        if (word == n && strncmp(p, name, n) == 0) return true;
        p += word + (p[word] == '|');
    }
    return false;
}

static bool type_is_open(const char *type)
{
    return strchr(type, '|') || type_takes(type, "image") + type_takes(type, "int") > 1;
}

/* "T" of "list<T>"; NULL when it is no list. */
static char *element_type(const char *type)
{
    size_t n = strlen(type);
    if (strncmp(type, "list<", 5) != 0 || type[n - 1] != '>') return NULL;
    return nnd_strdup_n(type + 5, n - 6);
}

/* How a file is read into a port of this type; NULL when its suffix says that it does not fit. */
static const char *file_reading(const char *type, const char *path)
{
    if (type_is_open(type)) {
        if (type_takes(type, "image") && nnd_image_codec_from_name(path) != NND_CODEC_NONE)
            return "image";
        if (type_takes(type, "tensor") && nnd_str_ends_with(path, ".npy")) return "tensor";
        if (nnd_str_ends_with(path, ".json")) return "json";
        if (type_takes(type, "text")) return "text";
        return NULL;
    }
    static const char *const direct[] = {"image", "tensor", "text", "bytes"};
    if (strcmp(type, "tensor") == 0 && nnd_str_ends_with(path, ".json")) return "json";
    for (size_t i = 0; i < NND_COUNT(direct); i++)
        if (strcmp(type, direct[i]) == 0) return direct[i];
    return "json";
}

static bool looks_like_json(const char *text)
{
    nnd_json_doc *doc = NULL;
    bool is = nnd_json_parse(text, strlen(text), NULL, &doc) == NND_OK;
    if (is) nnd_json_destroy(doc);
    nnd_error_clear();
    return is;
}

/* Decides what a value without '@' is: a file, or the value itself. */
static void read_plain(const char *type, const char *text, cli_source *source)
{
    const char *as = file_reading(type, text);
    bool named = as && (strcmp(as, "image") == 0 || strcmp(as, "tensor") == 0);
    source->is_file = false;
    if (strcmp(type, "text") == 0) {
        source->as = "text";
    } else if (strcmp(type, "image") == 0 || strcmp(type, "bytes") == 0) {
        source->is_file = true;
        source->as = as;
    } else if (strcmp(type, "tensor") == 0) {
        source->is_file = nnd_str_ends_with(text, ".npy") || !looks_like_json(text);
        source->as = source->is_file ? "tensor" : "json";
    } else if (!type_is_open(type)) {
        source->as = "json";
    } else if ((named && !looks_like_json(text)) || nnd_port_dir_exists(text)) {
        source->is_file = true;
        source->as = as ? as : "image";
    } else {
        source->as = looks_like_json(text) || !type_takes(type, "text") ? "json" : "text";
    }
}

/* ---- collecting -------------------------------------------------------------------------- */

static nnd_status add_source(cli_input *input, const char *text, bool is_file, const char *as)
{
    cli_source source = {nnd_strdup(text), is_file, as};
    if (source.text && nnd_vec_push(&input->sources, source)) return NND_OK;
    nnd_free(source.text);
    return cli_no_memory();
}

/* The files of a folder that the type can take, sorted by name. */
static nnd_status add_folder(cli_input *input, const char *type, const char *folder)
{
    nnd_port_dir_list list = {0};
    nnd_status status = NND_OK;
    size_t before = input->sources.count;
    if (nnd_port_dir_read(folder, &list) != 0)
        return nnd_error_set(NND_E_IO, "input '%s': cannot list the folder '%s'", input->name,
                             folder);
    for (size_t i = 0; i < list.count && status == NND_OK; i++) {
        const char *as = file_reading(type, list.names[i]);
        bool picture = nnd_image_codec_from_name(list.names[i]) != NND_CODEC_NONE;
        bool fits = as && (strcmp(as, "image") == 0    ? picture
                           : strcmp(as, "tensor") == 0 ? nnd_str_ends_with(list.names[i], ".npy")
                           : strcmp(as, "text") == 0   ? nnd_str_ends_with(list.names[i], ".txt")
                                                       : nnd_str_ends_with(list.names[i], ".json"));
        if (!fits || list.names[i][0] == '.') continue;
        char *path = nnd_strf("%s/%s", folder, list.names[i]);
        status = path ? add_source(input, path, true, as) : cli_no_memory();
        nnd_free(path);
    }
    nnd_port_dir_list_free(&list);
    if (status == NND_OK && input->sources.count == before)
        return nnd_error_set(NND_E_NOT_FOUND, "input '%s': the folder '%s' holds no file for it",
                             input->name, folder);
    return status;
}

static nnd_status add_file(cli_input *input, const char *type, const char *path, const char *as)
{
    if (nnd_port_dir_exists(path)) return add_folder(input, type, path);
    if (!nnd_port_file_exists(path))
        return nnd_error_set(NND_E_NOT_FOUND, "input '%s': there is no file '%s'", input->name,
                             path);
    if (!as)
        return nnd_error_set(NND_E_TYPE, "input '%s' takes %s; '%s' is none by its suffix",
                             input->name, type, path);
    return add_source(input, path, true, as);
}

static nnd_status add_value(cli_input *input, const char *type, const char *text)
{
    cli_source source = {0};
    bool may_be_text = type_takes(type, "text");
    if (text[0] == '@' && text[1] == '@' && may_be_text)
        return add_source(input, text + 1, false, "text");
    if (text[0] == '@') return add_file(input, type, text + 1, file_reading(type, text + 1));
    read_plain(type, text, &source);
    if (source.is_file) return add_file(input, type, text, source.as);
    return add_source(input, text, false, source.as);
}

/* A JSON array of file names, or of values. */
static nnd_status add_list(cli_input *input, const char *element, const char *text)
{
    nnd_json_doc *doc = NULL;
    bool media = strcmp(element, "image") == 0 || strcmp(element, "tensor") == 0;
    if (text[0] != '[') return add_value(input, element, text);
    if (!media) return add_source(input, text, false, "list");
    nnd_status status = nnd_json_parse(text, strlen(text), NULL, &doc);
    if (status != NND_OK) return nnd_error_wrap(status, "input '%s' is no JSON array", input->name);
    const nnd_json *root = nnd_json_root(doc);
    for (size_t i = 0; i < nnd_json_count(root) && status == NND_OK; i++) {
        const char *path = nnd_json_string(nnd_json_at(root, i), NULL);
        status = path ? add_value(input, element, path)
                      : nnd_error_set(NND_E_TYPE, "input '%s': element %zu is no file name",
                                      input->name, i);
    }
    nnd_json_destroy(doc);
    return status;
}

static nnd_status add_given(cli_input *input, const char *text)
{
    char *element = element_type(input->type);
    input->is_list = element != NULL;
    nnd_status status =
        element ? add_list(input, element, text) : add_value(input, input->type, text);
    nnd_free(element);
    return status;
}

/* ---- reading ----------------------------------------------------------------------------- */

static nnd_status read_json(const char *text, size_t size, const char *file, const char *type,
                            nnd_value **out)
{
    nnd_json_doc *doc = NULL;
    NND_TRY(nnd_json_parse(text, size, file, &doc));
    nnd_status status = nnd_value_from_json(nnd_json_root(doc), type, out);
    nnd_json_destroy(doc);
    return status;
}

static nnd_status read_json_file(const char *path, const char *type, nnd_value **out)
{
    char *text = NULL;
    size_t size = 0;
    NND_TRY(cli_read_file(path, &text, &size));
    nnd_status status = read_json(text, size, path, type, out);
    nnd_port_free(text);
    return status;
}

/* JSON of a union is read by its own kind. */
static const char *json_type(const char *type)
{
    return type_is_open(type) ? "any" : type;
}

static nnd_status read_source(const cli_input *input, const cli_source *source, const char *type,
                              nnd_value **out)
{
    nnd_status status;
    bool json = strcmp(source->as, "json") == 0;
    if (source->is_file)
        status = json ? read_json_file(source->text, json_type(type), out)
                      : nnd_value_read_file(source->text, source->as, out);
    else if (strcmp(source->as, "list") == 0)
        status = read_json(source->text, strlen(source->text), NULL, input->type, out);
    else if (json)
        status = read_json(source->text, strlen(source->text), NULL, json_type(type), out);
    else
        status = nnd_value_new_text(source->text, SIZE_MAX, out);
    if (status == NND_OK || status == NND_E_OUT_OF_MEMORY) return status;
    if (source->is_file)
        return nnd_error_wrap(status, "input '%s' takes %s; file '%s'", input->name, input->type,
                              source->text);
    return nnd_error_wrap(status, "input '%s' takes %s, not '%.60s'", input->name, input->type,
                          source->text);
}

static nnd_status read_list(const cli_input *input, nnd_value **out)
{
    if (input->sources.count == 1 && strcmp(input->sources.items[0].as, "list") == 0)
        return read_source(input, &input->sources.items[0], input->type, out);
    char *element = element_type(input->type);
    nnd_value **items = nnd_calloc(input->sources.count + 1, sizeof *items);
    nnd_status status = element && items ? NND_OK : cli_no_memory();
    size_t count = 0;
    while (status == NND_OK && count < input->sources.count) {
        status = read_source(input, &input->sources.items[count], element, &items[count]);
        count += status == NND_OK;
    }
    if (status == NND_OK) status = nnd_value_new_list(items, count, out);
    for (size_t i = 0; i < count; i++)
        nnd_value_unref(items[i]);
    nnd_free(items);
    nnd_free(element);
    return status;
}

static size_t packet_count(const cli_input *input)
{
    return input->is_list ? input->sources.count > 0 : input->sources.count;
}

nnd_status cli_inputs_read(cli_inputs *inputs, size_t index, size_t packet, nnd_value **out)
{
    cli_input *input = &inputs->items[index];
    *out = NULL;
    if (!input->sources.count) return NND_OK;
    if (input->first && (packet == 0 || packet_count(input) == 1)) {
        *out = nnd_value_ref(input->first);
        /* What is needed once only is not kept. */
        if (packet_count(input) > 1) {
            nnd_value_unref(input->first);
            input->first = NULL;
        }
        return NND_OK;
    }
    if (input->is_list) return read_list(input, out);
    return read_source(input, &input->sources.items[packet], input->type, out);
}

/* ---- checks ------------------------------------------------------------------------------ */

static int check_packets(cli *c, cli_inputs *inputs)
{
    const cli_input *longest = inputs->items;
    for (size_t i = 0; i < inputs->count; i++) {
        const cli_input *input = &inputs->items[i];
        if (packet_count(input) > inputs->packets) {
            inputs->packets = packet_count(input);
            longest = input;
        }
    }
    for (size_t i = 0; i < inputs->count; i++) {
        size_t n = packet_count(&inputs->items[i]);
        if (n > 1 && n != inputs->packets)
            return cli_usage(c, "input '%s' has %zu values, '%s' has %zu", inputs->items[i].name, n,
                             longest->name, inputs->packets);
    }
    return CLI_OK;
}

static int check_missing(cli *c, const cli_inputs *inputs, const char *fed)
{
    nnd_str missing = {0};
    int code = CLI_OK;
    for (size_t i = 0; i < inputs->count; i++)
        if (!inputs->items[i].sources.count && !nnd_str_equal(inputs->items[i].name, fed))
            nnd_str_printf(&missing, "%s--input %s=… (%s)", missing.size ? ", " : "",
                           inputs->items[i].name, inputs->items[i].type);
    if (missing.size) code = cli_usage(c, "the workflow needs %s", missing.data);
    nnd_str_free(&missing);
    return code;
}

static int collect(cli *c, cli_inputs *inputs, const char **names)
{
    for (size_t i = 0; i < inputs->count; i++)
        names[i] = inputs->items[i].name;
    for (size_t i = 0; i < cli_count(c, "input"); i++) {
        const char *value = NULL;
        int index =
            cli_split_pair(c, "input", cli_nth(c, "input", i), names, inputs->count, &value);
        if (index < 0) return CLI_USAGE;
        nnd_status status = add_given(&inputs->items[index], value);
        if (status != NND_OK) return cli_fail(c, status, NULL);
    }
    return CLI_OK;
}

static nnd_status read_first(cli_inputs *inputs)
{
    for (size_t i = 0; i < inputs->count; i++) {
        nnd_value *value = NULL;
        NND_TRY(cli_inputs_read(inputs, i, 0, &value));
        inputs->items[i].first = value;
    }
    return NND_OK;
}

int cli_inputs_init(cli *c, const nnd_workflow *wf, const char *fed, cli_inputs *inputs)
{
    *inputs = (cli_inputs){0};
    size_t count = nnd_workflow_input_count(wf);
    const char **names = nnd_calloc(count + 1, sizeof *names);
    inputs->items = nnd_calloc(count + 1, sizeof *inputs->items);
    if (!names || !inputs->items) {
        nnd_free(names);
        return cli_fail(c, cli_no_memory(), NULL);
    }
    inputs->count = count;
    for (size_t i = 0; i < count; i++) {
        inputs->items[i].name = nnd_workflow_input_name(wf, i);
        inputs->items[i].type = nnd_workflow_input_type(wf, i);
    }
    int code = collect(c, inputs, names);
    nnd_free(names);
    if (code == CLI_OK) code = check_missing(c, inputs, fed);
    if (code == CLI_OK) code = check_packets(c, inputs);
    if (code != CLI_OK) return code;
    nnd_status status = read_first(inputs);
    return status == NND_OK ? CLI_OK : cli_fail(c, status, NULL);
}

void cli_inputs_fini(cli_inputs *inputs)
{
    for (size_t i = 0; i < inputs->count; i++) {
        cli_input *input = &inputs->items[i];
        for (size_t k = 0; k < input->sources.count; k++)
            nnd_free(input->sources.items[k].text);
        nnd_vec_free(&input->sources);
        nnd_value_unref(input->first);
    }
    nnd_free(inputs->items);
    *inputs = (cli_inputs){0};
}
