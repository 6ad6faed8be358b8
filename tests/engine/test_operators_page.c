/* docs/<language>/operators.md says what the engine's operator table holds. The opsets come from
   the table, the types from asking each operator's shape inference about every type, the notes from
   here. `test_engine_operators_page --print en` makes the page. */
#include "engine_support.h"

#include "base/str.h"
#include "engine/onnx/gradient.h"
#include "engine/ops/op.h"
#include "engine/ops/qlinear.h"
#include "engine/runtime/expand.h"

/* ---- how each operator is asked ------------------------------------------------------------ */

/* The name comes with its domain, ai.onnx left out. Inputs by their types, "T" being the one that
   is tried, with shape and, where inference wants to know the elements, one value for all of them;
   "-" is an absent input. Without inputs every operand is T[1,2,4,4]. */
typedef struct probe {
    const char *name;
    const char *inputs;
    const char *attr;  /* names of attributes, or NULL */
    const char *value; /* of each, the last one of all that follow: "2" int, "2,2" ints, "=text" */
    const char *note_en, *note_zh;
} probe;

#define WEIGHTS "T[1,2,4,4] T[2,2,1,1]"
static const probe probes[] = {
    {"ai.onnx.ml.ArrayFeatureExtractor", "T[2,3] i64[1]", NULL, NULL, "", ""},
    {"ai.onnx.ml.DictVectorizer", NULL, NULL, NULL, "the result is [1,C]", "结果为 [1,C]"},
    {"ai.onnx.ml.LabelEncoder", NULL, NULL, NULL, "lists and tensors of keys and values",
     "键和值可为列表或张量"},
    {"ai.onnx.ml.SVMClassifier", NULL, NULL, NULL, "all kernels, votes and probabilities",
     "支持所有核函数、投票和概率"},
    {"ai.onnx.ml.TreeEnsembleClassifier", NULL, NULL, NULL,
     "two classes with the weights of one: as ONNX Runtime completes them",
     "两类而权重只属于一类时，与 ONNX Runtime 的补全方式相同"},
    {"ai.onnx.ml.ZipMap", NULL, NULL, NULL, "a sequence of maps", "映射的序列"},
    {"ImageDecoder", NULL, NULL, NULL,
     "JPEG, PNG, WebP, JPEG 2000, BMP and PNM by the node library, else by a hook",
     "由节点库解码 JPEG、PNG、WebP、JPEG 2000、BMP 和 PNM，其余通过钩子"},
    {"RegexFullMatch", NULL, NULL, NULL, "by the node library with PCRE2, else by a hook",
     "由节点库通过 PCRE2 完成，否则通过钩子"},
    {"StringNormalizer", NULL, NULL, NULL, "letters of Latin, Greek, Cyrillic and Armenian",
     "支持拉丁、希腊、西里尔和亚美尼亚字母"},
    {"ArgMax", NULL, NULL, NULL, "select_last_index too", "支持 select_last_index"},
    {"ArgMin", NULL, NULL, NULL, "select_last_index too", "支持 select_last_index"},
    {"AveragePool", NULL, "kernel_shape", "2,2",
     "1 to 3 spatial dimensions, ceil_mode and dilations too",
     "1 到 3 个空间维，支持 ceil_mode 和 dilations"},
    {"AffineGrid", "T[1,2,3] i64[4]={1}", NULL, NULL, "2-D and 3-D", "2 维和 3 维"},
    {"BatchNormalization", "T[1,2,4,4] T[2] T[2] T[2] T[2]", NULL, NULL,
     "inference; training by the attribute training_mode",
     "推理；通过属性 training_mode 支持训练模式"},
    {"Bernoulli", NULL, NULL, NULL, "to every number and bool; seeded, see RandomNormal",
     "可输出任意数值类型和 bool；随机数规则同 RandomNormal"},
    {"Cast", NULL, "to", "1", "to every numeric type and bool, not from or to strings",
     "可转换为任意数值类型和 bool，不支持字符串"},
    {"CastLike", "T[1] f32[1]", NULL, NULL, "as Cast", "同 Cast"},
    {"CausalConvWithState", "T[1,1,2] T[1,1,2]", NULL, NULL, "", ""},
    {"CenterCropPad", "T[2] i64[1]={2}", NULL, NULL, "", ""},
    {"Col2Im", "T[1,1,1] i64[2]={1} i64[2]={1}", NULL, NULL, "1 to 5 spatial dimensions",
     "1 到 5 个空间维"},
    {"Concat", "T[1,2] T[1,2]", "axis", "1", "", ""},
    {"ConstantOfShape", "i64[1]={2}", NULL, NULL, "the type is that of the attribute",
     "类型取自属性 value"},
    {"ConcatFromSequence", NULL, NULL, NULL, "new_axis too", "支持 new_axis"},
    {"Optional", NULL, NULL, NULL, "of tensors and sequences", "可包含张量或序列"},
    {"Scan", NULL, NULL, NULL, "all axes and directions; opset 8 with its batch and lengths",
     "支持所有轴和方向；opset 8 含批次和长度"},
    {"SequenceMap", NULL, NULL, NULL, "", ""},
    {"SplitToSequence", NULL, NULL, NULL, "", ""},
    {"Conv", WEIGHTS, NULL, NULL,
     "1 to 3 spatial dimensions, groups, dilations, auto_pad; FusedConv of com.microsoft too",
     "1 到 3 个空间维，支持分组、膨胀和 auto_pad；也支持 com.microsoft 的 FusedConv"},
    {"ConvTranspose", WEIGHTS, NULL, NULL, "1 to 3 spatial dimensions, groups, output_shape",
     "1 到 3 个空间维，支持分组和 output_shape"},
    {"CumProd", "T[2] i64[1]={0}", NULL, NULL, "exclusive and reverse too",
     "支持 exclusive 和 reverse"},
    {"CumSum", "T[2] i64[1]={0}", NULL, NULL, "exclusive and reverse too",
     "支持 exclusive 和 reverse"},
    {"DFT", "T[1,4,1]", NULL, NULL, "any length, one-sided and inverse too",
     "任意长度，支持单边谱和逆变换"},
    {"DeformConv", "T[1,1,2,2] T[1,1,1,1] T[1,2,2,2]", NULL, NULL, "2-D", "2 维"},
    {"DepthToSpace", "T[1,4,4,4]", "blocksize", "2", "both modes", "两种模式"},
    {"DequantizeLinear", "T[2] f32[]", NULL, NULL, "per tensor, per axis and in blocks",
     "支持逐张量、逐轴和分块"},
    {"Dropout", NULL, NULL, NULL, "inference only", "仅推理"},
    {"Einsum", "T[2,2]", "equation", "=ij->ji", "up to 8 operands, with ellipsis",
     "最多 8 个操作数，支持省略号"},
    {"Expand", "T[2] i64[1]={2}", NULL, NULL, "", ""},
    {"EyeLike", "T[2,2]", NULL, NULL, "", ""},
    {"Gather", "T[2] i64[1]", NULL, NULL, "indices i32 or i64", "索引为 i32 或 i64"},
    {"GatherElements", "T[2] i64[1]", NULL, NULL, "indices i32 or i64", "索引为 i32 或 i64"},
    {"GatherND", "T[2] i64[1,1]", NULL, NULL, "batch_dims too", "支持 batch_dims"},
    {"Gelu", NULL, NULL, NULL, "exact and tanh", "精确形式和 tanh 近似"},
    {"Gemm", "T[2,2] T[2,2]", NULL, NULL, "FusedGemm of com.microsoft too",
     "也支持 com.microsoft 的 FusedGemm"},
    {"GridSample", "T[1,1,2,2] f32[1,1,1,2]", NULL, NULL,
     "1 to 3 spatial dimensions, all modes and paddings",
     "1 到 3 个空间维，支持所有模式和填充方式"},
    {"GroupNormalization", "T[1,2,4,4] T[2] T[2]", "num_groups", "1", "", ""},
    {"GRU", "T[1,1,2] T[1,6,2] T[1,6,2]", NULL, NULL, "all directions, activations and layouts",
     "支持所有方向、激活函数和布局"},
    {"If", "bool[]", NULL, NULL, "the branch that is taken is planned when it runs",
     "被选中的分支在运行时规划"},
    {"InstanceNormalization", "T[1,2,4,4] T[2] T[2]", NULL, NULL, "", ""},
    {"LayerNormalization", "T[1,2,4,4] T[4]", NULL, NULL, "with the Mean and InvStdDev outputs",
     "可输出 Mean 和 InvStdDev"},
    {"LinearAttention", "T[1,1,2] T[1,1,2] T[1,1,2] - T[1,1,1] T[1,1,1]",
     "q_num_heads kv_num_heads", "1", "all update rules, grouped heads, state",
     "支持所有更新规则、分组头和状态"},
    {"Loop", "i64[] bool[]", NULL, NULL, "carried values of every kind and scan outputs",
     "支持任意种类的循环携带值和扫描输出"},
    {"LRN", NULL, "size", "3", "", ""},
    {"LSTM", "T[1,1,2] T[1,8,2] T[1,8,2]", NULL, NULL,
     "all directions, activations and layouts, peepholes",
     "支持所有方向、激活函数和布局，以及窥视孔"},
    {"LpPool", NULL, "kernel_shape", "2,2", "1 to 3 spatial dimensions", "1 到 3 个空间维"},
    {"MatMul", "T[2,2] T[2,2]", NULL, NULL, "batches broadcast", "批次维可广播"},
    {"MaxPool", NULL, "kernel_shape", "2,2", "1 to 3 spatial dimensions, with the Indices output",
     "1 到 3 个空间维，可输出 Indices"},
    {"MaxRoiPool", "T[1,1,2,2] T[1,5]", "pooled_shape", "1,1", "", ""},
    {"MaxUnpool", "T[1,1,1,1] i64[1,1,1,1]", "kernel_shape", "1,1",
     "1 to 3 spatial dimensions; indices count in the shape that the attributes give",
     "1 到 3 个空间维；索引按属性所确定的形状计数"},
    {"MeanVarianceNormalization", NULL, NULL, NULL, "", ""},
    {"MelWeightMatrix", "T[]={4} i64[]={8} i64[]={8000} f32[]={0} f32[]={4000}", NULL, NULL,
     "types of the counts; to every number", "所列为计数的类型；可输出任意数值类型"},
    {"Mod", NULL, NULL, NULL, "fmod 0 and 1", "fmod 为 0 或 1"},
    {"Multinomial", "T[1,2]", NULL, NULL, "seeded, see RandomNormal", "随机数规则同 RandomNormal"},
    {"NonMaxSuppression", "T[1,2,4] T[1,1,2]", NULL, NULL, "both kinds of boxes", "两种检测框格式"},
    {"OneHot", "i64[2] i64[1]={3} T[2]", NULL, NULL,
     "types of the values; indices and depth may be any number",
     "所列为 values 的类型；索引和深度可为任意数值类型"},
    {"PRelu", "T[1,2,4,4] T[1,2,4,4]", NULL, NULL, "", ""},
    {"Pad", "T[2] i64[2]={0}", NULL, NULL, "constant, reflect, edge, wrap",
     "constant、reflect、edge、wrap"},
    {"Pow", NULL, NULL, NULL, "the exponent may have another type", "指数可以是另一种类型"},
    {"QuantizeLinear", "T[2] f32[]", NULL, NULL,
     "to integers, float8 and float4; per tensor, per axis and in blocks",
     "量化到整数、float8 和 float4；支持逐张量、逐轴和分块"},
    {"RMSNormalization", "T[1,2,4,4] T[4]", NULL, NULL, "", ""},
    {"RNN", "T[1,1,2] T[1,2,2] T[1,2,2]", NULL, NULL, "all directions, activations and layouts",
     "支持所有方向、激活函数和布局"},
    {"RandomNormal", NULL, "shape", "1,1",
     "to float; the same numbers in every run, by the seed or else the node's name",
     "输出浮点类型；每次运行得到相同的数，由 seed 决定，没有 seed 时由节点名决定"},
    {"RandomNormalLike", NULL, NULL, NULL, "to float; see RandomNormal",
     "输出浮点类型；规则同 RandomNormal"},
    {"RandomUniform", NULL, "shape", "1,1", "to float; see RandomNormal",
     "输出浮点类型；规则同 RandomNormal"},
    {"RandomUniformLike", NULL, NULL, NULL, "to float; see RandomNormal",
     "输出浮点类型；规则同 RandomNormal"},
    {"Range", "T[]={1} T[]={1} T[]={1}", NULL, NULL, "", ""},
    {"Reshape", "T[2] i64[1]={-1}", NULL, NULL, "", ""},
    {"Resize", "T[1,2,4,4] - f32[4]={1}", NULL, NULL,
     "nearest, linear, cubic in any number of dimensions; antialias; every coordinate mode",
     "任意维数的 nearest、linear、cubic；支持抗锯齿；支持所有坐标变换方式"},
    {"RoiAlign", "T[1,1,2,2] T[1,4] i64[1]", NULL, NULL, "average and maximum", "平均和最大值"},
    {"STFT", "T[1,4,1] i64[]={1}", NULL, NULL, "", ""},
    {"Scatter", "T[2] i64[1] T[1]", NULL, NULL, "", ""},
    {"ScatterElements", "T[2] i64[1] T[1]", NULL, NULL, "reductions add, mul, min, max on numbers",
     "数值类型支持 add、mul、min、max 归约"},
    {"ScatterND", "T[2] i64[1,1] T[1]", NULL, NULL, "reductions add, mul, min, max on numbers",
     "数值类型支持 add、mul、min、max 归约"},
    {"Slice", "T[2] i64[1]={0} i64[1]={1}", NULL, NULL, "negative steps too", "支持负步长"},
    {"SpaceToDepth", "T[1,4,4,4]", "blocksize", "2", "", ""},
    {"Split", "T[2]", NULL, NULL, "", ""},
    {"TensorScatter", "T[1,2,2] T[1,1,2]", NULL, NULL, "linear and circular", "线性和循环写入"},
    {"Tile", "T[2] i64[1]={2}", NULL, NULL, "", ""},
    {"TopK", "T[2] i64[1]={1}", NULL, NULL, "", ""},
    {"Unsqueeze", "T[2] i64[1]={0}", NULL, NULL, "", ""},
    {"Upsample", "T[1,2,4,4] f32[4]={1}", NULL, NULL, "nearest and linear", "nearest 和 linear"},
    {"Where", "bool[2] T[2] T[2]", NULL, NULL, "", ""},
    {"Attention", NULL, NULL, NULL,
     "3-D and 4-D, grouped heads, past and present, masks, soft cap, score output",
     "支持 3 维和 4 维输入、分组头、past/present、掩码、soft cap 和分数输出"},
    {"RotaryEmbedding", "T[1,2,4,4] f32[1,4,2] f32[1,4,2]", NULL, NULL, "", ""},
    {"com.microsoft.RotaryEmbedding", "T[1,2,4,4] i64[1,4] f32[8,2] f32[8,2]", NULL, NULL, "", ""},
    {"com.microsoft.MultiHeadAttention", "T[1,2,4] T[1,2,4] T[1,2,4]", "num_heads", "2",
     "separate and packed operands, past and present, padding, score bias",
     "支持分离和打包的输入、past/present、填充掩码和分数偏置"},
    {"com.microsoft.Attention", "T[1,2,4] T[4,12]", "num_heads", "2",
     "past and present, padding, score bias; no rotation",
     "支持 past/present、填充掩码和分数偏置；不支持旋转"},
    {"com.microsoft.GroupQueryAttention", "T[1,2,4] T[1,2,4] T[1,2,4] - - i32[1] i32[1]={2}",
     "num_heads", "2",
     "rotation, positions, local window, soft cap, score bias, sinks, packed operands",
     "支持旋转、位置、局部窗口、soft cap、分数偏置、sink 和打包的输入"},
    {"com.microsoft.BiasGelu", "T[2,4] T[4]", NULL, NULL, "", ""},
    {"com.microsoft.SkipLayerNormalization", "T[1,2,4] T[1,2,4] T[4]", NULL, NULL, "", ""},
    {"com.microsoft.SkipSimplifiedLayerNormalization", "T[1,2,4] T[1,2,4] T[4]", NULL, NULL, "",
     ""},
    {"com.microsoft.EmbedLayerNormalization", "i32[1,2] - T[3,4] T[3,4] - T[4] T[4]", NULL, NULL,
     "types of the tables", "所列为嵌入表的类型"},
    {"SimplifiedLayerNormalization", "T[1,2,4,4] T[4]", NULL, NULL, "", ""},
    {"com.microsoft.SimplifiedLayerNormalization", "T[1,2,4,4] T[4]", NULL, NULL, "", ""},
    {"com.microsoft.AttnLSTM",
     "T[1,1,2] T[1,8,4] T[1,8,2] - - - - - T[1,2,3] T[1,2,3] T[1,3] T[1,4,2]", NULL, NULL,
     "all directions, peepholes; default activations", "支持所有方向和窥视孔；仅默认激活函数"},
    {"com.microsoft.BifurcationDetector", "T[4] T[2] T[1]", NULL, NULL, "", ""},
    {"com.microsoft.BiasSoftmax", "T[1,4] T[4]", NULL, NULL, "", ""},
    {"com.microsoft.CropAndResize", "T[1,1,4,4] T[1,4] i32[1] i32[2]={2}", NULL, NULL,
     "bilinear and nearest", "bilinear 和 nearest"},
    {"com.microsoft.DynamicTimeWarping", "T[2,2]", NULL, NULL, "", ""},
    {"com.microsoft.FusedMatMul", "T[2,2] T[2,2]", NULL, NULL, "", ""},
    {"com.microsoft.GatedRelativePositionBias", "T[1,2,4] T[4] T[1,2,2,2] T[2,2] T[2] T[1,2,1,1]",
     "num_heads", "2", "", ""},
    {"com.microsoft.MaxpoolWithMask", "T[1,2,4,4] i32[1,2,4,4]", "kernel_shape", "2,2",
     "1 to 3 spatial dimensions", "1 到 3 个空间维"},
    {"com.microsoft.NGramRepeatBlock", "T[1,4] f32[1,8]", "ngram_size", "2", "types of the tokens",
     "所列为词元的类型"},
    {"com.microsoft.PackedMultiHeadAttention", "T[2,1,3,4] - - - i32[1,2] i32[2]", "num_heads", "1",
     "separate and packed operands, score bias", "支持分离和打包的输入以及分数偏置"},
    {"com.microsoft.QEmbedLayerNormalization",
     "i32[1,2] - T[3,4] T[3,4] - T[4] T[4] - f32[] f32[] - f32[] f32[] T[] T[] - T[] T[]", NULL,
     NULL, "types of the tables", "所列为嵌入表的类型"},
    {"com.microsoft.RelativePositionBias", "T[8,2] i64[]={3} i64[]={3}", "max_distance", "16", "",
     ""},
    {"com.microsoft.RemovePadding", "T[1,2,4] i32[1]={2}", NULL, NULL, "", ""},
    {"com.microsoft.RestorePadding", "T[1,4] i32[1,2]", NULL, NULL, "", ""},
    {"com.microsoft.SkipGroupNorm", "T[1,2,2,4] T[4] T[4] T[1,2,2,4]", "groups", "2",
     "channels last and first, SiLU", "通道在后或在前，支持 SiLU"},
    {"com.microsoft.UnfoldTensor", NULL, "size", "2", "", ""},
    {"com.microsoft.WordConvEmbedding", "T[2,4] f32[2,1,2,3] f32[2] f32[5,3]", NULL, NULL,
     "types of the characters", "所列为字符的类型"},
    {"com.microsoft.Range", "T[]={1} T[]={1}", NULL, NULL, "", ""},
    {"NegativeLogLikelihoodLoss", "T[1,2] i64[1]", NULL, NULL, "", ""},
    {"SoftmaxCrossEntropyLoss", "T[1,2] i64[1]", NULL, NULL, "", ""},
    {"MatMulInteger", "T[2,2] i8[2,2]", NULL, NULL, "", ""},
    {"ConvInteger", "T[1,2,4,4] i8[2,2,1,1]", NULL, NULL, "1 to 3 spatial dimensions",
     "1 到 3 个空间维"},
    {"QLinearMatMul", "T[2,2] f32[] T[] i8[2,2] f32[] i8[] f32[] i8[]", NULL, NULL, "", ""},
    {"QLinearConv", "T[1,2,4,4] f32[] T[] i8[2,2,1,1] f32[] i8[] f32[] i8[]", NULL, NULL,
     "1 to 3 spatial dimensions", "1 到 3 个空间维"},
    {"com.microsoft.MatMulIntegerToFloat", "T[2,2] i8[2,2] f32[] f32[]", NULL, NULL, "", ""},
    {"com.microsoft.DynamicQuantizeLSTM",
     "T[1,1,2] i8[1,2,8] i8[1,2,8] - - - - - f32[1] i8[1] f32[1] i8[1]", NULL, NULL,
     "all directions and activations, peepholes; weights of i8 or u8, one scale or one per column",
     "支持所有方向和激活函数，以及窥视孔；权重为 i8 或 u8，单一比例或每列一个"},
    {"com.microsoft.DynamicQuantizeMatMul", "T[2,2] i8[2,2] f32[]", NULL, NULL, "", ""},
    {"HannWindow", "T[]={4}", NULL, NULL, "types of the size; to every number",
     "所列为 size 的类型；可输出任意数值类型"},
    {"HammingWindow", "T[]={4}", NULL, NULL, "types of the size; to every number",
     "所列为 size 的类型；可输出任意数值类型"},
    {"BlackmanWindow", "T[]={4}", NULL, NULL, "types of the size; to every number",
     "所列为 size 的类型；可输出任意数值类型"},
    {"BitCast", "i32[2]", "to", "1", "between types of the same width", "在位宽相同的类型之间转换"},
    {"Compress", "T[2] bool[2]", NULL, NULL, "", ""},
    {"ReverseSequence", "T[2,2] i64[2]", NULL, NULL, "", ""},
    {"ai.onnx.preview.FlexAttention", NULL, NULL, NULL, "score_mod and prob_mod too",
     "支持 score_mod 和 prob_mod"},
    {"ai.onnx.preview.training.Adagrad", "f32[] i64[] T[2] T[2] T[2]", NULL, NULL,
     "types of the values", "所列为参数值的类型"},
    {"ai.onnx.preview.training.Adam", "f32[] i64[] T[2] T[2] T[2] T[2]", NULL, NULL,
     "types of the values", "所列为参数值的类型"},
    {"ai.onnx.preview.training.Momentum", "f32[] i64[] T[2] T[2] T[2]", NULL, NULL,
     "types of the values; standard and nesterov", "所列为参数值的类型；支持 standard 和 nesterov"},
    {"com.microsoft.CDist", "T[2,2] T[2,2]", NULL, NULL, "euclidean and sqeuclidean",
     "euclidean 和 sqeuclidean"},
    {"com.microsoft.CausalConvWithState", "T[1,1,2] T[1,1,2]", NULL, NULL,
     "1-D, channels first, one state", "1 维、通道在前、单个状态"},
    {"com.microsoft.GatherBlockQuantized", "T[2,8] i64[1] f32[2,1]", "block_size", "16",
     "u8 codes of 2, 4 and 8 bits", "u8 可存放 2、4、8 位编码"},
    {"com.microsoft.GridSample", "T[1,1,2,2] f32[1,1,1,2]", NULL, NULL, "", ""},
    {"com.microsoft.LinearAttention", "T[1,1,2] T[1,1,2] T[1,1,2] - T[1,1,1] T[1,1,1]",
     "q_num_heads kv_num_heads", "1", "one state", "单个状态"},
    {"com.microsoft.MatMulNBits", "T[1,16] u8[16,1,8] f32[16]", "K N block_size", "16",
     "2, 4 and 8 bits, packed and float zero points, g_idx, bias",
     "2、4、8 位；支持打包和浮点零点、g_idx 和偏置"},
    {"com.microsoft.BranchwiseRMSNorm", NULL, NULL, NULL, "", ""},
    {"com.microsoft.GatedAdd", "T[2,4] T[2,4] T[2,1]", NULL, NULL, "projected gates too",
     "支持由投影得到的门"},
    {"com.microsoft.GatedDeltaNet", "T[1,1,2] T[1,1,2] T[1,1,2] - T[1,1] T[1,1] f32[1,1,2,2]", NULL,
     NULL, "all rules and gates, packed operands, sequences of any lengths; no transition capture",
     "支持所有更新规则和门、打包的输入和任意长度的序列；不支持状态转移捕获"},
    {"com.microsoft.GatedRMSNorm", "T[2,4] T[4] T[2,4]", NULL, NULL, "", ""},
    {"com.microsoft.LinearAttentionGate", "T[1,2,4] f32[4] f32[4]", NULL, NULL, "", ""},
    {"com.microsoft.DecoderMaskedMultiHeadAttention", "T[1,1,4] T[1,1,4] T[1,1,4]", "num_heads",
     "2", "cross attention, a cache of fixed extent, beams, score output",
     "支持交叉注意力、固定长度的缓存、束和分数输出"},
    {"com.microsoft.VarlenCausalConvWithState", "T[1,2] T[2,1,2] i32[2] - T[1,2,1]", NULL, NULL,
     "with transition capture; kernels do not change", "支持状态转移捕获；卷积核不变"},
    {"com.microsoft.SparseAttention",
     "T[1,2,4] T[1,2,4] T[1,2,4] T[1,2,16,2] T[1,2,16,2] i32[1,2] i32[1,1] i32[1] i32[1]",
     "num_heads kv_num_heads sparse_block_size", "2 2 16", "rotation, packed operands",
     "支持旋转和打包的输入"},
    {"com.microsoft.MatMulBnb4", "T[1,16] u8[128] T[16]", "N K block_size quant_type", "16 16 16 1",
     "FP4 and NF4, from both sides", "支持 FP4 和 NF4，可从两侧相乘"},
    {"com.microsoft.MoE", "T[1,4] T[1,2] T[2,4,4] - T[2,4,4]", NULL, NULL,
     "relu, gelu, silu, swiglu (of FC3, of pairs, of halves), identity; sparse mixer",
     "支持 relu、gelu、silu、swiglu（FC3、成对或两半）和 identity；支持 sparse mixer"},
    {"com.microsoft.MoEGroupRouter", "T[1,4] f32[4]", "top_k", "1", "", ""},
    {"com.microsoft.MRotaryEmbedding", "T[1,1,2,4] i64[3,1,2] T[8,2] T[8,2]", "mrope_section",
     "1,1,0", "sections and interleaved", "支持分段和交错"},
    {"com.microsoft.QMoE", "T[1,16] T[1,2] u8[2,16,8] f32[2,16] - u8[2,16,8] f32[2,16]", NULL, NULL,
     "as MoE; 2, 4 and 8 bits, blocks or whole rows, zero points, router weights",
     "同 MoE；2、4、8 位，按块或整行，支持零点和路由权重"},
    {"com.microsoft.Pad", "T[2] i64[2]={0}", NULL, NULL, "", ""},
    {"com.microsoft.QAttention", "T[1,2,4] i8[4,12] f32[12] f32[] f32[]", "num_heads", "2",
     "past and present, padding; no rotation", "支持 past/present 和填充掩码；不支持旋转编码"},
    {"com.microsoft.QGemm", "T[2,2] f32[] T[] i8[2,2] f32[] i8[]", NULL, NULL,
     "to f32 or quantised again", "输出 f32 或再次量化"},
    {"com.microsoft.QLinearAveragePool", "T[1,2,4,4] f32[] T[] f32[] T[]", "kernel_shape", "2,2",
     "1 to 3 spatial dimensions, channels first and last", "1 到 3 个空间维，通道在前或在后"},
    {"com.microsoft.QLinearConcat", "f32[] T[] T[2,2] f32[] T[]", NULL, NULL, "", ""},
    {"com.microsoft.QLinearGlobalAveragePool", "T[1,2,4,4] f32[] T[] f32[] T[]", NULL, NULL, "",
     ""},
    {"com.microsoft.QLinearSoftmax", "T[2,2] f32[] T[] f32[] T[]", NULL, NULL, "", ""},
    {"com.microsoft.QLinearWhere", "bool[2] T[2] f32[] T[] T[2] f32[] T[] f32[] T[]", NULL, NULL,
     "", ""},
    {"com.microsoft.Tokenizer", NULL, NULL, NULL,
     "separators that are plain texts, and characters; patterns as for RegexFullMatch",
     "分隔符可以是普通文本，也可按字符切分；模式的处理同 RegexFullMatch"},
    {"com.microsoft.QLinearAdd", "T[2] f32[] T[] T[2] f32[] T[] f32[] T[]", NULL, NULL, "", ""},
    {"com.microsoft.QLinearMul", "T[2] f32[] T[] T[2] f32[] T[] f32[] T[]", NULL, NULL, "", ""},
    {"com.microsoft.QLinearSigmoid", "T[2] f32[] T[] f32[] T[]", NULL, NULL, "", ""},
    {"com.microsoft.QLinearLeakyRelu", "T[2] f32[] T[] f32[] T[]", NULL, NULL, "", ""},
};

