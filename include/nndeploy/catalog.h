/*
 * nndeploy/catalog.h: models by name. A catalogue says which files a model has, what they contain
 * and where they can be had; the cache holds them on this machine; pulling brings them there.
 *
 * Sections: 1 catalogues · 2 the cache · 3 pulling
 *
 * Part of nndeploy, Apache-2.0. Compiles alone as C11 and C++17.
 */
#ifndef NNDEPLOY_CATALOG_H
#define NNDEPLOY_CATALOG_H

#include "nndeploy/data.h"
#include "nndeploy/sched.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- 1 catalogues ---------------------------------------------------------------------- */

/* A catalogue is a JSON file of the form "nndeploy-catalog/1" (docs/schema/catalog.schema.json):
   models by name, each with variants for frameworks and precisions, each with one or more files.
   Immutable once read; everything below is borrowed from it. Any thread. */
typedef struct nnd_catalog nnd_catalog;

/* One file of a variant. Fields may be appended in later versions. */
typedef struct nnd_catalog_file {
    const char *role;   /* "model" is what a backend opens; "weights", "labels", "tokenizer", … */
    const char *name;   /* relative to the model's folder, '/' between folders */
    const char *sha256; /* 64 lower-case hex digits */
    uint64_t size;      /* bytes */
    /* https://…, http://… or github:OWNER/REPOSITORY@COMMIT/PATH, in the order to be tried */
    const char *const *urls;
    size_t url_count;
} nnd_catalog_file;

/* Priors of a single-shot detector (SSD): per level of the network, cells of `step` pixels from the
   left and the top, and in the middle of each one square per size, in pixels. */
typedef struct nnd_catalog_level {
    double step;
    const double *sizes;
    size_t size_count;
} nnd_catalog_level;
typedef struct nnd_catalog_priors {
    const nnd_catalog_level *levels;
    size_t level_count;
    double center_variance, size_variance;
} nnd_catalog_priors;

/* How a port of a variant differs from what workflows see, which is the same for every variant of a
   model: the name `port`; the dimensions N, C, D, H and W of a layout in this order; f32 where the
   dtype that is said is another float or an integer of at most 16 bits, or where there is a scale
   or an offset. What has none of these is as in the file. infer.model converts. */
typedef struct nnd_catalog_port {
    const char *port;   /* the name that workflows use */
    const char *name;   /* the name in the variant's own files */
    const char *layout; /* of the tensor in these files, "NHWC", no letter twice; "" = not said */
    nnd_dtype dtype;    /* of the tensor in these files; NND_DTYPE_INVALID = not said */
    double scale;       /* file's number = workflow's number · scale + offset; 1 = as it is */
    /* The files give offsets from these, workflows get corners in 0…1 from infer.model; NULL =
       none. The picture is the model's first input, in the order NCHW. */
    const nnd_catalog_priors *priors;
    double offset; /* 0 = nothing is added */
    /* Instead of scale and offset: one of each per channel, the C of the layout; NULL and 0 where
       all channels have the same. */
    const double *scales, *offsets;
    size_t channel_count;
} nnd_catalog_port;

typedef struct nnd_catalog_variant {
    const char *backend;   /* "" = every backend that reads the file */
    const char *precision; /* "f32", "int8", … */
    const char *device;    /* "" = any */
    size_t file_count;
    size_t port_count;
} nnd_catalog_variant;

typedef struct nnd_catalog_model {
    const char *name;    /* letters, digits, '.', '_', '-'; at most 64 */
    const char *task;    /* "object-detection" */
    const char *licence; /* of the weights, "Apache-2.0" */
    const char *note;    /* what a user should know about licence or use; "" = nothing */
    size_t variant_count;
} nnd_catalog_model;

/* Reads a catalogue; file (may be NULL) names the source in errors. NND_E_FORMAT with line and
   column for anything that is not as the schema says, also for file names that would lead out of
   their folder and for URLs of other kinds than the three above. */
NND_API nnd_status nnd_catalog_parse(const char *text, size_t size, const char *file,
                                     nnd_catalog **out);
NND_API nnd_status nnd_catalog_load(const char *path, nnd_catalog **out);
NND_API void nnd_catalog_destroy(nnd_catalog *catalog); /* takes NULL */
/* The catalogue that is part of the library. Read on first use, never destroyed; NULL without
   memory. */
