/*
 * Average precision of boxes, by the rules of the COCO evaluation (cocodataset.org, "Detection
 * Evaluation"): boxes are matched per picture, class and range of areas, best score first, each to
 * the object that it overlaps most; precision over recall is drawn over all pictures.
 */
#include <math.h>
#include <string.h>

#include "base/vec.h"
#include "ops/detect/rank.h"
#include "ops/metric/metric.h"

enum { THRESHOLDS = 10, POINTS = 101, MOST_BOXES = 100, MAX_CLASSES = 65536 };

static const double area_low[NND_AREA_COUNT] = {0, 0, 32.0 * 32, 96.0 * 96};
static const double area_high[NND_AREA_COUNT] = {1e10, 32.0 * 32, 96.0 * 96, 1e10};
static const int recall_boxes[NND_RECALL_COUNT] = {1, 10, MOST_BOXES};

/* A found box with what became of it; bit t of the masks is for threshold t. */
typedef struct verdict {
    float score;
    int rank; /* among the boxes of its picture and class */
    uint16_t matched[NND_AREA_COUNT];
    uint16_t ignored[NND_AREA_COUNT]; /* counts neither for nor against */
} verdict;

typedef struct class_tally {
    NND_VEC(verdict) found;
    uint64_t objects[NND_AREA_COUNT];
} class_tally;

struct nnd_precision {
    size_t classes;
    class_tally *tallies;
};

static nnd_status no_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for measuring boxes");
}

nnd_status nnd_precision_create(size_t classes, nnd_precision **out)
{
    if (!out) return nnd_error_set(NND_E_INVALID_ARGUMENT, "a result is needed");
    if (classes > MAX_CLASSES)
        return nnd_error_set(NND_E_LIMIT, "%zu classes are more than %d", classes, MAX_CLASSES);
    nnd_precision *p = nnd_calloc(1, sizeof *p);
    if (p) p->tallies = nnd_calloc(classes + 1, sizeof *p->tallies);
    if (!p || !p->tallies) {
        nnd_free(p);
        return no_memory();
    }
    p->classes = classes;
    *out = p;
    return NND_OK;
}

void nnd_precision_destroy(nnd_precision *p)
{
    if (!p) return;
    for (size_t i = 0; i < p->classes; i++)
        nnd_vec_free(&p->tallies[i].found);
    nnd_free(p->tallies);
    nnd_free(p);
}

/* ---- matching within a picture ----------------------------------------------------------- */

static double threshold(int t)
{
    /* A box that overlaps by exactly the threshold has reached it, rounding or not. */
    const double limit = t == THRESHOLDS - 1 ? 0.95 : 0.5 + t * (0.45 / (THRESHOLDS - 1));
    return fmin(limit, 1 - 1e-10);
}

static double overlap(const nnd_found_box *f, const nnd_truth_box *g)
{
    const double w = fmin(f->x2, g->x2) - fmax(f->x1, g->x1);
    const double h = fmin(f->y2, g->y2) - fmax(f->y1, g->y1);
    if (w <= 0 || h <= 0) return 0;
    const double both = w * h, own = (f->x2 - f->x1) * (f->y2 - f->y1);
    const double either = g->crowd ? own : own + (g->x2 - g->x1) * (g->y2 - g->y1) - both;
    return either > 0 ? both / either : 0;
}

/* The boxes and objects of one class in one picture. */
typedef struct scene {
    const nnd_found_box **found; /* best first */
    const nnd_truth_box **truth;
    size_t found_count, truth_count;
    double *overlaps; /* [found][truth] */
    size_t *order;    /* of the objects: those that count before those that do not */
    bool *aside;      /* per object: does not count in this range of areas */
    bool *taken;
    nnd_ranked *ranked;
} scene;

static void scene_fini(scene *s)
{
    nnd_free(s->found);
    nnd_free(s->truth);
    nnd_free(s->overlaps);
    nnd_free(s->order);
    nnd_free(s->aside);
    nnd_free(s->taken);
    nnd_free(s->ranked);
}