static const probe *probe_of(const nnd_op *op)
{
    static const probe plain = {.note_en = "", .note_zh = ""};
    char name[128];
    snprintf(name, sizeof name, "%s%s%s", op->domain, op->domain[0] ? "." : "", op->name);
    for (size_t i = 0; i < NND_COUNT(probes); i++)
        if (strcmp(probes[i].name, name) == 0) return &probes[i];
    return &plain;
}

enum { MAX_INPUTS = 18, MAX_ATTRS = 4, MAX_LIST = 4 };
typedef struct question {
    nnd_tensor in[MAX_INPUTS];
    const nnd_tensor *list[MAX_INPUTS];
    int64_t elements[MAX_INPUTS][8];
    size_t count;
    bool asks; /* T occurs */
} question;

/* One input: "T[1,2]", "i64[1]={0}" or "-". */
static void read_input(question *q, const char *word, nnd_dtype dtype)
{
    char type[16];
    int64_t dims[NND_MAX_RANK];
    int rank = 0;
    size_t k = q->count++, size = strcspn(word, "[ ");
    assert_true(k < MAX_INPUTS && size < sizeof type);
    if (word[0] == '-') return;
    memcpy(type, word, size);
    type[size] = '\0';
    if (strcmp(type, "T") == 0)
        q->asks = true;
    else
        dtype = nnd_dtype_from_name(type);
    assert_int_not_equal(dtype, NND_DTYPE_INVALID);
    const char *p = word + size + 1;
    while (*p != ']') {
        char *end = NULL;
        dims[rank++] = strtoll(p, &end, 10);
        p = *end == ',' ? end + 1 : end;
    }
    assert_ok(nnd_tensor_init(&q->in[k], dtype, rank, dims, NULL));
    q->list[k] = &q->in[k];
    if (strncmp(p, "]={", 3) != 0) return;
    assert_true(nnd_tensor_bytes(&q->in[k]) <= sizeof q->elements[k]);
    q->in[k].data = q->elements[k];
    for (size_t i = 0; i < (size_t)nnd_tensor_count(&q->in[k]) && dtype < NND_STRING; i++)
        nnd_dtype_set(dtype, q->in[k].data, i, strtod(p + 3, NULL));
}

