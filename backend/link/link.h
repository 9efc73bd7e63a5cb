/* SPDX-License-Identifier: Apache-2.0 */
/* link.h - RISC-V's part of the linker of images. */
#ifndef VITJIT_BACKEND_LINK_LINK_H
#define VITJIT_BACKEND_LINK_LINK_H

#include <stdbool.h>
#include <stdint.h>

typedef enum vj_relocated { VJ_RELOCATED, VJ_RELOCATION_UNKNOWN, VJ_RELOCATION_TOO_FAR } vj_relocated;

/* link_riscv.c */
uint64_t vj_riscv_bytes(uint32_t type); /* how many bytes a relocation of this type reads and writes */
/* Patches the bytes at `at`. `to` is the symbol's address plus the addend. `distance` is `to` less the relocation's own
 * address; an R_RISCV_PCREL_LO12 takes the distance of the R_RISCV_PCREL_HI20 that it belongs to. */
vj_relocated vj_riscv_relocate(uint32_t type, uint8_t *at, uint64_t to, int64_t distance);

#endif
