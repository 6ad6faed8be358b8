/* Pulling models: from folders, and from a web server that does everything wrong. */
#include "base/hash.h"
#include "base/str.h"
#include "catalog/catalog_internal.h"
#include "catalog/server.h"
#include "support/oom.h"

enum { SIZE = 300000, CUT = 100000 };

static unsigned char content[SIZE], other[SIZE];
static char *folder; /* holds everything of one test */

#define OK_REPLY                                                                                   \
    {                                                                                              \
        .etag = "\"one\""                                                                          \
    }

/* ---- one test's world --------------------------------------------------------------------- */

typedef struct world {
    server server;
    nnd_catalog *catalog;
    nnd_model_cache *cache;
    const nnd_catalog_model *model;
    const nnd_catalog_variant *variant;
    nnd_pull_options options;
    char *path, *part;
    nnd_pull_event last; /* of the callback */
    char source[600];    /* its source, which ends with the call */
    nnd_cancel *cancel_at_once;
    bool was_resumed;
} world;

static void on_progress(void *user, const nnd_pull_event *event)
{
    world *w = user;
    w->last = *event;
    snprintf(w->source, sizeof w->source, "%s", event->source);
    w->was_resumed |= event->resumed;
    if (w->cancel_at_once) nnd_cancel_request(w->cancel_at_once);
}

static char *sha_text(const unsigned char *bytes, size_t size)
{
    static char text[2][NND_SHA256_TEXT];
    static int turn;
    uint8_t digest[NND_SHA256_SIZE];
    nnd_sha256 h;
    nnd_sha256_init(&h);
    nnd_sha256_add(&h, bytes, size);
    nnd_sha256_end(&h, digest);
    turn = !turn;
    nnd_sha256_text(digest, text[turn]);
    return text[turn];
}

/* A model "net" of one file; url NULL: the catalogue knows none. */
static void make_catalogue(world *w, const char *url)
{
    char *text = nnd_strf(
        "{\"format\": \"nndeploy-catalog/1\", \"models\": {\"my-net\": {\"task\": \"t\", "
        "\"licence\": \"MIT\", \"variants\": [{\"precision\": \"f32\", \"files\": [{\"role\": "
        "\"model\", \"name\": \"deep/net.onnx\", \"sha256\": \"%s\", \"size\": %d, \"urls\": "
        "[%s%s%s]}]}]}}}",
        sha_text(content, SIZE), SIZE, url ? "\"" : "", url ? url : "", url ? "\"" : "");
    assert_ok(nnd_catalog_parse(text, strlen(text), NULL, &w->catalog));
    nnd_free(text);
}

static void open_cache(world *w, const char *const *mirrors, size_t count)
{
    nnd_model_cache_options options = NND_MODEL_CACHE_OPTIONS_INIT;
    char *cache = nnd_strf("%s/cache", folder);
    options.catalog = w->catalog;
    options.folder = cache;
    options.mirrors = mirrors;
    options.mirror_count = count;
    assert_ok(nnd_model_cache_create(&options, &w->cache));
    w->model = nnd_catalog_at(w->catalog, 0);
    w->variant = nnd_catalog_variant_at(w->model, 0);
    w->options = (nnd_pull_options)NND_PULL_OPTIONS_INIT;
    w->options.progress = on_progress;
    w->options.user = w;
    w->options.pause_ms = 1;
    w->options.connect_seconds = 5;
    w->options.stall_seconds = 5;
    assert_ok(
        nnd_model_cache_path(w->cache, w->model, nnd_catalog_main_file(w->variant), &w->path));
    w->part = nnd_strf("%s.part", w->path);
    nnd_free(cache);
}

/* The catalogue's URL leads to the server with this script. */
static void begin(world *w, const server_reply *replies, size_t count)
{
    memset(w, 0, sizeof *w);
    server_start(&w->server, content, SIZE, replies, count);
    char *url = nnd_strf("http://127.0.0.1:%u/net.onnx", (unsigned)w->server.port);
    make_catalogue(w, url);
    nnd_free(url);
    open_cache(w, NULL, 0);
}

static void end(world *w)
{
    server_stop(&w->server);
    nnd_model_cache_destroy(w->cache);
    nnd_catalog_destroy(w->catalog);
    nnd_free(w->path);
    nnd_free(w->part);
    nnd_error_clear();
}

static nnd_status pull(world *w)
{
    return nnd_model_cache_pull(w->cache, w->model, w->variant, &w->options);
}