static nnd_status scene_init(scene *s, size_t truth_count, size_t found_count)
{
    const size_t used = found_count < MOST_BOXES ? found_count : MOST_BOXES;
    s->found = nnd_calloc(used + 1, sizeof *s->found);
    s->truth = nnd_calloc(truth_count + 1, sizeof *s->truth);
    s->overlaps = nnd_calloc((used + 1) * sizeof *s->overlaps, truth_count + 1);
    s->order = nnd_calloc(truth_count + 1, sizeof *s->order);
    s->aside = nnd_calloc(truth_count + 1, sizeof *s->aside);
    s->taken = nnd_calloc(truth_count + 1, sizeof *s->taken);
    s->ranked = nnd_calloc(found_count + 1, sizeof *s->ranked);
    const bool there =
        s->found && s->truth && s->overlaps && s->order && s->aside && s->taken && s->ranked;
    return there ? NND_OK : no_memory();
}

static void scene_fill(scene *s, int32_t class_id, const nnd_truth_box *truth, size_t truth_count,
                       const nnd_found_box *found, size_t found_count)
{
    size_t count = 0;
    s->truth_count = 0;
    for (size_t i = 0; i < truth_count; i++)
        if (truth[i].class_id == class_id) s->truth[s->truth_count++] = &truth[i];
    for (size_t i = 0; i < found_count; i++)
        if (found[i].class_id == class_id) s->ranked[count++] = (nnd_ranked){found[i].score, i};
    nnd_ranked_sort(s->ranked, count);
    s->found_count = count < MOST_BOXES ? count : MOST_BOXES;
    for (size_t d = 0; d < s->found_count; d++) {
        s->found[d] = &found[s->ranked[d].index];
        for (size_t g = 0; g < s->truth_count; g++)
            s->overlaps[d * s->truth_count + g] = overlap(s->found[d], s->truth[g]);
    }
}

static bool area_outside(double area, int range)
{
    return area < area_low[range] || area > area_high[range];
}

/* Sets which objects count in a range of areas, and the order in which they are offered. */
static size_t sort_out(scene *s, int range)
{
    size_t next = 0, objects = 0;
    for (size_t g = 0; g < s->truth_count; g++) {
        const nnd_truth_box *t = s->truth[g];
        const double area = t->area > 0 ? t->area : (t->x2 - t->x1) * (t->y2 - t->y1);
        s->aside[g] = t->crowd || t->ignore || area_outside(area, range);
        objects += !s->aside[g];
    }
    for (int aside = 0; aside < 2; aside++)
        for (size_t g = 0; g < s->truth_count; g++)
            if (s->aside[g] == (aside != 0)) s->order[next++] = g;
    return objects;
}

/* The object that a box is matched to at a threshold; truth_count when there is none. An object
   that counts is never given up for one that does not. */
static size_t best_object(const scene *s, size_t d, double limit)
{
    size_t best = s->truth_count;
    double reached = limit;
    for (size_t k = 0; k < s->truth_count; k++) {
        const size_t g = s->order[k];
        const double shared = s->overlaps[d * s->truth_count + g];
        if (s->taken[g] && !s->truth[g]->crowd) continue;
        if (best < s->truth_count && !s->aside[best] && s->aside[g]) break;
        if (shared < reached) continue;
        reached = shared;
        best = g;
    }
    return best;
}

static void judge(scene *s, int range, verdict *verdicts)
{
    for (int t = 0; t < THRESHOLDS; t++) {
        const uint16_t bit = (uint16_t)(1u << t);
        if (s->truth_count) memset(s->taken, 0, s->truth_count * sizeof *s->taken);
        for (size_t d = 0; d < s->found_count; d++) {
            const nnd_found_box *f = s->found[d];
            const size_t g = best_object(s, d, threshold(t));
            if (g < s->truth_count) {
                s->taken[g] = true;
                verdicts[d].matched[range] |= bit;
                if (s->aside[g]) verdicts[d].ignored[range] |= bit;
            } else if (area_outside((f->x2 - f->x1) * (f->y2 - f->y1), range)) {
                verdicts[d].ignored[range] |= bit;
            }
        }
    }
}

static nnd_status add_class(class_tally *tally, scene *s)
{
    if (!nnd_vec_reserve(&tally->found, s->found_count)) return no_memory();
    verdict *verdicts = tally->found.items + tally->found.count;
    for (size_t d = 0; d < s->found_count; d++)
        verdicts[d] = (verdict){.score = s->found[d]->score, .rank = (int)d};
    for (int range = 0; range < NND_AREA_COUNT; range++) {
        tally->objects[range] += sort_out(s, range);
        judge(s, range, verdicts);
    }
    tally->found.count += s->found_count;
    return NND_OK;
}

