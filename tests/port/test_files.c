/* Files, folders, mapped files, environment, file watch. */
#include "support/test.h"

#include "port/port.h"

#define MS INT64_C(1000000)

static char *folder; /* a fresh one per test */

static int set_up(void **state)
{
    (void)state;
    return nnd_port_dir_create_temp("nnd-tëst", &folder);
}

static int tear_down(void **state)
{
    (void)state;
    int rc = nnd_port_dir_remove_tree(folder);
    nnd_port_free(folder);
    return rc;
}

/* A path in the test's folder; the buffer is reused every fourth call. */
static const char *in_folder(const char *name)
{
    static char buffers[4][1024];
    static int next;
    char *path = buffers[next++ % 4];
    snprintf(path, sizeof(buffers[0]), "%s/%s", folder, name);
    return path;
}

static void put(const char *name, const char *text)
{
    assert_int_equal(nnd_port_file_write_atomic(in_folder(name), text, strlen(text)), 0);
}

static void assert_content(const char *name, const char *expected)
{
    char *data;
    size_t size;
    assert_int_equal(nnd_port_file_read(in_folder(name), 1 << 20, &data, &size), 0);
    assert_int_equal(size, strlen(expected));
    assert_string_equal(data, expected);
    nnd_port_free(data);
}

static size_t count_entries(const char *path)
{
    nnd_port_dir_list list;
    assert_int_equal(nnd_port_dir_read(path, &list), 0);
    size_t count = list.count;
    nnd_port_dir_list_free(&list);
    return count;
}

static void test_read_and_write(void **state)
{
    (void)state;
    char *data;
    size_t size;
    put("a.txt", "hello");
    assert_content("a.txt", "hello");
    put("a.txt", "");
    assert_content("a.txt", "");
    put("写真 é.txt", "line\r\n\x1a binary");
    assert_content("写真 é.txt", "line\r\n\x1a binary");
    assert_int_equal(nnd_port_file_read(in_folder("none"), 10, &data, &size), NND_PORT_E_NOT_FOUND);
    assert_int_equal(nnd_port_file_read(folder, 10, &data, &size), NND_PORT_E_IS_DIR);
    put("five", "12345");
    assert_int_equal(nnd_port_file_read(in_folder("five"), 4, &data, &size), NND_PORT_E_LIMIT);
    assert_int_equal(nnd_port_file_read(in_folder("five"), 5, &data, &size), 0);
    nnd_port_free(data);
    FILE *stream;
    assert_int_equal(nnd_port_file_open(in_folder("five"), "rb", &stream), 0);
    assert_int_equal(nnd_port_stream_read(stream, 4, &data, &size), NND_PORT_E_LIMIT);
    fclose(stream);
    assert_int_equal(nnd_port_file_open(in_folder("none"), "rb", &stream), NND_PORT_E_NOT_FOUND);
    assert_int_equal(count_entries(folder), 3); /* no temporary file is left */
}

static void test_large_file(void **state)
{
    (void)state;
    size_t size = 3 * 1024 * 1024 + 17, got;
    char *data = malloc(size), *back;
    for (size_t i = 0; i < size; i++)
        data[i] = (char)(i * 2654435761u >> 13);
    assert_int_equal(nnd_port_file_write_atomic(in_folder("big"), data, size), 0);
    assert_int_equal(nnd_port_file_read(in_folder("big"), size, &back, &got), 0);
    assert_int_equal(got, size);
    assert_memory_equal(back, data, size);
    nnd_port_free(back);
    nnd_port_map map;
    assert_int_equal(nnd_port_map_open(in_folder("big"), &map), 0);
    assert_int_equal(map.size, size);
    assert_memory_equal(map.data, data, size);
    /* What has been forgotten comes back; memory that is no file stays as it is. */
    nnd_port_map_forget(map.data, map.size);
    assert_memory_equal(map.data, data, size);
    nnd_port_map_forget(data, size);
    assert_memory_equal(map.data, data, size);
    nnd_port_map_close(&map);
    nnd_port_map_close(&map);
    put("empty", "");
    assert_int_equal(nnd_port_map_open(in_folder("empty"), &map), 0);
    assert_null(map.data);
    assert_int_equal(map.size, 0);
    nnd_port_map_close(&map);
    assert_int_equal(nnd_port_map_open(in_folder("none"), &map), NND_PORT_E_NOT_FOUND);
    assert_int_equal(nnd_port_map_open(folder, &map), NND_PORT_E_IS_DIR);
#if !defined(_WIN32)
    assert_int_equal(nnd_port_map_open("/dev/null", &map), NND_PORT_E_NOT_FILE);
#endif
    free(data);
}

