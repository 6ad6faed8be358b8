/*
 * Lines of printed text among connected components. The rules, with their reasons, are those of
 * tools/train/ocr/README.md, sections 3 to 5; names here follow that page.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops/ops_common.h"
#include "ops/text/text.h"

enum { NEAR = 3, NO_LINE = -1 };

typedef struct glyph {
    int x0, y0, x1, y1;
    bool mark;
    int line; /* NO_LINE until it joined one */
} glyph;

typedef struct chain {
    int last[NEAR]; /* the last letters that joined, the newest first */
    int count;      /* letters */
    int high;       /* the middle of their heights */
    bool gone;      /* its letters became marks */
} chain;

typedef struct page {
    const nnd_text_lines_options *o;
    glyph *boxes; /* sections 3 and 4: ordered by y0, x0, y1, x1 */
    int box_count;
    glyph **letters; /* ordered by x0, y0, x1, y1 */
    int letter_count;
    chain *chains;
    int chain_count;
    double *values; /* scratch: one per letter */
} page;

static int height_of(const glyph *g)
{
    return g->y1 - g->y0;
}

/* Distance of the ranges a … b and c … d, 0 when they touch. */
static int gap(int a, int b, int c, int d)
{
    int far = c - b > a - d ? c - b : a - d;
    return far > 0 ? far : 0;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* The element in the middle of the sorted values, the upper one of two. */
static double middle_of(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, by_value);
    return values[count / 2];
}

static int compare_keys(const int *a, const int *b)
{
    for (int i = 0; i < 4; i++)
        if (a[i] != b[i]) return a[i] < b[i] ? -1 : 1;
    return 0;
}

static int by_row(const void *a, const void *b)
{
    const glyph *x = a, *y = b;
    const int kx[4] = {x->y0, x->x0, x->y1, x->x1}, ky[4] = {y->y0, y->x0, y->y1, y->x1};
    return compare_keys(kx, ky);
}

static int by_column(const void *a, const void *b)
{
    const glyph *x = *(glyph *const *)a, *y = *(glyph *const *)b;
    const int kx[4] = {x->x0, x->y0, x->x1, x->y1}, ky[4] = {y->x0, y->y0, y->x1, y->y1};
    return compare_keys(kx, ky);
}

/* ---- 3 components, 4 letters and marks --------------------------------------------------- */

static bool is_ink(const nnd_component *c, const nnd_text_lines_options *o)
{
    const int w = c->box.width, h = c->box.height;
    const int tall = h > o->min_height ? h : o->min_height;
    return c->area >= o->min_area && h <= o->max_height && w <= o->max_aspect * tall &&
           c->area >= o->min_fill * w * h;
}

static bool is_beside(const glyph *b, const glyph *a, const nnd_text_lines_options *o)
{
    const int h = height_of(a);
    const double reach = o->mark_reach * h;
    return height_of(b) < o->small * h && b->x0 - a->x1 <= h && a->x0 - b->x1 <= h &&
           b->y0 - a->y1 <= reach && a->y0 - b->y1 <= reach;
}

/* Only boxes whose rows can reach b are compared: they start at most `span` rows above it. */
static void find_marks(page *p)
{
    const double span = p->o->max_height * (1 + p->o->mark_reach);
    int first = 0;
    for (int i = 0; i < p->box_count; i++) {
        glyph *b = &p->boxes[i];
        while (b->y0 - p->boxes[first].y0 > span)
            first++;
        b->mark = height_of(b) < p->o->min_height;
        for (int k = first; k < p->box_count && !b->mark; k++) {
            if (p->boxes[k].y0 - b->y1 > span) break;
            b->mark = is_beside(b, &p->boxes[k], p->o);
        }
    }
}

/* ---- 5 lines: chaining ------------------------------------------------------------------- */

