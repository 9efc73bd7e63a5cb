/* SPDX-License-Identifier: Apache-2.0 */
/* recipe.c - finds pre-processing and labels. Wrong pre-processing is the commonest silent error of the field, so
 * recipe->source names whatever is used.
 *
 * The first of these that has keys of pre-processing is read: the model's metadata_props; inference.yml and infer_cfg.yml (Paddle); processor_config.json's image_processor and
 * preprocessor_config.json (transformers); open_clip_config.json; config.json (timm's, or flat). What it leaves out is what its class does
 * (classes.def): that of image_processor_type or feature_extractor_type, else processor_class, else config.json's model_type. Labels come from the
 * metadata, else config.json.
 */
#include "pictures/paddle/paddle.h"
#include "recipe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What was found: objects of JSON. */
typedef struct finding {
    bool no_memory; /* for the metadata */
    cJSON *metadata, *paddle, *processor, *preprocessor, *open_clip, *config;
    const cJSON *keys; /* in one of them, or NULL */
    const vj_class *class;
    const char *type;
    const char *paddle_name;
    bool by_paddle; /* whether its steps are the recipe, not keys */
} finding;

static const cJSON *get(const cJSON *json, const char *key) { return cJSON_GetObjectItemCaseSensitive(json, key); }

static const char *text_of(const cJSON *json, const char *key) {
    const cJSON *item = get(json, key);
    return cJSON_IsString(item) && *item->valuestring ? item->valuestring : NULL;
}

static void add_source(vj_recipe *recipe, const char *format, const char *text) {
    const size_t used = strlen(recipe->source);
    if (used) snprintf(recipe->source + used, sizeof recipe->source - used, ", ");
    const size_t now = strlen(recipe->source);
    snprintf(recipe->source + now, sizeof recipe->source - now, format, text);
}

/* The metadata as an object: what is JSON is read, the rest is text. */
static void read_metadata(finding *f, const vj_key_value *metadata, int32_t count) {
    f->metadata = cJSON_CreateObject();
    f->no_memory = !f->metadata;
    for (int32_t i = 0; i < count && !f->no_memory; i++) {
        errno = 0; /* the parser does not tell what is no JSON from an end of memory */
        cJSON *json = cJSON_Parse(metadata[i].value);
        if (!json && errno != ENOMEM) json = cJSON_CreateString(metadata[i].value);
        if (json && cJSON_AddItemToObject(f->metadata, metadata[i].key, json)) continue;
        cJSON_Delete(json);
        f->no_memory = true;
    }
}

/* The object in a file beside the model; *object stays NULL when there is no such file. */
static bool read_object(const char *model_path, const char *name, cJSON **object, vj_why *why) {
    char path[4096];
    bool missing = false;
    vj_why reason = {0};
    if (!vj_file_beside(model_path, name, path, sizeof path)) return true;
    char *text = vj_text_read(path, &missing, &reason);
    if (!text) return missing || vj_because(why, reason.status, "'%.200s': %.250s", path, reason.text);
    errno = 0;
    *object = cJSON_Parse(text);
    free(text);
    return cJSON_IsObject(*object) || vj_recipe_fail(why, "not a JSON object", path);
}

static bool read_files(finding *f, const char *model_path, vj_why *why) {
    return vj_paddle_beside(model_path, &f->paddle, &f->paddle_name, why) &&
           read_object(model_path, "processor_config.json", &f->processor, why) &&
           read_object(model_path, "preprocessor_config.json", &f->preprocessor, why) &&
           read_object(model_path, "open_clip_config.json", &f->open_clip, why) &&
           read_object(model_path, "config.json", &f->config, why);
}

static const char *type_in(const cJSON *keys) {
    const char *type = text_of(keys, "image_processor_type");
    return type ? type : text_of(keys, "feature_extractor_type");
}

/* The object, where it has keys of a recipe. */
static const cJSON *says_how(const cJSON *keys) {
    return vj_has_recipe_keys(keys) || get(keys, "image_processor_type") || get(keys, "feature_extractor_type") ? keys
                                                                                                                : NULL;
}

static bool choose(finding *f, vj_recipe *recipe, const cJSON *keys, const char *source) {
    if (!cJSON_IsObject(keys)) return false;
    f->keys = keys;
    add_source(recipe, "%s", source);
    return true;
}

