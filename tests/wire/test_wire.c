/* Connections: every kind of value over every kind of socket, copies counted, faults. */
#include "data/samples.h"

#if !defined(_WIN32)
#include <sys/wait.h>
#include <unistd.h>
#endif

#include "nndeploy/wire.h"
#include "port/port.h"
#include "support/oom.h"

/* ---- two ends in one process ---- */

typedef struct opener {
    int fd;
    const nnd_wire_options *options;
    nnd_wire *wire;
    nnd_status status;
} opener;

static void open_entry(void *arg)
{
    opener *o = arg;
    o->status = nnd_wire_open_fd(o->fd, o->options, &o->wire);
}

static void connect_fds(int fds[2], const nnd_wire_options *a, const nnd_wire_options *b,
                        nnd_wire *ends[2])
{
    opener other = {.fd = fds[1], .options = b};
    nnd_port_thread *thread;
    assert_int_equal(nnd_port_thread_create("open", open_entry, &other, &thread), 0);
    assert_ok(nnd_wire_open_fd(fds[0], a, &ends[0]));
    nnd_port_thread_join(thread);
    assert_int_equal(other.status, NND_OK);
    ends[1] = other.wire;
}

static void connect_pair(const nnd_wire_options *a, const nnd_wire_options *b, nnd_wire *ends[2])
{
    int fds[2];
    assert_ok(nnd_wire_pair(fds));
    connect_fds(fds, a, b, ends);
}

typedef struct acceptor {
    nnd_wire_listener *listener;
    nnd_cancel *cancel;
    nnd_wire *wire;
    nnd_status status;
} acceptor;

static void accept_entry(void *arg)
{
    acceptor *a = arg;
    a->status = nnd_wire_accept(a->listener, NULL, a->cancel, &a->wire);
}

static void connect_tcp(nnd_wire *ends[2])
{
    acceptor a = {0};
    nnd_port_thread *thread;
    assert_ok(nnd_wire_listen_tcp(NULL, 0, &a.listener));
    assert_true(nnd_wire_listener_port(a.listener) > 0);
    assert_int_equal(nnd_port_thread_create("accept", accept_entry, &a, &thread), 0);
    assert_ok(nnd_wire_connect_tcp(NULL, nnd_wire_listener_port(a.listener), NULL, &ends[0]));
    nnd_port_thread_join(thread);
    assert_int_equal(a.status, NND_OK);
    ends[1] = a.wire;
    nnd_wire_listener_destroy(a.listener);
}

typedef struct waiter {
    nnd_wire *wire;
    nnd_cancel *cancel;
    nnd_status status;
} waiter;

static void wait_entry(void *arg)
{
    waiter *w = arg;
    nnd_wire_message m;
    w->status = nnd_wire_receive(w->wire, w->cancel, &m);
}

static void disconnect(nnd_wire *ends[2])
{
    nnd_wire_destroy(ends[0]);
    nnd_wire_destroy(ends[1]);
}

/* ---- hello ---- */

static void test_hello_agrees_on_capabilities(void **state)
{
    (void)state;
    nnd_wire_options a = NND_WIRE_OPTIONS_INIT, b = NND_WIRE_OPTIONS_INIT;
    nnd_wire *ends[2];
    a.name = "server";
    b.name = "worker";
    b.capabilities = "value control teleport";
    connect_pair(&a, &b, ends);
    assert_string_equal(nnd_wire_peer_name(ends[0]), "worker");
    assert_string_equal(nnd_wire_peer_name(ends[1]), "server");
    for (int i = 0; i < 2; i++) {
        assert_true(nnd_wire_has(ends[i], "value"));
        assert_true(nnd_wire_has(ends[i], "value control"));
        assert_false(nnd_wire_has(ends[i], "shm"));
        assert_false(nnd_wire_has(ends[i], "value event"));
        assert_false(nnd_wire_has(ends[i], "teleport"));
    }
    assert_status(nnd_wire_send_json(ends[0], NND_WIRE_EVENT, 0, 0, NND_OK, "{}"),
                  NND_E_UNSUPPORTED);
    assert_ok(nnd_wire_send_json(ends[0], NND_WIRE_CONTROL, 0, 0, NND_OK, "{}"));
    disconnect(ends);
}

