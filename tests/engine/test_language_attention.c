/* Attention as exports of language models use it, against its definition, which is written here
   once more in the plainest way. */
#include "language_support.h"

/* ---- SparseAttention ------------------------------------------------------------------------- */

enum { QUERY_HEADS = 4, KEY_HEADS = 2, SIZE = 8, BLOCK = 4, EXTENT = 24, LAYOUTS = 2 };
enum { BLOCKS = EXTENT / BLOCK };

/* Which blocks a layout sees: its own but for one row, and some before that. */
static bool sees(size_t layout, size_t row, size_t column)
{
    if (row == column) return row != 3 || layout;
    return column < row && (row * 3 + column * 5 + layout) % 3 == 0;
}

typedef struct sparse {
    size_t batch, rows;
    const int32_t *lengths;
    int32_t total;
    bool packed, rotary;
    float q[1024], k[1024], v[1024], past[2][2048], cosine[EXTENT * 4], sine[EXTENT * 4];
    int32_t starts[LAYOUTS][BLOCKS + 1], columns[LAYOUTS][BLOCKS * BLOCKS];
} sparse;

/* Element d of a head in a row of the operands, turned to position `at`. */
static double turned_feature(const sparse *s, const float *x, size_t d, size_t at)
{
    size_t half = SIZE / 2, pair = d % half;
    if (!s->rotary) return x[d];
    double cosine = (double)s->cosine[at * half + pair], sine = (double)s->sine[at * half + pair];
    return cosine * (double)x[d] + (d < half ? -sine : sine) * (double)x[(d + half) % SIZE];
}

/* The key or value (part 0, 1) at position `at`: new, or of the cache. */
static double cached(const sparse *s, size_t part, size_t b, size_t head, size_t at, size_t d)
{
    size_t before = s->total == (int32_t)s->rows ? 0 : (size_t)s->lengths[b] - s->rows;
    size_t plane = (b * KEY_HEADS + head) * EXTENT;
    if (at < before || at >= before + s->rows) return s->past[part][(plane + at) * SIZE + d];
    const float *x = (part ? s->v : s->k) + ((b * s->rows + at - before) * KEY_HEADS + head) * SIZE;
    return part ? (double)x[d] : turned_feature(s, x, d, at);
}

static void attend_sparsely(const sparse *s, double *y)
{
    for (size_t i = 0; i < s->batch * s->rows * QUERY_HEADS; i++) {
        size_t head = i % QUERY_HEADS, row = i / QUERY_HEADS % s->rows;
        size_t b = i / QUERY_HEADS / s->rows, kv = head / (QUERY_HEADS / KEY_HEADS);
        size_t at = s->total == (int32_t)s->rows ? row : (size_t)s->lengths[b] - s->rows + row;
        double sum = 0, out[SIZE] = {0};
        for (size_t k = 0; k <= at; k++) {
            if (!sees(head % LAYOUTS, at / BLOCK, k / BLOCK)) continue;
            double score = 0;
            for (size_t d = 0; d < SIZE; d++)
                score += turned_feature(s, s->q + i * SIZE, d, at) * cached(s, 0, b, kv, k, d);
            double weight = exp(score / sqrt(SIZE));
            sum += weight;
            for (size_t d = 0; d < SIZE; d++)
                out[d] += weight * cached(s, 1, b, kv, k, d);
        }
        for (size_t d = 0; d < SIZE; d++)
            y[i * SIZE + d] = sum > 0 ? out[d] / sum : 0;
    }
}

