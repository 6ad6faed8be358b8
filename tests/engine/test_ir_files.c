/* Saved graphs: every form of tensor and attribute, real models bit by bit, malformed files. */
#include <math.h>

#include "engine/ir/safetensors.h"
#include "ir_support.h"
#include "support/oom.h"

/* ---- saving and loading -------------------------------------------------------------------- */

static void the_same_graph_gives_the_same_bytes(void **state)
{
    char first[700], second[700];
    size_t size[2];
    nnd_ir *again;
    (void)state;
    const char *folder = scratch_folder();
    snprintf(first, sizeof(first), "%s/a.nnd.json", folder);
    snprintf(second, sizeof(second), "%s/b/a.nnd.json", folder);
    nnd_ir *ir = build_linear();
    assert_ok(nnd_ir_save(ir, first));
    nnd_ir_destroy(ir);
    assert_ok(nnd_ir_load(first, &again));
    second[strlen(second) - strlen("/a.nnd.json")] = '\0';
    assert_int_equal(nnd_port_dir_create(second), 0);
    strcat(second, "/a.nnd.json");
    assert_ok(nnd_ir_save(again, second));
    nnd_ir_destroy(again);
    for (int weights = 0; weights < 2; weights++) {
        char *a = read_file(first, &size[0]), *b = read_file(second, &size[1]);
        assert_non_null(a);
        assert_non_null(b);
        assert_int_equal(size[0], size[1]);
        assert_memory_equal(a, b, size[0]);
        nnd_port_free(a);
        nnd_port_free(b);
        if (weights) break;
        strcpy(strstr(first, ".nnd.json"), ".safetensors");
        strcpy(strstr(second, ".nnd.json"), ".safetensors");
    }
    (void)nnd_port_dir_remove_tree(folder);
}

/* Attributes and constants of kinds that JSON or safetensors have no word for. */
/* Every kind of type, constant and attribute. */
static nnd_ir *odd_graph(void)
{
    static const float floats[] = {0.1f, -0.0f, INFINITY, -INFINITY, NAN, 3.4e38f};
    static const int64_t ints[] = {0, -1, INT64_MAX, INT64_MIN};
    static const nnd_string strings[] = {{"plain", 5}, {"\xff\x00\xfe", 3}, {"", 0}};
    static uint8_t nibbles[2] = {0x21, 0x03};
    nnd_ir *ir;
    nnd_tensor t;
    nnd_string words[2] = {{"a", 1}, {"b\0c", 3}};
    assert_ok(nnd_ir_create("odd \"names\"", 21, &ir));
    assert_ok(nnd_ir_import(ir, "my.domain", 3));
    nnd_ir_graph *g = nnd_ir_main(ir);
    assert_ok(nnd_tensor_init(&t, NND_U4, 1, (int64_t[]){3}, nibbles));
    assert_ok(nnd_ir_add_constant(g, "@nibbles", &t));
    assert_ok(nnd_tensor_init(&t, NND_STRING, 2, (int64_t[]){2, 1}, words));
    assert_ok(nnd_ir_add_constant(g, "__metadata__", &t));
    nnd_ir_type sequence = {.kind = NND_PORT_SEQUENCE,
                            .optional = true,
                            .element = NND_PORT_MAP,
                            .key = NND_I64,
                            .dtype = NND_F32,
                            .rank = -1};
    assert_ok(nnd_ir_add_input(g, "s", &sequence));
    nnd_ir_attribute attributes[] = {
        NND_IR_FLOATS("floats", floats),
        NND_IR_INTS("ints", ints),
        {.name = "strings", .kind = NND_IR_ATTRIBUTE_STRINGS, .count = 3, .strings = strings},
        NND_IR_TEXT("text", "x\ty"),
        NND_IR_TENSOR("tensor", &t),
        NND_IR_FLOAT("nan", NAN),
        {.name = "none", .kind = NND_IR_ATTRIBUTE_INTS}};
    const char *in[] = {"s", "", "@nibbles", "__metadata__"}, *out[] = {"", "y"};
    assert_ok(nnd_ir_add_node(g, &(nnd_ir_node){.op = "Odd",
                                                .domain = "my.domain",
                                                .inputs = in,
                                                .input_count = 4,
                                                .outputs = out,
                                                .output_count = 2,
                                                .attributes = attributes,
                                                .attribute_count = 7}));
    assert_ok(nnd_ir_add_output(g, "y", NULL));
    return ir;
}

