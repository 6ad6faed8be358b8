#!/usr/bin/env bash
# Remakes docs/<language>/backends.md by running the conformance suite of a build:
#   scripts/make-backends-page.sh [BUILD_FOLDER]     (build/release)
# Fetches the libraries that pip has. Every backend must be there, or the page would say less than it
# did: the plug-in opencv-dnn needs libopencv-dnn-dev, ncnn a library that NNDEPLOY_NCNN names.
set -eu
cd "$(dirname "$0")/.."
build=${1:-build/release}
suite=$build/tests/infer/conformance
[ -x "$suite" ] || { echo "$suite is not there: build first" >&2; exit 1; }
if [ -z "${NNDEPLOY_TEST_DATA:-}" ]; then
    [ -d ../shared/models ] || { echo "NNDEPLOY_TEST_DATA does not name the trained models" >&2; exit 1; }
    NNDEPLOY_TEST_DATA=$(cd ../shared && pwd)
    export NNDEPLOY_TEST_DATA
fi
[ -n "${NNDEPLOY_ONNXRUNTIME:-}" ] || NNDEPLOY_ONNXRUNTIME=$(scripts/get-onnxruntime.sh)
[ -n "${NNDEPLOY_OPENVINO:-}" ] || NNDEPLOY_OPENVINO=$(scripts/get-openvino.sh)
export NNDEPLOY_ONNXRUNTIME NNDEPLOY_OPENVINO
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$suite" --plugin "$build/plugins/opencv-dnn.so" --markdown >"$work/en.md"
if grep 'built but not run' "$work/en.md" >&2; then
    echo "not every backend is here; the pages stay as they are" >&2
    exit 1
fi
"$suite" --plugin "$build/plugins/opencv-dnn.so" --markdown=zh >"$work/zh.md"
for language in en zh; do
    cp "$work/$language.md" "docs/$language/backends.md"
done
git diff --stat -- docs
