/* Reads the parts of a graph: boundary, nodes, edges. */
#include "workflow/format/parse.h"

#include "base/map.h"
#include "base/str.h"

#include <string.h>

static nnd_status no_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a workflow");
}

static nnd_status read_number(wf_reader *r, const nnd_json *object, size_t i, const char *node,
                              double minimum, double *slot)
{
    const nnd_json *json = nnd_json_at(object, i);
    double value = nnd_json_number(json, minimum - 1);
    if (nnd_json_get_type(json) != NND_JSON_NUMBER || value < minimum)
        return wf_bad(r, wf_place_of(json), node, "", "wrong-kind",
                      "'%s' must be a number of at least %g", nnd_json_key_at(object, i), minimum);
    *slot = value;
    return NND_OK;
}

static nnd_status read_count(wf_reader *r, const nnd_json *object, size_t i, const char *node,
                             int64_t *slot)
{
    const nnd_json *json = nnd_json_at(object, i);
    int64_t value = 0;
    if (nnd_json_get_type(json) != NND_JSON_NUMBER || !nnd_json_int(json, &value) || value < 1)
        return wf_bad(r, wf_place_of(json), node, "", "wrong-kind",
                      "'%s' must be a whole number of at least 1", nnd_json_key_at(object, i));
    *slot = value;
    return NND_OK;
}

static nnd_status read_flag(wf_reader *r, const nnd_json *object, size_t i, const char *node,
                            bool *slot)
{
    const nnd_json *json = nnd_json_at(object, i);
    if (nnd_json_get_type(json) != NND_JSON_BOOL)
        return wf_bad(r, wf_place_of(json), node, "", "wrong-kind", "'%s' must be true or false",
                      nnd_json_key_at(object, i));
    *slot = nnd_json_bool(json, false);
    return NND_OK;
}

/* An array of objects becomes an array of structs, one element at a time. */
typedef nnd_status (*element_fn)(wf_reader *r, const nnd_json *json, const char *path, void *slot);
typedef struct array_kind {
    element_fn read;
    size_t element_size;
    size_t limit; /* elements, of this array or of `used` */
    size_t *used; /* counts over all arrays of the document, NULL = each for itself */
} array_kind;
static nnd_status read_array(wf_reader *r, const nnd_json *object, size_t index, const char *path,
                             array_kind kind, void **items, size_t *count)
{
    const nnd_json *array = nnd_json_at(object, index);
    size_t n = nnd_json_count(array);
    if (nnd_json_get_type(array) != NND_JSON_ARRAY)
        return wf_bad(r, wf_place_of(array), path, "", "wrong-kind", "'%s' must be an array",
                      nnd_json_key_at(object, index));
    if (n == 0) return NND_OK;
    size_t none = 0, *used = kind.used ? kind.used : &none;
    if (n > kind.limit - *used)
        return wf_bad(r, wf_place_of(array), path, "", "limit",
                      "too many elements in '%s': at most %zu are allowed%s",
                      nnd_json_key_at(object, index), kind.limit,
                      kind.used ? " in a document with all its sub-graphs" : "");
    *used += n;
    char *block = nnd_calloc(n, kind.element_size);
    if (!block) return no_memory();
    *items = block;
    for (size_t i = 0; i < n; i++) {
        const nnd_json *element = nnd_json_at(array, i);
        /* Counted before it is read: what is half-read is freed with the document. */
        *count = i + 1;
        bool good = nnd_json_get_type(element) == NND_JSON_OBJECT;
        if (!good)
            NND_TRY(wf_bad(r, wf_place_of(element), path, "", "wrong-kind",
                           "each element of '%s' must be an object",
                           nnd_json_key_at(object, index)));
        else
            NND_TRY(wf_check_members(r, element, path, &good));
        if (good) NND_TRY(kind.read(r, element, path, block + i * kind.element_size));
    }
    return NND_OK;
}

static nnd_status require(wf_reader *r, const nnd_json *json, const char *node, const char *what,
                          char **slot)
{
    if (*slot) return NND_OK;
    if (!nnd_json_get(json, what)) /* else its wrong kind has been reported */
        NND_TRY(wf_bad(r, wf_place_of(json), node, "", "missing-field", "'%s' is missing", what));
    return wf_read_copy("", slot);
}

