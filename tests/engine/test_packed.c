/* Packed weights in a cache folder: the same bits as without one, whatever the files look like. */
#include "base/isa.h"
#include "engine/packed/folder.h"
#include "kernels_support.h"
#include "packed_support.h"
#include "support/oom.h"

static const pk_build builds[] = {pk_pictures, pk_steps, pk_integers};

/* ---- round trip ---------------------------------------------------------------------------- */

/* Packed and written, mapped from the folder, and shared by two models at once. */
static void check_round_trip(const nnd_str *bytes)
{
    nnd_str expected = {0};
    size_t files = pk_count_files();
    pk_expected(bytes, &expected);
    nnd_engine_model *first = pk_load(bytes, pk_folder);
    assert_int_equal(pk_count_files(), files + 1);
    assert_true(pk_info(first).packed_bytes > 0);
    assert_int_equal(pk_info(first).mapped_bytes, pk_info(first).packed_bytes);
    pk_assert_results(first, &expected);
    nnd_engine_model_unref(first);
    nnd_engine_model *second = pk_load(bytes, pk_folder), *third = pk_load(bytes, pk_folder);
    assert_int_equal(pk_info(second).mapped_bytes, pk_info(second).packed_bytes);
    pk_assert_results(second, &expected);
    nnd_engine_model_unref(second);
    pk_assert_results(third, &expected);
    nnd_engine_model_unref(third);
    assert_int_equal(pk_count_files(), files + 1);
    nnd_str_free(&expected);
}

/* All families of packing under the level in force; levels have files of their own. */
static void check_families(nnd_isa isa)
{
    (void)isa;
    for (size_t i = 0; i < NND_COUNT(builds); i++) {
        nnd_str bytes = {0};
        builds[i](&bytes, 1);
        check_round_trip(&bytes);
        nnd_str_free(&bytes);
    }
}

static void every_family_gives_the_same_bits(void **state)
{
    (void)state;
    each_isa(check_families);
}

/* What the test above relies on. */
static void the_models_use_every_packing(void **state)
{
    static const char *const wanted[] = {"direct", "depthwise", "winograd", "phases", "gemm"};
    nnd_str bytes = {0};
    bool seen[NND_COUNT(wanted)] = {false};
    (void)state;
    if (!nnd_isa_has(NND_ISA_AVX2) && !nnd_isa_has(NND_ISA_NEON)) skip();
    pk_pictures(&bytes, 1);
    nnd_engine_model *m = pk_load(&bytes, NULL);
    for (size_t i = 0; i < m->plan->step_count; i++)
        for (size_t k = 0; k < NND_COUNT(wanted); k++)
            seen[k] = seen[k] || strcmp(m->plan->steps[i].kernel, wanted[k]) == 0;
    for (size_t k = 0; k < NND_COUNT(wanted); k++)
        if (!seen[k]) fail_msg("no kernel '%s'", wanted[k]);
    nnd_engine_model_unref(m);
    nnd_str_free(&bytes);
}

/* ---- which file ---------------------------------------------------------------------------- */

static void other_models_and_passes_have_other_files(void **state)
{
    nnd_str bytes = {0}, other = {0};
    nnd_engine_options options = NND_ENGINE_OPTIONS_INIT;
    nnd_engine_model *m;
    (void)state;
    pk_pictures(&bytes, 1);
    pk_pictures(&other, 2); /* retrained: other weights in a file of the same size */
    assert_int_equal(bytes.size, other.size);
    check_round_trip(&bytes);
    check_round_trip(&other);
    assert_int_equal(pk_count_files(), 2);
    options.cache = pk_folder;
    options.passes = 0;
    assert_ok(nnd_engine_model_load_memory(bytes.data, bytes.size, &options, &m));
    nnd_engine_model_unref(m);
    assert_int_equal(pk_count_files(), 3);
    const nnd_engine_kernel direct = {"Conv", "*", "direct"};
    options.passes = NND_PASSES_DEFAULT;
    options.kernels = &direct;
    options.kernel_count = 1;
    assert_ok(nnd_engine_model_load_memory(bytes.data, bytes.size, &options, &m));
    nnd_engine_model_unref(m);
    assert_int_equal(pk_count_files(), 4);
    nnd_str_free(&bytes);
    nnd_str_free(&other);
}

