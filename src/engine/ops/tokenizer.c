/* com.microsoft.Tokenizer: texts cut into tokens by separators, by a pattern of tokens, or into
   characters; rows as long as the longest, padded. Patterns are the host's. */
#include <string.h>

#include "base/str.h"
#include "base/vec.h"
#include "engine/hooks.h"
#include "engine/ops/control.h"

/* Pieces of the texts, in their order. */
typedef struct piece {
    nnd_string text; /* inside of the input */
    size_t row;
} piece;

typedef struct pieces {
    NND_VEC(piece) list;
} pieces;

typedef struct tokenizer {
    const nnd_op_ctx *c;
    const char *pattern; /* of tokens; NULL = there are separators */
    const nnd_attr *separators;
    nnd_string pad;
    size_t shortest; /* characters of a token */
    bool characters, mark;
} tokenizer;

static nnd_status no_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for tokens");
}

static nnd_status read_attributes(const nnd_op_ctx *c, tokenizer *t)
{
    const nnd_graph_node *n = c->node;
    const nnd_attr *pad = nnd_node_attr(n, "pad_value"), *exp = nnd_node_attr(n, "tokenexp");
    const int64_t shortest = nnd_node_int(n, "mincharnum", 1);
    *t = (tokenizer){.c = c, .separators = nnd_node_attr(n, "separators"), .pad = {"", 0}};
    if (pad && pad->kind == NND_ATTR_STRING) t->pad = pad->u.s;
    if (exp && exp->kind == NND_ATTR_STRING && exp->u.s.size) t->pattern = exp->u.s.text;
    if (t->separators && (t->separators->kind != NND_ATTR_STRINGS || !t->separators->count))
        t->separators = NULL;
    if (!t->pattern == !t->separators)
        return nnd_op_fail(c, NND_E_FORMAT, "one of separators and tokenexp is needed, not both");
    if (shortest < 1 || shortest > INT32_MAX)
        return nnd_op_fail(c, NND_E_FORMAT, "mincharnum is %lld", (long long)shortest);
    /* ONNX Runtime, too, takes this pattern for any character, ends of lines among them. */
    t->characters = t->pattern ? strcmp(t->pattern, ".") == 0
                               : t->separators->count == 1 && !t->separators->u.strings[0].size;
    if (t->characters && shortest > 1)
        return nnd_op_fail(c, NND_E_FORMAT, "mincharnum is %lld, but tokens are characters",
                           (long long)shortest);
    t->shortest = (size_t)shortest;
    t->mark = nnd_node_int(n, "mark", 0) != 0;
    return NND_OK;
}

/* ---- cutting ------------------------------------------------------------------------------- */

static size_t count_characters(nnd_string text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.size; i++)
        n += ((uint8_t)text.text[i] & 0xc0) != 0x80;
    return n;
}

static nnd_status add(const tokenizer *t, pieces *to, nnd_string whole, size_t row, size_t begin,
                      size_t end)
{
    const piece p = {{whole.text + begin, end - begin}, row};
    if (count_characters(p.text) < t->shortest) return NND_OK;
    return nnd_vec_push(&to->list, p) ? NND_OK : no_memory();
}

static nnd_status cut_characters(const tokenizer *t, const pieces *from, pieces *to)
{
    for (size_t i = 0; i < from->list.count; i++) {
        const piece *p = &from->list.items[i];
        size_t used;
        for (size_t at = 0; at < p->text.size; at += used) {
            (void)nnd_utf8_decode(p->text.text + at, p->text.size - at, &used);
            NND_TRY(add(t, to, p->text, p->row, at, at + used));
        }
    }
    return NND_OK;
}

static nnd_status cut_at_text(const tokenizer *t, nnd_string separator, const pieces *from,
                              pieces *to)
{
    for (size_t i = 0; i < from->list.count; i++) {
        const piece *p = &from->list.items[i];
        size_t begin = 0, at = 0;
        while (at + separator.size <= p->text.size) {
            if (memcmp(p->text.text + at, separator.text, separator.size) != 0) {
                at++;
                continue;
            }
            NND_TRY(add(t, to, p->text, p->row, begin, at));
            begin = at += separator.size;
        }
        NND_TRY(add(t, to, p->text, p->row, begin, p->text.size));
    }
    return NND_OK;
}

/* What the host finds, as it finds it. */
typedef struct search {
    const tokenizer *t;
    const pieces *from;
    pieces *to;
    bool separators; /* what is found lies between tokens */
    size_t done;     /* pieces whose last token was taken */
    size_t begin;    /* of the rest of the piece at hand */
} search;

/* Takes what lies behind the last separator of every piece before `end`. */
static nnd_status finish_pieces(search *s, size_t end)
{
    for (; s->done < end; s->done++) {
        const piece *p = &s->from->list.items[s->done];
        NND_TRY(add(s->t, s->to, p->text, p->row, s->begin, p->text.size));
        s->begin = 0;
    }
    return NND_OK;
}

static nnd_status found(void *to, size_t i, size_t begin, size_t end)
{
    search *s = to;
    const bool in_order = i >= s->done && i < s->from->list.count;
    if (in_order && i > s->done && s->separators) NND_TRY(finish_pieces(s, i));
    if (in_order && i > s->done) s->begin = 0;
    if (!in_order || begin < s->begin || begin >= end || end > s->from->list.items[i].text.size)
        return nnd_error_set(NND_E_INTERNAL, "the matcher of patterns found what is not there");
    const piece *p = &s->from->list.items[i];
    NND_TRY(add(s->t, s->to, p->text, p->row, s->separators ? s->begin : begin,
                s->separators ? begin : end));
    s->done = i;
    s->begin = end;
    return NND_OK;
}

