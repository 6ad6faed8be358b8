/* Start and end of the nndeploy command. */
#include "cli/cli.h"

#include "base/options.h"
#include "port/port.h"

#include <errno.h>
#include <string.h>

static int dispatch(cli *c, int argc, char **argv)
{
    int code = cli_parse(c, argc, argv);
    if (code != CLI_OK) return code;
    if (cli_has(c, "json")) c->json = true;
    const char *level = cli_text(c, "log", NULL);
    if (level)
        nnd_log_set_level(
            (nnd_log_level)nnd_parse_choice(level, cli_option_find(NULL, "log")->choices));
    else
        nnd_log_get_level(); /* complains about a wrong NNDEPLOY_LOG */
    if (!c->command || cli_has(c, "help")) {
        /* Without any word the list of commands is what the user needs, but not what was asked. */
        bool asked = cli_has(c, "help");
        if (!asked) return cli_usage(c, "no command is given");
        return cli_run_help(c);
    }
    return c->command->run(c);
}

/* A reader that went away (head, less) is no failure; a full disk is. */
static int finish_output(cli *c, int code)
{
    errno = 0;
    bool failed = ferror(stdout) != 0;
    if (fflush(stdout) != 0) failed = true;
    if (!failed || errno == EPIPE) return code;
    c->json = false;
    int written = cli_fail(c, nnd_error_set(NND_E_IO, "cannot write to standard output"), NULL);
    return code == CLI_OK ? written : code;
}

int main(int argc, char **argv)
{
    cli c = {0};
    nnd_port_ignore_broken_pipe();
    int code = finish_output(&c, dispatch(&c, argc, argv));
    cli_watch_end();
    nnd_json_writer_destroy(c.w);
    nnd_vec_free(&c.options);
    nnd_vec_free(&c.operands);
    nnd_error_clear();
    return code;
}
