/* SPDX-License-Identifier: Apache-2.0 */
/* messages.c - what the command line tells people: errors in one form, warnings, notices. */
#include "command.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

/* Texts from below often name the file already; it is said once. */
static void line(const char *file, const char *kind, const char *format, va_list args) {
    char text[8192];
    vsnprintf(text, sizeof text, format, args);
    vj_progress_end();
    fflush(stdout);
    const size_t length = file ? strlen(file) : 0;
    const bool named = !file || (strncmp(text, file, length) == 0 && text[length] == ':');
    fputs("vitjit: ", stderr);
    if (file && (!named || *kind)) {
        vj_put_plain(stderr, file, false);
        fputs(": ", stderr);
    }
    fputs(kind, stderr);
    vj_put_plain(stderr, named && *kind && file ? text + length + 2 : text, true);
    fputc('\n', stderr);
}

vj_status vj_print_error(vj_status status, const char *file, const char *format, ...) {
    va_list args;
    va_start(args, format);
    line(file, "", format, args);
    va_end(args);
    return status;
}

void vj_print_hint(const char *format, ...) {
    va_list args;
    va_start(args, format);
    char text[8192];
    vsnprintf(text, sizeof text, format, args);
    fputs("  hint: ", stderr);
    vj_put_plain(stderr, text, true);
    fputc('\n', stderr);
    va_end(args);
}

void vj_print_warning(const char *file, const char *format, ...) {
    if (vj_is_quiet()) return;
    va_list args;
    va_start(args, format);
    line(file, "warning: ", format, args);
    va_end(args);
}

void vj_print_notice(const char *file, const char *format, ...) {
    if (vj_is_quiet()) return;
    va_list args;
    va_start(args, format);
    line(file, "", format, args);
    va_end(args);
}

void vj_print_wrote(const char *path) {
    struct stat st;
    if (vj_is_quiet() || stat(path, &st) != 0) return;
    const double bytes = (double)st.st_size;
    if (bytes < 1e4)
        vj_print_notice(NULL, "wrote %s (%.0f bytes)", path, bytes);
    else
        vj_print_notice(NULL, "wrote %s (%.*f %s)", path, bytes < 1e6 ? 0 : 1,
                        bytes < 1e6 ? bytes * 1e-3 : bytes * 1e-6, bytes < 1e6 ? "kB" : "MB");
}

vj_status vj_file_status(int why) {
    return why == ENOMEM || why == EIO || why == EMFILE || why == ENFILE ? VJ_SYSTEM : VJ_BAD_INPUT;
}