/* ---- boundary ---------------------------------------------------------------------------- */

/* Fields of a boundary port that are for people and editors: kept without a warning. */
static bool is_form_field(const char *key)
{
    static const char *const fields[] = {"title",   "description", "widget", "default", "optional",
                                         "minimum", "maximum",     "step",   "unit",    "accept"};
    for (size_t i = 0; i < NND_COUNT(fields); i++)
        if (strcmp(key, fields[i]) == 0) return true;
    return false;
}

static nnd_status read_input(wf_reader *r, const nnd_json *json, const char *path, void *slot)
{
    static const char *const known[] = {"name",        "type",   "title",
                                        "description", "widget", "default"};
    wf_input *input = slot;
    input->place = wf_place_of(json);
    for (size_t i = 0; i < nnd_json_count(json); i++) {
        const char *key = nnd_json_key_at(json, i);
        if (strcmp(key, "name") == 0)
            NND_TRY(wf_read_string(r, json, i, path, &input->name));
        else if (strcmp(key, "type") == 0)
            NND_TRY(wf_read_string(r, json, i, path, &input->type));
        else if (is_form_field(key))
            NND_TRY(wf_keep(json, i, &input->extra));
        else
            NND_TRY(wf_keep_unknown(r, json, i, path, &input->extra, known, NND_COUNT(known)));
    }
    NND_TRY(require(r, json, path, "name", &input->name));
    if (!input->type) NND_TRY(wf_read_copy("any", &input->type));
    return NND_OK;
}

static nnd_status read_output(wf_reader *r, const nnd_json *json, const char *path, void *slot)
{
    static const char *const known[] = {"name", "from", "title", "description"};
    wf_output *output = slot;
    output->place = wf_place_of(json);
    for (size_t i = 0; i < nnd_json_count(json); i++) {
        const char *key = nnd_json_key_at(json, i);
        if (strcmp(key, "name") == 0)
            NND_TRY(wf_read_string(r, json, i, path, &output->name));
        else if (strcmp(key, "from") == 0)
            NND_TRY(wf_read_pair(r, nnd_json_at(json, i), path, "from", &output->from_node,
                                 &output->from_port));
        else if (is_form_field(key))
            NND_TRY(wf_keep(json, i, &output->extra));
        else
            NND_TRY(wf_keep_unknown(r, json, i, path, &output->extra, known, NND_COUNT(known)));
    }
    NND_TRY(require(r, json, path, "name", &output->name));
    NND_TRY(require(r, json, path, "from", &output->from_node));
    return output->from_port ? NND_OK : wf_read_copy("", &output->from_port);
}

static nnd_status read_promoted(wf_reader *r, const nnd_json *json, const char *path, void *slot)
{
    static const char *const known[] = {"name", "to", "title", "description"};
    wf_promoted *param = slot;
    param->place = wf_place_of(json);
    for (size_t i = 0; i < nnd_json_count(json); i++) {
        const char *key = nnd_json_key_at(json, i);
        if (strcmp(key, "name") == 0)
            NND_TRY(wf_read_string(r, json, i, path, &param->name));
        else if (strcmp(key, "to") == 0)
            NND_TRY(wf_read_pair(r, nnd_json_at(json, i), path, "to", &param->to_node,
                                 &param->to_param));
        else if (is_form_field(key))
            NND_TRY(wf_keep(json, i, &param->extra));
        else
            NND_TRY(wf_keep_unknown(r, json, i, path, &param->extra, known, NND_COUNT(known)));
    }
    NND_TRY(require(r, json, path, "name", &param->name));
    NND_TRY(require(r, json, path, "to", &param->to_node));
    return param->to_param ? NND_OK : wf_read_copy("", &param->to_param);
}

/* ---- nodes ------------------------------------------------------------------------------- */

