/* The part of libcurl's C interface that we use, declared by ourselves so that neither building nor
   starting needs the library. tests/catalog/check_curl_abi.sh compares it with the official header
   where one is installed. Numbers of options are part of libcurl's ABI and never change. */
#ifndef NND_CATALOG_HTTP_CURL_ABI_H
#define NND_CATALOG_HTTP_CURL_ABI_H

#include <stddef.h>
#include <stdint.h>

typedef struct nnd_curl nnd_curl; /* CURL */
typedef struct nnd_curl_slist nnd_curl_slist;

/* CURLcode */
enum {
    NND_CURL_OK = 0,
    NND_CURL_COULDNT_RESOLVE_PROXY = 5,
    NND_CURL_COULDNT_RESOLVE_HOST = 6,
    NND_CURL_COULDNT_CONNECT = 7,
    NND_CURL_PARTIAL_FILE = 18,
    NND_CURL_WRITE_ERROR = 23,
    NND_CURL_OUT_OF_MEMORY = 27,
    NND_CURL_OPERATION_TIMEDOUT = 28,
    NND_CURL_ABORTED_BY_CALLBACK = 42,
    NND_CURL_TOO_MANY_REDIRECTS = 47,
    NND_CURL_GOT_NOTHING = 52,
    NND_CURL_SEND_ERROR = 55,
    NND_CURL_RECV_ERROR = 56
};

/* CURLoption */
enum {
    NND_CURLOPT_WRITEDATA = 10001,
    NND_CURLOPT_URL = 10002,
    NND_CURLOPT_ERRORBUFFER = 10010,
    NND_CURLOPT_USERAGENT = 10018,
    NND_CURLOPT_LOW_SPEED_LIMIT = 19,
    NND_CURLOPT_LOW_SPEED_TIME = 20,
    NND_CURLOPT_HTTPHEADER = 10023,
    NND_CURLOPT_HEADERDATA = 10029,
    NND_CURLOPT_NOPROGRESS = 43,
    NND_CURLOPT_FOLLOWLOCATION = 52,
    NND_CURLOPT_XFERINFODATA = 10057,
    NND_CURLOPT_MAXREDIRS = 68,
    NND_CURLOPT_NOSIGNAL = 99,
    NND_CURLOPT_CONNECTTIMEOUT_MS = 156,
    NND_CURLOPT_PROTOCOLS = 181, /* the texts that take their place came with 7.85 */
    NND_CURLOPT_REDIR_PROTOCOLS = 182,
    NND_CURLOPT_WRITEFUNCTION = 20011,
    NND_CURLOPT_HEADERFUNCTION = 20079,
    NND_CURLOPT_XFERINFOFUNCTION = 20219
};
enum { NND_CURL_ERROR_SIZE = 256, NND_CURLPROTO_HTTP = 1, NND_CURLPROTO_HTTPS = 2 };
enum { NND_CURL_GLOBAL_ALL = 3 };
enum { NND_CURLINFO_RESPONSE_CODE = 0x200002 };

typedef int (*nnd_curl_global_init_fn)(long flags);
typedef nnd_curl *(*nnd_curl_easy_init_fn)(void);
typedef int (*nnd_curl_easy_setopt_fn)(nnd_curl *handle, int option, ...);
typedef int (*nnd_curl_easy_perform_fn)(nnd_curl *handle);
typedef int (*nnd_curl_easy_getinfo_fn)(nnd_curl *handle, int info, ...);
typedef void (*nnd_curl_easy_cleanup_fn)(nnd_curl *handle);
typedef const char *(*nnd_curl_easy_strerror_fn)(int code);
typedef nnd_curl_slist *(*nnd_curl_slist_append_fn)(nnd_curl_slist *list, const char *text);
typedef void (*nnd_curl_slist_free_all_fn)(nnd_curl_slist *list);
typedef size_t (*nnd_curl_write_fn)(char *data, size_t size, size_t count, void *user);
typedef int (*nnd_curl_progress_fn)(void *user, int64_t to_get, int64_t got, int64_t to_send,
                                    int64_t sent);

#endif