static void test_hello_timeout(void **state)
{
    (void)state;
    int fds[2];
    nnd_wire *wire;
    nnd_wire_options options = NND_WIRE_OPTIONS_INIT;
    options.hello_timeout_ns = 50 * 1000 * 1000;
    assert_ok(nnd_wire_pair(fds));
    assert_status(nnd_wire_open_fd(fds[0], &options, &wire), NND_E_TIMEOUT);
    nnd_port_fd_close(fds[1]);
}

/* What a stranger sends instead of HELLO. */
static nnd_status open_against(const void *bytes, size_t size)
{
    int fds[2];
    nnd_wire *wire;
    size_t sent;
    nnd_wire_options options = NND_WIRE_OPTIONS_INIT;
    options.hello_timeout_ns = 200 * 1000 * 1000;
    assert_ok(nnd_wire_pair(fds));
    assert_int_equal(nnd_port_socket_send(fds[1], bytes, size, NULL, 0, &sent), 0);
    nnd_status status = nnd_wire_open_fd(fds[0], &options, &wire);
    nnd_port_fd_close(fds[1]);
    return status;
}

static void test_hello_from_strangers(void **state)
{
    (void)state;
    static const char http[] = "GET / HTTP/1.1\r\nHost: somewhere\r\n\r\n";
    assert_status(open_against(http, sizeof(http)), NND_E_FORMAT);
    unsigned char head[32] = "NND1\1\0\1\0";
    assert_status(open_against(head, 32), NND_E_FORMAT); /* an empty HELLO */
    head[4] = 9;
    assert_status(open_against(head, 32), NND_E_UNSUPPORTED); /* version 9 */
    head[4] = 1;
    head[6] = 2;
    assert_status(open_against(head, 32), NND_E_FORMAT); /* a value first */
    head[6] = 77;
    assert_status(open_against(head, 32), NND_E_FORMAT);
    head[6] = 1;
    head[27] = 1;
    assert_status(open_against(head, 32), NND_E_LIMIT); /* 16 MiB of HELLO */
    assert_status(open_against(head, 10), NND_E_TIMEOUT);
    nnd_wire *wire;
    assert_status(nnd_wire_open_fd(-1, NULL, &wire), NND_E_INVALID_ARGUMENT);
    assert_status(nnd_wire_connect_tcp(NULL, 70000, NULL, &wire), NND_E_INVALID_ARGUMENT);
}

/* ---- messages ---- */

typedef struct sender {
    nnd_wire *wire;
    uint32_t channel;
    size_t count;
    nnd_status status;
} sender;

static void send_samples(void *arg)
{
    sender *s = arg;
    for (size_t i = 0; i < s->count; i++) {
        nnd_value *v;
        s->status = sample_make(i % SAMPLE_COUNT, &v);
        if (s->status != NND_OK) return;
        s->status = nnd_wire_send_value(s->wire, s->channel, i, v);
        nnd_value_unref(v);
        if (s->status != NND_OK) return;
    }
}

static void receive_samples(nnd_wire *ends[2])
{
    sender s = {ends[0], 3, SAMPLE_COUNT, NND_OK};
    nnd_port_thread *thread;
    assert_int_equal(nnd_port_thread_create("send", send_samples, &s, &thread), 0);
    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        nnd_wire_message m;
        nnd_value *expected;
        assert_ok(nnd_wire_receive(ends[1], NULL, &m));
        assert_int_equal(m.kind, NND_WIRE_VALUE);
        assert_int_equal(m.channel, 3);
        assert_int_equal(m.id, i);
        assert_ok(sample_make(i, &expected));
        assert_same_value(expected, m.value);
        nnd_value_unref(expected);
        nnd_wire_message_fini(&m);
    }
    nnd_port_thread_join(thread);
    assert_int_equal(s.status, NND_OK);
}

static void test_every_value_over_a_pair(void **state)
{
    (void)state;
    nnd_wire *ends[2];
    connect_pair(NULL, NULL, ends);
    receive_samples(ends);
    disconnect(ends);
}

static void test_every_value_over_tcp(void **state)
{
    (void)state;
    nnd_wire *ends[2];
    connect_tcp(ends);
    assert_false(nnd_wire_has(ends[0], "shm"));
    receive_samples(ends);
    disconnect(ends);
}

