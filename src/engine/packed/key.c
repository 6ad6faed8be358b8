/* What the bytes of packed weights follow from. */
#include <string.h>

#include "base/isa.h"
#include "engine/kernels/int8.h"
#include "engine/packed/packed.h"
#include "port/port.h"

/* Of the engine's source files, made by the build: whoever changes a pass, a packing or a kernel
   need not think of the caches out there. */
extern const char nnd_engine_fingerprint[];

/* A file that was changed less long ago could change again within the same tick of its clock. */
static const int64_t SETTLED = INT64_C(2) * 1000000000;

static void add_u64(nnd_sha256 *h, uint64_t value)
{
    nnd_sha256_add(h, &value, sizeof(value)); /* the order of bytes is part of the key */
}

static void add_text(nnd_sha256 *h, const char *text)
{
    nnd_sha256_add(h, text, strlen(text) + 1);
}

/* Whether nothing else can ever look like this file does. The time of its last change, which only
   a running file system sets, tells: one of whole seconds comes from a tool that made an image (two
   releases of which may hold different weights under the same times and numbers), or from a file
   system that does not count finer. */
static bool has_identity(const nnd_packed_source *s, nnd_port_file_info *info)
{
    if (nnd_port_map_info(s->data, s->size, info) != 0 || !info->id) return false;
    return info->changed % 1000000000 != 0 && nnd_port_wall_now() - info->changed > SETTLED;
}

static void add_source(nnd_sha256 *h, const nnd_packed_source *s)
{
    nnd_port_file_info info;
    add_u64(h, s->size);
    if (has_identity(s, &info)) {
        add_text(h, "file");
        add_u64(h, info.id);
        add_u64(h, (uint64_t)info.mtime);
        add_u64(h, (uint64_t)info.changed);
    } else {
        add_text(h, "bytes");
        nnd_sha256_add(h, s->data, s->size);
    }
}

void nnd_packed_key_of(const nnd_packed_origin *origin, nnd_packed_key *out)
{
    nnd_sha256 h;
    nnd_sha256_init(&h);
    add_text(&h, nnd_engine_fingerprint);
    add_text(&h, nnd_isa_name(nnd_isa_current()));
    add_text(&h, nnd_isa_name(nnd_int8_isa()));
    add_u64(&h, origin->passes);
    add_u64(&h, origin->bf16);
    add_u64(&h, origin->kernel_count);
    for (size_t i = 0; i < origin->kernel_count; i++) {
        add_text(&h, origin->kernels[i].op);
        add_text(&h, origin->kernels[i].shape);
        add_text(&h, origin->kernels[i].kernel);
    }
    add_u64(&h, origin->file_count);
    for (size_t i = 0; i < origin->file_count; i++)
        add_source(&h, &origin->files[i]);
    nnd_sha256_end(&h, out->bytes);
}
