/* Which variant of a catalogued model suits a node. */
#ifndef NND_NODES_VARIANT_H
#define NND_NODES_VARIANT_H

#include "nndeploy/catalog.h"
#include "nndeploy/workflow.h"

/* The variant for a wish: one that answers `word` (what stands behind '@' in the model's name; "" =
   any) and is for the wished backend. Without a wished backend everything suits, best what the
   built-in engine reads, then what an available backend reads. Among those that suit, one of the
   wished precision goes before the pinned one, that before others, and the first before equals.
   NULL when none suits. */
const nnd_catalog_variant *nnd_variant_choose(const nnd_catalog_model *model, const char *word,
                                              const nnd_model_wish *wish);
/* Sets the record for a wish that no variant meets: NND_E_MISSING, with those that there are. */
nnd_status nnd_variant_none(const nnd_catalog_model *model, const char *word,
                            const nnd_model_wish *wish);
/* Suffixes of the files that the wished backend reads, as in nnd_backend; those of the built-in
   engine when the wish names none that is known. */
const char *nnd_variant_formats(const nnd_model_wish *wish);
/* Whether the variant itself is of the wished precision; not when none is wished. */
bool nnd_variant_is_of_precision(const nnd_catalog_variant *variant, const nnd_model_wish *wish);

#endif