/* How much of its height a letter shares with the end of a line; below 0 when it does not fit. */
static double fit(const page *p, const chain *c, const glyph *b)
{
    double top[NEAR], bottom[NEAR];
    int tall = 0, right = 0;
    const int near = c->count < NEAR ? c->count : NEAR, h = height_of(b);
    for (int i = 0; i < near; i++) {
        const glyph *a = p->letters[c->last[i]];
        top[i] = a->y0;
        bottom[i] = a->y1;
        if (height_of(a) > tall) tall = height_of(a);
        if (i == 0 || a->x1 > right) right = a->x1;
    }
    const double y0 = middle_of(top, near), y1 = middle_of(bottom, near);
    const int larger = h > tall ? h : tall, smaller = h > tall ? tall : h;
    if (y1 <= y0 || b->x0 - right > p->o->line_gap * tall || larger > p->o->line_ratio * smaller)
        return -1;
    const double shared = (fmin(y1, b->y1) - fmax(y0, b->y0)) / fmin(y1 - y0, h);
    return shared >= p->o->line_overlap ? shared : -1;
}

static void chain_letters(page *p)
{
    for (int i = 0; i < p->letter_count; i++) {
        double best = -1;
        int line = p->chain_count;
        for (int k = 0; k < p->chain_count; k++) {
            const double shared = fit(p, &p->chains[k], p->letters[i]);
            if (shared > best) {
                best = shared;
                line = k;
            }
        }
        if (line == p->chain_count) p->chain_count++;
        chain *c = &p->chains[line];
        for (int k = NEAR - 1; k > 0; k--)
            c->last[k] = c->last[k - 1];
        c->last[0] = i;
        c->count++;
        p->letters[i]->line = line;
    }
}

/* Makes the letters of one line a run of p->letters, their order kept: line k has those from
   starts[k] to starts[k + 1]. */
static nnd_status gather(page *p, int *starts)
{
    glyph **sorted = nnd_alloc(((size_t)p->letter_count + 1) * sizeof(glyph *));
    if (!sorted) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for lines of text");
    for (int k = 0; k < p->chain_count; k++)
        starts[k + 1] = starts[k] + p->chains[k].count;
    for (int i = 0; i < p->letter_count; i++)
        sorted[starts[p->letters[i]->line]++] = p->letters[i];
    for (int k = p->chain_count; k > 0; k--)
        starts[k] = starts[k - 1];
    starts[0] = 0;
    memcpy(p->letters, sorted, (size_t)p->letter_count * sizeof(glyph *));
    nnd_free(sorted);
    for (int k = 0; k < p->chain_count; k++) {
        for (int i = starts[k]; i < starts[k + 1]; i++)
            p->values[i - starts[k]] = height_of(p->letters[i]);
        p->chains[k].high = (int)middle_of(p->values, p->chains[k].count);
    }
    return NND_OK;
}

/* ---- 5 lines: marks ---------------------------------------------------------------------- */

typedef struct distance {
    double away; /* above or below, in line heights */
    int beside;  /* to the nearest letter, px */
} distance;

typedef struct nearest {
    int beside;
    const glyph *letter;
} nearest;

static bool is_nearer(const nearest *a, const nearest *b)
{
    if (a->beside != b->beside) return a->beside < b->beside;
    if (a->letter->x0 != b->letter->x0) return a->letter->x0 < b->letter->x0;
    return a->letter->y0 < b->letter->y0;
}

/* False when the mark is too far from the line. */
static bool distance_to(const page *p, const int *starts, int line, const glyph *m, distance *out)
{
    nearest near[NEAR];
    int count = 0;
    for (int i = starts[line]; i < starts[line + 1]; i++) {
        const glyph *a = p->letters[i];
        nearest one = {gap(a->x0, a->x1, m->x0, m->x1), a};
        for (int k = 0; k < count; k++) {
            if (!is_nearer(&one, &near[k])) continue;
            const nearest moved = near[k];
            near[k] = one;
            one = moved;
        }
        if (count < NEAR) near[count++] = one;
    }
    const double high = p->chains[line].high;
    if (count == 0 || near[0].beside > p->o->line_gap * high) return false;
    int top = near[0].letter->y0, bottom = near[0].letter->y1;
    for (int k = 1; k < count; k++) {
        if (near[k].letter->y0 < top) top = near[k].letter->y0;
        if (near[k].letter->y1 > bottom) bottom = near[k].letter->y1;
    }
    *out = (distance){gap(top, bottom, m->y0, m->y1) / high, near[0].beside};
    return out->away <= p->o->mark_reach;
}

