/* nodes: the node types for people in their language, as JSON and as the reference page. */
#include "cli/cli.h"

#include "base/number.h"
#include "base/port_status.h"
#include "nndeploy/nodes.h"
#include "port/port.h"

#include <stdlib.h>
#include <string.h>

/* Elements of descriptor arrays, whatever element size their author saw. */
static const nnd_port *port_at(const nnd_array *ports, size_t index)
{
    return (const nnd_port *)((const char *)ports->items + index * ports->item_size);
}

static const nnd_param *param_at(const nnd_array *params, size_t index)
{
    return (const nnd_param *)((const char *)params->items + index * params->item_size);
}

/* One type and the language that it is explained in. */
typedef struct explained {
    const nnd_node_texts *texts; /* NULL = English */
    const nnd_node_type *type;
    bool name_values; /* enum values with their names in the language */
} explained;

/* A word of the command itself. */
static const char *word(const nnd_node_texts *texts, const char *name, const char *english)
{
    char key[64];
    snprintf(key, sizeof key, "cli.nodes.%s", name);
    return nnd_node_texts_get(texts, key, english);
}

/* ---- parameters in words ----------------------------------------------------------------- */

static const char *kind_name(nnd_param_kind kind)
{
    static const char *const names[] = {"?",    "bool",  "int",     "float",   "enum", "text",
                                        "file", "model", "numbers", "strings", "json"};
    return (size_t)kind < NND_COUNT(names) ? names[kind] : names[0];
}

static void number_text(double value, char text[NND_NUMBER_TEXT])
{
    nnd_number_write(value, text);
}

static void default_text(const explained *e, const nnd_param *p, nnd_str *out)
{
    char number[NND_NUMBER_TEXT];
    if (p->flags & NND_PARAM_REQUIRED) {
        nnd_str_add(out, word(e->texts, "required", "required"));
        return;
    }
    switch (p->kind) {
    case NND_PARAM_KIND_BOOL:
        nnd_str_add(out, p->number != 0 ? "true" : "false");
        break;
    case NND_PARAM_KIND_INT:
    case NND_PARAM_KIND_FLOAT:
        number_text(p->number, number);
        nnd_str_add(out, number);
        break;
    case NND_PARAM_KIND_TEXT:
    case NND_PARAM_KIND_FILE:
    case NND_PARAM_KIND_MODEL:
        nnd_str_printf(out, "\"%s\"", p->string ? p->string : "");
        break;
    default:
        nnd_str_add(out, p->string && p->string[0] ? p->string : "\"\"");
    }
}

/* "nearest, bilinear", each with its name when it has one and that is wanted. */
static void values_text(const explained *e, const nnd_param *p, nnd_str *out)
{
    for (const char *v = p->values; *v;) {
        size_t size = strcspn(v, "|");
        char *value = nnd_strdup_n(v, size);
        const char *name = value ? nnd_node_texts_value(e->texts, e->type, p, value) : "";
        if (v != p->values) nnd_str_add(out, word(e->texts, "separator", ", "));
        nnd_str_add_n(out, v, size);
        if (value && e->name_values && strcmp(name, value) != 0)
            nnd_str_printf(out, "%s%s%s", word(e->texts, "open", " ("), name,
                           word(e->texts, "close", ")"));
        nnd_free(value);
        v += size + (v[size] == '|');
    }
}

/* Bounds, values, unit and flags: "1 … 16384 px". */
static void limits_text(const explained *e, const nnd_param *p, nnd_str *out)
{
    char low[NND_NUMBER_TEXT], high[NND_NUMBER_TEXT];
    if (p->values) {
        values_text(e, p, out);
    } else if (p->minimum != 0 || p->maximum != 0) {
        number_text(p->minimum, low);
        number_text(p->maximum, high);
        nnd_str_printf(out, "%s … %s", low, high);
    }
    if (p->unit && p->unit[0]) nnd_str_printf(out, "%s%s", out->size ? " " : "", p->unit);
    if (p->flags & NND_PARAM_SECRET)
        nnd_str_printf(out, "%s%s", out->size ? "; " : "", word(e->texts, "secret", "secret"));
    if (p->flags & NND_PARAM_STATIC)
        nnd_str_printf(out, "%s%s", out->size ? "; " : "",
                       word(e->texts, "fixed", "fixed during a run"));
}

static const char *text_of(const nnd_str *s)
{
    return s->data ? s->data : "";
}

