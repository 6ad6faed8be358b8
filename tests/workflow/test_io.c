/* nnd_io: nothing outside of the roots, whatever the path looks like. */
#include "port/port.h"
#include "workflow/support.h"

#if !defined(_WIN32)
#include <unistd.h>
#endif

static char *base; /* a fresh folder: in/, out/, secret */

static char *path_of(const char *name)
{
    static char buffers[4][600];
    static int next;
    char *p = buffers[next++ % 4];
    snprintf(p, sizeof(buffers[0]), "%s/%s", base, name);
    return p;
}

static void put(const char *name, const char *text)
{
    assert_int_equal(nnd_port_file_write_atomic(path_of(name), text, strlen(text)), 0);
}

static int setup(void **state)
{
    (void)state;
    if (nnd_port_dir_create_temp("nnd-io", &base) != 0) return -1;
    nnd_port_dir_create(path_of("in/deep"));
    nnd_port_dir_create(path_of("in2"));
    nnd_port_dir_create(path_of("out"));
    put("in/a.txt", "hello");
    put("in2/b.txt", "not yours");
    put("secret", "secret");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    nnd_port_dir_remove_tree(base);
    nnd_port_free(base);
    return 0;
}

static nnd_io *make_io(uint64_t quota, uint64_t max_read)
{
    const char *read_roots[] = {path_of("in"), path_of("out")};
    const char *write_roots[] = {path_of("out")};
    const char *hosts[] = {"example.org"};
    const char *devices[] = {"sim:0"};
    nnd_io_policy p = NND_IO_POLICY_INIT;
    p.base_dir = base;
    p.read_roots = read_roots;
    p.read_root_count = 2;
    p.write_roots = write_roots;
    p.write_root_count = 1;
    p.hosts = hosts;
    p.host_count = 1;
    p.devices = devices;
    p.device_count = 1;
    p.write_quota = quota;
    p.max_read_bytes = max_read;
    nnd_io *io = NULL;
    assert_ok(nnd_io_create(&p, &io));
    return io;
}

static void expect_read(nnd_io *io, const char *path, nnd_status expected)
{
    void *bytes = NULL;
    size_t size = 0;
    nnd_status status = nnd_io_read_file(io, path, &bytes, &size);
    if (status != expected) fprintf(stderr, "reading '%s'\n", path);
    assert_status(status, expected);
    if (status == NND_OK) nnd_free(bytes);
    nnd_error_clear();
}

static void expect_write(nnd_io *io, const char *path, nnd_status expected)
{
    nnd_status status = nnd_io_write_file(io, path, "data", 4);
    if (status != expected) fprintf(stderr, "writing '%s'\n", path);
    assert_status(status, expected);
    nnd_error_clear();
}

static void test_reading(void **state)
{
    (void)state;
    nnd_io *io = make_io(0, 0);
    expect_read(io, "in/a.txt", NND_OK);
    expect_read(io, "./in//a.txt", NND_OK);
    expect_read(io, path_of("in/a.txt"), NND_OK);
    expect_read(io, "in/none.txt", NND_E_NOT_FOUND);
    expect_read(io, "in/deep", NND_E_PERMISSION); /* a folder */
    expect_read(io, "secret", NND_E_PERMISSION);
    expect_read(io, "in2/b.txt", NND_E_PERMISSION); /* begins like a root */
    expect_read(io, "in/../secret", NND_E_PERMISSION);
    expect_read(io, "in/deep/../a.txt", NND_E_PERMISSION); /* never "..", even if harmless */
    expect_read(io, "../x", NND_E_PERMISSION);
    expect_read(io, "/etc/passwd", NND_E_PERMISSION);
    expect_read(io, "/etc/there-is-no-such-file", NND_E_PERMISSION); /* not "not found" */
    expect_read(io, "secret-that-is-missing", NND_E_PERMISSION);
    expect_read(io, "", NND_E_INVALID_ARGUMENT);
    expect_read(NULL, "in/a.txt", NND_E_INVALID_ARGUMENT);
#if !defined(_WIN32)
    expect_read(io, "/proc/self/fd/0", NND_E_PERMISSION);
    expect_read(io, "/dev/zero", NND_E_PERMISSION);
    expect_read(io, "IN/a.txt", NND_E_PERMISSION); /* case counts */
#endif
    nnd_io_unref(io);
}

static void test_writing(void **state)
{
    (void)state;
    nnd_io *io = make_io(0, 0);
    expect_write(io, "out/x.bin", NND_OK);
    expect_write(io, "out/x.bin", NND_OK); /* replaces */
    expect_read(io, "out/x.bin", NND_OK);
    expect_write(io, "in/x.bin", NND_E_PERMISSION);
    expect_write(io, "out/none/x.bin", NND_E_NOT_FOUND);
    expect_write(io, "out/../x.bin", NND_E_PERMISSION);
    expect_write(io, path_of("x.bin"), NND_E_PERMISSION);
    expect_write(io, "out", NND_E_PERMISSION);
    expect_write(io, "out/", NND_E_PERMISSION);
    assert_ok(nnd_io_make_dir(io, "out/sub/more"));
    assert_ok(nnd_io_make_dir(io, "out/sub/more"));
    expect_write(io, "out/sub/more/x.bin", NND_OK);
    assert_status(nnd_io_make_dir(io, "in/sub"), NND_E_PERMISSION);
    assert_status(nnd_io_make_dir(io, "out/x.bin"), NND_E_EXISTS);
    assert_status(nnd_io_make_dir(io, "out/../y"), NND_E_PERMISSION);
    nnd_io_unref(io);
}

