/*
 * A web server for tests, on the loopback, in a thread of the test program. It answers as a script
 * says, one reply per request (the last one for all further requests), and writes down what was
 * asked and how many bytes of a body it sent. It stops by itself after two minutes.
 */
#ifndef NND_TEST_CATALOG_SERVER_H
#define NND_TEST_CATALOG_SERVER_H

#include <stdatomic.h>

#include "port/port.h"
#include "support/test.h"

#define SERVER_SECOND ((int64_t)1000000000)
enum { SERVER_MOST = 24, ANNOUNCE_RIGHT = 0, ANNOUNCE_NOTHING = -1 };

typedef struct server_reply {
    int status;           /* 0 = 200, or 206 where a range is asked for */
    const char *etag;     /* with quotes; NULL = none */
    const char *location; /* of a redirect */
    bool ignores_range;   /* always the whole */
    bool ignores_if_range;
    const unsigned char *content; /* NULL = the server's own */
    size_t content_size;
    int64_t announce; /* ANNOUNCE_…, or what Content-Length says */
    size_t cut;       /* end after so many bytes of the body; 0 = all of them */
    bool stalls;      /* instead of ending, keep the connection open without a byte */
} server_reply;

typedef struct server_request {
    char path[300];
    long long range; /* −1 = none */
    char if_range[100];
    size_t sent;
} server_request;

typedef struct server {
    nnd_port_fd listener;
    uint16_t port;
    nnd_port_thread *thread;
    atomic_bool stop;
    const unsigned char *content;
    size_t size;
    const server_reply *replies;
    size_t reply_count;
    server_request requests[SERVER_MOST];
    atomic_size_t request_count;
} server;

static inline bool server_send(server *s, nnd_port_fd fd, const void *data, size_t size)
{
    const char *p = data;
    while (size && !atomic_load(&s->stop)) {
        size_t sent = 0;
        if (nnd_port_socket_send(fd, p, size, NULL, 0, &sent) != 0) return false;
        p += sent;
        size -= sent;
    }
    return size == 0;
}

static inline bool server_read_head(nnd_port_fd fd, char *text, size_t room)
{
    size_t used = 0;
    int64_t deadline = nnd_port_now() + 5 * SERVER_SECOND;
    while (used + 1 < room) {
        nnd_port_poll poll = {fd, NND_PORT_POLL_IN, 0};
        size_t got = 0;
        if (nnd_port_poll_wait(&poll, 1, deadline, NULL) != 0) return false;
        if (nnd_port_socket_recv(fd, text + used, room - 1 - used, NULL, NULL, &got) != 0)
            return false;
        used += got;
        text[used] = '\0';
        if (strstr(text, "\r\n\r\n")) return true;
    }
    return false;
}

static inline void server_note(server_request *r, const char *head)
{
    const char *range = strstr(head, "\r\nRange: bytes="),
               *condition = strstr(head, "\r\nIf-Range: ");
    sscanf(head, "GET %299s", r->path);
    r->range = range ? strtoll(range + strlen("\r\nRange: bytes="), NULL, 10) : -1;
    if (condition) sscanf(condition, "\r\nIf-Range: %99[^\r]", r->if_range);
}

/* Until the client goes away. */
static inline void server_stall(server *s, nnd_port_fd fd)
{
    int64_t end = nnd_port_now() + 20 * SERVER_SECOND;
    while (!atomic_load(&s->stop) && nnd_port_now() < end) {
        nnd_port_poll poll = {fd, NND_PORT_POLL_IN, 0};
        if (nnd_port_poll_wait(&poll, 1, nnd_port_now() + SERVER_SECOND / 20, NULL) == 0) return;
    }
}

static inline void server_answer(server *s, nnd_port_fd fd, const server_reply *reply,
                                 server_request *r)
{
    char head[1200];
    const unsigned char *content = reply->content ? reply->content : s->content;
    size_t size = reply->content ? reply->content_size : s->size, from = 0;
    bool applies = reply->ignores_if_range || !r->if_range[0] ||
                   (reply->etag && strcmp(reply->etag, r->if_range) == 0);
    int status = reply->status ? reply->status : 200;
    if (!reply->status && r->range >= 0 && applies && !reply->ignores_range) {
        from = (size_t)r->range < size ? (size_t)r->range : size;
        status = 206;
    }
    size_t left = status < 300 ? size - from : 5;
    int n = snprintf(head, sizeof head, "HTTP/1.1 %d Told\r\nConnection: close\r\n", status);
    if (reply->etag) n += snprintf(head + n, sizeof head - (size_t)n, "ETag: %s\r\n", reply->etag);
    if (reply->location)
        n += snprintf(head + n, sizeof head - (size_t)n, "Location: %s\r\n", reply->location);
    if (status == 206)
        n += snprintf(head + n, sizeof head - (size_t)n, "Content-Range: bytes %zu-%zu/%zu\r\n",
                      from, size - 1, size);
    if (reply->announce != ANNOUNCE_NOTHING)
        n += snprintf(head + n, sizeof head - (size_t)n, "Content-Length: %lld\r\n",
                      reply->announce ? (long long)reply->announce : (long long)left);
    n += snprintf(head + n, sizeof head - (size_t)n, "\r\n");
    if (!server_send(s, fd, head, (size_t)n)) return;
    if (reply->cut && reply->cut < left) left = reply->cut;
    if (server_send(s, fd, status < 300 ? (const char *)content + from : "sorry", left))
        r->sent = status < 300 ? left : 0;
    if (reply->stalls) server_stall(s, fd);
}

static inline void server_serve(server *s, nnd_port_fd fd)
{
    char head[4096];
    size_t index = atomic_load(&s->request_count);
    if (index >= SERVER_MOST || !server_read_head(fd, head, sizeof head)) return;
    server_request *r = &s->requests[index];
    server_note(r, head);
    size_t reply = index < s->reply_count ? index : s->reply_count - 1;
    server_answer(s, fd, &s->replies[reply], r);
    atomic_store(&s->request_count, index + 1);
}

static inline void server_thread(void *arg)
{
    server *s = arg;
    int64_t end = nnd_port_now() + 120 * SERVER_SECOND;
    while (!atomic_load(&s->stop) && nnd_port_now() < end) {
        nnd_port_fd fd = NND_PORT_NO_FD;
        if (nnd_port_tcp_accept(s->listener, nnd_port_now() + SERVER_SECOND / 50, &fd) != 0)
            continue;
        server_serve(s, fd);
        nnd_port_fd_close(fd);
    }
}

static inline void server_start(server *s, const unsigned char *content, size_t size,
                                const server_reply *replies, size_t reply_count)
{
    memset(s, 0, sizeof *s);
    s->content = content;
    s->size = size;
    s->replies = replies;
    s->reply_count = reply_count;
    assert_int_equal(nnd_port_tcp_listen("127.0.0.1", 0, &s->listener), 0);
    assert_int_equal(nnd_port_tcp_port(s->listener, &s->port), 0);
    assert_int_equal(nnd_port_thread_create("server", server_thread, s, &s->thread), 0);
}

/* After this the notes are complete. */
static inline void server_stop(server *s)
{
    if (!s->thread) return;
    atomic_store(&s->stop, true);
    nnd_port_thread_join(s->thread);
    nnd_port_fd_close(s->listener);
    s->thread = NULL;
}

#endif
