/* Nodes that touch files: what they read and write, and that none leaves the roots of the policy.
 */
#include "nodes/nodes_support.h"

#include "engine/onnx_writer.h"
#include "port/port.h"

static char folder[512], outside[512];

static const char *secret(void)
{
    return path_in(outside, "secret.txt");
}

static int make_folders(void **state)
{
    (void)state;
    make_folder(folder, sizeof folder);
    make_folder(outside, sizeof outside);
    put_text(secret(), "secret\n");
    return symlink(secret(), path_in(folder, "link.txt"));
}

static int remove_folders(void **state)
{
    (void)state;
    remove_folder(folder);
    remove_folder(outside);
    return 0;
}

static void put_picture(const char *name, int width)
{
    nnd_value *picture = test_picture(NND_PIX_RGB, width, 4);
    assert_ok(nnd_value_write_file(picture, path_in(folder, name)));
    nnd_value_unref(picture);
}

/* ---- what they do ------------------------------------------------------------------------- */

static void pictures_go_out_and_come_back(void **state)
{
    (void)state;
    nnd_io *io = io_below(folder);
    nnd_value *in = record_of("image", test_picture(NND_PIX_RGB, 9, 5), NULL, NULL), *out = NULL;
    bench b;
    bench_single(&b, io, "io.write_image", "path='one.png'", in);
    assert_ok(bench_run(&b, in, &out));
    bench_end(&b);
    nnd_value_unref(out);
    bench_single(&b, io, "io.read_image", "path='one.png'", NULL);
    assert_ok(bench_run(&b, NULL, &out));
    assert_true(same_image(nnd_value_image(nnd_value_record_get(out, "image")),
                           nnd_value_image(nnd_value_record_get(in, "image"))));
    bench_end(&b);
    nnd_value_unref(out);
    bench_single(&b, io, "io.read_image", "path='one.png';format='gray'", NULL);
    assert_ok(bench_run(&b, NULL, &out));
    assert_int_equal(nnd_value_image(nnd_value_record_get(out, "image"))->format, NND_PIX_GRAY);
    bench_end(&b);
    nnd_value_unref(out);
    nnd_value_unref(in);
    nnd_io_unref(io);
}

static void names_of_files_follow_the_pattern(void **state)
{
    (void)state;
    nnd_io *io = io_below(folder);
    bench b;
    nnd_run *run = NULL;
    nnd_value *in = record_of("image", test_picture(NND_PIX_RGB, 3, 3), "name", text_value("x"));
    bench_single(&b, io, "io.write_image", "path='p-{n}-{name}.png'", in);
    assert_ok(bench_compile(&b));
    assert_ok(nnd_run_create(b.plan, NULL, &run));
    const char *names[] = {"cat", "../../etc/passwd", ""};
    for (size_t i = 0; i < NND_COUNT(names); i++) {
        nnd_value *name = text_value(names[i]);
        assert_ok(nnd_run_push(run, "image", nnd_value_record_get(in, "image")));
        assert_ok(nnd_run_push(run, "name", name));
        nnd_value_unref(name);
    }
    assert_ok(nnd_run_drain(run));
    assert_int_equal(nnd_run_error_count(run), 0);
    nnd_run_destroy(run);
    bench_end(&b);
    assert_true(file_exists(path_in(folder, "p-000000-cat.png")));
    assert_true(file_exists(path_in(folder, "p-000001-.._.._etc_passwd.png")));
    assert_true(file_exists(path_in(folder, "p-000002-_.png")));
    nnd_value_unref(in);
    nnd_io_unref(io);
}

/* The suffix may come with the name; one that no codec has is an error that names the file. */
static void the_suffix_decides_the_codec(void **state)
{
    (void)state;
    nnd_io *io = io_below(folder);
    bench b;
    nnd_value *out = NULL;
    nnd_value *in =
        record_of("image", test_picture(NND_PIX_RGB, 3, 3), "name", text_value("photo.JPG"));
    bench_single(&b, io, "io.write_image", "path='{name}'", in);
    assert_ok(bench_run(&b, in, &out));
    assert_true(file_exists(path_in(folder, "photo.JPG")));
    nnd_value_unref(out);
    bench_end(&b);
    bench_single(&b, io, "io.write_image", "path='photo.gif'", in);
    assert_fails(bench_run(&b, in, &out), NND_E_UNSUPPORTED, "photo.gif", ".png");
    assert_false(file_exists(path_in(folder, "photo.gif")));
    bench_end(&b);
    nnd_value_unref(in);
    nnd_io_unref(io);
}

