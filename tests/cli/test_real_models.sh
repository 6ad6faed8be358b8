#!/usr/bin/env bash
# The gallery's workflows on real models and pictures, from the command line.
. "$(dirname "$0")/lib.sh"
if [ ! -d "${NNDEPLOY_TEST_DATA:-}/models" ]; then
    skip 'NNDEPLOY_TEST_DATA is not set: no real models'
    summary
    exit
fi
media=$NNDEPLOY_TEST_DATA/media
# Each model becomes NAME.onnx in one folder, NAME as the workflow calls it.
mkdir models
name_model() { ln -s "$NNDEPLOY_TEST_DATA/models/$1/model.onnx" "models/$2.onnx"; }
model_of() { grep -oE '"model": *"[^"]+"' "$source_dir/workflows/$1.json" | sed -E 's/.*"([^"]+)"$/\1/' | tail -n 1; }
name_model ultraface_rfb320 "$(model_of face-detection)"
name_model yunet_n_320 "$(model_of face-detection-yunet)"
name_model yolox_nano "$(model_of object-detection-yolox)"
export NNDEPLOY_MODELS=$work/models

for workflow in face-detection face-detection-yunet; do
    run 0 run "$source_dir/workflows/$workflow.json" --input image="$media/faces_1.jpg" --json
    conforms run
    json "sum(len(v['value'].get('items', [])) for o in d['outputs'].values() for v in o if v['type'] == 'detections') > 0"
done
run 0 run "$source_dir/workflows/object-detection-yolox.json" --input image="$media/dog.jpg" --json
conforms run
json "any(i.get('label') == 'dog' for o in d['outputs'].values() for v in o if v['type'] == 'detections' for i in v['value']['items'])"
run 0 inspect "$NNDEPLOY_TEST_DATA/models/yolox_nano/model.onnx" --json
conforms inspect
json "d['flops'] > 1e8"
run 0 bench model "$NNDEPLOY_TEST_DATA/models/yolox_nano/model.onnx" --runs 2 --warmup 0 --profile --json
conforms bench_model
# The whole way from start to result.
begin=$(date +%s%N)
run 0 run "$source_dir/workflows/face-detection.json" --input image="$media/faces_1.jpg"
echo "face workflow, start to result: $((($(date +%s%N) - begin) / 1000000)) ms"
summary
