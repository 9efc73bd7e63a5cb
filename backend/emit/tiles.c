/* SPDX-License-Identifier: Apache-2.0 */
/* tiles.c - AMX by LLVM's intrinsics, which take tile numbers as immediates, and the twin.
 *
 * tdpbf16ps (Intel's manual, volume 2): for each row of the sum, the products of the even and of the odd elements of k are added up
 * apart, each by a fused multiply-add from zero on in the order of k; the two sums are added, then that to the tile. All of it
 * rounds to nearest even, and takes and makes subnormal numbers for zeros. tdpbusd multiplies unsigned bytes of a row by signed ones.
 */
#include "tiles.h"

#include <assert.h>
#include <string.h>

static bool is_twin(const vj_tile_unit *u) { return u->g->target->tiles == VJ_TILES_TWIN; }

static LLVMValueRef number(const vj_tile_unit *u, int32_t tile) {
    assert(tile >= 0 && tile < VJ_TILES);
    return LLVMConstInt(u->g->i8, (unsigned)tile, false);
}

vj_tile_unit vj_tiles_new(vj_gen *g) {
    vj_tile_unit u = {.g = g};
    u.memory = vj_stack(g, VJ_U8, is_twin(&u) ? VJ_TILES * VJ_TILE_ROWS * VJ_TILE_ROW : VJ_TILE_ROW);
    return u;
}

/* The 64 bytes that ldtilecfg reads (Intel's manual, volume 1, 18): the palette, bytes of a row and rows of each tile. */
static void load_configuration(const vj_tile_unit *u) {
    enum { PALETTE = 0, ROW_BYTES = 16, ROWS = 48, WORD = 8 };
    vj_gen *g = u->g;
    uint8_t bytes[VJ_TILE_ROW] = {[PALETTE] = 1};
    LLVMValueRef rows = vj_i64(g, 0);
    for (int32_t tile = 0; tile < VJ_TILES; tile++) {
        if (!u->rows[tile]) continue;
        bytes[ROW_BYTES + 2 * tile] = VJ_TILE_ROW;
        rows = LLVMBuildOr(g->b, rows, LLVMBuildShl(g->b, u->rows[tile], vj_i64(g, 8 * tile), ""), "");
    }
    for (int32_t at = 0; at < VJ_TILE_ROW; at += WORD) {
        uint64_t word;
        memcpy(&word, bytes + at, sizeof word);
        LLVMValueRef stored = at == ROWS ? rows : vj_i64(g, (int64_t)word);
        vj_store_vector(g, vj_element(g, u->memory, VJ_U8, vj_i64(g, at)), stored, NULL);
    }
    vj_intrinsic(g, "llvm.x86.ldtilecfg", NULL, 0, (LLVMValueRef[]){u->memory}, 1);
}

/* Row `row` of the twin's tile, from byte `byte` on. */
static LLVMValueRef row_of(const vj_tile_unit *u, int32_t tile, LLVMValueRef row, LLVMValueRef byte) {
    const vj_gen *g = u->g;
    LLVMValueRef at = LLVMBuildAdd(g->b, vj_i64(g, (int64_t)tile * VJ_TILE_ROWS), row, "");
    at = LLVMBuildAdd(g->b, LLVMBuildMul(g->b, at, vj_i64(g, VJ_TILE_ROW), ""), byte, "");
    return vj_element(g, u->memory, VJ_U8, at);
}

enum { LANES = VJ_TILE_ROW / 4 };

static LLVMValueRef zeros(const vj_tile_unit *u) { return LLVMConstNull(vj_vector_type(u->g, VJ_I32, LANES)); }

/* A whole row as bits. */
static LLVMValueRef read_row(const vj_tile_unit *u, int32_t tile, LLVMValueRef row) {
    return vj_load_vector(u->g, row_of(u, tile, row, vj_i64(u->g, 0)), VJ_I32, LANES, NULL, NULL);
}

