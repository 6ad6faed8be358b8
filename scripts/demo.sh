#!/usr/bin/env bash
# make demo: reads the digits of a picture, with our own recogniser, without network or further data.
set -eu
cd "$(dirname "$0")/.."
scripts/setup.sh
cmake --preset release >/dev/null
cmake --build --preset release --target nndeploy | grep -E "warning:|error:|FAILED" || true
out=out
mkdir -p "$out"
echo "Reading examples/media/meter.jpg with workflows/read-digits.json:"
build/release/nndeploy run workflows/read-digits.json --input image=examples/media/meter.jpg \
    --output text="$out/meter.txt" --output picture="$out/meter.jpg" --output digits="$out/meter.json"
echo
cat "$out/meter.txt"
echo
echo "Written: $out/meter.txt (the text), $out/meter.jpg (the picture with what was read), $out/meter.json (each digit)."
echo "Try:     build/release/nndeploy run workflows/read-digits.json --input image=examples/media/sheet.png"