static bool is_small_beside(const page *p, const int *starts, int line, int other)
{
    distance d;
    if (other == line || p->chains[line].high >= p->o->small_line * p->chains[other].high)
        return false;
    for (int i = starts[line]; i < starts[line + 1]; i++)
        if (!distance_to(p, starts, other, p->letters[i], &d)) return false;
    return true;
}

static void part_small(page *p, const int *starts)
{
    for (int k = 0; k < p->chain_count; k++)
        for (int other = 0; p->chains[k].count <= 2 && other < p->chain_count; other++)
            if (is_small_beside(p, starts, k, other)) p->chains[k].gone = true;
    for (int i = 0; i < p->letter_count; i++)
        if (p->chains[p->letters[i]->line].gone) p->letters[i]->mark = true;
}

static nnd_status add_marks(page *p, const int *starts)
{
    for (int i = 0; i < p->box_count; i++) {
        glyph *m = &p->boxes[i];
        distance best = {0, 0}, d;
        if (!m->mark) continue;
        m->line = NO_LINE;
        NND_TRY(nnd_cancel_check(p->o->cancel));
        for (int k = 0; k < p->chain_count; k++) {
            if (p->chains[k].gone || !distance_to(p, starts, k, m, &d)) continue;
            if (m->line != NO_LINE &&
                (d.away > best.away || (d.away == best.away && d.beside >= best.beside)))
                continue;
            m->line = k;
            best = d;
        }
    }
    return NND_OK;
}

/* ---- 5 lines: slope, box, order ---------------------------------------------------------- */

static double slope_of(page *p, const int *starts, int line)
{
    glyph *const *a = p->letters + starts[line];
    const int n = p->chains[line].count;
    int found = 0;
    if (n < p->o->slope_letters) return 0;
    for (int i = 0; i + n / 2 < n; i++) {
        const glyph *b = a[i + n / 2];
        const int run = b->x0 + b->x1 - a[i]->x0 - a[i]->x1;
        if (run > 0) p->values[found++] = 2.0 * (b->y1 - a[i]->y1) / run;
    }
    if (!found) return 0;
    const double slope = middle_of(p->values, found);
    const double rise = fabs(slope) * (a[n - 1]->x1 - a[0]->x0);
    return rise > p->o->flat * p->chains[line].high ? slope : 0;
}

/* The line's columns, with them its slope, with that its rows. */
static void make_boxes(page *p, const int *starts, nnd_text_line *lines)
{
    for (int k = 0; k < p->chain_count; k++)
        lines[k] = (nnd_text_line){INFINITY, INFINITY, -INFINITY, -INFINITY, 0};
    for (int i = 0; i < p->box_count; i++) {
        const glyph *g = &p->boxes[i];
        if (g->line == NO_LINE) continue;
        lines[g->line].x0 = fmin(lines[g->line].x0, g->x0);
        lines[g->line].x1 = fmax(lines[g->line].x1, g->x1);
    }
    for (int k = 0; k < p->chain_count; k++)
        if (!p->chains[k].gone) lines[k].slope = slope_of(p, starts, k);
    for (int i = 0; i < p->box_count; i++) {
        const glyph *g = &p->boxes[i];
        if (g->line == NO_LINE) continue;
        nnd_text_line *line = &lines[g->line];
        const double shift = line->slope * ((g->x0 + g->x1) / 2.0 - (line->x0 + line->x1) / 2);
        line->y0 = fmin(line->y0, g->y0 - shift);
        line->y1 = fmax(line->y1, g->y1 - shift);
    }
}

static int by_middle(const void *a, const void *b)
{
    const nnd_text_line *x = a, *y = b;
    const double d = x->y0 + x->y1 - y->y0 - y->y1, e = x->x0 - y->x0;
    return d < 0 ? -1 : d > 0 ? 1 : e < 0 ? -1 : e > 0;
}

static int by_left(const void *a, const void *b)
{
    const double e = ((const nnd_text_line *)a)->x0 - ((const nnd_text_line *)b)->x0;
    return e < 0 ? -1 : e > 0;
}

