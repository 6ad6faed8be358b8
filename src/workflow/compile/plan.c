/* A finished plan: reference count, questions, hash, JSON. */
#include "workflow/compile/plan.h"

#include <string.h>

#include "base/str.h"
#include "workflow/compile/compile.h"

/* ---- life -------------------------------------------------------------------------------- */

nnd_plan *nnd_plan_ref(nnd_plan *plan)
{
    if (plan) atomic_fetch_add_explicit(&plan->refs, 1, memory_order_relaxed);
    return plan;
}

void nnd_plan_unref(nnd_plan *plan)
{
    if (!plan || atomic_fetch_sub_explicit(&plan->refs, 1, memory_order_acq_rel) != 1) return;
    for (size_t i = plan->actors.count; i-- > 0;) {
        wf_plan_actor *a = &plan->actors.items[i];
        if (a->has_prepared && a->type->release) a->type->release(a->prepared);
        wf_params_unref(a->params);
    }
    nnd_vec_free(&plan->actors);
    nnd_vec_free(&plan->edges);
    nnd_vec_free(&plan->promoted);
    nnd_arena_fini(&plan->arena);
    nnd_io_unref(plan->io);
    nnd_registry_unref(plan->registry);
    nnd_free(plan);
}

/* ---- names ------------------------------------------------------------------------------- */

const char *wf_actor_kind_name(wf_actor_kind kind)
{
    switch (kind) {
    case WF_ACTOR_INPUT:
        return "input";
    case WF_ACTOR_OUTPUT:
        return "output";
    case WF_ACTOR_TRANSFER:
        return "transfer";
    case WF_ACTOR_SPLIT:
        return "split";
    case WF_ACTOR_JOIN:
        return "join";
    case WF_ACTOR_LOOP:
        return "loop";
    case WF_ACTOR_NODE:
        break;
    }
    return "node";
}

const char *wf_on_error_name(wf_on_error_kind kind)
{
    switch (kind) {
    case WF_ON_ERROR_SKIP:
        return "skip";
    case WF_ON_ERROR_RETRY:
        return "retry";
    case WF_ON_ERROR_FALLBACK:
        return "fallback";
    case WF_ON_ERROR_ISOLATE:
        return "isolate";
    case WF_ON_ERROR_RESTART:
        return "restart";
    case WF_ON_ERROR_FAIL:
        break;
    }
    return "fail_graph";
}

static const char *policy_name(wf_policy policy)
{
    switch (policy) {
    case WF_POLICY_DROP_OLDEST:
        return "drop_oldest";
    case WF_POLICY_DROP_NEWEST:
        return "drop_newest";
    case WF_POLICY_LATEST:
        return "latest";
    case WF_POLICY_FAULT:
        return "fault";
    case WF_POLICY_BLOCK:
        break;
    }
    return "block";
}

static const char *mode_name(nnd_run_mode mode)
{
    return mode == NND_RUN_TASK ? "task" : (mode == NND_RUN_PIPELINE ? "pipeline" : "serial");
}

/* ---- questions --------------------------------------------------------------------------- */

uint32_t wf_plan_find(const nnd_plan *plan, const char *path)
{
    for (uint32_t i = 0; i < plan->actors.count; i++) {
        const wf_plan_actor *a = &plan->actors.items[i];
        if (a->type && strcmp(a->path, path) == 0) return i;
    }
    return WF_NONE;
}

uint32_t wf_bypass_input(const wf_plan_actor *actor, uint32_t output)
{
    for (uint32_t i = 0; i < actor->in_count; i++)
        if (actor->in[i].edge_count && nnd_str_equal(actor->in[i].type, actor->out[output].type))
            return i;
    /* An untyped output (a hollow sub-graph) takes the input of its name, else the first. */
    if (!nnd_str_equal(actor->out[output].type, "any")) return WF_NONE;
    for (uint32_t i = 0; i < actor->in_count; i++)
        if (actor->in[i].edge_count && strcmp(actor->in[i].name, actor->out[output].name) == 0)
            return i;
    for (uint32_t i = 0; i < actor->in_count; i++)
        if (actor->in[i].edge_count) return i;
    return WF_NONE;
}

bool wf_port_accepts(const wf_plan_port *port, const nnd_value *value)
{
    if (port->exact) return nnd_value_get_type(value) == port->exact;
    return wf_type_accepts(port->type, value);
}

size_t nnd_plan_input_count(const nnd_plan *plan)
{
    return plan->input_count;
}

size_t nnd_plan_output_count(const nnd_plan *plan)
{
    return plan->output_count;
}

const char *nnd_plan_input_name(const nnd_plan *plan, size_t index)
{
    return index < plan->input_count ? plan->actors.items[plan->inputs[index]].path : NULL;
}

const char *nnd_plan_input_type(const nnd_plan *plan, size_t index)
{
    return index < plan->input_count ? plan->actors.items[plan->inputs[index]].out[0].type : NULL;
}

