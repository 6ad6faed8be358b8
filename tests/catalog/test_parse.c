/* Catalogues: what is accepted, what is refused and where, and what our own says. */
#include "base/hash.h"
#include "base/str.h"
#include "catalog/catalog_internal.h"
#include "port/port.h"
#include "support/oom.h"
#include "support/test.h"

#define SHA  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define SHA2 "1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char small[] =
    "{\"format\": \"nndeploy-catalog/1\", \"x-who\": 1, \"models\": {\n"
    " \"b-net\": {\"task\": \"t\", \"licence\": \"MIT\", \"note\": \"n\", \"variants\": [\n"
    "  {\"precision\": \"f32\", \"files\": [{\"role\": \"model\", \"name\": \"model.onnx\", "
    "\"sha256\": \"" SHA "\", \"size\": 7, \"urls\": [\"https://a.example/m\", "
    "\"github:o/r@0123456789012345678901234567890123456789/a b\"]}],\n"
    "   \"io\": {\"image\": {\"name\": \"x/0\", \"layout\": \"NHWC\", \"dtype\": \"u8\", "
    "\"scale\": 255}, \"out\": {}}},\n"
    "  {\"backend\": \"ncnn\", \"device\": \"gpu\", \"precision\": \"int8\", \"files\": [\n"
    "   {\"role\": \"weights\", \"name\": \"sub/m.bin\", \"sha256\": \"" SHA2 "\", \"size\": 9, "
    "\"urls\": []},\n"
    "   {\"role\": \"model\", \"name\": \"m.param\", \"sha256\": \"" SHA2 "\", \"size\": 8, "
    "\"urls\": []}]}]},\n"
    " \"a\": {\"task\": \"t\", \"licence\": \"MIT\", \"variants\": [{\"precision\": \"f32\", "
    "\"files\": [{\"role\": \"model\", \"name\": \"m\", \"sha256\": \"" SHA "\", \"size\": 1, "
    "\"urls\": []}]}]}}}";

/* A copy of `small` with the first `from` replaced. */
static char *changed(const char *from, const char *to)
{
    const char *at = strstr(small, from);
    assert_non_null(at);
    char *text = nnd_strf("%.*s%s%s", (int)(at - small), small, to, at + strlen(from));
    assert_non_null(text);
    return text;
}

static char *good_text(void)
{
    return changed("/a b", "/a/b.onnx");
}

static void test_reads_everything(void **state)
{
    (void)state;
    nnd_catalog *c = NULL;
    char *text = good_text();
    assert_ok(nnd_catalog_parse(text, strlen(text), "x.json", &c));
    nnd_free(text);
    assert_int_equal(nnd_catalog_count(c), 2);
    assert_string_equal(nnd_catalog_at(c, 0)->name, "a");
    assert_null(nnd_catalog_at(c, 2));
    assert_null(nnd_catalog_find(c, "c"));
    assert_string_equal(nnd_catalog_suggest(c, "b-nett"), "b-net");
    const nnd_catalog_model *m = nnd_catalog_find(c, "b-net");
    assert_string_equal(m->task, "t");
    assert_string_equal(m->licence, "MIT");
    assert_string_equal(m->note, "n");
    assert_int_equal(m->variant_count, 2);
    const nnd_catalog_variant *v = nnd_catalog_variant_at(m, 0);
    assert_string_equal(v->backend, "");
    assert_string_equal(v->device, "");
    const nnd_catalog_file *f = nnd_catalog_main_file(v);
    assert_string_equal(f->name, "model.onnx");
    assert_int_equal(f->size, 7);
    assert_int_equal(f->url_count, 2);
    const nnd_catalog_port *p = nnd_catalog_port_at(v, 0);
    assert_string_equal(p->port, "image");
    assert_string_equal(p->name, "x/0");
    assert_string_equal(p->layout, "NHWC");
    assert_int_equal(p->dtype, NND_U8);
    assert_true(p->scale == 255);
    p = nnd_catalog_port_at(v, 1);
    assert_string_equal(p->name, "out");
    assert_int_equal(p->dtype, NND_DTYPE_INVALID);
    assert_true(p->scale == 1 && p->offset == 0 && !p->scales && p->channel_count == 0);
    assert_null(nnd_catalog_port_at(v, 2));
    v = nnd_catalog_variant_at(m, 1);
    assert_string_equal(nnd_catalog_main_file(v)->name, "m.param");
    assert_string_equal(nnd_catalog_file_at(v, 0)->role, "weights");
    nnd_catalog_destroy(c);
}

