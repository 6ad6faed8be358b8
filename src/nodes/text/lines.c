/* text.lines: characters that were found and read one by one become lines of text. The rules are
   those of tools/train/digits/README.md, section 7. */
#include "nodes/nodes_internal.h"

#include "base/str.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct character {
    nnd_detection box;
    const char *label;
    size_t line;
} character;

typedef struct text_line {
    size_t last;   /* index of its last character */
    double centre; /* sum, then mean, of (y1 + y2) / 2 */
    size_t count;
    size_t started;
} text_line;

typedef struct page {
    character *characters;
    size_t count;
    text_line *lines;
    size_t line_count;
} page;

static int by_left_edge(const void *a, const void *b)
{
    const nnd_detection *x = &((const character *)a)->box, *y = &((const character *)b)->box;
    const float keys[4][2] = {{x->x1, y->x1}, {x->y1, y->y1}, {x->x2, y->x2}, {x->y2, y->y2}};
    for (size_t i = 0; i < 4; i++) {
        if (keys[i][0] < keys[i][1]) return -1;
        if (keys[i][0] > keys[i][1]) return 1;
    }
    return 0;
}

static int by_height(const void *a, const void *b)
{
    const text_line *x = a, *y = b;
    if (x->centre < y->centre) return -1;
    if (x->centre > y->centre) return 1;
    return x->started < y->started ? -1 : x->started > y->started;
}

/* How well a character continues a line: the overlap of the heights; below 0 when it does not. */
static double fit(const nnd_detection *last, const nnd_detection *next, const nnd_params *p)
{
    double h = last->y2 - last->y1, k = next->y2 - next->y1;
    double smaller = fmin(h, k), larger = fmax(h, k);
    if (smaller <= 0 || larger > nnd_params_float(p, "line_ratio") * smaller) return -1;
    double overlap = (fmin(last->y2, next->y2) - fmax(last->y1, next->y1)) / smaller;
    return overlap >= nnd_params_float(p, "line_overlap") ? overlap : -1;
}

static void group(page *pg, const nnd_params *p)
{
    for (size_t i = 0; i < pg->count; i++) {
        character *c = &pg->characters[i];
        double best = -1;
        size_t line = pg->line_count;
        for (size_t l = 0; l < pg->line_count; l++) {
            double overlap = fit(&pg->characters[pg->lines[l].last].box, &c->box, p);
            if (overlap > best) {
                best = overlap;
                line = l;
            }
        }
        if (line == pg->line_count) {
            pg->lines[line] = (text_line){.started = line};
            pg->line_count++;
        }
        c->line = line;
        pg->lines[line].last = i;
        pg->lines[line].centre += (c->box.y1 + c->box.y2) / 2.0;
        pg->lines[line].count++;
    }
    for (size_t l = 0; l < pg->line_count; l++)
        pg->lines[l].centre /= (double)pg->lines[l].count;
    if (pg->line_count) qsort(pg->lines, pg->line_count, sizeof *pg->lines, by_height);
}

static void write_line(const page *pg, size_t line, double gap, nnd_str *text)
{
    const nnd_detection *before = NULL;
    for (size_t i = 0; i < pg->count; i++) {
        const character *c = &pg->characters[i];
        if (c->line != line) continue;
        if (before) {
            double height = fmax(before->y2 - before->y1, c->box.y2 - c->box.y1);
            if (c->box.x1 - before->x2 > gap * height) nnd_str_add_char(text, ' ');
        }
        nnd_str_add(text, c->label);
        before = &c->box;
    }
}

/* ---- input ------------------------------------------------------------------------------- */

static bool is_dropped(const nnd_params *p, const nnd_class_score *best)
{
    if (best->score < nnd_params_float(p, "score")) return true;
    for (size_t i = 0; i < nnd_params_string_count(p, "drop"); i++)
        if (strcmp(best->label, nnd_params_string_at(p, "drop", i)) == 0) return true;
    return false;
}

static nnd_status collect(nnd_ctx *ctx, const nnd_detections *boxes, const nnd_value *list,
                          page *pg)
{
    const nnd_params *p = nnd_ctx_params(ctx);
    if (nnd_value_list_count(list) != boxes->count)
        return nnd_error_set(NND_E_SHAPE, "there are %zu boxes, but the classes of %zu",
                             boxes->count, nnd_value_list_count(list));
    pg->characters = nnd_calloc(boxes->count + 1, sizeof *pg->characters);
    pg->lines = nnd_calloc(boxes->count + 1, sizeof *pg->lines);
    if (!pg->characters || !pg->lines)
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for lines of text");
    for (size_t i = 0; i < boxes->count; i++) {
        const nnd_classes *classes = nnd_value_classes(nnd_value_list_at(list, i));
        if (!classes || classes->count == 0 || !classes->items[0].label)
            return nnd_error_set(NND_E_TYPE, "character %zu has no class with a label", i);
        if (is_dropped(p, &classes->items[0])) continue;
        character *c = &pg->characters[pg->count++];
        c->box = boxes->items[i];
        c->box.score = classes->items[0].score;
        c->box.class_id = classes->items[0].class_id;
        c->label = classes->items[0].label;
    }
    if (pg->count) qsort(pg->characters, pg->count, sizeof *pg->characters, by_left_edge);
    return NND_OK;
}

