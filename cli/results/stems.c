/* SPDX-License-Identifier: Apache-2.0 */
/* stems.c - what the files of a picture's results are called: by the picture's name, and where names meet, by what tells the
 * pictures apart. */
#include "results.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

/* How much of a picture's path is in its name; what still meets there is counted. */
typedef enum reach { NAME, PATH, EXTENSION, COUNTED } reach;

struct vj_stem {
    const char *path; /* borrowed */
    int32_t order;
    reach reach;
    char text[VJ_STEM_MOST + 1];
};

static const char *name_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Without what leads out of a folder: files are written into another, and must not be hidden there. */
static const char *inside(const char *path) {
    for (;;)
        if (*path == '/')
            path++;
        else if (strncmp(path, "./", 2) == 0)
            path += 2;
        else if (strncmp(path, "../", 3) == 0)
            path += 3;
        else
            return path;
}

static void spell(struct vj_stem *stem, size_t shared) {
    const char *name = name_of(stem->path), *dot = strrchr(name, '.');
    const char *from = stem->reach == NAME ? name : inside(stem->path + shared);
    size_t length = stem->reach != EXTENSION && dot && dot != name ? (size_t)(dot - from) : strlen(from);
    if (stem->reach != NAME && length > VJ_STEM_MOST) { /* the end says more */
        from += length - VJ_STEM_MOST;
        length = VJ_STEM_MOST;
    }
    vj_plain_name(from, length, stem->text, VJ_STEM_MOST);
}

static int by_path(const void *a, const void *b) {
    const struct vj_stem *x = a, *y = b;
    const int paths = strcmp(x->path, y->path);
    return paths ? paths : (x->order > y->order) - (x->order < y->order);
}

static int by_text(const void *a, const void *b) {
    const struct vj_stem *x = *(struct vj_stem *const *)a, *y = *(struct vj_stem *const *)b;
    const int texts = strcmp(x->text, y->text);
    return texts ? texts : (x->order > y->order) - (x->order < y->order);
}

/* Those that meet reach further; false: none did. */
static bool reach_further(struct vj_stem **sorted, int32_t count, size_t shared) {
    bool any = false;
    qsort(sorted, (size_t)count, sizeof(struct vj_stem *), by_text);
    for (int32_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && strcmp(sorted[i]->text, sorted[end]->text) == 0;)
            end++;
        for (int32_t k = i; k < end && end - i > 1; k++)
            if (sorted[k]->reach != COUNTED) sorted[k]->reach++, any = true;
    }
    for (int32_t i = 0; i < count; i++)
        spell(sorted[i], shared);
    return any;
}

static int as_text(const void *a, const void *b) { return strcmp(a, b); }

/* Takes a name; false: it is another's. */
static bool take(void **taken, const char *text, bool *memory) {
    char *const *found = tsearch(text, taken, as_text);
    *memory = *memory && found;
    return !found || *found == text;
}

/* A number behind those that nothing else tells apart. They are in the order of their texts. */
static bool count_up(struct vj_stem **sorted, int32_t count) {
    void *taken = NULL;
    bool memory = true;
    int32_t number = 1;
    char before[VJ_STEM_MOST + 1] = "", base[VJ_STEM_MOST + 1];
    for (int32_t i = 0; i < count; i++)
        if (sorted[i]->reach != COUNTED) take(&taken, sorted[i]->text, &memory);
    for (int32_t i = 0; i < count && memory; i++) {
        struct vj_stem *stem = sorted[i];
        if (stem->reach != COUNTED) continue;
        memcpy(base, stem->text, sizeof base);
        if (strcmp(base, before) != 0) number = 1;
        memcpy(before, base, sizeof before);
        for (bool free_one = number == 1 && take(&taken, stem->text, &memory); !free_one && memory;) {
            snprintf(stem->text, sizeof stem->text, "%.*s-%d", VJ_STEM_MOST - 12, base, (int)++number);
            free_one = take(&taken, stem->text, &memory);
        }
    }
    while (taken)
        tdelete(*(char **)taken, &taken, as_text);
    return memory;
}

static bool tell_apart(struct vj_stem *stems, int32_t count, size_t shared) {
    struct vj_stem **sorted = calloc((size_t)count + 1, sizeof *sorted);
    if (!sorted) return false;
    for (int32_t i = 0; i < count; i++)
        sorted[i] = &stems[i];
    /* A name that reaches further may meet one that did not have to: it then does too. Each round moves at least two of
     * them; in practice there are four at most. */
    for (int32_t round = 0; round < 16 && reach_further(sorted, count, shared);)
        round++;
    qsort(sorted, (size_t)count, sizeof(struct vj_stem *), by_text);
    for (int32_t i = 1; i < count; i++)
        if (strcmp(sorted[i - 1]->text, sorted[i]->text) == 0) sorted[i - 1]->reach = sorted[i]->reach = COUNTED;
    const bool good = count_up(sorted, count);
    free(sorted);
    return good;
}

bool vj_stems_make(vj_stems *stems, char *const *paths, int32_t count, size_t shared) {
    *stems = (vj_stems){.at = calloc((size_t)count + 1, sizeof *stems->at)};
    if (!stems->at) return false;
    for (int32_t i = 0; i < count; i++)
        stems->at[i] = (struct vj_stem){.path = paths[i], .order = i};
    qsort(stems->at, (size_t)count, sizeof *stems->at, by_path);
    for (int32_t i = 0; i < count; i++) /* what is given twice has one name */
        if (stems->count == 0 || strcmp(stems->at[stems->count - 1].path, stems->at[i].path) != 0)
            stems->at[stems->count++] = stems->at[i];
    for (int32_t i = 0; i < stems->count; i++)
        spell(&stems->at[i], shared);
    return tell_apart(stems->at, stems->count, shared);
}

const char *vj_stem_of(const vj_stems *stems, const char *path) {
    const struct vj_stem wanted = {.path = path, .order = -1};
    int32_t low = 0, high = stems->count; /* the first that is not before the path */
    while (low < high) {
        const int32_t middle = low + (high - low) / 2;
        if (by_path(&stems->at[middle], &wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < stems->count ? stems->at[low].text : "";
}

void vj_stems_free(vj_stems *stems) {
    free(stems->at);
    *stems = (vj_stems){0};
}