static void test_picks(void **state)
{
    (void)state;
    nnd_catalog *c = NULL;
    char *text = good_text();
    assert_ok(nnd_catalog_parse(text, strlen(text), NULL, &c));
    nnd_free(text);
    const nnd_catalog_model *m = nnd_catalog_find(c, "b-net");
    const nnd_catalog_variant *any = nnd_catalog_variant_at(m, 0),
                              *ncnn = nnd_catalog_variant_at(m, 1);
    assert_ptr_equal(nnd_catalog_pick(m, NULL, NULL, NULL), any);
    assert_ptr_equal(nnd_catalog_pick(m, "builtin", "", ""), any);
    assert_ptr_equal(nnd_catalog_pick(m, "ncnn", "int8", NULL), ncnn);
    assert_ptr_equal(nnd_catalog_pick(m, "ncnn", NULL, NULL), ncnn);
    assert_ptr_equal(nnd_catalog_pick(m, "ncnn", "f32", NULL), any);
    assert_ptr_equal(nnd_catalog_pick(m, NULL, "int8", "gpu"), ncnn);
    assert_null(nnd_catalog_pick(m, "builtin", "int8", NULL));
    assert_null(nnd_catalog_pick(m, NULL, "f16", NULL));
    assert_ptr_equal(nnd_catalog_pick_sha256(m, SHA2), ncnn);
    assert_null(nnd_catalog_pick_sha256(m, "12"));
    nnd_catalog_destroy(c);
}

static void test_variants_have_words(void **state)
{
    (void)state;
    nnd_catalog *c = NULL;
    char *text = good_text(), word[200];
    assert_ok(nnd_catalog_parse(text, strlen(text), NULL, &c));
    nnd_free(text);
    const nnd_catalog_model *m = nnd_catalog_find(c, "b-net");
    const nnd_catalog_variant *any = nnd_catalog_variant_at(m, 0),
                              *ncnn = nnd_catalog_variant_at(m, 1);
    assert_string_equal(nnd_catalog_variant_word(any, word, sizeof word), "f32");
    assert_string_equal(nnd_catalog_variant_word(ncnn, word, sizeof word), "ncnn-gpu-int8");
    char *words = nnd_catalog_variant_words(m);
    assert_string_equal(words, "f32, ncnn-gpu-int8");
    nnd_free(words);
    const char *const answered[] = {"ncnn", "gpu", "int8", "ncnn-gpu-int8"};
    for (size_t i = 0; i < NND_COUNT(answered); i++) {
        assert_true(nnd_catalog_variant_answers(ncnn, answered[i]));
        assert_false(nnd_catalog_variant_answers(any, answered[i]));
    }
    assert_true(nnd_catalog_variant_answers(any, "f32"));
    assert_false(nnd_catalog_variant_answers(any, ""));
    assert_false(nnd_catalog_variant_answers(ncnn, "ncnn-int8"));
    nnd_catalog_destroy(c);
}

