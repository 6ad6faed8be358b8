#!/usr/bin/env bash
# inspect, infer and bench model.
. "$(dirname "$0")/lib.sh"
folder=$source_dir/models/digits-32
model=$folder/digits-32.onnx

run 0 inspect "$model"
says out.txt 'f32[batch,1,32,32]'
says out.txt Conv
run 0 inspect "$model" --json
conforms inspect
json "d['parameters'] > 50000 and d['operators']['Conv'] == 5"
json "d['inputs'][0]['name'] == 'image'"
json "{'common', 'layout'} <= {p['name'] for p in d['passes']} and 'dump' not in d"
json "all(p['nodes_before'] - p['nodes_after'] == -sum(p['operators'].values()) for p in d['passes'])"
run 0 inspect "$model" --passes
says out.txt 'Relu -'
run 0 inspect "$model" --dump-after activation
says out.txt '+relu'
run 0 inspect "$model" --dump-after identity --json
conforms inspect
json "'Relu(' in d['dump'] and d['dump_after'] == 'identity'"
run 3 inspect "$model" --dump-after activaton
says err.txt "did you mean 'activation'"
NNDEPLOY_MODELS=$source_dir/models run 0 inspect digits-32
run 5 inspect nosuchmodel
says err.txt NNDEPLOY_MODELS
run 5 inspect nothere.onnx
run 3 inspect .
run 5 inspect "$model" --backend nosuch
says err.txt builtin
run 5 inspect "$model" --backend nosuch --json
conforms error

# infer: the stored logits come out again.
run 0 infer "$model" --input image="$folder/test_image.npy" --output-dir out --json
conforms infer
json "d['outputs'][0]['name'] == 'logits' and d['outputs'][0]['dtype'] == 'f32'"
conforms outputs out/outputs.json
present out/logits.npy
if "$python" -c 'import numpy' 2>/dev/null; then
    "$python" -c "
import numpy as np
a, b = np.load('out/logits.npy'), np.load('$folder/test_logits.npy')
assert a.shape == b.shape and abs(a - b).max() < 1e-3" 2>err.txt && pass || fail 'the logits differ'
else
    skip 'python3-numpy is not installed: the logits are not compared'
fi
run 0 infer "$model" --random --seed 7 --output-dir r1
says out.txt r1/logits.npy
run 0 infer "$model" --random --seed 7 --output-dir r2 --threads 1
same r1/logits.npy r2/logits.npy
run 0 infer "$model" --random --shape image=3,1,32,32 --output-dir r3/deep --json
json "d['outputs'][0]['shape'] == [3, 11]"
run 2 infer "$model" --output-dir missing
says err.txt "'image' f32[batch,1,32,32]"
absent missing
run 2 infer "$model" --input picture=x.npy --output-dir missing
says err.txt "'image'"
run 5 infer "$model" --input image=nothere.npy --output-dir missing
run 3 infer "$model" --input image="$folder/test_logits.npy" --output-dir missing
says err.txt 'wants f32[batch,1,32,32]'
run 3 infer "$model" --random --shape image=1,2 --output-dir missing
run 3 infer "$model" --random --shape image=a,b,c,d --output-dir missing
run 3 infer "$model" --random --shape image=99999999999,99999999,99999999,9999999 --output-dir missing
run 3 infer "$model" --random --shape image=1,1,1,1,1,1,1,1,1 --output-dir missing
run 2 infer "$model" --input image="$folder/test_image.npy" --input image="$folder/test_image.npy" --output-dir missing
absent missing
printf x >afile
run 4 infer "$model" --random --output-dir afile/deeper
brief 3

# A wrong element type.
if "$python" -c 'import numpy' 2>/dev/null; then
    "$python" -c "import numpy as np; np.save('f64.npy', np.zeros((1, 1, 32, 32)))"
    run 3 infer "$model" --input image=f64.npy --output-dir missing
    says err.txt f64
    absent missing
fi

