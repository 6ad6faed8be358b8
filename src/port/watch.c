/*
 * File watch. What the system reports is only the reason to look: what counts is whether the state
 * of a path (present, size, time, inode) differs from the one seen last. So a lost or repeated
 * notice does no harm, and systems without notices just look every 250 ms.
 */
#include "port/internal.h"

#include <string.h>

#if defined(__linux__)
#include <errno.h>
#include <sys/inotify.h>
#include <unistd.h>
#endif

enum { LOOK_EVERY_NS = 250 * 1000 * 1000 };

typedef struct watched {
    char *path;
    bool present;
    nnd_port_file_info seen;
} watched;

struct nnd_port_watch {
    watched *items;
    size_t count;
    size_t capacity;
    size_t next; /* where the next look starts, so that no path starves another */
    nnd_port_fd notices;
};

static bool look(watched *item)
{
    nnd_port_file_info now = {0};
    bool present = nnd_port_file_stat(item->path, &now) == 0;
    const nnd_port_file_info *old = &item->seen;
    bool changed = present != item->present || now.size != old->size || now.mtime != old->mtime ||
                   now.id != old->id || now.is_dir != old->is_dir;
    item->present = present;
    item->seen = now;
    return changed;
}

int nnd_port_watch_create(nnd_port_watch **out)
{
    nnd_port_watch *watch = nnd_port_alloc(sizeof(*watch));
    if (!watch) return NND_PORT_E_MEMORY;
    memset(watch, 0, sizeof(*watch));
    watch->notices = NND_PORT_NO_FD;
#if defined(__linux__)
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (fd >= 0) watch->notices = fd;
#endif
    *out = watch;
    return 0;
}

void nnd_port_watch_destroy(nnd_port_watch *watch)
{
    if (!watch) return;
    for (size_t i = 0; i < watch->count; i++)
        nnd_port_free(watch->items[i].path);
    nnd_port_free(watch->items);
    nnd_port_fd_close(watch->notices);
    nnd_port_free(watch);
}

#if defined(__linux__)

/* The folder is watched, as a file that is replaced by rename takes its own watch along. */
static int subscribe(nnd_port_watch *watch, const char *path)
{
    if (watch->notices == NND_PORT_NO_FD) return 0;
    const uint32_t mask = IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB | IN_CREATE | IN_DELETE |
                          IN_MOVED_FROM | IN_MOVED_TO;
    const char *slash = strrchr(path, '/');
    char *folder = slash ? nnd_port_copy_text(path, slash == path ? 1 : (size_t)(slash - path))
                         : nnd_port_copy_text(".", 1);
    if (!folder) return NND_PORT_E_MEMORY;
    bool fine = inotify_add_watch((int)watch->notices, folder, mask) >= 0;
    if (fine && nnd_port_dir_exists(path))
        fine = inotify_add_watch((int)watch->notices, path, mask) >= 0;
    int code = errno;
    nnd_port_free(folder);
    if (fine) return 0;
    if (code == ENOENT || code == ENOTDIR) return nnd_port_from_errno(code);
    /* The user's watches are used up: fall back to looking. */
    nnd_port_fd_close(watch->notices);
    watch->notices = NND_PORT_NO_FD;
    return 0;
}

static void wait_for_notice(nnd_port_watch *watch, int64_t deadline)
{
    nnd_port_poll item = {watch->notices, NND_PORT_POLL_IN, 0};
    char events[4096];
    if (nnd_port_poll_wait(&item, 1, deadline, NULL)) return;
    while (read((int)watch->notices, events, sizeof(events)) > 0) {}
}

#else

static int subscribe(nnd_port_watch *watch, const char *path)
{
    (void)watch;
    (void)path;
    return 0;
}

static void wait_for_notice(nnd_port_watch *watch, int64_t deadline)
{
    (void)watch;
    (void)deadline;
}

#endif

int nnd_port_watch_add(nnd_port_watch *watch, const char *path, size_t *id)
{
    if (watch->count == watch->capacity) {
        size_t wanted = watch->capacity ? watch->capacity * 2 : 8;
        watched *grown = nnd_port_realloc(watch->items, wanted * sizeof(*grown));
        if (!grown) return NND_PORT_E_MEMORY;
        watch->items = grown;
        watch->capacity = wanted;
    }
    watched item = {0};
    item.path = nnd_port_copy_text(path, strlen(path));
    if (!item.path) return NND_PORT_E_MEMORY;
    int rc = subscribe(watch, path);
    if (rc) {
        nnd_port_free(item.path);
        return rc;
    }
    look(&item);
    *id = watch->count;
    watch->items[watch->count++] = item;
    return 0;
}

int nnd_port_watch_wait(nnd_port_watch *watch, int64_t deadline, size_t *id)
{
    for (;;) {
        for (size_t i = 0; i < watch->count; i++) {
            size_t at = (watch->next + i) % watch->count;
            if (!look(&watch->items[at])) continue;
            watch->next = at + 1;
            *id = at;
            return 0;
        }
        int64_t now = nnd_port_now();
        if (now >= deadline) return NND_PORT_E_TIMEOUT;
        if (watch->notices != NND_PORT_NO_FD) {
            wait_for_notice(watch, deadline);
        } else {
            int64_t pause = deadline - now;
            nnd_port_sleep(pause < LOOK_EVERY_NS ? pause : LOOK_EVERY_NS);
        }
    }
}