static void make_question(const nnd_op *op, const probe *p, nnd_dtype dtype, question *q)
{
    *q = (question){0};
    if (!p->inputs) {
        for (int i = 0; i < op->min_inputs; i++)
            read_input(q, "T[1,2,4,4]", dtype);
        return;
    }
    for (const char *w = p->inputs; *w; w += strcspn(w, " "), w += *w == ' ')
        read_input(q, w, dtype);
}

/* `value` ends with a space or with its text; a list goes to `ints`. */
static nnd_attr make_attr(const char *name, const char *value, int64_t ints[MAX_LIST])
{
    nnd_attr attr = {.name = name, .kind = NND_ATTR_INT};
    if (value[0] == '=') {
        attr.kind = NND_ATTR_STRING;
        attr.u.s.text = (char *)value + 1;
        attr.u.s.size = strcspn(value + 1, " ");
        return attr;
    }
    for (const char *p = value;; p++) {
        char *end = NULL;
        assert_true(attr.count < MAX_LIST);
        ints[attr.count++] = strtoll(p, &end, 10);
        p = end;
        if (*p != ',') break;
    }
    attr.u.i = ints[0];
    if (attr.count == 1) {
        attr.count = 0;
        return attr;
    }
    attr.kind = NND_ATTR_INTS;
    attr.u.ints = ints;
    return attr;
}

