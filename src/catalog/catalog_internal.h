/* What the files of the catalogue share. */
#ifndef NND_CATALOG_CATALOG_INTERNAL_H
#define NND_CATALOG_CATALOG_INTERNAL_H

#include "base/arena.h"
#include "nndeploy/catalog.h"

/* ---- catalogues in memory ---------------------------------------------------------------- */

/* The public structs stand first, so that a pointer to one is a pointer to the whole. */
typedef struct cat_variant {
    nnd_catalog_variant pub;
    nnd_catalog_file *files;
    nnd_catalog_port *ports;
} cat_variant;

typedef struct cat_model {
    nnd_catalog_model pub;
    cat_variant *variants;
} cat_model;

struct nnd_catalog {
    nnd_arena arena;
    cat_model *models; /* sorted by name */
    size_t count;
};

/* The bytes of models/catalog.json, made by cmake/NndEmbed.cmake. */
extern const unsigned char nnd_catalog_builtin_text[];
extern const size_t nnd_catalog_builtin_size;

/* ---- names and URLs ---------------------------------------------------------------------- */

/* Letters, digits, '.', '_', '-'; begins with a letter or digit; at most 64. */
bool cat_is_name(const char *text);
/* One or more names of the kind above, and '+', joined by '/', at most 200 bytes; none of the
   endings that the cache itself uses. */
bool cat_is_file_name(const char *text);
bool cat_is_web_url(const char *text); /* https or http, with a host, no blanks or quotes */
bool cat_is_github(const char *text);  /* github:OWNER/REPOSITORY@COMMIT/PATH */
/* The address under which a URL of a catalogue can be had (nnd_free); NULL without memory. */
char *cat_url_expand(const char *url);

/* ---- the cache --------------------------------------------------------------------------- */

struct nnd_model_cache {
    nnd_catalog *own_catalog; /* NULL = somebody else's */
    const nnd_catalog *catalog;
    char *folder;
    char **mirrors;
    size_t mirror_count;
};

static inline bool cat_is_url(const char *mirror)
{
    for (const char *p = mirror; *p; p++)
        if (p[0] == ':' && p[1] == '/' && p[2] == '/') return true;
    return false;
}

/* <root>/<model>/<file>; underscore: the model's name with '_' for '-'. NULL without memory. */
char *cat_path_in(const char *root, const nnd_catalog_model *model, const nnd_catalog_file *file,
                  bool underscore);
/* The path in a folder that has the file with the right size; NULL when it has none. */
char *cat_find_in(const char *root, const nnd_catalog_model *model, const nnd_catalog_file *file);

static inline nnd_status cat_no_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for the catalogue of models");
}

/* Whether the bytes at path are those of the file. */
nnd_status cat_compare(const char *path, const nnd_catalog_file *file, bool *same);

/* ---- downloading ------------------------------------------------------------------------- */

/* One file on its way into the cache. */
typedef struct cat_job {
    const nnd_catalog_model *model;
    const nnd_catalog_file *file;
    const nnd_pull_options *options; /* complete: no zeros */
    char *path;                      /* its place */
    char *part;                      /* <path>.part */
    char *origin;                    /* <path>.part-origin: where part comes from */
} cat_job;

void cat_job_report(const cat_job *job, const char *source, uint64_t done, bool resumed,
                    bool finished);
/* Bytes that an interrupted attempt has left; more than the file has are thrown away. */
uint64_t cat_job_left(const cat_job *job);
void cat_job_drop_part(const cat_job *job);
/* Compares part with the digest and moves it to its place. NND_E_FORMAT: other bytes; part is
   gone then. */
nnd_status cat_job_finish(const cat_job *job, const char *source);
/* Fills part from a URL and finishes it; retries what may pass. */
nnd_status cat_fetch(const cat_job *job, const char *url);

#endif
