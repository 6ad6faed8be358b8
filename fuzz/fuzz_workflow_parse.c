/* Whatever parses can be validated, is written canonically, and reads back as the same document. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "nndeploy/workflow.h"

static nnd_status process(nnd_ctx *ctx)
{
    (void)ctx;
    return NND_OK;
}

static const nnd_port ports[] = {
    NND_PORT("image", "image|tensor", ""),
    NND_PORT_OPT("list", "list<$T>", ""),
    NND_PORT_MANY("more", "$T", ""),
};
static const nnd_port outputs[] = {NND_PORT("image", "image", ""), NND_PORT("any", "$T", "")};
static const nnd_param params[] = {
    NND_PARAM_INT("width", 640, 1, 16384, "px", ""),
    NND_PARAM_FLOAT("sigma", 0.5, 0, 10, "", ""),
    NND_PARAM_BOOL("fast", 1, ""),
    NND_PARAM_ENUM("filter", "a", "a|b", ""),
    NND_PARAM_TEXT("label", "", ""),
    NND_PARAM_NUMBERS("mean", "[0]", 0, 255, "", ""),
    NND_PARAM_STRINGS("names", "[]", ""),
    NND_PARAM_JSON("anything", "null", ""),
    {"key", NND_PARAM_KIND_TEXT, NND_PARAM_SECRET, 0, "", 0, 0, NULL, "", "", NULL},
};
static const nnd_node_type filter = {
    .struct_size = sizeof(nnd_node_type),
    .type = "t.f",
    .version = 1,
    .inputs = NND_ARRAY(ports),
    .outputs = NND_ARRAY(outputs),
    .params = NND_ARRAY(params),
    .process = process,
};

static char *save(const nnd_workflow *wf, size_t *size)
{
    char *text = NULL;
    if (nnd_workflow_save_text(wf, &text, size) != NND_OK) abort();
    return text;
}

static void check_equal(const nnd_workflow *a, const nnd_workflow *b)
{
    nnd_json_writer *w = NULL;
    char *text = NULL;
    if (nnd_json_writer_create(0, &w) != NND_OK) abort();
    if (nnd_workflow_diff(a, b, true, w) != NND_OK) abort();
    if (nnd_json_writer_take(w, &text, NULL) != NND_OK) abort();
    if (!strstr(text, "\"changes\":[]")) abort();
    nnd_free(text);
    nnd_json_writer_destroy(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static nnd_registry *registry;
    if (!registry) {
        if (nnd_registry_create(&registry) != NND_OK) abort();
        if (nnd_registry_add(registry, &filter) != NND_OK) abort();
    }
    nnd_diagnostics *diags = NULL;
    nnd_workflow *wf = NULL, *again = NULL;
    if (nnd_diagnostics_create(&diags) != NND_OK) abort();
    nnd_status status = nnd_workflow_parse((const char *)data, size, "in", NULL, diags, &wf);
    if ((status == NND_OK) != (wf != NULL)) abort();
    if (status == NND_E_VALIDATION && nnd_diagnostics_error_count(diags) == 0) abort();
    if (wf) {
        size_t first_size = 0, second_size = 0;
        status = nnd_workflow_validate(wf, registry, diags);
        if ((status == NND_OK) != (nnd_diagnostics_error_count(diags) == 0)) abort();
        char *first = save(wf, &first_size);
        if (nnd_workflow_parse(first, first_size, NULL, NULL, NULL, &again) != NND_OK) abort();
        char *second = save(again, &second_size);
        if (first_size != second_size || memcmp(first, second, first_size) != 0) abort();
        check_equal(wf, again);
        nnd_free(first);
        nnd_free(second);
        nnd_workflow_destroy(again);
    }
    char *problems = nnd_diagnostics_to_string(diags);
    nnd_free(problems);
    nnd_workflow_destroy(wf);
    nnd_diagnostics_destroy(diags);
    return 0;
}
