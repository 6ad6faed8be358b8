/*
 * Texts for people in their language. The English text is in the code; locale/<lang>.json holds
 * the others, flat {"cli.help": "…"} or nested {"cli": {"help": "…"}} (the same key). A table is
 * immutable after loading and may be read by any thread.
 */
#ifndef NND_BASE_LOCALE_H
#define NND_BASE_LOCALE_H

#include "nndeploy/base.h"

typedef struct nnd_locale nnd_locale;

/* The language asked for by NNDEPLOY_LANG, LC_ALL, LC_MESSAGES or LANG (the first one set):
   "zh_CN.UTF-8" gives "zh"; "C", "POSIX" and nothing give "en". */
void nnd_locale_language(char out[16]);

/* An empty table for a language code ("zh"); it answers every look-up with the fallback. */
nnd_status nnd_locale_create(const char *language, nnd_locale **out);
void nnd_locale_destroy(nnd_locale *locale);
/* Adds the texts of one file or of JSON in memory; a later text replaces an earlier one. Plug-ins
   bring theirs this way. NND_E_NOT_FOUND, NND_E_FORMAT (a value that is not text, a bad key). */
nnd_status nnd_locale_load(nnd_locale *locale, const char *path);
nnd_status nnd_locale_load_text(nnd_locale *locale, const char *json, size_t size,
                                const char *file);
/* Adds <folder>/<language>.json; a missing file is fine. */
nnd_status nnd_locale_load_folder(nnd_locale *locale, const char *folder);
const char *nnd_locale_language_of(const nnd_locale *locale);
/* The text for a key, or `fallback` (English). locale may be NULL. Borrowed. */
const char *nnd_locale_text(const nnd_locale *locale, const char *key, const char *fallback);
size_t nnd_locale_count(const nnd_locale *locale);
const char *nnd_locale_key_at(const nnd_locale *locale, size_t index);

#endif
