/*
 * Score biases by the distance of two positions: com.microsoft's RelativePositionBias of T5 and
 * GatedRelativePositionBias of WavLM, whose bias a gate of each query scales.
 */
#include <math.h>
#include <string.h>

#include "engine/ops/element.h"
#include "engine/ops/real.h"

/* ---- RelativePositionBias ------------------------------------------------------------------ */

/* Half of the buckets are for single distances, the others grow with the distance's logarithm up to
   max_distance ("Exploring the limits of transfer learning with a unified text-to-text
   transformer", 2020). With both directions each has half of all buckets. */
typedef struct buckets {
    int64_t count, furthest;
    bool both;
} buckets;

static int64_t bucket_of(const buckets *b, int64_t query, int64_t key)
{
    int64_t distance = query - key, count = b->both ? b->count / 2 : b->count, first = 0;
    if (b->both && distance < 0) first = count;
    if (distance < 0) distance = b->both ? -distance : 0;
    const int64_t single = count / 2;
    if (distance < single) return first + distance;
    const float along = logf((float)distance / (float)single) /
                        logf((float)b->furthest / (float)single) * (float)(count - single);
    /* A distance beyond the last bucket may be infinitely far along. */
    const int64_t bucket = along < (float)count ? single + (int64_t)along : count - 1;
    return first + (bucket < count ? bucket : count - 1);
}

static nnd_status read_buckets(const nnd_op_ctx *c, buckets *b)
{
    const nnd_tensor *table = c->in[0];
    *b = (buckets){.count = table->rank == 2 ? table->dims[0] : 0,
                   .furthest = nnd_node_int(c->node, "max_distance", 128),
                   .both = nnd_node_int(c->node, "is_bidirectional", 0) != 0};
    const int64_t single = b->count / (b->both ? 4 : 2);
    if (single < 1 || b->furthest <= single)
        return nnd_op_fail(c, NND_E_SHAPE, "%lld buckets do not cover a distance of %lld",
                           (long long)b->count, (long long)b->furthest);
    return NND_OK;
}

static nnd_status relative_infer(nnd_op_ctx *c)
{
    const nnd_tensor *t[2];
    buckets b;
    int64_t length[2];
    NND_TRY(nnd_op_expect(c, 0, NND_FLOATS));
    NND_TRY(read_buckets(c, &b));
    for (size_t i = 0; i < 2; i++) {
        NND_TRY(nnd_op_expect(c, i + 1, 1u << NND_I64));
        NND_TRY(nnd_op_known(c, i + 1, &t[i]));
        if (nnd_tensor_count(t[i]) != 1)
            return nnd_op_fail(c, NND_E_SHAPE, "input %zu is no scalar", i + 1);
        length[i] = nnd_op_int_at(t[i], 0);
    }
    if (length[0] != length[1] || length[0] < 0)
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "%lld queries and %lld keys", (long long)length[0],
                           (long long)length[1]);
    const int64_t dims[4] = {1, c->in[0]->dims[1], length[0], length[1]};
    return nnd_op_output(c, 0, c->in[0]->dtype, 4, dims);
}

/* One query of one head. The table lies head by head, whatever its shape says. */
static nnd_status relative_row(void *user, size_t row, int lane)
{
    const nnd_op_ctx *c = user;
    const nnd_tensor *y = &c->out[0], *table = c->in[0];
    const size_t length = (size_t)y->dims[3], head = row / length;
    const int64_t query = (int64_t)(row % length);
    buckets b;
    (void)lane;
    NND_TRY(read_buckets(c, &b));
    for (size_t key = 0; key < length; key++) {
        const size_t bucket = (size_t)bucket_of(&b, query, (int64_t)key);
        nnd_set(y, row * length + key, nnd_get(table, head * (size_t)b.count + bucket));
    }
    return NND_OK;
}

static nnd_status relative_run(nnd_op_ctx *c)
{
    if (nnd_tensor_count(&c->out[0]) == 0) return NND_OK;
    return nnd_op_for(c, (size_t)nnd_op_span(&c->out[0], 0, 3), relative_row, c);
}

