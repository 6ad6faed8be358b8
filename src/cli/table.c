/* Columns of text, and numbers for people. */
#include "cli/cli.h"

#include <string.h>

void cli_table_add(cli_table *t, const char *cell)
{
    char *copy = nnd_strdup(cell ? cell : "");
    if (!copy || !nnd_vec_push(&t->cells, copy)) nnd_free(copy);
}

void cli_table_addf(cli_table *t, const char *format, ...)
{
    nnd_str text = {0};
    va_list args;
    va_start(args, format);
    nnd_str_vprintf(&text, format, args);
    va_end(args);
    cli_table_add(t, text.data);
    nnd_str_free(&text);
}

void cli_table_free(cli_table *t)
{
    for (size_t i = 0; i < t->cells.count; i++)
        nnd_free(t->cells.items[i]);
    nnd_vec_free(&t->cells);
}

/* Chinese, Japanese and Korean characters take two columns of a terminal (Unicode annex 11). */
static bool is_wide(uint32_t c)
{
    static const uint32_t ranges[][2] = {{0x1100, 0x115F},  {0x2E80, 0x303E}, {0x3041, 0xA4CF},
                                         {0xAC00, 0xD7A3},  {0xF900, 0xFAFF}, {0xFE30, 0xFE6F},
                                         {0xFF00, 0xFF60},  {0xFFE0, 0xFFE6}, {0x1F300, 0x1FAFF},
                                         {0x20000, 0x3FFFD}};
    for (size_t i = 0; i < NND_COUNT(ranges); i++)
        if (c >= ranges[i][0] && c <= ranges[i][1]) return true;
    return false;
}

/* Columns of a terminal; what is not UTF-8 counts by the byte. */
static size_t text_width(const char *text)
{
    size_t size = strlen(text), width = 0, used = 0;
    for (size_t i = 0; i < size; i += used)
        width += is_wide(nnd_utf8_decode(text + i, size - i, &used)) ? 2 : 1;
    return width;
}

static void add_blanks(nnd_str *out, size_t count)
{
    while (count-- > 0)
        nnd_str_add_char(out, ' ');
}

void cli_table_write(const cli_table *t, const char *indent, nnd_str *out)
{
    size_t widths[16] = {0};
    size_t columns = t->columns < NND_COUNT(widths) ? t->columns : NND_COUNT(widths);
    for (size_t i = 0; i < t->cells.count; i++) {
        size_t width = text_width(t->cells.items[i]);
        if (width > widths[i % columns]) widths[i % columns] = width;
    }
    for (size_t i = 0; i < t->cells.count; i++) {
        size_t column = i % columns, gap = widths[column] - text_width(t->cells.items[i]);
        bool right = t->right >> column & 1u, last = column + 1 == columns;
        nnd_str_add(out, column ? "  " : indent);
        if (right) add_blanks(out, gap);
        nnd_str_add(out, t->cells.items[i]);
        if (!right && !last) add_blanks(out, gap);
        if (last) nnd_str_add_char(out, '\n');
    }
}

void cli_table_print(cli_table *t, const char *indent)
{
    nnd_str text = {0};
    cli_table_write(t, indent, &text);
    if (text.data) fputs(text.data, stdout);
    nnd_str_free(&text);
    cli_table_free(t);
}

void cli_bytes_text(uint64_t bytes, char text[32])
{
    static const char *const units[] = {"bytes", "KB", "MB", "GB", "TB", "PB", "EB"};
    double amount = (double)bytes;
    size_t unit = 0;
    while (amount >= 1000 && unit + 1 < NND_COUNT(units)) {
        amount /= 1000;
        unit++;
    }
    snprintf(text, 32, unit ? "%.1f %s" : "%.0f %s", amount, units[unit]);
}
