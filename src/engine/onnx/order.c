/*
 * The order of nodes. ONNX wants every node behind those that compute what it reads; not every
 * writer keeps to it, so the reader sorts: nodes come in the file's order, each preceded by those
 * of its producers that have not come yet. What a node's sub-graphs read from outside counts as
 * read by the node, and so does what a Gradient names.
 */
#include <string.h>

#include "base/hash.h"
#include "base/str.h"
#include "base/vec.h"
#include "engine/onnx/onnx.h"

enum {
    GRAPH_NODE = 1,
    GRAPH_INITIALIZER = 5,
    GRAPH_INPUT = 11,
    GRAPH_OUTPUT = 12,
    VALUE_NAME = 1,
    TENSOR_NAME = 8,
    NODE_INPUT = 1,
    NODE_OUTPUT = 2,
    NODE_NAME = 3,
    NODE_OP = 4,
    NODE_ATTRIBUTE = 5,
    NODE_DOMAIN = 7,
    ATTRIBUTE_STRING = 4,
    ATTRIBUTE_GRAPH = 6,
    ATTRIBUTE_STRINGS = 9
};

static nnd_status out_of_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to sort the model's nodes");
}

/* ---- who defines a name -------------------------------------------------------------------- */

/* In `node` for what is not computed by a node of the graph that is sorted. */
enum { ELSEWHERE = UINT32_MAX };

typedef struct definition {
    nnd_pb_bytes name; /* size 0 = a free slot */
    uint32_t node;
} definition;

typedef struct scope {
    const struct scope *outer;
    size_t slot_count; /* a power of two */
    definition *slots;
} scope;

static definition *slot_of(const scope *s, nnd_pb_bytes name)
{
    size_t mask = s->slot_count - 1, i = (size_t)nnd_hash64(name.data, name.size) & mask;
    while (s->slots[i].name.size && (s->slots[i].name.size != name.size ||
                                     memcmp(s->slots[i].name.data, name.data, name.size) != 0))
        i = (i + 1) & mask;
    return &s->slots[i];
}

static uint32_t find(const scope *s, nnd_pb_bytes name)
{
    for (; name.size && s; s = s->outer) {
        const definition *d = slot_of(s, name);
        if (d->name.size) return d->node;
    }
    return ELSEWHERE;
}

/* The first definition counts; that there is a second one is found when the graph is read. */
static void define(scope *s, nnd_pb_bytes name, uint32_t node)
{
    if (!name.size) return;
    definition *d = slot_of(s, name);
    if (!d->name.size) *d = (definition){name, node};
}

static nnd_pb_bytes text_of(nnd_pb_bytes message, uint32_t field)
{
    nnd_pb_field f;
    nnd_pb_bytes found = {0};
    bool bad = false;
    while (nnd_pb_next(&message, &f, &bad))
        if (f.number == field && f.type == NND_PB_LEN) found = f.bytes;
    return found;
}

static size_t count_fields(nnd_pb_bytes message, uint32_t field)
{
    nnd_pb_field f;
    bool bad = false;
    size_t n = 0;
    while (nnd_pb_next(&message, &f, &bad))
        n += f.number == field && f.type == NND_PB_LEN;
    return n;
}

static nnd_status make_room(scope *s, size_t names)
{
    s->slot_count = 16;
    while (s->slot_count / 2 < names)
        s->slot_count *= 2;
    s->slots = nnd_calloc(s->slot_count, sizeof(*s->slots));
    return s->slots ? NND_OK : out_of_memory();
}

static void define_outputs(scope *s, nnd_pb_bytes node, uint32_t index)
{
    nnd_pb_field f;
    bool bad = false;
    while (nnd_pb_next(&node, &f, &bad))
        if (f.number == NODE_OUTPUT && f.type == NND_PB_LEN) define(s, f.bytes, index);
}

/* All names of a sub-graph: none of them is a use of an outer value. */
static nnd_status open_body(scope *s, nnd_pb_bytes graph)
{
    nnd_pb_field f;
    bool bad = false;
    size_t names = count_fields(graph, GRAPH_INITIALIZER) + count_fields(graph, GRAPH_INPUT);
    for (nnd_pb_bytes left = graph; nnd_pb_next(&left, &f, &bad);)
        if (f.number == GRAPH_NODE && f.type == NND_PB_LEN)
            names += count_fields(f.bytes, NODE_OUTPUT);
    NND_TRY(make_room(s, names));
    while (nnd_pb_next(&graph, &f, &bad)) {
        if (f.type != NND_PB_LEN) continue;
        if (f.number == GRAPH_NODE) define_outputs(s, f.bytes, ELSEWHERE);
        if (f.number == GRAPH_INITIALIZER) define(s, text_of(f.bytes, TENSOR_NAME), ELSEWHERE);
        if (f.number == GRAPH_INPUT) define(s, text_of(f.bytes, VALUE_NAME), ELSEWHERE);
    }
    return NND_OK;
}

