/* SPDX-License-Identifier: Apache-2.0 */
/* geometry.c - which steps make a picture as large as the model's input.
 *
 * The input's size wins. A recipe that ends in one size (a crop, a pad, a plain resize) is scaled to it as a whole, so that the
 * same part of the picture is seen. A recipe whose result has the picture's aspect (DETR, DPT, ViLT) is followed where it ends in the
 * input's size; else its picture is fitted into the input and padded, if it pads, or covers the input and is cropped.
 */
#include "picture.h"

#include <math.h>
#include <string.h>

#define MOST_SIDE (1 << 28)

static double round_by(double x, vj_rounding rounding) {
    switch (rounding) {
    case VJ_ROUND_HALF_UP:
        return floor(x + 0.5);
    case VJ_ROUND_EVEN:
        return nearbyint(x);
    case VJ_ROUND_UP:
        return ceil(x);
    case VJ_ROUND_DOWN_32:
        return floor(nearbyint(x * 32) / 32);
    default:
        return floor(x);
    }
}

static int32_t side(double x) { return (int32_t)fmin(fmax(x, 1), MOST_SIDE); }

static double smaller(int32_t a, int32_t b) { return a < b ? a : b; }
static double larger(int32_t a, int32_t b) { return a > b ? a : b; }

/* The shorter side becomes g->height, unless the longer one would then be too long. The order of the operations decides
 * roundings: it is that of transformers (get_size_with_aspect_ratio), or with halves up that of ViLT. */
static void by_shortest(const vj_geometry *g, double h, double w, double *to_h, double *to_w) {
    const double least = fmin(h, w), most = fmax(h, w);
    double raw = g->height, edge = g->height;
    if (g->longest && most / least * edge > g->longest) {
        raw = g->longest * least / most;
        edge = g->rounding == VJ_ROUND_HALF_UP ? raw : nearbyint(raw);
    }
    if (least == edge) raw = edge; /* already so */
    *to_h = h <= w ? edge : raw * h / w;
    *to_w = w <= h ? edge : raw * w / h;
}

/* Whole sides, the longer at most so long. */
static void bound(int32_t longest, double *h, double *w) {
    const double factor = longest / fmax(floor(*h), floor(*w));
    if (factor >= 1) return;
    *h = floor(*h) * factor;
    *w = floor(*w) * factor;
}

static void exact_sides(const vj_geometry *g, double h, double w, double *to_h, double *to_w) {
    const double by_h = g->height / h, by_w = g->width / w;
    double factor = 1;
    switch (g->mode) {
    case VJ_RESIZE_SHORTEST:
        by_shortest(g, h, w, to_h, to_w);
        return;
    case VJ_RESIZE_LONGEST:
        *to_h = h >= w ? g->height : g->height * (h / w);
        *to_w = w >= h ? g->height : g->height * (w / h);
        return;
    case VJ_RESIZE_EXACT:
        *to_h = g->height;
        *to_w = g->width;
        return;
    case VJ_RESIZE_HEIGHT:
        *to_h = g->height;
        *to_w = fmin(round_by(g->height * (w / h), g->rounding), g->width);
        return;
    case VJ_RESIZE_COVER:
        factor = fmax(by_h, by_w);
        break;
    case VJ_RESIZE_FIT:
        factor = fmin(by_h, by_w);
        break;
    case VJ_RESIZE_NEARER:
        factor = fabs(1 - by_w) < fabs(1 - by_h) ? by_w : by_h;
        break;
    default:
        break;
    }
    if (g->shrink_only) factor = fmin(factor, 1);
    if (g->grow_only) factor = fmax(factor, 1);
    *to_h = factor * h;
    *to_w = factor * w;
    if (g->longest) bound(g->longest, to_h, to_w);
}

static int32_t rounded(const vj_geometry *g, double x) {
    if (g->multiple <= 1) return side(round_by(x, g->rounding));
    if (g->multiple_rounding != VJ_ROUND_EVEN || g->rounding == VJ_ROUND_DOWN) x = round_by(x, g->rounding);
    return side(fmax(round_by(x / g->multiple, g->multiple_rounding), 1) * g->multiple);
}

/* The size that the recipe resizes a picture to. */
static void resized(const vj_geometry *g, int32_t h, int32_t w, int32_t *to_h, int32_t *to_w) {
    double exact_h, exact_w;
    exact_sides(g, h, w, &exact_h, &exact_w);
    *to_h = rounded(g, exact_h);
    *to_w = rounded(g, exact_w);
}

/* The one size that the recipe ends in; false: it has none. */
static bool own_size(const vj_geometry *g, int32_t *height, int32_t *width) {
    *height = g->pad ? g->pad_height : g->crop_height;
    *width = g->pad ? g->pad_width : g->crop_width;
    if (!g->pad && !g->crop_height && g->mode == VJ_RESIZE_EXACT) {
        *height = g->height;
        *width = g->width;
    }
    return *height > 0 && *width > 0;
}