static nnd_status read_port(wf_reader *r, const nnd_json *json, const char *path, void *slot)
{
    static const char *const known[] = {"name", "type"};
    wf_port *port = slot;
    port->place = wf_place_of(json);
    for (size_t i = 0; i < nnd_json_count(json); i++) {
        const char *key = nnd_json_key_at(json, i);
        if (strcmp(key, "name") == 0)
            NND_TRY(wf_read_string(r, json, i, path, &port->name));
        else if (strcmp(key, "type") == 0)
            NND_TRY(wf_read_string(r, json, i, path, &port->type));
        else
            NND_TRY(wf_keep_unknown(r, json, i, path, &port->extra, known, NND_COUNT(known)));
    }
    NND_TRY(require(r, json, path, "name", &port->name));
    return port->type ? NND_OK : wf_read_copy("any", &port->type);
}

static nnd_status read_ports(wf_reader *r, const nnd_json *json, const char *path, wf_node *node)
{
    static const char *const known[] = {"in", "out"};
    static const array_kind ports = {read_port, sizeof(wf_port), WF_MAX_PORTS, NULL};
    bool good = false;
    if (nnd_json_get_type(json) != NND_JSON_OBJECT)
        return wf_bad(r, wf_place_of(json), path, "", "wrong-kind",
                      "'ports' must be an object with \"in\" and \"out\"");
    node->has_ports = true;
    NND_TRY(wf_check_members(r, json, path, &good));
    for (size_t i = 0; good && i < nnd_json_count(json); i++) {
        const char *key = nnd_json_key_at(json, i);
        if (strcmp(key, "in") == 0)
            NND_TRY(read_array(r, json, i, path, ports, (void **)&node->in_ports,
                               &node->in_port_count));
        else if (strcmp(key, "out") == 0)
            NND_TRY(read_array(r, json, i, path, ports, (void **)&node->out_ports,
                               &node->out_port_count));
        else
            NND_TRY(wf_keep_unknown(r, json, i, path, &node->ports_extra, known, NND_COUNT(known)));
    }
    return NND_OK;
}

static nnd_status read_carry(wf_reader *r, const nnd_json *json, const char *path, void *slot)
{
    static const char *const known[] = {"in", "out"};
    wf_carry *carry = slot;
    carry->place = wf_place_of(json);
    for (size_t i = 0; i < nnd_json_count(json); i++) {
        const char *key = nnd_json_key_at(json, i);
        if (strcmp(key, "in") == 0)
            NND_TRY(wf_read_string(r, json, i, path, &carry->in));
        else if (strcmp(key, "out") == 0)
            NND_TRY(wf_read_string(r, json, i, path, &carry->out));
        else
            NND_TRY(wf_keep_unknown(r, json, i, path, &carry->extra, known, NND_COUNT(known)));
    }
    NND_TRY(require(r, json, path, "in", &carry->in));
    return require(r, json, path, "out", &carry->out);
}

/* "image.resize@1" → type and version. */
static nnd_status read_type(wf_reader *r, const nnd_json *object, size_t i, const char *path,
                            wf_node *node)
{
    NND_TRY(wf_read_string(r, object, i, path, &node->type));
    if (!node->type) return NND_OK;
    size_t name_size = 0;
    int version = 0;
    if (!wf_type_split(node->type, &name_size, &version))
        return wf_bad(r, wf_place_of(nnd_json_at(object, i)), path, "", "bad-type",
                      "'%.80s' is no node type; write \"image.resize\" or, with a version from 1, "
                      "\"image.resize@1\"",
                      node->type);
    node->type[name_size] = '\0';
    node->version = version;
    return NND_OK;
}

static nnd_status read_params(wf_reader *r, const nnd_json *json, const char *path, wf_node *node)
{
    if (nnd_json_get_type(json) != NND_JSON_OBJECT)
        return wf_bad(r, wf_place_of(json), path, "", "wrong-kind",
                      "'params' of a node must be an object: name → value");
    bool good = false;
    NND_TRY(wf_check_members(r, json, path, &good));
    for (size_t i = 0; good && i < nnd_json_count(json); i++)
        NND_TRY(wf_keep(json, i, &node->params));
    return NND_OK;
}

