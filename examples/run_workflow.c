/* The shortest program: runs a workflow file on a picture and prints its results as JSON.
   run_workflow workflows/read-digits.json examples/media/meter.jpg */
#include <nndeploy/nndeploy.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    nnd_app *app = NULL;
    char *json = NULL;
    nnd_status status = argc == 3 ? nnd_app_open(argv[1], NULL, 0, &app) : NND_E_INVALID_ARGUMENT;
    if (status == NND_OK) status = nnd_app_set_file(app, "image", argv[2]);
    if (status == NND_OK) status = nnd_app_run(app, NULL);
    if (status == NND_OK) status = nnd_app_get_json(app, &json);
    if (status == NND_OK)
        puts(json);
    else
        fprintf(stderr, "usage: run_workflow WORKFLOW PICTURE\n%s\n", nnd_app_error());
    nnd_free(json);
    nnd_app_close(app);
    return status == NND_OK ? 0 : 1;
}
