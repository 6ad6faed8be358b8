/* Errors of a text against the truth: edit distance over characters and over words. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/vec.h"
#include "ops/metric/metric.h"

/* Words become numbers, so that one routine compares characters and words. */
typedef NND_VEC(uint32_t) symbols;

static nnd_status no_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for comparing texts");
}

static nnd_status characters_of(const char *text, size_t size, symbols *out)
{
    if (!nnd_utf8_valid(text, size))
        return nnd_error_set(NND_E_FORMAT, "a text is not valid UTF-8");
    if (!nnd_vec_reserve(out, size < NND_METRIC_MAX_TEXT ? size + 1 : NND_METRIC_MAX_TEXT))
        return no_memory();
    for (size_t at = 0, used = 0; at < size; at += used) {
        if (out->count == NND_METRIC_MAX_TEXT)
            return nnd_error_set(NND_E_LIMIT, "a text is longer than %d characters",
                                 NND_METRIC_MAX_TEXT);
        out->items[out->count++] = nnd_utf8_decode(text + at, size - at, &used);
    }
    return NND_OK;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

typedef struct word {
    const char *text;
    size_t size;
    size_t index; /* where it stands in both texts together */
} word;
typedef NND_VEC(word) words;

static nnd_status split(const char *text, size_t size, words *out)
{
    for (size_t at = 0; at < size;) {
        const size_t begin = at;
        while (at < size && !is_space(text[at]))
            at++;
        const word found = {text + begin, at - begin, out->count};
        if (found.size && !nnd_vec_push(out, found)) return no_memory();
        while (at < size && is_space(text[at]))
            at++;
    }
    return NND_OK;
}

static int compare_words(const void *a, const void *b)
{
    const word *x = a, *y = b;
    const int order = memcmp(x->text, y->text, x->size < y->size ? x->size : y->size);
    return order ? order : (x->size > y->size) - (x->size < y->size);
}

/* Equal words get equal numbers. `all` is sorted by it. */
static void number_words(words *all, uint32_t *numbers)
{
    uint32_t number = 0;
    qsort(all->items, all->count, sizeof *all->items, compare_words);
    for (size_t i = 0; i < all->count; i++) {
        if (i && compare_words(&all->items[i - 1], &all->items[i]) != 0) number++;
        numbers[all->items[i].index] = number;
    }
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The edit distance, with one row of the table. */
static nnd_status distance(const uint32_t *a, size_t n, const uint32_t *b, size_t m, uint64_t *out)
{
    while (n && m && a[0] == b[0])
        a++, b++, n--, m--;
    while (n && m && a[n - 1] == b[m - 1])
        n--, m--;
    size_t *row = nnd_calloc(m + 1, sizeof *row);
    if (!row) return no_memory();
    for (size_t j = 0; j <= m; j++)
        row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t corner = row[0]; /* row above, one to the left */
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            const size_t changed = corner + (a[i - 1] != b[j - 1]);
            corner = row[j];
            row[j] = least(changed, least(corner, row[j - 1]) + 1);
        }
    }
    *out = row[m];
    nnd_free(row);
    return NND_OK;
}

static nnd_status compare_by_character(const char *truth, size_t truth_size, const char *text,
                                       size_t size, nnd_text_errors *out)
{
    symbols a = {0}, b = {0};
    nnd_status status = characters_of(truth, truth_size, &a);
    if (status == NND_OK) status = characters_of(text, size, &b);
    if (status == NND_OK)
        status = distance(a.items, a.count, b.items, b.count, &out->character_errors);
    out->characters = a.count;
    nnd_vec_free(&a);
    nnd_vec_free(&b);
    return status;
}

static nnd_status compare_by_word(const char *truth, size_t truth_size, const char *text,
                                  size_t size, nnd_text_errors *out)
{
    words all = {0};
    uint32_t *numbers = NULL;
    nnd_status status = split(truth, truth_size, &all);
    const size_t n = all.count;
    if (status == NND_OK) status = split(text, size, &all);
    if (status == NND_OK) {
        numbers = nnd_calloc(all.count + 1, sizeof *numbers);
        status = numbers ? NND_OK : no_memory();
    }
    if (status == NND_OK) {
        if (all.count) number_words(&all, numbers);
        status = distance(numbers, n, numbers + n, all.count - n, &out->word_errors);
    }
    out->words = n;
    nnd_free(numbers);
    nnd_vec_free(&all);
    return status;
}

nnd_status nnd_text_compare(const char *truth, size_t truth_size, const char *text, size_t size,
                            nnd_text_errors *out)
{
    nnd_text_errors errors = {0};
    if (!truth || !text || !out)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "two texts and a result are needed");
    NND_TRY(compare_by_character(truth, truth_size, text, size, &errors));
    NND_TRY(compare_by_word(truth, truth_size, text, size, &errors));
    *out = errors;
    return NND_OK;
}
