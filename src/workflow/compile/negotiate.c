/*
 * Last pass: specs flow along the edges, every edge gets a memory, and where producer and consumer
 * live in different memories a transfer is inserted (one per output and target, however many
 * consumers there are).
 */
#include <string.h>

#include "base/size.h"
#include "base/str.h"
#include "workflow/compile/compile.h"

#define KIND_BIT(kind) (1u << (kind))
#define HOST_KINDS     (KIND_BIT(NND_MEM_HOST) | KIND_BIT(NND_MEM_SHARED) | KIND_BIT(NND_MEM_PINNED))
#define POOL_MINIMUM   ((size_t)64 << 20)

struct nnd_negotiation {
    const wf_plan_actor *actor;
    nnd_spec *in; /* what is known, per port */
    nnd_spec *wanted;
    nnd_spec *out;
};

/* ---- what nodes ask and say -------------------------------------------------------------- */

void nnd_spec_init(nnd_spec *spec)
{
    memset(spec, 0, sizeof(*spec));
    spec->size = sizeof(*spec);
    spec->rank = -1;
    for (int i = 0; i < NND_MAX_RANK; i++)
        spec->dims[i] = -1;
    spec->memory_kinds = KIND_BIT(NND_MEM_HOST);
}

const nnd_params *nnd_negotiation_params(const nnd_negotiation *n)
{
    return n->actor->params;
}

const void *nnd_negotiation_prepared(const nnd_negotiation *n)
{
    return n->actor->prepared;
}

size_t nnd_negotiation_input_count(const nnd_negotiation *n)
{
    return n->actor->in_count;
}

const nnd_spec *nnd_negotiation_input(const nnd_negotiation *n, size_t port)
{
    static const nnd_spec unknown = {.size = sizeof(nnd_spec),
                                     .rank = -1,
                                     .dims = {-1, -1, -1, -1, -1, -1, -1, -1},
                                     .memory_kinds = KIND_BIT(NND_MEM_HOST)};
    return port < n->actor->in_count ? &n->in[port] : &unknown;
}

nnd_device *nnd_negotiation_device(const nnd_negotiation *n)
{
    return n->actor->device;
}

/* Copies the part of a spec that its author knew; the rest stays unknown. */
static nnd_status take_spec(nnd_spec *to, const nnd_spec *from, const char *what)
{
    if (!from || from->size < offsetof(nnd_spec, padding))
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "%s: the spec's size field is not set", what);
    nnd_spec_init(to);
    memcpy(to, from, from->size < sizeof(*to) ? from->size : sizeof(*to));
    to->size = sizeof(*to);
    if (!to->memory_kinds) to->memory_kinds = KIND_BIT(NND_MEM_HOST);
    if (to->alignment & (to->alignment - 1))
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "%s: alignment %zu is no power of two", what,
                             to->alignment);
    return NND_OK;
}

nnd_status nnd_negotiation_accept(nnd_negotiation *n, size_t input, const nnd_spec *wanted)
{
    if (input >= n->actor->in_count)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "the node has no input %zu", input);
    return take_spec(&n->wanted[input], wanted, "accept");
}

nnd_status nnd_negotiation_produce(nnd_negotiation *n, size_t output, const nnd_spec *spec)
{
    if (output >= n->actor->out_count)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "the node has no output %zu", output);
    return take_spec(&n->out[output], spec, "produce");
}

/* ---- specs along the edges --------------------------------------------------------------- */

static void keep_memory_only(nnd_spec *spec)
{
    nnd_spec known = *spec;
    nnd_spec_init(spec);
    spec->memory_kinds = known.memory_kinds;
    spec->device = known.device;
}

static void negotiate_loop(nnd_negotiation *n)
{
    const wf_plan_actor *a = n->actor;
    for (uint32_t i = 0; i < a->body_inputs; i++) {
        n->wanted[i] = n->out[i] = n->in[i];
        uint32_t back = a->carry[i];
        if (back == WF_NONE) continue;
        keep_memory_only(&n->out[i]); /* later turns may have other shapes */
        n->wanted[a->body_inputs + back] = n->out[a->body_inputs + back] = n->out[i];
    }
}