/* The attributes that the probe names, into `attrs`; their names into `names`. Returns how many. */
static size_t make_attrs(const probe *p, nnd_attr *attrs, char names[MAX_ATTRS][32],
                         int64_t ints[MAX_ATTRS][MAX_LIST])
{
    size_t count = 0;
    const char *value = p->value;
    for (const char *w = p->attr; w && *w; w += strcspn(w, " "), w += *w == ' ') {
        size_t size = strcspn(w, " ");
        assert_true(count < MAX_ATTRS && size < 32);
        memcpy(names[count], w, size);
        names[count][size] = '\0';
        attrs[count] = make_attr(names[count], value, ints[count]);
        if (strchr(value, ' ')) value = strchr(value, ' ') + 1;
        count++;
    }
    return count;
}

static nnd_status ask(const nnd_op *op, const probe *p, question *q)
{
    int64_t ints[MAX_ATTRS][MAX_LIST];
    nnd_tensor out[4] = {{0}};
    uint32_t ids[MAX_INPUTS] = {0};
    nnd_attr attrs[MAX_ATTRS] = {{0}};
    char names[MAX_ATTRS][32];
    nnd_graph_node node = {.name = op->name,
                           .domain = op->domain,
                           .type = op->name,
                           .opset = op->until ? op->until : 26,
                           .op = op,
                           .input_count = q->count,
                           .formal_count = q->count,
                           .inputs = ids,
                           .output_count = op->min_outputs ? (size_t)op->min_outputs : 1,
                           .outputs = ids};
    node.attrs = attrs;
    node.attr_count = make_attrs(p, attrs, names, ints);
    nnd_op_ctx c = {.node = &node,
                    .op = op,
                    .in_count = q->count,
                    .in = q->list,
                    .out_count = node.output_count,
                    .out = out};
    return op->infer(&c);
}

