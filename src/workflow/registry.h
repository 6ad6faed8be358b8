/* Inside of the registry: what plug-ins, compiler and format share. */
#ifndef NND_WORKFLOW_REGISTRY_H
#define NND_WORKFLOW_REGISTRY_H

#include "nndeploy/workflow.h"

/* Something that must live as long as the registry (a loaded module with its descriptors). */
typedef struct wf_registry_owner {
    const char *name; /* plug-in name, borrowed from `object` */
    const char *version;
    void *object;
    void (*release)(void *object); /* when the registry goes */
    nnd_array extensions;          /* of nnd_extension (plugin.h), borrowed from `object` */
} wf_registry_owner;

/* Checks one descriptor: struct_size, names, versions, duplicate ports and parameters, port types,
   defaults within bounds, ENUM values, process present. The error names the type and the field. */
nnd_status wf_node_type_check(const nnd_node_type *type);
/* Adds all types or none; takes over owner->object on success only (owner may be NULL: static
   types). */
nnd_status wf_registry_add_all(nnd_registry *r, const nnd_node_type *const *types, size_t count,
                               const wf_registry_owner *owner);
/* The migration that starts at a version of a type, NULL when there is none. */
const nnd_migration *wf_registry_migration(const nnd_registry *r, const char *type, int from);
/* Version text of a loaded plug-in, NULL when there is none of that name (for "requires"). */
const char *wf_registry_plugin_version(const nnd_registry *r, const char *name);

/* Elements of descriptor arrays, whatever element size their author saw. */
static inline const nnd_port *wf_port_at(const nnd_array *ports, size_t index)
{
    return (const nnd_port *)((const char *)ports->items + index * ports->item_size);
}
static inline const nnd_param *wf_param_at(const nnd_array *params, size_t index)
{
    return (const nnd_param *)((const char *)params->items + index * params->item_size);
}

#endif
