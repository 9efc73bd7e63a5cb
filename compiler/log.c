/* SPDX-License-Identifier: Apache-2.0 */
/* log.c - what a compilation tells of itself. */
#include "compiler.h"

#include <stdio.h>

#include "vitjit_clock.h"

bool vj_is_told(const vj_compile_request *request, vj_log_level level) {
    const vj_options *o = request->options;
    return o->log && (level <= VJ_LOG_WARNING || level <= (vj_log_level)o->log_level);
}

void vj_warn(const vj_compile_request *request, const char *text) {
    if (vj_is_told(request, VJ_LOG_WARNING)) request->options->log(request->options->log_self, VJ_LOG_WARNING, text);
}

void vj_tell(vj_unit *u, const char *format, ...) {
    const double now = vj_clock_ms();
    if (!u->quiet && vj_is_told(u->request, VJ_LOG_INFO)) {
        char text[512];
        va_list args;
        va_start(args, format);
        vsnprintf(text, sizeof text, format, args);
        va_end(args);
        const char *line = vj_sprintf(u->arena, "%s (%.1f ms)", vj_shown(u->arena, text), now - u->told_ms);
        u->request->options->log(u->request->options->log_self, VJ_LOG_INFO, line);
    }
    u->told_ms = now;
}

void vj_tell_pass(void *request, const vj_pass *pass, int64_t rewrites, double ms) {
    const vj_compile_request *r = request;
    char line[256];
    if (!vj_is_told(r, VJ_LOG_DEBUG)) return;
    snprintf(line, sizeof line, "pass %s: %s; %lld rewrite%s (%.2f ms)", pass->name, pass->about, (long long)rewrites,
             rewrites == 1 ? "" : "s", ms);
    r->options->log(r->options->log_self, VJ_LOG_DEBUG, line);
}
