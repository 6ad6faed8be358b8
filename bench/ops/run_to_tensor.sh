#!/bin/sh
# Fused to_tensor against OpenCV's resize + cvtColor + blobFromImage: 1080p BGR u8 -> 640 x 640 f32
# NCHW, one thread, in turns. Usage: bench/ops/run_to_tensor.sh BUILD_DIR [TURNS]
# Prints each side's best and median time over all turns and the ratio of the best ones, which a busy
# machine disturbs least; fails when it is below 3.
set -eu
build=${1:?usage: run_to_tensor.sh BUILD_DIR [TURNS]}
turns=${2:-7}
here=$(dirname "$0")
ours=$build/bench/bench_ops_to_tensor
peer=$build/bench/ops/peer_opencv_to_tensor
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for turn in $(seq "$turns"); do
    "$ours" 60 bgr >>"$log"
    NNDEPLOY_ISA=avx2 "$ours" 60 bgr | sed 's/^/lowered /' >>"$log"
    "$ours" 60 nv12 >>"$log"
    if [ -x "$peer" ]; then
        "$peer" 30 >>"$log"
    else
        /usr/bin/python3 "$here/opencv_to_tensor.py" 30 >>"$log"
    fi
done
# column PATTERN FIELD: the sorted values of a field, counted from the line's end
column() { grep "^$1 " "$log" | awk -v f="$2" '{print $(NF-f)}' | sort -n; }
best() { column "$1" 0 | head -n 1; }
median() { column "$1" 1 | awk '{v[NR]=$1} END {print v[int((NR+1)/2)]}'; }
show() { printf '%-44s best %s ms  median %s ms\n' "$1" "$(best "$2")" "$(median "$2")"; }
isa=$(grep '^to_tensor' "$log" | awk '{print $2; exit}')
show "to_tensor bgr ($isa)" "to_tensor [a-z0-9_]* bgr"
show "to_tensor bgr (avx2)" "lowered to_tensor avx2 bgr"
show "to_tensor nv12 ($isa)" "to_tensor [a-z0-9_]* nv12"
show "opencv resize + cvtColor + blobFromImage" "opencv blob"
mine=$(best "to_tensor [a-z0-9_]* bgr")
if grep -q "^opencv split" "$log"; then
    show "opencv resize + cvtColor + convertTo + split" "opencv split"
    awk -v a="$(best "opencv split")" -v b="$mine" 'BEGIN {printf "ratio to split  %.2f\n", a / b}'
fi
awk -v a="$(best "opencv blob")" -v b="$mine" 'BEGIN {printf "ratio  %.2f\n", a / b; exit a / b < 3}'
