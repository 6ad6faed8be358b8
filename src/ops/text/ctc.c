/*
 * Greedy reading of a CTC network's output (Graves et al. 2006): tools/train/ocr/README.md,
 * section 9.
 */
#include <math.h>
#include <string.h>

#include "base/str.h"
#include "ops/ops_common.h"
#include "ops/text/text.h"

typedef struct reading {
    nnd_str text;
    double sum, peak; /* of the peaks of the characters that ended; of the one that goes on */
    int64_t characters;
} reading;

static int64_t best_class(const float *logits, int64_t count)
{
    int64_t best = 0;
    for (int64_t k = 1; k < count; k++)
        if (logits[k] > logits[best]) best = k;
    return best;
}

static double probability(const float *logits, int64_t count, int64_t k)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += exp((double)logits[i] - logits[k]);
    return 1 / sum;
}

static void read_frames(reading *r, const float *logits, int64_t frames, int64_t classes, int blank,
                        const char *const *labels)
{
    int64_t before = blank;
    for (int64_t t = 0; t < frames; t++, logits += classes) {
        const int64_t k = best_class(logits, classes);
        if (k != blank) {
            const double now = probability(logits, classes, k);
            if (k != before) {
                r->sum += r->peak;
                r->peak = 0;
                r->characters++;
                nnd_str_add(&r->text, labels[k]);
            }
            r->peak = fmax(r->peak, now);
        }
        before = k;
    }
    r->sum += r->peak;
}

static nnd_status check(const nnd_tensor *t, int blank, size_t label_count)
{
    char have[96];
    const bool fits = t->dtype == NND_F32 && nnd_tensor_is_dense(t) &&
                      (t->rank == 2 || (t->rank == 3 && t->dims[0] == 1)) &&
                      t->dims[t->rank - 1] > 0;
    if (!fits)
        return nnd_error_set(NND_E_SHAPE, "logits are %s, expected dense f32[T,C] or f32[1,T,C]",
                             nnd_tensor_describe(t, have, sizeof have));
    if (!t->data && t->dims[t->rank - 2] > 0)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "logits are not in host memory");
    const int64_t classes = t->dims[t->rank - 1];
    if ((uint64_t)classes != label_count || blank < 0 || blank >= classes)
        return nnd_error_set(NND_E_SHAPE,
                             "there are %lld classes, %zu labels, and class %d is the blank: the "
                             "labels must be those of the model",
                             (long long)classes, label_count, blank);
    return NND_OK;
}

/* The text without blanks at its ends. */
static nnd_status to_classes(const reading *r, nnd_value **out)
{
    char *text = r->text.data;
    size_t size = r->text.size;
    while (size && text[size - 1] == ' ')
        text[--size] = '\0';
    const double score = r->characters ? r->sum / (double)r->characters : 0;
    NND_TRY(nnd_value_new_classes(1, out));
    nnd_status status = nnd_value_set_class(*out, 0, 0, (float)score, text + strspn(text, " "));
    if (status != NND_OK) nnd_value_unref(*out);
    return status;
}

nnd_status nnd_ctc_greedy(const nnd_tensor *logits, int blank, const char *const *labels,
                          size_t label_count, nnd_value **out_classes)
{
    if (!logits || !labels || !out_classes)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "logits, labels or a result is missing");
    NND_TRY(check(logits, blank, label_count));
    const int64_t classes = logits->dims[logits->rank - 1];
    reading r = {0};
    nnd_value *value = NULL;
    nnd_str_add(&r.text, "");
    read_frames(&r, logits->data, logits->dims[logits->rank - 2], classes, blank, labels);
    nnd_status status = r.text.failed ? nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a text")
                                      : to_classes(&r, &value);
    nnd_str_free(&r.text);
    if (status == NND_OK) *out_classes = value;
    return status;
}
