/* Downloading one file from one address: from the byte where the last attempt ended, again when
   the failure may pass, and never more bytes than the catalogue names. */
#include "catalog/catalog_internal.h"

#include "base/port_status.h"
#include "base/str.h"
#include "catalog/http/http.h"
#include "port/port.h"

#include <string.h>

#define MS ((int64_t)1000000)

enum { LONGEST_PAUSE_MS = 30000, LARGEST_ORIGIN = 4096, WORTH_AN_ATTEMPT = 64 * 1024 };

typedef struct fetch {
    const cat_job *job;
    const char *url;
    char *address; /* where the URL leads */
    FILE *out;     /* part, open while bytes arrive */
    bool wrote;    /* this attempt has changed part */
    uint64_t have; /* bytes in part */
    bool resumed;
} fetch;

/* ---- where a part comes from ------------------------------------------------------------- */

/* Two lines: URL and validator. A part without them, or from another address, is continued without
   a condition: the digest tells in the end whether the pieces fit. */
static void read_validator(const fetch *f, char *out, size_t room)
{
    char *text = NULL;
    size_t size = 0;
    out[0] = '\0';
    if (nnd_port_file_read(f->job->origin, LARGEST_ORIGIN, &text, &size) != 0) return;
    char *line = strchr(text, '\n');
    if (line) {
        *line++ = '\0';
        line[strcspn(line, "\r\n")] = '\0';
        if (strcmp(text, f->url) == 0) snprintf(out, room, "%s", line);
    }
    nnd_port_free(text);
}

static nnd_status write_validator(const fetch *f, const char *validator)
{
    char *text = nnd_strf("%s\n%s\n", f->url, validator);
    if (!text) return cat_no_memory();
    int rc = nnd_port_file_write_atomic(f->job->origin, text, strlen(text));
    nnd_free(text);
    return nnd_error_from_port(rc, "cannot write", f->job->origin);
}

/* ---- what arrives ------------------------------------------------------------------------ */

static nnd_status wrong_size(const fetch *f, const char *says, uint64_t bytes)
{
    return nnd_error_set(NND_E_FORMAT, "%s %llu bytes, the catalogue says %llu", says,
                         (unsigned long long)bytes, (unsigned long long)f->job->file->size);
}

static nnd_status begin(void *user, const nnd_http_head *head)
{
    fetch *f = user;
    const uint64_t size = f->job->file->size;
    const bool is_part = head->from >= 0;
    if (is_part && (uint64_t)head->from != f->have)
        return nnd_error_set(NND_E_FORMAT, "it sends another part than the one asked for");
    if (is_part && head->total >= 0 && (uint64_t)head->total != size)
        return wrong_size(f, "it has", (uint64_t)head->total);
    if (!is_part) f->have = 0;
    if (head->length >= 0 && (uint64_t)head->length != size - f->have)
        return wrong_size(f, "it announces", (uint64_t)head->length + f->have);
    if (!is_part || f->have == 0) NND_TRY(write_validator(f, head->validator));
    f->resumed = f->have > 0;
    f->wrote = true;
    int rc = nnd_port_file_open(f->job->part, is_part ? "ab" : "wb", &f->out);
    return nnd_error_from_port(rc, "cannot write", f->job->part);
}

static nnd_status body(void *user, const void *bytes, size_t size)
{
    fetch *f = user;
    if (size > f->job->file->size - f->have)
        return wrong_size(f, "it sends more than", f->job->file->size);
    if (fwrite(bytes, 1, size, f->out) != size)
        return nnd_error_set(NND_E_IO, "cannot write '%s' (is the disk full?)", f->job->part);
    f->have += size;
    cat_job_report(f->job, f->address, f->have, f->resumed, false);
    return NND_OK;
}

