#!/usr/bin/env bash
# run: inputs of every kind, results to files and to the terminal, several packets, overrides.
. "$(dirname "$0")/lib.sh"
media=$source_dir/examples/media
digits=$source_dir/workflows/read-digits.json

# One node between an input and an output of the same type.
pipe() { # input-type node-type output-port [params]
    printf '{"format": "nndeploy/1", "name": "pipe", "inputs": [{"name": "in", "type": "%s"}],
 "outputs": [{"name": "out", "from": ["n", "%s"]}],
 "nodes": [{"id": "n", "type": "%s", "params": %s}],
 "edges": [{"from": ["@", "in"], "to": ["n", "%s"]}]}' "$1" "$3" "$2" "${4:-{\}}" "${5:-$3}"
}

# A folder with two pictures.
folder=$PWD/pictures
mkdir -p "$folder"
cp "$media/meter.jpg" "$media/sheet.png" "$folder/"

# The project's own reader: text, boxes and a picture.
run 0 run "$digits" --input image="$media/meter.jpg"
says out.txt 0358926
says out.txt 'detections'
says out.txt 'picture: image rgb 960×640'
silent err.txt
run 0 run "$digits" --input image="$media/meter.jpg" --json
conforms run
json "d['outputs']['text'][0]['value'].split('\n')[1] == '0358926'"
json "len(d['outputs']['digits'][0]['value']['items']) > 60"
json "d['packets'] == 1 and not d['errors']"
run 0 run "$digits" --input image="$media/meter.jpg" --output text=text.txt --output digits=digits.json \
    --output picture=picture.png --stats --trace trace.json
says out.txt '-> picture.png'
says out.txt 'PACKETS'
says text.txt 0358926
present digits.json picture.png trace.json
"$python" -c "
import json
t = json.load(open('trace.json')); assert t
d = json.load(open('digits.json')); assert d['source_width'] == 960" 2>err.txt && pass || fail 'trace.json or digits.json'
run 0 run "$digits" --input image="$media/meter.jpg" --stats --json
conforms run
json "d['stats']['nodes']"
{
    printf 'P5 64 64 255\n'
    head -c 4096 /dev/zero | tr '\0' '\377'
} >blank.pgm
run 0 run "$digits" --input image=blank.pgm --output text=blank.txt
run 2 run "$digits" --input image=blank.pgm --output picture=blank.pgm
printf '\0\0\0\014jP  \r\n\207\n' >lake.jp2
run 3 run "$digits" --input image=lake.jp2
says err.txt 'JPEG 2000'
rm -f blank.pgm blank.txt lake.jp2
run 0 run "$digits" --input image=picture.png --output picture=again.bmp --output text=again.txt
present again.bmp again.txt

# Several packets: a folder, or the option repeated; the rest stays as it is.
run 2 run "$digits" --input image="$folder" --output picture=p.jpg
says err.txt '{n}'
absent p.jpg
run 0 run "$digits" --input image="$folder" --output 'picture=p{n}.jpg' --json
conforms run
json "len(d['outputs']['text']) == 2 and d['packets'] == 2"
json "[x['file'] for x in d['outputs']['picture']] == ['p0.jpg', 'p1.jpg']"
present p0.jpg p1.jpg
run 0 run "$digits" --input image="$media/meter.jpg" --input image="$media/sheet.png" --json
json "[x['value'].split()[0] for x in d['outputs']['text']] == ['48207', '9136']"
run 0 run "$digits" --input image=@"$media/sheet.png" --threads 1 --mode serial --seed 5 --json
json "d['outputs']['text'][0]['value'].startswith('9136')"
mkdir none
run 5 run "$digits" --input image=none
says err.txt none

# Names and values.
run 2 run "$digits"
says err.txt '--input image=… (image)'
run 2 run "$digits" --input imgae="$media/meter.jpg"
says err.txt "did you mean 'image'?"
run 2 run "$digits" --input image="$media/meter.jpg" --output pictur=x.png
says err.txt "did you mean 'picture'?"
run 2 run "$digits" --input image="$media/meter.jpg" --output picture=x.gif
says err.txt '.png'
run 2 run "$digits" --input image="$media/meter.jpg" --output picture=a.png --output picture=b.png
run 2 run "$digits" --input image="$media/meter.jpg" --output picture=
run 5 run "$digits" --input image="$media/meter.jpg" --output picture=nofolder/x.png
run 3 run "$digits" --input image="$media/meter.jpg" --output picture=none
absent x.png x.gif nofolder a.png b.png
run 5 run "$digits" --input image=nothere.jpg
says err.txt nothere.jpg
run 5 run nothere.json
run 5 run nothere.json --json
conforms error
json "d['exit_code'] == 5"