/* The types that an operator takes, as bits; 0 when it has no operand to ask about. */
/* Operators of numbers that answer only when attributes of several kinds fit each other. */
static bool needs_lists(const nnd_op *op)
{
    static const char *const names[] = {"Imputer", "LinearClassifier", "LinearRegressor",
                                        "SVMClassifier", "SVMRegressor"};
    for (size_t i = 0; i < NND_COUNT(names); i++)
        if (strcmp(op->name, names[i]) == 0) return true;
    return false;
}

static uint32_t types_of(const nnd_op *op)
{
    const probe *p = probe_of(op);
    if (needs_lists(op)) return 1u << NND_F32 | 1u << NND_F64 | 1u << NND_I64 | 1u << NND_I32;
    uint32_t types = 0;
    for (int d = NND_F64; d < NND_DTYPE_COUNT; d++) {
        question q;
        make_question(op, p, (nnd_dtype)d, &q);
        if (!q.asks) return 0;
        nnd_status status = ask(op, p, &q);
        if (status == NND_OK || status == NND_E_AGAIN) types |= 1u << d;
        /* Whatever else it is, a shape or an attribute was wrong and the answer says nothing: then
           the operator's row of the table above has to change. Types without whole bytes have no
           matrix for Trilu and EyeLike, which they call a wrong shape. */
        bool is_answer = status == NND_OK || status == NND_E_AGAIN || status == NND_E_TYPE ||
                         status == NND_E_UNSUPPORTED || status == NND_E_SHAPE;
        if (!is_answer) fail_msg("%s: %s", op->name, nnd_status_name(status));
    }
    nnd_error_clear();
    if (!types) fail_msg("%s takes no type at all as it is asked here", op->name);
    return types;
}