bool vj_recipe_own_size(const vj_recipe *recipe, int32_t *height, int32_t *width) {
    const vj_geometry *g = &recipe->geometry;
    if (!own_size(g, height, width)) return false;
    if (!g->pad && !g->crop_height) resized(g, *height, *width, height, width);
    return true;
}

static int32_t scaled_side(int32_t x, double factor) { return x > 0 ? side(nearbyint(x * factor)) : 0; }

/* One edge stays one where the input keeps the aspect of the recipe's own size, and becomes a box otherwise. */
static void scale_edge(vj_geometry *g, double by_h, double by_w) {
    const int32_t h = scaled_side(g->height, by_h), w = scaled_side(g->height, by_w);
    g->longest = scaled_side(g->longest, fmax(by_h, by_w));
    if (h != w) {
        g->mode = g->mode == VJ_RESIZE_SHORTEST ? VJ_RESIZE_COVER : VJ_RESIZE_FIT;
        g->rounding = VJ_ROUND_EVEN;
        g->width = w;
    }
    g->height = h;
}

/* A size that crop_pct gives: timm's rule. A square is the shorter side, with that mode's rounding. */
static void size_by_crop(vj_geometry *g, int32_t height, int32_t width) {
    g->height = side(floor(height / g->crop_pct));
    g->width = side(floor(width / g->crop_pct));
    g->crop_height = height;
    g->crop_width = width;
    if (g->mode == VJ_RESIZE_COVER && g->height == g->width) {
        g->mode = VJ_RESIZE_SHORTEST;
        g->rounding = VJ_ROUND_DOWN;
    }
}

bool vj_geometry_for(const vj_geometry *geometry, int32_t height, int32_t width, vj_geometry *scaled) {
    int32_t own_height, own_width;
    *scaled = *geometry;
    vj_geometry *g = scaled;
    if (g->crop_input) {
        g->crop_height = height;
        g->crop_width = width;
        return false;
    }
    if (g->mode != VJ_RESIZE_NONE && g->height == 0) {
        size_by_crop(g, height, width);
        return false;
    }
    if (!own_size(g, &own_height, &own_width) || (own_height == height && own_width == width)) return false;
    const double by_h = (double)height / own_height, by_w = (double)width / own_width;
    if (g->mode == VJ_RESIZE_SHORTEST || g->mode == VJ_RESIZE_LONGEST) {
        scale_edge(g, by_h, by_w);
    } else {
        g->height = scaled_side(g->height, by_h);
        g->width = scaled_side(g->width, by_w);
    }
    g->within_height = scaled_side(g->within_height, by_h);
    g->within_width = scaled_side(g->within_width, by_w);
    if (g->crop_height && g->pad) {
        g->crop_height = scaled_side(g->crop_height, by_h);
        g->crop_width = scaled_side(g->crop_width, by_w);
    } else if (g->crop_height) {
        g->crop_height = height;
        g->crop_width = width;
    }
    if (g->pad) {
        g->pad_height = height;
        g->pad_width = width;
    }
    return true;
}

/* A plan in the making: the size of what the steps so far make, and where in it the picture lies. */
typedef struct making {
    vj_picture_plan *plan;
    int32_t height, width;
} making;

static void add(making *m, vj_step_kind kind, int32_t height, int32_t width, int32_t top, int32_t left) {
    m->plan->steps[m->plan->count++] = (vj_picture_step){kind, height, width, top, left};
    m->height = height;
    m->width = width;
}

static void resize(making *m, int32_t height, int32_t width) {
    if (height != m->height || width != m->width) add(m, VJ_STEP_RESIZE, height, width, 0, 0);
}

static void place(making *m, vj_step_kind kind, int32_t height, int32_t width, int32_t top, int32_t left) {
    if (height != m->height || width != m->width) add(m, kind, height, width, top, left);
}

/* Where the corner of a centred picture comes to lie on a side of `to`. */
static int32_t centred(const vj_geometry *g, int32_t from, int32_t to) {
    const double half = (to - from) / 2.0;
    if (g->floor_crop) return (int32_t)ceil(half);
    return (int32_t)(from < to ? floor(half) : nearbyint(half));
}

static void crop(making *m, const vj_geometry *g, int32_t height, int32_t width) {
    place(m, VJ_STEP_PLACE, height, width, centred(g, m->height, height), centred(g, m->width, width));
}

static void pad(making *m, vj_pad kind, int32_t height, int32_t width) {
    const bool centre = kind == VJ_PAD_CENTRE;
    place(m, kind == VJ_PAD_MIRROR ? VJ_STEP_MIRROR : VJ_STEP_PLACE, height, width,
          centre ? (height - m->height) / 2 : 0, centre ? (width - m->width) / 2 : 0);
}

/* ZoeDepth's. */
static int32_t border_of(int32_t size) { return (int32_t)(sqrt(size / 2.0) * 3); }

