/* SPDX-License-Identifier: Apache-2.0 */
/* formats.c - every kind of picture beside Pillow's pixels (formats/ is made by make_formats.py), damaged files, what is no file, and
 * inputs of every type and order of dims. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "pictures/picture.h"

#define DATA VJ_TEST_DIR "/formats/"

static uint8_t *slurp(const char *name, size_t *bytes) {
    char path[4096];
    uint8_t *at;
    vj_why why = {0};
    snprintf(path, sizeof path, "%s%s", name[0] == '/' ? "" : DATA, name);
    if (!vj_file_read(path, (size_t)1 << 26, &at, bytes, NULL, &why)) fail_msg("%s: %s", path, why.text);
    return at;
}

static vj_status read_one(const char *name, vj_picture *picture, vj_why *why) {
    char path[4096];
    snprintf(path, sizeof path, DATA "%s", name);
    return vj_picture_read(path, NULL, picture, why);
}

/* A decoder of another version may round its inverse transform or the way from YCbCr another way: lossy kinds may be 2 apart. */
static int tolerance_of(const char *name) { return strstr(name, ".jpg") || strstr(name, "lossy") ? 2 : 0; }

/* for (next line of `text`, whose first word is `name`) */
static bool next_line(char **text, char name[64], char **rest) {
    char *end = *text ? strchr(*text, '\n') : NULL;
    if (!end) return false;
    *end = 0;
    *rest = strchr(*text, ' ');
    assert_non_null(*rest);
    *(*rest)++ = 0;
    snprintf(name, 64, "%s", *text);
    *text = end + 1;
    return true;
}

static void matches_pillow(void **state) {
    (void)state;
    size_t bytes, total;
    char *cases = (char *)slurp("cases.txt", &bytes), *at = cases, *rest, name[64];
    uint8_t *want = slurp("expected.bin", &total);
    int32_t seen = 0;
    while (next_line(&at, name, &rest)) {
        int channels, width, height, offset;
        vj_picture picture;
        vj_why why;
        assert_int_equal(sscanf(rest, "%d %d %d %d", &channels, &width, &height, &offset), 4);
        if (read_one(name, &picture, &why) != VJ_OK) fail_msg("%s: %s", name, why.text);
        assert_int_equal(picture.channels, channels);
        assert_int_equal(picture.width, width);
        assert_int_equal(picture.height, height);
        assert_int_equal(picture.transparent != 0, strstr(name, "alpha") || strcmp(name, "keyed.png") == 0);
        for (int32_t i = 0; i < channels * width * height; i++)
            if (abs(picture.pixels[i] - want[offset + i]) > tolerance_of(name))
                fail_msg("%s: byte %d is %d, Pillow's %d", name, i, picture.pixels[i], want[offset + i]);
        vj_picture_free(&picture);
        seen++;
    }
    assert_int_equal(seen, 24);
    free(cases);
    free(want);
}

/* To the last bit: sums are integers. */
static void resizes_as_pillow(void **state) {
    (void)state;
    size_t bytes, total;
    char *cases = (char *)slurp("resized.txt", &bytes), *at = cases, *rest, name[64];
    uint8_t *want = slurp("resized.bin", &total);
    int32_t seen = 0;
    for (; next_line(&at, name, &rest); seen++) {
        char filter[16];
        int width, height, offset;
        vj_picture picture, small;
        vj_why why;
        assert_int_equal(sscanf(rest, "%15s %d %d %d", filter, &width, &height, &offset), 4);
        assert_int_equal(read_one(name, &picture, &why), VJ_OK);
        assert_true(vj_resample(&picture, width, height, vj_filter_by_name(filter), &small, &why));
        const int32_t size = width * height * picture.channels;
        assert_true((size_t)(offset + size) <= total);
        if (memcmp(small.pixels, want + offset, (size_t)size) != 0) fail_msg("%s %s differs", name, rest);
        vj_picture_free(&small);
        vj_picture_free(&picture);
    }
    assert_int_equal(seen, 84);
    free(cases);
    free(want);
}

