#!/usr/bin/env bash
# Includes between rooms go one way only, third-party headers stay in their folder, the operating
# system in src/port, and no top folder appears unlisted. Prints each offence, exit 1 if any.
set -u
cd "$(dirname "$0")/.."
bad=0
offend() {
    echo "$1" >&2
    bad=1
}

# Rooms that each room may include (besides itself and the public headers of the same rooms).
allowed() {
    case "$1" in
    port) echo "" ;;
    base) echo "port" ;;
    sched) echo "port base" ;;
    device) echo "port base sched" ;;
    data) echo "port base sched device" ;;
    wire) echo "port base sched device data" ;;
    ops) echo "port base sched device data" ;;
    engine) echo "port base sched device data" ;;
    infer) echo "port base sched device data ops engine" ;;
    workflow) echo "port base sched device data" ;;
    catalog) echo "port base sched device data" ;;
    nodes) echo "port base sched device data ops infer workflow catalog" ;;
    cli) echo "port base sched device data wire ops infer workflow catalog nodes" ;;
    *) return 1 ;;
    esac
}

for dir in src/*/; do
    room=$(basename "$dir")
    if ! list=$(allowed "$room"); then
        offend "src/$room: not a listed room (docs/architecture.md, scripts/check-includes.sh)"
        continue
    fi
    while IFS=: read -r file line text; do
        target=$(printf '%s' "$text" | sed -E 's/.*"([^"]+)".*/\1/')
        case "$target" in
        nndeploy/*)
            other=$(basename "$target" .h)
            case "$other" in nndeploy) other=all ;; plugin) other=workflow ;; ir) other=engine ;; esac
            # base.h is the vocabulary that everybody shares.
            [ "$other" = base ] && continue
            ;;
        */*) other=${target%%/*} ; [ -d "src/$other" ] || continue ;;
        *) continue ;; # beside the file
        esac
        [ "$other" = "$room" ] && continue
        case " $list " in
        *" $other "*) ;;
        *) offend "$file:$line: $room may not include $target" ;;
        esac
    done < <(grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]+"' "$dir" --include='*.c' --include='*.h')
done

# One folder touches each library or the operating system.
lib() { # pattern, folder, what
    grep -rnE "^[[:space:]]*#[[:space:]]*include[[:space:]]+<($1)" src --include='*.c' --include='*.h' |
        grep -v "^$2" | while IFS= read -r hit; do echo "${hit%%:#*}: $3 belongs to $2" >&2; done |
        { read -r first && { echo "$first" >&2; cat >&2; return 1; } || return 0; }
}
lib 'jpeglib|jerror|turbojpeg|png\.h|pngconf' 'src/ops/codec/' 'a codec library' 2>&1 || bad=1
lib 'ft2build|freetype' 'src/ops/draw/' 'FreeType' 2>&1 || bad=1
lib 'curl/' 'src/catalog/http/' 'libcurl' 2>&1 || bad=1
lib 'pthread|unistd|sys/|windows|winsock|dlfcn|fcntl|poll|netinet|arpa|linux/|sched\.h|signal|dirent|cpuid' 'src/port/' 'the operating system' 2>&1 || bad=1

for top in $(git ls-files | sed -n 's#/.*##p' | sort -u); do
    case "$top" in
    .ci | bench | cmake | docs | examples | fuzz | include | locale | models | plugins | python | scripts | src | tests | tools | web | workflows) ;;
    *) offend "$top/: not a listed top folder" ;;
    esac
done

# Public headers compile alone as C11 and C++17.
for h in include/nndeploy/*.h; do
    name=nndeploy/$(basename "$h")
    printf '#include "%s"\n' "$name" | ${CC:-cc} -std=c11 -Wall -Wextra -pedantic -Werror -Iinclude -x c -fsyntax-only - ||
        offend "$h does not compile alone as C11"
    printf '#include "%s"\n' "$name" | ${CXX:-c++} -std=c++17 -Wall -Wextra -pedantic -Werror -Iinclude -x c++ -fsyntax-only - ||
        offend "$h does not compile alone as C++17"
done
exit $bad
