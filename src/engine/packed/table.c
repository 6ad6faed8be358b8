#include "engine/packed/table.h"

#include <string.h>

#include "base/bytes.h"

static const char magic[8] = {'N', 'N', 'D', 'P', 'A', 'C', 'K', '\n'};
enum { VERSION = 1, CHECKSUM_AT = 56 };

/* ---- checksum ------------------------------------------------------------------------------ */

/* Every load reads all of the weights, so this has to run at the speed of memory: per column of a
   line the sum of its words, and the sum of those sums, which depends on the order. */
typedef struct line_sum {
    uint64_t words[8], sums[8];
} line_sum;

static void add_lines(line_sum *s, const uint8_t *p, size_t lines)
{
    line_sum now = *s;
    for (; lines; lines--, p += NND_PACKED_LINE) {
        uint64_t line[8];
        memcpy(line, p, sizeof(line));
        for (int i = 0; i < 8; i++)
            now.words[i] += line[i];
        for (int i = 0; i < 8; i++)
            now.sums[i] += now.words[i];
    }
    *s = now;
}

/* The bytes as they lie in the file: zeros up to a whole line. */
static void add_padded(line_sum *s, const void *data, size_t bytes)
{
    uint8_t last[NND_PACKED_LINE] = {0};
    size_t whole = bytes / NND_PACKED_LINE * NND_PACKED_LINE;
    add_lines(s, data, whole / NND_PACKED_LINE);
    if (whole == bytes) return;
    memcpy(last, (const uint8_t *)data + whole, bytes - whole);
    add_lines(s, last, 1);
}

/* The rows and what the weights summed up to. */
static nnd_key128 checksum(const uint8_t *rows, size_t bytes, const line_sum *weights)
{
    nnd_hash128 h;
    nnd_hash128_init(&h, VERSION);
    nnd_hash128_add(&h, rows, bytes);
    nnd_hash128_add(&h, weights, sizeof(*weights));
    return nnd_hash128_end(&h);
}

bool nnd_packed_table_is_intact(const nnd_packed_table *t)
{
    nnd_bytes b = nnd_bytes_of(t->bytes + CHECKSUM_AT, 2 * sizeof(uint64_t));
    nnd_key128 stored = {.lo = nnd_bytes_u64le(&b)};
    stored.hi = nnd_bytes_u64le(&b);
    line_sum s = {{0}, {0}};
    add_lines(&s, t->bytes + t->payload, (t->size - t->payload) / NND_PACKED_LINE);
    return nnd_key128_equal(stored,
                            checksum(t->bytes + NND_PACKED_HEAD, t->payload - NND_PACKED_HEAD, &s));
}

/* ---- reading ------------------------------------------------------------------------------- */

static nnd_status bad(const char *what)
{
    return nnd_error_set(NND_E_FORMAT, "not a usable file of packed weights: %s", what);
}

size_t nnd_packed_head_bytes(size_t count)
{
    return (size_t)nnd_packed_whole_lines(NND_PACKED_HEAD + count * NND_PACKED_ROW);
}

nnd_packed_row nnd_packed_table_row(const nnd_packed_table *t, size_t index)
{
    const uint8_t *row = t->bytes + NND_PACKED_HEAD + index * NND_PACKED_ROW;
    nnd_bytes b = nnd_bytes_of(row, NND_PACKED_ROW);
    nnd_packed_row r = {.form = nnd_bytes_u64le(&b)};
    r.bytes = nnd_bytes_u64le(&b);
    return r;
}

/* Whether the weights fill the file to its end. */
static bool rows_add_up(const nnd_packed_table *t)
{
    uint64_t left = t->size - t->payload;
    for (size_t i = 0; i < t->count; i++) {
        uint64_t bytes = nnd_packed_table_row(t, i).bytes;
        if (bytes > left) return false;
        left -= nnd_packed_whole_lines(bytes); /* of whole lines there are as many */
    }
    return left == 0;
}

nnd_status nnd_packed_table_read(const void *bytes, size_t size, const nnd_packed_key *key,
                                 nnd_packed_table *out)
{
    nnd_bytes b = nnd_bytes_of(bytes, size);
    const uint8_t *name = nnd_bytes_take(&b, sizeof(magic));
    if (!name || memcmp(name, magic, sizeof(magic)) != 0) return bad("it begins differently");
    if (nnd_bytes_u32le(&b) != VERSION) return bad("another version of the format");
    uint32_t count = nnd_bytes_u32le(&b);
    uint64_t whole = nnd_bytes_u64le(&b);
    const uint8_t *owner = nnd_bytes_take(&b, sizeof(key->bytes));
    if (!owner || size < NND_PACKED_HEAD || whole != size || size % NND_PACKED_LINE)
        return bad("it has another size than it says");
    if (memcmp(owner, key->bytes, sizeof(key->bytes)) != 0) return bad("it is another model's");
    if (count > (size - NND_PACKED_HEAD) / NND_PACKED_ROW) return bad("its table is cut off");
    nnd_packed_table t = {.bytes = bytes, .size = size, .count = count};
    t.payload = nnd_packed_head_bytes(count);
    if (!rows_add_up(&t)) return bad("its rows do not add up");
    *out = t;
    return NND_OK;
}

/* ---- writing ------------------------------------------------------------------------------- */

static uint8_t *put(uint8_t *at, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        *at++ = (uint8_t)(value >> (8 * i));
    return at;
}

void nnd_packed_head_write(const nnd_packed_key *key, const nnd_packed_row *rows,
                           const void *const *weights, size_t count, uint8_t *out)
{
    size_t head = nnd_packed_head_bytes(count);
    uint64_t size = head;
    line_sum s = {{0}, {0}};
    memset(out, 0, head);
    uint8_t *at = out + NND_PACKED_HEAD;
    for (size_t i = 0; i < count; i++) {
        at = put(put(at, rows[i].form, 8), rows[i].bytes, 8);
        size += nnd_packed_whole_lines(rows[i].bytes);
        add_padded(&s, weights[i], (size_t)rows[i].bytes);
    }
    nnd_key128 sum = checksum(out + NND_PACKED_HEAD, head - NND_PACKED_HEAD, &s);
    memcpy(out, magic, sizeof(magic));
    at = put(put(put(out + sizeof(magic), VERSION, 4), count, 4), size, 8);
    memcpy(at, key->bytes, sizeof(key->bytes));
    put(put(out + CHECKSUM_AT, sum.lo, 8), sum.hi, 8);
}