static nnd_status close_part(fetch *f, nnd_status status)
{
    if (!f->out) return status;
    int rc = nnd_port_file_sync(f->out);
    if (fclose(f->out) != 0 && rc == 0) rc = NND_PORT_E_IO;
    f->out = NULL;
    return status == NND_OK ? nnd_error_from_port(rc, "cannot write", f->job->part) : status;
}

/* One request. Bytes that arrived before a failure stay in part, unless they cannot belong to the
   file. */
static nnd_status attempt(fetch *f)
{
    char validator[sizeof(((nnd_http_head *)0)->validator)];
    nnd_http_head head;
    f->have = cat_job_left(f->job);
    f->resumed = f->have > 0;
    f->wrote = false;
    if (f->have == f->job->file->size) return NND_OK;
    read_validator(f, validator, sizeof validator);
    nnd_http_request request = {
        .url = f->address,
        .offset = f->have,
        .if_range = validator,
        .connect_seconds = f->job->options->connect_seconds,
        .stall_seconds = f->job->options->stall_seconds,
        .cancel = f->job->options->cancel,
        .user = f,
        .begin = begin,
        .body = body,
    };
    nnd_status status = close_part(f, nnd_http_get(&request, &head));
    /* The server cannot continue: its file is shorter, or another one. */
    const bool cannot_continue = head.status == 416;
    if ((status == NND_E_FORMAT && f->wrote) || cannot_continue) cat_job_drop_part(f->job);
    if (status == NND_OK && f->have < f->job->file->size) {
        cat_job_drop_part(f->job);
        return wrong_size(f, "it ends after", f->have);
    }
    return status;
}

/* ---- attempts ---------------------------------------------------------------------------- */

static bool may_pass(nnd_status status)
{
    return status == NND_E_CLOSED || status == NND_E_TIMEOUT || status == NND_E_AGAIN;
}

static nnd_status wait_ms(const cat_job *job, int64_t ms)
{
    const int64_t end = nnd_port_now() + (ms < LONGEST_PAUSE_MS ? ms : LONGEST_PAUSE_MS) * MS;
    while (nnd_port_now() < end) {
        nnd_status status = nnd_cancel_check(job->options->cancel);
        if (status != NND_OK) return nnd_error_set(status, "the download was cancelled");
        nnd_port_sleep(20 * MS);
    }
    return NND_OK;
}

/* Attempts that bring next to nothing are counted; others may be as many as the file has pieces. */
static nnd_status try_often(fetch *f)
{
    const nnd_pull_options *o = f->job->options;
    uint64_t most = cat_job_left(f->job);
    int in_vain = 0;
    for (;;) {
        nnd_status status = attempt(f);
        if (!may_pass(status) || nnd_cancel_check(o->cancel) != NND_OK) return status;
        uint64_t left = cat_job_left(f->job);
        in_vain = left >= most + WORTH_AN_ATTEMPT ? 0 : in_vain + 1;
        if (left > most) most = left;
        if (o->retries == 0 || in_vain > o->retries) return status;
        nnd_log(NND_LOG_INFO, "catalog", "%s broke off at byte %llu, trying again", f->address,
                (unsigned long long)left);
        int doublings = in_vain < 1 ? 0 : in_vain < 16 ? in_vain - 1 : 15;
        NND_TRY(wait_ms(f->job, (int64_t)o->pause_ms << doublings));
    }
}

static nnd_status fetch_and_finish(fetch *f)
{
    NND_TRY(try_often(f));
    nnd_status status = cat_job_finish(f->job, f->address);
    if (status != NND_E_FORMAT || !f->resumed) return status;
    /* Pieces that do not fit together say nothing about the source: once more, from the start. */
    NND_TRY(try_often(f));
    return cat_job_finish(f->job, f->address);
}

nnd_status cat_fetch(const cat_job *job, const char *url)
{
    fetch f = {.job = job, .url = url, .address = cat_url_expand(url)};
    if (!f.address) return cat_no_memory();
    nnd_status status = fetch_and_finish(&f);
    nnd_free(f.address);
    return status;
}
