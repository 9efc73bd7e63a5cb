# SPDX-License-Identifier: Apache-2.0
# For Debian's gcc-aarch64-linux-gnu: cmake -DCMAKE_TOOLCHAIN_FILE=cmake/toolchains/aarch64-linux-gnu.cmake ...
set(VJ_MACHINE aarch64)
include(${CMAKE_CURRENT_LIST_DIR}/debian.cmake)
