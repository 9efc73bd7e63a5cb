# SPDX-License-Identifier: Apache-2.0
# cmake --install: programs, libraries, public headers, pkg-config files and the CMake package.
include(CMakePackageConfigHelpers)

install(TARGETS vitjit_rt vitjit_rt_shared EXPORT vitjit-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES include/vitjit.h include/vitjit_model.h include/vitjit_rt.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT vitjit-targets NAMESPACE vitjit:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/vitjit)
configure_package_config_file(cmake/vitjit-config.cmake.in ${PROJECT_BINARY_DIR}/vitjit-config.cmake
                              INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/vitjit)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/vitjit-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/vitjit-config.cmake ${PROJECT_BINARY_DIR}/vitjit-config-version.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/vitjit)

file(RELATIVE_PATH VJ_PC_UP /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
function(vj_install_pc name)
  configure_file(cmake/${name}.pc.in ${PROJECT_BINARY_DIR}/${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()
vj_install_pc(vitjit_rt)

# What the compiler's build has besides.
function(vj_install_all)
  set_target_properties(vitjit_cli PROPERTIES INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
  install(TARGETS vitjit_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  install(TARGETS vitjit_picture vitjit_picture_shared EXPORT vitjit-targets
          ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(FILES include/vitjit_picture.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  install(TARGETS vitjit EXPORT vitjit-targets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(TARGETS vitjit_compiler LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  # No command for people: libvitjit finds it from its own place.
  install(TARGETS vitjit_compile RUNTIME DESTINATION ${CMAKE_INSTALL_LIBDIR}/vitjit)
  vj_install_pc(vitjit)
  vj_install_pc(vitjit_picture)
  vj_install_manual()
  install(FILES LICENSE THIRD_PARTY.md README.md CHANGELOG.md SECURITY.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
endfunction()

# The manual page and completions, made of the table of options.
function(vj_install_manual)
  add_executable(vj_manual ${PROJECT_SOURCE_DIR}/cli/manual/manual.c ${PROJECT_SOURCE_DIR}/cli/manual/man.c
                           ${PROJECT_SOURCE_DIR}/cli/manual/shells.c)
  vj_common(vj_manual)
  vj_see(vj_manual cli)
  vj_include_root(cli/manual root)
  target_include_directories(vj_manual PRIVATE ${root})
  target_link_libraries(vj_manual PRIVATE vj_cli vitjit)
  set(made)
  foreach(form IN ITEMS "man vitjit.1 ${CMAKE_INSTALL_MANDIR}/man1" "bash vitjit ${CMAKE_INSTALL_DATADIR}/bash-completion/completions"
                        "zsh _vitjit ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions" "fish vitjit.fish ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d")
    string(REPLACE " " ";" form ${form})
    list(GET form 0 kind)
    list(GET form 1 name)
    list(GET form 2 folder)
    set(file ${PROJECT_BINARY_DIR}/manual/${kind}/${name})
    file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/manual/${kind})
    add_custom_command(OUTPUT ${file} COMMAND vj_manual ${kind} > ${file} DEPENDS vj_manual VERBATIM)
    install(FILES ${file} DESTINATION ${folder})
    list(APPEND made ${file})
  endforeach()
  add_custom_target(vj_manuals ALL DEPENDS ${made})
endfunction()