# Parameters from the command line.
pipe image image.resize image '{"width": 64}' >resize.json
run 0 run resize.json --input in="$media/meter.jpg" --json
json "d['outputs']['out'][0]['value']['width'] == 64"
run 0 run resize.json --input in="$media/meter.jpg" --set n.width=32 --set 'n.filter="area"' --json
json "d['outputs']['out'][0]['value']['width'] == 32"
run 3 run resize.json --input in="$media/meter.jpg" --set n.width=-1
run 3 run resize.json --input in="$media/meter.jpg" --set n.width=1e99
run 3 run resize.json --input in="$media/meter.jpg" --set 'n.width="a=b=c"'
run 3 run resize.json --input in="$media/meter.jpg" --set n.width=nojson
run 3 run resize.json --input in="$media/meter.jpg" --set nobody.width=1
run 3 run resize.json --input in="$media/meter.jpg" --set n.widht=1
says err.txt "width"
run 2 run resize.json --input in="$media/meter.jpg" --set n.width

# Inputs that are no files: text with any content, numbers, tensors, lists.
cat >types.json <<'JSON'
{"format": "nndeploy/1", "name": "types",
 "inputs": [{"name": "text", "type": "text"}, {"name": "number", "type": "float"}, {"name": "flag", "type": "bool"},
            {"name": "whole", "type": "int"}, {"name": "tensor", "type": "tensor"}, {"name": "a=b", "type": "any"}],
 "outputs": [{"name": "text", "from": ["t", "out"]}, {"name": "number", "from": ["f", "out"]}, {"name": "flag", "from": ["b", "out"]},
             {"name": "whole", "from": ["i", "out"]}, {"name": "tensor", "from": ["x", "out"]}, {"name": "any", "from": ["y", "out"]}],
 "nodes": [{"id": "t", "type": "flow.merge@1"}, {"id": "f", "type": "flow.merge@1"}, {"id": "b", "type": "flow.merge@1"},
           {"id": "i", "type": "flow.merge@1"}, {"id": "x", "type": "flow.merge@1"}, {"id": "y", "type": "flow.merge@1"}],
 "edges": [{"from": ["@", "text"], "to": ["t", "in"]}, {"from": ["@", "number"], "to": ["f", "in"]}, {"from": ["@", "flag"], "to": ["b", "in"]},
           {"from": ["@", "whole"], "to": ["i", "in"]}, {"from": ["@", "tensor"], "to": ["x", "in"]}, {"from": ["@", "a=b"], "to": ["y", "in"]}]}
JSON
all=(--input flag=true --input number=0.5 --input whole=7)
run 0 run types.json "${all[@]}" --input text='a=b, größer' --input tensor='[[1,2],[3,4]]' --input 'a=b=c=d' --json
conforms run
json "d['outputs']['text'][0]['value'] == 'a=b, größer'"
json "d['outputs']['number'][0]['value'] == 0.5 and d['outputs']['flag'][0]['value'] is True"
json "d['outputs']['whole'][0]['value'] == 7"
json "d['outputs']['tensor'][0]['value']['shape'] == [2, 2]"
json "d['outputs']['any'][0]['value'] == 'c=d'"
run 0 run types.json "${all[@]}" --input text= --input tensor='[1.5]' --input a=b=12
says out.txt 'whole: 7'
says out.txt 'tensor: tensor f32[1] = 1.5'
says out.txt 'any: 12'
printf 'from a file' >t.txt
run 0 run types.json "${all[@]}" --input text=@t.txt --input tensor='[1]' --input a=b="$media/sheet.png" \
    --output tensor=t.npy --output text=o.txt --output number=n.json --json
json "d['outputs']['any'][0]['type'] == 'image'"
same t.txt o.txt
says n.json 0.5
run 0 run types.json "${all[@]}" --input text=@@x --input tensor=t.npy --input a=b=@t.npy --json
json "d['outputs']['text'][0]['value'] == '@x' and d['outputs']['any'][0]['type'] == 'tensor'"
run 3 run types.json --input flag=maybe --input number=1 --input whole=1 --input text=x --input tensor='[1]' --input a=b=1
says err.txt flag
run 3 run types.json --input flag=true --input number=1 --input whole=1.5 --input text=x --input tensor='[1]' --input a=b=1
run 3 run types.json "${all[@]}" --input text=x --input tensor='[[1,2],[3]]' --input a=b=1
run 5 run types.json "${all[@]}" --input text=@nothere --input tensor='[1]' --input a=b=1
run 2 run types.json "${all[@]}" --input whole=8 --input text=x --input text=y --input text=z --input tensor='[1]' --input a=b=1
says err.txt 'has 2 values'
run 0 run types.json "${all[@]}" --input text=x --input text=y --input tensor='[1]' --input a=b=1 --json
json "[x['value'] for x in d['outputs']['text']] == ['x', 'y'] and len(d['outputs']['flag']) == 2"

