/*
 * The embedded font: dots of our own drawing on a grid of 6 × 12. Characters are five dots wide;
 * seven rows stand on the base line, two hang below it, and three above hold the accents of
 * capitals. Letters with accents are put together from a letter and a mark.
 */
#include <math.h>

#include "ops/draw/font.h"

#define GLYPH_COLUMNS  5
#define GLYPH_ADVANCE  6
#define GLYPH_ROWS     9
#define BASE_ROW       7 /* the base line runs above this row */
#define ACCENT_ROWS    3 /* above row 0 */
#define UNITS_PER_SIZE 10.0f
#define PER_BLOCK      8

/* Eight characters side by side, from the blank to the tilde, then the extra ones of Latin-1 in the
   order of enum extra. */
static const char *const drawings[][GLYPH_ROWS] = {
    {
        "..... ..#.. .#.#. .#.#. ..#.. ##..# .##.. ..#..",
        "..... ..#.. .#.#. .#.#. .#### ##..# #..#. ..#..",
        "..... ..#.. ..... ##### #.#.. ...#. #..#. .....",
        "..... ..#.. ..... .#.#. .###. ..#.. .##.. .....",
        "..... ..#.. ..... ##### ..#.# .#... #.#.# .....",
        "..... ..... ..... .#.#. ####. #..## #..#. .....",
        "..... ..#.. ..... .#.#. ..#.. #..## .##.# .....",
        "..... ..... ..... ..... ..... ..... ..... .....",
        "..... ..... ..... ..... ..... ..... ..... .....",
    },
    {
        "...#. .#... ..... ..... ..... ..... ..... ....#",
        "..#.. ..#.. ..#.. ..#.. ..... ..... ..... ....#",
        ".#... ...#. #.#.# ..#.. ..... ..... ..... ...#.",
        ".#... ...#. .###. ##### ..... .###. ..... ..#..",
        ".#... ...#. #.#.# ..#.. ..... ..... ..... .#...",
        "..#.. ..#.. ..#.. ..#.. ..#.. ..... ..... #....",
        "...#. .#... ..... ..... ..#.. ..... ..#.. #....",
        "..... ..... ..... ..... .#... ..... ..... .....",
        "..... ..... ..... ..... ..... ..... ..... .....",
    },
    {
        ".###. ..#.. .###. .###. ...#. ##### ..##. #####",
        "#...# .##.. #...# #...# ..##. #.... .#... ....#",
        "#..## ..#.. ....# ....# .#.#. ####. #.... ...#.",
        "#.#.# ..#.. ..##. ..##. #..#. ....# ####. ...#.",
        "##..# ..#.. .#... ....# ##### ....# #...# ..#..",
        "#...# ..#.. #.... #...# ...#. #...# #...# ..#..",
        ".###. .###. ##### .###. ...#. .###. .###. ..#..",
        "..... ..... ..... ..... ..... ..... ..... .....",
        "..... ..... ..... ..... ..... ..... ..... .....",
    },
    {
        ".###. .###. ..... ..... ..... ..... ..... .###.",
        "#...# #...# ..... ..... ...## ..... ##... #...#",
        "#...# #...# ..#.. ..#.. .##.. ##### ..##. ....#",
        ".###. .#### ..... ..... #.... ..... ....# ...#.",
        "#...# ....# ..... ..... .##.. ##### ..##. ..#..",
        "#...# ...#. ..#.. ..#.. ...## ..... ##... .....",
        ".###. .##.. ..... ..#.. ..... ..... ..... ..#..",
        "..... ..... ..... .#... ..... ..... ..... .....",
        "..... ..... ..... ..... ..... ..... ..... .....",
    },
    {
        ".###. ..#.. ####. .#### ###.. ##### ##### .####",
        "#...# .#.#. #...# #.... #..#. #.... #.... #....",
        "#.### #...# #...# #.... #...# #.... #.... #....",
        "#.#.# #...# ####. #.... #...# ####. ####. #..##",
        "#.### ##### #...# #.... #...# #.... #.... #...#",
        "#.... #...# #...# #.... #..#. #.... #.... #...#",
        ".#### #...# ####. .#### ###.. ##### #.... .####",
        "..... ..... ..... ..... ..... ..... ..... .....",
        "..... ..... ..... ..... ..... ..... ..... .....",
    },
    {
        "#...# .###. ..### #...# #.... #...# #...# .###.",
        "#...# ..#.. ....# #..#. #.... ##.## ##..# #...#",
        "#...# ..#.. ....# #.#.. #.... #.#.# ##..# #...#",
        "##### ..#.. ....# ##... #.... #.#.# #.#.# #...#",
        "#...# ..#.. ....# #.#.. #.... #...# #..## #...#",
        "#...# ..#.. #...# #..#. #.... #...# #..## #...#",
        "#...# .###. .###. #...# ##### #...# #...# .###.",
        "..... ..... ..... ..... ..... ..... ..... .....",
        "..... ..... ..... ..... ..... ..... ..... .....",
    },
    {
        "####. .###. ####. .#### ##### #...# #...# #...#",
        "#...# #...# #...# #.... ..#.. #...# #...# #...#",
        "#...# #...# #...# #.... ..#.. #...# #...# #...#",
        "####. #...# ####. .###. ..#.. #...# .#.#. #.#.#",
        "#.... #...# #.#.. ....# ..#.. #...# .#.#. #.#.#",
        "#.... #..#. #..#. ....# ..#.. #...# ..#.. ##.##",
        "#.... .##.# #...# ####. ..#.. .###. ..#.. #...#",
        "..... ..... ..... ..... ..... ..... ..... .....",
        "..... ..... ..... ..... ..... ..... ..... .....",
    },
    {
        "#...# #...# ##### .###. #.... .###. ..#.. .....",
        "#...# #...# ....# .#... #.... ...#. .#.#. .....",
        ".#.#. .#.#. ...#. .#... .#... ...#. #...# .....",
        "..#.. ..#.. ..#.. .#... ..#.. ...#. ..... .....",
        ".#.#. ..#.. .#... .#... ...#. ...#. ..... .....",
        "#...# ..#.. #.... .#... ....# ...#. ..... .....",
        "#...# ..#.. ##### .###. ....# .###. ..... .....",
        "..... ..... ..... ..... ..... ..... ..... #####",
        "..... ..... ..... ..... ..... ..... ..... .....",
    },
    {
        ".#... ..... #.... ..... ....# ..... ..##. .....",
        "..#.. ..... #.... ..... ....# ..... .#... .....",
        "..... .###. ####. .#### .#### .###. ####. .####",
        "..... ....# #...# #.... #...# #...# .#... #...#",
        "..... .#### #...# #.... #...# ##### .#... #...#",
        "..... #...# #...# #.... #...# #.... .#... #...#",
        "..... .#### ####. .#### .#### .#### .#... .####",
        "..... ..... ..... ..... ..... ..... ..... ....#",
        "..... ..... ..... ..... ..... ..... ..... .###.",
    },
    {
        "#.... ..#.. ...#. #.... .##.. ..... ..... .....",
        "#.... ..... ..... #.... ..#.. ..... ..... .....",
        "####. .##.. ..##. #..#. ..#.. ##.#. ####. .###.",
        "#...# ..#.. ...#. #.#.. ..#.. #.#.# #...# #...#",
        "#...# ..#.. ...#. ##... ..#.. #.#.# #...# #...#",
        "#...# ..#.. ...#. #.#.. ..#.. #.#.# #...# #...#",
        "#...# .###. ...#. #..#. ...## #.#.# #...# .###.",
        "..... ..... ...#. ..... ..... ..... ..... .....",
        "..... ..... .##.. ..... ..... ..... ..... .....",
    },
    {
        "..... ..... ..... ..... .#... ..... ..... .....",
        "..... ..... ..... ..... .#... ..... ..... .....",
        "####. .#### #.##. .#### ####. #...# #...# #...#",
        "#...# #...# ##..# #.... .#... #...# #...# #.#.#",
        "#...# #...# #.... .###. .#... #...# .#.#. #.#.#",
        "#...# #...# #.... ....# .#... #...# .#.#. #.#.#",
        "####. .#### #.... ####. ..##. .#### ..#.. .#.#.",
        "#.... ....# ..... ..... ..... ..... ..... .....",
        "#.... ....# ..... ..... ..... ..... ..... .....",
    },
    {
        "..... ..... ..... ...## ..#.. ##... ..... ..#..",
        "..... ..... ..... ..#.. ..#.. ..#.. ..... .....",
        "#...# #...# ##### ..#.. ..#.. ..#.. .#..# ..#..",
        ".#.#. #...# ...#. .#... ..#.. ...#. #.#.# ..#..",
        "..#.. #...# ..#.. ..#.. ..#.. ..#.. #..#. ..#..",
        ".#.#. #...# .#... ..#.. ..#.. ..#.. ..... ..#..",
        "#...# .#### ##### ...## ..#.. ##... ..... ..#..",
        "..... ....# ..... ..... ..#.. ..... ..... .....",
        "..... .###. ..... ..... ..... ..... ..... .....",
    },
    {
        "..#.. ..##. #...# .#### .###. ..... ..... .##..",
        ".#### .#..# .#.#. #.... #...# ..#.# #.#.. #..#.",
        "#.#.. .#... ..#.. .###. #.### .#.#. .#.#. #..#.",
        "#.#.. ###.. ##### #...# #.#.. #.#.. ..#.# .##..",
        "#.#.. .#... ..#.. .###. #.### .#.#. .#.#. .....",
        ".#### .#... ##### ....# #...# ..#.# #.#.. .....",
        "..#.. ##### ..#.. ####. .###. ..... ..... .....",
        "..... ..... ..... ..... ..... ..... ..... .....",
        "..... ..... ..... ..... ..... ..... ..... .....",
    },
    {
        "..#.. ##... ##... ..... ..... ..#.. .#### .###.",
        "..#.. ..#.. .##.. ..... ..... ..... #.#.. .#..#",
        "##### .#... ..#.. #...# ..... ..#.. #.#.. .#..#",
        "..#.. ###.. ##... #...# ..#.. .#... ##### ###.#",
        "..#.. ..... ..... #...# ..... #.... #.#.. .#..#",
        "..... ..... ..... #..## ..... #...# #.#.. .#..#",
        "##### ..... ..... ###.# ..... .###. #.### .###.",
        "..... ..... ..... #.... ..... ..... ..... .....",
        "..... ..... ..... #.... ..... ..... ..... .....",
    },
    {
        "..... .#### #.... .##.. ..... .#.#. ..... .....",
        "#...# #..## ####. #..#. ..... ..#.. ..#.. .....",
        ".#.#. #.#.# #...# #..#. ####. .#.#. ..... .####",
        "..#.. #.#.# #...# #.##. ..#.# ....# ##### #..##",
        ".#.#. #.#.# ####. #...# ##### .#### ..... #.#.#",
        "#...# ##..# #.... #...# #.#.. #...# ..#.. ##..#",
        "..... ####. #.... #.##. #.### .###. ..... ####.",
        "..... ..... ..... ..... ..... ..... ..... .....",
        "..... ..... ..... ..... ..... ..... ..... .....",
    },
    {
        "#....",
        "#....",
        "####.",
        "#...#",
        "#...#",
        "#...#",
        "####.",
        "#....",
        "#....",
    },
};

