/*
 * What `nndeploy tune` has measured: which backend, with which options and threads, runs a model
 * fastest on a machine. The results lie in one file of the user (docs/schema/tuning.schema.json),
 * keyed by the bytes of the model's files and by the machine; the backend "auto" looks there and
 * goes by its fixed order when there is nothing. Loading a model never measures anything.
 *
 * Sections: 1 what the file holds · 2 reading and writing · 3 using · 4 measuring
 */
#ifndef NND_INFER_TUNING_H
#define NND_INFER_TUNING_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/vec.h"
#include "nndeploy/infer.h"

/* ---- 1 what the file holds --------------------------------------------------------------- */

typedef struct nnd_tuning_machine {
    const char *cpu; /* as the processor calls itself; may be "" */
    const char *isa; /* in force: "avx512", "neon" */
    int64_t cores;
    const char *nndeploy; /* version */
} nnd_tuning_machine;

/* A file of the model: the main one first, then those that it opened. Its content is the key; path
   and time save reading an unchanged file again. */
typedef struct nnd_tuning_file {
    const char *name; /* relative to the main file's folder */
    const char *path; /* real path; main file only, else "" */
    uint64_t size;
    int64_t mtime; /* ns since 1970 */
    const char *sha256;
} nnd_tuning_file;

typedef struct nnd_tuning_input {
    const char *name, *type; /* "image", "f32[1,3,224,224]": what was measured with */
} nnd_tuning_input;

typedef struct nnd_tuning_trial {
    const char *backend, *version;
    const char *precision, *config; /* "" = none */
    int64_t threads;
    bool accepted;      /* ran, and agreed with the reference */
    const char *reason; /* why not */
    double error;       /* |result - reference| / |reference|, the largest of all outputs */
    int64_t runs;
    double load_ms, min_ms, median_ms;
} nnd_tuning_trial;

/* A kernel that the built-in engine uses for an operator of this shape, because it was clearly
   faster than the engine's own choice. */
typedef struct nnd_tuning_kernel {
    const char *op, *shape, *kernel;
    const char *instead_of;   /* "" = not said */
    double ms, instead_of_ms; /* of all nodes with this shape; 0 = not said */
} nnd_tuning_kernel;

typedef struct nnd_tuning_entry {
    nnd_tuning_machine machine;
    NND_VEC(nnd_tuning_file) files;
    NND_VEC(nnd_tuning_input) inputs;
    NND_VEC(nnd_tuning_trial) trials;
    NND_VEC(nnd_tuning_kernel) kernels;
    bool has_kernels; /* they were measured now; else those that the file had stay */
    int64_t choice;   /* index of an accepted trial */
} nnd_tuning_entry;

typedef struct nnd_tuning {
    _Atomic uint32_t holders;
    nnd_arena arena; /* of all texts */
    NND_VEC(nnd_tuning_entry) entries;
} nnd_tuning;

/* ---- 2 reading and writing --------------------------------------------------------------- */

nnd_status nnd_tuning_create(nnd_tuning **out);
nnd_tuning *nnd_tuning_ref(nnd_tuning *tuning);
void nnd_tuning_unref(nnd_tuning *tuning); /* takes NULL */
/* NND_E_FORMAT with the place for what is no tuning file, NND_E_UNSUPPORTED for one of a later
   version. */
nnd_status nnd_tuning_parse(const char *text, size_t size, const char *file, nnd_tuning **out);
nnd_status nnd_tuning_read(const char *path, nnd_tuning **out);
/* Replaces what the file says about the same models and machine, keeps the rest, in one step; makes
   the folder. A file that cannot be read is left alone: the error says so. */
nnd_status nnd_tuning_save(const nnd_tuning *fresh, const char *path);
void nnd_tuning_trial_to_json(const nnd_tuning_trial *trial, nnd_json_writer *w);
void nnd_tuning_kernel_to_json(const nnd_tuning_kernel *kernel, nnd_json_writer *w);

/* ---- 3 using ----------------------------------------------------------------------------- */

/* The file in force: the one that was set, else NNDEPLOY_TUNING unless it is empty, else
   nndeploy/tuning.json in the user's cache folder. NULL when it is switched off ("off") or there is
   no such folder. Freed with nnd_free. */
nnd_status nnd_tuning_path(char **out);
/* For this process; NULL takes it back. */
nnd_status nnd_tuning_set_path(const char *path);
/* Changes when the file does: part of the key of what is shared between plans. */
uint64_t nnd_tuning_stamp(void);
/* This machine; the texts live in `arena`. */
nnd_status nnd_tuning_this_machine(nnd_arena *arena, nnd_tuning_machine *out);

typedef struct nnd_tuned {
    const nnd_backend *backend; /* NULL = the file says nothing that holds here */
    char *precision, *config;
    int threads;
    char *why; /* for people, also when there is no backend; NULL = nothing to say */
} nnd_tuned;
/* What the file in force says about a model. options: threads that were asked for are kept, and the
   best trial with as many is taken. A file that is damaged counts as none, after one warning in the
   log. bytes are those of the main file. */
void nnd_tuning_choose(const char *path, const void *bytes, size_t size,
                       const nnd_model_options *options, nnd_tuned *out);
void nnd_tuned_fini(nnd_tuned *tuned);

/* The kernels that were measured for a model on this machine; none is fine. */
typedef struct nnd_tuned_kernels {
    nnd_tuning *tuning; /* what the others live in */
    const nnd_tuning_kernel *items;
    size_t count;
} nnd_tuned_kernels;
/* As nnd_tuning_choose. Those that another version of nndeploy has measured are none, with a
   warning in the log. path may be NULL. */
void nnd_tuning_find_kernels(const char *path, const void *bytes, size_t size,
                             nnd_tuned_kernels *out);
void nnd_tuned_kernels_fini(nnd_tuned_kernels *kernels);

/* ---- 4 measuring ------------------------------------------------------------------------- */

typedef struct nnd_tune_options {
    const char *path;
    const char *const
        *backends; /* "openvino", "builtin:passes=none"; every usable one when empty */
    size_t backend_count;
    const int *threads; /* 1, 2, 4, … and all when empty */
    size_t thread_count;
    double tolerance; /* largest nnd_tuning_trial.error that is accepted */
    int64_t budget;   /* ns for all trials; at least one run of each that fits in is made */
    const char *const *input_names;
    nnd_value *const *inputs; /* NULL = not given */
    size_t input_count;
    nnd_cancel *cancel;
    void (*progress)(void *user, const char *text, double done, double total); /* may be NULL */
    void *user;
} nnd_tune_options;

/* Measures and adds an entry to `tuning`. The first backend that runs the model, in its own
   precision, is the reference of all others. The fastest accepted trial is chosen; among those
   within 3 % of it the first: fewer threads, and the earlier backend. Where the built-in engine is
   among those that are accepted, its kernels are compared as well. NND_E_UNSUPPORTED when no
   backend runs the model. */
nnd_status nnd_tune_model(const nnd_tune_options *options, nnd_tuning *tuning);

/* Runs the model on the built-in engine with each kernel that some node can choose, and adds to
   `entry` the kernels that take less than 9/10 of the time of the engine's own choice, over all
   nodes of a shape. Ends near `end`, after a few runs at least; when that is past already, nothing
   is measured. What fails is no kernel; only
   NND_E_CANCELLED, NND_E_TIMEOUT and NND_E_OUT_OF_MEMORY are errors. */
nnd_status nnd_tune_kernels(const nnd_tune_options *options, int threads, int64_t end,
                            nnd_arena *arena, nnd_tuning_entry *entry);

#endif
