# SPDX-License-Identifier: Apache-2.0
# Debian's cross gcc for VJ_MACHINE, which the file that includes this one names.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR ${VJ_MACHINE})
set(CMAKE_C_COMPILER ${VJ_MACHINE}-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER ${VJ_MACHINE}-linux-gnu-g++)
set(CMAKE_FIND_ROOT_PATH /usr/${VJ_MACHINE}-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
