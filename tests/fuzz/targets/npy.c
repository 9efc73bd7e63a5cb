/* SPDX-License-Identifier: Apache-2.0 */
/* npy.c - a NumPy file; what is read is written, and reads back the same. */
#include "target.h"

#include "cli/tensors/tensors.h"

static void again(const vj_array *array) {
    char *bytes = NULL, why[512];
    size_t size;
    FILE *out = open_memstream(&bytes, &size);
    if (!out) exit(2);
    MUST(vj_npy_can_hold(array->dtype) && vj_npy_write(out, array));
    fclose(out);
    vj_array other;
    MUST(vj_npy_read(file_of((const uint8_t *)bytes, size), &other, why) == VJ_OK);
    MUST(vj_same_type(array, &other) && other.bytes == array->bytes);
    MUST(array->bytes == 0 || memcmp(array->data, other.data, array->bytes) == 0);
    vj_array_free(&other);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    vj_array array;
    char why[512] = "";
    if (vj_npy_read(file_of(data, size), &array, why) == VJ_OK) {
        (void)vj_array_summary(&array);
        again(&array);
        vj_array_free(&array);
    } else {
        MUST(why[0]);
    }
    return 0;
}