static void assert_right_file(const world *w)
{
    char *bytes = NULL;
    size_t size = 0;
    assert_int_equal(nnd_port_file_read(w->path, SIZE * 2, &bytes, &size), 0);
    assert_int_equal(size, SIZE);
    assert_memory_equal(bytes, content, SIZE);
    nnd_port_free(bytes);
    assert_false(nnd_port_file_exists(w->part));
    char *origin = nnd_strf("%s-origin", w->part);
    assert_false(nnd_port_file_exists(origin));
    nnd_free(origin);
}

static uint64_t part_size(const world *w)
{
    nnd_port_file_info info;
    return nnd_port_file_stat(w->part, &info) == 0 ? info.size : 0;
}

static void assert_error(nnd_status got, nnd_status wanted, const char *text)
{
    nnd_error *error = nnd_error_take();
    const char *message = error ? nnd_error_message(error) : "";
    if (got != wanted || !strstr(message, text))
        fail_msg("%s: %s (wanted %s: %s)", nnd_status_name(got), message, nnd_status_name(wanted),
                 text);
    nnd_error_destroy(error);
}

static int set_up(void **state)
{
    (void)state;
    return nnd_port_dir_create_temp("nnd-pull", &folder);
}

static int tear_down(void **state)
{
    (void)state;
    nnd_port_dir_remove_tree(folder);
    nnd_port_free(folder);
    return 0;
}

static bool have_libcurl(void)
{
    static const char *const names[] = {"libcurl.so.4", "libcurl-gnutls.so.4", "libcurl.4.dylib"};
    static nnd_port_module *module; /* stays: loading and unloading it again takes its time */
    for (size_t i = 0; i < NND_COUNT(names) && !module; i++)
        if (nnd_port_module_open(names[i], &module, NULL, 0) != 0) module = NULL;
    return module != NULL;
}
#define NEEDS_LIBCURL()                                                                            \
    do {                                                                                           \
        (void)state;                                                                               \
        if (!have_libcurl()) {                                                                     \
            fprintf(stderr, "skipped: no libcurl is installed\n");                                 \
            skip();                                                                                \
        }                                                                                          \
    } while (0)

/* ---- the library -------------------------------------------------------------------------- */

/* Has to be the first: a library that was found stays. */
static void test_without_libcurl(void **state)
{
    (void)state;
    static const server_reply replies[] = {OK_REPLY};
    world w;
    begin(&w, replies, 1);
    nnd_port_env_set("NNDEPLOY_LIBCURL", "/nowhere/libcurl.so.4");
    assert_error(pull(&w), NND_E_MISSING, "NNDEPLOY_LIBCURL names '/nowhere/libcurl.so.4'");
    nnd_port_env_set("NNDEPLOY_LIBCURL", NULL);
    assert_int_equal(atomic_load(&w.server.request_count), 0);
    end(&w);
}

/* ---- good servers -------------------------------------------------------------------------- */

static void test_downloads(void **state)
{
    NEEDS_LIBCURL();
    static const server_reply replies[] = {OK_REPLY};
    world w;
    nnd_model_file_state now;
    begin(&w, replies, 1);
    const nnd_catalog_file *file = nnd_catalog_main_file(w.variant);
    char *found = NULL;
    assert_ok(nnd_model_cache_check(w.cache, w.model, file, true, &now));
    assert_int_equal(now, NND_MODEL_FILE_MISSING);
    assert_error(nnd_model_cache_find(w.cache, w.model, w.variant, file, &found), NND_E_MISSING,
                 "nndeploy models pull my-net");
    assert_ok(pull(&w));
    assert_right_file(&w);
    assert_true(w.last.finished && w.last.done == SIZE && !w.was_resumed);
    assert_ok(nnd_model_cache_check(w.cache, w.model, file, true, &now));
    assert_int_equal(now, NND_MODEL_FILE_PRESENT);
    assert_ok(nnd_model_cache_find(w.cache, w.model, w.variant, file, &found));
    assert_string_equal(found, w.path);
    nnd_free(found);
    /* What is there is not downloaded again. */
    assert_ok(pull(&w));
    assert_string_equal(w.source, "");
    server_stop(&w.server);
    assert_int_equal(w.server.request_count, 1);
    assert_string_equal(w.server.requests[0].path, "/net.onnx");
    assert_int_equal(w.server.requests[0].range, -1);
    end(&w);
}

