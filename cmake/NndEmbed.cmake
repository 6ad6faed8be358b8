# Files that travel inside the library. nnd_embed_locale(room) turns every locale/<language>.json
# into a C array in the build folder and compiles it into that room; the table's declaration is
# src/nodes/locale_files.h. nnd_embed_catalog(room) does so with models/catalog.json.
# nnd_embed_fingerprint(room) compiles in a hash of the room's source files. Run as a script
# (cmake -DOUT=… -DFILES=… -P, or -DFILE=… and -DSYMBOL=…, or -DFOLDER=… and -DSYMBOL=…) it writes the
# C file.

if(CMAKE_SCRIPT_MODE_FILE AND FOLDER)
  file(GLOB_RECURSE files RELATIVE ${FOLDER} ${FOLDER}/*.c ${FOLDER}/*.h)
  set(hashes "")
  foreach(file ${files})
    file(SHA256 ${FOLDER}/${file} hash)
    string(APPEND hashes "${file} ${hash}\n")
  endforeach()
  string(SHA256 hash "${hashes}")
  file(WRITE ${OUT} "/* Made by cmake/NndEmbed.cmake. */\nextern const char ${SYMBOL}[];\n"
    "const char ${SYMBOL}[] = \"${hash}\";\n")
  return()
endif()
set(NND_EMBED_ROW "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)")
if(CMAKE_SCRIPT_MODE_FILE AND FILE)
  file(READ ${FILE} hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(REGEX REPLACE "${NND_EMBED_ROW}" "    \\1\n" bytes "${bytes}")
  get_filename_component(name ${FILE} NAME)
  file(WRITE ${OUT} "/* Made by cmake/NndEmbed.cmake from ${name}. */\n#include <stddef.h>\n\n"
    "extern const unsigned char ${SYMBOL}_text[];\nextern const size_t ${SYMBOL}_size;\n\n"
    "const unsigned char ${SYMBOL}_text[] = {\n${bytes}\n    0};\nconst size_t ${SYMBOL}_size = sizeof ${SYMBOL}_text - 1;\n")
  return()
endif()
if(CMAKE_SCRIPT_MODE_FILE)
  set(arrays "")
  set(rows "")
  string(REPLACE "|" ";" files "${FILES}")
  foreach(file ${files})
    get_filename_component(language ${file} NAME_WE)
    file(READ ${file} hex HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
    string(REGEX REPLACE "${NND_EMBED_ROW}" "    \\1\n" bytes "${bytes}")
    string(APPEND arrays "static const unsigned char text_${language}[] = {\n${bytes}\n    0};\n\n")
    string(APPEND rows "    {\"${language}\", (const char *)text_${language}, sizeof text_${language} - 1},\n")
  endforeach()
  file(WRITE ${OUT} "/* Made by cmake/NndEmbed.cmake from locale/. */\n#include \"nodes/locale_files.h\"\n\n"
    "${arrays}const nnd_locale_file nnd_locale_files[] = {\n${rows}    {NULL, NULL, 0},\n};\n")
  return()
endif()

set(NND_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_FILE})
function(nnd_embed_locale room)
  file(GLOB files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/locale/*.json)
  string(REPLACE ";" "|" list "${files}")
  set(out ${CMAKE_BINARY_DIR}/generated/locale_files.c)
  add_custom_command(OUTPUT ${out} VERBATIM COMMENT "Embedding locale files"
    COMMAND ${CMAKE_COMMAND} -DOUT=${out} "-DFILES=${list}" -P ${NND_EMBED_SCRIPT}
    DEPENDS ${files} ${NND_EMBED_SCRIPT})
  target_sources(nnd_obj_${room} PRIVATE ${out})
endfunction()

function(nnd_embed_catalog room)
  set(file ${CMAKE_SOURCE_DIR}/models/catalog.json)
  set(out ${CMAKE_BINARY_DIR}/generated/catalog_builtin.c)
  add_custom_command(OUTPUT ${out} VERBATIM COMMENT "Embedding the catalogue of models"
    COMMAND ${CMAKE_COMMAND} -DOUT=${out} -DFILE=${file} -DSYMBOL=nnd_catalog_builtin -P ${NND_EMBED_SCRIPT}
    DEPENDS ${file} ${NND_EMBED_SCRIPT})
  target_sources(nnd_obj_${room} PRIVATE ${out})
endfunction()

function(nnd_embed_fingerprint room)
  set(folder ${CMAKE_SOURCE_DIR}/src/${room})
  file(GLOB_RECURSE files CONFIGURE_DEPENDS ${folder}/*.c ${folder}/*.h)
  set(out ${CMAKE_BINARY_DIR}/generated/${room}_fingerprint.c)
  add_custom_command(OUTPUT ${out} VERBATIM COMMENT "Hashing the sources of ${room}"
    COMMAND ${CMAKE_COMMAND} -DOUT=${out} -DFOLDER=${folder} -DSYMBOL=nnd_${room}_fingerprint -P ${NND_EMBED_SCRIPT}
    DEPENDS ${files} ${NND_EMBED_SCRIPT})
  target_sources(nnd_obj_${room} PRIVATE ${out})
endfunction()
