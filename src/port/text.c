/* Small helpers that both systems share: error codes of the C library, names. */
#include "port/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int nnd_port_from_errno(int code)
{
    switch (code) {
    case 0:
        return NND_PORT_OK;
    case EINVAL:
    case ENAMETOOLONG:
    case EBADF:
        return NND_PORT_E_INVALID;
    case ENOMEM:
        return NND_PORT_E_MEMORY;
    case ENOENT:
        return NND_PORT_E_NOT_FOUND;
    case EEXIST:
        return NND_PORT_E_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS:
        return NND_PORT_E_ACCESS;
    case ENOTDIR:
        return NND_PORT_E_NOT_DIR;
    case EISDIR:
        return NND_PORT_E_IS_DIR;
    case ENOTEMPTY:
        return NND_PORT_E_NOT_EMPTY;
    case EMFILE:
    case ENFILE:
    case EFBIG:
        return NND_PORT_E_LIMIT;
    case ENOSPC:
        return NND_PORT_E_NO_SPACE;
    case EAGAIN:
        return NND_PORT_E_AGAIN;
    case EPIPE:
    case ECONNRESET:
        return NND_PORT_E_CLOSED;
    case ECONNREFUSED:
        return NND_PORT_E_REFUSED;
    case ETIMEDOUT:
        return NND_PORT_E_TIMEOUT;
    case ENOSYS:
    case EOPNOTSUPP:
    case ENOEXEC:
        return NND_PORT_E_UNSUPPORTED;
    default:
        return NND_PORT_E_IO;
    }
}

char *nnd_port_copy_text(const char *text, size_t size)
{
    char *copy = nnd_port_alloc(size + 1);
    if (!copy) return NULL;
    memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

int nnd_port_temp_name(const char *stem, char **out)
{
    static const char digits[] = "0123456789abcdef";
    static const char infix[] = ".tmp-";
    uint8_t noise[8];
    int rc = nnd_port_random(noise, sizeof(noise));
    if (rc) return rc;
    size_t size = strlen(stem);
    size_t total = size + sizeof(infix) - 1 + 2 * sizeof(noise);
    char *name = nnd_port_alloc(total + 1);
    if (!name) return NND_PORT_E_MEMORY;
    memcpy(name, stem, size);
    memcpy(name + size, infix, sizeof(infix) - 1);
    char *at = name + size + sizeof(infix) - 1;
    for (size_t i = 0; i < sizeof(noise); i++) {
        *at++ = digits[noise[i] >> 4];
        *at++ = digits[noise[i] & 15];
    }
    *at = '\0';
    *out = name;
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int nnd_port_sort_names(nnd_port_dir_list *list)
{
    if (list->count > 1) qsort(list->names, list->count, sizeof(char *), compare_names);
    return 0;
}

int nnd_port_dir_list_add(nnd_port_dir_list *list, size_t *capacity, const char *name)
{
    if (list->count == *capacity) {
        size_t wanted = *capacity ? *capacity * 2 : 16;
        char **grown = nnd_port_realloc(list->names, wanted * sizeof(char *));
        if (!grown) return NND_PORT_E_MEMORY;
        list->names = grown;
        *capacity = wanted;
    }
    char *copy = nnd_port_copy_text(name, strlen(name));
    if (!copy) return NND_PORT_E_MEMORY;
    list->names[list->count++] = copy;
    return 0;
}

void nnd_port_dir_list_free(nnd_port_dir_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        nnd_port_free(list->names[i]);
    nnd_port_free(list->names);
    list->names = NULL;
    list->count = 0;
}

int nnd_port_stream_read(FILE *stream, size_t limit, char **data, size_t *size)
{
    size_t used = 0, capacity = 0;
    char *buffer = NULL;
    int rc = 0;
    for (;;) {
        if (used == capacity) {
            /* One byte beyond the limit tells "exactly the limit" from "too large". */
            size_t wanted = capacity ? capacity * 2 : 64 * 1024;
            if (limit < SIZE_MAX - 1 && wanted > limit + 1) wanted = limit + 1;
            if (wanted <= capacity || wanted == SIZE_MAX) {
                rc = NND_PORT_E_LIMIT;
                break;
            }
            char *grown = nnd_port_realloc(buffer, wanted + 1);
            if (!grown) {
                rc = NND_PORT_E_MEMORY;
                break;
            }
            buffer = grown;
            capacity = wanted;
        }
        errno = 0;
        size_t n = fread(buffer + used, 1, capacity - used, stream);
        used += n;
        if (used > limit) {
            rc = NND_PORT_E_LIMIT;
            break;
        }
        if (n == 0) {
            if (ferror(stream)) rc = errno ? nnd_port_from_errno(errno) : NND_PORT_E_IO;
            break;
        }
    }
    if (rc) {
        nnd_port_free(buffer);
        return rc;
    }
    buffer[used] = '\0';
    *data = buffer;
    *size = used;
    return 0;
}

int nnd_port_file_read(const char *path, size_t limit, char **data, size_t *size)
{
    nnd_port_file_info info;
    int rc = nnd_port_file_stat(path, &info);
    if (rc) return rc;
    if (info.is_dir) return NND_PORT_E_IS_DIR;
    if (info.is_file && info.size > limit) return NND_PORT_E_LIMIT;
    FILE *stream;
    rc = nnd_port_file_open(path, "rb", &stream);
    if (rc) return rc;
    rc = nnd_port_stream_read(stream, limit, data, size);
    fclose(stream);
    return rc;
}

bool nnd_port_file_exists(const char *path)
{
    nnd_port_file_info info;
    return nnd_port_file_stat(path, &info) == 0;
}

bool nnd_port_dir_exists(const char *path)
{
    nnd_port_file_info info;
    return nnd_port_file_stat(path, &info) == 0 && info.is_dir;
}

bool nnd_port_env_copy(const char *name, char *buffer, size_t size)
{
    char *value;
    buffer[0] = '\0';
    if (nnd_port_env_dup(name, &value)) return false;
    size_t length = strlen(value);
    bool fits = length && length < size;
    if (fits) memcpy(buffer, value, length + 1);
    nnd_port_free(value);
    return fits;
}

int nnd_port_file_write_atomic(const char *path, const void *data, size_t size)
{
    const nnd_port_piece whole = {data, size};
    return nnd_port_file_write_pieces(path, &whole, 1, true);
}
