/* SPDX-License-Identifier: Apache-2.0 */
/* shapes.c - tests an object for several shapes, made by the command line, with one file of weights. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "folder.h"

static const char *folder;

#define EMIT(exporter, more)                                                                                           \
    "cd %s && VITJIT_CACHE=cache " VJ_CLI " " VJ_RESOLUTIONS "/" exporter ".onnx --quiet " more " > said 2>&1", folder
#define TWO "--shape image=Nx3x24x24 --shape image=Nx3x40x32"

static void says(const char *what) { assert_int_equal(status_of("grep -q -- '%s' %s/said", what, folder), 0); }

/* Emits for CPUs ("" is the host's), builds the program, and compares its results with ONNX Runtime's. */
static void try(const char *exporter, const char *cpus) {
    assert_int_equal(status_of("VITJIT_CACHE=%s/cache " VJ_CLI " " VJ_RESOLUTIONS "/%s.onnx " TWO
                               " --emit-obj --prefix any --weights file -o %s/any.o %s > /dev/null",
                               folder, exporter, folder, cpus),
                     0);
    assert_int_equal(status_of(VJ_CC
                               " " VJ_FLAGS
                               " -std=c17 -D_DEFAULT_SOURCE -O1 -Wall -Wextra -Wpedantic -Werror -I%s -I" VJ_INCLUDE_DIR
                               " " VJ_TEST_DIR "/resolutions.c %s/any.o " VJ_RT " -o %s/program -lm -lpthread",
                               folder, folder, folder),
                     0);
    assert_int_equal(status_of("%s/program %s/any.weights " VJ_RESOLUTIONS "/%s.24x24.npy " VJ_RESOLUTIONS
                               "/%s.40x32.npy",
                               folder, folder, exporter, exporter),
                     0);
}

static void test_both_exporters(void **state) {
    (void)state;
    try("ts17", "");
#if defined(__x86_64__)
    try("dy20", "--cpu v1,v2,v3");
#else
    try("dy20", "");
#endif
}

static void test_cpp(void **state) {
    (void)state;
    if (!VJ_CXX[0]) skip();
    assert_int_equal(status_of(VJ_CXX " " VJ_FLAGS
                                      " -std=c++11 -O1 -Wall -Wextra -Wpedantic -Werror -I%s -I" VJ_INCLUDE_DIR
                                      " " VJ_TEST_DIR "/resolutions.cpp %s/any.o " VJ_RT " -o %s/program -lm -lpthread",
                               folder, folder, folder),
                     0);
    assert_int_equal(status_of("%s/program %s/any.weights", folder, folder), 0);
}

/* With several inputs, each is given once for every shape, or once for all. */
static void test_several_inputs(void **state) {
    (void)state;
    assert_int_equal(status_of(EMIT("three", "--shape a=Nx3 --shape b=Nx5 --shape b=Nx6 --shape c=Nx9 --shape a=Nx4 "
                                             "--emit-obj --prefix three")),
                     0);
    static const int sizes[][3] = {{3, 5, 9}, {4, 6, 9}};
    for (int s = 0; s < 2; s++)
        for (int i = 0; i < 3; i++)
            assert_int_equal(status_of("grep -q 'define THREE_SHAPE_%d_INPUT_%d_BYTES(n) ((size_t)(n) . (size_t)%d)' "
                                       "%s/three.h",
                                       s, i, 4 * sizes[s][i], folder),
                             0);
}

/* N demands an open batch; with a number, the object is for one batch size. */
static void test_batch(void **state) {
    (void)state;
    assert_int_equal(status_of(EMIT("mixed", "--shape x=Nx3 --shape x=Nx4 --emit-obj")), 3);
    says("for x=Nx3: ");
    assert_int_equal(status_of(EMIT("mixed", "--shape x=5x3 --shape x=5x4 --batch 5 --emit-obj")), 0);
    assert_int_equal(status_of("grep -q 'define MIXED_SHAPE_1_MAX_BATCH 1$' %s/mixed.h && "
                               "grep -q 'define MIXED_SHAPE_1_INPUT_0_BYTES(n) ((size_t)80)' %s/mixed.h",
                               folder, folder),
                     0);
}

static void test_refused(void **state) {
    (void)state;
    assert_int_equal(status_of(EMIT("ts17", TWO)), 1);
    says("--emit-obj makes one object for several shapes");
    assert_int_equal(status_of(EMIT("ts17", TWO " --emit-lib")), 3);
    says("a shared library has one shape");
    assert_int_equal(status_of(EMIT("ts17", TWO " --shape image=2x3x24x24 --emit-obj")), 1);
    says("shapes 0 and 2 are the same");
    assert_int_equal(status_of(EMIT("ts17", TWO " --shape other=1 --emit-obj")), 1);
    says("there is no input .other.");
    assert_int_equal(status_of(EMIT("ts17", TWO " --shape image=Nx3x8x8 --shape a=1 --shape a=2 --emit-obj")), 1);
    says("given 2 times for .a. and 3 times for .image.");
    assert_int_equal(status_of(EMIT("ts17", TWO " --shape image=Nx3xN --emit-obj")), 1);
    says("for image=Nx3xN: ");
}

static int make_folder(void **state) {
    (void)state;
    const bool made = folder_make();
    folder = folder_path();
    return made ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    return !folder_remove();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_both_exporters), cmocka_unit_test(test_cpp),
                                       cmocka_unit_test(test_several_inputs), cmocka_unit_test(test_batch),
                                       cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
