/* Child processes on POSIX systems. */
#include "port/internal.h"

#if !defined(_WIN32)

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/syscall.h>
#endif

extern char **environ; /* NOLINT(readability-redundant-declaration): some systems lack it */

enum { FIRST_CHILD_FD = 3, MAX_CHILD_FDS = 64 };

struct nnd_port_process {
    pid_t pid;
    bool ended;
    int exit_code;
    nnd_port_fd watch; /* becomes readable at the end, where the system has that */
};

/* The parent's environment with additions that replace variables of the same name. The strings are
   borrowed. */
static char **merge_environment(const char *const *added)
{
    size_t old = 0, extra = 0, n = 0;
    while (environ && environ[old])
        old++;
    while (added && added[extra])
        extra++;
    char **merged = nnd_port_alloc((old + extra + 1) * sizeof(char *));
    if (!merged) return NULL;
    for (size_t i = 0; i < old; i++) {
        size_t name = strcspn(environ[i], "=") + 1;
        bool replaced = false;
        for (size_t k = 0; k < extra && !replaced; k++)
            replaced = strncmp(environ[i], added[k], name) == 0;
        if (!replaced) merged[n++] = environ[i];
    }
    for (size_t k = 0; k < extra; k++)
        merged[n++] = (char *)(uintptr_t)added[k];
    merged[n] = NULL;
    return merged;
}

/* Copies the descriptors out of the way of the child's numbers, so that no dup2 in the child
   overwrites one that is still needed. */
static int lift_fds(const nnd_port_spawn *spawn, int *lifted)
{
    for (size_t i = 0; i < spawn->fd_count; i++) {
        lifted[i] = fcntl((int)spawn->fds[i], F_DUPFD_CLOEXEC, FIRST_CHILD_FD + MAX_CHILD_FDS);
        if (lifted[i] >= 0) continue;
        int rc = nnd_port_from_errno(errno);
        while (i-- > 0)
            close(lifted[i]);
        return rc;
    }
    return 0;
}

static int start_child(const nnd_port_spawn *spawn, const int *lifted, char **env, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int code = posix_spawn_file_actions_init(&actions);
    if (code) return nnd_port_from_errno(code);
    code = posix_spawnattr_init(&attributes);
    if (code) {
        posix_spawn_file_actions_destroy(&actions);
        return nnd_port_from_errno(code);
    }
    /* The child starts with an empty signal mask, whatever thread starts it. */
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    for (size_t i = 0; i < spawn->fd_count && !code; i++)
        code = posix_spawn_file_actions_adddup2(&actions, lifted[i], FIRST_CHILD_FD + (int)i);
    if (!code)
        code = posix_spawnp(pid, spawn->argv[0], &actions, &attributes,
                            (char *const *)(uintptr_t)spawn->argv, env);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return nnd_port_from_errno(code);
}

static nnd_port_fd open_watch(pid_t pid)
{
#if defined(__linux__) && defined(SYS_pidfd_open)
    long fd = syscall(SYS_pidfd_open, pid, 0);
    return fd >= 0 ? (nnd_port_fd)fd : NND_PORT_NO_FD;
#else
    (void)pid;
    return NND_PORT_NO_FD;
#endif
}

int nnd_port_process_spawn(const nnd_port_spawn *spawn, nnd_port_process **out)
{
    int lifted[MAX_CHILD_FDS] = {0};
    if (!spawn->argv || !spawn->argv[0] || spawn->fd_count > MAX_CHILD_FDS)
        return NND_PORT_E_INVALID;
    nnd_port_process *process = nnd_port_alloc(sizeof(*process));
    char **env = merge_environment(spawn->env);
    int rc = process && env ? lift_fds(spawn, lifted) : NND_PORT_E_MEMORY;
    if (rc == 0) {
        memset(process, 0, sizeof(*process));
        rc = start_child(spawn, lifted, env, &process->pid);
        for (size_t i = 0; i < spawn->fd_count; i++)
            close(lifted[i]);
    }
    nnd_port_free(env);
    if (rc) {
        nnd_port_free(process);
        return rc;
    }
    process->watch = open_watch(process->pid);
    *out = process;
    return 0;
}

/* Reaps the child if it has ended. */
static int try_reap(nnd_port_process *process, bool block)
{
    int state;
    pid_t pid;
    do {
        pid = waitpid(process->pid, &state, block ? 0 : WNOHANG);
    } while (pid < 0 && errno == EINTR);
    if (pid < 0) return nnd_port_from_errno(errno);
    if (pid == 0) return NND_PORT_E_AGAIN;
    process->ended = true;
    process->exit_code = WIFSIGNALED(state) ? 128 + WTERMSIG(state) : WEXITSTATUS(state);
    return 0;
}

int nnd_port_process_wait(nnd_port_process *process, int64_t deadline, int *exit_code)
{
    int64_t pause = 200 * 1000; /* doubles up to 10 ms where the end cannot be polled for */
    while (!process->ended) {
        int rc = try_reap(process, deadline == NND_PORT_FOREVER);
        if (rc == 0) break;
        if (rc != NND_PORT_E_AGAIN) return rc;
        int64_t now = nnd_port_now();
        if (now >= deadline) return NND_PORT_E_TIMEOUT;
        if (process->watch != NND_PORT_NO_FD) {
            nnd_port_poll item = {process->watch, NND_PORT_POLL_IN, 0};
            nnd_port_poll_wait(&item, 1, deadline, NULL);
        } else {
            nnd_port_sleep(pause < deadline - now ? pause : deadline - now);
            if (pause < 10 * 1000 * 1000) pause *= 2;
        }
    }
    if (exit_code) *exit_code = process->exit_code;
    return 0;
}

int nnd_port_process_kill(nnd_port_process *process, bool hard)
{
    if (process->ended) return 0; /* the number may belong to somebody else by now */
    if (kill(process->pid, hard ? SIGKILL : SIGTERM) == 0 || errno == ESRCH) return 0;
    return nnd_port_from_errno(errno);
}

void nnd_port_process_destroy(nnd_port_process *process)
{
    if (!process) return;
    if (!process->ended && try_reap(process, false) == NND_PORT_E_AGAIN) {
        nnd_port_process_kill(process, true);
        try_reap(process, true);
    }
    nnd_port_fd_close(process->watch);
    nnd_port_free(process);
}

#endif
