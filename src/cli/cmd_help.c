/* Help, made from the tables. */
#include "cli/cli.h"

#include <string.h>

static void add_usage(nnd_str *out, const cli_command *command)
{
    nnd_str_printf(out, "nndeploy %s", command->name);
    for (size_t i = 0; i < command->operand_count; i++) {
        const cli_arg *arg = &command->operands[i];
        bool required = arg->flags & CLI_REQUIRED;
        nnd_str_printf(out, required ? " %s" : " [%s]", arg->name);
        if (arg->flags & CLI_REPEAT) nnd_str_add(out, "...");
    }
    for (size_t i = 0; i < command->option_count; i++)
        if (command->options[i].flags & CLI_REQUIRED)
            nnd_str_printf(out, " --%s %s", command->options[i].name, command->options[i].value);
    nnd_str_add(out, " [options]");
}

static void add_args(cli_table *table, const cli_arg *args, size_t count, const char *dashes)
{
    for (size_t i = 0; i < count; i++) {
        cli_table_addf(table, "%s%s%s%s", dashes, args[i].name, args[i].value ? " " : "",
                       args[i].value ? args[i].value : "");
        cli_table_addf(table, "%s%s", args[i].text,
                       args[i].flags & CLI_REPEAT && dashes[0] ? " (may be repeated)" : "");
    }
}

static void add_block(nnd_str *out, const char *indent, const char *text)
{
    while (*text) {
        size_t n = strcspn(text, "\n");
        nnd_str_printf(out, "%s%.*s\n", n ? indent : "", (int)n, text);
        text += n + (text[n] == '\n');
    }
}

static void add_command(nnd_str *out, const cli_command *command)
{
    cli_table operands = {.columns = 2}, options = {.columns = 2};
    nnd_str_printf(out, "nndeploy %s: %s\n\n  ", command->name, command->text);
    add_usage(out, command);
    nnd_str_add_char(out, '\n');
    add_args(&operands, command->operands, command->operand_count, "");
    add_args(&options, command->options, command->option_count, "--");
    add_args(&options, cli_common_options, cli_common_option_count, "--");
    if (command->operand_count) nnd_str_add_char(out, '\n');
    cli_table_write(&operands, "  ", out);
    if (command->details) {
        nnd_str_add_char(out, '\n');
        add_block(out, "", command->details);
    }
    nnd_str_add(out, "\nOptions:\n");
    cli_table_write(&options, "  ", out);
    if (command->examples) {
        nnd_str_add(out, "\nExamples:\n");
        add_block(out, "  ", command->examples);
    }
    cli_table_free(&operands);
    cli_table_free(&options);
}

static void add_overview(nnd_str *out)
{
    cli_table commands = {.columns = 2}, options = {.columns = 2};
    nnd_str_add(out, "nndeploy: runs AI workflows and models on this device\n\n"
                     "  nndeploy COMMAND [arguments] [options]\n\nCommands:\n");
    for (size_t i = 0; i < cli_command_count; i++) {
        cli_table_add(&commands, cli_commands[i].name);
        cli_table_add(&commands, cli_commands[i].text);
    }
    cli_table_write(&commands, "  ", out);
    nnd_str_add(out, "\nOptions of every command:\n");
    add_args(&options, cli_common_options, cli_common_option_count, "--");
    cli_table_write(&options, "  ", out);
    nnd_str_add(out,
                "\n'nndeploy help COMMAND' explains a command. Exit codes: 0 ok, 2 wrong command"
                " line,\n3 wrong input, 4 run failed, 5 something is missing, 130 cancelled."
                "\n");
    cli_table_free(&commands);
    cli_table_free(&options);
}

/* ---- documentation ----------------------------------------------------------------------- */

static void add_markdown_args(nnd_str *out, const cli_arg *args, size_t count, const char *dashes)
{
    for (size_t i = 0; i < count; i++) {
        nnd_str_printf(out, "| `%s%s%s%s` | ", dashes, args[i].name, args[i].value ? " " : "",
                       args[i].value ? args[i].value : "");
        nnd_str_printf(out, "%s%s |\n", args[i].text,
                       args[i].flags & CLI_REPEAT && dashes[0] ? " (may be repeated)" : "");
    }
}

static void add_markdown(nnd_str *out)
{
    nnd_str_add(out, "Options of every command:\n\n| option | meaning |\n|---|---|\n");
    add_markdown_args(out, cli_common_options, cli_common_option_count, "--");
    for (size_t i = 0; i < cli_command_count; i++) {
        const cli_command *command = &cli_commands[i];
        nnd_str_printf(out, "\n### %s\n\n`", command->name);
        add_usage(out, command);
        nnd_str_printf(out, "`: %s.\n", command->text);
        if (!command->operand_count && !command->option_count) continue;
        nnd_str_add(out, "\n| argument | meaning |\n|---|---|\n");
        add_markdown_args(out, command->operands, command->operand_count, "");
        add_markdown_args(out, command->options, command->option_count, "--");
    }
}