static void test_texts_and_cancel(void **state)
{
    (void)state;
    nnd_wire *ends[2];
    nnd_wire_message m;
    connect_pair(NULL, NULL, ends);
    assert_ok(nnd_wire_send_json(ends[0], NND_WIRE_REPLY, 1, 2, NND_E_LIMIT, "{\"a\":1}"));
    assert_ok(nnd_wire_send_json(ends[0], NND_WIRE_EVENT, 4, 5, NND_OK, NULL));
    assert_ok(nnd_wire_send_cancel(ends[0], 6));
    assert_status(nnd_wire_send_json(ends[0], NND_WIRE_VALUE, 0, 0, NND_OK, "{}"),
                  NND_E_INVALID_ARGUMENT);
    assert_status(nnd_wire_send_json(ends[0], NND_WIRE_EVENT, 0, 0, NND_OK, "\xff"), NND_E_FORMAT);
    assert_ok(nnd_wire_receive(ends[1], NULL, &m));
    assert_int_equal(m.kind, NND_WIRE_REPLY);
    assert_int_equal(m.status, NND_E_LIMIT);
    assert_string_equal(m.json, "{\"a\":1}");
    assert_int_equal(m.json_size, 7);
    nnd_wire_message_fini(&m);
    assert_ok(nnd_wire_receive(ends[1], NULL, &m));
    assert_string_equal(m.json, "null");
    nnd_wire_message_fini(&m);
    assert_ok(nnd_wire_receive(ends[1], NULL, &m));
    assert_int_equal(m.kind, NND_WIRE_CANCEL);
    assert_int_equal(m.id, 6);
    nnd_wire_message_fini(&m);
    disconnect(ends);
}

/* Frames of several senders do not mix; many more bytes than a socket holds. */
static void test_two_senders(void **state)
{
    (void)state;
    nnd_wire *ends[2];
    connect_pair(NULL, NULL, ends);
    enum { COUNT = 600 };
    sender senders[2] = {{ends[0], 0, COUNT, NND_OK}, {ends[0], 1, COUNT, NND_OK}};
    nnd_port_thread *threads[2];
    uint64_t next[2] = {0, 0};
    for (int i = 0; i < 2; i++)
        assert_int_equal(nnd_port_thread_create("send", send_samples, &senders[i], &threads[i]), 0);
    for (int i = 0; i < 2 * COUNT; i++) {
        nnd_wire_message m;
        assert_ok(nnd_wire_receive(ends[1], NULL, &m));
        assert_true(m.channel < 2);
        assert_int_equal(m.id, next[m.channel]++);
        nnd_wire_message_fini(&m);
    }
    for (int i = 0; i < 2; i++) {
        nnd_port_thread_join(threads[i]);
        assert_int_equal(senders[i].status, NND_OK);
    }
    disconnect(ends);
}

/* ---- shared memory ---- */

#if !defined(_WIN32)
static uint64_t copies(void)
{
    nnd_copy_stats stats;
    nnd_copy_get_stats(&stats);
    return stats.copies;
}

static void make_shared_image(int width, int height, nnd_value **out)
{
    nnd_image image;
    nnd_buffer_desc desc = NND_BUFFER_DESC_INIT;
    nnd_buffer *buffer;
    assert_ok(nnd_image_init(&image, NND_PIX_RGB, NND_U8, width, height, 64, NULL, &desc.bytes));
    desc.kind = NND_MEM_SHARED;
    assert_ok(nnd_buffer_create(&desc, &buffer));
    assert_ok(nnd_image_init(&image, NND_PIX_RGB, NND_U8, width, height, 64,
                             nnd_buffer_data(buffer), NULL));
    image.buffer = buffer;
    sample_fill(nnd_buffer_data(buffer), desc.bytes);
    assert_ok(nnd_value_from_image(&image, out));
    nnd_buffer_unref(buffer);
}

/* The child sends back what it gets and tells at the end how often it copied. */
static void echo_and_exit(int fd)
{
    nnd_wire *wire;
    nnd_wire_message m;
    int code = 1;
    if (nnd_wire_open_fd(fd, NULL, &wire) == NND_OK) {
        uint64_t before = copies();
        nnd_status status;
        while ((status = nnd_wire_receive(wire, NULL, &m)) == NND_OK) {
            status = nnd_wire_send_value(wire, m.channel, m.id, m.value);
            nnd_wire_message_fini(&m);
            if (status != NND_OK) break;
        }
        code = status == NND_E_CLOSED && copies() == before ? 0 : 2;
        nnd_wire_destroy(wire);
    }
    _exit(code);
}

