/* Child processes on Windows. Descriptors cannot be handed down. */
#include "port/internal.h"

#if defined(_WIN32)

#include <string.h>
#include <wchar.h>
#include <windows.h>

static int last_error(void)
{
    return nnd_port_from_win32(GetLastError());
}

struct nnd_port_process {
    HANDLE handle;
};

typedef struct command_line {
    char *text;
    size_t size;
    bool failed;
} command_line;

static void add(command_line *line, char c, size_t times)
{
    char *grown = line->failed ? NULL : nnd_port_realloc(line->text, line->size + times + 1);
    if (!grown) {
        line->failed = true;
        return;
    }
    memset(grown + line->size, c, times);
    line->text = grown;
    line->size += times;
    grown[line->size] = '\0';
}

/* Quotes one argument so that the C runtime of the child splits it the same way: backslashes
   count only in front of a quote. */
static void add_argument(command_line *line, const char *argument)
{
    if (line->size) add(line, ' ', 1);
    add(line, '"', 1);
    size_t slashes = 0;
    for (const char *at = argument; *at; at++) {
        if (*at == '\\') {
            slashes++;
            continue;
        }
        add(line, '\\', *at == '"' ? 2 * slashes + 1 : slashes);
        slashes = 0;
        add(line, *at, 1);
    }
    add(line, '\\', 2 * slashes);
    add(line, '"', 1);
}

/* The same variable; Windows ignores the case of names. Both are "NAME=value". */
static bool same_variable(const wchar_t *a, const wchar_t *b)
{
    size_t size = wcscspn(a, L"=");
    return wcscspn(b, L"=") == size && _wcsnicmp(a, b, size) == 0;
}

/* Appends one entry and keeps the empty one behind it that ends the block. */
static bool append_entry(wchar_t **block, size_t *used, const wchar_t *entry)
{
    size_t size = wcslen(entry) + 1;
    wchar_t *grown = nnd_port_realloc(*block, (*used + size + 1) * sizeof(wchar_t));
    if (!grown) return false;
    memcpy(grown + *used, entry, size * sizeof(wchar_t));
    *block = grown;
    *used += size;
    grown[*used] = L'\0';
    return true;
}

/* The environment of this process without the variables that are replaced, and the additions. */
static wchar_t *merge_environment(const char *const *added)
{
    wchar_t *block = NULL, *current = GetEnvironmentStringsW();
    size_t used = 0;
    bool fine = current != NULL;
    for (size_t k = 0; fine && added[k]; k++) {
        wchar_t *entry = nnd_port_wide(added[k]);
        fine = entry && append_entry(&block, &used, entry);
        nnd_port_free(entry);
    }
    size_t added_end = used;
    for (wchar_t *at = current; fine && *at; at += wcslen(at) + 1) {
        bool replaced = false;
        for (size_t k = 0; k < added_end && !replaced; k += wcslen(block + k) + 1)
            replaced = same_variable(at, block + k);
        if (!replaced) fine = append_entry(&block, &used, at);
    }
    if (current) FreeEnvironmentStringsW(current);
    if (fine) return block;
    nnd_port_free(block);
    return NULL;
}

static int start_child(wchar_t *line, wchar_t *environment, HANDLE *out)
{
    STARTUPINFOW startup = {0};
    PROCESS_INFORMATION info = {0};
    startup.cb = sizeof(startup);
    DWORD flags = environment ? CREATE_UNICODE_ENVIRONMENT : 0;
    if (!CreateProcessW(NULL, line, NULL, NULL, FALSE, flags, environment, NULL, &startup, &info))
        return last_error();
    CloseHandle(info.hThread);
    *out = info.hProcess;
    return 0;
}

int nnd_port_process_spawn(const nnd_port_spawn *spawn, nnd_port_process **out)
{
    if (!spawn->argv || !spawn->argv[0]) return NND_PORT_E_INVALID;
    if (spawn->fd_count > 0) return NND_PORT_E_UNSUPPORTED;
    bool extends = spawn->env && spawn->env[0];
    command_line line = {0};
    for (size_t i = 0; spawn->argv[i]; i++)
        add_argument(&line, spawn->argv[i]);
    wchar_t *wide = line.failed ? NULL : nnd_port_wide(line.text);
    nnd_port_free(line.text);
    wchar_t *environment = extends ? merge_environment(spawn->env) : NULL;
    nnd_port_process *process = nnd_port_alloc(sizeof(*process));
    int rc = NND_PORT_E_MEMORY;
    if (process && wide && (environment || !extends))
        rc = start_child(wide, environment, &process->handle);
    nnd_port_free(environment);
    nnd_port_free(wide);
    if (rc)
        nnd_port_free(process);
    else
        *out = process;
    return rc;
}

int nnd_port_process_wait(nnd_port_process *process, int64_t deadline, int *exit_code)
{
    for (;;) {
        DWORD ms = INFINITE, code;
        int64_t left = deadline < 0 ? 0 : deadline - nnd_port_now();
        if (deadline != NND_PORT_FOREVER)
            ms = left <= 0 ? 0 : left / 1000000 >= 1000000 ? 1000000 : (DWORD)(left / 1000000 + 1);
        DWORD result = WaitForSingleObject(process->handle, ms);
        if (result == WAIT_OBJECT_0) {
            if (!GetExitCodeProcess(process->handle, &code)) return last_error();
            if (exit_code) *exit_code = (int)code;
            return 0;
        }
        if (result != WAIT_TIMEOUT) return last_error();
        if (deadline < 0 || nnd_port_now() >= deadline) return NND_PORT_E_TIMEOUT;
    }
}

int nnd_port_process_kill(nnd_port_process *process, bool hard)
{
    (void)hard;
    if (WaitForSingleObject(process->handle, 0) == WAIT_OBJECT_0) return 0;
    return TerminateProcess(process->handle, 128 + 9) ? 0 : last_error();
}

void nnd_port_process_destroy(nnd_port_process *process)
{
    if (!process) return;
    if (WaitForSingleObject(process->handle, 0) != WAIT_OBJECT_0) {
        TerminateProcess(process->handle, 128 + 9);
        WaitForSingleObject(process->handle, INFINITE);
    }
    CloseHandle(process->handle);
    nnd_port_free(process);
}

#endif
