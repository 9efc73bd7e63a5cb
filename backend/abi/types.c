/* SPDX-License-Identifier: Apache-2.0 */
/* types.c - the structs of vitjit_model.h as the machine's compiler lays them out. driver_abi.c takes their types. */
#include "abi.h"

extern const vj_model vj_abi_type_model;
extern const vj_tensor_info vj_abi_type_tensor;
extern const vj_cpu_variant vj_abi_type_cpu;
extern const vj_context vj_abi_type_context;
extern const vj_args vj_abi_type_args;
extern const vj_threads vj_abi_type_threads;

const vj_model vj_abi_type_model = {0};
const vj_tensor_info vj_abi_type_tensor = {0};
const vj_cpu_variant vj_abi_type_cpu = {0};
const vj_context vj_abi_type_context = {0};
const vj_args vj_abi_type_args = {0};
const vj_threads vj_abi_type_threads = {0};
