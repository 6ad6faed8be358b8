# Helpers of the command's tests. Sourced with the arguments BINARY SOURCE_FOLDER [PLUGIN]; works in an empty
# folder of its own that goes away at the end.
set -u
nndeploy=$1
source_dir=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
passed=0 failed=0 skipped=0
# Results must not depend on who runs them.
unset NNDEPLOY_TUNING NNDEPLOY_MODELS NNDEPLOY_PLUGINS NNDEPLOY_LOG NNDEPLOY_THREADS NNDEPLOY_SIMULATED
export XDG_CACHE_HOME="$work/cache" NNDEPLOY_LANG=en
python=$(for p in /usr/bin/python3 python3; do
    "$p" -c 'import json' 2>/dev/null && { echo "$p"; break; }
done)

pass() { passed=$((passed + 1)); }
fail() { # text
    failed=$((failed + 1))
    echo "FAILED: $1"
    sed 's/^/    out: /' out.txt 2>/dev/null | head -n 20
    sed 's/^/    err: /' err.txt 2>/dev/null | head -n 20
}
skip() { # reason
    skipped=$((skipped + 1))
    echo "skipped: $1"
}

# run CODE ARGUMENTS...: the command must end with this code; what it prints is in out.txt, err.txt.
run() {
    local wanted=$1 code
    shift
    "$nndeploy" "$@" >out.txt 2>err.txt </dev/null
    code=$?
    if [ $code -eq "$wanted" ]; then pass; else fail "nndeploy $* ended with $code, not $wanted"; fi
}
# says FILE TEXT: the text is in the file.
says() {
    if grep -qF -- "$2" "$1"; then pass; else fail "$1 lacks '$2'"; fi
}
silent() { # FILE: it is empty
    if [ ! -s "$1" ]; then pass; else fail "$1 is not empty"; fi
}
absent() { # FILE...: none exists
    local f
    for f in "$@"; do
        if [ ! -e "$f" ]; then pass; else fail "$f should not exist"; fi
    done
}
present() {
    local f
    for f in "$@"; do
        if [ -s "$f" ]; then pass; else fail "$f should exist"; fi
    done
}
same() { # FILE FILE
    if cmp -s "$1" "$2"; then pass; else
        fail "$1 and $2 differ"
        diff "$1" "$2" | head -n 20
    fi
}
# json EXPRESSION: of the document d in out.txt, in Python, must be true.
json() {
    if "$python" -c "import json; d = json.load(open('out.txt')); assert $1" 2>/dev/null; then pass; else
        fail "not true of the JSON result: $1"
    fi
}
# conforms NAME [FILE]: the JSON obeys docs/schema/NAME.schema.json.
conforms() {
    local file=${2:-out.txt}
    if ! "$python" -c 'import jsonschema' 2>/dev/null; then
        skip "python3-jsonschema is not installed: the schema $1 is not checked"
        return
    fi
    if "$python" - "$source_dir/docs/schema/$1.schema.json" "$file" >schema.txt 2>&1 <<'PY'; then pass; else
import json, sys
import jsonschema
schema = json.load(open(sys.argv[1]))
jsonschema.Draft202012Validator.check_schema(schema)
jsonschema.Draft202012Validator(schema).validate(json.load(open(sys.argv[2])))
PY
        fail "$file does not conform to $1"
        head -n 12 schema.txt
    fi
}
# The whole of standard error is one clear message: no more than this many lines.
brief() {
    if [ "$(wc -l <err.txt)" -le "$1" ]; then pass; else fail "the message is longer than $1 lines"; fi
}
# No temporary file of an interrupted write is left in the folder.
tidy() {
    local left
    left=$(find "${1:-.}" -name '*.tmp*' -o -name '.*~' | head -n 3)
    if [ -z "$left" ]; then pass; else fail "left behind: $left"; fi
}
summary() {
    echo "[  PASSED  ] $passed test(s)."
    [ $skipped -eq 0 ] || echo "[  SKIPPED ] $skipped test(s)."
    [ $failed -eq 0 ] || echo "[  FAILED  ] $failed test(s)."
    [ $failed -eq 0 ]
}