static void test_damaged_is_replaced(void **state)
{
    NEEDS_LIBCURL();
    static const server_reply replies[] = {OK_REPLY};
    world w;
    nnd_model_file_state now;
    begin(&w, replies, 1);
    assert_ok(pull(&w));
    assert_int_equal(nnd_port_file_write_atomic(w.path, other, SIZE), 0);
    const nnd_catalog_file *file = nnd_catalog_main_file(w.variant);
    assert_ok(nnd_model_cache_check(w.cache, w.model, file, false, &now));
    assert_int_equal(now, NND_MODEL_FILE_PRESENT);
    assert_ok(nnd_model_cache_check(w.cache, w.model, file, true, &now));
    assert_int_equal(now, NND_MODEL_FILE_DAMAGED);
    assert_ok(pull(&w));
    assert_right_file(&w);
    end(&w);
}

static void test_redirects(void **state)
{
    NEEDS_LIBCURL();
    static const server_reply replies[] = {{.status = 302, .location = "/there?x=1"}, OK_REPLY};
    world w;
    begin(&w, replies, NND_COUNT(replies));
    assert_ok(pull(&w));
    assert_right_file(&w);
    server_stop(&w.server);
    assert_string_equal(w.server.requests[1].path, "/there?x=1");
    end(&w);
}

/* ---- going on ------------------------------------------------------------------------------ */

static void test_goes_on_after_a_cut(void **state)
{
    NEEDS_LIBCURL();
    static const server_reply replies[] = {{.etag = "\"one\"", .cut = CUT}, OK_REPLY};
    world w;
    begin(&w, replies, NND_COUNT(replies));
    assert_ok(pull(&w));
    assert_right_file(&w);
    assert_true(w.was_resumed);
    server_stop(&w.server);
    assert_int_equal(w.server.request_count, 2);
    assert_int_equal(w.server.requests[1].range, CUT);
    assert_string_equal(w.server.requests[1].if_range, "\"one\"");
    assert_int_equal(w.server.requests[1].sent, SIZE - CUT);
    end(&w);
}

static void test_goes_on_in_another_process(void **state)
{
    NEEDS_LIBCURL();
    static const server_reply replies[] = {{.etag = "\"one\"", .cut = CUT}, OK_REPLY};
    world w;
    nnd_model_file_state now;
    begin(&w, replies, NND_COUNT(replies));
    w.options.retries = -1;
    assert_error(pull(&w), NND_E_IO, "the connection broke");
    assert_false(nnd_port_file_exists(w.path));
    assert_int_equal(part_size(&w), CUT);
    assert_ok(
        nnd_model_cache_check(w.cache, w.model, nnd_catalog_main_file(w.variant), true, &now));
    assert_int_equal(now, NND_MODEL_FILE_PARTIAL);
    assert_ok(pull(&w));
    assert_right_file(&w);
    server_stop(&w.server);
    assert_int_equal(w.server.requests[1].range, CUT);
    assert_int_equal(w.server.requests[1].sent, SIZE - CUT);
    end(&w);
}

static void test_changed_file_starts_anew(void **state)
{
    NEEDS_LIBCURL();
    static const server_reply replies[] = {
        {.etag = "\"old\"", .cut = CUT, .content = other, .content_size = SIZE}, OK_REPLY};
    world w;
    begin(&w, replies, NND_COUNT(replies));
    assert_ok(pull(&w));
    assert_right_file(&w);
    server_stop(&w.server);
    assert_int_equal(w.server.request_count, 2);
    assert_string_equal(w.server.requests[1].if_range, "\"old\"");
    assert_int_equal(w.server.requests[1].sent, SIZE);
    end(&w);
}

static void test_pieces_that_do_not_fit(void **state)
{
    NEEDS_LIBCURL();
    /* The server glues the rest of another file to ours, whatever was asked. */
    static const server_reply replies[] = {
        {.etag = "\"old\"", .cut = CUT, .content = other, .content_size = SIZE},
        {.etag = "\"one\"", .ignores_if_range = true},
        OK_REPLY};
    world w;
    begin(&w, replies, NND_COUNT(replies));
    assert_ok(pull(&w));
    assert_right_file(&w);
    server_stop(&w.server);
    assert_int_equal(w.server.request_count, 3);
    assert_int_equal(w.server.requests[2].range, -1);
    end(&w);
}

