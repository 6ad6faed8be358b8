#!/usr/bin/env bash
# tune, and what the other commands make of its file.
. "$(dirname "$0")/lib.sh"
folder=$source_dir/models/digits-32
model=$folder/digits-32.onnx
file=$XDG_CACHE_HOME/nndeploy/tuning.json
# One backend that is everywhere, so that results do not depend on what is installed.
quick=(--backends builtin --threads 1 --time-budget 0.2)

run 0 inspect "$model" --json
json "d['backend'] == 'builtin' and 'first' in d['choice'] and d['threads'] == 0"
run 0 tune "$model" "${quick[@]}"
says out.txt 'chosen: builtin, 1 thread'
says out.txt "$file"
conforms tuning "$file"
run 0 inspect "$model"
says out.txt 'tuned'
run 0 inspect "$model" --json
conforms inspect
json "'tuned' in d['choice'] and d['threads'] == 1"
run 0 bench model "$model" --runs 2 --json
conforms bench_model
json "d['threads'] == 1 and 'tuned' in d['choice']"
run 0 bench model "$model" --runs 2 --tuning off --json
json "'first' in d['choice']"
NNDEPLOY_TUNING=off run 0 inspect "$model" --json
json "'first' in d['choice']"
run 0 inspect "$model" --backend builtin --json
json "'asked' in d['choice']"
run 0 infer "$model" --random --output-dir out
cp "$model" copy.onnx
run 0 inspect copy.onnx --json
json "'tuned' in d['choice']"

# Kernels: what the file says is what the engine takes, and nothing else. There is no choice without
# vector instructions.
run 0 tune "$model" --backends builtin --threads 1,2 --time-budget 1 --tuning kernels.json --json
conforms tune
json "all(k['kernel'] != k['instead_of'] for k in d['models'][0].get('kernels', []))"
conforms tuning kernels.json
run 0 inspect "$model" --backend builtin --tuning off --json
cp out.txt own.json
cat >choose.py <<'PY'
"""Writes the first kernel that is not the engine's own choice to kernels.json, and its name."""
import json
own = json.load(open("own.json"))
choices = [(n["kernel_shape"], k) for n in own["nodes"] for k in n.get("kernels", []) if k != n["kernel"]]
shape, kernel = choices[0] if choices else ("", "")
tuning = json.load(open("kernels.json"))
tuning["entries"][0]["kernels"] = [{"op": "Conv", "shape": shape, "kernel": kernel}] if kernel else []
json.dump(tuning, open("kernels.json", "w"))
print(kernel)
PY
kernel=$(python3 choose.py)
conforms tuning kernels.json
if [ -n "$kernel" ]; then
    run 0 inspect "$model" --backend builtin --tuning kernels.json --json
    conforms inspect
    json "[n['kernel'] for n in d['nodes'] if n.get('kernel_measured')][0] == '$kernel'"
    run 0 bench model "$model" --runs 2 --profile --tuning kernels.json --json
    json "'$kernel' in [s['kernel'] for s in d['profile']]"
    run 0 compare-models "$model" --backends builtin:kernels=own,builtin:kernels="$kernel"
    sed -i "s/\"kernel\": \"$kernel\"/\"kernel\": \"quickest\"/" kernels.json
    run 0 inspect "$model" --backend builtin --tuning kernels.json --json
    says err.txt "no kernel 'quickest'"
    json "not any(n.get('kernel_measured') for n in d['nodes'])"
    run 3 compare-models "$model" --backends builtin,builtin:kernels=quickest
    says err.txt 'direct, depthwise, winograd'
fi

# Candidates that differ, and the place of the file.
run 0 tune "$model" --backends builtin,builtin:passes=0 --threads 1 --time-budget 0.3 --shape image=2,1,32,32 \
    --tuning own/deep.json --json
