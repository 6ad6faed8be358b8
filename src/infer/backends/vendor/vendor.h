/*
 * What backends over a vendor's shared library have in common: finding and opening it, taking its
 * symbols, their options as text, and the memory of a vendor's result as a tensor.
 */
#ifndef NND_INFER_VENDOR_H
#define NND_INFER_VENDOR_H

#include "base/options.h"
#include "nndeploy/infer.h"
#include "port/port.h"

/* Where a library may lie. Lists end with NULL. */
typedef struct nnd_vendor_search {
    const char *variable;             /* environment: the library, or a folder with it */
    const char *name;                 /* "libx.so"; in a folder "libx.so.2.1" will do as well */
    const char *const *below;         /* looked at inside a named folder, after the folder itself */
    const char *const *loader_names;  /* left to the system's loader when the variable is unset */
    const char *const *known_folders; /* looked at last */
    const char *advice;               /* "install …": the end of the reason */
} nnd_vendor_search;

/* Opens the library. `path` gets what was opened, `reason` why nothing was. When the variable is
   set, nothing else is tried. */
bool nnd_vendor_open(const nnd_vendor_search *search, nnd_port_module **out, char *path,
                     size_t path_size, char *reason, size_t reason_size);

typedef struct nnd_vendor_symbol {
    const char *name;
    size_t offset; /* of the function pointer in the table */
} nnd_vendor_symbol;
/* Fills a table of function pointers; false with the names that the library lacks in `reason`. */
bool nnd_vendor_symbols(nnd_port_module *module, const nnd_vendor_symbol *symbols, size_t count,
                        void *table, char *reason, size_t reason_size);

/* Parses nnd_model_options.config, "key=value key=value" (commas do as well; double quotes around
   a value that holds either). */
nnd_status nnd_vendor_config(const nnd_option *options, size_t count, const char *text,
                             const char *where, void *target);

/* The host tensor behind an input once its bytes are there. NND_E_UNSUPPORTED for memory that the
   host cannot read. */
nnd_status nnd_vendor_host_tensor(nnd_value *value, const char *port, nnd_cancel *cancel,
                                  const nnd_tensor **out);
/* The same as one dense run: the tensor itself, or a packed copy (counted) in *packed, which the
   caller lets go of. */
nnd_status nnd_vendor_dense_tensor(nnd_value *value, const char *port, nnd_cancel *cancel,
                                   const nnd_tensor **out, nnd_value **packed);

/* Text of a vendor for a message: lines joined, blanks squeezed, at most size − 1 bytes. */
void nnd_vendor_tidy(const char *text, char *out, size_t size);

#endif