static bool finite_box(double x1, double y1, double x2, double y2)
{
    return isfinite(x1) && isfinite(y1) && isfinite(x2) && isfinite(y2);
}

static nnd_status check_boxes(const nnd_truth_box *truth, size_t truth_count,
                              const nnd_found_box *found, size_t found_count)
{
    for (size_t i = 0; i < truth_count; i++)
        if (!finite_box(truth[i].x1, truth[i].y1, truth[i].x2, truth[i].y2) ||
            !isfinite(truth[i].area))
            return nnd_error_set(NND_E_INVALID_ARGUMENT, "object %zu has no finite box", i);
    for (size_t i = 0; i < found_count; i++)
        if (!finite_box(found[i].x1, found[i].y1, found[i].x2, found[i].y2) ||
            isnan(found[i].score))
            return nnd_error_set(NND_E_INVALID_ARGUMENT, "box %zu has no finite place and score",
                                 i);
    return NND_OK;
}

/* Marks the classes that occur in the picture: others need no work. */
static void mark_classes(const nnd_precision *p, bool *present, const nnd_truth_box *truth,
                         size_t truth_count, const nnd_found_box *found, size_t found_count)
{
    for (size_t i = 0; i < truth_count; i++)
        if (truth[i].class_id >= 0 && (size_t)truth[i].class_id < p->classes)
            present[truth[i].class_id] = true;
    for (size_t i = 0; i < found_count; i++)
        if (found[i].class_id >= 0 && (size_t)found[i].class_id < p->classes)
            present[found[i].class_id] = true;
}

nnd_status nnd_precision_add(nnd_precision *p, const nnd_truth_box *truth, size_t truth_count,
                             const nnd_found_box *found, size_t found_count)
{
    scene s = {0};
    if (!p || (truth_count && !truth) || (found_count && !found))
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "objects and boxes are needed");
    NND_TRY(check_boxes(truth, truth_count, found, found_count));
    bool *present = nnd_calloc(p->classes + 1, sizeof *present);
    nnd_status status = present ? scene_init(&s, truth_count, found_count) : no_memory();
    if (status == NND_OK) mark_classes(p, present, truth, truth_count, found, found_count);
    for (size_t c = 0; c < p->classes && status == NND_OK; c++) {
        if (!present[c]) continue;
        scene_fill(&s, (int32_t)c, truth, truth_count, found, found_count);
        status = add_class(&p->tallies[c], &s);
    }
    scene_fini(&s);
    nnd_free(present);
    return status;
}

/* ---- figures ----------------------------------------------------------------------------- */

typedef struct curve {
    double *precision, *recall; /* one point per box that counts */
    nnd_ranked *ranked;
    size_t count;
} curve;

static nnd_status curve_init(curve *c, const class_tally *tally)
{
    const size_t n = tally->found.count;
    c->precision = nnd_calloc(n + 1, sizeof *c->precision);
    c->recall = nnd_calloc(n + 1, sizeof *c->recall);
    c->ranked = nnd_calloc(n + 1, sizeof *c->ranked);
    if (!c->precision || !c->recall || !c->ranked) return no_memory();
    for (size_t i = 0; i < n; i++)
        c->ranked[i] = (nnd_ranked){tally->found.items[i].score, i};
    nnd_ranked_sort(c->ranked, n);
    return NND_OK;
}

static void curve_fini(curve *c)
{
    nnd_free(c->precision);
    nnd_free(c->recall);
    nnd_free(c->ranked);
}

/* Precision and recall after each box, at most `most` per picture. Needs objects. */
static void curve_draw(curve *c, const class_tally *tally, int range, int t, int most)
{
    const uint16_t bit = (uint16_t)(1u << t);
    double right = 0, wrong = 0;
    c->count = 0;
    for (size_t i = 0; i < tally->found.count; i++) {
        const verdict *v = &tally->found.items[c->ranked[i].index];
        if (v->rank >= most || (v->ignored[range] & bit)) continue;
        *((v->matched[range] & bit) ? &right : &wrong) += 1;
        c->precision[c->count] = right / (right + wrong);
        c->recall[c->count++] = right / (double)tally->objects[range];
    }
}

