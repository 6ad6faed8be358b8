/*
 * Gangs: the caller and its workers do one parallel loop after another.
 *
 * A loop is published in the gang, opened under a new generation, and offered to each worker.
 * Tiles are handed out by one atomic counter, in ascending order. A worker joins by adding itself
 * to the gang's state word, which succeeds only while that very loop is open; the caller closes
 * the loop when the tiles are gone and then waits for those who joined, not for those who did not
 * come in time.
 *
 * Because tiles are claimed in ascending order, every tile below a failing one has been claimed
 * and will end, so the failure with the lowest index is found whatever the threads do.
 */
#include "sched/worker.h"

/* State word: generation in the upper half, then an open bit and the number of joined workers. */
#define STATE_OPEN   UINT64_C(0x80000000)
#define STATE_ACTIVE UINT64_C(0x7fffffff)

typedef struct tile_loop {
    size_t tiles;
    nnd_tile_fn fn;
    void *user;
    const nnd_cancel *cancel;
} tile_loop;

struct nnd_gang {
    _Alignas(NND_CACHE_LINE) _Atomic size_t next_tile; /* the first that nobody has claimed */
    _Alignas(NND_CACHE_LINE) _Atomic uint64_t state;
    _Atomic uint32_t caller_asleep;
    tile_loop loop; /* written only while the state says that nobody is in */
    uint32_t generation;

    nnd_port_mutex failure_lock;
    nnd_status failure;
    size_t failure_tile;
    nnd_error *failure_record;
    _Atomic int cut; /* status with which the token ended the loop early */

    nnd_worker *workers;
    int size;
    bool counted;
    uint32_t index; /* in gang_table */
    nnd_gang *next_free;
};

/* Gangs stay allocated for the life of the workers: a late worker may look at the state of a gang
   that was released. An index is free or in use; gang_lock guards that. Entries are written once
   before the first order that names them. */
static nnd_gang *gang_table[NND_SCHED_MAX_THREADS];
static uint32_t gang_count;
static nnd_gang *gang_free;
static nnd_port_mutex gang_lock = NND_PORT_MUTEX_INIT;

/* Gangs of one need no state of their own. */
static nnd_gang solo_counted = {.size = 1, .counted = true};
static nnd_gang solo_uncounted = {.size = 1};

/* ---- doing tiles --------------------------------------------------------------------------- */

static void note_failure(nnd_gang *gang, size_t tile, nnd_status status)
{
    atomic_store(&gang->next_tile, gang->loop.tiles); /* no new tiles */
    nnd_error *record = nnd_error_take();
    if (record && nnd_error_status(record) != status) {
        nnd_error_destroy(record); /* left over from something else */
        record = NULL;
    }
    nnd_port_mutex_lock(&gang->failure_lock);
    if (gang->failure == NND_OK || tile < gang->failure_tile) {
        nnd_error *worse = gang->failure_record;
        gang->failure = status;
        gang->failure_tile = tile;
        gang->failure_record = record;
        record = worse;
    }
    nnd_port_mutex_unlock(&gang->failure_lock);
    nnd_error_destroy(record);
}

static void run_lane(nnd_gang *gang, int lane)
{
    const tile_loop *loop = &gang->loop;
    bool outer = nnd_sched_self.in_loop;
    nnd_sched_self.in_loop = true;
    for (;;) {
        nnd_status status = nnd_cancel_check(loop->cancel);
        if (status != NND_OK) {
            /* Only tiles that nobody has claimed are lost. */
            if (atomic_exchange(&gang->next_tile, loop->tiles) < loop->tiles)
                atomic_store(&gang->cut, status);
            break;
        }
        size_t tile = atomic_fetch_add(&gang->next_tile, 1);
        if (tile >= loop->tiles) break;
        status = loop->fn(loop->user, tile, lane);
        if (status != NND_OK) {
            note_failure(gang, tile, status);
            break;
        }
    }
    nnd_sched_self.in_loop = outer;
}

