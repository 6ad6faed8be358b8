/* What a node's callbacks may ask and do: nnd_ctx_* of the public header. */
#include <string.h>

#include "workflow/exec/exec.h"

/* ---- questions --------------------------------------------------------------------------- */

const nnd_params *nnd_ctx_params(const nnd_ctx *ctx)
{
    return ctx->params;
}

const void *nnd_ctx_prepared(const nnd_ctx *ctx)
{
    return ctx->actor->plan->prepared;
}

void *nnd_ctx_state(const nnd_ctx *ctx)
{
    return ctx->state;
}

size_t nnd_ctx_input_count(const nnd_ctx *ctx, size_t port)
{
    if (port >= ctx->owner->plan->in_count) return 0;
    return ctx->input_first[port + 1] - ctx->input_first[port];
}

nnd_value *nnd_ctx_input_at(const nnd_ctx *ctx, size_t port, size_t index)
{
    if (index >= nnd_ctx_input_count(ctx, port)) return NULL;
    return ctx->inputs[ctx->input_first[port] + index];
}

nnd_value *nnd_ctx_input(const nnd_ctx *ctx, size_t port)
{
    return nnd_ctx_input_at(ctx, port, 0);
}

nnd_value *nnd_ctx_take_input(nnd_ctx *ctx, size_t port)
{
    if (nnd_ctx_input_count(ctx, port) == 0) return NULL;
    nnd_value **slot = &ctx->inputs[ctx->input_first[port]];
    nnd_value *value = *slot;
    if (ctx->keep_inputs) return nnd_value_ref(value);
    *slot = NULL;
    return value;
}

bool nnd_ctx_output_is_used(const nnd_ctx *ctx, size_t port)
{
    if (port >= ctx->owner->plan->out_count) return false;
    for (uint32_t k = 0; k < ctx->owner->plan->out[port].edge_count; k++)
        if (!wf_out_edge(ctx->owner, (uint32_t)port, k)->closed) return true;
    return false;
}

nnd_io *nnd_ctx_io(const nnd_ctx *ctx)
{
    return ctx->run->io;
}

nnd_cancel *nnd_ctx_cancel(const nnd_ctx *ctx)
{
    return ctx->cancel;
}

nnd_device *nnd_ctx_device(const nnd_ctx *ctx)
{
    return ctx->actor->plan->device;
}

nnd_stream *nnd_ctx_stream(const nnd_ctx *ctx)
{
    return ctx->stream;
}

int64_t nnd_ctx_sequence(const nnd_ctx *ctx)
{
    return ctx->key;
}

int nnd_ctx_threads(const nnd_ctx *ctx)
{
    return ctx->run->threads > 0 ? ctx->run->threads : nnd_sched_threads();
}

const char *nnd_ctx_node_path(const nnd_ctx *ctx)
{
    return ctx->actor->plan->path;
}