/* Bytes that were written just now are known by their content, wherever they are. */
static void new_files_are_known_by_their_content(void **state)
{
    nnd_str bytes = {0};
    nnd_engine_options options = NND_ENGINE_OPTIONS_INIT;
    nnd_engine_model *m;
    char *path, *cache;
    (void)state;
    pk_steps(&bytes, 1);
    path = nnd_strf("%s/model.onnx", pk_folder);
    cache = nnd_strf("%s/cache", pk_folder);
    assert_int_equal(nnd_port_file_write_atomic(path, bytes.data, bytes.size), 0);
    nnd_engine_model_unref(pk_load(&bytes, cache));
    options.cache = cache;
    assert_ok(nnd_engine_model_load_file(path, &options, &m));
    nnd_engine_model_unref(m);
    nnd_port_dir_list list;
    assert_int_equal(nnd_port_dir_read(cache, &list), 0);
    assert_int_equal(list.count, 1);
    nnd_port_dir_list_free(&list);
    nnd_free(path);
    nnd_free(cache);
    nnd_str_free(&bytes);
}

static void key_of(const void *data, size_t size, uint32_t passes, nnd_packed_key *out)
{
    const nnd_packed_source file = {data, size};
    nnd_packed_key_of(&(nnd_packed_origin){.files = &file, .file_count = 1, .passes = passes}, out);
}

/* A file that has been there for a while is not read: its identity is its key. */
static void old_files_are_known_by_their_identity(void **state)
{
    char path[512];
    nnd_port_map map[2];
    nnd_port_file_info info;
    nnd_packed_key key[3], again;
    (void)state;
    skip_without_data();
    snprintf(path, sizeof(path), "%s/models/mnist_cnn/model.onnx", test_data_dir());
    for (int i = 0; i < 2; i++)
        assert_int_equal(nnd_port_map_open(path, &map[i]), 0);
    assert_int_equal(nnd_port_map_info(map[0].data, map[0].size, &info), 0);
    for (int i = 0; i < 2; i++)
        key_of(map[i].data, map[i].size, 1, &key[i]);
    assert_memory_equal(&key[0], &key[1], sizeof(key[0]));
    void *copy = nnd_alloc(map[0].size);
    assert_non_null(copy);
    memcpy(copy, map[0].data, map[0].size);
    key_of(copy, map[0].size, 1, &key[2]);
    /* Copied without fractions of a second, the file tells nothing; else the keys differ. */
    bool exact = info.changed % 1000000000 != 0;
    assert_int_equal(memcmp(&key[0], &key[2], sizeof(key[0])) != 0, exact);
    ((char *)copy)[map[0].size / 2] ^= 1;
    key_of(copy, map[0].size, 1, &again);
    assert_true(memcmp(&again, &key[2], sizeof(again)) != 0);
    key_of(map[0].data, map[0].size, 2, &again);
    assert_true(memcmp(&again, &key[0], sizeof(again)) != 0);
    nnd_free(copy);
    for (int i = 0; i < 2; i++)
        nnd_port_map_close(&map[i]);
}

/* ---- files that are not to be trusted ------------------------------------------------------ */

typedef struct victim {
    nnd_str bytes, expected;
    char *path, *file;
    size_t size;
} victim;

static void victim_init(victim *v)
{
    *v = (victim){0};
    pk_steps(&v->bytes, 3);
    pk_expected(&v->bytes, &v->expected);
    nnd_engine_model_unref(pk_load(&v->bytes, pk_folder));
    v->path = pk_only_file();
    assert_int_equal(nnd_port_file_read(v->path, (size_t)1 << 30, &v->file, &v->size), 0);
}

static void victim_fini(victim *v)
{
    nnd_port_free(v->file);
    nnd_free(v->path);
    nnd_str_free(&v->bytes);
    nnd_str_free(&v->expected);
}

/* The cache file holds these bytes: loading gives the right model, and mends the file. */
static void check_mended(const victim *v, const char *bytes, size_t size)
{
    char *now;
    size_t now_size;
    assert_int_equal(nnd_port_file_write_atomic(v->path, bytes, size), 0);
    nnd_engine_model *m = pk_load(&v->bytes, pk_folder);
    assert_null(nnd_error_take());
    pk_assert_results(m, &v->expected);
    assert_int_equal(pk_info(m).mapped_bytes, pk_info(m).packed_bytes);
    nnd_engine_model_unref(m);
    assert_int_equal(nnd_port_file_read(v->path, (size_t)1 << 30, &now, &now_size), 0);
    assert_int_equal(now_size, v->size);
    assert_memory_equal(now, v->file, now_size);
    nnd_port_free(now);
}

