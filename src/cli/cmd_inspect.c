/* inspect: what a model is made of. */
#include "cli/model_inputs.h"

#include <string.h>

/* shapes: of the inputs, NULL = as declared. */
static nnd_status inspect_doc(const nnd_model *model, const nnd_tensor *shapes, nnd_json_doc **out)
{
    nnd_json_writer *w = NULL;
    NND_TRY(nnd_json_writer_create(0, &w));
    nnd_status status =
        shapes ? nnd_model_inspect_at(model, shapes, w) : nnd_model_inspect(model, w);
    if (status == NND_OK) return cli_json_reread(w, out);
    nnd_json_writer_destroy(w);
    return status;
}

/* "f32[1,3,224,224]", as it was found for the given shapes; false when that is as declared. */
static bool planned_text(const nnd_json *port, char *text, size_t size)
{
    nnd_str s = {0};
    const nnd_json *shape = nnd_json_get(port, "shape");
    if (nnd_json_get_type(shape) != NND_JSON_ARRAY) return false;
    nnd_str_printf(&s, "%s[", nnd_json_string(nnd_json_get(port, "dtype"), "?"));
    for (size_t i = 0; i < nnd_json_count(shape); i++) {
        const nnd_json *dim = nnd_json_at(shape, i);
        if (i) nnd_str_add_char(&s, ',');
        if (nnd_json_get_type(dim) == NND_JSON_STRING)
            nnd_str_add(&s, nnd_json_string(dim, "?"));
        else
            nnd_str_printf(&s, "%.0f", nnd_json_number(dim, 0));
    }
    snprintf(text, size, "%s]", s.data ? s.data : "");
    nnd_str_free(&s);
    return true;
}

/* planned: the ports of that side for given shapes, NULL = as declared. */
static void print_ports(const char *title, const nnd_model *model, bool outputs,
                        const nnd_json *planned)
{
    cli_table table = {.columns = 2};
    size_t count = outputs ? nnd_model_output_count(model) : nnd_model_input_count(model);
    char text[256];
    printf("\n%s:\n", title);
    for (size_t i = 0; i < count; i++) {
        const nnd_model_port *port =
            outputs ? nnd_model_output(model, i) : nnd_model_input(model, i);
        cli_table_add(&table, port->name);
        if (port->kind != NND_PORT_TENSOR ||
            !planned_text(nnd_json_at(planned, i), text, sizeof text))
            (void)cli_model_port_text(port, text, sizeof text);
        cli_table_addf(&table, "%s%s", text, port->optional ? " (optional)" : "");
    }
    cli_table_print(&table, "  ");
}

static void print_operators(const nnd_json *operators)
{
    cli_table table = {.columns = 2, .right = 2u};
    if (!nnd_json_count(operators)) return;
    puts("\nOperators:");
    for (size_t i = 0; i < nnd_json_count(operators); i++) {
        cli_table_add(&table, nnd_json_key_at(operators, i));
        cli_table_addf(&table, "%.0f", nnd_json_number(nnd_json_at(operators, i), 0));
    }
    cli_table_print(&table, "  ");
}

static void print_passes(const nnd_json *passes)
{
    cli_table table = {.columns = 2};
    if (!nnd_json_count(passes)) return;
    puts("\nPasses:");
    for (size_t i = 0; i < nnd_json_count(passes); i++) {
        const nnd_json *pass = nnd_json_at(passes, i);
        double changes = nnd_json_number(nnd_json_get(pass, "changes"), 0);
        cli_table_add(&table, nnd_json_string(nnd_json_get(pass, "name"), ""));
        if (nnd_json_bool(nnd_json_get(pass, "on"), true))
            cli_table_addf(&table, "%.0f change%s", changes, changes == 1 ? "" : "s");
        else
            cli_table_add(&table, "off");
    }
    cli_table_print(&table, "  ");
}

/* "Conv -4, BiasGelu +4" */
static void add_kinds(cli_table *table, const nnd_json *kinds)
{
    nnd_str s = {0};
    for (size_t i = 0; i < nnd_json_count(kinds); i++)
        nnd_str_printf(&s, "%s%s %+.0f", i ? ", " : "", nnd_json_key_at(kinds, i),
                       nnd_json_number(nnd_json_at(kinds, i), 0));
    cli_table_add(table, s.data ? s.data : "");
    nnd_str_free(&s);
}

