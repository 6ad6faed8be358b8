/* Where the quantiser's samples come from: tensors in folders, or pictures that a workflow prepares
   for the model. */
#ifndef NND_CLI_CALIBRATE_H
#define NND_CLI_CALIBRATE_H

#include "cli/cli.h"
#include "infer/quantize/quantize.h"

/* Feeds q with what --calibrate, --workflow and --limit say. CLI_OK or, after having reported, an
   exit code. path: of the model's file. */
int cli_calibrate(cli *c, nnd_quantize *q, const char *path, nnd_cancel *cancel);

#endif
