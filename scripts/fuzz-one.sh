#!/usr/bin/env bash
# Runs one fuzz target for some seconds from its committed seeds; writes <target>.log and .result.
# The same start of the random numbers tries the same inputs, as far as the time lets it.
#   scripts/fuzz-one.sh TARGET SECONDS START
set -u
cd "$(dirname "$0")/.."
target=$1
seconds=$2
start=$3
name=$(basename "$target")
scratch=build/fuzz/work/$name
mkdir -p "$scratch" build/fuzz/crashes
seeds=fuzz/corpus/${name#fuzz_}
[ -d "$seeds" ] || seeds=""
# shellcheck disable=SC2086
if "$target" -seed="$start" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -malloc_limit_mb=1024 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/crashes/$name-" "$scratch" $seeds >"build/fuzz/$name.log" 2>&1; then
    echo ok >"build/fuzz/$name.result"
else
    echo failed >"build/fuzz/$name.result"
fi
