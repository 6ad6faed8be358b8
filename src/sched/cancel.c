/*
 * Cancel tokens.
 *
 * A token's own state is one atomic word and one atomic deadline; a check walks from the token to
 * its root, two loads per level, and never locks. Requesting is one atomic exchange, which is why
 * a signal handler may do it, as long as nobody in the sub-tree wants to be called back.
 *
 * The tree (children, callbacks) is guarded by one lock in the root token. A child keeps its
 * parent alive, so a root outlives its whole tree.
 */
#include "nndeploy/sched.h"

#include "port/port.h"

/* Life of a callback: PENDING until the token is cancelled, QUEUED on the canceller's list,
   RUNNING without the lock, then freed. Whoever forgets a QUEUED one only marks it, because the
   canceller's list still points at it. */
typedef enum callback_state {
    CALLBACK_PENDING,
    CALLBACK_QUEUED,
    CALLBACK_RUNNING,
    CALLBACK_FORGOTTEN
} callback_state;

typedef struct callback callback;
struct callback {
    uint64_t id;
    void (*fn)(void *user);
    void *user;
    callback_state state;
    uint64_t runner;   /* thread that runs it */
    nnd_cancel *token; /* NULL once unlinked */
    callback *prev;    /* in the token's list */
    callback *next;
    callback *next_fire; /* in the canceller's list */
};

struct nnd_cancel {
    _Atomic uint32_t requested;
    _Atomic uint32_t callbacks; /* of this token and everything below it */
    _Atomic int64_t deadline;
    nnd_cancel *parent;
    nnd_cancel *root;
    _Atomic uint32_t refs;

    /* guarded by root->lock */
    nnd_cancel *first_child;
    nnd_cancel *prev_sibling;
    nnd_cancel *next_sibling;
    callback *first_callback;

    /* used in a root only */
    nnd_port_mutex lock;
    nnd_port_cond callback_ended;
};

static _Atomic uint64_t last_callback_id;

static nnd_status root_init(nnd_cancel *token)
{
    if (nnd_port_mutex_init(&token->lock) != NND_PORT_OK) return NND_E_OUT_OF_MEMORY;
    if (nnd_port_cond_init(&token->callback_ended) != NND_PORT_OK) {
        nnd_port_mutex_fini(&token->lock);
        return NND_E_OUT_OF_MEMORY;
    }
    token->root = token;
    return NND_OK;
}

static void child_link(nnd_cancel *token, nnd_cancel *parent)
{
    token->parent = nnd_cancel_ref(parent);
    token->root = parent->root;
    nnd_port_mutex_lock(&token->root->lock);
    token->next_sibling = parent->first_child;
    if (parent->first_child) parent->first_child->prev_sibling = token;
    parent->first_child = token;
    nnd_port_mutex_unlock(&token->root->lock);
}

nnd_status nnd_cancel_create(nnd_cancel *parent, nnd_cancel **out)
{
    if (!out) return nnd_error_set(NND_E_INVALID_ARGUMENT, "nnd_cancel_create: out is NULL");
    *out = NULL;
    nnd_cancel *token = nnd_calloc(1, sizeof *token);
    if (!token) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a cancel token");
    atomic_init(&token->requested, 0);
    atomic_init(&token->callbacks, 0);
    atomic_init(&token->deadline, NND_NO_DEADLINE);
    atomic_init(&token->refs, 1);
    if (parent) {
        child_link(token, parent);
    } else if (root_init(token) != NND_OK) {
        nnd_free(token);
        return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a cancel token's lock");
    }
    *out = token;
    return NND_OK;
}

nnd_cancel *nnd_cancel_ref(nnd_cancel *token)
{
    if (token) atomic_fetch_add_explicit(&token->refs, 1, memory_order_relaxed);
    return token;
}

/* Takes the callback out of its token's list; the caller holds the lock. */
static void callback_unlink(callback *cb)
{
    nnd_cancel *token = cb->token;
    if (!token) return;
    if (cb->prev) cb->prev->next = cb->next;
    if (cb->next) cb->next->prev = cb->prev;
    if (token->first_callback == cb) token->first_callback = cb->next;
    for (nnd_cancel *t = token; t; t = t->parent)
        atomic_fetch_sub(&t->callbacks, 1);
    cb->token = NULL;
}

static callback *callback_find(const nnd_cancel *token, uint64_t id)
{
    callback *cb = token->first_callback;
    while (cb && cb->id != id)
        cb = cb->next;
    return cb;
}

/* Withdraws a callback that need not be waited for; the caller holds the lock. */
static void callback_withdraw(callback *cb)
{
    callback_unlink(cb);
    if (cb->state == CALLBACK_PENDING) {
        nnd_free(cb);
    } else if (cb->state == CALLBACK_QUEUED) {
        cb->state = CALLBACK_FORGOTTEN;
    }
    /* A RUNNING one is freed by the thread that runs it. */
}

static void token_destroy(nnd_cancel *token)
{
    nnd_cancel *root = token->root;
    nnd_port_mutex_lock(&root->lock);
    while (token->first_callback)
        callback_withdraw(token->first_callback);
    if (token->parent) {
        if (token->prev_sibling) token->prev_sibling->next_sibling = token->next_sibling;
        if (token->next_sibling) token->next_sibling->prev_sibling = token->prev_sibling;
        if (token->parent->first_child == token) token->parent->first_child = token->next_sibling;
    }
    nnd_port_mutex_unlock(&root->lock);
    if (root == token) {
        nnd_port_cond_fini(&token->callback_ended);
        nnd_port_mutex_fini(&token->lock);
    }
    nnd_free(token);
}

