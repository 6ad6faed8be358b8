#!/usr/bin/env bash
# models list, pull, check and where; workflows and models by their names in the catalogue.
. "$(dirname "$0")/lib.sh"
unset NNDEPLOY_MIRRORS NNDEPLOY_CATALOG NNDEPLOY_CACHE
unset http_proxy HTTP_PROXY all_proxy ALL_PROXY
export XDG_CONFIG_HOME="$work/settings"
cache=$XDG_CACHE_HOME/nndeploy/models

# conforms for a file with one document per line.
lines_conform() { # NAME
    local n=0 line
    while IFS= read -r line; do
        n=$((n + 1))
        printf '%s\n' "$line" >line.txt
        conforms "$1" line.txt
    done <out.txt
    [ $n -gt 0 ] || fail 'there is no line'
}

# ---- the catalogue that is built in
run 0 models list
says out.txt 'yolox-nano'
says out.txt 'ncnn f32'
run 0 models list --json
conforms models_list
json "{'digits-32', 'latin-ocr', 'mnist-cnn'} <= {m['name'] for m in d['models']}"
json "not any(v['present'] for m in d['models'] for v in m['variants'])"
run 0 models list --task face-detection --json
json "d['models'] and all(m['task'] == 'face-detection' for m in d['models'])"
run 0 models where
says out.txt "$cache"
run 0 models where --cache elsewhere --json
conforms models_where
json "d['cache'] == 'elsewhere/models'"
run 0 models check
silent out.txt
run 5 models where digits-32
says err.txt "'nndeploy models pull digits-32'"
run 5 models where digits-32 --json
conforms models_where
json "d['models'][0]['files'][0]['path'] is None"
run 5 models check digits-32
says out.txt missing
run 5 models where digit-32
says err.txt "did you mean 'digits-32'?"
run 5 models where digit-32 --json
conforms error
run 2 models
run 2 models pull
run 2 models lst
says err.txt "did you mean 'models list'?"

# ---- a model that is missing, and the way out
run 5 inspect digits-32
says err.txt "'nndeploy models pull digits-32'"
cp -r "$source_dir/workflows/read-digits.json" "$source_dir/workflows/labels" .
run 5 run read-digits.json --input image="$source_dir/examples/media/meter.jpg"
says err.txt "'nndeploy models pull digits-32'"
run 5 models pull digits-32
says err.txt 'name a mirror'
run 5 models pull digits-32 --json
lines_conform models_pull
says out.txt '"exit_code":5'

# ---- pulling from a folder; what workflows then find
run 0 models pull digits-32 --mirror "$source_dir/models"
says out.txt "$cache/digits-32/digits-32.onnx"
same "$cache/digits-32/digits-32.onnx" "$source_dir/models/digits-32/digits-32.onnx"
same "$cache/digits-32/labels.txt" "$source_dir/models/digits-32/labels.txt"
tidy "$cache"
run 0 models pull digits-32 --json
lines_conform models_pull
says out.txt '"source":""'
run 0 models check digits-32 --json
conforms models_check
json "d['present'] == 2 and d['missing'] == d['damaged'] == 0"
run 0 models where digits-32
says out.txt "$cache/digits-32/labels.txt"
run 0 models list --json
json "[m['variants'][0]['present'] for m in d['models'] if m['name'] == 'digits-32'] == [True]"
run 0 run read-digits.json --input image="$source_dir/examples/media/meter.jpg" --output picture=out.png
says out.txt 0358926

# Damaged: said by name, and mended.
cp "$cache/digits-32/digits-32.onnx" whole.onnx
printf x | dd of="$cache/digits-32/digits-32.onnx" bs=1 seek=1000 conv=notrunc 2>dd.txt
run 3 models check
says out.txt damaged
run 3 models check --json
conforms models_check
json "d['damaged'] == 1"
run 3 inspect digits-32
says err.txt "'nndeploy models pull digits-32' brings it again"
run 0 models pull digits-32 --mirror "$source_dir/models"
same "$cache/digits-32/digits-32.onnx" whole.onnx
rm -r "$cache"