static void feed_sparse(net *n, const sparse *s)
{
    static float packed[3072];
    int64_t batch = (int64_t)s->batch, rows = (int64_t)s->rows;
    const size_t widths[3] = {QUERY_HEADS * SIZE, KEY_HEADS * SIZE, KEY_HEADS * SIZE};
    const float *parts[3] = {s->q, s->k, s->v};
    size_t width = widths[0] + widths[1] + widths[2], at = 0;
    for (size_t part = 0; part < 3; at += widths[part++])
        for (size_t i = 0; i < s->batch * s->rows * widths[part]; i++)
            packed[i / widths[part] * width + at + i % widths[part]] = parts[part][i];
    if (s->packed) {
        input(n, NND_F32, DIMS(batch, rows, (int64_t)width), packed);
        no_input(n);
        no_input(n);
    }
    for (size_t part = 0; part < 3 && !s->packed; part++)
        input(n, NND_F32, DIMS(batch, rows, (int64_t)widths[part]), parts[part]);
    for (size_t part = 0; part < 2; part++)
        input(n, NND_F32, DIMS(batch, KEY_HEADS, EXTENT, SIZE), s->past[part]);
    input(n, NND_I32, DIMS(LAYOUTS, BLOCKS + 1), s->starts);
    input(n, NND_I32, DIMS(LAYOUTS, BLOCKS * BLOCKS), s->columns);
    input(n, NND_I32, DIMS(1), &s->total);
    input(n, NND_I32, DIMS(batch), s->lengths);
    ow_attr_int(&n->attrs, "num_heads", QUERY_HEADS);
    ow_attr_int(&n->attrs, "kv_num_heads", KEY_HEADS);
    ow_attr_int(&n->attrs, "sparse_block_size", BLOCK);
    if (!s->rotary) return;
    ow_attr_int(&n->attrs, "do_rotary", 1);
    input(n, NND_F32, DIMS(EXTENT, SIZE / 2), s->cosine);
    input(n, NND_F32, DIMS(EXTENT, SIZE / 2), s->sine);
}

static void make_sparse(sparse *s)
{
    numbers(s->q, NND_COUNT(s->q), 1);
    numbers(s->k, NND_COUNT(s->k), 2);
    numbers(s->v, NND_COUNT(s->v), 3);
    numbers(s->past[0], NND_COUNT(s->past[0]), 4);
    numbers(s->past[1], NND_COUNT(s->past[1]), 5);
    numbers(s->cosine, NND_COUNT(s->cosine), 6);
    numbers(s->sine, NND_COUNT(s->sine), 7);
    for (size_t l = 0; l < LAYOUTS; l++) {
        int32_t n = 0;
        memset(s->columns[l], -1, sizeof s->columns[l]);
        for (size_t row = 0; row < BLOCKS; row++) {
            for (size_t column = 0; column < BLOCKS; column++)
                if (sees(l, row, column)) s->columns[l][n++] = (int32_t)column;
            s->starts[l][row + 1] = n;
        }
    }
}

static void attention_to_some_blocks(void **state)
{
    static const int32_t lengths[][2] = {{15, 9}, {21, 9}, {24, 13}, {1, 1}};
    static const size_t rows[] = {15, 1, 9, 1};
    static const int32_t totals[] = {15, 21, 24, 1};
    static net net;
    static sparse s;
    static double want[2048], cache[2048];
    (void)state;
    for (size_t i = 0; i < 4 * NND_COUNT(rows); i++) {
        size_t t = i / 4;
        s = (sparse){.batch = 2,
                     .rows = rows[t],
                     .lengths = lengths[t],
                     .total = totals[t],
                     .packed = i & 1,
                     .rotary = i & 2};
        make_sparse(&s);
        attend_sparsely(&s, want);
        net = (struct net){0};
        feed_sparse(&net, &s);
        run_well(&net, "SparseAttention", "y,k,v");
        same(net.out[0], want, s.batch * s.rows * QUERY_HEADS * SIZE, 1e-5);
        for (size_t part = 0; part < 2; part++) {
            for (size_t e = 0; e < 2 * KEY_HEADS * EXTENT * SIZE; e++)
                cache[e] = cached(&s, part, e / (KEY_HEADS * EXTENT * SIZE),
                                  e / (EXTENT * SIZE) % KEY_HEADS, e / SIZE % EXTENT, e % SIZE);
            same(net.out[1 + part], cache, 2 * KEY_HEADS * EXTENT * SIZE, 1e-6);
        }
    }
}

static void wrong_blocks_are_refused(void **state)
{
    static net net;
    static sparse s;
    const int32_t lengths[2] = {15, 9}, behind[2] = {15, 25}, none[2] = {21, 0};
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        s = (sparse){.batch = 2, .rows = 15, .lengths = lengths, .total = 15};
        make_sparse(&s);
        if (i == 0) s.starts[0][2] = BLOCKS * BLOCKS + 1; /* behind the list */
        if (i == 1) s.starts[1][0] = -1;
        if (i == 2) s.columns[0][s.starts[0][2] + 1] = s.columns[0][s.starts[0][2]]; /* twice */
        if (i >= 3) s.total = 16;
        if (i >= 3) s.lengths = i == 3 ? behind : none;
        net = (struct net){0};
        feed_sparse(&net, &s);
        assert_int_equal(run(&net, "SparseAttention", "y,k,v"), NND_E_FORMAT);
        nnd_error_clear();
    }
}

/* ---- DecoderMaskedMultiHeadAttention --------------------------------------------------------- */

