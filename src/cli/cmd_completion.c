/* Completion scripts for shells, made from the tables. */
#include "cli/cli.h"

#include "base/options.h"

#include <string.h>

/* The word by which a shell names a command: "bench model" completes as "bench", then "model". */
static bool first_of_word(size_t index)
{
    size_t n = strcspn(cli_commands[index].name, " ");
    for (size_t i = 0; i < index; i++)
        if (strncmp(cli_commands[i].name, cli_commands[index].name, n) == 0 &&
            strcspn(cli_commands[i].name, " ") == n)
            return false;
    return true;
}

/* The number of bytes of a command's first word. */
static int word_size(size_t index)
{
    return (int)strcspn(cli_commands[index].name, " ");
}

/* Whether command k has two words, the first one that of command i. */
static bool in_group(size_t i, size_t k)
{
    int n = word_size(i);
    return word_size(k) == n && cli_commands[k].name[n] == ' ' &&
           strncmp(cli_commands[i].name, cli_commands[k].name, (size_t)n) == 0;
}

/* The second words of the group that command i begins. */
static void add_group_words(nnd_str *out, size_t i)
{
    const char *separator = "";
    for (size_t k = i; k < cli_command_count; k++) {
        if (!in_group(i, k)) continue;
        nnd_str_printf(out, "%s%s", separator, cli_commands[k].name + word_size(k) + 1);
        separator = " ";
    }
}

static void add_words(nnd_str *out, const char *choices)
{
    for (; *choices; choices++)
        nnd_str_add_char(out, *choices == '|' ? ' ' : *choices);
}

static const char *second_word(const cli_command *command)
{
    const char *blank = strchr(command->name, ' ');
    return blank ? blank + 1 : NULL;
}

/* ---- bash -------------------------------------------------------------------------------- */

static const char *const bash_head =
    "# bash completion for nndeploy; load it with: source <(nndeploy completion bash)\n"
    "_nndeploy() {\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= what= word "
    "i\n"
    "    COMPREPLY=()\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        word=${COMP_WORDS[i]}\n"
    "        [[ $word == -* ]] && continue\n"
    "        [[ $command ]] && { what=$word; break; }\n"
    "        command=$word\n"
    "    done\n";

static void bash_values(nnd_str *out, const cli_arg *args, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const cli_arg *arg = &args[i];
        if (arg->kind == CLI_FLAG) continue;
        nnd_str_printf(out, "        --%s) ", arg->name);
        if (arg->kind == CLI_CHOICE) {
            nnd_str_add(out, "COMPREPLY=($(compgen -W '");
            add_words(out, arg->choices);
            nnd_str_add(out, "' -- \"$cur\")); return ;;\n");
        } else if (arg->kind == CLI_FOLDER) {
            nnd_str_add(out, "COMPREPLY=($(compgen -d -- \"$cur\")); return ;;\n");
        } else if (arg->kind == CLI_FILE) {
            nnd_str_add(out, "COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n");
        } else if (arg->kind == CLI_PAIR) {
            nnd_str_add(out, "COMPREPLY=($(compgen -f -- \"${cur#*=}\")); return ;;\n");
        } else {
            nnd_str_add(out, "return ;;\n");
        }
    }
}

static void bash_options(nnd_str *out, const cli_command *command)
{
    for (size_t i = 0; i < command->option_count; i++)
        nnd_str_printf(out, "--%s ", command->options[i].name);
    for (size_t i = 0; i < cli_common_option_count; i++)
        nnd_str_printf(out, "%s--%s", i ? " " : "", cli_common_options[i].name);
}

