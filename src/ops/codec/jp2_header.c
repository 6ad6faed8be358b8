#include "ops/codec/jp2_header.h"

#include "base/bytes.h"
#include "nndeploy/data.h"

static nnd_status damaged(const char *what)
{
    return nnd_error_set(NND_E_FORMAT, "damaged JPEG 2000: %s", what);
}

/* ---- code stream ---- */

enum {
    SOC = 0xFF4F,
    CAP = 0xFF50,
    SIZ = 0xFF51,
    COD = 0xFF52,
    COC = 0xFF53,
    TLM = 0xFF55,
    PLM = 0xFF57,
    PLT = 0xFF58,
    CPF = 0xFF59,
    QCD = 0xFF5C,
    QCC = 0xFF5D,
    RGN = 0xFF5E,
    POC = 0xFF5F,
    PPM = 0xFF60,
    PPT = 0xFF61,
    CRG = 0xFF63,
    COM = 0xFF64,
    MCT = 0xFF74,
    MCC = 0xFF75,
    MCO = 0xFF77,
    CBD = 0xFF78,
    SOT = 0xFF90,
    SOD = 0xFF93,
    EOC = 0xFFD9
};

enum {
    TILE_PART_BYTES = 14, /* SOT and SOD at least */
    MAX_LEVELS = 32,      /* of the wavelet */
    FREE_TILES = 1024,    /* a picture may have as many, and one more for every … */
    TILE_PIXELS = 64 * 64 /* … pixels: the library keeps 10 KiB for each */
};

static nnd_status read_components(nnd_bytes *b, nnd_jp2_header *h)
{
    for (int i = 0; i < h->component_count; i++) {
        nnd_jp2_component *c = &h->components[i];
        const uint8_t depth = nnd_bytes_u8(b);
        c->is_signed = depth >> 7;
        c->bits = (depth & 0x7F) + 1;
        c->dx = nnd_bytes_u8(b);
        c->dy = nnd_bytes_u8(b);
        if (!nnd_bytes_ok(b) || c->dx == 0 || c->dy == 0) return damaged("a component");
        if (c->bits > NND_JP2_MAX_BITS)
            return nnd_error_set(NND_E_UNSUPPORTED, "JPEG 2000 of %d bits: up to %d are read",
                                 c->bits, NND_JP2_MAX_BITS);
        if (i == 0 || c->dx < h->dx) h->dx = c->dx;
        if (i == 0 || c->dy < h->dy) h->dy = c->dy;
        if (c->bits > h->bits) h->bits = c->bits;
    }
    return NND_OK;
}

/* The tiles of a picture are bounded by its size and by that of the file. */
static nnd_status count_tiles(const nnd_jp2_header *h, const uint32_t tile[4], size_t size,
                              uint64_t *out)
{
    if (tile[0] == 0 || tile[1] == 0 || tile[2] > h->x0 || tile[3] > h->y0)
        return damaged("the tiles do not cover the picture");
    const uint64_t tiles =
        (uint64_t)nnd_jp2_first(h->x1 - tile[2], tile[0]) * nnd_jp2_first(h->y1 - tile[3], tile[1]);
    if (tiles > size / TILE_PART_BYTES) return damaged("it ends before its last tile");
    if (tiles > FREE_TILES + (uint64_t)h->width * h->height / TILE_PIXELS)
        return nnd_error_set(NND_E_LIMIT,
                             "JPEG 2000 of %llu tiles, too many for %u x %u pixels: save it with "
                             "larger tiles",
                             (unsigned long long)tiles, h->width, h->height);
    *out = tiles;
    return NND_OK;
}

static nnd_status read_size(nnd_bytes b, size_t size, nnd_jp2_header *h, uint64_t *tiles)
{
    uint32_t tile[4]; /* width, height, first column, first row */
    nnd_bytes_skip(&b, 2);
    h->x1 = nnd_bytes_u32be(&b);
    h->y1 = nnd_bytes_u32be(&b);
    h->x0 = nnd_bytes_u32be(&b);
    h->y0 = nnd_bytes_u32be(&b);
    for (int i = 0; i < 4; i++)
        tile[i] = nnd_bytes_u32be(&b);
    h->component_count = nnd_bytes_u16be(&b);
    if (!nnd_bytes_ok(&b) || h->x0 >= h->x1 || h->y0 >= h->y1 || h->x1 > INT32_MAX ||
        h->y1 > INT32_MAX || h->component_count == 0)
        return damaged("an impossible size");
    if (h->component_count > NND_JP2_MAX_COMPONENTS)
        return nnd_error_set(NND_E_UNSUPPORTED,
                             "JPEG 2000 of %d components: gray and RGB, with and without alpha, "
                             "are read",
                             h->component_count);
    NND_TRY(read_components(&b, h));
    h->channels = h->component_count;
    h->width = nnd_jp2_first(h->x1, h->dx) - nnd_jp2_first(h->x0, h->dx);
    h->height = nnd_jp2_first(h->y1, h->dy) - nnd_jp2_first(h->y0, h->dy);
    if (h->width == 0 || h->height == 0) return damaged("a picture without pixels");
    return count_tiles(h, tile, size, tiles);
}