static void a_folder_is_read_by_name(void **state)
{
    (void)state;
    assert_int_equal(mkdir(path_in(folder, "album"), 0700), 0);
    assert_int_equal(mkdir(path_in(folder, "album/inner.png"), 0700), 0);
    put_picture("album/b.png", 2);
    put_picture("album/a.bmp", 1);
    put_picture("album/c.png", 3);
    put_text(path_in(folder, "album/notes.txt"), "no picture");
    assert_int_equal(rmdir(path_in(folder, "album/inner.png")), 0);
    nnd_io *io = io_below(folder);
    bench b;
    nnd_value *out = NULL;
    bench_single(&b, io, "io.read_folder", "path='album'", NULL);
    assert_ok(bench_run(&b, NULL, &out));
    const nnd_value *images = nnd_value_record_get(out, "image");
    const nnd_value *names = nnd_value_record_get(out, "name");
    static const char *const wanted[] = {"a.bmp", "b.png", "c.png"};
    assert_int_equal(nnd_value_list_count(images), 3);
    assert_int_equal(nnd_value_list_count(names), 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(nnd_value_text(nnd_value_list_at(names, i))->text, wanted[i]);
        assert_int_equal(nnd_value_image(nnd_value_list_at(images, i))->width, (int)i + 1);
    }
    nnd_value_unref(out);
    bench_end(&b);
    /* A file that is no picture inside is named. */
    put_text(path_in(folder, "album/d.png"), "not really");
    bench_single(&b, io, "io.read_folder", "path='album'", NULL);
    assert_fails(bench_run(&b, NULL, &out), NND_E_FORMAT, "album/d.png");
    bench_end(&b);
    nnd_io_unref(io);
}

static void tensors_and_texts_round_trip(void **state)
{
    (void)state;
    nnd_io *io = io_below(folder);
    bench b;
    nnd_value *out = NULL;
    const float numbers[4] = {1, -2.5f, 3, 4};
    nnd_value *in = record_of("tensor", f32_value(2, (int64_t[]){2, 2}, numbers), NULL, NULL);
    bench_single(&b, io, "io.write_tensor", "path='t.npy'", in);
    assert_ok(bench_run(&b, in, &out));
    bench_end(&b);
    nnd_value_unref(out);
    bench_single(&b, io, "io.read_tensor", "path='t.npy'", NULL);
    assert_ok(bench_run(&b, NULL, &out));
    const nnd_tensor *t = nnd_value_tensor(nnd_value_record_get(out, "tensor"));
    assert_true(t->rank == 2 && t->dims[0] == 2 && t->dims[1] == 2);
    assert_memory_equal(t->data, numbers, sizeof numbers);
    bench_end(&b);
    nnd_value_unref(out);
    nnd_value_unref(in);

    in = record_of("value", text_value("zwei Zeilen\n本"), NULL, NULL);
    bench_single(&b, io, "io.write_text", "path='t.txt'", in);
    assert_ok(bench_run(&b, in, &out));
    bench_end(&b);
    nnd_value_unref(out);
    bench_single(&b, io, "io.read_text", "path='t.txt'", NULL);
    assert_ok(bench_run(&b, NULL, &out));
    assert_string_equal(nnd_value_text(nnd_value_record_get(out, "text"))->text, "zwei Zeilen\n本");
    bench_end(&b);
    nnd_value_unref(out);
    nnd_value_unref(in);

    nnd_value *number = NULL;
    assert_ok(nnd_value_new_int(42, &number));
    in = record_of("value", number, NULL, NULL);
    bench_single(&b, io, "io.write_text", "path='n.json'", in);
    assert_ok(bench_run(&b, in, &out));
    bench_end(&b);
    nnd_value_unref(out);
    nnd_value_unref(in);
    size_t size = 0;
    char *text = read_bytes(path_in(folder, "n.json"), &size);
    assert_memory_equal(text, "42", 2);
    free(text);
    nnd_io_unref(io);
}

static void damaged_files_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *type, *params, *file, *content;
    } cases[] = {
        {"io.read_image", "path='bad.png'", "bad.png", "\x89PNG\r\n\x1a\n????"},
        {"io.read_image", "path='none.jpg'", NULL, NULL},
        {"io.read_tensor", "path='bad.npy'", "bad.npy", "\x93NUMPY\1"},
        {"io.read_text", "path='bad.txt'", "bad.txt", "\xff\xfe"},
    };
    nnd_io *io = io_below(folder);
    for (size_t i = 0; i < NND_COUNT(cases); i++) {
        bench b;
        nnd_value *out = NULL;
        if (cases[i].file) put_text(path_in(folder, cases[i].file), cases[i].content);
        bench_single(&b, io, cases[i].type, cases[i].params, NULL);
        assert_fails(bench_run(&b, NULL, &out), cases[i].file ? NND_E_FORMAT : NND_E_NOT_FOUND,
                     cases[i].file ? cases[i].file : "none.jpg");
        bench_end(&b);
    }
    nnd_io_unref(io);
}