enum { DECODER_BATCH = 4, DECODER_HEADS = 2, DECODER_SIZE = 6, DECODER_EXTENT = 7 };
enum { FEATURES = DECODER_HEADS * DECODER_SIZE };

typedef struct decoder {
    bool cross, masked, biased, added, beams; /* biased: the scores; added: to the operands */
    int32_t before;
    float q[DECODER_BATCH * FEATURES], k[2][DECODER_BATCH * FEATURES];
    float cache[2][DECODER_BATCH * DECODER_HEADS * DECODER_EXTENT * DECODER_SIZE];
    float bias[3 * FEATURES], scores[DECODER_HEADS * DECODER_EXTENT];
    int32_t mask[DECODER_BATCH * DECODER_EXTENT], origin[DECODER_BATCH * DECODER_EXTENT];
} decoder;

/* The key or value (part 0, 1) at position `at` that a row's head sees. */
static double decoder_key(const decoder *s, size_t part, size_t row, size_t head, size_t at,
                          size_t d)
{
    size_t feature = head * DECODER_SIZE + d;
    if (!s->cross && at == (size_t)s->before)
        return (double)s->k[part][row * FEATURES + feature] +
               (s->added ? (double)s->bias[(1 + part) * FEATURES + feature] : 0);
    if (s->beams) row = row / 2 * 2 + (size_t)s->origin[row * DECODER_EXTENT + at];
    return s->cache[part][((row * DECODER_HEADS + head) * DECODER_EXTENT + at) * DECODER_SIZE + d];
}

static void decode(const decoder *s, size_t keys, double *y, double *scores)
{
    for (size_t i = 0; i < DECODER_BATCH * DECODER_HEADS; i++) {
        size_t row = i / DECODER_HEADS, head = i % DECODER_HEADS;
        double sum = 0, *out = y + i * DECODER_SIZE;
        memset(out, 0, DECODER_SIZE * sizeof *out);
        for (size_t k = 0; k < keys; k++) {
            double score = 0;
            for (size_t d = 0; d < DECODER_SIZE; d++) {
                size_t feature = head * DECODER_SIZE + d;
                double q = (double)s->q[row * FEATURES + feature];
                if (s->added) q += (double)s->bias[feature];
                score += q * decoder_key(s, 0, row, head, k, d);
            }
            score *= 0.75;
            if (s->biased) score += (double)s->scores[head * keys + k];
            if (s->masked && !s->mask[row * keys + k]) score -= 3;
            scores[i * keys + k] = score;
            sum += exp(score);
            for (size_t d = 0; d < DECODER_SIZE; d++)
                out[d] += exp(score) * decoder_key(s, 1, row, head, k, d);
        }
        for (size_t d = 0; d < DECODER_SIZE; d++)
            out[d] /= sum;
    }
}

static void feed_decoder(net *n, const decoder *s, int64_t keys)
{
    static const int32_t beams = 2;
    input(n, NND_F32, DIMS(DECODER_BATCH, 1, FEATURES), s->q);
    for (size_t part = 0; part < 2; part++) {
        if (s->cross)
            input(n, NND_F32, DIMS(DECODER_BATCH, DECODER_HEADS, DECODER_EXTENT, DECODER_SIZE),
                  s->cache[part]);
        else
            input(n, NND_F32, DIMS(DECODER_BATCH, 1, FEATURES), s->k[part]);
    }
    s->masked ? input(n, NND_I32, DIMS(DECODER_BATCH, keys), s->mask) : no_input(n);
    s->biased ? input(n, NND_F32, DIMS(1, DECODER_HEADS, 1, keys), s->scores) : no_input(n);
    for (size_t part = 0; part < 2; part++) {
        if (s->cross)
            no_input(n);
        else
            input(n, NND_F32, DIMS(DECODER_BATCH, DECODER_HEADS, DECODER_EXTENT, DECODER_SIZE),
                  s->cache[part]);
    }
    s->cross ? no_input(n) : input(n, NND_I32, DIMS(1), &s->before);
    s->beams ? input(n, NND_I32, DIMS(1), &beams) : no_input(n);
    s->beams ? input(n, NND_I32, DIMS(DECODER_BATCH / 2, 2, DECODER_EXTENT), s->origin)
             : no_input(n);
    s->added ? input(n, NND_F32, DIMS(3 * FEATURES), s->bias) : no_input(n);
    ow_attr_int(&n->attrs, "num_heads", DECODER_HEADS);
    ow_attr_int(&n->attrs, "past_present_share_buffer", 1);
    ow_attr_float(&n->attrs, "scale", 0.75f);
    ow_attr_float(&n->attrs, "mask_filter_value", -3.0f);
}

