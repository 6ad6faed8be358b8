/* The store of one model: where the memory of its packed weights comes from. */
#include <string.h>

#include "base/memory.h"
#include "base/port_status.h"
#include "base/size.h"
#include "base/str.h"
#include "engine/kernels/kernels.h"
#include "engine/packed/folder.h"

/* The weights of one operator, in the order of taking. */
typedef struct entry {
    nnd_packed_blob blob; /* first: what operators see */
    struct entry *next;
    uint64_t form;
    void *own; /* memory of the weights; NULL = in the mapped file or a slab */
} entry;

/* Large pages with the weights of several operators, one behind the other: a run reads them all,
   and there would be more small pages than a processor remembers the places of. */
typedef struct slab {
    struct slab *next;
    void *memory;
    uint8_t *room; /* what is left at its end */
    size_t room_bytes;
} slab;
#define MOST_SLAB ((size_t)32 << 20)
_Static_assert(NND_LARGE_ALIGN % NND_KERNEL_ALIGN == 0 && NND_PACKED_LINE % NND_KERNEL_ALIGN == 0,
               "kernels may read the weights");

struct nnd_packed {
    nnd_arena arena; /* of the entries */
    entry *first, **end;
    size_t count, private_count;
    uint64_t bytes, mapped_bytes;
    slab *slabs;
    /* The cache; path NULL = none. */
    char *folder, *path, *name;
    uint64_t max_bytes;
    nnd_packed_key key;
    nnd_packed_map *map;
    size_t next_row, next_offset; /* of the mapped file */
    bool trusted;                 /* its rows were the expected ones so far */
};

static const char channel[] = "engine";

static nnd_status out_of_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for packed weights");
}

nnd_status nnd_packed_create(nnd_packed **out)
{
    nnd_packed *p = nnd_calloc(1, sizeof(*p));
    if (!p) return out_of_memory();
    p->end = &p->first;
    *out = p;
    return NND_OK;
}

/* A store without a cache from now on; what was mapped stays. */
static void forget_cache(nnd_packed *p)
{
    nnd_free(p->folder);
    nnd_free(p->path);
    nnd_free(p->name);
    p->folder = p->path = p->name = NULL;
}

/* All private copies. */
static void free_weights(nnd_packed *p)
{
    for (entry *e = p->first; e; e = e->next) {
        nnd_free_aligned(e->own);
        e->own = NULL;
    }
    for (slab *s = p->slabs; s; s = s->next)
        nnd_free_aligned(s->memory);
    p->slabs = NULL;
}

void nnd_packed_destroy(nnd_packed *p)
{
    if (!p) return;
    free_weights(p);
    nnd_packed_map_close(p->map);
    forget_cache(p);
    nnd_arena_fini(&p->arena);
    nnd_free(p);
}

uint64_t nnd_packed_bytes(const nnd_packed *p)
{
    return p->bytes;
}

uint64_t nnd_packed_mapped_bytes(const nnd_packed *p)
{
    return p->mapped_bytes;
}

/* ---- the cache ----------------------------------------------------------------------------- */

/* The error record goes to the log: a cache is never a reason to fail. */
static void tell(const nnd_packed *p, nnd_log_level level, const char *what)
{
    nnd_error *e = nnd_error_take();
    char *why = e ? nnd_error_to_string(e) : NULL;
    nnd_log(level, channel, "model '%s': %s '%s'%s%s", p->name, what, p->path, why ? ": " : "",
            why ? why : "");
    nnd_free(why);
    nnd_error_destroy(e);
}

void nnd_packed_open(nnd_packed *p, const char *folder, uint64_t max_bytes,
                     const nnd_packed_key *key, const char *name)
{
    p->key = *key;
    p->max_bytes = max_bytes ? max_bytes : NND_PACKED_FOLDER_BYTES;
    p->folder = nnd_strdup(folder);
    p->name = nnd_strdup(name);
    p->path = nnd_packed_path(folder, key);
    if (!p->folder || !p->name || !p->path) {
        forget_cache(p);
        return;
    }
    nnd_status status = nnd_packed_map_open(p->path, key, &p->map);
    p->trusted = status == NND_OK;
    if (p->map) p->next_offset = p->map->table.payload;
    if (status == NND_E_NOT_FOUND)
        nnd_error_clear();
    else if (status != NND_OK)
        tell(p, NND_LOG_WARN, "the weights are packed anew, because of");
}

/* The next row of the mapped file, if it is the expected one. */
static const void *from_file(nnd_packed *p, const entry *e)
{
    if (!p->trusted) return NULL;
    const nnd_packed_table *t = &p->map->table;
    nnd_packed_row row = {0, 0};
    if (p->next_row < t->count) row = nnd_packed_table_row(t, p->next_row);
    p->trusted = p->next_row < t->count && row.form == e->form && row.bytes == e->blob.bytes;
    if (!p->trusted) {
        nnd_packed_map_unlist(p->map);
        tell(p, NND_LOG_WARN,
             "the rest of the weights is packed anew, the model needs others than");
        return NULL;
    }
    const void *data = t->bytes + p->next_offset;
    p->next_row++;
    p->next_offset += (size_t)nnd_packed_whole_lines(row.bytes);
    return data;
}

/* ---- taking -------------------------------------------------------------------------------- */

/* Room for `bytes` and for what follows, in whole large pages: four times what there is already.
   Only of the last page in use memory is wasted, the ones behind it are never touched. */
