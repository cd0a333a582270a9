# What `cmake --install` puts where. Included from src/CMakeLists.txt.
include(CMakePackageConfigHelpers)

set(CSIM_CMAKE_DIR "${CMAKE_INSTALL_LIBDIR}/cmake/contrasim")

install(TARGETS contrasim contrasim_app EXPORT contrasimTargets
  RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}"
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/contrasim"
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" FILES_MATCHING PATTERN "*.h")

# CMake package
install(EXPORT contrasimTargets NAMESPACE contrasim:: DESTINATION "${CSIM_CMAKE_DIR}")
configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/contrasimConfig.cmake.in"
  "${PROJECT_BINARY_DIR}/contrasimConfig.cmake" INSTALL_DESTINATION "${CSIM_CMAKE_DIR}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/contrasimConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/contrasimConfig.cmake"
              "${PROJECT_BINARY_DIR}/contrasimConfigVersion.cmake"
              "${CMAKE_CURRENT_LIST_DIR}/FindNetCDFParallel.cmake"
              "${CMAKE_CURRENT_LIST_DIR}/FindScaLAPACK.cmake"
  DESTINATION "${CSIM_CMAKE_DIR}")

# pkg-config: beside a static library stands everything else that has to be linked.
set(libraries "")
foreach(item IN LISTS NetCDFParallel_LIBRARY ScaLAPACK_LIBRARIES LAPACK_LIBRARIES BLAS_LIBRARIES CMAKE_DL_LIBS)
  if(item MATCHES "^(.*)/lib([^/]+)\\.(so|a|dylib)$")
    list(APPEND libraries "-L${CMAKE_MATCH_1} -l${CMAKE_MATCH_2}")
  elseif(item MATCHES "^-" OR item MATCHES "/")
    list(APPEND libraries "${item}")
  else()
    list(APPEND libraries "-l${item}")
  endif()
endforeach()
list(REMOVE_DUPLICATES libraries)
list(JOIN libraries " " libraries)
set(CSIM_PC_PRIVATE "")
set(CSIM_PC_LIBS "")
set(CSIM_PC_LIBS_PRIVATE "")
if(BUILD_SHARED_LIBS)
  set(CSIM_PC_PRIVATE ".private")
  set(CSIM_PC_LIBS_PRIVATE " ${libraries} ${CMAKE_THREAD_LIBS_INIT} -lm")
else()
  set(CSIM_PC_LIBS " ${libraries} ${CMAKE_THREAD_LIBS_INIT} -lm")
endif()
file(RELATIVE_PATH CSIM_PC_PREFIX "/p/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/p")
string(REGEX REPLACE "/$" "" CSIM_PC_PREFIX "${CSIM_PC_PREFIX}")
configure_file("${CMAKE_CURRENT_LIST_DIR}/contrasim.pc.in" "${PROJECT_BINARY_DIR}/contrasim.pc"
  @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/contrasim.pc"
  DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

# Man page and completion, as the program itself writes them
set(share "${PROJECT_BINARY_DIR}/share")
file(MAKE_DIRECTORY "${share}")
add_custom_command(
  OUTPUT "${share}/contrasim.1" "${share}/contrasim"
  COMMAND ${CMAKE_COMMAND} -E env ASAN_OPTIONS=detect_leaks=0
          $<TARGET_FILE:contrasim_app> --man > "${share}/contrasim.1"
  COMMAND ${CMAKE_COMMAND} -E env ASAN_OPTIONS=detect_leaks=0
          $<TARGET_FILE:contrasim_app> --completion bash > "${share}/contrasim"
  DEPENDS contrasim_app
  COMMENT "Writing the man page and the bash completion"
  VERBATIM)
add_custom_target(contrasim_share ALL DEPENDS "${share}/contrasim.1" "${share}/contrasim")
install(FILES "${share}/contrasim.1" DESTINATION "${CMAKE_INSTALL_MANDIR}/man1")
install(FILES "${share}/contrasim"
  DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions")

install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" "${PROJECT_SOURCE_DIR}/README.md"
              "${PROJECT_SOURCE_DIR}/CHANGELOG.md"
  DESTINATION "${CMAKE_INSTALL_DOCDIR}")
