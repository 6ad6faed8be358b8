/* Files, folders and paths on Windows: UTF-8 outside, wide characters inside. */
#include "port/internal.h"

#if defined(_WIN32)

#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

int nnd_port_from_win32(unsigned long code)
{
    switch (code) {
    case ERROR_SUCCESS:
        return NND_PORT_OK;
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND:
    case ERROR_INVALID_NAME:
    case ERROR_BAD_NETPATH:
    case ERROR_MOD_NOT_FOUND:
        return NND_PORT_E_NOT_FOUND;
    case ERROR_FILE_EXISTS:
    case ERROR_ALREADY_EXISTS:
        return NND_PORT_E_EXISTS;
    case ERROR_ACCESS_DENIED:
    case ERROR_SHARING_VIOLATION:
    case ERROR_LOCK_VIOLATION:
    case ERROR_WRITE_PROTECT:
        return NND_PORT_E_ACCESS;
    case ERROR_NOT_ENOUGH_MEMORY:
    case ERROR_OUTOFMEMORY:
        return NND_PORT_E_MEMORY;
    case ERROR_INVALID_PARAMETER:
    case ERROR_INVALID_HANDLE:
        return NND_PORT_E_INVALID;
    case ERROR_DIRECTORY:
        return NND_PORT_E_NOT_DIR;
    case ERROR_DIR_NOT_EMPTY:
        return NND_PORT_E_NOT_EMPTY;
    case ERROR_DISK_FULL:
        return NND_PORT_E_NO_SPACE;
    case ERROR_TOO_MANY_OPEN_FILES:
        return NND_PORT_E_LIMIT;
    case ERROR_NOT_SUPPORTED:
    case ERROR_CALL_NOT_IMPLEMENTED:
        return NND_PORT_E_UNSUPPORTED;
    default:
        return NND_PORT_E_IO;
    }
}

static int last_error(void)
{
    return nnd_port_from_win32(GetLastError());
}

wchar_t *nnd_port_wide(const char *text)
{
    int size = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, NULL, 0);
    if (size <= 0) return NULL;
    wchar_t *wide = nnd_port_alloc((size_t)size * sizeof(wchar_t));
    if (wide) MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, wide, size);
    return wide;
}

char *nnd_port_narrow(const wchar_t *text)
{
    int size = WideCharToMultiByte(CP_UTF8, 0, text, -1, NULL, 0, NULL, NULL);
    if (size <= 0) return NULL;
    char *narrow = nnd_port_alloc((size_t)size);
    if (narrow) WideCharToMultiByte(CP_UTF8, 0, text, -1, narrow, size, NULL, NULL);
    return narrow;
}

void nnd_port_slashes(char *path)
{
    for (; *path; path++)
        if (*path == '\\') *path = '/';
}

/* The wide form of a path; its failure is invalid UTF-8 more likely than memory. */
static int widen(const char *path, wchar_t **out)
{
    *out = nnd_port_wide(path);
    return *out ? 0 : NND_PORT_E_INVALID;
}

/* Ticks of 100 ns since 1601 → ns since 1970. */
static int64_t time_ns(int64_t ticks)
{
    return (ticks - INT64_C(116444736000000000)) * 100;
}