enum extra {
    X_INVERTED_EXCLAMATION = 95,
    X_CENT,
    X_POUND,
    X_YEN,
    X_SECTION,
    X_COPYRIGHT,
    X_LEFT_QUOTES,
    X_RIGHT_QUOTES,
    X_DEGREE,
    X_PLUS_MINUS,
    X_TWO,
    X_THREE,
    X_MICRO,
    X_MIDDLE_DOT,
    X_INVERTED_QUESTION,
    X_CAPITAL_AE,
    X_CAPITAL_ETH,
    X_TIMES,
    X_CAPITAL_O_SLASH,
    X_CAPITAL_THORN,
    X_SHARP_S,
    X_SMALL_AE,
    X_SMALL_ETH,
    X_DIVIDE,
    X_SMALL_O_SLASH,
    X_SMALL_THORN,
    X_BOX = 255
};

enum mark { M_NONE, M_GRAVE, M_ACUTE, M_CIRCUMFLEX, M_TILDE, M_DIAERESIS, M_RING, M_CEDILLA };
#define MARK_ROWS 2
static const char *const marks[][MARK_ROWS] = {
    [M_NONE] = {".....", "....."},  [M_GRAVE] = {".#...", "..#.."},
    [M_ACUTE] = {"...#.", "..#.."}, [M_CIRCUMFLEX] = {"..#..", ".#.#."},
    [M_TILDE] = {".##.#", "#.##."}, [M_DIAERESIS] = {".....", ".#.#."},
    [M_RING] = {".###.", ".#.#."},  [M_CEDILLA] = {"..#..", ".##.."},
};