/* ---- what they may not do ----------------------------------------------------------------- */

static nnd_value *input_for(const char *type)
{
    nnd_value *picture = test_picture(NND_PIX_RGB, 3, 3);
    if (strcmp(type, "io.write_image") == 0) return record_of("image", picture, NULL, NULL);
    nnd_value_unref(picture);
    if (strcmp(type, "io.write_tensor") == 0)
        return record_of("tensor", f32_value(1, (int64_t[]){1}, (float[]){1}), NULL, NULL);
    if (strcmp(type, "io.write_text") == 0) return record_of("value", text_value("x"), NULL, NULL);
    return NULL;
}

/* Absolute paths, "..", links: while running, and without any files at all. */
static void nodes_stay_below_the_roots(void **state)
{
    (void)state;
    static const struct {
        const char *type, *name;
    } nodes[] = {
        {"io.read_image", "x.png"}, {"io.read_folder", "x"},     {"io.read_tensor", "x.npy"},
        {"io.read_text", "x.txt"},  {"io.write_image", "x.png"}, {"io.write_tensor", "x.npy"},
        {"io.write_text", "x.txt"},
    };
    nnd_io *io = io_below(folder);
    assert_int_equal(symlink(outside, path_in(folder, "way")), 0);
    for (size_t i = 0; i < NND_COUNT(nodes); i++) {
        for (int how = 0; how < 4; how++) {
            char params[700];
            const char *base = how == 0 ? outside : how == 1 ? ".." : "way";
            bench b;
            nnd_value *in = input_for(nodes[i].type), *out = NULL;
            snprintf(params, sizeof params, "path='%s/%s'", base, nodes[i].name);
            bench_single(&b, how == 3 ? NULL : io, nodes[i].type, params, in);
            nnd_error_clear();
            nnd_status status = bench_run(&b, in, &out);
            /* What cannot be seen may as well be missing: both answers keep the secret. */
            if (status != NND_E_PERMISSION)
                fail_msg("%s %s: %s", nodes[i].type, params, nnd_status_name(status));
            nnd_value_unref(out);
            nnd_value_unref(in);
            bench_end(&b);
        }
        assert_false(file_exists(path_in(outside, nodes[i].name)));
    }
    nnd_io_unref(io);
}

/* Files that are read while a workflow is compiled. */
static void compiling_stays_below_the_roots(void **state)
{
    (void)state;
    static const struct {
        const char *type, *param;
    } nodes[] = {
        {"classify.top_k", "labels"},      {"detect.decode_ssd", "labels"},
        {"detect.decode_yunet", "labels"}, {"detect.decode_yolox", "labels"},
        {"draw.detections", "font"},       {"draw.text", "font"},
        {"infer.model", "model"},
    };
    nnd_io *io = io_below(folder);
    for (size_t i = 0; i < NND_COUNT(nodes); i++) {
        for (int how = 0; how < 3; how++) {
            char json[700];
            const char *path = how == 0 ? secret() : how == 1 ? "./link.txt" : "../secret.txt";
            bench b;
            snprintf(json, sizeof json, "'%s'", path);
            bench_begin(&b, io);
            bench_node(&b, "node", nodes[i].type, NULL);
            bench_set(&b, "node", nodes[i].param, json);
            const nnd_node_type *t = nnd_registry_find(b.registry, nodes[i].type, 0);
            const nnd_port *ports = t->inputs.items;
            for (size_t p = 0; p < t->inputs.count; p++) {
                assert_ok(nnd_workflow_add_input(b.wf, ports[p].name, ports[p].type));
                bench_link(&b, "@", ports[p].name, "node", ports[p].name);
            }
            ports = t->outputs.items;
            if (t->outputs.count)
                assert_ok(nnd_workflow_add_output(b.wf, "out", "node", ports[0].name));
            else
                assert_ok(nnd_workflow_add_output(b.wf, "out", "node", "y"));
            nnd_status status = bench_compile(&b);
            char *text = nnd_diagnostics_to_string(b.diags);
            if (status == NND_OK || strstr(text, "secret\n") || !strstr(text, path))
                fail_msg("%s %s: %s: %s", nodes[i].type, json, nnd_status_name(status), text);
            bool refused = false;
            for (size_t d = 0; d < nnd_diagnostics_count(b.diags); d++)
                refused |= nnd_diagnostics_at(b.diags, d)->status == NND_E_PERMISSION;
            if (!refused) fail_msg("%s %s: %s", nodes[i].type, json, text);
            nnd_free(text);
            bench_end(&b);
        }
    }
    nnd_io_unref(io);
}

