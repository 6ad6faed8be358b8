# Helpers of the documentation's tests.
set -u
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0
pass() { passed=$((passed + 1)); }
fail() {
    failed=$((failed + 1))
    echo "FAILED: $1"
}
# The code blocks of one language in a Markdown file as files $2/<number>.$1; the first line of each
# is kept at the line where it stands, so that messages name the right place.
blocks() { # language, folder, file
    awk -v language="$1" -v folder="$2" '
        $0 == "```" language { n++; name = folder "/" n "." language; inside = 1
            for (i = 1; i <= NR; i++) print "" > name; next }
        /^```/ { if (inside) close(name); inside = 0; next }
        inside { print > name }' "$3"
}
summary() {
    echo "[  PASSED  ] $passed test(s)."
    [ $failed -eq 0 ] || echo "[  FAILED  ] $failed test(s)."
    [ $failed -eq 0 ]
}