/* ---- the page ------------------------------------------------------------------------------ */

#define BIT(t) (1u << NND_##t)
static const uint32_t all_types = (1u << NND_DTYPE_COUNT) - (1u << NND_F64);
static const struct {
    const char *name;
    uint32_t types;
} groups[] = {
    {"float", NND_FLOATS},
    {"int", NND_SIGNED},
    {"uint", NND_UNSIGNED},
    {"float8", BIT(F8E4M3FN) | BIT(F8E4M3FNUZ) | BIT(F8E5M2) | BIT(F8E5M2FNUZ)},
    {"small", BIT(F4E2M1) | BIT(I4) | BIT(I2) | BIT(U4) | BIT(U2)},
    {"complex", BIT(C64) | BIT(C128)},
};

static void add_word(nnd_str *out, bool *first, const char *word)
{
    nnd_str_printf(out, "%s%s", *first ? "" : " ", word);
    *first = false;
}

static void add_types(nnd_str *out, uint32_t types, bool zh)
{
    const uint32_t small = BIT(F4E2M1) | BIT(I4) | BIT(I2) | BIT(U4) | BIT(U2);
    bool first = true;
    if (types == 0 || types == all_types) {
        nnd_str_add(out, zh ? "全部" : "all");
        return;
    }
    if (types == (all_types & ~small)) {
        nnd_str_add(out, zh ? "全部，small 除外" : "all but small");
        return;
    }
    for (size_t i = 0; i < NND_COUNT(groups); i++) {
        if ((types & groups[i].types) != groups[i].types) continue;
        add_word(out, &first, groups[i].name);
        types &= ~groups[i].types;
    }
    for (int d = NND_F64; d < NND_DTYPE_COUNT; d++)
        if (types >> d & 1u) add_word(out, &first, nnd_dtype_name((nnd_dtype)d));
}