/* Passes an input of equal type through, as the executor will do. */
static void negotiate_bypass(nnd_negotiation *n)
{
    const wf_plan_actor *a = n->actor;
    for (uint32_t o = 0; o < a->out_count; o++) {
        uint32_t i = wf_bypass_input(a, o);
        if (i != WF_NONE) n->out[o] = n->wanted[i] = n->in[i];
    }
}

static nnd_status negotiate_actor(wf_compiler *c, wf_plan_actor *a)
{
    nnd_status status = NND_OK;
    size_t ports = (size_t)a->in_count + 1;
    nnd_negotiation n = {
        a, wf_arena_or_error(&c->arena, ports, sizeof(nnd_spec), &status),
        wf_arena_or_error(&c->arena, ports, sizeof(nnd_spec), &status),
        wf_arena_or_error(&c->arena, (size_t)a->out_count + 1, sizeof(nnd_spec), &status)};
    NND_TRY(status);
    for (uint32_t i = 0; i < a->in_count; i++) {
        nnd_spec_init(&n.in[i]);
        if (a->in[i].edge_count) {
            const wf_plan_edge *e = &c->plan->edges.items[a->in[i].edges[0]];
            n.in[i] = c->plan->actors.items[e->from].out[e->from_port].spec;
        }
        nnd_spec_init(&n.wanted[i]);
        n.wanted[i].memory_kinds = HOST_KINDS;
    }
    for (uint32_t i = 0; i < a->out_count; i++)
        nnd_spec_init(&n.out[i]);
    if (a->bypass) {
        negotiate_bypass(&n);
    } else if (a->kind == WF_ACTOR_LOOP) {
        negotiate_loop(&n);
    } else if (a->kind == WF_ACTOR_NODE && a->type && a->type->negotiate && !a->mute) {
        nnd_error_clear();
        status = a->type->negotiate(&n);
        if (status != NND_OK)
            NND_TRY(wf_report_record(c, a, "negotiate", status, "cannot work with its inputs"));
    }
    for (uint32_t i = 0; i < a->in_count; i++)
        a->in[i].spec = n.wanted[i];
    for (uint32_t i = 0; i < a->out_count; i++)
        a->out[i].spec = n.out[i];
    return NND_OK;
}

static nnd_status negotiate_all(wf_compiler *c)
{
    nnd_plan *plan = c->plan;
    nnd_status status = NND_OK;
    uint32_t *sorted = wf_arena_or_error(&c->arena, plan->actors.count, sizeof(uint32_t), &status);
    NND_TRY(status);
    for (uint32_t i = 0; i < plan->actors.count; i++)
        sorted[plan->actors.items[i].order] = i;
    for (size_t i = 0; i < plan->actors.count; i++) {
        wf_plan_actor *a = &plan->actors.items[sorted[i]];
        if (!a->dead) NND_TRY(negotiate_actor(c, a));
    }
    return NND_OK;
}

/* ---- memory and transfers ---------------------------------------------------------------- */

static nnd_device *spec_device(const nnd_spec *spec)
{
    return spec->device ? spec->device : nnd_device_cpu();
}

static nnd_memory_kind lowest_kind(uint32_t kinds)
{
    unsigned bit = 0;
    while (bit < 31 && !(kinds & (1u << bit)))
        bit++;
    return (nnd_memory_kind)bit;
}

/* Plain values hold no buffers that a device could own. */
static bool holds_buffers(const wf_plan_port *port)
{
    static const char *const plain[] = {"int",       "float",  "bool",    "text",    "detections",
                                        "keypoints", "tracks", "classes", "geometry"};
    for (size_t i = 0; port->exact && i < NND_COUNT(plain); i++)
        if (strcmp(port->exact->name, plain[i]) == 0) return false;
    return true;
}

static nnd_status transfer_path(wf_compiler *c, const wf_plan_actor *from, const wf_plan_port *out,
                                const wf_memory *target, const char **path)
{
    nnd_str text = {0};
    nnd_str_printf(&text, "%s.%s>%s", from->path, out->name,
                   target->kind == NND_MEM_DEVICE ? nnd_device_name(target->device)
                                                  : nnd_memory_kind_name(target->kind));
    *path = text.failed ? NULL : nnd_arena_strdup(&c->plan->arena, text.data);
    nnd_str_free(&text);
    return *path ? NND_OK : nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory");
}

