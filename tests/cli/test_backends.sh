#!/usr/bin/env bash
# The gallery's workflows give the same objects on every backend that is here, chosen by
# --set net.backend=NAME alone: as many as the reference, each at its place with its score.
. "$(dirname "$0")/lib.sh"
plugin=$(dirname "$nndeploy")/plugins/opencv-dnn.so
# OpenCV brings a thread library that loads modules in a way that sanitizers forbid.
if [ -f "$plugin" ] && ! ldd "$nndeploy" | grep -q 'lib[at]san'; then export NNDEPLOY_PLUGINS=$plugin; fi
if [ -z "$python" ]; then
    skip 'no Python to compare the objects with'
    summary
    exit
fi

run 0 backends --json
conforms backends
"$python" - out.txt >here.txt <<'PY'
import json, sys
for b in json.load(open(sys.argv[1]))['backends']:
    if b['available'] and 'onnx' in b['formats'].split():
        print(b['name'])
PY
says here.txt builtin
echo "backends here: $(tr '\n' ' ' <here.txt)"

# Our own readers give the same text, wherever the network runs. In a sub-graph a node has a path.
read_picture() { # EXIT_CODE BACKEND WORKFLOW PICTURE TEXT_FILE
    run "$1" run "$source_dir/workflows/$3.json" --set "read/net.backend=$2" \
        --input image="$source_dir/examples/media/$4" --output text="$5"
}
while read -r backend; do
    read_picture 0 "$backend" read-digits meter.jpg "$backend-digits.txt"
    same builtin-digits.txt "$backend-digits.txt"
    if [ "$backend" = opencv-dnn ]; then # which cannot squeeze as the line reader wants it
        read_picture 3 "$backend" read-page page.jpg "$backend-page.txt"
        says err.txt "OpenCV, model"
    else
        read_picture 0 "$backend" read-page page.jpg "$backend-page.txt"
        same builtin-page.txt "$backend-page.txt"
    fi
done <here.txt

# A name that nobody has is refused with those that are there.
read_picture 5 nobody read-digits meter.jpg nobody.txt
says err.txt "there is no backend 'nobody'"
says err.txt builtin

if [ ! -d "${NNDEPLOY_TEST_DATA:-}/models" ]; then
    skip 'NNDEPLOY_TEST_DATA is not set: no trained models'
    summary
    exit
fi
export NNDEPLOY_MODELS=$NNDEPLOY_TEST_DATA/models
media=$NNDEPLOY_TEST_DATA/media

# compare MODEL [BUILTIN]: the objects in out.txt are those of the model's reference, and those that
# the built-in engine gave.
compare() {
    if "$python" - "$NNDEPLOY_TEST_DATA/models/$1/SOURCE.json" out.txt "${2:-}" >compare.txt 2>&1 <<'PY'
import json, sys

def objects(path):
    for values in json.load(open(path))['outputs'].values():
        for v in values:
            if v['type'] == 'detections':
                return [(i['label'], i['score'], i['box']) for i in v['value']['items']]
    sys.exit('no detections in ' + path)

def overlap(a, b):
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    both = max(w, 0) * max(h, 0)
    area = lambda r: (r[2] - r[0]) * (r[3] - r[1])
    return both / (area(a) + area(b) - both)

def find(wanted, found):
    label, score, box = wanted
    if not any(l == label and abs(s - score) <= 0.02 and overlap(b, box) >= 0.9 for l, s, b in found):
        sys.exit(f'nothing like {wanted}')

expected = json.load(open(sys.argv[1]))['verified_result']
if isinstance(expected, dict):
    count, top = expected['faces'], [('face', s, b) for s, b in expected['top']]
else:
    count, top = len(expected), [(l, s, b) for l, s, b in expected]
got = objects(sys.argv[2])
if len(got) != count:
    sys.exit(f'{len(got)} objects, not {count}')
for item in top + (objects(sys.argv[3]) if sys.argv[3] else []):
    find(item, got)
PY
    then pass; else fail "$1: other objects: $(tail -n 1 compare.txt)"; fi
}

# White on black, as the reference has it: a bitmap of 28 x 28 gray levels.
"$python" - "$NNDEPLOY_TEST_DATA/models/mnist_cnn/ref/in_0.bin" seven.bmp <<'PY'
import struct, sys
levels = struct.unpack('<784f', open(sys.argv[1], 'rb').read())
rows = b''.join(bytes(int(v) for v in levels[y * 28:y * 28 + 28]) for y in reversed(range(28)))
palette = b''.join(bytes((i, i, i, 0)) for i in range(256))
head = struct.pack('<IiiHHIIiiII', 40, 28, 28, 1, 8, 0, len(rows), 2835, 2835, 256, 256)
start = 14 + len(head) + len(palette)
open(sys.argv[2], 'wb').write(struct.pack('<2sIHHI', b'BM', start + len(rows), 0, 0, start) + head + palette + rows)
PY

on_backend() { # WORKFLOW PICTURE
    run 0 run "$source_dir/workflows/$1.json" --set "net.backend=$backend" --input image="$2" --json
}
while read -r backend; do
    on_backend face-detection "$media/faces_1.jpg"
    [ "$backend" != builtin ] || cp out.txt ultraface.json
    compare ultraface_rfb320 ultraface.json
    on_backend face-detection-yunet "$media/faces_1.jpg"
    [ "$backend" != builtin ] || cp out.txt yunet.json
    compare yunet_n_320 yunet.json
    on_backend object-detection-yolox "$media/dog.jpg"
    [ "$backend" != builtin ] || cp out.txt yolox.json
    compare yolox_nano yolox.json
    on_backend digit-mnist seven.bmp
    json "d['outputs']['digit'][0]['value'][0]['class'] == 7" || cat out.txt
done <here.txt
summary
