# SPDX-License-Identifier: Apache-2.0
# Packages of what is installed, by CPack: a Debian package, and a tarball for other places. scripts/release makes and tries them.
set(CPACK_PACKAGE_NAME vitjit)
set(CPACK_PACKAGE_VENDOR "the vitjit authors")
set(CPACK_PACKAGE_CONTACT "the vitjit authors")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "run Vision Transformers in ONNX as native code")
set(CPACK_PACKAGE_DESCRIPTION
    "vitjit compiles a Vision Transformer, an ONNX graph, to native code of the CPU by LLVM: just in time from the command\nand a C library, or ahead of time as an object file or a shared library.")
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_GENERATOR DEB TGZ)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${PROJECT_BINARY_DIR})
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS gcc) # makes the shared library of --emit-lib
set(CPACK_PROJECT_CONFIG_FILE ${PROJECT_SOURCE_DIR}/cmake/package_prefix.cmake)
include(CPack)