/* Which object says how, and of which class it is. */
static void choose_keys(finding *f, vj_recipe *recipe) {
    const cJSON *timm = get(f->config, "pretrained_cfg");
    const char *refused;
    if (!get(f->metadata, "pretrained_cfg") && !says_how(f->metadata) && choose(f, recipe, f->paddle, f->paddle_name)) {
        f->by_paddle = true;
        return;
    }
    if (choose(f, recipe, get(f->metadata, "pretrained_cfg"), "the model's metadata") ||
        choose(f, recipe, says_how(f->metadata), "the model's metadata") ||
        choose(f, recipe, get(f->processor, "image_processor"), "processor_config.json") ||
        choose(f, recipe, says_how(f->preprocessor), "preprocessor_config.json")) {
        f->type = type_in(f->keys);
        if (!f->type && f->keys == get(f->metadata, "pretrained_cfg")) f->type = "timm";
    } else if (choose(f, recipe, get(f->open_clip, "preprocess_cfg"), "open_clip_config.json")) {
        f->type = "OpenCLIP";
    } else if (choose(f, recipe, timm, "config.json")) {
        f->type = "timm";
    } else if (choose(f, recipe, says_how(f->config), "config.json")) {
        f->type = type_in(f->keys);
    }
    if (f->type) return;
    const char *processor = text_of(f->keys, "processor_class"), *model = text_of(f->config, "model_type");
    if (processor) f->class = vj_class_by_type(processor, &refused);
    if (!f->class && model && !get(f->metadata, "mean")) f->class = vj_class_by_model(model);
}

/* Do the options say all that a recipe needs? */
static bool complete(const vj_recipe_options *o) { return o->mean && o->std && (o->resize || o->crop_pct); }

static bool no_text(const cJSON *keys, const char *key) {
    const cJSON *item = get(keys, key);
    return item && !cJSON_IsNull(item) && !cJSON_IsString(item);
}

static bool find_class(finding *f, const vj_recipe_options *options, vj_recipe *recipe, vj_why *why) {
    const char *refused = NULL;
    if (no_text(f->keys, "image_processor_type") || no_text(f->keys, "feature_extractor_type"))
        return vj_because(why, VJ_BAD_INPUT, "%s: the type of the image processor is no text", recipe->source);
    if (f->type) f->class = vj_class_by_type(f->type, &refused);
    if (!f->type || f->class) return true;
    if (complete(options)) {
        f->keys = NULL;
        recipe->source[0] = 0;
        return true;
    }
    return vj_because(
        why, VJ_UNSUPPORTED,
        "the pre-processing of '%.80s' is not followed (%s); options for mean, std, and resize or crop_pct "
        "together go before it",
        f->type, refused ? refused : "the type is unknown");
}

/* Paddle's steps; where they are not followed, what the options say in their place. */
static bool read_steps(finding *f, const vj_recipe_options *options, vj_recipe *recipe, vj_why *why) {
    vj_why reason = {0};
    if (!f->by_paddle || vj_paddle_steps(recipe, f->keys, &reason)) return true;
    const bool unfollowed = reason.status == VJ_UNSUPPORTED;
    if (!unfollowed || !complete(options))
        return vj_because(why, reason.status, "%s: %s%s", recipe->source, reason.text,
                          unfollowed ? "; options for mean, std, and resize or crop_pct together go before it" : "");
    f->by_paddle = false;
    f->keys = NULL;
    *recipe = (vj_recipe){0};
    return true;
}

static bool read_keys(const finding *f, vj_recipe *recipe, vj_why *why) {
    if (f->by_paddle) return true;
    const vj_class *class = f->class ? f->class : &vj_no_class;
    cJSON *none = cJSON_CreateObject();
    vj_why reason = {0};
    if (!none) return vj_because(why, VJ_SYSTEM, "out of memory");
    const bool good = vj_recipe_from_keys(recipe, class, f->keys ? f->keys : none, &reason);
    cJSON_Delete(none);
    if (!good)
        return vj_because(why, reason.status ? reason.status : VJ_BAD_INPUT, "%s: %s", recipe->source, reason.text);
    if (f->class && f->class->name[0]) recipe->class = f->class->name;
    if (recipe->class && strcmp(recipe->class, "timm") != 0) add_source(recipe, "%s's habits", f->class->name);
    return true;
}