/* Mean over 101 points of recall of the best precision at that recall or beyond. */
static double curve_precision(curve *c)
{
    double sum = 0;
    size_t at = 0;
    for (size_t i = c->count; i-- > 1;)
        c->precision[i - 1] = fmax(c->precision[i - 1], c->precision[i]);
    for (int k = 0; k < POINTS; k++) {
        const double wanted = k == POINTS - 1 ? 1.0 : k * 0.01;
        while (at < c->count && c->recall[at] < wanted)
            at++;
        if (at == c->count) break;
        sum += c->precision[at];
    }
    return sum / POINTS;
}

static double curve_recall(const curve *c)
{
    return c->count ? c->recall[c->count - 1] : 0;
}

static void draw_range(curve *c, const class_tally *tally, int range, nnd_precision_figures *out)
{
    double recall = 0, precision = 0;
    out->ap[range] = out->recall_by_area[range] = NAN;
    if (!tally->objects[range]) return;
    for (int t = 0; t < THRESHOLDS; t++) {
        curve_draw(c, tally, range, t, MOST_BOXES);
        recall += curve_recall(c);
        const double ap = curve_precision(c);
        precision += ap;
        if (range == NND_AREA_ALL && t == 0) out->ap50 = ap;
        if (range == NND_AREA_ALL && t == 5) out->ap75 = ap;
    }
    out->ap[range] = precision / THRESHOLDS;
    out->recall_by_area[range] = recall / THRESHOLDS;
}

nnd_status nnd_precision_figures_of_class(nnd_precision *p, size_t class_id,
                                          nnd_precision_figures *out)
{
    if (!p || !out || class_id >= p->classes)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "a measure and one of its classes are needed");
    const class_tally *tally = &p->tallies[class_id];
    curve c = {0};
    nnd_status status = curve_init(&c, tally);
    *out = (nnd_precision_figures){.ap50 = NAN, .ap75 = NAN, .objects = tally->objects[0]};
    for (int range = 0; range < NND_AREA_COUNT && status == NND_OK; range++)
        draw_range(&c, tally, range, out);
    for (int k = 0; k < NND_RECALL_COUNT && status == NND_OK; k++) {
        double sum = 0;
        for (int t = 0; t < THRESHOLDS && tally->objects[0]; t++) {
            curve_draw(&c, tally, NND_AREA_ALL, t, recall_boxes[k]);
            sum += curve_recall(&c);
        }
        out->recall[k] = tally->objects[0] ? sum / THRESHOLDS : NAN;
    }
    curve_fini(&c);
    return status;
}

/* The figures of a class as a row of numbers, for their means. */
enum { FIGURES = 2 * NND_AREA_COUNT + 2 + NND_RECALL_COUNT };

static void collect(const nnd_precision_figures *f, double row[FIGURES])
{
    memcpy(row, f->ap, sizeof f->ap);
    memcpy(row + NND_AREA_COUNT, f->recall_by_area, sizeof f->recall_by_area);
    memcpy(row + 2 * NND_AREA_COUNT, f->recall, sizeof f->recall);
    row[FIGURES - 2] = f->ap50;
    row[FIGURES - 1] = f->ap75;
}

static void spread(const double row[FIGURES], nnd_precision_figures *f)
{
    memcpy(f->ap, row, sizeof f->ap);
    memcpy(f->recall_by_area, row + NND_AREA_COUNT, sizeof f->recall_by_area);
    memcpy(f->recall, row + 2 * NND_AREA_COUNT, sizeof f->recall);
    f->ap50 = row[FIGURES - 2];
    f->ap75 = row[FIGURES - 1];
}

nnd_status nnd_precision_figures_of_all(nnd_precision *p, nnd_precision_figures *out)
{
    double sums[FIGURES] = {0}, row[FIGURES];
    size_t counts[FIGURES] = {0};
    if (!p || !out)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "a measure and a result are needed");
    out->objects = 0;
    for (size_t c = 0; c < p->classes; c++) {
        nnd_precision_figures one;
        NND_TRY(nnd_precision_figures_of_class(p, c, &one));
        out->objects += one.objects;
        collect(&one, row);
        for (int i = 0; i < FIGURES; i++) {
            if (isnan(row[i])) continue;
            sums[i] += row[i];
            counts[i]++;
        }
    }
    for (int i = 0; i < FIGURES; i++)
        row[i] = counts[i] ? sums[i] / (double)counts[i] : NAN;
    spread(row, out);
    return NND_OK;
}