static void make_decoder(decoder *s)
{
    numbers(s->q, NND_COUNT(s->q), 1);
    numbers(s->bias, NND_COUNT(s->bias), 2);
    numbers(s->scores, NND_COUNT(s->scores), 3);
    for (size_t part = 0; part < 2; part++) {
        numbers(s->k[part], NND_COUNT(s->k[part]), 4 + (uint32_t)part);
        numbers(s->cache[part], NND_COUNT(s->cache[part]), 6 + (uint32_t)part);
    }
    for (size_t i = 0; i < NND_COUNT(s->mask); i++) {
        s->mask[i] = i % 3 != 1;
        s->origin[i] = i * 7 / 3 % 2;
    }
}

static void one_token_decodes(void **state)
{
    static net net;
    static decoder s;
    static double y[256], scores[256], cache[1024];
    (void)state;
    for (size_t i = 0; i < 32; i++) {
        s = (decoder){.cross = i & 1,
                      .masked = i & 2,
                      .biased = i & 4,
                      .added = i & 8,
                      .beams = i & 16 && !(i & 1),
                      .before = i % 3 == 0   ? 0
                                : i % 3 == 1 ? 4
                                             : DECODER_EXTENT - 1};
        size_t keys = s.cross ? DECODER_EXTENT : (size_t)s.before + 1;
        make_decoder(&s);
        decode(&s, keys, y, scores);
        net = (struct net){0};
        feed_decoder(&net, &s, (int64_t)keys);
        run_well(&net, "DecoderMaskedMultiHeadAttention", s.cross ? "y" : "y,k,v,s");
        same(net.out[0], y, DECODER_BATCH * FEATURES, 1e-5);
        if (s.cross) continue;
        same(net.out[3], scores, DECODER_BATCH * DECODER_HEADS * keys, 1e-5);
        s.beams = false; /* the cache itself is in order */
        for (size_t part = 0; part < 2; part++) {
            for (size_t e = 0; e < NND_COUNT(s.cache[0]); e++) {
                size_t plane = e / (DECODER_EXTENT * DECODER_SIZE);
                cache[e] = decoder_key(&s, part, plane / DECODER_HEADS, plane % DECODER_HEADS,
                                       e / DECODER_SIZE % DECODER_EXTENT, e % DECODER_SIZE);
            }
            same(net.out[1 + part], cache, NND_COUNT(s.cache[0]), 1e-6);
        }
    }
}

static void wrong_steps_are_refused(void **state)
{
    static net net;
    static decoder s;
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        s = (decoder){.before = 3, .beams = true};
        make_decoder(&s);
        if (i == 0) s.before = DECODER_EXTENT;
        if (i == 1) s.before = -1;
        if (i == 2) s.origin[1] = 2;
        if (i == 3) s.origin[DECODER_EXTENT] = -1;
        net = (struct net){0};
        feed_decoder(&net, &s, 4);
        assert_int_equal(run(&net, "DecoderMaskedMultiHeadAttention", "y,k,v"), NND_E_FORMAT);
        nnd_error_clear();
    }
}

/* ---- GatedDeltaNet --------------------------------------------------------------------------- */

enum { DELTA_TOKENS = 7, DELTA_SHARED = 2, DELTA_HEADS = 4, DELTA_K = 11, DELTA_V = 18 };
enum { DELTA_BATCH = 2, DELTA_KEYS = DELTA_SHARED * DELTA_K, DELTA_VALUES = DELTA_HEADS * DELTA_V };
enum { DELTA_STATE = DELTA_BATCH * DELTA_HEADS * DELTA_V * DELTA_K };

typedef struct delta {
    const char *rule, *gate;
    bool per_key, wide, sigmoid, normalised, packed, uneven; /* wide: dt_bias; sigmoid: of beta */
    float q[DELTA_TOKENS * DELTA_KEYS], k[DELTA_TOKENS * DELTA_KEYS];
    float v[DELTA_TOKENS * DELTA_VALUES], decay[DELTA_TOKENS * DELTA_HEADS * DELTA_K];
    float beta[DELTA_TOKENS * DELTA_HEADS], state[DELTA_STATE];
    float a_log[DELTA_HEADS], bias[DELTA_HEADS * DELTA_K];
    int32_t starts[DELTA_BATCH + 1];
    int64_t tokens;
} delta;