static void odd_forms_come_back(void **state)
{
    char path[700], *before, *after;
    nnd_ir *ir = odd_graph(), *again;
    const char *folder = scratch_folder();
    (void)state;
    snprintf(path, sizeof(path), "%s/odd.nnd.json", folder);
    assert_ok(nnd_ir_save(ir, path));
    assert_ok(nnd_ir_load(path, &again));
    before = read_file(path, &(size_t){0});
    snprintf(path, sizeof(path), "%s/again/odd.nnd.json", folder);
    *strrchr(path, '/') = '\0';
    assert_int_equal(nnd_port_dir_create(path), 0);
    strcat(path, "/odd.nnd.json");
    assert_ok(nnd_ir_save(again, path));
    after = read_file(path, &(size_t){0});
    assert_string_equal(before, after);
    nnd_port_free(before);
    nnd_port_free(after);
    nnd_ir_destroy(ir);
    nnd_ir_destroy(again);
    (void)nnd_port_dir_remove_tree(folder);
}

/* A file that cannot be written leaves the old one, and nothing beside it. */
static void lack_of_memory_is_survived(void **state)
{
    char path[700];
    const char *folder = scratch_folder();
    size_t size;
    (void)state;
    snprintf(path, sizeof(path), "%s/odd.nnd.json", folder);
    nnd_ir *ir = odd_graph();
    assert_ok(nnd_ir_save(ir, path));
    char *wanted = read_file(path, &size);
    nnd_ir_destroy(ir);
    oom_begin();
    for (int saving = 0; saving < 2; saving++) {
        bool hit = true;
        for (long n = 0; hit; n++) {
            nnd_ir *given = saving ? odd_graph() : NULL, *loaded = NULL;
            oom_fail_after(n);
            nnd_status status = saving ? nnd_ir_save(given, path) : nnd_ir_load(path, &loaded);
            hit = oom_hit();
            oom_never();
            nnd_error_clear();
            nnd_ir_destroy(given);
            nnd_ir_destroy(loaded);
            /* A whole file whose folder could not be flushed is a whole file. */
            if (!saving || status != NND_OK)
                assert_int_equal(status, hit ? NND_E_OUT_OF_MEMORY : NND_OK);
            assert_int_equal(oom_live_blocks(), 0);
            char *now = read_file(path, &size);
            assert_string_equal(now, wanted);
            nnd_port_free(now);
        }
    }
    oom_end();
    nnd_port_dir_list list = {0};
    assert_int_equal(nnd_port_dir_read(folder, &list), 0);
    assert_int_equal(list.count, 2);
    nnd_port_dir_list_free(&list);
    nnd_port_free(wanted);
    (void)nnd_port_dir_remove_tree(folder);
}

/* ---- real models --------------------------------------------------------------------------- */

static void run(const char *path, const reference *ref, nnd_engine_model **model,
                nnd_engine_request **request)
{
    assert_ok(nnd_engine_model_load_file(path, NULL, model));
    assert_ok(nnd_engine_request_create(*model, request));
    for (size_t i = 0; i < ref->input_count; i++)
        assert_ok(nnd_engine_request_bind_input(*request, i, &ref->inputs[i]));
    assert_ok(nnd_engine_request_run(*request, 2, NULL));
}

