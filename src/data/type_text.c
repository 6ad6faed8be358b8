/*
 * The value type "text".
 */
#include <string.h>

#include "base/size.h"
#include "base/str.h"
#include "data/pack.h"
#include "data/preview.h"
#include "data/value.h"

static void text_destroy(void *payload)
{
    nnd_text *text = payload;
    nnd_free((char *)text->text);
    nnd_free((int32_t *)text->tokens);
}

static nnd_status copy_text(nnd_text *to, const char *text, size_t size)
{
    size_t valid = nnd_utf8_valid_prefix(text, size);
    if (valid != size) {
        return nnd_error_set(NND_E_FORMAT, "the text is not UTF-8: byte %zu of %zu", valid, size);
    }
    char *copy = nnd_strdup_n(text, size);
    if (!copy) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a text of %zu bytes", size);
    nnd_free((char *)to->text);
    to->text = copy;
    to->size = size;
    return NND_OK;
}

static nnd_status copy_tokens(nnd_text *to, const void *tokens, size_t count)
{
    int32_t *copy = NULL;
    size_t bytes;
    if (count > 0) {
        copy = nnd_size_mul(count, sizeof(*copy), &bytes) ? nnd_alloc(bytes) : NULL;
        if (!copy) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for %zu tokens", count);
        memcpy(copy, tokens, bytes);
    }
    nnd_free((int32_t *)to->tokens);
    to->tokens = copy;
    to->token_count = count;
    return NND_OK;
}

static nnd_status text_clone(const void *payload, void *to, bool share_buffers)
{
    (void)share_buffers;
    const nnd_text *from = payload;
    nnd_text *copy = to;
    NND_TRY(copy_text(copy, from->text ? from->text : "", from->size));
    NND_TRY(copy_tokens(copy, from->tokens, from->token_count));
    copy->request_id = from->request_id;
    copy->finish = from->finish;
    copy->is_delta = from->is_delta;
    return NND_OK;
}

static nnd_status text_to_json(const void *payload, nnd_json_writer *w)
{
    const nnd_text *text = payload;
    nnd_json_put_string_n(w, text->text ? text->text : "", text->size);
    return NND_OK;
}

/* Payload: text and tokens as bytes, u64 request, u32 finish, u32 is_delta. */
static nnd_status text_pack(const void *payload, nnd_packer *p)
{
    const nnd_text *text = payload;
    nnd_pack_bytes(p, text->text, text->size);
    nnd_pack_bytes(p, text->tokens, text->token_count * sizeof(text->tokens[0]));
    nnd_pack_u64(p, text->request_id);
    nnd_pack_u32(p, (uint32_t)text->finish);
    return nnd_pack_u32(p, text->is_delta);
}

static nnd_status text_unpack(void *payload, nnd_unpacker *u)
{
    nnd_text *text = payload;
    const void *bytes;
    size_t size;
    int64_t finish, is_delta;
    NND_TRY(nnd_unpack_bytes(u, &bytes, &size));
    if (!nnd_utf8_valid(bytes, size)) return nnd_unpack_fail(u, "a text is not UTF-8");
    NND_TRY(copy_text(text, bytes, size));
    NND_TRY(nnd_unpack_bytes(u, &bytes, &size));
    if (size % sizeof(int32_t)) return nnd_unpack_fail(u, "%zu bytes are not whole tokens", size);
    NND_TRY(copy_tokens(text, bytes, size / sizeof(int32_t)));
    NND_TRY(nnd_unpack_u64(u, &text->request_id));
    NND_TRY(nnd_unpack_u32_in(u, NND_FINISH_NONE, NND_FINISH_ERROR, "finish reason", &finish));
    NND_TRY(nnd_unpack_u32_in(u, 0, 1, "delta mark", &is_delta));
    text->finish = (nnd_finish)finish;
    text->is_delta = is_delta != 0;
    return NND_OK;
}

const nnd_value_type nnd_type_text = {
    .struct_size = sizeof(nnd_value_type),
    .name = "text",
    .payload_size = sizeof(nnd_text),
    .destroy = text_destroy,
    .clone = text_clone,
    .to_json = text_to_json,
    .preview = nnd_preview_text,
    .pack = text_pack,
    .unpack = text_unpack,
};

nnd_status nnd_value_new_text(const char *text, size_t size, nnd_value **out)
{
    nnd_value *value;
    NND_TRY(nnd_value_alloc(&nnd_type_text, &value));
    nnd_status status =
        copy_text((nnd_text *)value->payload, text, size == SIZE_MAX ? strlen(text) : size);
    if (status != NND_OK) {
        nnd_value_unref(value);
        return status;
    }
    *out = value;
    return NND_OK;
}

nnd_status nnd_value_set_tokens(nnd_value *text_value, const int32_t *tokens, size_t token_count)
{
    void *payload;
    NND_TRY(nnd_value_edit_as(text_value, &nnd_type_text, &payload));
    return copy_tokens(payload, tokens, token_count);
}
