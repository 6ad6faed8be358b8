/* The sections of the page on auto, builtin, openvino, opencv-dnn and ncnn. */
#include "conformance.h"

static void put(bool zh, const char *english, const char *chinese)
{
    printf("%s\n", zh ? chinese : english);
}

static void put_option(bool zh, const char *option, const char *english, const char *chinese)
{
    printf("| `%s` | %s |\n", option, zh ? chinese : english);
}

static void put_option_head(bool zh)
{
    put(zh, "\n| option | meaning |\n|---|---|", "\n| 选项 | 含义 |\n|---|---|");
}

void conformance_manual_auto(bool zh)
{
    put(zh,
        "\n## auto\n\n"
        "`auto`, the default, is the first backend of the list above that is there "
        "and reads the file, until the model was tuned: `nndeploy tune MODEL` (or "
        "`WORKFLOW`) runs it on every backend, with several numbers of threads and "
        "in every precision that a backend offers, checks each result against that "
        "of the first backend, and writes what was fastest to "
        "`nndeploy/tuning.json` in the user's cache folder (`NNDEPLOY_TUNING` or "
        "`--tuning` name another file, `off` none). From then on `auto` uses it. "
        "`nndeploy inspect` shows the choice and why.",
        "\n## auto\n\n"
        "默认的 `auto` 取上表中第一个可用且能读取该文件的后端"
        ",直到模型经过调优:`nndeploy tune MODEL`(或 `WORKFLOW`)在每个"
        "后端上、以几种线程数和后端提供的每种精度运行模型,"
        "把每个结果与第一个后端的结果核对,并把最快的写入用"
        "户缓存文件夹中的 `nndeploy/tuning.json`(`NNDEPLOY_TUNING` 或 `--t"
        "uning` 指定别的文件,`off` 表示不用)。此后 `auto` 就按它选"
        "择。`nndeploy inspect` 显示选择及其原因。");
    put(zh,
        "\n"
        "An entry holds for the bytes of the model's files, for the processor, "
        "instruction set and number of cores, and for the versions of nndeploy and "
        "of the backend; when one of them is another, the fixed order counts "
        "again. Threads that somebody asks for are kept, and the best backend for "
        "as many is taken. A device, precision or `config` that is given with "
        "`auto` switches tuning off, since it is meant for one backend. A file "
        "that cannot be read is named in a warning, not used and not overwritten. "
        "Loading a model never measures anything. The form of the file is "
        "[tuning.schema.json](../schema/tuning.schema.json).",
        "\n"
        "一条记录适用于模型文件的内容、处理器、指令集与核"
        "数,以及 nndeploy 和后端的版本;其中之一不同时,仍按固定"
        "顺序。明确要求的线程数保持不变,并取该线程数下最好"
        "的后端。与 `auto` 一起给出的设备、精度或 `config` 会关"
        "闭调优,因为它们针对某一个后端。无法读取的文件会在"
        "警告中指出,既不使用也不覆盖。载入模型时从不测量。"
        "文件的形式见 [tuning.schema.json](../schema/tuning.schema.json)。");
    put(zh,
        "\n"
        "`tune` also times the kernels of the built-in engine inside of the model (a convolution "
        "can often be computed in several ways). A kernel that takes less than 9/10 of the time of "
        "the one that the engine's cost model chooses is written to the entry's `kernels`, for "
        "that shape, and every load of the model with `builtin`, by `auto` or by name, uses it; "
        "the results have the same bits for any number of threads. What no node of the model has, "
        "or the kernel cannot compute, or no longer exists is named in a warning and left to the "
        "engine. `nndeploy inspect --json` tells for each such node its `kernel`, the `kernels` "
        "that there are, the key `kernel_shape`, and whether it was `kernel_measured`.",
        "\n"
        "`tune` "
        "还在模型内部测量内置引擎的各种算法（一个卷积常有多种算法可用）。如果某种算法的时间不到引擎"
        "代价模型所选算法的 9/10，就按形状写入记录的 `kernels`；此后用 `builtin` 载入该模型时（由 "
        "`auto` "
        "选中或按名字指定）都使用它，结果在任何线程数下逐位相同。模型中没有的形状、该算法算不了的形"
        "状，以及已不存在的算法，会在警告中指出，并由引擎自行选择。`nndeploy inspect --json` "
        "对每个这样的节点给出 `kernel`、可用的 `kernels`、键 `kernel_shape`，以及是否来自测量 "
        "`kernel_measured`。");
}

