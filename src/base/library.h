/* Libraries that are loaded when something needs them, so that neither building nor starting does.
 */
#ifndef NND_BASE_LIBRARY_H
#define NND_BASE_LIBRARY_H

#include "nndeploy/base.h"
#include "port/port.h"

typedef struct nnd_library_function {
    const char *name;
    void *slot; /* of a pointer to a function */
} nnd_library_function;

typedef struct nnd_library_wish {
    const char *purpose;  /* "downloading needs libcurl" */
    const char *variable; /* of the environment, names the file: "NNDEPLOY_LIBCURL" */
    const char *const *names;
    size_t name_count;
    const char *package; /* of Debian, for the way out */
    const nnd_library_function *functions;
    size_t function_count;
} nnd_library_wish;

/* Loads the file that the variable names, else the first of the names that is there, and fills the
   slots. NND_E_MISSING, with the way out, when there is none or when it lacks a function. */
nnd_status nnd_library_load(const nnd_library_wish *wish, nnd_port_module **out);

#endif
