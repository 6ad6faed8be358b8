#!/usr/bin/env bash
# The C code in the documentation compiles, and what the text names exists.
# test_code.sh SOURCE_FOLDER COMPILER
. "$(dirname "$0")/lib.sh"
cd "$1" || exit 1
cc=$2
documents=(README.md README.zh.md docs/en/*.md docs/zh/*.md)

# What the fragments take for granted.
cat >"$work/given.h" <<'C'
#include <nndeploy/nndeploy.h>
#include <nndeploy/plugin.h>
#include <stdio.h>
extern nnd_app *app;
extern nnd_plan *plan;
extern nnd_value *frame, *faces, *tensor, *result;
extern nnd_cancel *cancel;
extern uint8_t *pixels;
extern int width, height;
bool next_frame(nnd_value **frame);
void use(nnd_value *value);
void fragment(void);
C

# A block that has no function of its own becomes the body of one.
compile() { # block, document
    local source="$work/source.c" line
    line=$(grep -n -m1 . "$1" | cut -d: -f1)
    if grep -q '#include' "$1"; then
        { echo "#line 1 \"$2\""; cat "$1"; } >"$source"
    else
        { echo '#include "given.h"'
          echo 'void fragment(void)'
          echo '{'
          echo "#line $line \"$2\""
          tail -n "+$line" "$1"
          echo '}'; } >"$source"
    fi
    if "$cc" -std=c11 -Wall -Wextra -Werror -Wno-unused-variable -Wno-unused-but-set-variable \
        -fsyntax-only -Iinclude -I"$work" "$source" 2>"$work/err.txt"; then pass; else
        fail "$2: the C code from line $line does not compile"
        cat "$work/err.txt"
    fi
}
for document in "${documents[@]}"; do
    rm -f "$work"/*.c
    blocks c "$work" "$document"
    for block in "$work"/[0-9]*.c; do
        [ -e "$block" ] && compile "$block" "$document"
    done
done
[ $passed -ge 8 ] && pass || fail "only $passed code blocks were found"

# Names of functions, types, macros and host entries in the text.
known=$(cat include/nndeploy/*.h)
for document in "${documents[@]}"; do
    while IFS= read -r name; do
        if grep -qw -- "$name" <<<"$known"; then pass; else
            fail "$document: no header has $name"
        fi
    done < <(grep -oE '\b(nnd|NND)_[A-Za-z0-9_]*[A-Za-z0-9]\b' "$document" | sort -u)
done
for document in docs/*/plugins.md; do
    while IFS= read -r name; do
        if grep -qE "\(\*$name\)\(" include/nndeploy/plugin.h; then pass; else
            fail "$document: the host's table has no $name"
        fi
    done < <(grep -oE '`(ctx|value|prepare|error|io|params)_[a-z_]*[a-z]`' "$document" | tr -d '`' | sort -u)
done
# Environment variables.
for document in "${documents[@]}"; do
    while IFS= read -r name; do
        if grep -rqF "\"$name" src || grep -qF "$name" Makefile; then pass; else
            fail "$document: nothing reads $name"
        fi
    done < <(grep -oE '\bNNDEPLOY_[A-Z_]*[A-Z]\b' "$document" | grep -vx NNDEPLOY_INCLUDE | sort -u)
done
summary
