/* The quantiser from the outside: reading, calibrating, finishing. */
#include "infer/quantize/quantize.h"

#include "base/port_status.h"
#include "engine/onnx/expose.h"
#include "engine/onnx/upgrade.h"
#include "infer/quantize/internal.h"

#include <math.h>
#include <string.h>

/* ---- reading ------------------------------------------------------------------------------- */

typedef struct external_file {
    void (*release)(void *handle);
    void *handle;
} external_file;

static void external_release(void *user, void *data)
{
    (void)data;
    external_file *file = user;
    if (file->release) file->release(file->handle);
    nnd_free(file);
}

static nnd_status open_external(void *user, const char *name, nnd_buffer **out)
{
    const nnd_quantize *q = user;
    const void *bytes = NULL;
    size_t size = 0;
    external_file *file = nnd_calloc(1, sizeof *file);
    if (!file) return quant_no_memory();
    nnd_status status =
        nnd_model_open_beside(q->folder, name, &bytes, &size, &file->release, &file->handle);
    if (status != NND_OK) {
        nnd_free(file);
        return status;
    }
    /* Nobody writes there; a buffer's type just has no const. */
    status = nnd_buffer_wrap((void *)(uintptr_t)bytes, size, external_release, file, out);
    if (status != NND_OK) external_release(file, NULL);
    return status;
}

static nnd_status open_in_folder(void *user, const char *name, const void **bytes, size_t *size,
                                 void (**release)(void *handle), void **handle)
{
    const nnd_quantize *q = user;
    return nnd_model_open_beside(q->folder, name, bytes, size, release, handle);
}

nnd_status quant_load(const nnd_quantize *q, const void *bytes, size_t size, nnd_model **model,
                      nnd_request **request)
{
    nnd_model_options options = NND_MODEL_OPTIONS_INIT;
    options.backend = "builtin";
    options.threads = q->options.threads;
    options.open_file = open_in_folder;
    options.open_user = (void *)(uintptr_t)q;
    options.cancel = q->options.cancel;
    NND_TRY(nnd_model_load_memory(bytes, size, &options, model));
    return nnd_request_create(*model, NULL, request);
}

/* The float model with everything visible that will be integers. */
static nnd_status load_float(nnd_quantize *q)
{
    const char **names = nnd_calloc(q->tensors.count + 1, sizeof *names);
    size_t count = 0, size = 0;
    if (!names) return quant_no_memory();
    for (size_t i = 0; i < q->tensors.count; i++)
        if (q->tensors.items[i].node != QUANT_NONE && !q->tensors.items[i].is_output)
            names[count++] = q->tensors.items[i].name;
    nnd_status status =
        nnd_onnx_expose(q->model_bytes.data, q->model_bytes.size, names, count, &q->exposed, &size);
    nnd_free(names);
    return status == NND_OK ? quant_load(q, q->exposed, size, &q->model, &q->request) : status;
}

/* Scales along an axis, and Cast to bf16, came with operator set 13; f16 is older. */
static nnd_status upgrade(nnd_quantize *q)
{
    size_t size = 0;
    q->model_bytes = (nnd_pb_bytes){q->file.data, q->file.size};
    if (q->options.weights == NND_WEIGHTS_F16) return NND_OK;
    NND_TRY(nnd_onnx_upgrade(q->file.data, q->file.size, &q->upgraded, &size));
    if (q->upgraded) q->model_bytes = (nnd_pb_bytes){q->upgraded, size};
    return NND_OK;
}

static nnd_status read_model(nnd_quantize *q, const char *path)
{
    NND_TRY(nnd_error_from_port(nnd_port_map_open(path, &q->file), "cannot open model", path));
    NND_TRY(nnd_folder_of(path, "cannot find the folder of model", &q->folder));
    NND_TRY(upgrade(q));
    NND_TRY(nnd_onnx_outline_read(&q->outline, q->model_bytes.data, q->model_bytes.size,
                                  open_external, q));
    if (q->outline.hidden_external)
        return nnd_error_set(NND_E_UNSUPPORTED,
                             "a tensor inside of a sub-graph, attribute or function lies in "
                             "another file; save the model as one file first");
    NND_TRY(quant_note_names(q));
    if (q->options.weights == NND_WEIGHTS_I8) NND_TRY(quant_plan(q));
    return load_float(q);
}

