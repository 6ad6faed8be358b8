/*
 * The conformance suite: the same cases on every backend that is there.
 *
 *     conformance                  a table, exit 1 when a case failed
 *     conformance --markdown[=zh]  the page docs/en/backends.md (docs/zh/backends.md)
 *     conformance --backend NAME   one backend only
 *     conformance --case NAME      one case or model only
 *     conformance --plugin FILE    also the backends of this plug-in
 */
#include "conformance.h"
#include "foreign_code.h"
#include "nndeploy/nodes.h"

#include <stdlib.h>

enum { MAX_BACKENDS = 16, MAX_ROWS = 128 };

typedef struct row {
    const char *name, *title_en, *title_zh;
    bool is_model;
    verdict verdicts[MAX_BACKENDS];
    char *details[MAX_BACKENDS];
} row;

typedef struct suite {
    const char *program, *only_backend, *only_case;
    size_t backend_count, row_count;
    nnd_backend_status backends[MAX_BACKENDS];
    const char *plugins[MAX_BACKENDS]; /* the file that brought it; NULL = ours */
    bool reads_onnx[MAX_BACKENDS];     /* else .param files */
    row rows[MAX_ROWS];
    size_t totals[5];
    model_names models; /* rows borrow the names */
} suite;

static const char *const verdict_words[] = {"passes", "refuses", "FAILS", "-", "differs"};

/* Differences that are known, understood and named in the manual. They are shown, they do not fail
   the suite, and one that has gone is reported, so that its line goes too. */
static const struct known {
    const char *backend, *row, *why, *why_zh;
} known_differences[] = {
    {"openvino", "mobilenet_v2_qdq",
     "OpenVINO requantises otherwise: up to 6 quantisation steps, the best class is equal; its own "
     "Python interface gives the same",
     "OpenVINO 的重量化方式不同:至多相差 6 个量化步长,最佳类别相同;其 Python 接口结果一致"},
    {"ncnn", "cancelling", "a run stops before an output, not within one",
     "运行在输出之前停止,不在输出之中停止"},
    {"opencv-dnn", "no copies",
     "the library copies inputs and computes every result in the same memory: one copy of each "
     "input and output, counted",
     "库会拷贝输入,并且每次都把结果写入同一块内存:每个输入输出各拷贝一次,计入统计"},
};

static const struct known *known_difference(const char *backend, const char *row)
{
    for (size_t i = 0; i < NND_COUNT(known_differences); i++)
        if (strcmp(known_differences[i].backend, backend) == 0 &&
            strcmp(known_differences[i].row, row) == 0)
            return &known_differences[i];
    return NULL;
}

/* ---- what cases use ------------------------------------------------------------------------ */

verdict trial_failed(trial *t, const char *file, int line, const char *what)
{
    const char *slash = strrchr(file, '/');
    nnd_error *error = nnd_error_take();
    snprintf(t->detail, sizeof t->detail, "%s:%d: %s%s%s", slash ? slash + 1 : file, line, what,
             error ? ": " : "", error ? nnd_error_message(error) : "");
    nnd_error_destroy(error);
    return FAILED;
}

verdict trial_not_loaded(trial *t, nnd_status status)
{
    nnd_error *error = nnd_error_take();
    snprintf(t->detail, sizeof t->detail, "%s: %s", nnd_status_name(status),
             error ? nnd_error_message(error) : "no error record");
    bool says_why = error && nnd_error_message(error)[0];
    nnd_error_destroy(error);
    return status == NND_E_UNSUPPORTED && says_why ? REFUSED : FAILED;
}

verdict trial_not_run(trial *t, nnd_status status)
{
    return status == NND_E_UNSUPPORTED ? trial_not_loaded(t, status)
                                       : trial_failed(t, __FILE__, __LINE__, "the run");
}

/* ---- running ------------------------------------------------------------------------------- */

static bool has_word(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = list; *p; p += strcspn(p, " "), p += strspn(p, " "))
        if (strncmp(p, word, n) == 0 && (p[n] == ' ' || p[n] == '\0')) return true;
    return false;
}

/* The backends from number `first` on, which `plugin` has brought. */
static void add_backends(suite *s, size_t first, const char *plugin)
{
    const nnd_backend *backend;
    for (size_t i = first; (backend = nnd_backend_at(i)) != NULL && s->backend_count < MAX_BACKENDS;
         i++) {
        if (s->only_backend && strcmp(backend->name, s->only_backend) != 0) continue;
        s->plugins[s->backend_count] = plugin;
        s->reads_onnx[s->backend_count] = has_word(backend->formats, "onnx");
        nnd_backend_status *status = &s->backends[s->backend_count++];
        *status = (nnd_backend_status){.size = sizeof *status};
        backend->probe(status);
        status->name = backend->name;
    }
}

