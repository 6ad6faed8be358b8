/* Requests: binding, results, state, threads, cancelling. */
#include "infer_support.h"

static nnd_request *request_on(nnd_model *model)
{
    nnd_request *request = NULL;
    assert_ok(nnd_request_create(model, NULL, &request));
    return request;
}

static nnd_value *result_of(nnd_request *request, const char *name)
{
    nnd_value *value = NULL;
    assert_ok(nnd_request_output(request, name, &value));
    return value;
}

static void wrong_bindings_say_both_sides(void **state)
{
    (void)state;
    nnd_str bytes = add_model();
    nnd_model *model = load_bytes(&bytes);
    nnd_request *r = request_on(model);
    nnd_value *integers = NULL, *number = NULL, *out = NULL;
    nnd_value *vector = tensor_of(1, (int64_t[]){3}, (float[]){1, 2, 3});
    nnd_value *wide = tensor_of(2, (int64_t[]){1, 4}, (float[]){1, 2, 3, 4});
    assert_ok(nnd_value_new_tensor(NND_I64, 2, (int64_t[]){1, 3}, &integers));
    assert_ok(nnd_value_new_int(7, &number));
    assert_fails(nnd_request_bind_input(r, "image", vector), NND_E_NOT_FOUND, "'image'", "'x'");
    assert_fails(nnd_request_bind_input(r, NULL, vector), NND_E_NOT_FOUND, "'x'");
    assert_fails(nnd_request_bind_input(r, "x", integers), NND_E_TYPE, "f32[n,3]", "i64[1,3]");
    assert_fails(nnd_request_bind_input(r, "x", number), NND_E_TYPE, "f32[n,3]", "int");
    assert_fails(nnd_request_bind_input(r, "x", vector), NND_E_SHAPE, "f32[n,3]", "f32[3]");
    assert_fails(nnd_request_bind_input(r, "x", wide), NND_E_SHAPE, "f32[n,3]", "f32[1,4]");
    assert_fails(nnd_request_bind_output(r, "z", wide), NND_E_NOT_FOUND, "'z'", "'y'");
    assert_fails(nnd_request_bind_output(r, "y", wide), NND_E_SHAPE, "f32[n,3]", "f32[1,4]");
    assert_fails(nnd_request_run(r, NULL), NND_E_INVALID_ARGUMENT, "'x'", "no value");
    assert_fails(nnd_request_start(r, NULL), NND_E_INVALID_ARGUMENT, "'x'", "no value");
    assert_fails(nnd_request_output(r, "y", &out), NND_E_STATE, "'y'");
    assert_fails(nnd_request_wait(r, NULL), NND_E_STATE, "nothing was started");
    nnd_value_unref(integers);
    nnd_value_unref(number);
    nnd_value_unref(vector);
    nnd_value_unref(wide);
    nnd_request_destroy(r);
    nnd_request_destroy(NULL);
    nnd_model_unref(model);
    nnd_str_free(&bytes);
}

static void dense_inputs_and_results_are_not_copied(void **state)
{
    (void)state;
    nnd_str bytes = add_model();
    nnd_model *model = load_bytes(&bytes);
    nnd_request *r = request_on(model);
    nnd_value *x = tensor_of(2, (int64_t[]){2, 3}, (float[]){1, 2, 3, 4, 5, 6});
    const void *memory = NULL;
    assert_ok(nnd_request_bind_input(r, "x", x));
    assert_ok(nnd_request_run(r, NULL));
    nnd_copy_stats before, after;
    nnd_copy_get_stats(&before);
    for (int i = 0; i < 10; i++) {
        assert_ok(nnd_request_run(r, NULL));
        nnd_value *y = result_of(r, "y");
        assert_float_equal(floats_of(y)[5], 9, 0);
        if (memory) assert_ptr_equal(floats_of(y), memory); /* free again: used again */
        memory = floats_of(y);
        nnd_value_unref(y);
    }
    nnd_copy_get_stats(&after);
    assert_int_equal(after.copies - before.copies, 0);
    assert_int_equal(after.allocations - before.allocations, 0);
    nnd_value_unref(x);
    nnd_request_destroy(r);
    nnd_model_unref(model);
    nnd_str_free(&bytes);
}

