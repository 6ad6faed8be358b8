/* Processor count, memory figures, environment, randomness and modules on POSIX systems. */
#include "port/internal.h"

#if !defined(_WIN32)

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif
#if defined(__linux__)
#include <sched.h>
#include <sys/random.h>

static uint32_t affinity_count(void)
{
    /* The kernel refuses a mask smaller than its own, so grow until it fits. */
    for (int bits = 1024; bits <= 1 << 18; bits *= 2) {
        cpu_set_t *set = CPU_ALLOC((size_t)bits);
        if (!set) break;
        size_t size = CPU_ALLOC_SIZE((size_t)bits);
        int rc = sched_getaffinity(0, size, set);
        int count = rc == 0 ? CPU_COUNT_S(size, set) : 0;
        int code = errno;
        CPU_FREE(set);
        if (rc == 0) return count > 0 ? (uint32_t)count : 1;
        if (code != EINVAL) break;
    }
    return 0;
}

static bool read_small(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t n = read(fd, text, size - 1);
    close(fd);
    if (n < 0) return false;
    text[n] = '\0';
    return true;
}

/* "<quota> <period>" of cgroup v2; "max" means no limit. */
static uint32_t quota_v2(const char *folder)
{
    char path[512], text[64];
    if (snprintf(path, sizeof(path), "%s/cpu.max", folder) >= (int)sizeof(path)) return 0;
    if (!read_small(path, text, sizeof(text))) return 0;
    char *end;
    long long quota = strtoll(text, &end, 10);
    if (end == text || quota <= 0) return 0;
    long long period = strtoll(end, NULL, 10);
    return period > 0 ? (uint32_t)((quota + period - 1) / period) : 0;
}

static uint32_t quota_v1(const char *folder)
{
    char path[512], text[64];
    if (snprintf(path, sizeof(path), "%s/cpu.cfs_quota_us", folder) >= (int)sizeof(path)) return 0;
    if (!read_small(path, text, sizeof(text))) return 0;
    long long quota = strtoll(text, NULL, 10);
    if (quota <= 0) return 0;
    snprintf(path, sizeof(path), "%s/cpu.cfs_period_us", folder);
    if (!read_small(path, text, sizeof(text))) return 0;
    long long period = strtoll(text, NULL, 10);
    return period > 0 ? (uint32_t)((quota + period - 1) / period) : 0;
}

static void lower(uint32_t *count, uint32_t quota)
{
    if (quota > 0 && quota < *count) *count = quota;
}

/* Applies the quota of a group and of every group above it. */
static void lower_by_group(uint32_t *count, const char *root, const char *group,
                           uint32_t (*quota)(const char *folder))
{
    char folder[512];
    int n = snprintf(folder, sizeof(folder), "%s%s", root, strcmp(group, "/") == 0 ? "" : group);
    if (n < 0 || n >= (int)sizeof(folder)) return;
    size_t stop = strlen(root);
    for (;;) {
        lower(count, quota(folder));
        char *slash = strrchr(folder, '/');
        if (strlen(folder) <= stop || !slash || (size_t)(slash - folder) < stop) return;
        *slash = '\0';
    }
}

/* True when "cpu" is one of the comma-separated controllers. */
static bool has_cpu_controller(const char *controllers)
{
    size_t n = strlen("cpu");
    for (const char *at = controllers; *at;) {
        const char *end = at + strcspn(at, ",");
        if ((size_t)(end - at) == n && memcmp(at, "cpu", n) == 0) return true;
        at = *end ? end + 1 : end;
    }
    return false;
}

/* Lines of /proc/self/cgroup are "id:controllers:group"; version 2 has no controllers. */
static uint32_t cgroup_lower(uint32_t count)
{
    char text[8192];
    if (!read_small("/proc/self/cgroup", text, sizeof(text))) return count;
    char *next = NULL;
    for (char *line = strtok_r(text, "\n", &next); line; line = strtok_r(NULL, "\n", &next)) {
        char *controllers = strchr(line, ':');
        if (!controllers) continue;
        char *group = strchr(++controllers, ':');
        if (!group) continue;
        *group++ = '\0';
        if (controllers[0] == '\0') {
            lower_by_group(&count, "/sys/fs/cgroup", group, quota_v2);
        } else if (has_cpu_controller(controllers)) {
            lower_by_group(&count, "/sys/fs/cgroup/cpu", group, quota_v1);
            lower(&count, quota_v1("/sys/fs/cgroup/cpu")); /* as seen inside a container */
        }
    }
    return count;
}

uint32_t nnd_port_cpu_count(void)
{
    uint32_t count = affinity_count();
    if (count == 0) {
        long online = sysconf(_SC_NPROCESSORS_ONLN);
        count = online > 0 ? (uint32_t)online : 1;
    }
    return cgroup_lower(count);
}

