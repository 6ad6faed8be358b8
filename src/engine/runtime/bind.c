#include "engine/runtime/bind.h"

#include <string.h>

#include "base/str.h"
#include "engine/ops/op.h"
#include "engine/runtime/expand.h"

enum {
    LISTED = 1000,   /* nodes named one by one; the rest is counted */
    NAME_BYTES = 200 /* of a name that a file may make as long as it likes */
};

typedef struct complaint {
    nnd_str text;
    size_t count;
} complaint;

static bool has_domain(const char *domain)
{
    for (size_t i = 0; i < nnd_op_count(); i++)
        if (strcmp(nnd_op_at(i)->domain, domain) == 0) return true;
    return false;
}

/* Why there is no operator: the name is unknown, or only this version of it is. */
static const char *reason(const nnd_graph_node *n)
{
    for (size_t i = 0; i < nnd_op_count(); i++) {
        const nnd_op *op = nnd_op_at(i);
        if (strcmp(op->name, n->type) == 0 && strcmp(op->domain, n->domain) == 0)
            return "not in this opset version";
    }
    if (nnd_expansion_knows(n)) return "its inputs or attributes are not supported";
    return has_domain(n->domain) ? "unknown operator"
                                 : "unknown operator; no plug-in that is loaded knows this domain";
}

static void add_name(nnd_str *text, const char *name)
{
    size_t size = strlen(name);
    if (size > NAME_BYTES)
        nnd_str_printf(text, "%.*s…", (int)nnd_utf8_valid_prefix(name, NAME_BYTES), name);
    else
        nnd_str_printf(text, "%s", name);
}

static void complain(complaint *c, const nnd_graph_node *n, const char *why)
{
    if (c->count++ >= LISTED) return;
    nnd_str_printf(&c->text, "\n  '");
    add_name(&c->text, n->name);
    nnd_str_printf(&c->text, "': ");
    add_name(&c->text, n->domain);
    if (n->domain[0]) nnd_str_printf(&c->text, ".");
    add_name(&c->text, n->type);
    nnd_str_printf(&c->text, " (opset %lld): %s", (long long)n->opset, why);
}

static bool fits(size_t count, int16_t low, int16_t high)
{
    return (int64_t)count >= low && (high < 0 || (int64_t)count <= high);
}

/* ONNX Runtime's FusedConv and FusedGemm are Conv and Gemm with an epilogue, or without. */
static bool bind_fused(nnd_graph_node *n)
{
    static const struct {
        const char *name;
        nnd_epilogue kind;
    } known[] = {{"", NND_EPILOGUE_NONE},
                 {"Relu", NND_EPILOGUE_RELU},
                 {"Sigmoid", NND_EPILOGUE_SIGMOID},
                 {"Tanh", NND_EPILOGUE_TANH},
                 {"Clip", NND_EPILOGUE_CLIP},
                 {"LeakyRelu", NND_EPILOGUE_LEAKY_RELU},
                 {"HardSigmoid", NND_EPILOGUE_HARD_SIGMOID}};
    if (strcmp(n->domain, "com.microsoft") != 0) return false;
    bool conv = strcmp(n->type, "FusedConv") == 0, gemm = strcmp(n->type, "FusedGemm") == 0;
    if ((!conv && !gemm) || n->output_count != 1) return false;
    if (n->formal_count < 2 || n->formal_count > (conv ? 4u : 3u)) return false;
    if (n->inputs[0] == NND_NO_ID || n->inputs[1] == NND_NO_ID) return false;
    const char *activation = nnd_node_string(n, "activation", "");
    size_t count;
    const float *params = nnd_node_floats(n, "activation_params", &count);
    for (size_t i = 0; i < NND_COUNT(known); i++) {
        if (strcmp(known[i].name, activation) != 0) continue;
        n->epilogue = known[i].kind;
        n->epilogue_a = count > 0 ? params[0] : nnd_node_float(n, "activation_alpha", 0);
        n->epilogue_b = count > 1 ? params[1] : nnd_node_float(n, "activation_beta", 0);
        n->op = nnd_op_find("", conv ? "Conv" : "Gemm", 11);
        return true;
    }
    return false;
}

static void bind_graph(nnd_graph *g, complaint *c)
{
    for (size_t i = 0; i < g->node_count; i++) {
        nnd_graph_node *n = &g->nodes[i];
        if (bind_fused(n)) continue;
        const nnd_op *op = nnd_op_find(n->domain, n->type, n->opset);
        if (!op && nnd_expansion_of(n)) continue;
        if (!op)
            complain(c, n, n->opset ? reason(n) : "the model does not import this domain");
        else if (!fits(n->formal_count, op->min_inputs, op->max_inputs))
            complain(c, n, "wrong number of inputs");
        else if (!fits(n->output_count, op->min_outputs, op->max_outputs))
            complain(c, n, "wrong number of outputs");
        else
            n->op = op;
        for (size_t k = 0; op && k < (size_t)op->min_inputs && k < n->formal_count; k++)
            if (n->inputs[k] == NND_NO_ID) {
                complain(c, n, "a required input is missing");
                break;
            }
    }
    for (nnd_graph *child = g->children; child; child = child->sibling)
        bind_graph(child, c);
}

nnd_status nnd_graph_bind(nnd_graph *graph)
{
    complaint c = {0};
    bind_graph(graph, &c);
    if (!c.count) return NND_OK;
    if (c.count > LISTED) nnd_str_printf(&c.text, "\n  and %zu more", c.count - LISTED);
    nnd_status status =
        nnd_error_set(NND_E_UNSUPPORTED, "%zu node%s of the model cannot run here:%s", c.count,
                      c.count == 1 ? "" : "s", c.text.data ? c.text.data : "");
    nnd_str_free(&c.text);
    return status;
}

nnd_status nnd_graph_prepare(nnd_graph *g, struct nnd_packed *packed, void (*after)(void *user),
                             void *user)
{
    g->packed = packed;
    for (nnd_graph *child = g->children; child; child = child->sibling)
        NND_TRY(nnd_graph_prepare(child, packed, after, user));
    for (size_t i = 0; i < g->node_count; i++) {
        if (!g->nodes[i].op->prepare) continue;
        NND_TRY(g->nodes[i].op->prepare(g, &g->nodes[i]));
        after(user);
    }
    return NND_OK;
}

void nnd_graph_release(nnd_graph *g)
{
    for (nnd_graph *child = g->children; child; child = child->sibling)
        nnd_graph_release(child);
    for (size_t i = 0; i < g->node_count; i++) {
        nnd_graph_node *n = &g->nodes[i];
        if (n->op && n->op->release && n->state) n->op->release(n->state);
        n->state = NULL;
        n->choice = NULL;
    }
}
