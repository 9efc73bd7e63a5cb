/* SPDX-License-Identifier: Apache-2.0 */
/* classes.c - finds a class of classes.def by its name, or by the model_type whose processor it is. */
#include "recipe.h"

#include <ctype.h>
#include <string.h>

#define BOTH(h, w)       {.height = h, .width = w}
#define SHORT(n)         {.shortest = n}
#define SHORT_LONG(n, m) {.shortest = n, .longest = m}
#define LONG(n)          {.longest = n}
#define WITHIN(h, w)     {.max_height = h, .max_width = w}
#define NONE             {0}

static const vj_class classes[] = {
#define CLASS(name, size, crop, filter, colours, divisor, habits)                                                      \
    {#name, size, crop, VJ_##filter, colours, divisor, habits},
#define MODEL(type, class)
#define REFUSED(name, reason)
#define SAMPLED(name, how)
#include "classes.def"
};

static const struct {
    const char *type, *class;
} models[] = {
#define CLASS(name, size, crop, filter, colours, divisor, habits)
#define MODEL(type, class) {#type, #class},
#define REFUSED(name, reason)
#define SAMPLED(name, how)
#include "classes.def"
};

static const struct {
    const char *name, *reason;
} refusals[] = {
#define CLASS(name, size, crop, filter, colours, divisor, habits)
#define MODEL(type, class)
#define REFUSED(name, reason) {#name, reason},
#define SAMPLED(name, how)
#include "classes.def"
};

static const struct {
    const char *name;
    vj_resampling how;
} samplings[] = {
#define CLASS(name, size, crop, filter, colours, divisor, habits)
#define MODEL(type, class)
#define REFUSED(name, reason)
#define SAMPLED(name, how) {#name, VJ_RESAMPLE_##how},
#include "classes.def"
};

const vj_class vj_no_class = {"", {0}, {0}, VJ_BICUBIC, HALF, 0, H_BY_CROP};

#define COUNT(table) (sizeof(table) / sizeof *(table))

/* Is `text`, up to `length`, the name, capitals or not, without - and _ (model types have these as they please)? */
static bool same(const char *text, size_t length, const char *name) {
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '-' || text[i] == '_') continue;
        while (*name == '_')
            name++;
        if (tolower((unsigned char)text[i]) != tolower((unsigned char)*name)) return false;
        name++;
    }
    return *name == 0;
}

static const vj_class *find(const char *text, size_t length) {
    for (size_t i = 0; i < COUNT(classes); i++)
        if (same(text, length, classes[i].name)) return &classes[i];
    for (size_t i = 0; i < COUNT(models); i++)
        if (same(text, length, models[i].type)) return find(models[i].class, strlen(models[i].class));
    return NULL;
}

static size_t without(const char *text, size_t length, const char *ending) {
    const size_t n = strlen(ending);
    return length > n && memcmp(text + length - n, ending, n) == 0 ? length - n : length;
}

const vj_class *vj_class_by_type(const char *type, const char **refused) {
    size_t length = without(type, without(type, strlen(type), "Pil"), "Fast");
    length = without(type, without(type, without(type, length, "FeatureExtractor"), "Processor"), "Image");
    *refused = NULL;
    for (size_t i = 0; i < COUNT(refusals); i++)
        if (same(type, length, refusals[i].name)) *refused = refusals[i].reason;
    return *refused ? NULL : find(type, length);
}

vj_resampling vj_class_resampling(const vj_class *class) {
    for (size_t i = 0; i < COUNT(samplings); i++)
        if (strcmp(class->name, samplings[i].name) == 0) return samplings[i].how;
    return VJ_RESAMPLE_PILLOW;
}

const vj_class *vj_class_by_model(const char *model_type) { return find(model_type, strlen(model_type)); }

bool vj_class_at(size_t i, const vj_class **class) {
    if (i < COUNT(classes)) *class = &classes[i];
    return i < COUNT(classes);
}

bool vj_refusal_at(size_t i, const char **name, const char **reason) {
    if (i >= COUNT(refusals)) return false;
    *name = refusals[i].name;
    *reason = refusals[i].reason;
    return true;
}
