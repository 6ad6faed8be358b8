/* The allocator. The hook itself lives in port, so that port's allocations obey it as well. */
#include "nndeploy/base.h"

#include <string.h>

#include "base/memory.h"
#include "base/size.h"
#include "port/port.h"

void nnd_set_allocator(const nnd_allocator *allocator)
{
    if (!allocator) {
        nnd_port_set_allocator(NULL);
        return;
    }
    nnd_port_allocator hook = {allocator->alloc, allocator->resize, allocator->release,
                               allocator->user};
    nnd_port_set_allocator(&hook);
}

void *nnd_alloc(size_t size)
{
    return nnd_port_alloc(size);
}

void *nnd_calloc(size_t count, size_t size)
{
    size_t total;
    if (!nnd_size_mul(count, size, &total)) return NULL;
    void *block = nnd_port_alloc(total);
    if (block && total) memset(block, 0, total);
    return block;
}

void *nnd_realloc(void *block, size_t size)
{
    return nnd_port_realloc(block, size);
}

void nnd_free(void *block)
{
    nnd_port_free(block);
}

char *nnd_strdup(const char *text)
{
    if (!text) return NULL;
    size_t size = strlen(text) + 1;
    char *copy = nnd_alloc(size);
    if (copy) memcpy(copy, text, size);
    return copy;
}

/* The word before an aligned block holds the address that the allocator gave. */
void *nnd_alloc_aligned(size_t size, size_t align)
{
    size_t total;
    if (align < sizeof(void *)) align = sizeof(void *);
    if ((align & (align - 1)) != 0) return NULL;
    if (!nnd_size_add(size, align - 1 + sizeof(void *), &total)) return NULL;
    char *raw = nnd_alloc(total);
    if (!raw) return NULL;
    uintptr_t start = (uintptr_t)raw + sizeof(void *);
    size_t shift = (align - (start & (align - 1))) & (align - 1);
    char *block = raw + sizeof(void *) + shift;
    memcpy(block - sizeof(void *), &raw, sizeof(void *));
    return block;
}

void *nnd_alloc_large(size_t size)
{
    size_t page = nnd_port_large_page_size();
    if (!page || size < page) return nnd_alloc_aligned(size, NND_LARGE_ALIGN);
    void *block = nnd_alloc_aligned(size, page);
    if (block) nnd_port_use_large_pages(block, size);
    return block;
}

void nnd_free_aligned(void *block)
{
    if (!block) return;
    void *raw;
    memcpy(&raw, (char *)block - sizeof(void *), sizeof(void *));
    nnd_free(raw);
}
