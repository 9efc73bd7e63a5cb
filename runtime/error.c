/* error.c - the thread's last failure, and the small facts of the C API. */
#include "runtime.h"

#include <stdarg.h>

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

size_t vj_dtype_bytes(vj_dtype dtype) {
    static const uint8_t bytes[VJ_DTYPE_COUNT] = {0, 4, 8, 2, 2, 1, 1, 2, 2, 4, 4, 8, 8, 1};
    return (unsigned)dtype < VJ_DTYPE_COUNT ? bytes[dtype] : 0;
}

const char *vj_dtype_name(vj_dtype dtype) {
    static const char names[VJ_DTYPE_COUNT][5] = {"none", "f32", "f64", "f16", "bf16", "i8",  "u8",
                                                  "i16",  "u16", "i32", "u32", "i64",  "u64", "bool"};
    return names[(unsigned)dtype < VJ_DTYPE_COUNT ? dtype : VJ_NO_DTYPE];
}
