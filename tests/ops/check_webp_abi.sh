#!/usr/bin/env bash
# Compares our declaration of libwebp's C interface with the official header: numbers, the struct,
# signatures. Exit 77 (skipped) where no header is installed.
#   tests/ops/check_webp_abi.sh [folder with webp/decode.h]
# The folder also comes from NNDEPLOY_WEBP_INCLUDE; else the compiler's own places are tried.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
include=${1:-${NNDEPLOY_WEBP_INCLUDE:-}}
flags=(-std=gnu11 -fsyntax-only "-I$root/src")
[ -z "$include" ] || flags+=("-I$include")
if ! echo '#include <webp/decode.h>' | ${CC:-cc} "${flags[@]}" -x c - 2>/dev/null; then
    echo "skipped: no webp/decode.h is installed (NNDEPLOY_WEBP_INCLUDE names the folder it lies in)"
    exit 77
fi
if ! ${CC:-cc} "${flags[@]}" -x c - <<'C'; then
#include <webp/decode.h>

#include "ops/codec/webp_abi.h"

#define SAME_PLACE(field) \
    _Static_assert(offsetof(WebPBitstreamFeatures, field) == offsetof(nnd_webp_features, field), #field)
#define SAME_TYPE(theirs, type) _Static_assert(__builtin_types_compatible_p(__typeof__(theirs) *, type), #theirs)
_Static_assert(WEBP_DECODER_ABI_VERSION >> 8 == NND_WEBP_ABI_VERSION >> 8, "version");
_Static_assert((int)VP8_STATUS_OK == (int)NND_WEBP_OK && sizeof(VP8StatusCode) == sizeof(int), "status");
_Static_assert(sizeof(WebPBitstreamFeatures) == sizeof(nnd_webp_features), "features");
SAME_PLACE(width);
SAME_PLACE(height);
SAME_PLACE(has_alpha);
SAME_PLACE(has_animation);
SAME_PLACE(format);
SAME_TYPE(WebPGetFeaturesInternal, VP8StatusCode (*)(const uint8_t *, size_t, WebPBitstreamFeatures *, int));
SAME_TYPE(WebPDecodeRGBInto, nnd_webp_decode_into_fn);
SAME_TYPE(WebPDecodeRGBAInto, nnd_webp_decode_into_fn);
C
    echo "our declaration differs from the header" >&2
    exit 1
fi
echo "the version, the struct and 3 functions agree with the header"