/* Everything about the passes, a line each. */
static void print_pass_table(const nnd_json *passes)
{
    static const char *const titles[] = {"pass", "changes", "before", "after", "ms", "operators"};
    cli_table table = {.columns = NND_COUNT(titles), .right = 0x1eu};
    for (size_t i = 0; i < NND_COUNT(titles); i++)
        cli_table_add(&table, titles[i]);
    for (size_t i = 0; i < nnd_json_count(passes); i++) {
        const nnd_json *pass = nnd_json_at(passes, i);
        cli_table_add(&table, nnd_json_string(nnd_json_get(pass, "name"), ""));
        if (nnd_json_bool(nnd_json_get(pass, "on"), true))
            cli_table_addf(&table, "%.0f", nnd_json_number(nnd_json_get(pass, "changes"), 0));
        else
            cli_table_add(&table, "off");
        cli_table_addf(&table, "%.0f", nnd_json_number(nnd_json_get(pass, "nodes_before"), 0));
        cli_table_addf(&table, "%.0f", nnd_json_number(nnd_json_get(pass, "nodes_after"), 0));
        cli_table_addf(&table, "%.2f", nnd_json_number(nnd_json_get(pass, "ms"), 0));
        add_kinds(&table, nnd_json_get(pass, "operators"));
    }
    cli_table_print(&table, "");
}

static void print_bytes(const char *title, const nnd_json *number)
{
    char text[32];
    if (!number) return;
    cli_bytes_text((uint64_t)nnd_json_number(number, 0), text);
    printf("%s %s\n", title, text);
}

static bool has_open_sizes(const nnd_model *model)
{
    for (size_t i = 0; i < nnd_model_input_count(model); i++) {
        const nnd_model_port *port = nnd_model_input(model, i);
        if (port->rank < 0) return true;
        for (int k = 0; k < port->rank; k++)
            if (port->dims[k].value < 0) return true;
    }
    return false;
}

static void print_inspection(const nnd_model *model, const nnd_json *root, bool planned)
{
    const nnd_json *memory = nnd_json_get(root, "memory");
    double flops = nnd_json_number(nnd_json_get(root, "flops"), 0);
    printf("backend     %s: %s\n", nnd_model_backend(model), nnd_model_choice(model));
    if (nnd_json_get(root, "producer"))
        printf("producer    %s %s\n", nnd_json_string(nnd_json_get(root, "producer"), ""),
               nnd_json_string(nnd_json_get(root, "producer_version"), ""));
    if (nnd_json_get(root, "parameters"))
        printf("parameters  %.0f\n", nnd_json_number(nnd_json_get(root, "parameters"), 0));
    print_bytes("weights    ", nnd_json_get(root, "weight_bytes"));
    if (flops > 0)
        printf("flops       %.4g M\n", flops / 1e6);
    else if (has_open_sizes(model))
        puts("flops       depend on sizes that are open; --shape NAME=1,3,224,224 gives them");
    print_bytes("arena      ", nnd_json_get(memory, "arena_bytes"));
    print_bytes("unshared   ", nnd_json_get(memory, "without_sharing_bytes"));
    print_bytes("packed     ", nnd_json_get(root, "packed_bytes"));
    if (nnd_json_number(nnd_json_get(root, "mapped_bytes"), 0) > 0)
        print_bytes("  mapped   ", nnd_json_get(root, "mapped_bytes"));
    print_bytes("resident   ", nnd_json_get(root, "resident_bytes"));
    if (nnd_json_number(nnd_json_get(root, "predicted_bytes"), 0) > 0)
        print_bytes("predicted  ", nnd_json_get(root, "predicted_bytes"));
    print_ports("Inputs", model, false, planned ? nnd_json_get(root, "inputs") : NULL);
    print_ports("Outputs", model, true, planned ? nnd_json_get(root, "outputs") : NULL);
    print_operators(nnd_json_get(root, "operators"));
    print_passes(nnd_json_get(root, "passes"));
}

static void print_wanted(const cli *c, const nnd_model *model, const nnd_json *root)
{
    if (cli_has(c, "passes")) print_pass_table(nnd_json_get(root, "passes"));
    if (cli_has(c, "dump-after"))
        fputs(nnd_json_string(nnd_json_get(root, "dump"), ""), stdout);
    else if (!cli_has(c, "passes"))
        print_inspection(model, root, cli_has(c, "shape"));
}

/* What is asked about the built-in engine's own work is asked of it, also where another backend
   would run the model. */
