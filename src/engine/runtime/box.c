/* Values that are no plain tensors: how operators read and make them, how they cross the border of
   a request. */
#include <string.h>

#include "engine/runtime/exec.h"

enum { MAX_ITEMS = 1 << 24 };

static nnd_status out_of_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a sequence");
}

/* ---- operators ----------------------------------------------------------------------------- */

static nnd_value *box_at(const nnd_op_ctx *c, size_t i)
{
    bool present = c->exec && i < c->in_count && c->node->inputs[i] != NND_NO_ID;
    return present ? c->exec->boxes[c->node->inputs[i]] : NULL;
}

nnd_value *nnd_op_box(const nnd_op_ctx *c, size_t i)
{
    nnd_value *box = box_at(c, i);
    return box && !nnd_value_tensor(box) ? box : NULL;
}

nnd_status nnd_op_list_in(const nnd_op_ctx *c, size_t i, nnd_value **out)
{
    *out = nnd_op_box(c, i);
    if (*out && nnd_value_is(*out, "list")) return NND_OK;
    return nnd_op_fail(c, NND_E_TYPE, "input %zu is no sequence", i);
}

nnd_status nnd_op_copy_value(const nnd_tensor *t, nnd_value **out)
{
    nnd_buffer_desc desc = NND_BUFFER_DESC_INIT;
    nnd_tensor copy;
    NND_TRY(nnd_tensor_init(&copy, t->dtype, t->rank, t->dims, NULL));
    desc.bytes = nnd_tensor_bytes(&copy);
    NND_TRY(nnd_buffer_create(&desc, &copy.buffer));
    copy.data = nnd_buffer_data(copy.buffer);
    nnd_status status = NND_OK;
    if (!nnd_tensor_is_dense(t))
        status = nnd_tensor_copy(&copy, t);
    else if (t->data)
        memcpy(copy.data, t->data, desc.bytes);
    if (status == NND_OK) status = nnd_value_from_tensor(&copy, out);
    nnd_buffer_unref(copy.buffer);
    return status;
}

nnd_status nnd_op_value_in(const nnd_op_ctx *c, size_t i, nnd_value **out)
{
    const nnd_tensor *t;
    if (box_at(c, i)) {
        *out = nnd_value_ref(box_at(c, i));
        return NND_OK;
    }
    NND_TRY(nnd_op_need(c, i, &t));
    return nnd_op_copy_value(t, out);
}

nnd_status nnd_op_put(nnd_op_ctx *c, size_t i, nnd_value *take)
{
    uint32_t id = i < c->out_count ? c->node->outputs[i] : NND_NO_ID;
    if (id == NND_NO_ID) {
        nnd_value_unref(take);
        return NND_OK;
    }
    nnd_exec *x = c->exec;
    const nnd_tensor *t = nnd_value_tensor(take);
    nnd_value_unref(x->boxes[id]);
    x->boxes[id] = take;
    x->boxed = true;
    x->values[id] = t ? *t : (nnd_tensor){0};
    x->values[id].buffer = NULL;
    return NND_OK;
}

/* Bytes of all tensors in a value. */
static uint64_t bytes_of(const nnd_value *value)
{
    uint64_t n = 0;
    if (nnd_value_tensor(value)) return nnd_tensor_bytes(nnd_value_tensor(value));
    for (size_t i = 0; i < nnd_value_list_count(value); i++)
        n += bytes_of(nnd_value_list_at(value, i));
    for (size_t i = 0; i < nnd_value_record_count(value); i++)
        n += bytes_of(nnd_value_record_at(value, i));
    return n;
}

nnd_status nnd_op_put_list(nnd_op_ctx *c, size_t i, nnd_value *const *items, size_t count)
{
    uint64_t bytes = 0, limit = c->exec->env->cache->options.max_arena_bytes;
    nnd_value *list;
    for (size_t k = 0; k < count; k++)
        bytes += bytes_of(items[k]);
    if (count > MAX_ITEMS || bytes > limit)
        return nnd_op_fail(c, NND_E_LIMIT,
                           "a sequence of %zu tensors with %llu bytes is beyond the limit", count,
                           (unsigned long long)bytes);
    NND_TRY(nnd_value_new_list(items, count, &list));
    return nnd_op_put(c, i, list);
}

