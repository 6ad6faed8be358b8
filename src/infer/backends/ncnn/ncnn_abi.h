/*
 * The part of ncnn's C API that this backend uses, declared by ourselves so that nothing of it is
 * needed to build. Functions are looked up by name in the library that was opened.
 * tests/infer/check_ncnn_abi.sh compares signatures and structs with the official header where it
 * is installed.
 */
#ifndef NND_INFER_NCNN_ABI_H
#define NND_INFER_NCNN_ABI_H

#include <stddef.h>

typedef struct nnd_ncnn_allocator *nnd_ncnn_allocator_t;
typedef struct nnd_ncnn_option *nnd_ncnn_option_t;
typedef struct nnd_ncnn_mat *nnd_ncnn_mat_t;
typedef struct nnd_ncnn_net *nnd_ncnn_net_t;
typedef struct nnd_ncnn_extractor *nnd_ncnn_extractor_t;
typedef struct nnd_ncnn_datareader *nnd_ncnn_datareader_t;

/* Its functions may be replaced. The member `scan` is there in libraries with names in them, which
   are the only ones that read .param files; the symbols that we ask for tell the two apart. */
struct nnd_ncnn_datareader {
    void *self;
    int (*scan)(nnd_ncnn_datareader_t reader, const char *format, void *out);
    size_t (*read)(nnd_ncnn_datareader_t reader, void *out, size_t size);
};

/* clang-format off */
#define NND_NCNN_FUNCTIONS(F) \
    F(const char *, ncnn_version, (void)) \
    F(nnd_ncnn_option_t, ncnn_option_create, (void)) \
    F(void, ncnn_option_destroy, (nnd_ncnn_option_t option)) \
    F(void, ncnn_option_set_num_threads, (nnd_ncnn_option_t option, int threads)) \
    F(void, ncnn_option_set_use_vulkan_compute, (nnd_ncnn_option_t option, int on)) \
    F(nnd_ncnn_mat_t, ncnn_mat_create_1d, (int w, nnd_ncnn_allocator_t allocator)) \
    F(nnd_ncnn_mat_t, ncnn_mat_create_2d, (int w, int h, nnd_ncnn_allocator_t allocator)) \
    F(nnd_ncnn_mat_t, ncnn_mat_create_3d, (int w, int h, int c, nnd_ncnn_allocator_t allocator)) \
    F(nnd_ncnn_mat_t, ncnn_mat_create_4d, (int w, int h, int d, int c, nnd_ncnn_allocator_t allocator)) \
    F(nnd_ncnn_mat_t, ncnn_mat_create_external_3d, (int w, int h, int c, void *data, nnd_ncnn_allocator_t allocator)) \
    F(void, ncnn_mat_destroy, (nnd_ncnn_mat_t mat)) \
    F(int, ncnn_mat_get_dims, (const nnd_ncnn_mat_t mat)) \
    F(int, ncnn_mat_get_w, (const nnd_ncnn_mat_t mat)) \
    F(int, ncnn_mat_get_h, (const nnd_ncnn_mat_t mat)) \
    F(int, ncnn_mat_get_d, (const nnd_ncnn_mat_t mat)) \
    F(int, ncnn_mat_get_c, (const nnd_ncnn_mat_t mat)) \
    F(size_t, ncnn_mat_get_elemsize, (const nnd_ncnn_mat_t mat)) \
    F(int, ncnn_mat_get_elempack, (const nnd_ncnn_mat_t mat)) \
    F(size_t, ncnn_mat_get_cstep, (const nnd_ncnn_mat_t mat)) \
    F(void *, ncnn_mat_get_data, (const nnd_ncnn_mat_t mat)) \
    F(nnd_ncnn_datareader_t, ncnn_datareader_create, (void)) \
    F(void, ncnn_datareader_destroy, (nnd_ncnn_datareader_t reader)) \
    F(int, ncnn_layer_type_to_index, (const char *type)) \
    F(nnd_ncnn_net_t, ncnn_net_create, (void)) \
    F(void, ncnn_net_destroy, (nnd_ncnn_net_t net)) \
    F(void, ncnn_net_set_option, (nnd_ncnn_net_t net, nnd_ncnn_option_t option)) \
    F(int, ncnn_net_load_param_memory, (nnd_ncnn_net_t net, const char *text)) \
    F(int, ncnn_net_load_model_datareader, (nnd_ncnn_net_t net, const nnd_ncnn_datareader_t reader)) \
    F(nnd_ncnn_extractor_t, ncnn_extractor_create, (nnd_ncnn_net_t net)) \
    F(void, ncnn_extractor_destroy, (nnd_ncnn_extractor_t extractor)) \
    F(int, ncnn_extractor_input, (nnd_ncnn_extractor_t extractor, const char *name, const nnd_ncnn_mat_t mat)) \
    F(int, ncnn_extractor_extract, (nnd_ncnn_extractor_t extractor, const char *name, nnd_ncnn_mat_t *mat))
/* Of later releases; may be absent. */
#define NND_NCNN_LATER_FUNCTIONS(F) \
    F(void, ncnn_option_set_use_fp16_packed, (nnd_ncnn_option_t option, int on)) \
    F(void, ncnn_option_set_use_fp16_storage, (nnd_ncnn_option_t option, int on)) \
    F(void, ncnn_option_set_use_fp16_arithmetic, (nnd_ncnn_option_t option, int on)) \
    F(void, ncnn_option_set_use_bf16_storage, (nnd_ncnn_option_t option, int on))
/* clang-format on */

typedef struct nnd_ncnn_api {
#define NND_NCNN_MEMBER(result, name, params) result(*name) params;
    NND_NCNN_FUNCTIONS(NND_NCNN_MEMBER)
    NND_NCNN_LATER_FUNCTIONS(NND_NCNN_MEMBER)
#undef NND_NCNN_MEMBER
} nnd_ncnn_api;

#endif