static nnd_status load(const cli *c, nnd_cancel *cancel, nnd_model **model)
{
    const char *after = cli_text(c, "dump-after", NULL), *backend = cli_text(c, "backend", NULL);
    const char *given = cli_text(c, "config", NULL);
    if (!backend && (after || cli_has(c, "passes") || cli_has(c, "shape"))) backend = "builtin";
    if (!after) return cli_model_load_with(c, cancel, backend, given, model);
    nnd_str config = {0};
    nnd_str_printf(&config, "%s dump-after=\"%s\"", given ? given : "", after);
    nnd_status status =
        config.data ? cli_model_load_with(c, cancel, backend, config.data, model) : cli_no_memory();
    nnd_str_free(&config);
    return status;
}

static int inspection_json(cli *c, const nnd_model *model, const nnd_json *root)
{
    nnd_json_writer *w = cli_json_begin(c, "inspect");
    if (!w) return cli_fail(c, NND_E_OUT_OF_MEMORY, NULL);
    cli_json_text(w, "backend", nnd_model_backend(model));
    cli_json_text(w, "choice", nnd_model_choice(model));
    cli_json_int(w, "threads", nnd_model_threads(model));
    for (size_t i = 0; i < nnd_json_count(root); i++) {
        if (strcmp(nnd_json_key_at(root, i), "backend") == 0) continue;
        nnd_json_key(w, nnd_json_key_at(root, i));
        nnd_json_put_json(w, nnd_json_at(root, i));
    }
    return cli_json_end(c, CLI_OK);
}

/* The graph as the file has it, before optimisation: printed, saved, or both. */
static int show_graph(cli *c)
{
    const char *to = cli_text(c, "save", NULL);
    char *path = NULL, *text = NULL;
    nnd_ir *ir = NULL;
    int code = CLI_OK;
    nnd_status status = cli_model_find(c, 0, NULL, &path);
    if (status == NND_OK) status = nnd_ir_load(path, &ir);
    if (status == NND_OK && to) status = nnd_ir_save(ir, to);
    if (status == NND_OK && cli_has(c, "graph")) status = nnd_ir_print(ir, &text);
    if (status != NND_OK) {
        code = cli_fail(c, status, NULL);
    } else if (c->json) {
        nnd_json_writer *w = cli_json_begin(c, "inspect_graph");
        if (w && to) cli_json_text(w, "saved", to);
        if (w && text) cli_json_text(w, "graph", text);
        code = w ? cli_json_end(c, CLI_OK) : cli_fail(c, NND_E_OUT_OF_MEMORY, NULL);
    } else if (text) {
        fputs(text, stdout);
    }
    nnd_ir_destroy(ir);
    nnd_free(text);
    nnd_free(path);
    return code;
}

/* The model as JSON; an exit code. */
static int inspect(cli *c, const nnd_model *model, nnd_json_doc **doc)
{
    cli_model_inputs inputs = {0};
    nnd_tensor *shapes = NULL;
    nnd_status status = NND_OK;
    int code = cli_has(c, "shape") ? cli_model_inputs_init(c, model, &inputs) : CLI_OK;
    if (code == CLI_OK && cli_has(c, "shape")) {
        shapes = nnd_calloc(inputs.count + 1, sizeof *shapes);
        status = shapes ? cli_model_inputs_shapes(model, &inputs, shapes) : cli_no_memory();
    }
    if (code == CLI_OK && status == NND_OK) status = inspect_doc(model, shapes, doc);
    cli_model_inputs_fini(&inputs);
    nnd_free(shapes);
    return status == NND_OK ? code : cli_fail_work(c, status);
}

int cli_run_inspect(cli *c)
{
    if (cli_has(c, "graph") || cli_has(c, "save")) return show_graph(c);
    nnd_cancel *cancel = NULL;
    nnd_model *model = NULL;
    nnd_json_doc *doc = NULL;
    nnd_status status = cli_watch_begin(c, &cancel);
    if (status == NND_OK) status = load(c, cancel, &model);
    int code = status == NND_OK ? inspect(c, model, &doc) : cli_fail_work(c, status);
    cli_watch_end();
    if (code == CLI_OK && c->json)
        code = inspection_json(c, model, nnd_json_root(doc));
    else if (code == CLI_OK)
        print_wanted(c, model, nnd_json_root(doc));
    nnd_json_destroy(doc);
    nnd_model_unref(model);
    return code;
}