static void test_server_without_ranges(void **state)
{
    NEEDS_LIBCURL();
    static const server_reply replies[] = {{.cut = CUT, .ignores_range = true},
                                           {.ignores_range = true}};
    world w;
    begin(&w, replies, NND_COUNT(replies));
    assert_ok(pull(&w));
    assert_right_file(&w);
    server_stop(&w.server);
    assert_int_equal(w.server.requests[1].range, CUT);
    assert_int_equal(w.server.requests[1].sent, SIZE);
    end(&w);
}

static void test_range_that_cannot_be(void **state)
{
    NEEDS_LIBCURL();
    static const server_reply replies[] = {{.cut = CUT}, {.status = 416}, OK_REPLY};
    world w;
    begin(&w, replies, NND_COUNT(replies));
    assert_ok(pull(&w));
    assert_right_file(&w);
    server_stop(&w.server);
    assert_int_equal(w.server.requests[2].range, -1);
    end(&w);
}

static void test_part_that_is_complete(void **state)
{
    NEEDS_LIBCURL();
    static const server_reply replies[] = {OK_REPLY};
    world w;
    begin(&w, replies, 1);
    w.options.retries = -1;
    assert_ok(pull(&w));
    assert_int_equal(nnd_port_file_rename(w.path, w.part), 0);
    assert_ok(pull(&w));
    assert_right_file(&w);
    /* One that is longer than the file, and one with other bytes. */
    unsigned char *longer = calloc(SIZE + 1, 1);
    assert_int_equal(nnd_port_file_write_atomic(w.part, longer, SIZE + 1), 0);
    nnd_port_file_remove(w.path);
    assert_ok(pull(&w));
    assert_right_file(&w);
    assert_int_equal(nnd_port_file_write_atomic(w.part, other, SIZE), 0);
    nnd_port_file_remove(w.path);
    assert_ok(pull(&w));
    assert_right_file(&w);
    free(longer);
    server_stop(&w.server);
    assert_int_equal(w.server.request_count, 3);
    end(&w);
}

/* ---- servers that lie ---------------------------------------------------------------------- */

typedef struct lie {
    server_reply reply;
    nnd_status status;
    const char *text;
} lie;

static void test_lies(void **state)
{
    NEEDS_LIBCURL();
    static const lie lies[] = {
        {{.announce = SIZE + 1},
         NND_E_FORMAT,
         "it announces 300001 bytes, the catalogue says 300000"},
        {{.announce = SIZE - 1}, NND_E_FORMAT, "it announces 299999 bytes"},
        {{.announce = INT64_MAX}, NND_E_FORMAT, "it announces"},
        {{.announce = ANNOUNCE_NOTHING, .content = other, .content_size = SIZE - 5},
         NND_E_FORMAT,
         "it ends after 299995 bytes"},
        {{.content = other, .content_size = SIZE}, NND_E_FORMAT, "sha256 differs"},
        {{.status = 302, .location = "file:///etc/passwd"}, NND_E_IO, "rotocol"},
        {{.status = 302, .location = "/again"}, NND_E_IO, "redirects more than"},
        {{.status = 404}, NND_E_MISSING, "status 404 (not found)"},
        {{.status = 403}, NND_E_MISSING, "status 403 (not allowed)"},
        {{.status = 400}, NND_E_IO, "status 400"},
        {{.status = 204}, NND_E_FORMAT, "bytes"},
    };
    for (size_t i = 0; i < NND_COUNT(lies); i++) {
        world w;
        begin(&w, &lies[i].reply, 1);
        assert_error(pull(&w), lies[i].status, lies[i].text);
        assert_false(nnd_port_file_exists(w.path));
        assert_false(nnd_port_file_exists(w.part));
        end(&w);
    }
}

/* Endless content of a server that does not say how much there is. */
static void test_too_much(void **state)
{
    NEEDS_LIBCURL();
    unsigned char *more = calloc(SIZE + 70000, 1);
    memcpy(more, content, SIZE);
    const server_reply replies[] = {
        {.announce = ANNOUNCE_NOTHING, .content = more, .content_size = SIZE + 70000}};
    world w;
    begin(&w, replies, 1);
    assert_error(pull(&w), NND_E_FORMAT, "it sends more than 300000 bytes");
    assert_false(nnd_port_file_exists(w.path));
    assert_false(nnd_port_file_exists(w.part));
    end(&w);
    free(more);
}

