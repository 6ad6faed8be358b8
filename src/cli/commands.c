/* The table of all sub-commands: the one source of dispatch, help, completion and documentation. */
#include "cli/cli.h"

#define THREADS                                                                                    \
    {                                                                                              \
        "threads", CLI_INT, 0, "N", 0, 1024, NULL, "threads that may compute; 0 = all processors"  \
    }
#define BACKEND                                                                                    \
    {                                                                                              \
        "backend", CLI_BACKEND, 0, "NAME", 0, 0, NULL,                                             \
            "inference backend ('nndeploy backends' lists them); default: as tuned, or the first"  \
    }
#define CONFIG                                                                                     \
    {                                                                                              \
        "config", CLI_TEXT, 0, "KEY=VALUE", 0, 0, NULL,                                            \
            "options of the backend, separated by blanks: 'cache=DIR arena=shared'"                \
    }
#define TUNING                                                                                     \
    {                                                                                              \
        "tuning", CLI_FILE, 0, "FILE", 0, 0, NULL,                                                 \
            "what 'nndeploy tune' found, instead of the user's own file; off = nothing"            \
    }
#define ALLOW                                                                                      \
    {                                                                                              \
        "allow", CLI_FOLDER, CLI_REPEAT, "DIR", 0, 0, NULL,                                        \
            "let the workflow read and write below this folder too"                                \
    }
#define FLAG(name, text)                                                                           \
    {                                                                                              \
        name, CLI_FLAG, 0, NULL, 0, 0, NULL, text                                                  \
    }
#define OPERAND(name, kind, flags, text)                                                           \
    {                                                                                              \
        name, kind, flags, NULL, 0, 0, NULL, text                                                  \
    }
#define WORKFLOW                                                                                   \
    OPERAND("WORKFLOW", CLI_FILE, CLI_REQUIRED, "workflow file (JSON); '-' = standard input")
#define MODEL                    OPERAND("MODEL", CLI_FILE, CLI_REQUIRED, "model file (ONNX) or name of a model")
#define TABLE(operands, options) operands, NND_COUNT(operands), options, NND_COUNT(options)

const cli_arg cli_common_options[] = {
    FLAG("json", "print the result, or the error, as one JSON document"),
    {"plugin", CLI_FILE, CLI_REPEAT, "FILE", 0, 0, NULL, "load node types from this plug-in"},
    {"log", CLI_CHOICE, 0, "LEVEL", 0, 0, "trace|debug|info|warn|error|off",
     "how much is logged on standard error: trace, debug, info, warn, error, off"},
    FLAG("help", "show this help"),
};
const size_t cli_common_option_count = NND_COUNT(cli_common_options);

/* ---- run, validate, fmt, diff, schema ---------------------------------------------------- */

static const cli_arg workflow_operand[] = {WORKFLOW};
static const cli_arg run_options[] = {
    {"input", CLI_PAIR, CLI_REPEAT, "NAME=VALUE", 0, 0, NULL,
     "value of a workflow input: a file, JSON or text, by its type; @FILE forces a file"},
    {"output", CLI_PAIR, CLI_REPEAT, "NAME=FILE", 0, 0, NULL,
     "write a result to a file; {n} in the name counts the packets"},
    {"set", CLI_PAIR, CLI_REPEAT, "NODE.PARAM=JSON", 0, 0, NULL,
     "change a parameter of a node for this run; a single word needs no quotes"},
    {"mode", CLI_CHOICE, 0, "MODE", 0, 0, "serial|task|pipeline",
     "serial, task or pipeline; default: as the file says"},
    THREADS,
    {"seed", CLI_INT, 0, "N", 0, 9007199254740991.0, NULL, "start of the random numbers"},
    {"deadline", CLI_NUMBER, 0, "SECONDS", 0.001, 31536000, NULL,
     "stop the run when it takes longer"},
    FLAG("stats", "show packets, times and copies per node"),
    {"trace", CLI_FILE, 0, "FILE", 0, 0, NULL,
     "write when each node worked, for Perfetto or chrome://tracing"},
    ALLOW,
    TUNING,
};

