/* Plug-ins: a good one works, every kind of bad one gives one clear message and leaves nothing. */
#if !defined(_WIN32)
#include <unistd.h>
#endif

#include "nndeploy/plugin.h"
#include "port/port.h"
#include "workflow/support.h"

static const char *plugin_path(int variant)
{
    static char path[1024];
    snprintf(path, sizeof(path), "%s/test_plugin_v1_%d%s", TEST_PLUGINS, variant,
             TEST_PLUGIN_SUFFIX);
    return path;
}

/* Loading fails with `status`; the message names the file and holds `part`. */
static void expect_refused(const char *path, nnd_status status, const char *part)
{
    nnd_registry *r = t_registry();
    size_t before = nnd_registry_count(r);
    nnd_status got = nnd_registry_load_plugin(r, path);
    nnd_error *e = nnd_error_take();
    if (got != status || !e || !strstr(nnd_error_message(e), part))
        fprintf(stderr, "%s: %s: %s\n", path, nnd_status_name(got),
                e ? nnd_error_message(e) : "no message");
    assert_int_equal(got, status);
    assert_non_null(e);
    assert_non_null(strstr(nnd_error_message(e), path));
    assert_non_null(strstr(nnd_error_message(e), part));
    assert_null(nnd_error_cause(e));
    nnd_error_destroy(e);
    assert_int_equal(nnd_registry_count(r), before);
    nnd_registry_unref(r);
}

static const char *const repeat_text =
    "{'format':'nndeploy/1','name':'t','inputs':[{'name':'x','type':'text'}],"
    "'outputs':[{'name':'y','from':['r','text']}],"
    "'nodes':[{'id':'r','type':'plugin.repeat','params':{'times':3}}],"
    "'edges':[{'from':['@','x'],'to':['r','text']}]}";

static void use_plugin(int variant)
{
    nnd_registry *r = t_registry();
    assert_ok(nnd_registry_load_plugin(r, plugin_path(variant)));
    assert_non_null(nnd_registry_find(r, "plugin.repeat", 0));
    assert_status(nnd_registry_load_plugin(r, plugin_path(variant)), NND_E_EXISTS);
    nnd_plan *plan = NULL;
    nnd_diagnostics *diags = NULL;
    assert_ok(nnd_diagnostics_create(&diags));
    assert_ok(t_try_compile(r, repeat_text, diags, &plan));
    nnd_diagnostics_destroy(diags);
    nnd_registry_unref(r); /* the plan keeps the file loaded */
    nnd_run *run = t_run(plan);
    nnd_value *in = NULL, *out = NULL;
    assert_ok(nnd_value_new_text("ab", SIZE_MAX, &in));
    assert_ok(nnd_run_push(run, "x", in));
    assert_ok(nnd_run_pop(run, "y", &out));
    assert_string_equal(nnd_value_text(out)->text, "ababab");
    nnd_value_unref(in);
    nnd_value_unref(out);
    assert_ok(nnd_value_new_text("", SIZE_MAX, &in));
    assert_status(nnd_run_push(run, "x", in), NND_E_INVALID_ARGUMENT);
    assert_string_equal(nnd_error_message(nnd_run_error_at(run, 0)), "an empty text");
    nnd_value_unref(in);
    nnd_run_destroy(run);
    nnd_plan_unref(plan);
}

static void test_good(void **state)
{
    (void)state;
    use_plugin(0);
    use_plugin(0); /* again, after it was unloaded */
}

/* A name without a folder is a file of the current folder, not of the system's library folders. */
static void test_bare_name(void **state)
{
    (void)state;
#if !defined(_WIN32)
    char before[1024];
    nnd_registry *r = t_registry();
    assert_non_null(getcwd(before, sizeof(before)));
    assert_int_equal(chdir(TEST_PLUGINS), 0);
    nnd_status status = nnd_registry_load_plugin(r, strrchr(plugin_path(0), '/') + 1);
    assert_int_equal(chdir(before), 0);
    assert_ok(status);
    nnd_registry_unref(r);
#endif
}

