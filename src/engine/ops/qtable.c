/* Every byte becomes another one: what the pass qdq makes of functions between QDQ. */
#include "engine/kernels/int8.h"
#include "engine/ops/qlinear.h"

static nnd_status table_infer(nnd_op_ctx *c)
{
    NND_TRY(nnd_op_expect(c, 0, NND_BYTES));
    NND_TRY(nnd_op_expect(c, 1, NND_BYTES));
    if (nnd_tensor_count(c->in[1]) != NND_TABLE_CODES)
        return nnd_op_fail(c, NND_E_SHAPE, "the table does not have an entry for every byte");
    return nnd_op_output(c, 0, c->in[1]->dtype, c->in[0]->rank, c->in[0]->dims);
}

typedef struct job {
    const uint8_t *x, *table;
    uint8_t *y;
    size_t n;
} job;

static nnd_status table_tile(void *user, size_t index, int lane)
{
    const job *j = user;
    size_t begin = index * NND_OP_GRAIN, end = begin + NND_OP_GRAIN;
    (void)lane;
    if (end > j->n) end = j->n;
    nnd_int8_lookup(j->table, j->x + begin, j->y + begin, end - begin);
    return NND_OK;
}

nnd_status nnd_byte_table_run(const nnd_op_ctx *c, const uint8_t *table)
{
    job j = {c->in[0]->data, table, c->out[0].data, (size_t)nnd_tensor_count(&c->out[0])};
    return nnd_op_for(c, nnd_op_tiles(j.n), table_tile, &j);
}

static nnd_status table_run(nnd_op_ctx *c)
{
    return nnd_byte_table_run(c, c->in[1]->data);
}

const nnd_op nnd_op_byte_table = {"", "ByteTable",    1,           0,         2,           2, 1,
                                  1,  NND_OP_INPLACE, table_infer, table_run, .variant = 0};