static const cli_arg eval_options[] = {
    {"dataset", CLI_FOLDER, CLI_REQUIRED, "DIR", 0, 0, NULL, "folder of pictures and their truth"},
    {"metric", CLI_CHOICE, CLI_REQUIRED, "METRIC", 0, 0, "top1|map|cer|iou",
     "what is measured: top1, map, cer or iou"},
    {"truth", CLI_FILE, 0, "FILE", 0, 0, NULL,
     "truth of all samples: a list (top1) or COCO annotations (map)"},
    {"labels", CLI_FILE, 0, "FILE", 0, 0, NULL,
     "the data set's names of the class ids of the results, one per line"},
    {"image", CLI_TEXT, 0, "NAME", 0, 0, NULL,
     "workflow input that takes the pictures; default: the first image"},
    {"result", CLI_TEXT, 0, "NAME", 0, 0, NULL,
     "workflow output that is measured; default: the first that fits"},
    {"input", CLI_PAIR, CLI_REPEAT, "NAME=VALUE", 0, 0, NULL,
     "value of another workflow input, the same for all samples"},
    {"set", CLI_PAIR, CLI_REPEAT, "NODE.PARAM=JSON", 0, 0, NULL,
     "change a parameter of a node for this run"},
    {"limit", CLI_INT, 0, "N", 1, 1000000000, NULL,
     "measure only N samples, spread evenly over the data set"},
    {"ignore", CLI_INT, 0, "CLASS", -1, 65535, NULL,
     "iou: class of the truth that does not count (default 255); -1 = all count"},
    {"output", CLI_FILE, 0, "FILE", 0, 0, NULL,
     "write what was found for each sample, one line of JSON each"},
    FLAG("classes", "show the figures of each class too"),
    FLAG("skip-broken", "end with 0 although samples could not be measured"),
    THREADS,
    TUNING,
    ALLOW,
};

static const cli_arg validate_operand[] = {
    OPERAND("WORKFLOW", CLI_FILE, CLI_REQUIRED | CLI_REPEAT,
            "workflow files (JSON); '-' = standard input"),
};
static const cli_arg validate_options[] = {ALLOW};

static const cli_arg fmt_operand[] = {
    OPERAND("WORKFLOW", CLI_FILE, CLI_REQUIRED | CLI_REPEAT,
            "workflow files (JSON); '-' = standard input to standard output"),
};
static const cli_arg fmt_options[] = {
    FLAG("check", "change nothing; fail when a file is not in canonical form"),
    FLAG("stdout", "print the canonical text instead of replacing the file"),
};

static const cli_arg diff_operands[] = {
    OPERAND("BEFORE", CLI_FILE, CLI_REQUIRED, "workflow file"),
    OPERAND("AFTER", CLI_FILE, CLI_REQUIRED, "workflow file"),
};
static const cli_arg diff_options[] = {FLAG("ui", "compare the layout in the editor too")};

/* ---- nodes, completion, help ------------------------------------------------------------- */

static const cli_arg nodes_operand[] = {
    OPERAND("TYPE", CLI_NODE_TYPE, 0, "node type, for example image.resize"),
};
static const cli_arg nodes_options[] = {
    FLAG("markdown", "print the reference page of all node types"),
};
static const cli_arg completion_operand[] = {
    {"SHELL", CLI_CHOICE, CLI_REQUIRED, NULL, 0, 0, "bash|zsh|fish", "bash, zsh or fish"},
};
static const cli_arg help_operand[] = {
    OPERAND("COMMAND", CLI_COMMAND, CLI_REPEAT, "the command to explain"),
};
static const cli_arg help_options[] = {
    FLAG("markdown", "print the tables of all commands for the documentation"),
};

/* ---- models ------------------------------------------------------------------------------ */

