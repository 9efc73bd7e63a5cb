/* SPDX-License-Identifier: Apache-2.0 */
/* A user's program: compiles a model, runs a batch of two, prints the version. */
#include <stdio.h>
#include <stdlib.h>

#include <vitjit.h>

int main(int argc, char **argv) {
    vj_options options;
    vj_model *model;
    vj_session *session;
    static float images[2 * 64], logits[2 * 10];
    const int64_t dims[] = {2, 1, 8, 8};
    if (argc != 2) return 1;
    vj_options_init(&options);
    options.cache = "";
    if (vj_compile_file(argv[1], &options, &model) != VJ_OK || vj_session_create(model, &session) != VJ_OK ||
        vj_bind_input(session, "image", images, sizeof images, VJ_F32, dims, 4) != VJ_OK ||
        vj_bind_output(session, 0, logits, sizeof logits) != VJ_OK || vj_run(session) != VJ_OK) {
        fprintf(stderr, "%s\n", vj_error_message());
        return 2;
    }
    for (int i = 0; i < 10; i++)
        if (logits[i] != logits[10 + i]) return 3;
    vj_session_free(session);
    vj_model_free(model);
    printf("%s\n", vj_version());
    return 0;
}