static uint32_t find_transfer(const nnd_plan *plan, uint32_t from, uint32_t port,
                              const wf_memory *target)
{
    for (size_t i = 0; i < plan->edges.count; i++) {
        const wf_plan_edge *e = &plan->edges.items[i];
        const wf_plan_actor *to = &plan->actors.items[e->to];
        if (!e->dead && e->from == from && e->from_port == port && to->kind == WF_ACTOR_TRANSFER &&
            to->out[0].memory.kind == target->kind && to->out[0].memory.device == target->device &&
            to->out[0].memory.alignment >= target->alignment &&
            to->out[0].memory.padding >= target->padding)
            return e->to;
    }
    return WF_NONE;
}

static nnd_status add_transfer(wf_compiler *c, uint32_t edge, const wf_memory *target,
                               uint32_t *index)
{
    nnd_plan *plan = c->plan;
    const wf_plan_edge *e = &plan->edges.items[edge];
    const wf_plan_actor *from = &plan->actors.items[e->from], *to = &plan->actors.items[e->to];
    const wf_plan_port *out = &from->out[e->from_port];
    nnd_status status = NND_OK;
    wf_plan_actor t = {.kind = WF_ACTOR_TRANSFER,
                       .file = to->file,
                       .place = e->place,
                       .device =
                           target->kind == NND_MEM_DEVICE ? target->device : out->memory.device,
                       .in_count = 1,
                       .out_count = 1,
                       .in_cycle = from->in_cycle && to->in_cycle,
                       .fallback = WF_NONE,
                       .partner = WF_NONE,
                       .until = WF_NONE,
                       .count_port = WF_NONE};
    NND_TRY(transfer_path(c, from, out, target, &t.path));
    t.in = wf_arena_or_error(&plan->arena, 1, sizeof(wf_plan_port), &status);
    t.out = wf_arena_or_error(&plan->arena, 1, sizeof(wf_plan_port), &status);
    NND_TRY(status);
    *t.in = *t.out = (wf_plan_port){.name = out->name,
                                    .expr = out->type,
                                    .type = out->type,
                                    .text = "",
                                    .exact = out->exact,
                                    .spec = out->spec,
                                    .memory = out->memory};
    t.out->memory = *target;
    t.out->spec.memory_kinds = KIND_BIT(target->kind);
    t.out->spec.device = target->device;
    wf_plan_edge first = {.from = e->from,
                          .from_port = e->from_port,
                          .to = (uint32_t)plan->actors.count,
                          .hold = e->hold,
                          .capacity = WF_QUEUE_DEFAULT,
                          .memory = out->memory,
                          .place = e->place};
    *index = first.to;
    if (!nnd_vec_push(&plan->actors, t)) return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory");
    plan->transfer_count++;
    return wf_add_edge(c, &first);
}

static nnd_status route_through_transfer(wf_compiler *c, uint32_t edge, const nnd_spec *wanted)
{
    nnd_plan *plan = c->plan;
    wf_memory target = {lowest_kind(wanted->memory_kinds), spec_device(wanted), wanted->alignment,
                        wanted->padding};
    uint32_t t = find_transfer(plan, plan->edges.items[edge].from,
                               plan->edges.items[edge].from_port, &target);
    if (t == WF_NONE) NND_TRY(add_transfer(c, edge, &target, &t));
    plan->edges.items[edge].from = t;
    plan->edges.items[edge].from_port = 0;
    plan->edges.items[edge].memory = target;
    return NND_OK;
}

