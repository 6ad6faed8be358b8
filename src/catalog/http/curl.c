/* HTTP through libcurl, which is loaded when something is downloaded for the first time. */
#include "catalog/http/http.h"

#include "base/library.h"
#include "base/options.h"
#include "base/str.h"
#include "catalog/http/curl_abi.h"
#include "port/port.h"

#include <string.h>

enum { MOST_REDIRECTS = 8, STATUS_RANGE = 206 };

/* ---- the library ------------------------------------------------------------------------- */

typedef struct library {
    nnd_port_module *module; /* stays loaded: libcurl and what it uses keep threads and locks */
    nnd_curl_global_init_fn global_init;
    nnd_curl_easy_init_fn easy_init;
    nnd_curl_easy_setopt_fn easy_setopt;
    nnd_curl_easy_perform_fn easy_perform;
    nnd_curl_easy_getinfo_fn easy_getinfo;
    nnd_curl_easy_cleanup_fn easy_cleanup;
    nnd_curl_easy_strerror_fn easy_strerror;
    nnd_curl_slist_append_fn slist_append;
    nnd_curl_slist_free_all_fn slist_free_all;
} library;

#if defined(_WIN32)
static const char *const system_names[] = {"libcurl-x64.dll", "libcurl.dll", "libcurl-4.dll"};
#elif defined(__APPLE__)
static const char *const system_names[] = {"libcurl.4.dylib"};
#else
static const char *const system_names[] = {"libcurl.so.4", "libcurl-gnutls.so.4"};
#endif

static nnd_port_mutex curl_lock = NND_PORT_MUTEX_INIT;
static library curl;
static bool curl_ready;

static nnd_status load_library(library *lib)
{
    const nnd_library_function functions[] = {
        {"curl_global_init", &lib->global_init},       {"curl_easy_init", &lib->easy_init},
        {"curl_easy_setopt", &lib->easy_setopt},       {"curl_easy_perform", &lib->easy_perform},
        {"curl_easy_getinfo", &lib->easy_getinfo},     {"curl_easy_cleanup", &lib->easy_cleanup},
        {"curl_easy_strerror", &lib->easy_strerror},   {"curl_slist_append", &lib->slist_append},
        {"curl_slist_free_all", &lib->slist_free_all},
    };
    const nnd_library_wish wish = {
        "downloading needs libcurl (a mirror that is a folder does not)",
        "NNDEPLOY_LIBCURL",
        system_names,
        NND_COUNT(system_names),
        "libcurl4",
        functions,
        NND_COUNT(functions),
    };
    NND_TRY(nnd_library_load(&wish, &lib->module));
    if (lib->global_init(NND_CURL_GLOBAL_ALL) == NND_CURL_OK) return NND_OK;
    nnd_port_module_close(lib->module);
    return nnd_error_set(NND_E_BACKEND, "libcurl cannot be started");
}

/* What failed is tried again with the next request: it may be installed meanwhile. */
static nnd_status get_library(const library **out)
{
    nnd_status status = NND_OK;
    nnd_port_mutex_lock(&curl_lock);
    if (!curl_ready) {
        status = load_library(&curl);
        curl_ready = status == NND_OK;
    }
    nnd_port_mutex_unlock(&curl_lock);
    *out = &curl;
    return status;
}

/* ---- one transfer ------------------------------------------------------------------------ */

typedef struct transfer {
    const library *lib;
    nnd_curl *handle;
    const nnd_http_request *request;
    nnd_http_head *head;
    bool begun;
    nnd_status status; /* what begin, body or the token said */
    char etag[sizeof(((nnd_http_head *)0)->validator)];
    char modified[64];
    char text[NND_CURL_ERROR_SIZE];
} transfer;

/* ---- headers ---- */

static bool is_header(const char *line, size_t size, const char *name, const char **value,
                      size_t *value_size)
{
    size_t n = strlen(name);
    if (size <= n || line[n] != ':') return false;
    for (size_t i = 0; i < n; i++)
        if ((line[i] | 32) != name[i]) return false;
    line += n + 1;
    size -= n + 1;
    while (size && (*line == ' ' || *line == '\t'))
        line++, size--;
    while (size && strchr(" \t\r\n", line[size - 1]))
        size--;
    *value = line;
    *value_size = size;
    return true;
}

static void copy_value(char *out, size_t room, const char *value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (value[i] < ' ' || value[i] > '~') return;
    if (size < room) snprintf(out, room, "%.*s", (int)size, value);
}

