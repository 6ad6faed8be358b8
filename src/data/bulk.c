/*
 * Bulk memory of values: allocation like another buffer, string tables, label blocks.
 */
#include <string.h>

#include "base/size.h"
#include "data/value.h"

nnd_status nnd_bulk_alloc(const nnd_buffer *like, size_t bytes, nnd_buffer **out)
{
    nnd_buffer_desc desc = NND_BUFFER_DESC_INIT;
    desc.bytes = bytes;
    if (like) {
        desc.kind = nnd_buffer_kind(like);
        desc.device = nnd_buffer_device(like);
        /* Somebody else's hardware buffers cannot be made here; ordinary memory reads the same. */
        if (desc.kind == NND_MEM_DMABUF && nnd_buffer_data(like)) {
            desc.kind = NND_MEM_HOST;
            desc.device = NULL;
        }
    }
    return nnd_buffer_create(&desc, out);
}

nnd_status nnd_bulk_wait(nnd_buffer *buffer)
{
    return buffer ? nnd_buffer_wait(buffer, NULL) : NND_OK;
}

nnd_status nnd_bulk_check_range(const nnd_buffer *buffer, int64_t low, int64_t high,
                                const char *what)
{
    if (low < 0 || high < low || (uint64_t)high > nnd_buffer_size(buffer)) {
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "%s: bytes %lld…%lld lie outside its buffer of %zu bytes", what,
                             (long long)low, (long long)high, nnd_buffer_size(buffer));
    }
    return NND_OK;
}

/* ---- string tables ---- */

typedef struct string_table {
    size_t count;
    nnd_string items[];
} string_table;

static const char empty_text[] = "";

static void string_table_release(void *user, void *data)
{
    string_table *table = user;
    (void)data;
    for (size_t i = 0; i < table->count; i++)
        if (table->items[i].text != empty_text) nnd_free((char *)table->items[i].text);
    nnd_free(table);
}

nnd_status nnd_string_table_create(size_t count, nnd_buffer **out)
{
    size_t bytes, total;
    if (!nnd_size_mul(count, sizeof(nnd_string), &bytes) ||
        !nnd_size_add(bytes, sizeof(string_table), &total)) {
        return nnd_error_set(NND_E_OVERFLOW, "a tensor of %zu strings is too large", count);
    }
    string_table *table = nnd_alloc(total);
    if (!table) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for %zu strings", count);
    table->count = count;
    for (size_t i = 0; i < count; i++)
        table->items[i] = (nnd_string){empty_text, 0};
    nnd_status status = nnd_buffer_wrap(table->items, bytes, string_table_release, table, out);
    if (status != NND_OK) nnd_free(table);
    return status;
}

nnd_status nnd_string_table_set(nnd_buffer *table, size_t index, const char *text, size_t size)
{
    nnd_string *item = (nnd_string *)nnd_buffer_data(table) + index;
    size_t room;
    char *copy = nnd_size_add(size, 1, &room) ? nnd_alloc(room) : NULL;
    if (!copy)
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a string of %zu bytes", size);
    if (size) memcpy(copy, text, size);
    copy[size] = '\0';
    if (item->text != empty_text) nnd_free((char *)item->text);
    *item = (nnd_string){copy, size};
    return NND_OK;
}

/* ---- labels ---- */

nnd_status nnd_labels_copy(const char *const *labels, size_t count, const char ***out)
{
    *out = NULL;
    if (count == 0) return NND_OK;
    size_t total;
    bool fits = nnd_size_mul(count, sizeof(char *), &total);
    for (size_t i = 0; fits && i < count; i++)
        fits = nnd_size_add(total, strlen(labels[i] ? labels[i] : "") + 1, &total);
    const char **block = fits ? nnd_alloc(total) : NULL;
    if (!block) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for %zu labels", count);
    char *text = (char *)(block + count);
    for (size_t i = 0; i < count; i++) {
        const char *label = labels[i] ? labels[i] : "";
        size_t size = strlen(label) + 1;
        memcpy(text, label, size);
        block[i] = text;
        text += size;
    }
    *out = block;
    return NND_OK;
}
