/* SPDX-License-Identifier: Apache-2.0 */
/* towers.c - how near texts are to a picture: logits_per_image [1,T]. Beside each other by a softmax (CLIP), or each alone by a sigmoid
 * (SigLIP). Labels name the texts. */
#include "results.h"

#include <math.h>
#include <stdlib.h>

#include <cjson/cJSON.h>

static void probabilities(const vj_result *r, int64_t texts, double *p) {
    const float *logits = vj_result_data(r, 0);
    double most = -INFINITY, sum = 0;
    for (int64_t t = 0; t < texts; t++)
        most = fmax(most, (double)logits[t]);
    for (int64_t t = 0; t < texts; t++) {
        p[t] = r->reading->sigmoid ? 1 / (1 + exp(-(double)logits[t])) : exp((double)logits[t] - most);
        sum += p[t];
    }
    for (int64_t t = 0; t < texts && !r->reading->sigmoid; t++)
        p[t] /= sum;
}

static const char *name_of(const vj_result *r, int64_t t, char text[256]) {
    if (t < r->recipe->label_count) return vj_class_name(r, t, text);
    snprintf(text, 256, "text %lld", (long long)t);
    return text;
}

vj_status vj_show_towers(const vj_result *r) {
    const int64_t texts = r->outputs[0].dims[1];
    const float *logits = vj_result_data(r, 0);
    double *p = malloc(((size_t)texts + 1) * sizeof *p);
    char text[256];
    if (!p) return vj_print_error(VJ_SYSTEM, r->file, "no memory for %lld texts", (long long)texts);
    probabilities(r, texts, p);
    vj_status status = VJ_OK;
    if (vj_wants_json(r->command)) {
        cJSON *json = vj_result_json(r), *list = cJSON_AddArrayToObject(json, "texts");
        for (int64_t t = 0; t < texts; t++) {
            cJSON *one = vj_json_class(r, list, t);
            cJSON_AddNumberToObject(one, "logit", (double)logits[t]);
            cJSON_AddNumberToObject(one, "probability", p[t]);
        }
        status = vj_json_print(json);
    } else {
        printf("%s\n", r->file);
        for (int64_t t = 0; t < texts; t++)
            printf("  %6.2f %%  %8.4f  %s\n", 100 * p[t], (double)logits[t], name_of(r, t, text));
    }
    free(p);
    return status;
}
