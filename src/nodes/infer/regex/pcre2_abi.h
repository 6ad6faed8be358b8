/* The part of PCRE2's C interface (8-bit units) that we use, declared by ourselves so that neither
   building nor starting needs the library. tests/nodes/check_pcre2_abi.sh compares it with the
   official header where one is installed. */
#ifndef NND_NODES_PCRE2_ABI_H
#define NND_NODES_PCRE2_ABI_H

#include <stddef.h>
#include <stdint.h>

typedef struct nnd_pcre2_code nnd_pcre2_code;
typedef struct nnd_pcre2_compile_context nnd_pcre2_compile_context;
typedef struct nnd_pcre2_match_context nnd_pcre2_match_context;
typedef struct nnd_pcre2_match_data nnd_pcre2_match_data;

#define NND_PCRE2_NOTEMPTY          0x00000004u
#define NND_PCRE2_DOLLAR_ENDONLY    0x00000010u
#define NND_PCRE2_UTF               0x00080000u
#define NND_PCRE2_NEVER_BACKSLASH_C 0x00100000u
#define NND_PCRE2_ENDANCHORED       0x20000000u
#define NND_PCRE2_NO_UTF_CHECK      0x40000000u
#define NND_PCRE2_ANCHORED          0x80000000u
#define NND_PCRE2_NEWLINE_LF        2

/* A match is 0 or above, what is not listed here another failure. The codes for texts that are not
   UTF-8 go from the first to the last. */
#define NND_PCRE2_ERROR_NOMATCH    (-1)
#define NND_PCRE2_ERROR_UTF8_ERR1  (-3)
#define NND_PCRE2_ERROR_UTF8_ERR21 (-23)
#define NND_PCRE2_ERROR_DFA_WSSIZE (-43)
#define NND_PCRE2_ERROR_MATCHLIMIT (-47)
#define NND_PCRE2_ERROR_NOMEMORY   (-48)
#define NND_PCRE2_ERROR_DEPTHLIMIT (-53)
#define NND_PCRE2_ERROR_HEAPLIMIT  (-63)

typedef nnd_pcre2_compile_context *(*nnd_pcre2_compile_context_create_fn)(void *general);
typedef void (*nnd_pcre2_compile_context_free_fn)(nnd_pcre2_compile_context *context);
typedef int (*nnd_pcre2_set_newline_fn)(nnd_pcre2_compile_context *context, uint32_t newline);
typedef nnd_pcre2_code *(*nnd_pcre2_compile_fn)(const uint8_t *pattern, size_t size,
                                                uint32_t options, int *error, size_t *offset,
                                                nnd_pcre2_compile_context *context);
typedef void (*nnd_pcre2_code_free_fn)(nnd_pcre2_code *code);
typedef nnd_pcre2_match_context *(*nnd_pcre2_match_context_create_fn)(void *general);
typedef void (*nnd_pcre2_match_context_free_fn)(nnd_pcre2_match_context *context);
typedef int (*nnd_pcre2_set_limit_fn)(nnd_pcre2_match_context *context, uint32_t limit);
typedef nnd_pcre2_match_data *(*nnd_pcre2_match_data_create_fn)(uint32_t pairs, void *general);
typedef void (*nnd_pcre2_match_data_free_fn)(nnd_pcre2_match_data *data);
typedef int (*nnd_pcre2_match_fn)(const nnd_pcre2_code *code, const uint8_t *text, size_t size,
                                  size_t start, uint32_t options, nnd_pcre2_match_data *data,
                                  nnd_pcre2_match_context *context);
typedef int (*nnd_pcre2_dfa_match_fn)(const nnd_pcre2_code *code, const uint8_t *text, size_t size,
                                      size_t start, uint32_t options, nnd_pcre2_match_data *data,
                                      nnd_pcre2_match_context *context, int *workspace,
                                      size_t workspace_count);
typedef size_t *(*nnd_pcre2_get_ovector_pointer_fn)(nnd_pcre2_match_data *data);
typedef int (*nnd_pcre2_get_error_message_fn)(int error, uint8_t *text, size_t size);

#endif
