#!/usr/bin/env bash
# Runs the tests and ends with one line "N passed, N failed, N skipped".
#   scripts/test.sh           what CI runs: checks, release tests, ASan+UBSan, TSan, short fuzzing
#   scripts/test.sh --full    adds all rooms under all sanitizers, builds without warnings of gcc and
#                             clang, aarch64 and Windows builds under emulation, vendor libraries,
#                             two minutes of fuzzing each, static analysis
#   scripts/test.sh release|asan|tsan|fuzz|cross|checks   one part
set -u
cd "$(dirname "$0")/.."
root=$PWD
jobs=${JOBS:-$(nproc)}
if [ -z "${NNDEPLOY_TEST_DATA:-}" ] && [ -d "$root/../shared/models" ]; then
    NNDEPLOY_TEST_DATA=$(cd "$root/../shared" && pwd)
    export NNDEPLOY_TEST_DATA
fi
# Vendor libraries are tried where a script has put them; --full fetches them first.
vendor_libraries() {
    if [ -z "${NNDEPLOY_ONNXRUNTIME:-}" ] && [ -d build/onnxruntime ]; then
        NNDEPLOY_ONNXRUNTIME=$(scripts/get-onnxruntime.sh) && export NNDEPLOY_ONNXRUNTIME
    fi
    if [ -z "${NNDEPLOY_OPENVINO:-}" ] && [ -d build/openvino ]; then
        NNDEPLOY_OPENVINO=$(scripts/get-openvino.sh) && export NNDEPLOY_OPENVINO
    fi
}

# The suite has run on all of these only where none of them was missing.
backends_are_here() {
    local backend list
    list=$(build/release/nndeploy --plugin build/release/plugins/opencv-dnn.so backends) || return 1
    for backend in builtin onnxruntime openvino opencv-dnn; do
        printf '%s\n' "$list" | grep "^$backend " | grep -qv 'not available:' || { echo "$backend is missing"; return 1; }
    done
}

passed=0 failed=0 skipped=0
mkdir -p build

note() { printf '\n== %s\n' "$*"; }
count() { # passed failed skipped
    passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
}
check() { # name, command...
    local name=$1
    shift
    if "$@" >build/check.log 2>&1; then
        echo "ok      $name"
        count 1 0 0
    else
        echo "FAILED  $name"
        tail -n 60 build/check.log
        count 0 1 0
    fi
}

configure_and_build() { # preset, rooms whose tests are wanted as a|b (default: all)
    cmake --preset "$1" -UNND_TEST_ROOMS ${2:+"-DNND_TEST_ROOMS=${2//|/;}"} >"build/$1-configure.log" 2>&1 ||
        { cat "build/$1-configure.log"; return 1; }
    # ninja is quiet when all goes well; on failure it shows the failing command.
    cmake --build --preset "$1" -j "$jobs" >"build/$1-build.log" 2>&1 || { tail -n 80 "build/$1-build.log"; return 1; }
}

# Counts single tests: cmocka's summary lines where a program prints them, else the program as one.
summarise() { # ctest log
    awk '
        /^[0-9]+\/[0-9]+ Testing: / { name = $3; p = f = s = 0; seen = 0 }
        /\[  PASSED  \] [0-9]+ test\(s\)/ { for (i = 1; i <= NF; i++) if ($i == "]") { p += $(i+1); break } seen = 1 }
        /\[  FAILED  \] [0-9]+ test\(s\)/ { for (i = 1; i <= NF; i++) if ($i == "]") { f += $(i+1); break } seen = 1 }
        /\[  SKIPPED \] [0-9]+ test\(s\)/ { for (i = 1; i <= NF; i++) if ($i == "]") { s += $(i+1); break } seen = 1 }
        /^Test Passed\./ { if (!seen) p = 1; P += p; F += f; S += s }
        /^Test Failed\./ { if (f == 0) f = 1; P += p; F += f; S += s }
        /^Test (timed out|not run)/ { P += p; F += 1; S += s }
        END { printf "%d %d %d\n", P, F, S }' "$1"
}