/* As Pillow's draft, whose sides are no smaller than the wanted ones either. */
static void decodes_fast(void **state) {
    (void)state;
    size_t bytes, total;
    char *cases = (char *)slurp("drafts.txt", &bytes), *at = cases, *rest, name[64];
    uint8_t *want = slurp("drafts.bin", &total);
    int32_t seen = 0, smaller = 0;
    for (; next_line(&at, name, &rest); seen++) {
        int height, width, of_width, of_height, offset;
        char resize[32], path[4096];
        assert_int_equal(sscanf(rest, "%d %d %d %d %d", &height, &width, &of_width, &of_height, &offset), 5);
        snprintf(resize, sizeof resize, "%dx%d", height, width);
        snprintf(path, sizeof path, DATA "%s", name);
        const vj_recipe_options wanted = {.size = sizeof wanted, .resize = resize, .mean = "0", .std = "1"};
        const vj_picture_input input = {.dtype = VJ_F32, .channels = 3, .height = height, .width = width};
        vj_recipe *recipe;
        vj_picture picture;
        vj_why why;
        assert_int_equal(vj_recipe_open("nowhere/m.onnx", NULL, &wanted, &recipe, &why), VJ_OK);
        const vj_picture_options fast = {.size = sizeof fast, .fast_for = recipe, .fast_input = &input};
        assert_int_equal(vj_picture_read(path, &fast, &picture, &why), VJ_OK);
        if (picture.width != of_width || picture.height != of_height)
            fail_msg("%s %s: %d x %d, Pillow's %d x %d", name, resize, (int)picture.width, (int)picture.height,
                     of_width, of_height);
        for (int32_t i = 0; i < 3 * of_width * of_height; i++)
            if (abs(picture.pixels[i] - want[offset + i]) > 2) fail_msg("%s %s: byte %d", name, resize, (int)i);
        smaller += of_width < 61;
        vj_picture_free(&picture);
        vj_recipe_close(recipe);
    }
    assert_true(seen == 10 && smaller == 8);
    free(cases);
    free(want);
}

static void refuses_damage(void **state) {
    (void)state;
    size_t bytes;
    char *list = (char *)slurp("damaged.txt", &bytes), *at = list, *said, name[64];
    int32_t seen = 0;
    while (next_line(&at, name, &said)) {
        vj_picture picture;
        vj_why why;
        const vj_status status = read_one(name, &picture, &why);
        if (status != VJ_BAD_INPUT && status != VJ_UNSUPPORTED) fail_msg("%s: status %d", name, (int)status);
        if (strncmp(why.text, said, strlen(said)) != 0) fail_msg("%s: '%s', not '%s'", name, why.text, said);
        assert_null(picture.pixels);
        seen++;
    }
    assert_int_equal(seen, 23);
    free(list);
}

/* Whatever the bytes are, there is an answer: a whole picture or a reason. */
static void answers_anything(const uint8_t *bytes, size_t size) {
    vj_picture picture;
    vj_why why;
    uint8_t *exact = malloc(size + !size); /* so that a sanitizer sees what is read behind the end */
    assert_non_null(exact);
    memcpy(exact, bytes, size);
    if (vj_picture_decode(exact, size, NULL, &picture, &why) == VJ_OK) {
        const size_t last = (size_t)picture.width * (size_t)picture.height * (size_t)picture.channels - 1;
        assert_non_null(picture.pixels);
        *(volatile uint8_t *)&picture.pixels[last] = 0;
    } else {
        assert_null(picture.pixels);
        assert_true(why.text[0] != 0);
    }
    vj_picture_free(&picture);
    free(exact);
}

static void survives_changes(void **state) {
    (void)state;
    size_t count;
    char *cases = (char *)slurp("cases.txt", &count), *at = cases, *rest, name[64];
    uint64_t seed = 1;
    while (next_line(&at, name, &rest)) {
        size_t size;
        uint8_t *bytes = slurp(name, &size);
        for (size_t cut = 0; cut < size; cut += cut < 128 ? 1 : 61)
            answers_anything(bytes, cut);
        for (int32_t i = 0; i < 200; i++) {
            size_t places[3];
            uint8_t old[3];
            for (int32_t k = 0; k < 3; k++) { /* mostly headers */
                seed = seed * 6364136223846793005u + 1442695040888963407u;
                places[k] = (size_t)(seed >> 33) % (seed >> 32 & 1 ? size : size < 160 ? size : 160);
                old[k] = bytes[places[k]];
                bytes[places[k]] = (uint8_t)(seed >> 40);
            }
            answers_anything(bytes, size);
            for (int32_t k = 2; k >= 0; k--)
                bytes[places[k]] = old[k];
        }
        free(bytes);
    }
    free(cases);
}

