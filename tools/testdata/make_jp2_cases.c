/*
 * JPEG 2000 files for tests/ops/test_codec_jp2.c, which knows the formula of their samples. Needs
 * OpenJPEG's header (libopenjp2-7-dev):
 *     cc $(pkg-config --cflags libopenjp2) tools/testdata/make_jp2_cases.c -lopenjp2 -o make_cases
 *     ./make_cases tests/ops/data/codec
 */
#include <openjpeg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 19, HEIGHT = 13 };

typedef struct jp2_case {
    const char *file;
    int components, bits, is_signed;
    int alpha;          /* component, 0 = none */
    int step_x, step_y; /* of the second and third component */
    int x0, y0, tile;   /* 0 = one tile */
    int lossy;
    OPJ_COLOR_SPACE space;
} jp2_case;

static const jp2_case cases[] = {
    {"gray1.jp2", 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, OPJ_CLRSPC_GRAY},
    {"gray4.j2k", 1, 4, 0, 0, 1, 1, 0, 0, 0, 0, OPJ_CLRSPC_GRAY},
    {"gray8.jp2", 1, 8, 0, 0, 1, 1, 0, 0, 0, 0, OPJ_CLRSPC_GRAY},
    {"gray12_signed.j2k", 1, 12, 1, 0, 1, 1, 0, 0, 0, 0, OPJ_CLRSPC_GRAY},
    {"gray16.jp2", 1, 16, 0, 0, 1, 1, 0, 0, 0, 0, OPJ_CLRSPC_GRAY},
    {"gray8_alpha.jp2", 2, 8, 0, 1, 1, 1, 0, 0, 0, 0, OPJ_CLRSPC_GRAY},
    {"gray8_alpha.j2k", 2, 8, 0, 0, 1, 1, 0, 0, 0, 0, OPJ_CLRSPC_GRAY},
    {"rgb8.jp2", 3, 8, 0, 0, 1, 1, 0, 0, 0, 0, OPJ_CLRSPC_SRGB},
    {"rgb8_tiles.j2k", 3, 8, 0, 0, 1, 1, 5, 3, 8, 0, OPJ_CLRSPC_SRGB},
    {"rgb10.jp2", 3, 10, 0, 0, 1, 1, 0, 0, 0, 0, OPJ_CLRSPC_SRGB},
    {"rgba8.jp2", 4, 8, 0, 3, 1, 1, 0, 0, 0, 0, OPJ_CLRSPC_SRGB},
    {"rgb8_lossy.jp2", 3, 8, 0, 0, 1, 1, 0, 0, 0, 1, OPJ_CLRSPC_SRGB},
    {"sycc444.jp2", 3, 8, 0, 0, 1, 1, 0, 0, 0, 0, OPJ_CLRSPC_SYCC},
    {"sycc420.jp2", 3, 8, 0, 0, 2, 2, 0, 0, 0, 0, OPJ_CLRSPC_SYCC},
    {"ycc422_offset.j2k", 3, 8, 0, 0, 2, 1, 5, 3, 0, 0, OPJ_CLRSPC_SYCC},
};

static opj_image_t *make_image(const jp2_case *c)
{
    opj_image_cmptparm_t parameters[4];
    memset(parameters, 0, sizeof(parameters));
    for (int i = 0; i < c->components; i++) {
        opj_image_cmptparm_t *p = &parameters[i];
        const int coarse = i == 1 || i == 2;
        p->dx = (OPJ_UINT32)(coarse ? c->step_x : 1);
        p->dy = (OPJ_UINT32)(coarse ? c->step_y : 1);
        p->w = (c->x0 + WIDTH + p->dx - 1) / p->dx - (c->x0 + p->dx - 1) / p->dx;
        p->h = (c->y0 + HEIGHT + p->dy - 1) / p->dy - (c->y0 + p->dy - 1) / p->dy;
        p->prec = (OPJ_UINT32)c->bits;
        p->sgnd = (OPJ_UINT32)c->is_signed;
    }
    opj_image_t *image = opj_image_create((OPJ_UINT32)c->components, parameters, c->space);
    if (!image) exit(1);
    image->x0 = (OPJ_UINT32)c->x0;
    image->y0 = (OPJ_UINT32)c->y0;
    image->x1 = (OPJ_UINT32)(c->x0 + WIDTH);
    image->y1 = (OPJ_UINT32)(c->y0 + HEIGHT);
    for (int i = 0; i < c->components; i++) {
        opj_image_comp_t *comp = &image->comps[i];
        comp->alpha = c->alpha && i == c->alpha;
        for (int y = 0; y < (int)comp->h; y++)
            for (int x = 0; x < (int)comp->w; x++) {
                int v = c->lossy ? (x * 6 + y * 4 + i * 40) : (x * 13 + y * 3 + i * (y * 17 + 40));
                if (c->bits > 8) v *= 1 << (c->bits - 8);
                v &= (1 << c->bits) - 1;
                comp->data[y * (int)comp->w + x] = v - (c->is_signed ? 1 << (c->bits - 1) : 0);
            }
    }
    return image;
}

static void write_case(const char *folder, const jp2_case *c)
{
    char path[512];
    opj_cparameters_t parameters;
    opj_set_default_encoder_parameters(&parameters);
    parameters.numresolution = 3;
    parameters.tcp_numlayers = 1;
    parameters.cp_disto_alloc = 1;
    parameters.irreversible = c->lossy;
    parameters.tcp_rates[0] = c->lossy ? 2 : 0;
    parameters.tcp_mct = c->components >= 3 && c->space == OPJ_CLRSPC_SRGB;
    parameters.image_offset_x0 = c->x0;
    parameters.image_offset_y0 = c->y0;
    if (c->tile) {
        parameters.tile_size_on = OPJ_TRUE;
        parameters.cp_tx0 = 2;
        parameters.cp_ty0 = 1;
        parameters.cp_tdx = parameters.cp_tdy = c->tile;
    }
    snprintf(path, sizeof(path), "%s/%s", folder, c->file);
    opj_image_t *image = make_image(c);
    opj_codec_t *codec =
        opj_create_compress(strstr(c->file, ".jp2") ? OPJ_CODEC_JP2 : OPJ_CODEC_J2K);
    opj_stream_t *stream = opj_stream_create_default_file_stream(path, OPJ_FALSE);
    if (!codec || !stream || !opj_setup_encoder(codec, &parameters, image) ||
        !opj_start_compress(codec, image, stream) || !opj_encode(codec, stream) ||
        !opj_end_compress(codec, stream)) {
        fprintf(stderr, "%s: cannot be written\n", path);
        exit(1);
    }
    opj_stream_destroy(stream);
    opj_destroy_codec(codec);
    opj_image_destroy(image);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: make_cases FOLDER\n");
        return 2;
    }
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        write_case(argv[1], &cases[i]);
    return 0;
}