/* ---- GatedRelativePositionBias ------------------------------------------------------------- */

enum { QUERY, QUERY_BIAS, POSITIONS, WEIGHT, GATE_BIAS, ECO, TOKENS };

typedef struct gated {
    size_t batch, rows, heads, size, gates; /* gates: columns of the weights */
} gated;

static nnd_status check_count(const nnd_op_ctx *c, size_t i, size_t count)
{
    NND_TRY(nnd_op_expect(c, i, 1u << c->in[QUERY]->dtype));
    if ((size_t)nnd_tensor_count(c->in[i]) == count) return NND_OK;
    return nnd_op_fail(c, NND_E_SHAPE, "input %zu does not have %zu values", i, count);
}

static nnd_status read_gated(const nnd_op_ctx *c, gated *g)
{
    const int64_t heads = nnd_node_int(c->node, "num_heads", 0);
    NND_TRY(nnd_op_expect(c, QUERY, NND_FLOATS));
    NND_TRY(nnd_op_expect(c, WEIGHT, NND_FLOATS));
    NND_TRY(nnd_op_expect(c, POSITIONS, 1u << c->in[QUERY]->dtype));
    const nnd_tensor *q = c->in[QUERY], *weight = c->in[WEIGHT], *tokens = nnd_op_in(c, TOKENS);
    const nnd_tensor *positions = c->in[POSITIONS];
    if (tokens) NND_TRY(nnd_op_expect(c, TOKENS, 1u << NND_I32));
    if (heads < 1 || q->rank != (tokens ? 2 : 3) || q->dims[q->rank - 1] % heads ||
        (tokens && (tokens->rank != 2 || q->dims[0] > nnd_tensor_count(tokens))))
        return nnd_op_fail(c, NND_E_SHAPE, "the queries do not fit %lld heads", (long long)heads);
    *g = (gated){.batch = (size_t)(tokens ? tokens->dims[0] : q->dims[0]),
                 .rows = (size_t)(tokens ? tokens->dims[1] : q->dims[1]),
                 .heads = (size_t)heads,
                 .size = (size_t)(q->dims[q->rank - 1] / heads)};
    if (weight->rank != 2 || (size_t)weight->dims[0] != g->size || weight->dims[1] % 2 ||
        weight->dims[1] < 2)
        return nnd_op_fail(c, NND_E_SHAPE, "the gate's weights do not fit %zu features", g->size);
    g->gates = (size_t)weight->dims[1];
    const int64_t rows = (int64_t)g->rows;
    if (positions->rank != 4 || positions->dims[0] != 1 || positions->dims[1] != heads ||
        positions->dims[2] != rows || positions->dims[3] != rows)
        return nnd_op_fail(c, NND_E_SHAPE, "the position bias is not [1, %lld, %lld, %lld]",
                           (long long)heads, (long long)rows, (long long)rows);
    NND_TRY(check_count(c, QUERY_BIAS, g->heads * g->size));
    NND_TRY(check_count(c, GATE_BIAS, g->gates));
    return check_count(c, ECO, g->heads);
}

static nnd_status gated_infer(nnd_op_ctx *c)
{
    gated g;
    NND_TRY(read_gated(c, &g));
    const int64_t rows = (int64_t)g.rows;
    const int64_t dims[4] = {(int64_t)g.batch, (int64_t)g.heads, rows, rows};
    return nnd_op_output(c, 0, c->in[QUERY]->dtype, 4, dims);
}

typedef struct gated_job {
    gated g;
    nnd_real in[ECO + 1], result;
    const int32_t *packed; /* row of the queries for each position, −1 = padding; NULL = as it is */
    float *y;
} gated_job;

