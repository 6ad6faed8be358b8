/*
 * What keeping packed weights in a folder is worth: several processes load the same model and run
 * it once, first each on its own, then with a cache folder.
 *
 *     bench_engine_packed [--processes N] MODEL.onnx...
 *
 * Per model: milliseconds from the file to a model that can run (least and median of the processes,
 * one after the other), and, with all processes alive, what the model added to a process's private
 * memory and to all of them together, in which a page that several share counts once (Linux:
 * smaps_rollup). "first" is the process that packs and writes the file.
 */
#include "engine/engine.h"
#include "nndeploy/sched.h"
#include "port/port.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 16 };

typedef struct report {
    double load_ms;
    uint64_t private_bytes, share_bytes; /* grown by loading and one run; share: Pss */
} report;

static void must(bool ok, const char *what)
{
    if (ok) return;
    nnd_error *error = nnd_error_take();
    fprintf(stderr, "%s%s%s\n", what, error ? ": " : "", error ? nnd_error_message(error) : "");
    nnd_error_destroy(error);
    exit(1);
}

/* ---- a child ------------------------------------------------------------------------------- */

/* Sum of the lines that begin with `key`, in bytes. */
static uint64_t sum_lines(const char *text, const char *key)
{
    uint64_t sum = 0;
    for (const char *p = strstr(text, key); p; p = strstr(p + 1, key))
        sum += strtoull(strchr(p, ':') + 1, NULL, 10) << 10;
    return sum;
}

static void read_memory(report *r)
{
    char *text;
    size_t size;
    int rc = nnd_port_file_read("/proc/self/smaps_rollup", 1 << 16, &text, &size);
    must(rc == 0, "cannot read /proc/self/smaps_rollup");
    r->private_bytes = sum_lines(text, "\nPrivate_");
    r->share_bytes = sum_lines(text, "\nPss:");
    nnd_port_free(text);
}

static void exchange(nnd_port_fd fd, void *data, size_t size, bool sends)
{
    size_t n;
    for (char *p = data; size; p += n, size -= n) {
        int rc = sends ? nnd_port_socket_send(fd, p, size, NULL, 0, &n)
                       : nnd_port_socket_recv(fd, p, size, NULL, NULL, &n);
        must(rc == 0 && n > 0, "the other process is gone");
    }
}

/* At the declared shapes, open dimensions as 1; the inputs are zeros. */
static void run_once(nnd_engine_model *m)
{
    nnd_engine_request *r;
    must(nnd_engine_request_create(m, &r) == NND_OK, "cannot make a request");
    for (size_t i = 0; i < nnd_engine_model_input_count(m); i++) {
        const nnd_engine_port *p = nnd_engine_model_input(m, i);
        int64_t dims[NND_MAX_RANK];
        nnd_tensor t;
        for (int k = 0; k < p->rank; k++)
            dims[k] = p->dims[k].value < 0 ? 1 : p->dims[k].value;
        must(nnd_tensor_init(&t, p->dtype, p->rank, dims, NULL) == NND_OK, "an odd input");
        t.data = nnd_calloc(1, nnd_tensor_bytes(&t) + 1);
        must(t.data && nnd_engine_request_bind_input(r, i, &t) == NND_OK, "cannot bind an input");
    }
    must(nnd_engine_request_run(r, 1, NULL) == NND_OK, "cannot run the model");
}

/* Loads and runs, says so, and measures when all others have done so; lives until it is told. */
static int child(const char *model, const char *folder)
{
    nnd_port_fd fd = 3;
    report before, after;
    char word = 0;
    nnd_engine_options options = NND_ENGINE_OPTIONS_INIT;
    nnd_engine_model *m;
    options.cache = folder;
    read_memory(&before);
    int64_t start = nnd_clock_now();
    must(nnd_engine_model_load_file(model, &options, &m) == NND_OK, "cannot load the model");
    double load_ms = (double)(nnd_clock_now() - start) * 1e-6;
    run_once(m);
    exchange(fd, &word, 1, true);
    exchange(fd, &word, 1, false);
    read_memory(&after);
    after.load_ms = load_ms;
    after.private_bytes -= before.private_bytes;
    after.share_bytes -= before.share_bytes;
    exchange(fd, &after, sizeof(after), true);
    exchange(fd, &word, 1, false);
    return 0;
}

