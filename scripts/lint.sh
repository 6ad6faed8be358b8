#!/usr/bin/env bash
# clang-tidy (.clang-tidy) over the sources, with the compile commands of the release build.
# lint.sh [PATH…]: only these files or folders. Prints what it finds; exit 1 if anything.
# NND_LINT_BUILD: a configured build folder to use instead of build/release.
set -u
cd "$(dirname "$0")/.."
command -v clang-tidy >/dev/null 2>&1 || { echo "clang-tidy is not installed (scripts/setup.sh --full)"; exit 1; }
mkdir -p build
build=${NND_LINT_BUILD:-build/release}
if [ -z "${NND_LINT_BUILD:-}" ]; then
    cmake --preset release >build/lint.txt 2>&1 || { cat build/lint.txt; exit 1; }
fi
[ $# -gt 0 ] || set -- src

# Sources of other systems and processors have no compile command here. The prelude needs the
# public headers, which src/port does not, and replaces a function that error.c defines.
sources() { git ls-files "$@" | grep -E '^src/.*\.c$' | grep -vE '_(win32|neon)\.c$|/arm/'; }
tidy() {
    xargs -r -P "$(nproc)" -n 4 clang-tidy -p "$build" --quiet "$@" 2>&1 |
        grep -E '(warning|error): |^Error |No such file'
}
alone='^src/port/|^src/base/(error|status)\.c$|^src/engine/ops/fail\.c$'
{
    sources "$@" | grep -vE "$alone" | tidy --extra-arg=-include --extra-arg="$PWD/scripts/lint-prelude.h"
    sources "$@" | grep -E "$alone" | tidy
} >build/lint.txt
cat build/lint.txt
! grep -q . build/lint.txt
