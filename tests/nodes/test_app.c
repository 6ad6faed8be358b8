/* What a plain host offers (models by name, secrets), the short way to run a file, values in files.
 */
#include "nodes/nodes_support.h"

#include "base/hash.h"

static char folder[512];

static int make_folders(void **state)
{
    (void)state;
    make_folder(folder, sizeof folder);
    return mkdir(path_in(folder, "a"), 0700) | mkdir(path_in(folder, "b"), 0700) |
           mkdir(path_in(folder, "b/deep-net"), 0700) | mkdir(path_in(folder, "b/other"), 0700) |
           mkdir(path_in(folder, "wf"), 0700) | mkdir(path_in(folder, "wf/models"), 0700);
}

static int remove_folders(void **state)
{
    (void)state;
    unsetenv("NNDEPLOY_MODELS");
    remove_folder(folder);
    return 0;
}

/* ---- services ----------------------------------------------------------------------------- */

static void use_folders(void)
{
    char list[1200];
    snprintf(list, sizeof list, "%s/a::%s/b", folder, folder);
    setenv("NNDEPLOY_MODELS", list, 1);
}

static void folders_are_in_the_documented_order(void **state)
{
    (void)state;
    char **folders = NULL;
    size_t count = 0;
    use_folders();
    setenv("XDG_CACHE_HOME", "/nowhere/cache", 1);
    assert_ok(nnd_nodes_model_folders("/my/flows", &folders, &count));
    assert_int_equal(count, 6);
    assert_string_equal(folders[0], path_in(folder, "a"));
    assert_string_equal(folders[1], path_in(folder, "b"));
    assert_string_equal(folders[2], "/my/flows/models");
    assert_string_equal(folders[3], "/my/flows/../models");
    assert_non_null(strstr(folders[4], "share/nndeploy/models"));
    assert_string_equal(folders[5], "/nowhere/cache/nndeploy/models");
    unsetenv("XDG_CACHE_HOME");
    for (size_t i = 0; i < count; i++)
        nnd_free(folders[i]);
    nnd_free(folders);
    assert_status(nnd_nodes_model_folders(NULL, NULL, &count), NND_E_INVALID_ARGUMENT);
    assert_status(nnd_nodes_services(NULL, NULL), NND_E_INVALID_ARGUMENT);
}

static void assert_finds(const nnd_services *s, const char *name, const char *wanted)
{
    char *path = NULL;
    assert_ok(s->find_model(s->user, name, NULL, &path));
    assert_string_equal(path, path_in(folder, wanted));
    nnd_free(path);
}

static void models_are_found_by_name(void **state)
{
    (void)state;
    nnd_services s;
    char *path = NULL;
    use_folders();
    put_text(path_in(folder, "a/first.onnx"), "a");
    put_text(path_in(folder, "b/first.onnx"), "b");
    put_text(path_in(folder, "b/deep-net/deep-net.onnx"), "d");
    put_text(path_in(folder, "b/other/model.onnx"), "o");
    put_text(path_in(folder, "b/under_score.onnx"), "u");
    put_text(path_in(folder, "wf/models/near.onnx"), "n");
    assert_ok(nnd_nodes_services(path_in(folder, "wf"), &s));
    assert_finds(&s, "first", "a/first.onnx");
    assert_finds(&s, "deep-net", "b/deep-net/deep-net.onnx");
    assert_finds(&s, "other", "b/other/model.onnx");
    assert_finds(&s, "under-score", "b/under_score.onnx");
    assert_finds(&s, "near", "wf/models/near.onnx");
    assert_fails(s.find_model(s.user, "gone", NULL, &path), NND_E_MISSING, "gone.onnx",
                 path_in(folder, "a"), path_in(folder, "wf/models"), "NNDEPLOY_MODELS");
    const char *walking[] = {"../a/first", "a/first", ".hidden", "", "c:first", "a\\first"};
    for (size_t i = 0; i < NND_COUNT(walking); i++)
        assert_fails(s.find_model(s.user, walking[i], NULL, &path), NND_E_MISSING, "no readable");
    nnd_services again;
    assert_ok(nnd_nodes_services(path_in(folder, "wf"), &again));
    assert_ptr_equal(again.user, s.user);
}

