#include "nodes/infer/regex/regex.h"

#include <string.h>

#include "base/library.h"
#include "base/str.h"
#include "nodes/infer/regex/pcre2_abi.h"

/* Patterns come with models, and some of them need a time that grows like a power of two of the
   text's length: what a text may take is bounded. */
enum { MOST_PATTERN = 4096, MOST_STEPS = 1000000, MOST_DEPTH = 100000, MOST_KIB = 16 * 1024 };
/* Of a text that is searched, and of what the search remembers (ints). */
enum { MOST_SEARCHED = 256 * 1024, WORKSPACE = 20000 };

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
    nnd_pcre2_dfa_match_fn dfa_match;
    nnd_pcre2_get_ovector_pointer_fn get_ovector_pointer;
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
        {"pcre2_dfa_match_8", &lib->dfa_match},
        {"pcre2_get_ovector_pointer_8", &lib->get_ovector_pointer},
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

/* more: options besides those of all patterns. */
static nnd_status compile(matcher *m, uint32_t more)
{
    const library *lib = m->lib;
    const uint32_t options =
        NND_PCRE2_UTF | NND_PCRE2_DOLLAR_ENDONLY | NND_PCRE2_NEVER_BACKSLASH_C | more;
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

static nnd_status open_matcher(matcher *m, uint32_t options)
{
    NND_TRY(compile(m, options));
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

static nnd_status failure(const matcher *m, int code, size_t index, size_t size)
{
    uint8_t reason[160] = "";
    if (code == NND_PCRE2_ERROR_NOMEMORY) return no_memory();
    if (code == NND_PCRE2_ERROR_MATCHLIMIT || code == NND_PCRE2_ERROR_DEPTHLIMIT ||
        code == NND_PCRE2_ERROR_HEAPLIMIT || code == NND_PCRE2_ERROR_DFA_WSSIZE)
        return nnd_error_set(NND_E_LIMIT,
                             "the pattern '%.200s' takes more than %d steps, or %d KiB, on text "
                             "%zu of %zu bytes: write it without repetitions inside of repetitions",
                             m->pattern, MOST_STEPS, MOST_KIB, index, size);
    (void)m->lib->get_error_message(code, reason, sizeof reason);
    return nnd_error_set(NND_E_FORMAT, "the pattern '%.200s' fails on text %zu: %s", m->pattern,
                         index, (const char *)reason);
}

static nnd_status match_text(const matcher *m, const nnd_string *text, size_t index, bool *matches)
{
    const int found = m->lib->match(m->code, (const uint8_t *)(text->size ? text->text : ""),
                                    text->size, 0, 0, m->data, m->context);
    *matches = found >= 0;
    if (found >= NND_PCRE2_ERROR_NOMATCH) return NND_OK;
    if (found <= NND_PCRE2_ERROR_UTF8_ERR1 && found >= NND_PCRE2_ERROR_UTF8_ERR21) return NND_OK;
    return failure(m, found, index, text->size);
}

nnd_status nnd_regex_full_match(const char *pattern, const nnd_string *texts, size_t count,
                                bool *matches)
{
    matcher m = {.pattern = pattern};
    NND_TRY(get_library(&m.lib));
    nnd_status status = open_matcher(&m, NND_PCRE2_ANCHORED | NND_PCRE2_ENDANCHORED);
    for (size_t i = 0; i < count && status == NND_OK; i++)
        status = match_text(&m, &texts[i], i, &matches[i]);
    close_matcher(&m);
    return status;
}

/* ---- searching ----------------------------------------------------------------------------- */

static nnd_status find_in_text(const matcher *m, const nnd_string *text, size_t index,
                               int *workspace, nnd_regex_found_fn found, void *to)
{
    const uint8_t *bytes = (const uint8_t *)(text->size ? text->text : "");
    const uint32_t options = NND_PCRE2_NOTEMPTY | NND_PCRE2_NO_UTF_CHECK;
    if (text->size > MOST_SEARCHED)
        return nnd_error_set(NND_E_LIMIT, "text %zu has %zu bytes, at most %d are searched", index,
                             text->size, MOST_SEARCHED);
    if (!nnd_utf8_valid((const char *)bytes, text->size))
        return nnd_error_set(NND_E_FORMAT, "text %zu is not UTF-8", index);
    /* The automaton, for it finds the longest match. */
    for (size_t start = 0; start < text->size;) {
        const int code = m->lib->dfa_match(m->code, bytes, text->size, start, options, m->data,
                                           m->context, workspace, WORKSPACE);
        if (code == NND_PCRE2_ERROR_NOMATCH) break;
        if (code < 0) return failure(m, code, index, text->size);
        const size_t *span = m->lib->get_ovector_pointer(m->data);
        const size_t begin = span[0], end = span[1];
        if (begin < start || end <= begin) break; /* \K: neither order nor progress is sure */
        NND_TRY(found(to, index, begin, end));
        start = end;
    }
    return NND_OK;
}

nnd_status nnd_regex_find(const char *pattern, const nnd_string *texts, size_t count,
                          nnd_regex_found_fn found, void *to)
{
    matcher m = {.pattern = pattern};
    NND_TRY(get_library(&m.lib));
    int *workspace = nnd_calloc(WORKSPACE, sizeof *workspace);
    nnd_status status = workspace ? open_matcher(&m, 0) : no_memory();
    for (size_t i = 0; i < count && status == NND_OK; i++)
        status = find_in_text(&m, &texts[i], i, workspace, found, to);
    close_matcher(&m);
    nnd_free(workspace);
    return status;
}
