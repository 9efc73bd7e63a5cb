/* SPDX-License-Identifier: Apache-2.0 */
/* results.h - what a model's outputs say about a picture: objects, masks, depth, key points. One file a kind of result.
 *
 * kinds.c      the table of kinds: architectures, outputs' names and ranks. The way in: vj_reading_choose, vj_reading_show
 * model.c      what kinds ask of a model; the architecture that the files beside it name
 * task.c       which reading of masks is meant: semantic, instance, panoptic
 * objects.c    detectors of queries: logits and boxes; those that say labels, boxes and scores
 * yolo.c       detectors of a grid, whose boxes overlap, and those that name their objects themselves
 * listing.c    prints objects, and draws them
 * segments.c   segmenters: a class a pixel
 * queries.c    a mask a query, by the task: a class a pixel, or shared.c and instances.c; masks.c what these share
 * pieces.c     prints segments, and paints them
 * depth.c      depth
 * restore.c    pictures from pictures
 * matte.c      the foreground
 * pose.c       key points from heat maps, or as the model has found them
 * towers.c     how near texts are to a picture
 * text.c       lines of text
 * sample.c     a plane of numbers, read where the pixels of the picture as it was are
 * canvas.c     lines, boxes and text in a picture; font.c its letters
 * files.c      which files are written, and that they are whole; stems.c the pictures' part of their names
 * json.c       an object a picture
 *
 * Sees the rooms command, tensors and job.
 */
#ifndef VITJIT_CLI_RESULTS_RESULTS_H
#define VITJIT_CLI_RESULTS_RESULTS_H

#include "cli/tensors/tensors.h"
#include "pictures/picture.h"

/* model.c */

/* What config.json says; empty where it says nothing, or is not there. Where it names no architecture, the name of Paddle's
 * post-processing. */
typedef struct vj_config {
    char architecture[128], name[256];
} vj_config;
/* A file that is no JSON is like none: whoever needs it has said so. */
void vj_config_read(const char *model_path, vj_config *config);

/* task.c */

typedef enum vj_task { VJ_TASK_SEMANTIC, VJ_TASK_INSTANCE, VJ_TASK_PANOPTIC } vj_task;
const char *vj_task_word(vj_task task);
/* OneFormer's text of the task, "the task is panoptic", as numbers of tokens. */
enum { VJ_TASK_TOKENS = 7 };
const int32_t *vj_task_tokens(vj_task task, int32_t *count);
/* Which one is meant, and what says it; NULL: nothing does. `given` are the inputs of --input. */
const char *vj_task_find(const vj_command *command, const vj_config *config, const vj_array *given, int32_t count,
                         vj_task *task);

/* stems.c */

enum { VJ_STEM_MOST = 200 };
/* What the files of each picture's results are called: no two pictures have the same. */
typedef struct vj_stems {
    struct vj_stem *at; /* by path */
    int32_t count;
} vj_stems;
/* A picture's name without folder and extension, of plain characters. Where those of several meet, their paths behind the
 * first `shared` characters; then with the extensions; then a number. Borrows the paths. False: no memory. */
bool vj_stems_make(vj_stems *stems, char *const *paths, int32_t count, size_t shared);
/* Of one of the paths. */
const char *vj_stem_of(const vj_stems *stems, const char *path);
void vj_stems_free(vj_stems *stems);

/* kinds.c */

enum { VJ_KIND_OUTPUTS = 3 };
typedef struct vj_result vj_result;

/* An output that a kind reads: names that it may have, parted by `|`, its rank with the batch, and its last dim (0: any). */
typedef struct vj_wanted {
    const char *names;
    int32_t rank, last;
} vj_wanted;

/* A row of the table. */
typedef struct vj_kind {
    const char *what;          /* "a detector" */
    const char *architectures; /* their last letters, parted by `|`; NULL: the outputs alone tell */
    vj_wanted outputs[VJ_KIND_OUTPUTS];
    vj_status (*show)(const vj_result *result);
    int32_t variant;     /* the kind's own */
    const char *picture; /* what the name of its file has behind the stem; NULL: it has none */
    bool draws;          /* which is drawn over the picture, where --draw asks for it; others are written unasked */
    double threshold;    /* that --threshold replaces; 0: it has none; negative: all are shown without it */
    bool (*fits)(const vj_model *model, const int32_t *at); /* what names and ranks do not say, or NULL */
} vj_kind;

/* How a model's outputs are read. */
typedef struct vj_reading {
    const vj_command *command;
    const vj_stems *stems; /* of all pictures; borrowed */
    const vj_kind *kind;   /* NULL: as numbers */
    int32_t at[VJ_KIND_OUTPUTS];
    bool masks; /* of queries, which are read by the task */
    vj_task task;
    double threshold; /* the kind's, or 0 where it has none for the task */
    bool sigmoid;     /* of towers: texts are judged alone, not beside each other */
    bool masked;      /* the model is told where in its input the picture lies: places are parts of that */
} vj_reading;
/* Decides by the model's config.json, outputs and the inputs of --input, and says so where it is a guess. */
void vj_reading_choose(const vj_command *command, const vj_model *model, const vj_array *given, int32_t count,
                       vj_reading *reading);