static void test_pieces_become_one_file(void **state)
{
    (void)state;
    const nnd_port_piece pieces[] = {{"ab", 2}, {"", 0}, {NULL, 0}, {"cde", 3}};
    for (int durable = 0; durable < 2; durable++) {
        assert_int_equal(nnd_port_file_write_pieces(in_folder("p"), pieces, 4, durable), 0);
        assert_content("p", "abcde");
        assert_int_equal(nnd_port_file_write_pieces(in_folder("p"), pieces, 0, durable), 0);
        assert_content("p", "");
    }
    assert_int_equal(nnd_port_file_write_pieces(in_folder("none/p"), pieces, 4, false),
                     NND_PORT_E_NOT_FOUND);
    assert_int_equal(count_entries(folder), 1);
}

/* Windows lets nobody replace a file that is mapped. */
#ifdef _WIN32
#define SUCCESSOR "b"
#else
#define SUCCESSOR "a"
#endif

static void test_mappings_are_known(void **state)
{
    (void)state;
    nnd_port_map first, second;
    nnd_port_file_info info, now;
    put("a", "some bytes");
    assert_int_equal(nnd_port_map_open(in_folder("a"), &first), 0);
    assert_int_equal(nnd_port_map_info(first.data, first.size, &info), 0);
    assert_true(info.is_file && !info.is_dir && info.size == 10 && info.id);
    /* Another file of that name is none of the mapping's business. */
    put(SUCCESSOR, "other bytes");
    assert_int_equal(nnd_port_map_info(first.data, first.size, &info), 0);
    assert_int_equal(info.size, 10);
    assert_int_equal(nnd_port_map_open(in_folder(SUCCESSOR), &second), 0);
    assert_int_equal(nnd_port_map_info(second.data, second.size, &now), 0);
    assert_int_equal(now.size, 11);
    assert_true(now.id != info.id);
    assert_true(now.changed >= info.changed);
    /* Parts of a file and other memory are not files. */
    const char *data = first.data;
    assert_int_equal(nnd_port_map_info(data, 9, &info), NND_PORT_E_NOT_FOUND);
    assert_int_equal(nnd_port_map_info(data + 1, 9, &info), NND_PORT_E_NOT_FOUND);
    assert_int_equal(nnd_port_map_info(NULL, 0, &info), NND_PORT_E_NOT_FOUND);
    nnd_port_map_close(&first);
    assert_int_equal(nnd_port_map_info(data, 10, &info), NND_PORT_E_NOT_FOUND);
    nnd_port_map_close(&second);
}

static void test_touch(void **state)
{
    (void)state;
    nnd_port_file_info before, after;
    put("a", "x");
    assert_int_equal(nnd_port_file_stat(in_folder("a"), &before), 0);
    nnd_port_sleep(20 * MS);
    assert_int_equal(nnd_port_file_touch(in_folder("a")), 0);
    assert_int_equal(nnd_port_file_stat(in_folder("a"), &after), 0);
    assert_true(after.mtime > before.mtime);
    assert_true(after.changed > before.changed);
    assert_content("a", "x");
    assert_int_equal(nnd_port_file_touch(in_folder("none")), NND_PORT_E_NOT_FOUND);
}

static void test_failed_write_leaves_nothing(void **state)
{
    (void)state;
    assert_int_equal(nnd_port_file_write_atomic(in_folder("none/a"), "x", 1), NND_PORT_E_NOT_FOUND);
    assert_int_equal(nnd_port_dir_create(in_folder("sub")), 0);
    assert_int_equal(nnd_port_file_write_atomic(in_folder("sub"), "x", 1), NND_PORT_E_IS_DIR);
    assert_int_equal(count_entries(folder), 1);
    assert_int_equal(count_entries(in_folder("sub")), 0);
}

