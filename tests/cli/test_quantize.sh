#!/usr/bin/env bash
# quantize: the new file, its figures, what it costs in accuracy, and everything that can be wrong.
. "$(dirname "$0")/lib.sh"
"$python" -c 'import json' 2>/dev/null || { skip 'python3 is not installed'; summary; exit; }
digits=$source_dir/models/digits-32
ocr=$source_dir/models/latin-ocr

cat >make.py <<'PY'
# Samples without any library: the test vectors of the digits model as .npy and as PNG.
import os, struct, sys, zlib
def npy(path, shape, values):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    head = "{'descr': '<f4', 'fortran_order': False, 'shape': %r, }" % (tuple(shape),)
    head += ' ' * (63 - (10 + len(head)) % 64) + '\n'
    with open(path, 'wb') as f:
        f.write(b'\x93NUMPY\1\0' + struct.pack('<H', len(head)) + head.encode())
        f.write(struct.pack('<%df' % len(values), *values))
def png(path, rows):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    def chunk(name, data):
        return struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))
    head = struct.pack('>IIBBBBB', len(rows[0]), len(rows), 8, 0, 0, 0, 0)
    with open(path, 'wb') as f:
        f.write(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', head)
                + chunk(b'IDAT', zlib.compress(b''.join(b'\0' + bytes(r) for r in rows))) + chunk(b'IEND', b''))
with open(sys.argv[1], 'rb') as f:
    data = f.read()
start = 10 + struct.unpack('<H', data[8:10])[0]
values = struct.unpack('<%df' % (11 * 1024), data[start:])
for k in range(11):
    crop = values[k * 1024:(k + 1) * 1024]
    npy(f'samples/{k}.npy', (1, 1, 32, 32), crop)
    name = 'other' if k == 10 else str(k)
    png(f'crops/{name}/{k}.png', [[round(255 * v) for v in crop[y * 32:y * 32 + 32]] for y in range(32)])
npy('bad/nan.npy', (1, 1, 32, 32), [float('nan')] * 1024)
npy('shape/a.npy', (1, 1, 8, 8), [0.0] * 64)
os.makedirs('empty', exist_ok=True)
PY
"$python" make.py "$digits/test_image.npy"

# By tensors: the result, its report, and a file that loads with equal results.
run 0 quantize "$digits/digits-32.onnx" --calibrate samples --output a.onnx
present a.onnx
says out.txt 'conv1.weight'
says out.txt 'nndeploy compare-models'
run 0 quantize "$digits/digits-32.onnx" --calibrate samples --output b.onnx --json
conforms quantize
same a.onnx b.onnx
json "d['samples'] == 11 and d['bytes_after'] * 3 < d['bytes_before'] and not d['upgraded']"
json "sum(t['kind'] == 'weight' for t in d['tensors']) == 6 and not d['kept']"
json "all(t['sqnr'] > 20 and t['cosine'] > 0.99 for t in d['tensors'] if t['measured'])"
json "[t['sqnr'] for t in d['tensors']] == sorted(t['sqnr'] for t in d['tensors'])"
json "all(t['channels'] > 1 for t in d['tensors'] if t['kind'] == 'weight')"
run 0 compare-models "$digits/digits-32.onnx" a.onnx --backends builtin --input image="$digits/test_image.npy" --atol 0.5
run 0 inspect a.onnx --json

# Methods and forms differ, and all of them work.
for method in min-max percentile entropy mse; do
    for activations in u8 s8; do
        run 0 quantize "$digits/digits-32.onnx" --calibrate samples --method $method --activations $activations \
            --output m.onnx --json
        conforms quantize
        json "d['method'] == '$method'"
        json "[t['cosine'] > 0.98 for t in d['tensors'] if t['kind'] == 'output'] == [True]"
    done
done
run 0 quantize "$digits/digits-32.onnx" --calibrate samples --per-tensor --seven-bits --output m.onnx --json
json "all(t['channels'] == 1 for t in d['tensors'] if t['kind'] == 'weight')"
run 0 quantize "$digits/digits-32.onnx" --calibrate samples --keep-first --keep-last --exclude conv3 --output m.onnx --json
json "[(k['node'], k['reason']) for k in d['kept']] == [('conv1', 'a first layer'), ('conv3', 'excluded'), ('linear1', 'a last layer')]"
run 0 quantize "$digits/digits-32.onnx" --calibrate samples --limit 3 --check 0 --output m.onnx --json
json "d['samples'] == 3 and not any(t['measured'] for t in d['tensors'] if t['kind'] != 'weight')"

