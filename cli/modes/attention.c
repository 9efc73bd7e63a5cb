/* attention.c - --attention DIR: where each head of each layer looks, over the picture as the model sees it. The maps are the
 * model's last outputs (VJ_ATTENTION_PREFIX); their names say which layer, and where the patches stand among the keys. */
#include "modes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_STEM 200
/* Smaller pictures are magnified to the first, but none beyond the second. */
enum { LEAST_SIDE = 224, MOST_SIDE = 4096 };

typedef struct map {
    int32_t layer;
    int64_t rows, columns, first; /* rows 0: the keys are no places of a picture */
} map;

static bool is_map(const char *name) { return strncmp(name, VJ_ATTENTION_PREFIX, strlen(VJ_ATTENTION_PREFIX)) == 0; }

int32_t vj_results_count(const vj_command *command, const vj_model *model) {
    int32_t count = 0;
    for (int32_t i = 0; i < vj_output_count(model); i++)
        count += !(command->attention && is_map(vj_output_name(model, i)));
    return count;
}

static int64_t number(const char **at) {
    char *end;
    const long long n = strtoll(*at, &end, 10);
    *at = *end ? end + 1 : end;
    return n;
}

/* "LL" or "LL.HxW+F" behind the prefix; the keys must hold what the name says. */
static map read_map(const vj_tensor_info *t) {
    map m = {0};
    const char *at = t->name + strlen(VJ_ATTENTION_PREFIX);
    m.layer = (int32_t)number(&at);
    if (!*at) return m;
    m.rows = number(&at);
    m.columns = number(&at);
    m.first = number(&at);
    const int64_t keys = t->rank ? t->dims[t->rank - 1] : 0;
    const bool fits = m.rows > 0 && m.columns > 0 && m.first >= 0 && m.rows <= keys / m.columns &&
                      m.first <= keys - m.rows * m.columns && t->dtype == VJ_F32;
    if (!fits) m.rows = 0;
    return m;
}

/* The picture's name without folder and extension, of plain characters. */
static void stem_of(const char *path, char stem[MAX_STEM + 1]) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
    const size_t whole = dot && dot != name ? (size_t)(dot - name) : strlen(name);
    vj_plain_name(name, whole, stem, MAX_STEM);
}

static int by_text(const void *a, const void *b) { return strcmp(a, b); }

static vj_status stems_differ(const vj_command *command, const vj_paths *paths) {
    char(*stems)[MAX_STEM + 1] = calloc((size_t)paths->count + 1, sizeof *stems);
    if (!stems) return vj_print_error(VJ_SYSTEM, command->attention, "no memory");
    for (int32_t i = 0; i < paths->count; i++)
        stem_of(paths->at[i], stems[i]);
    qsort(stems, (size_t)paths->count, sizeof *stems, by_text);
    vj_status status = VJ_OK;
    for (int32_t i = 1; i < paths->count && status == VJ_OK; i++)
        if (strcmp(stems[i - 1], stems[i]) == 0)
            status = vj_print_error(VJ_USAGE, command->attention,
                                    "the maps of two pictures would both be written to %s.layer-..", stems[i]);
    free(stems);
    return status;
}

vj_status vj_check_attention(const vj_command *command, const vj_model *model, const vj_paths *paths) {
    int32_t drawn = 0, left_out = 0;
    char layers[128] = "";
    for (int32_t i = 0; i < vj_output_count(model); i++) {
        if (!is_map(vj_output_name(model, i))) continue;
        const map m = read_map(&model->outputs[i]);
        drawn += m.rows > 0;
        if (m.rows > 0) continue;
        const size_t used = strlen(layers);
        snprintf(layers + used, sizeof layers - used, "%s%d", left_out++ ? ", " : "", (int)m.layer);
    }
    static const char why[] = "its keys are no places of the whole picture (windows, grids or channels)";
    if (!drawn) {
        vj_print_error(VJ_UNSUPPORTED, command->model, "it has no attention that can be drawn");
        if (left_out) vj_print_hint("of each layer: %s", why);
        return VJ_UNSUPPORTED;
    }
    if (left_out) vj_print_notice(command->model, "not drawn: attention %s: %s", layers, why);
    return stems_differ(command, paths);
}

