/* One HTTP request for a file, or for its rest. The only folder that knows libcurl. */
#ifndef NND_CATALOG_HTTP_HTTP_H
#define NND_CATALOG_HTTP_HTTP_H

#include "nndeploy/sched.h"

/* What the final answer says about itself, redirects followed. */
typedef struct nnd_http_head {
    long status;
    int64_t length;      /* of the body; −1 = not said */
    int64_t from;        /* a part: its first byte; −1 = the whole */
    int64_t total;       /* a part: bytes of the whole; −1 = not said */
    char validator[256]; /* strong ETag, else Last-Modified, for if_range; "" = none */
} nnd_http_head;

typedef struct nnd_http_request {
    const char *url;      /* https or http; redirects may lead to these two only */
    uint64_t offset;      /* first byte that is wanted */
    const char *if_range; /* validator under which a part is wanted, else the whole; "" = always */
    int connect_seconds;
    int stall_seconds;  /* the connection ends when no byte comes for so long */
    nnd_cancel *cancel; /* may be NULL */
    void *user;
    /* Once, before the body of a 2xx answer; a failure ends the request with it. */
    nnd_status (*begin)(void *user, const nnd_http_head *head);
    nnd_status (*body)(void *user, const void *bytes, size_t size);
} nnd_http_request;

/* In the caller's thread. *head tells the answer when there was one (status 0: none).
     NND_OK            a whole 2xx answer was handed on
     NND_E_CLOSED      the connection broke while the answer was on its way
     NND_E_TIMEOUT     no connection, or no byte, for too long
     NND_E_AGAIN       the server cannot now (408, 425, 429, 5xx)
     NND_E_NOT_FOUND, NND_E_PERMISSION, NND_E_IO   it will not, or there is no way to it
     NND_E_MISSING     libcurl is not there
     NND_E_CANCELLED, and what begin and body return. */
nnd_status nnd_http_get(const nnd_http_request *request, nnd_http_head *head);

#endif