static void port_note(const explained *e, const nnd_port *p, bool is_output, nnd_str *out)
{
    nnd_str_add(out, nnd_node_texts_port(e->texts, e->type, is_output, p));
    if (p->flags & NND_PORT_OPTIONAL) nnd_str_add(out, word(e->texts, "optional", " (optional)"));
    if (p->flags & NND_PORT_VARIADIC)
        nnd_str_add(out, word(e->texts, "variadic", " (any number of edges)"));
}

/* ---- for people -------------------------------------------------------------------------- */

static void print_ports(const explained *e, bool is_output)
{
    const nnd_array *ports = is_output ? &e->type->outputs : &e->type->inputs;
    if (!ports->count) return;
    cli_table table = {.columns = 3};
    printf("\n%s:\n",
           is_output ? word(e->texts, "outputs", "Outputs") : word(e->texts, "inputs", "Inputs"));
    for (size_t i = 0; i < ports->count; i++) {
        nnd_str note = {0};
        port_note(e, port_at(ports, i), is_output, &note);
        cli_table_add(&table, port_at(ports, i)->name);
        cli_table_add(&table, port_at(ports, i)->type);
        cli_table_add(&table, text_of(&note));
        nnd_str_free(&note);
    }
    cli_table_print(&table, "  ");
}

static void print_params(const explained *e)
{
    const nnd_array *params = &e->type->params;
    if (!params->count) return;
    cli_table table = {.columns = 5};
    printf("\n%s:\n", word(e->texts, "parameters", "Parameters"));
    for (size_t i = 0; i < params->count; i++) {
        const nnd_param *p = param_at(params, i);
        nnd_str value = {0}, limits = {0};
        default_text(e, p, &value);
        limits_text(e, p, &limits);
        cli_table_add(&table, p->name);
        cli_table_add(&table, kind_name(p->kind));
        cli_table_add(&table, text_of(&value));
        cli_table_add(&table, text_of(&limits));
        cli_table_add(&table, nnd_node_texts_param(e->texts, e->type, p));
        nnd_str_free(&value);
        nnd_str_free(&limits);
    }
    cli_table_print(&table, "  ");
}

static int print_type(cli *c, const nnd_node_texts *texts, const nnd_node_type *t)
{
    explained e = {texts, t, false};
    if (c->json) {
        nnd_json_writer *w = cli_json_begin(c, "nodes");
        if (!w) return cli_fail(c, NND_E_OUT_OF_MEMORY, NULL);
        nnd_json_key(w, "nodes");
        nnd_json_begin_array(w);
        nnd_node_type_to_json(t, w);
        nnd_json_end_array(w);
        return cli_json_end(c, CLI_OK);
    }
    printf("%s@%d: %s (%s)\n\n%s\n", t->type, t->version, nnd_node_texts_title(texts, t),
           nnd_node_texts_category(texts, t), nnd_node_texts_text(texts, t));
    print_ports(&e, false);
    print_ports(&e, true);
    if (t->resolve_ports)
        printf("\n%s\n", word(texts, "dynamic", "The ports depend on the parameters."));
    print_params(&e);
    return CLI_OK;
}

static int unknown_type(cli *c, const nnd_registry *registry, const char *name)
{
    nnd_suggest near;
    nnd_suggest_begin(&near, name);
    for (size_t i = 0; i < nnd_registry_count(registry); i++)
        nnd_suggest_offer(&near, nnd_registry_at(registry, i)->type);
    nnd_status status =
        near.best ? nnd_error_set(NND_E_MISSING, "there is no node type '%s' (did you mean '%s'?)",
                                  name, near.best)
                  : nnd_error_set(NND_E_MISSING,
                                  "there is no node type '%s'; 'nndeploy nodes' lists them, "
                                  "--plugin FILE adds those of a plug-in",
                                  name);
    return cli_fail(c, status, NULL);
}

/* "image.resize" or "image.resize@1". */
static const nnd_node_type *find_type(const nnd_registry *registry, const char *name)
{
    const char *at = strchr(name, '@');
    if (!at) return nnd_registry_find(registry, name, 0);
    char *type = nnd_strdup_n(name, (size_t)(at - name));
    long version = strtol(at + 1, NULL, 10);
    const nnd_node_type *found = type && version > 0 && version < 100000
                                     ? nnd_registry_find(registry, type, (int)version)
                                     : NULL;
    nnd_free(type);
    return found;
}

