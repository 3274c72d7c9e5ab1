//! What commands print: text for people, or one JSON object a line.

use anyhow::Error;
use serde_json::Value;
use std::io::Write;

/// Prints an error with its causes. As JSON: `{"ok":false,"error":...}`.
pub fn error(error: &Error, json: bool) {
    let text = with_causes(error);
    if json {
        line(&serde_json::json!({ "ok": false, "error": text }).to_string());
    } else {
        eprintln!("error: {text}");
    }
}

/// An error and its causes in one line. A cause that the text before it says already is not said again.
fn with_causes(error: &Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.ends_with(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    text
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
