/*
 * Outline fonts by FreeType: anti-aliased coverage of single characters.
 */
#include <ft2build.h>
#include FT_FREETYPE_H
#include FT_MODULE_H
#include FT_SYSTEM_H

#include "ops/draw/font.h"
#include "port/port.h"

struct nnd_font_outline {
    nnd_port_mutex lock; /* guards the face's size and glyph */
    struct FT_MemoryRec_ memory;
    FT_Library library;
    FT_Face face;
    bool no_memory; /* an allocation has failed */
};

static void *noting_failure(FT_Memory memory, void *block)
{
    nnd_font_outline *outline = memory->user;
    if (!block) outline->no_memory = true;
    return block;
}

static void *memory_alloc(FT_Memory memory, long size)
{
    return noting_failure(memory, nnd_alloc((size_t)size));
}

static void memory_free(FT_Memory memory, void *block)
{
    (void)memory;
    nnd_free(block);
}

static void *memory_resize(FT_Memory memory, long current, long size, void *block)
{
    (void)current;
    return noting_failure(memory, nnd_realloc(block, (size_t)size));
}

/* Without memory FreeType may also say that it knows no such format: a module is missing then. */
static nnd_status failed(const nnd_font_outline *outline, FT_Error error)
{
    if (outline->no_memory || FT_ERROR_BASE(error) == FT_Err_Out_Of_Memory)
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the font");
    return nnd_error_set(NND_E_FORMAT, "not a font that can be read (FreeType error %d)",
                         (int)error);
}

static nnd_status open_face(nnd_font_outline *outline, const void *bytes, size_t size)
{
    FT_Error error = FT_New_Library(&outline->memory, &outline->library);
    if (error) {
        outline->library = NULL;
        return failed(outline, error);
    }
    FT_Add_Default_Modules(outline->library);
    if (size > INT32_MAX) return nnd_error_set(NND_E_LIMIT, "a font file of %zu bytes", size);
    error = FT_New_Memory_Face(outline->library, bytes, (FT_Long)size, 0, &outline->face);
    if (error) {
        outline->face = NULL;
        return failed(outline, error);
    }
    if (!FT_IS_SCALABLE(outline->face) || outline->face->units_per_EM == 0)
        return nnd_error_set(NND_E_UNSUPPORTED, "the font has no outlines: use a TrueType or "
                                                "OpenType font");
    return NND_OK;
}

nnd_status nnd_font_outline_create(const void *bytes, size_t size, nnd_font_outline **out)
{
    nnd_font_outline *outline = nnd_calloc(1, sizeof(*outline));
    if (!outline) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a font");
    if (nnd_port_mutex_init(&outline->lock) != 0) {
        nnd_free(outline);
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no mutex for a font");
    }
    outline->memory = (struct FT_MemoryRec_){outline, memory_alloc, memory_free, memory_resize};
    const nnd_status status = open_face(outline, bytes, size);
    if (status != NND_OK) {
        nnd_font_outline_destroy(outline);
        return status;
    }
    *out = outline;
    return NND_OK;
}

void nnd_font_outline_destroy(nnd_font_outline *outline)
{
    if (!outline) return;
    if (outline->face) FT_Done_Face(outline->face);
    if (outline->library) FT_Done_Library(outline->library);
    nnd_port_mutex_fini(&outline->lock);
    nnd_free(outline);
}

const char *nnd_font_outline_name(const nnd_font_outline *outline)
{
    return outline->face->family_name ? outline->face->family_name : "unnamed";
}

nnd_status nnd_font_outline_begin(nnd_font_outline *outline, float size)
{
    nnd_port_mutex_lock(&outline->lock);
    const FT_Error error =
        FT_Set_Char_Size(outline->face, 0, (FT_F26Dot6)(size * 64 + 0.5f), 72, 72);
    if (!error) return NND_OK;
    nnd_port_mutex_unlock(&outline->lock);
    return failed(outline, error);
}

bool nnd_font_outline_glyph(nnd_font_outline *outline, uint32_t code, nnd_glyph *glyph)
{
    const FT_UInt index = FT_Get_Char_Index(outline->face, code);
    if (index == 0 || FT_Load_Glyph(outline->face, index, FT_LOAD_RENDER | FT_LOAD_TARGET_LIGHT))
        return false;
    const FT_GlyphSlot slot = outline->face->glyph;
    if (slot->bitmap.pixel_mode != FT_PIXEL_MODE_GRAY && slot->bitmap.rows) return false;
    *glyph = (nnd_glyph){.coverage = slot->bitmap.buffer,
                         .width = (int)slot->bitmap.width,
                         .height = (int)slot->bitmap.rows,
                         .pitch = slot->bitmap.pitch,
                         .left = slot->bitmap_left,
                         .top = slot->bitmap_top,
                         .advance = (float)slot->advance.x / 64.0f};
    return true;
}

void nnd_font_outline_end(nnd_font_outline *outline)
{
    nnd_port_mutex_unlock(&outline->lock);
}

void nnd_font_outline_extent(const nnd_font_outline *outline, float size, float *ascent,
                             float *descent)
{
    const float scale = size / (float)outline->face->units_per_EM;
    *ascent = (float)outline->face->ascender * scale;
    *descent = (float)-outline->face->descender * scale;
}
