/*
 * For test programs that load a vendor's library. It was built without ThreadSanitizer, so its own
 * synchronisation by atomics is invisible and every hand-over between its threads looks like a
 * race. What happens inside such modules is therefore not judged; our code still is, in full.
 * Likewise OpenVINO's threads keep some memory to the end, which is no leak of ours. Included by
 * one file of each program.
 */
#ifndef NND_TESTS_INFER_FOREIGN_CODE_H
#define NND_TESTS_INFER_FOREIGN_CODE_H

#if defined(__SANITIZE_THREAD__)
#define NND_TEST_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NND_TEST_TSAN 1
#endif
#endif

#ifdef NND_TEST_TSAN
__attribute__((visibility("default"))) const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "ignore_noninstrumented_modules=1";
}
#endif

#if defined(__SANITIZE_ADDRESS__)
#define NND_TEST_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define NND_TEST_ASAN 1
#endif
#endif

#ifdef NND_TEST_ASAN
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:CPUStreamsExecutor\nleak:libtbb\nleak:libhwloc\n";
}
#endif

#endif