# A small model of every kind of output: names that are no file names, names that clash, strings
# and element types that .npy lacks.
cat >make.py <<'PY'
# A protocol buffer is a row of (field, bytes) and (field, number); enough for models of one node.
import sys
def varint(n):
    out = b''
    while n > 127:
        out += bytes([n & 127 | 128]); n >>= 7
    return out + bytes([n])
def num(field, n): return varint(field << 3) + varint(n)
def blob(field, data):
    data = data.encode() if isinstance(data, str) else data
    return varint(field << 3 | 2) + varint(len(data)) + data
def port(field, name, dtype, dims):
    shape = b''.join(blob(1, num(1, d)) for d in dims)
    return blob(field, blob(1, name) + blob(2, blob(1, num(1, dtype) + blob(2, shape))))
def node(op, ins, outs, attrs=b''):
    return blob(1, b''.join(blob(1, i) for i in ins) + b''.join(blob(2, o) for o in outs) + blob(4, op) + attrs)
def attr_int(name, n): return blob(5, blob(1, name) + num(3, n) + num(20, 2))
def model(graph, opset=19):
    return num(1, 9) + blob(7, graph) + blob(8, blob(1, '') + num(2, opset))
graph = (node('Cast', ['x'], ['a/b'], attr_int('to', 16)) + node('Identity', ['x'], ['a:b']) +
         node('Neg', ['x'], ['a_b']) + blob(2, 'g') + port(11, 'x', 1, [2, 2]) +
         port(12, 'a/b', 16, [2, 2]) + port(12, 'a:b', 1, [2, 2]) + port(12, 'a_b', 1, [2, 2]))
open('names.onnx', 'wb').write(model(graph))
PY
"$python" make.py
run 0 infer names.onnx --random --output-dir names --json
conforms infer
json "[x['file'] for x in d['outputs']] == ['a_b.pb', 'a_b.npy', 'a_b_2.npy']"
present names/a_b.pb names/a_b.npy names/a_b_2.npy
if "$python" -c 'import onnx' 2>/dev/null; then
    "$python" -c "
import onnx
t = onnx.TensorProto(); t.ParseFromString(open('names/a_b.pb', 'rb').read())
assert list(t.dims) == [2, 2] and t.data_type == 16 and len(t.raw_data) == 8 and t.name == 'a/b'" 2>err.txt &&
        pass || fail 'a_b.pb is no TensorProto'
else
    # dims 2 2, data_type 16, name "a/b", eight bytes of raw data.
    head -c 15 names/a_b.pb | od -An -tx1 | tr -d ' \n' >hex.txt
    says hex.txt 0802080210104203612f624a08
fi

# bench
run 0 bench model "$model" --runs 5 --warmup 1 --threads 1
says out.txt median
run 0 bench model "$model" --runs 5 --profile --json
conforms bench_model
json "0 < d['min_ms'] <= d['median_ms'] <= d['p95_ms'] and d['runs'] == 5 and d['peak_mib'] > 0 and d['load_ms'] > 0"
json "len(d['profile']) > 5 and d['total']['count'] == len(d['profile']) == sum(o['count'] for o in d['operators'])"
for field in ms flops bytes_read bytes_written; do
    json "abs(sum(s['$field'] for s in d['profile']) - d['total']['$field']) <= 1e-6 * d['total']['$field']"
    json "abs(sum(o['$field'] for o in d['operators']) - d['total']['$field']) <= 1e-6 * d['total']['$field']"
