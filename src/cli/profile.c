#include "cli/profile.h"

#include <stdlib.h>
#include <string.h>

/* ---- reading ----------------------------------------------------------------------------- */

static nnd_status profile_doc(nnd_request *request, nnd_json_doc **out)
{
    nnd_json_writer *w = NULL;
    NND_TRY(nnd_json_writer_create(0, &w));
    nnd_status status = nnd_request_profile(request, w);
    if (status == NND_OK) return cli_json_reread(w, out);
    nnd_json_writer_destroy(w);
    return status;
}

static cli_profile_row read_row(const nnd_json *step)
{
    return (cli_profile_row){
        .name = nnd_json_string(nnd_json_get(step, "name"), ""),
        .op = nnd_json_string(nnd_json_get(step, "op"), ""),
        .kernel = nnd_json_string(nnd_json_get(step, "kernel"), ""),
        .dtype = nnd_json_string(nnd_json_get(step, "dtype"), ""),
        .count = 1,
        .ms = nnd_json_number(nnd_json_get(step, "ms"), 0),
        .flops = nnd_json_number(nnd_json_get(step, "flops"), 0),
        .bytes_read = nnd_json_number(nnd_json_get(step, "bytes_read"), 0),
        .bytes_written = nnd_json_number(nnd_json_get(step, "bytes_written"), 0),
    };
}

static double bytes_of(const cli_profile_row *row)
{
    return row->bytes_read + row->bytes_written;
}

/* Products of 8 bits have a peak of their own. */
static bool is_int8(const cli_profile_row *row)
{
    return strcmp(row->dtype, "u8") == 0 || strcmp(row->dtype, "i8") == 0;
}

/* The roofline: no operator is faster than its arithmetic, nor than its memory. */
static void find_limit(cli_profile_row *row, const nnd_peaks *peaks)
{
    double bytes = bytes_of(row);
    double arithmetic = row->flops / (is_int8(row) ? peaks->int8 : peaks->f32) * 1e-6;
    double memory = bytes / nnd_peaks_bandwidth(peaks, bytes) * 1e-6;
    row->by_memory = memory > arithmetic;
    row->limit_ms = row->by_memory ? memory : arithmetic;
}

static void add(cli_profile_row *sum, const cli_profile_row *row)
{
    sum->count += row->count;
    sum->ms += row->ms;
    sum->flops += row->flops;
    sum->bytes_read += row->bytes_read;
    sum->bytes_written += row->bytes_written;
    sum->limit_ms += row->limit_ms;
}

static int slowest_first(const void *a, const void *b)
{
    const cli_profile_row *x = a, *y = b;
    if (x->ms != y->ms) return x->ms < y->ms ? 1 : -1;
    return strcmp(x->name, y->name);
}

static void group(cli_profile *p)
{
    for (size_t i = 0; i < p->count; i++) {
        size_t k = 0;
        while (k < p->group_count && strcmp(p->groups[k].op, p->rows[i].op) != 0)
            k++;
        if (k == p->group_count)
            p->groups[p->group_count++] = (cli_profile_row){.name = "", .op = p->rows[i].op};
        add(&p->groups[k], &p->rows[i]);
    }
    qsort(p->groups, p->group_count, sizeof *p->groups, slowest_first);
}

static void share_out(cli_profile_row *rows, size_t count, double total)
{
    for (size_t i = 0; i < count; i++)
        rows[i].share = total > 0 ? rows[i].ms / total : 0;
}

static nnd_status take_rows(cli_profile *p, int threads, const nnd_cancel *cancel)
{
    const nnd_json *steps = nnd_json_root(p->doc);
    p->count = nnd_json_count(steps);
    p->rows = nnd_calloc(p->count + 1, sizeof *p->rows);
    p->groups = nnd_calloc(p->count + 1, sizeof *p->groups);
    if (!p->rows || !p->groups) return cli_no_memory();
    for (size_t i = 0; i < p->count; i++) {
        p->rows[i] = read_row(nnd_json_at(steps, i));
        p->has_peaks = p->has_peaks || p->rows[i].flops > 0 || bytes_of(&p->rows[i]) > 0;
    }
    if (p->has_peaks) NND_TRY(nnd_peaks_measure(threads, cancel, &p->peaks));
    p->total = (cli_profile_row){.name = "", .op = ""};
    for (size_t i = 0; i < p->count; i++) {
        if (p->has_peaks) find_limit(&p->rows[i], &p->peaks);
        add(&p->total, &p->rows[i]);
    }
    group(p);
    share_out(p->rows, p->count, p->total.ms);
    share_out(p->groups, p->group_count, p->total.ms);
    share_out(&p->total, 1, p->total.ms);
    return NND_OK;
}

