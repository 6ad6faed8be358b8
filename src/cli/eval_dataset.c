/* Data sets of eval: folders of classes, pairs of pictures and files; what all layouts share. */
#include "cli/eval.h"

#include "base/options.h"
#include "nndeploy/ops.h"
#include "port/port.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NUMBER 65535 /* classes that are numbers: each takes a place in tables */

/* ---- samples ----------------------------------------------------------------------------- */

nnd_status eval_add_sample(eval_dataset *d, char *name, char *truth, eval_sample **out)
{
    eval_sample sample = {.name = name, .truth = truth, .class_index = -1};
    if (!name || !nnd_vec_push(&d->samples, sample)) {
        nnd_free(name);
        nnd_free(truth);
        return cli_no_memory();
    }
    if (out) *out = &nnd_vec_last(&d->samples);
    return NND_OK;
}

nnd_status eval_set_problem(eval_sample *s, const char *format, ...)
{
    nnd_str text = {0};
    va_list args;
    if (s->problem) return NND_OK;
    va_start(args, format);
    nnd_str_vprintf(&text, format, args);
    va_end(args);
    return nnd_str_take(&text, &s->problem, NULL);
}

void eval_names_free(eval_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        nnd_free(names->items[i]);
    nnd_free(names->items);
    *names = (eval_names){0};
}

void eval_dataset_fini(eval_dataset *d)
{
    for (size_t i = 0; i < d->samples.count; i++) {
        nnd_free(d->samples.items[i].name);
        nnd_free(d->samples.items[i].truth);
        nnd_free(d->samples.items[i].problem);
    }
    for (size_t i = 0; i < d->classes.count; i++)
        nnd_free(d->classes.items[i]);
    nnd_vec_free(&d->samples);
    nnd_vec_free(&d->classes);
    nnd_vec_free(&d->boxes);
    nnd_map_fini(&d->class_index);
    eval_names_free(&d->labels);
    *d = (eval_dataset){0};
}

bool eval_next_line(eval_lines *lines, const char **line, size_t *size)
{
    if (lines->text >= lines->end) return false;
    const size_t left = (size_t)(lines->end - lines->text);
    const char *end = memchr(lines->text, '\n', left);
    *line = lines->text;
    *size = end ? (size_t)(end - lines->text) : left;
    lines->text += end ? *size + 1 : left;
    lines->number++;
    if (*size && (*line)[*size - 1] == '\r') --*size;
    return true;
}

nnd_status eval_read_names(const char *path, eval_names *out)
{
    NND_VEC(char *) names = {0};
    char *text = NULL, *name;
    const char *line;
    size_t size = 0, length;
    NND_TRY(cli_read_file(path, &text, &size));
    eval_lines lines = {text, text + size, 0};
    nnd_status status = NND_OK;
    while (status == NND_OK && eval_next_line(&lines, &line, &length)) {
        name = nnd_strdup_n(line, length);
        if (name && nnd_vec_push(&names, name)) continue;
        nnd_free(name);
        status = cli_no_memory();
    }
    nnd_port_free(text);
    *out = (eval_names){names.items, names.count};
    if (status != NND_OK) eval_names_free(out);
    return status;
}

/* ---- classes ----------------------------------------------------------------------------- */

static int32_t find_class(const eval_dataset *d, const char *name)
{
    return (int32_t)(intptr_t)nnd_map_get(&d->class_index, name) - 1;
}

int32_t eval_class_of(const eval_dataset *d, int32_t class_id, const char *label)
{
    const bool number = class_id >= 0 && (size_t)class_id < d->classes.count;
    if (d->by_number) return number ? class_id : -1;
    if (d->labels.count)
        return class_id >= 0 && (size_t)class_id < d->labels.count
                   ? find_class(d, d->labels.items[class_id])
                   : -1;
    if (label) return find_class(d, label);
    return number ? class_id : -1;
}

nnd_status eval_add_class(eval_dataset *d, const char *name, size_t size, int32_t *out)
{
    char *copy = nnd_strdup_n(name, size);
    if (!copy) return cli_no_memory();
    *out = find_class(d, copy);
    if (*out >= 0) {
        nnd_free(copy);
        return NND_OK;
    }
    if (d->classes.count > MAX_NUMBER) {
        nnd_free(copy);
        return nnd_error_set(NND_E_LIMIT, "the data set has more than %d classes", MAX_NUMBER + 1);
    }
    if (!nnd_vec_push(&d->classes, copy)) {
        nnd_free(copy);
        return cli_no_memory();
    }
    *out = (int32_t)d->classes.count - 1;
    return nnd_map_put(&d->class_index, copy, (void *)(intptr_t)d->classes.count, NULL);
}