static void flipped_bits_are_found(void **state)
{
    victim v;
    (void)state;
    victim_init(&v);
    for (size_t at = 0; at < v.size; at += at < 512 ? 1 : v.size / 97) {
        if (at >= 72 && at < 512 && at % 7) continue; /* the head densely, the table less so */
        v.file[at] ^= (char)(1 << at % 8);
        char *damaged = nnd_alloc(v.size);
        assert_non_null(damaged);
        memcpy(damaged, v.file, v.size);
        v.file[at] ^= (char)(1 << at % 8);
        check_mended(&v, damaged, v.size);
        nnd_free(damaged);
    }
    victim_fini(&v);
}

static void cut_and_grown_files_are_found(void **state)
{
    victim v;
    (void)state;
    victim_init(&v);
    static const size_t sizes[] = {0, 1, 8, 55, 56, 64, 71, 72, 128, 192, 4096};
    for (size_t i = 0; i < NND_COUNT(sizes); i++)
        check_mended(&v, v.file, sizes[i]);
    check_mended(&v, v.file, v.size - 1);
    check_mended(&v, v.file, v.size - 64);
    char *grown = nnd_calloc(1, v.size + 64);
    assert_non_null(grown);
    memcpy(grown, v.file, v.size);
    check_mended(&v, grown, v.size + 1);
    check_mended(&v, grown, v.size + 64);
    nnd_free(grown);
    victim_fini(&v);
}

/* A file that is sound in itself, but another model's, or of operators that the model lacks. */
static void foreign_files_are_found(void **state)
{
    victim v;
    nnd_packed_key key;
    static uint64_t weights[32];
    const nnd_packed_row rows[2] = {{1, 8}, {2, 100}};
    const void *const pointers[2] = {weights, weights};
    uint8_t file[256 + 64];
    (void)state;
    victim_init(&v);
    memcpy(key.bytes, v.file + 24, sizeof(key.bytes));
    memset(file, 0, sizeof(file));
    nnd_packed_head_write(&key, rows, pointers, 2, file);
    nnd_packed_table t;
    assert_ok(nnd_packed_table_read(file, sizeof(file), &key, &t));
    assert_true(nnd_packed_table_is_intact(&t));
    check_mended(&v, (const char *)file, sizeof(file));
    key.bytes[5] ^= 1;
    memset(file, 0, sizeof(file));
    nnd_packed_head_write(&key, rows, pointers, 2, file);
    check_mended(&v, (const char *)file, sizeof(file));
    victim_fini(&v);
}

/* Every change of a head is refused, or leaves all rows inside of the bytes. */
static void no_table_leads_outside(void **state)
{
    static uint64_t weights[32];
    const nnd_packed_row rows[3] = {{1, 8}, {2, 100}, {3, 0}};
    const void *const pointers[3] = {weights, weights, weights};
    const nnd_packed_key key = {{1, 2, 3}};
    enum { SIZE = 128 + 64 + 128 };
    uint8_t file[SIZE], changed[SIZE];
    nnd_packed_table t;
    (void)state;
    memset(file, 0, sizeof(file));
    assert_int_equal(nnd_packed_head_bytes(3), 128);
    nnd_packed_head_write(&key, rows, pointers, 3, file);
    assert_ok(nnd_packed_table_read(file, SIZE, &key, &t));
    assert_int_equal(t.count, 3);
    assert_int_equal(nnd_packed_table_row(&t, 1).bytes, 100);
    for (size_t at = 0; at < 128; at++) {
        for (int value = 0; value < 256; value += 5) {
            memcpy(changed, file, SIZE);
            changed[at] = (uint8_t)value;
            if (nnd_packed_table_read(changed, SIZE, &key, &t) != NND_OK) continue;
            size_t end = t.payload;
            for (size_t i = 0; i < t.count; i++)
                end += (size_t)nnd_packed_whole_lines(nnd_packed_table_row(&t, i).bytes);
            assert_int_equal(end, SIZE);
            assert_int_equal(nnd_packed_table_is_intact(&t), changed[at] == file[at]);
        }
    }
    nnd_error_clear();
}

/* ---- folders that do not help -------------------------------------------------------------- */

static void check_without_cache(const char *folder, uint64_t max_bytes)
{
    nnd_str bytes = {0}, expected = {0};
    nnd_engine_options options = NND_ENGINE_OPTIONS_INIT;
    nnd_engine_model *m;
    pk_pictures(&bytes, 1);
    pk_expected(&bytes, &expected);
    options.cache = folder;
    options.max_cache_bytes = max_bytes;
    assert_ok(nnd_engine_model_load_memory(bytes.data, bytes.size, &options, &m));
    assert_null(nnd_error_take());
    assert_int_equal(pk_info(m).mapped_bytes, 0);
    pk_assert_results(m, &expected);
    nnd_engine_model_unref(m);
    nnd_str_free(&bytes);
    nnd_str_free(&expected);
}