/* A column of a wider picture is not dense: it is copied, and counted. */
static void strided_inputs_are_copied_once(void **state)
{
    (void)state;
    nnd_str bytes = add_model();
    nnd_model *model = load_bytes(&bytes);
    nnd_request *r = request_on(model);
    nnd_value *wide = tensor_of(2, (int64_t[]){2, 4}, (float[]){1, 2, 3, 9, 4, 5, 6, 9});
    nnd_value *part = NULL;
    nnd_tensor view = *nnd_value_tensor(wide);
    view.dims[1] = 3;
    assert_ok(nnd_value_from_tensor(&view, &part));
    assert_ok(nnd_request_bind_input(r, "x", part));
    nnd_copy_stats before, after;
    nnd_copy_get_stats(&before);
    assert_ok(nnd_request_run(r, NULL));
    nnd_copy_get_stats(&after);
    assert_int_equal(after.copies - before.copies, 1);
    nnd_value *y = result_of(r, "y");
    static const float wanted[6] = {2, 4, 6, 5, 7, 9};
    assert_memory_equal(floats_of(y), wanted, sizeof wanted);
    nnd_value_unref(y);
    nnd_value_unref(part);
    nnd_value_unref(wide);
    nnd_request_destroy(r);
    nnd_model_unref(model);
    nnd_str_free(&bytes);
}

static void held_results_keep_their_content(void **state)
{
    (void)state;
    nnd_str bytes = add_model();
    nnd_model *model = load_bytes(&bytes);
    nnd_request *r = request_on(model);
    nnd_value *kept[4];
    for (int i = 0; i < 4; i++) {
        float v = (float)i;
        nnd_value *x = tensor_of(2, (int64_t[]){1, 3}, (float[]){v, v, v});
        assert_ok(nnd_request_bind_input(r, "x", x));
        nnd_value_unref(x); /* the request holds it */
        assert_ok(nnd_request_run(r, NULL));
        kept[i] = result_of(r, "y");
    }
    nnd_request_destroy(r);
    nnd_model_unref(model);
    for (int i = 0; i < 4; i++) {
        assert_float_equal(floats_of(kept[i])[0], i + 1, 0);
        assert_float_equal(floats_of(kept[i])[2], i + 3, 0);
        nnd_value_unref(kept[i]);
    }
    nnd_str_free(&bytes);
}

static void bound_outputs_take_the_result(void **state)
{
    (void)state;
    nnd_str bytes = add_model();
    nnd_model *model = load_bytes(&bytes);
    nnd_request *r = request_on(model);
    nnd_value *x = tensor_of(2, (int64_t[]){1, 3}, (float[]){1, 2, 3});
    nnd_value *y = tensor_of(2, (int64_t[]){1, 3}, (float[]){0, 0, 0});
    nnd_value *two = tensor_of(2, (int64_t[]){2, 3}, (float[]){0, 0, 0, 0, 0, 0});
    const float *memory = floats_of(y);
    assert_ok(nnd_request_bind_input(r, "x", x));
    assert_ok(nnd_request_bind_output(r, "y", y));
    assert_fails(nnd_request_alias(r, "y", "x"), NND_E_STATE, "bound");
    assert_ok(nnd_request_run(r, NULL));
    assert_float_equal(memory[2], 6, 0);
    nnd_value *got = result_of(r, "y");
    assert_ptr_equal(floats_of(got), memory);
    nnd_value_unref(got);
    /* Fits the model's open shape, not this run's. */
    assert_ok(nnd_request_bind_output(r, "y", two));
    assert_fails(nnd_request_run(r, NULL), NND_E_SHAPE, "'y'", "f32[1,3]");
    assert_fails(nnd_request_output(r, "y", &got), NND_E_STATE, "last run failed");
    assert_ok(nnd_request_bind_output(r, "y", NULL));
    assert_ok(nnd_request_run(r, NULL));
    nnd_value_unref(x);
    nnd_value_unref(y);
    nnd_value_unref(two);
    nnd_request_destroy(r);
    nnd_model_unref(model);
    nnd_str_free(&bytes);
}

static void an_alias_carries_state(void **state)
{
    (void)state;
    nnd_str bytes = sum_model();
    nnd_model *model = load_bytes(&bytes);
    nnd_request *r = request_on(model);
    nnd_value *zero = tensor_of(1, (int64_t[]){4}, (float[]){0, 0, 0, 0});
    nnd_value *x = tensor_of(1, (int64_t[]){4}, (float[]){1, 2, 3, 4}), *sum = NULL;
    assert_fails(nnd_request_alias(r, "state_out", "nothing"), NND_E_NOT_FOUND, "'state'", "'x'");
    assert_ok(nnd_request_alias(r, "state_out", "state"));
    assert_fails(nnd_request_bind_output(r, "state_out", zero), NND_E_STATE, "aliased");
    assert_ok(nnd_request_bind_input(r, "x", x));
    assert_fails(nnd_request_run(r, NULL), NND_E_INVALID_ARGUMENT, "'state'");
    assert_ok(nnd_request_bind_input(r, "state", zero));
    nnd_copy_stats before, after;
    nnd_copy_get_stats(&before);
    for (int i = 1; i <= 100; i++)
        assert_ok(nnd_request_run(r, NULL));
    nnd_copy_get_stats(&after);
    assert_int_equal(after.copies - before.copies, 0);
    sum = result_of(r, "state_out");
    for (int i = 0; i < 4; i++)
        assert_float_equal(floats_of(sum)[i], 100 * (i + 1), 0);
    assert_float_equal(floats_of(zero)[3], 0, 0);        /* what the caller gave is left alone */
    assert_ok(nnd_request_bind_input(r, "state", zero)); /* begins anew */
    assert_ok(nnd_request_run(r, NULL));
    nnd_value_unref(sum);
    sum = result_of(r, "state_out");
    assert_float_equal(floats_of(sum)[3], 4, 0);
    nnd_value_unref(sum);
    nnd_value_unref(x);
    nnd_value_unref(zero);
    nnd_request_destroy(r);
    nnd_model_unref(model);
    nnd_str_free(&bytes);
}

