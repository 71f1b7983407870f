//! The names that keys of process files go by. PM2 knows several for some.

use crate::registry::import::item::Item;

/// The one name of a key.
pub(super) fn canonical(key: &str) -> &str {
    match key {
        "exec" | "cmd" | "command" => "script",
        "exec_interpreter" => "interpreter",
        "interpreterArgs" | "interpreter_args" => "node_args",
        "out" | "output" | "out_log" => "out_file",
        "error" | "err" | "err_file" | "err_log" => "error_file",
        "log" => "log_file",
        "pid" => "pid_file",
        "cron" => "cron_restart",
        "combine_logs" => "merge_logs",
        "user" => "uid",
        other => other,
    }
}

/// The value of a key, by any of its names.
pub(super) fn get<'a>(app: &Item<'a>, key: &str) -> Option<Item<'a>> {
    let found = app.entries().into_iter().find(|(name, item)| canonical(name) == key && !item.is_null());
    found.map(|(_, item)| item)
}
