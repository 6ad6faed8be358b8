#!/usr/bin/env bash
# Installs what a bare Debian 12 lacks to build and test nndeploy. Does nothing when all is there.
#   scripts/setup.sh          what make build, make demo and make test need
#   scripts/setup.sh --full   also what make test-full, make bench and the training scripts need
#   scripts/setup.sh --check  only says what is missing (exit 1 when something is)
set -eu

build="build-essential cmake ninja-build pkg-config libjpeg62-turbo-dev libpng-dev libfreetype-dev libcmocka-dev libcurl4"
build="$build libpcre2-8-0 libwebp7 libopenjp2-7"
build="$build clang libclang-rt-14-dev clang-format python3"
full="ccache libcurl4-openssl-dev libpcre2-dev libwebp-dev libopenjp2-7-dev clang-tidy gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user gcc-mingw-w64-x86-64 wine64"
full="$full python3-numpy python3-opencv python3-torch python3-onnx python3-pil fonts-dejavu-core fonts-liberation"
full="$full libopencv-core-dev libopencv-imgproc-dev libopencv-dnn-dev python3-jsonschema python3-pip"

packages=$build
check=0
for arg in "$@"; do
    case "$arg" in
    --full) packages="$build $full" ;;
    --check) check=1 ;;
    -h | --help)
        sed -n '2,5p' "$0" | sed 's/^# //'
        exit 0
        ;;
    *)
        echo "setup.sh: unknown argument '$arg' (see --help)" >&2
        exit 2
        ;;
    esac
done

if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "setup.sh knows Debian and Ubuntu. On this system install by hand: a C11 compiler, cmake >= 3.22, ninja," >&2
    echo "pkg-config, libjpeg-turbo, libpng, freetype and cmocka (with headers); clang for the fuzz targets." >&2
    exit 1
fi

missing=""
for p in $packages; do
    state=$(dpkg-query -W -f='${Status}' "$p" 2>/dev/null || true)
    [ "$state" = "install ok installed" ] || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
if [ "$check" = 1 ]; then
    echo "missing:$missing"
    exit 1
fi

run=""
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "Please install as root:$missing" >&2
        exit 1
    fi
    printf 'nndeploy needs these packages:%s\nInstall them with sudo? [y/N] ' "$missing"
    read -r answer </dev/tty || answer=n
    case "$answer" in
    y | Y | yes) run=sudo ;;
    *)
        echo "Nothing installed." >&2
        exit 1
        ;;
    esac
fi
echo "Installing:$missing"
$run apt-get update -qq
# shellcheck disable=SC2086
$run env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