static void test_a_child_echoes_without_copies(void **state)
{
    (void)state;
    int fds[2];
    nnd_wire *wire;
    assert_ok(nnd_wire_pair(fds));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(fds[0]);
        echo_and_exit(fds[1]);
    }
    close(fds[1]);
    assert_ok(nnd_wire_open_fd(fds[0], NULL, &wire));
    nnd_value *image;
    make_shared_image(640, 480, &image);
    uint64_t before = copies();
    for (uint64_t i = 0; i < 20; i++) {
        nnd_wire_message m;
        assert_ok(nnd_wire_send_value(wire, 0, i, image));
        assert_ok(nnd_wire_receive(wire, NULL, &m));
        assert_int_equal(m.id, i);
        const nnd_image *a = nnd_value_image(image), *b = nnd_value_image(m.value);
        assert_int_equal(nnd_buffer_kind(b->buffer), NND_MEM_SHARED);
        assert_true(nnd_buffer_is_read_only(b->buffer));
        assert_ptr_not_equal(a->data[0], b->data[0]);
        assert_memory_equal(a->data[0], b->data[0], (size_t)(a->stride[0] * 480));
        nnd_wire_message_fini(&m);
    }
    assert_true(copies() == before);
    nnd_wire_close(wire);
    int result;
    assert_true(waitpid(child, &result, 0) == child);
    assert_true(WIFEXITED(result));
    assert_int_equal(WEXITSTATUS(result), 0);
    nnd_wire_destroy(wire);
    assert_int_equal(nnd_buffer_holders(nnd_value_buffer(image)), 1);
    nnd_value_unref(image);
}

static void test_death_of_the_peer(void **state)
{
    (void)state;
    int fds[2];
    nnd_wire *wire;
    nnd_wire_message m;
    assert_ok(nnd_wire_pair(fds));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(fds[0]);
        if (nnd_wire_open_fd(fds[1], NULL, &wire) != NND_OK) _exit(1);
        (void)nnd_wire_receive(wire, NULL, &m); /* holds a mapping of ours when it dies */
        _exit(0);
    }
    close(fds[1]);
    assert_ok(nnd_wire_open_fd(fds[0], NULL, &wire));
    nnd_value *image;
    make_shared_image(64, 64, &image);
    assert_ok(nnd_wire_send_value(wire, 0, 0, image));
    assert_int_equal(nnd_buffer_holders(nnd_value_buffer(image)), 2);
    assert_status(nnd_wire_receive(wire, NULL, &m), NND_E_CLOSED);
    assert_int_equal(nnd_buffer_holders(nnd_value_buffer(image)), 1);
    assert_status(nnd_wire_send_value(wire, 0, 0, image), NND_E_CLOSED);
    assert_true(waitpid(child, NULL, 0) == child);
    nnd_wire_destroy(wire);
    nnd_value_unref(image);
}

/* The sender keeps its buffer until the receiver's mapping is gone. */
static void test_leases(void **state)
{
    (void)state;
    nnd_wire *ends[2];
    nnd_wire_message m, none;
    nnd_value *image, *twice;
    nnd_cancel *soon;
    connect_pair(NULL, NULL, ends);
    assert_true(nnd_wire_has(ends[0], "shm"));
    make_shared_image(32, 32, &image);
    nnd_buffer *buffer = nnd_value_buffer(image);
    nnd_value *items[] = {image, image};
    assert_ok(nnd_value_new_list(items, 2, &twice));
    assert_ok(nnd_wire_send_value(ends[0], 0, 1, twice));
    assert_int_equal(nnd_buffer_holders(buffer), 2); /* sent once, though in it twice */
    assert_ok(nnd_wire_receive(ends[1], NULL, &m));
    assert_ptr_equal(nnd_value_buffer(nnd_value_list_at(m.value, 0)),
                     nnd_value_buffer(nnd_value_list_at(m.value, 1)));
    /* Received values are read-only, so a writer gets a copy. */
    nnd_value *one = nnd_value_ref(nnd_value_list_at(m.value, 0)), *own;
    assert_ok(nnd_value_writable(one, &own));
    assert_false(nnd_buffer_is_read_only(nnd_value_buffer(own)));
    nnd_value_unref(own);
    assert_ok(nnd_cancel_create(NULL, &soon));
    nnd_cancel_set_deadline(soon, nnd_clock_now() + 20 * 1000 * 1000);
    assert_status(nnd_wire_receive(ends[0], soon, &none), NND_E_TIMEOUT);
    assert_int_equal(nnd_buffer_holders(buffer), 2);
    nnd_wire_message_fini(&m);
    nnd_cancel_set_deadline(soon, nnd_clock_now() + 20 * 1000 * 1000);
    assert_status(nnd_wire_receive(ends[0], soon, &none), NND_E_TIMEOUT);
    assert_int_equal(nnd_buffer_holders(buffer), 1);
    nnd_cancel_unref(soon);
    nnd_value_unref(twice);
    nnd_value_unref(image);
    disconnect(ends);
}

