/* nodes: the node types for people, as JSON and as the reference page. */
#include "cli/cli.h"

#include "base/number.h"

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

/* ---- parameters in words -----------------------------------------------------------------------
 */

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

static void default_text(const nnd_param *p, nnd_str *out)
{
    char number[NND_NUMBER_TEXT];
    if (p->flags & NND_PARAM_REQUIRED) {
        nnd_str_add(out, "required");
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

/* Bounds, values, unit and flags: "1 … 16384 px". */
static void limits_text(const nnd_param *p, nnd_str *out)
{
    char low[NND_NUMBER_TEXT], high[NND_NUMBER_TEXT];
    if (p->values) {
        for (const char *v = p->values; *v; v++)
            if (*v == '|')
                nnd_str_add(out, ", ");
            else
                nnd_str_add_char(out, *v);
    } else if (p->minimum != 0 || p->maximum != 0) {
        number_text(p->minimum, low);
        number_text(p->maximum, high);
        nnd_str_printf(out, "%s … %s", low, high);
    }
    if (p->unit && p->unit[0]) nnd_str_printf(out, "%s%s", out->size ? " " : "", p->unit);
    if (p->flags & NND_PARAM_SECRET) nnd_str_printf(out, "%ssecret", out->size ? "; " : "");
    if (p->flags & NND_PARAM_STATIC)
        nnd_str_printf(out, "%sfixed during a run", out->size ? "; " : "");
}

static const char *text_of(const nnd_str *s)
{
    return s->data ? s->data : "";
}

static void port_note(const nnd_port *p, nnd_str *out)
{
    nnd_str_add(out, p->text ? p->text : "");
    if (p->flags & NND_PORT_OPTIONAL) nnd_str_add(out, " (optional)");
    if (p->flags & NND_PORT_VARIADIC) nnd_str_add(out, " (any number of edges)");
}

/* ---- for people --------------------------------------------------------------------------------
 */

static void print_ports(const char *title, const nnd_array *ports)
{
    if (!ports->count) return;
    cli_table table = {.columns = 3};
    printf("\n%s:\n", title);
    for (size_t i = 0; i < ports->count; i++) {
        nnd_str note = {0};
        port_note(port_at(ports, i), &note);
        cli_table_add(&table, port_at(ports, i)->name);
        cli_table_add(&table, port_at(ports, i)->type);
        cli_table_add(&table, text_of(&note));
        nnd_str_free(&note);
    }
    cli_table_print(&table, "  ");
}

static void print_params(const nnd_array *params)
{
    if (!params->count) return;
    cli_table table = {.columns = 5};
    puts("\nParameters:");
    for (size_t i = 0; i < params->count; i++) {
        const nnd_param *p = param_at(params, i);
        nnd_str value = {0}, limits = {0};
        default_text(p, &value);
        limits_text(p, &limits);
        cli_table_add(&table, p->name);
        cli_table_add(&table, kind_name(p->kind));
        cli_table_add(&table, text_of(&value));
        cli_table_add(&table, text_of(&limits));
        cli_table_add(&table, p->text);
        nnd_str_free(&value);
        nnd_str_free(&limits);
    }
    cli_table_print(&table, "  ");
}

static int print_type(cli *c, const nnd_node_type *t)
{
    if (c->json) {
        nnd_json_writer *w = cli_json_begin(c, "nodes");
        if (!w) return cli_fail(c, NND_E_OUT_OF_MEMORY, NULL);
        nnd_json_key(w, "nodes");
        nnd_json_begin_array(w);
        nnd_node_type_to_json(t, w);
        nnd_json_end_array(w);
        return cli_json_end(c, CLI_OK);
    }
    printf("%s@%d: %s (%s)\n\n%s\n", t->type, t->version, t->title, t->category,
           t->text ? t->text : "");
    print_ports("Inputs", &t->inputs);
    print_ports("Outputs", &t->outputs);
    if (t->resolve_ports) puts("\nThe ports depend on the parameters.");
    print_params(&t->params);
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

/* ---- all of them -------------------------------------------------------------------------------
 */

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

static void print_list(const nnd_node_type *const *types, size_t count)
{
    cli_table table = {.columns = 2};
    const char *category = "";
    for (size_t i = 0; i < count; i++) {
        if (strcmp(category, types[i]->category) != 0) {
            cli_table_print(&table, "  ");
            category = types[i]->category;
            printf("%s%s\n", i ? "\n" : "", category);
        }
        cli_table_addf(&table, "%s@%d", types[i]->type, types[i]->version);
        cli_table_add(&table, types[i]->title);
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

static void add_ports(nnd_str *out, const char *title, const nnd_array *ports)
{
    if (!ports->count) return;
    nnd_str_printf(out, "\n| %s | type | |\n|---|---|---|\n", title);
    for (size_t i = 0; i < ports->count; i++) {
        nnd_str note = {0};
        port_note(port_at(ports, i), &note);
        nnd_str_add(out, "|");
        add_cell(out, port_at(ports, i)->name, true);
        add_cell(out, port_at(ports, i)->type, true);
        add_cell(out, text_of(&note), false);
        nnd_str_add_char(out, '\n');
        nnd_str_free(&note);
    }
}

static void add_params(nnd_str *out, const nnd_array *params)
{
    if (!params->count) return;
    nnd_str_add(out, "\n| parameter | kind | default | values | |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < params->count; i++) {
        const nnd_param *p = param_at(params, i);
        nnd_str value = {0}, limits = {0};
        default_text(p, &value);
        limits_text(p, &limits);
        nnd_str_add(out, "|");
        add_cell(out, p->name, true);
        add_cell(out, kind_name(p->kind), false);
        add_cell(out, text_of(&value), !(p->flags & NND_PARAM_REQUIRED));
        add_cell(out, text_of(&limits), false);
        add_cell(out, p->text ? p->text : "", false);
        nnd_str_add_char(out, '\n');
        nnd_str_free(&value);
        nnd_str_free(&limits);
    }
}

static void add_page(nnd_str *out, const nnd_node_type *const *types, size_t count)
{
    const char *category = "";
    nnd_str_add(out, "# Node types\n\nMade by `nndeploy nodes --markdown`; `nndeploy nodes TYPE` "
                     "shows the same in a terminal.\n");
    for (size_t i = 0; i < count; i++) {
        const nnd_node_type *t = types[i];
        if (strcmp(category, t->category) != 0) {
            category = t->category;
            nnd_str_printf(out, "\n## %s\n", category);
        }
        nnd_str_printf(out, "\n### %s@%d\n\n%s. %s\n", t->type, t->version, t->title,
                       t->text ? t->text : "");
        if (t->resolve_ports) nnd_str_add(out, "\nThe ports depend on the parameters.\n");
        add_ports(out, "input", &t->inputs);
        add_ports(out, "output", &t->outputs);
        add_params(out, &t->params);
    }
}

static int print_page(cli *c, const nnd_node_type *const *types, size_t count)
{
    nnd_str page = {0};
    add_page(&page, types, count);
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

int cli_run_nodes(cli *c)
{
    nnd_registry *registry = NULL;
    nnd_status status = cli_registry(c, &registry);
    if (status != NND_OK) return cli_fail(c, status, NULL);
    const char *name = cli_operand(c, 0);
    if (name) {
        const nnd_node_type *type = find_type(registry, name);
        return type ? print_type(c, type) : unknown_type(c, registry, name);
    }
    size_t count = 0;
    int code = CLI_OK;
    const nnd_node_type **types = sorted_types(registry, &count);
    if (!types) return cli_fail(c, cli_no_memory(), NULL);
    if (c->json)
        code = print_all_json(c, types, count);
    else if (cli_has(c, "markdown"))
        code = print_page(c, types, count);
    else
        print_list(types, count);
    nnd_free(types);
    return code;
}
