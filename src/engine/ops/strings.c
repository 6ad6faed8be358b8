/* Operators on strings. The texts that they make live as long as the run. */
#include <string.h>

#include "base/str.h"
#include "engine/hooks.h"
#include "engine/ops/control.h"

static const nnd_string empty_text = {"", 0};

static const nnd_string *strings_of(const nnd_tensor *t)
{
    return t->data;
}

/* ---- StringConcat -------------------------------------------------------------------------- */

static nnd_status concat_infer(nnd_op_ctx *c)
{
    int rank;
    int64_t dims[NND_MAX_RANK];
    NND_TRY(nnd_op_expect(c, 0, 1u << NND_STRING));
    NND_TRY(nnd_op_expect(c, 1, 1u << NND_STRING));
    NND_TRY(nnd_op_broadcast(c, 0, 2, &rank, dims));
    return nnd_op_output(c, 0, NND_STRING, rank, dims);
}

/* Index of the element of `t` that stands at index `at` of the broadcast shape of `y`. */
static size_t broadcast_index(const nnd_tensor *t, const nnd_tensor *y, size_t at)
{
    size_t index = 0, stride = 1;
    for (int i = y->rank - 1, k = t->rank - 1; k >= 0; i--, k--) {
        size_t here = at % (size_t)y->dims[i];
        at /= (size_t)y->dims[i];
        if (t->dims[k] != 1) index += here * stride;
        stride *= (size_t)t->dims[k];
    }
    return index;
}

static nnd_status concat_run(nnd_op_ctx *c)
{
    const nnd_tensor *y = &c->out[0];
    nnd_string *to = y->data;
    for (size_t i = 0; i < (size_t)nnd_tensor_count(y); i++) {
        nnd_string a = strings_of(c->in[0])[broadcast_index(c->in[0], y, i)];
        nnd_string b = strings_of(c->in[1])[broadcast_index(c->in[1], y, i)];
        char *text;
        if (a.size > SIZE_MAX / 2 || b.size > SIZE_MAX / 2)
            return nnd_op_fail(c, NND_E_LIMIT, "a text is too long");
        NND_TRY(nnd_op_text(c, a.size + b.size, &text));
        if (a.size) memcpy(text, a.text, a.size);
        if (b.size) memcpy(text + a.size, b.text, b.size);
        to[i] = (nnd_string){text, a.size + b.size};
    }
    return NND_OK;
}

/* Results whose shape hangs on the elements. */
static nnd_status strings_later(nnd_op_ctx *c)
{
    NND_TRY(nnd_op_expect(c, 0, 1u << NND_STRING));
    return NND_E_AGAIN;
}

static nnd_status bytes_later(nnd_op_ctx *c)
{
    NND_TRY(nnd_op_expect(c, 0, 1u << NND_U8));
    return NND_E_AGAIN;
}

/* ---- StringSplit --------------------------------------------------------------------------- */

/* How a text is cut: at every occurrence of the delimiter or, without one, at runs of blanks. */
typedef struct cutter {
    nnd_string delimiter;
    size_t most; /* cuts */
} cutter;

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static size_t find(nnd_string text, size_t from, nnd_string what)
{
    for (size_t i = from; i + what.size <= text.size; i++)
        if (memcmp(text.text + i, what.text, what.size) == 0) return i;
    return text.size;
}

/* The next piece from *at on; false when there is none. pieces: those that were taken before. */
static bool next_piece(const cutter *cut, nnd_string text, size_t *at, size_t pieces,
                       nnd_string *out)
{
    size_t begin = *at, end;
    if (cut->delimiter.size) {
        if (begin > text.size) return false;
        end = pieces < cut->most ? find(text, begin, cut->delimiter) : text.size;
        *at = end < text.size ? end + cut->delimiter.size : text.size + 1;
        /* A text that ends with the delimiter has an empty piece behind it. */
        if (end == text.size) *at = text.size + 1;
    } else {
        while (begin < text.size && is_blank(text.text[begin]))
            begin++;
        if (begin >= text.size) return false;
        end = begin;
        while (end < text.size && (pieces >= cut->most || !is_blank(text.text[end])))
            end++;
        *at = end;
    }
    *out = (nnd_string){text.text + begin, end - begin};
    return true;
}

