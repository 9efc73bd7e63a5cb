/* SPDX-License-Identifier: Apache-2.0 */
/* picture_reference.c - the tables of classes in docs/pictures.md, from pictures/classes.def: writes them, or with --check FILE says whether
 * the page has them. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pictures/recipe.h"

enum { ROOM = 1 << 16 };

typedef struct text {
    char at[ROOM];
    size_t size;
} text;

__attribute__((format(printf, 2, 3))) static void add(text *t, const char *format, ...) {
    va_list list;
    va_start(list, format);
    t->size += (size_t)vsnprintf(t->at + t->size, ROOM - t->size, format, list);
    va_end(list);
    if (t->size >= ROOM) abort();
}

static void add_size(text *t, const vj_size *s) {
    if (s->height)
        add(t, "%d x %d", s->height, s->width);
    else if (s->max_height)
        add(t, "within %d x %d", s->max_height, s->max_width);
    else if (s->shortest)
        add(t, s->longest ? "shorter %d, longer up to %d" : "shorter %d", s->shortest, s->longest);
    else if (s->longest)
        add(t, "longer %d", s->longest);
    else
        add(t, "-");
}

static const char *const colours[] = {
    [HALF] = "0.5",
    [IMAGENET] = "ImageNet",
    [CLIP] = "CLIP",
    [ONE] = "1",
    [CHM] = "0.42,0.411,0.296 and 0.213,0.156,0.143",
    [PADDLE] = "ImageNet, in reverse",
    [ZERO] = "0 and 1",
    [SPARE] = "none; ImageNet where `do_normalize`",
    [PLAIN] = "none unless said",
    [NEVER] = "never",
};

static const char *const samplings[] = {
    [VJ_RESAMPLE_PILLOW] = "",
    [VJ_RESAMPLE_PLAIN] = ", torch's without antialiasing",
    [VJ_RESAMPLE_CORNERS] = ", torch's with aligned corners",
    [VJ_RESAMPLE_GAUSS] = ", scipy's behind a Gaussian",
};

static const struct {
    uint32_t habit, with, without; /* the other habits that a class has, or has not, for these words */
    const char *words;
} words[] = {
    {H_BY_CROP, 0, H_WHOLE, "sizes follow from the input by `crop_pct`; `crop_mode`"},
    {H_BY_CROP, H_WHOLE, 0, "sizes follow from the input; `resize_mode`, `fill_color`"},
    {H_NO_RESIZE, 0, 0, "resized only where `do_resize`"},
    {H_NO_RESCALE, 0, 0, "never rescaled"},
    {H_CONVNEXT, 0, 0,
     "below 384 the shorter side is size / `crop_pct` (0.875) and size is cropped; from 384 both sides are size"},
    {H_POOLFORMER, 0, 0, "the shorter side is size / `crop_pct` (0.9)"},
    {H_LEVIT, 0, 0, "the shorter side is size * 256 / 224"},
    {H_BOUNDED, 0, 0, "the longer side is at most 1333 / 800 of size"},
    {H_MAX_1333, 0, 0, "a number has the longer side up to 1333; `max_size`"},
    {H_ASPECT, H_KEEP, 0, "`keep_aspect_ratio` (true), `ensure_multiple_of`"},
    {H_ASPECT, 0, H_KEEP, "`keep_aspect_ratio` (false), `ensure_multiple_of`"},
    {H_OWN_SIZE, 0, 0, "keeps the picture's size"},
    {H_PATCHES, 0, 0, "shrunk to fit size; `patch_size` is the divisor, upwards"},
    {H_LETTERBOX, 0, 0, "the longer side becomes size"},
    {H_DOCUMENT, 0, 0,
     "the shorter side becomes size's, then shrunk to fit it (`do_thumbnail`); `do_align_long_axis`; a list is [w, h]"},
    {H_CUT, 0, 0, "the centre, size / crop_size of the shorter side, is cut before resizing"},
    {H_UP, 0, 0, "the divisor rounds up"},
    {H_ROUND, 0, 0, "the longer side is rounded; `resize_short`"},
    {H_SQUARE, H_PAD_BLACK, 0, "padded with black below and right to a square before resizing"},
    {H_SQUARE, 0, H_PAD_BLACK, "`do_pad` (false): to a square before resizing, in the mean's colour"},
    {H_PAD, 0, H_PAD_TO_SIZE | H_MIRROR | H_PAD_CENTRE | H_SQUARE,
     "padded below and right to `pad_size` or the input with zeros"},
    {H_PAD, H_PAD_CENTRE, H_PAD_TO_SIZE, "padded on all sides with zeros"},
    {H_PAD_TO_SIZE, H_PAD, H_PAD_CENTRE, "padded below and right to size with zeros"},
    {H_PAD_TO_SIZE, H_PAD_CENTRE | H_PAD_BLACK, 0, "padded on all sides to size with black"},
    {H_PAD_TO_SIZE, H_PAD_CENTRE | H_PAD_COLOUR, 0, "padded on all sides to size with the mean's colour"},
    {H_PAD_TO_SIZE, 0, H_PAD, "`do_pad` (false): below and right to size with black"},
    {H_PAD_CENTRE, 0, H_PAD, "`do_pad` (false): on all sides with zeros"},
    {H_MIRROR, H_ASPECT, 0,
     "first what is mirrored around the picture, 3 sqrt(side / 2) wide; rounded to 1/32, then down"},
    {H_MIRROR, 0, H_ASPECT, "mirrored below and right, by up to the divisor"},
    {H_TWICE, 0, 0, "`rescale_offset` takes 1 away; `include_top` (true) divides by std again"},
    {H_VIVIT, 0, 0, "x / 127.5, and `offset` (true) takes 1 away"},
    {H_CHAMELEON, 0, 0, "x * 0.0078"},
    {H_BGR, 0, 0, "blue first"},
};

