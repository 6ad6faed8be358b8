/*
 * eval: how good a workflow's results are on a folder of pictures whose truth is known.
 *
 * Sections: 1 data set · 2 measures · 3 the whole
 *
 * A data set is a list of samples, each a picture and where its truth stands. What cannot be
 * measured — a damaged picture, a missing file — stays in the list with its problem, so that it is
 * named and counted. A measure turns results into figures. Other commands that want to know what a
 * change costs (quantisation) call section 3.
 */
#ifndef NND_CLI_EVAL_H
#define NND_CLI_EVAL_H

#include "base/map.h"
#include "base/vec.h"
#include "cli/session.h"
#include "cli/values.h"
#include "ops/metric/metric.h"

/* ---- 1 data set -------------------------------------------------------------------------- */

typedef struct eval_sample {
    char *name;          /* of the picture, or of the lonely truth, below the data set's folder */
    char *truth;         /* path of the file with its truth; NULL = it is known already */
    int32_t class_index; /* top1 */
    size_t box, boxes;   /* map: its objects among those of the data set */
    char *problem;       /* why it cannot be measured; NULL = nothing is known against it */
} eval_sample;

typedef struct eval_names {
    char **items;
    size_t count;
} eval_names;

typedef struct eval_dataset {
    const char *folder;
    NND_VEC(eval_sample) samples;
    NND_VEC(char *) classes; /* their names; top1 and map count by the index in it */
    nnd_map class_index;     /* name → index + 1 */
    bool by_number;          /* the index is the class id of the results */
    eval_names labels;       /* names of the results' class ids, of --labels; may be empty */
    NND_VEC(nnd_truth_box) boxes;
    bool relative; /* boxes are in units of the picture's sides */
} eval_dataset;

/* Finds the samples of a folder; `truth` names a file with the truth of all samples, NULL = where
   each layout has it. NND_E_NOT_FOUND, NND_E_FORMAT with file and line. */
nnd_status eval_scan_classes(eval_dataset *d, const char *truth);
nnd_status eval_scan_boxes(eval_dataset *d, const char *truth);
nnd_status eval_scan_texts(eval_dataset *d, const char *truth);
nnd_status eval_scan_masks(eval_dataset *d, const char *truth);
void eval_dataset_fini(eval_dataset *d);

/* The index of a result's class, −1 when the data set does not know it. By the name in --labels,
   else by the result's own label, else by number. */
int32_t eval_class_of(const eval_dataset *d, int32_t class_id, const char *label);

/* What the scanners share. Samples and names take over what they are given. */
nnd_status eval_add_sample(eval_dataset *d, char *name, char *truth, eval_sample **out);
/* Says why a sample cannot be measured; the first reason stays. */
nnd_status eval_set_problem(eval_sample *s, const char *format, ...) NND_PRINTF(2, 3);
/* Index of a class, which is added when it is new. */
nnd_status eval_add_class(eval_dataset *d, const char *name, size_t size, int32_t *out);
/* When all classes are numbers, the numbers become the indices; else they are sorted by name.
   Indices in samples and boxes follow. */
nnd_status eval_settle_classes(eval_dataset *d);
/* Pairs pictures and files with their truth: in two folders of these names, else in one folder,
   where `flat` is the end of the truth's name. */
nnd_status eval_pair(eval_dataset *d, const char *const folders[][2], size_t folder_count,
                     const char *suffix, const char *flat, const char *except);
/* The next line of a text and its place; false behind the last. Ends without "\r". */
typedef struct eval_lines {
    const char *text, *end;
    uint32_t number;
} eval_lines;
bool eval_next_line(eval_lines *lines, const char **line, size_t *size);
/* The lines of a file of names; nnd_free each and the list. */
nnd_status eval_read_names(const char *path, eval_names *out);
void eval_names_free(eval_names *names);

/* ---- 2 measures -------------------------------------------------------------------------- */

typedef struct eval_figure {
    const char *name;
    double value;  /* NAN = there is none */
    bool is_count; /* a whole number */
} eval_figure;

typedef struct eval_row { /* of a class */
    char *name;
    uint64_t count;
    double values[2]; /* NAN = none */
} eval_row;

typedef struct eval_class_count {
    uint64_t count, right;
} eval_class_count;

typedef struct eval eval;
typedef struct eval_measure {
    const char *name;       /* "top1" */
    const char *results[2]; /* types of results that it takes */
    const char *row_heads[3];
    nnd_status (*scan)(eval_dataset *d, const char *truth);
    nnd_status (*begin)(eval *e); /* the data set is known; may be NULL */
    /* One result; details go into the open JSON object of w (NULL = not wanted). A failure is that
       of the sample. */
    nnd_status (*add)(eval *e, const eval_sample *s, const nnd_value *result, int width, int height,
                      nnd_json_writer *w);
    nnd_status (*end)(eval *e); /* fills figures and rows */
} eval_measure;

/* By name; NULL when there is none. */
const eval_measure *eval_measure_find(const char *name);

/* ---- 3 the whole ------------------------------------------------------------------------- */

typedef struct eval_options {
    const eval_measure *measure;
    const char *dataset;        /* folder */
    const char *truth;          /* file; NULL = where the layout has it */
    const char *labels;         /* file with the names of class ids; may be NULL */
    const char *image, *result; /* input and output of the workflow; NULL = the first that fits */
    size_t limit;               /* 0 = all samples, else this many, evenly spread */
    int ignore;                 /* iou: class that does not count, −1 = all do */
    bool details;               /* keep a line of JSON per sample */
} eval_options;

struct eval {
    eval_options options;
    eval_dataset dataset;
    size_t *chosen; /* samples that were tried */
    size_t chosen_count;
    size_t measured; /* of these, the ones that the figures are of */
    nnd_str details; /* JSON Lines */
    NND_VEC(eval_figure) figures;
    NND_VEC(eval_row) rows;
    double milliseconds;
    char *example; /* a label of the results that is no class of the data set */
    bool any_known;
    /* sums of the measures */
    NND_VEC(eval_class_count) classes;
    uint64_t right, right5;
    size_t least; /* classes in the shortest result */
    nnd_text_errors errors;
    uint64_t exact;
    nnd_overlap overlap;
    nnd_precision *precision;
};

/* Scans the data set. Call eval_fini in any case. */
nnd_status eval_open(eval *e, const eval_options *options);
/* The input that takes the pictures: the one that is wanted, else the first of type image; NULL
   with an error when there is none. Borrowed from the workflow. */
const char *eval_image_input(const nnd_workflow *wf, const char *wanted);
/* Runs the compiled workflow over the samples and works out the figures. `inputs` has the values of
   the other inputs, the same for all samples; NULL when there are none. A sample that cannot be
   measured is no failure, its problem stands in the data set; that none can is one. c->running is
   set while the workflow works. */
nnd_status eval_run(eval *e, cli_session *s, cli_inputs *inputs, nnd_cancel *cancel);
/* Samples that were tried and have a problem. */
size_t eval_broken(const eval *e);
void eval_fini(eval *e);

#endif
