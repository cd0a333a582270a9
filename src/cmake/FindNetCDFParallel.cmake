# FindNetCDFParallel: the netCDF C library built for parallel access to netCDF-4 files.
#
# Where a serial and a parallel build are both installed, this one takes the parallel one: its
# header netcdf_par.h may sit in <libdir>/netcdf/mpi/include, a folder that netcdf-mpi.pc does not
# name. A program is compiled and linked to prove that the pair found does have parallel access.
#
# Hints:    NetCDFParallel_ROOT or NETCDF_ROOT
# Results:  NetCDFParallel_FOUND, NetCDFParallel_VERSION, target NetCDFParallel::netcdf

include(FindPackageHandleStandardArgs)
include(CheckSourceCompiles)
include(CMakePushCheckState)

find_package(PkgConfig QUIET)
if(PkgConfig_FOUND)
  pkg_search_module(PC_NetCDFParallel QUIET netcdf-mpi netcdf)
endif()

find_library(NetCDFParallel_LIBRARY
  NAMES netcdf_mpi netcdf
  HINTS ${NETCDF_ROOT} ENV NETCDF_ROOT
        ${PC_NetCDFParallel_LIBDIR} ${PC_NetCDFParallel_LIBRARY_DIRS}
  PATH_SUFFIXES lib lib64)
get_filename_component(NetCDFParallel_libdir "${NetCDFParallel_LIBRARY}" DIRECTORY)
find_path(NetCDFParallel_INCLUDE_DIR netcdf_par.h
  HINTS ${NETCDF_ROOT} ENV NETCDF_ROOT
        "${NetCDFParallel_libdir}/netcdf/mpi/include"
        ${PC_NetCDFParallel_INCLUDEDIR} ${PC_NetCDFParallel_INCLUDE_DIRS}
  PATH_SUFFIXES include)
mark_as_advanced(NetCDFParallel_LIBRARY NetCDFParallel_INCLUDE_DIR)

if(NetCDFParallel_LIBRARY AND NetCDFParallel_INCLUDE_DIR AND TARGET MPI::MPI_C)
  if(EXISTS "${NetCDFParallel_INCLUDE_DIR}/netcdf_meta.h")
    file(STRINGS "${NetCDFParallel_INCLUDE_DIR}/netcdf_meta.h" NetCDFParallel_meta
      REGEX "#define[ \t]+NC_VERSION[ \t]+\"")
    string(REGEX REPLACE ".*\"([0-9.]+).*" "\\1" NetCDFParallel_VERSION "${NetCDFParallel_meta}")
  endif()
  cmake_push_check_state(RESET)
  set(CMAKE_REQUIRED_INCLUDES ${NetCDFParallel_INCLUDE_DIR})
  set(CMAKE_REQUIRED_LIBRARIES ${NetCDFParallel_LIBRARY} MPI::MPI_C)
  check_source_compiles(C "
    #include <mpi.h>
    #include <netcdf.h>
    #include <netcdf_par.h>
    #include <netcdf_meta.h>
    #if !NC_HAS_PARALLEL4
    #error this netCDF has no parallel access to netCDF-4 files
    #endif
    int main(void)
    {
        int nc = 0;
        return nc_open_par(\"none\", NC_NOWRITE, MPI_COMM_SELF, MPI_INFO_NULL, &nc);
    }" NetCDFParallel_HAS_PARALLEL4)
  cmake_pop_check_state()
endif()

find_package_handle_standard_args(NetCDFParallel
  REQUIRED_VARS NetCDFParallel_LIBRARY NetCDFParallel_INCLUDE_DIR NetCDFParallel_HAS_PARALLEL4
  VERSION_VAR NetCDFParallel_VERSION)

if(NetCDFParallel_FOUND AND NOT TARGET NetCDFParallel::netcdf)
  add_library(NetCDFParallel::netcdf UNKNOWN IMPORTED)
  set_target_properties(NetCDFParallel::netcdf PROPERTIES
    IMPORTED_LOCATION "${NetCDFParallel_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${NetCDFParallel_INCLUDE_DIR}"
    INTERFACE_LINK_LIBRARIES MPI::MPI_C)
endif()
