#!/usr/bin/env bash
# Whole workflows in the documentation are valid, and the commands that it shows have the options
# that it gives them. test_workflows.sh SOURCE_FOLDER BINARY
. "$(dirname "$0")/lib.sh"
cd "$1" || exit 1
nndeploy=$2
documents=(README.md README.zh.md docs/en/*.md docs/zh/*.md)

for document in "${documents[@]}"; do
    rm -f "$work"/*.json
    blocks json "$work" "$document"
    for block in "$work"/*.json; do
        [ -e "$block" ] || continue
        grep -q '"format": "nndeploy/1"' "$block" || continue
        if "$nndeploy" validate "$block" >"$work/out.txt" 2>&1; then pass; else
            fail "$document: a workflow in it is not valid"
            sed "s#$block#$document#" "$work/out.txt"
        fi
    done
done
[ $passed -ge 2 ] && pass || fail "only $passed workflows were found"

# `nndeploy COMMAND … --option`: each option is in the command's help.
for document in "${documents[@]}"; do
    rm -f "$work"/*.sh
    blocks sh "$work" "$document"
    for block in "$work"/*.sh; do
        [ -e "$block" ] || continue
        while IFS= read -r line; do
            read -ra words <<<"${line%%#*}"
            command=${words[1]:-}
            [ "$command" = --plugin ] && command=${words[3]:-}
            [ "$command" = bench ] && command="bench ${words[2]:-}"
            # shellcheck disable=SC2086
            if ! "$nndeploy" help $command >"$work/help.txt" 2>&1; then
                fail "$document: there is no command '$command'"
                continue
            fi
            for word in "${words[@]}"; do
                case "$word" in --?*) ;; *) continue ;; esac
                if grep -qF -- "${word%%=*}" "$work/help.txt"; then pass; else
                    fail "$document: nndeploy $command has no option $word"
                fi
            done
        done < <(grep -oE '(^|/)nndeploy .*' "$block" | sed 's#^/##')
    done
done
summary
