/* SPDX-License-Identifier: Apache-2.0 */
/* paddle.h - what PaddlePaddle's tools write beside a model: inference.yml (PaddleOCR, PaddleX, PaddleClas) and infer_cfg.yml
 * (PaddleDetection).
 *
 * yaml.c      YAML as JSON
 * file.c      finds and reads the file
 * steps.c     its steps of pre-processing, as a recipe
 * labels.c    the names of classes, the characters of a reader
 *
 * Sees the headers of pictures/.
 */
#ifndef VITJIT_PICTURES_PADDLE_PADDLE_H
#define VITJIT_PICTURES_PADDLE_PADDLE_H

#include "pictures/recipe.h"

/* yaml.c: a document of YAML, which the caller frees (cJSON_Delete). The text is not trusted: depth and what aliases come to are
 * bounded. NULL with the reason, which has the line. */
cJSON *vj_yaml_parse(const char *text, size_t size, vj_why *why);

/* file.c: the file beside the model, where it has Paddle's keys; *file, which the caller frees, stays NULL where there is none. False
 * with a reason that has the path: it cannot be read. *name is the file's. */
bool vj_paddle_beside(const char *model_path, cJSON **file, const char **name, vj_why *why);

/* steps.c: *recipe becomes what the steps do. False with the reason: a value makes no sense, or, VJ_UNSUPPORTED, a step or a key of it is
 * not followed. */
bool vj_paddle_steps(vj_recipe *recipe, const cJSON *file, vj_why *why);
/* The list of steps, or NULL. */
const cJSON *vj_paddle_list(const cJSON *file);

/* labels.c: names of classes where the file has some. Of a reader: what is printed for each of its numbers, for the 0, which parts
 * characters, nothing. */
bool vj_paddle_labels(vj_recipe *recipe, const cJSON *file, vj_why *why);

#endif
