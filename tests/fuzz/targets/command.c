/* SPDX-License-Identifier: Apache-2.0 */
/* command.c - the command's options: words apart by newlines, parsed and judged, with the sizes and ranges of --shape; nothing is run. */
#include "target.h"

#include "cli/job/job.h"

enum { MOST_WORDS = 64 };

static void judge_sizes(const vj_command *command) {
    vj_request request = {0};
    vj_sizes range = {0};
    vj_fitted_size of;
    vj_sized_command one;
    (void)vj_read_sizes(command, &request);
    vj_request_free(&request);
    if (vj_picture_range(command, &range) == VJ_OK && range.is_range &&
        vj_size_of_picture(command, &range, "a.png", 100, 333, &of) == VJ_OK) {
        if (vj_command_of_size(command, &range, of.size, &one) == VJ_OK) vj_sized_free(&one);
    }
    free((void *)(uintptr_t)range.shape.name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = text_copy(data, size), name[] = "vitjit", *argv[MOST_WORDS + 2] = {name};
    int argc = 1;
    vj_command command;
    for (char *at = text, *end; at && argc <= MOST_WORDS; at = end) {
        if ((end = strchr(at, '\n'))) *end++ = 0;
        argv[argc++] = text_copy((const uint8_t *)at, strlen(at));
    }
    if (vj_command_read(argc, argv, &command) == VJ_OK) {
        char word[VJ_WORD_TEXT];
        vj_command one;
        for (int32_t i = 0; command.precision && vj_command_of_precision(&command, i, word, &one); i++)
            (void)vj_is_comparison(&one);
        judge_sizes(&command);
    }
    vj_command_free(&command);
    for (int i = 1; i < argc; i++)
        free(argv[i]);
    free(text);
    return 0;
}
