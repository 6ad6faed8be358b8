/* The part of OpenJPEG's C interface that we use, declared by ourselves so that neither building
   nor starting needs the library. tests/ops/check_openjpeg_abi.sh compares it with the official
   header where one is installed. */
#ifndef NND_OPS_OPENJPEG_ABI_H
#define NND_OPS_OPENJPEG_ABI_H

#include <stddef.h>
#include <stdint.h>

enum { NND_OPJ_CODEC_J2K = 0, NND_OPJ_CODEC_JP2 = 2 }; /* OPJ_CODEC_FORMAT */
enum { NND_OPJ_SYCC = 3 };                             /* OPJ_COLOR_SPACE */
enum { NND_OPJ_ALPHA_PREMULTIPLIED = 2 };              /* of the file's cdef box */

typedef struct nnd_opj_component {
    uint32_t dx, dy, w, h, x0, y0, prec, bpp, sgnd, resno_decoded, factor;
    int32_t *data;
    uint16_t alpha;
} nnd_opj_component;

typedef struct nnd_opj_image {
    uint32_t x0, y0, x1, y1, numcomps;
    int color_space;
    nnd_opj_component *comps;
    uint8_t *icc_profile_buf;
    uint32_t icc_profile_len;
} nnd_opj_image;

/* opj_dparameters_t: the library fills in its defaults, we never look inside. It has 8 KiB. */
typedef union nnd_opj_parameters {
    uint64_t align;
    unsigned char room[16 * 1024];
} nnd_opj_parameters;

typedef size_t (*nnd_opj_read)(void *to, size_t size, void *user); /* (size_t)-1 at the end */
typedef int64_t (*nnd_opj_skip)(int64_t size, void *user);         /* -1 at the end */
typedef int (*nnd_opj_seek)(int64_t position, void *user);
typedef void (*nnd_opj_free)(void *user);
typedef void (*nnd_opj_message)(const char *text, void *user);

/* Codecs and streams go by address only; the library calls what lies there void *. */
typedef void *nnd_opj_object;
typedef nnd_opj_object *(*nnd_opj_stream_create_fn)(size_t buffer, int is_input);
typedef void (*nnd_opj_stream_destroy_fn)(nnd_opj_object *stream);
typedef void (*nnd_opj_stream_set_read_fn)(nnd_opj_object *stream, nnd_opj_read read);
typedef void (*nnd_opj_stream_set_skip_fn)(nnd_opj_object *stream, nnd_opj_skip skip);
typedef void (*nnd_opj_stream_set_seek_fn)(nnd_opj_object *stream, nnd_opj_seek seek);
typedef void (*nnd_opj_stream_set_user_fn)(nnd_opj_object *stream, void *user,
                                           nnd_opj_free release);
typedef void (*nnd_opj_stream_set_length_fn)(nnd_opj_object *stream, uint64_t length);
typedef nnd_opj_object *(*nnd_opj_create_decompress_fn)(int format);
typedef void (*nnd_opj_destroy_codec_fn)(nnd_opj_object *codec);
typedef int (*nnd_opj_set_handler_fn)(nnd_opj_object *codec, nnd_opj_message handler, void *user);
typedef void (*nnd_opj_default_parameters_fn)(nnd_opj_parameters *parameters);
typedef int (*nnd_opj_setup_decoder_fn)(nnd_opj_object *codec, nnd_opj_parameters *parameters);
typedef int (*nnd_opj_read_header_fn)(nnd_opj_object *stream, nnd_opj_object *codec,
                                      nnd_opj_image **image);
typedef int (*nnd_opj_decode_fn)(nnd_opj_object *codec, nnd_opj_object *stream,
                                 nnd_opj_image *image);
typedef int (*nnd_opj_end_decompress_fn)(nnd_opj_object *codec, nnd_opj_object *stream);
typedef void (*nnd_opj_image_destroy_fn)(nnd_opj_image *image);

#endif
