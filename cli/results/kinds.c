/* SPDX-License-Identifier: Apache-2.0 */
/* kinds.c - the table of kinds of results, and which one a model's outputs are. Rows with architectures go before those that tell by
 * outputs alone; the first that fits is taken. */
#include "results.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LOGITS_AND_BOXES      {{"logits", 3, 0}, {"pred_boxes", 3, 4}}
#define LOGITS_AND_MASKS      {{"class_queries_logits", 3, 0}, {"masks_queries_logits", 4, 0}}
#define FOUND_POINTS          {{"keypoints", 3, 2}, {"scores", 2, 0}, {"mask", 2, 0}}
#define LOGITS_AND_PRED_MASKS {{"logits", 3, 0}, {"pred_masks", 4, 0}}

static bool is_segments(const vj_model *model, const int32_t *at);
static bool is_restored(const vj_model *model, const int32_t *at);

/* An architecture that begins with `*` is all that end so. */
// clang-format off
static const vj_kind table[] = {
    {"a detector", "DetrForObjectDetection|YolosForObjectDetection|TableTransformerForObjectDetection", LOGITS_AND_BOXES, vj_show_objects, VJ_OBJECTS_SOFTMAX, "objects", true, 0.5, NULL},
    {"a detector", "ConditionalDetrForObjectDetection|DeformableDetrForObjectDetection|DabDetrForObjectDetection|LwDetrForObjectDetection", LOGITS_AND_BOXES, vj_show_objects, VJ_OBJECTS_TOP_100, "objects", true, 0.5, NULL},
    {"a detector", "RTDetrForObjectDetection|RTDetrV2ForObjectDetection|DFineForObjectDetection|RfDetrForObjectDetection|Deimv2ForObjectDetection", LOGITS_AND_BOXES, vj_show_objects, VJ_OBJECTS_TOP_QUERIES, "objects", true, 0.5, NULL},
    {"a detector", "*ForObjectDetection", LOGITS_AND_BOXES, vj_show_objects, VJ_OBJECTS_BY_LABELS, "objects", true, 0.5, NULL},
    {"a segmenter", "*ForSemanticSegmentation|*SegmentationModel", {{"logits", 4, 0}}, vj_show_segments, 0, "mask", false, 0, NULL},
    {"a segmenter", "Mask2FormerForUniversalSegmentation", LOGITS_AND_MASKS, vj_show_queries, VJ_QUERIES_384, "mask", false, 0.5, NULL},
    {"a segmenter", "EomtForUniversalSegmentation|EomtDinov3ForUniversalSegmentation", LOGITS_AND_MASKS, vj_show_queries, VJ_QUERIES_INPUT, "mask", false, 0.8, NULL},
    {"a segmenter", "OneFormerForUniversalSegmentation", LOGITS_AND_MASKS, vj_show_queries, VJ_QUERIES_ONEFORMER, "mask", false, 0.5, NULL},
    {"a segmenter", "*ForUniversalSegmentation|*ForInstanceSegmentation", LOGITS_AND_MASKS, vj_show_queries, VJ_QUERIES_PLAIN, "mask", false, 0.5, NULL},
    {"a segmenter", "ConditionalDetrForSegmentation", LOGITS_AND_PRED_MASKS, vj_show_queries, VJ_QUERIES_NO_NULL, "mask", false, 0.5, NULL},
    {"a segmenter", "DetrForSegmentation", LOGITS_AND_PRED_MASKS, vj_show_queries, VJ_QUERIES_DETR, "mask", false, 0.5, NULL},
    {"depth", "*ForDepthEstimation", {{"predicted_depth", 3, 0}}, vj_show_depth, 0, "depth", false, 0, NULL},
    {"a picture", "*ForImageSuperResolution", {{"reconstruction", 4, 0}}, vj_show_restored, 0, "restored", false, 0, NULL},
    {"a foreground", "BiRefNet|BriaRMBG|MODNet", {{"logits|alphas|output|output_image", 4, 0}}, vj_show_matte, 0, "foreground", false, 0, NULL},
    {"key points", "VitPoseForPoseEstimation", {{"heatmaps", 4, 0}}, vj_show_pose, VJ_POSE_MAPS, "keypoints", true, -1, NULL},
    {"key points", "SuperPointForKeypointDetection", FOUND_POINTS, vj_show_points, VJ_POSE_POINTS, "keypoints", true, -1, NULL},
    {"a line of text", "CTCLabelDecode", {{NULL, 3, 0}}, vj_show_text, 0, NULL, false, 0, NULL},
    {"texts beside a picture", "CLIPModel|SiglipModel|Siglip2Model|ChineseCLIPModel|AltCLIPModel|AlignModel|MetaClip2Model", {{"logits_per_image", 2, 0}}, vj_show_towers, 0, NULL, false, 0, NULL},

    {"a segmenter", NULL, LOGITS_AND_PRED_MASKS, vj_show_queries, VJ_QUERIES_DETR, "mask", false, 0.5, NULL},
    {"a detector", NULL, LOGITS_AND_BOXES, vj_show_objects, VJ_OBJECTS_BY_LABELS, "objects", true, 0.5, NULL},
    {"a detector", NULL, {{"labels", 2, 0}, {"boxes", 3, 4}, {"scores", 2, 0}}, vj_show_placed, 0, "objects", true, 0.5, vj_is_placed},
    {"a segmenter", NULL, LOGITS_AND_MASKS, vj_show_queries, VJ_QUERIES_PLAIN, "mask", false, 0.5, NULL},
    {"depth", NULL, {{"predicted_depth|depth", 3, 0}}, vj_show_depth, 0, "depth", false, 0, NULL},
    {"depth", NULL, {{"predicted_depth|depth", 4, 0}}, vj_show_depth, 0, "depth", false, 0, NULL},
    {"a picture", NULL, {{"reconstruction", 4, 0}}, vj_show_restored, 0, "restored", false, 0, NULL},
    {"key points", NULL, {{"heatmaps", 4, 0}}, vj_show_pose, VJ_POSE_MAPS, "keypoints", true, -1, NULL},
    {"key points", NULL, FOUND_POINTS, vj_show_points, VJ_POSE_POINTS, "keypoints", true, -1, NULL},
    {"texts beside a picture", NULL, {{"logits_per_image", 2, 0}}, vj_show_towers, 0, NULL, false, 0, NULL},
    {"a detector of YOLO's kind", NULL, {{NULL, 3, 0}}, vj_show_yolo, VJ_YOLO_PLANES, "objects", true, 0.25, vj_is_yolo_planes},
    {"a detector of YOLO's kind", NULL, {{NULL, 3, 0}}, vj_show_yolo, VJ_YOLO_ROWS, "objects", true, 0.25, vj_is_yolo_rows},
    {"a detector of YOLO's kind", NULL, {{NULL, 3, 6}}, vj_show_yolo, VJ_YOLO_DONE, "objects", true, 0.25, vj_is_yolo_done},
    {"a foreground", NULL, {{NULL, 4, 0}}, vj_show_matte, 0, "foreground", false, 0, vj_is_matte},
    {"a picture", NULL, {{NULL, 4, 0}}, vj_show_restored, 0, "restored", false, 0, is_restored},
    {"a segmenter", NULL, {{NULL, 4, 0}}, vj_show_segments, 0, "mask", false, 0, is_segments},
};
// clang-format on
enum { ROWS = sizeof table / sizeof *table };