static size_t count_pieces(const cutter *cut, nnd_string text)
{
    size_t n = 0, at = 0;
    nnd_string piece;
    while (next_piece(cut, text, &at, n, &piece))
        n++;
    return n;
}

/* A piece as a text of its own: it has to end with NUL. */
static nnd_status keep_text(const nnd_op_ctx *c, nnd_string piece, nnd_string *out)
{
    char *text;
    NND_TRY(nnd_op_text(c, piece.size, &text));
    if (piece.size) memcpy(text, piece.text, piece.size);
    *out = (nnd_string){text, piece.size};
    return NND_OK;
}

static nnd_status split_run(nnd_op_ctx *c)
{
    const nnd_attr *delimiter = nnd_node_attr(c->node, "delimiter");
    const nnd_attr *most = nnd_node_attr(c->node, "maxsplit");
    const nnd_tensor *x;
    int64_t dims[NND_MAX_RANK + 1], widest = 0;
    NND_TRY(nnd_op_expect(c, 0, 1u << NND_STRING));
    NND_TRY(nnd_op_need(c, 0, &x));
    if (x->rank == NND_MAX_RANK) return nnd_op_fail(c, NND_E_UNSUPPORTED, "too many dimensions");
    cutter cut = {empty_text, SIZE_MAX};
    if (delimiter && delimiter->kind == NND_ATTR_STRING) cut.delimiter = delimiter->u.s;
    if (most && most->kind == NND_ATTR_INT && most->u.i >= 0) cut.most = (size_t)most->u.i;
    size_t count = (size_t)nnd_tensor_count(x);
    NND_TRY(nnd_op_make_output(c, 1, NND_I64, x->rank, x->dims));
    for (size_t i = 0; i < count; i++) {
        int64_t n = (int64_t)count_pieces(&cut, strings_of(x)[i]);
        if (c->out_count > 1 && c->out[1].data) ((int64_t *)c->out[1].data)[i] = n;
        if (n > widest) widest = n;
    }
    memcpy(dims, x->dims, sizeof(x->dims));
    dims[x->rank] = widest;
    NND_TRY(nnd_op_make_output(c, 0, NND_STRING, x->rank + 1, dims));
    nnd_string *to = c->out[0].data, piece;
    for (size_t i = 0; to && i < count; i++) {
        size_t n = 0, at = 0;
        for (; next_piece(&cut, strings_of(x)[i], &at, n, &piece); n++)
            NND_TRY(keep_text(c, piece, &to[i * (size_t)widest + n]));
        for (; n < (size_t)widest; n++)
            to[i * (size_t)widest + n] = empty_text;
    }
    return NND_OK;
}

/* ---- StringNormalizer ---------------------------------------------------------------------- */

/* Simple case mapping of the alphabets whose capitals lie at a fixed distance: Latin, Greek and
   Cyrillic. What has no case, or one of its own kind, stays. */
static uint32_t change_case(uint32_t u, bool lower)
{
    static const struct {
        uint32_t first, last, distance; /* capitals */
    } ranges[] = {{'A', 'Z', 32},     {0xc0, 0xd6, 32},   {0xd8, 0xde, 32},
                  {0x391, 0x3a1, 32}, {0x3a3, 0x3ab, 32}, {0x410, 0x42f, 32},
                  {0x400, 0x40f, 80}, {0x531, 0x556, 48}, {0x1e00, 0, 0}};
    for (size_t i = 0; ranges[i].distance; i++) {
        uint32_t from = ranges[i].first, to = ranges[i].last, d = ranges[i].distance;
        if (lower && u >= from && u <= to) return u + d;
        if (!lower && u >= from + d && u <= to + d) return u - d;
    }
    /* Capitals at even numbers, each followed by its small letter. */
    bool pairs = (u >= 0x100 && u <= 0x12f) || (u >= 0x132 && u <= 0x137) ||
                 (u >= 0x14a && u <= 0x177) || (u >= 0x460 && u <= 0x481) ||
                 (u >= 0x1e00 && u <= 0x1e95);
    if (pairs) return lower ? u | 1u : u & ~1u;
    return u;
}

