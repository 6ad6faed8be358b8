/* Models on the command line. */
#include "cli/model_inputs.h"

#include "base/options.h"
#include "nndeploy/catalog.h"
#include "nndeploy/nodes.h"
#include "port/port.h"

#include <string.h>

/* ---- loading ----------------------------------------------------------------------------- */

/* A name with a dot in it, which is not that of a file here, can be that of a model,
   "squeezenet-v1.1", as well as a misspelt path, "net.onnx": what the catalogue has is the former.
 */
static bool is_catalogued(const char *name)
{
    nnd_model_cache *cache = NULL;
    char *plain = nnd_strdup_n(name, strcspn(name, "@"));
    bool is = plain && nnd_model_cache_create(NULL, &cache) == NND_OK &&
              nnd_catalog_find(nnd_model_cache_catalog(cache), plain);
    nnd_error_clear();
    nnd_model_cache_destroy(cache);
    nnd_free(plain);
    return is;
}

/* A file that exists, else a name that the services look up. */
static nnd_status find_model(const char *name, const char *backend, char **path)
{
    nnd_services services;
    const nnd_model_wish wish = {.size = sizeof wish, .name = name, .backend = backend};
    bool as_wished = false;
    if (nnd_port_file_exists(name) || strpbrk(name, "/\\")) {
        *path = nnd_strdup(name);
        return *path ? NND_OK : cli_no_memory();
    }
    NND_TRY(nnd_nodes_services(".", &services));
    nnd_status status = services.find_variant(services.user, &wish, path, &as_wished);
    if (status != NND_E_MISSING || !strchr(name, '.') || is_catalogued(name)) return status;
    nnd_error_clear();
    *path = nnd_strdup(name);
    return *path ? NND_OK : cli_no_memory();
}

nnd_status cli_model_find(const cli *c, size_t operand, const char *backend, char **path)
{
    nnd_registry *registry = NULL;
    const char *name = cli_operand(c, operand);
    NND_TRY(cli_registry(c, &registry));
    NND_TRY(cli_apply_threads(c));
    NND_TRY(cli_apply_tuning(c));
    NND_TRY(find_model(name, backend, path));
    if (!nnd_port_dir_exists(*path)) return NND_OK;
    nnd_free(*path);
    *path = NULL;
    return nnd_error_set(NND_E_FORMAT, "'%s' is a folder, not a model file", name);
}

nnd_status cli_model_load(const cli *c, nnd_cancel *cancel, nnd_model **out)
{
    return cli_model_load_with(c, cancel, cli_text(c, "backend", NULL), cli_text(c, "config", NULL),
                               out);
}

nnd_status cli_model_load_with(const cli *c, nnd_cancel *cancel, const char *backend,
                               const char *config, nnd_model **out)
{
    nnd_model_options options = NND_MODEL_OPTIONS_INIT;
    char *path = NULL;
    NND_TRY(cli_model_find(c, 0, backend, &path));
    options.backend = backend;
    options.config = config;
    options.threads = (int)cli_int(c, "threads", 0);
    options.cancel = cancel;
    nnd_status status = nnd_model_load(path, &options, out);
    nnd_free(path);
    return status;
}

const char *cli_model_port_text(const nnd_model_port *port, char *text, size_t size)
{
    nnd_str s = {0};
    if (port->kind == NND_PORT_SEQUENCE) nnd_str_add(&s, "sequence of ");
    if (port->kind == NND_PORT_MAP) nnd_str_add(&s, "map of ");
    nnd_str_printf(&s, "%s[", port->dtype ? nnd_dtype_name(port->dtype) : "?");
    for (int i = 0; i < port->rank; i++) {
        const nnd_dim *dim = &port->dims[i];
        if (i) nnd_str_add_char(&s, ',');
        if (dim->value >= 0)
            nnd_str_printf(&s, "%lld", (long long)dim->value);
        else
            nnd_str_add(&s, dim->symbol && dim->symbol[0] ? dim->symbol : "?");
    }
    nnd_str_add(&s, port->rank < 0 ? "…]" : "]");
    snprintf(text, size, "%s", s.data ? s.data : "");
    nnd_str_free(&s);
    return text;
}

