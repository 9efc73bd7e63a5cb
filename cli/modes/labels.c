/* SPDX-License-Identifier: Apache-2.0 */
/* labels.c - what is printed of a picture's results: a table for people or JSON lines. */
#include "modes.h"

#include <math.h>
#include <stdlib.h>

#include <cjson/cJSON.h>

/* Logits become probabilities; a row that is one already (the graph ends in a softmax) stays. */
static void probabilities(const vj_array *logits, int64_t row, int64_t classes, double *out) {
    double most = -INFINITY, least = INFINITY, sum = 0;
    for (int64_t i = 0; i < classes; i++) {
        out[i] = vj_array_at(logits, row * classes + i);
        sum += out[i];
        most = fmax(most, out[i]);
        least = fmin(least, out[i]);
    }
    if (least >= 0 && fabs(sum - 1) < 1e-3) return;
    sum = 0;
    for (int64_t i = 0; i < classes; i++)
        sum += out[i] = exp(out[i] - most);
    for (int64_t i = 0; i < classes; i++)
        out[i] /= sum;
}

/* The likeliest first; the lower index first among equals. */
static void pick(const double *p, int64_t classes, int32_t *top, int32_t k) {
    for (int32_t n = 0; n < k; n++) {
        int64_t best = -1;
        for (int64_t i = 0; i < classes; i++) {
            const bool behind = n == 0 || p[i] < p[top[n - 1]] || (p[i] == p[top[n - 1]] && i > top[n - 1]);
            if (behind && (best < 0 || p[i] > p[best])) best = i;
        }
        top[n] = (int32_t)best;
    }
}

bool vj_are_class_rows(const vj_tensor_info *t) {
    return vj_is_float((vj_dtype)t->dtype) && t->rank == 2 && t->dims[1] > 0;
}

void vj_rank_classes(const vj_array *logits, int64_t row, int64_t classes, double *p, int32_t *top, int32_t k) {
    probabilities(logits, row, classes, p);
    pick(p, classes, top, k);
}

static const char *label_of(const vj_recipe *recipe, int32_t i) {
    return i < recipe->label_count ? recipe->labels[i] : NULL;
}

static void print_json(cJSON *json) {
    char *text = json ? vj_json_text(json) : NULL;
    if (text) puts(text);
    cJSON_free(text);
    cJSON_Delete(json);
}

static void print_top_json(const char *file, const vj_recipe *recipe, const double *p, const int32_t *top, int32_t k) {
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "file", file);
    cJSON *list = cJSON_AddArrayToObject(json, "top");
    for (int32_t n = 0; n < k; n++) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddNumberToObject(one, "index", top[n]);
        if (label_of(recipe, top[n])) cJSON_AddStringToObject(one, "label", label_of(recipe, top[n]));
        cJSON_AddNumberToObject(one, "probability", p[top[n]]);
        if (!cJSON_AddItemToArray(list, one)) cJSON_Delete(one);
    }
    print_json(json);
}

static void print_top_text(const char *file, const vj_recipe *recipe, const double *p, const int32_t *top, int32_t k) {
    vj_put_plain(stdout, file, false);
    putchar('\n');
    for (int32_t n = 0; n < k; n++) {
        const char *label = label_of(recipe, top[n]);
        if (label)
            printf("  %6.2f %%  %s\n", p[top[n]] * 100, label);
        else
            printf("  %6.2f %%  class %d\n", p[top[n]] * 100, (int)top[n]);
    }
}

vj_status vj_print_labels(const vj_command *command, const char *file, const vj_recipe *recipe, const vj_array *logits,
                          int64_t row, int64_t classes) {
    for (int64_t i = 0; i < classes; i++)
        if (isnan(vj_array_at(logits, row * classes + i)))
            return vj_print_error(VJ_BAD_INPUT, file, "the model's output is not a number");
    int64_t k = command->topk ? command->topk : 5;
    if (k > classes) k = classes;
    double *p = malloc((size_t)classes * sizeof *p);
    int32_t *top = malloc((size_t)k * sizeof *top);
    if (p && top) {
        vj_rank_classes(logits, row, classes, p, top, (int32_t)k);
        const bool json = command->format && command->format[0] == 'j';
        (json ? print_top_json : print_top_text)(file, recipe, p, top, (int32_t)k);
    }
    const bool good = p && top;
    free(p);
    free(top);
    return good ? VJ_OK : vj_print_error(VJ_SYSTEM, file, "no memory");
}

static void print_summaries_json(const char *file, const vj_array *outputs, int32_t count) {
    cJSON *json = cJSON_CreateObject(), *list = cJSON_CreateArray();
    cJSON_AddStringToObject(json, "file", file);
    for (int32_t i = 0; i < count; i++) {
        const vj_summary s = vj_array_summary(&outputs[i]);
        cJSON *one = cJSON_CreateObject(), *dims = cJSON_CreateArray();
        cJSON_AddStringToObject(one, "name", outputs[i].name);
        for (int32_t d = 0; d < outputs[i].rank; d++)
            cJSON_AddItemToArray(dims, cJSON_CreateNumber((double)outputs[i].dims[d]));
        cJSON_AddItemToObject(one, "shape", dims);
        cJSON_AddNumberToObject(one, "min", s.min);
        cJSON_AddNumberToObject(one, "max", s.max);
        cJSON_AddNumberToObject(one, "mean", s.mean);
        cJSON_AddItemToArray(list, one);
    }
    cJSON_AddItemToObject(json, "outputs", list);
    print_json(json);
}

void vj_print_summaries(const vj_command *command, const char *file, const vj_array *outputs, int32_t count) {
    if (command->format && command->format[0] == 'j') {
        print_summaries_json(file, outputs, count);
        return;
    }
    vj_put_plain(stdout, file, false);
    putchar('\n');
    vj_print_outputs(outputs, count);
}
