/* The command line, read by the tables of commands.c. */
#include "cli/cli.h"

#include "base/options.h"

#include <string.h>

const cli_command *cli_command_find(const char *name)
{
    for (size_t i = 0; i < cli_command_count; i++)
        if (strcmp(cli_commands[i].name, name) == 0) return &cli_commands[i];
    return NULL;
}

static const cli_arg *find(const cli_arg *args, size_t count, const char *name, size_t size)
{
    for (size_t i = 0; i < count; i++)
        if (strncmp(args[i].name, name, size) == 0 && !args[i].name[size]) return &args[i];
    return NULL;
}

static const cli_arg *find_option(const cli_command *command, const char *name, size_t size)
{
    const cli_arg *arg = NULL;
    if (command) arg = find(command->options, command->option_count, name, size);
    return arg ? arg : find(cli_common_options, cli_common_option_count, name, size);
}

const cli_arg *cli_option_find(const cli_command *command, const char *name)
{
    return find_option(command, name, strlen(name));
}

/* ---- reading ----------------------------------------------------------------------------- */

static int unknown_option(cli *c, const char *name, size_t size)
{
    char word[80];
    nnd_suggest near;
    snprintf(word, sizeof word, "%.*s", (int)(size < 70 ? size : 70), name);
    nnd_suggest_begin(&near, word);
    for (size_t i = 0; c->command && i < c->command->option_count; i++)
        nnd_suggest_offer(&near, c->command->options[i].name);
    for (size_t i = 0; i < cli_common_option_count; i++)
        nnd_suggest_offer(&near, cli_common_options[i].name);
    if (near.best)
        return cli_usage(c, "unknown option '--%s' (did you mean '--%s'?)", word, near.best);
    return cli_usage(c, "unknown option '--%s'", word);
}

static int check_number(cli *c, const cli_arg *arg, const char *value)
{
    int64_t integer = 0;
    double number = 0;
    bool whole = arg->kind == CLI_INT;
    bool fine = whole ? nnd_parse_int(value, &integer) : nnd_parse_double(value, &number);
    if (whole) number = (double)integer;
    if (fine && number >= arg->minimum && number <= arg->maximum) return CLI_OK;
    return cli_usage(c, "option '--%s': '%.60s' is not a%s number from %.15g to %.15g", arg->name,
                     value, whole ? " whole" : "", arg->minimum, arg->maximum);
}

static int check_value(cli *c, const cli_arg *arg, const char *value)
{
    if (arg->kind == CLI_INT || arg->kind == CLI_NUMBER) return check_number(c, arg, value);
    if (arg->kind == CLI_CHOICE && nnd_parse_choice(value, arg->choices) < 0)
        return cli_usage(c, "option '--%s': '%.60s' is none of %s", arg->name, value, arg->choices);
    if (arg->kind == CLI_PAIR && !strchr(value, '='))
        return cli_usage(c, "option '--%s': '%.60s' is not of the form %s", arg->name, value,
                         arg->value);
    if (!value[0] && arg->kind != CLI_TEXT)
        return cli_usage(c, "option '--%s': the value is empty (%s)", arg->name, arg->value);
    return CLI_OK;
}

static int add_option(cli *c, const cli_arg *arg, const char *value)
{
    cli_given given = {arg, value};
    if (value && !nnd_utf8_valid(value, strlen(value)))
        return cli_usage(c, "option '--%s': the value is not valid UTF-8", arg->name);
    if (!(arg->flags & CLI_REPEAT) && arg->kind != CLI_FLAG && cli_has(c, arg->name))
        return cli_usage(c, "option '--%s' is given twice", arg->name);
    int code = value ? check_value(c, arg, value) : CLI_OK;
    if (code == CLI_OK && !nnd_vec_push(&c->options, given))
        return cli_fail(c, cli_no_memory(), NULL);
    return code;
}

/* One "--name", "--name=value" or "--name value"; *i moves to the last argument it took. */
static int read_option(cli *c, int argc, char **argv, int *i)
{
    const char *name = argv[*i] + 2;
    const char *equals = strchr(name, '=');
    size_t size = equals ? (size_t)(equals - name) : strlen(name);
    const cli_arg *arg = find_option(c->command, name, size);
    if (!arg) return unknown_option(c, name, size);
    if (arg->kind == CLI_FLAG) {
        if (equals) return cli_usage(c, "option '--%s' takes no value", arg->name);
        return add_option(c, arg, NULL);
    }
    if (equals) return add_option(c, arg, equals + 1);
    if (*i + 1 >= argc || strncmp(argv[*i + 1], "--", 2) == 0)
        return cli_usage(c, "option '--%s' needs a value: --%s %s", arg->name, arg->name,
                         arg->value);
    return add_option(c, arg, argv[++*i]);
}

static int read_short(cli *c, const char *text)
{
    if (strcmp(text, "-h") == 0) return add_option(c, cli_option_find(NULL, "help"), NULL);
    return cli_usage(c, "unknown option '%.60s'; options are written '--name'", text);
}

static int unknown_command(cli *c, const char *word)
{
    nnd_suggest near;
    nnd_suggest_begin(&near, word);
    for (size_t i = 0; i < cli_command_count; i++)
        nnd_suggest_offer(&near, cli_commands[i].name);
    if (near.best)
        return cli_usage(c, "unknown command '%.60s' (did you mean '%s'?)", word, near.best);
    return cli_usage(c, "unknown command '%.60s'", word);
}

/* Whether a command of two words begins with this one. */
static bool begins_command(const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; i < cli_command_count; i++)
        if (strncmp(cli_commands[i].name, word, n) == 0 && cli_commands[i].name[n] == ' ')
            return true;
    return false;
}

