#!/usr/bin/env bash
# Remakes the pages that are generated, from a build that is up to date:
#   scripts/make-docs.sh [BUILD_FOLDER]     (build/release)
# docs/<language>/nodes.md and operators.md, and the list of commands in docs/en/cli.md.
set -eu
cd "$(dirname "$0")/.."
build=${1:-build/release}
nndeploy=$build/nndeploy
operators=$build/tests/test_engine_operators_page
for program in "$nndeploy" "$operators"; do
    [ -x "$program" ] || { echo "$program is not there: build first" >&2; exit 1; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A page is replaced only when all of it has been made.
for language in en zh; do
    NNDEPLOY_LANG=$language "$nndeploy" nodes --markdown >"$work/nodes.md"
    "$operators" --print $language >"$work/operators.md"
    cp "$work/nodes.md" "$work/operators.md" "docs/$language/"
done
"$nndeploy" help --markdown >"$work/commands.md"
awk -v commands="$work/commands.md" '
    /<!-- end -->/ { inside = 0 }
    !inside
    /<!-- begin: nndeploy help --markdown -->/ {
        inside = 1
        while ((getline line < commands) > 0) print line
    }' docs/en/cli.md >"$work/cli.md"
cp "$work/cli.md" docs/en/cli.md
git diff --stat -- docs
