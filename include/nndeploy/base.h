/*
 * nndeploy/base.h: status codes, error records, log, memory, JSON.
 *
 * Sections: 1 export and version · 2 small macros · 3 status · 4 error records · 5 memory ·
 *           6 log · 7 JSON reading · 8 JSON writing
 *
 * Part of nndeploy, Apache-2.0. Compiles alone as C11 and C++17.
 */
#ifndef NNDEPLOY_BASE_H
#define NNDEPLOY_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- 1 export and version -------------------------------------------------------------- */

#if defined(_WIN32)
#if defined(NND_BUILDING)
#define NND_API __declspec(dllexport)
#else
#define NND_API
#endif
#elif defined(__GNUC__)
#define NND_API __attribute__((visibility("default")))
#else
#define NND_API
#endif

#if defined(__GNUC__)
#if defined(__MINGW32__) && !defined(__clang__)
#define NND_PRINTF(fmt, first) __attribute__((format(gnu_printf, fmt, first)))
#else
#define NND_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#endif
#define NND_NODISCARD __attribute__((warn_unused_result))
#else
#define NND_PRINTF(fmt, first)
#define NND_NODISCARD
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define NND_VERSION_MAJOR 1
#define NND_VERSION_MINOR 0
#define NND_VERSION_PATCH 0
#define NND_VERSION       "1.0.0"
/* Raised only when an existing function or struct changes its meaning; see docs/architecture.md. */
#define NND_ABI_VERSION 1

/* Version of the library that is running, "1.0.0". Static storage. Any thread. */
NND_API const char *nnd_version(void);
/* ABI version of the library that is running; compare with NND_ABI_VERSION. Any thread. */
NND_API int nnd_abi_version(void);

/* ---- 2 small macros -------------------------------------------------------------------- */

/* A counted array inside a descriptor. Carrying the element size lets later versions append
   fields to the element type without breaking plug-ins that were built before. */
typedef struct nnd_array {
    const void *items; /* borrowed, static storage */
    size_t count;
    size_t item_size; /* sizeof one element as the descriptor's author saw it */
} nnd_array;
#define NND_COUNT(a) (sizeof(a) / sizeof((a)[0]))
/* clang-format off */
#define NND_ARRAY(a) {(a), NND_COUNT(a), sizeof((a)[0])}
/* clang-format on */

/* Forwards a failure: returns from the calling function when expr is not NND_OK. */
#define NND_TRY(expr)                                                                              \
    do {                                                                                           \
        nnd_status nnd_try_status_ = (expr);                                                       \
        if (nnd_try_status_ != NND_OK) return nnd_try_status_;                                     \
    } while (0)

/* ---- 3 status -------------------------------------------------------------------------- */

/* Every fallible function returns one of these; 0 is success, negative values are failures. */
typedef enum nnd_status {
    NND_OK = 0,
    NND_E_INVALID_ARGUMENT = -1, /* the caller broke the function's contract */
    NND_E_OUT_OF_MEMORY = -2,
    NND_E_NOT_FOUND = -3,   /* a named thing does not exist */
    NND_E_EXISTS = -4,      /* a named thing exists already */
    NND_E_PERMISSION = -5,  /* a policy forbids it (nnd_io roots, hosts, quota) */
    NND_E_IO = -6,          /* the operating system reported a failure */
    NND_E_FORMAT = -7,      /* bytes that are not what they claim to be */
    NND_E_UNSUPPORTED = -8, /* valid, but this build or version cannot do it */
    NND_E_TYPE = -9,        /* wrong value type, port type or dtype */
    NND_E_SHAPE = -10,      /* wrong rank or dimension */
    NND_E_LIMIT = -11,      /* larger than a configured limit */
    NND_E_OVERFLOW = -12,   /* arithmetic on sizes would overflow */
    NND_E_CANCELLED = -13,
    NND_E_TIMEOUT = -14,    /* a deadline passed */
    NND_E_CLOSED = -15,     /* the other side is gone; end of stream */
    NND_E_FULL = -16,       /* no credit on an edge */
    NND_E_DROPPED = -17,    /* a policy dropped the packet */
    NND_E_AGAIN = -18,      /* nothing there yet */
    NND_E_STATE = -19,      /* a call that is not allowed in this state */
    NND_E_MISSING = -20,    /* a resource has to be installed: model, plug-in, backend, secret */
    NND_E_BACKEND = -21,    /* a vendor framework failed */
    NND_E_VALIDATION = -22, /* a workflow has errors; the diagnostics say which */
    NND_E_INTERNAL = -23    /* a defect of ours */
} nnd_status;

/* Stable upper-case name, "NND_E_FORMAT"; "NND_E_UNKNOWN" for others. Static storage. */
NND_API const char *nnd_status_name(nnd_status status);
/* Short text for people, "malformed data". Static storage. */
NND_API const char *nnd_status_text(nnd_status status);

/* ---- 4 error records ------------------------------------------------------------------- */

/* The detail behind a status: message, place and the chain of causes. The current record is
   thread-local; whoever reports the failure takes a copy of it. */
