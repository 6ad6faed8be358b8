/*
 * The built-in control-flow node types. flow.graph, flow.map and flow.loop are taken apart by the
 * compiler, flow.delay is made by the executor; their descriptors are here for everyone who lists
 * or checks node types. switch, merge, list and unlist are nodes like any other.
 */
#include "workflow/flow/flow.h"

#include <string.h>

#include "base/str.h"
#include "workflow/compile/compile.h"

/* ---- shared ------------------------------------------------------------------------------ */

/* For types that hand values on: any memory is fine as long as it is one. */
static nnd_status pass_memory(nnd_negotiation *n)
{
    nnd_spec first = *nnd_negotiation_input(n, 0);
    NND_TRY(nnd_negotiation_accept(n, 0, &first));
    return NND_OK;
}

static nnd_status negotiate_outputs(nnd_negotiation *n, size_t outputs, bool same_shape)
{
    NND_TRY(pass_memory(n));
    nnd_spec spec = *nnd_negotiation_input(n, 0);
    if (!same_shape) {
        nnd_spec only_memory;
        nnd_spec_init(&only_memory);
        only_memory.memory_kinds = spec.memory_kinds;
        only_memory.device = spec.device;
        spec = only_memory;
    }
    for (size_t i = 0; i < outputs; i++)
        NND_TRY(nnd_negotiation_produce(n, i, &spec));
    return NND_OK;
}

/* Built-ins whose process the compiler replaces. */
static nnd_status never_called(nnd_ctx *ctx)
{
    return nnd_error_set(NND_E_INTERNAL, "'%s' is not called directly", nnd_ctx_node_path(ctx));
}

/* ---- flow.graph, flow.map, flow.loop ----------------------------------------------------- */

static const nnd_node_type flow_graph = {
    .struct_size = sizeof(nnd_node_type),
    .type = "flow.graph",
    .version = 1,
    .category = "flow",
    .title = "Sub-graph",
    .text = "A graph inside a node, embedded or by reference to another workflow file. Its ports "
            "are the graph's inputs and outputs, its parameters the promoted ones.",
    .process = never_called,
};

static const nnd_param map_params[] = {
    {"over", NND_PARAM_KIND_STRINGS, NND_PARAM_STATIC, 0, "[]", 0, 0, NULL, "",
     "inputs whose lists are taken apart; none named: the first input", NULL},
};
static const nnd_node_type flow_map = {
    .struct_size = sizeof(nnd_node_type),
    .type = "flow.map",
    .version = 1,
    .category = "flow",
    .title = "For each",
    .text = "Runs its graph for each element of a list and gives lists of the results, in order. "
            "Elements without a result are left out.",
    .params = NND_ARRAY(map_params),
    .process = never_called,
};

static const nnd_param loop_params[] = {
    {"max_turns", NND_PARAM_KIND_INT, NND_PARAM_STATIC, 1000, NULL, 1, 1000000000, NULL, "",
     "more turns than this are an error", NULL},
};
static const nnd_node_type flow_loop = {
    .struct_size = sizeof(nnd_node_type),
    .type = "flow.loop",
    .version = 1,
    .category = "flow",
    .title = "Repeat",
    .text = "Runs its graph several times for each packet: a number of turns, or until an output "
            "is true. Carried outputs become inputs of the next turn.",
    .params = NND_ARRAY(loop_params),
    .process = never_called,
};

/* ---- flow.switch ------------------------------------------------------------------------- */

static const nnd_port switch_in[] = {
    NND_PORT("value", "$T", "what is sent on"),
    NND_PORT_OPT("select", "int|text|bool", "name or number of the case"),
};
static const nnd_param switch_params[] = {
    {"cases", NND_PARAM_KIND_STRINGS, NND_PARAM_STATIC, 0, "[\"true\", \"false\"]", 0, 0, NULL, "",
     "one output per case", NULL},
    NND_PARAM_TEXT("select", "", "the case while no edge gives it"),
    NND_PARAM_TEXT("default", "", "the case for anything else; empty: the packet is dropped"),
};

static nnd_status switch_ports(const nnd_params *params, nnd_prepare *prepare, nnd_port_list *ports)
{
    (void)prepare;
    NND_TRY(nnd_port_list_add_input(ports, "value", "$T", switch_in[0].text, 0));
    NND_TRY(nnd_port_list_add_input(ports, "select", "int|text|bool", switch_in[1].text,
                                    NND_PORT_OPTIONAL));
    for (size_t i = 0; i < nnd_params_string_count(params, "cases"); i++)
        NND_TRY(nnd_port_list_add_output(ports, nnd_params_string_at(params, "cases", i), "$T",
                                         "gets the packet when this case is chosen", 0));
    return NND_OK;
}