static slab *add_slab(nnd_packed *p, size_t bytes)
{
    size_t size = p->bytes < MOST_SLAB / 4 ? 4 * (size_t)p->bytes : MOST_SLAB;
    slab *s = nnd_arena_calloc(&p->arena, 1, sizeof(*s));
    if (size < bytes) size = bytes;
    if (!s || !nnd_size_align(size, nnd_port_large_page_size(), &size)) return NULL;
    s->memory = s->room = nnd_alloc_large(size);
    if (!s->memory) return NULL;
    s->room_bytes = size;
    s->next = p->slabs;
    return p->slabs = s;
}

/* The one that `bytes` leave least of: small weights fill what large ones leave. */
static slab *slab_for(nnd_packed *p, size_t bytes)
{
    slab *best = NULL;
    for (slab *s = p->slabs; s; s = s->next)
        if (s->room_bytes >= bytes && (!best || s->room_bytes < best->room_bytes)) best = s;
    return best ? best : add_slab(p, bytes);
}

/* The first weights, as long as they would not fill a large page, and those of an operator that has
   very many get memory of their own; the others share slabs. NULL without memory. */
static void *private_memory(nnd_packed *p, entry *e)
{
    size_t page = nnd_port_large_page_size(), bytes = e->blob.bytes ? e->blob.bytes : 1;
    if (!page || p->bytes + bytes < page || bytes >= MOST_SLAB)
        return e->own = nnd_alloc_large(bytes);
    bytes = (size_t)nnd_packed_whole_lines(bytes);
    slab *s = slab_for(p, bytes);
    if (!s) return NULL;
    void *memory = s->room;
    s->room += bytes;
    s->room_bytes -= bytes;
    return memory;
}

nnd_status nnd_packed_take(nnd_graph *g, const nnd_graph_node *n, const char *form, size_t bytes,
                           nnd_packed_blob **out, void **fill)
{
    nnd_packed *p = g->packed;
    nnd_hash128 h;
    entry *e = nnd_arena_calloc(&p->arena, 1, sizeof(*e));
    if (!e) return out_of_memory();
    nnd_hash128_init(&h, 0);
    nnd_hash128_add_str(&h, n->type);
    nnd_hash128_add_str(&h, form);
    e->form = nnd_hash128_end(&h).lo;
    e->blob.bytes = bytes;
    e->blob.data = from_file(p, e);
    *fill = NULL;
    if (e->blob.data) {
        p->mapped_bytes += bytes;
    } else {
        e->blob.data = *fill = private_memory(p, e);
        if (!*fill)
            return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to pack the weights of '%s'",
                                 n->name);
        /* Gaps that no kernel reads go to the file as well: always the same bytes, and none of
           what memory held before. */
        if (p->path) memset(*fill, 0, bytes);
        p->private_count++;
    }
    *p->end = e;
    p->end = &e->next;
    p->count++;
    p->bytes += bytes;
    *out = &e->blob;
    return NND_OK;
}

/* ---- sealing ------------------------------------------------------------------------------- */

/* Whether the file holds what the model needs, no less and no more. */
static bool is_complete(const nnd_packed *p)
{
    return p->trusted && p->private_count == 0 && p->next_row == p->map->table.count;
}

static nnd_status write_map(const nnd_packed *p, nnd_packed_map **out)
{
    nnd_packed_row *rows = nnd_alloc(p->count * sizeof(*rows));
    const void **weights = nnd_alloc(p->count * sizeof(*weights));
    size_t i = 0;
    nnd_status status = rows && weights ? NND_OK : out_of_memory();
    for (const entry *e = p->first; e && status == NND_OK; e = e->next, i++) {
        rows[i] = (nnd_packed_row){e->form, e->blob.bytes};
        weights[i] = e->blob.data;
    }
    int rc = status == NND_OK ? nnd_port_dir_create(p->folder) : 0;
    if (rc) status = nnd_error_from_port(rc, "cannot make the folder", p->folder);
    if (status == NND_OK)
        status = nnd_packed_map_write(p->path, &p->key, rows, weights, p->count, out);
    nnd_free(rows);
    nnd_free(weights);
    return status;
}

/* Private copies go, operators read the file. */
static void move_to(nnd_packed *p, nnd_packed_map *map)
{
    const uint8_t *at = map->table.bytes + map->table.payload;
    free_weights(p);
    for (entry *e = p->first; e; e = e->next) {
        e->blob.data = at;
        at += nnd_packed_whole_lines(e->blob.bytes);
    }
    nnd_packed_map_close(p->map);
    p->map = map;
    p->mapped_bytes = p->bytes;
    p->private_count = 0;
}

void nnd_packed_seal(nnd_packed *p)
{
    nnd_packed_map *map = NULL;
    if (!p->path || !p->count || is_complete(p)) return;
    if (p->bytes > p->max_bytes) {
        nnd_log(NND_LOG_INFO, channel,
                "model '%s': %llu bytes of packed weights are more than the cache folder '%s' may "
                "hold",
                p->name, (unsigned long long)p->bytes, p->folder);
        return;
    }
    if (write_map(p, &map) != NND_OK) {
        tell(p, NND_LOG_WARN, "the packed weights are not kept in");
        return;
    }
    move_to(p, map);
    nnd_packed_folder_trim(p->folder, p->max_bytes, p->path);
}
