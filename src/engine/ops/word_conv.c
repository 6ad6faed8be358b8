/*
 * com.microsoft's WordConvEmbedding: words of characters become vectors. The characters' vectors go
 * through a convolution and tanh, of whose results the largest one of each filter counts.
 */
#include <math.h>
#include <string.h>

#include "engine/ops/op.h"

enum { WORDS, FILTERS, BIAS, CHARACTERS };

typedef struct job {
    const nnd_op_ctx *c;
    int64_t letters, filters, window, size, known; /* known: rows of the characters' table */
} job;

static nnd_status check_attribute(const nnd_op_ctx *c, const char *name, int64_t want)
{
    const int64_t value = nnd_node_int(c->node, name, want);
    if (value == want) return NND_OK;
    return nnd_op_fail(c, NND_E_SHAPE, "%s is %lld, the weights have %lld", name, (long long)value,
                       (long long)want);
}

static nnd_status read_job(const nnd_op_ctx *c, job *j)
{
    NND_TRY(nnd_op_expect(c, WORDS, 1u << NND_I32));
    for (size_t i = FILTERS; i <= CHARACTERS; i++)
        NND_TRY(nnd_op_expect(c, i, 1u << NND_F32));
    const nnd_tensor *words = c->in[WORDS], *w = c->in[FILTERS], *table = c->in[CHARACTERS];
    if (words->rank != 2 || w->rank != 4 || w->dims[1] != 1 || table->rank != 2 ||
        w->dims[3] != table->dims[1] || nnd_tensor_count(c->in[BIAS]) != w->dims[0])
        return nnd_op_fail(c, NND_E_SHAPE, "words, filters and characters do not fit each other");
    *j = (job){.c = c,
               .letters = words->dims[1],
               .filters = w->dims[0],
               .window = w->dims[2],
               .size = w->dims[3],
               .known = table->dims[0]};
    NND_TRY(check_attribute(c, "embedding_size", j->filters));
    NND_TRY(check_attribute(c, "conv_window_size", j->window));
    NND_TRY(check_attribute(c, "char_embedding_size", j->size));
    if (j->window >= 1 && j->window <= j->letters) return NND_OK;
    return nnd_op_fail(c, NND_E_SHAPE, "a window of %lld characters does not fit words of %lld",
                       (long long)j->window, (long long)j->letters);
}

static nnd_status infer(nnd_op_ctx *c)
{
    job j;
    NND_TRY(read_job(c, &j));
    const int64_t dims[2] = {c->in[WORDS]->dims[0], j.filters};
    return nnd_op_output(c, 0, NND_F32, 2, dims);
}

/* One filter at one place of a word. */
static float product(const job *j, const int32_t *letters, int64_t filter)
{
    const float *w = (const float *)j->c->in[FILTERS]->data + filter * j->window * j->size;
    const float *table = j->c->in[CHARACTERS]->data;
    double sum = (double)((const float *)j->c->in[BIAS]->data)[filter];
    for (int64_t i = 0; i < j->window; i++)
        for (int64_t k = 0; k < j->size; k++)
            sum += (double)w[i * j->size + k] * (double)table[letters[i] * j->size + k];
    return (float)tanh(sum);
}

/* A word without a first character is 0; else as many places as it has characters, and one at
   least. */
static nnd_status word(void *user, size_t index, int lane)
{
    const job *j = user;
    const int32_t *letters = (const int32_t *)j->c->in[WORDS]->data + index * (size_t)j->letters;
    float *y = (float *)j->c->out[0].data + index * (size_t)j->filters;
    int64_t count = 0;
    (void)lane;
    memset(y, 0, (size_t)j->filters * sizeof(*y));
    if (letters[0] == 0) return NND_OK;
    for (int64_t i = 0; i < j->letters; i++) {
        if (letters[i] < 0 || letters[i] >= j->known)
            return nnd_op_fail(j->c, NND_E_FORMAT, "character %d is outside of a table of %lld",
                               (int)letters[i], (long long)j->known);
        count += letters[i] > 0;
    }
    for (int64_t f = 0; f < j->filters; f++) {
        y[f] = product(j, letters, f);
        for (int64_t at = 1; at + j->window <= count; at++) {
            const float v = product(j, letters + at, f);
            y[f] = v > y[f] ? v : y[f];
        }
    }
    return NND_OK;
}

static nnd_status run(nnd_op_ctx *c)
{
    job j;
    NND_TRY(read_job(c, &j));
    if (nnd_tensor_count(&c->out[0]) == 0) return NND_OK;
    return nnd_op_for(c, (size_t)c->in[WORDS]->dims[0], word, &j);
}

static double flops(const nnd_op_ctx *c)
{
    job j;
    if (read_job(c, &j) != NND_OK) return 0;
    return 2.0 * (double)nnd_tensor_count(&c->out[0]) * (double)(j.letters - j.window + 1) *
           (double)(j.window * j.size);
}

static const nnd_op ops[] = {
    {"com.microsoft", "WordConvEmbedding", 1, 0, 4, 4, 1, 1, 0, infer, run, .flops = flops},
};
const nnd_op_family nnd_ops_word_conv = {ops, NND_COUNT(ops)};
