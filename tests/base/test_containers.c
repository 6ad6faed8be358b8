/* Memory, sizes, vector, map, arena, bounds-checked bytes, hashes. */
#include "support/test.h"

#include "base/arena.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/size.h"
#include "base/vec.h"
#include "port/port.h"
#include "support/oom.h"

static void test_memory(void **state)
{
    (void)state;
    assert_null(nnd_calloc(SIZE_MAX / 2, 3));
    assert_null(nnd_alloc_aligned(SIZE_MAX - 4, 64));
    assert_null(nnd_alloc_aligned(16, 48));
    assert_null(nnd_strdup(NULL));
    for (size_t align = 1; align <= 4096; align *= 2) {
        char *block = nnd_alloc_aligned(100, align);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % align, 0);
        memset(block, 7, 100);
        nnd_free_aligned(block);
    }
    nnd_free_aligned(NULL);
    unsigned char *zero = nnd_calloc(3, 5);
    for (int i = 0; i < 15; i++)
        assert_int_equal(zero[i], 0);
    nnd_free(zero);
}

static void test_sizes(void **state)
{
    (void)state;
    size_t s = 7;
    int64_t i = 7;
    assert_false(nnd_size_add(SIZE_MAX, 1, &s));
    assert_false(nnd_size_mul(SIZE_MAX / 2, 3, &s));
    assert_false(nnd_size_align(SIZE_MAX - 3, 64, &s));
    assert_false(nnd_size_from_i64(-1, &s));
    assert_int_equal(s, 7);
    assert_true(nnd_size_mul(0, SIZE_MAX, &s) && s == 0);
    assert_true(nnd_size_align(65, 64, &s) && s == 128);
    assert_false(nnd_i64_add(INT64_MAX, 1, &i));
    assert_false(nnd_i64_add(INT64_MIN, -1, &i));
    assert_false(nnd_i64_sub(INT64_MIN, 1, &i));
    assert_false(nnd_i64_sub(0, INT64_MIN, &i));
    assert_false(nnd_i64_mul(INT64_MIN, -1, &i));
    assert_false(nnd_i64_mul(INT64_C(1) << 40, INT64_C(1) << 40, &i));
    assert_int_equal(i, 7);
    assert_true(nnd_i64_mul(-3, 5, &i) && i == -15);
}

static void test_vector(void **state)
{
    (void)state;
    NND_VEC(int) v = {0};
    for (int i = 0; i < 1000; i++)
        assert_true(nnd_vec_push(&v, i));
    static const int more[] = {1000, 1001};
    assert_true(nnd_vec_append(&v, more, 2));
    assert_int_equal(v.count, 1002);
    assert_int_equal(nnd_vec_last(&v), 1001);
    assert_int_equal(nnd_vec_pop(&v), 1001);
    assert_false(nnd_vec_reserve(&v, SIZE_MAX / 2));
    for (int i = 0; i < 1001; i++)
        assert_int_equal(v.items[i], i);
    nnd_vec_free(&v);
    assert_null(v.items);
}

static void test_map(void **state)
{
    (void)state;
    enum { COUNT = 2000 };
    static int values[COUNT];
    nnd_map map = {0};
    char key[32];
    void *old;
    assert_null(nnd_map_get(&map, "x"));
    assert_null(nnd_map_remove(&map, "x"));
    for (int i = 0; i < COUNT; i++) {
        snprintf(key, sizeof(key), "key%d", i);
        assert_ok(nnd_map_put(&map, key, &values[i], &old));
        assert_null(old);
    }
    assert_ok(nnd_map_put(&map, "key7", &values[8], &old));
    assert_ptr_equal(old, &values[7]);
    assert_int_equal(map.count, COUNT);
    assert_string_equal(map.entries[1234].key, "key1234");
    assert_ptr_equal(nnd_map_get_n(&map, "key99xx", 5), &values[99]);
    for (int i = 0; i < COUNT; i += 100) {
        snprintf(key, sizeof(key), "key%d", i);
        assert_ptr_equal(nnd_map_remove(&map, key), &values[i]);
        assert_null(nnd_map_get(&map, key));
    }
    assert_string_equal(map.entries[0].key, "key1");
    assert_ptr_equal(nnd_map_get(&map, "key1999"), &values[1999]);
    nnd_map_fini(&map);
}

static void test_map_oom(void **state)
{
    (void)state;
    int value;
    oom_begin();
    for (long n = 0; n < 200; n++) {
        nnd_map map = {0};
        nnd_status status = NND_OK;
        oom_fail_after(n);
        char key[16];
        size_t stored = 0;
        for (int i = 0; i < 40 && status == NND_OK; i++) {
            snprintf(key, sizeof(key), "%d", i);
            status = nnd_map_put(&map, key, &value, NULL);
            if (status == NND_OK) stored++;
        }
        oom_never();
        assert_int_equal(map.count, stored);
        for (size_t i = 0; i < stored; i++)
            assert_ptr_equal(nnd_map_get(&map, map.entries[i].key), &value);
        nnd_map_fini(&map);
        nnd_error_clear();
        assert_int_equal(oom_live_blocks(), 0);
    }
    oom_end();
}

static void test_arena(void **state)
{
    (void)state;
    nnd_arena arena = {0};
    char *first = nnd_arena_strdup(&arena, "first");
    for (size_t i = 0; i < 3000; i++) {
        size_t size = i % 500 == 0 ? 300000 : i % 97;
        char *piece = nnd_arena_alloc(&arena, size);
        assert_non_null(piece);
        assert_int_equal((uintptr_t)piece % 16, 0);
        memset(piece, 0x55, size);
    }
    assert_string_equal(first, "first");
    assert_null(nnd_arena_alloc(&arena, SIZE_MAX - 8));
    assert_null(nnd_arena_calloc(&arena, SIZE_MAX, 2));
    nnd_arena_fini(&arena);
    assert_string_equal(nnd_arena_strdup_n(&arena, "again", 2), "ag");
    nnd_arena_fini(&arena);
}

