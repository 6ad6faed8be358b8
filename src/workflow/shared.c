/*
 * Objects shared by all nodes, plans and runs of the process under a content key. The first caller
 * makes an object while others with the same key wait; a failed attempt leaves nothing behind, and
 * the next waiter tries itself.
 */
#include <string.h>

#include "base/hash.h"
#include "base/map.h"
#include "nndeploy/workflow.h"
#include "port/port.h"

typedef struct shared_entry {
    void *object;
    void (*destroy)(void *object);
    size_t users; /* holders and waiters */
    bool ready;
    bool making;
} shared_entry;

static nnd_port_mutex lock = NND_PORT_MUTEX_INIT;
static nnd_port_once once = NND_PORT_ONCE_INIT;
static nnd_port_cond changed;
static nnd_map entries;

static void init_condition(void)
{
    (void)nnd_port_cond_init(&changed);
}

/* Lets go of one use; the lock is held. What remains to be destroyed comes back. */
static shared_entry *drop_use(const char *key, shared_entry *entry)
{
    if (--entry->users > 0) return NULL;
    (void)nnd_map_remove(&entries, key);
    if (entries.count == 0) nnd_map_fini(&entries);
    return entry;
}

static void destroy_entry(shared_entry *entry)
{
    if (!entry) return;
    if (entry->ready && entry->destroy) entry->destroy(entry->object);
    nnd_free(entry);
}

/* Finds or adds the entry and counts the caller; the lock is held. */
static nnd_status use_entry(const char *key, shared_entry **out)
{
    shared_entry *entry = nnd_map_get(&entries, key);
    if (!entry) {
        entry = nnd_calloc(1, sizeof(*entry));
        if (!entry) return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory");
        nnd_status status = nnd_map_put(&entries, key, entry, NULL);
        if (status != NND_OK) {
            nnd_free(entry);
            if (entries.count == 0) nnd_map_fini(&entries);
            return status;
        }
    }
    entry->users++;
    *out = entry;
    return NND_OK;
}

nnd_status nnd_shared_get(const char *key, nnd_status (*make)(void *user, void **object),
                          void *user, void (*destroy)(void *object), void **out)
{
    if (!key || !make || !out)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "a shared object needs a key and a maker");
    nnd_port_once_run(&once, init_condition);
    shared_entry *entry = NULL;
    nnd_port_mutex_lock(&lock);
    nnd_status status = use_entry(key, &entry);
    if (status != NND_OK) {
        nnd_port_mutex_unlock(&lock);
        return status;
    }
    while (entry->making)
        nnd_port_cond_wait(&changed, &lock, NND_PORT_FOREVER);
    if (!entry->ready) {
        entry->making = true;
        nnd_port_mutex_unlock(&lock);
        void *object = NULL;
        status = make(user, &object);
        nnd_port_mutex_lock(&lock);
        entry->making = false;
        entry->ready = status == NND_OK;
        entry->object = object;
        entry->destroy = destroy;
        nnd_port_cond_broadcast(&changed);
    }
    shared_entry *gone = NULL;
    if (status == NND_OK)
        *out = entry->object;
    else
        gone = drop_use(key, entry);
    nnd_port_mutex_unlock(&lock);
    destroy_entry(gone);
    return status;
}

void nnd_shared_release(const char *key, void *object)
{
    if (!key) return;
    nnd_port_mutex_lock(&lock);
    shared_entry *entry = nnd_map_get(&entries, key), *gone = NULL;
    if (entry && entry->ready && entry->object == object) gone = drop_use(key, entry);
    nnd_port_mutex_unlock(&lock);
    destroy_entry(gone);
}
