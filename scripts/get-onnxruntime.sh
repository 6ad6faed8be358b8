#!/usr/bin/env bash
# Fetches the ONNX Runtime library into build/onnxruntime with pip, for tests and benchmarks:
#   scripts/get-onnxruntime.sh [version]
#   export NNDEPLOY_ONNXRUNTIME=$(scripts/get-onnxruntime.sh)
# Prints the path of the library. Nothing is installed into the system. The C headers are not in the
# package; tests/infer/check_ort_abi.sh says where it looks for them.
set -eu
cd "$(dirname "$0")/.."
version=${1:-}
folder=$PWD/build/onnxruntime
python=${PYTHON:-python3}

found() {
    find "$folder/package/onnxruntime/capi" -maxdepth 1 \
        \( -name "libonnxruntime.so.*" -o -name "libonnxruntime*.dylib" -o -name "onnxruntime.dll" \) \
        2>/dev/null | sort | head -n 1
}

wanted=onnxruntime${version:+==$version}
if [ -z "$(found)" ] || [ "$(cat "$folder/wanted" 2>/dev/null)" != "$wanted" ]; then
    "$python" -m pip --version >/dev/null 2>&1 || {
        echo "get-onnxruntime.sh: python3 with pip is needed (Debian: python3-pip)" >&2
        exit 1
    }
    rm -rf "$folder"
    mkdir -p "$folder"
    "$python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
        --target "$folder/package" "$wanted" >&2
    printf '%s' "$wanted" >"$folder/wanted"
fi
library=$(found)
if [ -z "$library" ]; then
    echo "get-onnxruntime.sh: the package holds no library for this system" >&2
    exit 1
fi
echo "$library"