# Without a copy: mirrors that are folders, by variable and by the file of settings.
NNDEPLOY_MIRRORS="/nowhere;$source_dir/models" run 0 inspect digits-32
mkdir -p settings/nndeploy
printf '# ours\n%s\n' "$source_dir/models" >settings/nndeploy/mirrors
run 0 inspect digits-32
run 0 models where latin-ocr --precision int8
says out.txt "$source_dir/models/latin-ocr/latin-ocr-int8.onnx"
run 5 models where latin-ocr --precision f16
says err.txt 'it has: f32, int8'
if [ "$(id -u)" -ne 0 ]; then
    chmod 0 settings/nndeploy
    NNDEPLOY_MODELS=$source_dir/models run 0 run "$source_dir/workflows/read-digits.json" \
        --input image="$source_dir/examples/media/meter.jpg"
    says err.txt 'no access'
    chmod 700 settings/nndeploy
else
    skip 'root may read everything'
fi
rm -r settings
absent "$cache"

# The cache can be elsewhere.
NNDEPLOY_CACHE=here run 0 models pull digits-32 --mirror "$source_dir/models"
present here/models/digits-32/digits-32.onnx
run 0 models pull latin-ocr --all-variants --mirror "$source_dir/models" --cache here
present here/models/latin-ocr/latin-ocr.onnx here/models/latin-ocr/latin-ocr-int8.onnx
NNDEPLOY_CACHE=here run 0 inspect latin-ocr
run 0 models check --cache here --json
json "d['present'] == 5 and d['missing'] == 0"
rm here/models/latin-ocr/latin-ocr.onnx
run 0 models check --cache here
rm here/models/latin-ocr/labels.txt
run 5 models check --cache here --json
json "[f['file'] for f in d['files'] if f['state'] == 'missing'] == ['labels.txt']"

# ---- catalogues of one's own
run 5 models list --catalog nothere.json
printf '{"format": "nndeploy-catalog/1",\n "models": {"a": {"task": "t", "licence": "MIT", "variants": [{"precision": "f32", "files":\n [{"role": "model", "name": "../a", "sha256": "%064d", "size": 1, "urls": []}]}]}}}' 0 >bad.json
run 3 models list --catalog bad.json
says err.txt 'bad.json:3'
says err.txt 'stay in its folder'
NNDEPLOY_CATALOG=bad.json run 3 models list --json
conforms error
run 3 models list --mirror file:///etc
says err.txt 'https://'

# ---- ports under the names of the catalogue, wherever the file is found
sum=$(sha256sum "$source_dir/models/digits-32/digits-32.onnx" | cut -d' ' -f1)
size=$(stat -c %s "$source_dir/models/digits-32/digits-32.onnx")
renamed() { # SHA256: a catalogue that calls the ports picture and scores
    printf '{"format": "nndeploy-catalog/1", "models": {"digits-32": {"task": "t", "licence": "MIT", "variants": [{"precision": "f32", "files": [{"role": "model", "name": "digits-32.onnx", "sha256": "%s", "size": %s, "urls": []}], "io": {"picture": {"name": "image"}, "scores": {"name": "logits"}}}]}}}' "$1" "$size"
}
renamed "$sum" >renamed.json
renamed "$(printf '%064d' 0)" >other.json
cat >ports.json <<'JSON'
{"format": "nndeploy/1", "name": "ports", "inputs": [{"name": "x", "type": "tensor"}],
 "outputs": [{"name": "y", "from": ["net", "scores"]}],
 "nodes": [{"id": "net", "type": "infer.model@1", "params": {"model": "digits-32"}}],
 "edges": [{"from": ["@", "x"], "to": ["net", "picture"]}]}
JSON
NNDEPLOY_MODELS=$source_dir/models run 0 infer digits-32 --input image="$source_dir/models/digits-32/test_image.npy" --output-dir own
NNDEPLOY_CATALOG=renamed.json NNDEPLOY_MODELS=$source_dir/models run 0 run ports.json \
    --input x="$source_dir/models/digits-32/test_image.npy" --output y=y.npy
same y.npy own/logits.npy
NNDEPLOY_CATALOG=renamed.json NNDEPLOY_MIRRORS=$source_dir/models run 0 run ports.json \
    --input x="$source_dir/models/digits-32/test_image.npy" --output y=y.npy
# A file with other bytes is another model: its own names count.
NNDEPLOY_CATALOG=other.json NNDEPLOY_MODELS=$source_dir/models run 3 run ports.json \
    --input x="$source_dir/models/digits-32/test_image.npy" --output y=y.npy
says err.txt picture