/* ---- as JSON ----------------------------------------------------------------------------- */

static const char *const kind_names[] = {"flag",   "text", "int",       "number",  "choice", "file",
                                         "folder", "pair", "node-type", "backend", "command"};

static void put_args(nnd_json_writer *w, const char *key, const cli_arg *args, size_t count)
{
    nnd_json_key(w, key);
    nnd_json_begin_array(w);
    for (size_t i = 0; i < count; i++) {
        nnd_json_begin_object(w);
        cli_json_text(w, "name", args[i].name);
        cli_json_text(w, "kind", kind_names[args[i].kind]);
        cli_json_text(w, "value", args[i].value);
        cli_json_text(w, "choices", args[i].choices);
        cli_json_text(w, "text", args[i].text);
        cli_json_bool(w, "required", args[i].flags & CLI_REQUIRED);
        cli_json_bool(w, "repeat", args[i].flags & CLI_REPEAT);
        nnd_json_end_object(w);
    }
    nnd_json_end_array(w);
}

/* The commands that are explained: `count` of them from `first` on. */
typedef struct asked {
    const cli_command *first;
    size_t count;
} asked;

static int print_json(cli *c, asked a)
{
    nnd_json_writer *w = cli_json_begin(c, "help");
    if (!w) return cli_fail(c, NND_E_OUT_OF_MEMORY, NULL);
    put_args(w, "common_options", cli_common_options, cli_common_option_count);
    nnd_json_key(w, "commands");
    nnd_json_begin_array(w);
    for (size_t i = 0; i < a.count; i++) {
        const cli_command *command = &a.first[i];
        nnd_json_begin_object(w);
        cli_json_text(w, "name", command->name);
        cli_json_text(w, "text", command->text);
        cli_json_text(w, "details", command->details);
        cli_json_text(w, "examples", command->examples);
        put_args(w, "operands", command->operands, command->operand_count);
        put_args(w, "options", command->options, command->option_count);
        nnd_json_end_object(w);
    }
    nnd_json_end_array(w);
    return cli_json_end(c, CLI_OK);
}

/* "help bench model" means one command, "help bench" all that begin with this word. */
static int find_asked(cli *c, asked *out)
{
    nnd_str name = {0};
    for (size_t i = 0; i < c->operands.count; i++)
        nnd_str_printf(&name, "%s%s", i ? " " : "", c->operands.items[i]);
    const char *text = name.data ? name.data : "";
    size_t size = strlen(text);
    asked found = {cli_command_find(text), 1};
    const bool is_whole = found.first != NULL;
    nnd_suggest near;
    nnd_suggest_begin(&near, text);
    for (size_t i = 0; i < cli_command_count; i++) {
        const char *other = cli_commands[i].name;
        if (!is_whole && strncmp(other, text, size) == 0 && other[size] == ' ') {
            found.count = found.first ? found.count + 1 : 1;
            if (!found.first) found.first = &cli_commands[i];
        }
        nnd_suggest_offer(&near, other);
    }
    int code = CLI_OK;
    if (!found.first && near.best)
        code = cli_usage(c, "unknown command '%.60s' (did you mean '%s'?)", text, near.best);
    else if (!found.first)
        code = cli_usage(c, "unknown command '%.60s'", text);
    nnd_str_free(&name);
    *out = found;
    return code;
}

int cli_run_help(cli *c)
{
    asked a = {cli_commands, cli_command_count};
    nnd_str text = {0};
    bool is_help = c->command && c->command->run == cli_run_help;
    bool is_overview = is_help ? c->operands.count == 0 : !c->command;
    if (is_help && !is_overview) {
        int code = find_asked(c, &a);
        if (code != CLI_OK) return code;
    } else if (!is_overview) {
        a = (asked){c->command, 1};
    }
    if (c->json) return print_json(c, a);
    if (cli_has(c, "markdown"))
        add_markdown(&text);
    else if (is_overview)
        add_overview(&text);
    else
        for (size_t i = 0; i < a.count; i++) {
            if (i) nnd_str_add_char(&text, '\n');
            add_command(&text, &a.first[i]);
        }
    if (text.failed) return cli_fail(c, cli_no_memory(), NULL);
    fputs(text.data, stdout);
    nnd_str_free(&text);
    return CLI_OK;
}