/* splitmix64: every seed gives a full period. */
uint64_t nnd_ctx_random(nnd_ctx *ctx)
{
    uint64_t z = (ctx->random += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void nnd_ctx_progress(nnd_ctx *ctx, double done, double total, const char *text)
{
    wf_event(ctx->run, NND_EVENT_PROGRESS, ctx->actor, NND_OK, NULL, text, done, total);
}

void nnd_ctx_end(nnd_ctx *ctx)
{
    ctx->end_asked = true;
}

/* ---- memory ------------------------------------------------------------------------------ */

static nnd_status get_buffer(nnd_ctx *ctx, const wf_memory *memory, size_t bytes, nnd_buffer **out)
{
    nnd_buffer_desc desc = NND_BUFFER_DESC_INIT;
    desc.bytes = bytes;
    desc.alignment = memory->alignment;
    desc.padding = memory->padding;
    desc.kind = memory->kind;
    desc.device = memory->device;
    return nnd_pool_get(ctx->run->pool, &desc, out);
}

static nnd_status alloc_tensor(nnd_ctx *ctx, const wf_memory *memory, const nnd_value_desc *d,
                               nnd_value **out)
{
    nnd_tensor t;
    NND_TRY(nnd_tensor_init(&t, d->dtype, d->rank, d->dims, NULL));
    if (d->dtype == NND_STRING) return nnd_value_new_tensor(d->dtype, d->rank, d->dims, out);
    nnd_buffer *buffer = NULL;
    NND_TRY(get_buffer(ctx, memory, nnd_tensor_bytes(&t), &buffer));
    t.layout = d->layout;
    t.data = nnd_buffer_data(buffer);
    t.buffer = buffer;
    nnd_status status = nnd_value_from_tensor(&t, out);
    nnd_buffer_unref(buffer);
    return status;
}

static nnd_status alloc_image(nnd_ctx *ctx, const wf_memory *memory, const nnd_value_desc *d,
                              nnd_value **out)
{
    nnd_image image;
    size_t bytes = 0;
    nnd_dtype dtype = d->dtype ? d->dtype : NND_U8;
    NND_TRY(nnd_image_init(&image, d->format, dtype, d->width, d->height, 1, NULL, &bytes));
    nnd_buffer *buffer = NULL;
    NND_TRY(get_buffer(ctx, memory, bytes, &buffer));
    nnd_status status = NND_OK;
    void *data = nnd_buffer_data(buffer);
    if (data) status = nnd_image_init(&image, d->format, dtype, d->width, d->height, 1, data, NULL);
    image.buffer = buffer;
    if (status == NND_OK) status = nnd_value_from_image(&image, out);
    nnd_buffer_unref(buffer);
    return status;
}

nnd_status nnd_ctx_alloc(nnd_ctx *ctx, size_t output, const nnd_value_desc *desc, nnd_value **out)
{
    if (output >= ctx->owner->plan->out_count || !desc || !desc->type || !out)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "there is no output %zu to allocate for",
                             output);
    nnd_value_desc d;
    memset(&d, 0, sizeof(d));
    memcpy(&d, desc, desc->size < sizeof(d) ? desc->size : sizeof(d));
    wf_memory memory = ctx->owner->plan->out[output].memory;
    if (memory.kind == NND_MEM_HOST && memory.device != nnd_device_cpu())
        memory.device = nnd_device_cpu();
    if (strcmp(d.type, "tensor") == 0) return alloc_tensor(ctx, &memory, &d, out);
    if (strcmp(d.type, "image") == 0) return alloc_image(ctx, &memory, &d, out);
    return nnd_error_set(NND_E_INVALID_ARGUMENT,
                         "nnd_ctx_alloc makes values of type tensor and image, not '%s'", d.type);
}

nnd_status nnd_ctx_alloc_tensor(nnd_ctx *ctx, size_t output, nnd_dtype dtype, int rank,
                                const int64_t *dims, nnd_value **out)
{
    nnd_value_desc d = {.size = sizeof(d), .type = "tensor", .dtype = dtype, .rank = rank};
    if (rank < 0 || rank > NND_MAX_RANK || (rank && !dims))
        return nnd_error_set(NND_E_SHAPE, "rank %d is not in 0 … %d", rank, NND_MAX_RANK);
    for (int i = 0; i < rank; i++)
        d.dims[i] = dims[i];
    return nnd_ctx_alloc(ctx, output, &d, out);
}

nnd_status nnd_ctx_alloc_image(nnd_ctx *ctx, size_t output, nnd_pixel_format format,
                               nnd_dtype dtype, int width, int height, nnd_value **out)
{
    nnd_value_desc d = {.size = sizeof(d),
                        .type = "image",
                        .dtype = dtype,
                        .format = format,
                        .width = width,
                        .height = height};
    return nnd_ctx_alloc(ctx, output, &d, out);
}

/* ---- putting out ------------------------------------------------------------------------- */

/* The sequence number under which a value goes out: the packet's, or what the node has set as long
   as it does not fall back behind what went before. */
static int64_t number_of(const nnd_ctx *ctx, uint32_t port, const nnd_header *h)
{
    int64_t key = ctx->counting ? ctx->key + ctx->emitted[port] : ctx->key;
    if (h->sequence > key) key = h->sequence;
    const wf_plan_port *p = &ctx->owner->plan->out[port];
    for (uint32_t k = 0; k < p->edge_count; k++) {
        const wf_edge_state *e = wf_out_edge(ctx->owner, port, k);
        if (!e->plan->sticky && key < e->bound) key = e->bound;
    }
    return key;
}

/* Gives the value the packet's header unless it has one of its own. Takes over `value`. */
static nnd_status stamp(const nnd_ctx *ctx, uint32_t port, nnd_value *value, nnd_value **out,
                        int64_t *key)
{
    nnd_header h = *nnd_value_header(value);
    bool unset = h.sequence == 0 && h.pts == NND_NO_TIME;
    *key = number_of(ctx, port, &h);
    nnd_header wanted = h;
    if (unset) {
        wanted = ctx->header;
        wanted.flags |= h.flags;
    } else if (h.group_parent < 0) {
        wanted.group_parent = ctx->header.group_parent;
        wanted.group_index = ctx->header.group_index;
    }
    if (unset && !ctx->counting && ctx->emitted[port] > 0 && wanted.group_parent < 0) {
        wanted.group_parent = ctx->key; /* one of several made from this packet */
        wanted.group_index = (int32_t)ctx->emitted[port];
    }
    wanted.sequence = *key;
    *out = value;
    if (memcmp(&wanted, &h, sizeof(h)) == 0) return NND_OK;
    if (nnd_value_holders(value) == 1) return nnd_value_set_header(value, &wanted);
    nnd_value *copy = NULL;
    nnd_status status = nnd_value_with_header(value, &wanted, &copy);
    if (status == NND_OK) {
        nnd_value_unref(value);
        *out = copy;
    }
    return status;
}

/* Where consumers wanted memory that other processes see, a value from elsewhere is moved there. */
static nnd_status place(nnd_ctx *ctx, uint32_t port, nnd_value *value, nnd_value **out)
{
    const wf_memory *memory = &ctx->owner->plan->out[port].memory;
    const nnd_buffer *buffer = nnd_value_buffer(value);
    bool moves = buffer && memory->kind != NND_MEM_DEVICE && memory->kind != NND_MEM_HOST &&
                 nnd_buffer_kind(buffer) != memory->kind;
    *out = value;
    return moves ? wf_transfer_value(ctx->run, value, memory, out) : NND_OK;
}

/* Work of this node may still be queued: the value is ready when that is done. */
static nnd_status mark_ready(const nnd_ctx *ctx, const nnd_value *value)
{
    nnd_buffer *buffer = nnd_value_buffer(value);
    if (!ctx->stream || !buffer || nnd_buffer_kind(buffer) != NND_MEM_DEVICE) return NND_OK;
    nnd_fence *fence = NULL;
    NND_TRY(nnd_stream_record(ctx->stream, &fence));
    nnd_buffer_set_ready(buffer, fence);
    nnd_fence_unref(fence);
    return NND_OK;
}

static nnd_status check_emit(const nnd_ctx *ctx, size_t output, const nnd_value *value)
{
    const wf_plan_actor *p = ctx->owner->plan;
    if (!ctx->active)
        return nnd_error_set(NND_E_STATE, "nnd_ctx_emit was called outside of a callback");
    if (output >= p->out_count)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "output %zu does not exist, there are %u",
                             output, p->out_count);
    if (!value) {
        nnd_error_set(NND_E_INVALID_ARGUMENT, "NULL was put out on '%s'", p->out[output].name);
        nnd_error_set_node(NULL, p->out[output].name);
        return NND_E_INVALID_ARGUMENT;
    }
    bool gap = (nnd_value_header(value)->flags & NND_VALUE_GAP) != 0;
    if (gap || wf_port_accepts(&p->out[output], value)) return NND_OK;
    nnd_error_set(NND_E_TYPE, "output '%s' is %s, but %s was put out", p->out[output].name,
                  p->out[output].type, nnd_value_type_name(value));
    nnd_error_set_node(NULL, p->out[output].name);
    return NND_E_TYPE;
}

