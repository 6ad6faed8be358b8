/*
 * Read before each source by scripts/lint.sh: what the static analyser cannot see from one file.
 * A function that reports an error returns an error; without that the analyser follows paths on
 * which a reported failure counts as success and takes the results for uninitialised.
 */
#ifndef NND_LINT_PRELUDE_H
#define NND_LINT_PRELUDE_H

#include "base/port_status.h"
#include "engine/ops/op.h"
#include "nndeploy/base.h"

#define nnd_error_set(status, ...)  ((nnd_error_set)((status), __VA_ARGS__), (status))
#define nnd_error_wrap(status, ...) ((nnd_error_wrap)((status), __VA_ARGS__), (status))
#define nnd_error_from_port(...)    ((nnd_error_from_port)(__VA_ARGS__), NND_E_IO)
#define nnd_op_fail(c, status, ...) ((nnd_op_fail)((c), (status), __VA_ARGS__), (status))

#endif
