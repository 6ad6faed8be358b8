/*
 * Error records: a thread-local chain, newest first. Records live on the heap, except for one
 * reserve per thread that takes over when memory ran out. The reserve is only ever the newest
 * record, so that everything below it can be freed when the thread ends without touching
 * thread-local storage, which may be gone by then.
 */
#include "nndeploy/base.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "port/port.h"

enum { FIELD_MESSAGE, FIELD_NODE, FIELD_PORT, FIELD_FILE, FIELD_COUNT };
enum { RESERVE_FIELD = 192 };

struct nnd_error {
    nnd_status status;
    uint32_t line, column;
    int64_t packet;
    nnd_error *cause;
    char *fields[FIELD_COUNT]; /* NULL when absent */
};

typedef struct thread_errors {
    nnd_error *top;
    nnd_error reserve;
    char reserve_text[FIELD_COUNT][RESERVE_FIELD];
} thread_errors;

static _Thread_local thread_errors errors;
static nnd_port_once exit_once = NND_PORT_ONCE_INIT;
static nnd_port_tls exit_tls;
static bool exit_tls_made;

static void destroy_chain(void *chain)
{
    nnd_error_destroy(chain);
}

static void make_exit_tls(void)
{
    exit_tls_made = nnd_port_tls_create(destroy_chain, &exit_tls) == 0;
}

/* Makes `top` current and tells the exit hook which records are on the heap. */
static void set_top(nnd_error *top)
{
    errors.top = top;
    nnd_port_once_run(&exit_once, make_exit_tls);
    if (exit_tls_made) (void)nnd_port_tls_set(exit_tls, top == &errors.reserve ? top->cause : top);
}

static void blank(nnd_error *e, nnd_status status)
{
    memset(e, 0, sizeof(*e));
    e->status = status;
    e->packet = -1;
}

static void set_field(nnd_error *e, int field, const char *text)
{
    if (e == &errors.reserve) {
        size_t n = strlen(text);
        if (n >= RESERVE_FIELD) n = nnd_utf8_valid_prefix(text, RESERVE_FIELD - 1);
        memmove(errors.reserve_text[field], text, n);
        errors.reserve_text[field][n] = '\0';
        e->fields[field] = errors.reserve_text[field];
        return;
    }
    char *copy = nnd_strdup(text);
    if (!copy) return; /* the record without this detail is worth more than none */
    nnd_free(e->fields[field]);
    e->fields[field] = copy;
}

static nnd_error *dup_one(const nnd_error *from)
{
    nnd_error *e = nnd_alloc(sizeof(*e));
    if (!e) return NULL;
    *e = *from;
    e->cause = NULL;
    memset(e->fields, 0, sizeof(e->fields));
    for (int i = 0; i < FIELD_COUNT; i++) {
        if (!from->fields[i]) continue;
        e->fields[i] = nnd_strdup(from->fields[i]);
        if (!e->fields[i]) {
            nnd_error_destroy(e);
            return NULL;
        }
    }
    return e;
}

nnd_error *nnd_error_dup(const nnd_error *error)
{
    nnd_error *first = NULL, **link = &first;
    for (; error; error = error->cause) {
        *link = dup_one(error);
        if (!*link) {
            nnd_error_destroy(first);
            return NULL;
        }
        link = &(*link)->cause;
    }
    return first;
}

void nnd_error_destroy(nnd_error *error)
{
    while (error) {
        nnd_error *cause = error->cause;
        for (int i = 0; i < FIELD_COUNT; i++)
            nnd_free(error->fields[i]);
        nnd_free(error);
        error = cause;
    }
}

/* Frees a chain whose newest record may be the reserve. */
static void drop(nnd_error *top)
{
    if (top == &errors.reserve) {
        nnd_error *cause = top->cause;
        top->cause = NULL;
        nnd_error_destroy(cause);
    } else {
        nnd_error_destroy(top);
    }
}

/* A heap record with a formatted message; NULL without memory. */
static nnd_error *make(nnd_status status, const char *format, va_list args)
{
    nnd_error *e = nnd_alloc(sizeof(*e));
    if (!e) return NULL;
    blank(e, status);
    nnd_str text = {0};
    nnd_str_vprintf(&text, format, args);
    if (nnd_str_take_quiet(&text, &e->fields[FIELD_MESSAGE])) return e;
    nnd_free(e);
    return NULL;
}

static void fill_reserve(nnd_status status, nnd_error *cause, const char *format, va_list args)
{
    char text[RESERVE_FIELD * 2];
    if (vsnprintf(text, sizeof(text), format, args) < 0) text[0] = '\0';
    blank(&errors.reserve, status);
    set_field(&errors.reserve, FIELD_MESSAGE, text);
    errors.reserve.cause = cause;
    set_top(&errors.reserve);
}

nnd_status nnd_error_setv(nnd_status status, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    nnd_error *e = make(status, format, args);
    drop(errors.top);
    if (e)
        set_top(e);
    else
        fill_reserve(status, NULL, format, again);
    va_end(again);
    return status;
}