static void a_folder_that_cannot_be_written_is_no_cache(void **state)
{
    (void)state;
    char *file = nnd_strf("%s/file", pk_folder), *below = nnd_strf("%s/file/cache", pk_folder);
    assert_int_equal(nnd_port_file_write_atomic(file, "x", 1), 0);
    check_without_cache(file, 0);
    check_without_cache(below, 0);
    if (nnd_port_dir_exists("/proc/self")) check_without_cache("/proc/self", 0);
    nnd_free(file);
    nnd_free(below);
}

static void a_model_that_is_too_large_is_not_kept(void **state)
{
    (void)state;
    check_without_cache(pk_folder, 1000);
    assert_int_equal(pk_count_files(), 0);
}

static void the_folder_is_bounded(void **state)
{
    nnd_engine_options options = NND_ENGINE_OPTIONS_INIT;
    nnd_engine_model *m;
    (void)state;
    options.cache = pk_folder;
    char *stranger = nnd_strf("%s/notes.txt", pk_folder);
    assert_int_equal(nnd_port_file_write_atomic(stranger, "x", 1), 0);
    for (uint32_t seed = 0; seed < 5; seed++) {
        nnd_str bytes = {0};
        pk_steps(&bytes, seed);
        assert_ok(nnd_engine_model_load_memory(bytes.data, bytes.size, &options, &m));
        /* Room for two of them. */
        options.max_cache_bytes = pk_info(m).packed_bytes * 5 / 2;
        nnd_engine_model_unref(m);
        nnd_str_free(&bytes);
    }
    assert_int_equal(pk_count_files(), 1 + 2);
    assert_true(nnd_port_file_exists(stranger));
    nnd_free(stranger);
}

static void losing_memory_is_told_or_done_without(void **state)
{
    nnd_str bytes = {0}, expected = {0};
    nnd_engine_options options = NND_ENGINE_OPTIONS_INIT;
    nnd_engine_model *m;
    (void)state;
    pk_steps(&bytes, 1);
    pk_expected(&bytes, &expected);
    options.cache = pk_folder;
    nnd_log_level level = nnd_log_get_level();
    nnd_log_set_level(NND_LOG_ERROR); /* of a thousand failures there is enough */
    for (int warm = 0; warm < 2; warm++) {
        oom_begin();
        for (long n = 0;; n++) {
            oom_fail_after(n);
            nnd_status status = nnd_engine_model_load_memory(bytes.data, bytes.size, &options, &m);
            bool hit = oom_hit();
            oom_never();
            if (status == NND_OK)
                nnd_engine_model_unref(m);
            else
                assert_int_equal(status, NND_E_OUT_OF_MEMORY);
            nnd_error_clear();
            assert_int_equal(oom_live_blocks(), 0);
            if (!hit) break;
            /* Each round begins with the same folder. */
            if (!warm && pk_count_files() > 0) {
                char *path = pk_only_file();
                assert_int_equal(nnd_port_file_remove(path), 0);
                nnd_free(path);
            }
        }
        oom_end();
        m = pk_load(&bytes, pk_folder);
        pk_assert_results(m, &expected);
        nnd_engine_model_unref(m);
    }
    nnd_log_set_level(level);
    nnd_str_free(&bytes);
    nnd_str_free(&expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_family_gives_the_same_bits, pk_set_up, pk_tear_down),
        cmocka_unit_test(the_models_use_every_packing),
        cmocka_unit_test_setup_teardown(other_models_and_passes_have_other_files, pk_set_up,
                                        pk_tear_down),
        cmocka_unit_test_setup_teardown(new_files_are_known_by_their_content, pk_set_up,
                                        pk_tear_down),
        cmocka_unit_test(old_files_are_known_by_their_identity),
        cmocka_unit_test_setup_teardown(flipped_bits_are_found, pk_set_up, pk_tear_down),
        cmocka_unit_test_setup_teardown(cut_and_grown_files_are_found, pk_set_up, pk_tear_down),
        cmocka_unit_test_setup_teardown(foreign_files_are_found, pk_set_up, pk_tear_down),
        cmocka_unit_test(no_table_leads_outside),
        cmocka_unit_test_setup_teardown(a_folder_that_cannot_be_written_is_no_cache, pk_set_up,
                                        pk_tear_down),
        cmocka_unit_test_setup_teardown(a_model_that_is_too_large_is_not_kept, pk_set_up,
                                        pk_tear_down),
        cmocka_unit_test_setup_teardown(the_folder_is_bounded, pk_set_up, pk_tear_down),
        cmocka_unit_test_setup_teardown(losing_memory_is_told_or_done_without, pk_set_up,
                                        pk_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
