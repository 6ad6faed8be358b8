#include "nodes/infer/regex/regex.h"

#include <string.h>

#include "base/library.h"
#include "nodes/infer/regex/pcre2_abi.h"

/* Patterns come with models, and some of them need a time that grows like a power of two of the
   text's length: what a text may take is bounded. */
enum { MOST_PATTERN = 4096, MOST_STEPS = 1000000, MOST_DEPTH = 100000, MOST_KIB = 16 * 1024 };

/* ---- the library --------------------------------------------------------------------------- */

typedef struct library {
    nnd_port_module *module;
    nnd_pcre2_compile_context_create_fn compile_context_create;
    nnd_pcre2_compile_context_free_fn compile_context_free;
    nnd_pcre2_set_newline_fn set_newline;
    nnd_pcre2_compile_fn compile;
    nnd_pcre2_code_free_fn code_free;
    nnd_pcre2_match_context_create_fn match_context_create;
    nnd_pcre2_match_context_free_fn match_context_free;
    nnd_pcre2_set_limit_fn set_match_limit, set_depth_limit, set_heap_limit;
    nnd_pcre2_match_data_create_fn match_data_create;
    nnd_pcre2_match_data_free_fn match_data_free;
    nnd_pcre2_match_fn match;
    nnd_pcre2_get_error_message_fn get_error_message;
} library;

#if defined(_WIN32)
static const char *const system_names[] = {"libpcre2-8-0.dll", "pcre2-8.dll"};
#elif defined(__APPLE__)
static const char *const system_names[] = {"libpcre2-8.0.dylib", "libpcre2-8.dylib"};
#else
static const char *const system_names[] = {"libpcre2-8.so.0"};
#endif

static nnd_port_mutex pcre2_lock = NND_PORT_MUTEX_INIT;
static library pcre2;

static nnd_status load_library(library *lib)
{
    const nnd_library_function functions[] = {
        {"pcre2_compile_context_create_8", &lib->compile_context_create},
        {"pcre2_compile_context_free_8", &lib->compile_context_free},
        {"pcre2_set_newline_8", &lib->set_newline},
        {"pcre2_compile_8", &lib->compile},
        {"pcre2_code_free_8", &lib->code_free},
        {"pcre2_match_context_create_8", &lib->match_context_create},
        {"pcre2_match_context_free_8", &lib->match_context_free},
        {"pcre2_set_match_limit_8", &lib->set_match_limit},
        {"pcre2_set_depth_limit_8", &lib->set_depth_limit},
        {"pcre2_set_heap_limit_8", &lib->set_heap_limit},
        {"pcre2_match_data_create_8", &lib->match_data_create},
        {"pcre2_match_data_free_8", &lib->match_data_free},
        {"pcre2_match_8", &lib->match},
        {"pcre2_get_error_message_8", &lib->get_error_message},
    };
    const nnd_library_wish wish = {
        "patterns inside of models need libpcre2-8",
        "NNDEPLOY_LIBPCRE2",
        system_names,
        NND_COUNT(system_names),
        "libpcre2-8-0",
        functions,
        NND_COUNT(functions),
    };
    return nnd_library_load(&wish, &lib->module);
}

/* What failed is tried again: it may be installed meanwhile. */
static nnd_status get_library(const library **out)
{
    nnd_status status = NND_OK;
    nnd_port_mutex_lock(&pcre2_lock);
    if (!pcre2.module) status = load_library(&pcre2);
    nnd_port_mutex_unlock(&pcre2_lock);
    *out = &pcre2;
    return status;
}

/* ---- matching ------------------------------------------------------------------------------ */

typedef struct matcher {
    const library *lib;
    const char *pattern;
    nnd_pcre2_code *code;
    nnd_pcre2_match_context *context;
    nnd_pcre2_match_data *data;
} matcher;

static nnd_status no_memory(void)
{
    return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for a pattern");
}