/* Neither waits for a FIFO's writer nor reads a device for ever. */
static void regular_files_only(void **state) {
    (void)state;
    char folder[] = "/tmp/vitjit-fifo-XXXXXX", path[64];
    vj_picture picture;
    vj_why why;
    vj_recipe *recipe;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/config.json", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    alarm(20);
    const char *const names[] = {path, "/dev/zero", "/dev/null"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(vj_picture_read(names[i], NULL, &picture, &why), VJ_BAD_INPUT);
        assert_string_equal(why.text, "not a regular file");
    }
    const vj_recipe_options labels = {.size = sizeof labels, .labels = path};
    assert_int_equal(vj_recipe_open("model.onnx", NULL, &labels, &recipe, &why), VJ_BAD_INPUT);
    assert_non_null(strstr(why.text, "not a regular file"));
    char model[80];
    snprintf(model, sizeof model, "%s/model.onnx", folder);
    assert_int_equal(vj_recipe_open(model, "{}", NULL, &recipe, &why), VJ_BAD_INPUT);
    assert_non_null(strstr(why.text, "not a regular file"));
    assert_null(recipe);
    alarm(0);
    remove(path);
    remove(folder);
}

static void inputs_of_shapes(void **state) {
    (void)state;
    static const struct {
        vj_dtype dtype;
        int64_t dims[4];
        int32_t channels, height, width, last;
    } good[] = {{VJ_F32, {-1, 3, 5, 7}, 3, 5, 7, 0},
                {VJ_F16, {2, 1, 5, 7}, 1, 5, 7, 0},
                {VJ_U8, {1, 5, 7, 3}, 3, 5, 7, 1},
                {VJ_F32, {1, 5, 7, 1}, 1, 5, 7, 1},
                {VJ_F32, {1, 3, 5, 3}, 3, 5, 3, 0}};
    static const int64_t bad[][4] = {{1, 4, 5, 6}, {1, 3, 0, 4}, {1, 3, -1, 4}, {1, 3, 1 << 20, 4}, {1, -1, 5, 3}};
    vj_picture_input input;
    vj_why why;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(vj_picture_input_of(good[i].dtype, 4, good[i].dims, &input, &why), VJ_OK);
        assert_true(input.channels == good[i].channels && input.height == good[i].height &&
                    input.width == good[i].width && input.channels_last == good[i].last);
    }
    assert_int_equal(vj_picture_input_bytes(&input), 3 * 5 * 3 * 4);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(vj_picture_input_of(VJ_F32, 4, bad[i], &input, &why), VJ_UNSUPPORTED);
    assert_int_equal(vj_picture_input_of(VJ_I64, 4, good[0].dims, &input, NULL), VJ_UNSUPPORTED);
    assert_int_equal(vj_picture_input_of(VJ_F32, 3, good[0].dims, &input, NULL), VJ_UNSUPPORTED);
}

static float of_half(uint16_t h) {
    const int exponent = h >> 10 & 31, fraction = h & 1023;
    const double size = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
    return (float)(h & 0x8000 ? -size : size);
}

/* The element of channel c and pixel i. */
static double element(const vj_picture_input *input, const void *data, int32_t c, int32_t i) {
    const int32_t pixels = input->height * input->width;
    const int32_t at = input->channels_last ? i * input->channels + c : c * pixels + i;
    if (input->dtype == VJ_F32) return (double)((const float *)data)[at];
    return input->dtype == VJ_F16 ? (double)of_half(((const uint16_t *)data)[at]) : ((const uint8_t *)data)[at];
}

