#!/usr/bin/env bash
# eval: the four metrics on small data sets in every layout, samples that cannot be measured.
. "$(dirname "$0")/lib.sh"
plugin=$4
digits=$source_dir/models/digits-32/eval.json
"$python" -c 'import json' 2>/dev/null || { skip 'python3 is not installed'; summary; exit; }

cat >make.py <<'PY'
# Pictures and data sets without any library.
import json, os, struct, sys, zlib
def png(path, rows, palette=None, channels=1):
    os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
    def chunk(name, data):
        return struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))
    head = struct.pack('>IIBBBBB', len(rows[0]) // channels, len(rows), 8, 3 if palette else channels - 1, 0, 0, 0)
    body = b''.join(b'\0' + bytes(r) for r in rows)
    with open(path, 'wb') as f:
        f.write(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', head) + (chunk(b'PLTE', bytes(palette)) if palette else b'')
                + chunk(b'IDAT', zlib.compress(body)) + chunk(b'IEND', b''))
def crops(path): # the test vectors of the digits model: one crop for each of its eleven classes
    with open(path, 'rb') as f:
        data = f.read()
    start = 10 + struct.unpack('<H', data[8:10])[0]
    v = struct.unpack('<%df' % (11 * 1024), data[start:])
    return [[[round(255 * v[k * 1024 + y * 32 + x]) for x in range(32)] for y in range(32)] for k in range(11)]
names = [str(k) for k in range(10)] + ['other']
def text(path, content):
    os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
    with open(path, 'w') as f:
        f.write(content)
all_crops = crops(sys.argv[1])
for k, rows in enumerate(all_crops):
    if k == 1: # the one that the model errs on
        continue
    png(f'folders/{names[k]}/{k}.png', rows)
    png(f'list/c {k}.png', rows)
# In the list 3 is called 5, and one file is not there.
text('list/labels.txt', '# a comment\n' + ''.join(f'c {k}.png {"5" if k == 3 else k}\n' for k in range(10) if k != 1))
text('named.tsv', ''.join(f'c {k}.png\t{names[k]}\r\n' for k in range(11) if k != 1) + 'nothere.png\tother\n')
text('words.txt', '\n'.join('zero one two three four five six seven eight nine none'.split()) + '\n')
for k, w in enumerate('zero one two three four five six seven eight nine none'.split()):
    if k != 1:
        png(f'words/{w}/x.png', all_crops[k])

# Boxes: every picture is 100 x 50; the workflow gives the same three boxes for each.
blank = [[128] * 100 for _ in range(50)]
found = {'items': [{'box': [10, 10, 30, 30], 'score': 0.9, 'class': 0}, {'box': [50, 10, 70, 28], 'score': 0.8, 'class': 1},
                   {'box': [80, 30, 90, 40], 'score': 0.7, 'class': 0}], 'source_width': 100, 'source_height': 50}
for name in ('coco/train2/a.png', 'coco/train2/b.png', 'yolo/images/a.png', 'yolo/images/b.png'):
    png(name, blank)
boxes = {'a': [(0, [10, 10, 20, 20]), (1, [50, 10, 20, 20])], 'b': [(0, [80, 30, 10, 10])]}
notes, ids = [], {'a': 7, 'b': 3}
for name, list_ in boxes.items():
    for c, b in list_:
        notes.append({'id': len(notes) + 1, 'image_id': ids[name], 'category_id': 90 if c else 18, 'bbox': b, 'area': b[2] * b[3], 'iscrowd': 0})
    text(f'yolo/labels/{name}.txt', ''.join(f'{c} {(b[0] + b[2] / 2) / 100} {(b[1] + b[3] / 2) / 50} {b[2] / 100} {b[3] / 50}\n' for c, b in list_))
coco = {'images': [{'id': ids[n], 'file_name': n + '.png', 'width': 100, 'height': 50} for n in ids], 'annotations': notes,
        'categories': [{'id': 90, 'name': 'dog'}, {'id': 18, 'name': 'cat'}]}
text('coco/annotations/instances_train2.json', json.dumps(coco))
for key, value in (('image_id', 99), ('category_id', 4), ('bbox', [1, 2, 3])):
    bad = json.loads(json.dumps(coco))
    bad['annotations'][1][key] = value
    text(f'bad_{key}.json', json.dumps(bad, indent=1))
text('boxes.json', json.dumps(found))

# Masks: levels 0, 60, 120 are classes 0, 1, 2.
levels = [[0] * 4 + [60] * 4, [120] * 8]
png('masks/images/a.png', levels)
png('masks/masks/a.png', [[0] * 4 + [1] * 4, [2] * 6 + [255] * 2], [0, 0, 0, 200, 0, 0, 0, 200, 0] + [9] * 759)
png('flat/b.png', levels)
png('flat/b_mask.png', [[0] * 5 + [1] * 3, [2] * 8])
png('rgb.png', [[9] * 24, [8, 7, 6] * 8], channels=3)
PY
"$python" make.py "$source_dir/models/digits-32/test_image.npy" || fail 'make.py'

# ---- top1: folders, a list of numbers, a list of names, names for class ids
run 0 eval "$digits" --dataset folders --metric top1 --classes
says out.txt 'top1        1.0000'
says out.txt other
silent err.txt
run 0 eval "$digits" --dataset list --metric top1 --json --output samples.jsonl
conforms eval
json "d['figures']['top1'] == 8 / 9 and d['figures']['right'] == 8 and d['measured'] == 9"
json "[c['top1'] for c in d['classes'] if c['name'] == '5'] == [0.5]"
json "d['figures']['mean_class'] == 7.5 / 8"
"$python" -c "
import json
rows = [json.loads(l) for l in open('samples.jsonl')]
assert len(rows) == 9 and [r for r in rows if not r['right']] == [r for r in rows if r['sample'] == 'c 3.png']
assert rows[2]['truth'] == '5' and rows[2]['found'] == '3' and rows[2]['score'] > 0.5" 2>err.txt && pass || fail 'samples.jsonl'
run 3 eval "$digits" --dataset list --truth named.tsv --metric top1 --json
conforms eval
json "d['figures']['top1'] == 1 and d['tried'] == 11 and d['measured'] == 10"
json "[b['sample'] for b in d['broken']] == ['nothere.png']"
says err.txt nothere.png
says err.txt '1 of 11 samples'
run 0 eval "$digits" --dataset list --truth named.tsv --metric top1 --skip-broken
says err.txt nothere.png
run 0 eval "$digits" --dataset words --metric top1 --labels words.txt --json
json "d['figures']['top1'] == 1"
run 0 eval "$digits" --dataset words --metric top1 --json
json "d['figures']['top1'] == 0"
says err.txt '--labels'
run 0 eval "$digits" --dataset folders --metric top1 --set best.k=5 --limit 4 --json
json "d['tried'] == 4 and d['samples'] == 10 and d['figures']['top5'] == 1"

# ---- cer
mkdir pages
cp "$source_dir/examples/media/page.jpg" pages/
"$python" -c "
import json
lines = [l['text'] for l in json.load(open('$source_dir/tools/train/ocr/expected.json'))['page.jpg']['lines']]
open('pages/page.txt', 'w').write('\r\n'.join(lines) + '\r\n')"
run 0 eval "$source_dir/workflows/read-page.json" --dataset pages --metric cer --json
conforms eval
json "d['figures']['cer'] == 0 and d['figures']['exact'] == 1 and d['figures']['characters'] > 500"
sed -i '1s/^N/M/' pages/page.txt
run 0 eval "$source_dir/workflows/read-page.json" --dataset pages --metric cer --json --output cer.jsonl
json "d['figures']['character_errors'] == 1 and d['figures']['word_errors'] == 1 and d['figures']['exact'] == 0"
says cer.jsonl '"character_errors":1'
printf 'x' >pages/lonely.txt
cp pages/page.jpg pages/dumb.jpg
head -c 2000 pages/page.jpg >pages/short.jpg
printf 'x' >pages/short.txt
cp pages/page.jpg pages/latin1.jpg
printf 'caf\xe9' >pages/latin1.txt
run 3 eval "$source_dir/workflows/read-page.json" --dataset pages --metric cer --json
conforms eval
json "d['measured'] == 1 and len(d['broken']) == 4 and d['figures']['character_errors'] == 1"
json "{b['sample']: b['problem'] for b in d['broken']}['dumb.jpg'] == \"there is no 'dumb.txt'\""
json "'UTF-8' in {b['sample']: b['problem'] for b in d['broken']}['latin1.jpg']"
says err.txt "'lonely.txt': there is no picture for it"
says err.txt short.jpg
rm pages/page.*
run 3 eval "$source_dir/workflows/read-page.json" --dataset pages --metric cer
says err.txt 'none of 4 samples'

# ---- map
cat >boxes.workflow.json <<'EOF'
{"format": "nndeploy/1", "name": "boxes", "inputs": [{"name": "boxes", "type": "detections"}, {"name": "image", "type": "image"}],
 "outputs": [{"name": "picture", "from": ["draw", "image"]}, {"name": "found", "from": ["keep", "detections"]}],
 "nodes": [{"id": "keep", "type": "detect.filter@1"}, {"id": "draw", "type": "draw.detections@1"}],
 "edges": [{"from": ["@", "boxes"], "to": ["keep", "detections"]}, {"from": ["@", "image"], "to": ["draw", "image"]},
           {"from": ["keep", "detections"], "to": ["draw", "detections"]}]}
EOF
# cat (18) is class 0, dog (90) class 1. Picture a: cat exact, dog with IoU 0.9; picture b: a cat.
for layout in coco yolo; do
    run 0 eval boxes.workflow.json --dataset $layout --metric map --input boxes=@boxes.json --json --output map.jsonl
    conforms eval
    # cat: at a 1 of 1 hit at 0.9, b's 0.9 is wrong, a's 0.7 is wrong, b's 0.7 right
    json "abs(d['figures']['ap50'] - ((51 * 1 + 50 * 0.5) / 101 + 1) / 2) < 1e-9"
    json "abs(d['figures']['map'] - ((51 + 25) / 101 + 0.9) / 2) < 1e-9"
    json "d['figures']['objects'] == 3 and d['figures']['ap_large'] is None and d['figures']['ar100'] == 0.95"
    "$python" -c "
import json
rows = [json.loads(l) for l in open('map.jsonl')]
assert [r['objects'] for r in rows] == [2, 1] and rows[0]['found'][0]['box'] == [10, 10, 30, 30]" 2>err.txt && pass || fail 'map.jsonl'
done
run 0 eval boxes.workflow.json --dataset coco --metric map --input boxes=@boxes.json --classes
says out.txt cat
for key in image_id category_id bbox; do
    run 3 eval boxes.workflow.json --dataset coco --metric map --input boxes=@boxes.json --truth bad_$key.json
    says err.txt "$key"
    says err.txt "bad_$key.json"
done
printf '{"images": 1}' >bad.json
run 3 eval boxes.workflow.json --dataset coco --metric map --input boxes=@boxes.json --truth bad.json
says err.txt "'images'"
printf '{' >bad.json
run 3 eval boxes.workflow.json --dataset coco --metric map --input boxes=@boxes.json --truth bad.json
printf '0 0.5 0.5 0.2\n' >yolo/labels/a.txt
run 3 eval boxes.workflow.json --dataset yolo --metric map --input boxes=@boxes.json
says err.txt 'line 1 of its boxes'
run 2 eval boxes.workflow.json --dataset coco --metric map
says err.txt '--input boxes='
run 2 eval boxes.workflow.json --dataset coco --metric map --input boxes=@boxes.json --input image=coco/train2/a.png

# ---- iou
cat >mask.workflow.json <<'EOF'
{"format": "nndeploy/1", "name": "mask", "inputs": [{"name": "image", "type": "image"}],
 "outputs": [{"name": "mask", "from": ["m", "mask"]}], "nodes": [{"id": "m", "type": "test.mask@1"}],
 "edges": [{"from": ["@", "image"], "to": ["m", "image"]}]}
EOF
run 0 eval mask.workflow.json --plugin "$plugin" --dataset masks --metric iou --json
conforms eval
json "d['figures']['miou'] == 1 and d['figures']['pixels'] == 14"
run 0 eval mask.workflow.json --plugin "$plugin" --dataset masks --metric iou --ignore -1 --json
json "d['figures']['pixels'] == 16 and d['classes'][-1]['name'] == '255' and d['classes'][-1]['iou'] == 0"
printf 'ground\nroad\ntree\n' >road.txt
run 0 eval mask.workflow.json --plugin "$plugin" --dataset flat --metric iou --labels road.txt --json --output iou.jsonl
json "[(c['name'], c['pixels'], round(c['iou'], 6)) for c in d['classes']] == [('ground', 5, 0.8), ('road', 3, 0.75), ('tree', 8, 1)]"
json "d['figures']['pixel_accuracy'] == 15 / 16"
says iou.jsonl '"right":15'
# A picture without a result is named, a failing node ends the run.
run 3 eval mask.workflow.json --plugin "$plugin" --dataset flat --metric iou --set m.silent=8
says err.txt 'gave no result'
run 4 eval mask.workflow.json --plugin "$plugin" --dataset flat --metric iou --set m.fail=8 --output no.jsonl
says err.txt 'b.png'
says err.txt '8 columns'
# A mask of another size or in colours is a problem of its sample.
cp flat/b_mask.png flat/c_mask.png
cp "$source_dir/examples/media/sheet.png" flat/c.png
cp flat/b.png flat/colours.png
cp rgb.png flat/colours_mask.png
run 3 eval mask.workflow.json --plugin "$plugin" --dataset flat --metric iou --json
json "d['measured'] == 1 and [b['sample'] for b in d['broken']] == ['c.png', 'colours.png']"
says err.txt 'gray'
absent no.jsonl

# ---- what was asked for makes no sense
run 2 eval "$digits" --metric top1
run 2 eval "$digits" --dataset folders
run 2 eval "$digits" --dataset folders --metric mse
run 5 eval "$digits" --dataset nothere --metric top1
says err.txt nothere
mkdir empty
for metric in top1 map cer iou; do
    run 5 eval "$digits" --dataset empty --metric $metric
    brief 1
done
run 3 eval "$digits" --dataset pages --metric cer --truth named.tsv
run 3 eval "$digits" --dataset list --metric top1 --image picture
says err.txt "no input 'picture'"
run 3 eval "$digits" --dataset list --metric top1 --result nothing
says err.txt "no output 'nothing'"
run 3 eval "$digits" --dataset flat --metric iou
says err.txt 'of type mask'
run 3 eval "$digits" --dataset list --metric top1 --result classes --image crop --truth words.txt
says err.txt 'words.txt'
run 5 eval "$digits" --dataset folders --metric top1 --labels nothere.txt
run 5 eval nothere.json --dataset folders --metric top1
run 5 eval "$digits" --dataset folders --metric top1 --output nofolder/x.jsonl
tidy
summary
