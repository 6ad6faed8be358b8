/* One file of packed weights for several models, threads and processes; real models. */
#include "packed_support.h"

/* Where the first operator's weights are. */
static const void *first_weights(const nnd_engine_model *m)
{
    for (size_t i = 0; i < m->graph->node_count; i++) {
        const nnd_graph_node *n = &m->graph->nodes[i];
        if (strcmp(n->type, "MatMul") == 0) return ((const nnd_packed_blob *)n->state)->data;
    }
    return NULL;
}

static void models_of_a_process_share_one_mapping(void **state)
{
    nnd_str bytes = {0}, expected = {0};
    (void)state;
    pk_steps(&bytes, 1);
    pk_expected(&bytes, &expected);
    nnd_engine_model *alone = pk_load(&bytes, NULL), *other = pk_load(&bytes, NULL);
    assert_true(first_weights(alone) != first_weights(other));
    nnd_engine_model *packing = pk_load(&bytes, pk_folder), *mapping = pk_load(&bytes, pk_folder);
    assert_non_null(first_weights(packing));
    assert_ptr_equal(first_weights(packing), first_weights(mapping));
    nnd_engine_model_unref(packing);
    /* Also when the file has gone since: nothing of it is in use by its name. */
    char *path = pk_only_file();
    assert_int_equal(nnd_port_file_remove(path), 0);
    pk_assert_results(mapping, &expected);
    nnd_engine_model *again = pk_load(&bytes, pk_folder);
    assert_ptr_equal(first_weights(again), first_weights(mapping));
    nnd_engine_model_unref(again);
    nnd_engine_model_unref(mapping);
    nnd_engine_model_unref(pk_load(&bytes, pk_folder));
    assert_true(nnd_port_file_exists(path)); /* the last one had to pack again */
    nnd_engine_model_unref(alone);
    nnd_engine_model_unref(other);
    nnd_free(path);
    nnd_str_free(&bytes);
    nnd_str_free(&expected);
}

/* ---- threads ------------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 12 };

typedef struct loader {
    const nnd_str *bytes[2], *expected[2];
    bool wrong;
} loader;

static void load_in_turns(void *user)
{
    loader *l = user;
    nnd_engine_options options = NND_ENGINE_OPTIONS_INIT;
    options.cache = pk_folder;
    for (int i = 0; i < ROUNDS; i++) {
        const nnd_str *bytes = l->bytes[i % 2], *expected = l->expected[i % 2];
        nnd_engine_model *m = NULL;
        nnd_str got = {0};
        if (nnd_engine_model_load_memory(bytes->data, bytes->size, &options, &m) != NND_OK ||
            pk_run(m, &got) != NND_OK || got.size != expected->size ||
            memcmp(got.data, expected->data, got.size) != 0 || pk_info(m).mapped_bytes == 0)
            l->wrong = true;
        nnd_str_free(&got);
        nnd_engine_model_unref(m);
    }
}

static void threads_write_and_map_at_once(void **state)
{
    nnd_str bytes[2] = {{0}, {0}}, expected[2] = {{0}, {0}};
    loader loaders[THREADS];
    nnd_port_thread *threads[THREADS];
    (void)state;
    pk_pictures(&bytes[0], 1);
    pk_integers(&bytes[1], 1);
    for (int i = 0; i < 2; i++)
        pk_expected(&bytes[i], &expected[i]);
    for (int i = 0; i < THREADS; i++) {
        int k = i % 2;
        loaders[i] = (loader){{&bytes[k], &bytes[!k]}, {&expected[k], &expected[!k]}, false};
        assert_int_equal(nnd_port_thread_create("load", load_in_turns, &loaders[i], &threads[i]),
                         0);
    }
    for (int i = 0; i < THREADS; i++)
        nnd_port_thread_join(threads[i]);
    for (int i = 0; i < THREADS; i++)
        assert_false(loaders[i].wrong);
    assert_int_equal(pk_count_files(), 2);
    for (int i = 0; i < 2; i++) {
        nnd_str_free(&bytes[i]);
        nnd_str_free(&expected[i]);
    }
}

/* ---- processes ----------------------------------------------------------------------------- */

/* What a child does: 0 when every load gave the right results out of the folder. */
static int child_main(const char *folder)
{
    nnd_str bytes[2] = {{0}, {0}}, expected[2] = {{0}, {0}};
    loader l = {{&bytes[0], &bytes[1]}, {&expected[0], &expected[1]}, false};
    pk_folder = nnd_strdup(folder);
    pk_pictures(&bytes[0], 1);
    pk_steps(&bytes[1], 1);
    for (int i = 0; i < 2; i++)
        pk_expected(&bytes[i], &expected[i]);
    load_in_turns(&l);
    for (int i = 0; i < 2; i++) {
        nnd_str_free(&bytes[i]);
        nnd_str_free(&expected[i]);
    }
    nnd_free(pk_folder);
    return l.wrong ? 9 : 0;
}

