#!/usr/bin/env bash
# Compares our declaration of PCRE2's C interface with the official header: every number, every
# signature. Exit 77 (skipped) where no header is installed.
#   tests/nodes/check_pcre2_abi.sh [folder with pcre2.h]
# The folder also comes from NNDEPLOY_PCRE2_INCLUDE; else the compiler's own places are tried.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
include=${1:-${NNDEPLOY_PCRE2_INCLUDE:-}}
flags=(-std=gnu11 -fsyntax-only -DPCRE2_CODE_UNIT_WIDTH=8 "-I$root/src")
[ -z "$include" ] || flags+=("-I$include")
if ! echo '#include <pcre2.h>' | ${CC:-cc} "${flags[@]}" -x c - 2>/dev/null; then
    echo "skipped: no pcre2.h is installed (NNDEPLOY_PCRE2_INCLUDE names the folder it lies in)"
    exit 77
fi

ours=$root/src/nodes/infer/regex/pcre2_abi.h
program=$(mktemp --suffix=.c)
trap 'rm -f "$program"' EXIT
{
    cat <<'C'
#include <pcre2.h>

#include "nodes/infer/regex/pcre2_abi.h"

#define SAME_VALUE(name) _Static_assert((long long)(name) == (long long)(NND_##name), #name)
/* Every handle is a pointer, every size a size_t and every unit a byte. */
#define SAME_TYPE(theirs, type) _Static_assert(__builtin_types_compatible_p(__typeof__(theirs) *, type), #theirs)
_Static_assert(sizeof(PCRE2_SIZE) == sizeof(size_t) && sizeof(PCRE2_UCHAR) == 1, "units");
SAME_TYPE(pcre2_compile_context_create, pcre2_compile_context *(*)(pcre2_general_context *));
SAME_TYPE(pcre2_compile_context_free, void (*)(pcre2_compile_context *));
SAME_TYPE(pcre2_set_newline, int (*)(pcre2_compile_context *, uint32_t));
SAME_TYPE(pcre2_compile, pcre2_code *(*)(const uint8_t *, size_t, uint32_t, int *, size_t *, pcre2_compile_context *));
SAME_TYPE(pcre2_code_free, void (*)(pcre2_code *));
SAME_TYPE(pcre2_match_context_create, pcre2_match_context *(*)(pcre2_general_context *));
SAME_TYPE(pcre2_match_context_free, void (*)(pcre2_match_context *));
SAME_TYPE(pcre2_set_match_limit, int (*)(pcre2_match_context *, uint32_t));
SAME_TYPE(pcre2_set_depth_limit, int (*)(pcre2_match_context *, uint32_t));
SAME_TYPE(pcre2_set_heap_limit, int (*)(pcre2_match_context *, uint32_t));
SAME_TYPE(pcre2_match_data_create, pcre2_match_data *(*)(uint32_t, pcre2_general_context *));
SAME_TYPE(pcre2_match_data_free, void (*)(pcre2_match_data *));
SAME_TYPE(pcre2_match, int (*)(const pcre2_code *, const uint8_t *, size_t, size_t, uint32_t, pcre2_match_data *, pcre2_match_context *));
SAME_TYPE(pcre2_dfa_match, int (*)(const pcre2_code *, const uint8_t *, size_t, size_t, uint32_t, pcre2_match_data *, pcre2_match_context *, int *, size_t));
SAME_TYPE(pcre2_get_ovector_pointer, size_t *(*)(pcre2_match_data *));
SAME_TYPE(pcre2_get_error_message, int (*)(int, uint8_t *, size_t));
C
    for n in $(grep -oE '^#define NND_PCRE2_[A-Z0-9_]+ +[(0-9]' "$ours" | sed -E 's/#define NND_([A-Z0-9_]+).*/\1/'); do
        echo "SAME_VALUE($n);"
    done
} >"$program"
if ! ${CC:-cc} "${flags[@]}" "$program"; then
    echo "our declaration differs from the header" >&2
    exit 1
fi
echo "$(grep -c "^SAME_VALUE" "$program") numbers and $(grep -c '^SAME_TYPE' "$program") functions agree with the header"