/* Settings of a wavelet: each precinct takes a byte in the file at least, but some hundred in the
   library's memory, and before that sees whether they are there. */
static nnd_status check_precincts(nnd_bytes b, bool of_component, size_t size,
                                  const nnd_jp2_header *h)
{
    if (of_component) nnd_bytes_skip(&b, 1);
    const bool has_precincts = nnd_bytes_u8(&b) & 1;
    if (!of_component) nnd_bytes_skip(&b, 4);
    const int levels = nnd_bytes_u8(&b);
    nnd_bytes_skip(&b, 4);
    if (!nnd_bytes_ok(&b) || levels > MAX_LEVELS) return damaged("the settings of the wavelet");
    uint64_t precincts = 0;
    for (int left = levels; has_precincts && left >= 0; left--) {
        const uint8_t sides = nnd_bytes_u8(&b);
        precincts += ((uint64_t)h->width >> left >> (sides & 15)) *
                     ((uint64_t)h->height >> left >> (sides >> 4));
    }
    if (!nnd_bytes_ok(&b)) return damaged("the settings of the wavelet");
    return precincts > size ? damaged("it has more precincts than bytes") : NND_OK;
}

/* Unknown markers are refused: libraries differ in what they skip. */
static bool is_segment(uint16_t marker)
{
    static const uint16_t known[] = {CAP, COD, COC, TLM, PLM, PLT, CPF, QCD, QCC, RGN,
                                     POC, PPM, PPT, CRG, COM, MCT, MCC, MCO, CBD};
    for (size_t i = 0; i < NND_COUNT(known); i++)
        if (marker == known[i]) return true;
    return false;
}

/* Segments up to the marker `end`, which is taken, too; *ended = false when EOC came in its place.
 */
static nnd_status read_segments(nnd_bytes *b, uint16_t end, const nnd_jp2_header *h, bool *ended)
{
    for (;;) {
        const uint16_t marker = nnd_bytes_u16be(b);
        *ended = marker == end;
        if (*ended || (marker == EOC && end == SOT)) return NND_OK;
        const uint16_t length = nnd_bytes_u16be(b);
        if (!nnd_bytes_ok(b) || length < 2 || !is_segment(marker)) return damaged("a marker");
        const nnd_bytes body = nnd_bytes_sub(b, length - 2u);
        if (!nnd_bytes_ok(b)) return damaged("it ends early");
        if (marker == COD || marker == COC)
            NND_TRY(check_precincts(body, marker == COC, b->size, h));
    }
}

/* From behind SOT to the end of the tile part; *first: it is the first one of its tile. */
static nnd_status read_tile_part(nnd_bytes *b, const nnd_jp2_header *h, bool *first)
{
    bool ended;
    const size_t begin = b->pos - 2;
    nnd_bytes_skip(b, 4);
    const uint32_t length = nnd_bytes_u32be(b);
    *first = nnd_bytes_u8(b) == 0;
    nnd_bytes_skip(b, 1);
    NND_TRY(read_segments(b, SOD, h, &ended));
    if (length == 0) { /* the last one, up to EOC */
        nnd_bytes_seek(b, b->size);
        return NND_OK;
    }
    if (length < b->pos - begin) return damaged("the length of a tile");
    if (length > b->size - begin) return damaged("it ends early");
    nnd_bytes_seek(b, begin + length);
    return NND_OK;
}

static nnd_status read_code_stream(nnd_bytes b, nnd_jp2_header *h)
{
    const bool starts = nnd_bytes_u16be(&b) == SOC && nnd_bytes_u16be(&b) == SIZ;
    const uint16_t length = nnd_bytes_u16be(&b);
    uint64_t tiles, found = 0;
    if (!starts || length < 2) return damaged("there is no code stream");
    NND_TRY(read_size(nnd_bytes_sub(&b, length - 2u), b.size, h, &tiles));
    bool more;
    NND_TRY(read_segments(&b, SOT, h, &more));
    while (more) {
        bool first;
        NND_TRY(read_tile_part(&b, h, &first));
        found += first;
        if (nnd_bytes_left(&b) == 0) break;
        const uint16_t marker = nnd_bytes_u16be(&b);
        more = marker == SOT;
        if (!more && marker != EOC) return damaged("a tile part is longer or shorter than it says");
    }
    return found < tiles ? damaged("tiles are missing") : NND_OK;
}

