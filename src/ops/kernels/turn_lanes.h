/*
 * Rows that become columns, in vectors of 16 bytes: the shape once for every instruction set. The
 * including file says what `bytes_16` is and how it is loaded and stored (load_16, store_16,
 * load_12, store_12: so many bytes, not more), picked from (pick_of) and interleaved with another
 * one by elements of 8 to 64 bits (low_8, high_8, …: of their lower and upper halves).
 *
 * A square of n × n elements is transposed in log2(n) rounds, each of which interleaves row i with
 * row i + n/2: that moves the highest bit of an element's row to the lowest bit of its column and
 * the highest bit of the column to the lowest bit of the row.
 */

#define ROUND(bits, n)                                                                             \
    static inline void round_##bits(bytes_16 *to, const bytes_16 *from)                            \
    {                                                                                              \
        for (size_t i = 0; i < (n) / 2; i++) {                                                     \
            to[2 * i] = low_##bits(from[i], from[i + (n) / 2]);                                    \
            to[2 * i + 1] = high_##bits(from[i], from[i + (n) / 2]);                               \
        }                                                                                          \
    }
ROUND(8, 16)
ROUND(16, 8)
ROUND(32, 4)
ROUND(64, 2)
#undef ROUND

static inline void turn_8(bytes_16 a[16])
{
    bytes_16 b[16];
    round_8(b, a);
    round_8(a, b);
    round_8(b, a);
    round_8(a, b);
}

static inline void turn_16(bytes_16 a[8])
{
    bytes_16 b[8];
    round_16(b, a);
    round_16(a, b);
    round_16(b, a);
    memcpy(a, b, sizeof(b));
}

static inline void turn_32(bytes_16 a[4])
{
    bytes_16 b[4];
    round_32(b, a);
    round_32(a, b);
}

static inline void turn_64(bytes_16 a[2])
{
    bytes_16 b[2];
    round_64(b, a);
    memcpy(a, b, sizeof(b));
}

#define TILE(bytes, n, bits)                                                                       \
    static inline void tile_##bytes(uint8_t *dst, int64_t dst_stride, const uint8_t *src,          \
                                    int64_t src_stride)                                            \
    {                                                                                              \
        bytes_16 v[n];                                                                             \
        for (int i = 0; i < (n); i++)                                                              \
            v[i] = load_16(src + i * src_stride);                                                  \
        turn_##bits(v);                                                                            \
        for (int i = 0; i < (n); i++)                                                              \
            store_16(dst + i * dst_stride, v[i]);                                                  \
    }
TILE(1, 16, 8)
TILE(2, 8, 16)
#ifndef OWN_TILE_4
#define TILE_4 4
TILE(4, 4, 32)
#endif
TILE(8, 2, 64)
#undef TILE

static inline void tile_3(uint8_t *dst, int64_t dst_stride, const uint8_t *src, int64_t src_stride)
{
    static const uint8_t apart[16] = {0, 1, 2, 0x80, 3, 4, 5, 0x80, 6, 7, 8, 0x80, 9, 10, 11, 0x80};
    static const uint8_t close[16] = {0,  1,  2,  4,  5,    6,    8,    9,
                                      10, 12, 13, 14, 0x80, 0x80, 0x80, 0x80};
    const bytes_16 words = load_16(apart), pixels = load_16(close);
    bytes_16 v[4];
    for (int i = 0; i < 4; i++)
        v[i] = pick_of(load_12(src + i * src_stride), words);
    turn_32(v);
    for (int i = 0; i < 4; i++)
        store_12(dst + i * dst_stride, pick_of(v[i], pixels));
}

/* All tiles of n × n pixels, and the strips that are left. */
#define TURN(bytes_, n)                                                                            \
    static void turn_pixels_##bytes_(const nnd_transposition *job)                                 \
    {                                                                                              \
        const int64_t width = (int64_t)(job->width / (n) * (n)),                                   \
                      height = (int64_t)(job->height / (n) * (n));                                 \
        for (int64_t y = 0; y < height; y += (n))                                                  \
            for (int64_t x = 0; x < width; x += (n))                                               \
                tile_##bytes_(job->dst + y * job->dst_stride + x * (bytes_), job->dst_stride,      \
                              job->src + x * job->src_stride + y * (bytes_), job->src_stride);     \
        turn_rest(job, width, height);                                                             \
    }

static void turn_rest(const nnd_transposition *job, int64_t width, int64_t height)
{
    const int64_t bytes = (int64_t)job->bytes;
    nnd_transposition right = *job, below = *job;
    right.width -= (size_t)width;
    right.height = (size_t)height;
    below.height -= (size_t)height;
    if (right.width) {
        right.dst += width * bytes;
        right.src += width * job->src_stride;
        nnd_transpose_reference(&right);
    }
    if (below.height) {
        below.dst += height * job->dst_stride;
        below.src += height * bytes;
        nnd_transpose_reference(&below);
    }
}

TURN(1, 16)
TURN(2, 8)
TURN(3, 4)
TURN(4, TILE_4)
TURN(8, 2)
#undef TURN

static inline void turn_pixels(const nnd_transposition *job)
{
    switch (job->bytes) {
    case 1:
        turn_pixels_1(job);
        break;
    case 2:
        turn_pixels_2(job);
        break;
    case 3:
        turn_pixels_3(job);
        break;
    case 4:
        turn_pixels_4(job);
        break;
    case 8:
        turn_pixels_8(job);
        break;
    default: /* moved one by one, in one or two words, whatever the instruction set */
        nnd_transpose_reference(job);
    }
}