/* ---- threads and time --------------------------------------------------------------------- */

static void start_and_wait(void **state)
{
    (void)state;
    nnd_str bytes = add_model();
    nnd_model *model = load_bytes(&bytes);
    nnd_request *r = request_on(model);
    nnd_value *x = tensor_of(2, (int64_t[]){1, 3}, (float[]){1, 2, 3});
    assert_ok(nnd_request_bind_input(r, "x", x));
    for (int i = 0; i < 20; i++) {
        assert_ok(nnd_request_start(r, NULL));
        assert_ok(nnd_request_wait(r, NULL));
        nnd_value *y = result_of(r, "y");
        assert_float_equal(floats_of(y)[0], 2, 0);
        nnd_value_unref(y);
    }
    assert_ok(nnd_request_start(r, NULL));
    nnd_request_destroy(r); /* waits */
    nnd_value_unref(x);
    nnd_model_unref(model);
    nnd_str_free(&bytes);
}

static void cancelling_stops_within_a_kernel(void **state)
{
    (void)state;
    nnd_str bytes = long_model();
    nnd_model *model = load_bytes(&bytes);
    nnd_request *r = request_on(model);
    nnd_value *x = NULL, *y = NULL;
    nnd_cancel *cancel = NULL;
    assert_ok(nnd_value_new_tensor(NND_F32, 4, (int64_t[]){1, 64, 256, 256}, &x));
    assert_ok(nnd_request_bind_input(r, "x", x));
    assert_ok(nnd_cancel_create(NULL, &cancel));
    assert_ok(nnd_request_start(r, cancel));
    assert_fails(nnd_request_run(r, NULL), NND_E_STATE, "running");
    assert_fails(nnd_request_bind_input(r, "x", x), NND_E_STATE, "running");
    assert_fails(nnd_request_output(r, "y", &y), NND_E_STATE, "running");
    nnd_port_sleep(20 * 1000 * 1000);
    int64_t begin = nnd_clock_now();
    nnd_cancel_request(cancel);
    assert_status(nnd_request_wait(r, NULL), NND_E_CANCELLED);
    double ms = (double)(nnd_clock_now() - begin) * 1e-6;
    print_message("stopped %.2f ms after the request\n", ms);
    nnd_cancel_unref(cancel);
    /* A deadline ends a run in this thread as well; a waiter may give up on its own. */
    assert_ok(nnd_cancel_create(NULL, &cancel));
    nnd_cancel_set_deadline(cancel, nnd_clock_now() + 20 * 1000 * 1000);
    assert_status(nnd_request_run(r, cancel), NND_E_TIMEOUT);
    nnd_cancel *run = NULL;
    assert_ok(nnd_cancel_create(NULL, &run));
    assert_ok(nnd_request_start(r, run));
    assert_fails(nnd_request_wait(r, cancel), NND_E_TIMEOUT, "the run goes on");
    nnd_cancel_request(run);
    assert_status(nnd_request_wait(r, NULL), NND_E_CANCELLED);
    nnd_cancel_unref(run);
    nnd_cancel_unref(cancel);
    nnd_value_unref(x);
    nnd_request_destroy(r);
    nnd_model_unref(model);
    nnd_str_free(&bytes);
}

typedef struct worker {
    nnd_model *model;
    float step;
    bool right;
} worker;

