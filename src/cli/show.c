/* Results for people. */
#include "cli/values.h"

#include "base/number.h"

#include <string.h>

enum { SHOWN_ELEMENTS = 16 };

void cli_describe_value(const nnd_value *value, nnd_str *out)
{
    char text[128];
    nnd_str_add(out, "");
    if (nnd_value_tensor(value)) {
        nnd_str_add(out, nnd_tensor_describe(nnd_value_tensor(value), text, sizeof text));
    } else if (nnd_value_image(value)) {
        const nnd_image *image = nnd_value_image(value);
        nnd_str_printf(out, "%s %d×%d", nnd_pixel_format_name(image->format), image->width,
                       image->height);
    } else if (nnd_value_detections(value)) {
        size_t n = nnd_value_detections(value)->count;
        nnd_str_printf(out, "%zu detection%s", n, n == 1 ? "" : "s");
    } else if (nnd_value_is(value, "list")) {
        size_t n = nnd_value_list_count(value);
        nnd_str_printf(out, "%zu value%s", n, n == 1 ? "" : "s");
    }
}

/* ---- kinds ------------------------------------------------------------------------------- */

static void show_detections(const char *name, const nnd_detections *d, nnd_str *out)
{
    cli_table table = {.columns = 7, .right = 0x7du};
    static const char *const heads[] = {"#", "label", "score", "x1", "y1", "x2", "y2"};
    nnd_str_printf(out, "%s: %zu detection%s\n", name, d->count, d->count == 1 ? "" : "s");
    if (!d->count) return;
    for (size_t i = 0; i < NND_COUNT(heads); i++)
        cli_table_add(&table, heads[i]);
    for (size_t i = 0; i < d->count; i++) {
        const nnd_detection *item = &d->items[i];
        bool labelled = item->label >= 0 && (size_t)item->label < d->label_count;
        cli_table_addf(&table, "%zu", i);
        if (labelled)
            cli_table_add(&table, d->labels[item->label]);
        else if (item->class_id >= 0)
            cli_table_addf(&table, "class %d", item->class_id);
        else
            cli_table_add(&table, "-");
        cli_table_addf(&table, "%.3f", (double)item->score);
        cli_table_addf(&table, "%.1f", (double)item->x1);
        cli_table_addf(&table, "%.1f", (double)item->y1);
        cli_table_addf(&table, "%.1f", (double)item->x2);
        cli_table_addf(&table, "%.1f", (double)item->y2);
    }
    cli_table_write(&table, "  ", out);
    cli_table_free(&table);
}

static void show_classes(const char *name, const nnd_classes *classes, nnd_str *out)
{
    cli_table table = {.columns = 2, .right = 2u};
    nnd_str_printf(out, "%s:\n", name);
    for (size_t i = 0; i < classes->count; i++) {
        const nnd_class_score *item = &classes->items[i];
        if (item->label)
            cli_table_add(&table, item->label);
        else
            cli_table_addf(&table, "class %d", item->class_id);
        cli_table_addf(&table, "%.4f", (double)item->score);
    }
    cli_table_write(&table, "  ", out);
    cli_table_free(&table);
}

static void add_number(nnd_str *out, const nnd_tensor *t, size_t index)
{
    char number[NND_NUMBER_TEXT];
    double value = nnd_dtype_get(t->dtype, t->data, index);
    if (t->dtype == NND_F64)
        nnd_number_write(value, number);
    else
        nnd_number_write_float((float)value, number);
    nnd_str_add(out, number);
}

/* All elements of a small tensor, else its range. */
static void show_tensor(const char *name, const nnd_tensor *t, nnd_str *out)
{
    char text[128];
    int64_t count = nnd_tensor_count(t);
    nnd_str_printf(out, "%s: tensor %s", name, nnd_tensor_describe(t, text, sizeof text));
    bool numbers = t->data && nnd_tensor_is_dense(t) && t->dtype != NND_STRING &&
                   t->dtype != NND_C64 && t->dtype != NND_C128;
    if (numbers && count > 0 && count <= SHOWN_ELEMENTS) {
        nnd_str_add(out, " =");
        for (int64_t i = 0; i < count; i++) {
            nnd_str_add_char(out, ' ');
            add_number(out, t, (size_t)i);
        }
    } else if (numbers && count > 0) {
        size_t low = 0, high = 0;
        for (size_t i = 1; i < (size_t)count; i++) {
            double value = nnd_dtype_get(t->dtype, t->data, i);
            if (value < nnd_dtype_get(t->dtype, t->data, low)) low = i;
            if (value > nnd_dtype_get(t->dtype, t->data, high)) high = i;
        }
        nnd_str_add(out, ", from ");
        add_number(out, t, low);
        nnd_str_add(out, " to ");
        add_number(out, t, high);
        nnd_str_printf(out, "; --output %s=FILE.npy writes it", name);
    }
    nnd_str_add_char(out, '\n');
}

static void show_text(const char *name, const nnd_text *text, nnd_str *out)
{
    bool many = memchr(text->text, '\n', text->size) != NULL;
    nnd_str_printf(out, "%s:%s", name, many ? "\n" : " ");
    nnd_str_add_n(out, text->text, text->size);
    if (!text->size || text->text[text->size - 1] != '\n') nnd_str_add_char(out, '\n');
}

static void show_list(const char *name, const nnd_value *list, nnd_str *out)
{
    size_t count = nnd_value_list_count(list);
    nnd_str_printf(out, "%s: list of %zu\n", name, count);
    for (size_t i = 0; i < count; i++) {
        char *element = nnd_strf("%s[%zu]", name, i);
        cli_show_value(element ? element : name, nnd_value_list_at(list, i), out);
        nnd_free(element);
    }
}

static void show_json(const char *name, const nnd_value *value, nnd_str *out)
{
    nnd_json_writer *w = NULL;
    char *text = NULL;
    if (nnd_json_writer_create(0, &w) != NND_OK) return;
    nnd_value_to_json(value, w);
    if (nnd_json_writer_take(w, &text, NULL) == NND_OK) nnd_str_printf(out, "%s: %s\n", name, text);
    nnd_free(text);
    nnd_json_writer_destroy(w);
}

void cli_show_value(const char *name, const nnd_value *value, nnd_str *out)
{
    if (!value) {
        nnd_str_printf(out, "%s: nothing\n", name);
    } else if (nnd_value_detections(value)) {
        show_detections(name, nnd_value_detections(value), out);
    } else if (nnd_value_classes(value)) {
        show_classes(name, nnd_value_classes(value), out);
    } else if (nnd_value_tensor(value)) {
        show_tensor(name, nnd_value_tensor(value), out);
    } else if (nnd_value_image(value)) {
        nnd_str_printf(out, "%s: image ", name);
        cli_describe_value(value, out);
        nnd_str_printf(out, "; --output %s=FILE.png writes it\n", name);
    } else if (nnd_value_text(value)) {
        show_text(name, nnd_value_text(value), out);
    } else if (nnd_value_is(value, "list")) {
        show_list(name, value, out);
    } else {
        show_json(name, value, out);
    }
}
