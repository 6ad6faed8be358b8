/* Patterns inside of models (RegexFullMatch, Tokenizer), through PCRE2. */
#ifndef NND_NODES_REGEX_H
#define NND_NODES_REGEX_H

#include "nndeploy/data.h"

/* matches[i]: the whole of texts[i], UTF-8, matches the pattern. The library is loaded with the
   first call. NND_E_MISSING without it, NND_E_FORMAT for a pattern that is none, NND_E_LIMIT for
   one that is longer than 4096 bytes or needs too many steps or too much memory on a text. What is
   not UTF-8 matches nothing. Any thread. */
nnd_status nnd_regex_full_match(const char *pattern, const nnd_string *texts, size_t count,
                                bool *matches);

typedef nnd_status (*nnd_regex_found_fn)(void *to, size_t i, size_t begin, size_t end);
/* found(to, i, begin, end) for every match in texts[i] that is not empty, in order and without
   overlaps: the leftmost ones, of these the longest. What `found` returns unless it is NND_OK ends
   the search. Errors as above; also NND_E_LIMIT for a text of more than 256 KiB, for the time of a
   search may grow with its square, and NND_E_FORMAT for a text that is not UTF-8. */
nnd_status nnd_regex_find(const char *pattern, const nnd_string *texts, size_t count,
                          nnd_regex_found_fn found, void *to);

#endif