nnd_status nnd_quantize_create(const char *path, const nnd_quantize_options *options,
                               nnd_quantize **out)
{
    nnd_quantize *q = nnd_calloc(1, sizeof *q);
    if (!q) return quant_no_memory();
    q->options = *options;
    nnd_status status = read_model(q, path);
    if (status != NND_OK) {
        nnd_quantize_destroy(q);
        return nnd_error_wrap(status, "model '%s'", path);
    }
    *out = q;
    return NND_OK;
}

static void free_sample(nnd_value **values, size_t count)
{
    for (size_t i = 0; values && i < count; i++)
        nnd_value_unref(values[i]);
    nnd_free(values);
}

void nnd_quantize_destroy(nnd_quantize *q)
{
    if (!q) return;
    for (size_t i = 0; i < q->checks.count; i++)
        free_sample(q->checks.items[i], nnd_model_input_count(q->model));
    for (size_t i = 0; i < q->wanted.count; i++)
        free_sample(q->wanted.items[i], q->outline.outputs.count);
    for (size_t i = 0; i < q->tensors.count; i++)
        nnd_observer_fini(&q->tensors.items[i].observer);
    for (size_t i = 0; i < q->layers.count; i++)
        quant_layer_fini(&q->layers.items[i]);
    nnd_vec_free(&q->checks);
    nnd_vec_free(&q->wanted);
    nnd_vec_free(&q->tensors);
    nnd_vec_free(&q->layers);
    nnd_vec_free(&q->kept);
    nnd_vec_free(&q->report);
    nnd_request_destroy(q->request);
    nnd_model_unref(q->model);
    nnd_free(q->exposed);
    nnd_free(q->upgraded);
    nnd_str_free(&q->result);
    nnd_map_fini(&q->made_by);
    nnd_map_fini(&q->uses);
    nnd_map_fini(&q->names);
    nnd_map_fini(&q->new_names);
    nnd_map_fini(&q->tensor_at);
    nnd_onnx_outline_fini(&q->outline);
    nnd_arena_fini(&q->naming);
    nnd_arena_fini(&q->arena);
    nnd_port_free(q->folder);
    nnd_port_map_close(&q->file);
    nnd_free(q);
}

const nnd_model *nnd_quantize_model(const nnd_quantize *q)
{
    return q->model;
}

/* ---- calibrating --------------------------------------------------------------------------- */

nnd_status quant_run(const nnd_quantize *q, const nnd_model *model, nnd_request *request,
                     nnd_value *const *inputs)
{
    for (size_t i = 0; i < nnd_model_input_count(model); i++)
        if (inputs[i])
            NND_TRY(nnd_request_bind_input(request, nnd_model_input(model, i)->name, inputs[i]));
    return nnd_request_run(request, q->options.cancel);
}

static nnd_value *input_named(const nnd_quantize *q, const char *name, nnd_value *const *inputs)
{
    for (size_t i = 0; i < nnd_model_input_count(q->model); i++)
        if (strcmp(nnd_model_input(q->model, i)->name, name) == 0)
            return inputs[i] ? nnd_value_ref(inputs[i]) : NULL;
    return NULL;
}

static nnd_status observe(nnd_quantize *q, quant_tensor *t, nnd_value *const *inputs)
{
    nnd_value *value = NULL;
    nnd_status status = NND_OK;
    if (t->node == QUANT_NONE)
        value = input_named(q, t->name, inputs);
    else
        status = nnd_request_output(q->request, t->name, &value);
    const nnd_tensor *tensor = value ? nnd_value_tensor(value) : NULL;
    if (status == NND_OK && (!tensor || tensor->dtype != NND_F32 || !nnd_tensor_is_dense(tensor)))
        status = nnd_error_set(NND_E_TYPE, "it is no dense f32 tensor");
    if (status == NND_OK)
        status = nnd_observer_add(&t->observer, tensor->data, (size_t)nnd_tensor_count(tensor),
                                  q->options.method != NND_RANGE_MIN_MAX);
    if (status == NND_OK) quant_equalise_observe(t, tensor);
    nnd_value_unref(value);
    if (status == NND_OK) return status;
    const nnd_onnx_outline_node *n =
        t->node == QUANT_NONE ? NULL : &q->outline.nodes.items[t->node];
    return nnd_error_wrap(status, n ? "result '%s' of %s '%s'" : "input '%s'", t->name,
                          n ? n->op : "", n ? n->name : "");
}

