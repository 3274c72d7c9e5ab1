//! What commands print: text for people, or one JSON object a line.

use anyhow::Error;
use serde_json::Value;
use std::io::Write;

/// Prints an error with its causes. As JSON: `{"ok":false,"error":...}`.
pub fn error(error: &Error, json: bool) {
    if json {
        line(&serde_json::json!({ "ok": false, "error": format!("{error:#}") }).to_string());
    } else {
        eprintln!("error: {error:#}");
    }
}

/// Prints a result: `text` for people, `object` as JSON.
pub fn result(json: bool, object: Value, text: impl FnOnce() -> String) {
    line(&if json { object.to_string() } else { text() });
}

/// Prints one line to standard output; a closed pipe is no error.
pub fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}