static void test_priors(void **state)
{
    (void)state;
    static const struct {
        const char *priors;
        bool good;
    } cases[] = {
        {"{\"levels\":[{\"step\":8,\"sizes\":[10,16]}],\"variances\":[0.1,0.2]}", true},
        {"{\"levels\":[],\"variances\":[0.1,0.2]}", false},
        {"{\"levels\":[{\"step\":0.5,\"sizes\":[10]}],\"variances\":[0.1,0.2]}", false},
        {"{\"levels\":[{\"step\":8,\"sizes\":[]}],\"variances\":[0.1,0.2]}", false},
        {"{\"levels\":[{\"step\":8,\"sizes\":[\"a\"]}],\"variances\":[0.1,0.2]}", false},
        {"{\"levels\":[{\"step\":8,\"sizes\":[10]}],\"variances\":[0.1]}", false},
        {"{\"levels\":[{\"step\":8,\"sizes\":[1e9]}],\"variances\":[0.1,0.2]}", false},
        {"{\"levels\":[{\"sizes\":[10]}],\"variances\":[0.1,0.2]}", false},
        {"7", false},
    };
    for (size_t i = 0; i < NND_COUNT(cases); i++) {
        nnd_catalog *c = NULL;
        char text[1024];
        int n = snprintf(text, sizeof text,
                         "{\"format\":\"nndeploy-catalog/1\",\"models\":{\"m\":{\"task\":\"t\","
                         "\"licence\":\"MIT\",\"variants\":[{\"precision\":\"f32\",\"files\":["
                         "{\"role\":\"model\",\"name\":\"m\",\"sha256\":\"%064d\",\"size\":1,"
                         "\"urls\":[]}],\"io\":{\"boxes\":{\"priors\":%s}}}]}}}",
                         0, cases[i].priors);
        nnd_status status = nnd_catalog_parse(text, (size_t)n, NULL, &c);
        assert_int_equal(status, cases[i].good ? NND_OK : NND_E_FORMAT);
        if (!c) continue;
        const nnd_catalog_variant *v = nnd_catalog_variant_at(nnd_catalog_at(c, 0), 0);
        const nnd_catalog_priors *priors = nnd_catalog_port_at(v, 0)->priors;
        assert_int_equal(priors->level_count, 1);
        assert_int_equal(priors->levels[0].size_count, 2);
        assert_true(priors->levels[0].sizes[1] == 16 && priors->size_variance == 0.2);
        nnd_catalog_destroy(c);
    }
}

static void test_expands_urls(void **state)
{
    (void)state;
    char *url =
        cat_url_expand("github:o-w/r.p_q@0123456789012345678901234567890123456789/a/b.onnx");
    assert_string_equal(url, "https://raw.githubusercontent.com/o-w/r.p_q/"
                             "0123456789012345678901234567890123456789/a/b.onnx");
    nnd_free(url);
    url = cat_url_expand("https://a.example/x");
    assert_string_equal(url, "https://a.example/x");
    nnd_free(url);
}

