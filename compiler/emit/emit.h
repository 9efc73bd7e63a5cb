/* SPDX-License-Identifier: Apache-2.0 */
/* emit.h - private to --emit-*: files that appear together or not at all, the header's text, libraries. */
#ifndef VITJIT_COMPILER_EMIT_EMIT_H
#define VITJIT_COMPILER_EMIT_EMIT_H

#include "compiler/compiler.h"

/* files.c: each file is written under a temporary name beside its own. */
typedef struct vj_new_file {
    const char *path, *temporary, *old; /* old: another name for what stood at the path, until all are in place */
    int descriptor;                     /* -1: closed */
    bool placed, is_kept;
    bool passing; /* of use while the others are made, and removed with what was not placed */
} vj_new_file;
#define VJ_MAX_NEW_FILES 4
typedef struct vj_new_files {
    vj_arena *arena;
    const vj_emit_request *request; /* whose `making` is told; or NULL */
    vj_new_file file[VJ_MAX_NEW_FILES];
    int32_t count;
} vj_new_files;
/* A descriptor to write to, -1 and an error; the set keeps it. */
int vj_new_file_open(vj_new_files *files, const char *path, vj_error *error);
vj_status vj_new_file_write(vj_new_files *files, const char *path, const void *bytes, size_t size, vj_error *error);
/* Gives all files their names, in the order in which they were opened; on failure all is as it was. */
vj_status vj_new_files_rename(vj_new_files *files, vj_error *error);
/* Removes what was not placed, and what was replaced. */
void vj_new_files_drop(vj_new_files *files);

/* library.c */

/* The program's image, malloc'ed. */
vj_status vj_library_image(vj_unit *u, vj_bytes *image);
/* cc; for another machine than this the compiler's name that distributions give: aarch64-linux-gnu-gcc. */
const char *vj_default_linker(vj_arena *arena, const vj_target *target);
/* link_line.c: the command that links main.c with an object or a library; linker: NULL, or the caller's. */
const char *vj_link_line(vj_arena *arena, const vj_target *target, const char *linker, const char *file,
                         bool is_library);
typedef struct vj_library_link {
    const char *linker; /* a command: words parted by blanks */
    const char *object, *output;
    const char *name; /* the library's own, without a folder */
} vj_library_link;
/* Makes a shared library of an object by the linker. */
vj_status vj_link_library(vj_unit *u, const vj_library_link *link);

/* header.c */
typedef struct vj_header_facts {
    const vj_target *target;
    const vj_model *shapes; /* a descriptor for each */
    int32_t shape_count;
    const uint8_t *const *const *required; /* of each shape and input: the bytes that a run wants, or NULL */
    const char *prefix;                    /* of symbols; a C identifier */
    const char *object;                    /* file names for the comment: the object, and its weights or NULL */
    const char *weights_file;
    const char *link; /* the command that links a program in the files' folder */
    const char *header;
    const char *precision; /* in words */
    const char *producer;
    const char *source; /* the ONNX file's name */
    const char *part;   /* C of the request's header_part; "": none */
} vj_header_facts;
/* The text of the header, in the arena. */
char *vj_header_text(vj_arena *arena, const vj_header_facts *facts);
/* header_macros.c: what the caller's memory has to hold, of each shape and of all. */
void vj_add_macros(vj_text *out, const vj_header_facts *facts);
/* The prefix in capitals. */
const char *vj_macro_prefix(vj_arena *arena, const char *prefix);
/* header_cpp.c: its part for C++; with `several` shapes, of which the session has one. */
void vj_add_cpp(vj_text *out, const char *prefix, bool several);

#endif
