/* SPDX-License-Identifier: Apache-2.0 */
/* cli.c - one mode a call. */
#include "cli.h"

#include "cli/calibrate/calibrate.h"
#include "cli/modes/modes.h"
#include "cli/page/page.h"

static vj_status dispatch(const vj_command *c) {
    switch (c->mode) {
    case VJ_MODE_INTRODUCE:
        return vj_run_introduction(c);
    case VJ_MODE_PICTURES:
        return vj_classify(c);
    case VJ_MODE_TENSORS:
        return vj_run_tensors(c);
    case VJ_MODE_BENCH:
        if (vj_is_comparison(c)) return vj_run_comparison(c);
        return c->words.count > 1 ? vj_run_bench_pictures(c) : vj_run_bench(c);
    case VJ_MODE_TEST:
        return vj_run_test(c);
    case VJ_MODE_CALIBRATE:
        return vj_run_calibration(c);
    case VJ_MODE_INSPECT:
        return vj_run_inspect(c);
    case VJ_MODE_REPORT:
        return c->report_page ? vj_write_page(c) : vj_run_report(c);
    case VJ_MODE_CHECK:
        return vj_run_check(c);
    case VJ_MODE_PASSES:
        return vj_run_passes_only(c);
    case VJ_MODE_EMIT:
        return vj_run_emit(c);
    case VJ_MODE_CACHE:
        return vj_run_cache(c);
    case VJ_MODE_TARGETS:
        return vj_run_targets();
    case VJ_MODE_VERSION:
        return vj_run_version();
    case VJ_MODE_HELP:
        vj_options_help(stdout);
        return VJ_OK;
    }
    return VJ_USAGE;
}

vj_status vj_cli(int argc, char **argv) {
    vj_command command;
    vj_json_begin();
    vj_status status = vj_command_read(argc, argv, &command);
    if (command.quiet) vj_set_quiet();
    if (status == VJ_OK) status = vj_find_model(&command);
    if (status == VJ_OK) status = vj_json_end(dispatch(&command));
    vj_progress_end();
    vj_command_free(&command);
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == VJ_OK)
        status = vj_print_error(VJ_SYSTEM, NULL, "the results cannot be written to standard output");
    return status;
}
