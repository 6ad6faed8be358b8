#include "nodes/infer/port_form.h"

#include <string.h>

/* The order in which workflows have the dimensions of these letters; others stay where they are. */
static const char letters[] = "NCDHW";

/* ---- what the catalogue says --------------------------------------------------------------- */

/* from[i] for the layout of a file. */
static void order_of(const char *layout, int from[NND_MAX_RANK])
{
    const size_t rank = strlen(layout);
    const bool known = strspn(layout, letters) == rank;
    for (size_t i = 0; i < rank; i++) {
        from[i] = known ? 0 : (int)i;
        for (size_t k = 0; known && k < rank; k++)
            from[i] += strchr(letters, layout[k]) < strchr(letters, layout[i]);
    }
}

static bool is_moved(const char *layout)
{
    int from[NND_MAX_RANK] = {0};
    order_of(layout, from);
    for (int i = 0; layout[i]; i++)
        if (from[i] != i) return true;
    return false;
}

static bool is_scaled(const nnd_catalog_port *port)
{
    return port->channel_count > 0 || port->scale != 1 || port->offset != 0;
}

/* Numbers that measure something, and can be f32 as well; the others count and name. */
static bool is_measure(nnd_dtype dtype)
{
    switch (dtype) {
    case NND_DTYPE_INVALID:
    case NND_I64:
    case NND_I32:
    case NND_U64:
    case NND_U32:
    case NND_BOOL:
    case NND_STRING:
    case NND_C64:
    case NND_C128:
    case NND_DTYPE_COUNT:
        return false;
    default:
        return true;
    }
}

bool nnd_port_form_is_special(const nnd_catalog_port *port)
{
    return is_moved(port->layout) || is_scaled(port) ||
           (is_measure(port->dtype) && port->dtype != NND_F32);
}

/* ---- the form of a port -------------------------------------------------------------------- */

static nnd_status check_port(const nnd_port_form *form)
{
    const nnd_catalog_port *port = form->port;
    const nnd_model_port *own = form->own;
    const size_t rank = strlen(port->layout);
    if (own->kind != NND_PORT_TENSOR)
        return nnd_error_set(NND_E_FORMAT,
                             "the catalogue says a layout, an element type or a scale of '%s', "
                             "which is no tensor in the model's file",
                             own->name);
    if (rank && own->rank >= 0 && (size_t)own->rank != rank)
        return nnd_error_set(NND_E_FORMAT,
                             "the catalogue says that '%s' has the layout %s, and it has %d "
                             "dimensions in the model's file",
                             own->name, port->layout, own->rank);
    if (form->computes && (own->dtype == NND_STRING || own->dtype == NND_BOOL ||
                           own->dtype == NND_C64 || own->dtype == NND_C128))
        return nnd_error_set(
            NND_E_FORMAT,
            "the catalogue says a scale or an element type of '%s', which is %s in "
            "the model's file: nothing is converted to that",
            own->name, nnd_dtype_name(own->dtype));
    if (form->moves && nnd_dtype_bits(own->dtype) < 8)
        return nnd_error_set(
            NND_E_FORMAT,
            "the catalogue says that '%s' has the layout %s: elements of %s, as in "
            "the model's file, cannot change places",
            own->name, port->layout, nnd_dtype_name(own->dtype));
    return NND_OK;
}

nnd_status nnd_port_form_init(nnd_port_form *form, const nnd_catalog_port *port,
                              const nnd_model_port *own)
{
    *form = (nnd_port_form){.seen = *own, .own = own};
    if (port) form->seen.name = port->port;
    if (!port || !nnd_port_form_is_special(port)) return NND_OK;
    form->port = port;
    form->moves = is_moved(port->layout);
    form->computes = is_scaled(port) || (is_measure(port->dtype) && own->dtype != NND_F32);
    NND_TRY(check_port(form));
    order_of(port->layout, form->from);
    if (form->computes) form->seen.dtype = NND_F32;
    for (int i = 0; form->moves && i < own->rank; i++)
        form->seen.dims[form->from[i]] = own->dims[i];
    return NND_OK;
}

