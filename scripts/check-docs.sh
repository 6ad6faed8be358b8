#!/usr/bin/env bash
# Relative links in the Markdown files must lead somewhere. Exit 1 with each that does not.
set -u
cd "$(dirname "$0")/.."
bad=0
while IFS= read -r file; do
    dir=$(dirname "$file")
    while IFS= read -r link; do
        case "$link" in http*://* | mailto:* | '#'*) continue ;; esac
        path=${link%%#*}
        [ -e "$dir/$path" ] || { echo "$file: dead link $link"; bad=1; }
    done < <(grep -oE '\]\([^)[:space:]]+\)' "$file" | sed -E 's/^\]\((.*)\)$/\1/')
done < <(git ls-files '*.md')
exit $bad