/* "bytes 100-199/1000"; a star may stand for the total. */
static void read_range(nnd_http_head *head, const char *value, size_t size)
{
    char text[96], *dash, *slash;
    if (size >= sizeof text || size < 6 || memcmp(value, "bytes ", 6) != 0) return;
    snprintf(text, sizeof text, "%.*s", (int)size - 6, value + 6);
    dash = strchr(text, '-');
    slash = strchr(text, '/');
    if (!dash || !slash) return;
    *dash = *slash = '\0';
    int64_t from = -1, total = -1;
    if (!nnd_parse_int(text, &from) || from < 0) return;
    head->from = from;
    if (nnd_parse_int(slash + 1, &total) && total >= 0) head->total = total;
}

static void reset_head(transfer *t)
{
    *t->head = (nnd_http_head){.length = -1, .from = -1, .total = -1};
    t->etag[0] = t->modified[0] = '\0';
}

static size_t on_header(char *data, size_t item, size_t count, void *user)
{
    transfer *t = user;
    size_t size = item * count, n = 0;
    const char *value = NULL;
    char number[24];
    /* Every answer on the way, redirects too, begins anew. */
    if (size > 5 && memcmp(data, "HTTP/", 5) == 0) reset_head(t);
    if (is_header(data, size, "content-length", &value, &n) && n < sizeof number) {
        snprintf(number, sizeof number, "%.*s", (int)n, value);
        if (!nnd_parse_int(number, &t->head->length)) t->head->length = -1;
    } else if (is_header(data, size, "content-range", &value, &n)) {
        read_range(t->head, value, n);
    } else if (is_header(data, size, "etag", &value, &n)) {
        /* A weak one may stand for other bytes. */
        if (n > 1 && value[0] == '"') copy_value(t->etag, sizeof t->etag, value, n);
    } else if (is_header(data, size, "last-modified", &value, &n)) {
        copy_value(t->modified, sizeof t->modified, value, n);
    }
    return size;
}

/* ---- body ---- */

static bool is_success(long status)
{
    return status >= 200 && status < 300;
}

static void finish_head(transfer *t)
{
    t->lib->easy_getinfo(t->handle, NND_CURLINFO_RESPONSE_CODE, &t->head->status);
    const char *validator = t->etag[0] ? t->etag : t->modified;
    snprintf(t->head->validator, sizeof t->head->validator, "%s", validator);
    if (t->head->status != STATUS_RANGE) t->head->from = t->head->total = -1;
}

static nnd_status begin_body(transfer *t)
{
    if (t->begun) return NND_OK;
    t->begun = true;
    finish_head(t);
    return is_success(t->head->status) ? t->request->begin(t->request->user, t->head) : NND_OK;
}

static size_t on_body(char *data, size_t item, size_t count, void *user)
{
    transfer *t = user;
    size_t size = item * count;
    t->status = begin_body(t);
    /* The page that explains a refusal is for browsers; it ends here, however long it is. */
    if (t->status == NND_OK && !is_success(t->head->status)) return 0;
    if (t->status == NND_OK) t->status = t->request->body(t->request->user, data, size);
    return t->status == NND_OK ? size : 0;
}

static int on_progress(void *user, int64_t to_get, int64_t got, int64_t to_send, int64_t sent)
{
    transfer *t = user;
    (void)to_get, (void)got, (void)to_send, (void)sent;
    return nnd_cancel_check(t->request->cancel) != NND_OK;
}

/* ---- results ---- */

static nnd_status refuse(const nnd_http_head *head)
{
    long code = head->status;
    nnd_status status = code == 404 || code == 410                  ? NND_E_NOT_FOUND
                        : code == 401 || code == 403 || code == 407 ? NND_E_PERMISSION
                        : code == 416                               ? NND_E_CLOSED
                        : code == 408 || code == 425 || code == 429 || code >= 500 ? NND_E_AGAIN
                                                                                   : NND_E_IO;
    return nnd_error_set(status, "the server answers with status %ld%s", code,
                         status == NND_E_NOT_FOUND    ? " (not found)"
                         : status == NND_E_PERMISSION ? " (not allowed)"
                                                      : "");
}

static nnd_status explain(const transfer *t, int code)
{
    const char *text = t->text[0] ? t->text : t->lib->easy_strerror(code);
    switch (code) {
    case NND_CURL_ABORTED_BY_CALLBACK:
        if (nnd_cancel_check(t->request->cancel) == NND_E_TIMEOUT)
            return nnd_error_set(NND_E_TIMEOUT, "the deadline passed");
        return nnd_error_set(NND_E_CANCELLED, "the download was cancelled");
    case NND_CURL_OPERATION_TIMEDOUT:
        if (t->begun)
            return nnd_error_set(NND_E_TIMEOUT, "no byte came for %d s", t->request->stall_seconds);
        return nnd_error_set(NND_E_TIMEOUT, "no answer came in time (%s)", text);
    case NND_CURL_PARTIAL_FILE:
    case NND_CURL_GOT_NOTHING:
    case NND_CURL_SEND_ERROR:
    case NND_CURL_RECV_ERROR:
        return nnd_error_set(NND_E_CLOSED, "the connection broke (%s)", text);
    case NND_CURL_OUT_OF_MEMORY:
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "libcurl is out of memory");
    case NND_CURL_TOO_MANY_REDIRECTS:
        return nnd_error_set(NND_E_IO, "it redirects more than %d times", MOST_REDIRECTS);
    default:
        return nnd_error_set(NND_E_IO, "%s", text);
    }
}