/* ---- output ------------------------------------------------------------------------------ */

static nnd_status emit_text(nnd_ctx *ctx, const page *pg)
{
    double gap = nnd_params_float(nnd_ctx_params(ctx), "word_gap");
    nnd_str text = {0};
    nnd_value *value = NULL;
    nnd_str_add(&text, "");
    for (size_t l = 0; l < pg->line_count; l++) {
        write_line(pg, pg->lines[l].started, gap, &text);
        nnd_str_add_char(&text, '\n');
    }
    nnd_status status = text.failed ? nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a text")
                                    : nnd_value_new_text(text.data, text.size, &value);
    nnd_str_free(&text);
    NND_TRY(status);
    return nnd_ctx_emit(ctx, 0, value);
}

/* The different labels in the order of their first use; every character points at its own. */
static nnd_status emit_detections(nnd_ctx *ctx, const nnd_detections *boxes, const page *pg)
{
    nnd_value *value = NULL;
    size_t label_count = 0;
    const char **labels = nnd_calloc(pg->count + 1, sizeof *labels);
    if (!labels) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for labels");
    for (size_t i = 0; i < pg->count; i++) {
        size_t l = 0;
        while (l < label_count && strcmp(labels[l], pg->characters[i].label) != 0)
            l++;
        if (l == label_count) labels[label_count++] = pg->characters[i].label;
        pg->characters[i].box.label = (int32_t)l;
    }
    nnd_status status = nnd_value_new_detections(pg->count, 0, labels, label_count, &value);
    nnd_free(labels);
    NND_TRY(status);
    nnd_detections *out = nnd_value_edit(value);
    out->source_width = boxes->source_width;
    out->source_height = boxes->source_height;
    for (size_t i = 0; i < pg->count; i++)
        out->items[i] = pg->characters[i].box;
    return nnd_ctx_emit(ctx, 1, value);
}

static nnd_status lines_process(nnd_ctx *ctx)
{
    const nnd_detections *boxes = nnd_node_detections(ctx, 0);
    page pg = {0};
    if (!boxes) return NND_E_TYPE;
    nnd_status status = collect(ctx, boxes, nnd_ctx_input(ctx, 1), &pg);
    if (status == NND_OK) {
        group(&pg, nnd_ctx_params(ctx));
        status = emit_text(ctx, &pg);
    }
    if (status == NND_OK && nnd_ctx_output_is_used(ctx, 1))
        status = emit_detections(ctx, boxes, &pg);
    nnd_free(pg.characters);
    nnd_free(pg.lines);
    return status;
}

static const nnd_port lines_in[] = {
    NND_PORT("detections", "detections", "a box per character"),
    NND_PORT("classes", "list<classes>", "what each character is, in the order of the boxes"),
};
static const nnd_port lines_out[] = {
    NND_PORT("text", "text", "the lines, from top to bottom"),
    NND_PORT("detections", "detections", "the characters that were kept, with labels"),
};
static const nnd_param lines_params[] = {
    NND_PARAM_FLOAT("score", 0.6, 0, 1, "", "least score of a character"),
    NND_PARAM_STRINGS("drop", "[\"other\"]", "labels that are no characters"),
    NND_PARAM_FLOAT("line_overlap", 0.5, 0, 1, "",
                    "least overlap of the heights of neighbours in a line"),
    NND_PARAM_FLOAT("line_ratio", 1.6, 1, 100, "", "largest ratio of their heights"),
    NND_PARAM_FLOAT("word_gap", 0.9, 0, 100, "", "a gap of more heights is a blank"),
};
const nnd_node_type nnd_node_text_lines = {
    .struct_size = sizeof(nnd_node_type),
    .type = "text.lines",
    .version = 1,
    .category = "text",
    .title = "Lines of text",
    .text = "Puts single characters together: lines from top to bottom, blanks where gaps are.",
    .inputs = NND_ARRAY(lines_in),
    .outputs = NND_ARRAY(lines_out),
    .params = NND_ARRAY(lines_params),
    .flags = NND_NODE_PURE | NND_NODE_REENTRANT,
    .process = lines_process,
};
