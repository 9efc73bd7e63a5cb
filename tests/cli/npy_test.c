/* SPDX-License-Identifier: Apache-2.0 */
/* npy_test.c - tests that .npy files written by NumPy are read and damaged ones refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/tensors/tensors.h"

static char path[] = "/tmp/vitjit_npy_XXXXXX";

static int make_file(void **state) {
    (void)state;
    const int fd = mkstemp(path);
    return fd < 0 || close(fd) != 0;
}

static int drop_file(void **state) {
    (void)state;
    return unlink(path);
}

/* Writes a file of version `major` with the header and `bytes` of elements. A negative length means the header's
 * own. */
static void put(int major, const char *header, long length, size_t bytes) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    const size_t own = strlen(header);
    const unsigned long said = length < 0 ? (unsigned long)own : (unsigned long)length;
    const unsigned char head[12] = {0x93,
                                    'N',
                                    'U',
                                    'M',
                                    'P',
                                    'Y',
                                    (unsigned char)major,
                                    0,
                                    (unsigned char)said,
                                    (unsigned char)(said >> 8),
                                    (unsigned char)(said >> 16),
                                    (unsigned char)(said >> 24)};
    fwrite(head, 1, major == 2 ? 12 : 10, file);
    fwrite(header, 1, own, file);
    for (size_t i = 0; i < bytes; i++)
        fputc((int)(i % 2), file);
    assert_int_equal(fclose(file), 0);
}

static bool reads(vj_array *array) {
    char why[512] = "";
    const bool good = vj_npy_read(path, array, why) == VJ_OK;
    if (good) {
        assert_string_equal(why, "");
    } else {
        assert_null(array->data);
        assert_true(strlen(why) > 0);
    }
    return good;
}

static void refused(int major, const char *header, long length, size_t bytes) {
    vj_array array;
    put(major, header, length, bytes);
    if (reads(&array)) fail_msg("was read: %s", header);
}

static void accepted(int major, const char *header, size_t bytes, vj_dtype dtype, int32_t rank) {
    vj_array array;
    put(major, header, -1, bytes);
    if (!reads(&array)) fail_msg("was refused: %s", header);
    assert_int_equal(array.dtype, dtype);
    assert_int_equal(array.rank, rank);
    assert_int_equal(array.bytes, bytes);
    vj_array_free(&array);
}

static void good_files(void **state) {
    (void)state;
    accepted(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", 24, VJ_F32, 2);
    accepted(2, "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }   \n", 24, VJ_F64, 1);
    accepted(1, "{\"shape\": (), \"descr\": '<i8', 'fortran_order': False}", 8, VJ_I64, 0);
    accepted(1, "{'descr': '|b1', 'fortran_order': False, 'shape': (4,), }\n", 4, VJ_BOOL, 1);
    accepted(1, "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 1, 5), }\n", 5, VJ_U8, 8);
    accepted(1, "{'descr': '<f2', 'fortran_order': False, 'shape': (0, 9), }\n", 0, VJ_F16, 2);
}

static void bad_headers(void **state) {
    (void)state;
    refused(1, "", -1, 0);
    refused(1, "{}\n", -1, 4);
    refused(1, "{'descr': '<f4', 'fortran_order': False, }\n", -1, 4);
    refused(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1, }\n", -1, 4);
    refused(1, "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,), }\n", -1, 4);
    refused(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (1), }\n", -1, 4);
    refused(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }\n", -1, 4);
    refused(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} tail\n", -1, 4);
    refused(1, "{'descr': '<f4', 'fortran_order': True, 'shape': (1,), }\n", -1, 4);
    refused(1, "{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }\n", -1, 4);
    refused(1, "{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }\n", -1, 8);
    refused(1, "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n", -1, 8);
    refused(1, "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }\n", -1, 4);
    refused(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 1, 1, 1), }\n", -1, 4);
    refused(3, "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }\n", -1, 4);
    refused(1, "{'descr': '<f4", -1, 4);
}

static void bad_sizes(void **state) {
    (void)state;
    const char *one = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }\n";
    refused(1, one, -1, 3);
    refused(1, one, -1, 5);
    refused(1, one, 5000, 4);
    refused(2, one, 0x7fffffff, 4);
    refused(2, one, 0xffffffff, 4);
    refused(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807,), }\n", -1, 4);
    refused(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }\n", -1, 4);
    refused(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }\n", -1, 0);
    refused(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904,), }\n", -1, 0);
    put(1, "{'descr': '|b1', 'fortran_order': False, 'shape': (4,), }\n", -1, 3);
    FILE *file = fopen(path, "ab");
    fputc(2, file); /* neither true nor false */
    fclose(file);
    vj_array array;
    assert_false(reads(&array));
}

/* Cuts every file anywhere and changes any byte. The file must be refused, or read within its bounds. */
static void damaged(void **state) {
    (void)state;
    unsigned char whole[256];
    put(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", -1, 24);
    FILE *file = fopen(path, "rb");
    const size_t size = fread(whole, 1, sizeof whole, file);
    fclose(file);
    for (size_t cut = 0; cut < size; cut++) {
        vj_array array;
        assert_int_equal(truncate(path, 0), 0);
        file = fopen(path, "wb");
        fwrite(whole, 1, cut, file);
        fclose(file);
        assert_false(reads(&array));
    }
    for (size_t at = 0; at < size; at++) {
        for (int flip = 1; flip < 256; flip += 13) {
            vj_array array;
            file = fopen(path, "wb");
            whole[at] ^= (unsigned char)flip;
            fwrite(whole, 1, size, file);
            whole[at] ^= (unsigned char)flip;
            fclose(file);
            if (reads(&array)) vj_array_free(&array);
        }
    }
}

static void round_trip(void **state) {
    (void)state;
    for (int32_t dtype = VJ_F32; dtype < VJ_DTYPE_COUNT; dtype++) {
        if (!vj_npy_can_hold((vj_dtype)dtype)) continue;
        vj_array a = {.dtype = (vj_dtype)dtype, .rank = dtype % 4, .dims = {3, 1, 5}}, b;
        assert_true(vj_array_alloc(&a));
        vj_array_fill(&a, 7);
        FILE *file = fopen(path, "wb");
        assert_true(vj_npy_write(file, &a));
        assert_int_equal((ftell(file) - (long)a.bytes) % 64, 0);
        fclose(file);
        assert_true(reads(&b));
        assert_int_equal(a.dtype, b.dtype);
        assert_int_equal(a.rank, b.rank);
        for (int32_t d = 0; d < a.rank; d++)
            assert_int_equal(a.dims[d], b.dims[d]);
        assert_memory_equal(a.data, b.data, a.bytes);
        vj_array_free(&a);
        vj_array_free(&b);
    }
    assert_false(vj_npy_can_hold(VJ_BF16));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(good_files), cmocka_unit_test(bad_headers),
                                       cmocka_unit_test(bad_sizes), cmocka_unit_test(damaged),
                                       cmocka_unit_test(round_trip)};
    return cmocka_run_group_tests(tests, make_file, drop_file);
}