# ---- a name with a dot is no path because of it: the file that exists counts, else the catalogue
sed -e 's/"digits-32": {/"digits-v1.2": {/' renamed.json >dotted.json
mkdir -p dotted/digits-v1.2
cp "$source_dir/models/digits-32/digits-32.onnx" dotted/digits-v1.2/
export NNDEPLOY_CATALOG=dotted.json NNDEPLOY_MIRRORS=dotted
picture=$source_dir/models/digits-32/test_image.npy
run 0 infer digits-v1.2 --input image="$picture" --output-dir dots
same dots/logits.npy own/logits.npy
run 0 infer digits-v1.2@f32 --input image="$picture" --output-dir dots
run 0 inspect digits-v1.2
run 0 bench model digits-v1.2 --runs 1 --warmup 0
run 0 compare-models digits-v1.2 digits-v1.2@f32 --backends builtin,builtin --input image="$picture"
run 0 tune digits-v1.2 --backends builtin --threads 1 --time-budget 1 --tuning tuned.json
printf 'no model' >digits-v1.2
run 3 inspect digits-v1.2
says err.txt "'.2' models"
rm digits-v1.2
run 5 inspect digits-v1.3.onnx
says err.txt 'digits-v1.3.onnx'
sed -i -e 's/digits-32/digits-v1.2/' ports.json
run 0 run ports.json --input x="$picture" --output y=y.npy
same y.npy own/logits.npy
unset NNDEPLOY_CATALOG NNDEPLOY_MIRRORS

# ---- variants
export NNDEPLOY_MIRRORS=$source_dir/models
line=$source_dir/models/latin-ocr/test_image.npy
run 0 infer latin-ocr --input image="$line" --output-dir f32
run 0 infer latin-ocr@int8 --input image="$line" --output-dir int8
if cmp -s f32/logits.npy int8/logits.npy; then fail 'both variants give the same'; else pass; fi
pinned=$(sha256sum "$source_dir/models/latin-ocr/latin-ocr.onnx" | cut -d' ' -f1)
cat >line.json <<JSON
{"format": "nndeploy/1", "name": "line", "inputs": [{"name": "x", "type": "tensor"}],
 "outputs": [{"name": "y", "from": ["net", "logits"]}],
 "nodes": [{"id": "net", "type": "infer.model@1", "params": {"model": "latin-ocr"}}],
 "edges": [{"from": ["@", "x"], "to": ["net", "image"]}],
 "models": {"latin-ocr": {"sha256": "$pinned"}}}
JSON
variant() { # FOLDER OPTIONS...: the workflow gives what infer has given there
    local wanted=$1
    shift
    run 0 run line.json --input x="$line" --output y=y.npy "$@"
    same y.npy "$wanted/logits.npy"
}
variant f32
variant f32 --set net.backend=builtin
variant f32 --set net.precision=f32
variant int8 --set net.precision=int8
variant int8 --set net.model=latin-ocr@int8
variant int8 --set net.model=latin-ocr@int8 --set net.backend=builtin
NNDEPLOY_MODELS=$source_dir/models variant f32
NNDEPLOY_MODELS=$source_dir/models variant int8 --set net.precision=int8
run 5 run line.json --input x="$line" --set net.model=latin-ocr@f16
says err.txt 'it has: f32, int8'
run 5 run line.json --input x="$line" --set net.backend=ncnn
says err.txt "for the backend 'ncnn'; it has: f32, int8"
run 0 models where latin-ocr@int8
says out.txt "$source_dir/models/latin-ocr/latin-ocr-int8.onnx"
run 5 models where latin-ocr@int8 --precision f32
run 5 models where latin-ocr@f16
says err.txt 'it has: f32, int8'
run 0 models pull latin-ocr@int8 --cache there
present there/models/latin-ocr/latin-ocr-int8.onnx
absent there/models/latin-ocr/latin-ocr.onnx
unset NNDEPLOY_MIRRORS
run 5 inspect latin-ocr@int8
says err.txt "'nndeploy models pull latin-ocr@int8'"

# ---- the same faces on another framework, whose file leaves the priors to us
if [ -z "${NNDEPLOY_TEST_DATA:-}" ] || [ -z "$python" ]; then
    skip 'NNDEPLOY_TEST_DATA names no models, or there is no python3: no faces on ncnn'
elif "$nndeploy" backends | grep -q '^ncnn .*not available'; then
    skip 'no ncnn here (NNDEPLOY_NCNN names its library): no faces on it'
else
    export NNDEPLOY_MIRRORS="$NNDEPLOY_TEST_DATA/models;$NNDEPLOY_TEST_DATA/models/ncnn"
    for backend in builtin ncnn; do
        run 0 run "$source_dir/workflows/face-detection.json" --set net.backend=$backend --output picture=faces.png \
            --input image="$NNDEPLOY_TEST_DATA/media/faces_1.jpg" --json
        cp out.txt faces-$backend.json
    done
    json "len(d['outputs']['faces'][0]['value']['items']) > 10"
    if "$python" - faces-builtin.json faces-ncnn.json <<'PY'; then pass; else fail 'other faces on ncnn'; fi