/* ---- all of them ------------------------------------------------------------------------- */

static int by_category(const void *a, const void *b)
{
    const nnd_node_type *x = *(const nnd_node_type *const *)a,
                        *y = *(const nnd_node_type *const *)b;
    int order = strcmp(x->category, y->category);
    if (order == 0) order = strcmp(x->type, y->type);
    return order ? order : x->version - y->version;
}

static const nnd_node_type **sorted_types(const nnd_registry *registry, size_t *count)
{
    *count = nnd_registry_count(registry);
    const nnd_node_type **types = nnd_calloc(*count + 1, sizeof *types);
    for (size_t i = 0; types && i < *count; i++)
        types[i] = nnd_registry_at(registry, i);
    if (types) qsort(types, *count, sizeof *types, by_category);
    return types;
}

static void print_list(const nnd_node_texts *texts, const nnd_node_type *const *types, size_t count)
{
    cli_table table = {.columns = 2};
    const char *category = "";
    for (size_t i = 0; i < count; i++) {
        if (strcmp(category, types[i]->category) != 0) {
            cli_table_print(&table, "  ");
            category = types[i]->category;
            printf("%s%s\n", i ? "\n" : "", nnd_node_texts_category(texts, types[i]));
        }
        cli_table_addf(&table, "%s@%d", types[i]->type, types[i]->version);
        cli_table_add(&table, nnd_node_texts_title(texts, types[i]));
    }
    cli_table_print(&table, "  ");
}

/* A cell of a Markdown table: the bar would end it. */
static void add_cell(nnd_str *out, const char *text, bool code)
{
    nnd_str_add(out, code && text[0] ? " `" : " ");
    for (const char *p = text; *p; p++) {
        if (*p == '|') nnd_str_add_char(out, '\\');
        nnd_str_add_char(out, *p == '\n' ? ' ' : *p);
    }
    nnd_str_add(out, code && text[0] ? "` |" : " |");
}

static void add_ports(nnd_str *out, const explained *e, bool is_output)
{
    const nnd_array *ports = is_output ? &e->type->outputs : &e->type->inputs;
    if (!ports->count) return;
    nnd_str_printf(out, "\n| %s | %s | |\n|---|---|---|\n",
                   is_output ? word(e->texts, "output", "output")
                             : word(e->texts, "input", "input"),
                   word(e->texts, "type", "type"));
    for (size_t i = 0; i < ports->count; i++) {
        nnd_str note = {0};
        port_note(e, port_at(ports, i), is_output, &note);
        nnd_str_add(out, "|");
        add_cell(out, port_at(ports, i)->name, true);
        add_cell(out, port_at(ports, i)->type, true);
        add_cell(out, text_of(&note), false);
        nnd_str_add_char(out, '\n');
        nnd_str_free(&note);
    }
}

static void add_params(nnd_str *out, const explained *e)
{
    const nnd_array *params = &e->type->params;
    if (!params->count) return;
    nnd_str_printf(out, "\n| %s | %s | %s | %s | |\n|---|---|---|---|---|\n",
                   word(e->texts, "parameter", "parameter"), word(e->texts, "kind", "kind"),
                   word(e->texts, "default", "default"), word(e->texts, "values", "values"));
    for (size_t i = 0; i < params->count; i++) {
        const nnd_param *p = param_at(params, i);
        nnd_str value = {0}, limits = {0};
        default_text(e, p, &value);
        limits_text(e, p, &limits);
        nnd_str_add(out, "|");
        add_cell(out, p->name, true);
        add_cell(out, kind_name(p->kind), false);
        add_cell(out, text_of(&value), !(p->flags & NND_PARAM_REQUIRED));
        add_cell(out, text_of(&limits), false);
        add_cell(out, nnd_node_texts_param(e->texts, e->type, p), false);
        nnd_str_add_char(out, '\n');
        nnd_str_free(&value);
        nnd_str_free(&limits);
    }
}