/* Pixels are Pillow's; numbers follow from them. */
static void check_input(const vj_picture *picture, vj_dtype dtype, int32_t last, const uint8_t *want) {
    static const vj_recipe_options options = {
        .size = sizeof options, .mean = "0.25,0.5,0.125", .std = "0.5,0.25,0.75", .resize = "61x97"};
    static const double mean[] = {0.25, 0.5, 0.125}, deviation[] = {0.5, 0.25, 0.75};
    const vj_picture_input input = {.dtype = dtype, .channels = 3, .height = 61, .width = 97, .channels_last = last};
    vj_recipe *recipe;
    vj_why why;
    assert_int_equal(vj_recipe_open("nowhere/model.onnx", NULL, &options, &recipe, &why), VJ_OK);
    const size_t bytes = vj_picture_input_bytes(&input);
    void *data = malloc(bytes);
    assert_int_equal(vj_picture_prepare(picture, recipe, &input, data, bytes - 1, &why), VJ_USAGE);
    assert_int_equal(vj_picture_prepare(picture, recipe, &input, data, bytes, &why), VJ_OK);
    for (int32_t i = 0; i < 61 * 97; i++) {
        for (int32_t c = 0; c < 3; c++) {
            const double pixel = want[i * 3 + c], got = element(&input, data, c, i);
            const double x = dtype == VJ_U8 ? pixel : (pixel / 255 - mean[c]) / deviation[c];
            const double bound = dtype == VJ_U8 ? 0 : dtype == VJ_F32 ? 1e-6 : 0x1p-11 * fabs(x) + 1e-7;
            if (!(fabs(got - x) <= bound)) fail_msg("pixel %d of channel %d is %g, not %g", (int)i, (int)c, got, x);
        }
    }
    vj_picture seen = {0};
    assert_true(vj_unprepare(data, recipe, &input, &seen, &why));
    assert_memory_equal(seen.pixels, want, 61 * 97 * 3);
    vj_picture_free(&seen);
    free(data);
    vj_recipe_close(recipe);
}

static void every_input(void **state) {
    (void)state;
    static const vj_dtype types[] = {VJ_F32, VJ_F16, VJ_U8};
    vj_picture picture;
    assert_int_equal(vj_picture_read(VJ_TEST_DIR "/data/rgb.png", NULL, &picture, NULL), VJ_OK);
    size_t size;
    uint8_t *want = slurp(VJ_TEST_DIR "/data/expected.bin", &size); /* begins with rgb.png as it is */
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        for (int32_t last = 0; last < 2; last++)
            check_input(&picture, types[i], last, want);
    free(want);
    vj_picture_free(&picture);
}

static void names_and_versions(void **state) {
    (void)state;
    vj_picture picture;
    vj_recipe *recipe;
    const vj_recipe_options unset = {0}, newer = {.size = sizeof newer + 8};
    const vj_picture_options nothing = {0};
    assert_true(vj_picture_is_name("a.b/c.JPeG") && vj_picture_is_name(".webp") && vj_picture_is_name("x.bmp"));
    assert_false(vj_picture_is_name("png") || vj_picture_is_name("a.gif") || vj_picture_is_name("a.png.txt"));
    assert_int_equal(vj_recipe_open("m.onnx", NULL, &unset, &recipe, NULL), VJ_USAGE);
    assert_int_equal(vj_recipe_open("m.onnx", NULL, &newer, &recipe, NULL), VJ_USAGE);
    assert_int_equal(vj_picture_decode("x", 1, &nothing, &picture, NULL), VJ_USAGE);
    assert_int_equal(vj_picture_decode("", 0, NULL, &picture, NULL), VJ_BAD_INPUT);
    const vj_recipe_options wrong = {.size = sizeof wrong, .std = "0"};
    assert_int_equal(vj_recipe_open("m.onnx", NULL, &wrong, &recipe, NULL), VJ_USAGE);
    vj_recipe_close(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_pillow),   cmocka_unit_test(resizes_as_pillow), cmocka_unit_test(decodes_fast),
        cmocka_unit_test(refuses_damage),   cmocka_unit_test(survives_changes),  cmocka_unit_test(regular_files_only),
        cmocka_unit_test(inputs_of_shapes), cmocka_unit_test(every_input),       cmocka_unit_test(names_and_versions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
