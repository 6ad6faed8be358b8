# Files that travel inside the library. nnd_embed_locale(room) turns every locale/<language>.json
# into a C array in the build folder and compiles it into that room; the table's declaration is
# src/nodes/locale_files.h. Run as a script (cmake -DOUT=… -DFILES=… -P) it writes the C file.

if(CMAKE_SCRIPT_MODE_FILE)
  set(arrays "")
  set(rows "")
  string(REPLACE "|" ";" files "${FILES}")
  foreach(file ${files})
    get_filename_component(language ${file} NAME_WE)
    file(READ ${file} hex HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
    string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)"
      "    \\1\n" bytes "${bytes}")
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