typedef struct nnd_error nnd_error;

/* Replaces this thread's record by {status, message} and returns status, so that a function can
   end with `return nnd_error_set(NND_E_FORMAT, "…")`. Never fails: without memory the message is
   truncated to a fixed buffer. */
NND_API nnd_status nnd_error_set(nnd_status status, const char *format, ...) NND_PRINTF(2, 3);
NND_API nnd_status nnd_error_setv(nnd_status status, const char *format, va_list args);
/* Puts a new record on top of this thread's record, which becomes its cause. */
NND_API nnd_status nnd_error_wrap(nnd_status status, const char *format, ...) NND_PRINTF(2, 3);
/* Adds the place to the top record; NULL leaves a field as it is. Path, port and file are copied.
   line and column count from 1, 0 = unknown. */
NND_API void nnd_error_set_node(const char *node_path, const char *port);
NND_API void nnd_error_set_place(const char *file, uint32_t line, uint32_t column);
NND_API void nnd_error_set_packet(int64_t sequence);
/* Forgets this thread's record. */
NND_API void nnd_error_clear(void);
/* Copies this thread's record (NULL when there is none or no memory) and clears it. The caller
   owns the copy; nnd_error_destroy(NULL) is allowed. */
NND_API nnd_error *nnd_error_take(void);
NND_API nnd_error *nnd_error_dup(const nnd_error *error);
NND_API void nnd_error_destroy(nnd_error *error);
/* Makes a copy of `error` this thread's record again (to forward it), returns its status. */
NND_API nnd_status nnd_error_restore(const nnd_error *error);
/* Fields. Strings are borrowed from the record, "" when absent. error may not be NULL. */
NND_API nnd_status nnd_error_status(const nnd_error *error);
NND_API const char *nnd_error_message(const nnd_error *error);
NND_API const char *nnd_error_node(const nnd_error *error);
NND_API const char *nnd_error_port(const nnd_error *error);
NND_API const char *nnd_error_file(const nnd_error *error);
NND_API uint32_t nnd_error_line(const nnd_error *error);
NND_API uint32_t nnd_error_column(const nnd_error *error);
NND_API int64_t nnd_error_packet(const nnd_error *error);         /* -1 = none */
NND_API const nnd_error *nnd_error_cause(const nnd_error *error); /* NULL at the root */
/* One text with place and causes, "node 'net' port 'input': … \n  because: …". Free it with
   nnd_free. NULL without memory. */
NND_API char *nnd_error_to_string(const nnd_error *error);

/* ---- 5 memory -------------------------------------------------------------------------- */

/* The library's allocator (malloc by default). nnd_set_allocator must come before any other
   call; it exists for embedding and for tests that fail the n-th allocation. */
typedef struct nnd_allocator {
    void *(*alloc)(void *user, size_t size);               /* 16-byte aligned, NULL = failure */
    void *(*resize)(void *user, void *block, size_t size); /* as realloc */
    void (*release)(void *user, void *block);              /* takes NULL */
    void *user;
} nnd_allocator;
NND_API void nnd_set_allocator(const nnd_allocator *allocator); /* NULL = default again */
NND_API void *nnd_alloc(size_t size);                /* NULL without memory; size 0 is allowed */
NND_API void *nnd_calloc(size_t count, size_t size); /* zeroed; NULL on overflow */
NND_API void *nnd_realloc(void *block, size_t size);
NND_API void nnd_free(void *block);         /* takes NULL */
NND_API char *nnd_strdup(const char *text); /* NULL gives NULL */
/* Aligned memory, freed by nnd_free_aligned. align: power of two. */
NND_API void *nnd_alloc_aligned(size_t size, size_t align);
NND_API void nnd_free_aligned(void *block);

/* ---- 6 log ----------------------------------------------------------------------------- */

typedef enum nnd_log_level {
    NND_LOG_TRACE = 0,
    NND_LOG_DEBUG,
    NND_LOG_INFO,
    NND_LOG_WARN,
    NND_LOG_ERROR,
    NND_LOG_OFF
} nnd_log_level;
/* A sink gets one line without newline; it may be called from any thread, one call at a time. */
typedef void (*nnd_log_sink)(void *user, nnd_log_level level, const char *room, const char *line);
/* NULL restores the default: "level room: line" on stderr. Any thread. */
NND_API void nnd_log_set_sink(nnd_log_sink sink, void *user);
/* Default WARN, or what NNDEPLOY_LOG says (trace|debug|info|warn|error|off). */
NND_API void nnd_log_set_level(nnd_log_level level);
NND_API nnd_log_level nnd_log_get_level(void);
NND_API void nnd_log(nnd_log_level level, const char *room, const char *format, ...)
    NND_PRINTF(3, 4);

/* ---- 7 JSON reading -------------------------------------------------------------------- */

/* An immutable JSON document (RFC 8259) that keeps the line and column of every value and the
   order of members. Duplicate keys are an error. Strings are valid UTF-8. Depth is limited to
   NND_JSON_MAX_DEPTH. A node is borrowed from its document. Reading is thread-safe. */