/* New indices for old ones. */
static void renumber(eval_dataset *d, const int32_t *next)
{
    for (size_t i = 0; i < d->samples.count; i++) {
        int32_t *index = &d->samples.items[i].class_index;
        if (*index >= 0) *index = next[*index];
    }
    for (size_t i = 0; i < d->boxes.count; i++)
        d->boxes.items[i].class_id = next[d->boxes.items[i].class_id];
}

/* Whether all classes are numbers, which next gets then; *most is the highest. */
static bool read_numbers(const eval_dataset *d, int32_t *next, int32_t *most)
{
    *most = -1;
    for (size_t i = 0; i < d->classes.count; i++) {
        int64_t number = -1;
        const char *name = d->classes.items[i];
        if (!isdigit((unsigned char)name[0]) || !nnd_parse_int(name, &number)) return false;
        if (number > MAX_NUMBER) return false;
        next[i] = (int32_t)number;
        if (next[i] > *most) *most = next[i];
    }
    return d->classes.count > 0;
}

/* A name for every number up to the highest: that of --labels, else the number. */
static nnd_status name_numbers(eval_dataset *d, int32_t most)
{
    for (size_t i = 0; i < d->classes.count; i++)
        nnd_free(d->classes.items[i]);
    nnd_vec_clear(&d->classes);
    for (int32_t n = 0; n <= most; n++) {
        const bool labelled = (size_t)n < d->labels.count;
        char *name = labelled ? nnd_strdup(d->labels.items[n]) : nnd_strf("%d", (int)n);
        if (name && nnd_vec_push(&d->classes, name)) continue;
        nnd_free(name);
        return cli_no_memory();
    }
    return NND_OK;
}

typedef struct named {
    char *name;
    size_t index;
} named;

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const named *)a)->name, ((const named *)b)->name);
}

static nnd_status sort_classes(eval_dataset *d, int32_t *next)
{
    named *order = nnd_calloc(d->classes.count + 1, sizeof *order);
    nnd_status status = NND_OK;
    if (!order) return cli_no_memory();
    for (size_t i = 0; i < d->classes.count; i++)
        order[i] = (named){d->classes.items[i], i};
    qsort(order, d->classes.count, sizeof *order, compare_names);
    for (size_t i = 0; i < d->classes.count && status == NND_OK; i++) {
        d->classes.items[i] = order[i].name;
        next[order[i].index] = (int32_t)i;
        status = nnd_map_put(&d->class_index, order[i].name, (void *)(intptr_t)(i + 1), NULL);
    }
    nnd_free(order);
    return status;
}

nnd_status eval_settle_classes(eval_dataset *d)
{
    int32_t most, *next = nnd_calloc(d->classes.count + 1, sizeof *next);
    if (!next) return cli_no_memory();
    d->by_number = read_numbers(d, next, &most);
    nnd_status status = d->by_number ? name_numbers(d, most) : sort_classes(d, next);
    if (status == NND_OK) renumber(d, next);
    nnd_free(next);
    return status;
}

/* ---- folders of classes, or a list ------------------------------------------------------- */

static bool is_picture(const char *name)
{
    return name[0] != '.' && nnd_image_codec_from_name(name) != NND_CODEC_NONE;
}

static nnd_status list_folder(const char *folder, nnd_port_dir_list *list)
{
    if (nnd_port_dir_read(folder, list) == 0) return NND_OK;
    return nnd_error_set(NND_E_IO, "cannot list the folder '%s'", folder);
}

/* A class is a folder with pictures; their order is that of the names. */
static nnd_status scan_class(eval_dataset *d, const char *name)
{
    nnd_port_dir_list list = {0};
    eval_sample *sample = NULL;
    int32_t index = -1;
    char *folder = nnd_strf("%s/%s", d->folder, name);
    nnd_status status = folder ? list_folder(folder, &list) : cli_no_memory();
    for (size_t i = 0; i < list.count && status == NND_OK; i++) {
        if (!is_picture(list.names[i])) continue;
        status = eval_add_class(d, name, strlen(name), &index);
        if (status == NND_OK)
            status = eval_add_sample(d, nnd_strf("%s/%s", name, list.names[i]), NULL, &sample);
        if (status == NND_OK) sample->class_index = index;
    }
    nnd_port_dir_list_free(&list);
    nnd_free(folder);
    return status;
}

