/* models pull: brings models into the cache. */
#include "cli/models.h"

#include "nndeploy/sched.h"

#include <string.h>

#define MS ((int64_t)1000000)

typedef struct pull {
    cli *c;
    cli_models *m;
    nnd_cancel *cancel;
    uint64_t before; /* bytes of the variant's files before the one that comes now */
    uint64_t size;   /* of the variant */
    int64_t told;    /* when the last line of progress was printed */
    bool resumed;    /* the file that comes now */
    nnd_str paths;   /* for people, who see them when the line of progress is gone */
} pull;

/* ---- JSON lines -------------------------------------------------------------------------- */

/* Each line is a document of its own, written at once: whoever reads them sees them now. */
static nnd_json_writer *begin_line(const char *event)
{
    nnd_json_writer *w = NULL;
    if (nnd_json_writer_create(0, &w) != NND_OK) return NULL;
    nnd_json_begin_object(w);
    cli_json_text(w, "schema", "nndeploy.models_pull/1");
    cli_json_text(w, "event", event);
    return w;
}

static void end_line(nnd_json_writer *w)
{
    char *text = NULL;
    if (!w) return;
    nnd_json_end_object(w);
    if (nnd_json_writer_take(w, &text, NULL) == NND_OK) printf("%s\n", text);
    fflush(stdout);
    nnd_free(text);
    nnd_json_writer_destroy(w);
}

static void tell_event(pull *p, const nnd_pull_event *event)
{
    int64_t now = nnd_clock_now();
    if (!event->finished && now - p->told < 250 * MS) return;
    p->told = now;
    nnd_json_writer *w = begin_line(event->finished ? "file" : "progress");
    if (!w) return;
    cli_json_text(w, "model", event->model->name);
    cli_json_text(w, "file", event->file->name);
    cli_json_text(w, "source", event->source);
    cli_json_int(w, "done", (int64_t)event->done);
    cli_json_int(w, "size", (int64_t)event->file->size);
    if (event->finished) cli_json_bool(w, "resumed", p->resumed);
    end_line(w);
}

/* The exit code of a failure, which stands on standard error and in the last line. */
static int fail(cli *c, nnd_status status)
{
    const bool json = c->json;
    if (cli_watch_interrupted()) status = nnd_error_set(NND_E_CANCELLED, "interrupted");
    nnd_error *error = nnd_error_take();
    if (error) nnd_error_restore(error);
    c->json = false;
    int code = cli_fail(c, status, NULL);
    c->json = json;
    nnd_json_writer *w = json ? begin_line("error") : NULL;
    if (w) {
        cli_json_int(w, "exit_code", code);
        cli_json_text(w, "status", nnd_status_name(status));
        cli_json_text(w, "message", error ? nnd_error_message(error) : nnd_status_text(status));
        end_line(w);
    }
    nnd_error_destroy(error);
    return code;
}

/* ---- pulling ----------------------------------------------------------------------------- */

static void note_file(pull *p, const nnd_pull_event *event)
{
    char *path = NULL;
    if (nnd_model_cache_path(p->m->cache, event->model, event->file, &path) != NND_OK) return;
    nnd_str_printf(&p->paths, "%s%s\n", path, event->source[0] ? "" : "  (was there)");
    nnd_free(path);
}

static void on_progress(void *user, const nnd_pull_event *event)
{
    pull *p = user;
    if (event->resumed) p->resumed = true;
    cli_watch_progress(event->model->name, (double)(p->before + event->done), (double)p->size);
    if (p->c->json)
        tell_event(p, event);
    else if (event->finished)
        note_file(p, event);
    if (!event->finished) return;
    p->before += event->file->size;
    p->resumed = false;
}

static nnd_status pull_variant(pull *p, const nnd_catalog_model *model,
                               const nnd_catalog_variant *variant)
{
    nnd_pull_options options = NND_PULL_OPTIONS_INIT;
    options.cancel = p->cancel;
    options.progress = on_progress;
    options.user = p;
    options.connect_seconds = options.stall_seconds = (int)cli_int(p->c, "timeout", 0);
    p->before = 0;
    p->size = cli_models_size(variant);
    return nnd_model_cache_pull(p->m->cache, model, variant, &options);
}

static nnd_status pull_model(pull *p, const char *name)
{
    const nnd_catalog_model *model = NULL;
    const nnd_catalog_variant *variant = NULL;
    NND_TRY(cli_models_variant(p->c, p->m, name, &model, &variant));
    if (!cli_has(p->c, "all-variants") || strchr(name, '@')) return pull_variant(p, model, variant);
    for (size_t i = 0; i < model->variant_count; i++)
        NND_TRY(pull_variant(p, model, nnd_catalog_variant_at(model, i)));
    return NND_OK;
}

static nnd_status pull_models(pull *p)
{
    const nnd_catalog_model *model = NULL;
    const nnd_catalog_variant *variant = NULL;
    NND_TRY(cli_models_open(p->c, p->m));
    NND_TRY(cli_watch_begin(p->c, &p->cancel));
    /* All names first: a misspelt one at the end is told before megabytes come. */
    for (size_t i = 0; i < p->c->operands.count; i++)
        NND_TRY(cli_models_variant(p->c, p->m, cli_operand(p->c, i), &model, &variant));
    for (size_t i = 0; i < p->c->operands.count; i++)
        NND_TRY(pull_model(p, cli_operand(p->c, i)));
    return NND_OK;
}

int cli_run_models_pull(cli *c)
{
    cli_models m = {0};
    pull p = {.c = c, .m = &m};
    int code = CLI_OK;
    nnd_status status = pull_models(&p);
    cli_watch_end();
    if (p.paths.data) fputs(p.paths.data, stdout);
    if (status != NND_OK)
        code = fail(c, status);
    else if (c->json)
        end_line(begin_line("end"));
    nnd_str_free(&p.paths);
    cli_models_close(&m);
    return code;
}