run_preset() { # preset, rooms as a|b (default: everything)
    local preset=$1 rooms=${2:-}
    note "$preset: build"
    if ! configure_and_build "$preset" "$rooms"; then
        echo "FAILED  build of $preset"
        count 0 1 0
        return
    fi
    note "$preset: tests"
    local dir="build/$preset"
    rm -f "$dir/Testing/Temporary/LastTest.log"
    # Test programs share the machine's cores: two at a time at most, some are threaded themselves.
    (cd "$dir" && ctest --output-on-failure --no-tests=error -j 2 ${rooms:+-L "$rooms"}) >"build/$preset-test.log" 2>&1
    local rc=$?
    grep -E '(Passed|Failed|Timeout|\*\*\*|Not Run)' "build/$preset-test.log" | grep -v '^\[' | tail -n 200 |
        grep -vE ' Passed ' || true
    if [ $rc -ne 0 ]; then
        grep -vE '^\[ *(OK|RUN) *\]|^\[ RUN|^\[       OK' "build/$preset-test.log" | tail -n 150
    fi
    local sums
    sums=$(summarise "$dir/Testing/Temporary/LastTest.log")
    # shellcheck disable=SC2086
    count $sums
    echo "$preset: $(echo "$sums" | awk '{printf "%d passed, %d failed, %d skipped", $1, $2, $3}')"
    if [ $rc -ne 0 ] && [ "$(echo "$sums" | awk '{print $2}')" = 0 ]; then
        echo "FAILED  ctest of $preset ended with $rc"
        count 0 1 0
    fi
}

part_checks() {
    note "checks"
    check "includes go one way, public headers compile alone" scripts/check-includes.sh
    check "formatting (make fmt mends it)" scripts/check-format.sh
    check "documentation names only files that exist" scripts/check-docs.sh
}
build_strictly() { # compiler
    cmake --preset dev -B "build/dev-$1" -DCMAKE_C_COMPILER="$1" && cmake --build "build/dev-$1" -j "$jobs"
}
part_release() {
    run_preset release
    check "an installed copy builds and runs programs and plug-ins" scripts/check-install.sh
}
# OpenVINO's thread library loads modules in a way that sanitizers forbid, unless it is told.
export TBB_ENABLE_SANITIZERS=1
part_asan() {
    ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1 \
        LSAN_OPTIONS=suppressions="$root/scripts/lsan.supp":print_suppressions=0 \
        run_preset asan "$@"
}
part_tsan() {
    TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1 run_preset tsan "$@"
}
part_fuzz() { # seconds per target, start of the random numbers
    local seconds=$1 start=$2
    note "fuzz: $seconds s per target, start $start"
    if ! configure_and_build fuzz; then
        echo "FAILED  build of fuzz"
        count 0 1 0
        return
    fi
    local list=build/fuzz/targets.txt
    find build/fuzz/fuzz -maxdepth 1 -type f -name 'fuzz_*' -perm -u+x | sort >"$list"
    xargs -P 2 -I{} scripts/fuzz-one.sh {} "$seconds" "$start" <"$list"
    while read -r target; do
        local name
        name=$(basename "$target")
        if [ "$(cat "build/fuzz/$name.result" 2>/dev/null)" = ok ]; then
            echo "ok      $name"
            count 1 0 0
        else
            echo "FAILED  $name"
            grep -vE '^#[0-9]' "build/fuzz/$name.log" | tail -n 60 # without the progress
            count 0 1 0
        fi
    done <"$list"
}
part_cross() {
    run_preset aarch64 'port|base|data|ops|engine'
    local wine
    wine=$(command -v wine64 || ls /usr/lib/wine/wine64 2>/dev/null)
    if [ -n "$wine" ]; then
        export WINEDEBUG=-all WINEPREFIX="$root/build/wine"
        # The first program makes the prefix; two at once would get into each other's way.
        "$wine" cmd /c exit >/dev/null 2>&1
        run_preset mingw64 'port|base|data'
    else
        note "mingw64: build only (no wine)"
        check "build for Windows" configure_and_build mingw64
    fi
}

case "${1:-quick}" in
quick)
    part_checks
    part_release
    part_asan 'base|data|wire|workflow|ops|engine|catalog|nodes'
    part_tsan 'sched|device|workflow|infer|catalog'
    part_fuzz 30 1 # what fails here fails again
    ;;
--full)
    export NNDEPLOY_TEST_FULL=1 # every model with every number of threads and instruction set
    scripts/get-onnxruntime.sh || true
    scripts/get-openvino.sh || true
    vendor_libraries
    part_checks
    check "static analysis" scripts/lint.sh
    check "gcc has no warning" build_strictly gcc
    check "clang has no warning" build_strictly clang
    part_release
    check "the conformance suite had builtin, onnxruntime, openvino and opencv-dnn" backends_are_here
    part_asan
    part_tsan
    part_cross
    part_fuzz 120 "$RANDOM" # new inputs each time
    ;;
checks | release | asan | tsan | cross)
    vendor_libraries
    "part_$1"
    ;;
fuzz) part_fuzz "${2:-30}" "${3:-$RANDOM}" ;;
*)
    sed -n '2,8p' "$0" | sed 's/^# //' >&2
    exit 2
    ;;
esac

printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" -eq 0 ]