typedef struct composed {
    uint8_t glyph; /* index into the drawings */
    uint8_t mark;
} composed;

#define LETTER(c, m)                                                                               \
    {                                                                                              \
        (c) - ' ', m                                                                               \
    }
#define ALONE(m)                                                                                   \
    {                                                                                              \
        0, m                                                                                       \
    }
#define EXTRA(x)                                                                                   \
    {                                                                                              \
        x, M_NONE                                                                                  \
    }
/* U+00A0 … U+00FF */
static const composed latin1[96] = {
    LETTER(' ', M_NONE),
    EXTRA(X_INVERTED_EXCLAMATION),
    EXTRA(X_CENT),
    EXTRA(X_POUND),
    EXTRA(X_BOX),
    EXTRA(X_YEN),
    LETTER('|', M_NONE),
    EXTRA(X_SECTION),
    ALONE(M_DIAERESIS),
    EXTRA(X_COPYRIGHT),
    EXTRA(X_BOX),
    EXTRA(X_LEFT_QUOTES),
    EXTRA(X_BOX),
    LETTER('-', M_NONE),
    EXTRA(X_BOX),
    EXTRA(X_BOX),
    EXTRA(X_DEGREE),
    EXTRA(X_PLUS_MINUS),
    EXTRA(X_TWO),
    EXTRA(X_THREE),
    ALONE(M_ACUTE),
    EXTRA(X_MICRO),
    EXTRA(X_BOX),
    EXTRA(X_MIDDLE_DOT),
    ALONE(M_CEDILLA),
    EXTRA(X_BOX),
    EXTRA(X_DEGREE),
    EXTRA(X_RIGHT_QUOTES),
    EXTRA(X_BOX),
    EXTRA(X_BOX),
    EXTRA(X_BOX),
    EXTRA(X_INVERTED_QUESTION),
    LETTER('A', M_GRAVE),
    LETTER('A', M_ACUTE),
    LETTER('A', M_CIRCUMFLEX),
    LETTER('A', M_TILDE),
    LETTER('A', M_DIAERESIS),
    LETTER('A', M_RING),
    EXTRA(X_CAPITAL_AE),
    LETTER('C', M_CEDILLA),
    LETTER('E', M_GRAVE),
    LETTER('E', M_ACUTE),
    LETTER('E', M_CIRCUMFLEX),
    LETTER('E', M_DIAERESIS),
    LETTER('I', M_GRAVE),
    LETTER('I', M_ACUTE),
    LETTER('I', M_CIRCUMFLEX),
    LETTER('I', M_DIAERESIS),
    EXTRA(X_CAPITAL_ETH),
    LETTER('N', M_TILDE),
    LETTER('O', M_GRAVE),
    LETTER('O', M_ACUTE),
    LETTER('O', M_CIRCUMFLEX),
    LETTER('O', M_TILDE),
    LETTER('O', M_DIAERESIS),
    EXTRA(X_TIMES),
    EXTRA(X_CAPITAL_O_SLASH),
    LETTER('U', M_GRAVE),
    LETTER('U', M_ACUTE),
    LETTER('U', M_CIRCUMFLEX),
    LETTER('U', M_DIAERESIS),
    LETTER('Y', M_ACUTE),
    EXTRA(X_CAPITAL_THORN),
    EXTRA(X_SHARP_S),
    LETTER('a', M_GRAVE),
    LETTER('a', M_ACUTE),
    LETTER('a', M_CIRCUMFLEX),
    LETTER('a', M_TILDE),
    LETTER('a', M_DIAERESIS),
    LETTER('a', M_RING),
    EXTRA(X_SMALL_AE),
    LETTER('c', M_CEDILLA),
    LETTER('e', M_GRAVE),
    LETTER('e', M_ACUTE),
    LETTER('e', M_CIRCUMFLEX),
    LETTER('e', M_DIAERESIS),
    LETTER('i', M_GRAVE),
    LETTER('i', M_ACUTE),
    LETTER('i', M_CIRCUMFLEX),
    LETTER('i', M_DIAERESIS),
    EXTRA(X_SMALL_ETH),
    LETTER('n', M_TILDE),
    LETTER('o', M_GRAVE),
    LETTER('o', M_ACUTE),
    LETTER('o', M_CIRCUMFLEX),
    LETTER('o', M_TILDE),
    LETTER('o', M_DIAERESIS),
    EXTRA(X_DIVIDE),
    EXTRA(X_SMALL_O_SLASH),
    LETTER('u', M_GRAVE),
    LETTER('u', M_ACUTE),
    LETTER('u', M_CIRCUMFLEX),
    LETTER('u', M_DIAERESIS),
    LETTER('y', M_ACUTE),
    EXTRA(X_SMALL_THORN),
    LETTER('y', M_DIAERESIS),
};

