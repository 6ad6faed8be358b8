/* What a run has done, as JSON. */
#include "workflow/exec/exec.h"

static void put_ms(nnd_json_writer *w, const char *key, int64_t ns)
{
    nnd_json_key(w, key);
    nnd_json_put_number(w, (double)ns / 1e6);
}

static void put_count(nnd_json_writer *w, const char *key, uint64_t n)
{
    nnd_json_key(w, key);
    nnd_json_put_int(w, n < INT64_MAX ? (int64_t)n : INT64_MAX);
}

static void put_actor(nnd_json_writer *w, const wf_actor *a)
{
    const wf_actor_stats *s = &a->stats;
    nnd_json_begin_object(w);
    nnd_json_key(w, "node");
    nnd_json_put_string(w, a->plan->path);
    nnd_json_key(w, "kind");
    nnd_json_put_string(w, wf_actor_kind_name(a->plan->kind));
    put_count(w, "packets", s->packets);
    put_ms(w, "ms_total", s->total_ns);
    put_ms(w, "ms_min", s->min_ns == INT64_MAX ? 0 : s->min_ns);
    put_ms(w, "ms_max", s->max_ns);
    put_count(w, "gaps", s->gaps);
    put_count(w, "failed", s->failed);
    put_count(w, "retried", s->retried);
    put_count(w, "late", s->late);
    nnd_json_end_object(w);
}

static void put_end(nnd_json_writer *w, const char *key, const char *node, const char *port)
{
    nnd_json_key(w, key);
    nnd_json_begin_array(w);
    nnd_json_put_string(w, node);
    nnd_json_put_string(w, port);
    nnd_json_end_array(w);
}

static void put_edge(nnd_json_writer *w, const wf_edge_state *e)
{
    const wf_plan_edge *p = e->plan;
    const wf_plan_actor *from = e->from->plan, *to = e->to->plan;
    nnd_json_begin_object(w);
    put_end(w, "from", from->path, from->out[p->from_port].name);
    put_end(w, "to", to->path, p->param ? p->param : to->in[p->to_port].name);
    put_count(w, "packets", e->passed);
    put_count(w, "gaps", e->gaps);
    put_count(w, "dropped", e->dropped);
    put_count(w, "dropped_by_age", e->dropped_by_age);
    put_count(w, "peak", e->peak);
    nnd_json_end_object(w);
}

nnd_status nnd_run_stats_to_json(const nnd_run *run, nnd_json_writer *w)
{
    if (wf_run_is_busy(run))
        return nnd_error_set(NND_E_STATE, "statistics are read while nothing works on the run");
    nnd_json_begin_object(w);
    nnd_json_key(w, "nodes");
    nnd_json_begin_array(w);
    for (size_t i = 0; i < run->plan->actors.count; i++) {
        const wf_actor *a = &run->actors[i];
        if (a->plan->dead || a->plan->kind == WF_ACTOR_INPUT || a->plan->kind == WF_ACTOR_OUTPUT)
            continue;
        put_actor(w, a);
    }
    nnd_json_end_array(w);
    nnd_json_key(w, "edges");
    nnd_json_begin_array(w);
    for (size_t i = 0; i < run->plan->edges.count; i++)
        if (!run->plan->edges.items[i].dead) put_edge(w, &run->edges[i]);
    nnd_json_end_array(w);
    /* Copies are counted for the whole process; transfers are this run's own. */
    nnd_copy_stats now;
    nnd_copy_get_stats(&now);
    put_count(w, "copies", now.copies - run->copies_at_start.copies);
    put_count(w, "transfers", run->transfers);
    put_count(w, "bytes", run->transfer_bytes);
    put_count(w, "errors_left_out", run->errors_left_out);
    nnd_json_end_object(w);
    return NND_OK;
}
