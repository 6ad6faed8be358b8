/* What the files of the conformance suite share: cases, verdicts, checks. */
#ifndef NND_TESTS_INFER_CONFORMANCE_H
#define NND_TESTS_INFER_CONFORMANCE_H

#include <stdio.h>
#include <string.h>

#include "nndeploy/infer.h"
#include "port/port.h"

/* REFUSED: the backend said NND_E_UNSUPPORTED and why. SKIPPED: cannot be tried here. DIFFERS: a
   failure that is on the list of known differences. */
typedef enum verdict { PASSED, REFUSED, FAILED, SKIPPED, DIFFERS } verdict;

/* One case on one backend. */
typedef struct trial {
    const char *backend;
    const char *format;  /* of the models that it gets: "onnx", "param" */
    const char *plugin;  /* file that brought the backend, NULL = part of the library */
    const char *program; /* path of this program, to try things in a process of their own */
    char detail[600];    /* of a failure, a refusal, or a figure worth knowing */
} trial;

typedef struct conformance_case {
    const char *name;
    const char *title_en, *title_zh;
    verdict (*run)(trial *t);
    verdict (*run_param)(trial *t); /* on backends that read .param files; NULL = nothing to try */
    bool without_library;           /* also where the backend is not available */
} conformance_case;

extern const conformance_case conformance_edges[];
extern const size_t conformance_edge_count;

/* Every model with reference data. names: "mnist_cnn", …; NULL-terminated by count. */
typedef struct model_names {
    char **names;
    size_t count;
} model_names;
model_names conformance_models(void);
void conformance_models_free(model_names *list);
verdict conformance_run_model(trial *t, const char *name);

/* `--probe NAME`: in a process whose environment names a library that cannot work. 0 when the
   backend says so as it should. */
int conformance_probe_fails(const char *backend);

/* The sections of the page on these backends, in English or Chinese. */
void conformance_manual_auto(bool zh);
void conformance_manual_builtin(bool zh);
void conformance_manual_openvino(bool zh);
void conformance_manual_opencv_dnn(bool zh);
void conformance_manual_ncnn(bool zh);

/* Writes the place and the error record of this thread into the detail. */
verdict trial_failed(trial *t, const char *file, int line, const char *what);
/* The verdict on a load that failed: refused when the status is NND_E_UNSUPPORTED. */
verdict trial_not_loaded(trial *t, nnd_status status);
/* The same for a run. */
verdict trial_not_run(trial *t, nnd_status status);

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) return trial_failed(t, __FILE__, __LINE__, #condition);                  \
    } while (0)
#define CHECK_OK(expr) CHECK((expr) == NND_OK)

#endif
