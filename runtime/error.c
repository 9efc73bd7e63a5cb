/* SPDX-License-Identifier: Apache-2.0 */
/* error.c - the thread's last failure, and the small facts of the C API. */
#include "runtime.h"

#include <stdarg.h>

#include "vitjit_dtype.h"

static _Thread_local char message[4096];

vj_status vj_error_set(vj_status status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return status;
}

const char *vj_error_message(void) { return message; }
const char *vj_version(void) { return VITJIT_VERSION; }

size_t vj_dtype_bytes(vj_dtype dtype) { return (size_t)vj_element_bytes(dtype); }
const char *vj_dtype_name(vj_dtype dtype) { return dtype == VJ_I4 ? "i4" : vj_element_name(dtype); }
