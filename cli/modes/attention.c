/* SPDX-License-Identifier: Apache-2.0 */
/* attention.c - --attention DIR: where each head of each layer looks, over the picture as the model sees it. The maps are the
 * model's last outputs (VJ_ATTENTION_PREFIX); their names say which layer, and where the patches stand among the keys. */
#include "modes.h"

#include <stdlib.h>
#include <string.h>

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

vj_status vj_check_attention(const vj_command *command, const vj_model *model) {
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
    return VJ_OK;
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
                           ? vj_png_write_whole(path, &heat)
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

/* The mean of the heads' maps of one layer, malloc'ed. */
static float *mean_of(const map *m, const float *rows, int64_t heads, int64_t keys) {
    const int64_t count = m->rows * m->columns;
    float *mean = calloc((size_t)count, sizeof *mean);
    for (int64_t head = 0; mean && head < heads; head++)
        for (int64_t i = 0; i < count; i++)
            mean[i] += rows[head * keys + m->first + i] / (float)heads;
    return mean;
}

/* A layer's row of the sheet. */
static bool add_to_sheet(vj_sheet *sheet, int32_t row, const map *m, const float *rows, int64_t heads, int64_t keys,
                         vj_why *why) {
    const int32_t h = (int32_t)m->rows, w = (int32_t)m->columns;
    float *mean = mean_of(m, rows, heads, keys);
    bool good = mean && vj_sheet_map(sheet, row, sheet->heads, mean, h, w, why);
    vj_sheet_name(sheet, row, m->layer);
    for (int64_t head = 0; head < heads && good; head++)
        good = vj_sheet_map(sheet, row, (int32_t)head, rows + head * keys + m->first, h, w, why);
    free(mean);
    return good;
}

/* The maps that can be drawn of an output: so many heads, of so many keys; 0: none. */
static int64_t heads_of(const vj_array *output, const map *m, int64_t images, int64_t *keys) {
    *keys = output->rank ? output->dims[output->rank - 1] : 0;
    return m->rows == 0 || *keys == 0 ? 0 : vj_array_elements(output) / *keys / images;
}

static bool open_sheet(const vj_model *model, const vj_array *outputs, int64_t images, const vj_picture *picture,
                       vj_sheet *sheet, vj_why *why) {
    int64_t layers = 0, most = 0, keys;
    for (int32_t i = 0; i < vj_output_count(model); i++) {
        if (!is_map(vj_output_name(model, i))) continue;
        const map m = read_map(&model->outputs[i]);
        const int64_t heads = heads_of(&outputs[i], &m, images, &keys);
        layers += heads > 0;
        if (heads > most) most = heads;
    }
    return vj_sheet_open(sheet, picture, (int32_t)layers, (int32_t)most, why);
}

/* Each map in a file, and all of them on the sheet. */
static vj_status draw_all(const vj_command *command, const vj_model *model, const vj_array *outputs, int64_t image,
                          int64_t images, const char *stem, const vj_picture *picture, vj_sheet *sheet) {
    vj_status status = VJ_OK;
    vj_why why = {.text = "no memory for the sheet"};
    int32_t layer = 0;
    int64_t drawn = 0;
    for (int32_t i = 0; i < vj_output_count(model) && status == VJ_OK; i++) {
        if (!is_map(vj_output_name(model, i))) continue;
        const map m = read_map(&model->outputs[i]);
        int64_t keys;
        const int64_t heads = heads_of(&outputs[i], &m, images, &keys);
        if (heads == 0) continue;
        const float *rows = (const float *)outputs[i].data + image * heads * keys;
        if (!add_to_sheet(sheet, layer++, &m, rows, heads, keys, &why))
            status = vj_print_error(VJ_SYSTEM, command->attention, "%s", why.text);
        for (int64_t head = 0; head < heads && status == VJ_OK; head++)
            status = draw_head(command, stem, &m, head, rows + head * keys, picture);
        drawn += heads;
    }
    if (status == VJ_OK)
        vj_print_notice(NULL, "wrote %s/%s.layer-LL.head-HH.png, %lld maps", command->attention, stem,
                        (long long)drawn);
    return status;
}

static vj_status write_sheet(const vj_command *command, const char *stem, const vj_sheet *sheet) {
    char path[4100];
    const int length = snprintf(path, sizeof path, "%s/%s.attention.png", command->attention, stem);
    if (length >= (int)sizeof path) return vj_print_error(VJ_USAGE, command->attention, "the path is too long");
    return vj_png_write_said(path, &sheet->canvas);
}

vj_status vj_draw_attention(const vj_command *command, const vj_model *model, const vj_array *outputs, int64_t image,
                            int64_t images, const char *stem, const vj_picture *picture) {
    vj_picture large = {0};
    vj_sheet sheet = {0};
    vj_why why = {0};
    vj_status status;
    if (!magnified(picture, &large, &why) || !open_sheet(model, outputs, images, &large, &sheet, &why))
        status = vj_print_error(VJ_SYSTEM, stem, "%s", why.text);
    else if ((status = draw_all(command, model, outputs, image, images, stem, &large, &sheet)) == VJ_OK)
        status = write_sheet(command, stem, &sheet);
    vj_sheet_close(&sheet);
    vj_picture_free(&large);
    return status;
}