static void a_pinned_model_is_checked(void **state)
{
    (void)state;
    nnd_services s;
    char *path = NULL, text[NND_SHA256_TEXT];
    uint8_t digest[NND_SHA256_SIZE];
    use_folders();
    put_text(path_in(folder, "a/pinned.onnx"), "content");
    assert_ok(nnd_sha256_file(path_in(folder, "a/pinned.onnx"), digest));
    nnd_sha256_text(digest, text);
    assert_ok(nnd_nodes_services(NULL, &s));
    assert_ok(s.find_model(s.user, "pinned", text, &path));
    nnd_free(path);
    for (char *p = text; *p; p++)
        if (*p >= 'a' && *p <= 'f') *p = (char)(*p - 'a' + 'A');
    assert_ok(s.find_model(s.user, "pinned", text, &path));
    nnd_free(path);
    text[0] = text[0] == '0' ? '1' : '0';
    assert_fails(s.find_model(s.user, "pinned", text, &path), NND_E_FORMAT, "pinned.onnx", text,
                 "not the file that the workflow pins");
    assert_fails(s.find_model(s.user, "pinned", "12", &path), NND_E_FORMAT, "wanted 12");
    /* Another content, and what was known of the file before does not count. */
    text[0] = text[0] == '0' ? '1' : '0';
    put_text(path_in(folder, "a/pinned.onnx"), "other content");
    assert_fails(s.find_model(s.user, "pinned", text, &path), NND_E_FORMAT, "pinned.onnx");
}

/* Adds a variant to a catalogue's text; its files are written below a/. */
static void add_variant(char *json, size_t size, const char *backend, const char *precision,
                        const char *file)
{
    char text[NND_SHA256_TEXT], path[64];
    uint8_t digest[NND_SHA256_SIZE];
    size_t n = strlen(json);
    snprintf(path, sizeof path, "a/var-net/%s", file);
    put_text(path_in(folder, path), file);
    assert_ok(nnd_sha256_file(path_in(folder, path), digest));
    nnd_sha256_text(digest, text);
    snprintf(json + n, size - n,
             "%s{%s%s%s\"precision\":\"%s\",\"files\":[{\"role\":\"model\",\"name\":\"%s\","
             "\"sha256\":\"%s\",\"size\":%zu,\"urls\":[]}]}",
             json[n - 1] == '}' ? "," : "", backend[0] ? "\"backend\":\"" : "", backend,
             backend[0] ? "\"," : "", precision, file, text, strlen(file));
}

static nnd_status find_for(const char *name, const char *pinned, const char *backend,
                           const char *precision, char **path, bool *as_wished)
{
    nnd_services s;
    nnd_model_wish wish = {sizeof wish, name, pinned, backend, precision};
    assert_ok(nnd_nodes_services(NULL, &s));
    *as_wished = false;
    return s.find_variant(s.user, &wish, path, as_wished);
}

static void assert_chooses(const char *name, const char *pinned, const char *backend,
                           const char *precision, const char *wanted)
{
    char *path = NULL, text[NND_SHA256_TEXT] = "";
    uint8_t digest[NND_SHA256_SIZE];
    bool as_wished = false;
    if (pinned) {
        assert_ok(nnd_sha256_file(path_in(folder, pinned), digest));
        nnd_sha256_text(digest, text);
    }
    assert_ok(find_for(name, text, backend, precision, &path, &as_wished));
    assert_string_equal(path, path_in(folder, wanted));
    assert_int_equal(as_wished, precision && precision[0] && strstr(wanted, precision));
    nnd_free(path);
}

