/* Values from and to files of the host. */
#include "nodes/nodes_internal.h"

#include "base/port_status.h"
#include "base/str.h"
#include "port/port.h"

#include <string.h>

static const size_t max_bytes = (size_t)1 << 32;

/* Whether `name` is one of the types in "a|b|c". */
static bool mentions(const char *type, const char *name)
{
    size_t wanted = strlen(name);
    for (const char *p = type; *p;) {
        size_t n = strcspn(p, "|");
        if (n == wanted && strncmp(p, name, n) == 0) return true;
        p += n + (p[n] == '|');
    }
    return false;
}

/* What a file of an "any" port holds, by its suffix. */
static const char *guess(const char *path)
{
    if (nnd_image_codec_from_name(path) != NND_CODEC_NONE) return "image";
    if (nnd_str_ends_with(path, ".npy")) return "tensor";
    return "text";
}

static nnd_status parse(const char *path, const char *type, const void *bytes, size_t size,
                        nnd_value **out)
{
    if (mentions(type, "any")) type = guess(path);
    if (mentions(type, "image")) return nnd_image_decode(bytes, size, NULL, out);
    if (mentions(type, "tensor")) return nnd_npy_parse(bytes, size, out);
    if (mentions(type, "text")) return nnd_value_new_text(bytes, size, out);
    if (mentions(type, "bytes")) return nnd_value_new_bytes(bytes, size, out);
    return nnd_error_set(NND_E_TYPE, "a value of type %s is not read from files", type);
}

nnd_status nnd_value_read_file(const char *path, const char *type, nnd_value **out)
{
    char *bytes = NULL;
    size_t size = 0;
    if (!path || !type || !out)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "nnd_value_read_file: path, type and out are required");
    NND_TRY(nnd_error_from_port(nnd_port_file_read(path, max_bytes, &bytes, &size),
                                "cannot read file", path));
    nnd_status status = parse(path, type, bytes, size, out);
    nnd_port_free(bytes);
    return status == NND_OK ? status : nnd_error_wrap(status, "cannot read '%s'", path);
}

static nnd_status write_bytes(const char *path, const void *bytes, size_t size)
{
    return nnd_error_from_port(nnd_port_file_write_atomic(path, bytes, size), "cannot write file",
                               path);
}

static nnd_status encode(const nnd_value *value, const char *path, void **bytes, size_t *size)
{
    nnd_json_writer *w = NULL;
    char *text = NULL;
    if (nnd_value_is(value, "tensor")) return nnd_npy_write(nnd_value_tensor(value), bytes, size);
    if (nnd_value_is(value, "image")) {
        nnd_encode_options options = NND_ENCODE_OPTIONS_INIT;
        options.codec = nnd_image_codec_from_name(path);
        if (!nnd_image_codec_writes(options.codec))
            return nnd_error_set(NND_E_UNSUPPORTED,
                                 "a picture's file ends in .jpg, .jpeg, .png or .bmp");
        return nnd_image_encode(nnd_value_image(value), &options, bytes, size);
    }
    NND_TRY(nnd_json_writer_create(2, &w));
    nnd_status status = nnd_value_to_json(value, w);
    if (status == NND_OK) status = nnd_json_writer_take(w, &text, size);
    nnd_json_writer_destroy(w);
    *bytes = text;
    return status;
}

nnd_status nnd_value_write_file(const nnd_value *value, const char *path)
{
    void *bytes = NULL;
    const void *plain = NULL;
    size_t size = 0;
    if (!value || !path)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "nnd_value_write_file: value and path are required");
    const nnd_text *text = nnd_value_text(value);
    if (text) return write_bytes(path, text->text, text->size);
    if (nnd_value_as_bytes(value, &plain, &size)) return write_bytes(path, plain, size);
    nnd_status status = encode(value, path, &bytes, &size);
    if (status == NND_OK) status = write_bytes(path, bytes, size);
    nnd_free(bytes);
    return status == NND_OK ? status : nnd_error_wrap(status, "cannot write '%s'", path);
}
