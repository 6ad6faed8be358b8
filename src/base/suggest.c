/* "Did you mean": edit distance with swaps of neighbours (optimal string alignment). */
#include "base/str.h"

#include <string.h>

enum { LONGEST = 64 };

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned least = a < b ? a : b;
    return least < c ? least : c;
}

unsigned nnd_str_distance(const char *a, const char *b, unsigned limit)
{
    size_t n = strlen(a), m = strlen(b);
    if (n > LONGEST || m > LONGEST || (n > m ? n - m : m - n) > limit) return limit + 1;
    unsigned rows[3][LONGEST + 1];
    unsigned *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= m; j++)
        above[j] = (unsigned)j;
    for (size_t i = 1; i <= n; i++) {
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            unsigned replace = above[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = min3(above[j] + 1, row[j - 1] + 1, replace);
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && before[j - 2] + 1 < row[j]) row[j] = before[j - 2] + 1;
        }
        unsigned *oldest = before;
        before = above;
        above = row;
        row = oldest;
    }
    return above[m] > limit ? limit + 1 : above[m];
}

void nnd_suggest_begin(nnd_suggest *s, const char *name)
{
    /* A third of the letters may be wrong, but never all of a short name. */
    size_t n = strlen(name);
    s->name = name;
    s->best = NULL;
    s->distance = n < 3 ? 1 : n < 6 ? 2 : (unsigned)(n > 12 ? 4 : n / 3);
}

void nnd_suggest_offer(nnd_suggest *s, const char *candidate)
{
    unsigned bound = s->best ? s->distance - 1 : s->distance;
    if (s->best && s->distance == 0) return;
    unsigned distance = nnd_str_distance(s->name, candidate, bound);
    if (distance > bound || distance >= strlen(candidate)) return;
    s->best = candidate;
    s->distance = distance;
}

const char *nnd_suggest_from(const char *name, const char *const *candidates, size_t count)
{
    nnd_suggest s;
    nnd_suggest_begin(&s, name);
    for (size_t i = 0; i < count; i++)
        nnd_suggest_offer(&s, candidates[i]);
    return s.best;
}
