/* Ctrl-C and the progress line: one small thread while the command works. */
#include "cli/cli.h"

#include "base/port_status.h"
#include "nndeploy/sched.h"
#include "port/port.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { BAR_WIDTH = 24 };
#define MS ((int64_t)1000000)

static struct {
    bool on;
    bool show; /* standard error is a terminal and the result is not JSON for a program */
    nnd_cancel *cancel;
    nnd_port_wake wake;
    nnd_port_thread *thread;
    int64_t begin;
    bool drawn; /* the thread's own */
    /* what progress() says: thousandths are exact enough for a bar */
    _Atomic(const char *) text;
    atomic_int permille; /* −1 = unknown */
    atomic_bool ending;
} watch;
static atomic_int interrupts;

/* A signal handler: nothing but a flag and a wake-up, or the end at once. */
static void on_interrupt(void)
{
    if (atomic_fetch_add(&interrupts, 1) > 0) _Exit(CLI_CANCELLED);
    nnd_port_wake_signal(&watch.wake);
}

static void wipe(void)
{
    if (!watch.drawn) return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    watch.drawn = false;
}

static void draw(void)
{
    const char *text = atomic_load(&watch.text);
    int permille = atomic_load(&watch.permille);
    double seconds = (double)(nnd_clock_now() - watch.begin) / 1e9;
    if (permille < 0) {
        fprintf(stderr, "\r\033[K%s … %.0f s", text ? text : "working", seconds);
    } else {
        char bar[BAR_WIDTH + 1];
        int full = permille * BAR_WIDTH / 1000;
        memset(bar, '.', BAR_WIDTH);
        memset(bar, '#', (size_t)full);
        bar[BAR_WIDTH] = '\0';
        fprintf(stderr, "\r\033[K[%s] %3d %%  %s  %.0f s", bar, permille / 10, text ? text : "",
                seconds);
    }
    fflush(stderr);
    watch.drawn = true;
}

static void watch_thread(void *arg)
{
    (void)arg;
    bool cancelled = false;
    while (!atomic_load(&watch.ending)) {
        nnd_port_poll poll = {watch.wake.fd, NND_PORT_POLL_IN, 0};
        int64_t deadline = watch.show ? nnd_clock_now() + 200 * MS : NND_PORT_FOREVER;
        nnd_port_poll_wait(&poll, 1, deadline, NULL);
        nnd_port_wake_drain(&watch.wake);
        if (atomic_load(&interrupts) && !cancelled) {
            cancelled = true;
            nnd_cancel_request(watch.cancel);
        }
        bool late = nnd_clock_now() - watch.begin > 1000 * MS;
        if (watch.show && late && !atomic_load(&watch.ending)) draw();
    }
    wipe();
}

nnd_status cli_watch_begin(const cli *c, nnd_cancel **out)
{
    NND_TRY(nnd_cancel_create(NULL, &watch.cancel));
    int rc = nnd_port_wake_init(&watch.wake);
    if (rc) {
        nnd_cancel_unref(watch.cancel);
        return nnd_error_from_port(rc, "cannot watch for Ctrl-C", NULL);
    }
    watch.show = nnd_port_stream_is_terminal(stderr) && !c->json;
    watch.begin = nnd_clock_now();
    atomic_store(&watch.text, NULL);
    atomic_store(&watch.permille, -1);
    atomic_store(&watch.ending, false);
    rc = nnd_port_thread_create("watch", watch_thread, NULL, &watch.thread);
    if (rc) {
        nnd_port_wake_fini(&watch.wake);
        nnd_cancel_unref(watch.cancel);
        return nnd_error_from_port(rc, "cannot watch for Ctrl-C", NULL);
    }
    watch.on = true;
    nnd_port_on_interrupt(on_interrupt);
    *out = watch.cancel;
    return NND_OK;
}

void cli_watch_end(void)
{
    if (!watch.on) return;
    nnd_port_on_interrupt(NULL);
    atomic_store(&watch.ending, true);
    nnd_port_wake_signal(&watch.wake);
    nnd_port_thread_join(watch.thread);
    nnd_port_wake_fini(&watch.wake);
    nnd_cancel_unref(watch.cancel);
    watch.on = false;
}

void cli_watch_progress(const char *text, double done, double total)
{
    int permille = -1;
    if (total > 0 && done >= 0) permille = done >= total ? 1000 : (int)(done / total * 1000);
    atomic_store(&watch.text, text);
    atomic_store(&watch.permille, permille);
}

bool cli_watch_interrupted(void)
{
    return atomic_load(&interrupts) > 0;
}