static void test_bad_server_recovers(void **state)
{
    NEEDS_LIBCURL();
    static const server_reply replies[] = {
        {.status = 500}, {.status = 503}, {.status = 429}, OK_REPLY};
    world w;
    begin(&w, replies, NND_COUNT(replies));
    assert_ok(pull(&w));
    assert_right_file(&w);
    server_stop(&w.server);
    assert_int_equal(w.server.request_count, 4);
    end(&w);
}

static void test_gives_up(void **state)
{
    NEEDS_LIBCURL();
    static const server_reply always[][1] = {{{.status = 500}},
                                             {{.cut = 10, .ignores_range = true}}};
    for (size_t i = 0; i < NND_COUNT(always); i++) {
        world w;
        begin(&w, always[i], 1);
        w.options.retries = 2;
        assert_error(pull(&w), NND_E_IO, i ? "the connection broke" : "status 500");
        assert_false(nnd_port_file_exists(w.path));
        server_stop(&w.server);
        assert_int_equal(w.server.request_count, 3);
        end(&w);
    }
}

static void test_stalls(void **state)
{
    NEEDS_LIBCURL();
    static const server_reply replies[] = {{.etag = "\"one\"", .cut = CUT, .stalls = true},
                                           OK_REPLY};
    world w;
    begin(&w, replies, NND_COUNT(replies));
    w.options.retries = -1;
    w.options.stall_seconds = 1;
    assert_error(pull(&w), NND_E_TIMEOUT, "no byte came for 1 s");
    assert_false(nnd_port_file_exists(w.path));
    assert_int_equal(part_size(&w), CUT);
    assert_ok(pull(&w));
    assert_right_file(&w);
    server_stop(&w.server);
    assert_int_equal(w.server.requests[1].range, CUT);
    end(&w);
}

static void test_nobody_there(void **state)
{
    NEEDS_LIBCURL();
    static const server_reply replies[] = {OK_REPLY};
    world w;
    begin(&w, replies, 1);
    server_stop(&w.server);
    assert_error(pull(&w), NND_E_IO, "http://127.0.0.1");
    end(&w);
}

/* ---- cancelling, several at once ----------------------------------------------------------- */

static void test_cancel(void **state)
{
    NEEDS_LIBCURL();
    static const server_reply replies[] = {{.etag = "\"one\"", .cut = CUT, .stalls = true},
                                           OK_REPLY};
    world w;
    nnd_cancel *cancel = NULL;
    begin(&w, replies, NND_COUNT(replies));
    assert_ok(nnd_cancel_create(NULL, &cancel));
    w.options.cancel = cancel;
    w.cancel_at_once = cancel;
    assert_error(pull(&w), NND_E_CANCELLED, "cancelled");
    assert_false(nnd_port_file_exists(w.path));
    assert_true(part_size(&w) > 0);
    w.options.cancel = w.cancel_at_once = NULL;
    assert_ok(pull(&w));
    assert_right_file(&w);
    assert_true(w.was_resumed);
    nnd_cancel_unref(cancel);
    end(&w);
}

static void pull_thread(void *arg)
{
    world *w = arg;
    nnd_pull_options options = w->options;
    options.progress = NULL;
    nnd_status status = nnd_model_cache_pull(w->cache, w->model, w->variant, &options);
    if (status != NND_OK)
        nnd_log(NND_LOG_ERROR, "test", "a pull ended with %s", nnd_status_name(status));
}

static void test_several_at_once(void **state)
{
    NEEDS_LIBCURL();
    static const server_reply replies[] = {{.etag = "\"one\"", .cut = CUT}, OK_REPLY};
    nnd_port_thread *threads[4];
    world w;
    begin(&w, replies, NND_COUNT(replies));
    for (size_t i = 0; i < NND_COUNT(threads); i++)
        assert_int_equal(nnd_port_thread_create("pull", pull_thread, &w, &threads[i]), 0);
    for (size_t i = 0; i < NND_COUNT(threads); i++)
        nnd_port_thread_join(threads[i]);
    assert_right_file(&w);
    server_stop(&w.server);
    assert_int_equal(w.server.request_count, 2);
    end(&w);
}