/* A line of the page: an operator of the table, or one that is replaced by others of it. */
typedef struct line {
    const char *domain, *name;
    int since, until;
    uint32_t types;
    const char *note_en, *note_zh;
} line;

static line line_of(const nnd_op *op)
{
    const probe *p = probe_of(op);
    return (line){op->domain, op->name, op->since, op->until, types_of(op), p->note_en, p->note_zh};
}

/* Operators that are others: their notes, and their types where those of the other one are more. */
static const struct expanded {
    const char *name;
    uint32_t types;
    const char *note_en, *note_zh;
} expanded[] = {
    {"BiasSplitGelu", NND_FLOATS, "", ""},
    {"ComplexMul", NND_FLOATS, "pairs in the last dimension", "复数为最后一维的数对"},
    {"ComplexMulConj", NND_FLOATS, "pairs in the last dimension", "复数为最后一维的数对"},
    {"FusedMatMulActivation", NND_FLOATS, "Relu, Tanh, Softmax, … with their parameters",
     "Relu、Tanh、Softmax 等激活函数及其参数"},
    {"GemmFastGelu", NND_FLOATS, "", ""},
    {"GroupNorm", 0, "channels last and first, SiLU", "通道在后或在前，支持 SiLU"},
    {"Irfft", 0, "one-sided, the last dimensions", "单边谱，最后若干维"},
    {"MatMulInteger16", BIT(I16) | BIT(U16), "", ""},
    {"NhwcConv", 0, "as Conv, channels last, those of the weights too",
     "同 Conv，通道在后，权重亦然"},
    {"NhwcFusedConv", 0, "as Conv, channels last; activation and sum",
     "同 Conv，通道在后；支持激活函数和相加"},
    {"NhwcMaxPool", 0, "as MaxPool, channels last", "同 MaxPool，通道在后"},
    {"PackedAttention", NND_FLOATS, "", ""},
    {"QLinearConv", 0, "channels last too", "也支持通道在后"},
    {"QLinearReduceMean", NND_BYTES, "", ""},
    {"Rfft", 0, "one-sided, the last dimensions", "单边谱，最后若干维"},
};

static line line_of_expansion(const nnd_expansion_info *e)
{
    const bool fused_conv = strcmp(e->core, "FusedConv") == 0;
    const nnd_op *core = fused_conv ? nnd_op_find("", "Conv", 11)
                                    : nnd_op_find(e->core_domain, e->core, e->core_opset);
    assert_non_null(core);
    line l = {"com.microsoft", e->type, 1, 0, types_of(core), "", ""};
    for (size_t i = 0; i < NND_COUNT(expanded); i++) {
        if (strcmp(expanded[i].name, e->type) != 0) continue;
        if (expanded[i].types) l.types = expanded[i].types;
        l.note_en = expanded[i].note_en;
        l.note_zh = expanded[i].note_zh;
    }
    return l;
}

static int by_name(const void *a, const void *b)
{
    const line *x = a, *y = b;
    int order = strcmp(x->domain, y->domain);
    if (order == 0) order = strcmp(x->name, y->name);
    return order ? order : x->since - y->since;
}

static const char page_en[] =
    "# Operators\n\n"
    "What the built-in inference engine runs of ONNX. A model with anything else is refused when "
    "it is\n"
    "loaded, with one message that names every operator that is missing and its version. Functions "
    "that\n"
    "a model brings along are replaced by their bodies. `nndeploy inspect MODEL` tells for a "
    "model.\n\n"
    "The opset is the range of versions of the domain in which a model may use the operator. Types "
    "are\n"
    "those of the first operand, unless the notes say otherwise:\n"
    "**float** f16 bf16 f32 f64 · **int** i8 i16 i32 i64 · **uint** u8 u16 u32 u64 ·\n"
    "**float8** f8e4m3fn f8e4m3fnuz f8e5m2 f8e5m2fnuz · **small** f4e2m1 i2 i4 u2 u4 · "
    "**complex** c64 c128.\n"
    "The vector kernels are for f32; other types are computed by plain code.\n\n"
    "Made by `test_engine_operators_page --print en` from the engine's own table; the test\n"
    "`engine.operators_page` fails when this page is out of date.\n\n"
    "Gradient of `ai.onnx.preview.training` is replaced by nodes that compute the derivatives when "
    "a\n"
    "model is read. Operators that it goes through:\n";
static const char table_en[] =
    "\n| operator | domain | opset | types | notes |\n|---|---|---|---|---|\n";
