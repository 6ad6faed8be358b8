/* Files, folders and paths on POSIX systems. */
#include "port/internal.h"

#if !defined(_WIN32)

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__APPLE__)
#include <mach-o/dyld.h>
#define st_mtim st_mtimespec
#define st_ctim st_ctimespec
#endif

static int64_t time_ns(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void fill_info(const struct stat *st, nnd_port_file_info *out)
{
    out->is_dir = S_ISDIR(st->st_mode);
    out->is_file = S_ISREG(st->st_mode);
    out->size = out->is_dir || st->st_size < 0 ? 0 : (uint64_t)st->st_size;
    out->mtime = time_ns(st->st_mtim);
    out->changed = time_ns(st->st_ctim);
    out->id = (uint64_t)st->st_ino;
}

int nnd_port_file_stat(const char *path, nnd_port_file_info *out)
{
    struct stat st;
    if (stat(path, &st) != 0) return nnd_port_from_errno(errno);
    fill_info(&st, out);
    return 0;
}

int nnd_port_file_touch(const char *path)
{
    return utimensat(AT_FDCWD, path, NULL, 0) == 0 ? 0 : nnd_port_from_errno(errno);
}

int nnd_port_file_open(const char *path, const char *mode, FILE **out)
{
    char with_cloexec[8];
    size_t n = strlen(mode);
    if (n + 2 > sizeof(with_cloexec)) return NND_PORT_E_INVALID;
    memcpy(with_cloexec, mode, n);
    memcpy(with_cloexec + n, "e", 2);
    FILE *stream = fopen(path, with_cloexec);
    if (!stream) return nnd_port_from_errno(errno);
    *out = stream;
    return 0;
}

static int write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        /* Some systems refuse single writes beyond 2 GiB. */
        size_t chunk = size < ((size_t)1 << 30) ? size : ((size_t)1 << 30);
        ssize_t n = write(fd, data, chunk);
        if (n < 0) {
            if (errno == EINTR) continue;
            return nnd_port_from_errno(errno);
        }
        data += n;
        size -= (size_t)n;
    }
    return 0;
}

/* What a file shall hold, and whether it is flushed to the disk. */
typedef struct content {
    const nnd_port_piece *pieces;
    size_t count;
    bool durable;
} content;

static int write_content(int fd, const content *c)
{
    int rc = 0;
    for (size_t i = 0; i < c->count && rc == 0; i++)
        rc = write_all(fd, c->pieces[i].data, c->pieces[i].size);
    return rc;
}

static int write_and_rename(int fd, const char *temp, const char *path, const content *c)
{
    int rc = write_content(fd, c);
    if (rc == 0 && c->durable && fsync(fd) != 0) rc = nnd_port_from_errno(errno);
    if (close(fd) != 0 && rc == 0) rc = nnd_port_from_errno(errno);
    if (rc == 0 && rename(temp, path) != 0) rc = nnd_port_from_errno(errno);
    return rc;
}

/* A rename is durable only after its folder is. Failure to sync a folder (some file systems refuse)
   is not an error of the write. */
static void sync_parent(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? nnd_port_copy_text(path, slash == path ? 1 : (size_t)(slash - path))
                         : nnd_port_copy_text(".", 1);
    if (!folder) return;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    nnd_port_free(folder);
}

/* Devices and pipes are not replaced: they take the bytes. */
static int write_in_place(const char *path, const content *c)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return nnd_port_from_errno(errno);
    int rc = write_content(fd, c);
    if (close(fd) != 0 && rc == 0) rc = nnd_port_from_errno(errno);
    return rc;
}

static int replace_file(const char *path, const struct stat *old, const content *c)
{
    char *temp;
    int rc = nnd_port_temp_name(path, &temp);
    if (rc) return rc;
    int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) {
        rc = nnd_port_from_errno(errno);
        nnd_port_free(temp);
        return rc;
    }
    if (old) (void)fchmod(fd, old->st_mode & 07777);
    rc = write_and_rename(fd, temp, path, c);
    if (rc)
        unlink(temp);
    else if (c->durable)
        sync_parent(path);
    nnd_port_free(temp);
    return rc;
}

int nnd_port_file_write_pieces(const char *path, const nnd_port_piece *pieces, size_t count,
                               bool durable)
{
    const content c = {pieces, count, durable};
    struct stat st, link;
    bool exists = stat(path, &st) == 0;
    if (exists && S_ISDIR(st.st_mode)) return NND_PORT_E_IS_DIR;
    if (exists && !S_ISREG(st.st_mode)) return write_in_place(path, &c);
    /* A link stays, what it names is replaced. */
    char *real = NULL;
    if (exists && lstat(path, &link) == 0 && S_ISLNK(link.st_mode)) {
        int rc = nnd_port_path_real(path, &real);
        if (rc) return rc;
    }
    int rc = replace_file(real ? real : path, exists ? &st : NULL, &c);
    nnd_port_free(real);
    return rc;
}