static bool labels_in(vj_recipe *recipe, const cJSON *place, vj_why *why) {
    static const char *const names[] = {"label_names", "id2label"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const cJSON *labels = get(place, names[i]);
        if (!labels || cJSON_IsNull(labels) || recipe->labels) continue;
        errno = 0;
        if (!vj_labels_from_json(recipe, labels))
            return vj_recipe_fail(why, "a value that makes no sense for the key", names[i]);
    }
    return true;
}

static bool labels_of_paddle(const finding *f, vj_recipe *recipe, vj_why *why) {
    vj_why reason = {0};
    return recipe->labels || vj_paddle_labels(recipe, f->paddle, &reason) ||
           vj_because(why, VJ_BAD_INPUT, "%s: %s", f->paddle_name, reason.text);
}

static bool read_labels(const finding *f, vj_recipe *recipe, vj_why *why) {
    return labels_in(recipe, f->metadata, why) && labels_of_paddle(f, recipe, why) &&
           labels_in(recipe, f->config, why) && labels_in(recipe, get(f->config, "pretrained_cfg"), why) &&
           labels_in(recipe, f->preprocessor, why);
}

static bool any(const vj_recipe_options *o) {
    return o->mean || o->std || o->interpolation || o->resize || o->crop_pct;
}

bool vj_recipe_find(const char *model_path, const vj_key_value *metadata, int32_t metadata_count,
                    const vj_recipe_options *options, vj_recipe *recipe, vj_why *why) {
    finding f = {0};
    read_metadata(&f, metadata, metadata_count);
    *recipe = (vj_recipe){0};
    const bool told = vj_has_recipe_keys(f.metadata) && (get(f.metadata, "label_names") || get(f.metadata, "id2label"));
    bool good = f.no_memory ? vj_because(why, VJ_SYSTEM, "out of memory") : told || read_files(&f, model_path, why);
    if (good) choose_keys(&f, recipe);
    good = good && find_class(&f, options, recipe, why) && read_steps(&f, options, recipe, why) &&
           read_keys(&f, recipe, why) && read_labels(&f, recipe, why);
    recipe->guessed = !f.keys && !any(options);
    good = good && vj_options_apply(recipe, options, why);
    if (any(options)) add_source(recipe, "%s", "the command line");
    if (recipe->guessed) add_source(recipe, "%s", "a guess");
    cJSON *const all[] = {f.metadata, f.paddle, f.processor, f.preprocessor, f.open_clip, f.config};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        cJSON_Delete(all[i]);
    if (!good) vj_recipe_free(recipe);
    return good;
}

bool vj_recipe_of_options(const vj_recipe_options *options, vj_recipe *recipe, vj_why *why) {
    const finding nothing = {0};
    *recipe = (vj_recipe){.guessed = !complete(options)};
    add_source(recipe, "%s", "the command line");
    const bool good = read_keys(&nothing, recipe, why) && vj_options_apply(recipe, options, why);
    if (!good) vj_recipe_free(recipe);
    return good;
}

/* The model's metadata as pairs of strings, which are borrowed from the JSON object. */
static vj_key_value *metadata_pairs(const cJSON *json, int32_t *count) {
    const int size = cJSON_GetArraySize(json);
    vj_key_value *pairs = calloc((size_t)size + 1, sizeof *pairs);
    const cJSON *item;
    *count = 0;
    cJSON_ArrayForEach(item, json) {
        if (pairs && item->string && cJSON_IsString(item))
            pairs[(*count)++] = (vj_key_value){item->string, item->valuestring};
    }
    return pairs;
}

bool vj_recipe_of_model(const char *model_path, const char *metadata, const vj_recipe_options *options,
                        vj_recipe *recipe, vj_why *why) {
    errno = 0;
    cJSON *json = cJSON_Parse(metadata);
    int32_t count = 0;
    const bool has_memory = json || errno != ENOMEM;
    vj_key_value *pairs = has_memory ? metadata_pairs(json, &count) : NULL;
    const bool good = pairs ? vj_recipe_find(model_path, pairs, count, options, recipe, why)
                            : vj_because(why, VJ_SYSTEM, "out of memory");
    free(pairs);
    cJSON_Delete(json);
    return good;
}
