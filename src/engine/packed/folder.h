/* The cache files of a folder, and those of them that this process has mapped. Private to this
   folder. */
#ifndef NND_ENGINE_PACKED_FOLDER_H
#define NND_ENGINE_PACKED_FOLDER_H

#include "engine/packed/table.h"
#include "port/port.h"

/* A mapped file, shared by the models of this process that want it. Read-only for any thread. */
typedef struct nnd_packed_map {
    struct nnd_packed_map *next; /* of those that are found by their path */
    char *path;
    unsigned holders;
    bool listed;
    nnd_port_map map;
    nnd_packed_table table;
} nnd_packed_map;

/* Where the weights of a key are; nnd_free it. NULL without memory. */
char *nnd_packed_path(const char *folder, const nnd_packed_key *key);

/* The file at `path`, mapped and checked, or as this process has it mapped already.
   NND_E_NOT_FOUND when there is none, other errors when it is of no use. */
nnd_status nnd_packed_map_open(const char *path, const nnd_packed_key *key, nnd_packed_map **out);
void nnd_packed_map_close(nnd_packed_map *map); /* takes NULL */
/* Nobody gets this mapping any more; those who have it keep it. */
void nnd_packed_map_unlist(nnd_packed_map *map);

/* Writes a file in one step and maps it; where another thread has mapped it meanwhile, its mapping
   is taken. rows[i] describes weights[i]. */
nnd_status nnd_packed_map_write(const char *path, const nnd_packed_key *key,
                                const nnd_packed_row *rows, const void *const *weights,
                                size_t count, nnd_packed_map **out);

/* Removes cache files of the folder, least recently used first, until the rest holds at most
   max_bytes, and what writers that were interrupted have left. The file at `keep` stays. */
void nnd_packed_folder_trim(const char *folder, uint64_t max_bytes, const char *keep);

#endif