static composed compose(uint32_t code)
{
    if (code >= ' ' && code <= '~') return (composed)LETTER((uint8_t)code, M_NONE);
    if (code >= 0xA0 && code <= 0xFF) return latin1[code - 0xA0];
    return (composed)EXTRA(X_BOX);
}

/* The row of a mark's first line of dots: below for the cedilla, above capitals, lower above the
   small letters. */
static int mark_row(composed c)
{
    if (c.mark == M_CEDILLA) return BASE_ROW;
    return c.glyph >= 'A' - ' ' && c.glyph <= 'Z' - ' ' ? -ACCENT_ROWS : -1;
}

static bool has_dot(composed c, int column, int row)
{
    if (c.glyph == X_BOX)
        return row >= 0 && row < BASE_ROW &&
               (row == 0 || row == BASE_ROW - 1 || column == 0 || column == GLYPH_COLUMNS - 1);
    const int in_mark = row - mark_row(c);
    if (c.mark != M_NONE && in_mark >= 0 && in_mark < MARK_ROWS &&
        marks[c.mark][in_mark][column] == '#')
        return true;
    if (row < 0 || row >= GLYPH_ROWS) return false;
    /* A mark takes the place of the dot on an i. */
    if (c.glyph == 'i' - ' ' && c.mark != M_NONE && row == 0) return false;
    const char *line = drawings[c.glyph / PER_BLOCK][row];
    return line[c.glyph % PER_BLOCK * GLYPH_ADVANCE + column] == '#';
}

