/* Text: a growing string, UTF-8, quoting for messages, suggestions for misspelt names. */
#ifndef NND_BASE_STR_H
#define NND_BASE_STR_H

#include "nndeploy/base.h"

/* A string builder, zero-initialised: `nnd_str s = {0};`. Appending never fails on the spot: once
   memory ran out, `failed` stays set and further calls do nothing; ask at the end. data is
   NUL-terminated, NULL while nothing was appended. */
typedef struct nnd_str {
    char *data;
    size_t size; /* bytes without the NUL */
    size_t capacity;
    bool failed;
} nnd_str;

void nnd_str_free(nnd_str *s);
void nnd_str_clear(nnd_str *s); /* empty again, keeps its memory */
void nnd_str_add(nnd_str *s, const char *text);
void nnd_str_add_n(nnd_str *s, const char *text, size_t size);
void nnd_str_add_char(nnd_str *s, char c);
void nnd_str_printf(nnd_str *s, const char *format, ...) NND_PRINTF(2, 3);
void nnd_str_vprintf(nnd_str *s, const char *format, va_list args);
/* Appends text for people: in single quotes, control characters and invalid UTF-8 as \xNN, cut
   after `limit` bytes with "…". */
void nnd_str_add_quoted(nnd_str *s, const char *text, size_t size, size_t limit);
/* The finished text (never NULL on NND_OK), owned by the caller; the builder is empty afterwards.
   NND_E_OUT_OF_MEMORY when an append had failed. size may be NULL. */
nnd_status nnd_str_take(nnd_str *s, char **text, size_t *size);
/* The same without an error record, for code below the records; false without memory. */
bool nnd_str_take_quiet(nnd_str *s, char **text);
/* One formatted text, freed with nnd_free; NULL without memory. */
char *nnd_strf(const char *format, ...) NND_PRINTF(1, 2);
char *nnd_strdup_n(const char *text, size_t size);

bool nnd_str_starts_with(const char *text, const char *prefix);
bool nnd_str_ends_with(const char *text, const char *suffix);
bool nnd_str_equal(const char *a, const char *b); /* NULL equals only NULL */

/* Length of the valid UTF-8 prefix; == size when all of it is valid (shortest forms only, no
   surrogates, at most U+10FFFF). */
size_t nnd_utf8_valid_prefix(const char *text, size_t size);
bool nnd_utf8_valid(const char *text, size_t size);
/* Decodes one character of valid UTF-8 and says how many bytes it took (≥ 1). */
uint32_t nnd_utf8_decode(const char *text, size_t size, size_t *used);
/* Writes 1..4 bytes for a code point (a valid one), returns their number. */
size_t nnd_utf8_encode(uint32_t code, char out[4]);

/* Number of single-character edits (insert, delete, replace, swap of neighbours) between a and b,
   or limit + 1 when it is more than `limit`. Names beyond 64 bytes count as far away. */
unsigned nnd_str_distance(const char *a, const char *b, unsigned limit);

/* "Did you mean": the candidate nearest to `name`, or NULL when none is near. Feed candidates one
   by one (they are borrowed), read `best` at the end. */
typedef struct nnd_suggest {
    const char *name;
    const char *best;
    unsigned distance;
} nnd_suggest;
void nnd_suggest_begin(nnd_suggest *s, const char *name);
void nnd_suggest_offer(nnd_suggest *s, const char *candidate);
/* The same for an array of names. */
const char *nnd_suggest_from(const char *name, const char *const *candidates, size_t count);

#endif
