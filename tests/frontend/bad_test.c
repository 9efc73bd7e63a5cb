/* SPDX-License-Identifier: Apache-2.0 */
/* bad_test.c - bad models. Each model of the packs *bad.bin must fail with its status and words. Files cut at every
 * byte and files with changed bytes may give any answer but a crash or a leak. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "frontend/frontend.h"
#include "pack.h"

static vj_status import_bytes(const uint8_t *bytes, size_t size, vj_error *error) {
    vj_arena *arena = vj_arena_new();
    vj_model_facts facts;
    vj_onnx *onnx = vj_onnx_open_memory(arena, bytes, size, "bad.onnx", &facts, error);
    vj_func *f = onnx ? vj_import(arena, onnx, NULL, error) : NULL;
    assert_true((f != NULL) == (error->status == VJ_OK));
    vj_onnx_close(onnx);
    vj_arena_free(arena);
    return error->status;
}

static int wrong;

static void check_pack(const char *file) {
    vj_pack pack = vj_pack_open(file);
    while (vj_pack_more(&pack)) {
        char name[128], words[256];
        vj_pack_text(&pack, name, sizeof name);
        size_t size;
        const uint8_t *model = vj_pack_bytes(&pack, &size);
        uint32_t status = vj_pack_u32(&pack);
        vj_pack_text(&pack, words, sizeof words);
        vj_error error = {0};
        import_bytes(model, size, &error);
        if ((uint32_t)error.status == status && strstr(error.text, words)) continue;
        print_message("%s: status %d, '%s'; not %u, '%s'\n", name, (int)error.status, error.text, status, words);
        wrong++;
    }
    vj_pack_close(&pack);
}

static void each_failure_is_told(void **state) {
    (void)state;
    vj_packs("bad.bin", check_pack);
    assert_int_equal(wrong, 0);
}

static void (*each_model)(const uint8_t *model, size_t size, int index);

static void over_pack(const char *file) {
    vj_pack pack = vj_pack_open(file);
    for (int index = 0; vj_pack_more(&pack); index++) {
        char name[128];
        vj_pack_text(&pack, name, sizeof name);
        size_t size;
        const uint8_t *model = vj_pack_bytes(&pack, &size);
        vj_pack_u32(&pack);
        vj_pack_tensor tensors[VJ_PACK_TENSORS];
        for (int i = 0; i < 2; i++)
            vj_pack_free_tensors(tensors, vj_pack_tensors(&pack, tensors));
        each_model(model, size, index);
    }
    vj_pack_close(&pack);
}

/* Calls `each` with every model that runs. */
static void over_models(void (*each)(const uint8_t *model, size_t size, int index)) {
    each_model = each;
    vj_packs("ops.bin", over_pack);
}

static int whole;

static void cut(const uint8_t *model, size_t size, int index) {
    if (index % 8) return;
    for (size_t length = 0; length < size; length++) {
        uint8_t *copy = malloc(length + 1); /* its own block, so that a sanitizer sees a read past the end */
        memcpy(copy, model, length);
        vj_error error = {0};
        whole += import_bytes(copy, length, &error) == VJ_OK;
        free(copy);
    }
}

/* A model cut between fields may still be whole by itself (its last fields are optional), but not often. */
static void cut_models_fail_cleanly(void **state) {
    (void)state;
    whole = 0;
    over_models(cut);
    assert_true(whole < 200);
}

static uint64_t next_random(uint64_t *seed) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

/* Changes one or two bytes: flips a bit, adds or subtracts one, or writes another byte. */
static void flip(const uint8_t *model, size_t size, int index) {
    uint8_t *copy = malloc(size);
    uint64_t seed = (uint64_t)index + 1;
    for (int round = 0; round < 80; round++) {
        memcpy(copy, model, size);
        for (uint64_t n = 1 + next_random(&seed) % 2; n > 0; n--) {
            uint8_t *at = &copy[next_random(&seed) % size];
            uint64_t how = next_random(&seed) % 4, value = next_random(&seed);
            if (how == 0) *at ^= (uint8_t)(1u << value % 8);
            if (how == 1) *at = (uint8_t)(*at + 1);
            if (how == 2) *at = (uint8_t)(*at - 1);
            if (how == 3) *at = (uint8_t)value;
        }
        vj_error error = {0};
        import_bytes(copy, size, &error);
    }
    free(copy);
}

static void flipped_bytes_do_no_harm(void **state) {
    (void)state;
    over_models(flip);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_failure_is_told),
                                       cmocka_unit_test(cut_models_fail_cleanly),
                                       cmocka_unit_test(flipped_bytes_do_no_harm)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