void nnd_port_form_spec_to_file(const nnd_port_form *form, nnd_spec *spec)
{
    const nnd_spec seen = *spec;
    if (form->computes && seen.dtype != NND_DTYPE_INVALID) spec->dtype = form->own->dtype;
    for (int i = 0; form->moves && i < seen.rank; i++)
        spec->dims[i] = seen.dims[form->from[i]];
}

/* ---- elements ------------------------------------------------------------------------------ */

/* Where the file's dimension i is from[i] of the workflow's. */
static void reorder(const nnd_port_form *form, const nnd_tensor *t, bool to_file, nnd_tensor *out)
{
    *out = *t;
    out->layout = NND_LAYOUT_ANY;
    for (int i = 0; form->moves && i < t->rank; i++) {
        const int own = to_file ? i : form->from[i], other = to_file ? form->from[i] : i;
        out->dims[own] = t->dims[other];
        out->strides[own] = t->strides[other];
    }
}

/* The elements of a view one after the other: in new memory unless they lie so. */
static nnd_status make_dense(const nnd_tensor *view, nnd_value **out)
{
    if (view->buffer && nnd_tensor_is_dense(view)) {
        nnd_tensor dense;
        NND_TRY(nnd_tensor_init(&dense, view->dtype, view->rank, view->dims, view->data));
        dense.buffer = view->buffer;
        dense.offset = view->offset;
        return nnd_value_from_tensor(&dense, out);
    }
    nnd_value *made = NULL;
    NND_TRY(nnd_value_new_tensor(view->dtype, view->rank, view->dims, &made));
    nnd_status status = nnd_tensor_copy(nnd_value_edit(made), view);
    if (status != NND_OK) {
        nnd_value_unref(made);
        return status;
    }
    *out = made;
    return NND_OK;
}

/* The same elements as another type, in new memory. */
static nnd_status make_typed(const nnd_tensor *dense, nnd_dtype dtype, nnd_value **out)
{
    nnd_value *made = NULL;
    NND_TRY(nnd_value_new_tensor(dtype, dense->rank, dense->dims, &made));
    nnd_status status =
        nnd_dtype_convert(dense->dtype, dense->data, dtype, nnd_value_tensor(made)->data,
                          (size_t)nnd_tensor_count(dense));
    if (status != NND_OK) {
        nnd_value_unref(made);
        return status;
    }
    *out = made;
    return NND_OK;
}

static void scale_run(float *x, size_t count, float scale, float offset, bool to_file)
{
    for (size_t i = 0; i < count; i++)
        x[i] = to_file ? x[i] * scale + offset : (x[i] - offset) / scale;
}

/* In place, the dimensions as the file has them. */
static nnd_status scale_all(const nnd_catalog_port *port, const nnd_tensor *t, bool to_file)
{
    const size_t count = (size_t)nnd_tensor_count(t), channels = port->channel_count;
    float *x = t->data;
    if (!channels) {
        scale_run(x, count, (float)port->scale, (float)port->offset, to_file);
        return NND_OK;
    }
    size_t inner = 1;
    const int axis = (int)(strchr(port->layout, 'C') - port->layout);
    if (axis >= t->rank || (size_t)t->dims[axis] != channels)
        return nnd_error_set(NND_E_SHAPE,
                             "the catalogue has %zu scales for '%s', one per channel, and the "
                             "tensor has %lld channels",
                             channels, port->port, axis < t->rank ? (long long)t->dims[axis] : 0LL);
    for (int i = axis + 1; i < t->rank; i++)
        inner *= (size_t)t->dims[i];
    for (size_t i = 0, c = 0; i < count; i += inner, c = c + 1 == channels ? 0 : c + 1)
        scale_run(x + i, inner, (float)port->scales[c], (float)port->offsets[c], to_file);
    return NND_OK;
}

/* What follows puts something else into *value, NULL on failure; what was there is released. */
static nnd_status replace(nnd_value **value, nnd_status status, nnd_value *by)
{
    nnd_value_unref(*value);
    *value = by;
    return status;
}

