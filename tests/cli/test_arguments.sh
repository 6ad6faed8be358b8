#!/usr/bin/env bash
# How the command line is read: commands, options, values, help, streams that go away.
. "$(dirname "$0")/lib.sh"
model=$source_dir/models/digits-32/digits-32.onnx

# Commands and suggestions.
run 2
says err.txt 'no command is given'
run 2 rnu
says err.txt "did you mean 'run'?"
run 2 bench
run 2 bench modle
says err.txt "did you mean 'bench model'?"
run 2 bench --json
conforms error
run 2 ''
run 0 --version
run 0 version
says out.txt 'nndeploy '
run 0 version --json
conforms version

# Help comes from the tables: every command has one, with all its options.
run 0 help
for command in run validate fmt diff schema nodes backends devices inspect infer compare-models 'bench model' \
    conformance tune quantize 'models list' 'models pull' 'models check' 'models where' eval completion help version; do
    says out.txt "  $command"
done
run 0 --help
run 0 -h
for command in run validate fmt diff schema nodes backends devices inspect infer bench models conformance tune quantize eval completion help version; do
    run 0 help $command
    says out.txt 'Options:'
done
run 0 help bench model
says out.txt '--profile'
run 0 help models
says out.txt 'nndeploy models pull NAME...'
says out.txt 'nndeploy models where [NAME]...'
run 0 run --help
says out.txt '--input NAME=VALUE'
run 2 help rnu
says err.txt "did you mean 'run'?"
run 0 help --json
conforms help
json "any(c['name'] == 'bench model' for c in d['commands'])"
run 0 help run --json
json "[c['name'] for c in d['commands']] == ['run']"

# Options.
run 2 nodes --jsno
says err.txt "did you mean '--json'?"
run 2 nodes -x
run 2 nodes --json=yes
says err.txt 'takes no value'
run 2 infer "$model" --output-dir
says err.txt 'needs a value'
run 2 infer "$model" --output-dir --random
says err.txt 'needs a value'
run 2 infer "$model"
says err.txt '--output-dir DIR'
run 2 infer "$model" --output-dir=
run 2 bench model "$model" --runs 0
run 2 bench model "$model" --runs 99999999999999999999999
says err.txt 'whole number'
run 2 bench model "$model" --runs 1e3
run 2 bench model "$model" --runs -1
run 2 bench model "$model" --runs 1 --runs 2
says err.txt 'given twice'
run 2 bench model "$model" --threads 1025
run 2 run x.json --deadline nan
run 2 run x.json --deadline -5
run 2 run x.json --mode fast
says err.txt 'serial|task|pipeline'
run 2 run x.json --input noequals
says err.txt 'NAME=VALUE'
run 2 run x.json y.json
says err.txt 'too much'
run 2 nodes --log loud
run 0 nodes --log=debug
NNDEPLOY_LOG=loud run 0 inspect "$model"
says err.txt "NNDEPLOY_LOG='loud' is none of trace|debug|info|warn|error|off"
says out.txt 'flops       depend on sizes that are open'
NNDEPLOY_LOG=loud run 0 inspect "$model" --log warn
silent err.txt
run 2 validate $'\xff\xfe'
says err.txt 'UTF-8'
run 2 run x.json --input $'a=\xff'
run 5 validate -- --json
silent out.txt
run 2 "$(printf 'x%.0s' {1..5000})"
run 2 nodes "--$(printf 'y%.0s' {1..5000})"
# Options may stand before the command.
run 0 --json version
conforms version
run 2 --json --nonsense
conforms error

# Names in UTF-8 and with spaces.
mkdir 'Bilder für alle'
printf '{"format": "nndeploy/1", "name": "leer", "nodes": []}' >'Bilder für alle/ein fluß.json'
run 0 validate 'Bilder für alle/ein fluß.json'
says out.txt 'ein fluß.json: ok'

# A reader that goes away is no error; a full disk is one.
"$nndeploy" nodes --json 2>err.txt | head -n 1 >out.txt
code=${PIPESTATUS[0]}
if [ "$code" -eq 0 ]; then pass; else fail "nndeploy nodes | head: $code"; fi
silent err.txt
if [ -w /dev/full ]; then
    "$nndeploy" nodes >/dev/full 2>err.txt
    code=$?
    if [ $code -eq 4 ]; then pass; else fail "nndeploy nodes >/dev/full: $code"; fi
    says err.txt 'standard output'
else
    skip 'there is no /dev/full'
fi
"$nndeploy" version >&- 2>err.txt
code=$?
if [ $code -eq 4 ] || [ $code -eq 0 ]; then pass; else fail "closed standard output: $code"; fi

# Completion scripts are valid in their shells, and bash's offers what there is.
for shell in bash zsh fish; do
    run 0 completion $shell
    cp out.txt completion.$shell
    if command -v $shell >/dev/null 2>&1; then
        if $shell -n completion.$shell 2>err.txt; then pass; else fail "completion of $shell"; fi
    else
        skip "$shell is not installed"
    fi
    run 0 completion $shell --json
    conforms completion
done
run 2 completion tcsh
complete_word() { # words...: what bash offers for the last one
    (
        PATH="$(dirname "$nndeploy"):$PATH"
        . ./completion.bash
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
        _nndeploy
        printf '%s\n' "${COMPREPLY[@]}"
    ) >out.txt 2>err.txt
}
complete_word nndeploy val
says out.txt validate
complete_word nndeploy run x.json --outp
says out.txt --output
complete_word nndeploy run x.json --mode pip
says out.txt pipeline
complete_word nndeploy bench mo
says out.txt model
complete_word nndeploy models ch
says out.txt check
complete_word nndeploy models pull --all
says out.txt --all-variants
complete_word nndeploy nodes image.res
says out.txt image.resize

# Devices and backends.
run 0 devices
says out.txt cpu
run 0 devices --json
conforms devices
NNDEPLOY_SIMULATED=1 run 0 devices --json
json "any(x['name'] == 'sim:0' for x in d['devices'])"
run 0 backends
says out.txt builtin
run 0 backends --json
conforms backends
json "d['backends'][0]['available']"
summary
