/* SPDX-License-Identifier: Apache-2.0 */
/* memory.c - every allocation of a decoder fails once: there is a reason each time, no crash and no leak of the picture. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pictures/picture.h"

/* glibc's own; a sanitizer has its functions in their place, and this test is left out of its build. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *at, size_t size);

static long countdown = -1; /* so many more succeed; negative: all */

static int fails(void) { return countdown >= 0 && countdown-- == 0; }

void *malloc(size_t size) { return fails() ? NULL : __libc_malloc(size); }
void *calloc(size_t count, size_t size) { return fails() ? NULL : __libc_calloc(count, size); }
void *realloc(void *at, size_t size) { return fails() ? NULL : __libc_realloc(at, size); }

static void every_allocation_fails_once(void **state) {
    (void)state;
    static const char *const names[] = {"progressive.jpg", "half.jpg",   "rgb16.png",  "turned.png",
                                        "interlaced.png",  "lossy.webp", "alpha.webp", "animated.webp",
                                        "turned.webp",     "rgb24.bmp"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[4096];
        long n = 0;
        snprintf(path, sizeof path, VJ_TEST_DIR "/formats/%s", names[i]);
        for (bool whole = false; !whole; n++) {
            vj_picture picture;
            vj_why why;
            countdown = n;
            const vj_status status = vj_picture_read(path, NULL, &picture, &why);
            whole = countdown >= 0; /* none failed */
            countdown = -1;
            if (status != VJ_OK) {
                assert_false(whole);
                assert_null(picture.pixels);
                if (!why.text[0]) fail_msg("%s: no reason when allocation %ld fails", names[i], n);
            }
            vj_picture_free(&picture);
            assert_true(n < 10000);
        }
        assert_true(n > 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_fails_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
