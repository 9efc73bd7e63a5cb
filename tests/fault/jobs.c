/* SPDX-License-Identifier: Apache-2.0 */
#include "jobs.h"

#include "folder.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

vj_compile_request job_request(const job *j) {
    return (vj_compile_request){.path = j->model, .options = &j->options, .pass_limit = -1};
}

void job_compare(job *j, const void *got, size_t bytes, fault_outcome *out) {
    if (!j->wanted) {
        j->wanted = malloc(bytes + 1);
        if (!j->wanted) abort();
        memcpy(j->wanted, got, bytes);
        j->wanted_bytes = bytes;
    }
    if (bytes != j->wanted_bytes || memcmp(got, j->wanted, bytes) != 0)
        snprintf(out->wrong, sizeof out->wrong, "another answer than without the fault");
}

void job_text(void *self, fault_outcome *out) {
    job *j = self;
    const vj_compile_request request = job_request(j);
    char *text = NULL;
    out->status = j->call(&request, &text, out->text, sizeof out->text);
    if (out->status == VJ_OK) job_compare(j, text, strlen(text), out);
    free(text);
}

void job_look_at_folder(fault_outcome *out) {
    DIR *folder = opendir(folder_path());
    for (const struct dirent *e; folder && (e = readdir(folder));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            snprintf(out->wrong, sizeof out->wrong, "%s is left behind", e->d_name);
    if (folder) closedir(folder);
}

void job_compare_file(job *j, const char *path, fault_outcome *out) {
    FILE *file = fopen(path, "rb");
    struct stat st;
    char *text = file && fstat(fileno(file), &st) == 0 ? malloc((size_t)st.st_size + 1) : NULL;
    if (text && fread(text, 1, (size_t)st.st_size, file) == (size_t)st.st_size)
        job_compare(j, text, (size_t)st.st_size, out);
    else
        snprintf(out->wrong, sizeof out->wrong, "%s is not there", path);
    free(text);
    if (file) fclose(file);
    unlink(path);
}

int job_main(int argc, char **argv, const fault_case *cases, size_t case_count, job *jobs, size_t job_count) {
    if (!folder_make()) return 1;
    const int status = fault_main(argc, argv, cases, (int)case_count);
    for (size_t i = 0; i < job_count; i++)
        free(jobs[i].wanted);
    return folder_remove() ? status : 1;
}