const char *nnd_plan_output_name(const nnd_plan *plan, size_t index)
{
    return index < plan->output_count ? plan->actors.items[plan->outputs[index]].path : NULL;
}

const char *nnd_plan_output_type(const nnd_plan *plan, size_t index)
{
    return index < plan->output_count ? plan->actors.items[plan->outputs[index]].in[0].type : NULL;
}

size_t nnd_plan_transfer_count(const nnd_plan *plan)
{
    return plan->transfer_count;
}

/* ---- hash -------------------------------------------------------------------------------- */

static void hash_actor(nnd_hash128 *h, const wf_plan_actor *a)
{
    nnd_hash128_add_u64(h, (uint64_t)a->kind);
    nnd_hash128_add_str(h, a->path);
    nnd_hash128_add_str(h, a->type ? a->type->type : NULL);
    nnd_hash128_add_u64(h, a->type ? (uint64_t)a->type->version : 0);
    if (a->params) wf_params_hash(a->params, h);
    nnd_hash128_add_str(h, nnd_device_name(a->device));
    nnd_hash128_add_u64(h, (uint64_t)a->on_error | (uint64_t)a->retries << 8);
    nnd_hash128_add_u64(h, a->fallback);
    nnd_hash128_add_u64(h, (uint64_t)a->deadline_ns);
    nnd_hash128_add_u64(h, (uint64_t)a->bypass | (uint64_t)a->mute << 1);
    nnd_hash128_add_u64(h, (uint64_t)a->count);
    nnd_hash128_add_u64(h, a->until);
    for (uint32_t i = 0; a->carry && i < a->body_inputs; i++)
        nnd_hash128_add_u64(h, a->carry[i]);
}

static void hash_edge(nnd_hash128 *h, const wf_plan_edge *e)
{
    nnd_hash128_add_u64(h, (uint64_t)e->from << 32 | e->from_port);
    nnd_hash128_add_u64(h, (uint64_t)e->to << 32 | e->to_port);
    nnd_hash128_add_str(h, e->param);
    nnd_hash128_add_u64(h, (uint64_t)e->capacity << 8 | (uint64_t)e->policy);
    nnd_hash128_add_u64(h, e->max_bytes);
    nnd_hash128_add_u64(h, (uint64_t)e->max_age);
    nnd_hash128_add_u64(h, (uint64_t)e->memory.kind);
}

void wf_plan_compute_hash(nnd_plan *plan)
{
    nnd_hash128 h;
    nnd_hash128_init(&h, 1);
    for (size_t i = 0; i < plan->actors.count; i++)
        if (!plan->actors.items[i].dead) hash_actor(&h, &plan->actors.items[i]);
    for (size_t i = 0; i < plan->edges.count; i++)
        if (!plan->edges.items[i].dead) hash_edge(&h, &plan->edges.items[i]);
    plan->hash = nnd_hash128_end(&h);
}

/* ---- JSON -------------------------------------------------------------------------------- */

static void put_ports(nnd_json_writer *w, const char *key, const wf_plan_port *ports, uint32_t n)
{
    nnd_json_key(w, key);
    nnd_json_begin_array(w);
    for (uint32_t i = 0; i < n; i++) {
        nnd_json_set_inline(w, true);
        nnd_json_begin_object(w);
        nnd_json_key(w, "name");
        nnd_json_put_string(w, ports[i].name);
        nnd_json_key(w, "type");
        nnd_json_put_string(w, ports[i].type);
        nnd_json_end_object(w);
        nnd_json_set_inline(w, false);
    }
    nnd_json_end_array(w);
}

static void put_actor(nnd_json_writer *w, const wf_plan_actor *a, const nnd_plan *plan)
{
    nnd_json_begin_object(w);
    nnd_json_key(w, "node");
    nnd_json_put_string(w, a->path);
    nnd_json_key(w, "kind");
    nnd_json_put_string(w, wf_actor_kind_name(a->kind));
    if (a->type) {
        nnd_json_key(w, "type");
        nnd_json_put_string(w, a->type->type);
        nnd_json_key(w, "version");
        nnd_json_put_int(w, a->type->version);
    }
    nnd_json_key(w, "device");
    nnd_json_put_string(w, nnd_device_name(a->device));
    nnd_json_key(w, "rank");
    nnd_json_put_int(w, a->rank);
    nnd_json_key(w, "on_error");
    nnd_json_put_string(w, wf_on_error_name(a->on_error));
    if (a->fallback != WF_NONE) {
        nnd_json_key(w, "fallback");
        nnd_json_put_string(w, plan->actors.items[a->fallback].path);
    }
    if (a->constant) {
        nnd_json_key(w, "constant");
        nnd_json_put_bool(w, true);
    }
    if (a->bypass || a->mute) {
        nnd_json_key(w, a->mute ? "mute" : "bypass");
        nnd_json_put_bool(w, true);
    }
    put_ports(w, "inputs", a->in, a->in_count);
    put_ports(w, "outputs", a->out, a->out_count);
    nnd_json_end_object(w);
}

