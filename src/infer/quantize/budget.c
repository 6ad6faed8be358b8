/*
 * An error that the outputs may have, and the layers that stay float for it. How much harm a layer
 * does is measured with that layer alone as integers; the most harmful ones stay float, as few of
 * them as it takes.
 */
#include "infer/quantize/internal.h"

#include <math.h>
#include <stdlib.h>

typedef struct harm {
    size_t node;
    double sqnr;      /* of the outputs, with only this layer as integers */
    const char *text; /* the same as a reason */
} harm;

typedef struct budget {
    nnd_quantize *q;
    harm *layers; /* worst first */
    size_t count;
} budget;

static int by_harm(const void *a, const void *b)
{
    const harm *x = a, *y = b;
    if (x->sqnr != y->sqnr) return x->sqnr < y->sqnr ? -1 : 1;
    return x->node < y->node ? -1 : x->node > y->node;
}

/* The first `kept` layers stay float. */
static void choose(const budget *b, size_t kept)
{
    for (size_t i = 0; i < b->count; i++)
        b->q->why[b->layers[i].node] = i < kept ? b->layers[i].text : NULL;
}

static nnd_status try_kept(const budget *b, size_t kept, double *sqnr)
{
    choose(b, kept);
    NND_TRY(quant_build(b->q));
    return quant_score(b->q, sqnr);
}

static nnd_status measure_alone(const budget *b, harm *layer)
{
    nnd_quantize *q = b->q;
    choose(b, b->count);
    q->why[layer->node] = NULL;
    NND_TRY(quant_build(q));
    NND_TRY(quant_score(q, &layer->sqnr));
    char *text = nnd_strf("alone it takes the outputs to %.1f dB", layer->sqnr);
    layer->text = text ? nnd_arena_strdup(&q->arena, text) : NULL;
    nnd_free(text);
    return layer->text ? NND_OK : quant_no_memory();
}

static nnd_status rank(budget *b)
{
    nnd_quantize *q = b->q;
    const size_t count = q->layers.count;
    b->layers = nnd_arena_calloc(&q->arena, count, sizeof *b->layers);
    if (!b->layers) return quant_no_memory();
    b->count = count;
    for (size_t i = 0; i < count; i++)
        b->layers[i] = (harm){.node = q->layers.items[i].node, .text = "it is measured later"};
    for (size_t i = 0; i < count; i++)
        NND_TRY(measure_alone(b, &b->layers[i]));
    qsort(b->layers, count, sizeof *b->layers, by_harm);
    return NND_OK;
}

/* The fewest layers with which the outputs keep what is wanted, supposed that more never do harm;
   count when there are none. */
static nnd_status search(const budget *b, size_t *kept)
{
    size_t low = 1, high = b->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        double sqnr;
        NND_TRY(try_kept(b, middle, &sqnr));
        if (sqnr >= b->q->options.least_sqnr)
            high = middle;
        else
            low = middle + 1;
    }
    *kept = high;
    return NND_OK;
}

/* Biases are corrected for the layers that are left, which may take a few more of them away. */
static nnd_status settle(const budget *b, size_t kept)
{
    nnd_quantize *q = b->q;
    double sqnr = -INFINITY;
    for (; kept < b->count; kept += 1 + kept / 8) {
        choose(b, kept);
        NND_TRY(quant_build(q));
        if (q->options.correct_bias) NND_TRY(quant_correct_bias(q));
        NND_TRY(quant_score(q, &sqnr));
        if (sqnr >= q->options.least_sqnr) return NND_OK;
    }
    return nnd_error_set(NND_E_LIMIT,
                         "with a single layer of integers the outputs are at %.1f dB already, and "
                         "%.1f are wanted: ask for less, or keep the weights as f16",
                         b->layers[b->count - 1].sqnr, q->options.least_sqnr);
}

nnd_status quant_hold_budget(nnd_quantize *q)
{
    budget b = {.q = q};
    double sqnr;
    size_t kept;
    if (!q->checks.count)
        return nnd_error_set(NND_E_STATE, "no sample measures the errors that are to be kept");
    NND_TRY(quant_score(q, &sqnr));
    if (sqnr >= q->options.least_sqnr) return NND_OK;
    NND_TRY(rank(&b));
    NND_TRY(search(&b, &kept));
    return settle(&b, kept);
}
