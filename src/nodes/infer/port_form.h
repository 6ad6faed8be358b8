/* Tensors of catalogued models: workflows see one form whichever variant runs, the files of a
   variant may want another order of the dimensions, element type or range. */
#ifndef NND_NODES_INFER_PORT_FORM_H
#define NND_NODES_INFER_PORT_FORM_H

#include "nndeploy/catalog.h"
#include "nndeploy/infer.h"
#include "nndeploy/workflow.h"

typedef struct nnd_port_form {
    nnd_model_port seen; /* the port as workflows see it, under the catalogue's name */
    const nnd_model_port *own;
    const nnd_catalog_port *port; /* NULL = both are the same */
    bool moves;                   /* the dimensions are in another order */
    bool computes;                /* other numbers or another element type */
    int from[NND_MAX_RANK];       /* the file's dimension i is from[i] of the workflow's */
} nnd_port_form;

/* Whether what the catalogue says can make a difference between both sides. */
bool nnd_port_form_is_special(const nnd_catalog_port *port);
/* `port` (NULL = nothing is said) and `own` have to outlive the form. NND_E_FORMAT when the
   catalogue says of the file what it does not have, or what cannot be converted. */
nnd_status nnd_port_form_init(nnd_port_form *form, const nnd_catalog_port *port,
                              const nnd_model_port *own);
/* A value of the workflow for the file, and one of the file for the workflow: a new reference to
   the same one where nothing is to do, the same elements seen otherwise where only dimensions of 1
   change places. NND_E_TYPE or NND_E_SHAPE, with both sides in the text, for a tensor of another
   form. */
nnd_status nnd_port_form_to_file(const nnd_port_form *form, nnd_value *value, nnd_value **out);
nnd_status nnd_port_form_from_file(const nnd_port_form *form, nnd_value *value, nnd_value **out);
/* The same of what is known of a tensor before a run. */
void nnd_port_form_spec_to_file(const nnd_port_form *form, nnd_spec *spec);

#endif