static nnd_status switch_negotiate(nnd_negotiation *n)
{
    size_t cases = nnd_params_string_count(nnd_negotiation_params(n), "cases");
    return negotiate_outputs(n, cases, true);
}

static size_t find_case(const nnd_params *params, const char *name)
{
    size_t count = nnd_params_string_count(params, "cases");
    for (size_t i = 0; i < count; i++)
        if (nnd_str_equal(nnd_params_string_at(params, "cases", i), name)) return i;
    return SIZE_MAX;
}

/* A text or truth value chooses by name, a number by position. */
static size_t chosen_case(const nnd_params *params, const nnd_value *select)
{
    int64_t number = 0;
    bool truth = false;
    if (!select) return find_case(params, nnd_params_text(params, "select"));
    if (nnd_value_is(select, "text")) return find_case(params, nnd_value_text(select)->text);
    if (nnd_value_is(select, "bool") && nnd_value_as_bool(select, &truth))
        return find_case(params, truth ? "true" : "false");
    if (!nnd_value_as_int(select, &number) || number < 0 ||
        (uint64_t)number >= nnd_params_string_count(params, "cases"))
        return SIZE_MAX;
    return (size_t)number;
}

static nnd_status switch_process(nnd_ctx *ctx)
{
    const nnd_params *params = nnd_ctx_params(ctx);
    size_t chosen = chosen_case(params, nnd_ctx_input(ctx, 1));
    if (chosen == SIZE_MAX) chosen = find_case(params, nnd_params_text(params, "default"));
    if (chosen == SIZE_MAX) return NND_OK;
    return nnd_ctx_emit(ctx, chosen, nnd_ctx_take_input(ctx, 0));
}

static const nnd_node_type flow_switch = {
    .struct_size = sizeof(nnd_node_type),
    .type = "flow.switch",
    .version = 1,
    .category = "flow",
    .title = "Switch",
    .text = "Sends each packet to one of several outputs; the others get nothing for it.",
    .inputs = NND_ARRAY(switch_in),
    .params = NND_ARRAY(switch_params),
    .flags = NND_NODE_PURE | NND_NODE_REENTRANT,
    .resolve_ports = switch_ports,
    .negotiate = switch_negotiate,
    .process = switch_process,
};

/* ---- flow.merge -------------------------------------------------------------------------- */

static const nnd_port merge_in[] = {
    {"in", "$T", "alternatives, in the order of the edges", NND_PORT_OPTIONAL | NND_PORT_VARIADIC},
};
static const nnd_port any_out[] = {NND_PORT("out", "$T", "the result")};

static nnd_status merge_negotiate(nnd_negotiation *n)
{
    return negotiate_outputs(n, 1, false);
}

static nnd_status merge_process(nnd_ctx *ctx)
{
    for (size_t i = 0; i < nnd_ctx_input_count(ctx, 0); i++) {
        nnd_value *value = nnd_ctx_input_at(ctx, 0, i);
        if (value) return nnd_ctx_emit(ctx, 0, nnd_value_ref(value));
    }
    return NND_OK;
}

static const nnd_node_type flow_merge = {
    .struct_size = sizeof(nnd_node_type),
    .type = "flow.merge",
    .version = 1,
    .category = "flow",
    .title = "Merge",
    .text = "Gives the first of its inputs that has a value; the counterpart of the switch.",
    .inputs = NND_ARRAY(merge_in),
    .outputs = NND_ARRAY(any_out),
    .flags = NND_NODE_PURE | NND_NODE_REENTRANT,
    .negotiate = merge_negotiate,
    .process = merge_process,
};

/* ---- flow.delay -------------------------------------------------------------------------- */

static const nnd_port delay_in[] = {NND_PORT("in", "$T", "packets")};
static const nnd_param delay_params[] = {
    {"initial", NND_PARAM_KIND_JSON, NND_PARAM_STATIC, 0, "null", 0, 0, NULL, "",
     "what comes before the first packet; null: nothing", NULL},
};