static nnd_status read_embedded(wf_reader *r, const nnd_json *json, const char *path, wf_node *node)
{
    static const char *const known[] = {"inputs", "outputs", "params", "nodes", "edges"};
    int depth = 1;
    for (const char *p = path; *p; p++)
        depth += *p == '/';
    if (nnd_json_get_type(json) != NND_JSON_OBJECT)
        return wf_bad(r, wf_place_of(json), path, "", "wrong-kind", "'graph' must be an object");
    if (depth > WF_MAX_DEPTH)
        return wf_bad(r, wf_place_of(json), path, "", "depth",
                      "sub-graphs are nested deeper than %d levels", WF_MAX_DEPTH);
    bool good = false;
    NND_TRY(wf_check_members(r, json, path, &good));
    node->graph = nnd_calloc(1, sizeof *node->graph);
    if (!node->graph) return no_memory();
    for (size_t i = 0; good && i < nnd_json_count(json); i++) {
        nnd_status status = NND_OK;
        if (!wf_read_graph_member(r, json, i, path, node->graph, &status))
            status =
                wf_keep_unknown(r, json, i, path, &node->graph->extra, known, NND_COUNT(known));
        NND_TRY(status);
    }
    return wf_check_graph(r, path, node->graph);
}

static nnd_status text_of(const nnd_json *json, char **slot)
{
    nnd_free(*slot);
    *slot = NULL;
    return wf_json_text(json, slot);
}

/* The members that say how a node runs. true when the key was one of them. */
static bool read_node_setting(wf_reader *r, const nnd_json *json, size_t i, const char *path,
                              wf_node *node, nnd_status *status)
{
    const char *key = nnd_json_key_at(json, i);
    const nnd_json *value = nnd_json_at(json, i);
    if (strcmp(key, "title") == 0)
        *status = wf_read_string(r, json, i, path, &node->title);
    else if (strcmp(key, "device") == 0)
        *status = wf_read_string(r, json, i, path, &node->device);
    else if (strcmp(key, "on_error") == 0)
        *status = text_of(value, &node->on_error);
    else if (strcmp(key, "input_policy") == 0)
        *status = text_of(value, &node->input_policy);
    else if (strcmp(key, "deadline_ms") == 0)
        *status = read_number(r, json, i, path, 0, &node->deadline_ms);
    else if (strcmp(key, "bypass") == 0)
        *status = read_flag(r, json, i, path, &node->bypass);
    else if (strcmp(key, "mute") == 0)
        *status = read_flag(r, json, i, path, &node->mute);
    else
        return false;
    return true;
}

nnd_status wf_read_node_member(wf_reader *r, const nnd_json *json, size_t i, const char *path,
                               wf_node *node)
{
    static const array_kind carries = {read_carry, sizeof(wf_carry), WF_MAX_PORTS, NULL};
    static const char *const known[] = {
        "id",          "type",   "params", "ports", "title", "device", "on_error", "input_policy",
        "deadline_ms", "bypass", "mute",   "graph", "ref",   "carry",  "count",    "until"};
    const char *key = nnd_json_key_at(json, i);
    const nnd_json *value = nnd_json_at(json, i);
    nnd_status status = NND_OK;
    if (strcmp(key, "id") == 0) return NND_OK; /* read before: messages need it */
    if (strcmp(key, "type") == 0) return read_type(r, json, i, path, node);
    if (strcmp(key, "params") == 0) return read_params(r, value, path, node);
    if (strcmp(key, "ports") == 0) return read_ports(r, value, path, node);
    if (read_node_setting(r, json, i, path, node, &status)) return status;
    if (strcmp(key, "graph") == 0) return read_embedded(r, value, path, node);
    if (strcmp(key, "ref") == 0) return wf_read_string(r, json, i, path, &node->ref);
    if (strcmp(key, "count") == 0) return text_of(value, &node->count);
    if (strcmp(key, "until") == 0) return wf_read_string(r, json, i, path, &node->until);
    if (strcmp(key, "carry") == 0)
        return read_array(r, json, i, path, carries, (void **)&node->carry, &node->carry_count);
    return wf_keep_unknown(r, json, i, path, &node->extra, known, NND_COUNT(known));
}

static nnd_status read_node_id(wf_reader *r, const nnd_json *json, const char *path, wf_node *node)
{
    const nnd_json *id = nnd_json_get(json, "id");
    const char *text = nnd_json_string(id, NULL);
    if (!text)
        NND_TRY(wf_bad(r, wf_place_of(id ? id : json), path, "",
                       id ? "wrong-kind" : "missing-field",
                       id ? "'id' must be a string" : "a node has no 'id'"));
    else if (!wf_id_is_valid(text))
        NND_TRY(wf_bad(r, wf_place_of(id), path, "", "bad-id",
                       "node id '%.70s': letters, digits, '_' and '-', not beginning with a digit "
                       "or '-', at most 64",
                       text));
    return wf_read_copy(text ? text : "", &node->id);
}