nnd_status cli_profile_take(nnd_request *request, int threads, const nnd_cancel *cancel,
                            cli_profile *out)
{
    *out = (cli_profile){0};
    nnd_status status = profile_doc(request, &out->doc);
    if (status == NND_OK) status = take_rows(out, threads, cancel);
    if (status != NND_OK) cli_profile_fini(out);
    return status;
}

void cli_profile_fini(cli_profile *p)
{
    nnd_json_destroy(p->doc);
    nnd_free(p->rows);
    nnd_free(p->groups);
    *p = (cli_profile){0};
}

/* ---- figures ----------------------------------------------------------------------------- */

static double per_second(double amount, double ms)
{
    return ms > 0 ? amount / ms * 1e-6 : 0; /* 10⁹ per second */
}

static double of_peak(const cli_profile_row *row)
{
    return row->ms > 0 ? row->limit_ms / row->ms : 0;
}

static void number(nnd_json_writer *w, const char *key, double value)
{
    nnd_json_key(w, key);
    nnd_json_put_number(w, value);
}

static void text(nnd_json_writer *w, const char *key, const char *value)
{
    nnd_json_key(w, key);
    nnd_json_put_string(w, value);
}

static void put_figures(const cli_profile_row *row, bool has_peaks, nnd_json_writer *w)
{
    number(w, "ms", row->ms);
    number(w, "share", row->share);
    if (!has_peaks) return;
    number(w, "flops", row->flops);
    number(w, "bytes_read", row->bytes_read);
    number(w, "bytes_written", row->bytes_written);
    number(w, "gflops", per_second(row->flops, row->ms));
    number(w, "gbs", per_second(bytes_of(row), row->ms));
    number(w, "of_peak", of_peak(row));
}

static void put_step(const cli_profile_row *row, bool has_peaks, nnd_json_writer *w)
{
    nnd_json_begin_object(w);
    nnd_json_set_inline(w, true);
    text(w, "name", row->name);
    text(w, "op", row->op);
    text(w, "kernel", row->kernel);
    if (row->dtype[0]) text(w, "dtype", row->dtype);
    put_figures(row, has_peaks, w);
    if (has_peaks) text(w, "bound", row->by_memory ? "memory" : "arithmetic");
    nnd_json_end_object(w);
    nnd_json_set_inline(w, false);
}

static void put_sum(const cli_profile_row *row, bool has_peaks, nnd_json_writer *w)
{
    nnd_json_begin_object(w);
    nnd_json_set_inline(w, true);
    if (row->op[0]) text(w, "op", row->op);
    nnd_json_key(w, "count");
    nnd_json_put_int(w, (int64_t)row->count);
    put_figures(row, has_peaks, w);
    nnd_json_end_object(w);
    nnd_json_set_inline(w, false);
}

static void put_peaks(const nnd_peaks *peaks, nnd_json_writer *w)
{
    nnd_json_key(w, "peaks");
    nnd_json_begin_object(w);
    text(w, "isa", peaks->isa);
    nnd_json_key(w, "threads");
    nnd_json_put_int(w, peaks->threads);
    number(w, "f32_gflops", peaks->f32);
    number(w, "int8_gops", peaks->int8);
    nnd_json_key(w, "memory");
    nnd_json_begin_array(w);
    for (size_t i = 0; i < NND_PEAK_LEVELS; i++) {
        nnd_json_begin_object(w);
        nnd_json_set_inline(w, true);
        nnd_json_key(w, "bytes");
        nnd_json_put_int(w, (int64_t)peaks->memory[i].bytes);
        number(w, "gbs", peaks->memory[i].gbs);
        nnd_json_end_object(w);
        nnd_json_set_inline(w, false);
    }
    nnd_json_end_array(w);
    nnd_json_end_object(w);
}