# An error that is asked for, and the layers that stay float for it.
run 0 quantize "$digits/digits-32.onnx" --calibrate samples --output m.onnx --json
json "d['method'] in ('min-max', 'percentile', 'entropy', 'mse') and d['output_sqnr'] > 33"
cp out.txt plain.txt
run 0 quantize "$digits/digits-32.onnx" --calibrate samples --no-bias-correction --output m.onnx --json
json "d['output_sqnr'] <= json.load(open('plain.txt'))['output_sqnr']"
run 0 quantize "$digits/digits-32.onnx" --calibrate samples --min-sqnr 40 --output m.onnx --json
conforms quantize
json "d['output_sqnr'] >= 40 and 0 < len(d['kept']) < 6 and all('alone' in k['reason'] for k in d['kept'])"
json "d['bytes_after'] > json.load(open('plain.txt'))['bytes_after']"
run 0 quantize "$digits/digits-32.onnx" --calibrate samples --min-sqnr 40 --output m.onnx
says out.txt 'alone it takes the outputs to'
says out.txt 'its outputs keep 4'
run 0 quantize "$digits/digits-32.onnx" --weights f16 --output half.onnx --json
conforms quantize
json "d['bytes_after'] < 0.52 * d['bytes_before'] and min(t['sqnr'] for t in d['tensors'] if t['measured']) > 60"
run 0 compare-models "$digits/digits-32.onnx" half.onnx --backends builtin --input image="$digits/test_image.npy" --atol 0.01
run 0 quantize "$digits/digits-32.onnx" --weights bf16 --calibrate samples --output half.onnx --json
json "any(t['kind'] == 'output' and t['sqnr'] > 30 for t in d['tensors'])"

# By a workflow, in a sub-graph too; the accuracy stays.
run 0 quantize "$digits/digits-32.onnx" --workflow "$digits/eval.json" --calibrate crops --output c.onnx --json
conforms quantize
json "d['samples'] == 11"
cp "$digits/eval.json" "$digits/labels.txt" "$digits/digits-32.onnx" .
run 0 eval eval.json --dataset crops --metric top1 --json
cp out.txt before.txt
run 0 eval eval.json --dataset crops --metric top1 --set 'net.model="c.onnx"' --json
json "d['figures'] == json.load(open('before.txt'))['figures']"
NNDEPLOY_MODELS="$source_dir/models" run 0 quantize "$digits/digits-32.onnx" --limit 20 --output d.onnx --json \
    --workflow "$source_dir/workflows/read-digits.json" --calibrate "$source_dir/workflows/images"
json "d['samples'] == 20"

# The int8 file that training made has another hand; both read the same.
"$python" - "$ocr/test_image.npy" <<'PY'
import os, struct, sys
data = open(sys.argv[1], 'rb').read()
os.makedirs('lines', exist_ok=True)
open('lines/all.npy', 'wb').write(data)
PY
run 0 quantize "$ocr/latin-ocr.onnx" --calibrate lines --output ocr.onnx --json
json "min(t['sqnr'] for t in d['tensors'] if t['kind'] == 'output') > 15"
json "d['bytes_after'] < 1.1 * $(wc -c <"$ocr/latin-ocr-int8.onnx")"
run 0 compare-models "$ocr/latin-ocr-int8.onnx" ocr.onnx --backends builtin --input image="$ocr/test_image.npy" --atol 6 --json
json "d['outputs'][0]['cosine'] > 0.99"

