#!/usr/bin/env bash
# Fetches the OpenVINO libraries into build/openvino with pip, for tests and benchmarks:
#   scripts/get-openvino.sh [version]
#   export NNDEPLOY_OPENVINO=$(scripts/get-openvino.sh)
# Prints the path of the C library; the official headers lie beside it (tests/infer/check_ov_abi.sh
# reads them). Nothing is installed into the system.
set -eu
cd "$(dirname "$0")/.."
version=${1:-}
folder=$PWD/build/openvino
python=${PYTHON:-python3}

found() {
    find "$folder/package/openvino/libs" -maxdepth 1 \
        \( -name "libopenvino_c.so*" -o -name "libopenvino_c*.dylib" -o -name "openvino_c.dll" \) \
        2>/dev/null | sort | head -n 1
}

wanted=openvino${version:+==$version}
if [ -z "$(found)" ] || [ "$(cat "$folder/wanted" 2>/dev/null)" != "$wanted" ]; then
    "$python" -m pip --version >/dev/null 2>&1 || {
        echo "get-openvino.sh: python3 with pip is needed (Debian: python3-pip)" >&2
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
    echo "get-openvino.sh: the package holds no C library for this system" >&2
    exit 1
fi
echo "$library"