static row *add_row(suite *s, const char *name)
{
    if (s->row_count == MAX_ROWS || (s->only_case && strcmp(name, s->only_case) != 0)) return NULL;
    row *r = &s->rows[s->row_count++];
    r->name = r->title_en = r->title_zh = name;
    return r;
}

static bool find_backends(suite *s, const char *plugin)
{
    size_t own = nnd_backend_count();
    add_backends(s, 0, NULL);
    if (!plugin) return true;
    if (nnd_nodes_load_plugin(nnd_nodes_registry(), plugin) == NND_OK) {
        add_backends(s, own, plugin);
        return true;
    }
    nnd_error *error = nnd_error_take();
    fprintf(stderr, "%s\n", error ? nnd_error_message(error) : "the plug-in cannot be loaded");
    nnd_error_destroy(error);
    return false;
}

static verdict run_edge(const conformance_case *edge, trial *t)
{
    verdict (*run)(trial *) = strcmp(t->format, "onnx") == 0 ? edge->run : edge->run_param;
    return run ? run(t) : SKIPPED;
}

static void run_row(suite *s, row *r, const conformance_case *edge)
{
    for (size_t b = 0; b < s->backend_count; b++) {
        trial t = {s->backends[b].name, s->reads_onnx[b] ? "onnx" : "param", s->plugins[b],
                   s->program, ""};
        nnd_error_clear();
        r->verdicts[b] = SKIPPED;
        if (s->backends[b].available || (edge && edge->without_library))
            r->verdicts[b] = edge ? run_edge(edge, &t) : conformance_run_model(&t, r->name);
        const struct known *known = known_difference(t.backend, r->name);
        if (known && r->verdicts[b] == FAILED) {
            r->verdicts[b] = DIFFERS;
            size_t n = strlen(t.detail);
            snprintf(t.detail + n, sizeof t.detail - n, " (known: %s)", known->why);
        } else if (known && r->verdicts[b] == PASSED) {
            snprintf(t.detail, sizeof t.detail, "a known difference has gone: take its line out");
        }
        s->totals[r->verdicts[b]]++;
        r->details[b] = t.detail[0] ? nnd_strdup(t.detail) : NULL;
    }
}

/* ---- plain table --------------------------------------------------------------------------- */

static void print_row(const suite *s, const row *r)
{
    printf("%-28s", r->name);
    for (size_t b = 0; b < s->backend_count; b++)
        printf(" %-12s", verdict_words[r->verdicts[b]]);
    printf("\n");
    for (size_t b = 0; b < s->backend_count; b++)
        if (r->details[b] && r->verdicts[b] != SKIPPED)
            printf("    %s: %s\n", s->backends[b].name, r->details[b]);
    fflush(stdout);
}

static void print_head(const suite *s)
{
    for (size_t b = 0; b < s->backend_count; b++) {
        const nnd_backend_status *status = &s->backends[b];
        if (!status->available)
            printf("%s: skipped, %s\n", status->name, status->reason);
        else
            printf("%s %s: %s%s\n", status->name, status->version, status->devices,
                   s->reads_onnx[b] ? "" : "; reads .param files");
    }
    printf("%-28s", "");
    for (size_t b = 0; b < s->backend_count; b++)
        printf(" %-12s", s->backends[b].name);
    printf("\n");
}

/* ---- the page ------------------------------------------------------------------------------ */

static const char *text_of(bool zh, const char *english, const char *chinese)
{
    return zh ? chinese : english;
}

static const char *const planned[] = {"tensorrt", "mnn", "coreml", "rknn", "ascend"};

static void page_status(const suite *s, bool zh)
{
    printf("| %s | %s | %s |\n|---|---|---|\n", text_of(zh, "backend", "后端"),
           text_of(zh, "version", "版本"), text_of(zh, "status", "状态"));
    for (size_t b = 0; b < s->backend_count; b++) {
        const nnd_backend_status *status = &s->backends[b];
        size_t count[5] = {0};
        for (size_t i = 0; i < s->row_count; i++)
            count[s->rows[i].verdicts[b]]++;
        const char *isa = strchr(status->version, ' ');
        printf("| %s | %.*s | ", status->name,
               isa ? (int)(isa - status->version) : (int)strlen(status->version), status->version);
        if (!status->available)
            printf("%s |\n", text_of(zh, "built but not run", "已编译,未运行"));
        else if (count[FAILED])
            printf(text_of(zh, "fails %zu of %zu cases |\n", "%zu / %zu 项失败 |\n"), count[FAILED],
                   s->row_count);
        else
            printf(text_of(zh,
                           "passes the suite here: %zu cases pass, %zu are refused, %zu differ as "
                           "known |\n",
                           "在此通过本套件:%zu 项通过,%zu 项拒绝,%zu 项有已知差异 |\n"),
                   count[PASSED], count[REFUSED], count[DIFFERS]);
    }
    for (size_t i = 0; i < NND_COUNT(planned); i++)
        printf("| %s | – | %s |\n", planned[i], text_of(zh, "planned", "计划中"));
}