static void test_links(void **state)
{
    (void)state;
#if defined(_WIN32)
    skip();
#else
    nnd_io *io = make_io(0, 0);
    assert_int_equal(symlink(path_of("secret"), path_of("in/link")), 0);
    assert_int_equal(symlink(base, path_of("in/up")), 0);
    assert_int_equal(symlink("a.txt", path_of("in/good")), 0);
    assert_int_equal(symlink(path_of("nowhere"), path_of("out/dangling")), 0);
    assert_int_equal(symlink(path_of("secret"), path_of("out/link")), 0);
    assert_int_equal(symlink(path_of("in"), path_of("out/folder")), 0);
    expect_read(io, "in/link", NND_E_PERMISSION);
    expect_read(io, "in/up/secret", NND_E_PERMISSION);
    expect_read(io, "in/up/none", NND_E_PERMISSION);
    expect_read(io, "in/up/in/a.txt", NND_OK); /* leads back inside */
    expect_read(io, "in/good", NND_OK);
    expect_write(io, "out/link", NND_E_PERMISSION);
    expect_write(io, "out/dangling", NND_E_PERMISSION);
    expect_write(io, "out/folder/x", NND_E_PERMISSION);
    assert_status(nnd_io_make_dir(io, "out/folder/x"), NND_E_PERMISSION);
    assert_false(nnd_port_file_exists(path_of("nowhere")));
    assert_false(nnd_port_file_exists(path_of("in/x")));
    char **names = NULL;
    size_t count = 0;
    assert_status(nnd_io_list(io, "in/up", &names, &count), NND_E_PERMISSION);
    nnd_io_unref(io);
#endif
}

static void test_listing(void **state)
{
    (void)state;
    nnd_io *io = make_io(0, 0);
    char **names = NULL;
    size_t count = 0;
    assert_ok(nnd_io_list(io, "in", &names, &count));
    assert_true(count >= 2);
    assert_string_equal(names[0], "a.txt");
    for (size_t i = 0; i < count; i++)
        nnd_free(names[i]);
    nnd_free(names);
    nnd_io_unref(io);
}

static void test_limits(void **state)
{
    (void)state;
    nnd_io *io = make_io(10, 4);
    expect_read(io, "in/a.txt", NND_E_LIMIT); /* five bytes */
    expect_write(io, "out/1", NND_OK);
    expect_write(io, "out/2", NND_OK);
    expect_write(io, "out/3", NND_E_LIMIT);
    assert_false(nnd_port_file_exists(path_of("out/3")));
    expect_write(io, "out/none/3", NND_E_NOT_FOUND); /* takes no quota */
    assert_ok(nnd_io_write_file(io, "out/3", "xy", 2));
    nnd_io_unref(io);
}

static void test_hosts_and_devices(void **state)
{
    (void)state;
    nnd_io *io = make_io(0, 0);
    assert_ok(nnd_io_check_host(io, "example.org"));
    assert_ok(nnd_io_check_host(io, "Example.ORG"));
    assert_status(nnd_io_check_host(io, "example.org.evil.com"), NND_E_PERMISSION);
    assert_status(nnd_io_check_host(io, "localhost"), NND_E_PERMISSION);
    assert_ok(nnd_io_check_device(io, "cpu"));
    assert_ok(nnd_io_check_device(io, "sim:0"));
    assert_status(nnd_io_check_device(io, "sim:1"), NND_E_PERMISSION);
    nnd_io_unref(io);
}

static void test_safe_names(void **state)
{
    (void)state;
    char name[300], small[4], text[400];
    assert_string_equal(nnd_io_safe_name("a/b\\c:d e.npy", name, sizeof(name)), "a_b_c_d_e.npy");
    assert_string_equal(nnd_io_safe_name("..", name, sizeof(name)), "__");
    assert_string_equal(nnd_io_safe_name(".", name, sizeof(name)), "_");
    assert_string_equal(nnd_io_safe_name("", name, sizeof(name)), "_");
    assert_string_equal(nnd_io_safe_name("../../etc/passwd", name, sizeof(name)),
                        ".._.._etc_passwd");
    assert_string_equal(nnd_io_safe_name("abcdef", small, sizeof(small)), "abc");
    memset(text, 'x', sizeof(text));
    text[399] = '\0';
    assert_int_equal(strlen(nnd_io_safe_name(text, name, sizeof(name))), 200);
}

static void test_bad_policy(void **state)
{
    (void)state;
    nnd_io *io = NULL;
    const char *roots[] = {"/there/is/no/such/folder"};
    nnd_io_policy p = NND_IO_POLICY_INIT;
    p.read_roots = roots;
    p.read_root_count = 1;
    assert_status(nnd_io_create(&p, &io), NND_E_NOT_FOUND);
    assert_status(nnd_io_create(NULL, &io), NND_E_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reading),    cmocka_unit_test(test_writing),
        cmocka_unit_test(test_links),      cmocka_unit_test(test_listing),
        cmocka_unit_test(test_limits),     cmocka_unit_test(test_hosts_and_devices),
        cmocka_unit_test(test_safe_names), cmocka_unit_test(test_bad_policy),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