int nnd_port_file_rename(const char *from, const char *to)
{
    return rename(from, to) == 0 ? 0 : nnd_port_from_errno(errno);
}

int nnd_port_file_remove(const char *path)
{
    return remove(path) == 0 ? 0 : nnd_port_from_errno(errno);
}

int nnd_port_file_sync(FILE *stream)
{
    if (fflush(stream) != 0) return nnd_port_from_errno(errno);
    int rc;
    do
        rc = fsync(fileno(stream));
    while (rc != 0 && errno == EINTR);
    return rc == 0 ? 0 : nnd_port_from_errno(errno);
}

struct nnd_port_file_lock {
    int fd;
};

/* flock, not fcntl: it belongs to the open file, so it also holds between threads, and closing
   another descriptor of the file does not end it. */
int nnd_port_file_lock_try(const char *path, nnd_port_file_lock **out)
{
    nnd_port_file_lock *lock = nnd_port_alloc(sizeof *lock);
    if (!lock) return NND_PORT_E_MEMORY;
    int rc = 0;
    lock->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (lock->fd < 0)
        rc = nnd_port_from_errno(errno);
    else if (flock(lock->fd, LOCK_EX | LOCK_NB) != 0)
        rc = errno == EWOULDBLOCK ? NND_PORT_E_AGAIN : nnd_port_from_errno(errno);
    if (rc == 0) {
        *out = lock;
        return 0;
    }
    if (lock->fd >= 0) close(lock->fd);
    nnd_port_free(lock);
    return rc;
}

void nnd_port_file_unlock(nnd_port_file_lock *lock)
{
    if (!lock) return;
    close(lock->fd);
    nnd_port_free(lock);
}

static int make_one(const char *path)
{
    if (mkdir(path, 0777) == 0) return 0;
    int code = errno;
    if (code == EEXIST || code == EISDIR || code == EROFS) {
        struct stat st;
        if (stat(path, &st) == 0) return S_ISDIR(st.st_mode) ? 0 : NND_PORT_E_NOT_DIR;
    }
    return nnd_port_from_errno(code);
}

int nnd_port_dir_create(const char *path)
{
    size_t size = strlen(path);
    if (size == 0) return NND_PORT_E_INVALID;
    char *copy = nnd_port_copy_text(path, size);
    if (!copy) return NND_PORT_E_MEMORY;
    int rc = 0;
    for (size_t i = 1; i < size && rc == 0; i++) {
        if (copy[i] != '/' || copy[i - 1] == '/') continue;
        copy[i] = '\0';
        rc = make_one(copy);
        copy[i] = '/';
    }
    if (rc == 0) rc = make_one(copy);
    nnd_port_free(copy);
    return rc;
}

int nnd_port_dir_read(const char *path, nnd_port_dir_list *out)
{
    DIR *dir = opendir(path);
    if (!dir) return nnd_port_from_errno(errno);
    nnd_port_dir_list list = {0};
    size_t capacity = 0;
    int rc = 0;
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(dir);
        if (!entry) {
            if (errno) rc = nnd_port_from_errno(errno);
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        rc = nnd_port_dir_list_add(&list, &capacity, entry->d_name);
        if (rc) break;
    }
    closedir(dir);
    if (rc) {
        nnd_port_dir_list_free(&list);
        return rc;
    }
    nnd_port_sort_names(&list);
    *out = list;
    return 0;
}

static char *join(const char *folder, const char *name)
{
    size_t a = strlen(folder), b = strlen(name);
    char *path = nnd_port_alloc(a + b + 2);
    if (!path) return NULL;
    memcpy(path, folder, a);
    path[a] = '/';
    memcpy(path + a + 1, name, b + 1);
    return path;
}

int nnd_port_dir_remove_tree(const char *path)
{
    struct stat st;
    if (lstat(path, &st) != 0) return nnd_port_from_errno(errno);
    if (!S_ISDIR(st.st_mode)) return nnd_port_file_remove(path);
    nnd_port_dir_list list = {0};
    int rc = nnd_port_dir_read(path, &list);
    if (rc) return rc;
    for (size_t i = 0; i < list.count && rc == 0; i++) {
        char *child = join(path, list.names[i]);
        rc = child ? nnd_port_dir_remove_tree(child) : NND_PORT_E_MEMORY;
        nnd_port_free(child);
    }
    nnd_port_dir_list_free(&list);
    return rc ? rc : nnd_port_file_remove(path);
}

