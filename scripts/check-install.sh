#!/usr/bin/env bash
# Installs the release build into a scratch folder and uses it as a stranger would: headers alone in C
# and C++, a program through pkg-config and through CMake, plug-ins built outside of the tree, only
# nnd_ symbols exported. Needs build/release.
set -eu
cd "$(dirname "$0")/.."
root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix
cmake --install build/release --prefix "$prefix" >/dev/null

so=$(find "$prefix" -name 'libnndeploy.so' | head -n 1)
lib=$(dirname "$so")
foreign=$(nm -D --defined-only "$so" | awk '{print $3}' | grep -v '^nnd_' || true)
[ -z "$foreign" ] || { echo "exported without the nnd_ prefix: $foreign"; exit 1; }

for h in "$prefix"/include/nndeploy/*.h; do
    printf '#include <nndeploy/%s>\n' "$(basename "$h")" >"$work/one.c"
    cc -std=c11 -Wall -Wextra -pedantic -Werror -I"$prefix/include" -fsyntax-only "$work/one.c"
    c++ -std=c++17 -Wall -Wextra -pedantic -Werror -I"$prefix/include" -fsyntax-only -x c++ "$work/one.c"
done

export PKG_CONFIG_PATH=$lib/pkgconfig
for program in run_workflow build_workflow build_model; do
    # shellcheck disable=SC2046
    cc -std=c11 -Wall -Wextra -Werror "examples/$program.c" -o "$work/$program" $(pkg-config --cflags --libs nndeploy) \
        -Wl,-rpath,"$lib"
done
(cd "$work" && ./build_workflow "$root/examples/media/sheet.png" thumbnail.png >log)
[ -s "$work/thumbnail.png" ]
"$work/build_model" "$work" >"$work/log"
grep -q 'y = 0.7979 0.1780 0.0241' "$work/log" || { echo "examples/build_model gave something else:"; cat "$work/log"; exit 1; }
[ -s "$work/classify.nnd.json" ] && [ -s "$work/classify.safetensors" ]
"$work/run_workflow" workflows/read-digits.json examples/media/meter.jpg >"$work/run.json"
grep -q '0358926' "$work/run.json" || { echo "the program built with pkg-config read something else:"; cat "$work/run.json"; exit 1; }

mkdir "$work/consumer"
cp examples/run_workflow.c "$work/consumer/"
cat >"$work/consumer/CMakeLists.txt" <<'C'
cmake_minimum_required(VERSION 3.16)
project(consumer C)
find_package(nndeploy 1.0 REQUIRED)
add_executable(shared_program run_workflow.c)
target_link_libraries(shared_program nndeploy::nndeploy)
add_executable(static_program run_workflow.c)
target_link_libraries(static_program nndeploy::static)
C
cmake -S "$work/consumer" -B "$work/consumer/build" -DCMAKE_PREFIX_PATH="$prefix" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
cmake --build "$work/consumer/build" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
for program in shared_program static_program; do
    "$work/consumer/build/$program" workflows/read-digits.json examples/media/meter.jpg | grep -q '0358926'
done

for plugin in plugin operator-plugin kernel-plugin; do
    cmake -S "examples/$plugin" -B "$work/$plugin" -DNNDEPLOY_INCLUDE="$prefix/include" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
    cmake --build "$work/$plugin" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
done
cd "$work"
nndeploy=$prefix/bin/nndeploy
"$nndeploy" --plugin "$work/plugin/demo_sharpen.so" run "$root/examples/plugin/sharpen.json" \
    --input image="$root/examples/media/sheet.png" --output picture="$work/sharp.png"
[ -s "$work/sharp.png" ]
cat >bend.nnd.json <<'GRAPH'
{
  "format": "nndeploy-graph/1",
  "opsets": [{"domain": "", "version": 17}, {"domain": "com.example", "version": 1}],
  "graph": {
    "inputs": [{"name": "x", "type": "f32", "shape": [4, 8]}],
    "nodes": [{"op": "ScaledMish", "domain": "com.example", "inputs": ["x"], "outputs": ["bent"]},
              {"op": "Softmax", "inputs": ["bent"], "outputs": ["y"]}],
    "outputs": [{"name": "y"}]
  }
}
GRAPH
"$nndeploy" --plugin "$work/operator-plugin/demo_mish.so" infer bend.nnd.json --random --output-dir bent
[ -s bent/y.npy ]
"$nndeploy" --plugin "$work/operator-plugin/demo_mish.so" --plugin "$work/kernel-plugin/demo_softmax.so" \
    inspect bend.nnd.json --json | grep -q '"kernel": "demo.softmax"' || { echo "the kernel of the plug-in was not taken"; exit 1; }
echo "installed, found, linked and run"