static void fill_variants(void)
{
    char json[4096] = "{\"format\":\"nndeploy-catalog/1\",\"models\":{\"var-net\":{\"task\":\"t\","
                      "\"licence\":\"MIT\",\"variants\":[";
    assert_int_equal(mkdir(path_in(folder, "a/var-net"), 0700), 0);
    add_variant(json, sizeof json, "mnn", "f16", "f16.mnn");
    add_variant(json, sizeof json, "", "f32", "f32.onnx");
    add_variant(json, sizeof json, "", "int8", "int8.onnx");
    add_variant(json, sizeof json, "ncnn", "f32", "f32.param");
    strcat(json, "]}}}");
    put_text(path_in(folder, "catalog.json"), json);
    setenv("NNDEPLOY_CATALOG", path_in(folder, "catalog.json"), 1);
    setenv("NNDEPLOY_MIRRORS", path_in(folder, "a"), 1);
    setenv("NNDEPLOY_MODELS", path_in(folder, "b"), 1);
    setenv("XDG_CACHE_HOME", "/nowhere/cache", 1);
}

static void variants_are_chosen(void **state)
{
    (void)state;
    char *path = NULL;
    bool as_wished = false;
    static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";
    fill_variants();
    /* What the built-in engine reads goes first, then precision, then the pin. */
    assert_chooses("var-net", NULL, NULL, NULL, "a/var-net/f32.onnx");
    assert_chooses("var-net", NULL, "auto", "", "a/var-net/f32.onnx");
    assert_chooses("var-net", NULL, "auto", "int8", "a/var-net/int8.onnx");
    assert_chooses("var-net", NULL, "auto", "bf16", "a/var-net/f32.onnx");
    assert_chooses("var-net", NULL, "ncnn", NULL, "a/var-net/f32.param");
    assert_chooses("var-net", NULL, "ncnn", "int8", "a/var-net/f32.param");
    assert_chooses("var-net", NULL, "onnxruntime", NULL, "a/var-net/f32.onnx");
    assert_chooses("var-net", NULL, "no-such", NULL, "a/var-net/f32.onnx");
    assert_chooses("var-net@int8", NULL, NULL, NULL, "a/var-net/int8.onnx");
    assert_chooses("var-net@mnn", NULL, NULL, NULL, "a/var-net/f16.mnn");
    assert_chooses("var-net@ncnn-f32", NULL, NULL, NULL, "a/var-net/f32.param");
    /* A pin chooses among those that suit, and forbids none of the catalogue. */
    assert_chooses("var-net", "a/var-net/int8.onnx", NULL, NULL, "a/var-net/int8.onnx");
    assert_chooses("var-net", "a/var-net/int8.onnx", "builtin", "", "a/var-net/int8.onnx");
    assert_chooses("var-net", "a/var-net/int8.onnx", "ncnn", NULL, "a/var-net/f32.param");
    assert_chooses("var-net", "a/var-net/f32.onnx", "builtin", "int8", "a/var-net/int8.onnx");
    assert_chooses("var-net@int8", "a/var-net/f32.onnx", NULL, NULL, "a/var-net/int8.onnx");
    assert_fails(find_for("var-net", "12", "ncnn", NULL, &path, &as_wished), NND_E_MISSING,
                 "does not have");
    /* None suits. */
    assert_fails(find_for("var-net@f64", NULL, NULL, NULL, &path, &as_wished), NND_E_MISSING,
                 "'f64'", "mnn-f16, f32, int8, ncnn-f32");
    assert_fails(find_for("var-net@mnn", NULL, "ncnn", NULL, &path, &as_wished), NND_E_MISSING,
                 "for the backend 'ncnn'", "mnn-f16, f32, int8, ncnn-f32");
    assert_fails(find_for("var-net@", NULL, NULL, "", &path, &as_wished), NND_E_MISSING,
                 "no readable");
    /* The user's own files: under the plain name for what comes unasked, else with the word. */
    put_text(path_in(folder, "b/var-net.onnx"), "own");
    assert_chooses("var-net", NULL, NULL, NULL, "b/var-net.onnx");
    assert_chooses("var-net", NULL, "auto", "bf16", "b/var-net.onnx");
    assert_chooses("var-net", NULL, "ncnn", NULL, "a/var-net/f32.param");
    assert_chooses("var-net@int8", NULL, NULL, NULL, "a/var-net/int8.onnx");
    assert_fails(find_for("var-net", zeros, NULL, NULL, &path, &as_wished), NND_E_FORMAT,
                 "not the file that the workflow pins");
    put_text(path_in(folder, "b/var_net_int8.onnx"), "own");
    assert_chooses("var-net@int8", NULL, NULL, NULL, "b/var_net_int8.onnx");
    assert_chooses("var-net", NULL, NULL, "int8", "b/var_net_int8.onnx");
    put_text(path_in(folder, "b/mine-int8.onnx"), "own");
    assert_chooses("mine@int8", NULL, NULL, NULL, "b/mine-int8.onnx");
    assert_fails(find_for("mine@f16", NULL, NULL, NULL, &path, &as_wished), NND_E_MISSING,
                 "mine-f16.onnx");
    assert_fails(find_for("mine", NULL, "ncnn", NULL, &path, &as_wished), NND_E_MISSING,
                 "mine.param");
    /* Other bytes than those of the catalogue. */
    put_text(path_in(folder, "a/var-net/f32.param"), "f32.paraX");
    assert_fails(find_for("var-net", NULL, "ncnn", NULL, &path, &as_wished), NND_E_FORMAT,
                 "pull var-net@ncnn-f32");
    unsetenv("NNDEPLOY_CATALOG");
    unsetenv("NNDEPLOY_MIRRORS");
    unsetenv("XDG_CACHE_HOME");
}