static double delta_keep(const delta *s, size_t token, size_t head, size_t key)
{
    size_t at = token * DELTA_HEADS + head;
    double g = (double)s->decay[s->per_key ? at * DELTA_K + key : at],
           a = exp((double)s->a_log[head]);
    double bias = (double)s->bias[s->wide ? head * DELTA_K + key : head];
    if (strncmp(s->rule, "gated", 5) != 0) return 1;
    if (strcmp(s->gate, "softplus") == 0) g = -a * log1p(exp(g + bias));
    if (strcmp(s->gate, "kda") == 0) g = -5.0 * sigmoid(a * (g + bias));
    return exp(g);
}

static double length_of(const delta *s, const float *x)
{
    double sum = 1e-12;
    for (size_t i = 0; i < DELTA_K; i++)
        sum += (double)x[i] * (double)x[i];
    return s->normalised ? sqrt(sum) : 1;
}

/* One token of one head: S = keep·S + k·deltaᵀ, y = scale·Sᵀ·q. */
static void delta_token(const delta *s, size_t t, size_t head, double *state, double *y)
{
    size_t shared = (t * DELTA_SHARED + head / (DELTA_HEADS / DELTA_SHARED)) * DELTA_K;
    const float *q = s->q + shared, *k = s->k + shared;
    double beta = (double)s->beta[t * DELTA_HEADS + head], q_length = length_of(s, q);
    double k_length = length_of(s, k);
    bool deltas = strstr(s->rule, "delta") != NULL;
    if (s->sigmoid) beta = sigmoid(beta);
    for (size_t v = 0; v < DELTA_V; v++) {
        double *row = state + v * DELTA_K, read = 0, out = 0;
        double write = (double)s->v[(t * DELTA_HEADS + head) * DELTA_V + v];
        for (size_t i = 0; i < DELTA_K; i++) {
            row[i] *= delta_keep(s, t, head, i);
            read += row[i] * (double)k[i] / k_length;
        }
        if (deltas) write = beta * (write - read);
        for (size_t i = 0; i < DELTA_K; i++) {
            row[i] += write * (double)k[i] / k_length;
            out += row[i] * (double)q[i] / q_length;
        }
        y[v] = out / sqrt(DELTA_K);
    }
}

static void recur(const delta *s, double *y, double *state)
{
    for (size_t i = 0; i < DELTA_STATE; i++)
        state[i] = (double)s->state[i];
    for (size_t b = 0; b < DELTA_BATCH; b++)
        for (size_t t = (size_t)s->starts[b]; t < (size_t)s->starts[b + 1]; t++)
            for (size_t h = 0; h < DELTA_HEADS; h++)
                delta_token(s, t, h, state + (b * DELTA_HEADS + h) * DELTA_V * DELTA_K,
                            y + (t * DELTA_HEADS + h) * DELTA_V);
}

static void feed_delta(net *n, const delta *s)
{
    static float packed[DELTA_TOKENS * (2 * DELTA_KEYS + DELTA_VALUES)];
    enum { WIDTH = 2 * DELTA_KEYS + DELTA_VALUES };
    for (size_t t = 0; t < DELTA_TOKENS; t++) {
        memcpy(packed + t * WIDTH, s->q + t * DELTA_KEYS, DELTA_KEYS * sizeof(float));
        memcpy(packed + t * WIDTH + DELTA_KEYS, s->k + t * DELTA_KEYS, DELTA_KEYS * sizeof(float));
        memcpy(packed + t * WIDTH + 2 * DELTA_KEYS, s->v + t * DELTA_VALUES,
               DELTA_VALUES * sizeof(float));
    }
    if (s->packed) {
        input(n, NND_F32, DIMS(s->tokens, WIDTH), packed);
        no_input(n);
        no_input(n);
    } else {
        input(n, NND_F32, DIMS(s->tokens, DELTA_SHARED, DELTA_K), s->q);
        input(n, NND_F32, DIMS(s->tokens, DELTA_SHARED, DELTA_K), s->k);
        input(n, NND_F32, DIMS(s->tokens, DELTA_HEADS, DELTA_V), s->v);
    }
    s->uneven ? input(n, NND_I32, DIMS(DELTA_BATCH + 1), s->starts) : no_input(n);
    if (strncmp(s->rule, "gated", 5) != 0)
        no_input(n);
    else if (s->per_key)
        input(n, NND_F32, DIMS(s->tokens, DELTA_HEADS, DELTA_K), s->decay);
    else
        input(n, NND_F32, DIMS(s->tokens, DELTA_HEADS), s->decay);
    strstr(s->rule, "delta") ? input(n, NND_F32, DIMS(s->tokens, DELTA_HEADS), s->beta)
                             : no_input(n);
    input(n, NND_F32, DIMS(DELTA_BATCH, DELTA_HEADS, DELTA_V, DELTA_K), s->state);
    if (strcmp(s->gate, "none") != 0) {
        input(n, NND_F32, DIMS(DELTA_HEADS), s->a_log);
        if (s->wide)
            input(n, NND_F32, DIMS(DELTA_HEADS, DELTA_K), s->bias);
        else
            input(n, NND_F32, DIMS(DELTA_HEADS), s->bias);
    }
    ow_attr_text(&n->attrs, "update_rule", s->rule);
    ow_attr_text(&n->attrs, "gate_activation", s->gate);
    ow_attr_text(&n->attrs, "beta_activation", s->sigmoid ? "sigmoid" : "none");
    ow_attr_int(&n->attrs, "qk_l2_norm", s->normalised);
}

