/* The registry of devices. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/device_internal.h"
#include "port/port.h"

#define MAX_DEVICES 64

/* Entries are written once, before the count that covers them, and never change. */
static nnd_device devices[MAX_DEVICES];
static _Atomic size_t device_count;
static nnd_port_mutex register_lock = NND_PORT_MUTEX_INIT;
static nnd_port_once built_in_once = NND_PORT_ONCE_INIT;

static const char *const kind_names[] = {"host", "shared", "pinned", "device", "dmabuf"};

const char *nnd_memory_kind_name(nnd_memory_kind kind)
{
    return (size_t)kind < NND_COUNT(kind_names) ? kind_names[kind] : "unknown";
}

/* ---- registering --------------------------------------------------------------------------- */

static nnd_device *find_registered(const char *name)
{
    size_t count = atomic_load_explicit(&device_count, memory_order_acquire);
    for (size_t i = 0; i < count; i++)
        if (strcmp(devices[i].info.name, name) == 0) return &devices[i];
    return NULL;
}

static nnd_status register_locked(const nnd_device_ops *ops, const char *name, void *self,
                                  nnd_device **out)
{
    size_t count = atomic_load_explicit(&device_count, memory_order_relaxed);
    if (find_registered(name))
        return nnd_error_set(NND_E_EXISTS, "there is a device '%s' already", name);
    if (count == MAX_DEVICES)
        return nnd_error_set(NND_E_LIMIT, "no room for device '%s': %d devices are the limit", name,
                             MAX_DEVICES);
    nnd_device *device = &devices[count];
    *device = (nnd_device){.ops = ops, .self = self};
    device->info.size = sizeof device->info;
    NND_TRY(ops->probe(self, &device->info));
    memcpy(device->info.name, name, strlen(name) + 1);
    snprintf(device->info.kind, sizeof device->info.kind, "%s", ops->kind);
    atomic_store_explicit(&device_count, count + 1, memory_order_release);
    *out = device;
    return NND_OK;
}

nnd_status nnd_device_register(const nnd_device_ops *ops, const char *name, void *self,
                               nnd_device **out)
{
    if (!ops || !name || !out || ops->size < sizeof *ops || !ops->kind)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "a device needs a name and a complete table of functions");
    if (name[0] == '\0' || strlen(name) >= sizeof devices[0].info.name)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "'%s' cannot be the name of a device", name);
    nnd_port_mutex_lock(&register_lock);
    nnd_status status = register_locked(ops, name, self, out);
    nnd_port_mutex_unlock(&register_lock);
    return status;
}

/* NNDEPLOY_SIMULATED=1 adds sim:0, a larger number as many devices. */
static void register_built_in(void)
{
    nnd_device *cpu;
    nnd_device_register(&nnd_cpu_ops, "cpu", NULL, &cpu);
    char text[8];
    if (!nnd_port_env_copy("NNDEPLOY_SIMULATED", text, sizeof text)) return;
    long count = strtol(text, NULL, 10);
    if (count > 0 && nnd_simulated_enable(count < 16 ? (int)count : 16, 0) != NND_OK)
        nnd_log(NND_LOG_WARN, "device", "the simulated accelerator could not be added");
}

/* ---- public -------------------------------------------------------------------------------- */

nnd_device *nnd_device_cpu(void)
{
    nnd_port_once_run(&built_in_once, register_built_in);
    return &devices[0];
}

static nnd_status not_found(const char *name)
{
    char names[512] = "";
    size_t used = 0;
    for (size_t i = 0; i < nnd_device_count(); i++) {
        const char *known = devices[i].info.name;
        if (used + strlen(known) + 3 > sizeof names) break;
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", known);
    }
    return nnd_error_set(NND_E_NOT_FOUND, "there is no device '%s'; there are: %s", name, names);
}

nnd_status nnd_device_find(const char *name, nnd_device **out)
{
    if (!name || !out)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "nnd_device_find: name or out is NULL");
    nnd_device_cpu();
    *out = find_registered(name);
    return *out ? NND_OK : not_found(name);
}

size_t nnd_device_count(void)
{
    nnd_device_cpu();
    return atomic_load_explicit(&device_count, memory_order_acquire);
}

nnd_device *nnd_device_at(size_t index)
{
    return index < nnd_device_count() ? &devices[index] : NULL;
}

nnd_status nnd_device_get_info(const nnd_device *device, nnd_device_info *out)
{
    if (!out || out->size < sizeof out->size)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "nnd_device_get_info: set size to sizeof(nnd_device_info)");
    if (!device) device = nnd_device_cpu();
    size_t size = out->size;
    memcpy(out, &device->info, size < sizeof device->info ? size : sizeof device->info);
    out->size = size;
    return NND_OK;
}

const char *nnd_device_name(const nnd_device *device)
{
    return device ? device->info.name : nnd_device_cpu()->info.name;
}

nnd_status nnd_device_enable_simulated(int count, int64_t latency_ns)
{
    if (count < 1 || count > MAX_DEVICES / 2 || latency_ns < 0)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "%d simulated devices with a latency of %lld ns are not possible",
                             count, (long long)latency_ns);
    nnd_device_cpu();
    return nnd_simulated_enable(count, latency_ns);
}