static nnd_status scan_class_folders(eval_dataset *d)
{
    nnd_port_dir_list list = {0};
    NND_TRY(list_folder(d->folder, &list));
    nnd_status status = NND_OK;
    for (size_t i = 0; i < list.count && status == NND_OK; i++) {
        char *path = nnd_strf("%s/%s", d->folder, list.names[i]);
        const bool folder = path && list.names[i][0] != '.' && nnd_port_dir_exists(path);
        status = !path ? cli_no_memory() : folder ? scan_class(d, list.names[i]) : NND_OK;
        nnd_free(path);
    }
    nnd_port_dir_list_free(&list);
    if (status == NND_OK && !d->samples.count)
        return nnd_error_set(NND_E_NOT_FOUND,
                             "'%s' holds neither a folder of pictures per class nor labels.txt",
                             d->folder);
    return status;
}

/* "a/b.jpg<blank>class": the class is what stands behind the tab, else behind the last blank. */
static nnd_status read_list_line(eval_dataset *d, const char *line, size_t size)
{
    eval_sample *sample = NULL;
    int32_t index = -1;
    const char *tab = memchr(line, '\t', size);
    size_t end = tab ? (size_t)(tab - line) : size, begin;
    while (!tab && end > 0 && line[end - 1] != ' ')
        end--;
    begin = tab ? end + 1 : end;
    while (end > 0 && line[end - 1] == ' ')
        end--;
    if (end == 0 || begin >= size)
        return nnd_error_set(NND_E_FORMAT, "a line holds a picture's name and its class");
    NND_TRY(eval_add_class(d, line + begin, size - begin, &index));
    NND_TRY(eval_add_sample(d, nnd_strdup_n(line, end), NULL, &sample));
    sample->class_index = index;
    return NND_OK;
}

static nnd_status scan_class_list(eval_dataset *d, const char *path)
{
    char *text = NULL;
    const char *line;
    size_t size = 0, length;
    NND_TRY(cli_read_file(path, &text, &size));
    eval_lines lines = {text, text + size, 0};
    nnd_status status = NND_OK;
    while (status == NND_OK && eval_next_line(&lines, &line, &length)) {
        if (!length || line[0] == '#') continue;
        status = nnd_utf8_valid(line, length)
                     ? read_list_line(d, line, length)
                     : nnd_error_set(NND_E_FORMAT, "a line is not valid UTF-8");
        if (status != NND_OK) nnd_error_set_place(path, lines.number, 1);
    }
    nnd_port_free(text);
    if (status == NND_OK && !d->samples.count)
        return nnd_error_set(NND_E_NOT_FOUND, "'%s' lists no pictures", path);
    return status == NND_OK ? eval_settle_classes(d) : status;
}

nnd_status eval_scan_classes(eval_dataset *d, const char *truth)
{
    char *own = truth ? nnd_strdup(truth) : nnd_strf("%s/labels.txt", d->folder);
    if (!own) return cli_no_memory();
    nnd_status status =
        truth || nnd_port_file_exists(own) ? scan_class_list(d, own) : scan_class_folders(d);
    nnd_free(own);
    return status;
}

/* ---- pairs of files ---------------------------------------------------------------------- */

static char *below(const char *sub, const char *name)
{
    return sub[0] ? nnd_strf("%s/%s", sub, name) : nnd_strdup(name);
}

static char *join(const char *folder, const char *sub, const char *name)
{
    return nnd_strf("%s/%s%s%s", folder, sub, sub[0] ? "/" : "", name);
}

static size_t stem_of(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot ? (size_t)(dot - name) : strlen(name);
}

/* A picture with the file of its truth, which may be missing. */
static nnd_status add_pair(eval_dataset *d, const char *pictures, const char *truths,
                           const char *name, const char *end)
{
    eval_sample *sample = NULL;
    char *file = nnd_strf("%.*s%s", (int)stem_of(name), name, end);
    char *truth = file ? join(d->folder, truths, file) : NULL;
    nnd_status status = truth ? NND_OK : cli_no_memory();
    if (status == NND_OK) status = eval_add_sample(d, below(pictures, name), truth, &sample);
    if (status == NND_OK && !nnd_port_file_exists(truth))
        status = eval_set_problem(sample, "there is no '%s'", file);
    nnd_free(file);
    return status;
}

