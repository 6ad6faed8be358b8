/* nnd_value_unpack on any bytes; what it accepts can be copied, shown, written as JSON and packed.
 */
#include <stdlib.h>

#include "nndeploy/data.h"

static void show(const nnd_value *v)
{
    nnd_value *picture;
    nnd_json_writer *w;
    char *text;
    if (nnd_value_preview(v, &picture) == NND_OK) nnd_value_unref(picture);
    if (nnd_json_writer_create(0, &w) != NND_OK) return;
    if (nnd_value_to_json(v, w) == NND_OK && nnd_json_writer_take(w, &text, NULL) == NND_OK)
        nnd_free(text);
    nnd_json_writer_destroy(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nnd_value *v, *copy, *again;
    void *bytes;
    size_t packed;
    if (nnd_value_unpack(data, size, &v) != NND_OK) return 0;
    show(v);
    if (nnd_value_writable(nnd_value_ref(v), &copy) != NND_OK) abort();
    if (nnd_value_pack(copy, &bytes, &packed) != NND_OK) abort();
    if (nnd_value_unpack(bytes, packed, &again) != NND_OK) abort();
    nnd_value_unref(again);
    nnd_value_unref(copy);
    nnd_value_unref(v);
    nnd_free(bytes);
    return 0;
}
