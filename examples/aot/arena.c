/* SPDX-License-Identifier: Apache-2.0 */
/* arena.c - an emitted object without heap and without a library: all memory is static, and known to the linker.
 *     usage: arena FOLDER-OF-DIGITS */
#include "digits.h"
#include "digits_data.h"

static _Alignas(DIGITS_ALIGNMENT) unsigned char scratch[DIGITS_SCRATCH_BYTES(PICTURES, 1)];
static digits_context context;

int main(int argc, char **argv) {
    if (argc != 2 || !read_digits(argv[1])) return 2;
    const void *inputs[] = {images};
    void *outputs[] = {logits};
    if (digits_init(&context, NULL, 0) != VJ_RUN_OK) return 2;
    if (digits_run(&context, PICTURES, inputs, outputs, scratch) != VJ_RUN_OK) return 2;
    return judge();
}