static nnd_status set_options(transfer *t, nnd_curl_slist *headers)
{
    const nnd_http_request *r = t->request;
    nnd_curl *h = t->handle;
    nnd_curl_easy_setopt_fn set = t->lib->easy_setopt;
    const long both = NND_CURLPROTO_HTTP | NND_CURLPROTO_HTTPS;
    int rc = set(h, NND_CURLOPT_URL, r->url);
    rc |= set(h, NND_CURLOPT_NOSIGNAL, 1L);
    rc |= set(h, NND_CURLOPT_PROTOCOLS, both);
    rc |= set(h, NND_CURLOPT_REDIR_PROTOCOLS, both);
    rc |= set(h, NND_CURLOPT_FOLLOWLOCATION, 1L);
    rc |= set(h, NND_CURLOPT_MAXREDIRS, (long)MOST_REDIRECTS);
    rc |= set(h, NND_CURLOPT_CONNECTTIMEOUT_MS, (long)r->connect_seconds * 1000);
    rc |= set(h, NND_CURLOPT_LOW_SPEED_LIMIT, 1L);
    rc |= set(h, NND_CURLOPT_LOW_SPEED_TIME, (long)r->stall_seconds);
    rc |= set(h, NND_CURLOPT_USERAGENT, "nndeploy/" NND_VERSION);
    rc |= set(h, NND_CURLOPT_ERRORBUFFER, t->text);
    rc |= set(h, NND_CURLOPT_HEADERFUNCTION, (nnd_curl_write_fn)on_header);
    rc |= set(h, NND_CURLOPT_HEADERDATA, t);
    rc |= set(h, NND_CURLOPT_WRITEFUNCTION, (nnd_curl_write_fn)on_body);
    rc |= set(h, NND_CURLOPT_WRITEDATA, t);
    rc |= set(h, NND_CURLOPT_XFERINFOFUNCTION, (nnd_curl_progress_fn)on_progress);
    rc |= set(h, NND_CURLOPT_XFERINFODATA, t);
    rc |= set(h, NND_CURLOPT_NOPROGRESS, 0L);
    rc |= set(h, NND_CURLOPT_HTTPHEADER, headers);
    return rc == NND_CURL_OK
               ? NND_OK
               : nnd_error_set(NND_E_MISSING,
                               "this libcurl lacks an option that downloading needs; install a "
                               "current one");
}

/* The range goes as a header of our own: CURLOPT_RESUME_FROM_LARGE would refuse the whole file,
   which is the right answer when it has changed. */
static nnd_status make_headers(const transfer *t, nnd_curl_slist **out)
{
    char line[320];
    nnd_curl_slist *list = NULL, *longer = NULL;
    if (t->request->offset == 0) return NND_OK;
    snprintf(line, sizeof line, "Range: bytes=%llu-", (unsigned long long)t->request->offset);
    list = t->lib->slist_append(NULL, line);
    if (list && t->request->if_range[0]) {
        snprintf(line, sizeof line, "If-Range: %s", t->request->if_range);
        longer = t->lib->slist_append(list, line);
        if (!longer) t->lib->slist_free_all(list);
        list = longer;
    }
    *out = list;
    return list ? NND_OK : nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a request");
}

static nnd_status perform(transfer *t)
{
    int code = t->lib->easy_perform(t->handle);
    if (t->status != NND_OK) return t->status;
    if (code == NND_CURL_OK || t->begun) {
        t->status = begin_body(t);
        if (t->status != NND_OK) return t->status;
        if (!is_success(t->head->status)) return refuse(t->head);
    }
    return code == NND_CURL_OK ? NND_OK : explain(t, code);
}

nnd_status nnd_http_get(const nnd_http_request *request, nnd_http_head *head)
{
    transfer t = {.request = request, .head = head};
    nnd_curl_slist *headers = NULL;
    reset_head(&t);
    NND_TRY(get_library(&t.lib));
    t.handle = t.lib->easy_init();
    if (!t.handle) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a request");
    nnd_status status = make_headers(&t, &headers);
    if (status == NND_OK) status = set_options(&t, headers);
    if (status == NND_OK) status = perform(&t);
    t.lib->easy_cleanup(t.handle);
    t.lib->slist_free_all(headers);
    return status;
}