/* The word at argv[*i], and the one behind it when the command has two. */
static int read_command(cli *c, int argc, char **argv, int *i)
{
    char both[64];
    const char *word = argv[*i];
    c->command = cli_command_find(word);
    if (c->command) return CLI_OK;
    if (!begins_command(word)) return unknown_command(c, word);
    if (*i + 1 >= argc || argv[*i + 1][0] == '-')
        return cli_usage(c, "'%s' needs a second word; 'nndeploy help' lists the commands", word);
    snprintf(both, sizeof both, "%s %.40s", word, argv[*i + 1]);
    c->command = cli_command_find(both);
    if (!c->command) return unknown_command(c, both);
    ++*i;
    return CLI_OK;
}

static int add_operand(cli *c, const char *value)
{
    size_t room = c->command->operand_count;
    bool many = room && c->command->operands[room - 1].flags & CLI_REPEAT;
    if (!many && c->operands.count >= room)
        return cli_usage(c, "'%.60s' is too much: the command takes %zu argument%s", value, room,
                         room == 1 ? "" : "s");
    if (!value[0]) return cli_usage(c, "an argument is empty");
    if (!nnd_utf8_valid(value, strlen(value)))
        return cli_usage(c, "an argument is not valid UTF-8");
    return nnd_vec_push(&c->operands, value) ? CLI_OK : cli_fail(c, cli_no_memory(), NULL);
}

static int check_complete(cli *c)
{
    if (!c->command || cli_has(c, "help")) return CLI_OK;
    for (size_t i = c->operands.count; i < c->command->operand_count; i++)
        if (c->command->operands[i].flags & CLI_REQUIRED)
            return cli_usage(c, "%s is missing: %s", c->command->operands[i].name,
                             c->command->operands[i].text);
    for (size_t i = 0; i < c->command->option_count; i++) {
        const cli_arg *arg = &c->command->options[i];
        if (arg->flags & CLI_REQUIRED && !cli_has(c, arg->name))
            return cli_usage(c, "option '--%s %s' is missing", arg->name, arg->value);
    }
    return CLI_OK;
}

int cli_parse(cli *c, int argc, char **argv)
{
    bool options_end = false;
    /* Failures are reported as JSON also when they come before the option is reached. */
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--json") == 0) c->json = true;
    for (int i = 1; i < argc; i++) {
        int code;
        if (!options_end && strcmp(argv[i], "--") == 0) {
            options_end = true;
            continue;
        }
        if (!options_end && strncmp(argv[i], "--", 2) == 0)
            code = strcmp(argv[i], "--version") == 0 && !c->command
                       ? (c->command = cli_command_find("version"), CLI_OK)
                       : read_option(c, argc, argv, &i);
        else if (!options_end && argv[i][0] == '-' && argv[i][1])
            code = read_short(c, argv[i]);
        else if (!c->command)
            code = read_command(c, argc, argv, &i);
        else
            code = add_operand(c, argv[i]);
        if (code != CLI_OK) return code;
    }
    return check_complete(c);
}

/* ---- asking ------------------------------------------------------------------------------ */

const char *cli_nth(const cli *c, const char *option, size_t index)
{
    for (size_t i = 0; i < c->options.count; i++)
        if (strcmp(c->options.items[i].arg->name, option) == 0 && index-- == 0)
            return c->options.items[i].value;
    return NULL;
}

size_t cli_count(const cli *c, const char *option)
{
    size_t count = 0;
    for (size_t i = 0; i < c->options.count; i++)
        count += strcmp(c->options.items[i].arg->name, option) == 0;
    return count;
}

bool cli_has(const cli *c, const char *option)
{
    return cli_count(c, option) > 0;
}

const char *cli_text(const cli *c, const char *option, const char *fallback)
{
    size_t count = cli_count(c, option);
    return count ? cli_nth(c, option, count - 1) : fallback;
}

int64_t cli_int(const cli *c, const char *option, int64_t fallback)
{
    const char *text = cli_text(c, option, NULL);
    if (text) nnd_parse_int(text, &fallback);
    return fallback;
}

double cli_number(const cli *c, const char *option, double fallback)
{
    const char *text = cli_text(c, option, NULL);
    if (text) nnd_parse_double(text, &fallback);
    return fallback;
}

const char *cli_operand(const cli *c, size_t index)
{
    return index < c->operands.count ? c->operands.items[index] : NULL;
}

int cli_split_pair(cli *c, const char *option, const char *pair, const char *const *names,
                   size_t count, const char **value)
{
    int best = -1;
    size_t best_size = 0;
    for (size_t i = 0; i < count; i++) {
        size_t n = strlen(names[i]);
        if (strncmp(pair, names[i], n) == 0 && pair[n] == '=' && (best < 0 || n > best_size)) {
            best = (int)i;
            best_size = n;
        }
    }
    if (best >= 0) {
        *value = pair + best_size + 1;
        return best;
    }
    char name[80];
    nnd_str known = {0};
    snprintf(name, sizeof name, "%.*s", (int)(strcspn(pair, "=") < 70 ? strcspn(pair, "=") : 70),
             pair);
    const char *near = nnd_suggest_from(name, names, count);
    for (size_t i = 0; i < count; i++)
        nnd_str_printf(&known, "%s'%s'", i ? ", " : "", names[i]);
    if (near)
        cli_usage(c, "option '--%s': there is no '%s' (did you mean '%s'?)", option, name, near);
    else
        cli_usage(c, "option '--%s': there is no '%s'; there %s %s", option, name,
                  count == 1 ? "is" : "are", count && known.data ? known.data : "none");
    nnd_str_free(&known);
    return -1;
}
