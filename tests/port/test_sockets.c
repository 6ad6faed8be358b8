/* Sockets, polling, wake, shared memory with descriptors, child processes. The program is its own
   child: with an argument it plays that part and ends. */
#include "support/test.h"

#include "port/port.h"

#define MS INT64_C(1000000)

static int64_t soon(void)
{
    return nnd_port_now() + 10000 * MS;
}

static void test_pair(void **state)
{
    (void)state;
    nnd_port_fd pair[2];
    char data[16];
    size_t n;
    assert_int_equal(nnd_port_socket_pair(pair), 0);
    assert_int_equal(nnd_port_socket_send(pair[0], "hello", 5, NULL, 0, &n), 0);
    assert_int_equal(n, 5);
    assert_int_equal(nnd_port_socket_recv(pair[1], data, sizeof(data), NULL, NULL, &n), 0);
    assert_int_equal(n, 5);
    assert_memory_equal(data, "hello", 5);
    assert_int_equal(nnd_port_socket_set_nonblocking(pair[1], true), 0);
    assert_int_equal(nnd_port_socket_recv(pair[1], data, sizeof(data), NULL, NULL, &n),
                     NND_PORT_E_AGAIN);
    /* A closed peer ends reading and fails writing, without a signal. */
    nnd_port_fd_close(pair[0]);
    nnd_port_socket_set_nonblocking(pair[1], false);
    assert_int_equal(nnd_port_socket_recv(pair[1], data, sizeof(data), NULL, NULL, &n),
                     NND_PORT_E_CLOSED);
    int rc = 0;
    for (int i = 0; i < 100 && rc == 0; i++) {
        rc = nnd_port_socket_send(pair[1], "x", 1, NULL, 0, &n);
        nnd_port_sleep(MS);
    }
    assert_int_equal(rc, NND_PORT_E_CLOSED);
    nnd_port_fd_close(pair[1]);
    nnd_port_fd_close(NND_PORT_NO_FD);
}

static void test_poll(void **state)
{
    (void)state;
    nnd_port_fd a[2], b[2];
    size_t n;
    assert_int_equal(nnd_port_socket_pair(a), 0);
    assert_int_equal(nnd_port_socket_pair(b), 0);
    nnd_port_poll items[3] = {{a[1], NND_PORT_POLL_IN, 0},
                              {NND_PORT_NO_FD, NND_PORT_POLL_IN, 0},
                              {b[1], NND_PORT_POLL_IN, 0}};
    int64_t start = nnd_port_now();
    assert_int_equal(nnd_port_poll_wait(items, 3, start + 20 * MS, &n), NND_PORT_E_TIMEOUT);
    assert_true(nnd_port_now() - start >= 20 * MS);
    assert_int_equal(nnd_port_poll_wait(items, 3, -1, &n), NND_PORT_E_TIMEOUT);
    nnd_port_socket_send(b[0], "x", 1, NULL, 0, &n);
    assert_int_equal(nnd_port_poll_wait(items, 3, soon(), &n), 0);
    assert_int_equal(n, 1);
    assert_int_equal(items[0].ready, 0);
    assert_true(items[2].ready & NND_PORT_POLL_IN);
    items[0].events = NND_PORT_POLL_OUT;
    assert_int_equal(nnd_port_poll_wait(items, 3, NND_PORT_FOREVER, &n), 0);
    assert_int_equal(n, 2);
    for (int i = 0; i < 2; i++) {
        nnd_port_fd_close(a[i]);
        nnd_port_fd_close(b[i]);
    }
}

static void wake_later(void *arg)
{
    nnd_port_sleep(5 * MS);
    nnd_port_wake_signal(arg);
    nnd_port_wake_signal(arg);
}

static void test_wake(void **state)
{
    (void)state;
    nnd_port_wake wake;
    nnd_port_thread *thread;
    assert_int_equal(nnd_port_wake_init(&wake), 0);
    nnd_port_poll item = {wake.fd, NND_PORT_POLL_IN, 0};
    assert_int_equal(nnd_port_thread_create("wake", wake_later, &wake, &thread), 0);
    assert_int_equal(nnd_port_poll_wait(&item, 1, soon(), NULL), 0);
    nnd_port_thread_join(thread);
    nnd_port_wake_drain(&wake);
    assert_int_equal(nnd_port_poll_wait(&item, 1, nnd_port_now() + 50 * MS, NULL),
                     NND_PORT_E_TIMEOUT);
    nnd_port_wake_fini(&wake);
}