/* What an operand offers besides files. */
static void bash_operand(nnd_str *out, const cli_command *command)
{
    for (size_t i = 0; i < command->operand_count; i++) {
        const cli_arg *arg = &command->operands[i];
        if (arg->kind == CLI_CHOICE) {
            nnd_str_add_char(out, ' ');
            add_words(out, arg->choices);
        } else if (arg->kind == CLI_COMMAND) {
            for (size_t k = 0; k < cli_command_count; k++)
                if (first_of_word(k))
                    nnd_str_printf(out, " %.*s", (int)strcspn(cli_commands[k].name, " "),
                                   cli_commands[k].name);
        } else if (arg->kind == CLI_NODE_TYPE) {
            nnd_str_add(out, "$(nndeploy nodes 2>/dev/null | sed -n 's/^  \\([^@ ]*\\).*/ \\1/p')");
        }
    }
}

static bool takes_files(const cli_command *command)
{
    for (size_t i = 0; i < command->operand_count; i++)
        if (command->operands[i].kind == CLI_FILE) return true;
    return false;
}

static void bash_command(nnd_str *out, const cli_command *command)
{
    nnd_str_add(out, "        case $prev in\n");
    bash_values(out, command->options, command->option_count);
    nnd_str_add(out, "        esac\n        word=\"");
    bash_options(out, command);
    bash_operand(out, command);
    nnd_str_add(out, "\"\n");
    if (takes_files(command))
        nnd_str_add(out, "        [[ $cur == -* ]] || COMPREPLY=($(compgen -f -- \"$cur\"))\n");
}

static void bash_group(nnd_str *out, size_t i)
{
    nnd_str_add(out, "        case $what in\n");
    for (size_t k = i; k < cli_command_count; k++) {
        if (!in_group(i, k)) continue;
        nnd_str_printf(out, "        %s)\n", second_word(&cli_commands[k]));
        bash_command(out, &cli_commands[k]);
        nnd_str_add(out, "        ;;\n");
    }
    nnd_str_add(out, "        *) word='");
    add_group_words(out, i);
    nnd_str_add(out, "' ;;\n        esac\n");
}

static void add_bash(nnd_str *out)
{
    nnd_str_add(out, bash_head);
    nnd_str_add(out, "    case $prev in\n");
    bash_values(out, cli_common_options, cli_common_option_count);
    nnd_str_add(out, "    esac\n    case $command in\n    '') word='");
    for (size_t i = 0; i < cli_command_count; i++)
        if (first_of_word(i))
            nnd_str_printf(out, "%.*s ", (int)strcspn(cli_commands[i].name, " "),
                           cli_commands[i].name);
    nnd_str_add(out, "--help --version --json --log --plugin' ;;\n");
    for (size_t i = 0; i < cli_command_count; i++) {
        if (!first_of_word(i)) continue;
        nnd_str_printf(out, "    %.*s)\n", word_size(i), cli_commands[i].name);
        if (second_word(&cli_commands[i]))
            bash_group(out, i);
        else
            bash_command(out, &cli_commands[i]);
        nnd_str_add(out, "        ;;\n");
    }
    nnd_str_add(out, "    esac\n    COMPREPLY+=($(compgen -W \"$word\" -- \"$cur\"))\n}\n"
                     "complete -o filenames -F _nndeploy nndeploy\n");
}

/* ---- zsh --------------------------------------------------------------------------------- */

/* Texts stand in single quotes and brackets. */
static void zsh_text(nnd_str *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\'') {
            nnd_str_add(out, "'\\''");
            continue;
        }
        if (strchr("[]:\\", *text)) nnd_str_add_char(out, '\\');
        nnd_str_add_char(out, *text);
    }
}

static void zsh_action(nnd_str *out, const cli_arg *arg)
{
    nnd_str_add_char(out, '(');
    if (arg->kind == CLI_CHOICE) {
        add_words(out, arg->choices);
    } else if (arg->kind == CLI_COMMAND) {
        for (size_t i = 0; i < cli_command_count; i++)
            if (first_of_word(i))
                nnd_str_printf(out, "%s%.*s", i ? " " : "", (int)strcspn(cli_commands[i].name, " "),
                               cli_commands[i].name);
    }
    nnd_str_add_char(out, ')');
}