/* The receiver lets go of so many buffers that its reports fill the socket of a sender that does
   not read: nobody blocks, and in the end every report arrives. */
static void test_many_releases(void **state)
{
    (void)state;
    nnd_wire *ends[2];
    nnd_wire_message m;
    nnd_value *image;
    nnd_port_thread *thread;
    connect_pair(NULL, NULL, ends);
    make_shared_image(16, 16, &image);
    for (uint64_t i = 0; i < 3000; i++) {
        assert_ok(nnd_wire_send_value(ends[0], 0, i, image));
        assert_ok(nnd_wire_receive(ends[1], NULL, &m));
        nnd_wire_message_fini(&m);
    }
    assert_int_equal(nnd_buffer_holders(nnd_value_buffer(image)), 3001);
    waiter w = {ends[1], NULL, NND_OK};
    assert_int_equal(nnd_port_thread_create("wait", wait_entry, &w, &thread), 0);
    nnd_cancel *soon;
    assert_ok(nnd_cancel_create(NULL, &soon));
    for (int i = 0; i < 100 && nnd_buffer_holders(nnd_value_buffer(image)) > 1; i++) {
        nnd_cancel_set_deadline(soon, nnd_clock_now() + 20 * 1000 * 1000);
        assert_status(nnd_wire_receive(ends[0], soon, &m), NND_E_TIMEOUT);
    }
    assert_int_equal(nnd_buffer_holders(nnd_value_buffer(image)), 1);
    nnd_cancel_unref(soon);
    nnd_wire_close(ends[0]);
    nnd_port_thread_join(thread);
    assert_int_equal(w.status, NND_E_CLOSED);
    nnd_value_unref(image);
    disconnect(ends);
}

/* A value may outlive the connection that brought it. */
static void test_value_outlives_connection(void **state)
{
    (void)state;
    nnd_wire *ends[2];
    nnd_wire_message m;
    nnd_value *image;
    connect_pair(NULL, NULL, ends);
    make_shared_image(32, 32, &image);
    assert_ok(nnd_wire_send_value(ends[0], 0, 1, image));
    assert_ok(nnd_wire_receive(ends[1], NULL, &m));
    disconnect(ends);
    assert_same_value(image, m.value);
    nnd_wire_message_fini(&m);
    nnd_value_unref(image);
}

static void test_host_memory_is_moved_once(void **state)
{
    (void)state;
    nnd_wire *ends[2];
    nnd_wire_message m;
    nnd_value *image;
    connect_pair(NULL, NULL, ends);
    assert_ok(nnd_value_new_image(NND_PIX_RGB, NND_U8, 640, 480, &image));
    sample_fill(nnd_value_image(image)->data[0], 640 * 480 * 3);
    uint64_t before = copies();
    assert_ok(nnd_wire_send_value(ends[0], 0, 1, image));
    assert_ok(nnd_wire_receive(ends[1], NULL, &m));
    assert_int_equal(copies() - before, 1);
    assert_int_equal(nnd_buffer_kind(nnd_value_buffer(m.value)), NND_MEM_SHARED);
    assert_same_value(image, m.value);
    nnd_wire_message_fini(&m);
    nnd_value_unref(image);
    disconnect(ends);
}
#endif

/* ---- faults ---- */