/* The initial value, by the type that the port has after unification. */
static nnd_status delay_prepare(nnd_prepare *prepare, void **prepared)
{
    const nnd_json *initial = nnd_params_json(nnd_prepare_params(prepare), "initial");
    nnd_value *value = NULL;
    *prepared = NULL;
    if (nnd_json_get_type(initial) == NND_JSON_NULL) return NND_OK;
    NND_TRY(nnd_value_from_json(initial, prepare->actor->out[0].type, &value));
    *prepared = value;
    return NND_OK;
}

static void delay_release(void *prepared)
{
    nnd_value_unref(prepared);
}

static nnd_status delay_negotiate(nnd_negotiation *n)
{
    return negotiate_outputs(n, 1, false);
}

static const nnd_node_type flow_delay = {
    .struct_size = sizeof(nnd_node_type),
    .type = "flow.delay",
    .version = 1,
    .category = "flow",
    .title = "Delay",
    .text = "Gives the packet before this one; the only node that may close a cycle.",
    .inputs = NND_ARRAY(delay_in),
    .outputs = NND_ARRAY(any_out),
    .params = NND_ARRAY(delay_params),
    .flags = NND_NODE_STATEFUL | WF_NODE_SEES_GAPS,
    .negotiate = delay_negotiate,
    .prepare = delay_prepare,
    .release = delay_release,
    .process = never_called,
};

/* ---- flow.list and flow.unlist ----------------------------------------------------------- */

static const nnd_port list_in[] = {
    {"in", "$T", "elements, in the order of the edges", NND_PORT_OPTIONAL | NND_PORT_VARIADIC},
};
static const nnd_port list_out[] = {NND_PORT("out", "list<$T>", "the list")};

static nnd_status list_process(nnd_ctx *ctx)
{
    size_t edges = nnd_ctx_input_count(ctx, 0), count = 0;
    nnd_value **items = nnd_alloc((edges + 1) * sizeof(*items));
    if (!items) return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory for a list");
    for (size_t i = 0; i < edges; i++)
        if (nnd_ctx_input_at(ctx, 0, i)) items[count++] = nnd_ctx_input_at(ctx, 0, i);
    nnd_value *list = NULL;
    nnd_status status = nnd_value_new_list(items, count, &list);
    nnd_free(items);
    return status == NND_OK ? nnd_ctx_emit(ctx, 0, list) : status;
}

static const nnd_node_type flow_list = {
    .struct_size = sizeof(nnd_node_type),
    .type = "flow.list",
    .version = 1,
    .category = "flow",
    .title = "List",
    .text = "Makes one list of its inputs; inputs without a value are left out.",
    .inputs = NND_ARRAY(list_in),
    .outputs = NND_ARRAY(list_out),
    .flags = NND_NODE_PURE | NND_NODE_REENTRANT,
    .process = list_process,
};

static const nnd_port unlist_in[] = {NND_PORT("in", "list<$T>", "a list")};
static const nnd_param unlist_params[] = {
    NND_PARAM_INT("index", 0, -1000000, 1000000, "", "which element; −1 is the last"),
};

static nnd_status unlist_process(nnd_ctx *ctx)
{
    const nnd_value *list = nnd_ctx_input(ctx, 0);
    int64_t count = (int64_t)nnd_value_list_count(list);
    int64_t index = nnd_params_int(nnd_ctx_params(ctx), "index");
    if (index < 0) index += count;
    if (index < 0 || index >= count) return NND_OK; /* there is none: a GAP */
    nnd_value *item = nnd_value_list_at(list, (size_t)index), *out = NULL;
    nnd_header header = *nnd_value_header(list);
    NND_TRY(nnd_value_with_header(item, &header, &out));
    return nnd_ctx_emit(ctx, 0, out);
}

static const nnd_node_type flow_unlist = {
    .struct_size = sizeof(nnd_node_type),
    .type = "flow.unlist",
    .version = 1,
    .category = "flow",
    .title = "Element",
    .text = "Gives one element of a list; nothing when the list is shorter.",
    .inputs = NND_ARRAY(unlist_in),
    .outputs = NND_ARRAY(any_out),
    .params = NND_ARRAY(unlist_params),
    .flags = NND_NODE_PURE | NND_NODE_REENTRANT,
    .process = unlist_process,
};

const nnd_node_type *const wf_flow_types[] = {
    &flow_delay, &flow_graph, &flow_list,   &flow_loop,
    &flow_map,   &flow_merge, &flow_switch, &flow_unlist,
};
const size_t wf_flow_type_count = NND_COUNT(wf_flow_types);