/* The text with every letter changed; bytes that are no UTF-8 stay. */
static nnd_status cased(const nnd_op_ctx *c, nnd_string from, bool lower, nnd_string *out)
{
    char *text, piece[4];
    size_t at = 0, used, n = 0;
    if (!nnd_utf8_valid(from.text, from.size)) {
        *out = from;
        return NND_OK;
    }
    if (from.size > SIZE_MAX / 2) return nnd_op_fail(c, NND_E_LIMIT, "a text is too long");
    NND_TRY(nnd_op_text(c, from.size * 2, &text));
    while (at < from.size) {
        uint32_t u = nnd_utf8_decode(from.text + at, from.size - at, &used);
        size_t bytes = nnd_utf8_encode(change_case(u, lower), piece);
        memcpy(text + n, piece, bytes);
        n += bytes;
        at += used;
    }
    text[n] = 0;
    *out = (nnd_string){text, n};
    return NND_OK;
}

static bool same_text(nnd_string a, nnd_string b)
{
    return a.size == b.size && (!a.size || memcmp(a.text, b.text, a.size) == 0);
}

typedef struct normalizer {
    bool sensitive;
    int action; /* 0 none, 'L', 'U' */
    size_t stop_count;
    nnd_string *stops; /* in lower case unless sensitive */
} normalizer;

static nnd_status normalizer_init(const nnd_op_ctx *c, normalizer *n)
{
    const nnd_attr *stops = nnd_node_attr(c->node, "stopwords");
    const char *action = nnd_node_string(c->node, "case_change_action", "NONE");
    *n = (normalizer){.sensitive = nnd_node_int(c->node, "is_case_sensitive", 0) != 0};
    if (strcmp(action, "LOWER") == 0 || strcmp(action, "UPPER") == 0)
        n->action = action[0] == 'L' ? 'L' : 'U';
    else if (strcmp(action, "NONE") != 0)
        return nnd_op_fail(c, NND_E_FORMAT, "case_change_action is '%s'", action);
    if (!stops || stops->kind != NND_ATTR_STRINGS) return NND_OK;
    n->stops = nnd_calloc(stops->count + 1, sizeof(*n->stops));
    if (!n->stops) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for stop words");
    for (; n->stop_count < stops->count; n->stop_count++) {
        nnd_string *to = &n->stops[n->stop_count];
        *to = stops->u.strings[n->stop_count];
        if (!n->sensitive) NND_TRY(cased(c, *to, true, to));
    }
    return NND_OK;
}

static nnd_status normalize(nnd_op_ctx *c, const normalizer *n, nnd_string *kept)
{
    const nnd_tensor *x = c->in[0];
    size_t count = 0;
    for (size_t i = 0; i < (size_t)nnd_tensor_count(x); i++) {
        nnd_string text = strings_of(x)[i], key = text;
        bool stop = false;
        if (!n->sensitive && n->stop_count) NND_TRY(cased(c, text, true, &key));
        for (size_t k = 0; k < n->stop_count && !stop; k++)
            stop = same_text(key, n->stops[k]);
        if (stop) continue;
        if (n->action) NND_TRY(cased(c, text, n->action == 'L', &text));
        kept[count++] = text;
    }
    if (!count) kept[count++] = empty_text;
    int64_t dims[2] = {1, (int64_t)count};
    NND_TRY(nnd_op_make_output(c, 0, NND_STRING, x->rank, x->rank == 1 ? dims + 1 : dims));
    if (c->out[0].data) memcpy(c->out[0].data, kept, count * sizeof(*kept));
    return NND_OK;
}