/* Takes over `value`. */
static nnd_status emit(nnd_ctx *ctx, uint32_t port, nnd_value *value)
{
    nnd_value *stamped = value;
    int64_t key = ctx->key;
    nnd_status status = NND_OK;
    if (nnd_value_header(value)->flags & NND_VALUE_GAP) {
        nnd_value_unref(value);
        if (ctx->staging) return NND_OK; /* without a value, the packet's end makes the GAP */
        ctx->emitted[port]++;
        return wf_send(ctx->owner, port, NULL, key, key);
    }
    status = stamp(ctx, port, value, &stamped, &key);
    if (status == NND_OK) {
        nnd_value *placed = NULL;
        status = place(ctx, port, stamped, &placed);
        stamped = status == NND_OK ? placed : NULL;
    }
    if (status == NND_OK) status = mark_ready(ctx, stamped);
    if (status != NND_OK) {
        nnd_value_unref(stamped);
        return status;
    }
    if (ctx->counting && ctx->last < key) ctx->last = key;
    ctx->emitted[port]++;
    if (!ctx->staging) return wf_send(ctx->owner, port, stamped, key, key);
    wf_staged staged = {port, stamped};
    if (nnd_vec_push(&ctx->staged, staged)) return NND_OK;
    nnd_value_unref(stamped);
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory for a packet");
}

nnd_status nnd_ctx_emit(nnd_ctx *ctx, size_t output, nnd_value *take_value)
{
    nnd_status status = check_emit(ctx, output, take_value);
    if (status != NND_OK) {
        nnd_value_unref(take_value);
    } else if (!nnd_ctx_output_is_used(ctx, output)) {
        nnd_value_unref(take_value);
        ctx->emitted[output]++;
        return ctx->owner->plan->out[output].edge_count ? NND_E_CLOSED : NND_OK;
    } else {
        status = emit(ctx, (uint32_t)output, take_value);
    }
    if (status != NND_OK && status != NND_E_CLOSED && ctx->emit_status == NND_OK) {
        ctx->emit_status = status;
        ctx->emit_error = nnd_error_take();
        if (ctx->emit_error) nnd_error_restore(ctx->emit_error);
    }
    return status;
}
