#!/usr/bin/env bash
# Compares our declaration of OpenJPEG's C interface with the official header: numbers, structs,
# signatures. Exit 77 (skipped) where no header is installed.
#   tests/ops/check_openjpeg_abi.sh [folder with openjpeg.h]
# The folder also comes from NNDEPLOY_OPENJPEG_INCLUDE; else the usual ones are tried.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
include=${1:-${NNDEPLOY_OPENJPEG_INCLUDE:-}}
for folder in /usr/include/openjpeg-2.* /usr/local/include/openjpeg-2.*; do
    [ -n "$include" ] || [ ! -f "$folder/openjpeg.h" ] || include=$folder
done
flags=(-std=gnu11 -fsyntax-only "-I$root/src" -Wno-deprecated-declarations)
[ -z "$include" ] || flags+=("-isystem$include")
if ! echo '#include <openjpeg.h>' | ${CC:-cc} "${flags[@]}" -x c - 2>/dev/null; then
    echo "skipped: no openjpeg.h is installed (NNDEPLOY_OPENJPEG_INCLUDE names the folder it lies in)"
    exit 77
fi
if ! ${CC:-cc} "${flags[@]}" -x c - <<'C'; then
#include <openjpeg.h>

#include "ops/codec/openjpeg_abi.h"

#define SAME(a, b) _Static_assert((long long)(a) == (long long)(b), #a)
#define SAME_PLACE(theirs, ours, field) \
    SAME(offsetof(theirs, field), offsetof(ours, field)); \
    _Static_assert(sizeof(((theirs *)0)->field) == sizeof(((ours *)0)->field), #field)
#define COMPONENT(field) SAME_PLACE(opj_image_comp_t, nnd_opj_component, field)
#define IMAGE(field) SAME_PLACE(opj_image_t, nnd_opj_image, field)
/* Signatures with the types compared above are spelled out in their words. */
#define SAME_TYPE(theirs, type) _Static_assert(__builtin_types_compatible_p(__typeof__(theirs) *, type), #theirs)

SAME(OPJ_CODEC_J2K, NND_OPJ_CODEC_J2K);
SAME(OPJ_CODEC_JP2, NND_OPJ_CODEC_JP2);
SAME(OPJ_CLRSPC_SYCC, NND_OPJ_SYCC);
SAME(sizeof(OPJ_COLOR_SPACE), sizeof(int));
SAME(sizeof(OPJ_CODEC_FORMAT), sizeof(int));
SAME(sizeof(opj_image_comp_t), sizeof(nnd_opj_component));
COMPONENT(dx);
COMPONENT(dy);
COMPONENT(w);
COMPONENT(h);
COMPONENT(x0);
COMPONENT(y0);
COMPONENT(prec);
COMPONENT(sgnd);
COMPONENT(data);
COMPONENT(alpha);
SAME(sizeof(opj_image_t), sizeof(nnd_opj_image));
IMAGE(numcomps);
IMAGE(color_space);
IMAGE(comps);
_Static_assert(sizeof(opj_dparameters_t) <= sizeof(nnd_opj_parameters), "parameters");
_Static_assert(_Alignof(opj_dparameters_t) <= _Alignof(nnd_opj_parameters), "parameters");
SAME_TYPE(opj_stream_create, nnd_opj_stream_create_fn);
SAME_TYPE(opj_stream_destroy, nnd_opj_stream_destroy_fn);
SAME_TYPE(opj_stream_set_read_function, nnd_opj_stream_set_read_fn);
SAME_TYPE(opj_stream_set_skip_function, nnd_opj_stream_set_skip_fn);
SAME_TYPE(opj_stream_set_seek_function, nnd_opj_stream_set_seek_fn);
SAME_TYPE(opj_stream_set_user_data, nnd_opj_stream_set_user_fn);
SAME_TYPE(opj_stream_set_user_data_length, nnd_opj_stream_set_length_fn);
SAME_TYPE(opj_create_decompress, opj_codec_t *(*)(OPJ_CODEC_FORMAT));
SAME_TYPE(opj_destroy_codec, nnd_opj_destroy_codec_fn);
SAME_TYPE(opj_set_error_handler, nnd_opj_set_handler_fn);
SAME_TYPE(opj_set_default_decoder_parameters, void (*)(opj_dparameters_t *));
SAME_TYPE(opj_setup_decoder, OPJ_BOOL (*)(opj_codec_t *, opj_dparameters_t *));
SAME_TYPE(opj_read_header, OPJ_BOOL (*)(opj_stream_t *, opj_codec_t *, opj_image_t **));
SAME_TYPE(opj_decode, OPJ_BOOL (*)(opj_codec_t *, opj_stream_t *, opj_image_t *));
SAME_TYPE(opj_end_decompress, nnd_opj_end_decompress_fn);
SAME_TYPE(opj_image_destroy, void (*)(opj_image_t *));
C
    echo "our declaration differs from the header" >&2
    exit 1
fi
echo "3 numbers, 2 structs and 16 functions agree with the header"
