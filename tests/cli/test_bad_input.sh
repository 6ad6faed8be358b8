#!/usr/bin/env bash
# Damaged files of every kind: the right exit code, a clear message, no crash, no partial result.
. "$(dirname "$0")/lib.sh"
media=$source_dir/examples/media
model=$source_dir/models/digits-32/digits-32.onnx
digits=$source_dir/workflows/read-digits.json

cut_file() { head -c "$2" "$1" >"$3"; }
flip() { # from, to, seed: 16 bits at places that depend on the seed
    "$python" - "$@" <<'PY'
import random, sys
data = bytearray(open(sys.argv[1], 'rb').read())
rng = random.Random(int(sys.argv[3]))
for _ in range(16):
    data[rng.randrange(min(len(data), 4096) if rng.random() < 0.7 else len(data))] ^= 1 << rng.randrange(8)
open(sys.argv[2], 'wb').write(data)
PY
}
# survives OUTPUT ARGUMENTS...: ends with 0 or one of our codes, never by a signal; a failure says
# something and leaves no file.
survives() {
    local output=$1 code
    shift
    rm -rf "$output"
    "$nndeploy" "$@" >out.txt 2>err.txt </dev/null
    code=$?
    case $code in
    0) pass ;;
    3 | 4 | 5)
        if [ -s err.txt ] && [ ! -e "$output" ]; then pass; else fail "code $code: nothing said, or $output left: $*"; fi
        ;;
    *) fail "nndeploy $* ended with $code" ;;
    esac
}

# Pictures.
for picture in meter.jpg sheet.png; do
    size=$(wc -c <"$media/$picture")
    suffix=${picture##*.}
    for n in 0 1 2 10 100 $((size / 2)); do
        cut_file "$media/$picture" "$n" "cut.$suffix"
        run 3 run "$digits" --input image="cut.$suffix" --output picture=o.png
        says err.txt "cut.$suffix"
        absent o.png
        brief 5
    done
    for seed in 1 2 3 4 5 6; do
        flip "$media/$picture" "flipped.$suffix" $seed
        survives o.png run "$digits" --input image="flipped.$suffix" --output picture=o.png
    done
done
cp "$model" not.jpg
run 3 run "$digits" --input image=not.jpg
# 65535 × 65535 pixels in a few bytes; a bitmap that promises more than it has.
"$python" - <<'PY'
import struct, zlib
def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
for name, w, h in (('huge.png', 65535, 65535), ('wide.png', 0x7fffffff, 1), ('zero.png', 0, 0)):
    open(name, 'wb').write(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', w, h, 8, 2, 0, 0, 0)) +
                           chunk(b'IDAT', zlib.compress(b'\0' * 100)) + chunk(b'IEND', b''))
open('huge.bmp', 'wb').write(b'BM' + struct.pack('<IHHI', 0xffffffff, 0, 0, 54) +
                             struct.pack('<IiiHHIIiiII', 40, 0x7fffffff, 0x7fffffff, 1, 24, 0, 0, 0, 0, 0, 0))
PY
for name in huge.png wide.png zero.png huge.bmp; do
    run 3 run "$digits" --input image=$name --output picture=o.png
    absent o.png
    brief 5
done

# Tensors.
size=$(wc -c <"$source_dir/models/digits-32/test_image.npy")
for n in 0 1 5 8 20 60 100 $((size - 1)); do
    cut_file "$source_dir/models/digits-32/test_image.npy" "$n" cut.npy
    run 3 infer "$model" --input image=cut.npy --output-dir o
    says err.txt cut.npy
    absent o
done
for seed in 1 2 3 4 5 6; do
    flip "$source_dir/models/digits-32/test_image.npy" flipped.npy $seed
    survives o infer "$model" --input image=flipped.npy --output-dir o
done
"$python" - <<'PY'
def npy(name, shape, descr="'<f4'"):
    head = "{'descr': %s, 'fortran_order': False, 'shape': %s, }\n" % (descr, shape)
    open(name, 'wb').write(b'\x93NUMPY\x01\x00' + len(head).to_bytes(2, 'little') + head.encode() + b'\0' * 64)
npy('huge.npy', '(9223372036854775807, 9223372036854775807)')
npy('large.npy', '(1000000000, 1000)')
npy('minus.npy', '(-1, 4)')
npy('deep.npy', '(' + '1, ' * 40 + ')')
npy('object.npy', '(2,)', "'|O'")
PY
rm -rf o
for name in huge.npy large.npy minus.npy deep.npy object.npy; do
    run 3 infer "$model" --input image=$name --output-dir o
    absent o
    brief 5
done

# Models.
rm -rf o
size=$(wc -c <"$model")
for n in 0 1 10 100 1000 $((size / 2)) $((size - 1)); do
    cut_file "$model" "$n" cut.onnx
    run 3 inspect cut.onnx
    says err.txt cut.onnx
    run 3 infer cut.onnx --random --output-dir o
    absent o
done
for seed in 1 2 3 4 5 6 7 8 9 10; do
    flip "$model" flipped.onnx $seed
    survives o infer flipped.onnx --random --output-dir o
    survives o inspect flipped.onnx --json
done
cp "$media/meter.jpg" picture.onnx
run 3 inspect picture.onnx
# A workflow whose model is damaged, is not there, or lies outside of the roots.
sed -e 's#"model": "[^"]*"#"model": "cut.onnx"#' "$digits" >damaged.json
cp "$source_dir/models/digits-32/labels.txt" .
run 3 run damaged.json --input image="$media/meter.jpg" --output picture=o.png
says err.txt 'malformed ONNX'
says err.txt "node 'read/net'"
brief 2 # the model's edges are not wrong because of it
absent o.png
sed -e 's#"model": "[^"]*"#"model": "no-such-model"#' "$digits" >lost.json
run 5 run lost.json --input image="$media/meter.jpg"
says err.txt no-such-model
run 5 run lost.json --input image="$media/meter.jpg" --json
conforms error
mkdir inner
sed -e "s#\"model\": \"[^\"]*\"#\"model\": \"$work/cut.onnx\"#" "$digits" >inner/outside.json
cd inner || exit 1
run 3 run outside.json --input image="$media/meter.jpg"
cd "$work" || exit 1

# Plug-ins: not there, empty, truncated, something else.
: >empty.so
cp "$media/meter.jpg" picture.so
cut_file "$nndeploy" 4000 cut.so
run 5 nodes --plugin nothere.so
run 3 nodes --plugin empty.so
run 3 nodes --plugin picture.so
run 3 nodes --plugin cut.so
for name in empty.so picture.so cut.so; do
    run 3 run "$digits" --input image="$media/meter.jpg" --plugin $name --json
    conforms error
    brief 3
done
# The plug-ins of the loader's own tests, when they were built.
plugins=$(dirname "$nndeploy")/tests/workflow/plugins
if [ -f "$plugins/test_plugin_v1_0.so" ]; then
    run 0 nodes --plugin "$plugins/test_plugin_v1_0.so"
    for plugin in "$plugins"/test_plugin_v1_*.so; do
        survives none nodes --plugin "$plugin"
        brief 3
    done
else
    skip 'the test plug-ins were not built'
fi
tidy
summary
