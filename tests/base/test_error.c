/* Status names and error records: chains, places, threads, out of memory. */
#include "support/test.h"

#include "base/port_status.h"
#include "port/port.h"
#include "support/oom.h"

static void test_status_names(void **state)
{
    (void)state;
    assert_string_equal(nnd_status_name(NND_OK), "NND_OK");
    assert_string_equal(nnd_status_name(NND_E_FORMAT), "NND_E_FORMAT");
    assert_string_equal(nnd_status_name(NND_E_INTERNAL), "NND_E_INTERNAL");
    assert_string_equal(nnd_status_name((nnd_status)1), "NND_E_UNKNOWN");
    assert_string_equal(nnd_status_name((nnd_status)-1000), "NND_E_UNKNOWN");
    assert_string_equal(nnd_status_text(NND_E_FORMAT), "malformed data");
    assert_string_equal(nnd_version(), NND_VERSION);
    assert_int_equal(nnd_abi_version(), NND_ABI_VERSION);
}

static void test_chain(void **state)
{
    (void)state;
    nnd_error_clear();
    assert_null(nnd_error_take());
    assert_status(nnd_error_set(NND_E_IO, "disk %d", 7), NND_E_IO);
    nnd_error_set_place("model.onnx", 3, 14);
    assert_status(nnd_error_wrap(NND_E_FORMAT, "cannot load"), NND_E_FORMAT);
    nnd_error_set_node("sub/net", "input");
    nnd_error_set_packet(5);
    nnd_error *error = nnd_error_take();
    assert_null(nnd_error_take());
    assert_int_equal(nnd_error_status(error), NND_E_FORMAT);
    assert_string_equal(nnd_error_node(error), "sub/net");
    assert_string_equal(nnd_error_port(error), "input");
    assert_string_equal(nnd_error_file(error), "");
    assert_int_equal(nnd_error_packet(error), 5);
    const nnd_error *cause = nnd_error_cause(error);
    assert_string_equal(nnd_error_message(cause), "disk 7");
    assert_int_equal(nnd_error_column(cause), 14);
    assert_int_equal(nnd_error_packet(cause), -1);
    assert_null(nnd_error_cause(cause));
    char *text = nnd_error_to_string(error);
    assert_string_equal(text, "node 'sub/net' port 'input' packet 5: cannot load\n"
                              "  because: model.onnx:3:14: disk 7");
    nnd_free(text);

    assert_status(nnd_error_restore(error), NND_E_FORMAT);
    nnd_error *again = nnd_error_take();
    text = nnd_error_to_string(again);
    assert_non_null(strstr(text, "disk 7"));
    nnd_free(text);
    nnd_error_destroy(again);
    nnd_error_destroy(error);
    nnd_error_destroy(NULL);
}

static void test_long_message(void **state)
{
    (void)state;
    char *large = malloc(5001);
    memset(large, 'x', 5000);
    large[5000] = '\0';
    nnd_error_set(NND_E_IO, "%s", large);
    nnd_error *error = nnd_error_take();
    assert_string_equal(nnd_error_message(error), large);
    nnd_error_destroy(error);
    free(large);
}

static void test_place_without_record(void **state)
{
    (void)state;
    nnd_error_clear();
    nnd_error_set_place("f", 1, 1);
    nnd_error_set_node("n", "p");
    nnd_error_set_packet(1);
    assert_null(nnd_error_take());
}