static int file_info(HANDLE file, nnd_port_file_info *out)
{
    BY_HANDLE_FILE_INFORMATION info;
    FILE_BASIC_INFO times;
    if (!GetFileInformationByHandle(file, &info)) return last_error();
    if (!GetFileInformationByHandleEx(file, FileBasicInfo, &times, sizeof(times)))
        return last_error();
    out->is_dir = (info.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
    out->is_file = !out->is_dir && GetFileType(file) == FILE_TYPE_DISK;
    out->size = out->is_dir ? 0 : (uint64_t)info.nFileSizeHigh << 32 | info.nFileSizeLow;
    out->mtime = time_ns(times.LastWriteTime.QuadPart);
    out->changed = time_ns(times.ChangeTime.QuadPart);
    out->id = (uint64_t)info.nFileIndexHigh << 32 | info.nFileIndexLow;
    return 0;
}

/* Opens a file or folder for what `access` allows of its attributes. */
static int open_attributes(const char *path, DWORD access, HANDLE *out)
{
    wchar_t *wide;
    int rc = widen(path, &wide);
    if (rc) return rc;
    *out = CreateFileW(wide, access, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL,
                       OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, NULL);
    if (*out == INVALID_HANDLE_VALUE) rc = last_error();
    nnd_port_free(wide);
    return rc;
}

int nnd_port_file_stat(const char *path, nnd_port_file_info *out)
{
    HANDLE file;
    int rc = open_attributes(path, FILE_READ_ATTRIBUTES, &file);
    if (rc) return rc;
    rc = file_info(file, out);
    CloseHandle(file);
    return rc;
}

int nnd_port_file_touch(const char *path)
{
    HANDLE file;
    FILETIME now;
    int rc = open_attributes(path, FILE_WRITE_ATTRIBUTES, &file);
    if (rc) return rc;
    GetSystemTimeAsFileTime(&now);
    if (!SetFileTime(file, NULL, NULL, &now)) rc = last_error();
    CloseHandle(file);
    return rc;
}

int nnd_port_file_open(const char *path, const char *mode, FILE **out)
{
    wchar_t *wide, *wide_mode;
    int rc = widen(path, &wide);
    if (rc) return rc;
    rc = widen(mode, &wide_mode);
    if (rc == 0) {
        FILE *stream = _wfopen(wide, wide_mode);
        if (stream)
            *out = stream;
        else
            rc = nnd_port_from_errno(errno);
        nnd_port_free(wide_mode);
    }
    nnd_port_free(wide);
    return rc;
}

static int write_all(HANDLE file, const char *data, size_t size)
{
    while (size > 0) {
        DWORD chunk = size < (1u << 30) ? (DWORD)size : (1u << 30), written;
        if (!WriteFile(file, data, chunk, &written, NULL)) return last_error();
        data += written;
        size -= written;
    }
    return 0;
}

/* What a file shall hold, and whether it is flushed to the disk. */
typedef struct content {
    const nnd_port_piece *pieces;
    size_t count;
    bool durable;
} content;

static int write_wide(const wchar_t *temp, const wchar_t *path, const content *c)
{
    DWORD how = MOVEFILE_REPLACE_EXISTING | (c->durable ? MOVEFILE_WRITE_THROUGH : 0);
    HANDLE file =
        CreateFileW(temp, GENERIC_WRITE, 0, NULL, CREATE_NEW, FILE_ATTRIBUTE_NORMAL, NULL);
    if (file == INVALID_HANDLE_VALUE) return last_error();
    int rc = 0;
    for (size_t i = 0; i < c->count && rc == 0; i++)
        rc = write_all(file, c->pieces[i].data, c->pieces[i].size);
    if (rc == 0 && c->durable && !FlushFileBuffers(file)) rc = last_error();
    CloseHandle(file);
    if (rc == 0 && !MoveFileExW(temp, path, how)) rc = last_error();
    if (rc) DeleteFileW(temp);
    return rc;
}

int nnd_port_file_write_pieces(const char *path, const nnd_port_piece *pieces, size_t count,
                               bool durable)
{
    const content c = {pieces, count, durable};
    char *temp;
    if (nnd_port_dir_exists(path)) return NND_PORT_E_IS_DIR;
    int rc = nnd_port_temp_name(path, &temp);
    if (rc) return rc;
    wchar_t *wide_temp = nnd_port_wide(temp), *wide = nnd_port_wide(path);
    rc = wide_temp && wide ? write_wide(wide_temp, wide, &c) : NND_PORT_E_INVALID;
    nnd_port_free(wide_temp);
    nnd_port_free(wide);
    nnd_port_free(temp);
    return rc;
}

int nnd_port_file_rename(const char *from, const char *to)
{
    wchar_t *wide_from = nnd_port_wide(from), *wide_to = nnd_port_wide(to);
    int rc = NND_PORT_E_INVALID;
    if (wide_from && wide_to)
        rc = MoveFileExW(wide_from, wide_to, MOVEFILE_REPLACE_EXISTING) ? 0 : last_error();
    nnd_port_free(wide_from);
    nnd_port_free(wide_to);
    return rc;
}

int nnd_port_file_remove(const char *path)
{
    wchar_t *wide;
    int rc = widen(path, &wide);
    if (rc) return rc;
    DWORD attributes = GetFileAttributesW(wide);
    bool is_dir = attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY);
    if (!(is_dir ? RemoveDirectoryW(wide) : DeleteFileW(wide))) rc = last_error();
    nnd_port_free(wide);
    return rc;
}

