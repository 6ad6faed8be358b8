/*
 * Any bytes as a tuning file: what is read can be written. Build with
 * -DNND_BUILD_FUZZ=ON and clang.
 */
#include "infer/tuning.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nnd_tuning *tuning = NULL;
    nnd_json_writer *w = NULL;
    char *text = NULL;
    if (nnd_tuning_parse((const char *)data, size, "fuzz", &tuning) == NND_OK &&
        nnd_json_writer_create(0, &w) == NND_OK) {
        nnd_json_begin_array(w);
        for (size_t i = 0; i < tuning->entries.count; i++) {
            const nnd_tuning_entry *entry = &tuning->entries.items[i];
            nnd_tuning_trial_to_json(&entry->trials.items[entry->choice], w);
        }
        nnd_json_end_array(w);
        if (nnd_json_writer_take(w, &text, NULL) != NND_OK) __builtin_trap();
    }
    nnd_free(text);
    nnd_json_writer_destroy(w);
    nnd_tuning_unref(tuning);
    nnd_error_clear();
    return 0;
}
