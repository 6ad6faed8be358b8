#!/usr/bin/env bash
# Compares our declaration of ncnn's C API with the official header: every signature, every struct.
# Exit 77 (skipped) where no header is installed.
#   tests/infer/check_ncnn_abi.sh [folder with ncnn/c_api.h]
# The folder also comes from NNDEPLOY_NCNN_INCLUDE; else the usual places are tried.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
include=""
for dir in "${1:-}" "${NNDEPLOY_NCNN_INCLUDE:-}" /usr/include /usr/local/include; do
    if [ -n "$dir" ] && [ -f "$dir/ncnn/c_api.h" ]; then
        include=$dir
        break
    fi
done
if [ -z "$include" ]; then
    echo "skipped: no ncnn/c_api.h is installed (NNDEPLOY_NCNN_INCLUDE names its folder)"
    exit 77
fi

program=$(mktemp --suffix=.c)
trap 'rm -f "$program"' EXIT
cat >"$program" <<'C'
#include <ncnn/c_api.h>

#include "infer/backends/ncnn/ncnn_abi.h"

#define SAME_PLACE(a, b)                                                                           \
    _Static_assert(offsetof(struct __ncnn_datareader_t, a) ==                                      \
                       offsetof(struct nnd_ncnn_datareader, b),                                    \
                   #a)
SAME_PLACE(pthis, self);
SAME_PLACE(scan, scan);
SAME_PLACE(read, read);
_Static_assert(sizeof(struct __ncnn_datareader_t) == sizeof(struct nnd_ncnn_datareader), "size");

/* Now that the layout agrees, our signatures are read with their types. */
#define nnd_ncnn_allocator_t ncnn_allocator_t
#define nnd_ncnn_option_t ncnn_option_t
#define nnd_ncnn_mat_t ncnn_mat_t
#define nnd_ncnn_net_t ncnn_net_t
#define nnd_ncnn_extractor_t ncnn_extractor_t
#define nnd_ncnn_datareader_t ncnn_datareader_t
#define SAME_FUNCTION(result, name, params)                                                        \
    _Static_assert(__builtin_types_compatible_p(__typeof__(name), result params), #name);
NND_NCNN_FUNCTIONS(SAME_FUNCTION)
C
grep -qs ncnn_option_set_use_bf16_storage "$include/ncnn/c_api.h" &&
    echo "NND_NCNN_LATER_FUNCTIONS(SAME_FUNCTION)" >>"$program"
if ! ${CC:-cc} -std=gnu11 -fsyntax-only -Wno-attributes -I"$include" -I"$include/ncnn" -I"$root/src" "$program"; then
    echo "our declaration differs from $include/ncnn/c_api.h" >&2
    exit 1
fi
functions=$(grep -cE '^    F\(' "$root/src/infer/backends/ncnn/ncnn_abi.h")
echo "$functions functions agree with the header in $include"