static void write_row(const vj_tile_unit *u, int32_t tile, LLVMValueRef row, LLVMValueRef bits) {
    vj_store_vector(u->g, row_of(u, tile, row, vj_i64(u->g, 0)), bits, NULL);
}

void vj_tiles_configure(vj_tile_unit *u, const LLVMValueRef rows[VJ_TILES]) {
    memcpy(u->rows, rows, sizeof u->rows);
    if (!is_twin(u)) load_configuration(u);
}

/* A loop over the rows of a tile of the twin. */
static void each_row(const vj_tile_unit *u, int32_t tile, vj_loop *loop) {
    vj_loop_begin(u->g, loop, vj_i64(u->g, 0), u->rows[tile], 1, true, NULL, 0);
}

void vj_tile_zero(const vj_tile_unit *u, int32_t tile) {
    vj_loop rows;
    if (!is_twin(u)) {
        vj_intrinsic(u->g, "llvm.x86.tilezero", NULL, 0, (LLVMValueRef[]){number(u, tile)}, 1);
        return;
    }
    each_row(u, tile, &rows);
    write_row(u, tile, rows.index, zeros(u));
    vj_loop_end(u->g, &rows, NULL);
}

/* Where a row is in memory: anywhere. */
static LLVMValueRef in_memory(const vj_tile_unit *u, LLVMValueRef pointer, LLVMValueRef stride, LLVMValueRef row) {
    return vj_element(u->g, pointer, VJ_U8, LLVMBuildMul(u->g->b, row, stride, ""));
}

void vj_tile_load(const vj_tile_unit *u, int32_t tile, LLVMValueRef pointer, LLVMValueRef stride) {
    vj_loop rows;
    if (!is_twin(u)) {
        vj_intrinsic(u->g, "llvm.x86.tileloadd64", NULL, 0, (LLVMValueRef[]){number(u, tile), pointer, stride}, 3);
        return;
    }
    each_row(u, tile, &rows);
    LLVMValueRef at = in_memory(u, pointer, stride, rows.index);
    LLVMValueRef bits = vj_load_vector(u->g, at, VJ_I32, LANES, NULL, NULL);
    LLVMSetAlignment(bits, 1);
    write_row(u, tile, rows.index, bits);
    vj_loop_end(u->g, &rows, NULL);
}

void vj_tile_store(const vj_tile_unit *u, int32_t tile, LLVMValueRef pointer, LLVMValueRef stride) {
    vj_loop rows;
    if (!is_twin(u)) {
        vj_intrinsic(u->g, "llvm.x86.tilestored64", NULL, 0, (LLVMValueRef[]){number(u, tile), pointer, stride}, 3);
        return;
    }
    each_row(u, tile, &rows);
    vj_store_vector(u->g, in_memory(u, pointer, stride, rows.index), read_row(u, tile, rows.index), NULL);
    vj_loop_end(u->g, &rows, NULL);
}

static LLVMValueRef as_float(const vj_tile_unit *u, LLVMValueRef bits) {
    return LLVMBuildBitCast(u->g->b, bits, vj_vector_type(u->g, VJ_F32, LANES), "");
}

/* Of bits; a sum of floats that is subnormal is exact, so it is flushed as it is. */
static LLVMValueRef add_flushed(const vj_tile_unit *u, LLVMValueRef x, LLVMValueRef y) {
    const vj_gen *g = u->g;
    LLVMValueRef a = as_float(u, vj_flushed(g, x)), b = as_float(u, vj_flushed(g, y));
    LLVMValueRef sum = LLVMBuildFAdd(g->b, a, b, "");
    return vj_flushed(g, LLVMBuildBitCast(g->b, sum, LLVMTypeOf(x), ""));
}

static LLVMValueRef upper_of(const vj_gen *g, LLVMValueRef pairs) {
    return LLVMBuildAnd(g->b, pairs, vj_splat(g, LLVMConstInt(g->i32, 0xffff0000, false), LANES), "");
}