#define NND_JSON_MAX_DEPTH 256
typedef enum nnd_json_type {
    NND_JSON_NULL,
    NND_JSON_BOOL,
    NND_JSON_NUMBER,
    NND_JSON_STRING,
    NND_JSON_ARRAY,
    NND_JSON_OBJECT
} nnd_json_type;
typedef struct nnd_json_doc nnd_json_doc;
typedef struct nnd_json nnd_json;

/* Parses `size` bytes; `file` (may be NULL) names the source in errors. On failure
   NND_E_FORMAT with line, column and what was expected. The bytes need not stay. */
NND_API nnd_status nnd_json_parse(const char *text, size_t size, const char *file,
                                  nnd_json_doc **out);
NND_API void nnd_json_destroy(nnd_json_doc *doc);
NND_API const nnd_json *nnd_json_root(const nnd_json_doc *doc);
NND_API nnd_json_type nnd_json_get_type(const nnd_json *json); /* NULL counts as NND_JSON_NULL */
NND_API uint32_t nnd_json_line(const nnd_json *json);          /* from 1 */
NND_API uint32_t nnd_json_column(const nnd_json *json);        /* from 1, in bytes */
/* Arrays and objects: number of elements or members; 0 for other types. */
NND_API size_t nnd_json_count(const nnd_json *json);
NND_API const nnd_json *nnd_json_at(const nnd_json *json, size_t index); /* NULL beyond the end */
NND_API const char *nnd_json_key_at(const nnd_json *json, size_t index); /* objects only */
NND_API const nnd_json *nnd_json_get(const nnd_json *json, const char *key); /* NULL when absent */
/* Bytes of a key, which may contain \0 by \u0000; 0 when absent. */
NND_API size_t nnd_json_key_size(const nnd_json *json, size_t index);
/* Position of the key itself (for "unknown field" messages). */
NND_API void nnd_json_key_place(const nnd_json *json, size_t index, uint32_t *line,
                                uint32_t *column);
/* Values; the fallback is returned when the type (or range) is another. */
NND_API bool nnd_json_bool(const nnd_json *json, bool fallback);
NND_API double nnd_json_number(const nnd_json *json, double fallback);
/* An integer: a number without fraction within ±(2^53−1), or a string of decimal digits with
   optional '-' (how larger ones are written). false when it is none or does not fit. */
NND_API bool nnd_json_int(const nnd_json *json, int64_t *out);
NND_API const char *nnd_json_string(const nnd_json *json, const char *fallback);
NND_API size_t nnd_json_string_size(const nnd_json *json); /* bytes, may contain \0 by \u0000 */

/* ---- 8 JSON writing -------------------------------------------------------------------- */

/* Writes canonical JSON: numbers in ECMAScript's shortest form, integers beyond ±(2^53−1) as
   strings, NaN and infinities as null, bytes that are not UTF-8 as U+FFFD. indent 0 = one line
   without blanks, else spaces per level (at most 16), as JSON.stringify lays it out. Misuse (a
   value without key inside an object, …) makes nnd_json_writer_take fail with NND_E_STATE, more
   than NND_JSON_MAX_DEPTH levels with NND_E_LIMIT. One thread at a time. */
typedef struct nnd_json_writer nnd_json_writer;
NND_API nnd_status nnd_json_writer_create(int indent, nnd_json_writer **out);
NND_API void nnd_json_writer_destroy(nnd_json_writer *w);
NND_API void nnd_json_begin_object(nnd_json_writer *w);
NND_API void nnd_json_end_object(nnd_json_writer *w);
NND_API void nnd_json_begin_array(nnd_json_writer *w);
NND_API void nnd_json_end_array(nnd_json_writer *w);
NND_API void nnd_json_key(nnd_json_writer *w, const char *key);
NND_API void nnd_json_key_n(nnd_json_writer *w, const char *key, size_t size);
NND_API void nnd_json_put_null(nnd_json_writer *w);
NND_API void nnd_json_put_bool(nnd_json_writer *w, bool value);
NND_API void nnd_json_put_int(nnd_json_writer *w, int64_t value);
NND_API void nnd_json_put_number(nnd_json_writer *w, double value);
/* The shortest form that reads back as the same float. */
NND_API void nnd_json_put_float(nnd_json_writer *w, float value);
NND_API void nnd_json_put_string(nnd_json_writer *w, const char *text); /* NULL writes null */
NND_API void nnd_json_put_string_n(nnd_json_writer *w, const char *text, size_t size);
/* Copies a whole sub-tree. */
NND_API void nnd_json_put_json(nnd_json_writer *w, const nnd_json *json);
/* With indent > 0: arrays and objects that begin from now on are written on one line, "[1, 2]",
   until it is switched off or the container that is open now ends. */
NND_API void nnd_json_set_inline(nnd_json_writer *w, bool on);
/* The finished text, NUL-terminated, owned by the caller (nnd_free); size may be NULL. The writer
   is then ready for another document. */
NND_API nnd_status nnd_json_writer_take(nnd_json_writer *w, char **text, size_t *size);

#ifdef __cplusplus
}
#endif
#endif