static void zsh_argument(nnd_str *out, const cli_arg *arg)
{
    if (arg->kind == CLI_FILE || arg->kind == CLI_PAIR)
        nnd_str_add(out, "_files");
    else if (arg->kind == CLI_FOLDER)
        nnd_str_add(out, "_files -/");
    else if (arg->kind == CLI_CHOICE || arg->kind == CLI_COMMAND)
        zsh_action(out, arg);
    else
        nnd_str_add_char(out, ' ');
}

static void zsh_options(nnd_str *out, const cli_arg *args, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        nnd_str_printf(out, " \\\n            '%s--%s[", args[i].flags & CLI_REPEAT ? "*" : "",
                       args[i].name);
        zsh_text(out, args[i].text);
        nnd_str_add_char(out, ']');
        if (args[i].value) {
            nnd_str_add_char(out, ':');
            zsh_text(out, args[i].value);
            nnd_str_add_char(out, ':');
            zsh_argument(out, &args[i]);
        }
        nnd_str_add_char(out, '\'');
    }
}

static void zsh_command(nnd_str *out, const cli_command *command)
{
    nnd_str_add(out, "        _arguments");
    zsh_options(out, command->options, command->option_count);
    zsh_options(out, cli_common_options, cli_common_option_count);
    for (size_t k = 0; k < command->operand_count; k++) {
        const cli_arg *arg = &command->operands[k];
        nnd_str_printf(out, " \\\n            '%s:%s:", arg->flags & CLI_REPEAT ? "*" : "",
                       arg->name);
        zsh_argument(out, arg);
        nnd_str_add_char(out, '\'');
    }
    nnd_str_add_char(out, '\n');
}

static void zsh_group(nnd_str *out, size_t i)
{
    nnd_str_add(out, "        if ((CURRENT == 2)); then\n            _values what ");
    add_group_words(out, i);
    nnd_str_add(out, "\n            return\n        fi\n        local what=$words[2]\n"
                     "        shift words\n        ((CURRENT--))\n        case $what in\n");
    for (size_t k = i; k < cli_command_count; k++) {
        if (!in_group(i, k)) continue;
        nnd_str_printf(out, "        %s)\n", second_word(&cli_commands[k]));
        zsh_command(out, &cli_commands[k]);
        nnd_str_add(out, "        ;;\n");
    }
    nnd_str_add(out, "        esac\n");
}

static void add_zsh(nnd_str *out)
{
    nnd_str_add(out, "#compdef nndeploy\n"
                     "# zsh completion for nndeploy; put it as _nndeploy into a folder of $fpath\n"
                     "_nndeploy() {\n    local -a commands\n    commands=(\n");
    for (size_t i = 0; i < cli_command_count; i++) {
        if (!first_of_word(i)) continue;
        nnd_str_printf(out, "        '%.*s:", (int)strcspn(cli_commands[i].name, " "),
                       cli_commands[i].name);
        zsh_text(out, cli_commands[i].text);
        nnd_str_add(out, "'\n");
    }
    nnd_str_add(out, "    )\n    if ((CURRENT == 2)); then\n"
                     "        _describe command commands\n        return\n    fi\n"
                     "    local command=$words[2]\n    shift words\n    ((CURRENT--))\n"
                     "    case $command in\n");
    for (size_t i = 0; i < cli_command_count; i++) {
        if (!first_of_word(i)) continue;
        nnd_str_printf(out, "    %.*s)\n", word_size(i), cli_commands[i].name);
        if (second_word(&cli_commands[i]))
            zsh_group(out, i);
        else
            zsh_command(out, &cli_commands[i]);
        nnd_str_add(out, "        ;;\n");
    }
    nnd_str_add(out, "    esac\n}\n_nndeploy \"$@\"\n");
}

/* ---- fish -------------------------------------------------------------------------------- */