/* Before resizing. */
static void begin(making *m, const vj_geometry *g, int32_t height, int32_t width) {
    if (g->turn && ((width < height && m->width > m->height) || (width > height && m->width < m->height)))
        add(m, VJ_STEP_TURN, m->width, m->height, 0, 0);
    if (g->cut_height > 0) {
        const double least = smaller(m->height, m->width);
        crop(m, g, side(floor(g->cut_height * least)), side(floor(g->cut_width * least)));
    }
    if (g->border) {
        const int32_t top = border_of(m->height), left = border_of(m->width);
        place(m, VJ_STEP_REFLECT, m->height + 2 * top, m->width + 2 * left, top, left);
    }
    if (m->height + m->width < 2 * g->least)
        pad(m, VJ_PAD_END, (int32_t)larger(m->height, g->least), (int32_t)larger(m->width, g->least));
    if (g->square) pad(m, g->square, (int32_t)larger(m->height, m->width), (int32_t)larger(m->height, m->width));
}

/* Donut's thumbnail: the sides that are too long become as long as they may, then the shorter one follows the longer. */
static void shrink_within(making *m, const vj_geometry *g) {
    const int32_t h = (int32_t)smaller(m->height, g->within_height), w = (int32_t)smaller(m->width, g->within_width);
    if (h == m->height && w == m->width) return;
    if (m->height > m->width)
        resize(m, h, side(floor((double)m->width * h / m->height)));
    else if (m->width > m->height)
        resize(m, side(floor((double)m->height * w / m->width)), w);
    else
        resize(m, h, w);
}

static void resize_by(making *m, vj_resize_mode mode, int32_t height, int32_t width) {
    const vj_geometry g = {.mode = mode, .rounding = VJ_ROUND_EVEN, .height = height, .width = width};
    int32_t h, w;
    resized(&g, m->height, m->width, &h, &w);
    resize(m, h, w);
}

/* What the resized size (h, w) is to be shrunk to, where it does not fit into the input. */
static void fit(const making *m, int32_t height, int32_t width, int32_t *h, int32_t *w) {
    const vj_geometry g = {.mode = VJ_RESIZE_FIT, .rounding = VJ_ROUND_EVEN, .height = height, .width = width};
    if (*h > height || *w > width) resized(&g, m->height, m->width, h, w);
}

/* A recipe with a size of its own, which is the input's by now. */
static void end_by_size(making *m, const vj_geometry *g, int32_t height, int32_t width) {
    int32_t h, w;
    resized(g, m->height, m->width, &h, &w);
    if (!g->crop_height && !g->within_height) fit(m, height, width, &h, &w);
    resize(m, h, w);
    if (g->within_height) shrink_within(m, g);
    if (g->crop_height) crop(m, g, g->crop_height, g->crop_width);
}

/* A recipe without: what it makes of the picture, or else the next best. */
static void end_by_aspect(making *m, const vj_geometry *g, int32_t height, int32_t width) {
    int32_t h, w;
    resized(g, m->height, m->width, &h, &w);
    const bool exact = h == height && w == width, inside = h <= height && w <= width;
    const bool near = !g->pad_most || (height - h <= g->pad_most && width - w <= g->pad_most);
    if (exact || (g->pad && inside && near))
        resize(m, h, w);
    else
        resize_by(m, g->pad ? VJ_RESIZE_FIT : g->squash ? VJ_RESIZE_EXACT : VJ_RESIZE_COVER, height, width);
}

void vj_plan_picture(const vj_geometry *geometry, int32_t picture_height, int32_t picture_width, int32_t height,
                     int32_t width, vj_picture_plan *plan) {
    vj_geometry g;
    int32_t own_height, own_width;
    *plan = (vj_picture_plan){.count = 0};
    making m = {plan, picture_height, picture_width};
    vj_geometry_for(geometry, height, width, &g);
    begin(&m, &g, height, width);
    if (own_size(&g, &own_height, &own_width))
        end_by_size(&m, &g, height, width);
    else
        end_by_aspect(&m, &g, height, width);
    const bool centre = g.pad == VJ_PAD_CENTRE;
    plan->top = centre ? (height - m.height) / 2 : 0;
    plan->left = centre ? (width - m.width) / 2 : 0;
    plan->bottom = plan->top + m.height;
    plan->right = plan->left + m.width;
    if (g.pad)
        pad(&m, g.pad, height, width);
    else
        crop(&m, &g, height, width);
}

bool vj_first_resize(const vj_recipe *recipe, const vj_picture_input *input, int32_t picture_height,
                     int32_t picture_width, int32_t *height, int32_t *width) {
    vj_picture_plan plan;
    vj_plan_picture(&recipe->geometry, picture_height, picture_width, input->height, input->width, &plan);
    const bool turned = plan.count > 0 && plan.steps[0].kind == VJ_STEP_TURN;
    if (turned >= plan.count || plan.steps[turned].kind != VJ_STEP_RESIZE) return false;
    *height = turned ? plan.steps[turned].width : plan.steps[turned].height;
    *width = turned ? plan.steps[turned].height : plan.steps[turned].width;
    return true;
}