/* Whatever allocation fails, the status stays right, a record is there, and nothing leaks. */
static void test_out_of_memory(void **state)
{
    (void)state;
    oom_begin();
    for (long n = 0;; n++) {
        oom_fail_after(n);
        assert_int_equal(nnd_error_set(NND_E_IO, "root %s", "cause"), NND_E_IO);
        nnd_error_set_place("file", 1, 2);
        assert_int_equal(nnd_error_wrap(NND_E_FORMAT, "middle"), NND_E_FORMAT);
        nnd_error_set_node("node", "port");
        assert_int_equal(nnd_error_wrap(NND_E_BACKEND, "top"), NND_E_BACKEND);
        bool hit = oom_hit();
        oom_never();
        nnd_error *error = nnd_error_take();
        assert_non_null(error);
        assert_int_equal(nnd_error_status(error), NND_E_BACKEND);
        const nnd_error *root = error;
        while (nnd_error_cause(root))
            root = nnd_error_cause(root);
        assert_true(nnd_error_message(root)[0] != '\0');
        nnd_error_destroy(error);
        assert_int_equal(oom_live_blocks(), 0);
        if (!hit) break;
        assert_true(n < 100);
    }
    oom_fail_after(0);
    nnd_error_set(NND_E_IO, "no memory at all: %0300d", 1);
    assert_null(nnd_error_take());
    assert_null(nnd_error_take());
    oom_end();
}

typedef struct thread_case {
    int number;
    bool leave_record;
} thread_case;

static void use_errors(void *arg)
{
    const thread_case *c = arg;
    for (int i = 0; i < 200; i++) {
        nnd_error_set(NND_E_IO, "thread %d", c->number);
        nnd_error_wrap(NND_E_FORMAT, "round %d", i);
        char expected[32];
        snprintf(expected, sizeof(expected), "thread %d", c->number);
        nnd_error *error = nnd_error_take();
        if (!error || strcmp(nnd_error_message(nnd_error_cause(error)), expected) != 0) abort();
        nnd_error_destroy(error);
    }
    /* What stays behind is freed when the thread ends. */
    if (c->leave_record) {
        nnd_error_set(NND_E_IO, "left behind");
        nnd_error_wrap(NND_E_IO, "both of them");
    }
}

static void test_threads(void **state)
{
    (void)state;
    oom_begin();
    nnd_port_thread *threads[8];
    thread_case cases[8];
    for (int i = 0; i < 8; i++) {
        cases[i] = (thread_case){i, true};
        assert_int_equal(nnd_port_thread_create("errors", use_errors, &cases[i], &threads[i]), 0);
    }
    for (int i = 0; i < 8; i++)
        nnd_port_thread_join(threads[i]);
    assert_int_equal(oom_live_blocks(), 0);
    oom_end();
}

static void test_port_errors(void **state)
{
    (void)state;
    assert_status(nnd_error_from_port(NND_PORT_E_NOT_FOUND, "cannot read", "a.json"),
                  NND_E_NOT_FOUND);
    nnd_error *error = nnd_error_take();
    assert_string_equal(nnd_error_message(error), "cannot read 'a.json': no such file or folder");
    nnd_error_destroy(error);
    assert_status(nnd_error_from_port(0, "x", NULL), NND_OK);
    assert_status(nnd_status_from_port(NND_PORT_E_ACCESS), NND_E_IO);
    assert_status(nnd_status_from_port(-999), NND_E_IO);
}

static void test_folder_of(void **state)
{
    (void)state;
    char *here = NULL, *folder = NULL, *current = NULL;
    assert_int_equal(nnd_port_path_current_dir(&current), 0);
    assert_int_equal(nnd_port_path_real(current, &here), 0);
    assert_ok(nnd_folder_of("not-there.onnx", "folder", &folder)); /* only the folder must exist */
    assert_string_equal(folder, here);
    nnd_free(folder);
    assert_ok(nnd_folder_of("./not-there.onnx", "folder", &folder));
    assert_string_equal(folder, here);
    nnd_free(folder);
    folder = NULL;
    assert_status(nnd_folder_of("no-such-folder/x", "cannot find the folder of x", &folder),
                  NND_E_NOT_FOUND);
    assert_null(folder);
    nnd_error_clear();
    nnd_port_free(here);
    nnd_port_free(current);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folder_of),
        cmocka_unit_test(test_status_names),
        cmocka_unit_test(test_chain),
        cmocka_unit_test(test_long_message),
        cmocka_unit_test(test_place_without_record),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_port_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