int nnd_port_path_real(const char *path, char **out)
{
    char *real = realpath(path, NULL);
    if (!real) return nnd_port_from_errno(errno);
    char *copy = nnd_port_copy_text(real, strlen(real));
    free(real);
    if (!copy) return NND_PORT_E_MEMORY;
    *out = copy;
    return 0;
}

int nnd_port_path_temp_dir(char **out)
{
    const char *folder = getenv("TMPDIR");
    if (!folder || !folder[0]) folder = "/tmp";
    char *copy = nnd_port_copy_text(folder, strlen(folder));
    if (!copy) return NND_PORT_E_MEMORY;
    *out = copy;
    return 0;
}

int nnd_port_path_current_dir(char **out)
{
    return nnd_port_path_real(".", out);
}

int nnd_port_path_executable(char **out)
{
#if defined(__APPLE__)
    char path[PATH_MAX];
    uint32_t room = sizeof(path);
    if (_NSGetExecutablePath(path, &room) != 0) return NND_PORT_E_LIMIT;
    return nnd_port_path_real(path, out);
#else
    return nnd_port_path_real("/proc/self/exe", out);
#endif
}

int nnd_port_dir_create_temp(const char *prefix, char **out)
{
    char *folder;
    int rc = nnd_port_path_temp_dir(&folder);
    if (rc) return rc;
    char *stem = join(folder, prefix);
    nnd_port_free(folder);
    if (!stem) return NND_PORT_E_MEMORY;
    char *name;
    rc = nnd_port_temp_name(stem, &name);
    nnd_port_free(stem);
    if (rc) return rc;
    if (mkdir(name, 0700) != 0) {
        rc = nnd_port_from_errno(errno);
        nnd_port_free(name);
        return rc;
    }
    *out = name;
    return 0;
}

bool nnd_port_path_is_absolute(const char *path)
{
    return path[0] == '/';
}

void nnd_port_stdio_binary(void)
{
    /* POSIX streams carry bytes as they are. */
}

bool nnd_port_stream_is_terminal(FILE *stream)
{
    return isatty(fileno(stream)) == 1;
}

int nnd_port_map_open(const char *path, nnd_port_map *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return nnd_port_from_errno(errno);
    struct stat st;
    int rc = 0;
    nnd_port_map map = {0};
    if (fstat(fd, &st) != 0)
        rc = nnd_port_from_errno(errno);
    else if (S_ISDIR(st.st_mode))
        rc = NND_PORT_E_IS_DIR;
    else if (!S_ISREG(st.st_mode))
        rc = NND_PORT_E_NOT_FILE;
    else if ((uint64_t)st.st_size > SIZE_MAX)
        rc = NND_PORT_E_LIMIT;
    if (rc == 0 && st.st_size > 0) {
        void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED) {
            rc = nnd_port_from_errno(errno);
        } else {
            nnd_port_file_info info;
            map.data = data;
            map.size = (size_t)st.st_size;
            fill_info(&st, &info);
            rc = nnd_port_map_remember(&map, &info);
            if (rc) munmap(data, map.size);
        }
    }
    close(fd);
    if (rc == 0) *out = map;
    return rc;
}

#if defined(__linux__)
/* Whether a line of /proc/self/maps, "begin-end access offset device inode path", is a read-only
   mapping of a file that covers [from, to). */
static bool is_file_over(const char *line, uintptr_t from, uintptr_t to)
{
    char *at;
    if (strtoull(line, &at, 16) > from || *at != '-') return false;
    if (strtoull(at + 1, &at, 16) < to || *at != ' ') return false;
    if (at[1] != 'r' || at[2] != '-') return false;
    for (int word = 0; word < 3; word++) {
        at += strspn(at, " ");
        at += strcspn(at, " ");
    }
    return strtoull(at, NULL, 10) != 0; /* nothing but files has an inode */
}

static bool is_mapped_file(uintptr_t from, uintptr_t to)
{
    char line[512];
    bool found = false;
    FILE *file = fopen("/proc/self/maps", "re");
    if (!file) return false;
    while (!found && fgets(line, sizeof line, file))
        found = is_file_over(line, from, to);
    fclose(file);
    return found;
}

void nnd_port_map_forget(const void *data, size_t size)
{
    uintptr_t page = nnd_port_page_size(), from = (uintptr_t)data, to = from + size;
    from = (from + page - 1) / page * page;
    to = to / page * page;
    if (from < to && is_mapped_file(from, to))
        (void)madvise((void *)from, to - from, MADV_DONTNEED);
}
#else
void nnd_port_map_forget(const void *data, size_t size)
{
    (void)data, (void)size;
}
#endif

void nnd_port_map_close(nnd_port_map *map)
{
    nnd_port_map_drop(map);
    if (map->data) munmap((void *)(uintptr_t)map->data, map->size);
    memset(map, 0, sizeof(*map));
}

#endif