static void test_waits_for_another_process(void **state)
{
    (void)state;
    world w = {0};
    nnd_port_file_lock *lock = NULL;
    nnd_cancel *cancel = NULL;
    make_catalogue(&w, NULL);
    open_cache(&w, NULL, 0);
    char *path = nnd_strf("%s/cache/my-net/.lock", folder),
         *parent = nnd_strf("%s/cache/my-net", folder);
    assert_int_equal(nnd_port_dir_create(parent), 0);
    assert_int_equal(nnd_port_file_lock_try(path, &lock), 0);
    assert_ok(nnd_cancel_create(NULL, &cancel));
    nnd_cancel_set_deadline(cancel, nnd_clock_now() + 100 * 1000000);
    w.options.cancel = cancel;
    assert_error(pull(&w), NND_E_TIMEOUT, "another process");
    nnd_port_file_unlock(lock);
    nnd_cancel_unref(cancel);
    nnd_free(path);
    nnd_free(parent);
    end(&w);
}

/* ---- mirrors ------------------------------------------------------------------------------- */

static void put_file(const char *path, const unsigned char *bytes)
{
    char *parent = nnd_strdup_n(path, (size_t)(strrchr(path, '/') - path));
    assert_int_equal(nnd_port_dir_create(parent), 0);
    assert_int_equal(nnd_port_file_write_atomic(path, bytes, SIZE), 0);
    nnd_free(parent);
}

static void test_mirrors_in_order(void **state)
{
    NEEDS_LIBCURL();
    /* A folder without the model, one with a damaged copy, a web mirror with other bytes, the
       catalogue's own address. */
    static const server_reply replies[] = {{.content = other, .content_size = SIZE}, OK_REPLY};
    world w;
    begin(&w, replies, NND_COUNT(replies));
    nnd_model_cache_destroy(w.cache);
    nnd_free(w.path);
    nnd_free(w.part);
    char *empty = nnd_strf("%s/empty", folder), *damaged = nnd_strf("%s/damaged/", folder);
    char *web = nnd_strf("http://127.0.0.1:%u/base/", (unsigned)w.server.port);
    char *file = nnd_strf("%s/damaged/my_net/deep/net.onnx", folder);
    const char *mirrors[] = {empty, damaged, web};
    put_file(file, other);
    open_cache(&w, mirrors, NND_COUNT(mirrors));
    assert_int_equal(nnd_model_cache_mirror_count(w.cache), 3);
    assert_ok(pull(&w));
    assert_right_file(&w);
    server_stop(&w.server);
    assert_int_equal(w.server.request_count, 2);
    assert_string_equal(w.server.requests[0].path, "/base/my-net/deep/net.onnx");
    nnd_free(empty);
    nnd_free(damaged);
    nnd_free(web);
    nnd_free(file);
    end(&w);
}

static void test_folder_mirror(void **state)
{
    (void)state;
    world w = {0};
    char *mirror = nnd_strf("%s/mirror", folder),
         *file = nnd_strf("%s/my-net/deep/net.onnx", mirror);
    const char *mirrors[] = {mirror};
    char *found = NULL;
    make_catalogue(&w, NULL);
    open_cache(&w, mirrors, 1);
    assert_error(pull(&w), NND_E_MISSING, "the folder has no 'my-net/deep/net.onnx'");
    put_file(file, content);
    /* Found there without a copy, and copied on demand. */
    assert_ok(nnd_model_cache_find(w.cache, w.model, w.variant, NULL, &found));
    assert_string_equal(found, file);
    nnd_free(found);
    assert_ok(pull(&w));
    assert_right_file(&w);
    assert_string_equal(w.source, file);
    nnd_free(mirror);
    nnd_free(file);
    end(&w);
}

static void test_without_memory(void **state)
{
    (void)state;
    world w = {0};
    char *mirror = nnd_strf("%s/mirror", folder),
         *file = nnd_strf("%s/my-net/deep/net.onnx", mirror);
    make_catalogue(&w, NULL);
    put_file(file, content);
    const char *mirrors[] = {mirror};
    open_cache(&w, mirrors, 1);
    nnd_model_cache *kept = w.cache;
    nnd_model_cache_options options = NND_MODEL_CACHE_OPTIONS_INIT;
    char *cache_folder = nnd_strf("%s/cache", folder);
    options.catalog = w.catalog;
    options.folder = cache_folder;
    options.mirrors = mirrors;
    options.mirror_count = 1;
    oom_begin();
    for (long n = 0;; n++) {
        nnd_model_cache *cache = NULL;
        oom_fail_after(n);
        nnd_status status = nnd_model_cache_create(&options, &cache);
        if (status == NND_OK) status = nnd_model_cache_pull(cache, w.model, w.variant, NULL);
        bool was_hit = oom_hit();
        oom_never();
        nnd_model_cache_destroy(cache);
        nnd_error_clear();
        assert_int_equal(oom_live_blocks(), 0);
        if (status == NND_OK) break;
        assert_true(was_hit);
        assert_false(nnd_port_file_exists(w.path));
    }
    oom_end();
    w.cache = kept;
    assert_right_file(&w);
    nnd_free(cache_folder);
    nnd_free(mirror);
    nnd_free(file);
    end(&w);
}