/* ---- what a node waits for ----------------------------------------------------------------- */

typedef struct sorting {
    nnd_pb_bytes *nodes;
    size_t count;
    scope names;
    NND_VEC(uint32_t) producers; /* of node i: from begin[i] to begin[i + 1] */
    size_t *begin;
    bool is_sorted;
} sorting;

static nnd_status wait_for(sorting *s, const scope *names, nnd_pb_bytes name, size_t reader)
{
    uint32_t producer = find(names, name);
    if (producer == ELSEWHERE) return NND_OK;
    if (producer >= reader) s->is_sorted = false;
    return nnd_vec_push(&s->producers, producer) ? NND_OK : out_of_memory();
}

static nnd_status visit_body(sorting *s, const scope *names, nnd_pb_bytes graph, size_t reader,
                             int depth);

static bool is_text(nnd_pb_bytes bytes, const char *text)
{
    return bytes.size == strlen(text) && memcmp(bytes.data, text, bytes.size) == 0;
}

/* A Gradient names the tensors that it differentiates by its attributes. */
static nnd_status visit_node(sorting *s, const scope *names, nnd_pb_bytes node, size_t reader,
                             int depth)
{
    nnd_pb_field f, part;
    bool bad = false;
    const bool by_name = is_text(text_of(node, NODE_OP), "Gradient") &&
                         is_text(text_of(node, NODE_DOMAIN), "ai.onnx.preview.training");
    while (nnd_pb_next(&node, &f, &bad)) {
        if (f.type != NND_PB_LEN) continue;
        if (f.number == NODE_INPUT) NND_TRY(wait_for(s, names, f.bytes, reader));
        if (f.number != NODE_ATTRIBUTE) continue;
        while (nnd_pb_next(&f.bytes, &part, &bad)) {
            if (part.type != NND_PB_LEN) continue;
            if (part.number == ATTRIBUTE_GRAPH)
                NND_TRY(visit_body(s, names, part.bytes, reader, depth + 1));
            if (by_name && (part.number == ATTRIBUTE_STRING || part.number == ATTRIBUTE_STRINGS))
                NND_TRY(wait_for(s, names, part.bytes, reader));
        }
    }
    return bad ? nnd_onnx_malformed("a node ends in the middle of a field") : NND_OK;
}

static nnd_status visit_body(sorting *s, const scope *names, nnd_pb_bytes graph, size_t reader,
                             int depth)
{
    scope own = {.outer = names};
    nnd_pb_field f;
    bool bad = false;
    if (depth > NND_ONNX_MAX_DEPTH)
        return nnd_error_set(NND_E_LIMIT, "sub-graphs are nested more than %d deep",
                             NND_ONNX_MAX_DEPTH);
    nnd_status status = open_body(&own, graph);
    while (status == NND_OK && nnd_pb_next(&graph, &f, &bad)) {
        if (f.type != NND_PB_LEN) continue;
        if (f.number == GRAPH_NODE) status = visit_node(s, &own, f.bytes, reader, depth);
        if (f.number == GRAPH_OUTPUT)
            status = wait_for(s, &own, text_of(f.bytes, VALUE_NAME), reader);
    }
    nnd_free(own.slots);
    if (status == NND_OK && bad)
        return nnd_onnx_malformed("a sub-graph ends in the middle of a field");
    return status;
}

static nnd_status list_nodes(sorting *s, nnd_pb_bytes graph, uint32_t field)
{
    nnd_pb_field f;
    bool bad = false;
    size_t names = 0, count = count_fields(graph, field);
    if (count > NND_ONNX_MAX_NODES)
        return nnd_error_set(NND_E_LIMIT, "the model has more than %d nodes", NND_ONNX_MAX_NODES);
    s->nodes = nnd_calloc(count + 1, sizeof(*s->nodes));
    s->begin = nnd_calloc(count + 1, sizeof(*s->begin));
    if (!s->nodes || !s->begin) return out_of_memory();
    while (nnd_pb_next(&graph, &f, &bad))
        if (f.number == field && f.type == NND_PB_LEN) {
            s->nodes[s->count++] = f.bytes;
            names += count_fields(f.bytes, NODE_OUTPUT);
        }
    if (bad) return nnd_onnx_malformed("the graph ends in the middle of a field");
    NND_TRY(make_room(&s->names, names));
    for (size_t i = 0; i < count; i++)
        define_outputs(&s->names, s->nodes[i], (uint32_t)i);
    s->is_sorted = true;
    for (size_t i = 0; i < count; i++) {
        NND_TRY(visit_node(s, &s->names, s->nodes[i], i, 0));
        s->begin[i + 1] = s->producers.count;
    }
    return NND_OK;
}

