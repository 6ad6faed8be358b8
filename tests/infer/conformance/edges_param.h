/* The cases of edges.c on backends that read .param files. */
#ifndef NND_TESTS_INFER_CONFORMANCE_EDGES_PARAM_H
#define NND_TESTS_INFER_CONFORMANCE_EDGES_PARAM_H

#include "conformance.h"

verdict param_several_ports(trial *t);
verdict param_dynamic_batch(trial *t);
verdict param_dynamic_size(trial *t);
verdict param_zero_size(trial *t);
verdict param_scalars(trial *t);
verdict param_with_gaps(trial *t);
verdict param_wrong_bindings(trial *t);
verdict param_unknown_operator(trial *t);
verdict param_damaged_model(trial *t);
verdict param_bound_outputs(trial *t);
verdict param_held_results(trial *t);
verdict param_unchanged_output(trial *t);
verdict param_no_copies(trial *t);
verdict param_state_feedback(trial *t);
verdict param_external_data(trial *t);
verdict param_opened_again(trial *t);
verdict param_two_threads(trial *t);
verdict param_start_and_wait(trial *t);
verdict param_cancelling(trial *t);

#endif
