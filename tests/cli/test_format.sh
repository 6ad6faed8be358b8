#!/usr/bin/env bash
# validate, fmt, diff, schema and nodes.
. "$(dirname "$0")/lib.sh"

cat >good.json <<'JSON'
{"format": "nndeploy/1", "name": "grey",
 "inputs": [{"name": "image", "type": "image"}],
 "outputs": [{"name": "grey", "from": ["conv", "image"]}],
 "nodes": [{"params": {"format": "gray"}, "id": "conv", "type": "image.convert@1"}],
 "edges": [{"from": ["@", "image"], "to": ["conv", "image"]}]}
JSON

# validate
run 0 validate good.json
says out.txt 'good.json: ok'
silent err.txt
run 0 validate good.json --json
conforms validate
json "d['valid'] and d['files'][0]['errors'] == 0"
"$nndeploy" validate - --json <good.json >out.txt 2>err.txt
json "d['valid'] and d['files'][0]['file'] == '-'"
run 5 validate nothere.json
says err.txt nothere.json
run 5 validate nothere.json --json
conforms error
run 2 validate
for workflow in "$source_dir"/workflows/*.json; do
    run 0 validate "$workflow"
done

# Every error at once, each with its place and a suggestion.
sed -e 's/image.convert@1/image.convret@1/' good.json >type.json
run 3 validate type.json
says err.txt "did you mean 'image.convert'?"
sed -e 's/image.convert@1/acme.magic@1/' good.json >plugin.json
run 5 validate plugin.json
says err.txt 'acme.magic'
sed -e 's/"format": "gray"/"formt": "gray"/; s/"from": \["conv", "image"\]/"from": ["conv", "imag"]/' good.json >two.json
run 3 validate two.json --json
conforms validate
json "d['files'][0]['errors'] >= 2"
json "all(x['line'] > 0 for x in d['files'][0]['diagnostics'])"
json "any(x['suggestion'] == 'format' for x in d['files'][0]['diagnostics'])"
run 3 validate good.json two.json
says out.txt 'good.json: ok'
says out.txt 'two.json: '
says err.txt 'two.json:'

# A cycle, wrong types on an edge, a value out of bounds, a wrong kind.
cat >cycle.json <<'JSON'
{"format": "nndeploy/1", "name": "cycle", "inputs": [], "outputs": [{"name": "o", "from": ["a", "image"]}],
 "nodes": [{"id": "a", "type": "image.flip@1"}, {"id": "b", "type": "image.flip@1"}],
 "edges": [{"from": ["a", "image"], "to": ["b", "image"]}, {"from": ["b", "image"], "to": ["a", "image"]}]}
JSON
run 3 validate cycle.json
says err.txt cycle
cat >types.json <<'JSON'
{"format": "nndeploy/1", "name": "types", "inputs": [{"name": "t", "type": "text"}],
 "outputs": [{"name": "o", "from": ["a", "image"]}],
 "nodes": [{"id": "a", "type": "image.flip@1"}],
 "edges": [{"from": ["@", "t"], "to": ["a", "image"]}]}
JSON
run 3 validate types.json
says err.txt "node 'a'"
sed -e 's/"image.convert@1"/"image.resize@1"/; s/"format": "gray"/"width": 100000000000/' good.json >huge.json
run 3 validate huge.json
says err.txt width
sed -e 's/"image.convert@1"/"image.resize@1"/; s/"format": "gray"/"width": "wide"/' good.json >kind.json
run 3 validate kind.json

# Bytes that are no workflow.
printf '' >empty.json
run 3 validate empty.json
printf '\0\0\0\0' >zero.json
run 3 validate zero.json
printf '[1,2]' >array.json
run 3 validate array.json
printf '{"format": "nndeploy/9"}' >newer.json
run 3 validate newer.json
size=$(wc -c <good.json)
for n in 1 17 50 100 200 $((size - 3)); do
    head -c "$n" good.json >cut.json
    run 3 validate cut.json
    says err.txt 'cut.json:'
done
printf '%0100000d' 0 | tr 0 '[' >deep.json
run 3 validate deep.json
run 3 validate .
run 3 fmt .

# Sub-graphs in other files: only below the roots, and not in circles.
mkdir -p flows/parts outside
cp good.json flows/parts/grey.json
cp good.json outside/grey.json
ref() { # path
    printf '{"format": "nndeploy/1", "name": "outer", "inputs": [{"name": "image", "type": "image"}],
 "outputs": [{"name": "grey", "from": ["sub", "grey"]}],
 "nodes": [{"id": "sub", "type": "flow.graph@1", "ref": "%s"}],
 "edges": [{"from": ["@", "image"], "to": ["sub", "image"]}]}' "$1"
}
ref parts/grey.json >flows/outer.json
run 0 validate flows/outer.json
ref "$work/outside/grey.json" >flows/away.json
cd flows || exit 1
run 3 validate away.json
run 0 validate away.json --allow ../outside
ln -s ../outside/grey.json linked.json
ref linked.json >by_link.json
run 3 validate by_link.json
ref ../outside/grey.json >dots.json
run 3 validate dots.json
ref circle.json >circle.json
run 3 validate circle.json
ref parts/nothere.json >lost.json
run 5 validate lost.json
says err.txt nothere.json
cd "$work" || exit 1

# fmt: in place and atomic, or to standard output, or only a check; canonical is a fixed point.
cp good.json f.json
run 3 fmt --check f.json
says out.txt 'f.json: not in canonical form'
same good.json f.json
run 3 fmt --check f.json --json
conforms fmt
run 0 fmt --stdout f.json
cp out.txt canonical.json
same good.json f.json
run 0 fmt f.json
same canonical.json f.json
silent out.txt
run 0 fmt --check f.json
run 0 fmt f.json
same canonical.json f.json
run 0 diff good.json f.json --json
json "d['equal']"
"$nndeploy" fmt - <good.json >out.txt 2>err.txt
same out.txt canonical.json
cp cut.json broken.json
run 3 fmt broken.json
same cut.json broken.json
run 2 fmt --check --stdout f.json
run 5 fmt nothere.json
chmod 500 flows
if [ "$(id -u)" -ne 0 ]; then
    run 4 fmt flows/outer.json
else
    skip 'root may write everywhere'
fi
chmod 700 flows
tidy

# Files that a workflow refers to are not needed for its form.
run 0 fmt --stdout flows/lost.json
says out.txt '"ref": "parts/nothere.json"'
run 0 diff flows/lost.json flows/lost.json

# diff
run 0 diff good.json good.json
says out.txt equal
sed -e 's/"gray"/"bgr"/' good.json >changed.json
run 0 diff good.json changed.json
says out.txt conv
run 0 diff good.json changed.json --json
conforms diff
json "not d['equal'] and len(d['changes']) == 1"
run 5 diff good.json nothere.json
run 3 diff good.json cut.json
run 2 diff good.json

# schema: real workflows obey it, wrong ones do not.
run 0 schema
cp out.txt workflow.schema.json
if "$python" -c 'import jsonschema' 2>/dev/null; then
    check_schema() { # file
        "$python" -c "
import json, sys, jsonschema
jsonschema.Draft202012Validator(json.load(open('workflow.schema.json'))).validate(json.load(open(sys.argv[1])))" "$1"
    }
    for workflow in good.json "$source_dir"/workflows/*.json; do
        if check_schema "$workflow" >out.txt 2>&1; then pass; else fail "$workflow against the schema"; fi
    done
    if check_schema kind.json >out.txt 2>&1; then fail 'kind.json passes the schema'; else pass; fi
else
    skip 'python3-jsonschema is not installed: workflows are not checked against the schema'
fi
run 0 schema --json
conforms schema

# nodes
run 0 nodes
says out.txt 'image.resize@1'
says out.txt 'flow.map@1'
run 0 nodes image.resize
says out.txt width
says out.txt 65535
run 0 nodes image.resize@1
run 5 nodes image.resize@77
run 5 nodes image.rezise
says err.txt "did you mean 'image.resize'?"
run 0 nodes --json
conforms nodes
run 0 nodes infer.model --json
conforms nodes
json "len(d['nodes']) == 1 and d['nodes'][0]['type'] == 'infer.model'"
summary
