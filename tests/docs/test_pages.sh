#!/usr/bin/env bash
# English and Chinese have the same pages, with the same headings, lists, tables and code blocks.
# test_pages.sh SOURCE_FOLDER
. "$(dirname "$0")/lib.sh"
cd "$1" || exit 1

pages() { (cd "$1" && printf '%s\n' *.md); }
if [ "$(pages docs/en)" = "$(pages docs/zh)" ]; then pass; else
    fail "docs/en and docs/zh have different pages:"
    diff <(pages docs/en) <(pages docs/zh)
fi

# The skeleton of a page: levels of headings, code blocks by language, rows of tables.
skeleton() {
    awk '/^```/ { if (!code) print "code " $0; code = !code; next }
         code { next }
         /^#+ / { print "heading " $1; next }
         /^\|/ { print "row" }' "$1"
}
same_skeleton() { # file, file
    if [ "$(skeleton "$1")" = "$(skeleton "$2")" ]; then pass; else
        fail "$1 and $2 are not built alike:"
        diff <(skeleton "$1") <(skeleton "$2") | head -n 10
    fi
}
for page in docs/en/*.md; do
    other=docs/zh/$(basename "$page")
    [ -e "$other" ] && same_skeleton "$page" "$other"
done
same_skeleton README.md README.zh.md

# The words that the command itself has in Chinese are words that it uses.
words() { # the keys of locale/zh.json below cli.nodes
    sed -n '/"cli": {/,/^  }/p' locale/zh.json | sed -nE 's/^ +"([a-z_]+)": ".*/\1/p'
}
[ "$(words | wc -l)" -ge 10 ] && pass || fail "locale/zh.json has no words of the command"
while IFS= read -r word; do
    if grep -qE "word\([^()]*\"$word\"|^ *word\(.*\"$word\"" src/cli/cmd_nodes.c; then pass; else
        fail "locale/zh.json: cli.nodes.$word is not used by src/cli/cmd_nodes.c"
    fi
done < <(words)
summary
