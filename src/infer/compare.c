#include "infer/compare.h"

#include "base/map.h"
#include "base/port_status.h"
#include "base/str.h"
#include "engine/onnx/expose.h"
#include "infer/infer.h"

#include <stdio.h>
#include <string.h>

typedef struct side {
    nnd_port_map file;
    char *folder;
    nnd_onnx_tensors tensors;
} side;

/* One side with some tensors made visible. */
typedef struct exposed {
    void *bytes;
    nnd_model *model;
    nnd_request *request;
} exposed;

typedef struct search {
    const nnd_compare_options *options;
    nnd_divergence *out;
    side sides[2];
    NND_VEC(nnd_onnx_tensor_info) tensors; /* what both sides compute, in the order of the first */
    NND_VEC(size_t) picks;
} search;

enum { NONE = -1 };

/* ---- the two files ----------------------------------------------------------------------- */

static nnd_status side_open(side *s, const char *path)
{
    NND_TRY(nnd_error_from_port(nnd_port_map_open(path, &s->file), "cannot open model", path));
    NND_TRY(nnd_folder_of(path, "cannot find the folder of model", &s->folder));
    return nnd_onnx_tensors_read(&s->tensors, s->file.data, s->file.size);
}

static void side_close(side *s)
{
    nnd_onnx_tensors_fini(&s->tensors);
    nnd_port_free(s->folder);
    nnd_port_map_close(&s->file);
}

static nnd_status common_tensors(search *s)
{
    nnd_map known = {0};
    nnd_status status = NND_OK;
    const side *b = &s->sides[1];
    for (size_t i = 0; i < b->tensors.items.count && status == NND_OK; i++)
        status = nnd_map_put(&known, b->tensors.items.items[i].tensor, s, NULL);
    const side *a = &s->sides[0];
    for (size_t i = 0; i < a->tensors.items.count && status == NND_OK; i++) {
        nnd_onnx_tensor_info info = a->tensors.items.items[i];
        if (nnd_map_get(&known, info.tensor) && !nnd_vec_push(&s->tensors, info))
            status = nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to compare models");
    }
    nnd_map_fini(&known);
    s->out->tensors = s->tensors.count;
    return status;
}

/* ---- running with more outputs ------------------------------------------------------------- */

static nnd_status open_in_folder(void *user, const char *name, const void **bytes, size_t *size,
                                 void (**release)(void *handle), void **handle)
{
    return nnd_model_open_beside(user, name, bytes, size, release, handle);
}

static bool is_output_of(const side *s, const char *tensor)
{
    for (size_t i = 0; i < s->tensors.items.count; i++)
        if (strcmp(s->tensors.items.items[i].tensor, tensor) == 0)
            return s->tensors.items.items[i].is_output;
    return false;
}

static nnd_status extended_bytes(const search *s, int which, const size_t *picks, size_t count,
                                 void **bytes, size_t *size)
{
    const side *file = &s->sides[which];
    const char **names = nnd_calloc(count + 1, sizeof *names);
    if (!names) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to compare models");
    size_t hidden = 0;
    for (size_t i = 0; i < count; i++) {
        const char *tensor = s->tensors.items[picks[i]].tensor;
        if (!is_output_of(file, tensor)) names[hidden++] = tensor;
    }
    nnd_status status =
        nnd_onnx_expose(file->file.data, file->file.size, names, hidden, bytes, size);
    nnd_free(names);
    return status;
}

static void exposed_close(exposed *e)
{
    nnd_request_destroy(e->request);
    nnd_model_unref(e->model);
    nnd_free(e->bytes);
    *e = (exposed){0};
}

static nnd_status exposed_run(const search *s, int which, const size_t *picks, size_t count,
                              exposed *e)
{
    const nnd_compare_options *o = s->options;
    nnd_model_options options = NND_MODEL_OPTIONS_INIT;
    size_t size = 0;
    NND_TRY(extended_bytes(s, which, picks, count, &e->bytes, &size));
    options.backend = o->sides[which].backend;
    options.config = o->sides[which].config;
    options.threads = o->threads;
    options.open_file = open_in_folder;
    options.open_user = s->sides[which].folder;
    options.cancel = o->cancel;
    NND_TRY(nnd_model_load_memory(e->bytes, size, &options, &e->model));
    NND_TRY(nnd_request_create(e->model, NULL, &e->request));
    NND_TRY(nnd_compare_bind(e->request, e->model, o->input_names, o->inputs, o->input_count));
    return nnd_request_run(e->request, o->cancel);
}

nnd_status nnd_compare_bind(nnd_request *request, const nnd_model *model, const char *const *names,
                            nnd_value *const *values, size_t count)
{
    size_t inputs = nnd_model_input_count(model);
    for (size_t i = 0; i < count; i++) {
        const char *name = names[i];
        bool known = false;
        for (size_t k = 0; k < inputs && !known; k++)
            known = strcmp(nnd_model_input(model, k)->name, name) == 0;
        if (!known && count == inputs) name = nnd_model_input(model, i)->name;
        if (values[i]) NND_TRY(nnd_request_bind_input(request, name, values[i]));
    }
    return NND_OK;
}

/* ---- comparing ----------------------------------------------------------------------------- */

