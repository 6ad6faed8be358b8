/* conformance: the test cases of the ONNX project on a backend. */
#include "cli/values.h"

#include "base/port_status.h"
#include "infer/difference.h"
#include "nndeploy/infer.h"
#include "nndeploy/sched.h"
#include "port/port.h"

#include <math.h>
#include <string.h>

enum { MAX_DEPTH = 8 };
static const double half_atol = 1e-3; /* f16 and bf16 carry three digits */

typedef enum outcome { PASSED, FAILED, UNSUPPORTED, SKIPPED, OUTCOMES } outcome;
static const char *const outcome_names[OUTCOMES] = {"passed", "failed", "unsupported", "skipped"};

typedef struct test_case {
    char *path;       /* of its folder */
    const char *name; /* within path */
    outcome outcome;
    char *reason; /* NULL = passed */
} test_case;

typedef struct job {
    cli *c;
    nnd_cancel *cancel;
    nnd_tolerance tolerance;
    NND_VEC(test_case) cases;
    size_t counts[OUTCOMES];
} job;

/* ---- finding cases ----------------------------------------------------------------------- */

/* Shell patterns of '*' and '?'; after a mismatch the last star takes one character more. */
static bool matches(const char *pattern, const char *text)
{
    const char *star = NULL, *resume = NULL;
    while (*text) {
        if (*pattern == '*') {
            star = pattern++;
            resume = text;
        } else if (*pattern == '?' || *pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == 0;
}

static bool is_skipped(const cli *c, const char *name)
{
    for (size_t i = 0; i < cli_count(c, "skip"); i++)
        if (matches(cli_nth(c, "skip", i), name)) return true;
    return false;
}

static nnd_status add_case(job *j, const char *path)
{
    const char *slash = strrchr(path, '/'), *filter = cli_text(j->c, "filter", "*");
    test_case t = {.path = nnd_strdup(path)};
    if (!t.path) return cli_no_memory();
    t.name = slash ? t.path + (slash + 1 - path) : t.path;
    if (matches(filter, t.name) && nnd_vec_push(&j->cases, t)) return NND_OK;
    bool wanted = matches(filter, t.name);
    nnd_free(t.path);
    return wanted ? cli_no_memory() : NND_OK;
}

static nnd_status find_cases(job *j, const char *folder, int depth)
{
    nnd_port_dir_list list;
    char *model = nnd_strf("%s/model.onnx", folder);
    if (!model) return cli_no_memory();
    bool is_case = nnd_port_file_exists(model);
    nnd_free(model);
    if (is_case) return add_case(j, folder);
    NND_TRY(
        nnd_error_from_port(nnd_port_dir_read(folder, &list), "cannot read the folder", folder));
    nnd_status status = NND_OK;
    for (size_t i = 0; i < list.count && status == NND_OK && depth < MAX_DEPTH; i++) {
        char *path = nnd_strf("%s/%s", folder, list.names[i]);
        if (!path) status = cli_no_memory();
        if (path && nnd_port_dir_exists(path)) status = find_cases(j, path, depth + 1);
        nnd_free(path);
    }
    nnd_port_dir_list_free(&list);
    return status;
}

/* ---- running one ------------------------------------------------------------------------- */

/* NND_E_NOT_FOUND without a record when there is no such file. */
static nnd_status read_value(const char *set, const char *what, size_t index,
                             const nnd_model_port *port, nnd_value **out)
{
    char *path = nnd_strf("%s/%s_%zu.pb", set, what, index), *data = NULL;
    size_t size = 0;
    if (!path) return cli_no_memory();
    nnd_status status = NND_E_NOT_FOUND;
    if (nnd_port_file_exists(path)) {
        status = cli_read_file(path, &data, &size);
        if (status == NND_OK) status = nnd_value_from_onnx(data, size, port, out);
        if (status != NND_OK) nnd_error_set_place(path, 0, 0);
    }
    nnd_port_free(data);
    nnd_free(path);
    return status;
}

static nnd_status bind_inputs(const nnd_model *model, nnd_request *request, const char *set)
{
    for (size_t i = 0; i < nnd_model_input_count(model); i++) {
        const nnd_model_port *port = nnd_model_input(model, i);
        nnd_value *value = NULL;
        nnd_status status = read_value(set, "input", i, port, &value);
        if (status == NND_E_NOT_FOUND) continue;
        if (status == NND_OK) status = nnd_request_bind_input(request, port->name, value);
        nnd_value_unref(value);
        NND_TRY(status);
    }
    return NND_OK;
}

static bool agrees(const job *j, const nnd_model_port *port, const nnd_value *got,
                   const nnd_value *want, nnd_str *why)
{
    nnd_difference d;
    nnd_tolerance tolerance = j->tolerance;
    if (port->dtype == NND_F16 || port->dtype == NND_BF16)
        tolerance.atol = fmax(tolerance.atol, half_atol);
    nnd_difference_of(got, want, tolerance, &d);
    if (nnd_difference_is_none(&d)) return true;
    if (d.comparable)
        nnd_str_printf(why, "output '%s': %llu of %llu elements differ; at %lld: %g, expected %g",
                       port->name, (unsigned long long)d.differing, (unsigned long long)d.count,
                       (long long)d.at, d.a, d.b);
    else
        nnd_str_printf(why, "output '%s': got and expected are %s", port->name, d.reason);
    return false;
}

/* *agree only says something when the status is NND_OK. */
static nnd_status check_outputs(const job *j, const nnd_model *model, nnd_request *request,
                                const char *set, nnd_str *why, bool *agree)
{
    *agree = true;
    for (size_t i = 0; i < nnd_model_output_count(model) && *agree; i++) {
        const nnd_model_port *port = nnd_model_output(model, i);
        nnd_value *want = NULL, *got = NULL;
        nnd_status status = read_value(set, "output", i, port, &want);
        if (status == NND_E_NOT_FOUND) continue;
        if (status == NND_OK) status = nnd_request_output(request, port->name, &got);
        if (status == NND_OK) *agree = agrees(j, port, got, want, why);
        nnd_value_unref(got);
        nnd_value_unref(want);
        NND_TRY(status);
    }
    return NND_OK;
}

static nnd_status run_set(const job *j, nnd_model *model, const char *set, nnd_str *why,
                          bool *agree)
{
    nnd_request *request = NULL;
    nnd_status status = nnd_request_create(model, NULL, &request);
    if (status == NND_OK) status = bind_inputs(model, request, set);
    if (status == NND_OK) status = nnd_request_run(request, j->cancel);
    if (status == NND_OK) status = check_outputs(j, model, request, set, why, agree);
    nnd_request_destroy(request);
    return status;
}

static nnd_status run_sets(const job *j, nnd_model *model, test_case *t, nnd_str *why)
{
    bool agree = true, exists = true;
    size_t sets = 0;
    while (agree) {
        char *set = nnd_strf("%s/test_data_set_%zu", t->path, sets);
        if (!set) return cli_no_memory();
        exists = nnd_port_dir_exists(set);
        nnd_status status = exists ? run_set(j, model, set, why, &agree) : NND_OK;
        nnd_free(set);
        NND_TRY(status);
        if (!exists) break;
        sets++;
    }
    t->outcome = !agree ? FAILED : sets ? PASSED : SKIPPED;
    if (t->outcome == SKIPPED) nnd_str_add(why, "there is no test_data_set_0");
    return NND_OK;
}

static nnd_status load_model(const job *j, const test_case *t, nnd_model **out)
{
    nnd_model_options options = NND_MODEL_OPTIONS_INIT;
    char *path = nnd_strf("%s/model.onnx", t->path);
    if (!path) return cli_no_memory();
    options.backend = cli_text(j->c, "backend", NULL);
    options.threads = (int)cli_int(j->c, "threads", 0);
    options.cancel = j->cancel;
    nnd_status status = nnd_model_load(path, &options, out);
    nnd_free(path);
    return status;
}

/* What ends the whole command instead of one case: there is no such backend, it is not installed,
   Ctrl-C. */
static bool is_fatal(nnd_status status)
{
    return status == NND_E_OUT_OF_MEMORY || status == NND_E_CANCELLED || status == NND_E_MISSING ||
           status == NND_E_NOT_FOUND;
}

static nnd_status run_case(job *j, test_case *t)
{
    nnd_str why = {0};
    nnd_model *model = NULL;
    nnd_status status = NND_OK;
    if (is_skipped(j->c, t->name)) {
        t->outcome = SKIPPED;
        nnd_str_add(&why, "asked for by --skip");
    } else {
        status = load_model(j, t, &model);
        if (status == NND_OK) status = run_sets(j, model, t, &why);
    }
    nnd_model_unref(model);
    if (status != NND_OK && !is_fatal(status)) {
        nnd_error *e = nnd_error_take();
        char *text = e ? nnd_error_to_string(e) : NULL;
        t->outcome = status == NND_E_UNSUPPORTED ? UNSUPPORTED : FAILED;
        nnd_str_add(&why, text ? text : nnd_status_name(status));
        nnd_free(text);
        nnd_error_destroy(e);
        status = NND_OK;
    }
    if (status == NND_OK && why.size) {
        t->reason = nnd_strdup(why.data);
        if (!t->reason) status = cli_no_memory();
    }
    nnd_str_free(&why);
    j->counts[t->outcome] += status == NND_OK;
    return status;
}

/* ---- results ----------------------------------------------------------------------------- */

static int finish_json(const job *j, int code)
{
    nnd_json_writer *w = cli_json_begin(j->c, "conformance");
    if (!w) return cli_fail(j->c, NND_E_OUT_OF_MEMORY, NULL);
    cli_json_text(w, "backend", cli_text(j->c, "backend", "auto"));
    cli_json_number(w, "rtol", j->tolerance.rtol);
    cli_json_number(w, "atol", j->tolerance.atol);
    for (int o = 0; o < OUTCOMES; o++)
        cli_json_int(w, outcome_names[o], (int64_t)j->counts[o]);
    nnd_json_key(w, "cases");
    nnd_json_begin_array(w);
    for (size_t i = 0; i < j->cases.count; i++) {
        const test_case *t = &j->cases.items[i];
        nnd_json_begin_object(w);
        nnd_json_set_inline(w, true);
        cli_json_text(w, "name", t->name);
        cli_json_text(w, "outcome", outcome_names[t->outcome]);
        if (t->reason) cli_json_text(w, "reason", t->reason);
        nnd_json_end_object(w);
        nnd_json_set_inline(w, false);
    }
    nnd_json_end_array(w);
    return cli_json_end(j->c, code);
}

/* The reason in one line: what is listed below each other in it moves up. */
static void print_case(const test_case *t)
{
    printf("  %s: ", t->name);
    for (const char *p = t->reason; *p; p++) {
        if (*p == '\n' && p[1] == ' ') continue;
        putchar(*p == '\n' ? ' ' : *p);
    }
    putchar('\n');
}

static void finish_text(const job *j)
{
    cli_table table = {.columns = 2, .right = 2u};
    for (int o = FAILED; o < OUTCOMES; o++) {
        if (j->counts[o]) printf("%s:\n", outcome_names[o]);
        for (size_t i = 0; i < j->cases.count; i++)
            if (j->cases.items[i].outcome == (outcome)o) print_case(&j->cases.items[i]);
        if (j->counts[o]) putchar('\n');
    }
    for (int o = 0; o < OUTCOMES; o++) {
        cli_table_add(&table, outcome_names[o]);
        cli_table_addf(&table, "%zu", j->counts[o]);
    }
    cli_table_add(&table, "cases");
    cli_table_addf(&table, "%zu", j->cases.count);
    cli_table_print(&table, "");
    size_t tried = j->cases.count - j->counts[SKIPPED];
    if (tried) printf("%.1f %% passed\n", 100.0 * (double)j->counts[PASSED] / (double)tried);
}

static int conformance(job *j)
{
    cli *c = j->c;
    nnd_registry *registry = NULL;
    const char *folder = cli_operand(c, 0);
    j->tolerance = (nnd_tolerance){cli_number(c, "rtol", 1e-3), cli_number(c, "atol", 1e-6)};
    nnd_status status = cli_registry(c, &registry);
    if (status == NND_OK) status = cli_apply_threads(c);
    if (status == NND_OK) status = find_cases(j, folder, 0);
    if (status == NND_OK && !j->cases.count)
        status =
            nnd_error_set(NND_E_NOT_FOUND, "there is no case with that name below '%s'", folder);
    if (status == NND_OK) status = cli_watch_begin(c, &j->cancel);
    for (size_t i = 0; i < j->cases.count && status == NND_OK; i++) {
        cli_watch_progress("running", (double)i, (double)j->cases.count);
        status = nnd_cancel_check(j->cancel);
        if (status == NND_OK) status = run_case(j, &j->cases.items[i]);
    }
    cli_watch_end();
    if (status != NND_OK) return cli_fail_work(c, status);
    int code = j->counts[FAILED] ? CLI_FAILED : CLI_OK;
    if (c->json) return finish_json(j, code);
    finish_text(j);
    return code;
}

int cli_run_conformance(cli *c)
{
    job j = {.c = c};
    int code = conformance(&j);
    cli_watch_end();
    for (size_t i = 0; i < j.cases.count; i++) {
        nnd_free(j.cases.items[i].path);
        nnd_free(j.cases.items[i].reason);
    }
    nnd_vec_free(&j.cases);
    return code;
}
