/* The log: one level, one sink, one line at a time. */
#include "nndeploy/base.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "port/port.h"

static const char *const level_names[] = {"trace", "debug", "info", "warn", "error", "off"};

static nnd_port_mutex sink_lock = NND_PORT_MUTEX_INIT;
static nnd_log_sink sink;
static void *sink_user;
static _Thread_local bool inside_sink;

static nnd_port_once level_once = NND_PORT_ONCE_INIT;
static atomic_int level_now = NND_LOG_WARN;

static char unknown_word[32]; /* in place of a level */
static atomic_bool complains;

static void read_environment(void)
{
    if (!nnd_port_env_copy("NNDEPLOY_LOG", unknown_word, sizeof(unknown_word))) return;
    for (int i = 0; i <= NND_LOG_OFF; i++) {
        if (strcmp(unknown_word, level_names[i]) != 0) continue;
        atomic_store(&level_now, i);
        return;
    }
    atomic_store(&complains, true);
}

void nnd_log_set_sink(nnd_log_sink new_sink, void *user)
{
    nnd_port_mutex_lock(&sink_lock);
    sink = new_sink;
    sink_user = user;
    nnd_port_mutex_unlock(&sink_lock);
}

void nnd_log_set_level(nnd_log_level level)
{
    nnd_port_once_run(&level_once, read_environment);
    atomic_store(&level_now, (int)level);
}

nnd_log_level nnd_log_get_level(void)
{
    nnd_port_once_run(&level_once, read_environment);
    /* Only now: a sink may ask for the level. */
    if (atomic_load(&complains) && atomic_exchange(&complains, false))
        nnd_log(NND_LOG_WARN, "base",
                "NNDEPLOY_LOG='%s' is none of trace|debug|info|warn|error|off; ignored",
                unknown_word);
    return (nnd_log_level)atomic_load(&level_now);
}

/* A line stays one line: line breaks become blanks, trailing ones go. */
static void flatten(char *line)
{
    size_t n = strlen(line);
    while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
        line[--n] = '\0';
    for (; *line; line++)
        if (*line == '\n' || *line == '\r') *line = ' ';
}

static void emit(nnd_log_level level, const char *room, const char *line)
{
    nnd_port_mutex_lock(&sink_lock);
    inside_sink = true;
    if (sink)
        sink(sink_user, level, room, line);
    else
        fprintf(stderr, "%s %s: %s\n", level_names[level], room, line);
    inside_sink = false;
    nnd_port_mutex_unlock(&sink_lock);
}

void nnd_log(nnd_log_level level, const char *room, const char *format, ...)
{
    if (level < NND_LOG_TRACE || level >= NND_LOG_OFF || level < nnd_log_get_level()) return;
    /* A sink that logs would wait for itself. */
    if (inside_sink) return;
    char small[512];
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(small, sizeof(small), format, args);
    char *line = small, *large = NULL;
    if (n >= (int)sizeof(small)) {
        nnd_str s = {0};
        nnd_str_vprintf(&s, format, again);
        if (nnd_str_take_quiet(&s, &large)) line = large;
    }
    va_end(again);
    va_end(args);
    if (n >= 0) {
        flatten(line);
        emit(level, room ? room : "", line);
    }
    nnd_free(large);
}
