/* Pictures from files and folders, pictures to files. */
#include "nodes/nodes_internal.h"

#include "base/str.h"

#include <string.h>

static nnd_status read_image(nnd_ctx *ctx, nnd_io *io, const char *path, nnd_value **out)
{
    const nnd_params *params = nnd_ctx_params(ctx);
    nnd_decode_options options = NND_DECODE_OPTIONS_INIT;
    void *bytes = NULL;
    size_t size = 0;
    options.upright = nnd_params_bool(params, "upright");
    options.format = nnd_pixel_format_from_name(nnd_params_text(params, "format"));
    options.cancel = nnd_ctx_cancel(ctx);
    NND_TRY(nnd_io_read_file(io, path, &bytes, &size));
    nnd_status status = nnd_image_decode(bytes, size, &options, out);
    nnd_free(bytes);
    if (status != NND_OK) return nnd_error_wrap(status, "cannot read picture '%s'", path);
    return NND_OK;
}

#define IMAGE_FORMATS "rgb|bgr|gray|rgba|bgra"

/* ---- io.read_image ----------------------------------------------------------------------- */

static nnd_status read_image_process(nnd_ctx *ctx)
{
    const char *path = nnd_params_text(nnd_ctx_params(ctx), "path");
    nnd_io *io = NULL;
    nnd_value *value = NULL;
    NND_TRY(nnd_node_io(ctx, path, &io));
    NND_TRY(read_image(ctx, io, path, &value));
    NND_TRY(nnd_ctx_emit(ctx, 0, value));
    nnd_ctx_end(ctx);
    return NND_OK;
}

static const nnd_port image_out[] = {NND_PORT("image", "image", "the picture")};
static const nnd_param read_image_params[] = {
    {"path", NND_PARAM_KIND_FILE, NND_PARAM_REQUIRED, 0, "", 0, 0, NULL, "",
     "picture file: JPEG, PNG, WebP, JPEG 2000, BMP or PNM", NULL},
    NND_PARAM_ENUM("format", "rgb", IMAGE_FORMATS, "pixel format of the result"),
    NND_PARAM_BOOL("upright", 1, "turn the picture as its EXIF data says"),
};
const nnd_node_type nnd_node_io_read_image = {
    .struct_size = sizeof(nnd_node_type),
    .type = "io.read_image",
    .version = 1,
    .category = "io",
    .title = "Read picture",
    .text = "Reads one picture file (JPEG, PNG, WebP, JPEG 2000, BMP or PNM) and puts it out once.",
    .outputs = NND_ARRAY(image_out),
    .params = NND_ARRAY(read_image_params),
    .flags = NND_NODE_SOURCE,
    .process = read_image_process,
};

/* ---- io.read_folder ---------------------------------------------------------------------- */

typedef struct folder_state {
    char **names; /* pictures only */
    size_t count, next;
} folder_state;

static void folder_close(nnd_ctx *ctx, void *state)
{
    (void)ctx;
    folder_state *f = state;
    for (size_t i = 0; i < f->count; i++)
        nnd_free(f->names[i]);
    nnd_free(f->names);
    nnd_free(f);
}

static nnd_status folder_open(nnd_ctx *ctx, void **state)
{
    const char *path = nnd_params_text(nnd_ctx_params(ctx), "path");
    nnd_io *io = NULL;
    NND_TRY(nnd_node_io(ctx, path, &io));
    folder_state *f = nnd_calloc(1, sizeof *f);
    if (!f) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to list '%s'", path);
    nnd_status status = nnd_io_list(io, path, &f->names, &f->count);
    if (status != NND_OK) {
        nnd_free(f);
        return status;
    }
    size_t kept = 0;
    for (size_t i = 0; i < f->count; i++) {
        if (nnd_image_codec_from_name(f->names[i]) != NND_CODEC_NONE)
            f->names[kept++] = f->names[i];
        else
            nnd_free(f->names[i]);
    }
    f->count = kept;
    *state = f;
    return NND_OK;
}

static nnd_status folder_process(nnd_ctx *ctx)
{
    folder_state *f = nnd_ctx_state(ctx);
    const char *folder = nnd_params_text(nnd_ctx_params(ctx), "path");
    nnd_value *image = NULL, *name = NULL;
    if (f->next >= f->count) {
        nnd_ctx_end(ctx);
        return NND_OK;
    }
    const char *file = f->names[f->next++];
    char *path = nnd_strf("%s/%s", folder, file);
    if (!path) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a path");
    nnd_status status = read_image(ctx, nnd_ctx_io(ctx), path, &image);
    nnd_free(path);
    NND_TRY(status);
    NND_TRY(nnd_ctx_emit(ctx, 0, image));
    if (nnd_ctx_output_is_used(ctx, 1)) {
        NND_TRY(nnd_value_new_text(file, SIZE_MAX, &name));
        NND_TRY(nnd_ctx_emit(ctx, 1, name));
    }
    nnd_ctx_progress(ctx, (double)f->next, (double)f->count, file);
    if (f->next == f->count) nnd_ctx_end(ctx);
    return NND_OK;
}