/* A connection whose other end is the test's bare hands, after HELLO. */
static nnd_wire *open_with_bare_peer(const nnd_wire_options *options, nnd_port_fd *peer)
{
    static const unsigned char hello[] = {'N', 'N', 'D', '1', 1, 0, 1,  0,  0, 0, 0,  0, 0, 0,
                                          0,   0,   0,   0,   0, 0, 0,  0,  0, 0, 47, 0, 0, 0,
                                          0,   0,   0,   0,   0, 0, 0,  64, 0, 0, 0,  0, 0, 0,
                                          0,   0,   0,   0,   0, 0, 23, 0,  0, 0, 0,  0, 0, 0};
    int fds[2];
    nnd_wire *wire;
    size_t sent;
    assert_ok(nnd_wire_pair(fds));
    *peer = fds[1];
    assert_int_equal(nnd_port_socket_send(*peer, hello, sizeof(hello), NULL, 0, &sent), 0);
    assert_int_equal(nnd_port_socket_send(*peer, "shm value event control", 23, NULL, 0, &sent), 0);
    assert_ok(nnd_wire_open_fd(fds[0], options, &wire));
    return wire;
}

static nnd_status receive_raw(const nnd_wire_options *options, const void *bytes, size_t size,
                              bool end)
{
    nnd_port_fd peer;
    nnd_wire_message m;
    size_t sent;
    nnd_cancel *soon;
    nnd_wire *wire = open_with_bare_peer(options, &peer);
    assert_ok(nnd_cancel_create(NULL, &soon));
    nnd_cancel_set_deadline(soon, nnd_clock_now() + 50 * 1000 * 1000);
    assert_int_equal(nnd_port_socket_send(peer, bytes, size, NULL, 0, &sent), 0);
    assert_int_equal(sent, size);
    if (end) nnd_port_fd_close(peer);
    nnd_status status = nnd_wire_receive(wire, soon, &m);
    if (status == NND_OK) nnd_wire_message_fini(&m);
    if (status != NND_OK && status != NND_E_TIMEOUT) {
        assert_status(nnd_wire_send_cancel(wire, 1), NND_E_CLOSED); /* dead from then on */
    }
    if (!end) nnd_port_fd_close(peer);
    nnd_cancel_unref(soon);
    nnd_wire_destroy(wire);
    return status;
}

static void test_malformed_frames(void **state)
{
    (void)state;
    nnd_wire_options small = NND_WIRE_OPTIONS_INIT;
    small.max_body = 1000;
    unsigned char frame[200] = "NND1\1\0\3\0";
    frame[24] = 6;
    memcpy(frame + 32, "\0\0\0\0{}", 6);
    assert_status(receive_raw(NULL, frame, 38, false), NND_OK);
    assert_status(receive_raw(NULL, frame, 37, true), NND_E_CLOSED); /* cut off */
    assert_status(receive_raw(NULL, frame, 20, true), NND_E_CLOSED);
    assert_status(receive_raw(NULL, frame, 37, false), NND_E_TIMEOUT); /* more may come */
    frame[37] = '\0';
    assert_status(receive_raw(NULL, frame, 38, false), NND_E_FORMAT); /* zero byte in a text */
    frame[37] = '}';
    frame[25] = 4; /* 1030 bytes */
    assert_status(receive_raw(&small, frame, 32, false), NND_E_LIMIT);
    frame[25] = 0;
    frame[0] = 'X';
    assert_status(receive_raw(NULL, frame, 38, false), NND_E_FORMAT);
    frame[0] = 'N';
    frame[8] = 1; /* flags */
    assert_status(receive_raw(NULL, frame, 38, false), NND_E_FORMAT);
    frame[8] = 0;
    frame[4] = 2; /* another version in mid-stream */
    assert_status(receive_raw(NULL, frame, 38, false), NND_E_FORMAT);
    frame[4] = 1;
    frame[6] = NND_WIRE_HELLO;
    assert_status(receive_raw(NULL, frame, 38, false), NND_E_FORMAT);
    frame[6] = NND_WIRE_VALUE;
    assert_status(receive_raw(NULL, frame, 38, false), NND_E_FORMAT);
    frame[24] = 72;
    frame[32] = 1; /* an attachment that did not come */
    assert_status(receive_raw(NULL, frame, 104, false), NND_E_FORMAT);
    frame[32] = 0;
    assert_status(receive_raw(NULL, frame, 104, false), NND_E_FORMAT);
    frame[6] = NND_WIRE_RELEASE;
    frame[24] = 7;
    assert_status(receive_raw(NULL, frame, 39, false), NND_E_FORMAT);
    frame[6] = NND_WIRE_BYE;
    frame[24] = 0;
    assert_status(receive_raw(NULL, frame, 32, false), NND_E_CLOSED);
}