static LLVMValueRef lower_of(const vj_gen *g, LLVMValueRef pairs) {
    return LLVMBuildShl(g->b, pairs, vj_splat(g, LLVMConstInt(g->i32, 16, false), LANES), "");
}

static void twin_dot(const vj_tile_unit *u, int32_t sum, int32_t a, int32_t b) {
    vj_gen *g = u->g;
    vj_loop rows, depth;
    each_row(u, sum, &rows);
    LLVMValueRef start[] = {zeros(u), zeros(u)}, next[2];
    vj_loop_begin(g, &depth, vj_i64(g, 0), u->rows[b], 1, true, start, 2);
    LLVMValueRef byte = LLVMBuildMul(g->b, depth.index, vj_i64(g, 4), "");
    LLVMValueRef pair = vj_load_vector(g, row_of(u, a, rows.index, byte), VJ_I32, 1, NULL, NULL);
    LLVMValueRef left = vj_splat(g, pair, LANES), right = read_row(u, b, depth.index);
    next[0] = vj_add_product_flushed(g, depth.carried[0], lower_of(g, left), lower_of(g, right));
    next[1] = vj_add_product_flushed(g, depth.carried[1], upper_of(g, left), upper_of(g, right));
    vj_loop_end(g, &depth, next);
    LLVMValueRef both = add_flushed(u, depth.carried[0], depth.carried[1]);
    write_row(u, sum, rows.index, add_flushed(u, read_row(u, sum, rows.index), both));
    vj_loop_end(g, &rows, NULL);
}

/* Integers are exact in any order. */
static void twin_dot_integers(const vj_tile_unit *u, int32_t sum, int32_t a, int32_t b) {
    vj_gen *g = u->g;
    vj_loop rows, depth;
    each_row(u, sum, &rows);
    LLVMValueRef so_far = read_row(u, sum, rows.index);
    vj_loop_begin(g, &depth, vj_i64(g, 0), u->rows[b], 1, true, &so_far, 1);
    LLVMValueRef byte = LLVMBuildMul(g->b, depth.index, vj_i64(g, 4), "");
    LLVMValueRef four = vj_load_vector(g, row_of(u, a, rows.index, byte), VJ_I32, 1, NULL, NULL);
    const vj_fours left = vj_fours_of(g, vj_splat(g, four, LANES), false);
    const vj_fours right = vj_fours_of(g, read_row(u, b, depth.index), true);
    so_far = vj_dot_fours(g, depth.carried[0], &left, &right);
    vj_loop_end(g, &depth, &so_far);
    write_row(u, sum, rows.index, depth.carried[0]);
    vj_loop_end(g, &rows, NULL);
}

/* By the instruction of this name. */
static void dot(const vj_tile_unit *u, const char *name, int32_t sum, int32_t a, int32_t b) {
    vj_intrinsic(u->g, name, NULL, 0, (LLVMValueRef[]){number(u, sum), number(u, a), number(u, b)}, 3);
}

void vj_tile_dot_bf16(const vj_tile_unit *u, int32_t sum, int32_t a, int32_t b) {
    assert(u->rows[sum] == u->rows[a] && u->rows[b]);
    if (is_twin(u))
        twin_dot(u, sum, a, b);
    else
        dot(u, "llvm.x86.tdpbf16ps", sum, a, b);
}

void vj_tile_dot_u8_i8(const vj_tile_unit *u, int32_t sum, int32_t a, int32_t b) {
    assert(u->rows[sum] == u->rows[a] && u->rows[b]);
    if (is_twin(u))
        twin_dot_integers(u, sum, a, b);
    else
        dot(u, "llvm.x86.tdpbusd", sum, a, b);
}

void vj_tiles_release(const vj_tile_unit *u) {
    if (!is_twin(u)) vj_intrinsic(u->g, "llvm.x86.tilerelease", NULL, 0, NULL, 0);
}