static nnd_status normalizer_run(nnd_op_ctx *c)
{
    normalizer n = {0};
    const nnd_tensor *x;
    NND_TRY(nnd_op_expect(c, 0, 1u << NND_STRING));
    NND_TRY(nnd_op_need(c, 0, &x));
    if (x->rank != 1 && !(x->rank == 2 && x->dims[0] == 1))
        return nnd_op_fail(c, NND_E_SHAPE, "the input is neither [C] nor [1,C]");
    nnd_string *kept = nnd_calloc((size_t)nnd_tensor_count(x) + 1, sizeof(*kept));
    nnd_status status = kept ? NND_OK : nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for texts");
    if (status == NND_OK) status = normalizer_init(c, &n);
    if (status == NND_OK) status = normalize(c, &n, kept);
    nnd_free(n.stops);
    nnd_free(kept);
    return status;
}

/* ---- what the host does -------------------------------------------------------------------- */

static nnd_status regex_infer(nnd_op_ctx *c)
{
    NND_TRY(nnd_op_expect(c, 0, 1u << NND_STRING));
    return nnd_op_output(c, 0, NND_BOOL, c->in[0]->rank, c->in[0]->dims);
}

static nnd_status regex_run(nnd_op_ctx *c)
{
    const nnd_engine_hooks *hooks = nnd_engine_get_hooks();
    if (!hooks->match_regex)
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "nobody has registered a matcher of patterns");
    nnd_status status =
        hooks->match_regex(hooks->user, nnd_node_string(c->node, "pattern", ""), c->in[0]->data,
                           (size_t)nnd_tensor_count(c->in[0]), c->out[0].data);
    return status == NND_OK ? status : nnd_error_wrap(status, "node '%s'", c->node->name);
}

static nnd_status put_picture(nnd_op_ctx *c, const nnd_value *picture, bool gray)
{
    const nnd_tensor *t = nnd_value_tensor(picture);
    if (!t || t->dtype != NND_U8 || t->rank != 3 || t->dims[2] != (gray ? 1 : 3))
        return nnd_op_fail(c, NND_E_TYPE, "the decoder gave no picture of u8[height,width,%d]",
                           gray ? 1 : 3);
    NND_TRY(nnd_op_make_output(c, 0, NND_U8, 3, t->dims));
    return c->out[0].data ? nnd_tensor_copy(&c->out[0], t) : NND_OK;
}

static nnd_status image_run(nnd_op_ctx *c)
{
    const nnd_engine_hooks *hooks = nnd_engine_get_hooks();
    const char *format = nnd_node_string(c->node, "pixel_format", "RGB");
    nnd_value *picture = NULL;
    NND_TRY(nnd_op_expect(c, 0, 1u << NND_U8));
    bool gray = strcmp(format, "Grayscale") == 0;
    if (!gray && strcmp(format, "RGB") != 0 && strcmp(format, "BGR") != 0)
        return nnd_op_fail(c, NND_E_FORMAT, "pixel_format is '%s'", format);
    if (!hooks->decode_image)
        return nnd_op_fail(c, NND_E_UNSUPPORTED, "nobody has registered a decoder of pictures");
    nnd_status status = hooks->decode_image(hooks->user, c->in[0]->data, nnd_tensor_bytes(c->in[0]),
                                            format, &picture);
    if (status != NND_OK) return nnd_error_wrap(status, "node '%s'", c->node->name);
    status = put_picture(c, picture, gray);
    nnd_value_unref(picture);
    return status;
}

static const nnd_op ops[] = {
    {"", "StringConcat", 20, 0, 2, 2, 1, 1, 0, concat_infer, concat_run, .variant = 0},
    {"", "StringSplit", 20, 0, 1, 1, 1, 2, NND_OP_DYNAMIC, strings_later, split_run, .variant = 0},
    {"", "StringNormalizer", 10, 0, 1, 1, 1, 1, NND_OP_DYNAMIC, strings_later, normalizer_run,
     .variant = 0},
    {"", "RegexFullMatch", 20, 0, 1, 1, 1, 1, 0, regex_infer, regex_run, .variant = 0},
    {"", "ImageDecoder", 20, 0, 1, 1, 1, 1, NND_OP_DYNAMIC, bytes_later, image_run, .variant = 0},
};
const nnd_op_family nnd_ops_strings = {ops, NND_COUNT(ops)};
