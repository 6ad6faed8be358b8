/* ELF headers as the System V ABI (gABI 4.1, chapters 4 and 5) defines them, 32 and 64 bit. */
#include "workflow/plugin_file.h"

#include <string.h>

#include "base/bytes.h"
#include "base/port_status.h"
#include "port/port.h"

typedef struct elf {
    const uint8_t *data;
    size_t size;
    bool wide, little;
} elf;

static uint64_t field(const elf *e, size_t at, unsigned bytes)
{
    nnd_bytes b = nnd_bytes_of(e->data, e->size);
    nnd_bytes_seek(&b, at);
    if (bytes == 2) return e->little ? nnd_bytes_u16le(&b) : nnd_bytes_u16be(&b);
    if (bytes == 4) return e->little ? nnd_bytes_u32le(&b) : nnd_bytes_u32be(&b);
    return e->little ? nnd_bytes_u64le(&b) : nnd_bytes_u64be(&b);
}

/* [offset, offset + count × each) inside the file? */
static bool inside(const elf *e, uint64_t offset, uint64_t count, uint64_t each)
{
    if (offset > e->size) return false;
    return count == 0 || each <= (e->size - offset) / count;
}

static bool is_whole(const elf *e)
{
    unsigned word = e->wide ? 8 : 4;
    if (e->size < (e->wide ? 64u : 52u)) return false;
    uint64_t segments = field(e, e->wide ? 32 : 28, word);
    uint64_t sections = field(e, e->wide ? 40 : 32, word);
    size_t counts = e->wide ? 54 : 42;
    uint64_t segment_size = field(e, counts, 2), segment_count = field(e, counts + 2, 2);
    uint64_t section_size = field(e, counts + 4, 2), section_count = field(e, counts + 6, 2);
    if (!inside(e, segments, segment_count, segment_size) ||
        !inside(e, sections, section_count, section_size) ||
        (segment_count && segment_size < (e->wide ? 56u : 32u)))
        return false;
    for (uint64_t i = 0; i < segment_count; i++) {
        size_t at = (size_t)(segments + i * segment_size);
        uint64_t offset = field(e, at + (e->wide ? 8 : 4), word);
        uint64_t bytes = field(e, at + (e->wide ? 32 : 16), word);
        if (!inside(e, offset, 1, bytes)) return false;
    }
    return true;
}

nnd_status wf_plugin_file_check(const char *path)
{
    nnd_port_map map;
    int error = nnd_port_map_open(path, &map);
    if (error) return nnd_error_from_port(error, "it cannot be read", NULL);
    elf e = {map.data, map.size, false, false};
    bool whole = true;
    if (e.size >= 16 && memcmp(e.data,
                               "\x7f"
                               "ELF",
                               4) == 0) {
        e.wide = e.data[4] == 2;
        e.little = e.data[5] == 1;
        whole = is_whole(&e);
    }
    nnd_port_map_close(&map);
    return whole ? NND_OK
                 : nnd_error_set(NND_E_FORMAT, "it is no loadable module: the file is cut off");
}
