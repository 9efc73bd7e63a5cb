/* SPDX-License-Identifier: Apache-2.0 */
/* by_hand.h - an image made by hand, whose code counts its calls in the first output, and its packed weights. */
#ifndef VITJIT_TESTS_RUNTIME_BY_HAND_H
#define VITJIT_TESTS_RUNTIME_BY_HAND_H

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "runtime/runtime.h"
#include "vitjit_digest.h"

#define PHASES 2

/* mov rax,[rdi+8]; mov rax,[rax]; lock inc dword [rax]; ret */
static const uint8_t count_calls[] = {0x48, 0x8b, 0x47, 0x08, 0x48, 0x8b, 0x00, 0xf0, 0xff, 0x00, 0xc3};
static const char strings[] = "m\0x\0y";

static inline void seal(uint8_t *at) {
    vj_image_header *h = (vj_image_header *)(void *)at;
    const size_t from = offsetof(vj_image_header, check) + sizeof h->check;
    XXH128_hash_t hash = XXH3_128bits(at + from, h->bytes - from);
    h->check[0] = hash.low64;
    h->check[1] = hash.high64;
}

static inline void *make_image(size_t *bytes) {
    *bytes = VJ_IMAGE_CODE_ALIGN + sizeof count_calls;
    uint8_t *at = calloc(1, *bytes);
    assert_non_null(at);
    vj_image_header h = {.magic = VJ_IMAGE_MAGIC,
                         .version = VJ_IMAGE_VERSION,
                         .header_size = sizeof h,
                         .bytes = *bytes,
                         .weights_digest = {7, 9},
                         .weights_bytes = 64,
                         .scratch_fixed = 64,
                         .scratch_per_image = 128,
                         .max_batch = 100,
                         .phase_count = PHASES,
                         .precision = VJ_BF16,
                         .weight_format = VJ_F16,
                         .input_count = 1,
                         .output_count = 1,
                         .inputs = 1024,
                         .outputs = 2048,
                         .strings = 3000,
                         .strings_bytes = sizeof strings,
                         .code = VJ_IMAGE_CODE_ALIGN,
                         .code_bytes = sizeof count_calls};
    vj_image_tensor x = {.name = 2, .dtype = VJ_F32, .rank = 2, .dims = {-1, 4}, .bytes_per_image = 16};
    vj_image_tensor y = {.name = 4, .dtype = VJ_I32, .rank = 1, .dims = {-1}, .bytes_per_image = 4};
    memcpy(at, &h, sizeof h);
    memcpy(at + 1024, &x, sizeof x);
    memcpy(at + 2048, &y, sizeof y);
    memcpy(at + 3000, strings, sizeof strings);
    memcpy(at + VJ_IMAGE_CODE_ALIGN, count_calls, sizeof count_calls);
    seal(at);
    return at;
}

static inline void fill_weights(int fd) {
    static const uint8_t zeros[64];
    const XXH128_hash_t check = vj_digest_of(zeros, sizeof zeros);
    vj_weights_header h = {VJ_WEIGHTS_MAGIC, {7, 9}, 64, {check.low64, check.high64}};
    assert_int_equal(pwrite(fd, &h, sizeof h, 0), sizeof h);
    assert_int_equal(ftruncate(fd, VJ_WEIGHTS_HEADER + 64), 0);
}

#endif