/* ---- what was given ---------------------------------------------------------------------- */

/* What .npy cannot hold: strings, small types, sequences and maps, in ONNX's stored form. */
static nnd_status read_stored(const char *path, const nnd_model_port *port, nnd_value **out)
{
    char *bytes = NULL;
    size_t size = 0;
    NND_TRY(cli_read_file(path, &bytes, &size));
    nnd_status status = nnd_value_from_onnx(bytes, size, port, out);
    nnd_port_free(bytes);
    return status;
}

static nnd_status read_input(const nnd_model_port *port, const char *path, nnd_value **out)
{
    if (path[0] == '@') path++;
    size_t size = strlen(path);
    bool stored = size > 3 && strcmp(path + size - 3, ".pb") == 0;
    nnd_status status =
        stored ? read_stored(path, port, out) : nnd_value_read_file(path, "tensor", out);
    return status == NND_OK ? status : nnd_error_wrap(status, "input '%s'", port->name);
}

static int collect_inputs(cli *c, const nnd_model *model, cli_model_inputs *inputs)
{
    for (size_t i = 0; i < cli_count(c, "input"); i++) {
        const char *path = NULL;
        int index =
            cli_split_pair(c, "input", cli_nth(c, "input", i), inputs->names, inputs->count, &path);
        if (index < 0) return CLI_USAGE;
        if (inputs->values[index])
            return cli_usage(c, "option '--input': '%s' is given twice", inputs->names[index]);
        nnd_status status =
            read_input(nnd_model_input(model, (size_t)index), path, &inputs->values[index]);
        if (status != NND_OK) return cli_fail(c, status, NULL);
    }
    return CLI_OK;
}

static int collect_shapes(cli *c, cli_model_inputs *inputs)
{
    for (size_t i = 0; i < cli_count(c, "shape"); i++) {
        const char *shape = NULL;
        int index = cli_split_pair(c, "shape", cli_nth(c, "shape", i), inputs->names, inputs->count,
                                   &shape);
        if (index < 0) return CLI_USAGE;
        inputs->shapes[index] = shape;
    }
    return CLI_OK;
}

int cli_model_inputs_init(cli *c, const nnd_model *model, cli_model_inputs *inputs)
{
    size_t count = nnd_model_input_count(model);
    inputs->names = nnd_calloc(count + 1, sizeof *inputs->names);
    inputs->values = nnd_calloc(count + 1, sizeof *inputs->values);
    inputs->shapes = nnd_calloc(count + 1, sizeof *inputs->shapes);
    if (!inputs->names || !inputs->values || !inputs->shapes)
        return cli_fail(c, cli_no_memory(), NULL);
    inputs->count = count;
    for (size_t i = 0; i < count; i++)
        inputs->names[i] = nnd_model_input(model, i)->name;
    int code = collect_inputs(c, model, inputs);
    return code == CLI_OK ? collect_shapes(c, inputs) : code;
}

void cli_model_inputs_fini(cli_model_inputs *inputs)
{
    for (size_t i = 0; i < inputs->count; i++)
        nnd_value_unref(inputs->values[i]);
    nnd_free(inputs->names);
    nnd_free(inputs->values);
    nnd_free(inputs->shapes);
    *inputs = (cli_model_inputs){0};
}

nnd_status cli_model_inputs_bind(const cli_model_inputs *inputs, nnd_request *request)
{
    for (size_t i = 0; i < inputs->count; i++)
        if (inputs->values[i])
            NND_TRY(nnd_request_bind_input(request, inputs->names[i], inputs->values[i]));
    return NND_OK;
}

/* ---- random inputs ----------------------------------------------------------------------- */

