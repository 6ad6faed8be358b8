/* The string builder and small text helpers. */
#include "base/str.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"

void nnd_str_free(nnd_str *s)
{
    nnd_free(s->data);
    memset(s, 0, sizeof(*s));
}

void nnd_str_clear(nnd_str *s)
{
    s->size = 0;
    if (s->data) s->data[0] = '\0';
}

/* Room for `extra` more bytes and the NUL. */
static bool reserve(nnd_str *s, size_t extra)
{
    size_t needed;
    if (s->failed) return false;
    if (!nnd_size_add(s->size, extra, &needed) || !nnd_size_add(needed, 1, &needed)) {
        s->failed = true;
        return false;
    }
    if (needed <= s->capacity) return true;
    size_t wanted = s->capacity < 48 ? 48 : s->capacity;
    while (wanted < needed)
        wanted = wanted > SIZE_MAX / 2 ? needed : wanted * 2;
    char *grown = nnd_realloc(s->data, wanted);
    if (!grown) {
        s->failed = true;
        return false;
    }
    s->data = grown;
    s->capacity = wanted;
    return true;
}

void nnd_str_add_n(nnd_str *s, const char *text, size_t size)
{
    if (!reserve(s, size)) return;
    if (size) memcpy(s->data + s->size, text, size);
    s->size += size;
    s->data[s->size] = '\0';
}

void nnd_str_add(nnd_str *s, const char *text)
{
    nnd_str_add_n(s, text, strlen(text));
}

void nnd_str_add_char(nnd_str *s, char c)
{
    nnd_str_add_n(s, &c, 1);
}

void nnd_str_vprintf(nnd_str *s, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    size_t room = s->failed ? 0 : s->capacity - s->size;
    int n = vsnprintf(room ? s->data + s->size : NULL, room, format, args);
    if (n < 0) {
        s->failed = true;
    } else if ((size_t)n < room) {
        s->size += (size_t)n;
    } else if (reserve(s, (size_t)n)) {
        vsnprintf(s->data + s->size, (size_t)n + 1, format, again);
        s->size += (size_t)n;
    }
    va_end(again);
}

void nnd_str_printf(nnd_str *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    nnd_str_vprintf(s, format, args);
    va_end(args);
}

void nnd_str_add_quoted(nnd_str *s, const char *text, size_t size, size_t limit)
{
    static const char digits[] = "0123456789abcdef";
    size_t end = size;
    if (end > limit) {
        /* Do not cut inside a character. */
        end = limit;
        for (int back = 0; back < 3 && end > 0 && ((uint8_t)text[end] & 0xc0) == 0x80; back++)
            end--;
    }
    nnd_str_add_char(s, '\'');
    for (size_t i = 0; i < end;) {
        size_t valid = nnd_utf8_valid_prefix(text + i, end - i);
        for (size_t k = 0; k < valid; k++) {
            uint8_t c = (uint8_t)text[i + k];
            if (c >= 0x20 && c != 0x7f) {
                nnd_str_add_char(s, (char)c);
            } else {
                char hex[4] = {'\\', 'x', digits[c >> 4], digits[c & 15]};
                nnd_str_add_n(s, hex, 4);
            }
        }
        i += valid;
        if (i < end) {
            uint8_t c = (uint8_t)text[i++];
            char hex[4] = {'\\', 'x', digits[c >> 4], digits[c & 15]};
            nnd_str_add_n(s, hex, 4);
        }
    }
    nnd_str_add(s, end < size ? "…'" : "'");
}

bool nnd_str_take_quiet(nnd_str *s, char **text)
{
    if (!s->data) reserve(s, 0);
    if (s->failed) {
        nnd_str_free(s);
        return false;
    }
    s->data[s->size] = '\0';
    *text = s->data;
    memset(s, 0, sizeof(*s));
    return true;
}

nnd_status nnd_str_take(nnd_str *s, char **text, size_t *size)
{
    size_t n = s->size;
    if (!nnd_str_take_quiet(s, text)) return nnd_error_set(NND_E_OUT_OF_MEMORY, "out of memory");
    if (size) *size = n;
    return NND_OK;
}

char *nnd_strf(const char *format, ...)
{
    nnd_str s = {0};
    va_list args;
    va_start(args, format);
    nnd_str_vprintf(&s, format, args);
    va_end(args);
    char *text = NULL;
    return nnd_str_take_quiet(&s, &text) ? text : NULL;
}

char *nnd_strdup_n(const char *text, size_t size)
{
    size_t total;
    if (!nnd_size_add(size, 1, &total)) return NULL;
    char *copy = nnd_alloc(total);
    if (!copy) return NULL;
    if (size) memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

bool nnd_str_starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool nnd_str_ends_with(const char *text, const char *suffix)
{
    size_t a = strlen(text), b = strlen(suffix);
    return a >= b && memcmp(text + a - b, suffix, b) == 0;
}

bool nnd_str_equal(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}