/* Of one picture: outputs are the model's, this picture's part of each. */
vj_status vj_reading_show(const vj_reading *reading, const vj_array *outputs, const char *file,
                          const vj_placement *placement, const vj_recipe *recipe);

/* One picture's outputs as its kind reads them. */
struct vj_result {
    const vj_reading *reading;
    const vj_command *command;
    const char *file;
    const vj_placement *placement;
    const vj_recipe *recipe;           /* for labels */
    vj_array outputs[VJ_KIND_OUTPUTS]; /* float32, the first dim 1 */
    double threshold;
};

/* model.c */
/* So many outputs the model has that are no maps of attention; they are the first. */
int32_t vj_plain_outputs(const vj_model *model);
/* The input that takes pictures. */
bool vj_model_picture(const vj_model *model, vj_picture_input *input);
const float *vj_result_data(const vj_result *result, int32_t i);

/* objects.c, yolo.c, segments.c, queries.c, depth.c, restore.c, matte.c, pose.c, towers.c, text.c */
vj_status vj_show_placed(const vj_result *result);
bool vj_is_placed(const vj_model *model, const int32_t *at);
enum { VJ_OBJECTS_SOFTMAX, VJ_OBJECTS_TOP_100, VJ_OBJECTS_TOP_QUERIES, VJ_OBJECTS_BY_LABELS };
vj_status vj_show_objects(const vj_result *result);
enum { VJ_YOLO_PLANES, VJ_YOLO_ROWS, VJ_YOLO_DONE };
vj_status vj_show_yolo(const vj_result *result);
bool vj_is_yolo_planes(const vj_model *model, const int32_t *at);
bool vj_is_yolo_rows(const vj_model *model, const int32_t *at);
bool vj_is_yolo_done(const vj_model *model, const int32_t *at);
vj_status vj_show_segments(const vj_result *result);
/* At which size masks are judged, and whose rules there are. */
enum {
    VJ_QUERIES_PLAIN, /* their own: MaskFormer */
    VJ_QUERIES_384,   /* 384 x 384: Mask2Former */
    VJ_QUERIES_INPUT, /* the input's: EoMT */
    VJ_QUERIES_DETR,
    VJ_QUERIES_NO_NULL, /* Conditional DETR: no class is "nothing here" */
    VJ_QUERIES_ONEFORMER
};
vj_status vj_show_queries(const vj_result *result);
vj_status vj_show_depth(const vj_result *result);
vj_status vj_show_restored(const vj_result *result);
vj_status vj_show_matte(const vj_result *result);
bool vj_is_matte(const vj_model *model, const int32_t *at);
enum { VJ_POSE_MAPS, VJ_POSE_POINTS };
vj_status vj_show_pose(const vj_result *result);
vj_status vj_show_points(const vj_result *result);
vj_status vj_show_towers(const vj_result *result);
vj_status vj_show_text(const vj_result *result);

/* listing.c */

/* An object in a picture; x0, y0, x1, y1 in pixels of the picture as it was. */
typedef struct vj_object {
    int32_t label;
    double score, box[4];
} vj_object;
/* The likeliest first; among equals the first. */
void vj_objects_sort(vj_object *objects, int64_t count);
/* A box of the input as one of the picture. */
void vj_box_of_picture(const vj_placement *placement, double box[4]);
/* Prints those above the threshold, at most `most`, and draws them where that is asked for. Sorts them. */
vj_status vj_list_objects(const vj_result *result, vj_object *objects, int64_t count, int64_t most);

/* segments.c: the rest of it, with planes[classes][height][width] of the whole input */
vj_status vj_show_classes(const vj_result *result, const float *planes, int64_t classes, int64_t height, int64_t width);

/* masks.c */

/* A query taken as an object of a class. */
typedef struct vj_claim {
    int64_t query;
    int32_t label;
    double score;
} vj_claim;
/* Are the outputs logits and masks of as many queries? Says what is not. */
vj_status vj_check_queries(const vj_result *result);
int64_t vj_mask_classes(const vj_result *result); /* without "nothing here" */
/* Softmax over the classes, [queries][classes], malloc'ed; NULL without memory. */
double *vj_mask_probabilities(const vj_result *result);
/* The size at which masks are judged: as if they were a picture of that size that became the masks. */
vj_placement vj_mask_size(const vj_result *result);
/* A query's mask at that size, as logits; false: no memory. */
bool vj_mask_of(const vj_result *result, int64_t query, const vj_placement *size, float *out);
void vj_mask_sigmoid(float *values, int64_t count);
/* Of each query its best class, where that scores above the threshold and is not "nothing here", which takes part in the choice
 * with `with_null`. Into room for all queries; how many there are. */
