/*
 * Searching the scores of detection heads in vectors, once for every instruction set. The including
 * file says how functions of its instruction set are called, SCAN(name), what `floats` is, how many
 * LANES it has, and what is done with it: load, every(v), times, higher (the larger of two, the
 * second where one is NaN), capped (into 0 … 1, NaN to 0), root, largest (lane), any_above(a, b)
 * and any_equal(a, b). The reference finds the place within the vector.
 */

size_t SCAN(nnd_first_above)(const float *src, size_t from, size_t count, const float *bound,
                             size_t period)
{
    size_t i = from, phase = from % period;
    while (i + LANES <= count && !any_above(load(src + i), load(bound + phase))) {
        i += LANES;
        phase += LANES;
        if (phase >= period) phase -= period;
    }
    return nnd_first_above_reference(src, i, count, bound, period);
}

size_t SCAN(nnd_first_mean_above)(const float *a, const float *b, size_t from, size_t count,
                                  float bound)
{
    const floats least = every(bound);
    size_t i = from;
    while (i + LANES <= count &&
           !any_above(root(times(capped(load(a + i)), capped(load(b + i)))), least))
        i += LANES;
    return nnd_first_mean_above_reference(a, b, i, count, bound);
}

/* The largest of at least LANES elements, −inf when all are NaN. */
static inline float top_of(const float *src, size_t count)
{
    floats top = every(-INFINITY);
    size_t i = 0;
    for (; i + LANES <= count; i += LANES)
        top = higher(load(src + i), top);
    /* Some are looked at twice. */
    return largest(i < count ? higher(load(src + count - LANES), top) : top);
}

size_t SCAN(nnd_first_product_above)(const float *cells, size_t step, size_t from, size_t count,
                                     float bound)
{
    const size_t classes = step - NND_CELL_CLASSES;
    if (classes < LANES) return nnd_first_product_above_reference(cells, step, from, count, bound);
    size_t i = from;
    for (; i < count; i++) {
        const float *cell = cells + i * step;
        if (cell[NND_CELL_OBJECT] * top_of(cell + NND_CELL_CLASSES, classes) > bound) break;
    }
    return i;
}

size_t SCAN(nnd_best_f32)(const float *src, size_t count)
{
    if (count < LANES) return nnd_best_f32_reference(src, count);
    const float top = top_of(src, count);
    size_t i = 0;
    while (i + LANES <= count && !any_equal(load(src + i), every(top)))
        i += LANES;
    while (i < count && src[i] != top)
        i++;
    return i;
}