# Lists are one packet.
pipe 'list<int>' flow.merge out '{}' in >list.json
run 0 run list.json --input 'in=[1,2,3]' --json
json "d['packets'] == 1 and d['outputs']['out'][0]['value'] == [1, 2, 3]"
run 0 run list.json --input in=4 --input in=5 --json
json "d['packets'] == 1 and d['outputs']['out'][0]['value'] == [4, 5]"
pipe 'list<image>' flow.merge out '{}' in >images.json
run 0 run images.json --input in="$folder" --json
json "len(d['outputs']['out'][0]['value']) == 2"
run 0 run images.json --input in="[\"$media/meter.jpg\"]"
says out.txt 'out[0]: image rgb 960×640'

# What a workflow may touch. It says where to read; the policy says where it may.
mkdir -p flows data
cp "$media/sheet.png" data/s.png
reader() {
    printf '{"format": "nndeploy/1", "name": "reader", "inputs": [], "outputs": [{"name": "out", "from": ["r", "%s"]}],
 "nodes": [{"id": "r", "type": "%s", "params": {"path": "%s"}}], "edges": []}' "$3" "$1" "$2"
}
reader io.read_image "$work/data/s.png" image >flows/r.json
run 0 run flows/r.json
cd flows || exit 1
run 4 run r.json
says err.txt "node 'r'"
brief 6
run 0 run r.json --allow ../data
run 5 run r.json --allow ../nofolder
ln -s ../data/s.png link.png
reader io.read_image link.png image >l.json
run 4 run l.json
reader io.read_text /etc/passwd text >p.json
run 4 run p.json
silent out.txt
reader io.read_folder "$work/data" image >d.json
run 4 run d.json
reader io.read_tensor ../data/x.npy tensor >x.json
run 4 run x.json
reader io.read_image nothere.png image >n.json
run 5 run n.json
printf '{"format": "nndeploy/1", "name": "w", "inputs": [{"name": "t", "type": "text"}], "outputs": [],
 "nodes": [{"id": "w", "type": "io.write_text", "params": {"path": "%s"}}],
 "edges": [{"from": ["@", "t"], "to": ["w", "value"]}]}' "$work/data/w.txt" >w.json
run 4 run w.json --input t=x
absent "$work/data/w.txt"
run 0 run w.json --input t=x --allow ../data
present "$work/data/w.txt"
cd "$work" || exit 1
# A file that is named on the command line is the user's own choice.
run 0 run resize.json --input in="$work/data/s.png"

# Limits of time, and interrupts.
run 4 run "$digits" --input image="$media/sheet.png" --deadline 0.001 --output picture=late.png
absent late.png
mkdir many
for i in $(seq 40); do ln "$media/sheet.png" many/$i.png 2>/dev/null || cp "$media/sheet.png" many/$i.png; done
for signal in INT TERM HUP; do
    "$nndeploy" run "$digits" --input image=many --output 'picture=i{n}.png' >out.txt 2>err.txt &
    pid=$!
    sleep 0.7
    kill -$signal $pid
    wait $pid
    code=$?
    if [ $code -eq 130 ]; then pass; else fail "a run that got SIG$signal ended with $code, not 130"; fi
    says err.txt cancelled
    absent i0.png i1.png
done

# A link to a file stays a link; a pipe takes the result.
printf old >target.txt
ln -s target.txt link.txt
run 0 run "$digits" --input image="$media/meter.jpg" --output text=link.txt
says target.txt 0358926
if [ -L link.txt ]; then pass; else fail 'the link was replaced'; fi
mkfifo pipe
timeout 30 cat pipe >piped.txt &
run 0 run "$digits" --input image="$media/meter.jpg" --output text=pipe
wait $!
same target.txt piped.txt
if [ -p pipe ]; then pass; else fail 'the pipe was replaced'; fi

# When a file cannot be written, none of the run is left.
mkdir locked
chmod 500 locked
[ "$(id -u)" -ne 0 ] || locked=/sys # where not even root may make a file
if [ -d "${locked:=locked}" ]; then
    run 4 run "$digits" --input image="$media/meter.jpg" --output text=first.txt --output picture=$locked/p.png
    says err.txt "$locked/p.png"
    absent first.txt $locked/p.png
else
    skip 'root may write everywhere'
fi
tidy
summary