static void test_folders(void **state)
{
    (void)state;
    assert_int_equal(nnd_port_dir_create(in_folder("x/y//z/")), 0);
    assert_int_equal(nnd_port_dir_create(in_folder("x/y/z")), 0);
    assert_true(nnd_port_dir_exists(in_folder("x/y/z")));
    put("x/b", "");
    put("x/a", "");
    put("x/C", "");
    assert_int_equal(nnd_port_dir_create(in_folder("x/a")), NND_PORT_E_NOT_DIR);
    assert_int_equal(nnd_port_dir_create(""), NND_PORT_E_INVALID);
    nnd_port_dir_list list;
    assert_int_equal(nnd_port_dir_read(in_folder("x"), &list), 0);
    static const char *const sorted[] = {"C", "a", "b", "y"};
    assert_int_equal(list.count, 4);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(list.names[i], sorted[i]);
    nnd_port_dir_list_free(&list);
    assert_int_equal(nnd_port_dir_read(in_folder("none"), &list), NND_PORT_E_NOT_FOUND);
    assert_int_equal(nnd_port_file_remove(in_folder("x/y")), NND_PORT_E_NOT_EMPTY);
    assert_int_equal(nnd_port_file_rename(in_folder("x/a"), in_folder("x/b")), 0);
    assert_false(nnd_port_file_exists(in_folder("x/a")));
    assert_int_equal(nnd_port_file_remove(in_folder("x/b")), 0);
    assert_int_equal(nnd_port_file_remove(in_folder("x/b")), NND_PORT_E_NOT_FOUND);
    assert_int_equal(nnd_port_dir_remove_tree(in_folder("x")), 0);
    assert_int_equal(count_entries(folder), 0);
}

static void test_paths(void **state)
{
    (void)state;
    char *a, *b, *program;
    assert_int_equal(nnd_port_dir_create(in_folder("p/q")), 0);
    assert_int_equal(nnd_port_path_real(in_folder("p/q/../../p/./q"), &a), 0);
    assert_int_equal(nnd_port_path_real(in_folder("p/q"), &b), 0);
    assert_string_equal(a, b);
    assert_true(nnd_port_path_is_absolute(a));
    assert_false(nnd_port_path_is_absolute("a/b"));
    assert_null(strchr(a, '\\'));
    nnd_port_free(a);
    nnd_port_free(b);
    assert_int_equal(nnd_port_path_real(in_folder("none"), &a), NND_PORT_E_NOT_FOUND);
    assert_int_equal(nnd_port_path_executable(&program), 0);
    assert_true(nnd_port_file_exists(program));
    nnd_port_free(program);
    assert_int_equal(nnd_port_path_current_dir(&a), 0);
    assert_true(nnd_port_dir_exists(a));
    nnd_port_free(a);
    nnd_port_file_info info;
    put("five", "12345");
    assert_int_equal(nnd_port_file_stat(in_folder("five"), &info), 0);
    assert_true(info.is_file && !info.is_dir && info.size == 5);
    assert_true(info.mtime > INT64_C(1600000000) * 1000 * MS);
}

static void test_locks(void **state)
{
    (void)state;
    nnd_port_file_lock *lock = NULL, *second = NULL;
    const char *path = in_folder("lock");
    assert_int_equal(nnd_port_file_lock_try(path, &lock), 0);
    assert_int_equal(nnd_port_file_lock_try(path, &second), NND_PORT_E_AGAIN);
    assert_null(second);
    nnd_port_file_unlock(lock);
    assert_int_equal(nnd_port_file_lock_try(path, &lock), 0);
    nnd_port_file_unlock(lock);
    nnd_port_file_unlock(NULL);
    assert_true(nnd_port_file_exists(path));
    assert_int_equal(nnd_port_file_lock_try(in_folder("no/such/lock"), &lock),
                     NND_PORT_E_NOT_FOUND);
}

static void test_sync(void **state)
{
    (void)state;
    FILE *stream = NULL;
    nnd_port_file_info info;
    const char *path = in_folder("synced");
    assert_int_equal(nnd_port_file_open(path, "wb", &stream), 0);
    assert_int_equal(fputs("abc", stream) >= 0, 1);
    assert_int_equal(nnd_port_file_sync(stream), 0);
    assert_int_equal(nnd_port_file_stat(path, &info), 0);
    assert_int_equal(info.size, 3);
    fclose(stream);
}