/* Share of the square [x0, x1) × [y0, y1), in dots, that is covered by dots. */
static float cover(composed c, float x0, float y0, float x1, float y1)
{
    float sum = 0;
    for (int row = (int)floorf(y0); (float)row < y1; row++) {
        const float high = fminf(y1, (float)row + 1) - fmaxf(y0, (float)row);
        for (int column = x0 > 0 ? (int)x0 : 0; column < GLYPH_COLUMNS && (float)column < x1;
             column++) {
            if (!has_dot(c, column, row)) continue;
            sum += high * (fminf(x1, (float)column + 1) - fmaxf(x0, (float)column));
        }
    }
    return sum / ((x1 - x0) * (y1 - y0));
}

void nnd_font_dots_extent(float size, float *ascent, float *descent)
{
    *ascent = size * (float)(BASE_ROW + ACCENT_ROWS) / UNITS_PER_SIZE;
    *descent = size * (float)(GLYPH_ROWS - BASE_ROW) / UNITS_PER_SIZE;
}

static bool reserve(nnd_glyph_scratch *scratch, size_t size)
{
    if (size <= scratch->size) return true;
    uint8_t *data = nnd_realloc(scratch->data, size);
    if (!data) return false;
    scratch->data = data;
    scratch->size = size;
    return true;
}

nnd_status nnd_font_dots_glyph(float size, uint32_t code, nnd_glyph_scratch *scratch,
                               nnd_glyph *glyph)
{
    const float unit = size / UNITS_PER_SIZE;
    const composed c = compose(code);
    const int top = (int)ceilf(unit * (BASE_ROW + ACCENT_ROWS));
    const int below = (int)ceilf(unit * (GLYPH_ROWS - BASE_ROW));
    const int width = (int)ceilf(unit * GLYPH_COLUMNS), height = top + below;
    *glyph = (nnd_glyph){.width = width,
                         .height = height,
                         .pitch = width,
                         .top = top,
                         .advance = unit * GLYPH_ADVANCE};
    if (!reserve(scratch, (size_t)width * (size_t)height))
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a character of %g pixels",
                             (double)size);
    uint8_t *to = scratch->data;
    for (int y = 0; y < height; y++) {
        const float y0 = (float)(y - top) / unit + BASE_ROW;
        const float y1 = (float)(y - top + 1) / unit + BASE_ROW;
        for (int x = 0; x < width; x++)
            *to++ =
                (uint8_t)(cover(c, (float)x / unit, y0, (float)(x + 1) / unit, y1) * 255 + 0.5f);
    }
    glyph->coverage = scratch->data;
    return NND_OK;
}
