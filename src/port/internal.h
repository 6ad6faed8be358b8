/* Shared by the files of port; nobody else includes it. */
#ifndef NND_PORT_INTERNAL_H
#define NND_PORT_INTERNAL_H

#include "port/port.h"

int nnd_port_from_errno(int code);
char *nnd_port_copy_text(const char *text, size_t size);
/* "<path>.tmp-<random>" for atomic writes and temporary folders. */
int nnd_port_temp_name(const char *stem, char **out);
int nnd_port_sort_names(nnd_port_dir_list *list); /* by bytes; always 0 */
/* Appends a copy; *capacity is the room in list->names. */
int nnd_port_dir_list_add(nnd_port_dir_list *list, size_t *capacity, const char *name);

/* Keeps what nnd_port_map_info says of a mapping; forgets it. */
int nnd_port_map_remember(const nnd_port_map *map, const nnd_port_file_info *info);
void nnd_port_map_drop(const nnd_port_map *map);

#if defined(_WIN32)
#include <wchar.h>
int nnd_port_from_win32(unsigned long code);
/* Wide copy of UTF-8 text, nnd_port_free it; NULL without memory or for invalid UTF-8. */
wchar_t *nnd_port_wide(const char *text);
char *nnd_port_narrow(const wchar_t *text);
void nnd_port_slashes(char *path); /* '\' to '/' */
int nnd_port_sockets_start(void);
#endif

#endif
