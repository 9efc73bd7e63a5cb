/* SPDX-License-Identifier: Apache-2.0 */
/* link_riscv.c - applies RISC-V's PC-relative relocations (RISC-V ELF psABI, "Relocations") to instructions. The
 * formats of immediates are in the RISC-V manual, "Base Instruction Formats" and "Compressed Instruction Formats".
 */
#include "link.h"

#include <elf.h>
#include <string.h>

/* Bits [from, from + count) of x, moved to `to`. */
static uint32_t bits(int64_t x, int from, int count, int to) {
    return ((uint32_t)((uint64_t)x >> from) & ((1U << count) - 1)) << to;
}

static uint32_t upper(int64_t x) { return (uint32_t)((uint64_t)(x + 0x800) >> 12 << 12); }

static bool fits(int64_t x, int signed_bits) {
    const int64_t end = INT64_C(1) << (signed_bits - 1);
    return x >= -end && x < end;
}

static uint32_t branch(int64_t x) {
    return bits(x, 12, 1, 31) | bits(x, 5, 6, 25) | bits(x, 1, 4, 8) | bits(x, 11, 1, 7);
}

static uint32_t jump(int64_t x) {
    return bits(x, 20, 1, 31) | bits(x, 1, 10, 21) | bits(x, 11, 1, 20) | bits(x, 12, 8, 12);
}

static uint32_t short_branch(int64_t x) {
    return bits(x, 8, 1, 12) | bits(x, 3, 2, 10) | bits(x, 6, 2, 5) | bits(x, 1, 2, 3) | bits(x, 5, 1, 2);
}

static uint32_t short_jump(int64_t x) {
    return bits(x, 11, 1, 12) | bits(x, 4, 1, 11) | bits(x, 8, 2, 9) | bits(x, 10, 1, 8) | bits(x, 6, 1, 7) |
           bits(x, 7, 1, 6) | bits(x, 1, 3, 3) | bits(x, 5, 1, 2);
}

uint64_t vj_riscv_bytes(uint32_t type) {
    switch (type) {
    case R_RISCV_RVC_BRANCH:
    case R_RISCV_RVC_JUMP:
        return 2;
    case R_RISCV_CALL_PLT:
        return 8;
    default:
        return 4;
    }
}

vj_relocated vj_riscv_relocate(uint32_t type, uint8_t *at, uint64_t to, int64_t distance) {
    uint32_t word[2] = {0}; /* the assembler leaves the immediates' bits 0 */
    const size_t bytes = vj_riscv_bytes(type);
    bool fine = true;
    memcpy(word, at, bytes);
    switch (type) {
    case R_RISCV_BRANCH:
        fine = fits(distance, 13) && distance % 2 == 0;
        word[0] |= branch(distance);
        break;
    case R_RISCV_JAL:
        fine = fits(distance, 21) && distance % 2 == 0;
        word[0] |= jump(distance);
        break;
    case R_RISCV_RVC_BRANCH:
        fine = fits(distance, 9) && distance % 2 == 0;
        word[0] |= short_branch(distance);
        break;
    case R_RISCV_RVC_JUMP:
        fine = fits(distance, 12) && distance % 2 == 0;
        word[0] |= short_jump(distance);
        break;
    case R_RISCV_CALL_PLT: /* auipc, jalr */
        fine = fits(distance + 0x800, 32);
        word[0] |= upper(distance);
        word[1] |= bits(distance, 0, 12, 20);
        break;
    case R_RISCV_PCREL_HI20:
        fine = fits(distance + 0x800, 32);
        word[0] |= upper(distance);
        break;
    case R_RISCV_PCREL_LO12_I:
        word[0] |= bits(distance, 0, 12, 20);
        break;
    case R_RISCV_PCREL_LO12_S:
        word[0] |= bits(distance, 5, 7, 25) | bits(distance, 0, 5, 7);
        break;
    case R_RISCV_ADD32: /* together with R_RISCV_SUB32: the distance of two symbols */
        word[0] += (uint32_t)to;
        break;
    case R_RISCV_SUB32:
        word[0] -= (uint32_t)to;
        break;
    default:
        return VJ_RELOCATION_UNKNOWN;
    }
    if (!fine) return VJ_RELOCATION_TOO_FAR;
    memcpy(at, word, bytes);
    return VJ_RELOCATED;
}
