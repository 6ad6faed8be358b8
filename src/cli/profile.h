/* A profile of a model for people and scripts: its operators beside what the machine can do. */
#ifndef NND_CLI_PROFILE_H
#define NND_CLI_PROFILE_H

#include "cli/cli.h"

#include "infer/peaks.h"

/* One operator, or all of one type. What the backend does not say is 0. */
typedef struct cli_profile_row {
    const char *name, *op, *kernel, *dtype;
    size_t count; /* of operators */
    double ms, flops, bytes_read, bytes_written;
    double share;    /* of all operators' time, 0 … 1 */
    double limit_ms; /* what the peaks allow; 0 = neither operations nor bytes are known */
    bool by_memory;  /* that limit is the memory's, not the arithmetic's */
} cli_profile_row;

typedef struct cli_profile {
    nnd_json_doc *doc; /* of the backend; the rows borrow their texts */
    bool has_peaks;
    nnd_peaks peaks;
    size_t count, group_count;
    cli_profile_row *rows;   /* in order of execution */
    cli_profile_row *groups; /* per operator type, the slowest first */
    cli_profile_row total;
} cli_profile;

/* Reads the profile of a request that ran and measures the machine with `threads` threads, when
   there is anything to compare. */
nnd_status cli_profile_take(nnd_request *request, int threads, const nnd_cancel *cancel,
                            cli_profile *out);
/* The members "profile", "operators", "total" and "peaks" of an open object. */
void cli_profile_json(const cli_profile *p, nnd_json_writer *w);
void cli_profile_print(const cli_profile *p);
void cli_profile_fini(cli_profile *p);

#endif
