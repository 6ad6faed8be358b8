/* Ctrl-C on Windows; broken pipes are ordinary write errors there. */
#include "port/internal.h"

#if defined(_WIN32)

#include <windows.h>

static void (*volatile interrupt_handler)(void);

/* Runs in a thread of its own that the system starts. */
static BOOL WINAPI on_control(DWORD event)
{
    void (*handler)(void) = interrupt_handler;
    if (!handler || (event != CTRL_C_EVENT && event != CTRL_BREAK_EVENT)) return FALSE;
    handler();
    return TRUE;
}

int nnd_port_on_interrupt(void (*handler)(void))
{
    bool installed = interrupt_handler != NULL;
    interrupt_handler = handler;
    if (installed == (handler != NULL)) return 0;
    if (SetConsoleCtrlHandler(on_control, handler != NULL)) return 0;
    return nnd_port_from_win32(GetLastError());
}

void nnd_port_ignore_broken_pipe(void) {}

#endif
