/* SPDX-License-Identifier: Apache-2.0 */
/* compiler.c - the compiler's library, which commands open that want it. */
#include "command.h"

#include "runtime/runtime.h"

vj_status vj_compiler(const vj_compiler_api **api) {
    const vj_status status = vj_compiler_open(api);
    return status ? vj_print_error(status, NULL, "%s", vj_error_message()) : VJ_OK;
}
