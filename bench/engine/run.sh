#!/usr/bin/env bash
# make bench-engine: the built-in engine next to ONNX Runtime, alternating in one run.
#   bench/engine/run.sh                    all models
#   bench/engine/run.sh resnet18 vgg16     models whose names begin so
# THREADS=1,2 and SECONDS_EACH=2 (per row) may be set; CPU_TIME=1 counts processor time, for machines
# with other work (with THREADS=1). Topologies of $NNDEPLOY_TEST_DATA/bench-models
# are expanded to random weights below build/ once; needs python3 with onnx and numpy for that.
set -eu
cd "$(dirname "$0")/../.."
if [ -z "${NNDEPLOY_TEST_DATA:-}" ] && [ -d ../shared/bench-models ]; then
    NNDEPLOY_TEST_DATA=$(cd ../shared && pwd)
fi
if [ -z "${NNDEPLOY_TEST_DATA:-}" ] || [ ! -d "$NNDEPLOY_TEST_DATA/bench-models" ]; then
    echo "skipped: no folder bench-models below NNDEPLOY_TEST_DATA"
    exit 0
fi
if [ -z "${NNDEPLOY_ONNXRUNTIME:-}" ] && [ -d build/onnxruntime ]; then
    NNDEPLOY_ONNXRUNTIME=$(scripts/get-onnxruntime.sh) && export NNDEPLOY_ONNXRUNTIME
fi
python=
for candidate in python3 /usr/bin/python3; do
    if "$candidate" -c 'import onnx, numpy' 2>/dev/null; then python=$candidate; fi
done
if [ -z "$python" ]; then
    echo "skipped: no python3 with the packages onnx and numpy (Debian: python3-onnx)"
    exit 0
fi

build=build/bench
models=build/bench-models
cmake --preset bench >/dev/null
cmake --build --preset bench -j "$(nproc)" --target bench_engine_onnxruntime | grep -E 'warning:|error:' || true
"$python" bench/engine/expand_models.py "$models" "$NNDEPLOY_TEST_DATA"/bench-models/*.onnx \
    "$NNDEPLOY_TEST_DATA"/bench-models/onnx-light/*.onnx

compare() {
    "$build/bench/bench_engine_onnxruntime" --threads "${THREADS:-1,2}" \
        --seconds "${SECONDS_EACH:-2}" ${CPU_TIME:+--cpu-time} "$@"
}

# Files of a group whose names begin with one of the wanted ones (all when none is wanted).
wanted=("$@")
choose() {
    local file name w
    chosen=()
    for file in "$@"; do
        [ -e "$file" ] || continue
        name=$(basename "$file" .onnx)
        [ "$name" != model ] || name=$(basename "$(dirname "$file")")
        if [ ${#wanted[@]} -eq 0 ]; then chosen+=("$file"); fi
        for w in "${wanted[@]}"; do
            case "$name" in "$w"*) chosen+=("$file") ;; esac
        done
    done
}

group() {
    local title=$1
    shift
    choose "$@"
    [ ${#chosen[@]} -gt 0 ] || return 0
    printf '\n== %s\n' "$title"
    compare "${chosen[@]}"
}

mapfile -t nets < <(find "$models" -name '*.onnx' ! -name '*.external.onnx' ! -name 'light_*' | sort)
mapfile -t light < <(find "$models" -name 'light_*.onnx' ! -name '*.external.onnx' | sort)
mapfile -t external < <(find "$models" -name '*.external.onnx' ! -name 'light_*' | sort)
mapfile -t real < <(find "$NNDEPLOY_TEST_DATA/models" -name model.onnx 2>/dev/null | sort)
group "Networks with random weights" "${nets[@]}"
group "The same with external data" "${external[@]}"
group "More networks with random weights" "${light[@]}"
group "Real models" "${real[@]}"