static void add_words(text *t, const vj_class *c) {
    const char *between = "";
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!(c->habits & words[i].habit) || (c->habits & words[i].without) ||
            (c->habits & words[i].with) != words[i].with)
            continue;
        add(t, "%s%s", between, words[i].words);
        between = "; ";
    }
}

static void add_class(text *t, const vj_class *c) {
    const bool sized = c->size.height || c->size.shortest || c->size.longest || c->size.max_height;
    add(t, "| `%s` | ", c->name);
    add_size(t, &c->size);
    add(t, " | %s | ", !sized ? "-" : c->habits & H_INT_SHORT ? "shorter" : "both");
    if (c->crop.shortest)
        add(t, "%d", c->crop.shortest);
    else
        add_size(t, &c->crop);
    if ((c->crop.height || c->crop.shortest) && !(c->habits & H_CROP)) add(t, ", off");
    add(t, " | %s%s | %s | ", vj_filter_name(c->filter), samplings[vj_class_resampling(c)], colours[c->colours]);
    if (c->divisor)
        add(t, "%d | ", c->divisor);
    else
        add(t, "- | ");
    add_words(t, c);
    add(t, " |\n");
}

/* The reasons in the order in which they are met, each with all its classes. */
static void add_refusals(text *t) {
    const char *name, *reason, *other;
    for (size_t i = 0; vj_refusal_at(i, &name, &reason); i++) {
        bool first = true;
        for (size_t j = 0; j < i && vj_refusal_at(j, &name, &other); j++)
            first &= strcmp(reason, other) != 0;
        if (!first) continue;
        add(t, "| %s |", reason);
        for (size_t j = i; vj_refusal_at(j, &name, &other); j++)
            if (strcmp(reason, other) == 0) add(t, "%s `%s`", j == i ? "" : ",", name);
        add(t, " |\n");
    }
}

static int check(const text *t, const char *path) {
    static char page[4 * ROOM];
    FILE *file = fopen(path, "rb");
    const size_t size = file ? fread(page, 1, sizeof page - 1, file) : 0;
    if (file) fclose(file);
    page[size] = 0;
    if (strstr(page, t->at)) return 0;
    fprintf(stderr, "%s is stale: build/release/picture_reference writes its tables of classes\n", path);
    return 1;
}

int main(int argc, char **argv) {
    static text t;
    const vj_class *class;
    add(&t, "| class | size | a number is | crop | filter | mean and std | divisor | besides |\n"
            "| --- | --- | --- | --- | --- | --- | --- | --- |\n");
    for (size_t i = 0; vj_class_at(i, &class); i++)
        add_class(&t, class);
    add(&t, "\nNot followed, with status 3:\n\n| because | classes |\n| --- | --- |\n");
    add_refusals(&t);
    if (argc == 3 && strcmp(argv[1], "--check") == 0) return check(&t, argv[2]);
    fwrite(t.at, 1, t.size, stdout);
    return 0;
}
