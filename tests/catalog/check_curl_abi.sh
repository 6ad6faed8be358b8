#!/usr/bin/env bash
# Compares our declaration of libcurl's C interface with the official header: every number, every
# signature. Exit 77 (skipped) where no header is installed.
#   tests/catalog/check_curl_abi.sh [folder with curl/curl.h]
# The folder also comes from NNDEPLOY_CURL_INCLUDE; else the compiler's own places are tried.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
include=${1:-${NNDEPLOY_CURL_INCLUDE:-}}
flags=(-std=gnu11 -fsyntax-only -Wno-deprecated-declarations "-I$root/src")
[ -z "$include" ] || flags+=("-I$include")
if ! echo '#include <curl/curl.h>' | ${CC:-cc} "${flags[@]}" -x c - 2>/dev/null; then
    echo "skipped: no curl/curl.h is installed (NNDEPLOY_CURL_INCLUDE names the folder it lies in)"
    exit 77
fi

ours=$root/src/catalog/http/curl_abi.h
names() { grep -oE "NND_$1[A-Z_0-9]+ =" "$ours" | sed -E 's/ =//; s/^NND_//'; }
program=$(mktemp --suffix=.c)
trap 'rm -f "$program"' EXIT
{
    cat <<'C'
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

#include "catalog/http/curl_abi.h"

#define SAME_VALUE(theirs, ours) _Static_assert((long)(theirs) == (long)(ours), #theirs)
/* Enumerations travel as int, handles as pointers. */
#define SAME_TYPE(theirs, type) _Static_assert(__builtin_types_compatible_p(__typeof__(theirs) *, type), #theirs)
_Static_assert(sizeof(CURLcode) == sizeof(int) && sizeof(CURLoption) == sizeof(int) && sizeof(CURLINFO) == sizeof(int), "enumerations");
_Static_assert(sizeof(curl_off_t) == sizeof(int64_t), "offsets");
SAME_TYPE(curl_global_init, CURLcode (*)(long));
SAME_TYPE(curl_easy_init, CURL *(*)(void));
SAME_TYPE(curl_easy_setopt, CURLcode (*)(CURL *, CURLoption, ...));
SAME_TYPE(curl_easy_perform, CURLcode (*)(CURL *));
SAME_TYPE(curl_easy_getinfo, CURLcode (*)(CURL *, CURLINFO, ...));
SAME_TYPE(curl_easy_cleanup, void (*)(CURL *));
SAME_TYPE(curl_easy_strerror, const char *(*)(CURLcode));
SAME_TYPE(curl_slist_append, struct curl_slist *(*)(struct curl_slist *, const char *));
SAME_TYPE(curl_slist_free_all, void (*)(struct curl_slist *));
_Static_assert(__builtin_types_compatible_p(curl_write_callback, nnd_curl_write_fn), "write callback");
_Static_assert(__builtin_types_compatible_p(curl_xferinfo_callback, int (*)(void *, curl_off_t, curl_off_t, curl_off_t, curl_off_t)), "progress callback");
C
    for n in $(names CURLOPT_) $(names CURLPROTO_) $(names CURLINFO_) $(names CURL_ERROR_SIZE) $(names CURL_GLOBAL_); do
        echo "SAME_VALUE($n, NND_$n);"
    done
    for n in $(names CURL_ | grep -vE '^CURL_(ERROR_SIZE|GLOBAL_ALL)$'); do
        echo "SAME_VALUE(CURLE_${n#CURL_}, NND_$n);"
    done
    echo "SAME_VALUE(CURL_ERROR_SIZE, NND_CURL_ERROR_SIZE);"
} >"$program"
if ! ${CC:-cc} "${flags[@]}" "$program"; then
    echo "our declaration differs from the header" >&2
    exit 1
fi
echo "$(grep -c "^SAME_VALUE" "$program") numbers and $(grep -c '^SAME_TYPE' "$program") functions agree with the header"