int nnd_port_random(void *data, size_t size)
{
    char *at = data;
    while (size > 0) {
        ssize_t n = getrandom(at, size, 0);
        if (n < 0) {
            if (errno == EINTR) continue;
            return nnd_port_from_errno(errno);
        }
        at += n;
        size -= (size_t)n;
    }
    return 0;
}

#else

uint32_t nnd_port_cpu_count(void)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (uint32_t)online : 1;
}

int nnd_port_random(void *data, size_t size)
{
    int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return nnd_port_from_errno(errno);
    char *at = data;
    int rc = 0;
    while (size > 0 && rc == 0) {
        ssize_t n = read(fd, at, size);
        if (n > 0) {
            at += n;
            size -= (size_t)n;
        } else if (n == 0 || errno != EINTR) {
            rc = NND_PORT_E_IO;
        }
    }
    close(fd);
    return rc;
}

#endif

#if defined(__linux__)
/* The mark of this program's own memory; 0 when the kernel does not tell. getrusage would also
   count what the parent had before it started us. */
static uint64_t peak_of_program(void)
{
    char line[128];
    unsigned long long kilobytes = 0;
    FILE *file = fopen("/proc/self/status", "re");
    if (!file) return 0;
    while (!kilobytes && fgets(line, sizeof line, file))
        if (strncmp(line, "VmHWM:", 6) == 0) kilobytes = strtoull(line + 6, NULL, 10);
    fclose(file);
    return (uint64_t)kilobytes * 1024;
}
#endif

uint64_t nnd_port_peak_memory(void)
{
    struct rusage usage;
#if defined(__linux__)
    uint64_t peak = peak_of_program();
    if (peak) return peak;
#endif
    if (getrusage(RUSAGE_SELF, &usage) != 0 || usage.ru_maxrss < 0) return 0;
#if defined(__APPLE__)
    return (uint64_t)usage.ru_maxrss;
#else
    return (uint64_t)usage.ru_maxrss * 1024;
#endif
}

size_t nnd_port_page_size(void)
{
    long size = sysconf(_SC_PAGESIZE);
    return size > 0 ? (size_t)size : 4096;
}

#if defined(__linux__) && defined(MADV_HUGEPAGE)
/* Those above pages of 16 or 64 KiB are of 32 MiB and more: too large to be of use here. */
size_t nnd_port_large_page_size(void)
{
    return nnd_port_page_size() == 4096 ? (size_t)2 << 20 : 0;
}

void nnd_port_use_large_pages(void *data, size_t size)
{
    size_t page = nnd_port_large_page_size();
    uintptr_t from = (uintptr_t)data, to = from + size;
    if (!page) return;
    from = (from + page - 1) / page * page;
    to = to / page * page;
    if (from < to) (void)madvise((void *)from, to - from, MADV_HUGEPAGE);
}
#else
size_t nnd_port_large_page_size(void)
{
    return 0;
}

void nnd_port_use_large_pages(void *data, size_t size)
{
    (void)data, (void)size;
}
#endif

void nnd_port_trim_memory(void)
{
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}

int nnd_port_env_dup(const char *name, char **out)
{
    const char *value = getenv(name);
    if (!value) return NND_PORT_E_NOT_FOUND;
    char *copy = nnd_port_copy_text(value, strlen(value));
    if (!copy) return NND_PORT_E_MEMORY;
    *out = copy;
    return 0;
}

int nnd_port_env_set(const char *name, const char *value)
{
    int rc = value ? setenv(name, value, 1) : unsetenv(name);
    return rc == 0 ? 0 : nnd_port_from_errno(errno);
}

struct nnd_port_module {
    void *handle;
};

int nnd_port_module_open(const char *path, nnd_port_module **out, char *reason, size_t size)
{
    if (reason && size) reason[0] = '\0';
    nnd_port_module *module = nnd_port_alloc(sizeof(*module));
    if (!module) return NND_PORT_E_MEMORY;
    module->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!module->handle) {
        const char *text = dlerror();
        if (reason && size) snprintf(reason, size, "%s", text ? text : "unknown error");
        nnd_port_free(module);
        return strchr(path, '/') && !nnd_port_file_exists(path) ? NND_PORT_E_NOT_FOUND
                                                                : NND_PORT_E_IO;
    }
    *out = module;
    return 0;
}

void *nnd_port_module_symbol(nnd_port_module *module, const char *name)
{
    return dlsym(module->handle, name);
}

void nnd_port_module_close(nnd_port_module *module)
{
    if (!module) return;
    dlclose(module->handle);
    nnd_port_free(module);
}

uint64_t nnd_port_process_id(void)
{
    return (uint64_t)getpid();
}

#endif