/* What stands in `small`, what stands there instead, and what the message says. */
static const char *const bad[][3] = {
    {"nndeploy-catalog/1", "nndeploy-catalog/2", "'format' has to be"},
    {"\"x-who\"", "\"who\"", "no field 'who'"},
    {"\"licence\"", "\"license\"", "did you mean 'licence'"},
    {"\"b-net\"", "\"../b\"", "name of a model"},
    {"\"b-net\"", "\"\"", "name of a model"},
    {"\"b-net\"", "\"b\\u0000\"", "name of a model"},
    {"\"b-net\"", "\"b.\"", "name of a model"},
    {"\"task\": \"t\"", "\"task\": \"\"", "'task'"},
    {"\"task\": \"t\"", "\"task\": \"a b\"", "'task' has to be a word"},
    {"\"task\": \"t\"", "\"task\": 3", "'task'"},
    {"\"note\": \"n\"", "\"note\": \"\"", "'note'"},
    {"\"note\": \"n\"", "\"note\": \"a\\u0000\"", "'note'"},
    {"\"model.onnx\"", "\"../model.onnx\"", "stay in its folder"},
    {"\"model.onnx\"", "\"a/../../m\"", "stay in its folder"},
    {"\"model.onnx\"", "\"/etc/passwd\"", "stay in its folder"},
    {"\"model.onnx\"", "\"c:/m\"", "stay in its folder"},
    {"\"model.onnx\"", "\"a\\\\m\"", "stay in its folder"},
    {"\"model.onnx\"", "\"a//m\"", "stay in its folder"},
    {"\"model.onnx\"", "\"a/\"", "stay in its folder"},
    {"\"model.onnx\"", "\".lock\"", "stay in its folder"},
    {"\"model.onnx\"", "\"m.part\"", "stay in its folder"},
    {"\"model.onnx\"", "\"m.part-origin\"", "stay in its folder"},
    {"\"model.onnx\"", "\"m.param\"", "two different files"},
    {"\"model.onnx\"", "\"M.Param\"", "two different files"},
    {"\"role\": \"model\"", "\"role\": \"labels\"", "exactly one file"},
    {"\"role\": \"weights\"", "\"role\": \"model\"", "exactly one file"},
    {"\"sha256\": \"0", "\"sha256\": \"", "'sha256'"},
    {"\"sha256\": \"0", "\"sha256\": \"A", "'sha256'"},
    {"\"size\": 7", "\"size\": 0", "'size'"},
    {"\"size\": 7", "\"size\": -1", "'size'"},
    {"\"size\": 7", "\"size\": 1.5", "'size'"},
    {"\"size\": 7", "\"size\": 1e300", "'size'"},
    {"\"size\": 7", "\"size\": \"7\"", "'size'"},
    {"https://a", "file://a", "a URL has to be"},
    {"https://a", "ftp://a", "a URL has to be"},
    {"https://a", "https:///a", "a URL has to be"},
    {"https://a.example/m", "https://a/\\u0000", "a URL has to be"},
    {"https://a.example/m", "https://a/ b", "a URL has to be"},
    {"/a b", "/../b", "a URL has to be"},
    {"@0123", "@123", "a URL has to be"},
    {"github:o/", "github:o", "a URL has to be"},
    {"\"scale\": 255", "\"scale\": 0", "'scale'"},
    {"\"scale\": 255", "\"scale\": 1e9", "'scale'"},
    {"\"scale\": 255", "\"scale\": true", "'scale'"},
    {"\"scale\": 255", "\"scale\": []", "'scale'"},
    {"\"scale\": 255", "\"scale\": [1, 0, 1]", "'scale'"},
    {"\"scale\": 255", "\"offset\": \"1\"", "'offset'"},
    {"\"scale\": 255", "\"offset\": -1e9", "'offset'"},
    {"\"scale\": 255", "\"scale\": [1, 2], \"offset\": [1, 2, 3]", "as many elements"},
    {"\"out\": {}", "\"out\": {\"scale\": [1, 2]}", "'layout' with the channels"},
    {"\"out\": {}", "\"out\": {\"layout\": \"HW\", \"offset\": [1]}", "'layout' with the channels"},
    {"\"u8\"", "\"uint8\"", "element type"},
    {"\"NHWC\"", "\"nhwc\"", "'layout'"},
    {"\"NHWC\"", "\"ABCDEFGHI\"", "'layout'"},
    {"\"NHWC\"", "\"NHHC\"", "'layout'"},
    {"\"out\"", "\"\"", "a port needs a name"},
    {"\"out\": {}", "\"out\": {\"name\": \"x/0\"}", "two ports"},
    {"\"out\": {}", "\"out\": 1", "a port has to be an object"},
    {"\"precision\": \"f32\",", "", "'precision'"},
    {"\"precision\": \"f32\", \"files\": [{", "\"precision\": \"f32\", \"files\": {\"a\": [{", ""},
};