/* ---- values -------------------------------------------------------------------------------- */

/* Nothing is to do, or nothing is there. */
static bool is_kept(const nnd_port_form *form, const nnd_value *value)
{
    return (!form->moves && !form->computes) || nnd_value_is(value, "gap");
}

static nnd_status check_tensor(const nnd_port_form *form, const nnd_tensor *t, nnd_dtype dtype)
{
    char text[160];
    if (!t || t->dtype != dtype)
        return nnd_error_set(
            NND_E_TYPE, "'%s' takes %s, from which the model's file gets its %s, and gets %s",
            form->seen.name, nnd_dtype_name(dtype), nnd_dtype_name(form->own->dtype),
            t ? nnd_tensor_describe(t, text, sizeof text) : "no tensor");
    if (form->moves && (size_t)t->rank != strlen(form->port->layout))
        return nnd_error_set(NND_E_SHAPE, "'%s' has the layout %s in the model's file, and gets %s",
                             form->seen.name, form->port->layout,
                             nnd_tensor_describe(t, text, sizeof text));
    if (!t->data && nnd_tensor_count(t) > 0)
        return nnd_error_set(NND_E_STATE, "'%s' is not in the host's memory", form->seen.name);
    return NND_OK;
}

/* f32 to the numbers and the type of the file. */
static nnd_status compute_to_file(const nnd_port_form *form, nnd_value **value)
{
    nnd_value *numbers = NULL, *typed = NULL;
    nnd_status status = make_typed(nnd_value_tensor(*value), NND_F32, &numbers);
    if (status == NND_OK) status = scale_all(form->port, nnd_value_tensor(numbers), true);
    if (status == NND_OK && form->own->dtype != NND_F32)
        status = make_typed(nnd_value_tensor(numbers), form->own->dtype, &typed);
    if (status == NND_OK && form->own->dtype == NND_F32) return replace(value, status, numbers);
    nnd_value_unref(numbers);
    return replace(value, status, typed);
}

/* The file's numbers to f32. */
static nnd_status compute_from_file(const nnd_port_form *form, nnd_value **value)
{
    nnd_value *numbers = NULL;
    nnd_status status = make_typed(nnd_value_tensor(*value), NND_F32, &numbers);
    if (status == NND_OK) status = scale_all(form->port, nnd_value_tensor(numbers), false);
    if (status != NND_OK) {
        nnd_value_unref(numbers);
        numbers = NULL;
    }
    return replace(value, status, numbers);
}

static nnd_status move_from_file(const nnd_port_form *form, nnd_value **value)
{
    nnd_tensor view;
    nnd_value *moved = NULL;
    reorder(form, nnd_value_tensor(*value), false, &view);
    nnd_status status = make_dense(&view, &moved);
    return replace(value, status, moved);
}

nnd_status nnd_port_form_to_file(const nnd_port_form *form, nnd_value *value, nnd_value **out)
{
    if (is_kept(form, value)) {
        *out = nnd_value_ref(value);
        return NND_OK;
    }
    const nnd_tensor *t = nnd_value_tensor(value);
    nnd_tensor view;
    nnd_value *made = NULL;
    NND_TRY(check_tensor(form, t, form->seen.dtype));
    reorder(form, t, true, &view);
    NND_TRY(make_dense(&view, &made));
    if (form->computes) NND_TRY(compute_to_file(form, &made));
    *out = made;
    return NND_OK;
}

nnd_status nnd_port_form_from_file(const nnd_port_form *form, nnd_value *value, nnd_value **out)
{
    if (is_kept(form, value)) {
        *out = nnd_value_ref(value);
        return NND_OK;
    }
    nnd_value *made = NULL;
    NND_TRY(check_tensor(form, nnd_value_tensor(value), form->own->dtype));
    NND_TRY(make_dense(nnd_value_tensor(value), &made));
    if (form->computes) NND_TRY(compute_from_file(form, &made));
    if (form->moves) NND_TRY(move_from_file(form, &made));
    *out = made;
    return NND_OK;
}