/* Is the text one of the words that `|` parts? One that begins with `*` is the end of many. */
static bool is_one_of(const char *words, const char *text) {
    const size_t length = strlen(text);
    for (const char *at = words; *at;) {
        const size_t word = strcspn(at, "|"), tail = word - 1;
        if (*at == '*' && length >= tail && strncmp(text + length - tail, at + 1, tail) == 0) return true;
        if (word == length && strncmp(at, text, word) == 0) return true;
        at += word + (at[word] == '|');
    }
    return false;
}

/* One map of classes that is not much smaller than the input. */
static bool is_segments(const vj_model *model, const int32_t *at) {
    const int64_t *dims = model->outputs[at[0]].dims;
    vj_picture_input in;
    return vj_model_picture(model, &in) && vj_plain_outputs(model) == 1 && dims[1] >= 2 && dims[1] <= 400 &&
           dims[2] >= in.height / 8 && dims[3] >= in.width / 8 && dims[2] > 1 && dims[3] > 1;
}

/* A picture at least as large as the input. */
static bool is_restored(const vj_model *model, const int32_t *at) {
    const int64_t *dims = model->outputs[at[0]].dims;
    vj_picture_input in;
    return vj_model_picture(model, &in) && vj_plain_outputs(model) == 1 && dims[1] == 3 && in.channels == 3 &&
           dims[2] >= in.height && dims[3] >= in.width;
}

