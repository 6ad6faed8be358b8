/* The files of locale/, made part of the library by cmake/NndEmbed.cmake. */
#ifndef NND_NODES_LOCALE_FILES_H
#define NND_NODES_LOCALE_FILES_H

#include <stddef.h>

typedef struct nnd_locale_file {
    const char *language; /* "zh"; NULL ends the table */
    const char *json;     /* NUL-terminated */
    size_t size;
} nnd_locale_file;

extern const nnd_locale_file nnd_locale_files[];

#endif
