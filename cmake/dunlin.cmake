# How every target here is compiled. Outside libraries are Debian's, found with pkg-config, and
# each is named in the one folder that uses it.

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
find_package(PkgConfig REQUIRED)
# ccache keeps its cache in the home folder, which users like nobody don't have.
find_program(CCACHE ccache)
execute_process(COMMAND test -w "$ENV{HOME}" RESULT_VARIABLE no_home)
if(CCACHE AND NOT no_home)
    set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
endif()

# The time of the source, never of the build, so that two builds of one commit are the same: what the
# packager says, else the commit's, else that of a release without its history.
set(DUNLIN_BUILD_S 1767225600)
execute_process(COMMAND git log -1 --format=%ct WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    OUTPUT_VARIABLE commit_s OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
foreach(seconds "$ENV{SOURCE_DATE_EPOCH}" "${commit_s}")
    if(seconds MATCHES "^[0-9]+$")
        set(DUNLIN_BUILD_S ${seconds})
        break()
    endif()
endforeach()

# Asserts stay on in every build.
string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_RELEASE "${CMAKE_C_FLAGS_RELEASE}")
string(REPLACE "-O3" "-O2" CMAKE_C_FLAGS_RELEASE "${CMAKE_C_FLAGS_RELEASE}")

add_library(dunlin_options INTERFACE)
target_include_directories(dunlin_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_definitions(dunlin_options INTERFACE
    _GNU_SOURCE _FILE_OFFSET_BITS=64 _TIME_BITS=64 DUNLIN_VERSION="${PROJECT_VERSION}")
target_compile_options(dunlin_options INTERFACE
    -Wall -Wextra -Wconversion -Wshadow -Wformat=2 -Wvla -Wstrict-prototypes -Wmissing-prototypes
    -Wswitch-enum $<$<BOOL:${DUNLIN_WERROR}>:-Werror>)
if(DUNLIN_DEVICE) # of musl limits are ints, of glibc an enum
    target_compile_options(dunlin_options INTERFACE -Wno-sign-conversion)
endif()
if(DUNLIN_SANITIZE)
    target_compile_options(dunlin_options INTERFACE
        -fsanitize=${DUNLIN_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(dunlin_options INTERFACE -fsanitize=${DUNLIN_SANITIZE})
elseif(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT DUNLIN_DEVICE) # whose compiler sees to it
    target_compile_options(dunlin_options INTERFACE
        -fstack-protector-strong -fPIE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
    target_link_options(dunlin_options INTERFACE -pie -Wl,-z,relro,-z,now,-z,noexecstack)
endif()
if(DUNLIN_FUZZ)
    target_compile_options(dunlin_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# dunlin_library(NAME SOURCES … [LIBS …] [PACKAGES …]): a static library that every test may use.
# PACKAGES are pkg-config names, private to it.
function(dunlin_library name)
    cmake_parse_arguments(ARG "" "" "SOURCES;LIBS;PACKAGES" ${ARGN})
    add_library(${name} STATIC ${ARG_SOURCES})
    target_link_libraries(${name} PUBLIC dunlin_options ${ARG_LIBS})
    foreach(package ${ARG_PACKAGES})
        string(MAKE_C_IDENTIFIER ${package} id)
        pkg_check_modules(${id} REQUIRED IMPORTED_TARGET ${package})
        target_link_libraries(${name} PRIVATE PkgConfig::${id})
    endforeach()
    set_property(GLOBAL APPEND PROPERTY DUNLIN_LIBRARIES ${name})
endfunction()