/* What has the name may be of whole numbers, too. */
static bool has_form(const vj_tensor_info *t, const vj_wanted *wanted, bool named) {
    const bool type = vj_is_float((vj_dtype)t->dtype) || (named && (t->dtype == VJ_I64 || t->dtype == VJ_I32));
    return t->rank == wanted->rank && type && (!wanted->last || t->dims[t->rank - 1] == wanted->last);
}

static bool is_taken(const int32_t *at, int32_t count, int32_t output) {
    for (int32_t i = 0; i < count; i++)
        if (at[i] == output) return true;
    return false;
}

/* The output of the name, or else, where names do not matter, the first of that form. -1: none. */
static int32_t find_output(const vj_model *model, const vj_kind *kind, int32_t number, bool by_form,
                           const int32_t *at) {
    const vj_wanted *wanted = &kind->outputs[number];
    const int32_t count = vj_plain_outputs(model);
    for (int32_t i = 0; i < count && wanted->names; i++)
        if (is_one_of(wanted->names, model->outputs[i].name) && has_form(&model->outputs[i], wanted, true)) return i;
    for (int32_t i = 0; i < count && (by_form || !wanted->names); i++)
        if (!is_taken(at, number, i) && has_form(&model->outputs[i], wanted, false)) return i;
    return -1;
}

static bool fits(const vj_model *model, const vj_kind *kind, bool by_form, int32_t at[VJ_KIND_OUTPUTS]) {
    for (int32_t i = 0; i < VJ_KIND_OUTPUTS; i++) {
        at[i] = -1;
        if (kind->outputs[i].rank && (at[i] = find_output(model, kind, i, by_form, at)) < 0) return false;
    }
    return !kind->fits || kind->fits(model, at);
}

/* By the architecture, with the outputs' names or, where they have others, their forms. */
static bool choose_by_architecture(const vj_model *model, const char *architecture, vj_reading *reading,
                                   bool *by_form) {
    for (int32_t i = 0; i < ROWS; i++) {
        const vj_kind *kind = &table[i];
        if (!kind->architectures || !is_one_of(kind->architectures, architecture)) continue;
        *by_form = !fits(model, kind, false, reading->at);
        if (*by_form && !fits(model, kind, true, reading->at)) continue;
        reading->kind = kind;
        return true;
    }
    return false;
}

static bool choose_by_outputs(const vj_model *model, vj_reading *reading) {
    for (int32_t i = 0; i < ROWS; i++) {
        if (table[i].architectures || !fits(model, &table[i], false, reading->at)) continue;
        reading->kind = &table[i];
        return true;
    }
    return false;
}

static void say_guess(const vj_model *model, const vj_config *config, const vj_reading *reading) {
    char names[512] = "", why[192];
    for (int32_t i = 0; i < VJ_KIND_OUTPUTS && reading->at[i] >= 0; i++) {
        const size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s'%.100s'", i ? " and " : "",
                 model->outputs[reading->at[i]].name);
    }
    snprintf(why, sizeof why,
             config->architecture[0] ? "says nothing of results" : "no config.json names an architecture");
    vj_print_notice(reading->command->model, "a guess: taken for %s by output %s; %s%s%s", reading->kind->what, names,
                    config->architecture, config->architecture[0] ? " " : "", why);
}