/* ---- where things are ---------------------------------------------------------------------- */

static void test_places(void **state)
{
    (void)state;
    nnd_model_cache *cache = NULL;
    nnd_port_env_set("NNDEPLOY_CACHE", "/c");
    nnd_port_env_set("NNDEPLOY_MIRRORS", "https://a.example/x/; /m ;;");
    char *settings = nnd_strf("%s/nndeploy", folder), *file = nnd_strf("%s/mirrors", settings);
    assert_int_equal(nnd_port_dir_create(settings), 0);
    static const char lines[] = "# mine\n\n  http://b.example  \r\n/n/";
    assert_int_equal(nnd_port_file_write_atomic(file, lines, strlen(lines)), 0);
    nnd_port_env_set("XDG_CONFIG_HOME", folder);
    assert_ok(nnd_model_cache_create(NULL, &cache));
    assert_string_equal(nnd_model_cache_folder(cache), "/c/models");
    assert_ptr_equal(nnd_model_cache_catalog(cache), nnd_catalog_builtin());
    static const char *const wanted[] = {"https://a.example/x", "/m", "http://b.example", "/n"};
    assert_true(nnd_model_cache_mirror_count(cache) >= NND_COUNT(wanted));
    for (size_t i = 0; i < NND_COUNT(wanted); i++)
        assert_string_equal(nnd_model_cache_mirror_at(cache, i), wanted[i]);
    nnd_model_cache_destroy(cache);
    nnd_port_env_set("NNDEPLOY_MIRRORS", "ftp://a.example");
    cache = NULL;
    nnd_status status = nnd_model_cache_create(NULL, &cache);
    assert_error(status, NND_E_INVALID_ARGUMENT, "NNDEPLOY_MIRRORS");
    nnd_port_env_set("NNDEPLOY_MIRRORS", NULL);
    nnd_port_env_set("NNDEPLOY_CATALOG", file);
    status = nnd_model_cache_create(NULL, &cache);
    assert_error(status, NND_E_FORMAT, "NNDEPLOY_CATALOG names");
    nnd_port_env_set("NNDEPLOY_CATALOG", NULL);
    nnd_port_env_set("NNDEPLOY_CACHE", NULL);
    nnd_free(settings);
    nnd_free(file);
}

static void fill(unsigned char *bytes, uint32_t seed)
{
    for (size_t i = 0; i < SIZE; i++) {
        seed = seed * 1664525u + 1013904223u;
        bytes[i] = (unsigned char)(seed >> 24);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    static const char *const variables[] = {"NNDEPLOY_MIRRORS", "NNDEPLOY_CATALOG",
                                            "NNDEPLOY_CACHE",   "http_proxy",
                                            "all_proxy",        "ALL_PROXY"};
    for (size_t i = 0; i < NND_COUNT(variables); i++)
        nnd_port_env_set(variables[i], NULL);
    nnd_port_env_set("XDG_CONFIG_HOME", "/nowhere");
    fill(content, 1);
    fill(other, 2);
    const struct CMUnitTest tests[] = {
        TEST(test_without_libcurl),
        TEST(test_downloads),
        TEST(test_damaged_is_replaced),
        TEST(test_redirects),
        TEST(test_goes_on_after_a_cut),
        TEST(test_goes_on_in_another_process),
        TEST(test_changed_file_starts_anew),
        TEST(test_pieces_that_do_not_fit),
        TEST(test_server_without_ranges),
        TEST(test_range_that_cannot_be),
        TEST(test_part_that_is_complete),
        TEST(test_lies),
        TEST(test_too_much),
        TEST(test_bad_server_recovers),
        TEST(test_gives_up),
        TEST(test_stalls),
        TEST(test_nobody_there),
        TEST(test_cancel),
        TEST(test_several_at_once),
        TEST(test_waits_for_another_process),
        TEST(test_mirrors_in_order),
        TEST(test_folder_mirror),
        TEST(test_without_memory),
        TEST(test_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