static const nnd_port folder_out[] = {
    NND_PORT("image", "image", "one picture after the other, sorted by name"),
    NND_PORT("name", "text", "the file's name"),
};
static const nnd_param folder_params[] = {
    {"path", NND_PARAM_KIND_FILE, NND_PARAM_REQUIRED | NND_PARAM_STATIC, 0, "", 0, 0, NULL, "",
     "folder with pictures", NULL},
    NND_PARAM_ENUM("format", "rgb", IMAGE_FORMATS, "pixel format of the result"),
    NND_PARAM_BOOL("upright", 1, "turn each picture as its EXIF data says"),
};
const nnd_node_type nnd_node_io_read_folder = {
    .struct_size = sizeof(nnd_node_type),
    .type = "io.read_folder",
    .version = 1,
    .category = "io",
    .title = "Read folder",
    .text = "Reads all pictures of a folder (not of folders in it), one packet per picture.",
    .outputs = NND_ARRAY(folder_out),
    .params = NND_ARRAY(folder_params),
    .flags = NND_NODE_SOURCE,
    .open = folder_open,
    .close = folder_close,
    .process = folder_process,
};

/* ---- io.write_image ---------------------------------------------------------------------- */

/* "{n}" in a path becomes the packet's number, "{name}" the text on the name port made safe. */
static nnd_status target_path(nnd_ctx *ctx, const char *pattern, char **out)
{
    const nnd_value *name = nnd_ctx_input(ctx, 1);
    const nnd_text *text = name ? nnd_value_text(name) : NULL;
    char safe[208];
    nnd_str s = {0};
    for (const char *p = pattern; *p;) {
        if (strncmp(p, "{n}", 3) == 0) {
            nnd_str_printf(&s, "%06lld", (long long)nnd_ctx_sequence(ctx));
            p += 3;
        } else if (strncmp(p, "{name}", 6) == 0) {
            nnd_str_add(&s, nnd_io_safe_name(text ? text->text : "unnamed", safe, sizeof safe));
            p += 6;
        } else {
            nnd_str_add_char(&s, *p++);
        }
    }
    return nnd_str_take(&s, out, NULL);
}

static nnd_status write_image_process(nnd_ctx *ctx)
{
    const nnd_params *params = nnd_ctx_params(ctx);
    const char *pattern = nnd_params_text(params, "path");
    const nnd_image *image = nnd_node_image(ctx, 0);
    nnd_encode_options options = NND_ENCODE_OPTIONS_INIT;
    nnd_io *io = NULL;
    void *bytes = NULL;
    size_t size = 0;
    char *path = NULL;
    if (!image) return NND_E_TYPE;
    NND_TRY(nnd_node_io(ctx, pattern, &io));
    NND_TRY(target_path(ctx, pattern, &path));
    options.codec = nnd_image_codec_from_name(path);
    options.quality = (int)nnd_params_int(params, "quality");
    nnd_status status;
    if (!nnd_image_codec_writes(options.codec))
        status = nnd_error_set(NND_E_UNSUPPORTED,
                               "'%s': the file's suffix must be .jpg, .jpeg, .png or .bmp", path);
    else
        status = nnd_image_encode(image, &options, &bytes, &size);
    if (status == NND_OK) status = nnd_io_write_file(io, path, bytes, size);
    nnd_free(bytes);
    nnd_free(path);
    return status;
}

static const nnd_port write_image_in[] = {
    NND_PORT("image", "image", "the picture"),
    NND_PORT_OPT("name", "text", "what {name} in the path stands for"),
};
static const nnd_param write_image_params[] = {
    {"path", NND_PARAM_KIND_FILE, NND_PARAM_REQUIRED, 0, "", 0, 0, NULL, "",
     "file to write; {n} is the packet's number, {name} the text on 'name'", NULL},
    NND_PARAM_INT("quality", 92, 1, 100, "", "JPEG quality"),
};
const nnd_node_type nnd_node_io_write_image = {
    .struct_size = sizeof(nnd_node_type),
    .type = "io.write_image",
    .version = 1,
    .category = "io",
    .title = "Write picture",
    .text = "Writes each picture to a file; a file appears only when it is complete.",
    .inputs = NND_ARRAY(write_image_in),
    .params = NND_ARRAY(write_image_params),
    .flags = NND_NODE_SINK,
    .process = write_image_process,
};