/* A truth without a picture is a sample that cannot be measured. */
static nnd_status add_lonely(eval_dataset *d, const char *sub, const char *name)
{
    eval_sample *sample = NULL;
    NND_TRY(eval_add_sample(d, below(sub, name), NULL, &sample));
    return eval_set_problem(sample, "there is no picture for it");
}

/* stems: of the pictures that were paired */
static nnd_status pair_pictures(eval_dataset *d, const char *const folders[2], const char *end,
                                const nnd_port_dir_list *pictures, nnd_map *stems)
{
    for (size_t i = 0; i < pictures->count; i++) {
        const char *name = pictures->names[i];
        if (!is_picture(name) || (!folders[0][0] && nnd_str_ends_with(name, end))) continue;
        NND_TRY(add_pair(d, folders[0], folders[1], name, end));
        char *stem = nnd_strdup_n(name, stem_of(name));
        nnd_status status = stem ? nnd_map_put(stems, stem, stems, NULL) : cli_no_memory();
        nnd_free(stem);
        NND_TRY(status);
    }
    return NND_OK;
}

static nnd_status add_lonely_ones(eval_dataset *d, const char *sub, const char *end,
                                  const char *except, const nnd_port_dir_list *truths,
                                  const nnd_map *stems)
{
    for (size_t i = 0; i < truths->count; i++) {
        const char *name = truths->names[i];
        const size_t size = strlen(name), tail = strlen(end);
        if (size <= tail || !nnd_str_ends_with(name, end) || nnd_str_equal(name, except)) continue;
        if (!nnd_map_get_n(stems, name, size - tail)) NND_TRY(add_lonely(d, sub, name));
    }
    return NND_OK;
}

static nnd_status pair_folders(eval_dataset *d, const char *const folders[2], const char *end,
                               const char *except)
{
    nnd_port_dir_list pictures = {0}, truths = {0};
    nnd_map stems = {0};
    char *a = join(d->folder, folders[0], "."), *b = join(d->folder, folders[1], ".");
    nnd_status status = a && b ? list_folder(a, &pictures) : cli_no_memory();
    if (status == NND_OK) status = list_folder(b, &truths);
    if (status == NND_OK) status = pair_pictures(d, folders, end, &pictures, &stems);
    if (status == NND_OK) status = add_lonely_ones(d, folders[1], end, except, &truths, &stems);
    nnd_map_fini(&stems);
    nnd_port_dir_list_free(&pictures);
    nnd_port_dir_list_free(&truths);
    nnd_free(a);
    nnd_free(b);
    if (status == NND_OK && !d->samples.count)
        return nnd_error_set(NND_E_NOT_FOUND, "'%s' holds no pictures with *%s", d->folder, end);
    return status;
}

static bool has_folder(const eval_dataset *d, const char *name)
{
    char *path = join(d->folder, name, ".");
    const bool there = path && nnd_port_dir_exists(path);
    nnd_free(path);
    return there;
}

nnd_status eval_pair(eval_dataset *d, const char *const folders[][2], size_t folder_count,
                     const char *suffix, const char *flat, const char *except)
{
    static const char *const same[2] = {"", ""};
    for (size_t i = 0; i < folder_count; i++)
        if (has_folder(d, folders[i][0]) && has_folder(d, folders[i][1]))
            return pair_folders(d, folders[i], suffix, except);
    return pair_folders(d, same, flat, except);
}

/* The truth of pairs stands in their files. */
static nnd_status refuse_truth(const char *truth, const char *what)
{
    if (!truth) return NND_OK;
    return nnd_error_set(NND_E_INVALID_ARGUMENT,
                         "--truth: each picture has its own file with its %s", what);
}

nnd_status eval_scan_texts(eval_dataset *d, const char *truth)
{
    static const char *const folders[][2] = {{"images", "labels"}, {"images", "texts"}};
    NND_TRY(refuse_truth(truth, "text"));
    return eval_pair(d, folders, NND_COUNT(folders), ".txt", ".txt", NULL);
}

nnd_status eval_scan_masks(eval_dataset *d, const char *truth)
{
    static const char *const folders[][2] = {{"images", "masks"},
                                             {"images", "labels"},
                                             {"images", "annotations"},
                                             {"JPEGImages", "SegmentationClass"}};
    NND_TRY(refuse_truth(truth, "mask"));
    return eval_pair(d, folders, NND_COUNT(folders), ".png", "_mask.png", NULL);
}