static void put_model(const char *name, const char *location)
{
    nnd_str graph = {0}, model = {0};
    const int64_t dims[1] = {3};
    ow_external(&graph, "b", OW_F32, 1, dims, location, "0");
    ow_value(&graph, OW_INPUT, "x", OW_F32, 1, dims, NULL);
    ow_node(&graph, "Add", "x,b", "y", NULL);
    ow_value(&graph, OW_OUTPUT, "y", OW_F32, 1, dims, NULL);
    ow_model(&model, &graph, 13);
    put_file(path_in(folder, name), model.data, model.size);
    nnd_str_free(&model);
}

static nnd_status compile_configured(nnd_io *io, const char *model, const char *config, char **text)
{
    bench b;
    char params[1400];
    snprintf(params, sizeof params, "model='%s';config='%s'", model, config);
    bench_begin(&b, io);
    bench_node(&b, "net", "infer.model", params);
    assert_ok(nnd_workflow_add_input(b.wf, "x", "tensor"));
    bench_link(&b, "@", "x", "net", "x");
    assert_ok(nnd_workflow_add_output(b.wf, "y", "net", "y"));
    nnd_status status = bench_compile(&b);
    *text = nnd_diagnostics_to_string(b.diags);
    bench_end(&b);
    return status;
}

static nnd_status compile_model(nnd_io *io, const char *model, char **text)
{
    return compile_configured(io, model, "", text);
}

/* Weights beside a model are inside its folder and inside the policy. */
static void weights_of_a_model_stay_below_the_roots(void **state)
{
    (void)state;
    char *text = NULL;
    const float b[3] = {1, 2, 3};
    nnd_io *io = io_below(folder);
    put_file(path_in(folder, "weights.bin"), b, sizeof b);
    put_model("good.onnx", "weights.bin");
    assert_ok(compile_model(io, "good.onnx", &text));
    nnd_free(text);
    put_model("evil.onnx", "link.txt");
    assert_status(compile_model(io, "evil.onnx", &text), NND_E_VALIDATION);
    assert_text_has(text, (const char *const[]){"link.txt", "outside", NULL});
    nnd_free(text);
    nnd_io_unref(io);
    /* A policy that covers the model file alone does not cover what lies beside it. */
    nnd_io_policy policy = NND_IO_POLICY_INIT;
    const char *file = path_in(folder, "good.onnx");
    policy.base_dir = folder;
    policy.read_roots = &file;
    policy.read_root_count = 1;
    assert_ok(nnd_io_create(&policy, &io));
    put_model("good.onnx", "./weights.bin");
    assert_status(compile_model(io, "good.onnx", &text), NND_E_VALIDATION);
    assert_text_has(text, (const char *const[]){"weights.bin", NULL});
    nnd_free(text);
    nnd_io_unref(io);
}

/* y = x·b, whose weights are packed. */
static void put_product(const char *name)
{
    nnd_str graph = {0}, model = {0};
    float b[6 * 5];
    for (size_t i = 0; i < NND_COUNT(b); i++)
        b[i] = (float)i;
    ow_initializer(&graph, "b", OW_F32, 2, (int64_t[]){6, 5}, b, sizeof b);
    ow_value(&graph, OW_INPUT, "x", OW_F32, 2, (int64_t[]){1, 6}, NULL);
    ow_node(&graph, "MatMul", "x,b", "y", NULL);
    ow_value(&graph, OW_OUTPUT, "y", OW_F32, 2, (int64_t[]){1, 5}, NULL);
    ow_model(&model, &graph, 13);
    put_file(path_in(folder, name), model.data, model.size);
    nnd_str_free(&model);
}

/* The folder where a backend keeps what it makes of a model: relative to the workflow, and only
   where the policy allows writing. */