static nnd_status keep_for_check(nnd_quantize *q, nnd_value *const *inputs)
{
    const size_t count = nnd_model_input_count(q->model);
    if (q->checks.count >= q->options.check_samples) return NND_OK;
    nnd_value **copy = nnd_calloc(count + 1, sizeof(nnd_value *));
    if (!copy) return quant_no_memory();
    for (size_t i = 0; i < count; i++)
        copy[i] = inputs[i] ? nnd_value_ref(inputs[i]) : NULL;
    if (nnd_vec_push(&q->checks, copy)) return NND_OK;
    free_sample(copy, count);
    return quant_no_memory();
}

nnd_status nnd_quantize_add(nnd_quantize *q, const char *name, nnd_value *const *inputs)
{
    nnd_status status = quant_run(q, q->model, q->request, inputs);
    for (size_t i = 0; i < q->tensors.count && status == NND_OK; i++)
        if (q->tensors.items[i].like == i) status = observe(q, &q->tensors.items[i], inputs);
    if (status == NND_OK) status = keep_for_check(q, inputs);
    q->samples += status == NND_OK;
    return status == NND_OK ? status : nnd_error_wrap(status, "sample '%s'", name);
}

/* ---- finishing ----------------------------------------------------------------------------- */

/* Ranges as the outputs like them best, with all other things as they are. */
static nnd_status choose_method(nnd_quantize *q)
{
    double best = -INFINITY;
    nnd_range_method chosen = NND_RANGE_MIN_MAX;
    for (int m = NND_RANGE_MIN_MAX; m < NND_RANGE_AUTO && q->checks.count; m++) {
        double sqnr;
        q->options.method = (nnd_range_method)m;
        NND_TRY(quant_build(q));
        NND_TRY(quant_score(q, &sqnr));
        if (!(sqnr > best)) continue;
        best = sqnr;
        chosen = q->options.method;
    }
    q->options.method = chosen;
    return NND_OK;
}

static nnd_status make_integers(nnd_quantize *q)
{
    if (q->options.method == NND_RANGE_AUTO) NND_TRY(choose_method(q));
    NND_TRY(quant_build(q));
    if (q->options.correct_bias) NND_TRY(quant_correct_bias(q));
    return q->options.least_sqnr > 0 ? quant_hold_budget(q) : NND_OK;
}

nnd_status nnd_quantize_finish(nnd_quantize *q, const void **bytes, size_t *size)
{
    const bool half = q->options.weights != NND_WEIGHTS_I8;
    if (!half && !q->samples)
        return nnd_error_set(NND_E_STATE, "there is no sample to calibrate with");
    NND_TRY(half ? quant_emit_half(q) : make_integers(q));
    NND_TRY(quant_measure(q));
    *bytes = q->result.data;
    *size = q->result.size;
    return NND_OK;
}

nnd_range_method nnd_quantize_method(const nnd_quantize *q)
{
    return q->options.method;
}

size_t nnd_quantize_tensor_count(const nnd_quantize *q)
{
    return q->report.count;
}

const nnd_quantized_tensor *nnd_quantize_tensor_at(const nnd_quantize *q, size_t index)
{
    return index < q->report.count ? &q->report.items[index] : NULL;
}

size_t nnd_quantize_kept_count(const nnd_quantize *q)
{
    return q->kept.count;
}

const nnd_quantize_kept *nnd_quantize_kept_at(const nnd_quantize *q, size_t index)
{
    return index < q->kept.count ? &q->kept.items[index] : NULL;
}

size_t nnd_quantize_sample_count(const nnd_quantize *q)
{
    return q->samples;
}

double nnd_quantize_output_sqnr(const nnd_quantize *q)
{
    double lowest = NAN;
    for (size_t i = 0; i < q->report.count; i++) {
        const nnd_quantized_tensor *t = &q->report.items[i];
        if (t->kind == NND_QUANTIZED_OUTPUT && t->is_measured) lowest = fmin(lowest, t->sqnr);
    }
    return lowest;
}

bool nnd_quantize_is_upgraded(const nnd_quantize *q)
{
    return q->upgraded != NULL;
}

uint64_t nnd_quantize_size_before(const nnd_quantize *q)
{
    uint64_t size = q->file.size;
    for (size_t i = 0; i < q->outline.constants.count; i++) {
        const nnd_onnx_constant *c = &q->outline.constants.items[i];
        if (c->is_external) size += nnd_tensor_bytes(&c->tensor);
    }
    return size;
}