static void put_memory(nnd_json_writer *w, const wf_memory *m)
{
    nnd_json_key(w, "memory");
    nnd_json_put_string(w, nnd_memory_kind_name(m->kind));
    nnd_json_key(w, "device");
    nnd_json_put_string(w, nnd_device_name(m->device ? m->device : nnd_device_cpu()));
}

static void put_end(nnd_json_writer *w, const char *key, const char *node, const char *port)
{
    nnd_json_key(w, key);
    nnd_json_begin_array(w);
    nnd_json_put_string(w, node);
    nnd_json_put_string(w, port);
    nnd_json_end_array(w);
}

static void put_edge(nnd_json_writer *w, const nnd_plan *plan, const wf_plan_edge *e)
{
    const wf_plan_actor *from = &plan->actors.items[e->from], *to = &plan->actors.items[e->to];
    nnd_json_set_inline(w, true);
    nnd_json_begin_object(w);
    put_end(w, "from", from->path, from->out[e->from_port].name);
    put_end(w, "to", to->path, e->param ? e->param : to->in[e->to_port].name);
    if (e->param) {
        nnd_json_key(w, "kind");
        nnd_json_put_string(w, "param");
    }
    nnd_json_key(w, "type");
    nnd_json_put_string(w, from->out[e->from_port].type);
    put_memory(w, &e->memory);
    nnd_json_key(w, "queue");
    nnd_json_put_int(w, e->capacity);
    nnd_json_key(w, "policy");
    nnd_json_put_string(w, policy_name(e->policy));
    if (e->sticky) {
        nnd_json_key(w, "constant");
        nnd_json_put_bool(w, true);
    }
    nnd_json_end_object(w);
    nnd_json_set_inline(w, false);
}

static void put_transfers(nnd_json_writer *w, const nnd_plan *plan)
{
    nnd_json_key(w, "transfers");
    nnd_json_begin_array(w);
    for (size_t i = 0; i < plan->actors.count; i++) {
        const wf_plan_actor *a = &plan->actors.items[i];
        if (a->kind != WF_ACTOR_TRANSFER) continue;
        const wf_plan_edge *e = &plan->edges.items[a->in[0].edges[0]];
        const wf_plan_actor *from = &plan->actors.items[e->from];
        nnd_json_set_inline(w, true);
        nnd_json_begin_object(w);
        nnd_json_key(w, "node");
        nnd_json_put_string(w, a->path);
        put_end(w, "of", from->path, from->out[e->from_port].name);
        nnd_json_key(w, "from");
        nnd_json_begin_object(w);
        put_memory(w, &e->memory);
        nnd_json_end_object(w);
        nnd_json_key(w, "to");
        nnd_json_begin_object(w);
        put_memory(w, &a->out[0].memory);
        nnd_json_end_object(w);
        nnd_json_end_object(w);
        nnd_json_set_inline(w, false);
    }
    nnd_json_end_array(w);
}

nnd_status nnd_plan_to_json(const nnd_plan *plan, nnd_json_writer *w)
{
    char hash[NND_KEY128_TEXT];
    nnd_key128_text(plan->hash, hash);
    nnd_json_begin_object(w);
    nnd_json_key(w, "name");
    nnd_json_put_string(w, plan->name);
    nnd_json_key(w, "hash");
    nnd_json_put_string(w, hash);
    nnd_json_key(w, "mode");
    nnd_json_put_string(w, mode_name(plan->mode));
    nnd_json_key(w, "scheduled_as"); /* what works through it in this version */
    nnd_json_put_string(w, "serial");
    nnd_json_key(w, "nodes");
    nnd_json_begin_array(w);
    for (uint32_t i = plan->live_count; i-- > 0;)
        put_actor(w, &plan->actors.items[plan->by_rank[i]], plan);
    for (size_t i = 0; i < plan->actors.count; i++)
        if (plan->actors.items[i].standby && !plan->actors.items[i].dead)
            put_actor(w, &plan->actors.items[i], plan);
    nnd_json_end_array(w);
    nnd_json_key(w, "edges");
    nnd_json_begin_array(w);
    for (size_t i = 0; i < plan->edges.count; i++)
        if (!plan->edges.items[i].dead) put_edge(w, plan, &plan->edges.items[i]);
    nnd_json_end_array(w);
    put_transfers(w, plan);
    nnd_json_key(w, "pool_bytes");
    nnd_json_put_int(w, (int64_t)(plan->pool_bytes < INT64_MAX ? plan->pool_bytes : INT64_MAX));
    nnd_json_end_object(w);
    return NND_OK;
}