/* ---- boxes ---- */

#define BOX(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))

/* The next box; false at the end and for a damaged one. */
static bool next_box(nnd_bytes *b, uint32_t *kind, nnd_bytes *body)
{
    uint64_t length = nnd_bytes_u32be(b), head = 8;
    *kind = nnd_bytes_u32be(b);
    if (length == 1) {
        length = nnd_bytes_u64be(b);
        head = 16;
    } else if (length == 0) { /* up to the end of the file */
        length = head + nnd_bytes_left(b);
    }
    if (!nnd_bytes_ok(b) || length < head || length - head > nnd_bytes_left(b)) return false;
    *body = nnd_bytes_sub(b, (size_t)(length - head));
    return true;
}

/* What the file says about its colours, beside the code stream. */
typedef struct colours {
    bool has_header; /* the box ihdr */
    uint32_t space;  /* EnumCS of the first colr box that has one; 0 = none */
    int columns;     /* of a palette, 0 = none */
    int column_bits;
} colours;

static nnd_status read_palette(nnd_bytes b, colours *c)
{
    nnd_bytes_skip(&b, 2);
    c->columns = nnd_bytes_u8(&b);
    if (!nnd_bytes_ok(&b) || c->columns == 0) return damaged("the palette");
    if (c->columns > NND_JP2_MAX_COMPONENTS)
        return nnd_error_set(NND_E_UNSUPPORTED, "JPEG 2000 with a palette of %d channels",
                             c->columns);
    for (int i = 0; i < c->columns; i++) {
        const int bits = (nnd_bytes_u8(&b) & 0x7F) + 1;
        if (bits > c->column_bits) c->column_bits = bits;
    }
    if (!nnd_bytes_ok(&b)) return damaged("the palette");
    return c->column_bits > NND_JP2_MAX_BITS
               ? nnd_error_set(NND_E_UNSUPPORTED, "JPEG 2000 with a palette of %d bits",
                               c->column_bits)
               : NND_OK;
}

/* The super box jp2h. */
static nnd_status read_colours(nnd_bytes b, colours *c)
{
    uint32_t kind;
    nnd_bytes body;
    while (nnd_bytes_left(&b) > 0) {
        if (!next_box(&b, &kind, &body)) return damaged("a box");
        if (kind == BOX('i', 'h', 'd', 'r')) c->has_header = true;
        if (kind == BOX('p', 'c', 'l', 'r')) NND_TRY(read_palette(body, c));
        if (kind == BOX('c', 'o', 'l', 'r') && c->space == 0 && nnd_bytes_u8(&body) == 1) {
            nnd_bytes_skip(&body, 2);
            c->space = nnd_bytes_u32be(&body);
        }
    }
    return NND_OK;
}

static nnd_status check_space(uint32_t space)
{
    enum { SRGB = 16, GRAY = 17, SYCC = 18 };
    if (space == 0 || space == SRGB || space == GRAY || space == SYCC) return NND_OK;
    return nnd_error_set(NND_E_UNSUPPORTED,
                         "JPEG 2000 in the colour space %u: sRGB (16), gray (17) and sYCC (18) are "
                         "read",
                         space);
}

static nnd_status read_boxes(nnd_bytes b, nnd_jp2_header *h)
{
    uint32_t kind;
    nnd_bytes body;
    colours c = {0};
    while (next_box(&b, &kind, &body)) {
        if (kind == BOX('j', 'p', '2', 'h')) NND_TRY(read_colours(body, &c));
        if (kind != BOX('j', 'p', '2', 'c')) continue;
        if (!c.has_header) return damaged("the code stream comes before the header");
        NND_TRY(check_space(c.space));
        NND_TRY(read_code_stream(body, h));
        if (!c.columns) return NND_OK;
        h->channels = c.columns;
        h->bits = c.column_bits;
        return NND_OK;
    }
    return damaged("it ends early, or a box does not fit");
}

nnd_status nnd_jp2_read_header(const uint8_t *bytes, size_t size, nnd_jp2_header *out)
{
    const nnd_bytes b = nnd_bytes_of(bytes, size);
    *out = (nnd_jp2_header){.has_boxes = size > 0 && bytes[0] == 0};
    return out->has_boxes ? read_boxes(b, out) : read_code_stream(b, out);
}