static bool model_comes_back(const char *name, const char *folder)
{
    char source[600], path[800];
    reference ref;
    nnd_ir *ir;
    nnd_engine_model *models[2];
    nnd_engine_request *requests[2];
    snprintf(source, sizeof(source), "%s/models/%s", test_data_dir(), name);
    snprintf(path, sizeof(path), "%s/%s.nnd.json", folder, name);
    if (!reference_read(source, &ref)) return false;
    strcat(source, "/model.onnx");
    if (!nnd_port_file_exists(source)) {
        reference_free(&ref);
        return false;
    }
    assert_ok(nnd_ir_load(source, &ir));
    assert_ok(nnd_ir_save(ir, path));
    nnd_ir_destroy(ir);
    run(source, &ref, &models[0], &requests[0]);
    run(path, &ref, &models[1], &requests[1]);
    for (size_t i = 0; i < ref.output_count; i++) {
        nnd_tensor a, b;
        assert_ok(nnd_engine_request_output(requests[0], i, &a));
        assert_ok(nnd_engine_request_output(requests[1], i, &b));
        assert_int_equal(nnd_tensor_bytes(&a), nnd_tensor_bytes(&b));
        if (memcmp(a.data, b.data, nnd_tensor_bytes(&a)) != 0)
            fail_msg("%s: output %zu has other bits after saving", name, i);
    }
    for (size_t i = 0; i < 2; i++) {
        nnd_engine_request_destroy(requests[i]);
        nnd_engine_model_unref(models[i]);
    }
    reference_free(&ref);
    return true;
}

static void real_models_come_back_bit_by_bit(void **state)
{
    char models[600];
    nnd_port_dir_list list;
    size_t count = 0;
    (void)state;
    skip_without_data();
    const char *folder = scratch_folder();
    snprintf(models, sizeof(models), "%s/models", test_data_dir());
    assert_int_equal(nnd_port_dir_read(models, &list), 0);
    for (size_t i = 0; i < list.count; i++)
        count += model_comes_back(list.names[i], folder);
    printf("%zu models\n", count);
    assert_true(count > 1);
    nnd_port_dir_list_free(&list);
    (void)nnd_port_dir_remove_tree(folder);
}

/* ---- malformed safetensors ----------------------------------------------------------------- */

static nnd_status open_header(const char *header, size_t elements)
{
    uint8_t bytes[1024] = {0};
    size_t n = strlen(header);
    nnd_safetensors st;
    assert_true(8 + n + elements <= sizeof(bytes));
    bytes[0] = (uint8_t)n;
    bytes[1] = (uint8_t)(n >> 8);
    memcpy(bytes + 8, header, n);
    nnd_status status = nnd_safetensors_open(&st, bytes, 8 + n + elements, "t");
    if (status == NND_OK) nnd_safetensors_close(&st);
    return status;
}

static void strict_about_tensors(void **state)
{
    static const struct {
        const char *header;
        size_t elements;
        nnd_status status;
    } cases[] = {
        {"{}", 0, NND_OK},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, NND_OK},
        {"{\"__metadata__\":{\"k\":\"v\"},"
         "\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[4,4]},"
         "\"b\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}   ",
         4, NND_OK},
        {"{}", 1, NND_E_FORMAT},  /* elements of nobody */
        {"[]", 0, NND_E_FORMAT},  /* no object */
        {" {}", 0, NND_E_FORMAT}, /* begins with a blank */
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 7, NND_E_FORMAT},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}", 8, NND_E_FORMAT},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 8, NND_E_FORMAT},
        {"{\"a\":{\"dtype\":\"F31\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, NND_E_FORMAT},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", 8, NND_E_FORMAT},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, NND_E_FORMAT},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0,
         NND_E_FORMAT},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1,
         NND_E_UNSUPPORTED},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}",
         3, NND_E_FORMAT}, /* overlap */
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[2,3]}}",
         3, NND_E_FORMAT}, /* gap */
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
         "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
         2, NND_E_FORMAT}, /* a name twice */
    };
    (void)state;
    for (size_t i = 0; i < NND_COUNT(cases); i++) {
        nnd_status status = open_header(cases[i].header, cases[i].elements);
        if (status != cases[i].status) fail_msg("%s: %s", cases[i].header, nnd_status_name(status));
    }
    nnd_safetensors st;
    uint8_t huge[16] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, '{', '}'};
    for (size_t size = 0; size <= sizeof(huge); size++)
        assert_status(nnd_safetensors_open(&st, huge, size, "t"), NND_E_FORMAT);
    nnd_error_clear();
}

