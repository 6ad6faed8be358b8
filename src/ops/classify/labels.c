/*
 * Label files: one label per line. The array and all texts share one block.
 */
#include <string.h>

#include "base/size.h"
#include "base/str.h"
#include "ops/ops_common.h"

static nnd_status check_text(const char *text, size_t size)
{
    if (memchr(text, 0, size) || !nnd_utf8_valid(text, size)) {
        size_t good = nnd_utf8_valid_prefix(text, size);
        const char *zero = memchr(text, 0, size);
        if (zero && (size_t)(zero - text) < good) good = (size_t)(zero - text);
        uint32_t line = 1;
        for (size_t i = 0; i < good; i++)
            line += text[i] == '\n';
        return nnd_error_set(NND_E_FORMAT,
                             "line %u of the labels is not UTF-8 text: save the file as UTF-8",
                             (unsigned)line);
    }
    return NND_OK;
}

/* Lines up to the last one that is not empty. */
static size_t count_lines(const char *text, size_t size)
{
    size_t lines = 0, last = 0;
    bool blank = true;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\n') {
            lines++;
            if (!blank) last = lines;
            blank = true;
        } else if (text[i] != '\r') {
            blank = false;
        }
    }
    return blank ? last : lines + 1;
}

nnd_status nnd_labels_parse(const void *bytes, size_t size, char ***labels, size_t *count)
{
    if ((!bytes && size) || !labels || !count)
        return nnd_error_set(NND_E_INVALID_ARGUMENT, "no label file or no place for its lines");
    const char *text = bytes ? bytes : "";
    if (size >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) { /* byte order mark */
        text += 3;
        size -= 3;
    }
    NND_TRY(check_text(text, size));
    const size_t lines = count_lines(text, size);
    size_t head, total;
    if (!nnd_size_mul(lines + 1, sizeof(char *), &head) || !nnd_size_add(head, size, &total) ||
        !nnd_size_add(total, 1, &total))
        return nnd_error_set(NND_E_OVERFLOW, "%zu bytes of labels are too many", size);
    char **list = nnd_alloc(total);
    if (!list) return nnd_error_set(NND_E_OUT_OF_MEMORY, "no memory for %zu labels", lines);
    char *to = (char *)list + head, *copy_end = to + size;
    memcpy(to, text, size);
    *copy_end = 0;
    for (size_t i = 0; i < lines; i++) {
        char *end = memchr(to, '\n', (size_t)(copy_end - to));
        char *next = end ? end + 1 : copy_end;
        if (!end) end = copy_end;
        while (end > to && end[-1] == '\r')
            end--;
        *end = 0;
        list[i] = to;
        to = next;
    }
    list[lines] = NULL;
    *labels = list;
    *count = lines;
    return NND_OK;
}

void nnd_labels_free(char **labels, size_t count)
{
    (void)count; /* one block holds them all */
    nnd_free(labels);
}