static void secrets_come_from_the_environment(void **state)
{
    (void)state;
    nnd_services s;
    char *value = NULL;
    assert_ok(nnd_nodes_services(NULL, &s));
    setenv("NNDEPLOY_SECRET_TOKEN", "abc123", 1);
    assert_ok(s.find_secret(s.user, "TOKEN", &value));
    assert_string_equal(value, "abc123");
    nnd_free(value);
    unsetenv("NNDEPLOY_SECRET_TOKEN");
    assert_fails(s.find_secret(s.user, "TOKEN", &value), NND_E_MISSING, "NNDEPLOY_SECRET_TOKEN");
}

/* ---- apps --------------------------------------------------------------------------------- */

static nnd_app *open_digits(void)
{
    nnd_app *app = NULL;
    assert_ok(nnd_app_open(path_in(NND_SOURCE_DIR, "workflows/read-digits.json"), NULL, 0, &app));
    return app;
}

static void an_app_runs_a_file(void **state)
{
    (void)state;
    nnd_app *app = open_digits();
    char *json = NULL;
    assert_null(nnd_app_get(app, "text"));
    assert_fails(nnd_app_get_json(app, &json), NND_E_STATE, "has not run");
    assert_ok(nnd_app_set_file(app, "image", path_in(NND_SOURCE_DIR, "examples/media/sheet.png")));
    for (int i = 0; i < 2; i++) {
        assert_ok(nnd_app_run(app, NULL));
        const nnd_text *text = nnd_value_text(nnd_app_get(app, "text"));
        assert_non_null(strstr(text->text, "0123456789\n"));
    }
    assert_null(nnd_app_get(app, "nothing"));
    assert_null(nnd_app_get(app, NULL));
    assert_ok(nnd_app_get_json(app, &json));
    assert_non_null(strstr(json, "\"digits\""));
    nnd_free(json);
    nnd_app_close(app);
    nnd_app_close(NULL);
}