void nnd_gang_help(nnd_order order)
{
    nnd_gang *gang = gang_table[order & 0xffff];
    uint64_t generation = order >> 32;
    uint64_t state = atomic_load(&gang->state);
    do {
        if (state >> 32 != generation || !(state & STATE_OPEN)) return;
    } while (!atomic_compare_exchange_weak(&gang->state, &state, state + 1));
    run_lane(gang, (int)(order >> 16 & 0xffff));
    uint64_t before = atomic_fetch_sub(&gang->state, 1);
    bool last = !(before & STATE_OPEN) && (before & STATE_ACTIVE) == 1;
    if (last && atomic_load(&gang->caller_asleep) && atomic_exchange(&gang->caller_asleep, 0))
        nnd_port_futex_wake(&gang->caller_asleep, 1);
}

static nnd_status cut_error(nnd_status status, size_t tiles)
{
    return nnd_error_set(status,
                         status == NND_E_TIMEOUT
                             ? "the deadline passed before all %zu parts of a loop were done"
                             : "cancelled before all %zu parts of a loop were done",
                         tiles);
}

static nnd_status run_alone(const tile_loop *loop, bool as_gang)
{
    bool outer = nnd_sched_self.in_loop;
    nnd_sched_self.in_loop = outer || as_gang;
    nnd_status status = NND_OK;
    for (size_t tile = 0; tile < loop->tiles && status == NND_OK; tile++) {
        status = nnd_cancel_check(loop->cancel);
        if (status != NND_OK) {
            cut_error(status, loop->tiles);
        } else {
            status = loop->fn(loop->user, tile, 0);
        }
    }
    nnd_sched_self.in_loop = outer;
    return status;
}

/* ---- the caller's side --------------------------------------------------------------------- */

static void open_loop(nnd_gang *gang, const tile_loop *loop)
{
    gang->loop = *loop;
    gang->failure = NND_OK;
    atomic_store_explicit(&gang->cut, NND_OK, memory_order_relaxed);
    atomic_store_explicit(&gang->next_tile, 0, memory_order_relaxed);
    gang->generation++;
    atomic_store(&gang->state, (uint64_t)gang->generation << 32 | STATE_OPEN);
    size_t useful = loop->tiles - 1; /* one tile is the caller's */
    for (nnd_worker *w = gang->workers; w && useful > 0; w = w->next, useful--)
        nnd_worker_order(w, nnd_order_make(gang->generation, w->lane, gang->index));
}

static void close_loop(nnd_gang *gang)
{
    uint64_t state = atomic_fetch_and(&gang->state, ~STATE_OPEN) & ~STATE_OPEN;
    while (state & STATE_ACTIVE) {
        /* A worker that needs longer than this has a long tile or was taken off its processor,
           which it may get back when we sleep. */
        if (!nnd_sched_spin(&gang->state, state, NND_SPIN_CALLER_NS)) {
            atomic_store(&gang->caller_asleep, 1);
            if (atomic_load(&gang->state) & STATE_ACTIVE)
                nnd_port_futex_wait(&gang->caller_asleep, 1, NND_PORT_FOREVER);
            atomic_store(&gang->caller_asleep, 0);
        }
        state = atomic_load(&gang->state);
    }
}

static nnd_status loop_result(nnd_gang *gang)
{
    if (gang->failure == NND_OK) {
        nnd_status cut = (nnd_status)atomic_load(&gang->cut);
        return cut == NND_OK ? NND_OK : cut_error(cut, gang->loop.tiles);
    }
    if (!gang->failure_record)
        return nnd_error_set(gang->failure, "part %zu of %zu of a loop failed", gang->failure_tile,
                             gang->loop.tiles);
    nnd_error_restore(gang->failure_record);
    nnd_error_destroy(gang->failure_record);
    gang->failure_record = NULL;
    return gang->failure;
}

nnd_status nnd_gang_for(nnd_gang *gang, size_t tiles, nnd_tile_fn fn, void *user,
                        const nnd_cancel *cancel)
{
    if (!fn) return nnd_error_set(NND_E_INVALID_ARGUMENT, "nnd_gang_for: fn is NULL");
    tile_loop loop = {tiles, fn, user, cancel};
    if (!gang || gang->size == 1 || tiles < 2 || nnd_sched_self.in_loop)
        return run_alone(&loop, gang != NULL);
    if (tiles > SIZE_MAX / 2)
        return nnd_error_set(NND_E_LIMIT, "a loop of %zu parts is above the limit", tiles);
    open_loop(gang, &loop);
    run_lane(gang, 0);
    close_loop(gang);
    return loop_result(gang);
}

