/* One thread that stops runs whose deadline has passed: the library looks at a flag between
   operators and knows no time limits of its own. */
#include "infer/backends/onnxruntime/ort.h"

static nnd_port_mutex lock = NND_PORT_MUTEX_INIT;
static nnd_port_cond changed; /* something entered, left or was called */
static nnd_port_thread *thread;
static nnd_ort_watch *watches; /* those that are still to be called */
static nnd_ort_watch *calling; /* the one whose fn runs now */

static nnd_ort_watch *earliest(void)
{
    nnd_ort_watch *first = watches;
    for (nnd_ort_watch *w = watches; w; w = w->next)
        if (w->deadline < first->deadline) first = w;
    return first;
}

static void unlink_watch(nnd_ort_watch *watch)
{
    for (nnd_ort_watch **p = &watches; *p; p = &(*p)->next) {
        if (*p != watch) continue;
        *p = watch->next;
        return;
    }
}

static void watch_loop(void *arg)
{
    (void)arg;
    nnd_port_mutex_lock(&lock);
    for (;;) {
        nnd_ort_watch *next = earliest();
        if (!next || next->deadline > nnd_port_now()) {
            nnd_port_cond_wait(&changed, &lock, next ? next->deadline : NND_PORT_FOREVER);
            continue;
        }
        unlink_watch(next);
        calling = next;
        nnd_port_mutex_unlock(&lock);
        next->fn(next->user);
        nnd_port_mutex_lock(&lock);
        calling = NULL;
        nnd_port_cond_broadcast(&changed);
    }
}

/* The thread is needed from the first deadline on and lives as long as the process. */
static bool thread_runs(void)
{
    if (thread) return true;
    if (nnd_port_cond_init(&changed)) return false;
    if (nnd_port_thread_create("nnd-ort-watch", watch_loop, NULL, &thread) == 0) return true;
    nnd_port_cond_fini(&changed);
    return false;
}

void nnd_ort_watch_enter(nnd_ort_watch *watch, int64_t deadline, void (*fn)(void *user), void *user)
{
    *watch = (nnd_ort_watch){.deadline = deadline, .fn = fn, .user = user};
    if (deadline == NND_NO_DEADLINE) return;
    nnd_port_mutex_lock(&lock);
    if (thread_runs()) {
        watch->entered = true;
        watch->next = watches;
        watches = watch;
        nnd_port_cond_broadcast(&changed);
    }
    nnd_port_mutex_unlock(&lock);
}

void nnd_ort_watch_leave(nnd_ort_watch *watch)
{
    if (!watch->entered) return;
    nnd_port_mutex_lock(&lock);
    unlink_watch(watch);
    while (calling == watch)
        nnd_port_cond_wait(&changed, &lock, NND_PORT_FOREVER);
    nnd_port_mutex_unlock(&lock);
}