static void test_tcp(void **state)
{
    (void)state;
    nnd_port_fd listener, client, server;
    uint16_t port;
    char data[8];
    size_t n;
    assert_int_equal(nnd_port_tcp_listen(NULL, 0, &listener), 0);
    assert_int_equal(nnd_port_tcp_port(listener, &port), 0);
    assert_int_equal(nnd_port_tcp_accept(listener, nnd_port_now() + 10 * MS, &server),
                     NND_PORT_E_TIMEOUT);
    assert_int_equal(nnd_port_tcp_connect("127.0.0.1", port, soon(), &client), 0);
    assert_int_equal(nnd_port_tcp_accept(listener, soon(), &server), 0);
    assert_int_equal(nnd_port_socket_send(client, "abc", 3, NULL, 0, &n), 0);
    assert_int_equal(nnd_port_socket_recv(server, data, sizeof(data), NULL, NULL, &n), 0);
    assert_int_equal(n, 3);
    assert_false(nnd_port_socket_passes_fds(client));
    nnd_port_socket_shutdown(client);
    assert_int_equal(nnd_port_socket_recv(server, data, sizeof(data), NULL, NULL, &n),
                     NND_PORT_E_CLOSED);
    nnd_port_fd_close(listener);
    assert_int_equal(nnd_port_tcp_connect(NULL, port, soon(), &listener), NND_PORT_E_REFUSED);
    nnd_port_fd_close(client);
    nnd_port_fd_close(server);
}

static void test_shared_memory(void **state)
{
    (void)state;
    nnd_port_fd pair[2], memory, got[2];
    size_t size, n, count = 2;
    bool fixed;
    char *mine, *theirs, byte;
    int rc = nnd_port_shm_create(10000, &memory);
    if (rc == NND_PORT_E_UNSUPPORTED) skip();
    assert_int_equal(rc, 0);
    assert_int_equal(nnd_port_shm_create(0, &memory), NND_PORT_E_INVALID);
    assert_int_equal(nnd_port_shm_map(memory, 10000, true, (void **)&mine), 0);
    assert_int_equal(mine[9999], 0);
    strcpy(mine + 9000, "shared");
    assert_int_equal(nnd_port_socket_pair(pair), 0);
    assert_true(nnd_port_socket_passes_fds(pair[0]));
    nnd_port_fd both[2] = {memory, memory};
    assert_int_equal(nnd_port_socket_send(pair[0], "", 0, both, 2, &n), NND_PORT_E_INVALID);
    assert_int_equal(nnd_port_socket_send(pair[0], "m", 1, both, 2, &n), 0);
    assert_int_equal(nnd_port_socket_recv(pair[1], &byte, 1, got, &count, &n), 0);
    assert_int_equal(count, 2);
    assert_int_equal(nnd_port_shm_size(got[0], &size, &fixed), 0);
    assert_int_equal(size, 10000);
#if defined(__linux__)
    assert_true(fixed);
#endif
    assert_int_equal(nnd_port_shm_map(got[0], size, false, (void **)&theirs), 0);
    assert_string_equal(theirs + 9000, "shared");
    mine[0] = 'x';
    assert_int_equal(theirs[0], 'x');
    /* Descriptors without room are closed, not leaked. */
    assert_int_equal(nnd_port_socket_send(pair[0], "m", 1, both, 2, &n), 0);
    assert_int_equal(nnd_port_socket_recv(pair[1], &byte, 1, NULL, NULL, &n), 0);
    nnd_port_shm_unmap(mine, 10000);
    nnd_port_shm_unmap(theirs, size);
    nnd_port_shm_unmap(NULL, 0);
    nnd_port_fd all[] = {pair[0], pair[1], memory, got[0], got[1]};
    for (size_t i = 0; i < NND_COUNT(all); i++)
        nnd_port_fd_close(all[i]);
}

/* ---- child processes ---- */

static char *program;

static int play_child(int argc, char **argv)
{
    if (strcmp(argv[1], "nothing") == 0) return 0;
    if (strcmp(argv[1], "exit") == 0) {
        char value[16];
        bool fine =
            argc == 4 && strcmp(argv[2], "a \"quoted\\\" word\\") == 0 && argv[3][0] == '\0';
        fine = fine && nnd_port_env_copy("NND_TEST_CHILD", value, sizeof(value));
        return fine && strcmp(value, "yes") == 0 ? 42 : 1;
    }
    if (strcmp(argv[1], "sleep") == 0) {
        nnd_port_sleep(60000 * MS);
        return 0;
    }
    /* echo: sends back what it reads from descriptor 4, in upper case, on 3 */
    char data[16];
    size_t n;
    if (nnd_port_socket_recv(4, data, sizeof(data), NULL, NULL, &n)) return 2;
    for (size_t i = 0; i < n; i++)
        data[i] = (char)(data[i] - 'a' + 'A');
    return nnd_port_socket_send(3, data, n, NULL, 0, &n) ? 3 : 0;
}

