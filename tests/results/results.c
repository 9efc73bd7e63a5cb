/* SPDX-License-Identifier: Apache-2.0 */
/* results.c - what the command prints and writes of a picture beside what make_results.py recorded.
 *     results VITJIT PICTURES [CASE...]     PICTURES: the folder of tests/pictures/data
 * A case is a folder of data/: model.onnx, config.json, preprocessor_config.json or inference.yml; expected.json has options and the object that is
 * printed, expected.png the picture that is written. Numbers may differ by 2e-4 of themselves and as much besides, pixels by one. */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "folder.h"
#include "pictures/picture.h"

static int failures;
static const char *case_name;

static void fail(const char *where, const char *what) {
    printf("%s: %s: %s\n", case_name, where, what);
    failures++;
}

static char *read_text(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    char *text = calloc(1, 1 << 20);
    if (text && fread(text, 1, (1 << 20) - 1, file) == 0) text[0] = 0;
    fclose(file);
    return text;
}

static cJSON *read_json(const char *path) {
    char *text = read_text(path);
    cJSON *json = text ? cJSON_Parse(text) : NULL;
    free(text);
    return json;
}

static void compare(const char *where, const cJSON *got, const cJSON *want) {
    char inner[256];
    if (!got || (got->type & 0xff) != (want->type & 0xff)) {
        fail(where, "missing, or of another type");
    } else if (cJSON_IsNumber(want)) {
        const double off = fabs(got->valuedouble - want->valuedouble);
        snprintf(inner, sizeof inner, "%.9g, not %.9g", got->valuedouble, want->valuedouble);
        if (!(off <= 2e-4 + 2e-4 * fabs(want->valuedouble))) fail(where, inner);
    } else if (cJSON_IsString(want)) {
        if (strcmp(got->valuestring, want->valuestring) != 0) fail(where, got->valuestring);
    } else {
        if (cJSON_IsArray(want) && cJSON_GetArraySize(got) != cJSON_GetArraySize(want)) {
            snprintf(inner, sizeof inner, "%d elements, not %d", cJSON_GetArraySize(got), cJSON_GetArraySize(want));
            fail(where, inner);
            return;
        }
        int i = 0;
        for (const cJSON *w = want->child; w; w = w->next, i++) {
            snprintf(inner, sizeof inner, "%s.%s", where, w->string ? w->string : "element");
            compare(inner, w->string ? cJSON_GetObjectItem(got, w->string) : cJSON_GetArrayItem(got, i), w);
        }
    }
}

/* Pixels of this colour are between two classes. */
static bool is_skipped(const uint8_t *p) { return p[0] == 255 && p[1] == 254 && p[2] == 253; }

static void compare_pixels(const vj_picture *got, const vj_picture *want) {
    const size_t channels = (size_t)want->channels, count = (size_t)want->width * (size_t)want->height;
    size_t wrong = 0, skipped = 0;
    if (got->width != want->width || got->height != want->height || got->channels != want->channels) {
        fail("picture", "of another size");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const uint8_t *g = got->pixels + i * channels, *w = want->pixels + i * channels;
        if (channels == 3 && is_skipped(w)) {
            skipped++;
            continue;
        }
        bool same = true;
        for (size_t c = 0; c < channels; c++)
            same = same && abs(g[c] - w[c]) <= 1;
        wrong += !same;
    }
    char text[96];
    snprintf(text, sizeof text, "%zu of %zu pixels differ", wrong, count);
    if (wrong) fail("picture", text);
    if (skipped > count / 50) fail("picture", "too many pixels are between two classes");
}

static void compare_picture(const char *written, const char *expected) {
    vj_picture got = {0}, want = {0};
    vj_why why = {0};
    if (vj_picture_read(expected, NULL, &want, &why) != VJ_OK)
        fail(expected, why.text);
    else if (vj_picture_read(written, NULL, &got, &why) != VJ_OK)
        fail(written, why.text);
    else
        compare_pixels(&got, &want);
    vj_picture_free(&got);
    vj_picture_free(&want);
}

static bool is_there(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file) fclose(file);
    return file != NULL;
}

/* What stands behind @ is a file of the case. */
static void add_option(char *options, size_t room, const char *name, const char *option) {
    const size_t used = strlen(options);
    const char *at = strchr(option, '@');
    if (at)
        snprintf(options + used, room - used, " %.*s%s/data/%s/%s", (int)(at - option), option, VJ_TEST_DIR, name,
                 at + 1);
    else
        snprintf(options + used, room - used, " %s", option);
}

static void run(const char *vitjit, const char *pictures, const char *name) {
    char path[1024], options[2048] = "", written[1100];
    case_name = name;
    const int before = failures;
    snprintf(path, sizeof path, VJ_TEST_DIR "/data/%s/expected.json", name);
    cJSON *expected = read_json(path);
    const cJSON *given = cJSON_GetObjectItem(expected, "options"), *option,
                *want = cJSON_GetObjectItem(expected, "result");
    const bool draws = !cJSON_HasObjectItem(want, "texts") && !cJSON_HasObjectItem(want, "text");
    cJSON_ArrayForEach(option, given) add_option(options, sizeof options, name, option->valuestring);
    if (!want) fail(path, "no expected result");
    snprintf(written, sizeof written, "%s/out", folder_path());
    if (status_of("cd %s && rm -rf out && mkdir out && %s %s/data/%s/model.onnx %s/rgb.png --quiet --format jsonl%s%s "
                  ">got.json",
                  folder_path(), vitjit, VJ_TEST_DIR, name, pictures, options, draws ? " --draw out" : "") != 0)
        fail("vitjit", "failed");
    cJSON *got = read_json(in_folder("got.json"));
    if (want) compare("", got, want);
    snprintf(path, sizeof path, VJ_TEST_DIR "/data/%s/expected.png", name);
    const cJSON *picture = cJSON_GetObjectItem(got, "picture");
    if (is_there(path)) {
        if (cJSON_IsString(picture))
            compare_picture(in_folder(picture->valuestring), path);
        else
            fail("picture", "none is written");
    }
    cJSON_Delete(got);
    cJSON_Delete(expected);
    printf("%s %s\n", failures == before ? "pass" : "FAIL", name);
}

static int is_case(const struct dirent *entry) { return entry->d_name[0] != '.'; }

static int run_all(const char *vitjit, const char *pictures) {
    struct dirent **cases = NULL;
    const int count = scandir(VJ_TEST_DIR "/data", &cases, is_case, alphasort);
    for (int i = 0; i < count; i++) {
        run(vitjit, pictures, cases[i]->d_name);
        free(cases[i]);
    }
    free(cases);
    return count;
}

int main(int argc, char **argv) {
    if (argc < 3 || !folder_make()) return 2;
    setenv("VITJIT_CACHE", in_folder("cache"), 1);
    int count = argc - 3;
    for (int i = 3; i < argc; i++)
        run(argv[1], argv[2], argv[i]);
    if (argc == 3) count = run_all(argv[1], argv[2]);
    folder_remove();
    printf("%d cases, %d failures\n", count, failures);
    return count < 1 || failures ? 1 : 0;
}
