#!/usr/bin/env bash
# make demo: reads the digits of a meter and the text of a page, with recognisers of our own, without
# network or further data.
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
echo "Reading examples/media/page.jpg with workflows/read-page.json:"
build/release/nndeploy run workflows/read-page.json --input image=examples/media/page.jpg \
    --output text="$out/page.txt" --output picture="$out/page.jpg" --output lines="$out/page.json"
echo
cat "$out/page.txt"
echo
echo "Written: $out/meter.txt (the text), $out/meter.jpg (the picture with what was read), $out/meter.json (each digit);"
echo "         $out/page.txt, $out/page.jpg, $out/page.json (each line)."
echo "Try:     build/release/nndeploy run workflows/read-digits.json --input image=examples/media/sheet.png"