void conformance_manual_builtin(bool zh)
{
    put(zh,
        "\n## builtin\n\n"
        "Runs ONNX, operators as [operators.md](operators.md) lists them. Of the 1656 test cases "
        "of the ONNX project `make conformance` passes 1647; 9 are left, whose results are "
        "random numbers of one library (training_dropout, bernoulli). Sequences are lists, maps "
        "are records of the vectors `keys` and "
        "`values`, an optional that is empty is left unbound and comes as a gap. Pictures inside "
        "of models (ImageDecoder) are decoded by the node library: JPEG, PNG, BMP, PNM, WebP "
        "where libwebp is installed, and JPEG 2000 where OpenJPEG is. So are patterns "
        "(RegexFullMatch, Tokenizer) where libpcre2-8 "
        "is: ONNX "
        "means those of RE2, and PCRE2 reads them alike (ASCII for `\\d`, `\\w`, `\\s` and `\\b`, "
        "`$` at the very end, a line ends with `\\n`), but `\\s` takes the vertical tab too, there "
        "is "
        "no `\\C`, and what RE2 refuses for its cost, references back and looking around, is "
        "taken. "
        "In place of RE2's linear time there are bounds, beyond which a match is an error: "
        "patterns of 4096 bytes, a million steps and 16 MiB for each text. A program can put its "
        "own functions in place of these: `nnd_infer_set_hooks`.\n\n"
        "Networks that nobody has tried here: besides the models above, about a hundred "
        "architectures "
        "with random weights, exported by PyTorch and scikit-learn, were compared with ONNX "
        "Runtime at several shapes each ([inference-engine.md](../inference-engine.md) lists "
        "them). Networks in f16 and bf16 are computed in f32. The same check for a network of "
        "your own: `nndeploy compare-models net.onnx --backends builtin,onnxruntime --input "
        "x=x.npy`, which also finds the first operator that differs.",
        "\n## builtin\n\n"
        "运行 ONNX 模型，算子见 [operators.md](operators.md)。ONNX 项目的 1656 个测试用例中，`make "
        "conformance` 通过 "
        "1647 个；其余 9 "
        "个的结果是某个库的随机数（training_dropout、bernoulli）。序列是列表，映射是含向量 "
        "`keys` 和 `values` "
        "的记录，空的可选输入不绑定、空的可选输出是 "
        "gap。模型内的图片（ImageDecoder）由节点库解码：JPEG、"
        "PNG、BMP、PNM，装有 libwebp 时还有 WebP，装有 OpenJPEG 时还有 JPEG 2000。装有 libpcre2-8 "
        "时，模式（RegexFullMatch、Tokenizer）也由节点库匹配："
        "ONNX 指的是 RE2 的模式，PCRE2 的读法相同（`\\d`、`\\w`、`\\s`、`\\b` 只认 ASCII，`$` 只在"
        "最末尾，行以 `\\n` 结束），但 `\\s` 还包括垂直制表符，没有 `\\C`，RE2 "
        "因代价而拒绝的反向引用和环视"
        "也被接受。RE2 保证线性时间，这里则以上限代替，超出即报错：模式 4096 "
        "字节，每个文本一百万步和 16 MiB。"
        "程序可以用自己的函数代替它们：`nnd_infer_set_hooks`。\n\n"
        "这里没有试过的网络：除上表的模型外，还有约一百种带随机权重的架构，由 PyTorch 和 "
        "scikit-learn 导出，各以几种形状与 ONNX Runtime "
        "比较过（[inference-engine.md](../inference-engine.md) 列出）。f16 和 bf16 的网络以 f32 "
        "计算。对自己的网络做同样的检查：`nndeploy compare-models net.onnx --backends "
        "builtin,onnxruntime --input x=x.npy`，它还会找出第一个有差异的算子。");
    put(zh, "\nOptions (`config`, separated by blanks):", "\n选项（`config`，用空格分隔）：");
    put_option_head(zh);
    put_option(
        zh, "passes=WORDS",
        "optimisation passes, words joined by `+` and applied from left to right: `all`, "
        "`default`, `none`, a pass's name to switch it on, `no-NAME` to switch it off; a list that "
        "begins with `no-` starts from the default: `passes=no-layout`, `passes=none+activation`. "
        "A number is a bit set. `nndeploy inspect MODEL --passes` lists the names",
        "优化遍，用 `+` "
        "连接、从左到右生效的词：`all`、`default`、`none`，遍的名字表示打开，`no-NAME` "
        "表示关闭；以 `no-` "
        "开头的列表从默认集合开始：`passes=no-layout`、`passes=none+activation`。数字是位集合。`"
        "nndeploy inspect MODEL --passes` 列出名字");
    put_option(zh, "dump-after=PASS",
               "keep the graph as that pass left it, as text, for `nnd_model_inspect` and "
               "`nndeploy inspect --dump-after`",
               "以文本保留这一遍之后的计算图，供 `nnd_model_inspect` 和 `nndeploy inspect "
               "--dump-after` 使用");
    put_option(
        zh, "kernels=tuned\\|own\\|NAME",
        "which kernels a convolution takes where several can do it: those that `nndeploy tune` has "
        "measured for this model and machine (the default), what the engine's cost model says, or "
        "the named one (`direct`, `depthwise`, `winograd`) wherever it can",
        "当一个卷积有多种算法可用时选哪一种：`nndeploy tune` "
        "为该模型在这台机器上测得的（默认）、引擎代价模型给出的，或在可用之处使用指定的那一种（`"
        "direct`、`depthwise`、`winograd`）");
    put_option(zh, "plugin-kernels=on\\|off",
               "whether kernels that [plug-ins](plugins.md#a-kernel-for-an-operator-that-exists) "
               "bring are asked, default `on`",
               "是否使用[插件](plugins.md#已有算子的内核)带来的内核，默认 `on`");
    put_option(zh, "arena=own\\|shared",
               "where activations lie: in memory of each request (the default), or in a pool of "
               "the process from which every run borrows. With many models of which few run at "
               "once the pool is smaller",
               "激活张量的位置：每个请求自己的内存（默认），或进程的一个内存池，每次运行从中借用。"
               "模型很多而同时运行的很少时，池更小");
    put_option(
        zh, "cache=FOLDER",
        "(default: the variable `NNDEPLOY_PACKED`, else none) keep packed weights in this folder, "
        "one file for each model, set of passes and "
        "instruction set. Every process that loads the model maps the file: nothing is packed, and "
        "all of them share the same memory. The folder is made when it is not there. A file that "
        "is damaged, cut off or from another build is replaced, a folder that cannot be written to "
        "is done without; the log tells. `rm FOLDER/*.nndpacked` is safe at any time. Whoever may "
        "write to the folder decides what its models compute. A path with blanks stands in double "
        "quotes; in a workflow it has to lie where the workflow may write. Not for models with "
        "operators of plug-ins, nor while plug-ins bring kernels",
        "（默认取环境变量 "
        "`NNDEPLOY_PACKED`"
        "，未设置则不用）把打包后的权重保存在此文件夹，每个模型、遍的集合和指令集一个文件；加载该模"
        "型的每个进程都映"
        "射这个文件：不再打包，且共享同一份内存。文件夹不存在时会创建。损坏、截断或来自其他构建的文"
        "件会被替换，无法写入的文件夹则不使用缓存；两种情况都写入日志。文件可随时删除（`rm "
        "FOLDER/"
        "*.nndpacked`"
        "）。能写此文件夹的人决定其中模型的计算结果。含空格的路径写在双引号中；在工作流中它必须位于"
        "工作流可写的位置。不用于含插件算子的模型，插件带来内核时也不使用");
    put_option(
        zh, "cache-limit=MIB",
        "what this folder may hold, default 4096; files that were not used for longest go first",
        "此文件夹的容量上限，默认 4096；最久未使用的文件先删除");
    put_option(zh, "memory-limit=MIB",
               "what the activations of a run may take, its texts and the elements that a Loop "
               "collects as much again, default 16384; a model that wants more is refused with the "
               "node's name. For models that you do not know",
               "一次运行的激活张量最多占用的内存，文本和 Loop 收集的元素各自另有同样的上限，默认 "
               "16384；超出的模型被拒绝，并说出节点的名字。用于来历不明的模型");
    put_option(zh, "precision=f32\\|bf16",
               "bf16: Gemm and MatMul with constant weights round weights and inputs to "
               "bfloat16 and sum in f32 (the model's option `precision` says the same). "
               "Weights take half the memory. With AVX-512 BF16 or NEON BF16 (`nndeploy "
               "backends` names the instruction set) their instruction multiplies; everywhere "
               "else the rounded numbers are multiplied in f32, so results agree but for the "
               "order of sums. Convolutions are rounded only where there is such an "
               "instruction, and only those that gain by it: not depthwise ones, nor 3 × 3 "
               "windows that Winograd computes faster in f32. `nndeploy bench model MODEL "
               "--config precision=bf16` shows the speed, `nndeploy compare-models MODEL "
               "--backends builtin,builtin:precision=bf16` the difference. Default f32",
               "bf16：权重为常量的 Gemm 与 MatMul 把权重和输入舍入到 bfloat16，以 f32 "
               "累加（与模型选项 `precision`"
               " 相同）。权重占用的内存减半。有 AVX-512 BF16 或 NEON BF16 时（`nndeploy backends` "
               "会显示指令集）由其指令相乘；其他处理器以 f32 "
               "相乘舍入后的数，因此除求和顺序外结果一致。只有处理器有这样的指令时才舍入卷积，"
               "而且只舍入因此变快的卷积：不包括逐通道卷积，也不包括 Winograd 以 f32 算得更快的 "
               "3 × 3 窗口。`nndeploy bench model MODEL --config precision=bf16` 显示速度，"
               "`nndeploy compare-models MODEL --backends builtin,builtin:precision=bf16` "
               "显示差异。默认 f32");
    put_option(zh, "separate-tensors=true\\|false", "debug: every activation in memory of its own",
               "调试：每个激活张量使用自己的内存");
}