/* One scale per channel: both lists are there, whichever is written. */
static void test_channels(void **state)
{
    (void)state;
    static const char *const forms[] = {"\"scale\": [2, 4]", "\"offset\": [1, -3]",
                                        "\"scale\": [2, 4], \"offset\": [1, -3]",
                                        "\"scale\": 5, \"offset\": [1, -3]"};
    static const double want[][4] = {{2, 4, 0, 0}, {1, 1, 1, -3}, {2, 4, 1, -3}, {5, 5, 1, -3}};
    for (size_t i = 0; i < NND_COUNT(forms); i++) {
        nnd_catalog *c = NULL;
        char *text = changed("\"scale\": 255", forms[i]);
        memcpy(strstr(text, "/a b"), "/a_b", 4);
        assert_ok(nnd_catalog_parse(text, strlen(text), "x.json", &c));
        const nnd_catalog_port *p =
            nnd_catalog_port_at(nnd_catalog_variant_at(nnd_catalog_find(c, "b-net"), 0), 0);
        assert_int_equal(p->channel_count, 2);
        assert_memory_equal(p->scales, want[i], 2 * sizeof(double));
        assert_memory_equal(p->offsets, want[i] + 2, 2 * sizeof(double));
        nnd_catalog_destroy(c);
        nnd_free(text);
    }
}

/* The text of a bad case: wrong in one place, right elsewhere. */
static char *bad_text(size_t i)
{
    char *text = changed(bad[i][0], bad[i][1]);
    char *space = strstr(text, "/a b");
    if (space) space[2] = '_';
    return text;
}

/* For check_schema.py: every example with what is wrong with it. */
static int write_examples(const char *folder)
{
    for (size_t i = 0; i <= NND_COUNT(bad); i++) {
        bool good = i == NND_COUNT(bad);
        char *text = good ? good_text() : bad_text(i);
        const char *reason = good ? "good" : bad[i][2];
        char *path = nnd_strf("%s/%02zu.json", folder, i),
             *why = nnd_strf("%s/%02zu.txt", folder, i);
        bool written = nnd_port_file_write_atomic(path, text, strlen(text)) == 0 &&
                       nnd_port_file_write_atomic(why, reason, strlen(reason)) == 0;
        nnd_free(text);
        nnd_free(path);
        nnd_free(why);
        if (!written) return 1;
    }
    return 0;
}

static void test_refuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < NND_COUNT(bad); i++) {
        nnd_catalog *c = NULL;
        char *text = bad_text(i);
        nnd_status status = nnd_catalog_parse(text, strlen(text), "x.json", &c);
        nnd_error *error = nnd_error_take();
        char *message = error ? nnd_error_to_string(error) : NULL;
        if (status != NND_E_FORMAT || !message || !strstr(message, bad[i][2]) ||
            !strstr(message, "x.json"))
            fail_msg("case %zu, %s: %s %s", i, bad[i][1], nnd_status_name(status),
                     message ? message : "");
        assert_null(c);
        nnd_free(message);
        nnd_error_destroy(error);
        nnd_free(text);
    }
}

static void test_bounds(void **state)
{
    (void)state;
    nnd_catalog *c = NULL;
    nnd_str text = {0};
    nnd_str_add(&text,
                "{\"format\": \"nndeploy-catalog/1\", \"models\": {\"a\": {\"task\": \"t\", "
                "\"licence\": \"MIT\", \"variants\": [{\"precision\": \"f32\", \"files\": [");
    for (int i = 0; i < 65; i++)
        nnd_str_printf(&text,
                       "%s{\"role\": \"%s\", \"name\": \"m%d\", \"sha256\": \"" SHA
                       "\", \"size\": 1, \"urls\": []}",
                       i ? "," : "", i ? "x" : "model", i);
    nnd_str_add(&text, "]}]}}}");
    assert_status(nnd_catalog_parse(text.data, text.size, NULL, &c), NND_E_FORMAT);
    nnd_str_free(&text);
    assert_status(nnd_catalog_parse("", 0, NULL, &c), NND_E_FORMAT);
    assert_status(nnd_catalog_parse("[]", 2, NULL, &c), NND_E_FORMAT);
    assert_status(nnd_catalog_load("/nowhere/at/all.json", &c), NND_E_NOT_FOUND);
    nnd_error_clear();
}