/* Position in picks of the first tensor that differs, NONE = all agree. */
static nnd_status first_differing(search *s, exposed sides[2], const size_t *picks, size_t count,
                                  int64_t *out)
{
    *out = NONE;
    for (size_t i = 0; i < count && *out == NONE; i++) {
        const char *tensor = s->tensors.items[picks[i]].tensor;
        nnd_value *a = NULL, *b = NULL;
        nnd_difference d;
        nnd_status status = nnd_request_output(sides[0].request, tensor, &a);
        if (status == NND_OK) status = nnd_request_output(sides[1].request, tensor, &b);
        nnd_difference_of(a, b, s->options->tolerance, &d);
        nnd_value_unref(a);
        nnd_value_unref(b);
        NND_TRY(status);
        s->out->looked_at++;
        if (nnd_difference_is_none(&d)) continue;
        *out = (int64_t)i;
        s->out->difference = d;
    }
    return NND_OK;
}

static bool ends_search(nnd_status status)
{
    return status == NND_E_CANCELLED || status == NND_E_TIMEOUT || status == NND_E_OUT_OF_MEMORY;
}

/* A backend may be unable to give out one of the tensors (a sequence, a type it has fused away):
   then halves are tried, and what is left alone is passed over. */
static nnd_status look_at(search *s, const size_t *picks, size_t count, int64_t *out)
{
    exposed sides[2] = {{0}};
    *out = NONE;
    NND_TRY(nnd_cancel_check(s->options->cancel));
    nnd_status status = exposed_run(s, 0, picks, count, &sides[0]);
    if (status == NND_OK) status = exposed_run(s, 1, picks, count, &sides[1]);
    if (status == NND_OK) status = first_differing(s, sides, picks, count, out);
    exposed_close(&sides[0]);
    exposed_close(&sides[1]);
    if (status == NND_OK || ends_search(status)) return status;
    nnd_error_clear();
    if (count == 1) {
        s->out->looked_at++;
        s->out->unreadable++;
        return NND_OK;
    }
    size_t half = count / 2;
    NND_TRY(look_at(s, picks, half, out));
    if (*out != NONE) return NND_OK;
    NND_TRY(look_at(s, picks + half, count - half, out));
    if (*out != NONE) *out += (int64_t)half;
    return NND_OK;
}

/* Every step-th tensor of [low, high), and always the last. */
static nnd_status choose_picks(search *s, size_t low, size_t high, size_t step)
{
    nnd_vec_clear(&s->picks);
    for (size_t at = low + step - 1;; at += step) {
        if (at >= high) at = high - 1;
        if (!nnd_vec_push(&s->picks, at))
            return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to compare models");
        if (at == high - 1) return NND_OK;
    }
}

static nnd_status take_result(search *s, size_t index)
{
    const nnd_onnx_tensor_info *info = &s->tensors.items[index];
    nnd_divergence *out = s->out;
    out->found = true;
    out->op = nnd_strdup(info->op);
    out->node = nnd_strdup(info->node);
    out->tensor = nnd_strdup(info->tensor);
    if (out->op && out->node && out->tensor) return NND_OK;
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory to compare models");
}

/* What is visible is not merged with its neighbours, so a closer look may find agreement: then the
   operator that was last seen to differ is the answer. */
static nnd_status narrow(search *s)
{
    size_t low = 0, high = s->tensors.count, window = s->options->window;
    bool any = false;
    if (window < 2) window = 2;
    while (high > low) {
        int64_t found;
        size_t step = (high - low + window - 1) / window;
        if (s->options->progress)
            s->options->progress(s->options->user, s->tensors.count - (high - low),
                                 s->tensors.count);
        NND_TRY(choose_picks(s, low, high, step));
        NND_TRY(look_at(s, s->picks.items, s->picks.count, &found));
        if (found == NONE && any) return take_result(s, high - 1);
        if (found == NONE) break;
        any = true;
        size_t at = s->picks.items[found];
        if (step == 1) return take_result(s, at);
        if (found > 0) low = s->picks.items[found - 1] + 1;
        high = at + 1;
    }
    snprintf(s->out->reason, sizeof s->out->reason,
             s->tensors.count
                 ? "with the tensors between operators visible both sides agree: the difference "
                   "comes from operators that a backend merges"
                 : "the two files have no tensor between operators in common");
    return NND_OK;
}

nnd_status nnd_compare_locate(const nnd_compare_options *options, nnd_divergence *out)
{
    search s = {.options = options, .out = out};
    nnd_status status = NND_OK;
    *out = (nnd_divergence){0};
    for (int i = 0; i < 2 && status == NND_OK; i++)
        status = side_open(&s.sides[i], options->sides[i].path);
    if (status == NND_OK) status = common_tensors(&s);
    if (status == NND_OK) status = narrow(&s);
    if (status == NND_E_FORMAT) {
        nnd_error_clear();
        snprintf(out->reason, sizeof out->reason,
                 "only ONNX files can be looked into operator by operator");
        status = NND_OK;
    }
    nnd_vec_free(&s.tensors);
    nnd_vec_free(&s.picks);
    side_close(&s.sides[0]);
    side_close(&s.sides[1]);
    if (status != NND_OK) nnd_divergence_fini(out);
    return status;
}

void nnd_divergence_fini(nnd_divergence *d)
{
    nnd_free(d->op);
    nnd_free(d->node);
    nnd_free(d->tensor);
    *d = (nnd_divergence){0};
}
