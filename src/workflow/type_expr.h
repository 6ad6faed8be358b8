/*
 * Port type expressions as text: a value type name, "any", "list<T>", "a|b", a variable "$T".
 * All functions work on texts without blanks; a type without variables is called actual.
 */
#ifndef NND_WORKFLOW_TYPE_EXPR_H
#define NND_WORKFLOW_TYPE_EXPR_H

#include "nndeploy/workflow.h"

/* What the variables of one node stand for so far. Zero-initialised. */
typedef struct wf_bindings {
    struct wf_binding {
        char *name; /* "$T" */
        char *type; /* actual */
    } * items;
    size_t count, capacity;
} wf_bindings;
void wf_bindings_fini(wf_bindings *bindings);
const char *wf_bindings_get(const wf_bindings *bindings, const char *name); /* NULL = unbound */

/* NND_E_FORMAT with the place inside the text when it is no type expression. known_only: names must
   be registered value types. */
nnd_status wf_type_check(const char *expr, bool known_only);
bool wf_type_has_variables(const char *expr);

typedef enum wf_match {
    WF_MATCH_NO = 0,  /* no value of `actual` is accepted */
    WF_MATCH_RUN = 1, /* some may be ("any" or a union into something narrower): check each value */
    WF_MATCH_YES = 2
} wf_match;
/* Whether values of type `actual` may flow into a port of type `expr`. Unbound variables of expr
   are bound to what they meet ("any" does not bind); bound ones must match what they stand for.
   *match is only written on NND_OK; the only failure is NND_E_OUT_OF_MEMORY. */
nnd_status wf_type_match(const char *expr, const char *actual, wf_bindings *bindings,
                         wf_match *match);
/* The expression with its variables replaced; unbound ones become "any" and *complete false
   (may be NULL). nnd_free. */
nnd_status wf_type_substitute(const char *expr, const wf_bindings *bindings, bool *complete,
                              char **out);
/* Whether a value (not a GAP) is of an actual type; looks into lists. */
bool wf_type_accepts(const char *actual, const nnd_value *value);

#endif