done
json "d['memory']['measured_bytes'] >= 0 and d['memory']['packed_bytes'] > 0 and d['memory'].get('predicted_bytes', 1) > 0"
json "d['operators'] == sorted(d['operators'], key=lambda o: -o['ms']) and abs(sum(s['share'] for s in d['profile']) - 1) < 1e-6"
json "all(s['of_peak'] > 0 and s['gflops'] > 0 for s in d['profile'] if s['op'] == 'Conv')"
json "d['peaks']['f32_gflops'] > 0 and d['peaks']['int8_gops'] > 0 and len(d['peaks']['memory']) == 3"
run 0 bench model "$model" --runs 1 --warmup 0 --shape image=2,1,32,32 --profile
says out.txt GFLOP
says out.txt '% of peak'
says out.txt 'peaks of this machine'
run 2 bench model "$model" --shape nothere=1
run 5 bench model nothere.onnx
"$nndeploy" bench model "$model" --runs 1000000 >out.txt 2>err.txt &
pid=$!
sleep 0.5
kill -INT $pid
wait $pid
code=$?
if [ $code -eq 130 ]; then pass; else fail "an interrupted bench ended with $code, not 130"; fi

# Options of the backend; packed weights in a folder, which every process maps.
run 0 infer "$model" --random --seed 5 --output-dir plain
for round in packed mapped; do
    run 0 infer "$model" --random --seed 5 --backend builtin --config 'cache="packed weights"' --output-dir $round
    if cmp -s plain/logits.npy $round/logits.npy; then pass; else fail "$round weights give other results"; fi
done
if [ "$(ls 'packed weights' | wc -l)" -eq 1 ]; then pass; else fail 'not one file of packed weights'; fi
run 0 bench model "$model" --runs 1 --config 'cache="packed weights" arena=shared' --json
conforms bench_model
json "d['memory']['mapped_bytes'] == d['memory']['packed_bytes'] > 0"
run 0 bench model "$model" --runs 1 --config 'cache="packed weights"'
says out.txt 'are mapped and shared'
run 0 inspect "$model" --config 'cache="packed weights"' --json
conforms inspect
json "d['mapped_bytes'] == d['packed_bytes'] > 0"
NNDEPLOY_PACKED=by-variable run 0 inspect "$model" --json
json "d['mapped_bytes'] == d['packed_bytes'] > 0"
NNDEPLOY_PACKED=by-variable run 0 inspect "$model" --config 'cache=""' --json
json "d['mapped_bytes'] == 0"
run 0 inspect "$model" --config 'passes=none' --dump-after layout
run 0 inspect "$model" --json
json "d['mapped_bytes'] == 0"
run 3 infer "$model" --random --output-dir plain --config cash=packed
says err.txt "did you mean 'cache'"

# A backend that a plug-in brings.
if [ -f "${3:-}" ]; then
    printf echo >model.echo
    run 0 backends --plugin "$3" --json
    conforms backends
    json "[b['name'] for b in d['backends']][-1] == 'echo'"
    run 0 infer model.echo --random --shape in=5 --plugin "$3" --output-dir echo --json
    json "d['backend'] == 'echo' and d['outputs'][0]['shape'] == [5]"
    run 3 infer model.echo --random --output-dir echo
    says err.txt .echo
    run 3 inspect "$model" --backend echo --plugin "$3"
    says err.txt 'no model of echo'
    run 0 compare-models model.echo --backends echo,echo --shape in=5 --plugin "$3" --json
    conforms compare-models
    json "d['equal'] and d['sides'][1]['backend'] == 'echo'"
    run 0 tune model.echo --shape in=5 --threads 1 --time-budget 0.1 --plugin "$3" --tuning echo.json --json
    conforms tune
    json "d['models'][0]['trials'][0]['backend'] == 'echo'"
    printf '%s' '{"format": "nndeploy/1", "name": "echo",
        "inputs": [{"name": "x", "type": "tensor"}], "outputs": [{"name": "y", "from": ["net", "out"]}],
        "nodes": [{"id": "net", "type": "infer.model@1", "params": {"model": "model.echo"}}],
        "edges": [{"from": ["@", "x"], "to": ["net", "in"]}]}' >echo-flow.json
    run 0 run echo-flow.json --input 'x=[1, 2, 3, 4, 5]' --plugin "$3"
    run 3 backends --plugin "$3" --plugin "$3"
    says err.txt 'loaded already'
else
    skip 'the plug-in with a backend was not built'
fi
tidy
summary
