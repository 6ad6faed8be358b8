/*
 * Options as text, "threads=4,precision=f16,profile": one table declares name, kind, bounds and
 * where the value goes; errors name the option, the value, what is allowed and the nearest name.
 *
 *     struct my { int64_t threads; bool profile; } my = {0};
 *     static const nnd_option options[] = {
 *         NND_OPTION_INT(struct my, threads, "threads", 0, 256, "threads, 0 = automatic"),
 *         NND_OPTION_BOOL(struct my, profile, "profile", "measure each operator"),
 *     };
 *     NND_TRY(nnd_options_parse(options, NND_COUNT(options), text, "backend builtin", &my));
 */
#ifndef NND_BASE_OPTIONS_H
#define NND_BASE_OPTIONS_H

#include "nndeploy/base.h"

typedef enum nnd_option_kind {
    NND_OPTION_KIND_BOOL,  /* bool; "true|false|1|0|on|off|yes|no", or the bare name */
    NND_OPTION_KIND_INT,   /* int64_t */
    NND_OPTION_KIND_FLOAT, /* double */
    NND_OPTION_KIND_ENUM,  /* int: position in choices "a|b|c" */
    NND_OPTION_KIND_STRING /* char *, replaced by a copy (nnd_free) */
} nnd_option_kind;

typedef struct nnd_option {
    const char *name;
    nnd_option_kind kind;
    size_t offset;   /* of the field in the target struct */
    double min, max; /* bounds of int and float, both included */
    const char *choices;
    const char *help;
} nnd_option;

#define NND_OPTION_BOOL(type, field, name, help)                                                   \
    {                                                                                              \
        name, NND_OPTION_KIND_BOOL, offsetof(type, field), 0, 0, NULL, help                        \
    }
#define NND_OPTION_INT(type, field, name, min, max, help)                                          \
    {                                                                                              \
        name, NND_OPTION_KIND_INT, offsetof(type, field), (double)(min), (double)(max), NULL, help \
    }
#define NND_OPTION_FLOAT(type, field, name, min, max, help)                                        \
    {                                                                                              \
        name, NND_OPTION_KIND_FLOAT, offsetof(type, field), min, max, NULL, help                   \
    }
#define NND_OPTION_ENUM(type, field, name, choices, help)                                          \
    {                                                                                              \
        name, NND_OPTION_KIND_ENUM, offsetof(type, field), 0, 0, choices, help                     \
    }
#define NND_OPTION_STRING(type, field, name, help)                                                 \
    {                                                                                              \
        name, NND_OPTION_KIND_STRING, offsetof(type, field), 0, 0, NULL, help                      \
    }

/* Parses "name=value" pairs separated by ',' or ';' (a value in double quotes may hold them).
   NULL and "" are fine. Fields that are not named keep their value. `where` names the owner in
   messages. NND_E_INVALID_ARGUMENT, with fields before the bad one already set. */
nnd_status nnd_options_parse(const nnd_option *options, size_t count, const char *text,
                             const char *where, void *target);
/* Sets one field. value NULL is a bare name (booleans only). */
nnd_status nnd_options_set(const nnd_option *options, size_t count, const char *name,
                           const char *value, const char *where, void *target);
/* Frees string fields. */
void nnd_options_fini(const nnd_option *options, size_t count, void *target);

/* Whole-text conversions, independent of the locale; false (and *out unchanged) for anything
   else, also surrounding blanks. */
bool nnd_parse_int(const char *text, int64_t *out);   /* decimal, optional sign */
bool nnd_parse_double(const char *text, double *out); /* JSON's number form */
bool nnd_parse_bool(const char *text, bool *out);
/* Position of text in "a|b|c", or -1. */
int nnd_parse_choice(const char *text, const char *choices);

#endif