static nnd_status compile(matcher *m)
{
    const library *lib = m->lib;
    const uint32_t options = NND_PCRE2_UTF | NND_PCRE2_ANCHORED | NND_PCRE2_ENDANCHORED |
                             NND_PCRE2_DOLLAR_ENDONLY | NND_PCRE2_NEVER_BACKSLASH_C;
    int error = 0;
    size_t offset = 0;
    uint8_t reason[160] = "";
    if (strlen(m->pattern) > MOST_PATTERN)
        return nnd_error_set(NND_E_LIMIT, "a pattern of %zu bytes, at most %d are taken",
                             strlen(m->pattern), MOST_PATTERN);
    nnd_pcre2_compile_context *context = lib->compile_context_create(NULL);
    if (!context) return no_memory();
    (void)lib->set_newline(context, NND_PCRE2_NEWLINE_LF);
    m->code = lib->compile((const uint8_t *)m->pattern, strlen(m->pattern), options, &error,
                           &offset, context);
    lib->compile_context_free(context);
    if (m->code) return NND_OK;
    (void)lib->get_error_message(error, reason, sizeof reason);
    return nnd_error_set(NND_E_FORMAT, "the pattern '%.200s' is wrong at byte %zu: %s", m->pattern,
                         offset, (const char *)reason);
}

static nnd_status open_matcher(matcher *m)
{
    NND_TRY(compile(m));
    m->context = m->lib->match_context_create(NULL);
    m->data = m->lib->match_data_create(1, NULL);
    if (!m->context || !m->data) return no_memory();
    (void)m->lib->set_match_limit(m->context, MOST_STEPS);
    (void)m->lib->set_depth_limit(m->context, MOST_DEPTH);
    (void)m->lib->set_heap_limit(m->context, MOST_KIB);
    return NND_OK;
}

static void close_matcher(matcher *m)
{
    if (m->data) m->lib->match_data_free(m->data);
    if (m->context) m->lib->match_context_free(m->context);
    if (m->code) m->lib->code_free(m->code);
}

static nnd_status match_text(const matcher *m, const nnd_string *text, size_t index, bool *matches)
{
    uint8_t reason[160] = "";
    const int found = m->lib->match(m->code, (const uint8_t *)(text->size ? text->text : ""),
                                    text->size, 0, 0, m->data, m->context);
    *matches = found >= 0;
    if (found >= NND_PCRE2_ERROR_NOMATCH) return NND_OK;
    if (found <= NND_PCRE2_ERROR_UTF8_ERR1 && found >= NND_PCRE2_ERROR_UTF8_ERR21) return NND_OK;
    if (found == NND_PCRE2_ERROR_NOMEMORY) return no_memory();
    if (found == NND_PCRE2_ERROR_MATCHLIMIT || found == NND_PCRE2_ERROR_DEPTHLIMIT ||
        found == NND_PCRE2_ERROR_HEAPLIMIT)
        return nnd_error_set(NND_E_LIMIT,
                             "the pattern '%.200s' takes more than %d steps, or %d KiB, on text "
                             "%zu of %zu bytes: write it without repetitions inside of repetitions",
                             m->pattern, MOST_STEPS, MOST_KIB, index, text->size);
    (void)m->lib->get_error_message(found, reason, sizeof reason);
    return nnd_error_set(NND_E_FORMAT, "the pattern '%.200s' fails on text %zu: %s", m->pattern,
                         index, (const char *)reason);
}

nnd_status nnd_regex_full_match(const char *pattern, const nnd_string *texts, size_t count,
                                bool *matches)
{
    matcher m = {.pattern = pattern};
    NND_TRY(get_library(&m.lib));
    nnd_status status = open_matcher(&m);
    for (size_t i = 0; i < count && status == NND_OK; i++)
        status = match_text(&m, &texts[i], i, &matches[i]);
    close_matcher(&m);
    return status;
}
