/* Builds a workflow by API, saves it as a file and runs it: a thumbnail with a frame of padding.
   build_workflow PICTURE THUMBNAIL.png */
#include <nndeploy/nndeploy.h>
#include <stdio.h>

static nnd_status build(nnd_workflow *wf)
{
    NND_TRY(nnd_workflow_add_input(wf, "image", "image"));
    NND_TRY(nnd_workflow_add_node(wf, "small", "image.resize@1"));
    NND_TRY(nnd_workflow_set_param(wf, "small", "width", "240"));
    NND_TRY(nnd_workflow_set_param(wf, "small", "filter", "\"area\""));
    NND_TRY(nnd_workflow_add_node(wf, "frame", "image.pad@1"));
    NND_TRY(nnd_workflow_set_param(wf, "frame", "left", "8"));
    NND_TRY(nnd_workflow_set_param(wf, "frame", "right", "8"));
    NND_TRY(nnd_workflow_set_param(wf, "frame", "top", "8"));
    NND_TRY(nnd_workflow_set_param(wf, "frame", "bottom", "8"));
    NND_TRY(nnd_workflow_set_param(wf, "frame", "color", "[40, 44, 52]"));
    NND_TRY(nnd_workflow_connect(wf, "@", "image", "small", "image"));
    NND_TRY(nnd_workflow_connect(wf, "small", "image", "frame", "image"));
    return nnd_workflow_add_output(wf, "thumbnail", "frame", "image");
}

/* Compiles without files: this workflow touches none. */
static nnd_status run(const nnd_workflow *wf, const char *from, const char *to)
{
    nnd_compile_options options = NND_COMPILE_OPTIONS_INIT;
    nnd_plan *plan = NULL;
    nnd_value *picture = NULL, *inputs = NULL, *outputs = NULL;
    options.registry = nnd_nodes_registry();
    nnd_status status = nnd_plan_compile(wf, &options, NULL, &plan);
    if (status == NND_OK) status = nnd_value_read_file(from, "image", &picture);
    if (status == NND_OK) status = nnd_value_new_record(&inputs);
    if (status == NND_OK) status = nnd_value_record_set(inputs, "image", picture);
    if (status == NND_OK) status = nnd_workflow_run(plan, NULL, inputs, &outputs);
    if (status == NND_OK)
        status = nnd_value_write_file(nnd_value_record_get(outputs, "thumbnail"), to);
    nnd_value_unref(outputs);
    nnd_value_unref(inputs);
    nnd_value_unref(picture);
    nnd_plan_unref(plan);
    return status;
}

int main(int argc, char **argv)
{
    nnd_workflow *wf = NULL;
    if (argc != 3) return fprintf(stderr, "usage: build_workflow PICTURE THUMBNAIL.png\n"), 2;
    nnd_status status = nnd_workflow_create("thumbnail", &wf);
    if (status == NND_OK) status = build(wf);
    if (status == NND_OK) status = nnd_workflow_save(wf, "thumbnail.json");
    if (status == NND_OK) status = run(wf, argv[1], argv[2]);
    if (status != NND_OK) fprintf(stderr, "%s\n", nnd_app_error());
    nnd_workflow_destroy(wf);
    return status == NND_OK ? 0 : 1;
}