static nnd_port_process *start(const char *const *argv, const nnd_port_fd *fds, size_t fd_count)
{
    static const char *const env[] = {"NND_TEST_CHILD=yes", NULL};
    nnd_port_spawn spawn = {.argv = argv, .fds = fds, .fd_count = fd_count, .env = env};
    nnd_port_process *process;
    assert_int_equal(nnd_port_process_spawn(&spawn, &process), 0);
    return process;
}

/* Under an emulator of another processor the system cannot start this program by itself. */
static void skip_without_children(void)
{
    const char *argv[] = {program, "nothing", NULL};
    nnd_port_process *process = start(argv, NULL, 0);
    int code = -1;
    int rc = nnd_port_process_wait(process, nnd_port_now() + 60000 * MS, &code);
    nnd_port_process_destroy(process);
    assert_int_equal(rc, 0);
    if (code == 0) return;
    assert_int_equal(code, 127);
    print_message("skipped: the system cannot start this program by itself\n");
    skip();
}

static void test_exit_code(void **state)
{
    (void)state;
    skip_without_children();
    const char *argv[] = {program, "exit", "a \"quoted\\\" word\\", "", NULL};
    int code = -1;
    nnd_port_process *process = start(argv, NULL, 0);
    assert_int_equal(nnd_port_process_wait(process, nnd_port_now() + 60000 * MS, &code), 0);
    assert_int_equal(code, 42);
    assert_int_equal(nnd_port_process_kill(process, true), 0);
    nnd_port_process_destroy(process);
    const char *missing[] = {"/no/such/program", NULL};
    nnd_port_spawn spawn = {.argv = missing};
    assert_int_equal(nnd_port_process_spawn(&spawn, &process), NND_PORT_E_NOT_FOUND);
}

static void test_kill(void **state)
{
    (void)state;
    skip_without_children();
    const char *argv[] = {program, "sleep", NULL};
    int code = 0;
    nnd_port_process *process = start(argv, NULL, 0);
    assert_int_equal(nnd_port_process_wait(process, nnd_port_now() + 20 * MS, &code),
                     NND_PORT_E_TIMEOUT);
    assert_int_equal(nnd_port_process_kill(process, true), 0);
    assert_int_equal(nnd_port_process_wait(process, NND_PORT_FOREVER, &code), 0);
    assert_int_equal(code, 128 + 9);
    nnd_port_process_destroy(process);
    nnd_port_process_destroy(start(argv, NULL, 0)); /* kills what still runs */
    nnd_port_process_destroy(NULL);
}

static void test_inherited_descriptors(void **state)
{
    (void)state;
#if defined(_WIN32)
    skip(); /* descriptors cannot be handed down there */
#endif
    skip_without_children();
    const char *argv[] = {program, "echo", NULL};
    nnd_port_fd to_child[2], from_child[2];
    char data[8];
    size_t n;
    int code;
    assert_int_equal(nnd_port_socket_pair(to_child), 0);
    assert_int_equal(nnd_port_socket_pair(from_child), 0);
    nnd_port_fd fds[2] = {from_child[1], to_child[1]};
    nnd_port_process *process = start(argv, fds, 2);
    nnd_port_socket_send(to_child[0], "abc", 3, NULL, 0, &n);
    assert_int_equal(nnd_port_process_wait(process, nnd_port_now() + 60000 * MS, &code), 0);
    assert_int_equal(code, 0);
    assert_int_equal(nnd_port_socket_recv(from_child[0], data, sizeof(data), NULL, NULL, &n), 0);
    assert_memory_equal(data, "ABC", 3);
    nnd_port_process_destroy(process);
    for (int i = 0; i < 2; i++) {
        nnd_port_fd_close(to_child[i]);
        nnd_port_fd_close(from_child[i]);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1) return play_child(argc, argv);
    if (nnd_port_path_executable(&program)) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pair),          cmocka_unit_test(test_poll),
        cmocka_unit_test(test_wake),          cmocka_unit_test(test_tcp),
        cmocka_unit_test(test_exit_code),     cmocka_unit_test(test_kill),
        cmocka_unit_test(test_shared_memory), cmocka_unit_test(test_inherited_descriptors),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    nnd_port_free(program);
    return failed;
}
