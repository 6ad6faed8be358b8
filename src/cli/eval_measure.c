/* Measures of eval: from results and truth to sums, from sums to figures. */
#include "cli/eval.h"

#include "nndeploy/ops.h"
#include "port/port.h"

#include <math.h>
#include <string.h>

static nnd_status add_figure(eval *e, const char *name, double value, bool is_count)
{
    const eval_figure figure = {name, value, is_count};
    return nnd_vec_push(&e->figures, figure) ? NND_OK : cli_no_memory();
}

static nnd_status add_row(eval *e, const char *name, uint64_t count, double first, double second)
{
    const eval_row row = {nnd_strdup(name), count, {first, second}};
    if (row.name && nnd_vec_push(&e->rows, row)) return NND_OK;
    nnd_free(row.name);
    return cli_no_memory();
}

static double share(uint64_t part, uint64_t whole)
{
    return whole ? (double)part / (double)whole : NAN;
}

/* Looks a result's class up, and remembers whether any was ever known. */
static int32_t class_of(eval *e, int32_t class_id, const char *label)
{
    const int32_t index = eval_class_of(&e->dataset, class_id, label);
    if (index >= 0) e->any_known = true;
    if (index < 0 && label && !e->example) e->example = nnd_strdup(label);
    return index;
}

/* ---- top1 -------------------------------------------------------------------------------- */

static nnd_status begin_classes(eval *e)
{
    static const eval_class_count none = {0};
    e->least = SIZE_MAX;
    for (size_t i = 0; i < e->dataset.classes.count; i++)
        if (!nnd_vec_push(&e->classes, none)) return cli_no_memory();
    return NND_OK;
}

static void put_class(nnd_json_writer *w, const eval *e, const char *key, int32_t index,
                      const nnd_class_score *found)
{
    nnd_json_key(w, key);
    if (index >= 0)
        nnd_json_put_string(w, e->dataset.classes.items[index]);
    else if (found && found->label)
        nnd_json_put_string(w, found->label);
    else if (found)
        nnd_json_put_int(w, found->class_id);
    else
        nnd_json_put_null(w);
}

static nnd_status add_classes(eval *e, const eval_sample *s, const nnd_value *result, int width,
                              int height, nnd_json_writer *w)
{
    const nnd_classes *found = nnd_value_classes(result);
    int32_t best = -1;
    (void)width, (void)height;
    e->classes.items[s->class_index].count++;
    if (found->count < e->least) e->least = found->count;
    for (size_t i = 0; i < found->count && i < 5; i++) {
        const int32_t index = class_of(e, found->items[i].class_id, found->items[i].label);
        if (i == 0) best = index;
        if (index == s->class_index) {
            e->right5++;
            break;
        }
    }
    if (best == s->class_index) {
        e->right++;
        e->classes.items[s->class_index].right++;
    }
    if (!w) return NND_OK;
    put_class(w, e, "truth", s->class_index, NULL);
    put_class(w, e, "found", best, found->count ? &found->items[0] : NULL);
    if (found->count) cli_json_number(w, "score", (double)found->items[0].score);
    cli_json_bool(w, "right", best == s->class_index);
    return NND_OK;
}

static nnd_status end_classes(eval *e)
{
    double sum = 0;
    size_t there = 0;
    for (size_t i = 0; i < e->classes.count; i++) {
        const eval_class_count *c = &e->classes.items[i];
        if (!c->count) continue;
        sum += share(c->right, c->count);
        there++;
        NND_TRY(add_row(e, e->dataset.classes.items[i], c->count, share(c->right, c->count), NAN));
    }
    NND_TRY(add_figure(e, "top1", share(e->right, e->measured), false));
    if (e->measured && e->least >= 5)
        NND_TRY(add_figure(e, "top5", share(e->right5, e->measured), false));
    NND_TRY(add_figure(e, "mean_class", there ? sum / (double)there : NAN, false));
    return add_figure(e, "right", (double)e->right, true);
}