int nnd_port_file_sync(FILE *stream)
{
    if (fflush(stream) != 0) return nnd_port_from_errno(errno);
    return FlushFileBuffers((HANDLE)_get_osfhandle(_fileno(stream))) ? 0 : last_error();
}

struct nnd_port_file_lock {
    HANDLE file;
};

/* A file that is open without sharing is open once. */
int nnd_port_file_lock_try(const char *path, nnd_port_file_lock **out)
{
    wchar_t *wide;
    int rc = widen(path, &wide);
    if (rc) return rc;
    nnd_port_file_lock *lock = nnd_port_alloc(sizeof *lock);
    if (!lock) {
        nnd_port_free(wide);
        return NND_PORT_E_MEMORY;
    }
    lock->file = CreateFileW(wide, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_ALWAYS,
                             FILE_ATTRIBUTE_NORMAL, NULL);
    if (lock->file == INVALID_HANDLE_VALUE)
        rc = GetLastError() == ERROR_SHARING_VIOLATION ? NND_PORT_E_AGAIN : last_error();
    nnd_port_free(wide);
    if (rc == 0) {
        *out = lock;
        return 0;
    }
    nnd_port_free(lock);
    return rc;
}

void nnd_port_file_unlock(nnd_port_file_lock *lock)
{
    if (!lock) return;
    CloseHandle(lock->file);
    nnd_port_free(lock);
}

static int make_one(const char *path)
{
    wchar_t *wide;
    int rc = widen(path, &wide);
    if (rc) return rc;
    if (!CreateDirectoryW(wide, NULL)) {
        rc = last_error();
        DWORD attributes = GetFileAttributesW(wide);
        if (attributes != INVALID_FILE_ATTRIBUTES)
            rc = attributes & FILE_ATTRIBUTE_DIRECTORY ? 0 : NND_PORT_E_NOT_DIR;
    }
    nnd_port_free(wide);
    return rc;
}

