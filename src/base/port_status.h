/* Turns results of port into status codes and error records. */
#ifndef NND_BASE_PORT_STATUS_H
#define NND_BASE_PORT_STATUS_H

#include "nndeploy/base.h"

/* The status that a nnd_port_error stands for; sets no record. */
nnd_status nnd_status_from_port(int port_error);

/* Sets the record "<what> '<name>': <text of the error>" and returns the status; NND_OK for 0.
   `what` names the attempt ("cannot read file"); name may be NULL. */
nnd_status nnd_error_from_port(int port_error, const char *what, const char *name);

#endif