static void page_table(const suite *s, bool zh, bool models)
{
    static const char *const words_zh[] = {"通过", "拒绝", "失败", "–", "有差异"};
    static const char *const words_en[] = {"passes", "refuses", "fails", "–", "differs"};
    printf("\n| %s |", models ? text_of(zh, "model", "模型") : text_of(zh, "case", "项目"));
    for (size_t b = 0; b < s->backend_count; b++)
        printf(" %s |", s->backends[b].name);
    printf("\n|---|");
    for (size_t b = 0; b < s->backend_count; b++)
        printf("---|");
    printf("\n");
    for (size_t i = 0; i < s->row_count; i++) {
        const row *r = &s->rows[i];
        if (r->is_model != models) continue;
        printf("| %s |", zh ? r->title_zh : r->title_en);
        for (size_t b = 0; b < s->backend_count; b++)
            printf(" %s |", (zh ? words_zh : words_en)[r->verdicts[b]]);
        printf("\n");
    }
}

static void page_known(const suite *s, bool zh)
{
    for (size_t i = 0; i < NND_COUNT(known_differences); i++) {
        const struct known *k = &known_differences[i];
        for (size_t r = 0; r < s->row_count; r++)
            if (strcmp(s->rows[r].name, k->row) == 0)
                printf("* %s, %s: %s%s\n", k->backend,
                       text_of(zh, s->rows[r].title_en, s->rows[r].title_zh),
                       text_of(zh, k->why, k->why_zh), text_of(zh, ".", "。"));
    }
}

static void print_page(const suite *s, bool zh)
{
    printf("# %s\n\n", text_of(zh, "Inference backends", "推理后端"));
    printf(
        "%s\n\n",
        text_of(zh,
                "One inference API over several engines. `nndeploy backends` says what was found "
                "on a machine, or why not. This page is the output of the conformance suite "
                "(`conformance --markdown`): the same cases on every backend, outputs within "
                "|a−b| ≤ 1e-4 + 1e-3·|b| of the reference, two quantisation steps more for QDQ "
                "models.",
                "一套推理接口,多个推理引擎。`nndeploy backends` 列出本机找到的后端,或找不到的原因。"
                "本页由一致性套件(`conformance --markdown=zh`)生成:每个后端运行同样的项目,"
                "输出与参考值之差满足 |a−b| ≤ 1e-4 + 1e-3·|b|,QDQ 模型另加两个量化步长。"));
    page_status(s, zh);
    printf("\n%s\n",
           text_of(zh,
                   "*refuses*: the backend cannot run it and says why when the model is loaded; "
                   "*differs*: a known difference, explained below the tables; *–*: not run.",
                   "*拒绝*:后端无法运行,并在载入模型时说明原因;*有差异*:已知差异,见表下说明;*–*:"
                   "未运行。"));
    printf("\n## %s\n", text_of(zh, "Models", "模型"));
    page_table(s, zh, true);
    printf("\n## %s\n", text_of(zh, "Behaviour", "行为"));
    page_table(s, zh, false);
    printf("\n");
    page_known(s, zh);
    conformance_manual_auto(zh);
    conformance_manual_builtin(zh);
    printf(
        "\n## onnxruntime\n\n%s\n\n",
        text_of(zh,
                "The library is loaded at run time: `NNDEPLOY_ONNXRUNTIME` names its file, else "
                "the system's loader is asked. Version 1.14 or newer. "
                "`export NNDEPLOY_ONNXRUNTIME=$(scripts/get-onnxruntime.sh)` fetches it with pip. "
                "Options (`config`, separated by blanks):",
                "该库在运行时载入:`NNDEPLOY_ONNXRUNTIME` 指定文件,否则由系统加载器查找。需要 1.14 "
                "或更新版本。`export NNDEPLOY_ONNXRUNTIME=$(scripts/get-onnxruntime.sh)` 用 pip "
                "获取。选项(`config`,以空格分隔):"));
    printf("| %s | %s |\n|---|---|\n", text_of(zh, "option", "选项"),
           text_of(zh, "meaning", "含义"));
    printf("| `ep=cpu\\|cuda\\|tensorrt\\|coreml\\|nnapi\\|qnn` | %s |\n",
           text_of(zh, "execution provider; one that the library lacks is refused with the list",
                   "执行提供者;库中没有的会被拒绝,并列出已有的"));
    printf("| `ep-options=\"key:value;key:value\"` | %s |\n",
           text_of(zh, "handed to the provider as they are", "原样交给执行提供者"));
    printf("| `optimize=none\\|basic\\|extended\\|all` | %s |\n",
           text_of(zh, "graph optimisation, default all", "图优化级别,默认 all"));
    printf("| `arena=on\\|off` | %s |\n",
           text_of(zh, "keep freed memory for the next run, default on",
                   "保留释放的内存供下次运行,默认 on"));
    printf("| `allocator=library\\|nndeploy` | %s |\n",
           text_of(zh, "whose memory activations and results lie in, default library",
                   "激活与结果使用谁的内存,默认 library"));
    printf("| `spin=on\\|off` | %s |\n",
           text_of(zh, "idle threads of the pool spin before they sleep, default on",
                   "线程池空闲时先自旋再休眠,默认 on"));
    printf(
        "\n%s\n",
        text_of(
            zh,
            "Threads belong to the model (`nnd_model_options.threads`) and count against the "
            "process's budget while it is loaded. The library opens no files: external data "
            "goes through `open_file` (before 1.18 it reads the files beside the model's path "
            "itself). A run stops between two operators.",
            "线程属于模型(`nnd_model_options.threads`),模型载入期间计入进程的线程预算。库本身不打开"
            "文件:外部数据经由 `open_file`(1.18 "
            "之前由库读取模型旁边的文件)。运行在两个算子之间停止。"));
    conformance_manual_openvino(zh);
    conformance_manual_opencv_dnn(zh);
    conformance_manual_ncnn(zh);
}