int nnd_port_dir_create(const char *path)
{
    size_t size = strlen(path);
    if (size == 0) return NND_PORT_E_INVALID;
    char *copy = nnd_port_copy_text(path, size);
    if (!copy) return NND_PORT_E_MEMORY;
    nnd_port_slashes(copy);
    int rc = 0;
    for (size_t i = 1; i < size && rc == 0; i++) {
        /* Not at the slash of "C:/" nor inside the start of "//server". */
        if (copy[i] != '/' || copy[i - 1] == '/' || copy[i - 1] == ':') continue;
        copy[i] = '\0';
        rc = make_one(copy);
        copy[i] = '/';
    }
    if (rc == 0) rc = make_one(copy);
    nnd_port_free(copy);
    return rc;
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

static int add_found(nnd_port_dir_list *list, size_t *capacity, const WIN32_FIND_DATAW *found)
{
    if (wcscmp(found->cFileName, L".") == 0 || wcscmp(found->cFileName, L"..") == 0) return 0;
    char *name = nnd_port_narrow(found->cFileName);
    int rc = name ? nnd_port_dir_list_add(list, capacity, name) : NND_PORT_E_MEMORY;
    nnd_port_free(name);
    return rc;
}

int nnd_port_dir_read(const char *path, nnd_port_dir_list *out)
{
    nnd_port_file_info info;
    int rc = nnd_port_file_stat(path, &info);
    if (rc) return rc;
    if (!info.is_dir) return NND_PORT_E_NOT_DIR;
    char *pattern = join(path, "*");
    wchar_t *wide = pattern ? nnd_port_wide(pattern) : NULL;
    nnd_port_free(pattern);
    if (!wide) return NND_PORT_E_MEMORY;
    WIN32_FIND_DATAW found;
    HANDLE search = FindFirstFileW(wide, &found);
    rc = search == INVALID_HANDLE_VALUE ? last_error() : 0;
    nnd_port_free(wide);
    if (rc) return rc;
    nnd_port_dir_list list = {0};
    size_t capacity = 0;
    do {
        rc = add_found(&list, &capacity, &found);
    } while (rc == 0 && FindNextFileW(search, &found));
    FindClose(search);
    if (rc) {
        nnd_port_dir_list_free(&list);
        return rc;
    }
    nnd_port_sort_names(&list);
    *out = list;
    return 0;
}

/* A folder that is really one, not a link or junction to another place. */
static int is_own_folder(const char *path, bool *out)
{
    wchar_t *wide;
    int rc = widen(path, &wide);
    if (rc) return rc;
    DWORD attributes = GetFileAttributesW(wide);
    if (attributes == INVALID_FILE_ATTRIBUTES) rc = last_error();
    nnd_port_free(wide);
    *out = (attributes & FILE_ATTRIBUTE_DIRECTORY) && !(attributes & FILE_ATTRIBUTE_REPARSE_POINT);
    return rc;
}

int nnd_port_dir_remove_tree(const char *path)
{
    bool folder;
    int rc = is_own_folder(path, &folder);
    if (rc) return rc;
    if (!folder) return nnd_port_file_remove(path);
    nnd_port_dir_list list;
    rc = nnd_port_dir_read(path, &list);
    if (rc) return rc;
    for (size_t i = 0; i < list.count && rc == 0; i++) {
        char *child = join(path, list.names[i]);
        rc = child ? nnd_port_dir_remove_tree(child) : NND_PORT_E_MEMORY;
        nnd_port_free(child);
    }
    nnd_port_dir_list_free(&list);
    return rc ? rc : nnd_port_file_remove(path);
}

/* UTF-8 with '/' and without the "\\?\" that long paths carry. */
static int finish_path(const wchar_t *wide, char **out)
{
    if (wcsncmp(wide, L"\\\\?\\UNC\\", 8) == 0) {
        char *tail = nnd_port_narrow(wide + 8);
        if (!tail) return NND_PORT_E_MEMORY;
        nnd_port_slashes(tail);
        char *path = join("/", tail);
        nnd_port_free(tail);
        if (!path) return NND_PORT_E_MEMORY;
        *out = path;
        return 0;
    }
    if (wcsncmp(wide, L"\\\\?\\", 4) == 0) wide += 4;
    char *path = nnd_port_narrow(wide);
    if (!path) return NND_PORT_E_MEMORY;
    nnd_port_slashes(path);
    *out = path;
    return 0;
}

int nnd_port_path_real(const char *path, char **out)
{
    wchar_t *wide;
    int rc = widen(path, &wide);
    if (rc) return rc;
    HANDLE file = CreateFileW(wide, 0, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL,
                              OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, NULL);
    rc = file == INVALID_HANDLE_VALUE ? last_error() : 0;
    nnd_port_free(wide);
    if (rc) return rc;
    DWORD size = GetFinalPathNameByHandleW(file, NULL, 0, FILE_NAME_NORMALIZED);
    wchar_t *real = size ? nnd_port_alloc(((size_t)size + 1) * sizeof(wchar_t)) : NULL;
    if (size == 0)
        rc = last_error();
    else if (!real)
        rc = NND_PORT_E_MEMORY;
    else if (GetFinalPathNameByHandleW(file, real, size + 1, FILE_NAME_NORMALIZED) > size)
        rc = NND_PORT_E_IO;
    else
        rc = finish_path(real, out);
    nnd_port_free(real);
    CloseHandle(file);
    return rc;
}

int nnd_port_path_temp_dir(char **out)
{
    wchar_t path[MAX_PATH + 2];
    DWORD size = GetTempPathW(MAX_PATH + 1, path);
    if (size == 0) return last_error();
    if (size > MAX_PATH) return NND_PORT_E_LIMIT;
    while (size > 3 && path[size - 1] == L'\\')
        path[--size] = L'\0';
    return finish_path(path, out);
}

int nnd_port_path_current_dir(char **out)
{
    return nnd_port_path_real(".", out);
}

int nnd_port_path_executable(char **out)
{
    for (DWORD room = 512; room <= 65536; room *= 2) {
        wchar_t *path = nnd_port_alloc(room * sizeof(wchar_t));
        if (!path) return NND_PORT_E_MEMORY;
        DWORD size = GetModuleFileNameW(NULL, path, room);
        int rc = NND_PORT_E_LIMIT;
        if (size == 0) rc = last_error();
        if (size > 0 && size < room) rc = finish_path(path, out);
        nnd_port_free(path);
        if (rc != NND_PORT_E_LIMIT) return rc;
    }
    return NND_PORT_E_LIMIT;
}

int nnd_port_dir_create_temp(const char *prefix, char **out)
{
    char *folder, *name;
    int rc = nnd_port_path_temp_dir(&folder);
    if (rc) return rc;
    char *stem = join(folder, prefix);
    nnd_port_free(folder);
    if (!stem) return NND_PORT_E_MEMORY;
    rc = nnd_port_temp_name(stem, &name);
    nnd_port_free(stem);
    if (rc) return rc;
    wchar_t *wide = nnd_port_wide(name);
    if (!wide)
        rc = NND_PORT_E_MEMORY;
    else if (!CreateDirectoryW(wide, NULL))
        rc = last_error();
    nnd_port_free(wide);
    if (rc)
        nnd_port_free(name);
    else
        *out = name;
    return rc;
}

bool nnd_port_path_is_absolute(const char *path)
{
    bool slash = path[0] == '/' || path[0] == '\\';
    bool letter = (path[0] >= 'a' && path[0] <= 'z') || (path[0] >= 'A' && path[0] <= 'Z');
    /* A drive alone ("c:x") depends on that drive's current folder, but leaves ours as well. */
    return slash || (letter && path[1] == ':');
}

void nnd_port_stdio_binary(void)
{
    _setmode(_fileno(stdin), _O_BINARY);
    _setmode(_fileno(stdout), _O_BINARY);
}

bool nnd_port_stream_is_terminal(FILE *stream)
{
    return _isatty(_fileno(stream)) != 0;
}

static int map_handle(HANDLE file, nnd_port_map *out)
{
    LARGE_INTEGER size;
    if (!GetFileSizeEx(file, &size)) return last_error();
    if ((uint64_t)size.QuadPart > SIZE_MAX) return NND_PORT_E_LIMIT;
    if (size.QuadPart == 0) return 0;
    HANDLE mapping = CreateFileMappingW(file, NULL, PAGE_READONLY, 0, 0, NULL);
    if (!mapping) return last_error();
    out->data = MapViewOfFile(mapping, FILE_MAP_READ, 0, 0, 0);
    if (!out->data) {
        int rc = last_error();
        CloseHandle(mapping);
        return rc;
    }
    out->size = (size_t)size.QuadPart;
    out->handle = mapping;
    return 0;
}

int nnd_port_map_open(const char *path, nnd_port_map *out)
{
    wchar_t *wide;
    nnd_port_map map = {0};
    if (nnd_port_dir_exists(path)) return NND_PORT_E_IS_DIR;
    int rc = widen(path, &wide);
    if (rc) return rc;
    HANDLE file = CreateFileW(wide, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_DELETE, NULL,
                              OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, NULL);
    rc = file == INVALID_HANDLE_VALUE ? last_error() : 0;
    nnd_port_free(wide);
    if (rc) return rc;
    nnd_port_file_info info;
    rc = file_info(file, &info);
    if (rc == 0) rc = map_handle(file, &map);
    CloseHandle(file); /* the mapping keeps the file open */
    if (rc == 0) rc = nnd_port_map_remember(&map, &info);
    if (rc == 0)
        *out = map;
    else
        nnd_port_map_close(&map);
    return rc;
}

void nnd_port_map_forget(const void *data, size_t size)
{
    (void)data, (void)size;
}

void nnd_port_map_close(nnd_port_map *map)
{
    nnd_port_map_drop(map);
    if (map->data) UnmapViewOfFile(map->data);
    if (map->handle) CloseHandle(map->handle);
    memset(map, 0, sizeof(*map));
}

#endif