/* ---- map --------------------------------------------------------------------------------- */

static nnd_status begin_boxes(eval *e)
{
    return nnd_precision_create(e->dataset.classes.count, &e->precision);
}

/* The sample's objects in pixels of a picture of this size. */
static void place_truth(const eval *e, const eval_sample *s, int width, int height,
                        nnd_truth_box *out)
{
    const nnd_truth_box *from = e->dataset.boxes.items + s->box;
    for (size_t i = 0; i < s->boxes; i++) {
        out[i] = from[i];
        if (!e->dataset.relative) continue;
        out[i].x1 *= width;
        out[i].x2 *= width;
        out[i].y1 *= height;
        out[i].y2 *= height;
    }
}

static void put_boxes(const eval *e, const nnd_found_box *boxes, size_t count, nnd_json_writer *w)
{
    nnd_json_key(w, "found");
    nnd_json_begin_array(w);
    for (size_t i = 0; i < count; i++) {
        const double box[4] = {boxes[i].x1, boxes[i].y1, boxes[i].x2, boxes[i].y2};
        nnd_json_begin_object(w);
        put_class(w, e, "class", boxes[i].class_id, NULL);
        nnd_json_key(w, "score");
        nnd_json_put_float(w, boxes[i].score);
        nnd_json_key(w, "box");
        nnd_json_begin_array(w);
        for (size_t k = 0; k < NND_COUNT(box); k++)
            nnd_json_put_float(w, (float)box[k]);
        nnd_json_end_array(w);
        nnd_json_end_object(w);
    }
    nnd_json_end_array(w);
}

static nnd_status add_boxes(eval *e, const eval_sample *s, const nnd_value *result, int width,
                            int height, nnd_json_writer *w)
{
    const nnd_detections *d = nnd_value_detections(result);
    nnd_truth_box *truth = nnd_calloc(s->boxes + 1, sizeof *truth);
    nnd_found_box *found = nnd_calloc(d->count + 1, sizeof *found);
    nnd_status status = truth && found ? NND_OK : cli_no_memory();
    if (status == NND_OK) {
        place_truth(e, s, width, height, truth);
        for (size_t i = 0; i < d->count; i++) {
            const nnd_detection *o = &d->items[i];
            const bool named = o->label >= 0 && (size_t)o->label < d->label_count;
            found[i] = (nnd_found_box){
                (double)o->x1, (double)o->y1,
                (double)o->x2, (double)o->y2,
                o->score,      class_of(e, o->class_id, named ? d->labels[o->label] : NULL)};
        }
        status = nnd_precision_add(e->precision, truth, s->boxes, found, d->count);
    }
    if (status == NND_OK && w) {
        cli_json_int(w, "objects", (int64_t)s->boxes);
        put_boxes(e, found, d->count, w);
    }
    nnd_free(truth);
    nnd_free(found);
    return status;
}

static nnd_status end_boxes(eval *e)
{
    nnd_precision_figures f;
    for (size_t i = 0; i < e->dataset.classes.count; i++) {
        NND_TRY(nnd_precision_figures_of_class(e->precision, i, &f));
        if (f.objects)
            NND_TRY(add_row(e, e->dataset.classes.items[i], f.objects, f.ap[NND_AREA_ALL], f.ap50));
    }
    NND_TRY(nnd_precision_figures_of_all(e->precision, &f));
    const eval_figure figures[] = {
        {"map", f.ap[NND_AREA_ALL], false},
        {"ap50", f.ap50, false},
        {"ap75", f.ap75, false},
        {"ap_small", f.ap[NND_AREA_SMALL], false},
        {"ap_medium", f.ap[NND_AREA_MEDIUM], false},
        {"ap_large", f.ap[NND_AREA_LARGE], false},
        {"ar1", f.recall[NND_RECALL_1], false},
        {"ar10", f.recall[NND_RECALL_10], false},
        {"ar100", f.recall[NND_RECALL_100], false},
        {"ar_small", f.recall_by_area[NND_AREA_SMALL], false},
        {"ar_medium", f.recall_by_area[NND_AREA_MEDIUM], false},
        {"ar_large", f.recall_by_area[NND_AREA_LARGE], false},
        {"objects", (double)f.objects, true},
    };
    return nnd_vec_append(&e->figures, figures, NND_COUNT(figures)) ? NND_OK : cli_no_memory();
}

