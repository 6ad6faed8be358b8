#include "engine/packed/folder.h"

#include <string.h>

#include "base/port_status.h"
#include "base/str.h"

#define SUFFIX ".nndpacked"
static const int64_t HOUR = INT64_C(3600) * 1000000000;

static nnd_status out_of_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a file of packed weights");
}

char *nnd_packed_path(const char *folder, const nnd_packed_key *key)
{
    char name[NND_SHA256_TEXT];
    nnd_sha256_text(key->bytes, name);
    return nnd_strf("%s/%.40s" SUFFIX, folder, name);
}

/* ---- what this process has mapped ---------------------------------------------------------- */

static struct {
    nnd_port_mutex lock;
    nnd_packed_map *first;
} maps = {.lock = NND_PORT_MUTEX_INIT};

/* The listed mapping of that path with one more holder, or NULL. Under the lock. */
static nnd_packed_map *find(const char *path)
{
    nnd_packed_map *m = maps.first;
    while (m && strcmp(m->path, path) != 0)
        m = m->next;
    if (m) m->holders++;
    return m;
}

static nnd_packed_map *share(const char *path)
{
    nnd_port_mutex_lock(&maps.lock);
    nnd_packed_map *m = find(path);
    nnd_port_mutex_unlock(&maps.lock);
    return m;
}

static void destroy(nnd_packed_map *m)
{
    nnd_port_map_close(&m->map);
    nnd_free(m->path);
    nnd_free(m);
}

/* Lists a mapping, which is given up for one that another thread has listed meanwhile. */
static nnd_packed_map *list(nnd_packed_map *m)
{
    nnd_port_mutex_lock(&maps.lock);
    nnd_packed_map *other = find(m->path);
    if (!other) {
        m->next = maps.first;
        maps.first = m;
        m->listed = true;
    }
    nnd_port_mutex_unlock(&maps.lock);
    if (!other) return m;
    destroy(m);
    return other;
}

/* Under the lock. */
static void unlist(nnd_packed_map *m)
{
    nnd_packed_map **link = &maps.first;
    if (!m->listed) return;
    while (*link != m)
        link = &(*link)->next;
    *link = m->next;
    m->listed = false;
}

void nnd_packed_map_unlist(nnd_packed_map *m)
{
    nnd_port_mutex_lock(&maps.lock);
    unlist(m);
    nnd_port_mutex_unlock(&maps.lock);
}

void nnd_packed_map_close(nnd_packed_map *m)
{
    if (!m) return;
    nnd_port_mutex_lock(&maps.lock);
    bool last = --m->holders == 0;
    if (last) unlist(m);
    nnd_port_mutex_unlock(&maps.lock);
    if (last) destroy(m);
}

/* ---- opening and writing ------------------------------------------------------------------- */

/* Maps the file and reads its table; the weights are not read. */
static nnd_status map_file(const char *path, const nnd_packed_key *key, nnd_packed_map **out)
{
    nnd_packed_map *m = nnd_calloc(1, sizeof(*m));
    if (!m) return out_of_memory();
    m->holders = 1;
    m->path = nnd_strdup(path);
    nnd_status status = m->path ? NND_OK : out_of_memory();
    if (status == NND_OK)
        status = nnd_error_from_port(nnd_port_map_open(path, &m->map), "cannot open", path);
    if (status == NND_OK) status = nnd_packed_table_read(m->map.data, m->map.size, key, &m->table);
    if (status != NND_OK) {
        destroy(m);
        return status;
    }
    *out = m;
    return NND_OK;
}

/* So that trimming knows what is in use; an hour is as good as the moment. */
static void mark_used(const char *path)
{
    nnd_port_file_info info;
    if (nnd_port_file_stat(path, &info) == 0 && nnd_port_wall_now() - info.mtime > HOUR)
        (void)nnd_port_file_touch(path); /* a read-only folder is not trimmed either */
}

nnd_status nnd_packed_map_open(const char *path, const nnd_packed_key *key, nnd_packed_map **out)
{
    nnd_packed_map *m = share(path);
    if (!m) {
        NND_TRY(map_file(path, key, &m));
        if (!nnd_packed_table_is_intact(&m->table)) {
            destroy(m);
            return nnd_error_set(NND_E_FORMAT, "the packed weights are damaged");
        }
        mark_used(path);
        m = list(m);
    }
    *out = m;
    return NND_OK;
}

