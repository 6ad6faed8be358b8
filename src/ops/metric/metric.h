/*
 * How good results are: errors of texts, overlap of class masks, average precision of boxes.
 *
 * Each measure adds up pictures and gives figures over all of them; adding in another order may
 * change only which of two equally sure boxes counts first. Nothing here is shared between threads.
 */
#ifndef NND_OPS_METRIC_H
#define NND_OPS_METRIC_H

#include "nndeploy/ops.h"

/* ---- texts ------------------------------------------------------------------------------- */

/* Longest text that is compared, in characters: the work grows with the product of both. */
#define NND_METRIC_MAX_TEXT 65536

/* Errors are insertions + deletions + changes (Levenshtein). A character is a Unicode code point;
   words are what white space (ASCII) separates. */
typedef struct nnd_text_errors {
    uint64_t characters, character_errors; /* characters and words: those of the truth */
    uint64_t words, word_errors;
} nnd_text_errors;
/* Compares valid UTF-8. NND_E_FORMAT when it is none, NND_E_LIMIT beyond NND_METRIC_MAX_TEXT. */
nnd_status nnd_text_compare(const char *truth, size_t truth_size, const char *text, size_t size,
                            nnd_text_errors *out);

/* ---- class masks ------------------------------------------------------------------------- */

/* Pixels per class, of all pictures that were added. Zero-initialised; nnd_overlap_fini frees. */
typedef struct nnd_overlap_class {
    uint64_t both, truth, found; /* pixels that have the class in both, in the truth, as result */
} nnd_overlap_class;
typedef struct nnd_overlap {
    nnd_overlap_class *classes; /* by class, up to the highest that occurred */
    size_t count;
    uint64_t pixels, right; /* without those that are ignored */
} nnd_overlap;
/* truth: GRAY u8 or u16, a class per pixel; pixels of class `ignore` do not count (−1 = all do).
   found: of u8, u16, or alpha, which is class 1 from one half on. A mask of another size than the
   truth is looked up through its geometry, whose source must then have the truth's size
   (NND_E_SHAPE); where it does not reach, no class was found. */
nnd_status nnd_overlap_add(nnd_overlap *o, const nnd_image *truth, int ignore,
                           const nnd_mask *found);
void nnd_overlap_fini(nnd_overlap *o);
/* Intersection over union; NAN for a class that occurs on neither side. */
double nnd_overlap_iou(const nnd_overlap_class *c);
/* Mean over the classes that occur; NAN when none does. */
double nnd_overlap_mean(const nnd_overlap *o);

/* ---- boxes ------------------------------------------------------------------------------- */

typedef struct nnd_truth_box {
    double x1, y1, x2, y2;
    double area;      /* of the object's outline, for its size; 0 = that of the box */
    int32_t class_id; /* 0 … classes − 1 */
    bool crowd;       /* stands for many objects: any number of boxes inside it is no error */
    bool ignore;      /* finding it is as good as missing it */
} nnd_truth_box;
typedef struct nnd_found_box {
    double x1, y1, x2, y2;
    float score; /* not NAN */
    int32_t class_id;
} nnd_found_box;

/* Average precision by the rules of the COCO evaluation: ten thresholds of overlap 0.50 … 0.95,
   precision at 101 points of recall, at most 100 boxes per picture and class, the best first. */
typedef struct nnd_precision nnd_precision;
/* NND_E_LIMIT for more than 65536 classes. */
nnd_status nnd_precision_create(size_t classes, nnd_precision **out);
void nnd_precision_destroy(nnd_precision *p); /* takes NULL */
/* One picture. Boxes of other classes are left out. NND_E_INVALID_ARGUMENT for numbers that are
   not finite. */
nnd_status nnd_precision_add(nnd_precision *p, const nnd_truth_box *truth, size_t truth_count,
                             const nnd_found_box *found, size_t found_count);

enum { NND_AREA_ALL = 0, NND_AREA_SMALL, NND_AREA_MEDIUM, NND_AREA_LARGE, NND_AREA_COUNT };
enum { NND_RECALL_1 = 0, NND_RECALL_10, NND_RECALL_100, NND_RECALL_COUNT };
/* Means over the classes that have objects; NAN where none has. Areas: below 32², up to 96², above,
   in square pixels. */
typedef struct nnd_precision_figures {
    double ap[NND_AREA_COUNT];             /* mean over the thresholds */
    double ap50, ap75;                     /* at one threshold, all areas */
    double recall[NND_RECALL_COUNT];       /* with at most 1, 10, 100 boxes; all areas */
    double recall_by_area[NND_AREA_COUNT]; /* with at most 100 */
    uint64_t objects;                      /* of the truth, without crowds and ignored ones */
} nnd_precision_figures;
nnd_status nnd_precision_figures_of_class(nnd_precision *p, size_t class_id,
                                          nnd_precision_figures *out);
nnd_status nnd_precision_figures_of_all(nnd_precision *p, nnd_precision_figures *out);

#endif
