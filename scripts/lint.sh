#!/usr/bin/env bash
# clang-tidy over the sources, with the compile commands of the release build.
set -u
cd "$(dirname "$0")/.."
cmake --preset release >/dev/null || exit 1
git ls-files 'src/*.c' | grep -vE '_(win32|neon)\.c$' |
    xargs -P "$(nproc)" -n 4 clang-tidy -p build/release --quiet 2>/dev/null | grep -E '(warning|error):' | sort -u >build/lint.txt
cat build/lint.txt
! grep -q . build/lint.txt
