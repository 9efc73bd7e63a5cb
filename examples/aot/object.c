/* SPDX-License-Identifier: Apache-2.0 */
/* object.c - an emitted object on the threads of libvitjit_rt.   usage: object FOLDER-OF-DIGITS */
#include <stdlib.h>

#include <vitjit_rt.h>

#include "digits.h"
#include "digits_data.h"

int main(int argc, char **argv) {
    if (argc != 2 || !read_digits(argv[1])) return 2;
    digits_context context;
    vj_pool *pool = vj_pool_new(0); /* a thread for each CPU that this process may use */
    if (!pool || digits_init(&context, NULL, 0) != VJ_RUN_OK) return 2;
    const vj_threads threads = vj_pool_threads(pool);
    void *scratch =
        aligned_alloc(DIGITS_ALIGNMENT, (DIGITS_SCRATCH_BYTES(PICTURES, threads.parts) + DIGITS_ALIGNMENT - 1) /
                                            DIGITS_ALIGNMENT * DIGITS_ALIGNMENT);
    const void *inputs[] = {images};
    void *outputs[] = {logits};
    const int status = digits_run_on(&context, PICTURES, inputs, outputs, scratch, &threads);
    vj_pool_free(pool);
    free(scratch);
    return status == VJ_RUN_OK ? judge() : 2;
}
