#!/usr/bin/env bash
# compare-models.
. "$(dirname "$0")/lib.sh"
folder=$source_dir/models/digits-32
model=$folder/digits-32.onnx

# Two files that differ in the constant of one node: y = Relu(((x + 1) * c) - 1) * 2
cat >make.py <<'PY'
import struct, sys
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
def node(name, op, ins, out):
    return blob(1, b''.join(blob(1, i) for i in ins) + blob(2, out) + blob(3, name) + blob(4, op))
def constant(name, value):
    return blob(5, num(1, 1) + num(2, 1) + blob(8, name) + blob(9, struct.pack('<f', value)))
def model(c):
    graph = (constant('one', 1) + constant('c', c) + constant('two', 2) +
             node('first', 'Add', ['x', 'one'], 't1') + node('wrong', 'Mul', ['t1', 'c'], 't2') +
             node('third', 'Sub', ['t2', 'one'], 't3') + node('fourth', 'Relu', ['t3'], 't4') +
             node('last', 'Mul', ['t4', 'two'], 'y') + blob(2, 'g') + port(11, 'x', 1, [2, 3]) +
             port(12, 'y', 1, [2, 3]))
    return num(1, 8) + blob(7, graph) + blob(8, blob(1, '') + num(2, 13))
open('a.onnx', 'wb').write(model(3))
open('b.onnx', 'wb').write(model(3.5))
PY
"$python" make.py

run 0 compare-models a.onnx --backends builtin,builtin:passes=0
says out.txt 'b  a.onnx on builtin, passes=0'
run 0 compare-models a.onnx --backends builtin,builtin
says out.txt equal
run 0 compare-models a.onnx a.onnx --json
conforms compare-models
json "d['equal'] and d['first_divergent'] is None and d['outputs'][0]['max_abs'] == 0"
run 4 compare-models a.onnx b.onnx
says out.txt "first operator that differs: Mul 'wrong', tensor 't2'"
for window in 2 3 64; do
    run 4 compare-models a.onnx b.onnx --backends builtin --window $window --json
    conforms compare-models
    json "not d['equal'] and d['search']['tensors'] == 5"
    json "[d['first_divergent'][k] for k in ('op', 'node', 'tensor')] == ['Mul', 'wrong', 't2']"
    json "abs(d['first_divergent']['b'] / d['first_divergent']['a'] - 3.5 / 3) < 1e-6"
done
run 0 compare-models a.onnx b.onnx --rtol 0.5 --atol 1
run 0 compare-models "$model" --backends builtin,builtin:passes=0 --input image="$folder/test_image.npy" --json
json "d['sides'][1]['config'] == 'passes=0' and d['equal']"
run 0 compare-models "$model" --backends builtin,builtin --shape image=2,1,32,32 --seed 3

# What cannot be compared is said, not guessed.
run 2 compare-models a.onnx
says err.txt --backends
run 2 compare-models a.onnx --backends builtin
run 2 compare-models a.onnx --backends builtin,
run 2 compare-models a.onnx --backends builtin,builtin,builtin
run 2 compare-models a.onnx --backends builtin,builtin --window 1
run 5 compare-models a.onnx --backends builtin,nosuch
run 5 compare-models a.onnx nothere.onnx
run 3 compare-models a.onnx . --json
conforms error
head -c 100 a.onnx >cut.onnx
run 3 compare-models a.onnx cut.onnx
run 3 compare-models a.onnx "$model"
says err.txt 'image'

# A model whose last bits differ between backends, and one of integers where none does.
real=${NNDEPLOY_TEST_DATA:-}/models/yunet_n_320/model.onnx
bytes=${NNDEPLOY_TEST_DATA:-}/models/mobilenet_v2_qdq/model.onnx
if [ -f "$real" ] && "$nndeploy" backends --json | "$python" -c "
import json, sys
sys.exit(not any(b['name'] == 'onnxruntime' and b['available'] for b in json.load(sys.stdin)['backends']))"; then
    run 4 compare-models "$real" --backends builtin,onnxruntime --atol 0 --rtol 0 --json
    conforms compare-models
    json "d['search']['tensors'] > 100 and d['first_divergent']['op'] and d['outputs'][0]['cosine'] > 0.99"
    run 0 compare-models "$real" --backends builtin,onnxruntime --atol 1e-3
    run 0 compare-models "$bytes" --backends builtin,onnxruntime --atol 0 --rtol 0
else
    skip 'no ONNX Runtime here, or NNDEPLOY_TEST_DATA is not set'
fi
tidy
summary