void conformance_manual_openvino(bool zh)
{
    put(zh,
        "\n## openvino\n\nThe C library is loaded at run time: `NNDEPLOY_OPENVINO` names it or the "
        "folder of a release, else the system's loader and the usual places are asked. Tested "
        "with release 2026.4. `export NNDEPLOY_OPENVINO=$(scripts/get-openvino.sh)` fetches it "
        "with "
        "pip. Reads `.xml` (with the `.bin` beside it), `.onnx` and `.tflite`. Options:",
        "\n## openvino\n\n该 C 库在运行时载入:`NNDEPLOY_OPENVINO` 指定库文件或发行版目录,"
        "否则由系统加载器和常用位置查找。以 2026.4 版测试。"
        "`export NNDEPLOY_OPENVINO=$(scripts/get-openvino.sh)` 用 pip 获取。读取 `.xml`(旁边有 "
        "`.bin`)、`.onnx` 和 `.tflite`。选项:");
    put_option_head(zh);
    put_option(zh, "device=CPU\\|GPU\\|GPU.1\\|NPU\\|AUTO\\|\"AUTO:GPU,CPU\"",
               "as the library names it, or `cpu`, `gpu:1`; default CPU",
               "库中的名称,或 `cpu`、`gpu:1`;默认 CPU");
    put_option(zh, "hint=latency\\|throughput", "what the device is set up for, default latency",
               "设备按何种目标设置,默认 latency");
    put_option(zh, "precision=f32\\|f16\\|bf16",
               "default f32 on CPU and GPU; quantised models compute in int8 by themselves",
               "CPU 与 GPU 上默认 f32;量化模型自行以 int8 计算");
    put_option(zh, "threads=N", "of the CPU device, default the process's budget",
               "CPU 设备的线程数,默认为进程的线程预算");
    put_option(zh, "streams=N", "requests that the device works on at once, default by the hint",
               "设备同时处理的请求数,默认由 hint 决定");
    put_option(zh, "cache_dir=FOLDER", "keeps compiled models", "保存编译后的模型");
    put_option(zh, "weights=FILE", "of an `.xml` model, default its name with `.bin`",
               "`.xml` 模型的权重文件,默认同名 `.bin`");
    put_option(zh, "profile", "measure each operator in every request", "每个请求都测量各算子");
    put(zh,
        "\nInputs are read where they lie and results of fixed shape are written where they stay; "
        "results of other shapes are the library's memory, held by the value: no copies. Threads "
        "are charged to the budget while a run lasts. A request that asks for other threads or "
        "for a profile gets a compiled model of its own. A run stops between two operators. ONNX "
        "files with external data are read from their path only, after `open_file` agreed to each "
        "file. Strings and types below 8 bits cannot be passed. `mobilenet_v2_qdq` is computed in "
        "int8 with other roundings than the reference: up to six quantisation steps apart (by "
        "2026.4), with the same best class.",
        "\n输入在原处读取,固定形状的结果直接写入最终位置;其他形状的结果是库的内存,"
        "由值持有:没有拷贝。"
        "运行期间线程计入预算。要求不同线程数或性能分析的请求会得到自己的编译模型。"
        "运行在两个算子之间停止。带外部数据的 ONNX 文件只能从路径读取,且每个文件都先经 "
        "`open_file` 同意。不能传递字符串和小于 8 位的类型。`mobilenet_v2_qdq` 以 int8 计算,"
        "舍入方式与参考不同:相差最多六个量化步长(2026.4),最优类别相同。");
}

