/*
 * The value type "audio".
 */
#include <string.h>

#include "base/size.h"
#include "data/pack.h"
#include "data/preview.h"
#include "data/value.h"

enum { MAX_RATE = 10000000, MAX_CHANNELS = 1024 };

static void audio_destroy(void *payload)
{
    nnd_buffer_unref(((nnd_audio *)payload)->buffer);
}

static nnd_buffer *audio_buffer(const void *payload)
{
    return ((const nnd_audio *)payload)->buffer;
}

static nnd_status check_audio(nnd_dtype dtype, int64_t rate, int64_t channels, int64_t frames,
                              size_t *bytes)
{
    if (dtype != NND_I16 && dtype != NND_F32) {
        return nnd_error_set(NND_E_TYPE, "audio has samples of i16 or f32, not %s",
                             nnd_dtype_name(dtype));
    }
    if (rate < 1 || rate > MAX_RATE || channels < 1 || channels > MAX_CHANNELS || frames < 0) {
        return nnd_error_set(NND_E_SHAPE,
                             "audio of %lld Hz, %lld channels, %lld frames is "
                             "impossible",
                             (long long)rate, (long long)channels, (long long)frames);
    }
    int64_t samples;
    if (!nnd_i64_mul(frames, channels, &samples)) {
        return nnd_error_set(NND_E_OVERFLOW, "%lld frames of audio are too many",
                             (long long)frames);
    }
    return nnd_dtype_bytes(dtype, (uint64_t)samples, bytes);
}

static nnd_status make_audio(nnd_audio *audio, nnd_dtype dtype, int rate, int channels,
                             int64_t frames, const nnd_buffer *like)
{
    size_t bytes;
    NND_TRY(check_audio(dtype, rate, channels, frames, &bytes));
    nnd_buffer *buffer;
    NND_TRY(nnd_bulk_alloc(like, bytes, &buffer));
    *audio = (nnd_audio){dtype, rate, channels, frames, nnd_buffer_data(buffer), buffer};
    return NND_OK;
}

static nnd_status audio_clone(const void *payload, void *to, bool share_buffers)
{
    const nnd_audio *from = payload;
    nnd_audio *copy = to;
    if (share_buffers || !from->buffer) {
        *copy = *from;
        if (from->buffer) nnd_buffer_ref(from->buffer);
        return NND_OK;
    }
    if (!from->data) return nnd_error_set(NND_E_STATE, "the samples are not in host memory");
    NND_TRY(nnd_bulk_wait(from->buffer));
    NND_TRY(make_audio(copy, from->dtype, from->sample_rate, from->channels, from->frames,
                       from->buffer));
    size_t bytes = nnd_buffer_size(copy->buffer);
    if (bytes) memcpy(copy->data, from->data, bytes);
    nnd_copy_count(bytes);
    return NND_OK;
}

static nnd_status audio_to_json(const void *payload, nnd_json_writer *w)
{
    const nnd_audio *audio = payload;
    nnd_json_begin_object(w);
    nnd_json_set_inline(w, true);
    nnd_json_key(w, "dtype");
    nnd_json_put_string(w, nnd_dtype_name(audio->dtype));
    nnd_json_key(w, "sample_rate");
    nnd_json_put_int(w, audio->sample_rate);
    nnd_json_key(w, "channels");
    nnd_json_put_int(w, audio->channels);
    nnd_json_key(w, "frames");
    nnd_json_put_int(w, audio->frames);
    nnd_json_end_object(w);
    return NND_OK;
}

/* Payload: u32 dtype, u32 rate, u32 channels, i64 frames, the samples as a buffer. */
static nnd_status audio_pack(const void *payload, nnd_packer *p)
{
    const nnd_audio *audio = payload;
    if (!audio->buffer || !nnd_buffer_data(audio->buffer)) {
        return nnd_error_set(NND_E_STATE, "the audio has no samples in host memory to pack");
    }
    size_t bytes;
    NND_TRY(check_audio(audio->dtype, audio->sample_rate, audio->channels, audio->frames, &bytes));
    NND_TRY(nnd_bulk_wait(audio->buffer));
    nnd_pack_u32(p, (uint32_t)audio->dtype);
    nnd_pack_u32(p, (uint32_t)audio->sample_rate);
    nnd_pack_u32(p, (uint32_t)audio->channels);
    nnd_pack_i64(p, audio->frames);
    size_t offset = (size_t)((char *)audio->data - (char *)nnd_buffer_data(audio->buffer));
    return nnd_pack_buffer(p, audio->buffer, offset, bytes);
}

static nnd_status audio_unpack(void *payload, nnd_unpacker *u)
{
    nnd_audio *audio = payload;
    int64_t dtype, rate, channels, frames;
    size_t bytes, offset, size;
    NND_TRY(nnd_unpack_u32_in(u, NND_DTYPE_INVALID + 1, NND_DTYPE_COUNT - 1, "dtype", &dtype));
    NND_TRY(nnd_unpack_u32_in(u, 1, MAX_RATE, "sample rate", &rate));
    NND_TRY(nnd_unpack_u32_in(u, 1, MAX_CHANNELS, "number of channels", &channels));
    NND_TRY(nnd_unpack_i64(u, &frames));
    if (check_audio((nnd_dtype)dtype, rate, channels, frames, &bytes) != NND_OK) {
        return nnd_unpack_fail(u, "audio has an impossible format");
    }
    NND_TRY(nnd_unpack_buffer(u, &audio->buffer, &offset, &size));
    char *base = nnd_buffer_data(audio->buffer);
    size_t item = nnd_dtype_bits((nnd_dtype)dtype) / 8;
    if (size != bytes || !base || (uintptr_t)(base + offset) % item != 0) {
        return nnd_unpack_fail(u, "audio of %zu bytes has %zu", bytes, size);
    }
    audio->dtype = (nnd_dtype)dtype;
    audio->sample_rate = (int32_t)rate;
    audio->channels = (int32_t)channels;
    audio->frames = frames;
    audio->data = base + offset;
    return NND_OK;
}

const nnd_value_type nnd_type_audio = {
    .struct_size = sizeof(nnd_value_type),
    .name = "audio",
    .payload_size = sizeof(nnd_audio),
    .destroy = audio_destroy,
    .clone = audio_clone,
    .to_json = audio_to_json,
    .preview = nnd_preview_audio,
    .pack = audio_pack,
    .unpack = audio_unpack,
    .buffer = audio_buffer,
};

nnd_status nnd_value_new_audio(nnd_dtype dtype, int sample_rate, int channels, int64_t frames,
                               nnd_value **out)
{
    nnd_value *value;
    NND_TRY(nnd_value_alloc(&nnd_type_audio, &value));
    nnd_status status =
        make_audio((nnd_audio *)value->payload, dtype, sample_rate, channels, frames, NULL);
    if (status != NND_OK) {
        nnd_value_unref(value);
        return status;
    }
    *out = value;
    return NND_OK;
}
