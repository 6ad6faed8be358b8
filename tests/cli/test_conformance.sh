#!/usr/bin/env bash
# conformance: cases of ONNX's layout are found, run and judged.
. "$(dirname "$0")/lib.sh"

# A case that needs no ONNX package: output y = Identity(x), the bytes of the protos by hand.
"$python" - <<'PY'
import os, struct

def field(number, payload):
    return bytes([number << 3 | 2, len(payload)]) + payload
def number(n, value):
    return bytes([n << 3, value])
def tensor(values):
    return number(1, len(values)) + number(2, 1) + field(9, struct.pack('<%df' % len(values), *values))
def port(name):
    shape = field(1, number(1, 3))
    return field(1, name) + field(2, field(1, number(1, 1) + field(2, shape)))
def model(op):
    node = field(1, b'x') + field(2, b'y') + field(4, op)
    graph = field(1, node) + field(2, b'g') + field(11, port(b'x')) + field(12, port(b'y'))
    return number(1, 8) + field(7, graph) + field(8, number(2, 13))
def case(name, op, x, y):
    os.makedirs('cases/deep/%s/test_data_set_0' % name)
    open('cases/deep/%s/model.onnx' % name, 'wb').write(model(op))
    if x: open('cases/deep/%s/test_data_set_0/input_0.pb' % name, 'wb').write(tensor(x))
    if y: open('cases/deep/%s/test_data_set_0/output_0.pb' % name, 'wb').write(tensor(y))

inf, nan = float('inf'), float('nan')
case('good', b'Identity', [1, inf, nan], [1.0005, inf, nan])
case('wrong', b'Identity', [1, 2, 3], [1, 2, 4])
case('finite', b'Identity', [1, 2, 3], [1, 2, inf])
case('long', b'Identity', [1, 2, 3], [1, 2])
case('strange', b'NoSuchOperator', [1, 2, 3], [1, 2, 3])
case('unbound', b'Identity', None, [1, 2, 3])
os.makedirs('cases/bare')
open('cases/bare/model.onnx', 'wb').write(model(b'Identity'))
os.makedirs('cases/broken/test_data_set_0')
open('cases/broken/model.onnx', 'wb').write(b'no model')
PY

run 4 conformance cases --json
conforms conformance
json "(d['passed'], d['failed'], d['unsupported'], d['skipped']) == (1, 5, 1, 1)"
json "{c['name']: c['outcome'] for c in d['cases']} == {'good': 'passed', 'wrong': 'failed', 'finite': 'failed', 'long': 'failed', 'unbound': 'failed', 'broken': 'failed', 'strange': 'unsupported', 'bare': 'skipped'}"
json "'1 of 3 elements differ; at 2: 3, expected 4' in [c for c in d['cases'] if c['name'] == 'wrong'][0]['reason']"
json "'f32[3] and f32[2]' in [c for c in d['cases'] if c['name'] == 'long'][0]['reason']"
json "'NoSuchOperator' in [c for c in d['cases'] if c['name'] == 'strange'][0]['reason']"
run 4 conformance cases
says out.txt 'passed       1'
says out.txt '14.3 % passed'
run 0 conformance cases --filter 'g*d'
says out.txt '100.0 % passed'
run 0 conformance cases/deep/good
run 0 conformance cases --filter 'w?ong' --rtol 0.5
run 4 conformance cases/deep/good --rtol 0
run 0 conformance cases --skip wrong --skip finite --skip long --skip unbound --skip broken --json
json "d['skipped'] == 6"
run 5 conformance cases --filter nosuch
run 5 conformance nothere
run 5 conformance cases --backend nosuch
says err.txt builtin
run 2 conformance
run 2 conformance cases --rtol -1

if [ -d "${NNDEPLOY_TEST_DATA:-}/onnx-tests" ]; then
    tar xf "$NNDEPLOY_TEST_DATA/onnx-tests/node.tar.xz"
    run 0 conformance node --skip 'test_training_dropout*' --skip 'test_bernoulli*' --json
    conforms conformance
    json "d['failed'] == 0 and d['passed'] > 0.95 * len(d['cases'])"
    case=node/test_sequence_insert_at_front
    run 0 infer $case/model.onnx --input sequence=$case/test_data_set_0/input_0.pb \
        --input tensor=$case/test_data_set_0/input_1.pb --input position=$case/test_data_set_0/input_2.pb \
        --output-dir out --json
    conforms infer
    json "len(d['outputs']) > 1 and d['outputs'][0]['name'] == 'output_sequence.0'"
    run 3 infer $case/model.onnx --input sequence=$case/model.onnx --output-dir out
    run 3 infer $case/model.onnx --input tensor=$case/test_data_set_0/input_0.pb --output-dir out
else
    skip 'NNDEPLOY_TEST_DATA is not set: no ONNX cases'
fi
summary