/* ---- main ---------------------------------------------------------------------------------- */

static void run_all(suite *s, bool loud)
{
    s->models = conformance_models();
    for (size_t i = 0; i < s->models.count; i++) {
        row *r = add_row(s, s->models.names[i]);
        if (!r) continue;
        r->is_model = true;
        run_row(s, r, NULL);
        if (loud) print_row(s, r);
    }
    for (size_t i = 0; i < conformance_edge_count; i++) {
        row *r = add_row(s, conformance_edges[i].name);
        if (!r) continue;
        r->title_en = conformance_edges[i].title_en;
        r->title_zh = conformance_edges[i].title_zh;
        run_row(s, r, &conformance_edges[i]);
        if (loud) print_row(s, r);
    }
}

int main(int argc, char **argv)
{
    static suite s;
    bool markdown = false, zh = false;
    const char *plugin = NULL;
    s.program = argv[0];
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (strcmp(argv[i], "--markdown") == 0) {
            markdown = true;
        } else if (strcmp(argv[i], "--markdown=zh") == 0) {
            markdown = zh = true;
        } else if (strcmp(argv[i], "--backend") == 0 && more) {
            s.only_backend = argv[++i];
        } else if (strcmp(argv[i], "--case") == 0 && more) {
            s.only_case = argv[++i];
        } else if (strcmp(argv[i], "--plugin") == 0 && more) {
            plugin = argv[++i];
        } else if (strcmp(argv[i], "--probe") == 0 && more) {
            return conformance_probe_fails(argv[i + 1]);
        } else {
            fprintf(stderr, "usage: conformance [--markdown[=zh]] [--backend NAME] [--case NAME] "
                            "[--plugin FILE]\n");
            return 2;
        }
    }
    if (!find_backends(&s, plugin)) return 1;
    if (!markdown) print_head(&s);
    run_all(&s, !markdown);
    if (markdown) print_page(&s, zh);
    if (!markdown) {
        printf("[  PASSED  ] %zu test(s).\n", s.totals[PASSED] + s.totals[REFUSED]);
        if (s.totals[SKIPPED] + s.totals[DIFFERS])
            printf("[  SKIPPED ] %zu test(s).\n", s.totals[SKIPPED] + s.totals[DIFFERS]);
        if (s.totals[FAILED]) printf("[  FAILED  ] %zu test(s).\n", s.totals[FAILED]);
        printf(
            "%zu passed, %zu refused with a reason, %zu failed, %zu differ as known, %zu skipped\n",
            s.totals[PASSED], s.totals[REFUSED], s.totals[FAILED], s.totals[DIFFERS],
            s.totals[SKIPPED]);
    }
    for (size_t i = 0; i < s.row_count; i++)
        for (size_t b = 0; b < s.backend_count; b++)
            nnd_free(s.rows[i].details[b]);
    conformance_models_free(&s.models);
    return s.totals[FAILED] ? 1 : 0;
}