static const cli_arg model_operand[] = {MODEL};
static const cli_arg inspect_options[] = {
    BACKEND,
    CONFIG,
    FLAG("passes", "only the passes of the built-in engine: nodes before and after, what became of "
                   "which operators, time"),
    {"dump-after", CLI_TEXT, 0, "PASS", 0, 0, NULL,
     "only the graph as that pass of the built-in engine leaves it"},
    FLAG("graph", "only the graph as the file has it, a line per node"),
    {"save", CLI_TEXT, 0, "FILE.nnd.json", 0, 0, NULL,
     "only write that graph as JSON, and its constants beside it as .safetensors"},
    {"shape", CLI_PAIR, CLI_REPEAT, "NAME=1,3,224,224", 0, 0, NULL,
     "plan for this shape of an input; dimensions that stay open are 1"},
    TUNING,
};
static const cli_arg infer_options[] = {
    {"input", CLI_PAIR, CLI_REPEAT, "NAME=FILE", 0, 0, NULL,
     "tensor of an input, a .npy file, or a .pb file of ONNX"},
    {"output-dir", CLI_FOLDER, CLI_REQUIRED, "DIR", 0, 0, NULL,
     "folder for the results, made when it is not there"},
    BACKEND,
    CONFIG,
    THREADS,
    FLAG("random", "fill inputs that are not given with random numbers"),
    {"seed", CLI_INT, 0, "N", 0, 9007199254740991.0, NULL, "start of the random numbers"},
    {"shape", CLI_PAIR, CLI_REPEAT, "NAME=1,3,224,224", 0, 0, NULL,
     "shape of a random input whose dimensions are open"},
    TUNING,
};
static const cli_arg compare_models_operands[] = {
    MODEL,
    OPERAND("MODEL_B", CLI_FILE, 0, "the other file, when it is not the same one"),
};
static const cli_arg compare_models_options[] = {
    {"backends", CLI_TEXT, 0, "A,B", 0, 0, NULL,
     "the two backends, each with its options if need be: 'builtin,builtin:passes=0'"},
    {"input", CLI_PAIR, CLI_REPEAT, "NAME=FILE", 0, 0, NULL,
     "tensor of an input, a .npy file; inputs that are not given are random"},
    {"shape", CLI_PAIR, CLI_REPEAT, "NAME=1,3,224,224", 0, 0, NULL,
     "shape of a random input whose dimensions are open"},
    {"seed", CLI_INT, 0, "N", 0, 9007199254740991.0, NULL, "start of the random numbers"},
    {"rtol", CLI_NUMBER, 0, "X", 0, 1e9, NULL, "allowed difference, relative (default 0.001)"},
    {"atol", CLI_NUMBER, 0, "X", 0, 1e30, NULL, "allowed difference, absolute (default 0.0001)"},
    {"window", CLI_INT, 0, "N", 2, 100000, NULL,
     "tensors between operators that are looked at in one run (default 64)"},
    THREADS,
};
static const cli_arg bench_model_options[] = {
    BACKEND,
    CONFIG,
    THREADS,
    {"runs", CLI_INT, 0, "N", 1, 1000000, NULL, "measured runs (default 30)"},
    {"warmup", CLI_INT, 0, "N", 0, 1000000, NULL, "runs before measuring (default 3)"},
    {"shape", CLI_PAIR, CLI_REPEAT, "NAME=1,3,224,224", 0, 0, NULL,
     "shape of an input whose dimensions are open (default 1 for each)"},
    {"seed", CLI_INT, 0, "N", 0, 9007199254740991.0, NULL, "start of the random inputs"},
    FLAG("profile", "show time, operations and bytes of each operator"),
    TUNING,
};
static const cli_arg tune_operand[] = {
    OPERAND("MODEL", CLI_FILE, CLI_REQUIRED,
            "model file or name, or a workflow (.json, or '-'): all models in it"),
};
static const cli_arg tune_options[] = {
    {"backends", CLI_TEXT, 0, "A,B", 0, 0, NULL,
     "backends to measure, with options if need be: 'builtin,builtin:passes=none'; default: all"},
    {"threads", CLI_TEXT, 0, "N,N", 0, 0, NULL,
     "numbers of threads to measure; default: 1, 2, 4, … and all processors"},
    {"time-budget", CLI_NUMBER, 0, "SECONDS", 0.001, 86400, NULL,
     "time for measuring a model (default 20)"},
    {"tolerance", CLI_NUMBER, 0, "X", 0, 1e9, NULL,
     "largest difference from the reference backend that is accepted (default 0.01)"},
    {"input", CLI_PAIR, CLI_REPEAT, "NAME=FILE", 0, 0, NULL,
     "tensor of an input, a .npy file; inputs that are not given are random"},
    {"shape", CLI_PAIR, CLI_REPEAT, "NAME=1,3,224,224", 0, 0, NULL,
     "shape of a random input whose dimensions are open"},
    {"seed", CLI_INT, 0, "N", 0, 9007199254740991.0, NULL, "start of the random numbers"},
    {"set", CLI_PAIR, CLI_REPEAT, "NODE.PARAM=JSON", 0, 0, NULL,
     "change a parameter of a node of the workflow"},
    ALLOW,
    {"tuning", CLI_FILE, 0, "FILE", 0, 0, NULL,
     "where the result goes, instead of the user's own file"},
};
static const cli_arg quantize_options[] = {
    {"output", CLI_FILE, CLI_REQUIRED, "FILE", 0, 0, NULL, "the new model (.onnx)"},
    {"calibrate", CLI_FOLDER, CLI_REPEAT, "DIR", 0, 0, NULL,
     "samples: .npy files, or pictures for --workflow"},
    {"workflow", CLI_FILE, 0, "FILE", 0, 0, NULL,
     "a workflow with the model in it: what reaches the model are the samples"},
    {"image", CLI_TEXT, 0, "NAME", 0, 0, NULL,
     "workflow input that takes the pictures; default: the first image"},
    {"input", CLI_PAIR, CLI_REPEAT, "NAME=VALUE", 0, 0, NULL,
     "value of another workflow input, the same for all samples"},
    {"set", CLI_PAIR, CLI_REPEAT, "NODE.PARAM=JSON", 0, 0, NULL,
     "change a parameter of a node of the workflow"},
    {"limit", CLI_INT, 0, "N", 1, 1000000, NULL,
     "use at most N samples, spread evenly (default 100)"},
    {"weights", CLI_CHOICE, 0, "TYPE", 0, 0, "int8|f16|bf16",
     "how weights are stored: int8 (default), f16 or bf16"},
    {"method", CLI_CHOICE, 0, "METHOD", 0, 0, "auto|min-max|percentile|entropy|mse",
     "how ranges are chosen: min-max, percentile, entropy, mse or the best of them (auto, "
     "default)"},
    {"percentile", CLI_NUMBER, 0, "P", 50, 100, NULL,
     "part of the values that a range holds, in percent (default 99.99)"},
    {"activations", CLI_CHOICE, 0, "TYPE", 0, 0, "u8|s8",
     "integers of activations: u8 with a zero point (default), or s8 around zero"},
    FLAG("per-tensor", "one scale for each weight tensor instead of one per channel"),
    FLAG("no-equalize", "leave channels of a tensor as unlike as they are"),
    FLAG("no-bias-correction", "leave the means of results where rounded weights move them"),
    FLAG("seven-bits", "weights in -63 ... 63, for processors whose 16-bit sums overflow"),
    {"exclude", CLI_TEXT, CLI_REPEAT, "NAME", 0, 0, NULL,
     "leave this node, operator or maker of this tensor float"},
    FLAG("keep-first", "leave layers that nothing with weights lies before float"),
    FLAG("keep-last", "leave layers that nothing with weights lies behind float"),
    {"min-sqnr", CLI_NUMBER, 0, "DB", 1, 200, NULL,
     "leave layers float, the most harmful ones first, until every output keeps DB"},
    {"check", CLI_INT, 0, "N", 0, 1000, NULL, "samples that measure the errors (default 16)"},
    FLAG("all", "show the errors of all tensors, not the 20 largest"),
    THREADS,
    ALLOW,
};
static const cli_arg conformance_operand[] = {
    OPERAND("DIR", CLI_FOLDER, CLI_REQUIRED, "folder of cases, or one case"),
};
static const cli_arg conformance_options[] = {
    BACKEND,
    THREADS,
    {"filter", CLI_TEXT, 0, "GLOB", 0, 0, NULL,
     "run the cases of this name only; * and ? stand for any"},
    {"skip", CLI_TEXT, CLI_REPEAT, "GLOB", 0, 0, NULL, "leave these cases out"},
    {"rtol", CLI_NUMBER, 0, "X", 0, 1, NULL, "relative tolerance (default 0.001)"},
    {"atol", CLI_NUMBER, 0, "X", 0, 1, NULL, "absolute tolerance (default 0.000001)"},
};

