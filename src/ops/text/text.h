/*
 * Reading printed text: finding lines, cutting them out for a network, spelling out what it says.
 */
#ifndef NND_OPS_TEXT_H
#define NND_OPS_TEXT_H

#include "nndeploy/ops.h"

/* Lines of printed text among the components of an ink mask: letters that follow each other at one
   height, with the dots, commas and hyphens around them. The rules and what each option means stand
   in tools/train/ocr/README.md, sections 3 to 5. */
typedef struct nnd_text_line {
    double x0, y0, x1, y1; /* half-open box of its ink after the slope was taken out, px */
    double slope;          /* how far the line falls per column; turns about the box's middle */
} nnd_text_line;
typedef struct nnd_text_lines_options {
    size_t size;                               /* = sizeof(nnd_text_lines_options) */
    int min_area, min_height, max_height;      /* px */
    double max_aspect, min_fill;               /* of components */
    double small, mark_reach, small_line;      /* of marks */
    double line_overlap, line_ratio, line_gap; /* of neighbours in a line */
    int slope_letters;
    double flat;
    int min_line_height; /* px */
    int max_components;  /* more that could be letters is NND_E_LIMIT */
    const nnd_cancel *cancel;
} nnd_text_lines_options;
#define NND_TEXT_LINES_OPTIONS_INIT                                                                \
    {                                                                                              \
        sizeof(nnd_text_lines_options), 4, 6, 160, 12.0, 0.06, 0.45, 0.45, 0.62, 0.45, 3.2, 2.2,   \
            6, 0.15, 8, 20000, NULL                                                                \
    }
/* In reading order; the list is allocated, the caller frees it with nnd_free. */
nnd_status nnd_text_find_lines(const nnd_component *components, size_t count,
                               const nnd_text_lines_options *options, nnd_text_line **lines,
                               size_t *line_count);
/* The input of a line reader (sections 6 and 7 there): a new f32[1,1,32,W] with the line brought to
   32 rows, mean 0 and deviation 1, ink positive. `gray` is a GRAY u8 image. W over max_width is
   NND_E_LIMIT. */
nnd_status nnd_text_line_to_tensor(const nnd_image *gray, const nnd_text_line *line,
                                   int64_t max_width, nnd_value **out_tensor);
/* The same of a picture that shows one level line and a margin around it: an eighth of the ink's
   height above and below, a quarter at the sides, is what readers are used to. A picture of 32 rows
   and a multiple of 4 columns is taken pixel by pixel. */
nnd_status nnd_text_picture_to_tensor(const nnd_image *gray, int64_t max_width,
                                      nnd_value **out_tensor);
/* Reads the logits f32[T,C] or f32[1,T,C] of a CTC network (section 9): per frame the best class,
   runs of one class once, class `blank` never. The result is one class score: its label is the text
   without blanks at its ends, its score the mean probability of its characters, 0 for no text.
   labels: C UTF-8 texts, one per class. */
nnd_status nnd_ctc_greedy(const nnd_tensor *logits, int blank, const char *const *labels,
                          size_t label_count, nnd_value **out_classes);

#endif
