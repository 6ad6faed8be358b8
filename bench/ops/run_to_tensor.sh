#!/bin/sh
# Fused to_tensor against OpenCV's resize + cvtColor + blobFromImage: 1080p BGR u8 -> 640 x 640 f32
# NCHW, one thread, in turns. Usage: bench/ops/run_to_tensor.sh BUILD_DIR [TURNS]
# Prints both sides' median over the turns and the ratio; fails when it is below 3.
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
median() { grep "^$1 " "$log" | awk '{print $(NF-1)}' | sort -n | awk '{v[NR]=$1} END {print v[int((NR+1)/2)]}'; }
mine=$(median "to_tensor [a-z0-9_]* bgr")
blob=$(median "opencv blob")
echo "to_tensor bgr   $mine ms  ($(grep '^to_tensor' "$log" | awk '{print $2; exit}'))"
echo "to_tensor bgr   $(median 'lowered to_tensor avx2 bgr') ms  (avx2)"
echo "to_tensor nv12  $(median 'to_tensor [a-z0-9_]* nv12') ms"
echo "opencv resize + cvtColor + blobFromImage  $blob ms"
if grep -q "^opencv split" "$log"; then
    split=$(median "opencv split")
    echo "opencv resize + cvtColor + convertTo + split  $split ms"
    awk -v a="$split" -v b="$mine" 'BEGIN {printf "ratio to split  %.2f\n", a / b}'
fi
awk -v a="$blob" -v b="$mine" 'BEGIN {printf "ratio  %.2f\n", a / b; exit a / b < 3}'