static void add_page(nnd_str *out, const nnd_node_texts *texts, const nnd_node_type *const *types,
                     size_t count)
{
    const char *category = "";
    nnd_str_printf(out, "# %s\n\n%s\n", word(texts, "page", "Node types"),
                   word(texts, "made_by",
                        "Made by `nndeploy nodes --markdown`; `nndeploy nodes TYPE` shows the same "
                        "in a terminal."));
    for (size_t i = 0; i < count; i++) {
        const nnd_node_type *t = types[i];
        explained e = {texts, t, true};
        if (strcmp(category, t->category) != 0) {
            category = t->category;
            nnd_str_printf(out, "\n## %s\n", nnd_node_texts_category(texts, t));
        }
        nnd_str_printf(out, "\n### %s@%d\n\n%s%s%s\n", t->type, t->version,
                       nnd_node_texts_title(texts, t), word(texts, "stop", ". "),
                       nnd_node_texts_text(texts, t));
        if (t->resolve_ports)
            nnd_str_printf(out, "\n%s\n",
                           word(texts, "dynamic", "The ports depend on the parameters."));
        add_ports(out, &e, false);
        add_ports(out, &e, true);
        add_params(out, &e);
    }
}

static int print_page(cli *c, const nnd_node_texts *texts, const nnd_node_type *const *types,
                      size_t count)
{
    nnd_str page = {0};
    add_page(&page, texts, types, count);
    if (page.failed) {
        nnd_str_free(&page);
        return cli_fail(c, cli_no_memory(), NULL);
    }
    fputs(text_of(&page), stdout);
    nnd_str_free(&page);
    return CLI_OK;
}

static int print_all_json(cli *c, const nnd_node_type *const *types, size_t count)
{
    nnd_json_writer *w = cli_json_begin(c, "nodes");
    if (!w) return cli_fail(c, NND_E_OUT_OF_MEMORY, NULL);
    nnd_json_key(w, "nodes");
    nnd_json_begin_array(w);
    for (size_t i = 0; i < count; i++)
        nnd_node_type_to_json(types[i], w);
    nnd_json_end_array(w);
    return cli_json_end(c, CLI_OK);
}

static int show_all(cli *c, const nnd_node_texts *texts, const nnd_registry *registry)
{
    size_t count = 0;
    int code = CLI_OK;
    const nnd_node_type **types = sorted_types(registry, &count);
    if (!types) return cli_fail(c, cli_no_memory(), NULL);
    if (c->json)
        code = print_all_json(c, types, count);
    else if (cli_has(c, "markdown"))
        code = print_page(c, texts, types, count);
    else
        print_list(texts, types, count);
    nnd_free(types);
    return code;
}

/* ---- language ----------------------------------------------------------------------------------
 */

/* A plug-in's own texts lie beside it: <folder>/locale/<language>.json. */
static nnd_status add_plugin_texts(nnd_node_texts *texts, const char *plugin)
{
    enum { LARGEST = 16 * 1024 * 1024 };
    const char *slash = strrchr(plugin, '/'), *language = nnd_node_texts_language(texts);
    int length = slash ? (int)(slash - plugin) : 1;
    char *path = nnd_strf("%.*s/locale/%s.json", length, slash ? plugin : ".", language);
    char *text = NULL;
    size_t size = 0;
    nnd_status status = path ? NND_OK : cli_no_memory();
    if (status == NND_OK && nnd_port_file_exists(path)) {
        int rc = nnd_port_file_read(path, LARGEST, &text, &size);
        status = rc ? nnd_error_from_port(rc, "cannot read", path)
                    : nnd_node_texts_add(texts, text, size, path);
    }
    nnd_port_free(text);
    nnd_free(path);
    return status;
}

static nnd_status make_texts(const cli *c, nnd_node_texts **out)
{
    NND_TRY(nnd_node_texts_create(NULL, out));
    for (size_t i = 0; i < cli_count(c, "plugin"); i++)
        NND_TRY(add_plugin_texts(*out, cli_nth(c, "plugin", i)));
    return NND_OK;
}

int cli_run_nodes(cli *c)
{
    nnd_registry *registry = NULL;
    nnd_node_texts *texts = NULL;
    nnd_status status = cli_registry(c, &registry);
    if (status == NND_OK) status = make_texts(c, &texts);
    if (status != NND_OK) {
        nnd_node_texts_destroy(texts);
        return cli_fail(c, status, NULL);
    }
    const char *name = cli_operand(c, 0);
    const nnd_node_type *type = name ? find_type(registry, name) : NULL;
    int code = !name  ? show_all(c, texts, registry)
               : type ? print_type(c, texts, type)
                      : unknown_type(c, registry, name);
    nnd_node_texts_destroy(texts);
    return code;
}