void cli_profile_json(const cli_profile *p, nnd_json_writer *w)
{
    nnd_json_key(w, "profile");
    nnd_json_begin_array(w);
    for (size_t i = 0; i < p->count; i++)
        put_step(&p->rows[i], p->has_peaks, w);
    nnd_json_end_array(w);
    nnd_json_key(w, "operators");
    nnd_json_begin_array(w);
    for (size_t i = 0; i < p->group_count; i++)
        put_sum(&p->groups[i], p->has_peaks, w);
    nnd_json_end_array(w);
    nnd_json_key(w, "total");
    put_sum(&p->total, p->has_peaks, w);
    if (p->has_peaks) put_peaks(&p->peaks, w);
}

/* ---- tables ------------------------------------------------------------------------------ */

/* An amount that may be unknown. */
static void cell(cli_table *t, const char *format, double value)
{
    char digits[48];
    snprintf(digits, sizeof digits, format, value);
    cli_table_add(t, value > 0 ? digits : "");
}

static void add_figures(cli_table *t, const cli_profile_row *row)
{
    cli_table_addf(t, "%.4f", row->ms);
    cli_table_addf(t, "%.1f", row->share * 100);
    cell(t, "%.3f", row->flops * 1e-6);
    cell(t, "%.1f", bytes_of(row) * 1e-3);
    cell(t, "%.1f", per_second(row->flops, row->ms));
    cell(t, "%.1f", per_second(bytes_of(row), row->ms));
    cell(t, "%.0f", of_peak(row) * 100);
}

static void add_heads(cli_table *t, const char *const *first, size_t count)
{
    static const char *const figures[] = {"ms", "%", "MFLOP", "KB", "GFLOP/s", "GB/s", "% of peak"};
    for (size_t i = 0; i < count; i++)
        cli_table_add(t, first[i]);
    for (size_t i = 0; i < NND_COUNT(figures); i++)
        cli_table_add(t, figures[i]);
}

static void print_steps(const cli_profile *p)
{
    static const char *const heads[] = {"OPERATOR", "NAME", "KERNEL", "TYPE"};
    cli_table table = {.columns = 11, .right = 0x7f0u};
    cli_profile_row *sorted = nnd_calloc(p->count + 1, sizeof *sorted);
    if (!sorted) return;
    memcpy(sorted, p->rows, p->count * sizeof *sorted);
    qsort(sorted, p->count, sizeof *sorted, slowest_first);
    add_heads(&table, heads, NND_COUNT(heads));
    for (size_t i = 0; i < p->count; i++) {
        cli_table_add(&table, sorted[i].op);
        cli_table_add(&table, sorted[i].name);
        cli_table_add(&table, sorted[i].kernel);
        cli_table_add(&table, sorted[i].dtype);
        add_figures(&table, &sorted[i]);
    }
    putchar('\n');
    cli_table_print(&table, "");
    nnd_free(sorted);
}

static void print_groups(const cli_profile *p)
{
    static const char *const heads[] = {"OPERATORS", "COUNT"};
    cli_table table = {.columns = 9, .right = 0x1feu};
    add_heads(&table, heads, NND_COUNT(heads));
    for (size_t i = 0; i <= p->group_count; i++) {
        const cli_profile_row *row = i < p->group_count ? &p->groups[i] : &p->total;
        cli_table_add(&table, i < p->group_count ? row->op : "all");
        cli_table_addf(&table, "%zu", row->count);
        add_figures(&table, row);
    }
    putchar('\n');
    cli_table_print(&table, "");
}

void cli_profile_print(const cli_profile *p)
{
    print_steps(p);
    print_groups(p);
    if (!p->has_peaks) return;
    printf("\npeaks of this machine (%s, %d thread%s): %.1f GFLOP/s f32, %.1f GOP/s int8",
           p->peaks.isa, p->peaks.threads, p->peaks.threads == 1 ? "" : "s", p->peaks.f32,
           p->peaks.int8);
    for (size_t i = 0; i < NND_PEAK_LEVELS; i++) {
        char size[32];
        cli_bytes_text(p->peaks.memory[i].bytes, size);
        printf(", %.1f GB/s in %s", p->peaks.memory[i].gbs, size);
    }
    putchar('\n');
}
