/* Turns results of port into status codes and error records. */
#ifndef NND_BASE_PORT_STATUS_H
#define NND_BASE_PORT_STATUS_H

#include "nndeploy/base.h"

/* The status that a nnd_port_error stands for; sets no record. */
nnd_status nnd_status_from_port(int port_error);

/* Sets the record "<what> '<name>': <text of the error>" and returns the status; NND_OK for 0.
   `what` names the attempt ("cannot read file"); name may be NULL. */
nnd_status nnd_error_from_port(int port_error, const char *what, const char *name);

/* The real path of the folder that `path` lies in ("." for a bare name), freed with nnd_free. The
   file itself need not exist, its folder has to. `what` names it in the error ("cannot find the
   folder of model"). */
nnd_status nnd_folder_of(const char *path, const char *what, char **out);

/* The next entry of a list that is separated as the system's PATH; moves *list behind it and skips
   empty ones. NULL at the end. */
const char *nnd_path_list_next(const char **list, size_t *size);

#endif
