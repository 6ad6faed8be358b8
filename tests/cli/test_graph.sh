#!/usr/bin/env bash
# Models as graphs: printed, saved, run from the saved form; an operator and a kernel that plug-ins bring.
mish=${5:-} softmax=${6:-}
. "$(dirname "$0")/lib.sh"
model="$source_dir/models/digits-32/digits-32.onnx"
image="$source_dir/models/digits-32/test_image.npy"

run 0 inspect "$model" --graph
says out.txt 'graph '
says out.txt 'return %'
run 0 inspect "$model" --save digits.nnd.json
says digits.nnd.json '"format": "nndeploy-graph/1"'
run 0 inspect "$model" --save digits.nnd.json --graph --json
conforms inspect_graph

# Open dimensions: what the model does at the shapes that are given.
ocr="$source_dir/models/latin-ocr/latin-ocr.onnx"
run 0 inspect "$ocr"
says out.txt 'depend on sizes that are open'
run 0 inspect "$ocr" --shape image=2x1x32x160
says out.txt 'f32[2,1,32,160]'
says out.txt 'arena'
run 0 inspect "$ocr" --shape image=2,1,32,160 --json
conforms inspect
run 2 inspect "$ocr" --shape picture=1,1,32,160
run 3 inspect "$ocr" --shape image=1,1,32
says err.txt 'has 4 dimensions, not 3'
run 3 inspect "$ocr" --shape image=1,2,32,160
says err.txt "input 'image': dimension 1 is 1"

# The saved model runs like the file it came from, bit by bit.
run 0 infer "$model" --backend builtin --input image="$image" --output-dir a
run 0 infer digits.nnd.json --input image="$image" --output-dir b
for file in a/*.npy; do same "$file" "b/${file#a/}"; done
run 0 inspect digits.nnd.json
run 0 tune digits.nnd.json --backends builtin --threads 1 --time-budget 1 --tuning tuned.json
run 0 bench model digits.nnd.json --runs 2 --warmup 0

# What cannot work says why, and leaves nothing behind.
run 3 inspect "$model" --save digits.json
says err.txt '.nnd.json'
rm digits.safetensors
run 5 inspect digits.nnd.json
says err.txt 'digits.safetensors'

# An operator of a domain of its own: named without the plug-in, runs with it.
cat >mish.nnd.json <<'GRAPH'
{
  "format": "nndeploy-graph/1",
  "opsets": [{"domain": "", "version": 17}, {"domain": "com.example", "version": 1}],
  "graph": {
    "inputs": [{"name": "image", "type": "f32", "shape": ["n", 1, 32, 32]}],
    "nodes": [{"op": "ScaledMish", "domain": "com.example", "name": "bend", "inputs": ["image"], "outputs": ["y"],
               "attributes": {"beta": {"float": 2}}}],
    "outputs": [{"name": "y"}]
  }
}
GRAPH
run 3 inspect mish.nnd.json
says err.txt "'bend': com.example.ScaledMish"
says err.txt 'no plug-in that is loaded knows this domain'
run 0 inspect mish.nnd.json --graph
says out.txt 'com.example.ScaledMish(%image) beta=2'
if [ -f "$mish" ]; then
    run 0 --plugin "$mish" infer mish.nnd.json --random --shape image=1,1,32,32 --output-dir mish
    [ -s mish/y.npy ] && pass || fail 'the operator of the plug-in gave nothing'
    run 0 --plugin "$mish" inspect mish.nnd.json
    says out.txt ScaledMish
fi

# A kernel for an operator that exists: taken where it says that it can, and nowhere else.
cat >rows.nnd.json <<'GRAPH'
{
  "format": "nndeploy-graph/1",
  "opsets": [{"domain": "", "version": 17}],
  "graph": {
    "inputs": [{"name": "x", "type": "f32", "shape": ["n", 7]}],
    "nodes": [{"op": "Softmax", "name": "last", "inputs": ["x"], "outputs": ["y"]},
              {"op": "Softmax", "name": "first", "inputs": ["x"], "outputs": ["z"], "attributes": {"axis": {"int": 0}}}],
    "outputs": [{"name": "y"}, {"name": "z"}]
  }
}
GRAPH
if [ -f "$softmax" ]; then
    run 0 bench model rows.nnd.json --shape x=5,7 --runs 1 --profile --json
    json "'demo.softmax' not in [s['kernel'] for s in d['profile']]"
    run 0 --plugin "$softmax" bench model rows.nnd.json --shape x=5,7 --runs 1 --profile --json
    json "{s['name']: s['kernel'] == 'demo.softmax' for s in d['profile']} == {'last': True, 'first': False}"
    json "all(s['flops'] == 5 * 35 and s['of_peak'] > 0 for s in d['profile'])"
    run 0 --plugin "$softmax" inspect rows.nnd.json --json
    json "[n['op'] for n in d['nodes']] == ['Softmax', 'Softmax'] and not any('domain' in n for n in d['nodes'])"
    run 0 --plugin "$softmax" compare-models rows.nnd.json --shape x=5,7 \
        --backends builtin:plugin-kernels=off,builtin
fi
summary
