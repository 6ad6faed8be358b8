#!/usr/bin/env bash
# The texts about nodes are in the user's language; JSON never is.
. "$(dirname "$0")/lib.sh"

run 0 nodes image.resize
says out.txt "Resize (image/geometry)"
run 0 nodes --json
cp out.txt english.json

export NNDEPLOY_LANG=zh_CN.UTF-8
run 0 nodes image.resize
says out.txt "缩放 (图像/几何)"
says out.txt "参数:"
run 0 nodes
says out.txt "非极大值抑制"
run 0 nodes --json
same out.txt english.json

# A language without texts is English, and so is nonsense.
for language in tlh C "../../etc" ""; do
    NNDEPLOY_LANG=$language LC_ALL=C run 0 nodes image.resize
    says out.txt "Resize (image/geometry)"
done
unset NNDEPLOY_LANG
env LC_ALL=zh_CN.UTF-8 "$nndeploy" nodes image.resize >out.txt
says out.txt "缩放"

# A plug-in's texts lie beside it.
export NNDEPLOY_LANG=zh
plugin=$(dirname "$nndeploy")/tests/workflow/plugins/test_plugin_v1_0.so
if [ ! -f "$plugin" ]; then
    skip "the test plug-ins are not built"
else
    cp "$plugin" own.so
    type=$("$nndeploy" nodes --plugin ./own.so --json | "$python" -c "
import json, sys
ours = {n['type'] for n in json.load(open('english.json'))['nodes']}
print(next(n['type'] for n in json.load(sys.stdin)['nodes'] if n['type'] not in ours))")
    run 0 nodes --plugin ./own.so "$type"
    mkdir locale
    printf '{"node": {"%s": {"title": "插件里的节点"}}}' "$type" >locale/zh.json
    run 0 nodes --plugin ./own.so "$type"
    says out.txt "插件里的节点"
    NNDEPLOY_LANG=en run 0 nodes --plugin ./own.so "$type"
    printf '{"node": {"%s": {"title": 7}}}' "$type" >locale/zh.json
    run 3 nodes --plugin ./own.so "$type"
    says err.txt "locale/zh.json:1:"
    brief 2
fi
summary
