/*
 * Read before each source by scripts/lint.sh: what the static analyser cannot see from one file.
 * nnd_error_set returns the status that it is given; without that the analyser follows paths on
 * which a reported failure counts as success and takes the results for uninitialised.
 */
#ifndef NND_LINT_PRELUDE_H
#define NND_LINT_PRELUDE_H

#include "nndeploy/base.h"

#define nnd_error_set(status, ...) ((nnd_error_set)((status), __VA_ARGS__), (status))

#endif