static nnd_status read_node(wf_reader *r, const nnd_json *json, const char *path, void *slot)
{
    wf_node *node = slot;
    node->place = wf_place_of(json);
    NND_TRY(read_node_id(r, json, path, node));
    char *own = path[0] ? nnd_strf("%s/%s", path, node->id) : nnd_strdup(node->id);
    if (!own) return no_memory();
    nnd_status status = NND_OK;
    for (size_t i = 0; i < nnd_json_count(json) && status == NND_OK; i++)
        status = wf_read_node_member(r, json, i, own, node);
    if (status == NND_OK) status = require(r, json, own, "type", &node->type);
    if (status == NND_OK && node->ref && node->graph)
        status = wf_bad(r, node->place, own, "", "ref-and-graph",
                        "a sub-graph is either embedded ('graph') or in a file ('ref'), not both");
    else if (status == NND_OK && node->ref)
        status = wf_read_ref(r, own, node, wf_place_of(nnd_json_get(json, "ref")));
    nnd_free(own);
    return status;
}

/* ---- edges ------------------------------------------------------------------------------- */

static nnd_status read_policy(wf_reader *r, const nnd_json *json, const char *path, wf_policy *slot)
{
    const char *text = nnd_json_string(json, "");
    for (int p = WF_POLICY_BLOCK; p <= WF_POLICY_FAULT; p++) {
        if (strcmp(text, wf_policy_name((wf_policy)p)) == 0) {
            *slot = (wf_policy)p;
            return NND_OK;
        }
    }
    return wf_bad(r, wf_place_of(json), path, "", "edge-policy",
                  "'policy' must be \"block\", \"drop_oldest\", \"drop_newest\", \"latest\" or "
                  "\"fault\"");
}

static nnd_status read_kind(wf_reader *r, const nnd_json *json, const char *path, wf_edge *edge)
{
    const char *text = nnd_json_string(json, "");
    edge->is_param = strcmp(text, "param") == 0;
    if (edge->is_param || strcmp(text, "data") == 0) return NND_OK;
    return wf_bad(r, wf_place_of(json), path, "", "edge-kind",
                  "'kind' of an edge is \"param\" or \"data\"");
}

static nnd_status read_edge_member(wf_reader *r, const nnd_json *json, size_t i, const char *path,
                                   wf_edge *edge)
{
    static const char *const known[] = {"from", "to", "kind", "queue", "bytes", "age_ms", "policy"};
    const char *key = nnd_json_key_at(json, i);
    const nnd_json *value = nnd_json_at(json, i);
    if (strcmp(key, "from") == 0)
        return wf_read_pair(r, value, path, key, &edge->from_node, &edge->from_port);
    if (strcmp(key, "to") == 0)
        return wf_read_pair(r, value, path, key, &edge->to_node, &edge->to_port);
    if (strcmp(key, "kind") == 0) return read_kind(r, value, path, edge);
    if (strcmp(key, "queue") == 0) return read_count(r, json, i, path, &edge->queue);
    if (strcmp(key, "bytes") == 0) return read_count(r, json, i, path, &edge->bytes);
    if (strcmp(key, "age_ms") == 0) return read_number(r, json, i, path, 0, &edge->age_ms);
    if (strcmp(key, "policy") == 0) return read_policy(r, value, path, &edge->policy);
    return wf_keep_unknown(r, json, i, path, &edge->extra, known, NND_COUNT(known));
}

static nnd_status read_edge(wf_reader *r, const nnd_json *json, const char *path, void *slot)
{
    wf_edge *edge = slot;
    edge->place = wf_place_of(json);
    for (size_t i = 0; i < nnd_json_count(json); i++)
        NND_TRY(read_edge_member(r, json, i, path, edge));
    NND_TRY(require(r, json, path, "from", &edge->from_node));
    NND_TRY(require(r, json, path, "to", &edge->to_node));
    if (!edge->from_port) NND_TRY(wf_read_copy("", &edge->from_port));
    return edge->to_port ? NND_OK : wf_read_copy("", &edge->to_port);
}