static nnd_status cut_by_pattern(const tokenizer *t, const char *pattern, bool separators,
                                 const pieces *from, pieces *to)
{
    const nnd_engine_hooks *hooks = nnd_engine_get_hooks();
    search s = {.t = t, .from = from, .to = to, .separators = separators};
    if (!hooks->find_regex)
        return nnd_op_fail(t->c, NND_E_UNSUPPORTED, "nobody has registered a finder of patterns");
    nnd_string *texts = nnd_calloc(from->list.count + 1, sizeof(*texts));
    if (!texts) return no_memory();
    for (size_t i = 0; i < from->list.count; i++)
        texts[i] = from->list.items[i].text;
    nnd_status status = hooks->find_regex(hooks->user, pattern, texts, from->list.count, found, &s);
    nnd_free(texts);
    if (status != NND_OK) return nnd_error_wrap(status, "node '%s'", t->c->node->name);
    return separators ? finish_pieces(&s, from->list.count) : NND_OK;
}

/* Separators are patterns; most of them mean no more than they say. */
static bool is_plain(nnd_string text)
{
    for (size_t i = 0; i < text.size; i++)
        if (!text.text[i] || strchr("\\^$.|?*+()[]{}", text.text[i])) return false;
    return text.size > 0;
}

static void swap(pieces *a, pieces *b)
{
    const pieces c = *a;
    *a = *b;
    *b = c;
    nnd_vec_clear(&b->list);
}

/* One separator after the other cuts what those before it left. */
static nnd_status cut(const tokenizer *t, pieces *tokens, pieces *spare)
{
    nnd_status status = NND_OK;
    if (t->characters || t->pattern) {
        status = t->characters ? cut_characters(t, tokens, spare)
                               : cut_by_pattern(t, t->pattern, false, tokens, spare);
        swap(tokens, spare);
        return status;
    }
    for (size_t k = 0; k < t->separators->count && status == NND_OK; k++) {
        const nnd_string separator = t->separators->u.strings[k];
        status = is_plain(separator) ? cut_at_text(t, separator, tokens, spare)
                                     : cut_by_pattern(t, separator.text, true, tokens, spare);
        swap(tokens, spare);
    }
    return status;
}

/* ---- the result ---------------------------------------------------------------------------- */

static nnd_status write_row(const tokenizer *t, const pieces *tokens, size_t *next, size_t row,
                            nnd_string *to, size_t width)
{
    size_t n = 0;
    if (t->mark) to[n++] = (nnd_string){"\x02", 1};
    for (; *next < tokens->list.count && tokens->list.items[*next].row == row; ++*next) {
        const nnd_string token = tokens->list.items[*next].text;
        char *text;
        NND_TRY(nnd_op_text(t->c, token.size, &text));
        memcpy(text, token.text, token.size);
        to[n++] = (nnd_string){text, token.size};
    }
    if (t->mark) to[n++] = (nnd_string){"\x03", 1};
    while (n < width)
        to[n++] = t->pad;
    return NND_OK;
}

static nnd_status make_result(nnd_op_ctx *c, const tokenizer *t, const pieces *tokens, size_t rows)
{
    const nnd_tensor *x = c->in[0];
    int64_t dims[NND_MAX_RANK];
    size_t widest = 0, width = 0, next = 0;
    for (size_t i = 0; i < tokens->list.count; i++) {
        width = i && tokens->list.items[i].row == tokens->list.items[i - 1].row ? width + 1 : 1;
        if (width > widest) widest = width;
    }
    if (t->mark && rows) widest += 2;
    memcpy(dims, x->dims, sizeof(dims));
    dims[x->rank] = (int64_t)widest;
    NND_TRY(nnd_op_make_output(c, 0, NND_STRING, x->rank + 1, dims));
    nnd_string *to = c->out[0].data;
    for (size_t row = 0; to && row < rows; row++)
        NND_TRY(write_row(t, tokens, &next, row, to + row * widest, widest));
    return NND_OK;
}

static nnd_status run(nnd_op_ctx *c)
{
    tokenizer t;
    pieces tokens = {{0}}, spare = {{0}};
    const nnd_tensor *x;
    NND_TRY(nnd_op_expect(c, 0, 1u << NND_STRING));
    NND_TRY(nnd_op_need(c, 0, &x));
    if (x->rank < 1 || x->rank > 2)
        return nnd_op_fail(c, NND_E_SHAPE, "the input is neither [C] nor [N,C]");
    NND_TRY(read_attributes(c, &t));
    const size_t rows = (size_t)nnd_tensor_count(x);
    nnd_status status = NND_OK;
    for (size_t row = 0; row < rows && status == NND_OK; row++) {
        const piece whole = {((const nnd_string *)x->data)[row], row};
        if (!nnd_utf8_valid(whole.text.size ? whole.text.text : "", whole.text.size))
            status = nnd_op_fail(c, NND_E_FORMAT, "text %zu is not UTF-8", row);
        else if (!nnd_vec_push(&tokens.list, whole))
            status = no_memory();
    }
    if (status == NND_OK) status = cut(&t, &tokens, &spare);
    if (status == NND_OK) status = make_result(c, &t, &tokens, rows);
    nnd_vec_free(&tokens.list);
    nnd_vec_free(&spare.list);
    return status;
}

static nnd_status infer(nnd_op_ctx *c)
{
    NND_TRY(nnd_op_expect(c, 0, 1u << NND_STRING));
    return NND_E_AGAIN;
}

static const nnd_op ops[] = {
    {"com.microsoft", "Tokenizer", 1, 0, 1, 1, 1, 1, NND_OP_DYNAMIC, infer, run, .variant = 0},
};
const nnd_op_family nnd_ops_tokenizer = {ops, NND_COUNT(ops)};
