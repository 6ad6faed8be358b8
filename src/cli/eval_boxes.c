/* Data sets of eval with boxes: annotations in COCO's JSON form, or a text file per picture. */
#include "cli/eval.h"

#include "base/options.h"
#include "port/port.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- COCO -------------------------------------------------------------------------------- */

/* Ids of the file → indices here, sorted by id. */
typedef struct id_index {
    int64_t id;
    size_t index;
} id_index;
typedef struct id_list {
    id_index *items;
    size_t count;
} id_list;

/* A box before it is known which ones belong to its sample. */
typedef struct placed_box {
    size_t sample, order;
    nnd_truth_box box;
} placed_box;

typedef struct coco {
    eval_dataset *d;
    const char *path;     /* of the annotations */
    const char *pictures; /* folder below the data set's, "" = itself */
    id_list images, categories;
    NND_VEC(placed_box) boxes;
} coco;

static int compare_ids(const void *a, const void *b)
{
    const id_index *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static const id_index *find_id(const id_list *list, int64_t id)
{
    const id_index key = {id, 0};
    if (!list->count) return NULL;
    return bsearch(&key, list->items, list->count, sizeof *list->items, compare_ids);
}

static nnd_status wrong(const coco *f, const nnd_json *at, const char *what)
{
    nnd_status status = nnd_error_set(NND_E_FORMAT, "%s", what);
    nnd_error_set_place(f->path, nnd_json_line(at), nnd_json_column(at));
    return status;
}

static nnd_status list_of(const coco *f, const nnd_json *root, const char *key,
                          const nnd_json **out)
{
    *out = nnd_json_get(root, key);
    if (nnd_json_get_type(*out) == NND_JSON_ARRAY) return NND_OK;
    return nnd_error_set(NND_E_FORMAT, "'%s' has no list '%s'", f->path, key);
}

/* The ids of a list in order of its elements, then sorted. */
static nnd_status read_ids(const coco *f, const nnd_json *list, id_list *out)
{
    out->items = nnd_calloc(nnd_json_count(list) + 1, sizeof *out->items);
    if (!out->items) return cli_no_memory();
    for (size_t i = 0; i < nnd_json_count(list); i++) {
        const nnd_json *one = nnd_json_at(list, i);
        if (!nnd_json_int(nnd_json_get(one, "id"), &out->items[i].id))
            return wrong(f, one, "'id' is missing or no whole number");
        out->items[i].index = i;
    }
    out->count = nnd_json_count(list);
    qsort(out->items, out->count, sizeof *out->items, compare_ids);
    for (size_t i = 1; i < out->count; i++)
        if (out->items[i].id == out->items[i - 1].id)
            return wrong(f, nnd_json_at(list, out->items[i].index), "two elements have this id");
    return NND_OK;
}

/* Classes in the order of their ids, as models without names of classes count them. */
static nnd_status read_categories(coco *f, const nnd_json *list)
{
    NND_TRY(read_ids(f, list, &f->categories));
    for (size_t i = 0; i < f->categories.count; i++) {
        const nnd_json *one = nnd_json_at(list, f->categories.items[i].index);
        const nnd_json *name = nnd_json_get(one, "name");
        int32_t index = -1;
        if (nnd_json_get_type(name) != NND_JSON_STRING)
            return wrong(f, one, "a category has no 'name'");
        NND_TRY(
            eval_add_class(f->d, nnd_json_string(name, ""), nnd_json_string_size(name), &index));
        if ((size_t)index != i) return wrong(f, one, "two categories have one name");
        f->categories.items[i].index = i;
    }
    return NND_OK;
}

static nnd_status read_images(coco *f, const nnd_json *list)
{
    NND_TRY(read_ids(f, list, &f->images));
    for (size_t i = 0; i < nnd_json_count(list); i++) {
        const nnd_json *one = nnd_json_at(list, i);
        const char *file = nnd_json_string(nnd_json_get(one, "file_name"), "");
        if (!file[0]) return wrong(f, one, "an image has no 'file_name'");
        char *name = f->pictures[0] ? nnd_strf("%s/%s", f->pictures, file) : nnd_strdup(file);
        NND_TRY(eval_add_sample(f->d, name, NULL, NULL));
    }
    return NND_OK;
}

static bool is_set(const nnd_json *json)
{
    return nnd_json_bool(json, false) || nnd_json_number(json, 0) != 0;
}

static nnd_status read_annotation(coco *f, const nnd_json *one)
{
    const nnd_json *bbox = nnd_json_get(one, "bbox");
    int64_t image = 0, category = 0;
    double v[4];
    if (!nnd_json_int(nnd_json_get(one, "image_id"), &image) ||
        !nnd_json_int(nnd_json_get(one, "category_id"), &category))
        return wrong(f, one, "an annotation lacks 'image_id' or 'category_id'");
    const id_index *sample = find_id(&f->images, image);
    const id_index *class_id = find_id(&f->categories, category);
    if (!sample) return wrong(f, one, "'image_id' is that of no image");
    if (!class_id) return wrong(f, one, "'category_id' is that of no category");
    for (size_t i = 0; i < NND_COUNT(v); i++)
        v[i] = nnd_json_number(nnd_json_at(bbox, i), NAN);
    if (nnd_json_count(bbox) != 4 || !isfinite(v[0] + v[1] + v[2] + v[3]) || v[2] < 0 || v[3] < 0)
        return wrong(f, one, "'bbox' is not x, y, width, height");
    const double area = nnd_json_number(nnd_json_get(one, "area"), 0);
    const nnd_truth_box box = {v[0],
                               v[1],
                               v[0] + v[2],
                               v[1] + v[3],
                               isfinite(area) ? area : 0,
                               (int32_t)class_id->index,
                               is_set(nnd_json_get(one, "iscrowd")),
                               is_set(nnd_json_get(one, "ignore"))};
    const placed_box placed = {sample->index, f->boxes.count, box};
    return nnd_vec_push(&f->boxes, placed) ? NND_OK : cli_no_memory();
}

static int compare_places(const void *a, const void *b)
{
    const placed_box *x = a, *y = b;
    if (x->sample != y->sample) return x->sample > y->sample ? 1 : -1;
    return (x->order > y->order) - (x->order < y->order);
}

/* Gives every sample its boxes, in the order of the file. */
static nnd_status hand_out(coco *f)
{
    eval_dataset *d = f->d;
    if (!f->boxes.count) return NND_OK;
    qsort(f->boxes.items, f->boxes.count, sizeof *f->boxes.items, compare_places);
    if (!nnd_vec_reserve(&d->boxes, f->boxes.count)) return cli_no_memory();
    for (size_t i = 0; i < f->boxes.count; i++) {
        eval_sample *s = &d->samples.items[f->boxes.items[i].sample];
        if (!s->boxes) s->box = i;
        s->boxes++;
        d->boxes.items[d->boxes.count++] = f->boxes.items[i].box;
    }
    return NND_OK;
}

static nnd_status read_document(coco *f, const nnd_json *root)
{
    const nnd_json *images, *annotations, *categories;
    NND_TRY(list_of(f, root, "images", &images));
    NND_TRY(list_of(f, root, "annotations", &annotations));
    NND_TRY(list_of(f, root, "categories", &categories));
    NND_TRY(read_categories(f, categories));
    NND_TRY(read_images(f, images));
    for (size_t i = 0; i < nnd_json_count(annotations); i++)
        NND_TRY(read_annotation(f, nnd_json_at(annotations, i)));
    return hand_out(f);
}

/* Where the pictures lie: "val2017" for "instances_val2017.json", "images", or the folder. */
static nnd_status find_pictures(const char *folder, const char *file, char **out)
{
    const char *name = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
    const char *underscore = strchr(name, '_');
    const char *set = underscore ? underscore + 1 : name;
    const size_t size = strlen(set) - (nnd_str_ends_with(set, ".json") ? 5 : 0);
    char *candidates[2] = {nnd_strdup_n(set, size), nnd_strdup("images")};
    *out = nnd_strdup("");
    for (size_t i = 0; i < 2 && *out && !(*out)[0]; i++) {
        char *path = candidates[i] ? nnd_strf("%s/%s", folder, candidates[i]) : NULL;
        if (path && nnd_port_dir_exists(path)) {
            nnd_free(*out);
            *out = candidates[i];
            candidates[i] = NULL;
        }
        nnd_free(path);
    }
    for (size_t i = 0; i < 2; i++)
        nnd_free(candidates[i]);
    return *out ? NND_OK : cli_no_memory();
}

static nnd_status scan_coco(eval_dataset *d, const char *path)
{
    coco f = {.d = d, .path = path};
    nnd_json_doc *doc = NULL;
    char *text = NULL, *pictures = NULL;
    size_t size = 0;
    NND_TRY(cli_read_file(path, &text, &size));
    nnd_status status = nnd_json_parse(text, size, path, &doc);
    nnd_port_free(text);
    NND_TRY(status);
    status = find_pictures(d->folder, path, &pictures);
    f.pictures = pictures;
    if (status == NND_OK) status = read_document(&f, nnd_json_root(doc));
    if (status == NND_OK && !d->samples.count)
        status = nnd_error_set(NND_E_NOT_FOUND, "'%s' lists no images", path);
    nnd_json_destroy(doc);
    nnd_free(pictures);
    nnd_free(f.images.items);
    nnd_free(f.categories.items);
    nnd_vec_free(&f.boxes);
    return status;
}

/* ---- a text file per picture ------------------------------------------------------------- */

/* The next word of a line; false behind the last. */
static bool next_word(const char **line, size_t *left, char *word, size_t size)
{
    size_t n = 0;
    while (*left && (**line == ' ' || **line == '\t'))
        ++*line, --*left;
    for (; *left && **line != ' ' && **line != '\t'; ++*line, --*left)
        if (n + 1 < size) word[n++] = **line;
    word[n] = '\0';
    return n > 0;
}

/* "class cx cy w h": the middle and the sides of a box, in parts of the picture's sides. */
static bool read_box_line(const char *line, size_t size, char name[128], nnd_truth_box *box)
{
    char word[64];
    double v[4];
    if (!next_word(&line, &size, name, 128)) return false;
    for (size_t i = 0; i < NND_COUNT(v); i++)
        if (!next_word(&line, &size, word, sizeof word) || !nnd_parse_double(word, &v[i]) ||
            !isfinite(v[i]))
            return false;
    if (next_word(&line, &size, word, sizeof word) || v[2] < 0 || v[3] < 0) return false;
    *box = (nnd_truth_box){
        .x1 = v[0] - v[2] / 2, .y1 = v[1] - v[3] / 2, .x2 = v[0] + v[2] / 2, .y2 = v[1] + v[3] / 2};
    return true;
}

static nnd_status read_box_lines(eval_dataset *d, eval_sample *s, eval_lines lines)
{
    const char *line;
    size_t size;
    s->box = d->boxes.count;
    while (eval_next_line(&lines, &line, &size)) {
        char name[128];
        nnd_truth_box box;
        if (strspn(line, " \t") >= size) continue;
        if (!nnd_utf8_valid(line, size) || !read_box_line(line, size, name, &box))
            return eval_set_problem(s, "line %u of its boxes is not 'class x y width height'",
                                    (unsigned)lines.number);
        NND_TRY(eval_add_class(d, name, strlen(name), &box.class_id));
        if (!nnd_vec_push(&d->boxes, box)) return cli_no_memory();
        s->boxes++;
    }
    return NND_OK;
}

/* A file that cannot be read is a problem of its sample only. */
static nnd_status read_box_file(eval_dataset *d, eval_sample *s)
{
    char *text = NULL;
    size_t size = 0;
    if (s->problem) return NND_OK;
    nnd_status status = cli_read_file(s->truth, &text, &size);
    if (status == NND_E_OUT_OF_MEMORY) return status;
    if (status != NND_OK) return eval_set_problem(s, "its boxes cannot be read");
    status = read_box_lines(d, s, (eval_lines){text, text + size, 0});
    nnd_port_free(text);
    return status;
}

static nnd_status scan_box_files(eval_dataset *d)
{
    static const char *const folders[][2] = {{"images", "labels"}};
    d->relative = true;
    NND_TRY(eval_pair(d, folders, NND_COUNT(folders), ".txt", ".txt", "classes.txt"));
    for (size_t i = 0; i < d->samples.count; i++)
        NND_TRY(read_box_file(d, &d->samples.items[i]));
    return eval_settle_classes(d);
}

/* ---- which of both ----------------------------------------------------------------------- */

/* The annotations of a data set, NULL when it has none: annotations.json, or the only JSON file in
   the folder annotations. */
static nnd_status find_annotations(const eval_dataset *d, char **out)
{
    nnd_port_dir_list list = {0};
    const char *only = NULL;
    size_t count = 0;
    char *path = nnd_strf("%s/annotations.json", d->folder);
    *out = path;
    if (!path) return cli_no_memory();
    if (nnd_port_file_exists(path)) return NND_OK;
    nnd_free(path);
    *out = NULL;
    path = nnd_strf("%s/annotations", d->folder);
    if (!path) return cli_no_memory();
    if (nnd_port_dir_exists(path) && nnd_port_dir_read(path, &list) == 0) {
        for (size_t i = 0; i < list.count; i++)
            if (nnd_str_ends_with(list.names[i], ".json")) only = list.names[i], count++;
        if (count == 1) *out = nnd_strf("%s/%s", path, only);
    }
    nnd_port_dir_list_free(&list);
    nnd_free(path);
    if (count > 1)
        return nnd_error_set(NND_E_INVALID_ARGUMENT,
                             "'%s/annotations' holds %zu files: choose one with --truth", d->folder,
                             count);
    return count && !*out ? cli_no_memory() : NND_OK;
}

nnd_status eval_scan_boxes(eval_dataset *d, const char *truth)
{
    char *path = NULL;
    if (truth) return scan_coco(d, truth);
    NND_TRY(find_annotations(d, &path));
    nnd_status status = path ? scan_coco(d, path) : scan_box_files(d);
    nnd_free(path);
    return status;
}