/* Seven tokens in sequences of two and five, or six in two of three. */
static void make_delta(delta *s)
{
    numbers(s->q, NND_COUNT(s->q), 1);
    numbers(s->k, NND_COUNT(s->k), 2);
    numbers(s->v, NND_COUNT(s->v), 3);
    numbers(s->decay, NND_COUNT(s->decay), 4);
    numbers(s->beta, NND_COUNT(s->beta), 5);
    numbers(s->state, NND_COUNT(s->state), 6);
    numbers(s->a_log, NND_COUNT(s->a_log), 7);
    numbers(s->bias, NND_COUNT(s->bias), 8);
    s->tokens = s->uneven ? DELTA_TOKENS : DELTA_TOKENS - 1;
    s->starts[1] = s->uneven ? 2 : (int32_t)s->tokens / 2;
    s->starts[2] = (int32_t)s->tokens;
}

static void states_learn_by_deltas(void **state)
{
    static const char *const rules[] = {"linear", "gated", "delta", "gated_delta"};
    static const char *const gates[] = {"none", "softplus", "kda"};
    static net net;
    static delta s;
    static double y[DELTA_TOKENS * DELTA_VALUES], last[DELTA_STATE];
    (void)state;
    for (size_t i = 0; i < 4 * 3 * 16; i++) {
        s = (delta){.rule = rules[i % 4],
                    .gate = rules[i % 4][0] == 'g' ? gates[i / 4 % 3] : "none",
                    .per_key = i / 12 & 1,
                    .wide = (i / 12 & 1) && i % 5,
                    .sigmoid = i / 12 & 2,
                    .normalised = i / 12 & 2,
                    .packed = i / 12 & 4,
                    .uneven = i / 12 & 8};
        make_delta(&s);
        recur(&s, y, last);
        net = (struct net){0};
        feed_delta(&net, &s);
        run_well(&net, "GatedDeltaNet", "y,s");
        /* Keys that are not of length 1 let the state grow. */
        same(net.out[0], y, (size_t)s.tokens * DELTA_VALUES, 1e-4);
        same(net.out[1], last, DELTA_STATE, 1e-4);
    }
}

static void wrong_deltas_are_refused(void **state)
{
    static net net;
    static delta s;
    static const int32_t starts[][3] = {{1, 2, 7}, {0, 2, 6}, {0, 8, 7}, {0, -1, 7}};
    (void)state;
    for (size_t i = 0; i < NND_COUNT(starts); i++) {
        s = (delta){.rule = "gated_delta", .gate = "none", .uneven = true};
        make_delta(&s);
        memcpy(s.starts, starts[i], sizeof s.starts);
        net = (struct net){0};
        feed_delta(&net, &s);
        assert_int_equal(run(&net, "GatedDeltaNet", "y,s"), NND_E_FORMAT);
    }
    s = (delta){.rule = "gated_delta", .gate = "none"};
    make_delta(&s);
    s.tokens = 5; /* in two sequences */
    net = (struct net){0};
    feed_delta(&net, &s);
    assert_int_equal(run(&net, "GatedDeltaNet", "y,s"), NND_E_SHAPE);
    nnd_error_clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_to_some_blocks), cmocka_unit_test(wrong_blocks_are_refused),
        cmocka_unit_test(one_token_decodes),        cmocka_unit_test(wrong_steps_are_refused),
        cmocka_unit_test(states_learn_by_deltas),   cmocka_unit_test(wrong_deltas_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
