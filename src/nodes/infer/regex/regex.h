/* Patterns inside of models (RegexFullMatch), through PCRE2. */
#ifndef NND_NODES_REGEX_H
#define NND_NODES_REGEX_H

#include "nndeploy/data.h"

/* matches[i]: the whole of texts[i], UTF-8, matches the pattern. The library is loaded with the
   first call. NND_E_MISSING without it, NND_E_FORMAT for a pattern that is none, NND_E_LIMIT for
   one that is longer than 4096 bytes or needs too many steps or too much memory on a text. What is
   not UTF-8 matches nothing. Any thread. */
nnd_status nnd_regex_full_match(const char *pattern, const nnd_string *texts, size_t count,
                                bool *matches);

#endif