#if !defined(_WIN32)
static void test_unwanted_descriptors(void **state)
{
    (void)state;
    nnd_port_fd peer, extra;
    nnd_wire_message m;
    size_t sent;
    nnd_wire *wire = open_with_bare_peer(NULL, &peer);
    unsigned char frame[38] = "NND1\1\0\3\0";
    frame[24] = 6;
    memcpy(frame + 32, "\0\0\0\0{}", 6);
    assert_int_equal(nnd_port_shm_create(4096, &extra), 0);
    assert_int_equal(nnd_port_socket_send(peer, frame, sizeof(frame), &extra, 1, &sent), 0);
    assert_status(nnd_wire_receive(wire, NULL, &m), NND_E_FORMAT);
    nnd_port_fd_close(extra);
    nnd_port_fd_close(peer);
    nnd_wire_destroy(wire);
}
#endif

/* A frame in pieces of one byte, with a timeout between them. */
static void test_frame_in_pieces(void **state)
{
    (void)state;
    nnd_port_fd peer;
    nnd_wire_message m;
    nnd_cancel *now;
    size_t sent;
    nnd_wire *wire = open_with_bare_peer(NULL, &peer);
    unsigned char frame[38] = "NND1\1\0\4\0";
    frame[24] = 6;
    memcpy(frame + 32, "\0\0\0\0[]", 6);
    assert_ok(nnd_cancel_create(NULL, &now));
    for (size_t i = 0; i < sizeof(frame); i++) {
        nnd_cancel_set_deadline(now, nnd_clock_now() + 1000 * 1000);
        assert_status(nnd_wire_receive(wire, now, &m), NND_E_TIMEOUT);
        assert_int_equal(nnd_port_socket_send(peer, frame + i, 1, NULL, 0, &sent), 0);
    }
    assert_ok(nnd_wire_receive(wire, NULL, &m));
    assert_string_equal(m.json, "[]");
    nnd_wire_message_fini(&m);
    nnd_cancel_unref(now);
    nnd_port_fd_close(peer);
    nnd_wire_destroy(wire);
}

/* A value of a plug-in's type that is not here: refused, and the next message arrives. */
static void test_unknown_type_is_survived(void **state)
{
    (void)state;
    nnd_port_fd peer;
    nnd_wire_message m;
    nnd_value *v;
    void *packed;
    size_t size, sent;
    nnd_wire *wire = open_with_bare_peer(NULL, &peer);
    unsigned char frame[256] = "NND1\1\0\2\0";
    assert_ok(nnd_value_new_int(1, &v));
    assert_ok(nnd_value_pack(v, &packed, &size));
    size -= 8; /* without the block's own head */
    memcpy(frame + 96, (char *)packed + 8, size);
    memcpy(frame + 96 + 8, "new", 3); /* instead of "int" */
    frame[12] = 7;
    frame[24] = (unsigned char)(64 + size);
    assert_int_equal(nnd_port_socket_send(peer, frame, 96 + size, NULL, 0, &sent), 0);
    memcpy(frame + 96 + 8, "int", 3);
    assert_int_equal(nnd_port_socket_send(peer, frame, 96 + size, NULL, 0, &sent), 0);
    assert_status(nnd_wire_receive(wire, NULL, &m), NND_E_UNSUPPORTED);
    assert_int_equal(m.channel, 7);
    assert_null(m.value);
    assert_ok(nnd_wire_receive(wire, NULL, &m));
    assert_same_value(v, m.value);
    nnd_wire_message_fini(&m);
    nnd_free(packed);
    nnd_value_unref(v);
    nnd_port_fd_close(peer);
    nnd_wire_destroy(wire);
}

/* Sending and receiving with one allocation failing, for each of them in turn. */
static void test_failing_allocations(void **state)
{
    (void)state;
    oom_begin();
    for (size_t i = 0; i < SAMPLE_COUNT; i += 4) {
        bool was_hit = true;
        for (long n = 0; was_hit; n++) {
            nnd_wire *ends[2];
            nnd_value *v;
            nnd_wire_message m;
            connect_pair(NULL, NULL, ends);
            assert_ok(sample_make(i, &v));
            oom_fail_after(n);
            nnd_status status = nnd_wire_send_value(ends[0], 0, 1, v);
            if (status == NND_OK) status = nnd_wire_receive(ends[1], NULL, &m);
            was_hit = oom_hit();
            oom_never();
            if (status == NND_OK) nnd_wire_message_fini(&m);
            assert_int_equal(status, was_hit ? NND_E_OUT_OF_MEMORY : NND_OK);
            nnd_value_unref(v);
            disconnect(ends);
            nnd_error_clear();
            assert_int_equal(oom_live_blocks(), 0);
        }
    }
    oom_end();
}

