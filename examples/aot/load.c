/* SPDX-License-Identifier: Apache-2.0 */
/* load.c - a shared library that `vitjit --emit-lib` wrote, by vj_load: the program knows no model.
 *     usage: load digits.so FOLDER-OF-DIGITS */
#include <vitjit.h>

#include "digits_data.h"

int main(int argc, char **argv) {
    if (argc != 3 || !read_digits(argv[2])) return 2;
    vj_model *model;
    vj_session *session = NULL;
    int64_t dims[VJ_MODEL_MAX_RANK];
    vj_status status = vj_load(argv[1], NULL, &model);
    if (status == VJ_OK) status = vj_session_create(model, &session);
    const int32_t rank = vj_input_shape(model, 0, PICTURES, dims);
    if (status == VJ_OK)
        status = vj_bind_input(session, vj_input_name(model, 0), images, sizeof images, VJ_F32, dims, rank);
    if (status == VJ_OK) status = vj_bind_output(session, 0, logits, sizeof logits);
    if (status == VJ_OK) status = vj_run(session);
    if (status != VJ_OK) fprintf(stderr, "%s: %s\n", argv[1], vj_error_message());
    vj_session_free(session);
    vj_model_free(model);
    return status == VJ_OK ? judge() : 2;
}
