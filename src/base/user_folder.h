/* The user's folders, by the customs of the system. Variables that are empty count as unset. */
#ifndef NND_BASE_USER_FOLDER_H
#define NND_BASE_USER_FOLDER_H

#include "nndeploy/base.h"

/* Sets *path to <variable>/<rest>, freed with nnd_free, unless it is set already, or the variable
   is not. NND_E_OUT_OF_MEMORY. */
nnd_status nnd_path_below_variable(const char *variable, const char *rest, char **path);

/* <cache>/nndeploy/<rest>, where <cache> is XDG_CACHE_HOME or ~/.cache, ~/Library/Caches (macOS),
   %LOCALAPPDATA% (Windows); NULL where the environment names no such folder. */
nnd_status nnd_user_cache_path(const char *rest, char **out);

/* The same for settings: XDG_CONFIG_HOME or ~/.config, ~/Library/Application Support, %APPDATA%. */
nnd_status nnd_user_settings_path(const char *rest, char **out);

#endif