#define MODELS_PLACES                                                                              \
    {"cache", CLI_FOLDER, 0, "DIR", 0, 0, NULL, "use DIR/models instead of the user's cache"},     \
        {"mirror", CLI_FOLDER, CLI_REPEAT, "PLACE",                                                \
         0,        0,          NULL,       "a folder or URL with models, tried before others"},    \
    {                                                                                              \
        "catalog", CLI_FILE, 0, "FILE", 0, 0, NULL,                                                \
            "use this catalogue instead of the built-in one"                                       \
    }
#define MODELS_VARIANT                                                                             \
    {"backend", CLI_BACKEND, 0, "NAME", 0, 0, NULL, "the variant for this backend"},               \
        {"precision", CLI_TEXT, 0,    "NAME",                                                      \
         0,           0,        NULL, "the variant of this precision: f32, int8, …"},              \
    {                                                                                              \
        "device", CLI_TEXT, 0, "NAME", 0, 0, NULL, "the variant for this device"                   \
    }

static const cli_arg models_operand[] = {
    OPERAND("NAME", CLI_TEXT, CLI_REPEAT, "models, by their names in the catalogue"),
};
static const cli_arg models_pull_operand[] = {
    OPERAND("NAME", CLI_TEXT, CLI_REQUIRED | CLI_REPEAT, "models, by their names in the catalogue"),
};
static const cli_arg models_list_options[] = {
    {"task", CLI_TEXT, 0, "TASK", 0, 0, NULL, "only models for this task"},
    MODELS_PLACES,
};
static const cli_arg models_pull_options[] = {
    MODELS_VARIANT,
    FLAG("all-variants", "bring every variant"),
    {"timeout", CLI_INT, 0, "SECONDS", 1, 3600, NULL,
     "longest wait for a connection or the next byte (default 20 and 30)"},
    MODELS_PLACES,
};
static const cli_arg models_check_options[] = {MODELS_PLACES};
static const cli_arg models_where_options[] = {MODELS_VARIANT, MODELS_PLACES};