static void work(void *arg)
{
    worker *w = arg;
    nnd_request *r = NULL;
    w->right = nnd_request_create(w->model, NULL, &r) == NND_OK;
    for (int i = 0; w->right && i < 200; i++) {
        float v = w->step * (float)i;
        nnd_value *x = NULL, *y = NULL;
        w->right = nnd_value_new_tensor(NND_F32, 2, (int64_t[]){1, 3}, &x) == NND_OK;
        if (!w->right) break;
        float *data = ((nnd_tensor *)nnd_value_edit(x))->data;
        data[0] = data[1] = data[2] = v;
        w->right = nnd_request_bind_input(r, "x", x) == NND_OK &&
                   nnd_request_run(r, NULL) == NND_OK && nnd_request_output(r, "y", &y) == NND_OK &&
                   floats_of(y)[1] == v + 2;
        nnd_value_unref(x);
        nnd_value_unref(y);
    }
    nnd_request_destroy(r);
}

static void two_threads_share_a_model(void **state)
{
    (void)state;
    nnd_str bytes = add_model();
    worker workers[2] = {{load_bytes(&bytes), 1, false}, {NULL, -3, false}};
    nnd_port_thread *threads[2];
    workers[1].model = workers[0].model;
    for (int i = 0; i < 2; i++)
        assert_int_equal(nnd_port_thread_create("infer", work, &workers[i], &threads[i]), 0);
    for (int i = 0; i < 2; i++)
        nnd_port_thread_join(threads[i]);
    assert_true(workers[0].right && workers[1].right);
    nnd_model_unref(workers[0].model);
    nnd_str_free(&bytes);
}

static void a_profile_names_the_steps(void **state)
{
    (void)state;
    nnd_str bytes = add_model();
    nnd_model *model = load_bytes(&bytes);
    nnd_request_options options = NND_REQUEST_OPTIONS_INIT;
    nnd_request *r = NULL;
    nnd_json_writer *w = NULL;
    char *text = NULL;
    nnd_value *x = tensor_of(2, (int64_t[]){1, 3}, (float[]){1, 2, 3});
    options.threads = -1;
    assert_status(nnd_request_create(model, &options, &r), NND_E_INVALID_ARGUMENT);
    options.threads = 1;
    options.profile = true;
    assert_ok(nnd_request_create(model, &options, &r));
    assert_ok(nnd_request_bind_input(r, "x", x));
    assert_ok(nnd_request_run(r, NULL));
    assert_ok(nnd_json_writer_create(0, &w));
    assert_ok(nnd_request_profile(r, w));
    assert_ok(nnd_json_writer_take(w, &text, NULL));
    assert_non_null(strstr(text, "\"op\":\"Add\""));
    nnd_free(text);
    nnd_json_writer_destroy(w);
    nnd_value_unref(x);
    nnd_request_destroy(r);
    nnd_model_unref(model);
    nnd_str_free(&bytes);
}

/* ---- no memory ---------------------------------------------------------------------------- */

static nnd_status create_and_run(nnd_model *model, nnd_value *x, nnd_value **y)
{
    nnd_request *r = NULL;
    nnd_status status = nnd_request_create(model, NULL, &r);
    if (status == NND_OK) status = nnd_request_bind_input(r, "x", x);
    if (status == NND_OK) status = nnd_request_run(r, NULL);
    if (status == NND_OK) status = nnd_request_output(r, "y", y);
    nnd_request_destroy(r);
    return status;
}

static void running_survives_lack_of_memory(void **state)
{
    (void)state;
    nnd_str bytes = add_model();
    oom_begin();
    nnd_model *model = load_bytes(&bytes);
    nnd_value *x = tensor_of(2, (int64_t[]){1, 3}, (float[]){1, 2, 3});
    long live = oom_live_blocks();
    for (long n = 0;; n++) {
        nnd_value *y = NULL;
        oom_fail_after(n);
        nnd_status status = create_and_run(model, x, &y);
        bool hit = oom_hit();
        oom_never();
        if (status == NND_OK)
            assert_float_equal(floats_of(y)[2], 6, 0);
        else
            assert_status(status, NND_E_OUT_OF_MEMORY);
        nnd_value_unref(y);
        nnd_error_clear();
        assert_int_equal(oom_live_blocks(), live);
        if (!hit) break;
    }
    nnd_value_unref(x);
    nnd_model_unref(model);
    assert_int_equal(oom_live_blocks(), 0);
    oom_end();
    nnd_str_free(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_bindings_say_both_sides),
        cmocka_unit_test(dense_inputs_and_results_are_not_copied),
        cmocka_unit_test(strided_inputs_are_copied_once),
        cmocka_unit_test(held_results_keep_their_content),
        cmocka_unit_test(bound_outputs_take_the_result),
        cmocka_unit_test(an_alias_carries_state),
        cmocka_unit_test(start_and_wait),
        cmocka_unit_test(cancelling_stops_within_a_kernel),
        cmocka_unit_test(two_threads_share_a_model),
        cmocka_unit_test(a_profile_names_the_steps),
        cmocka_unit_test(running_survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
