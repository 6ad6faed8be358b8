#!/usr/bin/env bash
# Compares our declaration of ONNX Runtime's C ABI with the official header: every position in the
# function table, every signature, every constant. Exit 77 (skipped) where no header is installed.
#   tests/infer/check_ort_abi.sh [folder with onnxruntime_c_api.h]
# The folder also comes from NNDEPLOY_ONNXRUNTIME_INCLUDE; else the usual places are tried.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
include=""
for dir in "${1:-}" "${NNDEPLOY_ONNXRUNTIME_INCLUDE:-}" "$root/build/onnxruntime/include" \
    /usr/include/onnxruntime /usr/include/onnxruntime/core/session /usr/local/include/onnxruntime \
    /usr/local/include; do
    if [ -n "$dir" ] && [ -f "$dir/onnxruntime_c_api.h" ]; then
        include=$dir
        break
    fi
done
if [ -z "$include" ]; then
    echo "skipped: no onnxruntime_c_api.h is installed (NNDEPLOY_ONNXRUNTIME_INCLUDE names its folder)"
    exit 77
fi

ours=$root/src/infer/backends/onnxruntime/ort_abi.h
functions=$(grep -oE 'NND_ORT_CALL \*[A-Z][A-Za-z0-9_]+\)' "$ours" | sed -E 's/.*\*([A-Za-z0-9_]+)\)/\1/' |
    grep -vxE 'Alloc|Free|Info|GetApi|GetVersionString')
program=$(mktemp --suffix=.c)
trap 'rm -f "$program"' EXIT
{
    cat <<'C'
#include <onnxruntime_c_api.h>

#include "infer/backends/onnxruntime/ort_abi.h"

#define SAME_MEMBER(theirs, ours, name)                                                            \
    _Static_assert(offsetof(theirs, name) == offsetof(ours, name), #name ": another position");    \
    _Static_assert(__builtin_types_compatible_p(__typeof__(((theirs *)0)->name),                   \
                                                __typeof__(((ours *)0)->name)),                    \
                   #name ": another signature")
#define SAME_VALUE(theirs, ours) _Static_assert((int)(theirs) == (int)(ours), #theirs)
_Static_assert(ORT_API_VERSION >= NND_ORT_API_NEWEST, "this header is older than what we use");
SAME_MEMBER(OrtAllocator, nnd_ort_allocator, version);
SAME_MEMBER(OrtAllocator, nnd_ort_allocator, Alloc);
SAME_MEMBER(OrtAllocator, nnd_ort_allocator, Free);
SAME_MEMBER(OrtAllocator, nnd_ort_allocator, Info);
_Static_assert(offsetof(OrtApiBase, GetApi) == offsetof(nnd_ort_api_base, GetApi), "GetApi");
SAME_MEMBER(OrtApiBase, nnd_ort_api_base, GetVersionString);
_Static_assert(__builtin_types_compatible_p(OrtLoggingFunction *, nnd_ort_log_fn) ||
                   __builtin_types_compatible_p(OrtLoggingFunction, nnd_ort_log_fn),
               "log function");
C
    for pair in FAIL INVALID_ARGUMENT NO_SUCHFILE NO_MODEL INVALID_PROTOBUF NOT_IMPLEMENTED INVALID_GRAPH EP_FAIL; do
        echo "SAME_VALUE(ORT_$pair, NND_ORT_$pair);"
    done
    for pair in VERBOSE INFO WARNING ERROR; do
        echo "SAME_VALUE(ORT_LOGGING_LEVEL_$pair, NND_ORT_LOG_$pair);"
    done
    for pair in DISABLE_ALL=OPTIMIZE_NONE ENABLE_BASIC=OPTIMIZE_BASIC ENABLE_EXTENDED=OPTIMIZE_EXTENDED \
        ENABLE_ALL=OPTIMIZE_ALL; do
        echo "SAME_VALUE(ORT_${pair%=*}, NND_ORT_${pair#*=});"
    done
    echo "SAME_VALUE(OrtDeviceAllocator, NND_ORT_DEVICE_ALLOCATOR);"
    echo "SAME_VALUE(OrtMemTypeDefault, NND_ORT_MEMORY_DEFAULT);"
    for pair in TENSOR SEQUENCE MAP OPTIONAL; do
        echo "SAME_VALUE(ONNX_TYPE_$pair, NND_ORT_KIND_$pair);"
    done
    elements="FLOAT=F32 UINT8=U8 INT8=I8 UINT16=U16 INT16=I16 INT32=I32 INT64=I64 STRING=STRING BOOL=BOOL"
    elements="$elements FLOAT16=F16 DOUBLE=F64 UINT32=U32 UINT64=U64 COMPLEX64=C64 COMPLEX128=C128 BFLOAT16=BF16"
    elements="$elements FLOAT8E4M3FN=F8E4M3FN FLOAT8E4M3FNUZ=F8E4M3FNUZ FLOAT8E5M2=F8E5M2 FLOAT8E5M2FNUZ=F8E5M2FNUZ"
    elements="$elements UINT4=U4 INT4=I4 FLOAT4E2M1=F4E2M1 UINT2=U2 INT2=I2 FLOAT8E8M0=F8E8M0"
    for pair in $elements; do
        # Types that this version of the header does not have yet are left out.
        grep -q "ONNX_TENSOR_ELEMENT_DATA_TYPE_${pair%=*}\b" "$include/onnxruntime_c_api.h" &&
            echo "SAME_VALUE(ONNX_TENSOR_ELEMENT_DATA_TYPE_${pair%=*}, NND_ORT_${pair#*=});"
    done
    for f in $functions; do
        echo "SAME_MEMBER(struct OrtApi, nnd_ort_api, $f);"
    done
} >"$program"
if ! ${CC:-cc} -std=gnu11 -fsyntax-only -I"$include" -I"$root/src" "$program"; then
    echo "our declaration differs from $include/onnxruntime_c_api.h" >&2
    exit 1
fi
version=$(sed -nE 's/^#define ORT_API_VERSION ([0-9]+).*/\1/p' "$include/onnxruntime_c_api.h")
echo "$(echo "$functions" | wc -l) functions agree with the header of version $version"
