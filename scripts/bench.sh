#!/usr/bin/env bash
# make bench: every figure that the documentation states, with its peer where one is installed.
#   scripts/bench.sh            everything
#   scripts/bench.sh sizes|start|to_tensor|ops|kernels|engine|ort|sched
# Nothing here passes or fails by time; the targets are printed beside the figures.
set -eu
cd "$(dirname "$0")/.."
if [ -z "${NNDEPLOY_TEST_DATA:-}" ] && [ -d ../shared/models ]; then
    NNDEPLOY_TEST_DATA=$(cd ../shared && pwd)
    export NNDEPLOY_TEST_DATA
fi
build=build/bench
cmake --preset bench >/dev/null
cmake --build --preset bench -j "$(nproc)" | grep -E 'warning:|error:' || true

head() { printf '\n== %s\n' "$*"; }

sizes() {
    head "Sizes (release; targets: command < 8 MB, machine code of the core rooms < 250 KB)"
    strip -o "$build/nndeploy.stripped" "$build/nndeploy"
    printf 'nndeploy, stripped      %7d KB\n' $(($(stat -c %s "$build/nndeploy.stripped") / 1024))
    printf 'libnndeploy.so          %7d KB\n' $(($(stat -L -c %s "$build/libnndeploy.so") / 1024))
    local total=0 tables=0 room code all
    for room in port base sched device data workflow; do
        code=$(size -A "$build/libnnd_$room.a" | awk '/^\.text/ {t += $2} END {print t + 0}')
        all=$(size "$build/libnnd_$room.a" | awk 'NR > 1 {t += $1} END {print t + 0}')
        printf '%-9s machine code %7.1f KB, with constants and unwind tables %7.1f KB\n' "$room" \
            "$(awk -v b="$code" 'BEGIN {print b / 1024}')" "$(awk -v b="$all" 'BEGIN {print b / 1024}')"
        total=$((total + code)) tables=$((tables + all))
    done
    printf 'core      machine code %7.1f KB, with constants and unwind tables %7.1f KB\n' \
        "$(awk -v b="$total" 'BEGIN {print b / 1024}')" "$(awk -v b="$tables" 'BEGIN {print b / 1024}')"
}

# Best and median of 25 starts, in milliseconds.
time_command() {
    local i from to
    for i in $(seq 25); do
        from=$(date +%s%N)
        "$@" >/dev/null
        to=$(date +%s%N)
        echo $(((to - from) / 1000))
    done | sort -n | awk '{v[NR] = $1} END {printf "best %.1f ms, median %.1f ms\n", v[1] / 1000, v[int((NR + 1) / 2)] / 1000}'
}

start() {
    head "Process start to result (target for the face workflow: < 80 ms)"
    local out=$build/start
    mkdir -p "$out"
    printf 'read-digits on meter.jpg (drawn):  '
    time_command "$build/nndeploy" run workflows/read-digits.json --input image=examples/media/meter.jpg \
        --output picture="$out/meter.jpg" --output text="$out/meter.txt"
    if [ -z "${NNDEPLOY_TEST_DATA:-}" ]; then
        echo "face-detection: skipped, NNDEPLOY_TEST_DATA is not set"
        return
    fi
    export NNDEPLOY_MODELS="$NNDEPLOY_TEST_DATA/models"
    printf 'face-detection on faces_1.jpg:     '
    time_command "$build/nndeploy" run workflows/face-detection.json --input "image=$NNDEPLOY_TEST_DATA/media/faces_1.jpg" --json
    printf 'the same with the drawn picture:   '
    time_command "$build/nndeploy" run workflows/face-detection.json --input "image=$NNDEPLOY_TEST_DATA/media/faces_1.jpg" \
        --output picture="$out/faces.jpg" --json
}

to_tensor() {
    head "Fused to_tensor, 1080p BGR → 640 × 640, one thread (target: 3 × OpenCV)"
    bench/ops/run_to_tensor.sh "$build" || true
}
ops() {
    head "Operators, one thread: the reference and how much faster each instruction set is"
    "$build/bench/bench_ops_kernels"
}
kernels() {
    head "Kernels of the engine, one thread"
    "$build/bench/bench_engine_kernels"
}
engine() {
    head "The built-in engine next to ONNX Runtime"
    bench/engine/run.sh
}
ort() {
    head "The adapter over ONNX Runtime next to plain C on the same library (target: at most 2 %, no copies)"
    if [ -z "${NNDEPLOY_TEST_DATA:-}" ]; then
        echo "skipped, NNDEPLOY_TEST_DATA is not set"
        return
    fi
    [ -n "${NNDEPLOY_ONNXRUNTIME:-}" ] || NNDEPLOY_ONNXRUNTIME=$(scripts/get-onnxruntime.sh) || return 0
    export NNDEPLOY_ONNXRUNTIME
    local model
    for model in bench-models/mobilenet_v2.onnx models/mobilenet_v2_qdq/model.onnx; do
        for _ in 1 2 3; do
            "$build/bench/bench_infer_ort_overhead" "$NNDEPLOY_TEST_DATA/$model" 1 400
        done
    done
    echo "A model of 30 us shows what a run costs beside the library:"
    "$build/bench/bench_infer_ort_overhead" "$NNDEPLOY_TEST_DATA/models/mnist_cnn/model.onnx" 1 2000
}
sched() {
    head "Gangs, tasks, cancel tokens"
    "$build/bench/bench_sched_gang"
}

case "${1:-all}" in
all)
    sizes
    start
    to_tensor
    ops
    kernels
    engine
    ort
    sched
    ;;
sizes | start | to_tensor | ops | kernels | engine | ort | sched) "$1" ;;
*)
    sed -n '2,5p' "$0" | sed 's/^# //' >&2
    exit 2
    ;;
esac