/* ---- waking ---- */

static void test_close_and_cancel_wake_a_receiver(void **state)
{
    (void)state;
    nnd_wire *ends[2];
    nnd_port_thread *thread;
    connect_pair(NULL, NULL, ends);
    waiter w = {ends[0], NULL, NND_OK};
    assert_ok(nnd_cancel_create(NULL, &w.cancel));
    assert_int_equal(nnd_port_thread_create("wait", wait_entry, &w, &thread), 0);
    nnd_port_sleep(20 * 1000 * 1000);
    nnd_cancel_request(w.cancel);
    nnd_port_thread_join(thread);
    assert_int_equal(w.status, NND_E_CANCELLED);
    nnd_cancel_unref(w.cancel);
    w.cancel = NULL;
    assert_int_equal(nnd_port_thread_create("wait", wait_entry, &w, &thread), 0);
    nnd_port_sleep(20 * 1000 * 1000);
    nnd_wire_close(ends[0]);
    nnd_port_thread_join(thread);
    assert_int_equal(w.status, NND_E_CLOSED);
    nnd_wire_message m;
    assert_status(nnd_wire_receive(ends[1], NULL, &m), NND_E_CLOSED); /* BYE */
    nnd_wire_close(ends[0]);
    nnd_wire_close(NULL);
    disconnect(ends);
}

static void test_close_wakes_a_blocked_sender(void **state)
{
    (void)state;
    nnd_wire *ends[2];
    nnd_port_thread *thread;
    connect_pair(NULL, NULL, ends);
    sender s = {ends[0], 0, 1u << 20, NND_OK}; /* nobody reads: the socket fills up */
    assert_int_equal(nnd_port_thread_create("send", send_samples, &s, &thread), 0);
    nnd_port_sleep(100 * 1000 * 1000);
    nnd_wire_close(ends[0]);
    nnd_port_thread_join(thread);
    assert_int_equal(s.status, NND_E_CLOSED);
    disconnect(ends);
}

static void test_cancel_of_accept(void **state)
{
    (void)state;
    acceptor a = {0};
    nnd_port_thread *thread;
    assert_ok(nnd_wire_listen_tcp(NULL, 0, &a.listener));
    assert_ok(nnd_cancel_create(NULL, &a.cancel));
    assert_int_equal(nnd_port_thread_create("accept", accept_entry, &a, &thread), 0);
    nnd_port_sleep(20 * 1000 * 1000);
    nnd_cancel_request(a.cancel);
    nnd_port_thread_join(thread);
    assert_int_equal(a.status, NND_E_CANCELLED);
    nnd_cancel_unref(a.cancel);
    nnd_wire_listener_destroy(a.listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hello_agrees_on_capabilities),
        cmocka_unit_test(test_hello_timeout),
        cmocka_unit_test(test_hello_from_strangers),
        cmocka_unit_test(test_every_value_over_a_pair),
        cmocka_unit_test(test_every_value_over_tcp),
        cmocka_unit_test(test_texts_and_cancel),
        cmocka_unit_test(test_two_senders),
#if !defined(_WIN32)
        cmocka_unit_test(test_a_child_echoes_without_copies),
        cmocka_unit_test(test_death_of_the_peer),
        cmocka_unit_test(test_leases),
        cmocka_unit_test(test_many_releases),
        cmocka_unit_test(test_value_outlives_connection),
        cmocka_unit_test(test_host_memory_is_moved_once),
        cmocka_unit_test(test_unwanted_descriptors),
#endif
        cmocka_unit_test(test_malformed_frames),
        cmocka_unit_test(test_frame_in_pieces),
        cmocka_unit_test(test_unknown_type_is_survived),
        cmocka_unit_test(test_failing_allocations),
        cmocka_unit_test(test_close_and_cancel_wake_a_receiver),
        cmocka_unit_test(test_close_wakes_a_blocked_sender),
        cmocka_unit_test(test_cancel_of_accept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