void conformance_manual_opencv_dnn(bool zh)
{
    put(zh,
        "\n## opencv-dnn\n\nA plug-in, because OpenCV has a C++ interface only: it is built as "
        "`build/release/plugins/opencv-dnn.so` where OpenCV's development files are (Debian: "
        "`libopencv-core-dev libopencv-dnn-dev`; the core builds without). `--plugin FILE` or "
        "`NNDEPLOY_PLUGINS` loads it, from C `nnd_nodes_load_plugin`. Reads `.onnx`. Options of "
        "the model: device `cpu` (or `opencl` where OpenCV finds one), precision `f32` (`f16` on "
        "opencl), and in `config`:",
        "\n## opencv-dnn\n\n这是一个插件,因为 OpenCV 只有 C++ 接口:在有 OpenCV 开发文件的机器上"
        "编译为 `build/release/plugins/opencv-dnn.so`(Debian:"
        "`libopencv-core-dev libopencv-dnn-dev`;核心无需它)。用 `--plugin FILE` 或 "
        "`NNDEPLOY_PLUGINS` 载入,在 C 中用 `nnd_nodes_load_plugin`。读取 `.onnx`。模型选项:设备 "
        "`cpu`(OpenCV 能找到时也可为 `opencl`),精度 `f32`(opencl 上可为 `f16`),`config` 中有:");
    put_option_head(zh);
    put_option(zh, "fusion=on\\|off", "compute neighbouring layers at once, default on",
               "相邻层一并计算,默认 on");
    put(zh,
        "\nVersion 4.6 is what was tried. It computes with f32 only, has no tensors without "
        "elements, and refuses many networks when they are loaded; the error holds its own words. "
        "Its parallel loops run on nndeploy's threads, within the budget of the process, and stop "
        "between two parts of a loop; where two networks run at once, OpenCV runs the loops of "
        "one of them in that network's own thread, which stops after its run. The library copies "
        "inputs and keeps its "
        "results in its own memory, so both are copied, and counted. Every request after the "
        "first has weights of its own. There is a profile per layer. Weights in further files are "
        "not read.",
        "\n试用的是 4.6 版。它只用 f32 计算,没有零元素张量,许多网络在载入时即被拒绝,错误信息含其"
        "原话。它的并行循环在 nndeploy 的线程上运行,计入进程的预算,并在循环的两段之间停止;"
        "两个网络同时运行时,OpenCV "
        "让其中一个的循环在该网络自己的线程中运行,要到运行结束才停止。库会拷贝输入,"
        "并把结果留在自己的内存中,"
        "因此两者都被拷贝,并计入统计。第一个请求之后的每个请求都有自己的权重。可按层查看耗时。"
        "不读取单独文件中的权重。");
}