static void fish_text(nnd_str *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\') nnd_str_add_char(out, '\\');
        nnd_str_add_char(out, *text);
    }
}

static void fish_option(nnd_str *out, const char *condition, const cli_arg *arg)
{
    nnd_str_printf(out, "complete -c nndeploy%s -l %s -d '", condition, arg->name);
    fish_text(out, arg->text);
    nnd_str_add_char(out, '\'');
    if (arg->kind == CLI_CHOICE) {
        nnd_str_add(out, " -xa '");
        add_words(out, arg->choices);
        nnd_str_add_char(out, '\'');
    } else if (arg->kind == CLI_FOLDER) {
        nnd_str_add(out, " -xa '(__fish_complete_directories)'");
    } else if (arg->kind == CLI_FILE || arg->kind == CLI_PAIR) {
        nnd_str_add(out, " -rF");
    } else if (arg->kind != CLI_FLAG) {
        nnd_str_add(out, " -x");
    }
    nnd_str_add_char(out, '\n');
}

static void add_fish(nnd_str *out)
{
    nnd_str_add(out, "# fish completion for nndeploy\n"
                     "complete -c nndeploy -n __fish_use_subcommand -f\n");
    for (size_t i = 0; i < cli_command_count; i++) {
        const cli_command *command = &cli_commands[i];
        char condition[160];
        const char *second = second_word(command);
        int word = word_size(i);
        snprintf(condition, sizeof condition, " -n '__fish_seen_subcommand_from %.*s%s%s'", word,
                 command->name, second ? "; and __fish_seen_subcommand_from " : "",
                 second ? second : "");
        if (first_of_word(i)) {
            nnd_str_printf(out, "complete -c nndeploy -n __fish_use_subcommand -a %.*s -d '", word,
                           command->name);
            fish_text(out, command->text);
            nnd_str_add(out, "'\n");
        }
        if (second && first_of_word(i)) {
            nnd_str_printf(out,
                           "complete -c nndeploy -n '__fish_seen_subcommand_from %.*s; and not ",
                           word, command->name);
            nnd_str_add(out, "__fish_seen_subcommand_from ");
            add_group_words(out, i);
            nnd_str_add(out, "' -fa '");
            add_group_words(out, i);
            nnd_str_add(out, "'\n");
        }
        for (size_t k = 0; k < command->option_count; k++)
            fish_option(out, condition, &command->options[k]);
        for (size_t k = 0; k < command->operand_count; k++) {
            if (command->operands[k].kind != CLI_CHOICE) continue;
            nnd_str_printf(out, "complete -c nndeploy%s -fa '", condition);
            add_words(out, command->operands[k].choices);
            nnd_str_add(out, "'\n");
        }
    }
    for (size_t i = 0; i < cli_common_option_count; i++)
        fish_option(out, "", &cli_common_options[i]);
}

int cli_run_completion(cli *c)
{
    nnd_str text = {0};
    int shell = nnd_parse_choice(cli_operand(c, 0), c->command->operands[0].choices);
    if (shell < 0)
        return cli_usage(c, "there is no completion for '%.60s'; there is bash, zsh and fish",
                         cli_operand(c, 0));
    static void (*const writers[])(nnd_str *) = {add_bash, add_zsh, add_fish};
    writers[shell](&text);
    int code = CLI_OK;
    if (text.failed) {
        code = cli_fail(c, cli_no_memory(), NULL);
    } else if (c->json) {
        nnd_json_writer *w = cli_json_begin(c, "completion");
        if (w) {
            cli_json_text(w, "shell", cli_operand(c, 0));
            cli_json_text(w, "script", text.data);
        }
        code = w ? cli_json_end(c, CLI_OK) : cli_fail(c, NND_E_OUT_OF_MEMORY, NULL);
    } else {
        fputs(text.data, stdout);
    }
    nnd_str_free(&text);
    return code;
}
