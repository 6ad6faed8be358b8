/*
 * Any bytes as a cache file of packed weights, for the key that they bear: the weights of every row
 * lie in the bytes and can be read, and they fill the file. Build with -DNND_BUILD_FUZZ=ON and
 * clang.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/packed/table.h"

enum { KEY_AT = 24 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nnd_packed_key key = {{0}};
    nnd_packed_table t;
    volatile uint8_t sum = 0;
    if (size >= KEY_AT + sizeof(key.bytes)) memcpy(key.bytes, data + KEY_AT, sizeof(key.bytes));
    if (nnd_packed_table_read(data, size, &key, &t) == NND_OK) {
        size_t at = t.payload;
        for (size_t i = 0; i < t.count; i++) {
            nnd_packed_row row = nnd_packed_table_row(&t, i);
            for (uint64_t k = 0; k < row.bytes; k++)
                sum = (uint8_t)(sum + data[at + k]);
            at += (size_t)nnd_packed_whole_lines(row.bytes);
        }
        if (at != size) abort();
        (void)nnd_packed_table_is_intact(&t);
    }
    nnd_error_clear();
    return 0;
}