/* ---- the parent ---------------------------------------------------------------------------- */

static int by_load(const void *a, const void *b)
{
    double x = ((const report *)a)->load_ms, y = ((const report *)b)->load_ms;
    return (x > y) - (x < y);
}

/* Reports of so many processes that are alive at the same time, the fastest load first. */
static void run_children(const char *program, const char *model, const char *folder, int count,
                         report *out)
{
    nnd_port_process *children[MOST];
    nnd_port_fd ends[MOST];
    char word = 0;
    int code;
    for (int i = 0; i < count; i++) {
        nnd_port_fd pair[2];
        const char *argv[] = {program, "--child", model, folder, NULL};
        must(nnd_port_socket_pair(pair) == 0, "no socket pair");
        nnd_port_spawn spawn = {.argv = argv, .fds = &pair[1], .fd_count = 1};
        must(nnd_port_process_spawn(&spawn, &children[i]) == 0, "cannot start a process");
        nnd_port_fd_close(pair[1]);
        ends[i] = pair[0];
        exchange(ends[i], &word, 1, false); /* loads do not disturb each other */
    }
    for (int i = 0; i < count; i++)
        exchange(ends[i], &word, 1, true);
    for (int i = 0; i < count; i++)
        exchange(ends[i], &out[i], sizeof(out[i]), false);
    for (int i = 0; i < count; i++) {
        exchange(ends[i], &word, 1, true);
        (void)nnd_port_process_wait(children[i], NND_PORT_FOREVER, &code);
        nnd_port_process_destroy(children[i]);
        nnd_port_fd_close(ends[i]);
    }
    qsort(out, (size_t)count, sizeof(*out), by_load);
}

static void print_row(const char *model, const char *how, const report *r, int count)
{
    const double mib = 1024.0 * 1024.0;
    double all = 0;
    const char *name = strrchr(model, '/');
    for (int i = 0; i < count; i++)
        all += (double)r[i].share_bytes / mib;
    printf("%-28s %-8s %9.1f %9.1f %11.1f %9.1f\n", name ? name + 1 : model, how, r[0].load_ms,
           r[count / 2].load_ms, (double)r[0].private_bytes / mib, all);
    fflush(stdout);
}

static void measure(const char *program, const char *model, int count)
{
    report r[MOST];
    char *folder;
    must(nnd_port_dir_create_temp("nnd-bench-packed", &folder) == 0, "no temporary folder");
    run_children(program, model, "", count, r);
    print_row(model, "without", r, count);
    run_children(program, model, folder, 1, r);
    print_row(model, "first", r, 1);
    run_children(program, model, folder, count, r);
    print_row(model, "cached", r, count);
    (void)nnd_port_dir_remove_tree(folder);
    nnd_port_free(folder);
}

int main(int argc, char **argv)
{
    int first = 1, count = 3;
    char *program;
    if (argc == 4 && strcmp(argv[1], "--child") == 0) return child(argv[2], argv[3]);
    if (argc > 2 && strcmp(argv[1], "--processes") == 0) {
        count = atoi(argv[2]);
        first = 3;
    }
    if (first >= argc || count < 1 || count > MOST) {
        fprintf(stderr, "usage: %s [--processes N] MODEL.onnx...\n", argv[0]);
        return 2;
    }
    must(nnd_port_path_executable(&program) == 0, "where is this program?");
    printf("%d processes%19s %-8s %9s %9s %11s %9s\n", count, "", "", "load ms", "median",
           "private MiB", "all MiB");
    for (int i = first; i < argc; i++)
        measure(program, argv[i], count);
    nnd_port_free(program);
    return 0;
}
