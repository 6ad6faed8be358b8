/* Names of results and the allocator hook: the parts of port that touch no system call. */
#include "port/port.h"

#include <stdlib.h>

const char *nnd_port_error_text(int error)
{
    switch (error) {
    case NND_PORT_OK:
        return "success";
    case NND_PORT_E_INVALID:
        return "invalid argument";
    case NND_PORT_E_MEMORY:
        return "out of memory";
    case NND_PORT_E_NOT_FOUND:
        return "no such file or folder";
    case NND_PORT_E_EXISTS:
        return "it exists already";
    case NND_PORT_E_ACCESS:
        return "the operating system denies access";
    case NND_PORT_E_IO:
        return "input/output error";
    case NND_PORT_E_UNSUPPORTED:
        return "not supported on this system";
    case NND_PORT_E_LIMIT:
        return "larger than the limit";
    case NND_PORT_E_TIMEOUT:
        return "timed out";
    case NND_PORT_E_CLOSED:
        return "the other side closed the connection";
    case NND_PORT_E_AGAIN:
        return "not ready yet";
    case NND_PORT_E_NOT_DIR:
        return "a part of the path is not a folder";
    case NND_PORT_E_IS_DIR:
        return "it is a folder";
    case NND_PORT_E_NOT_EMPTY:
        return "the folder is not empty";
    case NND_PORT_E_REFUSED:
        return "the connection was refused";
    case NND_PORT_E_NO_SPACE:
        return "no space left on the device";
    case NND_PORT_E_NOT_FILE:
        return "it is a device or a pipe, not a file";
    default:
        return "unknown error";
    }
}

static void *default_alloc(void *user, size_t size)
{
    (void)user;
    return malloc(size ? size : 1);
}

static void *default_resize(void *user, void *block, size_t size)
{
    (void)user;
    return realloc(block, size ? size : 1);
}

static void default_release(void *user, void *block)
{
    (void)user;
    free(block);
}

static const nnd_port_allocator default_allocator = {default_alloc, default_resize, default_release,
                                                     NULL};
static nnd_port_allocator current = {default_alloc, default_resize, default_release, NULL};

void nnd_port_set_allocator(const nnd_port_allocator *allocator)
{
    current = allocator ? *allocator : default_allocator;
}

void *nnd_port_alloc(size_t size)
{
    return current.alloc(current.user, size);
}

void *nnd_port_realloc(void *block, size_t size)
{
    return current.resize(current.user, block, size);
}

void nnd_port_free(void *block)
{
    current.release(current.user, block);
}