static void skip_emulated(void)
{
    fprintf(stderr, "skipped: this program cannot start itself (an emulator?)\n");
    skip();
}

static void processes_write_and_map_at_once(void **state)
{
    enum { CHILDREN = 3, NOT_STARTED = 127 }; /* the code of a child that could not become it */
    nnd_port_process *children[CHILDREN];
    int strangers = 0;
    char *program;
    (void)state;
    assert_int_equal(nnd_port_path_executable(&program), 0);
    const char *const argv[] = {program, pk_folder, NULL};
    const nnd_port_spawn spawn = {.argv = argv};
    if (nnd_port_process_spawn(&spawn, &children[0]) != 0) {
        nnd_port_free(program);
        skip_emulated();
    }
    for (int i = 1; i < CHILDREN; i++)
        assert_int_equal(nnd_port_process_spawn(&spawn, &children[i]), 0);
    for (int i = 0; i < CHILDREN; i++) {
        int code = -1;
        int64_t deadline = nnd_port_now() + INT64_C(240) * 1000000000;
        assert_int_equal(nnd_port_process_wait(children[i], deadline, &code), 0);
        nnd_port_process_destroy(children[i]);
        if (code == NOT_STARTED)
            strangers++;
        else
            assert_int_equal(code, 0);
    }
    nnd_port_free(program);
    if (strangers == CHILDREN) skip_emulated();
    assert_int_equal(strangers, 0);
    assert_int_equal(pk_count_files(), 2); /* and nothing half-written */
}

/* ---- real models --------------------------------------------------------------------------- */

/* With the reference's inputs; NULL when the model cannot run here. */
static nnd_engine_model *run_real(const char *path, const reference *ref, const char *cache,
                                  nnd_str *out)
{
    nnd_engine_options options = NND_ENGINE_OPTIONS_INIT;
    nnd_engine_model *m = NULL;
    nnd_engine_request *r;
    options.cache = cache;
    if (nnd_engine_model_load_file(path, &options, &m) != NND_OK) {
        nnd_error_clear();
        return NULL;
    }
    assert_ok(nnd_engine_request_create(m, &r));
    for (size_t i = 0; i < ref->input_count; i++)
        assert_ok(nnd_engine_request_bind_input(r, i, &ref->inputs[i]));
    assert_ok(nnd_engine_request_run(r, 2, NULL));
    for (size_t i = 0; i < ref->output_count; i++) {
        nnd_tensor t;
        assert_ok(nnd_engine_request_output(r, i, &t));
        nnd_str_add_n(out, t.data, nnd_tensor_bytes(&t));
    }
    nnd_engine_request_destroy(r);
    return m;
}

static void check_real(const char *name, size_t *checked)
{
    char folder[512], path[600];
    reference ref;
    nnd_str expected = {0};
    snprintf(folder, sizeof(folder), "%s/models/%s", test_data_dir(), name);
    snprintf(path, sizeof(path), "%s/model.onnx", folder);
    if (!nnd_port_file_exists(path) || !reference_read(folder, &ref)) return;
    nnd_engine_model *plain = run_real(path, &ref, NULL, &expected);
    for (int i = 0; plain && i < 2; i++) { /* packed and written, then mapped */
        nnd_str got = {0};
        nnd_engine_model *m = run_real(path, &ref, pk_folder, &got);
        assert_non_null(m);
        assert_int_equal(pk_info(m).packed_bytes, pk_info(plain).packed_bytes);
        assert_int_equal(pk_info(m).mapped_bytes, pk_info(m).packed_bytes);
        assert_int_equal(got.size, expected.size);
        if (memcmp(got.data, expected.data, got.size) != 0) fail_msg("%s: other bits", name);
        nnd_str_free(&got);
        nnd_engine_model_unref(m);
        *checked += 1;
    }
    nnd_engine_model_unref(plain);
    nnd_str_free(&expected);
    reference_free(&ref);
}

static void real_models_give_the_same_bits(void **state)
{
    char folder[512];
    nnd_port_dir_list list;
    size_t checked = 0;
    (void)state;
    skip_without_data();
    snprintf(folder, sizeof(folder), "%s/models", test_data_dir());
    assert_int_equal(nnd_port_dir_read(folder, &list), 0);
    for (size_t i = 0; i < list.count; i++)
        check_real(list.names[i], &checked);
    nnd_port_dir_list_free(&list);
    assert_true(checked > 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(models_of_a_process_share_one_mapping, pk_set_up,
                                        pk_tear_down),
        cmocka_unit_test_setup_teardown(threads_write_and_map_at_once, pk_set_up, pk_tear_down),
        cmocka_unit_test_setup_teardown(processes_write_and_map_at_once, pk_set_up, pk_tear_down),
        cmocka_unit_test_setup_teardown(real_models_give_the_same_bits, pk_set_up, pk_tear_down),
    };
    if (argc > 1) return child_main(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