/* ---- sorting ------------------------------------------------------------------------------- */

/* The nodes that are waited for, each by the one below it. */
typedef struct waiting {
    uint32_t node;
    size_t next; /* producer to look at */
} waiting;

typedef struct walk {
    size_t height, placed;
    waiting *stack;
    enum { FRESH, WAITS, PLACED } * mark;
    nnd_pb_bytes *order;
} walk;

/* `node` waits for itself, by way of all that lies above it on the stack. */
static nnd_status circle(const sorting *s, const walk *w, uint32_t node)
{
    enum { MOST = 6 };
    nnd_str text = {0};
    nnd_arena arena = {0};
    nnd_status status = NND_OK;
    size_t first = 0;
    while (w->stack[first].node != node)
        first++;
    for (size_t i = first; i < w->height && i < first + MOST && status == NND_OK; i++) {
        nnd_pb_bytes message = s->nodes[w->stack[i].node];
        const char *name, *op;
        status = nnd_onnx_string(&arena, text_of(message, NODE_NAME), &name);
        if (status == NND_OK) status = nnd_onnx_string(&arena, text_of(message, NODE_OP), &op);
        if (status == NND_OK) nnd_str_printf(&text, "%s%s '%s'", i > first ? ", " : "", op, name);
    }
    if (status == NND_OK && w->height > first + MOST)
        nnd_str_printf(&text, " and %zu more", w->height - first - MOST);
    if (status == NND_OK && text.failed) status = out_of_memory();
    if (status == NND_OK)
        status = nnd_error_set(
            NND_E_FORMAT, "malformed ONNX: nodes wait for each other's results: %s", text.data);
    nnd_str_free(&text);
    nnd_arena_fini(&arena);
    return status;
}

/* Depth first without recursion: a file decides how long a chain is. */
static nnd_status place(const sorting *s, walk *w, uint32_t node)
{
    w->stack[w->height++] = (waiting){node, s->begin[node]};
    w->mark[node] = WAITS;
    while (w->height) {
        waiting *top = &w->stack[w->height - 1];
        if (top->next == s->begin[top->node + 1]) {
            w->order[w->placed++] = s->nodes[top->node];
            w->mark[top->node] = PLACED;
            w->height--;
            continue;
        }
        uint32_t producer = s->producers.items[top->next++];
        if (w->mark[producer] == WAITS) return circle(s, w, producer);
        if (w->mark[producer] == PLACED) continue;
        w->mark[producer] = WAITS;
        w->stack[w->height++] = (waiting){producer, s->begin[producer]};
    }
    return NND_OK;
}

static nnd_status sort(sorting *s)
{
    walk w = {.stack = nnd_calloc(s->count + 1, sizeof(*w.stack)),
              .mark = nnd_calloc(s->count + 1, sizeof(*w.mark)),
              .order = nnd_calloc(s->count + 1, sizeof(*w.order))};
    nnd_status status = w.stack && w.mark && w.order ? NND_OK : out_of_memory();
    for (size_t i = 0; i < s->count && status == NND_OK; i++)
        if (w.mark[i] == FRESH) status = place(s, &w, (uint32_t)i);
    if (status == NND_OK) {
        nnd_free(s->nodes);
        s->nodes = w.order;
        w.order = NULL;
    }
    nnd_free(w.stack);
    nnd_free(w.mark);
    nnd_free(w.order);
    return status;
}

nnd_status nnd_onnx_order_nodes(nnd_pb_bytes graph, uint32_t field, nnd_pb_bytes **nodes,
                                size_t *count)
{
    sorting s = {0};
    nnd_status status = list_nodes(&s, graph, field);
    if (status == NND_OK && !s.is_sorted) status = sort(&s);
    nnd_free(s.names.slots);
    nnd_free(s.begin);
    nnd_vec_free(&s.producers);
    if (status != NND_OK) {
        nnd_free(s.nodes);
        return status;
    }
    *nodes = s.nodes;
    *count = s.count;
    return NND_OK;
}