static void an_app_says_what_is_wrong(void **state)
{
    (void)state;
    nnd_app *app = open_digits();
    nnd_value *text = text_value("no picture");
    const char *sheet = path_in(NND_SOURCE_DIR, "examples/media/sheet.png");
    assert_fails(nnd_app_set(app, "photo", text), NND_E_NOT_FOUND, "'photo'", "'image'");
    assert_fails(nnd_app_set_file(app, "photo", sheet), NND_E_NOT_FOUND, "'image'");
    assert_fails(nnd_app_set_file(app, "image", path_in(folder, "none.png")), NND_E_NOT_FOUND,
                 "none.png");
    put_text(path_in(folder, "bad.png"), "no png");
    assert_fails(nnd_app_set_file(app, "image", path_in(folder, "bad.png")), NND_E_FORMAT,
                 "bad.png");
    /* A value of the wrong type, no value at all, a cancelled run. */
    assert_ok(nnd_app_set(app, "image", text));
    assert_fails(nnd_app_run(app, NULL), NND_E_TYPE, "'image'", "text");
    assert_ok(nnd_app_set_file(app, "image", sheet));
    assert_ok(nnd_app_run(app, NULL));
    nnd_cancel *cancel = NULL;
    assert_ok(nnd_cancel_create(NULL, &cancel));
    nnd_cancel_request(cancel);
    assert_status(nnd_app_run(app, cancel), NND_E_CANCELLED);
    assert_null(nnd_app_get(app, "text")); /* what failed leaves no results of the run before */
    nnd_cancel_unref(cancel);
    assert_ok(nnd_app_set(app, "image", NULL));
    assert_ok(nnd_app_set(app, "image", NULL));
    nnd_value_unref(text);
    nnd_app_close(app);
}

static void a_bad_file_lists_all_its_errors(void **state)
{
    (void)state;
    nnd_app *app = NULL;
    const char *path = path_in(folder, "bad.json");
    assert_fails(nnd_app_open(path_in(folder, "none.json"), NULL, 0, &app), NND_E_NOT_FOUND,
                 "none.json");
    assert_status(nnd_app_open(NULL, NULL, 0, &app), NND_E_INVALID_ARGUMENT);
    put_text(path, "{");
    assert_fails(nnd_app_open(path, NULL, 0, &app), NND_E_FORMAT, "bad.json");
    put_text(path,
             "{\"format\":\"nndeploy/1\",\"name\":\"bad\",\"inputs\":[],\"outputs\":[],"
             "\"nodes\":[{\"id\":\"a\",\"type\":\"image.resise@1\"},"
             "{\"id\":\"b\",\"type\":\"const.int@1\",\"params\":{\"valu\":3}}],\"edges\":[]}");
    assert_fails(nnd_app_open(path, NULL, 0, &app), NND_E_VALIDATION, "image.resise",
                 "image.resize", "valu", "'value'");
    const char *set[] = {"ink.window=9999"};
    assert_fails(nnd_app_open(path_in(NND_SOURCE_DIR, "workflows/read-digits.json"), set, 1, &app),
                 NND_E_VALIDATION, "window", "255");
    assert_null(app);
}

static void overrides_take_effect(void **state)
{
    (void)state;
    nnd_app *app = NULL;
    const char *set[] = {"lines.score=1.0", "lines.drop=[]"};
    assert_ok(nnd_app_open(path_in(NND_SOURCE_DIR, "workflows/read-digits.json"), set, 2, &app));
    assert_ok(nnd_app_set_file(app, "image", path_in(NND_SOURCE_DIR, "examples/media/sheet.png")));
    assert_ok(nnd_app_run(app, NULL));
    assert_string_equal(nnd_value_text(nnd_app_get(app, "text"))->text, ""); /* nothing is sure */
    nnd_app_close(app);
}

static void the_error_text_is_empty_without_error(void **state)
{
    (void)state;
    nnd_error_clear();
    assert_string_equal(nnd_app_error(), "");
    nnd_error_set(NND_E_IO, "the disk");
    assert_non_null(strstr(nnd_app_error(), "the disk"));
    assert_non_null(strstr(nnd_app_error(), "the disk")); /* asking does not forget */
    char *large = malloc(10000);
    memset(large, 'x', 9999);
    large[9999] = '\0';
    nnd_error_set(NND_E_IO, "%s", large);
    assert_true(strlen(nnd_app_error()) < 4096);
    free(large);
    nnd_error_clear();
}

/* ---- values in files ---------------------------------------------------------------------- */

static nnd_value *through_file(nnd_value *value, const char *name, const char *type)
{
    nnd_value *back = NULL;
    assert_ok(nnd_value_write_file(value, path_in(folder, name)));
    assert_ok(nnd_value_read_file(path_in(folder, name), type, &back));
    return back;
}

