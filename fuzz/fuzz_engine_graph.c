/*
 * Any text as a saved graph, with a fixed file of weights ("a": f32[2], "b": u8[8]): what loads can
 * be printed and becomes a model or an error. Build with -DNND_BUILD_FUZZ=ON and clang.
 */
#include <string.h>

#include "engine/engine.h"
#include "engine/ir/ir.h"

static nnd_status open_weights(void *user, const char *relative, nnd_buffer **out)
{
    static const char header[] = "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
                                 "\"b\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[8,16]}}";
    static uint8_t file[8 + sizeof(header) - 1 + 16];
    (void)user;
    (void)relative;
    file[0] = sizeof(header) - 1;
    memcpy(file + 8, header, sizeof(header) - 1);
    return nnd_buffer_wrap(file, sizeof(file), NULL, NULL, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nnd_engine_options options = NND_ENGINE_OPTIONS_INIT;
    nnd_engine_model *model;
    nnd_ir *ir;
    char *text;
    options.max_arena_bytes = 1 << 24;
    options.max_weight_bytes = 1 << 24;
    if (nnd_ir_create_empty(&ir) != NND_OK) return 0;
    ir->source.open = open_weights;
    ir->source.max_weight_bytes = options.max_weight_bytes;
    if (nnd_ir_read(ir, data, size) == NND_OK) {
        if (nnd_ir_print(ir, &text) == NND_OK) nnd_free(text);
        if (nnd_engine_model_load_ir(ir, &options, &model) == NND_OK) nnd_engine_model_unref(model);
    } else {
        nnd_ir_destroy(ir);
    }
    nnd_error_clear();
    return 0;
}