/* The two gates of one query: halves of a product, summed, through a sigmoid. */
static void find_gates(const gated_job *j, size_t head, const float *query, double gates[2])
{
    const size_t n = j->g.gates, half = n / 2;
    const float *query_bias = j->in[QUERY_BIAS].data + head * j->g.size;
    for (size_t k = 0; k < 2; k++) {
        double sum = 0;
        for (size_t d = k * half; d < (k + 1) * half; d++)
            sum += (double)j->in[GATE_BIAS].data[d];
        for (size_t i = 0; i < j->g.size; i++) {
            const double q = (double)query_bias[i] + (query ? (double)query[i] : 0.0);
            for (size_t d = k * half; d < (k + 1) * half; d++)
                sum += q * (double)j->in[WEIGHT].data[i * n + d];
        }
        gates[k] = 1.0 / (1.0 + exp(-sum));
    }
}

/* One query of one head of one sequence; a query of padding is 0. */
static nnd_status gated_row(void *user, size_t index, int lane)
{
    const gated_job *j = user;
    const gated *g = &j->g;
    const size_t row = index % g->rows, head = index / g->rows % g->heads;
    const size_t place = index / g->rows / g->heads * g->rows + row;
    const float *query = NULL;
    double gates[2];
    (void)lane;
    if (!j->packed || j->packed[place] >= 0)
        query = j->in[QUERY].data +
                ((j->packed ? (size_t)j->packed[place] : place) * g->heads + head) * g->size;
    find_gates(j, head, query, gates);
    const double gate = gates[0] * (gates[1] * (double)j->in[ECO].data[head] - 1.0) + 2.0;
    const float *from = j->in[POSITIONS].data + (head * g->rows + row) * g->rows;
    for (size_t i = 0; i < g->rows; i++)
        j->y[index * g->rows + i] = (float)(gate * (double)from[i]);
    return NND_OK;
}

/* For each position its row among the queries without padding. */
static nnd_status place_rows(const nnd_op_ctx *c, int32_t **out)
{
    const nnd_tensor *tokens = nnd_op_in(c, TOKENS);
    if (!tokens) return NND_OK;
    const int64_t count = nnd_tensor_count(tokens), rows = c->in[QUERY]->dims[0];
    const int32_t *offsets = tokens->data;
    int32_t *places = *out = nnd_alloc((size_t)count * sizeof(*places) + 1);
    if (!places) return nnd_op_fail(c, NND_E_OUT_OF_MEMORY, "no memory for offsets");
    memset(places, 0xff, (size_t)count * sizeof(*places));
    for (int64_t i = 0; i < rows; i++) {
        if (offsets[i] < 0 || offsets[i] >= count)
            return nnd_op_fail(c, NND_E_FORMAT, "offset %d is outside of the batch",
                               (int)offsets[i]);
        places[offsets[i]] = (int32_t)i;
    }
    return NND_OK;
}

static nnd_status gated_run(nnd_op_ctx *c)
{
    gated_job j = {0};
    int32_t *places = NULL;
    NND_TRY(read_gated(c, &j.g));
    if (nnd_tensor_count(&c->out[0]) == 0) return NND_OK;
    nnd_status status = place_rows(c, &places);
    j.packed = places;
    for (size_t i = 0; i <= ECO && status == NND_OK; i++)
        status = nnd_real_read(c->in[i], &j.in[i]);
    if (status == NND_OK) status = nnd_real_result(&c->out[0], true, &j.result, &j.y);
    if (status == NND_OK) status = nnd_op_for(c, j.g.batch * j.g.heads * j.g.rows, gated_row, &j);
    if (status == NND_OK) status = nnd_real_write(&c->out[0], &j.result);
    for (size_t i = 0; i <= ECO; i++)
        nnd_real_free(&j.in[i]);
    nnd_real_free(&j.result);
    nnd_free(places);
    return status;
}

#define MS "com.microsoft"
static const nnd_op ops[] = {
    {MS, "RelativePositionBias", 1, 0, 3, 3, 1, 1, 0, relative_infer, relative_run, .variant = 0},
    {MS, "GatedRelativePositionBias", 1, 0, 6, 7, 1, 1, 0, gated_infer, gated_run, .variant = 0},
};
const nnd_op_family nnd_ops_relative_bias = {ops, NND_COUNT(ops)};