/* Written whole under another name, then renamed. */
static vj_status write_png(const char *path, const vj_picture *picture) {
    char temporary[4200];
    vj_why why = {0};
    snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
    const int descriptor = mkstemp(temporary);
    if (descriptor < 0) return vj_print_error(VJ_SYSTEM, path, "%s", strerror(errno));
    const mode_t mask = umask(0);
    umask(mask);
    fchmod(descriptor, 0666 & ~mask);
    FILE *file = fdopen(descriptor, "wb");
    if (!file) close(descriptor);
    bool good = file && vj_png_write(file, picture, &why) && fflush(file) == 0;
    if (file) good = fclose(file) == 0 && good;
    if (good) good = rename(temporary, path) == 0;
    if (good) return VJ_OK;
    const int reason = errno;
    unlink(temporary);
    return vj_print_error(VJ_SYSTEM, path, "%s", why.text[0] ? why.text : strerror(reason));
}

static vj_status draw_head(const vj_command *command, const char *stem, const map *m, int64_t head, const float *row,
                           const vj_picture *picture) {
    char path[4100];
    vj_why why = {0};
    vj_picture heat = {0};
    const int length = snprintf(path, sizeof path, "%s/%s.layer-%02d.head-%02lld.png", command->attention, stem,
                                (int)m->layer, (long long)head);
    if (length >= (int)sizeof path) return vj_print_error(VJ_USAGE, command->attention, "the path is too long");
    vj_status status = vj_heat_over(picture, row + m->first, (int32_t)m->rows, (int32_t)m->columns, &heat, &why)
                           ? write_png(path, &heat)
                           : vj_print_error(VJ_SYSTEM, path, "%s", why.text);
    vj_picture_free(&heat);
    return status;
}

/* Small pictures, magnified by whole pixels: the maps of few patches are to be seen. */
static bool magnified(const vj_picture *picture, vj_picture *to, vj_why *why) {
    const int32_t shorter = picture->width < picture->height ? picture->width : picture->height;
    const int32_t longer = picture->width < picture->height ? picture->height : picture->width;
    const int32_t wanted = (LEAST_SIDE + shorter - 1) / shorter, room = MOST_SIDE / longer;
    const int32_t times = wanted < room ? wanted : room > 1 ? room : 1;
    return vj_resample(picture, picture->width * times, picture->height * times, VJ_NEAREST, to, why);
}

static vj_status draw_all(const vj_command *command, const vj_model *model, const vj_array *outputs, int64_t image,
                          int64_t images, const char *file, const vj_picture *picture) {
    char stem[MAX_STEM + 1];
    vj_status status = VJ_OK;
    stem_of(file, stem);
    for (int32_t i = 0; i < vj_output_count(model); i++) {
        if (!is_map(vj_output_name(model, i))) continue;
        const map m = read_map(&model->outputs[i]);
        const int64_t keys = outputs[i].rank ? outputs[i].dims[outputs[i].rank - 1] : 0;
        if (m.rows == 0 || keys == 0) continue;
        const int64_t heads = vj_array_elements(&outputs[i]) / keys / images;
        for (int64_t head = 0; head < heads && status == VJ_OK; head++) {
            const float *row = (const float *)outputs[i].data + (image * heads + head) * keys;
            status = draw_head(command, stem, &m, head, row, picture);
        }
    }
    return status;
}

vj_status vj_draw_attention(const vj_command *command, const vj_model *model, const vj_array *outputs, int64_t image,
                            int64_t images, const char *file, const vj_picture *picture) {
    vj_picture large = {0};
    vj_why why = {0};
    const vj_status status = magnified(picture, &large, &why)
                                 ? draw_all(command, model, outputs, image, images, file, &large)
                                 : vj_print_error(VJ_SYSTEM, file, "%s", why.text);
    vj_picture_free(&large);
    return status;
}