static const char page_zh[] =
    "# 算子\n\n"
    "内置推理引擎所支持的 ONNX "
    "算子。模型里若有其他算子，加载时会被拒绝，并用一条消息列出缺少的每个算子及其版本。\n"
    "模型自带的函数会被展开。对某个具体的模型，可以用 `nndeploy inspect MODEL` 查看。\n\n"
    "opset "
    "一列是模型使用该算子时，其所在域的版本范围。类型指第一个操作数的类型，说明中另有注明的除外：\n"
    "**float** f16 bf16 f32 f64 · **int** i8 i16 i32 i64 · **uint** u8 u16 u32 u64 ·\n"
    "**float8** f8e4m3fn f8e4m3fnuz f8e5m2 f8e5m2fnuz · **small** f4e2m1 i2 i4 u2 u4 · "
    "**complex** c64 c128。\n"
    "向量化内核用于 f32；其他类型由普通代码计算。\n\n"
    "本页由 `test_engine_operators_page --print zh` 根据引擎自己的算子表生成；页面过期时，测试\n"
    "`engine.operators_page` 会失败。\n\n"
    "`ai.onnx.preview.training` 的 Gradient 在读取模型时由计算导数的节点代替。可以求导的算子：\n";
static const char table_zh[] = "\n| 算子 | 域 | opset | 类型 | 说明 |\n|---|---|---|---|---|\n";

/* Those that a Gradient goes through; each name once, whatever its versions. */
static void add_derivatives(nnd_str *out, const line *lines, size_t count)
{
    const char *last = "";
    const size_t begin = out->size;
    for (size_t i = 0; i < count; i++) {
        bool flat;
        const nnd_graph_node node = {.domain = lines[i].domain, .type = lines[i].name};
        if (strcmp(last, lines[i].name) == 0 || !nnd_gradient_find_rule(&node, &flat)) continue;
        last = lines[i].name;
        nnd_str_printf(out, "%s%s", out->size > begin ? ", " : "", last);
    }
    nnd_str_add(out, "\n");
}

static line *make_lines(size_t *count)
{
    line *lines = nnd_calloc(nnd_op_count() + nnd_expansion_count(), sizeof *lines);
    assert_non_null(lines);
    *count = 0;
    for (size_t i = 0; i < nnd_op_count(); i++)
        lines[(*count)++] = line_of(nnd_op_at(i));
    for (size_t i = 0; i < nnd_expansion_count(); i++) {
        const nnd_expansion_info e = nnd_expansion_at(i);
        if (!nnd_op_find("com.microsoft", e.type, 1)) lines[(*count)++] = line_of_expansion(&e);
    }
    qsort(lines, *count, sizeof *lines, by_name);
    return lines;
}

static void make_page(nnd_str *out, bool zh)
{
    size_t count;
    line *lines = make_lines(&count);
    nnd_str_add(out, zh ? page_zh : page_en);
    add_derivatives(out, lines, count);
    nnd_str_add(out, zh ? table_zh : table_en);
    for (size_t i = 0; i < count; i++) {
        const line *l = &lines[i];
        nnd_str_printf(out, "| %s | %s | %d", l->name, l->domain[0] ? l->domain : "ai.onnx",
                       l->since);
        if (l->until)
            nnd_str_printf(out, "–%d | ", l->until);
        else
            nnd_str_add(out, "+ | ");
        add_types(out, l->types, zh);
        nnd_str_printf(out, " | %s |\n", zh ? l->note_zh : l->note_en);
    }
    nnd_free(lines);
}

/* ---- tests --------------------------------------------------------------------------------- */

static void check_page(const char *language, bool zh)
{
    char path[1024];
    size_t size = 0;
    nnd_str page = {0};
    snprintf(path, sizeof path, "%s/docs/%s/operators.md", NND_SOURCE_DIR, language);
    char *file = read_file(path, &size);
    make_page(&page, zh);
    bool same = file && size == page.size && memcmp(file, page.data, size) == 0;
    nnd_port_free(file);
    nnd_str_free(&page);
    if (!same) fail_msg("%s is out of date: make it by --print %s", path, language);
}

static void test_english_page(void **state)
{
    (void)state;
    check_page("en", false);
}

static void test_chinese_page(void **state)
{
    (void)state;
    check_page("zh", true);
}

/* Every row of the probes belongs to an operator that is there, and has both notes or none. */
static void test_probes(void **state)
{
    (void)state;
    for (size_t i = 0; i < NND_COUNT(probes); i++) {
        bool found = false;
        for (size_t k = 0; k < nnd_op_count() && !found; k++)
            found = probe_of(nnd_op_at(k)) == &probes[i];
        if (!found) fail_msg("there is no operator %s", probes[i].name);
        assert_int_equal(probes[i].note_en[0] != 0, probes[i].note_zh[0] != 0);
    }
}

static void test_notes_of_expansions(void **state)
{
    (void)state;
    for (size_t i = 0; i < NND_COUNT(expanded); i++) {
        bool found = false;
        for (size_t k = 0; k < nnd_expansion_count() && !found; k++)
            found = strcmp(nnd_expansion_at(k).type, expanded[i].name) == 0;
        if (!found) fail_msg("there is no operator %s", expanded[i].name);
        assert_int_equal(expanded[i].note_en[0] != 0, expanded[i].note_zh[0] != 0);
    }
}

/* What everybody knows must come out of the questions. */
static void test_answers(void **state)
{
    (void)state;
    const nnd_op *conv = nnd_op_find("", "Conv", 11), *and = nnd_op_find("", "And", 7);
    const nnd_op *lstm = nnd_op_find("", "LSTM", 14), *transpose = nnd_op_find("", "Transpose", 13);
    assert_true(conv && and&&lstm && transpose);
    assert_int_equal(types_of(conv), NND_FLOATS);
    assert_int_equal(types_of(and), BIT(BOOL));
    assert_int_equal(types_of(lstm), BIT(F32));
    assert_int_equal(types_of(transpose) & BIT(STRING), BIT(STRING));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_english_page), cmocka_unit_test(test_chinese_page),
        cmocka_unit_test(test_probes),       cmocka_unit_test(test_notes_of_expansions),
        cmocka_unit_test(test_answers),
    };
    if (argc == 3 && strcmp(argv[1], "--print") == 0) {
        nnd_str page = {0};
        make_page(&page, strcmp(argv[2], "zh") == 0);
        fputs(page.data, stdout);
        nnd_str_free(&page);
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
