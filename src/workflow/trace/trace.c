/* A run's times as Chrome trace events (also read by Perfetto): one row per node. */
#include "workflow/exec/exec.h"

static void put_name(nnd_json_writer *w, const nnd_run *run, uint32_t actor)
{
    nnd_json_begin_object(w);
    nnd_json_key(w, "name");
    nnd_json_put_string(w, "thread_name");
    nnd_json_key(w, "ph");
    nnd_json_put_string(w, "M");
    nnd_json_key(w, "pid");
    nnd_json_put_int(w, 1);
    nnd_json_key(w, "tid");
    nnd_json_put_int(w, (int64_t)actor + 1);
    nnd_json_key(w, "args");
    nnd_json_begin_object(w);
    nnd_json_key(w, "name");
    nnd_json_put_string(w, run->plan->actors.items[actor].path);
    nnd_json_end_object(w);
    nnd_json_end_object(w);
}

static void put_call(nnd_json_writer *w, const nnd_run *run, const wf_trace_item *item,
                     int64_t start)
{
    const wf_plan_actor *p = &run->plan->actors.items[item->actor];
    nnd_json_begin_object(w);
    nnd_json_key(w, "name");
    nnd_json_put_string(w, p->path);
    nnd_json_key(w, "cat");
    nnd_json_put_string(w, p->type ? p->type->type : wf_actor_kind_name(p->kind));
    nnd_json_key(w, "ph");
    nnd_json_put_string(w, "X");
    nnd_json_key(w, "ts"); /* microseconds */
    nnd_json_put_number(w, (double)(item->begin - start) / 1e3);
    nnd_json_key(w, "dur");
    nnd_json_put_number(w, (double)(item->end - item->begin) / 1e3);
    nnd_json_key(w, "pid");
    nnd_json_put_int(w, 1);
    nnd_json_key(w, "tid");
    nnd_json_put_int(w, (int64_t)item->actor + 1);
    nnd_json_key(w, "args");
    nnd_json_begin_object(w);
    nnd_json_key(w, "sequence");
    nnd_json_put_int(w, item->key);
    nnd_json_end_object(w);
    nnd_json_end_object(w);
}

nnd_status nnd_run_trace_to_json(const nnd_run *run, nnd_json_writer *w)
{
    char hash[NND_KEY128_TEXT];
    if (!run->tracing)
        return nnd_error_set(NND_E_STATE, "the run was not created with options.trace");
    if (wf_run_is_busy(run))
        return nnd_error_set(NND_E_STATE, "a trace is read while nothing works on the run");
    nnd_key128_text(run->plan->hash, hash);
    nnd_json_begin_object(w);
    nnd_json_key(w, "displayTimeUnit");
    nnd_json_put_string(w, "ms");
    nnd_json_key(w, "otherData");
    nnd_json_begin_object(w);
    nnd_json_key(w, "workflow");
    nnd_json_put_string(w, run->plan->name);
    nnd_json_key(w, "plan");
    nnd_json_put_string(w, hash);
    nnd_json_end_object(w);
    nnd_json_key(w, "traceEvents");
    nnd_json_begin_array(w);
    for (uint32_t i = 0; i < run->plan->actors.count; i++)
        if (!run->plan->actors.items[i].dead) put_name(w, run, i);
    int64_t start = run->trace.count ? run->trace.items[0].begin : 0;
    for (size_t i = 0; i < run->trace.count; i++)
        put_call(w, run, &run->trace.items[i], start);
    nnd_json_end_array(w);
    nnd_json_end_object(w);
    return NND_OK;
}