/* SplitMix64 (Steele, Lea and Flood 2014): good enough for numbers that only have to differ. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static bool is_float(nnd_dtype dtype)
{
    return dtype >= NND_F64 && dtype <= NND_F4E2M1;
}

static nnd_status parse_shape(const char *text, const nnd_model_port *port, int *rank,
                              int64_t dims[NND_MAX_RANK])
{
    *rank = 0;
    while (*text) {
        char word[24];
        size_t n = strcspn(text, ",x");
        bool fits = n < sizeof word && *rank < NND_MAX_RANK;
        if (fits) snprintf(word, sizeof word, "%.*s", (int)n, text);
        if (!fits || !nnd_parse_int(word, &dims[*rank]) || dims[*rank] < 0)
            return nnd_error_set(NND_E_SHAPE,
                                 "option '--shape': input '%s' needs up to %d sizes such as "
                                 "1,3,224,224",
                                 port->name, NND_MAX_RANK);
        ++*rank;
        text += n + (text[n] != '\0');
    }
    if (port->rank >= 0 && *rank != port->rank)
        return nnd_error_set(NND_E_SHAPE, "option '--shape': input '%s' has %d dimensions, not %d",
                             port->name, port->rank, *rank);
    return NND_OK;
}

/* The shape as it was given; else as declared, with 1 for what is open. */
static nnd_status choose_shape(const char *text, const nnd_model_port *port, int *rank,
                               int64_t dims[NND_MAX_RANK])
{
    *rank = port->rank < 0 ? 0 : port->rank;
    for (int i = 0; i < *rank; i++)
        dims[i] = port->dims[i].value >= 0 ? port->dims[i].value : 1;
    return text ? parse_shape(text, port, rank, dims) : NND_OK;
}

static nnd_status random_tensor(const nnd_model_port *port, const char *shape, uint64_t *state,
                                nnd_value **out)
{
    int rank;
    int64_t dims[NND_MAX_RANK] = {0};
    if (port->kind != NND_PORT_TENSOR || port->dtype == NND_STRING || port->dtype == NND_C64 ||
        port->dtype == NND_C128)
        return nnd_error_set(NND_E_UNSUPPORTED, "input '%s' is no tensor of numbers; give it",
                             port->name);
    NND_TRY(choose_shape(shape, port, &rank, dims));
    NND_TRY(nnd_value_new_tensor(port->dtype, rank, dims, out));
    const nnd_tensor *t = nnd_value_tensor(*out);
    for (size_t i = 0; i < (size_t)nnd_tensor_count(t); i++) {
        uint64_t bits = next_random(state);
        double value = is_float(port->dtype)     ? (double)(bits >> 40) / 16777216.0
                       : port->dtype == NND_BOOL ? (double)(bits >> 63)
                                                 : (double)(bits % 10);
        nnd_dtype_set(port->dtype, t->data, i, value);
    }
    return NND_OK;
}

nnd_status cli_model_inputs_random(const nnd_model *model, cli_model_inputs *inputs, uint64_t seed)
{
    for (size_t i = 0; i < inputs->count; i++) {
        const nnd_model_port *port = nnd_model_input(model, i);
        uint64_t state = seed + i * 0x632be59bd9b4e019u;
        if (inputs->values[i] || (port->optional && !inputs->shapes[i])) continue;
        NND_TRY(random_tensor(port, inputs->shapes[i], &state, &inputs->values[i]));
    }
    return NND_OK;
}

nnd_status cli_model_inputs_shapes(const nnd_model *model, const cli_model_inputs *inputs,
                                   nnd_tensor *out)
{
    for (size_t i = 0; i < inputs->count; i++) {
        const nnd_model_port *port = nnd_model_input(model, i);
        int64_t dims[NND_MAX_RANK] = {0};
        int rank;
        out[i] = (nnd_tensor){0};
        if (port->optional && !inputs->shapes[i]) continue;
        if (port->kind != NND_PORT_TENSOR)
            return nnd_error_set(NND_E_UNSUPPORTED, "input '%s' is no tensor: it has no shape",
                                 port->name);
        NND_TRY(choose_shape(inputs->shapes[i], port, &rank, dims));
        NND_TRY(nnd_tensor_init(&out[i], port->dtype, rank, dims, NULL));
    }
    return NND_OK;
}