# What is wrong is said, and no file appears.
rm -f no.onnx
fails() { # CODE TEXT ARGUMENTS...
    local code=$1 text=$2
    shift 2
    run "$code" quantize "$@"
    says err.txt "$text"
    absent no.onnx
}
fails 2 '--calibrate' "$digits/digits-32.onnx" --output no.onnx
fails 2 '--output' "$digits/digits-32.onnx" --calibrate samples
fails 2 'is the model itself' digits-32.onnx --calibrate samples --output ./digits-32.onnx
fails 2 'is a folder' "$digits/digits-32.onnx" --calibrate samples --output samples
fails 2 '--percentile' "$digits/digits-32.onnx" --calibrate samples --percentile 99 --output no.onnx
fails 2 '--min-sqnr' "$digits/digits-32.onnx" --weights f16 --min-sqnr 30 --output no.onnx
fails 2 '--check' "$digits/digits-32.onnx" --calibrate samples --check 0 --min-sqnr 30 --output no.onnx
fails 3 'single layer' "$digits/digits-32.onnx" --calibrate samples --min-sqnr 199 --output no.onnx
fails 2 '--workflow' "$digits/digits-32.onnx" --weights f16 --workflow eval.json --output no.onnx
fails 5 'holds no .npy files' "$digits/digits-32.onnx" --calibrate empty --output no.onnx
fails 5 'holds no pictures' "$digits/digits-32.onnx" --calibrate empty --workflow eval.json --output no.onnx
fails 5 'nothere' "$digits/digits-32.onnx" --calibrate nothere --output no.onnx
fails 5 'did you mean' "$digits/digits-32.onnx" --calibrate samples --exclude conv33 --output no.onnx
fails 5 'nothere' nothere.onnx --calibrate samples --output no.onnx
fails 5 'nothere' "$digits/digits-32.onnx" --calibrate samples --output nothere/no.onnx
cp digits-32.onnx other.onnx
fails 5 'does not run the model' other.onnx --workflow eval.json --calibrate crops --output no.onnx
fails 3 'NaN' "$digits/digits-32.onnx" --calibrate bad --output no.onnx
fails 3 'image' "$digits/digits-32.onnx" --calibrate shape --output no.onnx
fails 3 'quantised already' a.onnx --calibrate samples --output no.onnx
head -c 3000 a.onnx >cut.onnx
fails 3 'cut.onnx' cut.onnx --calibrate samples --output no.onnx
echo text >text.onnx
fails 3 'text.onnx' text.onnx --weights f16 --output no.onnx
run 3 quantize cut.onnx --calibrate samples --output no.onnx --json
conforms error

# Real models of old operator sets; ONNX Runtime agrees where it is there.
agrees() { # MODEL INPUT ATOL
    "$nndeploy" backends --json | "$python" -c "
import json, sys
sys.exit(not any(b['name'] == 'onnxruntime' and b['available'] for b in json.load(sys.stdin)['backends']))" || {
        skip 'no ONNX Runtime here'
        return
    }
    run 0 compare-models "$1" --backends builtin,onnxruntime --input "$2" --rtol 0.05 --atol "$3"
}
agrees a.onnx image="$digits/test_image.npy" 0.2
agrees half.onnx image="$digits/test_image.npy" 0.01
models=${NNDEPLOY_TEST_DATA:-}/models
if [ -f "$models/ultraface_rfb320/model.onnx" ]; then
    "$python" - "$models" <<'PY'
import json, os, struct, sys
for name in ('mnist_cnn', 'ultraface_rfb320'):
    ref = f'{sys.argv[1]}/{name}/ref/'
    shape = json.load(open(ref + 'ref.json'))['inputs'][0]['shape']
    os.makedirs(name, exist_ok=True)
    head = "{'descr': '<f4', 'fortran_order': False, 'shape': %r, }" % (tuple(shape),)
    head += ' ' * (63 - (10 + len(head)) % 64) + '\n'
    with open(f'{name}/0.npy', 'wb') as f:
        f.write(b'\x93NUMPY\1\0' + struct.pack('<H', len(head)) + head.encode() + open(ref + 'in_0.bin', 'rb').read())
PY
    run 0 quantize "$models/mnist_cnn/model.onnx" --calibrate mnist_cnn --output mnist.onnx --json
    json "d['upgraded'] and min(t['cosine'] for t in d['tensors'] if t['measured']) > 0.999"
    agrees mnist.onnx Input3=mnist_cnn/0.npy 0.5
    run 0 quantize "$models/ultraface_rfb320/model.onnx" --calibrate ultraface_rfb320 --output ultra.onnx --json
    conforms quantize
    json "d['upgraded'] and min(t['cosine'] for t in d['tensors'] if t['kind'] == 'output') > 0.999"
    agrees ultra.onnx input=ultraface_rfb320/0.npy 0.05
else
    skip 'NNDEPLOY_TEST_DATA is not set'
fi
tidy
summary