static void reading_order(nnd_text_line *lines, size_t count)
{
    if (count) qsort(lines, count, sizeof *lines, by_middle);
    for (size_t first = 0, next; first < count; first = next) {
        for (next = first + 1; next < count; next++) {
            const double middle = (lines[next].y0 + lines[next].y1) / 2;
            if (middle < lines[first].y0 || middle >= lines[first].y1) break;
        }
        qsort(lines + first, next - first, sizeof *lines, by_left);
    }
}

/* ---- the whole --------------------------------------------------------------------------- */

static nnd_status find(page *p, int *starts, nnd_text_line **lines, size_t *count)
{
    find_marks(p);
    for (int i = 0; i < p->box_count; i++)
        if (!p->boxes[i].mark) p->letters[p->letter_count++] = &p->boxes[i];
    if (p->letter_count) qsort(p->letters, (size_t)p->letter_count, sizeof(glyph *), by_column);
    NND_TRY(nnd_cancel_check(p->o->cancel));
    chain_letters(p);
    NND_TRY(gather(p, starts));
    part_small(p, starts);
    NND_TRY(add_marks(p, starts));
    nnd_text_line *found = nnd_alloc(((size_t)p->chain_count + 1) * sizeof *found);
    if (!found) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for lines of text");
    make_boxes(p, starts, found);
    size_t kept = 0;
    for (int k = 0; k < p->chain_count; k++)
        if (!p->chains[k].gone && found[k].y1 - found[k].y0 >= p->o->min_line_height)
            found[kept++] = found[k];
    reading_order(found, kept);
    *lines = found;
    *count = kept;
    return NND_OK;
}

static nnd_status check_options(const nnd_text_lines_options *o)
{
    NND_OPS_CHECK_OPTIONS(o, nnd_text_lines_options);
    if (o->min_height < 1 || o->max_height < o->min_height || o->max_height > NND_IMAGE_MAX_SIDE ||
        o->min_line_height < 1 || o->slope_letters < 2 || !(o->mark_reach >= 0) ||
        !(o->line_ratio >= 1))
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "heights %d to %d, line height %d, slope_letters %d, mark_reach %g or "
                             "line_ratio %g makes no sense: start from the initialiser",
                             o->min_height, o->max_height, o->min_line_height, o->slope_letters,
                             o->mark_reach, o->line_ratio);
    return NND_OK;
}

nnd_status nnd_text_find_lines(const nnd_component *components, size_t count,
                               const nnd_text_lines_options *options, nnd_text_line **lines,
                               size_t *line_count)
{
    if ((count && !components) || !options || !lines || !line_count)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "components, options or a result is missing");
    NND_TRY(check_options(options));
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        kept += is_ink(&components[i], options);
    if (kept > (size_t)options->max_components)
        return nnd_error_set(NND_E_LIMIT,
                             "%zu components could be ink of letters, at most %d are read: raise "
                             "the threshold's offset or min_area",
                             kept, options->max_components);
    page p = {.o = options};
    p.boxes = nnd_calloc(kept + 1, sizeof *p.boxes);
    p.letters = nnd_calloc(kept + 1, sizeof *p.letters);
    p.chains = nnd_calloc(kept + 1, sizeof *p.chains);
    p.values = nnd_calloc(kept + 1, sizeof *p.values);
    int *starts = nnd_calloc(kept + 2, sizeof *starts);
    for (size_t i = 0; i < count && p.boxes; i++) {
        const nnd_rect *r = &components[i].box;
        if (is_ink(&components[i], options))
            p.boxes[p.box_count++] =
                (glyph){r->x, r->y, r->x + r->width, r->y + r->height, false, NO_LINE};
    }
    if (p.box_count) qsort(p.boxes, (size_t)p.box_count, sizeof *p.boxes, by_row);
    nnd_status status = p.boxes && p.letters && p.chains && p.values && starts
                            ? find(&p, starts, lines, line_count)
                            : nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for lines of text");
    nnd_free(p.boxes);
    nnd_free(p.letters);
    nnd_free(p.chains);
    nnd_free(p.values);
    nnd_free(starts);
    return status;
}
