/* The measured peaks of the machine: sane, cancellable, for every ISA and without memory. */
#include "base/isa.h"
#include "infer/peaks.h"
#include "support/oom.h"
#include "support/test.h"

static void every_isa_has_peaks(void **state)
{
    static const nnd_isa isas[] = {NND_ISA_REFERENCE, NND_ISA_AVX2, NND_ISA_AVX512,
                                   NND_ISA_AVX512VNNI, NND_ISA_NEON};
    nnd_isa before = nnd_isa_current();
    (void)state;
    for (size_t i = 0; i < NND_COUNT(isas); i++) {
        nnd_peaks p;
        if (nnd_isa_force(isas[i]) != NND_OK) {
            nnd_error_clear();
            continue;
        }
        assert_ok(nnd_peaks_measure(2, NULL, &p));
        printf("  %-10s %d threads: %.1f GFLOP/s f32, %.1f GOP/s int8, %.1f %.1f %.1f GB/s\n",
               p.isa, p.threads, p.f32, p.int8, p.memory[0].gbs, p.memory[1].gbs, p.memory[2].gbs);
        assert_string_equal(p.isa, nnd_isa_name(isas[i]));
        assert_in_range(p.threads, 1, 2);
        assert_true(p.f32 > 0 && p.int8 > 0);
        for (size_t k = 0; k < NND_PEAK_LEVELS; k++) {
            assert_true(p.memory[k].gbs > 0);
            assert_true(k == 0 || p.memory[k].bytes > p.memory[k - 1].bytes);
        }
    }
    assert_ok(nnd_isa_force(before));
}

static void the_nearest_size_counts(void **state)
{
    const nnd_peaks p = {.memory = {{1 << 10, 3}, {1 << 14, 2}, {1 << 20, 1}}};
    (void)state;
    assert_true(nnd_peaks_bandwidth(&p, 0) == 3);
    assert_true(nnd_peaks_bandwidth(&p, 1 << 11) == 3);
    assert_true(nnd_peaks_bandwidth(&p, 1 << 13) == 2);
    assert_true(nnd_peaks_bandwidth(&p, 1 << 18) == 1);
    assert_true(nnd_peaks_bandwidth(&p, 1e12) == 1);
}

static void measuring_can_be_cancelled(void **state)
{
    nnd_cancel *cancel;
    nnd_peaks p;
    (void)state;
    assert_ok(nnd_cancel_create(NULL, &cancel));
    nnd_cancel_request(cancel);
    assert_status(nnd_peaks_measure(1, cancel, &p), NND_E_CANCELLED);
    nnd_cancel_unref(cancel);
}

static void no_memory_is_an_error(void **state)
{
    nnd_peaks p;
    (void)state;
    oom_begin();
    oom_fail_after(0);
    assert_status(nnd_peaks_measure(1, NULL, &p), NND_E_OUT_OF_MEMORY);
    oom_never();
    oom_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_isa_has_peaks),
        cmocka_unit_test(the_nearest_size_counts),
        cmocka_unit_test(measuring_can_be_cancelled),
        cmocka_unit_test(no_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