/* ---- cer --------------------------------------------------------------------------------- */

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* White space at both ends says nothing. */
static void trim(const char **text, size_t *size)
{
    while (*size && is_blank((*text)[0]))
        ++*text, --*size;
    while (*size && is_blank((*text)[*size - 1]))
        --*size;
}

static void result_text(const nnd_value *result, const char **text, size_t *size)
{
    const nnd_text *whole = nnd_value_text(result);
    const nnd_classes *classes = nnd_value_classes(result);
    *text = "";
    if (whole)
        *text = whole->text;
    else if (classes && classes->count && classes->items[0].label)
        *text = classes->items[0].label;
    *size = whole ? whole->size : strlen(*text);
    trim(text, size);
}

static nnd_status compare_text(eval *e, const char *truth, size_t truth_size, const char *text,
                               size_t size, nnd_json_writer *w)
{
    nnd_text_errors one;
    NND_TRY(nnd_text_compare(truth, truth_size, text, size, &one));
    e->errors.characters += one.characters;
    e->errors.character_errors += one.character_errors;
    e->errors.words += one.words;
    e->errors.word_errors += one.word_errors;
    e->exact += one.character_errors == 0;
    if (!w) return NND_OK;
    nnd_json_key(w, "truth");
    nnd_json_put_string_n(w, truth, truth_size);
    nnd_json_key(w, "found");
    nnd_json_put_string_n(w, text, size);
    cli_json_int(w, "character_errors", (int64_t)one.character_errors);
    cli_json_int(w, "word_errors", (int64_t)one.word_errors);
    return NND_OK;
}

/* Lines that end as on Windows are the same lines. */
static size_t without_returns(char *text, size_t size)
{
    size_t kept = 0;
    for (size_t i = 0; i < size; i++)
        if (text[i] != '\r' || i + 1 == size || text[i + 1] != '\n') text[kept++] = text[i];
    return kept;
}

static nnd_status add_text(eval *e, const eval_sample *s, const nnd_value *result, int width,
                           int height, nnd_json_writer *w)
{
    const char *found, *truth;
    char *file = NULL;
    size_t size, truth_size;
    (void)width, (void)height;
    NND_TRY(cli_read_file(s->truth, &file, &truth_size));
    truth_size = without_returns(file, truth_size);
    truth = file;
    trim(&truth, &truth_size);
    result_text(result, &found, &size);
    nnd_status status = compare_text(e, truth, truth_size, found, size, w);
    nnd_port_free(file);
    return status;
}

static nnd_status end_texts(eval *e)
{
    const nnd_text_errors *sum = &e->errors;
    const eval_figure figures[] = {
        {"cer", share(sum->character_errors, sum->characters), false},
        {"wer", share(sum->word_errors, sum->words), false},
        {"exact", share(e->exact, e->measured), false},
        {"characters", (double)sum->characters, true},
        {"character_errors", (double)sum->character_errors, true},
        {"words", (double)sum->words, true},
        {"word_errors", (double)sum->word_errors, true},
    };
    return nnd_vec_append(&e->figures, figures, NND_COUNT(figures)) ? NND_OK : cli_no_memory();
}

/* ---- iou --------------------------------------------------------------------------------- */

/* A mask's picture as numbers of classes: gray, or the numbers of a palette. */
static nnd_status read_mask(const char *path, nnd_value **out)
{
    nnd_decode_options options = NND_DECODE_OPTIONS_INIT;
    char *bytes = NULL;
    size_t size = 0;
    options.format = NND_PIX_NONE;
    options.as_stored = options.keep_16_bit = true;
    NND_TRY(cli_read_file(path, &bytes, &size));
    nnd_status status = nnd_image_decode(bytes, size, &options, out);
    nnd_port_free(bytes);
    return status == NND_OK ? status : nnd_error_wrap(status, "cannot read the mask");
}

