/*
 * Colour spaces in vectors, one pixel per 32-bit lane: the arithmetic once for every instruction
 * set. The including file says what `ints` and `floats` are, how many lanes they have (LANES) and
 * what is done with them:
 *
 *   load_3, load_4, store_3, store_4  pixels of 3 or 4 bytes ↔ lanes, the first byte lowest; what
 *                                     lies behind the pixels is neither read nor written, the
 *                                     fourth byte of load_3 is 0
 *   each(v), plus, minus, smaller, larger, both_bits, either_bits, shift_up(v, n), shift_down(v, n)
 *   times(a, b)                       of a in int16 and b in 0 … 32767
 *   if_equal(a, b, yes, no), if_less(a, b, yes, no)
 *   quotient(a, b)                    a / b in f32, rounded to even
 *
 * and gives the kernels their names with SPACE_KERNELS(isa).
 */

typedef struct lane_pixels {
    ints first, second, third;
} lane_pixels;

static inline lane_pixels load_pixels(const uint8_t *p, int channels, bool swapped)
{
    const ints word = channels == 3 ? load_3(p) : load_4(p), byte = each(255);
    const ints low = both_bits(word, byte), middle = both_bits(shift_down(word, 8), byte),
               high = both_bits(shift_down(word, 16), byte);
    return (lane_pixels){swapped ? high : low, middle, swapped ? low : high};
}

/* Levels from 0 to 255. */
static inline void store_pixels(uint8_t *p, lane_pixels v, int channels, bool swapped)
{
    const ints low = swapped ? v.third : v.first, high = swapped ? v.first : v.third;
    const ints word = either_bits(low, either_bits(shift_up(v.second, 8), shift_up(high, 16)));
    if (channels == 3)
        store_3(p, word);
    else
        store_4(p, either_bits(word, each((int)0xff000000u)));
}

static inline ints clamp_level(ints v)
{
    return smaller(larger(v, each(0)), each(255));
}

/* ---- HSV ------------------------------------------------------------------------------- */

static inline lane_pixels hsv_of_rgb(lane_pixels p)
{
    const ints r = p.first, g = p.second, b = p.third, one = each(1);
    const ints max = larger(larger(r, g), b), range = minus(max, smaller(smaller(r, g), b));
    const ints base = if_equal(max, r, each(0), if_equal(max, g, each(60), each(120)));
    const ints difference =
        if_equal(max, r, minus(g, b), if_equal(max, g, minus(b, r), minus(r, g)));
    const ints hue = plus(base, quotient(times(difference, each(30)), larger(range, one)));
    return (lane_pixels){if_less(hue, each(0), plus(hue, each(180)), hue),
                         quotient(times(range, each(255)), larger(max, one)), max};
}

static inline ints level_at(ints place, ints max, ints between, ints min)
{
    const ints distance = smaller(place, minus(each(5), place));
    return if_equal(distance, each(0), max, if_equal(distance, each(1), between, min));
}

/* place + turn, of six sectors. */
static inline ints turned(ints place, int turn)
{
    const ints there = plus(place, each(turn));
    return if_less(there, each(6), there, minus(there, each(6)));
}

static inline lane_pixels rgb_of_hsv(lane_pixels p)
{
    const ints turn = each(180), scale = each(7650), thirty = each(30), max = p.third;
    const ints hue = if_less(p.first, turn, p.first, minus(p.first, turn));
    const ints sector = shift_down(times(hue, each(2185)), 16); /* a 30th, of less than 180 */
    const ints rest = minus(hue, times(sector, thirty));
    const ints odd = both_bits(sector, each(1));
    const ints share = if_equal(odd, each(1), rest, minus(thirty, rest));
    const ints between = quotient(times(max, minus(scale, times(p.second, share))), scale);
    const ints min = quotient(times(max, minus(scale, times(p.second, thirty))), scale);
    return (lane_pixels){level_at(sector, max, between, min),
                         level_at(turned(sector, 4), max, between, min),
                         level_at(turned(sector, 2), max, between, min)};
}

/* ---- YCrCb ----------------------------------------------------------------------------- */

static inline ints from_q14(ints v)
{
    return shift_down(plus(v, each(8192)), 14);
}

static inline lane_pixels ycrcb_of_rgb(lane_pixels p)
{
    const ints y = from_q14(plus(plus(times(p.first, each(4899)), times(p.second, each(9617))),
                                 times(p.third, each(1868))));
    const ints cr = from_q14(times(minus(p.first, y), each(11682))),
               cb = from_q14(times(minus(p.third, y), each(9241)));
    return (lane_pixels){y, clamp_level(plus(cr, each(128))), clamp_level(plus(cb, each(128)))};
}

static inline lane_pixels rgb_of_ycrcb(lane_pixels p)
{
    const ints y = p.first, cr = minus(p.second, each(128)), cb = minus(p.third, each(128));
    const ints less = plus(times(cr, each(11698)), times(cb, each(5636)));
    return (lane_pixels){clamp_level(plus(y, from_q14(times(cr, each(22987))))),
                         clamp_level(plus(y, from_q14(minus(each(0), less)))),
                         clamp_level(plus(y, from_q14(times(cb, each(29049)))))};
}

/* ---- rows ------------------------------------------------------------------------------ */

#define SPACE_KERNEL(name, convert, from, to, from_bgr, to_bgr, isa)                               \
    void nnd_##name##_u8_##isa(uint8_t *dst, const uint8_t *src, size_t count, int channels,       \
                               bool bgr)                                                           \
    {                                                                                              \
        const size_t read = (size_t)(from), written = (size_t)(to);                                \
        size_t i = 0;                                                                              \
        for (; i + LANES <= count; i += LANES)                                                     \
            store_pixels(dst + written * i, convert(load_pixels(src + read * i, from, from_bgr)),  \
                         to, to_bgr);                                                              \
        nnd_##name##_u8_reference(dst + written * i, src + read * i, count - i, channels, bgr);    \
    }
#define SPACE_KERNELS(isa)                                                                         \
    SPACE_KERNEL(rgb_to_hsv, hsv_of_rgb, channels, 3, bgr, false, isa)                             \
    SPACE_KERNEL(hsv_to_rgb, rgb_of_hsv, 3, channels, false, bgr, isa)                             \
    SPACE_KERNEL(rgb_to_ycrcb, ycrcb_of_rgb, channels, 3, bgr, false, isa)                         \
    SPACE_KERNEL(ycrcb_to_rgb, rgb_of_ycrcb, 3, channels, false, bgr, isa)