/* The head, then each row's weights and the zeros behind them. */
static nnd_status write_file(const char *path, const uint8_t *head, const nnd_packed_row *rows,
                             const void *const *weights, size_t count)
{
    static const uint8_t zeros[NND_PACKED_LINE];
    nnd_port_piece *pieces = nnd_alloc((2 * count + 1) * sizeof(*pieces));
    if (!pieces) return out_of_memory();
    pieces[0] = (nnd_port_piece){head, nnd_packed_head_bytes(count)};
    for (size_t i = 0; i < count; i++) {
        size_t bytes = (size_t)rows[i].bytes, padded = (size_t)nnd_packed_whole_lines(bytes);
        pieces[2 * i + 1] = (nnd_port_piece){weights[i], bytes};
        pieces[2 * i + 2] = (nnd_port_piece){zeros, padded - bytes};
    }
    /* Not flushed: what a crash leaves is found out by its checksum. */
    int rc = nnd_port_file_write_pieces(path, pieces, 2 * count + 1, false);
    nnd_free(pieces);
    return nnd_error_from_port(rc, "cannot write", path);
}

/* The head has the checksum of the weights: where it is the same, they are. */
static bool begins_with(const nnd_packed_map *m, const uint8_t *head, size_t count)
{
    return m->table.count == count && memcmp(m->map.data, head, nnd_packed_head_bytes(count)) == 0;
}

nnd_status nnd_packed_map_write(const char *path, const nnd_packed_key *key,
                                const nnd_packed_row *rows, const void *const *weights,
                                size_t count, nnd_packed_map **out)
{
    uint8_t *head = nnd_alloc(nnd_packed_head_bytes(count));
    if (!head) return out_of_memory();
    nnd_packed_head_write(key, rows, weights, count, head);
    nnd_packed_map *m = share(path);
    nnd_status status = NND_OK;
    if (!m || !begins_with(m, head, count)) {
        nnd_packed_map_close(m);
        m = NULL;
        status = write_file(path, head, rows, weights, count);
        if (status == NND_OK) status = map_file(path, key, &m);
        /* The same weights, whoever has written them last: they need not be read again. */
        if (status == NND_OK && !begins_with(m, head, count))
            status = nnd_error_set(NND_E_FORMAT, "'%s' is not what was written", path);
        if (status == NND_OK) m = list(m);
    }
    if (status == NND_OK && !begins_with(m, head, count))
        status = nnd_error_set(NND_E_FORMAT, "'%s' is mapped with other weights", path);
    nnd_free(head);
    if (status == NND_OK)
        *out = m;
    else
        nnd_packed_map_close(m);
    return status;
}

/* ---- trimming ------------------------------------------------------------------------------ */

/* Oldest of the files whose names go on with `ending` after the suffix, and their bytes. */
typedef struct census {
    uint64_t bytes;
    char *oldest;
    int64_t mtime;
} census;

static bool is_cache_file(const char *name, bool *interrupted)
{
    const char *suffix = strstr(name, SUFFIX);
    if (!suffix) return false;
    suffix += strlen(SUFFIX);
    *interrupted = strncmp(suffix, ".tmp-", 5) == 0;
    return !*suffix || *interrupted;
}

/* Adds a file to the census, or removes what an interrupted writer has left. */
static void look_at(const char *path, bool interrupted, const char *keep, census *c)
{
    nnd_port_file_info info;
    if (nnd_port_file_stat(path, &info) != 0 || !info.is_file) return;
    if (interrupted) {
        if (nnd_port_wall_now() - info.mtime > HOUR) (void)nnd_port_file_remove(path);
        return;
    }
    c->bytes += info.size;
    if (strcmp(path, keep) == 0 || (c->oldest && info.mtime >= c->mtime)) return;
    char *copy = nnd_strdup(path);
    if (!copy) return;
    nnd_free(c->oldest);
    c->oldest = copy;
    c->mtime = info.mtime;
}

/* One round: all that is there, and the file to go next. */
static bool take_census(const char *folder, const char *keep, census *c)
{
    nnd_port_dir_list names = {0};
    *c = (census){0};
    if (nnd_port_dir_read(folder, &names) != 0) return false;
    for (size_t i = 0; i < names.count; i++) {
        bool interrupted;
        if (!is_cache_file(names.names[i], &interrupted)) continue;
        char *path = nnd_strf("%s/%s", folder, names.names[i]);
        if (path) look_at(path, interrupted, keep, c);
        nnd_free(path);
    }
    nnd_port_dir_list_free(&names);
    return true;
}

void nnd_packed_folder_trim(const char *folder, uint64_t max_bytes, const char *keep)
{
    census c;
    while (take_census(folder, keep, &c)) {
        /* Processes that have the file mapped keep it until they end. */
        bool goes_on = c.bytes > max_bytes && c.oldest && nnd_port_file_remove(c.oldest) == 0;
        nnd_free(c.oldest);
        if (!goes_on) break;
    }
}
