/* nnd_workflow_run: one set of inputs in, all outputs out. */
#include "workflow/exec/exec.h"

static nnd_status push_all(nnd_run *run, const nnd_value *inputs)
{
    for (size_t i = 0; inputs && i < nnd_value_record_count(inputs); i++)
        NND_TRY(
            nnd_run_push(run, nnd_value_record_name(inputs, i), nnd_value_record_at(inputs, i)));
    return NND_OK;
}

/* The value, a list of several, or nothing. */
static nnd_status collect(nnd_run *run, const char *name, nnd_value *record)
{
    NND_VEC(nnd_value *) values = {0};
    nnd_value *value = NULL;
    nnd_status status;
    while ((status = nnd_run_pop(run, name, &value)) == NND_OK) {
        if (nnd_vec_push(&values, value)) continue;
        nnd_value_unref(value);
        status = nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory for the results");
        break;
    }
    if (status == NND_E_CLOSED) status = NND_OK;
    if (status == NND_OK && values.count == 1)
        status = nnd_value_record_set(record, name, values.items[0]);
    if (status == NND_OK && values.count > 1) {
        nnd_value *list = NULL;
        status = nnd_value_new_list(values.items, values.count, &list);
        if (status == NND_OK) status = nnd_value_record_set(record, name, list);
        nnd_value_unref(list);
    }
    for (size_t i = 0; i < values.count; i++)
        nnd_value_unref(values.items[i]);
    nnd_vec_free(&values);
    return status;
}

nnd_status nnd_workflow_run(nnd_plan *plan, const nnd_run_options *options, const nnd_value *inputs,
                            nnd_value **outputs)
{
    if (inputs && !nnd_value_is(inputs, "record"))
        return nnd_error_set(NND_E_TYPE, "the inputs must be a record, not %s",
                             nnd_value_type_name(inputs));
    nnd_run *run = NULL;
    nnd_value *record = NULL;
    NND_TRY(nnd_run_create(plan, options, &run));
    nnd_status status = nnd_value_new_record(&record);
    if (status == NND_OK) status = push_all(run, inputs);
    if (status == NND_OK) status = nnd_run_drain(run);
    for (size_t i = 0; status == NND_OK && i < nnd_plan_output_count(plan); i++)
        status = collect(run, nnd_plan_output_name(plan, i), record);
    nnd_error *error = status == NND_OK ? NULL : nnd_error_take();
    nnd_status closed = nnd_run_close(run);
    if (status == NND_OK)
        status = closed;
    else
        nnd_error_clear();
    nnd_run_destroy(run);
    if (error) nnd_error_restore(error);
    nnd_error_destroy(error);
    if (status != NND_OK || !outputs) {
        nnd_value_unref(record);
        return status;
    }
    *outputs = record;
    return NND_OK;
}