int64_t vj_claims_best(const vj_result *result, const double *probabilities, bool with_null, vj_claim *claims);
/* The likeliest pairs of query and class above the threshold, from the likeliest on, as many as there are queries at most. Malloc'ed;
 * NULL without memory. */
int64_t vj_claims_top(const vj_result *result, const double *probabilities, vj_claim **claims);

/* shared.c, instances.c */
vj_status vj_show_shared(const vj_result *result, const double *probabilities);
vj_status vj_show_instances(const vj_result *result, const double *probabilities);

/* pieces.c: segments in a map [height][width] of the picture, which says whose each pixel is; -1: nobody's */
vj_status vj_show_pieces(const vj_result *result, const vj_claim *claims, int64_t count, const int32_t *map);

/* sample.c */

typedef enum vj_sampling { VJ_SAMPLE_BILINEAR, VJ_SAMPLE_BICUBIC } vj_sampling;
/* Where the pixels of a picture are in a plane that stands for the whole input. PyTorch's interpolate without
 * antialiasing and corners, where the picture was resized alone. */
typedef struct vj_sampler {
    struct vj_taps *columns, *rows; /* malloc'ed */
    float *line;                    /* of the plane's width */
    int64_t plane_width;
    int32_t width, height;
} vj_sampler;
bool vj_sampler_open(vj_sampler *sampler, const vj_placement *placement, vj_sampling sampling, int64_t plane_height,
                     int64_t plane_width);
/* Row y of the picture. */
void vj_sample_row(vj_sampler *sampler, const float *plane, int32_t y, float *out);
/* Has the model seen this row, this column? What was cropped it has not. */
bool vj_seen_row(const vj_placement *placement, int32_t y);
bool vj_seen_column(const vj_placement *placement, int32_t x);
/* Is the input the whole picture, and nothing else? */
bool vj_is_whole(const vj_placement *placement);
/* All rows of a plane, malloc'ed; NULL without memory. */
float *vj_sample_plane(const vj_placement *placement, vj_sampling sampling, const float *plane, int64_t plane_height,
                       int64_t plane_width);
void vj_sampler_close(vj_sampler *sampler);

/* canvas.c: what lies outside of the picture is not drawn */
typedef struct vj_colour {
    uint8_t red, green, blue;
} vj_colour;
vj_colour vj_class_colour(int64_t index);
/* The result's own picture, in colour; vj_picture_free frees it. On failure it is empty, and the message has been printed. */
vj_status vj_canvas_open(const vj_result *r, vj_picture *canvas);
void vj_draw_rectangle(vj_picture *canvas, int64_t x, int64_t y, int64_t width, int64_t height, vj_colour colour);
void vj_draw_frame(vj_picture *canvas, const double box[4], int32_t thickness, vj_colour colour);
void vj_draw_dot(vj_picture *canvas, double x, double y, int32_t radius, vj_colour colour);
/* Letters are `times` the font's; characters that the font lacks are boxes. */
void vj_draw_text(vj_picture *canvas, int64_t x, int64_t y, const char *text, int32_t times, vj_colour colour);
int64_t vj_text_width(const char *text, int32_t times);
/* Text on a ground of the colour, in black or white. */
void vj_draw_label(vj_picture *canvas, int64_t x, int64_t y, const char *text, int32_t times, vj_colour ground);
/* A size of letters and lines that suits the picture. */
int32_t vj_times_of(const vj_picture *picture);

/* font.c: a character's columns, the lowest bit the upper row; of what is not in it, a box. */
enum { VJ_FONT_WIDTH = 5, VJ_FONT_HEIGHT = 7 };
const uint8_t *vj_font_columns(unsigned char character);

/* files.c */
/* Written whole under another name, then renamed. */
vj_status vj_png_write_whole(const char *path, const vj_picture *picture);
/* The same, and said in a line. */
vj_status vj_png_write_said(const char *path, const vj_picture *picture);
/* Do --threshold and --draw go with the kind, and can the files be written? Asked before long work; `paths` are of `count` pictures. */
vj_status vj_check_asked(const vj_reading *reading, char *const *paths, int32_t count);
/* The file of a picture's result; false: none is wanted. */
enum { VJ_PATH_ROOM = 4200 };
bool vj_result_path(const vj_result *result, char path[VJ_PATH_ROOM]);

/* json.c */
struct cJSON;
bool vj_wants_json(const vj_command *command);
/* {"file": ...}; NULL without memory. */
struct cJSON *vj_result_json(const vj_result *result);
/* An object of the list with "index" and "label". */
struct cJSON *vj_json_class(const vj_result *result, struct cJSON *list, int64_t index);
vj_status vj_json_print(struct cJSON *json);
/* The label, or "class N"; control characters are escaped. */
const char *vj_class_name(const vj_result *result, int64_t index, char text[256]);

#endif
