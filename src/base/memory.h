/* Memory that kernels stream through. */
#ifndef NND_BASE_MEMORY_H
#define NND_BASE_MEMORY_H

#include <stddef.h>

#define NND_LARGE_ALIGN 64

/* As nnd_alloc_aligned to NND_LARGE_ALIGN bytes (nnd_free_aligned frees it). A block of at least
   one large page begins with such a page and asks for them; its last part, less than a whole one,
   stays in small pages. NULL without memory. */
void *nnd_alloc_large(size_t size);

#endif
