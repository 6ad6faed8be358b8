/*
 * Channels and pixels in another order, in vectors of 16 bytes: once for every instruction set. The
 * including file says what `bytes_16` is and how it is loaded and stored (load_16, store_16),
 * picked from (pick_of, index 0x80 gives 0; from_window(p, index, n): of the n-th 16 bytes at p,
 * indices that are not of those give 0) and united (either).
 */

static inline void order_row(uint8_t *dst, const uint8_t *src, size_t count,
                             const nnd_channel_order *order)
{
    const size_t from = (size_t)order->from, to = (size_t)order->to;
    uint8_t pick[16], opaque[16];
    for (size_t i = 0; i < 16; i++) {
        const int channel = order->channel[i % to];
        const bool there = channel >= 0 && i / to < 4;
        pick[i] = (uint8_t)(there ? i / to * from + (size_t)channel : 0x80);
        opaque[i] = channel < 0 ? 255 : 0;
    }
    const bytes_16 picked = load_16(pick), added = load_16(opaque);
    /* Four pixels at a time, loads and stores of 16 bytes. */
    size_t i = 0;
    for (; (count - i) * from >= 16 && (count - i) * to >= 16; i += 4)
        store_16(dst + i * to, either(pick_of(load_16(src + i * from), picked), added));
    nnd_order_u8_reference(dst + i * to, src + i * from, count - i, order);
}

/* Pixels of up to 16 bytes, as many as 16 bytes hold at a time. */
static inline void reverse_row(uint8_t *dst, const uint8_t *src, size_t count, size_t bytes)
{
    const size_t pixels = 16 / bytes, unused = 16 - pixels * bytes;
    uint8_t pick[16];
    for (size_t i = 0; i < 16; i++) {
        const size_t pixel = i / bytes;
        pick[i] =
            (uint8_t)(pixel < pixels ? unused + (pixels - 1 - pixel) * bytes + i % bytes : 0x80);
    }
    const bytes_16 picked = load_16(pick);
    /* A load ends where its last pixel does; what it holds before its first one is not used. */
    size_t left = count;
    for (; left * bytes >= 16; left -= pixels, dst += pixels * bytes)
        store_16(dst, pick_of(load_16(src + left * bytes - 16), picked));
    nnd_reverse_u8_reference(dst, src, left, bytes);
}

/* ---- nearest --------------------------------------------------------------------------- */

/* What is left behind the whole blocks; a pixel that is cut by their end is written again. */
static void nearest_rest(uint8_t *dst, const uint8_t *src, const nnd_nearest_columns *columns)
{
    const size_t blocks = columns->windows ? columns->count * columns->bytes / 16 : 0;
    const size_t done = blocks * 16 / columns->bytes;
    nnd_nearest_columns rest = *columns;
    rest.start += done;
    rest.count -= done;
    nnd_nearest_reference(dst + done * columns->bytes, src, &rest);
}

#define NEAREST(n)                                                                                 \
    static void nearest_##n(uint8_t *dst, const uint8_t *src, const nnd_nearest_columns *columns)  \
    {                                                                                              \
        const size_t blocks = columns->count * columns->bytes / 16;                                \
        for (size_t k = 0; k < blocks; k++) {                                                      \
            const uint8_t *window = src + columns->window[k];                                      \
            const bytes_16 index = load_16(columns->index + 16 * k);                               \
            bytes_16 v = from_window(window, index, 0);                                            \
            for (int i = 1; i < (n); i++)                                                          \
                v = either(v, from_window(window, index, i));                                      \
            store_16(dst + 16 * k, v);                                                             \
        }                                                                                          \
    }
NEAREST(1)
NEAREST(2)
NEAREST(3)
NEAREST(4)

static inline void nearest_row(uint8_t *dst, const uint8_t *src, const nnd_nearest_columns *columns)
{
    if (columns->windows == 1)
        nearest_1(dst, src, columns);
    else if (columns->windows == 2)
        nearest_2(dst, src, columns);
    else if (columns->windows == 3)
        nearest_3(dst, src, columns);
    else if (columns->windows == 4)
        nearest_4(dst, src, columns);
    nearest_rest(dst, src, columns);
}
