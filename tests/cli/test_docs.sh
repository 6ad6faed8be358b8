#!/usr/bin/env bash
# Pages that are made by the command, or that repeat its tables, are up to date.
. "$(dirname "$0")/lib.sh"

run 0 nodes --markdown
same out.txt "$source_dir/docs/en/nodes.md"
NNDEPLOY_LANG=zh run 0 nodes --markdown
same out.txt "$source_dir/docs/zh/nodes.md"
NNDEPLOY_LANG=zh run 0 nodes --markdown
same out.txt "$source_dir/docs/zh/nodes.md"

# The tables of the command guide stand between two marks.
run 0 help --markdown
cp out.txt tables.md
sed -n '/<!-- begin: nndeploy help --markdown -->/,/<!-- end -->/p' "$source_dir/docs/en/cli.md" |
    sed '1d;$d' >page.md
same tables.md page.md

# Every option and command of the tables is explained in Chinese too.
run 0 help --json
"$python" -c "
import json
d = json.load(open('out.txt'))
for c in d['commands']:
    print('nndeploy ' + c['name'])
    for o in c['options']: print('--' + o['name'])
for o in d['common_options']: print('--' + o['name'])" | sort -u >words.txt
while IFS= read -r word; do
    says "$source_dir/docs/zh/cli.md" "$word"
done <words.txt

# Each command has a schema for its JSON form.
"$python" -c "
import json
for c in json.load(open('out.txt'))['commands']: print(c['name'].replace(' ', '_'))" >names.txt
while IFS= read -r name; do
    present "$source_dir/docs/schema/$name.schema.json"
done <names.txt
summary