/* ---- malformed graphs ---------------------------------------------------------------------- */

static void strict_about_graphs(void **state)
{
    static const struct {
        const char *text, *complaint;
    } cases[] = {
        {"{\"format\":\"nndeploy-graph/2\"}", "no saved graph"},
        {"{\"format\":\"nndeploy-graph/1\",\"extra\":1,\"graph\":{}}", "unknown field 'extra'"},
        {"{\"format\":\"nndeploy-graph/1\",\"graph\":{}}", "no outputs"},
        {"{\"format\":\"nndeploy-graph/1\",\"weights\":\"../w\",\"graph\":{}}", "not inside"},
        {"{\"format\":\"nndeploy-graph/"
         "1\",\"graph\":{\"inputs\":[{\"name\":\"x\",\"type\":\"f3\"}],"
         "\"nodes\":[{\"op\":\"Relu\",\"inputs\":[\"q\"],\"outputs\":[\"y\"]}],"
         "\"constants\":[{\"name\":\"w\"}],\"outputs\":[{\"name\":\"z\"}]}}",
         "5 errors"},
        {"{\"format\":\"nndeploy-graph/1\",\"graph\":{\"nodes\":[{\"op\":\"A\",\"outputs\":[\"y\"],"
         "\"attributes\":{\"a\":{\"int\":1.5}}}],\"outputs\":[{\"name\":\"y\"}]}}",
         "another kind"},
        {"{\"format\":\"nndeploy-graph/1\",\"graph\":{\"nodes\":[{\"op\":\"A\",\"outputs\":[\"y\"],"
         "\"attributes\":{\"a\":{\"int\":1,\"float\":1}}}],\"outputs\":[{\"name\":\"y\"}]}}",
         "one of"},
        {"{\"format\":\"nndeploy-graph/1\",\"graph\":", "expected"},
    };
    char path[700];
    nnd_ir *ir;
    (void)state;
    const char *folder = scratch_folder();
    snprintf(path, sizeof(path), "%s/wrong.nnd.json", folder);
    for (size_t i = 0; i < NND_COUNT(cases); i++) {
        write_text(path, cases[i].text);
        nnd_status status = nnd_ir_load(path, &ir);
        assert_true(status == NND_E_FORMAT || status == NND_E_PERMISSION);
        const char *text = error_text();
        if (!strstr(text, cases[i].complaint))
            fail_msg("'%s' is not in: %s", cases[i].complaint, text);
    }
    assert_status(nnd_ir_load("nothing-here.nnd.json", &ir), NND_E_NOT_FOUND);
    nnd_error_clear();
    (void)nnd_port_dir_remove_tree(folder);
}

/* A graph of one constant. */
static void save_scaled(const char *path, float factor)
{
    nnd_ir *ir;
    nnd_tensor t;
    const nnd_ir_type type = {.dtype = NND_F32, .rank = 1, .dims = {{4, NULL}}};
    const char *in[] = {"x", "w"}, *out[] = {"y"};
    assert_ok(nnd_ir_create("scaled", 17, &ir));
    nnd_ir_graph *g = nnd_ir_main(ir);
    assert_ok(nnd_ir_add_input(g, "x", &type));
    assert_ok(nnd_tensor_init(&t, NND_F32, 1, (int64_t[]){1}, &factor));
    assert_ok(nnd_ir_add_constant(g, "w", &t));
    assert_ok(nnd_ir_add_node(
        g, &(nnd_ir_node){
               .op = "Mul", .inputs = in, .input_count = 2, .outputs = out, .output_count = 1}));
    assert_ok(nnd_ir_add_output(g, "y", NULL));
    assert_ok(nnd_ir_save(ir, path));
    nnd_ir_destroy(ir);
}