nnd_status nnd_op_text(const nnd_op_ctx *c, size_t size, char **out)
{
    nnd_arena *arena = &c->exec->env->text;
    uint64_t limit = c->exec->env->cache->options.max_arena_bytes;
    if (size >= limit || arena->total > limit - size)
        return nnd_op_fail(c, NND_E_LIMIT, "the texts of one run exceed %llu bytes",
                           (unsigned long long)limit);
    *out = nnd_arena_alloc(arena, size + 1);
    if (!*out) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for texts");
    (*out)[size] = 0;
    return NND_OK;
}

/* ---- the border of a request --------------------------------------------------------------- */

typedef nnd_status (*convert_tensor)(nnd_value *value, nnd_value **out);

static nnd_status convert(nnd_value *value, convert_tensor tensor, nnd_value **out);

static nnd_status convert_list(nnd_value *list, convert_tensor tensor, nnd_value **out)
{
    size_t count = nnd_value_list_count(list), made = 0;
    nnd_value **items = nnd_calloc(count + 1, sizeof(nnd_value *));
    if (!items) return out_of_memory();
    nnd_status status = NND_OK;
    for (; made < count && status == NND_OK; made += status == NND_OK)
        status = convert(nnd_value_list_at(list, made), tensor, &items[made]);
    if (status == NND_OK) status = nnd_value_new_list(items, count, out);
    for (size_t i = 0; i < made; i++)
        nnd_value_unref(items[i]);
    nnd_free(items);
    return status;
}

static nnd_status convert_record(nnd_value *record, convert_tensor tensor, nnd_value **out)
{
    nnd_value *copy;
    NND_TRY(nnd_value_new_record(&copy));
    nnd_status status = NND_OK;
    for (size_t i = 0; i < nnd_value_record_count(record) && status == NND_OK; i++) {
        nnd_value *member = NULL;
        status = convert(nnd_value_record_at(record, i), tensor, &member);
        if (status == NND_OK)
            status = nnd_value_record_set(copy, nnd_value_record_name(record, i), member);
        nnd_value_unref(member);
    }
    if (status != NND_OK) {
        nnd_value_unref(copy);
        return status;
    }
    *out = copy;
    return NND_OK;
}

static nnd_status convert(nnd_value *value, convert_tensor tensor, nnd_value **out)
{
    if (nnd_value_tensor(value)) return tensor(value, out);
    if (nnd_value_is(value, "list")) return convert_list(value, tensor, out);
    if (nnd_value_is(value, "record")) return convert_record(value, tensor, out);
    *out = nnd_value_ref(value);
    return NND_OK;
}

static nnd_status export_tensor(nnd_value *value, nnd_value **out)
{
    const nnd_tensor *t = nnd_value_tensor(value);
    if (t->dtype != NND_STRING) {
        *out = nnd_value_ref(value);
        return NND_OK;
    }
    const nnd_string *items = t->data;
    NND_TRY(nnd_value_new_tensor(NND_STRING, t->rank, t->dims, out));
    nnd_status status = NND_OK;
    for (size_t i = 0; i < (size_t)nnd_tensor_count(t) && status == NND_OK; i++)
        if (items[i].size) status = nnd_value_set_string(*out, i, items[i].text, items[i].size);
    if (status != NND_OK) nnd_value_unref(*out);
    return status;
}

static nnd_status import_tensor(nnd_value *value, nnd_value **out)
{
    const nnd_tensor *t = nnd_value_tensor(value);
    bool aligned = (uintptr_t)t->data % 16 == 0;
    if (!t->data && nnd_tensor_count(t) > 0)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "a tensor of the value has no host memory");
    if (!nnd_tensor_is_dense(t) || !aligned) return nnd_op_copy_value(t, out);
    *out = nnd_value_ref(value);
    return NND_OK;
}

nnd_status nnd_box_export(nnd_value *box, nnd_value **out)
{
    return convert(box, export_tensor, out);
}

nnd_status nnd_box_import(nnd_value *value, nnd_value **out)
{
    return convert(value, import_tensor, out);
}