static void test_larger_struct(void **state)
{
    (void)state;
    use_plugin(4); /* from a later header with the same interface version */
}

static void test_value_type(void **state)
{
    (void)state;
    use_plugin(9);
    const nnd_value_type *type = nnd_value_type_find("plugin_celsius");
    assert_non_null(type); /* stays known when the registry has gone */
    assert_int_equal(type->payload_size, sizeof(double));
    use_plugin(9); /* the same file again is no conflict */
}

static void test_refused(void **state)
{
    (void)state;
    expect_refused(plugin_path(1), NND_E_FORMAT, "nnd_plugin_v1");
    expect_refused(plugin_path(2), NND_E_UNSUPPORTED, "interface version 99");
    expect_refused(plugin_path(3), NND_E_FORMAT, "16 bytes");
    expect_refused(plugin_path(5), NND_E_MISSING, "the vendor's library is not installed");
    expect_refused(plugin_path(6), NND_E_EXISTS, "flow.merge@1");
    expect_refused(plugin_path(7), NND_E_INVALID_ARGUMENT, "no good name!");
    expect_refused(plugin_path(8), NND_E_FORMAT, "no name");
    expect_refused(plugin_path(10), NND_E_FORMAT, "40 bytes");
    expect_refused("/there/is/no/plugin.so", NND_E_NOT_FOUND, "no such file");
}

static void test_wrong_files(void **state)
{
    (void)state;
    char *folder = NULL, *data = NULL, path[1024];
    size_t size = 0;
    assert_int_equal(nnd_port_dir_create_temp("nnd-plugin", &folder), 0);
    snprintf(path, sizeof(path), "%s/text.so", folder);
    assert_int_equal(nnd_port_file_write_atomic(path, "hello, world\n", 13), 0);
    expect_refused(path, NND_E_FORMAT, "no loadable module");
    snprintf(path, sizeof(path), "%s/empty.so", folder);
    assert_int_equal(nnd_port_file_write_atomic(path, "", 0), 0);
    expect_refused(path, NND_E_FORMAT, "no loadable module");
    assert_int_equal(nnd_port_file_read(plugin_path(0), SIZE_MAX - 1, &data, &size), 0);
    snprintf(path, sizeof(path), "%s/cut.so", folder);
    for (size_t cut = 1; cut < size; cut += 1 + size / 40) { /* at every place */
        assert_int_equal(nnd_port_file_write_atomic(path, data, cut), 0);
        expect_refused(path, NND_E_FORMAT, "no loadable module");
    }
    assert_int_equal(nnd_port_file_write_atomic(path, data, size - 1), 0);
    expect_refused(path, NND_E_FORMAT, "no loadable module");
    nnd_port_free(data);
    expect_refused(folder, NND_E_FORMAT, "no loadable module");
    nnd_port_dir_remove_tree(folder);
    nnd_port_free(folder);
}

/* The table is whole: no entry was forgotten. */
static void test_host_table(void **state)
{
    (void)state;
    const nnd_host *h = nnd_host_table();
    assert_int_equal(h->struct_size, sizeof(*h));
    assert_int_equal(h->abi_version, NND_ABI_VERSION);
    assert_string_equal(h->version, nnd_version());
    void (*entries[(sizeof(*h) - offsetof(nnd_host, error_set)) / sizeof(void (*)(void))])(void);
    memcpy(entries, (const char *)h + offsetof(nnd_host, error_set), sizeof(entries));
    for (size_t i = 0; i < NND_COUNT(entries); i++)
        assert_true(entries[i] != NULL);
    assert_true(NND_HOST_HAS(h, io_safe_name));
    assert_true(NND_HOST_HAS(h, prepare_find_variant));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),          cmocka_unit_test(test_bare_name),
        cmocka_unit_test(test_larger_struct), cmocka_unit_test(test_value_type),
        cmocka_unit_test(test_refused),       cmocka_unit_test(test_wrong_files),
        cmocka_unit_test(test_host_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
