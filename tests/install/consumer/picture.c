/* SPDX-License-Identifier: Apache-2.0 */
/* A user's program on libvitjit_picture alone: prepares a picture, and prints its first values. */
#include <stdio.h>

#include <vitjit_picture.h>

int main(int argc, char **argv) {
    static const char metadata[] =
        "{\"mean\": \"[0.25]\", \"std\": \"[0.5]\", \"label_names\": \"[\\\"zero\\\", \\\"one\\\"]\"}";
    const int64_t dims[] = {1, 1, 8, 8};
    float pixels[64];
    vj_why why;
    vj_recipe *recipe;
    vj_picture picture;
    vj_picture_input input;
    if (argc != 3 || vj_picture_input_of(VJ_F32, 4, dims, &input, &why) != VJ_OK) return 1;
    if (vj_recipe_open(argv[1], metadata, NULL, &recipe, &why) != VJ_OK ||
        vj_picture_read(argv[2], NULL, &picture, &why) != VJ_OK ||
        vj_picture_prepare(&picture, recipe, &input, pixels, sizeof pixels, &why) != VJ_OK) {
        fprintf(stderr, "%s\n", why.text);
        return 2;
    }
    printf("%d x %d, %g %g, %s\n", (int)picture.width, (int)picture.height, vj_recipe_mean(recipe, 0),
           vj_recipe_deviation(recipe, 0), vj_recipe_label(recipe, 1));
    for (int i = 0; i < 64; i++)
        if (!(pixels[i] >= -0.5f && pixels[i] <= 1.5f)) return 3;
    vj_picture_free(&picture);
    vj_recipe_close(recipe);
    return vj_picture_read(argv[1], NULL, &picture, NULL) == VJ_BAD_INPUT ? 0 : 4;
}