/* DETR's head of masks is trained for panoptic segmentation alone. */
static void choose_task(const vj_config *config, const vj_array *given, int32_t count, vj_reading *reading) {
    const int32_t variant = reading->kind->variant;
    const char *why = vj_task_find(reading->command, config, given, count, &reading->task);
    if (!why && (variant == VJ_QUERIES_DETR || variant == VJ_QUERIES_NO_NULL)) {
        reading->task = VJ_TASK_PANOPTIC;
        why = "its kind";
    }
    if (why)
        vj_print_notice(reading->command->model, "its masks are read for %s segmentation, as %s says",
                        vj_task_word(reading->task), why);
    else
        vj_print_notice(reading->command->model,
                        "its masks are read for semantic segmentation, for nothing says which it is; --task instance "
                        "or panoptic reads them otherwise");
}

void vj_reading_choose(const vj_command *command, const vj_model *model, const vj_array *given, int32_t count,
                       vj_reading *reading) {
    vj_config config;
    bool guess = false;
    *reading = (vj_reading){.command = command};
    vj_config_read(command->model, &config);
    const bool known = config.architecture[0] && choose_by_architecture(model, config.architecture, reading, &guess);
    if (!known) guess = choose_by_outputs(model, reading);
    reading->sigmoid = strncmp(config.architecture, "Siglip", 6) == 0;
    for (int32_t i = 0; i < model->input_count; i++)
        reading->masked |= strcmp(model->inputs[i].name, "pixel_mask") == 0;
    if (guess) say_guess(model, &config, reading);
    if (!reading->kind) return;
    reading->masks = reading->kind->show == vj_show_queries;
    if (reading->masks) choose_task(&config, given, count, reading);
    const bool by_classes = reading->masks && reading->task == VJ_TASK_SEMANTIC;
    reading->threshold = by_classes ? 0 : reading->kind->threshold;
}

/* An output as float32; owned where it is not already. */
static bool as_f32(const vj_array *from, vj_array *to, bool *owned) {
    *to = *from;
    *owned = from->dtype != VJ_F32;
    if (!*owned) return true;
    to->dtype = VJ_F32;
    to->data = NULL;
    if (!vj_array_alloc(to)) return false;
    const int64_t count = vj_array_elements(to);
    for (int64_t i = 0; i < count; i++)
        ((float *)to->data)[i] = (float)vj_array_at(from, i);
    return true;
}

vj_status vj_reading_show(const vj_reading *reading, const vj_array *outputs, const char *file,
                          const vj_placement *placement, const vj_recipe *recipe) {
    const double asked = reading->command->threshold, own = reading->threshold;
    vj_result result = {
        reading, reading->command, file, placement, recipe, {{0}}, asked >= 0 ? asked : own < 0 ? -INFINITY : own};
    bool owned[VJ_KIND_OUTPUTS] = {false};
    vj_status status = VJ_OK;
    for (int32_t i = 0; i < VJ_KIND_OUTPUTS && reading->at[i] >= 0 && status == VJ_OK; i++) {
        const vj_array *output = &outputs[reading->at[i]];
        if (output->dims[0] != 1)
            status = vj_print_error(VJ_UNSUPPORTED, reading->command->model,
                                    "output '%s' has not the batch as its first dim", output->name);
        else if (!as_f32(output, &result.outputs[i], &owned[i]))
            status = vj_print_error(VJ_SYSTEM, file, "no memory for output '%s'", output->name);
    }
    if (status == VJ_OK) status = reading->kind->show(&result);
    for (int32_t i = 0; i < VJ_KIND_OUTPUTS; i++)
        if (owned[i]) free(result.outputs[i].data);
    return status;
}