const cli_command cli_commands[] = {
    {"run", "run a workflow",
     "Inputs are given by name. By the type that the workflow declares, a value is\n"
     "  image          a JPEG, PNG, WebP, JPEG 2000, BMP or PNM file\n"
     "  tensor         a .npy file, or nested JSON arrays\n"
     "  text           the text itself; @FILE reads it from a file, @@… means a text\n"
     "                 that begins with @\n"
     "  int float bool JSON\n"
     "  any            guessed: a file by its suffix, else JSON, else text\n"
     "  list<T>        the option repeated, or a JSON array\n"
     "A folder, or the option repeated, gives several packets; an input that has one\n"
     "value keeps it for all packets.\n"
     "\n"
     "Results go to files (--output): images by suffix (.jpg .png .bmp), tensors as\n"
     ".npy, text as .txt, everything else as JSON. They are written when the whole run\n"
     "has succeeded. Results without a file are printed.\n"
     "\n"
     "The workflow may read below its own folder, the current folder and the folders of\n"
     "models, and write below the current folder and those of --output; --allow adds more.",
     "nndeploy run digits.json --input image=meter.jpg --output picture=out.png\n"
     "nndeploy run faces.json --input image=photos --output 'picture=out/{n}.jpg'\n"
     "nndeploy run faces.json --input image=a.jpg --set decode.score=0.9 --json",
     TABLE(workflow_operand, run_options), cli_run_run},
    {"validate", "check workflows without running them",
     "Shows everything that is wrong, with line, column, node and a suggestion. Models\n"
     "need not be there.",
     "nndeploy validate digits.json", TABLE(validate_operand, validate_options), cli_run_validate},
    {"fmt", "bring workflow files into canonical form",
     "Replaces each file in one step; a file that is canonical is left alone.",
     "nndeploy fmt digits.json\nnndeploy fmt --check workflows/*.json",
     TABLE(fmt_operand, fmt_options), cli_run_fmt},
    {"diff", "show what differs between two workflows",
     "Compares nodes, edges and parameters, not text. The exit code is 0 also when there\n"
     "are differences; 'equal' in the JSON form says whether there are any.",
     "nndeploy diff old.json new.json", TABLE(diff_operands, diff_options), cli_run_diff},
    {"schema", "print the JSON schema of workflow files",
     "The schema (2020-12) knows the parameters of all node types, for checks and help in\n"
     "text editors.",
     "nndeploy schema > workflow.schema.json", NULL, 0, NULL, 0, cli_run_schema},
    {"nodes", "list node types, or explain one", NULL,
     "nndeploy nodes\nnndeploy nodes image.resize", TABLE(nodes_operand, nodes_options),
     cli_run_nodes},
    {"backends", "list inference backends, and why one is not available", NULL, NULL, NULL, 0, NULL,
     0, cli_run_backends},
    {"devices", "list devices", NULL, NULL, NULL, 0, NULL, 0, cli_run_devices},
    {"inspect", "show inputs, outputs, operators, memory and passes of a model", NULL,
     "nndeploy inspect models/digits-32/digits-32.onnx\n"
     "nndeploy inspect net.onnx --passes\n"
     "nndeploy inspect net.onnx --shape image=1,3,480,640\n"
     "nndeploy inspect net.onnx --dump-after activation > net.txt\n"
     "nndeploy inspect net.onnx --save net.nnd.json",
     TABLE(model_operand, inspect_options), cli_run_inspect},
    {"infer", "run a model on tensors",
     "Writes each output as NAME.npy, where characters of the name outside of\n"
     "A-Z a-z 0-9 . _ - become _, and outputs.json, a list of {name, file, dtype, shape}.\n"
     "Element types that .npy lacks are written as .pb, the bytes of an ONNX TensorProto.\n"
     "A sequence becomes NAME.0, NAME.1, …, a map NAME.keys and NAME.values. Inputs ending\n"
     "in .pb hold an ONNX tensor, sequence, map or optional, as the model declares.",
     "nndeploy infer net.onnx --input input=x.npy --output-dir out\n"
     "nndeploy infer net.onnx --random --output-dir out",
     TABLE(model_operand, infer_options), cli_run_infer},
    {"compare-models",
     "compare the outputs of two backends, and find the first operator that differs",
     "Both sides get the same inputs. Two elements differ when |a - b| > atol + rtol * |b|.\n"
     "When outputs differ, the tensors between the operators of ONNX files are compared in\n"
     "order of execution, and the first operator that differs is named. The exit code is 4\n"
     "then. Two files of one model are compared tensor by tensor of equal name.",
     "nndeploy compare-models net.onnx --backends builtin,onnxruntime\n"
     "nndeploy compare-models net.onnx net_int8.onnx --input image=x.npy --rtol 0.05",
     TABLE(compare_models_operands, compare_models_options), cli_run_compare_models},
    {"bench model", "measure how fast a model runs",
     "Inputs are random.\n"
     "\n"
     "--profile lists the operators, the slowest first, with operations (by the definition\n"
     "of the operator, a multiply-add counts as two), bytes read and written, and % of\n"
     "peak: the least time that this machine needs for them, over the measured time. The\n"
     "machine is measured afterwards, for about a quarter of a second: multiply-adds of\n"
     "f32 and of int8 with the instruction set in force, and memory in three sizes, of\n"
     "which the one nearest to the operator's bytes counts. An algorithm with fewer\n"
     "multiplications than the definition (winograd) may exceed 100 %, and so may one that\n"
     "multiplies pairs (bf16).",
     "nndeploy bench model net.onnx --threads 1 --runs 100\n"
     "nndeploy bench model net.onnx --threads 1 --runs 100 --config precision=bf16\n"
     "nndeploy bench model net.onnx --shape image=1,3,480,640 --profile",
     TABLE(model_operand, bench_model_options), cli_run_bench_model},
    {"conformance", "run the test cases of the ONNX project",
     "DIR holds cases in ONNX's layout, at any depth: a folder with model.onnx and\n"
     "test_data_set_0, test_data_set_1, … with input_0.pb, … and output_0.pb, …, which\n"
     "hold a tensor, sequence, map or optional as the model declares. A missing input\n"
     "file leaves an optional input empty.\n"
     "\n"
     "A case passes when every output of every data set has the expected element type\n"
     "and shape and |got - expected| <= atol + rtol * |expected| for each number, with an\n"
     "atol of at least 0.001 for f16 and bf16; NaN equals NaN, strings must be equal. It is\n"
     "unsupported when the backend refuses the model, skipped with --skip or when it has\n"
     "no data set. The exit code is 4 when a case failed.",
     "nndeploy conformance node --filter 'test_sequence_*'\n"
     "nndeploy conformance node --backend onnxruntime --json",
     TABLE(conformance_operand, conformance_options), cli_run_conformance},
    {"tune", "find the fastest backend, precision and number of threads for a model",
     "Runs the model on every backend that reads it, with several numbers of threads and\n"
     "in every precision that the backend offers. What gives other results than the first\n"
     "backend that runs it is not accepted: |result - reference| / |reference| over an\n"
     "output is compared with --tolerance. The fastest is written to the tuning file, for\n"
     "this model and this machine; 'auto', the default backend, uses it from then on.\n"
     "\n"
     "Where the built-in engine can compute a convolution in several ways, each of them is\n"
     "timed inside of the model. A kernel that takes less than 9/10 of the time of the one\n"
     "that the engine's cost model chooses is written down for that shape; every load with\n"
     "the built-in engine uses it ('inspect --json' tells which). Loading a model never\n"
     "measures anything.",
     "nndeploy tune net.onnx --threads 1,2 --time-budget 10\n"
     "nndeploy tune net.onnx --backends builtin,builtin:precision=bf16\n"
     "nndeploy tune faces.json --backends builtin,onnxruntime",
     TABLE(tune_operand, tune_options), cli_run_tune},
    {"quantize", "make a model smaller and faster with integer or half-precision weights",
     "Runs the float model on samples and writes it with pairs of QuantizeLinear and\n"
     "DequantizeLinear: weights of Conv, ConvTranspose, Gemm and MatMul as int8 with a\n"
     "scale per output channel, biases as int32, and the values between these layers as\n"
     "8-bit integers. BatchNormalization behind a convolution goes into its weights, and\n"
     "biases take back what rounding shifts. Any engine that reads ONNX runs the result.\n"
     "\n"
     "A sample is a .npy file, or for a model with several inputs a folder with NAME.npy\n"
     "for each of them. With --workflow samples are pictures, also in folders inside DIR,\n"
     "that go through the workflow to the model in it.\n"
     "\n"
     "--weights f16 and bf16 store weights in half the bytes, to be widened when the model\n"
     "is loaded; samples are optional then.\n"
     "\n"
     "The table compares each quantised tensor with the float model's, worst first: weights\n"
     "for themselves, others with all errors before them (SQNR: signal to quantisation\n"
     "noise; 20 dB is an error of a tenth). When the outputs are not good enough, --min-sqnr\n"
     "says what they shall keep: the layers that do the most harm stay float, by name and\n"
     "with the harm that each does alone. That takes a trial of the model per layer.",
     "nndeploy quantize net.onnx --calibrate samples --output net_int8.onnx\n"
     "nndeploy quantize digits.onnx --workflow eval.json --calibrate crops \\\n"
     "    --min-sqnr 30 --output digits_int8.onnx\n"
     "nndeploy quantize net.onnx --weights f16 --output net_f16.onnx",
     TABLE(model_operand, quantize_options), cli_run_quantize},
    {"models list", "list the models of the catalogue",
     "A model is present when a workflow on this machine would find it: in a folder of\n"
     "models, in the cache, or in a mirror that is a folder.",
     "nndeploy models list\nnndeploy models list --task face-detection", NULL, 0,
     models_list_options, NND_COUNT(models_list_options), cli_run_models_list},
    {"models pull", "bring models to this machine",
     "Each file comes from the first source that has it: mirrors given by --mirror, the\n"
     "folders of models, the mirrors of NNDEPLOY_MIRRORS (separated by ';') and of the file\n"
     "nndeploy/mirrors in the user's settings (a line each), then the addresses of the\n"
     "catalogue. It is compared with the catalogue's size and sha256 before it appears in\n"
     "the cache. An interrupted download goes on where it ended.\n"
     "\n"
     "Without --backend, --precision or --device the first variant comes. --json prints a\n"
     "document per line: progress, file, and end or error.",
     "nndeploy models pull yolox-nano\n"
     "nndeploy models pull ultraface-rfb320 --backend ncnn\n"
     "nndeploy models pull yolox-nano --mirror https://models.example.org --json",
     TABLE(models_pull_operand, models_pull_options), cli_run_models_pull},
    {"models check", "verify the models in the cache",
     "Compares every file with the catalogue's sha256: all models of which the cache holds\n"
     "anything, or those named. The exit code is 3 when a file is damaged, else 5 when one\n"
     "is missing.",
     "nndeploy models check\nnndeploy models check yolox-nano",
     TABLE(models_operand, models_check_options), cli_run_models_check},
    {"models where", "print where models are",
     "The paths of a model's files, a line each; without a name the cache and the mirrors.",
     "nndeploy models where\nnndeploy models where ultraface-rfb320 --backend ncnn",
     TABLE(models_operand, models_where_options), cli_run_models_where},
    {"eval", "measure how accurate a workflow is on a folder of pictures",
     "Runs the workflow over a data set and compares its results with the truth.\n"
     "  top1  a folder of pictures per class, or labels.txt with lines 'picture class';\n"
     "        the result is of type classes\n"
     "  map   annotations.json in COCO's form, or beside each picture a .txt with lines\n"
     "        'class x y width height' (middle and sides of a box, in parts of the\n"
     "        picture's sides); the result is of type detections; COCO's rules\n"
     "  cer   a .txt with the text beside each picture; also gives wer; the result is of\n"
     "        type text or classes\n"
     "  iou   images/*.jpg with masks/*.png, or x.jpg with x_mask.png, whose pixels are\n"
     "        class numbers (gray or palette); the result is of type mask\n"
     "Pictures and their files may also lie in the folders images and labels.\n"
     "\n"
     "Classes are compared by name where the results have labels, else by number: folders\n"
     "and COCO's categories in their order, numbers in text files as they are.\n"
     "\n"
     "Samples that cannot be measured are named and counted; the exit code is 3 then, the\n"
     "figures are those of the other samples.",
     "nndeploy eval digit.json --dataset digits --metric top1 --classes\n"
     "nndeploy eval detect.json --dataset coco --metric map --limit 500 --json\n"
     "nndeploy eval read-page.json --dataset pages --metric cer --output samples.jsonl",
     TABLE(workflow_operand, eval_options), cli_run_eval},
    {"completion", "print a completion script for a shell",
     "bash:  source <(nndeploy completion bash)\n"
     "zsh:   nndeploy completion zsh > ~/.zfunc/_nndeploy   (a folder of $fpath)\n"
     "fish:  nndeploy completion fish > ~/.config/fish/completions/nndeploy.fish",
     NULL, completion_operand, NND_COUNT(completion_operand), NULL, 0, cli_run_completion},
    {"help", "explain a command", NULL, "nndeploy help run", TABLE(help_operand, help_options),
     cli_run_help},
    {"version", "print the version", NULL, NULL, NULL, 0, NULL, 0, cli_run_version},
};
const size_t cli_command_count = NND_COUNT(cli_commands);
