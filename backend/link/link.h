/* link.h - RISC-V's part of the linker of images. */
#ifndef VITJIT_BACKEND_LINK_LINK_H
#define VITJIT_BACKEND_LINK_LINK_H

#include <stdbool.h>
#include <stdint.h>

typedef enum vj_relocated { VJ_RELOCATED, VJ_RELOCATION_UNKNOWN, VJ_RELOCATION_TOO_FAR } vj_relocated;

/* link_riscv.c */
uint64_t vj_riscv_bytes(uint32_t type); /* that a relocation reads and writes */
/* `to`: the symbol's place with the addend; `distance`: from the relocation's place, of R_RISCV_PCREL_LO12 from its
 * R_RISCV_PCREL_HI20's place to that one's symbol. */
vj_relocated vj_riscv_relocate(uint32_t type, uint8_t *at, uint64_t to, int64_t distance);

#endif
