# cmake --install: one static library with everything an embedder links, the headers an embedder may
# include, a CMake package (epaxos::node) and a pkg-config file (epaxos).
if(NOT TARGET epaxos_node)
  return()
endif()
add_library(epaxos::node ALIAS epaxos_node)  # For those who use add_subdirectory() or FetchContent.
if(NOT PROJECT_IS_TOP_LEVEL)
  return()
endif()
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# What the library needs from the system, by the names of pkg-config.
set(EPAXOS_REQUIRES "libzmq capnp lmdb libxxhash")

add_library(epaxos_installed STATIC)
foreach(part deps executor net_schema net contract protocol_schema protocol storage runtime node)
  target_sources(epaxos_installed PRIVATE $<TARGET_OBJECTS:epaxos_${part}>)
endforeach()
set_target_properties(epaxos_installed PROPERTIES OUTPUT_NAME epaxos EXPORT_NAME node
                                                  LINKER_LANGUAGE CXX)
target_compile_features(epaxos_installed INTERFACE cxx_std_20)
target_link_libraries(
  epaxos_installed INTERFACE $<INSTALL_INTERFACE:PkgConfig::EPAXOS_THIRD_PARTY> Threads::Threads)

# The public headers are those that an embedder includes, and whatever these include.
file(GLOB public_headers CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}
     ${PROJECT_SOURCE_DIR}/deps/types/*.h ${PROJECT_SOURCE_DIR}/executor/state_machine.h
     ${PROJECT_SOURCE_DIR}/executor/key_value*.h ${PROJECT_SOURCE_DIR}/epaxos/node/*.h)
list(REMOVE_ITEM public_headers epaxos/node/toml_file.h)  # Nobody needs toml++ to embed a node.
set(to_visit ${public_headers})
while(to_visit)
  list(POP_FRONT to_visit header)
  if(NOT EXISTS ${PROJECT_SOURCE_DIR}/${header})
    message(WARNING "A public header includes ${header}, which cannot be installed.")
    list(REMOVE_ITEM public_headers ${header})
    continue()
  endif()
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${header})
  file(STRINGS ${PROJECT_SOURCE_DIR}/${header} includes REGEX "^#include \"")
  foreach(line ${includes})
    string(REGEX REPLACE "^#include \"([^\"]*)\".*" "\\1" included "${line}")
    if(NOT included IN_LIST public_headers)
      list(APPEND public_headers ${included})
      list(APPEND to_visit ${included})
    endif()
  endforeach()
endwhile()
foreach(header ${public_headers})
  get_filename_component(folder ${header} DIRECTORY)
  install(FILES ${PROJECT_SOURCE_DIR}/${header}
          DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/epaxos/${folder})
endforeach()

install(TARGETS epaxos_installed EXPORT epaxos-targets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/epaxos)
foreach(program epaxosd epaxosctl)
  if(TARGET ${program})
    install(TARGETS ${program} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
endforeach()

set(package_directory ${CMAKE_INSTALL_LIBDIR}/cmake/epaxos)
install(EXPORT epaxos-targets NAMESPACE epaxos:: DESTINATION ${package_directory})
configure_package_config_file(
  ${CMAKE_CURRENT_LIST_DIR}/epaxos-config.cmake.in ${PROJECT_BINARY_DIR}/epaxos-config.cmake
  INSTALL_DESTINATION ${package_directory})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/epaxos-config-version.cmake
                                 COMPATIBILITY SameMinorVersion)
file(RELATIVE_PATH EPAXOS_PREFIX_FROM_PC /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(${CMAKE_CURRENT_LIST_DIR}/epaxos.pc.in ${PROJECT_BINARY_DIR}/epaxos.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/epaxos-config.cmake
              ${PROJECT_BINARY_DIR}/epaxos-config-version.cmake
        DESTINATION ${package_directory})
install(FILES ${PROJECT_BINARY_DIR}/epaxos.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