nnd_status nnd_error_set(nnd_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    nnd_error_setv(status, format, args);
    va_end(args);
    return status;
}

static void wrap(nnd_status status, const char *format, va_list args)
{
    nnd_error *below = errors.top;
    if (below == &errors.reserve) {
        /* Keep the reserve on top: move its content to the heap, or else keep what it says, which
           is nearer to the root of the trouble than the text that would replace it. */
        nnd_error *moved = dup_one(below);
        if (!moved) {
            below->status = status;
            return;
        }
        moved->cause = below->cause;
        below->cause = NULL;
        below = moved;
        set_top(below);
    }
    va_list again;
    va_copy(again, args);
    nnd_error *e = make(status, format, args);
    if (e) {
        e->cause = below;
        set_top(e);
    } else {
        fill_reserve(status, below, format, again);
    }
    va_end(again);
}

nnd_status nnd_error_wrap(nnd_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    wrap(status, format, args);
    va_end(args);
    return status;
}

void nnd_error_set_node(const char *node_path, const char *port)
{
    if (!errors.top) return;
    if (node_path) set_field(errors.top, FIELD_NODE, node_path);
    if (port) set_field(errors.top, FIELD_PORT, port);
}

void nnd_error_set_place(const char *file, uint32_t line, uint32_t column)
{
    if (!errors.top) return;
    if (file) set_field(errors.top, FIELD_FILE, file);
    errors.top->line = line;
    errors.top->column = column;
}

void nnd_error_set_packet(int64_t sequence)
{
    if (errors.top) errors.top->packet = sequence;
}

void nnd_error_clear(void)
{
    if (!errors.top) return;
    drop(errors.top);
    set_top(NULL);
}

nnd_error *nnd_error_take(void)
{
    nnd_error *top = errors.top;
    if (!top) return NULL;
    if (top == &errors.reserve) {
        nnd_error *copy = dup_one(top);
        if (copy) {
            copy->cause = top->cause;
            top->cause = NULL;
        }
        drop(top);
        top = copy;
    }
    set_top(NULL);
    return top;
}

nnd_status nnd_error_restore(const nnd_error *error)
{
    if (!error) {
        nnd_error_clear();
        return NND_OK;
    }
    nnd_error *copy = nnd_error_dup(error);
    if (!copy) {
        nnd_error_set(error->status, "%s", nnd_error_message(error));
        return error->status;
    }
    drop(errors.top);
    set_top(copy);
    return copy->status;
}

static const char *field(const nnd_error *error, int index)
{
    return error->fields[index] ? error->fields[index] : "";
}

nnd_status nnd_error_status(const nnd_error *error)
{
    return error->status;
}

const char *nnd_error_message(const nnd_error *error)
{
    return field(error, FIELD_MESSAGE);
}

const char *nnd_error_node(const nnd_error *error)
{
    return field(error, FIELD_NODE);
}

const char *nnd_error_port(const nnd_error *error)
{
    return field(error, FIELD_PORT);
}

const char *nnd_error_file(const nnd_error *error)
{
    return field(error, FIELD_FILE);
}

uint32_t nnd_error_line(const nnd_error *error)
{
    return error->line;
}

uint32_t nnd_error_column(const nnd_error *error)
{
    return error->column;
}

int64_t nnd_error_packet(const nnd_error *error)
{
    return error->packet;
}

const nnd_error *nnd_error_cause(const nnd_error *error)
{
    return error->cause;
}

/* "node 'net' port 'input' packet 7: a.json:3:14: " */
static void add_place(nnd_str *s, const nnd_error *e)
{
    const char *gap = "";
    if (e->fields[FIELD_NODE]) {
        nnd_str_printf(s, "node '%s'", e->fields[FIELD_NODE]);
        gap = " ";
    }
    if (e->fields[FIELD_PORT]) {
        nnd_str_printf(s, "%sport '%s'", gap, e->fields[FIELD_PORT]);
        gap = " ";
    }
    if (e->packet >= 0) {
        nnd_str_printf(s, "%spacket %lld", gap, (long long)e->packet);
        gap = " ";
    }
    if (gap[0]) nnd_str_add(s, ": ");
    if (e->fields[FIELD_FILE]) {
        nnd_str_add(s, e->fields[FIELD_FILE]);
        if (e->line) nnd_str_printf(s, ":%u", e->line);
        if (e->line && e->column) nnd_str_printf(s, ":%u", e->column);
        nnd_str_add(s, ": ");
    } else if (e->line) {
        nnd_str_printf(s, "line %u", e->line);
        if (e->column) nnd_str_printf(s, " column %u", e->column);
        nnd_str_add(s, ": ");
    }
}

char *nnd_error_to_string(const nnd_error *error)
{
    nnd_str s = {0};
    for (const nnd_error *e = error; e; e = e->cause) {
        if (e != error) nnd_str_add(&s, "\n  because: ");
        add_place(&s, e);
        const char *message = nnd_error_message(e);
        nnd_str_add(&s, message[0] ? message : nnd_status_text(e->status));
    }
    char *text = NULL;
    return nnd_str_take_quiet(&s, &text) ? text : NULL;
}