/* Chooses the memory of one output: the kind that most consumers can use as it is. */
static nnd_status place_output(wf_compiler *c, uint32_t actor, uint32_t port)
{
    nnd_plan *plan = c->plan;
    wf_plan_actor *a = &plan->actors.items[actor];
    wf_plan_port *out = &a->out[port];
    nnd_device *device = spec_device(&out->spec);
    uint32_t kinds = out->spec.memory_kinds;
    /* Host memory is placed by the run, so any host kind will do. */
    if (device == nnd_device_cpu() && a->kind == WF_ACTOR_NODE) kinds |= HOST_KINDS;
    bool *other = nnd_calloc(out->edge_count ? out->edge_count : 1, sizeof(bool));
    if (!other) return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory");
    for (uint32_t k = 0; k < out->edge_count; k++) {
        const wf_plan_edge *e = &plan->edges.items[out->edges[k]];
        if (e->param || !holds_buffers(out)) continue;
        const nnd_spec *wanted = &plan->actors.items[e->to].in[e->to_port].spec;
        if (spec_device(wanted) == device && (kinds & wanted->memory_kinds)) {
            kinds &= wanted->memory_kinds;
            if (out->memory.alignment < wanted->alignment)
                out->memory.alignment = wanted->alignment;
            if (out->memory.padding < wanted->padding) out->memory.padding = wanted->padding;
        } else {
            other[k] = true;
        }
    }
    out->memory.kind = lowest_kind(kinds);
    out->memory.device = device;
    nnd_status status = NND_OK;
    uint32_t count = out->edge_count;
    for (uint32_t k = 0; k < count && status == NND_OK; k++) {
        uint32_t edge = out->edges[k];
        const wf_plan_edge *e = &plan->edges.items[edge];
        plan->edges.items[edge].memory = out->memory;
        if (other[k])
            status =
                route_through_transfer(c, edge, &plan->actors.items[e->to].in[e->to_port].spec);
    }
    nnd_free(other);
    return status;
}

/* ---- pools ------------------------------------------------------------------------------- */

static size_t spec_bytes(const nnd_spec *spec)
{
    if (spec->width > 0 && spec->height > 0 && spec->format != NND_PIX_NONE) {
        nnd_image image;
        size_t bytes = 0;
        nnd_dtype dtype = spec->dtype ? spec->dtype : NND_U8;
        if (nnd_image_init(&image, spec->format, dtype, spec->width, spec->height, 1, NULL,
                           &bytes) != NND_OK) {
            nnd_error_clear();
            return 0;
        }
        return bytes;
    }
    if (spec->rank < 0 || spec->dtype == NND_DTYPE_INVALID) return 0;
    nnd_tensor t;
    for (int32_t i = 0; i < spec->rank; i++)
        if (spec->dims[i] < 0) return 0;
    if (nnd_tensor_init(&t, spec->dtype, spec->rank, spec->dims, NULL) != NND_OK) {
        nnd_error_clear();
        return 0;
    }
    return nnd_tensor_bytes(&t);
}

/* What all queues and calls under way can hold at once. */
static void size_pool(nnd_plan *plan)
{
    size_t total = 0;
    for (size_t i = 0; i < plan->actors.count; i++) {
        const wf_plan_actor *a = &plan->actors.items[i];
        for (uint32_t p = 0; !a->dead && p < a->out_count; p++) {
            size_t packets = 1, bytes = 0;
            for (uint32_t k = 0; k < a->out[p].edge_count; k++)
                packets += plan->edges.items[a->out[p].edges[k]].capacity;
            if (!nnd_size_mul(spec_bytes(&a->out[p].spec), packets, &bytes) ||
                !nnd_size_add(total, bytes, &total))
                total = SIZE_MAX / 2;
        }
    }
    plan->pool_bytes = total > POOL_MINIMUM ? total : POOL_MINIMUM;
}

nnd_status wf_compile_negotiate(wf_compiler *c)
{
    nnd_plan *plan = c->plan;
    NND_TRY(negotiate_all(c));
    if (nnd_diagnostics_error_count(c->diags)) return NND_OK;
    size_t n = plan->actors.count; /* transfers come behind */
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t p = 0; p < plan->actors.items[i].out_count; p++)
            if (!plan->actors.items[i].dead) NND_TRY(place_output(c, i, p));
    if (plan->transfer_count) {
        NND_TRY(wf_link_edges(plan));
        NND_TRY(wf_compile_rank(c));
    }
    size_pool(plan);
    return NND_OK;
}