void conformance_manual_ncnn(bool zh)
{
    put(zh,
        "\n## ncnn\n\nReads `.param` files in text form with the `.bin` beside them, so of the "
        "models above one is for it, UltraFace in that form; the behaviour is tried on models of "
        "its own. `tests/infer/test_ncnn.c` runs five more networks. The shared library with its C "
        "API is loaded at "
        "run time: `NNDEPLOY_NCNN` names it or its folder. Options:",
        "\n## ncnn\n\n读取文本形式的 `.param` 文件及其旁边的 `.bin`,因此上面的模型中只有 UltraFace "
        "有此形式;行为在自带的小模型上测试。`tests/infer/test_ncnn.c` 另外运行五个网络。"
        "带 C API 的共享库在运行时载入:`NNDEPLOY_NCNN` 指定库文件或其目录。选项:");
    put_option_head(zh);
    put_option(zh, "precision=f32\\|f16\\|bf16", "default f32", "默认 f32");
    put_option(zh, "threads=N", "default the process's budget", "默认为进程的线程预算");
    put_option(zh, "weights=FILE", "default the model's name with `.bin`", "默认同名 `.bin`");
    put(zh,
        "\nTensors are [1,w], [1,h,w], [1,c,h,w] or [1,c,d,h,w]: ncnn knows no batch. Ports have "
        "the names of the file's blobs; shapes of outputs are known after a run. The file is "
        "checked before ncnn sees it; ncnn itself does not compare sizes inside a network, so one "
        "that is fed with a size it was not made for may fail badly. An input is read where it "
        "lies when only convolutions read it and a channel's size is a multiple of four elements, "
        "else it is copied; results are copied when channels of theirs lie apart, and the copies "
        "are counted. A run stops before an output, not within one. There is no profile.",
        "\n张量为 [1,w]、[1,h,w]、[1,c,h,w] 或 [1,c,d,h,w]:ncnn 没有批。端口名是文件中 blob "
        "的名称;输出形状在运行后得知。文件在交给 ncnn 之前先经检查;ncnn 不核对网络内部的尺寸,"
        "输入尺寸不符的网络可能严重出错。只有卷积读取、且每个通道的元素数是四的倍数时,输入在原处"
        "读取,否则拷贝;结果的通道不连续时也会拷贝,拷贝计入统计。运行在输出之前停止,"
        "不在输出之中停止。没有性能分析。");
}
