# SPDX-License-Identifier: Apache-2.0
# Debian 12 packages: one interface target a dependency, so that only the folder that links it can include it.
find_package(PkgConfig REQUIRED)

add_library(vj_llvm INTERFACE)
find_program(LLVM_CONFIG NAMES llvm-config-19 REQUIRED)
execute_process(COMMAND ${LLVM_CONFIG} --includedir OUTPUT_VARIABLE llvm_include OUTPUT_STRIP_TRAILING_WHITESPACE)
execute_process(COMMAND ${LLVM_CONFIG} --libdir OUTPUT_VARIABLE llvm_lib OUTPUT_STRIP_TRAILING_WHITESPACE)
target_include_directories(vj_llvm SYSTEM INTERFACE ${llvm_include})
target_link_libraries(vj_llvm INTERFACE ${llvm_lib}/libLLVM-19.so)

pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c)
add_library(vj_protobuf INTERFACE)
target_link_libraries(vj_protobuf INTERFACE PkgConfig::PROTOBUF_C)

pkg_check_modules(JPEG REQUIRED IMPORTED_TARGET libjpeg)
pkg_check_modules(EXIF REQUIRED IMPORTED_TARGET libexif)
pkg_check_modules(SPNG REQUIRED IMPORTED_TARGET spng)
pkg_check_modules(WEBP REQUIRED IMPORTED_TARGET libwebpdemux libwebp)
add_library(vj_images INTERFACE)
target_link_libraries(vj_images INTERFACE PkgConfig::JPEG PkgConfig::EXIF PkgConfig::SPNG PkgConfig::WEBP)

pkg_check_modules(CJSON REQUIRED IMPORTED_TARGET libcjson)
add_library(vj_json INTERFACE)
target_link_libraries(vj_json INTERFACE PkgConfig::CJSON)

pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
add_library(vj_yaml INTERFACE)
target_link_libraries(vj_yaml INTERFACE PkgConfig::YAML)

# The ONNX schema: the fields that we read; generated code is not committed.
find_program(PROTOC_C NAMES protoc-c REQUIRED)
set(schema ${CMAKE_CURRENT_SOURCE_DIR}/frontend/onnx/onnx.proto)
set(schema_dir ${CMAKE_CURRENT_BINARY_DIR}/schema)
file(MAKE_DIRECTORY ${schema_dir})
add_custom_command(
  OUTPUT ${schema_dir}/onnx.pb-c.c ${schema_dir}/onnx.pb-c.h
  COMMAND ${PROTOC_C} --c_out=${schema_dir} --proto_path=${CMAKE_CURRENT_SOURCE_DIR}/frontend/onnx ${schema}
  DEPENDS ${schema}
  VERBATIM)
add_library(vj_onnx_schema STATIC ${schema_dir}/onnx.pb-c.c ${schema_dir}/onnx.pb-c.h)
target_include_directories(vj_onnx_schema SYSTEM PUBLIC ${schema_dir})
target_link_libraries(vj_onnx_schema PUBLIC vj_protobuf)