conforms tune
json "d['file'] == 'own/deep.json' and len(d['models']) == 1"
json "[t['config'] for t in d['models'][0]['trials']] == ['', 'passes=0'] and all(t['accepted'] for t in d['models'][0]['trials'])"
json "d['models'][0]['inputs'] == {'image': 'f32[2,1,32,32]'}"
json "0 <= d['models'][0]['choice'] < 2 and d['models'][0]['trials'][1]['error'] < 1e-3"
conforms tuning own/deep.json
NNDEPLOY_TUNING=own/deep.json run 0 inspect "$model"
says out.txt 'best of 2 trials'

# A workflow: each model once, under the nodes that run it.
cat >two.json <<'JSON'
{"format": "nndeploy/1", "name": "two",
 "inputs": [{"name": "x", "type": "tensor"}],
 "outputs": [{"name": "a", "from": ["one", "logits"]}, {"name": "b", "from": ["two", "logits"]},
             {"name": "c", "from": ["fixed", "logits"]}],
 "nodes": [{"id": "one", "type": "infer.model@1", "params": {"model": "digits-32"}},
           {"id": "two", "type": "infer.model@1", "params": {"model": "digits-32"}},
           {"id": "fixed", "type": "infer.model@1", "params": {"model": "digits-32", "backend": "builtin"}}],
 "edges": [{"from": ["@", "x"], "to": ["one", "image"]}, {"from": ["@", "x"], "to": ["two", "image"]},
           {"from": ["@", "x"], "to": ["fixed", "image"]}]}
JSON
export NNDEPLOY_MODELS=$source_dir/models
rm "$file"
run 0 tune two.json "${quick[@]}" --json
conforms tune
json "[m['nodes'] for m in d['models']] == ['one,two'] and d['skipped'] == 'fixed'"
run 0 run two.json --input x="$folder/test_image.npy" --json
run 0 tune "$source_dir/workflows/read-digits.json" "${quick[@]}" --json
json "len(d['models']) == 1 and d['models'][0]['inputs']['image'].endswith(',1,32,32]')"
run 0 run "$source_dir/workflows/read-digits.json" --input image="$source_dir/examples/media/meter.jpg" --json
run 0 tune two.json "${quick[@]}" --set 'one.backend="builtin"' --set 'two.backend="builtin"'
says out.txt 'not tuned'
run 2 tune two.json --shape image=1,1,32,32

# A file that is no tuning file is named, not used, and never overwritten.
for content in '' '{' '{"schema": "nndeploy.tuning/2", "entries": []}' "$(head -c 300 "$file")"; do
    printf %s "$content" >"$file"
    cp "$file" before.json
    run 0 inspect "$model" --json
    json "'first' in d['choice']"
    says err.txt "$file"
    brief 2
    run 3 tune "$model" "${quick[@]}"
    says err.txt "$file"
    same "$file" before.json
done
rm "$file"

run 2 tune "$model" --threads 0
run 2 tune "$model" --threads 1,x
run 2 tune "$model" --threads 100000
run 2 tune "$model" --backends builtin,,builtin
run 2 tune
run 5 tune "$model" --backends nosuch
run 5 tune nothere.onnx
run 3 tune "$folder/test_image.npy"
run 3 tune "$model" --shape image=1,2 "${quick[@]}"
absent "$file"
printf x >afile
run 4 tune "$model" "${quick[@]}" --tuning afile/deeper.json
brief 3

# Ctrl-C leaves nothing behind; there is enough to measure that it comes in the middle.
many=builtin
for passes in $(seq 300); do many=$many,builtin:passes=$passes; done
"$nndeploy" tune "$model" --backends "$many" --time-budget 600 >out.txt 2>err.txt &
pid=$!
sleep 0.5
kill -INT $pid
wait $pid
code=$?
if [ $code -eq 130 ]; then pass; else fail "an interrupted tune ended with $code, not 130"; fi
absent "$file"
tidy "$XDG_CACHE_HOME"
tidy
summary