NND_API const nnd_catalog *nnd_catalog_builtin(void);

NND_API size_t nnd_catalog_count(const nnd_catalog *catalog);
NND_API const nnd_catalog_model *nnd_catalog_at(const nnd_catalog *catalog, size_t index);
NND_API const nnd_catalog_model *nnd_catalog_find(const nnd_catalog *catalog, const char *name);
/* The name nearest to a misspelt one, NULL when none is near. */
NND_API const char *nnd_catalog_suggest(const nnd_catalog *catalog, const char *name);
/* NULL beyond the end. */
NND_API const nnd_catalog_variant *nnd_catalog_variant_at(const nnd_catalog_model *model,
                                                          size_t index);
NND_API const nnd_catalog_file *nnd_catalog_file_at(const nnd_catalog_variant *variant,
                                                    size_t index);
NND_API const nnd_catalog_port *nnd_catalog_port_at(const nnd_catalog_variant *variant,
                                                    size_t index);
/* The file with role "model"; every variant has exactly one. */
NND_API const nnd_catalog_file *nnd_catalog_main_file(const nnd_catalog_variant *variant);
/* The variant that suits best: one made for this backend before one for all; the first among
   equals. NULL or "" = whatever. NULL when there is none. */
NND_API const nnd_catalog_variant *nnd_catalog_pick(const nnd_catalog_model *model,
                                                    const char *backend, const char *precision,
                                                    const char *device);
/* The variant whose main file has this digest (hex of either case), NULL when there is none. */
NND_API const nnd_catalog_variant *nnd_catalog_pick_sha256(const nnd_catalog_model *model,
                                                           const char *sha256);

/* A variant in one word, "mnn-int8": backend, device and precision as far as the catalogue says
   them. text is returned; 200 bytes hold every word. */
NND_API const char *nnd_catalog_variant_word(const nnd_catalog_variant *variant, char *text,
                                             size_t size);
/* Whether a word that stands behind a model's name ("ultraface-rfb320@mnn-int8") means this
   variant: its word, or its backend, device or precision alone. Several variants may answer. */
NND_API bool nnd_catalog_variant_answers(const nnd_catalog_variant *variant, const char *word);
/* The words of all variants, "f32, ncnn-f32" (nnd_free); NULL without memory. */
NND_API char *nnd_catalog_variant_words(const nnd_catalog_model *model);

/* ---- 2 the cache ----------------------------------------------------------------------- */

/* Where the models of a catalogue are on this machine: <folder>/<model>/<file name>. Folders that
   serve as mirrors have the same form, so one machine's cache can be another one's mirror. */
typedef struct nnd_model_cache nnd_model_cache;

typedef struct nnd_model_cache_options {
    size_t size;                /* = sizeof(nnd_model_cache_options) */
    const nnd_catalog *catalog; /* has to outlive the cache; NULL = the one that NNDEPLOY_CATALOG
                                   names, else the library's own */
    const char *folder;         /* NULL = models/ in NNDEPLOY_CACHE, else in nndeploy/ in the
                                   user's folder for caches (XDG_CACHE_HOME or ~/.cache;
                                   ~/Library/Caches; %LOCALAPPDATA%) */
    const char *const *mirrors; /* folders or URLs that come before those of NNDEPLOY_MIRRORS
                                   (separated by ';'), which come before the lines of the file
                                   nndeploy/mirrors in the user's folder for settings */
    size_t mirror_count;
} nnd_model_cache_options;
#define NND_MODEL_CACHE_OPTIONS_INIT                                                               \
    {                                                                                              \
        sizeof(nnd_model_cache_options), NULL, NULL, NULL, 0                                       \
    }

/* The user's folder for models, as above (nnd_free). NND_E_MISSING when the environment names
   none. */
NND_API nnd_status nnd_model_cache_default_folder(char **path);
/* Nothing is made on the disk. Unchangeable afterwards: any thread. options NULL = defaults.
   NND_E_FORMAT for a catalogue that cannot be read, NND_E_INVALID_ARGUMENT for a mirror that is a
   URL of another kind than https and http. */
NND_API nnd_status nnd_model_cache_create(const nnd_model_cache_options *options,
                                          nnd_model_cache **out);