/* ---- acquire and release ------------------------------------------------------------------- */

static nnd_gang *gang_create(void)
{
    if (gang_count == NND_COUNT(gang_table)) return NULL;
    nnd_gang *gang = nnd_alloc_aligned(sizeof *gang, NND_CACHE_LINE);
    if (!gang) return NULL;
    *gang = (nnd_gang){.index = gang_count};
    if (nnd_port_mutex_init(&gang->failure_lock) != NND_PORT_OK) {
        nnd_free_aligned(gang);
        return NULL;
    }
    gang_table[gang_count++] = gang;
    return gang;
}

static nnd_gang *take_gang(void)
{
    nnd_port_mutex_lock(&gang_lock);
    nnd_gang *gang = gang_free;
    if (gang) {
        gang_free = gang->next_free;
    } else {
        gang = gang_create();
    }
    nnd_port_mutex_unlock(&gang_lock);
    return gang;
}

nnd_status nnd_gang_acquire(int max_threads, nnd_gang **out)
{
    if (!out) return nnd_error_set(NND_E_INVALID_ARGUMENT, "nnd_gang_acquire: out is NULL");
    *out = NULL;
    if (max_threads < 0)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "a gang of %d threads is not possible; 0 asks "
                             "for the whole budget",
                             max_threads);
    if (nnd_sched_self.in_loop) {
        *out = &solo_uncounted;
        return NND_OK;
    }
    nnd_worker *workers;
    bool counted;
    int taken = nnd_workers_take(max_threads, &workers, &counted);
    nnd_gang *gang = taken > 0 ? take_gang() : NULL;
    if (gang) {
        gang->workers = workers;
        gang->size = taken + 1;
        gang->counted = counted;
    } else {
        /* Alone: no worker was idle, or there was no memory to organise them. */
        if (taken > 0) nnd_workers_give_back(workers, false);
        gang = counted ? &solo_counted : &solo_uncounted;
    }
    *out = gang;
    return NND_OK;
}

void nnd_gang_release(nnd_gang *gang)
{
    if (!gang || gang == &solo_uncounted) return;
    nnd_worker *workers = gang->workers;
    bool counted = gang->counted;
    if (gang != &solo_counted) {
        gang->workers = NULL;
        nnd_port_mutex_lock(&gang_lock);
        gang->next_free = gang_free;
        gang_free = gang;
        nnd_port_mutex_unlock(&gang_lock);
    }
    nnd_workers_give_back(workers, counted);
}

int nnd_gang_size(const nnd_gang *gang)
{
    return gang ? gang->size : 1;
}

nnd_status nnd_parallel_for(size_t tiles, int max_threads, nnd_tile_fn fn, void *user,
                            const nnd_cancel *cancel)
{
    if (tiles < 2) return nnd_gang_for(NULL, tiles, fn, user, cancel);
    int useful = tiles < NND_SCHED_MAX_THREADS ? (int)tiles : NND_SCHED_MAX_THREADS;
    if (max_threads == 0 || max_threads > useful) max_threads = useful;
    nnd_gang *gang;
    NND_TRY(nnd_gang_acquire(max_threads, &gang));
    nnd_status status = nnd_gang_for(gang, tiles, fn, user, cancel);
    nnd_gang_release(gang);
    return status;
}

void nnd_gang_shutdown(void)
{
    nnd_port_mutex_lock(&gang_lock);
    for (uint32_t i = 0; i < gang_count; i++) {
        nnd_port_mutex_fini(&gang_table[i]->failure_lock);
        nnd_free_aligned(gang_table[i]);
        gang_table[i] = NULL;
    }
    gang_count = 0;
    gang_free = NULL;
    nnd_port_mutex_unlock(&gang_lock);
}
