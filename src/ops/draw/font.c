/*
 * Making fonts: from a file, from memory, or the first that a system has.
 */
#include "ops/draw/font.h"

#include "port/port.h"

#define MAX_FONT_BYTES ((size_t)128 * 1024 * 1024)

/* Fonts with Chinese, Japanese and Korean first: they draw Latin as well. */
static const char *const places[] = {
#if defined(_WIN32)
    "C:/Windows/Fonts/msyh.ttc",  "C:/Windows/Fonts/simhei.ttf", "C:/Windows/Fonts/segoeui.ttf",
    "C:/Windows/Fonts/arial.ttf", "C:/Windows/Fonts/tahoma.ttf",
#elif defined(__APPLE__)
    "/System/Library/Fonts/PingFang.ttc",
    "/System/Library/Fonts/Hiragino Sans GB.ttc",
    "/System/Library/Fonts/Supplemental/Arial Unicode.ttf",
    "/Library/Fonts/Arial Unicode.ttf",
    "/System/Library/Fonts/Helvetica.ttc",
    "/System/Library/Fonts/Supplemental/Arial.ttf",
#else
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/google-noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
    "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf",
    "/system/fonts/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
    "/usr/share/fonts/dejavu-sans-fonts/DejaVuSans.ttf",
    "/usr/share/fonts/dejavu/DejaVuSans.ttf",
    "/usr/share/fonts/TTF/DejaVuSans.ttf",
    "/usr/share/fonts/truetype/noto/NotoSans-Regular.ttf",
    "/usr/share/fonts/noto/NotoSans-Regular.ttf",
    "/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf",
    "/usr/share/fonts/liberation/LiberationSans-Regular.ttf",
    "/usr/share/fonts/truetype/freefont/FreeSans.ttf",
    "/usr/share/fonts/truetype/msttcorefonts/Arial.ttf",
    "/system/fonts/Roboto-Regular.ttf",
#endif
};

/* Takes over `file` (may be NULL), also on failure. outline NULL = the embedded dots. */
static nnd_status make_font(nnd_font_outline *outline, char *file, nnd_font **out)
{
    nnd_font *font = nnd_calloc(1, sizeof(*font));
    char *name = font ? nnd_strdup(outline ? nnd_font_outline_name(outline) : "embedded") : NULL;
    if (!name) {
        nnd_font_outline_destroy(outline);
        nnd_port_free(file);
        nnd_free(font);
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a font");
    }
    *font = (nnd_font){name, outline, file};
    *out = font;
    return NND_OK;
}

static nnd_status open_bytes(const void *bytes, size_t size, char *file, nnd_font **out)
{
    nnd_font_outline *outline;
    const nnd_status status = nnd_font_outline_create(bytes, size, &outline);
    if (status != NND_OK) {
        nnd_port_free(file);
        return status;
    }
    return make_font(outline, file, out);
}

static nnd_status open_file(const char *path, nnd_font **out)
{
    char *file;
    size_t size;
    const int error = nnd_port_file_read(path, MAX_FONT_BYTES, &file, &size);
    if (error == NND_PORT_E_MEMORY)
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the font '%s'", path);
    if (error)
        return nnd_error_set(nnd_port_file_exists(path) ? NND_E_IO : NND_E_NOT_FOUND,
                             "the font '%s' cannot be read: %s", path, nnd_port_error_text(error));
    const nnd_status status = open_bytes(file, size, file, out);
    return status == NND_OK ? status : nnd_error_wrap(status, "the font '%s' cannot be used", path);
}

/* NND_E_NOT_FOUND when no place has a usable one. */
static nnd_status open_first(nnd_font **out)
{
    char path[4096];
    if (nnd_port_env_copy("NNDEPLOY_FONT", path, sizeof(path)) && path[0]) {
        const nnd_status status = open_file(path, out);
        if (status == NND_OK || status == NND_E_OUT_OF_MEMORY) return status;
        nnd_log(NND_LOG_WARN, "ops", "NNDEPLOY_FONT: '%s' is not a usable font, looking on", path);
    }
    for (size_t i = 0; i < NND_COUNT(places); i++) {
        if (!nnd_port_file_exists(places[i])) continue;
        const nnd_status status = open_file(places[i], out);
        if (status == NND_OK || status == NND_E_OUT_OF_MEMORY) return status;
    }
    return NND_E_NOT_FOUND;
}

nnd_status nnd_font_create(const char *path, nnd_font **out)
{
    if (!out) return nnd_error_set(NND_E_INVALID_ARGUMENT, "nowhere to put the font");
    if (path) return open_file(path, out);
    const nnd_status status = open_first(out);
    if (status == NND_OK || status == NND_E_OUT_OF_MEMORY) return status;
    nnd_error_clear();
    return make_font(NULL, NULL, out);
}

nnd_status nnd_font_create_memory(const void *bytes, size_t size, nnd_font **out)
{
    if (!bytes || !out) return nnd_error_set(NND_E_INVALID_ARGUMENT, "no font bytes or no result");
    return open_bytes(bytes, size, NULL, out);
}

void nnd_font_destroy(nnd_font *font)
{
    if (!font) return;
    nnd_font_outline_destroy(font->outline);
    nnd_port_free(font->file);
    nnd_free(font->name);
    nnd_free(font);
}

const char *nnd_font_name(const nnd_font *font)
{
    return font ? font->name : "embedded";
}