/* Names of classes come with the masks when --labels gives none. */
static nnd_status learn_names(eval *e, const nnd_mask *mask)
{
    int32_t index;
    if (e->dataset.classes.count) return NND_OK;
    const eval_names *labels = &e->dataset.labels;
    const size_t count = labels->count ? labels->count : mask->label_count;
    for (size_t i = 0; i < count; i++) {
        const char *name = labels->count ? labels->items[i] : mask->labels[i];
        NND_TRY(eval_add_class(&e->dataset, name, strlen(name), &index));
    }
    return NND_OK;
}

static nnd_status add_mask(eval *e, const eval_sample *s, const nnd_value *result, int width,
                           int height, nnd_json_writer *w)
{
    const nnd_mask *mask = nnd_value_mask(result);
    const uint64_t pixels = e->overlap.pixels, right = e->overlap.right;
    nnd_value *truth = NULL;
    NND_TRY(learn_names(e, mask));
    NND_TRY(read_mask(s->truth, &truth));
    const nnd_image *image = nnd_value_image(truth);
    nnd_status status = image->width == width && image->height == height
                            ? nnd_overlap_add(&e->overlap, image, e->options.ignore, mask)
                            : nnd_error_set(NND_E_SHAPE, "the mask is %d × %d, the picture %d × %d",
                                            image->width, image->height, width, height);
    nnd_value_unref(truth);
    if (status != NND_OK || !w) return status;
    cli_json_int(w, "pixels", (int64_t)(e->overlap.pixels - pixels));
    cli_json_int(w, "right", (int64_t)(e->overlap.right - right));
    return NND_OK;
}

static nnd_status end_masks(eval *e)
{
    double accuracy = 0;
    size_t there = 0;
    for (size_t i = 0; i < e->overlap.count; i++) {
        const nnd_overlap_class *c = &e->overlap.classes[i];
        const double iou = nnd_overlap_iou(c);
        char number[24];
        if (isnan(iou)) continue;
        snprintf(number, sizeof number, "%zu", i);
        if (c->truth) {
            accuracy += share(c->both, c->truth);
            there++;
        }
        const bool named = i < e->dataset.classes.count;
        NND_TRY(add_row(e, named ? e->dataset.classes.items[i] : number, c->truth, iou,
                        share(c->both, c->truth)));
    }
    NND_TRY(add_figure(e, "miou", nnd_overlap_mean(&e->overlap), false));
    NND_TRY(add_figure(e, "pixel_accuracy", share(e->overlap.right, e->overlap.pixels), false));
    NND_TRY(add_figure(e, "mean_accuracy", there ? accuracy / (double)there : NAN, false));
    return add_figure(e, "pixels", (double)e->overlap.pixels, true);
}

/* ---- all of them ------------------------------------------------------------------------- */

const eval_measure *eval_measure_find(const char *name)
{
    static const eval_measure measures[] = {
        {"top1",
         {"classes", NULL},
         {"samples", "top1", NULL},
         eval_scan_classes,
         begin_classes,
         add_classes,
         end_classes},
        {"map",
         {"detections", NULL},
         {"objects", "ap", "ap50"},
         eval_scan_boxes,
         begin_boxes,
         add_boxes,
         end_boxes},
        {"cer",
         {"text", "classes"},
         {NULL, NULL, NULL},
         eval_scan_texts,
         NULL,
         add_text,
         end_texts},
        {"iou",
         {"mask", NULL},
         {"pixels", "iou", "accuracy"},
         eval_scan_masks,
         NULL,
         add_mask,
         end_masks},
    };
    for (size_t i = 0; i < NND_COUNT(measures); i++)
        if (strcmp(measures[i].name, name) == 0) return &measures[i];
    return NULL;
}
