/* SPDX-License-Identifier: Apache-2.0 */
/* text.c - a line of text, read by connectionist temporal classification (Graves et al. 2006) as Paddle's CTCLabelDecode does: [1,T,C], of
 * each step the likeliest character; what is the same as the step before it, and the 0 between characters, are left out. The score is the
 * mean of those that are left. */
#include "results.h"

#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

/* The characters that are left, into room for all steps; how many. */
static int64_t read_line(const vj_array *a, const float *values, int32_t *characters, double *score) {
    const int64_t steps = a->dims[1], classes = a->dims[2];
    int64_t count = 0, before = 0;
    *score = 0;
    for (int64_t t = 0; t < steps; t++, values += classes) {
        int64_t best = 0;
        for (int64_t c = 1; c < classes; c++)
            if (values[c] > values[best]) best = c;
        if (best && (t == 0 || best != before)) {
            characters[count++] = (int32_t)best;
            *score += (double)values[best];
        }
        before = best;
    }
    if (count) *score /= (double)count;
    return count;
}

static vj_status print_json(const vj_result *r, const int32_t *characters, int64_t count, double score) {
    size_t bytes = 1, used = 0;
    for (int64_t i = 0; i < count; i++)
        bytes += strlen(r->recipe->labels[characters[i]]);
    char *text = calloc(bytes, 1);
    cJSON *json = text ? vj_result_json(r) : NULL;
    for (int64_t i = 0; i < count && text; i++) {
        const char *label = r->recipe->labels[characters[i]];
        memcpy(text + used, label, strlen(label));
        used += strlen(label);
    }
    cJSON_AddStringToObject(json, "text", text ? text : "");
    cJSON_AddNumberToObject(json, "score", score);
    free(text);
    return vj_json_print(json);
}

static void print_text(const vj_result *r, const int32_t *characters, int64_t count, double score) {
    char text[256];
    if (!count) {
        printf("%s\n  no text\n", r->file);
        return;
    }
    printf("%s\n  %6.2f %%  ", r->file, 100 * score);
    for (int64_t i = 0; i < count; i++)
        fputs(vj_class_name(r, characters[i], text), stdout);
    printf("\n");
}

/* Every character has a label. The last one, the space, need not be among the model's. */
static bool are_labelled(const vj_recipe *recipe, int64_t classes) {
    for (int32_t i = 0; i < recipe->label_count; i++)
        if (!recipe->labels[i]) return false;
    return classes == recipe->label_count || classes == recipe->label_count - 1;
}

vj_status vj_show_text(const vj_result *r) {
    const vj_array *a = &r->outputs[0];
    if (!are_labelled(r->recipe, a->dims[2]))
        return vj_print_error(
            VJ_BAD_INPUT, r->file,
            "the model tells %lld characters apart, with the one between them; there are labels for %d",
            (long long)a->dims[2], r->recipe->label_count);
    int32_t *characters = malloc(((size_t)a->dims[1] + 1) * sizeof *characters);
    double score;
    if (!characters) return vj_print_error(VJ_SYSTEM, r->file, "no memory for %lld steps", (long long)a->dims[1]);
    const int64_t count = read_line(a, vj_result_data(r, 0), characters, &score);
    vj_status status = VJ_OK;
    if (vj_wants_json(r->command))
        status = print_json(r, characters, count, score);
    else
        print_text(r, characters, count, score);
    free(characters);
    return status;
}
