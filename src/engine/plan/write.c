/* A plan as JSON, for `inspect` and for people who look for memory. */
#include "engine/plan/plan.h"

static void write_shape(const nnd_tensor *t, nnd_json_writer *w)
{
    nnd_json_begin_array(w);
    for (int i = 0; i < t->rank; i++)
        nnd_json_put_int(w, t->dims[i]);
    nnd_json_end_array(w);
}

static const char *kind_name(nnd_slot_kind kind)
{
    static const char *const names[] = {"none", "constant", "input", "output", "arena", "dynamic"};
    return names[kind];
}

static void write_value(const nnd_plan *plan, uint32_t id, nnd_json_writer *w)
{
    const nnd_slot *s = &plan->slots[id];
    size_t shift;
    uint32_t root_id = nnd_plan_root(plan, id, &shift);
    const nnd_slot *root = &plan->slots[root_id];
    nnd_json_begin_object(w);
    nnd_json_key(w, "value");
    nnd_json_put_string(w, plan->graph->values[id].name);
    nnd_json_key(w, "kind");
    nnd_json_put_string(w, kind_name(root->kind));
    if (s->known) {
        nnd_json_key(w, "dtype");
        nnd_json_put_string(w, nnd_dtype_name(s->tensor.dtype));
        nnd_json_key(w, "shape");
        write_shape(&s->tensor, w);
        nnd_json_key(w, "bytes");
        nnd_json_put_int(w, (int64_t)nnd_tensor_bytes(&s->tensor));
    }
    if (root->kind == NND_SLOT_ARENA) {
        nnd_json_key(w, "offset");
        nnd_json_put_int(w, (int64_t)(root->offset + shift));
    }
    if (s->first != UINT32_MAX) {
        nnd_json_key(w, "first");
        nnd_json_put_int(w, s->first);
        nnd_json_key(w, "last");
        nnd_json_put_int(w, s->last);
    }
    if (root_id != id) {
        nnd_json_key(w, "shares");
        nnd_json_put_string(w, plan->graph->values[root_id].name);
    }
    nnd_json_end_object(w);
}

void nnd_plan_write(const nnd_plan *plan, nnd_json_writer *w)
{
    size_t sum = 0;
    for (size_t i = 0; i < plan->graph->value_count; i++)
        if (plan->slots[i].kind == NND_SLOT_ARENA || plan->slots[i].kind == NND_SLOT_OUTPUT)
            sum += nnd_tensor_bytes(&plan->slots[i].tensor);
    nnd_json_begin_object(w);
    nnd_json_key(w, "arena_bytes");
    nnd_json_put_int(w, (int64_t)plan->arena_bytes);
    nnd_json_key(w, "without_sharing_bytes");
    nnd_json_put_int(w, (int64_t)sum);
    nnd_json_key(w, "folded_bytes");
    nnd_json_put_int(w, (int64_t)plan->folded_bytes);
    nnd_json_key(w, "steps");
    nnd_json_put_int(w, (int64_t)plan->step_count);
    nnd_json_key(w, "values");
    nnd_json_begin_array(w);
    nnd_json_set_inline(w, true);
    for (uint32_t i = 0; i < plan->graph->value_count; i++) {
        nnd_slot_kind kind = plan->slots[i].kind;
        if (kind != NND_SLOT_NONE && kind != NND_SLOT_CONSTANT) write_value(plan, i, w);
    }
    nnd_json_set_inline(w, false);
    nnd_json_end_array(w);
    nnd_json_end_object(w);
}
