/* What infer, bench, inspect and compare-models share: loading a model and making its inputs. */
#ifndef NND_CLI_MODEL_INPUTS_H
#define NND_CLI_MODEL_INPUTS_H

#include "cli/cli.h"
#include "nndeploy/infer.h"

/* The file that an operand names: a path, or a name that the services of nodes.h find, in the
   variant for a backend (NULL = "auto"). Backends of plug-ins are there afterwards, and --threads
   and --tuning are in force. Freed with nnd_free. */
nnd_status cli_model_find(const cli *c, size_t operand, const char *backend, char **path);
/* Loads MODEL with --backend and --threads. */
nnd_status cli_model_load(const cli *c, nnd_cancel *cancel, nnd_model **out);
/* The same by that backend with its own options, "dump-after=layout". */
nnd_status cli_model_load_with(const cli *c, nnd_cancel *cancel, const char *backend,
                               const char *config, nnd_model **out);
/* "f32[1,3,h,w]" */
const char *cli_model_port_text(const nnd_model_port *port, char *text, size_t size);

typedef struct cli_model_inputs {
    const char **names;  /* of the model's inputs */
    nnd_value **values;  /* NULL = not given */
    const char **shapes; /* --shape texts; NULL = not given */
    size_t count;
} cli_model_inputs;
/* Reads --shape, and --input when the command has it. CLI_OK or, after having reported, an exit
   code. Call fini in any case. */
int cli_model_inputs_init(cli *c, const nnd_model *model, cli_model_inputs *inputs);
void cli_model_inputs_fini(cli_model_inputs *inputs);
/* Fills inputs that were not given with random numbers; open dimensions are 1 unless --shape says
   otherwise. Floats lie in [0,1), integers in 0…9, bools are both. */
nnd_status cli_model_inputs_random(const nnd_model *model, cli_model_inputs *inputs, uint64_t seed);
/* Dtype and shape of each input, by --shape or as declared, open dimensions 1; dtype
   NND_DTYPE_INVALID for optional ones that are not given. out: one per input. */
nnd_status cli_model_inputs_shapes(const nnd_model *model, const cli_model_inputs *inputs,
                                   nnd_tensor *out);
nnd_status cli_model_inputs_bind(const cli_model_inputs *inputs, nnd_request *request);

#endif
