/* A graph as text for people, tests and `inspect`. */
#include "engine/graph/graph.h"

#include "base/str.h"

static void put_value_name(nnd_str *s, const nnd_graph *g, uint32_t id)
{
    if (id == NND_NO_ID) {
        nnd_str_add(s, "-");
        return;
    }
    if (g->values[id].name[0])
        nnd_str_printf(s, "%%%s", g->values[id].name);
    else
        nnd_str_printf(s, "%%%u", (unsigned)id);
}

static void put_type(nnd_str *s, const nnd_graph_value *v)
{
    if (v->dtype == NND_DTYPE_INVALID) {
        nnd_str_add(s, "?");
        return;
    }
    nnd_str_add(s, nnd_dtype_name(v->dtype));
    if (v->rank < 0) {
        nnd_str_add(s, "[*]");
        return;
    }
    nnd_str_add(s, "[");
    for (int i = 0; i < v->rank; i++) {
        if (i) nnd_str_add(s, ",");
        if (v->dims[i] >= 0)
            nnd_str_printf(s, "%lld", (long long)v->dims[i]);
        else
            nnd_str_add(s, v->symbols[i] ? v->symbols[i] : "?");
    }
    nnd_str_add(s, "]");
}

static void put_ints(nnd_str *s, const nnd_attr *a)
{
    nnd_str_add(s, "[");
    for (size_t i = 0; i < a->count && i < 16; i++)
        nnd_str_printf(s, "%s%lld", i ? "," : "", (long long)a->u.ints[i]);
    nnd_str_add(s, a->count > 16 ? ",…]" : "]");
}

static void put_attr(nnd_str *s, const nnd_attr *a)
{
    nnd_str_printf(s, "%s=", a->name);
    switch (a->kind) {
    case NND_ATTR_INT:
        nnd_str_printf(s, "%lld", (long long)a->u.i);
        break;
    case NND_ATTR_FLOAT:
        nnd_str_printf(s, "%g", (double)a->u.f);
        break;
    case NND_ATTR_STRING:
        nnd_str_add_quoted(s, a->u.s.text, a->u.s.size, 32);
        break;
    case NND_ATTR_INTS:
        put_ints(s, a);
        break;
    case NND_ATTR_GRAPH:
        nnd_str_add(s, "{graph}");
        break;
    default:
        nnd_str_add(s, "…");
        break;
    }
}

static const char *const epilogue_names[] = {"",        "relu", "clip",       "leaky_relu",
                                             "sigmoid", "silu", "hard_swish", "hard_sigmoid",
                                             "tanh",    "gelu", "gelu_tanh"};

static void put_graph(nnd_str *s, const nnd_graph *g, int indent);

static void put_node(nnd_str *s, const nnd_graph *g, const nnd_graph_node *n, int indent)
{
    nnd_str_printf(s, "%*s", indent + 2, "");
    for (size_t k = 0; k < n->output_count; k++) {
        if (k) nnd_str_add(s, ", ");
        put_value_name(s, g, n->outputs[k]);
        if (n->outputs[k] == NND_NO_ID) continue;
        nnd_str_add(s, ": ");
        put_type(s, &g->values[n->outputs[k]]);
    }
    nnd_str_printf(s, " = %s%s%s(", n->domain, n->domain[0] ? "." : "", n->type);
    for (size_t k = 0; k < n->input_count; k++) {
        if (k) nnd_str_add(s, ", ");
        put_value_name(s, g, n->inputs[k]);
    }
    nnd_str_add(s, ")");
    for (size_t k = 0; k < n->attr_count; k++) {
        nnd_str_add(s, " ");
        put_attr(s, &n->attrs[k]);
    }
    if (n->epilogue != NND_EPILOGUE_NONE) nnd_str_printf(s, " +%s", epilogue_names[n->epilogue]);
    nnd_str_printf(s, "  # %s\n", n->name);
    for (size_t k = 0; k < n->attr_count; k++)
        if (n->attrs[k].kind == NND_ATTR_GRAPH) put_graph(s, n->attrs[k].u.graph, indent + 4);
    for (size_t k = 0; k < n->part_count; k++)
        put_node(s, g, &n->parts[k], indent + 4);
}

static void put_graph(nnd_str *s, const nnd_graph *g, int indent)
{
    nnd_str_printf(s, "%*sgraph %s(", indent, "", g->name);
    for (size_t i = 0; i < g->input_count; i++) {
        if (i) nnd_str_add(s, ", ");
        put_value_name(s, g, g->inputs[i]);
        nnd_str_add(s, ": ");
        put_type(s, &g->values[g->inputs[i]]);
    }
    nnd_str_add(s, ") {\n");
    for (size_t i = 0; i < g->node_count; i++)
        if (!g->nodes[i].dead) put_node(s, g, &g->nodes[i], indent);
    nnd_str_printf(s, "%*sreturn ", indent + 2, "");
    for (size_t i = 0; i < g->output_count; i++) {
        if (i) nnd_str_add(s, ", ");
        put_value_name(s, g, g->outputs[i]);
    }
    nnd_str_printf(s, "\n%*s}\n", indent, "");
}

char *nnd_graph_print(const nnd_graph *graph)
{
    nnd_str s = {0};
    char *text = NULL;
    put_graph(&s, graph, 0);
    return nnd_str_take(&s, &text, NULL) == NND_OK ? text : NULL;
}