static void caches_of_models_stay_below_the_roots(void **state)
{
    (void)state;
    static const char *const inside[] = {"cache=packed", "cache-limit=64 cache=packed",
                                         "arena=own,cache=\\\"packed\\\",cache-limit=64"};
    static const char *const forms[] = {"cache=%s", "arena=own cache=%s/new", "cache=\\\"%s\\\"",
                                        "cache_dir=%s"};
    char config[1200], *text = NULL;
    nnd_io *io = io_below(folder);
    put_product("product.onnx");
    for (size_t i = 0; i < NND_COUNT(inside); i++) {
        assert_ok(compile_configured(io, "product.onnx", inside[i], &text));
        nnd_free(text);
        assert_true(nnd_port_dir_exists(path_in(folder, "packed")));
        assert_int_equal(nnd_port_dir_remove_tree(path_in(folder, "packed")), 0);
    }
    for (size_t i = 0; i < NND_COUNT(forms); i++) {
        snprintf(config, sizeof config, forms[i], outside);
        assert_status(compile_configured(io, "product.onnx", config, &text), NND_E_VALIDATION);
        assert_text_has(text, (const char *const[]){outside, "outside", NULL});
        nnd_free(text);
    }
    assert_status(compile_configured(io, "product.onnx", "cache=../packed", &text),
                  NND_E_VALIDATION);
    assert_text_has(text, (const char *const[]){"..", NULL});
    nnd_free(text);
    nnd_io_unref(io);
}

static void contents_as_parameters_stay_below_the_roots(void **state)
{
    (void)state;
    nnd_io *io = io_below(folder);
    bench b;
    nnd_value *out = NULL;
    char params[700];
    put_text(path_in(folder, "hello.txt"), "hello");
    bench_single(&b, io, "const.text", "value={'$file':'hello.txt'}", NULL);
    assert_ok(bench_run(&b, NULL, &out));
    assert_string_equal(nnd_value_text(nnd_value_record_get(out, "value"))->text, "hello");
    nnd_value_unref(out);
    bench_end(&b);
    const char *bad[] = {secret(), "link.txt", "../secret.txt"};
    for (size_t i = 0; i < NND_COUNT(bad); i++) {
        snprintf(params, sizeof params, "value={'$file':'%s'}", bad[i]);
        bench_single(&b, io, "const.text", params, NULL);
        bench_refuses(&b, NND_E_VALIDATION, (const char *const[]){bad[i], NULL});
        bench_end(&b);
    }
    nnd_io_unref(io);
}

static void referenced_workflows_stay_below_the_roots(void **state)
{
    (void)state;
    char text[1024];
    nnd_io *io = io_below(folder);
    nnd_workflow *wf = NULL;
    nnd_diagnostics *diags = NULL;
    const char *inner =
        "{\"format\":\"nndeploy/1\",\"name\":\"inner\",\"inputs\":[],\"outputs\":[],"
        "\"nodes\":[],\"edges\":[]}";
    put_text(path_in(outside, "inner.json"), inner);
    snprintf(text, sizeof text,
             "{\"format\":\"nndeploy/1\",\"name\":\"outer\",\"inputs\":[],\"outputs\":[],"
             "\"nodes\":[{\"id\":\"sub\",\"type\":\"flow.graph@1\",\"ref\":\"%s/inner.json\"}],"
             "\"edges\":[]}",
             outside);
    assert_ok(nnd_diagnostics_create(&diags));
    nnd_status status = nnd_workflow_parse(text, strlen(text), NULL, io, diags, &wf);
    assert_true(status != NND_OK);
    char *report = nnd_diagnostics_to_string(diags);
    assert_text_has(report, (const char *const[]){"inner.json", "outside", NULL});
    nnd_free(report);
    nnd_workflow_destroy(wf);
    nnd_diagnostics_destroy(diags);
    nnd_io_unref(io);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_go_out_and_come_back),
        cmocka_unit_test(names_of_files_follow_the_pattern),
        cmocka_unit_test(the_suffix_decides_the_codec),
        cmocka_unit_test(a_folder_is_read_by_name),
        cmocka_unit_test(tensors_and_texts_round_trip),
        cmocka_unit_test(damaged_files_are_named),
        cmocka_unit_test(nodes_stay_below_the_roots),
        cmocka_unit_test(compiling_stays_below_the_roots),
        cmocka_unit_test(weights_of_a_model_stay_below_the_roots),
        cmocka_unit_test(caches_of_models_stay_below_the_roots),
        cmocka_unit_test(contents_as_parameters_stay_below_the_roots),
        cmocka_unit_test(referenced_workflows_stay_below_the_roots),
    };
    return cmocka_run_group_tests(tests, make_folders, remove_folders);
}