/* Puts `text` in the place of the first `from` of the same length. */
static void change(const char *path, const char *from, const char *text)
{
    size_t size;
    char *bytes = read_file(path, &size);
    assert_non_null(bytes);
    for (size_t i = 0; i + strlen(from) <= size; i++) {
        if (memcmp(bytes + i, from, strlen(from)) != 0) continue;
        memcpy(bytes + i, text, strlen(text));
        assert_int_equal(nnd_port_file_write_atomic(path, bytes, size), 0);
        nnd_port_free(bytes);
        return;
    }
    fail_msg("'%s' is not in %s", from, path);
}

/* As after a crash between the two files: the constants of one version, the graph of another. */
static void two_versions_are_refused(void **state)
{
    char path[700], weights[700];
    size_t size;
    nnd_ir *ir;
    (void)state;
    const char *folder = scratch_folder();
    snprintf(path, sizeof(path), "%s/pair.nnd.json", folder);
    snprintf(weights, sizeof(weights), "%s/pair.safetensors", folder);
    save_scaled(path, 2);
    char *old_graph = read_file(path, &size);
    assert_non_null(old_graph);
    save_scaled(path, 3);
    assert_ok(nnd_ir_load(path, &ir));
    nnd_ir_destroy(ir);
    assert_int_equal(nnd_port_file_write_atomic(path, old_graph, size), 0);
    assert_status(nnd_ir_load(path, &ir), NND_E_FORMAT);
    const char *text = error_text();
    if (!strstr(text, "'pair.safetensors' is not the file of constants") ||
        !strstr(text, "weights_id"))
        fail_msg("%s", text);
    nnd_error_clear();
    /* Without the id, whoever changes the files by hand answers for them. */
    char *at = strstr(old_graph, ",\n  \"weights_id\"");
    assert_non_null(at);
    memcpy(at, "\n}\n", 4);
    assert_int_equal(nnd_port_file_write_atomic(path, old_graph, strlen(old_graph)), 0);
    assert_ok(nnd_ir_load(path, &ir));
    nnd_ir_destroy(ir);
    /* Constants that another program has written hold no id. */
    save_scaled(path, 3);
    change(weights, "nndeploy_id", "another_one");
    assert_status(nnd_ir_load(path, &ir), NND_E_FORMAT);
    assert_non_null(strstr(error_text(), "its id is missing"));
    nnd_error_clear();
    nnd_port_free(old_graph);
    (void)nnd_port_dir_remove_tree(folder);
}

/* A saved model cut off anywhere is refused; never a crash. */
static void cut_files_are_refused(void **state)
{
    char path[700];
    size_t size;
    (void)state;
    const char *folder = scratch_folder();
    snprintf(path, sizeof(path), "%s/cut.nnd.json", folder);
    nnd_ir *ir = build_linear();
    assert_ok(nnd_ir_save(ir, path));
    nnd_ir_destroy(ir);
    for (int weights = 0; weights < 2; weights++) {
        char *whole = read_file(path, &size), cut[700];
        assert_non_null(whole);
        snprintf(cut, sizeof(cut), "%s", path);
        for (size_t n = 0; n + 1 < size; n += 3) {
            assert_int_equal(nnd_port_file_write_atomic(path, whole, n), 0);
            char json[700];
            snprintf(json, sizeof(json), "%s/cut.nnd.json", folder);
            assert_true(nnd_ir_load(json, &ir) != NND_OK);
            nnd_error_clear();
        }
        assert_int_equal(nnd_port_file_write_atomic(path, whole, size), 0);
        nnd_port_free(whole);
        snprintf(path, sizeof(path), "%s/cut.safetensors", folder);
    }
    (void)nnd_port_dir_remove_tree(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_graph_gives_the_same_bytes),
        cmocka_unit_test(odd_forms_come_back),
        cmocka_unit_test(lack_of_memory_is_survived),
        cmocka_unit_test(real_models_come_back_bit_by_bit),
        cmocka_unit_test(strict_about_tensors),
        cmocka_unit_test(strict_about_graphs),
        cmocka_unit_test(two_versions_are_refused),
        cmocka_unit_test(cut_files_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