/* ---- graphs ------------------------------------------------------------------------------ */

bool wf_read_graph_member(wf_reader *r, const nnd_json *object, size_t index, const char *path,
                          wf_graph *g, nnd_status *status)
{
    const char *key = nnd_json_key_at(object, index);
    const array_kind inputs = {read_input, sizeof(wf_input), WF_MAX_PORTS, NULL};
    const array_kind outputs = {read_output, sizeof(wf_output), WF_MAX_PORTS, NULL};
    const array_kind params = {read_promoted, sizeof(wf_promoted), WF_MAX_PORTS, NULL};
    const array_kind nodes = {read_node, sizeof(wf_node), WF_MAX_NODES, &r->budget->nodes};
    const array_kind edges = {read_edge, sizeof(wf_edge), WF_MAX_EDGES, &r->budget->edges};
    if (strcmp(key, "inputs") == 0)
        *status = read_array(r, object, index, path, inputs, (void **)&g->inputs, &g->input_count);
    else if (strcmp(key, "outputs") == 0)
        *status =
            read_array(r, object, index, path, outputs, (void **)&g->outputs, &g->output_count);
    else if (strcmp(key, "params") == 0)
        *status = read_array(r, object, index, path, params, (void **)&g->params, &g->param_count);
    else if (strcmp(key, "nodes") == 0)
        *status = read_array(r, object, index, path, nodes, (void **)&g->nodes, &g->node_count);
    else if (strcmp(key, "edges") == 0)
        *status = read_array(r, object, index, path, edges, (void **)&g->edges, &g->edge_count);
    else
        return false;
    return true;
}

/* Elements that were no objects (and so were reported) still need names for later code. */
static nnd_status fill_names(wf_graph *g)
{
    for (size_t i = 0; i < g->input_count; i++) {
        if (!g->inputs[i].name) NND_TRY(wf_read_copy("", &g->inputs[i].name));
        if (!g->inputs[i].type) NND_TRY(wf_read_copy("any", &g->inputs[i].type));
    }
    for (size_t i = 0; i < g->output_count; i++)
        if (!g->outputs[i].name) NND_TRY(wf_read_copy("", &g->outputs[i].name));
    for (size_t i = 0; i < g->param_count; i++)
        if (!g->params[i].name) NND_TRY(wf_read_copy("", &g->params[i].name));
    for (size_t i = 0; i < g->node_count; i++)
        if (!g->nodes[i].id) NND_TRY(wf_read_copy("", &g->nodes[i].id));
    return NND_OK;
}

static nnd_status check_name(wf_reader *r, nnd_map *seen, const char *path, const char *what,
                             const char *name, wf_place place)
{
    static char present;
    if (!name[0]) return NND_OK; /* reported as missing */
    if (nnd_map_get(seen, name))
        return wf_bad(r, place, path, "", "duplicate", "there are two %s named '%s'", what, name);
    return nnd_map_put(seen, name, &present, NULL);
}

nnd_status wf_check_graph(wf_reader *r, const char *path, wf_graph *graph)
{
    nnd_map seen = {0};
    nnd_status status = fill_names(graph);
    for (size_t i = 0; i < graph->node_count && status == NND_OK; i++)
        status = check_name(r, &seen, path, "nodes", graph->nodes[i].id, graph->nodes[i].place);
    nnd_map_clear(&seen);
    for (size_t i = 0; i < graph->input_count && status == NND_OK; i++)
        status =
            check_name(r, &seen, path, "inputs", graph->inputs[i].name, graph->inputs[i].place);
    nnd_map_clear(&seen);
    for (size_t i = 0; i < graph->output_count && status == NND_OK; i++)
        status =
            check_name(r, &seen, path, "outputs", graph->outputs[i].name, graph->outputs[i].place);
    nnd_map_clear(&seen);
    for (size_t i = 0; i < graph->param_count && status == NND_OK; i++)
        status =
            check_name(r, &seen, path, "parameters", graph->params[i].name, graph->params[i].place);
    nnd_map_fini(&seen);
    return status;
}
