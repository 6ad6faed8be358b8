/* Processor count, memory figures, environment, randomness and modules on Windows. */
#include "port/internal.h"

#if defined(_WIN32)

#include <stdlib.h>
#include <string.h>
#include <windows.h>
/* after windows.h */
#include <ntsecapi.h>
#include <psapi.h>

static int last_error(void)
{
    return nnd_port_from_win32(GetLastError());
}

uint32_t nnd_port_cpu_count(void)
{
    DWORD_PTR mine = 0, all = 0;
    uint32_t count = 0;
    if (GetProcessAffinityMask(GetCurrentProcess(), &mine, &all))
        for (; mine; mine &= mine - 1)
            count++;
    if (count == 0) count = GetActiveProcessorCount(ALL_PROCESSOR_GROUPS);
    return count ? count : 1;
}

int nnd_port_random(void *data, size_t size)
{
    char *at = data;
    while (size > 0) {
        ULONG chunk = size < (1u << 20) ? (ULONG)size : (1u << 20);
        if (!RtlGenRandom(at, chunk)) return NND_PORT_E_IO;
        at += chunk;
        size -= chunk;
    }
    return 0;
}

uint64_t nnd_port_peak_memory(void)
{
    PROCESS_MEMORY_COUNTERS counters = {0};
    counters.cb = sizeof(counters);
    if (!GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof(counters))) return 0;
    return counters.PeakWorkingSetSize;
}

size_t nnd_port_page_size(void)
{
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    return info.dwPageSize;
}

/* Only processes with a special right may have them. */
size_t nnd_port_large_page_size(void)
{
    return 0;
}

void nnd_port_use_large_pages(void *data, size_t size)
{
    (void)data, (void)size;
}

void nnd_port_trim_memory(void) {}

uint64_t nnd_port_process_id(void)
{
    return GetCurrentProcessId();
}

int nnd_port_env_dup(const char *name, char **out)
{
    wchar_t *wide = nnd_port_wide(name);
    if (!wide) return NND_PORT_E_INVALID;
    int rc = NND_PORT_E_NOT_FOUND;
    DWORD room = GetEnvironmentVariableW(wide, NULL, 0); /* with the end mark, 0 = unset */
    wchar_t *value = room ? nnd_port_alloc(room * sizeof(wchar_t)) : NULL;
    if (room && !value) rc = NND_PORT_E_MEMORY;
    if (value && GetEnvironmentVariableW(wide, value, room) < room) {
        *out = nnd_port_narrow(value);
        rc = *out ? 0 : NND_PORT_E_MEMORY;
    }
    nnd_port_free(value);
    nnd_port_free(wide);
    return rc;
}

int nnd_port_env_set(const char *name, const char *value)
{
    wchar_t *wide = nnd_port_wide(name);
    wchar_t *wide_value = value ? nnd_port_wide(value) : NULL;
    int rc = NND_PORT_E_INVALID;
    if (wide && (wide_value || !value)) {
        rc = SetEnvironmentVariableW(wide, wide_value) ? 0 : last_error();
        /* Unsetting what is not set is fine. */
        if (!value && GetLastError() == ERROR_ENVVAR_NOT_FOUND) rc = 0;
    }
    nnd_port_free(wide);
    nnd_port_free(wide_value);
    return rc;
}

/* ---- modules ---- */

struct nnd_port_module {
    HMODULE handle;
};

static void describe(unsigned long code, char *reason, size_t size)
{
    wchar_t text[256];
    if (!reason || size == 0) return;
    reason[0] = '\0';
    DWORD n = FormatMessageW(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, NULL, code,
                             0, text, 256, NULL);
    while (n > 0 && (text[n - 1] == L'\n' || text[n - 1] == L'\r'))
        text[--n] = L'\0';
    char *narrow = n ? nnd_port_narrow(text) : NULL;
    snprintf(reason, size, "%s (error %lu)", narrow ? narrow : "the loader failed", code);
    nnd_port_free(narrow);
}

int nnd_port_module_open(const char *path, nnd_port_module **out, char *reason, size_t size)
{
    nnd_port_module *module = nnd_port_alloc(sizeof(*module));
    wchar_t *wide = nnd_port_wide(path);
    if (!module || !wide) {
        nnd_port_free(module);
        nnd_port_free(wide);
        return NND_PORT_E_MEMORY;
    }
    for (wchar_t *at = wide; *at; at++)
        if (*at == L'/') *at = L'\\';
    module->handle = LoadLibraryW(wide);
    DWORD code = module->handle ? 0 : GetLastError();
    nnd_port_free(wide);
    if (code) {
        describe(code, reason, size);
        nnd_port_free(module);
        return nnd_port_from_win32(code);
    }
    *out = module;
    return 0;
}

void *nnd_port_module_symbol(nnd_port_module *module, const char *name)
{
    return (void *)(uintptr_t)GetProcAddress(module->handle, name);
}

void nnd_port_module_close(nnd_port_module *module)
{
    if (!module) return;
    FreeLibrary(module->handle);
    nnd_port_free(module);
}

#endif
