/* Ctrl-C and broken pipes on POSIX systems. */
#include "port/internal.h"

#if !defined(_WIN32)

#include <signal.h>
#include <string.h>

static void (*volatile interrupt_handler)(void);

static void on_signal(int number)
{
    (void)number;
    void (*handler)(void) = interrupt_handler;
    if (handler) handler();
}

static int install(int number, void (*function)(int))
{
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = function;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    return sigaction(number, &action, NULL) == 0 ? 0 : NND_PORT_E_INVALID;
}

/* nohup means that the end of the terminal is not the end of the work. */
static bool is_ignored(int number)
{
    struct sigaction action;
    return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

int nnd_port_on_interrupt(void (*handler)(void))
{
    interrupt_handler = handler;
    void (*function)(int) = handler ? on_signal : SIG_DFL;
    int rc = install(SIGINT, function);
    if (rc == 0) rc = install(SIGTERM, function);
    if (rc == 0 && !is_ignored(SIGHUP)) rc = install(SIGHUP, function);
    return rc;
}

void nnd_port_ignore_broken_pipe(void)
{
    install(SIGPIPE, SIG_IGN);
}

#endif
