#!/usr/bin/env bash
# Compares our declaration of OpenVINO's C ABI with the official headers: every signature, every
# struct, every constant. Exit 77 (skipped) where no headers are installed.
#   tests/infer/check_ov_abi.sh [folder with openvino/c/openvino.h]
# The folder also comes from NNDEPLOY_OPENVINO_INCLUDE; else the usual places are tried.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
include=""
for dir in "${1:-}" "${NNDEPLOY_OPENVINO_INCLUDE:-}" "$root/build/openvino/package/openvino/include" \
    /opt/intel/openvino/runtime/include /usr/include /usr/local/include; do
    if [ -n "$dir" ] && [ -f "$dir/openvino/c/openvino.h" ]; then
        include=$dir
        break
    fi
done
if [ -z "$include" ]; then
    echo "skipped: no openvino/c/openvino.h is installed (NNDEPLOY_OPENVINO_INCLUDE names its folder)"
    exit 77
fi

program=$(mktemp --suffix=.c)
trap 'rm -f "$program"' EXIT
cat >"$program" <<'C'
#include <openvino/c/openvino.h>

#include "infer/backends/openvino/ov_abi.h"

#define SAME_SIZE(theirs, ours) _Static_assert(sizeof(theirs) == sizeof(ours), #theirs)
#define SAME_PLACE(theirs, a, ours, b)                                                             \
    _Static_assert(offsetof(theirs, a) == offsetof(ours, b) &&                                     \
                       sizeof(((theirs *)0)->a) == sizeof(((ours *)0)->b),                         \
                   #theirs "." #a)
SAME_SIZE(ov_version_t, nnd_ov_version);
SAME_PLACE(ov_version_t, buildNumber, nnd_ov_version, build);
SAME_PLACE(ov_version_t, description, nnd_ov_version, description);
SAME_SIZE(ov_available_devices_t, nnd_ov_devices);
SAME_PLACE(ov_available_devices_t, devices, nnd_ov_devices, names);
SAME_PLACE(ov_available_devices_t, size, nnd_ov_devices, count);
SAME_SIZE(ov_shape_t, nnd_ov_shape);
SAME_PLACE(ov_shape_t, rank, nnd_ov_shape, rank);
SAME_PLACE(ov_shape_t, dims, nnd_ov_shape, dims);
SAME_SIZE(ov_dimension_t, nnd_ov_dimension);
SAME_PLACE(ov_dimension_t, min, nnd_ov_dimension, min);
SAME_PLACE(ov_dimension_t, max, nnd_ov_dimension, max);
SAME_SIZE(ov_partial_shape_t, nnd_ov_partial_shape);
SAME_PLACE(ov_partial_shape_t, rank, nnd_ov_partial_shape, rank);
SAME_PLACE(ov_partial_shape_t, dims, nnd_ov_partial_shape, dims);
SAME_SIZE(ov_profiling_info_t, nnd_ov_profile_step);
SAME_PLACE(ov_profiling_info_t, status, nnd_ov_profile_step, status);
SAME_PLACE(ov_profiling_info_t, real_time, nnd_ov_profile_step, real_us);
SAME_PLACE(ov_profiling_info_t, cpu_time, nnd_ov_profile_step, cpu_us);
SAME_PLACE(ov_profiling_info_t, node_name, nnd_ov_profile_step, name);
SAME_PLACE(ov_profiling_info_t, exec_type, nnd_ov_profile_step, kernel);
SAME_PLACE(ov_profiling_info_t, node_type, nnd_ov_profile_step, op);
SAME_SIZE(ov_profiling_info_list_t, nnd_ov_profile);
SAME_PLACE(ov_profiling_info_list_t, profiling_infos, nnd_ov_profile, steps);
SAME_PLACE(ov_profiling_info_list_t, size, nnd_ov_profile, count);
_Static_assert((int)OK == NND_OV_OK, "OK");
_Static_assert((int)RESULT_NOT_READY == NND_OV_NOT_READY, "RESULT_NOT_READY");
_Static_assert((int)INVALID_C_PARAM == NND_OV_INVALID_C_PARAM, "INVALID_C_PARAM");
_Static_assert((int)EXECUTED == NND_OV_STEP_EXECUTED, "EXECUTED");
SAME_SIZE(ov_status_e, nnd_ov_status);
SAME_SIZE(ov_element_type_e, nnd_ov_type);

/* Now that the layouts agree, our signatures are read with their types. */
#define nnd_ov_version ov_version_t
#define nnd_ov_devices ov_available_devices_t
#define nnd_ov_shape ov_shape_t
#define nnd_ov_partial_shape ov_partial_shape_t
#define nnd_ov_profile ov_profiling_info_list_t
#define nnd_ov_core ov_core_t
#define nnd_ov_model ov_model_t
#define nnd_ov_compiled ov_compiled_model_t
#define nnd_ov_request ov_infer_request_t
#define nnd_ov_tensor ov_tensor_t
#define nnd_ov_port ov_output_const_port_t
#define nnd_ov_status ov_status_e
#define nnd_ov_type ov_element_type_e
#define SAME_FUNCTION(result, name, params)                                                        \
    _Static_assert(__builtin_types_compatible_p(__typeof__(name), result params), #name);
NND_OV_FUNCTIONS(SAME_FUNCTION)
C
grep -rqs ov_get_last_err_msg "$include/openvino/c" && echo "NND_OV_LATER_FUNCTIONS(SAME_FUNCTION)" >>"$program"
if ! ${CC:-cc} -std=gnu11 -fsyntax-only -I"$include" -I"$root/src" "$program"; then
    echo "our declaration differs from $include/openvino/c" >&2
    exit 1
fi
functions=$(grep -cE '^    F\(' "$root/src/infer/backends/openvino/ov_abi.h")
echo "$functions functions agree with the headers in $include"