NND_API void nnd_model_cache_destroy(nnd_model_cache *cache); /* takes NULL */
NND_API const nnd_catalog *nnd_model_cache_catalog(const nnd_model_cache *cache);
NND_API const char *nnd_model_cache_folder(const nnd_model_cache *cache);
/* Mirrors in the order in which they are tried; the last may be the models that are installed with
   the program. */
NND_API size_t nnd_model_cache_mirror_count(const nnd_model_cache *cache);
NND_API const char *nnd_model_cache_mirror_at(const nnd_model_cache *cache, size_t index);

/* Where a file belongs in the cache, whether or not it is there (nnd_free). */
NND_API nnd_status nnd_model_cache_path(const nnd_model_cache *cache,
                                        const nnd_catalog_model *model,
                                        const nnd_catalog_file *file, char **path);
/* Where a file of a variant is (nnd_free): in the cache, else in a mirror that is a folder; the
   first one that has all files of the variant counts, so that a model finds its others beside it.
   Sizes are compared, contents are not. file NULL = the main one. NND_E_MISSING with the way out.
 */
NND_API nnd_status nnd_model_cache_find(const nnd_model_cache *cache,
                                        const nnd_catalog_model *model,
                                        const nnd_catalog_variant *variant,
                                        const nnd_catalog_file *file, char **path);

typedef enum nnd_model_file_state {
    NND_MODEL_FILE_MISSING = 0,
    NND_MODEL_FILE_PARTIAL = 1, /* a download was interrupted; pulling goes on with it */
    NND_MODEL_FILE_DAMAGED = 2, /* not the bytes that the catalogue names */
    NND_MODEL_FILE_PRESENT = 3
} nnd_model_file_state;
/* "missing", "partial", "damaged", "present". Static storage. */
NND_API const char *nnd_model_file_state_name(nnd_model_file_state state);
/* State of a file in the cache. content false: only the size is compared. */
NND_API nnd_status nnd_model_cache_check(const nnd_model_cache *cache,
                                         const nnd_catalog_model *model,
                                         const nnd_catalog_file *file, bool content,
                                         nnd_model_file_state *state);

/* ---- 3 pulling ------------------------------------------------------------------------- */

typedef struct nnd_pull_event {
    const nnd_catalog_model *model;
    const nnd_catalog_file *file;
    const char *source; /* what is read now, file or URL; "" when the file was there already */
    uint64_t done;      /* bytes of the file that are there */
    bool resumed;       /* began with what an earlier attempt had left */
    bool finished;      /* the file is in its place */
} nnd_pull_event;

typedef struct nnd_pull_options {
    size_t size; /* = sizeof(nnd_pull_options) */
    nnd_cancel *cancel;
    /* Called in the caller's thread while bytes arrive; the event ends with the call. May be
       NULL. */
    void (*progress)(void *user, const nnd_pull_event *event);
    void *user;
    int connect_seconds; /* longest wait for a connection; 0 = 20 */
    int stall_seconds;   /* longest wait for the next byte; 0 = 30 */
    int retries;  /* attempts after one that brought nothing, per source; 0 = 4, −1 = none */
    int pause_ms; /* before the first retry, doubled for each further one; 0 = 500 */
} nnd_pull_options;
#define NND_PULL_OPTIONS_INIT                                                                      \
    {                                                                                              \
        sizeof(nnd_pull_options), NULL, NULL, NULL, 0, 0, 0, 0                                     \
    }

/* Brings the files of a variant into the cache. Each one comes from the first source that has it:
   mirrors, then the URLs of the catalogue. It is written beside its place as <name>.part, compared
   with size and sha256, and renamed; what an interrupted download left is continued. Several
   processes may pull the same model: one works, the others wait for it. https and http need
   libcurl, which is loaded on first use (NNDEPLOY_LIBCURL names its file); folders do not.
   NND_E_MISSING (no source has it, or no libcurl), NND_E_FORMAT (a source has other bytes),
   NND_E_IO, NND_E_TIMEOUT, NND_E_CANCELLED; options may be NULL. Any thread. */
NND_API nnd_status nnd_model_cache_pull(const nnd_model_cache *cache,
                                        const nnd_catalog_model *model,
                                        const nnd_catalog_variant *variant,
                                        const nnd_pull_options *options);

#ifdef __cplusplus
}
#endif
#endif