static void test_bytes(void **state)
{
    (void)state;
    static const uint8_t data[] = {1, 2, 3, 4, 5, 6, 7, 8, 0xac, 0x02, 0, 0, 0x80, 0x3f};
    nnd_bytes b = nnd_bytes_of(data, sizeof(data));
    assert_int_equal(nnd_bytes_u16le(&b), 0x0201);
    assert_int_equal(nnd_bytes_u16be(&b), 0x0304);
    assert_int_equal(nnd_bytes_u32be(&b), 0x05060708);
    assert_int_equal(nnd_bytes_varint(&b), 300);
    assert_true(nnd_bytes_f32le(&b) == 1.0f);
    assert_int_equal(nnd_bytes_left(&b), 0);
    assert_non_null(nnd_bytes_take(&b, 0));
    assert_true(nnd_bytes_ok(&b));
    assert_int_equal(nnd_bytes_u8(&b), 0);
    assert_false(nnd_bytes_ok(&b));
    assert_null(nnd_bytes_take(&b, 0));

    b = nnd_bytes_of(data, sizeof(data));
    assert_true(nnd_bytes_u64le(&b) == UINT64_C(0x0807060504030201));
    nnd_bytes_seek(&b, 0);
    assert_true(nnd_bytes_u64be(&b) == UINT64_C(0x0102030405060708));
    nnd_bytes sub = nnd_bytes_sub(&b, 2);
    assert_int_equal(nnd_bytes_left(&sub), 2);
    nnd_bytes_skip(&b, SIZE_MAX);
    assert_false(nnd_bytes_ok(&b));
    uint8_t copy[4] = {9, 9, 9, 9};
    nnd_bytes_copy(&b, copy, 4);
    assert_int_equal(copy[3], 0);

    static const uint8_t endless[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02};
    b = nnd_bytes_of(endless, sizeof(endless));
    nnd_bytes_varint(&b);
    assert_false(nnd_bytes_ok(&b));
    b = nnd_bytes_of(NULL, 0);
    assert_non_null(nnd_bytes_take(&b, 0));
}

static void sha_text(const void *data, size_t size, size_t step, char out[NND_SHA256_TEXT])
{
    nnd_sha256 h;
    uint8_t digest[NND_SHA256_SIZE];
    nnd_sha256_init(&h);
    for (size_t i = 0; i < size; i += step)
        nnd_sha256_add(&h, (const char *)data + i, size - i < step ? size - i : step);
    nnd_sha256_end(&h, digest);
    nnd_sha256_text(digest, out);
}

/* The examples of FIPS 180-4, in pieces of many sizes. */
static void test_sha256(void **state)
{
    (void)state;
    static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    char text[NND_SHA256_TEXT];
    sha_text("", 0, 1, text);
    assert_string_equal(text, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    for (size_t step = 1; step < 60; step++) {
        sha_text(two_blocks, 56, step, text);
        assert_string_equal(text,
                            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    }
    char *million = malloc(1000000);
    memset(million, 'a', 1000000);
    sha_text(million, 1000000, 997, text);
    assert_string_equal(text, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(million);
    uint8_t digest[NND_SHA256_SIZE];
    assert_status(nnd_sha256_file("/no/such/file", digest), NND_E_NOT_FOUND);
    nnd_error_clear();
}

static void test_hash128(void **state)
{
    (void)state;
    char data[100], text[NND_KEY128_TEXT];
    for (int i = 0; i < 100; i++)
        data[i] = (char)(i * 37);
    /* Known answers of MurmurHash3_x64_128, seed 0. */
    nnd_key128_text(nnd_hash128_of("", 0), text);
    assert_string_equal(text, "00000000000000000000000000000000");
    nnd_key128_text(nnd_hash128_of("hello", 5), text);
    assert_string_equal(text, "5b1e906a48ae1d19cbd8a7b341bd9b02");
    nnd_key128 whole = nnd_hash128_of(data, 100);
    for (size_t step = 1; step < 40; step++) {
        nnd_hash128 h;
        nnd_hash128_init(&h, 0);
        for (size_t i = 0; i < 100; i += step)
            nnd_hash128_add(&h, data + i, 100 - i < step ? 100 - i : step);
        assert_true(nnd_key128_equal(nnd_hash128_end(&h), whole));
    }
    nnd_hash128 a, b;
    nnd_hash128_init(&a, 0);
    nnd_hash128_init(&b, 0);
    nnd_hash128_add_str(&a, "ab");
    nnd_hash128_add_str(&a, "c");
    nnd_hash128_add_str(&b, "a");
    nnd_hash128_add_str(&b, "bc");
    assert_false(nnd_key128_equal(nnd_hash128_end(&a), nnd_hash128_end(&b)));
    assert_true(nnd_hash64("abc", 3) == nnd_hash64("abc", 3));
    assert_true(nnd_hash64("abc", 3) != nnd_hash64("abd", 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),  cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_vector),  cmocka_unit_test(test_map),
        cmocka_unit_test(test_map_oom), cmocka_unit_test(test_arena),
        cmocka_unit_test(test_bytes),   cmocka_unit_test(test_sha256),
        cmocka_unit_test(test_hash128),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
