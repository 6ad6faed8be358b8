# Install rules: headers, libraries, pkg-config file and CMake package.
include(CMakePackageConfigHelpers)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/nndeploy DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
# Where the program looks for models last: those that are our own, and come with it.
install(DIRECTORY ${CMAKE_SOURCE_DIR}/models/ DESTINATION ${CMAKE_INSTALL_DATADIR}/nndeploy/models
  FILES_MATCHING PATTERN "*.onnx" PATTERN "labels.txt" PATTERN "MODEL_CARD.md")
install(TARGETS nndeploy_shared nndeploy_static EXPORT nndeployTargets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(EXPORT nndeployTargets NAMESPACE nndeploy:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/nndeploy)
configure_package_config_file(${CMAKE_SOURCE_DIR}/cmake/nndeployConfig.cmake.in
  ${CMAKE_BINARY_DIR}/nndeployConfig.cmake INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/nndeploy)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/nndeployConfigVersion.cmake
  VERSION ${PROJECT_VERSION} COMPATIBILITY SameMajorVersion)
install(FILES ${CMAKE_BINARY_DIR}/nndeployConfig.cmake ${CMAKE_BINARY_DIR}/nndeployConfigVersion.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/nndeploy)
# Relative, so that an installed tree can be moved.
file(RELATIVE_PATH NND_PC_TO_PREFIX "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
string(REGEX REPLACE "/$" "" NND_PC_TO_PREFIX "${NND_PC_TO_PREFIX}")
configure_file(${CMAKE_SOURCE_DIR}/cmake/nndeploy.pc.in ${CMAKE_BINARY_DIR}/nndeploy.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/nndeploy.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