static void test_without_memory(void **state)
{
    (void)state;
    char *text = good_text();
    size_t size = strlen(text);
    oom_begin();
    for (long n = 0;; n++) {
        nnd_catalog *c = NULL;
        oom_fail_after(n);
        nnd_status status = nnd_catalog_parse(text, size, "x.json", &c);
        bool was_hit = oom_hit();
        oom_never();
        assert_int_equal(status, was_hit ? NND_E_OUT_OF_MEMORY : NND_OK);
        nnd_catalog_destroy(c);
        nnd_error_clear();
        assert_int_equal(oom_live_blocks(), 0);
        if (!was_hit) break;
    }
    oom_end();
    nnd_free(text);
}

/* ---- our own catalogue ------------------------------------------------------------------- */

static void check_file(const char *path, const nnd_catalog_file *file)
{
    bool same = false;
    nnd_port_file_info info;
    assert_int_equal(nnd_port_file_stat(path, &info), 0);
    assert_int_equal(info.size, file->size);
    assert_ok(cat_compare(path, file, &same));
    if (!same) fail_msg("%s is not the file of the catalogue", path);
}

static void test_our_models(void **state)
{
    (void)state;
    const nnd_catalog *c = nnd_catalog_builtin();
    assert_non_null(c);
    assert_ptr_equal(c, nnd_catalog_builtin());
    static const char *const ours[] = {"digits-32", "latin-ocr"};
    for (size_t i = 0; i < NND_COUNT(ours); i++) {
        const nnd_catalog_model *m = nnd_catalog_find(c, ours[i]);
        assert_non_null(m);
        for (size_t v = 0; v < m->variant_count; v++)
            for (size_t f = 0; f < nnd_catalog_variant_at(m, v)->file_count; f++) {
                const nnd_catalog_file *file = nnd_catalog_file_at(nnd_catalog_variant_at(m, v), f);
                char *path = nnd_strf(NND_SOURCE_DIR "/models/%s/%s", m->name, file->name);
                check_file(path, file);
                nnd_free(path);
            }
    }
}

/* Every entry that lies in the folder of test models has these bytes. */
static void test_foreign_models(void **state)
{
    (void)state;
    skip_without_data();
    static const char *const groups[] = {"", "/ncnn", "/mnn", "/tflite"};
    const nnd_catalog *c = nnd_catalog_builtin();
    size_t checked = 0;
    assert_non_null(c);
    for (size_t i = 0; i < nnd_catalog_count(c); i++) {
        const nnd_catalog_model *m = nnd_catalog_at(c, i);
        for (size_t k = 0; k < m->variant_count * NND_COUNT(groups); k++) {
            const nnd_catalog_variant *v = nnd_catalog_variant_at(m, k / NND_COUNT(groups));
            char *root = nnd_strf("%s/models%s", test_data_dir(), groups[k % NND_COUNT(groups)]);
            for (size_t f = 0; f < v->file_count; f++) {
                char *path = cat_find_in(root, m, nnd_catalog_file_at(v, f));
                if (path) check_file(path, nnd_catalog_file_at(v, f));
                checked += path != NULL;
                nnd_free(path);
            }
            nnd_free(root);
        }
    }
    assert_true(checked >= 35);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--write-examples") == 0) return write_examples(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_everything),
        cmocka_unit_test(test_channels),
        cmocka_unit_test(test_picks),
        cmocka_unit_test(test_variants_have_words),
        cmocka_unit_test(test_priors),
        cmocka_unit_test(test_expands_urls),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_our_models),
        cmocka_unit_test(test_foreign_models),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
