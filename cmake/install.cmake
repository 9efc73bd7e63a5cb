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
  install(TARGETS vitjit EXPORT vitjit-targets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(TARGETS vitjit_compiler LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  vj_install_pc(vitjit)
endfunction()