import json, sys
a, b = (json.load(open(f))['outputs']['faces'][0]['value']['items'] for f in sys.argv[1:])
assert len(a) == len(b)
for x, y in zip(a, b):
    assert x['class'] == y['class'] and abs(x['score'] - y['score']) < 1e-3
    assert all(abs(p - q) < 0.05 for p, q in zip(x['box'], y['box']))
PY
    unset NNDEPLOY_MIRRORS
fi

# ---- the web
if [ -z "$python" ]; then
    skip 'there is no python3: nothing is downloaded'
    summary
    exit
fi
cat >serve.py <<'PY'
# Serves one file to the first requests and stops by itself. The first answer stops in the middle and
# waits for the client to go away; the others honour ranges.
import http.server, os, sys, threading, time
path, log = sys.argv[1], sys.argv[2]
data = open(path, 'rb').read()
class Handler(http.server.BaseHTTPRequestHandler):
    count = 0
    def do_GET(self):
        Handler.count += 1
        asked = self.headers.get('Range')
        start = int(asked[6:-1]) if asked else 0
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header('Content-Range', 'bytes %d-%d/%d' % (start, len(data) - 1, len(data)))
        self.send_header('Content-Length', str(len(data) - start))
        self.send_header('ETag', '"it"')
        self.end_headers()
        stops = Handler.count == 1
        self.wfile.write(data[start:start + 70000] if stops else data[start:])
        self.wfile.flush()
        with open(log, 'a') as f:
            print(asked or 'all', self.headers.get('If-Range') or 'always', file=f)
        if stops:
            self.connection.settimeout(20)
            try:
                self.connection.recv(1)
            except OSError:
                pass
    def log_message(self, *args):
        pass
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
server.daemon_threads = True
threading.Timer(60, lambda: os._exit(1)).start()
with open('port.tmp', 'w') as f:
    print(server.server_address[1], file=f)
os.rename('port.tmp', 'port.txt')
server.serve_forever()
PY
"$python" serve.py "$source_dir/models/digits-32/digits-32.onnx" requests.txt &
server=$!
trap 'kill $server 2>/dev/null; rm -rf "$work"' EXIT
for _ in $(seq 200); do
    [ -s port.txt ] && break
    sleep 0.05
done
printf '{"format": "nndeploy-catalog/1", "models": {"web-net": {"task": "t", "licence": "MIT", "variants": [{"precision": "f32", "files": [{"role": "model", "name": "m.onnx", "sha256": "%s", "size": %s, "urls": ["http://127.0.0.1:%s/m.onnx"]}]}]}}}' \
    "$sum" "$size" "$(cat port.txt)" >web.json
export NNDEPLOY_CATALOG=$work/web.json

# Ctrl-C in the middle: 130, and a part that the next attempt goes on with. (A background job of a
# script ignores Ctrl-C unless somebody gives the signal its meaning back.)
"$python" -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])' "$nndeploy" models pull web-net >out.txt 2>err.txt &
job=$!
for _ in $(seq 400); do
    [ "$(stat -c %s "$cache/web-net/m.onnx.part" 2>/dev/null)" != 70000 ] || break
    grep -q . err.txt && break
    sleep 0.05
done
if grep -q libcurl err.txt; then
    wait $job
    skip 'no libcurl is installed: nothing is downloaded'
    summary
    exit
fi
# Bytes reach the file in blocks; when the server has told of its answer, all are on their way.
for _ in $(seq 200); do
    [ -s requests.txt ] && break
    sleep 0.05
done
kill -INT $job
wait $job
code=$?
if [ $code -eq 130 ]; then pass; else fail "Ctrl-C gave $code"; fi
says err.txt cancelled
absent "$cache/web-net/m.onnx"
present "$cache/web-net/m.onnx.part"
run 5 models check web-net
says out.txt partial
left=$(stat -c %s "$cache/web-net/m.onnx.part")
run 0 models pull web-net --json
lines_conform models_pull
says out.txt '"resumed":true'
same "$cache/web-net/m.onnx" "$source_dir/models/digits-32/digits-32.onnx"
absent "$cache/web-net/m.onnx.part" "$cache/web-net/m.onnx.part-origin"
says requests.txt "bytes=$left- \"it\""
run 0 inspect web-net
run 0 models check
summary