static void test_environment(void **state)
{
    (void)state;
    char *value, small[4];
    assert_int_equal(nnd_port_env_set("NND_TEST_VARIABLE", "grün"), 0);
    assert_int_equal(nnd_port_env_dup("NND_TEST_VARIABLE", &value), 0);
    assert_string_equal(value, "grün");
    nnd_port_free(value);
    assert_false(nnd_port_env_copy("NND_TEST_VARIABLE", small, sizeof(small)));
    assert_string_equal(small, "");
    assert_int_equal(nnd_port_env_set("NND_TEST_VARIABLE", ""), 0);
    assert_false(nnd_port_env_copy("NND_TEST_VARIABLE", small, sizeof(small)));
    assert_int_equal(nnd_port_env_set("NND_TEST_VARIABLE", NULL), 0);
    assert_int_equal(nnd_port_env_dup("NND_TEST_VARIABLE", &value), NND_PORT_E_NOT_FOUND);
    uint8_t one[16] = {0}, two[16] = {0};
    assert_int_equal(nnd_port_random(one, 16), 0);
    assert_int_equal(nnd_port_random(two, 16), 0);
    assert_memory_not_equal(one, two, 16);
}

static void test_modules(void **state)
{
    (void)state;
    nnd_port_module *module;
    char reason[256] = "";
    assert_true(nnd_port_module_open(in_folder("none.so"), &module, reason, sizeof(reason)) < 0);
    assert_true(reason[0] != '\0');
    put("text.so", "this is no library");
    assert_true(nnd_port_module_open(in_folder("text.so"), &module, NULL, 0) < 0);
#if defined(_WIN32)
    const char *name = "kernel32.dll", *symbol = "Sleep";
#else
    const char *name = "libm.so.6", *symbol = "cos";
#endif
    assert_int_equal(nnd_port_module_open(name, &module, reason, sizeof(reason)), 0);
    assert_non_null(nnd_port_module_symbol(module, symbol));
    assert_null(nnd_port_module_symbol(module, "no_such_symbol_here"));
    nnd_port_module_close(module);
    nnd_port_module_close(NULL);
}

static void test_watch(void **state)
{
    (void)state;
    nnd_port_watch *watch;
    size_t a, b, id = 99;
    put("a.json", "1");
    assert_int_equal(nnd_port_watch_create(&watch), 0);
    assert_int_equal(nnd_port_watch_add(watch, in_folder("a.json"), &a), 0);
    assert_int_equal(nnd_port_watch_add(watch, in_folder("later.json"), &b), 0);
    assert_int_equal(nnd_port_watch_wait(watch, nnd_port_now() + 20 * MS, &id), NND_PORT_E_TIMEOUT);
    put("unrelated", "x");
    assert_int_equal(nnd_port_watch_wait(watch, nnd_port_now() + 20 * MS, &id), NND_PORT_E_TIMEOUT);
    put("a.json", "23"); /* replaced by rename */
    assert_int_equal(nnd_port_watch_wait(watch, nnd_port_now() + 10000 * MS, &id), 0);
    assert_int_equal(id, a);
    put("later.json", "x");
    assert_int_equal(nnd_port_watch_wait(watch, nnd_port_now() + 10000 * MS, &id), 0);
    assert_int_equal(id, b);
    assert_int_equal(nnd_port_file_remove(in_folder("a.json")), 0);
    assert_int_equal(nnd_port_watch_wait(watch, nnd_port_now() + 10000 * MS, &id), 0);
    assert_int_equal(id, a);
    nnd_port_watch_destroy(watch);
    nnd_port_watch_destroy(NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_read_and_write),
        TEST(test_large_file),
        TEST(test_failed_write_leaves_nothing),
        TEST(test_folders),
        TEST(test_paths),
        TEST(test_environment),
        TEST(test_modules),
        TEST(test_watch),
        TEST(test_locks),
        TEST(test_sync),
        TEST(test_pieces_become_one_file),
        TEST(test_mappings_are_known),
        TEST(test_touch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
