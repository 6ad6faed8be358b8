/* One include for every test: cmocka, or the bundled minimal runner in cross builds. */
#ifndef NND_TEST_SUPPORT_H
#define NND_TEST_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef NND_TEST_LITE
#include "support/lite.h"
#else
#include <cmocka.h>
#endif

#include "nndeploy/base.h"

/* Asserts success and prints the error record otherwise. */
#define assert_ok(expr)                                                                            \
    do {                                                                                           \
        nnd_status assert_status_ = (expr);                                                        \
        if (assert_status_ != NND_OK) {                                                            \
            nnd_error *assert_error_ = nnd_error_take();                                           \
            char *assert_text_ = assert_error_ ? nnd_error_to_string(assert_error_) : NULL;        \
            fprintf(stderr, "%s: %s: %s\n", #expr, nnd_status_name(assert_status_),                \
                    assert_text_ ? assert_text_ : "(no error record)");                            \
            nnd_free(assert_text_);                                                                \
            nnd_error_destroy(assert_error_);                                                      \
            fail();                                                                                \
        }                                                                                          \
    } while (0)

#define assert_status(expr, expected)                                                              \
    do {                                                                                           \
        nnd_status assert_status_ = (expr);                                                        \
        if (assert_status_ != (expected)) {                                                        \
            fprintf(stderr, "%s: got %s, expected %s\n", #expr, nnd_status_name(assert_status_),   \
                    nnd_status_name(expected));                                                    \
            fail();                                                                                \
        }                                                                                          \
    } while (0)

/* Folder with models and media outside the repository, or NULL: the test then calls
   skip_without_data(). */
static inline const char *test_data_dir(void)
{
    const char *dir = getenv("NNDEPLOY_TEST_DATA");
    return dir && dir[0] ? dir : NULL;
}
#define skip_without_data()                                                                        \
    do {                                                                                           \
        if (!test_data_dir()) {                                                                    \
            fprintf(stderr, "skipped: NNDEPLOY_TEST_DATA is not set\n");                           \
            skip();                                                                                \
        }                                                                                          \
    } while (0)

#endif