static void values_round_trip_through_files(void **state)
{
    (void)state;
    nnd_value *picture = test_picture(NND_PIX_RGB, 7, 5), *back = NULL, *bytes = NULL;
    const char *types[] = {"image", "any", "text|image"};
    const char *names[] = {"v.png", "v.bmp"};
    for (size_t i = 0; i < 6; i++) {
        back = through_file(picture, names[i / 3], types[i % 3]);
        assert_true(same_image(nnd_value_image(back), nnd_value_image(picture)));
        nnd_value_unref(back);
    }
    back = through_file(picture, "v.jpg", "image");
    assert_int_equal(nnd_value_image(back)->width, 7);
    nnd_value_unref(back);
    assert_fails(nnd_value_write_file(picture, path_in(folder, "v.gif")), NND_E_UNSUPPORTED, ".png",
                 "v.gif");
    assert_false(file_exists(path_in(folder, "v.gif")));
    assert_fails(nnd_value_write_file(picture, path_in(folder, "no/where.png")), NND_E_NOT_FOUND,
                 "where.png");
    nnd_value_unref(picture);

    nnd_value *tensor = f32_value(1, (int64_t[]){3}, (float[]){1, 2, 3});
    back = through_file(tensor, "v.npy", "any");
    assert_memory_equal(nnd_value_tensor(back)->data, nnd_value_tensor(tensor)->data, 12);
    nnd_value_unref(back);
    nnd_value_unref(tensor);

    nnd_value *text = text_value("Grüße\n");
    back = through_file(text, "v.txt", "any");
    assert_string_equal(nnd_value_text(back)->text, "Grüße\n");
    nnd_value_unref(back);
    assert_ok(nnd_value_read_file(path_in(folder, "v.txt"), "bytes", &bytes));
    back = through_file(bytes, "v.bin", "bytes");
    const void *data = NULL;
    size_t size = 0;
    assert_true(nnd_value_as_bytes(back, &data, &size));
    assert_int_equal(size, strlen("Grüße\n"));
    nnd_value_unref(back);
    nnd_value_unref(bytes);
    nnd_value_unref(text);

    nnd_value *number = NULL;
    assert_ok(nnd_value_new_float(2.5, &number));
    back = through_file(number, "v.json", "text");
    assert_non_null(strstr(nnd_value_text(back)->text, "2.5"));
    nnd_value_unref(back);
    nnd_value_unref(number);
}

static void unreadable_files_say_why(void **state)
{
    (void)state;
    nnd_value *value = NULL;
    put_text(path_in(folder, "some.txt"), "\xff");
    assert_fails(nnd_value_read_file(path_in(folder, "some.txt"), "detections", &value), NND_E_TYPE,
                 "detections", "some.txt");
    assert_fails(nnd_value_read_file(path_in(folder, "some.txt"), "text", &value), NND_E_FORMAT,
                 "some.txt");
    assert_fails(nnd_value_read_file(path_in(folder, "some.txt"), "image", &value), NND_E_FORMAT,
                 "some.txt");
    assert_fails(nnd_value_read_file(folder, "text", &value), NND_E_IO, folder);
    assert_status(nnd_value_read_file(NULL, "text", &value), NND_E_INVALID_ARGUMENT);
    assert_status(nnd_value_write_file(NULL, "x"), NND_E_INVALID_ARGUMENT);
    assert_null(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folders_are_in_the_documented_order),
        cmocka_unit_test(models_are_found_by_name),
        cmocka_unit_test(a_pinned_model_is_checked),
        cmocka_unit_test(variants_are_chosen),
        cmocka_unit_test(secrets_come_from_the_environment),
        cmocka_unit_test(an_app_runs_a_file),
        cmocka_unit_test(an_app_says_what_is_wrong),
        cmocka_unit_test(a_bad_file_lists_all_its_errors),
        cmocka_unit_test(overrides_take_effect),
        cmocka_unit_test(the_error_text_is_empty_without_error),
        cmocka_unit_test(values_round_trip_through_files),
        cmocka_unit_test(unreadable_files_say_why),
    };
    return cmocka_run_group_tests(tests, make_folders, remove_folders);
}