void nnd_cancel_unref(nnd_cancel *token)
{
    /* The last holder of a child also gives up the child's hold on its parent, and so on. */
    while (token && atomic_fetch_sub_explicit(&token->refs, 1, memory_order_acq_rel) == 1) {
        nnd_cancel *parent = token->parent;
        token_destroy(token);
        token = parent;
    }
}

/* Runs one callback without the lock, which the caller holds before and after. */
static void callback_run(nnd_cancel *root, callback *cb)
{
    cb->state = CALLBACK_RUNNING;
    cb->runner = nnd_port_thread_id();
    nnd_port_mutex_unlock(&root->lock);
    cb->fn(cb->user);
    nnd_port_mutex_lock(&root->lock);
    callback_unlink(cb);
    nnd_free(cb);
    nnd_port_cond_broadcast(&root->callback_ended);
}

/* The token after `t` in depth-first order below `top`. */
static nnd_cancel *next_in_subtree(nnd_cancel *t, const nnd_cancel *top)
{
    if (t->first_child) return t->first_child;
    while (t != top && !t->next_sibling)
        t = t->parent;
    return t == top ? NULL : t->next_sibling;
}

static callback *queue_callbacks(nnd_cancel *top)
{
    callback *first = NULL;
    callback **last = &first;
    for (nnd_cancel *t = top; t; t = next_in_subtree(t, top)) {
        for (callback *cb = t->first_callback; cb; cb = cb->next) {
            if (cb->state != CALLBACK_PENDING) continue;
            cb->state = CALLBACK_QUEUED;
            *last = cb;
            last = &cb->next_fire;
        }
    }
    return first;
}

static void fire_callbacks(nnd_cancel *token)
{
    nnd_cancel_ref(token); /* a callback may give up the holder we were called with */
    nnd_cancel *root = token->root;
    nnd_port_mutex_lock(&root->lock);
    for (callback *cb = queue_callbacks(token); cb;) {
        callback *next = cb->next_fire;
        if (cb->state == CALLBACK_FORGOTTEN) {
            nnd_free(cb);
        } else {
            callback_run(root, cb);
        }
        cb = next;
    }
    nnd_port_mutex_unlock(&root->lock);
    nnd_cancel_unref(token);
}

void nnd_cancel_request(nnd_cancel *token)
{
    if (!token || atomic_exchange(&token->requested, 1) != 0) return;
    /* Sequentially consistent with nnd_cancel_on, which counts first and looks at `requested`
       afterwards: at least one of the two sees the other. */
    if (atomic_load(&token->callbacks) != 0) fire_callbacks(token);
}

void nnd_cancel_set_deadline(nnd_cancel *token, int64_t deadline_ns)
{
    if (token) atomic_store_explicit(&token->deadline, deadline_ns, memory_order_release);
}

int64_t nnd_cancel_deadline(const nnd_cancel *token)
{
    int64_t earliest = NND_NO_DEADLINE;
    for (; token; token = token->parent) {
        int64_t d = atomic_load_explicit(&token->deadline, memory_order_acquire);
        if (d < earliest) earliest = d;
    }
    return earliest;
}

nnd_status nnd_cancel_check(const nnd_cancel *token)
{
    int64_t earliest = NND_NO_DEADLINE;
    for (; token; token = token->parent) {
        if (atomic_load_explicit(&token->requested, memory_order_acquire)) return NND_E_CANCELLED;
        int64_t d = atomic_load_explicit(&token->deadline, memory_order_relaxed);
        if (d < earliest) earliest = d;
    }
    if (earliest != NND_NO_DEADLINE && nnd_port_now() >= earliest) return NND_E_TIMEOUT;
    return NND_OK;
}

static bool is_requested(const nnd_cancel *token)
{
    for (; token; token = token->parent)
        if (atomic_load(&token->requested)) return true;
    return false;
}

uint64_t nnd_cancel_on(nnd_cancel *token, void (*fn)(void *user), void *user)
{
    if (!token || !fn) return 0;
    callback *cb = nnd_calloc(1, sizeof *cb);
    if (!cb) return 0;
    uint64_t id = atomic_fetch_add(&last_callback_id, 1) + 1;
    cb->id = id;
    cb->fn = fn;
    cb->user = user;
    cb->state = CALLBACK_PENDING;

    nnd_cancel *root = token->root;
    nnd_port_mutex_lock(&root->lock);
    cb->token = token;
    cb->next = token->first_callback;
    if (cb->next) cb->next->prev = cb;
    token->first_callback = cb;
    for (nnd_cancel *t = token; t; t = t->parent)
        atomic_fetch_add(&t->callbacks, 1);
    if (is_requested(token)) {
        nnd_cancel_ref(token); /* keeps the root while the callback runs */
        callback_run(root, cb);
        nnd_port_mutex_unlock(&root->lock);
        nnd_cancel_unref(token);
    } else {
        nnd_port_mutex_unlock(&root->lock);
    }
    return id;
}

void nnd_cancel_forget(nnd_cancel *token, uint64_t id)
{
    if (!token || id == 0) return;
    nnd_cancel *root = token->root;
    nnd_port_mutex_lock(&root->lock);
    callback *cb = callback_find(token, id);
    if (cb && cb->state != CALLBACK_RUNNING) {
        callback_withdraw(cb);
    } else if (cb && cb->runner != nnd_port_thread_id()) {
        while (callback_find(token, id))
            nnd_port_cond_wait(&root->callback_ended, &root->lock, NND_PORT_FOREVER);
    }
    nnd_port_mutex_unlock(&root->lock);
}
